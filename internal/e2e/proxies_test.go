package e2e

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// identity are the fields in which an application behind a proxy reads who is asking.
var identity = []string{"Remote-User", "Remote-Groups", "Remote-Email"}

// alice has an account and no special rights; see testdata/proxies/gatehouse.yaml.
const alice = "Authorization: Bearer alice-token"

// A row is one promise that holds with every proxy.
type row struct {
	name string
	run  func(t *testing.T, h *house)
}

// TestProxies starts each proxy with the samples of deploy/ in front of an application and keeps every promise of
// docs/forward-auth.md against it.
func TestProxies(t *testing.T) {
	rows := slices.Concat(basicRows, identityRows, connectionRows, targetRows, forwardedRows, bodyRows)
	for _, p := range proxies {
		t.Run(p.name, func(t *testing.T) {
			h := open(t, p, startGatehouse(t))
			for _, row := range rows {
				t.Run(row.name, func(t *testing.T) {
					h.app.take()
					h.ask.take()
					row.run(t, h)
				})
			}
		})
	}
}

// get sends one request and returns the answer.
func (h *house) send(t *testing.T, line string, fields ...string) reply {
	t.Helper()
	return exchange(t, h.addr, request(line, fields...))
}

// reached returns the one request that the application saw.
func (h *house) reached(t *testing.T, got reply) *message {
	t.Helper()
	seen := h.app.take()
	if got.status != http.StatusOK || len(seen) != 1 {
		t.Fatalf("answer %d %q, %d requests at the application, want 200 and one", got.status, got.body, len(seen))
	}
	return seen[0]
}

// refused fails unless the answer has the wanted status and the application saw nothing.
func (h *house) refused(t *testing.T, got reply, want ...int) {
	t.Helper()
	if !slices.Contains(want, got.status) {
		t.Errorf("answer %d %q, want %v", got.status, got.body, want)
	}
	if seen := h.app.take(); len(seen) != 0 {
		t.Errorf("the application saw %v, want nothing", seen)
	}
}

// asked returns the one question that the auth server got.
func (h *house) asked(t *testing.T) *message {
	t.Helper()
	questions := h.ask.take()
	if len(questions) != 1 {
		t.Fatalf("the auth server saw %d questions, want one: %v", len(questions), questions)
	}
	return questions[0]
}

// one returns what differs from proxy to proxy.
func one[T any](h *house, nginx, caddy, haproxy T) T {
	return map[string]T{"nginx": nginx, "caddy": caddy, "haproxy": haproxy}[h.name]
}

// want fails unless the message carries exactly this value under name, and nothing under an alias of it.
func want(t *testing.T, m *message, name, value string) {
	t.Helper()
	if got := m.all(name); len(got) != 1 || got[0] != value {
		t.Errorf("%s = %q, want exactly %q", name, got, value)
	}
	if names := m.like(name); len(names) > 1 {
		t.Errorf("%s also came as %q", name, names)
	}
}

// wantNobody fails if the message names a user.
func wantNobody(t *testing.T, m *message) {
	t.Helper()
	for _, name := range identity {
		for _, alias := range m.like(name) {
			if value := strings.Join(m.all(alias), ","); value != "" {
				t.Errorf("%s: %q at the application, want nobody", alias, value)
			}
		}
	}
}

