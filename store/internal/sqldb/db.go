package sqldb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/token"
)

// A DB is an open database and what is peculiar to its kind. It must not be changed once it is used; then it is safe for concurrent use.
type DB struct {
	// Name begins every error: the name of the package that has opened the database.
	Name string
	// Write is the pool for what changes something, Read the one for the rest. They may be one pool. What a transaction of Write has committed, the
	// next statement of Read must see.
	Write, Read *sql.DB
	// Dialect is the SQL that the database speaks, as the migrations know it.
	Dialect goose.Dialect
	// Lock and LockShared take the lock with the number $1 until the transaction ends: Lock for one alone, LockShared for any number at once.
	// Empty: a transaction of Write has the database for itself in any case.
	Lock, LockShared string
	// Ring is an expression that tells everybody who listens that there are new revocations, once the transaction is committed. Empty: they find out by
	// themselves.
	Ring string
	// Timeout bounds every call, with what it waits for. Zero: only the call's context does.
	Timeout time.Duration
	// Again reports whether err says that nothing was done, and that it may go through another time: the database gave up a transaction in favour of
	// another, or the connection was gone before anything was sent. Nil: nothing is tried again.
	Again func(err error) bool
	// Explain returns err in words that tell a person what to do, and wraps it. Nil: it speaks for itself.
	Explain func(err error) error
}

// attempts is how often a call is tried: once, and three times again.
const attempts = 4

// run calls f until there is no use in calling it again, and returns its error in the form that all calls share: it wraps what
// f returned, and the context's error if that was the reason. The first time, again is false.
func (db *DB) run(ctx context.Context, what string, f func(ctx context.Context, again bool) error) error {
	limited := ctx
	if db.Timeout > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, db.Timeout)
		defer cancel()
	}
	var err error
	for attempt := range attempts {
		err = f(limited, attempt > 0)
		if err == nil || limited.Err() != nil || db.Again == nil || !db.Again(err) {
			break
		}
	}
	switch {
	case err == nil:
		return nil
	case named(err):
		return fmt.Errorf("%s: %w", db.Name, err)
	case limited.Err() != nil && ctx.Err() == nil:
		return fmt.Errorf("%s: %s: no answer within %v: %w", db.Name, what, db.Timeout, because(limited, err))
	}
	return db.fault(ctx, what, err)
}

// fault returns err, which is not one that an interface names, as the error of a call.
func (db *DB) fault(ctx context.Context, what string, err error) error {
	if db.Explain != nil {
		err = db.Explain(err)
	}
	return fmt.Errorf("%s: %s: %w", db.Name, what, because(ctx, err))
}

// because makes sure that err wraps the error of a context that is done: drivers have many words for it.
func because(ctx context.Context, err error) error {
	if ctx.Err() == nil || errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("%w: %w", ctx.Err(), err)
}

// outcomes are what the interfaces name.
var outcomes = []error{
	session.ErrNotFound, session.ErrExists, session.ErrConflict, keyring.ErrConflict, token.ErrNotFound, token.ErrExists, token.ErrSpent,
}

// named reports whether err is an outcome, whatever has happened to the context since.
func named(err error) bool {
	return slices.ContainsFunc(outcomes, func(outcome error) bool { return errors.Is(err, outcome) })
}

// readCommitted is asked for in so many words because a server may have another default. Where a transaction keeps to the snapshot of its first
// statement, that statement is the one that waits for the lock, and what the lock's last holder has committed would not be seen under it.
var readCommitted = &sql.TxOptions{Isolation: sql.LevelReadCommitted}

// tx calls f in a transaction, which is committed if f returns nil.
func (db *DB) tx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := db.Write.BeginTx(ctx, readCommitted)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// single runs what needs no transaction: f has one statement that changes something, or none. Outside a transaction the server's default isolation
// counts, and a strict one gives up whatever meets somebody else's change, each time; so it is tried again in a transaction, which does not.
func (db *DB) single(ctx context.Context, what string, pool *sql.DB, f func(context.Context, querier) error) error {
	return db.run(ctx, what, func(ctx context.Context, again bool) error {
		if !again {
			return f(ctx, pool)
		}
		return db.tx(ctx, func(tx *sql.Tx) error { return f(ctx, tx) })
	})
}

// several runs what needs a transaction.
func (db *DB) several(ctx context.Context, what string, f func(context.Context, *sql.Tx) error) error {
	return db.run(ctx, what, func(ctx context.Context, _ bool) error {
		return db.tx(ctx, func(tx *sql.Tx) error { return f(ctx, tx) })
	})
}

// take runs statement, which is db.Lock, db.LockShared or empty, for the lock called name.
func take(ctx context.Context, tx *sql.Tx, statement, name string) error {
	if statement == "" {
		return nil
	}
	sum := sha256.Sum256([]byte("gatehouse " + name))
	_, err := tx.ExecContext(ctx, statement, int64(binary.BigEndian.Uint64(sum[:])))
	return err
}

// A querier is a pool or a transaction.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// exec runs a statement and returns how many rows it has changed.
func exec(ctx context.Context, db querier, statement string, args ...any) (int, error) {
	result, err := db.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}
