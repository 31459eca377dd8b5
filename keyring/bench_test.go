package keyring_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

// raced is true under the race detector.
var raced bool

// input is as long as a usual token.
var input = bytes.Repeat([]byte("eyJhbGciOiJIUzI1NiJ9.abc."), 10)

func TestVerifyAllocatesNothing(t *testing.T) {
	if raced {
		t.Skip("the race detector makes pools forget")
	}
	for _, algorithm := range []keyring.Algorithm{keyring.HS256, keyring.HS384, keyring.HS512} {
		k := made()[algorithm]
		signature := sign(t, k, string(input))
		for name, signature := range map[string][]byte{"good": signature, "bad": make([]byte, len(signature)), "short": signature[1:]} {
			if n := testing.AllocsPerRun(1000, func() { k.Verify(input, signature) }); n != 0 {
				t.Errorf("%s: Verify of a %s signature allocates %v times, want 0", algorithm, name, n)
			}
		}
		dst := make([]byte, 0, 64)
		if n := testing.AllocsPerRun(1000, func() { k.Sign(dst, input) }); n != 0 {
			t.Errorf("%s: Sign into a buffer allocates %v times, want 0", algorithm, n)
		}
	}
}

func TestFindAllocatesNothing(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates")
	}
	r := newRing(t, newStore(), newClock(), keyring.Config{Algorithm: keyring.HS256})
	id := signerOf(t, r).ID()
	if n := testing.AllocsPerRun(1000, func() { r.Find(t.Context(), id) }); n != 0 {
		t.Errorf("Find of a known key allocates %v times, want 0", n)
	}
	if n := testing.AllocsPerRun(1000, func() { r.Signer() }); n != 0 {
		t.Errorf("Signer allocates %v times, want 0", n)
	}
}

func BenchmarkVerify(b *testing.B) {
	for algorithm := range signing {
		k := made()[algorithm]
		signature := sign(b, k, string(input))
		b.Run(string(algorithm), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if k.Verify(input, signature) != nil {
					b.Fatal("a good signature was refused")
				}
			}
		})
	}
}

// BenchmarkRawHMAC is what BenchmarkVerify/HS256 is compared with: a fresh HMAC each time.
func BenchmarkRawHMAC(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		h := hmac.New(sha256.New, input[:32])
		h.Write(input)
		h.Sum(nil)
	}
}

func BenchmarkSign(b *testing.B) {
	for algorithm := range signing {
		k := made()[algorithm]
		b.Run(string(algorithm), func(b *testing.B) {
			b.ReportAllocs()
			dst := make([]byte, 0, 256)
			for b.Loop() {
				k.Sign(dst, input)
			}
		})
	}
}

func BenchmarkFind(b *testing.B) {
	r := newRing(b, newStore(), newClock(), keyring.Config{Algorithm: keyring.HS256})
	id := signerOf(b, r).ID()
	b.ReportAllocs()
	for b.Loop() {
		r.Find(b.Context(), id)
	}
}
