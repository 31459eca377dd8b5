package admin_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/internal/admin"
	"github.com/gatehouse-auth/gatehouse/internal/explain"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/problem"
)

func newServer() (*admin.Server, http.Handler) {
	s := &admin.Server{Denials: explain.NewRing(10), Metrics: admin.NewMetrics("v1.2.3", func() uint64 { return 7 })}
	return s, s.Handler(&problem.Writer{})
}

func ask(h http.Handler, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w
}

func TestRoutes(t *testing.T) {
	s, h := newServer()
	s.Denials.Add("KNOWN", time.Unix(0, 0), (*guard.Guard)(nil).Judge(httptest.NewRequest("GET", "/films", nil)), 503)
	for _, tt := range []struct {
		method, target string
		status         int
		body           string
	}{
		{"GET", "/healthz", 200, `"ok"`},
		{"HEAD", "/healthz", 200, ""},
		{"GET", "/readyz", 200, `"ok"`},
		{"GET", "/metrics", 200, `gatehouse_build_info{version="v1.2.3"} 1`},
		{"GET", "/metrics", 200, "gatehouse_log_lines_dropped_total 7"},
		{"GET", "/admin/explain/KNOWN", 200, `"code":"unavailable"`},
		{"GET", "/admin/explain/OTHER", 404, "No request with this id"},
		{"GET", "/admin/explain/", 404, "not_found"},
		{"GET", "/", 404, "not_found"},
		{"GET", "/debug/pprof/", 404, "not_found"},
		{"GET", "/healthz/x", 404, "not_found"},
		{"POST", "/healthz", 405, "method_not_allowed"},
		{"DELETE", "/admin/explain/KNOWN", 405, "method_not_allowed"},
	} {
		w := ask(h, tt.method, tt.target)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.body) {
			t.Errorf("%s %s = %d %s, want %d with %s", tt.method, tt.target, w.Code, w.Body, tt.status, tt.body)
		}
		if w.Code == 405 && w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s %s: Allow = %q, want GET, HEAD", tt.method, tt.target, w.Header().Get("Allow"))
		}
	}
}

func TestReadinessEndsWhenTheServerDrains(t *testing.T) {
	s, h := newServer()
	s.Drain()
	if got := ask(h, "GET", "/readyz"); got.Code != 503 || !json.Valid(got.Body.Bytes()) {
		t.Errorf("/readyz while draining = %d %s, want 503", got.Code, got.Body)
	}
	if got := ask(h, "GET", "/healthz").Code; got != 200 {
		t.Errorf("/healthz while draining = %d, want 200: the process lives", got)
	}
}

func TestMetricsHaveNoLabelThatAClientChose(t *testing.T) {
	s, h := newServer()
	s.Metrics.Request(guard.Description{Method: "PLANTED", Host: "planted.example", Path: "/planted", Subject: "planted", Rule: "planted", Status: 401,
		Decision: "deny", Reason: "no_credential", RequestID: "planted", TokenID: "planted"})
	s.Metrics.Reload(true, 1700000000)
	s.Metrics.Reload(false, 0)
	text := ask(h, "GET", "/metrics").Body.String()
	for _, want := range []string{
		`gatehouse_requests_total{code="no_credential",decision="deny",status="4xx"} 1`,
		`gatehouse_config_reloads_total{result="ok"} 1`, `gatehouse_config_reloads_total{result="refused"} 1`,
		"gatehouse_config_last_reload_success_timestamp_seconds 1.7e+09",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if strings.Contains(strings.ToLower(text), "planted") {
		t.Errorf("a label holds what a client sent: the number of series would have no bound")
	}
}

func TestRulesOverTCP(t *testing.T) {
	roles := policy.Roles{"basic": 1, "admin": 9}
	for highest, want := range map[string]map[string]policy.Outcome{
		"admin": {"": policy.Unauthorized, "basic": policy.Forbidden, "admin": policy.Allow},
		"":      {"": policy.Unauthorized, "basic": policy.Forbidden, "admin": policy.Forbidden},
	} {
		table, err := policy.New(policy.Config{Roles: roles, Rules: admin.Rules(highest)})
		if err != nil {
			t.Fatal(err)
		}
		for role, outcome := range want {
			for target, public := range map[string]bool{"/healthz": true, "/readyz": true, "/metrics": false, "/admin/explain/X": false, "/": false, "/healthz/": false} {
				p := gatehouse.Anonymous()
				if role != "" {
					p = gatehouse.Principal{Subject: "jack", Kind: gatehouse.KindUser, Roles: []string{role}}
				}
				q, err := policy.Canonical(httptest.NewRequest("GET", target, nil))
				if err != nil {
					t.Fatal(err)
				}
				m, err := table.Lookup(q)
				if err != nil {
					t.Fatal(err)
				}
				wanted := outcome
				if public {
					wanted = policy.Allow
				}
				if got := table.Decide(m, p, nil).Outcome; got != wanted {
					t.Errorf("highest role %q: %s as %q = %v, want %v", highest, target, role, got, wanted)
				}
			}
		}
	}
}

// TestReadinessFollowsTheStore: the process is alive, and says that it should get no requests as long as it cannot check them.
func TestReadinessFollowsTheStore(t *testing.T) {
	s, h := newServer()
	why := ""
	s.NotReady = func() string { return why }
	s.Metrics.Watch(s.Ready)
	want := func(status int, body, metric string) {
		t.Helper()
		w := ask(h, "GET", "/readyz")
		if w.Code != status || !strings.Contains(w.Body.String(), body) || s.Ready() != (status == 200) {
			t.Errorf("/readyz = %d %s, Ready() = %v, want %d with %s", w.Code, w.Body, s.Ready(), status, body)
		}
		if w := ask(h, "GET", "/metrics"); !strings.Contains(w.Body.String(), "\ngatehouse_ready "+metric+"\n") {
			t.Errorf("/metrics does not say gatehouse_ready %s", metric)
		}
		if w := ask(h, "GET", "/healthz"); w.Code != 200 {
			t.Errorf("/healthz = %d, want 200 whatever the store does", w.Code)
		}
	}
	want(200, `"ok"`, "1")
	why = "the session store cannot be used"
	want(503, why, "0")
	why = ""
	want(200, `"ok"`, "1")
	s.Drain()
	want(503, "shutting down", "0")
}
