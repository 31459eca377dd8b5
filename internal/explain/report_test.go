package explain

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/problem"
)

func text(t testing.TB, r Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestReportText(t *testing.T) {
	g := newGuard(t, exampleRules, nil)
	alice := gatehouse.Identity{Value: "alice", Kind: gatehouse.KindUser, Roles: []string{"basic"}, Scopes: []string{"a", "b"}}
	denied := NewReport(g.JudgeAs(newRequest(t, "DELETE", "/films/1?x=1"), alice), 403)
	for _, test := range []struct {
		name   string
		report Report
		want   string
	}{
		{"denied", denied, `DENY 403 forbidden  DELETE /films/1

  host         localhost
  who          alice (user), roles basic, scopes a b
  known by     given
  rule         delete-films
  requirement  role admin

   1  target      /films/1      canonical
   2  rule        delete-films  most specific
   3  carrier     given         the identity of the question
   4  policy      alice         resolved
   5  decision                  forbidden

You are known, and you may not do this. Ask the operator for the access that it needs.
`},
		{"bad target", NewReport(g.Judge(newRequest(t, "GET", "/a/../b?x=1")), 400).For(newRequest(t, "GET", "/a/../b?x=1")), `DENY 400 bad_target  GET /a/../b

  host         localhost
  who          anonymous

   1  target        refused (request target is not canonical: the path contains a dot segment)

The path, host or form of the request could be read in more than one way. Send a plain path without dot segments, empty segments, backslashes, encoded slashes, control characters or a fragment.
`},
		{"by a token", NewReport(g.Judge(newRequest(t, "GET", "/films/1", "Authorization: Token "+planted)), 0), `ALLOW  GET /films/1

  host         localhost
  who          ci (service), roles basic, scopes films.read
  known by     Authorization: Token, token ci
  rule         read-films
  requirement  role basic

   1  target      /films/1              canonical
   2  rule        read-films            most specific
   3  carrier     Authorization: Token  found a credential
   4  policy      ci                    resolved
   5  decision                          allow
`},
		{"nobody judged", NewReport(nil, 500), "DENY 500\n\n  who          anonymous\n\n"},
	} {
		if got := text(t, test.report); got != test.want {
			t.Errorf("%s: WriteText =\n%s\nwant\n%s", test.name, got, test.want)
		}
	}
}

// obeyed reports whether text holds what would move a terminal, or begin a line that looks like a report's own.
func obeyed(text string) bool {
	return strings.ContainsAny(text, "\x1b\x00\u202e") || !utf8.ValidString(text) || strings.Contains(text, "\nDENY")
}

// TestReportTextIsClean: nothing that a client, a rule or a subject is called reaches the terminal.
func TestReportTextIsClean(t *testing.T) {
	for _, evil := range []string{"a\x1b[31m", "a\nDENY", "a\u202e", "a\x00", "a\xff"} {
		testClean(t, evil)
	}
}

func testClean(t *testing.T, evil string) {
	t.Helper()
	r := Report{RequestID: evil, Method: evil, Host: evil, Path: evil, Decision: Deny, Code: evil, Carrier: evil, Token: evil, Rule: evil, Requirement: evil,
		Principal: PrincipalReport{Subject: evil, Kind: evil, Roles: []string{evil}, Scopes: []string{evil}}, Steps: []StepReport{{evil, evil, evil, evil}}, Detail: evil}
	got := text(t, r)
	if obeyed(got) {
		t.Errorf("WriteText = %q, want nothing that a terminal would obey", got)
	}
	var b bytes.Buffer
	f := Failure{File: evil, Name: evil, Request: evil, As: evil, Want: evil, Got: evil, Report: r}
	Result{Failures: []Failure{f}, passed: []Failure{f}, Passed: 1}.WriteText(&b, true)
	if got := b.String(); obeyed(got) {
		t.Errorf("Result.WriteText = %q, want nothing that a terminal would obey", got)
	}
}

func TestReportJSON(t *testing.T) {
	g := newGuard(t, exampleRules, nil)
	got, err := json.Marshal(NewReport(g.Judge(newRequest(t, "GET", "/films/1")), 401))
	const want = `{"method":"GET","host":"localhost","path":"/films/1","decision":"deny","code":"no_credential","status":401,` +
		`"detail":"The request carries no credential. Send one in the way that the WWW-Authenticate header names.",` +
		`"principal":{"kind":"anonymous"},"rule":"read-films","requirement":"role basic","steps":[` +
		`{"stage":"target","subject":"/films/1","outcome":"canonical"},{"stage":"rule","subject":"read-films","outcome":"most specific"},` +
		`{"stage":"carrier","subject":"Authorization: Token","outcome":"nothing","error":"no credential"},{"stage":"decision","outcome":"unauthorized"}]}`
	if err != nil || string(got) != want {
		t.Errorf("Marshal =\n%s, %v, want\n%s", got, err, want)
	}
	if got, err := json.Marshal(NewReport(nil, 0)); err != nil || !strings.Contains(string(got), `"decision":"deny"`) || !strings.Contains(string(got), `"steps":[]`) {
		t.Errorf("Marshal(NewReport(nil)) = %s, %v, want a denial with an empty list of steps", got, err)
	}
}

func TestReportOfOddVerdicts(t *testing.T) {
	for name, v := range map[string]*guard.Verdict{
		"nil":             nil,
		"zero":            {},
		"never judged":    {Request: policy.Request{Method: "GET", Host: "a", Path: "/"}},
		"without a guard": (&guard.Guard{}).Judge(newRequest(t, "GET", "/")),
		"problem only":    {Problem: problem.New(problem.Internal)},
	} {
		if r := NewReport(v, 0); r.Decision != Deny || r.Principal.Subject != "" || r.Principal.Kind != "anonymous" || r.Steps == nil {
			t.Errorf("%s: NewReport = %+v, want a denial of nobody", name, r)
		}
	}
	open := newGuard(t, nil, func(c *guard.Config) { c.Rules = nil })
	if r := NewReport(open.Judge(newRequest(t, "GET", "/")), 0); r.Decision != Allow {
		t.Errorf("without rules: NewReport = %s, want allow", r.Decision)
	}
}

// TestReportDecision: a report allows exactly what the verdict allows, and has a code exactly if it denies.
func TestReportDecision(t *testing.T) {
	guards := []*guard.Guard{
		newGuard(t, exampleRules, nil),
		newGuard(t, nil, nil),
		newGuard(t, nil, func(c *guard.Config) { c.Rules = nil }),
		newGuard(t, exampleRules, func(c *guard.Config) { c.Policy = leakyPolicy{} }),
		newGuard(t, exampleRules, func(c *guard.Config) {
			c.Carriers = []carrier.Carrier{carrier.Header("Token", leakyLookup)}
		}),
		{},
	}
	judged := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		g := rapid.SampledFrom(guards).Draw(t, "guard")
		target := "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"films", "1", "docs", "export", "..", "", "%2f"}), 0, 3).Draw(t, "path"), "/")
		headers := rapid.SliceOfN(rapid.SampledFrom(someHeaders[:7]), 0, 2).Draw(t, "headers")
		r, err := NewRequest(t.Context(), rapid.SampledFrom(someMethods[:7]).Draw(t, "method"), target, "", headers)
		if errors.Is(err, ErrRefusedByServer) {
			t.Skip()
		}
		var id *gatehouse.Identity
		if rapid.Bool().Draw(t, "as") {
			id = &gatehouse.Identity{Value: rapid.SampledFrom([]string{"", "alice"}).Draw(t, "subject"), Roles: rapid.SliceOf(rapid.SampledFrom([]string{"basic", "admin", "x"})).Draw(t, "roles")}
		}
		v := judgeOf(g)(r, id)
		report := NewReport(v, 0)
		if (report.Decision == Allow) != v.Allowed() || (report.Code == "") != v.Allowed() || !v.Allowed() && report.Decision != Deny {
			t.Fatalf("NewReport(%v) = %s %q, Allowed() = %v", v, report.Decision, report.Code, v.Allowed())
		}
		judged[v.Allowed()]++
	})
	if judged[true] == 0 || judged[false] == 0 {
		t.Errorf("%d allowed, %d denied, want some of both", judged[true], judged[false])
	}
}

