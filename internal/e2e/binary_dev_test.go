package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// beginDev starts the sample on a port of its own and returns what it printed.
func beginDev(t *testing.T, dir string, flags ...string) (*gate, string) {
	t.Helper()
	g := spawn(t, launchPlan{dir: dir, args: append([]string{"dev", "--port", "0"}, flags...)})
	welcome := g.printed(t, "--request ID")
	g.url = between(t, welcome, "the gate   ", "\n")
	_, g.addr, _ = strings.Cut(g.url, "://")
	return g, welcome
}

// between returns the text between two others.
func between(t *testing.T, text, before, after string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, before)
	inside, _, ok2 := strings.Cut(rest, after)
	if !ok || !ok2 {
		t.Fatalf("%q and %q are not in:\n%s", before, after, text)
	}
	return strings.TrimSpace(inside)
}

// A printedTrial is a line to paste with the status that it is said to give.
type printedTrial struct {
	status int
	line   string
	keeps  string // the line before it that keeps something in a variable of the shell; may be empty
}

var trialLines = regexp.MustCompile(`(?m)^  (TOKEN=.*)$|^  # (\d{3}): .*\n  (curl .*)$`)

func printedTrials(t *testing.T, welcome string) []printedTrial {
	t.Helper()
	var trials []printedTrial
	keeps, kept := "", 0
	for _, m := range trialLines.FindAllStringSubmatch(welcome, -1) {
		if m[1] != "" {
			keeps, kept = m[1], kept+1
			continue
		}
		status, _ := strconv.Atoi(m[2])
		trials = append(trials, printedTrial{status, m[3], keeps})
		keeps = ""
	}
	if lines := strings.Count(welcome, "curl "); len(trials) < 14 || len(trials)+kept != lines || kept != 1 {
		t.Fatalf("%d lines to try, %d that keep something, of %d with curl in:\n%s", len(trials), kept, lines, welcome)
	}
	return trials
}

var statusLine = regexp.MustCompile(`HTTP/[0-9.]+ (\d{3})`)

// curlStatuses returns the statuses that curl -i printed.
func curlStatuses(output string) []int {
	var all []int
	for _, m := range statusLine.FindAllStringSubmatch(output, -1) {
		status, _ := strconv.Atoi(m[1])
		all = append(all, status)
	}
	return all
}

// behind separates what a line has printed from its exit code and from the next line.
const behind = "\n--- the line has ended with code "

// pasteTrials runs every line that was printed, in their order, in one real shell with a real curl, as somebody who pastes them does.
func pasteTrials(t *testing.T, g *gate, welcome string) {
	t.Helper()
	bash := needTool(t, "bash")
	needTool(t, "curl")
	trials := printedTrials(t, welcome)
	var script strings.Builder
	for _, trial := range trials {
		fmt.Fprintf(&script, "%s\n%s\nprintf '%s%%s\\n' $?\n", trial.keeps, trial.line, behind)
	}
	got := run(t, g.dir, nil, "", bash, "-c", script.String())
	outputs := strings.Split(got.stdout, behind)
	if len(outputs) != len(trials)+1 {
		t.Fatalf("%d lines printed:\n%s\n%s", len(trials), got.stdout, got.stderr)
	}
	for i, trial := range trials {
		output, code := outputs[i], outputs[i+1][0]
		if all := curlStatuses(output); code != '0' || len(all) != 1 || all[0] != trial.status {
			t.Errorf("%s\n%s\n= code %c, %v, want %d:\n%s%s", trial.keeps, trial.line, code, all, trial.status, output, got.stderr)
		}
		if strings.Contains(trial.line, "Remote-User: root") && !strings.Contains(output, `"user":"alice"`) {
			t.Errorf("%s\nprints %s, want that alice stays alice", trial.line, output)
		}
	}
}

func TestDevPrintsLinesThatWork(t *testing.T) {
	t.Parallel()
	g, welcome := beginDev(t, "")
	pasteTrials(t, g, welcome)
	g.line(t, "401 deny", "GET", "/films", "anonymous", "no_credential")
	g.line(t, "200 allow", "GET", "/films", "alice")
	g.line(t, "200 allow", "POST", "/oauth/token")
	g.line(t, "200 allow", "GET", "/films", "robot")
	g.line(t, "403 deny", "DELETE", "/films/2", "robot")
	g.line(t, "200 allow", "POST", "/oauth/revoke")
	g.line(t, "401 deny", "GET", "/films", "anonymous", "unknown_token")
	if first := g.stderr.lines(0)[0]; !strings.HasPrefix(first, "200 allow") {
		t.Errorf("dev says %s, want a line for each request and nothing besides", first)
	}
	for _, secret := range []string{"alice-token", "robot-secret", "eyJ"} {
		if strings.Contains(g.stderr.String(), secret) {
			t.Errorf("the lines for requests show %s:\n%s", secret, g.stderr)
		}
	}
}

