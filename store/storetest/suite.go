package storetest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

// A suite is one subtest: its store, and the words in which the tests are written. The words that end the test belong to the test's own goroutine.
type suite struct {
	base
	Sessions
}

func newSuite(t *testing.T, under Sessions) *suite {
	t.Helper()
	if under.Store == nil {
		t.Fatal("storetest.Sessions has no Store")
	}
	return &suite{newBase(t), under}
}

// newKey returns a key that nobody has.
func newKey() (key session.Key) {
	rand.Read(key[:])
	return key
}

// record returns a record of subject that no store has yet, and that will not be overdue before the suite ends.
func (s *suite) record(subject string) session.Record {
	return session.Record{
		Key: newKey(), ID: strings.ToLower(rand.Text()), Subject: subject,
		Created: s.now.Add(-2 * time.Hour), Seen: s.now.Add(-time.Hour), Deadline: s.now.Add(24 * time.Hour),
		Version: 1, Body: []byte(`{"random":"` + rand.Text() + `"}`),
	}
}

// recordID is record with an id of the test's choice.
func (s *suite) recordID(subject, id string) session.Record {
	rec := s.record(subject)
	rec.ID = id
	return rec
}

// stored creates a record of subject.
func (s *suite) stored(subject string) session.Record {
	s.Helper()
	rec := s.record(subject)
	s.create(rec)
	return rec
}

// create stores the records.
func (s *suite) create(records ...session.Record) {
	s.Helper()
	for _, rec := range records {
		if err := s.Store.Create(s.Context(), rec, session.Key{}); err != nil {
			s.Fatalf("Create(%s) = %v, want nil", show(rec), err)
		}
	}
}

// has reports records that the store does not return as they are here.
func (s *suite) has(records ...session.Record) {
	s.Helper()
	for _, want := range records {
		got, err := s.Store.Get(s.Context(), want.Key)
		if err != nil {
			s.Errorf("Get(%s) = %v, want the record", show(want), err)
			continue
		}
		if diff := differ(got, want); diff != "" {
			s.Errorf("Get(%s): %s", show(want), diff)
		}
	}
}

// gone reports records that can be found, by their key or in the list of their subject.
func (s *suite) gone(records ...session.Record) {
	s.Helper()
	for _, rec := range records {
		if got, err := s.Store.Get(s.Context(), rec.Key); !errors.Is(err, session.ErrNotFound) {
			s.Errorf("Get(%s) = %s, %v, want an error that wraps %q", show(rec), show(got), err, session.ErrNotFound)
		}
		listed := func(r session.Record) bool { return r.Key == rec.Key || r.ID == rec.ID }
		if slices.ContainsFunc(s.list(rec.Subject), listed) {
			s.Errorf("List(%.40q) has %s, which is gone", rec.Subject, show(rec))
		}
	}
}

// list returns what the store lists of subject.
func (s *suite) list(subject string) []session.Record {
	s.Helper()
	list, err := s.Store.List(s.Context(), subject)
	if err != nil {
		s.Fatalf("List(%.40q) = %v, want nil", subject, err)
	}
	return list
}

// lists reports a list of subject that is not exactly want, in this order.
func (s *suite) lists(subject string, want ...session.Record) {
	s.Helper()
	got := s.list(subject)
	if !slices.EqualFunc(got, want, func(a, b session.Record) bool { return differ(a, b) == "" }) {
		s.Errorf("List(%.40q) = %s, want %s", subject, showAll(got), showAll(want))
	}
}

// deletes reports a DeleteAll that does not remove want records.
func (s *suite) deletes(subject string, except session.Key, want int) {
	s.Helper()
	if n, err := s.Store.DeleteAll(s.Context(), subject, except); n != want || err != nil {
		s.Errorf("DeleteAll(%.40q, except %t) = %d, %v, want %d, nil", subject, !except.IsZero(), n, err, want)
	}
}

// eventually waits until done returns true, and loses patience some time. If the store's clock can be moved, it is.
func (s *suite) eventually(what string, done func() bool) {
	s.Helper()
	s.await(what, s.Advance, done)
}

// differ says in which fields got is not want, or nothing.
func differ(got, want session.Record) string {
	var faults []string
	field := func(name string, same bool, got, want any) {
		if !same {
			faults = append(faults, fmt.Sprintf("%s = %v, want %v", name, got, want))
		}
	}
	field("Key", got.Key == want.Key, short(got.Key), short(want.Key))
	field("ID", got.ID == want.ID, fmt.Sprintf("%.40q", got.ID), fmt.Sprintf("%.40q", want.ID))
	field("Subject", got.Subject == want.Subject, fmt.Sprintf("%.40q", got.Subject), fmt.Sprintf("%.40q", want.Subject))
	field("Created", got.Created.Equal(want.Created), got.Created, want.Created)
	field("Seen", got.Seen.Equal(want.Seen), got.Seen, want.Seen)
	field("Deadline", got.Deadline.Equal(want.Deadline), got.Deadline, want.Deadline)
	field("Version", got.Version == want.Version, got.Version, want.Version)
	field("Body", bytes.Equal(got.Body, want.Body), fmt.Sprintf("%d bytes %.60q", len(got.Body), got.Body),
		fmt.Sprintf("%d bytes %.60q", len(want.Body), want.Body))
	return strings.Join(faults, "; ")
}

// show names a record in a message.
func show(rec session.Record) string {
	return fmt.Sprintf("%s of %.40q v%d", short(rec.Key), rec.Subject, rec.Version)
}

func showAll(records []session.Record) string {
	var names []string
	for _, rec := range records {
		names = append(names, show(rec))
	}
	return fmt.Sprintf("%d [%s]", len(records), strings.Join(names, ", "))
}

// short is enough of a key to tell it from others.
func short(key session.Key) string { return fmt.Sprintf("%x", key[:4]) }
