package revoke_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// inBubble runs a list on its real clock in a bubble until f returns.
func inBubble(t *testing.T, s revoke.Source, config revoke.Config, f func(t *testing.T, l *revoke.List)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if config.Logger == nil {
			config.Logger = slog.New(slog.DiscardHandler)
		}
		l := revoke.New(s, config)
		start(t, l)
		synctest.Wait()
		f(t, l)
	})
}

// TestRunPolls: without any bell a list knows what others have revoked after Poll.
func TestRunPolls(t *testing.T) {
	s := &store{}
	inBubble(t, s, revoke.Config{}, func(t *testing.T, l *revoke.List) {
		want(t, l, revoke.Claim{Token: "t"}, good)
		for range 20 {
			_, err := s.Add(t.Context(), revoke.Entry{Kind: revoke.Token, ID: time.Now().String(), Expires: time.Now().Add(time.Hour)})
			must(t, err)
			claim := revoke.Claim{Token: time.Now().String()}
			time.Sleep(revoke.DefaultPoll + time.Millisecond)
			synctest.Wait()
			want(t, l, claim, revoked)
			if age := l.Staleness(); age > revoke.DefaultPoll {
				t.Errorf("Staleness() = %v, want %v at most", age, revoke.DefaultPoll)
			}
		}
	})
}

// TestRunOutage: through an outage everything is accepted until the bound, nothing past it, and all is well afterwards. It is said once.
func TestRunOutage(t *testing.T) {
	var l logs
	s := &store{}
	inBubble(t, s, revoke.Config{Logger: slog.New(&l)}, func(t *testing.T, list *revoke.List) {
		for range 3 {
			s.set(func(s *store) { s.down = true })
			time.Sleep(4 * time.Second)
			want(t, list, revoke.Claim{Token: "good"}, good)
			time.Sleep(2 * time.Second)
			for range 20 {
				want(t, list, revoke.Claim{Token: "good"}, stale)
				time.Sleep(time.Minute)
			}
			s.set(func(s *store) { s.down = false })
			time.Sleep(2 * time.Second)
			want(t, list, revoke.Claim{Token: "good"}, good)
		}
	})
	if bad, well := l.count("cannot be read"), l.count("can be read again"); bad != 3 || well != 3 {
		t.Errorf("said %d and %d times, want 3 and 3:\n%v", bad, well, &l)
	}
}

// TestRunBeginsWithoutAStore: a program that starts while its store is away accepts nothing, however long that lasts, and is well when the store is. A bell that is silent changes nothing.
func TestRunBeginsWithoutAStore(t *testing.T) {
	var l logs
	s := &store{down: true}
	silent := &countingBell{listen: func(ctx context.Context, _ func()) error { <-ctx.Done(); return ctx.Err() }}
	inBubble(t, s, revoke.Config{Logger: slog.New(&l), Bells: []revoke.Bell{silent}}, func(t *testing.T, list *revoke.List) {
		for range 30 {
			want(t, list, revoke.Claim{Token: "good"}, stale)
			time.Sleep(time.Minute)
		}
		s.set(func(s *store) { s.down = false })
		_, err := s.Add(t.Context(), token("t"))
		must(t, err)
		time.Sleep(2 * time.Second)
		want(t, list, revoke.Claim{Token: "good"}, good)
		want(t, list, revoke.Claim{Token: "t"}, revoked)
	})
	if bad, well := l.count("cannot be read"), l.count("can be read again"); bad != 1 || well != 1 {
		t.Errorf("said %d and %d times, want once each:\n%v", bad, well, &l)
	}
}

// hanging is a source that answers once and then never, until its context ends.
type hanging struct {
	*store
	hang atomic.Bool
}

func (h *hanging) Since(ctx context.Context, after int64, limit int) (revoke.Page, error) {
	if h.hang.Load() {
		<-ctx.Done()
		return revoke.Page{}, ctx.Err()
	}
	return h.store.Since(ctx, after, limit)
}

// TestRunHangs: a store that hangs makes a list stale, and does not keep it from recovering.
func TestRunHangs(t *testing.T) {
	h := &hanging{store: &store{}}
	inBubble(t, h, revoke.Config{}, func(t *testing.T, l *revoke.List) {
		h.hang.Store(true)
		time.Sleep(7 * time.Second)
		want(t, l, revoke.Claim{}, stale)
		h.hang.Store(false)
		time.Sleep(7 * time.Second)
		want(t, l, revoke.Claim{}, good)
	})
}

