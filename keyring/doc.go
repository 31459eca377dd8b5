// Package keyring keeps the keys of tokens: one [Ring] for each purpose, so that no token counts for another.
//
//	ring, err := keyring.New(store, keyring.Config{Name: "access", Rotate: 24 * time.Hour, Lifetime: time.Hour, Master: master})
//	err = ring.Load(ctx)
//	go ring.Keep(ctx, time.Tick(ring.Interval()))
//	key, err := ring.Signer()        // signs now
//	key, err = ring.Find(ctx, kid)   // verifies what it has signed
//
// A [Key] has one algorithm for ever. A ring's key is next, then active, then retired, then gone: next to be known everywhere before it signs, retired to verify what it has signed until the last of that is over. These
// states follow from times in the ring's records and from the clock, so every process that uses a store changes to a new key at the same moment, and goes on
// signing while the store is away. Keys are sealed in the store with a [Master] key.
//
// What cannot be checked is not accepted: a ring that was never loaded has no keys, one that was sealed with another master key is not begun anew, and a secret that looks like a public key
// is refused, because everybody could sign with it.
package keyring
