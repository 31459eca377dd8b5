package token_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// A kind is one kind of token: how one is made, and what takes it.
type kind struct {
	name  string
	fresh func() string
	takes func(text string) error
}

// A mill makes kinds on one clock, one store and one list of revocations.
type mill struct {
	*testing.T
	*clock
	store token.Store
	list  *revoke.List
	signs keyring.Algorithm
	key   func(keyring.Algorithm) *keyring.Key // for each ring
	kinds []kind
}

// newMill makes every kind of token that there is. If shared is true, one key signs them all, by mistake.
func newMill(t *testing.T, shared bool) *mill {
	m := &mill{T: t, clock: noon(), store: memory.Tokens(), signs: keyring.HS256}
	m.list = listOf(t, m.clock)
	m.key = func(a keyring.Algorithm) *keyring.Key { return must(keyring.Generate(a)) }
	if shared {
		one := must(keyring.Generate(keyring.ES256)) // clients have no other
		m.signs, m.key = keyring.ES256, func(keyring.Algorithm) *keyring.Key { return one }
	}
	window := token.Purpose{Name: "window", TTL: time.Hour}
	for _, p := range []token.Purpose{token.Access(), token.VerifyEmail(), token.ResetPassword(), token.Invite(), token.Refresh(), window, {Name: "booking", TTL: time.Hour}, {Name: "book", TTL: time.Hour}} {
		for _, form := range []token.Form{token.JWT, token.Opaque} {
			p.Form, p.Audience, p.MaxUses = form, audience, 0
			m.purpose(p)
		}
	}
	for _, form := range []token.Form{token.JWT, token.Opaque} {
		m.family(form)
	}
	m.foreign("login", token.ForeignConfig{SubjectClaim: "login"}, `{"login":"jack","exp":%d}`)
	m.foreign("username", token.ForeignConfig{SubjectClaim: "username"}, `{"headers":{"typ":"JWT","alg":"ES256"},"iat":1,"exp":%d,"username":"jack"}`)
	m.foreign("issuer", token.ForeignConfig{Issuer: "https://other.example"}, `{"iss":"https://other.example","sub":"jack","exp":%d}`)
	m.foreign("audience", token.ForeignConfig{Audience: []string{"https://api.example"}}, `{"iss":"https://third.example","aud":"https://api.example","sub":"jack","exp":%d}`)
	m.assertion()
	return m
}

func (m *mill) add(name string, fresh func() string, takes func(string) error) {
	m.kinds = append(m.kinds, kind{name, fresh, takes})
}

func (m *mill) ring(name string) *keyring.Ring { return must(keyring.Static(name, m.key(m.signs))) }

func (m *mill) purpose(p token.Purpose) {
	ring := m.ring(p.Name)
	minter := minterOf(m, token.MinterConfig{Purpose: p, Ring: ring, Store: m.store, Revocations: m.list, Now: m.now})
	v := verifierOf(m, token.VerifierConfig{Purpose: p, Ring: ring, Store: m.store, Revocations: m.list, Now: m.now})
	m.add(p.Name+" "+string(p.Form), func() string { text, _ := mint(m, minter); return text }, func(text string) error {
		_, err := v.Verify(m.Context(), text)
		if _, err2 := v.Identity(m.Context(), text); (err == nil) != (err2 == nil) {
			m.Errorf("Verify says %v and Identity %v", err, err2)
		}
		return err
	})
}

// family is a kind beside the purpose refresh itself: its refresh tokens belong to log-ins.
func (m *mill) family(form token.Form) {
	p := token.Refresh()
	p.Name, p.Form, p.Audience = "login", form, audience
	ring := m.ring("login")
	f := must(token.NewFamilies(token.FamiliesConfig{Issuer: issuer, Purpose: p, Ring: ring, Store: m.store, Revocations: m.list, Now: m.now, Logger: slog.New(slog.DiscardHandler),
		Access: minterOf(m, token.MinterConfig{Purpose: access(), Ring: m.ring("access"), Revocations: m.list, Now: m.now})}))
	m.add("family "+string(form), func() string {
		return must(f.Start(m.Context(), token.Claims{Subject: "jack"})).Refresh.Text.Reveal()
	}, func(text string) error {
		_, err := f.Verify(m.Context(), text)
		if _, err2 := f.Refresh(m.Context(), text); (err == nil) != (err2 == nil) {
			m.Errorf("Verify says %v and Refresh %v", err, err2)
		}
		return err
	})
}

