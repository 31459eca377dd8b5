package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/internal/sqldb"
)

// A RevocationStore is a [revoke.Store] in a database, and a [revoke.Bell] for all processes that are connected to it. It is safe for concurrent use. Make one with
// [Revocations].
//
// The errors wrap what the server or the network says, or the context's error. A call that fails has changed nothing, or, where the connection was lost or the context
// ended while the server answered, all of what it was to change. A call whose transaction the server gives up for another's sake is tried three times more.
type RevocationStore struct {
	*revocations
	db   *DB
	told atomic.Bool // what was added was told with its commit, and nobody has rung since
}

// revocations hides that PostgreSQL and SQLite share the code.
type revocations = sqldb.Revocations

var (
	_ revoke.Store = (*RevocationStore)(nil)
	_ revoke.Bell  = (*RevocationStore)(nil)
)

// Revocations returns the feed of revocations in db. Several stores of one database hold the same feed.
func Revocations(db *DB) *RevocationStore {
	return &RevocationStore{revocations: sqldb.NewRevocations(db.shared), db: db}
}

// Add implements [revoke.Store]. It rings as well: with its commit.
func (s *RevocationStore) Add(ctx context.Context, entries ...revoke.Entry) (int64, error) {
	seq, err := s.revocations.Add(ctx, entries...)
	if err == nil && len(entries) > 0 {
		s.told.Store(true)
	}
	return seq, err
}

// Ring implements [revoke.Bell]. Where Add has rung a moment before, it has nothing to do.
func (s *RevocationStore) Ring(ctx context.Context) error {
	if s.told.Swap(false) {
		return ctx.Err()
	}
	limited, cancel := context.WithTimeout(ctx, s.db.timeout)
	defer cancel()
	if _, err := s.db.pool.ExecContext(limited, `SELECT `+ringing); err != nil {
		return fmt.Errorf("postgres: the others could not be told of a revocation: %w", because(ctx, err))
	}
	return nil
}

// because makes sure that err wraps the error of a context that is done.
func because(ctx context.Context, err error) error {
	if ctx.Err() == nil || errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("%w: %w", ctx.Err(), err)
}
