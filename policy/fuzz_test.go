package policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/policy"
)

// FuzzCanonical parses raw bytes the way the server does. Nothing panics; what is refused is refused with ErrTarget; what is taken
// holds every property of property_test.go.
func FuzzCanonical(f *testing.F) {
	for _, target := range spellings {
		f.Add([]byte("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n"))
	}
	for _, raw := range []string{
		"GET http:http://int/admin HTTP/1.1\r\nHost: x\r\n\r\n", "GET http://x/admin HTTP/1.1\r\nHost: y\r\n\r\n", "GET /a HTTP/1.0\r\n\r\n",
		"CONNECT x:443 HTTP/1.1\r\n\r\n", "CONNECT /admin HTTP/1.1\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "GET /public#/../admin HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /%61%2fb?x;y HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET /a HTTP/1.1\r\nHost: EXAMPLE.org.:8080\r\n\r\n", "GET /a%252e%21! HTTP/1.1\nHost: a..b\n\n",
		"PURGE /re/1/x;y HTTP/1.1\r\nHost: [0:0::1]\r\n\r\n", "GET /\xc3\xa9/%c3%a9 HTTP/1.1\r\nHost: admin.example\r\n\r\n",
	} {
		f.Add([]byte(raw))
	}
	table := attacked(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := read(string(raw))
		if err != nil {
			return
		}
		q, err := policy.Canonical(r)
		if err != nil {
			if !errors.Is(err, policy.ErrTarget) || q != (policy.Request{}) {
				t.Errorf("Canonical(%q) = %+v, %v, want nothing but ErrTarget", raw, q, err)
			}
			return
		}
		if err := accepted(table, q); err != nil {
			t.Errorf("%q: %v", raw, err)
		}
	})
}

// FuzzPattern compiles patterns. What is taken and has no wildcard matches itself, and no more than that.
func FuzzPattern(f *testing.F) {
	for _, pattern := range []string{
		"/", "/**", "/films/{id}", "/films/{id}/**", "/a%40b", "/%61", "/é", "/a b", "/..", "/a//b", "/{", "/{}", "/a;b", "/a%3Bb", "/a%2Fb", "/a%252Fb", "/%7Bx%7D", "films", "", "/a?b", "/a%3Fb",
		"/%c0%ae", "/a\x00", `/a\b`, "/[x]", "/%25", "/a.", "/...", "/films/",
	} {
		f.Add(pattern)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		table, err := policy.New(policy.Config{Rules: []policy.Rule{{Path: pattern, AllowEncodedSlash: true}}})
		if err != nil {
			if list := ruleErrors(err); len(list) != 1 || list[0].Field != "path" || table != nil {
				t.Errorf("New with path %q = %v, %v, want one fault of the path", pattern, table, err)
			}
			return
		}
		if strings.Contains(pattern, "{") || strings.Contains(pattern, "**") {
			return
		}
		q, err := canonicalOf(pattern)
		if err != nil {
			t.Fatalf("path %q is taken, and refused as a target: %v", pattern, err)
		}
		if m, err := table.Lookup(q); err != nil || m.Rule == nil {
			t.Errorf("path %q does not match itself: %v", pattern, err)
		}
		for _, other := range []string{q.Path + "x", strings.TrimSuffix(q.Path, "/") + "/x", "/x" + q.Path} {
			if q, err := canonicalOf(other); err == nil {
				if m, _ := table.Lookup(q); m.Rule != nil {
					t.Errorf("path %q matches %q", pattern, other)
				}
			}
		}
	})
}

// canonicalOf escapes what a request line cannot carry: patterns may be written with spaces.
func canonicalOf(pattern string) (policy.Request, error) {
	return canonical(strings.NewReplacer(" ", "%20", "?", "%3F").Replace(pattern), "x")
}

// FuzzRegex compiles regular expressions: nothing panics, and what is taken matches whole paths only.
func FuzzRegex(f *testing.F) {
	for _, expr := range []string{"/a", "/a|/b", "(?i)/A", `/\d+`, "a)|(b", `/\Qa`, "^/a$", "(?m)^/a$", "", "/(a{9}){9}", "/a%2Fb", "[^/]*", "(?s)/.*"} {
		f.Add(expr, "/a")
	}
	f.Fuzz(func(t *testing.T, expr, target string) {
		table, err := policy.New(policy.Config{Rules: []policy.Rule{{Name: "r", Regex: expr, AllowEncodedSlash: true}}})
		if err != nil {
			return
		}
		q, err := canonical(target, "x")
		if err != nil {
			return
		}
		m, err := table.Lookup(q)
		if err != nil {
			return
		}
		whole, err := policy.New(policy.Config{Rules: []policy.Rule{{Name: "r", Regex: "(" + expr + ")", AllowEncodedSlash: true}}})
		if err != nil {
			return // too long, or a flag that needs its place
		}
		if other, err := whole.Lookup(q); err != nil || (m.Rule == nil) != (other.Rule == nil) {
			t.Errorf("%q matches %q is %v, in brackets %v, %v", expr, target, m.Rule != nil, other.Rule != nil, err)
		}
	})
}

// FuzzLookup asks one table about requests of every kind, and makes sure that the two ways to refuse stay apart.
func FuzzLookup(f *testing.F) {
	for _, target := range spellings {
		f.Add("GET", "x", target)
	}
	f.Add("TRACE", "admin.example", "/public")
	f.Add("HEAD", "[::1]", "/files/a%2Fb")
	f.Add("", "", "")
	table := attacked(f)
	f.Fuzz(func(t *testing.T, method, host, target string) {
		q, err := canonicalMethod(method, target, host)
		if err != nil {
			return
		}
		m, err := table.Lookup(q)
		switch {
		case err != nil && (!errors.Is(err, policy.ErrTarget) || m.Rule != nil || m.IsPublic()):
			t.Errorf("Lookup(%+v) = %+v, %v, want nothing but ErrTarget", q, m, err)
		case m.Rule != nil && m.Allowed != nil:
			t.Errorf("Lookup(%+v) = rule %q and methods %v, want one of them", q, m.Rule.Name, m.Allowed)
		case m.Rule != nil && !table.Supports(q.Method):
			t.Errorf("Lookup(%+v) = rule %q for a method that the table does not take", q, m.Rule.Name)
		case m.Rule == nil && m.IsPublic():
			t.Errorf("Lookup(%+v) is public without a rule", q)
		}
		if d := table.Decide(m, user(), nil); (d.Outcome == policy.Allow) != (err == nil && m.Rule != nil) {
			t.Errorf("Decide for %+v under rule %q = %v, want allow exactly where a rule matches", q, ruleNames(m), d.Outcome)
		}
	})
}
