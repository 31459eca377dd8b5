package explain

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v4"
)

// maxDepth bounds how deep a file may nest. The deepest useful one is the roles of a caller in a list.
const maxDepth = 16

// maxFaults is how many faults of one file are reported. Whoever has more has mistaken the format, or the file.
const maxFaults = 1000

// A loader reads one file and collects its faults. JSON is read as the YAML that it is.
type loader struct {
	file   string
	data   []byte
	lines  int
	faults Faults
}

// newLoader returns a loader of data without its byte order mark.
func newLoader(file string, data []byte) *loader {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	return &loader{file: file, data: data, lines: bytes.Count(data, []byte("\n")) + 1}
}

func (l *loader) whole(message string) {
	l.faults = append(l.faults, Fault{File: l.file, Message: message})
}

func (l *loader) fault(at *yaml.Node, format string, args ...any) {
	if len(l.faults) >= maxFaults {
		return
	}
	l.place(at.Line, at.Column, fmt.Sprintf(format, args...))
}

// place adds a fault at a position of the YAML package, which sometimes counts a line more than the text has.
func (l *loader) place(line, column int, message string) {
	l.faults = append(l.faults, Fault{File: l.file, Line: min(max(line, 1), l.lines), Column: max(column, 1), Message: message})
}

// document returns the root of the only document, checked for what no file needs; nil if there is none or it has faults.
func (l *loader) document() (root *yaml.Node) {
	// A mistake in the YAML package must not stop a running server that reloads.
	defer func() {
		if recover() != nil {
			root = nil
			l.whole("is not YAML that can be read")
		}
	}()
	if !utf8.Valid(l.data) {
		l.whole("is not UTF-8; save it as UTF-8")
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(l.data))
	if err != nil {
		l.syntax(err)
		return nil
	}
	var first, second yaml.Node
	if err := loader.Load(&first); err != nil {
		l.syntax(err)
		return nil
	}
	if err := loader.Load(&second); err == nil {
		l.fault(&second, "a second document starts here; write all tests into one list")
	} else {
		l.syntax(err)
	}
	if len(first.Content) == 0 || isNull(first.Content[0]) {
		return nil
	}
	l.check(first.Content[0], 0)
	return first.Content[0]
}

// syntax adds a fault for an error of the YAML package; the end of the text is none. What quotes the file is left out: a header may stand there.
func (l *loader) syntax(err error) {
	if errors.Is(err, io.EOF) {
		return
	}
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		l.whole("is not YAML that can be read")
		return
	}
	message := load.Message
	switch {
	case strings.Contains(message, "anchor"):
		message = "an alias (*name) stands here, and its anchor nowhere; put a text that begins with * in quotes"
	case strings.Contains(message, "cannot start any token"):
		message = "no value may begin with this character; indent with spaces, and put a text with special characters in quotes"
	case strings.Contains(message, "mapping values are not allowed"):
		message = "a key and colon cannot stand here; check the indentation, or put a text with a colon in quotes"
	case strings.ContainsAny(message, "\"%"):
		message = "the text cannot be read from here on"
	}
	l.place(load.Mark.Line, load.Mark.Column, "not YAML: "+message)
}

// check refuses what would make a file mean something other than what a reader sees.
func (l *loader) check(n *yaml.Node, depth int) {
	switch {
	case depth > maxDepth:
		l.fault(n, "nested deeper than %d levels; no test is", maxDepth)
	case n.Kind == yaml.AliasNode:
		l.fault(n, "aliases (*name) are not supported; write the value out, or put a text that begins with * in quotes")
	case n.Anchor != "":
		l.fault(n, "anchors (&name) are not supported; put a text that begins with & in quotes")
	case n.Style&yaml.TaggedStyle != 0:
		l.fault(n, "tags (!name) are not supported; put a text that begins with ! in quotes")
	default:
		for _, child := range n.Content {
			l.check(child, depth+1)
		}
	}
}

// The types of scalars, as messages name them.
const (
	stringType = "a text"
	intType    = "a number"
)

// kindOf names what n is.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!str":
		return stringType
	case "!!int":
		return intType
	case "!!float":
		return "a number with a point"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "nothing"
	}
	return "a value of another type" // a date, or a merge key
}

func isNull(n *yaml.Node) bool { return kindOf(n) == "nothing" }

func isText(n *yaml.Node) bool { return kindOf(n) == stringType }

// mapping returns the values of n by key. Keys that are unknown, stand there twice or have no value are faults.
func (l *loader) mapping(n *yaml.Node, known ...string) map[string]*yaml.Node {
	values := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		_, twice := values[key.Value]
		switch {
		case !isText(key):
			l.fault(key, "a key must be a single word; known: %s", strings.Join(known, ", "))
		case !slices.Contains(known, key.Value):
			l.fault(key, "unknown key %s%s", quote(key.Value), didYouMean(key.Value, known))
		case twice:
			l.fault(key, "%s stands here twice; keep one", key.Value)
		case isNull(value):
			l.fault(key, "%s has no value; write one, or remove the key", key.Value)
			values[key.Value] = nil
		default:
			values[key.Value] = value
		}
	}
	return values
}

// text returns n's text, or ok false and a fault if n is not a text or is empty.
func (l *loader) text(n *yaml.Node, what string) (text string, ok bool) {
	switch {
	case n.Kind == yaml.ScalarNode && !isText(n):
		l.fault(n, "%s must be a text and is %s; put it in quotes", what, kindOf(n))
	case n.Kind != yaml.ScalarNode:
		l.fault(n, "%s must be a text and is %s", what, kindOf(n))
	case n.Value == "":
		l.fault(n, "%s is empty", what)
	default:
		return n.Value, true
	}
	return "", false
}

// list returns the items of a list, none of which may be there twice; n alone if it is not a list and single allows that.
func (l *loader) list(n *yaml.Node, what string, single bool) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		if single {
			return []*yaml.Node{n}
		}
		l.fault(n, "%s must be a list and is %s; write - before it", what, kindOf(n))
		return nil
	}
	if len(n.Content) == 0 {
		l.fault(n, "%s is an empty list; write at least one entry, or remove it", what)
	}
	seen := map[string]bool{}
	for _, item := range n.Content {
		if item.Kind == yaml.ScalarNode && seen[item.Value] {
			l.fault(item, "this stands in the list twice; keep one")
		}
		seen[item.Value] = seen[item.Value] || item.Kind == yaml.ScalarNode
	}
	return n.Content
}

// texts returns the items of a list of texts.
func (l *loader) texts(n *yaml.Node, what string) []string {
	if n == nil {
		return nil
	}
	var texts []string
	for _, item := range l.list(n, what, false) {
		if text, ok := l.text(item, "an entry of "+what); ok {
			texts = append(texts, text)
		}
	}
	return texts
}
