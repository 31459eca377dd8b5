//go:build unix && !solaris && !illumos && !aix

package listen

import (
	"fmt"
	"os"
	"syscall"
)

// lockFolder keeps other processes that call it from the folder until the returned function is called. It does not wait.
func lockFolder(name string) (unlock func(), err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("%w or starts in %s: try again, or choose another folder for the socket", ErrInUse, name)
	}
	return func() { f.Close() }, nil
}

// lock keeps other processes from f until it is closed.
func lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
