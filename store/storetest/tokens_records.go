package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gatehouse-auth/gatehouse/token"
)

func (s *tokenSuite) roundTrip() {
	plain, nobody, bare, elsewhere, precise, forever, once, often := s.record("anna"), s.record(""), s.record("anna"), s.record("anna"), s.record("anna"), s.record("anna"), s.record("anna"), s.record("anna")
	bare = token.Record{Key: bare.Key, Expires: s.now.Add(time.Hour)} // zero times stay zero
	elsewhere.Expires = elsewhere.Expires.In(time.FixedZone("UTC-9:30", -9*3600-1800))
	precise.Expires = s.now.Truncate(time.Second).Add(time.Hour + 999*time.Millisecond)
	forever.Expires = s.now.AddDate(290, 0, 0) // later than what fits into 64 bits of nanoseconds
	once.Left, often.Left = 1, math.MaxInt32
	copied := s.member("anna", newID()) // as it comes from another store, where it was rotated
	copied.Used, copied.Next, copied.Sealed = s.now.Truncate(time.Second).Add(-time.Hour+time.Millisecond).In(time.FixedZone("UTC+14", 14*3600)), token.Key(newKey()), []byte("sealed\x00\xff")
	all := s.stored(plain, nobody, bare, elsewhere, precise, forever, once, often, copied)
	s.has(all...)
	_, err := s.Store.Rotate(s.Context(), copied.Key, s.now, []byte("other"), s.member("anna", copied.Family))
	s.refused("Rotate of what was rotated in another store", err, token.ErrSpent)
	s.has(all...)
	s.fine()
}

// fine: whether a store rounds what is finer than a millisecond or keeps it is its own affair.
func (s *tokenSuite) fine() {
	rec, used := s.record("anna"), s.now.Add(1234*time.Microsecond)
	rec.Expires = rec.Expires.Add(999999)
	s.stored(rec)
	got, err := s.Store.Rotate(s.Context(), rec.Key, used, nil, s.record("anna"))
	s.ok("Rotate", err)
	for name, d := range map[string]time.Duration{"Expires": rec.Expires.Sub(got.Expires), "Used": used.Sub(got.Used)} {
		if d.Abs() >= time.Millisecond {
			s.Errorf("%s is off by %v, want less than a millisecond", name, d)
		}
	}
}

// create: a key is given once, and so is a family.
func (s *tokenSuite) create() {
	old, first := s.record("anna"), s.member("anna", newID())
	s.stored(old, first)
	sameKey, sameFamily, both := s.record("bert"), s.member("bert", first.Family), s.member("bert", newID())
	sameKey.Key, both.Key = old.Key, first.Key
	s.refused("Create with a key that is taken", s.Store.Create(s.Context(), sameKey), token.ErrExists)
	s.refused("Create of the same record again", s.Store.Create(s.Context(), old), token.ErrExists)
	s.refused("Create with a family that is taken", s.Store.Create(s.Context(), sameFamily), token.ErrExists)
	s.refused("Create with a key of a family that is taken", s.Store.Create(s.Context(), both), token.ErrExists)
	s.has(old, first)
	s.gone(sameFamily)
	s.stored(s.member("bert", both.Family)) // the refused call has not begun the family
	s.deletes("bert", nil, both.Family)
	s.has(old, first)

	sameID := s.record("bert") // a key tells records apart, an id need not
	sameID.ID = old.ID
	s.stored(sameID)
	s.has(old, sameID)
}

// notFound: what is not there is not made by using it.
func (s *tokenSuite) notFound() {
	other, deleted, ended := s.record("anna"), s.record("anna"), s.member("anna", newID())
	s.stored(other, deleted, ended)
	s.ok("Delete", s.Store.Delete(s.Context(), deleted.Key, ""))
	s.ok("Delete of a family", s.Store.Delete(s.Context(), none, ended.Family))
	s.gone(s.record("anna"), deleted, ended, token.Record{})
	near := other.Key
	near[31] ^= 1
	s.gone(token.Record{Key: near})
	s.has(other)
}

