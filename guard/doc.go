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
// Without rules the guard only finds out who is calling, and handlers say what they need: [Guard.Require], [Guard.RequireRole] and [Guard.RequirePermission] stand around a
// handler; the functions of the same names, in one. With a carrier of sessions they sign callers in and out:
//
//	sessions := session.New(memory.Sessions(), session.Config{})
//	cookie, notice, err := carrier.CookieFor(addr, publicURL, false) // without it the cookie is for TLS only, and programs lose it on http://127.0.0.1
//	g, err := guard.New(guard.Config{Carriers: []carrier.Carrier{carrier.Session(sessions, cookie)}, Policy: users})
//	mux.Handle("POST /login", guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
//		id, err := checkPassword(r) // gatehouse.ErrLogin if it is wrong
//		if err != nil {
//			return err
//		}
//		return guard.Remember(w, r, id)
//	}))
//	mux.Handle("POST /logout", guard.Handle(guard.Forget))
//	mux.Handle("GET /listen", g.RequirePermission("listen", listen))
//	http.ListenAndServe(addr, g.Handler(mux))
//
// The functions [Remember], [Forget], [UserID], [IsAnonymous], [Permits] and their kin find the guard in the request's context, under any mux. On a request that no guard has
// judged they deny. Guards may be nested: each must let a request pass and each that knows the caller must permit, so that an inner guard can only
// tighten.
//
// A request with a credential that browsers send by themselves, a cookie or Basic, is refused if another site has made it: unsafe methods, and the handshake of a WebSocket
// ([net/http.CrossOriginProtection]). So is an unsafe request of another site that signs somebody in or out, or that changes the session of a visitor. Config.Origins lists the
// other origins that may.
//
// A request is judged in one order: canonical form, rule, credential, principal, decision. What is not canonical is 400; without a
// credential the answer is 401, with a bad one 401 or 400, without the right 403; on a path that no rule knows 404, or 401 for the
// anonymous caller, so that paths cannot be probed. A check that cannot be made, and a hook that panics, is 503: the guard fails closed.
// Handlers find the caller with [gatehouse.FromContext], and the verdict with [FromContext].
//
// On a public path everybody passes, and a caller with a good credential is known. A credential that is bad, or that could not be checked,
// makes its sender anonymous there, or is refused as elsewhere if the rule is strict. What is refused on public paths, too: a target that is
// not canonical, a credential sent twice, and a caller whom a hook forbids ([gatehouse.ErrForbidden]). A failed check that the answer did not
// depend on is logged all the same. A guard without rules does not know which paths are public, so a credential that could not be checked is 503 there.
//
// [Observe] stands in front of a guard and tells what became of each request; [Describe] is the same for use in a handler.
package guard
