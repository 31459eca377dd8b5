package token_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// kids are key ids that somebody may hope to be taken for something else.
var kids = []string{"", " ", "\x00", "a\x00", "..", "../../../../etc/passwd", "/dev/null", "file:///dev/null", "C:\\windows\\win.ini", "' OR '1'='1", "x' UNION SELECT 'AAAA", "1; DROP TABLE keys", "$(id)", "`id`", "|id", "%00", "%2e%2e%2f",
	"http://169.254.169.254/", "\r\nX-Injected: 1", "{{7*7}}", "${jndi:ldap://x}", "\u202e", "😀", strings.Repeat("k", 255), strings.Repeat("k", 256), strings.Repeat("k", 4000), strings.Repeat("\u0000", 500), strings.Repeat("../", 1000)}

// TestHostileKids: a key id finds a key of this name, or nothing. It reads no file, asks no database more than once a second, and fetches nothing by it.
func TestHostileKids(t *testing.T) {
	c := noon()
	store := &countingKeys{Store: memory.Keys()}
	ring := must(keyring.New(store, keyring.Config{Name: "access", Algorithm: keyring.HS256, Master: keyring.NewMaster(), Now: c.now, Logger: slog.New(slog.DiscardHandler)}))
	if err := ring.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	key := must(ring.Signer())
	v := verifierOf(t, token.VerifierConfig{Purpose: access(), Ring: ring, Now: c.now})
	s := &smith{TB: t, clock: c, ring: ring, key: key}
	store.loads = 0
	for _, kid := range append(kids, key.ID()+"x", strings.ToUpper(key.ID()), " "+key.ID(), key.ID()[1:]) {
		for range 5 {
			got, err := v.Verify(t.Context(), forge(t, key, `{"alg":"HS256","typ":"at+jwt","kid":`+string(must(json.Marshal(kid)))+`}`, s.payload()))
			refused(t, fmt.Sprintf("kid %.40q", kid), got, err, token.ErrInvalid)
		}
	}
	if store.loads > 1 {
		t.Errorf("the store was read %d times within a second, want once at most", store.loads)
	}
	if _, err := v.Verify(t.Context(), forge(t, key, s.head(), s.payload())); err != nil {
		t.Errorf("the good kid afterwards: %v, want nil", err)
	}
}

// countingKeys counts how often rings are read.
type countingKeys struct {
	keyring.Store
	loads int
}

func (s *countingKeys) Load(ctx context.Context, ring string) ([]keyring.Record, int64, error) {
	s.loads++
	return s.Store.Load(ctx, ring)
}

// TestHostileKidsOfForeignTokens: among given keys a name that nobody has means that the token names none of them; among fetched ones it means that there is none.
func TestHostileKidsOfForeignTokens(t *testing.T) {
	c := noon()
	for where, place := range everywhere(t, twins()[keyring.ES256], c) {
		for _, kid := range kids {
			head := `{"alg":"ES256","kid":` + string(must(json.Marshal(kid))) + `}`
			if where == "own" {
				head = strings.Replace(head, "}", `,"typ":"at+jwt"}`, 1)
			}
			err := place.takes(forge(t, twins()[keyring.ES256].ours, head, place.payload))
			if good := where == "foreign" || kid == "" && where != "own"; !good && !errors.Is(err, gatehouse.ErrCredential) || good && err != nil {
				t.Errorf("%s, kid %.40q: %v, want accepted: %v", where, kid, err, good)
			}
		}
	}
}