// secretParts are what must not be seen of the planted token: all of it, any long piece, other spellings.
func secretParts() []string {
	return []string{planted, planted[3:], "PLANTED7SECRET8", base64.StdEncoding.EncodeToString([]byte(planted)), fmt.Sprintf("%x", planted), carrier.HashToken(planted).String()[8:]}
}

func mustHide(t *testing.T, what, shown string) {
	t.Helper()
	for _, part := range secretParts() {
		if strings.Contains(shown, part) {
			t.Errorf("%s shows %q of a credential:\n%s", what, part, shown)
		}
	}
}

// TestPlantedSecret sends a credential in every place where one can be, to guards whose hooks fail with its text, and looks for it in everything
// that this package writes.
func TestPlantedSecret(t *testing.T) {
	leaky := carrier.Header("Token", leakyLookup)
	guards := map[string]*guard.Guard{
		"good":         newGuard(t, exampleRules, nil),
		"leaky lookup": newGuard(t, exampleRules, func(c *guard.Config) { c.Carriers = []carrier.Carrier{leaky} }),
		"leaky policy": newGuard(t, exampleRules, func(c *guard.Config) { c.Policy = leakyPolicy{} }),
		"permissions":  newGuard(t, []policy.Rule{{Name: "p", Path: "/**", Allow: policy.Permission("a.b")}}, func(c *guard.Config) { c.Policy = leakyPolicy{} }),
	}
	for name, g := range guards {
		for _, header := range []string{
			"Authorization: Token " + planted, "Authorization: Bearer " + planted, "Authorization: " + planted, "Authorization: Token  " + planted, "authorization: tOKEN " + planted + " x",
			"Cookie: session=" + planted, "X-API-Key: " + planted, "Proxy-Authorization: Basic " + planted, "Referer: http://x/?t=" + planted, planted + ": x",
		} {
			r := newRequest(t, "DELETE", "/films/1?token="+planted, header)
			v := g.Judge(r)
			report := NewReport(v, 401).For(r)
			ring := NewRing(1)
			ring.Add("id", time.Unix(1, 0), v, 401)
			kept, _ := ring.Get("id")
			for what, shown := range map[string]any{"the report": report, "the ring": kept} {
				encoded, err := json.Marshal(shown)
				if err != nil {
					t.Fatal(err)
				}
				mustHide(t, name+": "+what, string(encoded)+fmt.Sprintf("%+v", shown)+text(t, report)+text(t, kept))
			}
		}
	}
}

