package keyring

import (
	"fmt"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/internal/seal"
)

// A Master is the key that rings are sealed with. Whoever has it and the store has every key. It cannot be printed, logged or marshalled.
type Master struct{ key seal.Key }

// NewMaster returns a new random master key. Rings that were sealed with another one do not open with it.
func NewMaster() *Master { return &Master{seal.New()} }

// ParseMaster reads a master key of 32 bytes: base64 or base64url, with or without "base64:" in front, or "hex:" and hexadecimal digits. White space around it is left out. The error wraps
// [ErrForm] and does not repeat the text.
func ParseMaster(text string) (*Master, error) {
	key, err := seal.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	return &Master{key}, nil
}

// ID returns 16 hexadecimal digits that tell master keys apart and say nothing about them.
func (m *Master) ID() string { return m.key.ID() }

// Text returns the key as [ParseMaster] reads it, for the file of mode 0600 that keeps it.
func (m *Master) Text() gatehouse.Secret { return gatehouse.NewSecret(m.key.Text()) }

// String implements [fmt.Stringer]: it gives the id, which is no secret.
func (m *Master) String() string { return "[master key " + m.ID() + "]" }

// context names the place of a key: sealed material opens there and nowhere else.
func sealContext(ring string, rec Record) string {
	return fmt.Sprintf("gatehouse keyring %q %q %q", ring, rec.ID, string(rec.Algorithm))
}

// sealKey returns k's material as a record keeps it.
func (m *Master) sealKey(ring string, rec Record, k *Key) ([]byte, error) {
	plain, err := k.encode()
	if err != nil {
		return nil, fmt.Errorf("sealing the key %q: %w", rec.ID, err)
	}
	return m.key.Seal(sealContext(ring, rec), plain), nil
}

// openKey returns the key of a record. The error wraps [ErrMaster].
func (m *Master) openKey(ring string, rec Record) (*Key, error) {
	plain, err := m.key.Open(sealContext(ring, rec), rec.Material)
	if err != nil {
		return nil, fmt.Errorf("%w: key %q of the ring %q: %w: give the master key that the ring was made with, or restore a backup", ErrMaster, rec.ID, ring, err)
	}
	k, err := decodeKey(rec.ID, rec.Algorithm, plain)
	if err != nil {
		return nil, fmt.Errorf("%w: key %q of the ring %q: %w: restore a backup", ErrMaster, rec.ID, ring, err)
	}
	return k, nil
}
