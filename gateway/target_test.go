package gateway_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/gateway"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
)

// TestTargetsThatAreRefused sends request lines that hops read differently. None may reach the upstream, whoever sends it.
func TestTargetsThatAreRefused(t *testing.T) {
	h := build(t, plan{})
	for _, row := range []struct {
		line string
		want int
	}{
		{"GET http:http://int/admin", 400}, // opaque
		{"GET http:/admin", 400},
		{"GET mailto:root@example.org", 400},
		{"GET http://other.example/admin", 400}, // absolute for somebody else
		{"GET http://app.example/public/x", 400},
		{"GET https://app.example/", 400},
		{"GET ftp://app.example/", 400},
		{"GET http://jack:secret@app.example/", 400},
		{"GET *", 400},
		{"GET admin", 400},
		{"GET ?a=b", 400},
		{"GET /public/../admin", 400}, // dot segments
		{"GET /public/..", 400},
		{"GET /public/.", 400},
		{"GET /./admin", 400},
		{"GET /public/%2e%2e/admin", 400},
		{"GET /public/.%2E/admin", 400},
		{"GET /public/..;/admin", 400},
		{"GET /public/..;x=y/admin", 400},
		{"GET /public/%2e%2e;/admin", 400},
		{"GET //admin", 400}, // empty segments
		{"GET /public//admin", 400},
		{"GET //app.example/admin", 400},
		{"GET ///", 400},
		{"GET /public/;/admin", 400},
		{"GET /public%2fadmin", 400}, // encoded slashes
		{"GET /public/..%2fadmin", 400},
		{"GET /public/%2e%2e%2fadmin", 400},
		{"GET /public/x%2F..%2F..%2Fadmin", 400},
		{"GET /slash/..%2fadmin", 400},
		{"GET /slash/%2e%2e%2Fadmin", 400},
		{"GET /public\\..\\admin", 400}, // backslashes
		{"GET \\admin", 400},
		{"GET /public/%5c..%5cadmin", 400},
		{"GET /public#/../admin", 400}, // fragments
		{"GET /#", 400},
		{"GET /public?x#/admin", 400},
		{"GET /public/%00", 400}, // control characters
		{"GET /public/%0d%0aX:y", 400},
		{"GET /public/%7f", 400},
		{"GET /public/\x01", 400},
		{"GET /public/%c2%85", 400},
		{"GET /public/\xc0\xae\xc0\xae/admin", 400}, // overlong
		{"GET /public/%c0%af", 400},
		{"GET /public/%ff", 400},
		{"GET /public/%", 400}, // bad escapes
		{"GET /public/%2", 400},
		{"GET /public/%zz", 400},
		{"GET /public/%u002e", 400},
		{"GET /public/x /admin", 400}, // a space within the line
		{"GET  /public/x", 400},
		{"CONNECT app.example:80", 405},
		{"CONNECT /public/x", 405},
		{"TRACE /public/x", 405},
		{"TRACK /public/x", 405},
		{"get /public/x", 405},
		{"Get /public/x", 405},
		{"trace /public/x", 405},
		{"connect app.example:80", 405},
		{"PROPFIND /public/x", 405},
		{"G@T /public/x", 400},
		{"GET\t/public/x", 400},
	} {
		for _, who := range []string{root, "X-Nobody: x"} {
			got := h.refused(t, request(row.line, who), row.want)
			if row.want == 405 && got.header.Get("Allow") == "" {
				t.Errorf("%s: 405 without Allow", row.line)
			}
		}
	}
}

// TestOptionsStar: net/http answers it itself, or we refuse it. It is never forwarded.
func TestOptionsStar(t *testing.T) {
	h := build(t, plan{})
	h.refused(t, request("OPTIONS *", root), 200, 400)
}

// TestPathParameters: what a servlet container would drop from a path must not change who may pass.
func TestPathParameters(t *testing.T) {
	h := build(t, plan{})
	for _, target := range []string{"/public;x/a", "/admin;x/a", "/admin;/a", "/admin%3bx/a", "/host;x"} {
		raw := request("GET "+target, jack, "Host: films.example")
		if got := once(t, h.addr, raw); got.status == http.StatusOK {
			t.Errorf("%s: %v, want a refusal", target, got)
		}
		if list := h.app.take(); len(list) > 0 {
			t.Errorf("%s reached the upstream as %q", target, list[0].line())
		}
	}
	if s := h.reached(t, request("GET /films/7;v=2", jack)); s.target() != "/films/7;v=2" {
		t.Errorf("the upstream saw %q, want the parameter where the rule is the same with and without it", s.target())
	}
}

