package carrier

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/internal/seal"
	"github.com/gatehouse-auth/gatehouse/session"
)

// Sealed returns the carrier of sessions that are kept in the cookie itself, encrypted and authenticated, so that nothing has to be stored: up to [session.MaxSealed] bytes
// with all that is in them. sealer is a *keyring.Ring of the algorithm A256GCM, or what [SealedKey] returns; c.Revocations is required, or a copy of the cookie would
// be good after a log-out. The same verbs and the same session.Get and session.Put work as with [Session]; see [session.NewSealed] for what does not. Sealed panics
// if the options make no cookie that browsers accept, or session.NewSealed refuses c: mistakes in a program, not in its input.
func Sealed(sealer session.Sealer, c session.Config, opts ...CookieOption) *SessionCarrier {
	made, err := newCookie(opts)
	if err != nil {
		panic("carrier.Sealed: " + err.Error())
	}
	return &SessionCarrier{session.NewSealed(sealer, made.name, c), made}
}

// SealedKey returns the sealer of one key, which is 32 bytes as they are, or base64 of them in any of its forms, or "hex:" and 64 digits. Make one with
// `openssl rand -base64 32`. What was sealed with one of the retired keys still opens: put the old key there when you change it, until the longest session is over. The errors
// repeat no key.
func SealedKey(key string, retired ...string) (session.Sealer, error) {
	keys := make(sealedKeys, 0, 1+len(retired))
	for i, text := range append([]string{key}, retired...) {
		if len(text) == seal.Size {
			text = base64.StdEncoding.EncodeToString([]byte(text))
		}
		k, err := seal.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("carrier: key %d of a sealed cookie: %w", i+1, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// sealedKeys are the key in use, and those before it.
type sealedKeys []seal.Key

// Seal implements [session.Sealer].
func (k sealedKeys) Seal(plaintext, data []byte) (string, error) {
	return base64.RawURLEncoding.EncodeToString(k[0].Seal(string(data), plaintext)), nil
}

// Open implements [session.Sealer].
func (k sealedKeys) Open(text string, data []byte) ([]byte, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // which the decoder skips
		return nil, gatehouse.ErrMalformed
	}
	for _, key := range k {
		plaintext, err := key.Open(string(data), sealed)
		if !errors.Is(err, seal.ErrOtherKey) {
			return plaintext, bad(err)
		}
	}
	return nil, bad(seal.ErrOtherKey)
}

func bad(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", gatehouse.ErrCredential, err)
}
