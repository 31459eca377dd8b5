package token_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// A desk has all that log-ins need.
type desk struct {
	*testing.T
	*clock
	list     *revoke.List
	store    token.Store
	families *token.Families
	access   *token.Verifier
	ring     *keyring.Ring
}

func newDesk(t *testing.T, change func(*token.FamiliesConfig)) *desk {
	t.Helper()
	d := &desk{T: t, clock: noon(), store: memory.Tokens(), ring: ringOf(t, "access", keyring.ES256)}
	d.list = listOf(t, d.clock)
	purpose := token.Refresh()
	purpose.Audience = audience
	c := token.FamiliesConfig{Issuer: issuer, Purpose: purpose, Store: d.store, Revocations: d.list, Now: d.now, Logger: slog.New(slog.DiscardHandler),
		Access: minterOf(t, token.MinterConfig{Purpose: access(), Ring: d.ring, Revocations: d.list, Now: d.now})}
	if change != nil {
		change(&c)
	}
	var err error
	if d.families, err = token.NewFamilies(c); err != nil {
		t.Fatal(err)
	}
	d.access = verifierOf(t, token.VerifierConfig{Purpose: access(), Ring: d.ring, Revocations: d.list, Now: d.now})
	return d
}

// later lets time pass, in which the list of revocations is read.
func (d *desk) later(by time.Duration) {
	d.Helper()
	d.pass(by)
	if err := d.list.Load(d.Context()); err != nil {
		d.Fatal(err)
	}
}

func (d *desk) start() token.Pair {
	d.Helper()
	pair, err := d.families.Start(d.Context(), token.Claims{Subject: "jack", Roles: []string{"basic"}, Custom: map[string]any{"tier": "gold"}})
	if err != nil {
		d.Fatal(err)
	}
	return pair
}

func (d *desk) refresh(p token.Pair) token.Pair {
	d.Helper()
	next, err := d.families.Refresh(d.Context(), p.Refresh.Text.Reveal())
	if err != nil {
		d.Fatalf("Refresh = %v, want a new pair", err)
	}
	return next
}

// dead reports a pair of which something still works.
func (d *desk) dead(what string, p token.Pair) {
	d.Helper()
	if _, err := d.families.Refresh(d.Context(), p.Refresh.Text.Reveal()); !errors.Is(err, gatehouse.ErrCredential) {
		d.Errorf("%s: Refresh = %v, want an error that wraps ErrCredential", what, err)
	}
	if _, err := d.access.Verify(d.Context(), p.Access.Text.Reveal()); !errors.Is(err, gatehouse.ErrCredential) {
		d.Errorf("%s: the access token: %v, want an error that wraps ErrCredential", what, err)
	}
}

// forms are both forms of refresh tokens.
func forms(t *testing.T, test func(t *testing.T, change func(*token.FamiliesConfig))) {
	t.Run("opaque", func(t *testing.T) { test(t, nil) })
	t.Run("jwt", func(t *testing.T) {
		ring := ringOf(t, "refresh", keyring.HS256)
		test(t, func(c *token.FamiliesConfig) { c.Purpose.Form, c.Ring = token.JWT, ring })
	})
}

// TestRefreshWorksOnce: each refresh token is replaced by the next, and the log-in stays the same.
func TestRefreshWorksOnce(t *testing.T) {
	forms(t, func(t *testing.T, change func(*token.FamiliesConfig)) {
		d := newDesk(t, change)
		first := d.start()
		pair := first
		for range 3 {
			d.later(time.Hour) // the access token expired long ago
			if _, err := d.access.Verify(t.Context(), pair.Access.Text.Reveal()); !errors.Is(err, token.ErrExpired) {
				t.Errorf("the old access token: %v, want ErrExpired", err)
			}
			next := d.refresh(pair)
			c, err := d.access.Verify(t.Context(), next.Access.Text.Reveal())
			if err != nil || c.Subject != "jack" || c.Session != first.Access.Claims.Session || c.ID == pair.Access.Claims.ID {
				t.Errorf("the new access token says %+v, %v, want jack's of the same session with an id of its own", c, err)
			}
			if tier, err := token.As[struct{ Tier string }](c); err != nil || tier.Tier != "gold" {
				t.Errorf("its custom claims are %+v, %v, want those of the log-in", tier, err)
			}
			pair = next
		}
	})
}

