package postgres_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pressly/goose/v3"

	"github.com/gatehouse-auth/gatehouse/store/internal/sqldb"
	"github.com/gatehouse-auth/gatehouse/store/postgres"
)

// roles are what the test binary does as a second process, with the database at target.
var roles = map[string]func(target string) error{"migrate": migrateHalf, "open": openAndClose, "revoke": revokeWhenTold}

const roleVariable, targetVariable = "GATEHOUSE_POSTGRES_TEST_ROLE", "GATEHOUSE_POSTGRES_TEST_TARGET"

// start starts a second process, which ends with the test.
func start(t *testing.T, role string, target *url.URL) *exec.Cmd {
	t.Helper()
	c := process(t, role, target)
	c.Stdout = os.Stderr
	run(t, c)
	return c
}

// process returns the test binary as a second process.
func process(t *testing.T, role string, target *url.URL) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(context.WithoutCancel(t.Context()), program)
	c.Env = append(os.Environ(), roleVariable+"="+role, targetVariable+"="+target.String())
	c.Stderr = os.Stderr
	return c
}

func run(t *testing.T, c *exec.Cmd) {
	t.Helper()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
}

// A talker is a second process that is given orders and answers.
type talker struct {
	orders io.Writer
	lines  *bufio.Scanner
}

func startTalking(t *testing.T, role string, target *url.URL) talker {
	t.Helper()
	c := process(t, role, target)
	in, errIn := c.StdinPipe()
	out, errOut := c.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		t.Fatal(err)
	}
	run(t, c)
	return talker{in, bufio.NewScanner(out)}
}

// order gives the process a line.
func (p talker) order(t *testing.T, what string) {
	t.Helper()
	if _, err := fmt.Fprintln(p.orders, what); err != nil {
		t.Fatal(err)
	}
}

// says ends the test if the next line is not want.
func (p talker) says(t *testing.T, want string) {
	t.Helper()
	if !p.lines.Scan() || p.lines.Text() != want {
		t.Fatalf("the other process says %q, want %q", p.lines.Text(), want)
	}
}

// migrateHalf migrates, and takes its time in the middle of the last migration.
func migrateHalf(target string) error {
	pool, err := sql.Open("pgx", target)
	if err != nil {
		return err
	}
	db := &sqldb.DB{Name: "test", Write: pool, Read: pool, Dialect: goose.DialectPostgres, Lock: `SELECT pg_advisory_xact_lock($1)`}
	files, err := andHalf("CREATE TABLE half (n BIGINT);\nINSERT INTO half SELECT 1 FROM pg_sleep(1.5);")
	if err != nil {
		return err
	}
	return db.Migrate(context.Background(), files)
}

