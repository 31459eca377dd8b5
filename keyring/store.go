package keyring

import (
	"context"
	"errors"
	"time"
)

// The errors of stores. Test with errors.Is: they come wrapped.
var (
	// ErrConflict: the ring was changed by somebody else since it was loaded.
	ErrConflict = errors.New("the key ring was changed by somebody else")
)

// A Record is one key as a store keeps it. Times have a precision of milliseconds; a zero time is kept as zero.
type Record struct {
	// ID is the key's kid: unique in its ring, and no secret.
	ID string
	// Algorithm is what the key is for, and the only algorithm that it ever has.
	Algorithm Algorithm
	// Created is when the key was made and published, Active from when on it signs, unless there is a key with a later Active that has come.
	Created, Active time.Time
	// Gone is zero, or from when on the key counts for nothing, whatever it has signed. A key that has it does not sign any more.
	Gone time.Time
	// Lifetime is the longest that something signed with the key stays valid.
	Lifetime time.Duration
	// Material is the key itself, sealed with the master key. It is empty once the key is gone for good and only its ID is remembered.
	Material []byte
}

// A Store keeps rings of keys. It must be safe for concurrent use. What is returned and taken is a copy. Errors other than the ones named mean that
// the store could not do it, and wrap the cause. A call that returns nil has been made durable as far as the store can.
type Store interface {
	// Load returns the keys of ring in the order in which they were saved, and the ring's version. A ring that was never saved has no keys and
	// version 0.
	Load(ctx context.Context, ring string) (keys []Record, version int64, err error)
	// Save replaces the keys of ring if its version is still version, and counts the version up by one. The error wraps ErrConflict if it is
	// another: of several that have loaded the same version, one saves.
	Save(ctx context.Context, ring string, version int64, keys []Record) error
	// Rings returns the names of the rings that were ever saved, sorted.
	Rings(ctx context.Context) ([]string, error)
}
