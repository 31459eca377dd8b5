//go:build unix

package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/sqlite"
)

// lockUntilTold keeps the write lock until it is told to give it back.
func lockUntilTold(name string) error {
	pool, err := sql.Open("sqlite", name+"?_txlock=immediate")
	if err != nil {
		return err
	}
	tx, err := pool.Begin()
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM gatehouse_sessions`); err != nil {
		return err
	}
	fmt.Println("locked")
	<-orders
	return tx.Rollback()
}

// TestLockedByAnotherProcess: writing waits for as long as it was told to and not for longer, and reading does not wait at all.
func TestLockedByAnotherProcess(t *testing.T) {
	name := fileName(t)
	stored(t, sqlite.Sessions(open(t, name)), "anna", 3)
	p := start(t, "lock", name)
	p.says(t, "locked")

	impatient := sqlite.Sessions(open(t, name, sqlite.BusyTimeout(150*time.Millisecond)))
	began := time.Now()
	err := impatient.Delete(t.Context(), record("anna", 1).Key)
	mustSay(t, "Delete while another process writes", err, "sqlite: ", "another process has kept", name, "150ms")
	if waited := time.Since(began); waited < 150*time.Millisecond {
		t.Errorf("Delete waited for %v, want 150ms", waited)
	}
	if got := ids(t, impatient, "anna"); len(got) != 3 {
		t.Errorf("List(anna) = %q, want all 3", got)
	}

	patient := sqlite.Sessions(open(t, name, sqlite.BusyTimeout(time.Hour)))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := patient.DeleteAll(ctx, "anna", session.Key{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("DeleteAll whose context ends = %v, want an error that wraps context.DeadlineExceeded", err)
	}
	deleted := make(chan error)
	go func() { deleted <- patient.Delete(context.WithoutCancel(t.Context()), record("anna", 1).Key) }()
	p.order(t, "give it back")
	if err := <-deleted; err != nil {
		t.Errorf("Delete that waited = %v, want nil", err)
	}
	db := open(t, name)
	sound(t, db)
	if got := ids(t, sqlite.Sessions(db), "anna"); len(got) != 2 {
		t.Errorf("List(anna) = %q, want 2", got)
	}
}

const largeBody = 64 << 10

// large returns a session of anna with much in it.
func large(n int) session.Record {
	rec := numbered(int64(n))
	rec.Body = bytes.Repeat([]byte{byte(n)}, largeBody)
	return rec
}

// TestFull: what there is no room for is refused, with what is there left as it is, and once there is room it goes on.
func TestFull(t *testing.T) {
	name := fileName(t)
	db := open(t, name)
	store := sqlite.Sessions(db)
	if _, err := db.SQL().ExecContext(t.Context(), "PRAGMA max_page_count = 100"); err != nil {
		t.Fatal(err)
	}
	n := 0
	var err error
	for ; err == nil && n < 100; n++ {
		err = store.Create(t.Context(), large(n), session.Key{})
	}
	mustSay(t, "Create in a full database", err, "sqlite: ", "there is no room for", name)
	err = store.Create(t.Context(), large(n), large(0).Key)
	mustSay(t, "Create in place of another in a full database", err, "there is no room for")
	rec := large(0)
	rec.Body = bytes.Repeat(rec.Body, 5)
	mustSay(t, "Update in a full database", store.Update(t.Context(), rec), "there is no room for")
	if got := ids(t, store, "anna"); len(got) != n-1 {
		t.Errorf("List(anna) has %d, want the %d that were acknowledged", len(got), n-1)
	}
	if got, err := store.Get(t.Context(), rec.Key); err != nil || got.Version != 1 || len(got.Body) != largeBody {
		t.Errorf("Get = version %d with %d bytes, %v, want what it was", got.Version, len(got.Body), err)
	}
	if err := store.Delete(t.Context(), rec.Key); err != nil {
		t.Errorf("Delete in a full database = %v, want nil", err)
	}
	if err := store.Create(t.Context(), large(n), session.Key{}); err != nil {
		t.Errorf("Create with room again = %v, want nil", err)
	}
	sound(t, db)
}

// fillDisk writes until the system refuses, says how many records were acknowledged, and writes once more when it is allowed to.
func fillDisk(name string) error {
	db, err := sqlite.Open(context.Background(), name)
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{}
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	small := limit
	small.Cur = 1 << 20
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		return err
	}
	n := 1
	for ; err == nil && n < 1000; n++ {
		err = sqlite.Sessions(db).Create(context.Background(), large(n), session.Key{})
	}
	fmt.Println("refused", n-1, strings.ReplaceAll(fmt.Sprint(err), "\n", " "))
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if err := sqlite.Sessions(db).Create(context.Background(), large(n), session.Key{}); err != nil {
		return err
	}
	fmt.Println("stored", n)
	select {}
}

// TestSystemRefusesToWrite: a write that the system refuses is an error, and the records that were acknowledged are there, before and after a crash.
func TestSystemRefusesToWrite(t *testing.T) {
	name := fileName(t)
	p := start(t, "fill", name)
	var refused, after int
	line := p.next()
	if _, err := fmt.Sscanf(line, "refused %d sqlite: ", &refused); err != nil || !strings.Contains(line, "the disk, or a limit") {
		t.Fatalf("the other process says %q", line)
	}
	if _, err := fmt.Sscanf(p.next(), "stored %d", &after); err != nil || refused < 2 || refused > 999 {
		t.Fatalf("the other process was refused at record %d and then stored %d, %v", refused, after, err)
	}
	p.kill()
	db := open(t, name)
	sound(t, db)
	for n := 1; n <= after; n++ {
		got, err := sqlite.Sessions(db).Get(t.Context(), large(n).Key)
		if n == refused {
			if !errors.Is(err, session.ErrNotFound) {
				t.Errorf("Get of the record that was refused = %v, want ErrNotFound", err)
			}
		} else if err != nil || !bytes.Equal(got.Body, large(n).Body) {
			t.Errorf("Get(%d of %d) = %d bytes, %v, want what was acknowledged", n, after, len(got.Body), err)
		}
	}
}

// nobody is the user to whom nothing belongs.
const nobody = 65534

// TestNotWritable: a file that cannot be written is refused at once, not when the first user signs in.
func TestNotWritable(t *testing.T) {
	top := t.TempDir()
	program := copyProgram(t, top)
	for what, test := range map[string]struct {
		dir, file os.FileMode // file 0: there is none
		want      string
	}{
		"a folder that cannot be written": {0o555, 0, "permission denied"},
		"a file that cannot be written":   {0o777, 0o444, "cannot be written"},
		"neither":                         {0o555, 0o444, "cannot be written"},
		"no log beside the file":          {0o555, 0o666, "cannot be written"},
		"a file that cannot be read":      {0o777, 0o000, "cannot be written"},
		"a folder that cannot be entered": {0o600, 0o666, "permission denied"},
	} {
		dir := filepath.Join(top, strings.ReplaceAll(what, " ", "-"))
		name := filepath.Join(dir, "gatehouse.db")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if test.file != 0 || strings.Contains(what, "read") {
			if err := errors.Join(os.WriteFile(name, filled(t), 0o600), os.Chmod(name, test.file)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(dir, test.dir); err != nil {
			t.Fatal(err)
		}
		p := startCommand(t, asNobody(t, program), "open", name)
		p.says(t, "ready")
		p.order(t, "open")
		if got := p.next(); !strings.HasPrefix(got, "failed: sqlite: ") || !strings.Contains(got, test.want) {
			t.Errorf("Open of %s: the other process says %q, want %q", what, got, test.want)
		}
		p.kill()
		_ = os.Chmod(dir, 0o755) // so that it can be removed
	}
}

// copyProgram puts the test binary where everybody can start it.
func copyProgram(t *testing.T, dir string) string {
	t.Helper()
	for _, open := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(open, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	name := filepath.Join(dir, "program")
	to, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Close(), os.Chmod(name, 0o755)); err != nil {
		t.Fatal(err)
	}
	return name
}

// asNobody returns a command that may do no more than the modes of files say: root may do everything.
func asNobody(t *testing.T, program string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(context.WithoutCancel(t.Context()), program)
	if os.Geteuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		c.Dir = filepath.Dir(program)
	}
	return c
}

// TestFirstLog: a file that has no log yet is given one by who opens it first. While another process writes to it in the old way that has to wait,
// as for any other lock.
func TestFirstLog(t *testing.T) {
	name := fileName(t)
	pool, err := sql.Open("sqlite", name+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(`CREATE TABLE film (id INTEGER PRIMARY KEY)`); err != nil {
		t.Fatal(err)
	}
	tx, err := pool.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	began := time.Now()
	_, err = sqlite.Open(t.Context(), name, sqlite.BusyTimeout(200*time.Millisecond))
	mustSay(t, "Open while another process writes", err, "another process has kept", "200ms")
	if waited := time.Since(began); waited < 200*time.Millisecond {
		t.Errorf("Open waited for %v, want 200ms", waited)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := sqlite.Open(ctx, name, sqlite.BusyTimeout(time.Hour)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Open whose context ends = %v, want an error that wraps context.DeadlineExceeded", err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	db := open(t, name)
	conn := connection(t, db.SQL())
	defer conn.Close()
	if got := fmt.Sprint(answers(t, conn, "journal_mode")); got != "[journal_mode=wal]" {
		t.Errorf("the file has %s, want a log", got)
	}
}
