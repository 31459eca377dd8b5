package token_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// benched are the algorithms that are measured.
var benched = []keyring.Algorithm{keyring.HS256, keyring.ES256, keyring.EdDSA}

// BenchmarkMint compares a new token with the signature alone. bench/ prints the ratios.
func BenchmarkMint(b *testing.B) {
	for _, a := range benched {
		ring := ringOf(b, "access", a)
		m := minterOf(b, token.MinterConfig{Purpose: access(), Ring: ring})
		text, _ := mint(b, m)
		input := []byte(text)
		b.Run("raw/"+string(a), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ring.All()[0].Sign(nil, input); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("token/"+string(a), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Mint(b.Context(), token.Claims{Subject: "jack", Roles: []string{"basic"}, Scopes: []string{"films.read"}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerify compares a token that is verified, cold and remembered, with the check of the signature alone.
func BenchmarkVerify(b *testing.B) {
	for _, a := range benched {
		ring := ringOf(b, "access", a)
		text, _ := mint(b, minterOf(b, token.MinterConfig{Purpose: access(), Ring: ring}))
		key, input := ring.All()[0], []byte(text)
		signature := must(key.Sign(nil, input))
		b.Run("raw/"+string(a), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := key.Verify(input, signature); err != nil {
					b.Fatal(err)
				}
			}
		})
		for name, cache := range map[string]int{"cold/": -1, "known/": 0} {
			v := verifierOf(b, token.VerifierConfig{Purpose: access(), Ring: ring, Cache: cache})
			b.Run(name+string(a), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := v.Identity(b.Context(), text); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkVerifyRevocable verifies a known token where much was revoked that it is not.
func BenchmarkVerifyRevocable(b *testing.B) {
	for _, n := range []int{0, 10_000, 1_000_000} {
		list := revoke.New(memory.Revocations(), revoke.Config{Bound: time.Hour})
		if err := list.Load(b.Context()); err != nil {
			b.Fatal(err)
		}
		for left := n; left > 0; left -= 1000 {
			entries := make([]revoke.Entry, 1000)
			for i := range entries {
				entries[i] = revoke.Entry{Kind: revoke.Token, ID: fmt.Sprint("revoked ", left, " ", i), Expires: time.Now().Add(time.Hour)}
			}
			if err := list.Revoke(b.Context(), entries...); err != nil {
				b.Fatal(err)
			}
		}
		ring := ringOf(b, "access", keyring.ES256)
		text, _ := mint(b, minterOf(b, token.MinterConfig{Purpose: access(), Ring: ring, Revocations: list}))
		v := verifierOf(b, token.VerifierConfig{Purpose: access(), Ring: ring, Revocations: list})
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Identity(b.Context(), text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkHostile is what a request costs that brings something else than a token, of the largest size.
func BenchmarkHostile(b *testing.B) {
	s := newSmith(b, keyring.ES256)
	head := b64.EncodeToString([]byte(s.head()))
	for name, text := range map[string]string{"dots": dots(token.MaxSize), "too-long": dots(1 << 20), "unsigned": head + "." + dots(0) + "AAAA.AAAA", "deep": b64.EncodeToString([]byte(manyMembers(700))) + ".AA.AA"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Verify(b.Context(), text); err == nil {
					b.Fatal("it passes")
				}
			}
		})
	}
}

func dots(n int) string {
	text := make([]byte, n)
	for i := range text {
		text[i] = '.'
	}
	return string(text)
}
