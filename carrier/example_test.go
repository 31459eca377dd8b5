package carrier_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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

// A user is a record of the program.
type user struct{ ID, Name string }

// show prints how the handler is answered for a request with the header field.
func show(h http.Handler, name, value string) {
	r := httptest.NewRequest("GET", "/", nil)
	if value != "" {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	text := strings.TrimSpace(w.Body.String())
	if w.Code != http.StatusOK {
		_, text, _ = strings.Cut(text, `"code":"`)
		text, _, _ = strings.Cut(text, `"`)
	}
	fmt.Println(w.Code, text)
}

// guarded stops the example if the guard cannot be made.
func guarded(c carrier.Carrier, next http.HandlerFunc) http.Handler {
	rules, err := policy.New(policy.Config{Default: policy.Authenticated()})
	if err != nil {
		panic(err)
	}
	g, err := guard.New(guard.Config{Carriers: []carrier.Carrier{c}, Policy: guard.AsSubject{Table: rules}, Rules: rules})
	if err != nil {
		panic(err)
	}
	return g.Handler(next)
}

// The look-up finds the program's own record for a token and puts it on the identity, where handlers read it.
func ExampleHeader() {
	users := map[string]user{"token1": {"u-1", "Jack"}}
	byToken := carrier.Header("Token", func(_ context.Context, token string) (gatehouse.Identity, error) {
		u, ok := users[token]
		if !ok {
			return gatehouse.Identity{}, gatehouse.ErrCredential
		}
		return gatehouse.WithValue(gatehouse.Identity{Value: u.ID}, u), nil
	})
	h := guarded(byToken, func(w http.ResponseWriter, r *http.Request) {
		u, _ := gatehouse.Value[user](r.Context())
		fmt.Fprintln(w, gatehouse.FromContext(r.Context()).Subject, u.Name)
	})
	show(h, "Authorization", "Token token1")
	show(h, "Authorization", "Token token9")
	show(h, "Authorization", "Bearer token1")
	show(h, "Authorization", "Token")
	show(h, "Authorization", "")
	// Output:
	// 200 u-1 Jack
	// 401 unknown_token
	// 401 unsupported_scheme
	// 400 malformed_credential
	// 401 no_credential
}

// A list of named tokens is kept as hashes. carrier.NewToken makes tokens.
func ExampleNamedHeader() {
	keys, err := carrier.NewStatic([]carrier.StaticToken{
		{Name: "nightly", Hash: carrier.HashToken("key1"), Owner: "reports"},
		{Name: "retired", Hash: carrier.HashToken("key2"), Off: true},
	})
	if err != nil {
		panic(err)
	}
	h := guarded(carrier.NamedHeader("X-API-Key", keys.Lookup), func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, gatehouse.FromContext(r.Context()).Subject)
	})
	show(h, "X-API-Key", "key1")
	show(h, "X-API-Key", "key2")
	show(h, "X-API-Key", "key1, key2")
	show(h, "X_API_Key", "key1")
	// Output:
	// 200 reports
	// 401 unknown_token
	// 400 malformed_credential
	// 401 no_credential
}

// The error that the function returns picks the answer: no credential 401, a malformed one 400, a caller who must not come in 403, and
// 503 for everything that it could not find out.
func ExampleFunc() {
	ticket := func(r *http.Request) (string, error) {
		kind, number, ok := strings.Cut(r.Header.Get("X-Ticket"), "-")
		switch {
		case kind == "":
			return "", gatehouse.ErrAnonymous
		case !ok:
			return "", gatehouse.ErrMalformed
		case kind == "banned":
			return "", gatehouse.ErrForbidden
		case kind == "machine":
			return "", errors.New("the ticket machine does not answer")
		}
		return number, nil
	}
	seats := func(_ context.Context, number string) (gatehouse.Identity, error) {
		if number != "17" {
			return gatehouse.Identity{}, gatehouse.ErrCredential
		}
		return gatehouse.Identity{Value: "seat 17"}, nil
	}
	h := guarded(carrier.Func(ticket, seats, "X-Ticket"), func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, gatehouse.FromContext(r.Context()).Subject)
	})
	for _, value := range []string{"row-17", "row-18", "row", "banned-17", "machine-17", ""} {
		show(h, "X-Ticket", value)
	}
	// Output:
	// 200 seat 17
	// 401 unknown_token
	// 400 malformed_credential
	// 403 forbidden
	// 503 unavailable
	// 401 no_credential
}

// visitor is a browser without a window: it keeps the cookies that h gives.
type visitor struct {
	h      http.Handler
	cookie string
}

// do prints how h answers.
func (v *visitor) do(method, path string) {
	r := httptest.NewRequest(method, path, nil)
	if v.cookie != "" {
		r.Header.Set("Cookie", v.cookie)
	}
	w := httptest.NewRecorder()
	v.h.ServeHTTP(w, r)
	for _, cookie := range w.Result().Cookies() {
		if v.cookie = cookie.Name + "=" + cookie.Value; cookie.MaxAge < 0 {
			v.cookie = ""
		}
	}
	fmt.Println(strings.TrimSpace(fmt.Sprint(method, " ", path, " ", w.Code, " ", w.Body)))
}

