package token_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// said returns the header and the payload of a JWT as anybody reads them.
func said(t *testing.T, text string) (head, payload map[string]any) {
	t.Helper()
	for i, into := range []*map[string]any{&head, &payload} {
		if err := json.Unmarshal(must(b64.DecodeString(strings.Split(text, ".")[i])), into); err != nil {
			t.Fatal(err)
		}
	}
	return head, payload
}

// TestMintedClaims: what each token says of itself, and what it says where it was given more.
func TestMintedClaims(t *testing.T) {
	c, ring := noon(), ringOf(t, "access", keyring.ES256)
	c.pass(789 * time.Millisecond)
	m := minterOf(t, token.MinterConfig{Purpose: access(), Ring: ring, Now: c.now})
	made := must(m.Mint(t.Context(), token.Claims{Subject: "jack"}))
	head, payload := said(t, made.Text.Reveal())
	id := made.Claims.ID
	if diff := cmp.Diff(map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": ring.All()[0].ID()}, head); diff != "" {
		t.Errorf("the header: %s", diff)
	}
	now := float64(c.Unix())
	if diff := cmp.Diff(map[string]any{"iss": issuer, "aud": audience[0], "sub": "jack", "jti": id, "sid": id, "iat": now, "exp": now + 600}, payload); diff != "" {
		t.Errorf("the payload: %s", diff)
	}
	made = must(m.Mint(t.Context(), token.Claims{Subject: "jack", Session: "log-in", Client: "app", Audience: []string{"a", "b"}, AuthTime: c.Add(-time.Minute), Methods: []string{"pwd"}, Scopes: []string{"x", "y"},
		Roles: []string{"basic"}, Email: "jack@example.org", Custom: map[string]any{"tier": "gold"},
		// what the minter itself says:
		Purpose: "refresh", ID: "mine", Key: "mine", Issuer: "mallory", IssuedAt: c.Add(-time.Hour), ExpiresAt: c.Add(1000 * time.Hour)}))
	_, payload = said(t, made.Text.Reveal())
	delete(payload, "jti")
	want := map[string]any{"iss": issuer, "aud": []any{"a", "b"}, "sub": "jack", "sid": "log-in", "client_id": "app", "iat": now, "exp": now + 600, "auth_time": now - 60, "amr": []any{"pwd"}, "scope": "x y",
		"roles": []any{"basic"}, "email": "jack@example.org", "email_verified": true, "tier": "gold"}
	if diff := cmp.Diff(want, payload); diff != "" {
		t.Errorf("the payload: %s", diff)
	}
	if got := made.Claims; got.Purpose != "access" || got.ID == "mine" || got.Key != ring.All()[0].ID() || got.Issuer != issuer || got.ExpiresAt.Sub(c.Time) > 600*time.Second {
		t.Errorf("Mint says that it made %+v", got)
	}
	if fmt.Sprint(made) != fmt.Sprint(token.Token{Text: made.Text, Claims: made.Claims}) || strings.Contains(fmt.Sprintf("%v %+v %#v %s %q", made, made, made, made, made), made.Text.Reveal()) {
		t.Error("a token can be printed")
	}
}

// TestMintedIDs: no two tokens have the same, whoever makes them.
func TestMintedIDs(t *testing.T) {
	m := minterOf(t, token.MinterConfig{Purpose: access(), Ring: ringOf(t, "access", keyring.HS256)})
	var ids sync.Map
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				c := must(m.Mint(t.Context(), token.Claims{Subject: "jack"})).Claims
				if _, twice := ids.LoadOrStore(c.ID, true); twice || len(c.ID) < 26 {
					t.Errorf("the id %q comes twice, or is too short", c.ID)
				}
			}
		})
	}
	all.Wait()
}

