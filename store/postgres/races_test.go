package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/store/postgres"
	"github.com/gatehouse-auth/gatehouse/token"
)

// member returns anna's token number n of a family.
func member(family string, n int) token.Record {
	rec := token.Record{
		ID: fmt.Sprintf("%s-%d", family, n), Purpose: "refresh", Subject: "anna", Family: family, Expires: time.UnixMilli(1_900_000_000_000), Left: -1,
	}
	copy(rec.Key[:], rec.ID)
	return rec
}

// bytesOf returns a key as a parameter.
func bytesOf(key token.Key) []byte { return key[:] }

// A stage is a database in which calls are made to meet in the middle.
type stage struct {
	*testing.T
	admin *sql.DB
	name  string // of the connections of db
	db    *postgres.DB
	store *postgres.TokenStore
}

func newStage(t *testing.T) *stage {
	t.Helper()
	u := schema(t)
	named, name := named(u)
	db := open(t, named)
	return &stage{t, pool(t, u), name, db, postgres.Tokens(db)}
}

func (s *stage) create(records ...token.Record) {
	s.Helper()
	for _, rec := range records {
		if err := s.store.Create(s.Context(), rec); err != nil {
			s.Fatalf("Create(%s) = %v, want nil", rec.ID, err)
		}
	}
}

// hold begins a transaction of somebody else that holds what statement locks.
func (s *stage) hold(statement string, args ...any) *sql.Tx {
	s.Helper()
	tx, err := s.admin.BeginTx(s.Context(), nil)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = tx.Rollback() })
	must(s.T, tx, statement, args...)
	return tx
}

// begin starts a call and waits until n calls wait for a lock.
func (s *stage) begin(n int, call func() error) <-chan error {
	s.Helper()
	done := make(chan error, 1)
	go func() { done <- call() }()
	waiting(s.T, s.admin, s.name, n)
	return done
}

// release ends the transaction of somebody else, without a change.
func (s *stage) release(tx *sql.Tx) {
	s.Helper()
	if err := tx.Rollback(); err != nil {
		s.Fatal(err)
	}
}

// gone reports tokens that are found.
func (s *stage) gone(records ...token.Record) {
	s.Helper()
	for _, rec := range records {
		if _, err := s.store.Get(s.Context(), rec.Key); !errors.Is(err, token.ErrNotFound) {
			s.Errorf("Get(%s) = %v, want an error that wraps ErrNotFound", rec.ID, err)
		}
	}
}

func (s *stage) rotate(from, to token.Record) func() error {
	return func() error { _, err := s.store.Rotate(s.Context(), from.Key, time.UnixMilli(1), nil, to); return err }
}

func (s *stage) deleteSubject(purposes ...string) func() error {
	return func() error { _, err := s.store.DeleteSubject(s.Context(), "anna", purposes...); return err }
}

func (s *stage) deleteFamily(family string) func() error {
	return func() error { return s.store.Delete(s.Context(), token.Key{}, family) }
}

// both reports calls that have not both ended without an error.
func (s *stage) both(one, other <-chan error) {
	s.Helper()
	if err := errors.Join(<-one, <-other); err != nil {
		s.Errorf("the two calls = %v, want nil", err)
	}
}

// TestEndsWhileRotating: a rotation has begun and is not done while the log-in, or all that the subject has, is ended. The end must not pass the successor by.
func TestEndsWhileRotating(t *testing.T) {
	for what, end := range map[string]func(*stage) func() error{
		"Delete of the family":       func(s *stage) func() error { return s.deleteFamily("f") },
		"DeleteSubject":              func(s *stage) func() error { return s.deleteSubject() },
		"DeleteSubject of a purpose": func(s *stage) func() error { return s.deleteSubject("refresh") },
		"DeleteSubject of two":       func(s *stage) func() error { return s.deleteSubject("access", "refresh") },
	} {
		s := newStage(t)
		s.create(member("f", 1), member("g", 1))
		holder := s.hold(`SELECT 1 FROM gatehouse_tokens WHERE key = $1 FOR UPDATE`, bytesOf(member("f", 1).Key))
		rotated := s.begin(1, s.rotate(member("f", 1), member("f", 2)))
		ended := s.begin(2, end(s))
		s.release(holder)
		s.both(rotated, ended)
		s.gone(member("f", 1), member("f", 2))
		if err := s.rotate(member("f", 2), member("f", 3))(); !errors.Is(err, token.ErrNotFound) {
			t.Errorf("%s: Rotate of the successor = %v, want an error that wraps ErrNotFound", what, err)
		}
	}
}

