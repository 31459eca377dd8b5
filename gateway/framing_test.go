package gateway_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/gateway"
	"github.com/gatehouse-auth/gatehouse/guard"
)

// smuggled is a request that must never reach an upstream: it is hidden in the body of another.
const smuggled = "GET /admin/smuggled HTTP/1.1\r\nHost: app.example\r\n\r\n"

// TestSmuggling sends messages whose end hops see in different places. Whatever the answer is, the upstream reads at most one request, and
// never the hidden one.
func TestSmuggling(t *testing.T) {
	post := func(fields ...string) string { return request("POST /a", append([]string{root}, fields...)...) }
	for name, raw := range map[string]string{
		"CL and TE":                 post("Content-Length: 4", "Transfer-Encoding: chunked") + "0\r\n\r\n" + smuggled,
		"TE and CL":                 post("Transfer-Encoding: chunked", "Content-Length: 60") + "0\r\n\r\n" + smuggled,
		"CL.TE with body":           post("Content-Length: 6", "Transfer-Encoding: chunked") + "1\r\nx\r\n0\r\n\r\n" + smuggled,
		"two equal CL":              post("Content-Length: 3", "Content-Length: 3") + "abc" + smuggled,
		"two different CL":          post("Content-Length: 3", "Content-Length: 60") + "abc" + smuggled,
		"CL list":                   post("Content-Length: 3, 3") + "abc" + smuggled,
		"CL with plus":              post("Content-Length: +3") + "abc" + smuggled,
		"CL hex":                    post("Content-Length: 0x3") + "abc" + smuggled,
		"CL negative":               post("Content-Length: -3") + "abc" + smuggled,
		"CL with space":             post("Content-Length: 3 0") + "abc" + smuggled,
		"CL empty":                  post("Content-Length:") + smuggled,
		"CL huge":                   post("Content-Length: 99999999999999999999999") + smuggled,
		"CL alias":                  post("Content_Length: 60", "Content-Length: 3") + "abc" + smuggled,
		"TE alias":                  post("Transfer_Encoding: chunked", "Content-Length: 3") + "0\r\n" + smuggled,
		"TE not chunked":            post("Transfer-Encoding: gzip") + smuggled,
		"TE gzip, chunked":          post("Transfer-Encoding: gzip, chunked") + "0\r\n\r\n" + smuggled,
		"TE chunked, identity":      post("Transfer-Encoding: chunked, identity", "Content-Length: 4") + "0\r\n\r\n" + smuggled,
		"TE twice":                  post("Transfer-Encoding: chunked", "Transfer-Encoding: identity", "Content-Length: 4") + "0\r\n\r\n" + smuggled,
		"TE xchunked":               post("Transfer-Encoding: xchunked", "Content-Length: 4") + "0\r\n\r\n" + smuggled,
		"TE with tab":               post("Transfer-Encoding:\tchunked", "Content-Length: 4") + "0\r\n\r\n" + smuggled,
		"TE with vertical tab":      post("Transfer-Encoding: \x0bchunked", "Content-Length: 4") + "0\r\n\r\n" + smuggled,
		"TE in capitals":            post("TRANSFER-ENCODING: CHUNKED", "Content-Length: 4") + "0\r\n\r\n" + smuggled,
		"TE folded":                 post("Transfer-Encoding:\r\n chunked", "Content-Length: 4") + "0\r\n\r\n" + smuggled,
		"TE hidden by fold":         post("X: y\r\n Transfer-Encoding: chunked", "Content-Length: 3") + "abc" + smuggled,
		"TE in HTTP/1.0":            "POST /a HTTP/1.0\r\nHost: app.example\r\n" + root + "\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + smuggled,
		"space before colon":        post("Content-Length : 60", "Content-Length: 3") + "abc" + smuggled,
		"space before TE's colon":   post("Transfer-Encoding : chunked", "Content-Length: 4") + "0\r\n\r\n" + smuggled,
		"no colon":                  post("Transfer-Encoding chunked", "Content-Length: 3") + "abc" + smuggled,
		"empty name":                post(": chunked", "Content-Length: 3") + "abc" + smuggled,
		"space in name":             post("Transfer Encoding: chunked", "Content-Length: 3") + "abc" + smuggled,
		"leading space":             request("POST /a", " Transfer-Encoding: chunked", root, "Content-Length: 3") + "abc" + smuggled,
		"NUL in value":              post("X: a\x00b", "Content-Length: 3") + "abc" + smuggled,
		"bare CR in value":          post("X: a\rTransfer-Encoding: chunked", "Content-Length: 3") + "abc" + smuggled,
		"bare CR ends line":         "POST /a HTTP/1.1\rHost: app.example\r\n" + root + "\r\n\r\n" + smuggled,
		"bare LF ends fields":       "POST /a HTTP/1.1\nHost: app.example\n" + root + "\nContent-Length: 3\n\nabc" + smuggled,
		"LF hides a field":          post("X: y\nTransfer-Encoding: chunked", "Content-Length: 4") + "0\r\n\r\n" + smuggled,
		"GET with body":             request("GET /a", root, fmt.Sprintf("Content-Length: %d", len(smuggled))) + smuggled,
		"HEAD with body":            request("HEAD /a", root, fmt.Sprintf("Content-Length: %d", len(smuggled))) + smuggled,
		"chunk size with space":     post("Transfer-Encoding: chunked") + "3 \r\nabc\r\n0\r\n\r\n" + smuggled,
		"chunk extension":           post("Transfer-Encoding: chunked") + "3;a=b\r\nabc\r\n0;c\r\n\r\n" + smuggled,
		"chunk extension with LF":   post("Transfer-Encoding: chunked") + "3;\nabc\r\n0\r\n\r\n" + smuggled,
		"chunk extension with CR":   post("Transfer-Encoding: chunked") + "3;a\rb\r\nabc\r\n0\r\n\r\n" + smuggled,
		"chunk size huge":           post("Transfer-Encoding: chunked") + "fffffffffffffffff\r\nabc\r\n0\r\n\r\n" + smuggled,
		"chunk size hex prefix":     post("Transfer-Encoding: chunked") + "0x3\r\nabc\r\n0\r\n\r\n" + smuggled,
		"chunk size negative":       post("Transfer-Encoding: chunked") + "-3\r\nabc\r\n0\r\n\r\n" + smuggled,
		"chunk without its end":     post("Transfer-Encoding: chunked") + "3\r\nabcX\r\n0\r\n\r\n" + smuggled,
		"bare LF in chunks":         post("Transfer-Encoding: chunked") + "3\nabc\n0\n\n" + smuggled,
		"bare LF after a chunk":     post("Transfer-Encoding: chunked") + "3\r\nabc\n0\r\n\r\n" + smuggled,
		"trailer without end":       post("Transfer-Encoding: chunked") + "0\r\nX: y\r\n" + smuggled,
		"trailer with framing":      post("Transfer-Encoding: chunked", "Trailer: Content-Length") + "0\r\nContent-Length: 60\r\n\r\n" + smuggled,
		"connection drops the body": post("Connection: Content-Length", "Content-Length: 3") + "abc" + smuggled,
		"connection drops TE":       post("Connection: Transfer-Encoding", "Transfer-Encoding: chunked") + "0\r\n\r\n" + smuggled,
		"upgrade with a body":       request("POST /a", root, "Connection: Upgrade", "Upgrade: websocket", "Content-Length: 3") + "abc" + smuggled,
		"upgrade, pipelined":        request("GET /a", root, "Connection: Upgrade", "Upgrade: websocket") + smuggled,
		"expect, never sent":        post("Expect: 100-continue", fmt.Sprintf("Content-Length: %d", len(smuggled))) + smuggled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t, plan{})
			conn := dial(t, h.addr)
			got := conn.ask(raw)
			if got.status == 0 && got.err == nil || got.status >= 500 && got.status != 501 && got.status != 502 && got.status != 505 {
				t.Errorf("answer %v, want one that a client can act on", got)
			}
			conn.Close()
			h.end()
			list := h.app.settled(t)
			if len(list) > 1 {
				t.Errorf("the upstream read %d requests, want at most one", len(list))
			}
			for _, s := range list {
				wholesome(t, s)
			}
		})
	}
}

