package e2e

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// appFolder holds the application on express and ws.
var appFolder = filepath.Join("..", "..", "test", "app")

// missing skips the test by the name of what it needs, or fails it where GATEHOUSE_TEST_PROXIES is 1.
func missing(t *testing.T, what, how string) {
	t.Helper()
	if os.Getenv("GATEHOUSE_TEST_PROXIES") == "1" {
		t.Fatalf("%s is not installed and GATEHOUSE_TEST_PROXIES=1: %s", what, how)
	}
	t.Skipf("skipped: %s is not installed (%s)", what, how)
}

// startNode runs the application of test/app until the test ends and returns its address.
func startNode(t *testing.T) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node", "apt-get install nodejs npm")
	}
	if _, err := os.Stat(filepath.Join(appFolder, "node_modules", "express")); err != nil {
		missing(t, "test/app/node_modules", "scripts/test npm")
	}
	var errors bytes.Buffer
	cmd := exec.Command(node, "server.js")
	cmd.Dir, cmd.Stderr = appFolder, &errors
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("node printed:\n%s", errors.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	port, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		t.Fatalf("the application did not start: %q, %v\n%s", line, err, errors.String())
	}
	return "127.0.0.1:" + port
}

// site is what nginx serves: path → content.
var site = map[string]string{
	"index.html":          "<!doctype html><title>Home</title><link rel=stylesheet href=/style.css>" + strings.Repeat("<p>text</p>", 50),
	"style.css":           strings.Repeat("p { margin: 0 }\n", 100),
	"public/index.html":   "<!doctype html><title>Public</title>",
	"public/missing.html": "<!doctype html><title>Not here</title>",
	"admin/index.html":    "<!doctype html><title>Admin</title>",
	"ein ümlaut.html":     "<!doctype html><title>Umlaut</title>",
	"data.bin":            strings.Repeat("0123456789", 1000),
}

// startSite runs nginx with the site until the test ends and returns its address.
func startSite(t *testing.T) string {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		missing(t, "nginx", "apt-get install nginx")
	}
	dir, address := t.TempDir(), freeAddress(t)
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		os.Chmod(d, 0o755) // nginx's workers may be another user
	}
	for name, text := range site {
		path := filepath.Join(dir, "site", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	config := replaced(t, "nginx.conf", "DIR", dir, "ADDRESS", address)
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := launch(t, "nginx", exec.Command(nginx, "-p", dir, "-c", path, "-e", "stderr"), address); err != nil {
		t.Fatal(err)
	}
	return address
}

// replaced reads a file of testdata/app with each old text replaced by the new one behind it.
func replaced(t *testing.T, name string, oldnew ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "app", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(oldnew...).Replace(string(text))
}

// gateBefore runs "gatehouse serve" in front of the application.
func gateBefore(t *testing.T, application string) *gate {
	t.Helper()
	dir := shortDir(t)
	config := replaced(t, "gatehouse.yaml", "APP", "http://"+application)
	if err := os.WriteFile(filepath.Join(dir, "app.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return begin(t, launchPlan{dir: dir, args: []string{"serve", "--config", "app.yaml"}})
}

// fetch sends a request of alice's, unless it has a credential of its own, and returns the answer with its body.
func (g *gate) fetch(t *testing.T, method, target string, body io.Reader, fields ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, g.url+target, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer alice-token")
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Set(name, value)
	}
	client := &http.Client{
		Timeout:       5 * time.Minute,
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: the answer is cut: %v", method, target, err)
	}
	return resp, string(text)
}

// memory returns the resident memory of the process in bytes.
func (g *gate) memory(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(g.process.Pid), "status"))
	if err != nil {
		t.Skipf("skipped: the memory of a process cannot be read here: %v", err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}
