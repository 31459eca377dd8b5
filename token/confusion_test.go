package token_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// everywhere returns all that verifies signatures, each with the key, and the claims that are good there.
func everywhere(t *testing.T, k twin, c *clock) map[string]struct {
	takes   func(string) error
	payload string
} {
	t.Helper()
	type place = struct {
		takes   func(string) error
		payload string
	}
	verify := func(v *token.Verifier) func(string) error {
		return func(text string) error { _, err := v.Verify(t.Context(), text); return err }
	}
	exp := c.Unix() + 60
	ring := must(keyring.Static("access", k.ours))
	foreign := token.ForeignConfig{Algorithms: []keyring.Algorithm{k.algorithm}, Keys: ring, Revocations: revoke.None, Now: c.now}
	s := &smith{TB: t, clock: c}
	places := map[string]place{
		"own":     {verify(verifierOf(t, token.VerifierConfig{Purpose: access(), Ring: ring, Now: c.now})), s.payload()},
		"foreign": {verify(must(token.NewForeign(foreign))), fmt.Sprintf(`{"sub":"jack","exp":%d}`, exp)},
	}
	if k.algorithm.Symmetric() {
		return places
	}
	foreign.Keys, foreign.JWKSURL, foreign.Logger = nil, "https://issuer.example/keys", slog.New(slog.DiscardHandler)
	foreign.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.URL.String() != foreign.JWKSURL {
			t.Errorf("%s is fetched, want the configured URL alone", r.URL)
		}
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(string(must(k.ours.Public().JWK()))))}, nil
	})
	places["fetched"] = place{verify(must(token.NewForeign(foreign))), fmt.Sprintf(`{"sub":"jack","exp":%d}`, exp)}
	a := must(token.NewAssertions(token.AssertionsConfig{Audience: []string{issuer}, Store: memory.Tokens(), Now: c.now, Client: func(_ context.Context, id string) (token.Client, error) {
		return token.Client{ID: id, Keys: []*keyring.Key{k.ours.Public()}}, nil
	}}))
	places["assertion"] = place{func(text string) error { _, err := a.Verify(t.Context(), text); return err },
		fmt.Sprintf(`{"iss":"reports","sub":"reports","aud":%q,"jti":"1","exp":%d}`, issuer, exp)}
	return places
}

// headOf is a header with any algorithm and the key's id.
func headOf(alg string, k twin, typ string) string {
	if typ != "" {
		typ = fmt.Sprintf(`,"typ":%q`, typ)
	}
	return fmt.Sprintf(`{"alg":%s,"kid":%q%s}`, must(json.Marshal(alg)), k.ours.ID(), typ)
}

// algorithms are those that a token may name, registered or not.
var algorithms = []string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES256K", "ES384", "ES512", "EdDSA", "Ed25519", "ML-DSA-44", "RSA-OAEP", "dir", "A256GCM", "A256KW", "PBES2-HS256+A128KW",
	"none", "None", "NONE", "nOnE", "none ", " none", "non\u0435", "none\x00", "null", "undefined", "0", "hs256", "Hs256", "HS256 ", "HS-256", "HMAC", "SHA256", "RS1", "es256", "eddsa", "unknown", "*", "any", "[]"}

// TestAlgorithmIsTheKeys: whatever algorithm a token names, it passes only with that of its key, everywhere, although the signature is good.
func TestAlgorithmIsTheKeys(t *testing.T) {
	c := noon()
	for _, a := range signing {
		k := twins()[a]
		for where, place := range everywhere(t, k, c) {
			typ := map[string]string{"own": "at+jwt"}[where]
			for _, alg := range algorithms {
				err := place.takes(forge(t, k.ours, headOf(alg, k, typ), place.payload))
				if alg == string(a) {
					if err != nil {
						t.Errorf("%s, %s: %v, want nil", where, a, err)
					}
				} else if !errors.Is(err, gatehouse.ErrCredential) {
					t.Errorf("%s, a key for %s and a token that says %q: %v, want an error that wraps ErrCredential", where, a, alg, err)
				}
			}
		}
	}
}

