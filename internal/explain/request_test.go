package explain

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestNewRequest(t *testing.T) {
	for _, test := range []struct {
		method, target, host string
		headers              []string
		wantHost, wantRaw    string
	}{
		{"GET", "/films/1?x=1", "", nil, "localhost", "/films/1?x=1"},
		{"GET", "/films/1", "app.example.org:8080", nil, "app.example.org:8080", "/films/1"},
		{"GET", "/a/../b", "", nil, "localhost", "/a/../b"},
		{"GET", "/%2e/%2F", "", nil, "localhost", "/%2e/%2F"},
		{"GET", "//x", "", nil, "localhost", "//x"},
		{"GET", "//evil.example.org/x", "", nil, "localhost", "//evil.example.org/x"},
		{"GET", "/a#b", "", nil, "localhost", "/a#b"},
		{"GET", `/a\b`, "", nil, "localhost", `/a\b`},
		{"GET", "/ü", "", nil, "localhost", "/ü"},
		{"GET", "/http://x/", "", nil, "localhost", "/http://x/"},
		{"GET", "http://films.example.org", "other", nil, "films.example.org", "/"},
		{"GET", "http://films.example.org?x", "", nil, "films.example.org", "/?x"},
		{"GET", "HTTPS://films.example.org:8443/a/../b", "", nil, "films.example.org:8443", "/a/../b"},
		{"GET", "http://[::1]:80//x", "", nil, "[::1]:80", "//x"},
		{"GET", "http://a/b", "", []string{"Host: c"}, "c", "/b"},
		{"GET", "/", "", []string{"host:c"}, "c", "/"},
		{"GET", "/", "", []string{"Host:"}, "", "/"},
		{"OPTIONS", "*", "", nil, "localhost", "*"},
		{"CONNECT", "example.org:443", "", nil, "example.org:443", "example.org:443"},
		{"get", "/", "", nil, "localhost", "/"},
		{"M-SEARCH", "/", "", nil, "localhost", "/"},
	} {
		r, err := NewRequest(t.Context(), test.method, test.target, test.host, test.headers)
		if err != nil {
			t.Errorf("NewRequest(%q, %q, %q, %q) = %v, want a request", test.method, test.target, test.host, test.headers, err)
			continue
		}
		if r.Method != test.method || r.Host != test.wantHost || r.RequestURI != test.wantRaw {
			t.Errorf("NewRequest(%q, %q, %q, %q) = %s %q of host %q, want %q of host %q",
				test.method, test.target, test.host, test.headers, r.Method, r.RequestURI, r.Host, test.wantRaw, test.wantHost)
		}
		if r.Context() != t.Context() || r.Body != http.NoBody || r.RemoteAddr != "" {
			t.Errorf("NewRequest(%q, %q): context, body or peer is not what was promised", test.method, test.target)
		}
	}
}

func TestNewRequestHeaders(t *testing.T) {
	r := newRequest(t, "GET", "/", "x-foo: bar", "X-Foo:\tbaz ", "Empty:", "Authorization:  Token  a b ", "X_Foo: c", "Url: http://x:1/")
	for name, want := range map[string][]string{
		"X-Foo": {"bar", "baz"}, "Empty": {""}, "Authorization": {"Token  a b"}, "X_foo": {"c"}, "Url": {"http://x:1/"}, "Host": nil,
	} {
		if got := r.Header[name]; !slices.Equal(got, want) {
			t.Errorf("Header[%q] = %q, want %q", name, got, want)
		}
	}
	if got := slices.Sorted(maps.Keys(r.Header)); len(got) != 5 {
		t.Errorf("the request has the headers %q, want five", got)
	}
}

