package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// until polls a condition until it holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(calm)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("after %v still not: %s", calm, what)
		}
	}
}

// beginDraining starts a server, makes a slow request, and tells the server to stop.
func beginDraining(t *testing.T) (*gate, *held, <-chan string) {
	t.Helper()
	h := startHeld(t)
	g := begin(t, launchPlan{file: "held.yaml", env: []string{"APP=" + h.URL}})
	if status, _ := g.admin(t, "/readyz"); status != 200 {
		t.Errorf("/readyz = %d while running, want 200", status)
	}
	body := h.slow(t, g)
	g.signal(t, syscall.SIGTERM)
	g.logged(t, "shutting down: a second signal ends it at once")
	until(t, "/readyz says 503", func() bool { status, _ := g.admin(t, "/readyz"); return status == 503 })
	return g, h, body
}

func TestStopLetsRequestsEnd(t *testing.T) {
	t.Parallel()
	g, h, body := beginDraining(t)
	if status, _ := g.admin(t, "/healthz"); status != 200 {
		t.Errorf("/healthz = %d while it drains, want 200: the process is alive", status)
	}
	until(t, "new connections are refused", func() bool {
		conn, err := net.DialTimeout("tcp", g.addr, patience)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	close(h.release)
	if got := received(t, body); got != "first last" {
		t.Errorf("the request under way = %q, want it whole", got)
	}
	if code := g.wait(t); code != 0 || !g.said(g.read, `"msg":"stopped"`) || g.said(0, "connections were cut") {
		t.Errorf("code %d, want 0 and nothing cut:\n%s", code, g.tail())
	}
}

func TestASecondSignalCuts(t *testing.T) {
	t.Parallel()
	g, _, body := beginDraining(t)
	g.signal(t, syscall.SIGTERM)
	if got := received(t, body); !strings.HasPrefix(got, "first ") || strings.HasSuffix(got, "last") {
		t.Errorf("the request under way = %q, want it cut", got)
	}
	if code := g.wait(t); code != 0 || !g.said(0, "connections were cut") {
		t.Errorf("code %d, want 0 and a word about what was cut:\n%s", code, g.tail())
	}
}

func TestStopCutsAfterItsTime(t *testing.T) {
	t.Parallel()
	h := startHeld(t)
	g := begin(t, launchPlan{file: "held.yaml", env: []string{"APP=" + h.URL, "GATEHOUSE_SERVER__TIMEOUTS__SHUTDOWN=1s"}})
	body := h.slow(t, g)
	g.signal(t, syscall.SIGTERM)
	if got := received(t, body); strings.HasSuffix(got, "last") {
		t.Errorf("the request under way = %q, want it cut", got)
	}
	if code := g.wait(t); code != 0 || !g.said(0, "connections were cut") {
		t.Errorf("code %d, want 0 and a word about what was cut:\n%s", code, g.tail())
	}
}

func TestAdminSocket(t *testing.T) {
	t.Parallel()
	g := begin(t, launchPlan{file: "small.json"})
	info, err := os.Stat(filepath.Join(g.dir, "gatehouse-data", "admin.sock"))
	if err != nil || info.Mode().Type() != os.ModeSocket || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v, want mode 0600", info, err)
	}
	denied := g.ask(t, "GET /secret-path?token=in-query", "Authorization: Token mistaken").header.Get("X-Request-Id")
	allowed := g.ask(t, "GET /ping", "Authorization: Token token1").header.Get("X-Request-Id")
	for path, want := range map[string]int{
		"/healthz": 200, "/readyz": 200, "/metrics": 200, "/admin/explain/" + denied: 200, "/admin/explain/" + allowed: 404,
		"/admin/explain/NOBODYKNOWS": 404, "/": 404, "/admin": 404, "/debug/pprof/": 404,
	} {
		if status, body := g.admin(t, path); status != want {
			t.Errorf("%s = %d %.200s, want %d", path, status, body, want)
		}
	}
	_, body := g.admin(t, "/admin/explain/"+denied)
	var report struct {
		Decision, Code, Path string
		Status               int
		Steps                []struct{ Stage, Outcome string }
	}
	if err := json.Unmarshal([]byte(body), &report); err != nil || report.Decision != "deny" || report.Code != "unknown_token" ||
		report.Status != 401 || report.Path != "/secret-path" || len(report.Steps) < 3 {
		t.Errorf("the explanation is %s, %v", body, err)
	}
	if strings.Contains(body, "mistaken") || strings.Contains(body, "in-query") {
		t.Errorf("the explanation shows a credential: %s", body)
	}
	if _, metrics := g.admin(t, "/metrics"); !containsAll(metrics, []string{
		`gatehouse_requests_total{code="unknown_token",decision="deny",status="4xx"} 1`, `gatehouse_requests_total{code="",decision="allow",status="2xx"} 1`,
		"gatehouse_request_duration_seconds_count 2", "gatehouse_config_last_reload_success_timestamp_seconds", "gatehouse_log_lines_dropped_total 0",
	}) {
		t.Errorf("the metrics are\n%s", metrics)
	}
}

// TestAdminOverTCP: health is open, everything else needs the highest role.
func TestAdminOverTCP(t *testing.T) {
	t.Parallel()
	g := begin(t, launchPlan{file: "admin.yaml"})
	ready := regexp.MustCompile(`"msg":"admin listener ready","network":"tcp","address":"([^"]+)"`).FindStringSubmatch(g.stderr.String())
	if ready == nil {
		t.Fatalf("no line says where the admin listener is:\n%s", g.stderr)
	}
	side := &gate{addr: ready[1]}
	for _, c := range []struct {
		line, token string
		status      int
	}{
		{"GET /healthz", "", 200}, {"GET /readyz", "", 200}, {"GET /healthz", "wrong", 200},
		{"GET /metrics", "", 401}, {"GET /metrics", "wrong", 401}, {"GET /metrics", "token-without-role", 403}, {"GET /metrics", "basic-token", 403},
		{"GET /metrics", "premium-token", 403}, {"GET /metrics", "admin-token", 200},
		{"GET /admin/explain/X", "", 401}, {"GET /admin/explain/X", "premium-token", 403}, {"GET /admin/explain/X", "admin-token", 404},
		{"GET /nothing", "", 401}, {"GET /nothing", "basic-token", 403}, {"GET /nothing", "admin-token", 404},
		{"POST /healthz", "", 401}, {"GET //metrics", "admin-token", 400}, {"GET /healthz/../metrics", "", 400}, {"GET /healthz%2f..%2fmetrics", "", 400},
		{"DELETE /metrics", "admin-token", 405},
	} {
		fields := []string{"Content-Length: 0"}
		if c.token != "" {
			fields = append(fields, "Authorization: Token "+c.token)
		}
		got := exchange(t, side.addr, request(c.line, fields...))
		if got.status != c.status || got.status == 401 && got.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s with %q = %d %v, want %d", c.line, c.token, got.status, got.header, c.status)
		}
	}
	id := g.ask(t, "GET /closed").header.Get("X-Request-Id")
	for token, want := range map[string]outcome{"admin-token": {code: 1, stdout: "DENY 401 no_credential"}, "basic-token": {code: 3}, "": {code: 3}} {
		args := []string{"explain", "--config", "admin.yaml", "--admin", side.addr, "--request", id}
		if token != "" {
			args = append(args, "--token", token)
		}
		if got := gatehouse(t, g.dir, nil, args...); got.code != want.code || !strings.Contains(got.stdout, want.stdout) {
			t.Errorf("explain --request over TCP with %q = code %d, %s%s, want code %d", token, got.code, got.stdout, got.stderr, want.code)
		}
	}
}

