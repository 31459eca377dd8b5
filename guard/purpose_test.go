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
)

// purposeVerifier knows tokens that say what they are good for, "<purpose> <owner>" with a dot between, as a set of verifiers does: what is not good for the purpose of the context is refused.
type purposeVerifier struct{ asked []string }

func (v *purposeVerifier) Identity(ctx context.Context, text string) (gatehouse.Identity, error) {
	want := gatehouse.PurposeFrom(ctx)
	v.asked = append(v.asked, want)
	if want == "" {
		want = "access"
	}
	purpose, owner, _ := strings.Cut(text, ".")
	if purpose != want {
		return gatehouse.Identity{}, gatehouse.ErrCredential
	}
	return gatehouse.Identity{Value: owner, Purpose: purpose, Session: "s1"}, nil
}

// careless takes every token, whatever it was asked for.
type careless struct{}

func (careless) Identity(_ context.Context, text string) (gatehouse.Identity, error) {
	purpose, owner, _ := strings.Cut(text, ".")
	return gatehouse.Identity{Value: owner, Purpose: purpose}, nil
}

// purposeRules has a rule for each kind of caller.
func purposeRules(t testing.TB) *policy.Table {
	return rules(t, policy.Config{Rules: []policy.Rule{
		{Path: "/films", Allow: policy.Authenticated()},
		{Path: "/refresh", Allow: policy.Authenticated(), Purpose: "refresh"},
		{Path: "/by-name", Allow: policy.Authenticated(), Purpose: "access"},
		{Path: "/open", Allow: policy.Anyone(), Purpose: "refresh"},
		{Path: "/strict", Allow: policy.Anyone(), Purpose: "refresh", Strict: true},
		{Regex: `/both/.*`, Allow: policy.Authenticated(), Purpose: "refresh"},
		{Regex: `/both/x`, Allow: policy.Authenticated()},
	}})
}

// TestPurposes: a token counts for its purpose and nowhere else, and what is no token counts where no purpose is named. A guard does not rely on its carriers for that.
func TestPurposes(t *testing.T) {
	for name, verifier := range map[string]carrier.TokenVerifier{"careful": &purposeVerifier{}, "careless": careless{}} {
		h := makeGuard(t, guard.Config{Rules: purposeRules(t), Carriers: []carrier.Carrier{carrier.Bearer(verifier), carrier.Header("Token", lookup)}}).Handler(who)
		for _, tt := range []struct {
			path, credential, want string
		}{
			{"/films", "Bearer access.jack", "200 jack"},
			{"/films", "Token token1", "200 jack"},
			{"/refresh", "Bearer refresh.jack", "200 jack"},
			{"/by-name", "Bearer access.jack", "200 jack"},
			{"/open", "Bearer refresh.jack", "200 jack"},
			{"/open", "Bearer access.jack", "200 -"},
			{"/open", "Token token1", "200 -"},

			{"/films", "Bearer refresh.jack", "401 unknown_token"},
			{"/films", "Bearer reset-password.jack", "401 unknown_token"},
			{"/films", "Bearer .jack", "401 unknown_token"},
			{"/films", "Bearer Access.jack", "401 unknown_token"},
			{"/films", "Bearer access .jack", "400 malformed_credential"},
			{"/refresh", "Bearer access.jack", "401 unknown_token"},
			{"/refresh", "Bearer refres.jack", "401 unknown_token"},
			{"/refresh", "Bearer refreshh.jack", "401 unknown_token"},
			{"/refresh", "Bearer .jack", "401 unknown_token"},
			{"/refresh", "Token token1", "401 unknown_token"},
			{"/refresh", "", "401 no_credential"},
			{"/by-name", "Token token1", "401 unknown_token"},
			{"/strict", "Bearer access.jack", "401 unknown_token"},
			{"/strict", "Token token1", "401 unknown_token"},
			{"/both/x", "Bearer refresh.jack", "401 unknown_token"},
			{"/both/x", "Bearer access.jack", "401 unknown_token"},
			{"/both/x", "Token token1", "401 unknown_token"},
		} {
			if name == "careless" && tt.credential == "Bearer .jack" && tt.path == "/films" {
				continue // an identity without a purpose is no token's, as far as the guard can see
			}
			if got := reply(h, tt.path, tt.credential); got != tt.want {
				t.Errorf("%s: GET %s with %q = %s, want %s", name, tt.path, tt.credential, got, tt.want)
			}
		}
	}
}

