package storetest

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse/session"
)

// testIDs: a store may refuse an id that is not text, but it keeps none that is another than the one it was given.
func testIDs(s *suite) {
	var kept []session.Record
	for _, id := range subjects {
		if id == "" {
			continue // a session has a name
		}
		rec := s.recordID("anna", id)
		err := s.Store.Create(s.Context(), rec, session.Key{})
		isText := utf8.ValidString(id) && !strings.Contains(id, "\x00")
		switch {
		case err == nil:
			s.has(rec)
			kept = append(kept, rec)
		case isText:
			s.Errorf("Create with the id %.40q = %v, want nil", id, err)
		default:
			s.gone(rec)
		}
	}
	for _, rec := range kept {
		s.refused("Create with an id that is taken", s.Store.Create(s.Context(), s.recordID("bert", rec.ID), session.Key{}), session.ErrExists)
	}
	s.lists("bert")
	slices.SortFunc(kept, func(a, b session.Record) int { return strings.Compare(a.ID, b.ID) })
	s.lists("anna", kept...) // all are of the same time
}

// testKeys: keys are bytes as well, and similar ones are different ones.
func testKeys(s *suite) {
	var keys []session.Key
	for _, fill := range []byte{0x00, 0x01, 0x20, '%', '*', '0', 0x7f, 0x80, 0xff} {
		for _, end := range []byte{0x00, 0x01, '\n', ' ', '%', 0xff} {
			key := session.Key(bytes.Repeat([]byte{fill}, len(session.Key{})))
			key[len(key)-1] = end
			keys = append(keys, key)
			key[0] ^= 0x20 // the other case of a letter
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b session.Key) int { return bytes.Compare(a[:], b[:]) })
	keys = slices.DeleteFunc(slices.Compact(keys), session.Key.IsZero)
	var all []session.Record
	for _, key := range keys {
		rec := s.record("anna")
		rec.Key = key
		s.create(rec)
		all = append(all, rec)
	}
	s.has(all...)
	for i, rec := range all {
		s.ok("Delete", s.Store.Delete(s.Context(), rec.Key))
		s.has(all[i+1:]...)
	}
	s.lists("anna")
}

// testCopies: nobody changes the other's bytes.
func testCopies(s *suite) {
	rec := s.record("anna")
	given := rec
	given.Body = bytes.Clone(rec.Body)
	s.create(given)
	clear(given.Body)
	s.has(rec)

	got, err := s.Store.Get(s.Context(), rec.Key)
	s.ok("Get", err)
	clear(got.Body)
	_ = append(got.Body[:0], "changed"...)
	s.has(rec)

	list := s.list("anna")
	if len(list) != 1 {
		s.Fatalf("List = %s, want one record", showAll(list))
	}
	clear(list[0].Body)
	s.has(rec)
	s.lists("anna", rec)

	rec.Body = []byte("second")
	given = rec
	given.Body = bytes.Clone(rec.Body)
	s.ok("Update", s.Store.Update(s.Context(), given))
	rec.Version = 2
	clear(given.Body)
	s.has(rec)

	old, err := s.Store.Get(s.Context(), rec.Key)
	s.ok("Get", err)
	next := rec
	next.Body = []byte("third!")
	s.ok("Update", s.Store.Update(s.Context(), next))
	if !bytes.Equal(old.Body, rec.Body) {
		s.Errorf("after Update, the Body that Get had returned is %q, want %q still", old.Body, rec.Body)
	}
}

// testBodies: a body is bytes, and comes back as it was, through Create, Update, Get and List.
func testBodies(s *suite) {
	random := make([]byte, (session.MaxData + session.MaxIdentity))
	rand.Read(random)
	bodies := map[string][]byte{
		"empty": {}, "one NUL": {0}, "no UTF-8": {0xff, 0xfe, 0xc0, 0x80}, "JSON with spaces and a key twice": []byte("{ \"a\" : 1,\n\"a\":1.0 }\n"),
		"an escaped NUL": []byte(`{"a":"\u0000"}`), "half a surrogate": []byte(`{"a":"\ud800"}`), "hexadecimal": []byte(`\x616e6e61`), "a large number": []byte(`{"n":12345678901234567890}`),
		"a byte order mark": []byte("\ufeff{}"), "line ends": []byte("a\r\nb\rc\n"), "64 KiB at random": random, "64 KiB of NULs": make([]byte, (session.MaxData + session.MaxIdentity)),
	}
	for name, text := range bodies {
		rec := s.record(name)
		rec.Body = text
		s.create(rec)
		s.has(rec)
		other := s.stored(name + " later")
		other.Body = text
		s.ok("Update with "+name, s.Store.Update(s.Context(), other))
		other.Version = 2
		s.has(other)
		s.lists(name, rec)
	}
}

// testOrder: the oldest first, then by the bytes of the id, however they were added and changed.
func testOrder(s *suite) {
	var want []session.Record
	for _, age := range []time.Duration{time.Hour, time.Minute, time.Second, time.Millisecond, 0} {
		for _, id := range []string{"!", "0", "10", "9", "A", "Z", "a", "b", "z", "é"} {
			rec := s.recordID("anna", fmt.Sprint(id, age))
			rec.Created = s.now.Add(-2*time.Hour - age)
			want = append(want, rec)
		}
	}
	for _, i := range permutation(len(want)) {
		s.create(want[i])
	}
	s.lists("anna", want...)
	want[3].Body, want[3].Seen = []byte("changed"), s.now
	s.ok("Update", s.Store.Update(s.Context(), want[3]))
	want[3].Version = 2
	want[7].Seen, want[7].Deadline = s.now, s.now.Add(48*time.Hour)
	s.ok("Touch", s.Store.Touch(s.Context(), want[7].Key, want[7].Seen, want[7].Deadline))
	s.lists("anna", want...)
}
