package token_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// raced is true under the race detector.
var raced bool

// A hall has everything that can end a token that was verified before.
type hall struct {
	*testing.T
	*clock
	list   *revoke.List
	keys   *failingKeys
	master *keyring.Master
	ring   *keyring.Ring
	minter *token.Minter
	*token.Verifier
	asked int // how often it was asked whom a token stands for
}

func newHall(t *testing.T, change func(*token.VerifierConfig)) *hall {
	t.Helper()
	h := &hall{T: t, clock: noon(), keys: &failingKeys{Store: memory.Keys()}, master: keyring.NewMaster()}
	h.list = listOf(t, h.clock)
	h.ring = must(keyring.New(h.keys, keyring.Config{Name: "access", Master: h.master, Lifetime: time.Hour, Now: h.now, Logger: slog.New(slog.DiscardHandler)}))
	h.load()
	p := access()
	p.MaxTTL = time.Hour
	h.minter = minterOf(t, token.MinterConfig{Purpose: p, Ring: h.ring, Revocations: h.list, Now: h.now})
	c := token.VerifierConfig{Purpose: p, Ring: h.ring, Revocations: h.list, Now: h.now, Identify: func(_ context.Context, c token.Claims) (gatehouse.Identity, error) {
		h.asked++
		return gatehouse.Identity{Value: c.Subject}, nil
	}}
	if change != nil {
		change(&c)
	}
	h.Verifier = verifierOf(t, c)
	return h
}

// load reads the ring and the list, as a process does all the time.
func (h *hall) load() {
	h.Helper()
	if err := errors.Join(h.ring.Load(h.Context()), h.list.Load(h.Context())); err != nil {
		h.Fatal(err)
	}
}

// known returns a token that has been verified.
func (h *hall) known() (string, token.Claims) {
	h.Helper()
	text, c := mint(h, h.minter)
	if _, err := h.Verify(h.Context(), text); err != nil {
		h.Fatal(err)
	}
	return text, c
}

// failingKeys fails when it is told to.
type failingKeys struct {
	keyring.Store
	err error
}

func (s *failingKeys) Load(ctx context.Context, ring string) ([]keyring.Record, int64, error) {
	if s.err != nil {
		return nil, 0, s.err
	}
	return s.Store.Load(ctx, ring)
}

// TestKnownTokensAreNotVerifiedAgain: the second time it is the same answer, and the signature is not looked at, nor asked whom the token stands for.
func TestKnownTokensAreNotVerifiedAgain(t *testing.T) {
	h := newHall(t, nil)
	text, said := h.known()
	for range 3 {
		if c, err := h.Verify(t.Context(), text); err != nil || c.ID != said.ID {
			t.Errorf("Verify of a known token = %+v, %v, want its claims", c, err)
		}
	}
	if h.asked != 1 {
		t.Errorf("it was asked %d times whom the token stands for, want once", h.asked)
	}
	without := newHall(t, func(c *token.VerifierConfig) { c.Cache = -1 })
	text, _ = without.known()
	without.Verify(t.Context(), text)
	if without.asked != 2 {
		t.Errorf("without a cache it was asked %d times, want each time", without.asked)
	}
}

// TestKnownTokensEnd: a token that was verified a moment ago is refused as soon as it has expired, was revoked by whatever it is, or its key is gone.
func TestKnownTokensEnd(t *testing.T) {
	for what, tt := range map[string]struct {
		end  func(*hall, token.Claims) error
		want error
	}{
		"expired": {func(h *hall, _ token.Claims) error {
			h.pass(token.Access().TTL + token.DefaultLeeway)
			h.load()
			return nil
		}, token.ErrExpired},
		"not yet again":   {func(h *hall, _ token.Claims) error { h.pass(-time.Hour); return nil }, token.ErrNotYet}, // a clock that was set back
		"token revoked":   {func(h *hall, c token.Claims) error { return h.list.RevokeToken(h.Context(), c.ID, c.ExpiresAt) }, revoke.ErrRevoked},
		"session revoked": {func(h *hall, c token.Claims) error { return h.list.RevokeSession(h.Context(), c.Session, c.ExpiresAt) }, revoke.ErrRevoked},
		"subject revoked": {func(h *hall, c token.Claims) error { return h.list.RevokeSubject(h.Context(), c.Subject) }, revoke.ErrRevoked},
		"key revoked":     {func(h *hall, c token.Claims) error { return h.list.RevokeKey(h.Context(), c.Key) }, revoke.ErrRevoked},
		"all revoked":     {func(h *hall, _ token.Claims) error { return h.list.RevokeAll(h.Context()) }, revoke.ErrRevoked},
		"key retired":     {func(h *hall, c token.Claims) error { return h.ring.Retire(h.Context(), c.Key) }, keyring.ErrUnknownKey},
	} {
		h := newHall(t, nil)
		text, said := h.known()
		other, _ := h.known()
		if err := tt.end(h, said); err != nil {
			t.Fatal(err)
		}
		for range 2 { // also once it was forgotten
			c, err := h.Verify(t.Context(), text)
			refused(t, what, c, err, tt.want)
			if !errors.Is(err, gatehouse.ErrCredential) {
				t.Errorf("%s: %v, want an error that wraps ErrCredential", what, err)
			}
			if id, err := h.Identity(t.Context(), text); id.Value != "" || !errors.Is(err, tt.want) {
				t.Errorf("%s: Identity = %+v, %v, want nobody", what, id, err)
			}
		}
		if _, err := h.Verify(t.Context(), other); (what == "token revoked" || what == "session revoked") != (err == nil) {
			t.Errorf("%s: another token: %v", what, err)
		}
	}
}

