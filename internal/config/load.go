package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// Options is what a configuration depends on besides its text. The zero Options has an empty environment, the real file system, and knows
// no situations.
type Options struct {
	// Environ is the environment as NAME=value, mostly os.Environ(): for ${NAME} and for GATEHOUSE_SECTION__KEY.
	Environ []string
	// ReadFile reads the configuration file and the files that references name; nil means os.ReadFile, bounded. All files are
	// read through it, those that turn out to be missing included.
	ReadFile func(name string) ([]byte, error)
	// Situations are the keys that errors.status may have: the code of each problem, with the reason why its status cannot be moved, or
	// "" where it can. nil means: any key.
	Situations map[string]string
	// Unfinished is called if there are faults, with the configuration as far as it could be read, for those who find faults that this package cannot judge: people want
	// to see all of them at once. sound reports whether there is no fault of the value at a key path, of what is inside of it, or of what it is inside of. nil: nobody is told.
	Unfinished func(c *Config, sound func(path string) bool)
}

// Load reads the file at path. The error is always of type [Faults]; the Config is then nil.
func Load(path string, opts Options) (*Config, error) {
	if formatOf(path) == nil {
		return Parse(path, nil, opts)
	}
	data, err := opts.readFile(path)
	if err != nil {
		return nil, Faults{{Position{File: path}, "cannot be read: " + reason(err)}}
	}
	return Parse(path, data, opts)
}

// Parse reads a configuration from data; the ending of name says whether it is YAML or JSON, and its folder is what relative file names
// are relative to. Empty data is a configuration of defaults. The error is always of type [Faults]; the Config is then nil.
func Parse(name string, data []byte, opts Options) (*Config, error) {
	root, fault := parse(name, data)
	if fault != nil {
		return nil, Faults{*fault}
	}
	if root == nil {
		root = &node{kind: mappingNode, at: Position{File: name, Line: 1, Column: 1}}
	}
	return newDecoder(filepath.Dir(name), opts).config(root, name)
}

// Default returns the configuration of an empty file, read as name.
func Default(name string, opts Options) (*Config, error) {
	return newDecoder(filepath.Dir(name), opts).config(&node{kind: mappingNode, at: Position{File: name}}, name)
}

// formatOf returns what parses a file of that name, or nil.
func formatOf(name string) func(source) (*node, *Fault) {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml":
		return parseYAML
	case ".json":
		return parseJSON
	}
	return nil
}

func parse(name string, data []byte) (*node, *Fault) {
	format := formatOf(name)
	if format == nil {
		return nil, &Fault{Position{File: name}, "the name says neither YAML nor JSON; let it end in .yaml, .yml or .json"}
	}
	s, fault := newSource(name, data)
	if fault != nil {
		return nil, fault
	}
	return format(s)
}

func newDecoder(dir string, opts Options) *decoder {
	return &decoder{options: opts, dir: dir, environ: environ(opts.Environ), index: &index{places: map[string]place{}}, watch: map[string]bool{}}
}

// config decodes root, which was read as name.
func (d *decoder) config(root *node, name string) (*Config, error) {
	c := &Config{File: name, Dir: d.dir, index: d.index}
	if root.isNull() {
		root.kind = mappingNode
	}
	if root.kind == mappingNode {
		d.override(root, configShape())
	}
	d.value(root, configShape(), "", reflect.ValueOf(c).Elem())
	d.complete(c)
	d.check(c)
	if len(d.faults) > 0 {
		if d.options.Unfinished != nil {
			d.options.Unfinished(c, slices.Clone(d.faults).sound)
		}
		return nil, d.faults.Sort()
	}
	c.Warnings = d.warnings.Sort()
	c.Watch = slices.Sorted(maps.Keys(d.watch))
	return c, nil
}

// At returns where the value at a key path, such as rules[2].path, stands; for a key that was not written, where the nearest thing around
// it stands. The Path of the result is path itself. c must come from Load, Parse or Default.
func (c *Config) At(path string) Position {
	return c.index.position(path)
}

// Has reports whether the value at a key path was written, in the file or in the environment, rather than taken from the defaults.
func (c *Config) Has(path string) bool {
	_, ok := c.index.places[path]
	return ok
}

// Fault returns a fault of the value at a key path, for what this package cannot judge. The message is formatted as by fmt.Sprintf.
func (c *Config) Fault(path, format string, args ...any) Fault {
	return Fault{c.At(path), fmt.Sprintf(format, args...)}
}
