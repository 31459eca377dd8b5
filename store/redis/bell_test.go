package redis_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/store/redis"
)

// A listener listens to the bell of a DB in a goroutine of its own.
type listener struct {
	*testing.T
	heard chan struct{}
	ended chan error
	stop  context.CancelFunc
}

// listen begins to listen to the bell of db.
func listen(t *testing.T, db *redis.DB) *listener {
	ctx, cancel := context.WithCancel(t.Context())
	l := &listener{t, make(chan struct{}, 1000), make(chan error, 1), cancel}
	go func() { l.ended <- redis.Bell(db).Listen(ctx, func() { l.heard <- struct{}{} }) }()
	t.Cleanup(cancel)
	return l
}

// hears waits until something is heard.
func (l *listener) hears(what string) {
	l.Helper()
	select {
	case <-l.heard:
	case err := <-l.ended:
		l.Fatalf("Listen = %v before %s was heard", err, what)
	case <-time.After(10 * time.Second):
		l.Fatalf("waited for 10 s: %s is not heard", what)
	}
}

// forgets forgets what was heard.
func (l *listener) forgets() {
	for len(l.heard) > 0 {
		<-l.heard
	}
}

// ends waits until Listen has returned, and reports an error that has not the words in it.
func (l *listener) ends(words string) error {
	l.Helper()
	select {
	case err := <-l.ended:
		if err == nil || !strings.Contains(err.Error(), words) {
			l.Errorf("Listen = %v, want an error with %q", err, words)
		}
		return err
	case <-time.After(20 * time.Second):
		l.Fatalf("waited for 20 s: Listen does not return")
		return nil
	}
}

// listeners returns how many connections listen to the bell of the default prefix and database.
func (s *server) listeners() string {
	s.Helper()
	return s.do("EVAL", "return redis.call('PUBSUB', 'NUMSUB', ARGV[1])[2]", "0", "{gatehouse}:bell:0")
}

func ring(t *testing.T, db *redis.DB) {
	t.Helper()
	if err := redis.Bell(db).Ring(t.Context()); err != nil {
		t.Fatalf("Ring = %v, want nil", err)
	}
}

// bellServers are the servers on which bells must ring.
func bellServers(t *testing.T, test func(t *testing.T, o redis.Options)) {
	t.Run("miniredis", func(t *testing.T) { test(t, options(t, "redis://"+miniredis.RunT(t).Addr())) })
	t.Run("redis", func(t *testing.T) { test(t, startServer(t).options()) })
}

// TestBellIsHeard by everybody who listens, in the process that rings and in others, once it is sure to be: no ring after the first call of heard is lost.
func TestBellIsHeard(t *testing.T) {
	bellServers(t, func(t *testing.T, o redis.Options) {
		here, there := open(t, o), open(t, o)
		listeners := []*listener{listen(t, here), listen(t, here), listen(t, there)}
		for _, l := range listeners {
			l.hears("the beginning")
		}
		for range 50 {
			ring(t, here)
			for _, l := range listeners {
				l.hears("a ring")
			}
		}
		works(t, there)
		listeners[0].stop()
		listeners[0].ends("does not listen any more")
		for _, l := range listeners[1:] {
			l.forgets()
		}
		ring(t, there)
		for _, l := range listeners[1:] {
			l.hears("a ring after somebody else has stopped to listen")
		}
	})
}

// TestBellRingsAreApart: other prefixes and other databases have bells of their own.
func TestBellRingsAreApart(t *testing.T) {
	s := startServer(t)
	o := s.options()
	l := listen(t, open(t, o))
	l.hears("the beginning")
	otherDB, otherPrefix := o, o
	otherDB.DB, otherPrefix.Prefix = 1, "other"
	ring(t, open(t, otherDB))
	ring(t, open(t, otherPrefix))
	if n := len(l.heard); n > 0 {
		t.Errorf("the bells of another database and another prefix were heard %d times, want never", n)
	}
	ring(t, open(t, o))
	l.hears("a ring")
}

// TestBellStorm: whoever takes its time is called once for all that it has missed, and keeps nobody else from anything.
func TestBellStorm(t *testing.T) {
	bellServers(t, func(t *testing.T, o redis.Options) {
		db := open(t, o)
		ctx, cancel := context.WithCancel(t.Context())
		var calls atomic.Int64
		slow, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- redis.Bell(db).Listen(ctx, func() {
				if calls.Add(1); calls.Load() > 1 {
					<-slow
				}
			})
		}()
		await(t, "heard is not called at the beginning", func() bool { return calls.Load() == 1 })
		ring(t, db)
		await(t, "heard is not called", func() bool { return calls.Load() == 2 })
		for range 500 {
			ring(t, db)
		}
		works(t, db)
		close(slow)
		await(t, "what was rung meanwhile is not heard", func() bool { return calls.Load() >= 3 })
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Listen = %v, want an error that wraps context.Canceled", err)
		}
		if n := calls.Load(); n > 400 {
			t.Errorf("heard was called %d times while it took its time, want few", n)
		}
	})
}

