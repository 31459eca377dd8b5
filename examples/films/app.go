package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/passwd"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/problem"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

// An app is the program.
type app struct {
	*tokens
	http.Handler
	stores stores
	users  *table
	hasher *passwd.Hasher
	worthy *passwd.Policy // of new passwords
	mail   func(to, text string)
	now    func() time.Time
}

// newApp returns the program. Its clock is now.
func newApp(ctx context.Context, c config, kept stores, now func() time.Time) (*app, error) {
	a := &app{stores: kept, users: newTable(), mail: func(string, string) {}, now: now}
	var err error
	if a.hasher, err = passwd.New(passwd.Config{}); err != nil {
		return nil, err
	}
	if a.worthy, err = passwd.NewPolicy(passwd.PolicyConfig{}); err != nil {
		return nil, err
	}
	if a.tokens, err = newTokens(ctx, c, kept, a.users, now); err != nil {
		return nil, err
	}
	rules, err := policy.New(policy.Config{Roles: roles, Rules: []policy.Rule{
		{Methods: []string{"GET"}, Path: "/films/v1/**", Allow: policy.Role("basic")},
		{Methods: []string{"GET"}, Path: "/films/v1/premium", Allow: policy.Role("premium")},
		{Methods: []string{"POST"}, Path: "/users/v1/login", Allow: policy.Anyone()},
		{Methods: []string{"POST"}, Path: "/users/v1/refresh", Allow: policy.Anyone()}, // the refresh token is in the body
		{Methods: []string{"POST"}, Path: "/users/v1/logout", Allow: policy.Anyone()},  // and may be here
		{Methods: []string{"POST"}, Path: "/users/v1/forgot", Allow: policy.Anyone()},
		{Methods: []string{"POST"}, Path: "/users/v1/verify", Purpose: token.PurposeVerifyEmail, Allow: policy.Authenticated()},
		{Methods: []string{"POST"}, Path: "/users/v1/password", Purpose: token.PurposeResetPassword, Allow: policy.Authenticated()},
		{Methods: []string{"GET"}, Path: "/users/v1/login", Purpose: token.PurposeRefresh, Allow: policy.Authenticated()}, // looks at the refresh token, and does not use it up
		{Methods: []string{"POST"}, Path: "/users/v1/{id}/disable", Allow: policy.Role("admin")},
	}})
	if err != nil {
		return nil, err
	}
	g, err := guard.New(guard.Config{Carriers: []carrier.Carrier{carrier.Bearer(a.bearer)}, Policy: a.users, Rules: rules, MaxBody: 64 << 10, Now: now})
	if err != nil {
		return nil, err
	}
	a.Handler = g.Handler(a.routes())
	return a, nil
}

func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /films/v1/{$}", guard.Handle(list(films)))
	mux.Handle("GET /films/v1/premium", guard.Handle(list(premium)))
	mux.Handle("POST /users/v1/login", guard.Handle(a.login))
	mux.Handle("GET /users/v1/login", guard.Handle(a.loggedIn))
	mux.Handle("POST /users/v1/refresh", guard.Handle(a.refresh))
	mux.Handle("POST /users/v1/logout", guard.Handle(a.logout))
	mux.Handle("POST /users/v1/forgot", guard.Handle(a.forgot))
	mux.Handle("POST /users/v1/verify", guard.Handle(a.verify))
	mux.Handle("POST /users/v1/password", guard.Handle(a.password))
	mux.Handle("POST /users/v1/{id}/disable", guard.Handle(a.disable))
	return mux
}

// keep looks after keys, revocations and the tokens that have expired until ctx is done.
func (a *app) keep(ctx context.Context) {
	for _, ring := range a.rings {
		go ring.Keep(ctx, time.Tick(ring.Interval()))
	}
	go a.revoked.Run(ctx)
	go token.KeepPruned(ctx, a.stores.tokens, time.Tick(time.Hour), nil)
	go func() {
		for range time.Tick(time.Hour) {
			if _, err := a.revoked.Prune(ctx); ctx.Err() != nil || err != nil {
				return
			}
		}
	}()
}

var (
	films   = []string{"A New Hope", "The Empire Strikes Back", "Return of the Jedi"}
	premium = []string{"The Phantom Menace"}
)

func list(titles []string) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, _ *http.Request) error {
		return answer(w, http.StatusOK, map[string]any{"results": titles, "count": len(titles)})
	}
}

// login begins a log-in: a pair of tokens for a name and a password. Who is called like that and whether there is such a user is the same work and the same answer.
func (a *app) login(w http.ResponseWriter, r *http.Request) error {
	var in struct{ Email, Password string }
	if err := read(r, &in); err != nil {
		return err
	}
	u := a.users.byEmail(in.Email)
	renewed, err := a.hasher.Login(r.Context(), u.Hash, in.Password)
	switch {
	case err != nil:
		return err
	case u.Disabled: // only who knows the password learns of it
		return gatehouse.ErrForbidden
	case renewed != "":
		a.users.change(u.ID, func(u *user) { u.Hash = renewed })
	}
	pair, err := a.families.Start(r.Context(), token.Claims{Subject: u.ID, Roles: []string{u.Role}, AuthTime: a.now(), Methods: []string{"pwd"}})
	if err != nil {
		return err
	}
	return a.give(w, pair, u)
}

