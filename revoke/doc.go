// Package revoke makes "logged out" true for tokens that nobody is asked about. A [List] in the process knows what was revoked before its time: single tokens, sessions, keys,
// everything of a subject that was issued before a time. To ask it costs no I/O.
//
//	list := revoke.New(sqlite.Revocations(db), revoke.Config{})
//	if err := list.Load(ctx); err != nil { … }
//	go list.Run(ctx)
//	err := list.RevokeSession(ctx, "the session's id", expires) // nil: durable, and refused here from now on
//
// Several processes share a [Store]: what one revokes is appended to a feed that all read, in the order in which it was made durable. They read it every Config.Poll, and
// at once where a [Bell] rings. A list knows how old it is. Past Config.Bound it does not say "not revoked" any more, but *gatehouse.StaleError, which denies with 503.
// So a node that is cut off refuses everything, rather than something that was revoked.
//
// A program without access to the store follows the feed of one that has it over HTTP: [Follow] and [NewFeed].
package revoke
