//go:build !unix || solaris || illumos || aix

package listen

import "os"

// lockFolder does nothing where folders cannot be locked: of two servers that start in the same instant over one stale
// socket, the later one then has it.
func lockFolder(string) (unlock func(), err error) { return func() {}, nil }

// lock does nothing where files cannot be locked in this way.
func lock(*os.File) error { return nil }