// use: of n uses, n succeed, and each says how many are left.
func (s *tokenSuite) use() {
	for _, uses := range []int{1, 2, 5} {
		rec, other := s.record("anna"), s.record("anna")
		rec.Left, other.Left = uses, uses
		s.stored(rec, other)
		for range uses {
			rec.Left--
			got, err := s.Store.Use(s.Context(), rec.Key)
			s.ok("Use", err)
			s.is("Use", got, rec)
			s.has(rec)
		}
		for range 2 {
			_, err := s.Store.Use(s.Context(), rec.Key)
			s.refused("Use of one that is used up", err, token.ErrSpent)
			if errors.Is(err, token.ErrNotFound) {
				s.Errorf("Use of one that is used up = %v, but it is there", err)
			}
		}
		s.has(rec, other)
	}
	unlimited, spent := s.record("anna"), s.record("anna")
	spent.Left = 0
	s.stored(unlimited, spent)
	for range 10 {
		got, err := s.Store.Use(s.Context(), unlimited.Key)
		s.ok("Use of one without a limit", err)
		s.is("Use", got, unlimited)
	}
	_, err := s.Store.Use(s.Context(), spent.Key)
	s.refused("Use of one that was used up from the beginning", err, token.ErrSpent)
	s.has(unlimited, spent)
}

// rotate: a token is replaced by its successor, which is in the family as well.
func (s *tokenSuite) rotate() {
	other := s.lineage("anna", newID(), 1)
	all := s.lineage("anna", newID(), 5)
	s.has(all...)
	s.has(other...)
	s.deletes("anna", []string{"refresh"}, all[0].Family, other[0].Family)
	s.gone(all...)
	s.gone(other...)
}

// rotateAgain: one that was rotated is given back as it is, and nothing is changed.
func (s *tokenSuite) rotateAgain() {
	all := s.lineage("anna", newID(), 3)
	for _, rec := range all[:3] {
		lost := s.member("anna", rec.Family)
		got, err := s.Store.Rotate(s.Context(), rec.Key, s.now.Add(time.Hour), []byte("lost"), lost)
		s.refused("Rotate of one that was rotated", err, token.ErrSpent)
		s.is("Rotate again", got, rec)
		s.gone(lost)
		got, err = s.Store.Rotate(s.Context(), rec.Key, time.Time{}, nil, all[3])
		s.refused("Rotate of one that was rotated, to its own descendant", err, token.ErrSpent)
		s.is("Rotate again", got, rec)
	}
	s.has(all...)
}

// rotateToTaken: a key that is taken is nobody's successor.
func (s *tokenSuite) rotateToTaken() {
	all, other := s.lineage("anna", newID(), 1), s.stored(s.record("bert"))[0]
	for name, key := range map[string]token.Key{"somebody else's": other.Key, "its predecessor's": all[0].Key, "its own": all[1].Key} {
		next := s.member("anna", all[0].Family)
		next.Key = key
		_, err := s.Store.Rotate(s.Context(), all[1].Key, s.now, []byte("sealed"), next)
		if err == nil || errors.Is(err, token.ErrSpent) || errors.Is(err, token.ErrNotFound) {
			s.Errorf("Rotate to a key that is %s = %v, want another error", name, err)
		}
		s.has(other)
		s.has(all...)
	}
	s.rotated(all, s.member("anna", all[0].Family))
}

// rotateWithoutFamily: a token that stands alone may be replaced as well.
func (s *tokenSuite) rotateWithoutFamily() {
	all := s.stored(s.record("anna"))
	all = s.rotated(all, s.record("anna"))
	all = s.rotated(all, s.record("anna"))
	s.has(all...)
	s.ok("Delete", s.Store.Delete(s.Context(), all[1].Key, ""))
	s.gone(all[1])
	s.has(all[0], all[2])
	s.deletes("anna", nil)
	s.gone(all...)
}