// TestTTL: a token may ask for a time of its own, within what its purpose allows.
func TestTTL(t *testing.T) {
	c := noon()
	p := access()
	p.MaxTTL = time.Hour
	ring := ringOf(t, "access", keyring.HS256)
	m := minterOf(t, token.MinterConfig{Purpose: p, Ring: ring, Now: c.now})
	for ttl, good := range map[time.Duration]bool{time.Second: true, time.Minute: true, time.Hour: true, time.Hour + 1: false, 24 * time.Hour: false, math.MaxInt64: false, 0: false, -time.Minute: false, math.MinInt64: false,
		time.Second - 1: false} {
		made, err := m.Mint(t.Context(), token.Claims{Subject: "jack"}, token.TTL(ttl))
		switch {
		case good && (err != nil || made.Claims.ExpiresAt.Sub(c.Time) != ttl):
			t.Errorf("TTL(%v): until %v, %v, want so long from %v", ttl, made.Claims.ExpiresAt, err, c.Time)
		case !good && (!errors.Is(err, token.ErrTTL) || errors.Is(err, gatehouse.ErrCredential) || !made.Text.IsZero()):
			t.Errorf("TTL(%v): %v, want ErrTTL and no token", ttl, err)
		}
	}
	short := minterOf(t, token.MinterConfig{Purpose: access(), Ring: ring, Now: c.now})
	if _, err := short.Mint(t.Context(), token.Claims{Subject: "jack"}, token.TTL(token.Access().TTL+time.Second)); !errors.Is(err, token.ErrTTL) {
		t.Errorf("a TTL over that of a purpose without MaxTTL: %v, want ErrTTL", err)
	}
}

// TestWindow: a token with a delay counts inside its window, and at no other time.
func TestWindow(t *testing.T) {
	for _, form := range []token.Form{token.JWT, token.Opaque} {
		c, store := noon(), memory.Tokens()
		p := token.Purpose{Name: "window", Form: form, TTL: 20 * time.Minute, MaxTTL: time.Hour, Delay: 10 * time.Minute, Audience: audience}
		ring := ringOf(t, "window", keyring.HS256)
		m := minterOf(t, token.MinterConfig{Purpose: p, Ring: ring, Store: store, Now: c.now})
		v := verifierOf(t, token.VerifierConfig{Purpose: p, Ring: ring, Store: store, Now: c.now, Leeway: -1})
		text, said := mint(t, m)
		if said.NotBefore.Sub(c.Time) != 10*time.Minute || said.ExpiresAt.Sub(c.Time) != 20*time.Minute {
			t.Errorf("%s: the window is from %v to %v, want 10 to 20 minutes from %v", form, said.NotBefore, said.ExpiresAt, c.Time)
		}
		for _, at := range []struct {
			after time.Duration
			want  error
		}{{0, token.ErrNotYet}, {10*time.Minute - 1, token.ErrNotYet}, {10 * time.Minute, nil}, {15 * time.Minute, nil}, {20*time.Minute - 1, nil}, {20 * time.Minute, token.ErrExpired}, {time.Hour, token.ErrExpired}} {
			c.Time = noon().Add(at.after)
			got, err := v.Verify(t.Context(), text)
			if at.want != nil {
				refused(t, fmt.Sprintf("%s after %v", form, at.after), got, err, at.want)
			} else if err != nil {
				t.Errorf("%s after %v: %v, want nil", form, at.after, err)
			}
		}
		if _, err := m.Mint(t.Context(), token.Claims{Subject: "jack"}, token.TTL(10*time.Minute)); !errors.Is(err, token.ErrTTL) {
			t.Errorf("%s: a token that is over when it begins: %v, want ErrTTL", form, err)
		}
		for _, ttl := range []time.Duration{2 * time.Second, 10 * time.Minute, 10*time.Minute + time.Millisecond} {
			if _, err := m.Mint(t.Context(), token.Claims{Subject: "jack"}, token.TTL(ttl)); err == nil || !strings.Contains(err.Error(), "delay of 10m0s") || strings.Contains(err.Error(), "1h") {
				t.Errorf("%s: a token that lives for %v: %v, want the delay named, and not the longest life", form, ttl, err)
			}
		}
	}
}

