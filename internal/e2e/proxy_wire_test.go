package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience bounds every exchange of these tests. It is longer than the 6 s after which the samples give an auth
// server up.
const patience = 15 * time.Second

// A message is a request as it came off the wire, nothing decoded and nothing folded.
type message struct {
	line   string      // the request line, without its line end
	fields [][2]string // names and values in their order, names in the spelling of the sender
	body   []byte
}

// readMessage reads one request. io.EOF means that the connection ended between two requests.
func readMessage(r *bufio.Reader) (*message, error) {
	lines := textproto.NewReader(r)
	line, err := lines.ReadLine()
	if err != nil {
		return nil, err
	}
	m := &message{line: line}
	for {
		line, err := lines.ReadLine()
		if err != nil {
			return nil, errors.Join(io.ErrUnexpectedEOF, err)
		}
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		m.fields = append(m.fields, [2]string{name, strings.TrimSpace(value)})
	}
	m.body, err = m.readBody(r)
	return m, err
}

// readBody reads what Content-Length or the chunked coding announces. Trailer fields of a chunked body are kept as
// fields under the name "trailer:" and their own, so that a test that looks for them finds them.
func (m *message) readBody(r *bufio.Reader) ([]byte, error) {
	if strings.EqualFold(m.one("Transfer-Encoding"), "chunked") {
		return m.readChunks(r)
	}
	length, _ := strconv.Atoi(m.one("Content-Length"))
	body := make([]byte, length)
	_, err := io.ReadFull(r, body)
	return body, err
}

func (m *message) readChunks(r *bufio.Reader) ([]byte, error) {
	lines := textproto.NewReader(r)
	var body []byte
	for {
		line, err := lines.ReadLine()
		if err != nil {
			return nil, err
		}
		size, err := strconv.ParseInt(line, 16, 32)
		if err != nil || size == 0 {
			return body, errors.Join(err, m.readTrailer(lines))
		}
		chunk := make([]byte, size+2)
		if _, err := io.ReadFull(r, chunk); err != nil {
			return nil, err
		}
		body = append(body, chunk[:size]...)
	}
}

func (m *message) readTrailer(lines *textproto.Reader) error {
	for {
		line, err := lines.ReadLine()
		if err != nil || line == "" {
			return err
		}
		name, value, _ := strings.Cut(line, ":")
		m.fields = append(m.fields, [2]string{"trailer:" + name, strings.TrimSpace(value)})
	}
}

// all returns the values of the fields with exactly this name, in any case.
func (m *message) all(name string) []string {
	var values []string
	for _, f := range m.fields {
		if strings.EqualFold(f[0], name) {
			values = append(values, f[1])
		}
	}
	return values
}

// one returns the first value of a field, "" if there is none.
func (m *message) one(name string) string {
	if values := m.all(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// like returns the names under which the message carries name or one of its aliases: what a CGI or WSGI program
// behind the proxy would take for it.
func (m *message) like(name string) []string {
	flat := func(s string) string { return strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(s)) }
	var names []string
	for _, f := range m.fields {
		if flat(strings.TrimPrefix(f[0], "trailer:")) == flat(name) {
			names = append(names, f[0])
		}
	}
	return names
}

// target returns the second word of the request line.
func (m *message) target() string {
	if words := strings.Split(m.line, " "); len(words) == 3 {
		return words[1]
	}
	return ""
}

// method returns the first word of the request line.
func (m *message) method() string {
	word, _, _ := strings.Cut(m.line, " ")
	return word
}

func (m *message) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", m.line)
	for _, f := range m.fields {
		fmt.Fprintf(&b, "  %s: %s\n", f[0], f[1])
	}
	fmt.Fprintf(&b, "  (%d bytes of body)", len(m.body))
	return b.String()
}

// request writes a request head byte by byte as given; Host is added unless a field begins with it.
func request(line string, fields ...string) string {
	head := []string{line + " HTTP/1.1"}
	if !strings.Contains("\n"+strings.Join(fields, "\n"), "\nHost:") {
		head = append(head, "Host: app.example")
	}
	return strings.Join(append(head, fields...), "\r\n") + "\r\n\r\n"
}

// A reply is the answer that the client got.
type reply struct {
	status int
	header http.Header
	body   string
}

// exchange sends raw on a connection of its own and reads one answer.
func exchange(t *testing.T, addr, raw string) reply {
	t.Helper()
	got, err := attempt(t, addr, raw)
	if err != nil {
		t.Fatalf("the answer to %q: %v", firstLine(raw), err)
	}
	return got
}

// attempt is exchange for an answer that may be cut short: the error comes with what was read of it.
func attempt(t *testing.T, addr, raw string) (reply, error) {
	t.Helper()
	conn := dial(t, addr)
	defer conn.Close()
	go io.WriteString(conn, raw) // the proxy may refuse before it has read all
	return parseReply(bufio.NewReader(conn), raw)
}

// dial connects to addr; the connection ends with the test and after patience.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// readReply reads one final answer to the request raw.
func readReply(t *testing.T, r *bufio.Reader, raw string) reply {
	t.Helper()
	got, err := parseReply(r, raw)
	if err != nil {
		t.Fatalf("the answer to %q: %v", firstLine(raw), err)
	}
	return got
}

func parseReply(r *bufio.Reader, raw string) (reply, error) {
	method, _, _ := strings.Cut(raw, " ")
	response, err := http.ReadResponse(r, &http.Request{Method: method})
	for err == nil && response.StatusCode == http.StatusContinue {
		response, err = http.ReadResponse(r, &http.Request{Method: method})
	}
	if err != nil {
		return reply{}, err
	}
	got := reply{status: response.StatusCode, header: response.Header}
	if got.status == http.StatusSwitchingProtocols {
		return got, nil
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	got.body = string(body)
	return got, err
}

func firstLine(raw string) string {
	line, _, _ := strings.Cut(raw, "\r\n")
	return line
}

func TestReadMessage(t *testing.T) {
	raw := request("POST /a%2fb", "remote_user: eve", "Remote-User: eve", "Transfer-Encoding: chunked") +
		"3\r\nabc\r\n0\r\nRemote.User: eve\r\n\r\n" + request("GET /next")
	r := bufio.NewReader(strings.NewReader(raw))
	m, err := readMessage(r)
	if err != nil {
		t.Fatalf("readMessage: %v", err)
	}
	if m.method() != "POST" || m.target() != "/a%2fb" || m.one("host") != "app.example" || string(m.body) != "abc" {
		t.Errorf("readMessage = %v, want POST /a%%2fb with its Host and body", m)
	}
	if got, want := m.like("Remote-User"), 3; len(got) != want {
		t.Errorf("like(Remote-User) = %q, want %d names", got, want)
	}
	if next, err := readMessage(r); err != nil || next.target() != "/next" {
		t.Errorf("the second readMessage = %v, %v, want /next", next, err)
	}
	if _, err := readMessage(r); !errors.Is(err, io.EOF) {
		t.Errorf("readMessage at the end: %v, want io.EOF", err)
	}
	if _, err := readMessage(bufio.NewReader(bytes.NewReader([]byte("GET / HTTP/1.1\r\nHost")))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("readMessage of half a head: %v, want io.ErrUnexpectedEOF", err)
	}
}
