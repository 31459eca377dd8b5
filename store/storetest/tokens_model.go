package storetest

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/token"
)

// A tokenModel is a store so simple that it is right: the documentation of token.Store in code. It remembers every family.
type tokenModel struct {
	records  []token.Record
	families map[string]bool // false: it has ended
}

func (m *tokenModel) find(key token.Key) *token.Record {
	if i := slices.IndexFunc(m.records, func(r token.Record) bool { return r.Key == key }); i >= 0 {
		return &m.records[i]
	}
	return nil
}

func (m *tokenModel) create(rec token.Record) error {
	if _, known := m.families[rec.Family]; known || m.find(rec.Key) != nil {
		return token.ErrExists
	}
	if rec.Family != "" {
		if m.families == nil {
			m.families = map[string]bool{}
		}
		m.families[rec.Family] = true
	}
	m.records = append(m.records, rec)
	return nil
}

func (m *tokenModel) get(key token.Key) (token.Record, error) {
	if r := m.find(key); r != nil {
		return *r, nil
	}
	return token.Record{}, token.ErrNotFound
}

func (m *tokenModel) use(key token.Key) (token.Record, error) {
	r := m.find(key)
	switch {
	case r == nil:
		return token.Record{}, token.ErrNotFound
	case r.Left == 0:
		return token.Record{}, token.ErrSpent
	case r.Left > 0:
		r.Left--
	}
	return *r, nil
}

// errTaken is why a token is not rotated to a key that is taken. Nobody has said which error that is.
var errTaken = errors.New("the successor's key is taken")

func (m *tokenModel) rotate(key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
	r := m.find(key)
	switch {
	case r == nil:
		return token.Record{}, token.ErrNotFound
	case !r.Used.IsZero() || r.Next != none:
		return *r, token.ErrSpent
	case m.find(next.Key) != nil:
		return token.Record{}, errTaken
	}
	r.Used, r.Next, r.Sealed = used, next.Key, sealed
	next.Family = r.Family
	was := *r
	m.records = append(m.records, next)
	return was, nil
}

func (m *tokenModel) delete(key token.Key, family string) {
	if family == "" {
		m.remove(func(r token.Record) bool { return r.Key == key })
	} else {
		m.end(family)
	}
}

func (m *tokenModel) remove(which func(token.Record) bool) {
	m.records = slices.DeleteFunc(m.records, which)
}

// end ends a family and reports whether it was there.
func (m *tokenModel) end(family string) bool {
	if !m.families[family] {
		return false
	}
	m.families[family] = false
	m.remove(func(r token.Record) bool { return r.Family == family })
	return true
}

func (m *tokenModel) deleteSubject(subject string, purposes ...string) (families []string) {
	theirs := func(r token.Record) bool {
		return r.Subject == subject && (len(purposes) == 0 || slices.Contains(purposes, r.Purpose))
	}
	for _, r := range slices.Clone(m.records) {
		if theirs(r) && m.end(r.Family) {
			families = append(families, r.Family)
		}
	}
	m.remove(theirs)
	return families
}

func (m *tokenModel) prune(before time.Time, limit int) (n int) {
	m.remove(func(r token.Record) bool {
		overdue := r.Expires.Before(before) && n < limit
		if overdue {
			n++
		}
		return overdue
	})
	for family := range m.families {
		if m.empty(family) {
			delete(m.families, family)
		}
	}
	return n
}

// empty reports whether a family has no records.
func (m *tokenModel) empty(family string) bool { return m.size(family) == 0 }

// size returns how many records a family has.
func (m *tokenModel) size(family string) (n int) {
	for _, r := range m.records {
		if r.Family == family {
			n++
		}
	}
	return n
}

// A tokenWalk takes steps at random in a store and in a model at the same time. Few keys, families and subjects make it meet every refusal.
type tokenWalk struct {
	*tokenSuite
	model    tokenModel
	keys     [8]token.Key
	families []string
	steps    []string
}

