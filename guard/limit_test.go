package guard_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// A budget is a limiter that stops the addresses in it and remembers whom it counted.
type budget struct {
	stopped map[string]time.Duration
	counted []string
	asked   []string
}

func (b *budget) Blocked(addr netip.Addr) (time.Duration, bool) {
	b.asked = append(b.asked, addr.String())
	wait, ok := b.stopped[addr.String()]
	return wait, ok
}

func (b *budget) Refused(addr netip.Addr) { b.counted = append(b.counted, addr.String()) }

// TestLimiterStopsBeforeTheCarriers: an address without budget is not looked at any more, good token or not.
func TestLimiterStopsBeforeTheCarriers(t *testing.T) {
	looked := 0
	find := func(ctx context.Context, token string) (gatehouse.Identity, error) {
		looked++
		return lookup(ctx, token)
	}
	b := &budget{stopped: map[string]time.Duration{"192.0.2.1": 90*time.Second + 1}}
	h := makeGuard(t, guard.Config{Rules: everyRule(t), Limiter: b, Carriers: []carrier.Carrier{carrier.Header("Token", find)}}).Handler(who)
	for _, token := range []string{"token1", "nope", ""} {
		for _, path := range []string{"/known", "/public", "/nope"} {
			got := get(h, "GET", path, "Authorization", "Token "+token) // httptest's requests come from 192.0.2.1
			if got.status != 429 || got.code() != "too_many_requests" || got.header.Get("Retry-After") != "91" || got.reached() {
				t.Errorf("%s with %q = %d %s after %q, want 429 after 91", path, token, got.status, got.code(), got.header.Get("Retry-After"))
			}
		}
	}
	if looked > 0 || len(b.counted) > 0 {
		t.Errorf("a stopped address was looked up %d times and counted %d times more", looked, len(b.counted))
	}
	delete(b.stopped, "192.0.2.1")
	if got := get(h, "GET", "/known", "Authorization", "Token token1"); got.status != 200 || looked != 1 {
		t.Errorf("with budget again = %d after %d look-ups", got.status, looked)
	}
}

// TestWhatCountsAsRefused: what a client is refused for its own doing; not what a page with broken links does, nor what we could not check.
func TestWhatCountsAsRefused(t *testing.T) {
	for _, tt := range []struct {
		name, method, target string
		auth                 []string
		code                 problem.Code
		counts               bool
	}{
		{"nobody", "GET", "/known", nil, problem.NoCredential, true},
		{"another scheme", "GET", "/known", []string{"Bearer x"}, problem.UnsupportedScheme, true},
		{"an unknown token", "GET", "/known", []string{"Token nope"}, problem.UnknownToken, true},
		{"an expired token", "GET", "/known", []string{"Token expired"}, problem.ExpiredToken, true},
		{"a malformed header", "GET", "/known", []string{"Token"}, problem.MalformedCredential, true},
		{"two headers", "GET", "/known", []string{"Token token1", "Token token1"}, problem.DuplicateCredential, true},
		{"not permitted", "GET", "/admin", []string{"Token token1"}, problem.Forbidden, true},
		{"a scope missing", "GET", "/scope", []string{"Token token2"}, problem.InsufficientScope, true},
		{"a wrong target", "GET", "/a%2Fb", []string{"Token token1"}, problem.BadTarget, true},
		{"an unknown path, nobody", "GET", "/nope", nil, problem.NoCredential, true},
		{"an unknown path", "GET", "/nope", []string{"Token token1"}, problem.NotFound, false},
		{"an unknown method", "PUT", "/get", []string{"Token token1"}, problem.MethodNotAllowed, false},
		{"a strange method", "TRACE", "/get", nil, problem.MethodNotAllowed, false},
		{"our store is down", "GET", "/known", []string{"Token down"}, problem.Unavailable, false},
		{"allowed", "GET", "/known", []string{"Token token1"}, "", false},
		{"public", "GET", "/public", nil, "", false},
		{"public with an unknown token, which may be a guess", "GET", "/public", []string{"Token nope"}, "", true},
		{"public with an expired token", "GET", "/public", []string{"Token expired"}, "", false},
		{"public while our store is down", "GET", "/public", []string{"Token down"}, "", false},
		{"public with a good token", "GET", "/public", []string{"Token token1"}, "", false},
	} {
		b := &budget{}
		g := makeGuard(t, guard.Config{Rules: everyRule(t), Limiter: b, Carriers: []carrier.Carrier{carrier.Header("Token", func(ctx context.Context, token string) (gatehouse.Identity, error) {
			switch token {
			case "down":
				return gatehouse.Identity{}, errDown
			case "expired":
				return gatehouse.Identity{}, gatehouse.ErrExpired
			}
			return lookup(ctx, token)
		})}})
		r := httptest.NewRequest(tt.method, tt.target, nil)
		if tt.auth != nil {
			r.Header["Authorization"] = tt.auth
		}
		v := g.Judge(r)
		if v.Reason() != tt.code || slices.Contains(b.counted, "192.0.2.1") != tt.counts || len(b.counted) > 1 {
			t.Errorf("%s = %q, counted %q, want %q, counted: %v", tt.name, v.Reason(), b.counted, tt.code, tt.counts)
		}
		if b.counted = nil; tt.code != "" {
			g.JudgeAs(r, gatehouse.Identity{})
			if len(b.counted) > 0 {
				t.Errorf("%s: an explanation was counted", tt.name)
			}
		}
	}
}

