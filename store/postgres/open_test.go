package postgres_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/postgres"
)

func TestOpenRefusesOptions(t *testing.T) {
	for what, option := range map[string]postgres.Option{
		"MaxConns(0)": postgres.MaxConns(0), "MaxConns(-1)": postgres.MaxConns(-1), "Timeout(0)": postgres.Timeout(0), "Timeout(-1)": postgres.Timeout(-1),
	} {
		_, err := postgres.Open(t.Context(), "postgres://127.0.0.1/none", option)
		mustSay(t, "Open with "+what, err, "postgres: ", "more than zero")
	}
}

// shown returns err as people and programs show errors.
func shown(err error) string {
	var logs bytes.Buffer
	slog.New(slog.NewJSONHandler(&logs, nil)).Error("failed", "err", err)
	slog.New(slog.NewTextHandler(&logs, nil)).Error("failed", "err", err)
	text := fmt.Sprintf("%v %+v %#v %q %s", err, err, err, err, &logs)
	for ; err != nil; err = errors.Unwrap(err) {
		text += fmt.Sprintf("\n%v %+v %#v", err, err, err)
	}
	return text
}

// TestPasswordIsNotShown: whatever goes wrong, the password stays out of it.
func TestPasswordIsNotShown(t *testing.T) {
	const secret = "S3cr-7et"
	right := needServer(t).url()
	wrong := *right
	wrong.User = url.UserPassword("gatehouse", secret)
	closed, database, user := wrong, *right, wrong
	closed.Host = "127.0.0.1:" + strconv.Itoa(freePort())
	database.Path = "/nosuchdatabase"
	user.User = url.UserPassword("nobody", secret)
	for what, test := range map[string]struct {
		url  *url.URL
		want string
	}{
		"wrong password":          {&wrong, "password authentication failed"},
		"unknown user":            {&user, "password authentication failed"},
		"unknown database":        {&database, "does not exist"},
		"nobody listens":          {&closed, "refused"},
		"unknown setting":         {with(right, "nosuchsetting", "1"), "unrecognized configuration parameter"},
		"certificate of nobody":   {with(right, "sslmode", "verify-full"), "certificate"},
		"a client certificate":    {with(&wrong, "sslmode", "require", "sslcert", "/nowhere", "sslkey", "/nowhere"), "no such file"},
		"a service of no file":    {with(&wrong, "service", "none", "servicefile", "/nowhere"), "cannot be read"},
		"plain text to elsewhere": {with(&url.URL{Scheme: "postgres", User: wrong.User, Host: "db.example.org", Path: "/d"}), "fall back"},
	} {
		_, err := postgres.Open(t.Context(), test.url.String())
		mustSay(t, "Open with "+what, err, "postgres: ", test.want)
		for _, hidden := range []string{secret, needServer(t).secret} {
			if strings.Contains(shown(err), hidden) {
				t.Errorf("Open with %s shows the password: %s", what, strings.ReplaceAll(shown(err), hidden, "<the password>"))
			}
		}
	}
}

// TestTLS: a certificate is checked where the url says so, and where it says TLS there is no way without.
func TestTLS(t *testing.T) {
	server := needServer(t)
	authority := filepath.Join(t.TempDir(), "authority.crt")
	text, err := os.ReadFile(filepath.Join(server.dir, "server.crt"))
	if err == nil {
		err = os.WriteFile(authority, text, 0o600)
	}
	if err != nil {
		t.Skipf("the server's certificate cannot be read: %v", err)
	}
	u := server.url()
	for mode, want := range map[string]bool{"disable": false, "prefer": true, "require": true, "verify-full": true} {
		u := with(u, "sslmode", mode)
		if mode == "verify-full" {
			u = with(u, "sslrootcert", authority)
		}
		db := open(t, u)
		secure := number(t, db.SQL(), `SELECT count(*) FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl`) == 1
		if secure != want {
			t.Errorf("with sslmode=%s the connection has TLS: %v, want %v", mode, secure, want)
		}
	}
	other := t.TempDir()
	if err := writeCertificate(other); err != nil {
		t.Fatal(err)
	}
	_, err = postgres.Open(t.Context(), with(u, "sslmode", "verify-full", "sslrootcert", filepath.Join(other, "server.crt")).String())
	mustSay(t, "Open with another authority", err, "certificate")
	named := with(u, "sslmode", "verify-full", "sslrootcert", authority)
	named.Host = "localhost:" + strconv.Itoa(server.port)
	_, err = postgres.Open(t.Context(), named.String())
	mustSay(t, "Open under another name", err, "certificate")
}

