package storetest

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

func (s *revocationSuite) roundTrip() {
	s.has(0)
	entries := []revoke.Entry{
		{Kind: revoke.Token, ID: newID(), Expires: s.now.Add(time.Hour)},
		{Kind: revoke.Session, ID: newID(), Expires: s.now.AddDate(290, 0, 0)}, // later than what fits into 64 bits of nanoseconds
		{Kind: revoke.Subject, ID: newID(), Before: s.now.Add(-time.Millisecond), Expires: s.now.Add(time.Hour)},
		{Kind: revoke.Key, ID: newID(), Expires: s.now.Add(time.Millisecond)},
		{Kind: revoke.All, Before: s.now, Expires: s.now.In(time.FixedZone("UTC+14", 14*3600)).Add(time.Hour)},
		{Kind: revoke.Subject, ID: newID(), Before: s.now.In(time.FixedZone("UTC-9:30", -9*3600-1800)), Expires: s.now.Add(time.Hour)},
		{Kind: revoke.All, Before: time.Unix(0, 1e6), Expires: s.now.AddDate(2, 0, 0)},
	}
	for ms := range 5 { // the milliseconds that binary fractions do not hit
		at := s.now.Truncate(time.Second).Add(time.Duration(ms*249+1) * time.Millisecond)
		entries = append(entries, revoke.Entry{Kind: revoke.Subject, ID: newID(), Before: at, Expires: at.Add(time.Hour)})
	}
	s.has(int64(len(entries)), s.added(entries...)...)
	s.fine()
}

// fine: whether a store rounds what is finer than a millisecond or keeps it is its own affair.
func (s *revocationSuite) fine() {
	e := s.entry()
	e.Kind, e.Before, e.Expires = revoke.Subject, s.now.Add(1234*time.Microsecond), e.Expires.Add(999999)
	seq := s.added(e)[0].Seq
	page, err := s.Store.Since(s.Context(), seq-1, 1)
	if err != nil || len(page.Entries) != 1 {
		s.Fatalf("Since = %d entries, %v, want one, nil", len(page.Entries), err)
	}
	for name, d := range map[string]time.Duration{"Before": e.Before.Sub(page.Entries[0].Before), "Expires": e.Expires.Sub(page.Entries[0].Expires)} {
		if d.Abs() >= time.Millisecond {
			s.Errorf("%s is off by %v, want less than a millisecond", name, d)
		}
	}
}

// add: entries get the next Seqs in their order, whatever Seq they come with, and the last one is returned.
func (s *revocationSuite) add() {
	var all []revoke.Entry
	for i, n := range []int{1, 3, 1, 10, 2} {
		entries := s.entries(n)
		for j := range entries {
			entries[j].Seq = []int64{0, 1, 7, -1, math.MaxInt64}[i]
		}
		given := slices.Clone(entries)
		all = append(all, s.added(entries...)...)
		if last := all[len(all)-1].Seq; last != int64(len(all)) {
			s.Errorf("Add of %d entries after %d = %d, want %d: places count from 1, and on by one", n, len(all)-n, last, len(all))
		}
		if !slices.Equal(entries, given) {
			s.Error("Add has changed the entries that it was given")
		}
		s.has(int64(len(all)), all...)
	}
	last := int64(len(all))
	if _, err := s.Store.Add(s.Context()); err != nil {
		s.Errorf("Add of nothing = %v, want nil", err)
	}
	s.has(last, all...)
	again := s.added(all[3], all[3], all[0]) // the same may be revoked twice
	s.has(last+3, append(all, again...)...)
}

