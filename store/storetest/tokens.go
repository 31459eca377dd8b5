package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/token"
)

// Tokens is a store of tokens to be tested, and what the suite has to know about it.
type Tokens struct {
	// Store is empty, and nobody else's. It is required.
	Store token.Store

	// Expires says that the store removes overdue records by itself, some time after their Expires, so that Prune may find nothing to do. All others must return
	// them until they are pruned.
	Expires bool

	// Advance moves the clock by which the store removes overdue records. Nil: it is the real one, and the suite waits for it, at most a few seconds.
	// It is only called if Expires is true.
	Advance func(d time.Duration)

	// Beside returns one more store with the same records, as a second process opens it while the first one goes on. Nil: there can be no second one.
	Beside func(t *testing.T) token.Store

	// Reopen returns the store with its records as a program finds it after a restart; it may close Store, which is not used after it. Nil: the
	// records do not survive the process.
	Reopen func(t *testing.T) token.Store
}

// tokenTests are the parts of the suite. Every function gets a store of its own.
var tokenTests = []struct {
	name string
	test func(*tokenSuite)
}{
	{"RoundTrip", (*tokenSuite).roundTrip},
	{"Create", (*tokenSuite).create},
	{"NotFound", (*tokenSuite).notFound},
	{"Use", (*tokenSuite).use},
	{"Rotate", (*tokenSuite).rotate},
	{"RotateAgain", (*tokenSuite).rotateAgain},
	{"RotateToTaken", (*tokenSuite).rotateToTaken},
	{"RotateWithoutFamily", (*tokenSuite).rotateWithoutFamily},
	{"Delete", (*tokenSuite).delete},
	{"DeleteFamily", (*tokenSuite).deleteFamily},
	{"DeleteSubject", (*tokenSuite).deleteSubject},
	{"DeletePurposes", (*tokenSuite).deletePurposes},
	{"Subjects", (*tokenSuite).subjects},
	{"Names", (*tokenSuite).names},
	{"Keys", (*tokenSuite).keys},
	{"Bodies", (*tokenSuite).bodies},
	{"Copies", (*tokenSuite).copies},
	{"Overdue", (*tokenSuite).overdue},
	{"Prune", (*tokenSuite).prune},
	{"PruneFamilies", (*tokenSuite).pruneFamilies},
	{"Many", (*tokenSuite).many},
	{"RandomSteps", (*tokenSuite).randomSteps},
	{"Context", (*tokenSuite).context},
	{"CancelDuring", (*tokenSuite).cancelDuring},
	{"CancelStorm", (*tokenSuite).cancelStorm},
	{"ParallelCreates", (*tokenSuite).parallelCreates},
	{"ParallelFamilies", (*tokenSuite).parallelFamilies},
	{"ParallelUses", (*tokenSuite).parallelUses},
	{"ParallelRotates", (*tokenSuite).parallelRotates},
	{"ParallelDeletes", (*tokenSuite).parallelDeletes},
	{"ParallelPrunes", (*tokenSuite).parallelPrunes},
	{"UseAgainstDelete", (*tokenSuite).useAgainstDelete},
	{"RotateAgainstDelete", (*tokenSuite).rotateAgainstDelete},
	{"CreateAgainstDelete", (*tokenSuite).createAgainstDelete},
	{"RotateAgainstUse", (*tokenSuite).rotateAgainstUse},
	{"Beside", (*tokenSuite).beside},
	{"Reopen", (*tokenSuite).reopen},
	{"Families", (*tokenSuite).families},
	{"FamiliesParallel", (*tokenSuite).familiesParallel},
	{"FamiliesReuse", (*tokenSuite).familiesReuse},
	{"FamiliesAgainstEnd", (*tokenSuite).familiesAgainstEnd},
	{"FamiliesAgainstThief", (*tokenSuite).familiesAgainstThief},
	{"OneUse", (*tokenSuite).oneUse},
	{"AssertionOnce", (*tokenSuite).assertionOnce},
}

// TestTokens tests every promise of token.Store, and what families and verifiers make of it. open returns an empty store; it is called once for each
// subtest, and closes what it has opened with t.Cleanup.
func TestTokens(t *testing.T, open func(t *testing.T) Tokens) {
	for _, part := range tokenTests {
		t.Run(part.name, func(t *testing.T) {
			part.test(newTokenSuite(t, open(t)))
		})
	}
}

// A tokenSuite is one subtest: its store, and the words in which the tests are written.
type tokenSuite struct {
	base
	Tokens
}

func newTokenSuite(t *testing.T, under Tokens) *tokenSuite {
	t.Helper()
	if under.Store == nil {
		t.Fatal("storetest.Tokens has no Store")
	}
	return &tokenSuite{newBase(t), under}
}

// stores returns the store, and the one beside it if there can be one: what holds among goroutines must hold among processes.
func (s *tokenSuite) stores() []token.Store {
	if s.Tokens.Beside == nil {
		return []token.Store{s.Store}
	}
	return []token.Store{s.Store, s.Tokens.Beside(s.T)}
}

// none is no key.
var none token.Key

// record returns a record of subject that no store has yet, may be used any number of times, and will not be overdue before the suite ends.
func (s *tokenSuite) record(subject string) token.Record {
	return token.Record{Key: token.Key(newKey()), ID: newID(), Purpose: "reset", Subject: subject, Expires: s.now.Add(24 * time.Hour), Left: -1,
		Body: []byte(`{"random":"` + newID() + `"}`)}
}

// member returns a record of a family.
func (s *tokenSuite) member(subject, family string) token.Record {
	rec := s.record(subject)
	rec.Purpose, rec.Family = "refresh", family
	return rec
}

