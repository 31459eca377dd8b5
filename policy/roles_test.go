package policy_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/policy"
)

func TestHasRole(t *testing.T) {
	table := newTable(t, policy.Config{Roles: policy.Roles{"guest": -3, "basic": 0, "premium": 5, "admin": 9}})
	type row struct {
		held string // names with spaces between them
		role string
		want bool
	}
	allow := func(held, role string) row { return row{held, role, true} }
	deny := func(held, role string) row { return row{held, role, false} }
	for _, r := range []row{
		allow("basic", "basic"), allow("basic", "guest"), allow("admin", "guest"), allow("admin", "premium"), allow("basic premium", "premium"), allow("ghost admin", "basic"),
		deny("basic", "premium"), deny("premium", "admin"), deny("guest", "basic"), deny("basic guest", "premium"), deny("basic basic basic", "admin"),
		deny("", "guest"), deny("", ""), deny("admin", ""), deny("ghost", "guest"), deny("ghost", "ghost"), deny("admin", "ghost"), deny("root", "admin"),
		deny("Admin", "admin"), deny("ADMIN", "basic"), deny("admin", "Admin"), deny("admin,", "admin"), deny("basic,admin", "admin"), deny("admin*", "guest"), deny("*", "guest"),
		deny("admin\x00", "guest"), deny("\tadmin", "guest"), deny("аdmin", "guest"), deny("admin\u200b", "guest"), deny("adm", "guest"), deny("administrator", "guest"),
	} {
		if got := table.HasRole(user(strings.Split(r.held, " ")...), r.role); got != r.want {
			t.Errorf("HasRole(%q, %q) = %v, want %v", r.held, r.role, got, r.want)
		}
	}
	for _, held := range []string{" admin", "admin ", "admin basic"} { // one name with a space in it
		if table.HasRole(user(held), "guest") {
			t.Errorf("HasRole(%q, guest) = true, want false", held)
		}
	}
}

// nobodies are principals that stand for nobody, whatever else they carry.
var nobodies = map[string]gatehouse.Principal{
	"zero":              {},
	"anonymous":         gatehouse.Anonymous(),
	"no subject":        {Kind: gatehouse.KindUser, Roles: []string{"admin"}, Scopes: []string{"films.read"}},
	"no kind":           {Subject: "jack", Roles: []string{"admin"}, Scopes: []string{"films.read"}},
	"kind is anonymous": {Subject: "jack", Kind: gatehouse.KindAnonymous, Roles: []string{"admin"}, Scopes: []string{"films.read"}},
}

func TestAnonymousHasNothing(t *testing.T) {
	table := newTable(t, policy.Config{Roles: policy.RoleList("basic", "admin"), Permissions: policy.Permissions{"basic": {"*"}}})
	for name, p := range nobodies {
		if table.HasRole(p, "basic") || table.HasRole(p, "") || table.Permits(p, "films.read") || table.Permits(p, "") {
			t.Errorf("%s: has a role or a permission, want none", name)
		}
	}
}

func TestPermits(t *testing.T) {
	table := newTable(t, policy.Config{
		Roles: policy.Roles{"guest": 1, "basic": 2, "editor": 5, "admin": 9},
		Permissions: policy.Permissions{
			"basic": {"films.read", "films.list", "a:b"}, "editor": {"films.*", "deep.er.*"}, "admin": {"*"},
		},
	})
	type row struct {
		role, permission string
		want             bool
	}
	allow := func(role, permission string) row { return row{role, permission, true} }
	deny := func(role, permission string) row { return row{role, permission, false} }
	for _, r := range []row{
		allow("basic", "films.read"), allow("basic", "a:b"), allow("editor", "films.list"), allow("editor", "films.delete"), allow("editor", "films.a.b"), allow("editor", "deep.er.x"),
		allow("admin", "films.read"), allow("admin", "anything"), allow("admin", "x.y.z"),
		deny("guest", "films.read"), deny("basic", "films.delete"), deny("basic", "films.reader"), deny("basic", "films.rea"), deny("basic", "Films.read"), deny("basic", "films.read "),
		deny("basic", "films"), deny("basic", "films."), deny("basic", "films.*"), deny("basic", "*"), deny("basic", ""), deny("basic", "a"), deny("basic", "a.b"),
		deny("editor", "films"), deny("editor", "films."), deny("editor", "filmsx.read"), deny("editor", "film.read"), deny("editor", "FILMS.read"), deny("editor", ".films.read"),
		deny("editor", "xfilms.read"), deny("editor", "deep.x"), deny("editor", "deep.er"), deny("editor", "deep.er."), deny("editor", "*"), deny("editor", ""), deny("editor", "people.read"),
		deny("admin", ""), deny("ghost", "films.read"), deny("", "films.read"), deny("Editor", "films.read"), deny("editor ", "films.read"),
	} {
		if got := table.Permits(user(r.role), r.permission); got != r.want {
			t.Errorf("Permits(%q, %q) = %v, want %v", r.role, r.permission, got, r.want)
		}
	}
	if table.Permits(user(), "films.read") || !table.Permits(user("ghost", "guest", "basic"), "films.read") {
		t.Error("Permits: a list of roles counts for what its best known one has")
	}
	if newTable(t, policy.Config{}).Permits(user("admin"), "films.read") {
		t.Error("Permits without permissions = true, want false")
	}
}