// TestNoTLS: to a server, or to somebody in between, that says there is no TLS nothing more is said.
func TestNoTLS(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	heard := make(chan []byte, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			heard <- nil
			return
		}
		defer conn.Close()
		request := make([]byte, 8) // SSLRequest
		_, _ = io.ReadFull(conn, request)
		_, _ = conn.Write([]byte("N"))
		rest, _ := io.ReadAll(conn)
		heard <- rest
	}()
	_, err = postgres.Open(t.Context(), "postgres://u:S3cr7et@"+listener.Addr().String()+"/d?sslmode=require")
	mustSay(t, "Open without TLS", err, "postgres: ", "TLS")
	if rest := <-heard; len(rest) != 0 {
		t.Errorf("the client went on with %q, want nothing", rest)
	}
}

// TestOpenAtOnce: those who open a new database at the same time all succeed, and the tables are made once.
func TestOpenAtOnce(t *testing.T) {
	for range 3 {
		u := schema(t)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				db, err := postgres.Open(t.Context(), u.String())
				if err != nil {
					t.Errorf("Open = %v, want nil", err)
					return
				}
				_ = db.Close()
			})
		}
		all.Wait()
		migratedOnce(t, u)
	}
}

// migrationLock is the number of the lock under which every version of Gatehouse changes the tables.
const migrationLock = 8708953229601950140

// TestOpenWaitsForTheLock: while somebody else changes the tables, nobody else begins to.
func TestOpenWaitsForTheLock(t *testing.T) {
	u, name := named(schema(t))
	admin := pool(t, u)
	other, err := admin.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Rollback()
	must(t, other, `SELECT pg_advisory_xact_lock($1)`, int64(migrationLock))
	opened := make(chan error)
	go func() { opened <- openAndClose(u.String()) }()
	waiting(t, admin, name, 1)
	if err := other.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Errorf("Open that waited = %v, want nil", err)
	}

	must(t, admin, `DELETE FROM gatehouse_migrations WHERE version_id > 0`) // there is something to do again
	if other, err = admin.BeginTx(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	defer other.Rollback()
	must(t, other, `SELECT pg_advisory_xact_lock($1)`, int64(migrationLock))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := postgres.Open(ctx, u.String())
		opened <- err
	}()
	waiting(t, admin, name, 1)
	cancel()
	if err := <-opened; !errors.Is(err, context.Canceled) {
		t.Errorf("Open that is cancelled while it waits = %v, want an error that wraps context.Canceled", err)
	}
}

// migratedOnce reports tables that were not made exactly once.
func migratedOnce(t *testing.T, u *url.URL) {
	t.Helper()
	admin := pool(t, u)
	rows := number(t, admin, `SELECT count(*) FROM gatehouse_migrations`)
	versions := number(t, admin, `SELECT count(DISTINCT version_id) FROM gatehouse_migrations`)
	if rows != versions || rows < 2 {
		t.Errorf("gatehouse_migrations has %d rows and %d versions, want one row for each", rows, versions)
	}
}

func TestNewerSchema(t *testing.T) {
	u := schema(t)
	db := open(t, u)
	stored(t, postgres.Sessions(db), "anna", 1)
	must(t, db.SQL(), `INSERT INTO gatehouse_migrations (version_id, is_applied) VALUES (99, true)`)
	_, err := postgres.Open(t.Context(), u.String())
	mustSay(t, "Open of a newer database", err, "postgres: ", "the database is newer than this program", "version 99", "Start the version", "backup")
	if got := ids(t, postgres.Sessions(db), "anna"); len(got) != 1 {
		t.Errorf("List(anna) = %q, want what was there", got)
	}
}

