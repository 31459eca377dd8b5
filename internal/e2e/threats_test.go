package e2e

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestLogGoesToStandardErrorOnly: nothing of it is printed elsewhere or written to a file.
func TestLogGoesToStandardErrorOnly(t *testing.T) {
	t.Parallel()
	g := begin(t, launchPlan{file: "small.json"})
	g.ask(t, "GET /ping", "Authorization: Token token1")
	g.ask(t, "GET /ping", "Authorization: Token wrong")
	g.reload(t, "configuration reloaded")
	g.signal(t, syscall.SIGTERM)
	g.wait(t)
	if g.stdout.String() != "" || !g.said(0, `"logger":"access"`) {
		t.Errorf("standard output has %q, and standard error:\n%s", g.stdout, g.tail())
	}
	err := filepath.WalkDir(g.dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && entry.Name() != "small.json" {
			t.Errorf("the server wrote %s: %.200s", path, readText(t, path))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestPlainHTTPIsNotSentToHTTPS: whoever speaks plain HTTP to the TLS listener is refused unread. A redirect would hide that a credential has
// already travelled in clear.
func TestPlainHTTPIsNotSentToHTTPS(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	newPair(t, 1).install(t, dir)
	g := begin(t, launchPlan{dir: dir, file: "tls.yaml"})
	for _, raw := range []string{
		request("GET /ping", "Authorization: Token token-number-one"),
		request("POST /ping", "Authorization: Token token-number-one", "Content-Length: 0"),
		request("GET /", "Accept: text/html", "Sec-Fetch-Mode: navigate"),
	} {
		got, err := attempt(t, g.addr, raw)
		if err == nil && (got.status != http.StatusBadRequest || got.header.Get("Location") != "" || strings.Contains(got.body, "pong")) {
			t.Errorf("%q without TLS = %d %v %q, want 400 or no answer", firstLine(raw), got.status, got.header, got.body)
		}
	}
}

// TestDevReachesNobody: no setting of another server takes the sample tokens of dev to the network.
func TestDevReachesNobody(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	put(t, dir, "gatehouse.yaml", "server: {http: {host: 0.0.0.0}, admin: {listen: \"0.0.0.0:0\"}}\n")
	g := spawn(t, launchPlan{dir: dir, args: []string{"dev", "--port", "0"}, env: []string{
		"GATEHOUSE_SERVER__HTTP__HOST=0.0.0.0", "GATEHOUSE_SERVER__ADMIN__LISTEN=0.0.0.0:0", "HOST=0.0.0.0",
	}})
	_, addr, _ := strings.Cut(between(t, g.printed(t, "--request ID"), "the gate   ", "\n"), "://")
	host, port, err := net.SplitHostPort(addr)
	if err != nil || !net.ParseIP(host).IsLoopback() {
		t.Fatalf("dev says that it listens on %q, %v, want a loopback address", addr, err)
	}
	all, err := net.Listen("tcp4", "127.0.0.2:"+port) // refused if somebody listens on every address
	if err != nil {
		t.Errorf("dev listens on more than %s: %v", addr, err)
		return
	}
	all.Close()
	if text := g.stderr.String() + g.stdout.String(); strings.Contains(text, "0.0.0.0") || strings.Contains(text, "[::]") {
		t.Errorf("dev names an address that the network reaches:\n%s", text)
	}
}
