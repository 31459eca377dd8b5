package carrier_test

import (
	"errors"
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

// TestForget: what is taken away, and when.
func TestForget(t *testing.T) {
	const cleared = "__Host-gatehouse=; Path=/; " + epoch + "Secure; SameSite=Lax"
	d := newDesk(t, session.Config{})
	visitor := d.cookie(d.visit(nil, d.put("cart", 1)))
	jack := d.signIn("jack")
	for _, tt := range []struct {
		name    string
		cookies []string
		acts    []act
		want    []string
	}{
		{"nobody", nil, []act{d.forget}, nil},
		{"an unknown cookie", []string{d.name + "=" + strings.Repeat("A", 43)}, []act{d.forget}, []string{cleared}},
		{"garbage", []string{d.name + "=x"}, []act{d.forget}, []string{cleared}},
		{"two cookies", []string{d.name + "=x; " + d.name + "=y"}, []act{d.forget}, []string{cleared}},
		{"a visitor", visitor, []act{d.forget}, []string{cleared}},
		{"a visitor again", visitor, []act{d.forget, d.forget}, []string{cleared}},
		{"what was put before is not kept", nil, []act{d.put("cart", 1), d.forget}, nil},
		{"what was put before is not kept, signed in", jack, []act{d.put("cart", 1), d.forget}, []string{cleared}},
		{"what was put after is", jack, []act{d.forget, d.put("message", "bye")}, []string{"__Host-gatehouse=V; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax"}},
		{"who has just signed in", nil, []act{d.remember("jack"), d.forget}, []string{cleared}},
		{"signing in after it", nil, []act{d.forget, d.remember("ann")}, []string{"__Host-gatehouse=V; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax"}},
	} {
		if got := said(d.visit(tt.cookies, tt.acts...).header); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if d.records("jack") != 0 || d.records("ann") != 1 || d.records("") != 1 {
		t.Errorf("%d sessions of jack, %d of ann, %d of visitors; want none, one, and the one with the message", d.records("jack"), d.records("ann"), d.records(""))
	}
}

// TestForgetFails: where the session could not be deleted, or nothing can be said to the browser any more, nothing looks like a log-out.
func TestForgetFails(t *testing.T) {
	d := newDesk(t, session.Config{})
	cookie := d.signIn("jack")
	down := errors.New("the database is down")
	v := d.visit(cookie, func(w http.ResponseWriter, r *http.Request) error {
		d.store.fault.Store(&down)
		if err := d.Forget(w, r); !errors.Is(err, down) || errors.Is(err, gatehouse.ErrCredential) {
			t.Errorf("Forget = %v, want %v", err, down)
		}
		d.store.fault.Store(nil)
		return nil
	}, func(w http.ResponseWriter, r *http.Request) error {
		session.FromContext(r.Context()).Begin()
		if err := d.Forget(w, r); !errors.Is(err, session.ErrTooLate) {
			t.Errorf("Forget after the answer has begun = %v", err)
		}
		return nil
	})
	if v.header["Set-Cookie"] != nil || d.is(cookie) != "jack" {
		t.Errorf("after log-outs that failed: %q, and the cookie is %q's", said(v.header), d.is(cookie))
	}
}

// TestWithoutAGuard: a handler that no guard stands before, or a guard that has not asked this carrier, may use it all the same: the session that the request came
// with is ended.
func TestWithoutAGuard(t *testing.T) {
	d := newDesk(t, session.Config{})
	bare := func(cookies []string) (*httptest.ResponseRecorder, *http.Request) {
		r := httptest.NewRequest("POST", "/", nil)
		r.Header["Cookie"] = cookies
		return httptest.NewRecorder(), r
	}
	before := d.signIn("jack")
	w, r := bare(before)
	if err := d.Remember(w, r, gatehouse.Identity{Value: "jack"}); err != nil {
		t.Fatal(err)
	}
	after := d.cookie(visit{header: w.Header()})
	if d.is(before) != "" || d.is(after) != "jack" || d.records("jack") != 1 {
		t.Errorf("after Remember the cookie before is %q's, the new one %q's, and there are %d sessions", d.is(before), d.is(after), d.records("jack"))
	}
	w, r = bare(after)
	if err := d.Forget(w, r); err != nil || d.is(after) != "" || d.records("jack") != 0 || len(w.Header()["Set-Cookie"]) != 1 {
		t.Errorf("after Forget = %v the cookie is %q's: %q", err, d.is(after), said(w.Header()))
	}
	w, r = bare(d.signIn("jack"))
	down := errors.New("the database is down")
	d.store.fault.Store(&down)
	if err := d.Remember(w, r, gatehouse.Identity{Value: "ann"}); !errors.Is(err, down) {
		t.Errorf("Remember = %v, want %v", err, down)
	}
	if err := d.Forget(w, r); !errors.Is(err, down) || len(w.Header()) != 0 {
		t.Errorf("Forget = %v, want %v", err, down)
	}
}

// TestNestedSessions: behind two guards with two kinds of sessions each carrier ends its own, whichever is nearer.
func TestNestedSessions(t *testing.T) {
	outer, inner := newDesk(t, session.Config{}), newDesk(t, session.Config{}, carrier.CookieName("shop"))
	cookies := []string{outer.signIn("jack")[0] + "; " + inner.signIn("jack@shop")[0]}
	nested := func() (*httptest.ResponseRecorder, *http.Request) {
		r := httptest.NewRequest("POST", "/", nil)
		r.Header["Cookie"] = cookies
		for _, d := range []*desk{outer, inner} {
			r = r.WithContext(session.NewContext(r.Context(), new(session.Session)))
			if _, err := d.Identify(r); err != nil {
				t.Fatal(err)
			}
		}
		return httptest.NewRecorder(), r
	}
	w, r := nested()
	if err := outer.Remember(w, r, gatehouse.Identity{Value: "ann"}); err != nil {
		t.Fatal(err)
	}
	if outer.records("jack") != 0 || outer.records("ann") != 1 || inner.records("jack@shop") != 1 || session.FromContext(r.Context()).Subject() != "jack@shop" {
		t.Errorf("after the outer Remember: %d of jack, %d of ann, %d of the shop", outer.records("jack"), outer.records("ann"), inner.records("jack@shop"))
	}
	cookies = []string{outer.cookie(visit{header: w.Header()})[0] + "; " + strings.SplitAfter(cookies[0], "; ")[1]}
	w, r = nested()
	if err := session.Put(outer.table.FromContext(r.Context()), "k", 1); err != nil {
		t.Fatal(err)
	}
	if err := outer.Keep(w, r, 200); err != nil || len(w.Header()["Set-Cookie"]) != 1 || !strings.HasPrefix(w.Header().Get("Set-Cookie"), outer.name) {
		t.Errorf("the outer Keep = %v, %q", err, said(w.Header()))
	}
	if err := inner.Keep(w, r, 200); err != nil || len(w.Header()["Set-Cookie"]) != 1 {
		t.Errorf("the inner Keep = %v, %q", err, said(w.Header()))
	}
	for _, d := range []*desk{inner, outer} { // as guard.Forget does
		if err := d.Forget(w, r); err != nil {
			t.Fatal(err)
		}
	}
	if outer.records("ann") != 0 || inner.records("jack@shop") != 0 || len(w.Header()["Set-Cookie"]) != 2 {
		t.Errorf("after Forget: %d sessions of ann, %d of the shop; %q", outer.records("ann"), inner.records("jack@shop"), said(w.Header()))
	}
	cookies = []string{outer.signIn("ann")[0] + "; " + inner.signIn("jack@shop")[0]}
	w, r = nested()
	if err := outer.Forget(w, r); err != nil || outer.records("ann") != 0 || inner.records("jack@shop") != 1 {
		t.Errorf("after the outer Forget = %v: %d sessions of ann, %d of the shop", err, outer.records("ann"), inner.records("jack@shop"))
	}
}

// TestRememberTwice: one answer gives one cookie, the last, and there is one session.
func TestRememberTwice(t *testing.T) {
	d := newDesk(t, session.Config{}, carrier.CookieScope("", ""))
	v := d.visit(nil, func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Add("Set-Cookie", "theme=dark")
		return nil
	}, d.remember("jack"), d.remember("ann"), d.remember("jack", carrier.SameSite(http.SameSiteStrictMode)))
	want := []string{"theme=dark", "__Secure-gatehouse=V; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Strict"}
	if got := said(v.header); !slices.Equal(got, want) || d.is(d.cookie(v)) != "jack" || d.records("jack") != 1 || d.records("ann") != 0 {
		t.Errorf("%q, want %q; %d sessions of jack, %d of ann", got, want, d.records("jack"), d.records("ann"))
	}
}

// TestAnotherPath: a cookie with another path is another one to browsers, which would send both. The one before is taken away, whatever else the handler does.
func TestAnotherPath(t *testing.T) {
	clear := func(path string) string {
		return "__Secure-gatehouse=; Path=" + path + "; " + epoch + "Secure; SameSite=Lax"
	}
	set := func(path string) string {
		return "__Secure-gatehouse=V; Path=" + path + "; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax"
	}
	for _, tt := range []struct {
		name string
		acts func(*desk) []act
		want []string
	}{
		{"Remember", func(d *desk) []act { return []act{d.remember("jack")} }, []string{clear("/app"), set("/")}},
		{"Remember twice", func(d *desk) []act { return []act{d.remember("jack", carrier.Path("/x")), d.remember("jack")} }, []string{clear("/app"), clear("/x"), set("/")}},
		{"Remember and Put", func(d *desk) []act { return []act{d.remember("jack"), d.put("k", 1)} }, []string{clear("/app"), set("/")}},
		{"Remember as it was", func(d *desk) []act { return []act{d.remember("jack", carrier.Path("/app"))} }, []string{set("/app")}},
		{"Put", func(d *desk) []act { return []act{d.put("k", 1)} }, []string{set("/app")}},
		{"Forget", func(d *desk) []act { return []act{d.forget} }, []string{clear("/app")}},
		{"Forget and Put", func(d *desk) []act { return []act{d.forget, d.put("k", 1)} }, []string{clear("/app"), set("/")}},
		{"Forget and Remember", func(d *desk) []act { return []act{d.forget, d.remember("ann")} }, []string{clear("/app"), set("/")}},
		{"Remember and Forget", func(d *desk) []act { return []act{d.remember("ann"), d.forget} }, []string{clear("/app"), clear("/")}},
	} {
		d := newDesk(t, session.Config{}, carrier.CookieScope("", ""))
		cookie := d.signIn("jack", carrier.Path("/app"))
		if got := said(d.visit(cookie, tt.acts(d)...).header); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestKeep: what is stored, and which cookie the answer has then.
func TestKeep(t *testing.T) {
	const given = "__Host-gatehouse=V; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax"
	d := newDesk(t, session.Config{})
	v := d.visit(nil, d.put("cart", "full"))
	if got := said(v.header); !slices.Equal(got, []string{given}) || v.header.Get("Cache-Control") != "no-store" || d.records("") != 1 {
		t.Errorf("a visitor's first value: %q, %d sessions", got, d.records(""))
	}
	visitor := d.cookie(v)
	if v := d.visit(visitor); !errors.Is(v.err, gatehouse.ErrAnonymous) || len(v.header) != 0 {
		t.Errorf("a visitor who comes back = %v, %v; want nobody, and nothing said", v.err, v.header)
	}

	jack := d.signIn("jack")
	id := d.visit(jack).id.Session
	d.now = d.now.Add(time.Hour)
	v = d.visit(jack, d.put("cart", "fuller"))
	if got := said(v.header); !slices.Equal(got, []string{strings.Replace(given, "2592000", "2588400", 1)}) || !slices.Equal(d.cookie(v), jack) || d.visit(jack).id.Session != id {
		t.Errorf("a value of jack's: %q, want the same secret for the time that is left", got)
	}
	v = d.visit(d.signIn("ann", carrier.BrowserSession(), carrier.SameSite(http.SameSiteStrictMode)), d.put("k", 1))
	if got, want := said(v.header), []string{"__Host-gatehouse=V; Path=/; HttpOnly; Secure; SameSite=Strict"}; !slices.Equal(got, want) {
		t.Errorf("a value of ann's: %q, want what was said when she signed in: %q", got, want)
	}
}

// TestKeepByStatus: what a handler put before it failed is not kept; the log-in is.
func TestKeepByStatus(t *testing.T) {
	for status, kept := range map[int]bool{101: true, 200: true, 204: true, 303: true, 404: true, 499: true, 500: false, 503: false, 599: false} {
		d := newDesk(t, session.Config{})
		jack := d.signIn("jack")
		keep := func(w http.ResponseWriter, r *http.Request) error { return d.Keep(w, r, status) }
		v := d.visit(jack, d.put("k", 1), keep)
		if (v.header["Set-Cookie"] != nil) != kept {
			t.Errorf("%d: %q, want a cookie: %v", status, said(v.header), kept)
		}
		value, ok, err := session.Get[int](session.FromContext(d.visit(jack).r.Context()), "k")
		if ok != kept || err != nil {
			t.Errorf("%d: Get = %v, %v, %v, want it kept: %v", status, value, ok, err, kept)
		}
		if v := d.visit(nil, d.put("k", 1), keep); (v.header["Set-Cookie"] != nil) != kept || (d.records("") == 1) != kept {
			t.Errorf("%d: a visitor gets %q, and there are %d sessions", status, said(v.header), d.records(""))
		}
	}
}

// TestKeepLate: what is put while the answer goes out is stored, and nothing is said to the browser any more.
func TestKeepLate(t *testing.T) {
	d := newDesk(t, session.Config{})
	jack := d.signIn("jack")
	begin := func(w http.ResponseWriter, r *http.Request) error {
		if err := d.Keep(w, r, 200); err != nil {
			return err
		}
		session.FromContext(r.Context()).Begin()
		return nil
	}
	v := d.visit(jack, begin, d.put("k", 1))
	if len(v.header) != 0 || session.FromContext(v.r.Context()).Changed() {
		t.Errorf("a late value: %v", v.header)
	}
	if value, ok, err := session.Get[int](session.FromContext(d.visit(jack).r.Context()), "k"); value != 1 || !ok || err != nil {
		t.Errorf("the late value comes back as %v, %v, %v", value, ok, err)
	}
	d.visit(nil, begin, func(w http.ResponseWriter, r *http.Request) error {
		if err := d.put("k", 1)(w, r); !errors.Is(err, session.ErrTooLate) {
			t.Errorf("a visitor's late value = %v, want %v", err, session.ErrTooLate)
		}
		if err := d.Remember(w, r, gatehouse.Identity{Value: "jack"}); !errors.Is(err, session.ErrTooLate) {
			t.Errorf("a late Remember = %v, want %v", err, session.ErrTooLate)
		}
		if err := d.Forget(w, r); err != nil || len(w.Header()) != 0 {
			t.Errorf("a late Forget of nobody = %v, %v", err, w.Header())
		}
		return nil
	})
}

// TestKeepFails: what could not be stored is an error, and no cookie is given for it.
func TestKeepFails(t *testing.T) {
	down := errors.New("the database is down")
	for _, tt := range []struct {
		name     string
		visitor  bool
		sabotage func(*desk, []string)
		want     error
	}{
		{"the store is down", false, func(d *desk, _ []string) { d.store.fault.Store(&down) }, down},
		{"the store is down for a visitor", true, func(d *desk, _ []string) { d.store.fault.Store(&down) }, down},
		{"ended meanwhile", false, func(d *desk, _ []string) { _, _ = d.table.EndAll(d.t.Context(), "jack", "") }, gatehouse.ErrSession},
		{"changed meanwhile", false, func(d *desk, jack []string) { d.visit(jack, d.put("k", 2)) }, session.ErrConflict},
	} {
		d := newDesk(t, session.Config{})
		cookies := d.signIn("jack")
		jack := cookies
		if tt.visitor {
			cookies = nil
		}
		d.visit(cookies, d.put("k", 1), func(w http.ResponseWriter, r *http.Request) error {
			tt.sabotage(d, jack)
			if err := d.Keep(w, r, 200); !errors.Is(err, tt.want) || len(w.Header()) != 0 {
				t.Errorf("%s: Keep = %v, %v, want %v and no cookie", tt.name, err, w.Header(), tt.want)
			}
			session.FromContext(r.Context()).Discard() // as the guard does
			return nil
		})
	}
}

// TestKeepUnshares: a handler that lets caches have its page does not let them have somebody's cookie.
func TestKeepUnshares(t *testing.T) {
	d := newDesk(t, session.Config{})
	public := func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		return nil
	}
	for name, tt := range map[string]struct {
		acts []act
		want string
	}{
		"a page":                {[]act{public}, "public, max-age=3600"},
		"before the log-in":     {[]act{public, d.remember("jack")}, "no-store"},
		"after the log-in":      {[]act{d.remember("jack"), public}, "no-store"},
		"with a value":          {[]act{d.put("k", 1), public}, "no-store"},
		"with what is not kept": {[]act{d.put("k", 1), d.forget, public}, "public, max-age=3600"},
	} {
		if got := d.visit(nil, tt.acts...).header.Get("Cache-Control"); got != tt.want {
			t.Errorf("%s: Cache-Control = %q, want %q", name, got, tt.want)
		}
	}
}

// TestDiscard takes a useless cookie away from whoever sent one.
func TestDiscard(t *testing.T) {
	d := newDesk(t, session.Config{}, carrier.CookieScope("example.org", "/app"))
	for _, tt := range []struct {
		cookies []string
		want    []string
	}{
		{[]string{d.name + "=x"}, []string{"__Secure-gatehouse=; Path=/app; Domain=example.org; " + epoch + "Secure; SameSite=Lax"}},
		{[]string{"a=1; " + d.name + "=" + strings.Repeat("A", 43)}, []string{"__Secure-gatehouse=; Path=/app; Domain=example.org; " + epoch + "Secure; SameSite=Lax"}},
		{nil, nil}, {[]string{d.name + "="}, nil}, {[]string{"a=1"}, nil}, {[]string{strings.ToLower(d.name) + "=x"}, nil},
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		r.Header["Cookie"] = tt.cookies
		if d.Discard(w, r); !slices.Equal(said(w.Header()), tt.want) {
			t.Errorf("Discard of %q says %q, want %q", tt.cookies, said(w.Header()), tt.want)
		}
	}
}
