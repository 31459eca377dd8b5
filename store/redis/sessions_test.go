package redis_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/redis"
	"github.com/gatehouse-auth/gatehouse/store/storetest"
)

// TestMiniredis runs the suite without a server. Its server is a model of Redis: what it answers is not proof of anything, but every machine has it.
func TestMiniredis(t *testing.T) {
	storetest.TestSessions(t, func(t *testing.T) storetest.Sessions {
		mini := miniredis.RunT(t)
		sessions := suiteOf(t, options(t, "redis://"+mini.Addr()))
		sessions.Advance = mini.FastForward
		return sessions
	})
}

func TestRedis(t *testing.T) { testServer(t, "redis-server") }

func TestValkey(t *testing.T) { testServer(t, "valkey-server") }

// testServer runs the suite on a real server, each subtest under a prefix of its own.
func testServer(t *testing.T, program string) {
	s := newServer(t, program)
	s.start()
	var prefixes atomic.Int64
	storetest.TestSessions(t, func(t *testing.T) storetest.Sessions {
		o := s.options()
		o.Prefix = fmt.Sprintf("suite-%d", prefixes.Add(1))
		return suiteOf(t, o)
	})
}

// suiteOf describes the store of o to the suite.
func suiteOf(t *testing.T, o redis.Options) storetest.Sessions {
	db := open(t, o)
	another := func(t *testing.T) session.Store { return redis.Sessions(open(t, o)) }
	return storetest.Sessions{
		Store: redis.Sessions(db), Expires: true, Beside: another,
		Reopen: func(t *testing.T) session.Store { db.Close(); return another(t) },
	}
}

// options is ParseURL for tests.
func options(t *testing.T, url string) redis.Options {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatalf("ParseURL(%q) = %v, want nil", url, err)
	}
	return o
}
