package api_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/api"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

const keysPath = "/.well-known/jwks.json"

// published returns the kids of the public keys.
func (d *desk) published() map[string]bool {
	d.Helper()
	got := d.get(keysPath)
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal([]byte(got.body), &set); err != nil || got.status != 200 {
		d.Fatalf("GET %s = %d %s, %v, want 200 and JSON", keysPath, got.status, got.body, err)
	}
	kids := map[string]bool{}
	for _, key := range set.Keys {
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			if key[private] != nil {
				d.Errorf("a published key has the private member %s", private)
			}
		}
		kid, _ := key["kid"].(string)
		kids[kid] = true
	}
	return kids
}

// TestPublicKeys: everybody may read the keys, keep them for a while, and ask whether they have changed.
func TestPublicKeys(t *testing.T) {
	d := newDesk(t, setting{})
	got := d.get(keysPath)
	if got.status != 200 || got.header.Get("Content-Type") != "application/jwk-set+json" || got.header.Get("Cache-Control") != "public, max-age=300" || got.header.Get("Etag") == "" {
		t.Errorf("GET %s = %d %v, want 200 with headers for caches", keysPath, got.status, got.header)
	}
	if !d.published()[d.ring.All()[0].ID()] || len(d.published()) != 1 {
		t.Errorf("the keys are %s, want the one that signs", got.body)
	}
	if again := d.get(keysPath, "If-None-Match", got.header.Get("Etag")); again.status != 304 || again.body != "" {
		t.Errorf("the same again = %d %s, want 304", again.status, again.body)
	}
	if head := d.send(d.request("HEAD", keysPath)); head.status != 200 || head.body != "" || head.header.Get("Etag") != got.header.Get("Etag") {
		t.Errorf("HEAD = %d %v, want 200 as GET", head.status, head.header)
	}
	for _, header := range []string{"Bearer x.y.z", encoded("ghost", "x")} { // a caller that is nobody is everybody
		if got := d.get(keysPath, "Authorization", header); got.status != 200 {
			t.Errorf("GET with %.6q = %d, want 200", header, got.status)
		}
	}
	set := must[[]*keyring.Key](t)(keyring.ParseJWKS([]byte(got.body)))
	if len(set) != 1 || set[0].CanSign() {
		t.Errorf("the set has %d keys, want one that cannot sign", len(set))
	}
	d.load(d.ring.Load(t.Context()))
	if info, err := d.ring.Rotate(t.Context()); err != nil || !d.published()[info.ID] {
		t.Errorf("after a rotation, %v, the next key is not published", err)
	}
	if changed := d.get(keysPath, "If-None-Match", got.header.Get("Etag")); changed.status != 200 {
		t.Errorf("the keys after a rotation = %d, want 200: they have changed", changed.status)
	}
}

// TestAKeyIsPublishedBeforeItSigns, and as long as what it has signed counts; one that was withdrawn is gone at once.
func TestAKeyIsPublishedBeforeItSigns(t *testing.T) {
	d := newDesk(t, setting{})
	signer := func() string {
		c, err := d.verifier.Verify(t.Context(), d.token("reports"))
		d.load(err)
		return c.Key
	}
	first := signer()
	info := must[keyring.Info](t)(d.ring.Rotate(t.Context()))
	if signer() != first || !d.published()[info.ID] {
		t.Error("the next key signs at once, or is not published")
	}
	d.later(keyring.DefaultPublish)
	if signer() != info.ID || !d.published()[first] {
		t.Error("the next key does not sign after ten minutes, or the one before it is not published any more")
	}
	d.later(2 * time.Hour)
	if d.published()[first] {
		t.Error("a key is published although nothing that it has signed can count")
	}
	text := d.token("reports")
	d.load(d.ring.Retire(t.Context(), info.ID))
	if d.published()[info.ID] || d.counts(text) {
		t.Error("a key that was withdrawn is published, or what it has signed counts")
	}
	if next := signer(); next == info.ID || !d.published()[next] {
		t.Errorf("after a key was withdrawn, %q signs, want a new one that is published", next)
	}
}

