package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/policy"
)

// BenchmarkCanonical has what people send first, and then what attackers do.
func BenchmarkCanonical(b *testing.B) {
	for _, bench := range []struct{ name, target string }{
		{"plain", "/films/1/cast?page=2"},
		{"escaped", "/films/a%40b/%c3%a9"},
		{"parameters", "/films;v=1/2;w=3"},
		{"60kB", "/" + strings.Repeat("a", 60_000)},
		{"60kB_segments", strings.Repeat("/a", 30_000)},
		{"60kB_escapes", "/" + strings.Repeat("%61", 20_000)},
		{"60kB_parameters", "/a" + strings.Repeat(";", 60_000)},
		{"60kB_slashes_refused", strings.Repeat("/", 60_000)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			r, err := read("GET " + bench.target + " HTTP/1.1\r\nHost: api.example.org:8080\r\n\r\n")
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				_, _ = policy.Canonical(r)
			}
		})
	}
}

// someRules are n rules of the shapes that an API has.
func someRules(n int) []policy.Rule {
	list := make([]policy.Rule, 0, n)
	for i := 0; len(list) < n; i++ {
		list = append(list, policy.Rule{Methods: []string{"GET"}, Path: fmt.Sprintf("/api/v1/things%d/{id}", i), Allow: policy.Role("basic")})
		if len(list) < n {
			list = append(list, policy.Rule{Path: fmt.Sprintf("/api/v1/things%d/**", i), Allow: policy.Role("admin")})
		}
	}
	return list
}

// BenchmarkLookup: what a look-up costs may not grow with the number of rules. The budget from 10 to 5,000 is a factor of two.
func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{10, 100, 5_000, 100_000} {
		table := newTable(b, policy.Config{Roles: policy.RoleList("basic", "admin"), Rules: someRules(n)})
		for name, target := range map[string]string{"hit": fmt.Sprintf("/api/v1/things%d/42", n/4), "miss": "/api/v2/things/42"} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				q := request(b, "GET", "api.example.org", target)
				b.ReportAllocs()
				for b.Loop() {
					_, _ = table.Lookup(q)
				}
			})
		}
	}
}

// BenchmarkLookupRegexes: each regular expression is asked, which is why patterns are to be preferred.
func BenchmarkLookupRegexes(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		var list []policy.Rule
		for i := range n {
			list = append(list, policy.Rule{Regex: fmt.Sprintf(`/things%d/\d+(/[a-z]+)*`, i)})
		}
		table := newTable(b, policy.Config{Rules: list})
		for name, target := range map[string]string{"short": "/things0/42/a", "60kB": "/things0/42" + strings.Repeat("/a", 30_000)} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				q := request(b, "GET", "api.example.org", target)
				b.ReportAllocs()
				for b.Loop() {
					_, _ = table.Lookup(q)
				}
			})
		}
	}
}

// BenchmarkLookupBacktracks is the worst tree for a path that leads into every branch and out of none.
func BenchmarkLookupBacktracks(b *testing.B) {
	var list []policy.Rule
	for i := range 1 << 10 {
		path := ""
		for bit := range 10 {
			path += []string{"/a", fmt.Sprintf("/{x%d}", bit)}[i>>bit&1]
		}
		list = append(list, policy.Rule{Path: path + "/end"})
	}
	table := newTable(b, policy.Config{Rules: list})
	q := request(b, "GET", "x", strings.Repeat("/a", 10)+"/x")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = table.Lookup(q)
	}
}

func BenchmarkDecide(b *testing.B) {
	table := newTable(b, policy.Config{Roles: policy.RoleList("basic", "admin"), Permissions: policy.Permissions{"basic": {"films.*"}}})
	for _, bench := range []struct {
		name string
		need policy.Requirement
		who  gatehouse.Principal
	}{
		{"allow", policy.Role("basic"), user("basic")},
		{"allow_any", policy.Any(policy.Scope("a", "b"), policy.All(policy.Role("basic"), policy.Permission("films.read"))), user("basic")},
		{"forbidden", policy.Role("admin"), user("basic")},
		{"unauthorized", policy.Role("basic"), gatehouse.Anonymous()},
	} {
		b.Run(bench.name, func(b *testing.B) {
			m := policy.Match{Rule: &policy.Rule{}, Allow: bench.need}
			b.ReportAllocs()
			for b.Loop() {
				_ = table.Decide(m, bench.who, nil)
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	for _, n := range []int{10, 5_000} {
		list := someRules(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				newTable(b, policy.Config{Roles: policy.RoleList("basic", "admin"), Rules: list})
			}
		})
	}
}
