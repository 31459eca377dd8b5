// Package admin is the HTTP surface for those who run the server: health, metrics, and explanations of what was denied.
//
//	GET /healthz                  the process is alive
//	GET /readyz                   it takes requests: 503 once it is shutting down, or while it cannot check them
//	GET /metrics                  Prometheus text format
//	GET /admin/explain/{id}       one of the last denials, by its request id
//
// On a Unix socket the file's mode is the guard. Over TCP everything but health passes a guard that demands the highest role.
package admin

import (
	"encoding/json"
	"net/http"
	"sync/atomic"

	"github.com/gatehouse-auth/gatehouse/internal/explain"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// A Server answers the admin listener.
type Server struct {
	// Denials are what /admin/explain finds. Required.
	Denials *explain.Ring
	// Metrics answers /metrics. Required.
	Metrics *Metrics
	// NotReady says why requests cannot be checked now, in words for anybody, or returns "". It is asked often. Nil: they always can.
	NotReady func() string
	draining atomic.Bool
}

// Drain makes /readyz say no.
func (s *Server) Drain() { s.draining.Store(true) }

// Rules are the rules over TCP. highest is the name of the highest role; where there are no roles nobody gets past health.
func Rules(highest string) []policy.Rule {
	allow := policy.Nobody()
	if highest != "" {
		allow = policy.Role(highest)
	}
	health := []string{http.MethodGet}
	return []policy.Rule{
		{Name: "healthz", Methods: health, Path: "/healthz", Allow: policy.Anyone()},
		{Name: "readyz", Methods: health, Path: "/readyz", Allow: policy.Anyone()},
		{Name: "admin", Path: "/**", Allow: allow},
	}
}

// Handler returns the routes. answers writes the problems.
func (s *Server) Handler(answers *problem.Writer) http.Handler {
	mux := http.NewServeMux()
	for path, handler := range map[string]http.Handler{
		"/healthz":            http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { state(w, http.StatusOK, "ok") }),
		"/readyz":             http.HandlerFunc(s.ready),
		"/metrics":            s.Metrics,
		"/admin/explain/{id}": answers.Handler(s.explain),
	} {
		mux.Handle("GET "+path, handler)
		mux.Handle(path, answers.Handler(readOnly))
	}
	mux.Handle("/", answers.Handler(func(http.ResponseWriter, *http.Request) error { return problem.New(problem.NotFound) }))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	})
}

// readOnly answers every other method: nothing here changes by a request.
func readOnly(http.ResponseWriter, *http.Request) error {
	return &problem.Problem{Code: problem.MethodNotAllowed, Allow: []string{http.MethodGet, http.MethodHead}}
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if why := s.unready(); why != "" {
		state(w, http.StatusServiceUnavailable, why)
		return
	}
	state(w, http.StatusOK, "ok")
}

// Ready reports what /readyz says.
func (s *Server) Ready() bool { return s.unready() == "" }

// unready says why the server should get no requests, or returns "".
func (s *Server) unready() string {
	switch {
	case s.draining.Load():
		return "shutting down"
	case s.NotReady != nil:
		return s.NotReady()
	}
	return ""
}

func (s *Server) explain(w http.ResponseWriter, r *http.Request) error {
	report, ok := s.Denials.Get(r.PathValue("id"))
	if !ok {
		return &problem.Problem{Code: problem.NotFound, Detail: "No request with this id is among the last denials. Only requests that were denied are kept, and only by the process that denied them."}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(report)
}

func state(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"status": text})
}
