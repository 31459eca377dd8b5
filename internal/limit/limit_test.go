package limit_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-auth/gatehouse/internal/limit"
)

// clock is a settable clock without a monotonic reading.
type clock struct{ nanos atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanos.Store(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.nanos.Load()) }
func (c *clock) Advance(d time.Duration) { c.nanos.Add(int64(d)) }

var (
	mallory = netip.MustParseAddr("192.0.2.66")
	jack    = netip.MustParseAddr("192.0.2.1")
)

// number returns the n-th of many addresses.
func number(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 10<<24|n)
	return netip.AddrFrom4(b)
}

func refuse(l *limit.Limiter, addr netip.Addr, times int) {
	for range times {
		l.Refused(addr)
	}
}

func blocked(l *limit.Limiter, addr netip.Addr) bool {
	_, b := l.Blocked(addr)
	return b
}

func TestBudget(t *testing.T) {
	type step struct {
		advance time.Duration
		refused int
		want    time.Duration // retry after; 0 is not blocked
	}
	rows := []struct {
		name  string
		c     limit.Config
		steps []step
	}{
		{"within the budget", limit.Config{Budget: 3, Per: 3 * time.Second}, []step{{0, 0, 0}, {0, 1, 0}, {0, 1, 0}}},
		{"the whole budget at once", limit.Config{Budget: 3, Per: 3 * time.Second}, []step{{0, 3, time.Second}}},
		{"one comes back", limit.Config{Budget: 3, Per: 3 * time.Second}, []step{{0, 3, time.Second}, {999 * time.Millisecond, 0, time.Millisecond},
			{time.Millisecond, 0, 0}, {0, 1, time.Second}}},
		{"all come back", limit.Config{Budget: 3, Per: 3 * time.Second}, []step{{0, 3, time.Second}, {3 * time.Second, 0, 0}, {0, 2, 0}, {0, 1, time.Second}}},
		{"more do not come back", limit.Config{Budget: 3, Per: 3 * time.Second}, []step{{time.Hour, 2, 0}, {0, 1, time.Second}}},
		{"beyond the budget is not remembered", limit.Config{Budget: 3, Per: 3 * time.Second}, []step{{0, 1000, time.Second}, {time.Second, 0, 0}}},
		{"a budget of one", limit.Config{Budget: 1, Per: time.Minute}, []step{{0, 0, 0}, {0, 1, time.Minute}, {time.Minute, 0, 0}, {0, 1, time.Minute}}},
		{"steady below the rate", limit.Config{Budget: 2, Per: 2 * time.Second}, []step{{0, 1, 0}, {time.Second, 1, 0}, {time.Second, 1, 0}, {time.Second, 1, 0}}},
		{"default of a minute", limit.Config{Budget: 60}, []step{{0, 60, time.Second}}},
		{"off", limit.Config{}, []step{{0, 1000, 0}}},
		{"off below zero", limit.Config{Budget: -1}, []step{{0, 1000, 0}}},
		{"uneven", limit.Config{Budget: 7, Per: time.Second}, []step{{0, 6, 0}, {0, 1, time.Second / 7}, {time.Second / 7, 0, 0}}},
		{"a lifetime", limit.Config{Budget: 1, Per: 1<<63 - 1}, []step{{0, 1, 1 << 60}, {time.Hour, 1, 1 << 60}}},
		{"finer than the clock", limit.Config{Budget: 1 << 40, Per: time.Microsecond}, []step{{0, 999, 0}, {0, 1, 1}, {1, 0, 0}}},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			c := newClock()
			r.c.Now = c.Now
			l := limit.New(r.c)
			for i, s := range r.steps {
				c.Advance(s.advance)
				refuse(l, mallory, s.refused)
				if got, b := l.Blocked(mallory); got != s.want || b != (s.want > 0) {
					t.Fatalf("step %d: Blocked() = %v, %v, want %v", i, got, b, s.want)
				}
				if blocked(l, jack) {
					t.Fatalf("step %d: another address is blocked", i)
				}
			}
		})
	}
}

