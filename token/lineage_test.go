package token_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// TestLineages: whatever is done with the refresh tokens of a log-in, in whichever order, there is one that can be used at most, and nothing works after its end.
func TestLineages(t *testing.T) {
	forms(t, func(t *testing.T, change func(*token.FamiliesConfig)) {
		rapid.Check(t, func(r *rapid.T) {
			d := newDesk(t, func(c *token.FamiliesConfig) {
				if change != nil {
					change(c)
				}
				c.Idle, c.Absolute = time.Hour, 150*time.Minute
			})
			l := &lineage{desk: d, began: d.Time}
			l.add(d.start())
			r.Repeat(map[string]func(*rapid.T){
				"": func(r *rapid.T) { l.check(r) },
				"refresh": func(r *rapid.T) {
					l.refresh(r, rapid.IntRange(0, len(l.pairs)-1).Draw(r, "which"))
				},
				"refresh the last":     func(r *rapid.T) { l.refresh(r, len(l.pairs)-1) },
				"refresh the one more": func(r *rapid.T) { l.refresh(r, max(0, len(l.pairs)-2)) },
				"wait": func(r *rapid.T) {
					d.later(rapid.SampledFrom([]time.Duration{time.Second, 10 * time.Second, 11 * time.Second, 5 * time.Minute, 59 * time.Minute, time.Hour}).Draw(r, "for"))
				},
				"end": func(r *rapid.T) {
					if err := d.families.End(t.Context(), l.pairs[0].Access.Claims.Session); err != nil {
						r.Fatal(err)
					}
					l.ended = true
				},
				"look": func(r *rapid.T) {
					i := rapid.IntRange(0, len(l.pairs)-1).Draw(r, "which")
					_, err := d.families.Verify(t.Context(), l.text(i))
					if want := !l.ended && !l.over(i) && l.used[i].IsZero(); (err == nil) != want {
						r.Fatalf("Verify of refresh token %d of %d = %v, want good: %v", i, len(l.pairs), err, want)
					}
				},
			})
		})
	})
}

// A lineage is what should be true of one log-in.
type lineage struct {
	*desk
	began time.Time
	pairs []token.Pair
	made  []time.Time
	used  []time.Time // zero: not yet
	ended bool
}

func (l *lineage) add(p token.Pair) {
	l.pairs, l.made, l.used = append(l.pairs, p), append(l.made, l.Time), append(l.used, time.Time{})
}

func (l *lineage) text(i int) string { return l.pairs[i].Refresh.Text.Reveal() }

// over reports whether the time of refresh token i, or of the log-in, is.
func (l *lineage) over(i int) bool {
	return !l.Time.Before(l.made[i].Add(time.Hour)) || !l.Time.Before(l.began.Add(150*time.Minute))
}

// refresh uses refresh token i, and says what must come of it.
func (l *lineage) refresh(r *rapid.T, i int) {
	pair, err := l.families.Refresh(l.T.Context(), l.text(i))
	what := fmt.Sprintf("Refresh of token %d of %d = %v, want ", i, len(l.pairs), err)
	switch again := !l.used[i].IsZero(); {
	case l.ended:
		if !errors.Is(err, token.ErrInvalid) && !errors.Is(err, revoke.ErrRevoked) {
			r.Fatal(what + "a refusal: the log-in has ended")
		}
	case again && l.Sub(l.used[i]) <= token.DefaultGrace && l.used[i+1].IsZero():
		if err != nil || !pair.Refresh.Text.Equal(l.pairs[i+1].Refresh.Text) {
			r.Fatal(what + "the same successor")
		}
	case again:
		if !errors.Is(err, token.ErrReused) {
			r.Fatal(what + "ErrReused")
		}
		l.ended = true
	case l.over(i):
		if !errors.Is(err, token.ErrExpired) {
			r.Fatal(what + "ErrExpired")
		}
	default:
		if err != nil {
			r.Fatal(what + "a pair")
		}
		l.used[i] = l.Time
		l.add(pair)
	}
}

