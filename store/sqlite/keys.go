package sqlite

import (
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/store/internal/sqldb"
)

// A KeyStore is a [keyring.Store] in a database. It is safe for concurrent use. Make one with [Keys].
//
// A call that returns nil is on the disk. The errors that keyring.Store does not name wrap what SQLite says, or the context's error; a call that
// fails has changed nothing, or, where its context ended at the same moment, all of what it was to change. Two keys of a ring that have one id are an error.
type KeyStore struct{ *keys }

// keys hides that SQLite and PostgreSQL share the code.
type keys = sqldb.Keys

var _ keyring.Store = (*KeyStore)(nil)

// Keys returns the key rings in db. Several stores of one database hold the same rings.
func Keys(db *DB) *KeyStore { return &KeyStore{sqldb.NewKeys(db.shared)} }
