package gateway_test

import (
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/gatehouse-auth/gatehouse/gateway"
)

// A gauge counts the requests that are with a handler, and remembers the most that there were at once.
type gauge struct{ now, most atomic.Int64 }

func (g *gauge) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for n, most := g.now.Add(1), g.most.Load(); n > most && !g.most.CompareAndSwap(most, n); most = g.most.Load() {
		}
		defer g.now.Add(-1)
		next.ServeHTTP(w, r)
	})
}

// hanging is an upstream that never answers where the target says so.
func hanging(conn net.Conn, s seen) bool {
	if strings.Contains(s.target(), "hang") {
		io.Copy(io.Discard, conn)
		return false
	}
	io.WriteString(conn, ok)
	return true
}

// TestHTTP2Floods: a client that makes work and never waits for it (CVE-2023-44487, CVE-2023-45288, CVE-2019-9515, CVE-2019-9512) is
// bounded, and others are served all the same.
func TestHTTP2Floods(t *testing.T) {
	endless := block(head("/a/hang", field{"x", strings.Repeat("x", 12_000)}))
	for name, flood := range map[string]func(*framer, uint32) error{
		"rapid reset": func(f *framer, i uint32) error {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block(head("/a/hang", token)), EndHeaders: true, EndStream: true})
			return f.WriteRSTStream(2*i+1, http2.ErrCodeCancel)
		},
		"reset by the server": func(f *framer, i uint32) error {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block(head("/a/hang", token)), EndHeaders: true})
			return f.WriteWindowUpdate(2*i+1, 0)
		},
		"continuation": func(f *framer, i uint32) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: endless})
			}
			return f.WriteContinuation(1, false, block([]field{{"x", strings.Repeat("x", 12_000)}}))
		},
		"empty continuation": func(f *framer, i uint32) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: endless})
			}
			return f.WriteContinuation(1, false, nil)
		},
		"settings": func(f *framer, i uint32) error {
			return f.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 16384 + i%9})
		},
		"ping": func(f *framer, _ uint32) error { return f.WritePing(false, [8]byte{1}) },
		"empty data": func(f *framer, i uint32) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(head("/a/hang", field{":method", "POST"}, token)), EndHeaders: true})
			}
			return f.WriteData(1, false, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			busy := &gauge{}
			addr := startFlooded(t, busy)
			attacker := dialHTTP2(t, addr)
			for i := range uint32(5000) {
				if flood(attacker, i) != nil {
					break // the server has ended the connection
				}
			}
			if status := dialHTTP2(t, addr).ask(t, head("/a", token)); status != 200 {
				t.Errorf("another client gets %d, want 200", status)
			}
			if status := dialHTTP2(t, addr).ask(t, head("/a")); status != 401 {
				t.Errorf("another client without a token gets %d, want 401", status)
			}
			if most := busy.most.Load(); most > 252 {
				t.Errorf("%d requests were in work at once, want no more than the 250 streams of the connection", most)
			}
			attacker.conn.Close()
			for deadline := time.Now().Add(patience); busy.now.Load() > 0; {
				if time.Now().After(deadline) {
					t.Fatalf("%d requests are still in work after the client has gone", busy.now.Load())
				}
				runtime.Gosched()
			}
		})
	}
}

// startFlooded starts a proxy over TLS with HTTP/2 in front of an upstream that may hang.
func startFlooded(t *testing.T, busy *gauge) string {
	t.Helper()
	a := startApp(t, hanging)
	proxy, err := gateway.NewProxy(gateway.ProxyConfig{Guard: newGuard(t, guardConfig(t)), Upstreams: []gateway.Upstream{{Name: "app", URL: origin(a.addr)}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	server := newServer(busy.around(proxy), &logBook{})
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// TestContinuationEndsTheConnection: a head without end is not read for ever.
func TestContinuationEndsTheConnection(t *testing.T) {
	_, addr := startHTTP2(t)
	f := dialHTTP2(t, addr)
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(head("/a", token))})
	sent, piece := 0, block([]field{{"x", strings.Repeat("x", 12_000)}})
	for sent < 64<<20 && f.WriteContinuation(1, false, piece) == nil {
		sent += len(piece)
	}
	if sent >= 64<<20 {
		t.Errorf("the server took %d bytes of one head, want the end of the connection", sent)
	}
}

// TestRedirectsAreNotFollowed: where an upstream sends a client to is the client's affair. No credential and no body goes there from here.
func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	var asked atomic.Int64
	go func() {
		for {
			conn, err := elsewhere.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			conn.Close()
		}
	}()
	for _, status := range []string{"301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"} {
		to := "http://" + elsewhere.Addr().String() + "/x"
		h := build(t, plan{reply: says(true, "HTTP/1.1 "+status+"\r\nLocation: "+to+"\r\nContent-Length: 0\r\n\r\n")})
		for _, raw := range []string{request("GET /keep/a", jack, "Cookie: a=b"), request("POST /a", jack, "Content-Length: 3") + "abc"} {
			got := once(t, h.addr, raw)
			if !strings.HasPrefix(status, strconv.Itoa(got.status)) || got.header.Get("Location") != to {
				t.Errorf("%s: answer %v to %q, want the upstream's own", status, got, firstLine(raw))
			}
			if n := len(h.app.take()); n != 1 {
				t.Errorf("%s: the upstream saw %d requests, want one", status, n)
			}
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("somebody else was asked %d times, want never", n)
	}
}

// TestUpstreamRefusesTheHead: a head that is too long for the upstream is its answer, once, and no loop.
func TestUpstreamRefusesTheHead(t *testing.T) {
	for status, line := range map[int]string{431: "431 Request Header Fields Too Large", 414: "414 URI Too Long"} {
		h := build(t, plan{reply: says(false, "HTTP/1.1 "+line+"\r\nContent-Length: 0\r\n\r\n")})
		got := once(t, h.addr, request("GET /a?"+strings.Repeat("q", 20_000), jack, "Cookie: a="+strings.Repeat("c", 30_000)))
		if got.status != status || len(h.app.take()) != 1 {
			t.Errorf("answer %v, want %d after one request", got, status)
		}
	}
}