// TestRotatesWhileEnding: an end has begun and is not done while somebody rotates. There must be no successor.
func TestRotatesWhileEnding(t *testing.T) {
	for what, end := range map[string]func(*stage) func() error{
		"Delete of the family": func(s *stage) func() error { return s.deleteFamily("f") },
		"DeleteSubject":        func(s *stage) func() error { return s.deleteSubject("refresh") },
	} {
		s := newStage(t)
		s.create(member("f", 1))
		// it can mark the family as ended, and waits for the token
		holder := s.hold(`SELECT 1 FROM gatehouse_tokens WHERE key = $1 FOR UPDATE`, bytesOf(member("f", 1).Key))
		ended := s.begin(1, end(s))
		rotated := s.begin(2, s.rotate(member("f", 1), member("f", 2)))
		s.release(holder)
		if err := <-ended; err != nil {
			t.Errorf("%s = %v, want nil", what, err)
		}
		if err := <-rotated; !errors.Is(err, token.ErrNotFound) {
			t.Errorf("Rotate while there is a %s = %v, want an error that wraps ErrNotFound", what, err)
		}
		s.gone(member("f", 1), member("f", 2))
	}
}

// TestSubjectEndsMeanwhile: what becomes a subject's while all that it has is removed is removed as well, however it becomes so.
func TestSubjectEndsMeanwhile(t *testing.T) {
	const (
		taken    = `INSERT INTO gatehouse_tokens (key, id, purpose, subject, expires, uses, used, sealed, body) VALUES ($1, '', '', '', 0, 0, 0, '', '')`
		locked   = `SELECT 1 FROM gatehouse_tokens WHERE key = $1 FOR UPDATE`
		begun    = `INSERT INTO gatehouse_families VALUES (substr(CAST($1 AS BYTEA), 1, 1), FALSE, 0)` // f
		purposes = "refresh"
	)
	loose, looseNext, hers := member("", 1), member("", 2), member("f", 2)
	others, other := member("f", 1), member("f", 1)
	others.Subject, other.Purpose = "bert", "other"
	for what, test := range map[string]struct {
		before *token.Record
		rec    token.Record // what becomes the subject's, by rotation if there is something before
		where  string       // what it waits for
		key    token.Key
	}{
		"Create of a log-in":                   {nil, hers, begun, hers.Key},
		"Create of a token":                    {nil, loose, taken, loose.Key},
		"Rotate of a token of no family":       {&loose, looseNext, locked, loose.Key},
		"Rotate of another subject's token":    {&others, hers, taken, hers.Key},
		"Rotate of a token of another purpose": {&other, hers, taken, hers.Key},
	} {
		s := newStage(t)
		call := func() error { return s.store.Create(t.Context(), test.rec) }
		if test.before != nil {
			s.create(*test.before)
			call = s.rotate(*test.before, test.rec)
		}
		holder := s.hold(test.where, bytesOf(test.key))
		made := s.begin(1, call)
		ended := s.begin(2, s.deleteSubject(purposes))
		s.release(holder)
		s.both(made, ended)
		s.gone(test.rec)
		if n := number(t, s.admin, `SELECT count(*) FROM gatehouse_tokens`); n != 0 {
			t.Errorf("%s: %d tokens are left, want none", what, n)
		}
	}
}

