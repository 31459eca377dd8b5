package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/token"
)

// Tokens is a [token.Store] in the tables gatehouse_tokens and gatehouse_families. It is safe for concurrent use. Make one with [NewTokens].
//
// Whoever changes a family locks its row first, then those of its tokens: who ends it and who rotates in it take turns, and the second one sees what the first has
// done. No token is there whose family has ended: both change in one transaction.
type Tokens struct{ db *DB }

var _ token.Store = (*Tokens)(nil)

// NewTokens returns the tokens in db, which must have been migrated.
func NewTokens(db *DB) *Tokens { return &Tokens{db} }

const tokenColumns = `key, id, purpose, subject, family, expires, uses, used, next, sealed, body`

// What could not be done.
const notChanged, notRemoved = "the token could not be changed", "the token could not be removed"

// Create implements [token.Store].
func (s *Tokens) Create(ctx context.Context, rec token.Record) error {
	return s.db.several(ctx, "the token could not be stored", func(ctx context.Context, tx *sql.Tx) error {
		// What DeleteSubject does not see it cannot remove. So it waits until nobody creates something of the subject.
		if err := take(ctx, tx, s.db.LockShared, tokensLock(rec.Subject)); err != nil {
			return err
		}
		if rec.Family != "" {
			if err := beginFamily(ctx, tx, rec); err != nil {
				return err
			}
		}
		return insertToken(ctx, tx, rec)
	})
}

// tokensLock names the lock that keeps DeleteSubject apart from what becomes the subject's.
func tokensLock(subject string) string { return "tokens of " + subject }

func beginFamily(ctx context.Context, db querier, rec token.Record) error {
	n, err := exec(ctx, db, `INSERT INTO gatehouse_families VALUES ($1, FALSE, $2) ON CONFLICT DO NOTHING`, []byte(rec.Family), rec.Expires.UnixMilli())
	if err == nil && n == 0 {
		return token.ErrExists
	}
	return err
}

