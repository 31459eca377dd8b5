package main

import (
	"net/http"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/session"
)

// newHandler returns the program. Its log-ins are kept in sessions; options say how the cookie is made.
func newHandler(sessions *session.Table, options ...carrier.CookieOption) (http.Handler, error) {
	users, err := policy.NewDictionary(policy.DictionaryConfig{Users: map[string]policy.User{
		"jack": {Permissions: []string{"listen"}},
	}})
	if err != nil {
		return nil, err
	}
	g, err := guard.New(guard.Config{
		Carriers: []carrier.Carrier{carrier.Session(sessions, options...)}, // how a request says who sends it
		Policy:   users,                                                    // who that is, and what they may do
		MaxBody:  64 << 10,
	})
	if err != nil {
		return nil, err
	}
	app := http.NewServeMux()
	app.HandleFunc("GET /{$}", home)
	app.Handle("POST /login", guard.Handle(login)) // POST: a link, a prefetch or an image must not log anybody in or out
	app.Handle("POST /logout", guard.Handle(logout))
	app.Handle("GET /listen", g.RequirePermission("listen", listen))
	app.Handle("GET /speak", g.RequirePermission("speak", speak))

	// The guard stands around the handlers: it finds out who is calling, once, and they ask it. What is the same for everybody stays outside.
	all := http.NewServeMux()
	all.HandleFunc("GET /style.css", style)
	all.Handle("/", g.Handler(app))
	return forPeople(all), nil
}

func home(w http.ResponseWriter, r *http.Request) {
	show(w, "home", struct{ LoggedIn bool }{!guard.IsAnonymous(r)})
}

// login logs jack in. Each log-in is a new session with a new cookie; one that somebody planted in the browser before is worth nothing after it.
func login(w http.ResponseWriter, r *http.Request) error {
	if err := guard.Remember(w, r, gatehouse.Identity{Value: "jack"}); err != nil {
		return err
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// logout ends the session: it is deleted from the store, and a copy of its cookie is of no use to anybody.
func logout(w http.ResponseWriter, r *http.Request) error {
	if err := guard.Forget(w, r); err != nil {
		return err // he may still be logged in, and must not believe anything else
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// listen and speak run only for callers with the permission: the guard has answered all others.
func listen(w http.ResponseWriter, _ *http.Request) { show(w, "listen", nil) }

func speak(w http.ResponseWriter, _ *http.Request) { show(w, "speak", nil) }
