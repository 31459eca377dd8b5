package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/policy"
)

// ruleErrors takes a joined error apart.
func ruleErrors(err error) []*policy.RuleError {
	var list []*policy.RuleError
	switch e := err.(type) {
	case *policy.RuleError:
		list = append(list, e)
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			list = append(list, ruleErrors(err)...)
		}
	}
	return list
}

// A fault is where New finds one and what it says.
type fault struct {
	index int
	field string
	says  string
}

func wantFaults(t *testing.T, name string, err error, want []fault) {
	t.Helper()
	got := ruleErrors(err)
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("%s: New reports %v, want also rules[%d].%s: …%s…", name, err, want[i].index, want[i].field, want[i].says)
		case i >= len(want):
			t.Errorf("%s: New reports %v, want nothing about it", name, got[i])
		case got[i].Index != want[i].index || got[i].Field != want[i].field || !strings.Contains(got[i].Err.Error(), want[i].says):
			t.Errorf("%s: New reports %v, want rules[%d].%s: …%s…", name, got[i], want[i].index, want[i].field, want[i].says)
		}
	}
}

// TestPatternFaults has one rule a row. Those without a fault are at the end.
func TestPatternFaults(t *testing.T) {
	for _, row := range []struct{ pattern, says string }{
		{"films", "starts with /"}, {"**", "starts with /"}, {"{x}", "starts with /"}, {"http://x/films", "starts with /"},
		{"//", "empty segment"}, {"//films", "empty segment"}, {"/films//x", "empty segment"},
		{"/**/x", "at the end only"}, {"/**/", "at the end only"}, {"/**/**", "at the end only"},
		{"/*", "write {name}"}, {"/films/*", "write {name}"}, {"/***", "write {name}"}, {"/films*", "write {name}"}, {"/fi**", "write {name}"},
		{"/{}", "write {name}"}, {"/{a b}", "write {name}"}, {"/{a/b}", "whole segment"}, {"/{id...}", ""}, {"/{*x}", "write {name}"}, {"/{x*}", "write {name}"},
		{"/{a}{b}", "write {name}"}, {"/x{a}", "whole segment"}, {"/{a}x", "whole segment"}, {"/{a", "whole segment"}, {"/a}", "whole segment"}, {"/{{a}}", "write {name}"},
		{"/{a}/{a}", "twice"}, {"/{a}/b/{a}/**", "twice"},
		{"/films?x", "no query"}, {"/films#x", "no query"}, {"/films;x", "no query"}, {"/films%3bx", "no parameters"}, {"/films%3B", "no parameters"},
		{"/..", "dot segment"}, {"/a/../b", "dot segment"}, {"/.", "dot segment"}, {"/a/%2e%2E/b", "dot segment"}, {"/a/..%2fb", "dot segment"},
		{`/a\b`, "backslash"}, {"/a%5cb", "backslash"}, {"/a%00", "control character"}, {"/a\x7f", "control character"}, {"/a%c2%85", "control character"}, {"/a\n", "control character"},
		{"/a%", "bad escape"}, {"/a%2", "bad escape"}, {"/a%zz", "bad escape"}, {"/a%2z", "bad escape"}, {"/a%z2", "bad escape"}, {"/%c0%ae", "not UTF-8"}, {"/\xff", "not UTF-8"},

		{"/", ""}, {"/**", ""}, {"/films", ""}, {"/films/", ""}, {"/films/{id}", ""}, {"/films/{id}/", ""}, {"/films/**", ""}, {"/{a}/{b}/**", ""}, {"/a.b/..c", ""},
		{"/a%40b", ""}, {"/é", ""}, {"/a b", ""}, {"/a%2Fb", ""}, {"/%7Bid%7D", ""}, {"/%2A%2a", ""}, {"/a%3Fb", ""}, {"/{film.id:x-1_y}", ""},
	} {
		_, err := policy.New(policy.Config{Rules: []policy.Rule{{Path: row.pattern}}})
		if row.says == "" {
			if err != nil {
				t.Errorf("New with path %q = error %v, want none", row.pattern, err)
			}
			continue
		}
		wantFaults(t, row.pattern, err, []fault{{0, "path", row.says}})
	}
}

