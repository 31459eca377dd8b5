package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// referencePrefix begins a value that stands in another file.
const referencePrefix = "file:"

// maxSecretSize bounds a file that a reference names, in bytes.
const maxSecretSize = 64 << 10

// resolve returns file as it is to be opened: relative to the folder of the configuration file.
func (d *decoder) resolve(file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(d.dir, file)
}

// reference returns the text that the secret n stands for: its own, or the content of the file that file:PATH names, without one
// newline at the end. It reports false after a fault.
func (d *decoder) reference(n *node, path string) (string, bool) {
	file, ok := strings.CutPrefix(n.text, referencePrefix)
	if !ok {
		return n.text, true
	}
	if file == "" {
		d.fault(n.at, path, "file: names no file; write file:PATH, relative to the folder of the configuration file")
		return "", false
	}
	file = d.resolve(file)
	d.watch[file] = true
	data, err := d.options.readFile(file)
	switch {
	case err != nil:
		d.fault(n.at, path, "the file that file: names cannot be read: %s", reason(err))
		return "", false
	case len(data) > maxSecretSize:
		d.fault(n.at, path, "the file that file: names is larger than 64 KiB; a secret is one line")
		return "", false
	}
	text := strings.TrimSuffix(string(data), "\n")
	// From here on nothing of it may be quoted.
	n.text, n.free, n.source = strings.TrimSuffix(text, "\r"), true, ""
	return n.text, true
}

// reason returns why a file could not be read, without its name, which may come from the environment.
func reason(err error) string {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err.Error()
	}
	return err.Error()
}

// readFile reads a file with the function of the options, or with the file system. It reads one byte more than the largest file that is
// taken, so that an endless file is refused and not read.
func (o Options) readFile(name string) ([]byte, error) {
	if o.ReadFile != nil {
		return o.ReadFile(name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSize+1))
}
