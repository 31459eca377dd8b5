package policy_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/policy"
)

func newDictionary(t testing.TB, c policy.DictionaryConfig) *policy.Dictionary {
	t.Helper()
	d, err := policy.NewDictionary(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// cinema is the dictionary of most tests.
func cinema() policy.DictionaryConfig {
	return policy.DictionaryConfig{
		Users: map[string]policy.User{
			"devin":       {Permissions: []string{"public"}},
			"jack":        {Permissions: []string{"public", "protected"}, Email: "jack@example.org"},
			"editor":      {Permissions: []string{"films.*"}},
			"owner":       {Permissions: []string{"*"}},
			"member":      {Roles: []string{"basic"}},
			"chief":       {Roles: []string{"admin"}, Permissions: []string{"vault"}},
			"nobody":      {},
			"superuser":   {},
			"ann":         {Superuser: true},
			"ghost":       {Disabled: true, Superuser: true, Permissions: []string{"*"}, Roles: []string{"admin"}},
			"fired":       {Disabled: true, Permissions: []string{"public"}},
			"Jack Müller": {Permissions: []string{"public"}},
		},
		Anonymous:   []string{"welcome"},
		Roles:       policy.Roles{"basic": 1, "admin": 9},
		Permissions: policy.Permissions{"basic": {"listen"}, "admin": {"speak.*"}},
	}
}

// named is the principal that a guard would pass for the user called name; "" is the anonymous one.
func named(name string) gatehouse.Principal {
	if name == "" {
		return gatehouse.Anonymous()
	}
	return gatehouse.Principal{Subject: name, Kind: gatehouse.KindUser}
}

func TestDictionaryPermits(t *testing.T) {
	d := newDictionary(t, cinema())
	type row struct {
		who, permission string
		want            bool
	}
	allow := func(who, permission string) row { return row{who, permission, true} }
	deny := func(who, permission string) row { return row{who, permission, false} }
	for _, r := range []row{
		allow("devin", "public"), deny("devin", "protected"), deny("devin", "Public"), deny("devin", "public "), deny("devin", "publi"), deny("devin", "public.x"),
		allow("jack", "public"), allow("jack", "protected"), deny("jack", "vault"), deny("jack", "listen"), deny("jack", "films.read"),
		allow("editor", "films.read"), allow("editor", "films.a.b"), deny("editor", "films"), deny("editor", "films."), deny("editor", "filmsx.read"), deny("editor", "Films.read"),
		allow("owner", "films.read"), allow("owner", "anything"),
		allow("member", "listen"), deny("member", "speak.up"), deny("member", "vault"),
		allow("chief", "listen"), allow("chief", "speak.up"), allow("chief", "vault"), deny("chief", "speak"), deny("chief", "public"),
		deny("nobody", "public"), deny("nobody", "listen"),
		allow("ann", "public"), allow("ann", "vault"), allow("ann", "never.heard.of"),
		deny("superuser", "public"), deny("superuser", "vault"), // a name is no flag
		deny("ghost", "public"), deny("ghost", "speak.up"), deny("ghost", "welcome"), deny("fired", "public"), deny("fired", "welcome"),
		allow("Jack Müller", "public"), deny("Jack Mu\u0308ller", "public"), deny("jack müller", "public"),
		deny("mallory", "public"), deny("mallory", "welcome"), deny("Jack", "public"), deny("jack ", "public"), deny("jack\x00", "public"), deny("JACK", "protected"), deny("jаck", "public"),
		allow("", "welcome"), deny("", "public"), deny("", "listen"), deny("", "anything"),
		allow("devin", "welcome"), allow("nobody", "welcome"), allow("ann", "welcome"), // what anybody may do, users may
	} {
		got, err := d.Permits(t.Context(), named(r.who), r.permission, nil)
		if got != r.want || err != nil {
			t.Errorf("Permits(%q, %q) = %v, %v, want %v", r.who, r.permission, got, err, r.want)
		}
	}
}

// TestDictionaryOddPermissions: what is not a permission is had by nobody, and by superusers and holders of * least of all.
func TestDictionaryOddPermissions(t *testing.T) {
	d := newDictionary(t, cinema())
	for _, who := range []string{"ann", "owner", "editor", "chief", "devin", "ghost", "mallory", ""} {
		if got, err := d.Permits(t.Context(), named(who), "", nil); got || !errors.Is(err, policy.ErrNoPermission) {
			t.Errorf("Permits(%q, \"\") = %v, %v, want false, %v", who, got, err, policy.ErrNoPermission)
		}
		for _, odd := range []string{"*", "films.*", "films *", " ", "films.read ", " films.read", "films,read", "a\x00", "a\n", "\xff", "films/read", "**", strings.Repeat("é", 1<<16)} {
			if got, err := d.Permits(t.Context(), named(who), odd, nil); got || err != nil {
				t.Errorf("Permits(%q, %.20q) = %v, %v, want false", who, odd, got, err)
			}
		}
	}
}

// TestDictionaryJudgesItsOwnUsers: what a principal says about itself does not count.
func TestDictionaryJudgesItsOwnUsers(t *testing.T) {
	d := newDictionary(t, cinema())
	for name, p := range map[string]gatehouse.Principal{
		"roles that the user has not": {Subject: "devin", Kind: gatehouse.KindUser, Roles: []string{"admin", "superuser"}, Scopes: []string{"speak.up"}},
		"somebody unknown":            {Subject: "mallory", Kind: gatehouse.KindUser, Roles: []string{"admin"}},
		"a service of no such name":   {Subject: "backup", Kind: gatehouse.KindService, Roles: []string{"admin"}},
		"a disabled user":             {Subject: "ghost", Kind: gatehouse.KindUser, Roles: []string{"admin"}},
		"no kind":                     {Subject: "ann"},
		"anonymous with a name":       {Subject: "ann", Kind: gatehouse.KindAnonymous, Roles: []string{"admin"}},
		"no name":                     {Kind: gatehouse.KindUser, Roles: []string{"admin"}},
		"a claim":                     gatehouse.WithClaims(named("devin"), map[string]any{"superuser": true, "Superuser": true}),
		"a value":                     gatehouse.WithValue(named("devin"), policy.User{Superuser: true}),
	} {
		if got, err := d.Permits(t.Context(), p, "speak.up", nil); got || err != nil {
			t.Errorf("%s: Permits(speak.up) = %v, %v, want false", name, got, err)
		}
	}
}

func TestDictionaryResolve(t *testing.T) {
	d := newDictionary(t, cinema())
	since := time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
	id := gatehouse.WithClaims(gatehouse.WithValue(gatehouse.Identity{
		Value: "jack", Session: "s-1", TokenID: "t-1", Email: "old@example.org", Roles: []string{"admin"}, Scopes: []string{"films.read"},
		AuthTime: since, Methods: []string{"pwd", "otp"},
	}, 42), map[string]any{"tenant": "a"})
	p, err := d.Resolve(t.Context(), id)
	if err != nil {
		t.Fatalf("Resolve(jack) = %v, want no error", err)
	}
	if p.Subject != "jack" || p.Kind != gatehouse.KindUser || p.Email != "jack@example.org" || len(p.Roles) != 0 {
		t.Errorf("Resolve(jack) = %+v, want the user's address and roles, none of the identity's", p)
	}
	if p.Session != "s-1" || !p.AuthTime.Equal(since) || !slices.Equal(p.Methods, id.Methods) || !slices.Equal(p.Scopes, id.Scopes) {
		t.Errorf("Resolve(jack) = %+v, want session, time, methods and scopes of the identity", p)
	}
	value, _ := gatehouse.Value[int](gatehouse.NewContext(t.Context(), p))
	if tenant, _ := p.Claim("tenant"); tenant != "a" || value != 42 {
		t.Errorf("Resolve(jack) has the claim %v and the value %v, want a and 42", tenant, value)
	}
	if p, err = d.Resolve(t.Context(), gatehouse.Identity{Value: "member", Kind: gatehouse.KindService}); err != nil || p.Kind != gatehouse.KindService || !slices.Equal(p.Roles, []string{"basic"}) {
		t.Errorf("Resolve(member as a service) = %+v, %v, want a service with the role basic", p, err)
	}
}

func TestDictionaryResolveRefuses(t *testing.T) {
	d := newDictionary(t, cinema())
	for _, row := range []struct {
		name string
		id   gatehouse.Identity
		want error
	}{
		{"unknown", gatehouse.Identity{Value: "mallory"}, gatehouse.ErrCredential},
		{"empty", gatehouse.Identity{}, gatehouse.ErrCredential},
		{"empty with roles", gatehouse.Identity{Roles: []string{"admin"}, Session: "s-1"}, gatehouse.ErrCredential},
		{"another case", gatehouse.Identity{Value: "Jack"}, gatehouse.ErrCredential},
		{"a space more", gatehouse.Identity{Value: "jack "}, gatehouse.ErrCredential},
		{"NUL behind", gatehouse.Identity{Value: "jack\x00"}, gatehouse.ErrCredential},
		{"not UTF-8", gatehouse.Identity{Value: "jack\xff"}, gatehouse.ErrCredential},
		{"SQL", gatehouse.Identity{Value: "' OR 1=1 --"}, gatehouse.ErrCredential},
		{"very long", gatehouse.Identity{Value: strings.Repeat("jack", 1<<20)}, gatehouse.ErrCredential},
		{"an anonymous identity with a name", gatehouse.Identity{Value: "ann", Kind: gatehouse.KindAnonymous}, gatehouse.ErrCredential},
		{"disabled", gatehouse.Identity{Value: "fired"}, gatehouse.ErrDisabled},
		{"disabled superuser", gatehouse.Identity{Value: "ghost"}, gatehouse.ErrDisabled},
	} {
		p, err := d.Resolve(t.Context(), row.id)
		if !errors.Is(err, row.want) || !p.IsAnonymous() {
			t.Errorf("%s: Resolve = %+v, %v, want nobody and %v", row.name, p, err, row.want)
		}
		if row.want != gatehouse.ErrDisabled && errors.Is(err, gatehouse.ErrDisabled) {
			t.Errorf("%s: Resolve = %v, want no word of being disabled", row.name, err)
		}
		if errors.Is(err, gatehouse.ErrAnonymous) || row.id.Value != "" && strings.Contains(err.Error(), row.id.Value) {
			t.Errorf("%s: Resolve = %v, want a bad credential and no word of the stranger's", row.name, err)
		}
	}
}

func TestDictionaryZero(t *testing.T) {
	var d policy.Dictionary
	if p, err := d.Resolve(t.Context(), gatehouse.Identity{Value: "jack"}); !errors.Is(err, gatehouse.ErrCredential) || !p.IsAnonymous() {
		t.Errorf("Resolve = %+v, %v, want nobody and %v", p, err, gatehouse.ErrCredential)
	}
	for _, who := range []string{"", "jack"} {
		if ok, err := d.Permits(t.Context(), named(who), "public", "film"); ok || err != nil {
			t.Errorf("Permits(%q, public) = %v, %v, want false", who, ok, err)
		}
	}
	d.Remove("jack")
	if err := d.Set("jack", policy.User{Permissions: []string{"public"}, Roles: []string{"any"}}); err != nil {
		t.Errorf("Set = %v, want no error", err)
	}
	if ok, err := d.Permits(t.Context(), named("jack"), "public", nil); !ok || err != nil {
		t.Errorf("Permits(jack, public) after Set = %v, %v, want true", ok, err)
	}
	if d := newDictionary(t, policy.DictionaryConfig{}); d == nil {
		t.Error("NewDictionary of nothing = nil, want a dictionary that knows nobody")
	}
}

func TestDictionaryFaults(t *testing.T) {
	one := func(name string, u policy.User) policy.DictionaryConfig {
		return policy.DictionaryConfig{Users: map[string]policy.User{name: u}}
	}
	long := strings.Repeat("x", 257)
	for _, row := range []struct {
		name   string
		config policy.DictionaryConfig
		says   []string // none: no fault
	}{
		{"nothing", policy.DictionaryConfig{}, nil},
		{"all forms", cinema(), nil},
		{"a name of 256 bytes", one(long[1:], policy.User{}), nil},
		{"names that people have", policy.DictionaryConfig{Users: map[string]policy.User{"jack@example.org": {}, "O'Brien": {}, "山田太郎": {}, "a b": {}, "*": {}}}, nil},
		{"roles of any name", one("jack", policy.User{Roles: []string{"basic", "x:y"}}), nil},
		{"the empty name", one("", policy.User{}), []string{`user "": a name must not be empty`}},
		{"too long", one(long, policy.User{}), []string{"the name has 257 bytes, and 256 is the limit"}},
		{"space in front", one(" jack", policy.User{}), []string{`user " jack": a name has printable`}},
		{"space behind", one("jack ", policy.User{}), []string{`user "jack ": a name has printable`}},
		{"NUL", one("jack\x00", policy.User{}), []string{`user "jack\x00"`}},
		{"line end", one("jack\nann", policy.User{}), []string{`user "jack\nann"`}},
		{"not UTF-8", one("jack\xff", policy.User{}), []string{`user "jack\xff"`}},
		{"invisible", one("ja\u200bck", policy.User{}), []string{`user "ja\u200bck"`}},
		{"right to left", one("\u202ekcaj", policy.User{}), []string{`user "\u202ekcaj"`}},
		{"another space", one("jack\u00a0x", policy.User{}), []string{`user "jack\u00a0x"`}},
		{"odd permissions", one("jack", policy.User{Permissions: []string{"", "films*", "*.read", "a b", "**", ".*", "films.read"}}),
			[]string{`user "jack": "" is not`, `user "jack": "films*" is not`, `"*.read" is not`, `"a b" is not`, `"**" is not`, `".*" is not`}},
		{"odd permissions of anonymous callers", policy.DictionaryConfig{Anonymous: []string{"ok", "", "not ok"}}, []string{`anonymous callers: "" is not`, `anonymous callers: "not ok" is not`}},
		{"odd roles", one("jack", policy.User{Roles: []string{"", "a,b"}}), []string{`user "jack": role ""`, `user "jack": role "a,b"`}},
		{"unknown role", policy.DictionaryConfig{Roles: policy.RoleList("basic"), Users: map[string]policy.User{"jack": {Roles: []string{"basic", "Basic"}}}}, []string{`user "jack": there is no role "Basic"`}},
		{"any role is unknown where there are none", policy.DictionaryConfig{Roles: policy.Roles{}, Users: map[string]policy.User{"jack": {Roles: []string{"basic"}}}}, []string{`there is no role "basic"`}},
		{"equal levels", policy.DictionaryConfig{Roles: policy.Roles{"a": 1, "b": 1}}, []string{`roles "a" and "b" have the same level 1`}},
		{"permissions of no role", policy.DictionaryConfig{Permissions: policy.Permissions{"basic": {"x"}}}, []string{`permissions of "basic": there is no such role`}},
		{"no address", one("jack", policy.User{Email: "jack"}), []string{`user "jack": "jack" is not an e-mail address`}},
		{"two headers in an address", one("jack", policy.User{Email: "jack@example.org\r\nRemote-User: ann"}), []string{"is not an e-mail address"}},
		{"a space in an address", one("jack", policy.User{Email: "jack @example.org"}), []string{"is not an e-mail address"}},
		{"faults of several", policy.DictionaryConfig{Anonymous: []string{"?"}, Users: map[string]policy.User{"": {Roles: []string{"!"}}, "b ": {Permissions: []string{"#"}}}},
			[]string{`anonymous callers: "?"`, `user "": a name`, `user "": role "!"`, `user "b ": a name`, `user "b ": "#"`}},
	} {
		d, err := policy.NewDictionary(row.config)
		if (err != nil) != (row.says != nil) || (d == nil) != (err != nil) {
			t.Errorf("%s: NewDictionary = %v, error %v, want an error: %v", row.name, d != nil, err, row.says != nil)
			continue
		}
		for _, says := range row.says {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%s: NewDictionary = error %v, want %q in it", row.name, err, says)
			}
		}
	}
}

func TestDictionarySet(t *testing.T) {
	d := newDictionary(t, cinema())
	permits := func(who, permission string) bool {
		t.Helper()
		ok, err := d.Permits(t.Context(), named(who), permission, nil)
		if err != nil {
			t.Fatalf("Permits(%q, %q) = %v", who, permission, err)
		}
		return ok
	}
	set := func(name string, u policy.User) {
		t.Helper()
		if err := d.Set(name, u); err != nil {
			t.Fatalf("Set(%q) = %v", name, err)
		}
	}
	jack, err := d.Resolve(t.Context(), gatehouse.Identity{Value: "jack"})
	if err != nil {
		t.Fatal(err)
	}
	set("jack", policy.User{Permissions: []string{"public"}})
	if permits("jack", "protected") || !permits("jack", "public") {
		t.Error("jack keeps a permission that was taken away, or lost the other one")
	}
	set("jack", policy.User{Permissions: []string{"public"}, Disabled: true})
	if ok, err := d.Permits(t.Context(), jack, "public", nil); ok || err != nil {
		t.Errorf("Permits of a principal that was disabled since = %v, %v, want false", ok, err)
	}
	if _, err := d.Resolve(t.Context(), gatehouse.Identity{Value: "jack"}); !errors.Is(err, gatehouse.ErrDisabled) {
		t.Errorf("Resolve of somebody disabled = %v, want %v", err, gatehouse.ErrDisabled)
	}
	d.Remove("jack")
	d.Remove("jack")
	d.Remove("")
	if permits("jack", "public") || permits("jack", "welcome") {
		t.Error("a removed user has a permission, want none")
	}
	if _, err := d.Resolve(t.Context(), gatehouse.Identity{Value: "jack"}); !errors.Is(err, gatehouse.ErrCredential) || errors.Is(err, gatehouse.ErrDisabled) {
		t.Errorf("Resolve of somebody removed = %v, want %v and not %v", err, gatehouse.ErrCredential, gatehouse.ErrDisabled)
	}
	set("jack", policy.User{Superuser: true})
	if !permits("jack", "vault") || permits("devin", "vault") {
		t.Error("a new superuser has not every permission, or shares them")
	}
	set("jack", policy.User{})
	if permits("jack", "vault") {
		t.Error("a former superuser keeps a permission")
	}
}

// TestDictionarySetRefuses: a refused change changes nothing.
func TestDictionarySetRefuses(t *testing.T) {
	d := newDictionary(t, cinema())
	for _, row := range []struct {
		name string
		user policy.User
	}{
		{"jack", policy.User{Permissions: []string{"*", "not ok"}}}, {"jack", policy.User{Superuser: true, Roles: []string{"unknown"}}},
		{"jack", policy.User{Superuser: true, Email: "x"}}, {"", policy.User{Superuser: true}}, {"new ", policy.User{}}, {"new\x00", policy.User{}},
	} {
		if err := d.Set(row.name, row.user); err == nil {
			t.Errorf("Set(%q, %+v) = nil, want an error", row.name, row.user)
		}
		if row.name != "jack" {
			if _, ok := d.User(row.name); ok {
				t.Errorf("User(%q) is there after a Set that was refused", row.name)
			}
			continue
		}
		if err := d.Update("jack", func(u *policy.User) { *u = row.user }); err == nil {
			t.Errorf("Update(jack) to %+v = nil, want an error", row.user)
		}
	}
	if u, ok := d.User("jack"); !ok || u.Superuser || !slices.Equal(u.Permissions, []string{"public", "protected"}) {
		t.Errorf("User(jack) = %+v, %v, want the one from before", u, ok)
	}
	err := d.Update("mallory", func(*policy.User) { t.Error("Update asks about a user that there is not") })
	if err == nil || !strings.Contains(err.Error(), `no user "mallory"`) {
		t.Errorf("Update(mallory) = %v, want that there is no such user", err)
	}
	if err := d.Set("jack", policy.User{Permissions: []string{"?"}, Roles: []string{"x"}, Email: "y"}); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("Set with three faults = %v, want all three", err)
	}
}

