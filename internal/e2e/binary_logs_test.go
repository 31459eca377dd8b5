package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// accessLine waits for the line of the access log about the request with that id.
func (g *gate) accessLine(t *testing.T, id string) map[string]any {
	t.Helper()
	g.read = 0
	return g.logged(t, "request", `"logger":"access"`, `"request_id":"`+id+`"`)
}

// TestAccessLog: one line for each request, with the fields that docs/operating.md lists.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	g, _ := beginApp(t)
	always := []string{"time", "level", "logger", "msg", "request_id", "method", "host", "path", "status", "bytes", "duration_ms", "proto", "remote", "kind", "decision"}
	for _, c := range []struct {
		line   string
		fields []string
		want   map[string]any
	}{
		{"GET /?query=never", authorization(fake), map[string]any{"method": "GET", "host": "app.example", "path": "/", "status": 200.0, "bytes": float64(len("app /?query=never")), "remote": "127.0.0.1", "proto": "HTTP/1.1",
			"principal": "fake-uuid", "kind": "service", "carrier": "Authorization: Bearer", "token_id": "fake", "rule": "GET,DELETE /", "decision": "allow", "reason": nil}},
		{"GET /", []string{"X-API-Key: twin-token"}, map[string]any{"principal": "fake-uuid", "carrier": "X-Api-Key", "token_id": "fake-twin", "decision": "allow"}},
		{"GET /exclude", nil, map[string]any{"status": 200.0, "principal": nil, "kind": "anonymous", "carrier": nil, "token_id": nil, "rule": "* /exclude", "decision": "allow"}},
		{"GET /setattr", nil, map[string]any{"status": 401.0, "decision": "deny", "reason": "no_credential", "kind": "anonymous"}},
		{"GET /admin", authorization(fake), map[string]any{"status": 403.0, "decision": "deny", "reason": "forbidden", "principal": "fake-uuid", "rule": "GET /admin"}},
		{"GET /nope", authorization(fake), map[string]any{"status": 404.0, "decision": "deny", "reason": "not_found", "rule": nil}},
		{"PUT /admin", authorization(fake), map[string]any{"status": 405.0, "decision": "deny", "reason": "method_not_allowed"}},
		{"GET /a/..//%2e%2fb?query=never", nil, map[string]any{"status": 400.0, "decision": "deny", "reason": "bad_target", "path": "/a/..//%2e%2fb"}},
		{"GET /%73etattr", authorization(fake), map[string]any{"status": 200.0, "path": "/setattr"}},
	} {
		id := g.ask(t, c.line, c.fields...).header.Get("X-Request-Id")
		line := g.accessLine(t, id)
		for _, field := range always {
			if _, ok := line[field]; !ok {
				t.Errorf("%s: the line lacks %s: %v", c.line, field, line)
			}
		}
		for field, want := range c.want {
			if got := line[field]; got != want {
				t.Errorf("%s: %s = %v, want %v", c.line, field, got, want)
			}
		}
	}
	if n := strings.Count(g.stderr.String(), `"logger":"access"`); n != 9 {
		t.Errorf("%d lines for 9 requests", n)
	}
	if strings.Contains(g.stderr.String(), "never") {
		t.Error("a query was logged")
	}
}

// TestAccessLogIsDocumented: the fields of the page are those of the log, none more and none less.
func TestAccessLogIsDocumented(t *testing.T) {
	t.Parallel()
	page := readText(t, filepath.Join("..", "..", "docs", "operating.md"))
	_, table, _ := strings.Cut(page, "## Logs")
	table, _, _ = strings.Cut(table, "\n## ")
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]+) \\|").FindAllStringSubmatch(table, -1) {
		for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(row[1], -1) {
			documented[name[1]] = true
		}
	}
	g, _ := beginApp(t)
	seen := map[string]bool{}
	for _, field := range []string{"Authorization: " + fake, "X: y"} {
		for name := range g.accessLine(t, g.ask(t, "GET /admin", field).header.Get("X-Request-Id")) {
			seen[name] = true
		}
	}
	for _, name := range []string{"time", "level", "logger", "msg"} {
		delete(seen, name)
	}
	for name := range seen {
		if !documented[name] {
			t.Errorf("the field %s is not in docs/operating.md", name)
		}
	}
	for name := range documented {
		if !seen[name] {
			t.Errorf("docs/operating.md has the field %s, the log has not", name)
		}
	}
}

