package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/gatehouse-auth/gatehouse"
)

// An index knows where everything that was written stands.
type index struct{ places map[string]place }

// A place is one key path that was written.
type place struct {
	key, value Position
	shown      string // what a message may quote of a scalar
}

// A decoder is one walk over the shapes and the nodes.
type decoder struct {
	options  Options
	dir      string
	environ  map[string]string
	faults   Faults
	warnings Faults
	index    *index
	watch    map[string]bool
}

func (d *decoder) fault(at Position, path, format string, args ...any) {
	d.faults = append(d.faults, Fault{at.child(path), fmt.Sprintf(format, args...)})
}

func (d *decoder) warn(at Position, path, format string, args ...any) {
	d.warnings = append(d.warnings, Fault{at.child(path), fmt.Sprintf(format, args...)})
}

var (
	secretType   = reflect.TypeFor[gatehouse.Secret]()
	durationType = reflect.TypeFor[Duration]()
	configType   = reflect.TypeFor[Config]()
)

// value decodes n, which stands at path, into v.
func (d *decoder) value(n *node, s *shape, path string, v reflect.Value) {
	d.put(path, func(p *place) { p.value = n.at.child(path) })
	if n.isNull() {
		d.null(n, s, path, v)
		return
	}
	switch s.kind {
	case pointerShape:
		v.Set(reflect.New(s.elem.typ))
		d.value(n, s.elem, path, v.Elem())
	case structShape:
		d.structure(n, s, path, v)
	case listShape:
		d.list(n, s, path, v)
	case dictShape:
		d.dict(n, s, path, v)
	default:
		d.scalar(n, s, path, v)
	}
}

// put notes something about a path.
func (d *decoder) put(path string, note func(*place)) {
	p := d.index.places[path]
	note(&p)
	d.index.places[path] = p
}

// null decodes an empty value: a section without keys is as good as none, anything else was forgotten.
func (d *decoder) null(n *node, s *shape, path string, v reflect.Value) {
	switch {
	case s.isSection():
		d.defaults(s, v)
	case !s.top:
		d.fault(n.at, path, "no value is given; write %s%s, or remove it", s.expect(), s.suchAs())
	}
}

// mismatch reports a value of the wrong form.
func (d *decoder) mismatch(n *node, s *shape, path string) {
	hint := ""
	if s.kind == scalarShape && s.scalar.expect == "a string" && n.kind == scalarNode {
		hint = "; put it in quotes"
	}
	d.fault(n.at, path, "expected %s%s; got %s%s", s.expect(), s.suchAs(), n.what(), hint)
}

// structure decodes a mapping with known keys, or the bare value that stands for one.
func (d *decoder) structure(n *node, s *shape, path string, v reflect.Value) {
	d.defaults(s, v)
	if s.pos >= 0 {
		v.Field(s.pos).Set(reflect.ValueOf(n.at.child(path)))
	}
	if n.kind == scalarNode && s.short != nil {
		d.value(n, s.short.shape, path, v.Field(s.short.index))
		return
	}
	if n.kind != mappingNode {
		d.mismatch(n, s, path)
		return
	}
	known := true
	for _, e := range d.unrepeated(n, path) {
		known = d.entry(e, s, path, v) && known
	}
	if known { // else what is missing is mostly what was misspelt
		d.missing(n, s, path)
	}
}

// unrepeated returns the entries of a mapping without those whose key stood before, which are faults.
func (d *decoder) unrepeated(n *node, path string) []entry {
	kept, first := n.entries[:0:0], map[string]Position{}
	for _, e := range n.entries {
		before, repeated := first[e.key]
		if !repeated {
			first[e.key] = e.keyAt
			kept = append(kept, e)
			continue
		}
		d.fault(e.keyAt, path, "this key stands here twice; the first is on line %d", before.Line)
	}
	return kept
}

// entry decodes one key of a struct and reports whether it is known.
func (d *decoder) entry(e entry, s *shape, path string, v reflect.Value) bool {
	f := s.field(e.key)
	if f == nil {
		d.unknownKey(e, s, path)
		return false
	}
	at := keyPath(path, e.key)
	d.put(at, func(p *place) { p.key = e.keyAt.child(at) })
	d.value(e.value, f.shape, at, v.Field(f.index))
	return true
}