func TestExplainAsksTheRunningServer(t *testing.T) {
	t.Parallel()
	g := begin(t, launchPlan{file: "small.json"})
	id := g.ask(t, "DELETE /ping", "Authorization: Token token2").header.Get("X-Request-Id")
	got := gatehouse(t, g.dir, nil, "explain", "--request", id)
	if got.code != 1 || !containsAll(got.stdout, []string{"DENY 405 method_not_allowed", "DELETE /ping", "token-2", id}) {
		t.Errorf("explain --request = code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	got = gatehouse(t, g.dir, nil, "explain", "--request", id, "--json")
	var report map[string]any
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || report["request_id"] != id || report["code"] != "method_not_allowed" {
		t.Errorf("explain --request --json = %s, %v", got.stdout, err)
	}
	g.signal(t, syscall.SIGTERM)
	g.wait(t)
	got = gatehouse(t, g.dir, nil, "explain", "--request", id)
	if got.code != 3 || !strings.Contains(got.stderr, "Is it running") {
		t.Errorf("explain --request without a server = code %d, %s", got.code, got.stderr)
	}
}

func TestAKilledServerLeavesNoTrace(t *testing.T) {
	t.Parallel()
	first := begin(t, launchPlan{file: "small.json"})
	first.process.Kill()
	first.wait(t)
	if _, err := os.Lstat(filepath.Join(first.dir, "gatehouse-data", "admin.sock")); err != nil {
		t.Fatalf("the killed server left no socket: this test shows nothing: %v", err)
	}
	second := begin(t, launchPlan{dir: first.dir, file: "small.json"})
	if status, _ := second.admin(t, "/readyz"); status != 200 {
		t.Errorf("/readyz of the second server = %d, want 200", status)
	}
	if second.said(0, `"level":"WARNING"`, `"logger":"admin"`) {
		t.Errorf("it warns of the socket:\n%s", second.tail())
	}
}

// TestTwoServersInOneFolder: the second has no admin listener, says so, and does its work; the first keeps its own.
func TestTwoServersInOneFolder(t *testing.T) {
	t.Parallel()
	first := begin(t, launchPlan{file: "small.json"})
	second := begin(t, launchPlan{dir: first.dir, file: "small.json"})
	if !second.said(0, "there is no admin listener: set server.admin.listen to another place", "another gatehouse answers") {
		t.Errorf("the second says nothing of the admin listener:\n%s", second.tail())
	}
	for name, g := range map[string]*gate{"first": first, "second": second} {
		if got := g.ask(t, "GET /ping", "Authorization: Token token1"); got.status != 200 {
			t.Errorf("the %s server: %d, want 200", name, got.status)
		}
	}
	id := first.ask(t, "GET /of-the-first").header.Get("X-Request-Id")
	second.signal(t, syscall.SIGTERM)
	second.wait(t)
	if status, body := first.admin(t, "/admin/explain/"+id); status != 200 {
		t.Errorf("the first server's socket when the second is gone: %d %s, want 200", status, body)
	}
	named := spawn(t, launchPlan{dir: first.dir, file: "small.json", env: []string{"GATEHOUSE_SERVER__ADMIN__LISTEN=unix:gatehouse-data/admin.sock"}})
	if code := named.wait(t); code != 3 || !named.said(0, "another gatehouse answers") {
		t.Errorf("a third that must have the socket: code %d, want 3:\n%s", code, named.tail())
	}
}

// TestSlowClients: who sends a head drop by drop is cut, and a head that is too long is refused.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	g := begin(t, launchPlan{file: "small.json", env: []string{"GATEHOUSE_SERVER__TIMEOUTS__HEADER=1", "GATEHOUSE_SERVER__TIMEOUTS__READ=1s", "GATEHOUSE_SERVER__MAX_HEADER_SIZE=8192"}})
	for name, raw := range map[string]string{
		"half a head": "GET /ping HTTP/1.1\r\nHost: a\r\nAuthorization: Token tok", "half a line": "GET /pi", "nothing": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, g.addr)
			io.WriteString(conn, raw)
			if got, err := io.ReadAll(conn); err != nil || strings.Contains(string(got), "200 OK") {
				t.Errorf("answer %q, %v, want the end of the connection within %v", got, err, patience)
			}
		})
	}
	t.Run("a head that is too long", func(t *testing.T) {
		got := exchange(t, g.addr, request("GET /ping", "Authorization: Token token1", "X-Long: "+strings.Repeat("x", 16<<10)))
		if got.status != 431 {
			t.Errorf("answer %d, want 431", got.status)
		}
	})
	t.Run("a head that just fits", func(t *testing.T) {
		if got := g.ask(t, "GET /ping", "Authorization: Token token1", "X-Long: "+strings.Repeat("x", 6<<10)); got.status != 200 {
			t.Errorf("answer %d, want 200", got.status)
		}
	})
	t.Run("half a body", func(t *testing.T) {
		t.Parallel()
		got := exchange(t, g.addr, request("POST /stt", "Authorization: Token token1", "Transfer-Encoding: chunked")+"5\r\nhel")
		if got.status < 400 {
			t.Errorf("answer %d, want a refusal", got.status)
		}
	})
}

