package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A shapeKind is what a value of the configuration is made of.
type shapeKind int

const (
	scalarShape  shapeKind = iota
	structShape            // known keys
	listShape              // a slice
	dictShape              // a map from names of the user's
	pointerShape           // a struct that may be absent
)

// A shape describes one place of the configuration. The decoder, the JSON Schema and the reference page all walk the same shapes, which
// are made once from the struct Config and its tags.
type shape struct {
	kind   shapeKind
	typ    reflect.Type
	fields []*field // of a struct
	elem   *shape   // of a list, a dict or a pointer

	// Of a struct.
	oneOf, together, later []string
	private                bool
	short                  *field // what a bare value stands for
	recursive              bool   // contains itself
	pos                    int    // index of the field Pos, or -1

	// Of a list.
	single, nonempty, unique bool
	top                      bool // a section of the file

	// Of a dict.
	names  *textCheck
	bare   string // name of the entry that a bare value stands for
	ranked bool

	// Of a scalar.
	scalar       *scalar
	check        *textCheck
	isFile       bool
	enum, nearly []string
	min, max     *int64
	least, most  Duration // min and max of a duration; most is 0 where there is none
	positive     bool
	hint         string

	example string // of a value as it is written in YAML
}

// A field is one key of a struct.
type field struct {
	key, doc, def string
	hasDefault    bool
	required      bool
	index         int
	shape         *shape
}

// configShape returns the shape of Config.
var configShape = sync.OnceValue(func() *shape {
	b := shaper{made: map[reflect.Type]*shape{}, making: map[reflect.Type]bool{}}
	return b.shape(configType, "", "{server: {http: {port: 8080}}}")
})

// A shaper makes shapes. A struct type has one shape, wherever it stands; everything else has one for each place, because its tags differ.
type shaper struct {
	made   map[reflect.Type]*shape
	making map[reflect.Type]bool
}

// shape describes type t at a field with the given tag and example. Whatever it cannot describe is a mistake in struct.go, found by every test.
func (b *shaper) shape(t reflect.Type, tag reflect.StructTag, example string) *shape {
	s := &shape{typ: t, pos: -1, example: example, hint: tag.Get("hint"), scalar: scalars[t]}
	switch {
	case s.scalar != nil:
		s.tagScalar(tag)
	case t.Kind() == reflect.Struct:
		return b.structure(t, example)
	case t.Kind() == reflect.Slice:
		s.kind, s.elem = listShape, b.shape(t.Elem(), tag, innerExample(example))
		s.single, s.nonempty, s.unique = tag.Get("single") != "", tag.Get("nonempty") != "", tag.Get("unique") != ""
	case t.Kind() == reflect.Map:
		s.kind, s.elem = dictShape, b.shape(t.Elem(), tag, innerExample(example))
		s.names, s.bare, s.ranked = texts[tag.Get("names")], tag.Get("bare"), tag.Get("ranked") != ""
	case t.Kind() == reflect.Pointer:
		s.kind, s.elem = pointerShape, b.shape(t.Elem(), tag, example)
	default:
		panic(fmt.Sprintf("config: %v has no place in a configuration", t))
	}
	return s
}

// innerExample returns the first value of an example such as [a, b] or {x: a, y: b}.
func innerExample(example string) string {
	if len(example) < 2 || !strings.ContainsAny(example[:1], "[{") {
		return example
	}
	body, depth := example[1:len(example)-1], 0
	for i, c := range body {
		switch {
		case strings.ContainsRune("[{", c):
			depth++
		case strings.ContainsRune("]}", c):
			depth--
		case c == ',' && depth == 0:
			body = body[:i]
		}
		if len(body) <= i {
			break
		}
	}
	if _, value, found := strings.Cut(body, ": "); example[0] == '{' && found {
		return value
	}
	return body
}

func (s *shape) tagScalar(tag reflect.StructTag) {
	s.enum, s.nearly = strings.Fields(tag.Get("enum")), strings.Fields(tag.Get("nearly"))
	if s.typ == durationType {
		s.least, s.most = tagDuration(tag, "min"), tagDuration(tag, "max")
	} else {
		s.min, s.max = tagInt(tag, "min"), tagInt(tag, "max")
	}
	s.positive = tag.Get("positive") != ""
	name := tag.Get("check")
	s.check, s.isFile = texts[name], name == "file"
	if name != "" && s.check == nil {
		panic("config: no text check is called " + name)
	}
}

