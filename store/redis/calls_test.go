package redis_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/redis"
	"github.com/gatehouse-auth/gatehouse/token"
)

// record returns a record of subject that is not stored yet and lives for the time given.
func record(subject string, lives time.Duration) session.Record {
	now := time.Now().Truncate(time.Millisecond)
	rec := session.Record{ID: strings.ToLower(rand.Text()), Subject: subject, Created: now, Seen: now, Deadline: now.Add(lives), Version: 1, Body: []byte("body")}
	rand.Read(rec.Key[:])
	return rec
}

// stored creates a record that lives for an hour.
func stored(t *testing.T, db *redis.DB, subject string) session.Record {
	t.Helper()
	return storedFor(t, db, subject, time.Hour)
}

func storedFor(t *testing.T, db *redis.DB, subject string, lives time.Duration) session.Record {
	t.Helper()
	rec := record(subject, lives)
	if err := redis.Sessions(db).Create(t.Context(), rec, session.Key{}); err != nil {
		t.Fatalf("Create = %v, want nil", err)
	}
	return rec
}

// A call is one thing that a store is asked to do.
type call struct {
	name   string
	writes bool // it needs room
	do     func(ctx context.Context) error
}

// calls returns every method of every store. What it asks for need not exist.
func calls(db *redis.DB, rec session.Record) []call {
	return slices.Concat(sessionCalls(db, rec), tokenCalls(db), keyCalls(db), feedCalls(db))
}

// sessionCalls returns every method of the store, on records that exist and on some that do not.
func sessionCalls(db *redis.DB, rec session.Record) []call {
	s := redis.Sessions(db)
	later := rec
	later.Seen, later.Deadline = rec.Seen.Add(time.Minute), rec.Deadline.Add(time.Minute)
	none := record(rec.Subject, time.Hour)
	return []call{
		{"Create", true, func(ctx context.Context) error { return s.Create(ctx, record(rec.Subject, time.Hour), session.Key{}) }},
		{"Create in place of another", true, func(ctx context.Context) error { return s.Create(ctx, record(rec.Subject, time.Hour), rec.Key) }},
		{"Create in place of none", true, func(ctx context.Context) error { return s.Create(ctx, record(rec.Subject, time.Hour), none.Key) }},
		{"Create of what is there", true, func(ctx context.Context) error { return s.Create(ctx, rec, session.Key{}) }},
		{"Update", true, func(ctx context.Context) error { return s.Update(ctx, later) }},
		{"Update of none", true, func(ctx context.Context) error { return s.Update(ctx, none) }},
		{"Touch", true, func(ctx context.Context) error { return s.Touch(ctx, rec.Key, later.Seen, later.Deadline) }},
		{"Touch with the same time", true, func(ctx context.Context) error { return s.Touch(ctx, rec.Key, rec.Seen, rec.Deadline) }},
		{"Touch of none", true, func(ctx context.Context) error { return s.Touch(ctx, none.Key, none.Seen, none.Deadline) }},
		{"Get", false, func(ctx context.Context) error { _, err := s.Get(ctx, rec.Key); return err }},
		{"Get of none", false, func(ctx context.Context) error { _, err := s.Get(ctx, none.Key); return err }},
		{"List", false, func(ctx context.Context) error { _, err := s.List(ctx, rec.Subject); return err }},
		{"List of none", false, func(ctx context.Context) error { _, err := s.List(ctx, "nobody"); return err }},
		{"Delete of none", false, func(ctx context.Context) error { return s.Delete(ctx, none.Key) }},
		{"DeleteAll of none", false, func(ctx context.Context) error { _, err := s.DeleteAll(ctx, "nobody", session.Key{}); return err }},
		{"Delete", false, func(ctx context.Context) error { return s.Delete(ctx, rec.Key) }},
		{"DeleteAll", false, func(ctx context.Context) error { _, err := s.DeleteAll(ctx, rec.Subject, session.Key{}); return err }},
	}
}

// tokenRecord returns a record of a family of subject's that is not stored yet and lives for the time given.
func tokenRecord(subject string, lives time.Duration) token.Record {
	rec := token.Record{ID: strings.ToLower(rand.Text()), Purpose: "refresh", Subject: subject, Family: strings.ToLower(rand.Text()),
		Expires: time.Now().Add(lives).Truncate(time.Millisecond), Left: -1, Body: []byte("body")}
	rand.Read(rec.Key[:])
	return rec
}

func tokenCalls(db *redis.DB) []call {
	s, rec, none := redis.Tokens(db), tokenRecord("anna", time.Hour), token.Key{}
	return []call{
		{"Create of a token", true, func(ctx context.Context) error { return s.Create(ctx, tokenRecord("anna", time.Hour)) }},
		{"Use of no token", true, func(ctx context.Context) error { _, err := s.Use(ctx, rec.Key); return err }},
		{"Rotate of no token", true, func(ctx context.Context) error {
			_, err := s.Rotate(ctx, rec.Key, time.Now(), []byte("sealed"), tokenRecord("anna", time.Hour))
			return err
		}},
		{"Get of none, a token", false, func(ctx context.Context) error { _, err := s.Get(ctx, rec.Key); return err }},
		{"Delete of no token", false, func(ctx context.Context) error { return s.Delete(ctx, rec.Key, "") }},
		{"Delete of no family", false, func(ctx context.Context) error { return s.Delete(ctx, none, rec.Family) }},
		{"DeleteSubject of nobody", false, func(ctx context.Context) error { _, err := s.DeleteSubject(ctx, "nobody"); return err }},
	}
}

