package revoke

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse"
)

// The defaults of a [Config]. An entry that does not say when it expires is kept for longer than any token or log-in lives by default: it is about a whole subject or
// a key, of which there are few.
const (
	DefaultBound   = 5 * time.Second
	DefaultPoll    = time.Second
	DefaultLongest = 400 * 24 * time.Hour
)

// MaxID is the size of the longest id in bytes.
const MaxID = 1024

var (
	// ErrRevoked wraps gatehouse.ErrCredential: the token, its session, its key, or everything of its subject, was revoked.
	ErrRevoked = fmt.Errorf("%w: revoked", gatehouse.ErrCredential)
	// ErrInvalid: an entry revokes nothing that there could be, which is a mistake of the program; or one of the feed cannot be understood.
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
	// Longest is how long an entry lives that does not say when it expires: at least as long as the longest token, session or log-in. Zero means 400 days.
	Longest time.Duration
	// Bells wake the list before its next look. They save time; nothing depends on them, and one that hangs or panics hurts nobody.
	Bells []Bell
	// Logger gets what went wrong. Nil means slog.Default.
	Logger *slog.Logger
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// A List knows what was revoked. To ask it costs no I/O. It is safe for concurrent use. Its memory grows with the revocations that are live, by less than 64 bytes for
// each, and with nothing else: none is ever dropped for want of room. Make one with [New] or [Follow], and let [List.Run] keep it fresh.
type List struct {
	known
	c     Config
	state atomic.Pointer[state] // nil: the list is not known to be complete at any time

	source   Source        // nil if the list follows
	remote   *remote       // nil if it does not
	reading  chan struct{} // holds one while the feed is read
	at       position      // guarded by reading
	recent   tail
	owed     debts
	watchers watchers

	wake    chan struct{} // holds one: somebody has rung
	bells   []*bell
	failing atomic.Bool // the last reading has failed
	slow    slowClock
	after   func(time.Duration) <-chan time.Time
}

// A state says up to when and where a list is complete.
type state struct {
	began time.Time // when the reading began that made it so
	last  int64     // the highest Seq that the store had given by then
	read  int64     // the highest Seq that was read by then
	era   int64     // changes whenever the feed has lost entries
}

// New returns the list that source feeds. It accepts nothing until [List.Load] has succeeded once. Where source is a [Store], the list can revoke; several lists, in
// several processes, may share one. New panics if source is nil or the times make no sense: both are mistakes in a program, not in its input.
func New(source Source, c Config) *List {
	if source == nil {
		panic("revoke.New: the source is nil")
	}
	l := newList(c)
	l.source = source
	return l
}

func newList(c Config) *List {
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
		panic(fmt.Sprintf("revoke.New: Bound is %v, Poll %v and Longest %v: all must be more than zero, and Poll less than Bound", c.Bound, c.Poll, c.Longest))
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	l := &List{c: c, wake: make(chan struct{}, 1), reading: make(chan struct{}, 1), after: time.After}
	l.slow.at(c.Now()) // what is set from now on is not believed
	for _, b := range c.Bells {
		l.bells = append(l.bells, &bell{Bell: b, list: l})
	}
	return l
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
	age := l.Staleness() // first: the list is at least as young when it is asked
	if l.revoked(c) {
		return ErrRevoked
	}
	if age > l.c.Bound {
		return &gatehouse.StaleError{Age: age}
	}
	return nil
}

// maxAhead is how far in the future a token may say that it was issued. Verifiers on clocks that are a little behind must still take it.
const maxAhead = 15 * time.Second

// IssuedAt implements [Checker]. Tokens tell their time in whole seconds, so that one that is made in the second in which its subject was revoked, but later, would look
// like those that were made before: it gets the next second. The moment it takes until then is within every verifier's leeway. Where the subject is revoked until further in
// the future than 15 s, the time is now, and the token is revoked when it is made.
func (l *List) IssuedAt(subject string, now time.Time) time.Time {
	at := now.Truncate(time.Second)
	before := l.before(subject)
	if at.UnixMilli() < before && before <= now.Add(maxAhead).UnixMilli() {
		return time.Unix((before+999)/1000, 0).In(now.Location())
	}
	return at
}

// SessionRevoked returns nil if the session called sid, of subject, that began at issued was not revoked, ErrRevoked if it was, and a *gatehouse.StaleError if
// that is not known for sure. It lets package session ask.
func (l *List) SessionRevoked(sid, subject string, issued time.Time) error {
	return l.Check(Claim{Session: sid, Subject: subject, Issued: issued})
}

// Bound returns how old the list may be before nothing is accepted any more.
func (l *List) Bound() time.Duration { return l.c.Bound }

// unknown is the age of a list of which no age is known.
const unknown = time.Duration(math.MaxInt64)

// Staleness returns how long ago the list was complete: the time since the last whole reading of the feed began. Before the first one, and when the clock
// says that it began in the future, it is longer than any bound.
func (l *List) Staleness() time.Duration { return l.age(l.state.Load()) }

func (l *List) age(s *state) time.Duration {
	if s == nil {
		return unknown
	}
	now := l.c.Now()
	return older(now.Sub(s.began), now.Round(0).Sub(s.began.Round(0)))
}

// older is the longer of the time that has passed by a clock that nobody sets, and by the clock on the wall. The first misses the time for which a machine
// sleeps, the second may be set back. If both run backwards, there was but the one on the wall, and nothing is known.
func older(steady, wall time.Duration) time.Duration {
	if age := max(steady, wall); age >= 0 {
		return age
	}
	return unknown
}

// Len returns how many revocations the list holds.
func (l *List) Len() int { return l.size() }

// Last returns the Seq up to which the list has read the feed.
func (l *List) Last() int64 {
	if s := l.state.Load(); s != nil {
		return s.last
	}
	return 0
}
