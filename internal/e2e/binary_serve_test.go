package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// put writes a file into a folder.
func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestServeWithoutConfiguration(t *testing.T) {
	t.Parallel()
	g := begin(t, launchPlan{})
	g.logged(t, "no credential is valid: list tokens in server.http.allowed_tokens (gatehouse hash token makes one)")
	for line, status := range map[string]int{"GET /": 401, "GET /ping": 401, "POST /ping": 401, "GET /auth/login": 401, "GET //": 400} {
		if got := g.ask(t, line, "Authorization: Token anything"); got.status != status {
			t.Errorf("%s = %d, want %d", line, got.status, status)
		}
	}
	if status, body := g.admin(t, "/readyz"); status != 200 {
		t.Errorf("/readyz = %d %s, want 200", status, body)
	}
	if g.said(0, "config.json") {
		t.Error("it speaks of config.json, which is not there")
	}
}

func TestServeReadsTheUsualFile(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	put(t, dir, "gatehouse.yaml", "server: {http: {allowed_tokens: [from-the-usual-file]}}\n")
	put(t, dir, "config.json", `{"server": {"http": {"allowed_tokens": ["from-the-other-file"]}}}`)
	g := begin(t, launchPlan{dir: dir})
	if !g.said(0, `"config":"gatehouse.yaml"`) || g.said(0, "was not read") {
		t.Errorf("it does not say which file it reads:\n%s", g.stderr)
	}
	for token, status := range map[string]int{"from-the-usual-file": 200, "from-the-other-file": 401} {
		if got := g.ask(t, "GET /ping", "Authorization: Token "+token); got.status != status {
			t.Errorf("%s = %d, want %d", token, got.status, status)
		}
	}
}

func TestServeSaysThatConfigJSONWasNotRead(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	put(t, dir, "config.json", fixture(t, "small.json"))
	g := begin(t, launchPlan{dir: dir})
	if !g.said(0, "config.json lies here and was not read. To read it: gatehouse serve --config config.json") {
		t.Errorf("it does not say how to read config.json:\n%s", g.stderr)
	}
	if got := g.ask(t, "GET /ping", "Authorization: Token token1"); got.status != 401 {
		t.Errorf("a token of the file that was not read: %d, want 401", got.status)
	}
}

func TestServeRefusesToStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	for _, c := range []struct {
		name  string
		files map[string]string
		env   []string
		args  []string
		code  int
		says  []string
	}{
		{"the port is taken", nil, []string{"GATEHOUSE_SERVER__HTTP__PORT=" + port}, nil, 3,
			[]string{"127.0.0.1:" + port, "Another program listens there", "GATEHOUSE_SERVER__HTTP__PORT=9000"}},
		{"an address of another machine", nil, []string{"GATEHOUSE_SERVER__HTTP__HOST=192.0.2.1"}, nil, 3, []string{"cannot listen on 192.0.2.1"}},
		{"the named file is not there", nil, nil, []string{"serve", "--config", "nowhere.yaml"}, 1, []string{"nowhere.yaml", "cannot be read"}},
		{"an unknown key", map[string]string{"gatehouse.yaml": "server: {http: {prot: 80}}\n"}, nil, nil, 1, []string{"gatehouse.yaml:1:17", `"prot"`, `"port"`, "1 fault"}},
		{"several faults", map[string]string{"gatehouse.yaml": "servr: {}\nroles: [a, a]\nrules: [{path: x, allow: anyone}]\n"}, nil, nil, 1,
			[]string{"gatehouse.yaml:1:1", "gatehouse.yaml:2:", "gatehouse.yaml:3:", "3 faults"}},
		{"a broken file", map[string]string{"gatehouse.yaml": "server: {\n"}, nil, nil, 1, []string{"gatehouse.yaml:"}},
		{"an unknown variable", nil, []string{"GATEHOUSE_SERVER__HTTP__PROT=80"}, nil, 1, []string{"GATEHOUSE_SERVER__HTTP__PROT"}},
		{"a variable that is not set", map[string]string{"gatehouse.yaml": "upstream: ${NOBODY_SET_THIS}\n"}, nil, nil, 1, []string{"NOBODY_SET_THIS", "not set"}},
		{"a token file that is not there", map[string]string{"gatehouse.yaml": "server: {http: {allowed_tokens: [\"file:no.token\"]}}\n"}, nil, nil, 1, []string{"gatehouse.yaml:1:34", "cannot be read"}},
		{"a token that no client could send", map[string]string{"gatehouse.yaml": "server: {http: {allowed_tokens: [\"one,two\"]}}\n"}, nil, nil, 1, []string{"gatehouse.yaml:1:34", "comma"}},
		{"policy tests fail", map[string]string{"gatehouse.yaml": "tests: [p.yaml]\n", "p.yaml": "tests: [{request: GET /x, expect: allow}]\n"}, nil, nil, 1,
			[]string{"1 policy test of 1 failed", "not used", "GET /x"}},
		{"a certificate without its key", map[string]string{"gatehouse.yaml": "server: {tls: {cert_file: c.pem}}\n"}, nil, nil, 1, []string{"key_file"}},
		{"a certificate that is not there", map[string]string{"gatehouse.yaml": "server: {tls: {cert_file: c.pem, key_file: k.pem}}\n"}, nil, nil, 3, []string{"TLS", "does not exist", "c.pem"}},
		{"an admin listener that is taken", map[string]string{"gatehouse.yaml": "server: {admin: {listen: \"127.0.0.1:" + port + "\"}}\n"}, nil, nil, 3, []string{"server.admin.listen", port}},
		{"an unknown flag", nil, nil, []string{"serve", "--confg", "x"}, 2, []string{"--confg", "gatehouse serve --help"}},
		{"no such command", nil, nil, []string{"servr"}, 2, []string{"servr"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := shortDir(t)
			for name, text := range c.files {
				put(t, dir, name, text)
			}
			args := c.args
			if args == nil {
				args = []string{"serve"}
			}
			got := gatehouse(t, dir, append([]string{"GATEHOUSE_SERVER__HTTP__PORT=0"}, c.env...), args...)
			if got.code != c.code || got.stdout != "" || !containsAll(got.stderr, c.says) {
				t.Errorf("code %d, %q on standard output, and:\n%swant code %d and %q", got.code, got.stdout, got.stderr, c.code, c.says)
			}
		})
	}
}

