package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// quotedRunes is how much of a wrong value a message repeats.
const quotedRunes = 60

// maxKnown is how many known names a message lists or looks through.
const maxKnown = 50

// quote returns text in double quotes, cut short when it is long and with everything that cannot be printed escaped. Of an address in the wrong place it leaves out where a password
// may stand.
func quote(text string) string {
	if scheme, rest, ok := strings.Cut(text, "://"); ok {
		text = scheme + "://" + rest[max(0, strings.LastIndexByte(rest, '@')):]
	}
	head := text[:min(len(text), utf8.UTFMax*(quotedRunes+1))] // enough for the runes, however long the text
	if utf8.RuneCountInString(head) > quotedRunes {
		text = string([]rune(head)[:quotedRunes]) + "…"
	}
	return strconv.Quote(text)
}

// didYouMean returns `; did you mean "x"?` for the known name nearest to name, or, where none is near, a list of what is known.
func didYouMean(name string, known []string) string {
	more := ""
	if len(known) > maxKnown {
		known, more = known[:maxKnown], ", …"
	}
	if best := nearest(name, known); best != "" {
		return "; did you mean " + quote(best) + "?"
	}
	if len(known) == 0 {
		return ""
	}
	return "; known: " + strings.Join(known, ", ") + more
}

// nearest returns the member of known that takes the fewest typing mistakes to become name, or "" if none is close. The first wins a tie.
func nearest(name string, known []string) string {
	best, least := "", len(name)/3+2
	if len(name) > 4*quotedRunes {
		return ""
	}
	for _, candidate := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(candidate)); d < least && d < len(candidate) {
			best, least = candidate, d
		}
	}
	return best
}

// distance counts the insertions, deletions, substitutions and swaps of neighbours between a and b, in bytes.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+differ(a[i], b[j]))
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

func differ(a, b byte) int {
	if a == b {
		return 0
	}
	return 1
}

// sortedKeys returns the keys of m in alphabetical order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
