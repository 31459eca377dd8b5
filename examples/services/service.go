package main

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/problem"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// How long after it was made a use-token becomes valid, and how long after it was made it has expired.
const (
	useDelay = 10 * time.Second
	useTTL   = 30 * time.Second
)

// A service knows its clients by their public keys, and gives them tokens for one use of it.
type service struct {
	clients    registry
	assertions *token.Assertions
	minter     *token.Minter
	ring       *keyring.Ring
	store      token.Store // of the assertions that have come
	handler    http.Handler
}

// newService returns the service at base, which is how its clients and its tokens call it.
func newService(ctx context.Context, base string, clients registry, now func() time.Time) (*service, error) {
	// In memory a restart forgets which assertions have come, so that those of the last five minutes would count once more, and makes a new key. A service that is more than an
	// example has both in a database: sqlite.Tokens(db), sqlite.Keys(db).
	s := &service{clients: clients, store: memory.Tokens()}
	var err error
	if s.assertions, err = token.NewAssertions(token.AssertionsConfig{Audience: []string{base, base + "/token"}, Client: clients.client, Store: s.store, Now: now}); err != nil {
		return nil, err
	}
	if s.ring, err = keyring.New(memory.Keys(), keyring.Config{Name: "use", Rotate: 24 * time.Hour, Lifetime: useTTL, Master: keyring.NewMaster(), Now: now}); err != nil {
		return nil, err
	}
	if err := s.ring.Load(ctx); err != nil {
		return nil, err
	}
	use := token.Purpose{Name: "use", TTL: useTTL, Delay: useDelay, Audience: []string{base}}
	// Nothing revokes a token that lives for 20 seconds; who is no client any more is refused all the same, by the policy.
	if s.minter, err = token.NewMinter(token.MinterConfig{Issuer: base, Purpose: use, Ring: s.ring, Revocations: revoke.None, Now: now}); err != nil {
		return nil, err
	}
	// One clock makes and verifies these tokens, so that there is nothing to be lenient about: the usual 30 s of leeway would keep the window open for twice as long.
	verifier, err := token.NewVerifier(token.VerifierConfig{Issuer: base, Purpose: use, Ring: s.ring, Revocations: revoke.None, Leeway: -1, Now: now})
	if err != nil {
		return nil, err
	}
	return s, s.guarded(verifier, now)
}

// guarded puts the routes behind a guard, which refuses what no rule allows.
func (s *service) guarded(verifier *token.Verifier, now func() time.Time) error {
	tokens, err := token.NewSet(verifier)
	if err != nil {
		return err
	}
	rules, err := policy.New(policy.Config{Rules: []policy.Rule{
		{Methods: []string{"POST"}, Path: "/token", Allow: policy.Anyone()}, // it finds out by itself who is asking
		{Methods: []string{"GET"}, Path: "/getkey", Allow: policy.Anyone()},
		{Methods: []string{"GET"}, Path: "/jwks.json", Allow: policy.Anyone()},
		{Methods: []string{"GET"}, Path: "/report", Purpose: "use", Allow: policy.Scope(scope)},
	}})
	if err != nil {
		return err
	}
	g, err := guard.New(guard.Config{Carriers: []carrier.Carrier{carrier.Bearer(tokens)}, Policy: s.clients, Rules: rules, MaxBody: 64 << 10, Now: now})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", s.token)
	mux.Handle("GET /getkey", g.Answers().Handler(s.getKey))
	mux.Handle("GET /jwks.json", keyring.JWKS(s.ring)) // for others who are to take these tokens
	mux.HandleFunc("GET /report", report)
	s.handler = g.Handler(mux)
	return nil
}

// grant and assertionType are how RFC 7523 calls the two ways of sending an assertion.
const (
	grant         = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// token gives a use-token to a client that proves who it is. Its errors are those of RFC 6749, section 5.2.
func (s *service) token(w http.ResponseWriter, r *http.Request) {
	assertion, why := assertionOf(r)
	if why != "" {
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_request", "error_description": why})
		return
	}
	client, err := s.assertions.Verify(r.Context(), assertion)
	switch {
	case errors.Is(err, gatehouse.ErrMalformed):
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_request", "error_description": "The assertion is no signed token."})
		return
	case errors.Is(err, gatehouse.ErrCredential): // whatever it was that is wrong: who does not prove anything learns nothing
		w.Header().Set("WWW-Authenticate", `Bearer realm="services"`)
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client", "error_description": "The assertion is not one that a registered client has just signed for this service."})
		return
	}
	var made token.Token
	if err == nil {
		made, err = s.minter.Mint(r.Context(), token.Claims{Subject: client.ID, Client: client.ID, Scopes: client.Scopes})
	}
	if err != nil { // it could not be checked, or there is no key: nobody gets a token
		w.Header().Set("Retry-After", "1")
		answer(w, http.StatusServiceUnavailable, map[string]any{"error": "temporarily_unavailable"})
		return
	}
	answer(w, http.StatusOK, map[string]any{"access_token": made.Text.Reveal(), "token_type": "Bearer", "scope": scope,
		"expires_in": int(useTTL / time.Second), "valid_in": int(useDelay / time.Second)})
}

// assertionOf returns the assertion in a form, or what is wrong with the form.
func assertionOf(r *http.Request) (assertion, why string) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return "", "Send a form: application/x-www-form-urlencoded."
	}
	if err := r.ParseForm(); err != nil {
		return "", "The form cannot be read."
	}
	for _, values := range r.PostForm {
		if len(values) != 1 {
			return "", "A parameter comes twice."
		}
	}
	form := r.PostForm // never the query, which stands in logs
	switch {
	case form.Get("grant_type") == grant:
		assertion = form.Get("assertion")
	case form.Get("grant_type") == "client_credentials" && form.Get("client_assertion_type") == assertionType:
		assertion = form.Get("client_assertion")
	default:
		return "", "The grant_type must be " + grant + ", or client_credentials with a client_assertion of the type " + assertionType + "."
	}
	if assertion == "" {
		return "", "The assertion is missing."
	}
	return assertion, ""
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) // the client may be gone
}

// getKey tells the public keys of a client. The name finds something among the clients that were read at the start, or nothing: it is never the name of a file.
func (s *service) getKey(w http.ResponseWriter, r *http.Request) error {
	name := r.URL.Query().Get("identity")
	if name == "" {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(w).Encode(map[string]any{"title": "No client is named", "status": 400, "detail": "Ask for /getkey?identity=NAME.", "code": "identity_missing"})
		return nil
	}
	set, err := s.clients.publicKeys(name)
	if errors.Is(err, token.ErrClient) {
		return problem.New(problem.NotFound)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Write(set)
	return nil
}

// report is what all this is for. Only clients whose tokens count get here.
func report(w http.ResponseWriter, r *http.Request) {
	answer(w, http.StatusOK, map[string]any{"client": guard.UserID(r), "secret_number": 42})
}
