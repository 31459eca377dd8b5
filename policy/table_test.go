package policy_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/policy"
)

// rules turns lines such as "GET,POST example.org/films/{id}" into rules called by their line. "*" stands for every method, and
// "~" before the path for a regular expression.
func rules(lines ...string) []policy.Rule {
	list := make([]policy.Rule, len(lines))
	for i, line := range lines {
		methods, rest, _ := strings.Cut(line, " ")
		r := policy.Rule{Name: line, Allow: policy.Authenticated()}
		if methods != "*" {
			r.Methods = strings.Split(methods, ",")
		}
		if host, expr, ok := strings.Cut(rest, "~"); ok {
			r.Host, r.Regex = host, expr
		} else if i := strings.Index(rest, "/"); i >= 0 {
			r.Host, r.Path = rest[:i], rest[i:]
		}
		list[i] = r
	}
	return list
}

// A lookupRow is a request "METHOD host/path" (the host may be empty) and the rule that judges it, or "" for none.
type lookupRow struct{ request, want string }

func (row lookupRow) check(t *testing.T, table *policy.Table) {
	t.Helper()
	method, rest, _ := strings.Cut(row.request, " ")
	host, path, _ := strings.Cut(rest, "/")
	m, err := table.Lookup(request(t, method, cmp.Or(host, "any.example"), "/"+path))
	if err != nil {
		t.Errorf("Lookup(%q) = error %v, want %q", row.request, err, row.want)
		return
	}
	if got := ruleNames(m); got != row.want {
		t.Errorf("Lookup(%q) = %q, want %q", row.request, got, row.want)
	}
}

// ruleNames lists the rule that judges and the ones that hold besides.
func ruleNames(m policy.Match) string {
	if m.Rule == nil {
		return ""
	}
	names := []string{m.Rule.Name}
	for _, r := range m.Also {
		names = append(names, r.Name)
	}
	return strings.Join(names, " + ")
}

