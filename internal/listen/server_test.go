package listen_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/gatehouse-auth/gatehouse/internal/listen"
)

// journal is a logger's output that tests may read at any time.
type journal struct {
	mu sync.Mutex
	b  strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// eventually polls until ok, or fails.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%s did not happen in %v", what, patience)
		}
	}
}

// begin starts a server with c, on a free port unless c says otherwise, and ends it with the test.
func begin(t *testing.T, c listen.Config) (*listen.Server, string) {
	t.Helper()
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := listen.New(c)
	if err != nil {
		t.Fatal(err)
	}
	addr, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ctx)
	})
	return s, addr.String()
}

func protocolName(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }

// get returns status and body, over a client of its own.
func get(t *testing.T, tr *http.Transport, address string) string {
	t.Helper()
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr, Timeout: patience}).Get(address)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode, " ", string(text))
}

func insecure() *tls.Config { return &tls.Config{InsecureSkipVerify: true} } //nolint:gosec // the test's own server

func TestProtocols(t *testing.T) {
	cert, key := selfSigned(t)
	h1, h2 := new(http.Protocols), new(http.Protocols)
	h1.SetHTTP1(true)
	h2.SetHTTP2(true)
	h2c := new(http.Protocols)
	h2c.SetUnencryptedHTTP2(true)
	handler := http.HandlerFunc(protocolName)
	_, plain := begin(t, listen.Config{Handler: handler})
	_, clear := begin(t, listen.Config{Handler: handler, H2C: true})
	_, safe := begin(t, listen.Config{Handler: handler, CertFile: cert, KeyFile: key, H2C: true})
	rows := []struct {
		name, url string
		p         *http.Protocols
		want      string
	}{
		{"plain HTTP/1.1", "http://" + plain, h1, "200 HTTP/1.1"},
		{"TLS HTTP/1.1", "https://" + safe, h1, "200 HTTP/1.1"},
		{"TLS HTTP/2", "https://" + safe, h2, "200 HTTP/2.0"},
		{"HTTP/2 without TLS, allowed", "http://" + clear, h2c, "200 HTTP/2.0"},
		{"HTTP/1.1 where h2c is allowed", "http://" + clear, h1, "200 HTTP/1.1"},
	}
	for _, r := range rows {
		if got := get(t, &http.Transport{Protocols: r.p, TLSClientConfig: insecure()}, r.url); got != r.want {
			t.Errorf("%s: %q, want %q", r.name, got, r.want)
		}
	}
	if got := get(t, &http.Transport{Protocols: h2c}, "http://"+plain); strings.HasPrefix(got, "200") {
		t.Errorf("HTTP/2 without TLS where it is not allowed: %q, want an error", got)
	}
	if got := get(t, &http.Transport{}, "http://"+safe); !strings.HasPrefix(got, "400") {
		t.Errorf("plain HTTP to a TLS port: %q, want 400", got)
	}
}

func TestTLSOffersOnlyForwardSecrecyAndAEAD(t *testing.T) {
	cert, key := selfSigned(t)
	_, addr := begin(t, listen.Config{Handler: http.HandlerFunc(protocolName), CertFile: cert, KeyFile: key})
	try := func(c *tls.Config) error {
		conn, err := tls.Dial("tcp", addr, c)
		if err == nil {
			conn.Close()
		}
		return err
	}
	suites := append(tls.CipherSuites(), tls.InsecureCipherSuites()...)
	accepted := 0
	for _, s := range suites {
		if s.SupportedVersions[0] > tls.VersionTLS12 {
			continue
		}
		c := insecure()
		c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{s.ID}
		good := strings.HasPrefix(s.Name, "TLS_ECDHE_ECDSA_") && (strings.Contains(s.Name, "GCM") || strings.Contains(s.Name, "POLY1305"))
		if err := try(c); (err == nil) != good {
			t.Errorf("%s: %v, want accepted = %v", s.Name, err, good)
		} else if good {
			accepted++
		}
	}
	if accepted != 3 {
		t.Errorf("%d suites accepted with an ECDSA certificate, want 3", accepted)
	}
	for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		c := insecure()
		c.MinVersion, c.MaxVersion = v, v
		if try(c) == nil {
			t.Errorf("%s was accepted", tls.VersionName(v))
		}
	}
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c := insecure()
		c.MinVersion, c.MaxVersion = v, v
		if err := try(c); err != nil {
			t.Errorf("%s was refused: %v", tls.VersionName(v), err)
		}
	}
}

