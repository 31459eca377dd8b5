package guard_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

// listeners is the policy of the examples: jack may listen, nobody may speak.
var listeners = must(policy.NewDictionary(policy.DictionaryConfig{Users: map[string]policy.User{
	"jack": {Permissions: []string{"listen"}}, "ann": {},
}}))

// newSessions returns a guard over sessions in memory.
func newSessions() *guard.Guard {
	table := session.New(memory.Sessions(), session.Config{Idle: 12 * time.Hour, Absolute: 30 * 24 * time.Hour})
	return must(guard.New(guard.Config{Carriers: []carrier.Carrier{carrier.Session(table)}, Policy: listeners}))
}

// signInAs signs in whom the form names. A real program checks a password first.
func signInAs(w http.ResponseWriter, r *http.Request) error {
	return guard.Remember(w, r, gatehouse.Identity{Value: r.FormValue("name"), Methods: []string{"pwd"}})
}

// A browser calls a handler over TLS and keeps its cookies.
type browser struct {
	server *httptest.Server
	client *http.Client
}

func open(h http.Handler) *browser {
	server := httptest.NewTLSServer(h)
	client := server.Client()
	client.Jar = must(cookiejar.New(nil))
	return &browser{server, client}
}

// call prints the status of the answer and what it says; of a refusal, the code.
func (b *browser) call(method, path string) {
	resp := must(b.client.Do(must(http.NewRequest(method, b.server.URL+path, nil))))
	defer resp.Body.Close()
	var body strings.Builder
	must(copyAll(&body, resp.Body))
	text := body.String()
	if _, code, ok := strings.Cut(text, `"code":"`); ok {
		text, _, _ = strings.Cut(code, `"`)
	}
	fmt.Println(strings.TrimSpace(fmt.Sprintf("%s %s: %d %s", method, path, resp.StatusCode, text)))
}

// Signing in, being known, and signing out: the same handlers run over any store.
func ExampleRemember() {
	g := newSessions()
	mux := http.NewServeMux()
	mux.Handle("POST /login", guard.Handle(signInAs))
	mux.Handle("POST /logout", guard.Handle(guard.Forget))
	mux.Handle("GET /me", g.Require(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, guard.UserID(r)) }))

	b := open(g.Handler(mux))
	defer b.server.Close()
	b.call("GET", "/me")
	b.call("POST", "/login?name=jack")
	b.call("GET", "/me")
	b.call("POST", "/logout")
	b.call("GET", "/me")
	// Output:
	// GET /me: 401 no_credential
	// POST /login?name=jack: 200
	// GET /me: 200 jack
	// POST /logout: 200
	// GET /me: 401 no_credential
}

// An option says how long the browser keeps the session. One that the carrier cannot honour is an error.
func ExampleRemember_options() {
	h := newSessions().Handler(guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
		id := gatehouse.Identity{Value: "jack"}
		if err := guard.Remember(w, r, id, carrier.Path("/app")); errors.Is(err, errors.ErrUnsupported) {
			fmt.Println("a __Host- cookie cannot be limited to a path")
		}
		return guard.Remember(w, r, id, carrier.MaxAge(time.Hour), carrier.SameSite(http.SameSiteStrictMode))
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/login", nil))
	_, attributes, _ := strings.Cut(w.Header().Get("Set-Cookie"), "; ")
	fmt.Println(attributes)
	// Output:
	// a __Host- cookie cannot be limited to a path
	// Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Strict
}

// Forget deletes the session. It answers a link with 405: only a form or a program may sign somebody out.
func ExampleForget() {
	g := newSessions()
	mux := http.NewServeMux()
	mux.Handle("POST /login", guard.Handle(signInAs))
	mux.Handle("/logout", guard.Handle(guard.Forget))
	b := open(g.Handler(mux))
	defer b.server.Close()
	b.call("POST", "/login?name=jack")
	b.call("GET", "/logout")
	b.call("POST", "/logout")
	// Output:
	// POST /login?name=jack: 200
	// GET /logout: 405 method_not_allowed
	// POST /logout: 200
}

func ExampleIsAnonymous() {
	g := newSessions()
	mux := http.NewServeMux()
	mux.Handle("POST /login", guard.Handle(signInAs))
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		if guard.IsAnonymous(r) {
			fmt.Fprint(w, "You need to log in.")
			return
		}
		fmt.Fprintf(w, "Hello, %s!", guard.UserID(r))
	})
	b := open(g.Handler(mux))
	defer b.server.Close()
	b.call("GET", "/")
	b.call("POST", "/login?name=jack")
	b.call("GET", "/")
	// Output:
	// GET /: 200 You need to log in.
	// POST /login?name=jack: 200
	// GET /: 200 Hello, jack!
}

