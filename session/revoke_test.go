package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

// revocations is a list whose state is what the test says.
type revocations struct {
	*revoke.List
	mu      sync.Mutex
	stale   time.Duration // 0: it is fresh
	fault   error         // of revoking
	revoked []string
	until   time.Time // of the last
}

func newRevocations(c *clock) *revocations {
	r := &revocations{List: revoke.New(memory.Revocations(), revoke.Config{Now: c.Now})}
	if err := r.Load(context.Background()); err != nil {
		panic(err)
	}
	return r
}

func (r *revocations) SessionRevoked(sid, subject string, began time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.Load(context.Background()); err != nil {
		return err
	}
	if err := r.List.SessionRevoked(sid, subject, began); err != nil || r.stale == 0 {
		return err
	}
	return &gatehouse.StaleError{Age: r.stale}
}

func (r *revocations) RevokeSessions(ctx context.Context, expires time.Time, sids ...string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault != nil {
		return r.fault
	}
	r.revoked, r.until = append(r.revoked, sids...), expires
	return r.List.RevokeSessions(ctx, expires, sids...)
}

func (r *revocations) set(stale time.Duration, fault error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stale, r.fault = stale, fault
}

// counts reports whether an access token of the session would.
func (r *revocations) counts(sid string) bool {
	return r.SessionRevoked(sid, "", time.Time{}) == nil
}

// revoking returns a table with a list of revocations, as a server that mints tokens for sessions has it.
func revoking(t *testing.T, c session.Config) (*house, *revocations) {
	t.Helper()
	clock := &clock{now: noon}
	r := newRevocations(clock)
	c.Revocations = r
	return newHouseOn(t, newStore(), clock, c), r
}

// TestWhatEndsASessionRevokesIt: whatever ends a session, what was given out for it ends as well, and what was given out for others does not.
func TestWhatEndsASessionRevokesIt(t *testing.T) {
	for name, end := range map[string]func(h *house, s *session.Session) error{
		"End":             func(h *house, s *session.Session) error { return h.End(t.Context(), s) },
		"EndOne":          func(h *house, s *session.Session) error { return h.EndOne(t.Context(), "jack", s.ID()) },
		"EndAll":          func(h *house, _ *session.Session) error { _, err := h.EndAll(t.Context(), "jack", ""); return err },
		"signing in anew": func(h *house, s *session.Session) error { h.start(s, "jack"); return nil },
		"another account": func(h *house, s *session.Session) error { h.start(s, "ann"); return nil },
		"too many": func(h *house, _ *session.Session) error {
			h.clock.advance(time.Second)
			h.with(session.Config{MaxPerSubject: 1, Revocations: h.Revocations}).signIn("jack")
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, r := revoking(t, session.Config{})
			other, jack := h.signIn("amy"), h.signIn("jack")
			sid := jack.ID()
			if !r.counts(sid) {
				t.Fatal("the session counts for nothing before it has ended")
			}
			if err := end(h, h.again(jack)); err != nil {
				t.Fatal(err)
			}
			if r.counts(sid) || !r.counts(other.ID()) {
				t.Errorf("tokens of the session count: %v, of another: %v; want false and true", r.counts(sid), r.counts(other.ID()))
			}
			h.over("the session", jack, gatehouse.ErrSession)
			h.again(other)
		})
	}
}

// TestWhatDoesNotEndASession revokes nothing: using it, and signing in as a visitor, whom nobody has given anything.
func TestWhatDoesNotEndASession(t *testing.T) {
	h, r := revoking(t, session.Config{})
	v := h.put(h.visitor(), "cart", 1)
	h.save(v)
	s := h.start(v, "jack")
	h.save(h.put(h.again(s), "cart", 2))
	h.clock.advance(time.Hour)
	h.again(s)
	h.signIn("jack")
	visitor := h.put(h.visitor(), "cart", 1)
	h.save(visitor)
	h.ok("End of a visitor's session", h.End(t.Context(), visitor))
	if len(r.revoked) != 0 {
		t.Errorf("revoked: %q, want nothing", r.revoked)
	}
}

