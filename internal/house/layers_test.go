package house

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// layers says how high each package stands. An import goes to a lower layer only, and packages on one layer do not
// meet. A name that ends in "/..." covers the whole tree below it. Packages of later parts have their place already.
var layers = map[string]int{
	"": 0, "internal/seal": 0, "third_party/passwords": 0,

	"policy": 1, "problem": 1, "session": 1, "keyring": 1, "revoke": 1, "passwd": 1,

	"token": 2,

	"carrier": 3, "account": 3,

	"guard": 4, "store/internal/sqldb": 4,

	"store/memory": 5, "store/sqlite": 5, "store/postgres": 5, "store/redis": 5, "store/storetest": 5, "store/sqlpolicy": 5,
	"openapi": 5, "gateway": 5,

	"gatehousetest": 6, "internal/config": 6, "internal/audit": 6, "internal/limit": 6, "internal/outbox": 6,
	"internal/logs": 6, "internal/listen": 6, "internal/explain": 6,

	"internal/api": 7, "internal/admin": 7, "internal/pages": 7,

	"internal/cli": 8, "internal/testbed": 8,

	"cmd/gatehouse": 9, "internal/house": 9, "internal/e2e": 9, "examples/...": 9, "bench/...": 9, "scripts/...": 9,
}

// layerOf finds the layer of a package by its path within the module.
func layerOf(path string) (int, bool) {
	if layer, ok := layers[path]; ok {
		return layer, true
	}
	for dir := path; dir != "." && dir != ""; dir = filepath.ToSlash(filepath.Dir(dir)) {
		if layer, ok := layers[dir+"/..."]; ok {
			return layer, true
		}
	}
	return 0, false
}

// layerFaults finds packages without a layer and imports that do not go down. Test files are not looked at.
func layerFaults(all []goPackage) []string {
	var faults []string
	for _, p := range all {
		from, ok := layerOf(p.rel())
		if !ok {
			faults = append(faults, fmt.Sprintf("package %q has no layer: give it one in internal/house/layers_test.go", p.rel()))
			continue
		}
		for _, path := range p.Imports {
			faults = append(faults, importFault(p, from, path)...)
		}
	}
	return faults
}

// importFault judges one import of p, which stands on layer from.
func importFault(p goPackage, from int, path string) []string {
	if path != module && !strings.HasPrefix(path, module+"/") {
		return nil
	}
	target := goPackage{ImportPath: path}.rel()
	to, ok := layerOf(target)
	if ok && to < from {
		return nil
	}
	return []string{fmt.Sprintf("package %q (layer %d) imports %q (layer %d): an import must go to a lower layer", p.rel(), from, target, to)}
}

func TestLayers(t *testing.T) {
	report(t, layerFaults(packages(t)))
}

// TestLayerFaults shows that the checker refuses each kind of bad import, and nothing else.
func TestLayerFaults(t *testing.T) {
	pack := func(path string, imports ...string) goPackage {
		own := strings.TrimSuffix(module+"/"+path, "/")
		for i, name := range imports {
			if strings.HasPrefix(name, "./") {
				imports[i] = strings.TrimSuffix(module+name[1:], "/")
			}
		}
		return goPackage{ImportPath: own, Imports: imports}
	}
	for name, test := range map[string]struct {
		graph []goPackage
		want  []string
	}{
		"down":               {[]goPackage{pack("guard", "./policy", "./carrier", "./", "net/http")}, nil},
		"tree":               {[]goPackage{pack("examples/token-server", "./guard"), pack("bench", "./guard")}, nil},
		"other module":       {[]goPackage{pack("policy", module+"-extras/guard")}, nil},
		"up":                 {[]goPackage{pack("policy", "./guard")}, []string{`"policy" (layer 1) imports "guard" (layer 4)`}},
		"root imports":       {[]goPackage{pack("", "./policy")}, []string{`"" (layer 0) imports "policy"`}},
		"sibling":            {[]goPackage{pack("policy", "./problem")}, []string{`"policy" (layer 1) imports "problem" (layer 1)`}},
		"internal siblings":  {[]goPackage{pack("internal/config", "./internal/logs")}, []string{`imports "internal/logs"`}},
		"examples meet":      {[]goPackage{pack("examples/a", "./examples/b")}, []string{`imports "examples/b"`}},
		"no layer":           {[]goPackage{pack("util")}, []string{`package "util" has no layer`}},
		"no layer below one": {[]goPackage{pack("policy/rules")}, []string{`package "policy/rules" has no layer`}},
		"imports no layer":   {[]goPackage{pack("guard", "./util")}, []string{`imports "util"`}},
		"two faults":         {[]goPackage{pack("policy", "./guard", "./problem")}, []string{`imports "guard"`, `imports "problem"`}},
	} {
		t.Run(name, func(t *testing.T) {
			mustFind(t, "layerFaults", layerFaults(test.graph), test.want...)
		})
	}
}

