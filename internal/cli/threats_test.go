package cli

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/internal/config"
	"github.com/gatehouse-auth/gatehouse/internal/logs"
)

// TestPanicInAnAnswerCutsIt: half an answer must not look like a whole one, and the next request is fine.
func TestPanicInAnAnswerCutsIt(t *testing.T) {
	var out bytes.Buffer
	s := openServer(t, &out, "{}")
	server := httptest.NewUnstartedServer(guard.Observe(s.recovering(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "half")
		if r.URL.Path == "/flushed" {
			w.(http.Flusher).Flush()
		}
		if r.URL.Path != "/fine" {
			panic("planted-secret")
		}
	}), s.around.now, func(*http.Request, guard.Description, *guard.Verdict) {}))
	server.Start()
	defer server.Close()
	server.Client().Transport.(*http.Transport).DisableKeepAlives = true // a client asks again where a connection that it had is cut
	for path, whole := range map[string]bool{"/unflushed": false, "/flushed": false, "/fine": true} {
		resp, err := server.Client().Get(server.URL + path)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if (err == nil) != whole {
			t.Errorf("GET %s = %v, want a whole answer: %v", path, err, whole)
		}
	}
	server.Close()
	s.logs.Flush(time.Second)
	if n := strings.Count(out.String(), "a handler panicked"); n != 2 || strings.Contains(out.String(), "planted-secret") {
		t.Errorf("the log must tell of the two panics and not their value: %s", out.String())
	}
}

// TestAuthoritiesThatCannotBeReadStopTheStart (CVE-2026-27586): no upstream is trusted by other authorities than those that were asked for.
func TestAuthoritiesThatCannotBeReadStopTheStart(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"empty.pem": "", "garbage.pem": "garbage", "cut.pem": "-----BEGIN CERTIFICATE-----\nMIIB"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good := "upstream: {app: {url: 'https://127.0.0.1:1'}}\nrules: [{path: /, allow: anyone}]"
	for _, file := range []string{"missing.pem", "empty.pem", "garbage.pem", "cut.pem", "."} {
		bad := strings.Replace(good, ":1'", ":1', ca_file: '"+filepath.Join(dir, file)+"'", 1)
		load := func(text string) func() (*config.Config, error) {
			return func() (*config.Config, error) { return config.Parse("test.yaml", []byte(text), config.Options{}) }
		}
		if err := newServer(source{load: load(bad)}, logs.New(io.Discard, logs.Config{}), time.Now).open(t.Context()); err == nil || !strings.Contains(err.Error(), "test.yaml:1:") {
			t.Errorf("%s: open() = %v, want a fault with its place", file, err)
		}
		var out bytes.Buffer
		s := openServer(t, &out, good)
		before := s.house.Load()
		s.source.load = load(bad)
		s.reload(t.Context())
		if s.logs.Flush(time.Second); s.house.Load() != before || !strings.Contains(out.String(), "configuration refused") {
			t.Errorf("%s: a reload took it: %s", file, out.String())
		}
	}
}

// TestOwnAnswersAreSafe: whatever we answer ourselves, a browser reads it as what it says it is, no cache keeps it, and nobody learns what
// answers.
func TestOwnAnswersAreSafe(t *testing.T) {
	s := openServer(t, &bytes.Buffer{}, "{server: {http: {allowed_tokens: [token1]}}, roles: [admin]}")
	for _, tt := range []struct {
		listener, method, target, token string
		status                          int
	}{
		{"main", "GET", "/ping", "token1", 200}, {"main", "GET", "/ping", "", 401}, {"main", "GET", "/ping", "wrong", 401}, {"main", "GET", "/ping", "a b", 400},
		{"main", "GET", "/nothing", "token1", 404}, {"main", "PUT", "/ping", "token1", 405}, {"main", "TRACE", "/ping", "token1", 405}, {"main", "GET", "//ping", "", 400},
		{"main", "GET", "/authz/caddy", "", 403}, {"main", "GET", "/authz/nginx", "", 403},
		{"unix", "GET", "/healthz", "", 200}, {"unix", "GET", "/readyz", "", 200}, {"unix", "GET", "/metrics", "", 200}, {"unix", "GET", "/admin/explain/{denied}", "", 200},
		{"unix", "GET", "/admin/explain/X", "", 404}, {"unix", "POST", "/healthz", "", 405}, {"unix", "GET", "/nothing", "", 404},
		{"tcp", "GET", "/healthz", "", 200}, {"tcp", "GET", "/metrics", "", 401}, {"tcp", "GET", "/metrics", "token1", 403},
	} {
		handler := s.handler()
		denied := get(handler, "/denied", nil).Header().Get("X-Request-Id")
		if tt.listener != "main" {
			handler = s.adminHandler(tt.listener)
		}
		r := httptest.NewRequest(tt.method, strings.Replace(tt.target, "{denied}", denied, 1), nil)
		if tt.token != "" {
			r.Header.Set("Authorization", "Token "+tt.token)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s %s %s with %q = %d, want %d", tt.listener, tt.method, tt.target, tt.token, w.Code, tt.status)
		}
		safe(t, tt.listener+" "+tt.method+" "+tt.target, w)
	}
}

// safe judges one answer of our own.
func safe(t *testing.T, asked string, w *httptest.ResponseRecorder) {
	t.Helper()
	h := w.Header()
	if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: X-Content-Type-Options %q, Cache-Control %q, want nosniff and no-store", asked, h.Get("X-Content-Type-Options"), h.Get("Cache-Control"))
	}
	kinds := []string{"application/json", "application/json; charset=utf-8", "application/problem+json", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"}
	if kind := h.Get("Content-Type"); w.Body.Len() > 0 && !slices.Contains(kinds, kind) {
		t.Errorf("%s: Content-Type %q, want one of %q", asked, kind, kinds)
	}
	for _, name := range []string{"Server", "Via", "X-Powered-By"} {
		if h.Get(name) != "" {
			t.Errorf("%s: %s is %q, want none", asked, name, h.Get(name))
		}
	}
	if strings.HasSuffix(asked, "/metrics") && w.Code == http.StatusOK {
		return // those who may see it want to know the version
	}
	for _, word := range []string{version(), "go1.", "Gatehouse/"} {
		if word != "" && strings.Contains(w.Body.String(), word) {
			t.Errorf("%s tells %q: %s", asked, word, w.Body)
		}
	}
}
