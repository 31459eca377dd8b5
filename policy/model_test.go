package policy_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-auth/gatehouse/policy"
)

// The model below looks at every rule, one after the other, with nothing but strings. It knows decoded patterns and paths only.

// A modelRule is a rule whose host and path are spelled as requests have them once they are decoded.
type modelRule struct {
	methods []string // nil: every method
	host    string
	path    string // with {x} and **
	regex   bool   // path is a regular expression made of literals, "[^/]*" and a final ".*"
}

func (r modelRule) takesMethod(method string) bool {
	return r.methods == nil || slices.Contains(r.methods, method) || method == "HEAD" && slices.Contains(r.methods, "GET")
}

func (r modelRule) takesPath(path string) bool {
	pattern, rest := strings.Split(r.path, "/"), strings.Split(path, "/")
	if r.regex {
		return regexModel(r.path, path)
	}
	for i, p := range pattern {
		switch {
		case p == "**":
			return true
		case i >= len(rest), strings.HasPrefix(p, "{") && rest[i] == "", !strings.HasPrefix(p, "{") && p != rest[i]:
			return false
		}
	}
	return len(pattern) == len(rest)
}

// regexModel understands "[^/]*" and a final ".*" without a regular expression.
func regexModel(expr, path string) bool {
	head, tree := strings.CutSuffix(expr, ".*")
	parts, rest := strings.Split(head, "[^/]*"), path
	for i, part := range parts {
		if i > 0 { // skip what [^/]* may take; the literals that follow it start with a slash
			end := strings.IndexByte(rest, '/')
			if end < 0 {
				end = len(rest)
			}
			rest = rest[end:]
		}
		if !strings.HasPrefix(rest, part) {
			return false
		}
		rest = rest[len(part):]
	}
	return tree || rest == ""
}

// rank sorts patterns: a literal before {x} before ** at the first place where two differ, which is to say that an exact path comes
// first and then the longer literal prefix.
func (r modelRule) rank() string {
	rank := ""
	for _, p := range strings.Split(r.path, "/") {
		switch {
		case p == "**":
			rank += "2"
		case strings.HasPrefix(p, "{"):
			rank += "1"
		default:
			rank += "0"
		}
	}
	return rank
}

// size is how many of the methods that requests use below the rule takes.
func (r modelRule) size() (n int) {
	for _, m := range modelMethods {
		if r.takesMethod(m) {
			n++
		}
	}
	return n
}

// beats compares two patterns that match one request.
func (r modelRule) beats(other modelRule) bool {
	if (r.host == "") != (other.host == "") {
		return r.host != ""
	}
	if a, b := r.rank(), other.rank(); a != b {
		return a < b
	}
	return r.size() < other.size()
}

var modelMethods = []string{"GET", "HEAD", "POST", "PURGE", "DELETE"} // DELETE: no rule names it

// modelLookup returns the indexes of the rules that judge.
func modelLookup(list []modelRule, method, host, path string) []int {
	best, regexes := -1, []int(nil)
	for i, r := range list {
		if r.host != "" && r.host != host || !r.takesMethod(method) || !r.takesPath(path) {
			continue
		}
		switch {
		case r.regex:
			regexes = append(regexes, i)
		case best < 0 || r.beats(list[best]):
			best = i
		}
	}
	if best >= 0 {
		return []int{best}
	}
	return regexes
}

// modelClash reports whether New must refuse two rules beside each other.
func modelClash(a, b modelRule) bool {
	if a.host != b.host || a.regex != b.regex || a.regex && a.path != b.path || shape(a.path) != shape(b.path) {
		return false
	}
	both, onlyA, onlyB := false, false, false
	for _, m := range modelMethods {
		inA, inB := a.takesMethod(m), b.takesMethod(m)
		both, onlyA, onlyB = both || inA && inB, onlyA || inA && !inB, onlyB || inB && !inA
	}
	return both && onlyA == onlyB
}

// shape is a pattern without the names of its parameters.
func shape(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if strings.HasPrefix(p, "{") {
			parts[i] = "{}"
		}
	}
	return strings.Join(parts, "/")
}

// spell writes a decoded path or host in one of several ways that mean the same to rules.
func spell(t *rapid.T, label, s string) string {
	replace := map[byte][]string{'a': {"a", "%61"}, '@': {"@", "%40"}, 'b': {"b", "%62"}}
	var out strings.Builder
	for i := range len(s) {
		if ways := replace[s[i]]; ways != nil && rapid.IntRange(0, 3).Draw(t, label) == 0 {
			out.WriteString(ways[1])
			continue
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

var genModelRule = rapid.Custom(func(t *rapid.T) modelRule {
	r := modelRule{host: rapid.SampledFrom([]string{"", "", "", "h.example", "g.example"}).Draw(t, "host")}
	r.methods = rapid.SampledFrom([][]string{nil, nil, {"GET"}, {"POST"}, {"HEAD"}, {"GET", "POST"}, {"PURGE"}, {"GET", "HEAD", "POST"}, {"HEAD", "PURGE"}}).Draw(t, "methods")
	if rapid.IntRange(0, 4).Draw(t, "kind") == 0 {
		r.regex = true
		r.path = rapid.SampledFrom([]string{"/a", "/a/[^/]*", "/[^/]*/b", "/b/.*", "/[^/]*", "/[^/]*/.*", "/@/[^/]*/b", "/.*"}).Draw(t, "regex")
		return r
	}
	parts := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "a", "b", "@", "{"}), 0, 4).Draw(t, "path")
	for i, p := range parts {
		if p == "{" {
			parts[i] = "{" + string(rune('p'+i)) + rapid.SampledFrom([]string{"", "2"}).Draw(t, "name") + "}"
		}
	}
	r.path = "/" + strings.Join(parts, "/") + rapid.SampledFrom([]string{"", "", "", "/"}).Draw(t, "slash")
	if rapid.IntRange(0, 3).Draw(t, "tail") == 0 {
		r.path = strings.TrimSuffix(r.path, "/") + "/**"
	}
	if strings.HasPrefix(r.path, "//") {
		r.path = "/"
	}
	return r
})