// delete: one record, of a family too, and it is no error if there is none.
func (s *tokenSuite) delete() {
	rec, other, all := s.record("anna"), s.record("anna"), s.lineage("anna", newID(), 2)
	s.stored(rec, other)
	for range 2 { // the second time there is none
		s.ok("Delete", s.Store.Delete(s.Context(), rec.Key, ""))
		s.gone(rec)
		s.has(other)
		s.has(all...)
	}
	s.ok("Delete of one that never was", s.Store.Delete(s.Context(), token.Key(newKey()), ""))
	s.ok("Delete under no key", s.Store.Delete(s.Context(), none, ""))
	s.stored(rec) // its key is not taken any more
	s.ok("Delete", s.Store.Delete(s.Context(), all[1].Key, ""))
	s.gone(all[1])
	s.has(rec, other, all[0], all[2])
	all = s.rotated([]token.Record{all[0], all[2]}, s.member("anna", all[0].Family)) // the family is still there
	s.has(all...)
	s.deletes("anna", nil, all[0].Family)
	s.gone(rec, other)
	s.gone(all...)
}

// deleteFamily: once it has returned, nothing of the family is ever found again.
func (s *tokenSuite) deleteFamily() {
	all, other, alone := s.lineage("anna", newID(), 3), s.lineage("anna", newID(), 1), s.stored(s.record("anna"))[0]
	family := all[0].Family
	for range 2 { // the second time there is none
		s.ok("Delete of a family", s.Store.Delete(s.Context(), alone.Key, family)) // the key is not looked at
		s.gone(all...)
		s.has(other...)
		s.has(alone)
	}
	s.ok("Delete of a family that never was", s.Store.Delete(s.Context(), none, newID()))
	if err := s.Store.Create(s.Context(), s.member("anna", family)); err != nil { // a store may have forgotten it
		s.refused("Create with a family that has ended", err, token.ErrExists)
	}
	s.gone(all...)
	s.has(other...)
}

// deleteSubject: all that is a subject's, and the whole of each family that something of it is in.
func (s *tokenSuite) deleteSubject() {
	one, two, ended, berts := s.lineage("anna", newID(), 2), s.lineage("anna", newID(), 0), s.lineage("anna", newID(), 1), s.lineage("bert", newID(), 1)
	alone, nobody := s.stored(s.record("anna"))[0], s.stored(s.record(""))[0]
	s.ok("Delete of a family", s.Store.Delete(s.Context(), none, ended[0].Family))
	s.deletes("cleo", nil)
	s.deletes("anna", nil, one[0].Family, two[0].Family) // the one that has ended was not ended now
	s.gone(one...)
	s.gone(two...)
	s.gone(alone)
	s.deletes("anna", nil)
	s.has(berts...)
	s.has(nobody)
	s.deletes("", nil) // nobody's, and not everybody's
	s.gone(nobody)
	s.has(berts...)

	mixed := s.rotated(berts, s.member("carl", berts[0].Family))
	s.deletes("carl", nil, berts[0].Family) // a family ends as a whole, whoever else is in it
	s.gone(mixed...)
}

// deletePurposes: with purposes, the others stay; a family ends as a whole.
func (s *tokenSuite) deletePurposes() {
	reset, verify, invite, family := s.record("anna"), s.record("anna"), s.record("anna"), s.lineage("anna", newID(), 1)
	verify.Purpose, invite.Purpose = "verify", "Reset"
	s.stored(reset, verify, invite)
	for _, purposes := range [][]string{{"rese"}, {"reset "}, {"res%"}, {""}, {"other", "*"}} {
		s.deletes("anna", purposes)
	}
	s.has(reset, verify, invite)
	s.has(family...)
	s.deletes("anna", []string{"reset", "verify", "none"})
	s.gone(reset, verify)
	s.has(invite)
	s.has(family...)
	other := s.member("anna", family[0].Family)
	other.Purpose = "other"
	family = s.rotated(family, other)
	s.deletes("anna", []string{"other", "other"}, family[0].Family)
	s.gone(family...)
	s.has(invite)
}

// keys are bytes, and similar ones are different ones.
func (s *tokenSuite) keys() {
	var all []token.Record
	for _, fill := range []byte{0x00, 0x01, 0x20, '%', '*', '0', 0x7f, 0x80, 0xff} {
		for _, end := range []byte{0x02, '\n', ' ', '%', 'a', 'A', 0xfe} {
			rec := s.record("anna")
			rec.Key = token.Key(bytes.Repeat([]byte{fill}, len(rec.Key)))
			rec.Key[len(rec.Key)-1] = end
			all = append(all, rec)
		}
	}
	s.stored(all...)
	s.has(all...)
	for _, rec := range all {
		s.has(rec) // whatever was done to others
		s.ok("Delete", s.Store.Delete(s.Context(), rec.Key, ""))
	}
	s.gone(all...)
}

