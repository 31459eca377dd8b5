package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"pgregory.net/rapid"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/token"
)

// A twin is one key as we have it and as go-jose has it.
type twin struct {
	algorithm keyring.Algorithm
	ours      *keyring.Key
	private   any // what go-jose signs with
	public    any // and verifies with
	pem       string
}

// twins has a key for every algorithm.
var twins = sync.OnceValue(func() map[keyring.Algorithm]twin {
	made := map[keyring.Algorithm]twin{}
	for a, size := range map[keyring.Algorithm]int{keyring.HS256: 32, keyring.HS384: 48, keyring.HS512: 64} {
		secret := make([]byte, size)
		rand.Read(secret)
		made[a] = twin{a, must(keyring.Secret(a, "hex:"+hex.EncodeToString(secret), false)), secret, secret, ""}
	}
	weak := must(rsa.GenerateKey(rand.Reader, 2048))
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	for a, private := range map[keyring.Algorithm]crypto.Signer{keyring.RS256: weak, keyring.PS256: weak, keyring.ES256: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), keyring.EdDSA: ed} {
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(private))})
		public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(private.Public()))})
		made[a] = twin{a, must(keyring.ParsePEM(a, text)), private, private.Public(), string(public)}
	}
	return made
})

// signing are the algorithms that sign.
var signing = []keyring.Algorithm{keyring.HS256, keyring.HS384, keyring.HS512, keyring.RS256, keyring.PS256, keyring.ES256, keyring.EdDSA}

// theirs verifies text with go-jose, as a compact JWS of this key's algorithm.
func (k twin) theirs(text string) (string, error) {
	parsed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(k.algorithm)})
	if err != nil {
		return "", err
	}
	payload, err := parsed.Verify(k.public)
	return string(payload), err
}

// sign signs with go-jose.
func (k twin) sign(payload string) (string, error) {
	options := (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", k.ours.ID())
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(k.algorithm), Key: k.private}, options)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign([]byte(payload))
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// TestOracleSigns: what go-jose signs we verify, and what we sign it does, with every algorithm.
func TestOracleSigns(t *testing.T) {
	for _, a := range signing {
		k := twins()[a]
		ring := must(keyring.Static("access", k.ours))
		m := minterOf(t, token.MinterConfig{Purpose: access(), Ring: ring})
		rapid.Check(t, func(r *rapid.T) {
			payload := rapid.StringN(1, -1, 2000).Draw(r, "payload")
			text := must(k.sign(payload))
			if got, err := token.VerifyJWS(text, k.ours); err != nil || got != payload {
				r.Fatalf("%s: we say of what go-jose has signed: %q, %v, want %q", a, got, err, payload)
			}
			minted, err := m.Mint(t.Context(), token.Claims{Subject: rapid.StringN(1, 100, -1).Draw(r, "subject"), Roles: rapid.SliceOf(rapid.String()).Draw(r, "roles")})
			if err != nil {
				r.Skip(err)
			}
			if _, err := k.theirs(minted.Text.Reveal()); err != nil {
				r.Fatalf("%s: go-jose says of what we have signed: %v", a, err)
			}
		})
	}
}

// TestOracleOfChangedTokens: whatever happens to a token, we never take what go-jose refuses, nor read another payload.
func TestOracleOfChangedTokens(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		k := twins()[rapid.SampledFrom(signing).Draw(r, "algorithm")]
		text := must(k.sign(`{"sub":"jack"}`))
		text = changed(r, text)
		ours, err := token.VerifyJWS(text, k.ours)
		theirs, refused := k.theirs(text)
		if err == nil && (refused != nil || ours != theirs) {
			r.Fatalf("we take %q as %q, and go-jose says %q, %v", text, ours, theirs, refused)
		}
	})
}

// changed changes a token in a way that somebody could try.
func changed(r *rapid.T, text string) string {
	parts := strings.Split(text, ".")
	switch rapid.IntRange(0, 6).Draw(r, "change") {
	case 0:
		i := rapid.IntRange(0, len(text)-1).Draw(r, "at")
		return text[:i] + string(rapid.Byte().Draw(r, "byte")) + text[i+1:]
	case 1:
		return text[:rapid.IntRange(0, len(text)).Draw(r, "length")]
	case 2:
		i := rapid.IntRange(0, len(text)).Draw(r, "at")
		return text[:i] + rapid.StringN(1, 4, -1).Draw(r, "text") + text[i:]
	case 3:
		head := rapid.SampledFrom([]string{`{"alg":"none"}`, `{"alg":"HS256"}`, `{"alg":"RS256"}`, `{"alg":"ES256","alg":"none"}`, `{"alg":"EdDSA","crit":["x"]}`, `{}`}).Draw(r, "header")
		return b64.EncodeToString([]byte(head)) + "." + parts[1] + "." + parts[2]
	case 4:
		return strings.Join([]string{parts[0], rapid.SampledFrom(parts).Draw(r, "payload"), rapid.SampledFrom(parts).Draw(r, "signature")}, ".")
	case 5:
		signature := must(b64.DecodeString(parts[2]))
		return parts[0] + "." + parts[1] + "." + b64.EncodeToString(append(signature, rapid.SliceOfN(rapid.Byte(), 1, 8).Draw(r, "more")...))
	}
	return text + strings.Repeat(rapid.SampledFrom([]string{"A", "=", ".", " ", "\n"}).Draw(r, "end"), rapid.IntRange(1, 4).Draw(r, "times"))
}
