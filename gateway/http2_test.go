package gateway_test

import (
	"bytes"
	"crypto/tls"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/gatehouse-auth/gatehouse/gateway"
)

// A field is a line of an HTTP/2 head, pseudo-fields included.
type field struct{ name, value string }

// A framer is a client of HTTP/2 that sends what it is told to.
type framer struct {
	*http2.Framer
	conn   *tls.Conn
	stream uint32
}

func dialHTTP2(t *testing.T, addr string) *framer {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	conn.Write([]byte(http2.ClientPreface))
	f := &framer{http2.NewFramer(conn, conn), conn, 0}
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.AllowIllegalWrites = true
	f.WriteSettings()
	return f
}

func block(fields []field) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, f := range fields {
		e.WriteField(hpack.HeaderField{Name: f.name, Value: f.value})
	}
	return b.Bytes()
}

// ask sends one request on a stream of its own, with a body and a trailer if there is one, and returns the status; 0 is a reset.
func (f *framer) ask(t *testing.T, fields []field, trailer ...field) int {
	t.Helper()
	if f.stream == 0 {
		f.stream = 1
	} else {
		f.stream += 2
	}
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: f.stream, BlockFragment: block(fields), EndHeaders: true, EndStream: len(trailer) == 0})
	if len(trailer) > 0 {
		f.WriteData(f.stream, false, []byte("abc"))
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: f.stream, BlockFragment: block(trailer), EndHeaders: true, EndStream: true})
	}
	status := 0
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return status // the connection was ended: the answer to an error of it
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				f.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			if frame.StreamID == f.stream {
				status, _ = strconv.Atoi(frame.PseudoValue("status"))
			}
			if frame.StreamID == f.stream && frame.StreamEnded() {
				return status
			}
		case *http2.DataFrame:
			if frame.StreamID == f.stream && frame.StreamEnded() {
				return status
			}
		case *http2.RSTStreamFrame:
			if frame.StreamID == f.stream {
				return status
			}
		case *http2.GoAwayFrame:
			return status
		}
	}
}

// head is a request over HTTP/2; fields replace or follow the usual ones.
func head(path string, fields ...field) []field {
	h := []field{{":method", "GET"}, {":scheme", "https"}, {":authority", "app.example"}, {":path", path}}
next:
	for _, f := range fields {
		for i := range h {
			if h[i].name == f.name && strings.HasPrefix(f.name, ":") {
				h[i] = f
				continue next
			}
		}
		h = append(h, f)
	}
	return h
}

