package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse"
)

// Claims are what a token says. Those of a verifier are true as far as their issuer is; slices and maps are shared with others who verify the same token, and must not be
// changed.
type Claims struct {
	// Purpose is what the token is good for. The minter and the verifier give it.
	Purpose string
	// ID names the token (jti), Key the key that has signed it (kid), Issuer who has made it (iss). The minter gives them. None is a secret.
	ID, Key, Issuer string
	// Subject is who the token is about (sub). Session is the log-in that it belongs to (sid): without one a token is a log-in of its own. Client is the client that
	// it was given to (client_id), or empty.
	Subject, Session, Client string
	// Audience is who the token is meant for (aud). A minter writes its purpose's.
	Audience []string
	// IssuedAt and ExpiresAt (iat, exp) are given by the minter, in whole seconds. NotBefore (nbf) is zero if the token is valid at once.
	IssuedAt, NotBefore, ExpiresAt time.Time
	// AuthTime is when the subject proved who they are (auth_time), Methods how (amr, RFC 8176). Both may be unknown.
	AuthTime time.Time
	Methods  []string
	// Scopes and Roles are what the token permits (scope, roles).
	Scopes, Roles []string
	// Email is the subject's verified address (email, with email_verified). Leave it out of tokens unless somebody needs it: whoever holds a token can read it.
	Email string
	// Custom are other claims, as encoding/json has them, except that a whole number that a float64 would change, beyond 2^53, is a json.Number. None may have the name of one
	// above, in any case.
	Custom map[string]any
}

// reserved are the names that custom claims cannot have: what they would say is said by a field, or means something to others.
var reserved = []string{"iss", "aud", "sub", "jti", "sid", "iat", "exp", "nbf", "typ", "kid", "alg", "client_id", "scope", "scp", "roles", "email", "email_verified", "auth_time",
	"amr", "acr", "azp", "nonce", "at_hash", "cnf", "act", "purpose"}

func isReserved(name string) bool {
	return slices.ContainsFunc(reserved, func(r string) bool { return strings.EqualFold(r, name) })
}

// As returns the custom claims of c as a T, a struct with json tags. Members of T that have no claim stay zero. The error says which claim is no such thing, or that the names of two
// differ in case alone: encoding/json would take one for the other.
func As[T any](c Claims) (T, error) {
	var value T
	if reflect.TypeFor[T]().Kind() == reflect.Struct && alike(slices.Collect(maps.Keys(c.Custom))) {
		return value, errors.New("token: the names of two claims differ in case alone")
	}
	text, err := json.Marshal(c.Custom)
	if err == nil {
		err = json.Unmarshal(text, &value)
	}
	if err != nil {
		return *new(T), fmt.Errorf("token: the claims are no %T: %w", value, err)
	}
	return value, nil
}

// alike reports whether two of the names differ in case alone.
func alike(names []string) bool {
	for i, name := range names {
		if slices.ContainsFunc(names[:i], func(other string) bool { return strings.EqualFold(name, other) }) {
			return true
		}
	}
	return false
}

// CustomOf returns the claims that value, a struct with json tags or a map, consists of, for Claims.Custom. It is the reverse of [As].
func CustomOf(value any) (map[string]any, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	custom, ok := jsonOf(text).(map[string]any)
	if !ok {
		return nil, fmt.Errorf("token: %T is no set of claims", value)
	}
	return custom, nil
}

// jsonOf returns what text, which encoding/json has written, means in a token; nil if it means nothing there.
func jsonOf(text []byte) any {
	value, ok := valueOf(string(text))
	if !ok {
		return nil
	}
	return value
}

// checkTexts refuses what would come back as something else: JSON has no other text than UTF-8, and scopes are a list with spaces in between.
func (c Claims) checkTexts() error {
	for _, text := range slices.Concat([]string{c.Subject, c.Session, c.Client, c.Email}, c.Audience, c.Scopes, c.Roles, c.Methods) {
		if !utf8.ValidString(text) {
			return errors.New("token: a claim is not UTF-8")
		}
	}
	if !isName(c.Subject) {
		return fmt.Errorf("token: the subject %q has control characters in it, or blanks around it", c.Subject)
	}
	for _, scope := range c.Scopes {
		if scope == "" || strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '\\' }) {
			return fmt.Errorf("token: %q is no scope (RFC 6749, section 3.3)", scope)
		}
	}
	for name := range c.Custom {
		if isReserved(name) {
			return fmt.Errorf("token: the custom claim %q has the name of one that has a meaning: rename it, or set the field", name)
		}
	}
	return nil
}

