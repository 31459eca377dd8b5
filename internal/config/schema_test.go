package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write docs/configuration.md and docs/gatehouse.schema.json again")

func TestGeneratedFiles(t *testing.T) {
	for name, want := range map[string][]byte{"configuration.md": Reference(), "gatehouse.schema.json": Schema()} {
		path := filepath.Join("..", "..", "docs", name)
		if *update {
			must(t, os.WriteFile(path, want, 0o644))
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("docs/%s is not what the code says (%v); run go test ./internal/config -update", name, err)
		}
	}
}

func compileSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	must(t, err)
	compiler := jsonschema.NewCompiler()
	must(t, compiler.AddResource("gatehouse.schema.json", document))
	schema, err := compiler.Compile("gatehouse.schema.json")
	must(t, err)
	return schema
}

// plain makes of n what a JSON reader would have made of it.
func plain(n *node) any {
	switch {
	case n.kind == mappingNode:
		m := map[string]any{}
		for _, e := range n.entries {
			m[e.key] = plain(e.value)
		}
		return m
	case n.kind == listNode:
		list := []any{}
		for _, item := range n.items {
			list = append(list, plain(item))
		}
		return list
	case n.typ == intType:
		return json.Number(strings.TrimPrefix(n.text, "+"))
	case n.typ == floatType:
		return 1.5 // no key takes a fraction, so that one is as good as another
	case n.typ == boolType:
		return strings.EqualFold(n.text, "true")
	case n.typ == nullType:
		return nil
	}
	return n.text
}

func TestSchemaTakesTheSamples(t *testing.T) {
	schema := compileSchema(t)
	files, err := filepath.Glob("testdata/valid/*.*")
	must(t, err)
	seen := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		must(t, err)
		root, fault := parse(file, data)
		if formatOf(file) == nil || root == nil {
			continue
		}
		seen++
		load(t, filepath.Base(file))
		if err := schema.Validate(plain(root)); fault != nil || err != nil {
			t.Errorf("%s: the schema refuses what Load takes: %v %v", file, err, fault)
		}
	}
	if seen < 5 {
		t.Errorf("validated %d samples, want at least 5", seen)
	}
}

// beyondSchema are the titles of the malformed configurations that no schema can refuse: what they need is knowledge of other places, of
// the environment, or of what a name, an address or an expression means.
var beyondSchema = []string{
	"a key twice", "a role twice", "a scheme for something else", "a scheme twice", "a scheme that nothing uses", "a token with a space",
	"a token that is not ASCII", "a hash where a token belongs", "a token and its hash", "a name twice", "a name that is another's default", "a token twice",
	"unknown roles of a token", "roles of a token where there are none", "a host with a port", "an admin listener with a bad port", "a prefix with dot segments",
	"a logger twice", "a carrier twice", "a carrier in an identity header", "roles of one level", "permissions of an unknown role", "permissions without roles",
	"an unknown role in a rule", "a role in a rule where there are none", "a rule's name twice", "an upstream that is not there", "a misspelt upstream",
	"several upstreams and a rule without", "an upstream that no rule names", "an upstream without rules", "one header for two things",
	"one header for two things, by default", "identity headers that mean something else", "situations that are none", "a variable that is not set",
	"a store and sessions that nothing uses", "tokens without a carrier for them", "a scheme without the carrier for it", "a store that is a folder", "a store in memory",
	"a store with slashes", "sessions that are never idle for so long", "a cookie for an address", "a cookie for another domain", "a cookie for a domain that only ends alike",
	"a port in another base", "a port with a leading zero", "a size beyond any", "a text that is nearly a variable", "a purpose without tokens", "tokens that nothing uses",
	"a refresh token that lives for no time", "a refresh token that lives for too long", "sessions of more than 400 days", "keys that change too often",
	"claims that say something already", "secrets that nobody publishes", "a claim that must be one time", "what secrets of one's own and opaque tokens have no use for",
	"a key that changes by the clock and by hand", "refresh tokens that are and are not signed",
}

func TestSchemaRefusesTheMalformed(t *testing.T) {
	schema := compileSchema(t)
	refused := 0
	for _, row := range malformedConfigurations(t) {
		root, fault := parse(row.file, []byte(row.text))
		if fault != nil {
			continue
		}
		err := schema.Validate(plain(root))
		switch beyond := slices.Contains(beyondSchema, row.title); {
		case err == nil && !beyond:
			t.Errorf("%s: the schema takes\n%s", row.title, row.text)
		case err != nil && beyond:
			t.Errorf("%s: the schema refuses it, so that it does not belong in beyondSchema", row.title)
		case err != nil:
			refused++
		}
	}
	if refused < 80 {
		t.Errorf("the schema refused %d rows, want at least 80", refused)
	}
}

// Every key must say what it is for, in the schema and on the page.
func TestEverythingIsDocumented(t *testing.T) {
	page := string(Reference())
	seen := map[*shape]bool{}
	var walk func(s *shape)
	walk = func(s *shape) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		for _, f := range s.fields {
			if !strings.HasSuffix(f.doc, ".") {
				t.Errorf("%v.%s: doc = %q, want a sentence", s.typ, f.key, f.doc)
			}
			if f.required && f.shape.example == "" {
				t.Errorf("%v.%s is required and has no example", s.typ, f.key)
			}
			if section := f.shape.kind == structShape && f.shape.short == nil; !section && !strings.Contains(page, f.key+"`") {
				t.Errorf("%v.%s is not on the reference page", s.typ, f.key)
			}
			walk(f.shape)
		}
		walk(s.elem)
	}
	walk(configShape())
	if len(seen) < 50 {
		t.Errorf("walked %d shapes, want at least 50", len(seen))
	}
}

// An example that is refused would send people astray.
func TestExamplesAreValid(t *testing.T) {
	seen := map[*shape]bool{}
	var walk func(s *shape)
	try := func(s *shape, text string) {
		root, fault := parse("f.yaml", []byte("x: "+text))
		if fault != nil {
			t.Errorf("example %s: %v", text, fault)
			return
		}
		dir := t.TempDir()
		for _, name := range regexp.MustCompile(`file:([a-z./-]+)`).FindAllStringSubmatch(text, -1) { // the files that the example names
			if err := errors.Join(os.MkdirAll(filepath.Join(dir, filepath.Dir(name[1])), 0o700), os.WriteFile(filepath.Join(dir, name[1]), []byte("x"), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		d := newDecoder(dir, Options{})
		d.value(root.entries[0].value, s, "x", newValue(s))
		if len(d.faults) > 0 && !strings.Contains(text, "<64") {
			t.Errorf("example %s: %v", text, d.faults)
		}
	}
	walk = func(s *shape) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		if s.example != "" {
			try(s, s.example)
		}
		for _, f := range s.fields {
			walk(f.shape)
		}
		walk(s.elem)
	}
	walk(configShape())
}
