package gatehouse

import (
	"iter"
	"maps"
	"slices"
	"time"
)

// Kind says what sort of caller a principal is.
type Kind string

// The kinds of principals. The zero Kind is treated as [KindAnonymous].
const (
	KindAnonymous Kind = "anonymous" // nobody has been proved
	KindUser      Kind = "user"      // a person
	KindService   Kind = "service"   // a program, such as the holder of a static token
)

// An Identity is what a carrier proves about the sender of a request.
//
// The zero Identity proves nothing. An Identity is a value: copies share their slices and claims, which nobody may
// change once the identity has left its carrier.
type Identity struct {
	// Value is the opaque, session-wide value that a policy resolves. It should be random or an internal name, never
	// a primary key or an e-mail address, because a carrier may hand it to a browser. Empty proves nothing.
	Value string
	// Kind is the kind of caller that the credential stands for. Empty means [KindUser].
	Kind Kind
	// Carrier names the carrier that found the credential, say "Authorization: Token". The guard fills it in.
	Carrier string
	// Session and TokenID name the record behind the credential. Both may be empty; neither is a secret.
	Session, TokenID string
	// Purpose is what the token is good for, if the credential is a token: "access", as a rule. Empty for other credentials. A guard takes a token of another
	// purpose only where the matched rule names it.
	Purpose string
	// Email is the verified address of the caller, if the credential vouches for one.
	Email string
	// Roles and Scopes are what the credential itself asserts. A role that the rules do not know grants nothing.
	Roles, Scopes []string
	// IssuedAt, ExpiresAt and AuthTime are zero when unknown. The guard refuses an identity whose ExpiresAt is not in the future.
	IssuedAt, ExpiresAt, AuthTime time.Time
	// Methods are the ways in which the caller was authenticated, in the terms of RFC 8176 ("pwd", "otp", …).
	Methods []string

	claims map[string]any
	value  any
}

// A Principal is who a request acts for, resolved once per request.
//
// The zero Principal is anonymous. Like an [Identity] it is a value whose slices must not be changed.
type Principal struct {
	// Subject is the stable id of the caller; empty exactly for the anonymous principal.
	Subject string
	// Kind is the kind of caller; the zero value means anonymous.
	Kind Kind
	// Session is the id of the session behind the request, or empty. It is a name, not the secret in the cookie.
	Session string
	// Email is the caller's verified address, or empty.
	Email string
	// Roles and Scopes are what the caller may act as; unknown ones grant nothing.
	Roles, Scopes []string
	// AuthTime is when the caller authenticated, zero when unknown; Methods says how (RFC 8176).
	AuthTime time.Time
	Methods  []string

	claims map[string]any
	value  any
}

// Anonymous returns the principal of a request that has proved nothing.
func Anonymous() Principal { return Principal{Kind: KindAnonymous} }

// PrincipalOf returns the principal that id describes by itself: its Value as the subject, with its roles, scopes, claims and value.
// It returns the anonymous principal if id proves nothing.
func PrincipalOf(id Identity) Principal {
	if id.Value == "" {
		return Anonymous()
	}
	kind := id.Kind
	if kind == "" {
		kind = KindUser
	}
	return Principal{
		Subject: id.Value, Kind: kind, Session: id.Session, Email: id.Email, Roles: id.Roles, Scopes: id.Scopes,
		AuthTime: id.AuthTime, Methods: id.Methods, claims: id.claims, value: id.value,
	}
}

// IsAnonymous reports whether p stands for nobody. A principal without a subject is anonymous whatever its Kind says.
func (p Principal) IsAnonymous() bool {
	return p.Subject == "" || p.Kind == "" || p.Kind == KindAnonymous
}

// HasScope reports whether scope is among p's scopes, to the letter. The empty scope is held by nobody.
func (p Principal) HasScope(scope string) bool {
	return scope != "" && slices.Contains(p.Scopes, scope)
}

// Claim returns the claim called name and whether there is one. Claims that are maps or slices are shared: do not change them.
func (p Principal) Claim(name string) (any, bool) {
	v, ok := p.claims[name]
	return v, ok
}

// Claims iterates over p's claims in no particular order.
func (p Principal) Claims() iter.Seq2[string, any] { return maps.All(p.claims) }

// Claim returns the claim called name and whether there is one, like [Principal.Claim].
func (id Identity) Claim(name string) (any, bool) {
	v, ok := id.claims[name]
	return v, ok
}

// Claims iterates over id's claims in no particular order.
func (id Identity) Claims() iter.Seq2[string, any] { return maps.All(id.claims) }

// WithClaims returns a copy of c that carries claims instead of its own. The map is copied, its values are not.
func WithClaims[C Identity | Principal](c C, claims map[string]any) C {
	claims = maps.Clone(claims)
	switch p := any(&c).(type) {
	case *Identity:
		p.claims = claims
	case *Principal:
		p.claims = claims
	}
	return c
}

// WithValue returns a copy of c that carries one value of the program's own, such as its user record. A look-up puts it on
// the identity (or a policy on the principal) and handlers read it with [Value].
func WithValue[C Identity | Principal](c C, value any) C {
	switch p := any(&c).(type) {
	case *Identity:
		p.value = value
	case *Principal:
		p.value = value
	}
	return c
}