// The middleware form: a permission that does not depend on a resource.
func ExampleGuard_RequirePermission() {
	g := newSessions()
	hello := func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello "+guard.UserID(r)) }
	mux := http.NewServeMux()
	mux.Handle("POST /login", guard.Handle(signInAs))
	mux.Handle("GET /listen", g.RequirePermission("listen", hello))
	for _, name := range []string{"", "ann", "jack"} {
		b := open(g.Handler(mux))
		if name != "" {
			b.call("POST", "/login?name="+name)
		}
		b.call("GET", "/listen")
		b.server.Close()
	}
	// Output:
	// GET /listen: 401 no_credential
	// POST /login?name=ann: 200
	// GET /listen: 403 forbidden
	// POST /login?name=jack: 200
	// GET /listen: 200 hello jack
}

// The in-handler form returns the caller, and takes what the question is about.
func ExampleRequirePermission() {
	type film struct{ Owner string }
	films := map[string]film{"1": {"jack"}, "2": {"ann"}}
	owners := users{permits: func(_ context.Context, p gatehouse.Principal, permission string, resource any) (bool, error) {
		f, ok := resource.(film)
		return permission == "films.edit" && ok && f.Owner == p.Subject, nil
	}}
	g := must(guard.New(guard.Config{Carriers: []carrier.Carrier{carrier.Header("Token", byToken)}, Policy: owners}))
	mux := http.NewServeMux()
	mux.Handle("PUT /films/{id}", guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
		caller, err := guard.RequirePermission(r, "films.edit", films[r.PathValue("id")])
		if err != nil {
			return err
		}
		_, err = fmt.Fprint(w, "edited by ", caller.Subject)
		return err
	}))
	films["3"] = film{"m-1"}
	h := g.Handler(mux)
	call(h, "PUT", "/films/3", "Token token1")
	call(h, "PUT", "/films/2", "Token token1")
	call(h, "PUT", "/films/2", "")
	// Output:
	// PUT /films/3: 200 edited by m-1
	// PUT /films/2: 403 forbidden
	// PUT /films/2: 401 no_credential
}

// Permits asks without refusing, say to leave a button out of a page. A permission may be of the program's own type.
func ExamplePermits() {
	type permission string
	const speak permission = "speak"
	g := newSessions()
	mux := http.NewServeMux()
	mux.Handle("POST /login", guard.Handle(signInAs))
	mux.Handle("GET /", guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
		listens, err := guard.Permits(r, "listen", nil)
		if err != nil {
			return err
		}
		each, err := guard.PermitsEach(r, nil, "listen", speak)
		fmt.Fprint(w, listens, " ", each)
		return err
	}))
	b := open(g.Handler(mux))
	defer b.server.Close()
	b.call("GET", "/")
	b.call("POST", "/login?name=jack")
	b.call("GET", "/")
	// Output:
	// GET /: 200 false [false false]
	// POST /login?name=jack: 200
	// GET /: 200 true [true false]
}