// startHTTP2 starts a proxy over TLS with HTTP/2 in front of an upstream of HTTP/1.1.
func startHTTP2(t *testing.T) (*app, string) {
	t.Helper()
	a := startApp(t, nil)
	proxy, err := gateway.NewProxy(gateway.ProxyConfig{Guard: newGuard(t, guardConfig(t)), Upstreams: []gateway.Upstream{{Name: "app", URL: origin(a.addr)}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	server := newServer(proxy, &logBook{})
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return a, server.Listener.Addr().String()
}

var token = field{"authorization", "Token root-token"}

// TestHTTP2Refusals: what HTTP/2 can carry and HTTP/1.1 cannot must not reach an upstream of HTTP/1.1.
func TestHTTP2Refusals(t *testing.T) {
	app, addr := startHTTP2(t)
	for name, fields := range map[string][]field{
		"dot segments":            head("/public/../admin"),
		"encoded dots":            head("/public/%2e%2e/admin"),
		"encoded slash":           head("/public/..%2fadmin"),
		"backslash":               head("/public\\..\\admin"),
		"fragment":                head("/public#/admin"),
		"space in query":          head("/public/x?a b"),
		"CRLF in path":            head("/public/x HTTP/1.1\r\nHost: a\r\n\r\nGET /admin"),
		"CRLF in query":           head("/public/x?\r\nRemote-User: root"),
		"tab in path":             head("/public/\t"),
		"star":                    head("*"),
		"no slash":                head("admin"),
		"absolute":                head("http://other.example/admin"),
		"opaque":                  head("http:http://int/admin"),
		"empty path":              head(""),
		"CONNECT":                 {{":method", "CONNECT"}, {":authority", "app.example:80"}, token},
		"extended CONNECT":        head("/public/x", field{":method", "CONNECT"}, field{":protocol", "websocket"}),
		"TRACE":                   head("/public/x", field{":method", "TRACE"}),
		"lower-case method":       head("/public/x", field{":method", "get"}),
		"method with a space":     head("/public/x", field{":method", "GET /admin HTTP/1.1\r\nX:"}),
		"no authority":            {{":method", "GET"}, {":scheme", "https"}, {":path", "/public/x"}},
		"bad authority":           head("/public/x", field{":authority", "app.example/x"}),
		"user in authority":       head("/public/x", field{":authority", "a@app.example"}),
		"CRLF in authority":       head("/public/x", field{":authority", "app.example\r\nX: y"}),
		"two paths":               append(head("/public/x"), field{":path", "/admin"}),
		"pseudo-field late":       append(head("/public/x", field{"a", "b"}), field{":path", "/admin"}),
		"unknown pseudo-field":    head("/public/x", field{":x", "y"}),
		"upper-case name":         head("/public/x", field{"Remote-User", "root"}),
		"connection":              head("/public/x", field{"connection", "remote-user"}),
		"transfer-encoding":       head("/public/x", field{"transfer-encoding", "chunked"}),
		"upgrade":                 head("/public/x", field{"upgrade", "h2c"}),
		"proxy-connection":        head("/public/x", field{"proxy-connection", "close"}),
		"te":                      head("/public/x", field{"te", "gzip"}),
		"CRLF in value":           head("/public/x", field{"x", "a\r\nremote-user: root"}),
		"LF in value":             head("/public/x", field{"x", "a\nb"}),
		"NUL in value":            head("/public/x", field{"x", "a\x00b"}),
		"colon in name":           head("/public/x", field{"remote-user:", "root"}),
		"CRLF in name":            head("/public/x", field{"x\r\nremote-user", "root"}),
		"space in name":           head("/public/x", field{"remote user", "root"}),
		"two credentials":         head("/a", token, token),
		"two kinds of credential": head("/a", token, field{"x-api-key", "root-token"}),
		"anonymous":               head("/a"),
	} {
		status := dialHTTP2(t, addr).ask(t, fields)
		list := app.take()
		if status >= 200 && status < 300 || status >= 500 && status != 501 {
			t.Errorf("%s: %d, want a refusal", name, status)
		}
		for _, s := range list {
			t.Errorf("%s: the upstream saw %q", name, s.head)
		}
	}
}

// TestHTTP2Fields: the same fields are removed and set as over HTTP/1.1.
func TestHTTP2Fields(t *testing.T) {
	app, addr := startHTTP2(t)
	f := dialHTTP2(t, addr)
	status := f.ask(t, head("/admin/%73?a=1;b=2", token, field{"host", "evil.example"}, field{"remote-user", "eve"}, field{"remote_user", "eve"}, field{"remote.groups", "admin"},
		field{"remote~email", "eve"}, field{"x-forwarded-for", "6.6.6.6"}, field{"x_forwarded_host", "evil"}, field{"forwarded", "for=6.6.6.6"}, field{"cookie", "a=1"}, field{"cookie", "b=2"},
		field{"http2-settings", "AAMAAABk"}, field{"proxy", "evil"}, field{"x-original-url", "/evil"}))
	if status != 200 {
		t.Fatalf("status %d, want 200", status)
	}
	s := app.await(t, 1)[0]
	if s.target() != "/admin/s?a=1;b=2" || strings.Contains(s.head, "evil") || strings.Contains(s.head, "6.6.6.6") || strings.Contains(s.head, "eve\r\n") {
		t.Errorf("the upstream saw:\n%s", s.head)
	}
	only(t, s, "Remote-User", "root")
	only(t, s, "Host", "app.example")
	only(t, s, "Cookie", "a=1; b=2")
	none(t, s, "Authorization", "Remote-Email", "HTTP2-Settings")
}

// TestHTTP2Trailers: managed names do not travel as trailers, announced or not.
func TestHTTP2Trailers(t *testing.T) {
	app, addr := startHTTP2(t)
	for _, name := range []string{"remote-user", "remote_groups", "remote.email", "remote~user", "x-forwarded-for", "x-api-key", "x_api_key", "authorization", "cookie", "x-unannounced"} {
		for _, announced := range []string{name, "x-sum, " + name, "x-sum"} {
			f := dialHTTP2(t, addr)
			status := f.ask(t, head("/a", field{":method", "POST"}, token, field{"trailer", announced}, field{"x", name}), field{name, "evil"}, field{"x-sum", "7"})
			for _, s := range app.settledOr(status == 200, t) {
				if strings.Contains(s.body+s.head, "evil") && !(name == "x-unannounced" && announced != "x-sum") {
					t.Errorf("%s, announced %q: the upstream saw %q %q", name, announced, s.head, s.body)
				}
				only(t, s, "Remote-User", "root")
			}
		}
	}
}

// settledOr waits for the request of a successful answer; after another one it takes what is there.
func (a *app) settledOr(answered bool, t *testing.T) []seen {
	t.Helper()
	if answered {
		return a.await(t, 1)
	}
	return a.take()
}