// check looks at the access tokens, and at when the refresh tokens say that they end.
func (l *lineage) check(r *rapid.T) {
	for i, p := range l.pairs {
		_, err := l.access.Verify(l.T.Context(), p.Access.Text.Reveal())
		young := l.Sub(l.made[i]) < token.Access().TTL
		if l.ended && !errors.Is(err, gatehouse.ErrCredential) || !l.ended && young && err != nil {
			r.Fatalf("the access token of pair %d: %v, the log-in has ended: %v", i, err, l.ended)
		}
		if p.Refresh.Claims.ExpiresAt.After(l.began.Add(150 * time.Minute)) {
			r.Fatalf("refresh token %d ends at %v, after the log-in", i, p.Refresh.Claims.ExpiresAt)
		}
	}
}

// TestTwoTabs: two tabs of one browser renew at the same time, again and again, with what they have: neither is signed out.
func TestTwoTabs(t *testing.T) {
	forms(t, func(t *testing.T, change func(*token.FamiliesConfig)) {
		d := newDesk(t, change)
		one := d.start()
		two := one
		for round := range 10 {
			d.later(9 * time.Minute)
			var both sync.WaitGroup
			for _, tab := range []*token.Pair{&one, &two} {
				both.Go(func() {
					pair, err := d.families.Refresh(t.Context(), tab.Refresh.Text.Reveal())
					if err != nil {
						t.Errorf("round %d: %v, want a pair", round, err)
						return
					}
					*tab = pair
				})
			}
			both.Wait()
			if !one.Refresh.Text.Equal(two.Refresh.Text) {
				t.Fatalf("round %d: the tabs have two lineages", round)
			}
			for _, tab := range []token.Pair{one, two} {
				if _, err := d.access.Verify(t.Context(), tab.Access.Text.Reveal()); err != nil {
					t.Errorf("round %d: an access token: %v, want nil", round, err)
				}
			}
		}
	})
}

// TestParallelRefreshesOfAThief: fifty at once, where the token was used long ago: all are refused, and the log-in has ended.
func TestParallelRefreshesOfAThief(t *testing.T) {
	forms(t, func(t *testing.T, change func(*token.FamiliesConfig)) {
		d := newDesk(t, change)
		stolen := d.start()
		current := d.refresh(stolen)
		d.later(time.Minute)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if pair, err := d.families.Refresh(t.Context(), stolen.Refresh.Text.Reveal()); !errors.Is(err, gatehouse.ErrCredential) || !pair.Access.Text.IsZero() {
					t.Errorf("Refresh = %v, want a refusal", err)
				}
			})
		}
		all.Wait()
		d.dead("the current pair", current)
	})
}

