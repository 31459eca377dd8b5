package guard_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// TestUnconfiguredGuardDenies: nobody may come in because somebody forgot to call New.
func TestUnconfiguredGuardDenies(t *testing.T) {
	for name, g := range map[string]*guard.Guard{"nil": nil, "zero": {}} {
		h := g.Handler(who)
		for _, method := range []string{"GET", "POST", "OPTIONS", "HEAD"} {
			got := get(h, method, "/public", "Authorization", "Token token1", "Origin", "https://app.example.org", "Access-Control-Request-Method", "GET")
			if got.status != 503 || got.reached() || got.header.Get("Retry-After") == "" || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("a %s guard answers %s with %d %v, want 503", name, method, got.status, got.header)
			}
		}
		r := httptest.NewRequest("GET", "/", nil)
		for _, v := range []*guard.Verdict{g.Judge(r), g.JudgeAs(r, gatehouse.Identity{Value: "jack"})} {
			if v.Allowed() || v.Reason() != problem.Unavailable || !v.Principal.IsAnonymous() || v.Principal.Kind != gatehouse.KindAnonymous {
				t.Errorf("a %s guard judges %v %s %+v, want a denial of nobody", name, v.Allowed(), v.Reason(), v.Principal)
			}
		}
		if g.Answers() == nil {
			t.Errorf("a %s guard has no way to answer", name)
		}
		g.Strip(http.Header{"Authorization": {"Token x"}})
	}
}

// TestNewRefuses what would make every answer a guess, or a denial look like a success.
func TestNewRefuses(t *testing.T) {
	token := carrier.Header("Token", lookup)
	for _, tt := range []struct {
		name   string
		config guard.Config
		fault  string
	}{
		{"nothing", guard.Config{}, "no carriers"},
		{"no carriers", guard.Config{Policy: guard.AsSubject{}}, "no carriers"},
		{"an empty list of carriers", guard.Config{Carriers: []carrier.Carrier{}, Policy: guard.AsSubject{}}, "no carriers"},
		{"a nil carrier", guard.Config{Carriers: []carrier.Carrier{token, nil}, Policy: guard.AsSubject{}}, "carrier 1 is nil"},
		{"no policy", guard.Config{Carriers: []carrier.Carrier{token}}, "no policy"},
		{"one scheme twice", guard.Config{Carriers: []carrier.Carrier{token, carrier.Header("tOKEN", lookup)}, Policy: guard.AsSubject{}}, "two carriers read Authorization: tOKEN"},
		{"one field twice", guard.Config{Carriers: []carrier.Carrier{carrier.NamedHeader("X-Key", lookup), carrier.NamedHeader("x-key", lookup)}, Policy: guard.AsSubject{}}, "two carriers read X-Key"},
		{"a negative limit", guard.Config{Carriers: []carrier.Carrier{token}, Policy: guard.AsSubject{}, MaxBody: -1}, "MaxBody is -1"},
		{"a denial that succeeds", guard.Config{Carriers: []carrier.Carrier{token}, Policy: guard.AsSubject{}, Status: map[problem.Code]int{problem.NoCredential: 200}}, "not a client error"},
		{"a fixed code", guard.Config{Carriers: []carrier.Carrier{token}, Policy: guard.AsSubject{}, Status: map[problem.Code]int{problem.Unavailable: 401}}, "stays 503"},
		{"an unknown code", guard.Config{Carriers: []carrier.Carrier{token}, Policy: guard.AsSubject{}, Status: map[problem.Code]int{"typo": 401}}, `no code "typo"`},
		{"any origin", guard.Config{Carriers: []carrier.Carrier{token}, Policy: guard.AsSubject{}, Origins: []string{"*"}}, `"*" is not an origin`},
	} {
		if g, err := guard.New(tt.config); err == nil || g != nil || !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("%s: New = %v, %v, want an error that says %q", tt.name, g, err, tt.fault)
		}
	}
	if _, err := guard.New(guard.Config{Carriers: []carrier.Carrier{token, carrier.Header("Bearer", lookup), says(gatehouse.Identity{}, nil), says(gatehouse.Identity{}, nil)}, Policy: guard.AsSubject{}}); err != nil {
		t.Errorf("two carriers of one type that are no header carriers: %v", err)
	}
}

