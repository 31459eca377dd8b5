package sqlpolicy_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/store/sqlpolicy"
)

var _ guard.BatchPolicy = (*sqlpolicy.Policy)(nil)

// A person is a row of users with its permissions.
type person struct {
	name                string
	superuser, disabled bool
	permissions         []string
}

// longest is the longest name that the table holds: 256 characters of four bytes.
var longest = strings.Repeat("😀", 256)

// people are in the tables of most tests. Some have names and permissions that a careless query would not survive.
var people = []person{
	{name: "admin", superuser: true},
	{name: "moderator", permissions: []string{"protected", "public"}},
	{name: "user", permissions: []string{"public"}},
	{name: "User", permissions: []string{"upper"}},
	{name: "nobody"},
	{name: "ghost", superuser: true, disabled: true, permissions: []string{"public", "protected"}},
	{name: "fired", disabled: true, permissions: []string{"public"}},
	{name: "O'Brien", permissions: []string{"can't"}},
	{name: "'; DROP TABLE users; --", permissions: []string{"' OR '1'='1"}},
	{name: "山田", permissions: []string{"映画"}},
	{name: "%", permissions: []string{"%", "_"}},
	{name: longest, permissions: []string{strings.Repeat("p", 64)}},
	{name: "odd", permissions: []string{"*", "films.*", " public", "Public", "NULL", "true"}},
}

// fill creates the tables with people in them.
func fill(t testing.TB, db *testDB) *sqlpolicy.Policy {
	t.Helper()
	if err := sqlpolicy.CreateTables(t.Context(), db.DB); err != nil {
		t.Fatal(err)
	}
	for i, p := range people {
		db.must(t, `INSERT INTO users (id, username, password, is_superuser, disabled) VALUES ($1, $2, $3, $4, $5)`, i+1, p.name, hashOf(p.name), p.superuser, p.disabled)
		for _, permission := range p.permissions {
			db.must(t, `INSERT INTO permissions (user_id, name) VALUES ($1, $2)`, i+1, permission)
		}
	}
	return sqlpolicy.New(db.DB)
}

// hashOf is what stands in the column of the hash.
func hashOf(name string) string {
	if name == longest {
		name = "the longest" // the column has no more room than that of the name
	}
	return "hash of " + name
}

// named is a principal that the policy has not resolved; "" is the anonymous one.
func named(name string) gatehouse.Principal {
	if name == "" {
		return gatehouse.Anonymous()
	}
	return gatehouse.Principal{Subject: name, Kind: gatehouse.KindUser}
}

