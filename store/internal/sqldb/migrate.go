package sqldb

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var embedded embed.FS

// Schema returns the migrations of this version of Gatehouse: files NNNNN_what.sql, applied in the order of their numbers.
func Schema() fs.FS {
	sub, err := fs.Sub(embedded, "migrations")
	if err != nil {
		panic("sqldb: " + err.Error()) // the path above is no path
	}
	return sub
}

// ErrNewer: the database was made, or brought up to date, by a newer version of Gatehouse.
var ErrNewer = errors.New("the database is newer than this program")

// versionTable is where the numbers of the applied migrations are. It is not goose's default: the program may have migrations of its own.
const versionTable = "gatehouse_migrations"

// Migrate brings the schema up to date: it applies those of files that have not been applied. All of it is one transaction, and there is one at
// a time: others wait, and then have nothing to do. Where there is nothing to do from the start, nothing is locked. The error wraps ErrNewer if the
// database has migrations that are later than all of files.
func (db *DB) Migrate(ctx context.Context, files fs.FS) error {
	if db.current(ctx, files) {
		return nil
	}
	if err := db.migrate(ctx, files); err != nil {
		return db.fault(ctx, "the tables could not be brought up to date", err)
	}
	return nil
}

// current reports whether all of files have been applied. If that cannot be found out, it is not so: then there is no table of them yet, or
// whoever tries to change it meets the error.
func (db *DB) current(ctx context.Context, files fs.FS) bool {
	provider, err := newProvider(db.Dialect, db.Read, files)
	if err != nil {
		return false
	}
	sources := provider.ListSources() // in the order of their numbers, and never empty
	var is int64
	err = db.Read.QueryRowContext(ctx, `SELECT max(version_id) FROM `+versionTable).Scan(&is)
	return err == nil && is == sources[len(sources)-1].Version
}

func newProvider(dialect goose.Dialect, pool *sql.DB, files fs.FS) (*goose.Provider, error) {
	return goose.NewProvider(dialect, pool, files, goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true))
}

func (db *DB) migrate(ctx context.Context, files fs.FS) error {
	conn, err := db.Write.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	tx, err := conn.BeginTx(ctx, readCommitted)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := take(ctx, tx, db.Lock, "migrations"); err != nil {
		return err
	}
	if err := within(conn, func(inner *sql.DB) error { return up(ctx, db.Dialect, inner, files) }); err != nil {
		return err
	}
	return tx.Commit()
}

// up applies the migrations through inner.
func up(ctx context.Context, dialect goose.Dialect, inner *sql.DB, files fs.FS) error {
	provider, err := newProvider(dialect, inner, files)
	if err != nil {
		return err
	}
	is, known, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if is > known {
		return fmt.Errorf("%w: its tables have version %d, and %d is the last one known here. Start the version of Gatehouse that has been used with it, "+
			"or restore a backup from before the update", ErrNewer, is, known)
	}
	_, err = provider.Up(ctx)
	return err
}
