package storetest

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

// subjects look alike to something: a database's collation, a pattern, a quoting, a C string, a page. To a store each is another one.
var subjects = []string{
	"", "anna", "Anna", "ANNA", "ann", "annab", " anna", "anna ", "anna\t", "anna\n", "anna\r\n", "\u00a0anna",
	"anna%", "ann_", "%", "_", "*", "?", "ann?", "an*", "[a]nna", "ann[a-z]", "\\", "anna\\", "^anna$", ".*",
	"anna\x00", "\x00", "anna\x00bert", "anna\xff", "\xff", "\xc3", "\xed\xa0\x80", "anna\ufffd",
	"'", "''", "anna'", "\"anna\"", "`anna`", "'; DROP TABLE sessions; --", "' OR '1'='1", "$1", "?1", ":subject", "@subject", "{anna}", "anna:", "anna:1", "a:{n}:na",
	"\u0430nna", "\uff41nna", "a\u200bnna", "a\u00adnna", "\u202eanna", "é", "e\u0301", "ß", "ss", "ſs", "K", "k", "\u212a", "İ", "i", "ı", "I",
	"0", "00", "1", "1.0", "1e0", "+1", "null", "NULL", "nil", "true", "[]", "{}", "0x61", "\\x616e6e61", "\\000",
	strings.Repeat("a", 1024), strings.Repeat("a", 1023), strings.Repeat("a", 1023) + "b", strings.Repeat("\xf0\x9f\x9a\xaa", 256),
}

// testList: subjects are bytes, compared exactly.
func testList(s *suite) {
	of := map[string]session.Record{}
	for _, subject := range subjects {
		if _, twice := of[subject]; twice {
			s.Fatalf("the suite has the subject %q twice", subject)
		}
		of[subject] = s.stored(subject)
	}
	for _, subject := range subjects {
		s.has(of[subject])
		s.lists(subject, of[subject])
	}
	for _, subject := range []string{"nobody", "bert", "ann%", "anna*", strings.Repeat("a", 1022), "anna\x00\x00"} {
		s.lists(subject)
		s.deletes(subject, session.Key{}, 0)
	}
	for i, subject := range subjects {
		s.deletes(subject, session.Key{}, 1)
		s.gone(of[subject])
		for _, other := range subjects[i+1:] {
			if _, err := s.Store.Get(s.Context(), of[other].Key); err != nil {
				s.Fatalf("DeleteAll(%.40q) has removed the record of %.40q: Get = %v", subject, other, err)
			}
		}
	}
}

func testDeleteAll(s *suite) {
	first, second, third, other, visitor := s.stored("anna"), s.stored("anna"), s.stored("anna"), s.stored("bert"), s.stored("")
	s.deletes("anna", second.Key, 2)
	s.gone(first, third)
	s.lists("anna", second)
	s.deletes("anna", second.Key, 0)
	s.deletes("anna", newKey(), 1) // a key that is nobody's spares nothing
	s.gone(second)
	s.deletes("anna", session.Key{}, 0)
	s.lists("anna")

	again := s.stored("anna")
	s.deletes("anna", other.Key, 1) // nor does another subject's
	s.gone(again)
	s.has(other, visitor)
	s.lists("bert", other)
	s.deletes("", session.Key{}, 1)
	s.gone(visitor)
	s.has(other)
}

// testOverdue: stores do not judge by the deadline.
func testOverdue(s *suite) {
	if s.Expires {
		testExpires(s)
		return
	}
	rec := s.record("anna")
	rec.Created, rec.Seen, rec.Deadline = s.now.Add(-3*time.Hour), s.now.Add(-2*time.Hour), s.now.Add(-time.Hour)
	s.create(rec)
	s.has(rec)
	s.lists("anna", rec)
	rec.Body = []byte("second")
	s.ok("Update of an overdue record", s.Store.Update(s.Context(), rec))
	rec.Version = 2
	rec.Seen = rec.Seen.Add(time.Minute)
	s.ok("Touch of an overdue record", s.Store.Touch(s.Context(), rec.Key, rec.Seen, rec.Deadline))
	s.has(rec)
	s.deletes("anna", session.Key{}, 1)
	s.gone(rec)
}

// testExpires: a store that removes overdue records by itself removes all of them and no others.
func testExpires(s *suite) {
	soon := time.Now().Add(300 * time.Millisecond).Truncate(time.Millisecond)
	brief := func() session.Record {
		rec := s.record("anna")
		rec.Deadline = soon
		return rec
	}
	overdue, touched, updated, stays, shortened := brief(), brief(), brief(), s.record("anna"), s.record("anna")
	s.create(overdue, touched, updated, stays, shortened)
	touched.Seen, touched.Deadline = s.now, s.now.Add(time.Hour)
	s.ok("Touch", s.Store.Touch(s.Context(), touched.Key, touched.Seen, touched.Deadline))
	updated.Deadline = s.now.Add(time.Hour)
	s.ok("Update", s.Store.Update(s.Context(), updated))
	updated.Version = 2
	shortened.Seen, shortened.Deadline = s.now, soon
	s.ok("Touch", s.Store.Touch(s.Context(), shortened.Key, shortened.Seen, shortened.Deadline))
	for _, rec := range []session.Record{overdue, shortened} {
		s.eventually("an overdue record is still there", func() bool {
			_, err := s.Store.Get(s.Context(), rec.Key)
			return errors.Is(err, session.ErrNotFound)
		})
	}
	s.gone(overdue, shortened)
	s.has(touched, updated, stays)
	if n := len(s.list("anna")); n != 3 {
		s.Errorf("List has %d records, want the 3 that are not overdue", n)
	}
	s.deletes("anna", session.Key{}, 3)
}

func testPrune(s *suite) {
	pruner, ok := s.Store.(session.Pruner)
	if !ok && !s.Expires {
		s.Fatal("the store is no session.Pruner, and does not say that it removes overdue records by itself (storetest.Sessions.Expires)")
	}
	if !ok {
		s.Log("does not apply: the store removes overdue records by itself")
		return
	}
	var overdue []session.Record
	for i := range 7 {
		rec := s.record([]string{"anna", "bert", ""}[i%3])
		rec.Deadline = s.now.Add(-time.Duration(i+1) * time.Millisecond)
		overdue = append(overdue, rec)
	}
	atLimit, live, visitor := s.record("anna"), s.record("anna"), s.record("")
	atLimit.Deadline = s.now
	s.create(overdue...)
	s.create(atLimit, live, visitor)
	prune := func(before time.Time, limit, want int) {
		s.Helper()
		if n, err := pruner.Prune(s.Context(), before, limit); n != want || err != nil {
			s.Errorf("Prune(%d) = %d, %v, want %d, nil", limit, n, err, want)
		}
	}
	remain := func() (n int) {
		for _, subject := range []string{"anna", "bert", ""} {
			n += len(s.list(subject))
		}
		return n
	}
	prune(s.now.Add(-time.Hour), 100, 0)
	for _, want := range []int{3, 3, 1, 0} {
		was := remain()
		prune(s.now, 3, want)
		if is := remain(); is != was-want {
			s.Errorf("Prune = %d, but %d records are gone", want, was-is)
		}
	}
	s.gone(overdue...)
	s.has(atLimit, live, visitor) // a deadline of exactly now is not overdue yet
	if slices.ContainsFunc(s.list("bert"), func(session.Record) bool { return true }) {
		s.Error("List(bert) has records, want none")
	}
	prune(s.now.Add(time.Millisecond), 3, 1)
	s.gone(atLimit)
	s.has(live, visitor)
}
