package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

// revoke serves POST /oauth/revoke (RFC 7009). 200 means that the token is of no use from now on, and that this is durable: it was revoked, or there is none. One that
// was revoked is revoked again, since the answer to the first time may have been that it is not known whether it will be remembered. Another client's token is refused with
// unauthorized_client, and stays (section 2.1); one of somebody else's that has no id, or one longer than a revocation can hold, with unsupported_token_type (section 2.2.1).
func (o *oauth) revoke(w http.ResponseWriter, r *http.Request, form url.Values) error {
	c, err := o.client(r, form)
	if err != nil {
		return err
	}
	if !form.Has("token") {
		return invalid("invalid_request", "The token is missing.")
	}
	claims, err := o.look(r.Context(), form.Get("token"), Peeker.PeekRevoked)
	switch {
	case errors.Is(err, gatehouse.ErrCredential):
		// Another node may have ended it a moment ago: what that has revoked is of no use here either, once this is answered.
		if err := o.Revocations.Load(r.Context()); err != nil {
			return err
		}
		w.WriteHeader(http.StatusOK)
		return nil
	case err != nil:
		return err
	case !c.knows(claims, MayRevoke):
		return &fault{status: http.StatusBadRequest, code: "unauthorized_client", description: "The token was not given to this client.",
			about: []slog.Attr{slog.String("client", c.ID), slog.String("token_id", claims.ID)}}
	case claims.ID == "" || len(claims.ID) > revoke.MaxID:
		return &fault{status: http.StatusBadRequest, code: "unsupported_token_type", description: "The token has no id (jti), or one that is too long, so that it cannot be revoked alone: revoke what its subject has.",
			about: []slog.Attr{slog.String("client", c.ID), slog.String("principal", claims.Subject)}}
	}
	if err := o.end(r.Context(), claims.Claims); err != nil {
		return err
	}
	o.note(r, slog.LevelInfo, "a token was revoked", slog.String("client", c.ID), slog.String("purpose", claims.Purpose), slog.String("principal", claims.Subject),
		slog.String("session", claims.Session), slog.String("token_id", claims.ID))
	w.WriteHeader(http.StatusOK)
	return nil
}

// end revokes one token. With a refresh token goes its log-in, with every access token that came of it, and with an access token nothing else: RFC 7009, section 2.1, wants the
// first and leaves the second open. Who wants to end a log-in has its refresh token.
func (o *oauth) end(ctx context.Context, c token.Claims) error {
	if o.Refresh != nil && c.Purpose == o.Refresh.Purpose().Name {
		return o.Refresh.End(ctx, c.Session)
	}
	return o.Revocations.RevokeToken(ctx, c.ID, c.ExpiresAt)
}
