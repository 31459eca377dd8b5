package config

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A source is the text of a configuration file, able to say where an offset stands.
type source struct {
	name string
	data []byte
}

// at returns the position of the byte at offset, columns counted in characters.
func (s source) at(offset int) Position {
	offset = min(max(offset, 0), len(s.data))
	before := s.data[:offset]
	start := bytes.LastIndexByte(before, '\n') + 1
	return Position{File: s.name, Line: bytes.Count(before, []byte("\n")) + 1, Column: utf8.RuneCount(before[start:]) + 1}
}

// A cursor finds the positions of offsets that only grow, without counting from the start each time.
type cursor struct {
	source
	offset, line, column int
}

// forward moves to offset, which must not be before the last one, and returns its position.
func (c *cursor) forward(offset int) Position {
	passed := c.data[c.offset:offset]
	if newline := bytes.LastIndexByte(passed, '\n'); newline >= 0 {
		c.line += bytes.Count(passed, []byte("\n"))
		c.column, passed = 1, passed[newline+1:]
	}
	c.column += utf8.RuneCount(passed)
	c.offset = offset
	return Position{File: c.name, Line: c.line, Column: c.column}
}

// whole returns the position of the file as a whole.
func (s source) whole() Position { return Position{File: s.name} }

var (
	byteOrderMark = []byte("\xef\xbb\xbf")
	utf16Marks    = []string{"\xff\xfe", "\xfe\xff"}
)

// newSource takes a byte order mark away and refuses what is no plain text: another encoding, control characters, and the
// separators that some readers take for the end of a line and others do not.
func newSource(name string, data []byte) (source, *Fault) {
	s := source{name: name, data: bytes.TrimPrefix(data, byteOrderMark)}
	if len(data) > maxSize {
		return s, &Fault{s.whole(), "is larger than 4 MiB; a configuration is never that large"}
	}
	for _, mark := range utf16Marks {
		if strings.HasPrefix(string(data[:min(len(data), 2)]), mark) {
			return s, &Fault{s.at(0), "is UTF-16; save it as UTF-8"}
		}
	}
	return s, s.checkText()
}

func (s source) checkText() *Fault {
	for offset := 0; offset < len(s.data); {
		r, size := utf8.DecodeRune(s.data[offset:])
		if r == utf8.RuneError && size <= 1 {
			return &Fault{s.at(offset), "not UTF-8 here; save the file as UTF-8"}
		}
		if !textRune(r) {
			return &Fault{s.at(offset), "a character that cannot be printed stands here; remove it"}
		}
		offset += size
	}
	return nil
}

func textRune(r rune) bool {
	switch r {
	case '\t', '\n', '\r':
		return true
	case '\u2028', '\u2029', '\ufeff', '\ufffe', '\uffff':
		return false
	}
	return !unicode.IsControl(r)
}