func insertToken(ctx context.Context, db querier, rec token.Record) error {
	n, err := exec(ctx, db, `INSERT INTO gatehouse_tokens (`+tokenColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING`,
		rec.Key[:], []byte(rec.ID), []byte(rec.Purpose), []byte(rec.Subject), familyOf(rec.Family), rec.Expires.UnixMilli(), int64(rec.Left),
		rec.Used.UnixMilli(), nextOf(rec.Next), notNull(rec.Sealed), notNull(rec.Body))
	if err == nil && n == 0 {
		return token.ErrExists
	}
	return err
}

// familyOf returns a family as it is stored.
func familyOf(family string) []byte {
	if family == "" {
		return nil
	}
	return []byte(family)
}

// nextOf returns the key of a successor as it is stored.
func nextOf(key token.Key) []byte {
	if key == (token.Key{}) {
		return nil
	}
	return key[:]
}

// Get implements [token.Store].
func (s *Tokens) Get(ctx context.Context, key token.Key) (token.Record, error) {
	var rec token.Record
	err := s.db.single(ctx, "the token could not be read", s.db.Read, func(ctx context.Context, db querier) (err error) {
		rec, err = getToken(ctx, db, key)
		return err
	})
	return rec, err
}

func getToken(ctx context.Context, db querier, key token.Key) (token.Record, error) {
	return oneToken(ctx, db, `SELECT `+tokenColumns+` FROM gatehouse_tokens WHERE key = $1`, key[:])
}

// oneToken runs a statement that returns a token or none, to its end: one that changes something has not done so before.
func oneToken(ctx context.Context, db querier, statement string, args ...any) (rec token.Record, err error) {
	rows, err := db.QueryContext(ctx, statement, args...)
	if err != nil {
		return token.Record{}, err
	}
	defer rows.Close()
	found := false
	for rows.Next() {
		if rec, err = scanToken(rows); err != nil {
			return token.Record{}, err
		}
		found = true
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return token.Record{}, err
	}
	if !found {
		return token.Record{}, token.ErrNotFound
	}
	return rec, nil
}

// scanToken returns the record in a row of [tokenColumns].
func scanToken(rows *sql.Rows) (token.Record, error) {
	var rec token.Record
	var key, id, purpose, subject, family, next []byte
	var expires, left, used int64
	if err := rows.Scan(&key, &id, &purpose, &subject, &family, &expires, &left, &used, &next, &rec.Sealed, &rec.Body); err != nil {
		return token.Record{}, err
	}
	if len(key) != len(rec.Key) || next != nil && len(next) != len(rec.Next) {
		return token.Record{}, fmt.Errorf("a row of gatehouse_tokens has keys of %d and %d bytes, want %d", len(key), len(next), len(rec.Key))
	}
	copy(rec.Key[:], key)
	copy(rec.Next[:], next)
	rec.ID, rec.Purpose, rec.Subject, rec.Family = string(id), string(purpose), string(subject), string(family)
	rec.Expires, rec.Used, rec.Left = timeOf(expires), timeOf(used), int(left)
	return rec, nil
}

// Use implements [token.Store].
func (s *Tokens) Use(ctx context.Context, key token.Key) (token.Record, error) {
	var rec token.Record
	err := s.db.single(ctx, notChanged, s.db.Write, func(ctx context.Context, db querier) (err error) {
		rec, err = oneToken(ctx, db, `UPDATE gatehouse_tokens SET uses = CASE WHEN uses > 0 THEN uses - 1 ELSE uses END
			WHERE key = $1 AND uses <> 0 RETURNING `+tokenColumns, key[:])
		if errors.Is(err, token.ErrNotFound) {
			if _, err = getToken(ctx, db, key); err == nil {
				return token.ErrSpent
			}
		}
		return err
	})
	if err != nil {
		return token.Record{}, err
	}
	return rec, nil
}

// Rotate implements [token.Store]. Whatever family next has, it gets that of the record under key.
func (s *Tokens) Rotate(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
	r := rotation{s.db, key, used, sealed, next}
	var rec token.Record
	err := s.db.several(ctx, notChanged, func(ctx context.Context, tx *sql.Tx) (err error) {
		rec, err = r.run(ctx, tx)
		return err
	})
	if err != nil && !errors.Is(err, token.ErrSpent) {
		return token.Record{}, err
	}
	return rec, err
}

// A rotation is what Rotate was called with.
type rotation struct {
	db     *DB
	key    token.Key
	used   time.Time
	sealed []byte
	next   token.Record
}

// run begins with the family, which it finds by the record: that never changes its family. It is locked then, and still there when the successor joins it.
func (r rotation) run(ctx context.Context, tx *sql.Tx) (token.Record, error) {
	if r.next.Family == "" {
		if err := r.lock(ctx, tx); err != nil {
			return token.Record{}, err
		}
	}
	families, err := exec(ctx, tx, `UPDATE gatehouse_families SET expires = CASE WHEN expires < $2 THEN $2 ELSE expires END
		WHERE NOT ended AND id = (SELECT family FROM gatehouse_tokens WHERE key = $1)`, r.key[:], r.next.Expires.UnixMilli())
	if err != nil {
		return token.Record{}, err
	}
	rec, err := r.use(ctx, tx)
	if err != nil {
		return rec, err
	}
	switch {
	case rec.Family != "" && families == 0:
		return token.Record{}, token.ErrNotFound // it was not there yet when the family was looked for
	case rec.Family != "" && rec.Subject == r.next.Subject && rec.Purpose == r.next.Purpose: // DeleteSubject finds the family by rec, and waits for it
	default:
		if err := r.lock(ctx, tx); err != nil {
			return token.Record{}, err
		}
	}
	r.next.Family = rec.Family
	return rec, insertToken(ctx, tx, r.next)
}

// lock makes DeleteSubject wait for what becomes the subject's by other ways than a family of its own.
func (r rotation) lock(ctx context.Context, tx *sql.Tx) error {
	return take(ctx, tx, r.db.LockShared, tokensLock(r.next.Subject))
}

// use marks the record as used, which only the first one can.
func (r rotation) use(ctx context.Context, tx *sql.Tx) (token.Record, error) {
	rec, err := oneToken(ctx, tx, `UPDATE gatehouse_tokens SET used = $2, next = $3, sealed = $4 WHERE key = $1 AND used = $5 AND next IS NULL RETURNING `+tokenColumns,
		r.key[:], r.used.UnixMilli(), r.next.Key[:], notNull(r.sealed), time.Time{}.UnixMilli())
	if !errors.Is(err, token.ErrNotFound) {
		return rec, err
	}
	if rec, err = getToken(ctx, tx, r.key); err == nil {
		err = token.ErrSpent
	}
	return rec, err
}

// Delete implements [token.Store].
func (s *Tokens) Delete(ctx context.Context, key token.Key, family string) error {
	if family == "" {
		return s.db.single(ctx, notRemoved, s.db.Write, func(ctx context.Context, db querier) error {
			_, err := exec(ctx, db, `DELETE FROM gatehouse_tokens WHERE key = $1`, key[:])
			return err
		})
	}
	return s.db.several(ctx, "the tokens of a log-in could not be removed", func(ctx context.Context, tx *sql.Tx) error {
		n, err := exec(ctx, tx, `UPDATE gatehouse_families SET ended = TRUE WHERE id = $1 AND NOT ended`, []byte(family))
		if err != nil || n == 0 {
			return err
		}
		_, err = exec(ctx, tx, `DELETE FROM gatehouse_tokens WHERE family = $1`, []byte(family))
		return err
	})
}

// DeleteSubject implements [token.Store].
func (s *Tokens) DeleteSubject(ctx context.Context, subject string, purposes ...string) ([]string, error) {
	var ended []string
	err := s.db.several(ctx, "the tokens of a subject could not be removed", func(ctx context.Context, tx *sql.Tx) (err error) {
		if err := take(ctx, tx, s.db.Lock, tokensLock(subject)); err != nil { // see Create
			return err
		}
		ended, err = deleteSubject(ctx, tx, subject, purposes)
		return err
	})
	if err != nil {
		return nil, err // rolled back
	}
	return ended, nil
}

func deleteSubject(ctx context.Context, tx *sql.Tx, subject string, purposes []string) ([]string, error) {
	which, args := `subject = $1`, []any{[]byte(subject)}
	if len(purposes) > 0 {
		which += ` AND purpose IN (` + placeholders(2, len(purposes)) + `)`
		args = appendBytes(args, purposes)
	}
	ended, err := texts(ctx, tx, `UPDATE gatehouse_families SET ended = TRUE WHERE NOT ended AND id IN (
		SELECT family FROM gatehouse_tokens WHERE family IS NOT NULL AND `+which+`) RETURNING id`, args...)
	if err != nil {
		return nil, err
	}
	for some := range slices.Chunk(ended, chunk) {
		_, err := exec(ctx, tx, `DELETE FROM gatehouse_tokens WHERE family IN (`+placeholders(1, len(some))+`)`, appendBytes(nil, some)...)
		if err != nil {
			return nil, err
		}
	}
	_, err = exec(ctx, tx, `DELETE FROM gatehouse_tokens WHERE family IS NULL AND `+which, args...)
	slices.Sort(ended)
	return ended, err
}

// Prune implements [token.Store]. What is left of families is removed in batches of limit too, until there is no more.
func (s *Tokens) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	if limit <= 0 {
		return 0, nil
	}
	n, err := s.prune(ctx, `DELETE FROM gatehouse_tokens WHERE expires < $1 AND key IN (
		SELECT key FROM gatehouse_tokens WHERE expires < $1 ORDER BY expires LIMIT $2)`, before, limit)
	// Not in the same transaction: it would have tokens locked and wait for a family, and others do it the other way round.
	for families := limit; err == nil && families == limit; {
		families, err = s.prune(ctx, `DELETE FROM gatehouse_families WHERE expires < $1 AND id IN (
			SELECT id FROM (SELECT id FROM gatehouse_families WHERE expires < $1 ORDER BY expires LIMIT $2) due
			WHERE NOT EXISTS (SELECT 1 FROM gatehouse_tokens WHERE family = due.id))`, before, limit)
	}
	return n, err
}

func (s *Tokens) prune(ctx context.Context, statement string, before time.Time, limit int) (n int, err error) {
	err = s.db.single(ctx, "overdue tokens could not be removed", s.db.Write, func(ctx context.Context, db querier) (err error) {
		n, err = exec(ctx, db, statement, before.UnixMilli(), int64(limit))
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}