func tagInt(tag reflect.StructTag, key string) *int64 {
	text, ok := tag.Lookup(key)
	if !ok {
		return nil
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic("config: the tag " + key + " is not an integer")
	}
	return &v
}

func tagDuration(tag reflect.StructTag, key string) Duration {
	text, ok := tag.Lookup(key)
	if !ok {
		return 0
	}
	d, err := ParseDuration(text)
	if err != nil {
		panic("config: the tag " + key + " is not a duration")
	}
	return d
}

func (b *shaper) structure(t reflect.Type, example string) *shape {
	if s := b.made[t]; s != nil {
		s.recursive = s.recursive || b.making[t]
		return s
	}
	s := &shape{kind: structShape, typ: t, pos: -1, example: example}
	b.made[t], b.making[t] = s, true
	for i := range t.NumField() {
		b.field(s, t.Field(i))
	}
	delete(b.making, t)
	return s
}

func (b *shaper) field(s *shape, f reflect.StructField) {
	switch {
	case f.Name == "_":
		s.oneOf, s.together = strings.Fields(f.Tag.Get("oneOf")), strings.Fields(f.Tag.Get("together"))
		s.later, s.private = strings.Fields(f.Tag.Get("later")), f.Tag.Get("private") != ""
		return
	case f.Name == "Pos":
		s.pos = f.Index[0]
	}
	key, short := f.Tag.Get("key"), f.Tag.Get("short") != ""
	if key == "" && !short {
		return
	}
	made := &field{key: key, doc: f.Tag.Get("doc"), required: f.Tag.Get("required") != "", index: f.Index[0]}
	made.def, made.hasDefault = f.Tag.Lookup("default")
	made.shape = b.shape(f.Type, f.Tag, f.Tag.Get("example"))
	made.shape.top = made.shape.kind == listShape && s.typ == configType
	if short {
		s.short = made
	}
	if key != "" {
		s.fields = append(s.fields, made)
	}
}

// keys returns the keys of a struct, in its order.
func (s *shape) keys() []string {
	keys := make([]string, len(s.fields))
	for i, f := range s.fields {
		keys[i] = f.key
	}
	return keys
}

// field returns the field with a key, or nil.
func (s *shape) field(key string) *field {
	for _, f := range s.fields {
		if f.key == key {
			return f
		}
	}
	return nil
}

// takesScalar reports whether a single bare value may stand at s.
func (s *shape) takesScalar() bool {
	return s.kind == scalarShape || s.kind == structShape && s.short != nil || s.kind == listShape && s.single ||
		s.kind == dictShape && s.bare != "" || s.kind == pointerShape && s.elem.takesScalar()
}

// isSection reports whether an empty value at s, as in "server:", stands for a section without keys: where none is needed.
func (s *shape) isSection() bool {
	needs := len(s.oneOf) > 0 || s.short != nil || slices.ContainsFunc(s.fields, func(f *field) bool { return f.required })
	return s.kind == structShape && !needs || s.kind == dictShape
}

// isPrivate reports whether the texts at s are never quoted.
func (s *shape) isPrivate() bool { return s.check != nil && s.check.private }

// suchAs returns ", such as EXAMPLE", or nothing where there is no example.
func (s *shape) suchAs() string {
	example := s.example
	if example == "" && s.scalar != nil {
		example = s.scalar.example
	}
	if example == "" {
		return ""
	}
	return ", such as " + example
}

// expect names what may stand at s in a message.
func (s *shape) expect() string {
	switch s.kind {
	case scalarShape:
		return s.scalar.expect
	case listShape:
		return either(s.single, "a value or a list", "a list")
	case dictShape:
		return either(s.ranked, "a mapping or a list", either(s.bare != "", "a value or a mapping", "a mapping"))
	case pointerShape:
		return s.elem.expect()
	}
	return either(s.short != nil, "a value or a mapping", "a mapping")
}

func either(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

// checkWord tests a word against the words that may stand at s.
func (s *shape) checkWord(word string) string {
	hint := ""
	if s.hint != "" {
		hint = "; " + s.hint
	}
	switch {
	case contains(s.enum, word):
		return ""
	case contains(s.nearly, word):
		return "is not available in this version" + hint
	}
	known := strings.Join(s.enum, ", ")
	if near := nearest(word, s.enum); near != "" {
		return "is not known; did you mean " + quote(near) + "? (known: " + known + ")" + hint
	}
	return "is not known; write one of: " + known + hint
}
