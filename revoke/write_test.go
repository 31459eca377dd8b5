package revoke_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// TestRevoke: an entry is in the store as it was given, once the call returns, and counts here and for whoever reads it.
func TestRevoke(t *testing.T) {
	s, c := &store{}, newClock()
	l := loaded(t, s, c)
	exact := noon.Add(500 * time.Microsecond)
	must(t, l.Revoke(t.Context(),
		revoke.Entry{Seq: 99, Kind: revoke.Token, ID: "t", Expires: noon.Add(time.Hour)},
		revoke.Entry{Kind: revoke.Subject, ID: "jack", Before: exact, Expires: exact},
		revoke.Entry{Kind: revoke.Key, ID: strings.Repeat("k", revoke.MaxID)}))
	if s.adds != 1 {
		t.Errorf("Revoke() adds %d times, want 1", s.adds)
	}
	for i, e := range []revoke.Entry{
		{Seq: 1, Kind: revoke.Token, ID: "t", Expires: noon.Add(time.Hour)},
		{Seq: 2, Kind: revoke.Subject, ID: "jack", Before: noon.Add(time.Millisecond), Expires: noon.Add(time.Millisecond)},
		{Seq: 3, Kind: revoke.Key, ID: strings.Repeat("k", revoke.MaxID), Expires: noon.Add(revoke.DefaultLongest)},
	} {
		got := s.entries[i]
		if got.Seq != e.Seq || got.Kind != e.Kind || got.ID != e.ID || !got.Before.Equal(e.Before) || !got.Expires.Equal(e.Expires) {
			t.Errorf("the store has %+v, want %+v", got, e)
		}
	}
	want(t, l, revoke.Claim{Subject: "jack", Issued: noon.Add(400 * time.Microsecond)}, revoked)
	want(t, l, revoke.Claim{Token: "t"}, revoked)
	must(t, l.Revoke(t.Context()))
	if s.adds != 1 {
		t.Error("Revoke() of nothing asks the store")
	}
}

// TestRevokeRefuses: an entry that could not do what it was meant to is refused, with all that came with it.
func TestRevokeRefuses(t *testing.T) {
	for name, e := range map[string]revoke.Entry{
		"no kind":               {ID: "x"},
		"another kind":          {Kind: "client", ID: "x"},
		"a print":               {Kind: "token#", ID: "0123456789abcdef"},
		"no id":                 {Kind: revoke.Token},
		"a subject without id":  {Kind: revoke.Subject, Before: noon},
		"a long id":             {Kind: revoke.Session, ID: strings.Repeat("x", revoke.MaxID+1)},
		"a token with a time":   {Kind: revoke.Token, ID: "x", Before: noon},
		"a subject without one": {Kind: revoke.Subject, ID: "x"},
		"all without one":       {Kind: revoke.All},
		"all with an id":        {Kind: revoke.All, ID: "x", Before: noon},
		"before 1970":           {Kind: revoke.Subject, ID: "x", Before: time.Unix(-1, 0)},
		"over by 1970":          {Kind: revoke.Token, ID: "x", Expires: time.Unix(0, 0)},
		"over before 1970":      {Kind: revoke.Session, ID: "x", Expires: time.Unix(-1, 0)},
		"over long before 1970": {Kind: revoke.Subject, ID: "x", Before: noon, Expires: time.Unix(-1<<40, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			s := &store{}
			l := loaded(t, s, newClock())
			err := l.Revoke(t.Context(), token("fine"), e)
			if !errors.Is(err, revoke.ErrInvalid) || !strings.HasPrefix(err.Error(), "revoke: ") {
				t.Errorf("Revoke(%+v) = %v, want ErrInvalid", e, err)
			}
			if s.adds != 0 || l.Len() != 0 {
				t.Error("something was revoked all the same")
			}
		})
	}
}

