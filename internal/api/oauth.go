package api

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/problem"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

// maxForm bounds the body of a request to these endpoints: a token, an assertion and a few words.
const maxForm = 64 << 10

// Rights are what a client may do beyond getting tokens for itself.
const (
	MayIntrospect = "introspect" // ask about every token, not only its own
	MayRevoke     = "revoke"     // revoke every token, not only its own
	MayFollow     = "follow"     // read the feed of revocations
)

// A Client is a registered client and what it may do.
type Client struct {
	token.Client
	May []string
}

// OAuthConfig is what the endpoints below /oauth are made of.
type OAuthConfig struct {
	// Client returns the client called id. The error wraps token.ErrClient if there is none.
	Client func(ctx context.Context, id string) (Client, error)
	// Assertions verifies what clients sign. Access mints their tokens. Required.
	Assertions *token.Assertions
	Access     *token.Minter
	// Refresh renews log-ins. Nil: there is no refresh grant.
	Refresh *token.Families
	// Verifiers look at the tokens of every purpose, without using them up. Bearer knows access tokens alone. Required.
	Verifiers []Peeker
	Bearer    *token.Verifier
	// Revocations takes what is revoked and tells the followers. Required.
	Revocations *revoke.List
	// Feed serves the feed to clients that may follow. Required.
	Feed http.Handler
	// Rings are those whose public keys everybody may know.
	Rings []*keyring.Ring
	// Guard counts and logs refusals. Required.
	Guard *guard.Guard
	// Now is the clock. Required.
	Now func() time.Time
}

// handlers returns what serves each path below the prefix.
func (c OAuthConfig) handlers(prefix string) map[string]http.Handler {
	o := &oauth{c}
	return map[string]http.Handler{
		prefix + "/oauth/token":           o.endpoint(o.token),
		prefix + "/oauth/introspect":      o.endpoint(o.introspect),
		prefix + "/oauth/revoke":          o.endpoint(o.revoke),
		prefix + "/oauth/revocations":     http.HandlerFunc(o.follow),
		prefix + "/.well-known/jwks.json": keyring.JWKS(c.Rings...),
	}
}

// A Peeker verifies a token without counting it as used.
type Peeker interface {
	Peek(ctx context.Context, text string) (token.Claims, error)
}

// oauth serves the endpoints.
type oauth struct{ OAuthConfig }

// A fault is an error of RFC 6749, section 5.2.
type fault struct {
	status            int
	code, description string
	cause             error
}

func (f *fault) Error() string { return f.code + ": " + f.description }
func (f *fault) Unwrap() error { return f.cause }

func invalid(code, description string) *fault { return &fault{400, code, description, nil} }

// endpoint makes a handler of f: its error is the answer, and nothing here is ever cached (RFC 6749, section 5.1).
func (o *oauth) endpoint(f func(http.ResponseWriter, *http.Request, url.Values) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		form, err := readForm(w, r)
		if err == nil {
			err = f(w, r, form)
		}
		if err != nil {
			o.fail(w, r, err)
		}
	})
}

// readForm reads the parameters in the body of r. Those of the query are never looked at: they stand in logs. RFC 6749, section 3.2: a parameter without a
// value is treated as absent, unknown ones are ignored, none may come twice.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, invalid("invalid_request", "Send the parameters as application/x-www-form-urlencoded in the body.")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return nil, &fault{413, "invalid_request", "The body is larger than 64 KiB.", err}
		}
		return nil, &fault{400, "invalid_request", "The body cannot be read as a form.", err}
	}
	for name, values := range r.PostForm {
		if len(values) > 1 {
			return nil, invalid("invalid_request", "A parameter comes twice.")
		}
		if values[0] == "" {
			r.PostForm.Del(name)
		}
	}
	return r.PostForm, nil
}

// fail answers with err. What is neither a fault nor a bad credential could not be done now.
func (o *oauth) fail(w http.ResponseWriter, r *http.Request, err error) {
	f, ok := errors.AsType[*fault](err)
	if !ok {
		f = &fault{503, "temporarily_unavailable", "This could not be done now. Try again after the time in Retry-After.", err}
		w.Header().Set("Retry-After", "5")
	}
	o.Guard.Refuse(r, problemOf(f))
	if f.code == "invalid_client" && r.Header.Get("Authorization") != "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="gatehouse", charset="UTF-8"`)
	}
	writeJSON(w, f.status, map[string]string{"error": f.code, "error_description": f.description})
}

