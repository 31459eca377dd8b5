package guard_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
)

// A sink is an answer that nobody reads, and that costs nothing.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

var empty = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

// benchmarked is a guard with a static list of tokens and every kind of rule, and a request that it allows.
func benchmarked(t testing.TB) (*guard.Guard, *http.Request) {
	t.Helper()
	secret := carrier.NewToken().Reveal()
	list, err := carrier.NewStatic([]carrier.StaticToken{{Name: "ci", Hash: carrier.HashToken(secret), Roles: []string{"basic"}, Scopes: []string{"films.read"}}})
	if err != nil {
		t.Fatal(err)
	}
	g := makeGuard(t, guard.Config{Rules: everyRule(t), Carriers: []carrier.Carrier{carrier.Header("Bearer", list.Lookup)}, MaxBody: 1 << 20})
	r := httptest.NewRequest("GET", "/known", nil)
	r.Header.Set("Authorization", "Bearer "+secret)
	return g, r
}

// TestAllocations keeps the way of an allowed request short: one allocation for the verdict with its context, one for the request that
// carries it.
func TestAllocations(t *testing.T) {
	g, r := benchmarked(t)
	h, w := g.Handler(empty), &sink{header: http.Header{}}
	for path, budget := range map[string]float64{"/known": 2, "/basic": 2, "/scope": 2, "/public": 2, "/permission": 3} {
		r.URL.Path = path
		if got := testing.AllocsPerRun(1000, func() { h.ServeHTTP(w, r) }); got > budget {
			t.Errorf("%s: %v allocations, want at most %v", path, got, budget)
		} else {
			t.Logf("%s: %v allocations", path, got)
		}
		if w.status != 0 {
			t.Fatalf("%s = %d, want an allowed request", path, w.status)
		}
	}
}

func BenchmarkBareHandler(b *testing.B) {
	_, r := benchmarked(b)
	w := &sink{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		empty.ServeHTTP(w, r)
	}
}

func BenchmarkGuardedHandler(b *testing.B) {
	g, r := benchmarked(b)
	h, w := g.Handler(empty), &sink{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}

func BenchmarkGuardedHandlerParallel(b *testing.B) {
	g, r := benchmarked(b)
	h := g.Handler(empty)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		w, own := &sink{header: http.Header{}}, r.Clone(r.Context())
		for pb.Next() {
			h.ServeHTTP(w, own)
		}
	})
}

// BenchmarkJudge is the decision with its trace, as explain asks for it.
func BenchmarkJudge(b *testing.B) {
	g, r := benchmarked(b)
	b.ReportAllocs()
	for b.Loop() {
		if v := g.Judge(r); !v.Allowed() || len(v.Steps()) == 0 {
			b.Fatal(v.Problem)
		}
	}
}

// BenchmarkRefusal is what an attacker makes the guard do.
func BenchmarkRefusal(b *testing.B) {
	for name, change := range map[string]func(*http.Request){
		"nobody":           func(r *http.Request) { r.Header.Del("Authorization") },
		"unknown token":    func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+strings.Repeat("x", 8<<10)) },
		"1 MB token":       func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+strings.Repeat("x", 1<<20)) },
		"1 MB of spaces":   func(r *http.Request) { r.Header.Set("Authorization", "Bearer"+strings.Repeat(" ", 1<<20)) },
		"100,000 segments": func(r *http.Request) { r.URL.Path = strings.Repeat("/a", 100_000) },
		"100,000 dots":     func(r *http.Request) { r.URL.Path = "/" + strings.Repeat(".", 100_000) },
	} {
		b.Run(name, func(b *testing.B) {
			g, r := benchmarked(b)
			change(r)
			h, w := g.Handler(empty), &sink{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}
			if w.status < 400 {
				b.Fatalf("= %d, want a refusal", w.status)
			}
		})
	}
}
