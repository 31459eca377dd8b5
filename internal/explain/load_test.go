package explain

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// write makes files in a new folder and returns it.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// load returns the suite of one file that must be good.
func load(t testing.TB, text string) *Suite {
	t.Helper()
	s, err := LoadTests([]string{"a.yaml"}, write(t, map[string]string{"a.yaml": text}))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const smallTest = "tests: [{request: GET /films/1, expect: 401}]\n"

func TestLoadTestsFindsFiles(t *testing.T) {
	dir := write(t, map[string]string{
		"b.yaml": smallTest, "a.yml": smallTest, "c.JSON": `{"tests": [{"request": "GET /", "expect": 401}]}`, "notes.md": "#", "sub/d.yaml": smallTest,
		"odd[1]*/e.yaml": smallTest,
	})
	for _, test := range []struct {
		patterns []string
		dir      string
		want     []string
	}{
		{[]string{"*.y*ml"}, dir, []string{"a.yml", "b.yaml"}},
		{[]string{"b.yaml", "*.y*ml", "./a.yml"}, dir, []string{"a.yml", "b.yaml"}},
		{[]string{"c.JSON"}, dir, []string{"c.JSON"}},
		{[]string{"*/d.yaml"}, dir, []string{"sub/d.yaml"}},
		{[]string{"../b.yaml"}, filepath.Join(dir, "sub"), []string{"b.yaml"}},
		{[]string{filepath.Join(dir, "b.yaml")}, "elsewhere", []string{"b.yaml"}},
		{[]string{"*.yaml"}, filepath.Join(dir, "odd[1]*"), []string{"odd[1]*/e.yaml"}},
	} {
		s, err := LoadTests(test.patterns, test.dir)
		if err != nil {
			t.Errorf("LoadTests(%q, %q) = %v, want a suite", test.patterns, test.dir, err)
			continue
		}
		want := slices.Clone(test.want)
		for i, name := range want {
			want[i] = filepath.Join(dir, filepath.FromSlash(name))
		}
		if got := s.Files(); !slices.Equal(got, want) {
			t.Errorf("LoadTests(%q).Files() = %q, want %q", test.patterns, got, want)
		}
	}
}

func TestLoadTestsRefusesFiles(t *testing.T) {
	dir := write(t, map[string]string{
		"good.yaml": smallTest, "notes.md": "#", "sub/d.yaml": smallTest, "large.yaml": strings.Repeat("#\n", maxFile), "empty.yaml": "", "comment.yaml": "# later\n", "null.yaml": "~",
		"latin1.yaml": "tests: \xff", "empty.json": "{}",
	})
	for _, test := range []struct {
		patterns []string
		want     []string
	}{
		{nil, []string{"policy tests: no file is named"}},
		{[]string{"*.yaml.bak"}, []string{"*.yaml.bak: matches no file in"}},
		{[]string{"good.yaml", "gone.yaml"}, []string{"gone.yaml: matches no file in"}},
		{[]string{""}, []string{`"": is not a pattern`}},
		{[]string{"[", "x*"}, []string{`"[": is not a pattern`, "x*: matches no file"}},
		{[]string{"notes.md"}, []string{"notes.md: is not a policy test file: those end in .yaml, .yml or .json"}},
		{[]string{"sub"}, []string{"sub: is not a policy test file"}},
		{[]string{"large.yaml"}, []string{"large.yaml: is larger than 1 MiB"}},
		{[]string{"empty.yaml"}, []string{"empty.yaml: is empty; write tests:"}},
		{[]string{"comment.yaml"}, []string{"comment.yaml: is empty"}},
		{[]string{"null.yaml"}, []string{"null.yaml: is empty"}},
		{[]string{"latin1.yaml"}, []string{"latin1.yaml: is not UTF-8"}},
		{[]string{"empty.json"}, []string{"empty.json:1:1: there are no tests"}},
		{[]string{"good.yaml", "empty.*", "notes.md"}, []string{"empty.json:1:1: there", "empty.yaml: is empty", "notes.md: is not"}},
	} {
		s, err := LoadTests(test.patterns, dir)
		faults, _ := errors.AsType[Faults](err)
		if s != nil || len(faults) != len(test.want) {
			t.Errorf("LoadTests(%q) = %v, %v, want %d faults", test.patterns, s, err, len(test.want))
			continue
		}
		for i, want := range test.want {
			if got := strings.TrimPrefix(faults[i].String(), dir+string(filepath.Separator)); !strings.HasPrefix(got, want) {
				t.Errorf("LoadTests(%q): fault %q, want %q", test.patterns, got, want)
			}
		}
	}
	os.Mkdir(filepath.Join(dir, "folder.yaml"), 0o700)
	if _, err := LoadTests([]string{"folder.yaml"}, dir); err == nil || !strings.Contains(err.Error(), "is not a file; write a pattern") {
		t.Errorf("LoadTests(a folder) = %v, want what to write instead", err)
	}
}

func TestLoadTestsBoundsTheProduct(t *testing.T) {
	var b strings.Builder
	b.WriteString("tests:\n  - expect: deny\n    request:\n")
	for i := range 400 {
		b.WriteString("      - GET /" + strings.Repeat("x", i) + "\n")
	}
	b.WriteString("    as:\n")
	for i := range 400 {
		b.WriteString("      - t" + strings.Repeat("x", i) + "\n")
	}
	_, err := LoadTests([]string{"a.yaml"}, write(t, map[string]string{"a.yaml": b.String()}))
	if err == nil || !strings.Contains(err.Error(), "160000 combinations") {
		t.Errorf("LoadTests = %v, want a fault that counts 160000 combinations", err)
	}
}

// TestParseTestsRefuses lists every fault of a file. want holds "line:column: beginning" of each, in order.
func TestParseTestsRefuses(t *testing.T) {
	one := func(body string) string { return "tests:\n  - " + strings.ReplaceAll(body, "\n", "\n    ") + "\n" }
	for _, test := range []struct {
		text string
		want []string
	}{
		// the file
		{"- a", []string{"1:1: a policy test file is a mapping with the key tests and is a list"}},
		{"tests", []string{"1:1: a policy test file is a mapping with the key tests and is a text"}},
		{"{}", []string{"1:1: there are no tests"}},
		{"tests:", []string{"1:1: tests has no value"}},
		{"tests: []", []string{"1:8: the list of tests is empty"}},
		{"tests: {}", []string{"1:8: tests must be a list and is a mapping"}},
		{"tests: 5", []string{"1:8: tests must be a list and is a number"}},
		{"test: []", []string{`1:1: unknown key "test"; did you mean "tests"?`}},
		{smallTest + "more: 1", []string{`2:1: unknown key "more"; known: tests`}},
		{smallTest + smallTest, []string{"2:1: tests stands here twice"}},
		{smallTest + "---\n" + smallTest, []string{"2:1: a second document"}},
		{"tests: [", []string{"1:"}},
		{"tests:\n\t- a", []string{"2:1: not YAML: no value may begin with this character"}},
		{"a: b: c", []string{"1:5: not YAML: a key and colon cannot stand here"}},
		{"tests: [*a]", []string{"1:9: not YAML: an alias (*name) stands here"}},
		{"tests: [&a b, *a]", []string{"1:9: anchors (&name)", "1:15: aliases (*name)"}},
		{"tests: [!!str b]", []string{"1:9: tags (!name)"}},
		{"tests: " + strings.Repeat("[", 30) + strings.Repeat("]", 30), []string{"1:24: nested deeper than 16 levels"}},
		{"5: []", []string{"1:1: a key must be a single word; known: tests"}},
		{"[a]: []", []string{"1:1: a key must be a single word"}},
		{"<<: {tests: []}", []string{"1:1: a key must be a single word"}},

		// a test
		{"tests: [5]", []string{"1:9: a test is a mapping with request and expect and is a number"}},
		{"tests: [null]", []string{"1:9: a test is a mapping with request and expect and is nothing"}},
		{"tests: [{}]", []string{"1:9: the test has no request", "1:9: the test has no expect"}},
		{one("request: GET /"), []string{"2:5: the test has no expect"}},
		{one("expect: deny"), []string{"2:5: the test has no request"}},
		{one("request: GET /\nexpect:"), []string{"3:5: expect has no value"}},
		{one("request: GET /\nexpect: ~"), []string{"3:5: expect has no value"}},
		{one("request:\nexpect: deny"), []string{"2:5: request has no value"}},
		{one("reqest: GET /\nexpct: deny"), []string{`2:5: unknown key "reqest"; did you mean "request"?`, `3:5: unknown key "expct"; did you mean "expect"?`}},
		{one("request: GET /\nexpect: deny\nskip: true"), []string{`4:5: unknown key "skip"; known: name, request, headers, as, expect`}},
		{one("request: GET /\nrequest: GET /a\nexpect: deny"), []string{"3:5: request stands here twice"}},
		{one("name: 5\nrequest: GET /\nexpect: deny"), []string{"2:11: name must be a text and is a number; put it in quotes"}},
		{one("name: [a]\nrequest: GET /\nexpect: deny"), []string{"2:11: name must be a text and is a list"}},
		{one("name: ''\nrequest: GET /\nexpect: deny"), []string{"2:11: name is empty"}},

		// request
		{one("request: 5\nexpect: deny"), []string{"2:14: a request must be a text and is a number"}},
		{one("request: {GET: /}\nexpect: deny"), []string{"2:14: a request must be a text and is a mapping"}},
		{one("request: []\nexpect: deny"), []string{"2:14: request is an empty list"}},
		{one("request: [[GET /]]\nexpect: deny"), []string{"2:15: a request must be a text and is a list"}},
		{one("request: GET\nexpect: deny"), []string{"2:14: a request is a method and a target with one space between them"}},
		{one("request: /films\nexpect: deny"), []string{"2:14: a request is a method and a target"}},
		{one("request: GET  /\nexpect: deny"), []string{"2:14: a request: the target contains a space"}},
		{one("request: GET /a b\nexpect: deny"), []string{"2:14: a request: the target contains a space"}},
		{one("request: GET films\nexpect: deny"), []string{"2:14: a request: the target is neither a path nor a URL"}},
		{one("request: [GET /, GET /%zz, GET /b, 'G(T /']\nexpect: deny"), []string{"2:22: a request: the server would refuse", "2:40: a request: the server would refuse"}},
		{one("request: [GET /, GET /]\nexpect: deny"), []string{"2:22: this stands in the list twice"}},
		{one("request: GET http://a b/\nexpect: deny"), []string{"2:14: a request: the target contains a space"}},

		// headers
		{one("request: GET /\nexpect: deny\nheaders: 'A: b'"), []string{"4:14: headers must be a list and is a text; write - before it"}},
		{one("request: GET /\nexpect: deny\nheaders: []"), []string{"4:14: headers is an empty list"}},
		{one("request: GET /\nexpect: deny\nheaders: [A: b]"), []string{"4:15: a header must be a text and is a mapping"}},
		{one("request: GET /\nexpect: deny\nheaders: [5, A, 'A B: c']"), []string{"4:15: a header must be a text and is a number", "4:18: a header: it has no colon", "4:21: a header: the server would refuse"}},
		{one("request: GET /\nexpect: deny\nheaders: ['Host: a', 'Host: b']"), []string{"2:14: a request: the server would refuse"}},

		// as
		{one("request: GET /\nexpect: deny\nas:"), []string{"4:5: as has no value"}},
		{one("request: GET /\nexpect: deny\nas: ''"), []string{"4:9: as is empty"}},
		{one("request: GET /\nexpect: deny\nas: 5"), []string{"4:9: as must be a text and is a number; put it in quotes"}},
		{one("request: GET /\nexpect: deny\nas: []"), []string{"4:9: as is an empty list"}},
		{one("request: GET /\nexpect: deny\nas: [a, a]"), []string{"4:13: this stands in the list twice"}},
		{one("request: GET /\nexpect: deny\nas: [[a]]"), []string{"4:10: as must be a text and is a list"}},
		{one("request: GET /\nexpect: deny\nas: {}"), []string{"4:9: the caller has no subject"}},
		{one("request: GET /\nexpect: deny\nas: {roles: [a]}"), []string{"4:9: the caller has no subject"}},
		{one("request: GET /\nexpect: deny\nas: {subject: }"), []string{"4:10: subject has no value"}},
		{one("request: GET /\nexpect: deny\nas: {subject: 5}"), []string{"4:19: subject must be a text and is a number"}},
		{one("request: GET /\nexpect: deny\nas: {subject: ''}"), []string{"4:19: subject is empty"}},
		{one("request: GET /\nexpect: deny\nas: {subjekt: a}"), []string{`4:10: unknown key "subjekt"; did you mean "subject"?`}},
		{one("request: GET /\nexpect: deny\nas: {subject: a, role: [b]}"), []string{`4:22: unknown key "role"; did you mean "roles"?`}},
		{one("request: GET /\nexpect: deny\nas: {subject: a, roles: b}"), []string{"4:29: roles must be a list and is a text; write - before it"}},
		{one("request: GET /\nexpect: deny\nas: {subject: a, roles: [1]}"), []string{"4:30: an entry of roles must be a text and is a number"}},
		{one("request: GET /\nexpect: deny\nas: {subject: a, scopes: []}"), []string{"4:30: scopes is an empty list"}},
		{one("request: GET /\nexpect: deny\nas: ci\nheaders: ['authorization: Token x']"), []string{"4:9: as and an Authorization header exclude each other"}},
		{one("request: GET /\nexpect: deny\nas: anonymous\nheaders: ['Authorization: Token x']"), []string{"4:9: as and an Authorization header exclude each other"}},

		// expect
		{one("request: GET /\nexpect: denied"), []string{`3:13: unknown code "denied"; did you mean "deny"?`}},
		{one("request: GET /\nexpect: Deny"), []string{`3:13: unknown code "Deny"; did you mean "deny"?`}},
		{one("request: GET /\nexpect: ''"), []string{"3:13: code is empty"}},
		{one("request: GET /\nexpect: forbiden"), []string{`3:13: unknown code "forbiden"; did you mean "forbidden"?`}},
		{one("request: GET /\nexpect: 200"), []string{`3:13: "200" is not a status of a refused request; write 400 to 599, or allow`}},
		{one("request: GET /\nexpect: 0x191"), []string{`3:13: "0x191" is not a status`}},
		{one("request: GET /\nexpect: 99999999999999999999"), []string{"3:13: "}},
		{one("request: GET /\nexpect: '401'"), []string{`3:13: "401" is a status: write it without quotes`}},
		{one("request: GET /\nexpect: 401.0"), []string{"3:13: expect is a number with a point"}},
		{one("request: GET /\nexpect: true"), []string{"3:13: expect is true or false; write allow, deny"}},
		{one("request: GET /\nexpect: [401, 403]"), []string{"3:13: expect is a list; write allow, deny"}},
		{one("request: GET /\nexpect: {}"), []string{"3:13: expect is empty: the test could not fail"}},
		{one("request: GET /\nexpect: {decision: no}"), []string{`3:24: unknown decision "no"`}},
		{one("request: GET /\nexpect: {decision: 401}"), []string{"3:24: decision must be a text and is a number"}},
		{one("request: GET /\nexpect: {status: deny}"), []string{"3:22: status must be a number such as 401 and is a text"}},
		{one("request: GET /\nexpect: {status: [401]}"), []string{"3:22: status must be a number such as 401 and is a list"}},
		{one("request: GET /\nexpect: {status: '401'}"), []string{"3:22: status must be a number such as 401 and is a text"}},
		{one("request: GET /\nexpect: {status: 302}"), []string{`3:22: "302" is not a status of a refused request`}},
		{one("request: GET /\nexpect: {code: allow}"), []string{`3:20: unknown code "allow"`}},
		{one("request: GET /\nexpect: {code: 403}"), []string{"3:20: code must be a text and is a number"}},
		{one("request: GET /\nexpect: {code: 'no'}"), []string{`3:20: unknown code "no"`}},
		{one("request: GET /\nexpect: {rule: ''}"), []string{"3:20: rule is empty"}},
		{one("request: GET /\nexpect: {rule: }"), []string{"3:14: rule has no value"}},
		{one("request: GET /\nexpect: {rules: a}"), []string{`3:14: unknown key "rules"; did you mean "rule"?`}},
		{one("request: GET /\nexpect: {decision: allow, status: 401}"), []string{"3:13: a request that is allowed has no status and no code"}},
		{one("request: GET /\nexpect: {decision: allow, code: forbidden}"), []string{"3:13: a request that is allowed has no status and no code"}},

		// JSON, and all at once
		{`{"tests": [{"request": "GET /", "expect": "401"}]}`, []string{`1:43: "401" is a status`}},
		{"{\n \"tests\": [\n  {\"request\": 1, \"as\": 2, \"expect\": {\"code\": 3}},\n  4\n ]\n}", []string{"3:15: a request", "3:24: as", "3:46: code", "4:3: a test"}},
		{one("request: GET\nas: 5\nheaders: x\nname: 1\nexpect: 1"), []string{"2:14: ", "3:9: ", "4:14: ", "5:11: ", "6:13: "}},
	} {
		tests, faults := parseTests("a.yaml", []byte(test.text))
		faults, _ = faults.err().(Faults)
		if tests != nil || len(faults) != len(test.want) {
			t.Errorf("parseTests(%q): %d faults, want %d:\n%v", test.text, len(faults), len(test.want), faults)
			continue
		}
		for i, want := range test.want {
			if got := faults[i].String(); !strings.HasPrefix(got, "a.yaml:"+want) {
				t.Errorf("parseTests(%q): fault %q, want a.yaml:%s", test.text, got, want)
			}
		}
	}
}

// TestParseTestsIsBounded: a file that is nothing but faults, or nothing but nesting, is refused in a moment and in few words.
func TestParseTestsIsBounded(t *testing.T) {
	const size = maxFile / 8
	for _, text := range []string{
		strings.Repeat("a: b\n", size/5), "tests: [{request: [" + strings.Repeat("1,", size/2) + "]}]", "tests: [" + strings.Repeat("{as: {}},", size/9) + "]",
		strings.Repeat("[", size), strings.Repeat("{a: ", size/4), strings.Repeat("- ", size/2), strings.Repeat("? ", size/2), "tests: " + strings.Repeat("!", size),
		"tests: [" + strings.Repeat("&a b, ", size/6) + "]", "tests:\n  - " + strings.Repeat("x", size),
	} {
		tests, faults := parseTests("a.yaml", []byte(text))
		if len(tests) > 0 || len(faults) == 0 || len(faults) > maxFaults || len(faults.Error()) > 300*maxFaults {
			t.Errorf("parseTests(%.20q…): %d tests, %d faults in %d bytes, want up to %d faults", text, len(tests), len(faults), len(faults.Error()), maxFaults)
		}
	}
}

func TestParseTestsAccepts(t *testing.T) {
	for _, text := range []string{
		smallTest,
		"\xef\xbb\xbf" + smallTest,
		strings.ReplaceAll("tests:\n  - request: GET /\n    expect: deny\n", "\n", "\r\n"),
		"# why\ntests: # what\n  - {request: GET /, expect: deny} # who\n...\n",
		`{"tests": [{"name": "n", "request": ["GET /", "POST /"], "headers": ["X-Foo: bar"], "as": ["anonymous", {"subject": "a", "roles": ["b"], "scopes": ["c"]}], "expect": {"decision": "deny", "status": 403, "code": "forbidden", "rule": "r"}}]}`,
		"tests: [{request: GET /, expect: 499}]",
		"tests: [{request: GET /, as: yes, expect: deny}]", // a word in YAML 1.2
		"tests: [{request: GET /, as: '5', name: '1', expect: {rule: '5'}}]",
	} {
		if tests, faults := parseTests("a.yaml", []byte(text)); len(tests) != 1 || len(faults) > 0 {
			t.Errorf("parseTests(%q) = %d tests, %v, want one test", text, len(tests), faults)
		}
	}
}

// TestFaultsPointToTheGuide: whoever writes the first test is told where the format is described, and that page exists.
func TestFaultsPointToTheGuide(t *testing.T) {
	for _, text := range []string{"", "{}", "tests: []", "tests: [{}]", "tests: [5]", "- a"} {
		if _, faults := parseTests("a.yaml", []byte(text)); !strings.Contains(faults.Error(), guide) {
			t.Errorf("parseTests(%q) = %v, want a hint at %s", text, faults, guide)
		}
	}
	if _, err := os.Stat(filepath.Join("..", "..", filepath.FromSlash(guide))); err != nil {
		t.Error(err)
	}
}

func TestDidYouMean(t *testing.T) {
	long := slices.Repeat([]string{"abcdefgh"}, 25)
	for _, test := range []struct {
		name  string
		known []string
		want  string
	}{
		{"c", nil, ""},
		{"fobridden", []string{"allow", "forbidden"}, `; did you mean "forbidden"?`},
		{"CI", []string{"ci"}, `; did you mean "ci"?`},
		{"zzz", []string{"a", "b"}, "; known: a, b"},
		{"", []string{"a"}, "; known: a"},
		{"zzz", long, "; known: " + strings.Join(long[:20], ", ") + " and 5 more"},
		{strings.Repeat("a", 1<<20), []string{"ab"}, "; known: ab"},
	} {
		if got := didYouMean(test.name, test.known); got != test.want {
			t.Errorf("didYouMean(%.20q, %d known) = %q, want %q", test.name, len(test.known), got, test.want)
		}
	}
}

func FuzzLoadTests(f *testing.F) {
	// Small seeds: the fuzzer spends its time on shrinking what grows out of large ones.
	f.Add(smallTest)
	f.Add(`{"tests": [{"request": ["GET /"], "as": {"subject": "a"}, "expect": {"rule": "x"}}]}`)
	f.Add("tests: [{request: GET /, expect: 401, headers: ['A: b']}, *a, &b c, !d e]\n---\n")
	f.Add("tests:\n  - name: n\n    request: [GET http://a/b?c, POST /d]\n    as: [ci, anonymous]\n    expect: {status: 403, code: forbidden}\n")
	f.Add("? [a]\n: {b: |2-\n   c}\n")
	judge := judgeOf(newGuard(f, exampleRules, nil))
	f.Fuzz(func(t *testing.T, text string) {
		tests, faults := parseTests("a.yaml", []byte(text))
		if (len(tests) == 0) == (len(faults) == 0) {
			t.Fatalf("parseTests = %d tests, %v, want one of them", len(tests), faults)
		}
		lines := strings.Count(text, "\n") + 1
		for _, fault := range faults {
			if fault.Line > lines || fault.Line > 0 && fault.Column < 1 || fault.Message == "" || utf8.ValidString(text) && !utf8.ValidString(fault.Message) {
				t.Fatalf("fault %+v of a text with %d lines", fault, lines)
			}
		}
		s := &Suite{tests: tests}
		if n := s.combinations(); n > 1000 || len(faults) > 0 {
			return
		} else if n == 0 {
			t.Fatal("a suite without combinations was accepted: it could not fail")
		}
		for _, test := range tests {
			if test.want == (expectation{}) {
				t.Fatalf("%+v expects nothing", test)
			}
		}
		result := s.Run(judge, nil, nil)
		if result.Passed+len(result.Failures) != s.combinations() {
			t.Fatalf("%d passed, %d failed, want %d together", result.Passed, len(result.Failures), s.combinations())
		}
	})
}