// since: what comes after, the lowest first, and no more than the limit.
func (s *revocationSuite) since() {
	all := s.added(s.entries(20)...)
	for _, after := range []int64{0, 1, 7, 18, 19} {
		for _, limit := range []int{1, 2, 13, 19, 20, 21, 1000, math.MaxInt32} {
			s.hasSince(s.Store, after, limit, 20, all[after:min(int(after)+limit, 20)]...)
		}
	}
	for _, after := range []int64{20, 21, 1 << 31, 1 << 53, math.MaxInt64} {
		s.hasSince(s.Store, after, 10, 20)
	}
	for _, after := range []int64{-1, -1 << 32, math.MinInt64} {
		s.hasSince(s.Store, after, 20, 20, all...)
	}
	for _, limit := range []int{0, -1} {
		s.hasSince(s.Store, 0, limit, 20)
	}
}

// pages: a feed that is read in pages is whole.
func (s *revocationSuite) pages() {
	var all []revoke.Entry
	for range 7 {
		all = append(all, s.added(s.entries(33)...)...)
	}
	for _, limit := range []int{1, 7, 33, 100, 231, 1000} {
		got, err := s.whole(s.Store, limit)
		s.ok("Since", err)
		if diff := differInEntries(got, all); diff != "" {
			s.Errorf("in pages of %d: %s", limit, diff)
		}
		s.hasSince(s.Store, 50, limit, 231, all[50:min(50+limit, 231)]...)
	}
}

// overdue: stores do not judge by the time. What has expired is there until it is pruned, at least for a while.
func (s *revocationSuite) overdue() {
	e := s.entry()
	e.Expires = s.now.Add(-time.Minute)
	s.has(1, s.added(e)...)
}

// prune removes what has expired before a time, at most so many, and nothing else.
func (s *revocationSuite) prune() {
	entries := s.entries(20)
	for i := range entries {
		if i%2 == 0 {
			entries[i].Expires = s.now.Add(-time.Duration(20-i) * time.Millisecond)
		}
	}
	entries[19].Expires = s.now
	all := s.added(entries...)
	s.prunes(s.now.Add(-time.Hour), 100, 0)
	s.prunes(s.now, 0, 0)
	s.has(20, all...)
	for _, want := range []int{4, 4, 2, 0} {
		s.prunes(s.now, 4, want)
	}
	rest := slices.DeleteFunc(all, func(e revoke.Entry) bool { return e.Expires.Before(s.now) })
	s.has(20, rest...) // an end of exactly now is not over yet
	for limit := 1; limit <= len(rest); limit++ {
		s.hasSince(s.Store, 0, limit, 20, rest[:limit]...) // there are holes now, and none in a page
	}
	s.prunes(s.now.Add(time.Millisecond), 4, 1)
	s.has(20, rest[:len(rest)-1]...)
}

// lastSurvivesPrune: Last is the highest Seq that was ever given, and none is given again.
func (s *revocationSuite) lastSurvivesPrune() {
	s.added(s.entries(5)...)
	there := 5
	for last := int64(5); last < 9; last++ {
		s.prunes(s.now.AddDate(1, 0, 0), 100, there)
		s.has(last)
		s.hasSince(s.Store, last, 10, last)
		s.hasSince(s.Store, last+5, 10, last)
		s.has(last+1, s.added(s.entry())...)
		there = 1
	}
}

// ids: they are any bytes, compared exactly.
func (s *revocationSuite) ids() {
	var entries []revoke.Entry
	for _, id := range subjects {
		if id == "" {
			continue // it is All's
		}
		entries = append(entries, revoke.Entry{Kind: revoke.Token, ID: id, Expires: s.now.Add(time.Hour)},
			revoke.Entry{Kind: revoke.Subject, ID: id, Before: s.now, Expires: s.now.Add(time.Hour)})
	}
	for b := range 256 {
		entries = append(entries, revoke.Entry{Kind: "token#", ID: string([]byte{byte(b), 0, byte(b), 0xff}), Expires: s.now.Add(time.Hour)})
	}
	s.has(int64(len(entries)), s.added(entries...)...)
}

