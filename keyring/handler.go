package keyring

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// maxCache is how long at most others may keep a set of public keys: a key that was retired in an emergency should be gone from theirs soon.
const maxCache = 5 * time.Minute

// JWKS returns a handler that answers with the public keys of the rings as the set of RFC 7517: those that sign, those that will, and those that did and still verify. Symmetric keys
// are never in it. Others may keep the answer for half the time that a new key is public before it signs, at most 5 minutes; it has an ETag. It answers GET and HEAD, anything else with 405, and 503 if one of the rings was
// never loaded.
func JWKS(rings ...*Ring) http.Handler {
	age := maxCache
	for _, r := range rings {
		age = min(age, r.c.Publish/2)
	}
	cache := "no-cache"
	if age >= time.Second {
		cache = "public, max-age=" + strconv.Itoa(int(age/time.Second))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the public keys are read with GET", http.StatusMethodNotAllowed)
			return
		}
		body, err := publicSet(rings)
		if err != nil {
			w.Header().Set("Retry-After", "1")
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, "the public keys are not known yet", http.StatusServiceUnavailable)
			return
		}
		sum := sha256.Sum256(body)
		h := w.Header()
		h.Set("Content-Type", "application/jwk-set+json")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", cache)
		h.Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum[:12])+`"`)
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(body)) // knows If-None-Match, HEAD and ranges
	})
}

// publicSet returns the public keys of the rings as JSON. A key that is in two of them is there once.
func publicSet(rings []*Ring) ([]byte, error) {
	body, seen := []byte(`{"keys":[`), map[string]bool{}
	for _, r := range rings {
		keys := r.All()
		if len(keys) == 0 {
			return nil, r.notLoaded()
		}
		for _, k := range keys {
			if k.algorithm.Symmetric() {
				continue
			}
			text, err := k.JWK()
			if err != nil {
				return nil, fmt.Errorf("the public key %q: %w", k.id, err)
			}
			if seen[string(text)] {
				continue
			}
			seen[string(text)] = true
			if len(seen) > 1 {
				body = append(body, ',')
			}
			body = append(body, text...)
		}
	}
	return append(body, "]}"...), nil
}