func (m *mill) foreign(name string, c token.ForeignConfig, payload string) {
	key := m.key(m.signs)
	c.Algorithms, c.Keys, c.Revocations, c.Now = []keyring.Algorithm{m.signs}, must(keyring.Static("foreign", key)), m.list, m.now
	v := must(token.NewForeign(c))
	m.add("foreign "+name, func() string {
		return forge(m, key, fmt.Sprintf(`{"alg":%q,"typ":"JWT"}`, m.signs), fmt.Sprintf(payload, m.Add(time.Minute).Unix()))
	}, func(text string) error {
		_, err := v.Verify(m.Context(), text)
		return err
	})
}

func (m *mill) assertion() {
	key := m.key(keyring.ES256)
	a := must(token.NewAssertions(token.AssertionsConfig{Audience: []string{issuer}, Store: m.store, Now: m.now, Client: func(_ context.Context, id string) (token.Client, error) {
		if id != "reports" {
			return token.Client{}, token.ErrClient
		}
		return token.Client{ID: id, Keys: []*keyring.Key{key.Public()}}, nil
	}}))
	n := 0
	m.add("assertion", func() string {
		n++
		return forge(m, key, fmt.Sprintf(`{"alg":"ES256","kid":%q}`, key.ID()),
			fmt.Sprintf(`{"iss":"reports","sub":"reports","aud":%q,"jti":"%d","exp":%d}`, issuer, n, m.Add(time.Minute).Unix()))
	}, func(text string) error {
		_, err := a.Verify(m.Context(), text)
		return err
	})
}

// TestPurposes: every kind of token against everything that takes tokens: only the diagonal passes, even when one key signs them all by mistake.
func TestPurposes(t *testing.T) {
	for _, shared := range []bool{false, true} {
		m := newMill(t, shared)
		for _, made := range m.kinds {
			for _, by := range m.kinds {
				err := by.takes(made.fresh())
				switch {
				case (err == nil) != (made.name == by.name):
					t.Errorf("one key: %v: a token of the kind %q where %q is due: %v", shared, made.name, by.name, err)
				case err != nil && !errors.Is(err, gatehouse.ErrCredential):
					t.Errorf("one key: %v: a token of the kind %q where %q is due: %v, want an error that wraps ErrCredential", shared, made.name, by.name, err)
				}
			}
		}
	}
}

// TestWrongPurposeSaysSo: where the type tells, and the key would do, the error is ErrPurpose, through any wrapping, and it is invalid as well.
func TestWrongPurposeSaysSo(t *testing.T) {
	m := newMill(t, true)
	for _, made := range m.kinds[2:8] { // actions, which are another purpose than access
		err := fmt.Errorf("in a handler: %w", m.kinds[0].takes(made.fresh()))
		if want := token.ErrPurpose; made.name[len(made.name)-3:] == "jwt" && !errors.Is(err, want) || !errors.Is(err, token.ErrInvalid) {
			t.Errorf("a token of the kind %q where access is due: %v, want ErrPurpose and ErrInvalid", made.name, err)
		}
	}
}

// TestChangedTokens: no bit of any kind of token can be flipped, nothing cut off, nothing put at either end: it is refused then, also where the good one is remembered.
func TestChangedTokens(t *testing.T) {
	m := newMill(t, false)
	for _, k := range m.kinds {
		text := k.fresh()
		if k.name != "assertion" && k.name != "family jwt" && k.name != "family opaque" { // those are used up
			if err := k.takes(text); err != nil {
				t.Fatalf("%s: %v, want nil", k.name, err)
			}
		}
		refuses := func(what string, changed string) {
			t.Helper()
			if err := k.takes(changed); !errors.Is(err, gatehouse.ErrCredential) {
				t.Errorf("%s, %s: %v, want an error that wraps ErrCredential", k.name, what, err)
			}
		}
		bytes := []byte(text)
		for i := range bytes {
			for bit := range 8 {
				bytes[i] ^= 1 << bit
				refuses(fmt.Sprintf("bit %d of byte %d flipped", bit, i), string(bytes))
				bytes[i] ^= 1 << bit
			}
			refuses(fmt.Sprintf("cut to %d bytes", i), text[:i])
			if i > 0 {
				refuses(fmt.Sprintf("without its first %d bytes", i), text[i:])
			}
		}
		for _, more := range []string{"A", "=", ".", ".A", " ", "\n", "\x00", "AAAA", text, "." + text} {
			refuses(fmt.Sprintf("with %.4q behind", more), text+more)
			refuses(fmt.Sprintf("with %.4q in front", more), more+text)
		}
		if err := k.takes(text); err != nil {
			t.Errorf("%s: the token itself, afterwards: %v, want nil", k.name, err)
		}
	}
}