// TestNoRules: Handler finds out who is calling, and with DefaultDeny lets nobody in.
func TestNoRules(t *testing.T) {
	open, closed := makeGuard(t, guard.Config{}).Handler(who), makeGuard(t, guard.Config{DefaultDeny: true}).Handler(who)
	empty := makeGuard(t, guard.Config{Rules: rules(t, policy.Config{})}).Handler(who)
	for _, tt := range []struct {
		auth             string
		open, openBody   string
		closed, withNone string
	}{
		{"", ok, "-", challenged, challenged}, {"Token token1", ok, "jack", "404", "404"}, {"Token nope", ok, "-", invalidToken, invalidToken},
		{"Token", ok, "-", malformed, malformed}, {"Bearer x", ok, "-", challenged, challenged},
	} {
		if got := get(open, "GET", "/x", "Authorization", tt.auth); got.kind() != tt.open || got.body != tt.openBody {
			t.Errorf("no rules, %q = %s %s, want %s %s", tt.auth, got.kind(), got.body, tt.open, tt.openBody)
		}
		if got := get(closed, "GET", "/x", "Authorization", tt.auth); got.kind() != tt.closed || got.reached() {
			t.Errorf("no rules and DefaultDeny, %q = %s, want %s", tt.auth, got.kind(), tt.closed)
		}
		if got := get(empty, "GET", "/x", "Authorization", tt.auth); got.kind() != tt.withNone || got.reached() {
			t.Errorf("an empty table, %q = %s, want %s", tt.auth, got.kind(), tt.withNone)
		}
	}
	for _, method := range []string{"TRACE", "CONNECT"} {
		if got := get(open, method, "/x", "Authorization", "Token token1"); got.status != 405 || got.reached() {
			t.Errorf("no rules: %s = %d, want 405", method, got.status)
		}
	}
	if got := get(open, "PROPFIND", "/x"); got.status != 200 {
		t.Errorf("no rules: PROPFIND = %d: the handlers know their methods", got.status)
	}
	if v := makeGuard(t, guard.Config{}).Judge(httptest.NewRequest("GET", "/x", nil)); !v.Allowed() || v.Requirement() != "anyone" || v.RuleName() != "" {
		t.Errorf("no rules: judged %v, %s", v.Allowed(), v.Requirement())
	}
}

var errDown = errors.New("connection refused")

