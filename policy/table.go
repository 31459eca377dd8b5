package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Config is what a [Table] is made of.
type Config struct {
	// Roles are the roles that rules may name. Nil: rules cannot ask for roles.
	Roles Roles
	// Permissions are what roles permit, for callers whose permissions follow from their roles. May be nil.
	Permissions Permissions
	// Rules are in any order: the most specific one that matches counts.
	Rules []Rule
	// Default is required of requests that no rule matches. The zero value denies.
	Default Requirement
}

// A Table holds compiled rules. It is immutable and safe for concurrent use.
type Table struct {
	roles    Roles
	grants   grants
	hosts    map[string]*node
	any      *node
	regexes  []*Rule
	methods  []string // DefaultMethods and those that rules name besides
	fallback Requirement

	rules     []*Rule              // all, while New runs
	regexSets map[regexKey][]*Rule // regexes by their text, while New runs
}

// New compiles c, of which the table keeps no part that the caller could change. The error joins every fault that there is, those
// of rules as [*RuleError]; the table is nil then.
func New(c Config) (*Table, error) {
	t := &Table{
		roles: maps.Clone(c.Roles), hosts: map[string]*node{}, any: &node{}, regexSets: map[regexKey][]*Rule{},
		methods: slices.Clone(DefaultMethods), fallback: c.Default,
	}
	var faults []error
	faults = append(faults, c.Roles.check())
	var err error
	t.grants, err = compileGrants(c.Roles, c.Permissions)
	faults = append(faults, err)
	if err := c.Default.check(c.Roles); err != nil {
		faults = append(faults, fmt.Errorf("default: %w", err))
	}
	names := map[string]bool{}
	for i := range c.Rules {
		r := c.Rules[i] // a copy: the table keeps what it compiled
		r.index, r.Methods = i, slices.Clone(r.Methods)
		faults = append(faults, t.add(&r, names))
	}
	faults = append(faults, t.checkDead())
	t.rules, t.regexSets = nil, nil // they served to find faults
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return t, nil
}

// add compiles r into the table and returns every fault of it.
func (t *Table) add(r *Rule, names map[string]bool) error {
	var faults []error
	fault := func(field string, err error) {
		if err != nil {
			faults = append(faults, &RuleError{r.index, field, err})
		}
	}
	made := r.Name == ""
	if made {
		r.Name = r.title()
	} else if names[r.Name] {
		fault("name", fmt.Errorf("another rule is called %q", r.Name))
	}
	fault("allow", r.Allow.check(t.roles))
	if r.OnStoreLoss < 0 {
		fault("on_store_loss", fmt.Errorf("%v is negative: zero refuses what cannot be checked", r.OnStoreLoss))
	}
	if strings.Trim(r.Purpose, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		fault("purpose", fmt.Errorf("%q is no purpose: its name has lower-case letters, digits, '-' and '_'", r.Purpose))
	}
	if list := t.compile(r, fault); list != nil {
		fault(t.place(r, list))
	}
	if made && names[r.Name] && len(faults) == 0 {
		fault("name", fmt.Errorf("it has none, and another rule is called %q already: give it one", r.Name))
	}
	names[r.Name] = true
	return errors.Join(faults...)
}

// compile compiles what r matches and returns the list that it belongs to, or nil if there is a fault: a rule that is not
// understood must not cause faults of others.
func (t *Table) compile(r *Rule, fault func(string, error)) *[]*Rule {
	methods := t.compileMethods(r)
	fault("methods", methods)
	host, err := compileHost(r.Host)
	fault("host", err)
	r.Host = host
	field, list, match := t.compileMatch(r)
	fault(field, match)
	if methods != nil || err != nil || match != nil {
		return nil
	}
	return list
}

// compileMatch compiles the path or the regular expression of r and returns the list that r belongs to, or the field at fault.
func (t *Table) compileMatch(r *Rule) (field string, list *[]*Rule, err error) {
	switch {
	case r.Path == "" && r.Regex == "":
		return "path", nil, errors.New("a rule needs a path or a regex")
	case r.Path != "" && r.Regex != "":
		return "regex", nil, errors.New("a rule has a path or a regex, not both")
	case r.Regex != "":
		r.re, r.prefix, err = compileRegex(r.Regex)
		return "regex", &t.regexes, err
	}
	segments, err := compilePattern(r.Path)
	if err != nil {
		return "path", nil, err
	}
	r.tree = treeRoot(segments)
	return "path", t.root(r.Host).descend(segments), nil
}

// place puts the rule where Lookup finds it, unless nothing tells it from one that stands there. It returns the field at fault.
func (t *Table) place(r *Rule, list *[]*Rule) (string, error) {
	field, same := "path", *list
	if r.re != nil {
		field, same = "regex", t.regexSets[regexKey{r.Host, r.Regex}]
		t.regexSets[regexKey{r.Host, r.Regex}] = append(same, r)
	}
	for _, other := range same {
		if common := r.clash(other); common != 0 {
			return field, fmt.Errorf("rules[%d] (%s) has the same pattern: nothing tells which one judges %s", other.index, other.Name, t.methodList(common))
		}
	}
	*list = append(*list, r)
	t.rules = append(t.rules, r)
	return "", nil
}