var basicRows = []row{
	{"anonymous gets 401 with a challenge", func(t *testing.T, h *house) {
		got := h.send(t, "GET /films")
		h.refused(t, got, http.StatusUnauthorized)
		if got.header.Get("WWW-Authenticate") == "" {
			t.Errorf("no WWW-Authenticate in %v", got.header)
		}
		if cache := got.header.Get("Cache-Control"); !strings.Contains(cache, "no-store") {
			t.Errorf("Cache-Control = %q, want no-store", cache)
		}
	}},
	{"anonymous page request gets an answer that the proxy can pass on", func(t *testing.T, h *house) {
		got := h.send(t, "GET /films", "Accept: text/html", "Sec-Fetch-Mode: navigate")
		h.refused(t, got, http.StatusUnauthorized)
	}},
	{"a credential lets in and says who", func(t *testing.T, h *house) {
		m := h.reached(t, h.send(t, "GET /films?page=2", alice))
		want(t, m, "Remote-User", "alice")
		if m.line != "GET /films?page=2 HTTP/1.1" {
			t.Errorf("the application saw %q", m.line)
		}
		want(t, m, "Host", "app.example")
	}},
	{"the auth server sees method, host, target, scheme, address", func(t *testing.T, h *house) {
		h.send(t, "DELETE /films/7?hard=1", alice, "Host: films.example:8443")
		q := h.asked(t)
		want(t, q, "X-Forwarded-Method", "DELETE")
		want(t, q, "X-Forwarded-Host", "films.example:8443")
		want(t, q, "X-Forwarded-Uri", "/films/7?hard=1")
		want(t, q, "X-Forwarded-Proto", "http")
		want(t, q, "X-Forwarded-For", "127.0.0.1")
		want(t, q, "Authorization", "Bearer alice-token")
		if wantLine := "GET /authz/" + h.name + " HTTP/1.1"; q.line != wantLine {
			t.Errorf("the question is %q, want %q", q.line, wantLine)
		}
	}},
	{"another carrier works too", func(t *testing.T, h *house) {
		want(t, h.reached(t, h.send(t, "GET /films", "X-API-Key: alice-token")), "Remote-User", "alice")
	}},
	{"a cookie reaches the auth server", func(t *testing.T, h *house) {
		h.send(t, "GET /films", "Cookie: a=1; b=2")
		want(t, h.asked(t), "Cookie", "a=1; b=2")
	}},
	{"the credential ends at the proxy", func(t *testing.T, h *house) {
		m := h.reached(t, h.send(t, "GET /films", alice, "Proxy-Authorization: Basic eA=="))
		for _, name := range []string{"Authorization", "X-API-Key", "Proxy-Authorization"} {
			if names := m.like(name); len(names) != 0 {
				t.Errorf("%s reached the application", name)
			}
		}
	}},
	{"forbidden is 403", func(t *testing.T, h *house) {
		h.refused(t, h.send(t, "GET /admin/users", alice), http.StatusForbidden)
	}},
	{"a bad credential is 401", func(t *testing.T, h *house) {
		h.refused(t, h.send(t, "GET /films", "Authorization: Bearer wrong"), http.StatusUnauthorized)
	}},
	{"two Authorization fields are refused", func(t *testing.T, h *house) {
		h.refused(t, h.send(t, "GET /films", alice, "Authorization: Bearer root-token"), one(h, 400, 400, 400))
		h.refused(t, h.send(t, "GET /films", "Authorization: Bearer root-token", alice), one(h, 400, 400, 400))
		h.refused(t, h.send(t, "GET /films", alice, alice), one(h, 400, 400, 400))
	}},
	{"two carriers at once are refused", func(t *testing.T, h *house) {
		h.refused(t, h.send(t, "GET /films", alice, "X-API-Key: alice-token"), one(h, 403, 400, 400))
		h.refused(t, h.send(t, "GET /films", "X-API-Key: alice-token", "X-API-Key: wrong"), one(h, 403, 400, 400))
	}},
	{"a public path needs no credential and names nobody", func(t *testing.T, h *house) {
		wantNobody(t, h.reached(t, h.send(t, "GET /public/logo")))
	}},
	{"a CORS preflight is asked about", func(t *testing.T, h *house) {
		fields := []string{"Origin: https://spa.example", "Access-Control-Request-Method: PUT"}
		h.refused(t, h.send(t, "OPTIONS /films", fields...), http.StatusUnauthorized)
		want(t, h.asked(t), "X-Forwarded-Method", "OPTIONS")
		h.reached(t, h.send(t, "OPTIONS /preflight", fields...))
	}},
	{"HEAD is asked about and forwarded as HEAD", func(t *testing.T, h *house) {
		h.refused(t, h.send(t, "HEAD /films"), http.StatusUnauthorized)
		want(t, h.asked(t), "X-Forwarded-Method", "HEAD")
		if m := h.reached(t, h.send(t, "HEAD /films", alice)); m.method() != "HEAD" {
			t.Errorf("the application saw %q, want HEAD", m.line)
		}
	}},
	{"TRACE and CONNECT are refused", func(t *testing.T, h *house) {
		h.refused(t, h.send(t, "TRACE /films", alice), 400, 405)
		h.refused(t, h.send(t, "CONNECT app.example:80", alice), 400, 405)
		h.refused(t, h.send(t, "CONNECT /films", alice), 400, 405)
	}},
	{"the question's own path is nothing special", func(t *testing.T, h *house) {
		for _, path := range []string{"/_gatehouse/ask", "/authz/" + h.name, "/_gatehouse/../_gatehouse/ask"} {
			h.refused(t, h.send(t, "GET "+path), 400, 401, 403, 404)
		}
	}},
	{"each request on one connection is asked about", func(t *testing.T, h *house) {
		conn := dial(t, h.addr)
		r := newReader(conn)
		for i, want := range []int{200, 401, 200, 403, 401} {
			raw := []string{request("GET /a", alice), request("GET /a"), request("GET /a", alice), request("GET /admin", alice), request("GET /a")}[i]
			fmt.Fprint(conn, raw)
			if got := readReply(t, r, raw); got.status != want {
				t.Errorf("request %d on the connection: %d, want %d", i, got.status, want)
			}
		}
		if seen := h.app.take(); len(seen) != 2 {
			t.Errorf("the application saw %d requests, want 2", len(seen))
		}
	}},
	{"a pipelined request does not ride on the one before", func(t *testing.T, h *house) {
		conn := dial(t, h.addr)
		r := newReader(conn)
		first, second := request("GET /a", alice), request("GET /b")
		fmt.Fprint(conn, first+second)
		if got := readReply(t, r, first); got.status != http.StatusOK {
			t.Errorf("the first: %d, want 200", got.status)
		}
		if got := readReply(t, r, second); got.status != http.StatusUnauthorized {
			t.Errorf("the second: %d, want 401", got.status)
		}
	}},
	{"an untrusted header does not open anything", func(t *testing.T, h *house) {
		h.refused(t, h.send(t, "GET /films", "User-Agent: kube-probe/1.0", "X-Gatehouse-Allowed: yes",
			"X-Gatehouse-Code: ok", "X-Authenticated: true"), http.StatusUnauthorized)
	}},
}

