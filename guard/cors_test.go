package guard_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
)

const app = "https://app.example.org"

func corsGuard(t *testing.T) *guard.Guard {
	return makeGuard(t, guard.Config{Rules: everyRule(t), Origins: []string{app, "http://localhost:3000", "https://[2001:db8::1]:8443"}})
}

// TestOriginsAreComparedWhole: whatever only resembles a listed origin is another one.
func TestOriginsAreComparedWhole(t *testing.T) {
	h := corsGuard(t).Handler(who)
	for _, origin := range []string{app, "http://localhost:3000", "https://[2001:db8::1]:8443"} {
		got := get(h, "GET", "/known", "Origin", origin, "Authorization", "Token token1")
		if got.header.Get("Access-Control-Allow-Origin") != origin || got.header.Get("Access-Control-Allow-Credentials") != "true" || got.body != "jack" {
			t.Errorf("the listed origin %s = %d %v", origin, got.status, got.header)
		}
	}
	for _, origin := range []string{
		"null", "*", "", "https://", "https://app.example.org.evil.example", "https://evilapp.example.org", "https://app.example.org@evil.example", "https://evil.example/https://app.example.org",
		"https://app.example.org:443", "https://app.example.org:8443", "https://app.example.org:", "http://app.example.org", "HTTPS://app.example.org", "https://APP.example.org",
		"https://app.example.org.", "https://app.example.org/", " https://app.example.org", "https://app.example.org ", "https://sub.app.example.org", "https://example.org",
		"https://app_example.org", "https://appXexample.org", "https://app.example.org, https://evil.example", "https://evil.example https://app.example.org", "https://app.example.org\x00",
		"http://localhost", "http://localhost:3001", "http://localhost:30000", "http://127.0.0.1:3000", "https://[2001:db8:0::1]:8443", "file://", "chrome-extension://app.example.org",
	} {
		for _, method := range []string{"GET", "OPTIONS"} {
			got := get(h, method, "/public", "Origin", origin, "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "authorization")
			for name := range got.header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s from origin %q gets %s: %q", method, origin, name, got.header[name])
				}
			}
			if !slices.Contains(got.header["Vary"], "Origin") {
				t.Errorf("%s from origin %q: Vary = %q: a cache would give the answer to others", method, origin, got.header["Vary"])
			}
		}
	}
}

// TestOriginIsNoCredential: a listed origin opens nothing, another one closes nothing.
func TestOriginIsNoCredential(t *testing.T) {
	h := corsGuard(t).Handler(who)
	if got := get(h, "GET", "/known", "Origin", app); got.kind() != challenged || got.header.Get("Access-Control-Allow-Origin") != app {
		t.Errorf("a listed origin without a token = %s %v, want 401 that the page can read", got.kind(), got.header)
	}
	if got := get(h, "GET", "/known", "Origin", app); !strings.Contains(got.header.Get("Access-Control-Expose-Headers"), "WWW-Authenticate") {
		t.Error("the page cannot read the challenge")
	}
	if got := get(h, "GET", "/known", "Origin", "https://evil.example", "Authorization", "Token token1"); got.body != "jack" {
		t.Errorf("another origin with a token = %d, want 200: the browser keeps the answer from the page", got.status)
	}
	if got := get(h, "GET", "/known", "Origin", app, "Origin", app, "Authorization", "Token token1"); got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("two Origin headers = %v", got.header)
	}
}

// TestPreflight is answered here, whatever the rules say, and never handed on.
func TestPreflight(t *testing.T) {
	g := corsGuard(t)
	reached := false
	h := g.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	for _, path := range []string{"/known", "/public", "/admin", "/nope", "/nobody", "/get"} {
		got := get(h, "OPTIONS", path, "Origin", app, "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "authorization,content-type")
		want := map[string]string{
			"Access-Control-Allow-Origin": app, "Access-Control-Allow-Credentials": "true", "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
			"Access-Control-Allow-Headers": "authorization,content-type", "Access-Control-Max-Age": "600", "Cache-Control": "no-store",
		}
		for name, value := range want {
			if got.header.Get(name) != value {
				t.Errorf("preflight for %s: %s = %q, want %q", path, name, got.header.Get(name), value)
			}
		}
		if got.status != 204 || got.body != "" {
			t.Errorf("preflight for %s = %d %q, want 204", path, got.status, got.body)
		}
		if vary := strings.Join(got.header["Vary"], ", "); !strings.Contains(vary, "Origin") || !strings.Contains(vary, "Access-Control-Request-Headers") {
			t.Errorf("preflight for %s: Vary = %q", path, vary)
		}
	}
	if got := get(h, "OPTIONS", "/known", "Origin", "https://evil.example", "Access-Control-Request-Method", "PUT"); got.status != 204 || got.header.Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("preflight from another origin = %d %v, want 204 that allows nothing", got.status, got.header)
	}
	if got := get(h, "OPTIONS", "/known", "Origin", app, "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", strings.Repeat("x-long,", 1000)); got.header.Get("Access-Control-Allow-Headers") != "" {
		t.Error("a preflight makes us repeat any amount of text")
	}
	if reached {
		t.Error("a preflight reached the handler")
	}
	none := makeGuard(t, guard.Config{Rules: everyRule(t)}).Handler(who)
	if got := get(none, "OPTIONS", "/known", "Origin", app, "Access-Control-Request-Method", "PUT"); got.status != 204 || got.reached() || strings.Contains(fmt.Sprint(got.header), "Access-Control-") {
		t.Errorf("preflight where no origin is listed = %d %v, want 204 that allows nothing", got.status, got.header)
	}
}

