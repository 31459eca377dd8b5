package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"go.uber.org/goleak"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

// ids returns the ids of the live sessions of subject.
func (h *house) ids(subject string) []string {
	h.t.Helper()
	infos, err := h.List(h.t.Context(), subject)
	h.ok("List", err)
	ids := []string{}
	for _, info := range infos {
		ids = append(ids, info.ID)
	}
	return ids
}

// TestList tells an owner of the sessions that can be used, the oldest first, and of nobody else's.
func TestList(t *testing.T) {
	h := newHouse(t, session.Config{Idle: time.Hour, Absolute: 8 * time.Hour})
	overdue := h.signIn("jack")
	h.clock.advance(30 * time.Minute)
	one := h.visitor()
	h.ok("Start", h.Start(t.Context(), one, gatehouse.Identity{Value: "jack"}, session.Options{UserAgent: "curl/8", MaxAge: 40 * time.Minute}))
	h.clock.advance(30 * time.Minute)
	two := h.signIn("jack")
	h.again(one)
	h.signIn("ann")
	h.save(h.put(h.visitor(), "k", 1))

	infos, err := h.List(t.Context(), "jack")
	h.ok("List", err)
	now := h.clock.Now().Truncate(time.Millisecond)
	want := []session.Info{
		{ID: one.ID(), Subject: "jack", Created: now.Add(-30 * time.Minute), Seen: now, Expires: now.Add(10 * time.Minute), UserAgent: "curl/8"},
		{ID: two.ID(), Subject: "jack", Created: now, Seen: now, Expires: now.Add(time.Hour)},
	}
	same := func(a, b session.Info) bool {
		return a.ID == b.ID && a.Subject == b.Subject && a.UserAgent == b.UserAgent && a.Created.Equal(b.Created) && a.Seen.Equal(b.Seen) && a.Expires.Equal(b.Expires)
	}
	if !slices.EqualFunc(infos, want, same) {
		t.Errorf("List = %+v, want %+v", infos, want)
	}
	if text := fmt.Sprintf("%+v", infos); strings.Contains(text, one.Secret().Reveal()) || strings.Contains(text, fmt.Sprint(keyOf(t, one))) {
		t.Error("List shows a secret or a key")
	}
	h.over("the overdue one", overdue, session.ErrOverdue)
	for _, subject := range []string{"nobody", "Jack", "jack ", "%", "*"} {
		if got := h.ids(subject); len(got) != 0 {
			t.Errorf("List(%q) = %q, want none", subject, got)
		}
	}
}

// TestVisitorsAreNotListed: who is nobody must not list, or end, everybody's who is nobody.
func TestVisitorsAreNotListed(t *testing.T) {
	h := newHouse(t, session.Config{})
	s := h.put(h.visitor(), "k", 1)
	h.save(s)
	if infos, err := h.List(t.Context(), ""); err == nil || len(infos) != 0 {
		t.Errorf("List of nobody's = %v, %v, want an error", infos, err)
	}
	if n, err := h.EndAll(t.Context(), "", ""); err == nil || n != 0 {
		t.Errorf("EndAll of nobody's = %d, %v, want an error", n, err)
	}
	if err := h.EndOne(t.Context(), "", s.ID()); err == nil {
		t.Error("EndOne of nobody's = nil, want an error")
	}
	h.again(s)
}

// TestUserAgent: what a client says of itself is shown without what a terminal could take for something else.
func TestUserAgent(t *testing.T) {
	h := newHouse(t, session.Config{})
	for given, want := range map[string]string{
		"": "", "Mozilla/5.0 (X11; Linux)": "Mozilla/5.0 (X11; Linux)", "évil \U0001F36A": "évil \U0001F36A",
		"\x1b[31mred\x07": "?[31mred?", "a\r\nb\tc\x00": "a??b?c?", "\u202egnp.exe": "?gnp.exe", "\u200b\ufeff": "??", "\xff": "\ufffd",
		strings.Repeat("a", 1000): strings.Repeat("a", 197), strings.Repeat("\U0001F36A", 100): strings.Repeat("\U0001F36A", 50),
	} {
		s := h.visitor()
		h.ok("Start", h.Start(t.Context(), s, gatehouse.Identity{Value: "jack"}, session.Options{UserAgent: given}))
		infos, err := h.List(t.Context(), "jack")
		h.ok("List", err)
		if got := infos[0].UserAgent; got != want || len(got) > 200 || !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("the user agent %.50q is shown as %q, want %q", given, got, want)
		}
		h.ok("End", h.End(t.Context(), s))
	}
}

