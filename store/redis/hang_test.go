//go:build unix

package redis_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/redis"
)

// hung opens a server with a short timeout, and stops its process as if it hung.
func hung(t *testing.T) (*server, *redis.DB, session.Record) {
	t.Helper()
	s := startServer(t)
	o := s.options()
	o.Timeout = 300 * time.Millisecond
	db := open(t, o)
	rec := stored(t, db, "anna")
	s.signal(syscall.SIGSTOP)
	t.Cleanup(func() { s.signal(syscall.SIGCONT) }) // before it is killed
	return s, db, rec
}

func TestServerHangs(t *testing.T) {
	s, db, rec := hung(t)
	for _, c := range slices.Concat(calls(db, rec)[:8], tokenCalls(db)[:4], keyCalls(db)[:1], feedCalls(db)[:1]) {
		within(t, c.name, 300*time.Millisecond, func() {
			err := c.do(t.Context())
			if fails(t, c.name, err, "not reachable: no answer"); errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s = %v, but the caller's context has no deadline", c.name, err)
			}
		})
	}
	within(t, "Open", 300*time.Millisecond, func() {
		o := s.options()
		o.Timeout = 300 * time.Millisecond
		says(t, open(t, o), "not reachable yet: no answer")
	})
	s.signal(syscall.SIGCONT)
	s.await("the store does not work after the server goes on", func() bool { return worksNot(t, db) == nil })
	says(t, db, ": connected (redis ")
}

// TestServerHangsInACrowd: more callers than there are places in any queue, all of whom get an answer in time.
func TestServerHangsInACrowd(t *testing.T) {
	s, db, rec := hung(t)
	for range 2 { // the second time with connections that are known to hang
		within(t, "3000 calls at once", 2*time.Second, func() {
			var wg sync.WaitGroup
			for range 3000 {
				wg.Go(func() {
					if _, err := redis.Sessions(db).Get(context.Background(), rec.Key); err == nil || errors.Is(err, session.ErrNotFound) {
						t.Errorf("Get = %v while the server hangs, want another error", err)
					}
				})
			}
			wg.Wait()
		})
	}
	s.signal(syscall.SIGCONT)
	s.await("the store does not work after the server goes on", func() bool { return worksNot(t, db) == nil })
}

// TestCallerDoesNotWait: a caller whose own time is over is not kept, and others are not disturbed by it.
func TestCallerDoesNotWait(t *testing.T) {
	s, db, rec := hung(t)
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	within(t, "Get with a short deadline", 20*time.Millisecond, func() {
		_, err := redis.Sessions(db).Get(short, rec.Key)
		if fails(t, "Get", err, "before the caller's deadline"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Get = %v, want an error that wraps context.DeadlineExceeded", err)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	within(t, "Get that is cancelled", 20*time.Millisecond, func() {
		_, err := redis.Sessions(db).Get(ctx, rec.Key)
		if fails(t, "Get", err, "did not wait"); !errors.Is(err, context.Canceled) {
			t.Errorf("Get = %v, want an error that wraps context.Canceled", err)
		}
	})
	s.signal(syscall.SIGCONT)
	s.await("the store does not work after the server goes on", func() bool { return worksNot(t, db) == nil })
}

// TestOpenIsCancelled: who cancels Open wants no DB; who gives it a deadline wants one that is not ready.
func TestOpenIsCancelled(t *testing.T) {
	s, _, _ := hung(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if db, err := redis.Open(cancelled, s.options()); !errors.Is(err, context.Canceled) || db != nil {
		t.Errorf("Open with a cancelled context = %v, %v, want nil, an error that wraps context.Canceled", db, err)
	}
	during, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	within(t, "Open that is cancelled", 20*time.Millisecond, func() {
		if db, err := redis.Open(during, s.options()); !errors.Is(err, context.Canceled) || db != nil {
			t.Errorf("Open, cancelled on its way, = %v, %v, want nil, an error that wraps context.Canceled", db, err)
		}
	})
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	db, err := redis.Open(short, s.options())
	if err != nil || !strings.Contains(db.String(), "not reachable yet: no answer before the caller's deadline") {
		t.Fatalf("Open with a short deadline = %v, %v, want a DB that is not ready", db, err)
	}
	defer db.Close()
	s.signal(syscall.SIGCONT)
	works(t, db)
}

func TestClose(t *testing.T) {
	s, db, rec := hung(t)
	waiting := make(chan error)
	go func() { _, err := redis.Sessions(db).Get(context.Background(), rec.Key); waiting <- err }()
	within(t, "Close of a server that hangs", time.Second, func() { db.Close() })
	if err := <-waiting; err == nil || errors.Is(err, session.ErrNotFound) {
		t.Errorf("Get during Close = %v, want another error", err)
	}
	s.signal(syscall.SIGCONT)
	allFail(t, db, rec, "closed")
	says(t, db, "closed")
	if err := db.Close(); err != nil {
		t.Errorf("Close, the second time, = %v, want nil", err)
	}
}

// TestBellHangs: a server that says nothing any more ends Listen, before it could be subscribed and after.
func TestBellHangs(t *testing.T) {
	s, db, _ := hung(t)
	within(t, "Ring", 300*time.Millisecond, func() {
		fails(t, "Ring", redis.Bell(db).Ring(t.Context()), "not reachable: no answer")
	})
	within(t, "Listen", 300*time.Millisecond, func() { listen(t, db).ends("not reachable: no answer within 300ms") })
	s.signal(syscall.SIGCONT)
	l := listen(t, db)
	l.hears("the beginning")
	s.signal(syscall.SIGSTOP)
	within(t, "Listen, of a server that hangs later", 3*time.Second, func() { l.ends("not reachable: ") })
	during := listen(t, db)
	during.stop()
	within(t, "Listen, given up while the server hangs", time.Second, func() { during.ends("does not listen any more") })
	s.signal(syscall.SIGCONT)
	s.await("the bell does not ring after the server goes on", func() bool { return redis.Bell(db).Ring(t.Context()) == nil })
}

// signal sends a signal to the server's process.
func (s *server) signal(signal syscall.Signal) {
	s.Helper()
	if err := s.running.Process.Signal(signal); err != nil {
		s.Fatal(err)
	}
}
