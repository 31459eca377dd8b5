package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// parseJSON makes nodes of a JSON text. A text of white space alone is an empty configuration.
func parseJSON(s source) (*node, *Fault) {
	if len(bytes.TrimSpace(s.data)) == 0 {
		return nil, nil
	}
	if fault := checkJSON(s); fault != nil {
		return nil, fault
	}
	p := &jsonParser{cursor: cursor{source: s, line: 1, column: 1}, dec: json.NewDecoder(bytes.NewReader(s.data))}
	p.dec.UseNumber()
	root := p.value(0)
	return root, p.fault
}

// checkJSON finds the one place where a text stops being JSON. The walk that follows may then rely on the syntax.
func checkJSON(s source) *Fault {
	var raw json.RawMessage
	err := json.Unmarshal(s.data, &raw)
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &syntax):
		return &Fault{s.whole(), "is not JSON"}
	case int(syntax.Offset) >= len(s.data) && unfinishedJSON(s.data):
		return &Fault{s.at(len(s.data)), "not JSON: the file ends too early; a closing bracket or quote is missing"}
	}
	offset := int(syntax.Offset) - 1
	if strings.Contains(syntax.Error(), "max depth") {
		return &Fault{s.at(offset), tooDeep}
	}
	return &Fault{s.at(offset), "not JSON from here on" + jsonHint(s.data, offset)}
}

// unfinishedJSON reports whether data is only a beginning: every token that it has is good.
func unfinishedJSON(data []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(data))
	for {
		var err error
		if _, err = dec.Token(); err == nil {
			continue
		}
		var syntax *json.SyntaxError
		return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || !errors.As(err, &syntax)
	}
}

// jsonHint says what people mean by the character that JSON does not allow at offset.
func jsonHint(data []byte, offset int) string {
	if offset < 0 || offset >= len(data) {
		return ""
	}
	switch data[offset] {
	case ']', '}':
		return "; is there a comma too many before it?"
	case '"', '{', '[':
		return "; is a comma or colon missing before it?"
	case '\'':
		return "; strings stand in double quotes"
	case '/', '#':
		return "; JSON has no comments, YAML has"
	case '\n', '\r', '\t':
		return "; a string may not contain a line break or a tab, write \\n or \\t"
	case ',':
		return "; a value is missing before the comma"
	}
	return ""
}

// A jsonParser walks the tokens of a text that is known to be JSON.
type jsonParser struct {
	cursor
	dec   *json.Decoder
	fault *Fault
}

// next returns the position of the token that Token will return next.
func (p *jsonParser) next() Position {
	offset := int(p.dec.InputOffset())
	for offset < len(p.data) && bytes.IndexByte([]byte(" \t\r\n,:"), p.data[offset]) >= 0 {
		offset++
	}
	return p.forward(offset)
}

// value reads the next value. After a fault it returns something, and the caller looks at fault.
func (p *jsonParser) value(depth int) *node {
	n := &node{at: p.next()}
	token, err := p.dec.Token()
	if err != nil && p.fault == nil {
		p.fault = &Fault{n.at, "not JSON from here on"}
	}
	if depth > maxDepth && p.fault == nil {
		p.fault = &Fault{n.at, tooDeep}
	}
	if p.fault != nil {
		return n
	}
	switch token := token.(type) {
	case json.Delim:
		p.container(n, token, depth)
	case string:
		n.text = token
	case json.Number:
		n.text, n.typ = token.String(), typeOf(token.String())
	case bool:
		n.text, n.typ = boolWord(token), boolType
	case nil:
		n.typ = nullType
	}
	return n
}

func boolWord(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

func (p *jsonParser) container(n *node, open json.Delim, depth int) {
	n.kind = listNode
	if open == '{' {
		n.kind = mappingNode
	}
	for p.fault == nil && p.dec.More() {
		if n.kind == listNode {
			n.items = append(n.items, p.value(depth+1))
			continue
		}
		key := p.value(depth + 1)
		n.entries = append(n.entries, entry{key.text, key.at, p.value(depth + 1)})
	}
	if p.fault == nil {
		_, _ = p.dec.Token() // the closing bracket, which checkJSON has seen
	}
}
