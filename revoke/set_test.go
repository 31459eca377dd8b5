package revoke

import (
	"context"
	"math"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"
)

// TestSecondOf: times are rounded up, and what cannot be said is as far as it goes.
func TestSecondOf(t *testing.T) {
	for _, tt := range []struct {
		in   time.Time
		want second
	}{
		{time.Unix(10, 0), 10}, {time.Unix(10, 1), 11}, {time.Unix(10, 999_999_999), 11}, {time.Unix(0, 0), 0}, {time.Unix(-5, 0), 0},
		{time.Unix(1<<32-1, 0), 1<<32 - 1}, {time.Unix(1<<32, 0), 1<<32 - 1}, {time.Unix(1<<40, 0), 1<<32 - 1}, {time.Time{}, 1<<32 - 1},
	} {
		if got := secondOf(tt.in); got != tt.want {
			t.Errorf("secondOf(%v) = %d, want %d", tt.in, got, tt.want)
		}
	}
}

// TestMillis: a time before which things are revoked is never moved back.
func TestMillis(t *testing.T) {
	for _, tt := range []struct {
		in   time.Time
		want int64
	}{
		{time.UnixMilli(5), 5}, {time.UnixMilli(5).Add(1), 6}, {time.UnixMilli(5).Add(-1), 5}, {time.Unix(0, 0), 0}, {time.UnixMilli(-5), -5}, {time.UnixMilli(-5).Add(1), -4},
	} {
		if got := millis(tt.in); got != tt.want {
			t.Errorf("millis(%v) = %d, want %d", tt.in, got, tt.want)
		}
	}
}

// TestCutoff: ten bytes hold both numbers, and merging keeps the stricter of each.
func TestCutoff(t *testing.T) {
	for _, before := range []int64{0, 1, 255, 1 << 16, 1<<32 - 1, 1 << 32, time.Date(2026, 3, 1, 0, 0, 0, 1e6, time.UTC).UnixMilli(), 1<<48 - 1} {
		for _, expires := range []second{0, 1, 1 << 31, 1<<32 - 1} {
			c := cutoffOf(before, expires)
			if c.before() != before || c.expires() != expires {
				t.Errorf("cutoffOf(%d, %d) = %d, %d", before, expires, c.before(), c.expires())
			}
		}
	}
	if got := cutoffOf(-1, 0).before(); got != 0 {
		t.Errorf("cutoffOf(-1, 0).before() = %d, want 0", got)
	}
	if got := cutoffOf(math.MaxInt64, 0).before(); got != 1<<48-1 {
		t.Errorf("cutoffOf(the latest, 0).before() = %d, want the latest there is", got)
	}
	a, b := cutoffOf(5, 9), cutoffOf(7, 3)
	if got, want := a.merge(b), cutoffOf(7, 9); got != want || b.merge(a) != want {
		t.Errorf("merge = %v, %v, want %v both ways", got, b.merge(a), want)
	}
	if a.covers(b) || b.covers(a) || !a.merge(b).covers(a) || !a.merge(b).covers(b) || !a.covers(a) {
		t.Error("covers: only what says as much of both covers")
	}
}

// TestSet: what is put in is found until it is swept, and nothing else is.
func TestSet(t *testing.T) {
	var s set[until]
	const n = 5000
	for i := range n {
		s.add(printOf(strconv.Itoa(i)), until(i))
		s.add(printOf(strconv.Itoa(i)), until(0))
	}
	if s.size() != n {
		t.Fatalf("size() = %d, want %d", s.size(), n)
	}
	for i := range n {
		if m, ok := s.get(strconv.Itoa(i)); !ok || m != until(i) {
			t.Fatalf("get(%d) = %v, %v, want %d", i, m, ok, i)
		}
		if _, ok := s.get(strconv.Itoa(i + n)); ok {
			t.Fatalf("get(%d) is there, and was never put in", i+n)
		}
	}
	seen := map[print]bool{}
	for p := range s.all() {
		seen[p] = true
	}
	if len(seen) != n {
		t.Errorf("all() yields %d, want %d", len(seen), n)
	}
	for range s.all() {
		break // it may be left
	}
	s.sweep(n - 10)
	if s.size() != 10 {
		t.Errorf("size() after a sweep = %d, want 10", s.size())
	}
	for i := range n {
		if _, ok := s.get(strconv.Itoa(i)); ok != (i >= n-10) {
			t.Errorf("get(%d) after a sweep: %v, want %v", i, ok, i >= n-10)
		}
	}
	if _, ok := s.get(""); ok {
		t.Error(`get("") is there: nothing has no id`)
	}
}