func TestLogFormatAndLevels(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		log         string
		has, hasNot []string
	}{
		{"text", "{format: text}", []string{"listening url=http://", "request request_id=", "status=401"}, []string{"{\"time\""}},
		{"json is the default", "{}", []string{`{"time":"`, `"msg":"request"`, `"status":401`}, []string{"status=401"}},
		{"the access log alone is silent", "{level: [{logger: access, level: error}]}", []string{"listening"}, []string{"no_credential"}},
		{"only the access log", "{level: [{logger: server_logger, level: CRITICAL}, {logger: access, level: Info}]}", []string{"no_credential"}, []string{"listening"}},
		{"warnings", "{level: [{logger: server_logger, level: warn}]}", []string{"stored in clear"}, []string{"listening", "no_credential"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := shortDir(t)
			port := freeAddress(t)
			_, number, _ := net.SplitHostPort(port)
			put(t, dir, "gatehouse.yaml", "server: {http: {allowed_tokens: [token-number-one]}}\nlog: "+c.log+"\n")
			g := spawn(t, launchPlan{dir: dir, env: []string{"GATEHOUSE_SERVER__HTTP__PORT=" + number}})
			g.addr = port
			if err := await(port, make(chan error)); err != nil {
				t.Fatal(err)
			}
			g.ask(t, "GET /ping")
			g.signal(t, syscall.SIGTERM)
			g.wait(t) // the log is flushed at the end
			text := g.stderr.String()
			for _, s := range c.has {
				if !strings.Contains(text, s) {
					t.Errorf("the log lacks %q:\n%s", s, text)
				}
			}
			for _, s := range c.hasNot {
				if strings.Contains(text, s) {
					t.Errorf("the log has %q:\n%s", s, text)
				}
			}
		})
	}
}

// planted are the secrets of testdata/binary/secrets.yaml and of the requests that TestNoSecretGetsOut makes.
var planted = []string{
	"planted-in-the-file", "planted-in-the-environment", "planted-in-a-token-file", "planted-and-off", "planted-and-expired",
	"planted-in-a-request", "planted-in-a-query", "planted-in-a-cookie", "planted-in-a-body", "planted-in-a-mistake",
}

