package gateway_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every exchange of these tests.
const patience = 20 * time.Second

// A seen is one request as an upstream read it off the wire: nothing decoded, folded or put into order.
type seen struct {
	conn int    // the connection that brought it, counted from 1
	head string // the request line and the fields with their line ends, without the empty line
	body string // as it was framed, with chunk sizes and trailer fields
	cut  bool   // whether the connection ended before the request did
}

// line returns the request line.
func (s seen) line() string {
	line, _, _ := strings.Cut(s.head, "\r\n")
	return line
}

// target returns the second word of the request line.
func (s seen) target() string {
	words := strings.Split(s.line(), " ")
	if len(words) != 3 {
		return "(no request line)"
	}
	return words[1]
}

// fields returns the lines of the fields.
func (s seen) fields() []string {
	lines := strings.Split(strings.TrimSuffix(s.head, "\r\n"), "\r\n")
	return lines[1:]
}

// all returns the values of the fields with this name, in any case.
func (s seen) all(name string) []string {
	var values []string
	for _, line := range s.fields() {
		if n, value, _ := strings.Cut(line, ":"); strings.EqualFold(n, name) {
			values = append(values, strings.TrimPrefix(value, " "))
		}
	}
	return values
}

// trailer returns the lines behind the last chunk.
func (s seen) trailer() []string {
	if len(s.all("Transfer-Encoding")) == 0 {
		return nil
	}
	_, rest, _ := strings.Cut("\r\n"+s.body, "\r\n0\r\n")
	return strings.Split(rest, "\r\n")
}

// flat is a field's name as a CGI server reads it: lighttpd and old Apache turn everything but letters and digits into one character.
func flat(name string) string {
	return strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
			return c
		}
		return '_'
	}, strings.ToLower(name))
}

// like returns the lines of head and trailer whose field a CGI server would take for name.
func (s seen) like(name string) []string {
	var found []string
	for _, line := range slices.Concat(s.fields(), s.trailer()) {
		if n, _, ok := strings.Cut(line, ":"); ok && flat(n) == flat(name) {
			found = append(found, line)
		}
	}
	return found
}

// An app is an upstream that speaks no HTTP of its own: it keeps what it read and answers with what it is told to.
type app struct {
	addr  string
	reply func(conn net.Conn, s seen) (keep bool)

	mu    sync.Mutex
	conns int // all that came in
	open  int // those that are still open
	list  []seen
	cond  *sync.Cond
}

// startApp starts an upstream. A nil reply answers every request with its own head as the body.
func startApp(t testing.TB, reply func(conn net.Conn, s seen) (keep bool)) *app {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &app{addr: listener.Addr().String(), reply: reply}
	a.cond = sync.NewCond(&a.mu)
	if reply == nil {
		a.reply = echo
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			a.mu.Lock()
			a.conns++
			a.open++
			number := a.conns
			a.mu.Unlock()
			go a.serve(conn, number)
		}
	}()
	return a
}

// echo answers with the head of the request.
func echo(conn net.Conn, s seen) bool {
	body := s.head
	if strings.HasPrefix(s.head, "HEAD ") {
		body = ""
	}
	fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	return true
}

// says returns a reply that is always the same bytes; the connection is closed after them unless keep is true.
func says(keep bool, text string) func(net.Conn, seen) bool {
	return func(conn net.Conn, _ seen) bool {
		io.WriteString(conn, text)
		return keep
	}
}

func (a *app) serve(conn net.Conn, number int) {
	defer a.closed(conn)
	r := bufio.NewReader(conn)
	for {
		s, err := readSeen(r)
		if s.head == "" && err != nil {
			return
		}
		s.conn, s.cut = number, err != nil
		a.mu.Lock()
		a.list = append(a.list, s)
		a.cond.Broadcast()
		a.mu.Unlock()
		if err != nil || !a.reply(conn, s) {
			return
		}
	}
}

func (a *app) closed(conn net.Conn) {
	conn.Close()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open--
	a.cond.Broadcast()
}

// readSeen reads one request. Its framing is the strictest there is: what does not fit it shows up as the next request.
func readSeen(r *bufio.Reader) (seen, error) {
	var s seen
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			s.head += line
			return s, err
		}
		if line == "\r\n" {
			break
		}
		s.head += line
	}
	var err error
	if coding := s.all("Transfer-Encoding"); len(coding) > 0 {
		s.body, err = readChunked(r)
		return s, err
	}
	if length := s.all("Content-Length"); len(length) > 0 {
		n, _ := strconv.Atoi(length[0])
		body := make([]byte, n)
		n, err = io.ReadFull(r, body)
		s.body = string(body[:n])
	}
	return s, err
}

