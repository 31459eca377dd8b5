package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	openIsOpen   = "tests:\n  - {request: GET /open, expect: allow}\n  - {request: GET /closed, expect: no_credential}\n"
	openIsClosed = "tests:\n  - {request: GET /open, expect: deny}\n"
)

// beginReload starts a server with reload.yaml and its policy tests.
func beginReload(t *testing.T) *gate {
	t.Helper()
	dir := shortDir(t)
	put(t, dir, "policy.yaml", openIsOpen)
	return begin(t, launchPlan{dir: dir, file: "reload.yaml"})
}

// status returns the status for a token at a path where every authenticated caller gets 404: there is nothing.
func (g *gate) status(t *testing.T, token string) int {
	t.Helper()
	return g.ask(t, "GET /closed", "Authorization: Token "+token).status
}

func (g *gate) wantTokens(t *testing.T, when string, statuses map[string]int) {
	t.Helper()
	for token, want := range statuses {
		if got := g.status(t, token); got != want {
			t.Errorf("%s: %s = %d, want %d", when, token, got, want)
		}
	}
}

func TestReloadFollowsTheFile(t *testing.T) {
	t.Parallel()
	g := beginReload(t)
	first := fixture(t, "reload.yaml")
	g.wantTokens(t, "at the start", map[string]int{"token-number-one": 404, "token-number-two": 401})
	g.write(t, "reload.yaml", strings.Replace(first, "token-number-one", "token-number-two", 1))
	g.logged(t, "configuration reloaded", `"tokens":1`, `"tests":2`)
	g.wantTokens(t, "after the edit", map[string]int{"token-number-one": 401, "token-number-two": 404})

	g.write(t, "reload.yaml", strings.Replace(first, "tokens: [token-number-one]", "tokns: [token-number-three]", 1))
	fault := g.logged(t, "configuration refused")
	if at, text := fault["at"], fmt.Sprint(fault["fault"]); at != "reload.yaml:4:5" || !strings.Contains(text, "allowed_tokens") || fault["level"] != "ERROR" {
		t.Errorf("the fault is logged as %v, want level ERROR, reload.yaml:4:5 and the nearest key", fault)
	}
	g.logged(t, "the last good configuration stays in use")
	g.wantTokens(t, "after a bad edit", map[string]int{"token-number-one": 401, "token-number-two": 404, "token-number-three": 401})

	g.write(t, "reload.yaml", first)
	g.logged(t, "configuration reloaded")
	g.wantTokens(t, "after it was mended", map[string]int{"token-number-one": 404, "token-number-two": 401})
	_, metrics := g.admin(t, "/metrics")
	for _, line := range []string{`gatehouse_config_reloads_total{result="refused"} 1`, `gatehouse_config_reloads_total{result="ok"} 3`} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
}

func TestReloadNeedsItsPolicyTests(t *testing.T) {
	t.Parallel()
	g := beginReload(t)
	g.write(t, "policy.yaml", openIsClosed) // the file of tests alone is a change, too
	refused := g.logged(t, "configuration refused")
	if text := fmt.Sprint(refused["fault"]); !containsAll(text, []string{"1 policy test of 1 failed", "policy.yaml:2", "GET /open"}) {
		t.Errorf("the failed test is logged as %q", text)
	}
	g.write(t, "reload.yaml", strings.Replace(fixture(t, "reload.yaml"), "token-number-one", "token-number-two", 1))
	g.logged(t, "configuration refused")
	g.wantTokens(t, "with failing tests", map[string]int{"token-number-one": 404, "token-number-two": 401})
	g.write(t, "policy.yaml", openIsOpen)
	g.logged(t, "configuration reloaded")
	g.wantTokens(t, "with good tests again", map[string]int{"token-number-one": 401, "token-number-two": 404})
}

func TestReloadBySignal(t *testing.T) {
	t.Parallel()
	g := beginReload(t)
	g.reload(t, "configuration reloaded") // without a change, too: who asks wants to see that it works
	put(t, g.dir, "reload.yaml", strings.Replace(fixture(t, "reload.yaml"), "token-number-one", "token-number-two", 1))
	g.signal(t, syscall.SIGHUP)
	g.logged(t, "configuration reloaded")
	g.wantTokens(t, "after SIGHUP", map[string]int{"token-number-one": 401, "token-number-two": 404})
}

