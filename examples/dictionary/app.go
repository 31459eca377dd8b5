package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/passwd"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/problem"
	"github.com/gatehouse-auth/gatehouse/session"
)

// An app is what the handlers share.
type app struct {
	users  *policy.Dictionary // who there is, and what they may do
	hashes map[string]string  // of passwords, by the name of the user; who is not in it has none
	hasher *passwd.Hasher     // slow on purpose, and a few at a time: a flood of log-ins does not take all of the machine
}

// newApp returns the app with its users, whose passwords hasher hashes.
func newApp(ctx context.Context, hasher *passwd.Hasher) (*app, error) {
	users, err := policy.NewDictionary(policy.DictionaryConfig{Users: map[string]policy.User{
		"devin": {Permissions: []string{"public"}},
		"jack":  {Permissions: []string{"public", "protected"}},
	}})
	if err != nil {
		return nil, err
	}
	a := &app{users, map[string]string{}, hasher}
	for _, name := range []string{"devin", "jack"} {
		if a.hashes[name], err = hasher.Hash(ctx, "password"); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// handler returns the program. Its log-ins are kept in sessions; options say how the cookie is made.
func (a *app) handler(sessions *session.Table, options ...carrier.CookieOption) (http.Handler, error) {
	g, err := guard.New(guard.Config{
		Carriers: []carrier.Carrier{carrier.Session(sessions, options...)},
		Policy:   a.users,
		MaxBody:  64 << 10, // nobody has a longer log-in; what is larger is 413
	})
	if err != nil {
		return nil, err
	}
	app := http.NewServeMux()
	app.HandleFunc("GET /{$}", home)
	app.Handle("POST /login", guard.Handle(a.login))
	app.Handle("POST /logout", guard.Handle(logout))
	app.Handle("GET /public", g.RequirePermission("public", page("public")))
	app.Handle("GET /protected", g.RequirePermission("protected", page("protected")))

	all := http.NewServeMux()
	all.HandleFunc("GET /style.css", style) // the same for everybody, so outside of the guard
	all.Handle("/", g.Handler(app))
	return forPeople(all), nil
}

func home(w http.ResponseWriter, r *http.Request) {
	show(w, "home", struct{ User string }{guard.UserID(r)})
}

// login checks the name and the password of a form. Whatever is wrong, the answer is the same, to the byte and to the time that it takes: whoever tries names must
// not learn which exist. A program on the internet also limits how often somebody may try; see guard.Config.Limiter.
func (a *app) login(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); isTooLarge(err) {
		return err
	}
	// PostForm has the body alone: a password in the URL would end up in logs and histories, so one there does not count.
	name, password := r.PostForm.Get("username"), r.PostForm.Get("password")
	// A name that nobody has finds no hash, and the hasher does the same work for that.
	if _, err := a.hasher.Login(r.Context(), a.hashes[name], password); errors.Is(err, gatehouse.ErrLogin) {
		return err // 401
	} else if err != nil {
		return problem.Wrap(problem.Unavailable, err) // not found out, say because too many log in at once: 503, and neither yes nor no
	}
	if err := guard.Remember(w, r, gatehouse.Identity{Value: name, Methods: []string{"pwd"}}); err != nil {
		return err
	}
	done(w, r)
	return nil
}

func isTooLarge(err error) bool {
	_, ok := errors.AsType[*http.MaxBytesError](err)
	return ok
}

// logout ends the session. Who has none is logged out already.
func logout(w http.ResponseWriter, r *http.Request) error {
	if err := guard.Forget(w, r); err != nil {
		return err // the caller may still be logged in, and must not believe anything else
	}
	done(w, r)
	return nil
}

// done sends people to a page; programs want none.
func done(w http.ResponseWriter, r *http.Request) {
	if wantsPage(r) {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// page returns a handler that shows a page.
func page(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { show(w, name, struct{ User string }{guard.UserID(r)}) }
}
