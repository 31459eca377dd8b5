package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

// testBeside: what one process has done, the other one sees when the call has returned.
func testBeside(s *suite) {
	if s.Beside == nil {
		s.Log("does not apply: no second store can have the same records: Sessions.Beside is nil")
		return
	}
	here, there := s.Store, s.Beside(s.T)
	rec := s.stored("anna")
	on := func(store session.Store) *suite { return &suite{s.base, Sessions{Store: store}} }
	on(there).has(rec)
	on(there).lists("anna", rec)

	rec.Body = []byte("second")
	s.ok("Update there", there.Update(s.Context(), rec))
	s.refused("Update here of what was updated there", here.Update(s.Context(), rec), session.ErrConflict)
	rec.Version = 2
	on(here).has(rec)
	rec.Seen, rec.Deadline = s.now, s.now.Add(48*time.Hour)
	s.ok("Touch here", here.Touch(s.Context(), rec.Key, rec.Seen, rec.Deadline))
	on(there).has(rec)

	next := s.record("anna")
	s.ok("Create there, in place of another", there.Create(s.Context(), next, rec.Key))
	on(here).gone(rec)
	on(here).has(next)
	s.ok("Delete here", here.Delete(s.Context(), next.Key))
	on(there).gone(next)
	last := s.stored("anna")
	on(there).deletes("anna", session.Key{}, 1)
	on(here).gone(last)
}

// testReopen: what was acknowledged is still there after a restart, and what was ended is not.
func testReopen(s *suite) {
	if s.Reopen == nil {
		s.Log("does not apply: the records do not survive the process: Sessions.Reopen is nil")
		return
	}
	stays, changed, touched, ended, replaced, other := s.stored("anna"), s.stored("anna"), s.stored("anna"), s.stored("anna"), s.stored("anna"), s.stored("")
	all, next := s.stored("bert"), s.record("anna\x00\xff")
	changed.Body = []byte{0, 0xff}
	s.ok("Update", s.Store.Update(s.Context(), changed))
	changed.Version = 2
	touched.Seen, touched.Deadline = s.now, s.now.Add(48*time.Hour)
	s.ok("Touch", s.Store.Touch(s.Context(), touched.Key, touched.Seen, touched.Deadline))
	s.ok("Delete", s.Store.Delete(s.Context(), ended.Key))
	s.ok("Create in place of another", s.Store.Create(s.Context(), next, replaced.Key))
	s.deletes("bert", session.Key{}, 1)

	s.Store = s.Reopen(s.T)
	s.has(stays, changed, touched, other, next)
	s.gone(ended, replaced, all)
	s.lists(next.Subject, next)
	s.refused("Create with an id that is taken", s.Store.Create(s.Context(), s.recordID("bert", stays.ID), session.Key{}), session.ErrExists)
	s.deletes("anna", stays.Key, 2)
	s.gone(changed, touched)
}

// A model is a store so simple that it is right: the documentation of session.Store in code.
type model struct{ records []session.Record }

func (m *model) find(key session.Key) int {
	return slices.IndexFunc(m.records, func(r session.Record) bool { return r.Key == key })
}

func (m *model) create(rec session.Record, replaces session.Key) error {
	taken := func(r session.Record) bool { return r.Key == rec.Key || r.ID == rec.ID }
	switch old := m.find(replaces); {
	case slices.ContainsFunc(m.records, taken):
		return session.ErrExists
	case !replaces.IsZero() && old < 0:
		return session.ErrNotFound
	case !replaces.IsZero():
		m.records = slices.Delete(m.records, old, old+1)
	}
	m.records = append(m.records, rec)
	return nil
}

func (m *model) update(rec session.Record) error {
	i := m.find(rec.Key)
	switch {
	case i < 0:
		return session.ErrNotFound
	case m.records[i].Version != rec.Version:
		return session.ErrConflict
	}
	r := &m.records[i]
	r.Body, r.Seen, r.Deadline, r.Version = rec.Body, rec.Seen, rec.Deadline, r.Version+1
	return nil
}

func (m *model) touch(rec session.Record) error {
	i := m.find(rec.Key)
	if i < 0 {
		return session.ErrNotFound
	}
	if r := &m.records[i]; rec.Seen.After(r.Seen) {
		r.Seen, r.Deadline = rec.Seen, rec.Deadline
	}
	return nil
}

