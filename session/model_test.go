package session_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/session"
)

// The model is what a table is, without a store, versions, keys and deadlines: sessions that are there or gone.
const (
	modelIdle     = time.Hour
	modelAbsolute = 3 * time.Hour
	modelTouch    = 10 * time.Minute
	modelMost     = 3
)

// A modelSession is one secret. Those of one lineage follow each other: log-ins and renewals of one browser.
type modelSession struct {
	id, secret, subject string
	family              string // the id of the log-in that this is a renewal of, or its own
	lineage             int
	created, seen       time.Time
	data                map[string]int
	gone                bool
}

// A modelRequest is one request that runs: the real session, and what it should be.
type modelRequest struct {
	real    *session.Session
	of      *modelSession // nil: there is no session
	lineage int
	base    map[string]int // the data when the request last saw them
	data    map[string]int
	dirty   map[string]bool
}

type model struct {
	table    *session.Table
	store    *watchedStore
	clock    *clock
	all      []*modelSession
	requests []*modelRequest
	lineages int
}

func newModel() *model {
	m := &model{store: newStore(), clock: &clock{now: noon}}
	m.table = session.New(m.store, session.Config{Idle: modelIdle, Absolute: modelAbsolute, Touch: modelTouch, MaxPerSubject: modelMost, Now: m.clock.Now})
	return m
}

func (m *model) now() time.Time { return m.clock.Now().Truncate(time.Millisecond) }

func (m *model) overdue(s *modelSession) bool {
	return !m.now().Before(s.seen.Add(modelIdle)) || !m.now().Before(s.created.Add(modelAbsolute))
}

// found returns whether s can be used. If not, it is gone from now on.
func (m *model) found(s *modelSession) bool {
	s.gone = s.gone || m.overdue(s)
	return !s.gone
}

// live returns the sessions of subject that can be used, the oldest first.
func (m *model) live(subject string) []*modelSession {
	var live []*modelSession
	for _, s := range m.all {
		if s.subject == subject && !s.gone && !m.overdue(s) {
			live = append(live, s)
		}
	}
	slices.SortFunc(live, func(a, b *modelSession) int { return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.id, b.id)) })
	return live
}

// request draws one of the requests that run.
func (m *model) request(t *rapid.T) *modelRequest {
	if len(m.requests) == 0 {
		t.Skip("nobody is here")
	}
	return rapid.SampledFrom(m.requests).Draw(t, "request")
}

// expect reports an error that is not one of a session that has ended, where one is due, or any other error.
func expect(t *rapid.T, what string, err error, refused bool) {
	t.Helper()
	if refused != errors.Is(err, gatehouse.ErrSession) || err != nil && !refused {
		t.Fatalf("%s = %v, want a refusal: %v", what, err, refused)
	}
}

// Open begins a request: of a browser with any cookie that was ever given, or with none.
func (m *model) open(t *rapid.T) {
	i := rapid.IntRange(-1, len(m.all)-1).Draw(t, "secret")
	r := &modelRequest{real: new(session.Session), dirty: map[string]bool{}}
	m.requests = append(m.requests, r)
	if i < 0 {
		m.lineages++
		r.lineage = m.lineages
		expect(t, "Open without a cookie", m.table.Open(t.Context(), r.real, ""), false)
		return
	}
	s := m.all[i]
	r.lineage = s.lineage
	found := m.found(s)
	expect(t, "Open", m.table.Open(t.Context(), r.real, s.secret), !found)
	if !found {
		m.lineages++
		r.lineage = m.lineages // whatever this browser does next has nothing to do with the session that has ended
		return
	}
	if m.now().Sub(s.seen) >= modelTouch {
		s.seen = m.now()
	}
	r.of, r.base, r.data = s, s.data, maps.Clone(s.data)
}

