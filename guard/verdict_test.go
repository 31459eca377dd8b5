package guard_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// judge asks g about a request with the token, none if it is empty.
func judge(g *guard.Guard, method, target, token string) *guard.Verdict {
	r := httptest.NewRequest(method, target, nil)
	if token != "" {
		r.Header.Set("Authorization", "Token "+token)
	}
	return g.Judge(r)
}

// TestZeroVerdictDenies: what nobody has judged may not pass.
func TestZeroVerdictDenies(t *testing.T) {
	var none *guard.Verdict
	if none.Allowed() || (&guard.Verdict{}).Allowed() || new(guard.Verdict).Reason() != "" || new(guard.Verdict).RuleName() != "" {
		t.Error("a verdict that nobody has made says something")
	}
	if guard.FromContext(context.Background()) != nil {
		t.Error("a context without a guard has a verdict")
	}
}

// TestVerdictNamesWhoWasRefused: a known caller who is refused is still known; a credential that proved nothing names nobody.
func TestVerdictNamesWhoWasRefused(t *testing.T) {
	g := makeGuard(t, guard.Config{Rules: everyRule(t)})
	for _, tt := range []struct {
		method, target, token  string
		subject                string
		code                   problem.Code
		carrier, tokenID, rule string
	}{
		{"GET", "/known", "token1", "jack", "", "Authorization: Token", "first", "* /known"},
		{"GET", "/admin", "token1", "jack", problem.Forbidden, "Authorization: Token", "first", "* /admin"},
		{"GET", "/scope", "token2", "jack", problem.InsufficientScope, "Authorization: Token", "second", "* /scope"},
		{"GET", "/nope", "token1", "jack", problem.NotFound, "Authorization: Token", "first", ""},
		{"PUT", "/get", "token1", "jack", problem.MethodNotAllowed, "Authorization: Token", "first", ""},
		{"GET", "/known", "", "", problem.NoCredential, "", "", "* /known"},
		{"GET", "/known", "nope", "", problem.UnknownToken, "", "", "* /known"},
		{"GET", "/known", "a b", "", problem.MalformedCredential, "", "", "* /known"},
		{"GET", "/nope", "", "", problem.NoCredential, "", "", ""},
		{"TRACE", "/known", "token1", "", problem.MethodNotAllowed, "", "", ""},
		{"GET", "/a%2Fb", "token1", "", problem.BadTarget, "", "", ""},
		{"GET", "/public", "nope", "", "", "", "", "* /public"},
	} {
		v := judge(g, tt.method, tt.target, tt.token)
		if v.Allowed() != (tt.code == "") || v.Reason() != tt.code || v.Principal.Subject != tt.subject || v.Carrier != tt.carrier || v.TokenID != tt.tokenID || v.RuleName() != tt.rule {
			t.Errorf("%s %s with %q = %q as %q by %q (%q), rule %q, want %+v", tt.method, tt.target, tt.token, v.Reason(), v.Principal.Subject, v.Carrier, v.TokenID, v.RuleName(), tt)
		}
		if v.Principal.IsAnonymous() != (tt.subject == "") || v.Principal.Kind == "" {
			t.Errorf("%s %s: principal %+v, want anonymous: %v, and never the zero value", tt.method, tt.target, v.Principal, tt.subject == "")
		}
	}
}

// TestExpiry looks at the edges of an identity's time, by the guard's clock.
func TestExpiry(t *testing.T) {
	now := noon
	g := makeGuard(t, guard.Config{Rules: everyRule(t), Now: func() time.Time { return now }, Carriers: []carrier.Carrier{says(gatehouse.Identity{Value: "jack", ExpiresAt: noon}, nil)}})
	for _, tt := range []struct {
		at   time.Time
		code problem.Code
	}{
		{noon.Add(-time.Hour), ""}, {noon.Add(-1), ""}, {noon, problem.ExpiredToken}, {noon.Add(1), problem.ExpiredToken}, {noon.AddDate(100, 0, 0), problem.ExpiredToken},
		{noon.Add(-1).In(time.FixedZone("", 3600)), ""}, {time.Time{}, ""},
	} {
		now = tt.at
		for path, code := range map[string]problem.Code{"/known": tt.code, "/strict": tt.code, "/public": ""} {
			v := g.Judge(httptest.NewRequest("GET", path, nil))
			if v.Reason() != code || tt.code != "" && !v.Principal.IsAnonymous() {
				t.Errorf("%s at %v = %q as %q, want %q", path, tt.at, v.Reason(), v.Principal.Subject, code)
			}
		}
		if got := g.JudgeAs(httptest.NewRequest("GET", "/known", nil), gatehouse.Identity{Value: "jack", ExpiresAt: noon}).Reason(); got != tt.code {
			t.Errorf("an identity that is given at %v = %q, want %q", tt.at, got, tt.code)
		}
	}
}

