package carrier_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
)

// asked records what a look-up was asked. It knows every token and calls its owner "owner of <token>".
type asked struct{ tokens []string }

func (a *asked) lookup(_ context.Context, token string) (gatehouse.Identity, error) {
	a.tokens = append(a.tokens, token)
	return gatehouse.Identity{Value: "owner of " + token}, nil
}

// request returns a request whose header field name has the values, as they are.
func request(name string, values ...string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	if values != nil {
		r.Header[name] = values
	}
	return r
}

// word names the kind of an error of a carrier.
func word(err error) string {
	for _, kind := range []struct {
		err  error
		word string
	}{
		{gatehouse.ErrScheme, "other scheme"}, {gatehouse.ErrAnonymous, "nothing"}, {gatehouse.ErrForbidden, "forbidden"},
		{gatehouse.ErrDuplicate, "duplicate"}, {gatehouse.ErrMalformed, "malformed"}, {gatehouse.ErrExpired, "expired"},
		{gatehouse.ErrDisabled, "disabled"}, {gatehouse.ErrCredential, "bad"},
	} {
		if errors.Is(err, kind.err) {
			return kind.word
		}
	}
	if err != nil {
		return "unchecked"
	}
	return "found"
}

// A row is a header and what the carrier must make of it. A token that is not found is never looked up.
type row struct {
	values []string
	want   string // the token, or the word for the error in brackets
}

func one(value, want string) row { return row{[]string{value}, want} }

// check runs a row: the outcome, and that the look-up was asked for exactly the token, or not at all.
func check(t *testing.T, make func(carrier.Lookup) carrier.Carrier, name string, tt row) {
	t.Helper()
	var a asked
	id, err := make(a.lookup).Identify(request(name, tt.values...))
	got := "[" + word(err) + "]"
	if err == nil && len(a.tokens) == 1 {
		got = a.tokens[0]
	}
	if got != tt.want {
		t.Errorf("%s: %q = %s, want %s", name, tt.values, got, tt.want)
	}
	if err != nil && (len(a.tokens) > 0 || id.Value != "") {
		t.Errorf("%s: %q is refused, and yet %q were looked up and %q returned", name, tt.values, a.tokens, id.Value)
	}
	if err == nil && id.Value != "owner of "+tt.want {
		t.Errorf("%s: %q proves %q", name, tt.values, id.Value)
	}
}