func (m *model) put(t *rapid.T) {
	r, key := m.request(t), rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key")
	value := rapid.IntRange(0, 2).Draw(t, "value")
	if err := session.Put(r.real, key, value); err != nil {
		t.Fatalf("Put = %v", err)
	}
	if r.data == nil {
		r.data = map[string]int{}
	}
	r.data[key], r.dirty[key] = value, true
}

func (m *model) remove(t *rapid.T) {
	r, key := m.request(t), rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key")
	if err := r.real.Delete(key); err != nil {
		t.Fatalf("Delete = %v", err)
	}
	if _, ok := r.data[key]; ok {
		delete(r.data, key)
		r.dirty[key] = true
	}
}

func (m *model) discard(t *rapid.T) {
	r := m.request(t)
	r.real.Discard()
	r.data, r.dirty = maps.Clone(r.base), map[string]bool{}
}

func (m *model) save(t *rapid.T) {
	r := m.request(t)
	created, err := m.table.Save(t.Context(), r.real)
	switch {
	case len(r.dirty) == 0:
		expect(t, "Save of nothing", err, false)
	case r.of == nil && len(r.data) == 0:
		expect(t, "Save of nothing that is left", err, false)
		r.dirty = map[string]bool{}
	case r.of == nil:
		expect(t, "Save of a visitor", err, false)
		m.begin(t, r, "", r.data)
		if !created {
			t.Fatal("Save of a visitor has made no session")
		}
		return
	case !m.found(r.of):
		expect(t, "Save of a session that has ended", err, true)
	default:
		m.merge(t, r, err)
	}
	if created {
		t.Fatal("Save has made a session")
	}
}

// merge checks what Save makes of a request and of what others have changed since it began.
func (m *model) merge(t *rapid.T, r *modelRequest, err error) {
	merged, conflict := maps.Clone(r.of.data), false
	if merged == nil {
		merged = map[string]int{}
	}
	for key := range r.dirty {
		was, had := r.base[key]
		is, has := r.of.data[key]
		conflict = conflict || had != has || was != is
		delete(merged, key)
		if value, ok := r.data[key]; ok {
			merged[key] = value
		}
	}
	if conflict != errors.Is(err, session.ErrConflict) || err != nil && !conflict {
		t.Fatalf("Save = %v, want a conflict: %v", err, conflict)
	}
	if !conflict {
		r.of.data, r.of.seen = merged, m.now()
		r.base, r.data, r.dirty = merged, maps.Clone(merged), map[string]bool{}
	}
}

// begin writes down that r has got a new session.
func (m *model) begin(t *rapid.T, r *modelRequest, subject string, data map[string]int) {
	s := &modelSession{id: r.real.ID(), family: r.real.ID(), secret: r.real.Secret().Reveal(), subject: subject, lineage: r.lineage, created: m.now(), seen: m.now(),
		data: maps.Clone(data)}
	for _, other := range m.all {
		if other.id == s.id || other.secret == s.secret || s.secret == "" {
			t.Fatalf("the id or the secret of the new session is not new")
		}
	}
	m.all = append(m.all, s)
	r.of, r.base, r.data, r.dirty = s, s.data, maps.Clone(data), map[string]bool{}
}

func (m *model) start(t *rapid.T) {
	r, subject := m.request(t), rapid.SampledFrom([]string{"jack", "ann"}).Draw(t, "subject")
	before, old := m.live(subject), r.of
	err := m.table.Start(t.Context(), r.real, gatehouse.Identity{Value: subject}, session.Options{})
	data := r.data
	if r.of != nil && r.of.subject == subject && !m.found(r.of) {
		expect(t, "Start in a session that has ended", err, true)
		return
	}
	expect(t, "Start", err, false)
	if r.of != nil {
		r.of.gone = true
		if r.of.subject != "" && r.of.subject != subject {
			data = nil
			m.lineages++
			r.lineage = m.lineages
		} else if slices.ContainsFunc(m.all, func(s *modelSession) bool { return s.lineage == r.lineage && !s.gone }) {
			m.lineages++ // a visitor's session that somebody else has signed in with already: this is a second log-in
			r.lineage = m.lineages
		}
	}
	m.begin(t, r, subject, data)
	if old != nil && old.subject == subject {
		r.of.family = old.family
	}
	if n := len(before); n > 0 && !before[n-1].created.Before(r.of.created) { // a new session is the youngest
		r.of.created = before[n-1].created.Add(time.Millisecond)
		r.of.seen = r.of.created
	}
	others := slices.DeleteFunc(m.live(subject), func(s *modelSession) bool { return s == r.of })
	for len(others) > modelMost-1 {
		others[0].gone = true
		others = others[1:]
	}
}