// payload returns c as the JSON of a JWT.
func (c Claims) payload() ([]byte, error) {
	all := maps.Clone(c.Custom)
	if all == nil {
		all = map[string]any{}
	}
	put := func(name string, value any, is bool) {
		if is {
			all[name] = value
		}
	}
	put("iss", c.Issuer, true)
	put("aud", audience(c.Audience), true)
	put("sub", c.Subject, true)
	put("jti", c.ID, true)
	put("sid", c.Session, true)
	put("iat", c.IssuedAt.Unix(), true)
	put("exp", c.ExpiresAt.Unix(), true)
	put("nbf", c.NotBefore.Unix(), !c.NotBefore.IsZero())
	put("client_id", c.Client, c.Client != "")
	put("scope", strings.Join(c.Scopes, " "), len(c.Scopes) > 0)
	put("roles", c.Roles, len(c.Roles) > 0)
	put("auth_time", c.AuthTime.Unix(), !c.AuthTime.IsZero())
	put("amr", c.Methods, len(c.Methods) > 0)
	put("email", c.Email, c.Email != "")
	put("email_verified", true, c.Email != "")
	text, err := json.Marshal(all)
	if err != nil {
		return nil, fmt.Errorf("token: the custom claims are no JSON: %w", err)
	}
	if replaced(text) {
		return nil, errors.New("token: a custom claim is not UTF-8")
	}
	if _, err := parseClaims(string(text)); err != nil { // whatever is wrong, it is not the token of whoever is asking
		return nil, fmt.Errorf("token: nobody would take a token with these claims: %v", err)
	}
	return text, nil
}

