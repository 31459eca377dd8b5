package house

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/token"
	"regexp"
	"strings"
	"testing"
)

var (
	// codeBlock is an indented line of a doc comment: an example, not a sentence.
	codeBlock = regexp.MustCompile(`(?m)^[ \t]+\S.*$`)
	// sentenceEnd is a full stop, or a colon that leads to an example.
	sentenceEnd = regexp.MustCompile(`[.!?:](\s|$)`)
)

// sentences counts the sentences of a doc comment.
func sentences(text string) int {
	return len(sentenceEnd.FindAllString(codeBlock.ReplaceAllString(text, ""), -1))
}

// packageDocFaults judges a package's doc comment: two sentences where users read it, one elsewhere.
func packageDocFaults(path, text string, public bool) []string {
	want := 1
	if public {
		want = 2
	}
	if got := sentences(text); got < want {
		return []string{fmt.Sprintf("package %q: the package comment has %d sentences, want at least %d: what it is, how to use it, what happens on failure", path, got, want)}
	}
	return nil
}

// packageDoc reads the package comment with its line ends; go list keeps the first sentence only.
func packageDoc(t *testing.T, p goPackage) string {
	t.Helper()
	var text strings.Builder
	for _, name := range p.files(false) {
		text.WriteString(parse(t, token.NewFileSet(), name, nil).Doc.Text())
	}
	return text.String()
}

func TestPackageDocs(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) == 0 {
			continue // tests only: nobody can import it
		}
		report(t, packageDocFaults(p.rel(), packageDoc(t, p), p.public()))
	}
}

func TestPackageDocFaults(t *testing.T) {
	for _, test := range []struct {
		text   string
		public bool
		want   int
	}{
		{"", false, 1},
		{"", true, 1},
		{"Package x does one thing", false, 1},
		{"Package x does one thing.", false, 0},
		{"Package x does one thing.", true, 1},
		{"Package x does one thing.\n\n\tx.Do() // a call. Of it.\n", true, 1},
		{"Package x does version 1.2 of it.", true, 1},
		{"Package x does one thing. It fails closed.\n", true, 0},
		{"Package x does one thing:\n\n\tx.Do()\n\nIt fails closed.\n", true, 0},
	} {
		if got := packageDocFaults("x", test.text, test.public); len(got) != test.want {
			t.Errorf("packageDocFaults(%q, public=%v) = %q, want %d faults", test.text, test.public, got, test.want)
		}
	}
}

// An undocumented collects the exported names of one package that have no comment.
type undocumented struct {
	path   string
	faults []string
}

// need records a fault if the exported name has none of the comments.
func (u *undocumented) need(name string, comments ...string) {
	for _, comment := range comments {
		if strings.TrimSpace(comment) != "" {
			return
		}
	}
	u.faults = append(u.faults, fmt.Sprintf("package %q: %s has no comment: say what goes in and out, units, nil, errors", u.path, name))
}

// values looks at one const or var group. The group's comment covers its names.
func (u *undocumented) values(v *doc.Value) {
	for _, spec := range v.Decl.Specs {
		spec, ok := spec.(*ast.ValueSpec)
		if !ok {
			continue
		}
		for _, name := range spec.Names {
			if name.IsExported() {
				u.need(name.Name, v.Doc, spec.Doc.Text(), spec.Comment.Text())
			}
		}
	}
}

// funcs looks at functions, and at methods when owner is their type's name.
func (u *undocumented) funcs(owner string, funcs []*doc.Func) {
	for _, f := range funcs {
		u.need(strings.TrimPrefix(owner+"."+f.Name, "."), f.Doc)
	}
}

// members looks at the methods of an interface and the fields of a configuration, which its users have to fill in. The
// comment of an interface with one method covers the method.
func (u *undocumented) members(typ *doc.Type) {
	for _, spec := range typ.Decl.Specs {
		spec, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		var list *ast.FieldList
		switch kind := spec.Type.(type) {
		case *ast.InterfaceType:
			if kind.Methods.NumFields() > 1 {
				list = kind.Methods
			}
		case *ast.StructType:
			if strings.HasSuffix(spec.Name.Name, "Config") {
				list = kind.Fields
			}
		}
		if list != nil {
			u.fields(spec.Name.Name, list)
		}
	}
}