// TestNotBefore: who mints may say from when on a token counts; never after its end, and not a moment earlier than said.
func TestNotBefore(t *testing.T) {
	c := noon()
	m := minterOf(t, token.MinterConfig{Purpose: access(), Ring: ringOf(t, "access", keyring.HS256), Now: c.now})
	made, err := m.Mint(t.Context(), token.Claims{Subject: "jack", NotBefore: c.Add(time.Minute + time.Millisecond)})
	if _, payload := said(t, made.Text.Reveal()); err != nil || payload["nbf"] != float64(c.Unix()+61) {
		t.Errorf("nbf is %v, %v, want the next second", payload["nbf"], err)
	}
	for _, at := range []time.Duration{10 * time.Minute, time.Hour} {
		if made, err := m.Mint(t.Context(), token.Claims{Subject: "jack", NotBefore: c.Add(at)}); !errors.Is(err, token.ErrTTL) {
			t.Errorf("Mint of a token that counts from %v on = %v, %v, want ErrTTL", at, made, err)
		}
	}
}

// TestUses: a token for three uses works three times; of ten uses at once exactly three succeed; looking at it is no use.
func TestUses(t *testing.T) {
	store := memory.Tokens()
	p := token.Purpose{Name: "ticket", Form: token.Opaque, TTL: time.Hour, MaxUses: 5, Audience: audience}
	m := minterOf(t, token.MinterConfig{Purpose: p, Store: store})
	v := verifierOf(t, token.VerifierConfig{Purpose: p, Store: store})
	text, _ := mint(t, m, token.Uses(3))
	for i := range 6 {
		if _, err := v.Peek(t.Context(), text); (err == nil) != (i < 3) {
			t.Errorf("Peek before use %d: %v", i+1, err)
		}
		c, err := v.Verify(t.Context(), text)
		if i < 3 && err != nil {
			t.Errorf("use %d: %v, want nil", i+1, err)
		} else if i >= 3 {
			refused(t, fmt.Sprintf("use %d", i+1), c, err, token.ErrSpent)
			refused(t, fmt.Sprintf("use %d", i+1), c, err, token.ErrInvalid)
		}
	}
	text, _ = mint(t, m, token.Uses(3))
	var good atomic.Int32
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if _, err := v.Identity(t.Context(), text); err == nil {
				good.Add(1)
			} else if !errors.Is(err, token.ErrSpent) {
				t.Errorf("a use too many: %v, want ErrSpent", err)
			}
		})
	}
	all.Wait()
	if good.Load() != 3 {
		t.Errorf("%d of 10 uses at once succeed, want 3", good.Load())
	}
	text, _ = mint(t, m) // as the purpose says
	for i := range 6 {
		if _, err := v.Verify(t.Context(), text); (err == nil) != (i < 5) {
			t.Errorf("use %d of 5: %v", i+1, err)
		}
	}
}

// TestUsesThatCannotBe: nobody gets a token for any number of uses by a mistake in arithmetic.
func TestUsesThatCannotBe(t *testing.T) {
	any := token.Purpose{Name: "any", Form: token.Opaque, TTL: time.Hour, Audience: audience}
	one := any
	one.MaxUses = 1
	for _, tt := range []struct {
		p    token.Purpose
		uses int
		good bool
	}{{any, 1, true}, {any, 1000, true}, {any, 0, false}, {any, -1, false}, {any, math.MinInt, false}, {one, 1, true}, {one, 2, false}, {one, 0, false}, {access(), 1, false}, {access(), 0, false}, {access(), -1, false}} {
		m := minterOf(t, token.MinterConfig{Purpose: tt.p, Store: memory.Tokens(), Ring: ringOf(t, "any", keyring.HS256)})
		if made, err := m.Mint(t.Context(), token.Claims{Subject: "jack"}, token.Uses(tt.uses)); (err == nil) != tt.good || errors.Is(err, gatehouse.ErrCredential) {
			t.Errorf("%s, Uses(%d) = %v, %v, want good: %v", tt.p.Name, tt.uses, made.Text, err, tt.good)
		}
	}
}

