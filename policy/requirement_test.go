package policy_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/policy"
)

// decide asks what p may do where q is required.
func decide(table *policy.Table, q policy.Requirement, p gatehouse.Principal, permits policy.Permitter) policy.Decision {
	return table.Decide(policy.Match{Rule: &policy.Rule{}, Allow: q}, p, permits)
}

func testTable(t testing.TB) *policy.Table {
	return newTable(t, policy.Config{
		Roles: policy.Roles{"basic": 1, "admin": 9}, Permissions: policy.Permissions{"basic": {"films.read"}, "admin": {"films.*"}},
	})
}

func TestRequirements(t *testing.T) {
	table := testTable(t)
	scoped := func(scopes ...string) gatehouse.Principal {
		return gatehouse.Principal{Subject: "ci", Kind: gatehouse.KindService, Scopes: scopes}
	}
	both := gatehouse.Principal{Subject: "jack", Kind: gatehouse.KindUser, Roles: []string{"basic"}, Scopes: []string{"a", "b"}}
	role, scope, permission := policy.Role, policy.Scope, policy.Permission
	for _, row := range []struct {
		need policy.Requirement
		who  gatehouse.Principal
		want bool
	}{
		{policy.Requirement{}, user("admin"), false}, {policy.Nobody(), user("admin"), false}, {policy.All(), user("admin"), false}, {policy.Any(), user("admin"), false},
		{scope(), scoped("a"), false}, {policy.Any(policy.All()), user("admin"), false}, {policy.All(policy.Any()), user("admin"), false}, {policy.Any(policy.Requirement{}), user("admin"), false},
		{policy.All(policy.Anyone(), policy.Nobody()), user("admin"), false}, {policy.All(policy.Requirement{}, policy.Anyone()), user("admin"), false},

		{policy.Anyone(), gatehouse.Principal{}, true}, {policy.Anyone(), user(), true}, {policy.Any(policy.Nobody(), policy.Anyone()), gatehouse.Principal{}, true},
		{policy.Authenticated(), user(), true}, {policy.Authenticated(), scoped(), true},
		{policy.All(policy.Anyone(), policy.Authenticated()), gatehouse.Anonymous(), false},

		{role("basic"), user("basic"), true}, {role("basic"), user("admin"), true}, {role("admin"), user("basic"), false}, {role("admin"), user(), false},
		{role("ghost"), user("ghost"), false}, {role(""), user(""), false}, {role("basic"), user("ghost"), false}, {role("basic"), scoped("basic"), false},

		{permission("films.read"), user("basic"), true}, {permission("films.delete"), user("admin"), true}, {permission("films.delete"), user("basic"), false},
		{permission(""), user("admin"), false}, {permission("people.read"), user("admin"), false}, {permission("films.read"), scoped("films.read"), false},

		{scope("a"), scoped("a"), true}, {scope("a"), scoped("b", "a"), true}, {scope("a", "b"), scoped("b", "c", "a"), true}, {scope("a", "a"), scoped("a"), true},
		{scope("a"), scoped(), false}, {scope("a"), scoped("A"), false}, {scope("a"), scoped("a "), false}, {scope("a"), scoped("a b"), false}, {scope("a"), scoped("aa"), false},
		{scope("a", "b"), scoped("a"), false}, {scope("a", "b"), scoped("b"), false}, {scope("a", "b"), scoped("a b"), false}, {scope("films.read"), scoped("films.*"), false},
		{scope("a"), scoped("*"), false}, {scope(""), scoped(""), false}, {scope(""), scoped(), false}, {scope("a", ""), scoped("a", ""), false}, {scope("basic"), user("basic"), false},

		{policy.All(role("basic"), scope("a")), both, true}, {policy.All(role("basic"), scope("c")), both, false}, {policy.All(role("admin"), scope("a")), both, false},
		{policy.Any(role("admin"), scope("a")), both, true}, {policy.Any(role("admin"), scope("c")), both, false}, {policy.Any(role("admin"), policy.Authenticated()), both, true},
		{policy.Any(policy.All(role("basic"), scope("c")), policy.All(role("admin"), scope("a"))), both, false},
		{policy.Any(policy.All(role("basic"), scope("c")), policy.All(role("basic"), scope("b"))), both, true},
		{policy.All(policy.Any(role("admin"), scope("a")), policy.Any(role("basic"), scope("z"))), both, true},
	} {
		if got := decide(table, row.need, row.who, nil).Outcome == policy.Allow; got != row.want {
			t.Errorf("%v for %v %v = %v, want %v", row.need, row.who.Roles, row.who.Scopes, got, row.want)
		}
	}
}

