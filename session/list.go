package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"github.com/gatehouse-auth/gatehouse"
)

// An Info describes a session to its owner. It holds no secret.
type Info struct {
	ID            string
	Subject       string
	Created, Seen time.Time
	Expires       time.Time // unless it is used
	UserAgent     string
}

type found struct {
	Record
	body body
}

// live returns the sessions of subject that are not overdue, the oldest first.
func (t *Table) live(ctx context.Context, subject string) ([]found, error) {
	if t.sealed != nil {
		return nil, errNotListed
	}
	if subject == "" {
		return nil, errors.New("session: visitors have no subject, so their sessions cannot be listed or ended together")
	}
	records, err := t.store.List(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	var list []found
	for _, rec := range records {
		f := found{Record: rec}
		if json.Unmarshal(rec.Body, &f.body) != nil {
			continue // counts for nothing, see find
		}
		if !t.overdue(rec, f.body) && !errors.Is(t.revoked(rec, f.body), gatehouse.ErrSession) {
			list = append(list, f)
		}
	}
	return list, nil
}

// List returns the live sessions of subject, the oldest first. Of sealed sessions only their browsers know: the error wraps errors.ErrUnsupported.
func (t *Table) List(ctx context.Context, subject string) ([]Info, error) {
	list, err := t.live(ctx, subject)
	infos := make([]Info, 0, len(list))
	for _, f := range list {
		infos = append(infos, Info{ID: f.ID, Subject: f.Subject, Created: f.Created, Seen: f.Seen, Expires: t.expires(f.Record, f.body),
			UserAgent: f.body.UserAgent})
	}
	return infos, err
}

// EndOne ends the session called id of subject. The error wraps ErrNotFound if subject has none of this id, whoever else has, and errors.ErrUnsupported if sessions are
// sealed: nobody knows whose they are.
func (t *Table) EndOne(ctx context.Context, subject, id string) error {
	list, err := t.live(ctx, subject)
	if err != nil {
		return err
	}
	for _, f := range list {
		if f.ID != id {
			continue
		}
		return t.end(ctx, f.Record, f.body)
	}
	return fmt.Errorf("session: %w", ErrNotFound)
}

// EndAll ends the sessions of subject but for the one called except (empty: none is spared), and returns how many there were, overdue
// ones included.
//
// Where sessions are sealed, it revokes whatever was issued to subject until now, and returns 0, since nobody has counted. None can be spared: sign the caller in again afterwards. The error
// wraps errors.ErrUnsupported if except is not empty, or Config.Revocations cannot revoke subjects.
func (t *Table) EndAll(ctx context.Context, subject, except string) (int, error) {
	if t.sealed != nil {
		return 0, t.endAllSealed(ctx, subject, except)
	}
	list, err := t.live(ctx, subject)
	if err != nil {
		return 0, err
	}
	var spared Key
	for _, f := range list {
		if f.ID == except && except != "" {
			spared = f.Key
		}
	}
	if err := t.revokeAll(ctx, list, spared); err != nil {
		return 0, err
	}
	n, err := t.store.DeleteAll(ctx, subject, spared)
	if err != nil {
		return n, fmt.Errorf("session: %w", err)
	}
	return n, nil
}

// pruneBatch bounds how long a pruning keeps others from writing.
const pruneBatch = 500

// Prune removes the overdue records, a batch at a time so that others can write in between, and returns how many. A store that removes them by itself
// has nothing to do. An error stops it; what was removed stays removed.
func (t *Table) Prune(ctx context.Context) (int, error) {
	pruner, ok := t.store.(Pruner)
	if !ok {
		return 0, nil
	}
	for total := 0; ; {
		n, err := pruner.Prune(ctx, t.now(), pruneBatch)
		if total += n; err != nil {
			return total, fmt.Errorf("session: %w", err)
		}
		if n < pruneBatch {
			return total, nil
		}
	}
}

// KeepPruned prunes whenever tick says so, such as time.Tick(10*time.Minute), until ctx is done. Failures are logged and tried again the next time.
func (t *Table) KeepPruned(ctx context.Context, tick <-chan time.Time) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		n, err := t.Prune(ctx)
		if err != nil && ctx.Err() == nil {
			t.Logger.LogAttrs(ctx, slog.LevelWarn, "overdue sessions could not be removed", slog.Any("error", err))
		}
		if n > 0 {
			t.Logger.LogAttrs(ctx, slog.LevelDebug, "overdue sessions removed", slog.Int("count", n))
		}
	}
}

// printable returns at most 200 bytes of s without what a terminal or a page could take for something else.
func printable(s string) string {
	var b strings.Builder
	for _, c := range s {
		if !unicode.IsPrint(c) {
			c = '?'
		}
		if b.Len()+4 > 200 {
			break
		}
		b.WriteRune(c)
	}
	return b.String()
}