func TestRuleOrder(t *testing.T) {
	for _, test := range []struct {
		name  string
		rules []string
		rows  []lookupRow
	}{
		{"exact host before any", []string{"* /films", "* /**", "* api.example.org/**"}, []lookupRow{
			{"GET /films", "* /films"}, {"GET api.example.org/films", "* api.example.org/**"}, {"GET API.example.ORG.:80/films", "* api.example.org/**"},
			{"GET xapi.example.org/films", "* /films"}, {"GET example.org/films", "* /films"}, {"GET api.example.org.evil.example/x", "* /**"},
		}},
		{"a host without a matching path falls to any", []string{"* /**", "* api.example.org/films"}, []lookupRow{
			{"GET api.example.org/films", "* api.example.org/films"}, {"GET api.example.org/films/1", "* /**"},
		}},
		{"a host without the method falls to any", []string{"* /films", "GET api.example.org/films"}, []lookupRow{
			{"GET api.example.org/films", "GET api.example.org/films"}, {"POST api.example.org/films", "* /films"},
		}},
		{"hosts by address", []string{"* [0:0::1]/a", "* 127.0.0.1/a"}, []lookupRow{
			{"GET [::1]:8080/a", "* [0:0::1]/a"}, {"GET 127.0.0.1/a", "* 127.0.0.1/a"}, {"GET [::2]/a", ""}, {"GET [::ffff:127.0.0.1]/a", ""},
		}},
		{"exact before {x} before **", []string{"* /films/**", "* /films/{id}", "* /films/new"}, []lookupRow{
			{"GET /films/new", "* /films/new"}, {"GET /films/1", "* /films/{id}"}, {"GET /films/1/cast", "* /films/**"}, {"GET /films", "* /films/**"},
			{"GET /films/", "* /films/**"}, {"GET /films/new/", "* /films/**"}, {"GET /films/newer", "* /films/{id}"}, {"GET /film", ""}, {"GET /filmsx", ""}, {"GET /Films/new", ""},
		}},
		{"longer literal prefix", []string{"* /{x}/b", "* /a/**", "* /a/{x}/c", "* /a/b/**", "* /**"}, []lookupRow{
			{"GET /a/b", "* /a/b/**"}, {"GET /a/b/c", "* /a/b/**"}, {"GET /a/x/c", "* /a/{x}/c"}, {"GET /a/x/d", "* /a/**"}, {"GET /x/b", "* /{x}/b"},
			{"GET /a", "* /a/**"}, {"GET /x", "* /**"}, {"GET /", "* /**"},
		}},
		{"a dead end is left again", []string{"* /a/b/c", "* /a/{x}/d", "* /{x}/b/e", "* /{x}/{y}/f"}, []lookupRow{
			{"GET /a/b/c", "* /a/b/c"}, {"GET /a/b/d", "* /a/{x}/d"}, {"GET /a/b/e", "* /{x}/b/e"}, {"GET /a/b/f", "* /{x}/{y}/f"}, {"GET /a/b/g", ""}, {"GET /a/b", ""},
		}},
		{"narrower method set", []string{"* /a", "GET,POST /a", "GET /a", "POST /b", "POST,PUT /b"}, []lookupRow{
			{"GET /a", "GET /a"}, {"POST /a", "GET,POST /a"}, {"PUT /a", "* /a"}, {"POST /b", "POST /b"}, {"PUT /b", "POST,PUT /b"}, {"GET /b", ""},
		}},
		{"a narrow path without the method falls to a wide one", []string{"GET /films/{id}", "* /films/**"}, []lookupRow{
			{"GET /films/1", "GET /films/{id}"}, {"DELETE /films/1", "* /films/**"},
		}},
		{"HEAD is as GET", []string{"* /a", "GET /a", "GET /b", "POST /b", "* /c", "GET,HEAD,POST /c", "GET /c", "HEAD /d", "GET /d"}, []lookupRow{
			{"HEAD /a", "GET /a"}, {"HEAD /b", "GET /b"}, {"HEAD /c", "GET /c"}, {"HEAD /d", "HEAD /d"}, {"GET /d", "GET /d"}, {"POST /c", "GET,HEAD,POST /c"},
		}},
		{"HEAD by itself", []string{"HEAD /a"}, []lookupRow{{"HEAD /a", "HEAD /a"}, {"GET /a", ""}}},
		{"** matches zero segments", []string{"* /admin/**"}, []lookupRow{
			{"GET /admin", "* /admin/**"}, {"GET /admin/", "* /admin/**"}, {"GET /admin/x", "* /admin/**"}, {"GET /admin/x/y/", "* /admin/**"},
			{"GET /adminx", ""}, {"GET /admi", ""}, {"GET /", ""}, {"GET /x/admin", ""},
		}},
		{"exact before ** of zero segments", []string{"* /admin/**", "* /admin", "* /admin/"}, []lookupRow{
			{"GET /admin", "* /admin"}, {"GET /admin/", "* /admin/"}, {"GET /admin/x", "* /admin/**"},
		}},
		{"** behind {x}", []string{"* /{org}/**", "* /{org}/public/**"}, []lookupRow{
			{"GET /acme", "* /{org}/**"}, {"GET /acme/x", "* /{org}/**"}, {"GET /acme/public", "* /{org}/public/**"}, {"GET /", ""},
		}},
		{"the root", []string{"* /"}, []lookupRow{{"GET /", "* /"}, {"GET /a", ""}}},
		{"the root and everything", []string{"* /", "* /**"}, []lookupRow{{"GET /", "* /"}, {"GET /a", "* /**"}}},
		{"trailing slashes matter", []string{"* /a", "* /b/", "* /c/{x}", "* /d/{x}/"}, []lookupRow{
			{"GET /a", "* /a"}, {"GET /a/", ""}, {"GET /b", ""}, {"GET /b/", "* /b/"}, {"GET /c/1", "* /c/{x}"}, {"GET /c/1/", ""}, {"GET /d/1/", "* /d/{x}/"}, {"GET /d/1", ""},
		}},
		{"{x} is never empty", []string{"* /a/{x}", "* /{x}"}, []lookupRow{{"GET /a/", ""}, {"GET /", ""}, {"GET /a", "* /{x}"}, {"GET /a/b", "* /a/{x}"}}},
		{"patterns are normalised", []string{"* /%61/b%40c", "* /caf%c3%a9", "* /a b/{x}", "* /x%2fy", "* /%7Bid%7D"}, []lookupRow{
			{"GET /a/b@c", "* /%61/b%40c"}, {"GET /a/b%40c", "* /%61/b%40c"}, {"GET /café", "* /caf%c3%a9"}, {"GET /a%20b/1", "* /a b/{x}"}, {"GET /x/y", ""},
			{"GET /{id}", "* /%7Bid%7D"}, {"GET /1", ""},
		}},
		{"regex below all", []string{"* ~/films/.*", "* /films/{id}", "GET /films/new/x"}, []lookupRow{
			{"GET /films/1", "* /films/{id}"}, {"GET /films/new/x", "GET /films/new/x"}, {"POST /films/new/x", "* ~/films/.*"}, {"GET /films/1/2", "* ~/films/.*"}, {"GET /films", ""},
		}},
		{"several regexes all hold", []string{"* ~/a/.*", "GET ~/.*/b", "* x.example~/a/b", "POST ~/a/b"}, []lookupRow{
			{"GET /a/b", "* ~/a/.* + GET ~/.*/b"}, {"POST /a/b", "* ~/a/.* + POST ~/a/b"}, {"GET x.example/a/b", "* ~/a/.* + GET ~/.*/b + * x.example~/a/b"},
			{"GET /a/c", "* ~/a/.*"}, {"GET /x/b", "GET ~/.*/b"}, {"POST /x/b", ""}, {"HEAD /x/b", "GET ~/.*/b"}, {"GET /x", ""},
		}},
		{"regexes match the whole path", []string{`* ~/a|/b/\d+|`, `* ~(?m)^/c$`, "* ~(?i)/d"}, []lookupRow{
			{"GET /a", `* ~/a|/b/\d+|`}, {"GET /b/1", `* ~/a|/b/\d+|`}, {"GET /ax", ""}, {"GET /x/a", ""}, {"GET /b/1x", ""}, {"GET /b/", ""}, {"GET /", ""},
			{"GET /c", `* ~(?m)^/c$`}, {"GET /c/", ""}, {"GET /D", "* ~(?i)/d"}, {"GET /DD", ""},
		}},
		{"regexes match the decoded path", []string{"* ~/a@b/é", `* ~/sp ace`}, []lookupRow{
			{"GET /a%40b/%c3%a9", "* ~/a@b/é"}, {"GET /a@b/é", "* ~/a@b/é"}, {"GET /sp%20ace", `* ~/sp ace`}, {"GET /a%2540b/é", ""},
		}},
		{"custom methods", []string{"PURGE /a", "GET,purge /a", "* /b"}, []lookupRow{
			{"PURGE /a", "PURGE /a"}, {"purge /a", "GET,purge /a"}, {"Purge /a", ""}, {"PURGE /b", "* /b"}, {"GET /a", "GET,purge /a"},
		}},
		{"unknown methods match nothing", []string{"* /**"}, []lookupRow{
			{"GET /", "* /**"}, {"get /", ""}, {"Get /", ""}, {"TRACE /", ""}, {"CONNECT /", ""}, {"PURGE /", ""}, {"PROPFIND /", ""}, {"M-SEARCH /", ""}, {"HEAD /", "* /**"},
		}},
		{"nothing without rules", nil, []lookupRow{{"GET /", ""}, {"OPTIONS /", ""}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			table := newTable(t, policy.Config{Rules: rules(test.rules...)})
			reversed := rules(test.rules...)
			slices.Reverse(reversed)
			other := newTable(t, policy.Config{Rules: reversed})
			for _, row := range test.rows {
				row.check(t, table)
				if !strings.Contains(row.want, " + ") {
					row.check(t, other) // the order of rules tells nothing
				}
			}
		})
	}
}