// TestErrorsOfHooks: every kind of error from a carrier and from the policy, on every kind of rule. The last column of each triple is a
// path that no rule knows.
func TestErrorsOfHooks(t *testing.T) {
	const unavailable, forbidden = "503 unavailable", "403 forbidden"
	type kinds struct{ public, strict, known, nope string }
	all := func(s string) kinds { return kinds{s, s, s, s} }
	unlessPublic := func(s string) kinds { return kinds{"200", s, s, s} }
	for name, tt := range map[string]struct {
		err  error
		want kinds
	}{
		"no credential":         {gatehouse.ErrAnonymous, kinds{"200", "200", "401 no_credential", "401 no_credential"}},
		"another scheme":        {gatehouse.ErrScheme, kinds{"200", "200", "401 unsupported_scheme", "401 unsupported_scheme"}},
		"bad":                   {gatehouse.ErrCredential, unlessPublic("401 unknown_token")},
		"disabled":              {gatehouse.ErrDisabled, unlessPublic("401 unknown_token")},
		"expired":               {gatehouse.ErrExpired, unlessPublic("401 expired_token")},
		"malformed":             {gatehouse.ErrMalformed, unlessPublic("400 malformed_credential")},
		"duplicate":             {gatehouse.ErrDuplicate, all("400 duplicate_credential")},
		"forbidden":             {gatehouse.ErrForbidden, all(forbidden)},
		"forbidden and bad":     {errors.Join(gatehouse.ErrCredential, gatehouse.ErrForbidden), all(forbidden)},
		"down":                  {errDown, unlessPublic(unavailable)},
		"cancelled":             {context.Canceled, unlessPublic(unavailable)},
		"too slow":              {context.DeadlineExceeded, unlessPublic(unavailable)},
		"a problem of its own":  {problem.New(problem.NotFound), unlessPublic(unavailable)},
		"a typed nil":           {(*problem.Problem)(nil), unlessPublic(unavailable)},
		"expired, two wrappers": {fmt.Errorf("a: %w", fmt.Errorf("b: %w", gatehouse.ErrExpired)), unlessPublic("401 expired_token")},
	} {
		wrapped := fmt.Errorf("hook: %w", tt.err)
		if name == "a typed nil" {
			wrapped = tt.err // wrapping would print it
		}
		carriers := makeGuard(t, guard.Config{Rules: everyRule(t), Carriers: []carrier.Carrier{says(gatehouse.Identity{Value: "jack"}, wrapped)}})
		policies := makeGuard(t, guard.Config{Rules: everyRule(t), Policy: users{resolve: func(context.Context, gatehouse.Identity) (gatehouse.Principal, error) {
			return gatehouse.Principal{Subject: "jack", Kind: gatehouse.KindUser}, wrapped
		}}})
		forPolicy := tt.want
		if errors.Is(tt.err, gatehouse.ErrAnonymous) {
			forPolicy = unlessPublic("401 unknown_token") // a policy has an identity before it: that is nobody any more
		}
		for hook, g := range map[string]*guard.Guard{"carrier": carriers, "policy": policies} {
			want := tt.want
			if hook == "policy" {
				want = forPolicy
			}
			for path, want := range map[string]string{"/public": want.public, "/strict": want.strict, "/known": want.known, "/nope": want.nope} {
				got := get(g.Handler(who), "GET", path, "Authorization", "Token token1")
				text := strings.TrimSpace(fmt.Sprint(got.status, " ", got.code()))
				if text != want || got.reached() != (got.status == 200) || got.status == 200 && got.body != "-" {
					t.Errorf("%s of a %s on %s = %s %s, want %s and never jack", name, hook, path, text, got.body, want)
				}
				if got.status == 401 && got.challenges() == "" || got.status == 503 && got.header.Get("Retry-After") == "" {
					t.Errorf("%s of a %s on %s lacks its header field: %v", name, hook, path, got.header)
				}
			}
		}
	}
}

// TestPermitsErrors: what could not be checked denies, also beside a yes, and whoever asks.
func TestPermitsErrors(t *testing.T) {
	for name, permits := range map[string]func(context.Context, gatehouse.Principal, string, any) (bool, error){
		"an error":           func(context.Context, gatehouse.Principal, string, any) (bool, error) { return false, errDown },
		"a yes and an error": func(context.Context, gatehouse.Principal, string, any) (bool, error) { return true, errDown },
		"a credential error": func(context.Context, gatehouse.Principal, string, any) (bool, error) {
			return true, gatehouse.ErrCredential
		},
		"an anonymous error": func(context.Context, gatehouse.Principal, string, any) (bool, error) {
			return true, gatehouse.ErrAnonymous
		},
		"a forbidden error": func(context.Context, gatehouse.Principal, string, any) (bool, error) {
			return true, gatehouse.ErrForbidden
		},
		"a panic":               func(context.Context, gatehouse.Principal, string, any) (bool, error) { panic("planted-secret") },
		"a panic with an error": func(context.Context, gatehouse.Principal, string, any) (bool, error) { panic(errDown) },
		"a nil panic":           func(context.Context, gatehouse.Principal, string, any) (bool, error) { panic(nil) },
	} {
		h := makeGuard(t, guard.Config{Rules: everyRule(t), Policy: users{permits: permits}}).Handler(who)
		for _, auth := range []string{"Token token1", ""} {
			for _, path := range []string{"/permission", "/delete", "/either"} {
				if got := get(h, "GET", path, "Authorization", auth); got.status != 503 || got.reached() {
					t.Errorf("%s, %q on %s = %d %s, want 503", name, auth, path, got.status, got.body)
				}
			}
		}
		if got := get(h, "GET", "/known", "Authorization", "Token token1"); got.status != 200 {
			t.Errorf("%s where no permission is asked for = %d, want 200", name, got.status)
		}
	}
}