// TestATokenThatIsRefusedIsNotUsedUp: what is wrong with it is found before a use is counted, and so is that nobody knows whether it was revoked.
func TestATokenThatIsRefusedIsNotUsedUp(t *testing.T) {
	c, store := noon(), memory.Tokens()
	list := listOf(t, c)
	p := token.Purpose{Name: "ticket", Form: token.Opaque, TTL: time.Hour, MaxUses: 1, Audience: audience}
	text, _ := mint(t, minterOf(t, token.MinterConfig{Purpose: p, Store: store, Revocations: list, Now: c.now}))
	good := token.VerifierConfig{Purpose: p, Store: store, Revocations: list, Now: c.now}
	for what, change := range map[string]func(*token.VerifierConfig){
		"another audience": func(c *token.VerifierConfig) { c.Purpose.Audience = []string{"https://other.example"} }, "another issuer": func(c *token.VerifierConfig) { c.Issuer = "https://other.example" },
		"a claim that is missing": func(c *token.VerifierConfig) { c.Purpose.Required = []string{"seat"} }, "another clock": func(v *token.VerifierConfig) { v.Now = func() time.Time { return c.Add(-time.Hour) } },
		"nobody": func(c *token.VerifierConfig) {
			c.Identify = func(context.Context, token.Claims) (gatehouse.Identity, error) { return gatehouse.Identity{}, nil }
		},
		"a panic": func(c *token.VerifierConfig) {
			c.Identify = func(context.Context, token.Claims) (gatehouse.Identity, error) { panic("no") }
		},
		"a directory that is away": func(c *token.VerifierConfig) {
			c.Identify = func(context.Context, token.Claims) (gatehouse.Identity, error) {
				return gatehouse.Identity{}, errors.New("away")
			}
		},
		"a stale list": func(v *token.VerifierConfig) { v.Revocations = revoke.New(memory.Revocations(), revoke.Config{}) },
	} {
		config := good
		change(&config)
		if got, err := verifierOf(t, config).Verify(t.Context(), text); err == nil || got.Subject != "" {
			t.Errorf("%s: %+v, want an error", what, got)
		}
	}
	if _, err := verifierOf(t, good).Verify(t.Context(), text); err != nil {
		t.Errorf("the only use, afterwards: %v, want nil", err)
	}
}

// TestMappedClaims: programs that look for names of their own find them, and nobody else sets those.
func TestMappedClaims(t *testing.T) {
	ring := ringOf(t, "access", keyring.HS256)
	m := minterOf(t, token.MinterConfig{Purpose: access(), Ring: ring, Map: map[string]string{"user_id": "subject", "access_role": "role", "groups": "roles", "mail": "email", "standard_claim": "true", "kind": `"user"`}})
	custom := map[string]any{"tier": "gold"}
	made := must(m.Mint(t.Context(), token.Claims{Subject: "7", Roles: []string{"basic", "films"}, Email: "j@example.org", Custom: custom}))
	_, payload := said(t, made.Text.Reveal())
	for name, want := range map[string]any{"user_id": "7", "sub": "7", "access_role": "basic", "groups": []any{"basic", "films"}, "mail": "j@example.org", "standard_claim": true, "kind": "user", "tier": "gold"} {
		if !cmp.Equal(payload[name], want) {
			t.Errorf("the claim %s is %v, want %v", name, payload[name], want)
		}
	}
	if len(custom) != 1 {
		t.Errorf("the caller's own claims were changed: %v", custom)
	}
	_, payload = said(t, must(m.Mint(t.Context(), token.Claims{Subject: "7"})).Text.Reveal())
	for _, name := range []string{"access_role", "groups", "mail"} {
		if value, ok := payload[name]; ok {
			t.Errorf("without a role or an address the claim %s is %v, want none", name, value)
		}
	}
	for _, name := range []string{"user_id", "access_role", "standard_claim", "kind", "User_ID", "KIND"} {
		if made, err := m.Mint(t.Context(), token.Claims{Subject: "7", Custom: map[string]any{name: "admin"}}); err == nil {
			t.Errorf("Mint with the mapped claim %s = %v, want an error", name, made)
		}
	}
}