// problemOf says what a fault is in the words of logs, metrics and limits.
func problemOf(f *fault) *problem.Problem {
	switch {
	case f.status == 503:
		return problem.Wrap(problem.Unavailable, f.cause)
	case f.code == "invalid_client":
		return problem.Wrap(problem.InvalidCredentials, f)
	case f.code == "invalid_grant":
		return problem.Wrap(problem.UnknownToken, f)
	}
	return problem.Wrap(problem.BrokenBody, f)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// The grants.
const (
	grantClient    = "client_credentials"
	grantAssertion = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	grantRefresh   = "refresh_token"
)

var errNoClient = &fault{401, "invalid_client", "Authenticate with a client_assertion that the client's registered key has signed, or with the client's secret by HTTP Basic.", nil}

// client authenticates the client that sent r, by exactly one of the ways of RFC 6749, section 2.3, and RFC 7523, section 2.2. Whatever is wrong with it, it
// looks the same from outside.
func (o *oauth) client(r *http.Request, form url.Values) (Client, error) {
	id, secret, basic := r.BasicAuth()
	ways := 0
	for _, used := range []bool{r.Header.Get("Authorization") != "", form.Has("client_secret"), form.Has("client_assertion") || form.Has("client_assertion_type")} {
		if used {
			ways++
		}
	}
	switch {
	case ways == 0:
		return Client{}, errNoClient
	case ways > 1:
		return Client{}, invalid("invalid_request", "Authenticate in one way, not in several.")
	case form.Has("client_assertion") || form.Has("client_assertion_type"):
		return o.byAssertion(r, form)
	case form.Has("client_secret"):
		id, secret = form.Get("client_id"), form.Get("client_secret")
	case !basic:
		return Client{}, errNoClient
	default:
		var err1, err2 error // RFC 6749, section 2.3.1: both are form-encoded before they become Basic
		id, err1 = url.QueryUnescape(id)
		secret, err2 = url.QueryUnescape(secret)
		if err1 != nil || err2 != nil {
			return Client{}, errNoClient
		}
	}
	return o.bySecret(r, id, secret)
}

func (o *oauth) bySecret(r *http.Request, id, secret string) (Client, error) {
	c, err := o.Client(r.Context(), id)
	if err == nil {
		err = c.CheckSecret(secret)
	}
	return c, clientFault(err)
}

func (o *oauth) byAssertion(r *http.Request, form url.Values) (Client, error) {
	if form.Get("client_assertion_type") != assertionType {
		return Client{}, invalid("invalid_request", "The client_assertion_type must be "+assertionType+".")
	}
	return o.asserted(r, form.Get("client_assertion"), form.Get("client_id"))
}

// asserted returns the client that has signed assertion. id is the client_id that came beside, or empty.
func (o *oauth) asserted(r *http.Request, assertion, id string) (Client, error) {
	signer, err := o.Assertions.Verify(r.Context(), assertion)
	if err == nil && id != "" && id != signer.ID {
		err = token.ErrClient
	}
	if err != nil {
		return Client{}, clientFault(err)
	}
	c, err := o.Client(r.Context(), signer.ID)
	return c, clientFault(err)
}

// clientFault turns an error of authentication into the answer.
func clientFault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gatehouse.ErrMalformed):
		return &fault{400, "invalid_request", "The assertion is not a signed token.", err}
	case errors.Is(err, gatehouse.ErrCredential):
		return &fault{401, "invalid_client", errNoClient.description, err}
	}
	return err
}

