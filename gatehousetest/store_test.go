package gatehousetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/store/storetest"
)

// TestStoreIsTheStoreBehind as long as nothing is to fail: it passes the suite that every store must pass.
func TestStoreIsTheStoreBehind(t *testing.T) {
	storetest.TestSessions(t, func(*testing.T) storetest.Sessions { return storetest.Sessions{Store: NewStore(memory.Sessions())} })
}

// everyCall makes each call once, on a store with one record, and returns the errors.
func everyCall(ctx context.Context, s *Store, rec session.Record) map[Call]error {
	errs := map[Call]error{}
	fresh := rec
	fresh.Key[0]++
	fresh.ID += "2"
	errs[CallCreate] = s.Create(ctx, fresh, session.Key{})
	_, errs[CallGet] = s.Get(ctx, rec.Key)
	errs[CallUpdate] = s.Update(ctx, rec)
	errs[CallTouch] = s.Touch(ctx, rec.Key, rec.Seen, rec.Deadline)
	_, errs[CallList] = s.List(ctx, rec.Subject)
	_, errs[CallPrune] = s.Prune(ctx, rec.Created, 1)
	_, errs[CallDeleteAll] = s.DeleteAll(ctx, rec.Subject, rec.Key)
	errs[CallDelete] = s.Delete(ctx, rec.Key)
	return errs
}

// filled returns a store with one record.
func filled(t *testing.T) (*Store, session.Record) {
	t.Helper()
	inner := memory.Sessions()
	rec := session.Record{Key: session.Key{1}, ID: "one", Subject: "jack", Created: noon, Seen: noon, Deadline: noon.Add(time.Hour), Version: 1, Body: []byte("{}")}
	if err := inner.Create(t.Context(), rec, session.Key{}); err != nil {
		t.Fatal(err)
	}
	return NewStore(inner), rec
}

// TestStoreFailsWhatWasChosen and nothing else; every call is counted, whether it fails or not.
func TestStoreFailsWhatWasChosen(t *testing.T) {
	other := errors.New("another error")
	type plan struct {
		name string
		set  func(*Store)
		want map[Call]error
	}
	all := map[Call]error{}
	for _, call := range Calls {
		all[call] = ErrDown
	}
	plans := []plan{
		{"nothing", func(*Store) {}, nil},
		{"everything", func(s *Store) { s.Fail(ErrDown) }, all},
		{"everything once", func(s *Store) { s.FailOnce(ErrDown) }, all},
		{"two", func(s *Store) { s.Fail(ErrDown, CallGet, CallDelete) }, map[Call]error{CallGet: ErrDown, CallDelete: ErrDown}},
		{"two in two ways", func(s *Store) { s.Fail(ErrDown, CallGet); s.FailOnce(other, CallTouch) }, map[Call]error{CallGet: ErrDown, CallTouch: other}},
		{"once before always", func(s *Store) { s.Fail(ErrDown, CallGet); s.FailOnce(other, CallGet) }, map[Call]error{CallGet: other}},
		{"mended", func(s *Store) { s.Fail(ErrDown); s.Fail(nil) }, nil},
		{"all mended but one", func(s *Store) { s.Fail(ErrDown, CallGet, CallList); s.Fail(nil, CallGet) }, map[Call]error{CallList: ErrDown}},
		{"once, taken back", func(s *Store) { s.FailOnce(ErrDown); s.FailOnce(nil) }, nil},
	}
	for _, call := range Calls {
		plans = append(plans, plan{"only " + string(call), func(s *Store) { s.Fail(ErrDown, call) }, map[Call]error{call: ErrDown}})
	}
	for _, tt := range plans {
		s, rec := filled(t)
		tt.set(s)
		got := everyCall(t.Context(), s, rec)
		for _, call := range Calls {
			if got[call] != tt.want[call] {
				t.Errorf("%s: %s = %v, want %v", tt.name, call, got[call], tt.want[call])
			}
			if n := s.Count(call); n != 1 {
				t.Errorf("%s: Count(%s) = %d, want 1", tt.name, call, n)
			}
		}
	}
}