// TestEndOne ends the session it is told, if it is the subject's, and no other.
func TestEndOne(t *testing.T) {
	h := newHouse(t, session.Config{Idle: time.Hour})
	overdue := h.signIn("jack")
	h.clock.advance(time.Hour)
	phone, tablet, ann := h.signIn("jack"), h.signIn("jack"), h.signIn("ann")
	visitor := h.put(h.visitor(), "k", 1)
	h.save(visitor)
	for name, id := range map[string]string{
		"another subject's": ann.ID(), "a visitor's": visitor.ID(), "an overdue one": overdue.ID(), "none": "", "an unknown one": "nope", "half an id": phone.ID()[:13],
		"another case": strings.ToUpper(phone.ID()), "a secret": phone.Secret().Reveal(), "everybody": "*",
	} {
		err := h.EndOne(t.Context(), "jack", id)
		h.refused("EndOne of "+name, err, session.ErrNotFound)
		if errors.Is(err, gatehouse.ErrCredential) {
			t.Errorf("EndOne of %s = %v: the caller's own session is blamed", name, err)
		}
	}
	h.ok("EndOne", h.EndOne(t.Context(), "jack", phone.ID()))
	h.over("the phone's session", phone, session.ErrUnknown)
	h.refused("EndOne once more", h.EndOne(t.Context(), "jack", phone.ID()), session.ErrNotFound)
	for _, s := range []*session.Session{tablet, ann, visitor} {
		h.again(s)
	}
	h.store.fail("Delete", errDisk)
	h.unchecked("EndOne with a store that fails", h.EndOne(t.Context(), "jack", tablet.ID()), errDisk)
	h.store.fail("List", errDisk)
	h.unchecked("EndOne with a store that fails", h.EndOne(t.Context(), "jack", tablet.ID()), errDisk)
}

// TestEndAll ends all but the one that is named, if it is one of them.
func TestEndAll(t *testing.T) {
	for _, tt := range []struct {
		name   string
		except func(here, ann, overdue *session.Session) string
		n      int
		lives  bool
	}{
		{"none", func(_, _, _ *session.Session) string { return "" }, 4, false},
		{"this one", func(here, _, _ *session.Session) string { return here.ID() }, 3, true},
		{"another subject's", func(_, ann, _ *session.Session) string { return ann.ID() }, 4, false},
		{"an overdue one", func(_, _, overdue *session.Session) string { return overdue.ID() }, 4, false},
		{"an unknown one", func(_, _, _ *session.Session) string { return "nope" }, 4, false},
		{"its secret", func(here, _, _ *session.Session) string { return here.Secret().Reveal() }, 4, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, session.Config{Idle: time.Hour})
			overdue := h.signIn("jack")
			h.clock.advance(time.Hour)
			here, phone, tablet, ann := h.signIn("jack"), h.signIn("jack"), h.signIn("jack"), h.signIn("ann")
			n, err := h.EndAll(t.Context(), "jack", tt.except(here, ann, overdue))
			if n != tt.n || err != nil {
				t.Errorf("EndAll = %d, %v, want %d", n, err, tt.n)
			}
			h.over("the phone's", phone, session.ErrUnknown)
			h.over("the tablet's", tablet, session.ErrUnknown)
			h.over("the overdue one", overdue, session.ErrUnknown)
			if _, err := h.find(here); (err == nil) != tt.lives {
				t.Errorf("Open of the session here = %v, want alive: %v", err, tt.lives)
			}
			h.again(ann)
		})
	}
}

// TestEndAllFails: what could not be ended is not reported as ended.
func TestEndAllFails(t *testing.T) {
	for _, method := range []string{"List", "DeleteAll"} {
		h := newHouse(t, session.Config{})
		s := h.signIn("jack")
		h.store.fail(method, errDisk)
		n, err := h.EndAll(t.Context(), "jack", "")
		h.unchecked("EndAll", err, errDisk)
		if n != 0 {
			t.Errorf("EndAll without %s = %d", method, n)
		}
		h.again(s)
	}
	h := newHouse(t, session.Config{})
	h.store.fail("List", errDisk)
	if infos, err := h.List(t.Context(), "jack"); !errors.Is(err, errDisk) || len(infos) != 0 {
		t.Errorf("List = %v, %v", infos, err)
	}
}

// TestDamagedRecordsInLists are not shown and cannot be ended one by one, and EndAll ends them.
func TestDamagedRecordsInLists(t *testing.T) {
	h := newHouse(t, session.Config{})
	s := h.signIn("jack")
	rec := h.record(s)
	rec.Body = []byte("{")
	h.ok("Update", h.store.Update(t.Context(), rec))
	if got := h.ids("jack"); len(got) != 0 {
		t.Errorf("List = %q, want none", got)
	}
	h.refused("EndOne", h.EndOne(t.Context(), "jack", s.ID()), session.ErrNotFound)
	if n, err := h.EndAll(t.Context(), "jack", s.ID()); n != 1 || err != nil {
		t.Errorf("EndAll = %d, %v, want 1", n, err)
	}
}

