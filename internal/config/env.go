package config

import (
	"regexp"
	"slices"
	"strings"
)

const (
	// environmentFile begins the file name of a position in the environment.
	environmentFile = "environment:"
	// overridePrefix begins the name of a variable that sets a key.
	overridePrefix = "GATEHOUSE_"
	// overrideSeparator stands between the keys of a path.
	overrideSeparator = "__"
)

// environ makes a map of NAME=value texts; the last one of a name counts, as for a process.
func environ(list []string) map[string]string {
	m := make(map[string]string, len(list))
	for _, pair := range list {
		if name, value, ok := strings.Cut(pair, "="); ok && name != "" {
			m[name] = value
		}
	}
	return m
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand replaces ${NAME} in a scalar by the variable NAME, and $${ by ${. The result is never read again as YAML, JSON or a reference to
// another variable. It reports false, after a fault, if there is nothing to replace a variable by.
func (d *decoder) expand(n *node, path string) bool {
	if n.expanded || !strings.Contains(n.text, "${") {
		return true
	}
	var out strings.Builder
	rest, replaced := n.text, false
	for {
		before, after, found := strings.Cut(rest, "${")
		if !found {
			out.WriteString(rest)
			break
		}
		if literal, ok := strings.CutSuffix(before, "$"); ok {
			out.WriteString(literal + "${")
			rest = after
			continue
		}
		value, tail, ok := d.variable(n, path, after)
		if !ok {
			return false
		}
		replaced = true
		out.WriteString(before + value)
		rest = tail
	}
	if replaced {
		n.free, n.source = true, quote(n.text)
	}
	n.text, n.expanded = out.String(), true
	return true
}

// variable returns the value of the variable whose name begins rest, and what follows its closing brace.
func (d *decoder) variable(n *node, path, rest string) (value, tail string, ok bool) {
	name, tail, closed := strings.Cut(rest, "}")
	if !closed || !variableName.MatchString(name) {
		d.fault(n.at, path, "${ begins no variable; write ${NAME}, or $${ for the two characters themselves")
		return "", "", false
	}
	value, ok = d.environ[name]
	if !ok {
		d.fault(n.at, path, "the environment variable %s is not set; set it, or write $${ for the two characters themselves", name)
	}
	return value, tail, ok
}

// override sets in root what the environment sets.
func (d *decoder) override(root *node, s *shape) {
	seen := map[string]string{}
	for _, name := range sortedKeys(d.environ) {
		upper := strings.ToUpper(name)
		if !strings.HasPrefix(upper, overridePrefix) || !strings.Contains(upper, overrideSeparator) {
			continue
		}
		at := Position{File: environmentFile + name}
		if other, twice := seen[upper]; twice {
			d.fault(at, "", "sets the same key as %s; remove one of them", other)
			continue
		}
		seen[upper] = name
		keys := strings.Split(strings.ToLower(upper[len(overridePrefix):]), overrideSeparator)
		(&overrider{d, at, d.environ[name]}).set(root, s, "", keys)
	}
}

// An overrider sets one value of the environment.
type overrider struct {
	*decoder
	at    Position
	value string
}

// set goes down from n, which stands at path, along keys, and makes the nodes that are missing.
func (o *overrider) set(n *node, s *shape, path string, keys []string) {
	for s.kind == pointerShape {
		s = s.elem
	}
	key, next := o.step(n, s, path, keys[0])
	if next == nil {
		return
	}
	path = keyPath(path, key)
	if len(keys) == 1 {
		o.leaf(n, next, path, key)
		return
	}
	if next.kind == scalarShape || next.kind == listShape {
		o.fault(o.at, path, "%s has no keys below it", path)
		return
	}
	child := n.find(key)
	if child == nil || child.isNull() {
		child = &node{kind: mappingNode, at: o.at}
		o.put(n, key, child)
	}
	if child.kind != mappingNode {
		o.fault(o.at, path, "%s is not a mapping in the file, so that no key of it can be set", path)
		return
	}
	o.set(child, next, path, keys[1:])
}

// step returns the key that folded stands for and the shape below it, or nil after a fault.
func (o *overrider) step(n *node, s *shape, path, folded string) (string, *shape) {
	if s.kind == dictShape {
		for _, e := range n.entries {
			if strings.EqualFold(e.key, folded) {
				return e.key, s.elem
			}
		}
		return folded, s.elem
	}
	if f := s.field(folded); f != nil {
		return folded, f.shape
	}
	where := either(path == "", "", " in "+path)
	if contains(s.later, folded) {
		o.fault(o.at, keyPath(path, folded), "%s is not available in this version", quote(folded))
		return "", nil
	}
	o.fault(o.at, keyPath(path, folded), "sets the unknown key %s%s%s", quote(folded), where, didYouMean(folded, s.keys()))
	return "", nil
}

// leaf sets the value itself.
func (o *overrider) leaf(n *node, s *shape, path, key string) {
	list := s.kind == listShape && s.elem.takesScalar()
	switch {
	case s.takesScalar() || list:
		o.put(n, key, literal(o.value, s, o.at))
	case s.kind == listShape:
		o.fault(o.at, path, "%s is a list of mappings; the environment sets single values and lists of words", path)
	case s.kind == dictShape:
		o.fault(o.at, path, "%s is a mapping; add %s and a name to set one entry of it", path, overrideSeparator)
	default:
		for s.kind == pointerShape {
			s = s.elem
		}
		o.fault(o.at, path, "%s is a section; add %s and one of its keys: %s", path, overrideSeparator, strings.Join(s.keys(), ", "))
	}
}

// put sets key of the mapping n, in place of what the file has.
func (o *overrider) put(n *node, key string, value *node) {
	i := slices.IndexFunc(n.entries, func(e entry) bool { return e.key == key })
	if i < 0 {
		n.entries = append(n.entries, entry{key, o.at, value})
		return
	}
	n.entries[i] = entry{key, o.at, value}
}
