package sqlpolicy_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/store/sqlpolicy"
)

// behindGuard is a site whose paths need the permission of the same name. Its tokens are names.
func behindGuard(t testing.TB, p guard.Policy) http.Handler {
	t.Helper()
	var list []policy.Rule
	for _, name := range []string{"public", "protected", "welcome"} {
		list = append(list, policy.Rule{Path: "/" + name, Allow: policy.Permission(name)})
	}
	list = append(list, policy.Rule{Path: "/many", Allow: policy.All(policy.Permission("public"), policy.Any(policy.Permission("x"), policy.Permission("protected")))})
	table, err := policy.New(policy.Config{Rules: list})
	if err != nil {
		t.Fatal(err)
	}
	g, err := guard.New(guard.Config{
		Carriers: []carrier.Carrier{carrier.Header("Token", carrier.Verified)}, Policy: p, Rules: table, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, gatehouse.FromContext(r.Context()).Subject)
	}))
}

// status is the answer to GET path by the user called who.
func status(site http.Handler, who, path string) int {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if who != "" {
		r.Header.Set("Authorization", "Token "+who)
	}
	w := httptest.NewRecorder()
	site.ServeHTTP(w, r)
	return w.Code
}

// TestBehindGuard asks whole requests: each costs one query, whoever asks and however many permissions the rule names, and what changes in the tables counts for
// the next one with the same credential.
func TestBehindGuard(t *testing.T) {
	onEach(t, func(t *testing.T, db *testDB) {
		fill(t, db)
		site := behindGuard(t, sqlpolicy.New(db.DB, sqlpolicy.Anonymous("welcome"), sqlpolicy.Now(func() time.Time { return time.Time{} })))
		want := func(when, who, path string, code int, queries int64) {
			t.Helper()
			got := 0
			if asked := db.asked(func() { got = status(site, who, path) }); got != code || asked != queries {
				t.Errorf("%s: GET %s by %q = %d with %d queries, want %d with %d", when, path, who, got, asked, code, queries)
			}
		}
		for _, row := range []struct {
			who, path string
			code      int
			queries   int64
		}{
			{"moderator", "/protected", 200, 1}, {"moderator", "/public", 200, 1}, {"moderator", "/many", 200, 1}, {"user", "/protected", 403, 1}, {"user", "/public", 200, 1},
			{"user", "/many", 403, 1}, {"admin", "/protected", 200, 1}, {"admin", "/many", 200, 1}, {"nobody", "/public", 403, 1}, {"user", "/welcome", 200, 1},
			{"ghost", "/public", 401, 1}, {"fired", "/welcome", 401, 1}, {"mallory", "/public", 401, 1}, {"Admin", "/public", 401, 1}, {"'--", "/public", 401, 1},
			{"", "/public", 401, 0}, {"", "/welcome", 200, 0},
		} {
			want("at first", row.who, row.path, row.code, row.queries)
		}
		for _, step := range []struct {
			name, sql, who, path string
			code                 int
		}{
			{"permission deleted", `DELETE FROM permissions WHERE user_id = 2 AND name = 'protected'`, "moderator", "/protected", 403},
			{"the other one is left", `DELETE FROM permissions WHERE user_id = 3`, "moderator", "/public", 200},
			{"disabled", `UPDATE users SET disabled = TRUE WHERE id = 2`, "moderator", "/public", 401},
			{"enabled again", `UPDATE users SET disabled = FALSE WHERE id = 2`, "moderator", "/public", 200},
			{"made a superuser", `UPDATE users SET is_superuser = TRUE WHERE id = 2`, "moderator", "/protected", 200},
			{"superuser no more", `UPDATE users SET is_superuser = FALSE WHERE id = 2`, "moderator", "/protected", 403},
			{"superuser disabled", `UPDATE users SET disabled = TRUE WHERE id = 1`, "admin", "/protected", 401},
			{"permission given", `INSERT INTO permissions (user_id, name) VALUES (2, 'protected')`, "moderator", "/many", 200},
			{"renamed", `UPDATE users SET username = 'chief' WHERE id = 2`, "moderator", "/public", 401},
			{"under the new name", `UPDATE users SET username = 'chief' WHERE id = 2`, "chief", "/public", 200},
			{"removed", `DELETE FROM users WHERE id = 2`, "chief", "/public", 401},
		} {
			db.must(t, step.sql)
			want(step.name, step.who, step.path, step.code, 1)
		}
	})
}

