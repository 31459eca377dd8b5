package guard_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
)

// member is a record of the program that uses the guard.
type member struct{ ID, Name string }

var members = map[string]member{"token1": {"m-1", "Jack"}, "token2": {"m-2", "Ann"}}

// byToken is the program's look-up. It puts the record on the identity, where handlers find it with gatehouse.Value.
func byToken(_ context.Context, token string) (gatehouse.Identity, error) {
	m, ok := members[token]
	if !ok {
		return gatehouse.Identity{}, gatehouse.ErrCredential
	}
	return gatehouse.WithValue(gatehouse.Identity{Value: m.ID}, m), nil
}

// hello greets the caller by the program's own record.
func hello(w http.ResponseWriter, r *http.Request) {
	if m, ok := gatehouse.Value[member](r.Context()); ok {
		fmt.Fprintf(w, "hello %s", m.Name)
		return
	}
	fmt.Fprint(w, "hello stranger")
}

// call prints the answer to a request, of a refusal its code.
func call(h http.Handler, method, target, authorization string) {
	r := httptest.NewRequest(method, target, nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	text := w.Body.String()
	if _, code, ok := strings.Cut(text, `"code":"`); ok {
		text, _, _ = strings.Cut(code, `"`)
	}
	fmt.Println(strings.TrimSpace(fmt.Sprintf("%s %s: %d %s", method, target, w.Code, text)))
}

// must stops the example on a fault.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// The smallest guard: every request needs a token that the look-up knows.
func ExampleTokenAuth() {
	g := must(guard.TokenAuth(byToken))
	h := g.Handler(http.HandlerFunc(hello))
	call(h, "GET", "/", "Token token1")
	call(h, "GET", "/", "Token token9")
	call(h, "GET", "/", "")
	// Output:
	// GET /: 200 hello Jack
	// GET /: 401 unknown_token
	// GET /: 401 no_credential
}

func ExampleScheme() {
	g := must(guard.TokenAuth(byToken, guard.Scheme("Bearer")))
	h := g.Handler(http.HandlerFunc(hello))
	call(h, "GET", "/", "bearer token1")
	call(h, "GET", "/", "Token token1")
	// Output:
	// GET /: 200 hello Jack
	// GET /: 401 unsupported_scheme
}

// An expression opens the paths that it matches as a whole. A caller with a valid token is known there, too.
func ExamplePublicRoutes() {
	g := must(guard.TokenAuth(byToken, guard.PublicRoutes("/status", `/users/\w+/card`)))
	h := g.Handler(http.HandlerFunc(hello))
	call(h, "GET", "/status", "")
	call(h, "GET", "/status", "Token token1")
	call(h, "GET", "/users/ann/card", "")
	call(h, "GET", "/users/ann/card/edit", "")
	call(h, "GET", "/status/../secret", "")
	// Output:
	// GET /status: 200 hello stranger
	// GET /status: 200 hello Jack
	// GET /users/ann/card: 200 hello stranger
	// GET /users/ann/card/edit: 401 no_credential
	// GET /status/../secret: 400 bad_target
}

// A method that is public is public on every path. None opens nothing.
func ExamplePublicMethods() {
	g := must(guard.TokenAuth(byToken, guard.PublicMethods("GET")))
	h := g.Handler(http.HandlerFunc(hello))
	call(h, "GET", "/films", "")
	call(h, "HEAD", "/films", "")
	call(h, "POST", "/films", "")
	call(h, "POST", "/films", "Token token2")
	// Output:
	// GET /films: 200 hello stranger
	// HEAD /films: 200 hello stranger
	// POST /films: 401 no_credential
	// POST /films: 200 hello Ann
}

// Rules say who may do what; what no rule allows is denied.
func ExampleNew() {
	rules := must(policy.New(policy.Config{
		Roles: policy.Roles{"basic": 1, "admin": 9},
		Rules: []policy.Rule{
			{Methods: []string{"GET"}, Path: "/films/{id}", Allow: policy.Role("basic")},
			{Path: "/films/**", Allow: policy.Role("admin")},
			{Path: "/public/**", Allow: policy.Anyone()},
		},
	}))
	tokens := must(carrier.NewStatic([]carrier.StaticToken{
		{Name: "jack", Hash: carrier.HashToken("token1"), Roles: []string{"basic"}},
		{Name: "ann", Hash: carrier.HashToken("token2"), Roles: []string{"admin"}},
	}))
	g := must(guard.New(guard.Config{
		Carriers: []carrier.Carrier{carrier.Header("Bearer", tokens.Lookup), carrier.NamedHeader("X-API-Key", tokens.Lookup)},
		Policy:   guard.AsSubject{Table: rules},
		Rules:    rules,
	}))
	h := g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, gatehouse.FromContext(r.Context()).Subject)
	}))
	call(h, "GET", "/films/7", "Bearer token1")
	call(h, "DELETE", "/films/7", "Bearer token1")
	call(h, "DELETE", "/films/7", "Bearer token2")
	call(h, "GET", "/public/logo", "")
	call(h, "GET", "/actors", "Bearer token2")
	call(h, "GET", "/actors", "")
	// Output:
	// GET /films/7: 200 jack
	// DELETE /films/7: 403 forbidden
	// DELETE /films/7: 200 ann
	// GET /public/logo: 200
	// GET /actors: 404 not_found
	// GET /actors: 401 no_credential
}

