package carrier_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/session"
)

// TestSignInAndOut: the life of a log-in, as the carrier sees it.
func TestSignInAndOut(t *testing.T) {
	d := newDesk(t, session.Config{})
	v := d.visit(nil)
	if v.id.Value != "" || !errors.Is(v.err, gatehouse.ErrAnonymous) || len(v.header) != 0 || d.store.reads.Load() != 0 {
		t.Errorf("without a cookie: %+v, %v, %v", v.id, v.err, v.header)
	}
	v = d.visit(nil, d.remember("jack"))
	if got, want := said(v.header), []string{"__Host-gatehouse=V; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax"}; !slices.Equal(got, want) || v.header.Get("Cache-Control") != "no-store" {
		t.Errorf("Remember says %q, %q, want %q", got, v.header.Get("Cache-Control"), want)
	}
	cookie := d.cookie(v)
	v = d.visit(append([]string{"theme=dark"}, cookie...))
	if v.err != nil || v.id.Value != "jack" || v.id.Session == "" || v.id.AuthTime.IsZero() || v.id.ExpiresAt.IsZero() || strings.Contains(cookie[0], v.id.Session) || len(v.header) != 0 {
		t.Errorf("with the cookie: %+v, %v, %v", v.id, v.err, v.header)
	}
	v = d.visit(cookie, d.forget)
	if got, want := said(v.header), []string{"__Host-gatehouse=; Path=/; " + epoch + "Secure; SameSite=Lax"}; !slices.Equal(got, want) {
		t.Errorf("Forget says %q, want %q", got, want)
	}
	if v = d.visit(cookie); !errors.Is(v.err, gatehouse.ErrSession) || v.id.Value != "" || d.records("jack") != 0 {
		t.Errorf("the cookie again, after the log-out: %+v, %v", v.id, v.err)
	}
}

