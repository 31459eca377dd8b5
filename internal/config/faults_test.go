package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A malformed is one row of testdata/faults.txt.
type malformed struct {
	title, file, text string
	want              []string
}

// situations are those of the table: one cannot be moved.
var situations = map[string]string{
	"unknown_token": "", "forbidden": "", "not_found": "", "no_credential": "", "bad_target": "it is answered before anything is judged",
}

func malformedConfigurations(t testing.TB) []malformed {
	t.Helper()
	data, err := os.ReadFile("testdata/faults.txt")
	if err != nil {
		t.Fatal(err)
	}
	var rows []malformed
	for _, part := range strings.Split(string(data), "\n=== ")[1:] {
		head, rest, _ := strings.Cut(part, "\n")
		format, title, _ := strings.Cut(head, " ")
		text, want, found := strings.Cut(rest+"\n", "\n---\n")
		if !found {
			t.Fatalf("row %q has no line ---", title)
		}
		rows = append(rows, malformed{title, "f." + format, text, strings.FieldsFunc(want, func(r rune) bool { return r == '\n' })})
	}
	return rows
}

// messages parses text and returns the faults as lines without the name of the file.
func messages(t testing.TB, file, text string, opts Options) []string {
	t.Helper()
	cfg, err := Parse(file, []byte(text), opts)
	if err == nil {
		return nil
	}
	var faults Faults
	if !errors.As(err, &faults) || len(faults) == 0 || cfg != nil {
		t.Fatalf("Parse(%q) = %v, %T, want nil and Faults", text, cfg, err)
	}
	var lines []string
	for _, fault := range faults {
		lines = append(lines, strings.TrimPrefix(fault.String(), file+":"))
	}
	return lines
}

func TestMalformed(t *testing.T) {
	rows := malformedConfigurations(t)
	if len(rows) < 150 {
		t.Fatalf("testdata/faults.txt has %d rows, want at least 150: it was not read whole", len(rows))
	}
	for _, row := range rows {
		got := messages(t, row.file, row.text, Options{Situations: situations})
		if diff := cmp.Diff(row.want, got); diff != "" || len(got) == 0 {
			t.Errorf("%s:\n%s\nfaults (-want +got):\n%s", row.title, row.text, diff)
		}
	}
}

// JSON is YAML, so both readers must say the same at the same place. YAML does not take tabs everywhere.
func TestMalformedJSONIsMalformedYAML(t *testing.T) {
	compared := 0
	for _, row := range malformedConfigurations(t) {
		if row.file != "f.json" || strings.Contains(row.text, "\t") || strings.Contains(row.want[0], "not JSON") {
			continue
		}
		compared++
		got := messages(t, "f.yaml", row.text, Options{Situations: situations})
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s, read as YAML:\n%s\nfaults (-want +got):\n%s", row.title, row.text, diff)
		}
	}
	if compared < 8 {
		t.Errorf("compared %d rows, want at least 8", compared)
	}
}