func (m *model) end(t *rapid.T) {
	r := m.request(t)
	expect(t, "End", m.table.End(t.Context(), r.real), false)
	if r.of != nil {
		m.endFamily(r.of)
		m.lineages++
		r.lineage = m.lineages
	}
	r.of, r.base, r.data, r.dirty = nil, nil, nil, map[string]bool{}
}

// endFamily ends s, and what it was renewed to.
func (m *model) endFamily(s *modelSession) {
	s.gone = true
	for _, other := range m.all {
		if s.subject != "" && other.subject == s.subject && other.family == s.family {
			other.gone = true
		}
	}
}

func (m *model) endOne(t *rapid.T) {
	subject, i := rapid.SampledFrom([]string{"jack", "ann"}).Draw(t, "subject"), rapid.IntRange(-1, len(m.all)-1).Draw(t, "id")
	id, want := "nope", false
	if i >= 0 {
		s := m.all[i]
		id, want = s.id, slices.Contains(m.live(subject), s)
		if want {
			m.endFamily(s)
		}
	}
	if err := m.table.EndOne(t.Context(), subject, id); (err == nil) != want || err != nil && !errors.Is(err, session.ErrNotFound) {
		t.Fatalf("EndOne = %v, want it to end one: %v", err, want)
	}
}

func (m *model) endAll(t *rapid.T) {
	subject, i := rapid.SampledFrom([]string{"jack", "ann"}).Draw(t, "subject"), rapid.IntRange(-1, len(m.all)-1).Draw(t, "except")
	except, want := "", 0
	var spared *modelSession
	if i >= 0 {
		except = m.all[i].id
		if slices.Contains(m.live(subject), m.all[i]) {
			spared = m.all[i]
		}
	}
	for _, s := range m.all {
		if s.subject == subject && !s.gone && s != spared {
			s.gone = true
			want++
		}
	}
	if n, err := m.table.EndAll(t.Context(), subject, except); n != want || err != nil {
		t.Fatalf("EndAll = %d, %v, want %d", n, err, want)
	}
}

func (m *model) prune(t *rapid.T) {
	want := 0
	for _, s := range m.all {
		// At its last moment a session is overdue, and may stay: Prune removes what is before.
		end := s.seen.Add(modelIdle)
		if absolute := s.created.Add(modelAbsolute); absolute.Before(end) {
			end = absolute
		}
		if !s.gone && end.Before(m.now()) {
			s.gone = true
			want++
		}
	}
	if n, err := m.table.Prune(t.Context()); n != want || err != nil {
		t.Fatalf("Prune = %d, %v, want %d", n, err, want)
	}
}

func (m *model) advance(t *rapid.T) {
	m.clock.advance(rapid.SampledFrom([]time.Duration{time.Millisecond, time.Minute, modelTouch, modelIdle / 2, modelIdle - time.Millisecond, modelIdle}).Draw(t, "time"))
}

