package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/problem"
)

// calm bounds what a process may take to start, to reload, and to end. It only matters when something is broken.
const calm = 45 * time.Second

// A transcript is what a process prints. It is safe for concurrent use.
type transcript struct {
	mu      sync.Mutex
	text    []byte
	changed chan struct{} // closed, and replaced, when there is more
}

func newTranscript() *transcript { return &transcript{changed: make(chan struct{})} }

// Write implements [io.Writer].
func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = append(s.text, p...)
	close(s.changed)
	s.changed = make(chan struct{})
	return len(p), nil
}

// String returns everything.
func (s *transcript) String() string {
	text, _ := s.now()
	return text
}

func (s *transcript) now() (string, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.text), s.changed
}

// lines returns the whole lines behind the first skip ones.
func (s *transcript) lines(skip int) []string {
	all := strings.Split(s.String(), "\n")
	all = all[:len(all)-1] // what stands behind the last line end is no line yet
	return all[min(skip, len(all)):]
}

// A gate is a running gatehouse.
type gate struct {
	dir, url, addr string
	stdout, stderr *transcript
	process        *os.Process
	ended          chan struct{} // closed when the process is gone
	code           int           // its exit code, once it is gone
	read           int           // lines of stderr that line has been past
}

// A launchPlan says how a gatehouse is started.
type launchPlan struct {
	dir  string   // working folder; "": a new one
	file string   // of testdata/binary, copied to the working folder and named by --config; "": no flag
	env  []string // NAME=value, on top of a port of its own
	args []string // the command line; nil: serve
}

// environment is what a gatehouse of these tests sees: nothing of the developer's own settings.
func environment(dir string, extra []string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + os.TempDir()}, extra...)
}

// spawn starts a gatehouse without waiting for anything but the start of its process, which ends with the test.
func spawn(t *testing.T, p launchPlan) *gate {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{dir: p.dir, stdout: newTranscript(), stderr: newTranscript(), ended: make(chan struct{})}
	if g.dir == "" {
		g.dir = shortDir(t)
	}
	args := p.args
	if args == nil {
		args = []string{"serve"}
	}
	if p.file != "" {
		g.write(t, p.file, fixture(t, p.file))
		args = append(args, "--config", p.file)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Env = g.dir, environment(g.dir, append([]string{"GATEHOUSE_SERVER__HTTP__PORT=0"}, p.env...))
	cmd.Stdout, cmd.Stderr = g.stdout, g.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g.process = cmd.Process
	go func() {
		cmd.Wait() // the exit code tells what the error would
		g.code = cmd.ProcessState.ExitCode()
		close(g.ended)
	}()
	t.Cleanup(func() { g.end(t) })
	return g
}

// shortDir returns a folder for the test whose sockets have paths that the kernel takes: those of t.TempDir hold the test's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// end kills what the test has not stopped itself, and looks for what must never be in a log.
func (g *gate) end(t *testing.T) {
	select {
	case <-g.ended:
	default:
		g.process.Kill()
		<-g.ended
	}
	for _, sign := range []string{"DATA RACE", "panic:", "fatal error:", "a handler panicked", "http: superfluous"} {
		if _, after, found := strings.Cut(g.stderr.String(), sign); found {
			t.Errorf("gatehouse said %s%.4000s", sign, after)
		}
	}
	if t.Failed() {
		t.Logf("gatehouse printed:\n%s\nand as errors, at the end:\n%s", g.stdout, g.tail())
	}
}

// tail returns the last lines of standard error: enough to see what went wrong, and not what went well.
func (g *gate) tail() string {
	all := g.stderr.lines(0)
	return strings.Join(all[max(0, len(all)-12):], "\n")
}

// listening finds the address in the line that says it, in both formats of the log.
var listening = regexp.MustCompile(`listening.*?url"?[=:]"?((?:http|https)://([^" ]+))`)

// begin starts a server and waits until it listens.
func begin(t *testing.T, p launchPlan) *gate {
	t.Helper()
	g := spawn(t, p)
	m := listening.FindStringSubmatch(g.line(t, "listening", "url"))
	if m == nil {
		t.Fatalf("the line \"listening\" has no url: %s", g.stderr)
	}
	g.url, g.addr = m[1], m[2]
	return g
}

// fixture reads a file of testdata/binary.
func fixture(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "binary", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// write puts a file into the working folder in one step, as editors do.
func (g *gate) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(g.dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// line waits for a line of standard error that holds every text, behind those it has found before.
func (g *gate) line(t *testing.T, texts ...string) string {
	t.Helper()
	deadline := time.After(calm)
	for {
		_, more := g.stderr.now()
		for i, line := range g.stderr.lines(g.read) {
			if containsAll(line, texts) {
				g.read += i + 1
				return line
			}
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("no line with %q after %v; at the end:\n%s", texts, calm, g.tail())
		case <-g.ended:
			if !g.said(g.read, texts...) {
				t.Fatalf("gatehouse ended with code %d before a line with %q:\n%s", g.code, texts, g.tail())
			}
		}
	}
}

// printed waits until standard output holds the text and returns everything that was printed.
func (g *gate) printed(t *testing.T, text string) string {
	t.Helper()
	deadline := time.After(calm)
	for {
		all, more := g.stdout.now()
		if strings.Contains(all, text) {
			return all
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("no %q on standard output after %v:\n%s", text, calm, all)
		case <-g.ended:
			if !strings.Contains(g.stdout.String(), text) {
				t.Fatalf("gatehouse ended with code %d and printed:\n%s%s", g.code, g.stdout, g.tail())
			}
		}
	}
}

// said reports whether a line behind the first skip ones holds every text.
func (g *gate) said(skip int, texts ...string) bool {
	for _, line := range g.stderr.lines(skip) {
		if containsAll(line, texts) {
			return true
		}
	}
	return false
}

func containsAll(line string, texts []string) bool {
	for _, text := range texts {
		if !strings.Contains(line, text) {
			return false
		}
	}
	return true
}

// logged waits for a line of the JSON log with this message, and all the other texts, and returns its fields.
func (g *gate) logged(t *testing.T, message string, texts ...string) map[string]any {
	t.Helper()
	line := g.line(t, append([]string{`"msg":"` + message + `"`}, texts...)...)
	var fields map[string]any
	if err := json.Unmarshal([]byte(line), &fields); err != nil {
		t.Fatalf("a line of the log is no JSON: %v: %s", err, line)
	}
	return fields
}

// signal sends a signal to the process.
func (g *gate) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := g.process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// wait returns the exit code when the process has ended.
func (g *gate) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-g.ended:
		return g.code
	case <-time.After(calm):
		t.Fatalf("gatehouse has not ended after %v", calm)
		return -1
	}
}

// reload asks for a reload and waits for its outcome, which must be a line with this message.
func (g *gate) reload(t *testing.T, message string) {
	t.Helper()
	g.signal(t, syscall.SIGHUP)
	g.logged(t, message)
}

// ask sends one request and returns the answer, which must keep the rules of every answer.
func (g *gate) ask(t *testing.T, line string, fields ...string) reply {
	t.Helper()
	return g.askRaw(t, request(line, fields...))
}

// askRaw is ask for a request that is written byte by byte.
func (g *gate) askRaw(t *testing.T, raw string) reply {
	t.Helper()
	got := exchange(t, g.addr, raw)
	lawful(t, firstLine(raw), got)
	return got
}

// lawful fails unless the answer keeps what holds for every answer of Gatehouse's own. Those of the application behind it are its own affair;
// the applications of these tests mark them with X-App.
func lawful(t *testing.T, asked string, got reply) {
	t.Helper()
	h := got.header
	if h.Get("Server") != "" || h.Get("X-Request-Id") == "" {
		t.Errorf("%s: Server %q, X-Request-Id %q: want none, and one", asked, h.Get("Server"), h.Get("X-Request-Id"))
	}
	if got.status == http.StatusUnauthorized && (h.Get("WWW-Authenticate") == "" || h.Get("Cache-Control") != "no-store") {
		t.Errorf("%s: 401 with the challenge %q and Cache-Control %q", asked, h.Get("WWW-Authenticate"), h.Get("Cache-Control"))
	}
	if got.status == http.StatusMethodNotAllowed && h.Get("Allow") == "" {
		t.Errorf("%s: 405 without Allow", asked)
	}
	if got.status < 400 || h.Get("X-App") != "" {
		return
	}
	if ct := h.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("%s: %d with the type %q, want a problem", asked, got.status, ct)
	}
	if method, _, _ := strings.Cut(asked, " "); method != http.MethodHead {
		lawfulProblem(t, asked, got)
	}
}

