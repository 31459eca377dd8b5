package policy_test

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/gatehouse-auth/gatehouse/policy"
)

// startServer runs a real server that answers with the canonical request, or 400 and the reason. It returns the address.
func startServer(t *testing.T, network, address string) string {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Skipf("cannot listen on %s %s: %v", network, address, err)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler:                      http.HandlerFunc(echoCanonical),
		Protocols:                    protocols,
		ReadHeaderTimeout:            10 * time.Second,
		DisableGeneralOptionsHandler: true, // or net/http answers OPTIONS * by itself
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return listener.Addr().String()
}

func echoCanonical(w http.ResponseWriter, r *http.Request) {
	q, err := policy.Canonical(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = fmt.Fprintf(w, "%s %s %s", q.Method, q.Host, q.Path)
}

// exchange writes raw bytes to a new connection and returns the status and the body of the answer.
func exchange(t *testing.T, network, address, raw string) (int, string) {
	t.Helper()
	conn, err := net.DialTimeout(network, address, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%q: no answer: %v", raw, err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, strings.TrimSpace(string(body))
}

func TestServerRequests(t *testing.T) {
	address := startServer(t, "tcp4", "127.0.0.1:0")
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, line, headers string // {own} stands for the server's address, {port} for its port
		want                string // the echo; empty: 400
	}{
		{"plain", "GET /a HTTP/1.1", "Host: EXAMPLE.org:1\r\n", "GET example.org /a"},
		{"escapes", "GET /%66ilms/a%40b HTTP/1.1", "Host: x\r\n", "GET x /films/a%40b"},
		{"own address", "GET http://{own}/admin HTTP/1.1", "Host: x\r\n", "GET 127.0.0.1 /admin"},
		{"own address, scheme in capitals", "GET HTTP://{own}/admin HTTP/1.1", "Host: x\r\n", "GET 127.0.0.1 /admin"},
		{"own address by its name", "GET http://localhost:{port}/admin HTTP/1.1", "Host: x\r\n", "GET localhost /admin"},
		{"own address by its name in capitals", "GET http://LOCALHOST:{port}/admin HTTP/1.1", "Host: x\r\n", "GET localhost /admin"},
		{"own address mapped to IPv6", "GET http://[::ffff:127.0.0.1]:{port}/a HTTP/1.1", "Host: x\r\n", "GET ::ffff:127.0.0.1 /a"},

		{"own address with dots", "GET http://{own}/public/../admin HTTP/1.1", "Host: x\r\n", ""},
		{"own address, empty path", "GET http://{own} HTTP/1.1", "Host: x\r\n", ""},
		{"own address with a user", "GET http://jack@{own}/admin HTTP/1.1", "Host: x\r\n", ""},
		{"own address, other port", "GET http://127.0.0.1:1/admin HTTP/1.1", "Host: x\r\n", ""},
		{"own address, no port", "GET http://127.0.0.1/admin HTTP/1.1", "Host: x\r\n", ""},
		{"own address, no port, https", "GET https://127.0.0.1/admin HTTP/1.1", "Host: x\r\n", ""},
		{"localhost, other port", "GET http://localhost:1/admin HTTP/1.1", "Host: x\r\n", ""},
		{"localhost, no port", "GET http://localhost/admin HTTP/1.1", "Host: x\r\n", ""},
		{"not quite localhost", "GET http://localhost.:{port}/admin HTTP/1.1", "Host: x\r\n", ""},
		{"other loopback address", "GET http://127.0.0.2:{port}/admin HTTP/1.1", "Host: x\r\n", ""},
		{"other loopback family", "GET http://[::1]:{port}/admin HTTP/1.1", "Host: x\r\n", ""},
		{"short form of the address", "GET http://127.1:{port}/admin HTTP/1.1", "Host: x\r\n", ""},
		{"number form of the address", "GET http://2130706433:{port}/admin HTTP/1.1", "Host: x\r\n", ""},
		{"any address", "GET http://0.0.0.0:{port}/admin HTTP/1.1", "Host: x\r\n", ""},
		{"foreign", "GET http://internal/admin HTTP/1.1", "Host: x\r\n", ""},
		{"foreign, named by Host too", "GET http://internal/admin HTTP/1.1", "Host: internal\r\n", ""},
		{"foreign with our port", "GET http://internal:{port}/admin HTTP/1.1", "Host: {own}\r\n", ""},
		{"other scheme", "GET ftp://{own}/admin HTTP/1.1", "Host: x\r\n", ""},
		{"websocket scheme", "GET ws://{own}/admin HTTP/1.1", "Host: x\r\n", ""},
		{"no authority", "GET http:/admin HTTP/1.1", "Host: x\r\n", ""},
		{"empty authority", "GET http:///admin HTTP/1.1", "Host: x\r\n", ""},
		{"opaque", "GET http:http://int/admin HTTP/1.1", "Host: x\r\n", ""},
		{"opaque without slashes", "GET http:admin HTTP/1.1", "Host: x\r\n", ""},
		{"network path", "GET //internal/admin HTTP/1.1", "Host: x\r\n", ""},
		{"fragment", "GET /public#/../admin HTTP/1.1", "Host: x\r\n", ""},
		{"relative", "GET admin HTTP/1.1", "Host: x\r\n", ""},
		{"only a query", "GET ?admin HTTP/1.1", "Host: x\r\n", ""},

		{"old without Host", "GET /a HTTP/1.0", "", ""},
		{"old with an empty Host", "GET /a HTTP/1.0", "Host:\r\n", ""},
		{"old with Host", "GET /a HTTP/1.0", "Host: x\r\n", "GET x /a"},
		{"new without Host", "GET /a HTTP/1.1", "", ""},
		{"empty Host", "GET /a HTTP/1.1", "Host:\r\n", ""},
		{"two Hosts", "GET /a HTTP/1.1", "Host: x\r\nHost: y\r\n", ""},
		{"two equal Hosts", "GET /a HTTP/1.1", "Host: x\r\nHost: x\r\n", ""},
		{"two Hosts in one", "GET /a HTTP/1.1", "Host: x, y\r\n", ""},
		{"Host with a user", "GET /a HTTP/1.1", "Host: jack@x\r\n", ""},
		{"Host with a path", "GET /a HTTP/1.1", "Host: x/admin\r\n", ""},
		{"Host with two dots behind it", "GET /a HTTP/1.1", "Host: admin.example.org..\r\n", ""},

		{"tunnel", "CONNECT {own} HTTP/1.1", "Host: x\r\n", ""},
		{"tunnel to another", "CONNECT internal:443 HTTP/1.1", "Host: x\r\n", ""},
		{"tunnel with a path behind the authority", "CONNECT internal:443/admin HTTP/1.1", "Host: x\r\n", ""},
		{"tunnel without Host", "CONNECT /admin HTTP/1.1", "", ""},
		{"whole server", "OPTIONS * HTTP/1.1", "Host: x\r\n", ""},
		{"whole server, other method", "GET * HTTP/1.1", "Host: x\r\n", ""},
		{"two targets", "GET /public /admin HTTP/1.1", "Host: x\r\n", ""},
		{"tab for a space", "GET\t/admin HTTP/1.1", "Host: x\r\n", ""},
		{"lower-case method is another method", "get /a HTTP/1.1", "Host: x\r\n", "get x /a"},
	} {
		fill := strings.NewReplacer("{own}", address, "{port}", port)
		raw := fill.Replace(row.line+"\r\n"+row.headers) + "Connection: close\r\n\r\n"
		status, body := exchange(t, "tcp4", address, raw)
		switch {
		case row.want == "" && status != http.StatusBadRequest:
			t.Errorf("%s: %q = %d %q, want 400", row.name, row.line, status, body)
		case row.want != "" && (status != http.StatusOK || body != row.want):
			t.Errorf("%s: %q = %d %q, want 200 %q", row.name, row.line, status, body, row.want)
		}
	}
}

// TestServerTunnelWithPath: CONNECT with a path is an ordinary request to a parser, and no method of any table.
func TestServerTunnelWithPath(t *testing.T) {
	address := startServer(t, "tcp4", "127.0.0.1:0")
	status, body := exchange(t, "tcp4", address, "CONNECT /admin HTTP/1.1\r\nHost: x\r\n\r\n")
	if status != http.StatusOK || body != "CONNECT x /admin" {
		t.Errorf("CONNECT /admin = %d %q, want it canonical, so that the method is what is refused", status, body)
	}
	table := newTable(t, policy.Config{Rules: []policy.Rule{{Path: "/**", Allow: policy.Anyone()}}})
	if table.Supports("CONNECT") {
		t.Error("Supports(CONNECT) = true, want false")
	}
}

func TestServerIPv6(t *testing.T) {
	address := startServer(t, "tcp6", "[::1]:0")
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]int{
		"http://[::1]:" + port + "/a": 200, "http://[0:0::1]:" + port + "/a": 200, "http://localhost:" + port + "/a": 200,
		"http://127.0.0.1:" + port + "/a": 400, "http://[::]:" + port + "/a": 400, "http://[::2]:" + port + "/a": 400,
		"http://[::1%25lo]:" + port + "/a": 400, "http://::1:" + port + "/a": 400,
	} {
		status, body := exchange(t, "tcp6", address, "GET "+target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if status != want || want == 200 && !strings.HasSuffix(body, " /a") {
			t.Errorf("GET %s = %d %q, want %d", target, status, body, want)
		}
	}
}

// TestServerUnixSocket: behind a socket file there is no address of our own to compare with.
func TestServerUnixSocket(t *testing.T) {
	address := startServer(t, "unix", t.TempDir()+"/s")
	for target, want := range map[string]int{"/a": 200, "http://x/a": 400, "http://localhost/a": 400, "http://127.0.0.1:80/a": 400} {
		if status, body := exchange(t, "unix", address, "GET "+target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); status != want {
			t.Errorf("GET %s = %d %q, want %d", target, status, body, want)
		}
	}
}

// TestServerHTTP2: a pseudo-header carries what no HTTP/1 request line can, such as a space.
func TestServerHTTP2(t *testing.T) {
	address := startServer(t, "tcp4", "127.0.0.1:0")
	for _, row := range []struct {
		name, authority, path, want string // an empty want: 400
	}{
		{"plain", "Example.org:1", "/a", "GET example.org /a"},
		{"space", "x", "/a b", "GET x /a%20b"},
		{"non-ASCII", "x", "/é", "GET x /%C3%A9"},
		{"query", "x", "/a?b", "GET x /a"},
		{"space in the query", "x", "/public?x HTTP/1.1", ""},
		{"space at the end", "x", "/public? ", ""},
		{"fragment", "x", "/public#/../admin", ""},
		{"dots", "x", "/public/../admin", ""},
		{"network path", "x", "//internal/admin", ""},
		{"star", "x", "*", ""},
		{"foreign absolute", "x", "http://internal/admin", ""},
		{"absolute that the authority repeats", "internal", "http://internal/admin", ""},
		{"opaque", "x", "http:http://int/admin", ""},
		{"bad authority", "x..", "/a", ""},
		{"user in the authority", "jack@x", "/a", ""},
		{"path in the authority", "x/admin", "/a", ""},
	} {
		status, body := exchangeHTTP2(t, address, row.authority, row.path)
		switch {
		case row.want == "" && status != "400" && status != "reset":
			t.Errorf("%s: :path %q at %q = %s %q, want 400 or a stream error", row.name, row.path, row.authority, status, body)
		case row.want != "" && (status != "200" || body != row.want):
			t.Errorf("%s: :path %q at %q = %s %q, want 200 %q", row.name, row.path, row.authority, status, body, row.want)
		}
	}
}

// exchangeHTTP2 sends one request by prior knowledge. The status is "reset" if the server refuses the stream or the connection.
func exchangeHTTP2(t *testing.T, address, authority, path string) (status, body string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp4", address, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	var faults []error
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: authority}, {Name: ":path", Value: path},
	} {
		faults = append(faults, encoder.WriteField(f))
	}
	_, err = io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	faults = append(faults, err, framer.WriteSettings(), framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true,
	}))
	if i := slices.IndexFunc(faults, func(err error) bool { return err != nil }); i >= 0 {
		t.Fatal(faults[i])
	}
	return readHTTP2(t, framer)
}

func readHTTP2(t *testing.T, framer *http2.Framer) (status, body string) {
	t.Helper()
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatalf("no answer: %v", err)
		}
		ended := false
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			status, ended = cmp.Or(f.PseudoValue("status"), status), f.StreamEnded()
		case *http2.DataFrame:
			body += string(f.Data())
			ended = f.StreamEnded()
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return cmp.Or(status, "reset"), body
		}
		if ended {
			return status, strings.TrimSpace(body)
		}
	}
}
