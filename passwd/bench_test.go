package passwd

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"
)

const benchPassword = "correct horse battery staple"

// raw is what a hash costs at least: the salt and the function.
func raw(p Params) {
	salt := make([]byte, saltLength)
	rand.Read(salt)
	argon2.IDKey([]byte(benchPassword), salt, p.Time, p.Memory, p.Threads, tagLength)
}

// BenchmarkHash compares with the raw function. The metric "of-raw" is the throughput of the Hasher, divided by that of the function in the same run, turn by turn:
// 1 means that everything around it costs nothing. With parallel it is measured with as many at once as the Hasher allows.
//
//	go test -run - -bench Hash ./passwd
func BenchmarkHash(b *testing.B) {
	h, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	stored, err := h.Hash(context.Background(), benchPassword)
	if err != nil {
		b.Fatal(err)
	}
	work := map[string]func(){
		"raw":     func() { raw(h.params) },
		"hash":    func() { h.Hash(context.Background(), benchPassword) },
		"verify":  func() { h.Verify(context.Background(), stored, benchPassword) },
		"unknown": func() { h.Verify(context.Background(), "", benchPassword) },
	}
	for _, name := range []string{"raw", "hash", "verify", "unknown"} {
		b.Run(name, func(b *testing.B) { compare(b, work["raw"], work[name]) })
	}
	b.Run("verify/parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				work["verify"]()
			}
		})
	})
	b.Run("raw/parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				work["raw"]()
			}
		})
	})
}

// compare runs both in turns, so that whatever else the machine does hits both, and reports the time of the second.
func compare(b *testing.B, base, work func()) {
	b.ReportAllocs()
	var took [2]time.Duration
	for b.Loop() {
		for i, f := range []func(){base, work} {
			if i == 0 {
				b.StopTimer()
			}
			start := time.Now()
			f()
			took[i] += time.Since(start)
			if i == 0 {
				b.StartTimer()
			}
		}
	}
	b.ReportMetric(took[0].Seconds()/took[1].Seconds(), "of-raw")
}

// BenchmarkFormats verifies a hash of each format at the costs that its users have.
func BenchmarkFormats(b *testing.B) {
	h, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	for _, v := range []struct{ name, hash string }{
		{"argon2id-19MiB-t2", h.encode(random(saltLength), random(tagLength))},
		{"argon2id-64MiB-t3-p4", "$argon2id$v=19$m=65536,t=3,p=4$" + salt22 + "$" + tag43},
		{"argon2id-largest", "$argon2id$v=19$m=262144,t=4,p=1$" + salt22 + "$" + tag43},
		{"bcrypt-10", "$2b$10$" + vectors[7].hash[7:]},
		{"bcrypt-12", "$2b$12$" + vectors[7].hash[7:]},
		{"bcrypt-largest", "$2b$15$" + vectors[7].hash[7:]},
		{"scrypt-16-8-1", "$scrypt$ln=16,r=8,p=1$" + salt22 + "$" + tag43},
		{"scrypt-largest", "$scrypt$ln=18,r=8,p=1$" + salt22 + "$" + tag43},
		{"pbkdf2-sha256-1000000", "$pbkdf2-sha256$1000000$" + salt22 + "$" + tag43},
		{"pbkdf2-sha256-largest", "$pbkdf2-sha256$5000000$" + salt22 + "$" + tag43},
		{"sha256_crypt-535000", vectors[24].hash},
		{"sha512_crypt-656000", "$6$rounds=656000$2kqN9fxCY6Xt5/pi$" + crypt6},
		{"sha512_crypt-largest", "$6$rounds=1000000$2kqN9fxCY6Xt5/pi$" + crypt6},
	} {
		b.Run(v.name, func(b *testing.B) {
			for b.Loop() {
				if got := outcome(h.Verify(context.Background(), v.hash, "wrong")); got != "wrong" {
					b.Fatalf("Verify(%q) = %s", v.hash, got)
				}
			}
		})
	}
}

// BenchmarkPolicy judges a password of ordinary length, and the worst that is looked at.
func BenchmarkPolicy(b *testing.B) {
	p, err := NewPolicy(PolicyConfig{})
	if err != nil {
		b.Fatal(err)
	}
	wellKnown()
	for name, password := range map[string]string{"words": benchPassword, "128": long(128), "128-alike": "passwordpassword" + long(20) + "passwordpasswordpasswordpasswordpassword"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Check(password, "jack.smith@example.org")
			}
		})
	}
}