// token serves POST /oauth/token.
func (o *oauth) token(w http.ResponseWriter, r *http.Request, form url.Values) error {
	switch form.Get("grant_type") {
	case grantClient:
		c, err := o.client(r, form)
		if err != nil {
			return err
		}
		return o.grant(w, r, c, form)
	case grantAssertion:
		if !form.Has("assertion") {
			return invalid("invalid_request", "The assertion is missing.")
		}
		c, err := o.asserted(r, form.Get("assertion"), form.Get("client_id"))
		if f, ok := errors.AsType[*fault](err); ok && f.code == "invalid_client" {
			return &fault{401, "invalid_client", "The assertion is not one that a registered client has just signed for this server.", f.cause}
		}
		if err != nil {
			return err
		}
		return o.grant(w, r, c, form)
	case grantRefresh:
		return o.refresh(w, r, form)
	case "":
		return invalid("invalid_request", "The grant_type is missing.")
	}
	return invalid("unsupported_grant_type", "The grant_type must be "+grantClient+", "+grantAssertion+" or "+grantRefresh+".")
}

// grant mints a token for a client itself.
func (o *oauth) grant(w http.ResponseWriter, r *http.Request, c Client, form url.Values) error {
	scopes, err := scopesFor(form.Get("scope"), c.Scopes)
	if err != nil {
		return err
	}
	minted, err := o.Access.Mint(r.Context(), token.Claims{Subject: c.ID, Client: c.ID, Scopes: scopes})
	if err != nil {
		return err
	}
	o.give(w, minted, token.Token{})
	return nil
}

// scopesFor returns the scopes that were asked for, or all that may be had if none were.
func scopesFor(asked string, may []string) ([]string, error) {
	scopes := strings.Fields(asked)
	for _, scope := range scopes {
		if !slices.Contains(may, scope) {
			return nil, invalid("invalid_scope", "The client may not have a scope that it asks for.")
		}
	}
	if len(scopes) == 0 {
		return may, nil
	}
	return scopes, nil
}

// refresh renews a log-in. A log-in that was given to a client is renewed for that client alone (RFC 6749, section 6).
func (o *oauth) refresh(w http.ResponseWriter, r *http.Request, form url.Values) error {
	text := form.Get("refresh_token")
	switch {
	case o.Refresh == nil:
		return invalid("unsupported_grant_type", "There are no refresh tokens here.")
	case text == "":
		return invalid("invalid_request", "The refresh_token is missing.")
	}
	of, err := o.Refresh.Verify(r.Context(), text)
	if err == nil {
		if err := o.owns(r, form, of.Client); err != nil {
			return err
		}
		if err := sameScope(form, of); err != nil {
			return err
		}
	}
	pair, err := o.Refresh.Refresh(r.Context(), text) // also where it was refused: a token that was used before ends its family
	switch {
	case errors.Is(err, gatehouse.ErrCredential), errors.Is(err, gatehouse.ErrForbidden):
		return &fault{400, "invalid_grant", "The refresh token is unknown, has expired, was used or was revoked. Sign in again.", err}
	case err != nil:
		return err
	}
	o.give(w, pair.Access, pair.Refresh)
	return nil
}

// owns authenticates the client that a log-in was given to, if it was given to one. Who authenticates without need must be right as well.
func (o *oauth) owns(r *http.Request, form url.Values, owner string) error {
	if owner == "" && r.Header.Get("Authorization") == "" && !form.Has("client_secret") && !form.Has("client_assertion") {
		return nil
	}
	c, err := o.client(r, form)
	if err != nil {
		return err
	}
	if owner != "" && c.ID != owner {
		return invalid("invalid_grant", "The refresh token is not this client's.")
	}
	return nil
}

// sameScope refuses to change the scope of a log-in: a wider one is never given, a narrower one is not kept by families.
func sameScope(form url.Values, of token.Claims) error {
	if !form.Has("scope") {
		return nil
	}
	asked := strings.Fields(form.Get("scope"))
	slices.Sort(asked)
	if slices.Equal(slices.Compact(asked), slices.Compact(slices.Sorted(slices.Values(of.Scopes)))) {
		return nil
	}
	return invalid("invalid_scope", "A log-in keeps its scope: leave the parameter out.")
}

// give writes the answer of RFC 6749, section 5.1.
func (o *oauth) give(w http.ResponseWriter, access, refresh token.Token) {
	body := struct {
		AccessToken  string `json:"access_token"`
		TokenType    string `json:"token_type"`
		ExpiresIn    int64  `json:"expires_in"`
		Scope        string `json:"scope,omitempty"`
		RefreshToken string `json:"refresh_token,omitempty"`
	}{access.Text.Reveal(), "Bearer", int64(access.Claims.ExpiresAt.Sub(o.Now()) / time.Second), strings.Join(access.Claims.Scopes, " "), refresh.Text.Reveal()}
	w.Header().Set("Pragma", "no-cache")
	writeJSON(w, 200, body)
}