// TestNobodiesAreDenied: who is nobody gets no further than to public paths, whatever roles and scopes the principal carries.
func TestNobodiesAreDenied(t *testing.T) {
	table := testTable(t)
	for name, p := range nobodies {
		for _, need := range []policy.Requirement{
			{}, policy.Authenticated(), policy.Role("basic"), policy.Permission("films.read"), policy.Scope("films.read"), policy.All(), policy.Any(),
			policy.Any(policy.Role("admin"), policy.Scope("films.read")), policy.All(policy.Anyone(), policy.Role("basic")),
		} {
			if d := decide(table, need, p, nil); d.Outcome != policy.Unauthorized || d.Scopes != nil || d.Allowed != nil {
				t.Errorf("%s: Decide where %v is required = %+v, want no more than unauthorized", name, need, d)
			}
		}
		if d := decide(table, policy.Anyone(), p, nil); d.Outcome != policy.Allow {
			t.Errorf("%s: Decide where anyone may pass = %+v, want allow", name, d)
		}
	}
}

func TestPermitter(t *testing.T) {
	table, down := testTable(t), errors.New("store is down")
	permits := func(permission string) (bool, error) {
		switch permission {
		case "yes":
			return true, nil
		case "down":
			return false, down
		case "yes and down": // an answer beside an error is no answer
			return true, down
		}
		return false, nil
	}
	p, all, any := policy.Permission, policy.All, policy.Any
	for _, row := range []struct {
		need policy.Requirement
		want policy.Outcome
	}{
		{p("yes"), policy.Allow}, {p("no"), policy.Forbidden}, {p("down"), policy.Unchecked}, {p("yes and down"), policy.Unchecked}, {p("films.read"), policy.Forbidden},
		{any(p("down"), p("yes")), policy.Allow}, {any(p("yes"), p("down")), policy.Allow}, {any(p("down"), policy.Role("basic")), policy.Allow}, {any(p("down"), policy.Anyone()), policy.Allow},
		{any(p("down"), p("no")), policy.Unchecked}, {any(p("no"), p("down")), policy.Unchecked}, {any(p("yes and down"), p("no")), policy.Unchecked}, {any(p("down"), policy.Role("admin")), policy.Unchecked},
		{all(p("down"), p("yes")), policy.Unchecked}, {all(p("yes"), p("down")), policy.Unchecked}, {all(p("yes and down")), policy.Unchecked},
		{all(p("down"), p("no")), policy.Forbidden}, {all(p("no"), p("down")), policy.Forbidden}, {all(p("down"), policy.Role("admin")), policy.Forbidden}, {all(policy.Nobody(), p("down")), policy.Forbidden},
		{any(all(p("down"), p("no")), p("yes")), policy.Allow}, {any(all(p("down"), p("no")), p("no")), policy.Forbidden}, {any(all(p("down"), p("yes")), p("no")), policy.Unchecked},
		{all(any(p("down"), p("yes")), p("yes")), policy.Allow}, {all(any(p("down"), p("no")), p("no")), policy.Forbidden}, {all(any(p("down"), p("no")), p("yes")), policy.Unchecked},
	} {
		d := decide(table, row.need, user("basic"), permits)
		if d.Outcome != row.want || (d.Outcome == policy.Unchecked) != errors.Is(d.Err, down) {
			t.Errorf("%v = %v, error %v, want %v", row.need, d.Outcome, d.Err, row.want)
		}
	}
	if d := decide(table, all(p("down"), p("yes and down")), user(), permits); d.Err == nil || strings.Count(d.Err.Error(), "store is down") != 2 {
		t.Errorf("two checks fail: error %v, want both", d.Err)
	}
}