// TestStoreFailsOnce and works from then on.
func TestStoreFailsOnce(t *testing.T) {
	s, rec := filled(t)
	s.FailOnce(ErrDown, CallGet)
	_, first := s.Get(t.Context(), rec.Key)
	got, second := s.Get(t.Context(), rec.Key)
	if first != ErrDown || second != nil || got.ID != rec.ID {
		t.Errorf("Get = %v, then %v with %q, want %v, then the record", first, second, got.ID, ErrDown)
	}
}

// TestStoreKeepsFailedCallsToItself: what fails has not happened behind it.
func TestStoreKeepsFailedCallsToItself(t *testing.T) {
	s, rec := filled(t)
	s.Fail(ErrDown)
	everyCall(t.Context(), s, rec)
	s.Fail(nil)
	list, err := s.List(t.Context(), rec.Subject)
	if err != nil || len(list) != 1 || list[0].Version != 1 || !list[0].Seen.Equal(rec.Seen) {
		t.Errorf("after failed calls List = %+v, %v, want the record as it was", list, err)
	}
}

func TestStoreCounts(t *testing.T) {
	s, rec := filled(t)
	if s.Count() != 0 {
		t.Errorf("Count() of a new store = %d, want 0", s.Count())
	}
	everyCall(t.Context(), s, rec)
	if all, two, none := s.Count(), s.Count(CallGet, CallList), s.Count("Nonsense"); all != len(Calls) || two != 2 || none != 0 {
		t.Errorf("Count() = %d, of two calls %d, of an unknown one %d, want %d, 2, 0", all, two, none, len(Calls))
	}
	s.Fail(ErrDown, CallGet)
	s.Reset()
	if _, err := s.Get(t.Context(), rec.Key); s.Count() != 1 || err != ErrDown {
		t.Errorf("after Reset and one call Count() = %d and Get = %v, want 1 and %v: only the counts begin anew", s.Count(), err, ErrDown)
	}
}

// TestStorePrunesOnlyWhatNeedsIt: a store that removes overdue records by itself is not asked.
func TestStorePrunesOnlyWhatNeedsIt(t *testing.T) {
	s, rec := filled(t)
	if n, err := s.Prune(t.Context(), rec.Deadline.Add(time.Second), 10); n != 1 || err != nil {
		t.Errorf("Prune of an overdue record = %d, %v, want 1, nil", n, err)
	}
	s = NewStore(struct{ session.Store }{memory.Sessions()})
	if n, err := s.Prune(t.Context(), rec.Deadline, 10); n != 0 || err != nil {
		t.Errorf("Prune of a store without pruning = %d, %v, want 0, nil", n, err)
	}
}

func TestNewStoreOfNothing(t *testing.T) {
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "the store is nil") {
			t.Errorf("NewStore(nil) panics with %q, want a sentence about the store", got)
		}
	}()
	NewStore(nil)
}

// TestStoreIsSafeForConcurrentUse is for the race detector, and counts.
func TestStoreIsSafeForConcurrentUse(t *testing.T) {
	s, rec := filled(t)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { _, _ = s.Get(t.Context(), rec.Key) })
		group.Go(func() { s.FailOnce(ErrDown, CallGet); s.Fail(ErrDown, CallList); s.Count() })
	}
	group.Wait()
	if got := s.Count(CallGet); got != 20 {
		t.Errorf("Count(Get) after 20 calls = %d, want 20", got)
	}
}

// TestStoreThroughAGuard is what the store is for: one look-up a request, and no answer but 503 when it is down.
func TestStoreThroughAGuard(t *testing.T) {
	s := NewStore(memory.Sessions())
	c := carrier.Session(session.New(s, session.Config{}))
	srv := httptest.NewTLSServer(greeter(t, c))
	t.Cleanup(srv.Close)
	client := Client(t, srv, c, jack)
	s.Reset()
	if got := body(t, client, srv.URL); got != `"jack"` || s.Count() != 1 || s.Count(CallGet) != 1 {
		t.Errorf("a request of %s costs %d calls, %d of them Get, want one Get for jack", got, s.Count(), s.Count(CallGet))
	}
	s.Fail(ErrDown)
	resp, err := client.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusServiceUnavailable || strings.Contains(string(text), ErrDown.Error()) {
		t.Errorf("with the store down = %d %s, want 503 without the cause", resp.StatusCode, text)
	}
}
