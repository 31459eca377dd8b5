package memory_test

import (
	"testing"

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
