package explain

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/problem"
)

func TestRingKeepsReports(t *testing.T) {
	g := newGuard(t, exampleRules, nil)
	at := time.Date(2026, 7, 1, 12, 0, 0, 5, time.FixedZone("x", 3600))
	ring := NewRing(10)
	for id, v := range map[string]*guard.Verdict{
		"anonymous":  g.Judge(newRequest(t, "GET", "/films/1")),
		"bad target": g.Judge(newRequest(t, "GET", "/a/../b")),
		"ci":         g.Judge(newRequest(t, "DELETE", "/films/1", "Authorization: Token "+planted)),
		"empty":      {Problem: problem.New(problem.Internal)},
	} {
		ring.Add(id, at, v, 403)
		want := NewReport(v, 403)
		want.RequestID, want.Time = id, "2026-07-01T11:00:00Z"
		got, ok := ring.Get(id)
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("Get(%q) = _, %v, want the report that was added (-want +got):\n%s", id, ok, diff)
		}
	}
}

func TestRingRemembersDenialsOnly(t *testing.T) {
	g := newGuard(t, exampleRules, nil)
	denied := g.Judge(newRequest(t, "GET", "/films/1"))
	for _, test := range []struct {
		size int
		id   string
		v    *guard.Verdict
		want bool
	}{
		{1, "a", denied, true},
		{1, "a", g.Judge(newRequest(t, "GET", "/docs")), false},
		{1, "a", nil, false},
		{1, "", denied, false},
		{0, "a", denied, false},
		{-1, "a", denied, false},
	} {
		ring := NewRing(test.size)
		ring.Add(test.id, time.Time{}, test.v, 401)
		if got, ok := ring.Get(test.id); ok != test.want || got.Time != "" {
			t.Errorf("size %d: after Add(%q, allowed=%v): Get = %v, %v, want %v", test.size, test.id, test.v.Allowed(), got, ok, test.want)
		}
	}
}

func TestRingForgetsTheOldest(t *testing.T) {
	v := &guard.Verdict{Problem: problem.New(problem.Forbidden)}
	ring := NewRing(3)
	for i := range 100 {
		ring.Add(fmt.Sprint(i), time.Time{}, v, i)
		for j := range i + 1 {
			got, ok := ring.Get(fmt.Sprint(j))
			if want := j > i-3; ok != want || ok && got.Status != j {
				t.Fatalf("after %d: Get(%d) = status %d, %v, want %v", i, j, got.Status, ok, want)
			}
		}
	}
	ring.Add("99", time.Time{}, v, 1)
	if got, ok := ring.Get("99"); !ok || got.Status != 1 || len(ring.byID) != 3 {
		t.Errorf("an id twice: Get = %d, %v, with %d entries, want the later one and 3 entries", got.Status, ok, len(ring.byID))
	}
	if _, ok := ring.Get("97"); !ok {
		t.Error("an id twice threw another entry out")
	}
}

func TestRingTakesReports(t *testing.T) {
	g, r := newGuard(t, exampleRules, nil), newRequest(t, "GET", "/a/../b?x=1")
	ring := NewRing(2)
	ring.AddReport("a", time.Time{}, NewReport(g.Judge(r), 400).For(r))
	if got, ok := ring.Get("a"); !ok || got.Method != "GET" || got.Path != "/a/../b" || got.Host != "localhost" {
		t.Errorf("Get = %+v, %v, want the request as it was sent, without its query", got, ok)
	}
	for _, report := range []Report{{}, {Decision: Allow}, NewReport(g.Judge(newRequest(t, "GET", "/docs")), 0)} {
		ring.AddReport("b", time.Time{}, report)
		if _, ok := ring.Get("b"); ok {
			t.Errorf("AddReport(%+v) is remembered, want denials only", report)
		}
	}
}

// hostileVerdict has every text as long as a client, or an operator, can make it.
func hostileVerdict(size int) *guard.Verdict {
	long := strings.Repeat("ä", size/2)
	many := make([]string, 1000)
	for i := range many {
		many[i] = long
	}
	return &guard.Verdict{
		Request:   policy.Request{Method: long, Host: long, Path: "/" + long},
		Rule:      &policy.Rule{Name: long},
		Principal: gatehouse.Principal{Subject: long, Kind: gatehouse.Kind(long), Roles: many, Scopes: many},
		Carrier:   long, TokenID: long,
		Problem: problem.New(problem.Code(long)),
	}
}