// replaced reports whether encoding/json has put U+FFFD in the place of something that is not UTF-8: it writes it as an escape, and the character itself as it is.
func replaced(text []byte) bool {
	for {
		i := bytes.Index(text, []byte(`\ufffd`))
		if i < 0 {
			return false
		}
		if slashes := i - len(bytes.TrimRight(text[:i], `\`)); slashes%2 == 0 {
			return true
		}
		text = text[i+1:]
	}
}

// audience is a text where there is one, as most verifiers expect it.
func audience(list []string) any {
	if len(list) == 1 {
		return list[0]
	}
	return list
}

func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic("token: " + err.Error()) // texts can always be quoted
	}
	return string(quoted)
}

// parseClaims reads the payload of a JWT. The JSON types of registered claims are checked, whoever made the token.
func parseClaims(payload string) (Claims, error) {
	var p claimsParser
	err := members(payload, p.member)
	if errors.Is(err, errJSON) {
		return Claims{}, errForm("the claims are not strict JSON")
	}
	if err == nil {
		err = p.finish()
	}
	if err != nil {
		return Claims{}, err
	}
	return p.Claims, nil
}

// A claimsParser reads claims one by one.
type claimsParser struct {
	Claims
	email      string   // an address that the issuer need not vouch for
	vouched    bool     // it does
	scope, scp []string // two names of the same
}

func (p *claimsParser) member(name, value string) error {
	ok := true
	switch name {
	case "iss":
		p.Issuer, ok = textOf(value)
	case "sub":
		p.Subject, ok = textOf(value)
	case "aud":
		p.Audience, ok = textsOf(value)
		ok = ok && len(p.Audience) > 0
	case "jti":
		p.ID, ok = textOf(value)
	case "sid":
		p.Session, ok = textOf(value)
	case "client_id":
		p.Client, ok = textOf(value)
	case "iat":
		p.IssuedAt, ok = dateOf(value)
	case "exp":
		p.ExpiresAt, ok = dateOf(value)
	case "nbf":
		p.NotBefore, ok = dateOf(value)
	case "auth_time":
		p.AuthTime, ok = dateOf(value)
	case "amr":
		p.Methods, ok = textsOf(value)
	case "roles":
		p.Roles, ok = textsOf(value)
	case "scope":
		p.scope, ok = scopesOf(value)
	case "scp":
		p.scp, ok = scopesOf(value)
	case "email":
		p.email, ok = textOf(value)
	case "email_verified":
		p.vouched = value == "true"
	default:
		return p.custom(name, value)
	}
	if !ok {
		return errForm("the claim " + name + " is of the wrong type")
	}
	return nil
}

// finish decides what follows from several claims, in whichever order they came.
func (p *claimsParser) finish() error {
	if p.vouched {
		p.Email = p.email
	}
	if p.scope != nil && p.scp != nil && !slices.Equal(p.scope, p.scp) {
		return errForm("the claims scope and scp say different things")
	}
	if p.Scopes = p.scope; p.Scopes == nil {
		p.Scopes = p.scp
	}
	return nil
}

func (p *claimsParser) custom(name, value string) error {
	v, ok := valueOf(value)
	if !ok {
		return errForm("a claim is out of range")
	}
	if p.Custom == nil {
		p.Custom = map[string]any{}
	}
	p.Custom[name] = v
	return nil
}

// scopesOf reads scopes as RFC 8693 has them, separated by spaces and by nothing else, or as a list, as others have them.
func scopesOf(value string) ([]string, bool) {
	texts, ok := textsOf(value)
	if ok && value[0] == '"' {
		texts = slices.DeleteFunc(strings.Split(texts[0], " "), func(one string) bool { return one == "" })
	}
	return texts, ok
}

// latest is the last second of the year 9999: what is later is no time.
const latest = 253402300799

// dateOf reads a NumericDate (RFC 7519, section 2), which may have a fraction.
func dateOf(value string) (time.Time, bool) {
	if value[0] < '0' || value[0] > '9' {
		return time.Time{}, false
	}
	if whole, err := strconv.ParseInt(value, 10, 64); err == nil {
		return time.Unix(whole, 0), whole <= latest
	}
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil || seconds > latest {
		return time.Time{}, false
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e3)*1e6), true
}

// identity is what claims prove unless a verifier's Identify says otherwise: the subject.
func (c Claims) identity() gatehouse.Identity {
	kind := gatehouse.KindUser
	if c.Client != "" && c.Client == c.Subject {
		kind = gatehouse.KindService
	}
	id := gatehouse.Identity{Value: c.Subject, Kind: kind, Session: c.Session, TokenID: c.ID, Email: c.Email, Roles: c.Roles, Scopes: c.Scopes,
		IssuedAt: c.IssuedAt, ExpiresAt: c.ExpiresAt, AuthTime: c.AuthTime, Methods: c.Methods}
	if len(c.Custom) > 0 {
		id = gatehouse.WithClaims(id, c.Custom)
	}
	return id
}

// missing returns the first of the required claims that c lacks, or "". A claim that is there and empty is not there.
func missing(required []string, c *Claims) string {
	for _, name := range required {
		if !c.has(name) {
			return name
		}
	}
	return ""
}

// has reports whether the claim called name is there, and says something.
func (c *Claims) has(name string) bool {
	switch value := c.value(name).(type) {
	case nil:
		return false
	case string:
		return value != ""
	case bool:
		return value
	case []string:
		return len(value) > 0
	case []any:
		return len(value) > 0
	case map[string]any:
		return len(value) > 0
	case time.Time:
		return !value.IsZero()
	}
	return true
}

// value returns what the claim called name says, nil if it says nothing.
func (c *Claims) value(name string) any {
	switch name {
	case "iss":
		return c.Issuer
	case "sub":
		return c.Subject
	case "aud":
		return c.Audience
	case "jti":
		return c.ID
	case "sid":
		return c.Session
	case "client_id":
		return c.Client
	case "iat":
		return c.IssuedAt
	case "exp":
		return c.ExpiresAt
	case "nbf":
		return c.NotBefore
	case "auth_time":
		return c.AuthTime
	case "amr":
		return c.Methods
	case "roles":
		return c.Roles
	case "scope", "scp":
		return c.Scopes
	case "email":
		return c.Email
	case "email_verified":
		return c.Email != ""
	}
	return c.Custom[name]
}