// TestIssuedBefore: of the tokens of one second, those that were made before their subject was revoked are refused, and those made after are good.
func TestIssuedBefore(t *testing.T) {
	c := noon()
	c.pass(100 * time.Millisecond)
	list := listOf(t, c)
	ring := ringOf(t, "access", keyring.HS256)
	m := minterOf(t, token.MinterConfig{Purpose: access(), Ring: ring, Revocations: list, Now: c.now})
	v := verifierOf(t, token.VerifierConfig{Purpose: access(), Ring: ring, Revocations: list, Now: c.now})
	for round := range 3 {
		before, _ := mint(t, m)
		others := must(m.Mint(t.Context(), token.Claims{Subject: "ann"})).Text.Reveal()
		if err := list.RevokeSubject(t.Context(), "jack"); err != nil {
			t.Fatal(err)
		}
		after, said := mint(t, m)
		if _, err := v.Verify(t.Context(), before); !errors.Is(err, revoke.ErrRevoked) {
			t.Errorf("round %d: a token from before: %v, want ErrRevoked", round, err)
		}
		if _, err := v.Verify(t.Context(), after); err != nil || !said.IssuedAt.After(c.Time) {
			t.Errorf("round %d: a token from after, issued at %v: %v, want nil", round, said.IssuedAt, err)
		}
		if _, err := v.Verify(t.Context(), others); err != nil {
			t.Errorf("round %d: somebody else's: %v, want nil", round, err)
		}
		c.pass(100 * time.Millisecond)
	}
}

// TestMintWithoutKey: who cannot sign makes no token, and it is not the caller's fault.
func TestMintWithoutKey(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	fresh := must(keyring.New(memory.Keys(), keyring.Config{Name: "access", Master: keyring.NewMaster(), Logger: quiet}))
	public := must(keyring.Static("access", twins()[keyring.ES256].ours.Public()))
	for what, tt := range map[string]struct {
		ring *keyring.Ring
		want error
	}{"a ring that was never loaded": {fresh, gatehouse.ErrUnavailable}, "public keys alone": {public, keyring.ErrForm}} {
		m := minterOf(t, token.MinterConfig{Purpose: access(), Ring: tt.ring})
		if made, err := m.Mint(t.Context(), token.Claims{Subject: "jack"}); !errors.Is(err, tt.want) || errors.Is(err, gatehouse.ErrCredential) || !made.Text.IsZero() {
			t.Errorf("%s: Mint = %v, %v, want an error that wraps %q", what, made, err, tt.want)
		}
	}
	store := &brokenTokens{Store: memory.Tokens(), err: errors.New("the database is away")}
	m := minterOf(t, token.MinterConfig{Purpose: token.Purpose{Name: "ticket", Form: token.Opaque, TTL: time.Hour, Audience: audience}, Store: store})
	if made, err := m.Mint(t.Context(), token.Claims{Subject: "jack"}); !errors.Is(err, store.err) || !made.Text.IsZero() {
		t.Errorf("a store that is away: Mint = %v, %v, want its error", made, err)
	}
}

