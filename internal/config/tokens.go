package config

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse"
)

// Tokens says what tokens Gatehouse makes and takes.
type Tokens struct {
	Issuer        string                `key:"issuer" check:"line" example:"https://app.example.org" doc:"Who makes the tokens (iss). Absent: server.public_url, or else the address of the main listener."`
	Audience      []string              `key:"audience" single:"true" nonempty:"true" unique:"true" check:"line" example:"https://api.example.org" doc:"Who the tokens are for (aud). Absent: the issuer."`
	Leeway        Duration              `key:"leeway" default:"30s" doc:"How far the clocks of those who make and those who verify tokens may be apart: 2m at most."`
	Access        AccessTokens          `key:"access" doc:"The tokens that requests carry: JWTs."`
	Refresh       RefreshTokens         `key:"refresh" doc:"The tokens that are given for new access tokens. Each works once."`
	VerifyEmail   ActionTokens          `key:"verify_email" doc:"The tokens that prove that a mail has arrived: for one use within ttl, 24h unless it says otherwise."`
	ResetPassword ActionTokens          `key:"reset_password" doc:"The tokens that allow to choose a password: for one use within ttl, 1h unless it says otherwise."`
	Invite        ActionTokens          `key:"invite" doc:"The tokens that let somebody sign up: for one use within ttl, 7d unless it says otherwise."`
	Purposes      map[string]OwnPurpose `key:"purposes" names:"purpose" example:"{download: {ttl: 5m, form: opaque, max_uses: 3}}" doc:"Purposes of your own. A rule takes their tokens where it names the purpose."`
	Foreign       []Foreign             `key:"foreign" example:"[{algorithm: HS256, secret: 'file:legacy.secret', subject_claim: login}]" doc:"Access tokens that somebody else makes. They must expire; a token that names no key is tried against four at most."`
	Revocation    Revocation            `key:"revocation" doc:"How fast what was revoked ends everywhere."`
}

// AccessTokens are the tokens that requests carry.
type AccessTokens struct {
	Algorithm string            `key:"algorithm" default:"ES256" enum:"HS256 HS384 HS512 RS256 PS256 ES256 EdDSA" doc:"How they are signed."`
	TTL       Duration          `key:"ttl" default:"10m" positive:"true" min:"1s" max:"400d" doc:"How long they are valid. What was revoked ends at once, whatever this says."`
	MaxTTL    Duration          `key:"max_ttl" positive:"true" min:"1s" max:"400d" example:"1h" doc:"How long a token may be valid that asks for it. Absent: ttl."`
	Rotate    Duration          `key:"rotate" default:"30d" doc:"How long a key signs. The next one is published before, and the old one verifies as long as what it has signed. 0: until gatehouse key rotate. A secret or key of your own signs until you write another."`
	Secret    gatehouse.Secret  `key:"secret" check:"tokensecret" example:"file:access.secret" doc:"A secret to sign with that exists already, for HS256 and its like: its UTF-8 bytes, unless it begins with hex: or base64:. Absent: one is made, and kept sealed in the store."`
	Key       gatehouse.Secret  `key:"key" check:"tokensecret" example:"file:access.pem" doc:"A private key in PEM that exists already."`
	Claims    map[string]string `key:"claims" names:"claim" check:"claimsource" example:"{user_id: subject, access_role: role}" doc:"Further claims: what they say is subject, role, roles, email, true, or a text in double quotation marks. Claims with a meaning of their own, such as sub, cannot be named."`
}

