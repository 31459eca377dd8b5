package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// How the bell rings. What is told has no content: whoever hears it looks for himself.
const (
	channel = "gatehouse_revocations"
	ringing = `pg_notify('` + channel + `', '')`
)

const (
	// proveFor is how long it may take until a listener hears what is said to it.
	proveFor = 2 * time.Second
	// defaultSilence is after how long without a word a listener makes sure that the connection is still there.
	defaultSilence = 15 * time.Second
)

// errNotHeard: what was said did not arrive.
var errNotHeard = errors.New("the server's notifications do not arrive: a pooler in transaction mode does not pass them on")

// Listen implements [revoke.Bell]. It takes one connection more than [MaxConns], and goes on until ctx is done, db is closed, or the connection breaks.
//
// Behind a pooler in transaction mode nothing can be heard: Listen finds that out within two seconds, and says so. Then revocations of other processes arrive when
// the feed is read next.
func (s *RevocationStore) Listen(ctx context.Context, heard func()) error {
	err := s.db.long.Do(ctx, func(ctx context.Context) error {
		conn, err := s.db.listener(ctx)
		if err != nil {
			return err
		}
		defer s.db.hangUp(ctx, conn)
		heard()
		return s.db.listen(ctx, conn, heard)
	})
	return fmt.Errorf("postgres: revocations of other processes cannot be heard: %w", err)
}

// listener returns a connection that is sure to hear.
func (db *DB) listener(ctx context.Context) (*pgx.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(limited, db.server.Copy())
	if err != nil {
		return nil, err
	}
	if _, err = conn.Exec(limited, `LISTEN `+channel); err == nil {
		err = db.prove(limited, conn)
	}
	if err != nil {
		db.hangUp(ctx, conn)
		return nil, err
	}
	return conn, nil
}

// prove makes sure that conn hears what is said on another connection.
func (db *DB) prove(ctx context.Context, conn *pgx.Conn) error {
	word := rand.Text()
	if _, err := db.pool.ExecContext(ctx, `SELECT pg_notify($1, $2)`, channel, word); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, proveFor)
	defer cancel()
	for {
		n, err := conn.WaitForNotification(limited)
		switch {
		case err == nil && n.Payload == word:
			return nil
		case err == nil: // a ring, or somebody else's word: the feed is read anyway when this has gone well
		case limited.Err() != nil && ctx.Err() == nil:
			return errNotHeard
		default:
			return err
		}
	}
}

// listen listens until the connection breaks.
func (db *DB) listen(ctx context.Context, conn *pgx.Conn, heard func()) error {
	for {
		limited, cancel := context.WithTimeout(ctx, db.silence)
		n, err := conn.WaitForNotification(limited)
		quiet := limited.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err == nil && n.Payload == "":
			heard()
		case err == nil: // somebody proves that he hears
		case quiet:
			if err := db.stillThere(ctx, conn); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// stillThere asks the server for an answer: a connection that was cut in between is silent for ever.
func (db *DB) stillThere(ctx context.Context, conn *pgx.Conn) error {
	limited, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	return conn.Ping(limited)
}

// hangUp closes the connection, in a moment even if nobody answers.
func (db *DB) hangUp(ctx context.Context, conn *pgx.Conn) {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(limited)
}