func TestBlockedSpendsNothing(t *testing.T) {
	c := newClock()
	l := limit.New(limit.Config{Budget: 2, Per: time.Minute, Now: c.Now})
	l.Refused(mallory)
	for range 1000 {
		if blocked(l, mallory) {
			t.Fatal("looking spent the budget")
		}
	}
}

func TestWhichAddressesShareABudget(t *testing.T) {
	rows := []struct {
		spends, asks string
		want         bool
	}{
		{"192.0.2.66", "192.0.2.66", true},
		{"::ffff:192.0.2.66", "192.0.2.66", true},
		{"192.0.2.66", "::ffff:192.0.2.66", true},
		{"::ffff:192.0.2.66%eth0", "192.0.2.66", true},
		{"2001:db8::1", "2001:db8::2", true},
		{"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true},
		{"fe80::1%eth0", "fe80::1%eth1", true},
		{"192.0.2.66", "192.0.2.67", false},
		{"::ffff:192.0.2.66", "::ffff:192.0.2.67", false},
		{"192.0.2.66", "::192.0.2.66", false},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"0.0.0.0", "::", false},
		{"::", "127.0.0.1", false},
		{"::1", "::ffff:0.0.0.1", false},
		{"0.0.0.1", "0:0:0:1::", false},
	}
	for _, r := range rows {
		c := newClock()
		l := limit.New(limit.Config{Budget: 1, Per: time.Minute, Now: c.Now})
		l.Refused(netip.MustParseAddr(r.spends))
		if got := blocked(l, netip.MustParseAddr(r.asks)); got != r.want {
			t.Errorf("after Refused(%s): Blocked(%s) = %v, want %v", r.spends, r.asks, got, r.want)
		}
	}
}

func TestNoAddressAndNoLimiterNeverBlock(t *testing.T) {
	l := limit.New(limit.Config{Budget: 1, Per: time.Hour})
	refuse(l, netip.Addr{}, 10)
	if blocked(l, netip.Addr{}) || blocked(l, netip.IPv6Unspecified()) || l.Len() != 0 {
		t.Error("the address of a peer without one was counted")
	}
	var none *limit.Limiter
	none.Refused(mallory)
	if blocked(none, mallory) || none.Len() != 0 {
		t.Error("a nil limiter blocks")
	}
}

// TestAcceptedStaysWithinBudgetAndRefill plays any sequence of pauses and refused requests of one address.
func TestAcceptedStaysWithinBudgetAndRefill(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		budget := rapid.IntRange(1, 50).Draw(t, "budget")
		per := time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(time.Hour)).Draw(t, "per"))
		l := limit.New(limit.Config{Budget: budget, Per: per, Now: c.Now, MaxKeys: 8})
		step := per / time.Duration(budget)
		var elapsed time.Duration
		accepted := 0
		for range rapid.IntRange(1, 200).Draw(t, "requests") {
			pause := time.Duration(rapid.Int64Range(0, int64(2*step)).Draw(t, "pause"))
			c.Advance(pause)
			elapsed += pause
			after, b := l.Blocked(mallory)
			if b != (after > 0) || after > step {
				t.Fatalf("Blocked() = %v, %v, want at most %v", after, b, step)
			}
			if b {
				continue
			}
			l.Refused(mallory)
			accepted++
			if most := budget + int(elapsed/step); accepted > most {
				t.Fatalf("%d refused requests accepted in %v, want at most %d", accepted, elapsed, most)
			}
		}
	})
}

// TestRetryAfterIsExact: a blocked address is free after the time it was told, and not a nanosecond before.
func TestRetryAfterIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		l := limit.New(limit.Config{Budget: rapid.IntRange(1, 100).Draw(t, "budget"), Per: time.Minute, Now: c.Now})
		refuse(l, mallory, rapid.IntRange(0, 300).Draw(t, "refused"))
		c.Advance(time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "pause")))
		after, b := l.Blocked(mallory)
		if !b {
			return
		}
		c.Advance(after - 1)
		if !blocked(l, mallory) {
			t.Fatalf("free before %v", after)
		}
		c.Advance(1)
		if blocked(l, mallory) {
			t.Fatalf("still blocked after %v", after)
		}
	})
}