// RefreshTokens are the tokens that are given for new access tokens.
type RefreshTokens struct {
	Format    string           `key:"format" default:"opaque" enum:"opaque jwt" doc:"opaque, or jwt: signed as well, for clients that look inside. A secret makes it jwt."`
	TTL       Duration         `key:"ttl" positive:"true" min:"1s" max:"400d" example:"24h" doc:"How long a log-in can be renewed: idle and absolute in one. Absent: those."`
	Idle      Duration         `key:"idle" default:"30d" positive:"true" min:"1s" max:"400d" doc:"A log-in that was not renewed for so long has ended."`
	Absolute  Duration         `key:"absolute" default:"90d" positive:"true" min:"1s" max:"400d" doc:"A log-in of this age has ended, however often it was renewed."`
	Grace     Duration         `key:"grace" default:"10s" doc:"How long a token that was just used is answered with the same successor again, because the first answer may have been lost. After that, reuse ends the log-in."`
	Algorithm string           `key:"algorithm" default:"HS256" enum:"HS256 HS384 HS512 RS256 PS256 ES256 EdDSA" doc:"How they are signed, if they are."`
	Secret    gatehouse.Secret `key:"secret" check:"tokensecret" example:"file:refresh.secret" doc:"As for access."`
}

// ActionTokens are good for one action.
type ActionTokens struct {
	TTL       Duration         `key:"ttl" positive:"true" min:"1s" max:"400d" example:"1h" doc:"How long they are valid."`
	Algorithm string           `key:"algorithm" default:"HS256" enum:"HS256 HS384 HS512 RS256 PS256 ES256 EdDSA" doc:"How they are signed, if there is a secret."`
	Secret    gatehouse.Secret `key:"secret" check:"tokensecret" example:"file:email.secret" doc:"A secret that exists already: then they are JWTs. Absent: they are opaque."`
}

// An OwnPurpose is one of the user's own.
type OwnPurpose struct {
	Pos Position

	Form      string           `key:"form" default:"jwt" enum:"jwt opaque" doc:"jwt: signed. opaque: random, and known to the store."`
	Algorithm string           `key:"algorithm" default:"HS256" enum:"HS256 HS384 HS512 RS256 PS256 ES256 EdDSA" doc:"How a JWT is signed."`
	TTL       Duration         `key:"ttl" required:"true" positive:"true" min:"1s" max:"400d" example:"5m" doc:"How long a token is valid."`
	MaxTTL    Duration         `key:"max_ttl" positive:"true" min:"1s" max:"400d" example:"1h" doc:"How long a token may be valid that asks for it. Absent: ttl."`
	Delay     Duration         `key:"delay" example:"10s" doc:"How long after it was made a token becomes valid: at least 2s less than ttl."`
	MaxUses   int              `key:"max_uses" default:"0" min:"0" max:"1000000" doc:"How often an opaque token may be used. 0 means any number."`
	Audience  []string         `key:"audience" single:"true" nonempty:"true" unique:"true" check:"line" example:"https://files.example.org" doc:"Who the tokens are for. Absent: tokens.audience."`
	Required  []string         `key:"required_claims" unique:"true" check:"claim" example:"[file]" doc:"Claims that each token must have."`
	Rotate    Duration         `key:"rotate" default:"30d" doc:"How long a key signs, as for access."`
	Secret    gatehouse.Secret `key:"secret" check:"tokensecret" example:"file:download.secret" doc:"As for access."`
}

// A Foreign is a profile of tokens that somebody else makes.
type Foreign struct {
	_ struct{} `oneOf:"secret key jwks_url"`

	Pos Position

	Name         string                `key:"name" check:"name" example:"legacy" doc:"What messages call it."`
	Algorithm    []string              `key:"algorithm" required:"true" single:"true" nonempty:"true" unique:"true" enum:"HS256 HS384 HS512 RS256 PS256 ES256 EdDSA" example:"HS256" doc:"How the tokens are signed; several with jwks_url alone."`
	Secret       gatehouse.Secret      `key:"secret" check:"tokensecret" example:"file:legacy.secret" doc:"The secret, for HS256 and its like."`
	Key          gatehouse.Secret      `key:"key" check:"publickeys" example:"file:issuer.pem" doc:"The issuer's public key in PEM."`
	JWKSURL      string                `key:"jwks_url" check:"keysurl" example:"https://login.example.org/jwks.json" doc:"Where the issuer publishes its keys. They are fetched when they are needed, and again as the answer says."`
	Issuer       string                `key:"issuer" check:"line" example:"https://login.example.org" doc:"What iss must say. Absent: anything."`
	Audience     []string              `key:"audience" single:"true" nonempty:"true" unique:"true" check:"line" example:"https://app.example.org" doc:"What aud must say, one of these. Absent: anything, so that tokens for others count here as well."`
	SubjectClaim string                `key:"subject_claim" default:"sub" check:"claim" example:"login" doc:"The claim that says who the caller is."`
	RoleClaim    string                `key:"role_claim" default:"roles" check:"claim" example:"access_role" doc:"The claim that says the caller's role, or a list of them."`
	Required     map[string]ClaimValue `key:"required_claims" names:"claim" example:"{standard_claim: true}" doc:"Claims that a token must have, and what they must say; any means whatever is not empty or false, and is all that can be said of times such as exp."`
}