// TestProxyFaults breaks the auth server in every way that a server can be broken. The application must not see the
// request, and the client must get its answer within the bound of the samples.
func TestProxyFaults(t *testing.T) {
	for _, fault := range faults {
		for _, p := range proxies {
			t.Run(fault.name+"/"+p.name, func(t *testing.T) {
				t.Parallel()
				h := openFailing(t, p, fault.server(t), nil)
				begin := time.Now()
				got, _ := attempt(t, h.addr, request("GET /films", alice, "Remote-User: eve")) // may be cut short
				h.refused(t, got, fault.status[p.name])
				if took := time.Since(begin); took > 9*time.Second {
					t.Errorf("the answer took %v, want less than 9 s", took)
				}
				if len(got.body) > 64<<10 {
					t.Errorf("%d bytes of an answer without end reached the client", len(got.body))
				}
			})
		}
	}
}

// A fault is an auth server that does not do what it should.
type fault struct {
	name   string
	server func(t *testing.T) string
	status map[string]int
}

// says returns an auth server that answers every question with the same bytes and closes the connection.
func says(answer string) func(t *testing.T) string {
	return func(t *testing.T) string {
		return serve(t, func(conn net.Conn) {
			if _, err := readMessage(newReader(conn)); err == nil {
				fmt.Fprint(conn, answer)
			}
		})
	}
}

// statuses names what each proxy answers.
func statuses(nginx, caddy, haproxy int) map[string]int {
	return map[string]int{"nginx": nginx, "caddy": caddy, "haproxy": haproxy}
}

