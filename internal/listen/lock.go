package listen

import (
	"errors"
	"fmt"
	"os"
)

// A FileLock keeps a file of a running server's own. Its content stays when the server ends.
type FileLock struct{ file *os.File }

// LockFile makes the file called name, with mode 0600, where there is none, and keeps other processes that call it from the file until it is
// closed, or the process ends. It does not wait: if another process has it, the error wraps [ErrLocked].
func LockFile(name string) (*FileLock, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s", ErrLocked, name), f.Close())
	}
	return &FileLock{f}, nil
}

// ErrLocked is wrapped by the error of [LockFile] if another process has the lock.
var ErrLocked = errors.New("another process has the lock")

// Marked reports whether [FileLock.Mark] has been called, by whichever process, since the file was made.
func (l *FileLock) Marked() (bool, error) {
	info, err := l.file.Stat()
	if err != nil {
		return false, err
	}
	return info.Size() > 0, nil
}

// Mark writes text, which must not be empty, into the file unless it has content, and returns when it is on the disk.
func (l *FileLock) Mark(text string) error {
	if marked, err := l.Marked(); marked || err != nil {
		return err
	}
	if _, err := l.file.WriteString(text); err != nil {
		return err
	}
	return l.file.Sync()
}

// Close gives the lock back. The file stays.
func (l *FileLock) Close() error { return l.file.Close() }
