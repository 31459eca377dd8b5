package e2e

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTokensPage follows docs/tokens.md, with its two Go programs and what openssl signs.
func TestTokensPage(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl", "python3", "go"} {
		needTool(t, tool)
	}
	page := readText(t, filepath.Join(top, "docs", "tokens.md"))
	g := &guide{ports: newPorts(t, 9000, 8080, 8081, 8082)}
	g.dir, g.env = checkout(t), developer("GATEHOUSE_SERVER__HTTP__PORT="+g.ports["8080"])
	ran := 0
	for _, b := range blocks(page) {
		if b.mark != "" {
			g.follow(t, b)
			ran++
		}
	}
	if ran < 12 {
		t.Errorf("%d blocks were run, want all of the guide", ran)
	}
	for _, text := range []string{"no faults, 0 warnings", "<h1>Films</h1>", "A New Hope", "This is unverified", "verdict  accepted now, as access token of alice", "revoked: everything that was issued to alice",
		`"active":true`, `{"active":false}`, `"error":"invalid_client"`, `"error":"invalid_grant"`, `"code":"unknown_token"`, "hello alice"} {
		if !strings.Contains(g.output.String(), text) {
			t.Errorf("nothing printed %q:\n%s", text, &g.output)
		}
	}
}

// TestConfigurationsOfTheTokensPage: those that are only shown are valid, too, and warn where the page says so.
func TestConfigurationsOfTheTokensPage(t *testing.T) {
	t.Parallel()
	page, dir := readText(t, filepath.Join(top, "docs", "tokens.md")), shortDir(t)
	master := gatehouse(t, dir, nil, "key", "generate", "--master", "--out", "master.key")
	if master.code != 0 {
		t.Fatal(master.stderr)
	}
	alike := func(end string) string {
		return strings.Repeat("f", 20) + "-alike-" + end + end + end + end + end + end
	}
	environ := []string{"DB_PASSWORD=x"}
	for _, name := range []string{"OLD", "SPA", "FILMS", "ACCESS", "REFRESH", "EMAIL", "PASSWORD"} {
		environ = append(environ, name+"_SECRET="+alike(name))
	}
	for _, c := range []struct{ with, says string }{
		{"on_store_loss: bounded(60s)", "no faults, 0 warnings"},
		{"jwks_url:", "no faults, 3 warnings"},
		{"REFRESH_SECRET", "no faults, 1 warning"},
	} {
		put(t, dir, "gatehouse.yaml", blockWith(t, page, c.with))
		got := gatehouse(t, dir, environ, "check")
		if got.code != 0 || !regexp.MustCompile(regexp.QuoteMeta(c.says)+`\b`).MatchString(got.stdout) {
			t.Errorf("check of the one with %q = code %d, want %q\n%s%s", c.with, got.code, c.says, got.stdout, got.stderr)
		}
	}
}