func TestRingIsBounded(t *testing.T) {
	const n = 1000
	ring, v := NewRing(n), hostileVerdict(100_000)
	for i := range 2 * n {
		ring.Add(fmt.Sprint(i)+strings.Repeat("x", 10_000), time.Unix(int64(i), 0), v, 403)
	}
	bytes := 0
	for _, e := range ring.slots {
		bytes += len(e.id) + len(e.packed)
	}
	if len(ring.slots) != n || len(ring.byID) != n || bytes > n<<10 {
		t.Errorf("%d slots and %d ids with %d bytes, want %d with at most 1 KiB each", len(ring.slots), len(ring.byID), bytes, n)
	}
	got, ok := ring.Get("1999" + strings.Repeat("x", 10_000))
	if !ok || len(got.Path) > maxPath || !strings.HasPrefix(got.Path, "/ää") || !strings.HasSuffix(got.Path, "…") || !utf8.ValidString(got.Path) {
		t.Errorf("Get = path %q, %v, want the beginning of the path, marked as cut", got.Path, ok)
	}
	if got.Decision != Deny || got.Status != 403 || got.Time == "" {
		t.Errorf("Get = %+v, want what matters to be whole", got)
	}
}

// TestPackLosesTheEndOnly: a report of any size fits, and what comes back is a beginning of it.
func TestPackLosesTheEndOnly(t *testing.T) {
	for steps := range 40 {
		for _, size := range []int{0, 1, 20, 127, 128, 300, 20_000} {
			r := NewReport(hostileVerdict(size), 403)
			for i := range steps {
				r.Steps = append(r.Steps, StepReport{Stage: fmt.Sprint("s", i), Subject: strings.Repeat("a", size), Outcome: "o", Error: strings.Repeat("e", size)})
			}
			packed := pack(r)
			if len(packed) > maxEntry {
				t.Fatalf("%d steps of %d bytes: pack has %d bytes, want at most %d", steps, size, len(packed), maxEntry)
			}
			got := unpack(packed)
			if got.Status != 403 || len(got.Steps) > min(steps, maxSteps) {
				t.Fatalf("%d steps of %d bytes: unpack = %+v", steps, size, got)
			}
			for i, s := range got.Steps {
				if s.Stage != r.Steps[i].Stage {
					t.Fatalf("%d steps of %d bytes: step %d is %q, want %q", steps, size, i, s.Stage, r.Steps[i].Stage)
				}
			}
		}
	}
}

func TestUnpackSurvivesAnything(t *testing.T) {
	whole := pack(NewReport(hostileVerdict(50), 403))
	for end := range len(whole) {
		if r := unpack(whole[:end]); r.Decision != Deny {
			t.Fatalf("unpack(%q) = %+v, want a denial", whole[:end], r)
		}
	}
	for _, s := range []string{"\xff", "\xff\xff\xff", "\x80", "\x05ab"} {
		if r := unpack(s); r.Decision != Deny || r.Path != "" {
			t.Errorf("unpack(%q) = %+v, want an empty denial", s, r)
		}
	}
}

// TestRingInParallel is for the race detector: writers evict what readers read.
func TestRingInParallel(t *testing.T) {
	g := newGuard(t, exampleRules, nil)
	r := newRequest(t, "GET", "/films/1")
	ring := NewRing(16)
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Go(func() {
			for i := range 500 {
				id := fmt.Sprint(worker, "-", i)
				ring.Add(id, time.Unix(1, 0), g.Judge(r), 401)
				if got, ok := ring.Get(id); ok && (got.RequestID != id || got.Code != "no_credential" || len(got.Steps) == 0) {
					t.Errorf("Get(%q) = %+v, want its own report", id, got)
				}
				ring.Get(fmt.Sprint((worker+1)%8, "-", i))
			}
		})
	}
	wait.Wait()
	if len(ring.slots) != 16 || len(ring.byID) != 16 {
		t.Errorf("%d slots, %d ids, want 16", len(ring.slots), len(ring.byID))
	}
	for id, slot := range ring.byID {
		if ring.slots[slot].id != id {
			t.Errorf("the slot of %q holds %q", id, ring.slots[slot].id)
		}
	}
}

// BenchmarkRingAdd is the price of a denial, with the path of somebody who wants to fill the memory.
func BenchmarkRingAdd(b *testing.B) {
	g := newGuard(b, exampleRules, nil)
	v := g.Judge(newRequest(b, "GET", "/films/"+strings.Repeat("x", 8000)))
	ring, at := NewRing(10_000), time.Unix(1, 0)
	ids := make([]string, 1<<15)
	for i := range ids {
		ids[i] = fmt.Sprintf("%026d", i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		ring.Add(ids[i%len(ids)], at, v, 401)
	}
}
