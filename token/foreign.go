package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
)

// MaxTries is how many keys a token of somebody else's is tried against that does not name its key.
const MaxTries = 4

// A ForeignConfig is a profile: what the access tokens of another issuer are like.
type ForeignConfig struct {
	// Algorithms are those that count. Required, whatever the keys are for.
	Algorithms []keyring.Algorithm
	// Keys are the issuer's, at most [MaxTries] of them (keyring.Static). A token need not name one of them.
	Keys *keyring.Ring
	// JWKSURL is where the issuer publishes its keys, if Keys is nil: https, or http on this machine. A token must name one of them if there are several for its algorithm.
	JWKSURL string
	// Transport is how the keys are fetched. Nil means one that goes nowhere but to the host of JWKSURL, or to the proxy that the environment names.
	Transport http.RoundTripper
	// Issuer is who a token must say that has made it. Empty means anybody but the subject itself: what a client says of itself (RFC 7523) is no token then.
	Issuer string
	// Audience is for whom a token must be meant: one of these. Empty means anybody, so that tokens for others count here: give one wherever the issuer writes it.
	Audience []string
	// SubjectClaim says who the subject is; empty means sub. RoleClaim says which roles it has, as a text or a list; empty means roles.
	SubjectClaim, RoleClaim string
	// Required are claims that a token must have, and with which value, as encoding/json would write it; nil means any but none, false, or something empty. Of a claim that is a list
	// of texts, such as aud or scope, the value is one that must be in it.
	Required map[string]any
	// Revocations says what was revoked; [revoke.None] if nothing can be. Required.
	Revocations revoke.Checker
	// Leeway is how far the clocks may be apart. Zero means 30 s; negative, nothing; at most [MaxLeeway].
	Leeway time.Duration
	// Identify says whom a token stands for, as in [VerifierConfig]. Nil: its subject.
	Identify func(ctx context.Context, c Claims) (gatehouse.Identity, error)
	// Cache is how many verified tokens are remembered. Zero means [DefaultCache]; negative, none.
	Cache int
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Logger gets that keys could not be fetched. Nil means slog.Default.
	Logger *slog.Logger
}

// A foreign is what is peculiar to tokens of somebody else.
type foreign struct{ ForeignConfig }

