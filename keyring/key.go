package keyring

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// A Key signs, verifies or seals with the one algorithm that it was made for: a public key is never bytes that something else could take for a secret. It
// cannot be printed, logged or marshalled. A Key is safe for concurrent use; the zero Key is none.
type Key struct {
	id        string
	algorithm Algorithm
	// m is a function because fmt reads unexported fields without asking their methods, and with a verb that does not fit it follows even pointers to structs.
	m func() *material
}

// material is what a key is made of. For a symmetric key that is raw alone.
type material struct {
	raw     []byte // the secret of a symmetric key, else nil
	private crypto.Signer
	public  crypto.PublicKey
	work    worker
}

// worker does what one algorithm can. It never panics, whatever it is given.
type worker interface {
	sign(dst, input []byte) ([]byte, error)
	verify(input, signature []byte) bool
}

// Generate returns a new random key with a random id. RSA keys have 3072 bits, the secret of an HMAC has the length of its hash. If the machine
// has no randomness the process ends.
func Generate(algorithm Algorithm) (*Key, error) {
	if err := algorithm.Valid(); err != nil {
		return nil, err
	}
	id := strings.ToLower(rand.Text())
	if algorithm.Symmetric() {
		raw := make([]byte, known[algorithm])
		rand.Read(raw) // ends the process if there is no randomness
		return symmetric(id, algorithm, raw), nil
	}
	private, err := generate(algorithm)
	if err != nil {
		return nil, fmt.Errorf("making a key for %s: %w", algorithm, err)
	}
	return asymmetric(id, algorithm, private.Public(), private)
}

func generate(algorithm Algorithm) (crypto.Signer, error) {
	switch algorithm {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return rsa.GenerateKey(rand.Reader, newRSA)
}

// symmetric makes a key of a secret, which the key keeps. An empty id becomes one that follows from the secret.
func symmetric(id string, algorithm Algorithm, raw []byte) *Key {
	if id == "" {
		id = secretID(algorithm, raw)
	}
	m := &material{raw: raw}
	if algorithm == A256GCM {
		m.work = newBox(raw)
	} else {
		m.work = newMAC(algorithm, raw)
	}
	return newKey(id, algorithm, m)
}

func secretID(algorithm Algorithm, raw []byte) string {
	sum := sha256.Sum256([]byte("gatehouse kid" + string(algorithm) + string(raw)))
	return hex.EncodeToString(sum[:8])
}

// asymmetric makes a key of a public key and, unless it is nil, its private key. An empty id becomes the thumbprint of RFC 7638.
func asymmetric(id string, algorithm Algorithm, public crypto.PublicKey, private crypto.Signer) (*Key, error) {
	work, err := newSigner(algorithm, public, private)
	if err != nil {
		return nil, err
	}
	k := newKey(id, algorithm, &material{private: private, public: public, work: work})
	if id == "" {
		k.id = k.thumbprint()
	}
	return k, nil
}

func newKey(id string, algorithm Algorithm, m *material) *Key {
	return &Key{id: id, algorithm: algorithm, m: func() *material { return m }}
}

// ID returns the key's id, the kid of its tokens.
func (k *Key) ID() string { return k.id }

// ownID returns the id that follows from the key, whatever it is called.
func (k *Key) ownID() string {
	if raw := k.m().raw; raw != nil {
		return secretID(k.algorithm, raw)
	}
	return k.thumbprint()
}

// WithID returns the same key under another id: 1 to 255 bytes of UTF-8 without control characters, or a ring refuses it.
func (k *Key) WithID(id string) *Key { return &Key{id: id, algorithm: k.algorithm, m: k.m} }

// Algorithm returns the only algorithm that the key is used with.
func (k *Key) Algorithm() Algorithm { return k.algorithm }

// CanSign reports whether k can sign or seal: a public key cannot.
func (k *Key) CanSign() bool { return k.m().raw != nil || k.m().private != nil }

// Public returns the public key of an asymmetric key, under the same id. It is nil for a symmetric key.
func (k *Key) Public() *Key {
	if k.algorithm.Symmetric() {
		return nil
	}
	if k.m().private == nil {
		return k
	}
	public, err := asymmetric(k.id, k.algorithm, k.m().public, nil)
	if err != nil {
		return nil // cannot be: the same public key was good when k was made
	}
	return public
}

// Sign appends the signature of input to dst, in the form of RFC 7518: for ES256 two numbers of 32 bytes. It fails if k is a public key or one that seals.
func (k *Key) Sign(dst, input []byte) ([]byte, error) {
	if !k.CanSign() || k.algorithm == A256GCM {
		return nil, fmt.Errorf("%w: the key %q cannot sign", ErrForm, k.id)
	}
	return k.m().work.sign(dst, input)
}

// Verify returns nil if signature is the key's for input, else [ErrSignature]. It takes signatures of exactly the right length only, and never panics.
// With an HMAC it allocates nothing.
func (k *Key) Verify(input, signature []byte) error {
	if k.algorithm == A256GCM || !k.m().work.verify(input, signature) {
		return ErrSignature
	}
	return nil
}

// encode returns the private key or secret as a record keeps it, before it is sealed.
func (k *Key) encode() ([]byte, error) {
	if k.m().raw != nil {
		return k.m().raw, nil
	}
	return x509.MarshalPKCS8PrivateKey(k.m().private)
}

// decodeKey returns the key that encode has written.
func decodeKey(id string, algorithm Algorithm, plain []byte) (*Key, error) {
	if err := algorithm.Valid(); err != nil {
		return nil, err
	}
	if algorithm.Symmetric() {
		if len(plain) == 0 || algorithm == A256GCM && len(plain) != known[A256GCM] {
			return nil, fmt.Errorf("%w: %d bytes for %s", ErrForm, len(plain), algorithm)
		}
		return symmetric(id, algorithm, plain), nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: a %T does not sign", ErrForm, parsed)
	}
	return asymmetric(id, algorithm, private.Public(), private)
}

// same reports whether k and other are the same private key or secret for the same algorithm, whatever they are called.
func (k *Key) same(other *Key) bool {
	a, err := k.encode()
	if err != nil {
		return false
	}
	b, err := other.encode()
	return err == nil && k.algorithm == other.algorithm && subtle.ConstantTimeCompare(a, b) == 1
}

// Format implements [fmt.Formatter] for every verb and flag: the id and the algorithm are no secrets.
func (k Key) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) }

// String implements [fmt.Stringer].
func (k Key) String() string { return fmt.Sprintf("[%s key %.60q]", string(k.algorithm), k.id) }

// LogValue implements [slog.LogValuer].
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText implements [encoding.TextMarshaler], and with it JSON, XML and YAML. It does not give the key away: see [Key.JWK].
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
