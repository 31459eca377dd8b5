package config

import (
	"fmt"
	"regexp"
	"strconv"
)

// maxDepth bounds how deep a configuration may nest. The deepest useful one is a requirement of a few levels.
const maxDepth = 64

// maxSize bounds a configuration file, in bytes.
const maxSize = 4 << 20

// A nodeKind is the form of a node.
type nodeKind int

const (
	scalarNode nodeKind = iota
	listNode
	mappingNode
)

// A scalarType is what the text of a scalar was written as.
type scalarType int

const (
	stringType scalarType = iota
	intType
	floatType
	boolType
	nullType
)

// A node is a value of the file. YAML and JSON become the same nodes, so that all that follows exists once.
type node struct {
	kind    nodeKind
	at      Position // without a path
	entries []entry  // of a mapping
	items   []*node  // of a list

	text string     // of a scalar
	typ  scalarType // of a scalar
	// free is set when the text came from the environment: it counts as whatever type its place needs, and is not quoted.
	free bool
	// expanded is set when ${…} in the text has been dealt with.
	expanded bool
	// source is what a message may quote instead of a text that is free; empty means: quote nothing.
	source string
}

// An entry is one key of a mapping with its value.
type entry struct {
	key   string
	keyAt Position
	value *node
}

func (n *node) isNull() bool { return n.kind == scalarNode && n.typ == nullType }

// find returns the value of key, or nil.
func (n *node) find(key string) *node {
	for _, e := range n.entries {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

// what names the form of n in a message.
func (n *node) what() string {
	switch n.kind {
	case listNode:
		return "a list"
	case mappingNode:
		return "a mapping"
	default:
		return n.typ.String()
	}
}

// String names the type in a message.
func (t scalarType) String() string {
	return [...]string{"a string", "an integer", "a number", "true or false", "nothing"}[t]
}

// The core schema of YAML 1.2, which is a superset of what JSON has. YAML 1.1's yes, no, on, off and base 60 are strings.
var (
	nullText  = regexp.MustCompile(`^(|~|null|Null|NULL)$`)
	boolText  = regexp.MustCompile(`^(true|True|TRUE|false|False|FALSE)$`)
	intText   = regexp.MustCompile(`^([-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+)$`)
	floatText = regexp.MustCompile(`^[-+]?([.][0-9]+|[0-9]+([.][0-9]*)?)([eE][-+]?[0-9]+)?$|^[-+]?[.](inf|Inf|INF)$|^[.](nan|NaN|NAN)$`)
)

// typeOf returns the type of a scalar that stands in the file without quotes.
func typeOf(text string) scalarType {
	switch {
	case nullText.MatchString(text):
		return nullType
	case boolText.MatchString(text):
		return boolType
	case intText.MatchString(text):
		return intType
	case floatText.MatchString(text):
		return floatType
	default:
		return stringType
	}
}

// plainKey is a key that stands in a path without quotes.
var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// keyPath appends key to path.
func keyPath(path, key string) string {
	if !plainKey.MatchString(key) {
		return path + "[" + strconv.Quote(key) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// itemPath appends the index of a list to path.
func itemPath(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
