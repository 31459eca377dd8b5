package storetest_test

import (
	"testing"

	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/store/storetest"
)

// In a test of one's own this is the function TestSessions(t *testing.T). The memory store stands for the one to be tested.
func ExampleTestSessions() {
	test := func(t *testing.T) {
		storetest.TestSessions(t, func(t *testing.T) storetest.Sessions {
			return storetest.Sessions{Store: memory.Sessions()}
		})
	}
	_ = test
}

// A store on a server or a file is opened a second time as well: what holds in one process must hold among several, and after a restart. One that
// removes overdue records by itself says so.
func ExampleSessions() {
	open := func(t *testing.T) storetest.Sessions {
		database := memory.Sessions() // say, an empty database with a name of its own, dropped by t.Cleanup
		again := func(*testing.T) session.Store { return database }
		return storetest.Sessions{Store: database, Expires: false, Beside: again, Reopen: again}
	}
	_ = open
}

// The suites of key rings, tokens and revocations look the same.
func ExampleTestTokens() {
	keys := func(t *testing.T) {
		storetest.TestKeys(t, func(t *testing.T) storetest.Keys { return storetest.Keys{Store: memory.Keys()} })
	}
	tokens := func(t *testing.T) {
		storetest.TestTokens(t, func(t *testing.T) storetest.Tokens { return storetest.Tokens{Store: memory.Tokens()} })
	}
	revocations := func(t *testing.T) {
		storetest.TestRevocations(t, func(t *testing.T) storetest.Revocations { return storetest.Revocations{Store: memory.Revocations()} })
	}
	_, _, _ = keys, tokens, revocations
}