// TestMintAfterAKeyWasRevoked: the list of revocations hears of a key's end before the ring does: no token is signed with it meanwhile.
func TestMintAfterAKeyWasRevoked(t *testing.T) {
	h := newHall(t, nil)
	elsewhere := must(keyring.New(h.keys.Store, keyring.Config{Name: "access", Master: h.master, Lifetime: time.Hour, Now: h.now, Logger: slog.New(slog.DiscardHandler)}))
	if err := elsewhere.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	old := must(h.ring.Signer()).ID()
	if err := errors.Join(elsewhere.Retire(t.Context(), old), h.list.RevokeKey(t.Context(), old)); err != nil {
		t.Fatal(err)
	}
	text, said := mint(t, h.minter)
	if _, err := h.Verify(t.Context(), text); err != nil || said.Key == old {
		t.Errorf("a token that is made right after: signed with %s, %v, want another key than %s, and nil", said.Key, err, old)
	}
	static := minterOf(t, token.MinterConfig{Purpose: access(), Ring: ringOf(t, "access", keyring.HS256), Revocations: h.list, Now: h.now})
	if err := h.list.RevokeKey(t.Context(), static.Ring.All()[0].ID()); err != nil {
		t.Fatal(err)
	}
	if made, err := static.Mint(t.Context(), token.Claims{Subject: "jack"}); !errors.Is(err, gatehouse.ErrUnavailable) || !made.Text.IsZero() {
		t.Errorf("a ring that has no other key: Mint = %v, %v, want ErrUnavailable", made, err)
	}
}