func TestNewSaysWhatToDo(t *testing.T) {
	cert, key := selfSigned(t)
	dir := t.TempDir()
	text := filepath.Join(dir, "text.pem")
	os.WriteFile(text, []byte("hello"), 0o600)
	huge := create(t, filepath.Join(dir, "huge.pem"))
	os.Truncate(huge, 2<<20)
	otherCert, otherKey := selfSigned(t)
	_ = otherCert
	rows := []struct {
		name      string
		cert, key string
		want      string
	}{
		{"no key", cert, "", "set both"},
		{"no certificate", "", key, "set both"},
		{"missing certificate", filepath.Join(dir, "none"), key, "the TLS certificate does not exist"},
		{"missing key", cert, filepath.Join(dir, "none"), "correct its path"},
		{"folder", dir, key, "must be a PEM file"},
		{"no PEM", text, key, "do not belong together or are broken"},
		{"swapped", key, cert, "do not belong together or are broken"},
		{"of another pair", cert, otherKey, "do not belong together"},
		{"huge", huge, key, "more than 1048576 bytes"},
	}
	for _, r := range rows {
		_, err := listen.New(listen.Config{Handler: http.NotFoundHandler(), Logger: slog.New(slog.DiscardHandler), CertFile: r.cert, KeyFile: r.key})
		if err == nil || !strings.Contains(err.Error(), r.want) {
			t.Errorf("%s: New() = %v, want an error with %q", r.name, err, r.want)
		}
	}
	if _, err := listen.New(listen.Config{}); err == nil {
		t.Error("New without handler and logger succeeded")
	}
}

func TestUnreadableKeyRefuses(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("the superuser reads everything")
	}
	cert, key := selfSigned(t)
	os.Chmod(key, 0)
	_, err := listen.New(listen.Config{Handler: http.NotFoundHandler(), Logger: slog.New(slog.DiscardHandler), CertFile: cert, KeyFile: key})
	if err == nil || !strings.Contains(err.Error(), "not readable") {
		t.Errorf("New() = %v, want: not readable", err)
	}
}

func TestStartSaysWhatToDo(t *testing.T) {
	_, addr := begin(t, listen.Config{Handler: http.NotFoundHandler()})
	s, err := listen.New(listen.Config{Handler: http.NotFoundHandler(), Logger: slog.New(slog.DiscardHandler), Addr: addr})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Start(); err == nil || !strings.Contains(err.Error(), addr) || !strings.Contains(err.Error(), "choose another") {
		t.Errorf("Start() on a used address = %v, want its name and what to do", err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown of a server that did not start: %v", err)
	}
}

func TestServerLimitsHeadersAndIdleConnections(t *testing.T) {
	_, addr := begin(t, listen.Config{Handler: http.HandlerFunc(protocolName), HeaderTimeout: limit, IdleTimeout: limit, MaxHeaderBytes: 1 << 10})
	for name, text := range map[string]string{
		"nothing": "", "half a header": "GET / HTTP/1.1\r\nHost: x\r\n", "idle after a request": "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "a dot": ".",
	} {
		_, r := open(t, addr, text)
		if _, err := io.ReadAll(r); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: connection is still open", name)
		}
	}
	_, r := open(t, addr, "GET / HTTP/1.1\r\nHost: x\r\nCookie: "+strings.Repeat("x", 10<<10))
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("large header: %v, %v, want 431", resp, err)
	}
	_, r = open(t, addr, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.ContentLength != int64(len("HTTP/1.1")) {
		t.Errorf("OPTIONS *: %v, %v, want the handler's answer", resp, err)
	}
}

func open(t *testing.T, addr, text string) (net.Conn, *bufio.Reader) {
	t.Helper()
	return dial(t, &httptest.Server{Listener: fixed{addr: addr}}, text)
}

// fixed is a listener of which only the address is wanted.
type fixed struct {
	net.Listener
	addr string
}

func (f fixed) Addr() net.Addr { a, _ := net.ResolveTCPAddr("tcp", f.addr); return a }

