package gateway_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/gatehouse-auth/gatehouse/gateway"
)

// An origin server of these tests speaks real HTTP.
type backend struct {
	name string
	url  *url.URL
	cas  *x509.CertPool
}

// backends starts one server with the handler for each protocol that an upstream can speak.
func backends(t *testing.T, handler http.HandlerFunc) []backend {
	plain := httptest.NewServer(handler)
	clear := httptest.NewUnstartedServer(handler)
	clear.Config.Protocols = new(http.Protocols)
	clear.Config.Protocols.SetUnencryptedHTTP2(true)
	clear.Start()
	one, two := httptest.NewUnstartedServer(handler), httptest.NewUnstartedServer(handler)
	one.StartTLS()
	two.EnableHTTP2 = true
	two.StartTLS()
	var list []backend
	for i, s := range []*httptest.Server{plain, clear, one, two} {
		t.Cleanup(s.Close)
		u, err := url.Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		name := []string{"http/1.1", "h2c", "https http/1.1", "https h2"}[i]
		if name == "h2c" {
			u.Scheme = "h2c"
		}
		b := backend{name: name, url: u}
		if cert := s.Certificate(); cert != nil {
			b.cas = x509.NewCertPool()
			b.cas.AddCert(cert)
		}
		list = append(list, b)
	}
	return list
}

