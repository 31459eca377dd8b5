package gateway_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/gateway"
	"github.com/gatehouse-auth/gatehouse/guard"
)

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// TestUpstreamFaults breaks the upstream in every way that a server can be broken. The client gets a problem, and not a word about why.
func TestUpstreamFaults(t *testing.T) {
	for name, row := range map[string]struct {
		reply func(net.Conn, seen) bool
		want  int
	}{
		"closes at once":             {says(false, ""), 502},
		"garbage":                    {says(false, "\x16\x03\x01garbage\r\n\r\n"), 502},
		"half a status line":         {says(false, "HTTP/1.1 20"), 502},
		"half a head":                {says(false, "HTTP/1.1 200 OK\r\nContent-Le"), 502},
		"no colon":                   {says(false, "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"), 502},
		"status of two digits":       {says(false, "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok"), 502},
		"status 099":                 {says(false, "HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\nok"), 502},
		"status 000":                 {says(true, "HTTP/1.1 000 \r\nContent-Length: 2\r\n\r\nok"), 502},
		"status with plus":           {says(false, "HTTP/1.1 +99 Odd\r\nContent-Length: 2\r\n\r\nok"), 502},
		"another protocol":           {says(false, "SSH-2.0-OpenSSH_9.9\r\n\r\n"), 502},
		"two different lengths":      {says(false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!"), 502},
		"length with plus":           {says(false, "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok"), 502},
		"negative length":            {says(false, "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"), 502},
		"unknown coding":             {says(false, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok"), 502},
		"a huge head":                {says(false, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)+"\r\nContent-Length: 2\r\n\r\nok"), 502},
		"many fields":                {says(false, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X: y\r\n", 200_000)+"Content-Length: 2\r\n\r\nok"), 502},
		"early answers without end":  {endless("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), 504},
		"101 that nobody asked for":  {says(false, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), 502},
		"101 without a protocol":     {says(false, "HTTP/1.1 101 Switching Protocols\r\n\r\n"), 502},
		"an answer to HTTP/2":        {says(false, "\x00\x00\x00\x04\x00\x00\x00\x00\x00"), 502},
		"early answer, then nothing": {says(false, "HTTP/1.1 103 Early Hints\r\nSet-Cookie: a=b\r\nLink: </x>\r\n\r\n"), 502},
		"reset":                      {func(conn net.Conn, _ seen) bool { conn.(*net.TCPConn).SetLinger(0); return false }, 502},
		"silent":                     {func(conn net.Conn, _ seen) bool { io.Copy(io.Discard, conn); return false }, 504},
		"slow head": {func(conn net.Conn, _ seen) bool {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			io.Copy(io.Discard, conn)
			return false
		}, 504},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			patience := time.Minute // whatever is wrong is seen before
			if row.want == http.StatusGatewayTimeout {
				patience = 300 * time.Millisecond
			}
			h := build(t, plan{reply: row.reply, around: observed, upstream: func(u *gateway.Upstream) { u.Response = patience }})
			bare(t, h, once(t, h.addr, request("GET /a", jack)), row.want)
			if !strings.Contains(h.log.String(), "upstream app") {
				t.Errorf("the log does not name the upstream:\n%s", h.log)
			}
		})
	}
}

// TestFaultsAreToldWithoutWhatWasSent: a broken line may be a credential, and errors of net/http quote it.
func TestFaultsAreToldWithoutWhatWasSent(t *testing.T) {
	chunked := request("POST /a", jack, "Transfer-Encoding: chunked")
	for name, row := range map[string]struct{ raw, reply string }{
		"trailer of the client":     {chunked + "3\r\nabc\r\n0\r\nAuthorization Token planted-secret\r\n\r\n", ok},
		"head of the upstream":      {request("GET /a", jack), "HTTP/1.1 200 OK\r\nSet-Cookie planted-secret\r\n\r\n"},
		"status of the upstream":    {request("GET /a", jack), "planted-secret\r\n\r\n"},
		"length by the upstream":    {request("GET /a", jack), "HTTP/1.1 200 OK\r\nContent-Length: planted-secret\r\n\r\n"},
		"coding by the upstream":    {request("GET /a", jack), "HTTP/1.1 200 OK\r\nTransfer-Encoding: planted-secret\r\n\r\n"},
		"protocol of the upstream":  {request("GET /a", jack), "HTTP/1.1 101 OK\r\nConnection: Upgrade\r\nUpgrade: planted-secret\r\n\r\n"},
		"trailer of the upstream":   {request("GET /a", jack), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nSet-Cookie planted-secret\r\n\r\n"},
		"chunk size by an upstream": {request("GET /a", jack), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nplanted-secret\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t, plan{reply: says(false, row.reply), around: observed})
			once(t, h.addr, row.raw)
			h.end()
			if text := h.log.String(); strings.Contains(text, "planted-secret") {
				t.Errorf("the log tells what was sent:\n%s", text)
			}
		})
	}
}

// endless returns a reply that is the same bytes until somebody ends the connection.
func endless(text string) func(net.Conn, seen) bool {
	return func(conn net.Conn, _ seen) bool {
		for {
			if _, err := io.WriteString(conn, text); err != nil {
				return false
			}
		}
	}
}

// bare fails unless the answer is a problem that tells an outsider nothing about the upstream.
func bare(t *testing.T, h *house, got answer, want int) {
	t.Helper()
	code := map[int]string{502: "upstream_unreachable", 504: "upstream_timeout"}[want]
	if got.status != want || got.code() != code {
		t.Errorf("answer %v, want the problem %s", got, code)
	}
	_, port, _ := net.SplitHostPort(h.app.addr)
	text := fmt.Sprint(got.header) + got.body
	text = strings.ReplaceAll(text, got.header.Get("X-Request-Id"), "") // random letters, which may be EOF
	for _, secret := range []string{port, "dial", "EOF", "refused", "malformed", "Set-Cookie", "upstream app", "net/http", "goroutine"} {
		if strings.Contains(text, secret) {
			t.Errorf("the answer says %q: %s", secret, text)
		}
	}
	if got.header.Get("X-Request-Id") == "" || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("header %v, want X-Request-Id and no-store", got.header)
	}
}

// TestUpstreamDown: nobody listens, or the name does not exist.
func TestUpstreamDown(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	for _, addr := range []string{listener.Addr().String(), "nowhere.invalid:80"} {
		h := build(t, plan{around: observed, upstream: func(u *gateway.Upstream) { u.URL = origin(addr) }})
		h.app.addr = addr
		bare(t, h, once(t, h.addr, request("GET /a", jack)), 502)
		bare(t, h, once(t, h.addr, request("POST /a", jack, "Content-Length: 3")+"abc"), 502)
		h.refused(t, request("GET /a"), 401)
	}
}

// TestHalfAnAnswer: a client must not take it for a whole one.
func TestHalfAnAnswer(t *testing.T) {
	for name, text := range map[string]string{
		"length":       "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
		"chunks":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"in a chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf",
		"bad chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
		"chunk framed": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\nhalf\nX",
	} {
		h := build(t, plan{reply: says(false, text)})
		if got := once(t, h.addr, request("GET /a", jack)); got.err == nil {
			t.Errorf("%s: the client read %v, want an answer that is cut", name, got)
		}
	}
}

// TestAnswersPass: what the upstream says arrives, without what belongs to its own connection.
func TestAnswersPass(t *testing.T) {
	h := build(t, plan{around: observed, reply: says(true, "HTTP/1.1 418 I'm a teapot\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Request-Id: theirs\r\nVary: Accept\r\nCache-Control: public\r\n"+
		"WWW-Authenticate: Basic realm=\"app\"\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nEtag: \"x\"\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nok")})
	got := once(t, h.addr, request("GET /a", jack))
	if got.status != 418 || got.body != "ok" || !slices.Equal(got.header["Set-Cookie"], []string{"a=1", "b=2"}) || got.header.Get("Content-Encoding") != "br" ||
		got.header.Get("Cache-Control") != "public" || got.header.Get("Www-Authenticate") != `Basic realm="app"` {
		t.Errorf("answer %v, want the upstream's", got)
	}
	for _, name := range []string{"X-Hop", "Keep-Alive", "Proxy-Authenticate"} {
		if got.header.Get(name) != "" {
			t.Errorf("%s: %q reached the client", name, got.header.Get(name))
		}
	}
	if ids := got.header["X-Request-Id"]; len(ids) != 1 || ids[0] == "theirs" {
		t.Errorf("X-Request-Id = %q, want ours alone", ids)
	}
}

// TestEarlyAnswers: 1xx answers pass, and take nothing with them that belongs to the last one.
func TestEarlyAnswers(t *testing.T) {
	h := build(t, plan{around: observed, guard: func(c *guard.Config) { c.Origins = []string{"https://spa.example"} },
		reply: says(true, "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\nX-Early: 1\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n"+ok)})
	got := once(t, h.addr, request("GET /a", jack, "Origin: https://spa.example"))
	if !slices.Equal(got.earlier, []int{103, 102, 103}) || got.early[0].Get("Link") != "</style.css>" || got.status != 200 || got.body != "ok" {
		t.Errorf("answers %v, then %v, want 103, 102, 103 and 200", got.earlier, got)
	}
	for name, want := range map[string]string{"Access-Control-Allow-Origin": "https://spa.example", "Access-Control-Allow-Credentials": "true", "Vary": "Origin", "X-Early": "", "Link": ""} {
		if got.header.Get(name) != want {
			t.Errorf("%s = %q, want %q", name, got.header.Get(name), want)
		}
	}
	if len(got.header["X-Request-Id"]) != 1 {
		t.Errorf("X-Request-Id = %q, want one", got.header["X-Request-Id"])
	}
}

// TestCORS: where the guard has a list of origins, nobody else decides who may read an answer.
func TestCORS(t *testing.T) {
	const theirs = "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\nAccess-Control-Expose-Headers: X-Secret\r\nVary: Accept\r\nContent-Length: 2\r\n\r\nok"
	h := build(t, plan{reply: says(true, theirs), guard: func(c *guard.Config) { c.Origins = []string{"https://spa.example"} }})
	got := once(t, h.addr, request("GET /a", jack, "Origin: https://spa.example"))
	if all := got.header["Access-Control-Allow-Origin"]; !slices.Equal(all, []string{"https://spa.example"}) || strings.Contains(got.header.Get("Access-Control-Expose-Headers"), "Secret") {
		t.Errorf("listed: %v, want our own fields alone", got.header)
	}
	if vary := strings.Join(got.header["Vary"], ", "); vary != "Accept, Origin, X-Api-Key" {
		t.Errorf("Vary = %q, want what both say", vary)
	}
	for _, fields := range [][]string{{jack, "Origin: https://evil.example"}, {jack, "Origin: null"}, {jack}, {jack, "Origin: https://spa.example", "Origin: https://evil.example"}} {
		got := once(t, h.addr, request("GET /a", fields...))
		for name := range got.header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%q: %s = %q, want none", fields, name, got.header[name])
			}
		}
		if !strings.Contains(strings.Join(got.header["Vary"], ","), "Origin") {
			t.Errorf("%q: Vary = %q, want Origin in it", fields, got.header["Vary"])
		}
	}
	h.app.take()
	for _, origin := range []string{"https://spa.example", "https://evil.example"} {
		got := h.refused(t, request("OPTIONS /admin/a", "Origin: "+origin, "Access-Control-Request-Method: PUT"), 204)
		if allowed := got.header.Get("Access-Control-Allow-Origin"); (allowed != "") != (origin == "https://spa.example") {
			t.Errorf("preflight from %s: allowed origin %q", origin, allowed)
		}
	}
	h.refused(t, request("OPTIONS /admin/../x", "Origin: https://spa.example", "Access-Control-Request-Method: PUT"), 400)
	h = build(t, plan{reply: says(true, theirs)}) // without a list it is the application's own affair
	if got := once(t, h.addr, request("GET /a", jack, "Origin: https://x.example")); got.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("without origins: %v, want the upstream's fields", got.header)
	}
}

