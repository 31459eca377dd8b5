package sqlpolicy_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestPasswordHash(t *testing.T) {
	onEach(t, func(t *testing.T, db *testDB) {
		p := fill(t, db)
		for _, row := range []struct{ name, want string }{
			{"user", "hash of user"}, {"User", "hash of User"}, {"admin", "hash of admin"}, {"O'Brien", "hash of O'Brien"}, {"'; DROP TABLE users; --", "hash of '; DROP TABLE users; --"},
			{"ghost", ""}, {"fired", ""}, {"", ""}, {"USER", ""},
		} {
			if got, err := p.PasswordHash(t.Context(), row.name); got != row.want || err != nil {
				t.Errorf("PasswordHash(%q) = %q, %v, want %q", row.name, got, err, row.want)
			}
		}
		for _, name := range hostile {
			if got, err := p.PasswordHash(t.Context(), name); got != "" || err != nil {
				t.Errorf("PasswordHash(%.40q) = %q, %v, want none", name, got, err)
			}
		}
	})
}

func TestSetPasswordHash(t *testing.T) {
	onEach(t, func(t *testing.T, db *testDB) {
		p := fill(t, db)
		for _, row := range []struct {
			why, name, old, new string
			replaced, fails     bool
		}{
			{"upgrade", "user", "hash of user", "second", true, false},
			{"the same again", "user", "hash of user", "third", false, false},
			{"from the new one", "user", "second", "hash of user", true, false},
			{"somebody else's hash", "user", "hash of moderator", "x", false, false},
			{"another case", "USER", "hash of user", "x", false, false},
			{"another case of the hash", "user", "HASH OF USER", "x", false, false},
			{"unknown", "mallory", "hash of mallory", "x", false, false},
			{"disabled", "ghost", "hash of ghost", "x", false, false},
			{"SQL in the hash", "user", "' OR '1'='1", "x", false, false},
			{"SQL in the name", "' OR '1'='1", "hash of user", "x", false, false},
			{"NUL in the name", "user\x00", "hash of user", "x", false, false},
			{"name that is no text", "user\xff", "hash of user", "x", false, false},
			{"long name", strings.Repeat("u", 1<<20), "hash of user", "x", false, false},
			{"no name", "", "hash of user", "x", false, false},
			{"no old hash", "user", "", "x", false, true},
			{"no old hash of somebody unknown", "mallory", "", "x", false, true},
			{"no new hash", "user", "hash of user", "", false, true},
			{"quotes in the new one", "moderator", "hash of moderator", "it's", true, false},
		} {
			replaced, err := p.SetPasswordHash(t.Context(), row.name, row.old, row.new)
			if replaced != row.replaced || (err != nil) != row.fails {
				t.Errorf("%s: SetPasswordHash(%.40q, %q, %q) = %v, %v, want %v and an error: %v", row.why, row.name, row.old, row.new, replaced, err, row.replaced, row.fails)
			}
		}
		changed := map[string]string{"moderator": "it's"}
		for _, person := range people {
			want := hashOf(person.name)
			if hash, ok := changed[person.name]; ok {
				want = hash
			}
			got := ""
			if err := db.QueryRow(`SELECT password FROM users WHERE username = $1`, person.name).Scan(&got); err != nil || got != want {
				t.Errorf("the hash of %q is %q, %v, want %q", person.name, got, err, want)
			}
		}
	})
}

// TestEmptyHash: a user without a password has none that could be verified or replaced.
func TestEmptyHash(t *testing.T) {
	onEach(t, func(t *testing.T, db *testDB) {
		p := fill(t, db)
		db.must(t, `UPDATE users SET password = '' WHERE username = 'user'`)
		if hash, err := p.PasswordHash(t.Context(), "user"); hash != "" || err != nil {
			t.Errorf("PasswordHash = %q, %v, want none", hash, err)
		}
		if replaced, err := p.SetPasswordHash(t.Context(), "user", "", "new"); replaced || err == nil {
			t.Errorf("SetPasswordHash from the empty hash = %v, %v, want an error", replaced, err)
		}
	})
}

// TestUpgradeRace: many log-ins with an old hash upgrade it at the same time, and one replaces it.
func TestUpgradeRace(t *testing.T) {
	onEach(t, func(t *testing.T, db *testDB) {
		p := fill(t, db)
		var group sync.WaitGroup
		var winner atomic.Value
		for i := range 8 {
			group.Go(func() {
				hash := fmt.Sprintf("upgrade %d", i)
				replaced, err := p.SetPasswordHash(t.Context(), "user", "hash of user", hash)
				if err != nil {
					t.Errorf("SetPasswordHash = %v, want no error", err)
				}
				if replaced && !winner.CompareAndSwap(nil, hash) {
					t.Errorf("%q and %v both replaced the old hash", hash, winner.Load())
				}
			})
		}
		group.Wait()
		if hash, err := p.PasswordHash(t.Context(), "user"); err != nil || hash != winner.Load() {
			t.Errorf("PasswordHash = %q, %v, want that of the winner, %v", hash, err, winner.Load())
		}
	})
}

// TestUpgradeDoesNotUndo: the user changes the password while log-ins with the old one upgrade its hash. The change stays, whoever comes first.
func TestUpgradeDoesNotUndo(t *testing.T) {
	onEach(t, func(t *testing.T, db *testDB) {
		p := fill(t, db)
		for round := range 20 {
			old, changed := fmt.Sprintf("old %d", round), fmt.Sprintf("changed %d", round)
			db.must(t, `UPDATE users SET password = $1 WHERE username = 'user'`, old)
			var group sync.WaitGroup
			for i := range 3 {
				group.Go(func() {
					if _, err := p.SetPasswordHash(t.Context(), "user", old, fmt.Sprintf("upgrade %d", i)); err != nil {
						t.Errorf("SetPasswordHash = %v, want no error", err)
					}
				})
			}
			group.Go(func() {
				if _, err := db.Exec(`UPDATE users SET password = $1 WHERE username = 'user'`, changed); err != nil {
					t.Errorf("UPDATE = %v", err)
				}
			})
			group.Wait()
			if hash, err := p.PasswordHash(t.Context(), "user"); hash != changed || err != nil {
				t.Errorf("PasswordHash = %q, %v, want %q: an upgrade brought back the old password", hash, err, changed)
			}
		}
	})
}
