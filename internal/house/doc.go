// Package house holds the tests of the rules that the whole project keeps: who may import whom, what must be documented,
// what must never be in a file, and which test answers which threat.
//
// It has no code of its own. A rule lives here when no single package can keep it: the layer of every package, the
// imports that nobody may have, the table in docs/threats.md. Each checker is also run on input that breaks its rule,
// because a checker that cannot fail guards nothing.
package house
