package token_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

const issuer = "https://gate.example"

var audience = []string{"https://app.example"}

// A clock is set by hand.
type clock struct{ time.Time }

func (c *clock) now() time.Time       { return c.Time }
func (c *clock) pass(d time.Duration) { c.Time = c.Add(d) }

// noon is when tests begin.
func noon() *clock { return &clock{time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)} }

// ringOf returns a ring of one new key.
func ringOf(t testing.TB, name string, a keyring.Algorithm) *keyring.Ring {
	t.Helper()
	key, err := keyring.Generate(a)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Static(name, key)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// listOf returns a list of revocations that is fresh.
func listOf(t testing.TB, c *clock) *revoke.List {
	t.Helper()
	list := revoke.New(memory.Revocations(), revoke.Config{Now: c.now})
	if err := list.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return list
}

// access is the purpose of access tokens for audience.
func access() token.Purpose {
	p := token.Access()
	p.Audience = audience
	return p
}

func minterOf(t testing.TB, c token.MinterConfig) *token.Minter {
	t.Helper()
	if c.Issuer == "" {
		c.Issuer = issuer
	}
	if c.Revocations == nil {
		c.Revocations = revoke.None
	}
	m, err := token.NewMinter(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func verifierOf(t testing.TB, c token.VerifierConfig) *token.Verifier {
	t.Helper()
	if c.Issuer == "" {
		c.Issuer = issuer
	}
	if c.Revocations == nil {
		c.Revocations = revoke.None
	}
	v, err := token.NewVerifier(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// mint returns a token of jack's, and what it says.
func mint(t testing.TB, m *token.Minter, options ...token.MintOption) (string, token.Claims) {
	t.Helper()
	minted, err := m.Mint(t.Context(), token.Claims{Subject: "jack", Roles: []string{"basic"}, Scopes: []string{"films.read"}}, options...)
	if err != nil {
		t.Fatal(err)
	}
	return minted.Text.Reveal(), minted.Claims
}

// refused reports an error that does not wrap want, or claims that came with it.
func refused(t testing.TB, what string, c token.Claims, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want an error that wraps %q", what, err, want)
	}
	if c.Subject != "" || c.ID != "" || c.Custom != nil {
		t.Errorf("%s: there are claims beside the error", what)
	}
}

// b64 is base64url without padding.
var b64 = base64.RawURLEncoding

// forge signs any header and any payload, which need not be JSON.
func forge(t testing.TB, key *keyring.Key, head, payload string) string {
	t.Helper()
	text := b64.EncodeToString([]byte(head)) + "." + b64.EncodeToString([]byte(payload))
	signature, err := key.Sign(nil, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + b64.EncodeToString(signature)
}

// A smith makes access tokens by hand, good ones but for what a test changes, and has the verifier that they are for.
type smith struct {
	testing.TB
	*clock
	ring *keyring.Ring
	key  *keyring.Key
	*token.Verifier
}

func newSmith(t testing.TB, a keyring.Algorithm) *smith {
	t.Helper()
	s := &smith{TB: t, clock: noon(), ring: ringOf(t, "access", a)}
	s.key = s.ring.All()[0]
	s.Verifier = verifierOf(t, token.VerifierConfig{Purpose: access(), Ring: s.ring, Now: s.now, Cache: -1})
	return s
}

// head is a good header.
func (s *smith) head() string {
	return fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"at+jwt"}`, s.key.Algorithm(), s.key.ID())
}

// payload is a good payload with other members: name, value, name, value. A value is JSON; an empty one leaves the member out.
func (s *smith) payload(changes ...string) string {
	s.Helper()
	members := []string{"iss", `"` + issuer + `"`, "aud", `"` + audience[0] + `"`, "sub", `"jack"`, "jti", `"id"`, "sid", `"session"`,
		"iat", fmt.Sprint(s.Unix()), "exp", fmt.Sprint(s.Add(time.Minute).Unix())}
	for i := 0; i < len(changes); i += 2 {
		at := 0
		for at < len(members) && members[at] != changes[i] {
			at += 2
		}
		if at == len(members) {
			members = append(members, changes[i], "")
		}
		members[at+1] = changes[i+1]
	}
	var parts []string
	for i := 0; i < len(members); i += 2 {
		if members[i+1] != "" {
			parts = append(parts, fmt.Sprintf("%q:%s", members[i], members[i+1]))
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// says verifies a good token with other claims.
func (s *smith) says(changes ...string) (token.Claims, error) {
	s.Helper()
	return s.Verify(s.Context(), forge(s, s.key, s.head(), s.payload(changes...)))
}

// A brokenTokens is a store that fails with err, unless that is nil, from its nth call on.
type brokenTokens struct {
	token.Store
	err   error
	after int  // how many calls succeed before
	done  bool // the call that fails is done all the same: only the answer is lost
}

func (s *brokenTokens) fails() bool {
	if s.err == nil {
		return false
	}
	s.after--
	return s.after < 0
}

func (s *brokenTokens) Create(ctx context.Context, rec token.Record) error {
	if !s.fails() {
		return s.Store.Create(ctx, rec)
	}
	if s.done {
		_ = s.Store.Create(ctx, rec)
	}
	return s.err
}

func (s *brokenTokens) Get(ctx context.Context, key token.Key) (token.Record, error) {
	if s.fails() {
		return token.Record{}, s.err
	}
	return s.Store.Get(ctx, key)
}

func (s *brokenTokens) Use(ctx context.Context, key token.Key) (token.Record, error) {
	if !s.fails() {
		return s.Store.Use(ctx, key)
	}
	if s.done {
		_, _ = s.Store.Use(ctx, key)
	}
	return token.Record{}, s.err
}

func (s *brokenTokens) Rotate(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
	if !s.fails() {
		return s.Store.Rotate(ctx, key, used, sealed, next)
	}
	if s.done {
		_, _ = s.Store.Rotate(ctx, key, used, sealed, next)
	}
	return token.Record{}, s.err
}

func (s *brokenTokens) Delete(ctx context.Context, key token.Key, family string) error {
	if !s.fails() {
		return s.Store.Delete(ctx, key, family)
	}
	if s.done {
		_ = s.Store.Delete(ctx, key, family)
	}
	return s.err
}

func (s *brokenTokens) DeleteSubject(ctx context.Context, subject string, purposes ...string) ([]string, error) {
	if !s.fails() {
		return s.Store.DeleteSubject(ctx, subject, purposes...)
	}
	if s.done {
		_, _ = s.Store.DeleteSubject(ctx, subject, purposes...)
	}
	return nil, s.err
}

func (s *brokenTokens) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	if s.fails() {
		return 0, s.err
	}
	return s.Store.Prune(ctx, before, limit)
}
