package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse"
)

// Roles maps the name of each role to its level. A higher level includes the lower ones; gaps are fine, equal levels are a fault.
// A role that is not in the map grants nothing.
type Roles map[string]int

// RoleList returns the roles called names, each including the ones before it. A name that stands there twice is a fault that
// [New] reports: it would turn the order around.
func RoleList(names ...string) Roles {
	roles := make(Roles, len(names))
	for i, name := range names {
		for _, ok := roles[name]; ok; _, ok = roles[name] {
			name += twice
		}
		roles[name] = i + 1
	}
	return roles
}

// twice marks a name that was given to RoleList before. A map cannot hold both, and no role is called like that.
const twice = " (twice)"

// Highest returns the role with the highest level, or "" if there is none.
func (r Roles) Highest() string {
	best := ""
	for name, level := range r {
		if best == "" || level > r[best] {
			best = name
		}
	}
	return best
}

// Known returns those of names that are roles, in their order: what may be told to an upstream.
func (r Roles) Known(names []string) []string {
	var known []string
	for _, name := range names {
		if _, ok := r[name]; ok {
			known = append(known, name)
		}
	}
	return known
}

// includes reports whether one of held has at least the level of want. An unknown role, held or wanted, never counts.
func (r Roles) includes(held []string, want string) bool {
	need, ok := r[want]
	if !ok {
		return false
	}
	for _, name := range held {
		if level, ok := r[name]; ok && level >= need {
			return true
		}
	}
	return false
}

// check returns the faults of r: odd names, which could not travel in a header list, and equal levels.
func (r Roles) check() error {
	var faults []error
	byLevel := map[int]string{}
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if first, ok := strings.CutSuffix(name, twice); ok {
			faults = append(faults, fmt.Errorf("role %q stands there twice", first))
		} else if !isName(name) {
			faults = append(faults, fmt.Errorf("role %q: a name has letters, digits and . _ - : only", name))
		}
		if other, ok := byLevel[r[name]]; ok {
			faults = append(faults, fmt.Errorf("roles %q and %q have the same level %d: give each its own", other, name, r[name]))
		}
		byLevel[r[name]] = name
	}
	return errors.Join(faults...)
}

func isName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphaNum(c) && strings.IndexByte("._-:", c) < 0 {
			return false
		}
	}
	return s != ""
}

// Permissions maps a role to the permissions that it has beyond those of the lower roles. "films.*" covers every permission
// that starts with "films.", and "*" covers all.
type Permissions map[string][]string

// grants is Permissions with the order of roles worked in.
type grants struct {
	exact  map[string]map[string]bool // role → permissions
	prefix map[string][]string        // role → prefixes
}

func compileGrants(roles Roles, perms Permissions) (grants, error) {
	g := grants{exact: map[string]map[string]bool{}, prefix: map[string][]string{}}
	var faults []error
	for _, from := range slices.Sorted(maps.Keys(perms)) {
		if _, ok := roles[from]; !ok {
			faults = append(faults, fmt.Errorf("permissions of %q: there is no such role", from))
			continue
		}
		for _, perm := range perms[from] {
			if err := checkPermission(perm); err != nil {
				faults = append(faults, fmt.Errorf("permissions of %q: %w", from, err))
				continue
			}
			for to := range roles {
				if roles[to] >= roles[from] {
					g.add(to, perm)
				}
			}
		}
	}
	return g, errors.Join(faults...)
}

func (g grants) add(role, perm string) {
	if prefix, ok := strings.CutSuffix(perm, "*"); ok {
		g.prefix[role] = append(g.prefix[role], prefix)
		return
	}
	if g.exact[role] == nil {
		g.exact[role] = map[string]bool{}
	}
	g.exact[role][perm] = true
}

// checkPermission accepts a name, a name with ".*" behind it, or "*".
func checkPermission(perm string) error {
	name := perm
	if perm == "*" {
		return nil
	}
	name = strings.TrimSuffix(name, ".*")
	if !isName(name) {
		return fmt.Errorf("%q is not a permission: write films.read, films.* or *", perm)
	}
	return nil
}

// permits reports whether one of roles has perm.
func (g grants) permits(roles []string, perm string) bool {
	if perm == "" {
		return false
	}
	for _, role := range roles {
		if g.exact[role][perm] {
			return true
		}
		for _, prefix := range g.prefix[role] {
			if len(perm) > len(prefix) && strings.HasPrefix(perm, prefix) {
				return true
			}
		}
	}
	return false
}

// HasRole reports whether p has at least the level of role. An unknown role is had by nobody.
func (t *Table) HasRole(p gatehouse.Principal, role string) bool {
	return !p.IsAnonymous() && t.roles.includes(p.Roles, role)
}

// Permits reports whether the roles of p have the permission. The empty permission is had by nobody.
func (t *Table) Permits(p gatehouse.Principal, permission string) bool {
	return !p.IsAnonymous() && t.grants.permits(p.Roles, permission)
}

// Roles returns the roles that the table knows. The caller must not change the map.
func (t *Table) Roles() Roles { return t.roles }
