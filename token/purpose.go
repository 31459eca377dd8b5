package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Form is what a token is made of.
type Form string

// The forms of tokens.
const (
	JWT    Form = "jwt"    // signed, and verified without asking anybody
	Opaque Form = "opaque" // random, and known to a store
)

// A Purpose is what a token is good for, and what its tokens are like. A token of one purpose is refused everywhere else.
type Purpose struct {
	// Name is the purpose's name: lower-case letters, digits, '-' and '_'. It is also the name of its key ring. Required.
	Name string
	// Form is JWT unless it says otherwise.
	Form Form
	// Type is the typ of a JWT (RFC 8725, section 3.11). Empty means at+jwt for access (RFC 9068), and Name with "+jwt" for others. No two purposes may share one; at+jwt, and what
	// says nothing, such as JWT, no other than access may have.
	Type string
	// TTL is how long a token is valid: a second at least. MaxTTL is how long a token may be that asks for another TTL; zero means TTL, so that none may be longer.
	TTL, MaxTTL time.Duration
	// Delay is how long after it was made a token becomes valid (nbf). Its TTL counts from when it was made. A verifier's leeway does not shorten it.
	Delay time.Duration
	// Audience is who the tokens are meant for: written into each, and a token for nobody of them is refused. Required.
	Audience []string
	// Required are claims that a token must have besides those that all have: a minter refuses to make one without, a verifier to take it.
	Required []string
	// MaxUses is how often an opaque token may be used; zero means any number.
	MaxUses int
}

// The names of the purposes that Gatehouse itself uses.
const (
	PurposeAccess        = "access"
	PurposeRefresh       = "refresh"
	PurposeVerifyEmail   = "verify-email"
	PurposeResetPassword = "reset-password"
	PurposeInvite        = "invite"
)

// Access is the purpose of tokens that requests carry: JWTs that live for 10 minutes. The caller adds an Audience.
func Access() Purpose {
	return Purpose{Name: PurposeAccess, Form: JWT, Type: accessType, TTL: 10 * time.Minute}
}

// Refresh is the purpose of tokens that are given for new access tokens: opaque, for [Families], which knows how long they live.
func Refresh() Purpose { return Purpose{Name: PurposeRefresh, Form: Opaque, TTL: 30 * 24 * time.Hour} }

// VerifyEmail is the purpose of tokens that prove that a mail has arrived: opaque, for one use within a day.
func VerifyEmail() Purpose {
	return Purpose{Name: PurposeVerifyEmail, Form: Opaque, TTL: 24 * time.Hour, MaxUses: 1}
}

// ResetPassword is the purpose of tokens that allow to choose a password: opaque, for one use within an hour.
func ResetPassword() Purpose {
	return Purpose{Name: PurposeResetPassword, Form: Opaque, TTL: time.Hour, MaxUses: 1}
}

// Invite is the purpose of tokens that let somebody sign up: opaque, for one use within a week.
func Invite() Purpose {
	return Purpose{Name: PurposeInvite, Form: Opaque, TTL: 7 * 24 * time.Hour, MaxUses: 1}
}

// accessType is the typ of access tokens (RFC 9068).
const accessType = "at+jwt"

// anyType reports whether a typ is one that access tokens have here or elsewhere: RFC 9068's, or one that says nothing.
func anyType(typ string) bool { return slices.Contains([]string{"", "jwt", "jose", accessType}, typ) }

// complete returns p with its defaults, or what is wrong with it.
func (p Purpose) complete() (Purpose, error) {
	if p.Form == "" {
		p.Form = JWT
	}
	if p.MaxTTL == 0 {
		p.MaxTTL = p.TTL
	}
	if p.Type == "" {
		p.Type = p.Name + "+jwt"
		if p.Name == PurposeAccess {
			p.Type = accessType
		}
	}
	p.Type = typeName(p.Type)
	p.Audience, p.Required = slices.Clone(p.Audience), slices.Clone(p.Required)
	return p, p.check()
}

func (p Purpose) check() error {
	why := ""
	switch {
	case p.Name == "" || len(p.Name) > 64 || strings.Trim(p.Name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "":
		why = "the name must be of lower-case letters, digits, '-' and '_'"
	case p.Form != JWT && p.Form != Opaque:
		why = fmt.Sprintf("%q is no form: jwt or opaque", p.Form)
	case p.Type == "" || strings.ContainsFunc(p.Type, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		why = fmt.Sprintf("%q is no type: it must be of ASCII without spaces", p.Type)
	case p.Name != PurposeAccess && anyType(p.Type):
		why = fmt.Sprintf("access tokens have the type %s: another purpose must have its own", p.Type)
	case p.TTL < time.Second:
		why = "the TTL must be a second at least"
	case p.MaxTTL < p.TTL:
		why = "MaxTTL is less than TTL"
	case p.Delay < 0 || p.Delay >= p.TTL:
		why = "the delay must be less than the TTL, or no token would ever be valid"
	case len(p.Audience) == 0 || slices.Contains(p.Audience, ""):
		why = "an audience is missing: a token that is meant for nobody in particular is good everywhere"
	case p.MaxUses < 0:
		why = "MaxUses is negative"
	case p.MaxUses > 0 && p.Form != Opaque:
		why = "only opaque tokens have their uses counted"
	case slices.Contains(p.Required, ""):
		why = "a required claim has no name"
	default:
		return nil
	}
	return fmt.Errorf("token: the purpose %q: %w", p.Name, errors.New(why))
}
