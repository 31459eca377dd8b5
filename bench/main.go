// Command bench measures what the gate costs, as ratios to a server that checks nothing.
//
//	go run ./bench            # a table
//	go test -run '^$' -bench . ./bench  # single requests, sessions by store, passwords; with allocations
//
// Sessions are measured in memory and in SQLite, and on the servers that GATEHOUSE_BENCH_POSTGRES and GATEHOUSE_BENCH_REDIS name by their URLs.
//
// Each variant is a process of its own, and is judged by the processor time that it takes for a request: so neither the client nor the
// application behind a proxy counts. The rounds of all variants are interleaved, and medians compared. Figures of one run compare with each
// other, not with those of another machine.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

func main() {
	if name := os.Getenv(serveVariable); name != "" {
		exit(serve(name, os.Stdout))
		return
	}
	rounds := flag.Int("rounds", 5, "rounds of each variant")
	length := flag.Duration("time", time.Second, "length of a round")
	clients := flag.Int("clients", 64, "connections at once")
	flag.Parse()
	results, err := measure(*rounds, *clients, *length)
	if err == nil {
		err = table(os.Stdout, results)
	}
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A result is what was measured of one variant.
type result struct {
	variant
	perCPU []float64       // requests per second of the server's own processor time, one figure a round
	p50    []time.Duration // as a client sees it
	p99    []time.Duration
}

// measure starts every variant and loads them in turn.
func measure(rounds, clients int, length time.Duration) ([]*result, error) {
	variants, err := allVariants()
	if err != nil {
		return nil, err
	}
	app, err := start("app", "")
	if err != nil {
		return nil, err
	}
	defer app.stop()
	var results []*result
	var servers []*server
	for _, v := range variants {
		s, err := start(v.name, app.addr)
		if err != nil {
			return nil, err
		}
		defer s.stop()
		results, servers = append(results, &result{variant: v}), append(servers, s)
		if _, err := load(s, v, clients, length/10); err != nil { // to warm up
			return nil, fmt.Errorf("%s: %w", v.name, err)
		}
	}
	for range rounds {
		for i, r := range results {
			got, err := load(servers[i], r.variant, clients, length)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.name, err)
			}
			r.perCPU, r.p50, r.p99 = append(r.perCPU, got.perCPU), append(r.p50, got.p50), append(r.p99, got.p99)
		}
	}
	return results, nil
}

func median[T float64 | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// table prints the medians and the ratios to the variant that each is compared with.
func table(w io.Writer, results []*result) error {
	byName := map[string]*result{}
	for _, r := range results {
		byName[r.name] = r
	}
	fmt.Fprintf(w, "%-16s %12s %10s %10s  %s\n", "variant", "req/cpu-s", "p50", "p99", "ratio of requests per processor second, and of p99")
	for _, r := range results {
		line := fmt.Sprintf("%-16s %12.0f %10v %10v ", r.name, median(r.perCPU), median(r.p50).Round(time.Microsecond), median(r.p99).Round(time.Microsecond))
		for _, name := range r.against {
			other := byName[name]
			line += fmt.Sprintf(" %.2f of %s (p99 %.2f)", median(r.perCPU)/median(other.perCPU), name, float64(median(r.p99))/float64(median(other.p99)))
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}
