package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/token"
)

// introspect serves POST /oauth/introspect (RFC 7662). A token that is not active, and one that the client has no business with, look the same.
func (o *oauth) introspect(w http.ResponseWriter, r *http.Request, form url.Values) error {
	c, err := o.client(r, form)
	if err != nil {
		return err
	}
	if !form.Has("token") {
		return invalid("invalid_request", "The token is missing.")
	}
	claims, err := o.look(r.Context(), form.Get("token"), Peeker.Peek)
	if err != nil && !errors.Is(err, gatehouse.ErrCredential) {
		return err
	}
	if err != nil || !c.knows(claims, MayIntrospect) {
		writeJSON(w, http.StatusOK, map[string]bool{"active": false})
		return nil
	}
	writeJSON(w, http.StatusOK, introspectionOf(claims.Claims))
	return nil
}

// A seen is a token that was looked at.
type seen struct {
	token.Claims
	foreign bool // somebody else has made it, for clients of their own
}

// knows reports whether a token is the client's business: because it was given to it, or because it has a right.
func (c Client) knows(of seen, right string) bool {
	return !of.foreign && of.Client == c.ID || c.may(right)
}

// look returns what a token says, of whichever purpose it is. Whether a client says which (token_type_hint) makes no difference. Of several errors, one that says that it could not be
// checked counts.
func (o *oauth) look(ctx context.Context, text string, peek func(Peeker, context.Context, string) (token.Claims, error)) (seen, error) {
	refused := error(token.ErrInvalid)
	for i, v := range slices.Concat(o.Verifiers, o.Foreign) {
		claims, err := peek(v, ctx, text)
		if err == nil {
			return seen{claims, i >= len(o.Verifiers)}, nil
		}
		if !errors.Is(err, gatehouse.ErrCredential) {
			refused = err
		}
	}
	return seen{}, refused
}

// An introspection is an active token: RFC 7662, section 2.2. The purpose is our own member; a resource server takes access tokens alone.
type introspection struct {
	Active    bool     `json:"active"`
	Scope     string   `json:"scope,omitempty"`
	Client    string   `json:"client_id,omitempty"`
	TokenType string   `json:"token_type,omitempty"`
	Expires   int64    `json:"exp,omitempty"`
	Issued    int64    `json:"iat,omitempty"`
	NotBefore int64    `json:"nbf,omitempty"`
	Subject   string   `json:"sub,omitempty"`
	Audience  []string `json:"aud,omitempty"`
	Issuer    string   `json:"iss,omitempty"`
	ID        string   `json:"jti,omitempty"`
	Session   string   `json:"sid,omitempty"`
	Purpose   string   `json:"purpose"`
	Roles     []string `json:"roles,omitempty"`
}

func introspectionOf(c token.Claims) introspection {
	in := introspection{Active: true, Scope: strings.Join(c.Scopes, " "), Client: c.Client, Expires: unix(c.ExpiresAt), Issued: unix(c.IssuedAt),
		NotBefore: unix(c.NotBefore), Subject: c.Subject, Audience: c.Audience, Issuer: c.Issuer, ID: c.ID, Session: c.Session, Purpose: c.Purpose, Roles: c.Roles}
	if c.Purpose == token.PurposeAccess {
		in.TokenType = "Bearer"
	}
	return in
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
