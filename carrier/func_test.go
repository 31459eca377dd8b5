package carrier_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
)

// TestFunc: what the function returns, and what becomes of it.
func TestFunc(t *testing.T) {
	for _, tt := range []struct {
		credential string
		err        error
		want       string
		asked      int
	}{
		{"ticket", nil, "found", 1},
		{"any thing\x00 at all", nil, "found", 1},
		{strings.Repeat("x", 8<<10), nil, "found", 1},
		{"", nil, "nothing", 0},
		{"", gatehouse.ErrAnonymous, "nothing", 0},
		{"ticket", gatehouse.ErrAnonymous, "nothing", 0},
		{"", gatehouse.ErrScheme, "other scheme", 0},
		{"", fmt.Errorf("no prefix: %w", gatehouse.ErrMalformed), "malformed", 0},
		{"", gatehouse.ErrCredential, "bad", 0},
		{"", gatehouse.ErrForbidden, "forbidden", 0},
		{"", gatehouse.ErrDuplicate, "duplicate", 0},
		{"", gatehouse.ErrExpired, "expired", 0},
		{"ticket", errors.New("cannot say"), "unchecked", 0},
		{"", errors.New("cannot say"), "unchecked", 0},
		{strings.Repeat("x", 8<<10+1), nil, "bad", 0},
		{strings.Repeat("x", 1<<20), nil, "bad", 0},
	} {
		var a asked
		c := carrier.Func(func(*http.Request) (string, error) { return tt.credential, tt.err }, a.lookup)
		id, err := c.Identify(request("Accept", "*/*"))
		if word(err) != tt.want || len(a.tokens) != tt.asked || (err == nil) != (id.Value != "") {
			t.Errorf("a function that returns %.20q, %v = %q, %v after %d look-ups, want %s after %d", tt.credential, tt.err, id.Value, err, len(a.tokens), tt.want, tt.asked)
		}
	}
	get := func(*http.Request) (string, error) { return "", nil }
	mustPanic(t, "Func without a function", func() { carrier.Func(nil, (&asked{}).lookup) })
	mustPanic(t, "Func without a look-up", func() { carrier.Func(get, nil) })
}

// TestVerified takes the credential for the identity, and an empty one for nobody.
func TestVerified(t *testing.T) {
	for credential, want := range map[string]string{"CN=jack": "found", "": "nothing"} {
		id, err := carrier.Func(func(*http.Request) (string, error) { return credential, nil }, carrier.Verified).Identify(request("Accept"))
		if word(err) != want || id.Value != credential {
			t.Errorf("Verified(%q) = %q, %v, want %s", credential, id.Value, err, want)
		}
	}
	if id, err := carrier.Verified(context.Background(), "jack"); id.Value != "jack" || id.Roles != nil || err != nil {
		t.Errorf("Verified(jack) = %+v, %v, want jack and nothing else", id, err)
	}
}