// TestTokensSurviveRotations: the key changes twice during a token's life, which lasts as long as its purpose allows: it is taken to its end, remembered or not, and by another process.
func TestTokensSurviveRotations(t *testing.T) {
	h := newHall(t, nil)
	cold := verifierOf(t, token.VerifierConfig{Purpose: h.Purpose(), Ring: h.ring, Revocations: h.list, Now: h.now, Cache: -1, Leeway: -1})
	elsewhere := must(keyring.New(h.keys, keyring.Config{Name: "access", Master: h.master, Lifetime: time.Hour, Now: h.now, Logger: slog.New(slog.DiscardHandler)}))
	other := verifierOf(t, token.VerifierConfig{Purpose: h.Purpose(), Ring: elsewhere, Revocations: h.list, Now: h.now, Leeway: -1})
	h.pass(59 * time.Minute)
	h.load()
	text, said := mint(t, h.minter, token.TTL(time.Hour))
	signers := map[string]bool{}
	for minute := range 60 {
		if minute == 1 || minute == 20 {
			if _, err := h.ring.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := elsewhere.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		for what, v := range map[string]*token.Verifier{"remembered": h.Verifier, "cold": cold, "elsewhere": other} {
			if c, err := v.Verify(t.Context(), text); err != nil || c.Key != said.Key {
				t.Errorf("%s, after %d minutes: %+v, %v, want its claims", what, minute, c, err)
			}
		}
		signers[must(h.ring.Signer()).ID()] = true
		h.pass(time.Minute)
		h.load()
	}
	if len(signers) != 3 {
		t.Errorf("%d keys have signed, want 3", len(signers))
	}
	for _, v := range []*token.Verifier{cold, other} {
		got, err := v.Verify(t.Context(), text)
		refused(t, "after an hour", got, err, token.ErrExpired)
	}
}

// TestKnownTokensOfAStaleList: past the bound a good token is not "revoked" but unknown, its identity is inside, and it is accepted again when the list is fresh.
func TestKnownTokensOfAStaleList(t *testing.T) {
	h := newHall(t, nil)
	fresh, _ := mint(t, h.minter)
	text, said := h.known()
	h.pass(h.list.Bound() + time.Second)
	for what, text := range map[string]string{"known": text, "not known": fresh} {
		for range 2 {
			c, err := h.Verify(t.Context(), text)
			stale, ok := errors.AsType[*gatehouse.StaleError](err)
			if !ok || errors.Is(err, gatehouse.ErrCredential) || c.Subject != "" || stale.Age != 6*time.Second {
				t.Errorf("%s: Verify with a stale list = %+v, %v, want nothing and a StaleError of 6 s", what, c, err)
			}
			id, err := h.Identity(t.Context(), text)
			if stale, ok := errors.AsType[*gatehouse.StaleError](err); !ok || stale.Identity.Value != "jack" || id.Value != "" {
				t.Errorf("%s: Identity with a stale list = %+v, %v, want a StaleError that knows jack", what, id, err)
			}
		}
	}
	if err := h.list.RevokeToken(t.Context(), said.ID, said.ExpiresAt); err != nil {
		t.Fatal(err)
	}
	h.pass(h.list.Bound() + time.Second)
	_, err := h.Verify(t.Context(), text) // known to be revoked, however old the list is
	if !errors.Is(err, revoke.ErrRevoked) {
		t.Errorf("a token that is known to be revoked, with a stale list: %v, want ErrRevoked", err)
	}
	h.load()
	if _, err := h.Verify(t.Context(), fresh); err != nil {
		t.Errorf("the other one with a fresh list: %v, want nil", err)
	}
}

// TestKnownTokensWhereTheRingIsAway: where it cannot be found out whether a key still counts, that is no refusal.
func TestKnownTokensWhereTheRingIsAway(t *testing.T) {
	h := newHall(t, nil)
	h.SetLeeway(2 * time.Hour)
	text, _ := h.known()
	if _, err := h.ring.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.keys.err = errors.New("the database is away")
	h.pass(5 * time.Minute)
	if err := h.list.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Verify(t.Context(), text); err != nil {
		t.Errorf("a known token of a key that the ring has: %v, want nil: the store is not needed", err)
	}
	h.pass(2 * time.Hour) // the key is over, unless somebody has prolonged it
	if err := h.list.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c, err := h.Verify(t.Context(), text)
		if err == nil || errors.Is(err, gatehouse.ErrCredential) || c.Subject != "" {
			t.Errorf("a known token of a key that cannot be looked up: %+v, %v, want an error that is nobody's fault", c, err)
		}
	}
}

