package carrier

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
)

// made returns the cookie of a carrier with the options, which must be good.
func made(t *testing.T, opts ...CookieOption) *cookie {
	t.Helper()
	c, err := newCookie(opts)
	if err != nil {
		t.Fatal(err)
	}
	return &c
}

// TestCookieNames: the prefix comes with the kind of the cookie, and nobody else gives it.
func TestCookieNames(t *testing.T) {
	for _, tt := range []struct {
		opts []CookieOption
		want string
	}{
		{nil, "__Host-gatehouse"},
		{[]CookieOption{CookieName("app1-token")}, "__Host-app1-token"},
		{[]CookieOption{CookieName("a"), CookieName("b")}, "__Host-b"},
		{[]CookieOption{CookieScope("", "")}, "__Secure-gatehouse"},
		{[]CookieOption{CookieScope("example.org", ""), CookieName("app1-token")}, "__Secure-app1-token"},
		{[]CookieOption{InsecureCookie()}, "gatehouse"},
		{[]CookieOption{InsecureCookie(), CookieName("app1-token"), CookieScope("", "/app")}, "app1-token"},
		{[]CookieOption{CookieName(strings.Repeat("x", 64))}, "__Host-" + strings.Repeat("x", 64)},
		{[]CookieOption{InsecureCrossSiteCookie(), CookieSameSite(http.SameSiteNoneMode)}, "__Host-gatehouse"},
	} {
		if got := made(t, tt.opts...).name; got != tt.want {
			t.Errorf("name = %s, want %s", got, tt.want)
		}
	}
}

// TestNewCookieRefuses what browsers would drop without a word, and what weakens the cookie without having been asked for by its name.
func TestNewCookieRefuses(t *testing.T) {
	for name, opts := range map[string][]CookieOption{
		"an empty name": {CookieName("")}, "a space": {CookieName("a b")}, "an equals sign": {CookieName("a=b")}, "a semicolon": {CookieName("a;b")}, "a line end": {CookieName("a\nb")},
		"a letter beyond ASCII": {CookieName("tökn")}, "65 letters": {CookieName(strings.Repeat("x", 65))}, "the prefix given": {CookieName("__Host-token")},
		"the prefix in another case": {CookieName("__hOST-token")}, "the other prefix": {CookieName("__Secure-token")}, "a prefix without its rules": {CookieName("__Host-token"), InsecureCookie()},
		"SameSite=None alone": {CookieSameSite(http.SameSiteNoneMode)}, "SameSite=None over plain http": {CookieSameSite(http.SameSiteNoneMode), InsecureCrossSiteCookie(), InsecureCookie()},
		"no SameSite": {CookieSameSite(0)}, "the browser's SameSite": {CookieSameSite(http.SameSiteDefaultMode)}, "an unknown SameSite": {CookieSameSite(9)},
		"a path that begins nowhere": {CookieScope("", "app")}, "a path with more": {CookieScope("", "/; Domain=evil.example")}, "a path with a line end": {CookieScope("", "/\r\nX: y")},
		"a path with letters beyond ASCII": {CookieScope("", "/é")}, "a path with a backslash": {CookieScope("", `/a\b`)}, "a path with a quote": {CookieScope("", `/"a`)}, "a path with a space": {CookieScope("", "/a b")},
		"a domain without a dot": {CookieScope("localhost", "")}, "a top level": {CookieScope(".org", "")}, "a domain with more": {CookieScope("example.org; Secure", "")},
		"a domain with a port": {CookieScope("example.org:443", "")}, "a URL": {CookieScope("https://example.org", "")}, "a wildcard": {CookieScope("*.example.org", "")}, "dots": {CookieScope("..", "")},
		"an address of IPv6": {CookieScope("2001:db8::1.2.3.4", "")},
	} {
		if c, err := newCookie(opts); err == nil {
			t.Errorf("%s makes the cookie %+v, want an error", name, c)
		}
	}
}

