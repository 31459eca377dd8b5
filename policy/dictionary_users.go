package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxUserName is the longest name of a user, in bytes.
const maxUserName = 256

// User returns a copy of what is known of the user called name, and whether there is one.
func (d *Dictionary) User(name string) (User, bool) {
	u := d.find(name)
	if u == nil {
		return User{}, false
	}
	return u.clone(), true
}

// Set makes u the user called name, whether there was one or not. The error joins every fault that [NewDictionary] would report; then nothing
// has changed. To change a part of what is known of a user, use [Dictionary.Update].
func (d *Dictionary) Set(name string, u User) error {
	compiled, err := d.compile(name, u)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.put(name, compiled)
	return nil
}

// Update changes the user called name in one step: what others change at the same time is not lost. change gets a copy and may be called again if somebody
// else was faster. The error says that there is no such user, or what is wrong with the user that change left; then nothing has changed.
func (d *Dictionary) Update(name string, change func(*User)) error {
	for {
		before := d.find(name)
		if before == nil {
			return fmt.Errorf("there is no user %q", name)
		}
		u := before.clone()
		change(&u)
		after, err := d.compile(name, u)
		if err != nil {
			return err
		}
		if d.replace(name, before, after) {
			return nil
		}
	}
}

// Remove forgets the user called name. It is no error if there is none.
func (d *Dictionary) Remove(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.users, name)
}

// replace puts after in the place of before, unless somebody else is there by now.
func (d *Dictionary) replace(name string, before, after *dictionaryUser) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.users[name] != before {
		return false
	}
	d.put(name, after)
	return true
}

// put adds u. Callers hold d.mu.
func (d *Dictionary) put(name string, u *dictionaryUser) {
	if d.users == nil {
		d.users = map[string]*dictionaryUser{}
	}
	d.users[name] = u
}

// compile returns u with copies of its slices, or every fault of it.
func (d *Dictionary) compile(name string, u User) (*dictionaryUser, error) {
	own, faults := compileOwn(u.Permissions)
	faults = append(faults, d.roleFaults(u.Roles)...)
	faults = append(faults, checkUserName(name), checkEmail(u.Email))
	if err := joinUnder(fmt.Sprintf("user %q", name), faults); err != nil {
		return nil, err
	}
	return &dictionaryUser{User: u.clone(), own: own}, nil
}

// joinUnder joins those of faults that are not nil, each with where it was found.
func joinUnder(where string, faults []error) error {
	for i, err := range faults {
		if err != nil {
			faults[i] = fmt.Errorf("%s: %w", where, err)
		}
	}
	return errors.Join(faults...)
}

// roleFaults accepts roles that there are, or any names if nobody said which there are.
func (d *Dictionary) roleFaults(names []string) []error {
	var faults []error
	for _, name := range names {
		if _, ok := d.roles[name]; d.roles != nil && !ok {
			faults = append(faults, fmt.Errorf("there is no role %q", name))
		} else if !isName(name) {
			faults = append(faults, fmt.Errorf("role %q: a name has letters, digits and . _ - : only", name))
		}
	}
	return faults
}

// compileOwn returns the permissions of one user, and what is wrong with them.
func compileOwn(permissions []string) (grants, []error) {
	g := grants{exact: map[string]map[string]bool{}, prefix: map[string][]string{}}
	var faults []error
	for _, permission := range permissions {
		if err := checkPermission(permission); err != nil {
			faults = append(faults, err)
			continue
		}
		g.add(ownRole, permission)
	}
	return g, faults
}

// checkUserName accepts what can be told apart by eye and can travel in a header once it is encoded.
func checkUserName(name string) error {
	switch {
	case name == "":
		return errors.New("a name must not be empty")
	case len(name) > maxUserName:
		return fmt.Errorf("the name has %d bytes, and %d is the limit", len(name), maxUserName)
	case !isPrintable(name) || strings.TrimSpace(name) != name:
		return errors.New("a name has printable characters and no space at its ends")
	}
	return nil
}

// checkEmail accepts none, and what could be one. Whether mail arrives there is for others to find out.
func checkEmail(address string) error {
	if address != "" && (!isPrintable(address) || strings.Contains(address, " ") || !strings.Contains(address, "@")) {
		return fmt.Errorf("%q is not an e-mail address", address)
	}
	return nil
}

// isPrintable reports whether s is UTF-8 without control characters, invisible ones and spaces other than the common one.
func isPrintable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) })
}

// clone returns u with slices of its own.
func (u User) clone() User {
	u.Permissions, u.Roles = slices.Clone(u.Permissions), slices.Clone(u.Roles)
	return u
}
