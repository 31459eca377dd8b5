package keyring

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse"
)

const maxSecret = 4096

// Secret makes a key for HS256, HS384, HS512 or A256GCM from a text that people keep. The secret is what [ParseSecret] makes of it; for A256GCM it may also be
// base64 of 32 bytes without anything in front. Its id follows from the secret, so that every process gives it the same.
//
// The error wraps [ErrForm] if the text is a key of another kind, whatever weak says: who takes a public key for a secret lets everybody sign. It wraps [ErrWeak] if
// the secret is shorter than the hash (RFC 7518, section 3.2), one byte over and over, or an example of somebody's manual, unless weak is true, which is for tests and development. No
// error repeats the text.
func Secret(algorithm Algorithm, text string, weak bool) (*Key, error) {
	if err := algorithm.Valid(); err != nil {
		return nil, err
	}
	if !algorithm.Symmetric() {
		return nil, fmt.Errorf("%w: %s needs a private key, not a secret: give it as PEM", ErrForm, algorithm)
	}
	raw, err := ParseSecret(text)
	if err != nil {
		return nil, err
	}
	if algorithm == A256GCM {
		return boxSecret(text, raw)
	}
	if err := strong(algorithm, raw); err != nil && (!weak || len(raw) == 0) {
		return nil, err
	}
	return symmetric("", algorithm, raw), nil
}

// boxSecret makes a key for A256GCM, which has exactly 32 bytes, or base64 of them.
func boxSecret(text string, raw []byte) (*Key, error) {
	if len(raw) != known[A256GCM] {
		if decoded := base64Bytes(text); len(decoded) == known[A256GCM] {
			raw = decoded
		}
	}
	if len(raw) != known[A256GCM] {
		return nil, fmt.Errorf("%w: a key for A256GCM has 32 bytes, this one has %d: make one with `gatehouse key generate`", ErrWeak, len(raw))
	}
	if err := strong(A256GCM, raw); err != nil {
		return nil, err
	}
	return symmetric("", A256GCM, raw), nil
}

// strong returns an error that wraps [ErrWeak] if the secret is too short for the algorithm or obviously guessed.
func strong(algorithm Algorithm, raw []byte) error {
	if len(raw) < known[algorithm] {
		return fmt.Errorf("%w: the secret has %d bytes, %s needs at least %d: make one with `gatehouse key generate`", ErrWeak, len(raw), algorithm, known[algorithm])
	}
	if bytes.Count(raw, raw[:1]) == len(raw) {
		return fmt.Errorf("%w: the secret is one byte over and over: make one with `gatehouse key generate`", ErrWeak)
	}
	if isPublished(raw) {
		return fmt.Errorf("%w: the secret is an example that everybody knows: make one with `gatehouse key generate`", ErrWeak)
	}
	return nil
}

// published are secrets that are long enough, and stand in manuals and samples from which they are copied: whoever wants to forge a token tries them first.
var published = []string{
	"a-string-secret-at-least-256-bits-long", "a-valid-string-secret-that-is-at-least-384-bits-long", "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long", // jwt.io
	"super-secret-jwt-token-with-at-least-32-characters-long", "your-super-secret-jwt-token-with-at-least-32-characters-long", // Supabase
	"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", // FastAPI
	"404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970", // what many tutorials of Spring have
}

// isPublished reports whether raw is one of them: as it stands, or, where it is written in hexadecimal digits, what those stand for. The marks of Django's samples are in front of any.
func isPublished(raw []byte) bool {
	if bytes.HasPrefix(raw, []byte("django-insecure-")) {
		return true
	}
	return slices.ContainsFunc(published, func(text string) bool {
		decoded, err := hex.DecodeString(text)
		return string(raw) == text || err == nil && bytes.Equal(raw, decoded)
	})
}

// ParseSecret returns the bytes of a secret: what follows "hex:" or "base64:" in that encoding, or else the text as it is, in UTF-8. The error wraps [ErrForm] if the encoding is wrong, if the
// text has more than 4096 bytes, or if it is, however it is wrapped, a key of another kind: PEM, JSON, DER, SSH. It does not repeat the text.
func ParseSecret(text string) ([]byte, error) {
	if what := lookalike([]byte(text)); what != "" {
		return nil, notSecret(what)
	}
	if len(text) > maxSecret {
		return nil, fmt.Errorf("%w: a secret of %d bytes is too long", ErrForm, len(text))
	}
	raw, err := decodeSecret(text)
	if err != nil {
		return nil, err
	}
	if what := lookalike(raw); what != "" {
		return nil, notSecret(what)
	}
	return raw, nil
}

func notSecret(what string) error {
	return fmt.Errorf("%w: the secret looks like %s, which others may know: give a key of that kind as what it is, or make a secret with `gatehouse key generate`", ErrForm, what)
}

func decodeSecret(text string) ([]byte, error) {
	if digits, ok := strings.CutPrefix(text, "hex:"); ok {
		raw, err := hex.DecodeString(digits)
		if err != nil {
			return nil, fmt.Errorf("%w: after hex there is something other than pairs of hexadecimal digits", ErrForm)
		}
		return raw, nil
	}
	if encoded, ok := strings.CutPrefix(text, "base64:"); ok {
		raw := base64Bytes(encoded)
		if raw == nil {
			return nil, fmt.Errorf("%w: after base64 there is something that is not base64", ErrForm)
		}
		return raw, nil
	}
	return []byte(text), nil
}

// base64Bytes decodes base64 or base64url, padded or not. It returns nil if text is neither, or empty.
func base64Bytes(text string) []byte {
	if text == "" || strings.ContainsAny(text, "\r\n") {
		return nil
	}
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	raw, err := base64.RawStdEncoding.DecodeString(plain)
	if err != nil {
		return nil
	}
	return raw
}

// NewSecret returns a new random secret for a symmetric algorithm as [Secret] reads it: "base64:" and the bytes. The error wraps [ErrForm] for other algorithms.
func NewSecret(algorithm Algorithm) (gatehouse.Secret, error) {
	if !algorithm.Symmetric() {
		return gatehouse.Secret{}, fmt.Errorf("%w: %.20q has no secret, but a private key", ErrForm, string(algorithm))
	}
	raw := make([]byte, known[algorithm])
	rand.Read(raw) // ends the process if there is no randomness
	return gatehouse.NewSecret("base64:" + base64.StdEncoding.EncodeToString(raw)), nil
}

// SharedPrefix returns how many bytes two of the texts have in common at their beginning, at most: secrets that begin alike were made from one another, and are worth less than they are long.
func SharedPrefix(texts ...string) int {
	longest := 0
	for i, a := range texts {
		for _, b := range texts[:i] {
			n := 0
			for n < min(len(a), len(b)) && a[n] == b[n] {
				n++
			}
			longest = max(longest, n)
		}
	}
	return longest
}
