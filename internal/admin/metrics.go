package admin

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gatehouse-auth/gatehouse/guard"
)

// Metrics counts what the server does. No label holds anything that a client chose, so that the number of series is bounded.
type Metrics struct {
	handler   http.Handler
	requests  *prometheus.CounterVec
	durations prometheus.Histogram
	reloads   *prometheus.CounterVec
	reloaded  prometheus.Gauge
	registry  *prometheus.Registry
}

// NewMetrics returns metrics with a registry of their own. version is a label of gatehouse_build_info; dropped counts the log lines that were lost.
func NewMetrics(version string, dropped func() uint64) *Metrics {
	reg := prometheus.NewRegistry()
	m := &Metrics{registry: reg,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_requests_total",
			Help: "Requests by decision, problem code and class of status."}, []string{"decision", "code", "status"}),
		durations: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "gatehouse_request_duration_seconds",
			Help: "Time from the head of a request to the end of its answer.", Buckets: []float64{.0005, .001, .005, .01, .05, .1, .5, 1, 5, 30}}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_config_reloads_total",
			Help: "Reloads of the configuration by result."}, []string{"result"}),
		reloaded: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_config_last_reload_success_timestamp_seconds",
			Help: "When the configuration in use was loaded."}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_build_info", Help: "Always 1.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	lost := prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "gatehouse_log_lines_dropped_total",
		Help: "Log lines lost because the writer was too slow or failed."}, func() float64 { return float64(dropped()) })
	reg.MustRegister(m.requests, m.durations, m.reloads, m.reloaded, build, lost,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
	return m
}

// Watch adds a gauge that is 1 while ready says so. It must be called once at most.
func (m *Metrics) Watch(ready func() bool) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatehouse_ready",
		Help: "Whether the server takes requests: 1 if /readyz says 200, else 0."}, func() float64 {
		if ready() {
			return 1
		}
		return 0
	}))
}

// ServeHTTP answers in the Prometheus text format.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.handler.ServeHTTP(w, r) }

// Request counts one request.
func (m *Metrics) Request(d guard.Description) {
	m.requests.WithLabelValues(d.Decision, d.Reason, strconv.Itoa(d.Status/100)+"xx").Inc()
	m.durations.Observe(d.Duration.Seconds())
}

// Reload counts one reload; at is its time in Unix seconds.
func (m *Metrics) Reload(ok bool, at float64) {
	result := "refused"
	if ok {
		result = "ok"
		m.reloaded.Set(at)
	}
	m.reloads.WithLabelValues(result).Inc()
}
