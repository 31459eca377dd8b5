package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

const (
	testIssuer   = "https://gate.example.org"
	testAudience = "https://app.example.org"
)

// A desk is one process that signs people in and renews their log-ins.
type desk struct {
	*token.Families
	list *revoke.List
}

// desks returns desks, as many processes have them, on the stores in turn, with one clock and one feed of revocations.
func (s *tokenSuite) desks(n int) ([]desk, *clock) {
	s.Helper()
	stores := s.stores()
	each := make([]token.Store, n)
	for i := range each {
		each[i] = stores[i%len(stores)]
	}
	return s.desksOn(each)
}

// desksOn returns a desk for each of the stores.
func (s *tokenSuite) desksOn(stores []token.Store) ([]desk, *clock) {
	s.Helper()
	key, err := keyring.Generate(keyring.EdDSA)
	s.ok("Generate", err)
	ring, err := keyring.Static("access", key)
	s.ok("Static", err)
	c, revoked, all := &clock{now: s.now}, &feed{}, make([]desk, len(stores))
	access, refresh := token.Access(), token.Refresh()
	access.Audience, refresh.Audience = []string{testAudience}, []string{testAudience}
	for i := range all {
		list := revoke.New(revoked, revoke.Config{Now: c.Now, Logger: slog.New(slog.DiscardHandler)})
		s.ok("Load", list.Load(s.Context()))
		minter, err := token.NewMinter(token.MinterConfig{Issuer: testIssuer, Purpose: access, Ring: ring, Revocations: list, Now: c.Now})
		s.ok("NewMinter", err)
		families, err := token.NewFamilies(token.FamiliesConfig{Issuer: testIssuer, Purpose: refresh, Store: stores[i], Access: minter,
			Revocations: list, Logger: slog.New(slog.DiscardHandler), Now: c.Now})
		s.ok("NewFamilies", err)
		all[i] = desk{families, list}
	}
	return all, c
}

// later lets time pass, in which the lists of revocations are read.
func (s *tokenSuite) later(desks []desk, c *clock, d time.Duration) {
	s.Helper()
	c.advance(d)
	for _, d := range desks {
		s.ok("Load", d.list.Load(s.Context()))
	}
}

// signIn starts a log-in.
func (s *tokenSuite) signIn(d desk, subject string) token.Pair {
	s.Helper()
	pair, err := d.Start(s.Context(), token.Claims{Subject: subject})
	s.ok("Start", err)
	return pair
}

// renewed renews a log-in that lives.
func (s *tokenSuite) renewed(d desk, pair token.Pair) token.Pair {
	s.Helper()
	next, err := d.Refresh(s.Context(), pair.Refresh.Text.Reveal())
	s.ok("Refresh", err)
	return next
}

// over reports a refresh token that can still be renewed by some desk.
func (s *tokenSuite) over(desks []desk, pairs ...token.Pair) {
	s.Helper()
	for _, pair := range pairs {
		for _, d := range desks {
			if _, err := d.Refresh(s.Context(), pair.Refresh.Text.Reveal()); !errors.Is(err, gatehouse.ErrCredential) {
				s.Errorf("Refresh of a log-in that has ended = %v, want an error that wraps %q", err, gatehouse.ErrCredential)
			}
		}
	}
}

// lines returns how many records of a log-in there are, following the successors from the first one.
func (s *tokenSuite) lines(first token.Pair) (n int) {
	s.Helper()
	key := keyOf(first.Refresh)
	for key != none {
		rec, err := s.Store.Get(s.Context(), key)
		s.ok("Get", err)
		n, key = n+1, rec.Next
	}
	return n
}

// keyOf is the key under which the store has a token.
func keyOf(t token.Token) token.Key { return sha256.Sum256([]byte(t.Text.Reveal())) }

// A gate lets nobody rotate before all have come to it, who have then all found the same.
type gate struct {
	mu      sync.Mutex
	missing int
	opened  chan struct{}
}

// closeFor closes the gate until n have come.
func (g *gate) closeFor(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.missing, g.opened = n, make(chan struct{})
}