// TestOneLookUp: what Resolve has read serves the questions that follow, and nobody else's.
func TestOneLookUp(t *testing.T) {
	db := openSQLite(t, ":memory:")
	fill(t, db)
	now := time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
	clock := sqlpolicy.Now(func() time.Time { return now })
	p, other := sqlpolicy.New(db.DB, clock), sqlpolicy.New(db.DB, clock)
	resolve := func(id gatehouse.Identity) gatehouse.Principal {
		t.Helper()
		principal, err := p.Resolve(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return principal
	}
	moderator := resolve(gatehouse.Identity{Value: "moderator"})
	forged := resolve(gatehouse.Identity{Value: "admin"})
	forged.Subject = "user"
	nobody := resolve(gatehouse.Identity{Value: "admin"})
	nobody.Kind = gatehouse.KindAnonymous
	for _, row := range []struct {
		name    string
		policy  *sqlpolicy.Policy
		who     gatehouse.Principal
		after   time.Duration
		want    bool
		queries int64
	}{
		{"at once", p, moderator, 0, true, 0},
		{"again", p, moderator, 0, true, 0},
		{"just before a second", p, moderator, time.Second - 1, true, 0},
		{"after a second", p, moderator, time.Second, true, 1},
		{"before it was read: the clock was put back", p, moderator, -1, true, 1},
		{"another policy", other, moderator, 0, true, 1},
		{"not resolved", p, named("moderator"), 0, true, 1},
		{"an identity with a value of the program's own", p, resolve(gatehouse.WithValue(gatehouse.Identity{Value: "moderator"}, 42)), 0, true, 1},
		{"a value put on it later", p, gatehouse.WithValue(moderator, 42), 0, true, 1},
		{"a superuser's with another name", p, forged, 0, false, 1},
		{"a superuser's without a kind", p, nobody, 0, false, 0},
	} {
		now = now.Add(row.after)
		var got bool
		var err error
		if asked := db.asked(func() { got, err = row.policy.Permits(t.Context(), row.who, "protected", nil) }); asked != row.queries || got != row.want || err != nil {
			t.Errorf("%s: Permits = %v, %v with %d queries, want %v with %d", row.name, got, err, asked, row.want, row.queries)
		}
		now = now.Add(-row.after)
	}
	if asked := db.asked(func() { resolve(gatehouse.Identity{Value: "user"}) }); asked != 1 {
		t.Errorf("Resolve makes %d queries, want 1", asked)
	}
	for _, name := range []string{"", "admin\x00", "\xff", strings.Repeat("a", 1025), strings.Repeat("é", 1<<20)} {
		if asked := db.asked(func() { p.Resolve(t.Context(), gatehouse.Identity{Value: name}) }); asked != 0 {
			t.Errorf("Resolve(%.40q) makes %d queries, want 0: no user can be called that", name, asked)
		}
	}
}

// TestLongRequest: a handler that goes on for hours sees what has changed since its request was judged.
func TestLongRequest(t *testing.T) {
	onEach(t, func(t *testing.T, db *testDB) {
		fill(t, db)
		now := time.Now()
		p := sqlpolicy.New(db.DB, sqlpolicy.Now(func() time.Time { return now }))
		for _, row := range []struct{ who, change string }{
			{"moderator", `DELETE FROM permissions WHERE user_id = 2`},
			{"admin", `UPDATE users SET is_superuser = FALSE WHERE id = 1`},
			{"user", `UPDATE users SET disabled = TRUE WHERE id = 3`},
			{"O'Brien", `DELETE FROM users WHERE id = 8`},
		} {
			permission := "public"
			if row.who == "O'Brien" {
				permission = "can't"
			}
			principal, err := p.Resolve(t.Context(), gatehouse.Identity{Value: row.who})
			if err != nil {
				t.Fatal(err)
			}
			if ok, err := p.Permits(t.Context(), principal, permission, nil); !ok || err != nil {
				t.Errorf("%s: Permits at first = %v, %v, want true", row.who, ok, err)
			}
			db.must(t, row.change)
			now = now.Add(time.Second)
			if ok, err := p.Permits(t.Context(), principal, permission, nil); ok || err != nil {
				t.Errorf("%s: Permits after %s = %v, %v, want false", row.who, row.change, ok, err)
			}
		}
	})
}

// TestCancelled: a request that was given up is not one that was refused.
func TestCancelled(t *testing.T) {
	onEach(t, func(t *testing.T, db *testDB) {
		p := fill(t, db)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for what, err := range failures(ctx, p) {
			if !errors.Is(err, context.Canceled) || isRefusal(err) {
				t.Errorf("%s = %v, want %v and no refusal", what, err, context.Canceled)
			}
		}
	})
}

// isRefusal reports whether a guard would take err for something that the caller did.
func isRefusal(err error) bool {
	return errors.Is(err, gatehouse.ErrAnonymous) || errors.Is(err, gatehouse.ErrCredential) || errors.Is(err, gatehouse.ErrForbidden)
}

// failures calls everything that asks the database about the user, and returns the errors. What comes with an error must be nothing.
func failures(ctx context.Context, p *sqlpolicy.Policy) map[string]error {
	errs := map[string]error{}
	note := func(what string, nothing bool, err error) {
		if errs[what] = err; !nothing {
			errs[what] = fmt.Errorf("an answer beside the error: %w", gatehouse.ErrForbidden) // which every test of failures refuses
		}
	}
	principal, err := p.Resolve(ctx, gatehouse.Identity{Value: "user"})
	note("Resolve", principal.IsAnonymous(), err)
	ok, err := p.Permits(ctx, named("user"), "public", nil)
	note("Permits", !ok, err)
	answers, err := p.PermitsEach(ctx, named("user"), []string{"public", "protected"}, nil)
	note("PermitsEach", answers == nil, err)
	hash, err := p.PasswordHash(ctx, "user")
	note("PasswordHash", hash == "", err)
	replaced, err := p.SetPasswordHash(ctx, "user", "hash of user", "new")
	note("SetPasswordHash", !replaced, err)
	return errs
}

// BenchmarkRequest is what one request costs: who it is, and one question; of a user, of somebody with many permissions, and of strangers.
func BenchmarkRequest(b *testing.B) {
	db := openSQLite(b, filepath.Join(b.TempDir(), "users.db"))
	p := fill(b, db)
	for i := range 1000 {
		db.must(b, `INSERT INTO permissions (user_id, name) VALUES (3, $1)`, fmt.Sprintf("many.%d", i))
	}
	for name, who := range map[string]string{"few": "moderator", "many": "user", "unknown": "mallory", "not text": "\xff", "1 MB": strings.Repeat("a", 1<<20)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if principal, err := p.Resolve(b.Context(), gatehouse.Identity{Value: who}); err == nil {
					p.Permits(b.Context(), principal, "public", nil)
				}
			}
		})
	}
}
