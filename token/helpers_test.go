package token_test

import (
	"errors"
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
