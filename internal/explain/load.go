package explain

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// maxFile bounds a policy test file, in bytes.
	maxFile = 1 << 20
	// maxCombinations bounds how many combinations the tests of one suite may have.
	maxCombinations = 100_000
)

// LoadTests reads the policy test files that patterns name (as in path/filepath.Match), relative to dir; "" is the working folder. A pattern that
// matches nothing is a fault, and so is a suite without tests. The error is a [Faults] with all faults of all files.
func LoadTests(patterns []string, dir string) (*Suite, error) {
	files, faults := findFiles(patterns, dir)
	s := &Suite{files: files}
	for _, name := range files {
		tests, more := loadFile(name)
		s.tests, faults = append(s.tests, tests...), append(faults, more...)
	}
	if err := faults.err(); err != nil {
		return nil, err
	}
	if n := s.combinations(); n > maxCombinations {
		return nil, Faults{{File: files[0], Message: fmt.Sprintf("the tests have %d combinations of request and caller; at most %d are run", n, maxCombinations)}}
	}
	return s, nil
}

// combinations counts what a run judges. A file's size bounds both factors, so that no product overflows.
func (s *Suite) combinations() int {
	n := 0
	for _, t := range s.tests {
		n += len(t.requests) * len(t.callers)
	}
	return n
}

// findFiles returns the files that patterns name, sorted and each once.
func findFiles(patterns []string, dir string) ([]string, Faults) {
	if len(patterns) == 0 {
		return nil, Faults{{File: "policy tests", Message: "no file is named: write one such as tests/*.yaml; see " + guide}}
	}
	var files []string
	var faults Faults
	for _, pattern := range patterns {
		found, err := glob(pattern, dir)
		switch {
		case err != nil:
			faults = append(faults, Fault{File: quote(pattern), Message: "is not a pattern of file names; write one such as tests/*.yaml"})
		case len(found) == 0:
			faults = append(faults, Fault{File: pattern, Message: "matches no file in " + quote(filepath.Clean(dir)) + "; correct it, or write the tests (" + guide + ")"})
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	return slices.Compact(files), faults
}

// glob returns the files that pattern, relative to dir, names.
func glob(pattern, dir string) ([]string, error) {
	switch {
	case pattern == "":
		return nil, filepath.ErrBadPattern // it would name the folder
	case filepath.IsAbs(pattern):
		return filepath.Glob(pattern)
	}
	return filepath.Glob(filepath.Join(escapePattern(dir), pattern))
}

// escapePattern keeps characters of a folder's name from being taken for a pattern.
func escapePattern(dir string) string {
	if filepath.Separator == '\\' {
		return dir // there Match knows no escape
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// loadFile reads one file.
func loadFile(name string) ([]policyTest, Faults) {
	if !slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(name))) {
		return nil, Faults{{File: name, Message: "is not a policy test file: those end in .yaml, .yml or .json"}}
	}
	data, fault := readFile(name)
	if fault != "" {
		return nil, Faults{{File: name, Message: fault}}
	}
	return parseTests(name, data)
}

func readFile(name string) (data []byte, fault string) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, "cannot be read: " + reason(err)
	case !info.Mode().IsRegular():
		return nil, "is not a file; write a pattern for the files in it, such as " + filepath.Join(name, "*.yaml")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, "cannot be read: " + reason(err)
	}
	defer f.Close()
	data, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, "cannot be read: " + reason(err)
	case len(data) > maxFile:
		return nil, "is larger than 1 MiB; split it"
	}
	return data, ""
}

// reason leaves the path out of err: it stands before the message already.
func reason(err error) string {
	if pathError, ok := err.(*os.PathError); ok {
		return pathError.Err.Error()
	}
	return err.Error()
}

// parseTests reads the text of one file. It returns tests only if there is no fault.
func parseTests(name string, data []byte) ([]policyTest, Faults) {
	l := newLoader(name, data)
	root := l.document()
	if len(l.faults) > 0 {
		return nil, l.faults
	}
	if root == nil {
		l.whole("is empty; write tests: and a list of tests below it, see " + guide)
		return nil, l.faults
	}
	tests := l.tests(root)
	if len(l.faults) > 0 {
		return nil, l.faults
	}
	return tests, nil
}