// TestWhatCannotBeRevokedHasNotEnded: a log-out is acknowledged when it is durable, and not before. Nothing is deleted until then.
func TestWhatCannotBeRevokedHasNotEnded(t *testing.T) {
	h, r := revoking(t, session.Config{})
	s := h.signIn("jack")
	r.set(0, errDisk)
	for name, end := range map[string]func(s *session.Session) error{
		"End":    func(s *session.Session) error { return h.End(t.Context(), s) },
		"EndOne": func(s *session.Session) error { return h.EndOne(t.Context(), "jack", s.ID()) },
		"EndAll": func(*session.Session) error { _, err := h.EndAll(t.Context(), "jack", ""); return err },
		"Start": func(s *session.Session) error {
			return h.Start(t.Context(), s, gatehouse.Identity{Value: "jack"}, session.Options{})
		},
		"Start of another": func(s *session.Session) error {
			return h.Start(t.Context(), s, gatehouse.Identity{Value: "ann"}, session.Options{})
		},
	} {
		before := h.again(s)
		h.unchecked(name, end(before), errDisk)
		if before.Subject() != "jack" || before.ID() != s.ID() {
			t.Errorf("%s that failed: the session is %q's", name, before.Subject())
		}
	}
	if h.records("jack") != 1 || h.records("ann") != 0 {
		t.Errorf("%d and %d records, want the one that there was", h.records("jack"), h.records("ann"))
	}
	r.set(0, nil)
	h.again(s)
}

// TestRevocationComesFirst: whoever looks between the two steps of a log-out sees a session that counts for nothing.
func TestRevocationComesFirst(t *testing.T) {
	h, r := revoking(t, session.Config{})
	s := h.signIn("jack")
	ended := h.again(s)
	var once sync.Once
	h.store.before = func(_ context.Context, method string) {
		if method == "Delete" {
			once.Do(func() {
				if r.counts(s.ID()) {
					t.Error("the record is deleted before the session is revoked")
				}
				h.over("a session between", s, gatehouse.ErrSession)
			})
		}
	}
	h.ok("End", h.End(t.Context(), ended))
	h.store.fail("Delete", errDisk)
	other := h.signIn("jack")
	h.unchecked("End that cannot delete", h.End(t.Context(), h.again(other)), errDisk)
	h.over("a session whose record could not be deleted", other, gatehouse.ErrSession)
}

// TestRevokedElsewhere: what was revoked by others counts for nothing here, although its record is there.
func TestRevokedElsewhere(t *testing.T) {
	for name, tt := range map[string]struct {
		revoke func(r *revocations, s *session.Session) error
		over   bool
	}{
		"its id": {func(r *revocations, s *session.Session) error {
			return r.RevokeSession(t.Context(), s.ID(), time.Time{})
		}, true},
		"its subject":  {func(r *revocations, _ *session.Session) error { return r.RevokeSubject(t.Context(), "jack") }, true},
		"everything":   {func(r *revocations, _ *session.Session) error { return r.RevokeAll(t.Context()) }, true},
		"another's":    {func(r *revocations, _ *session.Session) error { return r.RevokeSubject(t.Context(), "ann") }, false},
		"another id":   {func(r *revocations, _ *session.Session) error { return r.RevokeSession(t.Context(), "x", time.Time{}) }, false},
		"a token's id": {func(r *revocations, s *session.Session) error { return r.RevokeToken(t.Context(), s.ID(), time.Time{}) }, false},
		"an id in upper": {func(r *revocations, s *session.Session) error {
			return r.RevokeSession(t.Context(), s.ID()+" ", time.Time{})
		}, false},
	} {
		h, r := revoking(t, session.Config{})
		s := h.signIn("jack")
		h.ok(name, tt.revoke(r, s))
		list, err := h.List(t.Context(), "jack")
		h.ok("List", err)
		if tt.over {
			h.over("a session of which was revoked "+name, s, gatehouse.ErrSession)
		} else {
			h.again(s)
		}
		if (len(list) == 0) != tt.over {
			t.Errorf("%s: %d sessions are listed", name, len(list))
		}
	}
}