// Roles are ordered: the level of the one that is asked for is enough.
func ExampleGuard_RequireRole() {
	table := session.New(memory.Sessions(), session.Config{})
	g := must(guard.New(guard.Config{Carriers: []carrier.Carrier{carrier.Session(table)}, Policy: guard.AsSubject{},
		Roles: policy.RoleList("basic", "premium", "admin")}))
	mux := http.NewServeMux()
	mux.Handle("POST /login", guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
		return guard.Remember(w, r, gatehouse.Identity{Value: "jack", Roles: []string{"premium"}})
	}))
	ok := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }
	mux.Handle("GET /basic", g.RequireRole("basic", ok))
	mux.Handle("GET /admin", g.RequireRole("admin", ok))
	b := open(g.Handler(mux))
	defer b.server.Close()
	b.call("POST", "/login")
	b.call("GET", "/basic")
	b.call("GET", "/admin")
	// Output:
	// POST /login: 200
	// GET /basic: 200 ok
	// GET /admin: 403 forbidden
}

// The in-handler form of Require returns the caller.
func ExampleRequire() {
	h := newTokens().Handler(guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
		caller, err := guard.Require(r)
		if err != nil {
			return err
		}
		_, err = fmt.Fprint(w, caller.Subject, " ", caller.Kind)
		return err
	}))
	call(h, "GET", "/", "Token token1")
	call(h, "GET", "/", "")
	// Output:
	// GET /: 200 m-1 user
	// GET /: 401 no_credential
}

// newTokens returns a guard without rules: its handlers say what they need.
func newTokens() *guard.Guard {
	return must(guard.New(guard.Config{Carriers: []carrier.Carrier{carrier.Header("Token", byToken)}, Policy: guard.AsSubject{},
		Roles: policy.RoleList("basic", "admin")}))
}

func ExampleRequireRole() {
	h := newTokens().Handler(guard.Handle(func(_ http.ResponseWriter, r *http.Request) error {
		_, err := guard.RequireRole(r, "admin")
		return err
	}))
	call(h, "GET", "/", "Token token1")
	// Output:
	// GET /: 403 forbidden
}

func ExampleUserID() {
	h := newTokens().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%q", guard.UserID(r)) }))
	call(h, "GET", "/", "Token token2")
	call(h, "GET", "/", "")
	// Output:
	// GET /: 200 "m-2"
	// GET /: 200 ""
}

// Several questions at once: a policy over a database answers them with one query.
func ExamplePermitsEach() {
	g := must(guard.New(guard.Config{Carriers: []carrier.Carrier{carrier.Header("Token", byToken)}, Policy: must(policy.NewDictionary(policy.DictionaryConfig{
		Users: map[string]policy.User{"m-1": {Permissions: []string{"films.*"}}}, Anonymous: []string{"news.read"},
	}))}))
	h := g.Handler(guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
		answers, err := guard.PermitsEach(r, nil, "news.read", "films.read", "users.read")
		fmt.Fprint(w, answers)
		return err
	}))
	call(h, "GET", "/", "Token token1")
	call(h, "GET", "/", "")
	// Output:
	// GET /: 200 [true true false]
	// GET /: 200 [true false false]
}

// What a handler returns is answered as the guard answers: a wrong password as 401, a check that cannot be made as 503, anything else as 500 without a word of it.
func ExampleHandle() {
	faults := map[string]error{"/login": gatehouse.ErrLogin, "/busy": gatehouse.ErrUnavailable, "/bug": errors.New("row 7 of users")}
	h := newTokens().Handler(guard.Handle(func(_ http.ResponseWriter, r *http.Request) error { return faults[r.URL.Path] }))
	call(h, "POST", "/login", "")
	call(h, "GET", "/busy", "")
	call(h, "GET", "/fine", "")
	// Output:
	// POST /login: 401 invalid_credentials
	// GET /busy: 503 unavailable
	// GET /fine: 200
}

// Fail is for handlers that answer by themselves.
func ExampleFail() {
	h := newTokens().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := guard.Require(r); err != nil {
			w.Header().Set("X-Why", "nobody is signed in")
			guard.Fail(w, r, err)
			return
		}
		fmt.Fprint(w, "welcome")
	}))
	call(h, "GET", "/", "")
	call(h, "GET", "/", "Token token1")
	// Output:
	// GET /: 401 no_credential
	// GET /: 200 welcome
}
