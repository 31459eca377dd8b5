//go:build unix

package sqlite_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/sqlite"
)

// revocation returns what revokes a session.
func revocation(id string) revoke.Entry {
	return revoke.Entry{Kind: revoke.Session, ID: id, Expires: time.Now().Add(time.Hour)}
}

// listening listens until the test ends, or stop is called, which returns the reason. The channel gets what is heard.
func listening(t *testing.T, store *sqlite.RevocationStore) (heard <-chan bool, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	c, done := make(chan bool, 1000), make(chan error, 1)
	go func() { done <- store.Listen(ctx, func() { c <- true }) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = stop() })
	<-c // once at the beginning
	return c, stop
}

// TestListen: what is added through any connection is heard by all who listen, and so is a ring in this process.
func TestListen(t *testing.T) {
	for _, name := range []string{":memory:", fileName(t)} {
		db := open(t, name)
		store, beside := sqlite.Revocations(db), sqlite.Revocations(db)
		if name != ":memory:" {
			beside = sqlite.Revocations(open(t, name))
		}
		for what, call := range map[string]func() error{
			"Add":           func() error { _, err := store.Add(t.Context(), revocation("1")); return err },
			"Add of others": func() error { _, err := beside.Add(t.Context(), revocation("2"), revocation("3")); return err },
			"Ring":          func() error { return store.Ring(t.Context()) },
		} {
			heard, stop := listening(t, store)
			also, _ := listening(t, store)
			if err := call(); err != nil {
				t.Errorf("%s = %v, want nil", what, err)
			}
			<-heard
			<-also
			if err := stop(); !errors.Is(err, context.Canceled) {
				t.Errorf("Listen whose context ends = %v, want an error that wraps context.Canceled", err)
			}
		}
	}
}

// TestListenEnds: with the database, with its context, and with the file.
func TestListenEnds(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, name := range []string{":memory:", fileName(t)} {
		db, err := sqlite.Open(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		store := sqlite.Revocations(db)
		if err := store.Listen(cancelled, func() { t.Error("somebody was heard") }); !errors.Is(err, context.Canceled) {
			t.Errorf("Listen with a cancelled context = %v, want an error that wraps context.Canceled", err)
		}
		if err := store.Ring(cancelled); !errors.Is(err, context.Canceled) {
			t.Errorf("Ring with a cancelled context = %v, want an error that wraps context.Canceled", err)
		}
		begun, done := make(chan bool, 1), make(chan error)
		go func() { done <- store.Listen(t.Context(), func() { begun <- true }) }()
		<-begun
		if err := db.Close(); err != nil {
			t.Errorf("Close() = %v, want nil", err)
		}
		mustSay(t, "Listen when the database is closed", <-done, "sqlite: ", "the database is closed")
		mustSay(t, "Listen after Close", store.Listen(t.Context(), func() {}), "sqlite: ", "the database is closed")
	}
	db := open(t, fileName(t))
	if _, err := db.SQL().ExecContext(t.Context(), `DROP TABLE gatehouse_feed`); err != nil {
		t.Fatal(err)
	}
	mustSay(t, "Listen without a feed", sqlite.Revocations(db).Listen(t.Context(), func() {}), "sqlite: ", "cannot be heard", "no such table")
}

// TestReadersStayFree: those who listen take no connection from those who read.
func TestReadersStayFree(t *testing.T) {
	db := open(t, fileName(t), sqlite.Readers(1))
	store := sqlite.Revocations(db)
	for range 3 {
		listening(t, store)
	}
	if _, err := store.Since(t.Context(), 0, 10); err != nil {
		t.Errorf("Since = %v, want nil", err)
	}
}

// revokeWhenTold revokes the sessions that it is told to, and says so when that is acknowledged.
func revokeWhenTold(name string) error {
	db, err := sqlite.Open(context.Background(), name)
	if err != nil {
		return err
	}
	store := sqlite.Revocations(db)
	list := revoke.New(store, revoke.Config{Bells: []revoke.Bell{store}})
	fmt.Println("ready")
	for id := range orders {
		if err := list.RevokeSession(context.Background(), id, time.Now().Add(time.Hour)); err != nil {
			return err
		}
		fmt.Println(id)
	}
	return nil
}

// TestAnotherProcessRevokes: what a process revokes on the same file is refused in this one within 250 ms of the acknowledgement, by the bell alone.
func TestAnotherProcessRevokes(t *testing.T) {
	name := fileName(t)
	store := sqlite.Revocations(open(t, name))
	list, _ := follow(t, store)
	p := start(t, "revoke", name)
	p.says(t, "ready")
	var took []time.Duration
	for n := range 20 {
		id := fmt.Sprintf("session-%d", n)
		if err := list.Check(revoke.Claim{Session: id}); err != nil {
			t.Fatalf("Check before it was revoked = %v, want nil", err)
		}
		p.order(t, id)
		p.says(t, id)
		began := time.Now()
		eventually(t, "the session is refused", func() bool { return errors.Is(list.Check(revoke.Claim{Session: id}), revoke.ErrRevoked) })
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("p50 %v, most %v", took[len(took)/2], took[len(took)-1])
	if half := took[len(took)/2]; half > 250*time.Millisecond {
		t.Errorf("half of the revocations took %v or longer, want 250ms at most: %v", half, took)
	}
}

// follow returns a list that is kept fresh by the store's bell: it looks by itself so seldom that the test would lose its patience.
func follow(t *testing.T, store *sqlite.RevocationStore) (*revoke.List, *lines) {
	t.Helper()
	logs := &lines{}
	list := revoke.New(store, revoke.Config{Bound: time.Hour, Poll: 30 * time.Minute, Bells: []revoke.Bell{store}, Logger: slog.New(slog.NewTextHandler(logs, nil))})
	if err := list.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error)
	go func() { done <- list.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return list, logs
}

// lines are what was logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// count returns how many lines have text in them.
func (l *lines) count(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for all := bufio.NewScanner(bytes.NewReader(l.text.Bytes())); all.Scan(); {
		if strings.Contains(all.Text(), text) {
			n++
		}
	}
	return n
}

// eventually waits until done returns true, for ten seconds.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited for 10 s: %s", what)
		case <-tick.C:
		}
	}
}

// TestBellRecovers: a bell that could not be heard for a while is heard again, and that is said once.
func TestBellRecovers(t *testing.T) {
	name := fileName(t)
	db := open(t, name)
	list, logs := follow(t, sqlite.Revocations(db))
	rename := func(from, to string) {
		t.Helper()
		if _, err := db.SQL().ExecContext(t.Context(), `ALTER TABLE `+from+` RENAME TO `+to); err != nil {
			t.Fatal(err)
		}
	}
	rename("gatehouse_feed", "gatehouse_away")
	eventually(t, "the bell is not heard", func() bool { return logs.count("a bell cannot be heard") > 0 })
	rename("gatehouse_away", "gatehouse_feed")
	if _, err := sqlite.Revocations(open(t, name)).Add(t.Context(), revocation("anna's")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the session is refused", func() bool { return errors.Is(list.Check(revoke.Claim{Session: "anna's"}), revoke.ErrRevoked) })
	if n := logs.count("a bell cannot be heard"); n != 1 {
		t.Errorf("it was logged %d times that the bell cannot be heard, want once", n)
	}
}