func TestDevExplainsADenial(t *testing.T) {
	t.Parallel()
	g, welcome := beginDev(t, "")
	denied := g.ask(t, "DELETE /films/1", "Authorization: Token alice-token")
	if denied.status != 403 {
		t.Fatalf("alice deletes a film: %d, want 403", denied.status)
	}
	id := denied.header.Get("X-Request-Id")
	line := strings.Replace(between(t, welcome, "X-Request-Id header:\n\n", "\n"), "--request ID", "--request "+id, 1)
	got := run(t, g.dir, nil, "", needTool(t, "bash"), "-c", line)
	if got.code != 1 || !containsAll(got.stdout, []string{"DENY 403 forbidden", "DELETE /films/1", "alice", "films.delete"}) {
		t.Errorf("%s\n= code %d\n%s%s", line, got.code, got.stdout, got.stderr)
	}
	unknown := run(t, g.dir, nil, "", needTool(t, "bash"), "-c", strings.Replace(line, id, "NOBODYKNOWS", 1))
	if unknown.code != 3 || !strings.Contains(unknown.stderr, "No request with this id") {
		t.Errorf("an unknown id = code %d, %q", unknown.code, unknown.stderr)
	}
}

func TestDevWithTLS(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	g, welcome := beginDev(t, dir, "--tls")
	if !strings.HasPrefix(g.url, "https://") || strings.Count(welcome, "--cacert") != strings.Count(welcome, "curl ") {
		t.Fatalf("dev --tls prints:\n%s", welcome)
	}
	pasteTrials(t, g, welcome)
	made := filepath.Join(dir, "gatehouse-data", "dev")
	cert, key := filepath.Join(made, "cert.pem"), filepath.Join(made, "key.pem")
	info, err := os.Stat(key)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v, want mode 0600", info, err)
	}
	before := [2]string{readText(t, cert), readText(t, key)}
	g.signal(t, os.Interrupt)
	if code := g.wait(t); code != 0 {
		t.Errorf("exit code %d after ctrl-c, want 0", code)
	}
	again, welcome := beginDev(t, dir, "--tls")
	if after := [2]string{readText(t, cert), readText(t, key)}; after != before {
		t.Error("the second start made another pair")
	}
	pasteTrials(t, again, welcome)
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDevListensOnThisMachineOnly(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"0.0.0.0", "::", "192.0.2.1", "", "example.org"} {
		got := gatehouse(t, shortDir(t), nil, "dev", "--port", "0", "--host", host)
		if got.code != 2 || got.stdout != "" || !strings.Contains(got.stderr, "dev listens on 127.0.0.1, ::1 or localhost only") {
			t.Errorf("dev --host %q = code %d, %q %q, want it refused", host, got.code, got.stdout, got.stderr)
		}
	}
}

func TestDevFindsAnotherPort(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	g := spawn(t, launchPlan{args: []string{"dev", "--port", port}})
	if url := between(t, g.printed(t, "--request ID"), "the gate   ", "\n"); strings.HasSuffix(url, ":"+port) {
		t.Errorf("dev is at %s, which is taken", url)
	}
}

// TestDevIgnoresSettingsOfServe: the sample is the same for everybody.
func TestDevIgnoresSettingsOfServe(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	if err := os.WriteFile(filepath.Join(dir, "gatehouse.yaml"), []byte("rules: [{path: /**, allow: anyone}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := spawn(t, launchPlan{dir: dir, args: []string{"dev", "--port", "0"}, env: []string{"GATEHOUSE_SERVER__HTTP__ALLOWED_TOKENS=mine"}})
	_, g.addr, _ = strings.Cut(between(t, g.printed(t, "--request ID"), "the gate   ", "\n"), "://")
	if got := g.ask(t, "GET /films", "Authorization: Token mine"); got.status != 401 {
		t.Errorf("a token of the environment: %d, want 401", got.status)
	}
	if got := g.ask(t, "GET /films"); got.status != 401 {
		t.Errorf("an open rule of gatehouse.yaml: %d, want 401", got.status)
	}
}
