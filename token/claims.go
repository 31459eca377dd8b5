package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
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
	// Custom are other claims, as encoding/json has them. None may have the name of one above, in any case.
	Custom map[string]any
}

// reserved are the names that custom claims cannot have: what they would say is said by a field, or means something to others.
var reserved = []string{"iss", "aud", "sub", "jti", "sid", "iat", "exp", "nbf", "typ", "kid", "alg", "client_id", "scope", "scp", "roles", "email", "email_verified", "auth_time",
	"amr", "acr", "azp", "nonce", "at_hash", "cnf", "act", "purpose"}

func isReserved(name string) bool {
	return slices.ContainsFunc(reserved, func(r string) bool { return strings.EqualFold(r, name) })
}

// As returns the custom claims of c as a T, a struct with json tags. Members of T that have no claim stay zero. The error says which claim is no such thing.
func As[T any](c Claims) (T, error) {
	var value T
	text, err := json.Marshal(c.Custom)
	if err == nil {
		err = json.Unmarshal(text, &value)
	}
	if err != nil {
		return *new(T), fmt.Errorf("token: the claims are no %T: %w", value, err)
	}
	return value, nil
}

// CustomOf returns the claims that value, a struct with json tags or a map, consists of, for Claims.Custom. It is the reverse of [As].
func CustomOf(value any) (map[string]any, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	var custom map[string]any
	if err := json.Unmarshal(text, &custom); err != nil {
		return nil, fmt.Errorf("token: %T is no set of claims: %w", value, err)
	}
	return custom, nil
}

// checkTexts refuses what would come back as something else: JSON has no other text than UTF-8.
func (c Claims) checkTexts() error {
	for _, text := range slices.Concat([]string{c.Subject, c.Session, c.Client, c.Email}, c.Audience, c.Scopes, c.Roles, c.Methods) {
		if !utf8.ValidString(text) {
			return errors.New("token: a claim is not UTF-8")
		}
	}
	for _, scope := range c.Scopes {
		if scope == "" || strings.ContainsAny(scope, " \"\\\t\r\n") {
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
	return text, nil
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
func parseClaims(payload []byte) (Claims, error) {
	var c Claims
	var unverified string // an address that the issuer does not vouch for
	vouched := false
	err := members(payload, func(name, value []byte) error {
		ok := true
		switch string(name) {
		case "iss":
			c.Issuer, ok = textOf(value)
		case "sub":
			c.Subject, ok = textOf(value)
		case "aud":
			c.Audience, ok = textsOf(value)
			ok = ok && len(c.Audience) > 0
		case "jti":
			c.ID, ok = textOf(value)
		case "sid":
			c.Session, ok = textOf(value)
		case "client_id":
			c.Client, ok = textOf(value)
		case "iat":
			c.IssuedAt, ok = dateOf(value)
		case "exp":
			c.ExpiresAt, ok = dateOf(value)
		case "nbf":
			c.NotBefore, ok = dateOf(value)
		case "auth_time":
			c.AuthTime, ok = dateOf(value)
		case "amr":
			c.Methods, ok = textsOf(value)
		case "roles":
			c.Roles, ok = textsOf(value)
		case "scope", "scp":
			c.Scopes, ok = scopesOf(value)
		case "email":
			unverified, ok = textOf(value)
		case "email_verified":
			vouched = string(value) == "true"
		default:
			return c.custom(name, value)
		}
		if !ok {
			return errForm("the claim " + string(name) + " is of the wrong type")
		}
		return nil
	})
	if errors.Is(err, errJSON) {
		return Claims{}, errForm("the claims are not strict JSON")
	}
	if err != nil {
		return Claims{}, err
	}
	if vouched {
		c.Email = unverified
	}
	return c, nil
}

func (c *Claims) custom(name, value []byte) error {
	var v any
	if err := json.Unmarshal(value, &v); err != nil {
		return errForm("a claim is out of range")
	}
	if c.Custom == nil {
		c.Custom = map[string]any{}
	}
	c.Custom[string(name)] = v
	return nil
}

// scopesOf reads scopes as RFC 8693 has them, separated by spaces, or as a list, as others have them.
func scopesOf(value []byte) ([]string, bool) {
	texts, ok := textsOf(value)
	if ok && len(value) > 0 && value[0] == '"' {
		texts = strings.Fields(texts[0])
	}
	return texts, ok
}

// latest is the last second of the year 9999: what is later is no time.
const latest = 253402300799

// dateOf reads a NumericDate (RFC 7519, section 2), which may have a fraction.
func dateOf(value []byte) (time.Time, bool) {
	if len(value) == 0 || value[0] == '-' || value[0] > '9' || value[0] == '"' {
		return time.Time{}, false
	}
	if whole, err := strconv.ParseInt(string(value), 10, 64); err == nil {
		return time.Unix(whole, 0), whole <= latest
	}
	seconds, err := strconv.ParseFloat(string(value), 64)
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
