package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func newValue(s *shape) reflect.Value { return reflect.New(s.typ).Elem() }

// FuzzParse holds for any text: no panic; a Config or faults, never both; every fault with a message and a place that exists; and whatever
// is taken is taken by the schema, too.
func FuzzParse(f *testing.F) {
	for _, row := range malformedConfigurations(f) {
		f.Add(row.file == "f.json", row.text)
	}
	samples, err := filepath.Glob("testdata/valid/*.*")
	must(f, err)
	for _, sample := range samples {
		data, err := os.ReadFile(sample)
		must(f, err)
		f.Add(strings.HasSuffix(sample, ".json"), string(data))
	}
	schema := compileSchema(f)
	opts := Options{Environ: wholeEnviron, Situations: situations, ReadFile: func(string) ([]byte, error) { return nil, fs.ErrNotExist }}
	f.Fuzz(func(t *testing.T, isJSON bool, text string) {
		name := either(isJSON, "f.json", "f.yaml")
		cfg, err := Parse(name, []byte(text), opts)
		if cfg == nil {
			checkPlaces(t, name, text, err)
			return
		}
		if err != nil {
			t.Fatalf("a Config and %v", err)
		}
		root, _ := parse(name, []byte(text))
		if root == nil {
			return
		}
		if err := schema.Validate(plain(root)); err != nil {
			t.Errorf("the schema refuses what Parse takes: %v", err)
		}
	})
}

func checkPlaces(t *testing.T, name, text string, err error) {
	t.Helper()
	var faults Faults
	if !errors.As(err, &faults) || len(faults) == 0 {
		t.Fatalf("err = %v, want faults", err)
	}
	lines := strings.Count(text, "\n") + strings.Count(text, "\r") + strings.Count(text, "\u0085") + 1
	for _, fault := range faults {
		whole := fault.Line == 0 && fault.Path == ""
		if fault.File != name || fault.Message == "" || !whole && (fault.Line < 1 || fault.Line > lines || fault.Column < 1) {
			t.Errorf("%+v: want a place in the %d lines of the text", fault, lines)
		}
	}
}
