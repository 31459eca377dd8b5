package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Position is a place in a configuration.
type Position struct {
	// File is the name of the file as it was given to Load or Parse, or "environment:NAME" for a value from the environment.
	File string
	// Line and Column count from 1, columns in characters. Both are 0 where there is no line: in the environment, and in a fault
	// of the whole file.
	Line, Column int
	// Path is the key path, such as rules[2].allow.role; empty for the whole file.
	Path string
}

// String returns file:line:column, or the file alone where there is no line.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// child returns the position that a value inside p has as long as nothing better is known: the place of p, the path of the child.
func (p Position) child(path string) Position {
	p.Path = path
	return p
}

// A Fault says what is wrong at one place of a configuration, or, as a warning, what is unwise there.
type Fault struct {
	Position
	// Message tells a person what to do. It never contains a secret.
	Message string
}

// String returns "file:line:column: message".
func (f Fault) String() string { return f.Position.String() + ": " + f.Message }

// Faults is the error of this package: every fault of a configuration, sorted by position. It is never empty.
type Faults []Fault

// Error returns one line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// sound reports whether no fault is of the value at path, of what is inside of it, or of what it is inside of.
func (f Faults) sound(path string) bool {
	return !slices.ContainsFunc(f, func(fault Fault) bool { return within(fault.Path, path) || within(path, fault.Path) })
}

// within reports whether the value at path is the one at whole, or a part of it.
func within(path, whole string) bool {
	rest, ok := strings.CutPrefix(path, whole)
	return ok && (whole == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// Sort orders faults by position, those of the environment last, and removes repetitions.
func (f Faults) Sort() Faults {
	slices.SortStableFunc(f, compareFaults)
	return slices.Compact(f)
}

func compareFaults(a, b Fault) int {
	return cmp.Or(
		cmp.Compare(environmentRank(a.File), environmentRank(b.File)),
		cmp.Compare(a.File, b.File),
		cmp.Compare(a.Line, b.Line),
		cmp.Compare(a.Column, b.Column),
		cmp.Compare(a.Path, b.Path),
		cmp.Compare(a.Message, b.Message),
	)
}

func environmentRank(file string) int {
	if strings.HasPrefix(file, environmentFile) {
		return 1
	}
	return 0
}