// reply returns the status, and the code or the body.
func reply(h http.Handler, path, credential string) string {
	var headers []string
	if credential != "" {
		headers = []string{"Authorization", credential}
	}
	a := get(h, "GET", path, headers...)
	if code := a.code(); code != "" {
		return fmt.Sprint(a.status, " ", code)
	}
	return fmt.Sprint(a.status, " ", a.body)
}

// TestPurposeOfTheContext: carriers are told the purpose where the rule names one, and the handler's context has none: what the handler asks is for it to say.
func TestPurposeOfTheContext(t *testing.T) {
	v := &purposeVerifier{}
	var seen []string
	h := makeGuard(t, guard.Config{Rules: purposeRules(t), Carriers: []carrier.Carrier{carrier.Bearer(v)}}).Handler(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = append(seen, gatehouse.PurposeFrom(r.Context())) }))
	get(h, "GET", "/films", "Authorization", "Bearer access.jack")
	get(h, "GET", "/refresh", "Authorization", "Bearer refresh.jack")
	get(h, "GET", "/by-name", "Authorization", "Bearer access.jack")
	if got := fmt.Sprintf("%q %q", v.asked, seen); got != `["" "refresh" "access"] ["" "" ""]` {
		t.Errorf("carriers and handlers saw %s", got)
	}
}

// TestPurposeOfGivenIdentities: an explanation says what would come of a credential. An identity that does not say what it was found by is taken to be of the right kind.
func TestPurposeOfGivenIdentities(t *testing.T) {
	g := makeGuard(t, guard.Config{Rules: purposeRules(t)})
	for _, tt := range []struct {
		path string
		id   gatehouse.Identity
		want bool
	}{
		{"/refresh", gatehouse.Identity{Value: "jack"}, true},
		{"/refresh", gatehouse.Identity{Value: "jack", Purpose: "refresh"}, true},
		{"/refresh", gatehouse.Identity{Value: "jack", Purpose: "access"}, false},
		{"/refresh", gatehouse.Identity{Value: "jack", TokenID: "a static token"}, false},
		{"/refresh", gatehouse.Identity{Value: "jack", Session: "s1"}, false},
		{"/refresh", gatehouse.Identity{}, false},
		{"/films", gatehouse.Identity{Value: "jack", Purpose: "refresh"}, false},
		{"/films", gatehouse.Identity{Value: "jack", Purpose: "access", TokenID: "t", Session: "s1"}, true},
	} {
		if got := g.JudgeAs(httptest.NewRequest("GET", tt.path, nil), tt.id).Allowed(); got != tt.want {
			t.Errorf("JudgeAs(%s, %+v) = %v, want %v", tt.path, tt.id, got, tt.want)
		}
	}
}

// staleFor is a verifier whose list of revocations is so old.
type staleFor struct {
	age time.Duration
	id  gatehouse.Identity
}

func (s staleFor) Identity(context.Context, string) (gatehouse.Identity, error) {
	return gatehouse.Identity{}, fmt.Errorf("wrapped: %w", &gatehouse.StaleError{Age: s.age, Identity: s.id})
}

// staleRules allow what is not known for sure for different times.
func staleRules(t testing.TB) *policy.Table {
	return rules(t, policy.Config{Rules: []policy.Rule{
		{Path: "/deny", Allow: policy.Authenticated()},
		{Path: "/minute", Allow: policy.Authenticated(), OnStoreLoss: time.Minute},
		{Path: "/refresh", Allow: policy.Authenticated(), OnStoreLoss: time.Minute, Purpose: "refresh"},
		{Path: "/admin", Allow: policy.Scope("admin"), OnStoreLoss: time.Minute},
		{Path: "/open", Allow: policy.Anyone()},
		{Path: "/open-strict", Allow: policy.Anyone(), Strict: true},
		{Path: "/open-minute", Allow: policy.Anyone(), OnStoreLoss: time.Minute},
		{Regex: `/two/.*`, Allow: policy.Authenticated(), OnStoreLoss: time.Minute},
		{Regex: `/two/x`, Allow: policy.Authenticated(), OnStoreLoss: time.Second},
		{Regex: `/two/none`, Allow: policy.Authenticated()},
	}})
}