// Revocation says how fast what was revoked ends everywhere.
type Revocation struct {
	Bound Duration `key:"bound" default:"5s" positive:"true" doc:"If it has not been known for so long what was revoked, nothing that could have been is let through, unless the rule says otherwise (on_store_loss)."`
	Poll  Duration `key:"poll" default:"1s" positive:"true" doc:"How often the store is asked what was revoked, if nobody tells. At most half of bound."`
}

// A Client is a program that proves who it is at /oauth.
type Client struct {
	_ struct{} `oneOf:"secret_hash keys" private:"true"`

	Pos Position
	// Sum is the SHA-256 of the secret; its zero value is nobody's.
	Sum Digest

	ID         string           `key:"id" required:"true" check:"name" example:"reports" doc:"Its name."`
	SecretHash gatehouse.Secret `key:"secret_hash" check:"tokenhash" example:"sha256:<64 hexadecimal digits>" doc:"The SHA-256 of its secret, as gatehouse hash token prints it, or file:PATH."`
	Keys       gatehouse.Secret `key:"keys" check:"publickeys" example:"file:reports.jwks" doc:"Its public keys, as a JWK set or one key in PEM, with which it signs assertions."`
	Scopes     []string         `key:"scopes" check:"scope" unique:"true" example:"[films.read]" doc:"What its tokens may permit."`
	May        []string         `key:"may" enum:"introspect revoke follow" unique:"true" example:"[introspect]" doc:"What it may do beyond getting tokens for itself: introspect or revoke everybody's tokens, follow what is revoked."`
}

// A ClaimValue is what a claim must say: a text, a whole number, true or false; or, with Any, something.
type ClaimValue struct {
	Any   bool
	Value any
}

func parseClaimValue(text string, _ *shape) (any, string) {
	switch text {
	case "any":
		return ClaimValue{Any: true}, ""
	case "true", "false":
		return ClaimValue{Value: text == "true"}, ""
	case "":
		return nil, "is empty; write any for whatever the claim says"
	}
	if n, err := strconv.ParseInt(text, 10, 53); err == nil {
		return ClaimValue{Value: int(n)}, ""
	}
	return ClaimValue{Value: text}, ""
}

// A StoreLoss is for how long a token counts of which it is not known whether it was revoked. Zero: not at all.
type StoreLoss time.Duration

// maxStoreLoss is the longest that a rule may let what was revoked live on.
const maxStoreLoss = 24 * time.Hour

func parseStoreLoss(text string, _ *shape) (any, string) {
	const hint = "; write deny, or bounded(60s)"
	if text == "deny" {
		return StoreLoss(0), ""
	}
	inner, ok := strings.CutPrefix(text, "bounded(")
	inner, closed := strings.CutSuffix(inner, ")")
	if !ok || !closed {
		return nil, "says nothing" + hint
	}
	d, problem := parseDuration(inner)
	switch {
	case problem != "":
		return nil, "has a time in it that " + problem
	case d == 0:
		return nil, "is no time at all" + hint
	case d.Std() > maxStoreLoss:
		return nil, "is more than a day: what was revoked would live on" + hint
	}
	return StoreLoss(d), ""
}

// HasBearer reports whether requests may carry tokens that are verified.
func (c *Config) HasBearer() bool {
	return slices.ContainsFunc(c.Carriers, func(carrier Carrier) bool { return carrier.Kind == "bearer" })
}

