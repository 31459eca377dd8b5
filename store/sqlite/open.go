package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/gatehouse-auth/gatehouse/store/internal/sqldb"
)

// DefaultBusyTimeout is how long a write waits for another process unless [BusyTimeout] says otherwise.
const DefaultBusyTimeout = 5 * time.Second

// inMemory is the name of a database without a file.
const inMemory = ":memory:"

// A DB is an open database. It is safe for concurrent use. Make one with [Open].
type DB struct {
	write, read *sql.DB
	watch       *sql.DB // for those who listen; nil if nobody else can write
	shared      *sqldb.DB
	rings       rings
	long        sqldb.Long
}

type config struct {
	name    string
	busy    time.Duration
	readers int
}

// An Option changes how [Open] opens a database.
type Option func(*config)

// BusyTimeout sets how long a write waits while another process writes, before it fails; a call whose context ends earlier fails then. Without the
// option it is [DefaultBusyTimeout]. Writers in this process queue up and are not counted.
func BusyTimeout(d time.Duration) Option { return func(c *config) { c.busy = d } }

// Readers sets how many calls can read at once; more wait. Without the option it is the number of processors, and at least 4. There is always one
// writer: SQLite has one at a time.
func Readers(n int) Option { return func(c *config) { c.readers = n } }

// Open opens the database in the file called name, and makes the file, readable by nobody else, and its folder where there is none. It brings the
// tables up to date; several processes may do so at once. The name ":memory:" stands for an empty database that nobody else sees and that ends with
// Close.
//
// It refuses, and leaves as it is, a file that is no database, one that is damaged as far as can be seen in two seconds, one that cannot be
// written, and one that a newer version of Gatehouse has worked with. The error says what to do.
func Open(ctx context.Context, name string, options ...Option) (*DB, error) {
	c := config{name: name, busy: DefaultBusyTimeout, readers: max(4, runtime.GOMAXPROCS(0))}
	for _, set := range options {
		set(&c)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	if name != inMemory {
		if err := makeFile(name); err != nil {
			return nil, fmt.Errorf("sqlite: %w", err)
		}
	}
	db, err := c.pools()
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	if err := db.begin(ctx, c); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// check refuses what would be understood differently from how it was meant.
func (c config) check() error {
	switch {
	case c.name == "":
		return errors.New("the file has no name")
	case strings.HasPrefix(c.name, "file:"), strings.HasPrefix(c.name, "sqlite:"):
		return fmt.Errorf("%q is an address: give the name of the file alone", c.name)
	case strings.ContainsRune(c.name, 0):
		return fmt.Errorf("%q has a zero byte in it", c.name)
	case c.busy < 0:
		return fmt.Errorf("the busy timeout is %v: it cannot be negative", c.busy)
	case c.readers < 1:
		return fmt.Errorf("%d readers: there must be one", c.readers)
	}
	return nil
}

// pools returns the database with one connection to write and several to read. In memory each connection would have a database of its own, so there
// is one for both, and it is never closed.
func (c config) pools() (*DB, error) {
	write, err := c.pool(writer, 1)
	if err != nil {
		return nil, err
	}
	db := &DB{write: write, read: write}
	if c.name != inMemory {
		if db.read, err = c.pool(reader, c.readers); err != nil {
			return nil, err
		}
		if db.watch, err = c.pool(reader, 0); err != nil { // as many as listen
			return nil, err
		}
	}
	db.shared = &sqldb.DB{Name: "sqlite", Write: write, Read: db.read, Dialect: goose.DialectSQLite3, Explain: c.explain}
	return db, nil
}

func (c config) pool(use use, size int) (*sql.DB, error) {
	connector, err := c.connector(use)
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	return pool, nil
}

// begin finds out whether the database can be used, and brings its tables up to date.
func (db *DB) begin(ctx context.Context, c config) error {
	if err := db.write.PingContext(ctx); err != nil {
		return fmt.Errorf("sqlite: %w", c.explain(err))
	}
	if err := db.sound(ctx); err != nil {
		return fmt.Errorf("sqlite: %w", c.explain(err))
	}
	return db.shared.Migrate(ctx, sqldb.Schema())
}

// soundFor is how long Open looks for damage. It sees a file of some hundred megabytes in that time; damage in the rest of a larger one is found by
// whoever reads it.
const soundFor = 2 * time.Second

// sound looks for damage.
func (db *DB) sound(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, soundFor)
	defer cancel()
	var found string
	err := db.write.QueryRowContext(limited, "PRAGMA quick_check(1)").Scan(&found)
	switch {
	case err != nil && limited.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case found != "ok":
		return fmt.Errorf("%w: %s", errDamaged, found)
	}
	return nil
}

// SQL returns the pool with the one connection that writes, for a program's own tables beside those of Gatehouse, whose names begin with
// gatehouse_. Parameters are $1, $2 and so on. Transactions are immediate: they have the write lock from their beginning. As long as one is open,
// nothing else is written through db, so it must not wait for a call to [Sessions] of the same db, and reads belong into [DB.ReadOnly]. The pool is
// closed by Close.
func (db *DB) SQL() *sql.DB { return db.write }

// ReadOnly returns the pool of the connections that only read. They see what has been committed. For a database in memory it is the pool of SQL.
func (db *DB) ReadOnly() *sql.DB { return db.read }

// Close ends the connections, after the calls that are under way, and those who listen. It may be called twice.
func (db *DB) Close() error {
	db.long.Close()
	err := db.read.Close()
	if db.watch != nil {
		err = errors.Join(err, db.watch.Close())
	}
	return errors.Join(err, db.write.Close())
}
