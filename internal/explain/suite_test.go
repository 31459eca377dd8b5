package explain

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// exampleOf returns the example of the page about policy tests.
func exampleOf(t testing.TB, page string) string {
	t.Helper()
	found := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(page, -1)
	if len(found) != 1 {
		t.Fatalf("%s has %d yaml blocks, want the one example", guide, len(found))
	}
	return found[0][1]
}

func TestExampleOfThePage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(guide)))
	if err != nil {
		t.Fatal(err)
	}
	s := load(t, exampleOf(t, string(page)))
	g := newGuard(t, exampleRules, nil)
	result := s.Run(judgeOf(g), g.Answers().StatusOf, identities(t))
	if !result.OK() || result.Passed != 14 {
		var b bytes.Buffer
		result.WriteText(&b, false)
		t.Errorf("the example: %d passed, want all 14:\n%s", result.Passed, b.String())
	}
	for _, r := range exampleRules {
		if !strings.Contains(string(page), "{name: "+r.Name+",") {
			t.Errorf("the page does not show rule %q that its example is tested with", r.Name)
		}
	}
}

// TestOutputOfThePage: the failure that the page shows is what a rule with a mistake gives.
func TestOutputOfThePage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(guide)))
	if err != nil {
		t.Fatal(err)
	}
	rules := append([]policy.Rule{}, exampleRules...)
	rules[1].Allow = policy.Role("basic")
	s := load(t, exampleOf(t, string(page)))
	result := s.Run(judgeOf(newGuard(t, rules, nil)), nil, identities(t))
	var b bytes.Buffer
	result.WriteText(&b, false)
	got := "FAIL  policy/" + strings.TrimPrefix(b.String(), "FAIL  "+strings.TrimSuffix(s.Files()[0], "a.yaml"))
	got = strings.Replace(got, "policy/a.yaml", "policy/films.yaml", 1)
	if !strings.Contains(string(page), got) {
		t.Errorf("the page does not show\n%s", got)
	}
}

// TestExampleCanFail: of two guards that are both wrong, one that lets everybody in and one that lets nobody in, each test of the example
// notices at least one.
func TestExampleCanFail(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(guide)))
	if err != nil {
		t.Fatal(err)
	}
	s := load(t, exampleOf(t, string(page)))
	noticed := map[int]bool{}
	for _, g := range []*guard.Guard{newGuard(t, []policy.Rule{{Name: "all", Path: "/**", Allow: policy.Anyone()}}, nil), newGuard(t, nil, nil), {}} {
		for _, f := range s.Run(judgeOf(g), nil, identities(t)).Failures {
			noticed[f.Line] = true
		}
	}
	for _, test := range s.tests {
		if !noticed[test.line] {
			t.Errorf("line %d (%s) notices no mistake", test.line, test.name)
		}
	}
}

// TestExpectations: every form of expect against every answer.
func TestExpectations(t *testing.T) {
	answers := map[string]Report{
		"allow":       {Decision: Allow, Rule: "a"},
		"401":         {Decision: Deny, Code: "no_credential", Status: 401, Rule: "a"},
		"403":         {Decision: Deny, Code: "forbidden", Status: 403, Rule: "b"},
		"404":         {Decision: Deny, Code: "not_found", Status: 404},
		"unavailable": {Decision: Deny, Code: "unavailable", Status: 503, Rule: "a"},
		"internal":    {Decision: Deny, Code: "internal", Status: 500},
		"no verdict":  NewReport(nil, 0),
	}
	for _, test := range []struct{ expect, met string }{
		{"allow", "allow"},
		{"deny", "401 403 404"}, // what could not be checked is no evidence
		{"401", "401"},
		{"403", "403"},
		{"503", "unavailable"},
		{"418", ""},
		{"no_credential", "401"},
		{"forbidden", "403"},
		{"unavailable", "unavailable"},
		{"expired_token", ""},
		{"{decision: allow}", "allow"},
		{"{decision: deny}", "401 403 404"},
		{"{decision: deny, rule: a}", "401"},
		{"{decision: allow, rule: a}", "allow"},
		{"{decision: allow, rule: b}", ""},
		{"{rule: a}", "allow 401"},
		{"{rule: b}", "403"},
		{"{rule: c}", ""},
		{"{status: 401}", "401"},
		{"{status: 401, rule: b}", ""},
		{"{status: 401, code: forbidden}", ""},
		{"{status: 403, code: forbidden, rule: b, decision: deny}", "403"},
		{"{decision: deny, status: 503}", "unavailable"},
		{"{code: internal}", "internal"},
		{"{code: unavailable, rule: a}", "unavailable"},
	} {
		tests, faults := parseTests("a.yaml", []byte("tests: [{request: GET /, expect: "+test.expect+"}]"))
		if len(faults) > 0 {
			t.Errorf("expect: %s: %v", test.expect, faults)
			continue
		}
		for name, answer := range answers {
			want := strings.Contains(" "+test.met+" ", " "+name+" ")
			if got := tests[0].want.met(answer); got != want {
				t.Errorf("expect: %s of %s = %v, want %v", test.expect, name, got, want)
			}
		}
	}
}