// TestPermitterAndNobody: a policy may grant permissions to anonymous callers, which is for it to say. The roles of the table do not.
func TestPermitterAndNobody(t *testing.T) {
	table := testTable(t)
	for _, row := range []struct {
		permits policy.Permitter
		want    policy.Outcome
	}{
		{nil, policy.Unauthorized},
		{func(string) (bool, error) { return false, nil }, policy.Unauthorized},
		{func(string) (bool, error) { return true, nil }, policy.Allow},
		{func(string) (bool, error) { return false, errors.New("down") }, policy.Unchecked},
	} {
		if d := decide(table, policy.Permission("films.read"), gatehouse.Anonymous(), row.permits); d.Outcome != row.want {
			t.Errorf("Decide for anonymous = %v, want %v", d.Outcome, row.want)
		}
	}
}

// TestPermitterIsAskedNoMoreThanNeeded: it may look things up.
func TestPermitterIsAskedNoMoreThanNeeded(t *testing.T) {
	table := testTable(t)
	for _, row := range []struct {
		need policy.Requirement
		want string
	}{
		{policy.Role("basic"), ""}, {policy.Anyone(), ""}, {policy.Any(policy.Role("basic"), policy.Permission("a")), ""}, {policy.All(policy.Role("admin"), policy.Permission("a")), ""},
		{policy.Any(policy.Permission("a"), policy.Permission("b")), "a b"}, {policy.All(policy.Permission("a"), policy.Permission("b")), "a"},
	} {
		var asked []string
		decide(table, row.need, user("basic"), func(permission string) (bool, error) {
			asked = append(asked, permission)
			return false, nil
		})
		if got := strings.Join(asked, " "); got != row.want {
			t.Errorf("%v asks for %q, want %q", row.need, got, row.want)
		}
	}
}

func TestIsPublic(t *testing.T) {
	anyone, role := policy.Anyone(), policy.Role("basic")
	for _, row := range []struct {
		need policy.Requirement
		want bool
	}{
		{anyone, true}, {policy.Any(role, anyone), true}, {policy.All(anyone, anyone), true}, {policy.Any(policy.All(anyone)), true},
		{policy.Requirement{}, false}, {policy.Nobody(), false}, {policy.Authenticated(), false}, {role, false}, {policy.All(), false}, {policy.Any(), false},
		{policy.All(anyone, role), false}, {policy.All(anyone, policy.Nobody()), false}, {policy.Any(role), false}, {policy.All(policy.Any(), anyone), false}, {policy.Any(policy.All()), false},
	} {
		if got := row.need.IsPublic(); got != row.want {
			t.Errorf("%v.IsPublic() = %v, want %v", row.need, got, row.want)
		}
		if met := decide(testTable(t), row.need, gatehouse.Anonymous(), nil).Outcome == policy.Allow; met != row.want {
			t.Errorf("%v is met by anonymous callers: %v, want %v, as IsPublic says", row.need, met, row.want)
		}
	}
}

// TestRequirementsKeepNothing: a slice that is used again changes no requirement.
func TestRequirementsKeepNothing(t *testing.T) {
	table := testTable(t)
	parts, names := []policy.Requirement{policy.Role("admin"), policy.Role("admin")}, []string{"a", "b"}
	all, any, scope := policy.All(parts...), policy.Any(parts...), policy.Scope(names...)
	parts[0], parts[1], names[0], names[1] = policy.Anyone(), policy.Anyone(), "c", "c"
	for _, need := range []policy.Requirement{all, any, scope} {
		p := user("basic")
		p.Scopes = []string{"c"}
		if d := decide(table, need, p, nil); d.Outcome != policy.Forbidden {
			t.Errorf("%v after its parts were changed = %v, want forbidden", need, d.Outcome)
		}
	}
}

