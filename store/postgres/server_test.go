package postgres_test

import (
	"bufio"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// These variables say what the tests need and where it is: the url of a server on which they may do everything, instead of one that is started, and
// that a missing one is a failure.
const urlVariable, demandVariable = "GATEHOUSE_TEST_POSTGRES", "GATEHOUSE_TEST_SERVERS"

func TestMain(m *testing.M) {
	if role, ok := roles[os.Getenv(roleVariable)]; ok {
		if err := role(os.Getenv(targetVariable)); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	own.stop()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// A server is a PostgreSQL of the tests' own, in a folder and on a port of its own. It ends with the test binary, however that ends.
type server struct {
	once   sync.Once
	err    error  // why there is none
	bin    string // the folder of its programs
	dir    string
	port   int
	secret string
	cmd    *exec.Cmd
	in     io.WriteCloser // orders; closed: the server stops, and its folder is removed
	out    *bufio.Scanner // what the script answers
}

// own is started when the first test needs it.
var own server

// script makes a database and runs a server on it until its standard input ends, which it does when the test binary does.
const script = `
set -eu
umask 077
cd "$DIR"
"$BIN/initdb" -D data -U gatehouse -A scram-sha-256 --pwfile=secret -E UTF8 --no-locale -N >initdb.log
start() {
	"$BIN/pg_ctl" -D data -l server.log -w -t 60 -o "-p $PORT -k $DIR -c listen_addresses=127.0.0.1 -c fsync=off -c deadlock_timeout=200ms \
		-c ssl=on -c ssl_cert_file=$DIR/server.crt -c ssl_key_file=$DIR/server.key" start >start.log
}
stop() { "$BIN/pg_ctl" -D data -w -t 60 -m "$1" stop >stop.log 2>&1 || true; }
trap 'stop immediate; cd /; rm -rf "$DIR"' EXIT
trap 'exit 1' HUP INT TERM
start
echo started
while read -r order; do
	case $order in
	start) start ;;
	*) stop "$order" ;;
	esac
	echo "$order"
done
`

// needServer skips the test if there is no server to be had, and fails it if there must be one.
func needServer(t *testing.T) *server {
	t.Helper()
	own.once.Do(own.start)
	if own.err != nil && os.Getenv(demandVariable) == "1" && os.Getenv(urlVariable) == "" {
		t.Fatalf("%s=1 demands a PostgreSQL server, and %s names none: %v", demandVariable, urlVariable, own.err)
	}
	if own.err != nil {
		t.Skipf("no PostgreSQL server of the tests' own: %v", own.err)
	}
	return &own
}

// programs returns the folder of PostgreSQL's programs, those of the latest version if there are several.
func programs() (string, error) {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(dirs, func(a, b string) int {
		version := func(dir string) int { n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir))); return n }
		return cmp.Compare(version(b), version(a))
	})
	if path, err := exec.LookPath("pg_ctl"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	for _, dir := range dirs {
		missing := func(name string) bool { _, err := exec.LookPath(filepath.Join(dir, name)); return err != nil }
		if !slices.ContainsFunc([]string{"initdb", "pg_ctl", "postgres"}, missing) {
			return dir, nil
		}
	}
	return "", errors.New("initdb, pg_ctl and postgres are not installed (Debian: postgresql)")
}

func (s *server) start() {
	if s.bin, s.err = programs(); s.err != nil {
		return
	}
	if s.dir, s.err = os.MkdirTemp("", "gatehouse-postgres"); s.err != nil {
		return
	}
	s.port, s.secret = freePort(), "geheim-"+rand.Text()
	if s.err = s.run(); s.err != nil {
		logs, _ := os.ReadFile(filepath.Join(s.dir, "server.log"))
		s.err = fmt.Errorf("the server of the tests did not start: %w\n%s", s.err, logs)
		s.stop()
	}
}

// run starts the script and waits until the server is there.
func (s *server) run() error {
	if err := errors.Join(os.WriteFile(filepath.Join(s.dir, "secret"), []byte(s.secret+"\n"), 0o600), writeCertificate(s.dir)); err != nil {
		return err
	}
	s.cmd = exec.Command("sh", "-c", script)
	if os.Geteuid() == 0 { // PostgreSQL refuses to run as root
		if err := giveTo("postgres", s.dir); err != nil {
			return err
		}
		s.cmd = exec.Command("runuser", "-u", "postgres", "--", "sh", "-c", script)
	}
	s.cmd.Env = append(os.Environ(), "BIN="+s.bin, "DIR="+s.dir, "PORT="+strconv.Itoa(s.port), "LC_ALL=C")
	s.cmd.Stderr = os.Stderr
	in, err := s.cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	s.in, s.out = in, bufio.NewScanner(out)
	if err := s.cmd.Start(); err != nil {
		return err
	}
	return s.says("started")
}

// says waits for the script's next line.
func (s *server) says(want string) error {
	if !s.out.Scan() || s.out.Text() != want {
		return fmt.Errorf("its script says %q, want %q", s.out.Text(), want)
	}
	return nil
}

// order stops the server in one of pg_ctl's modes, or starts it again, and waits until that is done.
func (s *server) order(t *testing.T, what string) {
	t.Helper()
	if _, err := fmt.Fprintln(s.in, what); err != nil {
		t.Fatal(err)
	}
	if err := s.says(what); err != nil {
		t.Fatal(err)
	}
}

// stop ends the server and removes its folder, if it was started.
func (s *server) stop() {
	if s.in != nil {
		_ = s.in.Close()
		_ = s.cmd.Wait()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// giveTo makes the files in dir, and dir, a user's.
func giveTo(name, dir string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, errUID := strconv.Atoi(u.Uid)
	gid, errGID := strconv.Atoi(u.Gid)
	files, errFiles := filepath.Glob(filepath.Join(dir, "*"))
	err = errors.Join(errUID, errGID, errFiles)
	for _, path := range append(files, dir) {
		err = errors.Join(err, os.Chown(path, uid, gid))
	}
	return err
}

// freePort returns a port of 127.0.0.1 on which nobody listens.
func freePort() int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// writeCertificate makes a certificate for 127.0.0.1 that is its own authority: server.crt and server.key.
func writeCertificate(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	return errors.Join(err,
		os.WriteFile(filepath.Join(dir, "server.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600),
		os.WriteFile(filepath.Join(dir, "server.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

// base returns the url of the database in which tests make schemas of their own: the one that the environment names, or that of the tests' own server.
func base(t *testing.T) *url.URL {
	t.Helper()
	if text := os.Getenv(urlVariable); text != "" {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatalf("%s cannot be read as a url", urlVariable)
		}
		return u
	}
	return needServer(t).url()
}

func (s *server) url() *url.URL {
	return &url.URL{Scheme: "postgres", User: url.UserPassword("gatehouse", s.secret), Host: "127.0.0.1:" + strconv.Itoa(s.port),
		Path: "/postgres", RawQuery: "sslmode=disable"}
}

// with returns u with parameters.
func with(u *url.URL, pairs ...string) *url.URL {
	query, next := u.Query(), *u
	for i := 0; i < len(pairs); i += 2 {
		query.Set(pairs[i], pairs[i+1])
	}
	next.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20") // PostgreSQL knows no +
	return &next
}

// eventually waits until done returns true, for ten seconds.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited for 10 s: %s", what)
		case <-tick.C:
		}
	}
}