func TestRoleFaults(t *testing.T) {
	for _, row := range []struct {
		name        string
		roles       policy.Roles
		permissions policy.Permissions
		says        []string // none: no fault
	}{
		{"levels with gaps", policy.Roles{"basic": 1, "admin": 9}, nil, nil},
		{"list", policy.RoleList("basic", "admin"), nil, nil},
		{"odd but fine names", policy.RoleList("a.b", "a-b", "a_b", "a:b", "1", "Admin", "admin"), nil, nil},
		{"none", nil, nil, nil},
		{"equal levels", policy.Roles{"a": 1, "b": 1, "c": 2}, nil, []string{`roles "a" and "b" have the same level 1`}},
		{"three equal levels", policy.Roles{"a": 1, "b": 1, "c": 1}, nil, []string{`roles "a" and "b"`, `roles "b" and "c"`}},
		{"empty name", policy.Roles{"": 1}, nil, []string{`role ""`}},
		{"empty name in a list", policy.RoleList("basic", ""), nil, []string{`role ""`}},
		{"comma", policy.RoleList("a,b"), nil, []string{`role "a,b"`}},
		{"space", policy.RoleList("a b", " a", "a "), nil, []string{`role "a b"`, `role " a"`, `role "a "`}},
		{"line end", policy.RoleList("a\r\nX: b"), nil, []string{`role "a\r\nX: b"`}},
		{"star", policy.RoleList("*"), nil, []string{`role "*"`}},
		{"letters of another script", policy.RoleList("rôle", "аdmin"), nil, []string{`role "rôle"`, `role "аdmin"`}},
		{"quotes and separators", policy.RoleList(`"`, "a;b", "a/b", "a=b", "a|b", "a\tb", "a\x00"), nil, []string{`role "\""`, `role "a;b"`, `role "a/b"`, `role "a=b"`, `role "a|b"`, `role "a\tb"`, `role "a\x00"`}},
		{"twice in a list", policy.RoleList("basic", "admin", "basic"), nil, []string{`role "basic" stands there twice`}},
		{"three times in a list", policy.RoleList("a", "a", "a"), nil, []string{`role "a" stands there twice`}},
		{"permissions of no role", policy.RoleList("basic"), policy.Permissions{"Basic": {"x"}}, []string{`permissions of "Basic": there is no such role`}},
		{"permissions without roles", nil, policy.Permissions{"basic": {"x"}}, []string{`there is no such role`}},
		{"permissions of odd form", policy.RoleList("a"), policy.Permissions{"a": {"", "films*", "*.read", "films.*.x", ".*", "**", "a b", "films.**", "a,b", "a\n"}},
			[]string{`"" is`, `"films*" is`, `"*.read" is`, `"films.*.x" is`, `".*" is`, `"**" is`, `"a b" is`, `"films.**" is`, `"a,b" is`, `"a\n" is`}},
		{"permissions of good form", policy.RoleList("a"), policy.Permissions{"a": {"*", "films.*", "films.read", "films:read", "x"}}, nil},
	} {
		_, err := policy.New(policy.Config{Roles: row.roles, Permissions: row.permissions})
		if (err != nil) != (row.says != nil) {
			t.Errorf("%s: New = error %v, want one: %v", row.name, err, row.says != nil)
			continue
		}
		for _, says := range row.says {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%s: New = error %v, want %q in it", row.name, err, says)
			}
		}
	}
}

func TestRoleList(t *testing.T) {
	if got, want := policy.RoleList("basic", "premium", "admin"), (policy.Roles{"basic": 1, "premium": 2, "admin": 3}); !maps.Equal(got, want) {
		t.Errorf("RoleList = %v, want %v", got, want)
	}
	if got := policy.RoleList(); len(got) != 0 {
		t.Errorf("RoleList() = %v, want none", got)
	}
}

func TestHighest(t *testing.T) {
	for _, row := range []struct {
		roles policy.Roles
		want  string
	}{
		{nil, ""}, {policy.Roles{"a": 0}, "a"}, {policy.Roles{"a": -5, "b": -7}, "a"}, {policy.Roles{"basic": 1, "admin": 9, "premium": 5}, "admin"},
	} {
		if got := row.roles.Highest(); got != row.want {
			t.Errorf("%v.Highest() = %q, want %q", row.roles, got, row.want)
		}
	}
}

func TestKnown(t *testing.T) {
	roles := policy.RoleList("basic", "admin")
	for _, row := range []struct{ held, want []string }{
		{nil, nil}, {[]string{"ghost"}, nil}, {[]string{"admin,root", "Admin", ""}, nil}, {[]string{"admin", "ghost", "basic"}, []string{"admin", "basic"}},
	} {
		if got := roles.Known(row.held); !slices.Equal(got, row.want) {
			t.Errorf("Known(%q) = %q, want %q", row.held, got, row.want)
		}
	}
	if got := policy.Roles(nil).Known([]string{"admin"}); got != nil {
		t.Errorf("Known without roles = %q, want none", got)
	}
}

func TestTableRoles(t *testing.T) {
	roles := policy.Roles{"basic": 1, "admin": 9}
	if got := newTable(t, policy.Config{Roles: roles}).Roles(); !maps.Equal(got, roles) {
		t.Errorf("Roles() = %v, want %v", got, roles)
	}
}

func ExampleRoles() {
	table, err := policy.New(policy.Config{
		Roles:       policy.Roles{"basic": 1, "premium": 5, "admin": 9},
		Permissions: policy.Permissions{"basic": {"films.read"}, "premium": {"films.*"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, role := range []string{"basic", "premium", "admin", "owner"} {
		p := gatehouse.Principal{Subject: "jack", Kind: gatehouse.KindUser, Roles: []string{role}}
		fmt.Println(role, table.HasRole(p, "premium"), table.Permits(p, "films.read"), table.Permits(p, "films.delete"))
	}
	// Output:
	// basic false true false
	// premium true true true
	// admin true true true
	// owner false false false
}
