package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/internal/sqldb"
)

// A RevocationStore is a [revoke.Store] in a database, and a [revoke.Bell] for all processes that have the file open. It is safe for concurrent use. Make one with
// [Revocations].
//
// A call that returns nil is on the disk. The errors wrap what SQLite says, or the context's error; a call that fails has changed nothing, or, where its context
// ended at the same moment, all of what it was to change.
type RevocationStore struct {
	*revocations
	db *DB
}

// revocations hides that SQLite and PostgreSQL share the code.
type revocations = sqldb.Revocations

var (
	_ revoke.Store = (*RevocationStore)(nil)
	_ revoke.Bell  = (*RevocationStore)(nil)
)

// Revocations returns the feed of revocations in db. Several stores of one database hold the same feed.
func Revocations(db *DB) *RevocationStore {
	return &RevocationStore{sqldb.NewRevocations(db.shared), db}
}

// Add implements [revoke.Store]. It rings as well.
func (s *RevocationStore) Add(ctx context.Context, entries ...revoke.Entry) (int64, error) {
	seq, err := s.revocations.Add(ctx, entries...)
	if err == nil && len(entries) > 0 {
		s.db.rings.ring()
	}
	return seq, err
}

// Ring implements [revoke.Bell]. It is heard in this process; others see the commit itself (see Listen), which is what there is to tell them of.
func (s *RevocationStore) Ring(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	s.db.rings.ring()
	return nil
}

// watchEvery is how often the file is looked at. It takes some microseconds: SQLite keeps a number in memory that processes share, and that every commit changes.
const watchEvery = 50 * time.Millisecond

// Listen implements [revoke.Bell]. What this process adds is heard at once, and what another one adds within 50 ms or little more; nothing else that is written to
// the file is heard. It takes a connection of its own, and goes on until ctx is done, db is closed, or the file cannot be read.
func (s *RevocationStore) Listen(ctx context.Context, heard func()) error {
	err := s.db.long.Do(ctx, func(ctx context.Context) error {
		if s.db.watch == nil {
			return s.db.listenHere(ctx, heard)
		}
		return s.db.listen(ctx, heard)
	})
	return fmt.Errorf("sqlite: revocations of other processes cannot be heard: %w", s.db.shared.Explain(err))
}

// listenHere hears this process alone.
func (db *DB) listenHere(ctx context.Context, heard func()) error {
	for ctx.Err() == nil {
		rung := db.rings.next()
		heard()
		select {
		case <-ctx.Done():
		case <-rung:
		}
	}
	return ctx.Err()
}

// listen watches the file.
func (db *DB) listen(ctx context.Context, heard func()) error {
	conn, err := db.watch.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	w := watcher{conn: conn}
	for rang := true; ; {
		rung := db.rings.next()
		news, err := w.look(ctx)
		if err != nil {
			return err
		}
		if news || rang {
			heard()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-rung:
			rang = true
		case <-tick.C:
			rang = false
		}
	}
}

// A watcher looks at a file through a connection that nobody else has.
type watcher struct {
	conn          *sql.Conn
	version, last int64
}

// look reports whether there is something new in the feed. The version changes with every commit of another connection, whatever it was about.
func (w *watcher) look(ctx context.Context) (news bool, err error) {
	var version, last int64
	if err := w.conn.QueryRowContext(ctx, `PRAGMA data_version`).Scan(&version); err != nil {
		return false, err
	}
	if version == w.version {
		return false, nil
	}
	if err := w.conn.QueryRowContext(ctx, `SELECT last FROM gatehouse_feed`).Scan(&last); err != nil {
		return false, err
	}
	news = last != w.last
	w.version, w.last = version, last
	return news, nil
}

// rings tells those in this process who listen. It is safe for concurrent use.
type rings struct {
	mu   sync.Mutex
	rung chan struct{} // closed, and replaced, at every ring
}

// next returns a channel that is closed at the next ring.
func (r *rings) next() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rung == nil {
		r.rung = make(chan struct{})
	}
	return r.rung
}

func (r *rings) ring() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rung != nil {
		close(r.rung)
		r.rung = nil
	}
}