// TestSigningInAfterSubjectIsRevoked: who changes a password, and is signed in again in the same moment, is signed in. What was there before is not, nor what it is renewed to.
func TestSigningInAfterSubjectIsRevoked(t *testing.T) {
	h, r := revoking(t, session.Config{})
	old := h.signIn("jack")
	h.ok("RevokeSubject", r.RevokeSubject(t.Context(), "jack"))
	next := h.signIn("jack")
	h.over("the session before", old, gatehouse.ErrSession)
	h.again(next)
	if began := next.Identity().IssuedAt; began.Sub(h.clock.Now()) > time.Second {
		t.Errorf("the session begins %v from now", began.Sub(h.clock.Now()))
	}
	h.refused("renewing the session before", h.Start(t.Context(), old, gatehouse.Identity{Value: "jack"}, session.Options{}), gatehouse.ErrSession)
	ahead := r.Revoke(t.Context(), revoke.Entry{Kind: revoke.Subject, ID: "ann", Before: noon.Add(time.Minute)})
	h.ok("a revocation of a server whose clock is ahead", ahead)
	err := h.Start(t.Context(), h.visitor(), gatehouse.Identity{Value: "ann"}, session.Options{})
	h.unchecked("signing in by a clock that is behind", err, gatehouse.ErrUnavailable)
}

// TestSigningInBetweenRevocations: who is signed out again and again, and signs in each time, is signed in by the last of that alone, however quick it all is.
func TestSigningInBetweenRevocations(t *testing.T) {
	for _, step := range []time.Duration{0, time.Millisecond, 70 * time.Millisecond} {
		h, r := revoking(t, session.Config{})
		var old []*session.Session
		for i := range 14 {
			for _, s := range old {
				h.over("a session before", s, gatehouse.ErrSession)
			}
			next := h.signIn("jack")
			h.again(next)
			if began := next.Identity().IssuedAt; began.Sub(h.clock.Now()) > 15*time.Second {
				t.Errorf("session %d begins %v from now", i, began.Sub(h.clock.Now()))
			}
			old = append(old, next)
			h.clock.advance(step)
			h.ok("RevokeSubject", r.RevokeSubject(t.Context(), "jack"))
			h.clock.advance(step)
		}
	}
	h, r := revoking(t, session.Config{})
	for range 30 { // and nobody signs in meanwhile
		h.ok("RevokeSubject", r.RevokeSubject(t.Context(), "jack"))
	}
	err := h.Start(t.Context(), h.visitor(), gatehouse.Identity{Value: "jack"}, session.Options{})
	h.unchecked("signing in after 30 revocations in a second", err, gatehouse.ErrUnavailable)
	h.clock.advance(3 * time.Second)
	h.again(h.signIn("jack"))
}

// TestRenewedWhileSubjectIsRevoked: a session is renewed on one server while its subject is revoked on another, of which this one hears a moment later. What was renewed goes back to before.
func TestRenewedWhileSubjectIsRevoked(t *testing.T) {
	h, r := revoking(t, session.Config{})
	s := h.signIn("jack")
	h.clock.advance(time.Minute)
	cut := h.clock.Now()
	h.clock.advance(time.Second)
	renewed := h.start(h.again(s), "jack")
	again := h.start(h.again(renewed), "jack")
	fresh := h.signIn("jack")
	h.ok("Revoke", r.Revoke(t.Context(), revoke.Entry{Kind: revoke.Subject, ID: "jack", Before: cut}))
	h.over("a session that was renewed since", again, gatehouse.ErrSession)
	h.again(fresh) // somebody has signed in since
}