// TestJudgeAs puts an identity in the place of the carriers, and nothing else.
func TestJudgeAs(t *testing.T) {
	asked := false
	g := makeGuard(t, guard.Config{Rules: everyRule(t), Carriers: []carrier.Carrier{hook(func(*http.Request) (gatehouse.Identity, error) {
		asked = true
		return gatehouse.Identity{Value: "mallory"}, nil
	})}})
	for _, tt := range []struct {
		target  string
		id      gatehouse.Identity
		code    problem.Code
		subject string
	}{
		{"/known", gatehouse.Identity{Value: "jack"}, "", "jack"},
		{"/known", gatehouse.Identity{}, problem.NoCredential, ""},
		{"/known", gatehouse.Identity{Roles: []string{"admin"}}, problem.NoCredential, ""},
		{"/admin", gatehouse.Identity{Value: "jack", Roles: []string{"basic"}}, problem.Forbidden, "jack"},
		{"/admin", gatehouse.Identity{Value: "ann", Roles: []string{"admin"}}, "", "ann"},
		{"/public", gatehouse.Identity{}, "", ""},
		{"/a%2Fb", gatehouse.Identity{Value: "ann", Roles: []string{"admin"}}, problem.BadTarget, ""},
		{"/nope", gatehouse.Identity{Value: "ann"}, problem.NotFound, "ann"},
	} {
		r := httptest.NewRequest("GET", tt.target, nil)
		r.Header["Authorization"] = []string{"Token a", "Token b"} // nobody reads it
		v := g.JudgeAs(r, tt.id)
		if v.Reason() != tt.code || v.Principal.Subject != tt.subject {
			t.Errorf("%s as %+v = %q as %q, want %q as %q", tt.target, tt.id, v.Reason(), v.Principal.Subject, tt.code, tt.subject)
		}
		if v.Allowed() && tt.id.Value != "" && v.Carrier != "given" {
			t.Errorf("%s: the carrier is %q, want given", tt.target, v.Carrier)
		}
	}
	if asked {
		t.Error("a carrier was asked although the identity was given")
	}
}

// stages returns the steps as one line.
func stages(v *guard.Verdict) string {
	var words []string
	for _, s := range v.Steps() {
		words = append(words, string(s.Stage)+" "+s.Outcome)
	}
	return strings.Join(words, ", ")
}

// TestSteps: what explain prints is what happened, in the order in which it did.
func TestSteps(t *testing.T) {
	g := makeGuard(t, guard.Config{Rules: everyRule(t), Carriers: []carrier.Carrier{carrier.Header("Token", lookup), carrier.NamedHeader("X-API-Key", lookup)}})
	for _, tt := range []struct{ method, target, token, want string }{
		{"GET", "/known", "token1", "target canonical, rule most specific, carrier found a credential, carrier nothing, policy resolved, decision allow"},
		{"GET", "/known", "nope", "target canonical, rule most specific, carrier refused, carrier nothing"},
		{"GET", "/known", "", "target canonical, rule most specific, carrier nothing, carrier nothing, decision unauthorized"},
		{"GET", "/public", "nope", "target canonical, rule most specific, carrier refused, carrier nothing, credential unusable: taken for anonymous on a public path, decision allow"},
		{"GET", "/admin", "token1", "target canonical, rule most specific, carrier found a credential, carrier nothing, policy resolved, decision forbidden"},
		{"GET", "/nope", "token1", "target canonical, rule none matches, carrier found a credential, carrier nothing, policy resolved, decision no rule"},
		{"GET", "/a%2Fb", "token1", "target canonical, rule refused"},
		{"TRACE", "/known", "token1", "target never let through"},
	} {
		if got := stages(judge(g, tt.method, tt.target, tt.token)); got != tt.want {
			t.Errorf("%s %s with %q:\n got %s\nwant %s", tt.method, tt.target, tt.token, got, tt.want)
		}
	}
	down := makeGuard(t, guard.Config{Rules: everyRule(t), Carriers: []carrier.Carrier{says(gatehouse.Identity{}, errDown)}})
	if got, want := stages(judge(down, "GET", "/known", "")), "target canonical, rule most specific, carrier could not be checked"; got != want {
		t.Errorf("an outage:\n got %s\nwant %s", got, want)
	}
	gone := makeGuard(t, guard.Config{Rules: everyRule(t), Policy: users{resolve: func(context.Context, gatehouse.Identity) (gatehouse.Principal, error) {
		return gatehouse.Principal{}, fmt.Errorf("account closed: %w", gatehouse.ErrCredential)
	}}})
	if got, want := stages(judge(gone, "GET", "/known", "token1")), "target canonical, rule most specific, carrier found a credential, policy not resolved"; got != want {
		t.Errorf("an account that is gone:\n got %s\nwant %s", got, want)
	}
}

