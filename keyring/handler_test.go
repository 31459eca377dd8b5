package keyring_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

func get(h http.Handler, method string, header ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, "/.well-known/jwks.json", nil)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// published returns the ids of the keys that a handler answers with.
func published(t *testing.T, h http.Handler) []string {
	t.Helper()
	w := get(h, http.MethodGet)
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(w.Body.Bytes(), &set); err != nil || w.Code != http.StatusOK {
		t.Fatalf("GET = %d %s, %v, want a set of JWKs", w.Code, w.Body, err)
	}
	ids := []string{}
	for _, k := range set.Keys {
		if !k.IsPublic() || !k.Valid() || k.Use != "sig" {
			t.Errorf("the key %q is not public, or not for signatures", k.KeyID)
		}
		ids = append(ids, k.KeyID)
	}
	return ids
}

func TestJWKSFollowsTheRing(t *testing.T) {
	clock, store := newClock(), newStore()
	r := newRing(t, store, clock, keyring.Config{Algorithm: keyring.EdDSA, Publish: time.Minute, Lifetime: time.Hour, Leeway: -1})
	h := keyring.JWKS(r)
	want := func(when string, ids ...string) {
		t.Helper()
		if got := strings.Join(published(t, h), " "); got != strings.Join(ids, " ") {
			t.Errorf("%s the keys are %q, want %q", when, got, ids)
		}
	}
	first := signerOf(t, r).ID()
	want("at first", first)
	second := must(r.Rotate(t.Context())).ID
	want("before the next signs", first, second)
	clock.move(time.Minute)
	want("when it signs", second, first)
	clock.move(time.Hour)
	want("when the first is gone", second)
	if err := r.Retire(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	want("after an emergency", signerOf(t, r).ID())
}

func TestJWKSHeaders(t *testing.T) {
	clock := newClock()
	r := newRing(t, newStore(), clock, keyring.Config{Algorithm: keyring.ES256, Publish: time.Minute})
	h := keyring.JWKS(r)
	w := get(h, http.MethodGet)
	for name, want := range map[string]string{"Content-Type": "application/jwk-set+json", "Cache-Control": "public, max-age=30", "X-Content-Type-Options": "nosniff"} {
		if got := w.Header().Get(name); got != want || w.Code != http.StatusOK {
			t.Errorf("GET = %d, %s: %q, want 200, %q", w.Code, name, got, want)
		}
	}
	etag := w.Header().Get("ETag")
	if len(etag) < 10 || etag[0] != '"' {
		t.Errorf("ETag = %q, want a strong one", etag)
	}
	if again := get(h, http.MethodGet, "If-None-Match", etag); again.Code != http.StatusNotModified || again.Body.Len() != 0 || again.Header().Get("Cache-Control") == "" {
		t.Errorf("GET with the ETag = %d %q, want 304 without a body, with Cache-Control", again.Code, again.Body)
	}
	if head := get(h, http.MethodHead); head.Code != http.StatusOK || head.Body.Len() != 0 || head.Header().Get("ETag") != etag || head.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD = %d %q, want 200 without a body, with the length and the ETag", head.Code, head.Body)
	}
	must(r.Rotate(t.Context()))
	if after := get(h, http.MethodGet, "If-None-Match", etag); after.Code != http.StatusOK || after.Header().Get("ETag") == etag {
		t.Errorf("GET with an old ETag after a rotation = %d, want 200 and another ETag", after.Code)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "QUERY", "get"} {
		if w := get(h, method); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s = %d, Allow: %q, want 405, GET, HEAD", method, w.Code, w.Header().Get("Allow"))
		}
	}
	for publish, want := range map[time.Duration]string{time.Second: "no-cache", 2 * time.Second: "public, max-age=1", 10 * time.Minute: "public, max-age=300", 24 * time.Hour: "public, max-age=300"} {
		short := newRing(t, newStore(), clock, keyring.Config{Publish: publish})
		if got := get(keyring.JWKS(r, short), http.MethodGet).Header().Get("Cache-Control"); publish < time.Minute && got != want || publish >= time.Minute && got != "public, max-age=30" {
			t.Errorf("Cache-Control with Publish of a minute and %v = %q, want %q or that of the minute", publish, got, want)
		}
		if got := get(keyring.JWKS(short), http.MethodGet).Header().Get("Cache-Control"); got != want {
			t.Errorf("Cache-Control with Publish of %v = %q, want %q", publish, got, want)
		}
	}
}

// TestJWKSNeverHasSecrets: symmetric keys are not in it, and of others nothing private.
func TestJWKSNeverHasSecrets(t *testing.T) {
	clock := newClock()
	var rings []*keyring.Ring
	for _, algorithm := range []keyring.Algorithm{keyring.HS256, keyring.HS384, keyring.HS512, keyring.A256GCM, keyring.RS256, keyring.PS256, keyring.ES256, keyring.EdDSA} {
		rings = append(rings, newRing(t, newStore(), clock, keyring.Config{Name: string(algorithm), Algorithm: algorithm}))
	}
	h := keyring.JWKS(rings...)
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(get(h, http.MethodGet).Body.Bytes(), &set); err != nil || len(set.Keys) != 4 {
		t.Fatalf("the set has %d keys, %v, want 4", len(set.Keys), err)
	}
	for _, k := range set.Keys {
		for member := range k {
			if !strings.Contains(" alg crv e kid kty n use x y ", " "+member+" ") {
				t.Errorf("a key of the set has the member %q", member)
			}
		}
	}
	if got := published(t, keyring.JWKS(rings[:4]...)); len(got) != 0 {
		t.Errorf("symmetric rings publish %q, want nothing", got)
	}
	if got := published(t, keyring.JWKS(rings[6], rings[6])); len(got) != 1 {
		t.Errorf("one ring twice publishes %d keys, want 1", len(got))
	}
	if got := published(t, keyring.JWKS(must(keyring.Static("static", made()[keyring.ES256], made()[keyring.ES256].WithID("other"))))); len(got) != 2 {
		t.Errorf("a static ring publishes %d keys, want 2", len(got))
	}
	if got := published(t, keyring.JWKS()); len(got) != 0 {
		t.Errorf("no ring publishes %q, want nothing", got)
	}
}

// TestJWKSBeforeTheFirstLoad: an empty set would be kept by others, and refuse all tokens.
func TestJWKSBeforeTheFirstLoad(t *testing.T) {
	clock := newClock()
	loaded := newRing(t, newStore(), clock, keyring.Config{})
	r := ringOf(t, newStore(), clock, keyring.Config{})
	for _, h := range []http.Handler{keyring.JWKS(r), keyring.JWKS(loaded, r)} {
		w := get(h, http.MethodGet)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Header().Get("Cache-Control") != "no-store" || strings.Contains(w.Body.String(), "keys\"") {
			t.Errorf("GET before Load = %d %q %v, want 503, Retry-After, no-store", w.Code, w.Body, w.Header())
		}
	}
}
