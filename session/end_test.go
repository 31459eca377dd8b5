package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/session"
)

// TestEndOfARenewedSession: who logs out while another request renews the session is logged out, under whatever id it goes on.
func TestEndOfARenewedSession(t *testing.T) {
	for name, end := range map[string]func(*house, *session.Session) error{
		"End":    func(h *house, s *session.Session) error { return h.End(t.Context(), s) },
		"EndOne": func(h *house, s *session.Session) error { return h.EndOne(t.Context(), "jack", s.ID()) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, session.Config{})
			s, other := h.signIn("jack"), h.signIn("jack")
			ended, renewed := h.again(s), h.again(s)
			var once sync.Once
			h.store.before = func(_ context.Context, method string) {
				if method == "Delete" {
					once.Do(func() { h.start(h.start(renewed, "jack"), "jack") }) // twice, a moment before
				}
			}
			if err := end(h, ended); err != nil {
				t.Fatalf("%s = %v", name, err)
			}
			if _, err := h.find(renewed); err == nil {
				t.Error("the renewed session is alive after the log-out was acknowledged")
			}
			h.again(other)
		})
	}
}

// TestEndLeavesAnotherLogin: a log-in of somebody else in the same browser is no renewal.
func TestEndLeavesAnotherLogin(t *testing.T) {
	h := newHouse(t, session.Config{})
	s := h.signIn("jack")
	ended, next := h.again(s), h.again(s)
	h.start(next, "ann")
	if err := h.End(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
	h.again(next)
}

// TestEndThatFailsHalfway is an error, and can be tried again.
func TestEndThatFailsHalfway(t *testing.T) {
	h := newHouse(t, session.Config{})
	s := h.signIn("jack")
	h.store.fail("List", errDisk)
	if err := h.End(t.Context(), s); err == nil {
		t.Error("End = nil, and what came of the session is not known")
	}
	h.store.fail("List", nil)
	if err := h.End(t.Context(), s); err != nil || h.records("jack") != 0 {
		t.Errorf("End again = %v, %d records", err, h.records("jack"))
	}
}

// TestLimitedLoginsNeverEndEachOther: with a limit of one, of two log-ins at once one is left at least, also where they are made by two processes, which do not take turns.
func TestLimitedLoginsNeverEndEachOther(t *testing.T) {
	for range 300 {
		store := newStore()
		clock := &clock{now: noon}
		var wg sync.WaitGroup
		for range 2 {
			table := session.New(store, session.Config{MaxPerSubject: 1, Now: clock.Now})
			wg.Go(func() {
				if err := table.Start(t.Context(), new(session.Session), gatehouse.Identity{Value: "jack"}, session.Options{}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		list, err := store.List(t.Context(), "jack")
		if err != nil || len(list) == 0 {
			t.Fatalf("%d sessions are left, %v: the log-ins have ended each other", len(list), err)
		}
	}
}

// TestNothingIsLostAtSigningIn: what another request has put since this one began comes along, and a session full of data keeps nobody from signing in.
func TestNothingIsLostAtSigningIn(t *testing.T) {
	h := newHouse(t, session.Config{})
	v := h.put(h.visitor(), "a", 1)
	h.save(v)
	one, two := h.again(v), h.again(v)
	h.save(h.put(h.put(two, "b", 2), "c", 2))
	h.start(h.put(one, "c", 3), "jack")
	if a, b, c := h.get(h.again(one), "a"), h.get(h.again(one), "b"), h.get(h.again(one), "c"); fmt.Sprint(a, b, c) != "1 2 3" {
		t.Errorf("after signing in: a %v, b %v, c %v; want 1 2 3", a, b, c)
	}
	full := h.put(h.visitor(), "k", strings.Repeat("x", session.MaxData-len(`{"k":""}`)))
	h.save(full)
	h.start(full, "jack")
	if err := session.Put(full, "l", 1); !errors.Is(err, session.ErrTooLarge) {
		t.Errorf("Put over the limit = %v, want ErrTooLarge", err)
	}
}

// keeps is a store that does not do what it says.
type keeps struct{ session.Store }

func (keeps) Delete(context.Context, session.Key) error { return nil }

// TestEndOfAStoreThatLies is an error: nobody is told that a session has ended which is still there, and nobody waits for ever.
func TestEndOfAStoreThatLies(t *testing.T) {
	table := session.New(keeps{newStore()}, session.Config{})
	var s session.Session
	if err := table.Start(t.Context(), &s, gatehouse.Identity{Value: "jack"}, session.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := table.End(t.Context(), &s); err == nil || s.Subject() != "jack" {
		t.Errorf("End = %v, and the session is %q's", err, s.Subject())
	}
}
