package guard_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
)

// TestNextSeesWhatWasJudged: routers read the path, the raw path or the escaped one; all three must be the one that the rules saw.
func TestNextSeesWhatWasJudged(t *testing.T) {
	g := makeGuard(t, guard.Config{Rules: rules(t, policy.Config{Default: policy.Anyone(), Rules: []policy.Rule{
		{Path: "/slash/{x}", AllowEncodedSlash: true, Allow: policy.Anyone()},
	}})})
	addr := serve(t, g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s %s", r.URL.Path, r.URL.RawPath, r.URL.EscapedPath(), guard.FromContext(r.Context()).Request.Path)
	})))
	for target, want := range map[string]string{
		"/films":              "/films  /films /films",
		"/%66ilms":            "/films  /films /films",
		"/f%69lm%73?x=%66":    "/films  /films /films",
		"/%7Ejack":            "/~jack  /~jack /~jack",
		"/a%20b":              "/a b  /a%20b /a%20b",
		"/a%e4%bd%a0":         "/a你  /a%E4%BD%A0 /a%E4%BD%A0",
		"/a|b":                "/a|b  /a%7Cb /a%7Cb",
		"/it's":               "/it's /it's /it's /it's",
		"/it%27s":             "/it's  /it%27s /it%27s",
		"/a%40b":              "/a@b /a%40b /a%40b /a%40b",
		"/a%40%62":            "/a@b /a%40b /a%40b /a%40b",
		"/slash/a%2fb":        "/slash/a/b /slash/a%2Fb /slash/a%2Fb /slash/a%2Fb",
		"/slash/%61%2F%62?%2": "/slash/a/b /slash/a%2Fb /slash/a%2Fb /slash/a%2Fb",
	} {
		if got := exchange(t, addr, "GET "+target); got.body != want {
			t.Errorf("GET %s: the handler sees %q, want %q", target, got.body, want)
		}
	}
}

// TestRefusedTargets: with and without rules, on public paths and for known callers, what hops could read in two ways is refused.
func TestRefusedTargets(t *testing.T) {
	guards := map[string]string{
		"public":     serve(t, makeGuard(t, guard.Config{Rules: rules(t, policy.Config{Default: policy.Anyone()})}).Handler(who)),
		"tokens":     serve(t, tokenAuth(t).Handler(who)),
		"no rules":   serve(t, makeGuard(t, guard.Config{}).Handler(who)),
		"everything": serve(t, tokenAuth(t, guard.PublicRoutes("/.*")).Handler(who)),
	}
	for _, target := range []string{
		"//", "/a//b", "//a", "/./a", "/a/..", "/a/../b", "/%2e%2e/a", "/%2E/a", "/..;/a", "/a/..;x=y/b", "/a%2Fb", "/a%2fb", "/a%5Cb", `/a\b`, "/%00", "/a%0Ab", "/a%0D%0Ab",
		"/%7f", "/%c0%af", "/%c0%ae%c0%ae", "/%ff", "/a#b", "/%", "/%2", "/%zz", "*", "http://evil.example/", "https://evil.example/a", "/a?b#c", "/%u002e",
	} {
		for name, addr := range guards {
			got := exchange(t, addr, "GET "+target, "Authorization: Token token1")
			if got.status != 400 || got.reached() {
				t.Errorf("%s: GET %s = %d (%s), want 400", name, target, got.status, got.body)
			}
		}
	}
}
