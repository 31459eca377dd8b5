// Package storetest tests stores. A store that somebody writes is as good as the ones that come with Gatehouse if it passes:
//
//	func TestSessions(t *testing.T) {
//		storetest.TestSessions(t, func(t *testing.T) storetest.Sessions {
//			return storetest.Sessions{Store: mystore.Sessions(openEmptyDatabase(t))}
//		})
//	}
//
// [TestKeys], [TestTokens] and [TestRevocations] do the same for stores of key rings, of tokens and of revocations.
//
// Each suite tests what the documentation of the interface promises, a subtest for each promise, what attackers and accidents make of it: hostile
// bytes, races, contexts that are cancelled at any moment; and what the packages above see of it: sessions that end, rings that rotate once, log-ins that a stolen token
// ends, lists that refuse what another process has revoked. Run it with the race detector as well. A store that passes may still lose what it has
// acknowledged when the power fails: that cannot be seen from inside a process.
package storetest
