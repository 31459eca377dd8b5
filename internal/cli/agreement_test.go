package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/config"
	"github.com/gatehouse-auth/gatehouse/internal/explain"
	"github.com/gatehouse-auth/gatehouse/internal/logs"
)

const agreementConfig = `
server:
  http:
    auth_scheme: [Token, Bearer]
    allowed_tokens:
      - {token: basic-token, name: basic, roles: [basic], scopes: [films.read]}
      - {token: admin-token, name: admin, roles: [admin], scopes: [films.read, films.write]}
      - {token: off-token, name: off, enabled: false}
      - {token: old-token, name: old, expires: 2020-01-01}
carriers: [authorization, {header: X-API-Key}]
roles: {basic: 1, premium: 5, admin: 9}
permissions: {basic: [films.list], admin: ["films.*"]}
rules:
  - {path: /, allow: anyone}
  - {path: /public/**, allow: anyone}
  - {path: /strict/**, allow: anyone, strict: true}
  - {methods: [GET], path: /films, allow: {permission: films.list}}
  - {methods: [GET], path: "/films/{id}", allow: {role: basic}}
  - {methods: [POST], path: /films, allow: {all: [{role: admin}, {scope: films.write}]}}
  - {path: /films/**, allow: {permission: films.delete}}
  - {host: admin.example.org, path: /**, allow: {role: admin}}
  - {regex: '/exclude/\w+/info', allow: anyone}
  - {regex: '/exclude/.*', allow: authenticated}
  - {path: "/raw/{name}", allow: {any: [{role: premium}, {scope: films.read}]}, allow_encoded_slash: true}
upstream: %s
`

// TestExplainAgreesWithTheLiveDecision asks the server and explain about the same 10,000 generated requests.
func TestExplainAgreesWithTheLiveDecision(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer app.Close()
	p := &program{ctx: t.Context(), now: time.Now}
	src := source{load: func() (*config.Config, error) {
		return config.Parse("agreement.yaml", fmt.Appendf(nil, agreementConfig, app.URL), p.configOptions())
	}}
	s := newServer(src, logs.New(&bytes.Buffer{}, logs.Config{}), p.now)
	if err := s.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	live, h := s.handler(), s.house.Load()

	random := rand.New(rand.NewPCG(1, 2))
	seen := map[string]int{}
	for range 10_000 {
		q := generate(random)
		want := liveAnswer(t, s, live, q)
		got := explained(t, p, h, q)
		if got != want {
			t.Fatalf("%s: explain says %q, the server says %q", q, got, want)
		}
		seen[want]++
	}
	t.Logf("answers: %v", seen)
	for _, answer := range []string{"allow", "no_credential", "unknown_token", "expired_token", "malformed_credential", "duplicate_credential",
		"unsupported_scheme", "forbidden", "insufficient_scope", "not_found", "method_not_allowed", "bad_target"} {
		if seen[answer] < 5 {
			t.Errorf("only %d requests were answered %s: the generator does not reach it", seen[answer], answer)
		}
	}
}

// A question is one generated request.
type question struct {
	method, target, host string
	headers              []string
}

func (q question) String() string {
	return fmt.Sprintf("%s %s host %s %q", q.method, q.target, q.host, q.headers)
}

func generate(r *rand.Rand) question {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	q := question{method: pick("GET", "GET", "GET", "HEAD", "POST", "DELETE", "PUT", "OPTIONS", "PROPFIND", "TRACE"), host: pick("app.example.org", "APP.example.org:8080", "admin.example.org", "admin.example.org.")}
	for range r.IntN(4) {
		q.target += "/" + pick("films", "public", "strict", "exclude", "raw", "info", "1", "ab", "nothing", "%66ilms", "a%2Fb", "..", "x;y=1", "%c3%a9", "")
	}
	if q.target == "" {
		q.target = "/" + pick("", "films", "films/1", "public/x", "raw/a%2fb", "exclude/ab/info", "strict/x")
	}
	q.target += pick("", "", "?a=1", "?a=%00&b;c")
	for range pick("", "1", "1", "1", "1", "12") {
		token := pick("basic-token", "basic-token", "admin-token", "admin-token", "off-token", "old-token", "wrong", "two words", "")
		q.headers = append(q.headers, pick("Authorization: Token ", "Authorization: bearer  ", "Authorization: Basic ", "Authorization: None", "X-API-Key: ")+token)
	}
	return q
}

// liveAnswer sends q to the handler of the server, through net/http's own parser.
func liveAnswer(t *testing.T, s *server, live http.Handler, q question) string {
	t.Helper()
	text := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n", q.method, q.target, q.host)
	for _, header := range q.headers {
		text += header + "\r\n"
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text + "\r\n")))
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	r.RemoteAddr = "192.0.2.1:1234"
	w := httptest.NewRecorder()
	live.ServeHTTP(w, r)
	if w.Code == http.StatusTeapot {
		return explain.Allow
	}
	if q.method == http.MethodHead { // its answer has no body, but it is among the denials
		report, ok := s.denials.Get(w.Header().Get("X-Request-Id"))
		if !ok || w.Body.Len() > 0 {
			t.Fatalf("%s: %d, body %q, among the denials %v", q, w.Code, w.Body, ok)
		}
		return report.Code
	}
	var body struct{ Code string }
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("%s: %d %s: %v", q, w.Code, w.Body, err)
	}
	return body.Code
}

func explained(t *testing.T, p *program, h *house, q question) string {
	t.Helper()
	r, err := explainCommand{Method: q.method, URL: q.target, Header: append([]string{"Host: " + q.host}, q.headers...)}.explain(p, h)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	if r.Decision == explain.Allow {
		return explain.Allow
	}
	return r.Code
}