func keyCalls(db *redis.DB) []call {
	s := redis.Keys(db)
	return []call{
		{"Save of a ring", true, func(ctx context.Context) error {
			return s.Save(ctx, rand.Text(), 0, []keyring.Record{{ID: "kid", Algorithm: keyring.ES256, Material: []byte("sealed")}})
		}},
		{"Save of another version", true, func(ctx context.Context) error { return s.Save(ctx, rand.Text(), 7, nil) }},
		{"Load of no ring", false, func(ctx context.Context) error { _, _, err := s.Load(ctx, rand.Text()); return err }},
		{"Rings", false, func(ctx context.Context) error { _, err := s.Rings(ctx); return err }},
	}
}

func feedCalls(db *redis.DB) []call {
	s := redis.Revocations(db)
	return []call{
		{"Add", true, func(ctx context.Context) error {
			_, err := s.Add(ctx, revoke.Entry{Kind: revoke.Token, ID: rand.Text(), Expires: time.Now().Add(time.Hour)})
			return err
		}},
		{"Add of nothing", true, func(ctx context.Context) error { _, err := s.Add(ctx); return err }},
		{"Since", false, func(ctx context.Context) error { _, err := s.Since(ctx, 0, 10); return err }},
		{"Since an end", false, func(ctx context.Context) error { _, err := s.Since(ctx, 1000, 10); return err }},
		{"Prune of nothing", false, func(ctx context.Context) error { _, err := s.Prune(ctx, time.Now().Add(-time.Hour), 10); return err }},
	}
}

// allFail reports every call that does not fail with words in its error, or that says what it cannot know: that something exists, or does not.
func allFail(t *testing.T, db *redis.DB, rec session.Record, words string) {
	t.Helper()
	for _, c := range calls(db, rec) {
		fails(t, c.name, c.do(t.Context()), words)
	}
}

func fails(t *testing.T, name string, err error, words string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("%s = %v, want an error with %q", name, err, words)
	}
	for _, known := range []error{session.ErrNotFound, session.ErrExists, session.ErrConflict, token.ErrNotFound, token.ErrExists, token.ErrSpent, keyring.ErrConflict} {
		if errors.Is(err, known) {
			t.Errorf("%s = %v: the store cannot know that", name, err)
		}
	}
}

// works reports a store that does not do its work.
func works(t *testing.T, db *redis.DB) {
	t.Helper()
	if err := worksNot(t, db); err != nil {
		t.Errorf("the store does not work: %v", err)
	}
}

// worksNot returns why the store does not do its work, or nil.
func worksNot(t *testing.T, db *redis.DB) error {
	s, rec, next := redis.Sessions(db), record(rand.Text(), time.Hour), record("", time.Hour)
	next.Subject = rec.Subject
	for _, step := range []struct {
		name string
		err  error
	}{
		{"Create", s.Create(t.Context(), rec, session.Key{})},
		{"Update", s.Update(t.Context(), rec)},
		{"Touch", s.Touch(t.Context(), rec.Key, rec.Seen.Add(time.Minute), rec.Deadline)},
		{"Create in place of another", s.Create(t.Context(), next, rec.Key)},
	} {
		if step.err != nil {
			return fmt.Errorf("%s: %w", step.name, step.err)
		}
	}
	if got, err := s.Get(t.Context(), next.Key); err != nil || got.ID != next.ID {
		return fmt.Errorf("Get = %q, %w", got.ID, err)
	}
	if list, err := s.List(t.Context(), rec.Subject); err != nil || len(list) != 1 {
		return fmt.Errorf("List = %d records, %w", len(list), err)
	}
	if n, err := s.DeleteAll(t.Context(), rec.Subject, session.Key{}); err != nil || n != 1 {
		return fmt.Errorf("DeleteAll = %d, %w", n, err)
	}
	return s.Delete(t.Context(), next.Key)
}

// says reports a DB whose status is not what a log should say, and a Ping that does not agree with it.
func says(t *testing.T, db *redis.DB, words string) {
	t.Helper()
	err := db.Ping(t.Context())
	if got := db.String(); !strings.Contains(got, words) {
		t.Errorf("String = %q after Ping = %v, want %q in it", got, err, words)
	}
	if ready := strings.Contains(words, "connected"); ready != (err == nil) {
		t.Errorf("Ping = %v, but String = %q", err, db)
	}
}

// within reports what took longer than a limit, and as much again for a slow machine.
func within(t *testing.T, what string, limit time.Duration, do func()) {
	t.Helper()
	begun := time.Now()
	do()
	if took := time.Since(begun); took > 2*limit+time.Second {
		t.Errorf("%s took %v, want at most %v", what, took, limit)
	}
}