func TestRegexesCombine(t *testing.T) {
	table := newTable(t, policy.Config{Roles: policy.RoleList("basic", "admin"), Rules: []policy.Rule{
		{Regex: "/a.*", Allow: policy.Anyone(), AllowEncodedSlash: true},
		{Regex: "/.*b", Allow: policy.Role("admin"), AllowEncodedSlash: true},
		{Regex: "/.*c", Allow: policy.Anyone(), Strict: true},
		{Regex: "/.*d"},
	}})
	for _, row := range []struct {
		path           string
		anybody, admin bool
		strict         bool
	}{
		{"/a", true, true, false}, {"/b", false, true, false}, {"/ab", false, true, false}, {"/c", true, true, true}, {"/ac", true, true, true},
		{"/d", false, false, false}, {"/ad", false, false, false}, {"/x", false, false, false},
	} {
		m, err := table.Lookup(request(t, "GET", "x", row.path))
		if err != nil {
			t.Fatal(err)
		}
		if got := table.Decide(m, user("basic"), nil).Outcome == policy.Allow; got != row.anybody {
			t.Errorf("%s: basic passes = %v, want %v", row.path, got, row.anybody)
		}
		if got := table.Decide(m, user("admin"), nil).Outcome == policy.Allow; got != row.admin {
			t.Errorf("%s: admin passes = %v, want %v", row.path, got, row.admin)
		}
		if m.IsPublic() != row.anybody || m.Strict != row.strict {
			t.Errorf("%s: public = %v, strict = %v, want %v, %v", row.path, m.IsPublic(), m.Strict, row.anybody, row.strict)
		}
	}
	for path, want := range map[string]bool{"/a%2Fb": true, "/a%2Fx": true, "/a%2Fc": false, "/x%2Fc": false} {
		if _, err := table.Lookup(request(t, "GET", "x", path)); (err == nil) != want {
			t.Errorf("Lookup(%q) = error %v, want it taken: %v (every rule that matches must allow an encoded slash)", path, err, want)
		}
	}
}