// A program with a log-in of its own: who has signed in gets a cookie, and signing out deletes the session behind it.
func ExampleSession() {
	sessions := session.New(memory.Sessions(), session.Config{Idle: 12 * time.Hour})
	g, err := guard.New(guard.Config{Carriers: []carrier.Carrier{carrier.Session(sessions)}, Policy: guard.AsSubject{}})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /login", guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
		return guard.Remember(w, r, gatehouse.Identity{Value: "jack"}) // after his password was checked
	}))
	mux.Handle("POST /logout", guard.Handle(func(w http.ResponseWriter, r *http.Request) error { return guard.Forget(w, r) }))
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "hello %q", guard.UserID(r)) })

	browser := &visitor{h: g.Handler(mux)}
	browser.do("GET", "/")
	browser.do("POST", "/login")
	browser.do("GET", "/")
	stolen := &visitor{h: browser.h, cookie: browser.cookie}
	browser.do("POST", "/logout")
	browser.do("GET", "/")
	stolen.do("GET", "/")
	// Output:
	// GET / 200 hello ""
	// POST /login 200
	// GET / 200 hello "jack"
	// POST /logout 200
	// GET / 200 hello ""
	// GET / 200 hello ""
}

// The look-up proves a name and a password; package passwd has what it needs for that.
func ExampleBasic() {
	h := guarded(carrier.Basic(func(_ context.Context, name, password string) (gatehouse.Identity, error) {
		if name != "jack" || password != "the password" { // stands for a look into a store of hashes
			return gatehouse.Identity{}, gatehouse.ErrCredential
		}
		return gatehouse.Identity{Value: "u-1"}, nil
	}), func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, gatehouse.FromContext(r.Context()).Subject)
	})
	show(h, "Authorization", basic("jack:the password"))
	show(h, "Authorization", basic("jack:another"))
	show(h, "Authorization", basic("jim:the password"))
	show(h, "Authorization", basic("jack"))
	show(h, "Authorization", "")
	// Output:
	// 200 u-1
	// 401 invalid_credentials
	// 401 invalid_credentials
	// 400 malformed_credential
	// 401 no_credential
}

// Where a program listens, and where browsers find it, decides whether the cookie may travel without TLS.
func ExampleCookieFor() {
	sessions := session.New(memory.Sessions(), session.Config{})
	for _, where := range []struct{ listen, publicURL string }{{"127.0.0.1:8080", ""}, {":8080", "https://app.example.org"}, {":8080", ""}} {
		option, notice, err := carrier.CookieFor(where.listen, where.publicURL, false)
		if err != nil {
			why, _, _ := strings.Cut(err.Error(), ":")
			fmt.Println("refused,", why)
			continue
		}
		fmt.Println(carrier.Session(sessions, option), "notice:", notice != "")
	}
	// Output:
	// cookie gatehouse notice: true
	// cookie __Host-gatehouse notice: false
	// refused, log-in with a cookie needs TLS
}

// remembered prints the cookie that c gives, without its secret, or why it gives none.
func remembered(c carrier.Carrier, opts ...carrier.Option) {
	w := httptest.NewRecorder()
	if err := c.Remember(w, httptest.NewRequest("POST", "/login", nil), gatehouse.Identity{Value: "jack"}, opts...); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(secretForm.ReplaceAllString(w.Header().Get("Set-Cookie"), "=…;"))
}

// "Remember me on this computer" is a matter of the options.
func ExampleOption() {
	sessions := session.New(memory.Sessions(), session.Config{})
	c := carrier.Session(sessions)
	remembered(c)
	remembered(c, carrier.MaxAge(time.Hour))
	remembered(c, carrier.BrowserSession(), carrier.SameSite(http.SameSiteStrictMode))
	// Output:
	// __Host-gatehouse=…; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax
	// __Host-gatehouse=…; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax
	// __Host-gatehouse=…; Path=/; HttpOnly; Secure; SameSite=Strict
}

// A cookie that is limited to a path, or shared with subdomains, is another kind of cookie: a carrier says that it may be.
func ExampleCookieScope() {
	sessions := session.New(memory.Sessions(), session.Config{})
	remembered(carrier.Session(sessions), carrier.Path("/app"))
	remembered(carrier.Session(sessions, carrier.CookieScope("example.org", "")), carrier.Path("/app"))
	// Output:
	// cookie __Host-gatehouse: the cookie has neither a Domain nor another Path than /: make the carrier with CookieScope: unsupported operation
	// __Secure-gatehouse=…; Path=/app; Domain=example.org; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax
}

// A voucher is handed out in a header of the program's own.
type voucher struct{ *carrier.FuncCarrier }

func (voucher) Remember(w http.ResponseWriter, _ *http.Request, id gatehouse.Identity, opts ...carrier.Option) error {
	r := carrier.Remembered(opts...)
	seats, ok := carrier.Optional[int](r, "Seats")
	if !ok {
		seats = 1
	}
	if err := r.Rest(); err != nil {
		return err // what this carrier cannot honour
	}
	w.Header().Set("X-Voucher", fmt.Sprint(id.Value, " for ", seats))
	return nil
}

// A carrier of a program's own takes the options that it knows, and refuses the others.
func ExampleOptional() {
	w := httptest.NewRecorder()
	fmt.Println(voucher{}.Remember(w, nil, gatehouse.Identity{Value: "jack"}, carrier.With("Seats", 2)), w.Header()["X-Voucher"])
	fmt.Println(voucher{}.Remember(w, nil, gatehouse.Identity{Value: "jack"}, carrier.MaxAge(time.Hour)))
	// Output:
	// <nil> [jack for 2]
	// this carrier cannot honour the option MaxAge: unsupported operation
}

// A proxy keeps its own cookies from the server behind it, and that server from setting them.
func ExampleRemoveCookie() {
	h := http.Header{"Cookie": {"theme=dark; __Host-gatehouse=secret; lang=en"}, "Set-Cookie": {"theme=light", "__Host-gatehouse=planted; Path=/"}}
	carrier.RemoveCookie(h, "__Host-gatehouse")
	carrier.RemoveSetCookie(h, "__Host-gatehouse")
	fmt.Println(h["Cookie"], h["Set-Cookie"])
	// Output: [theme=dark; lang=en] [theme=light]
}