func (d *decoder) unknownKey(e entry, s *shape, path string) {
	switch near := nearest(e.key, s.keys()); {
	case contains(s.later, e.key):
		d.fault(e.keyAt, keyPath(path, e.key), "%s is not available in this version; remove it", quote(e.key))
	case !s.private:
		d.fault(e.keyAt, keyPath(path, e.key), "unknown key %s%s", quote(e.key), didYouMean(e.key, s.keys()))
	case near != "":
		d.fault(e.keyAt, path, "unknown key; did you mean %s?", quote(near))
	default:
		d.fault(e.keyAt, path, "unknown key; known: %s", strings.Join(s.keys(), ", "))
	}
}

// missing reports what the keys of a mapping owe to each other.
func (d *decoder) missing(n *node, s *shape, path string) {
	for _, f := range s.fields {
		if f.required && n.find(f.key) == nil {
			d.fault(n.at, path, "%s is missing; write %s: %s", quote(f.key), f.key, f.shape.example)
		}
	}
	given, absent := present(n, s.oneOf), []string(nil)
	if len(s.oneOf) > 0 && len(given) == 0 {
		d.fault(n.at, path, "needs %s", alternatives(s.oneOf))
	}
	if len(given) > 1 {
		d.fault(n.at, path, "%s exclude each other; keep one", strings.Join(given, " and "))
	}
	for _, key := range s.together {
		if n.find(key) == nil {
			absent = append(absent, key)
		}
	}
	if len(absent) > 0 && len(absent) < len(s.together) {
		d.fault(n.at, path, "%s is missing; %s belong together", absent[0], strings.Join(s.together, " and "))
	}
}

func present(n *node, keys []string) []string {
	var given []string
	for _, key := range keys {
		if n.find(key) != nil {
			given = append(given, key)
		}
	}
	return given
}

// alternatives lists keys, exactly one of which is needed.
func alternatives(keys []string) string {
	last := len(keys) - 1
	if last == 0 {
		return "the key " + keys[0]
	}
	return "exactly one of " + strings.Join(keys[:last], ", ") + " or " + keys[last]
}

// defaults gives the fields of a struct the values that they have when nothing is written.
func (d *decoder) defaults(s *shape, v reflect.Value) {
	for _, f := range s.fields {
		switch {
		case f.hasDefault:
			// A decoder of its own, because a default is not written anywhere: it has no place and no faults.
			quiet := &decoder{index: &index{places: map[string]place{}}}
			quiet.value(literal(f.def, f.shape, Position{}), f.shape, "", v.Field(f.index))
		case f.shape.kind == structShape && f.shape.short == nil:
			d.defaults(f.shape, v.Field(f.index))
		}
	}
}

// literal makes a node of a text outside the file: a default or a value of the environment. A list has commas between its entries.
func literal(text string, s *shape, at Position) *node {
	if s.kind != listShape {
		return &node{at: at, text: text, free: true, expanded: true}
	}
	list := &node{kind: listNode, at: at}
	if text == "" {
		return list
	}
	for _, item := range strings.Split(text, ",") {
		list.items = append(list.items, literal(strings.TrimSpace(item), s.elem, at))
	}
	return list
}

// list decodes a list, or the bare value that stands for a list of one.
func (d *decoder) list(n *node, s *shape, path string, v reflect.Value) {
	items := n.items
	if n.kind == scalarNode && s.single {
		items = []*node{n}
	} else if n.kind != listNode {
		d.mismatch(n, s, path)
		return
	}
	if len(items) == 0 && s.nonempty {
		d.fault(n.at, path, "is an empty list; write at least one entry%s, or remove it", s.suchAs())
	}
	v.Set(reflect.MakeSlice(s.typ, len(items), len(items)))
	for i, item := range items {
		d.value(item, s.elem, itemPath(path, i), v.Index(i))
	}
	if s.unique {
		d.repeated(items, s, path, v)
	}
}

// repeated reports the entries of a list that stood before.
func (d *decoder) repeated(items []*node, s *shape, path string, v reflect.Value) {
	seen := map[any]bool{}
	for i, item := range items {
		value := v.Index(i)
		if value.IsZero() {
			continue // it has a fault of its own
		}
		if seen[value.Interface()] {
			d.fault(item.at, itemPath(path, i), "%s stands in the list twice", subject(item, s.elem))
		}
		seen[value.Interface()] = true
	}
}

// dict decodes a mapping with the user's own keys, or one of the short forms for it.
func (d *decoder) dict(n *node, s *shape, path string, v reflect.Value) {
	v.Set(reflect.MakeMap(s.typ))
	switch {
	case n.kind == mappingNode:
		for _, e := range d.unrepeated(n, path) {
			d.named(e, s, path, v)
		}
	case n.kind == scalarNode && s.bare != "":
		d.element(n, s, path, s.bare, v)
	case n.kind == listNode && s.ranked:
		d.ranks(n, s, path, v)
	default:
		d.mismatch(n, s, path)
	}
}

