package memory_test

import (
	"testing"

	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/store/storetest"
	"github.com/gatehouse-auth/gatehouse/token"
)

func TestTokens(t *testing.T) {
	storetest.TestTokens(t, func(*testing.T) storetest.Tokens {
		store := memory.Tokens()
		return storetest.Tokens{Store: store, Beside: func(*testing.T) token.Store { return store }}
	})
}