// TestEnd deletes: what was in the session is nowhere any more, and nothing is left to be signed in with.
func TestEnd(t *testing.T) {
	h := newHouse(t, session.Config{})
	s := h.put(h.signIn("jack"), "k", 1)
	secret := s.Secret()
	h.ok("End", h.End(t.Context(), s))
	h.isEmpty("End", s)
	if n := h.records("jack"); n != 0 || s.Changed() {
		t.Errorf("%d records, changed %v", n, s.Changed())
	}
	_, err := h.findSecret(secret.Reveal())
	h.refused("Open", err, session.ErrUnknown)
	h.store.writes()
	h.ok("End again", h.End(t.Context(), s))
	h.ok("End of nothing", h.End(t.Context(), new(session.Session)))
	h.ok("End of a visitor", h.End(t.Context(), h.put(h.visitor(), "k", 1)))
	if n := h.store.writes(); n != 0 {
		t.Errorf("ending nothing writes %d times", n)
	}
	h.save(h.put(s, "k", 2)) // a message for the visitor who has signed out
	if next := h.again(s); next.Subject() != "" || s.Secret().Equal(secret) {
		t.Errorf("after End, Put makes a session of %q", next.Subject())
	}
}

// TestEndFails: a log-out that failed does not look like one that worked.
func TestEndFails(t *testing.T) {
	h := newHouse(t, session.Config{})
	s := h.signIn("jack")
	h.store.fail("Delete", errDisk)
	h.leaves(s, func() { h.unchecked("End", h.End(t.Context(), s), errDisk) })
}

// TestPrune removes what is overdue, 500 at a time, and nothing else.
func TestPrune(t *testing.T) {
	for _, tt := range []struct{ overdue, calls int }{{0, 1}, {1, 1}, {499, 1}, {500, 2}, {501, 2}, {1700, 4}} {
		h := newHouse(t, session.Config{Idle: time.Hour})
		for range tt.overdue {
			h.signIn("jack")
		}
		h.clock.advance(time.Minute)
		live := h.signIn("jack")
		h.clock.advance(time.Hour - time.Millisecond)
		if n, err := h.Prune(t.Context()); n != tt.overdue || err != nil {
			t.Errorf("Prune = %d, %v, want %d", n, err, tt.overdue)
		}
		if n := h.store.count("Prune"); n != tt.calls || h.records("jack") != 1 {
			t.Errorf("Prune of %d asks the store %d times, want %d; %d records are left", tt.overdue, n, tt.calls, h.records("jack"))
		}
		h.again(live)
	}
}

// TestPruneFails: it stops, and says how far it came. A store that has nothing to prune is left alone.
func TestPruneFails(t *testing.T) {
	h := newHouse(t, session.Config{Idle: time.Hour})
	for range 700 {
		h.signIn("jack")
	}
	h.clock.advance(2 * time.Hour)
	h.store.before = func(context.Context, string) {
		if h.records("jack") < 700 {
			h.store.fail("Prune", errDisk)
		}
	}
	n, err := h.Prune(t.Context())
	h.unchecked("Prune", err, errDisk)
	if n != 500 || h.records("jack") != 200 {
		t.Errorf("Prune = %d, want 500; %d records are left", n, h.records("jack"))
	}
	byItself := session.New(struct{ session.Store }{memory.Sessions()}, session.Config{})
	if n, err := byItself.Prune(t.Context()); n != 0 || err != nil {
		t.Errorf("Prune of a store that does it by itself = %d, %v", n, err)
	}
}

// TestKeepPruned prunes on the clock, goes on after a failure, and ends with its context, leaving nothing behind.
func TestKeepPruned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, session.Config{Idle: time.Hour})
		h.Now = time.Now // the bubble's
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.KeepPruned(ctx, time.Tick(10*time.Minute))
		}()
		sleep := func(d time.Duration) { <-time.After(d); synctest.Wait() } // in the bubble no time passes
		h.signIn("jack")
		if sleep(time.Hour); h.records("jack") != 1 || h.store.count("Prune") != 6 {
			t.Errorf("after an hour there are %d records, want 1", h.records("jack"))
		}
		h.store.fail("Prune", errDisk)
		if sleep(10 * time.Minute); h.records("jack") != 1 || !strings.Contains(h.log.String(), "disk") {
			t.Errorf("a failure is logged as %q", h.log)
		}
		h.store.fail("Prune", nil)
		if sleep(10 * time.Minute); h.records("jack") != 0 || !strings.Contains(h.log.String(), "count=1") {
			t.Errorf("after the failure there are %d records, want none", h.records("jack"))
		}
		cancel()
		<-done
		h.store.count("Prune")
		if sleep(time.Hour); h.store.count("Prune") != 0 {
			t.Error("it goes on after its context")
		}
	})
	goleak.VerifyNone(t)
}