func TestAllowed(t *testing.T) {
	table := newTable(t, policy.Config{Rules: rules("GET /a", "PUT,DELETE /{x}", "PATCH h.example/a", "PURGE /**", "POST ~/r", "HEAD /h", "OPTIONS /a/b")})
	for _, row := range []struct{ request, want string }{
		{"POST /a", "GET HEAD PUT DELETE PURGE"}, {"POST h.example/a", "GET HEAD PUT PATCH DELETE PURGE"}, {"GET /x", "PUT DELETE PURGE"},
		{"GET /r", "POST PUT DELETE PURGE"}, {"GET /h", "HEAD PUT DELETE PURGE"}, {"GET /a/b", "OPTIONS PURGE"}, {"GET /y/z", "PURGE"},
		{"GET /a", ""}, {"HEAD /a", ""}, {"TRACE /a", ""}, {"BREW /a", ""},
	} {
		method, rest, _ := strings.Cut(row.request, " ")
		host, path, _ := strings.Cut(rest, "/")
		m, err := table.Lookup(request(t, method, cmp.Or(host, "any.example"), "/"+path))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(m.Allowed, " "); got != row.want {
			t.Errorf("Lookup(%q).Allowed = %q, want %q", row.request, got, row.want)
		}
	}
	if m, err := newTable(t, policy.Config{}).Lookup(request(t, "GET", "x", "/")); err != nil || m.Rule != nil || m.Allowed != nil {
		t.Errorf("Lookup without rules = %+v, %v, want the zero Match", m, err)
	}
}

func TestSupports(t *testing.T) {
	table := newTable(t, policy.Config{Rules: rules("PURGE,REPORT /a", "purge /b")})
	for method, want := range map[string]bool{
		"GET": true, "HEAD": true, "POST": true, "PUT": true, "PATCH": true, "DELETE": true, "OPTIONS": true, "PURGE": true, "REPORT": true, "purge": true,
		"TRACE": false, "CONNECT": false, "get": false, "report": false, "": false, "GET ": false, "PROPFIND": false,
	} {
		if got := table.Supports(method); got != want {
			t.Errorf("Supports(%q) = %v, want %v", method, got, want)
		}
	}
	if got, want := strings.Join(table.Methods(), " "), "GET HEAD POST PUT PATCH DELETE OPTIONS PURGE REPORT purge"; got != want {
		t.Errorf("Methods() = %q, want %q", got, want)
	}
	if other := newTable(t, policy.Config{}); other.Supports("PURGE") {
		t.Error("a method that one table names is supported by another")
	}
}

func TestDefault(t *testing.T) {
	table := newTable(t, policy.Config{Rules: rules("GET /a"), Default: policy.Anyone()})
	for _, target := range []string{"/", "/b", "/a/b"} {
		m, err := table.Lookup(request(t, "GET", "x", target))
		if err != nil || m.Rule != nil || !m.IsPublic() {
			t.Errorf("Lookup(%q) = %+v, %v, want the default", target, m, err)
		}
	}
	if m, _ := table.Lookup(request(t, "TRACE", "x", "/b")); m.IsPublic() {
		t.Error("the default lets TRACE pass, want unknown methods to match nothing")
	}
	if _, err := table.Lookup(request(t, "GET", "x", "/b%2Fc")); !errors.Is(err, policy.ErrTarget) {
		t.Errorf("Lookup(/b%%2Fc) = error %v, want ErrTarget: the default does not allow encoded slashes", err)
	}
}

