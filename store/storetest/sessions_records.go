package storetest

import (
	"bytes"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

func testRoundTrip(s *suite) {
	plain := s.record("anna")
	visitor := s.record("")
	empty := s.record("anna")
	empty.Body = nil
	large := s.record("anna")
	large.Body = bytes.Repeat([]byte("\x00\xff'\"\\\r\n%s"), (session.MaxData+session.MaxIdentity)/8)[:(session.MaxData + session.MaxIdentity)]
	elsewhere := s.record("anna")
	elsewhere.Created = elsewhere.Created.In(time.FixedZone("UTC+14", 14*3600))
	elsewhere.Seen = elsewhere.Seen.UTC()
	elsewhere.Deadline = elsewhere.Deadline.In(time.FixedZone("UTC-9:30", -9*3600-1800))
	precise := s.record("anna")
	precise.Created = s.now.Truncate(time.Second).Add(-time.Hour + time.Millisecond)
	precise.Seen = s.now.Truncate(time.Second).Add(-time.Hour + 999*time.Millisecond)
	forever := s.record("anna") // later than what fits into 64 bits of nanoseconds
	forever.Deadline = s.now.AddDate(290, 0, 0)
	copied := s.record("anna") // as it comes from another store
	copied.Version = 1 << 40
	s.create(plain, visitor, empty, large, elsewhere, precise, forever, copied)
	s.has(plain, visitor, empty, large, elsewhere, precise, forever, copied)
	testSubMillisecond(s)
}

// testSubMillisecond: whether a store rounds what is finer than a millisecond or keeps it is its own affair.
func testSubMillisecond(s *suite) {
	fine := s.record("anna")
	fine.Created, fine.Seen = fine.Created.Add(1234*time.Microsecond), fine.Seen.Add(999999)
	s.create(fine)
	got, err := s.Store.Get(s.Context(), fine.Key)
	s.ok("Get", err)
	if d := fine.Created.Sub(got.Created).Abs(); d >= time.Millisecond {
		s.Errorf("Created is off by %v, want less than a millisecond", d)
	}
	if d := fine.Seen.Sub(got.Seen).Abs(); d >= time.Millisecond {
		s.Errorf("Seen is off by %v, want less than a millisecond", d)
	}
}

func testCreate(s *suite) {
	old := s.stored("anna")
	sameKey, sameID := s.record("bert"), s.record("bert")
	sameKey.Key, sameID.ID = old.Key, old.ID
	s.refused("Create with a key that is taken", s.Store.Create(s.Context(), sameKey, session.Key{}), session.ErrExists)
	s.refused("Create with an id that is taken", s.Store.Create(s.Context(), sameID, session.Key{}), session.ErrExists)
	s.refused("Create of the same record again", s.Store.Create(s.Context(), old, session.Key{}), session.ErrExists)
	s.has(old)
	s.gone(sameID)
	s.lists("anna", old)
	s.lists("bert")
}

func testReplace(s *suite) {
	old, other := s.stored("anna"), s.stored("anna")
	next := s.record("anna")
	s.ok("Create in place of another", s.Store.Create(s.Context(), next, old.Key))
	s.gone(old)
	s.has(next, other)

	late := s.record("anna")
	s.refused("Create in place of one that was replaced", s.Store.Create(s.Context(), late, old.Key), session.ErrNotFound)
	s.refused("Create in place of one that never was", s.Store.Create(s.Context(), late, newKey()), session.ErrNotFound)
	s.gone(late)

	sameKey, sameID := s.record("anna"), s.record("anna")
	sameKey.Key, sameID.ID = other.Key, other.ID
	s.refused("Create in place of another, with a key that is taken", s.Store.Create(s.Context(), sameKey, next.Key), session.ErrExists)
	s.refused("Create in place of another, with an id that is taken", s.Store.Create(s.Context(), sameID, next.Key), session.ErrExists)
	s.has(next, other)
	s.gone(session.Record{Key: sameID.Key, ID: "no such id", Subject: "anna"})

	bert := s.record("bert")
	s.ok("Create in place of another subject's", s.Store.Create(s.Context(), bert, next.Key))
	s.gone(next)
	s.lists("anna", other)
	s.lists("bert", bert)

	visitor, signedIn := s.stored(""), s.record("anna")
	s.ok("Create in place of a visitor's", s.Store.Create(s.Context(), signedIn, visitor.Key))
	s.gone(visitor)
	s.has(signedIn)
}

func testUpdate(s *suite) {
	rec, other := s.stored("anna"), s.stored("anna")
	next := rec
	next.Body, next.Seen, next.Deadline = []byte("second"), s.now, rec.Deadline.Add(time.Hour)
	s.ok("Update", s.Store.Update(s.Context(), next))
	next.Version = 2
	s.has(next, other)

	for _, version := range []int64{1, 3, 0, -1} {
		stale := next
		stale.Version, stale.Body, stale.Seen, stale.Deadline = version, []byte("lost"), s.now.Add(time.Hour), s.now.Add(48*time.Hour)
		s.refused("Update of another version", s.Store.Update(s.Context(), stale), session.ErrConflict)
	}
	s.has(next)

	next.Body, next.Seen, next.Deadline = nil, rec.Seen.Add(-time.Minute), s.now.Add(time.Hour) // replaced, not moved
	s.ok("Update to less", s.Store.Update(s.Context(), next))
	next.Version = 3
	s.has(next, other)

	foreign := next
	foreign.ID, foreign.Subject, foreign.Created, foreign.Body = "other id", "bert", s.now, []byte("fourth")
	s.ok("Update", s.Store.Update(s.Context(), foreign))
	next.Version, next.Body = 4, []byte("fourth")
	s.has(next) // id, subject and creation stay
	s.lists("bert")
}

func testTouch(s *suite) {
	rec, other := s.stored("anna"), s.stored("anna")
	touch := func(seen, deadline time.Time) {
		s.Helper()
		s.ok("Touch", s.Store.Touch(s.Context(), rec.Key, seen, deadline))
		s.has(rec, other)
	}
	before := rec
	rec.Seen, rec.Deadline = before.Seen.Add(time.Millisecond), before.Deadline.Add(time.Hour)
	touch(rec.Seen, rec.Deadline)
	touch(rec.Seen, before.Deadline)                             // not later: nothing moves
	touch(rec.Seen, rec.Deadline.Add(time.Hour))                 //
	touch(before.Seen, before.Deadline)                          // earlier: nothing moves
	touch(before.Seen.Add(-time.Hour), s.now.Add(100*time.Hour)) //
	rec.Seen, rec.Deadline = s.now, s.now.Add(time.Hour)         // later, and the deadline earlier: limits were tightened
	touch(rec.Seen, rec.Deadline)

	next := rec
	next.Body = []byte("second")
	s.ok("Update after Touch", s.Store.Update(s.Context(), next)) // the version has stayed
}

func testDelete(s *suite) {
	rec, other := s.stored("anna"), s.stored("anna")
	for range 2 { // the second time there is none
		s.ok("Delete", s.Store.Delete(s.Context(), rec.Key))
		s.gone(rec)
		s.has(other)
	}
	s.ok("Delete of one that never was", s.Store.Delete(s.Context(), newKey()))
	s.ok("Delete under no key", s.Store.Delete(s.Context(), session.Key{}))
	s.lists("anna", other)
	s.create(rec) // neither its key nor its id is taken any more
	s.has(rec)
}

// testNotFound: what is not there is not made by changing it.
func testNotFound(s *suite) {
	other, never, ended := s.stored("anna"), s.record("anna"), s.stored("anna")
	s.ok("Delete", s.Store.Delete(s.Context(), ended.Key))
	zero := s.record("anna")
	zero.Key = session.Key{}
	for name, rec := range map[string]session.Record{"that never was": never, "that was deleted": ended, "under no key": zero} {
		_, err := s.Store.Get(s.Context(), rec.Key)
		s.refused("Get of one "+name, err, session.ErrNotFound)
		s.refused("Update of one "+name, s.Store.Update(s.Context(), rec), session.ErrNotFound)
		s.refused("Touch of one "+name, s.Store.Touch(s.Context(), rec.Key, s.now, rec.Deadline.Add(time.Hour)), session.ErrNotFound)
		s.gone(rec)
	}
	s.lists("anna", other)
}
