package keyring

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json" // unlike the standard library's it refuses duplicate members, and tells upper case from lower
)

// What texts from outside may have at most.
const (
	maxText = 1 << 20
	maxKeys = 500
	maxID   = 255
)

// ParsePEM reads one key from PEM: a private key as PKCS #8, PKCS #1 or SEC 1, or a public key as PKIX, PKCS #1 or within a certificate, whose validity does not
// matter. If algorithm is "" it follows from the key: RS256, ES256 or EdDSA. The id is the thumbprint of RFC 7638. The error wraps [ErrForm] or [ErrWeak].
func ParsePEM(algorithm Algorithm, text []byte) (*Key, error) {
	block, err := onlyBlock(text)
	if err != nil {
		return nil, err
	}
	public, private, err := parseBlock(block)
	if err != nil {
		return nil, err
	}
	if algorithm == "" {
		algorithm = usual(public)
	}
	return asymmetric("", algorithm, public, private)
}

// onlyBlock returns the one block of PEM that text has, not counting the parameters of curves that OpenSSL puts in front.
func onlyBlock(text []byte) (*pem.Block, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("%w: %d bytes are too many", ErrForm, len(text))
	}
	var found *pem.Block
	for rest := bytes.TrimPrefix(text, []byte("\ufeff")); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "EC PARAMETERS" {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%w: there is more than one block of PEM: give one key at a time", ErrForm)
		}
		found = block
	}
	if found == nil {
		return nil, fmt.Errorf("%w: there is no PEM in it, which begins with -----BEGIN", ErrForm)
	}
	return found, nil
}

func parseBlock(block *pem.Block) (crypto.PublicKey, crypto.Signer, error) {
	switch block.Type {
	case "PRIVATE KEY":
		return private(x509.ParsePKCS8PrivateKey(block.Bytes))
	case "RSA PRIVATE KEY", "EC PRIVATE KEY":
		if block.Headers["DEK-Info"] != "" {
			return nil, nil, fmt.Errorf("%w: the key is encrypted: decrypt it with `openssl pkey` first", ErrForm)
		}
		if block.Type == "EC PRIVATE KEY" {
			return private(anyKey(x509.ParseECPrivateKey(block.Bytes)))
		}
		return private(anyKey(x509.ParsePKCS1PrivateKey(block.Bytes)))
	case "PUBLIC KEY":
		return public(x509.ParsePKIXPublicKey(block.Bytes))
	case "RSA PUBLIC KEY":
		return public(anyKey(x509.ParsePKCS1PublicKey(block.Bytes)))
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return public(nil, err)
		}
		return public(cert.PublicKey, nil)
	case "ENCRYPTED PRIVATE KEY":
		return nil, nil, fmt.Errorf("%w: the key is encrypted: decrypt it with `openssl pkey` first", ErrForm)
	}
	return nil, nil, fmt.Errorf("%w: PEM of the type %.40q is not taken: convert it with `openssl pkey`", ErrForm, block.Type)
}

// anyKey hides the type of what a parser returns.
func anyKey[K any](key K, err error) (any, error) { return key, err }

func private(parsed any, err error) (crypto.PublicKey, crypto.Signer, error) {
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, nil, fmt.Errorf("%w: a %T does not sign", ErrForm, parsed)
	}
	return signer.Public(), signer, nil
}

func public(parsed any, err error) (crypto.PublicKey, crypto.Signer, error) {
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	return parsed, nil, nil
}

// usual returns the algorithm that a key is for where nothing else is said.
func usual(public crypto.PublicKey) Algorithm {
	switch public.(type) {
	case *rsa.PublicKey:
		return RS256
	case *ecdsa.PublicKey:
		return ES256
	case ed25519.PublicKey:
		return EdDSA
	}
	return "unknown"
}

// ParseJWKS reads the public keys that somebody else has published: a set of JWKs or one JWK, of a megabyte and 500 keys at most. Each key gets the algorithm that it names,
// or the usual one of its type: RS256, ES256 or EdDSA. Keys for encryption, and of types and algorithms that are not known here, are left out. The whole set is refused, with an error that
// wraps [ErrForm], if it holds a private or symmetric key, two keys of one id, or two equal members; a weak key is refused with [ErrWeak]. A key without an id gets its thumbprint as id.
func ParseJWKS(text []byte) ([]*Key, error) { return parseJWKS(text, false) }

// ParseOwnJWKS is [ParseJWKS] for a set that is our own and secret: its keys may be private or symmetric. A set with both symmetric keys and others is refused.
func ParseOwnJWKS(text []byte) ([]*Key, error) { return parseJWKS(text, true) }

