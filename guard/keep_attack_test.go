package guard_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/session"
)

// TestPutAtTheEndOfAStream: the usual end of a stream is that the client goes away. What the handler puts then is stored.
func TestPutAtTheEndOfAStream(t *testing.T) {
	s := newSite(t, nil)
	s.addCart(t)
	s.mux.HandleFunc("GET /stream", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "event")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
		put(t, r, "cart", "seen until 7")
	})
	v := s.visitor(t)
	v.signIn("jack")
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", s.URL+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := v.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	leave()
	resp.Body.Close()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if v.do("GET", "/cart").body == "seen until 7" {
			return
		}
	}
	t.Errorf("what was put when the client had gone is lost: %s", s.log)
}

// TestAnswerAfterAHijackThatFails is one like any other: over HTTP/2 there is nothing to take over, and handlers fall back.
func TestAnswerAfterAHijackThatFails(t *testing.T) {
	s := newSite(t, nil)
	s.addCart(t)
	s.mux.HandleFunc("GET /socket", func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := w.(http.Hijacker).Hijack(); err == nil {
			t.Error("a recorder can be hijacked")
		}
		put(t, r, "cart", r.URL.Query().Get("cart"))
		if r.URL.Query().Has("fail") {
			http.Error(w, "no sockets here", http.StatusInternalServerError)
			return
		}
		http.Redirect(w, r, "/cart", http.StatusSeeOther)
	})
	h := s.guard.Handler(s.mux)
	if got := get(h, "GET", "https://example.com/socket?cart=full"); got.status != 303 || len(got.header["Set-Cookie"]) != 1 {
		t.Errorf("a visitor = %d, cookies %q; want 303 and a new session", got.status, got.header["Set-Cookie"])
	}
	cookie := s.visitor(t).signIn("jack")
	if got := get(h, "GET", "https://example.com/socket?cart=full&fail", "Cookie", cookie); got.status != 500 {
		t.Errorf("a server error = %d, want 500", got.status)
	}
	if got := get(h, "GET", "https://example.com/cart", "Cookie", cookie); got.body != "" {
		t.Errorf("the server error has stored %q", got.body)
	}
}

// TestVisitorsSessionsAndOtherSites: a browser leaves the cookie out of a form that another site posts, but takes the cookie of the answer. A handler that puts something
// must not sign its visitors out by that, into a session that the other site has filled.
func TestVisitorsSessionsAndOtherSites(t *testing.T) {
	evil := []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Origin", "https://evil.example"}
	friend := []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://app.example.org"}
	s := newSite(t, func(c *guard.Config) { c.Origins = []string{"https://app.example.org"} })
	s.addCart(t)
	s.mux.HandleFunc("/put", func(w http.ResponseWriter, r *http.Request) {
		put(t, r, "cart", r.Method)
		http.Redirect(w, r, "/cart", http.StatusSeeOther)
	})
	records := s.store.records.Load()
	got := s.stranger(t, "POST", "/put", evil...)
	if got.code() != "cross_origin" || got.header["Set-Cookie"] != nil || got.header["Location"] != nil || s.store.records.Load() != records {
		t.Errorf("another site = %d %s, cookies %q, Location %q", got.status, got.code(), got.header["Set-Cookie"], got.header["Location"])
	}
	if got := s.stranger(t, "POST", "/put", "Origin", "https://evil.example"); got.code() != "cross_origin" {
		t.Errorf("another site, an old browser = %d %s", got.status, got.code())
	}
	for name, headers := range map[string][]string{"a program": nil, "the site itself": {"Sec-Fetch-Site", "same-origin"}, "a trusted origin": friend} {
		if got := s.stranger(t, "POST", "/put", headers...); got.status != 303 || len(got.header["Set-Cookie"]) != 1 {
			t.Errorf("%s = %d, cookies %q; want a session", name, got.status, got.header["Set-Cookie"])
		}
	}
	v := s.visitor(t)
	v.do("GET", "/put")
	if got := v.do("POST", "/put", evil...); got.code() != "cross_origin" {
		t.Errorf("another site, with the visitor's cookie = %d %s", got.status, got.code())
	}
	if got := v.do("GET", "/cart"); got.body != "GET" {
		t.Errorf("the visitor's cart = %q, want what the visitor has put", got.body)
	}
	if got := s.stranger(t, "POST", "/put", append(evil, "Authorization", "Token token1")...); got.status != 303 {
		t.Errorf("with a token, which no other site can send = %d %s", got.status, got.code())
	}
	s.mux.HandleFunc("POST /look", func(_ http.ResponseWriter, r *http.Request) { session.FromContext(r.Context()).Keys() })
	if got := s.stranger(t, "POST", "/look", evil...); got.status != 200 {
		t.Errorf("without a change = %d %s: there is nothing to misuse", got.status, got.code())
	}
}

