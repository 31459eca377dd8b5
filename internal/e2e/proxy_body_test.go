package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

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
		if q := h.asked(t); len(q.all("Expect")) != 0 && !h.is("traefik") { // Traefik passes it on, without a body
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
		raw := request("POST /films", alice, "Content-Length: 6", "Transfer-Encoding: chunked") + "0\r\n\r\n" + request("GET /admin", alice) + request("GET /last", "Connection: close")
		conn := dial(t, h.addr)
		fmt.Fprint(conn, raw)
		io.Copy(io.Discard, conn) // until every request that the proxy sees in it is answered
		for _, m := range h.app.take() {
			if m.target() == "/admin" {
				t.Errorf("a smuggled request reached the application: %v", m)
			}
		}
	}},
	{"a large head passes whole", func(t *testing.T, h *house) {
		long := strings.Repeat("c", 6000)
		m := h.reached(t, h.send(t, "GET /films?"+strings.Repeat("q", 3000), alice, "Cookie: a="+long, "X-Long: "+long))
		want(t, m, "Cookie", "a="+long)
		want(t, m, "X-Long", long)
		want(t, m, "Remote-User", "alice")
		want(t, h.asked(t).message, "Cookie", "a="+long)
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
		h.refused(t, got, 400, 413, 431, 494)
		if h.is("haproxy") { // what HAProxy takes and the question cannot hold
			seven := strings.Repeat("f", 7000)
			h.refused(t, h.send(t, "GET /films", alice, "X-A: "+seven, "X-B: "+seven, "X-C: "+seven), http.StatusBadRequest)
			h.refused(t, h.send(t, "GET /films?"+seven+seven, alice), http.StatusBadRequest)
		}
	}},
}
