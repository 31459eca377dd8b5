package token_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// A counter is where clients prove who they are: reports with two keys, films with one.
type counter struct {
	*testing.T
	*clock
	store   token.Store
	keys    map[string][]*keyring.Key
	lookups error // what looking a client up fails with
	*token.Assertions
	n int
}

func newCounter(t *testing.T, change func(*token.AssertionsConfig)) *counter {
	t.Helper()
	c := &counter{T: t, clock: noon(), store: memory.Tokens()}
	made := func(a keyring.Algorithm) *keyring.Key { return must(keyring.Generate(a)) }
	c.keys = map[string][]*keyring.Key{"reports": {made(keyring.ES256), made(keyring.EdDSA)}, "films": {made(keyring.ES256)}, "nokeys": nil}
	config := token.AssertionsConfig{Audience: []string{issuer, issuer + "/oauth/token"}, Client: c.client, Store: c.store, Now: c.now}
	if change != nil {
		change(&config)
	}
	c.Assertions = must(token.NewAssertions(config))
	return c
}

func (c *counter) client(_ context.Context, id string) (token.Client, error) {
	if c.lookups != nil {
		return token.Client{}, c.lookups
	}
	keys, ok := c.keys[strings.ToLower(id)] // as a database may, which does not tell cases apart
	if !ok {
		return token.Client{}, token.ErrClient
	}
	client := token.Client{ID: strings.ToLower(id), Scopes: []string{"report.read"}}
	for _, key := range keys {
		client.Keys = append(client.Keys, key.Public())
	}
	return client, nil
}