func TestReloadSaysWhatWaitsForARestart(t *testing.T) {
	t.Parallel()
	g := beginReload(t)
	g.write(t, "reload.yaml", strings.Replace(fixture(t, "reload.yaml"), "header: 2s, shutdown: 20s", "header: 3s", 1)+"log: {level: [{logger: access, level: ERROR}]}\n")
	g.signal(t, syscall.SIGHUP)
	if line := g.logged(t, "a change takes effect only after a restart"); line["key"] != "server.timeouts" {
		t.Errorf("the line is %v, want the key server.timeouts", line)
	}
	g.logged(t, "configuration reloaded")
	before := g.read
	g.status(t, "token-number-one")
	g.reload(t, "configuration reloaded")
	if g.said(before, `"logger":"access"`) {
		t.Error("the new level of the access log is not in effect")
	}
}

// TestReloadFollowsTokenFiles: a token in a file of its own changes with that file, also when it appears later than its name.
func TestReloadFollowsTokenFiles(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	put(t, dir, "one.token", "the-first-token")
	put(t, dir, "gatehouse.yaml", "server: {http: {allowed_tokens: [\"file:one.token\", \"${MY_TOKEN}\"]}}\nrules: [{path: /closed, allow: authenticated}]\n")
	g := begin(t, launchPlan{dir: dir, env: []string{"MY_TOKEN=token-of-the-environment"}})
	g.wantTokens(t, "at the start", map[string]int{"the-first-token": 404, "token-of-the-environment": 404, "the-second-token": 401})
	g.write(t, "one.token", "the-second-token\n")
	g.logged(t, "configuration reloaded")
	g.wantTokens(t, "after the change", map[string]int{"the-first-token": 401, "token-of-the-environment": 404, "the-second-token": 404})
	g.write(t, "gatehouse.yaml", "server: {http: {allowed_tokens: [\"file:two.token\"]}}\nrules: [{path: /closed, allow: authenticated}]\n")
	g.logged(t, "configuration refused")
	g.wantTokens(t, "while the file is missing", map[string]int{"the-second-token": 404})
	g.write(t, "two.token", "the-third-token")
	g.logged(t, "configuration reloaded")
	g.wantTokens(t, "once the file is there", map[string]int{"the-second-token": 401, "the-third-token": 404})
}

// A held application answers /slow when the test lets it.
type held struct {
	*httptest.Server
	entered chan struct{} // gets a value for each request to /slow that has come in
	release chan struct{} // closed, or given a value, to let one go
}

func startHeld(t *testing.T) *held {
	t.Helper()
	h := &held{entered: make(chan struct{}, 100), release: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "first ")
		w.(http.Flusher).Flush()
		h.entered <- struct{}{}
		select {
		case <-h.release:
			io.WriteString(w, "last")
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "not all of it")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "at once") })
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-App", "yes")
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	return h
}

// slow sends a request to /slow and returns, once the application has it, a channel for the whole body.
func (h *held) slow(t *testing.T, g *gate) <-chan string {
	t.Helper()
	conn := dial(t, g.addr)
	conn.SetDeadline(time.Now().Add(calm))
	io.WriteString(conn, request("GET /slow", "Authorization: Token token-number-one"))
	body := make(chan string, 1)
	go func() {
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			body <- err.Error()
			return
		}
		text, err := io.ReadAll(response.Body)
		if err != nil {
			text = append(text, err.Error()...)
		}
		body <- string(text)
	}()
	select {
	case <-h.entered:
	case text := <-body:
		t.Fatalf("the slow request was answered at once: %q", text)
	case <-time.After(calm):
		t.Fatal("the application never got the slow request")
	}
	return body
}

// received returns what comes on the channel.
func received(t *testing.T, body <-chan string) string {
	t.Helper()
	select {
	case text := <-body:
		return text
	case <-time.After(calm):
		t.Fatal("the slow request never ended")
		return ""
	}
}

