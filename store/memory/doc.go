// Package memory keeps sessions, keys, tokens and revocations in the memory of the process. It needs nothing and is as fast as it gets, and nothing survives the process: when the
// program ends, everybody is signed out, and a second process knows nobody that the first one has signed in. It is for tests, for
// development, and for a program of one process whose users may sign in again after each start.
//
//	sessions := session.New(memory.Sessions(), session.Config{})
//	go sessions.KeepPruned(ctx, time.Tick(time.Minute))
//
// Keys, tokens and revocations of one program belong together: all of them here, or all of them in a store that survives. Keys that survive
// beside revocations that do not would accept after a restart what was revoked before it.
//
// Overdue sessions stay in memory until they are presented again or pruned, so a server that runs for long keeps itself pruned.
package memory
