package redis_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/redis"
	"github.com/gatehouse-auth/gatehouse/store/storetest"
	"github.com/gatehouse-auth/gatehouse/token"
)

// eachServer runs a suite on the model of Redis and on the real servers that there are. For every subtest, options returns an empty database: an own model, or
// an own prefix. mini is nil on a real server.
func eachServer(t *testing.T, suite func(t *testing.T, options func(t *testing.T) (o redis.Options, mini *miniredis.Miniredis))) {
	t.Run("miniredis", func(t *testing.T) {
		suite(t, func(t *testing.T) (redis.Options, *miniredis.Miniredis) {
			m := miniredis.RunT(t)
			return options(t, "redis://"+m.Addr()), m
		})
	})
	for _, program := range []string{"redis-server", "valkey-server"} {
		t.Run(program, func(t *testing.T) {
			s := newServer(t, program)
			s.start()
			var prefixes atomic.Int64
			suite(t, func(*testing.T) (redis.Options, *miniredis.Miniredis) {
				o := s.options()
				o.Prefix = fmt.Sprintf("suite-%d", prefixes.Add(1))
				return o, nil
			})
		})
	}
}

func TestKeyStore(t *testing.T) {
	eachServer(t, func(t *testing.T, options func(*testing.T) (redis.Options, *miniredis.Miniredis)) {
		storetest.TestKeys(t, func(t *testing.T) storetest.Keys {
			o, _ := options(t)
			db := open(t, o)
			another := func(t *testing.T) keyring.Store { return redis.Keys(open(t, o)) }
			return storetest.Keys{Store: redis.Keys(db), Beside: another, Reopen: func(t *testing.T) keyring.Store { db.Close(); return another(t) }}
		})
	})
}

func TestTokenStore(t *testing.T) {
	eachServer(t, func(t *testing.T, options func(*testing.T) (redis.Options, *miniredis.Miniredis)) {
		storetest.TestTokens(t, func(t *testing.T) storetest.Tokens {
			o, m := options(t)
			db := open(t, o)
			another := func(t *testing.T) token.Store { return redis.Tokens(open(t, o)) }
			tokens := storetest.Tokens{Store: redis.Tokens(db), Expires: true, Beside: another, Reopen: func(t *testing.T) token.Store { db.Close(); return another(t) }}
			if m != nil {
				tokens.Advance = m.FastForward
			}
			return tokens
		})
	})
}

func TestRevocationStore(t *testing.T) {
	eachServer(t, func(t *testing.T, options func(*testing.T) (redis.Options, *miniredis.Miniredis)) {
		storetest.TestRevocations(t, func(t *testing.T) storetest.Revocations {
			o, _ := options(t)
			db := open(t, o)
			another := func(t *testing.T) revoke.Store { return redis.Revocations(open(t, o)) }
			return storetest.Revocations{Store: redis.Revocations(db), Beside: another, Reopen: func(t *testing.T) revoke.Store { db.Close(); return another(t) }}
		})
	})
}