// TestLostAnswers: the process, or the connection to the store, ends after the successor was stored and before it was given: within the grace the same token gets it. After the grace nobody
// can tell the client from a thief.
func TestLostAnswers(t *testing.T) {
	for after, good := range map[time.Duration]bool{0: true, 9 * time.Second: true, 11 * time.Second: false} {
		store := &brokenTokens{Store: memory.Tokens(), done: true}
		d := newDesk(t, func(c *token.FamiliesConfig) { c.Store = store })
		first := d.start()
		store.err, store.after = errors.New("the connection was lost"), 1 // it is found, and rotated, and that is not heard of
		if pair, err := d.families.Refresh(t.Context(), first.Refresh.Text.Reveal()); !errors.Is(err, store.err) || errors.Is(err, gatehouse.ErrCredential) || !pair.Refresh.Text.IsZero() {
			t.Fatalf("Refresh = %v, want the store's error", err)
		}
		store.err = nil
		d.later(after)
		pair, err := d.families.Refresh(t.Context(), first.Refresh.Text.Reveal())
		if !good {
			if !errors.Is(err, token.ErrReused) {
				t.Errorf("%v later: %v, want ErrReused", after, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v later: %v, want a pair", after, err)
			continue
		}
		d.later(time.Minute)
		d.refresh(pair)
	}
}

// TestFailuresOfTheStore: whichever call fails, the answer is never a pair, never "bad token", and, unless the log-in has ended, the client can try again.
func TestFailuresOfTheStore(t *testing.T) {
	forms(t, func(t *testing.T, change func(*token.FamiliesConfig)) {
		for _, done := range []bool{false, true} {
			for call := range 4 {
				store := &brokenTokens{Store: memory.Tokens(), done: done}
				d := newDesk(t, func(c *token.FamiliesConfig) {
					if change != nil {
						change(c)
					}
					c.Store = store
				})
				pair := d.start()
				text := pair.Refresh.Text.Reveal()
				store.err = errors.New("the database is away")
				for what, act := range map[string]func() (token.Pair, error){
					"Start":      func() (token.Pair, error) { return d.families.Start(t.Context(), token.Claims{Subject: "ann"}) },
					"Refresh":    func() (token.Pair, error) { return d.families.Refresh(t.Context(), text) },
					"Verify":     func() (token.Pair, error) { _, err := d.families.Verify(t.Context(), text); return token.Pair{}, err },
					"Identity":   func() (token.Pair, error) { _, err := d.families.Identity(t.Context(), text); return token.Pair{}, err },
					"EndSubject": func() (token.Pair, error) { return token.Pair{}, d.families.EndSubject(t.Context(), "ann") },
					"End": func() (token.Pair, error) {
						return token.Pair{}, d.families.End(t.Context(), "somebody's")
					},
				} {
					store.after = call
					got, err := act()
					if store.after >= 0 {
						continue // it does not make so many calls
					}
					if !errors.Is(err, store.err) || errors.Is(err, gatehouse.ErrCredential) || !got.Access.Text.IsZero() || !got.Refresh.Text.IsZero() {
						t.Errorf("%s where call %d fails (done: %v) = %v, want the store's error alone", what, call+1, done, err)
					}
				}
				store.err = nil
				d.refresh(pair) // within the grace, if it was done
			}
		}
	})
}

// A failingRevoker cannot revoke.
type failingRevoker struct {
	*revoke.List
	err error
}

func (r *failingRevoker) RevokeSession(context.Context, string, time.Time) error { return r.err }
func (r *failingRevoker) RevokeSubject(context.Context, string) error            { return r.err }

// TestFailuresToRevoke: what could not be revoked has not ended, and whoever asks is told so: also a thief, of whom the log-in is kept until it can be.
func TestFailuresToRevoke(t *testing.T) {
	revoker := &failingRevoker{err: errors.New("the feed is away")}
	d := newDesk(t, func(c *token.FamiliesConfig) {
		revoker.List = c.Revocations.(*revoke.List)
		c.Revocations = revoker
	})
	first := d.start()
	second := d.refresh(first)
	sid := first.Access.Claims.Session
	d.later(time.Minute)
	for what, err := range map[string]error{"End": d.families.End(t.Context(), sid), "EndSubject": d.families.EndSubject(t.Context(), "jack"),
		"Refresh of a used token": func() error { _, err := d.families.Refresh(t.Context(), first.Refresh.Text.Reveal()); return err }()} {
		if !errors.Is(err, revoker.err) || errors.Is(err, gatehouse.ErrCredential) {
			t.Errorf("%s = %v, want the feed's error", what, err)
		}
	}
	if _, err := d.access.Verify(t.Context(), second.Access.Text.Reveal()); err != nil {
		t.Errorf("what could not be revoked: %v, want nil", err)
	}
}

// A leftStore is a store in the midst of whose answer the client goes away.
type leftStore struct {
	token.Store
	leave context.CancelFunc
}

func (l *leftStore) Get(ctx context.Context, key token.Key) (token.Record, error) {
	rec, err := l.Store.Get(ctx, key)
	l.leave()
	return rec, err
}

// A busyRevoker does nothing for somebody who is gone.
type busyRevoker struct{ *revoke.List }

func (l busyRevoker) RevokeSession(ctx context.Context, sid string, expires time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return l.List.RevokeSession(ctx, sid, expires)
}

// TestReuseCannotBeHushedUp: a log-in whose token came twice ends, also if whoever has sent it does not wait for the answer.
func TestReuseCannotBeHushedUp(t *testing.T) {
	forms(t, func(t *testing.T, change func(*token.FamiliesConfig)) {
		ctx, cancel := context.WithCancel(t.Context())
		store := &leftStore{leave: func() {}}
		d := newDesk(t, func(c *token.FamiliesConfig) {
			if change != nil {
				change(c)
			}
			store.Store = c.Store
			c.Store, c.Revocations = store, busyRevoker{c.Revocations.(*revoke.List)}
		})
		first := d.start()
		second := d.refresh(first)
		d.later(time.Minute)
		store.leave = cancel
		if got, err := d.families.Refresh(ctx, first.Refresh.Text.Reveal()); !errors.Is(err, token.ErrReused) {
			t.Errorf("a used token from who goes away = %v, %v, want ErrReused", got, err)
		}
		if got, err := d.families.Refresh(t.Context(), second.Refresh.Text.Reveal()); !errors.Is(err, gatehouse.ErrCredential) {
			t.Errorf("the successor after that = %v, %v, want that it is refused", got, err)
		}
		got, err := d.access.Verify(t.Context(), second.Access.Text.Reveal())
		refused(t, "the access token after that", got, err, revoke.ErrRevoked)
	})
}

// TestEndsAreRememberedForTheLongestToken: a token of the log-in that lives for longer than the log-in does not come back when the entry is forgotten.
func TestEndsAreRememberedForTheLongestToken(t *testing.T) {
	d := newDesk(t, func(c *token.FamiliesConfig) { c.TokenLife = 300 * 24 * time.Hour })
	year := access()
	year.MaxTTL = 300 * 24 * time.Hour
	m := minterOf(t, token.MinterConfig{Purpose: year, Ring: d.ring, Revocations: d.list, Now: d.now})
	sid := d.start().Access.Claims.Session
	long, err := m.Mint(t.Context(), token.Claims{Subject: "jack", Session: sid}, token.TTL(300*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.families.End(t.Context(), sid); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		d.later(99 * 24 * time.Hour)
		if _, err := d.list.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, err := d.access.Verify(t.Context(), long.Text.Reveal())
		refused(t, "a long-lived token of a log-in that has ended", got, err, revoke.ErrRevoked)
	}
}

// TestReuseIsHeardOfElsewhere: what a reuse ends is revoked durably: another process, which shares the feed, refuses the access tokens, and a process that begins later does.
func TestReuseIsHeardOfElsewhere(t *testing.T) {
	feed := memory.Revocations()
	var c *clock
	d := newDesk(t, func(f *token.FamiliesConfig) {
		c = &clock{noon().Time}
		list := revoke.New(feed, revoke.Config{Now: f.Now})
		if err := list.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.Revocations = list
	})
	first := d.start()
	second := d.refresh(first)
	c.pass(11 * time.Second)
	d.clock.pass(11 * time.Second)
	d.families.Refresh(t.Context(), first.Refresh.Text.Reveal()) // the list there is stale by now, and still takes what is revoked
	later := revoke.New(feed, revoke.Config{Now: c.now})
	if err := later.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	elsewhere := verifierOf(t, token.VerifierConfig{Purpose: access(), Ring: d.ring, Revocations: later, Now: c.now})
	for _, p := range []token.Pair{first, second} {
		got, err := elsewhere.Verify(t.Context(), p.Access.Text.Reveal())
		refused(t, "an access token at another process", got, err, revoke.ErrRevoked)
	}
}

// TestRevokedMeanwhile: who is revoked while a log-in begins, or is renewed, gets nothing that says that it was issued after.
func TestRevokedMeanwhile(t *testing.T) {
	forms(t, func(t *testing.T, change func(*token.FamiliesConfig)) {
		for _, end := range []string{"the subject", "everything of the subject's", "the session", "all"} {
			var d *desk
			armed, sid := false, ""
			strike := func() {
				if !armed {
					return
				}
				armed = false
				var err error
				switch end {
				case "the subject":
					err = d.list.RevokeSubject(t.Context(), "jack")
				case "everything of the subject's":
					err = d.families.EndSubject(t.Context(), "jack")
				case "the session":
					err = d.list.RevokeSession(t.Context(), sid, d.Add(time.Hour))
				default:
					err = d.list.RevokeAll(t.Context())
				}
				if err != nil {
					t.Error(err)
				}
			}
			store := &strikingTokens{Store: memory.Tokens(), strike: func() { strike() }}
			d = newDesk(t, func(c *token.FamiliesConfig) {
				if change != nil {
					change(c)
				}
				c.Store = store
			})
			pair := d.start()
			armed, sid = true, pair.Access.Claims.Session
			got, err := d.families.Refresh(t.Context(), pair.Refresh.Text.Reveal())
			if !errors.Is(err, gatehouse.ErrCredential) || !got.Access.Text.IsZero() {
				t.Errorf("%s is revoked while it is renewed: %v, want a refusal", end, err)
			}
			d.dead(end+" was revoked while it was renewed", pair)
			if end == "the session" {
				continue // of a log-in that begins, nobody knows it yet
			}
			d.later(2 * time.Second)
			armed = true
			got, err = d.families.Start(t.Context(), token.Claims{Subject: "jack"})
			if !errors.Is(err, gatehouse.ErrCredential) || !got.Access.Text.IsZero() {
				t.Errorf("%s is revoked while a log-in begins: %v, want a refusal", end, err)
			}
		}
	})
}

// A strikingTokens does something just before a record comes in.
type strikingTokens struct {
	token.Store
	strike func()
}

func (s *strikingTokens) Create(ctx context.Context, rec token.Record) error {
	s.strike()
	return s.Store.Create(ctx, rec)
}

func (s *strikingTokens) Rotate(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
	s.strike()
	return s.Store.Rotate(ctx, key, used, sealed, next)
}

// TestRevokedSubjectsDoNotRenew: a log-in from before its subject was revoked is over, however it was renewed since; one from after is good.
func TestRevokedSubjectsDoNotRenew(t *testing.T) {
	forms(t, func(t *testing.T, change func(*token.FamiliesConfig)) {
		d := newDesk(t, change)
		pair := d.start()
		d.later(time.Minute)
		pair = d.refresh(pair)
		if err := d.list.RevokeSubject(t.Context(), "jack"); err != nil {
			t.Fatal(err)
		}
		fresh := d.start()
		d.later(time.Minute)
		if _, err := d.families.Refresh(t.Context(), pair.Refresh.Text.Reveal()); !errors.Is(err, revoke.ErrRevoked) {
			t.Errorf("a log-in from before: %v, want ErrRevoked", err)
		}
		d.refresh(fresh)
	})
}

// TestLateReuse: a used token that comes back when its own time is over ends the log-in all the same.
func TestLateReuse(t *testing.T) {
	forms(t, func(t *testing.T, change func(*token.FamiliesConfig)) {
		d := newDesk(t, func(c *token.FamiliesConfig) {
			if change != nil {
				change(c)
			}
			c.Idle = 24 * time.Hour
		})
		first := d.start()
		pair := first
		for range 5 {
			d.later(20 * time.Hour)
			pair = d.refresh(pair)
		}
		if _, err := d.families.Refresh(t.Context(), first.Refresh.Text.Reveal()); !errors.Is(err, token.ErrReused) {
			t.Errorf("the first token, four days later: %v, want ErrReused", err)
		}
		d.dead("the current pair", pair)
	})
}

// TestAbsoluteLimitHolds: ten thousand renewals do not move the end of a log-in by a second.
func TestAbsoluteLimitHolds(t *testing.T) {
	d := newDesk(t, func(c *token.FamiliesConfig) {
		c.Access.Ring = ringOf(t, "access", keyring.HS256)
	})
	pair := d.start()
	end := d.Add(token.DefaultRefreshAbsolute)
	step := token.DefaultRefreshAbsolute / 10_001
	for i := range 10_000 {
		d.later(step)
		pair = d.refresh(pair)
		if pair.Refresh.Claims.ExpiresAt.After(end) || pair.Access.Claims.ExpiresAt.After(end.Add(token.Access().TTL)) {
			t.Fatalf("after %d renewals the tokens end at %v and %v, want no later than %v", i+1, pair.Refresh.Claims.ExpiresAt, pair.Access.Claims.ExpiresAt, end)
		}
	}
	d.later(end.Sub(d.Time))
	if _, err := d.families.Refresh(t.Context(), pair.Refresh.Text.Reveal()); !errors.Is(err, token.ErrExpired) {
		t.Errorf("at the end: %v, want ErrExpired", err)
	}
}

// TestGraceAndClocks: a process whose clock is a little ahead has used a token in the future: that is within the grace; an hour ahead is not.
func TestGraceAndClocks(t *testing.T) {
	for ahead, good := range map[time.Duration]bool{20 * time.Second: true, 30 * time.Second: true, 31 * time.Second: false, time.Hour: false} {
		d := newDesk(t, nil)
		first := d.start()
		d.later(ahead)
		d.refresh(first)
		d.clock.pass(-ahead)
		if err := d.list.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := d.families.Refresh(t.Context(), first.Refresh.Text.Reveal()); good != (err == nil) || !good && !errors.Is(err, token.ErrReused) {
			t.Errorf("used %v in the future: %v, want a pair: %v", ahead, err, good)
		}
	}
	never := newDesk(t, func(c *token.FamiliesConfig) { c.Grace = -1 })
	first := never.start()
	never.refresh(first)
	if _, err := never.families.Refresh(t.Context(), first.Refresh.Text.Reveal()); !errors.Is(err, token.ErrReused) {
		t.Errorf("without a grace: %v, want ErrReused", err)
	}
}

// TestKeysOfRefreshTokens: a refresh token that is a JWT dies with its key.
func TestKeysOfRefreshTokens(t *testing.T) {
	ring := ringOf(t, "refresh", keyring.HS256)
	d := newDesk(t, func(c *token.FamiliesConfig) { c.Purpose.Form, c.Ring = token.JWT, ring })
	pair := d.start()
	if err := d.list.RevokeKey(t.Context(), ring.All()[0].ID()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.families.Refresh(t.Context(), pair.Refresh.Text.Reveal()); !errors.Is(err, revoke.ErrRevoked) {
		t.Errorf("its key was revoked: %v, want ErrRevoked", err)
	}
	if pair, err := d.families.Start(t.Context(), token.Claims{Subject: "jack"}); err == nil || errors.Is(err, gatehouse.ErrCredential) {
		t.Errorf("Start with a key that was revoked = %v, %v, want an error that is nobody's fault", pair, err)
	}
}

// TestStaleFamilies: where nobody knows whether a log-in was revoked it is not renewed, and its token is not used up.
func TestStaleFamilies(t *testing.T) {
	forms(t, func(t *testing.T, change func(*token.FamiliesConfig)) {
		d := newDesk(t, change)
		pair := d.start()
		d.clock.pass(time.Minute)
		for what, err := range map[string]error{
			"Refresh":  func() error { _, err := d.families.Refresh(t.Context(), pair.Refresh.Text.Reveal()); return err }(),
			"Verify":   func() error { _, err := d.families.Verify(t.Context(), pair.Refresh.Text.Reveal()); return err }(),
			"Identity": func() error { _, err := d.families.Identity(t.Context(), pair.Refresh.Text.Reveal()); return err }(),
			"Start":    func() error { _, err := d.families.Start(t.Context(), token.Claims{Subject: "jack"}); return err }(),
		} {
			if _, ok := errors.AsType[*gatehouse.StaleError](err); !ok || errors.Is(err, gatehouse.ErrCredential) {
				t.Errorf("%s with a stale list = %v, want a StaleError", what, err)
			}
		}
		d.later(0)
		d.refresh(pair)
	})
}

// TestDamagedSuccessors: what a store gives back as the sealed successor is what this token has sealed, or the answer is an error that is nobody's fault.
func TestDamagedSuccessors(t *testing.T) {
	damage := func(*token.Record) {}
	store := &changedTokens{Store: memory.Tokens(), change: func(r *token.Record) { damage(r) }}
	d := newDesk(t, func(c *token.FamiliesConfig) { c.Store = store })
	other := d.start()
	d.refresh(other)
	stolen := must(store.Get(t.Context(), token.RecordOf(other.Refresh.Text.Reveal())))
	first := d.start()
	d.refresh(first)
	for what, change := range map[string]func(*token.Record){
		"nothing": func(r *token.Record) { r.Sealed = nil }, "a bit": func(r *token.Record) { r.Sealed = append([]byte{}, r.Sealed...); r.Sealed[len(r.Sealed)/2] ^= 1 }, "cut": func(r *token.Record) { r.Sealed = r.Sealed[:20] },
		"that of another log-in": func(r *token.Record) { r.Sealed = stolen.Sealed }, "the record of another log-in": func(r *token.Record) { r.Next = stolen.Next },
	} {
		damage = func(r *token.Record) {
			if !r.Used.IsZero() {
				change(r)
			}
		}
		if pair, err := d.families.Refresh(t.Context(), first.Refresh.Text.Reveal()); err == nil || errors.Is(err, gatehouse.ErrCredential) || !pair.Refresh.Text.IsZero() {
			t.Errorf("%s: Refresh = %v, want an error that is nobody's fault", what, err)
		}
	}
	damage = func(r *token.Record) { r.Family = "another" }
	if pair, err := d.families.Refresh(t.Context(), first.Refresh.Text.Reveal()); err == nil || !pair.Refresh.Text.IsZero() {
		t.Errorf("the record of another family: Refresh = %v, want an error", err)
	}
}

// TestAllowThatPanics: a mistake in the program is no refusal, and uses nothing up.
func TestAllowThatPanics(t *testing.T) {
	oh := true
	d := newDesk(t, func(c *token.FamiliesConfig) {
		c.Allow = func(_ context.Context, c token.Claims) (token.Claims, error) {
			if oh {
				panic("oh")
			}
			return c, nil
		}
	})
	pair := d.start()
	if got, err := d.families.Refresh(t.Context(), pair.Refresh.Text.Reveal()); err == nil || errors.Is(err, gatehouse.ErrCredential) || !got.Access.Text.IsZero() {
		t.Errorf("Refresh = %v, want an error that is nobody's fault", err)
	}
	oh = false
	d.refresh(pair)
}

// TestFamiliesOfClients: what was given to a client stays its, whatever Allow says, and so do the scopes unless it narrows them.
func TestFamiliesOfClients(t *testing.T) {
	d := newDesk(t, func(c *token.FamiliesConfig) {
		c.Allow = func(_ context.Context, c token.Claims) (token.Claims, error) {
			c.Client, c.Scopes, c.ID, c.Issuer, c.Audience = "other", []string{"a"}, "mine", "mine", []string{"mine"}
			return c, nil
		}
	})
	pair := must(d.families.Start(t.Context(), token.Claims{Subject: "jack", Client: "app", Scopes: []string{"a", "b"}, AuthTime: d.Add(-time.Hour), Methods: []string{"pwd"}, Email: "j@example.org", Audience: []string{"mine"}, NotBefore: d.Add(time.Hour)}))
	for range 3 {
		pair = d.refresh(pair)
		c, err := d.access.Verify(t.Context(), pair.Access.Text.Reveal())
		if got, want := fmt.Sprint(c.Client, c.Scopes, c.Methods, c.Email, c.AuthTime.Equal(noon().Add(-time.Hour)), c.Audience, c.Issuer), "app[a] [pwd]j@example.orgtrue ["+audience[0]+"]"+issuer; err != nil || strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
			t.Errorf("the access token says %s, %v, want %s", got, err, want)
		}
	}
}

// TestFamiliesConfigsThatAreNone: what families cannot do without, and times that make no sense.
func TestFamiliesConfigsThatAreNone(t *testing.T) {
	list := listOf(t, noon())
	refresh := token.Refresh()
	refresh.Audience = audience
	ring := ringOf(t, "access", keyring.HS256)
	short := must(keyring.New(memory.Keys(), keyring.Config{Name: "refresh", Master: keyring.NewMaster(), Lifetime: time.Hour}))
	good := token.FamiliesConfig{Issuer: issuer, Purpose: refresh, Store: memory.Tokens(), Revocations: list, Access: minterOf(t, token.MinterConfig{Purpose: access(), Ring: ring}), Logger: slog.New(slog.DiscardHandler)}
	if _, err := token.NewFamilies(good); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*token.FamiliesConfig){
		"no store": func(c *token.FamiliesConfig) { c.Store = nil }, "no minter": func(c *token.FamiliesConfig) { c.Access = nil }, "no list": func(c *token.FamiliesConfig) { c.Revocations = nil }, "no issuer": func(c *token.FamiliesConfig) { c.Issuer = "" },
		"no audience": func(c *token.FamiliesConfig) { c.Purpose.Audience = nil }, "no ring": func(c *token.FamiliesConfig) { c.Purpose.Form = token.JWT }, "keys that are gone before the tokens": func(c *token.FamiliesConfig) { c.Purpose.Form, c.Ring = token.JWT, short },
		"idle for longer than it lives": func(c *token.FamiliesConfig) { c.Idle, c.Absolute = 2*time.Hour, time.Hour }, "idle for less than a second": func(c *token.FamiliesConfig) { c.Idle = time.Millisecond }, "a negative time": func(c *token.FamiliesConfig) { c.Idle = -1 },
	} {
		c := good
		change(&c)
		if f, err := token.NewFamilies(c); err == nil {
			t.Errorf("%s: NewFamilies = %v, want an error", what, f)
		}
	}
}