// TestRememberOptions: each kind of cookie honours the options that it can, to the letter, and refuses the others: then nothing is set, no session is started, and the
// one before is still good. Forget repeats what was said when the cookie was set.
func TestRememberOptions(t *testing.T) {
	lax, strict, none := carrier.SameSite(http.SameSiteLaxMode), carrier.SameSite(http.SameSiteStrictMode), carrier.SameSite(http.SameSiteNoneMode)
	kinds := []struct {
		name    string
		opts    []carrier.CookieOption
		begins  string
		path    string
		domain  string
		ends    string // before SameSite
		scoped  bool
		foreign bool
	}{
		{"host", nil, "__Host-gatehouse", "/", "", "HttpOnly; Secure; ", false, false},
		{"scoped", []carrier.CookieOption{carrier.CookieScope("", "")}, "__Secure-gatehouse", "/", "", "HttpOnly; Secure; ", true, false},
		{"scoped to a domain", []carrier.CookieOption{carrier.CookieScope("example.org", "/start")}, "__Secure-gatehouse", "/start", "example.org", "HttpOnly; Secure; ", true, false},
		{"insecure", []carrier.CookieOption{carrier.InsecureCookie()}, "gatehouse", "/", "", "HttpOnly; ", false, false},
		{"insecure, scoped", []carrier.CookieOption{carrier.InsecureCookie(), carrier.CookieScope("", "")}, "gatehouse", "/", "", "HttpOnly; ", true, false},
		{"for other sites", []carrier.CookieOption{carrier.InsecureCrossSiteCookie()}, "__Host-gatehouse", "/", "", "HttpOnly; Secure; ", false, true},
		{"scoped, for other sites", []carrier.CookieOption{carrier.InsecureCrossSiteCookie(), carrier.CookieScope("", "")}, "__Secure-gatehouse", "/", "", "HttpOnly; Secure; ", true, true},
	}
	for _, tt := range []struct {
		name         string
		opts         []carrier.Option
		path, domain string // "": as the carrier has it
		maxAge       string
		sameSite     string
		scope        bool // needs a cookie with a scope
		foreign      bool // needs a cookie for other sites
		never        bool // no cookie honours it
	}{
		{name: "none"},
		{name: "nil", opts: []carrier.Option{nil}},
		{name: "Lax", opts: []carrier.Option{lax}},
		{name: "Strict", opts: []carrier.Option{strict}, sameSite: "Strict"},
		{name: "the last SameSite", opts: []carrier.Option{none, strict}, sameSite: "Strict"},
		{name: "None", opts: []carrier.Option{none}, sameSite: "None", foreign: true},
		{name: "MaxAge", opts: []carrier.Option{carrier.MaxAge(time.Hour)}, maxAge: "Max-Age=3600; "},
		{name: "MaxAge of a second", opts: []carrier.Option{carrier.MaxAge(1999 * time.Millisecond)}, maxAge: "Max-Age=1; "},
		{name: "MaxAge beyond Absolute", opts: []carrier.Option{carrier.MaxAge(1000 * 24 * time.Hour)}},
		{name: "BrowserSession", opts: []carrier.Option{carrier.BrowserSession()}, maxAge: "-"},
		{name: "no BrowserSession", opts: []carrier.Option{carrier.With("BrowserSession", false)}},
		{name: "the Path that all have", opts: []carrier.Option{carrier.Path("/"), carrier.Domain("")}, path: "/", domain: "-"},
		{name: "Path", opts: []carrier.Option{carrier.Path("/app")}, path: "/app", scope: true},
		{name: "Domain", opts: []carrier.Option{carrier.Domain("app.example.org")}, domain: "app.example.org", scope: true},
		{name: "Domain with a dot", opts: []carrier.Option{carrier.Domain(".example.org")}, domain: "example.org", scope: true},
		{name: "all", opts: []carrier.Option{carrier.Path("/a/b"), carrier.Domain("example.org"), strict, carrier.MaxAge(time.Minute)}, path: "/a/b", domain: "example.org",
			sameSite: "Strict", maxAge: "Max-Age=60; ", scope: true},

		{name: "MaxAge of nothing", opts: []carrier.Option{carrier.MaxAge(0)}, never: true},
		{name: "MaxAge of less than a second", opts: []carrier.Option{carrier.MaxAge(999 * time.Millisecond)}, never: true},
		{name: "a negative MaxAge", opts: []carrier.Option{carrier.MaxAge(-time.Hour)}, never: true},
		{name: "MaxAge and BrowserSession", opts: []carrier.Option{carrier.MaxAge(time.Hour), carrier.BrowserSession()}, never: true},
		{name: "MaxAge as a number", opts: []carrier.Option{carrier.With("MaxAge", 3600)}, never: true},
		{name: "the browser's SameSite", opts: []carrier.Option{carrier.SameSite(http.SameSiteDefaultMode)}, never: true},
		{name: "an unknown SameSite", opts: []carrier.Option{carrier.SameSite(17)}, never: true},
		{name: "an empty Path", opts: []carrier.Option{carrier.Path("")}, never: true},
		{name: "a Path that begins nowhere", opts: []carrier.Option{carrier.Path("app")}, never: true},
		{name: "a Path with more", opts: []carrier.Option{carrier.Path("/; HttpOnly=no")}, never: true},
		{name: "a Path with a line end", opts: []carrier.Option{carrier.Path("/\r\nSet-Cookie: x=y")}, never: true},
		{name: "a Domain without a dot", opts: []carrier.Option{carrier.Domain("localhost")}, never: true},
		{name: "a Domain with more", opts: []carrier.Option{carrier.Domain("example.org; Path=/")}, never: true},
		{name: "a Domain that is a URL", opts: []carrier.Option{carrier.Domain("https://example.org/")}, never: true},
		{name: "an option of somebody's own", opts: []carrier.Option{carrier.With("Colour", "red")}, never: true},
		{name: "a good one and another", opts: []carrier.Option{strict, carrier.With("Colour", "red")}, never: true},
	} {
		for _, kind := range kinds {
			t.Run(kind.name+"/"+tt.name, func(t *testing.T) {
				d := newDesk(t, session.Config{}, kind.opts...)
				before := d.signIn("ann")
				if tt.never || tt.scope && !kind.scoped || tt.foreign && !kind.foreign {
					d.refuses(before, tt.opts)
					return
				}
				path, domain, maxAge, sameSite := kind.path, kind.domain, "Max-Age=2592000; ", "Lax"
				if tt.path != "" {
					path = tt.path
				}
				if tt.domain != "" {
					domain = strings.Trim(tt.domain, "-")
				}
				if tt.maxAge != "" {
					maxAge = strings.Trim(tt.maxAge, "-")
				}
				if tt.sameSite != "" {
					sameSite = tt.sameSite
				}
				attributes := "; Path=" + path
				if domain != "" {
					attributes += "; Domain=" + domain
				}
				v := d.visit(nil, d.remember("jack", tt.opts...))
				if got, want := said(v.header), []string{kind.begins + "=V" + attributes + "; " + maxAge + kind.ends + "SameSite=" + sameSite}; !slices.Equal(got, want) {
					t.Errorf("Remember says %q, want %q", got, want)
				}
				cookie := d.cookie(v)
				v = d.visit(cookie, d.forget)
				if got, want := said(v.header), []string{kind.begins + "=" + attributes + "; " + epoch + strings.TrimPrefix(kind.ends, "HttpOnly; ") + "SameSite=" + sameSite}; !slices.Equal(got, want) {
					t.Errorf("Forget says %q, want %q", got, want)
				}
				if d.is(cookie) != "" || d.is(before) != "ann" {
					t.Errorf("after Forget the cookie is %q's, and the other one %q's", d.is(cookie), d.is(before))
				}
			})
		}
	}
}