// pass waits until all have come, though not for ever: somebody may have failed on the way. Who comes later need not wait.
func (g *gate) pass(ctx context.Context) {
	g.mu.Lock()
	if g.missing--; g.missing == 0 {
		close(g.opened)
	}
	waits, opened := g.missing > 0, g.opened
	g.mu.Unlock()
	if waits {
		select {
		case <-opened:
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// all returns the stores behind the gate.
func (g *gate) all(stores []token.Store) []token.Store {
	behind := make([]token.Store, len(stores))
	for i := range stores {
		behind[i] = gatedTokens{stores[i], g}
	}
	return behind
}

type gatedTokens struct {
	token.Store
	gate *gate
}

func (g gatedTokens) Rotate(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
	g.gate.pass(ctx)
	return g.Store.Rotate(ctx, key, used, sealed, next)
}

// families: a log-in is renewed again and again, by whichever process is asked, and stays one.
func (s *tokenSuite) families() {
	desks, c := s.desks(2)
	first, other := s.signIn(desks[0], "anna"), s.signIn(desks[1], "anna")
	pair := first
	for i := range 5 {
		s.later(desks, c, time.Hour)
		next := s.renewed(desks[i%2], pair)
		if next.Access.Claims.Session != first.Access.Claims.Session || next.Access.Claims.Subject != "anna" {
			s.Errorf("the renewed token is of the session %s of %q, want %s of anna", next.Access.Claims.Session, next.Access.Claims.Subject, first.Access.Claims.Session)
		}
		pair = next
	}
	if n := s.lines(first); n != 6 {
		s.Errorf("after 5 renewals there are %d tokens in the line, want 6", n)
	}
	s.ok("End", desks[0].End(s.Context(), first.Access.Claims.Session))
	s.over(desks, pair, first)
	s.renewed(desks[0], other)
	last := s.signIn(desks[0], "anna")
	s.ok("EndSubject", desks[1].EndSubject(s.Context(), "anna"))
	s.over(desks, last, other)
}

// familiesParallel: many who renew the same log-in at once, as the tabs of a browser do, all get the same successor, and there is one line.
func (s *tokenSuite) familiesParallel() {
	begin := &gate{}
	desks, c := s.desksOn(begin.all(s.stores()))
	first := s.signIn(desks[0], "anna")
	pair := first
	for turn := range s.rounds(4) {
		s.later(desks, c, time.Minute)
		got := make([]token.Pair, crowd)
		begin.closeFor(crowd)
		errs := together(crowd, desks, func(d desk, i int) (err error) {
			got[i], err = d.Refresh(s.Context(), pair.Refresh.Text.Reveal())
			return err
		})
		s.ok("Refresh of one token in parallel", errors.Join(errs...))
		for _, p := range got {
			if !p.Refresh.Text.Equal(got[0].Refresh.Text) {
				s.Fatal("two who renew one log-in at once have got two successors")
			}
		}
		if n := s.lines(first); n != turn+2 {
			s.Fatalf("after %d renewals there are %d tokens in the line, want %d", turn+1, n, turn+2)
		}
		pair = got[0]
	}
}

// familiesReuse: a token that comes back after its grace, or after its successor was used, ends the log-in everywhere, once and for all.
func (s *tokenSuite) familiesReuse() {
	desks, c := s.desks(2)
	other := s.signIn(desks[1], "anna")
	for name, wait := range map[string]time.Duration{"after the grace": token.DefaultGrace + time.Second, "within the grace, after its successor was used": time.Second} {
		first := s.signIn(desks[0], "anna")
		second := s.renewed(desks[1], first)
		last := second
		if wait < token.DefaultGrace {
			last = s.renewed(desks[0], second)
		}
		s.later(desks, c, wait)
		errs := together(8, desks, func(d desk, _ int) error {
			_, err := d.Refresh(s.Context(), first.Refresh.Text.Reveal())
			return err
		})
		reused := func(err error) bool { return errors.Is(err, token.ErrReused) }
		if !slices.ContainsFunc(errs, reused) {
			s.Errorf("a used token that comes back %s: %v, want an error that wraps %q for one at least", name, errs, token.ErrReused)
		}
		for _, err := range errs {
			s.refused("Refresh with a used token "+name, err, gatehouse.ErrCredential)
		}
		s.over(desks, last, second, first)
		s.later(desks, c, time.Second)
		for _, d := range desks {
			s.refused("Check of the log-in's access token", d.list.Check(revoke.Claim{Session: first.Access.Claims.Session, Issued: last.Access.Claims.IssuedAt}), revoke.ErrRevoked)
		}
	}
	s.renewed(desks[0], other) // another log-in of the same subject lives
}

// familiesAgainstEnd: a log-in that was ended is not renewed any more, whoever renews it at the same moment.
func (s *tokenSuite) familiesAgainstEnd() {
	desks, _ := s.desks(3)
	for round := range s.rounds(rounds / 4) {
		subject := newSubject()
		first := s.signIn(desks[0], subject)
		made, done := []token.Pair{first}, make(chan struct{})
		errs := together(2, desks, func(d desk, i int) error {
			if i == 1 {
				defer close(done)
				dawdle()
				if round%2 == 0 {
					return d.EndSubject(s.Context(), subject)
				}
				return d.End(s.Context(), first.Access.Claims.Session)
			}
			for last := false; ; {
				next, err := d.Refresh(s.Context(), made[len(made)-1].Refresh.Text.Reveal())
				switch {
				case errors.Is(err, gatehouse.ErrCredential):
					return nil
				case err != nil:
					return err
				case last:
					return errors.New("after the log-in was ended, it was still renewed")
				}
				made = append(made, next)
				last = isDone(done, len(made) > rounds)
			}
		})
		s.ok("ending a log-in that is renewed", errors.Join(errs...))
		s.over(desks, made...)
	}
}

// familiesAgainstThief: whoever of the two is faster, once a used token has come back nothing of the log-in works.
func (s *tokenSuite) familiesAgainstThief() {
	desks, c := s.desks(2)
	for range s.rounds(rounds / 4) {
		first := s.signIn(desks[0], newSubject())
		second := s.renewed(desks[0], first)
		s.later(desks, c, token.DefaultGrace+time.Second)
		var third token.Pair
		errs := together(2, desks, func(d desk, i int) (err error) {
			if i == 0 {
				third, err = d.Refresh(s.Context(), second.Refresh.Text.Reveal())
				return err
			}
			_, err = d.Refresh(s.Context(), first.Refresh.Text.Reveal())
			return err
		})
		s.refused("Refresh with a used token", errs[1], token.ErrReused)
		pairs := []token.Pair{first, second}
		if errs[0] == nil {
			pairs = append(pairs, third)
		} else {
			s.refused("Refresh while the log-in is ended", errs[0], gatehouse.ErrCredential)
		}
		s.over(desks, pairs...)
	}
}
