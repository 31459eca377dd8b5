package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	yaml "go.yaml.in/yaml/v4"
)

// pages returns the names of all pages, relative to the root of the project.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "deploy/*.md", "examples/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(top, pattern))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	if len(all) < 8 {
		t.Fatalf("only %q: the search sees nothing", all)
	}
	return all
}

var (
	links    = regexp.MustCompile(`\[[^\]\n]*\]\(([^)\s]+)\)`)
	headings = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// anchors returns the names of a page's headings, as they stand in links.
func anchors(page string) []string {
	var all []string
	for _, m := range headings.FindAllStringSubmatch(page, -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(name, " ", "-"))
	}
	return all
}

// TestLinks: each link between pages leads to a file that is there, and to a heading that it has.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, name := range pages(t) {
		text := fence.ReplaceAllString(readText(t, name), "")
		for _, m := range links.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target := name
			if path != "" {
				target = filepath.Join(filepath.Dir(name), filepath.FromSlash(path))
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", name, m[1])
			} else if anchor != "" && !slices.Contains(anchors(readText(t, target)), anchor) {
				t.Errorf("%s links to %s, and there is no such heading", name, m[1])
			}
		}
	}
}

// called finds where the binary is called: at the begin of a line or of what stands in back quotes, or behind a pipe or a variable.
var called = regexp.MustCompile("(?:^ *|`|\\| |[A-Z]=[0-9]+ )(?:\\./)?gatehouse ([a-z][^`|#;\n]*)")

// commandsIn returns the commands with their flags that a line of a page calls.
func commandsIn(line string) (commands [][]string) {
	for _, m := range called.FindAllStringSubmatch(line, -1) {
		words := strings.Fields(m[1])
		command := words[0]
		if slices.Contains([]string{"hash", "db", "key", "token"}, command) && len(words) > 1 {
			command += " " + words[1]
		}
		flags := slices.DeleteFunc(words, func(w string) bool { return !strings.HasPrefix(w, "-") || w == "-" })
		commands = append(commands, append([]string{command}, flags...))
	}
	return commands
}

func TestCommandsIn(t *testing.T) {
	for line, want := range map[string]string{
		"gatehouse serve --config FILE":                       "[[serve --config]]",
		"`gatehouse check` says, and `gatehouse test -v x`":   "[[check] [test -v]]",
		"./gatehouse hash token --name a --role b > x 2> y":   "[[hash token --name --role]]",
		"printf %s x | gatehouse hash token --stdin # --none": "[[hash token --stdin]]",
		"GATEHOUSE_X=9000 gatehouse serve":                    "[[serve]]",
		"gatehouse token revoke --all, `gatehouse key list`":  "[[token revoke --all,] [key list]]",
		"gatehouse is a gate; the gatehouse serves":           "[[is]]",
		"go build -o gatehouse ./cmd/gatehouse":               "[]",
	} {
		if got := fmt.Sprint(commandsIn(line)); got != want {
			t.Errorf("commandsIn(%q) = %s, want %s", line, got, want)
		}
	}
}

// TestCommandsOfThePages: each command and flag that a page names is one of the binary's.
func TestCommandsOfThePages(t *testing.T) {
	t.Parallel()
	help, seen := map[string]string{}, 0
	for _, name := range pages(t) {
		if strings.Contains(name, "design") || strings.Contains(name, "threats") || strings.Contains(name, "CHANGELOG") {
			continue // what is to come is spoken of there
		}
		for number, line := range strings.Split(readText(t, name), "\n") {
			for _, words := range commandsIn(line) {
				text, ok := help[words[0]]
				if !ok {
					got := gatehouse(t, ".", nil, append(strings.Fields(words[0]), "--help")...)
					if text, help[words[0]] = got.stdout, got.stdout; got.code != 0 {
						t.Errorf("%s:%d names the command %q: %s", name, number+1, words[0], got.stderr)
					}
				}
				for _, flag := range words[1:] {
					if !regexp.MustCompile(`(?m)(^|[ ,])` + regexp.QuoteMeta(flag) + `([ =,]|$)`).MatchString(text) {
						t.Errorf("%s:%d: gatehouse %s has no flag %s", name, number+1, words[0], flag)
					}
				}
				seen++
			}
		}
	}
	if seen < 12 {
		t.Errorf("only %d commands were found in the pages: this test sees nothing", seen)
	}
}

