package api

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/token"
)

// The grants.
const (
	grantClient    = "client_credentials"
	grantAssertion = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	grantRefresh   = "refresh_token"
)

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
		c, err := o.assertion(r, form)
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

// assertion returns the client that the assertion of RFC 7523, section 2.1, is about, which is the one that has signed it: nobody signs for others here. So the assertion is the client's
// proof, and a bad one is invalid_client, as it is in section 2.2. A client that authenticates besides must be right, and the same one.
func (o *oauth) assertion(r *http.Request, form url.Values) (Client, error) {
	if !form.Has("assertion") {
		return Client{}, invalid("invalid_request", "The assertion is missing.")
	}
	besides, err := o.anyClient(r, form)
	if err != nil {
		return Client{}, err
	}
	c, err := o.byAssertion(r.Context(), form.Get("assertion"))
	if err == nil {
		err = sameClient(c, form)
	}
	if err == nil && besides.ID != "" && besides.ID != c.ID {
		err = badClient(errOther, slog.String("client", besides.ID))
	}
	return c, err
}

// grant mints a token for a client itself: its subject is the client.
func (o *oauth) grant(w http.ResponseWriter, r *http.Request, c Client, form url.Values) error {
	scopes, err := scopesFor(form.Get("scope"), c.Scopes)
	if err != nil {
		err.about = []slog.Attr{slog.String("client", c.ID)}
		return err
	}
	minted, failed := o.Access.Mint(r.Context(), token.Claims{Subject: c.ID, Client: c.ID, Scopes: scopes})
	if failed != nil {
		return failed
	}
	o.note(r, slog.LevelInfo, "a token was issued", slog.String("client", c.ID), slog.String("grant", form.Get("grant_type")),
		slog.String("token_id", minted.Claims.ID), slog.String("scope", strings.Join(scopes, " ")))
	o.give(w, minted, token.Token{})
	return nil
}

// scopesFor returns the scopes that were asked for, or all that may be had if none were.
func scopesFor(asked string, may []string) ([]string, *fault) {
	var scopes []string
	for scope := range strings.SplitSeq(asked, " ") {
		switch {
		case scope == "" || slices.Contains(scopes, scope):
		case !slices.Contains(may, scope):
			return nil, invalid("invalid_scope", "A scope that was asked for may not be had.")
		default:
			scopes = append(scopes, scope)
		}
	}
	if len(scopes) == 0 {
		return may, nil
	}
	return scopes, nil
}

// give writes the answer of RFC 6749, section 5.1.
func (o *oauth) give(w http.ResponseWriter, access, refresh token.Token) {
	body := struct {
		AccessToken  string `json:"access_token"`
		TokenType    string `json:"token_type"`
		ExpiresIn    int64  `json:"expires_in"`
		Scope        string `json:"scope,omitempty"`
		RefreshToken string `json:"refresh_token,omitempty"`
	}{access.Text.Reveal(), "Bearer", o.secondsLeft(access), strings.Join(access.Claims.Scopes, " "), refresh.Text.Reveal()}
	w.Header().Set("Pragma", "no-cache")
	writeJSON(w, http.StatusOK, body)
}

// secondsLeft returns how long a token that has just been made is valid, rounded down: a client that asks early loses nothing. It is never 0, which programs take for a token that does not
// expire.
func (o *oauth) secondsLeft(t token.Token) int64 {
	return max(1, int64(t.Claims.ExpiresAt.Sub(o.Now())/time.Second))
}
