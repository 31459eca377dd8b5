package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestProxyFaults breaks the auth server in every way that a server can be broken. The application must not see the
// request.
func TestProxyFaults(t *testing.T) {
	for _, fault := range faults {
		for _, p := range proxies {
			t.Run(fault.name+"/"+p.name, func(t *testing.T) {
				t.Parallel()
				h := openFailing(t, p, fault.server(t), nil)
				got, _ := attempt(t, h.addr, request("GET /films", alice, "Remote-User: eve")) // may be cut short
				h.refused(t, got, fault.status[p.name])
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

const identityFields = "Remote-User: mallory\r\nRemote-Groups: admin\r\nRemote-Email: \r\nCookie: \r\n"

var faults = []fault{
	{"down", freeAddress, statuses(500, 502, 503)},
	{"closes at once", func(t *testing.T) string { return serve(t, func(net.Conn) {}) }, statuses(500, 502, 503)},
	{"garbage", says("\x16\x03\x01garbage garbage\r\n\r\n"), statuses(500, 502, 503)},
	{"half a head", says("HTTP/1.1 200 OK\r\nRemote-User: mallory\r\n"), statuses(500, 502, 503)},
	{"a long head", says("HTTP/1.1 200 OK\r\n" + identityFields + "X: " + strings.Repeat("x", 40<<10) + "\r\nContent-Length: 0\r\n\r\n"), statuses(500, 502, 503)},
	{"a long body", says("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 50000\r\n\r\n" + strings.Repeat("x", 50000)), statuses(401, 401, 503)},
	{"303", says("HTTP/1.1 303 See Other\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n"), statuses(500, 303, 303)},
	{"429", says("HTTP/1.1 429 Too Many\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n"), statuses(500, 429, 429)},
	{"404", says("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), statuses(500, 404, 404)},
	{"410", says("HTTP/1.1 410 Gone\r\n" + identityFields + "Content-Length: 0\r\n\r\n"), statuses(500, 410, 503)},
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

// silences are auth servers that stop talking.
var silences = []fault{
	{"from the start", func(t *testing.T) string { return serve(t, hang) }, statuses(500, 504, 503)},
	{"after half a head", func(t *testing.T) string { return serve(t, saysAndHangs("HTTP/1.1 200 OK\r\n"+identityFields)) }, statuses(500, 504, 503)},
	{"after the head of a refusal", func(t *testing.T) string {
		return serve(t, saysAndHangs("HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\n"))
	}, statuses(401, 401, 503)},
}

func saysAndHangs(answer string) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := readMessage(bufio.NewReader(conn)); err == nil {
			fmt.Fprint(conn, answer)
			hang(conn)
		}
	}
}

// TestProxySilence lets an auth server stop talking. The proxies give it up after the 6 s of the samples; all of them
// wait at the same time.
func TestProxySilence(t *testing.T) {
	type wait struct {
		fault
		*house
		got  reply
		took time.Duration
	}
	var waits []*wait
	for _, p := range proxies {
		if p.path(t) == "" {
			t.Logf("skipped: %s is not installed", p.name)
			continue
		}
		for _, silence := range silences {
			waits = append(waits, &wait{fault: silence, house: openFailing(t, p, silence.server(t), nil)})
		}
	}
	var pending sync.WaitGroup
	for _, w := range waits {
		pending.Go(func() {
			begin := time.Now()
			w.got, _ = attempt(t, w.addr, request("GET /films", alice)) // a body may be cut short
			w.took = time.Since(begin)
		})
	}
	pending.Wait()
	for _, w := range waits {
		t.Run(w.fault.name+"/"+w.house.name, func(t *testing.T) {
			w.refused(t, w.got, w.status[w.house.name])
			if w.took > 10*time.Second {
				t.Errorf("the client waited %v, want less than 10 s", w.took)
			}
		})
	}
}

// TestProxySlowAnswer lets an auth server take its time. No proxy of the samples answers in its place before 6 s.
func TestProxySlowAnswer(t *testing.T) {
	for _, p := range proxies {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			asked, release := make(chan bool), make(chan bool)
			h := openFailing(t, p, serve(t, func(conn net.Conn) {
				if _, err := readMessage(bufio.NewReader(conn)); err == nil {
					asked <- true
					<-release
					fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n"+identityFields+"Content-Length: 0\r\n\r\n")
				}
			}), nil)
			conn := dial(t, h.addr)
			raw := request("GET /films", "Remote-User: eve")
			fmt.Fprint(conn, raw)
			<-asked
			if seen := h.app.take(); len(seen) != 0 {
				t.Errorf("the application saw the request before the answer was there: %v", seen)
			}
			close(release)
			want(t, h.reached(t, readReply(t, bufio.NewReader(conn), raw)), "Remote-User", "mallory")
		})
	}
}

// TestProxyStrangeServer puts a server that is not Gatehouse where Gatehouse should be: one that answers everybody
// with success. Caddy and HAProxy notice, because the identity fields are missing; nginx cannot tell a missing field
// from an empty one, and lets the request in as nobody's.
func TestProxyStrangeServer(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nRemote-User: mallory\r\nRemote-Email:\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nRemote-User: mallory\r\nRemote-Groups:\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nRemote-Groups:\r\nRemote-Email:\r\nContent-Length: 0\r\n\r\n",
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
					if s := m.String(); strings.Contains(s, "eve") || strings.Contains(s, "admin") && !strings.Contains(answer, "admin") {
						t.Errorf("the client's own identity reached the application:\n%s", s)
					}
				}
			})
		}
	}
}

