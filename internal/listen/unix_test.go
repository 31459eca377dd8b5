package listen_test

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse/internal/listen"
)

// shortDir is a folder whose path leaves room for a socket: t.TempDir has the test's name in it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// connects reports whether somebody answers on path.
func connects(path string) bool {
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
	}
	return err == nil
}

func TestUnixSocketIsPrivate(t *testing.T) {
	dir := shortDir(t)
	path := filepath.Join(dir, "data", "run", "admin.sock")
	l, err := listen.Unix(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, want := range map[string]fs.FileMode{path: fs.ModeSocket | 0o600, filepath.Dir(path): fs.ModeDir | 0o700, filepath.Join(dir, "data"): fs.ModeDir | 0o700} {
		if info, err := os.Lstat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("%d files beside the socket", len(left)-1)
	}
	if l.Addr().String() != path || l.Addr().Network() != "unix" {
		t.Errorf("Addr() = %v, want %s", l.Addr(), path)
	}
	go func() {
		if c, err := l.Accept(); err == nil {
			io.WriteString(c, "hello")
			c.Close()
		}
	}()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if text, err := io.ReadAll(c); string(text) != "hello" {
		t.Errorf("read %q, %v", text, err)
	}
}

func TestUnixSocketIsRemovedOnClose(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	l, err := listen.Unix(path)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Close: %v, want the socket gone", err)
	}
	if err := l.Close(); err == nil {
		t.Error("second Close() = nil, want an error as of any listener")
	}
}

func TestUnixCloseLeavesWhatTookItsPlace(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	l, err := listen.Unix(path)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(path)
	write(t, path, "somebody's file")
	l.Close()
	if data, err := os.ReadFile(path); string(data) != "somebody's file" {
		t.Errorf("after Close: %q, %v, want the file untouched", data, err)
	}
}

func TestUnixReplacesAStaleSocket(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	l, err := listen.Unix(path)
	if err != nil {
		t.Fatalf("Unix() over a stale socket = %v", err)
	}
	defer l.Close()
	if !connects(path) {
		t.Error("nobody answers on the new socket")
	}
}

func TestUnixRefusesALiveSocket(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	first, err := listen.Unix(path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	_, err = listen.Unix(path)
	if !errors.Is(err, listen.ErrInUse) || !strings.Contains(err.Error(), "another gatehouse answers on "+path) {
		t.Errorf("Unix() over a live socket = %v, want: another gatehouse answers on %s", err, path)
	}
	if !connects(path) {
		t.Error("the first server lost its socket")
	}
}

func TestUnixTouchesNothingElse(t *testing.T) {
	rows := map[string]func(path string){
		"a file":              func(path string) { write(t, path, "data") },
		"an empty file":       func(path string) { write(t, path, "") },
		"a folder":            func(path string) { os.Mkdir(path, 0o700) },
		"a dangling link":     func(path string) { os.Symlink(path+".target", path) },
		"a link to a file":    func(path string) { write(t, path+".target", "data"); os.Symlink(path+".target", path) },
		"a link to a socket":  func(path string) { stale(t, path+".target"); os.Symlink(path+".target", path) },
		"a link to a folder":  func(path string) { os.Mkdir(path+".target", 0o700); os.Symlink(path+".target", path) },
		"a link to a device":  func(path string) { os.Symlink(os.DevNull, path) },
		"a link in a link":    func(path string) { os.Symlink(path+".2", path); os.Symlink(path, path+".2") },
		"a link to something": func(path string) { os.Symlink("/", path) },
	}
	for name, put := range rows {
		dir := shortDir(t)
		path := filepath.Join(dir, "s")
		put(path)
		before := listing(t, dir)
		info, _ := os.Lstat(path)
		l, err := listen.Unix(path)
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "is not a socket") {
			t.Errorf("%s: Unix() = %v, want a refusal", name, err)
		}
		now, err := os.Lstat(path)
		if err != nil || !os.SameFile(info, now) || strings.Join(listing(t, dir), "\n") != strings.Join(before, "\n") {
			t.Errorf("%s: the folder changed", name)
		}
	}
}

func stale(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

func TestUnixSaysWhatToDo(t *testing.T) {
	dir := shortDir(t)
	file := create(t, filepath.Join(dir, "file"))
	rows := map[string]string{
		filepath.Join(dir, strings.Repeat("x", 120)):     "too long",
		filepath.Join(file, "s"):                         "cannot create the folder",
		filepath.Join(dir, strings.Repeat("y", 300)):     "look at",
		filepath.Join(dir, "a\x00b"):                     "",
		filepath.Join(dir, strings.Repeat("d/", 60)+"s"): "too long",
	}
	for path, want := range rows {
		l, err := listen.Unix(path)
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Unix(%q) = %v, want %q", path, err, want)
		}
	}
}

// TestUnixHasOneWinner starts many servers over one stale socket at once: one gets it, and answers in the end.
func TestUnixHasOneWinner(t *testing.T) {
	for range 20 {
		path := filepath.Join(shortDir(t), "s")
		stale(t, path)
		won, lost := race(path)
		for _, err := range lost {
			if !errors.Is(err, listen.ErrInUse) {
				t.Errorf("a loser's error is %v, want ErrInUse", err)
			}
		}
		if len(won) != 1 || !connects(path) {
			t.Errorf("%d winners, and somebody answers = %v, want one who answers", len(won), connects(path))
		}
		for _, l := range won {
			l.Close()
		}
	}
}

func race(path string) (won []net.Listener, lost []error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			l, err := listen.Unix(path)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				lost = append(lost, err)
				return
			}
			won = append(won, l)
		})
	}
	all.Wait()
	return won, lost
}