const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Poison: 1\r\n\r\nPOISON"

// TestAnswersStayApart: what an upstream sends beyond an answer never becomes the answer to somebody else's request.
func TestAnswersStayApart(t *testing.T) {
	log.SetOutput(io.Discard) // net/http tells the standard logger what it found
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	for name, row := range map[string]struct{ attack, answer string }{
		"behind a body":          {"GET /a", ok + poison},
		"behind no body":         {"GET /a", "HTTP/1.1 204 No Content\r\n\r\n" + poison},
		"behind 304":             {"GET /a", "HTTP/1.1 304 Not Modified\r\nEtag: \"x\"\r\n\r\n" + poison},
		"behind an empty body":   {"GET /a", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + poison},
		"behind chunks":          {"GET /a", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + poison},
		"the body of HEAD":       {"HEAD /a", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(poison), poison)},
		"the chunks of HEAD":     {"HEAD /a", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + poison},
		"behind 204 with length": {"GET /a", fmt.Sprintf("HTTP/1.1 204 No Content\r\nContent-Length: %d\r\n\r\n%s", len(poison), poison)},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t, plan{upstream: func(u *gateway.Upstream) { u.MaxConns = 1 }, reply: func(conn net.Conn, s seen) bool {
				if strings.HasPrefix(s.line(), row.attack) {
					io.WriteString(conn, row.answer)
				} else {
					io.WriteString(conn, ok)
				}
				return true
			}})
			var group sync.WaitGroup
			for client := range 4 {
				group.Go(func() {
					conn := dial(t, h.addr)
					for i := range 100 {
						line := row.attack
						if (i+client)%2 == 0 {
							line = "GET /victim"
						}
						got := conn.ask(request(line, jack))
						if strings.Contains(got.body, "POISON") || got.header.Get("X-Poison") != "" {
							t.Errorf("%s was answered with %v", line, got)
							return
						}
						if got.err != nil {
							conn = dial(t, h.addr)
						}
					}
				})
			}
			group.Wait()
		})
	}
}

