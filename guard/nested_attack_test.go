package guard_test

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/session"
)

// TestNestedGuardsShareASessionCarrier: behind the inner guard the session is the one that the outer guard has opened, for reading and for writing.
func TestNestedGuardsShareASessionCarrier(t *testing.T) {
	var shared carrier.Carrier
	s := newSite(t, func(c *guard.Config) { shared = c.Carriers[0] })
	s.addCart(t)
	inner := makeGuard(t, guard.Config{Carriers: []carrier.Carrier{shared}})
	innermost := makeGuard(t, guard.Config{Carriers: []carrier.Carrier{shared}})
	s.mux.Handle("/deep", inner.Handler(innermost.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		put(t, r, "cart", "full")
		if mine := session.FromContext(r.Context()); mine != s.table.FromContext(r.Context()) {
			t.Error("FromContext and the table's FromContext are two sessions")
		}
		io.WriteString(w, session.FromContext(r.Context()).Subject())
	}))))
	v := s.visitor(t)
	if got := v.do("GET", "/deep"); got.status != 200 || len(got.header["Set-Cookie"]) != 1 {
		t.Errorf("a visitor = %d, cookies %q; want 200 and a new session", got.status, got.header["Set-Cookie"])
	}
	if got := v.do("GET", "/cart"); got.body != "full" {
		t.Errorf("the visitor's cart = %q, want full", got.body)
	}
	v = s.visitor(t)
	v.signIn("jack")
	gets := s.store.gets.Load()
	if got := v.do("GET", "/deep"); got.body != "jack" || s.store.gets.Load() != gets+1 {
		t.Errorf("jack = %d %q after %d reads, want jack after one", got.status, got.body, s.store.gets.Load()-gets)
	}
	if got := v.do("GET", "/cart"); got.body != "full" {
		t.Errorf("jack's cart = %q, want full", got.body)
	}
}

// TestInnerGuardLearnsWhyTheCallerIsUnknown: on a path that is public to the outer guard, a store that does not answer is no missing credential to the inner one, nor is a session that
// has ended.
func TestInnerGuardLearnsWhyTheCallerIsUnknown(t *testing.T) {
	var shared carrier.Carrier
	s := newSite(t, func(c *guard.Config) { shared = c.Carriers[0] })
	outer := makeGuard(t, guard.Config{Carriers: []carrier.Carrier{shared}, Rules: rules(t, policy.Config{Default: policy.Anyone()})})
	middle := makeGuard(t, guard.Config{Carriers: []carrier.Carrier{carrier.Header("Token", lookup)}, Rules: rules(t, policy.Config{Default: policy.Anyone()})})
	strict := rules(t, policy.Config{Default: policy.Authenticated()})
	inner := makeGuard(t, guard.Config{Carriers: []carrier.Carrier{shared, carrier.NamedHeader("X-API-Key", lookup)}, Rules: strict})
	other := makeGuard(t, guard.Config{Carriers: []carrier.Carrier{carrier.NamedHeader("X-API-Key", lookup)}, Rules: strict})
	cookie := s.visitor(t).signIn("jack")
	down := errors.New("down")
	for _, tt := range []struct {
		name   string
		h      http.Handler
		fault  error
		cookie string
		key    string
		status int
		code   string
	}{
		{"the store answers", inner.Handler(who), nil, cookie, "", 200, ""},
		{"the store does not answer", inner.Handler(who), down, cookie, "", 503, "unavailable"},
		{"the store does not answer, three guards", middle.Handler(inner.Handler(who)), down, cookie, "", 503, "unavailable"},
		{"a session that has ended", inner.Handler(who), nil, "__Host-gatehouse=no-session", "", 401, "session_invalid"},
		{"no cookie", inner.Handler(who), down, "", "", 401, "no_credential"},
		{"a credential of the inner guard's own", inner.Handler(who), down, cookie, "token1", 200, ""},
		{"an inner guard that does not ask for the session", other.Handler(who), down, cookie, "", 401, "no_credential"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.store.failing(tt.fault)
			var headers []string
			if tt.cookie != "" {
				headers = append(headers, "Cookie", tt.cookie)
			}
			if tt.key != "" {
				headers = append(headers, "X-API-Key", tt.key)
			}
			if got := get(outer.Handler(tt.h), "GET", "https://example.com/x", headers...); got.status != tt.status || tt.code != "" && got.code() != tt.code {
				t.Errorf("%d %s, want %d %s", got.status, got.code(), tt.status, tt.code)
			}
		})
	}
}