// TestCookieFor: over TLS, or behind it, the cookie is the safe one. On this machine alone it may go without. Anywhere else it may not.
func TestCookieFor(t *testing.T) {
	const safe, insecure, refused = "__Host-gatehouse", "gatehouse", "refused"
	for _, tt := range []struct {
		listen, publicURL string
		tls               bool
		want              string
	}{
		{"127.0.0.1:8080", "", false, insecure}, {"127.0.0.1:0", "", false, insecure}, {"127.8.9.10:80", "", false, insecure}, {"127.0.0.1", "", false, insecure},
		{"[::1]:8080", "", false, insecure}, {"::1", "", false, insecure}, {"[::ffff:127.0.0.1]:80", "", false, insecure}, {"[::1%lo]:80", "", false, insecure},
		{"localhost:8080", "", false, insecure}, {"LocalHost", "", false, insecure},
		{"127.0.0.1:8080", "http://127.0.0.1:8080", false, insecure}, {"127.0.0.1:8080", "http://localhost:8080/app", false, insecure}, {"127.0.0.1:8080", "http://[::1]:8080", false, insecure},
		{"127.0.0.1:8080", "HTTP://LOCALHOST", false, insecure}, {"127.0.0.1:8080", "http://user@localhost", false, insecure},

		{":8080", "", false, refused}, {"", "", false, refused}, {"0.0.0.0:8080", "", false, refused}, {"[::]:8080", "", false, refused}, {"*:8080", "", false, refused},
		{"192.168.1.7:80", "", false, refused}, {"10.0.0.1:80", "", false, refused}, {"169.254.1.1:80", "", false, refused}, {"[fe80::1%eth0]:80", "", false, refused}, {"[::2]:80", "", false, refused},
		{"example.org:80", "", false, refused}, {"localhost.example.org:80", "", false, refused}, {"127.0.0.1.example.org:80", "", false, refused}, {"127.1:80", "", false, refused},
		{"0177.0.0.1:80", "", false, refused}, {"2130706433:80", "", false, refused}, {"128.0.0.1:80", "", false, refused},
		{"127.0.0.1:8080", "http://app.example.org", false, refused}, {"127.0.0.1:8080", "http://192.168.1.7:8080", false, refused}, {"127.0.0.1:8080", "http://localhost.example.org", false, refused},
		{"127.0.0.1:8080", "http://localhost@example.org", false, refused}, {"0.0.0.0:8080", "http://localhost:8080", false, refused}, {"0.0.0.0:8080", "http://app.example.org", true, refused},

		{"127.0.0.1:8080", "https://app.example.org", false, safe}, {"0.0.0.0:8080", "https://app.example.org", false, safe}, {":8080", "HTTPS://app.example.org:8443/x", false, safe},
		{"127.0.0.1:8080", "https://localhost:8443", false, safe}, {"0.0.0.0:443", "", true, safe}, {"127.0.0.1:443", "", true, safe}, {":443", "https://app.example.org", true, safe},

		{"127.0.0.1:8080", "app.example.org", false, refused}, {"127.0.0.1:8080", "https:app.example.org", false, refused}, {"127.0.0.1:8080", "https://", false, refused},
		{"127.0.0.1:8080", "https://:443", false, refused}, {"127.0.0.1:8080", "//app.example.org", false, refused}, {"127.0.0.1:8080", "/", true, refused}, {"127.0.0.1:8080", "ftp://example.org", false, refused},
		{"127.0.0.1:8080", "wss://example.org", false, refused}, {"127.0.0.1:8080", "javascript:alert(1)", true, refused}, {"127.0.0.1:8080", "https://exa mple.org", true, refused},
		{"127.0.0.1:8080", "https://example.org:port", true, refused}, {"127.0.0.1:8080", "httpss://example.org", false, refused}, {"127.0.0.1:8080", "\nhttps://example.org", false, refused},
	} {
		got, notice := refused, ""
		option, notice, err := CookieFor(tt.listen, tt.publicURL, tt.tls)
		if err == nil {
			got = made(t, option).name
		}
		if got != tt.want || (option == nil) != (err != nil) || (notice != "") != (got == insecure) {
			t.Errorf("CookieFor(%q, %q, %v) makes %s (%v), want %s; notice %q", tt.listen, tt.publicURL, tt.tls, got, err, tt.want, notice)
		}
	}
}

