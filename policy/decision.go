package policy

import (
	"slices"

	"github.com/gatehouse-auth/gatehouse"
)

// An Outcome is what a decision comes to. The zero Outcome denies.
type Outcome uint8

// The outcomes. Only Allow lets a request pass.
const (
	Unchecked      Outcome = iota // the decision could not be made: Err says why
	Allow                         // the requirement is met
	Unauthorized                  // not met, and the caller is anonymous
	Forbidden                     // not met by a known caller
	NoRule                        // no rule matches the path
	MethodNotFound                // rules match the path, but none the method
)

var outcomes = [...]string{"unchecked", "allow", "unauthorized", "forbidden", "no rule", "method not allowed"}

// String returns a word for logs.
func (o Outcome) String() string {
	if int(o) >= len(outcomes) {
		return "unknown"
	}
	return outcomes[o]
}

// A Decision is the answer of [Table.Decide].
type Decision struct {
	Outcome Outcome
	Scopes  []string // for Forbidden: all that the rule names, if the caller lacks one of them (insufficient_scope)
	Allowed []string // for MethodNotFound: the methods that rules know for the path
	Err     error    // for Unchecked
}

// Decide says whether p meets what m requires. permits answers for permissions, with the request's resource context if it has
// one; nil asks the permissions that the table gives to roles. An anonymous caller is told nothing about which paths exist.
func (t *Table) Decide(m Match, p gatehouse.Principal, permits Permitter) Decision {
	ok, err := m.Allow.met(t, &p, permits)
	switch {
	case err != nil:
		return Decision{Outcome: Unchecked, Err: err}
	case ok:
		return Decision{Outcome: Allow}
	case p.IsAnonymous():
		return Decision{Outcome: Unauthorized}
	case len(m.Allowed) > 0:
		return Decision{Outcome: MethodNotFound, Allowed: slices.Clone(m.Allowed)}
	case m.Rule == nil && m.Allow.kind == kindNobody:
		return Decision{Outcome: NoRule}
	}
	return Decision{Outcome: Forbidden, Scopes: m.Allow.wanted(&p)}
}