// check compares all there is with the model.
func (m *model) check(t *rapid.T) {
	lineages := map[int]string{}
	for _, s := range m.all {
		_, err := m.store.SessionStore.Get(t.Context(), keyOfSecret(s.secret))
		if s.gone != errors.Is(err, session.ErrNotFound) {
			t.Fatalf("the session %s of %q is gone: %v, and the store says %v", s.id, s.subject, s.gone, err)
		}
		if other := lineages[s.lineage]; !s.gone && !m.overdue(s) {
			if other != "" {
				t.Fatalf("%s and %s are alive, and one follows the other", other, s.id)
			}
			lineages[s.lineage] = s.id
		}
	}
	for _, subject := range []string{"jack", "ann"} {
		infos, err := m.table.List(t.Context(), subject)
		var got, want []string
		for _, info := range infos {
			got = append(got, info.ID)
		}
		for _, s := range m.live(subject) {
			want = append(want, s.id)
		}
		if err != nil || !slices.Equal(got, want) || len(got) > modelMost {
			t.Fatalf("List(%s) = %q, %v, want %q, and %d at most", subject, got, err, want, modelMost)
		}
	}
	for _, r := range m.requests {
		m.checkRequest(t, r)
	}
}

func (m *model) checkRequest(t *rapid.T, r *modelRequest) {
	got := map[string]int{}
	for _, key := range r.real.Keys() {
		got[key], _, _ = session.Get[int](r.real, key)
	}
	id, subject := "", ""
	if r.of != nil {
		id, subject = r.of.id, r.of.subject
	}
	if !maps.Equal(got, r.data) || r.real.ID() != id || r.real.Subject() != subject || r.real.Identity().Value != subject || r.real.Changed() != (len(r.dirty) > 0) {
		t.Fatalf("a request has %v in %q of %q, changed %v; want %v in %q of %q, changed %v", got, r.real.ID(), r.real.Subject(), r.real.Changed(), r.data, id, subject, r.dirty)
	}
}

// TestModel: whatever browsers, owners and the clock do in which order, the table does what the model does. No session follows another that is alive, none
// comes back, and nothing is alive that EndAll has ended.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		t.Repeat(map[string]func(*rapid.T){
			"Open": m.open, "Open again": m.open, "Put": m.put, "Delete": m.remove, "Discard": m.discard, "Save": m.save, "Start": m.start, "End": m.end,
			"EndOne": m.endOne, "EndAll": m.endAll, "Prune": m.prune, "advance": m.advance, "": m.check,
		})
	})
}

// TestEndAllEndsAll: after EndAll no secret of the subject opens anything, whatever requests still do that had begun before.
func TestEndAllEndsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		for range rapid.IntRange(1, 4).Draw(t, "sessions") {
			s := new(session.Session)
			_ = m.table.Open(t.Context(), s, "")
			if err := m.table.Start(t.Context(), s, gatehouse.Identity{Value: "jack"}, session.Options{}); err != nil {
				t.Fatal(err)
			}
			for range rapid.IntRange(0, 3).Draw(t, "requests") {
				request := new(session.Session)
				_ = m.table.Open(t.Context(), request, s.Secret().Reveal())
				m.requests = append(m.requests, &modelRequest{real: request})
			}
		}
		if _, err := m.table.EndAll(t.Context(), "jack", ""); err != nil {
			t.Fatal(err)
		}
		for _, r := range m.requests {
			if r.real.ID() == "" {
				continue // over the limit before
			}
			_ = session.Put(r.real, "k", 1)
			var err error
			act := rapid.SampledFrom([]string{"Save", "Start", "Open"}).Draw(t, "act")
			switch act {
			case "Save":
				_, err = m.table.Save(t.Context(), r.real)
			case "Start":
				err = m.table.Start(t.Context(), r.real, gatehouse.Identity{Value: "jack"}, session.Options{})
			case "Open":
				err = m.table.Open(t.Context(), new(session.Session), r.real.Secret().Reveal())
			}
			if !errors.Is(err, gatehouse.ErrSession) {
				t.Fatalf("%s after EndAll = %v", act, err)
			}
		}
		if list, err := m.store.SessionStore.List(t.Context(), "jack"); len(list) != 0 || err != nil {
			t.Fatal(fmt.Sprint(len(list), " records are left, ", err))
		}
	})
}
