package policy_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-auth/gatehouse/policy"
)

// attacked is a table in which every confusion of paths would show: what is public lies beside, above and below what is not.
func attacked(t testing.TB) *policy.Table {
	t.Helper()
	list := rules(
		"* /public/**", "* /admin/**", "GET /public/films/{id}", "* /public/secret", "* /films/{id}", "* /films/new", "* /films/{id}/cast/**", "GET /a@b", "* /é/{x}",
		"* /", "* /admin/open", "* /{tenant}/admin", "* admin.example/**", "* admin.example/public/**", "* ~/re/.*", "* ~/[a-z]+/info", `* ~/re/\d+/.*`,
	)
	list = append(list, policy.Rule{Name: "files", Path: "/files/{name}", Allow: policy.Anyone(), AllowEncodedSlash: true})
	return newTable(t, policy.Config{Rules: list})
}

// decodedRequest is the request for a path that is decoded already, as an upstream would route it.
func decodedRequest(method, host, decoded string) (policy.Request, error) {
	return policy.Canonical(&http.Request{Method: method, Host: host, URL: &url.URL{Path: decoded}})
}

// The upstreams below read a path the way real servers do. None of them decodes twice.
var upstreams = map[string]func(escaped string) (decoded string, err error){
	// A servlet container drops path parameters, decodes, and resolves dots and double slashes.
	"servlet": func(escaped string) (string, error) {
		return readSegments(escaped, func(i, n int) bool { return true })
	},
	// Some libraries take parameters for part of the last segment only.
	"last parameters": func(escaped string) (string, error) {
		return readSegments(escaped, func(i, n int) bool { return i == n-1 })
	},
	// nginx decodes, merges slashes and resolves dots.
	"merging": func(escaped string) (string, error) {
		decoded, err := url.PathUnescape(escaped)
		return resolve(decoded), err
	},
	// IIS takes a backslash for a slash.
	"backslashes": func(escaped string) (string, error) {
		decoded, err := url.PathUnescape(escaped)
		return resolve(strings.ReplaceAll(decoded, `\`, "/")), err
	},
	// A program in C ends where a NUL does.
	"NUL": func(escaped string) (string, error) {
		decoded, err := url.PathUnescape(escaped)
		decoded, _, _ = strings.Cut(decoded, "\x00")
		return resolve(decoded), err
	},
	// Some parse what they were sent as a URL of any form, fragments included.
	"URL parser": func(escaped string) (string, error) {
		u, err := url.Parse(escaped)
		if err != nil {
			return "", err
		}
		return resolve(u.Path), nil
	},
}

// readSegments drops the path parameters of the segments that strip names, then decodes and resolves.
func readSegments(escaped string, strip func(i, n int) bool) (string, error) {
	segments := strings.Split(escaped, "/")
	for i, s := range segments {
		if strip(i, len(segments)) {
			s, _, _ = strings.Cut(s, ";")
		}
		decoded, err := url.PathUnescape(s)
		if err != nil {
			return "", err
		}
		segments[i] = decoded
	}
	return resolve(strings.Join(segments, "/")), nil
}

// resolve merges slashes and resolves dot segments, and keeps a trailing slash.
func resolve(decoded string) string {
	clean := path.Clean("/" + decoded)
	if strings.HasSuffix(decoded, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}

// hostHeader spells q's host as a header has it.
func hostHeader(q policy.Request) string {
	if strings.Contains(q.Host, ":") {
		return "[" + q.Host + "]"
	}
	return q.Host
}

// accepted returns everything that must hold for a request that Canonical took.
func accepted(table *policy.Table, q policy.Request) error {
	for _, f := range []func(*policy.Table, policy.Request) error{
		holdsForm, holdsIdempotence, holdsDecoding, holdsQuery, holdsUpstreams,
	} {
		if err := f(table, q); err != nil {
			return fmt.Errorf("%+v: %w", q, err)
		}
	}
	return nil
}

// holdsForm: what is forwarded fits in a request line and has no byte outside RFC 3986.
func holdsForm(_ *policy.Table, q policy.Request) error {
	const plain = "/-._~!$&'()*+,;=:@%"
	if !strings.HasPrefix(q.Path, "/") || strings.HasPrefix(q.Path, "//") {
		return errors.New("the path does not start with one slash")
	}
	for _, c := range []byte(q.Path) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(plain, c) >= 0) {
			return fmt.Errorf("%q in the path", c)
		}
	}
	if q.Host == "" || q.Host != strings.ToLower(q.Host) || strings.ContainsAny(q.Host, " /@[]\\") || strings.HasSuffix(q.Host, ".") {
		return fmt.Errorf("host %q", q.Host)
	}
	return nil
}

// holdsIdempotence: the canonical request is its own canonical form.
func holdsIdempotence(_ *policy.Table, q policy.Request) error {
	again, err := canonicalMethod(q.Method, q.Path, hostHeader(q))
	if err != nil {
		return fmt.Errorf("the canonical path is refused: %w", err)
	}
	again.HasQuery = q.HasQuery
	if again != q {
		return fmt.Errorf("the canonical path becomes %+v", again)
	}
	return nil
}

// holdsDecoding: what is forwarded decodes to what was matched.
func holdsDecoding(_ *policy.Table, q policy.Request) error {
	want := strings.Split(q.Path, "/")
	got := strings.Split(q.Decoded(), "/")
	if len(got) != len(want) {
		return fmt.Errorf("%d segments are matched, %d forwarded", len(got), len(want))
	}
	for i := range want {
		decoded, err := url.PathUnescape(strings.ReplaceAll(want[i], "%2F", "%252F")) // %2F is matched as it is
		if err != nil || decoded != got[i] {
			return fmt.Errorf("%q is matched as %q, decodes to %q, %v", want[i], got[i], decoded, err)
		}
	}
	return nil
}

// holdsQuery: no query changes what is decided.
func holdsQuery(table *policy.Table, q policy.Request) error {
	want, wantErr := table.Lookup(q)
	for _, query := range []string{"", "x", "/../admin", "a=1;b=2", "%2F%00", "//", "?", "\xff", ";x", "/public/"} {
		r, err := read(q.Method + " " + q.Path + "?" + query + " HTTP/1.1\r\nHost: x\r\n\r\n")
		if err != nil {
			return err
		}
		r.Host = hostHeader(q)
		asked, err := policy.Canonical(r)
		if err != nil || asked.Path != q.Path || !asked.HasQuery {
			return fmt.Errorf("query %q makes it %+v, %w", query, asked, err)
		}
		got, err := table.Lookup(asked)
		if (err == nil) != (wantErr == nil) || !sameMatch(got, want) {
			return fmt.Errorf("query %q makes it rule %q, %w", query, ruleNames(got), err)
		}
	}
	return nil
}

// holdsUpstreams: however an upstream reads what is forwarded, it serves what was judged. A rule that allows encoded slashes says
// that its upstream does not decode them.
func holdsUpstreams(table *policy.Table, q policy.Request) error {
	m, err := table.Lookup(q)
	if err != nil || q.EncodedSlash {
		return nil
	}
	for name, upstream := range upstreams {
		decoded, err := upstream(q.Path)
		if err != nil {
			return fmt.Errorf("upstream %q: %w", name, err)
		}
		served, err := decodedRequest(q.Method, hostHeader(q), decoded)
		if err != nil {
			return fmt.Errorf("upstream %q serves %q: %w", name, decoded, err)
		}
		if got, err := table.Lookup(served); err != nil || !sameMatch(got, m) {
			return fmt.Errorf("upstream %q serves %q under rule %q, %v, judged was rule %q", name, decoded, ruleNames(got), err, ruleNames(m))
		}
	}
	return nil
}

// sameMatch compares what judges; tables are the same.
func sameMatch(a, b policy.Match) bool {
	return a.Rule == b.Rule && slices.Equal(a.Also, b.Also) && slices.Equal(a.Allowed, b.Allowed) && a.Strict == b.Strict
}

// spellings are decoded paths that are attacked, good ones and bad ones.
var spellings = []string{
	"/", "/admin", "/admin/", "/admin/open", "/admin/users/1", "/public/films/1", "/public/secret", "/films/new", "/films/1/cast/2", "/a@b", "/é/ü", "/acme/admin",
	"/films/a b", "/films/100%", "/films/%2e%2e", "/public/a:b!c(d)e*f", "/re/1/x", "/abc/info", "/films/日本", "/films/[1]{2}|^`\"<>", "/public/..a/b..",
	"/films/1;v=2", "/admin;x/users", "/public;/secret", "/films/new;x", "/;x", "/public/;", "/films/..;", "/films/a?b", "/films/a#b",
	"/public/../admin", "/public/./secret", "//admin", "/public//secret", `/public\admin`, "/admin\x00", "/admin\x00.html", "/public/\x7f", "/public/\u0085", "/public/\n", "/..", "/public/..",
}

// encode writes a decoded path with some of its bytes escaped, in either case of digits. Bytes that net/http does not take
// raw are always escaped.
func encode(r *rand.Rand, decoded string) string {
	rate := r.Float64()
	var out strings.Builder
	for i := range len(decoded) {
		c := decoded[i]
		must := c <= ' ' || c == 0x7f || c == '%' || c == '?' || c == '#'
		keep := c == '/' && r.IntN(20) > 0
		if must || !keep && r.Float64() < rate {
			_, _ = fmt.Fprintf(&out, []string{"%%%02x", "%%%02X"}[r.IntN(2)], c)
			continue
		}
		out.WriteByte(c)
	}
	if !strings.HasPrefix(out.String(), "/") {
		return "/" + out.String()[3:] // the first slash makes it a path
	}
	return out.String()
}

// TestFiveThousandEncodings: a spelling of a path is refused, or judged as the plain one is, and forwarded as what was judged.
func TestFiveThousandEncodings(t *testing.T) {
	table, r := attacked(t), rand.New(rand.NewPCG(1, 2))
	refused, passed := 0, 0
	for i := range 5_000 {
		decoded := spellings[i%len(spellings)]
		target := encode(r, decoded)
		method := []string{"GET", "POST", "HEAD"}[i%3]
		host := []string{"x.example", "ADMIN.example."}[i%2]
		want, wantErr := lookupDecoded(table, method, host, decoded)
		q, err := canonicalMethod(method, target, host)
		if err != nil {
			refused++
			continue
		}
		if err := accepted(table, q); err != nil {
			t.Fatalf("%q for %q: %v", target, decoded, err)
		}
		got, err := table.Lookup(q)
		switch {
		case err != nil:
			refused++
		case wantErr != nil:
			t.Fatalf("%q is taken for %q, which is refused when it is spelled plainly: %v", target, q.Decoded(), wantErr)
		case !sameMatch(got, want) || q.Decoded() != decoded:
			t.Fatalf("%q is judged by %q as %q, want %q as %q", target, ruleNames(got), q.Decoded(), ruleNames(want), decoded)
		default:
			passed++
		}
	}
	if refused < 1000 || passed < 1000 {
		t.Errorf("%d of 5,000 encodings refused, %d passed: one side is not tested", refused, passed)
	}
}

func lookupDecoded(table *policy.Table, method, host, decoded string) (policy.Match, error) {
	q, err := decodedRequest(method, host, decoded)
	if err != nil {
		return policy.Match{}, err
	}
	return table.Lookup(q)
}

// TestTargetsHoldProperties makes targets of the pieces that attackers use.
func TestTargetsHoldProperties(t *testing.T) {
	table := attacked(t)
	pieces := rapid.SampledFrom([]string{
		"/", "/", "/", "/", "admin", "public", "films", "secret", "new", "re", "1", "a", ".", "..", "...", ";", ";x=y", "..;", "%2e", "%2E", "%2f", "%5c", "%3b", "%3B", "%25",
		"%252e", "%40", "%73", "@", "é", "%c3%a9", "%c0%ae", "%00", "%0a", "%20", "#", "?", "//", `\`, "%", "*", "!", "'", "(", "%21", "%2a", "[", "open", "files", "info", "acme", "~", "=", "&",
	})
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		for range 30 {
			target := "/" + strings.Join(rapid.SliceOfN(pieces, 0, 8).Draw(t, "pieces"), "")
			method := rapid.SampledFrom([]string{"GET", "POST", "HEAD", "TRACE"}).Draw(t, "method")
			host := rapid.SampledFrom([]string{"x", "admin.example", "ADMIN.example.:8080", "[::1]:80"}).Draw(t, "host")
			q, err := canonicalMethod(method, target, host)
			if err != nil {
				continue
			}
			taken++
			if err := accepted(table, q); err != nil {
				t.Fatalf("%s %q at %q: %v", method, target, host, err)
			}
		}
	})
	if taken < 200 {
		t.Errorf("only %d targets were taken: the properties are hardly tested", taken)
	}
}

// TestDecisionIgnoresTheQuery goes all the way to the decision.
func TestDecisionIgnoresTheQuery(t *testing.T) {
	table := newTable(t, policy.Config{Roles: policy.RoleList("basic", "admin"), Rules: []policy.Rule{
		{Path: "/public/**", Allow: policy.Anyone()}, {Path: "/admin/**", Allow: policy.Role("admin")}, {Regex: `/.*\.css`, Allow: policy.Anyone()},
	}})
	rapid.Check(t, func(t *rapid.T) {
		target := rapid.SampledFrom([]string{"/public/a", "/admin/a", "/a.css", "/none"}).Draw(t, "target")
		query := rapid.StringMatching(`[!"$-~]{0,40}`).Draw(t, "query")
		for _, p := range []string{"", "basic", "admin"} {
			plain, _ := table.Lookup(mustTake(t, target))
			asked, err := table.Lookup(mustTake(t, target+"?"+query))
			want, got := table.Decide(plain, user(p), nil).Outcome, table.Decide(asked, user(p), nil).Outcome
			if err != nil || got != want {
				t.Fatalf("%s?%s as %q = %v, %v, want %v", target, query, p, got, err, want)
			}
		}
	})
}

func mustTake(t *rapid.T, target string) policy.Request {
	q, err := canonical(target, "x")
	if err != nil {
		t.Fatalf("Canonical(%q): %v", target, err)
	}
	return q
}