// TestOnStoreLoss: while revocations are unknown, the rule decides for how long a token counts, and by itself it does not at all.
func TestOnStoreLoss(t *testing.T) {
	access := gatehouse.Identity{Value: "jack", Purpose: "access"}
	expired := access
	expired.ExpiresAt = time.Unix(1, 0)
	for _, tt := range []struct {
		path string
		age  time.Duration
		id   gatehouse.Identity
		want string
	}{
		{"/minute", 7 * time.Second, access, "200 jack"},
		{"/minute", time.Minute, access, "200 jack"},
		{"/open-minute", time.Minute, access, "200 jack"},
		{"/two/y", 7 * time.Second, access, "200 jack"},
		{"/two/x", time.Second, access, "200 jack"},
		{"/refresh", 7 * time.Second, gatehouse.Identity{Value: "jack", Purpose: "refresh"}, "200 jack"},

		{"/deny", 7 * time.Second, access, "503 unavailable"},
		{"/deny", 0, access, "503 unavailable"},
		{"/minute", time.Minute + 1, access, "503 unavailable"},
		{"/minute", 1<<63 - 1, access, "503 unavailable"},
		{"/minute", 7 * time.Second, gatehouse.Identity{}, "503 unavailable"},
		{"/two/x", time.Second + 1, access, "503 unavailable"},
		{"/two/none", time.Second, access, "503 unavailable"},
		{"/minute", 7 * time.Second, expired, "401 expired_token"},
		{"/minute", 7 * time.Second, gatehouse.Identity{Value: "jack", Purpose: "refresh"}, "401 unknown_token"},
		{"/refresh", 7 * time.Second, access, "401 unknown_token"},
		{"/admin", 7 * time.Second, access, "403 insufficient_scope"},
		{"/open", 7 * time.Second, access, "200 -"},
		{"/open-strict", 7 * time.Second, access, "503 unavailable"},
		{"/open-minute", time.Minute + 1, access, "200 -"},
		{"/nowhere", 7 * time.Second, access, "503 unavailable"},
	} {
		g := makeGuard(t, guard.Config{Rules: staleRules(t), Carriers: []carrier.Carrier{carrier.Bearer(staleFor{tt.age, tt.id})}})
		if got := reply(g.Handler(who), tt.path, "Bearer x"); got != tt.want {
			t.Errorf("GET %s with revocations unknown for %v = %s, want %s", tt.path, tt.age, got, tt.want)
		}
	}
}

// TestStoreLossIsSaid: the answer says when to come again, the steps say what was tolerated, and neither shows the token.
func TestStoreLossIsSaid(t *testing.T) {
	id := gatehouse.Identity{Value: "jack", Purpose: "access"}
	g := makeGuard(t, guard.Config{Rules: staleRules(t), Carriers: []carrier.Carrier{carrier.Bearer(staleFor{7 * time.Second, id})}})
	a := get(g.Handler(who), "GET", "/deny", "Authorization", "Bearer the-token-itself")
	if a.status != 503 || a.header.Get("Retry-After") == "" || a.header.Get("WWW-Authenticate") != "" {
		t.Errorf("GET /deny = %d, Retry-After %q, WWW-Authenticate %q", a.status, a.header.Get("Retry-After"), a.header.Get("WWW-Authenticate"))
	}
	r := httptest.NewRequest("GET", "/minute", nil)
	r.Header.Set("Authorization", "Bearer the-token-itself")
	steps := fmt.Sprint(g.Judge(r).Steps())
	if !strings.Contains(steps, "revocations unknown for 7s: the rule allows 1m0s") || strings.Contains(steps, "the-token-itself") {
		t.Errorf("steps = %s", steps)
	}
}

