package gatehousetest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/gatehousetest"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// t stands for the *testing.T of a test, which an example has not.
var t inExample

type inExample struct{}

func (inExample) Helper()                           {}
func (inExample) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

var jack = gatehouse.Identity{Value: "jack"}

// newApp is the program under test: it greets callers whom it knows.
func newApp(sessions carrier.Carrier) http.Handler {
	g, err := guard.New(guard.Config{Carriers: []carrier.Carrier{sessions}, Policy: guard.AsSubject{}})
	if err != nil {
		panic(err)
	}
	return g.Handler(g.Require(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "hello %s", guard.UserID(r)) }))
}

// get prints the status of a page, and what it says unless it is a refusal.
func get(client *http.Client, url string) {
	resp, err := client.Get(url)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		fmt.Println(resp.StatusCode)
		return
	}
	text, err := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(text), err)
}

// A signed-in client needs no log-in page: the pages behind it can be tested alone.
func ExampleClient() {
	sessions := carrier.Session(session.New(memory.Sessions(), session.Config{}))
	srv := httptest.NewTLSServer(newApp(sessions))
	defer srv.Close()

	get(gatehousetest.Client(t, srv, sessions, jack), srv.URL)
	get(gatehousetest.Visitor(t, srv), srv.URL)
	// Output:
	// 200 hello jack <nil>
	// 401
}

// Time passes when the test says so.
func ExampleClock() {
	clock := gatehousetest.NewClock(time.Time{})
	sessions := carrier.Session(session.New(memory.Sessions(), session.Config{Idle: 12 * time.Hour, Now: clock.Now}))
	srv := httptest.NewTLSServer(newApp(sessions))
	defer srv.Close()

	client := gatehousetest.Client(t, srv, sessions, jack)
	clock.Advance(11 * time.Hour)
	get(client, srv.URL)
	clock.Advance(12 * time.Hour)
	get(client, srv.URL)
	// Output:
	// 200 hello jack <nil>
	// 401
}

// A client of any server, here one over plain http on this machine.
func ExampleSignIn() {
	sessions := carrier.Session(session.New(memory.Sessions(), session.Config{}), carrier.InsecureCookie())
	srv := httptest.NewServer(newApp(sessions))
	defer srv.Close()

	var client http.Client
	gatehousetest.SignIn(t, &client, srv.URL, sessions, jack, carrier.MaxAge(time.Hour))
	get(&client, srv.URL)
	// Output: 200 hello jack <nil>
}

// Without a server: a handler and a request.
func ExampleAddCredential() {
	sessions := carrier.Session(session.New(memory.Sessions(), session.Config{}))
	r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
	gatehousetest.AddCredential(t, r, sessions, jack)
	newApp(sessions).ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 hello jack
}

// A store that is down, and what a request costs.
func ExampleStore() {
	store := gatehousetest.NewStore(memory.Sessions())
	sessions := carrier.Session(session.New(store, session.Config{}))
	srv := httptest.NewTLSServer(newApp(sessions))
	defer srv.Close()
	client := gatehousetest.Client(t, srv, sessions, jack)

	store.Reset()
	get(client, srv.URL)
	fmt.Println(store.Count(), "call,", store.Count(gatehousetest.CallGet), "of them a look-up")
	store.FailOnce(gatehousetest.ErrDown, gatehousetest.CallGet)
	get(client, srv.URL)
	get(client, srv.URL)
	// Output:
	// 200 hello jack <nil>
	// 1 call, 1 of them a look-up
	// 503
	// 200 hello jack <nil>
}

// Tokens of any kind, without a log-in and without keys to look after.
func ExampleIssuer() {
	clock := gatehousetest.NewClock(time.Time{})
	issuer := gatehousetest.NewIssuer(t, clock.Now)
	app := newApp(carrier.Bearer(issuer))
	call := func(bearer string) {
		r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		r.Header.Set("Authorization", "Bearer "+bearer)
		app.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	first := issuer.Token(t, token.Claims{Subject: "jack"})
	call(first)
	if err := issuer.Revocations.RevokeSubject(context.Background(), "jack"); err != nil {
		fmt.Println(err)
	}
	call(first) // logged out everywhere

	second := issuer.Token(t, token.Claims{Subject: "jack"})
	call(second)
	issuer.Revocations.Lose(true) // this process is cut off from the others
	clock.Advance(6 * time.Second)
	call(second) // it could have been revoked
	// Output:
	// 200
	// 401
	// 200
	// 503
}

// A store of tokens that is down: the token is not at fault, and not used up.
func ExampleTokenStore() {
	store := gatehousetest.NewTokenStore(memory.Tokens())
	ctx, purpose := context.Background(), token.Invite()
	purpose.Audience = []string{"https://app.example.org"}
	minter, err := token.NewMinter(token.MinterConfig{Issuer: "https://app.example.org", Purpose: purpose, Store: store, Revocations: revoke.None})
	if err != nil {
		fmt.Println(err)
	}
	verifier, err := token.NewVerifier(token.VerifierConfig{Issuer: "https://app.example.org", Purpose: purpose, Store: store, Revocations: revoke.None})
	if err != nil {
		fmt.Println(err)
	}
	invitation, err := minter.Mint(ctx, token.Claims{Subject: "jack"})
	if err != nil {
		fmt.Println(err)
	}
	store.FailOnce(gatehousetest.ErrDown, gatehousetest.CallUse)
	_, err = verifier.Verify(ctx, invitation.Text.Reveal())
	fmt.Println("its own fault:", errors.Is(err, gatehouse.ErrCredential)) // no: 503, and it may be tried again
	_, err = verifier.Verify(ctx, invitation.Text.Reveal())
	fmt.Println(err)
	// Output:
	// its own fault: false
	// <nil>
}

// Every cookie that the program sets is judged. A test would end with: if err := cookies.Err(); err != nil { t.Error(err) }
func ExampleCookies() {
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "token", Value: "secret", Path: "/", HttpOnly: true})
	})
	srv := httptest.NewTLSServer(app)
	defer srv.Close()
	var cookies gatehousetest.Cookies
	client := gatehousetest.Visitor(t, srv)
	client.Transport = cookies.Transport(client.Transport)
	get(client, srv.URL)
	fmt.Println(len(cookies.All()), "cookie,", cookies.Err() != nil)

	// The same for an answer that a httptest.ResponseRecorder has.
	var recorded gatehousetest.Cookies
	w := httptest.NewRecorder()
	app(w, httptest.NewRequest("GET", "https://app.example.org/", nil))
	recorded.Record(&url.URL{Scheme: "https", Host: "app.example.org"}, w.Result().Header)
	fmt.Println(recorded.Err())
	// Output:
	// 200  <nil>
	// 1 cookie, true
	// the cookie "token" that https://app.example.org sets: it lacks Secure, and would travel over plain http as well
	// the cookie "token" that https://app.example.org sets: it lacks SameSite: browsers differ in what they make of that
}