// TestRevokeFails: an error of the store is not hidden, and what was to be revoked is refused here all the same, whether it is in the store or not.
func TestRevokeFails(t *testing.T) {
	for name, breakIt := range map[string]func(s *store){
		"before":    func(s *store) { s.down = true },
		"afterward": func(s *store) { s.lose = true },
	} {
		t.Run(name, func(t *testing.T) {
			for what, call := range map[string]func(ctx context.Context, l *revoke.List) error{
				"token":   func(ctx context.Context, l *revoke.List) error { return l.RevokeToken(ctx, "x", noon.Add(time.Hour)) },
				"session": func(ctx context.Context, l *revoke.List) error { return l.RevokeSession(ctx, "x", noon.Add(time.Hour)) },
				"sessions": func(ctx context.Context, l *revoke.List) error {
					return l.RevokeSessions(ctx, noon.Add(time.Hour), "x", "y")
				},
				"subject": func(ctx context.Context, l *revoke.List) error { return l.RevokeSubject(ctx, "x") },
				"key":     func(ctx context.Context, l *revoke.List) error { return l.RevokeKey(ctx, "x") },
				"all":     func(ctx context.Context, l *revoke.List) error { return l.RevokeAll(ctx) },
			} {
				s := &store{}
				b := &countingBell{}
				c := newClock()
				l := revoke.New(s, revoke.Config{Now: c.Now, Logger: slog.New(slog.DiscardHandler), Bells: []revoke.Bell{b}})
				load(t, l)
				s.set(breakIt)
				if err := call(t.Context(), l); !errors.Is(err, errStore) || errors.Is(err, revoke.ErrInvalid) {
					t.Errorf("%s: %v, want errStore", what, err)
				}
				want(t, l, revoke.Claim{Token: "x", Session: "x", Subject: "x", Key: "x"}, revoked)
				if b.rung.Load() != 0 {
					t.Errorf("%s: others were told of what may not be", what)
				}
			}
		})
	}
}

// TestRevokeCancelled: a call that is given up is not a success.
func TestRevokeCancelled(t *testing.T) {
	l := loaded(t, &store{}, newClock())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.RevokeToken(ctx, "t", noon); err == nil {
		t.Error("RevokeToken() = nil, want an error")
	}
}

// A countingBell counts.
type countingBell struct {
	rung, listens atomic.Int64
	ring          func(ctx context.Context) error
	listen        func(ctx context.Context, heard func()) error
}

func (b *countingBell) Ring(ctx context.Context) error {
	b.rung.Add(1)
	if b.ring != nil {
		return b.ring(ctx)
	}
	return nil
}

func (b *countingBell) Listen(ctx context.Context, heard func()) error {
	b.listens.Add(1)
	if b.listen != nil {
		return b.listen(ctx, heard)
	}
	heard()
	<-ctx.Done()
	return ctx.Err()
}

// TestBellsHurtNobody: a revocation stands whatever its bells do, and waits for none of them for long.
func TestBellsHurtNobody(t *testing.T) {
	forever := make(chan struct{})
	for name, tt := range map[string]struct {
		ring func(ctx context.Context) error
		logs string
		long time.Duration
	}{
		"one that works":              {nil, "", 0},
		"one that fails":              {func(context.Context) error { return errStore }, "errStore", 0},
		"one that panics":             {func(context.Context) error { panic("the secret") }, "panicked (string)", 0},
		"one that takes its time":     {func(context.Context) error { time.Sleep(100 * time.Millisecond); return nil }, "", 100 * time.Millisecond},
		"one that hangs till its end": {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, "deadline", 250 * time.Millisecond},
		"one that hangs for ever":     {func(context.Context) error { <-forever; return nil }, "", 250 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				forever = make(chan struct{})
				var l logs
				b, other := &countingBell{ring: tt.ring}, &countingBell{}
				list := revoke.New(&store{}, revoke.Config{Bells: []revoke.Bell{other, b}, Logger: slog.New(&l)})
				load(t, list)
				for i := range 10 {
					began := time.Now()
					must(t, list.RevokeToken(t.Context(), fmt.Sprint(i), began.Add(time.Hour)))
					if took := time.Since(began); took > tt.long {
						t.Errorf("Revoke() takes %v, want %v at most", took, tt.long)
					}
				}
				time.Sleep(time.Minute)
				close(forever)
				synctest.Wait()
				if b.rung.Load() == 0 || b.rung.Load() > 10 || other.rung.Load() != 10 {
					t.Errorf("rung %d and %d times, want 1 to 10, and 10", b.rung.Load(), other.rung.Load())
				}
				wanted := 1
				if tt.logs == "" {
					wanted = 0
				}
				if got := l.count("could not be told"); got != wanted {
					t.Errorf("said %d times, want %d:\n%v", got, wanted, &l)
				}
				if l.count("the secret") != 0 {
					t.Errorf("it tells the panic's value:\n%v", &l)
				}
			})
		})
	}
}

