// Package sqldb is what the stores in SQL databases share: the statements, the schema, and how both are run. A database of its own kind, with its
// pools, locks and errors, is a [DB]; packages sqlite and postgres make one and hand out what is built on it.
//
// Each call is one statement or one transaction: it is done, or nothing is. The schema is brought up to date by [DB.Migrate] in a single
// transaction under a lock, so that processes that start together do it once, and one that is killed in between has done nothing.
package sqldb
