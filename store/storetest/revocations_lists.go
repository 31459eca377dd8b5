package storetest

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// newLists returns lists, as many processes have them, on the stores in turn, with one clock, and fresh.
func (s *revocationSuite) newLists(n int) ([]*revoke.List, *clock) {
	s.Helper()
	stores, c := s.stores(), &clock{now: s.now}
	lists := make([]*revoke.List, n)
	for i := range lists {
		lists[i] = revoke.New(stores[i%len(stores)], revoke.Config{Now: c.Now, Logger: slog.New(slog.DiscardHandler)})
	}
	s.load(lists)
	return lists, c
}

func (s *revocationSuite) load(lists []*revoke.List) {
	s.Helper()
	for _, l := range lists {
		s.ok("Load", l.Load(s.Context()))
	}
}

// all reports lists that do not answer want when they are asked about c.
func (s *revocationSuite) all(lists []*revoke.List, c revoke.Claim, want error) {
	s.Helper()
	for i, l := range lists {
		if err := l.Check(c); !errors.Is(err, want) {
			s.Errorf("list %d: Check(%+v) = %v, want %v", i, c, err, want)
		}
	}
}

// lists: what one process revokes the others refuse after their next look, a process that starts later included.
func (s *revocationSuite) lists() {
	lists, c := s.newLists(2)
	issued := c.Now().Add(-time.Minute)
	claim := revoke.Claim{Token: "jti", Session: "sid", Subject: "anna", Key: "kid", Issued: issued}
	other := revoke.Claim{Token: "JTI", Session: "sid ", Subject: "anna\x00", Key: "kid\x00", Issued: issued}
	for name, step := range map[string]struct {
		revoke func(*revoke.List) error
		claim  revoke.Claim
	}{
		"token":   {func(l *revoke.List) error { return l.RevokeToken(s.Context(), "jti", c.Now().Add(time.Hour)) }, revoke.Claim{Token: "jti", Issued: issued}},
		"session": {func(l *revoke.List) error { return l.RevokeSession(s.Context(), "sid", c.Now().Add(time.Hour)) }, revoke.Claim{Session: "sid", Issued: issued}},
		"subject": {func(l *revoke.List) error { return l.RevokeSubject(s.Context(), "anna") }, revoke.Claim{Subject: "anna", Issued: issued}},
		"key":     {func(l *revoke.List) error { return l.RevokeKey(s.Context(), "kid") }, revoke.Claim{Key: "kid", Issued: issued}},
	} {
		s.all(lists, step.claim, nil)
		s.ok("revoking a "+name, step.revoke(lists[0]))
		s.all(lists[:1], step.claim, revoke.ErrRevoked)
		s.load(lists[1:])
		s.all(lists, step.claim, revoke.ErrRevoked)
		s.all(lists, claim, revoke.ErrRevoked)
		s.all(lists, other, nil)
	}
	later, _ := s.newLists(1)
	s.all(later, claim, revoke.ErrRevoked)
	s.all(later, other, nil)
	s.ok("RevokeAll", lists[1].RevokeAll(s.Context()))
	s.load(lists)
	s.all(append(lists, later[0])[:2], other, revoke.ErrRevoked)
}

// listSubjects: subjects are bytes, compared exactly, through the store and back.
func (s *revocationSuite) listSubjects() {
	lists, c := s.newLists(2)
	issued := c.Now().Add(-time.Minute)
	for i, subject := range subjects {
		if subject == "" {
			continue
		}
		if i%2 == 0 {
			s.ok("RevokeSubject", lists[0].RevokeSubject(s.Context(), subject))
		}
	}
	s.load(lists)
	for i, subject := range subjects {
		want := error(nil)
		if i%2 == 0 && subject != "" {
			want = revoke.ErrRevoked
		}
		s.all(lists, revoke.Claim{Subject: subject, Issued: issued}, want)
	}
}

