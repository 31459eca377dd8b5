package revoke

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// How a list waits.
const (
	sweepEvery = time.Minute
	breath     = 10 * time.Millisecond  // between two readings, however often bells ring
	minPause   = 100 * time.Millisecond // after a failure, at first
	maxPause   = 5 * time.Second        // and in the end
	ringing    = 2 * time.Second        // for how long a bell may be rung
	courtesy   = 250 * time.Millisecond // for how long a revocation waits for its bells, so that a program that ends at once has told the others
	parting    = time.Second            // for how long a bell may go on after it was told to stop
)

// Run keeps the list fresh until ctx is done, whose error it returns: it reads the feed whenever a bell rings, and every Config.Poll, and forgets what has expired. What
// fails is logged once, and tried again. It must run once for each list.
func (l *List) Run(ctx context.Context) error {
	var others sync.WaitGroup
	defer l.part(&others)
	for _, b := range l.bells {
		others.Go(func() { b.listen(ctx) })
	}
	if l.remote != nil {
		others.Go(func() { l.remote.run(ctx) })
	}
	swept := l.c.Now()
	for ctx.Err() == nil {
		if l.remote == nil {
			l.keepUp(ctx)
		}
		if now := l.c.Now(); now.Sub(swept) >= sweepEvery || now.Before(swept) {
			swept = now
			l.sweep(secondOf(l.overdue()))
		}
		select {
		case <-ctx.Done():
		case <-l.wake:
			l.rest(ctx, breath)
		case <-l.after(l.c.Poll):
		}
	}
	return ctx.Err()
}

// part waits for the others, though not for ever.
func (l *List) part(others *sync.WaitGroup) {
	gone := make(chan struct{})
	go func() {
		others.Wait()
		close(gone)
	}()
	select {
	case <-gone:
	case <-l.after(parting):
		l.c.Logger.Warn("a bell does not stop listening: it is left behind")
	}
}

// rest waits, or until ctx is done.
func (l *List) rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-l.after(d):
	}
}

// keepUp reads the feed once, and says when that begins to fail and when it works again.
func (l *List) keepUp(ctx context.Context) {
	err := l.Load(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil && !l.failing.Swap(true):
		l.c.Logger.LogAttrs(ctx, slog.LevelError, "the feed of revocations cannot be read: past the bound, nothing is accepted that could have been revoked",
			slog.Duration("bound", l.c.Bound), slog.Any("error", err))
	case err == nil && l.failing.Swap(false):
		l.c.Logger.LogAttrs(ctx, slog.LevelInfo, "the feed of revocations can be read again")
	}
}

// heard wakes Run.
func (l *List) heard() {
	select {
	case l.wake <- struct{}{}:
	default: // somebody has rung already
	}
}

// ring rings all bells.
func (l *List) ring(ctx context.Context) {
	ctx = context.WithoutCancel(ctx) // the revocation stands, whoever waits for it
	limit := l.after(courtesy)
	rung := make([]<-chan struct{}, 0, len(l.bells))
	for _, b := range l.bells {
		rung = append(rung, b.ring(ctx))
	}
	for _, done := range rung {
		select {
		case <-done:
		case <-limit:
			return
		}
	}
}

// A bell is a [Bell] that can do no harm.
type bell struct {
	Bell
	list *List

	mu    sync.Mutex
	busy  bool // it is being rung
	again bool // and must be once more
	mute  bool // it could not be rung the last time
}

// nothing is closed.
var nothing = func() <-chan struct{} { c := make(chan struct{}); close(c); return c }()

// ring rings the bell and returns what is closed afterwards. Nobody waits for a bell that is being rung for somebody else: it will be rung again.
func (b *bell) ring(ctx context.Context) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.busy {
		b.again = true
		return nothing
	}
	b.busy = true
	done := make(chan struct{})
	go func() {
		defer close(done)
		for more := true; more; more = b.next() {
			b.once(ctx)
		}
	}()
	return done
}

func (b *bell) next() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy, b.again = b.again, false
	return b.busy
}

// once rings the bell once, and says when that begins to fail.
func (b *bell) once(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, ringing)
	defer cancel()
	err := guarded(func() error { return b.Ring(limited) })
	b.mu.Lock()
	was := b.mute
	b.mute = err != nil
	b.mu.Unlock()
	if err != nil && !was {
		b.list.c.Logger.LogAttrs(ctx, slog.LevelWarn, "other processes could not be told of a revocation: they find it when they look", slog.Any("error", err))
	}
}

// listen listens until ctx is done. What cannot be heard is tried again, later each time and never by everybody at once.
func (b *bell) listen(ctx context.Context) {
	l, pause := b.list, minPause
	var deaf atomic.Bool
	heard := func() {
		deaf.Store(false)
		l.heard()
	}
	for ctx.Err() == nil {
		began := l.c.Now()
		err := guarded(func() error { return b.Listen(ctx, heard) })
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("the bell stopped without a reason")
		}
		if !deaf.Swap(true) {
			l.c.Logger.LogAttrs(ctx, slog.LevelWarn, "a bell cannot be heard: revocations of other processes arrive when the feed is read next", slog.Any("error", err))
		}
		if l.c.Now().Sub(began) > time.Minute {
			pause = minPause // it was heard for long
		}
		l.rest(ctx, jitter(pause))
		pause = min(2*pause, maxPause)
	}
}

// guarded is f, with a panic as an error. The panic's value may hold a secret, so that its type has to do.
func guarded(f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("the bell panicked (%T)", value)
		}
	}()
	return f()
}

// jitter returns between a half and one and a half of d.
func jitter(d time.Duration) time.Duration {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return d/2 + time.Duration(binary.BigEndian.Uint64(b[:])%uint64(d))
}

// A slowClock is for forgetting. Where the clock on the wall is set forward it follows at an hour a day: if that was a mistake that is put right, what had seemed to have expired
// is still there. It is safe for concurrent use.
type slowClock struct {
	mu            sync.Mutex
	before, shown time.Time
}

// at returns what the clock shows at now.
func (c *slowClock) at(now time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall := now.Round(0)
	if c.before.IsZero() {
		c.before, c.shown = now, wall
		return wall
	}
	c.shown = slower(c.shown, wall, now.Sub(c.before))
	c.before = now
	return c.shown
}

// slower moves shown on towards wall, after steady has gone by.
func slower(shown, wall time.Time, steady time.Duration) time.Time {
	shown = shown.Add(steady + steady/24)
	if shown.After(wall) {
		return wall
	}
	return shown
}
