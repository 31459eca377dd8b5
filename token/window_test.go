package token_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

// TestAWindowOpensWhenItSays: the leeway is for clocks that differ, and must not open a window that was closed on purpose.
func TestAWindowOpensWhenItSays(t *testing.T) {
	key, err := keyring.Generate(keyring.ES256)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Static("use", key)
	if err != nil {
		t.Fatal(err)
	}
	made := time.Unix(1_800_000_000, 0)
	now := made
	clock := func() time.Time { return now }
	use := token.Purpose{Name: "use", TTL: 30 * time.Second, Delay: 10 * time.Second, Audience: []string{"https://files.example.org"}}
	m, err1 := token.NewMinter(token.MinterConfig{Issuer: "https://app.example.org", Purpose: use, Ring: ring, Revocations: revoke.None, Now: clock})
	v, err2 := token.NewVerifier(token.VerifierConfig{Issuer: "https://app.example.org", Purpose: use, Ring: ring, Revocations: revoke.None, Now: clock})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	minted, err := m.Mint(t.Context(), token.Claims{Subject: "jack"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		after time.Duration
		want  error
	}{
		{0, token.ErrNotYet}, {5 * time.Second, token.ErrNotYet}, {10*time.Second - time.Millisecond, token.ErrNotYet},
		{10 * time.Second, nil}, {29 * time.Second, nil},
		{30*time.Second + token.DefaultLeeway, token.ErrExpired}, {time.Hour, token.ErrExpired},
	} {
		now = made.Add(tt.after)
		for _, again := range []string{"first", "remembered"} {
			if _, err := v.Verify(t.Context(), minted.Text.Reveal()); !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) {
				t.Errorf("%v after it was made (%s): Verify = %v, want %v", tt.after, again, err, tt.want)
			}
		}
	}
}
