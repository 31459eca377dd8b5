package e2e

import (
	"net/http"
	"strings"
	"testing"
)

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
			questions := h.ask.take()
			if h.is("envoy") && len(questions) == 0 {
				continue // refused by path_with_escaped_slashes_action
			}
			if len(questions) != 1 {
				t.Fatalf("%q: %d questions", target, len(questions))
			}
			if q := h.read(t, questions[0]); q.target != target && !(h.is("envoy") && target == "/api/../admin" && q.target == "/admin") {
				t.Errorf("sent %q, asked about %q", target, q.target)
			}
		}
	}},
	{"an escaped slash does not reach the application", func(t *testing.T, h *house) {
		h.refused(t, h.send(t, "GET /api/..%2fadmin", alice), h.refusal())
		h.refused(t, h.send(t, "GET /api/../admin", alice), h.refusal(), http.StatusForbidden)
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
			if m.target() != q.target || m.one("Host") != q.host {
				t.Errorf("answer %d: judged %q at %q, forwarded %q at %q", got.status, q.target, q.host, m.target(), m.one("Host"))
			}
		}
	}},
	{"an absolute target cannot choose another host than Host", func(t *testing.T, h *house) {
		for _, host := range []string{"Host: app.example", "Host: APP.example:81", "Host: evil.example.app.example", "Host: evil.exampleX"} {
			got := h.send(t, "GET http://evil.example/public/x", alice, host)
			if h.is("traefik") { // Go's server takes the host of the target everywhere
				want(t, h.reached(t, got), "Host", "evil.example")
				continue
			}
			h.refused(t, got, http.StatusBadRequest)
		}
	}},
	{"a host may have a port, capitals and a last dot", func(t *testing.T, h *house) {
		for _, host := range []string{"app.example:8443", "App.Example", "127.0.0.1:81", "[::1]:81", "app.example."} {
			m := h.reached(t, h.send(t, "GET /public/x", alice, "Host: "+host))
			if q := h.asked(t); q.host != m.one("Host") || m.one("Host") != host {
				t.Errorf("sent %q, judged %q, forwarded %q", host, q.host, m.one("Host"))
			}
		}
	}},
	{"a target that is not a path is refused", func(t *testing.T, h *house) {
		for _, line := range []string{"GET http:http://int/admin", "GET http:/admin", "OPTIONS *", "GET *", "GET admin", "GET ?x", "GET app.example:80"} {
			got := h.send(t, line, alice)
			if line == "OPTIONS *" && !h.is("nginx") && got.status == http.StatusOK { // answered by Go's own server, in Caddy and Traefik
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
				if q := h.asked(t); q.method != m.method() || m.method() != method {
					t.Errorf("sent %q, judged %q, forwarded %q", method, q.method, m.method())
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
		if judged := h.read(t, questions[0]).target; judged != m.target() {
			t.Errorf("%q: judged %q, forwarded %q", target, judged, m.target())
		}
	}
	if h.is("envoy") && got.status == http.StatusOK {
		return // it resolved the dots for both
	}
	if got.status < 400 || got.status > 499 {
		t.Errorf("%q: answer %d, want a refusal", target, got.status)
	}
}

var forwardedRows = []row{
	{"the client's X-Forwarded fields do not count", func(t *testing.T, h *house) {
		got := h.send(t, "GET /admin", alice, "X-Forwarded-Uri: /public/x", "X-Forwarded-Uri: /public/y", "x-forwarded-uri: /public/z",
			"X-Forwarded-Method: OPTIONS", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https",
			"X-Forwarded-For: 10.0.0.1", "X-Forwarded-Port: evil", "X-Forwarded-Prefix: /public", "X-Real-IP: 10.0.0.1", "Forwarded: for=10.0.0.1")
		h.refused(t, got, http.StatusForbidden)
		q := h.asked(t)
		if q.target != "/admin" || q.method != "GET" || q.host != "app.example" || q.scheme != "http" || q.client != "127.0.0.1" {
			t.Errorf("the question reads %q %q %q %q %q", q.method, q.host, q.target, q.scheme, q.client)
		}
		for _, evil := range []string{"/public", "evil", "10.0.0.1", "OPTIONS"} {
			if strings.Contains(q.String(), evil) {
				t.Errorf("%q of the client reached the auth server:\n%v", evil, q)
			}
		}
	}},
	{"nor do their aliases", func(t *testing.T, h *house) {
		h.send(t, "GET /admin", alice, "X_Forwarded_Uri: /public/x", "X.Forwarded.Uri: /public/x",
			"X_Forwarded_Method: OPTIONS", "X.Forwarded.Method: OPTIONS", "X_FORWARDED_FOR: 10.0.0.1", "X.Forwarded.For: 10.0.0.1",
			"X.Forwarded.Host: evil.example", "X.Forwarded.Proto: https")
		if q := h.asked(t); q.target != "/admin" || q.method != "GET" || q.client != "127.0.0.1" || strings.Contains(q.String(), "/public") {
			t.Errorf("the question reads %q %q %q:\n%v", q.method, q.target, q.client, q)
		}
	}},
	{"nor do other families", func(t *testing.T, h *house) {
		fields := []string{"X-Original-URL: /public/x", "X-Original-URI: /public/x", "X-Original-Method: OPTIONS", "X-Original-Host: evil.example", "X-Rewrite-URL: /public/x",
			"X_Original_URL: /public/x", "X_Original_URI: /public/x", "X_Original_Method: OPTIONS", "X_Rewrite_URL: /public/x"}
		h.refused(t, h.send(t, "GET /admin", append(fields, alice)...), http.StatusForbidden)
		m := h.reached(t, h.send(t, "GET /films", append(fields, alice)...))
		for _, name := range []string{"X-Original-URL", "X-Original-URI", "X-Original-Method", "X-Original-Host", "X-Rewrite-URL"} {
			if names := m.like(name); len(names) != 0 {
				t.Errorf("%s reached the application", name)
			}
		}
	}},
	{"the client cannot pretend to be another one", func(t *testing.T, h *house) {
		var fields []string
		for _, name := range []string{"X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP", "Client-IP", "True-Client-IP", "CF-Connecting-IP",
			"Fastly-Client-IP", "X-Original-Forwarded-For", "Proxy", "Forwarded", "X-Host", "X-Forwarded-User", "X_Forwarded_User", "X-Forwarded-Prefix", "X-Forwarded-Port"} {
			fields = append(fields, name+": evil")
		}
		if m := h.reached(t, h.send(t, "GET /public/x", fields...)); strings.Contains(m.String(), "evil") {
			t.Errorf("the application saw\n%v", m)
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
			"X-Forwarded-Proto: https", "X-Forwarded-Uri: /evil", "X-Forwarded-Method: EVIL", "X_Forwarded_For: 10.0.0.1", "X-Real-IP: 10.0.0.1",
			"X.Forwarded.For: 10.0.0.1", "X.Forwarded.Host: evil.example", "X.Forwarded.Proto: evil", "X.Forwarded.Uri: /evil",
			"X.Forwarded.Method: EVIL", "X-Forwarded-Server: evil", "Forwarded: host=evil.example"))
		want(t, m, "X-Forwarded-For", "127.0.0.1")
		if !h.is("envoy") { // it sends Host only
			want(t, m, "X-Forwarded-Host", "app.example")
		}
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
		h.refused(t, exchange(t, h.addr, "GET /public/x HTTP/1.0\r\n\r\n"), 400, 403, 426)
	}},
}