func parseJWKS(text []byte, own bool) ([]*Key, error) {
	texts, err := splitJWKS(text)
	if err != nil {
		return nil, err
	}
	var keys []*Key
	ids := map[string]bool{}
	symmetric := 0
	for i, text := range texts {
		k, err := parseJWK(text, own)
		if err != nil {
			return nil, fmt.Errorf("key %d of the set: %w", i+1, err)
		}
		if k == nil {
			continue
		}
		if ids[k.id] {
			return nil, fmt.Errorf("%w: two keys of the set have the id %.60q", ErrForm, k.id)
		}
		ids[k.id] = true
		if k.algorithm.Symmetric() {
			symmetric++
		}
		keys = append(keys, k)
	}
	if symmetric != 0 && symmetric != len(keys) {
		return nil, fmt.Errorf("%w: a set has either symmetric keys or others, never both", ErrForm)
	}
	return keys, nil
}

// splitJWKS returns the keys of a set, or the one key that text is.
func splitJWKS(text []byte) ([]json.RawMessage, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("%w: %d bytes are too many for a set of keys", ErrForm, len(text))
	}
	var set struct {
		Kty  string            `json:"kty"`
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("%w: no set of JWKs: %w", ErrForm, err)
	}
	switch {
	case set.Kty != "" && set.Keys != nil:
		return nil, fmt.Errorf("%w: both a JWK and a set of them", ErrForm)
	case set.Kty != "":
		return []json.RawMessage{text}, nil
	case set.Keys == nil:
		return nil, fmt.Errorf("%w: no set of JWKs: the member keys is missing", ErrForm)
	case len(set.Keys) > maxKeys:
		return nil, fmt.Errorf("%w: %d keys are too many for a set", ErrForm, len(set.Keys))
	}
	return set.Keys, nil
}

// jwkHead is what decides what is done with a JWK before its key is looked at.
type jwkHead struct {
	Kty  string   `json:"kty"`
	Use  string   `json:"use"`
	Ops  []string `json:"key_ops"`
	Alg  string   `json:"alg"`
	Crv  string   `json:"crv"`
	Kid  string   `json:"kid"`
	D    *string  `json:"d"`
	K    *string  `json:"k"`
	Priv *string  `json:"priv"`
}

// signs reports whether the key says that it is for signatures, or does not say.
func (h jwkHead) signs() bool {
	if h.Use != "" && h.Use != "sig" {
		return false
	}
	for _, op := range h.Ops {
		if op == "sign" || op == "verify" {
			return true
		}
	}
	return len(h.Ops) == 0
}

// algorithm returns the algorithm that the key is for, or "" if it is none of ours. What does not fit the type of the key is found later.
func (h jwkHead) algorithm() Algorithm {
	switch {
	case h.Alg == "Ed25519": // RFC 9864's name
		return EdDSA
	case h.Alg != "":
		if Algorithm(h.Alg).Valid() != nil || h.Alg == string(A256GCM) {
			return ""
		}
		return Algorithm(h.Alg)
	case h.Kty == "RSA":
		return RS256
	case h.Kty == "EC" && h.Crv == "P-256":
		return ES256
	case h.Kty == "OKP" && h.Crv == "Ed25519":
		return EdDSA
	}
	return ""
}

// parseJWK reads one key. It returns nil if the key is good for nothing here and harmless.
func parseJWK(text []byte, own bool) (*Key, error) {
	var head jwkHead
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("%w: no JWK: %w", ErrForm, err)
	}
	if head.Kty == "" {
		return nil, fmt.Errorf("%w: no JWK: the member kty is missing", ErrForm)
	}
	if !own && (head.Kty == "oct" || head.D != nil || head.K != nil || head.Priv != nil) {
		return nil, fmt.Errorf("%w: it is private, and who publishes it has no secret any more", ErrForm)
	}
	if len(head.Kid) > maxID {
		return nil, fmt.Errorf("%w: its id has %d bytes, at most %d are taken", ErrForm, len(head.Kid), maxID)
	}
	algorithm := head.algorithm()
	if algorithm == "" || !head.signs() {
		return nil, nil
	}
	var parsed jose.JSONWebKey
	if err := parsed.UnmarshalJSON(text); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	return keyOf(parsed.Key, head.Kid, algorithm)
}

// keyOf makes a key of what go-jose has read.
func keyOf(parsed any, id string, algorithm Algorithm) (*Key, error) {
	if raw, ok := parsed.([]byte); ok {
		if !algorithm.Symmetric() {
			return nil, fmt.Errorf("%w: %s does not go with a secret", ErrForm, algorithm)
		}
		if err := strong(algorithm, raw); err != nil {
			return nil, err
		}
		return symmetric(id, algorithm, raw), nil
	}
	if signer, ok := parsed.(crypto.Signer); ok {
		return asymmetric(id, algorithm, signer.Public(), signer)
	}
	return asymmetric(id, algorithm, parsed, nil)
}