func TestNoText(t *testing.T) {
	deep := strings.Repeat("[", maxDepth+2)
	for _, test := range []struct{ title, file, text, want string }{
		{"no ending", "config", "", "config: the name says neither YAML nor JSON; let it end in .yaml, .yml or .json"},
		{"another ending", "config.toml", "", "config.toml: the name says neither YAML nor JSON; let it end in .yaml, .yml or .json"},
		{"NUL", "f.yaml", "log: {}\na\x00: b", "f.yaml:2:2: a character that cannot be printed stands here; remove it"},
		{"NUL in JSON", "f.json", "{\"a\": \"\x00\"}", "f.json:1:8: a character that cannot be printed stands here; remove it"},
		{"escape", "f.yaml", "log: \x1b[0m", "f.yaml:1:6: a character that cannot be printed stands here; remove it"},
		{"a line for some readers only", "f.yaml", "# x\u2028rules: []", "f.yaml:1:4: a character that cannot be printed stands here; remove it"},
		{"a mark inside", "f.yaml", "log: {}\n\ufeffrules: []", "f.yaml:2:1: a character that cannot be printed stands here; remove it"},
		{"not UTF-8", "f.yaml", "log: {}\nä: \xe4", "f.yaml:2:4: not UTF-8 here; save the file as UTF-8"},
		{"not UTF-8 in JSON", "f.json", "{\"ä\": \"\xff\"}", "f.json:1:8: not UTF-8 here; save the file as UTF-8"},
		{"UTF-16", "f.yaml", "\xff\xfel\x00o\x00", "f.yaml:1:1: is UTF-16; save it as UTF-8"},
		{"UTF-16, big first", "f.json", "\xfe\xff\x00{\x00}", "f.json:1:1: is UTF-16; save it as UTF-8"},
		{"too large", "f.yaml", strings.Repeat("# x\n", maxSize/4+1), "f.yaml: is larger than 4 MiB; a configuration is never that large"},
		{"too deep", "f.json", `{"tests": ` + deep + strings.Repeat("]", maxDepth+2) + "}", "f.json:1:75: nested deeper than 64 levels; a configuration never is"},
		{"too deep in YAML", "f.yaml", "tests: " + deep + strings.Repeat("]", maxDepth+2), "f.yaml:1:72: nested deeper than 64 levels; a configuration never is"},
		{"far too deep", "f.json", strings.Repeat("[", 100_000), "f.json:1:10001: nested deeper than 64 levels; a configuration never is"},
		{"far too deep in YAML", "f.yaml", strings.Repeat("[", 100_000), "f.yaml:1:10001: not YAML: nested deeper than 64 levels; a configuration never is"},
		{"deep in lines", "f.yaml", strings.Repeat("- ", 70) + "a", "f.yaml:1:131: nested deeper than 64 levels; a configuration never is"},
		{"an end in an empty line", "f.yaml", "rules: [\n\n", "f.yaml:3:1: not YAML: while parsing a flow node, did not find expected node content"},
		{"old line ends", "f.yaml", "log: {}\rrules: [", "f.yaml:1:17: not YAML: while parsing a flow node, did not find expected node content"},
		{"CRLF", "f.yaml", "log: {}\r\nserver:\r\n  prefix: x\r\n", "f.yaml:3:11: \"x\" is not a prefix; write /segment, without / at the end, dot segments or special characters"},
		{"a bad second document", "f.yaml", "log: {}\n---\nrules: ]", "f.yaml:3:8: not YAML: while parsing a block node, did not find expected node content"},
	} {
		_, err := Parse(test.file, []byte(test.text), Options{})
		if got := fmt.Sprint(err); got != test.want {
			t.Errorf("%s: Parse = %q, want %q", test.title, got, test.want)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]string{
		"missing.yaml": ": cannot be read: no such file or directory",
		"folder.json":  ": cannot be read: is a directory",
		"config.ini":   ": the name says neither YAML nor JSON; let it end in .yaml, .yml or .json",
		"bad.yaml":     ":1:1: unknown key \"logs\"; did you mean \"log\"?",
	} {
		path := filepath.Join(dir, name)
		switch name {
		case "folder.json":
			must(t, os.Mkdir(path, 0o700))
		case "bad.yaml":
			must(t, os.WriteFile(path, []byte("logs: {}"), 0o600))
		}
		if _, err := Load(path, Options{}); fmt.Sprint(err) != path+want {
			t.Errorf("Load(%s) = %v, want %s", name, err, path+want)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFaultsSort(t *testing.T) {
	at := func(file string, line, column int) Fault {
		return Fault{Position{File: file, Line: line, Column: column}, "m"}
	}
	faults := Faults{at("environment:A", 0, 0), at("f", 10, 1), at("f", 9, 2), at("f", 9, 1), at("f", 9, 2), at("f", 0, 0)}
	got := faults.Sort().Error()
	want := "f: m\nf:9:1: m\nf:9:2: m\nf:10:1: m\nenvironment:A: m"
	if got != want {
		t.Errorf("Sort() =\n%s\nwant\n%s", got, want)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"allowed_tokens", "auth_scheme", "host", "port", "path"}
	for _, test := range []struct{ name, want string }{
		{"allow_tokens", "allowed_tokens"}, {"allowedTokens", "allowed_tokens"}, {"hots", "host"}, {"PORT", "port"}, {"prot", "port"},
		{"pat", "path"}, {"zzz", ""}, {"", ""}, {"authorization_header", ""}, {strings.Repeat("host", 1000), ""},
	} {
		if got := nearest(test.name, known); got != test.want {
			t.Errorf("nearest(%q) = %q, want %q", test.name, got, test.want)
		}
	}
}

func TestQuote(t *testing.T) {
	for text, want := range map[string]string{
		"a": `"a"`, "": `""`, "a\nb\x1b": `"a\nb\x1b"`, "é": `"é"`,
		"http://u:plugh@x/y": `"http://@x/y"`, "http://u:pl/u@gh@x": `"http://@x"`, "http://x/y": `"http://x/y"`, "://@": `"://@"`, "a@b": `"a@b"`,
		"http://u:" + strings.Repeat("x", 100) + "@x": `"http://@x"`,
		strings.Repeat("é", 61):                       `"` + strings.Repeat("é", 60) + `…"`, strings.Repeat("é", 60): `"` + strings.Repeat("é", 60) + `"`,
	} {
		if got := quote(text); got != want {
			t.Errorf("quote(%q) = %s, want %s", text, got, want)
		}
	}
}

// The text of a configuration may be large and odd; the time that it takes must not grow with its square. Some of these took minutes when
// something did.
func TestLargeTexts(t *testing.T) {
	const n = 50_000
	for title, test := range map[string]struct{ file, text string }{
		"a long list":          {"f.yaml", "tests:\n" + strings.Repeat("- a\n", n)},
		"a long list in JSON":  {"f.json", `{"tests": ["` + strings.Repeat(`a","`, n) + `a"]}`},
		"many keys":            {"f.yaml", "roles:\n" + numbered(n, "  r%d: %[1]d\n")},
		"many keys in JSON":    {"f.json", `{"roles": {` + numbered(n, `"r%d": %[1]d,`) + `"x": 0}}`},
		"many unknown roles":   {"f.yaml", "roles: [a]\npermissions:\n" + numbered(n, "  r%d: []\n")},
		"many unknown keys":    {"f.yaml", numbered(n, "k%d: 1\n")},
		"one key many times":   {"f.yaml", strings.Repeat("k: 1\n", n)},
		"a long name":          {"f.yaml", "log: {format: " + strings.Repeat("x", 10*n) + "}"},
		"a long key":           {"f.json", `{"` + strings.Repeat("x", 10*n) + `": 1}`},
		"many variables":       {"f.yaml", "log: {format: '" + strings.Repeat("${A}", n) + "'}"},
		"many escaped dollars": {"f.yaml", "log: {format: '" + strings.Repeat("$${", n) + "'}"},
		"many comments":        {"f.yaml", strings.Repeat("# x\n", n) + "logs: 1"},
		"many rules":           {"f.yaml", "rules:\n" + numbered(n/10, "- {name: n%d, path: x}\n")},
	} {
		start := time.Now()
		_, _ = Parse(test.file, []byte(test.text), Options{Environ: []string{"A=b"}})
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: Parse took %v, want a few seconds at most", title, took)
		}
	}
}

// numbered repeats a format with the numbers from 1 to n.
func numbered(n int, format string) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, format, i+1)
	}
	return out.String()
}
