package passwd

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/go-crypt/crypt/algorithm/shacrypt"

	"github.com/gatehouse-auth/gatehouse"
)

// TestSHACryptDoesNotGrowWithThePassword: the work of SHA-crypt grows with the password that a stranger sends (CVE-2016-20013). What is longer than anybody's password is wrong
// after the work of 256 bytes.
func TestSHACryptDoesNotGrowWithThePassword(t *testing.T) {
	h, err := New(Config{Params: Params{Memory: 8, Time: 1}, InsecureParams: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, variant := range []shacrypt.Variant{shacrypt.VariantSHA256, shacrypt.VariantSHA512} {
		hasher, err := shacrypt.New(shacrypt.WithVariant(variant), shacrypt.WithIterations(1000))
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			length int
			right  bool
		}{{1, true}, {255, true}, {256, true}, {257, false}, {MaxBytes, false}} {
			password := strings.Repeat("x", tt.length)
			digest, err := hasher.Hash(password)
			if err != nil {
				t.Fatal(err)
			}
			_, err = h.Verify(context.Background(), digest.Encode(), password)
			if tt.right && err != nil || !tt.right && !errors.Is(err, gatehouse.ErrLogin) {
				t.Errorf("%v: a password of %d bytes = %v, want right: %v", variant, tt.length, err, tt.right)
			}
		}
		// A longer password must not be right because its beginning is.
		digest, err := hasher.Hash(strings.Repeat("x", 256))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Verify(context.Background(), digest.Encode(), strings.Repeat("x", 300)); !errors.Is(err, gatehouse.ErrLogin) {
			t.Errorf("%v: a password that begins with the right one = %v, want ErrLogin", variant, err)
		}
	}
}

// BenchmarkSHACryptLong is what a stranger can cause with the longest password.
func BenchmarkSHACryptLong(b *testing.B) {
	s, err := parse("$6$rounds=100000$2kqN9fxCY6Xt5/pi$"+strings.Repeat("a", 86), nil)
	if err != nil {
		b.Fatal(err)
	}
	for name, length := range map[string]int{"256": 256, "1024": 1024} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if ok, err := s.match(strings.Repeat("x", length)); ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}