// TestTargetsAsForwarded: what was judged is what the upstream reads, to the byte.
func TestTargetsAsForwarded(t *testing.T) {
	h := build(t, plan{})
	for _, row := range []struct{ sent, want string }{
		{"/", "/"},
		{"/a", "/a"},
		{"/a/", "/a/"},
		{"/a?", "/a?"},
		{"/a?b=c", "/a?b=c"},
		{"/a?a=1;b=2", "/a?a=1;b=2"}, // net/http's proxy drops it
		{"/a?a=%zz&b=%", "/a?a=%zz&b=%"},
		{"/a?next=/admin/../x//y", "/a?next=/admin/../x//y"},
		{"/a?x=\xff\xfe\"<>\\^`{|}", "/a?x=\xff\xfe\"<>\\^`{|}"},
		{"/a??b?c", "/a??b?c"},
		{"/a?%00%0d%0a", "/a?%00%0d%0a"},
		{"/%73ecret", "/secret"},
		{"/%7Euser", "/~user"},
		{"/a%40b", "/a%40b"},
		{"/a@b", "/a@b"},
		{"/a%3ab:c", "/a%3Ab:c"},
		{"/a%20b", "/a%20b"},
		{"/a+b", "/a+b"},
		{"/a%2bb", "/a%2Bb"},
		{"/%e2%82%ac", "/%E2%82%AC"},
		{"/\xe2\x82\xac", "/%E2%82%AC"},
		{"/a%25b", "/a%25b"},
		{"/a%252e%252e/b", "/a%252e%252e/b"},
		{"/a!$&'()*+,=:@-._~", "/a!$&'()*+,=:@-._~"},
		{"/a%21%24%26%27", "/a%21%24%26%27"},
		{`/a"<>^` + "`{|}", "/a%22%3C%3E%5E%60%7B%7C%7D"},
		{"/a[b]", "/a%5Bb%5D"},
		{"/slash/a%2fb", "/slash/a%2Fb"},
		{"/slash/a%2F", "/slash/a%2F"},
		{"/...", "/..."},
		{"/.a/..b/c..", "/.a/..b/c.."},
		{"/*", "/*"},
	} {
		if s := h.reached(t, request("GET "+row.sent, root)); s.target() != row.want {
			t.Errorf("GET %s: the upstream saw %q, want %q", row.sent, s.target(), row.want)
		}
	}
}

// TestAbsoluteForm: only for the address that the connection arrived at, and then as an origin-form target.
func TestAbsoluteForm(t *testing.T) {
	h := build(t, plan{})
	s := h.reached(t, request("GET http://"+h.addr+"/public/%73?q", "Host: evil.example"))
	if s.target() != "/public/s?q" {
		t.Errorf("the upstream saw %q, want the path alone", s.target())
	}
	only(t, s, "Host", h.addr)
	only(t, s, "X-Forwarded-Host", h.addr)
}

// TestHosts: the host that was judged is the one that is forwarded.
func TestHosts(t *testing.T) {
	h := build(t, plan{})
	for _, row := range []struct{ sent, want string }{
		{"app.example", "app.example"},
		{"APP.Example", "app.example"},
		{"app.example.", "app.example"},
		{"App.Example.:8443", "app.example:8443"},
		{"app.example:", "app.example"},
		{"[::1]", "[::1]"},
		{"[0:0::1]:99", "[::1]:99"},
		{"127.0.0.1", "127.0.0.1"},
	} {
		s := h.reached(t, request("GET /a", root, "Host: "+row.sent))
		only(t, s, "Host", row.want)
		only(t, s, "X-Forwarded-Host", row.want)
	}
	for _, host := range []string{"", "a b", "a/b", "user@app.example", "app.example:80:80", "app.example:x", "a,b", "a\x00b", "app..example", "[::1", "[::1%25lo]", "é.example", "app.example#", "app.example?"} {
		h.refused(t, request("GET /public/x", "Host: "+host), 400)
	}
	h.refused(t, "GET /public/x HTTP/1.0\r\n\r\n", 400)
	h.refused(t, "GET /public/x HTTP/1.1\r\n\r\n", 400)
	h.refused(t, request("GET /public/x", "Host: app.example", "Host: films.example"), 400)
	h.refused(t, request("GET /public/x", "Host: app.example", "Host: app.example"), 400)
	h.refused(t, request("GET /host", "Host: other.example"), 401)
	h.reached(t, request("GET /host", "Host: FILMS.example.:80"))
}

// TestVersions: HTTP/1.0 with a host passes, what is no version does not.
func TestVersions(t *testing.T) {
	h := build(t, plan{})
	if got := once(t, h.addr, "GET /public/x HTTP/1.0\r\nHost: app.example\r\n\r\n"); got.status != 200 {
		t.Errorf("HTTP/1.0 with a host: %v, want 200", got)
	}
	h.app.take()
	h.refused(t, "GET /public/x\r\n\r\n", 400)
	h.refused(t, "GET /public/x HTTP/3.0\r\nHost: a\r\n\r\n", 400, 505)
	h.refused(t, "GET /public/x HTTP/1.1 \r\nHost: a\r\n\r\n", 400, 505)
	h.refused(t, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 405, 505)
}

