package sqlite

import (
	"github.com/gatehouse-auth/gatehouse/store/internal/sqldb"
	"github.com/gatehouse-auth/gatehouse/token"
)

// A TokenStore is a [token.Store] in a database. It is safe for concurrent use. Make one with [Tokens].
//
// A call that returns nil is on the disk. The errors that token.Store does not name wrap what SQLite says, or the context's error; a call that
// fails has changed nothing, or, where its context ended at the same moment, all of what it was to change. Rotate to a key that is taken changes nothing, and its
// error wraps token.ErrExists. A family that has ended is remembered until its last token would have been overdue and Prune has come by.
type TokenStore struct{ *tokens }

// tokens hides that SQLite and PostgreSQL share the code.
type tokens = sqldb.Tokens

var _ token.Store = (*TokenStore)(nil)

// Tokens returns the tokens in db. Several stores of one database hold the same tokens.
func Tokens(db *DB) *TokenStore { return &TokenStore{sqldb.NewTokens(db.shared)} }
