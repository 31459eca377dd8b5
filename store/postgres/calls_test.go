package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/postgres"
	"github.com/gatehouse-auth/gatehouse/token"
)

// everyCall calls every method of every store once, in a way that would change something.
func everyCall(t *testing.T, db *postgres.DB) map[string]error {
	all := calls(t, postgres.Sessions(db))
	keys, tokens, revocations := postgres.Keys(db), postgres.Tokens(db), postgres.Revocations(db)
	_, _, loadErr := keys.Load(t.Context(), "ring")
	_, ringsErr := keys.Rings(t.Context())
	_, addErr := revocations.Add(t.Context(), revocation("1"))
	_, lastErr := postgres.Revocations(db).Add(t.Context())
	_, sinceErr := revocations.Since(t.Context(), 0, 10)
	_, pruneErr := revocations.Prune(t.Context(), time.UnixMilli(1), 10)
	maps.Copy(all, map[string]error{
		"Load": loadErr, "Rings": ringsErr, "Save": keys.Save(t.Context(), "ring", 0, []keyring.Record{{ID: "1"}, {ID: "2"}}),
		"Add": addErr, "Add of nothing": lastErr, "Since": sinceErr, "Prune of revocations": pruneErr, "Ring": postgres.Revocations(db).Ring(t.Context()),
	})
	for what, call := range tokenCalls(member("calls", 1)) {
		all[what] = call(t.Context(), tokens)
	}
	return all
}

// tokenCalls are the methods that would change rec, or find it.
func tokenCalls(rec token.Record) map[string]func(context.Context, token.Store) error {
	loose, another := rec, rec
	loose.Family, loose.Key = "", token.Key{7}
	another.Family, another.Key = "another", token.Key{8}
	return map[string]func(context.Context, token.Store) error{
		"Create of a log-in": func(ctx context.Context, s token.Store) error { return s.Create(ctx, another) },
		"Create of a token":  func(ctx context.Context, s token.Store) error { return s.Create(ctx, loose) },
		"Get of a token":     func(ctx context.Context, s token.Store) error { _, err := s.Get(ctx, rec.Key); return err },
		"Use":                func(ctx context.Context, s token.Store) error { _, err := s.Use(ctx, rec.Key); return err },
		"Delete of a token":  func(ctx context.Context, s token.Store) error { return s.Delete(ctx, rec.Key, "") },
		"Delete of a log-in": func(ctx context.Context, s token.Store) error { return s.Delete(ctx, token.Key{}, rec.Family) },
		"Prune of tokens": func(ctx context.Context, s token.Store) error {
			_, err := s.Prune(ctx, rec.Expires.Add(1e9), 10)
			return err
		},
		"DeleteSubject": func(ctx context.Context, s token.Store) error {
			_, err := s.DeleteSubject(ctx, rec.Subject)
			return err
		},
		"DeleteSubject for one": func(ctx context.Context, s token.Store) error {
			_, err := s.DeleteSubject(ctx, rec.Subject, rec.Purpose)
			return err
		},
		"Rotate": func(ctx context.Context, s token.Store) error {
			next := rec
			next.Key = token.Key{9}
			_, err := s.Rotate(ctx, rec.Key, time.UnixMilli(1), nil, next)
			return err
		},
	}
}

// outcomes are what the interfaces name.
var outcomes = []error{
	session.ErrNotFound, session.ErrExists, session.ErrConflict, keyring.ErrConflict, token.ErrNotFound, token.ErrExists, token.ErrSpent,
}

func isOutcome(err error) bool {
	return slices.ContainsFunc(outcomes, func(outcome error) bool { return errors.Is(err, outcome) })
}

// noOutcome reports an error that says what the store cannot know.
func noOutcome(t *testing.T, what string, err error) {
	t.Helper()
	if isOutcome(err) {
		t.Errorf("%s = %v, which is an outcome", what, err)
	}
}

// acknowledged stores what stillAcknowledged looks for.
func acknowledged(t *testing.T, db *postgres.DB) {
	t.Helper()
	_, addErr := postgres.Revocations(db).Add(t.Context(), revocation("acknowledged"))
	err := errors.Join(addErr, postgres.Tokens(db).Create(t.Context(), member("kept", 1)), postgres.Keys(db).Save(t.Context(), "kept", 0, []keyring.Record{{ID: "1"}}))
	if _, rotateErr := postgres.Tokens(db).Rotate(t.Context(), member("kept", 1).Key, time.UnixMilli(1), nil, member("kept", 2)); errors.Join(err, rotateErr) != nil {
		t.Fatal(err, rotateErr)
	}
}