// TestDictionaryCopies: nobody changes the dictionary but by its methods.
func TestDictionaryCopies(t *testing.T) {
	c := cinema()
	d := newDictionary(t, c)
	c.Users["mallory"] = policy.User{Superuser: true}
	c.Users["devin"].Permissions[0] = "*"
	c.Users["member"].Roles[0] = "admin"
	c.Anonymous[0], c.Roles["basic"], c.Permissions["basic"][0] = "*", 99, "*"
	own := policy.User{Permissions: []string{"public"}, Roles: []string{"basic"}}
	if err := d.Set("new", own); err != nil {
		t.Fatal(err)
	}
	own.Permissions[0], own.Roles[0] = "*", "admin"
	got, _ := d.User("new")
	got.Permissions[0], got.Roles[0] = "*", "admin"
	if err := d.Update("new", func(u *policy.User) { own = *u }); err != nil {
		t.Fatal(err)
	}
	own.Permissions[0], own.Roles[0] = "*", "admin"
	p, err := d.Resolve(t.Context(), gatehouse.Identity{Value: "new"})
	if err != nil {
		t.Fatal(err)
	}
	p.Roles[0] = "admin"
	for _, who := range []string{"", "mallory", "devin", "member", "new"} {
		for _, permission := range []string{"vault", "speak.up"} {
			if ok, err := d.Permits(t.Context(), named(who), permission, nil); ok || err != nil {
				t.Errorf("Permits(%q, %q) = %v, %v, want false: somebody changed the dictionary from outside", who, permission, ok, err)
			}
		}
	}
	if p, err = d.Resolve(t.Context(), gatehouse.Identity{Value: "new"}); err != nil || !slices.Equal(p.Roles, []string{"basic"}) {
		t.Errorf("Resolve(new) = %q, %v, want the role basic", p.Roles, err)
	}
}