// TestStepsAsText: a line for a person, with the reason, and no credential in it.
func TestStepsAsText(t *testing.T) {
	find := func(_ context.Context, token string) (gatehouse.Identity, error) {
		return gatehouse.Identity{}, fmt.Errorf("%w: no row for %s", gatehouse.ErrCredential, token)
	}
	v := judge(makeGuard(t, guard.Config{Rules: everyRule(t), Carriers: []carrier.Carrier{carrier.Header("Token", find)}}), "GET", "/known", "planted-secret")
	var text strings.Builder
	for _, s := range v.Steps() {
		fmt.Fprintln(&text, s)
	}
	want := "target     /known: canonical\nrule       * /known: most specific\ncarrier    Authorization: Token: refused (bad credential: no row for [secret])\n"
	if text.String() != want {
		t.Errorf("the steps read\n%swant\n%s", &text, want)
	}
	if v.Requirement() != "authenticated" || !errors.Is(v.Problem, gatehouse.ErrCredential) || strings.Contains(v.Problem.Error(), "planted-secret") {
		t.Errorf("requirement %q, problem %v", v.Requirement(), v.Problem)
	}
}

// TestVerdictInTheHandler: one verdict, and of nested guards the inner one's.
func TestVerdictInTheHandler(t *testing.T) {
	outer := makeGuard(t, guard.Config{Rules: everyRule(t)})
	inner := makeGuard(t, guard.Config{Rules: rules(t, policy.Config{Default: policy.Anyone()}), Carriers: []carrier.Carrier{carrier.NamedHeader("X-API-Key", lookup)}})
	var v *guard.Verdict
	seen := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v = guard.FromContext(r.Context())
		who(w, r)
	})
	if got := get(outer.Handler(seen), "GET", "/known", "Authorization", "Token token1"); got.body != "jack" || !v.Allowed() || v.Request.Path != "/known" || v.Principal.Subject != "jack" {
		t.Errorf("the handler sees %+v", v)
	}
	for key, want := range map[string]string{"": "jack", "token2": "jack"} {
		if got := get(outer.Handler(inner.Handler(seen)), "GET", "/known", "Authorization", "Token token1", "X-API-Key", key); got.body != want || v.Principal.Subject != want {
			t.Errorf("behind two guards with key %q the caller is %s, want %s", key, got.body, want)
		}
	}
}

// TestContextStaysTheRequests: deadlines and values from outside are still there.
func TestContextStaysTheRequests(t *testing.T) {
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), key{}, "outside"))
	cancel()
	h := makeGuard(t, guard.Config{Rules: everyRule(t)}).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Context().Err() == nil || r.Context().Value(key{}) != "outside" || r.Context().Value("nothing") != nil {
			t.Error("the guard's context hides the request's")
		}
	}))
	if got := send(h, httptest.NewRequest("GET", "/known", nil).WithContext(ctx), "Authorization", "Token token1"); got.status != 200 {
		t.Errorf("= %d %s", got.status, got.body)
	}
}

// TestRuleNames: where several expressions judge together, all are named, and all hold.
func TestRuleNames(t *testing.T) {
	g := makeGuard(t, guard.Config{Rules: rules(t, policy.Config{Roles: policy.RoleList("basic", "admin"), Rules: []policy.Rule{
		{Name: "letters", Regex: "/[a-z]+", Allow: policy.Role("basic")}, {Name: "secrets", Regex: "/s.*", Allow: policy.Role("admin")}, {Name: "open", Regex: "/.+t", Allow: policy.Anyone()},
	}})})
	for _, tt := range []struct {
		target, token, names, requirement string
		code                              problem.Code
	}{
		{"/films", "token1", "letters", "role basic", ""},
		{"/secret", "token1", "letters + secrets + open", "(role basic and role admin)", problem.Forbidden},
		{"/secret", "admin", "letters + secrets + open", "(role basic and role admin)", ""},
		{"/S1t", "", "open", "anyone", ""},
	} {
		v := judge(g, "GET", tt.target, tt.token)
		if v.RuleName() != tt.names || v.Requirement() != tt.requirement || v.Reason() != tt.code {
			t.Errorf("%s as %q = %q by %q, %s, want %q by %q, %s", tt.target, tt.token, v.Reason(), v.RuleName(), v.Requirement(), tt.code, tt.names, tt.requirement)
		}
	}
}

// TestStrip: before a request is forwarded the guard takes away what any of its carriers reads, and no more.
func TestStrip(t *testing.T) {
	g := makeGuard(t, guard.Config{Carriers: []carrier.Carrier{
		carrier.Header("Token", lookup), carrier.NamedHeader("X-API-Key", lookup), says(gatehouse.Identity{}, gatehouse.ErrAnonymous),
	}})
	h := http.Header{"Authorization": {"Token token1"}, "X-Api-Key": {"token1"}, "X_api_key": {"token1"}, "Accept": {"*/*"}, "Cookie": {"a=b"}}
	g.Strip(h)
	if len(h) != 2 || h.Get("Accept") == "" || h.Get("Cookie") == "" {
		t.Errorf("stripped to %v, want Accept and Cookie", h)
	}
	h = http.Header{"Authorization": {"Basic dXNlcjpwYXNz"}}
	if g.Strip(h); h.Get("Authorization") == "" {
		t.Error("the application's own credential is gone")
	}
}