// TestReloadUnderLoad: twenty reloads while requests come in on connections that stay open, and none of them notices.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	h := startHeld(t)
	g := begin(t, launchPlan{file: "held.yaml", env: []string{"APP=" + h.URL}})
	inFlight := h.slow(t, g)
	load := startLoad(t, g, 8)
	text := fixture(t, "held.yaml")
	for i := range 20 {
		with := fmt.Sprintf("[token-number-one, token-of-turn-%d]", i)
		g.write(t, "held.yaml", strings.Replace(text, "[token-number-one]", with, 1))
		g.reload(t, "configuration reloaded")
		g.wantTokens(t, "after the reload", map[string]int{fmt.Sprintf("token-of-turn-%d", i): 200, fmt.Sprintf("token-of-turn-%d", i-1): 401})
	}
	if n := load.end(t); n < 300 {
		t.Errorf("only %d requests were made meanwhile, want some hundreds", n)
	}
	close(h.release)
	if got := received(t, inFlight); got != "first last" {
		t.Errorf("the request under way across the reloads = %q, want it whole", got)
	}
}

// A load is some clients, each on one connection that must last.
type load struct {
	stop     chan struct{}
	clients  sync.WaitGroup
	requests atomic.Int64
	failure  atomic.Pointer[string]
}

// perClient is how many requests each client makes at least.
const perClient = 50

func startLoad(t *testing.T, g *gate, clients int) *load {
	t.Helper()
	l := &load{stop: make(chan struct{})}
	for range clients {
		conn := dial(t, g.addr)
		conn.SetDeadline(time.Now().Add(2 * calm))
		l.clients.Go(func() { l.client(conn) })
	}
	return l
}

// client asks again and again, until it is stopped and has asked often enough.
func (l *load) client(conn net.Conn) {
	r := bufio.NewReader(conn)
	raw := request("GET /quick", "Authorization: Token token-number-one")
	for n := 0; ; n++ {
		select {
		case <-l.stop:
			if n >= perClient {
				return
			}
		default:
		}
		_, err := io.WriteString(conn, raw)
		var got reply
		if err == nil {
			got, err = parseReply(r, raw)
		}
		if err != nil || got.status != 200 || got.body != "at once" {
			failure := fmt.Sprintf("request %d of a connection: %d %q, %v", n+1, got.status, got.body, err)
			l.failure.Store(&failure)
			return
		}
		l.requests.Add(1)
	}
}

// end returns how many requests were made. One that failed fails the test.
func (l *load) end(t *testing.T) int64 {
	t.Helper()
	close(l.stop)
	l.clients.Wait()
	if failure := l.failure.Load(); failure != nil {
		t.Errorf("%s, want 200 on a connection that stays", *failure)
	}
	return l.requests.Load()
}

// TestReloadKeepsTunnels: a WebSocket is a request that lasts; a reload is none of its business.
func TestReloadKeepsTunnels(t *testing.T) {
	t.Parallel()
	a := startApp(t)
	g := begin(t, launchPlan{file: "held.yaml", env: []string{"APP=http://" + a.addr}})
	raw := request("GET /socket", "Authorization: Token token-number-one", "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
	conn := dial(t, g.addr)
	conn.SetDeadline(time.Now().Add(2 * calm))
	io.WriteString(conn, raw)
	r := bufio.NewReader(conn)
	if got := readReply(t, r, raw); got.status != http.StatusSwitchingProtocols {
		t.Fatalf("the handshake = %d %q, want 101", got.status, got.body)
	}
	echo := func(text string) {
		t.Helper()
		io.WriteString(conn, text)
		got := make([]byte, len(text))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != text {
			t.Fatalf("the echo of %q = %q, %v", text, got, err)
		}
	}
	echo("before")
	g.write(t, "held.yaml", strings.Replace(fixture(t, "held.yaml"), "token-number-one", "token-number-two", 1))
	g.reload(t, "configuration reloaded")
	echo("after")
	g.wantTokens(t, "after the reload", map[string]int{"token-number-one": 401, "token-number-two": 200})
}
