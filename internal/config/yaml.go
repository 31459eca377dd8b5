package config

import (
	"bytes"
	"errors"
	"io"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

const tooDeep = "nested deeper than 64 levels; a configuration never is"

// parseYAML makes nodes of a YAML text. A text without content is an empty configuration.
func parseYAML(s source) (*node, *Fault) {
	p := &yamlParser{source: s, end: s.at(len(s.data)), lines: countLines(s.data)}
	document, fault := p.document()
	if fault != nil || document == nil || len(document.Content) == 0 {
		return nil, fault
	}
	root := p.node(document.Content[0], 0)
	return root, p.fault
}

// A yamlParser turns the nodes of the YAML package into ours.
type yamlParser struct {
	source
	end   Position // where the text ends
	lines int
	fault *Fault
}

// document returns the only document of the text, or nil if there is none.
func (p *yamlParser) document() (document *yaml.Node, fault *Fault) {
	// The text is a person's or a machine's; a mistake in the YAML package must not stop a running server that reloads.
	defer func() {
		if recover() != nil {
			document, fault = nil, &Fault{p.whole(), "is not YAML that can be read"}
		}
	}()
	loader, err := yaml.NewLoader(bytes.NewReader(p.data))
	if err != nil {
		return nil, p.syntax(err)
	}
	var first, second yaml.Node
	if err := loader.Load(&first); err != nil {
		return nil, p.syntax(err)
	}
	if err := loader.Load(&second); !errors.Is(err, io.EOF) {
		return nil, p.secondDocument(&second, err)
	}
	return &first, nil
}

func (p *yamlParser) secondDocument(second *yaml.Node, err error) *Fault {
	if err != nil {
		return p.syntax(err)
	}
	return &Fault{p.clamp(second.Line, second.Column), "a second document starts here; a configuration is one document"}
}

// syntax turns an error of the YAML package into a fault; the end of the text is none.
func (p *yamlParser) syntax(err error) *Fault {
	if errors.Is(err, io.EOF) {
		return nil
	}
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		return &Fault{p.whole(), "is not YAML that can be read"}
	}
	return &Fault{p.clamp(load.Mark.Line, load.Mark.Column), "not YAML: " + p.explain(load)}
}

// explain returns the message of load without any text of the file, and with what people mostly mean by it.
func (p *yamlParser) explain(load *yaml.LoadError) string {
	message := load.Message
	switch {
	case strings.Contains(message, "anchor"):
		return "an alias (*name) stands here, and its anchor nowhere; put a text that begins with * in quotes"
	case strings.Contains(message, "cannot start any token"):
		return "no value may begin with this character; indent with spaces, and put a text with special characters in quotes"
	case strings.Contains(message, "mapping values are not allowed"):
		return "a key and colon cannot stand here; check the indentation, or put a text with a colon in quotes"
	case strings.Contains(message, "',' or"):
		return "a comma or the closing bracket is missing before this; put a text with brackets in quotes, such as \"/films/{id}\""
	case strings.Contains(message, "max depth"):
		return tooDeep
	case strings.ContainsAny(message, `"%`):
		return "the text cannot be read from here on"
	}
	if load.ContextMsg != "" {
		message = load.ContextMsg + ", " + message
	}
	return message
}

// clamp makes a position of the YAML package ours: it sometimes counts one line more than the text has.
func (p *yamlParser) clamp(line, column int) Position {
	if line < 1 || line > p.lines {
		return p.end
	}
	return Position{File: p.name, Line: line, Column: max(column, 1)}
}

// countLines counts lines as YAML does: a lone carriage return ends one, too.
func countLines(data []byte) int {
	return 1 + bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) - bytes.Count(data, []byte("\r\n"))
}

func (p *yamlParser) refuse(at Position, message string) {
	if p.fault == nil {
		p.fault = &Fault{at, message}
	}
}

// node converts y. Only the first fault is kept: what follows it is noise.
func (p *yamlParser) node(y *yaml.Node, depth int) *node {
	n := &node{at: p.clamp(y.Line, y.Column)}
	switch {
	case depth > maxDepth:
		p.refuse(n.at, tooDeep)
	case y.Kind == yaml.AliasNode:
		p.refuse(n.at, "aliases (*name) are not supported; write the value out, or put a text that begins with * in quotes")
	case y.Style&yaml.TaggedStyle != 0:
		p.refuse(n.at, "tags (!name) are not supported; put a text in quotes instead")
	case y.Kind == yaml.MappingNode:
		p.mapping(n, y, depth)
	case y.Kind == yaml.SequenceNode:
		p.sequence(n, y, depth)
	default:
		n.text = y.Value
		if y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
			n.typ = typeOf(y.Value)
		}
	}
	return n
}

func (p *yamlParser) sequence(n *node, y *yaml.Node, depth int) {
	n.kind = listNode
	for _, item := range y.Content {
		n.items = append(n.items, p.node(item, depth+1))
	}
}

func (p *yamlParser) mapping(n *node, y *yaml.Node, depth int) {
	n.kind = mappingNode
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := p.node(y.Content[i], depth+1), p.node(y.Content[i+1], depth+1)
		switch {
		case key.kind != scalarNode:
			p.refuse(key.at, "a key must be a single word")
		case key.text == "<<":
			p.refuse(key.at, "merge keys (<<) are not supported; write the keys out")
		}
		if value.isNull() && value.text == "" {
			value.at = key.at // nothing was written, so the place is the key's
		}
		n.entries = append(n.entries, entry{key.text, key.at, value})
	}
}