// compiledRule spells a model rule for New.
func (r modelRule) compiledRule(t *rapid.T) policy.Rule {
	rule := policy.Rule{Methods: r.methods, Host: r.host, Allow: policy.Authenticated()}
	if rapid.Bool().Draw(t, "capitals") {
		rule.Host = strings.ToUpper(r.host)
	}
	if r.regex {
		rule.Regex = r.path
	} else {
		rule.Path = spell(t, "spelling", r.path)
	}
	return rule
}

// modelTable draws rules until a table stands, and checks on the way that New refuses just what the model refuses. Regular
// expressions that patterns make dead are left out; which ones these are is tested by examples.
func modelTable(t *rapid.T) (*policy.Table, []modelRule) {
	var list []modelRule
	var compiled []policy.Rule
	for _, r := range rapid.SliceOfN(genModelRule, 0, 14).Draw(t, "rules") {
		next := append(slices.Clone(compiled), r.compiledRule(t))
		_, err := policy.New(policy.Config{Rules: next})
		clash := slices.ContainsFunc(list, func(other modelRule) bool { return modelClash(r, other) })
		dead := err != nil && strings.Contains(err.Error(), "never asked")
		if clash != (err != nil) && !dead {
			t.Fatalf("New with %+v beside %+v = error %v, want one: %v", r, list, err, clash)
		}
		if err == nil {
			list, compiled = append(list, r), next
		}
	}
	table, err := policy.New(policy.Config{Rules: compiled})
	if err != nil {
		t.Fatal(err)
	}
	return table, list
}

var genModelPath = rapid.Custom(func(t *rapid.T) string {
	parts := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "a", "b", "@", "c"}), 0, 5).Draw(t, "parts")
	path := "/" + strings.Join(parts, "/") + rapid.SampledFrom([]string{"", "", "/"}).Draw(t, "slash")
	if path == "//" {
		return "/"
	}
	return path
})

func TestLookupAgreesWithModel(t *testing.T) {
	hits := 0
	rapid.Check(t, func(t *rapid.T) {
		table, list := modelTable(t)
		for range 30 {
			path := genModelPath.Draw(t, "path")
			method := rapid.SampledFrom(modelMethods).Draw(t, "method")
			host := rapid.SampledFrom([]string{"h.example", "g.example", "x.example"}).Draw(t, "host")
			if !table.Supports(method) {
				continue
			}
			q, err := canonicalMethod(method, spell(t, "target", path), host)
			if err != nil {
				t.Fatal(err)
			}
			m, err := table.Lookup(q)
			if err != nil {
				t.Fatalf("Lookup(%s %s%s) = error %v", method, host, path, err)
			}
			want := modelLookup(list, method, host, path)
			if got := ruleIndexes(m); !slices.Equal(got, want) {
				t.Fatalf("Lookup(%s %s%s) = rules %v, want %v of %+v", method, host, path, got, want, list)
			}
			if len(want) > 0 {
				hits++
				continue
			}
			wantAllowed(t, m, list, host, path)
		}
	})
	if hits < 100 {
		t.Errorf("only %d look-ups found a rule: the model tests nothing", hits)
	}
}

// wantAllowed compares the methods of a 405 with the ones that the model finds.
func wantAllowed(t *rapid.T, m policy.Match, list []modelRule, host, path string) {
	for _, method := range modelMethods {
		want := len(modelLookup(list, method, host, path)) > 0
		if got := slices.Contains(m.Allowed, method); got != want {
			t.Fatalf("Lookup(%s%s).Allowed = %v, want %s in it: %v, rules %+v", host, path, m.Allowed, method, want, list)
		}
	}
}

func ruleIndexes(m policy.Match) []int {
	if m.Rule == nil {
		return nil
	}
	list := []int{m.Rule.Index()}
	for _, r := range m.Also {
		list = append(list, r.Index())
	}
	return list
}

func canonicalMethod(method, target, host string) (policy.Request, error) {
	r, err := read(method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	if err != nil {
		return policy.Request{}, err
	}
	return policy.Canonical(r)
}

// TestModel tries the model by hand: a model that agrees for the wrong reason is worth nothing.
func TestModel(t *testing.T) {
	list := []modelRule{{path: "/a/**"}, {path: "/a/{x}"}, {path: "/a/b", methods: []string{"GET"}}, {path: "/[^/]*/b.*", regex: true}, {path: "/**", host: "h.example"}}
	for _, row := range []struct {
		method, host, path string
		want               []int
	}{
		{"GET", "x", "/a/b", []int{2}}, {"HEAD", "x", "/a/b", []int{2}}, {"POST", "x", "/a/b", []int{1}}, {"GET", "x", "/a", []int{0}}, {"GET", "x", "/a/", []int{0}},
		{"GET", "x", "/c/bcd", []int{3}}, {"GET", "x", "/c", nil}, {"GET", "h.example", "/a/b", []int{4}},
	} {
		if got := modelLookup(list, row.method, row.host, row.path); !slices.Equal(got, row.want) {
			t.Errorf("modelLookup(%s %s%s) = %v, want %v", row.method, row.host, row.path, got, row.want)
		}
	}
}
