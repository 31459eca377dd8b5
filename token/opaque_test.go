package token_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// A keptTokens is a store that shows what it was given.
type keptTokens struct {
	token.Store
	kept []token.Record
}

func (s *keptTokens) Create(ctx context.Context, rec token.Record) error {
	s.kept = append(s.kept, rec)
	return s.Store.Create(ctx, rec)
}

func (s *keptTokens) Rotate(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
	s.kept = append(s.kept, next, token.Record{Sealed: sealed})
	return s.Store.Rotate(ctx, key, used, sealed, next)
}

// TestStoresHaveNoTokens: what a store keeps does not help who steals it: neither a token nor part of one is in any record, in no encoding.
func TestStoresHaveNoTokens(t *testing.T) {
	ring := ringOf(t, "refresh", "HS256")
	for name, change := range map[string]func(*token.FamiliesConfig){"opaque": nil, "jwt": func(c *token.FamiliesConfig) { c.Purpose.Form, c.Ring = token.JWT, ring }} {
		store := &keptTokens{Store: memory.Tokens()}
		d := newDesk(t, func(c *token.FamiliesConfig) {
			c.Store = store
			if change != nil {
				change(c)
			}
		})
		texts := []string{}
		invite := token.Invite()
		invite.Audience = audience
		text, _ := mint(t, minterOf(t, token.MinterConfig{Purpose: invite, Store: store}))
		texts = append(texts, text)
		pair := d.start()
		for range 3 {
			texts = append(texts, pair.Refresh.Text.Reveal(), pair.Access.Text.Reveal())
			d.later(time.Minute)
			pair = d.refresh(pair)
		}
		for _, rec := range store.kept {
			all := [][]byte{[]byte(rec.ID), []byte(rec.Purpose), []byte(rec.Subject), []byte(rec.Family), rec.Sealed, rec.Body, rec.Key[:], rec.Next[:]}
			if fields := reflect.TypeFor[token.Record]().NumField(); fields != 11 {
				t.Fatalf("a record has %d fields: look at the new ones here too", fields)
			}
			kept := bytes.Join(all, []byte{0})
			for _, text := range texts {
				secret := text[strings.LastIndexByte(text, '.')+1:]
				raw := must(b64.DecodeString(secret))
				for what, part := range map[string][]byte{"it": []byte(text), "its secret": []byte(secret[:20]), "its bytes": raw[:16], "their digits": []byte(hex.EncodeToString(raw[:16]))} {
					if bytes.Contains(kept, part) {
						t.Errorf("%s: a record has %s of a token inside", name, what)
					}
				}
			}
		}
	}
}

// TestOpaqueForms: an opaque token names its purpose, has a checksum, and is as random as 256 bits.
func TestOpaqueForms(t *testing.T) {
	store := memory.Tokens()
	purpose := func(name string) token.Purpose {
		return token.Purpose{Name: name, Form: token.Opaque, TTL: time.Hour, Audience: audience}
	}
	m, v := minterOf(t, token.MinterConfig{Purpose: purpose("ticket"), Store: store}), verifierOf(t, token.VerifierConfig{Purpose: purpose("ticket"), Store: &refusingTokens{T: t}})
	seen := map[string]bool{}
	for range 1000 {
		text, _ := mint(t, m)
		rest, ok := strings.CutPrefix(text, "gh_ticket.")
		if raw, err := b64.DecodeString(rest); !ok || err != nil || len(raw) != 36 || seen[rest[:20]] {
			t.Fatalf("an opaque token is %q, want gh_ticket. and 36 random bytes", text)
		}
		seen[rest[:20]] = true
	}
	text, _ := mint(t, m)
	elsewhere := verifierOf(t, token.VerifierConfig{Purpose: purpose("tickets"), Store: &refusingTokens{T: t}})
	for what, text := range map[string]string{ // none of which makes a store be asked
		"nothing": "", "the prefix": "gh_ticket.", "another prefix": strings.Replace(text, "ticket", "invite", 1), "a prefix in capitals": strings.ToUpper(text[:10]) + text[10:], "no prefix": text[10:], "the prefix twice": "gh_ticket." + text, "gh_ alone": "gh_" + text[10:],
		"zeros": "gh_ticket." + strings.Repeat("A", 48), "no checksum": text[:len(text)-6], "another checksum": text[:len(text)-4] + "AAAA", "padding": text + "=", "a line end": text + "\n", "within": text[:20] + "\n" + text[20:], "a space": text + " ",
		"a part more": text + ".AAAA", "bits that mean nothing": text[:len(text)-1] + "_", "a JWT": rfc7515HS256, "twice": text + text,
	} {
		if text == "" && what != "nothing" {
			t.Fatal("a test of nothing")
		}
		got, err := v.Verify(t.Context(), text)
		refused(t, what, got, err, token.ErrInvalid)
	}
	got, err := elsewhere.Verify(t.Context(), strings.Replace(text, "ticket", "tickets", 1))
	refused(t, "another purpose with the same secret", got, err, token.ErrInvalid)
}