// TestPlantedSecretInTests does the same for what a run of policy tests and the faults of their files show.
func TestPlantedSecretInTests(t *testing.T) {
	suite := load(t, `
tests:
  - request: ["GET /films/1?token=`+planted+`", GET /export]
    headers: ["Authorization: Token `+planted+`", "Cookie: a=`+planted+`"]
    expect: forbidden
  - request: "GET /films/1?`+planted+`"
    headers: ["Authorization: Token `+planted+`"]
    expect: allow
`)
	for name, change := range map[string]func(*guard.Config){
		"good": nil, "leaky": func(c *guard.Config) { c.Carriers = []carrier.Carrier{carrier.Header("Token", leakyLookup)} },
	} {
		result := suite.Run(judgeOf(newGuard(t, exampleRules, change)), nil, nil)
		var b bytes.Buffer
		result.WriteText(&b, true)
		encoded, err := json.Marshal(result)
		if err != nil {
			t.Fatal(err)
		}
		if len(result.Failures) == 0 {
			t.Errorf("%s: no failure, want one to look at", name)
		}
		mustHide(t, name, b.String()+string(encoded)+fmt.Sprintf("%+v", result))
	}
	for _, bad := range []string{
		"tests: [{request: GET /, expect: 401, headers: ['Authorization " + planted + "']}]",
		"tests: [{request: GET /, expect: 401, headers: ['Authorization " + planted + ": x']}]",
		"tests: [{request: GET /, expect: 401, headers: [\"A: \\x01" + planted + "\"]}]",
		"tests: [{request: GET /, expect: 401, headers: {Authorization: " + planted + "}}]",
		"tests: [{request: GET /, expect: 401, headers: " + planted + "}]",
		"tests: [{request: GET /, expect: 401, headers: [{Authorization: " + planted + "}]}]",
		"tests: [{request: GET /, expect: 401, headers: ['Authorization: a" + planted + "', 'Authorization: a" + planted + "']}]",
		"tests: [{request: 'GET http://a:" + planted + "@b/', expect: 401}]",
		"tests: [{request: 'GET /?" + planted + " x', expect: 401}]",
		"tests:\n  - headers:\n    - Authorization: Token: " + planted + "\n",
		"tests: [{headers: [*" + planted + "]}]",
		"tests: [{headers: [!" + planted + " x]}]",
		"tests: [{headers: [@" + planted + "]}]",
		"tests: [{headers: ['Authorization: " + planted + "}]",
	} {
		_, faults := parseTests("a.yaml", []byte(bad))
		if len(faults) == 0 {
			t.Errorf("parseTests(%q) has no fault", bad)
		}
		mustHide(t, bad, strings.ReplaceAll(faults.Error(), bad, ""))
	}
}