// fronts starts the proxy before b, over TLS with both versions of HTTP, and returns a client for each.
func fronts(t *testing.T, b backend) (string, map[string]*http.Client) {
	t.Helper()
	proxy, err := gateway.NewProxy(gateway.ProxyConfig{Guard: newGuard(t, guardConfig(t)), Upstreams: []gateway.Upstream{{Name: "app", URL: b.url, RootCAs: b.cas}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	server := newServer(proxy, &logBook{})
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	clients := map[string]*http.Client{}
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		tr := &http.Transport{TLSClientConfig: server.Client().Transport.(*http.Transport).TLSClientConfig.Clone(), Protocols: new(http.Protocols)}
		tr.Protocols.SetHTTP1(version == "HTTP/1.1")
		tr.Protocols.SetHTTP2(version == "HTTP/2.0")
		t.Cleanup(tr.CloseIdleConnections)
		clients[version] = &http.Client{Transport: tr, Timeout: patience}
	}
	return server.URL, clients
}

// eachWay runs test for every version of HTTP before and behind the proxy.
func eachWay(t *testing.T, handler http.HandlerFunc, test func(t *testing.T, client *http.Client, url, front, back string)) {
	t.Helper()
	for _, b := range backends(t, handler) {
		addr, clients := fronts(t, b)
		for version, client := range clients {
			t.Run(version+" to "+b.name, func(t *testing.T) { test(t, client, addr, version, b.name) })
		}
	}
}

func newRequest(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Token jack-token")
	return r
}

func do(t *testing.T, client *http.Client, r *http.Request) *http.Response {
	t.Helper()
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// TestVersionsBothWays: the same rules and the same fields with every version on either side.
func TestVersionsBothWays(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s user=%q proto=%q host=%q auth=%q alias=%q conn=%q", r.Proto, r.Method, r.RequestURI, r.Header["Remote-User"], r.Header["X-Forwarded-Proto"],
			r.Host, r.Header["Authorization"], r.Header["Remote_user"], r.Header["Connection"])
	}
	eachWay(t, handler, func(t *testing.T, client *http.Client, url, front, back string) {
		r := newRequest(t, "GET", url+"/%73ecret%40?a=1;b=2", nil)
		r.Header["Remote_user"], r.Header["Remote-User"] = []string{"root"}, []string{"root"}
		resp := do(t, client, r)
		body, _ := io.ReadAll(resp.Body)
		version := "HTTP/1.1"
		if strings.Contains(back, "h2") {
			version = "HTTP/2.0"
		}
		want := fmt.Sprintf(`%s GET /secret%%40?a=1;b=2 user=["jack"] proto=["https"] host=%q auth=[] alias=[] conn=[]`, version, strings.TrimPrefix(url, "https://"))
		if string(body) != want || resp.Proto != front {
			t.Errorf("%s:\n got %s\nwant %s", resp.Proto, body, want)
		}
		if resp := do(t, client, newRequest(t, "GET", url+"/admin/a", nil)); resp.StatusCode != 403 {
			t.Errorf("/admin/a: %s, want 403", resp.Status)
		}
		if resp := do(t, client, newRequest(t, "GET", url+"/a%2f..%2fb", nil)); resp.StatusCode != 400 {
			t.Errorf("an encoded slash: %s, want 400", resp.Status)
		}
		if resp := do(t, client, newRequest(t, "HEAD", url+"/a", nil)); resp.StatusCode != 200 {
			t.Errorf("HEAD: %s, want 200", resp.Status)
		}
	})
}

// TestStreamsBothWays: over HTTP/2 every piece of a body arrives before the next one is sent, as a remote procedure call needs it, and trailers
// follow. Over HTTP/1.1 an answer that begins before the request has been read must not cost the rest of the request.
func TestStreamsBothWays(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Grpc-Status")
		http.NewResponseController(w).EnableFullDuplex() // for HTTP/1.1; an error says that it is not needed
		w.(http.Flusher).Flush()
		lines := bufio.NewReader(r.Body)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				break
			}
			io.WriteString(w, "echo "+line)
			w.(http.Flusher).Flush()
		}
		w.Header().Set("Grpc-Status", r.Trailer.Get("X-Sum"))
		w.Header().Set(http.TrailerPrefix+"X-Late", r.Trailer.Get("Remote-User")+"|"+r.Trailer.Get("X-Api-Key")+"|"+r.Header.Get("Remote-User"))
	}
	eachWay(t, handler, func(t *testing.T, client *http.Client, url, front, back string) {
		duplex := front == "HTTP/2.0" && strings.Contains(back, "h2")
		body, send := io.Pipe()
		r := newRequest(t, "POST", url+"/a", body)
		r.Trailer = http.Header{"X-Sum": {"42"}, "Remote-User": {"root"}, "X-Api-Key": {"root-token"}}
		words := []string{"one\n", "two\n", "three\n"}
		if !duplex {
			go func() { io.WriteString(send, strings.Join(words, "")); send.Close() }()
		}
		resp := do(t, client, r)
		lines := bufio.NewReader(resp.Body)
		for _, word := range words {
			if duplex {
				io.WriteString(send, word)
			}
			if line, err := lines.ReadString('\n'); line != "echo "+word || err != nil {
				t.Fatalf("read %q, %v, want the echo of %q before anything else is sent", line, err, word)
			}
		}
		send.Close()
		if _, err := io.ReadAll(lines); err != nil {
			t.Fatal(err)
		}
		if got := resp.Trailer.Get("Grpc-Status"); got != "42" {
			t.Errorf("trailer Grpc-Status = %q, want what the request's trailer said", got)
		}
		if got := resp.Trailer.Get("X-Late"); got != "||jack" {
			t.Errorf("the upstream read %q from the managed trailers and the header, want jack from the header alone", got)
		}
	})
}

// TestEvents: server-sent events, and any answer of unknown length, arrive one by one.
func TestEvents(t *testing.T) {
	next := make(chan struct{})
	handler := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	}
	eachWay(t, handler, func(t *testing.T, client *http.Client, url, _, _ string) {
		for _, path := range []string{"/events", "/other"} {
			resp := do(t, client, newRequest(t, "GET", url+path, nil))
			lines := bufio.NewReader(resp.Body)
			for i := range 3 {
				if line, err := lines.ReadString('\n'); line != fmt.Sprintf("data: %d\n", i) || err != nil {
					t.Fatalf("%s: read %q, %v, want event %d before the next one is sent", path, line, err, i)
				}
				lines.ReadString('\n')
				next <- struct{}{}
			}
			if rest, err := io.ReadAll(lines); err != nil || len(rest) != 0 {
				t.Errorf("%s: then %q, %v, want the end", path, rest, err)
			}
		}
	})
}

