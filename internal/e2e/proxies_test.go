package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
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

// TestProxies starts each proxy with the samples of deploy/ in front of an application, and Gatehouse beside it, and
// tries every promise of docs/forward-auth.md against them.
func TestProxies(t *testing.T) {
	rows := slices.Concat(basicRows, identityRows, connectionRows, targetRows, forwardedRows, bodyRows)
	for _, p := range slices.Concat(proxies, fixtures) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
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

// send sends one request and returns the answer.
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

// A question is what the auth server was asked, read in the dialect of the proxy.
type question struct {
	*message
	method, host, target, scheme, client string
}

// asked returns the one question that the auth server got.
func (h *house) asked(t *testing.T) question {
	t.Helper()
	messages := h.ask.take()
	if len(messages) != 1 {
		t.Fatalf("the auth server saw %d questions, want one: %v", len(messages), messages)
	}
	return h.read(t, messages[0])
}

// read reads a question as Gatehouse does. A field that is there twice fails the test.
func (h *house) read(t *testing.T, m *message) question {
	t.Helper()
	for _, name := range []string{"X-Forwarded-Method", "X-Forwarded-Host", "X-Forwarded-Uri", "X-Forwarded-Proto", "X-Forwarded-For"} {
		if names := m.like(name); len(names) > 1 {
			t.Errorf("the question has %q", names)
		}
	}
	q := question{
		message: m, method: m.one("X-Forwarded-Method"), host: m.one("X-Forwarded-Host"), target: m.one("X-Forwarded-Uri"),
		scheme: m.one("X-Forwarded-Proto"), client: m.one("X-Forwarded-For"),
	}
	if h.is("envoy") {
		// Envoy asks in the method, for the host and with the path of the request, and appends an address of its own.
		q.method, q.host, q.target = m.method(), m.one("Host"), strings.TrimPrefix(m.target(), "/authz/envoy")
		q.client, _, _ = strings.Cut(q.client, ",")
		return q
	}
	// Caddy leaves a lone question mark where the request had one.
	if wantLine := "GET /authz/" + h.name + " HTTP/1.1"; strings.Replace(m.line, "? ", " ", 1) != wantLine {
		t.Errorf("the question is %q, want %q", m.line, wantLine)
	}
	return q
}

// refusal is the status with which a proxy refuses what Gatehouse answers with 400: nginx knows 401 and 403 only.
func (h *house) refusal() int {
	if h.is("nginx") {
		return http.StatusForbidden
	}
	return http.StatusBadRequest
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
	{"user, groups and address arrive", func(t *testing.T, h *house) {
		m := h.reached(t, h.send(t, "GET /admin/users", "Authorization: Bearer root-token"))
		want(t, m, "Remote-User", "root")
		want(t, m, "Remote-Groups", "admin")
		want(t, m, "Remote-Email", "root@example.org")
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
		if q.method != "DELETE" || q.host != "films.example:8443" || q.target != "/films/7?hard=1" || q.scheme != "http" || q.client != "127.0.0.1" {
			t.Errorf("the question reads %q %q %q %q %q:\n%v", q.method, q.host, q.target, q.scheme, q.client, q)
		}
		want(t, q.message, "Authorization", "Bearer alice-token")
	}},
	{"another carrier works too", func(t *testing.T, h *house) {
		want(t, h.reached(t, h.send(t, "GET /films", "X-API-Key: alice-token")), "Remote-User", "alice")
	}},
	{"a cookie reaches the auth server", func(t *testing.T, h *house) {
		h.send(t, "GET /films", "Cookie: a=1; b=2")
		want(t, h.asked(t).message, "Cookie", "a=1; b=2")
	}},
	{"the credential ends at the proxy", func(t *testing.T, h *house) {
		for _, credential := range []string{alice, "X-API-Key: alice-token"} {
			m := h.reached(t, h.send(t, "GET /films", credential, "Proxy-Authorization: Basic eA=="))
			for _, name := range []string{"Authorization", "X-API-Key", "Proxy-Authorization"} {
				if names := m.like(name); len(names) != 0 {
					t.Errorf("%s reached the application", name)
				}
			}
		}
	}},
	{"forbidden is 403", func(t *testing.T, h *house) {
		got := h.send(t, "GET /admin/users", alice)
		h.refused(t, got, http.StatusForbidden)
		if cache := got.header.Get("Cache-Control"); !strings.Contains(cache, "no-store") {
			t.Errorf("Cache-Control = %q, want no-store", cache)
		}
	}},
	{"a bad credential is 401", func(t *testing.T, h *house) {
		h.refused(t, h.send(t, "GET /films", "Authorization: Bearer wrong"), http.StatusUnauthorized)
	}},
	{"two Authorization fields are refused", func(t *testing.T, h *house) {
		root := "Authorization: Bearer root-token"
		for _, fields := range [][]string{{alice, root}, {root, alice}, {alice, alice}, {alice, "authorization: Bearer root-token"}} {
			got := h.send(t, "GET /films", fields...)
			h.refused(t, got, http.StatusBadRequest)
			if h.is("nginx") { // it refuses by itself
				continue
			}
			if q := h.asked(t); len(q.all("Authorization")) != 2 && !strings.Contains(q.one("Authorization"), ",") {
				t.Errorf("the auth server could not see that there are two: %v", q)
			}
		}
	}},
	{"two carriers at once are refused", func(t *testing.T, h *house) {
		h.refused(t, h.send(t, "GET /films", alice, "X-API-Key: alice-token"), h.refusal())
		h.refused(t, h.send(t, "GET /public/x", alice, "X-API-Key: alice-token"), h.refusal())
		h.refused(t, h.send(t, "GET /films", "X-API-Key: alice-token", "X-API-Key: alice-token"), h.refusal(), 401)
	}},
	{"a method that no rule allows is 405", func(t *testing.T, h *house) {
		want := http.StatusMethodNotAllowed
		if h.is("nginx") {
			want = http.StatusForbidden
		}
		got := h.send(t, "PATCH /films", alice)
		h.refused(t, got, want)
		if allow := got.header.Get("Allow"); !h.is("nginx") && !strings.Contains(allow, "GET") {
			t.Errorf("Allow = %q, want GET", allow)
		}
	}},
	{"a refusal says why", func(t *testing.T, h *house) {
		for target, code := range map[string]string{"/films": "credential_required", "/public//x": "bad_target"} {
			got := h.send(t, "GET "+target)
			if h.is("envoy") && target != "/films" {
				continue // refused by Envoy itself or judged after it
			}
			if header := got.header.Get("X-Gatehouse-Code"); header == "" {
				t.Errorf("%s: no X-Gatehouse-Code, want one such as %s", target, code)
			}
		}
	}},
	{"a challenge and a problem reach the client", func(t *testing.T, h *house) {
		got := h.send(t, "GET /films")
		if !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("WWW-Authenticate = %q, want Bearer", got.header.Get("WWW-Authenticate"))
		}
		if kind := got.header.Get("Content-Type"); !h.is("nginx") && (kind != "application/problem+json" || !strings.Contains(got.body, `"code"`)) {
			t.Errorf("body %q of type %q, want a problem", got.body, kind)
		}
	}},
	{"a public path needs no credential and names nobody", func(t *testing.T, h *house) {
		wantNobody(t, h.reached(t, h.send(t, "GET /public/logo")))
	}},
	{"a CORS preflight is asked about", func(t *testing.T, h *house) {
		fields := []string{"Origin: https://spa.example", "Access-Control-Request-Method: PUT"}
		h.refused(t, h.send(t, "OPTIONS /films", fields...), http.StatusUnauthorized)
		if q := h.asked(t); q.method != "OPTIONS" {
			t.Errorf("asked about %q, want OPTIONS", q.method)
		}
		h.reached(t, h.send(t, "OPTIONS /preflight", fields...))
	}},
	{"HEAD is asked about and forwarded as HEAD", func(t *testing.T, h *house) {
		h.refused(t, h.send(t, "HEAD /films"), http.StatusUnauthorized)
		if q := h.asked(t); q.method != "HEAD" {
			t.Errorf("asked about %q, want HEAD", q.method)
		}
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
		if h.is("nginx") { // there it is the location of the question, which nobody outside may use
			h.refused(t, h.send(t, "GET /_gatehouse/ask", alice), http.StatusNotFound)
		}
	}},
	{"each request on one connection is asked about", func(t *testing.T, h *house) {
		conn := dial(t, h.addr)
		r := bufio.NewReader(conn)
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
		r := bufio.NewReader(conn)
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