// TestSlowClock: a clock that is set forward is believed an hour a day, one that is set back at once.
func TestSlowClock(t *testing.T) {
	at := func(d time.Duration) time.Time { return time.Unix(1e9, 0).Add(d) }
	for _, tt := range []struct {
		name                string
		shown, wall, steady time.Duration
		want                time.Duration
	}{
		{"nothing happened", 0, 0, 0, 0},
		{"a minute", 0, time.Minute, time.Minute, time.Minute},
		{"a minute, and an hour too much", 0, 61 * time.Minute, time.Minute, time.Minute + 2500*time.Millisecond},
		{"a day behind an hour", 0, 25 * time.Hour, 24 * time.Hour, 25 * time.Hour},
		{"set back", time.Hour, 0, time.Minute, 0},
		{"both back: there is but one clock", time.Hour, 30 * time.Minute, -30 * time.Minute, 30*time.Minute - 75*time.Second},
	} {
		if got := slower(at(tt.shown), at(tt.wall), tt.steady); !got.Equal(at(tt.want)) {
			t.Errorf("%s: slower = %v, want %v", tt.name, got.Sub(at(0)), tt.want)
		}
	}
	var c slowClock
	now := time.Now()
	for _, d := range []time.Duration{0, time.Second, time.Minute, time.Minute, 48 * time.Hour} { // without a jump it is right
		if got := c.at(now.Add(d)); !got.Equal(now.Add(d)) {
			t.Errorf("at(%v) = %v, want no difference", d, got.Sub(now))
		}
	}
}

// TestOlder: of two clocks the one that says more is believed, and none that goes backwards.
func TestOlder(t *testing.T) {
	for _, tt := range []struct{ steady, wall, want time.Duration }{
		{0, 0, 0}, {1, 2, 2}, {2, 1, 2},
		{time.Second, time.Hour, time.Hour}, // the machine has slept, or the clock was set forward
		{time.Hour, -time.Hour, time.Hour},  // it was set back
		{-1, -1, unknown},                   // there is but one clock, and it was set back
		{-1, time.Second, time.Second},
	} {
		if got := older(tt.steady, tt.wall); got != tt.want {
			t.Errorf("older(%v, %v) = %v, want %v", tt.steady, tt.wall, got, tt.want)
		}
	}
}

// TestSumOf: no two entries that differ in anything have one sum.
func TestSumOf(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	entries := []Entry{
		{Seq: 1, Kind: Token, ID: "a", Expires: at(9)}, {Seq: 2, Kind: Token, ID: "a", Expires: at(9)}, {Seq: 1, Kind: Session, ID: "a", Expires: at(9)},
		{Seq: 1, Kind: Token, ID: "b", Expires: at(9)}, {Seq: 1, Kind: Token, ID: "a", Expires: at(8)}, {Seq: 1, Kind: "toke", ID: "na", Expires: at(9)},
		{Seq: 1, Kind: Subject, ID: "a", Before: at(5), Expires: at(9)}, {Seq: 1, Kind: Subject, ID: "a", Before: at(6), Expires: at(9)}, {Seq: 1, Kind: Subject, ID: "a", Expires: at(9)},
	}
	seen := map[print]Entry{}
	for _, e := range entries {
		if other, ok := seen[sumOf(e)]; ok {
			t.Errorf("sumOf(%+v) = sumOf(%+v)", e, other)
		}
		seen[sumOf(e)] = e
	}
	utc := Entry{Seq: 1, Kind: Subject, ID: "a", Before: at(5).UTC(), Expires: at(9).UTC()}
	if sumOf(utc) != sumOf(entries[6]) {
		t.Error("sumOf depends on the zone of a time")
	}
}

// TestMemory measures what an entry costs where the maps are at their emptiest, just after they have grown.
func TestMemory(t *testing.T) {
	const n = 60_000
	for kind, add := range map[string]func(k *known, p print){
		"token":   func(k *known, p print) { k.tokens.add(p, until(1)) },
		"subject": func(k *known, p print) { k.subjects.add(p, cutoffOf(1, 1)) },
	} {
		before := heap()
		var k known
		for i := range n {
			add(&k, printOf(strconv.Itoa(i)))
		}
		each := float64(heap()-before) / n
		t.Logf("%d of the kind %s: %.1f bytes each", n, kind, each)
		if each > 64 || each < 16 {
			t.Errorf("one of the kind %s takes %.1f bytes, want at most 64", kind, each)
		}
		runtime.KeepAlive(&k)
	}
}