// TestBellOfNoServer: both calls fail, and say why; Listen does not wait for a server by itself.
func TestBellOfNoServer(t *testing.T) {
	s := newServer(t, "redis-server")
	db := open(t, s.options())
	fails(t, "Ring", redis.Bell(db).Ring(t.Context()), "not reachable yet: dial tcp")
	listen(t, db).ends("not reachable yet: dial tcp")
	s.start()
	l := listen(t, db)
	l.hears("the beginning")
	ring(t, db)
	l.hears("a ring")
}

// TestBellBreaks: a connection that is lost ends Listen, and the next one works.
func TestBellBreaks(t *testing.T) {
	s := startServer(t)
	db := open(t, s.options())
	for name, breaks := range map[string]func(){
		"the server closes it": func() { s.do("CLIENT", "KILL", "TYPE", "pubsub") },
		"the server is killed": s.stop,
	} {
		t.Run(name, func(t *testing.T) {
			if s.running == nil {
				s.start()
			}
			await(t, "the store does not work", func() bool { return worksNot(t, db) == nil })
			l := listen(t, db)
			l.hears("the beginning")
			breaks()
			l.ends("not reachable: ")
		})
	}
}

// TestBellIsRefused: a user that may use no channels is told which permission lacks.
func TestBellIsRefused(t *testing.T) {
	s := startServer(t)
	s.do("ACL", "SETUSER", "deaf", "on", ">hunter2", "~*", "resetchannels", "+@all")
	o := s.options()
	o.User, o.Password = "deaf", gatehouse.NewSecret("hunter2")
	db := open(t, o)
	works(t, db)
	fails(t, "Ring", redis.Bell(db).Ring(t.Context()), "lacks a permission")
	listen(t, db).ends("lacks a permission")

	fresh := newServer(t, "redis-server", "--requirepass", "hunter2")
	later := open(t, fresh.options())
	fresh.start()
	fails(t, "Ring", redis.Bell(later).Ring(t.Context()), "wants a password")
	listen(t, later).ends("wants a password")
}

// TestBellOfWhoDoesNotWait: a context that is done ends everything at once, and so does Close.
func TestBellOfWhoDoesNotWait(t *testing.T) {
	s := startServer(t)
	db := open(t, s.options())
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := redis.Bell(db).Ring(over); !errors.Is(err, context.Canceled) {
		t.Errorf("Ring with a cancelled context = %v, want an error that wraps context.Canceled", err)
	}
	if err := redis.Bell(db).Listen(over, func() {}); !errors.Is(err, context.Canceled) {
		t.Errorf("Listen with a cancelled context = %v, want an error that wraps context.Canceled", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	within(t, "Listen with a deadline", 50*time.Millisecond, func() {
		if err := redis.Bell(db).Listen(short, func() {}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Listen after its deadline = %v, want an error that wraps context.DeadlineExceeded", err)
		}
	})
	l := listen(t, db)
	l.hears("the beginning")
	within(t, "Close", time.Second, func() { db.Close() })
	l.ends("closed")
	fails(t, "Ring after Close", redis.Bell(db).Ring(t.Context()), "closed")
	if err := redis.Bell(db).Listen(t.Context(), func() {}); err == nil || !strings.HasSuffix(err.Error(), "closed") {
		t.Errorf("Listen after Close = %v, want that it is closed", err)
	}
}

// TestBellPanics: what heard does is its caller's affair, and nothing is left behind.
func TestBellPanics(t *testing.T) {
	s := startServer(t)
	db := open(t, s.options())
	func() {
		defer func() {
			if value := recover(); value != "boom" {
				t.Errorf("Listen panics with %v, want what heard has panicked with", value)
			}
		}()
		redis.Bell(db).Listen(t.Context(), func() { panic("boom") })
	}()
	s.await("the connection is still there", func() bool { return s.listeners() == ":0" })
}

// TestBellWakesLists: what one process revokes another one refuses, long before it would have looked.
func TestBellWakesLists(t *testing.T) {
	s := startServer(t)
	feed := memory.Revocations()
	lists := make([]*revoke.List, 2)
	for i := range lists {
		lists[i] = revoke.New(feed, revoke.Config{Bound: 2 * time.Hour, Poll: time.Hour, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
			Bells: []revoke.Bell{redis.Bell(open(t, s.options()))}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); lists[i].Run(ctx) }()
		t.Cleanup(func() { cancel(); <-done })
	}
	claim := revoke.Claim{Session: "sid", Subject: "anna", Issued: time.Now()}
	for _, l := range lists {
		await(t, "a list does not become fresh", func() bool { return l.Check(claim) == nil })
	}
	s.await("two processes do not listen", func() bool { return s.listeners() == ":2" })
	if err := lists[0].RevokeSession(t.Context(), "sid", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	await(t, "the other list does not hear of it", func() bool { return errors.Is(lists[1].Check(claim), revoke.ErrRevoked) })
}