// TestAnonymousMayHavePermissions if the policy says so: one question, one answer.
func TestAnonymousMayHavePermissions(t *testing.T) {
	h := makeGuard(t, guard.Config{Rules: everyRule(t), Policy: users{permits: func(_ context.Context, p gatehouse.Principal, permission string, _ any) (bool, error) {
		return p.IsAnonymous() && permission == "films.read", nil
	}}}).Handler(who)
	for _, tt := range []struct{ path, auth, want string }{
		{"/permission", "", ok}, {"/delete", "", challenged}, {"/permission", "Token token1", "403 challenge insufficient_scope"}, {"/permission", "Token nope", invalidToken},
	} {
		if got := get(h, "GET", tt.path, "Authorization", tt.auth); got.kind() != tt.want {
			t.Errorf("%s with %q = %s, want %s", tt.path, tt.auth, got.kind(), tt.want)
		}
	}
}

// A faulty limiter or address panics where its name says.
type faultyLimiter struct{ blocked, refused bool }

func (l faultyLimiter) Blocked(netip.Addr) (time.Duration, bool) {
	if l.blocked {
		panic("planted-secret")
	}
	return 0, false
}

func (l faultyLimiter) Refused(netip.Addr) {
	if l.refused {
		panic("planted-secret")
	}
}

// TestPanickingHooks: each hook in turn panics. The request is denied, the log has one line, and what was panicked with is not in it.
func TestPanickingHooks(t *testing.T) {
	expires := says(gatehouse.Identity{Value: "jack", ExpiresAt: time.Now().Add(time.Hour)}, nil)
	for name, tt := range map[string]struct {
		config guard.Config
		path   string
		want   int
	}{
		"carrier":             {guard.Config{Carriers: []carrier.Carrier{hook(func(*http.Request) (gatehouse.Identity, error) { panic("planted-secret") })}}, "/known", 503},
		"carrier on strict":   {guard.Config{Carriers: []carrier.Carrier{hook(func(*http.Request) (gatehouse.Identity, error) { panic("planted-secret") })}}, "/strict", 503},
		"carrier, public":     {guard.Config{Carriers: []carrier.Carrier{hook(func(*http.Request) (gatehouse.Identity, error) { panic("planted-secret") })}}, "/public", 200},
		"carrier, its error":  {guard.Config{Carriers: []carrier.Carrier{hook(func(*http.Request) (gatehouse.Identity, error) { panic(errors.New("planted-secret")) })}}, "/known", 503},
		"carrier, abort":      {guard.Config{Carriers: []carrier.Carrier{hook(func(*http.Request) (gatehouse.Identity, error) { panic(http.ErrAbortHandler) })}}, "/known", 503},
		"carrier, like a 401": {guard.Config{Carriers: []carrier.Carrier{hook(func(*http.Request) (gatehouse.Identity, error) { panic(gatehouse.ErrAnonymous) })}}, "/known", 503},
		"carrier, by mistake": {guard.Config{Carriers: []carrier.Carrier{hook(func(r *http.Request) (gatehouse.Identity, error) {
			return gatehouse.Identity{}, []error{}[len(r.Header)]
		})}}, "/known", 503},
		"second carrier":       {guard.Config{Carriers: []carrier.Carrier{carrier.Header("Token", lookup), hook(func(*http.Request) (gatehouse.Identity, error) { panic("planted-secret") })}}, "/known", 503},
		"first carrier":        {guard.Config{Carriers: []carrier.Carrier{hook(func(*http.Request) (gatehouse.Identity, error) { panic("planted-secret") }), carrier.Header("Token", lookup)}}, "/known", 503},
		"look-up":              {guard.Config{Carriers: []carrier.Carrier{carrier.Header("Token", func(context.Context, string) (gatehouse.Identity, error) { panic("planted-secret") })}}, "/known", 503},
		"function":             {guard.Config{Carriers: []carrier.Carrier{carrier.Func(func(*http.Request) (string, error) { panic("planted-secret") }, lookup)}}, "/known", 503},
		"policy":               {guard.Config{Policy: users{resolve: func(context.Context, gatehouse.Identity) (gatehouse.Principal, error) { panic("planted-secret") }}}, "/known", 503},
		"policy, public":       {guard.Config{Policy: users{resolve: func(context.Context, gatehouse.Identity) (gatehouse.Principal, error) { panic("planted-secret") }}}, "/public", 200},
		"nil policy":           {guard.Config{Policy: (*users)(nil)}, "/known", 503},
		"permits":              {guard.Config{Policy: users{permits: func(context.Context, gatehouse.Principal, string, any) (bool, error) { panic("planted-secret") }}}, "/permission", 503},
		"clock":                {guard.Config{Carriers: []carrier.Carrier{expires}, Now: func() time.Time { panic("planted-secret") }}, "/known", 503},
		"clock, public":        {guard.Config{Carriers: []carrier.Carrier{expires}, Now: func() time.Time { panic("planted-secret") }}, "/public", 503},
		"limiter":              {guard.Config{Limiter: faultyLimiter{blocked: true}}, "/known", 503},
		"limiter, public":      {guard.Config{Limiter: faultyLimiter{blocked: true}}, "/public", 503},
		"limiter on a refusal": {guard.Config{Limiter: faultyLimiter{refused: true}}, "/admin", 403},
		"address":              {guard.Config{Limiter: faultyLimiter{}, ClientAddr: func(*http.Request) netip.Addr { panic("planted-secret") }}, "/known", 503},
		"request id":           {guard.Config{RequestID: func(*http.Request) string { panic("planted-secret") }}, "/admin", 403},
	} {
		t.Run(name, func(t *testing.T) {
			var log buffer
			tt.config.Logger, tt.config.Rules = log.logger(), everyRule(t)
			got := get(makeGuard(t, tt.config).Handler(who), "GET", tt.path, "Authorization", "Token token1")
			if got.status != tt.want || got.reached() != (tt.want == 200) || got.reached() && got.body != "-" {
				t.Errorf("%s = %d %s, want %d", tt.path, got.status, got.body, tt.want)
			}
			if log.lines() != 1 || !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "panicked") {
				t.Errorf("the log has %d lines, want one error that says what panicked:\n%s", log.lines(), &log)
			}
			if all := log.String() + got.body + fmt.Sprint(got.header); strings.Contains(all, "planted-secret") {
				t.Errorf("what was panicked with is shown: %s", all)
			}
		})
	}
}