// stillAcknowledged reports a revocation, a rotation or a key that was acknowledged and is not there.
func stillAcknowledged(t *testing.T, db *postgres.DB) {
	t.Helper()
	list := revoke.New(postgres.Revocations(db), revoke.Config{})
	if err := list.Load(t.Context()); err != nil || !refused(list, "acknowledged")() {
		t.Errorf("Load of the revocations = %v, and what was revoked is accepted: %v", err, !refused(list, "acknowledged")())
	}
	if _, err := postgres.Tokens(db).Rotate(t.Context(), member("kept", 1).Key, time.UnixMilli(2), nil, member("kept", 3)); !errors.Is(err, token.ErrSpent) {
		t.Errorf("Rotate of what was rotated = %v, want an error that wraps ErrSpent", err)
	}
	if _, err := postgres.Tokens(db).Get(t.Context(), member("kept", 2).Key); err != nil {
		t.Errorf("Get of the successor = %v, want nil", err)
	}
	if keys, version, err := postgres.Keys(db).Load(t.Context(), "kept"); len(keys) != 1 || version != 1 || err != nil {
		t.Errorf("Load = %d keys, version %d, %v, want 1, 1, nil", len(keys), version, err)
	}
}

// givesUp reports a call that waits for a lock on hasty for longer than its 200 ms, or goes on waiting on patient after its context was cancelled. The calls of patient are known to the server by name.
func givesUp[S any](t *testing.T, what string, admin *sql.DB, name string, hasty, patient S, call func(context.Context, S) error) {
	t.Helper()
	err := call(t.Context(), hasty)
	mustSay(t, what, err, "postgres: ", "no answer within 200ms")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%s = %v, want an error that wraps context.DeadlineExceeded", what, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := make(chan error)
	go func() { cancelled <- call(ctx, patient) }()
	waiting(t, admin, name, 1)
	cancel()
	if err := <-cancelled; !errors.Is(err, context.Canceled) {
		t.Errorf("%s, cancelled = %v, want an error that wraps context.Canceled", what, err)
	}
	waiting(t, admin, name, 0)
}

// TestLockedTables: a call waits for a lock no longer than its context or the store's timeout, whichever ends first; nothing of it happens then, and
// nothing of it stays behind on the server.
func TestLockedTables(t *testing.T) {
	u := schema(t)
	admin := pool(t, u)
	named, name := named(u)
	hasty, patient := open(t, named, postgres.Timeout(200*time.Millisecond)), open(t, named, postgres.Timeout(time.Hour))
	acknowledged(t, patient)
	calls := map[string]func(context.Context, *postgres.DB) error{
		"Add": func(ctx context.Context, db *postgres.DB) error {
			_, err := postgres.Revocations(db).Add(ctx, revocation("1"))
			return err
		},
		"Prune of revocations": func(ctx context.Context, db *postgres.DB) error {
			_, err := postgres.Revocations(db).Prune(ctx, time.Now().AddDate(1, 0, 0), 10)
			return err
		},
		"Save": func(ctx context.Context, db *postgres.DB) error {
			return postgres.Keys(db).Save(ctx, "kept", 1, []keyring.Record{{ID: "2"}})
		},
	}
	for what, call := range tokenCalls(member("kept", 2)) {
		if what != "Get of a token" { // reading waits for nobody
			calls[what] = func(ctx context.Context, db *postgres.DB) error { return call(ctx, postgres.Tokens(db)) }
		}
	}
	holder, err := admin.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Rollback()
	must(t, holder, `LOCK TABLE gatehouse_tokens, gatehouse_keys, gatehouse_revocations IN EXCLUSIVE MODE`)
	for what, call := range calls {
		givesUp(t, what+" to a locked table", admin, name, hasty, patient, call)
	}
	if err := holder.Rollback(); err != nil {
		t.Fatal(err)
	}
	stillAcknowledged(t, patient)
	if n := number(t, admin, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'`); n != 0 {
		t.Errorf("%d advisory locks are left, want none", n)
	}
	if n := number(t, admin, `SELECT count(*) FROM gatehouse_families WHERE ended OR id <> 'kept'`); n != 0 {
		t.Errorf("%d families have ended or begun, want none", n)
	}
}

// TestDeadlockOfTokens: where two transactions wait for each other the server gives up one of them. If it is ours, it is tried again.
func TestDeadlockOfTokens(t *testing.T) {
	s := newStage(t)
	s.create(member("f", 1), member("g", 1))
	other := s.hold(`SET LOCAL deadlock_timeout = '1h'`) // it is the store's that finds out, and is given up
	must(t, other, `UPDATE gatehouse_tokens SET uses = uses WHERE key = $1`, bytesOf(member("g", 1).Key))
	deleted := s.begin(1, s.deleteSubject()) // has the families
	must(t, other, `UPDATE gatehouse_families SET expires = expires`)
	if err := other.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-deleted; err != nil {
		t.Errorf("DeleteSubject = %v, want nil after trying again", err)
	}
	s.gone(member("f", 1), member("g", 1))
}