// refuses reports options that are honoured, or whose refusal leaves something behind.
func (d *desk) refuses(before []string, opts []carrier.Option) {
	d.t.Helper()
	d.visit(before, func(w http.ResponseWriter, r *http.Request) error {
		err := d.Remember(w, r, gatehouse.Identity{Value: "jack"}, opts...)
		if !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, carrier.ErrNotHandedOut) {
			d.t.Errorf("Remember = %v, want an error that wraps errors.ErrUnsupported", err)
		}
		if len(w.Header()) != 0 || d.records("jack") != 0 || session.FromContext(r.Context()).Subject() != "ann" {
			d.t.Errorf("after the refusal: %q, %d sessions of jack, and the request is %q's", w.Header(), d.records("jack"), session.FromContext(r.Context()).Subject())
		}
		return nil
	})
	if got := d.is(before); got != "ann" {
		d.t.Errorf("the cookie before is %q's, want ann's", got)
	}
}

// TestCookieLivesAsLongAsTheSession, rounded to seconds, and not longer than browsers allow.
func TestCookieLivesAsLongAsTheSession(t *testing.T) {
	for _, tt := range []struct {
		c       session.Config
		expires time.Duration // of the identity; 0: never
		opts    []carrier.Option
		want    string
		lives   time.Duration
	}{
		{session.Config{}, 0, nil, "Max-Age=2592000;", 30 * 24 * time.Hour},
		{session.Config{Absolute: 1000 * 24 * time.Hour}, 0, nil, "Max-Age=34560000;", 1000 * 24 * time.Hour},
		{session.Config{Absolute: time.Hour}, 0, []carrier.Option{carrier.MaxAge(2 * time.Hour)}, "Max-Age=3600;", time.Hour},
		{session.Config{}, 0, []carrier.Option{carrier.MaxAge(90*time.Second + 999*time.Millisecond)}, "Max-Age=90;", 90 * time.Second},
		{session.Config{}, 10 * time.Minute, nil, "Max-Age=600;", 10 * time.Minute},
		{session.Config{}, 10 * time.Minute, []carrier.Option{carrier.MaxAge(time.Minute)}, "Max-Age=60;", time.Minute},
		{session.Config{}, 10 * time.Minute, []carrier.Option{carrier.BrowserSession()}, "Path=/; HttpOnly;", 10 * time.Minute},
	} {
		d := newDesk(t, tt.c)
		id := gatehouse.Identity{Value: "jack"}
		if tt.expires > 0 {
			id.ExpiresAt = d.now.Add(tt.expires)
		}
		v := d.visit(nil, func(w http.ResponseWriter, r *http.Request) error { return d.Remember(w, r, id, tt.opts...) })
		if got := said(v.header); len(got) != 1 || !strings.Contains(got[0], tt.want) {
			t.Errorf("%+v: %q, want %s", tt.c.Absolute, got, tt.want)
		}
		if ends := session.FromContext(v.r.Context()).EndsBy(); ends.Sub(d.now).Round(time.Second) != tt.lives {
			t.Errorf("the session ends after %v, want %v", ends.Sub(d.now), tt.lives)
		}
	}
}