// TestOutagesAreLoggedOnce, wherever they happen, also where the answer did not depend on them.
func TestOutagesAreLoggedOnce(t *testing.T) {
	down := says(gatehouse.Identity{}, errDown)
	permitsDown := users{permits: func(context.Context, gatehouse.Principal, string, any) (bool, error) { return false, errDown }}
	permitsPanic := users{permits: func(context.Context, gatehouse.Principal, string, any) (bool, error) { panic(errDown.Error()) }}
	table := rules(t, policy.Config{Roles: policy.RoleList("basic", "admin"), Rules: []policy.Rule{
		{Path: "/public", Allow: policy.Anyone()}, {Path: "/known", Allow: policy.Authenticated()},
		{Path: "/or", Allow: policy.Any(policy.Permission("films.read"), policy.Role("basic"))},
		{Path: "/and", Allow: policy.All(policy.Permission("films.read"), policy.Role("admin"))},
	}})
	for name, tt := range map[string]struct {
		config guard.Config
		path   string
		status int
		body   string
		lines  int
	}{
		"protected":                      {guard.Config{Carriers: []carrier.Carrier{down}}, "/known", 503, "", 1},
		"public":                         {guard.Config{Carriers: []carrier.Carrier{down}}, "/public", 200, "-", 1},
		"beside a good credential":       {guard.Config{Carriers: []carrier.Carrier{carrier.Header("Token", lookup), down}}, "/known", 503, "", 1},
		"beside two credentials":         {guard.Config{Carriers: []carrier.Carrier{carrier.Header("Token", lookup), down, says(gatehouse.Identity{Value: "ann"}, nil)}}, "/known", 400, "", 1},
		"beside a duplicate":             {guard.Config{Carriers: []carrier.Carrier{says(gatehouse.Identity{}, gatehouse.ErrDuplicate), down}}, "/known", 400, "", 1},
		"beside a bad credential":        {guard.Config{Carriers: []carrier.Carrier{says(gatehouse.Identity{}, gatehouse.ErrCredential), down}}, "/known", 503, "", 1},
		"two of them":                    {guard.Config{Carriers: []carrier.Carrier{down, down}}, "/known", 503, "", 1},
		"a permission beside a yes":      {guard.Config{Policy: permitsDown}, "/or", 200, "jack", 1},
		"a panic beside a yes":           {guard.Config{Policy: permitsPanic}, "/or", 200, "jack", 1},
		"a panic beside a no":            {guard.Config{Policy: permitsPanic}, "/and", 403, "", 1},
		"a permission beside a no":       {guard.Config{Policy: permitsDown}, "/and", 403, "", 1},
		"nothing is down":                {guard.Config{}, "/known", 200, "jack", 0},
		"a bad credential is no outage":  {guard.Config{Carriers: []carrier.Carrier{says(gatehouse.Identity{}, gatehouse.ErrCredential)}}, "/public", 200, "-", 0},
		"a bad credential is no outage ": {guard.Config{Carriers: []carrier.Carrier{says(gatehouse.Identity{}, gatehouse.ErrCredential)}}, "/known", 401, "", 0},
	} {
		var log buffer
		tt.config.Logger, tt.config.Rules = log.logger(), table
		got := get(makeGuard(t, tt.config).Handler(who), "GET", tt.path, "Authorization", "Token token1")
		if got.status != tt.status || tt.body != "" && got.body != tt.body || log.lines() != tt.lines {
			t.Errorf("%s = %d %s with %d lines, want %d %s with %d:\n%s", name, got.status, got.body, log.lines(), tt.status, tt.body, tt.lines, &log)
		}
		if tt.lines > 0 && !strings.Contains(log.String(), errDown.Error()) && !strings.Contains(log.String(), "the policy panicked (string)") {
			t.Errorf("%s: the log does not say why: %s", name, &log)
		}
	}
}