// TestSlowStoreWithMuch: a first reading that takes longer than the bound comes to its end.
func TestSlowStoreWithMuch(t *testing.T) {
	s := &store{}
	add(t, s, "a", 10*revoke.PageSize)
	s.entries[0].Expires = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	s.onSince = func(int64) { time.Sleep(2 * time.Second) }
	synctest.Test(t, func(t *testing.T) {
		l := revoke.New(s, revoke.Config{Logger: slog.New(slog.DiscardHandler)})
		start(t, l)
		time.Sleep(30 * time.Second)
		want(t, l, revoke.Claim{Token: "good"}, good)
		want(t, l, revoke.Claim{Token: "a0"}, revoked)
	})
}

// TestRunHearsBells: where a bell rings nobody waits for the next look; and rings without number cause few readings.
func TestRunHearsBells(t *testing.T) {
	rings := make(chan struct{})
	b := &countingBell{listen: func(ctx context.Context, heard func()) error {
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-rings:
				heard()
			}
		}
	}}
	s := &store{}
	synctest.Test(t, func(t *testing.T) {
		rings = make(chan struct{})
		l := revoke.New(s, revoke.Config{Bells: []revoke.Bell{b}, Bound: time.Hour, Poll: time.Minute})
		start(t, l)
		synctest.Wait()
		_, err := s.Add(t.Context(), revoke.Entry{Kind: revoke.Token, ID: "t", Expires: time.Now().Add(time.Hour)})
		must(t, err)
		rings <- struct{}{}
		time.Sleep(20 * time.Millisecond)
		want(t, l, revoke.Claim{Token: "t"}, revoked)
		reads := s.readings()
		for range 1000 {
			rings <- struct{}{}
			synctest.Wait() // each is heard
		}
		time.Sleep(time.Second)
		if got := s.readings() - reads; got > 5 {
			t.Errorf("1,000 rings at once cause %d readings, want a few", got)
		}
	})
}

// TestBellsThatCannotBeHeard: they are tried again, ever more seldom, said once for each outage, and nothing depends on them.
func TestBellsThatCannotBeHeard(t *testing.T) {
	for name, listen := range map[string]func(ctx context.Context, heard func()) error{
		"fails":  func(context.Context, func()) error { return errStore },
		"panics": func(context.Context, func()) error { panic("the secret") },
		"stops":  func(context.Context, func()) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			var l logs
			b := &countingBell{listen: listen}
			s := &store{}
			inBubble(t, s, revoke.Config{Bells: []revoke.Bell{b}, Logger: slog.New(&l)}, func(t *testing.T, list *revoke.List) {
				time.Sleep(10 * time.Minute)
				want(t, list, revoke.Claim{}, good)
				if n := b.listens.Load(); n < 60 || n > 300 {
					t.Errorf("listened to %d times in 10 minutes, want once in some seconds", n)
				}
			})
			if l.count("cannot be heard") != 1 || l.count("the secret") != 0 {
				t.Errorf("said:\n%v\nwant one line without a secret", &l)
			}
		})
	}
}

// TestABellThatDoesNotStop: Run ends without it.
func TestABellThatDoesNotStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l logs
		release := make(chan struct{})
		b := &countingBell{listen: func(context.Context, func()) error { <-release; return nil }}
		list := revoke.New(&store{}, revoke.Config{Bells: []revoke.Bell{b}, Logger: slog.New(&l)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- list.Run(ctx) }()
		time.Sleep(10 * time.Second)
		cancel()
		began := time.Now()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run() = %v, want context.Canceled", err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("Run() ends after %v, want a moment", took)
		}
		if l.count("left behind") != 1 {
			t.Errorf("said:\n%v\nwant that a bell was left behind", &l)
		}
		close(release)
	})
}

// TestRunForgets: what has expired is forgotten while the list runs.
func TestRunForgets(t *testing.T) {
	inBubble(t, &store{}, revoke.Config{}, func(t *testing.T, l *revoke.List) {
		for range 100 {
			must(t, l.RevokeToken(t.Context(), time.Now().String(), time.Now().Add(time.Minute)))
			time.Sleep(time.Second)
		}
		if l.Len() != 100 {
			t.Errorf("Len() = %d, want 100", l.Len())
		}
		time.Sleep(2*time.Minute + revoke.Keep)
		if l.Len() != 0 {
			t.Errorf("Len() = %d, want 0", l.Len())
		}
	})
}

// TestRunAfterTheEnd: with a context that is done, Run does nothing.
func TestRunAfterTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &store{}
	if err := newList(s, newClock()).Run(ctx); !errors.Is(err, context.Canceled) || s.reads != 0 {
		t.Errorf("Run() = %v after %d readings, want context.Canceled and none", err, s.reads)
	}
}