func readChunked(r *bufio.Reader) (string, error) {
	var raw strings.Builder
	for {
		line, err := r.ReadString('\n')
		raw.WriteString(line)
		if err != nil {
			return raw.String(), err
		}
		size, err := strconv.ParseUint(strings.TrimRight(line, "\r\n"), 16, 31)
		if err != nil {
			return raw.String(), err
		}
		if size == 0 {
			break
		}
		if _, err := io.CopyN(&raw, r, int64(size)+2); err != nil {
			return raw.String(), err
		}
	}
	for {
		line, err := r.ReadString('\n')
		raw.WriteString(line)
		if err != nil || line == "\r\n" {
			return raw.String(), err
		}
	}
}

// take returns what came in since the last take.
func (a *app) take() []seen {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := a.list
	a.list = nil
	return list
}

// await returns the requests once there are n of them.
func (a *app) await(t testing.TB, n int) []seen {
	t.Helper()
	if !a.until(func() bool { return len(a.list) >= n }) {
		t.Fatalf("the upstream saw fewer than %d requests", n)
	}
	return a.take()
}

// settled returns the requests once no connection is open any more, so that none can follow.
func (a *app) settled(t testing.TB) []seen {
	t.Helper()
	if !a.until(func() bool { return a.open == 0 }) {
		t.Fatal("connections to the upstream stay open")
	}
	return a.take()
}

// until waits for a condition of a's fields.
func (a *app) until(condition func() bool) bool {
	deadline := time.Now().Add(patience)
	timer := time.AfterFunc(patience, a.cond.Broadcast)
	defer timer.Stop()
	a.mu.Lock()
	defer a.mu.Unlock()
	for !condition() {
		if time.Now().After(deadline) {
			return false
		}
		a.cond.Wait()
	}
	return true
}

// accepted returns how many connections have come in.
func (a *app) accepted() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.conns
}

// An answer is what a client read.
type answer struct {
	status  int
	header  http.Header
	body    string
	trailer http.Header
	early   []http.Header // of the 1xx answers before it
	earlier []int         // and their statuses
	err     error         // what cut the answer short
}

func (a answer) String() string {
	return fmt.Sprintf("%d %v %q (%v)", a.status, a.header, a.body, a.err)
}

// code returns the code of a problem, without which it is no problem of ours.
func (a answer) code() string {
	if a.header.Get("Content-Type") != "application/problem+json" {
		return ""
	}
	_, rest, _ := strings.Cut(a.body, `"code":"`)
	code, _, _ := strings.Cut(rest, `"`)
	return code
}

// A caller is a client that writes bytes.
type caller struct {
	net.Conn
	r *bufio.Reader
}

// dial connects to addr until the test ends.
func dial(t testing.TB, addr string) *caller {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &caller{conn, bufio.NewReader(conn)}
}

// ask sends raw in the background, because it may be refused before all of it was read, and reads one answer.
func (c *caller) ask(raw string) answer {
	go io.WriteString(c, raw)
	method, _, _ := strings.Cut(raw, " ")
	return c.read(method)
}

// read reads one answer to a request with the method.
func (c *caller) read(method string) answer {
	var a answer
	for {
		response, err := http.ReadResponse(c.r, &http.Request{Method: method})
		if err != nil {
			a.err = err
			return a
		}
		if response.StatusCode < 200 && response.StatusCode != http.StatusSwitchingProtocols {
			a.early, a.earlier = append(a.early, response.Header), append(a.earlier, response.StatusCode)
			continue
		}
		a.status, a.header = response.StatusCode, response.Header
		if a.status == http.StatusSwitchingProtocols {
			return a
		}
		var body bytes.Buffer
		_, a.err = io.Copy(&body, response.Body)
		a.body, a.trailer = body.String(), response.Trailer
		return a
	}
}

// once sends raw on a connection of its own.
func once(t testing.TB, addr, raw string) answer {
	t.Helper()
	c := dial(t, addr)
	defer c.Close()
	return c.ask(raw)
}

// request writes a head byte by byte as given; Host is added unless a field has it.
func request(line string, fields ...string) string {
	head := []string{line + " HTTP/1.1"}
	if !slices.ContainsFunc(fields, func(f string) bool { return strings.HasPrefix(f, "Host:") }) {
		head = append(head, "Host: app.example")
	}
	return strings.Join(append(head, fields...), "\r\n") + "\r\n\r\n"
}

func TestReadSeen(t *testing.T) {
	r := bufio.NewReader(strings.NewReader("POST /a%2fb HTTP/1.1\r\nremote_user: eve\r\nX:  y\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"3\r\nabc\r\n0\r\nRemote.User: eve\r\n\r\nGET /next HTTP/1.1\r\n\r\nGET /half HTT"))
	s, err := readSeen(r)
	if err != nil || s.target() != "/a%2fb" || s.all("x")[0] != " y" || len(s.like("Remote-User")) != 2 {
		t.Errorf("readSeen = %+v, %v, want the target undecoded and both aliases", s, err)
	}
	if s, err = readSeen(r); err != nil || s.target() != "/next" {
		t.Errorf("readSeen = %+v, %v, want /next", s, err)
	}
	if s, err = readSeen(r); !errors.Is(err, io.EOF) || s.head == "" {
		t.Errorf("readSeen of half a head = %+v, %v, want the half and EOF", s, err)
	}
}
