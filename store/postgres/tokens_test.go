package postgres_test

import (
	"net/url"
	"testing"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/postgres"
	"github.com/gatehouse-auth/gatehouse/store/storetest"
	"github.com/gatehouse-auth/gatehouse/token"
)

// A crowd is the stores of a suite's subtest in one database: with pools that are smaller than the crowd that uses them.
type crowd[S any] struct {
	u      *url.URL
	db     *postgres.DB
	of     func(*postgres.DB) S
	beside *postgres.DB // one is enough, and as many as the suite asks for are more than the server has connections for
}

func gather[S any](t *testing.T, u *url.URL, of func(*postgres.DB) S) *crowd[S] {
	t.Helper()
	return &crowd[S]{u: u, db: open(t, u, postgres.MaxConns(2)), of: of}
}

func (c *crowd[S]) another(t *testing.T) S {
	t.Helper()
	if c.beside == nil {
		c.beside = open(t, c.u, postgres.MaxConns(2))
	}
	return c.of(c.beside)
}

func (c *crowd[S]) reopened(t *testing.T) S {
	t.Helper()
	if err := c.db.Close(); err != nil {
		t.Fatal(err)
	}
	return c.of(open(t, c.u, postgres.MaxConns(2)))
}

func keys(db *postgres.DB) keyring.Store       { return postgres.Keys(db) }
func tokens(db *postgres.DB) token.Store       { return postgres.Tokens(db) }
func revocations(db *postgres.DB) revoke.Store { return postgres.Revocations(db) }

// suites runs the suites of keys, tokens and revocations on databases that are empty.
func suites(t *testing.T, database func(*testing.T) *url.URL) {
	t.Run("Keys", func(t *testing.T) {
		storetest.TestKeys(t, func(t *testing.T) storetest.Keys {
			c := gather(t, database(t), keys)
			return storetest.Keys{Store: keys(c.db), Beside: c.another, Reopen: c.reopened}
		})
	})
	t.Run("Tokens", func(t *testing.T) {
		storetest.TestTokens(t, func(t *testing.T) storetest.Tokens {
			c := gather(t, database(t), tokens)
			return storetest.Tokens{Store: tokens(c.db), Beside: c.another, Reopen: c.reopened}
		})
	})
	t.Run("Revocations", func(t *testing.T) {
		storetest.TestRevocations(t, func(t *testing.T) storetest.Revocations {
			c := gather(t, database(t), revocations)
			return storetest.Revocations{Store: revocations(c.db), Beside: c.another, Reopen: c.reopened}
		})
	})
}

func TestSuites(t *testing.T) { suites(t, schema) }

// TestSuitesOnAStricterServer: see TestSessionsOnAStricterServer.
func TestSuitesOnAStricterServer(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole suites once more: not with -short")
	}
	suites(t, func(t *testing.T) *url.URL { return with(schema(t), "default_transaction_isolation", "serializable") })
}

// TestSuitesBehindPgBouncer: see TestBehindPgBouncer.
func TestSuitesBehindPgBouncer(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole suites once more: not with -short")
	}
	through, past := bouncer(t)
	admin := pool(t, past)
	suites(t, func(t *testing.T) *url.URL {
		must(t, admin, `DROP SCHEMA public CASCADE`)
		must(t, admin, `CREATE SCHEMA public`)
		return through
	})
	nothingIsLeft(t, admin)
}
