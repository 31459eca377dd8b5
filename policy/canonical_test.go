package policy_test

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/policy"
)

// read parses raw bytes the way the server does.
func read(raw string) (*http.Request, error) {
	return http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
}

// canonical sends target to host through net/http's parser and Canonical.
func canonical(target, host string) (policy.Request, error) {
	r, err := read("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	if err != nil {
		return policy.Request{}, fmt.Errorf("net/http: %w", err)
	}
	return policy.Canonical(r)
}

func mustCanonical(t testing.TB, target string) policy.Request {
	t.Helper()
	q, err := canonical(target, "example.org")
	if err != nil {
		t.Fatalf("Canonical(%q): %v", target, err)
	}
	return q
}

// A targetRow is a target and what becomes of it: a path to forward and the path that rules see, or a refusal.
type targetRow struct {
	target        string
	path, decoded string
	refused       string // what the error says
}

func takes(target, path, decoded string) targetRow { return targetRow{target, path, decoded, ""} }

// keeps is a target that is forwarded as it came and holds nothing to decode.
func keeps(target string) targetRow { return takes(target, target, target) }

func refuses(target, why string) targetRow { return targetRow{target: target, refused: why} }

const (
	dots    = "dot segment"
	empty   = "empty segment"
	control = "control character"
	slash   = "backslash"
	text    = "not UTF-8"
	frag    = "fragment"
	noPath  = "not a path"
	parser  = "net/http: " // refused before Canonical sees it
)