// keys are texts in back quotes that look like a key of the configuration.
var keys = regexp.MustCompile("`((?:server|store|sessions|tokens|clients|log|limits|errors|upstream|rules|forward_auth|cors|carriers|tests)\\.[a-z_.]+)`")

// TestKeysOfThePages: each key that a page names is one of the configuration's.
func TestKeysOfThePages(t *testing.T) {
	t.Parallel()
	reference, seen := readText(t, filepath.Join(top, "docs", "configuration.md")), 0
	for _, name := range pages(t) {
		for _, m := range keys.FindAllStringSubmatch(readText(t, name), -1) {
			seen++
			if !strings.Contains(reference, "`"+m[1]) {
				t.Errorf("%s names the key %s, which docs/configuration.md does not have", name, m[1])
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d keys were found in the pages: this test sees nothing", seen)
	}
}

// operated is the configuration of the page about operating.
const operated = `
carriers: [authorization, bearer]
server:
  http:
    allowed_tokens:
      - {name: alice, token: the-token-of-alice, roles: [basic]}
roles: {basic: 1, admin: 9}
rules:
  - {methods: [GET], path: /films, allow: {role: basic}}
  - {path: "/films/{id}", allow: {role: admin}}
limits: {refused: {budget: 60, per: 1m}}
`

// TestOperating runs every command of docs/operating.md and looks for every metric that it names.
func TestOperating(t *testing.T) {
	t.Parallel()
	needTool(t, "curl")
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	dir := shortDir(t)
	put(t, dir, "gatehouse.yaml", operated)
	g := begin(t, launchPlan{dir: dir})
	id := g.ask(t, "GET /films").header.Get("X-Request-Id")
	page := readText(t, filepath.Join(top, "docs", "operating.md"))
	s := &shell{dir, developer("TOKEN=the-token-of-alice", "PATH="+filepath.Dir(path)+":"+os.Getenv("PATH"))}
	var printed []string
	for _, b := range blocks(page) {
		if b.lang != "sh" {
			continue
		}
		for _, line := range strings.Split(strings.TrimSpace(b.text), "\n") {
			line = regexp.MustCompile(`--request [0-9A-Z]+`).ReplaceAllString(line, "--request "+id)
			printed = append(printed, s.run(t, line+" || [ $? = 1 ]")) // 1 is "denied"
		}
	}
	all := strings.Join(printed, "\n")
	for _, text := range []string{"DENY 401 no_credential", id, "DENY 403 forbidden", "ALLOW 200", `{"status":"ok"}`, "# TYPE gatehouse_requests_total counter", " ES256 active ", " ES256 next ", "revoked: everything that was issued to mallory"} {
		if !strings.Contains(all, text) {
			t.Errorf("nothing printed %q:\n%s", text, all)
		}
	}
	for _, metric := range regexp.MustCompile(`gatehouse_[a-z_]+(?:total|seconds)`).FindAllString(page, -1) {
		if !strings.Contains(all, "\n"+metric) {
			t.Errorf("docs/operating.md names the metric %s, which /metrics does not have", metric)
		}
	}
}

// TestComingFromATokenServer runs the rules that docs/operating.md gives those who come with config.json.
func TestComingFromATokenServer(t *testing.T) {
	t.Parallel()
	a, dir := startApp(t), shortDir(t)
	rules := blockWith(t, readText(t, filepath.Join(top, "docs", "operating.md")), "/exclude/{name}/info")
	put(t, dir, "gatehouse.yaml", "server: {http: {allowed_tokens: [token1]}}\n"+strings.Replace(rules, "127.0.0.1:9000", a.addr, 1))
	g := begin(t, launchPlan{dir: dir})
	good := "Authorization: Token token1"
	for line, status := range map[string]int{"GET /exclude/ab/info": 200, "POST /x": 200, "GET /x": 401, "GET /exclude/ab": 401, "GET /exclude/ab/info/x": 401, "DELETE /x": 401} {
		if got := g.ask(t, line, "Content-Length: 0"); got.status != status {
			t.Errorf("%s = %d, want %d", line, got.status, status)
		}
		a.take()
		g.ask(t, line, good, "Content-Length: 0")
		if seen := a.take(); len(seen) != 1 || seen[0].one("Remote-User") != "token-1" {
			t.Errorf("%s with a token reaches the application as %v, want that the caller is known", line, seen)
		}
	}
	put(t, dir, "expression.yaml", strings.Replace(rules, `path: "/exclude/{name}/info"`, `regex: '/exclude/\w+/info'`, 1))
	if got := gatehouse(t, dir, nil, "check", "--config", "expression.yaml"); got.code != 1 || !strings.Contains(got.stderr, "never asked") {
		t.Errorf("an expression beside /** = code %d, %s%s", got.code, got.stdout, got.stderr)
	}
}

// TestForwardAuthPage follows docs/forward-auth.md with nginx: its rules, its look for what answers unasked, and what it says to check.
func TestForwardAuthPage(t *testing.T) {
	t.Parallel()
	needTool(t, "curl")
	proxies[0].need(t)
	page := readText(t, filepath.Join(top, "docs", "forward-auth.md"))
	dir := shortDir(t)
	token := gatehouse(t, dir, nil, "hash", "token", "--name", "alice")
	put(t, dir, "alice.hash", between(t, token.stdout, `hash: "`, `"`)+"\n")
	g := begin(t, launchPlan{dir: dir, args: []string{"serve", "--config", rulesOfThePage(t, dir, page)}})
	front := start(t, proxies[0], places{auth: g.addr, app: startApp(t).addr})
	s := &shell{dir, developer("TOKEN=" + strings.Split(token.stderr, "\n")[1])}
	check := blockWith(t, page, "curl -si --path-as-is")
	text := strings.ReplaceAll(check, "http://127.0.0.1/", "http://"+front+"/")
	wantPromised(t, text, s.run(t, text))
	g.signal(t, syscall.SIGTERM)
	g.wait(t)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if got := curlStatuses(s.run(t, lines[len(lines)-2])); len(got) != 1 || got[0] < 500 || got[0] > 503 {
		t.Errorf("without Gatehouse: %v, want 500, 502 or 503", got)
	}
}

// rulesOfThePage writes the first configuration of the page into a file and returns its name.
func rulesOfThePage(t *testing.T, dir, page string) string {
	t.Helper()
	for _, b := range blocks(page) {
		if b.lang == "yaml" && strings.Contains(b.text, "trusted_proxies") {
			put(t, dir, "page.yaml", b.text)
			return "page.yaml"
		}
	}
	t.Fatal("docs/forward-auth.md has no configuration")
	return ""
}

// blockWith returns the block of a page that holds a text.
func blockWith(t *testing.T, page, text string) string {
	t.Helper()
	for _, b := range blocks(page) {
		if strings.Contains(b.text, text) {
			return b.text
		}
	}
	t.Fatalf("no block has %q", text)
	return ""
}

// TestFilesOfThePages: what the pages install or start is there.
func TestFilesOfThePages(t *testing.T) {
	t.Parallel()
	for _, name := range pages(t) {
		for _, file := range regexp.MustCompile(`\bdeploy/[a-z]+/[A-Za-z.-]*[A-Za-z]`).FindAllString(readText(t, name), -1) {
			if _, err := os.Stat(filepath.Join(top, filepath.FromSlash(file))); err != nil {
				t.Errorf("%s names %s, which is not there", name, file)
			}
		}
	}
}

// TestSessionsPage follows docs/sessions.md, with its Go program and nginx.
func TestSessionsPage(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl", "python3", "go"} {
		needTool(t, tool)
	}
	page := readText(t, filepath.Join(top, "docs", "sessions.md"))
	g := &guide{ports: newPorts(t, 9000, 8080, 8081)}
	g.dir, g.env = checkout(t), developer("GATEHOUSE_SERVER__HTTP__PORT="+g.ports["8080"])
	for _, b := range blocks(page) {
		if b.mark != "" {
			b.text = strings.ReplaceAll(b.text, `"gatehouse-data/`, `"`+g.dir+`/gatehouse-data/`) // the program runs in another folder
			g.follow(t, b)
		}
	}
	for _, text := range []string{"no faults, 0 warnings", "<h1>Films</h1>", `"code":"cross_origin"`, `"code":"session_invalid"`, "Set-Cookie: gatehouse=; Path=/; Expires="} {
		if !strings.Contains(g.output.String(), text) {
			t.Errorf("nothing printed %q:\n%s", text, &g.output)
		}
	}
	put(t, g.dir, "settings.yaml", "server: {public_url: https://app.example.org}\n"+blockWith(t, page, "url: sqlite:"))
	if got := gatehouse(t, g.dir, nil, "check", "--config", "settings.yaml"); got.code != 0 || !strings.Contains(got.stdout, "no faults, 0 warnings") {
		t.Errorf("check of the settings = code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	if _, err := exec.LookPath("nginx"); err == nil || haveTool(t, "nginx") {
		besideNginx(t, g, blockWith(t, page, "auth_request off"))
	}
}

// besideNginx puts the page's location into the sample, and signs in and out through it.
func besideNginx(t *testing.T, g *guide, location string) {
	t.Helper()
	gate := beginIn(t, shortDir(t), readText(t, filepath.Join(g.dir, "gatehouse.yaml"))+"server: {trusted_proxies: [127.0.0.1]}\n")
	program := startHTTP(t, http.StripPrefix("/account", beside(t, gate).handler))
	a := startApp(t)
	front := start(t, proxies[0], places{auth: gate.addr, app: a.addr, edit: func(file, text string) string {
		if !strings.HasSuffix(file, "gatehouse.conf") {
			return text
		}
		dir := between(t, text, "include ", "/gatehouse-auth.conf")
		own := strings.NewReplacer("127.0.0.1:8081", program, "/etc/nginx/snippets", dir).Replace(location)
		return strings.Replace(text, "    location / {", own+"    location / {", 1)
	}})
	bodies := goJar(t, []string{"GET http://" + front + "/films", "POST http://" + front + "/account/login?who=jack", "GET http://" + front + "/films", "GET http://" + front + "/account/me",
		"POST http://" + front + "/account/logout", "GET http://" + front + "/films"})
	if bodies[2] != "app /films" || bodies[3] != "you are jack" || bodies[0] != bodies[5] || bodies[0] == bodies[2] {
		t.Errorf("through nginx: %q, want in only between log-in and log-out", bodies)
	}
	if seen := a.take(); len(seen) != 1 || seen[0].one("Remote-User") != "jack" || seen[0].one("Cookie") != "" {
		t.Errorf("the application saw %v, want jack, once and without cookie", seen)
	}
}

// TestPolicyTestsPage runs the full example of docs/policy-tests.md.
func TestPolicyTestsPage(t *testing.T) {
	t.Parallel()
	page, dir := readText(t, filepath.Join(top, "docs", "policy-tests.md")), shortDir(t)
	config := strings.ReplaceAll(blockWith(t, page, "- {name: ci, hash:"), `"sha256:…"`, `"sha256:`+strings.Repeat("0f", 32)+`"`)
	put(t, dir, "gatehouse.yaml", config+"tests: [films.yaml]\n")
	put(t, dir, "films.yaml", blockWith(t, page, "name: nobody reads films"))
	got := gatehouse(t, dir, nil, "test", "-v")
	if got.code != 0 || !regexp.MustCompile(`(?m)^[1-9][0-9]+ passed$`).MatchString(got.stdout) {
		t.Errorf("the example = code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	put(t, dir, "gatehouse.yaml", strings.Replace(config, "allow: {role: admin}", "allow: {role: basic}", 1)+"tests: [films.yaml]\n")
	got = gatehouse(t, dir, nil, "test")
	if got.code != 1 || !containsAll(got.stdout, []string{"FAIL", "only admins delete films", "token ci"}) {
		t.Errorf("the example with a rule that lets too much through = code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
}

// TestSampleConfiguration: the sample in deploy/ is valid and does what its comments say; its twin in JSON says the same.
func TestSampleConfiguration(t *testing.T) {
	t.Parallel()
	sample, twin := filepath.Join(top, "deploy", "gatehouse.yaml"), filepath.Join("testdata", "binary", "gatehouse.json")
	var asYAML, asJSON any
	for file, value := range map[string]*any{sample: &asYAML, twin: &asJSON} {
		if err := yaml.Unmarshal([]byte(readText(t, file)), value); err != nil { // JSON is YAML
			t.Fatal(err)
		}
		got := gatehouse(t, ".", nil, "check", "--config", file)
		if got.code != 0 || !strings.Contains(got.stdout, "no faults, 0 warnings, 8 rules, 3 tokens") {
			t.Errorf("check %s = code %d\n%s%s", file, got.code, got.stdout, got.stderr)
		}
	}
	if !reflect.DeepEqual(texts(asYAML), texts(asJSON)) {
		t.Errorf("%s and %s differ:\n%v\n%v", sample, twin, asYAML, asJSON)
	}
	for _, c := range []struct {
		ask  string
		says string
	}{
		{"GET /", "DENY 401 no_credential"}, {"GET / --as ci", "ALLOW"}, {"GET /public/a/b", "ALLOW"}, {"DELETE /public/a", "ALLOW"},
		{"GET /films --as ci", "ALLOW"}, {"GET /films --as x", "DENY 403 forbidden"}, {"GET /films/1 --as x --scope films.read", "ALLOW"},
		{"POST /films --as ci", "DENY 403"}, {"POST /films --as alice", "ALLOW"}, {"PUT /films/1 --as alice", "ALLOW"}, {"PUT /films/1 --as ci", "DENY 403"},
		{"DELETE /films/1 --as alice", "DENY 403"}, {"DELETE /films/1 --as x --role admin", "ALLOW"}, {"POST /elsewhere --as alice", "DENY 405"},
		{"GET http://office.example.org/ --as alice", "DENY 403"}, {"GET http://office.example.org/films --as x --role admin", "ALLOW"},
	} {
		got := gatehouse(t, ".", nil, append(append([]string{"explain"}, strings.Fields(c.ask)...), "--config", sample)...)
		if !strings.HasPrefix(got.stdout, c.says) {
			t.Errorf("explain %s = %q %s, want %s", c.ask, got.stdout, got.stderr, c.says)
		}
	}
	g := begin(t, launchPlan{args: []string{"serve", "--config", absolute(t, sample)}})
	for i := range 61 {
		got := g.ask(t, "GET /films")
		if want := map[bool]int{true: 401, false: 429}[i < 60]; got.status != want {
			t.Fatalf("refusal %d by the sample's limits: %d, want %d", i+1, got.status, want)
		}
	}
}

// texts makes values comparable that YAML and JSON type differently, such as dates.
func texts(v any) any {
	switch v := v.(type) {
	case map[string]any:
		all := map[string]any{}
		for key, value := range v {
			all[key] = texts(value)
		}
		return all
	case []any:
		all := make([]any, len(v))
		for i, value := range v {
			all[i] = texts(value)
		}
		return all
	}
	return strings.TrimSuffix(fmt.Sprint(v), " 00:00:00 +0000 UTC")
}

func absolute(t *testing.T, name string) string {
	t.Helper()
	full, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return full
}