// head is a good header for a key.
func (c *counter) head(key *keyring.Key) string {
	return fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"JWT"}`, key.Algorithm(), key.ID())
}

// claims are good claims of reports with others: pairs of a name and JSON, of which an empty one leaves the claim out. %d is a minute from now.
func (c *counter) claims(changes ...string) string {
	c.n++
	all := []string{"iss", `"reports"`, "sub", `"reports"`, "aud", `"` + issuer + `"`, "jti", fmt.Sprintf(`"id %d"`, c.n), "exp", fmt.Sprint(c.Unix() + 60)}
	for i := 0; i < len(changes); i += 2 {
		found := false
		for j := 0; j < len(all); j += 2 {
			if all[j] == changes[i] {
				all[j+1], found = changes[i+1], true
			}
		}
		if !found {
			all = append(all, changes[i], changes[i+1])
		}
	}
	var parts []string
	for i := 0; i < len(all); i += 2 {
		if all[i+1] != "" {
			parts = append(parts, fmt.Sprintf("%q:%s", all[i], all[i+1]))
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// sign signs good claims, with others, by the first key of reports.
func (c *counter) sign(changes ...string) string {
	c.Helper()
	return forge(c, c.keys["reports"][0], c.head(c.keys["reports"][0]), c.claims(changes...))
}

// TestAssertions: a client that has just signed for us is known by it.
func TestAssertions(t *testing.T) {
	c := newCounter(t, nil)
	at := func(d time.Duration) string { return fmt.Sprint(c.Add(d).Unix()) }
	for what, text := range map[string]string{
		"the first key": c.sign(), "the second key": forge(t, c.keys["reports"][1], c.head(c.keys["reports"][1]), c.claims()), "the token endpoint": c.sign("aud", `"`+issuer+`/oauth/token"`),
		"both of our names": c.sign("aud", `["`+issuer+`","`+issuer+`/oauth/token"]`), "with iat and nbf": c.sign("iat", at(0), "nbf", at(-time.Minute)), "just within five minutes": c.sign("exp", at(5*time.Minute)),
		"a clock that is a little slow": c.sign("exp", at(-29*time.Second)), "a clock that is a little fast": c.sign("iat", at(30*time.Second)), "with what nobody asked for": c.sign("scope", `"admin"`, "x", `{"y":1}`),
	} {
		if client, err := c.Verify(t.Context(), text); err != nil || client.ID != "reports" || fmt.Sprint(client.Scopes) != "[report.read]" {
			t.Errorf("%s: Verify = %+v, %v, want reports", what, client, err)
		}
	}
	films := c.keys["films"][0]
	text := forge(t, films, `{"alg":"ES256"}`, c.claims("iss", `"films"`, "sub", `"films"`))
	if client, err := c.Verify(t.Context(), text); err != nil || client.ID != "films" {
		t.Errorf("without a kid, of a client with one key: %+v, %v, want films", client, err)
	}
}

// TestAssertionsThatProveNothing: who is well-formed and proves nothing is refused, whatever is wrong with it.
func TestAssertionsThatProveNothing(t *testing.T) {
	c := newCounter(t, nil)
	at := func(d time.Duration) string { return fmt.Sprint(c.Add(d).Unix()) }
	key, films := c.keys["reports"][0], c.keys["films"][0]
	unsigned := strings.TrimSuffix(b64.EncodeToString([]byte(`{"alg":"none"}`))+"."+b64.EncodeToString([]byte(c.claims())), "=")
	for what, text := range map[string]string{
		"an unknown client": c.sign("iss", `"nobody"`, "sub", `"nobody"`), "a client that has no keys": c.sign("iss", `"nokeys"`, "sub", `"nokeys"`), "its name in another case": c.sign("iss", `"Reports"`, "sub", `"Reports"`),
		"another subject": c.sign("sub", `"films"`), "another issuer": c.sign("iss", `"films"`), "no issuer": c.sign("iss", ""), "no subject": c.sign("sub", ""), "neither": c.sign("iss", `""`, "sub", `""`),
		"a name of a thousand letters": c.sign("iss", `"`+strings.Repeat("r", 1000)+`"`, "sub", `"`+strings.Repeat("r", 1000)+`"`), "a path": c.sign("iss", `"../reports"`, "sub", `"../reports"`),
		"the key of another client":           forge(t, films, c.head(films), c.claims()),
		"the key of another, by the right id": forge(t, films, c.head(key), c.claims()),
		"a key of nobody":                     forge(t, must(keyring.Generate(keyring.ES256)), c.head(key), c.claims()),
		"no kid, with two keys":               forge(t, key, `{"alg":"ES256"}`, c.claims()),
		"an unknown kid":                      forge(t, key, `{"alg":"ES256","kid":"other"}`, c.claims()),
		"the other key's kid":                 forge(t, key, fmt.Sprintf(`{"alg":"ES256","kid":%q}`, c.keys["reports"][1].ID()), c.claims()),
		"an access token":                     forge(t, key, fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"at+jwt"}`, key.ID()), c.claims()),
		"not signed":                          unsigned + ".", "not signed, with something there": unsigned + ".AAAA",
		"signed with a secret":        forge(t, must(keyring.Generate(keyring.HS256)), fmt.Sprintf(`{"alg":"HS256","kid":%q}`, key.ID()), c.claims()),
		"changed after it was signed": strings.Replace(c.sign(), ".", "."+b64.EncodeToString([]byte(`{"x":1,`))[:8], 1),
		"no audience":                 c.sign("aud", ""), "another server": c.sign("aud", `"https://other.example"`), "our name in another case": c.sign("aud", `"HTTPS://GATE.EXAMPLE"`), "our name with a slash": c.sign("aud", `"`+issuer+`/"`),
		"an empty audience": c.sign("aud", `""`), "us and another server, which could send it here": c.sign("aud", `["`+issuer+`","https://other.example"]`),
		"no jti": c.sign("jti", ""), "an empty jti": c.sign("jti", `""`), "a huge jti": c.sign("jti", `"`+strings.Repeat("x", 257)+`"`), "no exp": c.sign("exp", ""), "expired": c.sign("exp", at(-31*time.Second)), "expired long ago": c.sign("exp", "1"),
		"expires too late": c.sign("exp", at(5*time.Minute+31*time.Second)), "never expires": c.sign("exp", "253402300799"), "not yet valid": c.sign("nbf", at(time.Minute)), "issued in the future": c.sign("iat", at(time.Minute)),
	} {
		client, err := c.Verify(t.Context(), text)
		malformed := strings.HasPrefix(what, "changed") // no JSON any more
		if client.ID != "" || !errors.Is(err, gatehouse.ErrCredential) || errors.Is(err, gatehouse.ErrMalformed) != malformed || !malformed && !errors.Is(err, token.ErrClient) {
			t.Errorf("%s: Verify = %+v, %v, want an error that wraps ErrClient", what, client, err)
		}
	}
	if left := must(token.Prune(t.Context(), c.store, c.Add(1000*time.Hour))); left != 0 {
		t.Errorf("%d assertions that prove nothing are remembered, want none: anybody could fill the store", left)
	}
}

