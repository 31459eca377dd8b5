package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// guide is where the format of policy test files is described.
const guide = "docs/policy-tests.md"

// A Fault says what is wrong at one place of a policy test file.
type Fault struct {
	// File is the name of the file as it was found, or the pattern that finds none.
	File string
	// Line and Column count from 1; both are 0 for a fault of the whole file.
	Line, Column int
	// Message tells a person what to do. It repeats no header.
	Message string
}

// String returns "file:line:column: message".
func (f Fault) String() string {
	if f.Line == 0 {
		return f.File + ": " + f.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Message)
}

// Faults is the error of [LoadTests] and [Suite.CheckTokens]: all faults, sorted by position. It is never empty.
type Faults []Fault

// Error returns one line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// err returns f, sorted and each once, as an error, or nil if it is empty.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	slices.SortStableFunc(f, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(f)
}

// didYouMean returns `; did you mean "x"?` for the nearest of known, or all of them if none is near.
func didYouMean(name string, known []string) string {
	best, least := "", len(name)/3+2
	for _, candidate := range known {
		if d := distance(strings.ToLower(cut(name, 60)), strings.ToLower(candidate)); d < least && d < len(candidate) {
			best, least = candidate, d
		}
	}
	switch {
	case best != "":
		return "; did you mean " + quote(best) + "?"
	case len(known) == 0:
		return ""
	case len(known) > 20:
		return fmt.Sprintf("; known: %s and %d more", strings.Join(known[:20], ", "), len(known)-20)
	}
	return "; known: " + strings.Join(known, ", ")
}

// distance counts the insertions, deletions, substitutions and swaps of neighbours that turn a into b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			differ := 1
			if a[i] == b[j] {
				differ = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+differ)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
