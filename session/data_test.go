package session_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/session"
)

type cart struct {
	Films []string `json:"films"`
	Total int      `json:"total,omitempty"`
}

// roundTrip puts a value, stores it, and gets it in the next request, as the same type.
func roundTrip[T any](h *house, want T) {
	h.t.Helper()
	s := h.visitor()
	h.ok("Put", session.Put(s, "k", want))
	h.save(s)
	for name, s := range map[string]*session.Session{"this request": s, "the next request": h.again(s)} {
		got, ok, err := session.Get[T](s, "k")
		if !ok || err != nil || !reflect.DeepEqual(got, want) {
			h.t.Errorf("Put(%#v), Get in %s = %#v, %v, %v", want, name, got, ok, err)
		}
	}
}

// TestValuesComeBack as what they were, where JSON can say it.
func TestValuesComeBack(t *testing.T) {
	h := newHouse(t, session.Config{})
	roundTrip(h, "")
	roundTrip(h, "a\x00b </script> \u2028 \U0001F36A")
	roundTrip(h, 0)
	roundTrip(h, int64(math.MaxInt64))
	roundTrip(h, math.SmallestNonzeroFloat64)
	roundTrip(h, true)
	roundTrip(h, []byte{0, 0xff})
	roundTrip(h, cart{Films: []string{"Alien", "Brazil"}, Total: 2})
	roundTrip(h, &cart{Films: []string{}})
	roundTrip(h, (*cart)(nil))
	roundTrip(h, map[string][]int{"a": {1}, "": nil})
	roundTrip(h, noon)
	roundTrip(h, time.Hour)
	roundTrip(h, json.Number("12345678901234567890"))
	roundTrip(h, json.RawMessage(`{"b":1,"a":[null]}`))
	roundTrip[any](h, nil)
	roundTrip(h, struct{}{})
}

// TestGetOfAnotherType is an error that tells the type, not the value.
func TestGetOfAnotherType(t *testing.T) {
	h := newHouse(t, session.Config{})
	s := h.put(h.put(h.visitor(), "text", "very private"), "number", 300)
	h.save(s)
	for name, get := range map[string]func(*session.Session) (any, bool, error){
		"text as int":     func(s *session.Session) (any, bool, error) { return session.Get[int](s, "text") },
		"text as cart":    func(s *session.Session) (any, bool, error) { return session.Get[cart](s, "text") },
		"text as list":    func(s *session.Session) (any, bool, error) { return session.Get[[]string](s, "text") },
		"text as map":     func(s *session.Session) (any, bool, error) { return session.Get[map[string]int](s, "text") },
		"number as text":  func(s *session.Session) (any, bool, error) { return session.Get[string](s, "number") },
		"number as uint8": func(s *session.Session) (any, bool, error) { return session.Get[uint8](s, "number") },
		"number as error": func(s *session.Session) (any, bool, error) { return session.Get[error](s, "number") },
		"number as func":  func(s *session.Session) (any, bool, error) { return session.Get[chan int](s, "number") },
	} {
		for _, s := range []*session.Session{s, h.again(s)} {
			got, ok, err := get(s)
			if err == nil || !ok || !(got == nil || reflect.ValueOf(got).IsZero()) || strings.Contains(err.Error(), "private") || !strings.Contains(err.Error(), "is not a") {
				t.Errorf("%s: Get = %v, %v, %v; want the zero value, true and an error", name, got, ok, err)
			}
		}
	}
	if got, ok, err := session.Get[int](s, "Text"); got != 0 || ok || err != nil {
		t.Errorf("Get of a key that is spelled otherwise = %v, %v, %v", got, ok, err)
	}
}

