package explain

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
)

// planted is the token of ci. It must never be seen again.
const planted = "gh_key_PLANTED7SECRET8TOKEN9VALUE"

// staticTokens are the tokens of the tests' guard.
func staticTokens(t testing.TB) *carrier.Static {
	t.Helper()
	tokens, err := carrier.NewStatic([]carrier.StaticToken{
		{Name: "ci", Hash: carrier.HashToken(planted), Roles: []string{"basic"}, Scopes: []string{"films.read"}},
		{Name: "root", Hash: carrier.HashToken("gh_key_root"), Roles: []string{"admin"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// exampleRules are the rules of the example in docs/policy-tests.md.
var exampleRules = []policy.Rule{
	{Name: "read-films", Methods: []string{"GET"}, Path: "/films/{id}", Allow: policy.Role("basic")},
	{Name: "delete-films", Methods: []string{"DELETE"}, Path: "/films/{id}", Allow: policy.Role("admin")},
	{Name: "export", Path: "/export", Allow: policy.Scope("films.export")},
	{Name: "docs", Path: "/docs/**", Allow: policy.Anyone()},
	{Name: "back-office", Host: "office.example.org", Path: "/**", Allow: policy.Role("admin")},
}

// newGuard returns a guard with rules and the tests' tokens. change may be nil.
func newGuard(t testing.TB, rules []policy.Rule, change func(*guard.Config)) *guard.Guard {
	t.Helper()
	table, err := policy.New(policy.Config{Roles: policy.Roles{"basic": 1, "admin": 9}, Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	tokens := staticTokens(t)
	config := guard.Config{
		Carriers: []carrier.Carrier{carrier.Header("Token", tokens.Lookup)},
		Policy:   guard.AsSubject{Table: table}, Rules: table, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if change != nil {
		change(&config)
	}
	g, err := guard.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// judgeOf is what the program makes of a guard.
func judgeOf(g *guard.Guard) Judge {
	return func(r *http.Request, id *gatehouse.Identity) *guard.Verdict {
		if id == nil {
			return g.Judge(r)
		}
		return g.JudgeAs(r, *id)
	}
}

// identities looks tokens up by name.
func identities(t testing.TB) func(string) (gatehouse.Identity, bool) {
	tokens := staticTokens(t)
	return func(name string) (gatehouse.Identity, bool) {
		token, ok := tokens.ByName(name)
		return token.Identity(), ok
	}
}

// newRequest is NewRequest for requests that must be good.
func newRequest(t testing.TB, method, target string, headers ...string) *http.Request {
	t.Helper()
	r, err := NewRequest(t.Context(), method, target, "", headers)
	if err != nil {
		t.Fatalf("NewRequest(%q, %q) = %v, want a request", method, target, err)
	}
	return r
}

// A leakyPolicy fails with a text that holds a piece of a credential, as no policy should.
type leakyPolicy struct{}

var errLeak = errors.New("illegal base64 data in " + planted[3:] + ", connection to db-1.example.org:5432 lost")

func (leakyPolicy) Resolve(context.Context, gatehouse.Identity) (gatehouse.Principal, error) {
	return gatehouse.Principal{}, errLeak
}

func (leakyPolicy) Permits(context.Context, gatehouse.Principal, string, any) (bool, error) {
	return false, errLeak
}

// leakyLookup fails with the credential in its text.
func leakyLookup(_ context.Context, credential string) (gatehouse.Identity, error) {
	return gatehouse.Identity{}, errors.New("cannot look up " + credential)
}
