package storetest

import (
	"errors"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/token"
)

// subjects are bytes, compared exactly.
func (s *tokenSuite) subjects() {
	of := map[string][]token.Record{}
	for _, subject := range subjects {
		of[subject] = append(s.lineage(subject, newID(), 1), s.stored(s.record(subject))...)
	}
	for _, subject := range subjects {
		s.has(of[subject]...)
	}
	for _, subject := range []string{"nobody", "bert", "ann%", "anna*", strings.Repeat("a", 1022), "anna\x00\x00"} {
		s.deletes(subject, nil)
	}
	for _, subject := range subjects {
		s.has(of[subject]...) // whatever was done to others
		s.deletes(subject, nil, of[subject][0].Family)
		s.gone(of[subject]...)
	}
}

// names: ids, purposes and families are compared exactly. A store may refuse one that is not text, and keeps none that is another than the one it was given.
func (s *tokenSuite) names() {
	var kept []token.Record
	for _, name := range subjects {
		if name == "" {
			continue
		}
		rec := s.member("anna", name)
		rec.ID, rec.Purpose = name, name
		switch err := s.Store.Create(s.Context(), rec); {
		case err == nil:
			s.has(rec)
			kept = append(kept, rec)
		case isText(name):
			s.Errorf("Create with the names %.40q = %v, want nil", name, err)
		default:
			s.gone(rec)
		}
	}
	for i, rec := range kept {
		s.has(rec) // whatever was done to others
		s.refused("Create with a family that is taken", s.Store.Create(s.Context(), s.member("bert", rec.Family)), token.ErrExists)
		if i%2 == 0 {
			s.ok("Delete of a family", s.Store.Delete(s.Context(), none, rec.Family))
		} else {
			s.deletes("anna", []string{rec.Purpose}, rec.Family)
		}
		s.gone(rec)
	}
}

// overdue: stores do not judge by the time.
func (s *tokenSuite) overdue() {
	if s.Expires {
		s.expires()
		return
	}
	rec, first := s.record("anna"), s.member("anna", newID())
	rec.Expires, rec.Left, first.Expires = s.now.Add(-time.Hour), 2, s.now.Add(-time.Minute)
	all := s.stored(first)
	s.stored(rec)
	s.has(rec, first)
	rec.Left--
	_, err := s.Store.Use(s.Context(), rec.Key)
	s.ok("Use of an overdue record", err)
	s.has(rec)
	next := s.member("anna", first.Family)
	next.Expires = s.now.Add(-time.Second)
	s.has(s.rotated(all, next)...)
	s.refused("Create with a key that an overdue record has", s.Store.Create(s.Context(), rec), token.ErrExists)
	s.deletes("anna", nil, first.Family)
	s.gone(rec, first, next)
}

// expires: a store that removes overdue records by itself removes all of them and no others.
func (s *tokenSuite) expires() {
	soon := time.Now().Add(300 * time.Millisecond).Truncate(time.Millisecond)
	overdue, first, used, stays := s.record("anna"), s.member("anna", newID()), s.record("anna"), s.record("anna")
	next := s.member("anna", first.Family)
	overdue.Expires, first.Expires, used.Expires = soon, soon, soon
	used.Left = 2
	all := s.rotated(s.stored(first), next)
	s.stored(overdue, used, stays)
	_, err := s.Store.Use(s.Context(), used.Key)
	s.ok("Use", err)
	for _, rec := range []token.Record{overdue, all[0], used} {
		s.await("an overdue record is still there", s.Advance, func() bool {
			_, err := s.Store.Get(s.Context(), rec.Key)
			return errors.Is(err, token.ErrNotFound)
		})
	}
	s.gone(overdue, all[0], used)
	s.has(stays, next) // the family lives as long as the last of it
	s.refused("Create with the family of one that has expired", s.Store.Create(s.Context(), s.member("bert", first.Family)), token.ErrExists)
	s.rotated([]token.Record{next}, s.member("anna", first.Family))
	s.deletes("anna", nil, first.Family)
	s.gone(next, stays)
}

// prune removes what is overdue, at most so many, and nothing else.
func (s *tokenSuite) prune() {
	var overdue []token.Record
	for i := range 7 {
		rec := s.record([]string{"anna", "bert", ""}[i%3])
		if i%2 == 0 {
			rec.Family = newID()
		}
		rec.Expires = s.now.Add(-time.Duration(i+1) * time.Millisecond)
		overdue = append(overdue, rec)
	}
	atLimit, live := s.record("anna"), s.record("anna")
	atLimit.Expires = s.now
	s.stored(overdue...)
	s.stored(atLimit, live)
	remain := func() (n int) {
		for _, rec := range overdue {
			if _, err := s.Store.Get(s.Context(), rec.Key); err == nil {
				n++
			}
		}
		return n
	}
	s.prunes(s.now.Add(-time.Hour), 100, 0)
	s.prunes(s.now, 0, 0)
	for _, want := range []int{3, 3, 1, 0} {
		was := remain()
		s.prunes(s.now, 3, want)
		if is := remain(); is != was-want && !s.Expires {
			s.Errorf("Prune = %d, but %d records are gone", want, was-is)
		}
	}
	s.gone(overdue...)
	s.has(live)
	if !s.Expires {
		s.has(atLimit) // an end of exactly now is not over yet
	}
	s.prunes(s.now.Add(time.Millisecond), 3, 1)
	s.gone(atLimit)
	s.has(live)
	s.stored(overdue[0]) // neither its key nor its family is taken any more
}

// pruneFamilies: a family lives as long as the last of it.
func (s *tokenSuite) pruneFamilies() {
	first, next, last := s.member("anna", newID()), s.member("anna", ""), s.member("anna", "")
	first.Expires, next.Expires = s.now.Add(-2*time.Hour), s.now.Add(-time.Hour)
	if s.Expires {
		first.Expires, next.Expires = s.now.Add(time.Hour), s.now.Add(time.Hour)
	}
	next.Family, last.Family = first.Family, first.Family
	all := s.rotated(s.rotated(s.stored(first), next), last)
	s.prunes(s.now, 100, 2)
	s.has(last)
	s.refused("Create with the family of what was pruned in part", s.Store.Create(s.Context(), s.member("bert", first.Family)), token.ErrExists)
	all = s.rotated(all, s.member("anna", first.Family))
	s.deletes("anna", nil, first.Family)
	s.gone(all...)
}