// TestRememberRefuses what makes no session, and what comes too late; then no cookie is set.
func TestRememberRefuses(t *testing.T) {
	down := errors.New("the database is down")
	for _, tt := range []struct {
		name  string
		opts  []carrier.CookieOption
		id    gatehouse.Identity
		setup func(*desk, *http.Request) *http.Request
		want  error
	}{
		{"nobody", nil, gatehouse.Identity{}, nil, session.ErrInvalid},
		{"an anonymous identity", nil, gatehouse.Identity{Value: "jack", Kind: gatehouse.KindAnonymous}, nil, session.ErrInvalid},
		{"an expired identity", nil, gatehouse.Identity{Value: "jack", ExpiresAt: time.Unix(1, 0)}, nil, session.ErrInvalid},
		{"an answer that has begun", nil, gatehouse.Identity{Value: "jack"}, func(_ *desk, r *http.Request) *http.Request {
			session.FromContext(r.Context()).Begin()
			return r
		}, session.ErrTooLate},
		{"a store that is down", nil, gatehouse.Identity{Value: "jack"}, func(d *desk, r *http.Request) *http.Request {
			d.store.fault.Store(&down)
			return r
		}, down},
		{"a connection from afar", []carrier.CookieOption{carrier.InsecureCookie()}, gatehouse.Identity{Value: "jack"}, fromAfar, nil},
	} {
		d := newDesk(t, session.Config{}, tt.opts...)
		r := httptest.NewRequest("POST", "/", nil)
		r = r.WithContext(session.NewContext(r.Context(), new(session.Session)))
		if _, err := d.Identify(r); !errors.Is(err, gatehouse.ErrAnonymous) {
			t.Fatal(err)
		}
		if tt.setup != nil {
			r = tt.setup(d, r)
		}
		w := httptest.NewRecorder()
		err := d.Remember(w, r, tt.id)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) || errors.Is(err, gatehouse.ErrCredential) || len(w.Header()) != 0 || d.records("jack") != 0 {
			t.Errorf("%s: Remember = %v, %v, %d sessions; want %v", tt.name, err, w.Header(), d.records("jack"), tt.want)
		}
	}
}

// fromAfar makes r a request on a connection that leaves the machine.
func fromAfar(_ *desk, r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(192, 168, 1, 7), Port: 80}))
}

