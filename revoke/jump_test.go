package revoke_test

import (
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// A wall is a clock that somebody sets. What it shows has two readings, as what time.Now returns: the one on the wall, and the one that nobody can set.
type wall struct {
	began time.Time
	shift atomic.Int64
}

// base is a time of both clocks. In a bubble there is but one.
var base = time.Now()

func (w *wall) set(d time.Duration) { w.shift.Store(int64(d)) }

// Now returns the time as time.Now would. Package time has no way to make such a value: the seconds on the wall stand above 30 bits of nanoseconds.
func (w *wall) Now() time.Time {
	now := base.Add(time.Since(w.began))
	*(*uint64)(unsafe.Pointer(&now)) += uint64(w.shift.Load()/int64(time.Second)) << 30
	return now
}

// TestWall: the clock of these tests does what it says.
func TestWall(t *testing.T) {
	w := &wall{began: time.Now()}
	for _, d := range []time.Duration{0, time.Hour, -time.Hour, time.Second} {
		w.set(0)
		before := w.Now()
		w.set(d)
		after := w.Now()
		if steady, shown := after.Sub(before), after.Round(0).Sub(before.Round(0)); steady < 0 || steady > time.Minute || shown < d || shown > d+time.Minute {
			t.Fatalf("set by %v, the clock goes on by %v and shows %v more", d, steady, shown)
		}
	}
}

// jumping runs a list on a clock that can be set.
func jumping(t *testing.T, f func(t *testing.T, s *store, w *wall, l *revoke.List)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, w := &store{}, &wall{began: time.Now()}
		l := revoke.New(s, revoke.Config{Logger: slog.New(slog.DiscardHandler), Now: w.Now})
		start(t, l)
		synctest.Wait()
		f(t, s, w, l)
	})
}

// TestClockJumpsForwardAndBack: what was revoked for the next ten minutes is still known when the clock has been an hour ahead for a while, here, in the store, and so after a restart.
func TestClockJumpsForwardAndBack(t *testing.T) {
	jumping(t, func(t *testing.T, s *store, w *wall, l *revoke.List) {
		must(t, l.RevokeToken(t.Context(), "t", w.Now().Add(10*time.Minute)))
		w.set(time.Hour)
		want(t, l, revoke.Claim{Token: "good"}, stale) // perhaps the machine has slept
		time.Sleep(2 * time.Second)
		want(t, l, revoke.Claim{Token: "good"}, good)
		for range 7 {
			time.Sleep(time.Minute)
			want(t, l, revoke.Claim{Token: "t"}, revoked)
			if n, err := l.Prune(t.Context()); n != 0 || err != nil {
				t.Fatalf("Prune() = %d, %v, want that the clock is not believed", n, err)
			}
		}
		w.set(0)
		time.Sleep(2 * time.Second)
		want(t, l, revoke.Claim{Token: "t"}, revoked)
		want(t, l, revoke.Claim{Token: "good"}, good)
		again := revoke.New(s, revoke.Config{Now: w.Now})
		load(t, again)
		want(t, again, revoke.Claim{Token: "t"}, revoked)
	})
}

// TestClockThatWasRight: a clock that was wrong and is set right is believed in the end.
func TestClockThatWasRight(t *testing.T) {
	jumping(t, func(t *testing.T, s *store, w *wall, l *revoke.List) {
		must(t, l.RevokeToken(t.Context(), "t", w.Now().Add(10*time.Minute)))
		w.set(time.Hour)
		time.Sleep(30 * time.Hour)
		if n, err := l.Prune(t.Context()); n != 1 || err != nil || l.Len() != 0 {
			t.Errorf("after a day, Prune() = %d, %v, and Len() = %d, want 1 and 0", n, err, l.Len())
		}
	})
}

// TestClockJumpsBackDuringAnOutage: a list that cannot be read grows older whatever the clock on the wall shows, and recovers when it can.
func TestClockJumpsBackDuringAnOutage(t *testing.T) {
	for _, jump := range []time.Duration{-time.Hour, -5 * time.Second, time.Hour} {
		jumping(t, func(t *testing.T, s *store, w *wall, l *revoke.List) {
			s.set(func(s *store) { s.down = true })
			time.Sleep(3 * time.Second)
			w.set(jump)
			time.Sleep(3 * time.Second)
			for range 20 {
				want(t, l, revoke.Claim{Token: "good"}, stale)
				time.Sleep(time.Minute)
			}
			s.set(func(s *store) { s.down = false })
			time.Sleep(2 * time.Second)
			want(t, l, revoke.Claim{Token: "good"}, good)
		})
	}
}

// TestClockJumpsBack: without an outage nothing happens, and what is revoked then is revoked.
func TestClockJumpsBack(t *testing.T) {
	jumping(t, func(t *testing.T, s *store, w *wall, l *revoke.List) {
		w.set(-time.Hour)
		want(t, l, revoke.Claim{Token: "good"}, good)
		issued := w.Now().Add(-time.Second)
		must(t, l.RevokeSubject(t.Context(), "jack"))
		want(t, l, revoke.Claim{Subject: "jack", Issued: issued}, revoked)
		for range 10 {
			time.Sleep(30 * time.Second)
			want(t, l, revoke.Claim{Token: "good"}, good)
			want(t, l, revoke.Claim{Subject: "jack", Issued: issued}, revoked)
		}
	})
}
