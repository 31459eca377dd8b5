package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse"
)

// The errors of stores and tables. Test with [errors.Is]: they come wrapped.
var (
	// ErrNotFound: a store has no such record.
	ErrNotFound = errors.New("session not found")
	// ErrExists: a store has a record under this key or id already.
	ErrExists = errors.New("session exists")
	// ErrConflict: the record, or the value in it, was changed by somebody else.
	ErrConflict = errors.New("session was changed by somebody else")

	// ErrInvalid: what was to be remembered makes no session: a mistake of the program.
	ErrInvalid = errors.New("not a session")

	// ErrUnknown wraps gatehouse.ErrSession: no session has this secret, now or any more.
	ErrUnknown = fmt.Errorf("%w: unknown", gatehouse.ErrSession)
	// ErrOverdue wraps gatehouse.ErrSession: the session has been idle for too long or is too old.
	ErrOverdue = fmt.Errorf("%w: overdue", gatehouse.ErrSession)
)

// A Key is the SHA-256 of a session's secret, under which stores keep the record. The zero Key stands for none.
type Key [sha256.Size]byte

// IsZero reports whether k stands for no record.
func (k Key) IsZero() bool { return k == Key{} }

// A Record is one session as a store keeps it. Times have a precision of milliseconds.
type Record struct {
	// Key finds the record. It is a hash: a thief of the store's contents cannot use it.
	Key Key
	// ID names the session to its owner and in logs. It is random, unique, and no secret.
	ID string
	// Subject is whose session it is: any bytes, compared exactly. Empty: a visitor who is not signed in.
	Subject string
	// Created is when the session began, Seen when it was last used.
	Created, Seen time.Time
	// Deadline is when the record may be removed unless it is touched; it is never zero. Stores do not judge by it: an overdue record is returned, unless the store
	// removes what is overdue by itself.
	Deadline time.Time
	// Version counts the changes of Body, from 1.
	Version int64
	// Body is what the table keeps beside, opaque to the store.
	Body []byte
}

// A Store keeps records. It must be safe for concurrent use. What is returned and taken is a copy: nobody changes the other's bytes.
// Errors other than the ones named mean that the store could not do it, and wrap the cause; a cancelled context is one of them.
// A call that returns nil has been made durable as far as the store can; of one that returned an error that is not named here it is unknown whether it was done,
// or will be, but it was done as a whole or not at all.
type Store interface {
	// Create adds rec. If replaces is not zero, the record under it is removed in the same step; if there is none, nothing is added and
	// the error wraps ErrNotFound. It wraps ErrExists if rec's key or id is taken, be it by the record that is to be replaced.
	Create(ctx context.Context, rec Record, replaces Key) error
	// Get returns the record under key. The error wraps ErrNotFound if there is none.
	Get(ctx context.Context, key Key) (Record, error)
	// Update replaces Body, Seen and Deadline of the record under rec.Key if its version is rec.Version, and counts the version up. The
	// error wraps ErrConflict if the version is another, ErrNotFound if there is no record.
	Update(ctx context.Context, rec Record) error
	// Touch moves Seen and Deadline, if seen is later than the record's; the version stays. The error wraps ErrNotFound if there is no record.
	Touch(ctx context.Context, key Key, seen, deadline time.Time) error
	// Delete removes the record under key. It is no error if there is none.
	Delete(ctx context.Context, key Key) error
	// List returns the records of subject, the oldest first (by Created, then ID).
	List(ctx context.Context, subject string) ([]Record, error)
	// DeleteAll removes the records of subject but the one under except (zero: none is spared), and returns how many. A record of subject that
	// replaces another of subject's at the same time is removed as well, or replaces nothing: none survives.
	DeleteAll(ctx context.Context, subject string, except Key) (int, error)
}

// A Pruner is a [Store] whose overdue records stay until somebody removes them.
type Pruner interface {
	// Prune removes at most limit records whose Deadline is before the given time, and returns how many.
	Prune(ctx context.Context, before time.Time, limit int) (int, error)
}

// secretBytes is the size of a secret: more than anybody can guess, ever.
const secretBytes = 32

// newSecret returns a secret in the form in which it travels. It has no error: crypto/rand ends the program when it fails.
func newSecret() string {
	var b [secretBytes]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// keyOf returns the key of a secret, and whether the secret has the form of one. Each secret has one spelling: nothing may be cut off or
// added, so that what is not a secret costs no look-up.
func keyOf(secret string) (Key, bool) {
	var b [secretBytes]byte
	if len(secret) != base64.RawURLEncoding.EncodedLen(secretBytes) {
		return Key{}, false
	}
	n, err := strictBase64.Decode(b[:], []byte(secret))
	if err != nil || n != secretBytes {
		return Key{}, false
	}
	return sha256.Sum256(b[:]), true
}

var strictBase64 = base64.RawURLEncoding.Strict()
