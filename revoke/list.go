package revoke

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse"
)

// The defaults of a [Config].
const (
	DefaultBound   = 5 * time.Second
	DefaultPoll    = time.Second
	DefaultLongest = 30 * 24 * time.Hour
)

// MaxID is the size of the longest id in bytes.
const MaxID = 1024

// pageSize is how many entries are read, or put back, at once.
const pageSize = 1000

var (
	// ErrRevoked wraps gatehouse.ErrCredential: the token, its session, its key, or everything of its subject, was revoked.
	ErrRevoked = fmt.Errorf("%w: revoked", gatehouse.ErrCredential)
	// ErrInvalid: an entry revokes nothing that there could be: a mistake of the program.
	ErrInvalid = errors.New("not a revocation")
	// ErrReadOnly: the list follows another one, and things are revoked there.
	ErrReadOnly = errors.New("this list only follows: revoke where its store is")
)

// A Config says how a list keeps up.
type Config struct {
	// Bound is how old the list may be before nothing is accepted any more. Zero means 5 s.
	Bound time.Duration
	// Poll is how often the feed is read if no bell rings: less than Bound, and best less than half of it. Zero means 1 s, or a quarter of Bound if that is less.
	Poll time.Duration
	// Longest is how long an entry lives that does not say when it expires: at least as long as the longest token. Zero means 30 days.
	Longest time.Duration
	// Bells wake the list before its next look. They save time; nothing depends on them.
	Bells []Bell
	// Logger gets what went wrong. Nil means slog.Default.
	Logger *slog.Logger
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// A List knows what was revoked. To ask it costs no I/O. It is safe for concurrent use. Its memory grows with the revocations that are live, and with nothing
// else: none is ever dropped for want of room. Make one with [New], and let [List.Run] keep it fresh.
type List struct {
	Config
	source Source

	tokens, sessions, keys set[until]
	subjects               set[cutoff]
	all                    atomic.Int64 // what was issued before, in ms, is revoked; 0: nothing

	checked  atomic.Pointer[time.Time] // when the last whole reading of the feed began; nil: there was none
	reading  sync.Mutex                // of the feed, one at a time
	last     atomic.Int64              // the highest Seq of a whole reading
	failing  atomic.Bool
	watchers watchers
	wake     chan struct{} // holds one: somebody has rung
}

// New returns the list that source feeds. It accepts nothing until [List.Load] has succeeded once. Where source is a [Store], the list can revoke; several lists, in
// several processes, may share one. New panics if source is nil or the times make no sense: both are mistakes in a program, not in its input.
func New(source Source, c Config) *List {
	if source == nil {
		panic("revoke.New: the source is nil")
	}
	if c.Bound == 0 {
		c.Bound = DefaultBound
	}
	if c.Poll == 0 {
		c.Poll = min(DefaultPoll, c.Bound/4)
	}
	if c.Longest == 0 {
		c.Longest = DefaultLongest
	}
	if c.Bound < 0 || c.Poll <= 0 || c.Poll >= c.Bound || c.Longest < 0 {
		panic(fmt.Sprintf("revoke.New: Bound is %v and Poll %v: both must be more than zero, and Poll less than Bound", c.Bound, c.Poll))
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &List{Config: c, source: source, wake: make(chan struct{}, 1)}
}

// A Claim is what a token says of itself, as far as it can be revoked by it. What is empty was not said.
type Claim struct {
	Token, Session, Subject, Key string
	// Issued is when the token was issued. Zero: it does not say, so that it counts as issued before everything.
	Issued time.Time
}

// A Checker says what was revoked. [*List] is one.
type Checker interface {
	// Check returns nil if what c describes was not revoked, ErrRevoked if it was, and a *gatehouse.StaleError if that is not known for sure.
	Check(c Claim) error
	// IssuedAt returns the time that a token of subject is to say it was issued at, in whole seconds, if it is made now.
	IssuedAt(subject string, now time.Time) time.Time
}

// None is the Checker of those who cannot revoke anything: what is signed is good until it expires. It must be chosen in so many words.
var None Checker = none{}

type none struct{}

func (none) Check(Claim) error                          { return nil }
func (none) IssuedAt(_ string, now time.Time) time.Time { return now.Truncate(time.Second) }

// Check implements [Checker]. What is known to be revoked is ErrRevoked however old the list is.
func (l *List) Check(c Claim) error {
	if l.revoked(c) {
		return ErrRevoked
	}
	if age := l.Staleness(); age > l.Bound {
		return &gatehouse.StaleError{Age: age}
	}
	return nil
}

func (l *List) revoked(c Claim) bool {
	if _, ok := l.tokens.get(c.Token); ok {
		return true
	}
	if _, ok := l.sessions.get(c.Session); ok {
		return true
	}
	if _, ok := l.keys.get(c.Key); ok {
		return true
	}
	issued := int64(-1 << 62)
	if !c.Issued.IsZero() {
		issued = c.Issued.UnixMilli()
	}
	if cut, ok := l.subjects.get(c.Subject); ok && issued < cut.before {
		return true
	}
	return issued < l.all.Load() && l.all.Load() != 0
}

// IssuedAt implements [Checker]. Tokens tell their time in whole seconds, so that one that is made in the second in which its subject was revoked, but later, would look
// like those that were made before: it gets the next second. The moment it takes until then is within every verifier's leeway.
func (l *List) IssuedAt(subject string, now time.Time) time.Time {
	at := now.Truncate(time.Second)
	before := l.all.Load()
	if cut, ok := l.subjects.get(subject); ok {
		before = max(before, cut.before)
	}
	if at.UnixMilli() < before && before <= now.Add(time.Second).UnixMilli() {
		return time.Unix((before+999)/1000, 0)
	}
	return at
}

// SessionRevoked returns nil if the session called sid, of subject, that began at issued was not revoked, ErrRevoked if it was, and a *gatehouse.StaleError if
// that is not known for sure. It lets package session ask.
func (l *List) SessionRevoked(sid, subject string, issued time.Time) error {
	return l.Check(Claim{Session: sid, Subject: subject, Issued: issued})
}

// Staleness returns how long ago the list was complete: the time since the last whole reading of the feed began. Before the first one it is longer than any bound.
func (l *List) Staleness() time.Duration {
	checked := l.checked.Load()
	if checked == nil {
		return 1<<63 - 1
	}
	return max(l.Now().Sub(*checked), 0)
}

// Len returns how many revocations the list holds, Last the Seq up to which it has read the feed.
func (l *List) Len() int {
	return l.tokens.size() + l.sessions.size() + l.keys.size() + l.subjects.size()
}

// Last returns the Seq up to which the list has read the feed.
func (l *List) Last() int64 { return l.last.Load() }
