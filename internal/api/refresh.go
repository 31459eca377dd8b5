package api

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

// badGrant is the answer to a refresh token that is of no use, whyever.
func badGrant(cause error, about ...slog.Attr) *fault {
	return &fault{status: http.StatusBadRequest, code: "invalid_grant", cause: cause, about: about,
		description: "The refresh token is unknown, has expired, was used or was revoked, or is not this client's. Sign in again."}
}

// refresh renews a log-in. The token is used up only once it is clear that the client may use it: one that somebody else has found does not even end the log-in.
func (o *oauth) refresh(w http.ResponseWriter, r *http.Request, form url.Values) error {
	text := form.Get("refresh_token")
	switch {
	case o.Refresh == nil:
		return invalid("unsupported_grant_type", "There are no refresh tokens here.")
	case text == "":
		return invalid("invalid_request", "The refresh_token is missing.")
	}
	of, err := o.owned(r, form, text)
	if err != nil {
		return err
	}
	scopes, bad := scopesFor(form.Get("scope"), of.Claims.Scopes)
	if bad != nil {
		bad.about = of.about()
		return bad
	}
	pair, err := o.Refresh.Refresh(r.Context(), text)
	if err == nil && form.Has("scope") {
		pair.Access, err = o.narrow(r.Context(), pair.Access, scopes)
	}
	if err != nil {
		return refreshFault(err, of)
	}
	o.note(r, slog.LevelInfo, "a log-in was renewed", append(of.about(), slog.String("token_id", pair.Access.Claims.ID))...)
	o.give(w, pair.Access, pair.Refresh)
	return nil
}

// A login is what a refresh token belongs to.
type login struct{ token.Claims }

// about says which log-in it is, for logs.
func (l login) about() []slog.Attr {
	attrs := []slog.Attr{slog.String("principal", l.Subject), slog.String("session", l.Session)}
	if l.Client != "" {
		attrs = append(attrs, slog.String("client", l.Client))
	}
	return attrs
}

// owned returns the log-in of a refresh token, which may be spent, if it is the client's: one that was given to a client is renewed for that client alone (RFC 6749, section 6). One
// that was given to none needs no client; who authenticates all the same must be right.
func (o *oauth) owned(r *http.Request, form url.Values, text string) (login, error) {
	c, err := o.anyClient(r, form)
	if err != nil {
		return login{}, err
	}
	claims, err := o.Refresh.PeekRevoked(r.Context(), text)
	of := login{claims}
	switch {
	case err != nil:
		return login{}, refreshFault(err, of)
	case of.Client == "" || of.Client == c.ID:
		return of, nil
	case c.ID == "":
		return login{}, badClient(errNoProof, of.about()...)
	}
	return login{}, badGrant(errors.New("the log-in is another client's"), append(of.about(), slog.String("by", c.ID))...)
}

// refreshFault turns an error of a renewal into the answer.
func refreshFault(err error, of login) error {
	if !errors.Is(err, gatehouse.ErrCredential) && !errors.Is(err, gatehouse.ErrForbidden) {
		return err
	}
	if of.Session == "" {
		return badGrant(err)
	}
	return badGrant(err, of.about()...)
}

// narrow returns wide with no other scopes than these. The log-in keeps its own: the next access token may have them all again. The wide token is not given to anybody.
func (o *oauth) narrow(ctx context.Context, wide token.Token, scopes []string) (token.Token, error) {
	c := wide.Claims
	c.Scopes = slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return !slices.Contains(wide.Claims.Scopes, s) })
	c.Custom = maps.Clone(c.Custom)
	for name := range o.Access.Map {
		delete(c.Custom, name) // the minter writes them itself
	}
	made, err := o.Access.Mint(ctx, c)
	if err != nil {
		return token.Token{}, err
	}
	// What was revoked since the wide token was made must not get one that says that it was issued after.
	return made, o.Revocations.Check(revoke.Claim{Session: c.Session, Subject: c.Subject, Issued: wide.Claims.IssuedAt})
}
