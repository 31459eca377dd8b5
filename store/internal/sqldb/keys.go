package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

// Keys is a [keyring.Store] in the tables gatehouse_rings and gatehouse_keys. It is safe for concurrent use. Make one with [NewKeys].
type Keys struct{ db *DB }

var _ keyring.Store = (*Keys)(nil)

// NewKeys returns the key rings in db, which must have been migrated.
func NewKeys(db *DB) *Keys { return &Keys{db} }

// Load implements [keyring.Store].
func (s *Keys) Load(ctx context.Context, ring string) (keys []keyring.Record, version int64, err error) {
	err = s.db.single(ctx, "the keys could not be read", s.db.Read, func(ctx context.Context, db querier) (err error) {
		keys, version, err = loadRing(ctx, db, ring)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return keys, version, nil
}

// loadRing reads a ring's version and keys in one statement, so that they belong together. A ring without keys is a row without a key.
func loadRing(ctx context.Context, db querier, ring string) (keys []keyring.Record, version int64, err error) {
	rows, err := db.QueryContext(ctx, `SELECT r.version, k.id, k.algorithm, k.created, k.active, k.gone, k.lifetime, k.material
		FROM gatehouse_rings r LEFT JOIN gatehouse_keys k ON k.ring = r.name WHERE r.name = $1 ORDER BY k.place`, []byte(ring))
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var id, algorithm, material []byte
		var created, active, gone, lifetime sql.NullInt64
		if err := rows.Scan(&version, &id, &algorithm, &created, &active, &gone, &lifetime, &material); err != nil {
			return nil, 0, err
		}
		if !lifetime.Valid {
			continue
		}
		keys = append(keys, keyring.Record{
			ID: string(id), Algorithm: keyring.Algorithm(algorithm), Created: timeOf(created.Int64), Active: timeOf(active.Int64), Gone: timeOf(gone.Int64),
			Lifetime: time.Duration(lifetime.Int64), Material: material,
		})
	}
	return keys, version, rows.Err()
}

// timeOf returns the time of so many milliseconds. The one that stands for none is zero in every respect.
func timeOf(ms int64) time.Time {
	if t := time.UnixMilli(ms); !t.IsZero() {
		return t
	}
	return time.Time{}
}

// Save implements [keyring.Store].
func (s *Keys) Save(ctx context.Context, ring string, version int64, keys []keyring.Record) error {
	return s.db.several(ctx, "the keys could not be saved", func(ctx context.Context, tx *sql.Tx) error {
		if err := distinct(keys); err != nil {
			return err
		}
		if err := claimRing(ctx, tx, ring, version); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, `DELETE FROM gatehouse_keys WHERE ring = $1`, []byte(ring)); err != nil {
			return err
		}
		rows := make([][]any, len(keys))
		for i, k := range keys {
			rows[i] = []any{[]byte(ring), int64(i), []byte(k.ID), []byte(k.Algorithm), k.Created.UnixMilli(), k.Active.UnixMilli(), k.Gone.UnixMilli(),
				int64(k.Lifetime), notNull(k.Material)}
		}
		return insertRows(ctx, tx, `gatehouse_keys (ring, place, id, algorithm, created, active, gone, lifetime, material)`, rows)
	})
}

// claimRing counts the ring's version up, and has it for itself until the transaction ends: whoever comes at the same time waits, and finds another version.
func claimRing(ctx context.Context, tx *sql.Tx, ring string, version int64) error {
	statement := `UPDATE gatehouse_rings SET version = version + 1 WHERE name = $1 AND version = $2`
	if version == 0 {
		statement = `INSERT INTO gatehouse_rings VALUES ($1, $2 + 1) ON CONFLICT DO NOTHING`
	}
	n, err := exec(ctx, tx, statement, []byte(ring), version)
	if err == nil && n == 0 {
		return keyring.ErrConflict
	}
	return err
}

// distinct refuses what the table would refuse, in words that help.
func distinct(keys []keyring.Record) error {
	seen := map[string]bool{}
	for _, key := range keys {
		if seen[key.ID] {
			return fmt.Errorf("two keys of the ring have the id %.64q: give each its own", key.ID)
		}
		seen[key.ID] = true
	}
	return nil
}

// Rings implements [keyring.Store].
func (s *Keys) Rings(ctx context.Context) ([]string, error) {
	var names []string
	err := s.db.single(ctx, "the key rings could not be listed", s.db.Read, func(ctx context.Context, db querier) (err error) {
		names, err = texts(ctx, db, `SELECT name FROM gatehouse_rings ORDER BY name`)
		return err
	})
	if err != nil {
		return nil, err
	}
	return names, nil
}

// texts runs a statement that returns one column of bytes.
func texts(ctx context.Context, db querier, statement string, args ...any) (all []string, err error) {
	rows, err := db.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text []byte
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		all = append(all, string(text))
	}
	return all, rows.Err()
}
