package postgres

import (
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/store/internal/sqldb"
)

// A KeyStore is a [keyring.Store] in a database. It is safe for concurrent use. Make one with [Keys].
//
// The errors that keyring.Store does not name wrap what the server or the network says, or the context's error. A call that fails has changed
// nothing, or, where the connection was lost or the context ended while the server answered, all of what it was to change. Two keys of a ring that have one id are
// an error.
type KeyStore struct{ *keys }

// keys hides that PostgreSQL and SQLite share the code.
type keys = sqldb.Keys

var _ keyring.Store = (*KeyStore)(nil)

// Keys returns the key rings in db. Several stores of one database hold the same rings.
func Keys(db *DB) *KeyStore { return &KeyStore{sqldb.NewKeys(db.shared)} }