// kinds: a store keeps what it does not understand: another version may have made it.
func (s *revocationSuite) kinds() {
	var entries []revoke.Entry
	for _, kind := range []revoke.Kind{"token#", "session#", "subject#", "key#", "Token", "token ", "tenant", "'; DROP TABLE revocations; --", "käse", revoke.Kind(strings.Repeat("k", 32))} {
		entries = append(entries, revoke.Entry{Kind: kind, ID: newID(), Expires: s.now.Add(time.Hour)})
	}
	entries = append(entries, revoke.Entry{Kind: revoke.Token, Before: s.now, Expires: s.now.Add(time.Hour)},
		revoke.Entry{Kind: revoke.All, ID: "an id that makes no sense", Expires: s.now.Add(time.Hour)}) // what makes sense is for lists to say
	s.has(int64(len(entries)), s.added(entries...)...)
}

// copies: nobody changes the other's entries.
func (s *revocationSuite) copies() {
	given := s.entries(3)
	all := numbered(3, given)
	last, err := s.Store.Add(s.Context(), given...)
	if err != nil || last != 3 {
		s.Fatalf("Add = %d, %v, want 3, nil", last, err)
	}
	clear(given)
	s.has(3, all...)
	page, err := s.Store.Since(s.Context(), 0, 2)
	s.ok("Since", err)
	clear(page.Entries)
	_ = append(page.Entries, s.entry())
	s.has(3, all...)
	old, err := s.Store.Since(s.Context(), 0, 10)
	s.ok("Since", err)
	s.added(s.entries(2)...)
	s.prunes(s.now.AddDate(1, 0, 0), 1, 1)
	if diff := differInEntries(old.Entries, all); diff != "" {
		s.Errorf("what Since had returned has changed: %s", diff)
	}
}

// large: as much as a list puts back at once, with the longest ids there are.
func (s *revocationSuite) large() {
	entries := s.entries(1000)
	for i := range entries {
		entries[i].ID += strings.Repeat("\xff", revoke.MaxID-len(entries[i].ID))
	}
	all := s.added(entries...)
	s.has(1000, all...)
	s.prunes(s.now.AddDate(1, 0, 0), 2000, 1000)
	s.has(1000)
}

// randomSteps: after any calls in any order, the store is in the state that they add up to.
func (s *revocationSuite) randomSteps() {
	var model []revoke.Entry
	last := int64(0)
	for range s.rounds(3 * rounds) {
		if pick(3) > 0 {
			entries := s.entries(pick(4))
			for i := range entries {
				entries[i].Expires = s.now.Add(time.Duration(pick(20)) * time.Minute)
			}
			last += int64(len(entries))
			added := s.added(entries...)
			if len(added) > 0 && added[len(added)-1].Seq != last {
				s.Errorf("Add = %d, want %d", added[len(added)-1].Seq, last)
			}
			model = append(model, added...)
		} else {
			s.pruneBoth(&model)
		}
		after, limit := int64(pick(1+int(min(last, 250)))), pick(8)
		rest := slices.DeleteFunc(slices.Clone(model), func(e revoke.Entry) bool { return e.Seq <= after })
		s.hasSince(s.Store, after, limit, last, rest[:min(limit, len(rest))]...)
		s.has(last, model...)
	}
}

// pruneBoth prunes the store, and takes what the store has removed out of model: which of those that have expired go first is the store's affair.
func (s *revocationSuite) pruneBoth(model *[]revoke.Entry) {
	s.Helper()
	before, limit := s.now.Add(time.Duration(pick(8))*time.Minute), pick(6)
	if pick(10) == 0 { // nothing is left
		before, limit = s.now.Add(time.Hour), 1000
	}
	expired := func(e revoke.Entry) bool { return e.Expires.Before(before) }
	n := 0
	for _, e := range *model {
		if expired(e) {
			n++
		}
	}
	s.prunes(before, limit, min(n, limit))
	left, err := s.whole(s.Store, 1000)
	s.ok("Since", err)
	*model = slices.DeleteFunc(*model, func(e revoke.Entry) bool {
		there := slices.ContainsFunc(left, func(l revoke.Entry) bool { return l.Seq == e.Seq })
		return !there && expired(e)
	})
}
