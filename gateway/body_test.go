package gateway_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/gateway"
	"github.com/gatehouse-auth/gatehouse/guard"
)

// TestBrokenBodyIsTheClientsFault: an upstream that is well must not be blamed, or anybody who may post could raise its alarm.
func TestBrokenBodyIsTheClientsFault(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	defer app.Close()
	u, err := url.Parse(app.URL)
	if err != nil {
		t.Fatal(err)
	}
	g, err := guard.TokenAuth(func(context.Context, string) (gatehouse.Identity, error) {
		return gatehouse.Identity{Value: "jack"}, nil
	}, guard.MaxBody(1000))
	if err != nil {
		t.Fatal(err)
	}
	p, err := gateway.NewProxy(gateway.ProxyConfig{Guard: g, Upstreams: []gateway.Upstream{{Name: "app", URL: u}}})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(p)
	defer front.Close()
	for _, tt := range []struct {
		name, body string
		status     int
		code       string
	}{
		{"a whole body", "3\r\nabc\r\n0\r\n\r\n", 200, ""},
		{"a chunk size that is none", "zz\r\nabc\r\n0\r\n\r\n", 400, "broken_body"},
		{"a chunk without an end", "3\r\nabcdef\r\n0\r\n\r\n", 400, "broken_body"},
		{"a body over the limit", "7d0\r\n" + strings.Repeat("x", 2000) + "\r\n0\r\n\r\n", 413, "body_too_large"},
	} {
		conn, err := net.Dial("tcp", front.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(conn, "POST /x HTTP/1.1\r\nHost: h\r\nAuthorization: Token t\r\nTransfer-Encoding: chunked\r\n\r\n"+tt.body)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		text, _ := io.ReadAll(resp.Body)
		conn.Close()
		if resp.StatusCode != tt.status || !strings.Contains(string(text), tt.code) {
			t.Errorf("%s = %d %s, want %d %s", tt.name, resp.StatusCode, text, tt.status, tt.code)
		}
	}
}