// listParallel: whatever many processes revoke at once, all refuse all of it after their next look.
func (s *revocationSuite) listParallel() {
	lists, c := s.newLists(4)
	errs := together(crowd, lists, func(l *revoke.List, i int) error {
		if i%5 == 0 {
			return l.Load(s.Context())
		}
		return l.RevokeSession(s.Context(), fmt.Sprint("session ", i), c.Now().Add(time.Hour))
	})
	s.ok("revoking in parallel", errors.Join(errs...))
	s.load(lists)
	for i := range crowd {
		want := revoke.ErrRevoked
		if i%5 == 0 {
			want = nil
		}
		s.all(lists, revoke.Claim{Session: fmt.Sprint("session ", i), Issued: c.Now()}, want)
	}
}

// listPrune: what has expired leaves the store, and nobody takes that for a loss.
func (s *revocationSuite) listPrune() {
	lists, c := s.newLists(2)
	for i := range 20 {
		expires := c.Now().Add(time.Minute)
		if i%2 == 0 {
			expires = c.Now().Add(2 * time.Hour)
		}
		s.ok("RevokeToken", lists[i%2].RevokeToken(s.Context(), fmt.Sprint("token ", i), expires))
	}
	s.load(lists)
	c.advance(time.Hour)
	total := 0
	for range 30 { // a list does not believe at once that an hour has gone by
		n, err := lists[0].Prune(s.Context())
		s.ok("Prune", err)
		total += n
		c.advance(time.Minute)
		s.load(lists)
	}
	if total != 10 {
		s.Errorf("Prune has removed %d entries, want the 10 that have expired", total)
	}
	page, err := s.Store.Since(s.Context(), 0, 100)
	if s.ok("Since", err); len(page.Entries) != 10 || page.Last != 20 {
		s.Errorf("after Prune there are %d entries with Last = %d, want 10 and 20: nothing was put back", len(page.Entries), page.Last)
	}
	for i := range 10 {
		s.all(lists, revoke.Claim{Token: fmt.Sprint("token ", 2*i), Issued: c.Now()}, revoke.ErrRevoked)
	}
}

// listPutsBack: a list that finds another store in the place of its own, as after a backup was restored, puts back what it knows.
func (s *revocationSuite) listPutsBack() {
	changing := &switched{Store: s.Store}
	c := &clock{now: s.now}
	list := revoke.New(changing, revoke.Config{Now: c.Now, Logger: slog.New(slog.DiscardHandler)})
	s.ok("Load", list.Load(s.Context()))
	for i := range 20 {
		s.ok("RevokeToken", list.RevokeToken(s.Context(), fmt.Sprint("token ", i), c.Now().Add(time.Hour)))
	}
	s.ok("RevokeSubject", list.RevokeSubject(s.Context(), "anna\xff\x00"))
	s.ok("Load", list.Load(s.Context()))

	s.Revocations = s.open(s.T)
	changing.Store = s.Store
	s.ok("Load of another store", list.Load(s.Context()))
	fresh, _ := s.newLists(2)
	for _, l := range append(fresh, list) {
		s.all([]*revoke.List{l}, revoke.Claim{Token: "token 7", Issued: c.Now()}, revoke.ErrRevoked)
		s.all([]*revoke.List{l}, revoke.Claim{Subject: "anna\xff\x00", Issued: c.Now().Add(-time.Second)}, revoke.ErrRevoked)
		s.all([]*revoke.List{l}, revoke.Claim{Token: "token 20", Subject: "anna", Issued: c.Now()}, nil)
	}
	entries, err := s.whole(s.Store, 100)
	s.ok("Since", err)
	there := map[string]int{} // how often each is there, whatever else a list writes down for itself
	for _, e := range entries {
		if there[string(e.Kind)+e.ID]++; there[string(e.Kind)+e.ID] > 1 {
			s.Errorf("the other store has the %s %q twice", e.Kind, e.ID)
		}
	}
	if len(there) < 21 {
		s.Errorf("the other store has %d entries, want the 21 that were revoked", len(there))
	}
}

// A switched store is another one from one moment to the next.
type switched struct{ revoke.Store }
