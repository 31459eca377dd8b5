package memory_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/store/storetest"
)

func TestSessions(t *testing.T) {
	storetest.TestSessions(t, func(*testing.T) storetest.Sessions {
		store := memory.Sessions()
		return storetest.Sessions{Store: store, Beside: func(*testing.T) session.Store { return store }}
	})
}

// TestStoresAreApart: each call makes a store of its own; nothing is shared behind their backs, and nothing survives one.
func TestStoresAreApart(t *testing.T) {
	one, other := memory.Sessions(), memory.Sessions()
	rec := session.Record{Key: session.Key{1}, ID: "id", Subject: "anna", Version: 1}
	if err := one.Create(t.Context(), rec, session.Key{}); err != nil {
		t.Fatalf("Create = %v, want nil", err)
	}
	if _, err := other.Get(t.Context(), rec.Key); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Get in another store = %v, want an error that wraps %q", err, session.ErrNotFound)
	}
	if list, err := other.List(t.Context(), "anna"); len(list) != 0 || err != nil {
		t.Errorf("List in another store = %v, %v, want nothing", list, err)
	}
	if err := other.Create(t.Context(), rec, session.Key{}); err != nil {
		t.Errorf("Create of the same record in another store = %v, want nil", err)
	}
}

// TestPrecision: times come back as from a database, so that a program which is tested with this store meets no surprise there.
func TestPrecision(t *testing.T) {
	at := time.Date(2026, 3, 29, 1, 59, 59, 123_987_654, time.FixedZone("UTC+1", 3600))
	want := time.Date(2026, 3, 29, 0, 59, 59, 123_000_000, time.UTC)
	store := memory.Sessions()
	rec := session.Record{Key: session.Key{1}, ID: "id", Created: at, Seen: at, Deadline: at, Version: 1}
	check := func(call string, created, seen, deadline time.Time) {
		t.Helper()
		got, err := store.Get(t.Context(), rec.Key)
		if err != nil || !got.Created.Equal(created) || !got.Seen.Equal(seen) || !got.Deadline.Equal(deadline) {
			t.Errorf("after %s: %v, %v, %v, %v, want %v, %v, %v", call, got.Created, got.Seen, got.Deadline, err, created, seen, deadline)
		}
	}
	must(t, store.Create(t.Context(), rec, session.Key{}))
	check("Create", want, want, want)
	must(t, store.Touch(t.Context(), rec.Key, at.Add(time.Microsecond), at.Add(time.Hour)))
	check("Touch of a microsecond later", want, want, want)
	must(t, store.Touch(t.Context(), rec.Key, at.Add(time.Millisecond), at.Add(time.Hour)))
	check("Touch of a millisecond later", want, want.Add(time.Millisecond), want.Add(time.Hour))
	rec.Seen, rec.Deadline = at.Add(time.Second), at.Add(2*time.Hour)
	must(t, store.Update(t.Context(), rec))
	check("Update", want, want.Add(time.Second), want.Add(2*time.Hour))
}

// TestPruneBatches: a table prunes more than one batch, and leaves those that are in use.
func TestPruneBatches(t *testing.T) {
	now := time.Now()
	table := session.New(memory.Sessions(), session.Config{Idle: time.Hour, Now: func() time.Time { return now }, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	start := func(n int) {
		for i := range n {
			must(t, table.Start(t.Context(), new(session.Session), gatehouse.Identity{Value: fmt.Sprint("user ", i)}, session.Options{}))
		}
	}
	start(1203)
	now = now.Add(30 * time.Minute)
	start(7)
	now = now.Add(31 * time.Minute)
	if n, err := table.Prune(t.Context()); n != 1203 || err != nil {
		t.Errorf("Prune = %d, %v, want 1203, nil", n, err)
	}
	if n, err := table.Prune(t.Context()); n != 0 || err != nil {
		t.Errorf("Prune again = %d, %v, want 0, nil", n, err)
	}
	for i := range 8 {
		subject, want := fmt.Sprint("user ", i), 1
		if i == 7 {
			want = 0
		}
		if infos, err := table.List(t.Context(), subject); len(infos) != want || err != nil {
			t.Errorf("List(%s) = %d sessions, %v, want %d, nil", subject, len(infos), err, want)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// BenchmarkGet is what every request with a session costs, among a hundred thousand of them and with a body of 1 KB.
func BenchmarkGet(b *testing.B) {
	store, now := memory.Sessions(), time.Now()
	const many = 100_000
	key := func(i int) (k session.Key) { k[0], k[1], k[2] = byte(i), byte(i>>8), byte(i>>16); return k }
	for i := range many {
		rec := session.Record{Key: key(i), ID: fmt.Sprint(i), Subject: fmt.Sprint(i / 3), Deadline: now.Add(time.Hour), Version: 1, Body: make([]byte, 1000)}
		if err := store.Create(context.Background(), rec, session.Key{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for i := 0; p.Next(); i++ {
			if _, err := store.Get(context.Background(), key(i%many)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