// randomSteps: after any calls in any order, the store is in the state that they add up to.
func (s *tokenSuite) randomSteps() {
	for range s.rounds(10) {
		w := &tokenWalk{tokenSuite: s, families: []string{"", "", newID(), newID(), newID()}}
		for i := range w.keys {
			w.keys[i] = token.Key(newKey())
		}
		for range rounds {
			w.step()
			if s.Failed() {
				s.Fatalf("after these steps (the last one first):\n%s", strings.Join(w.steps, "\n"))
			}
		}
		for _, subject := range walkSubjects {
			w.deletes(subject, nil, w.model.deleteSubject(subject)...)
		}
	}
}

// step takes one step, and compares all there is.
func (w *tokenWalk) step() {
	rec := w.record(walkSubjects[pick(len(walkSubjects))])
	rec.Key, rec.Family = w.keys[pick(len(w.keys))], w.families[pick(len(w.families))]
	rec.Purpose, rec.Left = []string{"refresh", "reset"}[pick(2)], pick(4)-1
	name, got, want := w.act(rec)
	w.steps = slices.Insert(w.steps, 0, name+" "+showToken(rec)+" = "+text(got))
	if want == errTaken && got != nil && !errors.Is(got, token.ErrSpent) && !errors.Is(got, token.ErrNotFound) {
		want = got
	}
	if !errors.Is(got, want) {
		w.Errorf("%s = %v, want %v", name, got, want)
	}
	for _, key := range w.keys {
		want, missing := w.model.get(key)
		if got, err := w.Store.Get(w.Context(), key); missing != nil {
			w.missing("Get", token.Record{Key: key}, got, err)
		} else if err != nil {
			w.Errorf("Get(%s) = %v, want nil", showToken(want), err)
		} else {
			w.is("Get", got, want)
		}
	}
}

func text(err error) string {
	if err == nil {
		return "nil"
	}
	return err.Error()
}

// act calls one method with rec on both sides, and returns both errors.
func (w *tokenWalk) act(rec token.Record) (name string, got, want error) {
	ctx := w.Context()
	switch pick(8) {
	case 0, 1:
		if _, known := w.model.families[rec.Family]; known && w.model.empty(rec.Family) { // a store may have forgotten it
			i := slices.Index(w.families, rec.Family)
			w.families[i] = newID()
			rec.Family = w.families[i]
		}
		return "Create", w.Store.Create(ctx, rec), w.model.create(rec)
	case 2, 3, 4:
		key := w.keys[pick(len(w.keys))]
		if old := w.model.find(key); old != nil {
			rec.Family = old.Family
		}
		return w.compare("Rotate "+shortToken(key)+" to", func() (token.Record, error) { return w.Store.Rotate(ctx, key, w.now, rec.Body, rec) },
			func() (token.Record, error) { return w.model.rotate(key, w.now, rec.Body, rec) })
	case 5:
		return w.compare("Use", func() (token.Record, error) { return w.Store.Use(ctx, rec.Key) }, func() (token.Record, error) { return w.model.use(rec.Key) })
	case 6:
		if old := w.model.find(rec.Key); old != nil { // or there would seldom be much to end
			rec.Family = old.Family
		}
		if rec.Family != "" && w.model.size(rec.Family) < 3 && pick(3) > 0 { // otherwise families would never get old
			return "nothing", nil, nil
		}
		w.model.delete(rec.Key, rec.Family)
		return "Delete", w.Store.Delete(ctx, rec.Key, rec.Family), nil
	}
	if pick(4) > 0 { // otherwise there would never be many
		return "nothing", nil, nil
	}
	w.deletes(rec.Subject, []string{rec.Purpose}, w.model.deleteSubject(rec.Subject, rec.Purpose)...)
	return "DeleteSubject", nil, nil
}

// compare calls both sides and reports records that differ, where both give one.
func (w *tokenWalk) compare(name string, store, model func() (token.Record, error)) (_ string, got, want error) {
	rec, got := store()
	wanted, want := model()
	if errors.Is(got, want) && (want == nil || strings.HasPrefix(name, "Rotate") && want == token.ErrSpent) {
		w.is(name, rec, wanted)
	}
	return name, got, want
}