// TestUploadIsStreamed: the upstream reads the beginning of a body before the client has sent its end.
func TestUploadIsStreamed(t *testing.T) {
	got := make(chan string)
	handler := func(w http.ResponseWriter, r *http.Request) {
		b := make([]byte, 5)
		io.ReadFull(r.Body, b)
		got <- string(b)
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	}
	eachWay(t, handler, func(t *testing.T, client *http.Client, url, _, _ string) {
		body, send := io.Pipe()
		answers := make(chan string)
		go func() {
			resp, err := client.Do(newRequest(t, "PUT", url+"/a", body))
			if err != nil {
				answers <- err.Error()
				return
			}
			text, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			answers <- string(text)
		}()
		io.WriteString(send, "begin")
		if first := <-got; first != "begin" {
			t.Errorf("the upstream read %q first", first)
		}
		io.WriteString(send, " and end")
		send.Close()
		if text := <-answers; text != "8" {
			t.Errorf("answer %q, want the length of the rest", text)
		}
	})
}

// TestFlatMemory: 64 MB each way need no more than a few buffers.
func TestFlatMemory(t *testing.T) {
	const size = 64 << 20
	handler := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			w.Header().Set("Content-Length", fmt.Sprint(size))
			io.CopyN(w, &sampled{}, size)
			return
		}
		sum := sha256.New()
		n, err := io.Copy(sum, r.Body)
		fmt.Fprintf(w, "%d %v %x", n, err, sum.Sum(nil))
	}
	eachWay(t, handler, func(t *testing.T, client *http.Client, url, _, _ string) {
		do(t, client, newRequest(t, "HEAD", url+"/warm", nil))
		before := heap()
		half := &sampled{left: size / 2}
		upload := newRequest(t, "PUT", url+"/a", io.LimitReader(half, size))
		upload.ContentLength = size
		text, err := io.ReadAll(do(t, client, upload).Body)
		if want := fmt.Sprintf("%d <nil> ", size); err != nil || !strings.HasPrefix(string(text), want) {
			t.Errorf("upload: the upstream read %q, %v, want %q", text, err, want)
		}
		if half.live > before+8<<20 {
			t.Errorf("half-way through the upload %d MB are in use, %d before it", half.live>>20, before>>20)
		}
		half = &sampled{left: size / 2}
		n, err := io.Copy(half, do(t, client, newRequest(t, "GET", url+"/a", nil)).Body)
		if n != size || err != nil {
			t.Errorf("download: %d bytes, %v, want %d", n, err, size)
		}
		if half.live > before+8<<20 {
			t.Errorf("half-way through the download %d MB are in use, %d before it", half.live>>20, before>>20)
		}
	})
}

// A sampled stream looks at the heap once so many bytes have passed.
type sampled struct {
	left int
	live uint64
}

func (s *sampled) pass(n int) (int, error) {
	if before := s.left; before > 0 && before <= n {
		s.live = heap()
	}
	s.left -= n
	return n, nil
}

// Read implements [io.Reader]: zeros without end.
func (s *sampled) Read(b []byte) (int, error) { clear(b); return s.pass(len(b)) }

// Write implements [io.Writer].
func (s *sampled) Write(b []byte) (int, error) { return s.pass(len(b)) }