// TestNobodyIsNeverSomebody: identities and principals without a name, from every place that can make one.
func TestNobodyIsNeverSomebody(t *testing.T) {
	roles := []string{"admin"}
	noValue := says(gatehouse.Identity{Kind: gatehouse.KindUser, Roles: roles, Session: "s", TokenID: "t"}, nil)
	for name, c := range map[string]guard.Config{
		"an identity without a value": {Carriers: []carrier.Carrier{noValue}},
		"a zero identity":             {Carriers: []carrier.Carrier{says(gatehouse.Identity{}, nil)}},
		"a look-up without a value": {Carriers: []carrier.Carrier{carrier.Header("Token", func(context.Context, string) (gatehouse.Identity, error) {
			return gatehouse.Identity{Roles: roles}, nil
		})}},
		"a zero principal": {Policy: users{resolve: func(context.Context, gatehouse.Identity) (gatehouse.Principal, error) {
			return gatehouse.Principal{}, nil
		}}},
		"a principal without subject": {Policy: users{resolve: func(context.Context, gatehouse.Identity) (gatehouse.Principal, error) {
			return gatehouse.Principal{Kind: gatehouse.KindUser, Roles: roles}, nil
		}}},
		"a principal without a kind": {Policy: users{resolve: func(context.Context, gatehouse.Identity) (gatehouse.Principal, error) {
			return gatehouse.Principal{Subject: "ann", Roles: roles}, nil
		}}},
		"a principal called anonymous": {Policy: users{resolve: func(context.Context, gatehouse.Identity) (gatehouse.Principal, error) {
			return gatehouse.Principal{Subject: "ann", Kind: gatehouse.KindAnonymous, Roles: roles}, nil
		}}},
	} {
		c.Rules = everyRule(t)
		h := makeGuard(t, c).Handler(who)
		for _, path := range []string{"/known", "/admin", "/basic", "/permission", "/scope", "/nope", "/strict"} {
			if got := get(h, "GET", path, "Authorization", "Token token1"); got.kind() != invalidToken || got.reached() {
				t.Errorf("%s on %s = %s, want %s", name, path, got.kind(), invalidToken)
			}
		}
		if got := get(h, "GET", "/public", "Authorization", "Token token1"); got.status != 200 || got.body != "-" {
			t.Errorf("%s on a public path = %d %s, want the anonymous caller", name, got.status, got.body)
		}
	}
}