// AsSubject takes the identity for the principal, and gives it the permissions that the table gives to its roles.
func ExampleAsSubject() {
	table := must(policy.New(policy.Config{
		Roles: policy.RoleList("basic", "admin"), Permissions: policy.Permissions{"basic": {"films.read"}, "admin": {"films.*"}},
	}))
	users := guard.AsSubject{Table: table}
	ctx := context.Background()
	p, err := users.Resolve(ctx, gatehouse.Identity{Value: "jack", Roles: []string{"basic", "king"}})
	fmt.Println(p.Subject, p.Kind, err)
	for _, permission := range []string{"films.read", "films.delete", ""} {
		ok, err := users.Permits(ctx, p, permission, nil)
		fmt.Printf("%q %v %v\n", permission, ok, err)
	}
	// Output:
	// jack user <nil>
	// "films.read" true <nil>
	// "films.delete" false <nil>
	// "" false <nil>
}

// A policy of the program's own asks its database on every request, so that a user who is gone is gone at once.
func ExamplePolicy() {
	policies := users{resolve: func(_ context.Context, id gatehouse.Identity) (gatehouse.Principal, error) {
		switch id.Value {
		case "m-2":
			return gatehouse.Principal{}, fmt.Errorf("%w: the account is closed", gatehouse.ErrCredential)
		case "":
			return gatehouse.Principal{}, errors.New("the database does not answer")
		}
		return gatehouse.PrincipalOf(id), nil
	}}
	rules := must(policy.New(policy.Config{Default: policy.Authenticated()}))
	g := must(guard.New(guard.Config{Carriers: []carrier.Carrier{carrier.Header("Token", byToken)}, Policy: policies, Rules: rules}))
	h := g.Handler(http.HandlerFunc(hello))
	call(h, "GET", "/", "Token token1")
	call(h, "GET", "/", "Token token2")
	// Output:
	// GET /: 200 hello Jack
	// GET /: 401 unknown_token
}

// Describe says what is known of a request, without a secret. Observe, in front of the guard, tells it once the request is answered.
func ExampleDescribe() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case slog.TimeKey, slog.LevelKey, "request_id", "duration_ms":
			return slog.Attr{} // they differ from run to run
		}
		return a
	}}))
	g := must(guard.TokenAuth(byToken))
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		logger.Info("in the handler", "r", guard.Describe(r))
	})
	h := guard.Observe(g.Handler(handler), nil, func(_ *http.Request, d guard.Description, _ *guard.Verdict) {
		logger.Info("answered", "r", d)
	})
	r := httptest.NewRequest("GET", "/films?key=hidden", nil)
	r.Header.Set("Authorization", "Token token1")
	h.ServeHTTP(httptest.NewRecorder(), r)
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("HEAD", "/films", nil))
	// Output:
	// msg="in the handler" r.method=GET r.host=example.com r.path=/films r.principal=m-1 r.kind=user r.carrier="Authorization: Token" r.decision=allow
	// msg=answered r.method=GET r.host=example.com r.path=/films r.status=200 r.bytes=0 r.principal=m-1 r.kind=user r.carrier="Authorization: Token" r.decision=allow
	// msg=answered r.method=HEAD r.host=example.com r.path=/films r.status=401 r.bytes=0 r.kind=anonymous r.decision=deny r.reason=no_credential
}

// Judge decides without answering, and shows each step.
func ExampleGuard_Judge() {
	g := must(guard.TokenAuth(byToken))
	r := httptest.NewRequest("GET", "/films", nil)
	r.Header.Set("Authorization", "Token token9")
	v := g.Judge(r)
	for _, step := range v.Steps() {
		fmt.Println(step)
	}
	fmt.Println(v.Allowed(), v.Reason())
	// Output:
	// target     /films: canonical
	// rule       none matches
	// carrier    Authorization: Token: refused (bad credential)
	// false unknown_token
}
