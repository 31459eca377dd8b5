package guard_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// TestRefuse: what a front refuses by itself is a denial, logged if it is our fault, and counted if it is the client's.
func TestRefuse(t *testing.T) {
	counted := map[problem.Code]bool{
		problem.BadTarget: true, problem.NoCredential: true, problem.UnsupportedScheme: true, problem.MalformedCredential: true, problem.DuplicateCredential: true,
		problem.UnknownToken: true, problem.ExpiredToken: true, problem.Forbidden: true, problem.InsufficientScope: true, problem.BodyTooLarge: true,
		problem.UntrustedProxy: true, problem.ConflictingForward: true, problem.InvalidCredentials: true,
	}
	for _, info := range problem.Catalogue {
		var log buffer
		b := &budget{}
		g := makeGuard(t, guard.Config{Rules: everyRule(t), Limiter: b, Logger: log.logger()})
		v := g.Refuse(httptest.NewRequest("GET", "/known", nil), problem.Wrap(info.Code, errors.New("the cause")))
		if v.Allowed() || v.Reason() != info.Code || !v.Principal.IsAnonymous() || v.Principal.Kind != gatehouse.KindAnonymous || stages(v) != "front "+string(info.Code) {
			t.Errorf("Refuse(%s) = %v %s as %+v: %s", info.Code, v.Allowed(), v.Reason(), v.Principal, stages(v))
		}
		if got := len(b.counted) == 1; got != counted[info.Code] {
			t.Errorf("Refuse(%s) counted %q, want counted: %v", info.Code, b.counted, counted[info.Code])
		}
		if want := info.Status >= 500; (log.lines() == 1) != want || want && !strings.Contains(log.String(), "the cause") {
			t.Errorf("Refuse(%s) logged %q, want a line: %v", info.Code, log.String(), want)
		}
	}
	for name, g := range map[string]*guard.Guard{"nil": nil, "zero": {}} {
		if v := g.Refuse(httptest.NewRequest("GET", "/", nil), problem.New(problem.NotFound)); v.Allowed() || v.Reason() != problem.NotFound || g.Enforces() {
			t.Errorf("a %s guard: refused %v, enforces %v", name, v.Reason(), g.Enforces())
		}
	}
}

// TestRefuseAfterTheVerdict: who was let pass and is refused after all is still known, and the verdict that was made stays as it was.
func TestRefuseAfterTheVerdict(t *testing.T) {
	g := makeGuard(t, guard.Config{Rules: everyRule(t)})
	var first, second *guard.Verdict
	h, all := observe(g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		first = guard.FromContext(r.Context())
		second = g.Refuse(r, problem.New(problem.UpstreamTimeout))
		g.Answers().Write(w, r, second.Problem)
	})))
	got := get(h, "GET", "/known", "Authorization", "Token token1")
	o := <-all
	if got.status != 504 || o.d.Decision != "deny" || o.d.Reason != "upstream_timeout" || o.d.Subject != "jack" || o.d.Rule != "* /known" || o.v != second {
		t.Errorf("refused after the verdict = %d, told of as %+v", got.status, o.d)
	}
	if !first.Allowed() || second.Allowed() || !strings.HasSuffix(stages(second), "decision allow, front upstream_timeout") || strings.Contains(stages(first), "front") {
		t.Errorf("the first verdict is now %s, the second %s", stages(first), stages(second))
	}
}

// TestEnforces: a front must know whether a guard decides at all.
func TestEnforces(t *testing.T) {
	for name, tt := range map[string]struct {
		g    *guard.Guard
		want bool
	}{
		"rules":        {makeGuard(t, guard.Config{Rules: everyRule(t)}), true},
		"default deny": {makeGuard(t, guard.Config{DefaultDeny: true}), true},
		"tokens":       {tokenAuth(t), true},
		"no rules":     {makeGuard(t, guard.Config{}), false},
		"zero":         {&guard.Guard{}, false},
		"nil":          {nil, false},
	} {
		if got := tt.g.Enforces(); got != tt.want {
			t.Errorf("a guard with %s enforces: %v, want %v", name, got, tt.want)
		}
	}
}

// TestRefuseCountsOnce: a credential that a public path overlooked was counted by then; the handler that does not overlook it must not have it counted again.
func TestRefuseCountsOnce(t *testing.T) {
	for _, tt := range []struct {
		token string
		want  int
	}{{"Token nope", 1}, {"Token token1", 1}, {"Other scheme", 1}, {"", 1}} {
		b := &budget{}
		g := makeGuard(t, guard.Config{Rules: everyRule(t), Limiter: b})
		h := g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			g.Answers().Write(w, r, g.Refuse(r, problem.New(problem.InvalidCredentials)).Problem)
		}))
		if got := get(h, "GET", "/public", "Authorization", tt.token); got.status != 401 || len(b.counted) != tt.want {
			t.Errorf("with %q = %d, counted %d times, want 401, counted %d times", tt.token, got.status, len(b.counted), tt.want)
		}
	}
}
