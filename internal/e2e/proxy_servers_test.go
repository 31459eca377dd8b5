package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A proxy is one of the real servers, started with exactly the files in deploy/.
type proxy struct {
	name   string
	binary string
	// prepare writes the configuration into dir, with the addresses of the sample replaced by those of p, and returns
	// the command line's arguments.
	prepare func(t *testing.T, dir string, p places) []string
	// fixture is for a proxy that the system has no package of: Go code that does what the proxy does with the file in
	// deploy/. It returns its address.
	fixture func(t *testing.T, p places) string
}

// places are the addresses that replace those in the samples.
type places struct {
	front, auth, app string
	edit             func(file, text string) string // changes a sample before it is used; nil means: as shipped
}

var proxies = []proxy{
	{name: "nginx", binary: "nginx", prepare: prepareNginx},
	{name: "caddy", binary: "caddy", prepare: prepareCaddy},
	{name: "haproxy", binary: "haproxy", prepare: prepareHAProxy},
}

var fixtures = []proxy{
	{name: "traefik", fixture: startTraefik},
	{name: "envoy", fixture: startEnvoy},
}

// is reports whether the proxy has this name.
func (p proxy) is(name string) bool { return p.name == name }

// path finds the proxy's program. Without it the result is "", or the test fails where GATEHOUSE_TEST_PROXIES is 1.
func (p proxy) path(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath(p.binary)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + p.binary) // Debian keeps them there, out of a user's way
	}
	if err != nil && os.Getenv("GATEHOUSE_TEST_PROXIES") == "1" {
		t.Fatalf("%s is not installed and GATEHOUSE_TEST_PROXIES=1: install the package %s", p.binary, p.binary)
	}
	return path
}

// need is path for a test that can only be skipped without the program.
func (p proxy) need(t *testing.T) string {
	t.Helper()
	path := p.path(t)
	if path == "" {
		t.Skipf("skipped: %s is not installed (apt-get install %s)", p.binary, p.binary)
	}
	return path
}

