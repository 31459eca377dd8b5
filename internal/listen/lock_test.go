package listen_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gatehouse-auth/gatehouse/internal/listen"
)

func mustLock(t *testing.T, name string) *listen.FileLock {
	t.Helper()
	l, err := listen.LockFile(name)
	if err != nil {
		t.Fatalf("LockFile(%s) = %v, want nil", name, err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestLockFileIsForOne(t *testing.T) {
	name := filepath.Join(t.TempDir(), "db.lock")
	first := mustLock(t, name)
	if _, err := listen.LockFile(name); !errors.Is(err, listen.ErrLocked) {
		t.Errorf("LockFile while another has it = %v, want ErrLocked", err)
	}
	mustLock(t, filepath.Join(filepath.Dir(name), "other.lock"))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	mustLock(t, name)
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v (%v), want 0600", info.Mode(), err)
	}
}

// A process that is killed leaves nothing behind that keeps the next one out.
func TestLockFileEndsWithItsProcess(t *testing.T) {
	name := filepath.Join(t.TempDir(), "db.lock")
	if os.Getenv("GATEHOUSE_TEST_LOCK") != "" {
		mustLock(t, os.Getenv("GATEHOUSE_TEST_LOCK"))
		os.Stdout.WriteString("locked\n")
		select {}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestLockFileEndsWithItsProcess$")
	cmd.Env = append(os.Environ(), "GATEHOUSE_TEST_LOCK="+name)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 7)
	if _, err := out.Read(line); err != nil || !bytes.HasPrefix(line, []byte("locked")) {
		t.Fatalf("the other process said %q, %v", line, err)
	}
	if _, err := listen.LockFile(name); !errors.Is(err, listen.ErrLocked) {
		t.Errorf("LockFile while another process has it = %v, want ErrLocked", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	mustLock(t, name)
}

func TestMark(t *testing.T) {
	name := filepath.Join(t.TempDir(), "db.lock")
	l := mustLock(t, name)
	if marked, err := l.Marked(); marked || err != nil {
		t.Errorf("Marked() of a new file = %v, %v, want false", marked, err)
	}
	for _, text := range []string{"in use", "in use by another"} {
		if err := l.Mark(text); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != "in use" {
		t.Errorf("the file holds %q (%v), want the first mark", text, err)
	}
	l.Close()
	again := mustLock(t, name)
	if marked, err := again.Marked(); !marked || err != nil {
		t.Errorf("Marked() after a restart = %v, %v, want true", marked, err)
	}
}

func TestLockFileRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{dir, filepath.Join(dir, "missing", "db.lock"), ""} {
		if _, err := listen.LockFile(name); err == nil || errors.Is(err, listen.ErrLocked) {
			t.Errorf("LockFile(%q) = %v, want an error that is not ErrLocked", name, err)
		}
	}
	if _, err := listen.LockFile(filepath.Join(dir, "missing", "db.lock")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("LockFile in a folder that is not there = %v, want fs.ErrNotExist", err)
	}
}