// leaving is a store whose caller gives up as soon as everything is there.
type leaving struct {
	*store
	leave context.CancelFunc
}

func (l *leaving) Add(ctx context.Context, entries ...revoke.Entry) (int64, error) {
	defer l.leave()
	return l.store.Add(ctx, entries...)
}

// TestBellsRingForThoseWhoHaveLeft: a revocation that stands is told to the others, even if its caller waits no more.
func TestBellsRingForThoseWhoHaveLeft(t *testing.T) {
	var heard error
	b := &countingBell{ring: func(ctx context.Context) error { heard = ctx.Err(); return heard }}
	ctx, cancel := context.WithCancel(t.Context())
	l := revoke.New(&leaving{&store{}, cancel}, revoke.Config{Bells: []revoke.Bell{b}})
	load(t, l)
	must(t, l.RevokeToken(ctx, "t", noon))
	if b.rung.Load() != 1 || heard != nil {
		t.Errorf("rung %d times, with a context that says %v; want once, with one that goes on", b.rung.Load(), heard)
	}
}

// TestRevokeWaitsForItsBells for a moment, all of them: a program that ends at once has told the others.
func TestRevokeWaitsForItsBells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &countingBell{ring: func(context.Context) error { time.Sleep(100 * time.Millisecond); return nil }}
		for _, bells := range [][]revoke.Bell{{slow, &countingBell{}}, {&countingBell{}, slow}} {
			l := revoke.New(&store{}, revoke.Config{Bells: bells})
			load(t, l)
			began := time.Now()
			must(t, l.RevokeToken(t.Context(), "t", began))
			if took := time.Since(began); took != 100*time.Millisecond {
				t.Errorf("Revoke() takes %v, want 100ms", took)
			}
		}
	})
}

// TestABellThatHangsKeepsNoOtherFromRinging, whichever of them comes first.
func TestABellThatHangsKeepsNoOtherFromRinging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung, fine := &countingBell{ring: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}, &countingBell{}
		l := revoke.New(&store{}, revoke.Config{Bells: []revoke.Bell{hung, fine}, Logger: slog.New(slog.DiscardHandler)})
		load(t, l)
		must(t, l.RevokeToken(t.Context(), "t", time.Now()))
		if fine.rung.Load() != 1 {
			t.Error("the second bell has not been rung when Revoke returns")
		}
		time.Sleep(time.Minute)
	})
}

// TestRingsAreNotLost: whoever revokes while a bell is being rung has it rung again.
func TestRingsAreNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		enter, leave := make(chan struct{}, 10), make(chan struct{})
		b := &countingBell{ring: func(context.Context) error { enter <- struct{}{}; <-leave; return nil }}
		l := revoke.New(&store{}, revoke.Config{Bells: []revoke.Bell{b}})
		load(t, l)
		var all sync.WaitGroup
		all.Go(func() { must(t, l.RevokeToken(t.Context(), "a", time.Now())) })
		<-enter
		for i := range 5 {
			must(t, l.RevokeToken(t.Context(), fmt.Sprint(i), time.Now()))
		}
		close(leave)
		all.Wait()
		synctest.Wait()
		if got := b.rung.Load(); got != 2 {
			t.Errorf("rung %d times, want twice: once for all that came in between", got)
		}
	})
}