func TestScrub(t *testing.T) {
	const jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abcDEF_-0123456789abcdefgh"
	for in, want := range map[string]string{
		"":                              "",
		"no credential":                 "no credential",
		"bad credential: more than one": "bad credential: more than one",
		"dial tcp 10.0.0.7:5432: connect: connection refused": "dial tcp 10.0.0.7:5432: connect: connection refused",
		"lookup db-1.internal.example.org: no such host":      "lookup db-1.internal.example.org: no such host",
		"context deadline exceeded (Client.Timeout)":          "context deadline exceeded (Client.Timeout)",
		"internationalisation_of_everything":                  "internationalisation_of_everything",
		"12345678901234567890123":                             "12345678901234567890123",
		"token " + planted + " is bad":                        "token [secret] is bad",
		planted:                                               "[secret]",
		`"` + planted + `"`:                                   `"[secret]"`,
		jwt:                                                   "[secret].[secret].[secret]",
		"ü" + planted + "ü":                                   "ü[secret]ü",
		"0123456789abcdef0123456789abcdef":                    "[secret]",
	} {
		if got := scrub(in); got != want {
			t.Errorf("scrub(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, test := range []struct {
		in    string
		limit int
		want  string
	}{
		{"abcdef", 6, "abcdef"}, {"abcdefg", 6, "abc…"}, {"äöüäöü", 7, "äö…"}, {"äöüäöü", 8, "äö…"}, {"abc", 2, ""}, {"abc", 0, ""}, {"", 0, ""}, {"abcd", 3, "…"},
		{"\xff\xff\xff\xff\xff", 4, "\xff…"},
	} {
		if got := cut(test.in, test.limit); got != test.want || len(got) > test.limit {
			t.Errorf("cut(%q, %d) = %q, want %q", test.in, test.limit, got, test.want)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestReportTextTellsOfAWriter(t *testing.T) {
	if err := NewReport(nil, 0).WriteText(brokenWriter{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("WriteText = %v, want the writer's error", err)
	}
}

// TestEveryCodeHasAWayOut: the last line of a denial says what to do, for each code, and in the problem's own words if it has some.
func TestEveryCodeHasAWayOut(t *testing.T) {
	for _, info := range problem.Catalogue {
		for own, want := range map[string]string{"": info.Detail, "Do this.": "Do this."} {
			report := NewReport(&guard.Verdict{Problem: &problem.Problem{Code: info.Code, Detail: own}}, info.Status)
			ring := NewRing(1)
			ring.AddReport("a", time.Time{}, report)
			kept, _ := ring.Get("a")
			for _, r := range []Report{report, kept} {
				lines := strings.Split(strings.TrimSpace(text(t, r)), "\n")
				if last := lines[len(lines)-1]; last != want {
					t.Errorf("%s: the last line is %q, want %q", info.Code, last, want)
				}
			}
		}
	}
	if !slices.Contains(strings.Split(text(t, Report{Decision: Deny, Code: "made_up"}), "\n"), "DENY made_up") {
		t.Error("a code that is not in the catalogue is not shown")
	}
}