func TestCanonicalTargets(t *testing.T) {
	run := func(name string, rows ...targetRow) {
		t.Run(name, func(t *testing.T) {
			for _, row := range rows {
				row.check(t)
			}
		})
	}
	run("plain",
		keeps("/"), keeps("/films"), keeps("/films/1"), keeps("/films/"), keeps("/~jack/a-b_c.d"), keeps("/a:b"), keeps("/a@b"),
		keeps("/a!b"), keeps("/a$b&c'd(e)f*g+h,i=j"), keeps("/FILMS"), keeps("/0"),
		refuses("", parser), refuses("films", parser), refuses("*", noPath), refuses("?a", parser),
	)
	run("dots in names",
		keeps("/a."), keeps("/.a"), keeps("/..a"), keeps("/a.."), keeps("/..."), keeps("/...."), keeps("/a..b"), keeps("/.well-known/x"),
		takes("/%2ehtaccess", "/.htaccess", "/.htaccess"), takes("/a%2e", "/a.", "/a."), takes("/%2e%2e%2e", "/...", "/..."),
	)
	run("dot segments",
		refuses("/.", dots), refuses("/..", dots), refuses("/./", dots), refuses("/../", dots), refuses("/./a", dots), refuses("/../a", dots),
		refuses("/a/.", dots), refuses("/a/..", dots), refuses("/a/./b", dots), refuses("/a/../b", dots), refuses("/a/b/../../c", dots),
		refuses("/public/../admin", dots), refuses("/public/%2e%2e/admin", dots), refuses("/public/%2E%2E/admin", dots),
		refuses("/public/.%2e/admin", dots), refuses("/public/%2e./admin", dots), refuses("/a/%2e/b", dots), refuses("/a/%2E", dots),
	)
	run("dot segments that path parameters or an encoded slash hide",
		refuses("/public/..;/admin", dots), refuses("/public/..;x=y/admin", dots), refuses("/public/.;/admin", dots),
		refuses("/public/%2e%2e;/admin", dots), refuses("/public/%2e%2e%3b/admin", dots), refuses("/public/..%3Bx/admin", dots),
		refuses("/public/..;..;/admin", dots), refuses("/..;", dots), refuses("/a/..;a=b;c=d", dots),
		refuses("/public/..%2fadmin", dots), refuses("/public/..%2Fadmin", dots), refuses("/public%2f../admin", dots),
		refuses("/public%2f..%2fadmin", dots), refuses("/public/%2e%2e%2fadmin", dots), refuses("/a;x%2f../b", dots), refuses("/a/.%2fb", dots),
	)
	run("backslashes",
		refuses(`/public\..\admin`, slash), refuses(`/\`, slash), refuses("/public/..%5cadmin", slash), refuses("/a%5Cb", slash), refuses("/%5c", slash),
		refuses(`/public/..\admin`, slash),
	)
	run("empty segments",
		refuses("//", empty), refuses("//a", empty), refuses("//evil.example.org/admin", empty), refuses("/a//b", empty), refuses("/a//", empty),
		refuses("///", empty), refuses("/a///b", empty), refuses("/public//../admin", empty),
		refuses("/;", empty), refuses("/;/", empty), refuses("/;x=y", empty), refuses("/a/;/b", empty), refuses("/a/;x", empty), refuses("/a/%3b/b", empty),
	)
	run("path parameters",
		keeps("/films;v=1"), keeps("/films;v=1/2"), keeps("/a;b;c"), takes("/a%3bb", "/a%3Bb", "/a;b"), keeps("/a;"), keeps("/a/b;jsessionid=1"),
	)
	run("controls",
		refuses("/a%00", control), refuses("/%00", control), refuses("/a%00.html", control), refuses("/a%0d%0aX:1", control), refuses("/a%0a", control),
		refuses("/a%09b", control), refuses("/a%1fb", control), refuses("/a%7f", control), refuses("/a%7Fb", control),
		refuses("/a%c2%85b", control), refuses("/a%C2%80", control), refuses("/a%c2%9f", control), refuses("/a\xc2\x85b", control),
		refuses("/a\x00b", parser), refuses("/a\x7fb", parser), refuses("/a\tb", parser), refuses("/a\x01b", parser), refuses("/a\rb", parser),
		takes("/a%c2%a0b", "/a%C2%A0b", "/a\u00a0b"),
	)
	run("text",
		takes("/é", "/%C3%A9", "/é"), takes("/%c3%a9", "/%C3%A9", "/é"), takes("/%C3\xa9", "/%C3%A9", "/é"), takes("/日本/語", "/%E6%97%A5%E6%9C%AC/%E8%AA%9E", "/日本/語"),
		takes("/%F0%9F%99%82", "/%F0%9F%99%82", "/🙂"), takes("/%ef%bc%8f", "/%EF%BC%8F", "/／"),
		refuses("/public/%c0%ae%c0%ae/admin", text), refuses("/%c0%af", text), refuses("/%e0%80%af", text), refuses("/%f0%80%80%ae", text),
		refuses("/%c1%9c", text), refuses("/\xc0\xae\xc0\xae/admin", text), refuses("/%e9", text), refuses("/\xe9", text), refuses("/%ff", text),
		refuses("/%ed%a0%80", text), refuses("/%f4%90%80%80", text), refuses("/%c3", text), refuses("/%c3/%a9", text), refuses("/%80", text),
	)
	run("escapes",
		takes("/%61dmin", "/admin", "/admin"), takes("/%73", "/s", "/s"), takes("/%7Ejack", "/~jack", "/~jack"), takes("/%7ejack", "/~jack", "/~jack"),
		takes("/%2d%5f%2E%39", "/-_.9", "/-_.9"),
		refuses("/%", parser), refuses("/%2", parser), refuses("/%zz", parser), refuses("/%%32", parser), refuses("/%u002e", parser), refuses("/% 2", parser),
	)
	run("reserved escapes are kept, in upper case",
		takes("/a%40b", "/a%40b", "/a@b"), takes("/a%3ab", "/a%3Ab", "/a:b"), takes("/a%2bb", "/a%2Bb", "/a+b"), takes("/a%2Bb", "/a%2Bb", "/a+b"),
		takes("/a%3db", "/a%3Db", "/a=b"), takes("/a%26b", "/a%26b", "/a&b"), takes("/a%24b", "/a%24b", "/a$b"), takes("/a%2cb", "/a%2Cb", "/a,b"),
		takes("/a%21b", "/a%21b", "/a!b"), takes("/a%27b", "/a%27b", "/a'b"), takes("/a%28b%29", "/a%28b%29", "/a(b)"),
		takes("/a%2Ab", "/a%2Ab", "/a*b"), takes("/a%2ab", "/a%2Ab", "/a*b"),
		takes("/a%23b", "/a%23b", "/a#b"), takes("/a%3Fb", "/a%3Fb", "/a?b"), takes("/a%3fb", "/a%3Fb", "/a?b"), takes("/a%5bb%5D", "/a%5Bb%5D", "/a[b]"),
	)
	run("double encodings stay put",
		takes("/%252e%252e/admin", "/%252e%252e/admin", "/%2e%2e/admin"), takes("/a%252fb", "/a%252fb", "/a%2fb"), takes("/a%255cb", "/a%255cb", "/a%5cb"),
		takes("/a%25", "/a%25", "/a%"), takes("/a%25zz", "/a%25zz", "/a%zz"), takes("/%2500", "/%2500", "/%00"), takes("/%252E", "/%252E", "/%2E"),
		takes("/%25%32%65", "/%252e", "/%2e"),
	)
	run("characters that do not belong in a path are escaped",
		takes("/a%20b", "/a%20b", "/a b"), takes("/a[b]", "/a%5Bb%5D", "/a[b]"), takes("/{id}", "/%7Bid%7D", "/{id}"), takes("/a|b", "/a%7Cb", "/a|b"),
		takes("/a^b", "/a%5Eb", "/a^b"), takes(`/a"b`, "/a%22b", `/a"b`), takes("/<b>", "/%3Cb%3E", "/<b>"), takes("/a`b", "/a%60b", "/a`b"),
		refuses("/a b", parser), refuses("/ a", parser),
	)
	run("encoded slashes",
		takes("/a%2Fb", "/a%2Fb", "/a%2Fb"), takes("/a%2fb", "/a%2Fb", "/a%2Fb"), takes("/%2F", "/%2F", "/%2F"), takes("/a%2F%2Fb", "/a%2F%2Fb", "/a%2F%2Fb"),
		takes("/a%2f/b", "/a%2F/b", "/a%2F/b"), takes("/a/%2fb", "/a/%2Fb", "/a/%2Fb"), refuses("/a%2f//b", empty), refuses("/a//%2fb", empty), refuses("/a%2f;x", empty),
		takes("/http%3a%2f%2fx/", "/http%3A%2F%2Fx/", "/http:%2F%2Fx/"),
	)
	run("fragments",
		refuses("/public#/../admin", frag), refuses("/public#", frag), refuses("/#", frag), refuses("/a?x#y", frag), refuses("/a?#", frag), refuses("/a%20b#c", frag),
	)
	run("queries are no part of the path",
		takes("/a?", "/a", "/a"), takes("/a?x=1", "/a", "/a"), takes("/a?a=1;b=2", "/a", "/a"), takes("/a?../..", "/a", "/a"), takes("/a?%", "/a", "/a"),
		takes("/a?//", "/a", "/a"), takes("/a?\xff", "/a", "/a"), takes("/?/admin", "/", "/"), takes("/a?%00", "/a", "/a"), takes("/a??b", "/a", "/a"),
		takes("/a?"+strings.Repeat("p=1&", 10_000), "/a", "/a"), refuses("/a?x\x00", parser), refuses("/a?x\x7f", parser), refuses("/a?b c", parser),
	)
	run("opaque and odd forms",
		refuses("http:http://int/admin", noPath), refuses("mailto:jack@example.org", noPath), refuses("a/b", parser), refuses("./a", parser), refuses("http://", noPath),
		refuses("http://example.org", noPath), refuses("http://example.org?x", noPath), refuses("ftp://example.org/a", "scheme"), refuses("http:/admin", "another server"),
		refuses("http:///admin", "another server"), refuses("http://jack@example.org/", "user information"), refuses("http://jack:x@example.org/", "user information"),
		refuses("gopher:/admin", "scheme"), refuses("http://[::1/admin", parser), refuses("http://a b/", parser), refuses("http://exa%00mple/", parser),
	)
	run("huge",
		refuses(strings.Repeat("/", 60_000), empty), refuses("/"+strings.Repeat(";", 60_000), empty), keeps("/a"+strings.Repeat(";", 60_000)),
		refuses(strings.Repeat("/.", 30_000), dots), keeps(strings.Repeat("/a", 30_000)), keeps(strings.Repeat("/a;", 20_000)),
		takes("/"+strings.Repeat("%61", 20_000), "/"+strings.Repeat("a", 20_000), "/"+strings.Repeat("a", 20_000)),
	)
}

func (row targetRow) check(t *testing.T) {
	t.Helper()
	name := row.target
	if len(name) > 80 {
		name = name[:80] + "…"
	}
	q, err := canonical(row.target, "example.org")
	switch {
	case row.refused != "" && err == nil:
		t.Errorf("Canonical(%q) = %q, want it refused: %s", name, q.Path, row.refused)
	case row.refused != "" && !strings.Contains(err.Error(), row.refused):
		t.Errorf("Canonical(%q) = error %v, want one that says %q", name, err, row.refused)
	case row.refused != "":
		if row.refused != parser && !errors.Is(err, policy.ErrTarget) {
			t.Errorf("Canonical(%q) = error %v, want one that wraps ErrTarget", name, err)
		}
		if q != (policy.Request{}) {
			t.Errorf("Canonical(%q) = %+v beside the error, want the zero Request", name, q)
		}
	case err != nil:
		t.Errorf("Canonical(%q) = error %v, want %q", name, err, row.path)
	case q.Path != row.path || q.Decoded() != row.decoded:
		t.Errorf("Canonical(%q) = %q matched as %q, want %q matched as %q", name, q.Path, q.Decoded(), row.path, row.decoded)
	}
}

// TestCanonicalErrorsAreQuiet: an error goes to logs and answers, where the sender must not put words.
func TestCanonicalErrorsAreQuiet(t *testing.T) {
	for _, target := range []string{"/s3cret/../x", "/s3cret//", "/s3cret%00", "http:/s3cret", "ftp://s3cret/a", "/x?s3cret#s3cret", `/s3cret\`, "/s3cret%ff"} {
		if _, err := canonical(target, "example.org"); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Canonical(%q) = error %v, want one that does not repeat the target", target, err)
		}
	}
	if _, err := canonical("/", "s3cret..example"); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("Canonical with a bad host = error %v, want one that does not repeat the host", err)
	}
}

func TestCanonicalHost(t *testing.T) {
	for _, row := range []struct{ host, want string }{ // an empty want: refused
		{"example.org", "example.org"}, {"EXAMPLE.Org", "example.org"}, {"example.org.", "example.org"}, {"example.org:8080", "example.org"},
		{"EXAMPLE.org.:443", "example.org"}, {"example.org:", "example.org"}, {"localhost", "localhost"}, {"a_b.example", "a_b.example"}, {"x-1", "x-1"},
		{"127.0.0.1", "127.0.0.1"}, {"127.0.0.1:65535", "127.0.0.1"}, {"[::1]", "::1"}, {"[::1]:80", "::1"}, {"[::1]:", "::1"},
		{"[2001:DB8::A]", "2001:db8::a"}, {"[0:0:0:0:0:0:0:1]", "::1"}, {"[::0001]:80", "::1"}, {"[2001:db8:0:0::a]", "2001:db8::a"},
		{"[::ffff:127.0.0.1]", "::ffff:127.0.0.1"}, {"[::ffff:7f00:1]", "::ffff:127.0.0.1"},

		{"", ""}, {".", ""}, {"..", ""}, {".example.org", ""}, {"a..b", ""}, {"example.org..", ""}, {"example.org...", ""}, {"example.org..:80", ""}, {":80", ""},
		{"example.org:x", ""}, {"example.org:-1", ""}, {"example.org:+80", ""}, {"example.org:65536", ""}, {"example.org:99999", ""}, {"example.org:123456", ""},
		{"example.org:000080", ""}, {"example.org:80:80", ""}, {"example.org: 80", ""}, {"example.org:8０", ""},
		{"jack@example.org", ""}, {"jack:x@example.org", ""}, {"example.org/admin", ""}, {"example.org?x", ""}, {"example.org#x", ""}, {`example.org\x`, ""},
		{"a b", ""}, {"a,b", ""}, {"a;b", ""}, {"a%2eb", ""}, {"%61dmin", ""}, {"exämple.org", ""}, {"\xff", ""}, {"ex\u200bample.org", ""}, {"*", ""}, {"*.org", ""},
		{"[::1", ""}, {"::1", ""}, {"::1]", ""}, {"[]", ""}, {"[]:80", ""}, {"[::1]x", ""}, {"[::1]80", ""}, {"[::1]:x", ""}, {"[::1]:65536", ""}, {"[::g]", ""},
		{"[127.0.0.1]", ""}, {"[127.0.0.1]:80", ""}, {"[fe80::1%25eth0]", ""}, {"[fe80::1%eth0]", ""}, {"[v1.x]", ""}, {"[example.org]", ""}, {"[::1].", ""},
		{strings.Repeat(".", 60_000), ""},
	} {
		q, err := canonical("/", row.host)
		switch {
		case row.want == "" && err == nil:
			t.Errorf("Canonical for host %q = %q, want it refused", row.host, q.Host)
		case row.want != "" && (err != nil || q.Host != row.want):
			t.Errorf("Canonical for host %q = %q, %v, want %q", row.host, q.Host, err, row.want)
		}
	}
}

func TestCanonicalQuery(t *testing.T) {
	for target, want := range map[string]bool{"/a": false, "/a?": true, "/a?x": true, "/a??": true, "/?": true, "/a%3Fx": false} {
		if got := mustCanonical(t, target).HasQuery; got != want {
			t.Errorf("Canonical(%q).HasQuery = %v, want %v", target, got, want)
		}
	}
}

func TestCanonicalEncodedSlash(t *testing.T) {
	for target, want := range map[string]bool{"/a/b": false, "/a%2Fb": true, "/a%2fb": true, "/a%252Fb": false, "/?%2F": false} {
		if got := mustCanonical(t, target).EncodedSlash; got != want {
			t.Errorf("Canonical(%q).EncodedSlash = %v, want %v", target, got, want)
		}
	}
}

// TestCanonicalCompares: a Request is equal exactly if it is judged and forwarded alike.
func TestCanonicalCompares(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want bool
	}{
		{"/s", "/%73", true}, {"/%C3%A9", "/é", true}, {"/a%2b", "/a%2B", true}, {"/a?x=1", "/a?y", true},
		{"/a%40b", "/a@b", false}, {"/a%2Fb", "/a/b", false}, {"/a%252Fb", "/a%2Fb", false}, {"/a", "/a/", false}, {"/a", "/A", false}, {"/a", "/a?", false},
		{"/a;b", "/a%3Bb", false}, {"/a!", "/a%21", false},
	} {
		if got := mustCanonical(t, row.a) == mustCanonical(t, row.b); got != row.want {
			t.Errorf("Canonical(%q) == Canonical(%q) is %v, want %v", row.a, row.b, got, row.want)
		}
	}
}

// TestCanonicalMadeByHand is about requests that no parser made: a program changed the URL, or a handler below stripped a prefix.
func TestCanonicalMadeByHand(t *testing.T) {
	for _, row := range []struct {
		name string
		url  *url.URL
		want string // empty: refused
	}{
		{"no URL", nil, ""},
		{"empty URL", &url.URL{}, ""},
		{"plain", &url.URL{Path: "/a"}, "/a"},
		{"decoded path only", &url.URL{Path: "/a b%"}, "/a%20b%25"},
		{"question mark in the path", &url.URL{Path: "/a?b"}, "/a%3Fb"},
		{"raw and decoded agree", &url.URL{Path: "/a/b", RawPath: "/a%2Fb"}, "/a%2Fb"},
		{"raw and decoded differ", &url.URL{Path: "/public", RawPath: "/admin"}, ""},
		{"raw and decoded differ by a slash", &url.URL{Path: "/a", RawPath: "/a/"}, ""},
		{"raw is no escape", &url.URL{Path: "/a%", RawPath: "/a%"}, ""},
		{"raw does not start with a slash", &url.URL{Path: "/a", RawPath: "%2Fa"}, ""},
		{"decoded dots", &url.URL{Path: "/a/../b"}, ""},
		{"decoded control", &url.URL{Path: "/a\x00"}, ""},
		{"decoded line end", &url.URL{Path: "/a\r\nX: y"}, ""},
		{"decoded backslash", &url.URL{Path: `/a\b`}, ""},
		{"decoded empty segment", &url.URL{Path: "/a//b"}, ""},
		{"not UTF-8", &url.URL{Path: "/\xff"}, ""},
		{"relative", &url.URL{Path: "a"}, ""},
		{"opaque", &url.URL{Opaque: "//x/admin", Path: "/a"}, ""},
		{"fragment", &url.URL{Path: "/a", Fragment: "x"}, ""},
		{"fragment in the raw path", &url.URL{Path: "/a#b", RawPath: "/a#b"}, ""},
		{"bad escape in the raw path", &url.URL{Path: "/a\x02", RawPath: "/a%2"}, ""},
		{"half a bad escape", &url.URL{Path: "/a%2z", RawPath: "/a%2z"}, ""},
		{"user", &url.URL{Path: "/a", User: url.User("jack")}, ""},
		{"fragment in the query", &url.URL{Path: "/a", RawQuery: "x#y"}, ""},
		{"line end in the query", &url.URL{Path: "/a", RawQuery: "x\r\ny"}, ""},
		{"space in the query", &url.URL{Path: "/a", RawQuery: "x HTTP/1.1"}, ""},
		{"absolute for itself", &url.URL{Scheme: "http", Host: "example.org", Path: "/a"}, "/a"},
		{"absolute for another", &url.URL{Scheme: "http", Host: "example.com", Path: "/a"}, ""},
		{"host without a scheme", &url.URL{Host: "example.org", Path: "/a"}, ""},
	} {
		r := &http.Request{Method: "GET", Host: "example.org", URL: row.url}
		q, err := policy.Canonical(r)
		if (err == nil) != (row.want != "") || q.Path != row.want {
			t.Errorf("%s: Canonical = %q, %v, want %q", row.name, q.Path, err, row.want)
		}
	}
}

// TestCanonicalDoesNotAllocate: what most requests look like costs nothing.
func TestCanonicalDoesNotAllocate(t *testing.T) {
	r, err := read("GET /films/1/cast?page=2 HTTP/1.1\r\nHost: api.example.org:8080\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := policy.Canonical(r); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Canonical of a plain request allocates %v times, want 0", n)
	}
}

func ExampleCanonical() {
	for _, target := range []string{"/%66ilms/a%40b", "/public/..;/admin", "/public//admin"} {
		r, err := http.NewRequest("GET", target, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		r.Host = "API.example.org:8080"
		q, err := policy.Canonical(r)
		if err != nil {
			fmt.Println("400", err)
			continue
		}
		fmt.Println(q.Host, "forward", q.Path, "match", q.Decoded())
	}
	// Output:
	// api.example.org forward /films/a%40b match /films/a@b
	// 400 request target is not canonical: the path contains a dot segment
	// 400 request target is not canonical: the path contains an empty segment
}
