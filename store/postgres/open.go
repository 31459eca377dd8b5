package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/gatehouse-auth/gatehouse/store/internal/sqldb"
)

// The defaults of the options.
const (
	DefaultMaxConns = 16
	DefaultTimeout  = 10 * time.Second
)

// How long a connection is kept that nobody uses, and at most. The second lets a change of address or of the server's certificate reach everybody.
const (
	maxIdleTime = 5 * time.Minute
	maxLifetime = 30 * time.Minute
)

// A DB is a pool of connections to a database. It is safe for concurrent use. Make one with [Open].
type DB struct {
	pool    *sql.DB
	shared  *sqldb.DB
	server  *pgx.ConnConfig // for those who listen
	timeout time.Duration
	silence time.Duration
	long    sqldb.Long
}

type config struct {
	maxConns int
	timeout  time.Duration
}

// An Option changes how [Open] opens a database.
type Option func(*config)

// MaxConns sets how many connections there are at most; calls that need one more wait. Without the option it is [DefaultMaxConns]. All processes
// together must stay below the server's max_connections.
func MaxConns(n int) Option { return func(c *config) { c.maxConns = n } }

// Timeout bounds every call, with what it waits for: a connection, a lock, an answer. The end of the call's context bounds it as well. Without the
// option it is [DefaultTimeout].
func Timeout(d time.Duration) Option { return func(c *config) { c.timeout = d } }

// Open connects to the database at url and brings its tables up to date; several processes may do so at once. The url has the form
// postgres://user:password@host:port/database?sslmode=verify-full with the parameters of PostgreSQL's own programs, whose environment variables
// (PGPASSWORD, PGSSLROOTCERT and so on) and password file count as well.
//
// The sslmode must be verify-full, verify-ca or require, unless the host is this machine; disable, in so many words, is for a network that nobody
// else can read. Without one, and with prefer or allow, whoever is between here and the server could choose plain text for both: this is refused.
//
// The error wraps what went wrong, and never contains the password or the url. Open fails if the server cannot be reached.
func Open(ctx context.Context, url string, options ...Option) (*DB, error) {
	c := config{maxConns: DefaultMaxConns, timeout: DefaultTimeout}
	for _, set := range options {
		set(&c)
	}
	if c.maxConns < 1 || c.timeout <= 0 {
		return nil, fmt.Errorf("postgres: %d connections and a timeout of %v: both must be more than zero", c.maxConns, c.timeout)
	}
	server, err := parse(url)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	db := c.open(server)
	if err := db.begin(ctx, c); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// open returns the database of a server. It does not connect yet.
//
// Statements are sent unnamed, text, parameters and execution in one message. A pooler in transaction mode may hand each transaction another
// connection, on which a statement that was prepared under a name is missing, or is another one. The two modes that describe a statement first take
// two messages that can go to different connections; the simple protocol would have the client quote the parameters into the text (as in
// CVE-2024-27289).
func (c config) open(server *pgx.ConnConfig) *DB {
	server.DefaultQueryExecMode = pgx.QueryExecModeExec
	server.StatementCacheCapacity, server.DescriptionCacheCapacity = 0, 0
	pool := stdlib.OpenDB(*server)
	pool.SetMaxOpenConns(c.maxConns)
	pool.SetMaxIdleConns(c.maxConns)
	pool.SetConnMaxIdleTime(maxIdleTime)
	pool.SetConnMaxLifetime(maxLifetime)
	return &DB{pool: pool, server: server, timeout: c.timeout, silence: defaultSilence, shared: &sqldb.DB{
		Name: "postgres", Write: pool, Read: pool, Dialect: goose.DialectPostgres, Timeout: c.timeout, Again: again,
		Lock: `SELECT pg_advisory_xact_lock($1)`, LockShared: `SELECT pg_advisory_xact_lock_shared($1)`, Ring: ringing,
	}}
}

// begin connects, and brings the tables up to date. That may take long where there is much in them: only ctx bounds it.
func (db *DB) begin(ctx context.Context, c config) error {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := db.pool.PingContext(limited); err != nil {
		return fmt.Errorf("postgres: the server cannot be used: %w", err)
	}
	return db.shared.Migrate(ctx, sqldb.Schema())
}

// again reports whether nothing was done, and trying once more may help: the server has given up a transaction in favour of another (a serialization
// failure, a deadlock), or the connection was gone before anything was sent. The pool tries that by itself, but where many calls are cancelled it
// can be given one dead connection after the other.
func again(err error) bool {
	var fault *pgconn.PgError
	if errors.As(err, &fault) {
		return fault.Code == "40001" || fault.Code == "40P01"
	}
	return errors.Is(err, driver.ErrBadConn)
}

// SQL returns the pool of connections, for a program's own tables beside those of Gatehouse, whose names begin with gatehouse_. It is closed by
// Close.
func (db *DB) SQL() *sql.DB { return db.pool }

// Close ends the connections, after the calls that are under way, and those who listen. It may be called twice.
func (db *DB) Close() error {
	db.long.Close()
	return db.pool.Close()
}