// TestInnerOriginsDoNotLoosen: an origin that only the inner guard trusts signs nobody in or out with a carrier of the outer one.
func TestInnerOriginsDoNotLoosen(t *testing.T) {
	const partner = "https://partner.example"
	foreign := []string{"Origin", partner, "Sec-Fetch-Site", "cross-site"}
	for _, tt := range []struct {
		name         string
		outer, inner []string
		status       int
	}{
		{"the inner guard alone", nil, []string{partner}, 403},
		{"the outer guard alone", []string{partner}, nil, 403},
		{"both", []string{partner}, []string{partner}, 200},
		{"neither", nil, nil, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, func(c *guard.Config) { c.Origins = tt.outer })
			inner := makeGuard(t, guard.Config{Carriers: []carrier.Carrier{carrier.NamedHeader("X-API-Key", lookup)}, Origins: tt.inner})
			s.mux.Handle("POST /inner/in", inner.Handler(guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
				return guard.Remember(w, r, gatehouse.Identity{Value: "mallory"})
			})))
			s.mux.Handle("POST /inner/out", inner.Handler(guard.Handle(guard.Forget)))
			for _, path := range []string{"/inner/in", "/inner/out"} {
				got := s.stranger(t, "POST", path, foreign...)
				if got.status != tt.status || tt.status == 403 && (got.code() != "cross_origin" || got.header["Set-Cookie"] != nil) {
					t.Errorf("%s = %d %s, cookies %q; want %d", path, got.status, got.code(), got.header["Set-Cookie"], tt.status)
				}
				if got := s.stranger(t, "POST", path); got.status != 200 {
					t.Errorf("%s of a program = %d, want 200", path, got.status)
				}
			}
		})
	}
}

// TestRequestWithinARequestIsJudged: a handler that makes a request of its own, as those for batches do, and hands it to the guarded handler with the context of the first
// one, must not get past the rules by that.
func TestRequestWithinARequestIsJudged(t *testing.T) {
	table := rules(t, policy.Config{Rules: []policy.Rule{
		{Name: "batch", Methods: []string{"POST"}, Path: "/batch", Allow: policy.Authenticated()},
		{Name: "read", Methods: []string{"GET"}, Path: "/films", Allow: policy.Authenticated()},
		{Name: "cut", Methods: []string{"GET"}, Path: "/cut/films", Allow: policy.Authenticated()},
	}})
	g := makeGuard(t, guard.Config{Rules: table})
	mux := http.NewServeMux()
	h := g.Handler(mux)
	mux.HandleFunc("POST /batch", func(w http.ResponseWriter, r *http.Request) {
		inner, err := http.NewRequestWithContext(r.Context(), r.URL.Query().Get("method"), "https://example.com"+r.URL.Query().Get("path"), nil)
		if err != nil {
			t.Fatal(err)
		}
		h.ServeHTTP(w, inner)
	})
	mux.Handle("/films", who)
	mux.Handle("/admin", who)
	mux.Handle("/cut/", http.StripPrefix("/cut", g.Handler(who)))
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/films", 200}, {"DELETE", "/films", 405}, {"GET", "/admin", 404}, {"GET", "/films/../admin", 400},
	} {
		got := get(h, "POST", "https://example.com/batch?method="+tt.method+"&path="+tt.path, "Authorization", "Token token1")
		if got.status != tt.status || got.reached() != (tt.status == 200) {
			t.Errorf("%s %s in a batch = %d %s, want %d", tt.method, tt.path, got.status, got.code(), tt.status)
		}
	}
	if got := get(h, "GET", "https://example.com/cut/films", "Authorization", "Token token1"); got.body != "jack" {
		t.Errorf("the same request behind a prefix that was cut = %d %s, want jack", got.status, got.code())
	}
}