func TestServerErrorsAreValuesNotMessages(t *testing.T) {
	cert, key := selfSigned(t)
	var out journal
	_, addr := begin(t, listen.Config{Logger: out.logger(), CertFile: cert, KeyFile: key, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		w.WriteHeader(201)
		panic("handler's fault\nlevel=INFO msg=forged")
	})})
	open(t, addr, "%s%n\x1b[31m\r\nnot TLS at all\r\n\r\n")
	get(t, &http.Transport{TLSClientConfig: insecure()}, "https://"+addr)
	for _, want := range []string{"level=DEBUG msg=\"http server\" detail=\"http: TLS handshake error", "level=WARN msg=\"http server\" detail=\"http: superfluous", "level=ERROR msg=\"http server\" detail=\"http: panic serving"} {
		eventually(t, want, func() bool { return strings.Contains(out.String(), want) })
	}
	if strings.Contains(out.String(), "\nlevel=INFO msg=forged") {
		t.Errorf("a forged line in %s", out.String())
	}
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	for _, protocol := range []string{"http", "https"} {
		in, out := make(chan bool), make(chan bool)
		c := listen.Config{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(in)
			<-out
			io.WriteString(w, "whole")
		})}
		drained := false
		c.Draining = func(context.Context) { drained = true }
		if protocol == "https" {
			c.CertFile, c.KeyFile = selfSigned(t)
		}
		s, addr := begin(t, c)
		got, ended := make(chan string, 1), make(chan error, 1)
		go func() {
			got <- get(t, &http.Transport{TLSClientConfig: insecure(), ForceAttemptHTTP2: true}, protocol+"://"+addr)
		}()
		receive(t, in, "the request")
		go func() { ended <- s.Shutdown(context.Background()) }()
		eventually(t, "the end of accepting", func() bool {
			c, err := net.Dial("tcp", addr)
			if err == nil {
				c.Close()
			}
			return err != nil
		})
		close(out)
		if text := receive(t, got, "the answer"); text != "200 whole" {
			t.Errorf("%s: answer during shutdown = %q, want it whole", protocol, text)
		}
		if err := receive(t, ended, "the shutdown"); err != nil || !drained {
			t.Errorf("%s: Shutdown() = %v, Draining called = %v, want nil and true", protocol, err, drained)
		}
		select {
		case err := <-s.Failed():
			t.Errorf("Failed() delivered %v after a shutdown", err)
		default:
		}
	}
}

func TestShutdownCutsWhatOutlivesTheGrace(t *testing.T) {
	in, gone := make(chan bool), make(chan bool)
	s, addr := begin(t, listen.Config{Grace: limit, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(in)
		<-r.Context().Done()
		close(gone)
	})})
	go get(t, &http.Transport{}, "http://"+addr)
	receive(t, in, "the request")
	if err := s.Shutdown(t.Context()); !errors.Is(err, listen.ErrCut) {
		t.Errorf("Shutdown() = %v, want ErrCut", err)
	}
	receive(t, gone, "the end of the request's context")
}

func TestShutdownAtOnce(t *testing.T) {
	in := make(chan bool)
	s, addr := begin(t, listen.Config{Grace: time.Hour, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(in)
		<-r.Context().Done()
	})})
	go get(t, &http.Transport{}, "http://"+addr)
	receive(t, in, "the request")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(ctx) }()
	cancel()
	if err := receive(t, ended, "the shutdown"); !errors.Is(err, listen.ErrCut) {
		t.Errorf("Shutdown() of a cancelled context = %v, want ErrCut", err)
	}
}

// webSocket is a handler that echoes until its connection ends, and closes ended then.
func webSocket(ended chan<- bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { ended <- true }()
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, text, err := c.Read(context.Background())
			if err != nil {
				return
			}
			c.Write(context.Background(), kind, text)
		}
	})
}