// TestRevokeParallel: revocations, checks, readings and sweeps at once lose nothing.
func TestRevokeParallel(t *testing.T) {
	s, c := &store{}, newClock()
	lists := []*revoke.List{loaded(t, s, c), loaded(t, s, c)}
	for _, l := range lists {
		start(t, l)
	}
	const n = 300
	var all sync.WaitGroup
	for w := range 4 {
		l := lists[w%2]
		all.Go(func() {
			for i := range n {
				id := fmt.Sprint(w, "-", i)
				if err := l.RevokeToken(context.Background(), id, noon.Add(time.Duration(1+i%2)*time.Hour)); err != nil {
					t.Error(err)
				}
				want(t, l, revoke.Claim{Token: id}, revoked)
				want(t, l, revoke.Claim{Token: "x" + id}, good)
				if i%50 == 0 {
					l.Sweep()
					load(t, l)
				}
			}
		})
	}
	all.Wait()
	for _, l := range lists {
		load(t, l)
		for w := range 4 {
			wantTokens(t, l, fmt.Sprint(w, "-"), n)
		}
		if l.Len() != 4*n {
			t.Errorf("Len() = %d, want %d", l.Len(), 4*n)
		}
	}
}

// slow is a store that takes its time before it answers, and has added meanwhile.
type slow struct {
	*store
	takes time.Duration
}

func (s *slow) Add(ctx context.Context, entries ...revoke.Entry) (int64, error) {
	time.Sleep(s.takes / 2)
	seq, err := s.store.Add(ctx, entries...)
	time.Sleep(s.takes / 2)
	return seq, err
}

// TestRevocationsThatOverlap: where there is no moment at which nothing is on its way, what is noted does not grow with what is read, whether each revokes something else or all the same, and whether
// others revoke as well.
func TestRevocationsThatOverlap(t *testing.T) {
	const writers, rounds = 16, 200
	for name, id := range map[string]func(node, writer, round int) string{
		"something else each":    func(node, writer, round int) string { return fmt.Sprint(node, "-", writer, "-", round) },
		"the same each":          func(int, int, int) string { return "t" },
		"the same as the others": func(_, writer, round int) string { return fmt.Sprint(writer, "-", round) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &slow{&store{}, 3 * time.Millisecond}
				var lists []*revoke.List
				for range 2 {
					l := revoke.New(s, revoke.Config{Logger: slog.New(slog.DiscardHandler)})
					start(t, l)
					lists = append(lists, l)
				}
				synctest.Wait()
				expires := time.Now().Add(time.Hour)
				var all sync.WaitGroup
				for node, l := range lists {
					for writer := range writers {
						all.Go(func() {
							time.Sleep(time.Duration(writer) * 190 * time.Microsecond) // they do not end at once
							for round := range rounds {
								if err := l.RevokeToken(t.Context(), id(node, writer, round), expires); err != nil {
									t.Error(err)
								}
							}
						})
					}
				}
				most := 0
				for range rounds {
					time.Sleep(3 * time.Millisecond)
					for _, l := range lists {
						most = max(most, l.Noted())
					}
				}
				all.Wait()
				time.Sleep(2 * time.Second)
				if s.size() != 2*writers*rounds || most > 5*writers {
					t.Errorf("of %d entries %d were noted at once, want no more than a few for each of the %d that are on their way", s.size(), most, writers)
				}
				for _, l := range lists {
					if l.Noted() != 0 || l.Owed() != 0 || l.Last() != int64(s.size()) {
						t.Errorf("in the end %d are noted and %d owed at %d of %d, want none at the end", l.Noted(), l.Owed(), l.Last(), s.size())
					}
				}
			})
		})
	}
}
