// Package gatehouse holds the words that all of Gatehouse shares: who a request acts for, what proved it, and
// the errors that tell "nobody" from "somebody with a bad credential" from "could not be checked".
//
// A carrier finds a credential in a request and proves an [Identity]; a policy turns the identity into a [Principal],
// once per request; handlers read it from the request's context:
//
//	p := gatehouse.FromContext(r.Context())
//	if p.IsAnonymous() { … }
//
// Without a guard in front, and for callers that have proved nothing, FromContext returns the anonymous principal: code that
// forgets to check never sees somebody that was not verified.
//
// The package imports the standard library only.
package gatehouse