// TestNotAPreflight: OPTIONS is a method like others, unless it is a preflight to the letter.
func TestNotAPreflight(t *testing.T) {
	addr := serve(t, corsGuard(t).Handler(who))
	for name, headers := range map[string][]string{
		"no Origin":                   {"Access-Control-Request-Method: PUT"},
		"no method":                   {"Origin: " + app},
		"neither":                     nil,
		"two Origins":                 {"Origin: " + app, "Origin: " + app, "Access-Control-Request-Method: PUT"},
		"two Origins, one of them us": {"Origin: https://evil.example", "Origin: " + app, "Access-Control-Request-Method: PUT"},
		"two methods":                 {"Origin: " + app, "Access-Control-Request-Method: PUT", "Access-Control-Request-Method: GET"},
	} {
		if got := exchange(t, addr, "OPTIONS /known", headers...); got.kind() != challenged || got.reached() {
			t.Errorf("OPTIONS with %s = %s, want %s", name, got.kind(), challenged)
		}
		if got := exchange(t, addr, "OPTIONS /known", append(headers, "Authorization: Token token1")...); got.status != 200 || got.body != "jack" {
			t.Errorf("OPTIONS with %s and a token = %d, want 200", name, got.status)
		}
	}
	for _, line := range []string{"OPTIONS *", "OPTIONS //known", "OPTIONS /a/../known", "OPTIONS /%2e%2e/known", "OPTIONS /%00", "OPTIONS http://evil.example/known"} {
		got := exchange(t, addr, line, "Origin: "+app, "Access-Control-Request-Method: PUT")
		if got.status != 400 || got.reached() {
			t.Errorf("%s as a preflight = %d, want 400", line, got.status)
		}
	}
	for _, method := range []string{"GET", "POST", "options"} {
		if got := exchange(t, addr, method+" /known", "Origin: "+app, "Access-Control-Request-Method: PUT"); got.status == 204 {
			t.Errorf("%s is answered as a preflight", method)
		}
	}
}

// TestOriginsOfTheConfig: an origin that no browser sends would never match, so New says so.
func TestOriginsOfTheConfig(t *testing.T) {
	config := func(origin string) guard.Config {
		return guard.Config{Carriers: []carrier.Carrier{carrier.Header("Token", lookup)}, Policy: guard.AsSubject{}, Origins: []string{app, origin}}
	}
	for _, origin := range []string{"https://a.example", "http://localhost:3000", "http://127.0.0.1:8080", "http://[::1]:8080", "https://a.example.", "https://xn--bcher-kva.example", "https://a_b.example", "http://a.example:443", "https://a.example:80"} {
		if _, err := guard.New(config(origin)); err != nil {
			t.Errorf("origin %q: %v", origin, err)
		}
	}
	for _, origin := range []string{
		"", "*", "null", "https://*", "https://*.example.org", "https://a.example/", "https://a.example/path", "https://a.example?x", "https://a.example#x", "https://user@a.example",
		"https://a.example:443", "http://a.example:80", "https://a.example:", "https://a.example:65536", "https://a.example:99999999999999999999", "https://a.example:x", "HTTPS://a.example", "https://A.example", "a.example", "//a.example", "ftp://a.example",
		"file://", "https://", "https://:8443", "https://bücher.example", " https://a.example", "https://a.example ", "https://a.example,https://b.example", "https://a b.example",
		"javascript://a.example", "chrome-extension://abc", "https:a.example", "https:///a.example", "https://a.example\n",
	} {
		if _, err := guard.New(config(origin)); err == nil {
			t.Errorf("origin %q is taken", origin)
		} else if !strings.Contains(err.Error(), "scheme://host") {
			t.Errorf("origin %q: %v does not say what to write", origin, err)
		}
	}
}
