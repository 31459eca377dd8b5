package memory_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/store/storetest"
	"github.com/gatehouse-auth/gatehouse/token"
)

func TestTokens(t *testing.T) {
	storetest.TestTokens(t, func(*testing.T) storetest.Tokens {
		store := memory.Tokens()
		return storetest.Tokens{Store: store, Beside: func(*testing.T) token.Store { return store }}
	})
}

// TestEndedFamilyIsRemembered until its last token would have been overdue, so that it cannot begin again meanwhile; then it is forgotten.
func TestEndedFamilyIsRemembered(t *testing.T) {
	s, now := memory.Tokens(), time.Now().Truncate(time.Millisecond)
	first := token.Record{Key: token.Key{1}, Family: "family", Subject: "anna", Expires: now.Add(time.Hour)}
	next := token.Record{Key: token.Key{2}, Family: "family", Subject: "anna", Expires: now.Add(2 * time.Hour)}
	again := token.Record{Key: token.Key{3}, Family: "family", Subject: "bert", Expires: now.Add(time.Hour)}
	must(t, s.Create(t.Context(), first))
	if _, err := s.Rotate(t.Context(), first.Key, now, nil, next); err != nil {
		t.Fatal(err)
	}
	must(t, s.Delete(t.Context(), token.Key{}, "family"))
	for _, after := range []time.Duration{0, time.Hour + time.Second, 2 * time.Hour} {
		if n, err := s.Prune(t.Context(), now.Add(after), 10); n != 0 || err != nil {
			t.Errorf("Prune after %v = %d, %v, want 0, nil: there are no records", after, n, err)
		}
		if err := s.Create(t.Context(), again); !errors.Is(err, token.ErrExists) {
			t.Errorf("Create of the family, pruned after %v, = %v, want ErrExists", after, err)
		}
	}
	if n, err := s.Prune(t.Context(), now.Add(2*time.Hour+time.Second), 10); n != 0 || err != nil {
		t.Errorf("Prune = %d, %v, want 0, nil", n, err)
	}
	if err := s.Create(t.Context(), again); err != nil {
		t.Errorf("Create of a family that nobody can remember = %v, want nil", err)
	}
}

// TestTokenStoresAreApart: each call makes stores of their own; nothing is shared behind their backs.
func TestTokenStoresAreApart(t *testing.T) {
	rec := token.Record{Key: token.Key{1}, Family: "family", Subject: "anna", Expires: time.Now().Add(time.Hour)}
	must(t, memory.Tokens().Create(t.Context(), rec))
	if _, err := memory.Tokens().Get(t.Context(), rec.Key); !errors.Is(err, token.ErrNotFound) {
		t.Errorf("Get in another store = %v, want ErrNotFound", err)
	}
	must(t, memory.Keys().Save(t.Context(), "access", 0, []keyring.Record{{ID: "kid"}}))
	if names, err := memory.Keys().Rings(t.Context()); len(names) != 0 || err != nil {
		t.Errorf("Rings of another store = %q, %v, want none, nil", names, err)
	}
	_, err := memory.Revocations().Add(t.Context(), revoke.Entry{Kind: revoke.Token, ID: "jti", Expires: time.Now()})
	must(t, err)
	if page, err := memory.Revocations().Since(t.Context(), 0, 10); len(page.Entries) != 0 || page.Last != 0 || err != nil {
		t.Errorf("Since of another store = %+v, %v, want nothing", page, err)
	}
}

// TestTokenPruneBatches: more than one batch, the longest overdue first, and those that are in use stay.
func TestTokenPruneBatches(t *testing.T) {
	s, now := memory.Tokens(), time.Now().Truncate(time.Millisecond)
	for i := range 1203 {
		rec := token.Record{Key: token.Key{byte(i), byte(i >> 8), 1}, Subject: fmt.Sprint(i), Expires: now.Add(-time.Duration(1+i) * time.Second)}
		if i%2 == 0 {
			rec.Family = fmt.Sprint("family ", i)
		}
		must(t, s.Create(t.Context(), rec))
	}
	stays := token.Record{Key: token.Key{1, 2, 3, 4}, Family: "stays", Subject: "anna", Expires: now}
	must(t, s.Create(t.Context(), stays))
	if n, err := s.Prune(t.Context(), now, 3); n != 3 || err != nil {
		t.Errorf("Prune(3) = %d, %v, want 3, nil", n, err)
	}
	for i, gone := range map[int]bool{1202: true, 1201: true, 1200: true, 1199: false} {
		if _, err := s.Get(t.Context(), token.Key{byte(i), byte(i >> 8), 1}); errors.Is(err, token.ErrNotFound) != gone {
			t.Errorf("after Prune(3), Get of the one that is overdue for %d s = %v, want gone %t", 1+i, err, gone)
		}
	}
	if n, err := token.Prune(t.Context(), s, now); n != 1200 || err != nil {
		t.Errorf("token.Prune = %d, %v, want 1200, nil", n, err)
	}
	if _, err := s.Get(t.Context(), stays.Key); err != nil {
		t.Errorf("Get of one that is not overdue = %v, want nil", err)
	}
}