// TestInsecureCookieFromAfar: nobody is signed in with it, nothing is put with it, and nobody is given one.
func TestInsecureCookieFromAfar(t *testing.T) {
	d := newDesk(t, session.Config{}, carrier.InsecureCookie())
	cookie := d.signIn("jack")
	for name, cookies := range map[string][]string{"jack": cookie, "nobody": nil} {
		r := fromAfar(d, httptest.NewRequest("POST", "/", nil))
		r.Header["Cookie"] = cookies
		r = r.WithContext(session.NewContext(r.Context(), new(session.Session)))
		id, err := d.Identify(r)
		if id.Value != "" || (name == "jack") == errors.Is(err, gatehouse.ErrAnonymous) || errors.Is(err, gatehouse.ErrCredential) {
			t.Errorf("%s from afar = %+v, %v", name, id, err)
		}
		if err := session.Put(session.FromContext(r.Context()), "k", 1); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		if err := d.Keep(w, r, 200); err == nil || len(w.Header()) != 0 || d.records("") != 0 {
			t.Errorf("%s from afar keeps something: %v, %v", name, err, w.Header())
		}
	}
	if d.is(cookie) != "jack" {
		t.Error("the cookie is lost on this machine, too")
	}
}

// TestHostileCookies: whatever a client sends in Cookie, it is nobody, and the store is not asked for what cannot be a secret.
func TestHostileCookies(t *testing.T) {
	d := newDesk(t, session.Config{})
	good := d.signIn("jack")[0]
	name, secret, _ := strings.Cut(good, "=")
	many := strings.Repeat("x=1; ", 4000)
	for _, tt := range []struct {
		what    string
		cookies []string
		want    error
		who     string
	}{
		{"the good one", []string{good}, nil, "jack"},
		{"among 4000", []string{many + good + "; " + many}, nil, "jack"},
		{"in the last of several fields", []string{many, "a=b", good}, nil, "jack"},
		{"quoted", []string{name + `="` + secret + `"`}, gatehouse.ErrSession, ""},
		{"with a space", []string{name + "= " + secret}, gatehouse.ErrSession, ""},
		{"with a space in front of =", []string{name + " =" + secret}, gatehouse.ErrAnonymous, ""},
		{"with one more =", []string{name + "==" + secret}, gatehouse.ErrSession, ""},
		{"a=b=c", []string{name + "=b=c"}, gatehouse.ErrSession, ""},
		{"empty", []string{name + "="}, gatehouse.ErrAnonymous, ""},
		{"the name alone", []string{name}, gatehouse.ErrAnonymous, ""},
		{"twice", []string{good + "; " + good}, gatehouse.ErrDuplicate, ""},
		{"with a bad one", []string{good, name + "=x"}, gatehouse.ErrDuplicate, ""},
		{"with an empty one", []string{good + "; " + name + "="}, gatehouse.ErrDuplicate, ""},
		{"in another case", []string{strings.ToLower(name) + "=" + secret}, gatehouse.ErrAnonymous, ""},
		{"without its prefix", []string{"gatehouse=" + secret}, gatehouse.ErrAnonymous, ""},
		{"with another prefix", []string{"__Secure-gatehouse=" + secret}, gatehouse.ErrAnonymous, ""},
		{"behind a comma", []string{"a=1," + good}, gatehouse.ErrAnonymous, ""},
		{"a megabyte", []string{name + "=" + strings.Repeat("A", 1<<20)}, gatehouse.ErrSession, ""},
		{"bytes", []string{name + "=\xff\xfe\x00\x01"}, gatehouse.ErrSession, ""},
		{"escaped", []string{name + "=%" + secret}, gatehouse.ErrSession, ""},
		{"the right form", []string{name + "=" + strings.Repeat("A", 43)}, gatehouse.ErrSession, ""},
	} {
		reads := d.store.reads.Load()
		v := d.visit(tt.cookies)
		if v.id.Value != tt.who || !errors.Is(v.err, tt.want) {
			t.Errorf("%s: %q, %v, want %q, %v", tt.what, v.id.Value, v.err, tt.who, tt.want)
		}
		wants := int64(0)
		if tt.who != "" || tt.what == "the right form" {
			wants = 1
		}
		if n := d.store.reads.Load() - reads; n != wants {
			t.Errorf("%s costs %d reads, want %d", tt.what, n, wants)
		}
	}
}

