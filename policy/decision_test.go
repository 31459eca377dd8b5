package policy_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/policy"
)

// TestZeroValuesDeny: what nobody filled in lets nobody in.
func TestZeroValuesDeny(t *testing.T) {
	if o := (policy.Decision{}).Outcome; o == policy.Allow {
		t.Errorf("the zero Decision is %v", o)
	}
	empty := newTable(t, policy.Config{})
	if d := empty.Decide(policy.Match{}, user("admin"), nil); d.Outcome != policy.NoRule {
		t.Errorf("Decide for the zero Match = %v, want no rule", d.Outcome)
	}
	if d := empty.Decide(policy.Match{}, gatehouse.Principal{}, nil); d.Outcome != policy.Unauthorized {
		t.Errorf("Decide for the zero Match and Principal = %v, want unauthorized", d.Outcome)
	}
	if d := empty.Decide(policy.Match{Rule: &policy.Rule{}}, user("admin"), nil); d.Outcome != policy.Forbidden {
		t.Errorf("Decide for the zero Rule = %v, want forbidden", d.Outcome)
	}
	var zero policy.Match
	if zero.IsPublic() {
		t.Error("the zero Match is public")
	}
	table := newTable(t, policy.Config{Rules: []policy.Rule{{Path: "/**"}}})
	m, err := table.Lookup(request(t, "GET", "x", "/"))
	if d := table.Decide(m, user("admin"), nil); err != nil || d.Outcome != policy.Forbidden {
		t.Errorf("Decide for a rule without Allow = %v, %v, want forbidden", d.Outcome, err)
	}
}

func TestDecide(t *testing.T) {
	table := newTable(t, policy.Config{Roles: policy.RoleList("basic", "admin"), Rules: []policy.Rule{
		{Methods: []string{"GET"}, Path: "/films/{id}", Allow: policy.Role("basic")},
		{Methods: []string{"POST"}, Path: "/films/{id}", Allow: policy.Scope("films.write")},
		{Methods: []string{"GET"}, Path: "/admin/**", Allow: policy.Role("admin")},
		{Path: "/public/**", Allow: policy.Anyone()},
		{Path: "/public/internal/**"},
	}})
	nobody, basic, admin := gatehouse.Anonymous(), user("basic"), user("admin")
	for _, row := range []struct {
		method, path string
		who          gatehouse.Principal
		want         policy.Outcome
	}{
		{"GET", "/films/1", basic, policy.Allow}, {"HEAD", "/films/1", basic, policy.Allow}, {"GET", "/films/1", admin, policy.Allow}, {"GET", "/admin", admin, policy.Allow},
		{"GET", "/public", nobody, policy.Allow}, {"DELETE", "/public/x", nobody, policy.Allow}, {"GET", "/public/x", basic, policy.Allow},

		{"GET", "/films/1", nobody, policy.Unauthorized}, {"GET", "/films/1", user("ghost"), policy.Forbidden}, {"POST", "/films/1", admin, policy.Forbidden},
		{"GET", "/admin", basic, policy.Forbidden}, {"HEAD", "/admin/x", basic, policy.Forbidden}, {"GET", "/public/internal", admin, policy.Forbidden}, {"GET", "/public/internal/x", nobody, policy.Unauthorized},
		{"DELETE", "/films/1", basic, policy.MethodNotFound}, {"POST", "/admin", admin, policy.MethodNotFound},
		{"GET", "/films", admin, policy.NoRule}, {"GET", "/", admin, policy.NoRule}, {"GET", "/Public", basic, policy.NoRule}, {"get", "/public", admin, policy.NoRule}, {"TRACE", "/public", admin, policy.NoRule},

		{"DELETE", "/films/1", nobody, policy.Unauthorized}, {"GET", "/films", nobody, policy.Unauthorized}, {"TRACE", "/public", nobody, policy.Unauthorized}, {"GET", "/none", nobody, policy.Unauthorized},
	} {
		m, err := table.Lookup(request(t, row.method, "x", row.path))
		if err != nil {
			t.Fatal(err)
		}
		d := table.Decide(m, row.who, nil)
		if d.Outcome != row.want || d.Err != nil {
			t.Errorf("%s %s by %v = %v, %v, want %v", row.method, row.path, row.who.Roles, d.Outcome, d.Err, row.want)
		}
		if (d.Allowed != nil) != (row.want == policy.MethodNotFound) {
			t.Errorf("%s %s by %v names methods %v, want them with method not allowed only", row.method, row.path, row.who.Roles, d.Allowed)
		}
	}
}

// TestAnonymousLearnsNothing: to a caller without a name every path that is closed looks the same.
func TestAnonymousLearnsNothing(t *testing.T) {
	table := newTable(t, policy.Config{Roles: policy.RoleList("admin"), Rules: []policy.Rule{
		{Methods: []string{"GET"}, Path: "/a", Allow: policy.Role("admin")}, {Methods: []string{"GET"}, Path: "/b", Allow: policy.Scope("b")}, {Path: "/c"},
	}})
	for _, line := range [][2]string{{"GET", "/a"}, {"POST", "/a"}, {"GET", "/b"}, {"GET", "/c"}, {"GET", "/none"}, {"TRACE", "/a"}, {"BREW", "/none"}} {
		m, err := table.Lookup(request(t, line[0], "x", line[1]))
		if err != nil {
			t.Fatal(err)
		}
		for name, p := range nobodies {
			if d := table.Decide(m, p, nil); d.Outcome != policy.Unauthorized || d.Allowed != nil || d.Scopes != nil {
				t.Errorf("%s: %s = %+v, want unauthorized and nothing else", name, line, d)
			}
		}
	}
}