// standard reports whether an import path belongs to the standard library: its first element has no dot.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// TestRootImportsStandardLibraryOnly keeps the package that every program imports free of other people's code.
func TestRootImportsStandardLibraryOnly(t *testing.T) {
	for _, path := range strings.Fields(string(goList(t, "-f", `{{join .Imports "\n"}}`, "."))) {
		if !standard(path) {
			t.Errorf("the root package imports %q, want the standard library only", path)
		}
	}
}

func TestStandard(t *testing.T) {
	for path, want := range map[string]bool{
		"net/http": true, "fmt": true, "crypto/sha256": true,
		module: false, "golang.org/x/net/http2": false, "go.yaml.in/yaml/v4": false,
	} {
		if got := standard(path); got != want {
			t.Errorf("standard(%q) = %v, want %v", path, got, want)
		}
	}
}

// drivers are packages that a program must not link because it imports the guard: only a store may bring them.
var drivers = []string{
	"database/sql", "modernc.org/sqlite", "github.com/jackc/pgx", "github.com/redis/rueidis", "github.com/mattn/go-sqlite3",
}

// linkFaults judges the lines "module package" of everything that a program links, standard library included.
func linkFaults(lines []byte, most int) []string {
	var faults, modules []string
	for scan := bufio.NewScanner(bytes.NewReader(lines)); scan.Scan(); {
		owner, path, _ := strings.Cut(scan.Text(), " ")
		for _, driver := range drivers {
			if path == driver || strings.HasPrefix(path, driver+"/") {
				faults = append(faults, fmt.Sprintf("links the driver %q", path))
			}
		}
		if owner != "" && owner != module && !slices.Contains(modules, owner) {
			modules = append(modules, owner)
		}
	}
	if len(modules) > most {
		faults = append(faults, fmt.Sprintf("links %d modules, want at most %d: %s", len(modules), most, strings.Join(modules, " ")))
	}
	return faults
}

// TestGuardLinksLittle keeps the library light: a program that imports guard links at most five modules and no driver.
func TestGuardLinksLittle(t *testing.T) {
	lines := goList(t, "-deps", "-f", `{{with .Module}}{{.Path}}{{end}} {{.ImportPath}}`, "./guard")
	if !bytes.Contains(lines, []byte(module+" "+module+"/guard\n")) {
		t.Fatal("go list -deps ./guard does not list guard itself: the check below would see nothing")
	}
	report(t, linkFaults(lines, 5))
}

func TestLinkFaults(t *testing.T) {
	own := module + " " + module + "/guard\n"
	for name, test := range map[string]struct {
		lines string
		want  []string
	}{
		"own only":       {own + " net/http\n", nil},
		"two of two":     {own + "a.org/a a.org/a\na.org/a a.org/a/b\nb.org/b b.org/b\n", nil},
		"three of two":   {own + "a.org/a a.org/a\nb.org/b b.org/b\nc.org/c c.org/c\n", []string{"links 3 modules, want at most 2"}},
		"driver":         {own + "modernc.org/sqlite modernc.org/sqlite/lib\n", []string{`"modernc.org/sqlite/lib"`}},
		"driver package": {own + " database/sql/driver\n", []string{`"database/sql/driver"`}},
		"like a driver":  {own + "modernc.org/sqlite3x modernc.org/sqlite3x\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			mustFind(t, "linkFaults", linkFaults([]byte(test.lines), 2), test.want...)
		})
	}
}

// TestMainDoesNothing keeps the program a function that tests can run: main only calls it.
func TestMainDoesNothing(t *testing.T) {
	dir := filepath.Join(root, "cmd", "gatehouse")
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("Glob(cmd/gatehouse/*.go) = %v, %v, want main.go", names, err)
	}
	lines := 0
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines += bytes.Count(text, []byte("\n"))
	}
	if lines > 40 {
		t.Errorf("cmd/gatehouse has %d lines, want at most 40: move the code to internal/cli", lines)
	}
}
