package memory_test

import (
	"testing"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/store/storetest"
)

func TestKeys(t *testing.T) {
	storetest.TestKeys(t, func(*testing.T) storetest.Keys {
		store := memory.Keys()
		return storetest.Keys{Store: store, Beside: func(*testing.T) keyring.Store { return store }}
	})
}