// HasTokens reports whether tokens are made or verified at all.
func (c *Config) HasTokens() bool { return c.HasBearer() || len(c.Clients) > 0 }

// PurposeNames are the purposes that a rule may name, access among them.
func (c *Config) PurposeNames() []string {
	names := []string{"access", "refresh", "verify-email", "reset-password", "invite"}
	return append(names, sortedKeys(c.Tokens.Purposes)...)
}

// maxLeeway is that of package token.
const maxLeeway = Duration(2 * time.Minute)

func (d *decoder) checkTokenSections(c *Config) {
	if !c.HasTokens() && d.hasKeys("tokens") {
		d.faultAtKey("tokens", "is not used, because carriers does not name bearer and there are no clients; add bearer to carriers, or remove this section")
	}
	d.checkRulePurposes(c)
	if !c.HasTokens() {
		return
	}
	if r := c.Tokens.Revocation; r.Poll > r.Bound/2 {
		d.faultAt("tokens.revocation.poll", "is more than half of bound, so that one answer that comes late would stop everything; make it shorter")
	}
	if c.Tokens.Leeway > maxLeeway {
		d.faultAt("tokens.leeway", "is more than 2m: a token that was revoked could count again, long after it expired, once the revocation is forgotten; set the clocks, and make it shorter")
	}
	d.checkAccess(c)
	d.checkRefresh(c)
	d.checkActions(c)
	d.checkOwnPurposes(c)
	d.checkForeign(c)
	d.checkClients(c)
}

func (d *decoder) checkRulePurposes(c *Config) {
	for i, r := range c.Rules {
		at := itemPath("rules", i)
		switch {
		case r.Purpose != "" && !c.HasBearer():
			d.faultAtKey(keyPath(at, "purpose"), "is not used, because carriers does not name bearer; add it, or remove this key")
		case r.OnStoreLoss != 0 && !c.HasBearer() && !c.HasSessions():
			d.faultAtKey(keyPath(at, "on_store_loss"), "is not used, because carriers does not name bearer; add it, or remove this key")
		case r.Purpose != "" && !contains(c.PurposeNames(), r.Purpose):
			d.faultAt(keyPath(at, "purpose"), "unknown purpose %s%s", quote(r.Purpose), didYouMean(r.Purpose, c.PurposeNames()))
		}
	}
}

func (d *decoder) checkAccess(c *Config) {
	a, at := c.Tokens.Access, "tokens.access"
	d.checkMaxTTL(at, a.TTL, a.MaxTTL)
	d.checkKeyKind(at, a.Algorithm, a.Secret, a.Key)
	d.checkRotation(c, at, a.Rotate, max(a.TTL, a.MaxTTL), !a.Secret.IsZero() || !a.Key.IsZero())
	d.checkClaimNames(keyPath(at, "claims"), a.Claims)
}

// isSymmetric reports whether an algorithm signs with a secret.
func isSymmetric(algorithm string) bool { return strings.HasPrefix(algorithm, "HS") }

// unused reports those keys of the mapping at a path that were written, and have no effect.
func (d *decoder) unused(at, because string, keys ...string) {
	for _, key := range keys {
		if d.wrote(keyPath(at, key)) {
			d.faultAtKey(keyPath(at, key), "is not used, because %s", because)
		}
	}
}

// maxKeys is how many keys a ring may have: that of package keyring.
const maxKeys = 1000

// checkRotation: keys are kept for as long as what they have signed may live, and a key of the user's own is not changed by the clock.
func (d *decoder) checkRotation(c *Config, at string, rotate, life Duration, own bool) {
	path := keyPath(at, "rotate")
	switch {
	case own:
		d.unused(at, "a secret or key of your own signs until you write another; remove one of them", "rotate")
	case rotate == 0 || d.faulty(path):
	case rotate.Std() < time.Second:
		d.faultAt(path, "is less than a second: nobody would know a key before it signs; make it longer, or write 0 for: until gatehouse key rotate")
	case (life+c.Tokens.Leeway)/rotate > maxKeys:
		d.faultAt(path, "makes more than %d keys at a time, because each is kept as long as what it has signed may live, %v; make it longer, or the tokens' life shorter", maxKeys, life)
	}
}