func (u *undocumented) fields(owner string, list *ast.FieldList) {
	for _, field := range list.List {
		for _, name := range field.Names { // an embedded type has no name here and its own comment elsewhere
			if name.IsExported() {
				u.need(owner+"."+name.Name, field.Doc.Text(), field.Comment.Text())
			}
		}
	}
}

// undocumentedNames returns a fault for every exported name without a comment. The files must be of one package.
func undocumentedNames(path string, fileSet *token.FileSet, files []*ast.File) ([]string, error) {
	p, err := doc.NewFromFiles(fileSet, files, path, doc.PreserveAST)
	if err != nil {
		return nil, err
	}
	u := &undocumented{path: path}
	for _, v := range append(p.Consts, p.Vars...) {
		u.values(v)
	}
	u.funcs("", p.Funcs)
	for _, typ := range p.Types {
		u.need(typ.Name, typ.Doc)
		u.members(typ)
		for _, v := range append(typ.Consts, typ.Vars...) {
			u.values(v)
		}
		u.funcs("", typ.Funcs)
		u.funcs(typ.Name, typ.Methods)
	}
	return u.faults, nil
}

func TestExportedNamesAreDocumented(t *testing.T) {
	for _, p := range packages(t) {
		if !p.public() || len(p.GoFiles) == 0 {
			continue
		}
		fileSet := token.NewFileSet()
		var files []*ast.File
		for _, name := range p.files(false) {
			files = append(files, parse(t, fileSet, name, nil))
		}
		faults, err := undocumentedNames(p.rel(), fileSet, files)
		if err != nil {
			t.Errorf("package %q: %v", p.rel(), err)
		}
		report(t, faults)
	}
}

func TestUndocumentedNames(t *testing.T) {
	for name, test := range map[string]struct {
		code string
		want []string
	}{
		"function":         {"func Open() {}", []string{"Open has no comment"}},
		"said":             {"// Open opens.\nfunc Open() {}", nil},
		"not exported":     {"func open() {}", nil},
		"method":           {"// T is one.\ntype T struct{}\nfunc (T) Do() {}", []string{"T.Do has no comment"}},
		"hidden method":    {"type t struct{}\nfunc (t) Do() {}", nil},
		"constructor":      {"// T is one.\ntype T struct{}\nfunc New() T { return T{} }", []string{"New has no comment"}},
		"type":             {"type T int", []string{"T has no comment"}},
		"constant":         {"const A = 1", []string{"A has no comment"}},
		"line comment":     {"const (\n\tA = 1 // A is one.\n\tB = 2\n)", []string{"B has no comment"}},
		"group comment":    {"// Kinds of it.\nconst (\n\tA = 1\n\tB = 2\n)", nil},
		"typed constant":   {"// T is one.\ntype T int\nconst A T = 1", []string{"A has no comment"}},
		"variable":         {"var ErrA, errB = 1, 2", []string{"ErrA has no comment"}},
		"interface method": {"// T is one.\ntype T interface {\n\tDo()\n\t// Undo it.\n\tUndo()\n}", []string{"T.Do has no comment"}},
		"one method":       {"// T is one.\ntype T interface{ Do() }", nil},
		"config field":     {"// Config is one.\ntype Config struct {\n\tA int\n\tB int // B is said.\n\tc int\n}", []string{"Config.A has no comment"}},
		"other field":      {"// T is one.\ntype T struct {\n\tA int\n}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			fileSet := token.NewFileSet()
			file := parse(t, fileSet, "x.go", "package x\n\n"+test.code+"\n")
			faults, err := undocumentedNames("x", fileSet, []*ast.File{file})
			if err != nil {
				t.Fatal(err)
			}
			mustFind(t, "undocumentedNames", faults, test.want...)
		})
	}
}
