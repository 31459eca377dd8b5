package main

import (
	"bytes"
	"testing"

	"golang.org/x/crypto/argon2"

	"github.com/gatehouse-auth/gatehouse/passwd"
)

// BenchmarkPassword compares log-ins with the raw function of the same costs: "raw" is what nobody can go below, "verify" what a log-in costs, "unknown" what one of a name
// that nobody has costs, which must be the same. Run with -cpu 1,2 for the throughput of a whole machine.
func BenchmarkPassword(b *testing.B) {
	hasher, err := passwd.New(passwd.Config{})
	if err != nil {
		b.Fatal(err)
	}
	const password = "correct horse battery"
	hash, err := hasher.Hash(b.Context(), password)
	if err != nil {
		b.Fatal(err)
	}
	p, salt := hasher.Params(), bytes.Repeat([]byte{7}, 16)
	for name, work := range map[string]func() error{
		"raw": func() error {
			argon2.IDKey([]byte(password), salt, p.Time, p.Memory, p.Threads, 32)
			return nil
		},
		"verify": func() error { _, err := hasher.Verify(b.Context(), hash, password); return err },
		"unknown": func() error {
			if _, err := hasher.Verify(b.Context(), "", password); err == nil {
				b.Error("a name that nobody has is let in")
			}
			return nil
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := work(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"-parallel", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := work(); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