// TestOnStoreLossIsForNothingElse: only that revocations are unknown can be tolerated.
func TestOnStoreLossIsForNothingElse(t *testing.T) {
	stale := &gatehouse.StaleError{Age: time.Second, Identity: gatehouse.Identity{Value: "jack"}}
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"nothing else":       {stale, "200 jack"},
		"unavailable":        {gatehouse.ErrUnavailable, "503 unavailable"},
		"down":               {errors.New("the database is down"), "503 unavailable"},
		"a bad credential":   {errors.Join(stale, gatehouse.ErrCredential), "401 unknown_token"},
		"one that expired":   {errors.Join(stale, gatehouse.ErrExpired), "401 expired_token"},
		"one that may not":   {errors.Join(stale, gatehouse.ErrForbidden), "403 forbidden"},
		"an ended session":   {errors.Join(stale, gatehouse.ErrSession), "401 session_invalid"},
		"nothing to be seen": {errors.Join(stale, gatehouse.ErrAnonymous), "401 no_credential"},
	} {
		byHook := makeGuard(t, guard.Config{Rules: staleRules(t), Carriers: []carrier.Carrier{says(gatehouse.Identity{}, tt.err)}})
		if got := reply(byHook.Handler(who), "/minute", ""); got != tt.want {
			t.Errorf("%s, from a carrier = %s, want %s", name, got, tt.want)
		}
	}
}

// TestStoreLossBesideAnotherCredential: two credentials are two, whatever is known of them.
func TestStoreLossBesideAnotherCredential(t *testing.T) {
	stale := &gatehouse.StaleError{Age: time.Second, Identity: gatehouse.Identity{Value: "jack"}}
	for name, other := range map[string]carrier.Carrier{
		"a good one":             says(gatehouse.Identity{Value: "jack"}, nil),
		"a bad one":              says(gatehouse.Identity{}, gatehouse.ErrCredential),
		"another that is stale":  says(gatehouse.Identity{}, stale),
		"an ended session":       says(gatehouse.Identity{}, gatehouse.ErrSession),
		"one that is twice sent": says(gatehouse.Identity{}, gatehouse.ErrDuplicate),
	} {
		g := makeGuard(t, guard.Config{Rules: staleRules(t), Carriers: []carrier.Carrier{says(gatehouse.Identity{}, stale), other}})
		if a := get(g.Handler(who), "GET", "/minute"); a.status != 400 && a.status != 401 {
			t.Errorf("a stale credential beside %s = %d", name, a.status)
		}
	}
}

// accepter is a carrier that keeps more than an identity, and notes whether it may use it.
type accepter struct {
	hook
	accepted int
	panics   bool
}

func (a *accepter) AcceptStale(*http.Request) {
	if a.accepted++; a.panics {
		panic("planted")
	}
}

// TestAcceptStale: a carrier is told exactly if the caller is who it thinks.
func TestAcceptStale(t *testing.T) {
	id := gatehouse.Identity{Value: "jack"}
	for _, tt := range []struct {
		path   string
		err    error
		panics bool
		status int
		told   int
	}{
		{"/minute", &gatehouse.StaleError{Age: time.Second, Identity: id}, false, 200, 1},
		{"/open-minute", &gatehouse.StaleError{Age: time.Second, Identity: id}, false, 200, 1},
		{"/minute", &gatehouse.StaleError{Age: time.Second, Identity: id}, true, 503, 1},
		{"/deny", &gatehouse.StaleError{Age: time.Second, Identity: id}, false, 503, 0},
		{"/open", &gatehouse.StaleError{Age: time.Second, Identity: id}, false, 200, 0},
		{"/open-minute", &gatehouse.StaleError{Age: time.Hour, Identity: id}, false, 200, 0},
		{"/refresh", &gatehouse.StaleError{Age: time.Second, Identity: id}, false, 401, 0},
		{"/minute", nil, false, 200, 0},
	} {
		a := &accepter{panics: tt.panics, hook: func(*http.Request) (gatehouse.Identity, error) {
			if tt.err != nil {
				return gatehouse.Identity{}, tt.err
			}
			return id, nil
		}}
		g := makeGuard(t, guard.Config{Rules: staleRules(t), Carriers: []carrier.Carrier{a}})
		if got := get(g.Handler(who), "GET", tt.path); got.status != tt.status || a.accepted != tt.told {
			t.Errorf("GET %s with %v = %d, told %d times; want %d, %d", tt.path, tt.err, got.status, a.accepted, tt.status, tt.told)
		}
	}
}