// TestInsecureCookieStaysHere: on a connection that leaves the machine nobody is signed in with it, whatever address the server was told to listen on.
func TestInsecureCookieStaysHere(t *testing.T) {
	tcp := func(s string) net.Addr {
		addr, err := net.ResolveTCPAddr("tcp", s)
		if err != nil {
			t.Fatal(err)
		}
		return addr
	}
	for _, tt := range []struct {
		addr    any // what the server says of the connection
		allowed bool
	}{
		{nil, true}, {tcp("127.0.0.1:80"), true}, {tcp("127.1.2.3:80"), true}, {tcp("[::1]:80"), true}, {tcp("[::ffff:127.0.0.1]:80"), true}, {&net.UnixAddr{Name: "/run/app", Net: "unix"}, true},
		{tcp("192.168.1.7:80"), false}, {tcp("10.0.0.1:80"), false}, {tcp("[2001:db8::1]:80"), false}, {tcp("[fe80::1%lo]:80"), false}, {tcp("0.0.0.0:80"), false}, {&net.IPAddr{IP: net.IPv4(8, 8, 8, 8)}, false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		if tt.addr != nil {
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, tt.addr))
		}
		if err := made(t, InsecureCookie()).allowed(r); (err == nil) != tt.allowed || errors.Is(err, gatehouse.ErrCredential) {
			t.Errorf("InsecureCookie on %v = %v, want allowed: %v", tt.addr, err, tt.allowed)
		}
		if err := made(t).allowed(r); err != nil {
			t.Errorf("a safe cookie on %v = %v, want nil", tt.addr, err)
		}
	}
}

// TestFind: the one cookie of the name, to the letter; its value as it stands there.
func TestFind(t *testing.T) {
	const n = "__Host-gatehouse"
	many := strings.Repeat("x=1; ", 2000)
	for _, tt := range []struct {
		name  string
		lines []string
		value string
		err   error
	}{
		{"alone", []string{n + "=abc"}, "abc", nil},
		{"first", []string{n + "=abc; b=2"}, "abc", nil},
		{"last", []string{"a=1; " + n + "=abc"}, "abc", nil},
		{"without spaces", []string{"a=1;" + n + "=abc;b=2"}, "abc", nil},
		{"with more spaces", []string{"a=1;  \t " + n + "=abc \t; b=2"}, "abc", nil},
		{"in another field", []string{"a=1", n + "=abc", "b=2"}, "abc", nil},
		{"among 4000", []string{many + n + "=abc; " + many}, "abc", nil},
		{"in one of 4000 fields", append(slices.Repeat([]string{"x=1"}, 4000), n+"=abc"), "abc", nil},
		{"with equals signs", []string{n + "=b=c="}, "b=c=", nil},
		{"quoted", []string{n + `="abc"`}, `"abc"`, nil},
		{"half quoted", []string{n + `="abc`}, `"abc`, nil},
		{"with a comma", []string{n + "=a,b"}, "a,b", nil},
		{"with a space", []string{n + "=a b"}, "a b", nil},
		{"with bytes", []string{n + "=\xff\x01"}, "\xff\x01", nil},
		{"large", []string{n + "=" + strings.Repeat("x", 1<<20)}, strings.Repeat("x", 1<<20), nil},
		{"within quotes of another", []string{`a="x; ` + n + `=abc"`}, `abc"`, nil},

		{"none", nil, "", gatehouse.ErrAnonymous},
		{"an empty field", []string{""}, "", gatehouse.ErrAnonymous},
		{"separators", []string{";;; ;"}, "", gatehouse.ErrAnonymous},
		{"others", []string{many}, "", gatehouse.ErrAnonymous},
		{"empty", []string{n + "="}, "", gatehouse.ErrAnonymous},
		{"the name alone", []string{n}, "", gatehouse.ErrAnonymous},
		{"as another's value", []string{"a=" + n + "=abc"}, "", gatehouse.ErrAnonymous},
		{"without a name before", []string{"=" + n + "=abc"}, "", gatehouse.ErrAnonymous},
		{"in another case", []string{"__host-gatehouse=abc; __HOST-GATEHOUSE=abc; __Host-Gatehouse=abc"}, "", gatehouse.ErrAnonymous},
		{"without the prefix", []string{"gatehouse=abc"}, "", gatehouse.ErrAnonymous},
		{"with the other prefix", []string{"__Secure-gatehouse=abc"}, "", gatehouse.ErrAnonymous},
		{"longer and shorter", []string{n + "2=abc; __Host-gatehous=abc; x" + n + "=abc"}, "", gatehouse.ErrAnonymous},
		{"a space in front of the equals sign", []string{n + " =abc"}, "", gatehouse.ErrAnonymous},
		{"a letter that looks alike", []string{"__Host-g\u0430tehouse=abc"}, "", gatehouse.ErrAnonymous},
		{"quoted with its name", []string{`"` + n + `=abc"`}, "", gatehouse.ErrAnonymous},
		{"with a comma before", []string{"a=1, " + n + "=abc"}, "", gatehouse.ErrAnonymous},

		{"twice", []string{n + "=abc; " + n + "=def"}, "", gatehouse.ErrDuplicate},
		{"twice the same", []string{n + "=abc; " + n + "=abc"}, "", gatehouse.ErrDuplicate},
		{"in two fields", []string{n + "=abc", n + "=def"}, "", gatehouse.ErrDuplicate},
		{"once empty", []string{n + "=; " + n + "=abc"}, "", gatehouse.ErrDuplicate},
		{"once without a value", []string{n + "=abc; " + n}, "", gatehouse.ErrDuplicate},
		{"4000 times", []string{strings.Repeat(n+"=abc; ", 4000)}, "", gatehouse.ErrDuplicate},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		if tt.lines != nil {
			r.Header["Cookie"] = tt.lines
		}
		if got, err := made(t).find(r); got != tt.value || !errors.Is(err, tt.err) {
			t.Errorf("%s: find = %.50q, %v, want %.50q, %v", tt.name, got, err, tt.value, tt.err)
		}
	}
}

