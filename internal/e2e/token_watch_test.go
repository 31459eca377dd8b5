package e2e

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// gauge returns the value of a metric, and whether there is one of the name.
func (g *gate) gauge(t *testing.T, name string) (float64, bool) {
	t.Helper()
	_, metrics := g.admin(t, "/metrics")
	for _, line := range strings.Split(metrics, "\n") {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			value, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			return value, true
		}
	}
	return 0, false
}

// wantGauges fails unless the metrics of revocations say this many, and that the list is fresh.
func (g *gate) wantGauges(t *testing.T, when string, live, position float64) {
	t.Helper()
	until(t, when+", the feed is read", func() bool { v, _ := g.gauge(t, "gatehouse_revocations_feed_position"); return v == position }) // what a node revokes itself counts before that
	for name, want := range map[string]func(float64) bool{
		"gatehouse_revocations_staleness_seconds": func(v float64) bool { return v >= 0 && v < 5 },
		"gatehouse_revocations_bound_seconds":     func(v float64) bool { return v == 5 },
		"gatehouse_revocations_live":              func(v float64) bool { return v == live },
		"gatehouse_revocations_feed_position":     func(v float64) bool { return v == position },
	} {
		if v, ok := g.gauge(t, name); !ok || !want(v) {
			t.Errorf("%s: %s = %v (%v), want %v live ones at position %v, and a fresh list", when, name, v, ok, live, position)
		}
	}
}

// TestMetricsOfRevocations say how many there are, how far the feed was read, and how old what is known is.
func TestMetricsOfRevocations(t *testing.T) {
	t.Parallel()
	dir, config := shortDir(t), fixture(t, "tokens.yaml")
	m := beginMintIn(t, dir, config)
	if status, body := m.admin(t, "/readyz"); status != 200 {
		t.Errorf("/readyz = %d %s, want 200", status, body)
	}
	m.wantGauges(t, "at first", 0, 0)
	for range 3 {
		revokedBefore(t, m)
	}
	m.wantGauges(t, "after three", 3, 3)
	m.done(t, "token", "revoke", "--subject", "jack")
	m.wantGauges(t, "after that", 4, 4)
	m.signal(t, syscall.SIGKILL)
	m.wait(t)
	m = beginMintIn(t, dir, config)
	m.wantGauges(t, "after the server was killed", 4, 4)
	_, metrics := m.admin(t, "/metrics")
	for _, name := range []string{"staleness_seconds", "bound_seconds", "live", "feed_position"} {
		if !strings.Contains(metrics, "# HELP gatehouse_revocations_"+name+" ") || !strings.Contains(metrics, "# TYPE gatehouse_revocations_"+name+" gauge") {
			t.Errorf("the metric %s is not described", name)
		}
	}
	without := beginIn(t, shortDir(t), sessionsIn[:strings.Index(sessionsIn, "carriers")])
	if v, ok := without.gauge(t, "gatehouse_revocations_live"); ok {
		t.Errorf("a server without a store has %v revocations, want no such metric", v)
	}
}
