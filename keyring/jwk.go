package keyring

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
)

// A jwk is a public key of RFC 7517. The members are in the order of their names.
type jwk struct {
	Alg string `json:"alg,omitempty"`
	Crv string `json:"crv,omitempty"`
	E   string `json:"e,omitempty"`
	Kid string `json:"kid,omitempty"`
	Kty string `json:"kty"`
	N   string `json:"n,omitempty"`
	Use string `json:"use,omitempty"`
	X   string `json:"x,omitempty"`
	Y   string `json:"y,omitempty"`
}

// required returns the members that make the key what it is: those that a thumbprint is taken of.
func (k *Key) required() (jwk, error) {
	b64 := base64.RawURLEncoding.EncodeToString
	switch public := k.m().public.(type) {
	case *rsa.PublicKey:
		return jwk{Kty: "RSA", N: b64(public.N.Bytes()), E: b64(big.NewInt(int64(public.E)).Bytes())}, nil
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			return jwk{}, fmt.Errorf("%w: %w", ErrForm, err)
		}
		return jwk{Kty: "EC", Crv: "P-256", X: b64(point[1 : 1+ecHalf]), Y: b64(point[1+ecHalf:])}, nil
	case ed25519.PublicKey:
		return jwk{Kty: "OKP", Crv: "Ed25519", X: b64(public)}, nil
	}
	return jwk{}, fmt.Errorf("%w: the key %q has no public part", ErrForm, k.id)
}

// JWK returns the public key as the JSON of RFC 7517, never more. It fails for a symmetric key.
func (k *Key) JWK() ([]byte, error) {
	j, err := k.required()
	if err != nil {
		return nil, err
	}
	j.Alg, j.Kid, j.Use = string(k.algorithm), k.id, "sig"
	return json.Marshal(j)
}

// thumbprint returns the thumbprint of RFC 7638: the hash of the required members, ordered by name, in base64url.
func (k *Key) thumbprint() string {
	j, err := k.required()
	if err != nil {
		return ""
	}
	text, err := json.Marshal(j)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
