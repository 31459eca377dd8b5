//go:build unix

package cli

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// giveTo gives a file to the owner of another one, where there is one.
func giveTo(f *os.File, owned string) error {
	info, err := os.Stat(owned)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) == os.Geteuid() {
		return nil
	}
	return f.Chown(int(owner.Uid), int(owner.Gid))
}