// TestAnyClock lets the clock jump both ways: no block may outlast what was stated, measured from the look that stated it.
func TestAnyClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		const budget, per = 5, 10 * time.Second
		l := limit.New(limit.Config{Budget: budget, Per: per, Now: c.Now, MaxKeys: 8})
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			refuse(l, mallory, rapid.IntRange(0, 10).Draw(t, "refused"))
			c.Advance(time.Duration(rapid.Int64Range(-int64(100*24*time.Hour), int64(100*24*time.Hour)).Draw(t, "jump")))
			after, b := l.Blocked(mallory)
			if after > per/budget {
				t.Fatalf("Blocked() = %v after a jump, want at most %v", after, per/budget)
			}
			if !b {
				continue
			}
			c.Advance(after)
			if blocked(l, mallory) {
				t.Fatalf("still blocked after the stated %v", after)
			}
		}
	})
}

func TestExtremeClocks(t *testing.T) {
	for _, at := range []time.Time{{}, time.Unix(0, 0), time.Unix(1<<40, 0), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)} {
		now := time.Now()
		l := limit.New(limit.Config{Budget: 2, Per: time.Second, Now: func() time.Time { return now }})
		refuse(l, mallory, 2)
		now = at
		l.Blocked(mallory)
		refuse(l, mallory, 2)
		if after, b := l.Blocked(mallory); !b || after > time.Second/2 {
			t.Errorf("at %v: Blocked() = %v, %v, want half a second at most", at, after, b)
		}
	}
}

// TestAFloodCannotFreeABlockedAddress is CVE-2024-21662: a limiter that forgot under a flood of other keys.
func TestAFloodCannotFreeABlockedAddress(t *testing.T) {
	rows := []struct{ addresses, each, keys int }{ // a budget is 5: where each is 5, the flood is blocked too
		{1_000_000, 1, limit.DefaultMaxKeys}, {1_000_000, 1, 1024}, {100_000, 1, 8}, {100_000, 2, 1024}, {100_000, 5, 8}, {300_000, 5, limit.DefaultMaxKeys},
	}
	for _, r := range rows {
		t.Run(fmt.Sprintf("%d times %d, %d keys", r.addresses, r.each, r.keys), func(t *testing.T) {
			c := newClock()
			l := limit.New(limit.Config{Budget: 5, Per: time.Hour, MaxKeys: r.keys, Now: c.Now})
			refuse(l, mallory, 5)
			for n := range uint32(r.addresses) {
				refuse(l, number(n), r.each)
				if n%1000 == 0 && !blocked(l, mallory) {
					t.Fatalf("free after %d other addresses", n)
				}
			}
			if !blocked(l, mallory) {
				t.Error("free after the flood")
			}
		})
	}
}

// TestAFullTableSurvivesAClockThatGoesBack: debts of a time that is now in the future must not keep new addresses out.
func TestAFullTableSurvivesAClockThatGoesBack(t *testing.T) {
	c := newClock()
	l := limit.New(limit.Config{Budget: 2, Per: time.Minute, MaxKeys: 8, Now: c.Now})
	for n := range uint32(8) {
		refuse(l, number(n), 2)
	}
	c.Advance(-24 * time.Hour)
	l.Refused(jack)
	c.Advance(time.Minute)
	refuse(l, mallory, 2)
	if !blocked(l, mallory) {
		t.Error("a minute after the clock went back the table is still full")
	}
}

// TestAFloodCannotRefillABudget: an address that has spent most of its budget keeps its debt through a flood of cheap ones.
func TestAFloodCannotRefillABudget(t *testing.T) {
	c := newClock()
	l := limit.New(limit.Config{Budget: 10, Per: time.Hour, MaxKeys: 1024, Now: c.Now})
	refuse(l, mallory, 9)
	for n := range uint32(300_000) {
		l.Refused(number(n))
	}
	l.Refused(mallory)
	if !blocked(l, mallory) {
		t.Error("a flood gave an address its budget back")
	}
}

