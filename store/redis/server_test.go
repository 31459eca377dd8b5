package redis_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/store/redis"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A server is a redis-server, or a valkey-server, of one test: on a port and in a folder of its own.
type server struct {
	*testing.T
	program string
	port    int
	dir     string
	args    []string
	secret  string // the password of the connection that the test gives orders on
	running *exec.Cmd
}

// findServer returns the path of a program that the machine may not have. Where real servers are demanded, a missing redis-server is a failure.
func findServer(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && name == "redis-server" && os.Getenv("GATEHOUSE_TEST_SERVERS") == "1" {
		t.Fatalf("%s is not installed, and GATEHOUSE_TEST_SERVERS=1 demands it", name)
	}
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// startServer starts a redis-server with more arguments.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	s := newServer(t, "redis-server", args...)
	s.start()
	return s
}

// newServer is startServer for later.
func newServer(t *testing.T, program string, args ...string) *server {
	t.Helper()
	s := &server{T: t, program: findServer(t, program), port: freePort(t), dir: t.TempDir(), args: args}
	t.Cleanup(s.stop)
	return s
}

// freePort returns a port of 127.0.0.1 on which nobody listens.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// start starts the server and waits until it answers.
func (s *server) start() {
	s.Helper()
	args := []string{"--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--logfile", "server.log", "--daemonize", "no"}
	if !strings.Contains(strings.Join(s.args, " "), "--tls-port") {
		args = append(args, "--port", strconv.Itoa(s.port))
	}
	s.running = exec.Command(s.program, append(args, s.args...)...)
	if err := s.running.Start(); err != nil {
		s.Fatal(err)
	}
	s.await("the server does not listen", func() bool {
		c, err := net.Dial("tcp", s.address())
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// stop kills the server, so that it has no time to say goodbye. It may be stopped already.
func (s *server) stop() {
	if s.running != nil {
		s.running.Process.Kill()
		s.running.Wait()
	}
	s.running = nil
}

func (s *server) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

func (s *server) options() redis.Options {
	return redis.Options{Port: s.port, Password: gatehouse.NewSecret(s.secret)}
}

// do gives the server an order on a connection of its own, without any client library, and returns the first line of the answer.
func (s *server) do(order ...string) string {
	s.Helper()
	answer, err := s.try(order...)
	if err != nil || strings.HasPrefix(answer, "-") {
		s.Fatalf("%q = %q, %v, want an answer without an error", order, answer, err)
	}
	return answer
}

// try is do for orders that may fail. The answer of an error begins with "-".
func (s *server) try(order ...string) (string, error) {
	text, err := s.whole(order...)
	line, _, _ := strings.Cut(text, "\r\n")
	return line, err
}

// whole is try with all lines of the answer, if it is one string.
func (s *server) whole(order ...string) (string, error) {
	c, err := net.Dial("tcp", s.address())
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	in := bufio.NewReader(c)
	if s.secret != "" {
		io.WriteString(c, wire("AUTH", s.secret))
		if line, err := in.ReadString('\n'); err != nil || line[0] != '+' {
			return line, err
		}
	}
	io.WriteString(c, wire(order...))
	line, err := in.ReadString('\n')
	line = strings.TrimSuffix(line, "\r\n")
	if size, is := strings.CutPrefix(line, "$"); is && size != "-1" {
		n, _ := strconv.Atoi(size)
		text := make([]byte, n)
		_, err = io.ReadFull(in, text)
		return string(text), err
	}
	return line, err
}

// wire is an order as it is sent.
func wire(order ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(order))
	for _, word := range order {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	return b.String()
}

// await waits until done returns true, and fails the test after ten seconds.
func (s *server) await(what string, done func() bool) {
	s.Helper()
	await(s.T, what, done)
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-tick.C {
		if done() {
			return
		}
	}
	t.Fatalf("waited for 10 s: %s", what)
}

// open opens the server of o and closes it when the test ends.
func open(t *testing.T, o redis.Options) *redis.DB {
	t.Helper()
	db, err := redis.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open(%v) = %v, want nil", o, err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// refuses reports options with which Open does not fail, or fails with other words.
func refuses(t *testing.T, o redis.Options, words string) {
	t.Helper()
	db, err := redis.Open(t.Context(), o)
	if err == nil {
		defer db.Close()
		t.Fatalf("Open(%v) = %v, nil, want an error with %q", o, db, words)
	}
	if !strings.Contains(err.Error(), words) {
		t.Errorf("Open(%v) = %v, want an error with %q", o, err, words)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Open(%v) has waited for nothing: %v", o, err)
	}
}