// TestSecretKeysAreNotPublished: of rings with secrets there is nothing to see, not even that they are there.
func TestSecretKeysAreNotPublished(t *testing.T) {
	secret := must[*keyring.Key](t)(keyring.Generate(keyring.HS256))
	sealing := must[*keyring.Key](t)(keyring.Generate(keyring.A256GCM))
	public := must[*keyring.Key](t)(keyring.Generate(keyring.EdDSA))
	d := newDesk(t, setting{oauth: func(c *api.OAuthConfig) {
		for name, key := range map[string]*keyring.Key{"refresh": secret, "cookies": sealing, "other": public} {
			c.Rings = append(c.Rings, must[*keyring.Ring](t)(keyring.Static(name, key)))
		}
	}})
	if kids := d.published(); kids[secret.ID()] || kids[sealing.ID()] || !kids[public.ID()] || len(kids) != 2 {
		t.Errorf("the published keys are %v, want the two that have public halves", kids)
	}
	only := newDesk(t, setting{oauth: func(c *api.OAuthConfig) {
		c.Rings = []*keyring.Ring{must[*keyring.Ring](t)(keyring.Static("refresh", secret))}
	}})
	if got := only.get(keysPath); got.status != 200 || strings.TrimSpace(got.body) != `{"keys":[]}` {
		t.Errorf("the keys of a ring of secrets = %d %s, want none", got.status, got.body)
	}
}

// TestKeysThatAreNotKnown: a set that lacks a ring's keys would make others refuse good tokens.
func TestKeysThatAreNotKnown(t *testing.T) {
	d := newDesk(t, setting{oauth: func(c *api.OAuthConfig) { c.Rings = append(c.Rings, unloaded(t)) }})
	if got := d.get(keysPath); !got.is(503, "temporarily_unavailable") || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("GET %s = %d %s, want 503 that nobody keeps", keysPath, got.status, got.body)
	}
}

// TestOthersVerifyWithThePublishedKeys: what another program reads there is enough for it.
func TestOthersVerifyWithThePublishedKeys(t *testing.T) {
	d := newDesk(t, setting{})
	text := d.token("reports")
	keys := must[[]*keyring.Key](t)(keyring.ParseJWKS([]byte(d.get(keysPath).body)))
	ring := must[*keyring.Ring](t)(keyring.Static("access", keys...))
	v := must[*token.Verifier](t)(token.NewVerifier(token.VerifierConfig{Issuer: issuer, Purpose: d.verifier.Purpose(), Ring: ring, Store: memory.Tokens(), Revocations: d.list, Now: d.Now}))
	if c, err := v.Verify(t.Context(), text); err != nil || c.Subject != "reports" {
		t.Errorf("another program verifies %+v, %v, want the client's token", c, err)
	}
}

// TestThereIsNoKeyServer: keys are not asked for by a name, which could be a path; what is registered counts, and what is published is one set for everybody.
func TestThereIsNoKeyServer(t *testing.T) {
	d := newDesk(t, setting{})
	person := "Bearer " + d.start("").Access.Text.Reveal()
	for _, target := range []string{"/getkey", "/getkey?identity=worker", "/getkey?identity=../keys_test.go", "/.well-known/worker.jwks", "/.well-known/", "/.well-known/jwks.json/worker"} {
		if got := d.get(target); got.status != 401 || strings.Contains(got.body, "worker") {
			t.Errorf("GET %s as nobody = %d %s, want 401", target, got.status, got.body)
		}
		if got := d.get(target, "Authorization", person); got.status != 404 || got.member("code") != "not_found" || strings.Contains(got.body, "no such file") {
			t.Errorf("GET %s as somebody = %d %s, want 404 not_found", target, got.status, got.body)
		}
	}
	for _, target := range []string{"/.well-known/../jwks.json", "/.well-known/..%2f..%2fetc/passwd", "/.well-known//jwks.json"} {
		r := d.request("GET", "/")
		r.URL.Path, r.URL.RawPath, r.RequestURI = strings.ReplaceAll(target, "%2f", "/"), target, target
		if got := d.send(r); got.status != 400 || got.member("code") != "bad_target" {
			t.Errorf("GET %s = %d %s, want 400 bad_target", target, got.status, got.body)
		}
	}
	if all, one := d.get(keysPath), d.get(keysPath+"?identity=../x&kid=x"); one.status != 200 || one.body != all.body {
		t.Errorf("GET %s with a query = %d %s, want what everybody gets", keysPath, one.status, one.body)
	}
}