// TestRunJudgesWhomItSays records what the judge is handed.
func TestRunJudgesWhomItSays(t *testing.T) {
	s := load(t, `
tests:
  - request: [GET /a, POST http://b.example.org/b?c]
    as: [anonymous, ci, {subject: alice, roles: [basic, x], scopes: [s]}]
    headers: ["X-Foo: bar"]
    expect: deny
  - request: GET /c
    expect: deny
  - request: GET /d
    headers: ["Authorization: Token x"]
    expect: deny
  - request: GET /e
    headers: ["X-API-Key: x"]
    expect: deny
`)
	var got []string
	s.Run(func(r *http.Request, id *gatehouse.Identity) *guard.Verdict {
		line := r.Method + " " + r.Host + r.RequestURI + " " + r.Header.Get("X-Foo") + " as "
		switch {
		case id == nil:
			line += "the headers"
		default:
			line += string(id.Kind) + ":" + id.Value + ":" + strings.Join(id.Roles, ",") + ":" + strings.Join(id.Scopes, ",")
		}
		got = append(got, line)
		return nil
	}, nil, identities(t))
	want := []string{
		"GET localhost/a bar as :::",
		"GET localhost/a bar as service:ci:basic:films.read",
		"GET localhost/a bar as user:alice:basic,x:s",
		"POST b.example.org/b?c bar as :::",
		"POST b.example.org/b?c bar as service:ci:basic:films.read",
		"POST b.example.org/b?c bar as user:alice:basic,x:s",
		"GET localhost/c  as :::",
		"GET localhost/d  as the headers",
		"GET localhost/e  as the headers",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the judge was asked\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRunFailsClosed(t *testing.T) {
	s := load(t, "tests:\n  - {request: GET /docs, as: [gone, nobody], expect: deny}\n  - {request: GET /docs, expect: {rule: docs}}\n")
	allow := judgeOf(newGuard(t, exampleRules, nil))
	none := func(*http.Request, *gatehouse.Identity) *guard.Verdict { return nil }
	zero := func(*http.Request, *gatehouse.Identity) *guard.Verdict { return &guard.Verdict{} }
	empty := func(string) (gatehouse.Identity, bool) { return gatehouse.Identity{}, true }
	for _, test := range []struct {
		name     string
		judge    Judge
		identity func(string) (gatehouse.Identity, bool)
		passed   int
	}{
		{"unknown tokens", allow, identities(t), 1},
		{"no tokens", allow, nil, 1},
		{"tokens of nobody", allow, empty, 1}, // else they would be judged as anonymous
		{"no verdict", none, identities(t), 0},
		{"a verdict that nobody gave", zero, identities(t), 0},
	} {
		result := s.Run(test.judge, nil, test.identity)
		if result.Passed != test.passed || len(result.Failures) != 3-test.passed || result.OK() {
			t.Errorf("%s: %d passed, %d failed, want %d of 3 to pass", test.name, result.Passed, len(result.Failures), test.passed)
		}
		if got := result.Failures[0].Got; got != `no answer: there is no token called "gone"` {
			t.Errorf("%s: got %q, want the name of the token", test.name, got)
		}
	}
}

func TestRunTakesStatuses(t *testing.T) {
	s := load(t, "tests:\n  - {request: GET /films/1, expect: 403}\n  - {request: GET /films/1, expect: no_credential}\n")
	judge := judgeOf(newGuard(t, exampleRules, nil))
	if result := s.Run(judge, nil, nil); result.Passed != 1 {
		t.Errorf("with the statuses of the catalogue %d passed, want 1", result.Passed)
	}
	moved := func(problem.Code) int { return 403 }
	if result := s.Run(judge, moved, nil); !result.OK() || result.Passed != 2 {
		t.Errorf("with moved statuses %d passed, want 2", result.Passed)
	}
}

func TestCheckTokens(t *testing.T) {
	s := load(t, "tests:\n  - {request: GET /, as: [anonymous, ci, c1, {subject: c2}], expect: deny}\n  - request: GET /\n    as: rooot\n    expect: deny\n")
	if err := s.CheckTokens([]string{"ci", "c1", "rooot"}); err != nil {
		t.Errorf("CheckTokens = %v, want nil", err)
	}
	err := s.CheckTokens([]string{"ci", "root"})
	faults, _ := errors.AsType[Faults](err)
	if len(faults) != 2 {
		t.Fatalf("CheckTokens = %v, want two faults", err)
	}
	for i, want := range []string{`a.yaml:2:42: there is no token called "c1"; did you mean "ci"?`, `a.yaml:4:9: there is no token called "rooot"; did you mean "root"?`} {
		if got := faults[i].String(); !strings.HasSuffix(got, want) {
			t.Errorf("CheckTokens: fault %q, want %q", got, want)
		}
	}
	if err := s.CheckTokens(nil); err == nil || !strings.Contains(err.Error(), `there is no token called "ci"`) {
		t.Errorf("CheckTokens(nil) = %v, want faults", err)
	}
}

func TestResultText(t *testing.T) {
	s := load(t, "tests:\n  - {name: n, request: 'GET /films/1?q', as: [ci, anonymous], expect: allow}\n  - {request: DELETE /films/1, expect: {status: 403, rule: x}}\n")
	result := s.Run(judgeOf(newGuard(t, exampleRules, nil)), nil, identities(t))
	file := s.Files()[0]
	const failures = `FAIL  FILE:2: n
      asked     GET /films/1?… as anonymous
      want      allow
      got       deny 401 no_credential by rule "read-films"
      required  role basic
       1  target      /films/1    canonical
       2  rule        read-films  most specific
       3  carrier     given       anonymous
       4  decision                unauthorized

FAIL  FILE:3
      asked     DELETE /films/1 as anonymous
      want      403 by rule "x"
      got       deny 401 no_credential by rule "delete-films"
      required  role admin
       1  target      /films/1      canonical
       2  rule        delete-films  most specific
       3  carrier     given         anonymous
       4  decision                  unauthorized

1 passed, 2 failed
`
	for verbose, want := range map[bool]string{
		false: failures,
		true:  "ok    FILE:2: n: GET /films/1?… as token ci: allow by rule \"read-films\"\n" + failures,
	} {
		var b bytes.Buffer
		result.WriteText(&b, verbose)
		if got := strings.ReplaceAll(b.String(), file, "FILE"); got != want {
			t.Errorf("WriteText(%v) =\n%s\nwant\n%s", verbose, got, want)
		}
	}
	for want, result := range map[string]Result{"nothing was tested\n": {}, "5 passed\n": {Passed: 5}} {
		var b bytes.Buffer
		result.WriteText(&b, true)
		if b.String() != want {
			t.Errorf("WriteText = %q, want %q", b.String(), want)
		}
	}
	if (Result{}).OK() || !(Result{Passed: 1}).OK() || (Result{Passed: 1, Failures: make([]Failure, 1)}).OK() {
		t.Error("OK is not what it says")
	}
}

// TestRunInParallel is for the race detector: a suite is run while a server reloads and asks again.
func TestRunInParallel(t *testing.T) {
	s := load(t, "tests: [{request: [GET /films/1, GET /export], as: [anonymous, ci], headers: ['A: b'], expect: deny}]")
	judge, identity := judgeOf(newGuard(t, exampleRules, nil)), identities(t)
	results := make(chan Result)
	for range 4 {
		go func() { results <- s.Run(judge, nil, identity) }()
	}
	for range 4 {
		if r := <-results; r.Passed != 3 || len(r.Failures) != 1 {
			t.Errorf("%d passed, %d failed, want 3 and 1", r.Passed, len(r.Failures))
		}
	}
}