// sample copies a file of deploy/ to dir with each old text replaced. A text that is not there fails the test: the
// sample changed, and the test would run something else than it says.
func sample(t *testing.T, dir, file string, p places, oldnew ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "deploy", file))
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(text, oldnew[i]) {
			t.Fatalf("deploy/%s does not contain %q", file, oldnew[i])
		}
		text = strings.ReplaceAll(text, oldnew[i], oldnew[i+1])
	}
	if p.edit != nil {
		text = p.edit(file, text)
	}
	path := filepath.Join(dir, filepath.Base(file))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func prepareNginx(t *testing.T, dir string, p places) []string {
	sample(t, dir, "nginx/gatehouse-auth.conf", p)
	sample(t, dir, "nginx/gatehouse-headers.conf", p)
	sample(t, dir, "nginx/gatehouse.conf", p, "listen 80;", "listen "+p.front+";",
		"127.0.0.1:8080", p.auth, "127.0.0.1:9000", p.app, "/etc/nginx/snippets", dir)
	outer, err := os.ReadFile("testdata/proxies/nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, bytes.ReplaceAll(outer, []byte("DIR"), []byte(dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"-p", dir, "-c", path, "-e", "stderr"}
}

func prepareCaddy(t *testing.T, dir string, p places) []string {
	_, port, _ := strings.Cut(p.front, ":")
	path := sample(t, dir, "caddy/Caddyfile", p,
		"http://:80 {", "http://:"+port+" {\n\tbind 127.0.0.1", "127.0.0.1:8080", p.auth, "127.0.0.1:9000", p.app)
	return []string{"run", "--config", path, "--adapter", "caddyfile"}
}

func prepareHAProxy(t *testing.T, dir string, p places) []string {
	// The names of abstract sockets belong to the machine, not to the test.
	socket := fmt.Sprintf("gatehouse_test_%d_%s", os.Getpid(), strings.ReplaceAll(p.front, ":", "_"))
	script := sample(t, dir, "haproxy/gatehouse.lua", p, "abns@gatehouse_ask", "abns@"+socket)
	path := sample(t, dir, "haproxy/haproxy.cfg", p, "/etc/haproxy/gatehouse.lua", script, "bind :80", "bind "+p.front,
		"abns@gatehouse_ask", "abns@"+socket, "127.0.0.1:8080", p.auth, "127.0.0.1:9000", p.app)
	return []string{"-db", "-f", path}
}

// A house is one proxy with an application behind it and an auth server beside it.
type house struct {
	proxy
	addr string
	app  *app
	ask  *relay // nil if the auth server is one that fails
}

// open starts the proxy in front of a new application. What it asks goes through a relay to auth.
func open(t *testing.T, p proxy, auth string) *house {
	t.Helper()
	h := &house{proxy: p, app: startApp(t), ask: startRelay(t, auth)}
	if p.fixture != nil {
		h.addr = p.fixture(t, places{auth: h.ask.addr, app: h.app.addr})
		return h
	}
	p.need(t)
	h.addr = start(t, p, places{auth: h.ask.addr, app: h.app.addr})
	return h
}

// openFailing starts the proxy with an auth server that is not one, and with an edited sample if edit is not nil.
func openFailing(t *testing.T, p proxy, auth string, edit func(file, text string) string) *house {
	t.Helper()
	p.need(t)
	h := &house{proxy: p, app: startApp(t)}
	h.addr = start(t, p, places{auth: auth, app: h.app.addr, edit: edit})
	return h
}

// start runs the proxy until the test ends and returns its address. Between the search for a free port and the start
// of the proxy somebody else may take the port: then the start is tried again.
func start(t *testing.T, p proxy, at places) string {
	t.Helper()
	var err error
	for range 3 {
		at.front = freeAddress(t)
		if err = try(t, p, at); err == nil {
			return at.front
		}
	}
	t.Fatalf("%s did not start: %v", p.name, err)
	return ""
}

// try starts the proxy once and waits until it listens.
func try(t *testing.T, p proxy, at places) error {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil { // nginx's workers may be another user
		return err
	}
	cmd := exec.Command(p.need(t), p.prepare(t, dir, at)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	return launch(t, p.name, cmd, at.front)
}

// launch starts cmd, waits until it listens at address, and ends it with the test.
func launch(t *testing.T, name string, cmd *exec.Cmd, address string) error {
	t.Helper()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := await(address, ended); err != nil {
		stop(cmd, ended)
		return fmt.Errorf("%s: %w; it printed:\n%s", name, err, output.String())
	}
	t.Cleanup(func() {
		stop(cmd, ended)
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, output.String())
		}
	})
	return nil
}

// stop asks the process to end and kills it after three seconds.
func stop(cmd *exec.Cmd, ended chan error) {
	cmd.Process.Signal(os.Interrupt)
	select {
	case err := <-ended:
		ended <- err
	case <-time.After(3 * time.Second):
		cmd.Process.Kill()
		ended <- <-ended
	}
}

// await dials addr until somebody answers or the process has ended.
func await(addr string, ended chan error) error {
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			return conn.Close()
		}
		select {
		case err := <-ended:
			ended <- err
			return fmt.Errorf("it ended: %v", err)
		case <-deadline:
			return fmt.Errorf("nobody listens at %s after %v", addr, patience)
		case <-tick.C:
		}
	}
}

// tried counts the ports that freeAddress has tried. It begins somewhere else in each process.
var tried atomic.Int64

func init() { tried.Store(int64(os.Getpid()) * 37) }

// freeAddress returns a loopback address at which nobody listens now. The port is below those that systems give to
// whoever asks for any: otherwise one of the tests' own servers could get it before the proxy does, and would be taken
// for the proxy.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 10000+tried.Add(1)%20000)
		if listener, err := net.Listen("tcp", address); err == nil {
			listener.Close()
			return address
		}
	}
	t.Fatal("no free port between 10000 and 30000")
	return ""
}
