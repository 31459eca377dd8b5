package sqlpolicy_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
)

// A testDB is a database with empty tables, which counts what it is asked.
type testDB struct {
	*sql.DB
	kind    string // "sqlite" or "postgres"
	queries atomic.Int64
}

// asked returns how many queries f makes.
func (db *testDB) asked(f func()) int64 {
	before := db.queries.Load()
	f()
	return db.queries.Load() - before
}

// must runs statements that are part of the test's own set-up.
func (db *testDB) must(t testing.TB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// onEach runs test on SQLite, in memory and in a file, and on PostgreSQL.
func onEach(t *testing.T, test func(t *testing.T, db *testDB)) {
	t.Run("sqlite in memory", func(t *testing.T) { test(t, openSQLite(t, ":memory:")) })
	t.Run("sqlite file", func(t *testing.T) { test(t, openSQLite(t, filepath.Join(t.TempDir(), "users.db"))) })
	t.Run("postgres", func(t *testing.T) { test(t, openPostgres(t)) })
}

func openSQLite(t testing.TB, path string) *testDB {
	t.Helper()
	dsn := "file:" + path + "?_pragma=foreign_keys(1)&_pragma=busy_timeout(5000)&_pragma=journal_mode(wal)&_txlock=immediate"
	db := &testDB{kind: "sqlite"}
	db.DB = sql.OpenDB(counting{dsnConnector{&sqlite.Driver{}, dsn}, &db.queries})
	if path == ":memory:" {
		db.SetMaxOpenConns(1) // each connection would have a database of its own
	}
	t.Cleanup(func() { db.Close() })
	return db
}

type dsnConnector struct {
	driver driver.Driver
	dsn    string
}

func (c dsnConnector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c dsnConnector) Driver() driver.Driver                        { return c.driver }

var schemas atomic.Int64

// openPostgres returns a database whose tables are in a schema of their own. Where there is no server the test is skipped.
func openPostgres(t testing.TB) *testDB {
	t.Helper()
	config, err := pgx.ParseConfig(needPostgres(t))
	if err != nil {
		t.Fatalf("GATEHOUSE_TEST_POSTGRES: %v", err)
	}
	schema := fmt.Sprintf("sqlpolicy_%d_%d", os.Getpid(), schemas.Add(1))
	config.RuntimeParams["search_path"] = schema
	db := &testDB{kind: "postgres"}
	db.DB = sql.OpenDB(counting{stdlib.GetConnector(*config), &db.queries})
	db.must(t, `CREATE SCHEMA `+schema)
	t.Cleanup(func() {
		if _, err := db.Exec(`DROP SCHEMA ` + schema + ` CASCADE`); err != nil {
			t.Errorf("DROP SCHEMA: %v", err)
		}
		db.Close()
	})
	return db
}

// A counting connector counts the queries of its connections.
type counting struct {
	driver.Connector
	queries *atomic.Int64
}

func (c counting) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &countedConn{conn, c.queries}, nil
}

// A countedConn passes on everything that the drivers of the tests can do.
type countedConn struct {
	driver.Conn
	queries *atomic.Int64
}

func (c *countedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.queries.Add(1)
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c *countedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.queries.Add(1)
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c *countedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.queries.Add(1)
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
}

func (c *countedConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
}

func (c *countedConn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c *countedConn) ResetSession(ctx context.Context) error {
	if resetter, ok := c.Conn.(driver.SessionResetter); ok {
		return resetter.ResetSession(ctx)
	}
	return nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	stopPostgres()
	os.Exit(code)
}

var errNoServer = errors.New("PostgreSQL is not installed (apt-get install postgresql) and GATEHOUSE_TEST_POSTGRES names no server")

// postgres starts the server at the first call; stopPostgres, at the end, must know how to end it.
var (
	postgres     = sync.OnceValues(startPostgres)
	stopPostgres = func() {}
)

// needPostgres returns the URL of a server: that of GATEHOUSE_TEST_POSTGRES, or one that runs for this test only.
func needPostgres(t testing.TB) string {
	t.Helper()
	if url := os.Getenv("GATEHOUSE_TEST_POSTGRES"); url != "" {
		return url
	}
	url, err := postgres()
	if errors.Is(err, errNoServer) && os.Getenv("GATEHOUSE_TEST_SERVERS") != "1" {
		t.Skipf("skipped: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return url
}

func startPostgres() (url string, err error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		return "", errNoServer
	}
	bin := filepath.Dir(found[len(found)-1])
	dir, err := os.MkdirTemp("", "sqlpolicy")
	if err != nil {
		return "", err
	}
	stopPostgres = func() { os.RemoveAll(dir) }
	if err := giveToPostgres(dir); err != nil {
		return "", err
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	data, log := filepath.Join(dir, "data"), filepath.Join(dir, "log")
	if err := asPostgres(filepath.Join(bin, "initdb"), "-D", data, "-U", "app", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"); err != nil {
		return "", err
	}
	options := fmt.Sprintf("-p %d -h 127.0.0.1 -k %s -c fsync=off", port, dir)
	if err := asPostgres(filepath.Join(bin, "pg_ctl"), "-D", data, "-l", log, "-w", "-o", options, "start"); err != nil {
		return "", err
	}
	stopPostgres = func() {
		if err := asPostgres(filepath.Join(bin, "pg_ctl"), "-D", data, "-m", "immediate", "stop"); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.RemoveAll(dir)
	}
	return fmt.Sprintf("postgres://app@127.0.0.1:%d/postgres?sslmode=disable", port), nil
}

// giveToPostgres makes dir the server's: it refuses to run as root.
func giveToPostgres(dir string) error {
	if os.Getuid() != 0 {
		return nil
	}
	owner, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err != nil {
		return err
	}
	return os.Chown(dir, uid, -1)
}

// asPostgres runs a command of the server. What it writes goes to a file and not to a pipe, which the server would inherit and hold open.
func asPostgres(command ...string) error {
	if os.Getuid() == 0 {
		command = append([]string{"runuser", "-u", "postgres", "--"}, command...)
	}
	out, err := os.CreateTemp("", "sqlpolicy")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	c := exec.Command(command[0], command[1:]...)
	c.Dir, c.Stdout, c.Stderr = "/", out, out
	if err := c.Run(); err != nil {
		text, _ := os.ReadFile(out.Name())
		return fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, bytes.TrimSpace(text))
	}
	return nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