// TestNoneIsRefused: a token that nobody has signed is none, with any spelling of "none", whatever stands where the signature belongs.
func TestNoneIsRefused(t *testing.T) {
	c := noon()
	for _, a := range signing {
		k := twins()[a]
		for where, place := range everywhere(t, k, c) {
			typ := map[string]string{"own": "at+jwt"}[where]
			good := strings.Split(forge(t, k.ours, headOf(string(a), k, typ), place.payload), ".")
			for _, alg := range []string{"none", "None", "NONE", "nOnE", "NoNe", string(a), ""} {
				for _, kid := range []bool{true, false} {
					head := headOf(alg, k, typ)
					if !kid {
						head = strings.Replace(head, fmt.Sprintf(`"kid":%q`, k.ours.ID()), `"x":1`, 1)
					}
					for _, signature := range []string{"", "AA", "AAAA", good[2]} {
						if alg == string(a) && signature == good[2] {
							continue
						}
						text := b64.EncodeToString([]byte(head)) + "." + good[1] + "." + signature
						if err := place.takes(text); !errors.Is(err, gatehouse.ErrCredential) {
							t.Errorf("%s, %s: a token of the algorithm %q with the signature %.8q: %v, want an error that wraps ErrCredential", where, a, alg, signature, err)
						}
					}
				}
			}
		}
	}
}

// TestPublicKeyIsNoSecret: who signs with an HMAC, and with the public key as its secret, in whatever spelling, is refused everywhere.
func TestPublicKeyIsNoSecret(t *testing.T) {
	c := noon()
	macs := map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}
	for _, a := range signing {
		k := twins()[a]
		if a.Symmetric() {
			continue
		}
		for where, place := range everywhere(t, k, c) {
			typ := map[string]string{"own": "at+jwt"}[where]
			for what, secret := range spellings(t, k) {
				for alg, mac := range macs {
					text := b64.EncodeToString([]byte(headOf(alg, k, typ))) + "." + b64.EncodeToString([]byte(place.payload))
					h := hmac.New(mac, secret)
					h.Write([]byte(text))
					if err := place.takes(text + "." + b64.EncodeToString(h.Sum(nil))); !errors.Is(err, gatehouse.ErrCredential) {
						t.Errorf("%s, %s: signed by %s with %s: %v, want an error that wraps ErrCredential", where, a, alg, what, err)
					}
				}
			}
		}
	}
}

// spellings are what somebody could take for the secret who knows the public key.
func spellings(t *testing.T, k twin) map[string][]byte {
	t.Helper()
	block, _ := pem.Decode([]byte(k.pem))
	jwk := must(k.ours.Public().JWK())
	all := map[string][]byte{
		"nothing": {}, "PEM": []byte(k.pem), "PEM without its last line end": []byte(strings.TrimSpace(k.pem)), "PEM with CRLF": []byte(strings.ReplaceAll(k.pem, "\n", "\r\n")), "PEM in one line": []byte(strings.ReplaceAll(k.pem, "\n", "")),
		"PEM with a space in front": []byte(" " + k.pem), "DER": block.Bytes, "base64 of DER": []byte(base64.StdEncoding.EncodeToString(block.Bytes)), "hex of DER": []byte(hex.EncodeToString(block.Bytes)),
		"JWK": jwk, "a set of JWKs": []byte(`{"keys":[` + string(jwk) + `]}`), "base64 of JWK": []byte(base64.StdEncoding.EncodeToString(jwk)), "the kid": []byte(k.ours.ID()),
	}
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		all["the modulus"] = public.N.Bytes()
	case *ecdsa.PublicKey:
		point := must(public.Bytes())
		all["the point"], all["x"], all["x and y"] = point, point[1:33], point[1:]
	case ed25519.PublicKey:
		all["the 32 bytes"] = public
	}
	return all
}

