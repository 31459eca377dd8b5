package sqlite_test

import (
	"testing"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/sqlite"
	"github.com/gatehouse-auth/gatehouse/store/storetest"
	"github.com/gatehouse-auth/gatehouse/token"
)

// again returns what a process finds that opens the database once more: beside the first one, or after it.
func again[S any](name string, of func(*sqlite.DB) S) func(t *testing.T) S {
	return func(t *testing.T) S { return of(open(t, name)) }
}

// after is again after db was closed.
func after[S any](db *sqlite.DB, name string, of func(*sqlite.DB) S) func(t *testing.T) S {
	return func(t *testing.T) S {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		return of(open(t, name))
	}
}

func keys(db *sqlite.DB) keyring.Store       { return sqlite.Keys(db) }
func tokens(db *sqlite.DB) token.Store       { return sqlite.Tokens(db) }
func revocations(db *sqlite.DB) revoke.Store { return sqlite.Revocations(db) }

func TestKeys(t *testing.T) {
	storetest.TestKeys(t, func(t *testing.T) storetest.Keys {
		name := fileName(t)
		db := open(t, name)
		return storetest.Keys{Store: keys(db), Beside: again(name, keys), Reopen: after(db, name, keys)}
	})
}

func TestKeysInMemory(t *testing.T) {
	storetest.TestKeys(t, func(t *testing.T) storetest.Keys {
		store := keys(open(t, ":memory:"))
		return storetest.Keys{Store: store, Beside: func(*testing.T) keyring.Store { return store }}
	})
}

func TestTokens(t *testing.T) {
	storetest.TestTokens(t, func(t *testing.T) storetest.Tokens {
		name := fileName(t)
		db := open(t, name)
		return storetest.Tokens{Store: tokens(db), Beside: again(name, tokens), Reopen: after(db, name, tokens)}
	})
}

func TestTokensInMemory(t *testing.T) {
	storetest.TestTokens(t, func(t *testing.T) storetest.Tokens {
		store := tokens(open(t, ":memory:"))
		return storetest.Tokens{Store: store, Beside: func(*testing.T) token.Store { return store }}
	})
}

func TestRevocations(t *testing.T) {
	storetest.TestRevocations(t, func(t *testing.T) storetest.Revocations {
		name := fileName(t)
		db := open(t, name)
		return storetest.Revocations{Store: revocations(db), Beside: again(name, revocations), Reopen: after(db, name, revocations)}
	})
}

func TestRevocationsInMemory(t *testing.T) {
	storetest.TestRevocations(t, func(t *testing.T) storetest.Revocations {
		store := revocations(open(t, ":memory:"))
		return storetest.Revocations{Store: store, Beside: func(*testing.T) revoke.Store { return store }}
	})
}