// TestOpaqueRecords: the store's word counts, and what it says must fit: a record of another purpose, of another token, or one that is damaged opens nothing.
func TestOpaqueRecords(t *testing.T) {
	p := token.Purpose{Name: "ticket", Form: token.Opaque, TTL: time.Hour, Audience: audience}
	for what, tt := range map[string]struct {
		change func(*token.Record)
		fault  bool // the token's
	}{
		"as it was made": {func(*token.Record) {}, false}, "another purpose": {func(r *token.Record) { r.Purpose = "invite" }, true}, "rotated": {func(r *token.Record) { r.Used = noon().Time }, true}, "used up": {func(r *token.Record) { r.Left = 0 }, true},
		"another subject": {func(r *token.Record) { r.Subject = "mallory" }, false}, "another id": {func(r *token.Record) { r.ID = "other" }, false}, "no body": {func(r *token.Record) { r.Body = nil }, false}, "a body of no JSON": {func(r *token.Record) { r.Body = []byte("{") }, false},
		"no claims": {func(r *token.Record) { r.Body = []byte("{}") }, false}, "claims that are none": {func(r *token.Record) { r.Body = []byte(`{"claims":[]}`) }, false},
		"claims of somebody else": {func(r *token.Record) { r.Body = bytes.ReplaceAll(r.Body, []byte("jack"), []byte("mall")) }, false},
	} {
		store := &changedTokens{Store: memory.Tokens(), change: tt.change}
		text, _ := mint(t, minterOf(t, token.MinterConfig{Purpose: p, Store: store}))
		c, err := verifierOf(t, token.VerifierConfig{Purpose: p, Store: store}).Verify(t.Context(), text)
		if what == "as it was made" {
			if err != nil {
				t.Errorf("%s: %v, want nil", what, err)
			}
			continue
		}
		if err == nil || c.Subject != "" || errors.Is(err, gatehouse.ErrCredential) != tt.fault {
			t.Errorf("a record of %s: %+v, %v, want an error that is the token's fault: %v", what, c, err, tt.fault)
		}
	}
}

// A changedTokens gives other records than it was given.
type changedTokens struct {
	token.Store
	change func(*token.Record)
}

func (s *changedTokens) Get(ctx context.Context, key token.Key) (token.Record, error) {
	rec, err := s.Store.Get(ctx, key)
	s.change(&rec)
	return rec, err
}

// TestOpaqueTokensEnd: they expire, are revoked and removed like any other, and what has expired is told from what is unknown for a while.
func TestOpaqueTokensEnd(t *testing.T) {
	c, store := noon(), memory.Tokens()
	list := listOf(t, c)
	p := token.Purpose{Name: "ticket", Form: token.Opaque, TTL: time.Hour, Audience: audience}
	m := minterOf(t, token.MinterConfig{Purpose: p, Store: store, Revocations: list, Now: c.now})
	v := verifierOf(t, token.VerifierConfig{Purpose: p, Store: store, Revocations: list, Now: c.now})
	verify := func(what, text string, want error) {
		t.Helper()
		if err := list.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, err := v.Verify(t.Context(), text)
		if want == nil && err == nil {
			return
		}
		refused(t, what, got, err, want)
	}
	text, _ := mint(t, m)
	verify("at first", text, nil)
	c.pass(time.Hour + token.DefaultLeeway)
	verify("after its time", text, token.ErrExpired)
	must(token.Prune(t.Context(), store, c.Time))
	verify("after what is overdue was removed", text, token.ErrExpired)
	c.pass(token.HeadMargin)
	if n := must(token.Prune(t.Context(), store, c.Time)); n != 1 {
		t.Errorf("Prune removes %d records, want 1", n)
	}
	verify("after it was removed", text, token.ErrInvalid)
	for what, end := range map[string]func(token.Claims) error{
		"the token":   func(said token.Claims) error { return list.RevokeToken(t.Context(), said.ID, said.ExpiresAt) },
		"its session": func(said token.Claims) error { return list.RevokeSession(t.Context(), said.Session, said.ExpiresAt) },
		"its subject": func(said token.Claims) error { return list.RevokeSubject(t.Context(), said.Subject) },
	} {
		text, said := mint(t, m)
		if err := end(said); err != nil {
			t.Fatal(err)
		}
		verify(what+" was revoked", text, revoke.ErrRevoked)
		c.pass(2 * time.Second)
	}
	text, _ = mint(t, m)
	if _, err := store.DeleteSubject(t.Context(), "jack", "ticket"); err != nil {
		t.Fatal(err)
	}
	verify("everything of its subject was removed", text, token.ErrInvalid)
}