// million is a feed of so many entries of all kinds, which nobody has to keep.
type million int

func (m million) Since(_ context.Context, after int64, limit int) (Page, error) {
	p := Page{Last: int64(m)}
	for seq := after + 1; seq <= p.Last && len(p.Entries) < limit; seq++ {
		e := Entry{Seq: seq, Kind: []Kind{Token, Session, Key, Subject}[seq%4], ID: strconv.FormatInt(seq, 36), Expires: time.Unix(2e9, 0)}
		if e.Kind == Subject {
			e.Before = time.Unix(1e9, 0)
		}
		p.Entries = append(p.Entries, e)
	}
	return p, nil
}

// TestMemoryOfAList measures a list with a million entries as a whole, what a check costs then, and what is left when they have expired.
func TestMemoryOfAList(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a second or two")
	}
	const n = 1_000_000
	now := time.Unix(1.9e9, 0)
	before := heap()
	l := New(million(n), Config{Now: func() time.Time { return now }})
	if err := l.Load(t.Context()); err != nil || l.Len() != n {
		t.Fatalf("Load() = %v, and Len() = %d, want %d", err, l.Len(), n)
	}
	full := heap() - before
	t.Logf("%d entries: %.1f bytes each", n, float64(full)/n)
	if full > 64*n || full < 16*n {
		t.Errorf("%d entries take %d bytes, want at most 64 each", n, full)
	}
	for _, claim := range []Claim{{Token: "none", Session: "none", Key: "none", Subject: "none", Issued: now}, {Token: "4", Issued: now}} { // both look everywhere that they need
		if allocs := testing.AllocsPerRun(100, func() { _ = l.Check(claim) }); allocs != 0 {
			t.Errorf("Check(%+v) allocates %v times, want 0", claim, allocs)
		}
	}
	now = time.Unix(2e9, 0).Add(keep + 2*time.Second)
	l.sweep(secondOf(l.overdue()))
	if left := int64(heap()) - int64(before); l.Len() != 0 || left > n {
		t.Errorf("when all have expired there are %d in %d bytes", l.Len(), left)
	}
	runtime.KeepAlive(l)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestSetParallel: many write, ask and sweep at once, and nobody loses what lives.
func TestSetParallel(t *testing.T) {
	var k known
	const n = 2000
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range n {
				k.tokens.add(printOf(strconv.Itoa(w*n+i)), until(10+w%2*100)) // half of them expire
				if !k.revoked(Claim{Token: strconv.Itoa(w*n + i)}) && w%2 == 1 {
					t.Errorf("%d is gone", w*n+i)
				}
			}
		})
	}
	all.Go(func() {
		for range 50 {
			k.sweep(50)
			for range k.tokens.all() {
			}
		}
	})
	all.Wait()
	k.sweep(50)
	if k.size() != 2*n {
		t.Errorf("size() = %d, want %d", k.size(), 2*n)
	}
}

// TestTail: it holds the end of the feed, whole, or says that it does not.
func TestTail(t *testing.T) {
	var l tail
	for seq := int64(1); seq <= 5*tailSize; seq++ {
		l.append(Entry{Seq: 2 * seq})
		l.append(Entry{Seq: seq}) // read again
		if n := len(l.entries); n > 2*tailSize {
			t.Fatalf("it holds %d, want at most %d", n, 2*tailSize)
		}
		entries, ok := l.after(0, 2*seq-2)
		if !ok || len(entries) != 1 || entries[0].Seq != 2*seq {
			t.Fatalf("after(%d) = %v, %v, want the last one", 2*seq-2, entries, ok)
		}
	}
	last := int64(10 * tailSize)
	for seq := int64(0); seq <= last+1; seq++ {
		entries, ok := l.after(0, seq)
		if ok && int64(len(entries)) != (last-seq+1)/2 {
			t.Fatalf("after(%d) has %d entries, want %d", seq, len(entries), (last-seq+1)/2)
		}
		if !ok && seq > last-2*tailSize {
			t.Fatalf("after(%d) is not there", seq)
		}
	}
	if _, ok := l.after(0, 0); ok {
		t.Error("after(0) is there, and was dropped")
	}
	if _, ok := l.after(1, last); ok {
		t.Error("after() of another era is there")
	}
	l.restart(1)
	if entries, ok := l.after(1, 0); !ok || len(entries) != 0 {
		t.Errorf("after a restart: %v, %v, want nothing, and that this is all", entries, ok)
	}
}
