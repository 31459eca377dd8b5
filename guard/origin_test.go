package guard_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
)

// TestCrossOrigin: what a browser sends by itself is no use to another site. Requests go to example.com, whose guard also trusts https://app.example.org.
func TestCrossOrigin(t *testing.T) {
	const refused, passed = "cross_origin", ""
	socket := []string{"Upgrade", "websocket", "Connection", "Upgrade"}
	for _, tt := range []struct {
		name    string
		method  string
		headers []string
		want    string
	}{
		{"a program, which sends neither header", "POST", nil, passed},
		{"the site itself", "POST", []string{"Sec-Fetch-Site", "same-origin", "Origin", "https://example.com"}, passed},
		{"the user, from the address bar", "POST", []string{"Sec-Fetch-Site", "none"}, passed},
		{"another site", "POST", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, refused},
		{"a subdomain", "POST", []string{"Sec-Fetch-Site", "same-site", "Origin", "https://sub.example.com"}, refused},
		{"a site that hides its name", "POST", []string{"Sec-Fetch-Site", "cross-site", "Origin", "null"}, refused},
		{"an old browser, the site itself", "POST", []string{"Origin", "https://example.com"}, passed},
		{"an old browser, another site", "POST", []string{"Origin", "https://evil.example"}, refused},
		{"an old browser, a hidden name", "POST", []string{"Origin", "null"}, refused},
		{"an old browser, another port", "POST", []string{"Origin", "https://example.com:8443"}, refused},
		{"an old browser, the same host without TLS", "POST", []string{"Origin", "http://example.com"}, refused},
		{"an old browser, a name that begins alike", "POST", []string{"Origin", "https://example.com.evil.example"}, refused},
		{"an old browser, two origins", "POST", []string{"Origin", "https://example.com", "Origin", "https://evil.example"}, refused},
		{"a referrer proves nothing", "POST", []string{"Sec-Fetch-Site", "cross-site", "Referer", "https://example.com/"}, refused},
		{"the trusted origin", "POST", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://app.example.org"}, passed},
		{"the trusted origin without TLS", "POST", []string{"Sec-Fetch-Site", "cross-site", "Origin", "http://app.example.org"}, refused},
		{"the trusted origin with another port", "POST", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://app.example.org:444"}, refused},
		{"a subdomain of the trusted origin", "POST", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://x.app.example.org"}, refused},
		{"PUT of another site", "PUT", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, refused},
		{"DELETE of another site", "DELETE", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, refused},
		{"PATCH of another site", "PATCH", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, refused},
		{"a form that claims another method", "POST", []string{"Sec-Fetch-Site", "cross-site", "X-HTTP-Method-Override", "GET"}, refused},
		{"a link from another site", "GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, passed},
		{"HEAD of another site", "HEAD", []string{"Sec-Fetch-Site", "cross-site"}, passed},
		{"a socket of the site itself", "GET", append([]string{"Origin", "https://example.com"}, socket...), passed},
		{"a socket of another site", "GET", append([]string{"Origin", "https://evil.example"}, socket...), refused},
		{"a socket of another site, which says so", "GET", append([]string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, socket...), refused},
		{"a socket of the trusted origin", "GET", append([]string{"Origin", "https://app.example.org"}, socket...), passed},
		{"a socket of a program", "GET", socket, passed},
		{"a socket in capitals among others", "GET", []string{"Origin", "https://evil.example", "Upgrade", "h2c, WebSocket/13"}, refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, func(c *guard.Config) {
				c.Origins = []string{"https://app.example.org"}
				c.Carriers = append(c.Carriers, carrier.NamedHeader("X-API-Key", lookup))
			})
			cookie := s.visitor(t).signIn("jack")
			ask := func(name, value string) answer {
				r := httptest.NewRequest(tt.method, "https://example.com/who", nil)
				return send(s.guard.Handler(s.mux), r, append([]string{name, value}, tt.headers...)...)
			}
			got := ask("Cookie", cookie)
			if got.code() != tt.want && tt.method != "HEAD" || got.reached() != (tt.want == passed) {
				t.Errorf("with a cookie = %d %q, want %q", got.status, got.code(), tt.want)
			}
			if tt.want == refused && (got.status != 403 || got.challenges() != "" || strings.Contains(got.header.Get("Set-Cookie"), "gatehouse")) {
				t.Errorf("the refusal is %d, challenge %q, cookies %q", got.status, got.challenges(), got.header["Set-Cookie"])
			}
			for _, token := range [][2]string{{"Authorization", "Token token1"}, {"X-API-Key", "token1"}} {
				if got := ask(token[0], token[1]); !got.reached() {
					t.Errorf("with %s = %d %s: nothing in it is ambient", token[0], got.status, got.code())
				}
			}
			if got := ask("Cookie", "theme=dark"); !got.reached() {
				t.Errorf("without a credential = %d %s: there is nothing to misuse", got.status, got.code())
			}
		})
	}
}

// TestBasicIsAmbient: browsers send a password that they were told once to every page's requests.
func TestBasicIsAmbient(t *testing.T) {
	basic := carrier.Basic(func(_ context.Context, name, password string) (gatehouse.Identity, error) {
		if name != "jack" || password != "pw" {
			return gatehouse.Identity{}, gatehouse.ErrCredential
		}
		return gatehouse.Identity{Value: name}, nil
	})
	h := makeGuard(t, guard.Config{Carriers: []carrier.Carrier{basic}}).Handler(guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
		if _, err := guard.Require(r); err != nil {
			return err
		}
		who(w, r)
		return nil
	}))
	const good, bad = "Basic amFjazpwdw==", "Basic amFjazpubw=="
	if got := get(h, "POST", "/", "Authorization", good); got.body != "jack" {
		t.Errorf("a program = %d %s", got.status, got.body)
	}
	if got := get(h, "POST", "/", "Authorization", good, "Sec-Fetch-Site", "cross-site"); got.code() != "cross_origin" {
		t.Errorf("another site = %d %s", got.status, got.code())
	}
	got := get(h, "POST", "/", "Authorization", bad)
	if got.status != 401 || got.code() != "invalid_credentials" || got.challenges() != `Basic realm="gatehouse", charset="UTF-8"` {
		t.Errorf("a wrong password = %d %s %s", got.status, got.code(), got.challenges())
	}
}