// from sends one request from a certain address of this machine.
func from(t *testing.T, source, addr, raw string) reply {
	t.Helper()
	dialer := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	conn, err := dialer.Dial("tcp", addr)
	if err != nil {
		t.Skipf("skipped: this machine has no address %s: %v", source, err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, raw)
	got, err := readOne(conn, raw)
	if err != nil {
		t.Fatal(err)
	}
	lawful(t, firstLine(raw), got)
	return got
}

// TestLimitOfRefusals: an address that is refused too often is not listened to for a while. Others are.
func TestLimitOfRefusals(t *testing.T) {
	t.Parallel()
	g := begin(t, launchPlan{file: "small.json", env: []string{"GATEHOUSE_LIMITS__REFUSED__BUDGET=5", "GATEHOUSE_LIMITS__REFUSED__PER=1h"}})
	good, bad := request("GET /ping", "Authorization: Token token1"), request("GET /ping", "Authorization: Token guessed")
	for i := range 10 { // what passes, and what is not there, costs nothing
		if got := from(t, "127.0.0.1", g.addr, request("GET /nope", "Authorization: Token token1")); got.status != 404 {
			t.Fatalf("request %d: %d, want 404", i+1, got.status)
		}
	}
	for i := range 5 {
		if got := from(t, "127.0.0.1", g.addr, bad); got.status != 401 {
			t.Fatalf("refusal %d: %d, want 401", i+1, got.status)
		}
	}
	for _, raw := range []string{bad, good, request("GET /ping"), request("GET /nope", "Authorization: Token token1")} {
		got := from(t, "127.0.0.1", g.addr, raw)
		var seconds int
		fmt.Sscan(got.header.Get("Retry-After"), &seconds)
		if got.status != 429 || seconds < 1 || seconds > 3600 {
			t.Errorf("%q after the budget: %d, Retry-After %q, want 429 and some seconds", raw, got.status, got.header.Get("Retry-After"))
		}
	}
	if got := from(t, "127.0.0.2", g.addr, good); got.status != 200 {
		t.Errorf("a valid user at another address: %d, want 200", got.status)
	}
	g.reload(t, "configuration reloaded")
	if got := from(t, "127.0.0.1", g.addr, good); got.status != 429 {
		t.Errorf("after a reload: %d, want that the debt stays", got.status)
	}
	if status, _ := g.admin(t, "/readyz"); status != 200 {
		t.Errorf("the admin socket: %d, want 200", status)
	}
}
