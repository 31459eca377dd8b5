package policy

import (
	"errors"
	"fmt"
	"math/bits"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A Rule says who may make the requests that match its method set, host and path.
type Rule struct {
	// Name is how logs, explanations and tests call the rule. Empty: made from what the rule matches. Names must be unique.
	Name string
	// Methods is the method set. Empty means every method. GET covers HEAD. Of two rules with one pattern the sets must be apart, or
	// one within the other: then the narrower one judges.
	Methods []string
	// Host is the exact host, any case, without port. Empty means any host.
	Host string
	// Path is a pattern: /films, /films/{id}, /public/**. {x} matches one segment that is not empty; ** stands at the end and
	// matches any number of segments, none included. Exactly one of Path and Regex must be given.
	Path string
	// Regex is a regular expression (RE2) that must match the whole decoded path, in which an encoded slash stands as %2F.
	// One that can never be asked, because it does not start with / or patterns with ** take all that it could match, is a fault.
	Regex string
	// Allow is who may pass. The zero value lets nobody pass.
	Allow Requirement
	// Strict refuses an unusable credential even where Allow lets anyone in, instead of taking the caller for anonymous.
	Strict bool
	// Purpose is what a token must be good for to count here, such as "refresh"; nothing else is a credential then. Empty means access, and that other
	// credentials, such as sessions, count.
	Purpose string
	// OnStoreLoss is how long ago it may have been known what was revoked, for a token or a session to count although the bound that revocation promises has passed. Zero refuses it with
	// 503. Where anybody may pass, its owner is nobody instead, unless Strict is set: a public path does not depend on a store.
	OnStoreLoss time.Duration
	// AllowEncodedSlash accepts %2F in the path; it is then matched as part of a segment and forwarded verbatim.
	AllowEncodedSlash bool

	index   int
	methods uint64 // the method set, with HEAD wherever GET is; all ones: any
	re      *regexp.Regexp
	prefix  regexPrefix // of re
	tree    *string     // /films for /films/**, "" for /**, nil for other patterns
}

// Index returns the rule's place in [Config.Rules].
func (r *Rule) Index() int { return r.index }

// A RuleError is a fault of one rule, or of how it stands to another.
type RuleError struct {
	Index int    // the rule's place in Config.Rules
	Field string // "name", "methods", "host", "path", "regex", "allow", "purpose" or "on_store_loss"
	Err   error  // what is wrong, for a person
}

// Error implements error.
func (e *RuleError) Error() string {
	return fmt.Sprintf("rules[%d].%s: %v", e.Index, e.Field, e.Err)
}

// Unwrap returns the fault.
func (e *RuleError) Unwrap() error { return e.Err }

// DefaultMethods are the methods that a table takes without any rule naming them, in the order in which Allow lists them.
var DefaultMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

const (
	bitGET     = 1 << 0
	bitHEAD    = 1 << 1
	anyMethod  = ^uint64(0)
	maxMethods = 64
)

// covers reports whether the rule's method set has the method.
func (r *Rule) covers(method uint64) bool { return r.methods&method != 0 }

// narrower orders rules with one pattern by their method sets: the smaller set first. GET counts for two, because it covers HEAD:
// otherwise a rule for every method could take HEAD away from the rule that guards GET.
func (r *Rule) narrower(other *Rule) bool {
	return bits.OnesCount64(r.methods) < bits.OnesCount64(other.methods)
}

// clash returns the methods that nothing tells which of two rules with one pattern should judge: those that both have, unless
// one set is part of the other. So the sets that have a method are always one within the other.
func (r *Rule) clash(other *Rule) uint64 {
	common := r.methods & other.methods
	if r.methods != other.methods && (common == r.methods || common == other.methods) {
		return 0
	}
	return common
}

// title is the name of a rule that was given none.
func (r *Rule) title() string {
	methods := strings.Join(r.Methods, ",")
	if methods == "" {
		methods = "*"
	}
	if r.Regex != "" {
		return methods + " " + r.Host + "~" + r.Regex
	}
	return methods + " " + r.Host + r.Path
}

// checkMethods returns the fault of a method list, if it has one.
func checkMethods(methods []string) error {
	var faults []error
	for i, m := range methods {
		switch {
		case strings.EqualFold(m, "TRACE") || strings.EqualFold(m, "CONNECT"): // some upstreams fold the case
			faults = append(faults, fmt.Errorf("%s is never let through", m))
		case !isToken(m):
			faults = append(faults, fmt.Errorf("%q is not a method", m))
		case slices.Contains(methods[:i], m):
			faults = append(faults, fmt.Errorf("%s stands there twice", m))
		case m != strings.ToUpper(m) && slices.Contains(DefaultMethods, strings.ToUpper(m)):
			faults = append(faults, fmt.Errorf("methods are case-sensitive: write %s", strings.ToUpper(m)))
		}
	}
	return errors.Join(faults...)
}

// isToken: RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphaNum(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// compileHost returns the host in the form in which requests have it.
func compileHost(host string) (string, error) {
	if host == "" {
		return "", nil
	}
	if strings.Contains(host, "*") {
		return "", errors.New("wildcards in hosts are not taken: write one rule a host, or leave host out for every host")
	}
	name, err := canonicalHost(host)
	if err != nil {
		return "", fmt.Errorf("%q is not a host name", host)
	}
	if strings.Contains(host, "]:") || !strings.Contains(host, "[") && strings.Contains(host, ":") {
		return "", errors.New("leave the port out: rules match on the host alone")
	}
	return name, nil
}

// A regexPrefix is the literal text that every path matched by a regular expression starts with, and whether that is all of it.
type regexPrefix struct {
	text  string
	whole bool
}

// compileRegex makes a regular expression match whole paths.
func compileRegex(expr string) (*regexp.Regexp, regexPrefix, error) {
	if len(expr) > 1024 {
		return nil, regexPrefix{}, errors.New("longer than 1024 characters: split it into rules")
	}
	bare, err := regexp.Compile(expr) // by itself first, or `a)|(b` would slip out of the brackets below
	if err != nil {
		return nil, regexPrefix{}, err
	}
	var prefix regexPrefix
	prefix.text, prefix.whole = bare.LiteralPrefix()
	if prefix.text != "" && prefix.text[0] != '/' {
		return nil, regexPrefix{}, fmt.Errorf("it never matches: a path starts with /, and the expression with %q", prefix.text)
	}
	re, err := regexp.Compile(`\A(?:` + expr + `)\z`)
	return re, prefix, err
}

// A segment of a pattern.
type segment struct {
	text string // of a literal, decoded; of {x}, the x
	wild uint8  // literal, param or tail
}

const (
	literal uint8 = iota
	param
	tail
)

// compilePattern splits a path pattern into segments. Literals go through the same normaliser as paths of requests.
func compilePattern(pattern string) ([]segment, error) {
	if !strings.HasPrefix(pattern, "/") {
		return nil, errors.New("a path starts with /")
	}
	parts := strings.Split(pattern[1:], "/")
	segments := make([]segment, 0, len(parts))
	names := map[string]bool{}
	for i, part := range parts {
		s, err := compileSegment(part, i == len(parts)-1)
		if err != nil {
			return nil, err
		}
		if s.wild == param {
			if names[s.text] {
				return nil, fmt.Errorf("{%s} stands there twice", s.text)
			}
			names[s.text] = true
		}
		segments = append(segments, s)
	}
	return segments, nil
}

func compileSegment(part string, last bool) (segment, error) {
	if part == "**" {
		if !last {
			return segment{}, errors.New("** may stand at the end only")
		}
		return segment{wild: tail}, nil
	}
	if name, ok := strings.CutPrefix(part, "{"); ok && strings.HasSuffix(name, "}") {
		name = strings.TrimSuffix(name, "}")
		if !isName(name) {
			return segment{}, fmt.Errorf("{%s}: write {name} for one segment, ** at the end for any number", name)
		}
		return segment{text: name, wild: param}, nil
	}
	switch {
	case strings.ContainsAny(part, "{}"):
		return segment{}, fmt.Errorf("%q: {name} stands for a whole segment", part)
	case strings.Contains(part, "*"):
		return segment{}, fmt.Errorf("%q: write {name} for one segment, ** at the end for any number", part)
	case strings.ContainsAny(part, "?#;"):
		return segment{}, fmt.Errorf("%q: a path has no query, fragment or parameters", part)
	case part == "" && !last:
		return segment{}, errors.New("it contains an empty segment")
	}
	p, err := normalise("/" + part)
	if err == nil {
		err = checkSegments(p.match)
	}
	if err != nil {
		return segment{}, fmt.Errorf("%q: %w", part, err)
	}
	if strings.Contains(p.match, ";") { // every request for it would be ambiguous
		return segment{}, fmt.Errorf("%q: a path has no parameters, escaped or not", part)
	}
	return segment{text: p.match}, nil
}

// treeRoot returns the root of a pattern such as /films/**, without the slash, or nil if the pattern is of another shape.
// An encoded slash has no spelling in common with regular expressions, so that such a pattern is left out.
func treeRoot(segments []segment) *string {
	last := len(segments) - 1
	if segments[last].wild != tail {
		return nil
	}
	root := ""
	for _, s := range segments[:last] {
		if s.wild != literal || strings.Contains(s.text, encodedSlash) {
			return nil
		}
		root += "/" + s.text
	}
	return &root
}
