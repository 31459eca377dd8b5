package logs

import (
	"log/slog"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxValue bounds one printed string, in bytes: a line is never as long as a client likes.
const maxValue = 8 << 10

// line is one log line in the making.
type line struct {
	buf    []byte
	json   bool
	comma  bool   // json: something stands before the next key
	prefix []byte // text: the groups around, "a.b."
	hidden bool   // inside a group whose name is secret
}

func (l *line) reset(json bool) {
	*l = line{buf: l.buf[:0], prefix: l.prefix[:0], json: json}
}

func (l *line) end() {
	if l.json {
		l.buf = append(l.buf, '}')
	}
	l.buf = append(l.buf, '\n')
}

func (l *line) attrs(attrs []slog.Attr) {
	for _, a := range attrs {
		l.attr(a)
	}
}

// attr prints a, unless it is empty.
func (l *line) attr(a slog.Attr) {
	v := a.Value.Resolve()
	if a.Key == "" && v.Equal(slog.Value{}) {
		return
	}
	if secretKey(a.Key) {
		l.key(a.Key)
		l.str(hiddenText)
		return
	}
	if v.Kind() != slog.KindGroup {
		l.key(a.Key)
		l.value(v)
		return
	}
	if a.Key == "" {
		l.attrs(v.Group())
		return
	}
	l.group(a.Key, func() { l.attrs(v.Group()) })
}

// group prints what inside prints as a group. A group without content leaves no trace.
func (l *line) group(name string, inside func()) {
	start, prefix, comma, hidden := len(l.buf), len(l.prefix), l.comma, l.hidden
	l.hidden = hidden || secretKey(name)
	if l.json {
		l.key(name)
		l.buf, l.comma = append(l.buf, '{'), false
	} else {
		l.prefix = append(append(l.prefix, name...), '.')
	}
	open := len(l.buf)
	inside()
	switch {
	case len(l.buf) == open:
		l.buf, l.comma = l.buf[:start], comma
	case l.json:
		l.buf, l.comma = append(l.buf, '}'), true
	}
	l.prefix, l.hidden = l.prefix[:prefix], hidden
}

// key prints the start of a pair.
func (l *line) key(name string) {
	if l.json {
		if l.comma {
			l.buf = append(l.buf, ',')
		}
		l.comma = true
		l.str(name)
		l.buf = append(l.buf, ':')
		return
	}
	l.buf = append(l.buf, ' ')
	if len(l.prefix) == 0 {
		l.str(name)
	} else {
		l.str(string(l.prefix) + name)
	}
	l.buf = append(l.buf, '=')
}

// value prints a value that is not a group.
func (l *line) value(v slog.Value) {
	if l.hidden {
		l.str(hiddenText)
		return
	}
	switch v.Kind() {
	case slog.KindString:
		l.str(v.String())
	case slog.KindInt64:
		l.buf = strconv.AppendInt(l.buf, v.Int64(), 10)
	case slog.KindUint64:
		l.buf = strconv.AppendUint(l.buf, v.Uint64(), 10)
	case slog.KindBool:
		l.buf = strconv.AppendBool(l.buf, v.Bool())
	case slog.KindDuration:
		l.duration(v.Duration())
	case slog.KindTime:
		l.str(v.Time().UTC().Format(time.RFC3339Nano))
	default: // a float too: encoding/json knows how it is written, and what is no number
		l.any(v.Any())
	}
}

// duration prints d for people as 1.5s, for machines in nanoseconds, as slog's own handlers do.
func (l *line) duration(d time.Duration) {
	if l.json {
		l.buf = strconv.AppendInt(l.buf, int64(d), 10)
		return
	}
	l.buf = append(l.buf, d.String()...)
}

// any prints what has no kind of its own.
func (l *line) any(v any) {
	text, raw := render(v)
	if raw && l.json {
		l.buf = appendPrintable(l.buf, text)
		return
	}
	l.str(text)
}

// str prints s as a JSON string or, in text, bare where that is unmistakable and quoted otherwise.
func (l *line) str(s string) {
	cut := ""
	if len(s) > maxValue {
		s, cut = s[:maxValue], "…"
	}
	switch {
	case l.json:
		l.buf = appendJSON(append(l.buf, '"'), s)
		l.buf = append(append(l.buf, cut...), '"')
	case cut == "" && plain(s, false):
		l.buf = append(l.buf, s...)
	default:
		l.buf = strconv.AppendQuote(l.buf, s+cut)
	}
}

// message prints the message of a text line: spaces do not need quotes there.
func (l *line) message(s string) {
	if plain(s, true) && len(s) <= maxValue {
		l.buf = append(l.buf, s...)
		return
	}
	l.str(s)
}

// plain reports whether s can stand in a text line without quotes.
func plain(s string, spaces bool) bool {
	if s == "" {
		return false
	}
	for _, r := range s {
		if r == '"' || r == '=' || r == utf8.RuneError || r == ' ' && !spaces || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// appendJSON appends s as the inside of a JSON string. All that is not printable is escaped: encoding/json would leave
// DEL, the C1 controls and the bidirectional marks as they are, and a terminal obeys them.
func appendJSON(b []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		if c := s[i]; c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r != utf8.RuneError && r >= utf8.RuneSelf && unicode.IsPrint(r) {
			i += size
			continue
		}
		b = append(b, s[start:i]...)
		b = appendEscape(b, r)
		i += size
		start = i
	}
	return append(b, s[start:]...)
}

// appendPrintable appends s, which must be JSON, and escapes what is not printable. Such a rune can only stand in a string.
func appendPrintable(b []byte, s string) []byte {
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			b = appendEscape(b, r)
			continue
		}
		b = utf8.AppendRune(b, r)
	}
	return b
}

func appendEscape(b []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(b, '\\', byte(r))
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	if r > 0xffff {
		r -= 0x10000
		return appendHex(appendHex(b, 0xd800+r>>10), 0xdc00+r&0x3ff)
	}
	return appendHex(b, r)
}

func appendHex(b []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	return append(b, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}
