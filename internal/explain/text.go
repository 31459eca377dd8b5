package explain

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean makes text safe for a terminal and a line of its own: what cannot be printed is escaped.
func clean(s string) string {
	if utf8.ValidString(s) && strings.IndexFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) < 0 {
		return s
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}

// ellipsis ends a text that was cut.
const ellipsis = "…"

// cut returns at most limit bytes of s, at a character's end and marked as cut.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	if limit < len(ellipsis) {
		return ""
	}
	end := limit - len(ellipsis)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + ellipsis
}

// quote returns s in quotes for a message, short.
func quote(s string) string { return strconv.Quote(cut(s, 60)) }

// suspicious is the length from which an unbroken word with letters and digits in an error may be a credential.
const suspicious = 20

// scrub takes what looks like a credential out of an error's text. Carriers redact their credential from errors; this is for the pieces of one,
// such as a part of a signed token that a parser repeats, and for what a hook put there.
func scrub(s string) string {
	if len(s) < suspicious {
		return s
	}
	var b strings.Builder
	for start := 0; start < len(s); {
		end := start
		for end < len(s) && isTokenByte(s[end]) {
			end++
		}
		word := s[start:end]
		if looksSecret(word) {
			word = "[secret]"
		}
		b.WriteString(word)
		if end < len(s) {
			b.WriteByte(s[end])
		}
		start = end + 1
	}
	return b.String()
}

// isTokenByte reports whether base64, hexadecimal or a token of ours has the byte.
func isTokenByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("+_=~-", c) >= 0
}

func looksSecret(word string) bool {
	return len(word) >= suspicious && strings.ContainsAny(word, "0123456789") && strings.ContainsFunc(word, unicode.IsLetter)
}