// TestEndOfALogin: where sessions are revoked a log-out does not look for what a session was renewed to, and ends it all the same. The store is asked for nothing but the one record.
func TestEndOfALogin(t *testing.T) {
	h, _ := revoking(t, session.Config{})
	s, other := h.signIn("jack"), h.signIn("jack")
	ended, renewed := h.again(s), h.again(s)
	h.start(h.start(renewed, "jack"), "jack")
	h.again(renewed)
	h.store.count("List")
	h.ok("End", h.End(t.Context(), ended))
	if n := h.store.count("List"); n != 0 {
		t.Errorf("the log-out has listed the subject's sessions %d times", n)
	}
	h.over("what the session was renewed to", renewed, gatehouse.ErrSession)
	h.again(other)
	list, err := h.List(t.Context(), "jack")
	if err != nil || len(list) != 1 || list[0].ID != other.ID() {
		t.Errorf("List = %v, %v, want the other session", list, err)
	}
}

// TestEndAllSparesALogin, and with it what it goes on as.
func TestEndAllSparesALogin(t *testing.T) {
	h, r := revoking(t, session.Config{})
	first := h.signIn("jack")
	mine := h.start(h.again(first), "jack")
	others := []*session.Session{h.signIn("jack"), h.signIn("jack")}
	n, err := h.EndAll(t.Context(), "jack", mine.ID())
	if n != 2 || err != nil {
		t.Fatalf("EndAll = %d, %v, want 2", n, err)
	}
	for _, s := range others {
		h.over("another session", s, gatehouse.ErrSession)
		if r.counts(s.ID()) {
			t.Error("tokens of another session count")
		}
	}
	next := h.start(h.again(mine), "jack")
	h.again(next)
	if !r.counts(next.ID()) {
		t.Error("tokens of the spared session do not count")
	}
}

// TestHowLongAnEndIsRemembered: longer than the session, and longer than the tokens that were minted for it at the last moment.
func TestHowLongAnEndIsRemembered(t *testing.T) {
	for _, tt := range []struct {
		config session.Config
		after  time.Duration // of the log-in
		want   time.Duration
	}{
		{session.Config{Absolute: 100 * time.Hour}, time.Hour, 100 * time.Hour},
		{session.Config{Absolute: 100 * time.Hour, Idle: 100 * time.Hour}, 99 * time.Hour, (99 + 24) * time.Hour},
		{session.Config{Absolute: time.Hour}, 10 * time.Minute, 24*time.Hour + 10*time.Minute},
		{session.Config{Absolute: time.Hour, TokenLife: time.Minute}, 10 * time.Minute, time.Hour},
		{session.Config{Absolute: time.Hour, TokenLife: 90 * time.Minute}, 10 * time.Minute, 100 * time.Minute},
	} {
		for _, end := range []string{"End", "EndAll", "renewal"} {
			h, r := revoking(t, tt.config)
			s := h.signIn("jack")
			began := s.Identity().IssuedAt
			h.clock.advance(tt.after)
			s = h.again(s)
			switch end {
			case "End":
				h.ok(end, h.End(t.Context(), s))
			case "EndAll":
				_, err := h.EndAll(t.Context(), "jack", "")
				h.ok(end, err)
			default:
				h.start(s, "jack")
			}
			if got := r.until.Sub(began); got != tt.want {
				t.Errorf("%s of %+v after %v: remembered for %v, want %v", end, tt.config, tt.after, got, tt.want)
			}
		}
	}
}

