package revoke

import (
	"context"
	"time"
)

// Kind says what an [Entry] revokes.
type Kind string

// The kinds of entries.
const (
	Token   Kind = "token"   // the token with this id (jti)
	Session Kind = "session" // whatever belongs to the session with this id (sid)
	Subject Kind = "subject" // whatever was issued to this subject before a time
	Key     Kind = "key"     // whatever was signed with the key of this id (kid)
	All     Kind = "all"     // whatever was issued before a time, to anybody
)

// An Entry revokes something. Times have a precision of milliseconds.
type Entry struct {
	// Seq is the entry's place in the feed, from 1. The store gives it.
	Seq int64
	// Kind and ID say what is revoked. ID is any bytes, compared exactly, at most 1024; it is empty for All alone. No entry holds a secret.
	Kind Kind
	ID   string
	// Before limits Subject and All: what was issued at that time or later is not revoked. Zero for the other kinds.
	Before time.Time
	// Expires is when nothing that the entry revokes can be valid any more, so that the entry may be forgotten. After 1970, and never zero.
	Expires time.Time
}

// A Page is a part of the feed.
type Page struct {
	// Entries are in the order of Seq.
	Entries []Entry
	// Last is the highest Seq that the store has ever given, of entries that were removed as well; 0 if there was none. Whoever has seen a higher one has
	// seen another store, or this one before it was restored from a backup.
	Last int64
}

// A Source is a feed of revocations. It must be safe for concurrent use.
type Source interface {
	// Since returns the entries whose Seq is higher than after, the lowest first, at most limit. An entry that is returned later never has a lower Seq than
	// one that was returned before: there are no gaps that fill up. What was added before the call is among them, so that a replica that lags behind is no Source.
	Since(ctx context.Context, after int64, limit int) (Page, error)
}

// A Store is a feed that can be written to.
type Store interface {
	Source
	// Add appends the entries in one step and returns the Seq of the last one. When it returns nil they are durable as far as the store can. Nothing else
	// about entries is unique: the same may be revoked twice.
	Add(ctx context.Context, entries ...Entry) (seq int64, err error)
	// Prune removes at most limit entries whose Expires is before the given time, and returns how many.
	Prune(ctx context.Context, before time.Time, limit int) (int, error)
}

// A Bell wakes other processes when there is something new in the feed, so that they need not wait for their next look. It may lose rings, and ring
// without reason: it saves time, and nothing depends on it. It must be safe for concurrent use.
type Bell interface {
	// Ring tells everybody who listens.
	Ring(ctx context.Context) error
	// Listen calls heard whenever somebody may have rung, once at the beginning when it is sure to hear what is rung from then on, and returns when
	// it can hear no more, or ctx is done, with the reason.
	Listen(ctx context.Context, heard func()) error
}