// NewForeign returns a verifier of another issuer's access tokens. Such a token must expire, must be signed with one of the profile's keys and by one of its algorithms, and
// never counts for another purpose. The error says what is wrong with c.
func NewForeign(c ForeignConfig) (*Verifier, error) {
	if err := checkForeign(c); err != nil {
		return nil, fmt.Errorf("token: foreign tokens: %w", err)
	}
	if c.SubjectClaim == "" {
		c.SubjectClaim = "sub"
	}
	if c.RoleClaim == "" {
		c.RoleClaim = "roles"
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Algorithms, c.Audience = slices.Clone(c.Algorithms), slices.Clone(c.Audience)
	keys, err := foreignKeys(c)
	if err == nil {
		c.Required, err = requirements(c.Required)
	}
	if err != nil {
		return nil, fmt.Errorf("token: foreign tokens: %w", err)
	}
	v := newVerifier(VerifierConfig{Issuer: c.Issuer, Purpose: Purpose{Name: PurposeAccess, Form: JWT}, Revocations: c.Revocations, Leeway: c.Leeway,
		Identify: c.Identify, Cache: c.Cache, Now: c.Now}, keys)
	v.foreign = &foreign{c}
	return v, nil
}

func checkForeign(c ForeignConfig) error {
	switch {
	case len(c.Algorithms) == 0:
		return errors.New("there is no algorithm: a token must not choose it")
	case (c.Keys == nil) == (c.JWKSURL == ""):
		return errors.New("give either keys or the URL of keys")
	case c.Revocations == nil:
		return errors.New("there is no list of revocations: use revoke.None if nothing can be revoked")
	case c.Leeway > MaxLeeway:
		return errLeeway
	case c.Keys != nil && len(c.Keys.All()) > MaxTries:
		return fmt.Errorf("there are %d keys, and a token is tried against %d at most", len(c.Keys.All()), MaxTries)
	case slices.Contains(c.Audience, ""):
		return errors.New("an audience is empty")
	}
	for _, a := range c.Algorithms {
		if err := a.Valid(); err != nil || a == keyring.A256GCM {
			return fmt.Errorf("%q is no algorithm that signs", a)
		}
		if a.Symmetric() && c.JWKSURL != "" {
			return fmt.Errorf("%s has secret keys, which nobody publishes", a)
		}
	}
	return nil
}

func foreignKeys(c ForeignConfig) (keySource, error) {
	if c.Keys == nil {
		return newRemoteKeys(c)
	}
	if !slices.Contains(c.Algorithms, c.Keys.Algorithm()) {
		return nil, fmt.Errorf("the keys are for %s, which is not among the algorithms", c.Keys.Algorithm())
	}
	return givenKeys{c.Keys}, nil
}

// givenKeys are the keys of a profile. They have no names that the issuer knows, unless they come from its key set.
type givenKeys struct{ ring *keyring.Ring }

func (g givenKeys) find(_ context.Context, h header) ([]*keyring.Key, error) {
	all := g.ring.All()
	for _, key := range all {
		if h.Key != "" && key.ID() == h.Key {
			return []*keyring.Key{key}, nil
		}
	}
	return all[:min(len(all), MaxTries)], nil
}

func (g givenKeys) live(_ context.Context, key *keyring.Key) (bool, error) {
	return slices.Contains(g.ring.All(), key), nil
}

// requirements returns what tokens must say, as it is when it comes out of one.
func requirements(required map[string]any) (map[string]any, error) {
	made := map[string]any{}
	for name, want := range required {
		if _, isTime := new(Claims).value(name).(time.Time); isTime && want != nil {
			return nil, fmt.Errorf("the claim %q is a time: it can be required, but not which one", name)
		}
		if want != nil {
			text, err := json.Marshal(want)
			if want = jsonOf(text); err != nil || want == nil {
				return nil, fmt.Errorf("the claim %q cannot be required to have a value that JSON has not", name)
			}
		}
		made[name] = want
	}
	return made, nil
}

// concerns says whether a token can be one of the profile, by what anybody can see of it, so that nobody's keys are asked for because of a token that is somebody else's.
func (f *foreign) concerns(t *jws) error {
	if !anyType(t.Type) {
		return ErrPurpose // a log-out token, a proof, another purpose's
	}
	if f.Issuer == "" {
		return nil
	}
	mine := false
	err := members(t.payload, func(name, value string) error {
		if name == "iss" {
			text, _ := textOf(value)
			mine = text == f.Issuer
		}
		return nil
	})
	switch {
	case err != nil:
		return errForm("the claims are not strict JSON")
	case !mine:
		return ErrIssuer
	}
	return nil
}

// check checks what the profile wants, and brings the claims into the form of our own.
func (f *foreign) check(c *Claims) error {
	if c.ExpiresAt.IsZero() {
		return errForm("it does not say when it expires")
	}
	if f.Issuer != "" && c.Issuer != f.Issuer {
		return ErrIssuer
	}
	if len(f.Audience) > 0 && !intersect(c.Audience, f.Audience) {
		return ErrAudience
	}
	if f.Issuer == "" && c.Issuer != "" && c.Issuer == c.Subject {
		return ErrPurpose // it says who its signer is, and nothing about what may be done with it
	}
	for name, want := range f.Required {
		if !c.says(name, want) {
			return fmt.Errorf("%w: its claim %q is not what it must be", ErrInvalid, name)
		}
	}
	return f.translate(c)
}

// says reports whether the claim called name is there, and has the value want if that is not nil.
func (c *Claims) says(name string, want any) bool {
	if want == nil {
		return c.has(name)
	}
	got := c.value(name)
	if list, ok := got.([]string); ok {
		text, ok := want.(string)
		return ok && slices.Contains(list, text)
	}
	return reflect.DeepEqual(got, want)
}

// translate moves the profile's claims to where ours are. A subject that is a number becomes its text, as long as it is a whole one.
func (f *foreign) translate(c *Claims) error {
	subject, roles := subjectOf(c.value(f.SubjectClaim)), rolesOf(c.value(f.RoleClaim))
	if subject == "" || len(subject) > 1024 || !isName(subject) {
		return fmt.Errorf("%w: its claim %q names no subject", ErrInvalid, f.SubjectClaim)
	}
	c.Subject, c.Roles = subject, roles
	return nil
}

// isName refuses what cannot be told to an application in a header, so that the log-in of whoever is called that would be good for nothing.
func isName(subject string) bool {
	return strings.TrimSpace(subject) == subject && !strings.ContainsFunc(subject, unicode.IsControl)
}

func subjectOf(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case json.Number:
		if value[0] != '-' {
			return string(value)
		}
	case float64:
		if value == math.Trunc(value) && value >= 0 && value < 1<<53 {
			return strconv.FormatInt(int64(value), 10)
		}
	}
	return ""
}

// rolesOf returns the roles in a claim that is a text or a list. What is no text in it is no role.
func rolesOf(value any) []string {
	switch value := value.(type) {
	case string:
		if value != "" {
			return []string{value}
		}
	case []string:
		return value
	case []any:
		var roles []string
		for _, one := range value {
			if text, ok := one.(string); ok {
				roles = append(roles, text)
			}
		}
		return roles
	}
	return nil
}