// TestReuseEndsTheFamily: a used refresh token that comes back after the grace ends everything that came of the log-in.
func TestReuseEndsTheFamily(t *testing.T) {
	forms(t, func(t *testing.T, change func(*token.FamiliesConfig)) {
		d := newDesk(t, change)
		other := d.start()
		first := d.start()
		second := d.refresh(first)
		d.later(11 * time.Second)
		if _, err := d.families.Refresh(t.Context(), first.Refresh.Text.Reveal()); !errors.Is(err, token.ErrReused) {
			t.Fatalf("a used token after the grace: %v, want ErrReused", err)
		}
		d.dead("after the reuse", second)
		d.dead("the used one again", first)
		d.refresh(other) // another log-in of the same subject lives
	})
}

// TestReuseOfAnAncestorEndsTheFamily: within the grace too, once the successor was used.
func TestReuseOfAnAncestorEndsTheFamily(t *testing.T) {
	d := newDesk(t, nil)
	first := d.start()
	third := d.refresh(d.refresh(first))
	if _, err := d.families.Refresh(t.Context(), first.Refresh.Text.Reveal()); !errors.Is(err, token.ErrReused) {
		t.Fatalf("a used token whose successor was used: %v, want ErrReused", err)
	}
	d.dead("the last of the family", third)
}

// TestGraceGivesTheSameSuccessor: the answer was lost, or a second tab asked: both go on with the same refresh token.
func TestGraceGivesTheSameSuccessor(t *testing.T) {
	forms(t, func(t *testing.T, change func(*token.FamiliesConfig)) {
		d := newDesk(t, change)
		first := d.start()
		second := d.refresh(first)
		d.later(9 * time.Second)
		again := d.refresh(first)
		if !again.Refresh.Text.Equal(second.Refresh.Text) {
			t.Error("the second answer has another refresh token than the first")
		}
		for _, p := range []token.Pair{second, again} {
			if _, err := d.access.Verify(t.Context(), p.Access.Text.Reveal()); err != nil {
				t.Errorf("an access token of the two answers: %v, want nil", err)
			}
		}
		d.later(time.Minute)
		d.refresh(again)
	})
}

// TestFamilyLimits: idle and absolute time end a log-in, and renewing does not move the second.
func TestFamilyLimits(t *testing.T) {
	forms(t, func(t *testing.T, change func(*token.FamiliesConfig)) {
		limits := func(c *token.FamiliesConfig) {
			if change != nil {
				change(c)
			}
			c.Idle, c.Absolute = 24*time.Hour, 60*time.Hour
		}
		d := newDesk(t, limits)
		idle := d.start()
		d.later(24*time.Hour + time.Minute)
		d.dead("after the idle time", idle)
		pair := d.start()
		for range 2 {
			d.later(23 * time.Hour)
			pair = d.refresh(pair)
		}
		d.later(14*time.Hour + time.Minute)
		d.dead("after the absolute time", pair)
	})
}

// TestEndIsFinal: what ends a log-in ends its access tokens too, and is no error twice.
func TestEndIsFinal(t *testing.T) {
	d := newDesk(t, nil)
	pair, other := d.start(), d.start()
	for range 2 {
		if err := d.families.End(t.Context(), pair.Access.Claims.Session); err != nil {
			t.Fatal(err)
		}
	}
	d.dead("after End", pair)
	if _, err := d.access.Verify(t.Context(), other.Access.Text.Reveal()); err != nil {
		t.Errorf("the other log-in's access token: %v, want nil", err)
	}
	if err := d.families.EndSubject(t.Context(), "jack"); err != nil {
		t.Fatal(err)
	}
	d.dead("after EndSubject", other)
	fresh := d.start() // in the same second
	if _, err := d.access.Verify(t.Context(), fresh.Access.Text.Reveal()); err != nil {
		t.Errorf("a log-in right after EndSubject: %v, want nil", err)
	}
	d.later(time.Minute)
	d.refresh(fresh)
}