func TestRequirementString(t *testing.T) {
	for _, row := range []struct {
		need policy.Requirement
		want string
	}{
		{policy.Requirement{}, "nobody"}, {policy.Nobody(), "nobody"}, {policy.All(), "nobody"}, {policy.Any(), "nobody"}, {policy.Scope(), "nobody"},
		{policy.Anyone(), "anyone"}, {policy.Authenticated(), "authenticated"}, {policy.Role("admin"), "role admin"}, {policy.Permission("films.read"), "permission films.read"},
		{policy.Scope("a"), "scope a"}, {policy.Scope("a", "b"), "(scope a and scope b)"},
		{policy.Any(policy.Role("admin"), policy.All(policy.Role("basic"), policy.Scope("a"))), "(role admin or (role basic and scope a))"},
	} {
		if got := row.need.String(); got != row.want {
			t.Errorf("String() = %q, want %q", got, row.want)
		}
	}
}

func TestScopesAskedFor(t *testing.T) {
	table := testTable(t)
	a, b, admin := policy.Scope("a"), policy.Scope("b"), policy.Role("admin")
	for _, row := range []struct {
		need policy.Requirement
		held string
		want string
	}{
		{a, "", "a"}, {policy.Scope("a", "b"), "", "a b"}, {policy.Scope("a", "b"), "a", "a b"}, {policy.Scope("a", "a"), "", "a"}, {policy.All(a, policy.Any(b, a)), "", "a b"},
		{policy.Any(a, b), "", "a"}, {policy.Any(admin, b), "", "b"}, {policy.All(admin, a), "", "a"}, {policy.Any(policy.Scope("a", "b"), policy.Scope("c")), "a", "a b"},
		{policy.All(admin, a), "a", ""}, {policy.All(admin, policy.Scope("a", "b")), "b a", ""}, {admin, "", ""}, {policy.Nobody(), "a", ""}, {policy.Permission("x"), "", ""},
	} {
		p := user("basic")
		p.Scopes = strings.Fields(row.held)
		d := decide(table, row.need, p, nil)
		if got := strings.Join(d.Scopes, " "); d.Outcome != policy.Forbidden || got != row.want {
			t.Errorf("%v for one who holds %q = %v asking for %q, want forbidden asking for %q", row.need, row.held, d.Outcome, got, row.want)
		}
	}
	if d := decide(table, a, gatehouse.Principal{Subject: "x", Kind: gatehouse.KindUser, Scopes: []string{"a"}}, nil); d.Outcome != policy.Allow || d.Scopes != nil {
		t.Errorf("allowed, Decide = %+v, want no scopes", d)
	}
}

// TestRequirementTree goes through every tree of two levels over parts of known truth and compares it with plain logic.
func TestRequirementTree(t *testing.T) {
	table, down := testTable(t), errors.New("down")
	const no, yes, unknown = 0, 1, 2
	leaves := []policy.Requirement{no: policy.Role("admin"), yes: policy.Role("basic"), unknown: policy.Permission("x")}
	outcome := []policy.Outcome{no: policy.Forbidden, yes: policy.Allow, unknown: policy.Unchecked}
	// In all, a no decides; in any, a yes does; what is unknown stays so unless it is decided.
	fold := func(decides int, values []int) int {
		switch {
		case slices.Contains(values, decides):
			return decides
		case slices.Contains(values, unknown):
			return unknown
		}
		return 1 - decides
	}
	permits := func(string) (bool, error) { return false, down }
	check := func(need policy.Requirement, want int) {
		if got := decide(table, need, user("basic"), permits).Outcome; got != outcome[want] {
			t.Errorf("%v = %v, want %v", need, got, outcome[want])
		}
	}
	for i := range 27 {
		v := []int{i % 3, i / 3 % 3, i / 9}
		parts := []policy.Requirement{leaves[v[0]], leaves[v[1]], leaves[v[2]]}
		check(policy.All(parts...), fold(no, v))
		check(policy.Any(parts...), fold(yes, v))
		check(policy.Any(policy.All(parts[:2]...), parts[2]), fold(yes, []int{fold(no, v[:2]), v[2]}))
		check(policy.All(policy.Any(parts[:2]...), parts[2]), fold(no, []int{fold(yes, v[:2]), v[2]}))
	}
}

func ExampleAny() {
	need := policy.Any(policy.Role("admin"), policy.Scope("films.read", "films.list"))
	fmt.Println(need)
	// Output: (role admin or (scope films.read and scope films.list))
}