// hostile are the requests of TestNoSecretGetsOut, with the status that each must get. 0 is any.
func hostile() []struct {
	name, raw string
	status    int
} {
	type exchange = struct {
		name, raw string
		status    int
	}
	carry := func(value string) string { return "Authorization: Bearer " + value }
	list := []exchange{
		{"allowed, token of the file", request("GET /app/x", carry("planted-in-the-file")), 200},
		{"allowed, token of the environment", request("GET /app/x", carry("planted-in-the-environment")), 200},
		{"allowed, token of a token file", request("GET /app/x", "X-API-Key: planted-in-a-token-file"), 200},
		{"allowed, the credential is kept", request("GET /kept/x", carry("planted-in-the-file")), 200},
		{"allowed, with a query, a cookie and a body", request("POST /app/x?token=planted-in-a-query", carry("planted-in-the-file"), "Cookie: s=planted-in-a-cookie", "Content-Length: 17") + "planted-in-a-body", 200},
		{"switched off", request("GET /app/x", carry("planted-and-off")), 401},
		{"expired", request("GET /app/x", carry("planted-and-expired")), 401},
		{"unknown", request("GET /app/x?token=planted-in-a-query", carry("planted-in-a-request")), 401},
		{"unknown, in its own header", request("GET /app/x", "X-API-Key: planted-in-a-request"), 401},
		{"unknown, on an open path", request("GET /open/x", carry("planted-in-a-request")), 200},
		{"unknown, on a strict path", request("GET /strict", carry("planted-in-a-request")), 401},
		{"a role too low", request("GET /admin/x", carry("planted-in-the-environment")), 403},
		{"no such path", request("GET /nothing?planted-in-a-query", carry("planted-in-the-file")), 404},
		{"too large", request("POST /app/x", carry("planted-in-the-file"), "Content-Length: 2000") + strings.Repeat("planted-in-a-body ", 120)[:2000], 413},
		{"too large, in chunks", request("POST /app/x", carry("planted-in-the-file"), "Transfer-Encoding: chunked") + chunked(strings.Repeat("planted-in-a-body ", 120)), 0},
		{"nobody listens", request("GET /gone/x?planted-in-a-query", carry("planted-in-the-file"), "Cookie: planted-in-a-cookie"), 502},
		{"nobody answers", request("GET /silent/x?planted-in-a-query", carry("planted-in-the-file")), 504},
		{"the answer is cut", request("GET /app/cut?planted-in-a-query", carry("planted-in-the-file")), 0},
		{"two credentials", request("GET /app/x", carry("planted-in-the-file"), carry("planted-in-a-request")), 400},
		{"two carriers", request("GET /app/x", carry("planted-in-the-file"), "X-API-Key: planted-in-a-token-file"), 400},
		{"not canonical", request("GET //app/x?planted-in-a-query", carry("planted-in-the-file")), 400},
		{"forward-auth of a stranger", request("GET /authz/nginx", carry("planted-in-the-file"), "X-Forwarded-Uri: /x?token=planted-in-a-query"), 403},
		{"no HTTP", "GET /app/x HTTP/1.1\r\nHost: a\r\nAuthorization : Bearer planted-in-a-request\r\n\r\n", 400},
		{"no HTTP at all", "Authorization: Bearer planted-in-a-request\r\n\r\n\r\n", 0},
		{"control characters", request("GET /app/x", carry("planted-in-a-request\x01")), 400},
		{"userinfo in the target", request("GET http://planted-in-a-request@app.example/app/x"), 400},
		{"userinfo in the host", "GET /app/x HTTP/1.1\r\nHost: planted-in-a-request@a\r\n\r\n", 400},
	}
	for i, value := range []string{
		"Bearer  planted-in-a-request more", "Bearer planted-in-a-request,more", "Bearer\tplanted-in-a-request", `Bearer "planted-in-a-request"`, "Bearer=planted-in-a-request",
		"planted-in-a-request", "Basic planted-in-a-request", "Bearerplanted-in-a-request", "Bearer planted-in-a-request\xff", "Token planted-in-a-request; x",
	} {
		list = append(list, exchange{fmt.Sprintf("malformed %d", i), request("GET /app/x", "Authorization: "+value), 0})
	}
	for _, name := range []string{"Proxy-Authorization", "X-Auth-Token", "Remote-User", "Authorization_"} {
		list = append(list, exchange{"beside, " + name, request("GET /app/x", carry("planted-in-the-file"), name+": planted-in-a-request"), 0})
	}
	return list
}

