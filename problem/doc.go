// Package problem is the one place where an error becomes an HTTP answer: a problem detail (RFC 9457) with a stable code, the
// status that belongs to it, and the challenge that a 401 must carry (RFC 9110, section 15.5.2).
//
//	answers := problem.Writer{Challenges: []problem.Challenge{{Scheme: "Bearer", Realm: "films"}}}
//	answers.Write(w, r, problem.New(problem.NoCredential))
//
// The codes are a published list, see [Catalogue] and docs/problems.md. What caused a problem ([Problem.Err]) is for logs: it is never sent.
package problem

//go:generate go test -run ^TestPage$ . -update