func TestDefaultIsDecided(t *testing.T) {
	for _, row := range []struct {
		fallback      policy.Requirement
		anybody, jack policy.Outcome
	}{
		{policy.Requirement{}, policy.Unauthorized, policy.NoRule}, {policy.Authenticated(), policy.Unauthorized, policy.Allow},
		{policy.Role("admin"), policy.Unauthorized, policy.Forbidden}, {policy.Anyone(), policy.Allow, policy.Allow},
	} {
		table := newTable(t, policy.Config{Roles: policy.RoleList("basic", "admin"), Default: row.fallback})
		m, err := table.Lookup(request(t, "GET", "x", "/none"))
		if err != nil {
			t.Fatal(err)
		}
		if got := table.Decide(m, gatehouse.Anonymous(), nil).Outcome; got != row.anybody {
			t.Errorf("default %v for anonymous = %v, want %v", row.fallback, got, row.anybody)
		}
		if got := table.Decide(m, user("basic"), nil).Outcome; got != row.jack {
			t.Errorf("default %v for basic = %v, want %v", row.fallback, got, row.jack)
		}
	}
}

// TestDecisionIsACopy: an answer that a caller changes is not the next one's.
func TestDecisionIsACopy(t *testing.T) {
	table := newTable(t, policy.Config{Rules: []policy.Rule{{Methods: []string{"GET"}, Path: "/a", Allow: policy.Anyone()}}})
	m, err := table.Lookup(request(t, "POST", "x", "/a"))
	if err != nil {
		t.Fatal(err)
	}
	table.Decide(m, user(), nil).Allowed[0] = "EVIL"
	if d := table.Decide(m, user(), nil); !slices.Equal(d.Allowed, []string{"GET", "HEAD"}) {
		t.Errorf("Allowed = %v, want GET and HEAD", d.Allowed)
	}
}

func TestOutcomeString(t *testing.T) {
	for o, want := range map[policy.Outcome]string{
		policy.Unchecked: "unchecked", policy.Allow: "allow", policy.Unauthorized: "unauthorized", policy.Forbidden: "forbidden", policy.NoRule: "no rule",
		policy.MethodNotFound: "method not allowed", policy.MethodNotFound + 1: "unknown", 255: "unknown",
	} {
		if got := o.String(); got != want {
			t.Errorf("Outcome(%d).String() = %q, want %q", uint8(o), got, want)
		}
	}
}

// TestDecideDoesNotAllocate: the path of a request that passes costs nothing.
func TestDecideDoesNotAllocate(t *testing.T) {
	table := newTable(t, policy.Config{
		Roles: policy.RoleList("basic", "admin"), Permissions: policy.Permissions{"basic": {"films.*"}},
		Rules: []policy.Rule{{Path: "/films/{id}", Allow: policy.All(policy.Role("basic"), policy.Any(policy.Scope("a", "b"), policy.Permission("films.read")))}},
	})
	q, p := request(t, "GET", "x", "/films/1"), user("basic")
	if n := testing.AllocsPerRun(100, func() {
		m, err := table.Lookup(q)
		if err != nil || table.Decide(m, p, nil).Outcome != policy.Allow {
			t.Fatal("want allow")
		}
	}); n != 0 {
		t.Errorf("Lookup and Decide allocate %v times, want 0", n)
	}
}

func ExampleNew() {
	table, err := policy.New(policy.Config{
		Roles: policy.RoleList("basic", "admin"),
		Rules: []policy.Rule{
			{Methods: []string{"GET"}, Path: "/films/{id}", Allow: policy.Role("basic")},
			{Path: "/films/**", Allow: policy.Role("admin")},
			{Path: "/public/**", Allow: policy.Anyone()},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	jack := gatehouse.Principal{Subject: "jack", Kind: gatehouse.KindUser, Roles: []string{"basic"}}
	for _, line := range [][2]string{{"GET", "/films/1"}, {"DELETE", "/films/1"}, {"GET", "/public/logo.svg"}, {"GET", "/people"}} {
		r, err := http.NewRequest(line[0], "http://api.example.org"+line[1], nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		q, err := policy.Canonical(r)
		if err != nil {
			fmt.Println(400, err)
			continue
		}
		m, err := table.Lookup(q)
		if err != nil {
			fmt.Println(400, err)
			continue
		}
		fmt.Println(line, table.Decide(m, jack, nil).Outcome, "- anonymous:", table.Decide(m, gatehouse.Anonymous(), nil).Outcome)
	}
	// Output:
	// [GET /films/1] allow - anonymous: unauthorized
	// [DELETE /films/1] forbidden - anonymous: unauthorized
	// [GET /public/logo.svg] allow - anonymous: allow
	// [GET /people] no rule - anonymous: unauthorized
}

// ExampleNew_faults shows that every fault is told at once, with its place.
func ExampleNew_faults() {
	_, err := policy.New(policy.Config{Rules: []policy.Rule{
		{Path: "films", Allow: policy.Role("basic")},
		{Methods: []string{"get"}, Path: "/films"},
	}})
	fmt.Println(err)
	var fault *policy.RuleError
	if errors.As(err, &fault) {
		fmt.Println("first:", fault.Index, fault.Field)
	}
	// Output:
	// rules[0].allow: there is no role "basic"
	// rules[0].path: a path starts with /
	// rules[1].methods: methods are case-sensitive: write GET
	// first: 0 allow
}