// TestBasicOfADisabledAccount has no session that could be invalid, and no cookie that could be taken away.
func TestBasicOfADisabledAccount(t *testing.T) {
	basic := carrier.Basic(func(_ context.Context, name, _ string) (gatehouse.Identity, error) {
		return gatehouse.Identity{Value: name}, nil
	})
	g := makeGuard(t, guard.Config{Carriers: []carrier.Carrier{basic}, Policy: &watchedPolicy{gone: gone("jack")}})
	got := get(g.Handler(g.Require(who)), "GET", "/", "Authorization", "Basic amFjazpwdw==")
	if got.status != 401 || got.code() == "session_invalid" || got.header["Set-Cookie"] != nil {
		t.Errorf("a disabled account = %d %s, cookies %q", got.status, got.code(), got.header["Set-Cookie"])
	}
}

// TestSigningInFromAnotherSite: a form of another site must not sign its visitor in as somebody of its choice, nor out.
func TestSigningInFromAnotherSite(t *testing.T) {
	s := newSite(t, nil)
	evil := []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}
	v := s.visitor(t)
	if got := v.do("POST", "/in?who=mallory", evil...); got.code() != "cross_origin" || got.header["Set-Cookie"] != nil || s.store.records.Load() != 0 {
		t.Errorf("signing in = %d %s, cookies %q", got.status, got.code(), got.header["Set-Cookie"])
	}
	v.signIn("jack")
	if got := v.do("POST", "/out", evil...); got.code() != "cross_origin" {
		t.Errorf("signing out = %d %s", got.status, got.code())
	}
	if got := v.do("GET", "/who"); got.body != "jack" {
		t.Errorf("afterwards the caller is %s", got.body)
	}
}