// TestProxyNotTrusted lets a proxy ask that Gatehouse does not list: nothing that it says counts.
func TestProxyNotTrusted(t *testing.T) {
	for _, p := range slices.Concat(proxies, fixtures) {
		t.Run(p.name, func(t *testing.T) {
			h := open(t, p, startGatehouse(t, "trusted_proxies: [127.0.0.1]", "trusted_proxies: [192.0.2.1]"))
			for _, target := range []string{"/films", "/public/x"} {
				got := h.send(t, "GET "+target, alice)
				h.refused(t, got, http.StatusForbidden)
				if code := got.header.Get("X-Gatehouse-Code"); code != "untrusted_proxy" {
					t.Errorf("%s: X-Gatehouse-Code = %q, want untrusted_proxy", target, code)
				}
			}
		})
	}
}

// TestNginxLogInPage adds the line that sends people to a log-in page.
func TestNginxLogInPage(t *testing.T) {
	nginx := proxies[0]
	h := openFailing(t, nginx, startGatehouseFor(t, nginx), func(_, text string) string {
		return strings.Replace(text, "server_name _;", "server_name _;\n    error_page 401 =303 https://login.example.org/;", 1)
	})
	got := h.send(t, "GET /films", "Accept: text/html")
	h.refused(t, got, http.StatusSeeOther)
	if to := got.header.Get("Location"); to != "https://login.example.org/" {
		t.Errorf("Location = %q", to)
	}
	h.refused(t, h.send(t, "GET /admin", alice), http.StatusForbidden)
}

// startGatehouseFor is startGatehouse, unless the proxy is missing.
func startGatehouseFor(t *testing.T, p proxy) string {
	t.Helper()
	p.need(t)
	return startGatehouse(t)
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
			h := openFailing(t, proxies[2], startGatehouseFor(t, proxies[2]), func(file, text string) string {
				return strings.ReplaceAll(text, broken[0], broken[1])
			})
			h.refused(t, h.send(t, "GET /films", alice), http.StatusServiceUnavailable)
		})
	}
}

// TestNginxAsksInEveryLocation adds the kinds of location that operators add. Each is asked about, and gets the target
// that was judged also after an internal redirect.
func TestNginxAsksInEveryLocation(t *testing.T) {
	const more = `
    location /prefix/ { proxy_pass http://gatehouse_app$request_uri; }
    location ^~ /static/ { proxy_pass http://gatehouse_app$request_uri; }
    location = /exact { proxy_pass http://gatehouse_app$request_uri; }
    location ~ \.css$ { proxy_pass http://gatehouse_app$request_uri; }
    location /try/ { try_files /nothing @app; }
    location @app { proxy_pass http://gatehouse_app$request_uri; }
    location /moved/ { rewrite ^/moved/(.*)$ /prefix/$1 last; }
    location /own/ {
        include SNIPPETS/gatehouse-headers.conf;
        proxy_set_header X-Mine mine;
        proxy_pass http://gatehouse_app$request_uri;
    }
    location / {`
	nginx := proxies[0]
	h := &house{proxy: nginx, app: startApp(t), ask: startRelay(t, startGatehouseFor(t, nginx))}
	h.addr = start(t, nginx, places{auth: h.ask.addr, app: h.app.addr, edit: func(file, text string) string {
		_, rest, _ := strings.Cut(text, "include ")
		snippets, _, _ := strings.Cut(rest, "/gatehouse-auth.conf")
		return strings.Replace(text, "\n    location / {", strings.ReplaceAll(more, "SNIPPETS", snippets), 1)
	}})
	for _, target := range []string{"/prefix/x", "/static/x", "/exact", "/a/b.css", "/try/x%40y", "/moved/x%40y?q=%2f", "/own/x"} {
		h.refused(t, h.send(t, "GET "+target, "Remote-User: eve"), http.StatusUnauthorized)
		m := h.reached(t, h.send(t, "GET "+target, alice, "Remote-User: eve", "Remote-Groups: admin"))
		want(t, m, "Remote-User", "alice")
		want(t, m, "Remote-Groups", "basic")
		if mine := m.one("X-Mine"); (mine == "mine") != strings.HasPrefix(target, "/own/") {
			t.Errorf("%s: X-Mine = %q: the added locations are not in use", target, mine)
		}
		for _, question := range h.ask.take() {
			if q := h.read(t, question); q.target != target || m.target() != target {
				t.Errorf("sent %q, judged %q, forwarded %q", target, q.target, m.target())
			}
		}
	}
}
