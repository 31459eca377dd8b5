// Package session keeps log-ins on the server. A browser holds a random secret of 256 bits; a store holds its SHA-256 and the [Record].
//
//	sessions := session.New(memory.Sessions(), session.Config{Idle: 12 * time.Hour, Absolute: 30 * 24 * time.Hour})
//	g, err := guard.New(guard.Config{Carriers: []carrier.Carrier{carrier.Session(sessions)}, Policy: users})
//
// Handlers do not meet the [Table]: guard.Remember starts a session, guard.Forget ends it, and the session of a request is found with
// [FromContext]. It holds data of the program's own, typed by [Get] and [Put]:
//
//	s := session.FromContext(r.Context())
//	cart, _, err := session.Get[Cart](s, "cart")
//	err = session.Put(s, "cart", cart)
//
// What is put is stored before the first byte of the answer, or not at all if the answer is a server error (500 and above). A visitor who is not
// signed in gets a session, and a cookie, with the first value that is put, never by reading.
//
// A session ends when nobody has used it for [Config.Idle], when it is [Config.Absolute] old whatever was done with it, and when it is ended.
// It is then deleted, not emptied. An id that the table has not made is never adopted. Signing in, and every other call of guard.Remember,
// makes a new id and deletes the old record in the same step: what the visitor had put stays, what another account had put does not.
//
// What fails in a store is neither "no session" nor "a session": the guard answers 503.
package session
