package token

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"
)

// The errors of stores. Test with errors.Is: they come wrapped.
var (
	// ErrNotFound: a store has no such record, or its family has ended.
	ErrNotFound = errors.New("token not found")
	// ErrExists: a store has a record under this key, or a family of this id, already.
	ErrExists = errors.New("token exists")
	// ErrSpent: the record has been used as often as it may be.
	ErrSpent = errors.New("token used up")
)

// A Key is the SHA-256 of a token, under which stores keep its record.
type Key [sha256.Size]byte

// A Record is a token that a store knows: an opaque one, a refresh token in either form, or the id of an assertion that may not come twice. Times have a
// precision of milliseconds; a zero time is kept as zero.
type Record struct {
	// Key finds the record. It is a hash: a thief of the store's contents cannot use it.
	Key Key
	// ID names the token in logs and revocations (jti). It is random and no secret.
	ID string
	// Purpose is what the token is good for. Subject is whose it is: any bytes, compared exactly, at most 1024; may be empty.
	Purpose, Subject string
	// Family is the log-in that a refresh token belongs to (its sid), or empty. Records with a family are found, used and rotated only as long as
	// the family exists.
	Family string
	// Expires is when the record may be removed. Stores do not judge by it. Never zero.
	Expires time.Time
	// Left is how often the token may still be used; less than zero: any number of times.
	Left int
	// Used is when the token was rotated, zero if it was not. Next is its successor's Key, and Sealed the successor, which only
	// who has this token can open. Both are empty if it was not rotated.
	Used   time.Time
	Next   Key
	Sealed []byte
	// Body is what the package keeps beside, opaque to the store.
	Body []byte
}

// A Store keeps records and families. It must be safe for concurrent use. What is returned and taken is a copy. Errors other than the ones named mean
// that the store could not do it, and wrap the cause: then it is unknown whether it was done, but it was done as a whole or not at all. A call
// that returns nil has been made durable as far as the store can. Stores do not judge time.
type Store interface {
	// Create adds rec. If rec has a Family, the family begins with it: it must not exist, nor have existed as far as the store knows. The error wraps ErrExists
	// if the key or the family is taken; of several that create the same key, one succeeds.
	Create(ctx context.Context, rec Record) error
	// Get returns the record under key. The error wraps ErrNotFound if there is none, or its family has ended.
	Get(ctx context.Context, key Key) (Record, error)
	// Use counts one use of the record under key and returns the record as it is then: of a record with n uses left, n calls succeed, however many
	// come at once. The error wraps ErrSpent if none is left, ErrNotFound as for Get.
	Use(ctx context.Context, key Key) (Record, error)
	// Rotate ends the use of the record under key and adds next, in one step: of several that rotate the same key, one succeeds. The record under key gets Used, Next
	// and Sealed; next must have the family of the record, and gets it if the family still exists. Where the record was rotated before, nothing is changed, the
	// record is returned as it is, and the error wraps ErrSpent. The error wraps ErrNotFound if there is no such record or its family has ended: once EndFamily
	// has returned, nothing of the family is ever found again.
	Rotate(ctx context.Context, key Key, used time.Time, sealed []byte, next Record) (Record, error)
	// Delete removes the record under key, or, if family is not empty, the family and all its records. It is no error if there is none.
	Delete(ctx context.Context, key Key, family string) error
	// DeleteSubject removes the records of subject with one of the purposes (none: with any), their families included, and returns the ids of the families that
	// it has ended. A record of subject that is created or rotated at the same time is removed as well, or its call fails, or it began after.
	DeleteSubject(ctx context.Context, subject string, purposes ...string) (families []string, err error)
	// Prune removes at most limit records whose Expires is before the given time, and the families that have none left, and returns how many records.
	Prune(ctx context.Context, before time.Time, limit int) (int, error)
}
