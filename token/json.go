package token

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The bounds of JSON within a token. A token is 8 KiB at most, so that they only matter to what is made to be hard to read.
const (
	maxDepth   = 16
	maxMembers = 256
)

// errJSON: what stands in the token is not JSON as everybody reads it alike (RFC 8259, RFC 7493): members come twice, text is not UTF-8.
var errJSON = errors.New("not strict JSON")

// members calls visit for each member of the JSON object that text is, in its order, with the member's name as it is meant and its value as it is written. It
// checks the whole of text first to last, nested values too, and allocates nothing for names without escapes. Names and values are parts of text.
func members(text string, visit func(name, value string) error) error {
	if !utf8.ValidString(text) {
		return errJSON
	}
	s := scanner{text: text}
	var failed error
	s.space()
	ok := s.object(func(name string) bool {
		begin := s.pos
		if !s.skip() {
			return false
		}
		failed = visit(name, s.text[begin:s.pos])
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	s.space()
	if !ok || s.pos != len(text) {
		return errJSON
	}
	return nil
}

// A scanner reads JSON of RFC 8259. Its methods report whether what they read is well-formed, and stand behind it then. It reads everything itself, so that nothing means one thing when it
// is checked and another when it is read.
type scanner struct {
	text  string
	pos   int
	depth int
}

func (s *scanner) space() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// take reads one byte if it is c.
func (s *scanner) take(c byte) bool {
	if s.peek() == c {
		s.pos++
		return true
	}
	return false
}

// peek returns the next byte, or 0, with which nothing begins.
func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

// skip reads a value without making anything of it.
func (s *scanner) skip() bool {
	ok := true
	switch s.peek() {
	case '"':
		_, ok = s.quoted()
	case '{':
		ok = s.object(func(string) bool { return s.skip() })
	case '[':
		ok = s.array(s.skip)
	default:
		_, ok = s.plain()
	}
	return ok
}

// read reads a value as what it means.
func (s *scanner) read() (value any, ok bool) {
	switch s.peek() {
	case '"':
		return s.quoted()
	case '{':
		all := map[string]any{}
		ok = s.object(func(name string) (ok bool) {
			all[name], ok = s.read()
			return ok
		})
		return all, ok
	case '[':
		list := []any{}
		ok = s.array(func() bool {
			one, ok := s.read()
			list = append(list, one)
			return ok
		})
		return list, ok
	}
	text, ok := s.plain()
	if !ok {
		return nil, false
	}
	switch text {
	case "true", "false":
		return text == "true", true
	case "null":
		return nil, true
	}
	return numberOf(text)
}

// plain reads what is neither text nor made of parts.
func (s *scanner) plain() (string, bool) {
	begin := s.pos
	for _, word := range []string{"true", "false", "null"} {
		if strings.HasPrefix(s.text[begin:], word) {
			s.pos += len(word)
			return word, true
		}
	}
	ok := s.number()
	return s.text[begin:s.pos], ok
}

// object reads an object, each value of which member reads. No name may come twice, however it is written.
func (s *scanner) object(member func(name string) bool) bool {
	var names nameSet
	return s.parts('{', '}', func() bool {
		name, ok := s.quoted()
		if !ok || !names.add(name) {
			return false
		}
		s.space()
		if !s.take(':') {
			return false
		}
		s.space()
		return member(name)
	})
}

// array reads an array, each element of which element reads.
func (s *scanner) array(element func() bool) bool { return s.parts('[', ']', element) }

// parts reads what stands between brackets, with commas in between.
func (s *scanner) parts(open, end byte, one func() bool) bool {
	s.depth++
	if s.depth > maxDepth || !s.take(open) {
		return false
	}
	s.space()
	for first := true; !s.take(end); first = false {
		if !first && !s.take(',') {
			return false
		}
		s.space()
		if !one() {
			return false
		}
		s.space()
	}
	s.depth--
	return true
}

// A nameSet are the names of an object. It looks through the first few one by one, and never takes longer for each of many.
type nameSet struct {
	few  [16]string
	n    int
	many map[string]bool
}

// add reports whether name is new, and there are not too many.
func (s *nameSet) add(name string) bool {
	if slices.Contains(s.few[:min(s.n, len(s.few))], name) || s.many[name] || s.n >= maxMembers {
		return false
	}
	if s.n < len(s.few) {
		s.few[s.n] = name
	} else {
		if s.many == nil {
			s.many = map[string]bool{}
		}
		s.many[name] = true
	}
	s.n++
	return true
}

// quoted reads a string and returns what it means: a part of s.text if there are no escapes in it.
func (s *scanner) quoted() (string, bool) {
	if !s.take('"') {
		return "", false
	}
	for begin := s.pos; s.pos < len(s.text); s.pos++ {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return s.text[begin : s.pos-1], true
		case c == '\\':
			return s.escaped(s.text[begin:s.pos])
		case c < ' ':
			return "", false
		}
	}
	return "", false
}

// escaped reads the rest of a string, from the first escape on.
func (s *scanner) escaped(before string) (string, bool) {
	text := []byte(before)
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		s.pos++
		switch {
		case c == '"':
			return string(text), true
		case c < ' ':
			return "", false
		case c == '\\':
			r, ok := s.escape()
			if !ok {
				return "", false
			}
			text = utf8.AppendRune(text, r)
		default:
			text = append(text, c)
		}
	}
	return "", false
}

// escape reads what follows a backslash. Half a surrogate pair stands for no character, and is refused: others would put another in its place.
func (s *scanner) escape() (rune, bool) {
	c := s.peek()
	s.pos++
	if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
		return rune("\"\\/\b\f\n\r\t"[i]), true
	}
	if c != 'u' {
		return 0, false
	}
	r, ok := s.hex()
	if !ok || !utf16.IsSurrogate(r) {
		return r, ok
	}
	if !s.take('\\') || !s.take('u') {
		return 0, false
	}
	low, ok := s.hex()
	r = utf16.DecodeRune(r, low)
	return r, ok && r != utf8.RuneError
}

// hex reads the four digits of an escape.
func (s *scanner) hex() (rune, bool) {
	if len(s.text)-s.pos < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(s.text[s.pos:s.pos+4], 16, 16)
	s.pos += 4
	return rune(n), err == nil
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
	for s.pos < len(s.text) && '0' <= s.text[s.pos] && s.text[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > begin
}

// numberOf returns the number that text is, which has been scanned: a float64, or, where that would be written as another number, as with whole ones beyond 2^53, a json.Number, so that
// nobody's id becomes somebody else's. There is none that is too large for a float64.
func numberOf(text string) (any, bool) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, false
	}
	if len(text) > 15 && strings.Trim(text, "-0123456789") == "" && strconv.FormatFloat(f, 'f', -1, 64) != text {
		return json.Number(text), true
	}
	return f, true
}

// valueOf returns what a value of JSON means, as encoding/json has it, but for numbers: see numberOf. The value has been scanned.
func valueOf(value string) (any, bool) {
	s := scanner{text: value}
	v, ok := s.read()
	return v, ok && s.pos == len(value)
}

// textOf returns the string that a value of JSON is. The value has been scanned.
func textOf(value string) (string, bool) {
	s := scanner{text: value}
	return s.quoted()
}

// textsOf returns the strings of an array, or the one that the value is. The value has been scanned.
func textsOf(value string) ([]string, bool) {
	s := scanner{text: value}
	if s.peek() == '"' {
		text, ok := s.quoted()
		return []string{text}, ok
	}
	texts := []string{}
	ok := s.array(func() bool {
		text, ok := s.quoted()
		texts = append(texts, text)
		return ok
	})
	return texts, ok
}