func TestEncodedSlash(t *testing.T) {
	table := newTable(t, policy.Config{Rules: []policy.Rule{
		{Name: "files", Path: "/files/{name}", Allow: policy.Anyone(), AllowEncodedSlash: true},
		{Name: "tree", Path: "/tree/**", Allow: policy.Anyone(), AllowEncodedSlash: true},
		{Name: "exact", Path: "/exact%2fone", Allow: policy.Anyone(), AllowEncodedSlash: true},
		{Name: "plain", Path: "/plain/{x}", Allow: policy.Anyone()},
		{Name: "regex", Regex: `/regex/\w+%2F\w+`, Allow: policy.Anyone(), AllowEncodedSlash: true},
	}})
	for _, row := range []lookupRow{ // an empty want: refused
		{"/files/a%2Fb", "files"}, {"/files/a%2fb%2Fc", "files"}, {"/files/%2F", "files"}, {"/files/https%3A%2F%2Fx", "files"}, {"/tree/a%2Fb/c", "tree"},
		{"/exact%2Fone", "exact"}, {"/regex/a%2fb", "regex"},
		{"/plain/a%2Fb", ""}, {"/files%2Fa", ""}, {"/tree%2Fa", ""}, {"/files/a%2Fb/c", ""}, {"/none%2Fa", ""}, {"/regex/a%2f", ""}, {"/%2Ffiles/a", ""},
	} {
		m, err := table.Lookup(request(t, "GET", "x", row.request))
		if got := ruleNames(m); got != row.want || (err == nil) != (row.want != "") || err != nil && !errors.Is(err, policy.ErrTarget) {
			t.Errorf("Lookup(%q) = %q, %v, want %q", row.request, got, err, row.want)
		}
	}
	for _, path := range []string{"/exact/one", "/exact", "/files/", "/regex/a/b"} {
		if m, err := table.Lookup(request(t, "GET", "x", path)); err != nil || m.Rule != nil {
			t.Errorf("Lookup(%q) = %q, %v, want no rule", path, ruleNames(m), err)
		}
	}
	if _, err := table.Lookup(request(t, "GET", "x", "/plain/a%2Fb")); err == nil || !strings.Contains(err.Error(), "(%2F)") {
		t.Errorf("Lookup(/plain/a%%2Fb) = error %v, want one that names the escape", err)
	}
}

func TestPathParameters(t *testing.T) {
	table := newTable(t, policy.Config{Rules: rules("* /admin/**", "* /films/{id}", "* /films/new", "GET /method", "POST /{x}", "* ~/re/.*", "* ~/re/[a-z;]+")})
	for _, row := range []lookupRow{ // an empty want: refused
		{"/films/1;v=2", "* /films/{id}"}, {"/films/1;", "* /films/{id}"}, {"/films/1%3Bv", "* /films/{id}"}, {"/admin/x;y", "* /admin/**"}, {"/admin/x;y/z;w", "* /admin/**"},
		{"/re/a;b", "* ~/re/.* + * ~/re/[a-z;]+"}, {"/re/1;b", "* ~/re/.*"},
		{"/admin;x", ""}, {"/admin;/x", ""}, {"/admin;a=b/x", ""}, {"/admin%3B/x", ""}, {"/films/new;x", ""}, {"/films;x/1", ""}, {"/method;x", ""}, {"/re/a;1", ""}, {"/re;x/a", ""},
	} {
		m, err := table.Lookup(request(t, "GET", "x", row.request))
		if got := ruleNames(m); got != row.want || (err == nil) != (row.want != "") || err != nil && !errors.Is(err, policy.ErrTarget) {
			t.Errorf("Lookup(%q) = %q, %v, want %q", row.request, got, err, row.want)
		}
	}
	if m, err := table.Lookup(request(t, "GET", "x", "/none;x/y")); err != nil || m.Rule != nil {
		t.Errorf("Lookup(/none;x/y) = %q, %v, want no rule either way", ruleNames(m), err)
	}
}