// TestStaleRevocations: a store that has just been read knows which sessions there are. One that may have lost what it knew does not, and says nothing for sure.
func TestStaleRevocations(t *testing.T) {
	for _, cache := range []bool{false, true} {
		h, r := revoking(t, session.Config{StoreIsCache: cache})
		s := h.put(h.signIn("jack"), "cart", 1)
		h.save(s)
		r.set(7*time.Second, nil)
		next, err := h.find(s)
		if !cache {
			h.ok("Open", err)
			continue
		}
		stale, ok := errors.AsType[*gatehouse.StaleError](err)
		if !ok || stale.Age != 7*time.Second || stale.Identity.Value != "jack" || stale.Identity.Session != s.ID() || stale.Identity.ExpiresAt.IsZero() {
			t.Fatalf("Open = %#v, want a StaleError with the identity", err)
		}
		h.isEmpty("a session that may have been revoked", next)
		if err := session.Put(next, "cart", 2); !errors.Is(err, gatehouse.ErrUnavailable) || next.Changed() {
			t.Errorf("Put = %v, want ErrUnavailable: a new session would replace one that may be good", err)
		}
		h.unchecked("Start", h.Start(t.Context(), next, gatehouse.Identity{Value: "jack"}, session.Options{}), gatehouse.ErrUnavailable)
		next.AcceptStale()
		if next.Subject() != "jack" || h.get(next, "cart") != 1.0 || next.Secret().IsZero() {
			t.Errorf("accepted, the session is %q's with %v", next.Subject(), h.get(next, "cart"))
		}
		h.save(h.put(next, "cart", 3))
		unsure, _ := h.find(s)
		h.ok("End of a session that may have ended", h.End(t.Context(), unsure))
		r.set(0, nil)
		h.over("it", s, gatehouse.ErrSession)
	}
}

// TestStaleIsNotRevoked, and what is revoked is that, however old the list.
func TestStaleIsNotRevoked(t *testing.T) {
	h, r := revoking(t, session.Config{StoreIsCache: true})
	s := h.signIn("jack")
	h.ok("RevokeSession", r.RevokeSession(t.Context(), s.ID(), time.Time{}))
	r.set(time.Hour, nil)
	h.over("a revoked session", s, gatehouse.ErrSession)
	var none session.Session
	none.AcceptStale()
	h.isEmpty("an empty session that is accepted", &none)
}

// TestAnyErrorOfRevocations is no answer.
func TestAnyErrorOfRevocations(t *testing.T) {
	clock := &clock{now: noon}
	h := newHouseOn(t, newStore(), clock, session.Config{})
	s := h.signIn("jack")
	down := h.with(session.Config{Revocations: failing{}})
	_, err := down.find(s)
	h.unchecked("Open", err, errDisk)
}

type failing struct{}

func (failing) SessionRevoked(string, string, time.Time) error             { return errDisk }
func (failing) RevokeSessions(context.Context, time.Time, ...string) error { return errDisk }

// TestConfigOfRevocations: what cannot work is a mistake that shows at once.
func TestConfigOfRevocations(t *testing.T) {
	for name, c := range map[string]session.Config{
		"a cache that nobody corrects": {StoreIsCache: true},
		"a negative life of tokens":    {TokenLife: -1},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: New does not panic", name)
				}
			}()
			session.New(newStore(), c)
		}()
	}
}

// TestParallelRenewalsAndLogout: of requests that renew a session while it is logged out, none is left alive.
func TestParallelRenewalsAndLogout(t *testing.T) {
	for round := range 50 {
		h, _ := revoking(t, session.Config{})
		s := h.signIn("jack")
		all := make([]*session.Session, 8)
		var wg sync.WaitGroup
		for i := range all {
			all[i] = h.again(s)
		}
		for i := range all {
			wg.Go(func() {
				if i == round%len(all) {
					if err := h.End(t.Context(), all[i]); err != nil {
						t.Errorf("End = %v", err)
					}
					return
				}
				err := h.Start(t.Context(), all[i], gatehouse.Identity{Value: "jack"}, session.Options{})
				if err != nil && !errors.Is(err, gatehouse.ErrSession) {
					t.Errorf("Start = %v", err)
				}
			})
		}
		wg.Wait()
		alive := slices.DeleteFunc(all, func(s *session.Session) bool { _, err := h.find(s); return err != nil || s.Secret().IsZero() })
		if len(alive) != 0 {
			t.Fatalf("round %d: %d sessions are alive after the log-out: %v", round, len(alive), fmt.Sprint(alive[0].ID()))
		}
	}
}