// TestSetGoesByTheRule: which verifier counts is the rule's to say: neither the token's nor the client's.
func TestSetGoesByTheRule(t *testing.T) {
	c, store, ring := noon(), memory.Tokens(), ringOf(t, "all", keyring.HS256)
	purposes := []token.Purpose{token.Access(), token.VerifyEmail(), token.Invite(), {Name: "booking", TTL: time.Hour}}
	var verifiers []token.Identifier
	texts := map[string]string{}
	for _, p := range purposes {
		p.Audience, p.MaxUses = audience, 0
		texts[p.Name], _ = mint(t, minterOf(t, token.MinterConfig{Purpose: p, Ring: ring, Store: store, Now: c.now}))
		verifiers = append(verifiers, verifierOf(t, token.VerifierConfig{Purpose: p, Ring: ring, Store: store, Now: c.now}))
	}
	foreign := token.ForeignConfig{Algorithms: []keyring.Algorithm{keyring.HS256}, Keys: ring, SubjectClaim: "login", Revocations: revoke.None, Now: c.now}
	set := must(token.NewSet(append(verifiers, must(token.NewForeign(foreign)))...))
	texts["foreign"] = forge(t, ring.All()[0], `{"alg":"HS256"}`, fmt.Sprintf(`{"login":"jack","exp":%d}`, c.Unix()+60))
	for rule, also := range map[string]string{"": "access", "access": "access", "verify-email": "", "invite": "", "booking": "", "refresh": "", "foreign": "", "Access": "", "unknown": ""} {
		ctx := t.Context()
		if rule != "" {
			ctx = gatehouse.NewPurposeContext(ctx, rule)
		}
		for name, text := range texts {
			id, err := set.Identity(ctx, text)
			good := name == rule && name != "foreign" || also == "access" && (name == "access" || name == "foreign")
			if good && (err != nil || id.Value != "jack" || id.Purpose != map[bool]string{true: "access", false: name}[name == "foreign"]) {
				t.Errorf("a token for %s where the rule says %q: %+v, %v, want jack's", name, rule, id, err)
			}
			if !good && (!errors.Is(err, gatehouse.ErrCredential) || id.Value != "") {
				t.Errorf("a token for %s where the rule says %q: %+v, %v, want nobody and an error that wraps ErrCredential", name, rule, id, err)
			}
		}
	}
}

// TestSetsThatAreNone: two verifiers that could be taken for one another are a mistake.
func TestSetsThatAreNone(t *testing.T) {
	ring := ringOf(t, "a", keyring.HS256)
	own := func(name, typ string) token.Identifier {
		return verifierOf(t, token.VerifierConfig{Purpose: token.Purpose{Name: name, Type: typ, TTL: time.Hour, Audience: audience}, Ring: ring})
	}
	foreign := func(n int) (all []token.Identifier) {
		for range n {
			all = append(all, must(token.NewForeign(token.ForeignConfig{Algorithms: []keyring.Algorithm{keyring.HS256}, Keys: ring, Revocations: revoke.None})))
		}
		return all
	}
	for what, all := range map[string][]token.Identifier{
		"one purpose twice": {own("booking", ""), own("booking", "other+jwt")}, "one type twice": {own("booking", ""), own("other", "booking+jwt")},
		"one type twice, spelled differently": {own("booking", "x+jwt"), own("other", "application/X+JWT")}, "five foreign keys": foreign(token.MaxTries + 1),
	} {
		if s, err := token.NewSet(all...); err == nil {
			t.Errorf("%s: NewSet = %v, want an error", what, s)
		}
	}
	if _, err := token.NewSet(foreign(token.MaxTries)...); err != nil {
		t.Errorf("NewSet with four foreign keys: %v, want nil", err)
	}
}
