package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReader(r) }

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
		for _, name := range identity {
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
		q := h.asked(t)
		want(t, q, "X-Forwarded-Uri", "/admin")
		want(t, q, "X-Forwarded-Method", "GET")
		want(t, q, "X-Forwarded-Host", "app.example")
		want(t, q, "X-Forwarded-For", "127.0.0.1")
		h.refused(t, h.send(t, "GET /films", "Authorization: Bearer wrong", "Connection: Authorization"), http.StatusUnauthorized)
	}},
	{"WebSocket works through the proxy", func(t *testing.T, h *house) {
		conn := dial(t, h.addr)
		raw := request("GET /socket", alice, "Connection: keep-alive, Upgrade, Remote-User", "Upgrade: websocket",
			"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
		fmt.Fprint(conn, raw)
		r := newReader(conn)
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
		m := h.reached(t, h.send(t, "GET /films", alice, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"))
		if up := m.all("Upgrade"); len(up) != 0 {
			t.Errorf("Upgrade: %q at the application", up)
		}
	}},
}

var forwardedRows = []row{
	{"the client's X-Forwarded fields do not count", func(t *testing.T, h *house) {
		got := h.send(t, "GET /admin", alice, "X-Forwarded-Uri: /public/x", "X-Forwarded-Uri: /public/y", "x-forwarded-uri: /public/z",
			"X-Forwarded-Method: OPTIONS", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https",
			"X-Forwarded-For: 10.0.0.1", "X-Forwarded-Port: 1", "X-Forwarded-Prefix: /public", "X-Real-IP: 10.0.0.1", "Forwarded: for=10.0.0.1")
		h.refused(t, got, http.StatusForbidden)
		q := h.asked(t)
		want(t, q, "X-Forwarded-Uri", "/admin")
		want(t, q, "X-Forwarded-Method", "GET")
		want(t, q, "X-Forwarded-Host", "app.example")
		want(t, q, "X-Forwarded-Proto", "http")
		want(t, q, "X-Forwarded-For", "127.0.0.1")
		for _, name := range []string{"X-Forwarded-Port", "X-Forwarded-Prefix", "X-Real-IP", "Forwarded"} {
			if names := q.like(name); len(names) != 0 {
				t.Errorf("the client's %s reached the auth server", name)
			}
		}
	}},
	{"nor do their aliases", func(t *testing.T, h *house) {
		h.send(t, "GET /admin", alice, "X_Forwarded_Uri: /public/x", "X.Forwarded.Uri: /public/x", "X_Forwarded_Method: OPTIONS", "X_FORWARDED_FOR: 10.0.0.1")
		q := h.asked(t)
		want(t, q, "X-Forwarded-Uri", "/admin")
		want(t, q, "X-Forwarded-Method", "GET")
		want(t, q, "X-Forwarded-For", "127.0.0.1")
	}},
	{"nor do other families", func(t *testing.T, h *house) {
		fields := []string{"X-Original-URL: /public/x", "X-Original-URI: /public/x", "X-Original-Method: OPTIONS", "X-Rewrite-URL: /public/x"}
		h.refused(t, h.send(t, "GET /admin", append(fields, alice)...), http.StatusForbidden)
		m := h.reached(t, h.send(t, "GET /films", append(fields, alice)...))
		for _, name := range []string{"X-Original-URL", "X-Original-URI", "X-Original-Method", "X-Rewrite-URL"} {
			if names := m.like(name); len(names) != 0 {
				t.Errorf("%s reached the application", name)
			}
		}
	}},
	{"a method override does not reach the application", func(t *testing.T, h *house) {
		m := h.reached(t, h.send(t, "POST /films", alice, "X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE",
			"X-Method-Override: DELETE", "x_http_method_override: DELETE", "X_HTTP_METHOD: DELETE", "X_Method_Override: DELETE", "Content-Length: 0"))
		if strings.Contains(m.String(), "DELETE") {
			t.Errorf("the application saw\n%v", m)
		}
	}},
	{"the application gets the proxy's own X-Forwarded fields", func(t *testing.T, h *house) {
		m := h.reached(t, h.send(t, "GET /films", alice, "X-Forwarded-For: 10.0.0.1", "X-Forwarded-Host: evil.example",
			"X-Forwarded-Proto: https", "X-Forwarded-Uri: /evil", "X-Forwarded-Method: EVIL", "X_Forwarded_For: 10.0.0.1", "X-Real-IP: 10.0.0.1"))
		want(t, m, "X-Forwarded-For", "127.0.0.1")
		want(t, m, "X-Forwarded-Host", "app.example")
		want(t, m, "X-Forwarded-Proto", "http")
		for _, evil := range []string{"evil", "EVIL", "10.0.0.1"} {
			if strings.Contains(m.String(), evil) {
				t.Errorf("%q reached the application:\n%v", evil, m)
			}
		}
	}},
	{"two Hosts are refused", func(t *testing.T, h *house) {
		raw := "GET /public/x HTTP/1.1\r\nHost: app.example\r\nHost: evil.example\r\n\r\n"
		h.refused(t, exchange(t, h.addr, raw), http.StatusBadRequest)
		raw = "GET /public/x HTTP/1.1\r\nHost: app.example\r\nHost: app.example\r\n\r\n"
		got := exchange(t, h.addr, raw)
		if h.is("haproxy") { // it makes one of two equal ones before any rule sees them
			want(t, h.reached(t, got), "Host", "app.example")
			return
		}
		h.refused(t, got, http.StatusBadRequest)
	}},
	{"no Host is refused", func(t *testing.T, h *house) {
		h.refused(t, exchange(t, h.addr, "GET /public/x HTTP/1.1\r\n\r\n"), http.StatusBadRequest)
		h.refused(t, exchange(t, h.addr, "GET /public/x HTTP/1.0\r\n\r\n"), 400, 403)
	}},
}

// suspicious targets: some server reads each as another path than it looks.
var suspicious = []string{
	"/public/../admin", "/public/%2e%2e/admin", "/public/%2E%2E/admin", "/public/.%2e/admin", "/api/..%2fadmin", "/public/..%2Fadmin",
	"/public/..%5cadmin", "/public\\..\\admin", "//admin", "/public//admin", "/./admin", "/public/.", "/public/..", "/public/x%00.png",
	"/public/%00", "/public#/../admin", "/%2561dmin/../x", "/public/%c0%ae%c0%ae/admin", "/admin%2f", "/public/%zz", "/public/%",
	"/public/..;/admin",
}

var targetRows = []row{
	{"a suspicious target is judged as it was sent, or not at all", func(t *testing.T, h *house) {
		for _, target := range suspicious {
			for _, who := range []string{alice, "X-Nobody: 1"} {
				got := h.send(t, "GET "+target, who)
				judgedIsForwarded(t, h, target, got)
			}
		}
	}},
	{"what the auth server sees is raw", func(t *testing.T, h *house) {
		for _, target := range []string{"/api/../admin", "/api/..%2fadmin", "/a%20b?q=%2f..", "/caf%C3%A9", "/a;b=c", "/a?b=1;c=2&&d", "/a?"} {
			h.send(t, "GET "+target, alice)
			want(t, h.asked(t), "X-Forwarded-Uri", target)
		}
	}},
	{"an escaped slash does not reach the application", func(t *testing.T, h *house) {
		h.refused(t, h.send(t, "GET /api/..%2fadmin", alice), one(h, 403, 400, 400))
		h.refused(t, h.send(t, "GET /api/../admin", alice), one(h, 403, 400, 400))
	}},
	{"a plain target reaches the application as it was sent", func(t *testing.T, h *house) {
		for _, target := range []string{"/films", "/films/", "/films?a=b", "/films?x=/../y&z=%2f", "/a%20b", "/caf%C3%A9", "/a@b", "/a+b?c+d", "/films?q=a;b"} {
			m := h.reached(t, h.send(t, "GET "+target, alice))
			if m.target() != target {
				t.Errorf("sent %q, the application saw %q", target, m.target())
			}
		}
	}},
	{"an absolute target is refused or judged with its own host", func(t *testing.T, h *house) {
		got := h.send(t, "GET http://evil.example/public/x", alice)
		for _, m := range h.app.take() {
			q := h.asked(t)
			if m.target() != q.one("X-Forwarded-Uri") || m.one("Host") != q.one("X-Forwarded-Host") {
				t.Errorf("answer %d: judged %q at %q, forwarded %q at %q", got.status, q.one("X-Forwarded-Uri"), q.one("X-Forwarded-Host"), m.target(), m.one("Host"))
			}
		}
	}},
	{"a target that is not a path is refused", func(t *testing.T, h *house) {
		for _, line := range []string{"GET http:http://int/admin", "GET http:/admin", "OPTIONS *", "GET *", "GET admin", "GET ?x", "GET app.example:80"} {
			got := h.send(t, line, alice)
			if line == "OPTIONS *" && h.is("caddy") { // answered by Go's server itself
				h.refused(t, got, http.StatusOK)
				continue
			}
			h.refused(t, got, 400, 403, 404, 405)
		}
	}},
	{"odd methods are judged as they are", func(t *testing.T, h *house) {
		for _, method := range []string{"get", "PURGE", "PROPFIND", "GETT"} {
			h.send(t, method+" /public/x")
			for _, m := range h.app.take() {
				if q := h.asked(t); q.one("X-Forwarded-Method") != m.method() || m.method() != method {
					t.Errorf("sent %q, judged %q, forwarded %q", method, q.one("X-Forwarded-Method"), m.method())
				}
			}
			h.ask.take()
		}
	}},
}

// judgedIsForwarded fails if the application saw another target than the auth server, or a path that alice may not
// see.
func judgedIsForwarded(t *testing.T, h *house, target string, got reply) {
	t.Helper()
	questions := h.ask.take()
	for _, m := range h.app.take() {
		if len(questions) != 1 {
			t.Errorf("%q: %d questions, answer %d", target, len(questions), got.status)
			continue
		}
		if judged := questions[0].one("X-Forwarded-Uri"); judged != m.target() {
			t.Errorf("%q: judged %q, forwarded %q", target, judged, m.target())
		}
	}
	if got.status < 400 || got.status > 499 {
		t.Errorf("%q: answer %d, want a refusal", target, got.status)
	}
}

var bodyRows = []row{
	{"a body reaches the application once and the auth server never", func(t *testing.T, h *house) {
		m := h.reached(t, exchange(t, h.addr, request("POST /films", alice, "Content-Length: 11")+"hello world"))
		if string(m.body) != "hello world" {
			t.Errorf("the application saw the body %q", m.body)
		}
		q := h.asked(t)
		if len(q.body) != 0 || q.one("Content-Length") != "" && q.one("Content-Length") != "0" || len(q.all("Transfer-Encoding")) != 0 {
			t.Errorf("the auth server saw a body: %v", q)
		}
	}},
	{"so does a chunked body", func(t *testing.T, h *house) {
		m := h.reached(t, exchange(t, h.addr, request("POST /films", alice, "Transfer-Encoding: chunked")+"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"))
		if string(m.body) != "hello world" {
			t.Errorf("the application saw the body %q", m.body)
		}
		q := h.asked(t)
		if len(q.body) != 0 || len(q.all("Transfer-Encoding")) != 0 {
			t.Errorf("the auth server saw a body: %v", q)
		}
	}},
	{"a long body", func(t *testing.T, h *house) {
		body := strings.Repeat("0123456789", 100<<10)
		m := h.reached(t, exchange(t, h.addr, request("PUT /upload", alice, fmt.Sprintf("Content-Length: %d", len(body)))+body))
		if string(m.body) != body {
			t.Errorf("the application saw %d bytes, want %d", len(m.body), len(body))
		}
	}},
	{"Expect: 100-continue is not sent to the auth server", func(t *testing.T, h *house) {
		m := h.reached(t, exchange(t, h.addr, request("POST /films", alice, "Expect: 100-continue", "Content-Length: 2")+"ok"))
		if string(m.body) != "ok" {
			t.Errorf("the application saw the body %q", m.body)
		}
		if q := h.asked(t); len(q.all("Expect")) != 0 {
			t.Errorf("the auth server saw Expect: %v", q)
		}
	}},
	{"a body of a refused request goes nowhere", func(t *testing.T, h *house) {
		h.refused(t, exchange(t, h.addr, request("POST /films", "Content-Length: 11")+"hello world"), http.StatusUnauthorized)
		if q := h.asked(t); len(q.body) != 0 {
			t.Errorf("the auth server saw a body: %v", q)
		}
	}},
	{"a body is not read as the next request", func(t *testing.T, h *house) {
		smuggled := request("GET /admin", alice)
		h.refused(t, exchange(t, h.addr, request("POST /films", fmt.Sprintf("Content-Length: %d", len(smuggled)))+smuggled), http.StatusUnauthorized)
		if n := len(h.ask.take()); n != 1 {
			t.Errorf("%d questions, want one", n)
		}
	}},
	{"Content-Length with Transfer-Encoding is refused or framed once", func(t *testing.T, h *house) {
		raw := request("POST /films", alice, "Content-Length: 6", "Transfer-Encoding: chunked") + "0\r\n\r\n" + request("GET /admin", alice)
		exchange(t, h.addr, raw)
		for _, m := range h.app.take() {
			if m.target() == "/admin" {
				t.Errorf("a smuggled request reached the application: %v", m)
			}
		}
		h.ask.take()
	}},
	{"a large head passes whole", func(t *testing.T, h *house) {
		cookie := strings.Repeat("c", 6000)
		m := h.reached(t, h.send(t, "GET /films?"+strings.Repeat("q", 2000), alice, "Cookie: a="+cookie))
		want(t, m, "Cookie", "a="+cookie)
		want(t, m, "Remote-User", "alice")
		want(t, h.asked(t), "Cookie", "a="+cookie)
	}},
	{"a head that is too large is refused", func(t *testing.T, h *house) {
		var fields []string
		for i := range 100 {
			fields = append(fields, fmt.Sprintf("X-Fill-%d: %s", i, strings.Repeat("f", 7000)))
		}
		got := exchange(t, h.addr, request("GET /films", append(fields, alice)...))
		if got.status == http.StatusOK {
			h.reached(t, got) // Caddy takes up to 1 MB; then it must be the whole
			return
		}
		h.refused(t, got, 400, 413, 431, 494, 503, 500)
	}},
}
