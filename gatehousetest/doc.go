// Package gatehousetest helps programs that use Gatehouse to test themselves: a [Clock] that moves when it is told to, a [Client] that is signed in
// without a log-in page, an [Issuer] of tokens of every kind, a [Store] that fails on demand and counts what it is asked, as [TokenStore], [KeyStore] and [RevocationStore] do, and [Cookies],
// which judges every cookie that the program sets.
//
//	clock := gatehousetest.NewClock(time.Time{})
//	sessions := carrier.Session(session.New(memory.Sessions(), session.Config{Now: clock.Now}))
//	srv := httptest.NewTLSServer(newHandler(sessions)) // the program under test
//	jack := gatehousetest.Client(t, srv, sessions, gatehouse.Identity{Value: "jack"})
//	resp, err := jack.Get(srv.URL + "/listen")
//	clock.Advance(13 * time.Hour) // and jack's session has been idle for too long
//
// What cannot be done ends the test with a message that says why: a helper that failed silently would make tests pass that show nothing.
// The package is for tests only; a program must not import it.
package gatehousetest

// A T is what the helpers need of a test. *testing.T, *testing.B and *testing.F have it.
type T interface {
	// Helper keeps the helper's own lines out of messages.
	Helper()
	// Fatalf ends the test; it does not return.
	Fatalf(format string, args ...any)
}
