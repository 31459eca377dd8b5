package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module is the path that every import of our own begins with.
const module = "github.com/gatehouse-auth/gatehouse"

// root is the top of the checkout, seen from this package.
var root = filepath.Join("..", "..")

// A goPackage is what `go list -json` says of a package, as far as the checks need it.
type goPackage struct {
	Dir          string
	ImportPath   string
	Name         string
	Doc          string
	GoFiles      []string
	Imports      []string
	TestGoFiles  []string
	XTestGoFiles []string
}

// rel is the package's path within the module, "" for the root package.
func (p goPackage) rel() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// public reports whether users of the library may import p.
func (p goPackage) public() bool {
	top, _, _ := strings.Cut(p.rel(), "/")
	return p.Name != "main" && !slices.Contains(strings.Split(p.rel(), "/"), "internal") &&
		!slices.Contains([]string{"cmd", "examples", "bench", "scripts"}, top)
}

// files are the paths of the package's Go files: of the code, and with tests also of the tests.
func (p goPackage) files(tests bool) []string {
	names := slices.Clone(p.GoFiles)
	if tests {
		names = slices.Concat(names, p.TestGoFiles, p.XTestGoFiles)
	}
	for i, name := range names {
		names[i] = filepath.Join(p.Dir, name)
	}
	return names
}

// goList runs `go list` in the root of the module and returns what it prints.
func goList(t *testing.T, args ...string) []byte {
	t.Helper()
	command := exec.Command("go", append([]string{"list"}, args...)...)
	command.Dir = root
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}

// packages lists every package of the module.
func packages(t *testing.T) []goPackage {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(goList(t, "-json=Dir,ImportPath,Name,Doc,GoFiles,Imports,TestGoFiles,XTestGoFiles", "./...")))
	var all []goPackage
	for {
		var p goPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("go list -json: %v", err)
		}
		all = append(all, p)
	}
}

// parse reads one Go file with its comments. A nil src means: from the disk.
func parse(t *testing.T, files *token.FileSet, name string, src any) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(files, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	return file
}

// report fails the test with each fault. Faults are whole sentences: where, what is wrong, what to do.
func report(t *testing.T, faults []string) {
	t.Helper()
	for _, fault := range faults {
		t.Error(fault)
	}
}

// mustFind checks that a checker found exactly one fault for each of want, in any order, and that each fault says it.
func mustFind(t *testing.T, name string, faults []string, want ...string) {
	t.Helper()
	if len(faults) != len(want) {
		t.Errorf("%s found %d faults, want %d:\n%s", name, len(faults), len(want), strings.Join(faults, "\n"))
	}
	for _, part := range want {
		if !slices.ContainsFunc(faults, func(fault string) bool { return strings.Contains(fault, part) }) {
			t.Errorf("%s did not report %q, it said:\n%s", name, part, strings.Join(faults, "\n"))
		}
	}
}