// TestKnownTokensAreBounded: however many tokens come, no more are remembered than were asked for, and those that come often stay.
func TestKnownTokensAreBounded(t *testing.T) {
	const size = 640
	often := 0
	ring := ringOf(t, "access", keyring.HS256)
	m := minterOf(t, token.MinterConfig{Purpose: access(), Ring: ring})
	v := verifierOf(t, token.VerifierConfig{Purpose: access(), Ring: ring, Cache: size, Identify: func(_ context.Context, c token.Claims) (gatehouse.Identity, error) {
		if c.Subject == "often" {
			often++
		}
		return gatehouse.Identity{Value: c.Subject}, nil
	}})
	minted := must(m.Mint(t.Context(), token.Claims{Subject: "often"})).Text.Reveal()
	for range 10 * size {
		text, _ := mint(t, m)
		for _, text := range []string{text, minted} {
			if _, err := v.Verify(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		if n := token.Remembered(v); n > size {
			t.Fatalf("%d tokens are remembered, want %d at most", n, size)
		}
	}
	if often != 1 {
		t.Errorf("the token that comes each time was verified %d times, want once", often)
	}
	if n := token.Remembered(v); n < size/2 {
		t.Errorf("%d tokens are remembered, want more than half of %d", n, size)
	}
}

// TestBadTokensAreNotRemembered: nobody fills the memory with what is refused.
func TestBadTokensAreNotRemembered(t *testing.T) {
	h := newHall(t, nil)
	text, said := mint(t, h.minter)
	if err := h.list.RevokeToken(t.Context(), said.ID, said.ExpiresAt); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "x", "..", text, text[:len(text)-1], text + "A", strings.Repeat("A", token.MaxSize)} {
		h.Verify(t.Context(), text)
	}
	if n := token.Remembered(h.Verifier); n != 0 {
		t.Errorf("%d tokens are remembered, want none", n)
	}
}

// TestNoTwoTokensShareAnEntry: tokens that are alike but for one thing, such as a common beginning and end, get each their own claims, many at once too.
func TestNoTwoTokensShareAnEntry(t *testing.T) {
	ring := ringOf(t, "access", keyring.HS256)
	m := minterOf(t, token.MinterConfig{Purpose: access(), Ring: ring})
	v := verifierOf(t, token.VerifierConfig{Purpose: access(), Ring: ring, Cache: 100})
	texts := map[string]string{}
	for i := range 300 {
		subject := fmt.Sprint("user-", i)
		texts[subject] = must(m.Mint(t.Context(), token.Claims{Subject: subject, Session: "the same"})).Text.Reveal()
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for subject, text := range texts {
				if c, err := v.Verify(t.Context(), text); err != nil || c.Subject != subject {
					t.Errorf("the token of %s says %s, %v", subject, c.Subject, err)
				}
			}
		})
	}
	all.Wait()
}

// TestKnownTokensAllocateNothing: the way of most requests.
func TestKnownTokensAllocateNothing(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates")
	}
	for _, a := range []keyring.Algorithm{keyring.HS256, keyring.ES256, keyring.EdDSA, keyring.RS256} {
		list := revoke.New(memory.Revocations(), revoke.Config{})
		if err := list.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		ring := ringOf(t, "access", a)
		text, _ := mint(t, minterOf(t, token.MinterConfig{Purpose: access(), Ring: ring, Revocations: list}))
		v := verifierOf(t, token.VerifierConfig{Purpose: access(), Ring: ring, Revocations: list})
		set := must(token.NewSet(v))
		ctx := t.Context()
		if n := testing.AllocsPerRun(500, func() { v.Verify(ctx, text) }); n != 0 {
			t.Errorf("%s: Verify of a known token allocates %v times, want 0", a, n)
		}
		if n := testing.AllocsPerRun(500, func() { set.Identity(ctx, text) }); n != 0 {
			t.Errorf("%s: Identity of a known token allocates %v times, want 0", a, n)
		}
	}
}

// TestColdVerifyAllocatesLittle: the claims, and not much beside. ECDSA takes some for itself.
func TestColdVerifyAllocatesLittle(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates")
	}
	for a, most := range map[keyring.Algorithm]float64{keyring.HS256: 12, keyring.EdDSA: 12, keyring.ES256: 34} {
		ring := ringOf(t, "access", a)
		text, _ := mint(t, minterOf(t, token.MinterConfig{Purpose: access(), Ring: ring}))
		v := verifierOf(t, token.VerifierConfig{Purpose: access(), Ring: ring, Cache: -1})
		if n := testing.AllocsPerRun(100, func() { v.Verify(t.Context(), text) }); n > most {
			t.Errorf("%s: Verify allocates %v times, want %v at most", a, n, most)
		}
	}
}
