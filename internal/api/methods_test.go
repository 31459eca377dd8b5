package api_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/internal/api"
	"github.com/gatehouse-auth/gatehouse/policy"
)

// TestMethods: each endpoint takes its own methods, and says so to everybody.
func TestMethods(t *testing.T) {
	d := newDesk(t, setting{})
	for path, takes := range map[string]string{
		"/oauth/token": "POST", "/oauth/introspect": "POST", "/oauth/revoke": "POST", "/oauth/revocations": "GET, HEAD", "/.well-known/jwks.json": "GET, HEAD",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			if slices.Contains(strings.Split(takes, ", "), method) {
				continue
			}
			for _, header := range []string{"", basic("watcher"), encoded("ghost", "x"), "Bearer x.y.z"} {
				r := d.request(method, path+"?grant_type=client_credentials&token=x", "Authorization", header)
				if header == "" {
					r.Header.Del("Authorization")
				}
				if got := d.send(r); got.status != 405 || got.header.Get("Allow") != takes || method != "HEAD" && got.member("code") != "method_not_allowed" {
					t.Errorf("%s %s with %.8q = %d %q %s, want 405 and Allow: %s", method, path, header, got.status, got.header.Get("Allow"), got.body, takes)
				}
			}
		}
		for _, method := range []string{"TRACE", "CONNECT", "PROPFIND", "get"} {
			r := d.request("GET", path)
			if r.Method = method; method == "CONNECT" {
				r.URL.Host = "gate.example"
			}
			if got := d.send(r); got.status != 405 || got.header.Get("Allow") == "" {
				t.Errorf("%s %s = %d %q, want 405 with Allow", method, path, got.status, got.header.Get("Allow"))
			}
		}
	}
}