// TestPutRefuses what could not be stored, at once, so that the handler can say so. The session stays as it was.
func TestPutRefuses(t *testing.T) {
	h := newHouse(t, session.Config{})
	full := h.put(h.visitor(), "k", strings.Repeat("x", 65_000))
	begun := h.visitor()
	begun.Begin()
	for _, tt := range []struct {
		name  string
		s     *session.Session
		key   string
		value any
		want  error
	}{
		{"an empty key", h.visitor(), "", 1, nil},
		{"a key that is not UTF-8", h.visitor(), "\xff", 1, nil},
		{"a channel", h.visitor(), "k", make(chan int), nil},
		{"a function", h.visitor(), "k", func() {}, nil},
		{"not a number", h.visitor(), "k", math.NaN(), nil},
		{"infinity", h.visitor(), "k", math.Inf(1), nil},
		{"what contains itself", h.visitor(), "k", endless(), nil},
		{"broken JSON", h.visitor(), "k", json.RawMessage("{"), nil},
		{"JSON that is too deep to be read again", h.visitor(), "k", json.RawMessage(strings.Repeat("[", 9_999) + strings.Repeat("]", 9_999)), session.ErrInvalid},
		{"64 KiB", h.visitor(), "k", strings.Repeat("x", 64<<10), session.ErrTooLarge},
		{"64 KiB of what JSON escapes", h.visitor(), "k", strings.Repeat("<", 64<<10/6), session.ErrTooLarge},
		{"a long key", h.visitor(), strings.Repeat("k", 64<<10), 1, session.ErrTooLarge},
		{"a little more", full, "l", strings.Repeat("x", 1000), session.ErrTooLarge},
		{"a session that belongs nowhere", new(session.Session), "k", 1, session.ErrDetached},
		{"the session of a bare context", session.FromContext(t.Context()), "k", 1, session.ErrDetached},
		{"a visitor whose answer has begun", begun, "k", 1, session.ErrTooLate},
	} {
		keys, changed := tt.s.Keys(), tt.s.Changed()
		err := session.Put(tt.s, tt.key, tt.value)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("Put of %s = %v, want an error that wraps %v", tt.name, err, tt.want)
		}
		if !slices.Equal(tt.s.Keys(), keys) || tt.s.Changed() != changed {
			t.Errorf("after Put of %s the session has the keys %q", tt.name, tt.s.Keys())
		}
	}
	h.put(full, "k", strings.Repeat("x", 65_300)) // in place of what is there
	h.save(full)
	if rec := h.record(full); len(rec.Body) > session.MaxData+session.MaxIdentity {
		t.Errorf("the record has %d bytes, want %d at most", len(rec.Body), session.MaxData+session.MaxIdentity)
	}
}

// TestDeepValuesAreReadAgain: what Put takes does not damage the session.
func TestDeepValuesAreReadAgain(t *testing.T) {
	h := newHouse(t, session.Config{})
	for _, depth := range []int{9_900, 9_997, 9_998, 9_999, 10_000} {
		s := h.signIn("jack")
		if session.Put(s, "k", json.RawMessage(strings.Repeat("[", depth)+strings.Repeat("]", depth))) == nil {
			h.save(s)
		}
		h.again(s)
	}
}

// TestCopies: who changes what Get has returned, or what Put was given, changes nothing that is kept.
func TestCopies(t *testing.T) {
	h := newHouse(t, session.Config{})
	films := []string{"Alien", "Brazil"}
	s := h.put(h.visitor(), "cart", cart{Films: films})
	films[0] = "changed"
	raw, _, err := session.Get[json.RawMessage](s, "cart")
	h.ok("Get", err)
	clear(raw)
	h.save(s)

	next := h.again(s)
	got, _, err := session.Get[cart](next, "cart")
	h.ok("Get", err)
	got.Films[1] = "changed"
	got.Films = append(got.Films, "Casablanca")
	if next.Changed() || h.save(next) {
		t.Error("a value that was got and not put counts as a change")
	}
	for name, s := range map[string]*session.Session{"this request": next, "the next one": h.again(s)} {
		if got, _, _ := session.Get[cart](s, "cart"); !slices.Equal(got.Films, []string{"Alien", "Brazil"}) {
			t.Errorf("in %s the films are %q", name, got.Films)
		}
	}
	h.save(h.put(next, "cart", got))
	if got, _, _ := session.Get[cart](h.again(s), "cart"); len(got.Films) != 3 {
		t.Errorf("after Put the films are %q", got.Films)
	}
}

