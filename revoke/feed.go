package revoke

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// hashed marks the kinds of entries whose ID is not an id but its print: a list that puts back what a store has lost knows no more than that.
const hashed = "#"

// Load reads what is new in the feed. When it returns nil the list is as fresh as the moment at which it was called. Several calls take turns.
//
// Where the feed has become shorter than it was, the store is another one or was restored from a backup. Nothing that the list knows is forgotten then: it is
// put back into the store, so that others, and this program after a restart, know it too.
func (l *List) Load(ctx context.Context) error {
	l.reading.Lock()
	defer l.reading.Unlock()
	began := l.Now()
	page, err := l.read(ctx, l.last.Load())
	if err == nil && page.Last < l.last.Load() {
		l.Logger.LogAttrs(ctx, slog.LevelError, "the feed of revocations has lost entries: it is read anew, and what is known here is put back",
			slog.Int64("seen", l.last.Load()), slog.Int64("last", page.Last))
		if page, err = l.read(ctx, 0); err == nil {
			err = l.putBack(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	l.last.Store(page.Last)
	if told, ok := l.source.(interface{ asOf() time.Time }); ok {
		began = told.asOf() // how old somebody else's list was when it was told
	}
	l.checked.Store(&began)
	l.watchers.tell()
	return nil
}

// read applies the entries after since, and returns the last page.
func (l *List) read(ctx context.Context, since int64) (Page, error) {
	for {
		page, err := l.source.Since(ctx, since, pageSize)
		if err != nil {
			return Page{}, err
		}
		for _, e := range page.Entries {
			l.apply(e)
			since = e.Seq
		}
		if len(page.Entries) < pageSize {
			return page, nil
		}
	}
}

// apply takes an entry into the sets. An entry of a kind that is not known here was made by a newer version: what it means cannot be guessed.
func (l *List) apply(e Entry) {
	kind, isPrint := strings.CutSuffix(string(e.Kind), hashed)
	var p print
	switch {
	case !isPrint:
		p = printOf(e.ID)
	case copy(p[:], e.ID) != len(e.ID) || len(e.ID) != len(p):
		l.Logger.Error("an entry of the feed of revocations is damaged", "seq", e.Seq)
		return
	}
	expires := secondOf(e.Expires)
	switch Kind(kind) {
	case Token:
		l.tokens.add(p, until(expires))
	case Session:
		l.sessions.add(p, until(expires))
	case Key:
		l.keys.add(p, until(expires))
	case Subject:
		l.subjects.add(p, cutoff{e.Before.UnixMilli(), expires})
	case All:
		l.raise(e.Before.UnixMilli())
	default:
		l.Logger.Error("the feed of revocations has an entry of a kind that this version does not know: start the version that has made it", "kind", string(e.Kind), "seq", e.Seq)
	}
}

// raise moves the time before which everything is revoked. It never goes back, and is never forgotten: it is one number.
func (l *List) raise(before int64) {
	for {
		old := l.all.Load()
		if before <= old || l.all.CompareAndSwap(old, before) {
			return
		}
	}
}

// putBack adds everything that the list knows to its store. Twice is no harm.
func (l *List) putBack(ctx context.Context) error {
	store, ok := l.source.(Store)
	if !ok {
		return nil // whoever has the store puts it back
	}
	var entries []Entry
	known := func(kind Kind, p print, before int64, expires second) {
		e := Entry{Kind: kind + hashed, ID: string(p[:]), Expires: time.Unix(int64(expires), 0)}
		if before != 0 {
			e.Before = time.UnixMilli(before)
		}
		entries = append(entries, e)
	}
	l.tokens.each(func(p print, u until) { known(Token, p, 0, second(u)) })
	l.sessions.each(func(p print, u until) { known(Session, p, 0, second(u)) })
	l.keys.each(func(p print, u until) { known(Key, p, 0, second(u)) })
	l.subjects.each(func(p print, c cutoff) { known(Subject, p, c.before, c.expires) })
	if all := l.all.Load(); all != 0 {
		entries = append(entries, Entry{Kind: All, Before: time.UnixMilli(all), Expires: l.Now().Add(l.Longest)})
	}
	for len(entries) > 0 {
		n := min(len(entries), pageSize)
		if _, err := store.Add(ctx, entries[:n]...); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

// Revoke makes the entries durable, applies them here, and tells the other processes. When it returns nil, nothing that they revoke is accepted here any more, nor anywhere else
// after the bound. A zero Expires means that the entry lives for Config.Longest; Seq is the store's to give. The error wraps [ErrInvalid] if an entry makes no sense and
// [ErrReadOnly] if the list has no store; with any other error it is unknown whether they are durable, and they count here all the same. A bell that cannot be rung
// is logged: the others will have read the feed within the bound.
func (l *List) Revoke(ctx context.Context, entries ...Entry) error {
	store, ok := l.source.(Store)
	if !ok {
		return ErrReadOnly
	}
	if len(entries) == 0 {
		return nil
	}
	all := make([]Entry, len(entries))
	for i, e := range entries {
		if err := check(e); err != nil {
			return err
		}
		if e.Expires.IsZero() {
			e.Expires = l.Now().Add(l.Longest)
		}
		all[i] = e
	}
	_, err := store.Add(ctx, all...)
	for _, e := range all {
		l.apply(e)
	}
	if err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	l.ring(ctx)
	return nil
}

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
		why = fmt.Sprintf("the id is longer than %d bytes", MaxID)
	case (e.Kind == Subject || e.Kind == All) == e.Before.IsZero():
		why = "a time before which things were issued belongs to a subject, and to everything, and to nothing else"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s", ErrInvalid, why)
}

// ring rings all bells, and wakes this list to read what it has written in its order.
func (l *List) ring(ctx context.Context) {
	l.heard()
	for _, bell := range l.Bells {
		if err := bell.Ring(ctx); err != nil {
			l.Logger.LogAttrs(ctx, slog.LevelWarn, "other processes could not be told of a revocation: they find it when they look", slog.Any("error", err))
		}
	}
}

func (l *List) heard() {
	select {
	case l.wake <- struct{}{}:
	default: // somebody has rung already
	}
}

// RevokeToken revokes the token with this id, which expires at the given time.
func (l *List) RevokeToken(ctx context.Context, jti string, expires time.Time) error {
	return l.Revoke(ctx, Entry{Kind: Token, ID: jti, Expires: expires})
}

// RevokeSession revokes whatever belongs to the session called sid, none of which is valid after expires.
func (l *List) RevokeSession(ctx context.Context, sid string, expires time.Time) error {
	return l.Revoke(ctx, Entry{Kind: Session, ID: sid, Expires: expires})
}

// RevokeSessions revokes whatever belongs to the sessions, in one step. None of it is valid after expires.
func (l *List) RevokeSessions(ctx context.Context, expires time.Time, sids ...string) error {
	entries := make([]Entry, len(sids))
	for i, sid := range sids {
		entries[i] = Entry{Kind: Session, ID: sid, Expires: expires}
	}
	return l.Revoke(ctx, entries...)
}

// RevokeSubject revokes whatever was issued to subject until now.
func (l *List) RevokeSubject(ctx context.Context, subject string) error {
	return l.Revoke(ctx, Entry{Kind: Subject, ID: subject, Before: l.now()})
}

// RevokeKey revokes whatever was signed with the key called kid.
func (l *List) RevokeKey(ctx context.Context, kid string) error {
	return l.Revoke(ctx, Entry{Kind: Key, ID: kid})
}

// RevokeAll revokes whatever was issued until now, to anybody.
func (l *List) RevokeAll(ctx context.Context) error {
	return l.Revoke(ctx, Entry{Kind: All, Before: l.now()})
}

// now is the next millisecond, so that what was issued in this one is before it.
func (l *List) now() time.Time { return l.Now().Truncate(time.Millisecond).Add(time.Millisecond) }

// Prune removes from the store what has expired, a batch at a time, and returns how much. A list that only follows has nothing to do.
func (l *List) Prune(ctx context.Context) (int, error) {
	store, ok := l.source.(Store)
	if !ok {
		return 0, nil
	}
	total := 0
	for {
		n, err := store.Prune(ctx, l.Now().Add(-time.Minute), pageSize)
		total += n
		if err != nil {
			return total, fmt.Errorf("revoke: %w", err)
		}
		if n < pageSize {
			return total, nil
		}
	}
}

// How often the list forgets what has expired, and what it waits for after a failure at most.
const (
	sweepEvery = time.Minute
	maxPause   = 5 * time.Second
)

// Run keeps the list fresh until ctx is done, whose error it returns: it reads the feed whenever a bell rings, and every Config.Poll. What fails is logged once, and
// tried again.
func (l *List) Run(ctx context.Context) error {
	var listening sync.WaitGroup
	defer listening.Wait()
	for _, bell := range l.Bells {
		listening.Go(func() { l.listen(ctx, bell) })
	}
	poll, sweep := time.NewTicker(l.Poll), time.NewTicker(sweepEvery)
	defer poll.Stop()
	defer sweep.Stop()
	for {
		l.keepUp(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.wake:
		case <-poll.C:
		case <-sweep.C:
			l.sweep()
		}
	}
}

// keepUp reads the feed once, in less than the bound, and says when that begins to fail and when it works again.
func (l *List) keepUp(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, l.Bound)
	defer cancel()
	err := l.Load(limited)
	switch {
	case ctx.Err() != nil:
	case err != nil && !l.failing.Swap(true):
		l.Logger.LogAttrs(ctx, slog.LevelError, "the feed of revocations cannot be read: past the bound, nothing is accepted that could have been revoked",
			slog.Duration("bound", l.Bound), slog.Any("error", err))
	case err == nil && l.failing.Swap(false):
		l.Logger.LogAttrs(ctx, slog.LevelInfo, "the feed of revocations can be read again")
	}
}

func (l *List) sweep() {
	now := secondOf(l.Now().Add(-time.Minute))
	l.tokens.sweep(now)
	l.sessions.sweep(now)
	l.keys.sweep(now)
	l.subjects.sweep(now)
}

// listen listens to a bell until ctx is done. One that cannot be heard is tried again, later each time and never by everybody at once.
func (l *List) listen(ctx context.Context, bell Bell) {
	pause := 100 * time.Millisecond
	for ctx.Err() == nil {
		began := l.Now()
		err := hear(ctx, bell, l.heard)
		if ctx.Err() != nil {
			return
		}
		l.Logger.LogAttrs(ctx, slog.LevelWarn, "a bell cannot be heard: revocations of other processes arrive when the feed is read next", slog.Any("error", err))
		wait := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
		if pause = min(2*pause, maxPause); l.Now().Sub(began) > time.Minute {
			pause = 100 * time.Millisecond // it was heard for long
		}
	}
}

// hear is bell.Listen, with a panic as an error.
func hear(ctx context.Context, bell Bell, heard func()) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("the bell panicked (%T)", value)
		}
	}()
	if err := bell.Listen(ctx, heard); err != nil {
		return err
	}
	return errors.New("the bell stopped without a reason")
}