const identityFields = "Remote-User: mallory\r\nRemote-Groups: admin\r\nRemote-Email: \r\n"

var faults = []fault{
	{"down", freeAddress, statuses(500, 502, 503)},
	{"closes at once", func(t *testing.T) string { return serve(t, func(net.Conn) {}) }, statuses(500, 502, 503)},
	{"silent", func(t *testing.T) string { return serve(t, hang) }, statuses(500, 504, 503)},
	{"silent after the head of a refusal", func(t *testing.T) string {
		return serve(t, func(conn net.Conn) {
			fmt.Fprint(conn, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\n")
			hang(conn)
		})
	}, statuses(401, 401, 503)},
	{"garbage", says("\x16\x03\x01garbage garbage\r\n\r\n"), statuses(500, 502, 503)},
	{"half a head", says("HTTP/1.1 200 OK\r\nRemote-User: mallory\r\n"), statuses(500, 502, 503)},
	{"a long head", says("HTTP/1.1 200 OK\r\n" + identityFields + "X: " + strings.Repeat("x", 40<<10) + "\r\nContent-Length: 0\r\n\r\n"), statuses(500, 502, 503)},
	{"a long body", says("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 50000\r\n\r\n" + strings.Repeat("x", 50000)), statuses(401, 401, 503)},
	{"302", says("HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n"), statuses(500, 302, 302)},
	{"500", says("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"), statuses(500, 500, 503)},
	{"503", says("HTTP/1.1 503 Later\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"), statuses(500, 503, 503)},
	{"101", says("HTTP/1.1 101 Switching Protocols\r\n" + identityFields + "Connection: upgrade\r\nUpgrade: x\r\n\r\n"), statuses(500, 503, 503)},
	{"304", says("HTTP/1.1 304 Not Modified\r\n" + identityFields + "\r\n"), statuses(500, 304, 503)},
}

// hang keeps a connection open until the other side or the test ends it.
func hang(conn net.Conn) {
	buffer := make([]byte, 1024)
	for {
		if _, err := conn.Read(buffer); err != nil {
			return
		}
	}
}

// TestProxyStrangeServer puts a server that is not Gatehouse where Gatehouse should be: one that answers everybody
// with success. Caddy and HAProxy notice, because the identity fields are missing; nginx cannot tell a missing field
// from an empty one, and lets the request in as nobody's.
func TestProxyStrangeServer(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nRemote-User: mallory\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 204 No Content\r\n" + identityFields + "\r\n",
		"HTTP/1.1 206 Partial Content\r\n" + identityFields + "Content-Length: 0\r\n\r\n",
	} {
		for _, p := range proxies {
			t.Run(strings.ReplaceAll(answer[9:], "\r\n", " ")+"/"+p.name, func(t *testing.T) {
				t.Parallel()
				h := openFailing(t, p, says(answer)(t), nil)
				got := h.send(t, "GET /films", "Remote-User: eve", "Remote-Groups: admin")
				if !p.is("nginx") {
					h.refused(t, got, http.StatusServiceUnavailable)
					return
				}
				for _, m := range h.app.take() {
					if user := m.one("Remote-User"); user == "eve" {
						t.Errorf("the client's own Remote-User reached the application")
					}
				}
			})
		}
	}
}

// TestHAProxyScriptDoesNotRun breaks the Lua file: what it did not allow is refused by the configuration.
func TestHAProxyScriptDoesNotRun(t *testing.T) {
	for _, broken := range [][2]string{
		{"core.httpclient()", "core.nosuchthing()"},
		{"local client =", "if true then return end local client ="},
		{`txn:set_var("txn.gatehouse_allowed", "yes")`, `error("broken")`},
		{"if not allow(txn, answer) then", "if false then"},
	} {
		t.Run(broken[1], func(t *testing.T) {
			t.Parallel()
			h := openFailing(t, proxies[2], startGatehouse(t), func(file, text string) string {
				return strings.ReplaceAll(text, broken[0], broken[1])
			})
			h.refused(t, h.send(t, "GET /films", alice), http.StatusServiceUnavailable)
		})
	}
}
