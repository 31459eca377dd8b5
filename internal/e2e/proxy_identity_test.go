package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// spellings of one identity field that some program behind a proxy would read as that field.
func spellings(name string) []string {
	return []string{
		name, strings.ToLower(name), strings.ToUpper(name),
		strings.ReplaceAll(name, "-", "_"), strings.ToLower(strings.ReplaceAll(name, "-", "_")), strings.ToUpper(strings.ReplaceAll(name, "-", "_")),
		strings.ReplaceAll(name, "-", "."), strings.ToLower(strings.ReplaceAll(name, "-", ".")),
	}
}

var identityRows = []row{
	{"a spoofed identity is overwritten", func(t *testing.T, h *house) {
		for _, name := range append([]string{"Remote-Name"}, identity...) {
			for _, spelling := range spellings(name) {
				m := h.reached(t, h.send(t, "GET /films", alice, spelling+": eve"))
				want(t, m, "Remote-User", "alice")
				if strings.Contains(m.String(), "eve") {
					t.Errorf("%s: eve reached the application:\n%v", spelling, m)
				}
			}
		}
	}},
	{"a spoofed identity of an anonymous request is removed", func(t *testing.T, h *house) {
		for _, name := range identity {
			for _, spelling := range spellings(name) {
				m := h.reached(t, h.send(t, "GET /public/x", spelling+": eve"))
				wantNobody(t, m)
				if strings.Contains(m.String(), "eve") || strings.Contains(m.String(), "{http.") {
					t.Errorf("%s: the application saw\n%v", spelling, m)
				}
			}
		}
	}},
	{"all spellings at once", func(t *testing.T, h *house) {
		var fields []string
		for _, name := range identity {
			for _, spelling := range spellings(name) {
				fields = append(fields, spelling+": eve", spelling+": mallory")
			}
		}
		m := h.reached(t, h.send(t, "GET /films", append(fields, alice)...))
		for _, name := range identity {
			if names := m.like(name); len(names) > 1 {
				t.Errorf("the application saw %q", names)
			}
		}
		want(t, m, "Remote-User", "alice")
	}},
	{"an identity in the trailer does not count", func(t *testing.T, h *house) {
		for _, announced := range []string{"Trailer: Remote-User", "Trailer: X-Sum, remote_user", "X-Unannounced: 1"} {
			exchange(t, h.addr, request("POST /public/x", "Transfer-Encoding: chunked", announced)+"1\r\na\r\n0\r\nRemote-User: eve\r\nremote_user: eve\r\n\r\n")
			for _, m := range h.app.take() {
				if h.is("haproxy") && strings.HasPrefix(announced, "X-") {
					continue // HAProxy 2.6 cannot drop a trailer that was not announced; see docs/forward-auth.md
				}
				wantNobody(t, m)
			}
		}
	}},
	{"a placeholder stays text", func(t *testing.T, h *house) {
		m := h.reached(t, h.send(t, "GET /public/{env.HOME}?x=%7Benv.HOME%7D", "X-Mine: {http.vars.root} %[src] $host"))
		if m.target() != "/public/{env.HOME}?x=%7Benv.HOME%7D" && m.target() != "/public/%7Benv.HOME%7D?x=%7Benv.HOME%7D" {
			t.Errorf("the application saw %q", m.target())
		}
		want(t, m, "X-Mine", "{http.vars.root} %[src] $host")
	}},
}

var connectionRows = []row{
	{"Connection cannot strip the identity", func(t *testing.T, h *house) {
		for _, value := range []string{
			"close, Remote-User", "close, remote-user", "Remote-User", "REMOTE-USER, Remote-Groups, Remote-Email",
			"keep-alive, Remote-User", "close,remote-user,x-forwarded-for", "Remote-User, Upgrade", "upgrade, Remote-User",
		} {
			m := h.reached(t, h.send(t, "GET /films", alice, "Connection: "+value))
			want(t, m, "Remote-User", "alice")
			want(t, m, "Remote-Groups", "basic")
			if left := strings.ToLower(strings.Join(m.all("Connection"), ",")); strings.Contains(left, "remote") {
				t.Errorf("Connection: %q left at the application", left)
			}
		}
	}},
	{"Connection twice cannot strip the identity", func(t *testing.T, h *house) {
		m := h.reached(t, h.send(t, "GET /films", alice, "Connection: close", "Connection: Remote-User"))
		want(t, m, "Remote-User", "alice")
	}},
	{"Connection cannot hide the credential or the forwarded request", func(t *testing.T, h *house) {
		h.send(t, "GET /admin", alice, "Connection: close, X-Forwarded-Uri, X-Forwarded-Method, X-Forwarded-Host, X-Forwarded-For")
		if q := h.asked(t); q.target != "/admin" || q.method != "GET" || q.host != "app.example" || q.client != "127.0.0.1" {
			t.Errorf("the question reads %q %q %q %q", q.method, q.host, q.target, q.client)
		}
		h.refused(t, h.send(t, "GET /films", "Authorization: Bearer wrong", "Connection: Authorization"), http.StatusUnauthorized)
	}},
	{"WebSocket works through the proxy", func(t *testing.T, h *house) {
		conn := dial(t, h.addr)
		raw := request("GET /socket", alice, "Connection: keep-alive, Upgrade, Remote-User", "Upgrade: websocket",
			"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
		fmt.Fprint(conn, raw)
		r := bufio.NewReader(conn)
		if got := readReply(t, r, raw); got.status != http.StatusSwitchingProtocols {
			t.Fatalf("answer %d, want 101", got.status)
		}
		fmt.Fprint(conn, "hello")
		echo := make([]byte, 5)
		if _, err := io.ReadFull(r, echo); err != nil || string(echo) != "hello" {
			t.Errorf("the socket echoed %q, %v, want hello", echo, err)
		}
		m := h.app.take()[0]
		want(t, m, "Remote-User", "alice")
		want(t, m, "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	}},
	{"WebSocket without a credential is refused", func(t *testing.T, h *house) {
		h.refused(t, h.send(t, "GET /socket", "Connection: Upgrade", "Upgrade: websocket",
			"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), http.StatusUnauthorized)
		q := h.asked(t)
		if up := q.all("Upgrade"); len(up) != 0 {
			t.Errorf("the auth server was asked to upgrade: %v", q)
		}
	}},
	{"another upgrade is not passed on", func(t *testing.T, h *house) {
		m := h.reached(t, h.send(t, "GET /films", alice, "Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"))
		// Traefik passes every Upgrade on; without HTTP2-Settings it must be ignored (RFC 7540, section 3.2.1).
		if up := m.all("Upgrade"); len(up) != 0 && !h.is("traefik") {
			t.Errorf("Upgrade: %q at the application", up)
		}
		if settings := m.all("HTTP2-Settings"); len(settings) != 0 && len(m.all("Upgrade")) != 0 {
			t.Errorf("the application is asked to talk HTTP/2 past the gate:\n%v", m)
		}
	}},
}
