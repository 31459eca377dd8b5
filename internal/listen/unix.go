package listen

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// ErrInUse is wrapped by the error of [Unix] if a server answers on the socket.
var ErrInUse = errors.New("another gatehouse answers")

// maxSocketPath is what the kernel takes for the address of a Unix socket, in bytes.
const maxSocketPath = 104

// Unix listens on a socket at path that only this user can connect to, from the first moment: it is made in a private
// folder, gets mode 0600, and is then linked to its place. Missing parent folders are created with mode 0700.
//
// A socket that nobody answers on, left by a process that was killed, is replaced. If somebody answers the error wraps
// [ErrInUse]; whatever else stands at path, a link too, is refused and left alone. Close removes the socket, unless
// another has taken its place.
func Unix(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("cannot create the folder of the socket %s: %w", path, err)
	}
	unlock, err := lockFolder(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("cannot create the socket %s: %w", path, err)
	}
	defer unlock()
	private, err := os.MkdirTemp(filepath.Dir(path), ".s")
	if err != nil {
		return nil, fmt.Errorf("cannot create the socket %s: %w: its folder must be writable", path, err)
	}
	defer os.RemoveAll(private)
	if err := removeStale(path, filepath.Join(private, "old")); err != nil {
		return nil, err
	}
	return place(filepath.Join(private, "s"), path)
}

// place listens at private and links the socket to path.
func place(private, path string) (net.Listener, error) {
	if longest := max(len(private), len(path)); longest >= maxSocketPath {
		return nil, fmt.Errorf("the path of the socket %s is too long by %d bytes: choose a shorter one", path, longest-maxSocketPath+1)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: private, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("cannot create the socket %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false)
	info, err := publish(private, path)
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("cannot create the socket %s: %w", path, err)
	}
	return &unixListener{UnixListener: l, path: path, info: info}, nil
}

// publish links, since a link, unlike a rename, never replaces what appeared at path in the meantime.
func publish(private, path string) (fs.FileInfo, error) {
	if err := os.Chmod(private, 0o600); err != nil {
		return nil, err
	}
	info, err := os.Lstat(private)
	if err != nil {
		return nil, err
	}
	return info, os.Link(private, path)
}

// removeStale makes room at path by moving a socket without a server to aside.
func removeStale(path, aside string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot look at %s: %w", path, err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is not a socket and stays as it is: move it away, or choose another path for the socket", path)
	}
	if err := silent(path); err != nil {
		return err
	}
	if err := os.Rename(path, aside); err != nil {
		return fmt.Errorf("cannot remove the stale socket %s: %w", path, err)
	}
	// Between the look and the rename a program that does not lock the folder may have put a socket there: give it back.
	if now, err := os.Lstat(aside); err == nil && !os.SameFile(info, now) {
		return errors.Join(fmt.Errorf("%w on %s: stop it first", ErrInUse, path), os.Link(aside, path))
	}
	return nil
}

// silent returns nil only if it is certain that no server listens on path.
func silent(path string) error {
	c, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		c.Close()
		return fmt.Errorf("%w on %s: stop it first, or choose another path for the socket", ErrInUse, path)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return fmt.Errorf("cannot tell whether a server answers on %s: %w: remove the socket if none does", path, err)
}

// unixListener is a listener that was linked to another place than it was bound to.
type unixListener struct {
	*net.UnixListener
	path string
	info fs.FileInfo
	once sync.Once
}

// Addr returns the address that clients use.
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close stops to listen and removes the socket.
func (l *unixListener) Close() error {
	l.once.Do(func() {
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.info) {
			os.Remove(l.path)
		}
	})
	return l.UnixListener.Close()
}