func TestDictionaryUser(t *testing.T) {
	d := newDictionary(t, cinema())
	for _, name := range []string{"mallory", "", "Jack", "jack "} {
		if u, ok := d.User(name); ok {
			t.Errorf("User(%q) = %+v, want none", name, u)
		}
	}
	u, ok := d.User("ghost")
	if !ok || !u.Disabled || !u.Superuser || !slices.Equal(u.Roles, []string{"admin"}) || !slices.Equal(u.Permissions, []string{"*"}) {
		t.Errorf("User(ghost) = %+v, %v, want the user as given", u, ok)
	}
}

// A film is the resource of the tests.
type film struct{ owner string }

var errUnreachable = errors.New("the archive cannot be reached")

// ownersOnly lets owners, and everybody with the role admin, at a film.
func ownersOnly(_ context.Context, p gatehouse.Principal, permission string, resource any) (bool, error) {
	f, ok := resource.(*film)
	if !ok || f == nil {
		return false, fmt.Errorf("%w: no film", errUnreachable)
	}
	return f.owner == p.Subject || slices.Contains(p.Roles, "admin"), nil
}

func TestDictionaryCheck(t *testing.T) {
	c := cinema()
	c.Check = ownersOnly
	c.Anonymous = append(c.Anonymous, "films.see")
	d := newDictionary(t, c)
	for _, row := range []struct {
		who, permission string
		resource        any
		want            bool
		err             error
	}{
		{"jack", "public", &film{"jack"}, true, nil},
		{"jack", "public", &film{"devin"}, false, nil},
		{"jack", "public", &film{}, false, nil},
		{"jack", "vault", &film{"jack"}, false, nil}, // his film, but not his permission
		{"devin", "protected", &film{"devin"}, false, nil},
		{"jack", "public", nil, true, nil}, // not about a resource
		{"chief", "vault", &film{"jack"}, true, nil},
		{"chief", "public", &film{"chief"}, false, nil},
		{"ann", "vault", &film{"jack"}, true, nil}, // superusers are not asked for
		{"ann", "vault", 42, true, nil},
		{"ghost", "vault", &film{"ghost"}, false, nil},
		{"mallory", "public", &film{"mallory"}, false, nil},
		{"", "films.see", &film{"jack"}, false, nil},
		{"", "films.see", &film{""}, true, nil}, // the check is asked about anonymous callers, too: films of nobody are theirs here
		{"", "public", &film{""}, false, nil},
		{"jack", "public", 42, false, errUnreachable},
		{"jack", "public", (*film)(nil), false, errUnreachable},
		{"jack", "vault", 42, false, nil}, // a certain no needs no check
		{"jack", "", &film{"jack"}, false, policy.ErrNoPermission},
		{"ann", "", &film{"ann"}, false, policy.ErrNoPermission},
	} {
		got, err := d.Permits(t.Context(), named(row.who), row.permission, row.resource)
		if got != row.want || !errors.Is(err, row.err) {
			t.Errorf("Permits(%q, %q, %v) = %v, %v, want %v, %v", row.who, row.permission, row.resource, got, err, row.want, row.err)
		}
	}
}