func TestRuleFaults(t *testing.T) {
	for _, row := range []struct {
		name string
		rule policy.Rule
		want []fault
	}{
		{"nothing to match", policy.Rule{}, []fault{{0, "path", "needs a path or a regex"}}},
		{"path and regex", policy.Rule{Path: "/a", Regex: "/a"}, []fault{{0, "regex", "not both"}}},
		{"regex without sense", policy.Rule{Regex: "/(a"}, []fault{{0, "regex", "missing closing )"}}},
		{"regex that breaks out", policy.Rule{Regex: "/a)|(/b"}, []fault{{0, "regex", "unexpected )"}}},
		{"regex that quotes to the end", policy.Rule{Regex: `/a\Qb`}, []fault{{0, "regex", "missing closing )"}}},
		{"regex that ends in an escape", policy.Rule{Regex: `/a\`}, []fault{{0, "regex", "trailing backslash"}}},
		{"regex of another dialect", policy.Rule{Regex: `/(?=a)`}, []fault{{0, "regex", "invalid or unsupported Perl syntax"}}},
		{"regex that is too long", policy.Rule{Regex: "/" + strings.Repeat("a", 1024)}, []fault{{0, "regex", "longer than 1024"}}},
		{"regex that blows up", policy.Rule{Regex: `/(a{1000}){1000}`}, []fault{{0, "regex", "invalid repeat count"}}},
		{"regex without a slash", policy.Rule{Regex: "films/.*"}, []fault{{0, "regex", "never matches"}}},
		{"no method", policy.Rule{Methods: []string{""}, Path: "/a"}, []fault{{0, "methods", "is not a method"}}},
		{"methods in one", policy.Rule{Methods: []string{"GET,POST"}, Path: "/a"}, []fault{{0, "methods", "is not a method"}}},
		{"method with a space", policy.Rule{Methods: []string{"GET "}, Path: "/a"}, []fault{{0, "methods", "is not a method"}}},
		{"method twice", policy.Rule{Methods: []string{"GET", "GET"}, Path: "/a"}, []fault{{0, "methods", "twice"}}},
		{"method in lower case", policy.Rule{Methods: []string{"get"}, Path: "/a"}, []fault{{0, "methods", "write GET"}}},
		{"TRACE", policy.Rule{Methods: []string{"TRACE"}, Path: "/a"}, []fault{{0, "methods", "TRACE is never let through"}}},
		{"trace", policy.Rule{Methods: []string{"GET", "trace"}, Path: "/a"}, []fault{{0, "methods", "trace is never let through"}}},
		{"CONNECT", policy.Rule{Methods: []string{"CONNECT"}, Path: "/a"}, []fault{{0, "methods", "CONNECT is never let through"}}},
		{"all methods at fault", policy.Rule{Methods: []string{"get", "Connect", "A B"}, Path: "/a"}, []fault{{0, "methods", "write GET\nConnect is never let through\n\"A B\" is not a method"}}},
		{"wildcard host", policy.Rule{Host: "*.example.org", Path: "/a"}, []fault{{0, "host", "wildcards"}}},
		{"host with a port", policy.Rule{Host: "example.org:80", Path: "/a"}, []fault{{0, "host", "leave the port out"}}},
		{"host with an empty port", policy.Rule{Host: "example.org:", Path: "/a"}, []fault{{0, "host", "leave the port out"}}},
		{"address with a port", policy.Rule{Host: "[::1]:80", Path: "/a"}, []fault{{0, "host", "leave the port out"}}},
		{"host with a scheme", policy.Rule{Host: "http://example.org", Path: "/a"}, []fault{{0, "host", "is not a host name"}}},
		{"host with a path", policy.Rule{Host: "example.org/x", Path: "/a"}, []fault{{0, "host", "is not a host name"}}},
		{"host with an empty label", policy.Rule{Host: "a..b", Path: "/a"}, []fault{{0, "host", "is not a host name"}}},
		{"host in Unicode", policy.Rule{Host: "exämple.org", Path: "/a"}, []fault{{0, "host", "is not a host name"}}},
		{"unknown role", policy.Rule{Path: "/a", Allow: policy.Role("root")}, []fault{{0, "allow", `there is no role "root"`}}},
		{"role in other letters", policy.Rule{Path: "/a", Allow: policy.Role("Admin")}, []fault{{0, "allow", `there is no role "Admin"`}}},
		{"no role", policy.Rule{Path: "/a", Allow: policy.Role("")}, []fault{{0, "allow", `there is no role ""`}}},
		{"no permission", policy.Rule{Path: "/a", Allow: policy.Permission("")}, []fault{{0, "allow", "is not a permission"}}},
		{"permission with a star", policy.Rule{Path: "/a", Allow: policy.Permission("films.*")}, []fault{{0, "allow", "is not a permission"}}},
		{"no scope", policy.Rule{Path: "/a", Allow: policy.Scope("")}, []fault{{0, "allow", "is not a scope"}}},
		{"scopes in one", policy.Rule{Path: "/a", Allow: policy.Scope("a b")}, []fault{{0, "allow", "is not a scope"}}},
		{"scope with a quote", policy.Rule{Path: "/a", Allow: policy.Scope(`a"b`)}, []fault{{0, "allow", "is not a scope"}}},
		{"scope with a line end", policy.Rule{Path: "/a", Allow: policy.Scope("a\r\nX:b")}, []fault{{0, "allow", "is not a scope"}}},
		{"empty all", policy.Rule{Path: "/a", Allow: policy.All()}, []fault{{0, "allow", "write nobody"}}},
		{"empty any", policy.Rule{Path: "/a", Allow: policy.Any()}, []fault{{0, "allow", "write nobody"}}},
		{"empty scopes", policy.Rule{Path: "/a", Allow: policy.Scope()}, []fault{{0, "allow", "write nobody"}}},
		{"faults deep inside", policy.Rule{Path: "/a", Allow: policy.Any(policy.Role("admin"), policy.All(policy.Role("x"), policy.Role("y")))},
			[]fault{{0, "allow", "there is no role \"x\"\nthere is no role \"y\""}}},
		{"one fault a field", policy.Rule{Name: "n", Methods: []string{"get"}, Host: "*", Path: "a", Allow: policy.Role("x")},
			[]fault{{0, "allow", ""}, {0, "methods", ""}, {0, "host", ""}, {0, "path", ""}}},

		{"nothing wrong", policy.Rule{Methods: []string{"GET", "PURGE", "M-SEARCH"}, Host: "Example.ORG.", Path: "/a", Allow: policy.Role("admin")}, nil},
		{"nobody may", policy.Rule{Path: "/a"}, nil},
		{"every character that a method may have", policy.Rule{Methods: []string{"!#$%&'*+-.^_`|~azAZ09"}, Path: "/a"}, nil},
		{"every sort of character that a scope may have", policy.Rule{Path: "/a", Allow: policy.Scope("!#[]~", "https://x/films?a=b&c")}, nil},
		{"scope with what lies just outside", policy.Rule{Path: "/a", Allow: policy.Scope("a\x7f", "é")}, []fault{{0, "allow", "is not a scope"}}},
		{"regex of the greatest length", policy.Rule{Regex: "/" + strings.Repeat("a", 1023)}, nil},
		{"nobody may, within any", policy.Rule{Path: "/a", Allow: policy.Any(policy.Nobody(), policy.Role("admin"))}, nil},
		{"regex with a prefix of its own", policy.Rule{Regex: `(/a|/b)`}, nil},
	} {
		_, err := policy.New(policy.Config{Roles: policy.RoleList("basic", "admin"), Rules: []policy.Rule{row.rule}})
		wantFaults(t, row.name, err, row.want)
		if (err != nil) != (row.want != nil) {
			t.Errorf("%s: New = error %v, want one: %v", row.name, err, row.want != nil)
		}
	}
}

func TestEqualPatterns(t *testing.T) {
	for _, row := range []struct {
		a, b  string
		fault string // the field; empty: none
	}{
		{"* /a", "* /a", "path"}, {"GET /a", "GET /a", "path"}, {"GET,POST /a", "POST,GET /a", "path"}, {"GET,POST /a", "POST,DELETE /a", "path"},
		{"* /a%40b", "* /a@b", "path"}, {"* /%61", "* /a", "path"}, {"* /é", "* /%C3%A9", "path"}, {"* /a%2fb", "* /a%2Fb", "path"},
		{"* /{x}", "* /{y}", "path"}, {"* /a/{x}/**", "* /a/{y}/**", "path"}, {"* /**", "* /**", "path"},
		{"* example.org/a", "* EXAMPLE.org/a", "path"}, {"* example.org/a", "* example.org./a", "path"}, {"* [::1]/a", "* [0::0:1]/a", "path"},
		{"GET /a", "GET,HEAD /a", "path"}, {"GET /a", "HEAD,POST /a", "path"}, {"PURGE /a", "PURGE /a", "path"},
		{"GET,POST /a", "POST,PUT,DELETE /a", "path"}, {"GET,POST /a", "HEAD,PUT /a", "path"},
		{"* ~/a", "* ~/a", "regex"}, {"GET ~/a", "GET,HEAD ~/a", "regex"}, {"* example.org~/a", "* Example.org~/a", "regex"},

		{"GET /a", "POST /a", ""}, {"GET /a", "* /a", ""}, {"GET /a", "GET,POST /a", ""}, {"GET /a", "HEAD /a", ""}, {"GET,POST /a", "PUT,DELETE /a", ""},
		{"* /a", "* /a/", ""}, {"* /a", "* /A", ""}, {"* /a", "* /{x}", ""}, {"* /a", "* /a/**", ""}, {"* /a%2Fb", "* /a/b", ""}, {"* /a%2540b", "* /a@b", ""},
		{"* /a", "* example.org/a", ""}, {"* example.org/a", "* www.example.org/a", ""}, {"get2 /a", "Get2 /a", ""},
		{"* ~/a", "* ~/(a)", ""}, {"GET ~/a", "* ~/a", ""}, {"* ~/a", "* example.org~/a", ""}, {"* ~/a/b", "* /a/b", ""},
	} {
		list := rules(row.a, row.b)
		list[0].Name, list[1].Name = "", ""
		_, err := policy.New(policy.Config{Rules: list})
		var want []fault
		if row.fault != "" {
			want = []fault{{1, row.fault, "rules[0] (" + row.a + ") has the same pattern"}}
		}
		wantFaults(t, row.a+" and "+row.b, err, want)
	}
}

// TestEqualPatternsNameTheMethods: the author has to know which method to take out of which rule.
func TestEqualPatternsNameTheMethods(t *testing.T) {
	for _, row := range []struct{ a, b, says string }{
		{"* /a", "* /a", "which one judges a request"}, {"GET,POST /a", "POST,PUT /a", "which one judges POST"}, {"GET /a", "HEAD,PUT /a", "which one judges HEAD"},
		{"GET,PURGE /a", "PURGE,GET /a", "which one judges GET, HEAD, PURGE"},
	} {
		list := rules(row.a, row.b)
		list[1].Name = "second"
		_, err := policy.New(policy.Config{Rules: list})
		wantFaults(t, row.a+" and "+row.b, err, []fault{{1, "path", row.says}})
	}
}

// TestAnyPairOfMethodSets: where New takes two rules with one pattern, each method has one judge, whatever the order of the rules.
func TestAnyPairOfMethodSets(t *testing.T) {
	all := []string{"GET", "HEAD", "POST"}
	sets := make([][]string, 1<<len(all))
	for bits := range sets {
		for i, m := range all {
			if bits&(1<<i) != 0 {
				sets[bits] = append(sets[bits], m)
			}
		}
	}
	for i, a := range sets {
		for j, b := range sets {
			one, err := policy.New(policy.Config{Rules: []policy.Rule{{Name: "a", Methods: a, Path: "/"}, {Name: "b", Methods: b, Path: "/"}}})
			other, err2 := policy.New(policy.Config{Rules: []policy.Rule{{Name: "b", Methods: b, Path: "/"}, {Name: "a", Methods: a, Path: "/"}}})
			if (err == nil) != (err2 == nil) || i == j && err == nil {
				t.Fatalf("New with %v and %v = %v, the other way round %v, want one answer, and equal sets refused", a, b, err, err2)
			}
			if err != nil {
				continue
			}
			for _, m := range all {
				q := request(t, m, "x", "/")
				left, _ := one.Lookup(q)
				right, _ := other.Lookup(q)
				if ruleNames(left) != ruleNames(right) {
					t.Errorf("%s with %v and %v is judged by %q, the other way round by %q", m, a, b, ruleNames(left), ruleNames(right))
				}
			}
		}
	}
}

func TestNameFaults(t *testing.T) {
	for _, row := range []struct {
		name  string
		rules []policy.Rule
		want  []fault
	}{
		{"twice", []policy.Rule{{Name: "n", Path: "/a"}, {Name: "n", Path: "/b"}}, []fault{{1, "name", `another rule is called "n"`}}},
		{"three times", []policy.Rule{{Name: "n", Path: "/a"}, {Name: "n", Path: "/b"}, {Name: "n", Path: "/c"}}, []fault{{1, "name", ""}, {2, "name", ""}}},
		{"a name that was made", []policy.Rule{{Path: "/a"}, {Name: "* /a", Path: "/b"}}, []fault{{1, "name", `another rule is called "* /a"`}}},
		{"a made name that was taken", []policy.Rule{{Name: "* /a", Path: "/b"}, {Path: "/a"}}, []fault{{1, "name", "give it one"}}},
		{"twice, of one pattern", []policy.Rule{{Name: "n", Path: "/a"}, {Name: "n", Path: "/a"}}, []fault{{1, "name", ""}, {1, "path", "same pattern"}}},
		{"none, of one pattern", []policy.Rule{{Path: "/a"}, {Path: "/a"}}, []fault{{1, "path", "same pattern"}}},
		{"fine", []policy.Rule{{Name: "a", Path: "/a"}, {Name: "A", Path: "/b"}, {Path: "/c"}, {Path: "/d"}}, nil},
	} {
		_, err := policy.New(policy.Config{Rules: row.rules})
		wantFaults(t, row.name, err, row.want)
	}
}

// TestDeadRegexes: patterns outrank regular expressions, so that a regular expression below one would be a guard that never looks.
func TestDeadRegexes(t *testing.T) {
	for _, row := range []struct {
		rules []string
		dead  []int
		by    string
	}{
		{[]string{"* ~/a.*", "* /**"}, []int{0}, "rules[1] (* /**)"},
		{[]string{"GET ~/a.*", "* ~/b", "GET /**"}, []int{0}, "rules[2] (GET /**)"},
		{[]string{"HEAD ~/a", "GET /**"}, []int{0}, "rules[1] (GET /**)"},
		{[]string{"GET,POST ~/a", "GET /**", "POST /**"}, []int{0}, "rules[1] (GET /**) and rules[2] (POST /**)"},
		{[]string{`* ~/films/\d+/secret`, "* /films/**"}, []int{0}, "rules[1] (* /films/**)"},
		{[]string{"* ~/films", "* /films/**"}, []int{0}, "rules[1] (* /films/**)"},
		{[]string{"* ~/films/a", "* /films/a/**"}, []int{0}, ""},
		{[]string{"* ~/a/b/c.*", "* /a/b/**"}, []int{0}, ""},
		{[]string{"* ~/a@b/c.*", "* /a%40b/**"}, []int{0}, ""},
		{[]string{"GET,POST ~/films/x.*", "GET /films/**", "POST /**"}, []int{0}, "rules[2] (POST /**) and rules[1] (GET /films/**)"},
		{[]string{"* h.example~/a", "* h.example/**"}, []int{0}, ""},
		{[]string{"* h.example~/a", "* /**"}, []int{0}, ""},
		{[]string{"GET,POST h.example~/a", "GET h.example/**", "POST /**"}, []int{0}, ""},
		{[]string{"* ~/a", "* ~/b", "* /**"}, []int{0, 1}, ""},

		{[]string{"* ~/a.*", "* /a/**"}, nil, ""},
		{[]string{"* ~/films.*", "* /films/**"}, nil, ""},
		{[]string{"* ~(?i)/films/.*", "* /films/**"}, nil, ""},
		{[]string{"* ~/(films|x)/a", "* /films/**"}, nil, ""},
		{[]string{"* ~/films/a", "* /films/{id}"}, nil, ""},
		{[]string{"* ~/a/b/c", "* /{x}/**"}, nil, ""},
		{[]string{"* ~/x/b/c", "* /{x}/**"}, nil, ""},
		{[]string{"* ~/films/x.*", "GET /films/**"}, nil, ""},
		{[]string{"GET,POST ~/a", "GET /**"}, nil, ""},
		{[]string{"GET ~/a", "HEAD /**"}, nil, ""},
		{[]string{"* ~/a", "* h.example/**"}, nil, ""},
		{[]string{"* g.example~/a", "* h.example/**"}, nil, ""},
		{[]string{"* ~/a", "GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS /**"}, nil, ""},
		{[]string{"* ~/a%2Fb/x.*", "* /a%2Fb/**"}, nil, ""},
	} {
		table, err := policy.New(policy.Config{Rules: rules(row.rules...)})
		var want []fault
		for _, i := range row.dead {
			want = append(want, fault{i, "regex", row.by + " take all"})
		}
		if row.by == "" {
			for i := range want {
				want[i].says = "never asked"
			}
		}
		wantFaults(t, strings.Join(row.rules, ", "), err, want)
		if (table == nil) != (err != nil) {
			t.Errorf("New(%q) = table %v and error %v, want one of them", row.rules, table, err)
		}
	}
}

// TestAllFaultsAtOnce: whoever wrote the rules corrects them in one go.
func TestAllFaultsAtOnce(t *testing.T) {
	_, err := policy.New(policy.Config{
		Roles:       policy.Roles{"basic": 1, "premium": 1, "bad name": 3},
		Permissions: policy.Permissions{"ghost": {"x"}, "basic": {"a b"}},
		Default:     policy.Role("nobody-knows"),
		Rules: []policy.Rule{
			{Path: "/a", Allow: policy.Role("ghost")},
			{Path: "/ok", Allow: policy.Role("basic")},
			{Methods: []string{"get"}, Path: "b"},
			{Path: "/ok"},
			{Regex: "/(x"},
			{Regex: "/dead/.*"},
			{Path: "/dead/**"},
		},
	})
	wantFaults(t, "all", err, []fault{{0, "allow", "ghost"}, {2, "methods", "write GET"}, {2, "path", "starts with /"}, {3, "path", "same pattern"}, {4, "regex", "missing"}, {5, "regex", "never asked"}})
	for _, says := range []string{
		`role "bad name"`, `roles "basic" and "premium" have the same level 1`, `permissions of "ghost": there is no such role`,
		`permissions of "basic": "a b" is not a permission`, `default: there is no role "nobody-knows"`, `rules[0].allow: there is no role "ghost"`,
	} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("New reports %v, want also %q", err, says)
		}
	}
}