// TestStoresThatFail: where a store cannot say, or cannot count, the answer is neither yes nor "bad token".
func TestStoresThatFail(t *testing.T) {
	away := errors.New("the database is away")
	for after := range 2 { // looking it up, counting its use
		store := &brokenTokens{Store: memory.Tokens()}
		p := token.Purpose{Name: "ticket", Form: token.Opaque, TTL: time.Hour, MaxUses: 1, Audience: audience}
		text, _ := mint(t, minterOf(t, token.MinterConfig{Purpose: p, Store: store}))
		store.err, store.after = away, after
		v := verifierOf(t, token.VerifierConfig{Purpose: p, Store: store})
		c, err := v.Verify(t.Context(), text)
		if !errors.Is(err, away) || errors.Is(err, gatehouse.ErrCredential) || c.Subject != "" {
			t.Errorf("call %d fails: %+v, %v, want its error", after+1, c, err)
		}
	}
}

// TestPrune: what is overdue goes, in as many batches as it takes, and a failure says how far it came.
func TestPrune(t *testing.T) {
	c, store := noon(), &brokenTokens{Store: memory.Tokens()}
	p := token.Purpose{Name: "ticket", Form: token.Opaque, TTL: time.Hour, MaxTTL: 100 * time.Hour, Audience: audience}
	m := minterOf(t, token.MinterConfig{Purpose: p, Store: store, Now: c.now})
	for range 1201 {
		mint(t, m)
	}
	last, _ := mint(t, m, token.TTL(100*time.Hour))
	c.pass(3 * time.Hour)
	store.err, store.after = errors.New("away"), 1
	if n, err := token.Prune(t.Context(), store, c.Time); n != 500 || !errors.Is(err, store.err) {
		t.Errorf("Prune that fails in between = %d, %v, want 500 and its error", n, err)
	}
	store.err = nil
	if n, err := token.Prune(t.Context(), store, c.Time); n != 701 || err != nil {
		t.Errorf("Prune = %d, %v, want the other 701", n, err)
	}
	if _, err := verifierOf(t, token.VerifierConfig{Purpose: p, Store: store, Now: c.now}).Verify(t.Context(), last); err != nil {
		t.Errorf("the token that is not overdue: %v, want nil", err)
	}
}

// TestKeepPruned: it prunes at every tick, goes on after a failure, and ends with its context or its ticks.
func TestKeepPruned(t *testing.T) {
	store := &brokenTokens{Store: memory.Tokens(), err: errors.New("away"), after: 0}
	c := noon()
	p := token.Purpose{Name: "ticket", Form: token.Opaque, TTL: time.Hour, Audience: audience}
	mint(t, minterOf(t, token.MinterConfig{Purpose: p, Store: store.Store, Now: c.now}))
	tick := make(chan time.Time)
	ended := make(chan struct{})
	go func() {
		token.KeepPruned(t.Context(), store, tick, slog.New(slog.DiscardHandler))
		close(ended)
	}()
	tick <- c.Time
	tick <- c.Time // it has come back from the first, which failed
	close(tick)
	<-ended
	ctx, cancel := context.WithCancel(t.Context())
	ended = make(chan struct{})
	go func() {
		token.KeepPruned(ctx, store.Store, make(chan time.Time), nil)
		close(ended)
	}()
	cancel()
	<-ended
	tick = make(chan time.Time)
	go token.KeepPruned(t.Context(), store.Store, tick, nil)
	tick <- c.Add(3 * time.Hour)
	tick <- c.Time
	if n, err := token.Prune(t.Context(), store.Store, c.Add(3*time.Hour)); n != 0 || err != nil {
		t.Errorf("after a tick %d records are overdue, %v, want none", n, err)
	}
	close(tick)
}