// refresh renews a log-in. No access token is needed: that it has expired is why somebody comes here. If there is one, it must be of the same log-in.
func (a *app) refresh(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Token string `json:"refresh_token"`
	}
	if err := read(r, &in); err != nil {
		return err
	}
	if in.Token == "" {
		return badRequest("The refresh_token is missing.")
	}
	if p, err := guard.Require(r); err == nil {
		if c, err := a.families.Verify(r.Context(), in.Token); err == nil && c.Session != p.Session {
			return gatehouse.ErrDuplicate // two callers in one request: nothing of either is used up or revoked
		}
	}
	pair, err := a.families.Refresh(r.Context(), in.Token)
	if err != nil {
		return err
	}
	return a.give(w, pair, a.users.byID(pair.Access.Claims.Subject))
}

// give answers with a pair of tokens.
func (a *app) give(w http.ResponseWriter, pair token.Pair, u user) error {
	return answer(w, http.StatusOK, map[string]any{
		"access_token": pair.Access.Text.Reveal(), "token_type": "Bearer", "expires_in": int(pair.Access.Claims.ExpiresAt.Sub(a.now()) / time.Second),
		"refresh_token": pair.Refresh.Text.Reveal(),
		"user":          map[string]any{"id": u.ID, "email": u.Email, "roles": []string{u.Role}},
	})
}

// loggedIn tells who a refresh token belongs to.
func (a *app) loggedIn(w http.ResponseWriter, r *http.Request) error {
	return answer(w, http.StatusOK, map[string]any{"user_id": guard.UserID(r)})
}

// logout ends a log-in: its access token and its refresh token are refused from now on, by every process that shares the store. Either of them says which log-in it is, so that one whose access token has expired
// can be ended as well. A log-in that has ended is ended.
func (a *app) logout(w http.ResponseWriter, r *http.Request) error {
	p, err := guard.Require(r)
	switch {
	case err == nil && p.Session == "": // a token of the system before, which knows no log-ins: all of them end
		err = a.families.EndSubject(r.Context(), p.Subject)
	case err == nil:
		err = a.families.End(r.Context(), p.Session)
	case r.ContentLength != 0:
		err = a.logoutByRefresh(r)
	}
	if ended := errors.Is(err, revoke.ErrRevoked) || errors.Is(err, token.ErrNotFound); err != nil && !ended {
		return err // the caller may still be logged in, and must not believe anything else
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *app) logoutByRefresh(r *http.Request) error {
	var in struct {
		Token string `json:"refresh_token"`
	}
	if err := read(r, &in); err != nil {
		return err
	}
	c, err := a.families.Verify(r.Context(), in.Token)
	if err != nil {
		return err
	}
	return a.families.End(r.Context(), c.Session)
}

// forgot mails a link to whoever has the address. The answer is the same if nobody does.
func (a *app) forgot(w http.ResponseWriter, r *http.Request) error {
	var in struct{ Email string }
	if err := read(r, &in); err != nil {
		return err
	}
	if u := a.users.byEmail(in.Email); u.ID != "" && !u.Disabled {
		if err := a.send(r.Context(), u, token.PurposeResetPassword, "choose a password with"); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// send mails a token of a purpose. A real program puts it behind the # of a link to a page that posts it: no server in between logs it then, and no scanner of mails uses it up.
func (a *app) send(ctx context.Context, u user, purpose, what string) error {
	t, err := a.minters[purpose].Mint(ctx, token.Claims{Subject: u.ID})
	if err == nil {
		a.mail(u.Email, what+" "+t.Text.Reveal())
	}
	return err
}

// verify takes a token from a mail: it has arrived.
func (a *app) verify(w http.ResponseWriter, r *http.Request) error {
	if err := a.used(r); err != nil {
		return err
	}
	a.users.change(guard.UserID(r), func(u *user) { u.Verified = true })
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// password takes a token from a mail and a new password, and ends every log-in that there was: one of them may be the thief's.
func (a *app) password(w http.ResponseWriter, r *http.Request) error {
	var in struct{ Password string }
	if err := read(r, &in); err != nil {
		return err
	}
	u := a.users.byID(guard.UserID(r))
	if err := a.worthy.Check(in.Password, u.Email); err != nil {
		return badRequest(err.Error())
	}
	hash, err := a.hasher.Hash(r.Context(), in.Password)
	if err != nil {
		return err
	}
	if err := a.used(r); err != nil {
		return err
	}
	a.users.change(u.ID, func(u *user) { u.Hash = hash })
	if err := a.families.EndSubject(r.Context(), u.ID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// used revokes the token that r carries, for as long as it would have been valid. Two that come at the same moment may both count; an opaque token, whose uses the store counts, does not let that happen.
func (a *app) used(r *http.Request) error {
	c, ok := gatehouse.Value[token.Claims](r.Context())
	if !ok {
		return errors.New("the request carries no token for one action")
	}
	return a.revoked.RevokeToken(r.Context(), c.ID, c.ExpiresAt)
}

// disable shuts a user out. The policy refuses whoever is disabled at once; what was given out before is ended as well, so that it does not come back when the user does.
func (a *app) disable(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if !a.users.change(id, func(u *user) { u.Disabled = true }) {
		return problem.New(problem.NotFound)
	}
	if err := a.families.EndSubject(r.Context(), id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// read reads a JSON object with no other members than into has.
func read(r *http.Request, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return badRequest("Send JSON, as application/json.")
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		_, err = d.Token() // nothing may follow
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return fmt.Errorf("the body: %w", err)
	}
	if !errors.Is(err, io.EOF) {
		return badRequest("The body is not the JSON object that is due here.")
	}
	return nil
}

func badRequest(detail string) error {
	return &problem.Problem{Code: problem.BrokenBody, Detail: detail}
}

// answer answers with JSON that nobody keeps.
func answer(w http.ResponseWriter, status int, body any) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) // the client may be gone
	return nil
}
