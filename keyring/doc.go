// Package keyring keeps the keys of tokens: one [Ring] for each purpose.
package keyring
