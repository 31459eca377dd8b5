package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/internal/api"
	"github.com/gatehouse-auth/gatehouse/policy"
)

func newGuard(t *testing.T, rules []policy.Rule) *guard.Guard {
	t.Helper()
	table, err := policy.New(policy.Config{Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	find := func(_ context.Context, token string) (gatehouse.Identity, error) {
		if token != "token1" {
			return gatehouse.Identity{}, gatehouse.ErrCredential
		}
		return gatehouse.Identity{Value: "jack"}, nil
	}
	g, err := guard.New(guard.Config{Carriers: []carrier.Carrier{carrier.Header("Token", find)}, Policy: guard.AsSubject{Table: table}, Rules: table})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// answersWith marks an answer with its status.
func answersWith(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
}

func TestWhoAnswers(t *testing.T) {
	const authz, proxy = 298, 299
	for _, tt := range []struct {
		prefix string
		proxy  http.Handler
		method string
		target string
		token  bool
		want   int
	}{
		{"", nil, "GET", "/ping", true, 200},
		{"", nil, "HEAD", "/ping", true, 200},
		{"", nil, "GET", "/ping", false, 401},
		{"", nil, "POST", "/ping", true, 405},
		{"", nil, "POST", "/ping", false, 401},
		{"", nil, "GET", "/ping/", true, 404},
		{"", nil, "GET", "/PING", true, 404},
		{"", nil, "GET", "//ping", true, 400},
		{"", nil, "GET", "/%70ing", true, 200},
		{"", nil, "GET", "/stt", true, 404},
		{"", nil, "GET", "/stt", false, 401},
		{"", nil, "GET", "/open", false, 404},
		{"", nil, "GET", "/authz/nginx", false, authz},
		{"", nil, "GET", "/authz", false, 401},
		{"/gate", nil, "GET", "/gate/ping", true, 200},
		{"/gate", nil, "GET", "/ping", true, 404},
		{"/gate", nil, "GET", "/gate/authz/nginx", false, authz},
		{"/gate", nil, "GET", "/authz/nginx", true, 404},
		{"", answersWith(proxy), "GET", "/ping", false, proxy},
		{"", answersWith(proxy), "GET", "/anything", false, proxy},
		{"", answersWith(proxy), "GET", "/authz/nginx", false, authz},
		{"/gate", answersWith(proxy), "GET", "/authz/nginx", false, proxy},
	} {
		h := api.New(api.Config{Prefix: tt.prefix, Own: newGuard(t, api.OwnRules(tt.prefix)), App: newGuard(t, []policy.Rule{{Path: "/open", Allow: policy.Anyone()}}),
			Proxy: tt.proxy, Authz: answersWith(authz)})
		r := httptest.NewRequest(tt.method, "http://example.org/", nil)
		r.URL.Path, r.URL.RawPath = tt.target, ""
		if tt.target == "/%70ing" {
			r.URL.Path, r.URL.RawPath = "/ping", tt.target
		}
		if tt.token {
			r.Header.Set("Authorization", "Token token1")
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("prefix %q, proxy %v: %s %s with token %v = %d %s, want %d", tt.prefix, tt.proxy != nil, tt.method, tt.target, tt.token, w.Code, w.Body, tt.want)
		}
	}
}

func TestPingIsByteForByte(t *testing.T) {
	h := api.New(api.Config{Own: newGuard(t, api.OwnRules("")), App: newGuard(t, nil), Authz: answersWith(500)})
	r := httptest.NewRequest("GET", "/ping", nil)
	r.Header.Set("Authorization", "Token token1")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if got, want := w.Body.String(), `{"text":"pong","status":"success"}`; got != want || w.Header().Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("GET /ping = %s %s, want %s", w.Header().Get("Content-Type"), got, want)
	}
}

func TestReserved(t *testing.T) {
	for _, tt := range []struct {
		pattern, prefix string
		upstream        bool
		tokens          bool
		want            bool
	}{
		{"/authz", "", true, false, true}, {"/authz/nginx", "", false, false, true}, {"/authz/**", "", true, false, true}, {"/authz/{x}", "", true, false, true},
		{"/ping", "", false, false, true}, {"/ping", "", true, false, false}, {"/gate/ping", "/gate", false, false, true}, {"/ping", "/gate", false, false, false},
		{"/authz/nginx", "/gate", false, false, false}, {"/gate/authz/nginx", "/gate", true, false, true},
		{"/**", "", false, true, false}, {"/authzx", "", false, false, false}, {"/pings", "", false, false, false}, {"", "", false, true, false},
		{"/oauth", "", true, true, true}, {"/oauth/token", "", true, true, true}, {"/oauth/**", "", true, true, true}, {"/oauth/{x}", "", true, true, true},
		{"/oauth/authorize", "", true, true, true}, {"/.well-known/jwks.json", "", true, true, true}, {"/gate/oauth/token", "/gate", true, true, true},
		{"/oauth/token", "", true, false, false}, {"/.well-known/jwks.json", "", true, false, false}, {"/oauth/token", "/gate", true, true, false},
		{"/oauths", "", true, true, false}, {"/.well-known/security.txt", "", true, true, false}, {"/.well-known/**", "", true, true, false},
	} {
		if got := api.Reserved(tt.pattern, tt.prefix, tt.upstream, tt.tokens) != ""; got != tt.want {
			t.Errorf("Reserved(%q, %q, %v, %v) = %v, want %v", tt.pattern, tt.prefix, tt.upstream, tt.tokens, got, tt.want)
		}
	}
}
