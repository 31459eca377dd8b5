//go:build unix

package cli

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/gatehouse-auth/gatehouse/internal/config"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

// TestKeyFilesAreNobodyElses: a file with a key in it can be read by nobody else, at no moment, whatever the process lets others do with its files, and takes the place of no other file.
func TestKeyFilesAreNobodyElses(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	for what, write := range map[string]func(name string) error{
		"the master key":   func(name string) error { return quietVault().makeMaster(name, "gatehouse.db") },
		"a key for others": func(name string) error { return writeNew(name, 0o600, "key\n") },
	} {
		dir := t.TempDir()
		w := &modeWatch{what: what, stop: make(chan struct{})}
		w.watching.Go(func() { w.watch(t) })
		for i := range 200 {
			name := filepath.Join(dir, string(rune('a'+i%26)), string(rune('a'+i/26)))
			w.name.Store(&name)
			if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := write(name); err != nil {
				t.Errorf("%s: %v, want nil", what, err)
			}
			before, err := os.ReadFile(name)
			if err != nil || len(before) == 0 {
				t.Errorf("%s: %q, %v, want that it was written", what, before, err)
			}
			if err := write(name); err == nil {
				t.Errorf("%s: the second one is written over the first", what)
			}
			if after, err := os.ReadFile(name); err != nil || string(after) != string(before) {
				t.Errorf("%s: the first one has become %q, %v", what, after, err)
			}
		}
		close(w.stop)
		w.watching.Wait()
		elsewhere := filepath.Join(dir, "elsewhere")
		if err := os.Symlink(elsewhere, filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
		if err := write(filepath.Join(dir, "link")); err == nil {
			t.Errorf("%s is written to where a link leads", what)
		}
		if _, err := os.Stat(elsewhere); err == nil {
			t.Errorf("%s was written through a link", what)
		}
	}
}

// quietVault is a vault without keys.
func quietVault() *vault { return &vault{keys: memory.Keys(), log: slog.New(slog.DiscardHandler)} }

// A modeWatch looks at the file that is about to be made, as fast as it can.
type modeWatch struct {
	what     string
	name     atomic.Pointer[string]
	stop     chan struct{}
	watching sync.WaitGroup
}

// watch reports a file that others may do anything with, until stop is closed.
func (w *modeWatch) watch(t *testing.T) {
	for {
		select {
		case <-w.stop:
			return
		default:
		}
		name := w.name.Load()
		if name == nil {
			continue
		}
		if info, err := os.Stat(*name); err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: the mode of its file is %04o, want 0600 from the first moment", w.what, info.Mode().Perm())
			return
		}
	}
}

// TestServersThatStartAtOnceHaveOneMasterKey: of many that find no key beside a new database one makes it, and no other goes on with another.
func TestServersThatStartAtOnceHaveOneMasterKey(t *testing.T) {
	file, keys := filepath.Join(t.TempDir(), "gatehouse.db"), memory.Keys()
	var mu sync.Mutex
	ids := map[string]bool{}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			v := quietVault()
			v.keys = keys
			if v.findMaster(t.Context(), file, config.Store{}) != nil { // it may come while the file is made: the next start finds it
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[v.master.ID()] = true
		})
	}
	all.Wait()
	last := quietVault()
	if err := last.findMaster(t.Context(), file, config.Store{}); err != nil {
		t.Fatalf("afterwards: %v, want nil", err)
	}
	ids[last.master.ID()] = true
	if len(ids) != 1 {
		t.Errorf("the servers have %d master keys, want one", len(ids))
	}
}

// TestAnEmptyMasterKey is what a program leaves that is stopped while it makes one. Nothing goes on without a key, and what to do depends on whether there are keys that need the one that is lost.
func TestAnEmptyMasterKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gatehouse.db")
	name := filepath.Join(filepath.Dir(file), masterFile)
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	v := quietVault()
	wants := func(when, says string) {
		t.Helper()
		if err := v.findMaster(t.Context(), file, config.Store{}); err == nil || !strings.Contains(err.Error(), says) || v.master != nil {
			t.Errorf("an empty master key %s: %v, want an error that says %q, and no key", when, err, says)
		}
	}
	wants("before there are keys", "remove the file")
	if err := v.keys.Save(t.Context(), "access", 0, nil); err != nil {
		t.Fatal(err)
	}
	wants("when there are keys", "Bring it back")
}

// TestMasterKeysThatOthersCanRead are not used: whoever else has read the file has every key.
func TestMasterKeysThatOthersCanRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gatehouse.db")
	if err := quietVault().findMaster(t.Context(), file, config.Store{}); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(filepath.Dir(file), masterFile)
	for mode, good := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o700: true, 0o640: false, 0o604: false, 0o644: false, 0o666: false, 0o620: false, 0o602: false, 0o601: false} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		if err := quietVault().findMaster(t.Context(), file, config.Store{}); (err == nil) != good {
			t.Errorf("a master key of mode %04o: %v, want it used: %v", mode, err, good)
		}
	}
}