// bodies: Body and Sealed are bytes, and come back as they were, through Create, Get, Use and Rotate.
func (s *tokenSuite) bodies() {
	for name, text := range hostile() {
		rec, next := s.record(name), s.record(name)
		rec.Body, next.Body, rec.Left = text, text, 3
		s.stored(rec)
		s.has(rec)
		rec.Left--
		got, err := s.Store.Use(s.Context(), rec.Key)
		s.ok("Use", err)
		s.is("Use", got, rec)
		_, err = s.Store.Rotate(s.Context(), rec.Key, s.now, text, next)
		s.ok("Rotate", err)
		rec.Used, rec.Next, rec.Sealed = s.now, next.Key, text
		s.has(rec, next)
		got, err = s.Store.Rotate(s.Context(), rec.Key, s.now, nil, s.record(name))
		s.refused("Rotate again", err, token.ErrSpent)
		s.is("Rotate again", got, rec)
		if s.Failed() {
			s.Fatalf("it was a body with %s", name)
		}
	}
}

// copies: nobody changes the other's bytes.
func (s *tokenSuite) copies() {
	rec := s.record("anna")
	rec.Left = 5
	given := rec
	given.Body = bytes.Clone(rec.Body)
	s.stored(given)
	clear(given.Body)
	s.has(rec)

	next, sealed := s.record("anna"), []byte("sealed")
	givenNext := next
	givenNext.Body = bytes.Clone(next.Body)
	rotated, err := s.Store.Rotate(s.Context(), rec.Key, s.now, sealed, givenNext)
	s.ok("Rotate", err)
	clear(sealed)
	clear(givenNext.Body)
	clear(rotated.Sealed)
	clear(rotated.Body)
	rec.Used, rec.Next, rec.Sealed = s.now, next.Key, []byte("sealed")
	s.has(rec, next)
	for name, do := range map[string]func() (token.Record, error){
		"Get": func() (token.Record, error) { return s.Store.Get(s.Context(), rec.Key) },
		"Use": func() (token.Record, error) { rec.Left--; return s.Store.Use(s.Context(), rec.Key) },
		"Rotate again": func() (token.Record, error) {
			got, err := s.Store.Rotate(s.Context(), rec.Key, s.now, nil, s.record("anna"))
			if errors.Is(err, token.ErrSpent) {
				err = nil
			}
			return got, err
		},
	} {
		got, err := do()
		s.ok(name, err)
		s.is(name, got, rec)
		clear(got.Body)
		clear(got.Sealed)
		_ = append(append(got.Body[:0], "changed"...), append(got.Sealed[:0], "changed"...)...)
		s.has(rec)
	}
}

// many: as much as a busy subject gathers.
func (s *tokenSuite) many() {
	var all []token.Record
	var families []string
	for i := range 300 {
		if i%3 > 0 {
			all = append(all, s.record("anna"))
			continue
		}
		family := newID()
		families, all = append(families, family), append(all, s.member("anna", family))
	}
	s.stored(all...)
	other := s.stored(s.record("bert"))
	s.has(all...)
	s.deletes("anna", nil, families...)
	for _, rec := range all {
		if _, err := s.Store.Get(s.Context(), rec.Key); !errors.Is(err, token.ErrNotFound) {
			s.Fatalf("Get(%s) = %v, want an error that wraps %q", showToken(rec), err, token.ErrNotFound)
		}
	}
	s.has(other...)
	s.longLine()
}

// longLine: a log-in that was renewed for long ends as a whole.
func (s *tokenSuite) longLine() {
	all := s.lineage(fmt.Sprint("long ", newID()), newID(), 200)
	s.has(all...)
	s.ok("Delete of a family", s.Store.Delete(s.Context(), none, all[0].Family))
	s.gone(all[0], all[100], all[199], all[200])
}
