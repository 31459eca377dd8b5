package revoke

import (
	"context"
	"fmt"
	"time"
)

// keep is for how long things are remembered after they have expired: verifiers take tokens for a moment longer, and clocks differ.
const keep = 5 * time.Minute

// Revoke makes the entries durable in one step, applies them here, and tells the other processes. When it returns nil, nothing that they revoke is accepted here any more, nor anywhere else
// after the bound. A zero Expires means that the entry lives for Config.Longest; Seq is the store's to give; Before is rounded up to milliseconds.
//
// The error wraps [ErrInvalid] if an entry makes no sense and [ErrReadOnly] if the list has no store; then nothing has happened. With any other error it is unknown
// whether the entries are durable: they count here, until this process ends, and it must be tried again. A bell that cannot be rung is logged: the others will
// have read the feed within the bound.
func (l *List) Revoke(ctx context.Context, entries ...Entry) error {
	store, ok := l.source.(Store)
	if !ok {
		return fmt.Errorf("revoke: %w", ErrReadOnly)
	}
	if len(entries) == 0 {
		return nil
	}
	whole, err := l.completed(entries)
	if err != nil {
		return err
	}
	for _, e := range whole { // first: whenever the store loses what it is about to be given, it is known here
		_, _ = l.apply(e) // completed has looked at it
	}
	if err := l.add(ctx, store, whole); err != nil {
		return fmt.Errorf("revoke: it is not known whether this will be remembered, try again: %w", err)
	}
	l.heard()
	l.ring(ctx)
	return nil
}

// add gives entries to the store, and writes down what it has promised.
func (l *List) add(ctx context.Context, store Store, entries []Entry) error {
	last := entries[len(entries)-1] // it stands for all: they are added in one step
	l.owed.begin(last)
	defer func() { l.owed.end(last) }() // whatever the store does
	seq, err := store.Add(ctx, entries...)
	if err == nil {
		last.Seq = seq
	}
	return err
}

// completed returns the entries as they are stored.
func (l *List) completed(entries []Entry) ([]Entry, error) {
	whole := make([]Entry, len(entries))
	for i, e := range entries {
		if err := check(e); err != nil {
			return nil, err
		}
		if e.Expires.IsZero() {
			e.Expires = l.c.Now().Add(l.c.Longest)
		}
		e.Seq, e.Expires = 0, roundUp(e.Expires)
		if !e.Before.IsZero() {
			e.Before = roundUp(e.Before)
		}
		whole[i] = e
	}
	return whole, nil
}

func roundUp(t time.Time) time.Time { return time.UnixMilli(millis(t)) }

// check refuses entries that could never revoke what they were meant to.
func check(e Entry) error {
	why := ""
	switch {
	case e.Kind != Token && e.Kind != Session && e.Kind != Subject && e.Kind != Key && e.Kind != All:
		why = fmt.Sprintf("%q is no kind of revocation", e.Kind)
	case e.Kind == All && e.ID != "":
		why = "what revokes everything has no id"
	case e.Kind != All && e.ID == "":
		why = "the id is empty"
	case len(e.ID) > MaxID:
		why = fmt.Sprintf("the id has %d bytes, more than %d", len(e.ID), MaxID)
	case (e.Kind == Subject || e.Kind == All) == e.Before.IsZero():
		why = "a time before which things were issued belongs to a subject, and to everything, and to nothing else"
	case !e.Before.IsZero() && e.Before.UnixMilli() <= 0:
		why = "nothing was issued before 1970"
	case !e.Expires.IsZero() && millis(e.Expires) <= 0:
		why = "it expires in 1970 or before: give the time at which what it revokes does, or none at all"
	default:
		return nil
	}
	return fmt.Errorf("revoke: %w: %s", ErrInvalid, why)
}

// RevokeToken revokes the token with this id, which expires at the given time. Errors are those of [List.Revoke].
func (l *List) RevokeToken(ctx context.Context, jti string, expires time.Time) error {
	return l.Revoke(ctx, Entry{Kind: Token, ID: jti, Expires: expires})
}