// stored creates the records, in this order, and returns them.
func (s *tokenSuite) stored(records ...token.Record) []token.Record {
	s.Helper()
	for _, rec := range records {
		if err := s.Store.Create(s.Context(), rec); err != nil {
			s.Fatalf("Create(%s) = %v, want nil", showToken(rec), err)
		}
	}
	return records
}

// lineage creates the first token of a new family of subject, and rotates it n times. It returns all tokens, the latest last.
func (s *tokenSuite) lineage(subject, family string, n int) []token.Record {
	s.Helper()
	all := s.stored(s.member(subject, family))
	for range n {
		all = s.rotated(all, s.member(subject, family))
	}
	return all
}

// rotated rotates the last of the records to next, and returns all of them as they are then.
func (s *tokenSuite) rotated(records []token.Record, next token.Record) []token.Record {
	s.Helper()
	last := &records[len(records)-1]
	got, err := s.Store.Rotate(s.Context(), last.Key, s.now, []byte("sealed "+next.ID), next)
	if err != nil {
		s.Fatalf("Rotate(%s) = %v, want nil", showToken(*last), err)
	}
	last.Used, last.Next, last.Sealed = s.now, next.Key, []byte("sealed "+next.ID)
	s.is("Rotate", got, *last)
	return append(records, next)
}

// is reports a record that is not want.
func (s *tokenSuite) is(what string, got, want token.Record) {
	s.Helper()
	if diff := differInToken(got, want); diff != "" {
		s.Errorf("%s of %s: %s", what, showToken(want), diff)
	}
}

// has reports records that the store does not return as they are here.
func (s *tokenSuite) has(records ...token.Record) {
	s.Helper()
	s.hasIn(s.Store, records...)
}

func (s *tokenSuite) hasIn(store token.Store, records ...token.Record) {
	s.Helper()
	for _, want := range records {
		if got, err := store.Get(s.Context(), want.Key); err != nil {
			s.Errorf("Get(%s) = %v, want the record", showToken(want), err)
		} else {
			s.is("Get", got, want)
		}
	}
}

// gone reports records that can be found, used or rotated.
func (s *tokenSuite) gone(records ...token.Record) {
	s.Helper()
	s.goneIn(s.Store, records...)
}

func (s *tokenSuite) goneIn(store token.Store, records ...token.Record) {
	s.Helper()
	for _, rec := range records {
		got, err := store.Get(s.Context(), rec.Key)
		s.missing("Get", rec, got, err)
		got, err = store.Use(s.Context(), rec.Key)
		s.missing("Use", rec, got, err)
		next := s.record(rec.Subject)
		next.Family = rec.Family
		got, err = store.Rotate(s.Context(), rec.Key, s.now, []byte("sealed"), next)
		s.missing("Rotate", rec, got, err)
		if _, err := store.Get(s.Context(), next.Key); !errors.Is(err, token.ErrNotFound) {
			s.Errorf("after Rotate of %s, which is gone, Get of its successor = %v, want an error that wraps %q", showToken(rec), err, token.ErrNotFound)
		}
	}
}

// missing reports an answer that is not "not found".
func (s *tokenSuite) missing(what string, rec, got token.Record, err error) {
	s.Helper()
	if !errors.Is(err, token.ErrNotFound) || errors.Is(err, token.ErrSpent) {
		s.Errorf("%s(%s) = %s, %v, want an error that wraps %q", what, showToken(rec), showToken(got), err, token.ErrNotFound)
	}
}

// deletes reports a DeleteSubject that does not end exactly these families.
func (s *tokenSuite) deletes(subject string, purposes []string, families ...string) {
	s.Helper()
	got, err := s.Store.DeleteSubject(s.Context(), subject, purposes...)
	slices.Sort(got)
	slices.Sort(families)
	if err != nil || !slices.Equal(got, families) {
		s.Errorf("DeleteSubject(%.40q, %q) = %q, %v, want %q, nil", subject, purposes, got, err, families)
	}
}

// prunes reports a Prune that does not remove want records. A store that removes them by itself may find fewer.
func (s *tokenSuite) prunes(before time.Time, limit, want int) {
	s.Helper()
	n, err := s.Store.Prune(s.Context(), before, limit)
	if err != nil || n > want || n < want && !s.Expires {
		s.Errorf("Prune(%v, %d) = %d, %v, want %d, nil", before.Sub(s.now), limit, n, err, want)
	}
}

// differInToken says in which fields got is not want, or nothing.
func differInToken(got, want token.Record) string {
	var d difference
	d.field("Key", got.Key == want.Key, shortToken(got.Key), shortToken(want.Key))
	d.text("ID", got.ID, want.ID)
	d.text("Purpose", got.Purpose, want.Purpose)
	d.text("Subject", got.Subject, want.Subject)
	d.text("Family", got.Family, want.Family)
	d.time("Expires", got.Expires, want.Expires)
	d.field("Left", got.Left == want.Left, got.Left, want.Left)
	d.time("Used", got.Used, want.Used)
	d.field("Next", got.Next == want.Next, shortToken(got.Next), shortToken(want.Next))
	d.bytes("Sealed", got.Sealed, want.Sealed)
	d.bytes("Body", got.Body, want.Body)
	return d.String()
}

// showToken names a record in a message.
func showToken(rec token.Record) string {
	return fmt.Sprintf("%s %.20q of %.40q in %.20q", shortToken(rec.Key), rec.Purpose, rec.Subject, rec.Family)
}

// shortToken is enough of a key to tell it from others.
func shortToken(key token.Key) string { return fmt.Sprintf("%x", key[:4]) }
