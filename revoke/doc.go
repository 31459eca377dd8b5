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
// So a node that is cut off refuses everything, rather than accept something that was revoked.
//
// A list is complete or says that it is not: before its first reading, while the store cannot be read, while the feed holds something that this version does not
// understand. A store that was restored, or lost its latest writes in a failover, is noticed by the running lists: they forget nothing, and put back what it lacks. What no
// running process knows any more is lost with the store: [List.RevokeAll] belongs after a restore. What has expired is kept for five minutes
// longer, and a clock that jumps forward is not believed at once, so that one that jumps back makes nothing valid again.
//
// Memory is linear in the revocations that live, less than 64 bytes for each, and nothing is dropped for want of room: what limits it is that tokens expire.
//
// A program without access to the store follows the feed of one that has it over HTTP: [Follow] and [NewFeed].
package revoke