// TestVisitorsGetASessionByPutting, never by reading, deleting, or putting and deleting.
func TestVisitorsGetASessionByPutting(t *testing.T) {
	h := newHouse(t, session.Config{})
	s := h.visitor()
	h.get(s, "cart")
	h.ok("Delete of nothing", s.Delete("cart"))
	h.put(s, "cart", 1)
	h.ok("Delete", s.Delete("cart"))
	if created := h.save(s); created || s.ID() != "" || s.Changed() || h.store.writes() != 0 {
		t.Errorf("a visitor who kept nothing: created %v, id %q, changed %v", created, s.ID(), s.Changed())
	}
	h.put(s, "cart", 1)
	if created := h.save(s); !created || s.ID() == "" || s.Changed() || s.Subject() != "" || h.store.writes() != 1 {
		t.Errorf("a visitor who kept something: created %v, id %q, changed %v", created, s.ID(), s.Changed())
	}
	id := s.ID()
	if created := h.save(h.put(s, "cart", 2)); created || s.ID() != id {
		t.Errorf("the second value: created %v, id %q, want %q", created, s.ID(), id)
	}
	if h.save(s) || h.store.writes() != 1 {
		t.Error("Save without a change writes")
	}
	if next := h.again(s); h.get(next, "cart") != 2.0 || next.Identity().Value != "" || next.Attributes() != nil {
		t.Errorf("the visitor comes back with %v as %+v", h.get(next, "cart"), next.Identity())
	}
}

// TestMerge: of two requests that change a session at the same time both win, unless they change the same value: then the second is refused and
// changes nothing.
func TestMerge(t *testing.T) {
	set := func(key string, value any) func(*house, *session.Session) {
		return func(h *house, s *session.Session) { h.put(s, key, value) }
	}
	remove := func(key string) func(*house, *session.Session) {
		return func(h *house, s *session.Session) { h.ok("Delete", s.Delete(key)) }
	}
	for _, tt := range []struct {
		name          string
		first, second func(*house, *session.Session)
		a, b, c       any // "a" and "b" are 1 before, "c" is none
		conflict      bool
	}{
		{"different values", set("a", 2), set("b", 3), 2.0, 3.0, "none", false},
		{"one that is there and a new one", set("c", 2), set("b", 3), 1.0, 3.0, 2.0, false},
		{"one deleted, another put", remove("a"), set("b", 3), "none", 3.0, "none", false},
		{"one put, another deleted", set("b", 3), remove("a"), "none", 3.0, "none", false},
		{"both deleted", remove("a"), remove("b"), "none", "none", "none", false},
		{"the same value", set("a", 2), set("a", 3), 2.0, 1.0, "none", true},
		{"the same value, to the same", set("a", 2), set("a", 2), 2.0, 1.0, "none", true},
		{"a new value twice", set("c", 2), set("c", 3), 1.0, 1.0, 2.0, true},
		{"a new null, and a value", set("c", nil), set("c", 3), 1.0, 1.0, nil, true},
		{"put, then deleted", set("a", 2), remove("a"), 2.0, 1.0, "none", true},
		{"deleted, then put", remove("a"), set("a", 2), "none", 1.0, "none", true},
		{"deleted twice", remove("a"), remove("a"), "none", 1.0, "none", true},
		{"put as it was, then put", set("a", 1), set("a", 3), 3.0, 1.0, "none", false},
		{"one of two in conflict", set("a", 2), func(h *house, s *session.Session) { h.put(h.put(s, "a", 3), "b", 3) }, 2.0, 1.0, "none", true},
		{"put and deleted again, beside", set("a", 2), func(h *house, s *session.Session) { remove("c")(h, h.put(h.put(s, "c", 1), "b", 3)) }, 2.0, 3.0, "none", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, session.Config{})
			s := h.put(h.put(h.signIn("jack"), "a", 1), "b", 1)
			h.save(s)
			first, second := h.again(s), h.again(s)
			tt.first(h, first)
			tt.second(h, second)
			h.save(first)
			if _, err := h.Save(t.Context(), second); errors.Is(err, session.ErrConflict) != tt.conflict || err != nil && !tt.conflict {
				t.Errorf("the second Save = %v, want a conflict: %v", err, tt.conflict)
			} else if err == nil {
				h.holds("the request that merged", second, tt.a, tt.b, tt.c)
			}
			h.holds("the session", h.again(s), tt.a, tt.b, tt.c)
			if second.Changed() != tt.conflict {
				t.Errorf("Changed = %v, want %v", second.Changed(), tt.conflict)
			}
		})
	}
}

func (h *house) holds(what string, s *session.Session, a, b, c any) {
	h.t.Helper()
	if h.get(s, "a") != a || h.get(s, "b") != b || h.get(s, "c") != c {
		h.t.Errorf("%s holds %v, %v, %v; want %v, %v, %v", what, h.get(s, "a"), h.get(s, "b"), h.get(s, "c"), a, b, c)
	}
}

