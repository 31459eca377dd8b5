package guard_test

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/session"
)

// TestNestedMuxInheritsTheGuard: a handler under any mux finds the guard in the context, also behind a prefix that was cut off.
func TestNestedMuxInheritsTheGuard(t *testing.T) {
	s := newSite(t, nil)
	inner, innermost := http.NewServeMux(), http.NewServeMux()
	innermost.Handle("GET /listen", s.guard.RequirePermission("listen", who))
	inner.Handle("/b/", http.StripPrefix("/b", innermost))
	s.mux.Handle("/a/", http.StripPrefix("/a", inner))
	v := s.visitor(t)
	if got := v.do("GET", "/a/b/listen"); got.status != 401 {
		t.Errorf("anonymous = %d", got.status)
	}
	v.signIn("jack")
	if got := v.do("GET", "/a/b/listen"); got.body != "jack" {
		t.Errorf("jack = %d %s", got.status, got.body)
	}
}

// TestOneGuardTwice judges once: what is judged is the request as it came.
func TestOneGuardTwice(t *testing.T) {
	s := newSite(t, nil)
	s.mux.Handle("/twice/", http.StripPrefix("/twice", s.guard.Handler(who)))
	v := s.visitor(t)
	v.signIn("jack")
	gets, resolves := s.store.gets.Load(), s.policy.resolves.Load()
	if got := v.do("GET", "/twice/x"); got.body != "jack" || s.store.gets.Load() != gets+1 || s.policy.resolves.Load() != resolves+1 {
		t.Errorf("%s after %d reads and %d resolutions, want jack after one of each", got.body, s.store.gets.Load()-gets, s.policy.resolves.Load()-resolves)
	}
}

// TestInnerGuardOnlyTightens: what either of two guards refuses is refused, and none makes more of the caller than the other.
func TestInnerGuardOnlyTightens(t *testing.T) {
	everything := &watchedPolicy{grants: map[string]bool{"jack speak": true, "jack listen": true, " speak": true, "ann speak": true}}
	key := carrier.NamedHeader("X-API-Key", lookup)
	open := policy.Config{Default: policy.Anyone(), Roles: policy.RoleList("basic", "admin")}
	for _, tt := range []struct {
		name    string
		inner   guard.Config
		headers []string // beside jack's cookie, if there is a name in who
		who     string
		status  int
		speak   bool
		listen  bool
	}{
		{"the inner policy permits more", guard.Config{Carriers: []carrier.Carrier{key}, Policy: everything}, nil, "jack", 200, false, true},
		{"the inner policy permits less", guard.Config{Carriers: []carrier.Carrier{key}, Policy: users{}}, nil, "jack", 200, false, false},
		{"the inner rules refuse", guard.Config{Carriers: []carrier.Carrier{key}, Policy: everything, Rules: rules(t, policy.Config{})}, nil, "jack", 404, false, false},
		{"the inner rules want a role", guard.Config{Carriers: []carrier.Carrier{key}, Policy: everything,
			Rules: rules(t, policy.Config{Default: policy.Role("admin"), Roles: policy.RoleList("admin")})}, nil, "jack", 403, false, false},
		{"the inner rules let anybody in", guard.Config{Carriers: []carrier.Carrier{key}, Policy: everything, Rules: rules(t, open)}, nil, "jack", 200, false, true},
		{"the same caller by a key", guard.Config{Carriers: []carrier.Carrier{key}, Policy: everything}, []string{"X-API-Key", "token1"}, "jack", 200, false, true},
		{"another caller by a key", guard.Config{Carriers: []carrier.Carrier{key}, Policy: everything}, []string{"X-API-Key", "admin"}, "jack", 400, false, false},
		{"a key that nobody knows", guard.Config{Carriers: []carrier.Carrier{key}, Policy: everything}, []string{"X-API-Key", "nope"}, "jack", 200, false, false},
		{"the inner policy does not know the caller", guard.Config{Carriers: []carrier.Carrier{key}, Policy: &watchedPolicy{gone: gone("jack")},
			Rules: rules(t, policy.Config{Default: policy.Authenticated()})}, nil, "jack", 401, false, false},
		{"nobody", guard.Config{Carriers: []carrier.Carrier{key}, Policy: everything}, nil, "", 200, true, false},
		{"whom only the inner guard knows", guard.Config{Carriers: []carrier.Carrier{key}, Policy: everything}, []string{"X-API-Key", "admin"}, "", 200, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, nil)
			var speak, listen bool
			s.mux.Handle("/inner", makeGuard(t, tt.inner).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				speak, _ = guard.Permits(r, "speak", nil)
				listen, _ = guard.Permits(r, "listen", nil)
			})))
			v := s.visitor(t)
			if tt.who != "" {
				v.signIn(tt.who)
			}
			got := v.do("GET", "/inner", tt.headers...)
			if got.status != tt.status || speak != tt.speak || listen != tt.listen {
				t.Errorf("%d, speak %v, listen %v; want %d, %v, %v", got.status, speak, listen, tt.status, tt.speak, tt.listen)
			}
		})
	}
}

