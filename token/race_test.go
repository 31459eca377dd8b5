//go:build race

package token_test

// The race detector makes pools drop what they keep, so nothing can be said of allocations.
func init() { raced = true }
