package explain

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/guard"
)

// A pipeListener accepts connections that live in memory.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// A liveServer is a real http.Server with a guard in front of a handler that answers 204.
type liveServer struct {
	listener *pipeListener
	received chan *http.Request // what the guard was handed
}

func newLiveServer(t *testing.T, g *guard.Guard) *liveServer {
	s := &liveServer{&pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}, make(chan *http.Request, 1)}
	guarded := g.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.received <- r.Clone(r.Context())
			guarded.ServeHTTP(w, r)
		}),
		DisableGeneralOptionsHandler: true, MaxHeaderBytes: 64 << 10, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(s.listener) }()
	t.Cleanup(func() {
		server.Close()
		<-ended
	})
	return s
}

// ask sends raw on a connection of its own. It returns the request as the handler got it, nil if it did not, and the answer's status and code.
func (s *liveServer) ask(t *testing.T, method, raw string) (r *http.Request, status int, code string) {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	client.SetDeadline(time.Now().Add(time.Minute))
	s.listener.conns <- server
	go io.WriteString(client, raw) // the server may answer before it has read all
	resp, err := http.ReadResponse(bufio.NewReader(client), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	var body struct{ Code string }
	if text, _ := io.ReadAll(resp.Body); resp.Header.Get("Content-Type") == "application/problem+json" && len(text) > 0 {
		if err := json.Unmarshal(text, &body); err != nil {
			t.Fatalf("%q: %v: %s", raw, err, text)
		}
	}
	select {
	case r = <-s.received:
	default:
	}
	return r, resp.StatusCode, body.Code
}

// A question is a request in the words of NewRequest.
type question struct {
	method, target, host string
	headers              []string
}

// raw writes q in the way of a client that knows nothing of the rules. target must not be a URL.
func (q question) raw() string {
	lines, host, body := "", "Host: "+q.host+"\r\n", ""
	for _, h := range q.headers {
		lines += h + "\r\n"
		if strings.HasPrefix(strings.ToLower(h), "host:") {
			host = ""
		}
		if strings.HasPrefix(h, "Content-Length") || strings.HasPrefix(h, "Transfer-Encoding") {
			body = "0\r\n\r\n" // five bytes, and an empty chunked body
		}
	}
	return q.method + " " + q.target + " HTTP/1.1\r\n" + host + lines + "\r\n" + body
}

var (
	someMethods = []string{"GET", "HEAD", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "FOO", "G(T"}
	somePieces  = []string{"/", "/films", "/films/1", "/docs", "/export", "/..", "/.", "//", "/%2e%2e", "/%2F", "%zz", "%", "?", "x=1", ";a=b", `\`, "#", "%00", "ü", "\xff", "*", ":1", "%41", "/~"}
	someHosts   = []string{"localhost", "office.example.org", "OFFICE.example.org.", "office.example.org:80", "a..b", "[::1]", "[::1", "a/b", " a ", "1.2.3.4:99999"}
	someHeaders = []string{"Authorization: Token " + planted, "Authorization: Token gh_key_root", "authorization:token wrong", "Authorization: Bearer x", "Authorization: Token", "Authorization:", "Host: office.example.org", "Host:", "Content-Length: 5", "Content-Length: x", "Transfer-Encoding: chunked", "Transfer-Encoding: gzip", "Expect: 100-continue", "Expect: 100-Continue, x", "Expect: x", "Expect:", "X_Y: 1", "A : b", "A: \x01", "A: \xff", "Connection: close", "Upgrade: h2c", "Pragma: no-cache", "Trailer: X-Foo", "Cookie: a=b; c"}
)

const manyRequests = 10_000

func pick(random *rand.Rand, from []string) string { return from[random.IntN(len(from))] }

// someQuestion makes a request that is often good and sometimes hostile.
func someQuestion(random *rand.Rand) question {
	q := question{method: "GET", target: "/", host: "localhost"}
	if random.IntN(3) == 0 {
		q.method = pick(random, someMethods)
	}
	if random.IntN(4) == 0 {
		q.host = pick(random, someHosts)
	}
	q.target = pick(random, somePieces[:6])
	for range random.IntN(3) {
		q.target += pick(random, somePieces)
	}
	for range random.IntN(3) {
		q.headers = append(q.headers, pick(random, someHeaders))
	}
	return q
}

// TestAgreesWithServer sends each of many requests to a real server, and asks NewRequest and the same guard about it: the request is the same one,
// the decision is the same one, and what net/http refuses is refused.
func TestAgreesWithServer(t *testing.T) {
	g := newGuard(t, exampleRules, nil)
	s := newLiveServer(t, g)
	random := rand.New(rand.NewPCG(1, 2)) // the same requests each time
	outcomes := map[string]int{}
	for range manyRequests {
		q := someQuestion(random)
		outcomes[agree(t, g, s, q)]++
	}
	for _, want := range []string{"refused by net/http", "allow", "bad_target", "no_credential", "unknown_token", "forbidden", "method_not_allowed", "duplicate_credential", "malformed_credential", "unsupported_scheme"} {
		if outcomes[want] < 5 {
			t.Errorf("only %d of the requests ended as %q: the test does not show much", outcomes[want], want)
		}
	}
}

// agree compares one request and returns what became of it.
func agree(t *testing.T, g *guard.Guard, s *liveServer, q question) string {
	t.Helper()
	live, status, code := s.ask(t, q.method, q.raw())
	r, err := NewRequest(t.Context(), q.method, q.target, q.host, q.headers)
	if live == nil {
		if !errors.Is(err, ErrRefusedByServer) {
			t.Errorf("the server answers %d to %q, NewRequest = %v, want ErrRefusedByServer", status, q.raw(), err)
		}
		return "refused by net/http"
	}
	if err != nil {
		t.Errorf("the server reads %q, NewRequest = %v, want a request", q.raw(), err)
		return ""
	}
	same(t, q, "Method", r.Method, live.Method)
	same(t, q, "Host", r.Host, live.Host)
	same(t, q, "RequestURI", r.RequestURI, live.RequestURI)
	same(t, q, "URL", *r.URL, *live.URL)
	same(t, q, "Header", r.Header, live.Header)
	same(t, q, "ContentLength", r.ContentLength, live.ContentLength)
	same(t, q, "Proto", r.Proto, live.Proto)
	report := NewReport(g.Judge(r), 0)
	if (report.Decision == Allow) != (status == http.StatusNoContent) || q.method != "HEAD" && report.Code != code {
		t.Errorf("%q: the report says %s %s, the server answered %d %s", q.raw(), report.Decision, report.Code, status, code)
	}
	return cmp.Or(report.Code, report.Decision)
}

func same(t *testing.T, q question, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q: %s = %#v, want %#v as the server has it", q.raw(), what, got, want)
	}
}

// TestAgreesOnSize: the limit is the server's to the byte.
func TestAgreesOnSize(t *testing.T) {
	g := newGuard(t, exampleRules, nil)
	s := newLiveServer(t, g)
	empty := question{"GET", "/docs", "localhost", []string{"A: "}}
	for _, size := range []int{maxHead - 1, maxHead, maxHead + 1, maxHead + 4096} {
		q := empty
		q.headers = []string{"A: " + strings.Repeat("x", size-len(empty.raw()))}
		live, status, _ := s.ask(t, q.method, q.raw())
		_, err := NewRequest(t.Context(), q.method, q.target, q.host, q.headers)
		if (err == nil) != (live != nil) || err != nil && !errors.Is(err, ErrRefusedByServer) {
			t.Errorf("%d bytes: the server answered %d, NewRequest = %v", size, status, err)
		}
	}
}