func gone(name string) *sync.Map {
	var m sync.Map
	m.Store(name, true)
	return &m
}

// TestInnerGuardGivesNoRoles: the caller has no more roles behind two guards than behind the first.
func TestInnerGuardGivesNoRoles(t *testing.T) {
	promotes := users{resolve: func(_ context.Context, id gatehouse.Identity) (gatehouse.Principal, error) {
		p := gatehouse.PrincipalOf(id)
		p.Roles, p.Scopes = append([]string{"admin"}, p.Roles...), []string{"everything"}
		return p, nil
	}}
	s := newSite(t, nil)
	inner := makeGuard(t, guard.Config{Carriers: []carrier.Carrier{carrier.NamedHeader("X-API-Key", lookup)}, Policy: promotes, Roles: policy.RoleList("basic", "admin")})
	s.mux.Handle("GET /admin", inner.Handler(inner.RequireRole("admin", who)))
	s.mux.Handle("GET /basic", inner.Handler(inner.RequireRole("basic", who)))
	v := s.visitor(t)
	v.signIn("jack&role=basic")
	if got := v.do("GET", "/admin"); got.status != 403 {
		t.Errorf("/admin = %d %s, want 403", got.status, got.body)
	}
	if got := v.do("GET", "/basic"); got.body != "jack" {
		t.Errorf("/basic = %d %s, want jack", got.status, got.body)
	}
}

// TestSessionsOfNestedGuards: a program may have several kinds of sessions; each table finds its own.
func TestSessionsOfNestedGuards(t *testing.T) {
	s, shop := newSite(t, nil), newSite(t, nil)
	inner := makeGuard(t, guard.Config{Carriers: []carrier.Carrier{carrier.Session(shop.table, carrier.CookieName("shop"))}})
	s.mux.Handle("GET /shop", inner.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if session.FromContext(r.Context()) != shop.table.FromContext(r.Context()) || s.table.FromContext(r.Context()).Subject() != "jack" {
			t.Error("a table does not find its session")
		}
		put(t, r, "cart", "full")
	})))
	v := s.visitor(t)
	v.signIn("jack")
	if got := v.do("GET", "/shop"); got.status != 200 || len(got.header["Set-Cookie"]) != 1 || got.header.Get("Set-Cookie")[:11] != "__Host-shop" {
		t.Errorf("/shop = %d, cookies %q", got.status, got.header["Set-Cookie"])
	}
}

// TestNestedGuardsWithOneCarrier: a carrier that two guards share opens and keeps the session once.
func TestNestedGuardsWithOneCarrier(t *testing.T) {
	var shared carrier.Carrier
	s := newSite(t, func(c *guard.Config) { shared = c.Carriers[0] })
	s.addCart(t)
	inner := makeGuard(t, guard.Config{Carriers: []carrier.Carrier{shared}, Policy: s.policy})
	s.mux.Handle("GET /put", inner.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { put(t, r, "cart", "full") })))
	v := s.visitor(t)
	if got := v.do("GET", "/put"); got.status != 200 || len(got.header["Set-Cookie"]) != 1 {
		t.Errorf("/put = %d %s, cookies %q", got.status, got.body, got.header["Set-Cookie"])
	}
	if got := v.do("GET", "/cart"); got.body != "full" {
		t.Errorf("/cart = %q", got.body)
	}
}

// An embedding carrier is a program's own, over the one of sessions.
type embedding struct{ *carrier.SessionCarrier }

// TestCarrierThatEmbedsTheSession keeps data as the one that it embeds does.
func TestCarrierThatEmbedsTheSession(t *testing.T) {
	s := newSite(t, func(c *guard.Config) { c.Carriers[0] = embedding{c.Carriers[0].(*carrier.SessionCarrier)} })
	s.addCart(t)
	s.mux.HandleFunc("GET /put", func(w http.ResponseWriter, r *http.Request) { put(t, r, "cart", "full") })
	v := s.visitor(t)
	v.signIn("jack")
	v.do("GET", "/put")
	if got := v.do("GET", "/cart"); got.body != "full" {
		t.Errorf("/cart = %q", got.body)
	}
}

// TestTwoSessionCarriers in one guard are refused: a request has one session there.
func TestTwoSessionCarriers(t *testing.T) {
	s := newSite(t, nil)
	_, err := guard.New(guard.Config{Policy: users{}, Carriers: []carrier.Carrier{carrier.Session(s.table), carrier.Session(s.table, carrier.CookieName("b"))}})
	if err == nil {
		t.Error("New takes two session carriers")
	}
	if _, err := guard.New(guard.Config{Policy: users{}, Carriers: []carrier.Carrier{carrier.Session(s.table)}, Roles: policy.RoleList("a"), Rules: rules(t, policy.Config{})}); err == nil {
		t.Error("New takes roles beside rules")
	}
	if _, err := guard.New(guard.Config{Policy: users{}, Carriers: []carrier.Carrier{carrier.Session(s.table)}, Roles: policy.RoleList("a", "a")}); err == nil {
		t.Error("New takes a role twice")
	}
}
