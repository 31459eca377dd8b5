// Package guard lets a request through only if its sender may make it. It is the engine that every front of Gatehouse shares: the
// middleware here, the reverse proxy and forward-auth in package gateway, and the explanations.
//
// The smallest guard takes the tokens that a look-up knows, and refuses everything else:
//
//	g, err := guard.TokenAuth(lookup)
//	http.ListenAndServe(addr, g.Handler(mux))
//
// The whole of it takes carriers, a policy and rules:
//
//	g, err := guard.New(guard.Config{
//		Carriers: []carrier.Carrier{carrier.Header("Bearer", lookup)},
//		Policy:   guard.AsSubject{Table: rules},
//		Rules:    rules,
//	})
//
// A request is judged in one order: canonical form, rule, credential, principal, decision. What is not canonical is 400; without a
// credential the answer is 401, with a bad one 401 or 400, without the right 403; on a path that no rule knows 404, or 401 for the
// anonymous caller, so that paths cannot be probed. A check that cannot be made, and a hook that panics, is 503: the guard fails closed.
// Handlers find the caller with [gatehouse.FromContext], and the verdict with [FromContext].
//
// On a public path everybody passes, and a caller with a good credential is known. A credential that is bad, or that could not be checked,
// makes its sender anonymous there, or is refused as elsewhere if the rule is strict. What is refused on public paths, too: a target that is
// not canonical, a credential sent twice, and a caller whom a hook forbids ([gatehouse.ErrForbidden]). A failed check that the answer did not
// depend on is logged all the same.
//
// [Observe] stands in front of a guard and tells what became of each request; [Describe] is the same for use in a handler.
package guard