// TestAssertionsThatAreNone: what is no JWT at all is malformed, which is another answer than a refusal.
func TestAssertionsThatAreNone(t *testing.T) {
	c := newCounter(t, nil)
	key := c.keys["reports"][0]
	for what, text := range map[string]string{
		"nothing": "", "garbage": "garbage", "two parts": "a.b", "five parts": "a.b.c.d.e", "a header of no JSON": "AAAA.AAAA.AAAA", "claims of no JSON": forge(t, key, c.head(key), "claims"), "no algorithm": forge(t, key, `{}`, c.claims()),
		"a name twice": forge(t, key, c.head(key), strings.Replace(c.claims(), "{", `{"iss":"films",`, 1)), "an exp that is a text": c.sign("exp", `"tomorrow"`), "an issuer that is a list": c.sign("iss", `["reports"]`), "a jti that is a number": c.sign("jti", "7"),
		"crit": forge(t, key, `{"alg":"ES256","crit":["x"]}`, c.claims()), "JSON": `{"payload":"AA","signatures":[]}`, "a megabyte": strings.Repeat("a", 1<<20), "a good one of more than 8 KiB": c.sign("x", `"`+strings.Repeat("x", token.MaxSize)+`"`), "base64 with padding": c.sign() + "=", "a line end": c.sign() + "\n",
	} {
		client, err := c.Verify(t.Context(), text)
		if client.ID != "" || !errors.Is(err, gatehouse.ErrMalformed) {
			t.Errorf("%s: Verify = %+v, %v, want an error that wraps ErrMalformed", what, client, err)
		}
	}
}

// TestAssertionsCountOnce: however often one comes, at however many processes that share the store, and even if everything of its client's is removed from it.
func TestAssertionsCountOnce(t *testing.T) {
	c := newCounter(t, nil)
	other := must(token.NewAssertions(token.AssertionsConfig{Audience: []string{issuer}, Client: c.client, Store: c.store, Now: c.now}))
	replayed := func(what string, a *token.Assertions, text string) {
		t.Helper()
		if client, err := a.Verify(t.Context(), text); !errors.Is(err, token.ErrClient) || errors.Is(err, gatehouse.ErrMalformed) || client.ID != "" {
			t.Errorf("%s: Verify = %+v, %v, want an error that wraps ErrClient", what, client, err)
		}
	}
	text := c.sign()
	if _, err := c.Verify(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	replayed("the same again", c.Assertions, text)
	replayed("at another process", other, text)
	replayed("another one with the same jti", c.Assertions, c.sign("jti", fmt.Sprintf(`"id %d"`, c.n), "x", "1"))
	if _, err := c.store.DeleteSubject(t.Context(), "reports"); err != nil {
		t.Fatal(err)
	}
	replayed("after everything of the client's was removed", c.Assertions, text)
	c.pass(80 * time.Second) // it expires after 60, and counts for 30 more
	must(token.Prune(t.Context(), c.store, c.Time))
	replayed("just before it expires, after what is overdue was removed", c.Assertions, text)
	c.pass(-60 * time.Second)
	if _, err := c.Verify(t.Context(), forge(t, c.keys["films"][0], `{"alg":"ES256"}`, c.claims("iss", `"films"`, "sub", `"films"`, "jti", `"id 1"`))); err != nil {
		t.Errorf("the same jti of another client: %v, want nil", err)
	}
}

// TestParallelAssertions: of fifty that come with the same assertion at once, one is let in.
func TestParallelAssertions(t *testing.T) {
	c := newCounter(t, nil)
	text := c.sign()
	var good atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := c.Verify(t.Context(), text); err == nil {
				good.Add(1)
			} else if !errors.Is(err, token.ErrClient) {
				t.Errorf("a copy: %v, want ErrClient", err)
			}
		})
	}
	all.Wait()
	if good.Load() != 1 {
		t.Errorf("%d of 50 copies are let in, want 1", good.Load())
	}
}

// TestAssertionIDsAreApart: no two pairs of a client and an id are one, however they are put together.
func TestAssertionIDsAreApart(t *testing.T) {
	key := must(keyring.Generate(keyring.EdDSA))
	rapid.Check(t, func(r *rapid.T) {
		c := noon()
		a := must(token.NewAssertions(token.AssertionsConfig{Audience: []string{issuer}, Store: memory.Tokens(), Now: c.now, Client: func(_ context.Context, id string) (token.Client, error) {
			return token.Client{ID: id, Keys: []*keyring.Key{key.Public()}}, nil
		}}))
		names := rapid.StringMatching(`[ab]{1,3}`)
		seen := map[[2]string]bool{}
		for range 20 {
			client, id := names.Draw(r, "client"), names.Draw(r, "id")
			_, err := a.Verify(t.Context(), forge(t, key, `{"alg":"EdDSA"}`, fmt.Sprintf(`{"iss":%q,"sub":%q,"aud":%q,"jti":%q,"exp":%d}`, client, client, issuer, id, c.Unix()+60)))
			if (err == nil) == seen[[2]string{client, id}] {
				r.Fatalf("the assertion %q of %q: %v, came before: %v", id, client, err, seen[[2]string{client, id}])
			}
			seen[[2]string{client, id}] = true
		}
	})
}

