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
	// a *gatehouse.StaleError if that is not known for sure.
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
		err := t.Revocations.SessionRevoked(sid, rec.Subject, rec.Created)
		stale, isStale := errors.AsType[*gatehouse.StaleError](err)
		switch {
		case err == nil, isStale && !t.StoreIsCache: // the record has just been read where sessions end
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

// idsOf returns the ids by which a session can be revoked: its own, and that of the log-in that it goes back to.
func idsOf(rec Record, b body) []string {
	if b.Lineage == "" || b.Lineage == rec.ID {
		return []string{rec.ID}
	}
	return []string{rec.ID, b.Lineage}
}

// drop revokes the session of rec, if there is where, and then deletes it. In this order: what could not be revoked must not look as if it had ended.
func (t *Table) drop(ctx context.Context, rec Record, b body) error {
	if t.Revocations != nil && rec.Subject != "" {
		if err := t.Revocations.RevokeSessions(ctx, t.endsBy(rec, b), idsOf(rec, b)...); err != nil {
			return fmt.Errorf("session: %w", err)
		}
	}
	if err := t.store.Delete(ctx, rec.Key); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	return nil
}

// revokeAll revokes the sessions of a list but the one under spared.
func (t *Table) revokeAll(ctx context.Context, list []found, spared Key) error {
	if t.Revocations == nil {
		return nil
	}
	var ids []string
	var until time.Time
	for _, f := range list {
		if f.Key == spared {
			continue
		}
		ids = append(ids, idsOf(f.Record, f.body)...)
		if end := t.endsBy(f.Record, f.body); end.After(until) {
			until = end
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if err := t.Revocations.RevokeSessions(ctx, until, ids...); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	return nil
}
