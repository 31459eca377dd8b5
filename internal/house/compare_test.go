package house

import (
	"fmt"
	"go/ast"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
)

// secretName is what variables and fields that hold a secret are called.
var secretName = regexp.MustCompile(`(?i)(credential|secret|password|signature)$|^(mac|digest)$`)

// earlyEnds are functions that end at the first difference, and so tell by their time where it is.
var earlyEnds = []string{"bytes.Equal", "bytes.Compare", "bytes.HasPrefix", "strings.Compare", "strings.EqualFold", "strings.HasPrefix", "strings.Contains", "slices.Contains", "slices.Equal", "slices.Index", "reflect.DeepEqual", "maps.Equal"}

// holdsSecret reports whether an expression is the text of a secret, by what it calls or is called.
func holdsSecret(expr ast.Expr) bool {
	switch e := expr.(type) {
	case *ast.ParenExpr:
		return holdsSecret(e.X)
	case *ast.SliceExpr:
		return holdsSecret(e.X)
	case *ast.Ident:
		return secretName.MatchString(e.Name)
	case *ast.SelectorExpr:
		return secretName.MatchString(e.Sel.Name)
	case *ast.CallExpr:
		if f, ok := e.Fun.(*ast.SelectorExpr); ok {
			return f.Sel.Name == "Reveal"
		}
		return len(e.Args) == 1 && holdsSecret(e.Args[0]) && !isName(e.Fun, "len") // a conversion, such as []byte(secret)
	}
	return false
}

func isName(expr ast.Expr, name string) bool {
	id, ok := expr.(*ast.Ident)
	return ok && id.Name == name
}

// saysNothing reports whether a comparison with expr tells nothing about a secret: whether there is one at all.
func saysNothing(expr ast.Expr) bool {
	lit, ok := expr.(*ast.BasicLit)
	return isName(expr, "nil") || ok && lit.Value == `""`
}

// comparisons finds where a file compares a secret in a time that depends on it.
func comparisons(fileSet *token.FileSet, file *ast.File) []string {
	var faults []string
	add := func(at token.Pos, what string) {
		faults = append(faults, fmt.Sprintf("%v: %s ends at the first difference: use Secret.Equal or subtle.ConstantTimeCompare", fileSet.Position(at), what))
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if (n.Op == token.EQL || n.Op == token.NEQ) && (holdsSecret(n.X) && !saysNothing(n.Y) || holdsSecret(n.Y) && !saysNothing(n.X)) {
				add(n.Pos(), n.Op.String())
			}
		case *ast.SwitchStmt:
			if n.Tag != nil && holdsSecret(n.Tag) {
				add(n.Pos(), "switch")
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.SelectorExpr); ok && slices.ContainsFunc(n.Args, holdsSecret) {
				if pack, ok := f.X.(*ast.Ident); ok && slices.Contains(earlyEnds, pack.Name+"."+f.Sel.Name) {
					add(n.Pos(), pack.Name+"."+f.Sel.Name)
				}
			}
		}
		return true
	})
	return faults
}

// TestSecretsAreComparedInConstantTime reads all code: no secret is compared by its text, and those places that decide about one use subtle.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range p.files(false) {
			files := token.NewFileSet()
			report(t, comparisons(files, parse(t, files, name, nil)))
		}
	}
	if reflect.TypeFor[gatehouse.Secret]().Comparable() {
		t.Error("gatehouse.Secret can be compared with ==")
	}
	for file, function := range map[string]string{"secret.go": "Equal", "carrier/static.go": "Lookup", "keyring/mac.go": "verify", "token/assertion.go": "CheckSecret"} {
		if !callsSubtle(parse(t, token.NewFileSet(), filepath.Join(root, filepath.FromSlash(file)), nil), function) {
			t.Errorf("%s in %s calls neither subtle.ConstantTimeCompare nor hmac.Equal", function, file)
		}
	}
}

// callsSubtle reports whether a function of the file calls subtle.ConstantTimeCompare, or hmac.Equal, which is the same.
func callsSubtle(file *ast.File, function string) bool {
	found := false
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == function && f.Body != nil {
			ast.Inspect(f.Body, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if ok && (isName(s.X, "subtle") && s.Sel.Name == "ConstantTimeCompare" || isName(s.X, "hmac") && s.Sel.Name == "Equal") {
					found = true
				}
				return true
			})
		}
	}
	return found
}

func TestComparisons(t *testing.T) {
	for code, fault := range map[string]bool{
		`s.Reveal() == x`: true, `x != s.Reveal()`: true, `bytes.Equal([]byte(s.Reveal()), y)`: true, `credential == "token1"`: true, `r.Password != got`: true,
		`string(secret) == x`: true, `slices.Contains(known, credential)`: true, `strings.HasPrefix(secret[1:], x)`: true, `apiSecret == x`: true, `secretName == x`: false, `string(sum) == string(signature)`: true, `bytes.Equal(sum, signature)`: true, `signature == ""`: false,
		`s.Reveal() == ""`: false, `credential != ""`: false, `secret == nil`: false, `len(s.Reveal()) < 16`: false, `len(secret) == 3`: false, `s.Equal(x)`: false,
		`subtle.ConstantTimeCompare([]byte(secret), y) == 1`: false, `bytes.Equal(a, b)`: false,
	} {
		files := token.NewFileSet()
		got := comparisons(files, parse(t, files, "x.go", "package x\nfunc f() { use("+code+") }"))
		if (len(got) == 1) != fault || len(got) > 1 {
			t.Errorf("comparisons(%s) = %q, want a fault: %v", code, got, fault)
		}
	}
	files := token.NewFileSet()
	mustFind(t, "comparisons", comparisons(files, parse(t, files, "x.go", "package x\nfunc f() { switch s.Reveal() { case \"a\": } }")), "switch ends at")
}