// TestDictionaryCheckSeesTheUserOfNow: the check judges by the roles of the dictionary, not by those of an old or made-up principal.
func TestDictionaryCheckSeesTheUserOfNow(t *testing.T) {
	c := cinema()
	c.Check = ownersOnly
	d := newDictionary(t, c)
	p := named("jack")
	p.Roles = []string{"admin"}
	if ok, err := d.Permits(t.Context(), p, "public", &film{"devin"}); ok || err != nil {
		t.Errorf("Permits(jack with the role admin, devin's film) = %v, %v, want false", ok, err)
	}
	if err := d.Update("jack", func(u *policy.User) { u.Roles = []string{"admin"} }); err != nil {
		t.Fatal(err)
	}
	if ok, err := d.Permits(t.Context(), named("jack"), "public", &film{"devin"}); !ok || err != nil {
		t.Errorf("Permits(jack, devin's film) once jack has the role = %v, %v, want true", ok, err)
	}
}

func TestDictionaryPermitsEach(t *testing.T) {
	c := cinema()
	c.Check = ownersOnly
	d := newDictionary(t, c)
	for _, row := range []struct {
		who         string
		permissions []string
		resource    any
		want        []bool
		err         error
	}{
		{"jack", []string{"vault", "public", "listen", "protected", "public"}, nil, []bool{false, true, false, true, true}, nil},
		{"jack", []string{"public", "vault"}, &film{"devin"}, []bool{false, false}, nil},
		{"jack", []string{"public", "vault"}, &film{"jack"}, []bool{true, false}, nil},
		{"ann", []string{"public", "a b"}, nil, []bool{true, false}, nil},
		{"ghost", []string{"public", "welcome"}, nil, []bool{false, false}, nil},
		{"", []string{"welcome", "public"}, nil, []bool{true, false}, nil},
		{"jack", nil, nil, []bool{}, nil},
		{"jack", []string{"public", ""}, nil, nil, policy.ErrNoPermission},
		{"ann", []string{"", "public"}, nil, nil, policy.ErrNoPermission},
		{"jack", []string{"vault", "public"}, 42, nil, errUnreachable},
	} {
		got, err := d.PermitsEach(t.Context(), named(row.who), row.permissions, row.resource)
		if !slices.Equal(got, row.want) || (got == nil) != (row.want == nil) || !errors.Is(err, row.err) {
			t.Errorf("PermitsEach(%q, %q, %v) = %v, %v, want %v, %v", row.who, row.permissions, row.resource, got, err, row.want, row.err)
		}
	}
}