// TestOrderOfTheFeed: the order is that of the commits. Whoever adds waits for the one before, nothing is seen before what comes before it, and what is
// given up leaves no gap.
func TestOrderOfTheFeed(t *testing.T) {
	s := newStage(t)
	store := postgres.Revocations(s.db)
	one := s.hold(`UPDATE gatehouse_feed SET last = last + 1`)
	must(t, one, `INSERT INTO gatehouse_revocations VALUES (1, 'session', 'first', 0, 0)`)
	type result struct {
		seq int64
		err error
	}
	added := make(chan result, 3)
	for i := range 3 {
		go func() {
			seq, err := store.Add(t.Context(), revocation(fmt.Sprint(i)), revocation(fmt.Sprint(i)))
			added <- result{seq, err}
		}()
	}
	waiting(t, s.admin, s.name, 3)
	if page, err := store.Since(t.Context(), 0, 10); err != nil || page.Last != 0 || len(page.Entries) != 0 {
		t.Errorf("Since while nothing is committed = %+v, %v, want nothing", page, err)
	}
	if err := one.Commit(); err != nil {
		t.Fatal(err)
	}
	var seqs []int64
	for range 3 {
		r := <-added
		if r.err != nil {
			t.Errorf("Add = %v, want nil", r.err)
		}
		seqs = append(seqs, r.seq)
	}
	slices.Sort(seqs)
	if !slices.Equal(seqs, []int64{3, 5, 7}) {
		t.Errorf("Add returns %d, want 3, 5 and 7", seqs)
	}
	page, err := store.Since(t.Context(), 0, 10)
	if err != nil || page.Last != 7 || len(page.Entries) != 7 || page.Entries[0].ID != "first" {
		t.Errorf("Since = %+v, %v, want 7 entries", page, err)
	}
	given := s.hold(`UPDATE gatehouse_feed SET last = last + 1`)
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := s.begin(1, func() error { _, err := store.Add(ctx, revocation("lost")); return err })
	cancel()
	if err := <-cancelled; !errors.Is(err, context.Canceled) {
		t.Errorf("Add that is cancelled while it waits = %v, want an error that wraps context.Canceled", err)
	}
	s.release(given)
	if seq, err := store.Add(t.Context(), revocation("next")); seq != 8 || err != nil {
		t.Errorf("Add after two that came to nothing = %d, %v, want 8, nil", seq, err)
	}
}

// TestSaveWhileSaving: of two that save the same version at the same time, the second one waits, and is told.
func TestSaveWhileSaving(t *testing.T) {
	for _, version := range []int64{0, 1} {
		s := newStage(t)
		store := postgres.Keys(s.db)
		holder := s.hold(`INSERT INTO gatehouse_rings VALUES ('ring', 1)`)
		if version == 1 {
			if err := holder.Commit(); err != nil {
				t.Fatal(err)
			}
			holder = s.hold(`UPDATE gatehouse_rings SET version = version + 1`)
		}
		saved := s.begin(1, func() error { return store.Save(t.Context(), "ring", version, []keyring.Record{{ID: "late"}}) })
		if err := holder.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := <-saved; !errors.Is(err, keyring.ErrConflict) {
			t.Errorf("Save of version %d that somebody else saves = %v, want an error that wraps ErrConflict", version, err)
		}
		if keys, is, err := store.Load(t.Context(), "ring"); len(keys) != 0 || is != version+1 || err != nil {
			t.Errorf("Load = %+v, version %d, %v, want no keys and %d", keys, is, err, version+1)
		}
	}
}

// TestRotateAgainstEnd: a thousand times, a log-in is renewed and ended at the same moment, one way and the other. Nothing of it is found afterwards.
func TestRotateAgainstEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("a thousand log-ins: not with -short")
	}
	s := newStage(t)
	ends := []func(string) func() error{s.deleteFamily, func(string) func() error { return s.deleteSubject("refresh") }}
	renewed := 0
	for round := range 1000 {
		family := fmt.Sprint("f", round)
		s.create(member(family, 1))
		var rotated, ended error
		var both sync.WaitGroup
		both.Go(func() { rotated = s.rotate(member(family, 1), member(family, 2))() })
		both.Go(func() { ended = ends[round%2](family)() })
		both.Wait()
		if ended != nil || rotated != nil && !errors.Is(rotated, token.ErrNotFound) {
			t.Fatalf("Rotate = %v and the end = %v, want nil or an error that wraps ErrNotFound, and nil", rotated, ended)
		}
		if rotated == nil {
			renewed++
		}
		s.gone(member(family, 1), member(family, 2))
	}
	t.Logf("%d of 1000 were renewed first", renewed)
	if n := number(t, s.admin, `SELECT count(*) FROM gatehouse_tokens`); n != 0 {
		t.Errorf("%d tokens are left, want none", n)
	}
}