// TestVerifyDoesNotUse: a refresh token that is only looked at is not used up.
func TestVerifyDoesNotUse(t *testing.T) {
	forms(t, func(t *testing.T, change func(*token.FamiliesConfig)) {
		d := newDesk(t, change)
		pair := d.start()
		for range 3 {
			if id, err := d.families.Identity(t.Context(), pair.Refresh.Text.Reveal()); err != nil || id.Value != "jack" || id.Purpose != "refresh" {
				t.Errorf("Identity = %+v, %v, want jack by a refresh token", id, err)
			}
		}
		next := d.refresh(pair)
		if _, err := d.families.Verify(t.Context(), pair.Refresh.Text.Reveal()); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("Verify of a used token = %v, want ErrInvalid", err)
		}
		d.refresh(next) // and looking at the used one ended nothing
	})
}

// TestAllow: who must not go on is refused, and the token is not used up by it.
func TestAllow(t *testing.T) {
	var refuse error
	roles := []string{"basic"}
	d := newDesk(t, func(c *token.FamiliesConfig) {
		c.Allow = func(_ context.Context, c token.Claims) (token.Claims, error) {
			c.Roles, c.Subject, c.Session = roles, "mallory", "elsewhere"
			return c, refuse
		}
	})
	pair := d.start()
	for _, refuse = range []error{gatehouse.ErrDisabled, gatehouse.ErrForbidden, errors.New("the database is away")} {
		if _, err := d.families.Refresh(t.Context(), pair.Refresh.Text.Reveal()); !errors.Is(err, refuse) {
			t.Errorf("Refresh where Allow says %v = %v, want that", refuse, err)
		}
	}
	refuse, roles = nil, []string{"admin"}
	c := d.refresh(pair).Access.Claims
	if fmt.Sprint(c.Roles) != "[admin]" || c.Subject != "jack" || c.Session != pair.Access.Claims.Session {
		t.Errorf("the new token says %v, %s, %s, want the roles of now and the subject and session of the log-in", c.Roles, c.Subject, c.Session)
	}
}

// TestParallelRefreshes: of fifty at once, all that are answered get the same successor, and the log-in goes on.
func TestParallelRefreshes(t *testing.T) {
	d := newDesk(t, nil)
	first := d.start()
	var mu sync.Mutex
	successors := map[string]bool{}
	var last token.Pair
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			pair, err := d.families.Refresh(t.Context(), first.Refresh.Text.Reveal())
			if err != nil {
				t.Errorf("Refresh = %v, want a pair", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			successors[pair.Refresh.Text.Reveal()] = true
			last = pair
		})
	}
	all.Wait()
	if len(successors) != 1 {
		t.Fatalf("there are %d successors, want one", len(successors))
	}
	d.later(time.Minute)
	d.refresh(last)
}

// TestRefreshAgainstEnd: once End has returned, nothing works that was minted before or while it ran.
func TestRefreshAgainstEnd(t *testing.T) {
	d := newDesk(t, nil)
	for range 200 {
		first := d.start()
		var pair token.Pair
		var refreshed error
		var both sync.WaitGroup
		both.Go(func() { pair, refreshed = d.families.Refresh(t.Context(), first.Refresh.Text.Reveal()) })
		both.Go(func() {
			if err := d.families.End(t.Context(), first.Access.Claims.Session); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		d.dead("the first pair", first)
		if refreshed == nil {
			d.dead("the pair that was minted meanwhile", pair)
		}
	}
}
