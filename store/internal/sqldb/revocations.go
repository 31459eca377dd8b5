package sqldb

import (
	"cmp"
	"context"
	"database/sql"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// Revocations is a [revoke.Store] in the tables gatehouse_feed and gatehouse_revocations. It is safe for concurrent use. Make one with [NewRevocations].
type Revocations struct{ db *DB }

var _ revoke.Store = (*Revocations)(nil)

// NewRevocations returns the feed of revocations in db, which must have been migrated.
func NewRevocations(db *DB) *Revocations { return &Revocations{db} }

// Add implements [revoke.Store]. Without entries it changes nothing, and returns the last Seq.
func (s *Revocations) Add(ctx context.Context, entries ...revoke.Entry) (int64, error) {
	const what = "the revocation could not be stored"
	var last int64
	var err error
	if len(entries) == 0 {
		err = s.db.single(ctx, what, s.db.Read, func(ctx context.Context, db querier) error {
			return db.QueryRowContext(ctx, `SELECT last FROM gatehouse_feed`).Scan(&last)
		})
	} else {
		err = s.db.several(ctx, what, func(ctx context.Context, tx *sql.Tx) (err error) {
			last, err = appendEntries(ctx, tx, entries, cmp.Or(s.db.Ring, "NULL"))
			return err
		})
	}
	if err != nil {
		return 0, err
	}
	return last, nil
}

// appendEntries counts the feed up and has it for itself until the transaction ends: what is added by others later has a higher Seq and is seen later.
func appendEntries(ctx context.Context, tx *sql.Tx, entries []revoke.Entry, ring string) (last int64, err error) {
	row := tx.QueryRowContext(ctx, `UPDATE gatehouse_feed SET last = last + $1 RETURNING last, `+ring, int64(len(entries)))
	if err := row.Scan(&last, new(any)); err != nil {
		return 0, err
	}
	rows := make([][]any, len(entries))
	for i, e := range entries {
		seq := last - int64(len(entries)-1-i)
		rows[i] = []any{seq, []byte(e.Kind), []byte(e.ID), e.Before.UnixMilli(), e.Expires.UnixMilli()}
	}
	return last, insertRows(ctx, tx, `gatehouse_revocations (seq, kind, id, before, expires)`, rows)
}

// Since implements [revoke.Source].
func (s *Revocations) Since(ctx context.Context, after int64, limit int) (revoke.Page, error) {
	var page revoke.Page
	err := s.db.single(ctx, "the revocations could not be read", s.db.Read, func(ctx context.Context, db querier) (err error) {
		page, err = pageAfter(ctx, db, after, max(0, limit))
		return err
	})
	if err != nil {
		return revoke.Page{}, err
	}
	return page, nil
}

// pageAfter reads entries and the feed's last Seq in one statement, so that they belong together. A page without entries is a row without one.
func pageAfter(ctx context.Context, db querier, after int64, limit int) (revoke.Page, error) {
	rows, err := db.QueryContext(ctx, `SELECT f.last, r.seq, r.kind, r.id, r.before, r.expires FROM gatehouse_feed f LEFT JOIN (
		SELECT seq, kind, id, before, expires FROM gatehouse_revocations WHERE seq > $1 ORDER BY seq LIMIT $2) r ON TRUE ORDER BY r.seq`, after, int64(limit))
	if err != nil {
		return revoke.Page{}, err
	}
	defer rows.Close()
	var page revoke.Page
	for rows.Next() {
		var seq, before, expires sql.NullInt64
		var kind, id []byte
		if err := rows.Scan(&page.Last, &seq, &kind, &id, &before, &expires); err != nil {
			return revoke.Page{}, err
		}
		if seq.Valid {
			page.Entries = append(page.Entries, revoke.Entry{
				Seq: seq.Int64, Kind: revoke.Kind(kind), ID: string(id), Before: timeOf(before.Int64), Expires: timeOf(expires.Int64),
			})
		}
	}
	return page, rows.Err()
}

// Prune implements [revoke.Store].
func (s *Revocations) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	if limit <= 0 {
		return 0, nil
	}
	var n int
	err := s.db.single(ctx, "expired revocations could not be removed", s.db.Write, func(ctx context.Context, db querier) (err error) {
		n, err = exec(ctx, db, `DELETE FROM gatehouse_revocations WHERE seq IN (
			SELECT seq FROM gatehouse_revocations WHERE expires < $1 ORDER BY expires LIMIT $2)`, before.UnixMilli(), int64(limit))
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}