// reservedClaims are the names that have a meaning of their own, in any case: those of package token.
var reservedClaims = []string{"iss", "aud", "sub", "jti", "sid", "iat", "exp", "nbf", "typ", "kid", "alg", "client_id", "scope", "scp", "roles", "email", "email_verified", "auth_time",
	"amr", "acr", "azp", "nonce", "at_hash", "cnf", "act", "purpose"}

func (d *decoder) checkClaimNames(at string, claims map[string]string) {
	lower := map[string]string{}
	for _, name := range d.inOrder(at, sortedKeys(claims)) {
		folded := strings.ToLower(name)
		first, twice := lower[folded]
		switch {
		case contains(reservedClaims, folded):
			d.faultAtKey(keyPath(at, name), "%s is a claim with a meaning of its own, which tokens say anyway or must not say otherwise; choose another name, or remove it", quote(name))
		case twice:
			d.faultAtKey(keyPath(at, name), "%s is the same claim as %s for many who read it; remove one of them", quote(name), quote(first))
		}
		lower[folded] = name
	}
}

// timeClaims are the claims that are times.
var timeClaims = []string{"exp", "iat", "nbf", "auth_time"}

func (d *decoder) checkForeignClaims(at string, f Foreign) {
	for j, algorithm := range f.Algorithm {
		if f.JWKSURL != "" && isSymmetric(algorithm) {
			d.faultAt(itemPath(keyPath(at, "algorithm"), j), "%s signs with a secret, which nobody publishes; name what the keys behind jwks_url are for, or give the secret", algorithm)
		}
	}
	for _, name := range sortedKeys(f.Required) {
		path := keyPath(keyPath(at, "required_claims"), name)
		if want := f.Required[name]; contains(timeClaims, name) && want.Value != nil {
			d.faultAt(path, "%s is a time, which can be required, but not which one; write any", quote(name))
		}
	}
}

func (d *decoder) checkMaxTTL(at string, ttl, most Duration) {
	if most != 0 && most < ttl {
		d.faultAt(keyPath(at, "max_ttl"), "is less than ttl; make it longer, or remove it")
	}
}

// checkKeyKind: a secret for HMAC, a key for the others.
func (d *decoder) checkKeyKind(at, algorithm string, secret, key gatehouse.Secret) {
	symmetric := isSymmetric(algorithm)
	switch {
	case algorithm == "" || d.faulty(keyPath(at, "algorithm")): // the one that is meant may fit
	case !secret.IsZero() && !symmetric:
		d.faultAtKey(keyPath(at, "secret"), "is of no use to %s, which signs with a private key; write algorithm: HS256, or give a key", algorithm)
	case !key.IsZero() && symmetric:
		d.faultAtKey(keyPath(at, "key"), "is of no use to %s, which signs with a secret; write algorithm: ES256 or another one that fits the key", algorithm)
	}
}

func (d *decoder) checkRefresh(c *Config) {
	r, at := &c.Tokens.Refresh, "tokens.refresh"
	if r.TTL != 0 {
		for _, key := range []string{"idle", "absolute"} {
			if d.wrote(keyPath(at, key)) {
				d.faultAtKey(keyPath(at, key), "says the same as ttl in another way; remove one of them")
			}
		}
		r.Idle, r.Absolute = r.TTL, r.TTL
	}
	if r.Idle > r.Absolute {
		d.faultAt(keyPath(at, "idle"), "is longer than absolute, so that it never ends a log-in; make it shorter, or remove it")
	}
	d.checkKeyKind(at, r.Algorithm, r.Secret, gatehouse.Secret{})
	opaque := r.Format == "opaque" && !d.faulty(keyPath(at, "format"))
	switch {
	case r.Secret.IsZero() && opaque:
		d.unused(at, "the tokens are opaque; add format: jwt, or remove this key", "algorithm")
	case opaque && d.wrote(keyPath(at, "format")):
		d.unused(at, "format is opaque; remove one of them", "secret", "algorithm")
	case !r.Secret.IsZero():
		r.Format = "jwt"
	}
}