// methodList names a method set in a message.
func (t *Table) methodList(set uint64) string {
	if set == anyMethod {
		return "a request"
	}
	return strings.Join(t.names(set), ", ")
}

// A regexKey tells regular expressions apart, as far as their text does.
type regexKey struct{ host, expr string }

func (t *Table) root(host string) *node {
	if host == "" {
		return t.any
	}
	if t.hosts[host] == nil {
		t.hosts[host] = &node{}
	}
	return t.hosts[host]
}

func (t *Table) compileMethods(r *Rule) error {
	if len(r.Methods) == 0 {
		r.methods = anyMethod
		return nil
	}
	if err := checkMethods(r.Methods); err != nil {
		return err
	}
	for _, m := range r.Methods {
		i := slices.Index(t.methods, m)
		if i < 0 {
			if len(t.methods) == maxMethods {
				return fmt.Errorf("%s is one method too many", m)
			}
			i = len(t.methods)
			t.methods = append(t.methods, m)
		}
		r.methods |= 1 << i
	}
	if r.methods&bitGET != 0 {
		r.methods |= bitHEAD
	}
	return nil
}

// A treeKey names everything on a host below a path.
type treeKey struct{ host, root string }

// checkDead refuses regular expressions that patterns such as /** and /films/** keep from ever being asked: whoever wrote
// /films/\d+/secret believes it guarded.
func (t *Table) checkDead() error {
	trees := map[treeKey][]*Rule{}
	for _, r := range t.rules {
		if r.tree != nil {
			trees[treeKey{r.Host, *r.tree}] = append(trees[treeKey{r.Host, *r.tree}], r)
		}
	}
	var faults []error
	for _, re := range t.regexes {
		if over := outrank(trees, re); over != nil {
			faults = append(faults, &RuleError{re.index, "regex", fmt.Errorf(
				"it is never asked: a regular expression ranks below every pattern, and %s take all that it could match", strings.Join(over, " and "))})
		}
	}
	return errors.Join(faults...)
}

// outrank returns the rules that together take every request that re could match, or nil if some are left to it.
func outrank(trees map[treeKey][]*Rule, re *Rule) []string {
	var over []string
	left := re.methods
	try := func(root string) {
		for _, host := range slices.Compact([]string{"", re.Host}) {
			for _, r := range trees[treeKey{host, root}] {
				if r.methods&left != 0 {
					left &^= r.methods
					over = append(over, fmt.Sprintf("rules[%d] (%s)", r.index, r.Name))
				}
			}
		}
	}
	try("")
	for i := 1; i < len(re.prefix.text); i++ {
		if re.prefix.text[i] == '/' {
			try(re.prefix.text[:i])
		}
	}
	if re.prefix.whole {
		try(re.prefix.text)
	}
	if left != 0 {
		return nil
	}
	return over
}

// A node is a place in the tree of patterns.
type node struct {
	literals map[string]*node
	param    *node
	here     []*Rule // patterns that end here
	tail     []*Rule // patterns that end here with **
}

// descend returns the list that rules with the pattern belong to.
func (n *node) descend(segments []segment) *[]*Rule {
	for _, s := range segments {
		switch s.wild {
		case tail:
			return &n.tail
		case param:
			if n.param == nil {
				n.param = &node{}
			}
			n = n.param
		default:
			if n.literals == nil {
				n.literals = map[string]*node{}
			}
			if n.literals[s.text] == nil {
				n.literals[s.text] = &node{}
			}
			n = n.literals[s.text]
		}
	}
	return &n.here
}

// find returns the most specific rule for the path that is left from start on (beyond its end: nothing is left), and adds the methods of
// patterns that match but for the method to seen. Its cost is bounded by the tree, not by the path.
func (n *node) find(path string, start int, method uint64, seen *uint64) *Rule {
	if start > len(path) {
		if r := pick(n.here, method, seen); r != nil {
			return r
		}
		return pick(n.tail, method, seen)
	}
	end := strings.IndexByte(path[start:], '/')
	if end < 0 {
		end = len(path)
	} else {
		end += start
	}
	if child := n.literals[path[start:end]]; child != nil {
		if r := child.find(path, end+1, method, seen); r != nil {
			return r
		}
	}
	if n.param != nil && end > start {
		if r := n.param.find(path, end+1, method, seen); r != nil {
			return r
		}
	}
	return pick(n.tail, method, seen)
}