// TestNewRequestRefuses: every error says what to fix, repeats no value, and wraps ErrRefusedByServer exactly where a server would have had a say.
func TestNewRequestRefuses(t *testing.T) {
	for _, test := range []struct {
		method, target, host string
		headers              []string
		byServer             bool
		want                 string
	}{
		{"", "/", "", nil, false, "there is no method"},
		{"GET ", "/", "", nil, false, "method contains a space"},
		{"GET\r\nX:", "/", "", nil, false, "method contains a space or a control character"},
		{"G(T", "/", "", nil, true, "a character that no method has"},
		{"GÉT", "/", "", nil, true, "a character that no method has"},
		{"GET", "", "", nil, false, "write a path that begins with /"},
		{"GET", "films/1", "", nil, false, "write a path that begins with /"},
		{"GET", "localhost/films", "", nil, false, "write a path that begins with /"},
		{"GET", "ftp://x/films", "", nil, false, "write a path that begins with /"},
		{"GET", "mailto:x", "", nil, false, "write a path that begins with /"},
		{"GET", "?x", "", nil, false, "write a path that begins with /"},
		{"GET", "/films 1", "", nil, false, "a space as %20"},
		{"GET", "/films\r\nX: y", "", nil, false, "a control character"},
		{"GET", "/films\x00", "", nil, false, "a control character"},
		{"GET", "/films\x7f", "", nil, false, "a control character"},
		{"GET", "http://" + planted + ":" + planted + "@x/", "", nil, false, "remove it, and send a credential in a header"},
		{"GET", "http:///films", "", nil, false, "has no host"},
		{"GET", "https://", "", nil, false, "has no host"},
		{"GET", "/%zz", "", nil, true, `the bad escape "%zz": a per cent sign stands as %25`},
		{"GET", "/100%", "", nil, true, "the bad escape"},
		{"GET", "*x", "", nil, false, "write a path"},
		{"CONNECT", "user:" + planted, "", nil, true, "cannot be read"},
		{"GET", "/", "a b", nil, true, "the host contains a character that no host has"},
		{"GET", "/", "a\r\nX: y", nil, false, "the host contains a line break"},
		{"GET", "/", "a\x00", nil, true, "the host contains a character"},
		{"GET", `http://a\b/`, "", nil, true, "the host contains a character"},
		{"GET", "/", "", []string{"Host: a", "Host: b"}, true, "stands there twice"},
		{"GET", "/", "", []string{"Host: a/" + planted}, true, "the host contains a character"},
		{"GET", "/", "", []string{"Ok: 1", "Authorization " + planted}, false, "header 2: it has no colon"},
		{"GET", "/", "", []string{""}, false, "header 1: it has no colon"},
		{"GET", "/", "", []string{": " + planted}, true, "the name before the colon"},
		{"GET", "/", "", []string{"Authorization " + planted + ": x"}, true, "the name before the colon"},
		{"GET", "/", "", []string{"Authorization : " + planted}, true, "with the colon right behind it"},
		{"GET", "/", "", []string{" Folded: " + planted}, false, "begins with a space"},
		{"GET", "/", "", []string{"A: b\r\nAuthorization: " + planted}, false, "a line break"},
		{"GET", "/", "", []string{"A: \x00" + planted}, true, "the value contains a control character"},
		{"GET", "/", "", []string{"Content-Length: " + planted}, true, "a value that is not allowed"},
		{"GET", "/", "", []string{"Content-Length: 1", "Content-Length: 2"}, true, "stands there twice"},
		{"GET", "/", "", []string{"Content-Length: -1"}, true, "a value that is not allowed"},
		{"GET", "/", "", []string{"Transfer-Encoding: " + planted}, true, "a value that is not allowed"},
		{"GET", "/", "", []string{"Expect: " + planted}, true, "Expect knows 100-continue only"},
		{"GET", "/", "", []string{"A: " + strings.Repeat("x", 70<<10)}, true, "larger than 64 KiB"},
		{"GET", "/" + strings.Repeat("x", 70<<10), "", nil, true, "larger than 64 KiB"},
	} {
		r, err := NewRequest(t.Context(), test.method, test.target, test.host, test.headers)
		if err == nil || r != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("NewRequest(%q, %.40q, %q, %.80q) = %v, %v, want an error with %q", test.method, test.target, test.host, test.headers, r, err, test.want)
			continue
		}
		if got := errors.Is(err, ErrRefusedByServer); got != test.byServer {
			t.Errorf("NewRequest(%q, %.40q, %q, %.80q) = %v: by the server %v, want %v", test.method, test.target, test.host, test.headers, err, got, test.byServer)
		}
		if strings.Contains(err.Error(), planted) {
			t.Errorf("NewRequest(%q, %.40q) = %v: it shows a credential", test.method, test.target, err)
		}
	}
}

func FuzzNewRequest(f *testing.F) {
	f.Add("GET", "/films/1?x=1", "localhost", "Authorization: Token x")
	f.Add("CONNECT", "a:1", "", "Host: a")
	f.Add("OPTIONS", "*", "[::1]", "Expect: 100-continue")
	f.Add("GET", "http://a:b@c/%zz", "", "Content-Length: 1\r\n")
	g := newGuard(f, exampleRules, nil)
	f.Fuzz(func(t *testing.T, method, target, host, header string) {
		r, err := NewRequest(t.Context(), method, target, host, []string{header})
		if (r == nil) == (err == nil) {
			t.Fatalf("NewRequest = %v, %v, want one of them", r, err)
		}
		if err != nil {
			return
		}
		if len(r.Header) > 1 || r.Method != method {
			t.Fatalf("NewRequest(%q, %q, %q, %q): method %q and headers %q, want no more than was given", method, target, host, header, r.Method, r.Header)
		}
		v := g.Judge(r)
		if report := NewReport(v, 0).For(r); (report.Decision == Allow) != v.Allowed() {
			t.Fatalf("NewReport(%v).Decision = %q, Allowed() = %v", v, report.Decision, v.Allowed())
		}
		if v.Allowed() && v.RuleName() != "docs" && !strings.Contains(header, planted) && !strings.Contains(header, "gh_key_root") {
			t.Fatalf("%s %q with %q was allowed by rule %q", method, target, header, v.RuleName())
		}
	})
}
