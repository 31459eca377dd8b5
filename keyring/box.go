package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
)

// box seals with AES-256-GCM under random nonces: a key is good for four thousand million of them (NIST SP 800-38D, section 8.3).
type box struct{ aead cipher.AEAD }

func newBox(raw []byte) *box {
	block, err := aes.NewCipher(raw)
	if err != nil {
		panic("keyring: " + err.Error()) // every caller has checked the length
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("keyring: " + err.Error())
	}
	return &box{aead}
}

func (*box) sign(_, _ []byte) ([]byte, error) { return nil, ErrForm }
func (*box) verify(_, _ []byte) bool          { return false }

// Seal encrypts and authenticates plaintext, and authenticates data, which [Key.Open] must be given again. It fails if k is not for A256GCM.
func (k *Key) Seal(plaintext, data []byte) ([]byte, error) {
	b, ok := k.m().work.(*box)
	if !ok {
		return nil, fmt.Errorf("%w: the key %q does not seal", ErrForm, k.id)
	}
	return b.aead.Seal(nil, nil, plaintext, data), nil
}

// Open returns what was sealed with k and this data. The error is [ErrSignature] if it was sealed otherwise, or changed; there is no plaintext then.
func (k *Key) Open(sealed, data []byte) ([]byte, error) {
	b, ok := k.m().work.(*box)
	if !ok {
		return nil, fmt.Errorf("%w: the key %q does not seal", ErrForm, k.id)
	}
	plaintext, err := b.aead.Open(nil, nil, sealed, data)
	if err != nil {
		return nil, ErrSignature
	}
	return plaintext, nil
}
