// Package seal encrypts what is kept at rest, under one master key.
//
//	sealed := key.Seal("keyring access k1", plaintext)
//	plaintext, err := key.Open("keyring access k1", sealed)
//
// A context says what is sealed and where it belongs. Each context has a key of its own, derived from the master key, and is authenticated as well: what was
// sealed for one place does not open at another. A key that cannot open says why: [ErrOtherKey] if something was sealed with another master key,
// [ErrDamaged] if it was changed, cut, or moved to another context.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// The errors of [Key.Open]. Test with errors.Is: they come wrapped.
var (
	// ErrOtherKey: it was sealed, but with another master key.
	ErrOtherKey = errors.New("sealed with another master key")
	// ErrDamaged: it was not sealed here, or it was changed since, or it belongs to another context.
	ErrDamaged = errors.New("sealed data is damaged")
)

// Size is the length of a master key in bytes.
const Size = 32

const (
	version  = 1
	idSize   = 8
	redacted = "[key]"
	overhead = 1 + idSize + 12 + 16 // the version, the id of the key, GCM's nonce and tag
)

// A Key is a master key. It cannot be printed, logged or marshalled: only [Key.Text] gives it away. The zero Key is none, and panics when it is used. A Key is
// safe for concurrent use.
type Key struct {
	// m is a function because fmt reads unexported fields without asking their methods, and with a verb that does not fit it follows even pointers to structs.
	m func() *material
}

type material struct {
	root [Size]byte
	id   [idSize]byte
}

// New returns a new random key.
func New() Key {
	var root [Size]byte
	rand.Read(root[:]) // ends the process if there is no randomness
	return fromRoot(root)
}

func fromRoot(root [Size]byte) Key {
	m := &material{root: root}
	copy(m.id[:], derive(m.root[:], "gatehouse seal id", idSize))
	return Key{func() *material { return m }}
}

// derive returns the key of this name and length. HKDF fails only for lengths that are not used here.
func derive(root []byte, name string, length int) []byte {
	key, err := hkdf.Key(sha256.New, root, nil, name, length)
	if err != nil {
		panic("seal: " + err.Error())
	}
	return key
}

// Parse reads a key of 32 bytes as [Key.Text] and others write it: base64 or base64url, padded or not, with or without "base64:" in front, or "hex:" and hexadecimal digits.
// White space around it is no part of it. The error does not repeat the text.
func Parse(text string) (Key, error) {
	raw, err := decode(strings.TrimSpace(text))
	if err != nil {
		return Key{}, err
	}
	if len(raw) != Size {
		return Key{}, fmt.Errorf("a master key has %d bytes, this one has %d: write it as base64, or as hex: and hexadecimal digits", Size, len(raw))
	}
	root := [Size]byte(raw)
	for _, b := range root {
		if b != root[0] {
			return fromRoot(root), nil
		}
	}
	return Key{}, errors.New("the master key is the same byte 32 times: make one with `openssl rand -base64 32`")
}

func decode(text string) ([]byte, error) {
	if digits, ok := strings.CutPrefix(text, "hex:"); ok {
		raw, err := hex.DecodeString(digits)
		if err != nil {
			return nil, errors.New("the master key has something other than hexadecimal digits after hex")
		}
		return raw, nil
	}
	text = strings.TrimRight(strings.TrimPrefix(text, "base64:"), "=")
	text = strings.NewReplacer("-", "+", "_", "/").Replace(text)
	raw, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("the master key is not base64: write 32 random bytes as base64, or as hex: and hexadecimal digits")
	}
	return raw, nil
}

// Text returns the key as base64, for the file that keeps it. Nothing else may see it.
func (k Key) Text() string { return base64.StdEncoding.EncodeToString(k.m().root[:]) }

// ID returns 16 hexadecimal digits that tell keys apart and say nothing about them.
func (k Key) ID() string { return hex.EncodeToString(k.m().id[:]) }

// IsZero reports whether k is no key at all.
func (k Key) IsZero() bool { return k.m == nil }

// Seal encrypts and authenticates plaintext for this context, which is authenticated too and not secret. The result is 37 bytes longer.
func (k Key) Seal(context string, plaintext []byte) []byte {
	sealed := make([]byte, 0, overhead+len(plaintext))
	sealed = append(sealed, version)
	sealed = append(sealed, k.m().id[:]...)
	return k.aead(context).Seal(sealed, nil, plaintext, []byte(context))
}

// Open returns what was sealed for this context. The error wraps [ErrOtherKey] or [ErrDamaged]; there is no plaintext then.
func (k Key) Open(context string, sealed []byte) ([]byte, error) {
	if len(sealed) < overhead || sealed[0] != version {
		return nil, fmt.Errorf("%w: %d bytes that are not of the form of sealed data", ErrDamaged, len(sealed))
	}
	if id := [idSize]byte(sealed[1:]); id != k.m().id {
		return nil, fmt.Errorf("%w: it needs the one with the id %x, this one is %x", ErrOtherKey, id, k.m().id)
	}
	plaintext, err := k.aead(context).Open(nil, nil, sealed[1+idSize:], []byte(context))
	if err != nil {
		return nil, fmt.Errorf("%w: it was changed, or moved here from another place", ErrDamaged)
	}
	return plaintext, nil
}

// aead returns AES-256-GCM with the context's key, which puts a random nonce in front. Keys of this length never fail.
func (k Key) aead(context string) cipher.AEAD {
	block, err := aes.NewCipher(derive(k.m().root[:], "gatehouse seal "+context, Size))
	if err != nil {
		panic("seal: " + err.Error())
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("seal: " + err.Error())
	}
	return aead
}

// Format implements [fmt.Formatter] for every verb and flag.
func (Key) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// String implements [fmt.Stringer].
func (Key) String() string { return redacted }

// LogValue implements [slog.LogValuer].
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler], and with it JSON, XML and YAML.
func (Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }
