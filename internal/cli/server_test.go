package cli

import (
	"bytes"
	"crypto/tls"
	"errors"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/config"
	"github.com/gatehouse-auth/gatehouse/internal/logs"
)

// openServer opens a server on a configuration in YAML; what it logs goes to out.
func openServer(t *testing.T, out *bytes.Buffer, text string) *server {
	t.Helper()
	p := &program{ctx: t.Context(), now: time.Now}
	set := logs.New(out, logs.Config{Format: "json"})
	s := newServer(source{load: func() (*config.Config, error) { return config.Parse("test.yaml", []byte(text), p.configOptions()) }}, set, p.now)
	if err := s.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Flush(time.Second) })
	return s
}

func get(s http.Handler, target string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestStrictTransportSecurityOnlyWhereTheWorldUsesHTTPS(t *testing.T) {
	withTLS := func(r *http.Request) { r.TLS = &tls.ConnectionState{} }
	for _, tt := range []struct {
		name, config string
		change       func(*http.Request)
		want         string
	}{
		{"public https over TLS", "server: {public_url: https://app.example.org}", withTLS, "max-age=31536000"},
		{"public https without TLS", "server: {public_url: https://app.example.org}", nil, ""},
		{"no public URL, as in dev", "{}", withTLS, ""},
		{"public http", "server: {public_url: http://localhost}", withTLS, ""},
	} {
		s := openServer(t, &bytes.Buffer{}, tt.config)
		if got := get(s.handler(), "/nothing", tt.change).Header().Get("Strict-Transport-Security"); got != tt.want {
			t.Errorf("%s: Strict-Transport-Security = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestPanicOfAHandlerIs500AndItsValueStaysSecret(t *testing.T) {
	var out bytes.Buffer
	s := openServer(t, &out, "{}")
	h := s.recovering(func(http.ResponseWriter, *http.Request) { panic("planted-secret") })
	w := get(h, "/", nil)
	s.logs.Flush(time.Second)
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), `"code":"internal"`) {
		t.Errorf("answer = %d %s, want a problem 500", w.Code, w.Body)
	}
	if !strings.Contains(out.String(), "a handler panicked") || strings.Contains(out.String()+w.Body.String(), "planted-secret") {
		t.Errorf("the log must tell of the panic and not its value: %s", out.String())
	}
}

func TestAccessLogNamesTheClientBehindATrustedProxy(t *testing.T) {
	for _, tt := range []struct{ peer, forwarded, want string }{
		{"192.0.2.1:1", "198.51.100.7, 203.0.113.9", `"remote":"192.0.2.1","client":"203.0.113.9"`},
		{"192.0.2.2:1", "203.0.113.9", `"remote":"192.0.2.2","client":"192.0.2.2"`},
	} {
		var out bytes.Buffer
		s := openServer(t, &out, "server: {trusted_proxies: [192.0.2.1]}")
		get(s.handler(), "/", func(r *http.Request) {
			r.RemoteAddr = tt.peer
			r.Header.Set("X-Forwarded-For", tt.forwarded)
		})
		s.logs.Flush(time.Second)
		if !strings.Contains(out.String(), tt.want) {
			t.Errorf("peer %s forwards %s: log %s, want %s", tt.peer, tt.forwarded, out.String(), tt.want)
		}
	}
}

func TestStandardLogNeverRepeatsAPeer(t *testing.T) {
	var out bytes.Buffer
	s := openServer(t, &out, "log: {level: [{logger: server_logger, level: DEBUG}]}")
	undo := quoteStandardLog(s.logger("server_logger"))
	log.Printf("Unsolicited response received on idle HTTP channel starting with %q; err=<nil>", "planted-secret")
	undo()
	s.logs.Flush(time.Second)
	if text := out.String(); !strings.Contains(text, "Unsolicited response") || strings.Contains(text, "planted-secret") {
		t.Errorf("log = %s, want the message without what the peer sent", text)
	}
}

func TestAbortedAnswersStayAborted(t *testing.T) {
	s := openServer(t, &bytes.Buffer{}, "{}")
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("recovered %v, want http.ErrAbortHandler", err)
		}
	}()
	get(s.recovering(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), "/", nil)
}

func TestRefusedReloadForgetsNoDebt(t *testing.T) {
	p := &program{ctx: t.Context(), now: time.Now}
	const limited = "limits: {refused: {budget: 1, per: 1h}}"
	text := limited
	s := openServer(t, &bytes.Buffer{}, limited)
	s.source.load = func() (*config.Config, error) { return config.Parse("test.yaml", []byte(text), p.configOptions()) }
	get(s.handler(), "/", nil)
	for _, text = range []string{"{rules: 1}", "limits: {refused: {budget: 2, per: 1h}}\ntests: [nowhere.yaml]", limited} {
		s.reload(t.Context())
		if got := get(s.handler(), "/", nil).Code; got != http.StatusTooManyRequests {
			t.Errorf("after a reload of %q = %d, want 429: the debt is as it was", text, got)
		}
	}
}

