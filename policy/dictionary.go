package policy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/gatehouse-auth/gatehouse"
)

// ErrNoPermission: somebody asked for the empty permission. Nobody has it, but the question is a mistake of the program, so that it is answered with
// an error instead of a plain no.
var ErrNoPermission = errors.New("a permission must not be empty")

// A Check is a rule about single resources, such as "its owner may edit a film". It is asked about resource, which is never nil but may hold a
// nil pointer, once it is clear that p has the permission as such; both must agree. p is the caller with the roles of this moment, or anonymous.
// An error means that it could not be checked, and denies. A Check must be safe for concurrent use.
type Check func(ctx context.Context, p gatehouse.Principal, permission string, resource any) (bool, error)

// A User is what a [Dictionary] knows of one caller. The zero User is somebody who may do what everybody may.
type User struct {
	// Permissions are the user's own, in the form of [Permissions]: films.read, films.* or *. May be empty.
	Permissions []string
	// Roles are what the user acts as. They count for [DictionaryConfig.Permissions] and for rules. May be empty.
	Roles []string
	// Email is the user's verified address. May be empty.
	Email string
	// Superuser has every permission on every resource; a [Check] is not asked. It is no role.
	Superuser bool
	// Disabled has no permission, whatever else is said, and is not resolved.
	Disabled bool
}

// A DictionaryConfig is what a [Dictionary] is made of. The zero value knows nobody. What it holds is copied.
type DictionaryConfig struct {
	// Users by name, which is the value of their identities, compared to the letter. A name has printable characters, no space at its ends, and at most
	// 256 bytes. May be nil.
	Users map[string]User
	// Anonymous are the permissions of callers who have proved nothing, and so of every user as well: they could leave their credential out. Nil: none.
	Anonymous []string
	// Roles are the roles that there are. Nil: users may have roles of any name, which only rules read.
	Roles Roles
	// Permissions gives permissions to Roles, a higher one with those of the lower ones. Nil: roles give none.
	Permissions Permissions
	// Check is asked about single resources. Nil: who has a permission has it on every resource.
	Check Check
}

// A Dictionary is a policy over a map of users: a guard.Policy for tests, small programs, and programs that read their users from a file. It can be
// changed while it is in use; every change is one step and counts from the next question on. It keeps no passwords: how they are verified before an
// identity is remembered is the program's business, see package passwd.
//
// A Dictionary is safe for concurrent use and must not be copied. The zero Dictionary knows nobody and gives nothing to anonymous callers.
type Dictionary struct {
	roles     Roles // nil: any
	byRole    grants
	anonymous dictionaryUser
	check     Check

	mu    sync.RWMutex
	users map[string]*dictionaryUser
}

// A dictionaryUser is a User with its permissions compiled. It is never changed, only replaced.
type dictionaryUser struct {
	User
	own grants // all of them under ownRole
}

// ownRole is the name under which grants hold the permissions of one user. No role is called like that.
const ownRole = ""

// errNoUser is what becomes of an identity that no user has. It does not repeat the name: that came from a stranger.
var errNoUser = fmt.Errorf("%w: no such user", gatehouse.ErrCredential)

// NewDictionary returns the dictionary of c. The error joins every fault: odd names, roles and permissions, and unknown roles if c.Roles is given.
func NewDictionary(c DictionaryConfig) (*Dictionary, error) {
	d := &Dictionary{roles: maps.Clone(c.Roles), check: c.Check, users: make(map[string]*dictionaryUser, len(c.Users))}
	byRole, err := compileGrants(c.Roles, c.Permissions)
	own, oddities := compileOwn(c.Anonymous)
	faults := []error{c.Roles.check(), err, joinUnder("anonymous callers", oddities)}
	d.byRole, d.anonymous.own = byRole, own
	for _, name := range slices.Sorted(maps.Keys(c.Users)) {
		d.users[name], err = d.compile(name, c.Users[name])
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return d, nil
}

// Resolve returns the principal of the user whose name is the value of id: the identity's session, times, methods, scopes, claims and value with the
// roles and the address of the user; roles and an address that the identity asserts do not count. The error wraps [gatehouse.ErrDisabled] if the user
// is disabled and [gatehouse.ErrCredential] if there is none. There is no other.
func (d *Dictionary) Resolve(_ context.Context, id gatehouse.Identity) (gatehouse.Principal, error) {
	p := gatehouse.PrincipalOf(id)
	u := d.find(id.Value)
	if u == nil || p.IsAnonymous() {
		return gatehouse.Anonymous(), errNoUser
	}
	if u.Disabled {
		return gatehouse.Anonymous(), gatehouse.ErrDisabled
	}
	return u.describe(p), nil
}

// Permits reports whether p has the permission now: whatever p carries, it is the dictionary's user of that name who is judged, so that somebody who
// was disabled or removed since p was resolved has none. If resource is not nil, the dictionary's [Check] must agree. What has not the form of
// a permission (films read, films.*) is had by nobody.
//
// The error is [ErrNoPermission] if permission is empty, or that of the Check.
func (d *Dictionary) Permits(ctx context.Context, p gatehouse.Principal, permission string, resource any) (bool, error) {
	return d.permits(ctx, p, d.judged(p), permission, resource)
}

// PermitsEach answers like [Dictionary.Permits] for each of permissions, in their order and about one state of the user. An error, which is that of the
// first permission that has one, means that there is no answer to any. A type that embeds a Dictionary and has a Permits of its own must have
// a PermitsEach of its own as well, or it would be asked past; a [Check] needs neither.
func (d *Dictionary) PermitsEach(ctx context.Context, p gatehouse.Principal, permissions []string, resource any) ([]bool, error) {
	u := d.judged(p)
	answers := make([]bool, len(permissions))
	for i, permission := range permissions {
		ok, err := d.permits(ctx, p, u, permission, resource)
		if err != nil {
			return nil, err
		}
		answers[i] = ok
	}
	return answers, nil
}

// permits answers for u, who asks as p. A nil u has no permission.
func (d *Dictionary) permits(ctx context.Context, p gatehouse.Principal, u *dictionaryUser, permission string, resource any) (bool, error) {
	if permission == "" {
		return false, ErrNoPermission
	}
	if u == nil || !isName(permission) {
		return false, nil
	}
	if u.Superuser {
		return true, nil
	}
	granted := u.own.permits([]string{ownRole}, permission) || d.byRole.permits(u.Roles, permission) ||
		d.anonymous.own.permits([]string{ownRole}, permission)
	if !granted || resource == nil || d.check == nil {
		return granted, nil
	}
	if !p.IsAnonymous() {
		p = u.describe(p)
	}
	return d.check(ctx, p, permission, resource)
}

// judged returns the user that p stands for, the anonymous one included, or nil if p must not do anything any more.
func (d *Dictionary) judged(p gatehouse.Principal) *dictionaryUser {
	if p.IsAnonymous() {
		return &d.anonymous
	}
	if u := d.find(p.Subject); u != nil && !u.Disabled {
		return u
	}
	return nil
}

func (d *Dictionary) find(name string) *dictionaryUser {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.users[name]
}

// describe returns p with what the dictionary knows of u. The roles are a copy: a program that changes those of its principal by mistake must
// not change those of the user.
func (u *dictionaryUser) describe(p gatehouse.Principal) gatehouse.Principal {
	p.Roles, p.Email = slices.Clone(u.Roles), u.Email
	return p
}