// RevokeSession revokes whatever belongs to the session called sid, none of which is valid after expires. Errors are those of [List.Revoke].
func (l *List) RevokeSession(ctx context.Context, sid string, expires time.Time) error {
	return l.RevokeSessions(ctx, expires, sid)
}

// RevokeSessions revokes whatever belongs to the sessions, in one step. None of it is valid after expires. Errors are those of [List.Revoke].
func (l *List) RevokeSessions(ctx context.Context, expires time.Time, sids ...string) error {
	entries := make([]Entry, len(sids))
	for i, sid := range sids {
		entries[i] = Entry{Kind: Session, ID: sid, Expires: expires}
	}
	return l.Revoke(ctx, entries...)
}

// RevokeSubject revokes whatever was issued to subject until now, by any process that asks [List.IssuedAt]. Of several within one second each counts
// until a second later than the one before. Errors are those of [List.Revoke].
//
// "Until now" is the time of this clock, and what was issued has the time of another one: a process whose clock is ahead has issued, in as many seconds before, what says that it was issued
// afterwards, and that is spared for as long as it lives. Nothing tells it from what is issued now, to who signs in again, which must count. Where clocks are kept by NTP, it is
// what was issued in the last few milliseconds. Where they may be further apart, revoke once more when as much time has passed, or give [List.Revoke] a Before that is as much ahead, up to 10 s: what is
// issued then says that time, and verifiers whose leeway is shorter do not take it until then. A process whose clock is behind, by up to 15 s, issues nothing that is revoked already.
// Tokens, sessions and keys are revoked by their ids, which have nothing to do with clocks.
func (l *List) RevokeSubject(ctx context.Context, subject string) error {
	return l.Revoke(ctx, Entry{Kind: Subject, ID: subject, Before: l.upToNow(ctx, func() int64 { return l.before(subject) })})
}

// RevokeKey revokes whatever was signed with the key called kid. Errors are those of [List.Revoke].
func (l *List) RevokeKey(ctx context.Context, kid string) error {
	return l.Revoke(ctx, Entry{Kind: Key, ID: kid})
}

// RevokeAll revokes whatever was issued until now, to anybody, by any process that asks [List.IssuedAt]. It belongs after a backup was restored: what was revoked since the
// backup was made is in no list then. Clocks that are apart count as they do in [List.RevokeSubject]. Errors are those of [List.Revoke].
func (l *List) RevokeAll(ctx context.Context) error {
	return l.Revoke(ctx, Entry{Kind: All, Before: l.upToNow(ctx, func() int64 {
		return max(l.before(""), l.latest(l.c.Now().Add(maxAhead).UnixMilli()))
	})})
}

// upToNow returns a time that is after whatever was issued until now. What was issued after an earlier revocation, in the same second, says that it was issued in the
// next one: the time is after that too. Other processes may have revoked before, so that the feed is read first.
func (l *List) upToNow(ctx context.Context, before func() int64) time.Time {
	late := int64(0)
	if l.remote != nil {
		return l.c.Now() // it cannot be revoked here
	}
	if err := l.Load(ctx); err != nil {
		late = 1000 // what others have done is not known: they may have issued something for the next second
	}
	now := l.c.Now()
	ms := now.UnixMilli() + 1 + late
	if earlier := before(); earlier > now.Truncate(time.Second).UnixMilli() && earlier <= now.Add(maxAhead).UnixMilli() {
		ms = max(ms, (earlier+999)/1000*1000+1)
	}
	return time.UnixMilli(ms)
}

// Prune removes from the store what has expired, a batch at a time, and returns how much. A list that only follows has nothing to remove.
func (l *List) Prune(ctx context.Context) (int, error) {
	store, ok := l.source.(Store)
	if !ok {
		return 0, nil
	}
	total := 0
	for {
		n, err := store.Prune(ctx, l.overdue(), pageSize)
		total += n
		if err != nil {
			return total, fmt.Errorf("revoke: %w", err)
		}
		if n < pageSize {
			return total, nil
		}
	}
}

// overdue returns the time before which what has expired is forgotten.
func (l *List) overdue() time.Time { return l.slow.at(l.c.Now()).Add(-keep) }