// TestOtherSpellings: a path that is one of ours once it is decoded is; any other is the application's, whose rules do not know it.
func TestOtherSpellings(t *testing.T) {
	const proxy = 299
	for _, tt := range []struct {
		prefix, target string
		upstream       http.Handler
		want           int
	}{
		{"", "/oauth/token", nil, 200},
		{"", "/oauth/%74oken", nil, 200},
		{"", "/%6Fauth/token", nil, 200},
		{"", "/oauth/token", answersWith(proxy), 200},
		{"/gate", "/gate/oauth/token", nil, 200},
		{"", "/oauth/token/", nil, 401},
		{"", "/oauth/token/x", nil, 401},
		{"", "/oauth/Token", nil, 401},
		{"", "/oauth", nil, 401},
		{"", "/oauth/", nil, 401},
		{"", "/oauth/authorize", nil, 401},
		{"", "//oauth/token", nil, 400},
		{"", "/oauth//token", nil, 400},
		{"", "/oauth/../oauth/token", nil, 400},
		{"", "/oauth/./token", nil, 400},
		{"", "/oauth%2Ftoken", nil, 400},
		{"", "/oauth/token%00", nil, 400},
		{"", "/oauth\\token", nil, 400},
		{"", "/oauth/token;x=y", nil, 400},
		{"", "/oauth/token/", answersWith(proxy), proxy},
		{"", "//oauth/token", answersWith(proxy), proxy}, // which judges it by itself
		{"/gate", "/oauth/token", nil, 401},
		{"/gate", "/oauth/token", answersWith(proxy), proxy},
		{"/gate", "/gate/gate/oauth/token", nil, 401},
	} {
		d := newDesk(t, setting{prefix: tt.prefix, upstream: tt.upstream})
		r := httptest.NewRequest("POST", "/", strings.NewReader("grant_type=client_credentials"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", basic("reports"))
		parsed, err := r.URL.Parse(strings.ReplaceAll(tt.target, `\`, "%5C"))
		if err != nil {
			t.Fatal(err)
		}
		if r.URL = parsed; strings.HasPrefix(tt.target, "//") || strings.Contains(tt.target, "./") || strings.Contains(tt.target, "/..") {
			r.URL.Host, r.URL.Path, r.URL.RawPath = "", tt.target, ""
		}
		r.RequestURI = tt.target
		w := httptest.NewRecorder()
		d.handler.ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("prefix %q, upstream %v: POST %s = %d %s, want %d", tt.prefix, tt.upstream != nil, tt.target, w.Code, w.Body, tt.want)
		}
	}
}

// TestWithoutTokens: where there are none, these paths are like any other; where they have not been opened yet, they wait.
func TestWithoutTokens(t *testing.T) {
	for name, tt := range map[string]struct {
		tokens bool
		want   int
	}{"no tokens": {false, 401}, "not opened yet": {true, 503}} {
		h := api.New(api.Config{Own: newGuard(t, api.OwnRules("")), App: newGuard(t, nil), Authz: answersWith(500), Tokens: tt.tokens})
		for _, path := range []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke", "/oauth/revocations", "/.well-known/jwks.json"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("POST", path, nil))
			if w.Code != tt.want || tt.want == 503 && w.Header().Get("Retry-After") == "" {
				t.Errorf("%s: POST %s = %d %s, want %d", name, path, w.Code, w.Body, tt.want)
			}
		}
	}
}

// TestOtherOrigins: browsers may read answers from listed origins alone.
func TestOtherOrigins(t *testing.T) {
	const friend = "https://app.example"
	d := newDesk(t, setting{guard: func(c *guard.Config) { c.Origins = []string{friend} }})
	for origin, want := range map[string]string{friend: friend, "https://evil.example": "", "null": "", "https://app.example.evil.example": "", "http://app.example": ""} {
		for path := range forms {
			r := d.request("OPTIONS", path, "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization")
			if got := d.send(r); got.status != 204 || got.header.Get("Access-Control-Allow-Origin") != want {
				t.Errorf("a preflight from %s = %d %q, want 204 %q", origin, got.status, got.header.Get("Access-Control-Allow-Origin"), want)
			}
			r = httptest.NewRequest("POST", path, strings.NewReader(forms[path].encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Authorization", basic("reports"))
			r.Header.Set("Origin", origin)
			if got := d.send(r); got.status != 200 || got.header.Get("Access-Control-Allow-Origin") != want || !slices.Contains(got.header.Values("Vary"), "Origin") {
				t.Errorf("POST %s from %s = %d %q, want 200 %q", path, origin, got.status, got.header.Get("Access-Control-Allow-Origin"), want)
			}
		}
		if got := d.get("/.well-known/jwks.json", "Origin", origin); got.status != 200 || got.header.Get("Access-Control-Allow-Origin") != want {
			t.Errorf("the public keys from %s = %d %q, want 200 %q", origin, got.status, got.header.Get("Access-Control-Allow-Origin"), want)
		}
	}
	plain := newDesk(t, setting{})
	if got := plain.post("/oauth/token", basic("reports"), forms["/oauth/token"]); got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("without origins there is Access-Control-Allow-Origin %q", got.header.Get("Access-Control-Allow-Origin"))
	}
}

// TestOwnRulesCompile: the rules of our own are good rules, of which none lets anybody in who is not asked who they are by what stands there.
func TestOwnRulesCompile(t *testing.T) {
	for _, prefix := range []string{"", "/gate"} {
		rules := api.OwnRules(prefix)
		if _, err := policy.New(policy.Config{Rules: rules}); err != nil {
			t.Fatal(err)
		}
		for _, r := range rules {
			if !strings.HasPrefix(r.Path, prefix+"/") || strings.Contains(r.Path, "*") {
				t.Errorf("a rule of our own reaches beyond our paths: %s", r.Path)
			}
			if r.Path != prefix+"/ping" && api.Reserved(r.Path, prefix, true, true) == "" {
				t.Errorf("%s is not reserved, so that a rule of the application's could collide with it", r.Path)
			}
		}
	}
}
