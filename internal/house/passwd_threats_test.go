package house

import (
	"fmt"
	"go/ast"
	"go/token"
	"path/filepath"
	"testing"
)

// judges returns the functions without a name that say of a text whether it is right: func(string) (bool, error).
func judges(file *ast.File) []*ast.FuncLit {
	var list []*ast.FuncLit
	ast.Inspect(file, func(n ast.Node) bool {
		if f, ok := n.(*ast.FuncLit); ok && f.Type.Params.NumFields() == 1 && f.Type.Results.NumFields() == 2 &&
			isName(f.Type.Params.List[0].Type, "string") && isName(f.Type.Results.List[0].Type, "bool") {
			list = append(list, f)
		}
		return true
	})
	return list
}

// comparers are the functions that take as long for every hash, by the name before the dot. MatchAdvanced is that of a digest of SHA-crypt.
var comparers = map[string]string{"ConstantTimeCompare": "subtle", "CompareHashAndPassword": "bcrypt", "MatchAdvanced": "digest"}

// hashFaults finds where a judge does not leave the comparison to somebody who takes as long for every hash.
func hashFaults(fileSet *token.FileSet, file *ast.File) []string {
	var faults []string
	for _, f := range judges(file) {
		left := false
		ast.Inspect(f.Body, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if s, ok := call.Fun.(*ast.SelectorExpr); ok {
				left = left || isName(s.X, comparers[s.Sel.Name])
			}
			left = left || isName(call.Fun, "match") // another judge
			return true
		})
		if !left {
			faults = append(faults, fmt.Sprintf("%v: a hash is not compared by subtle.ConstantTimeCompare", fileSet.Position(f.Pos())))
		}
	}
	return faults
}

// TestPasswordHashesAreComparedInConstantTime: of every format.
func TestPasswordHashesAreComparedInConstantTime(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(root, "passwd", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range names {
		files := token.NewFileSet()
		file := parse(t, files, name, nil)
		if filepath.Base(name) == "stored.go" || filepath.Base(name) == "foreign.go" {
			found += len(judges(file))
			report(t, hashFaults(files, file))
		}
	}
	if found < 4 {
		t.Errorf("%d functions that compare hashes were found, want 4 at least: this test sees nothing", found)
	}
}

func TestHashFaults(t *testing.T) {
	for body, fault := range map[string]bool{
		`return subtle.ConstantTimeCompare(got, tag) == 1, nil`: false, `return bcrypt.CompareHashAndPassword(h, p) == nil, nil`: false, `ok, err := match(password); return ok, err`: false,
		`return digest.MatchAdvanced(password)`: false, `return digest.Match(password), nil`: true, `return other.MatchAdvanced(password)`: true, `return match.Of(password)`: true,
		`return string(got) == string(tag), nil`: true, `return bytes.Equal(got, tag), nil`: true, `return password == stored, nil`: true, `return got == tag, nil`: true,
	} {
		files := token.NewFileSet()
		file := parse(t, files, "x.go", "package x\nvar f = func(password string) (bool, error) { "+body+" }\n")
		if got := hashFaults(files, file); (len(got) == 1) != fault {
			t.Errorf("hashFaults(%s) = %q, want a fault: %v", body, got, fault)
		}
	}
}
