package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

// follow serves GET /oauth/revocations to clients that may: what package revoke calls a feed.
func (o *oauth) follow(w http.ResponseWriter, r *http.Request) error {
	c, let, err := o.follower(w, r)
	if err != nil {
		return err
	}
	about := slog.String("client", c.ID)
	if !c.may(MayFollow) {
		return &fault{status: http.StatusForbidden, code: "unauthorized_client", description: "The client may not follow what is revoked.", about: []slog.Attr{about}}
	}
	if !sensible(r) {
		return invalid("invalid_request", "since must come once, as a whole number that is not negative.")
	}
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		return nil
	}
	o.note(r, slog.LevelInfo, "a client follows what is revoked", about)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if let != nil {
		go func() {
			defer cancel()
			o.whileStands(ctx, *let)
		}()
	}
	o.Feed.ServeHTTP(w, r.WithContext(ctx))
	return nil
}

// lookEvery is how often it is asked whether the token of a stream was revoked.
const lookEvery = time.Second

// whileStands returns when what a token says of itself was revoked, or ctx is done. That it has expired ends no stream, and changes nothing about that.
func (o *oauth) whileStands(ctx context.Context, let revoke.Claim) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if errors.Is(o.Revocations.Check(let), revoke.ErrRevoked) {
			return
		}
	}
}

// sensible reports whether the feed will understand where the follower is. A query that cannot be read must not look like one that says nothing.
func sensible(r *http.Request) bool {
	query, err := url.ParseQuery(r.URL.RawQuery)
	places := append(query["since"], r.Header["Last-Event-Id"]...)
	if err != nil || len(query["since"]) > 1 || len(query["mark"]) > 1 || len(r.Header["Last-Event-Id"]) > 1 {
		return false
	}
	for _, place := range places {
		if n, err := strconv.ParseInt(place, 10, 64); place != "" && (err != nil || n < 0) {
			return false
		}
	}
	return true
}

// follower authenticates who reads the feed: a client by its secret, or by an access token that it got for itself at the token endpoint, which is the way for those that have keys. How
// long a stream lives after that is the feed's to say, unless the token is revoked, of which let is what is asked.
func (o *oauth) follower(w http.ResponseWriter, r *http.Request) (_ Client, let *revoke.Claim, _ error) {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		c, err := o.client(r, nil)
		if f, ok := errors.AsType[*fault](err); ok && f.status == http.StatusUnauthorized {
			w.Header().Add("WWW-Authenticate", `Bearer realm="gatehouse"`)
		}
		return c, nil, err
	}
	claims, err := o.Bearer.Verify(r.Context(), strings.TrimLeft(text, " "))
	if err == nil && (claims.Client == "" || claims.Subject != claims.Client || claims.Session != claims.ID) {
		err = token.ErrClient // a person's, who may even be called like the client: only what is nobody's log-in is the client's own
	}
	var c Client
	if err == nil {
		c, err = o.Client(r.Context(), claims.Client)
	}
	if err != nil && errors.Is(err, gatehouse.ErrCredential) {
		w.Header().Add("WWW-Authenticate", `Bearer realm="gatehouse", error="invalid_token"`)
		return Client{}, nil, &fault{status: http.StatusUnauthorized, code: "invalid_token", description: "The token is not one that a client has got for itself, or counts no more.", cause: err}
	}
	return c, &revoke.Claim{Token: claims.ID, Session: claims.Session, Subject: claims.Subject, Key: claims.Key, Issued: claims.IssuedAt}, err
}
