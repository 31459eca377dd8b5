package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"unicode/utf8"
)

// The bounds of JSON within a token. A token is 8 KiB at most, so that they only matter to what is made to be hard to read.
const (
	maxDepth   = 16
	maxMembers = 256
)

// errJSON: what stands in the token is not JSON as everybody reads it alike (RFC 8259, RFC 7493): members come twice, text is not UTF-8.
var errJSON = errors.New("not strict JSON")

// members calls visit for each member of the JSON object that data is, in its order, with the member's name as it is meant and its value as it is written. It
// checks the whole of data first to last, nested values too, and allocates nothing for names without escapes. The bytes belong to data.
func members(data []byte, visit func(name, value []byte) error) error {
	if !utf8.Valid(data) {
		return errJSON
	}
	s := scanner{data: data}
	s.space()
	if !s.object(visit) {
		if s.err != nil {
			return s.err
		}
		return errJSON
	}
	s.space()
	if s.pos != len(data) {
		return errJSON
	}
	return nil
}

// A scanner reads JSON of RFC 8259. Its methods report whether what they read is well-formed, and stand behind it then.
type scanner struct {
	data  []byte
	pos   int
	depth int
	err   error // what visit returned
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// take reads one byte if it is c.
func (s *scanner) take(c byte) bool {
	if s.pos < len(s.data) && s.data[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

func (s *scanner) value() bool {
	if s.pos >= len(s.data) {
		return false
	}
	switch c := s.data[s.pos]; {
	case c == '"':
		_, ok := s.text()
		return ok
	case c == '{':
		return s.object(nil)
	case c == '[':
		return s.array()
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	}
	return s.number()
}

func (s *scanner) word(w string) bool {
	if !bytes.HasPrefix(s.data[s.pos:], []byte(w)) {
		return false
	}
	s.pos += len(w)
	return true
}

// object reads an object. No name may come twice, however it is written.
func (s *scanner) object(visit func(name, value []byte) error) bool {
	if !s.enter('{') {
		return false
	}
	var space [16][]byte
	names := space[:0]
	s.space()
	for first := true; !s.take('}'); first = false {
		if !first && !s.take(',') {
			return false
		}
		s.space()
		name, ok := s.text()
		if !ok || len(names) >= maxMembers || slices.ContainsFunc(names, func(n []byte) bool { return bytes.Equal(n, name) }) {
			return false
		}
		names = append(names, name)
		if !s.member(name, visit) {
			return false
		}
	}
	s.depth--
	return true
}

// member reads what stands behind a name.
func (s *scanner) member(name []byte, visit func(name, value []byte) error) bool {
	s.space()
	if !s.take(':') {
		return false
	}
	s.space()
	begin := s.pos
	if !s.value() {
		return false
	}
	if visit != nil {
		if s.err = visit(name, s.data[begin:s.pos]); s.err != nil {
			return false
		}
	}
	s.space()
	return true
}

func (s *scanner) array() bool {
	if !s.enter('[') {
		return false
	}
	s.space()
	for first := true; !s.take(']'); first = false {
		if !first && !s.take(',') {
			return false
		}
		s.space()
		if !s.value() {
			return false
		}
		s.space()
	}
	s.depth--
	return true
}

func (s *scanner) enter(c byte) bool {
	s.depth++
	return s.depth <= maxDepth && s.take(c)
}

// text reads a string and returns what it means: a part of data if there are no escapes in it.
func (s *scanner) text() ([]byte, bool) {
	if !s.take('"') {
		return nil, false
	}
	begin, escaped := s.pos, false
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == '"':
			raw := s.data[begin:s.pos]
			s.pos++
			if escaped {
				return unescape(raw)
			}
			return raw, true
		case c < ' ':
			return nil, false
		case c == '\\':
			escaped = true
			s.pos++
		}
		s.pos++
	}
	return nil, false
}

// unescape resolves the escapes of a string. Half a surrogate pair stands for no character, and is refused: encoding/json would put another in its place.
func unescape(raw []byte) ([]byte, bool) {
	quoted := append(append([]byte{'"'}, raw...), '"')
	var text string
	if err := json.Unmarshal(quoted, &text); err != nil {
		return nil, false
	}
	replaced := bytes.Count(raw, []byte("\uFFFD")) + bytes.Count(bytes.ToLower(raw), []byte(`\ufffd`))
	if bytes.Count([]byte(text), []byte("\uFFFD")) != replaced {
		return nil, false
	}
	return []byte(text), true
}

// number reads a number by the grammar of RFC 8259, section 6.
func (s *scanner) number() bool {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return false
	}
	if s.take('.') && !s.digits() {
		return false
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	begin := s.pos
	for s.pos < len(s.data) && '0' <= s.data[s.pos] && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > begin
}

// textOf returns the string that a value of JSON is. The value has been scanned.
func textOf(value []byte) (string, bool) {
	s := scanner{data: value}
	text, ok := s.text()
	return string(text), ok
}

// textsOf returns the strings of an array, or the one that the value is.
func textsOf(value []byte) (texts []string, ok bool) {
	if len(value) > 0 && value[0] == '"' {
		text, ok := textOf(value)
		return []string{text}, ok
	}
	var list []*string // pointers, because a null would become an empty text
	if json.Unmarshal(value, &list) != nil || list == nil || slices.Contains(list, nil) {
		return nil, false
	}
	texts = make([]string, len(list))
	for i, text := range list {
		texts[i] = *text
	}
	return texts, true
}