// beginPlanted starts a server in which every secret has a place.
func beginPlanted(t *testing.T, format string) *gate {
	t.Helper()
	h := startHeld(t)
	silent := serve(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	dir := shortDir(t)
	put(t, dir, "planted.token", "planted-in-a-token-file\n")
	return begin(t, launchPlan{dir: dir, file: "secrets.yaml", env: []string{
		"PLANTED=planted-in-the-environment", "APP=" + h.URL, "GONE=http://" + freeAddress(t), "SILENT=http://" + silent, "GATEHOUSE_LOG__FORMAT=" + format,
	}})
}

// TestNoSecretGetsOut makes every kind of request with secrets in it, breaks the configuration around others, and then looks for them in
// everything that came out: logs at DEBUG, answers, explanations, metrics, and what the commands print.
func TestNoSecretGetsOut(t *testing.T) {
	t.Parallel()
	g := beginPlanted(t, "json")
	var out strings.Builder
	for _, h := range hostile() {
		got, err := attempt(t, g.addr, h.raw)
		if h.status != 0 && (err != nil || got.status != h.status) {
			t.Errorf("%s: %d, %v, want %d", h.name, got.status, err, h.status)
		}
		fmt.Fprintf(&out, "%s: %v %s\n", h.name, got.header, got.body)
		if id := got.header.Get("X-Request-Id"); id != "" && got.status >= 400 {
			_, body := g.admin(t, "/admin/explain/"+id)
			out.WriteString(body)
		}
	}
	_, metrics := g.admin(t, "/metrics")
	out.WriteString(metrics)
	breakConfiguration(t, g)
	for _, args := range [][]string{
		{"explain", "GET", "/app/x", "--token", "planted-in-the-file"}, {"explain", "GET", "/app/x", "--token", "planted-in-a-request", "--json"},
		{"explain", "GET", "/app/x?planted-in-a-query", "-H", "Authorization: Basic planted-in-a-request"}, {"check"}, {"test"},
	} {
		got := gatehouse(t, g.dir, []string{"PLANTED=planted-in-the-environment", "APP=http://a", "GONE=http://b", "SILENT=http://c"}, append(args, "--config", "secrets.yaml")...)
		out.WriteString(got.stdout + got.stderr)
	}
	g.signal(t, syscall.SIGTERM)
	g.wait(t)
	wantNoSecret(t, "what came out", out.String())
	wantNoSecret(t, "the log", g.stderr.String()+g.stdout.String())
}

// TestNoSecretInTheLogForPeople: the same requests, and the other format.
func TestNoSecretInTheLogForPeople(t *testing.T) {
	t.Parallel()
	g := beginPlanted(t, "text")
	for _, h := range hostile() {
		attempt(t, g.addr, h.raw) // TestNoSecretGetsOut looks at the answers
	}
	g.signal(t, syscall.SIGTERM)
	g.wait(t)
	wantNoSecret(t, "the log", g.stderr.String()+g.stdout.String())
}

// breakConfiguration makes faults right beside secrets, one after the other.
func breakConfiguration(t *testing.T, g *gate) {
	t.Helper()
	good := fixture(t, "secrets.yaml")
	for _, oldnew := range [][2]string{
		{"token: planted-in-the-file", "token: planted-in-a-mistake and-more"}, {"token: planted-in-the-file", "hash: planted-in-a-mistake"},
		{"token: planted-in-the-file", "tokn: planted-in-a-mistake"}, {"{name: clear, token: planted-in-the-file", "{name: clear, token: planted-in-a-mistake, token: planted-in-a-mistake"},
		{"token: planted-in-the-file", "token: [planted-in-a-mistake]"}, {"token: planted-in-the-file", "token: {planted-in-a-mistake: x}"},
		{"token: planted-in-the-file", "token: ${planted-in-a-mistake}"}, {"token: planted-in-the-file", "token: \"planted-in-a-mistake"},
		{"token: planted-in-the-file", "token: planted-in-a-mistake: x"}, {"token: planted-in-the-file", "hash: sha256:planted-in-a-mistake"},
		{"token: planted-in-the-file", "hash: \"${PLANTED}\""}, {"token: planted-in-the-file", "token: !planted-in-a-mistake x"},
		{"token: planted-in-the-file", "token: *planted-in-a-mistake"},
		{"\"file:planted.token\"", "\"file:planted-in-a-mistake\""}, {"\"${APP}\"", "http://planted-in-a-mistake@127.0.0.1:9"}, {"\"${APP}\"", "http://u:planted-in-a-mistake@127.0.0.1:9"},
		{"token: planted-in-the-file", "token: planted-and-off"},
	} {
		if !strings.Contains(good, oldnew[0]) {
			t.Fatalf("secrets.yaml has no %q", oldnew[0])
		}
		put(t, g.dir, "secrets.yaml", strings.Replace(good, oldnew[0], oldnew[1], 1))
		g.reload(t, "configuration refused")
	}
	put(t, g.dir, "secrets.yaml", good)
	g.reload(t, "configuration reloaded")
}

// wantNoSecret fails for each line that holds a planted secret.
func wantNoSecret(t *testing.T, what, text string) {
	t.Helper()
	for _, line := range strings.Split(text, "\n") {
		for _, secret := range planted {
			if strings.Contains(line, secret) {
				t.Errorf("%s shows %s: %.400s", what, secret, line)
			}
		}
	}
	if len(text) < 1000 {
		t.Errorf("%s is too short to show anything: %q", what, text)
	}
}

// TestLogLinesCannotBeForged: whatever a client sends, each of its requests is one line, and no line moves a terminal's cursor.
func TestLogLinesCannotBeForged(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			g := beginPlanted(t, format)
			known := len(g.stderr.lines(0))
			answered := forge(t, g)
			g.signal(t, syscall.SIGTERM)
			g.wait(t)
			lines := g.stderr.lines(known)
			wantWholeLines(t, format, lines)
			if n := len(slices.DeleteFunc(lines, func(l string) bool { return !isAccess(format, l) })); n != answered {
				t.Errorf("%d lines of the access log for %d requests", n, answered)
			}
		})
	}
}