// TestDictionaryAgainstModel compares random dictionaries with the sentences of the documentation, told once more in the plainest way.
func TestDictionaryAgainstModel(t *testing.T) {
	names := []string{"jack", "Jack", "ann", "devin", "superuser"}
	grants := []string{"a", "b", "a.x", "a.*", "*"}
	asked := []string{"a", "b", "a.x", "a.y", "a.", "a.*", "*", "c"}
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.SliceOfN(rapid.SampledFrom(grants), 0, 2)
		c := policy.DictionaryConfig{
			Roles: policy.RoleList("low", "high"), Users: map[string]policy.User{}, Anonymous: some.Draw(t, "anonymous"),
			Permissions: policy.Permissions{"low": some.Draw(t, "low"), "high": some.Draw(t, "high")},
		}
		for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID[string]).Draw(t, "names") {
			c.Users[name] = policy.User{
				Permissions: some.Draw(t, "permissions"), Roles: rapid.SliceOfN(rapid.SampledFrom([]string{"low", "high"}), 0, 2).Draw(t, "roles"),
				Superuser: rapid.IntRange(0, 3).Draw(t, "superuser") == 0, Disabled: rapid.IntRange(0, 3).Draw(t, "disabled") == 0,
			}
		}
		d, err := policy.NewDictionary(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, who := range append(names, "", "mallory") {
			for _, permission := range asked {
				got, err := d.Permits(context.Background(), named(who), permission, nil)
				if want := modelPermits(c, who, permission); got != want || err != nil {
					t.Fatalf("Permits(%q, %q) = %v, %v, want %v", who, permission, got, err, want)
				}
			}
		}
	})
}

// modelPermits is what the documentation says, without any of the code's means.
func modelPermits(c policy.DictionaryConfig, who, permission string) bool {
	if strings.HasSuffix(permission, "*") {
		return false // a pattern is no permission
	}
	u, known := c.Users[who]
	if who != "" && (!known || u.Disabled) {
		return false
	}
	if u.Superuser {
		return true
	}
	granted := slices.Concat(c.Anonymous, u.Permissions)
	for _, role := range u.Roles {
		granted = append(granted, c.Permissions["low"]...)
		if role == "high" {
			granted = append(granted, c.Permissions["high"]...)
		}
	}
	return slices.ContainsFunc(granted, func(grant string) bool {
		return grant == permission || grant == "*" || grant == "a.*" && strings.HasPrefix(permission, "a.") && permission != "a."
	})
}