// TestForbiddenToMakeTables: the first error that people meet with a new database says what is missing.
func TestForbiddenToMakeTables(t *testing.T) {
	u := schema(t)
	admin := pool(t, u)
	name := "gatehouse_test_reader_" + strconv.FormatInt(time.Now().UnixNano(), 36)
	must(t, admin, `CREATE ROLE `+name+` LOGIN PASSWORD 'reader'`)
	t.Cleanup(func() {
		for _, statement := range []string{`DROP OWNED BY ` + name, `DROP ROLE ` + name} {
			if _, err := admin.ExecContext(context.WithoutCancel(t.Context()), statement); err != nil {
				t.Errorf("%s = %v", statement, err)
			}
		}
	})
	must(t, admin, `GRANT USAGE ON SCHEMA `+u.Query().Get("search_path")+` TO `+name)
	reader := *u
	reader.User = url.UserPassword(name, "reader")
	_, err := postgres.Open(t.Context(), reader.String())
	mustSay(t, "Open without the right to make tables", err, "the tables could not be brought up to date", "permission denied for schema")

	// who may use the tables that somebody else has made needs no more
	open(t, u)
	must(t, admin, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA `+u.Query().Get("search_path")+` TO `+name)
	stored(t, postgres.Sessions(open(t, &reader)), "anna", 1)
}

// TestMaxConns: calls that need one more connection wait for one.
func TestMaxConns(t *testing.T) {
	u, name := named(schema(t))
	store := postgres.Sessions(open(t, u, postgres.MaxConns(2)))
	admin := pool(t, u)
	var calls sync.WaitGroup
	for i := range 20 {
		calls.Go(func() {
			if err := store.Create(t.Context(), record("anna", i), session.Key{}); err != nil {
				t.Errorf("Create = %v, want nil", err)
			}
		})
	}
	calls.Wait()
	// the test's own connection has the name as well
	if n := number(t, admin, `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1`, name); n > 3 {
		t.Errorf("there are %d connections, want at most 2", n-1)
	}
}

// TestRestart: a server that goes away is an error, never an outcome; when it is back, so is everything that was acknowledged.
func TestRestart(t *testing.T) {
	server := needServer(t)
	if os.Getenv(urlVariable) != "" {
		t.Skipf("the server that %s names is not restarted", urlVariable)
	}
	u := schema(t)
	db := open(t, u)
	store := postgres.Sessions(db)
	stored(t, store, "anna", 20)
	acknowledged(t, db)
	for _, mode := range []string{"fast", "immediate"} {
		server.order(t, mode)
		for what, err := range everyCall(t, db) {
			mustSay(t, what+" without a server", err, "postgres: ")
			if strings.Contains(shown(err), server.secret) {
				t.Errorf("%s without a server shows the password", what)
			}
			noOutcome(t, what+" without a server", err)
		}
		server.order(t, "start")
		eventually(t, "List works again", func() bool { _, err := store.List(t.Context(), "anna"); return err == nil })
		for range 40 { // no connection of the pool is left over from before
			if got := ids(t, store, "anna"); len(got) != 20 {
				t.Fatalf("List(anna) has %d, want 20", len(got))
			}
		}
		stillAcknowledged(t, db)
	}
}

// calls calls everything once, in a way that would change something.
func calls(t *testing.T, store *postgres.SessionStore) map[string]error {
	rec := record("anna", 1)
	_, getErr := store.Get(t.Context(), rec.Key)
	_, listErr := store.List(t.Context(), "anna")
	_, allErr := store.DeleteAll(t.Context(), "anna", session.Key{})
	_, pruneErr := store.Prune(t.Context(), time.Now(), 10)
	return map[string]error{
		"Get": getErr, "List": listErr, "DeleteAll": allErr, "Prune": pruneErr, "Delete": store.Delete(t.Context(), rec.Key),
		"Create": store.Create(t.Context(), record("anna", 99), session.Key{}), "Replace": store.Create(t.Context(), record("anna", 99), rec.Key),
		"Update": store.Update(t.Context(), rec), "Touch": store.Touch(t.Context(), rec.Key, rec.Seen.Add(time.Hour), rec.Deadline),
	}
}

// TestSilentServer: a server that takes connections and says nothing holds nobody up for longer than the timeout.
func TestSilentServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() // whoever connects waits in its queue
	began := time.Now()
	_, err = postgres.Open(t.Context(), "postgres://u@"+listener.Addr().String()+"/d?sslmode=disable", postgres.Timeout(100*time.Millisecond))
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second {
		t.Errorf("Open of a silent server = %v after %v, want an error that wraps context.DeadlineExceeded", err, time.Since(began))
	}
}

// A tap stands between a client and the server, and looks at what the client says.
type tap struct {
	net.Listener
	mu    sync.Mutex
	kinds map[byte]int // how many messages of each kind there were
	named []string     // statements and portals with a name
	deaf  bool         // nothing is passed on any more, and nobody is told
	conns []net.Conn
}

func (p *tap) deafen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaf = true
}

// hangUp closes the connections.
func (p *tap) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.conns {
		_ = conn.Close()
	}
}

// startTap listens for clients of the server at target.
func startTap(t *testing.T, target string) *tap {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tap := &tap{Listener: listener, kinds: map[byte]int{}}
	var all sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); all.Wait() })
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				_ = client.Close()
				return
			}
			tap.mu.Lock()
			tap.conns = append(tap.conns, client, server)
			tap.mu.Unlock()
			all.Go(func() { _, _ = io.Copy(client, server); _ = client.Close() })
			all.Go(func() { tap.listen(client, server); _ = server.Close() })
		}
	})
	return tap
}

// listen passes on what the client says. The first message has no kind.
func (p *tap) listen(client io.Reader, server io.Writer) {
	for first := true; ; first = false {
		head := make([]byte, 5)
		if first {
			head = head[:4]
		}
		if _, err := io.ReadFull(client, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[len(head)-4:])-4)
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		if !first && p.note(head[0], body) {
			continue
		}
		if _, err := server.Write(append(head, body...)); err != nil {
			return
		}
	}
}

// note reports whether the message is to be swallowed.
func (p *tap) note(kind byte, body []byte) (swallow bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kinds[kind]++
	name, rest, _ := bytes.Cut(body, []byte{0})
	switch kind {
	case 'B': // the portal's name, and the statement's
		other, _, _ := bytes.Cut(rest, []byte{0})
		name = append(name, other...)
	case 'D', 'C': // what kind of name it is
		name = name[1:]
	case 'P':
	default:
		return p.deaf
	}
	if len(name) > 0 {
		p.named = append(p.named, fmt.Sprintf("%c %q", kind, name))
	}
	return p.deaf
}

// TestNothingIsPrepared: a statement with a name would be looked for on another connection behind a pooler. Parameters travel apart from the
// statements, and each statement in one go.
func TestNothingIsPrepared(t *testing.T) {
	u := with(schema(t), "sslmode", "disable", "default_query_exec_mode", "cache_statement") // our choice counts
	tap := startTap(t, u.Host)
	tapped := *u
	tapped.Host = tap.Addr().String()
	db := open(t, &tapped)
	for range 3 {
		for what, err := range everyCall(t, db) {
			if err != nil && !isOutcome(err) {
				t.Errorf("%s = %v", what, err)
			}
		}
	}
	tap.mu.Lock()
	defer tap.mu.Unlock()
	if len(tap.named) > 0 {
		t.Errorf("these have names: %s", strings.Join(tap.named, ", "))
	}
	if p, b, e, s := tap.kinds['P'], tap.kinds['B'], tap.kinds['E'], tap.kinds['S']; p < 27 || b != p || e != p || s != p {
		t.Errorf("there were %d messages to parse, %d to bind, %d to execute and %d ends, want the same number of each", p, b, e, s)
	}
}

// TestErrorsWrapTheCause: a program can find out what the server said.
func TestErrorsWrapTheCause(t *testing.T) {
	db := open(t, schema(t))
	must(t, db.SQL(), `DROP TABLE gatehouse_sessions, gatehouse_keys, gatehouse_rings, gatehouse_tokens, gatehouse_families, gatehouse_revocations, gatehouse_feed`)
	for what, err := range everyCall(t, db) {
		if what == "Ring" {
			continue // needs no table
		}
		var fault *pgconn.PgError
		if !errors.As(err, &fault) || fault.Code != "42P01" {
			t.Errorf("%s without a table = %v, want an error that wraps the server's", what, err)
		}
	}
}

// TestMinimumTLS: nothing below TLS 1.2 is spoken.
func TestMinimumTLS(t *testing.T) {
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{MaxVersion: tls.VersionTLS11, Certificates: []tls.Certificate{certificate(t)}})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			_ = conn.(*tls.Conn).HandshakeContext(t.Context())
			_ = conn.Close()
		}
	}()
	_, err = postgres.Open(t.Context(), "postgres://u@"+listener.Addr().String()+"/d?sslmode=require&sslnegotiation=direct")
	mustSay(t, "Open of a server with TLS 1.1", err, "protocol version")
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	dir := t.TempDir()
	if err := writeCertificate(dir); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}
