package admin

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Revocations is the list of what was revoked: a *revoke.List is one.
type Revocations interface {
	// Staleness is how long ago the list was complete, Bound how old it may be, Len how many revocations live, Last how far the feed was read.
	Staleness() time.Duration
	Bound() time.Duration
	Len() int
	Last() int64
}

// WatchRevocations adds gauges of the list that of returns; there are none as long as it returns nil. It must be called once at most.
func (m *Metrics) WatchRevocations(of func() Revocations) {
	gauge := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }
	m.registry.MustRegister(&revocations{of,
		gauge("gatehouse_revocations_staleness_seconds", "How long ago it was known for sure what was revoked; +Inf if it was never known."),
		gauge("gatehouse_revocations_bound_seconds", "The staleness past which requests are answered 503, unless a rule says otherwise."),
		gauge("gatehouse_revocations_live", "Revocations that are kept in memory."),
		gauge("gatehouse_revocations_feed_position", "The number of the last revocation that this server has read."),
	})
}

// revocations collects the gauges.
type revocations struct {
	of                           func() Revocations
	staleness, bound, live, last *prometheus.Desc
}

// Describe implements [prometheus.Collector].
func (r *revocations) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{r.staleness, r.bound, r.live, r.last} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (r *revocations) Collect(out chan<- prometheus.Metric) {
	list := r.of()
	if list == nil {
		return
	}
	for _, g := range []struct {
		desc  *prometheus.Desc
		value float64
	}{{r.staleness, seconds(list.Staleness())}, {r.bound, list.Bound().Seconds()}, {r.live, float64(list.Len())}, {r.last, float64(list.Last())}} {
		out <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.value)
	}
}

// seconds is d for a gauge. A list that was never complete has the longest age that there is.
func seconds(d time.Duration) float64 {
	if d == math.MaxInt64 {
		return math.Inf(1)
	}
	return d.Seconds()
}