// introspect serves POST /oauth/introspect (RFC 7662). A token that is not active, and one that the client has no business with, look the same.
func (o *oauth) introspect(w http.ResponseWriter, r *http.Request, form url.Values) error {
	c, err := o.client(r, form)
	if err != nil {
		return err
	}
	if !form.Has("token") {
		return invalid("invalid_request", "The token is missing.")
	}
	claims, err := o.peek(r.Context(), form.Get("token"))
	if err != nil && !errors.Is(err, gatehouse.ErrCredential) {
		return err
	}
	if err != nil || claims.Client != c.ID && !slices.Contains(c.May, MayIntrospect) {
		writeJSON(w, 200, map[string]bool{"active": false})
		return nil
	}
	writeJSON(w, 200, introspectionOf(claims))
	return nil
}

// peek returns the claims of a good token of whichever purpose. Of several errors, one that says that it could not be checked counts.
func (o *oauth) peek(ctx context.Context, text string) (token.Claims, error) {
	refused := error(token.ErrInvalid)
	for _, v := range o.Verifiers {
		claims, err := v.Peek(ctx, text)
		if err == nil {
			return claims, nil
		}
		if !errors.Is(err, gatehouse.ErrCredential) {
			refused = err
		}
	}
	return token.Claims{}, refused
}

// An introspection is an active token: RFC 7662, section 2.2.
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
	if c.Purpose == "access" {
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

// revoke serves POST /oauth/revoke (RFC 7009). A token that is not good any more is revoked already: 200.
func (o *oauth) revoke(w http.ResponseWriter, r *http.Request, form url.Values) error {
	c, err := o.client(r, form)
	if err != nil {
		return err
	}
	text := form.Get("token")
	if text == "" {
		return invalid("invalid_request", "The token is missing.")
	}
	claims, err := o.peek(r.Context(), text)
	if _, stale := errors.AsType[*gatehouse.StaleError](err); err != nil && !stale {
		if errors.Is(err, gatehouse.ErrCredential) {
			w.WriteHeader(200)
			return nil
		}
		return err
	}
	if claims.Client != c.ID && !slices.Contains(c.May, MayRevoke) {
		return invalid("unauthorized_client", "The token was not given to this client.")
	}
	if err := o.end(r.Context(), claims); err != nil {
		return err
	}
	w.WriteHeader(200)
	return nil
}

// end revokes one token. With a refresh token goes its log-in, the access tokens included (RFC 7009, section 2.1).
func (o *oauth) end(ctx context.Context, c token.Claims) error {
	if o.Refresh != nil && c.Purpose == o.Refresh.Purpose().Name {
		return o.Refresh.End(ctx, c.Session)
	}
	return o.Revocations.RevokeToken(ctx, c.ID, c.ExpiresAt)
}

// follow serves GET /oauth/revocations to clients that may.
func (o *oauth) follow(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	c, err := o.follower(r)
	if err == nil && !slices.Contains(c.May, MayFollow) {
		o.Guard.Answers().Write(w, r, problem.New(problem.Forbidden))
		return
	}
	if err != nil {
		o.fail(w, r, err)
		return
	}
	if since := r.URL.Query().Get("since"); since != "" {
		if n, err := strconv.ParseInt(since, 10, 64); err != nil || n < 0 {
			o.fail(w, r, invalid("invalid_request", "since must be a whole number that is not negative."))
			return
		}
	}
	o.Feed.ServeHTTP(w, r)
}

// follower authenticates who reads the feed: a client by its secret, or by an access token that it got at the token endpoint.
func (o *oauth) follower(r *http.Request) (Client, error) {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return o.client(r, url.Values{})
	}
	claims, err := o.Bearer.Verify(r.Context(), strings.TrimLeft(text, " "))
	if err == nil && (claims.Client == "" || claims.Subject != claims.Client) {
		err = token.ErrClient // a person's
	}
	if err != nil {
		return Client{}, clientFault(err)
	}
	c, err := o.Client(r.Context(), claims.Client)
	return c, clientFault(err)
}
