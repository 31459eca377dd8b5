package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse"
)

type requirementKind uint8

const (
	kindNobody requirementKind = iota // the zero value denies
	kindAnyone
	kindAuthenticated
	kindRole
	kindPermission
	kindScope
	kindAll
	kindAny
)

// A Requirement is what a rule asks of the caller. The zero Requirement is [Nobody]: it denies everybody.
// Requirements are immutable and safe for concurrent use.
type Requirement struct {
	kind  requirementKind
	name  string
	parts []Requirement
}

// Nobody is met by nobody.
func Nobody() Requirement { return Requirement{} }

// Anyone is met by everybody, the anonymous caller included.
func Anyone() Requirement { return Requirement{kind: kindAnyone} }

// Authenticated is met by every caller but the anonymous one.
func Authenticated() Requirement { return Requirement{kind: kindAuthenticated} }

// Role is met by a caller with at least the level of the role called name.
func Role(name string) Requirement { return Requirement{kind: kindRole, name: name} }

// Permission is met by a caller whom the [Permitter] permits name, the anonymous one included if it says so. Without a Permitter
// the roles of the caller count, and the anonymous one has none.
func Permission(name string) Requirement { return Requirement{kind: kindPermission, name: name} }

// Scope is met by a caller who holds every one of names.
func Scope(names ...string) Requirement {
	if len(names) == 1 {
		return Requirement{kind: kindScope, name: names[0]}
	}
	parts := make([]Requirement, len(names))
	for i, name := range names {
		parts[i] = Scope(name)
	}
	return All(parts...)
}

// All is met if every part is. Without parts it is [Nobody], because an empty list is more likely a mistake than a wish.
func All(parts ...Requirement) Requirement {
	return Requirement{kind: kindAll, parts: slices.Clone(parts)}
}

// Any is met if one part is. Without parts it is [Nobody].
func Any(parts ...Requirement) Requirement {
	return Requirement{kind: kindAny, parts: slices.Clone(parts)}
}

// IsPublic reports whether everybody meets q, whoever they are.
func (q Requirement) IsPublic() bool {
	switch q.kind {
	case kindAnyone:
		return true
	case kindAny:
		return slices.ContainsFunc(q.parts, Requirement.IsPublic)
	case kindAll:
		return len(q.parts) > 0 && !slices.ContainsFunc(q.parts, func(part Requirement) bool { return !part.IsPublic() })
	}
	return false
}

// String returns the requirement as a person would write it.
func (q Requirement) String() string {
	switch q.kind {
	case kindAnyone:
		return "anyone"
	case kindAuthenticated:
		return "authenticated"
	case kindRole:
		return "role " + q.name
	case kindPermission:
		return "permission " + q.name
	case kindScope:
		return "scope " + q.name
	case kindAll, kindAny:
		return q.list()
	}
	return "nobody"
}

func (q Requirement) list() string {
	if len(q.parts) == 0 {
		return "nobody"
	}
	texts := make([]string, len(q.parts))
	for i, part := range q.parts {
		texts[i] = part.String()
	}
	word := " and "
	if q.kind == kindAny {
		word = " or "
	}
	return "(" + strings.Join(texts, word) + ")"
}

// check returns the faults of the requirement against the roles that exist.
func (q Requirement) check(roles Roles) error {
	switch q.kind {
	case kindRole:
		if _, ok := roles[q.name]; !ok {
			return fmt.Errorf("there is no role %q", q.name)
		}
	case kindPermission:
		if !isName(q.name) {
			return fmt.Errorf("%q is not a permission: write, say, films.read", q.name)
		}
	case kindScope:
		if !isScope(q.name) {
			return fmt.Errorf("%q is not a scope: visible ASCII without spaces, quotes and backslashes (RFC 6749, section 3.3)", q.name)
		}
	case kindAll, kindAny:
		if len(q.parts) == 0 {
			return errors.New("an empty all or any lets nobody in: write nobody")
		}
		var faults []error
		for _, part := range q.parts {
			faults = append(faults, part.check(roles))
		}
		return errors.Join(faults...)
	}
	return nil
}

// isScope: RFC 6749, section 3.3.
func isScope(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}

// A Permitter answers whether the caller of the request at hand has a permission. An error means that it could not be checked.
type Permitter func(permission string) (bool, error)

// met reports whether p meets q. An error means that a part that the answer hangs on could not be checked.
func (q Requirement) met(t *Table, p *gatehouse.Principal, permits Permitter) (bool, error) {
	switch q.kind {
	case kindAnyone:
		return true, nil
	case kindAuthenticated:
		return !p.IsAnonymous(), nil
	case kindRole:
		return t.HasRole(*p, q.name), nil
	case kindScope:
		return !p.IsAnonymous() && p.HasScope(q.name), nil
	case kindPermission:
		if permits == nil {
			return t.Permits(*p, q.name), nil
		}
		return permits(q.name)
	case kindAll:
		return q.allMet(t, p, permits)
	case kindAny:
		return q.anyMet(t, p, permits)
	}
	return false, nil
}

func (q Requirement) allMet(t *Table, p *gatehouse.Principal, permits Permitter) (bool, error) {
	var unchecked error
	for _, part := range q.parts {
		ok, err := part.met(t, p, permits)
		if err == nil && !ok {
			return false, nil // a certain no outweighs what could not be checked
		}
		unchecked = errors.Join(unchecked, err)
	}
	return unchecked == nil && len(q.parts) > 0, unchecked
}

func (q Requirement) anyMet(t *Table, p *gatehouse.Principal, permits Permitter) (bool, error) {
	var unchecked error
	for _, part := range q.parts {
		ok, err := part.met(t, p, permits)
		if err == nil && ok {
			return true, nil
		}
		unchecked = errors.Join(unchecked, err)
	}
	return false, unchecked
}

// wanted returns the scopes that q names, unless p has them all: then asking for them again would lead nowhere.
func (q Requirement) wanted(p *gatehouse.Principal) []string {
	scopes := q.scopes(nil)
	if !slices.ContainsFunc(scopes, func(scope string) bool { return !p.HasScope(scope) }) {
		return nil
	}
	return scopes
}

// scopes appends the scopes that q names: what a client would have to ask for.
func (q Requirement) scopes(to []string) []string {
	if q.kind == kindScope && !slices.Contains(to, q.name) {
		return append(to, q.name)
	}
	for _, part := range q.parts {
		before := len(to)
		to = part.scopes(to)
		if q.kind == kindAny && len(to) > before {
			return to // one alternative is enough
		}
	}
	return to
}