// heap returns how much memory is in use, garbage left out: by client, proxy and upstream together.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestWebSocket: messages go to and fro, for those who may.
func TestWebSocket(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"echo"}, CompressionMode: websocket.CompressionContextTakeover})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		conn.SetReadLimit(1 << 20)
		conn.Write(r.Context(), websocket.MessageText, []byte("hello "+r.Header.Get("Remote-User")))
		for {
			kind, message, err := conn.Read(r.Context())
			if err != nil || string(message) == "bye" {
				conn.Close(4000, "as you wish")
				return
			}
			conn.Write(r.Context(), kind, message)
		}
	}
	for _, b := range backends(t, handler) {
		t.Run(b.name, func(t *testing.T) {
			addr, clients := fronts(t, b)
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			options := &websocket.DialOptions{HTTPClient: clients["HTTP/1.1"], Subprotocols: []string{"echo"}, CompressionMode: websocket.CompressionContextTakeover}
			if _, resp, err := websocket.Dial(ctx, addr+"/a", options); err == nil || resp.StatusCode != http.StatusUnauthorized {
				t.Fatalf("without a credential: %v, want 401", resp)
			}
			options.HTTPHeader = http.Header{"Authorization": {"Token jack-token"}, "Remote-User": {"root"}}
			conn, resp, err := websocket.Dial(ctx, addr+"/a", options)
			if b.name == "h2c" { // a connection of its own for each WebSocket is HTTP/1.1
				if err == nil || resp.StatusCode != http.StatusBadGateway {
					t.Errorf("to an upstream without HTTP/1.1: %v, want 502", resp)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			talk(ctx, t, conn)
		})
	}
}

func talk(ctx context.Context, t *testing.T, conn *websocket.Conn) {
	t.Helper()
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	if _, hello, err := conn.Read(ctx); string(hello) != "hello jack" || err != nil {
		t.Fatalf("read %q, %v, want the greeting with the name", hello, err)
	}
	if conn.Subprotocol() != "echo" {
		t.Errorf("subprotocol %q, want echo", conn.Subprotocol())
	}
	for _, message := range []string{"", "a", strings.Repeat("x", 500_000), "ünï"} {
		conn.Write(ctx, websocket.MessageText, []byte(message))
		if _, got, err := conn.Read(ctx); string(got) != message || err != nil {
			t.Fatalf("read %d bytes, %v, want the %d that were sent", len(got), err, len(message))
		}
	}
	conn.Write(ctx, websocket.MessageText, []byte("bye"))
	if _, _, err := conn.Read(ctx); websocket.CloseStatus(err) != 4000 {
		t.Errorf("the end: %v, want the upstream's close status", err)
	}
}

// TestWebSocketEnds: when one side goes, the other notices.
func TestWebSocketEnds(t *testing.T) {
	const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Request-Id: theirs\r\n\r\n"
	upgrade := request("GET /a", jack, "Connection: Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Key: x", "Remote-User: root")
	ended := make(chan error, 1)
	h := build(t, plan{around: observed, reply: func(conn net.Conn, _ seen) bool {
		io.WriteString(conn, switching)
		_, err := io.Copy(io.Discard, conn)
		ended <- err
		return false
	}})
	conn := dial(t, h.addr)
	if got := conn.ask(upgrade); got.status != 101 || got.header.Get("X-Request-Id") == "theirs" || got.header.Get("X-Request-Id") == "" {
		t.Fatalf("upgrade: %v, want 101 with our X-Request-Id", got)
	}
	s := h.app.await(t, 1)[0]
	only(t, s, "Remote-User", "jack")
	only(t, s, "Upgrade", "WebSocket")
	none(t, s, "Authorization")
	conn.Close()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the upstream still waits for a client that is gone")
	}
	h = build(t, plan{reply: says(false, switching+"\x88\x00")})
	conn = dial(t, h.addr)
	conn.ask(upgrade)
	if rest, err := io.ReadAll(conn.r); string(rest) != "\x88\x00" || err != nil {
		t.Errorf("after the upgrade: %q, %v, want what the upstream sent and the end", rest, err)
	}
	// A refused upgrade is an answer like any other.
	h = build(t, plan{})
	if got := once(t, h.addr, upgrade); got.status != 200 {
		t.Errorf("an upstream that does not upgrade: %v, want its answer", got)
	}
}

// TestUpstreamCertificate: an upstream that cannot prove its name gets nothing.
func TestUpstreamCertificate(t *testing.T) {
	reached := false
	for _, b := range backends(t, func(http.ResponseWriter, *http.Request) { reached = true })[2:] {
		b.cas = nil
		addr, clients := fronts(t, b)
		if resp := do(t, clients["HTTP/2.0"], newRequest(t, "GET", addr+"/a", nil)); resp.StatusCode != http.StatusBadGateway || reached {
			t.Errorf("%s: %s, want 502 and no request at the upstream", b.name, resp.Status)
		}
	}
	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old.StartTLS()
	defer old.Close()
	u, _ := url.Parse(old.URL)
	cas := x509.NewCertPool()
	cas.AddCert(old.Certificate())
	addr, clients := fronts(t, backend{url: u, cas: cas})
	if resp := do(t, clients["HTTP/1.1"], newRequest(t, "GET", addr+"/a", nil)); resp.StatusCode != http.StatusBadGateway {
		t.Errorf("an upstream with TLS 1.1: %s, want 502", resp.Status)
	}
}
