package memory_test

import (
	"testing"

	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/store/storetest"
)

func TestRevocations(t *testing.T) {
	storetest.TestRevocations(t, func(*testing.T) storetest.Revocations {
		store := memory.Revocations()
		return storetest.Revocations{Store: store, Beside: func(*testing.T) revoke.Store { return store }}
	})
}
