package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse"
)

// Revocations knows what was revoked: a *revoke.List is one. It must be safe for concurrent use, and answer without I/O.
type Revocations interface {
	// SessionRevoked returns nil if neither the session called sid nor what its subject began by then was revoked, an error that wraps gatehouse.ErrCredential if it was, and
	// a *gatehouse.StaleError if that is not known for sure. sid may be a name that stands for several sessions, of those that RevokeSessions was given.
	SessionRevoked(sid, subject string, began time.Time) error
	// RevokeSessions revokes whatever belongs to the sessions, none of which would have been valid after expires. It is durable when it returns nil.
	RevokeSessions(ctx context.Context, expires time.Time, sids ...string) error
}

// revoked returns an error that wraps gatehouse.ErrSession if the session of rec has been ended, although its record is there.
func (t *Table) revoked(rec Record, b body) error {
	if t.Revocations == nil || rec.Subject == "" {
		return nil
	}
	for _, sid := range idsOf(rec, b) {
		err := t.Revocations.SessionRevoked(sid, rec.Subject, b.began(rec))
		stale, isStale := errors.AsType[*gatehouse.StaleError](err)
		switch {
		case err == nil, isStale && !t.StoreIsCache && t.sealed == nil: // the record has just been read where sessions end
		case isStale:
			return &gatehouse.StaleError{Age: stale.Age, Identity: identityOf(rec, b, t.expires(rec, b))}
		case errors.Is(err, gatehouse.ErrCredential):
			return ErrUnknown
		default:
			return fmt.Errorf("session: %w", err)
		}
	}
	return nil
}

// idsOf returns the names by which a session can be revoked: its id, which tokens have as well, and the log-in that it goes back to, which all that it is renewed to
// go back to. The latter is no id: a session that is renewed ends, and its log-in does not.
func idsOf(rec Record, b body) []string {
	return []string{rec.ID, loginOf(rec, b)}
}

func loginOf(rec Record, b body) string { return "login:" + b.lineage(rec.ID) }

// begin makes sure that what is revoked does not take a new session with it. A session that goes on with a log-in began with it. One that is made in the millisecond in which its subject was
// revoked, but later, as after a change of the password, begins a moment later. Of several revocations in a second each counts until a second later.
func (t *Table) begin(rec *Record, b body) error {
	if t.Revocations == nil || rec.Subject == "" {
		return nil
	}
	if b.Lineage != "" {
		if errors.Is(t.Revocations.SessionRevoked(loginOf(*rec, b), rec.Subject, b.began(*rec)), gatehouse.ErrCredential) {
			return ErrUnknown
		}
		return nil
	}
	for i := range maxBeginnings {
		at := beginning(rec.Created, i)
		if !errors.Is(t.Revocations.SessionRevoked(loginOf(*rec, b), rec.Subject, at), gatehouse.ErrCredential) { // what is not known now is found out when the session is used
			rec.Created = at
			return nil
		}
	}
	return fmt.Errorf("session: everything of its subject is revoked as of a time that has not come: do the clocks of the servers agree? %w", gatehouse.ErrUnavailable)
}

// maxBeginnings leads as far ahead as another revocation of the subject takes notice of, which is 15 s: whatever begins by then can be revoked.
const maxBeginnings = 2 + 15

// beginning returns the i-th of the times at which a session may begin that is made at now. Those that are ahead by more than a millisecond are whole seconds, as the times of tokens
// are: the next revocation counts until a moment after one.
func beginning(now time.Time, i int) time.Time {
	switch i {
	case 0:
		return now
	case 1:
		return now.Add(time.Millisecond)
	}
	return now.Truncate(time.Second).Add(time.Duration(i-1) * time.Second)
}

// revokeReplaced revokes the id of a session in whose place another one is put: what was given out for it ends. Its log-in goes on.
func (t *Table) revokeReplaced(ctx context.Context, old Record) error {
	if t.Revocations == nil || old.Subject == "" {
		return nil
	}
	if err := t.Revocations.RevokeSessions(ctx, t.forgets(old.Created.Add(t.Absolute)), old.ID); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	return nil
}

// forgets returns until when it must be known that sessions have ended that would have ended by themselves at end: the last token of theirs was minted now.
func (t *Table) forgets(end time.Time) time.Time {
	if last := t.now().Add(t.TokenLife); last.After(end) {
		return last
	}
	return end
}

// drop revokes the session of rec, if there is where, and then deletes it. In this order: what could not be revoked must not look as if it had ended.
func (t *Table) drop(ctx context.Context, rec Record, b body) error {
	if t.Revocations != nil && rec.Subject != "" {
		if err := t.Revocations.RevokeSessions(ctx, t.forgets(t.endsBy(rec, b)), idsOf(rec, b)...); err != nil {
			return fmt.Errorf("session: %w", err)
		}
	}
	if t.sealed != nil {
		return nil
	}
	if err := t.store.Delete(ctx, rec.Key); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	return nil
}

// revokeAll revokes the sessions of a list but the one under spared, and its log-in.
func (t *Table) revokeAll(ctx context.Context, list []found, spared Key) error {
	if t.Revocations == nil {
		return nil
	}
	var ids []string
	var until time.Time
	kept := ""
	for _, f := range list {
		if f.Key == spared {
			kept = loginOf(f.Record, f.body)
		}
	}
	for _, f := range list {
		if f.Key == spared {
			continue
		}
		if ids = append(ids, f.ID); loginOf(f.Record, f.body) != kept {
			ids = append(ids, loginOf(f.Record, f.body))
		}
		if end := t.endsBy(f.Record, f.body); end.After(until) {
			until = end
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if err := t.Revocations.RevokeSessions(ctx, t.forgets(until), ids...); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	return nil
}