func pick(rules []*Rule, method uint64, seen *uint64) *Rule {
	var best *Rule
	for _, r := range rules {
		*seen |= r.methods
		if r.covers(method) && (best == nil || r.narrower(best)) {
			best = r
		}
	}
	return best
}

// A Match is what the rules have to say about a request.
type Match struct {
	// Rule is the rule that judges; nil if none matches. Where several regular expressions match it is the first.
	Rule *Rule
	// Also are the other regular expressions that match: their requirements hold as well.
	Also []*Rule
	// Allow is what is required of the caller, all told.
	Allow Requirement
	// Strict says whether an unusable credential is refused on a public path.
	Strict bool
	// Purpose is what a token must be good for, OnStoreLoss how long it counts while revocations are unknown, see [Rule]. Where several rules match, the least of their
	// OnStoreLoss counts; and if their purposes differ, Purpose is one that no token has.
	Purpose     string
	OnStoreLoss time.Duration
	// Allowed are the methods that would match, sorted for an Allow header, if a rule matches but for its method.
	Allowed []string
}

// noPurpose is a purpose that no token can have.
const noPurpose = "(several)"

// matchOf returns the match of one rule alone.
func matchOf(r *Rule) Match {
	return Match{Rule: r, Allow: r.Allow, Strict: r.Strict, Purpose: r.Purpose, OnStoreLoss: r.OnStoreLoss}
}

// IsPublic reports whether everybody may pass.
func (m Match) IsPublic() bool { return m.Allow.IsPublic() }

// Supports reports whether the table takes the method at all: the usual ones without TRACE and CONNECT, and those that rules name.
func (t *Table) Supports(method string) bool { return slices.Contains(t.methods, method) }

// Methods returns the methods that the table takes, for an Allow header. The caller must not change it.
func (t *Table) Methods() []string { return t.methods }

// Lookup returns the rule for q. The error wraps [ErrTarget] if the path must be refused although it is in canonical form: because
// of an encoded slash that the rule does not allow, or path parameters that would change which rule judges; or if q was not made
// by [Canonical].
func (t *Table) Lookup(q Request) (Match, error) {
	if (q.match == "") != (q.Path == "/") { // a literal or zero Request would be judged as "/"
		return Match{}, targetError("the request was not made by policy.Canonical")
	}
	m := t.lookup(q.Host, q.match, q.Method)
	if q.param {
		if bare := t.lookup(q.Host, q.bare, q.Method); bare.Rule != m.Rule || len(bare.Allowed) != len(m.Allowed) || !slices.Equal(bare.Also, m.Also) {
			return Match{}, targetError("its path parameters (;) change which rule judges it")
		}
	}
	if q.EncodedSlash && !m.allowsEncodedSlash() {
		return Match{}, targetError("the path contains an encoded slash (%%2F)")
	}
	return m, nil
}

func (m Match) allowsEncodedSlash() bool {
	return m.Rule != nil && m.Rule.AllowEncodedSlash && !slices.ContainsFunc(m.Also, func(r *Rule) bool { return !r.AllowEncodedSlash })
}

func (t *Table) lookup(host, path, methodName string) Match {
	i := slices.Index(t.methods, methodName)
	if i < 0 {
		return Match{}
	}
	method, seen := uint64(1)<<i, uint64(0)
	if root := t.hosts[host]; root != nil {
		if r := root.find(path, 0, method, &seen); r != nil {
			return matchOf(r)
		}
	}
	if r := t.any.find(path, 0, method, &seen); r != nil {
		return matchOf(r)
	}
	if m := t.matchRegexes(host, path, method, &seen); m.Rule != nil {
		return m
	}
	if t.fallback.kind != kindNobody {
		return Match{Allow: t.fallback}
	}
	return Match{Allowed: t.names(seen)}
}

// matchRegexes combines all regular expressions that match.
func (t *Table) matchRegexes(host, path string, method uint64, seen *uint64) Match {
	var m Match
	if len(t.regexes) == 0 {
		return m
	}
	path = decoded(path)
	for _, r := range t.regexes {
		if r.Host != "" && r.Host != host || !r.re.MatchString(path) {
			continue
		}
		*seen |= r.methods
		switch {
		case !r.covers(method):
		case m.Rule == nil:
			m = matchOf(r)
		default:
			m.Also = append(m.Also, r)
			m.Allow = both(m.Allow, r.Allow)
			m.Strict = m.Strict || r.Strict
			m.OnStoreLoss = min(m.OnStoreLoss, r.OnStoreLoss)
			if m.Purpose != r.Purpose {
				m.Purpose = noPurpose
			}
		}
	}
	return m
}

// both requires a and b. Two public rules stay public.
func both(a, b Requirement) Requirement {
	if a.IsPublic() {
		return b
	}
	if b.IsPublic() {
		return a
	}
	return All(a, b)
}

// names returns the methods in set for an Allow header.
func (t *Table) names(set uint64) []string {
	var names []string
	for i, name := range t.methods {
		if set&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}
