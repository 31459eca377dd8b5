package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gatehouse-auth/gatehouse/internal/listen"
)

// usedText is what stands in the file beside a database from the moment that the database is there.
const usedText = "Gatehouse keeps its database in the file of this name without .lock. This file says that there was one, and keeps a second server away from it.\n"

// lockSuffix is what is added to a database's name.
const lockSuffix = ".lock"

// enterFolder makes the folder of a database, for this user alone, and locks the database against other servers until the lock is closed. It refuses to
// begin with an empty database where there was another one: a disk that is not mounted, or a file that was moved, must not sign everybody out silently.
func enterFolder(file string) (*listen.FileLock, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	name := real(file) + lockSuffix
	lock, err := listen.LockFile(name)
	if errors.Is(err, listen.ErrLocked) {
		return nil, fmt.Errorf("another gatehouse serves with %s: stop it first, or give this one a store.url of its own", file)
	}
	if err != nil {
		return nil, err
	}
	if err := notGone(file); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// notGone refuses a database that was there and is there no more.
func notGone(file string) error {
	file = real(file)
	if size(file) > 0 {
		return nil
	}
	for _, sign := range []string{file + lockSuffix, file + "-wal"} {
		if size(sign) > 0 {
			return fmt.Errorf("there was a database in %s, and it is gone (%s says so): bring it back, say from a backup; or, to begin with an empty one, remove %[2]s",
				file, sign)
		}
	}
	return nil
}

// real follows links, so that two names of one file have one lock.
func real(file string) string {
	if resolved, err := filepath.EvalSymlinks(file); err == nil {
		return resolved
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(file)); err == nil {
		return filepath.Join(dir, filepath.Base(file))
	}
	return file
}

// size is that of a file, 0 if there is none, and more than that if nobody knows: who cannot look must not say that it is gone.
func size(name string) int64 {
	info, err := os.Stat(name)
	switch {
	case err == nil:
		return info.Size()
	case errors.Is(err, fs.ErrNotExist):
		return 0
	}
	return 1
}