// TestNestedStoreLoss: what the guard around tolerates, an inner one tolerates only if its own rule does. One without rules has nothing to say.
func TestNestedStoreLoss(t *testing.T) {
	stale := says(gatehouse.Identity{}, &gatehouse.StaleError{Age: 7 * time.Second, Identity: gatehouse.Identity{Value: "jack"}})
	outer := makeGuard(t, guard.Config{Carriers: []carrier.Carrier{stale}, Rules: rules(t, policy.Config{Rules: []policy.Rule{{Path: "/**", Allow: policy.Authenticated(), OnStoreLoss: time.Minute}}})})
	none := says(gatehouse.Identity{}, gatehouse.ErrAnonymous)
	for name, tt := range map[string]struct {
		rule policy.Rule
		want string
	}{
		"the same":          {policy.Rule{Path: "/**", Allow: policy.Authenticated(), OnStoreLoss: time.Minute}, "200 jack"},
		"less, and enough":  {policy.Rule{Path: "/**", Allow: policy.Authenticated(), OnStoreLoss: 7 * time.Second}, "200 jack"},
		"less, and too old": {policy.Rule{Path: "/**", Allow: policy.Authenticated(), OnStoreLoss: 6 * time.Second}, "503 unavailable"},
		"nothing":           {policy.Rule{Path: "/**", Allow: policy.Authenticated()}, "503 unavailable"},
		"a public path":     {policy.Rule{Path: "/**", Allow: policy.Anyone()}, "200 -"},
	} {
		inner := makeGuard(t, guard.Config{Carriers: []carrier.Carrier{none}, Rules: rules(t, policy.Config{Rules: []policy.Rule{tt.rule}})})
		if got := reply(outer.Handler(inner.Handler(who)), "/x", ""); got != tt.want {
			t.Errorf("an inner guard that tolerates %s = %s, want %s", name, got, tt.want)
		}
		third := makeGuard(t, guard.Config{Carriers: []carrier.Carrier{none}})
		if got := reply(outer.Handler(third.Handler(inner.Handler(who))), "/x", ""); got != tt.want {
			t.Errorf("with a guard without rules between, one that tolerates %s = %s, want %s", name, got, tt.want)
		}
	}
}

// TestBearerAllocations: a bearer token whose verifier allocates nothing costs the guard no more than a static token does, and only a rule with a purpose costs a context.
func TestBearerAllocations(t *testing.T) {
	id := gatehouse.Identity{Value: "jack", Purpose: "access"}
	bearer := makeGuard(t, guard.Config{Rules: purposeRules(t), Carriers: []carrier.Carrier{carrier.Bearer(known{id})}})
	static := makeGuard(t, guard.Config{Rules: purposeRules(t), Carriers: []carrier.Carrier{carrier.Header("Token", known{gatehouse.Identity{Value: "jack"}}.Identity)}})
	measure := func(g *guard.Guard, path, credential string) float64 {
		h := g.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Authorization", credential)
		w := httptest.NewRecorder()
		return testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) })
	}
	byToken, byBearer, named := measure(static, "/films", "Token x"), measure(bearer, "/films", "Bearer x"), measure(bearer, "/by-name", "Bearer x")
	if byBearer > byToken || byBearer > 4 {
		t.Errorf("a bearer token costs %v allocations, a static one %v", byBearer, byToken)
	}
	if named > byBearer+3 {
		t.Errorf("a rule with a purpose costs %v allocations, one without %v", named, byBearer)
	}
}

// known is a verifier that has everything in its cache.
type known struct{ id gatehouse.Identity }

func (k known) Identity(context.Context, string) (gatehouse.Identity, error) { return k.id, nil }