// TestMintRefuses: claims that a verifier would refuse, or read as something else.
func TestMintRefuses(t *testing.T) {
	p := access()
	p.Required = []string{"tier"}
	m := minterOf(t, token.MinterConfig{Purpose: p, Ring: ringOf(t, "access", keyring.HS256)})
	deep := any(1)
	for range token.MaxDepth {
		deep = []any{deep}
	}
	many := map[string]any{"tier": "gold"}
	for i := range token.MaxMembers {
		many[fmt.Sprint(i)] = i
	}
	good := func() token.Claims { return token.Claims{Subject: "jack", Custom: map[string]any{"tier": "gold"}} }
	for what, change := range map[string]func(*token.Claims){
		"no subject": func(c *token.Claims) { c.Subject = "" }, "a subject that is too long": func(c *token.Claims) { c.Subject = strings.Repeat("x", 1025) }, "a subject that is not UTF-8": func(c *token.Claims) { c.Subject = "\xff" },
		"a subject with a line break": func(c *token.Claims) { c.Subject = "a\nb" }, "a subject with a NUL": func(c *token.Claims) { c.Subject = "\x00jack" }, "a subject with a blank behind it": func(c *token.Claims) { c.Subject = "jack " },
		"a session that is not UTF-8": func(c *token.Claims) { c.Session = "\xff" }, "a role that is not UTF-8": func(c *token.Claims) { c.Roles = []string{"a\xc0\x80"} }, "an address that is not UTF-8": func(c *token.Claims) { c.Email = "\xff" },
		"a custom claim that is not UTF-8": func(c *token.Claims) { c.Custom["x"] = "\xff" }, "a name that is not UTF-8": func(c *token.Claims) { c.Custom["\xff"] = 1 }, "one within that is not UTF-8": func(c *token.Claims) { c.Custom["x"] = []string{"ok", `\`, "\\\xff"} },
		"an empty scope": func(c *token.Claims) { c.Scopes = []string{""} }, "a scope with a space": func(c *token.Claims) { c.Scopes = []string{"films.read admin"} }, "a scope with a no-break space": func(c *token.Claims) { c.Scopes = []string{"films.read\u00a0admin"} },
		"a scope with a tab": func(c *token.Claims) { c.Scopes = []string{"a\tb"} }, "a scope with a quotation mark": func(c *token.Claims) { c.Scopes = []string{`"`} }, "a scope with a backslash": func(c *token.Claims) { c.Scopes = []string{`a\b`} },
		"the required claim is missing": func(c *token.Claims) { c.Custom = nil }, "the required claim is empty": func(c *token.Claims) { c.Custom["tier"] = "" }, "the required claim is null": func(c *token.Claims) { c.Custom["tier"] = nil },
		"the required claim is an empty list": func(c *token.Claims) { c.Custom["tier"] = []any{} },
		"a custom claim that is no JSON":      func(c *token.Claims) { c.Custom["x"] = make(chan int) }, "not a number": func(c *token.Claims) { c.Custom["x"] = math.NaN() }, "infinity": func(c *token.Claims) { c.Custom["x"] = math.Inf(1) },
		"too deep": func(c *token.Claims) { c.Custom["x"] = deep }, "too many": func(c *token.Claims) { c.Custom = many }, "too long": func(c *token.Claims) { c.Custom["x"] = strings.Repeat("x", token.MaxSize) },
		"a log-in before 1970": func(c *token.Claims) { c.AuthTime = time.Unix(-1, 0) }, "a number beyond all": func(c *token.Claims) { c.Custom["x"] = json.Number("1e999") },
	} {
		c := good()
		change(&c)
		if made, err := m.Mint(t.Context(), c); err == nil || errors.Is(err, gatehouse.ErrCredential) || !made.Text.IsZero() {
			t.Errorf("%s: Mint = %v, %v, want an error that blames the program", what, made, err)
		}
	}
	c := good()
	c.Custom["x"], c.Subject = []string{`\ufffd`, "\ufffd", `\\ufffd`, "<&>\u2028\u0000"}, "jack\ufffd"
	if _, err := m.Mint(t.Context(), c); err != nil {
		t.Errorf("what looks like something that was replaced: %v, want nil", err)
	}
}

// TestConfigsThatAreNone: what is not set never counts as "any".
func TestConfigsThatAreNone(t *testing.T) {
	ring, store := ringOf(t, "access", keyring.HS256), memory.Tokens()
	short := must(keyring.New(memory.Keys(), keyring.Config{Name: "access", Master: keyring.NewMaster(), Lifetime: time.Minute}))
	seals := must(keyring.Static("access", must(keyring.Generate(keyring.A256GCM))))
	purpose := func(change func(*token.Purpose)) token.Purpose {
		p := access()
		change(&p)
		return p
	}
	type config struct {
		issuer  string
		purpose token.Purpose
		ring    *keyring.Ring
		store   token.Store
		list    revoke.Checker
		mapped  map[string]string
	}
	good := func() config { return config{issuer, access(), ring, store, revoke.None, nil} }
	both := func(c config) (error, error) {
		_, err := token.NewMinter(token.MinterConfig{Issuer: c.issuer, Purpose: c.purpose, Ring: c.ring, Store: c.store, Revocations: c.list, Map: c.mapped})
		_, err2 := token.NewVerifier(token.VerifierConfig{Issuer: c.issuer, Purpose: c.purpose, Ring: c.ring, Store: c.store, Revocations: c.list})
		return err, err2
	}
	if err, err2 := both(good()); err != nil || err2 != nil {
		t.Fatalf("a good configuration: %v, %v, want nil", err, err2)
	}
	with := func(change func(*token.Purpose)) func(*config) {
		return func(c *config) { c.purpose = purpose(change) }
	}
	for what, change := range map[string]func(*config){
		"no issuer": func(c *config) { c.issuer = "" }, "no list": func(c *config) { c.list = nil }, "no ring": func(c *config) { c.ring = nil }, "no purpose": func(c *config) { c.purpose = token.Purpose{} },
		"no store":    func(c *config) { c.purpose.Form, c.store = token.Opaque, nil },
		"no audience": with(func(p *token.Purpose) { p.Audience = nil }), "an empty audience": with(func(p *token.Purpose) { p.Audience = []string{"a", ""} }),
		"no name": with(func(p *token.Purpose) { p.Name = "" }), "a name in capitals": with(func(p *token.Purpose) { p.Name = "Booking" }), "a name with a dot": with(func(p *token.Purpose) { p.Name = "a.b" }), "a name with a space": with(func(p *token.Purpose) { p.Name = "a b" }),
		"a name that is too long": with(func(p *token.Purpose) { p.Name = strings.Repeat("a", 65) }), "an unknown form": with(func(p *token.Purpose) { p.Form = "jwe" }), "no TTL": with(func(p *token.Purpose) { p.TTL = 0 }),
		"a negative TTL": with(func(p *token.Purpose) { p.TTL = -1 }), "less than a second": with(func(p *token.Purpose) { p.TTL = time.Second - 1 }), "MaxTTL below TTL": with(func(p *token.Purpose) { p.MaxTTL = time.Minute }),
		"a delay as long as the TTL": with(func(p *token.Purpose) { p.Delay = p.TTL }), "a negative delay": with(func(p *token.Purpose) { p.Delay = -1 }), "uses of a JWT": with(func(p *token.Purpose) { p.MaxUses = 1 }),
		"negative uses": with(func(p *token.Purpose) { p.Form, p.MaxUses = token.Opaque, -1 }), "a required claim without a name": with(func(p *token.Purpose) { p.Required = []string{""} }),
		"access tokens' type": with(func(p *token.Purpose) { p.Name, p.Type = "booking", "at+jwt" }), "access tokens' type by its name": with(func(p *token.Purpose) { p.Name, p.Type = "at", "" }),
		"access tokens' type spelled differently": with(func(p *token.Purpose) { p.Name, p.Type = "booking", "application/AT+JWT" }), "a type that says nothing": with(func(p *token.Purpose) { p.Name, p.Type = "booking", "JWT" }),
		"a type that is none": with(func(p *token.Purpose) { p.Type = "at jwt" }), "a type beyond ASCII": with(func(p *token.Purpose) { p.Type = "át+jwt" }), "only application/": with(func(p *token.Purpose) { p.Type = "application/" }),
	} {
		c := good()
		change(&c)
		if err, err2 := both(c); err == nil || err2 == nil {
			t.Errorf("%s: NewMinter says %v and NewVerifier %v, want errors", what, err, err2)
		}
	}
	for what, change := range map[string]func(*config){
		"keys that are gone before the tokens": func(c *config) { c.ring = short }, "keys that seal": func(c *config) { c.ring = seals },
		"a mapped claim that means something": func(c *config) { c.mapped = map[string]string{"sub": "role"} }, "in another case": func(c *config) { c.mapped = map[string]string{"EXP": "true"} },
		"a mapped claim without a name": func(c *config) { c.mapped = map[string]string{"": "subject"} }, "mapped to nothing": func(c *config) { c.mapped = map[string]string{"x": ""} }, "mapped to the unknown": func(c *config) { c.mapped = map[string]string{"x": "password"} },
		"an open quotation": func(c *config) { c.mapped = map[string]string{"x": `"`} },
	} {
		c := good()
		change(&c)
		if err, _ := both(c); err == nil {
			t.Errorf("%s: NewMinter succeeds, want an error", what)
		}
	}
}

// TestBuiltInPurposes: how long the tokens of the purposes live that Gatehouse itself uses, and how often they are good.
func TestBuiltInPurposes(t *testing.T) {
	var got []string
	for _, p := range []token.Purpose{token.Access(), token.Refresh(), token.VerifyEmail(), token.ResetPassword(), token.Invite()} {
		got = append(got, fmt.Sprint(p.Name, " ", p.Form, " ", p.TTL, " ", p.MaxUses))
	}
	want := []string{"access jwt 10m0s 0", "refresh opaque 720h0m0s 0", "verify-email opaque 24h0m0s 1", "reset-password opaque 1h0m0s 1", "invite opaque 168h0m0s 1"}
	if !slices.Equal(got, want) {
		t.Errorf("the purposes are %q, want %q", got, want)
	}
}
