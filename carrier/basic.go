package carrier

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// A PasswordLookup proves a name and a password, with package passwd: it returns whose they are. For an unknown name it must do the work of a
// wrong password. The error wraps gatehouse.ErrCredential if they do not belong together; any other error means that it could not be checked. It must be safe for
// concurrent use.
type PasswordLookup func(ctx context.Context, name, password string) (gatehouse.Identity, error)

// maxPassword bounds a password before anything is done with it.
const maxPassword = 1 << 10

// A BasicCarrier reads a name and a password from the Authorization header (RFC 7617). Make it with [Basic].
type BasicCarrier struct {
	header *HeaderCarrier
	find   PasswordLookup
}

// Basic returns the carrier of "Authorization: Basic <base64 of name:password>". Each request costs a password hash, and browsers ask for the password in a
// window of their own and keep it until they are closed: use it for scripts and internal tools. What browsers send by themselves passes the cross-origin check as
// cookies do. Basic panics if find is nil.
func Basic(find PasswordLookup) *BasicCarrier {
	if find == nil {
		panic("carrier.Basic: the look-up is nil")
	}
	c := &BasicCarrier{find: find}
	c.header = Header("Basic", c.verify)
	return c
}

// String names the carrier in logs and explanations.
func (c *BasicCarrier) String() string { return c.header.String() }

// Identify implements [Carrier].
func (c *BasicCarrier) Identify(r *http.Request) (gatehouse.Identity, error) {
	return c.header.Identify(r)
}

func (c *BasicCarrier) verify(ctx context.Context, credential string) (gatehouse.Identity, error) {
	text, err := base64.StdEncoding.Strict().DecodeString(credential)
	if err != nil || !utf8.Valid(text) {
		return gatehouse.Identity{}, gatehouse.ErrMalformed
	}
	name, password, ok := strings.Cut(string(text), ":")
	if !ok || strings.ContainsFunc(string(text), isControl) { // RFC 7617, section 2
		return gatehouse.Identity{}, gatehouse.ErrMalformed
	}
	if len(password) > maxPassword || name == "" {
		return gatehouse.Identity{}, gatehouse.ErrLogin
	}
	id, err := c.find(ctx, name, password)
	switch {
	case errors.Is(err, gatehouse.ErrForbidden):
		err = redact(err, password, name)
	case errors.Is(err, gatehouse.ErrCredential), errors.Is(err, gatehouse.ErrAnonymous):
		err = fmt.Errorf("%w: %v", gatehouse.ErrLogin, redact(err, password, name)) // nothing but that, whatever it was
	case err != nil:
		err = redact(err, password, name)
	case id.Value == "":
		err = gatehouse.ErrLogin
	}
	if err != nil {
		return gatehouse.Identity{}, err
	}
	if id.Methods == nil {
		id.Methods = []string{"pwd"}
	}
	return id, nil
}

func isControl(c rune) bool { return c < ' ' || c == 0x7f }

// Remember implements [Carrier]: it returns an error that wraps [ErrNotHandedOut].
func (c *BasicCarrier) Remember(http.ResponseWriter, *http.Request, gatehouse.Identity, ...Option) error {
	return fmt.Errorf("%s: %w", c, ErrNotHandedOut)
}

// Forget implements [Carrier]: a browser that has a password cannot be made to forget it.
func (c *BasicCarrier) Forget(http.ResponseWriter, *http.Request) error { return nil }

// Challenge implements [Challenger]. charset: RFC 7617, section 2.1.
func (c *BasicCarrier) Challenge(realm string) problem.Challenge {
	return problem.Challenge{Scheme: "Basic", Realm: realm, Params: `charset="UTF-8"`}
}

// Ambient implements [Ambient]. Passwords do travel over plain http where somebody lets them, so nothing follows from them.
func (c *BasicCarrier) Ambient() (ambient, secure bool) { return true, false }

// Strip implements [Stripper].
func (c *BasicCarrier) Strip(h http.Header) { c.header.Strip(h) }