// TestSigningInFromAPageWithoutTLS: whoever can change what comes over plain http could post the form there. Old browsers do not say more than the origin, and where TLS ends in
// front, the guard sees no TLS.
func TestSigningInFromAPageWithoutTLS(t *testing.T) {
	s := newSite(t, nil)
	loopback := newSite(t, func(c *guard.Config) { c.Carriers = nil })
	loopback.guard = makeGuard(t, guard.Config{Carriers: []carrier.Carrier{carrier.Session(loopback.table, carrier.InsecureCookie())}})
	for _, tt := range []struct {
		name    string
		site    *site
		headers []string
		status  int
	}{
		{"plain http, an old browser", s, []string{"Origin", "http://example.com"}, 403},
		{"https, an old browser", s, []string{"Origin", "https://example.com"}, 200},
		{"a browser that has compared the schemes", s, []string{"Origin", "http://example.com", "Sec-Fetch-Site", "same-origin"}, 200},
		{"a browser that has compared the schemes, and they differ", s, []string{"Origin", "http://example.com", "Sec-Fetch-Site", "cross-site"}, 403},
		{"a cookie for plain http", loopback, []string{"Origin", "http://example.com"}, 200},
	} {
		if got := get(tt.site.guard.Handler(tt.site.mux), "POST", "http://example.com/in?who=mallory", tt.headers...); got.status != tt.status {
			t.Errorf("%s = %d %s, want %d", tt.name, got.status, got.code(), tt.status)
		}
	}
}

// TestTokenBesideADeadSession: two credentials are refused; but the cookie of a session that has ended, which no script can leave out, is taken away by it.
func TestTokenBesideADeadSession(t *testing.T) {
	s := newSite(t, nil)
	v := s.visitor(t)
	cookie := v.signIn("jack")
	if got := s.stranger(t, "GET", "/who", "Cookie", cookie, "Authorization", "Token token1"); got.status != 400 || got.header["Set-Cookie"] != nil {
		t.Errorf("two good credentials = %d, cookies %q; want 400 and none", got.status, got.header["Set-Cookie"])
	}
	v.do("POST", "/out")
	for _, token := range []string{"Token token1", "Token nope"} {
		got := s.stranger(t, "GET", "/who", "Cookie", cookie, "Authorization", token)
		if got.status != 400 || got.code() != "duplicate_credential" || len(got.header["Set-Cookie"]) != 1 {
			t.Errorf("%s and a dead session = %d %s, cookies %q; want 400, and the cookie taken away", token, got.status, got.code(), got.header["Set-Cookie"])
		}
	}
}

// A jar is a carrier of a program's own over a cookie. It says nothing of what browsers do.
type jar struct{ hook }

// A said jar says it.
type said struct {
	jar
	ambient bool
}

func (s said) Ambient() (ambient, secure bool) { return s.ambient, false }

// TestCarrierThatDoesNotSay: a program that writes a carrier over a cookie, and knows nothing of other sites, is defended all the same.
func TestCarrierThatDoesNotSay(t *testing.T) {
	mine := jar{func(r *http.Request) (gatehouse.Identity, error) {
		c, err := r.Cookie("mine")
		if err != nil {
			return gatehouse.Identity{}, gatehouse.ErrAnonymous
		}
		return lookup(r.Context(), c.Value)
	}}
	for _, tt := range []struct {
		name    string
		carrier carrier.Carrier
		foreign int
	}{{"it does not say", mine, 403}, {"it says yes", said{mine, true}, 403}, {"it says no", said{mine, false}, 200}} {
		h := makeGuard(t, guard.Config{Carriers: []carrier.Carrier{tt.carrier}}).Handler(who)
		if got := get(h, "POST", "https://example.com/", "Cookie", "mine=token1", "Sec-Fetch-Site", "cross-site"); got.status != tt.foreign {
			t.Errorf("%s: another site = %d %s, want %d", tt.name, got.status, got.code(), tt.foreign)
		}
		for _, headers := range [][]string{nil, {"Sec-Fetch-Site", "same-origin"}} {
			if got := get(h, "POST", "https://example.com/", append(headers, "Cookie", "mine=token1")...); got.body != "jack" {
				t.Errorf("%s: %q = %d %s, want jack", tt.name, headers, got.status, got.code())
			}
		}
	}
}