// spent returns the bytes that f allocates, at least.
func spent(f func()) uint64 {
	var before, after runtime.MemStats
	least := ^uint64(0)
	for range 5 { // other goroutines of the runtime may allocate at the same time
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// TestSizeIsBoundedFirst: what is longer than 8 KiB is refused before anything is done with it: nothing is copied, split, hashed, looked up or fetched.
func TestSizeIsBoundedFirst(t *testing.T) {
	c := noon()
	store := &refusingTokens{T: t}
	ring := ringOf(t, "access", keyring.ES256)
	ticket := token.Purpose{Name: "ticket", Form: token.Opaque, TTL: time.Hour, Audience: audience}
	d := newDesk(t, func(c *token.FamiliesConfig) { c.Store = store })
	jwt := newDesk(t, func(c *token.FamiliesConfig) { c.Store, c.Purpose.Form, c.Ring = store, token.JWT, ring })
	a := must(token.NewAssertions(token.AssertionsConfig{Audience: []string{issuer}, Store: store, Client: func(context.Context, string) (token.Client, error) {
		t.Error("a client is looked up")
		return token.Client{}, token.ErrClient
	}}))
	remote := must(token.NewForeign(token.ForeignConfig{Algorithms: []keyring.Algorithm{keyring.ES256}, JWKSURL: "https://issuer.example/keys", Revocations: revoke.None,
		Transport: roundTrip(func(*http.Request) (*http.Response, error) { t.Error("keys are fetched"); return nil, errors.New("no") })}))
	set := must(token.NewSet(verifierOf(t, token.VerifierConfig{Purpose: access(), Ring: ring, Now: c.now}), remote))
	for where, takes := range map[string]func(string) error{
		"verifier": func(s string) error {
			_, err := verifierOf(t, token.VerifierConfig{Purpose: access(), Ring: ring, Cache: -1}).Verify(t.Context(), s)
			return err
		},
		"opaque": func(s string) error {
			_, err := verifierOf(t, token.VerifierConfig{Purpose: ticket, Store: store}).Verify(t.Context(), s)
			return err
		},
		"families":     func(s string) error { _, err := d.families.Refresh(t.Context(), s); return err },
		"jwt families": func(s string) error { _, err := jwt.families.Refresh(t.Context(), s); return err },
		"assertion":    func(s string) error { _, err := a.Verify(t.Context(), s); return err },
		"foreign":      func(s string) error { _, err := remote.Verify(t.Context(), s); return err },
		"set":          func(s string) error { _, err := set.Identity(t.Context(), s); return err },
	} {
		for what, text := range map[string]string{
			"a megabyte of dots": strings.Repeat(".", 1<<20), "a megabyte of A": strings.Repeat("A", 1<<20), "a hundred thousand dots": strings.Repeat("A.", 1e5), "two dots and a megabyte": "A.A." + strings.Repeat("A", 1<<20),
			"a byte too many": "A.A." + strings.Repeat("A", token.MaxSize-3), "an opaque one": "gh_ticket." + strings.Repeat("A", 1<<20), "ten megabytes": strings.Repeat("gh_refresh.", 1e6),
		} {
			var err error
			if n := spent(func() { err = takes(text) }); n > 32<<10 {
				t.Errorf("%s, %s: %d bytes are allocated", where, what, n)
			}
			if !errors.Is(err, gatehouse.ErrCredential) {
				t.Errorf("%s, %s: %v, want an error that wraps ErrCredential", where, what, err)
			}
		}
	}
}

// refusingTokens is a store that must not be asked.
type refusingTokens struct {
	token.Store
	*testing.T
}

func (s *refusingTokens) Get(context.Context, token.Key) (token.Record, error) {
	s.Error("the store is asked")
	return token.Record{}, token.ErrNotFound
}

// TestGarbageIsCheap: what has the size of a token, and is none, costs no more than a few times its size.
func TestGarbageIsCheap(t *testing.T) {
	s := newSmith(t, keyring.HS256)
	part := func(text string) string { return b64.EncodeToString([]byte(text)) }
	for what, text := range map[string]string{
		"dots": strings.Repeat(".", token.MaxSize), "letters": strings.Repeat("A", token.MaxSize), "a deep header": part(strings.Repeat(`{"a":`, 1200)) + ".AA.AA", "brackets": part(`{"a":`+strings.Repeat("[", 6000)) + ".AA.AA",
		"many members": part(manyMembers(700)) + ".AA.AA", "a huge kid": part(`{"alg":"HS256","typ":"at+jwt","kid":"`+strings.Repeat("k", 6000)+`"}`) + ".AA.AA",
		"escapes": part(`{"alg":"HS256","typ":"at+jwt","kid":"`+strings.Repeat(`\u0041`, 1000)+`"}`) + ".AA.AA", "a huge payload": part(s.head()) + "." + strings.Repeat("A", 7800) + ".AA",
		"a huge signature": part(s.head()) + ".AA." + strings.Repeat("A", 7800),
	} {
		if len(text) > token.MaxSize {
			t.Fatalf("%s has %d bytes: the test means to stay below the bound", what, len(text))
		}
		var err error
		if n := spent(func() { _, err = s.Verify(t.Context(), text) }); n > 10*token.MaxSize {
			t.Errorf("%s: %d bytes are allocated", what, n)
		}
		if !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", what, err)
		}
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"%d":0`, i)
	}
	return "{" + b.String()[1:] + "}"
}

// TestLargestToken: 8 KiB are taken, as a minter may make them, and more is not made.
func TestLargestToken(t *testing.T) {
	m, v := pairOf(t, keyring.HS256)
	mint := func(n int) (token.Token, error) {
		return m.Mint(t.Context(), token.Claims{Subject: "jack", Custom: map[string]any{"x": strings.Repeat("x", n)}})
	}
	n := 5000
	for ; ; n++ {
		if _, err := mint(n + 1); err != nil {
			break
		}
	}
	made, err := mint(n)
	if size := len(made.Text.Reveal()); err != nil || size < token.MaxSize-2 || size > token.MaxSize {
		t.Fatalf("the largest token has %d bytes, %v, want %d", size, err, token.MaxSize)
	}
	if _, err := v.Verify(t.Context(), made.Text.Reveal()); err != nil {
		t.Errorf("the largest token: %v, want nil", err)
	}
	if _, err := mint(n + 1); errors.Is(err, gatehouse.ErrCredential) {
		t.Errorf("Mint of a larger one = %v, want an error that blames the program", err)
	}
}

// TestErrorsRepeatNothing: no error tells what stood in a token.
func TestErrorsRepeatNothing(t *testing.T) {
	s := newSmith(t, keyring.HS256)
	secret := "s3cr3tv4lue"
	for what, text := range map[string]string{
		"no token": secret, "three parts": secret + "." + secret + "." + secret, "an opaque one": "gh_access." + secret, "a header": forge(t, s.key, `{"alg":"`+secret+`"}`, s.payload()), "a kid": forge(t, s.key, `{"alg":"HS256","typ":"at+jwt","kid":"`+secret+`"}`, s.payload()),
		"a typ": forge(t, s.key, strings.Replace(s.head(), "at+jwt", secret, 1), s.payload()), "an issuer": forge(t, s.key, s.head(), s.payload("iss", `"`+secret+`"`)), "an audience": forge(t, s.key, s.head(), s.payload("aud", `"`+secret+`"`)),
		"a date": forge(t, s.key, s.head(), s.payload("exp", `"`+secret+`"`)), "a claim out of range": forge(t, s.key, s.head(), s.payload("x", `["`+secret+`",1e999]`)),
	} {
		_, err := s.Verify(t.Context(), text)
		if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), text) {
			t.Errorf("%s: the error is %v, want one that repeats nothing", what, err)
		}
	}
}