func (d *decoder) named(e entry, s *shape, path string, v reflect.Value) {
	at := keyPath(path, e.key)
	d.put(at, func(p *place) { p.key = e.keyAt.child(at) })
	if strings.Contains(e.key, "${") {
		d.fault(e.keyAt, at, "${…} is replaced in values only, not in names")
	} else if s.names != nil {
		d.nameFault(e.keyAt, at, quote(e.key), s.names.test(e.key))
	}
	d.element(e.value, s, at, e.key, v)
}

func (d *decoder) nameFault(at Position, path, shown, problem string) {
	if problem != "" {
		d.fault(at, path, "%s %s", shown, problem)
	}
}

func (d *decoder) element(n *node, s *shape, path, name string, v reflect.Value) {
	elem := reflect.New(s.elem.typ).Elem()
	d.value(n, s.elem, path, elem)
	v.SetMapIndex(reflect.ValueOf(name), elem)
}

// ranks decodes a list of names, each of which includes the ones before it. A name's path is that of the long form, so that all that
// follows need not know the short one.
func (d *decoder) ranks(n *node, s *shape, path string, v reflect.Value) {
	for i, item := range n.items {
		var name string
		d.scalar(item, &shape{scalar: scalars[reflect.TypeFor[string]()], check: s.names, example: "basic"}, itemPath(path, i),
			reflect.ValueOf(&name).Elem())
		if name == "" {
			continue
		}
		at := keyPath(path, name)
		if v.MapIndex(reflect.ValueOf(name)).IsValid() {
			d.fault(item.at, at, "%s stands in the list twice", subject(item, s.elem))
			continue
		}
		d.put(at, func(p *place) { p.key, p.value = item.at.child(at), item.at.child(at) })
		v.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(i+1))
	}
}

// scalar decodes a single value.
func (d *decoder) scalar(n *node, s *shape, path string, v reflect.Value) {
	if n.isNull() || n.kind != scalarNode {
		d.mismatch(n, s, path)
		return
	}
	if !d.expand(n, path) {
		return
	}
	text := n.text
	switch {
	case !n.free && !containsType(s.scalar.takes, n.typ):
		d.wrongType(n, s, path)
		return
	case s.typ == secretType:
		var ok bool
		if text, ok = d.reference(n, path); !ok {
			return
		}
	}
	value, problem := s.scalar.parse(text, s)
	if problem != "" {
		d.fault(n.at, path, "%s %s", subject(n, s), problem)
		return
	}
	if !s.isPrivate() {
		d.put(path, func(p *place) { p.shown = subject(n, s) })
	}
	if s.isFile {
		value = d.resolve(text)
	}
	if !n.free {
		d.clearSecret(n, s, path)
	}
	v.Set(reflect.ValueOf(value))
}

// wrongType reports a scalar of the wrong type. A duration's message is its own, because its grammar is what people get wrong.
func (d *decoder) wrongType(n *node, s *shape, path string) {
	if s.scalar.expect == "a duration" {
		d.fault(n.at, path, "%s is not a duration; %s", subject(n, s), durationHint)
		return
	}
	d.mismatch(n, s, path)
}

func containsType(list []scalarType, t scalarType) bool {
	for _, have := range list {
		if have == t {
			return true
		}
	}
	return false
}

// subject is what begins a message about n: the value in quotes, or less where it may not be shown.
func subject(n *node, s *shape) string {
	switch {
	case s.isPrivate():
		return "the value"
	case !n.free:
		return quote(n.text)
	case n.source != "":
		return "the value of " + n.source
	}
	return "the value"
}

// position returns where path stands, or where the nearest thing around it stands.
func (x *index) position(path string) Position {
	for at := path; ; at = parentPath(at) {
		if p, ok := x.places[at]; ok || at == "" {
			return p.value.child(path)
		}
	}
}

// parentPath takes the last key or index off a path.
func parentPath(path string) string {
	if open := strings.LastIndexAny(path, ".["); open > 0 {
		return path[:open]
	}
	return ""
}

// shown returns what a message may quote of the value at path.
func (x *index) shown(path string) string {
	if p := x.places[path]; p.shown != "" {
		return p.shown
	}
	return "the value"
}