// TestSignaturesThatAreNone: zeros, the group's order, other encodings, cut and lengthened ones, those of other tokens: none of them is a signature.
func TestSignaturesThatAreNone(t *testing.T) {
	c := noon()
	n := ecdsaOrder(t)
	pad := func(number *big.Int) []byte { return number.FillBytes(make([]byte, 32)) }
	for _, a := range signing {
		k := twins()[a]
		for where, place := range everywhere(t, k, c) {
			head := headOf(string(a), k, map[string]string{"own": "at+jwt"}[where])
			good := forge(t, k.ours, head, place.payload)
			unsigned := good[:strings.LastIndexByte(good, '.')+1]
			signature := must(b64.DecodeString(good[len(unsigned):]))
			bad := map[string][]byte{
				"all zeros": make([]byte, len(signature)), "all ones": bytes.Repeat([]byte{0xff}, len(signature)), "one byte": {0}, "without the last byte": signature[:len(signature)-1], "without the first byte": signature[1:],
				"the first half": signature[:len(signature)/2], "a zero behind": append(bytes.Clone(signature), 0), "a zero in front": append([]byte{0}, signature...), "twice": append(bytes.Clone(signature), signature...),
				"of another payload": must(k.ours.Sign(nil, []byte("another"))), "of nothing": must(k.ours.Sign(nil, nil)), "of the payload alone": must(k.ours.Sign(nil, []byte(place.payload))), "a megabit": make([]byte, 5000),
			}
			if a == keyring.ES256 {
				r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
				zero, one, last := new(big.Int), big.NewInt(1), new(big.Int).Sub(n, big.NewInt(1))
				for _, x := range []*big.Int{zero, one, last, n} {
					for _, y := range []*big.Int{zero, one, last, n} {
						bad[fmt.Sprintf("r=%x s=%x", x, y)] = append(pad(x), pad(y)...)
					}
					bad[fmt.Sprintf("r=%x and its s", x)], bad[fmt.Sprintf("its r and s=%x", x)] = append(pad(x), pad(s)...), append(pad(r), pad(x)...)
				}
				bad["DER"] = must(asn1.Marshal(struct{ R, S *big.Int }{r, s}))
			}
			if a == keyring.RS256 || a == keyring.PS256 {
				for _, x := range []int64{1, 2} {
					bad[fmt.Sprintf("the number %d", x)] = big.NewInt(x).FillBytes(make([]byte, len(signature)))
				}
				other := twins()[map[keyring.Algorithm]keyring.Algorithm{keyring.RS256: keyring.PS256, keyring.PS256: keyring.RS256}[a]]
				bad["with the other padding"] = must(other.ours.Sign(nil, []byte(unsigned[:len(unsigned)-1])))
			}
			for what, signature := range bad {
				if err := place.takes(unsigned + b64.EncodeToString(signature)); !errors.Is(err, gatehouse.ErrCredential) {
					t.Errorf("%s, %s: the signature is %s: %v, want an error that wraps ErrCredential", where, a, what, err)
				}
			}
			if err := place.takes(good); err != nil {
				t.Errorf("%s, %s: the good signature: %v, want nil", where, a, err)
			}
		}
	}
}

func ecdsaOrder(t *testing.T) *big.Int {
	t.Helper()
	return twins()[keyring.ES256].public.(*ecdsa.PublicKey).Curve.Params().N
}

// TestTokensBringNoKeys: a key within the header, or where to fetch one, is not used, and fetched from nowhere.
func TestTokensBringNoKeys(t *testing.T) {
	c := noon()
	mine := must(keyring.Generate(keyring.ES256)) // the attacker's
	for _, a := range signing {
		k := twins()[a]
		for where, place := range everywhere(t, k, c) {
			for what, member := range map[string]string{
				"jwk": `"jwk":` + string(must(mine.Public().JWK())), "jku": `"jku":"https://evil.example/keys"`, "x5u": `"x5u":"https://evil.example/cert"`, "x5c": `"x5c":["MIIB"]`, "x5t": `"x5t":"AAAA"`,
				"a kid that is a URL": `"x":1`,
			} {
				kid := k.ours.ID()
				if strings.HasPrefix(what, "a kid") {
					kid = "https://evil.example/keys#1"
				}
				head := fmt.Sprintf(`{"alg":"ES256","typ":%q,"kid":%q,%s}`, map[bool]string{true: "at+jwt", false: "JWT"}[where == "own"], kid, member)
				if err := place.takes(forge(t, mine, head, place.payload)); !errors.Is(err, gatehouse.ErrCredential) {
					t.Errorf("%s, %s: %s of somebody else: %v, want an error that wraps ErrCredential", where, a, what, err)
				}
			}
		}
	}
}
