//go:build unix

package cli

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestTheMarkBelongsToTheOwnerOfTheDatabase: a command that root runs must not leave a file that the server cannot read.
func TestTheMarkBelongsToTheOwnerOfTheDatabase(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	file := filepath.Join(t.TempDir(), "gatehouse.db")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const nobody = 65534
	for _, owner := range []int{nobody, 0, nobody} {
		if err := os.Chown(file, owner, owner); err != nil {
			t.Fatal(err)
		}
		if err := (feedMark{file + seenSuffix}).save(mark{seq: 1}); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file + seenSuffix)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Sys().(*syscall.Stat_t); int(got.Uid) != owner || info.Mode().Perm() != 0o600 {
			t.Errorf("the mark belongs to %d, mode %v, want %d, as the database, and 0600", got.Uid, info.Mode(), owner)
		}
	}
}