// forge sends requests that try to write lines of their own, and returns how many a handler answered.
func forge(t *testing.T, g *gate) int {
	t.Helper()
	evil := []string{
		"\x1b[2J\x1b[31m", "\u009b31m", "\u202egnp.exe", "\u2028", "\ufeff", "\x7f", "\xff\xfe", "\u0085",
		"%0a{\"level\":\"ERROR\"}", "%0d%0aforged", "%1b[2J", "%c2%9b31m", "%e2%80%ae", "%00", "\" level=ERROR msg=\"forged", "a=b c=d",
	}
	answered := 0
	for _, e := range evil {
		for _, raw := range []string{
			"GET /app/" + e + " HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?" + e + " HTTP/1.1\r\nHost: a\r\n\r\n",
			"GET /app/x HTTP/1.1\r\nHost: " + e + "\r\n\r\n", "GET /app/x HTTP/1.1\r\nHost: a\r\nX-Evil: " + e + "\r\nAuthorization: " + e + "\r\n\r\n",
			"GET /app/x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: " + e + "\r\nX-Request-Id: " + e + "\r\nUser-Agent: " + e + "\r\n\r\n",
			"GET http://" + e + "/app HTTP/1.1\r\nHost: a\r\n\r\n", e + " /app HTTP/1.1\r\nHost: a\r\n\r\n",
		} {
			conn := dial(t, g.addr)
			io.WriteString(conn, raw)
			if got, err := parseReply(bufio.NewReader(conn), "GET /"); err == nil && got.header.Get("X-Request-Id") != "" {
				answered++
			}
			conn.Close()
		}
	}
	if answered < len(evil) {
		t.Errorf("only %d requests were answered by a handler: this test shows little", answered)
	}
	return answered
}

func isAccess(format, line string) bool {
	if format == "json" {
		return strings.Contains(line, `"logger":"access"`)
	}
	return strings.Contains(line, " request request_id=")
}

// wantWholeLines fails for each line that is not one of the logger's own making, whole and printable.
func wantWholeLines(t *testing.T, format string, lines []string) {
	t.Helper()
	for _, line := range lines {
		if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("a line with characters that are not printable: %q", line)
		}
		if format == "json" {
			var fields map[string]any
			if err := json.Unmarshal([]byte(line), &fields); err != nil || fields["logger"] == nil {
				t.Errorf("a line that is no JSON of the log: %v: %q", err, line)
			}
			continue
		}
		stamp, _, _ := strings.Cut(line, " ")
		if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil {
			t.Errorf("a line that does not begin with its time: %q", line)
		}
	}
}

// TestNoSecretInTheFolder: what the server writes into its folder holds no secret either.
func TestNoSecretInTheFolder(t *testing.T) {
	t.Parallel()
	g := beginPlanted(t, "json")
	g.ask(t, "GET /app/x", "Authorization: Bearer planted-in-the-file")
	err := filepath.WalkDir(filepath.Join(g.dir, "gatehouse-data"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text := readText(t, path)
		for _, secret := range planted {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %s", path, secret)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