// TestMergeGoesOn: a request that has merged can change again what it now has.
func TestMergeGoesOn(t *testing.T) {
	h := newHouse(t, session.Config{})
	s := h.signIn("jack")
	first, second := h.again(s), h.again(s)
	h.save(h.put(first, "a", 1))
	h.save(h.put(second, "b", 2))
	h.save(h.put(second, "a", 3)) // it has seen a by now
	_, err := h.Save(t.Context(), h.put(first, "a", 4))
	h.refused("Save of a value that was changed", err, session.ErrConflict)
	h.holds("the session", h.again(s), 3.0, 2.0, "none")
	first.Discard()
	if h.save(first); h.get(first, "a") != 1.0 || first.Changed() {
		t.Errorf("after Discard the request has %v", h.get(first, "a"))
	}
}

// TestMergeKeepsWhoItIs: what a merge stores is of the same subject and the same limits.
func TestMergeKeepsWhoItIs(t *testing.T) {
	h := newHouse(t, session.Config{})
	s := h.signIn("jack")
	first, second := h.again(s), h.again(s)
	h.save(h.put(first, "a", 1))
	h.clock.advance(time.Minute)
	h.save(h.put(second, "b", 1))
	next := h.again(s)
	if next.Subject() != "jack" || next.Identity().Value != "jack" || next.ID() != s.ID() || !next.Secret().Equal(s.Secret()) || !next.EndsBy().Equal(s.EndsBy()) {
		t.Errorf("after a merge: %+v", next.Identity())
	}
	if rec := h.record(s); rec.Version != 3 || !rec.Seen.Equal(h.clock.Now().Truncate(time.Millisecond)) {
		t.Errorf("after a merge: version %d, seen %v", rec.Version, rec.Seen)
	}
}

// TestMergeTooLarge: two changes that fit alone and not together.
func TestMergeTooLarge(t *testing.T) {
	h := newHouse(t, session.Config{})
	s := h.signIn("jack")
	first, second := h.again(s), h.again(s)
	h.save(h.put(first, "a", strings.Repeat("x", 40_000)))
	_, err := h.Save(t.Context(), h.put(second, "b", strings.Repeat("x", 40_000)))
	h.refused("Save", err, session.ErrTooLarge)
	if next := h.again(s); !slices.Equal(next.Keys(), []string{"a"}) {
		t.Errorf("Keys = %q, want a", next.Keys())
	}
}

// TestParallelSavers of different keys all win, in the worst order, too: each round one of them is through, and the others begin again.
func TestParallelSavers(t *testing.T) {
	const savers = 50
	for _, worst := range []bool{false, true} {
		h := newHouse(t, session.Config{})
		s := h.signIn("jack")
		var all []*session.Session
		for i := range savers {
			all = append(all, h.put(h.again(s), string(rune('A'+i)), i))
		}
		if worst {
			h.store.before = lockstep(savers)
		}
		var wg sync.WaitGroup
		for _, one := range all {
			wg.Go(func() {
				if _, err := h.Save(t.Context(), one); err != nil {
					t.Errorf("Save = %v", err)
				}
			})
		}
		wg.Wait()
		h.store.before = nil
		if keys := h.again(s).Keys(); len(keys) != savers {
			t.Errorf("worst order %v: %d keys, want %d", worst, len(keys), savers)
		}
	}
}

// TestEndedMeanwhile: what is put into a session that has been ended is not stored, and the session stays ended.
func TestEndedMeanwhile(t *testing.T) {
	h := newHouse(t, session.Config{})
	s := h.signIn("jack")
	request, merging := h.put(h.again(s), "k", 1), h.put(h.again(s), "l", 1)
	h.save(h.put(h.again(s), "m", 1))
	h.ok("End", h.End(t.Context(), h.again(s)))
	for _, request := range []*session.Session{request, merging} {
		_, err := h.Save(t.Context(), request)
		h.refused("Save", err, gatehouse.ErrSession)
	}
	h.over("the session", s, session.ErrUnknown)

	visitor := h.put(h.visitor(), "k", 1)
	h.save(visitor)
	request = h.put(h.again(visitor), "k", 2)
	h.start(h.again(visitor), "jack")
	_, err := h.Save(t.Context(), request)
	h.refused("Save of a visitor who has signed in meanwhile", err, gatehouse.ErrSession)
	if n := h.records(""); n != 0 {
		t.Errorf("%d records of visitors", n)
	}
}

