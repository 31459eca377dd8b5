package carrier_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	jwt "github.com/gatehouse-auth/gatehouse/token"
)

// ask prints how the application answers a request with this header field, and returns the cookies that it gives.
func ask(app http.Handler, path, name, value string) []*http.Cookie {
	r, w := httptest.NewRequest("POST", "https://app.example.org"+path, nil), httptest.NewRecorder()
	if value != "" {
		r.Header.Set(name, value)
	}
	app.ServeHTTP(w, r)
	if w.Code == http.StatusOK && w.Body.Len() > 0 {
		fmt.Println(w.Code, path, w.Body)
	} else {
		fmt.Println(w.Code, path)
	}
	return w.Result().Cookies()
}

// Signed tokens, as programs send them. The same ring and the same list stand behind the minter and the verifier; a token ends when it expires, or when its session is revoked.
func ExampleBearer() {
	ctx := context.Background()
	key, err := keyring.Generate(keyring.ES256)
	if err != nil {
		fmt.Println(err)
	}
	ring, err := keyring.Static("access", key)
	if err != nil {
		fmt.Println(err)
	}
	revocations := revoke.New(memory.Revocations(), revoke.Config{})
	fmt.Println(revocations.Load(ctx)) // and go revocations.Run(ctx)
	access := jwt.Access()
	access.Audience = []string{"films"}
	minter, err := jwt.NewMinter(jwt.MinterConfig{Issuer: "https://gate.example.org", Purpose: access, Ring: ring, Revocations: revocations})
	if err != nil {
		fmt.Println(err)
	}
	verifier, err := jwt.NewVerifier(jwt.VerifierConfig{Issuer: "https://gate.example.org", Purpose: access, Ring: ring, Revocations: revocations})
	if err != nil {
		fmt.Println(err)
	}

	g, err := guard.New(guard.Config{Carriers: []carrier.Carrier{carrier.Bearer(verifier)}, Policy: guard.AsSubject{}})
	if err != nil {
		fmt.Println(err)
	}
	app := g.Handler(g.Require(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello ", guard.UserID(r)) }))
	token, err := minter.Mint(ctx, jwt.Claims{Subject: "jack", Session: "session-1"})
	if err != nil {
		fmt.Println(err)
	}
	ask(app, "/", "Authorization", "Bearer "+token.Text.Reveal())
	fmt.Println(revocations.RevokeSession(ctx, "session-1", time.Now().Add(time.Hour)))
	ask(app, "/", "Authorization", "Bearer "+token.Text.Reveal())
	ask(app, "/", "Authorization", "None")
	// Output:
	// <nil>
	// 200 / hello jack
	// <nil>
	// 401 /
	// 401 /
}

// Sessions without a store: the browser keeps them, sealed. A copy of the cookie is worth nothing after the log-out.
func ExampleSealed() {
	sealer, err := carrier.SealedKey("JsVVLWmrCVyPw+RZUaFsG4pqGzXkEBp3Tn4m6n9Yb3A=") // from the configuration; openssl rand -base64 32
	if err != nil {
		fmt.Println(err)
	}
	revocations := revoke.New(memory.Revocations(), revoke.Config{})
	fmt.Println(revocations.Load(context.Background())) // and go revocations.Run(ctx)
	sessions := carrier.Sealed(sealer, session.Config{Idle: 2 * time.Hour, Revocations: revocations})
	g, err := guard.New(guard.Config{Carriers: []carrier.Carrier{sessions}, Policy: guard.AsSubject{}})
	if err != nil {
		fmt.Println(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/login", guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
		return g.Remember(w, r, gatehouse.Identity{Value: "jack"})
	}))
	mux.Handle("/logout", guard.Handle(func(w http.ResponseWriter, r *http.Request) error { return g.Forget(w, r) }))
	mux.Handle("/", g.Require(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello ", guard.UserID(r)) }))
	app := g.Handler(mux)

	cookie := ask(app, "/login", "", "")[0]
	fmt.Println(cookie.Name, cookie.Secure, cookie.HttpOnly)
	saved := cookie.Name + "=" + cookie.Value
	ask(app, "/", "Cookie", saved)
	ask(app, "/logout", "Cookie", saved)
	ask(app, "/", "Cookie", saved)
	// Output:
	// <nil>
	// 200 /login
	// __Host-gatehouse true true
	// 200 / hello jack
	// 200 /logout
	// 401 /
}