// TestFaultsDoNotCauseOthers: a rule with a bad host is not taken for one without a host.
func TestFaultsDoNotCauseOthers(t *testing.T) {
	_, err := policy.New(policy.Config{Rules: []policy.Rule{
		{Path: "/a"}, {Host: "*.example.org", Path: "/a"}, {Host: "x y", Path: "/**"}, {Methods: []string{"get"}, Path: "/a"}, {Regex: "/x/.*"},
	}})
	wantFaults(t, "bad hosts", err, []fault{{1, "host", ""}, {2, "host", ""}, {3, "methods", ""}})
}

func TestMethodLimit(t *testing.T) {
	var list []policy.Rule
	for i := range 64 {
		list = append(list, policy.Rule{Methods: []string{fmt.Sprintf("M%d", i)}, Path: "/a"})
	}
	_, err := policy.New(policy.Config{Rules: list})
	if got := ruleErrors(err); len(got) != 7 || got[0].Index != 57 || got[0].Field != "methods" {
		t.Errorf("New with 64 methods besides the usual seven = %v, want the last seven refused", err)
	}
	table := newTable(t, policy.Config{Rules: append(list[:57:57], policy.Rule{Path: "/a"})})
	for _, row := range []lookupRow{{"M0 /a", "M0 /a"}, {"M56 /a", "M56 /a"}, {"GET /a", "* /a"}, {"M57 /a", ""}, {"M56 /b", ""}} {
		row.check(t, table)
	}
}

func TestRuleError(t *testing.T) {
	cause := errors.New("no good")
	err := error(&policy.RuleError{Index: 3, Field: "path", Err: cause})
	if got := err.Error(); got != "rules[3].path: no good" || !errors.Is(err, cause) {
		t.Errorf("RuleError = %q wrapping %v, want the place and the cause", got, errors.Unwrap(err))
	}
}