// TestServeFromTheEnvironment: the environment goes before the file, and holds secrets that the file only names.
func TestServeFromTheEnvironment(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	put(t, dir, "app.token", "token-in-a-file\n")
	put(t, dir, "gatehouse.yaml", `
server:
  http:
    port: 1
    auth_scheme: ApiKey
    allowed_tokens:
      - {name: env, token: "${TOKEN_OF_ENV}"}
      - {name: file, token: "file:app.token", owner: filer}
      - file:app2.token
`)
	put(t, dir, "app2.token", "another-token-in-a-file")
	g := begin(t, launchPlan{dir: dir, env: []string{"TOKEN_OF_ENV=[of|env]:{#}", "GATEHOUSE_SERVER__HTTP__AUTH_SCHEME=Bearer"}})
	for token, status := range map[string]int{
		"[of|env]:{#}": 200, "token-in-a-file": 200, "another-token-in-a-file": 200, "file:app.token": 401, "${TOKEN_OF_ENV}": 401, "app.token": 401,
	} {
		if got := g.ask(t, "GET /ping", "Authorization: Bearer "+token); got.status != status {
			t.Errorf("the token %q = %d, want %d", token, got.status, status)
		}
	}
	if got := g.ask(t, "GET /ping", "Authorization: ApiKey token-in-a-file"); got.status != 401 {
		t.Errorf("the scheme of the file, which the environment changed = %d, want 401", got.status)
	}
}

func TestServeStopsWithCode0(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]os.Signal{"SIGTERM": syscall.SIGTERM, "ctrl-c": os.Interrupt} {
		t.Run(name, func(t *testing.T) {
			g := begin(t, launchPlan{file: "small.json"})
			g.signal(t, s)
			if code := g.wait(t); code != 0 || !g.said(0, `"msg":"stopped"`) {
				t.Errorf("code %d, want 0 and a last word:\n%s", code, g.tail())
			}
			if _, err := os.Lstat(filepath.Join(g.dir, "gatehouse-data", "admin.sock")); !os.IsNotExist(err) {
				t.Errorf("the admin socket is left behind: %v", err)
			}
			if _, err := net.DialTimeout("tcp", g.addr, patience); err == nil {
				t.Error("somebody still listens")
			}
		})
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if got := gatehouse(t, shortDir(t), nil, "version"); got.code != 0 || !strings.HasPrefix(got.stdout, "gatehouse ") || !strings.Contains(got.stdout, "go1.") {
		t.Errorf("version = code %d, %q", got.code, got.stdout)
	}
}
