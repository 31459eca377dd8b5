package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

// Sessions is a [session.Store] and a [session.Pruner] in the table gatehouse_sessions. It is safe for concurrent use. Make one with
// [NewSessions].
type Sessions struct{ db *DB }

var (
	_ session.Store  = (*Sessions)(nil)
	_ session.Pruner = (*Sessions)(nil)
)

// NewSessions returns the sessions in db, which must have been migrated.
func NewSessions(db *DB) *Sessions { return &Sessions{db} }

const columns = `key, id, subject, created, seen, deadline, version, body`

// Create implements [session.Store].
func (s *Sessions) Create(ctx context.Context, rec session.Record, replaces session.Key) error {
	const what = "the session could not be stored"
	if replaces.IsZero() {
		return s.db.single(ctx, what, s.db.Write, func(ctx context.Context, db querier) error { return insert(ctx, db, rec) })
	}
	return s.db.several(ctx, what, func(ctx context.Context, tx *sql.Tx) error {
		// A DELETE sees the rows that were there when it began. While it waits for the row that is replaced here, the new one appears, and it
		// would pass it by: everybody would be signed out but the one who renewed at that moment. So DeleteAll waits until nobody replaces a session
		// of the subject, and who comes later waits for it and finds nothing to replace. New log-ins have nothing to do with it.
		if err := take(ctx, tx, s.db.LockShared, subjectLock(rec.Subject)); err != nil {
			return err
		}
		return replace(ctx, tx, rec, replaces)
	})
}

// subjectLock names the lock that keeps DeleteAll and replacements of one subject apart.
func subjectLock(subject string) string { return "sessions of " + subject }

func replace(ctx context.Context, tx *sql.Tx, rec session.Record, replaces session.Key) error {
	if err := insert(ctx, tx, rec); err != nil {
		return err
	}
	n, err := exec(ctx, tx, `DELETE FROM gatehouse_sessions WHERE key = $1`, replaces[:])
	if err == nil && (n == 0 || replaces == rec.Key) { // a record was not there before if it could be put there now
		return session.ErrNotFound
	}
	return err
}

