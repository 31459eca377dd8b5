package limit_test

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-auth/gatehouse/internal/limit"
)

// bucket is the obvious way to say what a limiter does: a bucket of tokens that fills evenly.
type bucket struct {
	tokens float64
	at     time.Time
}

func (b *bucket) fill(now time.Time, budget int, per time.Duration) {
	b.tokens = min(float64(budget), b.tokens+float64(now.Sub(b.at))*float64(budget)/float64(per))
	b.at = now
}

// TestAgreesWithATokenBucket plays requests of a few addresses against the limiter and against buckets of tokens, as long
// as all addresses have room.
func TestAgreesWithATokenBucket(t *testing.T) {
	addrs := []netip.Addr{mallory, jack, netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8:0:1::1")}
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		budget := rapid.IntRange(1, 20).Draw(t, "budget")
		per := time.Duration(budget) * time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "step"))
		l := limit.New(limit.Config{Budget: budget, Per: per, Now: c.Now, MaxKeys: 8})
		model := make(map[netip.Addr]*bucket)
		for _, a := range addrs {
			model[a] = &bucket{tokens: float64(budget), at: c.Now()}
		}
		for range rapid.IntRange(1, 300).Draw(t, "requests") {
			c.Advance(time.Duration(rapid.Int64Range(0, int64(per)/4).Draw(t, "pause")))
			a := rapid.SampledFrom(addrs).Draw(t, "addr")
			b := model[a]
			b.fill(c.Now(), budget, per)
			got := blocked(l, a)
			const rounding = 1e-6 // of a token: the model counts in floating point
			if b.tokens > 1+rounding && got || b.tokens < 1-rounding && !got {
				t.Fatalf("Blocked(%v) = %v with %v tokens left", a, got, b.tokens)
			}
			if !got {
				l.Refused(a)
				b.tokens--
			}
		}
	})
}