// TestLookupOfWhatIsNotCanonical: a literal Request has no match form, and must not be taken for the root.
func TestLookupOfWhatIsNotCanonical(t *testing.T) {
	table := newTable(t, policy.Config{Rules: []policy.Rule{{Path: "/**", Allow: policy.Anyone()}}})
	for _, q := range []policy.Request{{}, {Method: "GET"}, {Method: "GET", Path: "/admin"}, {Method: "GET", Host: "x", Path: "admin"}} {
		if m, err := table.Lookup(q); !errors.Is(err, policy.ErrTarget) || m.Rule != nil || m.IsPublic() {
			t.Errorf("Lookup(%+v) = %+v, %v, want ErrTarget", q, m, err)
		}
	}
}

func TestRuleTitlesAndIndexes(t *testing.T) {
	table := newTable(t, policy.Config{Rules: []policy.Rule{
		{Path: "/a"}, {Methods: []string{"GET", "PUT"}, Path: "/b"}, {Host: "h.example", Path: "/c"}, {Regex: `/d\d`}, {Name: "mine", Path: "/e"},
	}})
	for i, want := range []string{"* /a", "GET,PUT /b", "* h.example/c", `* ~/d\d`, "mine"} {
		target := []string{"/a", "/b", "/c", "/d1", "/e"}[i]
		m, err := table.Lookup(request(t, "GET", "h.example", target))
		if err != nil || m.Rule == nil || m.Rule.Name != want || m.Rule.Index() != i {
			t.Errorf("Lookup(%q) = %+v, %v, want rule %d called %q", target, m.Rule, err, i, want)
		}
	}
}

// TestTableKeepsNothing: what the caller does to its Config afterwards changes no decision.
func TestTableKeepsNothing(t *testing.T) {
	c := policy.Config{
		Roles: policy.Roles{"basic": 1, "admin": 9}, Permissions: policy.Permissions{"admin": {"films.delete"}},
		Rules: []policy.Rule{{Methods: []string{"GET"}, Path: "/a", Allow: policy.Role("admin")}},
	}
	table := newTable(t, c)
	c.Roles["basic"], c.Roles["evil"] = 10, 11
	c.Permissions["admin"][0] = "films.read"
	c.Rules[0].Allow, c.Rules[0].Methods[0] = policy.Anyone(), "POST"
	m, err := table.Lookup(request(t, "GET", "x", "/a"))
	if err != nil {
		t.Fatal(err)
	}
	if d := table.Decide(m, user("basic", "evil"), nil); d.Outcome != policy.Forbidden {
		t.Errorf("Decide after the Config changed = %v, want forbidden", d.Outcome)
	}
	if !table.Permits(user("admin"), "films.delete") || table.Permits(user("admin"), "films.read") || m.Rule.Methods[0] != "GET" {
		t.Error("the table shares its Config with the caller")
	}
}

// TestManyRules: neither New nor Lookup may be quadratic.
func TestManyRules(t *testing.T) {
	const n = 100_000
	list := make([]policy.Rule, 0, n)
	for i := range n / 2 {
		list = append(list, policy.Rule{Path: fmt.Sprintf("/p%d/{x}/**", i)}, policy.Rule{Host: fmt.Sprintf("h%d.example", i%50), Path: fmt.Sprintf("/t%d/**", i)})
	}
	for i := range 500 {
		list = append(list, policy.Rule{Regex: fmt.Sprintf(`/r%d/\d+`, i)})
	}
	table := newTable(t, policy.Config{Rules: list})
	for _, row := range []lookupRow{
		{"GET /p49999/a/b", "* /p49999/{x}/**"}, {"GET h1.example/t1/x", "* h1.example/t1/**"}, {"GET h2.example/t1/x", ""}, {"GET /r499/7", `* ~/r499/\d+`}, {"GET /r500/7", ""},
	} {
		row.check(t, table)
	}
	for _, target := range []string{strings.Repeat("/a", 30_000), "/p1/" + strings.Repeat("x;", 30_000), "/p1/" + strings.Repeat("x;y/", 15_000), "/" + strings.Repeat("%61", 20_000)} {
		q, err := canonical(target, "x")
		if err != nil {
			continue // refused is fine, and quick
		}
		if _, err := table.Lookup(q); err != nil && !errors.Is(err, policy.ErrTarget) {
			t.Errorf("Lookup of %d bytes = error %v", len(target), err)
		}
	}
}