// wholesome fails if the upstream could read s in more than one way.
func wholesome(t *testing.T, s seen) {
	t.Helper()
	if strings.Contains(s.line(), "smuggled") || len(strings.Split(s.line(), " ")) != 3 {
		t.Errorf("the upstream read the request %q", s.line())
	}
	if strings.Contains(strings.ReplaceAll(s.head, "\r\n", ""), "\n") || strings.Contains(strings.ReplaceAll(s.head, "\r\n", ""), "\r") {
		t.Errorf("a bare CR or LF reached the upstream: %q", s.head)
	}
	length, coding := s.like("Content-Length"), s.like("Transfer-Encoding")
	if len(length)+len(coding) > 1 || len(s.all("Content-Length"))+len(s.all("Transfer-Encoding")) != len(length)+len(coding) {
		t.Errorf("the upstream read more than one framing, or an alias: %q %q", length, coding)
	}
	only(t, s, "Remote-User", "root")
	only(t, s, "Host", "app.example")
}

// TestPipelining: what follows a request on its connection is a request of its own, with no more rights than it proves itself.
func TestPipelining(t *testing.T) {
	h := build(t, plan{})
	conn := dial(t, h.addr)
	raw := request("POST /a", root, "Content-Length: 3") + "abc" + request("GET /admin/x") + request("GET /admin/x", jack) + request("GET /admin/x", root)
	go io.WriteString(conn, raw)
	for i, want := range []int{200, 401, 403, 200} {
		if got := conn.read("GET"); got.status != want {
			t.Errorf("answer %d: %v, want %d", i, got, want)
		}
	}
	if list := h.app.take(); len(list) != 2 {
		t.Errorf("the upstream saw %d requests, want 2", len(list))
	}
}