// TestMutatedCookies: of ten thousand changes of a good cookie none opens a session. CVE-2026-25748: a malformed cookie was let through.
func TestMutatedCookies(t *testing.T) {
	d := newDesk(t, session.Config{})
	good := d.signIn("jack")[0]
	_, secret, _ := strings.Cut(good, "=")
	tried := 0
	try := func(cookie string) {
		if tried++; cookie == good || cookie == good+";" {
			return
		}
		r := request("Cookie", cookie)
		if id, err := d.Identify(r); err == nil || id.Value != "" {
			t.Fatalf("%q, a change of %q, signs %q in", cookie, good, id.Value)
		}
	}
	for i := range len(secret) {
		at := len(good) - len(secret) + i
		for b := range 256 {
			if b == ' ' && i == 0 || b == ';' && i == 0 {
				continue // the value is another one, or empty: tried below
			}
			try(good[:at] + string([]byte{byte(b)}) + good[at+1:])
		}
		try(good[:at] + good[at+1:])
		try(good[:at])
		for _, added := range []string{"A", "=", "\"", "\n", "%00", ".", " ", ";"} {
			try(good[:at] + added + good[at:])
		}
	}
	for i := range len(good) - len(secret) {
		for b := range 128 {
			try(good[:i] + string([]byte{byte(b)}) + good[i+1:])
		}
	}
	if tried < 10_000 {
		t.Errorf("%d changes tried, want 10000", tried)
	}
}

// TestStoredAttributesOfAnotherTime: a carrier that has become stricter since the session began does not say again what it would refuse now.
func TestStoredAttributesOfAnotherTime(t *testing.T) {
	d := newDesk(t, session.Config{}, carrier.CookieScope("", ""), carrier.InsecureCrossSiteCookie())
	cookie := d.signIn("jack", carrier.Path("/app"), carrier.SameSite(http.SameSiteNoneMode))
	strict := *d
	strict.SessionCarrier = carrier.Session(d.table, carrier.CookieScope("", ""))
	want := []string{"__Secure-gatehouse=; Path=/; " + epoch + "Secure; SameSite=Lax"}
	if got := said(strict.visit(cookie, strict.forget).header); !slices.Equal(got, want) {
		t.Errorf("Forget says %q, want %q", got, want)
	}
}

// TestSessionCarrierDescribesItself, with and without TLS.
func TestSessionCarrierDescribesItself(t *testing.T) {
	safe, plain := newDesk(t, session.Config{}, carrier.CookieName("app1-token")), newDesk(t, session.Config{}, carrier.InsecureCookie())
	if ambient, secure := safe.Ambient(); !ambient || !secure || safe.String() != "cookie __Host-app1-token" || !slices.Equal(safe.CookieNames(), []string{"__Host-app1-token"}) || !slices.Equal(safe.Vary(), []string{"Cookie"}) {
		t.Errorf("%s: %v, %v, %q, %q", safe, ambient, secure, safe.CookieNames(), safe.Vary())
	}
	if ambient, secure := plain.Ambient(); !ambient || secure || plain.String() != "cookie gatehouse" {
		t.Errorf("%s: %v, %v", plain, ambient, secure)
	}
	h := http.Header{"Cookie": {"a=1; __Host-app1-token=x; b=2"}, "Authorization": {"Token x"}}
	if safe.Strip(h); h.Get("Cookie") != "a=1; b=2" || h.Get("Authorization") != "Token x" {
		t.Errorf("Strip leaves %v", h)
	}
	for name, make := range map[string]func(){
		"no table":               func() { carrier.Session(nil) },
		"a prefix twice":         func() { carrier.Session(safe.table, carrier.CookieName("__Host-app1-token")) },
		"SameSite=None alone":    func() { carrier.Session(safe.table, carrier.CookieSameSite(http.SameSiteNoneMode)) },
		"a path that is no path": func() { carrier.Session(safe.table, carrier.CookieScope("", "app")) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if text, _ := recover().(string); !strings.HasPrefix(text, "carrier.Session: ") {
					t.Errorf("Session panics with %q, want what is wrong", text)
				}
			}()
			make()
		})
	}
}
