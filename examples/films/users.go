package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/token"
)

// roles are in an order: whoever has one may do what those below it may.
var roles = policy.Roles{"basic": 1, "premium": 5, "admin": 9}

// A user is a row of the table.
type user struct {
	ID, Email, Hash, Role string
	Verified, Disabled    bool
}

// sample are the users of a program that has just been started. The password of all is "correct horse battery".
var sample = []user{
	{"1", "alice@example.org", "$argon2id$v=19$m=19456,t=2,p=1$c8kA/Otbj5hhhibKib6MuQ$x8eD0bce5rohWdImZA3KD7fXmFWrcmzHp2M01BBjbfg", "basic", true, false},
	{"2", "bob@example.org", "$argon2id$v=19$m=19456,t=2,p=1$Tm4Q6esTAAIktzAP7NJvjQ$xv9DhvlqyTb98CCmO42n6K975fczhsqePkV85wDHaYk", "premium", false, false},
	{"3", "carol@example.org", "$argon2id$v=19$m=19456,t=2,p=1$+zzGhQBewvin1z9ivFvxBA$0exZFI7Cl20acXuMZ4lPt6EeGL/MKjXHiDzhyueuzZo", "admin", true, false},
	{"4", "dave@example.org", "$argon2id$v=19$m=19456,t=2,p=1$wa9M4OpbFYETuUFVr+kS2Q$8da+aJio43q+ONEqoi4R4Zg4uym9E+zsEmFHN9J1x24", "basic", true, true},
}

// A table has the users. It stands for the database of a real program, and is safe for concurrent use. It is the guard's policy: what a token says about somebody counts only as far
// as the table still says so.
type table struct {
	mu    sync.RWMutex
	users map[string]user
}

func newTable() *table {
	t := &table{users: map[string]user{}}
	for _, u := range sample {
		t.users[u.ID] = u
	}
	return t
}

// byID returns a user, and the zero user if there is none.
func (t *table) byID(id string) user {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.users[id]
}

// byEmail returns the user with this address, in whichever case it is written, and the zero user if there is none.
func (t *table) byEmail(email string) user {
	t.mu.RLock()
	defer t.mu.RUnlock()
	all := slices.Collect(maps.Values(t.users))
	if i := slices.IndexFunc(all, func(u user) bool { return strings.EqualFold(u.Email, email) }); i >= 0 {
		return all[i]
	}
	return user{}
}

// change changes a user, and reports whether there is one.
func (t *table) change(id string, f func(*user)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	u, ok := t.users[id]
	if ok {
		f(&u)
		t.users[id] = u
	}
	return ok
}

func (t *table) remove(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.users, id)
}

// active returns a user who is there and not disabled.
func (t *table) active(id string) (user, error) {
	u := t.byID(id)
	switch {
	case u.ID == "":
		return user{}, fmt.Errorf("%w: no such user", gatehouse.ErrCredential)
	case u.Disabled:
		return user{}, gatehouse.ErrDisabled
	}
	return u, nil
}

// Resolve implements guard.Policy. It is asked about each request, so that whoever is disabled or deleted is refused from the next one on.
func (t *table) Resolve(_ context.Context, id gatehouse.Identity) (gatehouse.Principal, error) {
	u, err := t.active(id.Value)
	if err != nil {
		return gatehouse.Anonymous(), err
	}
	p := gatehouse.PrincipalOf(id)
	p.Email = u.Email
	p.Roles = nil
	for _, role := range id.Roles { // what the token says, and no more than the table does; a role that there is not is none
		if roles[role] > roles[u.Role] {
			role = u.Role
		}
		p.Roles = append(p.Roles, role)
	}
	return p, nil
}

// Permits implements guard.Policy: there are roles here, and no permissions.
func (*table) Permits(context.Context, gatehouse.Principal, string, any) (bool, error) {
	return false, nil
}

// renew is asked before a log-in is renewed, and says what the new tokens say: the role of today.
func (t *table) renew(_ context.Context, c token.Claims) (token.Claims, error) {
	u, err := t.active(c.Subject)
	c.Roles = []string{u.Role}
	return c, err
}