// checkActions: only a secret makes the tokens for one action JWTs.
func (d *decoder) checkActions(c *Config) {
	t := &c.Tokens
	for key, a := range map[string]*ActionTokens{"verify_email": &t.VerifyEmail, "reset_password": &t.ResetPassword, "invite": &t.Invite} {
		at := keyPath("tokens", key)
		d.checkKeyKind(at, a.Algorithm, a.Secret, gatehouse.Secret{})
		if a.Secret.IsZero() && !d.faulty(keyPath(at, "secret")) {
			d.unused(at, "the tokens are opaque; add a secret, or remove this key", "algorithm")
		}
	}
}

func (d *decoder) checkOwnPurposes(c *Config) {
	for name, p := range c.Tokens.Purposes {
		at := keyPath("tokens.purposes", name)
		d.checkMaxTTL(at, p.TTL, p.MaxTTL)
		d.checkOwnForm(c, at, p)
		switch {
		case slices.Contains([]string{"access", "refresh", "verify-email", "reset-password", "invite"}, name):
			d.faultAtKey(at, "is a purpose of Gatehouse itself; it has a section of its own, or choose another name")
		case d.faulty(keyPath(at, "ttl")) || d.faulty(at): // it may be long enough
		case p.Delay >= p.TTL && p.Delay > 0:
			d.faultAt(keyPath(at, "delay"), "is not less than ttl, so that no token would ever be valid")
		case p.Delay > p.TTL-narrowest && p.Delay > 0:
			d.faultAt(keyPath(at, "delay"), "is less than %v shorter than ttl, and the times in tokens are whole seconds: many would never be valid; make it shorter", narrowest)
		}
	}
}

// narrowest is the shortest time for which a token with a delay must be valid: when it begins and ends is rounded inwards.
const narrowest = Duration(2 * time.Second)

// checkOwnForm reports what a purpose says that its form has no use for.
func (d *decoder) checkOwnForm(c *Config, at string, p OwnPurpose) {
	switch {
	case d.faulty(keyPath(at, "form")):
	case p.Form == "opaque":
		d.unused(at, "form is opaque; remove one of them", "secret", "algorithm", "rotate")
	default:
		d.checkKeyKind(at, p.Algorithm, p.Secret, gatehouse.Secret{})
		d.checkRotation(c, at, p.Rotate, max(p.TTL, p.MaxTTL), !p.Secret.IsZero())
		if p.MaxUses > 0 {
			d.faultAt(keyPath(at, "max_uses"), "needs form: opaque; only the store can count")
		}
	}
}

// maxForeignKeys is how many keys a token is tried against that does not name its own.
const maxForeignKeys = 4

func (d *decoder) checkForeign(c *Config) {
	given := 0
	for i, f := range c.Tokens.Foreign {
		at := itemPath("tokens.foreign", i)
		if f.JWKSURL == "" {
			given++
			if len(f.Algorithm) > 1 {
				d.faultAt(keyPath(at, "algorithm"), "one key has one algorithm; name it alone")
			}
		}
		if len(f.Algorithm) == 1 {
			d.checkKeyKind(at, f.Algorithm[0], f.Secret, f.Key)
		}
		d.checkForeignClaims(at, f)
		if given > maxForeignKeys {
			d.faultAt(at, "is the fifth profile with a key of its own, and a token is tried against %d at most; let the issuer publish its keys (jwks_url)", maxForeignKeys)
		}
		if len(f.Audience) == 0 {
			d.warnAt(c, at, "has no audience, so that tokens that were made for others are let in as well; give one if the issuer writes aud")
		}
	}
}

func (d *decoder) checkClients(c *Config) {
	ids := map[string]string{}
	for i := range c.Clients {
		client, at := &c.Clients[i], itemPath("clients", i)
		if first, taken := ids[client.ID]; taken && client.ID != "" {
			d.faultAt(keyPath(at, "id"), "this name is taken by %s; each client needs its own", first)
		}
		ids[client.ID] = at
		if !client.SecretHash.IsZero() {
			client.Sum = sumOf(client.SecretHash.Reveal())
		}
	}
}