func (m *model) delete(which func(session.Record) bool) int {
	was := len(m.records)
	m.records = slices.DeleteFunc(m.records, which)
	return was - len(m.records)
}

func (m *model) list(subject string) []session.Record {
	var list []session.Record
	for _, r := range m.records {
		if r.Subject == subject {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b session.Record) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}

// A walk takes steps at random in a store and in a model at the same time. Few keys, ids and subjects make it meet every refusal.
type walk struct {
	*suite
	model model
	keys  [6]session.Key
	ids   [7]string
	steps []string
}

var walkSubjects = []string{"anna", "bert", ""}

// testRandomSteps: after any calls in any order, the store is in the state that they add up to.
func testRandomSteps(s *suite) {
	for range 5 {
		w := &walk{suite: s}
		for i := range w.keys {
			w.keys[i] = newKey()
		}
		for i := range w.ids {
			w.ids[i] = newSubject()
		}
		for range rounds {
			w.step()
			if s.Failed() {
				s.Fatalf("after these steps (the last one first):\n%s", strings.Join(w.steps, "\n"))
			}
		}
		for _, subject := range walkSubjects {
			w.deletes(subject, session.Key{}, len(w.model.list(subject)))
		}
	}
}

// step takes one step, and compares all there is.
func (w *walk) step() {
	rec := w.record(walkSubjects[pick(len(walkSubjects))])
	rec.Key, rec.ID, rec.Version = w.keys[pick(len(w.keys))], w.ids[pick(len(w.ids))], int64(1+pick(3))
	rec.Created = w.now.Add(-time.Duration(pick(4)) * time.Hour)
	rec.Seen = w.now.Add(-time.Duration(pick(60)) * time.Minute)
	rec.Deadline = w.now.Add(time.Duration(10+pick(60)) * time.Minute)
	name, got, want := w.act(rec)
	w.steps = slices.Insert(w.steps, 0, fmt.Sprintf("%s %s id %.4s seen %v = %v", name, show(rec), rec.ID, rec.Seen.Sub(w.now), got))
	if !errors.Is(got, want) {
		w.Errorf("%s = %v, want %v", name, got, want)
	}
	for _, subject := range walkSubjects {
		w.lists(subject, w.model.list(subject)...)
	}
	for _, key := range w.keys {
		if i := w.model.find(key); i >= 0 {
			w.has(w.model.records[i])
		} else if _, err := w.Store.Get(w.Context(), key); !errors.Is(err, session.ErrNotFound) {
			w.Errorf("Get(%s) = %v, want an error that wraps %q", short(key), err, session.ErrNotFound)
		}
	}
}

// act calls one method with rec on both sides, and returns both errors.
func (w *walk) act(rec session.Record) (name string, got, want error) {
	ctx := w.Context()
	switch pick(8) {
	case 0, 1:
		return "Create", w.Store.Create(ctx, rec, session.Key{}), w.model.create(rec, session.Key{})
	case 2, 3:
		return w.replace(rec, w.keys[pick(len(w.keys))])
	case 4:
		return "Update", w.Store.Update(ctx, rec), w.model.update(rec)
	case 5:
		return "Touch", w.Store.Touch(ctx, rec.Key, rec.Seen, rec.Deadline), w.model.touch(rec)
	case 6:
		w.model.delete(func(r session.Record) bool { return r.Key == rec.Key })
		return "Delete", w.Store.Delete(ctx, rec.Key), nil
	}
	if pick(4) > 0 { // otherwise there would never be many
		return "nothing", nil, nil
	}
	w.deletes(rec.Subject, rec.Key, w.model.delete(func(r session.Record) bool { return r.Subject == rec.Subject && r.Key != rec.Key }))
	return "DeleteAll", nil, nil
}

// replace calls Create in place of another. Where two errors are right, it wants the one that the store has chosen; a record that shall take the key
// or id of the one that it replaces is not tried, since nobody has said what comes of it.
func (w *walk) replace(rec session.Record, replaces session.Key) (name string, got, want error) {
	old := w.model.find(replaces)
	if old >= 0 && (rec.Key == replaces || rec.ID == w.model.records[old].ID) {
		return "nothing", nil, nil
	}
	name = "Create in place of " + short(replaces)
	got, want = w.Store.Create(w.Context(), rec, replaces), w.model.create(rec, replaces)
	if old < 0 && errors.Is(got, session.ErrNotFound) {
		want = session.ErrNotFound
	}
	return name, got, want
}