// TestLateBytesOfHEAD: an upstream that sends a body to HEAD, a moment after the head, does not answer the next request with it.
func TestLateBytesOfHEAD(t *testing.T) {
	next := make(chan struct{})
	h := build(t, plan{upstream: func(u *gateway.Upstream) { u.MaxConns = 1 }, reply: func(conn net.Conn, s seen) bool {
		if !strings.HasPrefix(s.line(), "HEAD") {
			io.WriteString(conn, ok)
			return true
		}
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(poison))
		<-next // now the proxy believes that it is done with this connection
		io.WriteString(conn, poison)
		return true
	}})
	if got := once(t, h.addr, request("HEAD /a", jack)); got.status != 200 || got.header.Get("Content-Length") != strconv.Itoa(len(poison)) {
		t.Fatalf("HEAD: %v, want 200", got)
	}
	victim := dial(t, h.addr)
	io.WriteString(victim, request("GET /victim", jack))
	if h.app.until(func() bool { return h.app.conns == 2 || len(h.app.list) == 2 }); h.app.accepted() == 1 {
		t.Errorf("the connection of a HEAD request was used again")
	}
	close(next)
	if got := victim.read("GET"); got.body != "ok" {
		t.Errorf("the next request got %v, want its own answer", got)
	}
}

// TestConnectionsAreReused: one after the other over one connection, and never more than MaxConns at once.
func TestConnectionsAreReused(t *testing.T) {
	h := build(t, plan{})
	for range 200 {
		h.reached(t, request("GET /a", jack))
	}
	if n := h.app.accepted(); n != 1 {
		t.Errorf("200 requests took %d connections to the upstream, want 1", n)
	}
	h = build(t, plan{upstream: func(u *gateway.Upstream) { u.MaxConns = 3 }})
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			conn := dial(t, h.addr)
			for range 20 {
				if got := conn.ask(request("GET /a", jack)); got.status != 200 {
					t.Errorf("with MaxConns: %v, want 200", got)
				}
			}
		})
	}
	group.Wait()
	if n := h.app.accepted(); n < 1 || n > 3 {
		t.Errorf("320 requests of 16 clients took %d connections, want 1 to 3", n)
	}
}

// TestClientGoesAway: the upstream notices, and the log does not take it for a fault of the upstream.
func TestClientGoesAway(t *testing.T) {
	ended := make(chan error, 1)
	h := build(t, plan{reply: func(conn net.Conn, _ seen) bool {
		_, err := conn.Read(make([]byte, 1))
		ended <- err
		return false
	}})
	conn := dial(t, h.addr)
	io.WriteString(conn, request("GET /a", jack))
	h.app.await(t, 1)
	conn.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the upstream read more of a request that was given up")
		}
	case <-time.After(patience):
		t.Error("the upstream still waits for a client that is gone")
	}
	h.end()
	if strings.Contains(h.log.String(), "level=ERROR") {
		t.Errorf("a client that goes away is logged as an error:\n%s", h.log)
	}
}

// TestDenialsCostNoConnection: who may not pass does not make the upstream work.
func TestDenialsCostNoConnection(t *testing.T) {
	h := build(t, plan{})
	for range 50 {
		h.refused(t, request("GET /admin/a", jack), http.StatusForbidden)
		h.refused(t, request("GET /a"), http.StatusUnauthorized)
	}
	if n := h.app.accepted(); n != 0 {
		t.Errorf("refused requests opened %d connections to the upstream", n)
	}
}
