package testbed

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// freePort returns a port of 127.0.0.1 on which nobody listens.
func freePort(t T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// await waits until something listens on a port of 127.0.0.1.
func await(t T, what string, port int) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for end := time.Now().Add(calm); time.Now().Before(end); <-tick.C {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return
		}
	}
	t.Fatalf("%s does not listen on %s", what, address)
}

// A Redis is a redis-server of one test.
type Redis struct {
	// URL is its address, for redis.ParseURL.
	URL string

	t       T
	port    int
	dir     string
	running *exec.Cmd
}

// StartRedis starts a redis-server without persistence. It ends with the test.
func StartRedis(t T) *Redis {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		missing(t, "redis-server", DemandServers)
	}
	s := &Redis{t: t, port: freePort(t), dir: t.TempDir()}
	s.URL = fmt.Sprintf("redis://127.0.0.1:%d/0", s.port)
	t.Cleanup(s.Stop)
	s.Start()
	return s
}

// Start starts the server anew after Stop. It has forgotten everything.
func (s *Redis) Start() {
	s.t.Helper()
	s.running = exec.Command("redis-server", "--bind", "127.0.0.1", "--port", strconv.Itoa(s.port), "--dir", s.dir, "--save", "", "--daemonize", "no", "--logfile", "server.log")
	if err := s.running.Start(); err != nil {
		s.t.Fatalf("redis-server: %v", err)
	}
	await(s.t, "redis-server", s.port)
}

// Stop kills the server, so that it has no time to say goodbye. It may be stopped already.
func (s *Redis) Stop() {
	if s.running != nil {
		s.running.Process.Kill()
		s.running.Wait()
	}
	s.running = nil
}

// A Postgres is a PostgreSQL server of one test.
type Postgres struct {
	t         T
	port      int
	databases int
	dir, bin  string
	running   bool
	resume    func() // ends a Pause; nil if there is none
}

// StartPostgres starts a PostgreSQL server without a database of the test's. It ends with the test.
func StartPostgres(t T) *Postgres {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		missing(t, "PostgreSQL", DemandServers)
	}
	dir, err := os.MkdirTemp("", "postgres") // a test's own folder may belong to somebody else, and its name is too long for a socket
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	giveToPostgres(t, dir)
	s := &Postgres{t: t, port: freePort(t), dir: dir, bin: filepath.Dir(found[len(found)-1])}
	asPostgres(t, s.Tool("initdb"), "-D", s.data(), "-U", "app", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
	t.Cleanup(s.Stop)
	s.Start()
	return s
}

// Tool returns the path of a program that belongs to the server, such as pg_dump, or its name if it is to be found as any other program.
func (s *Postgres) Tool(name string) string {
	if path := filepath.Join(s.bin, name); exists(path) {
		return path
	}
	return name
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (s *Postgres) data() string { return filepath.Join(s.dir, "data") }

// Start starts the server again after Stop, with what it had.
func (s *Postgres) Start() {
	s.t.Helper()
	options := fmt.Sprintf("-p %d -h 127.0.0.1 -k %s -c fsync=off", s.port, s.dir)
	asPostgres(s.t, s.Tool("pg_ctl"), "-D", s.data(), "-l", filepath.Join(s.dir, "log"), "-w", "-o", options, "start")
	s.running = true
}

// Stop ends the server and every connection at once, as a crash would. What was committed stays. It may be stopped already.
func (s *Postgres) Stop() {
	s.t.Helper()
	if !s.running {
		return
	}
	if s.resume != nil {
		s.resume()
	}
	asPostgres(s.t, s.Tool("pg_ctl"), "-D", s.data(), "-m", "immediate", "stop")
	s.running = false
}

// NewDatabase makes an empty database and returns its address, for postgres.Open.
func (s *Postgres) NewDatabase() string {
	s.t.Helper()
	at := func(name string) string {
		return fmt.Sprintf("postgres://app@127.0.0.1:%d/%s?sslmode=disable", s.port, name)
	}
	db, err := sql.Open("pgx", at("postgres"))
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	defer db.Close()
	s.databases++
	name := fmt.Sprintf("test%d", s.databases)
	if _, err := db.ExecContext(context.Background(), "CREATE DATABASE "+name); err != nil {
		s.t.Fatalf("CREATE DATABASE: %v", err)
	}
	return at(name)
}

// giveToPostgres makes dir the server's: it refuses to run as root.
func giveToPostgres(t T, dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	owner, err := user.Lookup("postgres")
	if err != nil {
		t.Fatalf("%v", err)
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err == nil {
		err = os.Chown(dir, uid, -1)
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
}

// asPostgres runs a command of the server. What it writes goes to a file and not to a pipe, which the server would inherit and hold open.
func asPostgres(t T, command ...string) {
	t.Helper()
	if os.Getuid() == 0 {
		command = append([]string{"runuser", "-u", "postgres", "--"}, command...)
	}
	out, err := os.CreateTemp("", "postgres")
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer os.Remove(out.Name())
	defer out.Close()
	c := exec.Command(command[0], command[1:]...)
	c.Dir, c.Stdout, c.Stderr = "/", out, out
	if err := c.Run(); err != nil {
		text, _ := os.ReadFile(out.Name())
		t.Errorf("%s: %v\n%s", strings.Join(command, " "), err, bytes.TrimSpace(text))
	}
}
