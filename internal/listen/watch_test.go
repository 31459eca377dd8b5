package listen_test

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/listen"
)

// watching starts a watcher of files with a look every second of a fake clock. step lets n looks pass and returns the
// number of changes reported in them.
func watching(t *testing.T, files func() []string) (step func(n int) int64) {
	ctx, cancel := context.WithCancel(t.Context())
	var changes atomic.Int64
	done := make(chan bool)
	go func() {
		defer close(done)
		listen.Watch(ctx, files, time.Second, func() { changes.Add(1) })
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	synctest.Wait()
	return func(n int) int64 {
		before := changes.Load()
		<-time.After(time.Duration(n)*time.Second + time.Millisecond)
		synctest.Wait()
		return changes.Load() - before
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWatchReportsEachKindOfChangeOnce(t *testing.T) {
	type row struct {
		name   string
		change func(t *testing.T, dir string)
		want   int64
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rows := []row{
		{"nothing", func(*testing.T, string) {}, 0},
		{"read", func(_ *testing.T, dir string) { os.ReadFile(dir + "/a") }, 0},
		{"another file", func(t *testing.T, dir string) { write(t, dir+"/other", "x") }, 0},
		{"content", func(t *testing.T, dir string) { write(t, dir+"/a", "longer than before") }, 1},
		{"time alone", func(_ *testing.T, dir string) { os.Chtimes(dir+"/a", at, at.Add(time.Nanosecond)) }, 1},
		{"mode", func(_ *testing.T, dir string) { os.Chmod(dir+"/a", 0) }, 1},
		{"removed", func(_ *testing.T, dir string) { os.Remove(dir + "/a") }, 1},
		{"created", func(t *testing.T, dir string) { write(t, dir+"/missing", "x") }, 1},
		{"two files", func(t *testing.T, dir string) { write(t, dir+"/a", "xx"); write(t, dir+"/b", "xx") }, 1},
		{"renamed over, same size and time", func(t *testing.T, dir string) {
			write(t, dir+"/new", "a")
			os.Chtimes(dir+"/new", at, at)
			os.Rename(dir+"/new", dir+"/a")
		}, 1},
		{"link points elsewhere", func(t *testing.T, dir string) {
			os.Symlink("v2", dir+"/..data.new")
			os.Rename(dir+"/..data.new", dir+"/..data")
		}, 1},
		{"link's target goes", func(_ *testing.T, dir string) { os.RemoveAll(dir + "/v1") }, 1},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, version := range []string{"v1", "v2"} { // as Kubernetes mounts a volume
				os.Mkdir(filepath.Join(dir, version), 0o700)
				write(t, filepath.Join(dir, version, "key"), "same")
				os.Chtimes(filepath.Join(dir, version, "key"), at, at)
			}
			os.Symlink("v1", dir+"/..data")
			os.Symlink("..data/key", dir+"/key")
			for _, name := range []string{"a", "b"} {
				write(t, filepath.Join(dir, name), "a")
				os.Chtimes(filepath.Join(dir, name), at, at)
			}
			synctest.Test(t, func(t *testing.T) {
				step := watching(t, func() []string { return []string{dir + "/a", dir + "/b", dir + "/missing", dir + "/key"} })
				if n := step(3); n != 0 {
					t.Fatalf("%d changes before anything changed", n)
				}
				r.change(t, dir)
				if n := step(10); n != r.want {
					t.Errorf("%d changes reported, want %d", n, r.want)
				}
			})
		})
	}
}

func TestWatchWaitsUntilFilesHoldStill(t *testing.T) {
	file := create(t, filepath.Join(t.TempDir(), "growing"))
	synctest.Test(t, func(t *testing.T) {
		step := watching(t, func() []string { return []string{file} })
		text := ""
		grow := func() { text += "x"; write(t, file, text) }
		for i := range 3 {
			grow()
			if n := step(1); n != 0 {
				t.Errorf("look %d: reported while the file still changes", i)
			}
		}
		if n := step(1); n != 1 {
			t.Errorf("%d changes after it held still, want 1", n)
		}
		reported := int64(0)
		for range 10 { // a file that never holds still is reported all the same
			grow()
			reported += step(1)
		}
		if reported != 2 {
			t.Errorf("%d changes in ten looks at a file that never holds still, want one every five", reported)
		}
	})
}

func TestWatchFollowsTheList(t *testing.T) {
	dir := t.TempDir()
	first, second := create(t, dir+"/first"), create(t, dir+"/second")
	var list atomic.Pointer[[]string]
	list.Store(&[]string{first})
	synctest.Test(t, func(t *testing.T) {
		step := watching(t, func() []string { return *list.Load() })
		list.Store(&[]string{second, second})
		if n := step(5); n != 1 {
			t.Errorf("%d changes for a new list, want 1", n)
		}
		write(t, first, "x")
		if n := step(5); n != 0 {
			t.Errorf("%d changes of a file that is not in the list any more", n)
		}
		write(t, second, "x")
		if n := step(5); n != 1 {
			t.Errorf("%d changes of a file that is new in the list, want 1", n)
		}
		list.Store(&[]string{})
		if n := step(5); n != 1 {
			t.Errorf("%d changes for an empty list, want 1", n)
		}
	})
}

func TestWatchMissesNoChangeDuringACall(t *testing.T) {
	file := create(t, filepath.Join(t.TempDir(), "file"))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		calls, done := 0, make(chan bool)
		go func() {
			defer close(done)
			listen.Watch(ctx, func() []string { return []string{file} }, time.Second, func() {
				if calls++; calls == 1 {
					write(t, file, "changed during the call")
					<-time.After(10 * time.Second)
				}
			})
		}()
		synctest.Wait()
		write(t, file, "x")
		<-time.After(time.Minute)
		cancel()
		<-done
		if calls != 2 {
			t.Errorf("%d calls, want 2", calls)
		}
	})
}
