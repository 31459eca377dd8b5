package sqlpolicy

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/policy"
)

// freshFor is for how long what Resolve has read is good for questions about permissions. It is there for the rest of the request; a handler that goes on
// for hours, such as that of a WebSocket, must see what has changed since.
const freshFor = time.Second

// errNoUser is what becomes of an identity that no user has. It does not repeat the name: that came from a stranger.
var errNoUser = fmt.Errorf("%w: no such user", gatehouse.ErrCredential)

// A Policy is a guard.Policy over the tables of users and permissions. Make it with [New]; the zero Policy can check nothing. It is safe for concurrent use.
type Policy struct {
	db        *sql.DB
	anonymous map[string]bool
	check     policy.Check
	now       func() time.Time
}

// An Option changes what [New] makes.
type Option func(*Policy)

// Anonymous gives permissions to callers who have proved nothing, and so to every user as well: they could leave their credential out. They are
// compared to the letter. The default is none.
func Anonymous(permissions ...string) Option {
	return func(p *Policy) {
		p.anonymous = make(map[string]bool, len(permissions))
		for _, name := range permissions {
			p.anonymous[name] = true
		}
	}
}

// Check sets the rule about single resources, which must agree whenever somebody who has a permission wants it for a resource. Superusers are not
// asked about. The default is none: who has a permission has it on every resource.
func Check(rule policy.Check) Option { return func(p *Policy) { p.check = rule } }

// Now sets the clock by which the policy knows how old its knowledge is. The default is time.Now.
func Now(now func() time.Time) Option { return func(p *Policy) { p.now = now } }

// New returns the policy over the tables in db, which stays the caller's to close. It does not ask the database: one that cannot be reached, or
// a nil one, fails every check.
func New(db *sql.DB, options ...Option) *Policy {
	p := &Policy{db: db}
	for _, option := range options {
		option(p)
	}
	if p.now == nil {
		p.now = time.Now
	}
	return p
}

// Resolve returns the principal of the user whose username is the value of id, with everything that id says about session, time, methods, roles, scopes and
// address: the tables know none of these. It makes one query. The principal keeps what was read as its value (gatehouse.WithValue), where [Policy.Permits]
// finds it, unless id has a value of the program's own: then that one stays, and Permits makes a query.
//
// The error wraps [gatehouse.ErrDisabled] if the user is disabled and [gatehouse.ErrCredential] if there is none. Any other error means that it could
// not be found out; a cancelled ctx is one.
func (p *Policy) Resolve(ctx context.Context, id gatehouse.Identity) (gatehouse.Principal, error) {
	principal := gatehouse.PrincipalOf(id)
	if principal.IsAnonymous() {
		return gatehouse.Anonymous(), errNoUser
	}
	u, err := p.read(ctx, id.Value)
	switch {
	case err != nil:
		return gatehouse.Anonymous(), err
	case !u.exists:
		return gatehouse.Anonymous(), errNoUser
	case u.disabled:
		return gatehouse.Anonymous(), gatehouse.ErrDisabled
	}
	if _, taken := gatehouse.Value[any](gatehouse.NewContext(ctx, principal)); !taken {
		principal = gatehouse.WithValue(principal, u)
	}
	return principal, nil
}

// Permits reports whether principal has the permission: the user is there and not disabled, and is a superuser or has a row of exactly this name. If
// resource is not nil, the policy's [Check] must agree. A principal that this policy has resolved within the last second is judged by what was read then;
// about any other it makes one query.
//
// The error is [policy.ErrNoPermission] if permission is empty, or that of the Check; any other means that the database could not be asked.
func (p *Policy) Permits(ctx context.Context, principal gatehouse.Principal, permission string, resource any) (bool, error) {
	answers, err := p.PermitsEach(ctx, principal, []string{permission}, resource)
	return err == nil && answers[0], err
}

// PermitsEach answers like [Policy.Permits] for each of permissions, in their order and with at most one query for all. An error means that there is no
// answer to any. A type that embeds a Policy and has a Permits of its own must have a PermitsEach of its own as well, or it would be asked past;
// a [Check] needs neither.
func (p *Policy) PermitsEach(ctx context.Context, principal gatehouse.Principal, permissions []string, resource any) ([]bool, error) {
	answers := make([]bool, len(permissions))
	if slices.Contains(permissions, "") {
		return nil, policy.ErrNoPermission
	}
	if len(permissions) == 0 {
		return answers, nil
	}
	u, err := p.judged(ctx, principal)
	if err != nil {
		return nil, err
	}
	for i, permission := range permissions {
		if answers[i], err = p.permits(ctx, principal, u, permission, resource); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// permits answers for u, who asks as principal.
func (p *Policy) permits(ctx context.Context, principal gatehouse.Principal, u *user, permission string, resource any) (bool, error) {
	if !u.exists || u.disabled {
		return false, nil
	}
	if u.superuser {
		return true, nil
	}
	granted := u.permissions[permission] || p.anonymous[permission]
	if !granted || resource == nil || p.check == nil {
		return granted, nil
	}
	return p.check(ctx, principal, permission, resource)
}

// judged returns the user that principal stands for. The anonymous caller is one without permissions of his own.
func (p *Policy) judged(ctx context.Context, principal gatehouse.Principal) (*user, error) {
	if principal.IsAnonymous() {
		return &user{exists: true}, nil
	}
	if u := p.resolved(ctx, principal); u != nil {
		return u, nil
	}
	return p.read(ctx, principal.Subject)
}

// resolved returns what Resolve has read for principal, or nil if it has read nothing, for another policy or somebody else, or too long ago.
func (p *Policy) resolved(ctx context.Context, principal gatehouse.Principal) *user {
	u, ok := gatehouse.Value[*user](gatehouse.NewContext(ctx, principal))
	if !ok || u.source != p || u.name != principal.Subject {
		return nil
	}
	if age := p.now().Sub(u.at); age < 0 || age >= freshFor {
		return nil
	}
	return u
}