// hostile are names that no user has. Some are near those of users, some are no text.
var hostile = []string{
	"mallory", "Admin", "ADMIN", "admin ", " admin", "admin\t", "admin\n", "admin\x00", "\x00", "admin\x00x", "admin\xff", "\xff\xfe", "\xed\xa0\x80", "\xc0\x80",
	"' OR '1'='1", "admin' --", "admin'; UPDATE users SET is_superuser = TRUE; --", "' UNION SELECT username, is_superuser, disabled, 'public' FROM users --", `admin" --`, `\'`, `admin\`, "$1", "?", ":name", "@name",
	"adm%", "_dmin", "*", "1", "0", "-1", "NULL", "true", "\ufeffadmin", "ad\u200bmin", "аdmin", "ａdmin", "用户", "😀", strings.Repeat("a", 1025), strings.Repeat("é", 1<<20),
}

func TestPermits(t *testing.T) {
	type row struct {
		who, permission string
		want            bool
	}
	allow := func(who, permission string) row { return row{who, permission, true} }
	deny := func(who, permission string) row { return row{who, permission, false} }
	rows := []row{
		allow("moderator", "protected"), allow("moderator", "public"), deny("moderator", "vault"), deny("moderator", "upper"),
		allow("user", "public"), deny("user", "protected"), deny("user", "Public"), deny("user", "PUBLIC"), deny("user", "public "), deny("user", "publi"), deny("user", "publicx"),
		deny("user", "public\x00"), deny("user", "\x00"), deny("user", "\xff"), deny("user", "%"), deny("user", "p_blic"), deny("user", "' OR '1'='1"), deny("user", "upper"),
		allow("User", "upper"), deny("User", "public"),
		deny("nobody", "public"), deny("nobody", "protected"), deny("nobody", "NULL"),
		allow("admin", "public"), allow("admin", "never heard of"), allow("admin", "\x00"),
		deny("ghost", "public"), deny("ghost", "protected"), deny("ghost", "vault"), deny("ghost", "welcome"), deny("fired", "public"), deny("fired", "welcome"),
		allow("O'Brien", "can't"), deny("O'Brien", "can"), allow("'; DROP TABLE users; --", "' OR '1'='1"), deny("'; DROP TABLE users; --", "public"),
		allow("山田", "映画"), deny("山田", "映"), allow("%", "%"), deny("%", "public"), deny("%", "a"),
		allow(longest, strings.Repeat("p", 64)), deny(longest, strings.Repeat("p", 63)), deny(longest[:1020], strings.Repeat("p", 64)),
		allow("odd", "*"), allow("odd", "films.*"), deny("odd", "films.read"), deny("odd", "public"), deny("odd", "anything"), allow("odd", " public"),
		allow("", "welcome"), deny("", "public"), deny("", "vault"), deny("", "Welcome"),
		allow("user", "welcome"), allow("nobody", "welcome"), allow("admin", "welcome"), // what anybody may do, users may
	}
	for _, name := range hostile {
		rows = append(rows, deny(name, "public"), deny(name, "protected"), deny(name, "welcome"))
	}
	onEach(t, func(t *testing.T, db *testDB) {
		fill(t, db)
		p := sqlpolicy.New(db.DB, sqlpolicy.Anonymous("welcome", ""))
		for _, r := range rows {
			if got, err := p.Permits(t.Context(), named(r.who), r.permission, nil); got != r.want || err != nil {
				t.Errorf("Permits(%.40q, %q) = %v, %v, want %v", r.who, r.permission, got, err, r.want)
			}
			resolved, err := p.Resolve(t.Context(), gatehouse.Identity{Value: r.who})
			if err != nil {
				if r.want && r.who != "" {
					t.Errorf("Resolve(%q) = %v, want no error", r.who, err)
				}
				continue
			}
			if got, err := p.Permits(t.Context(), resolved, r.permission, nil); got != r.want || err != nil {
				t.Errorf("Permits(%q as resolved, %q) = %v, %v, want %v", r.who, r.permission, got, err, r.want)
			}
		}
		for _, who := range []string{"", "admin", "user", "ghost", "mallory"} {
			if got, err := p.Permits(t.Context(), named(who), "", nil); got || !errors.Is(err, policy.ErrNoPermission) {
				t.Errorf("Permits(%q, \"\") = %v, %v, want false, %v", who, got, err, policy.ErrNoPermission)
			}
		}
	})
}

func TestResolve(t *testing.T) {
	onEach(t, func(t *testing.T, db *testDB) {
		p := fill(t, db)
		since := time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
		id := gatehouse.WithClaims(gatehouse.Identity{
			Value: "user", Kind: gatehouse.KindService, Session: "s-1", Email: "user@example.org", Roles: []string{"basic"}, Scopes: []string{"films.read"},
			AuthTime: since, Methods: []string{"pwd"},
		}, map[string]any{"tenant": "a"})
		got, err := p.Resolve(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if got.Subject != "user" || got.Kind != gatehouse.KindService || got.Session != "s-1" || got.Email != "user@example.org" || !got.AuthTime.Equal(since) ||
			!slices.Equal(got.Roles, id.Roles) || !slices.Equal(got.Scopes, id.Scopes) || !slices.Equal(got.Methods, id.Methods) {
			t.Errorf("Resolve = %+v, want all that the identity says", got)
		}
		if tenant, _ := got.Claim("tenant"); tenant != "a" {
			t.Errorf("Resolve has the claim tenant %v, want a", tenant)
		}
		got, err = p.Resolve(t.Context(), gatehouse.WithValue(id, 42))
		if value, ok := gatehouse.Value[int](gatehouse.NewContext(t.Context(), got)); value != 42 || !ok || err != nil {
			t.Errorf("Resolve of an identity with a value has the value %v, %v, %v, want the program's 42", value, ok, err)
		}
	})
}

func TestResolveRefuses(t *testing.T) {
	onEach(t, func(t *testing.T, db *testDB) {
		p := fill(t, db)
		for _, name := range append([]string{""}, hostile...) {
			got, err := p.Resolve(t.Context(), gatehouse.Identity{Value: name, Roles: []string{"admin"}})
			if !errors.Is(err, gatehouse.ErrCredential) || errors.Is(err, gatehouse.ErrDisabled) || !got.IsAnonymous() {
				t.Errorf("Resolve(%.40q) = %+v, %v, want nobody and %v", name, got, err, gatehouse.ErrCredential)
			}
			if err == nil || name != "" && strings.Contains(strings.TrimPrefix(err.Error(), gatehouse.ErrCredential.Error()), name) {
				t.Errorf("Resolve(%.40q) = %.99v, want no word of the stranger's", name, err)
			}
		}
		for _, name := range []string{"ghost", "fired"} {
			if got, err := p.Resolve(t.Context(), gatehouse.Identity{Value: name}); !errors.Is(err, gatehouse.ErrDisabled) || !got.IsAnonymous() {
				t.Errorf("Resolve(%q) = %+v, %v, want nobody and %v", name, got, err, gatehouse.ErrDisabled)
			}
		}
		if got, err := p.Resolve(t.Context(), gatehouse.Identity{Value: "admin", Kind: gatehouse.KindAnonymous}); !errors.Is(err, gatehouse.ErrCredential) || !got.IsAnonymous() {
			t.Errorf("Resolve of an anonymous identity called admin = %+v, %v, want nobody and %v", got, err, gatehouse.ErrCredential)
		}
		count := 0
		if err := db.QueryRow(`SELECT count(*) FROM users WHERE is_superuser`).Scan(&count); err != nil || count != 2 {
			t.Errorf("after all that there are %d superusers, %v, want 2: a name was run as SQL", count, err)
		}
	})
}

// TestEmptyName: a row without a name is nobody's, least of all that of callers without one.
func TestEmptyName(t *testing.T) {
	onEach(t, func(t *testing.T, db *testDB) {
		p := fill(t, db)
		db.must(t, `INSERT INTO users (id, username, password, is_superuser) VALUES (99, '', 'hash', TRUE)`)
		db.must(t, `INSERT INTO permissions (user_id, name) VALUES (3, ''), (99, 'public')`)
		if got, err := p.Resolve(t.Context(), gatehouse.Identity{}); !errors.Is(err, gatehouse.ErrCredential) || !got.IsAnonymous() {
			t.Errorf("Resolve of nobody = %+v, %v, want nobody and %v", got, err, gatehouse.ErrCredential)
		}
		for _, principal := range []gatehouse.Principal{{}, {Kind: gatehouse.KindUser}, gatehouse.Anonymous()} {
			if ok, err := p.Permits(t.Context(), principal, "public", nil); ok || err != nil {
				t.Errorf("Permits(%+v, public) = %v, %v, want false", principal, ok, err)
			}
		}
		if ok, err := p.Permits(t.Context(), named("user"), "", nil); ok || !errors.Is(err, policy.ErrNoPermission) {
			t.Errorf("Permits(user, \"\"), of which there is a row = %v, %v, want false, %v", ok, err, policy.ErrNoPermission)
		}
		if hash, err := p.PasswordHash(t.Context(), ""); hash != "" || err != nil {
			t.Errorf("PasswordHash(\"\") = %q, %v, want none", hash, err)
		}
	})
}

func TestPermitsEach(t *testing.T) {
	onEach(t, func(t *testing.T, db *testDB) {
		p := fill(t, db)
		for _, row := range []struct {
			who         string
			permissions []string
			want        []bool
			queries     int64
			err         error
		}{
			{"moderator", []string{"vault", "public", "x", "protected", "public"}, []bool{false, true, false, true, true}, 1, nil},
			{"user", []string{"protected", "public"}, []bool{false, true}, 1, nil},
			{"admin", []string{"a", "b"}, []bool{true, true}, 1, nil},
			{"ghost", []string{"public", "protected"}, []bool{false, false}, 1, nil},
			{"mallory", []string{"public"}, []bool{false}, 1, nil},
			{"user\x00", []string{"public"}, []bool{false}, 0, nil},
			{"", []string{"public"}, []bool{false}, 0, nil},
			{"user", nil, []bool{}, 0, nil},
			{"user", []string{"public", ""}, nil, 0, policy.ErrNoPermission},
			{"admin", []string{"", "public"}, nil, 0, policy.ErrNoPermission},
		} {
			var got []bool
			var err error
			queries := db.asked(func() { got, err = p.PermitsEach(t.Context(), named(row.who), row.permissions, nil) })
			if !slices.Equal(got, row.want) || (got == nil) != (row.want == nil) || !errors.Is(err, row.err) || queries != row.queries {
				t.Errorf("PermitsEach(%q, %q) = %v, %v with %d queries, want %v, %v with %d", row.who, row.permissions, got, err, queries, row.want, row.err, row.queries)
			}
		}
	})
}

var errUnreachable = errors.New("the archive cannot be reached")

// ownersOnly lets the owner, whose name is the resource, at it.
func ownersOnly(_ context.Context, p gatehouse.Principal, _ string, resource any) (bool, error) {
	owner, ok := resource.(string)
	if !ok {
		return false, fmt.Errorf("%w: %v", errUnreachable, resource)
	}
	return owner == p.Subject, nil
}

func TestCheck(t *testing.T) {
	onEach(t, func(t *testing.T, db *testDB) {
		fill(t, db)
		p := sqlpolicy.New(db.DB, sqlpolicy.Check(ownersOnly), sqlpolicy.Anonymous("welcome"))
		for _, row := range []struct {
			who, permission string
			resource        any
			want            bool
			err             error
		}{
			{"user", "public", "user", true, nil},
			{"user", "public", "moderator", false, nil},
			{"user", "public", "", false, nil},
			{"user", "public", nil, true, nil},        // not about a resource
			{"user", "protected", "user", false, nil}, // his own, but not his permission
			{"admin", "vault", "user", true, nil},     // superusers are not asked about
			{"ghost", "public", "ghost", false, nil},
			{"mallory", "public", "mallory", false, nil},
			{"", "welcome", "user", false, nil},
			{"", "public", "", false, nil},
			{"user", "public", 42, false, errUnreachable},
			{"user", "protected", 42, false, nil}, // a certain no needs no check
			{"user", "", "user", false, policy.ErrNoPermission},
		} {
			got, err := p.Permits(t.Context(), named(row.who), row.permission, row.resource)
			if got != row.want || !errors.Is(err, row.err) {
				t.Errorf("Permits(%q, %q, %v) = %v, %v, want %v, %v", row.who, row.permission, row.resource, got, err, row.want, row.err)
			}
		}
		if got, err := p.PermitsEach(t.Context(), named("moderator"), []string{"vault", "public"}, 42); got != nil || !errors.Is(err, errUnreachable) {
			t.Errorf("PermitsEach with a check that fails = %v, %v, want no answer and %v", got, err, errUnreachable)
		}
	})
}

// FuzzResolve: whatever the name is, it is exactly that user who is resolved, or nobody, and never a failure of the database.
func FuzzResolve(f *testing.F) {
	for _, name := range hostile {
		f.Add(name)
	}
	byName := map[string]person{}
	for _, p := range people {
		byName[p.name] = p
		f.Add(p.name)
	}
	db := openSQLite(f, ":memory:")
	p := fill(f, db)
	f.Fuzz(func(t *testing.T, name string) {
		who, known := byName[name]
		got, err := p.Resolve(t.Context(), gatehouse.Identity{Value: name})
		if known && !who.disabled {
			if err != nil || got.Subject != name {
				t.Errorf("Resolve(%q) = %q, %v, want the user", name, got.Subject, err)
			}
		} else if !errors.Is(err, gatehouse.ErrCredential) || !got.IsAnonymous() {
			t.Errorf("Resolve(%q) = %q, %v, want nobody and %v", name, got.Subject, err, gatehouse.ErrCredential)
		}
		hash, err := p.PasswordHash(t.Context(), name)
		if (hash != "") != (known && !who.disabled) || err != nil {
			t.Errorf("PasswordHash(%q) = %q, %v, want one: %v", name, hash, err, known && !who.disabled)
		}
	})
}
