// Package passwords embeds a list of well-known passwords. Where it comes from, and under which licences, says README.md.
package passwords

import _ "embed" // the list

// Packed is the list, one password a line, sorted, as gzip. Nobody may change it.
//
//go:embed passwords.txt.gz
var Packed []byte
