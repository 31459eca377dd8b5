// Package policy decides what a request may do: it holds the one canonical form of a request, the roles, permissions and
// requirements, the rules compiled to a table, and the decision. It does no I/O and knows nothing of HTTP answers.
//
//	table, err := policy.New(policy.Config{
//		Roles: policy.Roles{"basic": 1, "admin": 9},
//		Rules: []policy.Rule{
//			{Methods: []string{"GET"}, Path: "/films/{id}", Allow: policy.Role("basic")},
//			{Path: "/public/**", Allow: policy.Anyone()},
//		},
//	})
//	req, err := policy.Canonical(r)        // refuses what a later hop could read differently
//	match, err := table.Lookup(req)        // the most specific rule
//	d := table.Decide(match, principal, nil)
//
// What no rule allows is denied. Among the rules that match, the most specific one counts: exact host before any host; exact
// path, then the longer literal prefix, {x} before **; then the narrower method set. Regular expressions match the whole path,
// rank below every pattern, and where several match, all their requirements hold.
package policy
