package postgres_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/postgres"
)

// revocation returns what revokes a session.
func revocation(id string) revoke.Entry {
	return revoke.Entry{Kind: revoke.Session, ID: id, Expires: time.Now().Add(time.Hour)}
}

// listening listens until the test ends, or stop is called, which returns the reason. The channel gets what is heard.
func listening(t *testing.T, store *postgres.RevocationStore) (heard <-chan bool, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	c, done := make(chan bool, 1000), make(chan error, 1)
	go func() { done <- store.Listen(ctx, func() { c <- true }) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = stop() })
	select {
	case <-c: // once at the beginning
	case err := <-done:
		t.Fatalf("Listen = %v, want it to hear", err)
	}
	return c, stop
}

// TestListen: what is added or rung through any connection is heard by all who listen.
func TestListen(t *testing.T) {
	u := schema(t)
	store, beside := postgres.Revocations(open(t, u)), postgres.Revocations(open(t, u))
	for what, call := range map[string]func() error{
		"Add":            func() error { _, err := store.Add(t.Context(), revocation("1")); return err },
		"Add of others":  func() error { _, err := beside.Add(t.Context(), revocation("2"), revocation("3")); return err },
		"Ring":           func() error { return postgres.Revocations(open(t, u)).Ring(t.Context()) },
		"Ring of others": func() error { return errors.Join(beside.Ring(t.Context()), beside.Ring(t.Context())) },
	} {
		heard, stop := listening(t, store)
		also, _ := listening(t, beside)
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

// TestAddRings: in the transaction that adds, so that nobody is told of what is not there, nor is anything there of which nobody is told.
func TestAddRings(t *testing.T) {
	u := schema(t)
	admin := pool(t, u)
	named, name := named(u)
	store := postgres.Revocations(open(t, named, postgres.Timeout(200*time.Millisecond)))
	heard, _ := listening(t, postgres.Revocations(open(t, u)))
	holder, err := admin.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Rollback()
	must(t, holder, `LOCK TABLE gatehouse_revocations IN EXCLUSIVE MODE`) // the entry cannot be written, after the feed was counted up
	if _, err := store.Add(t.Context(), revocation("1")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Add to a locked table = %v, want an error that wraps context.DeadlineExceeded", err)
	}
	waiting(t, admin, name, 0)
	if err := holder.Rollback(); err != nil {
		t.Fatal(err)
	}
	if page, err := store.Since(t.Context(), 0, 10); err != nil || page.Last != 0 || len(page.Entries) != 0 {
		t.Errorf("Since = %+v, %v, want nothing", page, err)
	}
	if len(heard) != 0 {
		t.Error("somebody was told of a revocation that there is not")
	}
	if seq, err := store.Add(t.Context(), revocation("2")); seq != 1 || err != nil {
		t.Errorf("Add = %d, %v, want 1, nil", seq, err)
	}
	<-heard
	if n := number(t, admin, `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND query LIKE 'SELECT pg_notify%'`, name); n != 0 {
		t.Errorf("%d connections have rung apart from what was added, want none", n)
	}
	if err := store.Ring(t.Context()); err != nil { // that was told already
		t.Errorf("Ring = %v, want nil", err)
	}
	if n := number(t, admin, `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND query LIKE 'SELECT pg_notify%'`, name); n != 0 {
		t.Errorf("%d connections have rung for what was told already, want none", n)
	}
}

// TestListenEnds: with its context, with the database, and with the connection.
func TestListenEnds(t *testing.T) {
	u, name := named(schema(t))
	admin := pool(t, base(t))
	db, err := postgres.Open(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	store := postgres.Revocations(db)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Listen(cancelled, func() { t.Error("somebody was heard") }); !errors.Is(err, context.Canceled) {
		t.Errorf("Listen with a cancelled context = %v, want an error that wraps context.Canceled", err)
	}
	if err := store.Ring(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("Ring with a cancelled context = %v, want an error that wraps context.Canceled", err)
	}
	begun, done := make(chan bool, 1), make(chan error)
	listen := func() { done <- store.Listen(t.Context(), func() { begun <- true }) }
	go listen()
	<-begun
	// its last word was that it listens; the word that proves it comes from another connection
	must(t, admin, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND query LIKE 'LISTEN%'`, name)
	mustSay(t, "Listen whose connection is cut", <-done, "postgres: ", "cannot be heard", "terminating connection")
	go listen()
	<-begun
	if err := db.Close(); err != nil {
		t.Errorf("Close() = %v, want nil", err)
	}
	mustSay(t, "Listen when the database is closed", <-done, "postgres: ", "the database is closed")
	mustSay(t, "Listen after Close", store.Listen(t.Context(), func() {}), "postgres: ", "the database is closed")
	mustSay(t, "Ring after Close", store.Ring(t.Context()), "postgres: ", "closed")
	eventually(t, "no connection is left", func() bool {
		return number(t, admin, `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1`, name) == 0
	})
}

// TestListenInSilence: a connection on which nothing is said is made sure of, and goes on; one that was cut in between is found out.
func TestListenInSilence(t *testing.T) {
	u, name := named(schema(t))
	admin := pool(t, base(t))
	tap := startTap(t, u.Host)
	tapped := *u
	tapped.Host = tap.Addr().String()
	db := open(t, &tapped, postgres.Timeout(300*time.Millisecond))
	db.SetSilence(20 * time.Millisecond)
	store := postgres.Revocations(db)
	begun, done := make(chan bool, 100), make(chan error)
	go func() { done <- store.Listen(t.Context(), func() { begun <- true }) }()
	<-begun
	eventually(t, "the listener asks whether the server is there", func() bool {
		return number(t, admin, `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND query = '-- ping'`, name) == 1
	})
	if _, err := postgres.Revocations(open(t, u)).Add(t.Context(), revocation("1")); err != nil {
		t.Fatal(err)
	}
	<-begun // a connection that was silent hears as before
	tap.deafen()
	mustSay(t, "Listen whose connection is dead", <-done, "postgres: ", "cannot be heard", "timeout")
	tap.hangUp() // the client waits for the server's last word otherwise
}

// TestListenShowsNoPassword: whatever goes wrong, the password stays out of it.
func TestListenShowsNoPassword(t *testing.T) {
	u, name := named(schema(t))
	store := postgres.Revocations(open(t, u, postgres.MaxConns(1)))
	admin := pool(t, base(t))
	role := "gatehouse_test_" + strings.ToLower(name[len("gatehouse-"):])
	const secret = "S3cr-7et"
	must(t, admin, `CREATE ROLE `+role+` LOGIN PASSWORD '`+secret+`'`)
	t.Cleanup(func() {
		if _, err := admin.ExecContext(context.WithoutCancel(t.Context()), `DROP OWNED BY `+role+`; DROP ROLE `+role); err != nil {
			t.Error(err)
		}
	})
	must(t, pool(t, u), `GRANT USAGE ON SCHEMA `+u.Query().Get("search_path")+` TO `+role)
	must(t, pool(t, u), `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA `+u.Query().Get("search_path")+` TO `+role)
	of := *u
	of.User = url.UserPassword(role, secret)
	limited := postgres.Revocations(open(t, &of))
	must(t, admin, `ALTER ROLE `+role+` CONNECTION LIMIT 0`)
	err := limited.Listen(t.Context(), func() {})
	mustSay(t, "Listen without a connection", err, "postgres: ", "too many connections")
	if strings.Contains(shown(err), secret) {
		t.Errorf("Listen shows the password: %s", strings.ReplaceAll(shown(err), secret, "<the password>"))
	}
	if _, err := store.Add(t.Context(), revocation("1")); err != nil {
		t.Errorf("Add = %v, want nil", err)
	}
}

// follow returns a list that is kept fresh by the store's bell: it looks by itself so seldom that the test would lose its patience.
func follow(t *testing.T, store *postgres.RevocationStore, poll time.Duration) (*revoke.List, *lines) {
	t.Helper()
	logs := &lines{}
	list := revoke.New(store, revoke.Config{Bound: time.Hour, Poll: poll, Bells: []revoke.Bell{store}, Logger: slog.New(slog.NewTextHandler(logs, nil))})
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

func refused(list *revoke.List, id string) func() bool {
	return func() bool { return errors.Is(list.Check(revoke.Claim{Session: id}), revoke.ErrRevoked) }
}

// revokeWhenTold revokes the sessions that it is told to, and says so when that is acknowledged.
func revokeWhenTold(target string) error {
	db, err := postgres.Open(context.Background(), target)
	if err != nil {
		return err
	}
	store := postgres.Revocations(db)
	list := revoke.New(store, revoke.Config{Bells: []revoke.Bell{store}})
	fmt.Println("ready")
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		if err := list.RevokeSession(context.Background(), orders.Text(), time.Now().Add(time.Hour)); err != nil {
			return err
		}
		fmt.Println(orders.Text())
	}
	return nil
}

// TestAnotherProcessRevokes: what a process revokes is refused in this one within 250 ms of the acknowledgement, by the bell alone.
func TestAnotherProcessRevokes(t *testing.T) {
	u := schema(t)
	list, logs := follow(t, postgres.Revocations(open(t, u)), 30*time.Minute)
	p := startTalking(t, "revoke", u)
	p.says(t, "ready")
	var took []time.Duration
	for n := range 20 {
		id := fmt.Sprintf("session-%d", n)
		if refused(list, id)() {
			t.Fatal("a session is refused before it was revoked")
		}
		p.order(t, id)
		p.says(t, id)
		began := time.Now()
		soon(t, "the session is refused", refused(list, id))
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("p50 %v, most %v", took[len(took)/2], took[len(took)-1])
	if half := took[len(took)/2]; half > 250*time.Millisecond {
		t.Errorf("half of the revocations took %v or longer, want 250ms at most: %v", half, took)
	}
	if n := logs.count("level=WARN") + logs.count("level=ERROR"); n != 0 {
		t.Errorf("%d things were logged: %s, want none", n, &logs.text)
	}
}

// soon is eventually for what takes less than a hundredth of a second.
func soon(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited for 10 s: %s", what)
		}
	}
}

// TestBellRecovers: a bell whose connection breaks is heard again, and what was revoked in between is found.
func TestBellRecovers(t *testing.T) {
	u, name := named(schema(t))
	admin, other := pool(t, base(t)), postgres.Revocations(open(t, schemaOf(u)))
	list, logs := follow(t, postgres.Revocations(open(t, u)), 30*time.Minute)
	listeners := func() int {
		return number(t, admin, `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND query LIKE 'LISTEN%'`, name)
	}
	for round := range 3 {
		eventually(t, "the list listens", func() bool { return listeners() == 1 })
		must(t, admin, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND query LIKE 'LISTEN%'`, name)
		id := fmt.Sprintf("session-%d", round)
		if _, err := other.Add(t.Context(), revocation(id)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the session is refused", refused(list, id))
	}
	if n := logs.count("a bell cannot be heard"); n < 1 || n > 3 {
		t.Errorf("it was logged %d times that the bell cannot be heard, want once each time", n)
	}
}

// schemaOf returns u without the name of the test's connections.
func schemaOf(u *url.URL) *url.URL { return with(u, "application_name", "other") }

// TestListenBehindPgBouncer: a pooler takes a LISTEN and passes nothing on. That is found out, said, and carried by the looks at the feed.
func TestListenBehindPgBouncer(t *testing.T) {
	through, past := bouncer(t)
	store := postgres.Revocations(open(t, through))
	err := store.Listen(t.Context(), func() { t.Error("somebody is said to be heard") })
	mustSay(t, "Listen behind PgBouncer", err, "postgres: ", "cannot be heard", "a pooler in transaction mode does not pass them on")
	list, logs := follow(t, store, 50*time.Millisecond)
	if _, err := postgres.Revocations(open(t, past)).Add(t.Context(), revocation("anna's")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the session is refused", refused(list, "anna's"))
	eventually(t, "it is said that the bell is not heard", func() bool { return logs.count("a pooler in transaction mode") == 1 })
	if err := store.Ring(t.Context()); err != nil {
		t.Errorf("Ring = %v, want nil", err)
	}
	straight, _ := listening(t, postgres.Revocations(open(t, past))) // who listens past the pooler hears who rings through it
	if _, err := store.Add(t.Context(), revocation("bert's")); err != nil {
		t.Fatal(err)
	}
	<-straight
}