// andHalf returns the migrations, and one more with these statements.
func andHalf(statements string) (fs.FS, error) {
	names, err := fs.Glob(sqldb.Schema(), "*")
	if err != nil {
		return nil, err
	}
	files := fstest.MapFS{fmt.Sprintf("%05d_half.sql", len(names)+1): {Data: []byte("-- +goose Up\n" + statements + "\n")}}
	for _, name := range names {
		data, err := fs.ReadFile(sqldb.Schema(), name)
		if err != nil {
			return nil, err
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	return files, nil
}

// TestKillInMigration: a migration that was killed has not happened; the next start waits until the server has noticed, and does it.
func TestKillInMigration(t *testing.T) {
	for _, existed := range []bool{false, true} {
		u, name := named(schema(t))
		admin := pool(t, base(t))
		if existed {
			stored(t, postgres.Sessions(open(t, u)), "anna", 2)
		}
		c := start(t, "migrate", u)
		eventually(t, "the last migration runs", func() bool {
			return number(t, admin, `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event = 'PgSleep'`, name) == 1
		})
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		db := open(t, u)
		migratedOnce(t, u)
		tables := number(t, admin, `SELECT count(*) FROM pg_tables WHERE schemaname = $1 AND tablename = 'half'`, u.Query().Get("search_path"))
		if tables != 0 {
			t.Errorf("there are %d tables of the migration that was killed, want none", tables)
		}
		if got, want := len(ids(t, postgres.Sessions(db), "anna")), map[bool]int{true: 2}[existed]; got != want {
			t.Errorf("List(anna) has %d, want %d", got, want)
		}
	}
}

func openAndClose(target string) error {
	db, err := postgres.Open(context.Background(), target)
	if err != nil {
		return err
	}
	return db.Close()
}

// TestProcessesOpenAtOnce: processes that start together with a new database all succeed.
func TestProcessesOpenAtOnce(t *testing.T) {
	u := schema(t)
	var all []*exec.Cmd
	for range 4 {
		all = append(all, start(t, "open", u))
	}
	for _, c := range all {
		if err := c.Wait(); err != nil {
			t.Errorf("the other process ends with %v, want nil", err)
		}
	}
	migratedOnce(t, u)
}

// bouncerScript runs PgBouncer until its standard input ends.
const bouncerScript = `"$PROGRAM" "$DIR/pgbouncer.ini" & pid=$!; trap 'exit 1' HUP INT TERM; trap 'kill $pid; wait $pid' EXIT; read -r _ || true`

// bouncer starts a PgBouncer in transaction mode in front of the server, with a database of its own behind three connections, and returns the url
// of the database through it and past it.
func bouncer(t *testing.T) (through, past *url.URL) {
	t.Helper()
	server := needServer(t)
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // where Debian has it, and ordinary users have no path to
	}
	if _, err := exec.LookPath(program); err != nil {
		t.Skip("pgbouncer is not installed")
	}
	past = server.url()
	past.Path = "/behind_bouncer"
	admin := pool(t, server.url())
	must(t, admin, `CREATE DATABASE behind_bouncer`)
	t.Cleanup(func() {
		if _, err := admin.ExecContext(context.WithoutCancel(t.Context()), `DROP DATABASE behind_bouncer WITH (FORCE)`); err != nil {
			t.Errorf("DROP DATABASE = %v", err)
		}
	})
	port := freePort()
	runBouncer(t, program, fmt.Sprintf(`[databases]
behind_bouncer = host=127.0.0.1 port=%d dbname=behind_bouncer user=gatehouse password=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 500
server_check_delay = 0
`, server.port, server.secret, port))
	through = &url.URL{Scheme: "postgres", User: url.User("gatehouse"), Host: "127.0.0.1:" + strconv.Itoa(port), Path: past.Path, RawQuery: "sslmode=disable"}
	eventually(t, "pgbouncer listens", func() bool {
		conn, err := net.Dial("tcp", through.Host)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return through, past
}

func runBouncer(t *testing.T, program, config string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "gatehouse-pgbouncer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.WriteFile(filepath.Join(dir, "pgbouncer.ini"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"sh", "-c", bouncerScript}
	if os.Geteuid() == 0 {
		if err := giveTo("postgres", dir); err != nil {
			t.Fatal(err)
		}
		args = append([]string{"runuser", "-u", "postgres", "--"}, args...)
	}
	c := exec.CommandContext(context.WithoutCancel(t.Context()), args[0], args[1:]...)
	c.Env = append(os.Environ(), "PROGRAM="+program, "DIR="+dir)
	logs, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	errs := make(chan string)
	go func() {
		var text strings.Builder
		for lines := bufio.NewScanner(logs); lines.Scan(); {
			if strings.Contains(lines.Text(), "ERROR") || strings.Contains(lines.Text(), "FATAL") {
				text.WriteString(lines.Text() + "\n")
			}
		}
		errs <- text.String()
	}()
	t.Cleanup(func() {
		_ = in.Close()
		if text := <-errs; t.Failed() && text != "" {
			t.Logf("pgbouncer says:\n%s", text)
		}
		_ = c.Wait()
	})
}

// TestBehindPgBouncer: each transaction may get another connection, and what a client leaves on one meets another client.
func TestBehindPgBouncer(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole suite once more: not with -short")
	}
	through, past := bouncer(t)
	admin := pool(t, past)
	suite(t, func(t *testing.T) *url.URL {
		must(t, admin, `DROP SCHEMA public CASCADE`)
		must(t, admin, `CREATE SCHEMA public`)
		return through
	})
	nothingIsLeft(t, admin)
}

// nothingIsLeft reports locks and transactions that are still there.
func nothingIsLeft(t *testing.T, admin *sql.DB) {
	t.Helper()
	if n := number(t, admin, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'`); n != 0 {
		t.Errorf("%d advisory locks are left on connections, want none", n)
	}
	if n := number(t, admin, `SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'`); n != 0 {
		t.Errorf("%d transactions are left open, want none", n)
	}
}

// TestOpenAtOnceBehindPgBouncer: the lock of the migrations belongs to a transaction, not to a connection.
func TestOpenAtOnceBehindPgBouncer(t *testing.T) {
	through, past := bouncer(t)
	done := make(chan error)
	for range 8 {
		go func() { done <- openAndClose(through.String()) }()
	}
	var errs error
	for range 8 {
		errs = errors.Join(errs, <-done)
	}
	if errs != nil {
		t.Errorf("Open = %v, want nil", errs)
	}
	migratedOnce(t, past)
}
