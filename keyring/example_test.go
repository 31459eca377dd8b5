package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

// A ring makes its first key when it is loaded, publishes the next one before it signs, and keeps the one before for as long as what it has signed may last.
func Example() {
	ctx, clock := context.Background(), newClock()
	ring, err := keyring.New(newStore(), keyring.Config{ // the store of a program is in store/sqlite, store/postgres, store/redis or store/memory
		Name: "access", Rotate: 24 * time.Hour, Lifetime: time.Hour, Master: keyring.NewMaster(), Now: clock.Now, Logger: silent(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := ring.Load(ctx); err != nil { // then: go ring.Keep(ctx, time.Tick(ring.Interval()))
		fmt.Println(err)
	}
	key, err := ring.Signer()
	if err != nil {
		fmt.Println(err)
		return
	}
	signature, err := key.Sign(nil, []byte("what a token says"))
	if err != nil {
		fmt.Println(err)
	}
	show := func(when string) {
		found, err := ring.Find(ctx, key.ID())
		if err != nil {
			fmt.Println(when, states(ring), errors.Is(err, keyring.ErrUnknownKey))
			return
		}
		fmt.Println(when, states(ring), found.Verify([]byte("what a token says"), signature))
	}
	show("at first")
	for _, hours := range []time.Duration{23*time.Hour + 50*time.Minute, 10 * time.Minute, 2 * time.Hour} {
		clock.move(hours)
		if err := ring.Load(ctx); err != nil {
			fmt.Println(err)
		}
		show("later")
	}
	// Output:
	// at first [active] <nil>
	// later [active next] <nil>
	// later [retired active] <nil>
	// later [active] true
}

// Secrets that people have are taken as they are. What looks like a public key is refused: everybody could sign with it.
func ExampleSecret() {
	for _, text := range []string{"Wdq5s7xO2-LmfPz.8uKb!Yc3_Rn#vJt6", "hex:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "testsecret", "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA…"} {
		_, err := keyring.Secret(keyring.HS256, text, false)
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// <nil>
	// weak key: the secret has 10 bytes, HS256 needs at least 32: make one with `gatehouse key generate`
	// not a key of this kind: the secret looks like PEM, which others may know: give a key of that kind as what it is, or make a secret with `gatehouse key generate`
}

// The public keys of a ring are what others verify with.
func ExampleJWKS() {
	key, err := keyring.ParsePEM("", []byte("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	ring, err := keyring.Static("partners", key.WithID("partner-1"))
	if err != nil {
		fmt.Println(err)
		return
	}
	w := httptest.NewRecorder()
	keyring.JWKS(ring).ServeHTTP(w, httptest.NewRequest("GET", "/.well-known/jwks.json", nil))
	fmt.Println(w.Code, w.Header().Get("Cache-Control"))
	fmt.Println(w.Body)
	// Output:
	// 200 public, max-age=300
	// {"keys":[{"alg":"EdDSA","crv":"Ed25519","kid":"partner-1","kty":"OKP","use":"sig","x":"Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE"}]}
}

// A key that has become known to others is retired in an emergency: at once, for good, and without a moment without a key.
func ExampleRing_Retire() {
	ctx := context.Background()
	ring, err := keyring.New(newStore(), keyring.Config{Name: "access", Algorithm: keyring.HS256, Master: keyring.NewMaster(), Logger: silent()})
	if err != nil || ring.Load(ctx) != nil {
		fmt.Println(err)
		return
	}
	known, _ := ring.Signer()
	fmt.Println(ring.Retire(ctx, known.ID()))
	_, err = ring.Find(ctx, known.ID())
	fmt.Println(errors.Is(err, keyring.ErrUnknownKey))
	fresh, err := ring.Signer()
	fmt.Println(fresh.ID() != known.ID(), err)
	// Output:
	// <nil>
	// true
	// true <nil>
}

// A ring for A256GCM seals: the text names the key, so that what was sealed before a rotation opens after it.
func ExampleRing_Seal() {
	key, err := keyring.Secret(keyring.A256GCM, "Wdq5s7xO2-LmfPz.8uKb!Yc3_Rn#vJt6", false)
	if err != nil {
		fmt.Println(err)
		return
	}
	ring, err := keyring.Static("session-cookie", key)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := ring.Seal([]byte("anna"), []byte("host.example"))
	fmt.Println(strings.Contains(text, "anna"), err)
	plain, err := ring.Open(text, []byte("host.example"))
	fmt.Println(string(plain), err)
	_, err = ring.Open(text, []byte("other.example"))
	fmt.Println(errors.Is(err, keyring.ErrSignature))
	// Output:
	// false <nil>
	// anna <nil>
	// true
}

// Several secrets that begin alike are worth less than they are long.
func ExampleSharedPrefix() {
	fmt.Println(keyring.SharedPrefix("our-company-access-71946", "our-company-refresh-3391", "something else"))
	// Output: 12
}