// pieces are what hops disagree about.
var pieces = []string{
	"/", "/", "/", "a", "b", "public", "admin", "slash", "..", ".", "%2e", "%2E", "%2f", "%2F", "%5c", "\\", ";", ";x=1", "%3b", "%00", "%09", "//",
	"%25", "%252f", "%c0%af", "%e2%82%ac", "é", "~", "%7e", "%41", "%61dmin", "p%75blic", "@", "%40", ":", "*", "'", "%27", "(", "+", "%20", "=", "&", ",", "!", "$",
	"%zz", "%", "#", "|", "^", "[", "]", "%5B", "\"", "<", "...", "%ff",
}

// randomPath returns a path that is built from what hops disagree about.
func randomPath(r *rand.Rand) string {
	path := "/"
	if r.IntN(2) == 0 {
		path += []string{"public/", "admin/", "slash/", "keep/", "films/"}[r.IntN(5)]
	}
	for range r.IntN(7) {
		path += pieces[r.IntN(len(pieces))]
	}
	return path
}

// TestJudgedIsForwarded sends 5,000 generated paths. What the upstream reads is the canonical path of the verdict, and judging what
// the upstream reads gives the same verdict.
func TestJudgedIsForwarded(t *testing.T) {
	h := build(t, plan{})
	g := newGuard(t, guardConfig(t))
	random := rand.New(rand.NewPCG(1, 2)) // the same paths in every run, so that a failure can be repeated
	conn := dial(t, h.addr)
	passed, outcomes := 0, map[int]int{}
	for i := range 5000 {
		path, who := randomPath(random), []string{jack, root, "X-Nobody: x"}[i%3]
		got := conn.ask(request("GET "+path, who))
		outcomes[got.status]++
		list := h.app.take()
		if got.err != nil || got.header.Get("Connection") == "close" {
			conn.Close()
			conn = dial(t, h.addr)
		}
		if len(list) == 0 {
			if got.status == 200 {
				t.Fatalf("GET %s: 200 without the upstream", path)
			}
			continue
		}
		passed++
		sameVerdict(t, g, path, list[0].target(), who)
	}
	t.Logf("%d of 5,000 paths reached the upstream; statuses: %v", passed, outcomes)
	if passed < 500 || outcomes[400] < 500 || outcomes[401] < 100 || outcomes[403] < 50 {
		t.Errorf("%d paths passed, statuses %v: too few of a kind, the property would see nothing", passed, outcomes)
	}
}

func sameVerdict(t *testing.T, g *guard.Guard, sent, forwarded, who string) {
	t.Helper()
	before, after := judge(t, g, sent, who), judge(t, g, forwarded, who)
	if before.Request.Path != forwarded {
		t.Errorf("GET %s: the upstream saw %q, judged was %q", sent, forwarded, before.Request.Path)
	}
	if !before.Allowed() || !after.Allowed() || before.RuleName() != after.RuleName() || before.Request != after.Request {
		t.Errorf("GET %s: forwarded as %s: judged %v by %q, again %v by %q", sent, forwarded, before.Reason(), before.RuleName(), after.Reason(), after.RuleName())
	}
}

// judge asks g about a request line as a server would have read it.
func judge(t *testing.T, g *guard.Guard, target, who string) *guard.Verdict {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatalf("%q: %v", target, err)
	}
	name, value, _ := strings.Cut(who, ": ")
	r := &http.Request{Method: "GET", URL: u, RequestURI: target, Host: "app.example", Header: http.Header{}}
	r.Header.Set(name, value)
	return g.Judge(r)
}

// TestEncodedSlashInSegments: a path with an encoded slash is judged as one segment and forwarded as such, where a rule allows it at all.
func TestEncodedSlashInSegments(t *testing.T) {
	table := newTable(t, policy.Rule{Path: "/files/{name}", Allow: policy.Anyone(), AllowEncodedSlash: true},
		policy.Rule{Path: "/files/a/secret", Allow: policy.Role("admin")})
	h := build(t, plan{
		guard: func(c *guard.Config) { c.Rules, c.Policy = table, guard.AsSubject{Table: table} },
		proxy: func(c *gateway.ProxyConfig) { c.Routes = nil },
	})
	if s := h.reached(t, request("GET /files/a%2fsecret")); s.target() != "/files/a%2Fsecret" {
		t.Errorf("the upstream saw %q, want the slash still encoded", s.target())
	}
	h.refused(t, request("GET /files/a/secret"), 401)
	h.refused(t, request("GET /files/a%2f%2e%2e%2fb"), 400)
}

// TestLongQuery: more parameters than net/url parses are forwarded as they came.
func TestLongQuery(t *testing.T) {
	h := build(t, plan{})
	var query strings.Builder
	for i := range 10_500 {
		fmt.Fprintf(&query, "&%d=", i)
	}
	s := h.reached(t, request("GET /a?"+query.String(), jack))
	if s.target() != "/a?"+query.String() {
		t.Errorf("the upstream saw %d bytes of the target, want all %d", len(s.target()), query.Len()+3)
	}
}
