package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

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
			if _, err := readMessage(bufio.NewReader(conn)); err == nil {
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
