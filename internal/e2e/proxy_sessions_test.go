package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/session"
)

const clearedSession = "__Host-gatehouse=; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Lax"

// TestProxiesAndSessions: with every proxy and its sample, a session lets in, its cookie ends at the proxy, and the application's own cookies arrive as
// they were sent.
func TestProxiesAndSessions(t *testing.T) {
	for _, p := range slices.Concat(proxies, fixtures) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "gatehouse.db")
			h := open(t, p, startGatehouse(t, "trusted_proxies:", "public_url: https://app.example\n  trusted_proxies:",
				"carriers: [authorization, {header: X-API-Key}]", "carriers: [authorization, {header: X-API-Key}, session]\nstore: {url: \"sqlite:"+file+"\"}"))
			d := besideSQLite(t, file, session.Config{})
			for _, row := range sessionRows {
				t.Run(row.name, func(t *testing.T) {
					h.app.take()
					h.ask.take()
					row.run(t, h, d)
				})
			}
		})
	}
}

// cookies are the values of the Cookie fields that the application saw, but for empty ones.
func (m *message) cookies() []string {
	return slices.DeleteFunc(slices.Clone(m.all("Cookie")), func(value string) bool { return value == "" })
}

var sessionRows = []struct {
	name string
	run  func(t *testing.T, h *house, d *desk)
}{
	{"a session lets in and says who", func(t *testing.T, h *house, d *desk) {
		m := h.reached(t, h.send(t, "GET /admin/users", d.signIn(t, "amy", "admin")))
		want(t, m, "Remote-User", "amy")
		want(t, m, "Remote-Groups", "admin")
		want(t, m, "Remote-Email", "amy@example.org")
		h.refused(t, h.send(t, "GET /admin/users", d.signIn(t, "bob", "basic")), http.StatusForbidden)
	}},
	{"the session cookie ends at the proxy, the others arrive as they are", func(t *testing.T, h *house, d *desk) {
		_, pair, _ := strings.Cut(d.signIn(t, "amy"), ": ")
		for _, row := range []struct{ send, want string }{
			{pair, ""}, {"a=1; " + pair, "a=1"}, {pair + "; a=1", "a=1"}, {"a=1; " + pair + "; b=2", "a=1; b=2"}, {"a=1;" + pair + ";b=2", "a=1;b=2"},
			{"q=\"x y\"; c=1,2; d=$http_host%[src]{x}; " + pair + "; e=a=b", "q=\"x y\"; c=1,2; d=$http_host%[src]{x}; e=a=b"},
			{pair + "; __HOST-GATEHOUSE=x", ""},
		} {
			m := h.reached(t, h.send(t, "GET /films", "Cookie: "+row.send))
			want(t, m, "Remote-User", "amy")
			if got := strings.Join(m.cookies(), "|"); got != row.want {
				t.Errorf("Cookie: %s: the application saw %q, want %q", row.send, got, row.want)
			}
		}
		m := h.reached(t, h.send(t, "GET /films", "Cookie: a=1", "Cookie: "+pair, "Cookie: b=2"))
		if got := strings.Join(m.cookies(), "; "); strings.Contains(got, "gatehouse") || !strings.Contains(got, "a=1") || !strings.Contains(got, "b=2") {
			t.Errorf("three Cookie fields: the application saw %q, want a and b", got)
		}
		for _, path := range []string{"/films", "/public/x"} {
			m := h.reached(t, h.send(t, "GET "+path, alice, "Cookie: a=1; b=2"))
			if got := m.cookies(); !slices.Equal(got, []string{"a=1; b=2"}) {
				t.Errorf("%s with a token: the application saw the cookies %q, want them as they are", path, got)
			}
		}
		if m := h.reached(t, h.send(t, "GET /films", alice)); len(m.cookies()) != 0 {
			t.Errorf("without cookies the application saw %q", m.cookies())
		}
	}},
	{"many cookies pass", func(t *testing.T, h *house, d *desk) {
		cookie := d.signIn(t, "amy")
		var many []string
		for i := range 300 {
			many = append(many, fmt.Sprintf("cookie%d=%s", i, strings.Repeat("x", 8)))
		}
		m := h.reached(t, h.send(t, "GET /films", cookie+"; "+strings.Join(many, "; ")))
		if got := strings.Join(m.cookies(), ""); got != strings.Join(many, "; ") {
			t.Errorf("the application saw %d bytes of cookies, want %d", len(got), len(strings.Join(many, "; ")))
		}
	}},
	{"a session that has ended is nobody's, and its cookie is taken away", func(t *testing.T, h *house, d *desk) {
		cookie := d.signIn(t, "amy")
		h.reached(t, h.send(t, "GET /films", cookie))
		d.signOut(t, cookie)
		for _, stale := range []string{cookie, "Cookie: __Host-gatehouse=" + strings.Repeat("A", 43), "Cookie: __Host-gatehouse=x"} {
			got := h.send(t, "GET /films", stale)
			h.refused(t, got, http.StatusUnauthorized)
			if !slices.Equal(got.header["Set-Cookie"], []string{clearedSession}) || strings.Contains(got.header.Get("WWW-Authenticate"), "error") {
				t.Errorf("%.60s: Set-Cookie %q, challenge %q: want the cookie taken away, and no error", stale, got.header["Set-Cookie"], got.header.Get("WWW-Authenticate"))
			}
			if code := got.header.Get("X-Gatehouse-Code"); code != "session_invalid" {
				t.Errorf("%.60s: X-Gatehouse-Code %q, want session_invalid", stale, code)
			}
			m := h.reached(t, h.send(t, "GET /public/x", stale+"; a=1"))
			wantNobody(t, m)
			if got := m.cookies(); !slices.Equal(got, []string{"a=1"}) {
				t.Errorf("%.60s: the application saw the cookies %q, want a=1", stale, got)
			}
		}
	}},
	{"a session and a token are refused, and so are two sessions", func(t *testing.T, h *house, d *desk) {
		amy := d.signIn(t, "amy")
		h.refused(t, h.send(t, "GET /films", amy, alice), h.refusal())
		h.refused(t, h.send(t, "GET /films", amy, d.signIn(t, "bob")), h.refusal())
		h.refused(t, h.send(t, "GET /public/x", amy, "X-API-Key: alice-token"), h.refusal())
	}},
	{"a page of another site cannot use a session", func(t *testing.T, h *house, d *desk) {
		amy := d.signIn(t, "amy")
		for _, fields := range [][]string{
			{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, {"Origin: https://evil.example"}, {"Origin: null"}, {"Sec-Fetch-Site: same-site"},
		} {
			got := h.send(t, "POST /films", append([]string{amy, "Content-Length: 0"}, fields...)...)
			h.refused(t, got, http.StatusForbidden)
			if code := got.header.Get("X-Gatehouse-Code"); code != "cross_origin" || got.header.Get("Set-Cookie") != "" {
				t.Errorf("%q: X-Gatehouse-Code %q, Set-Cookie %q: want cross_origin, and the session left alone", fields, code, got.header.Get("Set-Cookie"))
			}
		}
		h.reached(t, h.send(t, "POST /films", amy, "Content-Length: 0", "Sec-Fetch-Site: same-origin", "Origin: https://app.example"))
		h.reached(t, h.send(t, "GET /films", amy, "Sec-Fetch-Site: cross-site"))
		h.reached(t, h.send(t, "POST /films", alice, "Content-Length: 0", "Sec-Fetch-Site: cross-site", "Origin: https://evil.example"))
	}},
	{"nor open a WebSocket with it", func(t *testing.T, h *house, d *desk) {
		amy := d.signIn(t, "amy")
		handshake := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"}
		got := h.send(t, "GET /socket", append([]string{amy, "Origin: https://evil.example"}, handshake...)...)
		h.refused(t, got, http.StatusForbidden)
		if code := got.header.Get("X-Gatehouse-Code"); code != "cross_origin" {
			t.Errorf("X-Gatehouse-Code %q, want cross_origin", code)
		}
		if got := h.send(t, "GET /socket", append([]string{amy, "Origin: https://app.example"}, handshake...)...); got.status != http.StatusSwitchingProtocols {
			t.Errorf("from the application's own page: %d, want 101", got.status)
		}
	}},
}
