package carrier_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
)

// A user is a record of the program.
type user struct{ ID, Name string }

// show prints how the handler is answered for a request with the header field.
func show(h http.Handler, name, value string) {
	r := httptest.NewRequest("GET", "/", nil)
	if value != "" {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	text := strings.TrimSpace(w.Body.String())
	if w.Code != http.StatusOK {
		_, text, _ = strings.Cut(text, `"code":"`)
		text, _, _ = strings.Cut(text, `"`)
	}
	fmt.Println(w.Code, text)
}

// guarded stops the example if the guard cannot be made.
func guarded(c carrier.Carrier, next http.HandlerFunc) http.Handler {
	rules, err := policy.New(policy.Config{Default: policy.Authenticated()})
	if err != nil {
		panic(err)
	}
	g, err := guard.New(guard.Config{Carriers: []carrier.Carrier{c}, Policy: guard.AsSubject{Table: rules}, Rules: rules})
	if err != nil {
		panic(err)
	}
	return g.Handler(next)
}

// The look-up finds the program's own record for a token and puts it on the identity, where handlers read it.
func ExampleHeader() {
	users := map[string]user{"token1": {"u-1", "Jack"}}
	byToken := carrier.Header("Token", func(_ context.Context, token string) (gatehouse.Identity, error) {
		u, ok := users[token]
		if !ok {
			return gatehouse.Identity{}, gatehouse.ErrCredential
		}
		return gatehouse.WithValue(gatehouse.Identity{Value: u.ID}, u), nil
	})
	h := guarded(byToken, func(w http.ResponseWriter, r *http.Request) {
		u, _ := gatehouse.Value[user](r.Context())
		fmt.Fprintln(w, gatehouse.FromContext(r.Context()).Subject, u.Name)
	})
	show(h, "Authorization", "Token token1")
	show(h, "Authorization", "Token token9")
	show(h, "Authorization", "Bearer token1")
	show(h, "Authorization", "Token")
	show(h, "Authorization", "")
	// Output:
	// 200 u-1 Jack
	// 401 unknown_token
	// 401 unsupported_scheme
	// 400 malformed_credential
	// 401 no_credential
}

// A list of named tokens is kept as hashes. carrier.NewToken makes tokens.
func ExampleNamedHeader() {
	keys, err := carrier.NewStatic([]carrier.StaticToken{
		{Name: "nightly", Hash: carrier.HashToken("key1"), Owner: "reports"},
		{Name: "retired", Hash: carrier.HashToken("key2"), Off: true},
	})
	if err != nil {
		panic(err)
	}
	h := guarded(carrier.NamedHeader("X-API-Key", keys.Lookup), func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, gatehouse.FromContext(r.Context()).Subject)
	})
	show(h, "X-API-Key", "key1")
	show(h, "X-API-Key", "key2")
	show(h, "X-API-Key", "key1, key2")
	show(h, "X_API_Key", "key1")
	// Output:
	// 200 reports
	// 401 unknown_token
	// 400 malformed_credential
	// 401 no_credential
}

// The error that the function returns picks the answer: no credential 401, a malformed one 400, a caller who must not come in 403, and
// 503 for everything that it could not find out.
func ExampleFunc() {
	ticket := func(r *http.Request) (string, error) {
		kind, number, ok := strings.Cut(r.Header.Get("X-Ticket"), "-")
		switch {
		case kind == "":
			return "", gatehouse.ErrAnonymous
		case !ok:
			return "", gatehouse.ErrMalformed
		case kind == "banned":
			return "", gatehouse.ErrForbidden
		case kind == "machine":
			return "", errors.New("the ticket machine does not answer")
		}
		return number, nil
	}
	seats := func(_ context.Context, number string) (gatehouse.Identity, error) {
		if number != "17" {
			return gatehouse.Identity{}, gatehouse.ErrCredential
		}
		return gatehouse.Identity{Value: "seat 17"}, nil
	}
	h := guarded(carrier.Func(ticket, seats, "X-Ticket"), func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, gatehouse.FromContext(r.Context()).Subject)
	})
	for _, value := range []string{"row-17", "row-18", "row", "banned-17", "machine-17", ""} {
		show(h, "X-Ticket", value)
	}
	// Output:
	// 200 seat 17
	// 401 unknown_token
	// 400 malformed_credential
	// 403 forbidden
	// 503 unavailable
	// 401 no_credential
}