// TestStoreFailsAtSave: the change is neither stored nor lost.
func TestStoreFailsAtSave(t *testing.T) {
	h := newHouse(t, session.Config{})
	visitor, jack := h.put(h.visitor(), "k", 1), h.put(h.signIn("jack"), "k", 1)
	h.store.fail("Create", errDisk)
	h.store.fail("Update", errDisk)
	for _, s := range []*session.Session{visitor, jack} {
		id := s.ID()
		_, err := h.Save(t.Context(), s)
		h.unchecked("Save", err, errDisk)
		if !s.Changed() || s.ID() != id || h.get(s, "k") != 1.0 {
			t.Errorf("after a Save that failed: changed %v, id %q", s.Changed(), s.ID())
		}
	}
	h.store.fail("Create", nil)
	h.store.fail("Update", nil)
	h.save(visitor)
	h.save(jack)
	if h.get(h.again(visitor), "k") != 1.0 || h.get(h.again(jack), "k") != 1.0 {
		t.Error("the second Save has lost the change")
	}

	first := h.put(h.again(jack), "l", 1)
	h.save(h.put(h.again(jack), "m", 1))
	h.store.fail("Get", errDisk)
	_, err := h.Save(t.Context(), first)
	h.unchecked("Save that has to merge", err, errDisk)
}

// TestSaveOfAnotherTable: a session is stored where it belongs.
func TestSaveOfAnotherTable(t *testing.T) {
	shop, bank := newHouse(t, session.Config{}), newHouse(t, session.Config{})
	s := shop.put(shop.visitor(), "k", 1)
	_, err := bank.Save(t.Context(), s)
	bank.refused("Save", err, session.ErrDetached)
	if created, err := bank.Save(t.Context(), new(session.Session)); created || err != nil {
		t.Errorf("Save of nothing = %v, %v", created, err)
	}
}

// TestDiscard forgets what was put, and nothing else.
func TestDiscard(t *testing.T) {
	h := newHouse(t, session.Config{})
	s := h.put(h.put(h.signIn("jack"), "a", 1), "b", 1)
	h.save(s)
	h.put(h.put(s, "a", 2), "c", 2)
	h.ok("Delete", s.Delete("b"))
	s.Discard()
	h.holds("the session", s, 1.0, 1.0, "none")
	if h.store.writes(); s.Changed() || h.save(s) || h.store.writes() != 0 || s.Subject() != "jack" {
		t.Error("after Discard there is something to store")
	}
	s = h.put(h.visitor(), "a", 1)
	s.Discard()
	if h.save(s) || s.Keys() != nil {
		t.Error("a visitor's session is made for what was discarded")
	}
	new(session.Session).Discard()
}

// TestBegun: after the answer has begun a session can be changed, and a visitor's cannot begin.
func TestBegun(t *testing.T) {
	h := newHouse(t, session.Config{})
	s := h.again(h.signIn("jack"))
	if s.Begun() {
		t.Error("the answer has begun at once")
	}
	s.Begin()
	h.put(s, "k", 1)
	if created := h.save(s); created || !s.Begun() || h.get(h.again(s), "k") != 1.0 {
		t.Errorf("after the beginning: created %v, begun %v, %v", created, s.Begun(), h.get(h.again(s), "k"))
	}
	h.ok("Delete", s.Delete("k"))
	visitor := h.visitor()
	visitor.Begin()
	h.ok("Delete of nothing", visitor.Delete("k"))
}

// TestOneSessionManyGoroutines: a handler may use its session from several, and what they put is there.
func TestOneSessionManyGoroutines(t *testing.T) {
	h := newHouse(t, session.Config{})
	s := h.again(h.signIn("jack"))
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			h.put(s, string(rune('a'+i)), i)
			_, _, _ = session.Get[int](s, "a")
			if _, err := h.Save(t.Context(), s); err != nil {
				t.Error(err)
			}
			_ = s.Delete("b")
			_, _, _, _, _, _ = s.ID(), s.Identity(), s.Keys(), s.Expires(), s.Changed(), s.Attributes()
			s.Begin()
		})
	}
	wg.Wait()
	h.save(s)
	if keys := h.again(s).Keys(); len(keys) != 19 {
		t.Errorf("%d keys, want 19: %q", len(keys), keys)
	}
}