func TestShutdownClosesWebSocketsAtTheEndOfTheGrace(t *testing.T) {
	cert, key := selfSigned(t)
	for _, c := range []listen.Config{{}, {CertFile: cert, KeyFile: key}} {
		ended := make(chan bool, 2)
		c.Handler, c.Grace = webSocket(ended), 4*limit
		s, addr := begin(t, c)
		scheme := "ws://"
		if c.CertFile != "" {
			scheme = "wss://"
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: insecure()}}
		conn, _, err := websocket.Dial(t.Context(), scheme+addr, &websocket.DialOptions{HTTPClient: client})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		done := make(chan error, 1)
		go func() { done <- s.Shutdown(t.Context()) }()
		conn.Write(t.Context(), websocket.MessageText, []byte("still here"))
		if _, text, err := conn.Read(t.Context()); err != nil || string(text) != "still here" {
			t.Errorf("%s echo during the grace = %q, %v", scheme, text, err)
		}
		if err := receive(t, done, "the shutdown"); !errors.Is(err, listen.ErrCut) || !strings.Contains(err.Error(), "1 upgraded") {
			t.Errorf("Shutdown() = %v, want ErrCut and one upgraded connection", err)
		}
		receive(t, ended, "the end of the WebSocket")
	}
}

func TestShutdownDoesNotWaitForWebSocketsThatAreGone(t *testing.T) {
	ended := make(chan bool, 2)
	s, addr := begin(t, listen.Config{Handler: webSocket(ended), Grace: time.Hour})
	var conns []*websocket.Conn
	for range 2 {
		c, _, err := websocket.Dial(t.Context(), "ws://"+addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	conns[0].CloseNow()
	receive(t, ended, "the end of the first WebSocket")
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(t.Context()) }()
	conns[1].CloseNow()
	if err := receive(t, done, "the shutdown"); err != nil {
		t.Errorf("Shutdown() = %v, want nil: both were closed by their clients", err)
	}
}

func TestFailedListenerIsReported(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, _ := begin(t, listen.Config{Handler: http.NotFoundHandler(), Listener: l})
	l.Close()
	if err := receive(t, s.Failed(), "the failure"); err == nil {
		t.Error("Failed() delivered nil")
	}
}

func TestServerOnUnixSocket(t *testing.T) {
	path := filepath.Join(shortDir(t), "admin.sock")
	l, err := listen.Unix(path)
	if err != nil {
		t.Fatal(err)
	}
	s, addr := begin(t, listen.Config{Handler: http.HandlerFunc(protocolName), Listener: l})
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", addr)
	}}
	if got := get(t, tr, "http://admin/"); got != "200 HTTP/1.1" {
		t.Errorf("answer over the socket = %q", got)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown() = %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there after Shutdown: %v", err)
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	cert, key := selfSigned(t)
	ended := make(chan bool, 1)
	s, addr := begin(t, listen.Config{Handler: webSocket(ended), CertFile: cert, KeyFile: key, Grace: limit})
	tr := &http.Transport{TLSClientConfig: insecure()}
	c, _, err := websocket.Dial(t.Context(), "wss://"+addr, &websocket.DialOptions{HTTPClient: &http.Client{Transport: tr}})
	if err != nil {
		t.Fatal(err)
	}
	s.Shutdown(t.Context())
	c.CloseNow()
	receive(t, ended, "the end of the WebSocket")
	tr.CloseIdleConnections()
}

func TestIsLoopback(t *testing.T) {
	for _, host := range []string{"localhost", "LOCALHOST", "127.0.0.1", "127.255.0.9", "::1", "[::1]", "0:0:0:0:0:0:0:1", "::1%lo", "::ffff:127.0.0.1", "[::ffff:7f00:1]"} {
		if !listen.IsLoopback(host) {
			t.Errorf("IsLoopback(%q) = false, want true", host)
		}
	}
	for _, host := range []string{
		"", "0.0.0.0", "::", "[::]", "*", "192.0.2.1", "10.0.0.1", "128.0.0.1", "::2", "fe80::1", "localhost.example.org", "127.0.0.1.example.org", "example.org",
		"127.1", "2130706433", "0x7f.1", "127.0.0.1:80", "[127.0.0.1", " localhost", "::ffff:192.0.2.1", "::127.0.0.1", "localhost.",
	} {
		if listen.IsLoopback(host) {
			t.Errorf("IsLoopback(%q) = true, want false", host)
		}
	}
}

func ExampleNew() {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
	s, err := listen.New(listen.Config{Addr: "127.0.0.1:0", Handler: h, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	addr, err := s.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := http.Get("http://" + addr.String())
	if err != nil {
		fmt.Println(err)
		return
	}
	text, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	fmt.Println(string(text), s.Shutdown(context.Background()))
	// Output: hello <nil>
}