// TestBodies: what a client sends is what the upstream reads, in one framing.
func TestBodies(t *testing.T) {
	h := build(t, plan{})
	s := h.reached(t, request("POST /a", root, "Content-Length: 5")+"a\r\n\x00b")
	if s.body != "a\r\n\x00b" || s.all("Content-Length")[0] != "5" {
		t.Errorf("the upstream read %q, want the body as it was sent", s.body)
	}
	s = h.reached(t, request("POST /a", root, "Transfer-Encoding: chunked")+"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
	only(t, s, "Transfer-Encoding", "chunked")
	if text := strings.NewReplacer("3\r\nabc\r\n", "abc", "2\r\nde\r\n", "de", "5\r\nabcde\r\n", "abcde").Replace(s.body); text != "abcde0\r\n\r\n" {
		t.Errorf("the upstream read %q, want the chunks without the extension", s.body)
	}
	s = h.reached(t, request("POST /a", root, "Content-Length: 0"))
	only(t, s, "Content-Length", "0")
}

// managedTrailers are fields that a client may send neither in the head nor behind the body.
var managedTrailers = []string{"Remote-User", "remote_groups", "Remote.Email", "Remote~User", "X-Forwarded-For", "X_Real_IP", "Forwarded", "Authorization", "Cookie", "X-API-Key", "x_api_key", "X-Original-URL", "Proxy"}

// TestRequestTrailers: announced ones pass, but for those that are managed; what was not announced is dropped.
func TestRequestTrailers(t *testing.T) {
	h := build(t, plan{})
	body := "3\r\nabc\r\n0\r\n"
	s := h.reached(t, request("POST /a", root, "Transfer-Encoding: chunked", "Trailer: X-Checksum, Grpc-Status", "Te: trailers")+body+"X-Checksum: 7\r\nGrpc-Status: 0\r\nX-Surprise: 1\r\n\r\n")
	if !strings.Contains(s.body, "X-Checksum: 7\r\n") || !strings.Contains(s.body, "Grpc-Status: 0\r\n") || strings.Contains(s.body, "Surprise") {
		t.Errorf("the upstream read the trailer %q, want the two that were announced", s.body)
	}
	only(t, s, "Te", "trailers")
	for _, name := range managedTrailers {
		for _, announced := range []string{"Trailer: " + name, "Trailer: X-Checksum, " + name, "Trailer: X-Checksum"} {
			s := h.reached(t, request("POST /a", root, "Transfer-Encoding: chunked", announced)+body+name+": evil\r\nX-Checksum: 7\r\n\r\n")
			if strings.Contains(s.head+s.body, "evil") || strings.Contains(strings.Join(s.all("Trailer"), ","), name) {
				t.Errorf("%s, %s: the upstream read %q and %q", name, announced, s.all("Trailer"), s.body)
			}
			only(t, s, "Remote-User", "root")
		}
	}
	for _, name := range []string{"Content-Length", "Transfer-Encoding", "Trailer"} {
		h.refused(t, request("POST /a", root, "Transfer-Encoding: chunked", "Trailer: "+name)+body+name+": 5\r\n\r\n", 400)
	}
}

// TestExpectContinue: a client that asks first is told to go on only after it may.
func TestExpectContinue(t *testing.T) {
	h := build(t, plan{guard: func(c *guard.Config) { c.MaxBody = 1000 }})
	for _, row := range []struct {
		name string
		raw  string
		want int
	}{
		{"anonymous", request("POST /a", "Content-Length: 5", "Expect: 100-continue"), 401},
		{"forbidden", request("POST /admin/a", jack, "Content-Length: 5", "Expect: 100-continue"), 403},
		{"bad target", request("POST /a//b", root, "Content-Length: 5", "Expect: 100-continue"), 400},
		{"too large", request("POST /a", root, "Content-Length: 5000", "Expect: 100-continue"), 413},
		{"anonymous and too large", request("POST /a", "Content-Length: 5000", "Expect: 100-continue"), 401},
		{"anonymous chunks", request("POST /a", "Transfer-Encoding: chunked", "Expect: 100-continue"), 401},
	} {
		if got := h.refused(t, row.raw, row.want); len(got.earlier) != 0 {
			t.Errorf("%s: %v came before the refusal, want nothing", row.name, got.earlier)
		}
	}
	conn := dial(t, h.addr)
	io.WriteString(conn, request("POST /a", root, "Content-Length: 5", "Expect: 100-continue"))
	first, err := http.ReadResponse(conn.r, nil)
	if err != nil || first.StatusCode != http.StatusContinue {
		t.Fatalf("allowed: %v, %v, want 100 Continue", first, err)
	}
	io.WriteString(conn, "abcde")
	if got := conn.read("POST"); got.status != 200 || h.app.await(t, 1)[0].body != "abcde" {
		t.Errorf("allowed: %v, want 200 and the body at the upstream", got)
	}
	if got := once(t, h.addr, request("POST /a", root, "Content-Length: 5", "Expect: 200-ok")); got.status != http.StatusExpectationFailed && got.status != 200 {
		t.Errorf("another expectation: %v, want 417 or that it is ignored", got)
	}
}

// TestMaxBody: a body that turns out too large ends in 413, and the upstream never reads its end.
func TestMaxBody(t *testing.T) {
	h := build(t, plan{guard: func(c *guard.Config) { c.MaxBody = 100_000 }})
	chunk := "2710\r\n" + strings.Repeat("x", 10_000) + "\r\n"
	for range 20 {
		got := once(t, h.addr, request("POST /a", root, "Transfer-Encoding: chunked")+strings.Repeat(chunk, 11)+"0\r\n\r\n")
		if got.status != 413 || got.code() != "body_too_large" {
			t.Fatalf("110 kB in chunks: %v, want the problem body_too_large", got)
		}
	}
	for _, s := range h.app.await(t, 20) {
		if !s.cut || strings.HasSuffix(s.body, "0\r\n\r\n") {
			t.Errorf("the upstream read a whole request of %d bytes, want one that is cut", len(s.body))
		}
	}
	if got := once(t, h.addr, request("POST /a", root, "Transfer-Encoding: chunked")+strings.Repeat(chunk, 10)+"0\r\n\r\n"); got.status != 200 {
		t.Errorf("exactly the limit: %v, want 200", got)
	}
	h.app.take()
	h.refused(t, request("POST /a", root, "Content-Length: 100001")+strings.Repeat("x", 100_001), 413)
	h.refused(t, request("POST /a", "Transfer-Encoding: chunked")+strings.Repeat(chunk, 11)+"0\r\n\r\n", 401)
}

// TestBodyThatEndsEarly: the upstream must not take half a body for a whole one.
func TestBodyThatEndsEarly(t *testing.T) {
	h := build(t, plan{reply: func(net.Conn, seen) bool { return false }})
	for _, raw := range []string{
		request("POST /a", root, "Content-Length: 10") + "abc",
		request("POST /a", root, "Transfer-Encoding: chunked") + "a\r\nabc",
		request("POST /a", root, "Transfer-Encoding: chunked") + "3\r\nabc\r\n",
	} {
		conn := dial(t, h.addr)
		io.WriteString(conn, raw)
		conn.Conn.(*net.TCPConn).CloseWrite()
		conn.read("POST")
		conn.Close()
	}
	for _, s := range h.app.await(t, 3) {
		if !s.cut {
			t.Errorf("the upstream read %q as a whole body", s.body)
		}
	}
}

// TestSeveralUpstreams: each rule leads to its own, and a request that no route covers nowhere.
func TestSeveralUpstreams(t *testing.T) {
	films, admin := startApp(t, nil), startApp(t, nil)
	h := build(t, plan{proxy: func(c *gateway.ProxyConfig) {
		c.Upstreams = []gateway.Upstream{{Name: "films", URL: origin(films.addr)}, {Name: "admin", URL: origin(admin.addr)}}
		c.Routes = slices.Repeat([]gateway.Route{{Upstream: "films"}}, 8)
		c.Routes[2] = gateway.Route{Upstream: "admin"}
	}})
	if got := once(t, h.addr, request("GET /public/a")); got.status != 200 || len(films.take()) != 1 || len(admin.take()) != 0 {
		t.Errorf("/public/a: %v, want it at films alone", got)
	}
	if got := once(t, h.addr, request("GET /admin/a", root)); got.status != 200 || len(films.take()) != 0 || len(admin.take()) != 1 {
		t.Errorf("/admin/a: %v, want it at admin alone", got)
	}
	if got := once(t, h.addr, request("GET /other", root)); got.status != 404 || got.code() != "not_found" || len(films.take())+len(admin.take()) != 0 {
		t.Errorf("/other: %v, want 404 and nothing at either", got)
	}
}
