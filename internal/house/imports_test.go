package house

import (
	"fmt"
	"go/ast"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// forbiddenImports says which packages no code of ours may import, and why. Test files may.
var forbiddenImports = map[string]string{
	"math/rand":      "its numbers can be guessed: crypto/rand",
	"math/rand/v2":   "its numbers can be guessed: crypto/rand",
	"crypto/md5":     "broken: crypto/sha256",
	"crypto/sha1":    "broken: crypto/sha256",
	"crypto/des":     "broken: crypto/aes with GCM",
	"crypto/rc4":     "broken: crypto/aes with GCM",
	"net/http/pprof": "it adds itself to the default mux: no debug page on a public listener",
	"expvar":         "it adds itself to the default mux: no debug page on a public listener",
}

// testOnlyImports are modules that serve tests and have no place in the product.
var testOnlyImports = []string{
	"testing", "net/http/httptest", "github.com/google/go-cmp", "pgregory.net/rapid", "go.uber.org/goleak", "github.com/rogpeppe/go-internal",
}

// mayImport lists the packages that stand outside one of the rules: path within the module → import.
var mayImport = map[string][]string{
	"gatehousetest":   {"testing", "net/http/httptest"}, // it is made for tests
	"store/storetest": {"testing"},
}

// importFaults judges what the code of p imports.
func importFaults(p goPackage) []string {
	var faults []string
	for _, path := range p.Imports {
		if slices.Contains(mayImport[p.rel()], path) {
			continue
		}
		if why, ok := forbiddenImports[path]; ok {
			faults = append(faults, fmt.Sprintf("package %q imports %q: %s", p.rel(), path, why))
		}
		for _, name := range testOnlyImports {
			if path == name || strings.HasPrefix(path, name+"/") {
				faults = append(faults, fmt.Sprintf("package %q imports %q outside its tests", p.rel(), path))
			}
		}
	}
	return faults
}

func TestForbiddenImports(t *testing.T) {
	for _, p := range packages(t) {
		report(t, importFaults(p))
	}
}

func TestImportFaults(t *testing.T) {
	for path, want := range map[string][]string{
		"crypto/rand": nil, "html/template": nil, "testing2": nil, "net/http": nil,
		"math/rand":                    {"its numbers can be guessed"},
		"math/rand/v2":                 {"its numbers can be guessed"},
		"crypto/md5":                   {"broken"},
		"net/http/pprof":               {"no debug page"},
		"testing":                      {"outside its tests"},
		"testing/synctest":             {"outside its tests"},
		"github.com/google/go-cmp/cmp": {"outside its tests"},
	} {
		p := goPackage{ImportPath: module + "/policy", Imports: []string{path}}
		mustFind(t, "importFaults("+path+")", importFaults(p), want...)
	}
	helper := goPackage{ImportPath: module + "/gatehousetest", Imports: []string{"testing", "crypto/md5"}}
	mustFind(t, "importFaults(gatehousetest)", importFaults(helper), "crypto/md5")
}

// clockCalls are the functions that ask the machine for the time. Naming time.Now without calling it is how a nil Now
// gets its meaning; calling it is what the injected clock is for.
var clockCalls = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// timeCalls finds the calls of package time's functions that are named in names.
func timeCalls(fileSet *token.FileSet, file *ast.File, names []string) []string {
	if name := importName(file, "time"); name != "time" {
		return nil
	}
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if name := selected(call.Fun, "time"); slices.Contains(names, name) {
			at := fileSet.Position(call.Pos())
			found = append(found, fmt.Sprintf("%s:%d calls time.%s", filepath.ToSlash(at.Filename), at.Line, name))
		}
		return true
	})
	return found
}

// selected is the name after the dot if expr is `pack.name`, else "".
func selected(expr ast.Expr, pack string) string {
	selector, ok := expr.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if x, ok := selector.X.(*ast.Ident); !ok || x.Name != pack {
		return ""
	}
	return selector.Sel.Name
}

// importName is the name under which file imports path, "" if it does not.
func importName(file *ast.File, path string) string {
	for _, spec := range file.Imports {
		if got, err := strconv.Unquote(spec.Path.Value); err != nil || got != path {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path[strings.LastIndex(path, "/")+1:]
	}
	return ""
}

// TestDomainTakesTheTime keeps the clock of the domain injected: the packages up to the guard ask a Now that their
// user sets, so that a test can move it.
func TestDomainTakesTheTime(t *testing.T) {
	for _, p := range packages(t) {
		if layer, ok := layerOf(p.rel()); !ok || layer > layers["guard"] {
			continue
		}
		for _, name := range p.files(false) {
			fileSet := token.NewFileSet()
			for _, call := range timeCalls(fileSet, parse(t, fileSet, name, nil), clockCalls) {
				t.Errorf("%s: take the time from an injected Now func() time.Time", call)
			}
		}
	}
}

// TestNoSleepInTests keeps tests from waiting for luck. Inside a testing/synctest bubble the clock is not the machine's.
func TestNoSleepInTests(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range p.files(true) {
			if !strings.HasSuffix(name, "_test.go") {
				continue
			}
			fileSet := token.NewFileSet()
			file := parse(t, fileSet, name, nil)
			if importName(file, "testing/synctest") != "" {
				continue
			}
			for _, call := range timeCalls(fileSet, file, []string{"Sleep"}) {
				t.Errorf("%s: move an injected clock, or wait for the condition itself", call)
			}
		}
	}
}

func TestTimeCalls(t *testing.T) {
	for code, want := range map[string][]string{
		"now := time.Now; _ = now":         nil,
		"_ = time.Now()":                   {"x.go:4 calls time.Now"},
		"_ = time.Now().Add(time.Second)":  {"calls time.Now"},
		"_ = time.Since(time.Time{})":      {"calls time.Since"},
		"time.Sleep(1)\n\t<-time.After(1)": {"calls time.Sleep", "calls time.After"},
		"_ = time.Unix(1, 0)":              nil,
		"_ = time.Duration(1)":             nil,
		"c.Now()":                          nil,
		"func() { _ = time.Now() }()":      {"calls time.Now"},
	} {
		fileSet := token.NewFileSet()
		file := parse(t, fileSet, "x.go", "package x\nimport \"time\"\nfunc f() {\n\t"+code+"\n}\n")
		mustFind(t, code, timeCalls(fileSet, file, clockCalls), want...)
	}
	fileSet := token.NewFileSet()
	file := parse(t, fileSet, "x.go", "package x\nvar time clock\nfunc f() { time.Now() }\n")
	mustFind(t, "a variable named time", timeCalls(fileSet, file, clockCalls))
}

// TestExceptionsNamePackagesWithALayer keeps the exceptions honest: an exception for a package that has no layer is left over.
func TestExceptionsNamePackagesWithALayer(t *testing.T) {
	for path := range mayImport {
		if _, ok := layerOf(path); !ok {
			t.Errorf("mayImport names %q, which has no layer", path)
		}
	}
}
