package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	driversqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// making is held while a file is made. Closing a file ends all locks that the process has on it, with any descriptor: no database may be opened
// between the two. For the same reason a file that is there is never opened here.
var making sync.Mutex

// makeFile makes an empty file called name, and its folder, if there is none: for the owner alone, and the files beside it get the mode from it.
func makeFile(name string) error {
	making.Lock()
	defer making.Unlock()
	switch info, err := os.Stat(name); {
	case err == nil && !info.Mode().IsRegular():
		return fmt.Errorf("%q is no file: give the name of a file, or of none yet", name)
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := makeFolder(filepath.Dir(name)); err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return madeByAnother(name)
	}
	if err != nil {
		return err
	}
	err = errors.Join(file.Sync(), file.Close())
	syncFolder(filepath.Dir(name))
	return err
}

// makeFolder makes the folder called name, and those that it is in, where there are none.
func makeFolder(name string) error {
	_, err := os.Stat(name)
	above := filepath.Dir(name)
	if !errors.Is(err, fs.ErrNotExist) || above == name { // there, out of reach, or a disk that is missing
		return err
	}
	if err := makeFolder(above); err != nil {
		return err
	}
	if err := os.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	syncFolder(above)
	return nil
}

// syncFolder makes what was made in the folder called name survive a loss of power, or the first sessions would be gone with their file. Not every
// system can be asked for that, so that a refusal is no error.
func syncFolder(name string) {
	if folder, err := os.Open(name); err == nil {
		_ = folder.Sync()
		_ = folder.Close()
	}
}

// madeByAnother returns nil if there is a file now. There is none behind a link that leads nowhere, and SQLite would make it readable to all.
func madeByAnother(name string) error {
	if _, err := os.Stat(name); err != nil {
		return fmt.Errorf("%q is a link to a file that is not there: %w", name, err)
	}
	return nil
}

// errDamaged is wrapped by what the check for damage finds.
var errDamaged = errors.New("the file is damaged")

// explain returns err with what a person can do about it.
func (c config) explain(err error) error {
	if advice := c.advice(err); advice != "" {
		return fmt.Errorf("%s: %w", advice, err)
	}
	return err
}

func (c config) advice(err error) string {
	switch codeOf(err) {
	case sqlite3.SQLITE_NOTADB:
		return fmt.Sprintf("%q is no SQLite database: give another name, or move the file away", c.name)
	case sqlite3.SQLITE_CORRUPT:
		return fmt.Sprintf("%q is damaged: stop what uses it, keep a copy with its -wal file, and restore a backup, or save what there is with the command "+
			".recover of the sqlite3 program", c.name)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return fmt.Sprintf("%q cannot be written: this process needs the right to write the file, the files beside it and the folder", c.name)
	case sqlite3.SQLITE_IOERR:
		return fmt.Sprintf("%q cannot be read or written: the disk, or a limit of this process, refuses it", c.name)
	case sqlite3.SQLITE_FULL:
		return fmt.Sprintf("there is no room for %q: make some on its disk", c.name)
	case sqlite3.SQLITE_BUSY:
		return fmt.Sprintf("another process has kept %q locked for %v: end it, or its transaction", c.name, c.busy)
	}
	return ""
}

// codeOf returns what kind of error of SQLite err is, 0 if it is none.
func codeOf(err error) int {
	var fault *driversqlite.Error
	switch {
	case errors.As(err, &fault):
		return fault.Code() & 0xff // the rest says more than anybody needs
	case errors.Is(err, errDamaged):
		return sqlite3.SQLITE_CORRUPT
	}
	return 0
}