func insert(ctx context.Context, db querier, rec session.Record) error {
	n, err := exec(ctx, db, `INSERT INTO gatehouse_sessions (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		rec.Key[:], []byte(rec.ID), []byte(rec.Subject), rec.Created.UnixMilli(), rec.Seen.UnixMilli(), rec.Deadline.UnixMilli(), rec.Version,
		notNull(rec.Body))
	if err == nil && n == 0 {
		return session.ErrExists
	}
	return err
}

// notNull returns b as drivers take it for empty bytes rather than for nothing.
func notNull(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Get implements [session.Store].
func (s *Sessions) Get(ctx context.Context, key session.Key) (session.Record, error) {
	var rec session.Record
	err := s.db.single(ctx, "the session could not be read", s.db.Read, func(ctx context.Context, db querier) (err error) {
		rec, err = scan(db.QueryRowContext(ctx, `SELECT `+columns+` FROM gatehouse_sessions WHERE key = $1`, key[:]))
		if errors.Is(err, sql.ErrNoRows) {
			return session.ErrNotFound
		}
		return err
	})
	return rec, err
}

// scan returns the record in a row of [columns].
func scan(row interface{ Scan(...any) error }) (session.Record, error) {
	var rec session.Record
	var key, id, subject []byte
	var created, seen, deadline int64
	if err := row.Scan(&key, &id, &subject, &created, &seen, &deadline, &rec.Version, &rec.Body); err != nil {
		return session.Record{}, err
	}
	if copy(rec.Key[:], key) != len(key) || len(key) != len(rec.Key) {
		return session.Record{}, fmt.Errorf("a row of gatehouse_sessions has a key of %d bytes, want %d", len(key), len(rec.Key))
	}
	rec.ID, rec.Subject = string(id), string(subject)
	rec.Created, rec.Seen, rec.Deadline = time.UnixMilli(created), time.UnixMilli(seen), time.UnixMilli(deadline)
	return rec, nil
}

// Update implements [session.Store].
func (s *Sessions) Update(ctx context.Context, rec session.Record) error {
	return s.db.single(ctx, "the session could not be changed", s.db.Write, func(ctx context.Context, db querier) error {
		n, err := exec(ctx, db,
			`UPDATE gatehouse_sessions SET body = $1, seen = $2, deadline = $3, version = version + 1 WHERE key = $4 AND version = $5`,
			notNull(rec.Body), rec.Seen.UnixMilli(), rec.Deadline.UnixMilli(), rec.Key[:], rec.Version)
		if err != nil || n > 0 {
			return err
		}
		if err := exists(ctx, db, rec.Key); err != nil {
			return err
		}
		return session.ErrConflict
	})
}

// Touch implements [session.Store].
func (s *Sessions) Touch(ctx context.Context, key session.Key, seen, deadline time.Time) error {
	return s.db.single(ctx, "the session could not be changed", s.db.Write, func(ctx context.Context, db querier) error {
		n, err := exec(ctx, db, `UPDATE gatehouse_sessions SET seen = $1, deadline = $2 WHERE key = $3 AND seen < $1`,
			seen.UnixMilli(), deadline.UnixMilli(), key[:])
		if err != nil || n > 0 {
			return err
		}
		return exists(ctx, db, key)
	})
}

// exists returns session.ErrNotFound if there is no record under key.
func exists(ctx context.Context, db querier, key session.Key) error {
	var one int
	err := db.QueryRowContext(ctx, `SELECT 1 FROM gatehouse_sessions WHERE key = $1`, key[:]).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return session.ErrNotFound
	}
	return err
}

// Delete implements [session.Store].
func (s *Sessions) Delete(ctx context.Context, key session.Key) error {
	return s.db.single(ctx, "the session could not be ended", s.db.Write, func(ctx context.Context, db querier) error {
		_, err := exec(ctx, db, `DELETE FROM gatehouse_sessions WHERE key = $1`, key[:])
		return err
	})
}

// List implements [session.Store].
func (s *Sessions) List(ctx context.Context, subject string) ([]session.Record, error) {
	var records []session.Record
	err := s.db.single(ctx, "the sessions could not be listed", s.db.Read, func(ctx context.Context, db querier) (err error) {
		records, err = list(ctx, db, subject)
		return err
	})
	return records, err
}

func list(ctx context.Context, db querier, subject string) ([]session.Record, error) {
	rows, err := db.QueryContext(ctx, `SELECT `+columns+` FROM gatehouse_sessions WHERE subject = $1 ORDER BY created, id`, []byte(subject))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var records []session.Record
	for rows.Next() {
		rec, err := scan(rows)
		if err != nil {
			return nil, err
		}
		records = append(records, rec)
	}
	if err := rows.Err(); err != nil {
		return nil, err // not a part of them: whoever ends them one by one would leave the rest
	}
	return records, nil
}

// DeleteAll implements [session.Store].
func (s *Sessions) DeleteAll(ctx context.Context, subject string, except session.Key) (int, error) {
	spared := except[:]
	if except.IsZero() {
		spared = []byte{} // nobody's key, not even a zero one's
	}
	var n int
	err := s.db.several(ctx, "the sessions could not be ended", func(ctx context.Context, tx *sql.Tx) (err error) {
		if err := take(ctx, tx, s.db.Lock, subjectLock(subject)); err != nil { // see Create
			return err
		}
		n, err = exec(ctx, tx, `DELETE FROM gatehouse_sessions WHERE subject = $1 AND key <> $2`, []byte(subject), spared)
		return err
	})
	if err != nil {
		return 0, err // rolled back
	}
	return n, nil
}

// Prune implements [session.Pruner].
func (s *Sessions) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	if limit <= 0 {
		return 0, nil
	}
	var n int
	err := s.db.single(ctx, "overdue sessions could not be removed", s.db.Write, func(ctx context.Context, db querier) (err error) {
		// The deadline is asked for twice: the second time it is that of the row as it is when its turn comes, which somebody may have touched since.
		n, err = exec(ctx, db, `DELETE FROM gatehouse_sessions WHERE deadline < $1 AND key IN (
			SELECT key FROM gatehouse_sessions WHERE deadline < $1 ORDER BY deadline LIMIT $2)`, before.UnixMilli(), int64(limit))
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}