func TestContentOfNeverWaitsNorReadsWithoutEnd(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	first := contentOf([]string{pipe, "/dev/zero"})
	if second := contentOf([]string{pipe, "/dev/zero"}); second != first {
		t.Errorf("the content of files that do not change has changed")
	}
}

func TestExplainKnowsPreflights(t *testing.T) {
	s := openServer(t, &bytes.Buffer{}, "cors: {origins: [https://spa.example.org]}")
	r := httptest.NewRequest(http.MethodOptions, "/films", nil)
	r.Header.Set("Origin", "https://spa.example.org")
	r.Header.Set("Access-Control-Request-Method", "GET")
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, r)
	if v := s.house.Load().judge(r, nil); w.Code != http.StatusNoContent || !v.Allowed() {
		t.Errorf("preflight: the server answers %d, explain says allowed %v; want 204 and true", w.Code, v.Allowed())
	}
}

func TestNeedRestart(t *testing.T) {
	parse := func(text string) *config.Config {
		c, err := config.Parse("test.yaml", []byte(text), config.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := parse("{}")
	for text, want := range map[string][]string{
		"{}":                                nil,
		"rules: [{path: /, allow: anyone}]": nil,
		"server: {http: {port: 9000}}":      {"server.http.port"},
		"server: {http: {host: localhost}, timeouts: {idle: 1m}}": {"server.http.host", "server.timeouts"},
		"server: {admin: {listen: 'unix:other.sock'}}":            {"server.admin.listen"},
		"server: {max_header_size: 8192}":                         {"server.max_header_size"},
	} {
		if got := needRestart(before, parse(text)); !slices.Equal(got, want) {
			t.Errorf("needRestart(%s) = %v, want %v", text, got, want)
		}
	}
}

// TestRulesOfTheApplicationNeverOpenOurOwnPaths and the other way round.
func TestRulesStayApart(t *testing.T) {
	s := openServer(t, &bytes.Buffer{}, `
server: {http: {allowed_tokens: [token1]}, trusted_proxies: [192.0.2.1]}
rules: [{path: /**, allow: anyone}]`)
	ask := func(target string, change func(*http.Request)) int { return get(s.handler(), target, change).Code }
	if got := ask("/ping", nil); got != http.StatusUnauthorized {
		t.Errorf("/ping of a stranger = %d, want 401: a catch-all rule is for the application", got)
	}
	if got := ask("/other", nil); got != http.StatusNotFound {
		t.Errorf("/other = %d, want 404: it may pass, and there is nothing", got)
	}
	forwarded := func(uri string) func(*http.Request) {
		return func(r *http.Request) {
			r.RemoteAddr = "192.0.2.1:1"
			r.Header.Set("X-Forwarded-Method", "GET")
			r.Header.Set("X-Forwarded-Host", "app.example.org")
			r.Header.Set("X-Forwarded-Uri", uri)
		}
	}
	if got := ask("/authz/caddy", forwarded("/ping")); got != http.StatusOK {
		t.Errorf("forward-auth for the application's /ping = %d, want 200: its rules let anyone in", got)
	}
	if got := ask("/authz/caddy", nil); got != http.StatusForbidden {
		t.Errorf("forward-auth for a stranger = %d, want 403: the catch-all rule does not reach it", got)
	}
}

func TestReloadKeepsTheLastGoodConfiguration(t *testing.T) {
	var out bytes.Buffer
	s := openServer(t, &out, "server: {http: {allowed_tokens: [token1]}}")
	old := s.house.Load()
	text := "server: {http: {allowed_tokens: [token1], prot: 1}}"
	p := &program{ctx: t.Context(), now: time.Now}
	s.source.load = func() (*config.Config, error) { return config.Parse("test.yaml", []byte(text), p.configOptions()) }
	s.reload(t.Context())
	s.logs.Flush(time.Second)
	if s.house.Load() != old || !strings.Contains(out.String(), `"at":"test.yaml:1:43"`) {
		t.Errorf("after a bad reload: house replaced %v, log %s; want the old one and the fault's place", s.house.Load() != old, out.String())
	}
	text = "server: {http: {allowed_tokens: [token2]}}"
	s.reload(t.Context())
	auth := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Token "+token) }
	}
	if one, two := get(s.handler(), "/ping", auth("token1")).Code, get(s.handler(), "/ping", auth("token2")).Code; one != 401 || two != 200 {
		t.Errorf("after a good reload: old token %d, new token %d, want 401 and 200", one, two)
	}
}