// TestAssertionsThatCannotBeChecked: where clients, or what has come before, cannot be looked up, nobody is let in, and nobody is blamed.
func TestAssertionsThatCannotBeChecked(t *testing.T) {
	away := errors.New("the database is away")
	broken := &brokenTokens{Store: memory.Tokens(), err: away}
	for what, c := range map[string]*counter{"no clients": newCounter(t, nil), "no store": newCounter(t, func(c *token.AssertionsConfig) { c.Store = broken })} {
		if what == "no clients" {
			c.lookups = away
		}
		if client, err := c.Verify(t.Context(), c.sign()); !errors.Is(err, away) || errors.Is(err, gatehouse.ErrCredential) || client.ID != "" {
			t.Errorf("%s: Verify = %+v, %v, want an error that is nobody's fault", what, client, err)
		}
	}
}

// TestAssertionIsNoToken: what proves a client opens nothing else, although an own ring has its key by mistake.
func TestAssertionIsNoToken(t *testing.T) {
	c := newCounter(t, nil)
	text := c.sign()
	for _, p := range []token.Purpose{access(), {Name: "window", TTL: time.Hour, Delay: time.Minute, Audience: []string{issuer}}} {
		v := verifierOf(t, token.VerifierConfig{Issuer: "reports", Purpose: p, Ring: must(keyring.Static("mistake", c.keys["reports"][0])), Now: c.now})
		got, err := v.Verify(t.Context(), text)
		refused(t, "an assertion where "+p.Name+" is due", got, err, token.ErrPurpose)
	}
}

// TestClientSecrets: a secret is right or not, whichever of several it is, and none is never right.
func TestClientSecrets(t *testing.T) {
	c := token.Client{Secrets: [][sha256.Size]byte{sha256.Sum256([]byte("one")), sha256.Sum256([]byte("two"))}}
	for secret, good := range map[string]bool{"one": true, "two": true, "": false, "three": false, "One": false, "one ": false, "onetwo": false} {
		if err := c.CheckSecret(secret); (err == nil) != good || !good && !errors.Is(err, token.ErrClient) {
			t.Errorf("CheckSecret(%q) = %v, want right: %v", secret, err, good)
		}
	}
	for what, c := range map[string]token.Client{"no secrets": {}, "the hash of nothing": {Secrets: [][sha256.Size]byte{sha256.Sum256(nil)}}, "zeros": {Secrets: make([][sha256.Size]byte, 1)},
		"the same twice": {Secrets: [][sha256.Size]byte{sha256.Sum256([]byte("x")), sha256.Sum256([]byte("x"))}}} {
		if err := c.CheckSecret(""); !errors.Is(err, token.ErrClient) {
			t.Errorf("%s: CheckSecret of nothing = %v, want ErrClient", what, err)
		}
	}
}

// TestAssertionConfigsThatAreNone: without an audience, clients or a store nothing could be refused.
func TestAssertionConfigsThatAreNone(t *testing.T) {
	good := token.AssertionsConfig{Audience: []string{issuer}, Store: memory.Tokens(), Client: func(context.Context, string) (token.Client, error) { return token.Client{}, token.ErrClient }}
	for what, change := range map[string]func(*token.AssertionsConfig){
		"no audience": func(c *token.AssertionsConfig) { c.Audience = nil }, "an empty audience": func(c *token.AssertionsConfig) { c.Audience = []string{issuer, ""} }, "no clients": func(c *token.AssertionsConfig) { c.Client = nil },
		"no store": func(c *token.AssertionsConfig) { c.Store = nil }, "a negative age": func(c *token.AssertionsConfig) { c.MaxAge = -1 },
	} {
		c := good
		change(&c)
		if a, err := token.NewAssertions(c); err == nil {
			t.Errorf("%s: NewAssertions = %v, want an error", what, a)
		}
	}
}