// lawfulProblem fails unless the body is a problem with a published code, and says the same as the status line and header.
func lawfulProblem(t *testing.T, asked string, got reply) {
	t.Helper()
	p := problemOf(t, got)
	if _, ok := problem.Lookup(problem.Code(p.Code)); !ok {
		t.Errorf("%s: the code %q is not in the catalogue", asked, p.Code)
	}
	if p.Status != got.status || p.RequestID != got.header.Get("X-Request-Id") || p.Title == "" || p.Detail == "" {
		t.Errorf("%s: the problem %+v does not fit the answer %d with the id %q", asked, p, got.status, got.header.Get("X-Request-Id"))
	}
}

// A problemBody is what a client reads of a problem.
type problemBody struct {
	Title, Detail, Code, Error string
	Status                     int
	RequestID                  string `json:"request_id"`
}

func problemOf(t *testing.T, got reply) problemBody {
	t.Helper()
	var p problemBody
	if err := json.Unmarshal([]byte(got.body), &p); err != nil {
		t.Errorf("the body of %d is no problem: %v: %.200q", got.status, err, got.body)
	}
	return p
}

// admin asks the admin socket in the working folder.
func (g *gate) admin(t *testing.T, path string) (int, string) {
	t.Helper()
	status, body, err := overSocket(filepath.Join(g.dir, "gatehouse-data", "admin.sock"), path)
	if err != nil {
		t.Fatalf("the admin socket: %v", err)
	}
	return status, body
}

// overSocket asks a server on a Unix socket.
func overSocket(socket, path string) (int, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://gatehouse"+path, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	return response.StatusCode, string(body), err
}

// An outcome is what a command that has ended said.
type outcome struct {
	code           int
	stdout, stderr string
}

// gatehouse runs a command to its end.
func gatehouse(t *testing.T, dir string, env []string, args ...string) outcome {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return run(t, dir, env, "", path, args...)
}

// run runs any program to its end, which must come within calm, with a text on its standard input.
func run(t *testing.T, dir string, env []string, stdin, path string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), calm)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env = dir, environment(dir, env)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || ctx.Err() != nil) {
		t.Fatalf("%s %q: %v\n%s%s", path, args, err, stdout.String(), stderr.String())
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// needTool returns the path of a program that people have and machines may lack.
func needTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case os.Getenv("GATEHOUSE_TEST_PROXIES") == "1":
		t.Fatalf("%s is not installed and GATEHOUSE_TEST_PROXIES=1: install the package %s", name, name)
	default:
		t.Skipf("skipped: %s is not installed (apt-get install %s)", name, name)
	}
	return ""
}