// TestAddresses: IPv4 in its own form, no zones, and no address is no reason to stop anybody.
func TestAddresses(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:1234": "192.0.2.1", "[::ffff:192.0.2.1]:1234": "192.0.2.1", "[2001:db8::1]:443": "2001:db8::1", "[fe80::1%eth0]:80": "fe80::1",
		"": "invalid IP", "@": "invalid IP", "192.0.2.1": "invalid IP", "example.org:80": "invalid IP", "pipe": "invalid IP",
	} {
		r := httptest.NewRequest("GET", "/known", nil)
		r.RemoteAddr = remote
		if got := guard.PeerAddr(r).String(); got != want {
			t.Errorf("PeerAddr(%q) = %s, want %s", remote, got, want)
		}
		b := &budget{stopped: map[string]time.Duration{"invalid IP": time.Hour}}
		v := makeGuard(t, guard.Config{Rules: everyRule(t), Limiter: b}).Judge(r)
		if v.Reason() != problem.NoCredential || want == "invalid IP" && len(b.asked)+len(b.counted) > 0 {
			t.Errorf("from %q = %s, limiter asked about %q, counted %q", remote, v.Reason(), b.asked, b.counted)
		}
	}
}

// TestClientAddrCounts: behind a trusted proxy the budget is the client's, and no header is believed without that hook.
func TestClientAddrCounts(t *testing.T) {
	b := &budget{}
	client := netip.MustParseAddr("203.0.113.9")
	g := makeGuard(t, guard.Config{Rules: everyRule(t), Limiter: b, ClientAddr: func(*http.Request) netip.Addr { return client }})
	g.Judge(httptest.NewRequest("GET", "/known", nil))
	if !slices.Equal(b.counted, []string{"203.0.113.9"}) || !slices.Equal(b.asked, []string{"203.0.113.9"}) {
		t.Errorf("asked about %q, counted %q, want the client", b.asked, b.counted)
	}
	b = &budget{}
	r := httptest.NewRequest("GET", "/known", nil)
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	r.Header.Set("Forwarded", "for=203.0.113.9")
	r.Header.Set("X-Real-Ip", "203.0.113.9")
	makeGuard(t, guard.Config{Rules: everyRule(t), Limiter: b}).Judge(r)
	if !slices.Equal(b.counted, []string{"192.0.2.1"}) {
		t.Errorf("without a hook the budget of %q was touched, want the peer's", b.counted)
	}
}