// TestSet: the Set-Cookie of each kind of cookie, to the letter.
func TestSet(t *testing.T) {
	for _, tt := range []struct {
		name   string
		opts   []CookieOption
		change func(*attributes)
		maxAge time.Duration
		want   string
	}{
		{"safe", nil, nil, time.Hour, "__Host-gatehouse=v; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"},
		{"strict", []CookieOption{CookieSameSite(http.SameSiteStrictMode)}, nil, time.Hour, "__Host-gatehouse=v; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Strict"},
		{"until the browser is closed", nil, func(a *attributes) { a.Browser = true }, time.Hour, "__Host-gatehouse=v; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{"400 days at most", nil, nil, 5000 * 24 * time.Hour, "__Host-gatehouse=v; Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax"},
		{"400 days", nil, nil, 400 * 24 * time.Hour, "__Host-gatehouse=v; Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax"},
		{"seconds", nil, nil, 1999 * time.Millisecond, "__Host-gatehouse=v; Path=/; Max-Age=1; HttpOnly; Secure; SameSite=Lax"},
		{"no time left", nil, nil, 999 * time.Millisecond, "__Host-gatehouse=v; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"},
		{"too late", nil, nil, -time.Hour, "__Host-gatehouse=v; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"},
		{"scoped", []CookieOption{CookieScope(".example.org", "/app")}, nil, time.Hour, "__Secure-gatehouse=v; Path=/app; Domain=example.org; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"},
		{"scoped to nothing", []CookieOption{CookieScope("", "")}, nil, time.Hour, "__Secure-gatehouse=v; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"},
		{"for other sites", []CookieOption{CookieSameSite(http.SameSiteNoneMode), InsecureCrossSiteCookie()}, nil, time.Hour, "__Host-gatehouse=v; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=None"},
		{"over plain http", []CookieOption{InsecureCookie(), CookieName("n")}, nil, time.Hour, "n=v; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"},
	} {
		c, h := made(t, tt.opts...), http.Header{}
		a := c.attributes()
		if tt.change != nil {
			tt.change(&a)
		}
		if err := c.set(h, "v", a, tt.maxAge); err != nil || len(h["Set-Cookie"]) != 1 || h.Get("Set-Cookie") != tt.want {
			t.Errorf("%s: set = %v, %q, want %q", tt.name, err, h["Set-Cookie"], tt.want)
		}
		cleared := http.Header{}
		c.clear(cleared, a)
		parsed, err := http.ParseSetCookie(cleared.Get("Set-Cookie"))
		was, _ := http.ParseSetCookie(tt.want)
		if err != nil || parsed.Value != "" || parsed.MaxAge >= 0 || !parsed.Expires.Before(time.Unix(2, 0)) || parsed.Name != was.Name || parsed.Path != was.Path || parsed.Domain != was.Domain ||
			parsed.SameSite != was.SameSite || parsed.Secure != was.Secure || parsed.HttpOnly != was.HttpOnly {
			t.Errorf("%s: clear = %q, which does not take %q away", tt.name, cleared["Set-Cookie"], tt.want)
		}
	}
}

// TestSetTooLarge: what browsers would drop without a word is an error, and leaves the answer as it was.
func TestSetTooLarge(t *testing.T) {
	c := made(t)
	for size, fits := range map[int]bool{1: true, 4096 - len(c.name): true, 4097 - len(c.name): false, 5000: false, 1 << 20: false} {
		h := http.Header{"Set-Cookie": {"other=1"}}
		if err := c.set(h, strings.Repeat("x", size), c.attributes(), time.Hour); (err == nil) != fits || (len(h["Set-Cookie"]) == 2) != fits || !fits && len(h) != 1 {
			t.Errorf("set of %d bytes = %v, %d cookies, want it to fit: %v", size, err, len(h["Set-Cookie"]), fits)
		}
	}
}

// TestOneAnswerOneCookie: the last word counts. Only that the cookies with other paths and domains are taken away is said beside it, since browsers would send all.
func TestOneAnswerOneCookie(t *testing.T) {
	c, h := made(t, CookieScope("", "")), http.Header{"Set-Cookie": {"a=1; Path=/", "__Secure-gatehouse=upstream's"}}
	at := func(path, domain string) attributes {
		a := c.attributes()
		a.Path, a.Domain = path, domain
		return a
	}
	put := func(a attributes, value string) {
		if err := c.set(h, value, a, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	for i, step := range []struct {
		do   func()
		want string
	}{
		{func() { put(at("/", ""), "v1") }, "a=1 __Secure-gatehouse=v1@/"},
		{func() { put(at("/", ""), "v2") }, "a=1 __Secure-gatehouse=v2@/"},
		{func() { c.clear(h, at("/app", "")) }, "a=1 __Secure-gatehouse=@/app"},
		{func() { put(at("/", ""), "v3") }, "a=1 __Secure-gatehouse=@/app __Secure-gatehouse=v3@/"},
		{func() { put(at("/", "example.org"), "v4") }, "a=1 __Secure-gatehouse=@/app __Secure-gatehouse=v4@/example.org"},
		{func() { c.clear(h, at("/", "example.org")) }, "a=1 __Secure-gatehouse=@/app __Secure-gatehouse=@/example.org"},
		{func() { c.clear(h, at("/", ".example.org")) }, "a=1 __Secure-gatehouse=@/app __Secure-gatehouse=@/example.org"},
		{func() { put(at("/app", ""), "v5") }, "a=1 __Secure-gatehouse=@/example.org __Secure-gatehouse=v5@/app"},
		{func() { put(at("/", "example.org"), "v6") }, "a=1 __Secure-gatehouse=v6@/example.org"},
	} {
		step.do()
		var got []string
		for _, line := range h["Set-Cookie"] {
			parsed, err := http.ParseSetCookie(line)
			if err != nil {
				t.Fatal(err)
			}
			text := parsed.Name + "=" + parsed.Value
			if parsed.Name == c.name {
				text += "@" + parsed.Path + parsed.Domain
			}
			got = append(got, text)
		}
		if strings.Join(got, " ") != step.want {
			t.Errorf("step %d: %q, want %q", i+1, strings.Join(got, " "), step.want)
		}
	}
}

// TestAnswersWithCookiesAreNobodyElses: no cache gives them to another. Whoever has said so already is right.
func TestAnswersWithCookiesAreNobodyElses(t *testing.T) {
	for given, want := range map[string]string{
		"": "no-store", "public, max-age=60": "no-store", "max-age=60": "no-store", "no-cache": "no-store", "s-maxage=1, not-private": "no-store", "private-ish": "no-store",
		`private="X-Field"`: "no-store", "private": "private", "no-store": "no-store", "max-age=60, Private": "max-age=60, Private", "No-Store,must-revalidate": "No-Store,must-revalidate",
	} {
		for _, act := range []func(*cookie, http.Header){
			func(c *cookie, h http.Header) { _ = c.set(h, "v", c.attributes(), time.Hour) },
			func(c *cookie, h http.Header) { c.clear(h, c.attributes()) },
		} {
			h := http.Header{}
			if given != "" {
				h.Set("Cache-Control", given)
			}
			act(made(t), h)
			if got := strings.Join(h["Cache-Control"], ", "); got != want {
				t.Errorf("Cache-Control %q becomes %q, want %q", given, got, want)
			}
		}
		h := http.Header{"Set-Cookie": {"other=1"}, "Cache-Control": {given}}
		if made(t).unshare(h); h.Get("Cache-Control") != given {
			t.Errorf("an answer with another cookie: Cache-Control %q becomes %q", given, h.Get("Cache-Control"))
		}
	}
}

// TestRemoveCookie: ours go, in whatever spelling an upstream might take for ours; the others stay as they are, to the byte.
func TestRemoveCookie(t *testing.T) {
	for _, tt := range []struct{ lines, want []string }{
		{nil, nil},
		{[]string{"n=1"}, nil},
		{[]string{"n=1;"}, nil},
		{[]string{"n"}, nil},
		{[]string{"n=1; n=2", "N=3"}, nil},
		{[]string{"a=1; n=1"}, []string{"a=1"}},
		{[]string{"n=1; a=1"}, []string{"a=1"}},
		{[]string{"a=1;  n=1;\tb=2"}, []string{"a=1;\tb=2"}},
		{[]string{"a=1", "n=1", "b=2"}, []string{"a=1", "b=2"}},
		{[]string{"a=1; m=1; __Host-X=2"}, []string{"a=1"}},
		{[]string{"a=1; N =1; =n=1; = n=1; ==n; \t=\tN\t=1"}, []string{"a=1"}},
		{[]string{`a="x; n=1; y"; b=%3B=;c`}, []string{`a="x; y"; b=%3B=;c`}},
		{[]string{"a= 1 ; b = \"2\";;c==n=1; nn=1; x=n; n2=1; __Host-n=1; \xffn=1"}, []string{"a= 1 ; b = \"2\";;c==n=1; nn=1; x=n; n2=1; __Host-n=1; \xffn=1"}},
	} {
		h := http.Header{"X-Other": {"n=1"}}
		if tt.lines != nil {
			h["Cookie"] = slices.Clone(tt.lines)
		}
		RemoveCookie(h, "n", "m", "__Host-x")
		if got, ok := h["Cookie"]; !slices.Equal(got, tt.want) || ok != (tt.want != nil) || h.Get("X-Other") != "n=1" {
			t.Errorf("RemoveCookie(%q) leaves %q, want %q", tt.lines, got, tt.want)
		}
	}
	h := http.Header{"Cookie": {" a=1; b=2 "}}
	if RemoveCookie(h); h.Get("Cookie") != "a=1; b=2" {
		t.Errorf("RemoveCookie of none leaves %q", h.Get("Cookie"))
	}
}

// TestRemoveSetCookie: nothing that an upstream says makes, or takes away, a cookie of ours. Browsers send a cookie without a name by its value alone.
func TestRemoveSetCookie(t *testing.T) {
	for line, removed := range map[string]bool{
		"n=1": true, "n=1; Path=/; Secure": true, "N=1": true, "n=": true, "n": true, "n; Path=/": true, " n=1": true, "n =1": true, "\tn\t= 1": true, "=n=1": true, "= n=1; Path=/": true, "==n=1": true,
		"=n": true, "n;a=b": true, "n=1=2": true, "\rn=1": true, "n\r=1": true, "\r=\rn=1": true, "\n n\n": true,
		"a=1": false, "a=n": false, "a=n=1": false, "nn=1": false, "n2=1; Path=/": false, "a=1; n=1": false, "a; n=1": false, "": false, "=": false, "; n=1": false, "\xffn=1": false, "=a=n": false,
	} {
		h := http.Header{"Set-Cookie": {"first=1; Path=/", line, "last=n=1"}}
		want := []string{"first=1; Path=/", line, "last=n=1"}
		if removed {
			want = []string{"first=1; Path=/", "last=n=1"}
		}
		if RemoveSetCookie(h, "n", "m"); !slices.Equal(h["Set-Cookie"], want) {
			t.Errorf("RemoveSetCookie of %q leaves %q, want %q", line, h["Set-Cookie"], want)
		}
	}
	h := http.Header{"Set-Cookie": {"n=1", "M=2"}}
	if RemoveSetCookie(h, "n", "m"); len(h) != 0 {
		t.Errorf("RemoveSetCookie leaves %v, want nothing", h)
	}
}

// TestCheckOfStoredAttributes: what was stored under another configuration is not honoured any more.
func TestCheckOfStoredAttributes(t *testing.T) {
	for name, a := range map[string]attributes{
		"nothing": {}, "a path": {SameSite: http.SameSiteLaxMode, Path: "/app"}, "a domain": {SameSite: http.SameSiteLaxMode, Path: "/", Domain: "example.org"}, "None": {SameSite: http.SameSiteNoneMode, Path: "/"},
		"no path": {SameSite: http.SameSiteLaxMode}, "an unknown mode": {SameSite: -1, Path: "/"},
	} {
		if err := made(t).check(a); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s = %v, want an error that wraps errors.ErrUnsupported", name, err)
		}
	}
	if err := made(t).check(made(t).attributes()); err != nil {
		t.Errorf("the cookie's own attributes = %v", err)
	}
}
