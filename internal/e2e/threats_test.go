package e2e

import (
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