func TestPaidDebtsMakeRoom(t *testing.T) {
	c := newClock()
	l := limit.New(limit.Config{Budget: 1, Per: time.Minute, MaxKeys: 8, Now: c.Now})
	for n := range uint32(8) {
		l.Refused(number(n))
	}
	l.Refused(mallory)
	if blocked(l, mallory) || l.Len() != 8 {
		t.Errorf("Len() = %d and the ninth address blocked = %v in a table of 8 blocked ones, want 8 and false", l.Len(), blocked(l, mallory))
	}
	c.Advance(time.Minute)
	l.Refused(mallory)
	if !blocked(l, mallory) || l.Len() != 1 {
		t.Errorf("Len() = %d, blocked = %v after all debts are paid, want 1 and true", l.Len(), blocked(l, mallory))
	}
}

func TestMemoryIsBounded(t *testing.T) {
	for asked, most := range map[int]int{1: 8, 8: 8, 9: 16, 1000: 1024, limit.DefaultMaxKeys: limit.DefaultMaxKeys, 0: limit.DefaultMaxKeys} {
		l := limit.New(limit.Config{Budget: 1, Per: time.Hour, MaxKeys: asked})
		for n := range uint32(4 * most) {
			l.Refused(number(n))
		}
		if got := l.Len(); got > most || got < most*3/4 {
			t.Errorf("MaxKeys %d: %d addresses remembered, want about %d", asked, got, most)
		}
	}
	l := limit.New(limit.Config{Budget: 1, Per: time.Hour})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for n := range uint32(1_000_000) {
		l.Refused(number(n))
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<10 {
		t.Errorf("a million addresses allocated %d bytes, want none", grown)
	}
}

func TestNoAllocation(t *testing.T) {
	l := limit.New(limit.Config{Budget: 5, Per: time.Hour})
	six := netip.MustParseAddr("2001:db8::1")
	if n := testing.AllocsPerRun(100, func() {
		l.Blocked(mallory)
		l.Refused(mallory)
		l.Blocked(six)
		l.Refused(six)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func TestParallel(t *testing.T) {
	c := newClock()
	const workers, each = 8, 5000
	l := limit.New(limit.Config{Budget: workers*each + 1, Per: time.Hour, MaxKeys: 4096, Now: c.Now})
	var all sync.WaitGroup
	for w := range uint32(workers) {
		all.Go(func() {
			for i := range uint32(each) {
				l.Refused(mallory)
				l.Blocked(number(i))
				l.Refused(number(w<<16 | i))
			}
			l.Len()
		})
	}
	all.Wait()
	if blocked(l, mallory) {
		t.Error("blocked with one request of the budget left: refusals were counted twice")
	}
	l.Refused(mallory)
	if !blocked(l, mallory) {
		t.Error("not blocked after the whole budget: refusals were lost")
	}
}

func BenchmarkBlocked(b *testing.B) {
	addrs := make([]netip.Addr, 1<<17)
	l := limit.New(limit.Config{Budget: 5, Per: time.Hour})
	for i := range addrs {
		addrs[i] = number(uint32(i))
		l.Refused(addrs[i])
	}
	b.Run("flooded", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			l.Blocked(addrs[i&(len(addrs)-1)])
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				l.Blocked(addrs[i&(len(addrs)-1)])
			}
		})
	})
}

func BenchmarkRefused(b *testing.B) {
	l := limit.New(limit.Config{Budget: 5, Per: time.Hour})
	b.ReportAllocs()
	for i := uint32(0); b.Loop(); i++ {
		l.Refused(number(i))
	}
}

func ExampleLimiter() {
	l := limit.New(limit.Config{Budget: 2, Per: time.Minute})
	addr := netip.MustParseAddr("192.0.2.66")
	for range 3 {
		if after, blocked := l.Blocked(addr); blocked {
			fmt.Println("429, retry in", after.Round(time.Second))
			continue
		}
		fmt.Println("401")
		l.Refused(addr)
	}
	// Output:
	// 401
	// 401
	// 429, retry in 30s
}
