package revoke

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"time"
)

// hashed marks the kinds of entries whose ID is not an id but its print: a list that puts back what a store has lost knows no more than that.
const hashed = "#"

// seam is the kind of an entry that revokes nothing, see [newSeam].
const seam Kind = "seam"

// known is everything that is revoked. It is safe for concurrent use. The zero value is empty.
type known struct {
	tokens, sessions, keys set[until]
	subjects               set[cutoff]
	all                    atomic.Int64 // what was issued before, in milliseconds since 1970, is revoked; 0: nothing
}

// apply takes an entry in, and reports whether it says something new. What cannot be understood is an error: it revokes something, and nobody knows what.
func (k *known) apply(e Entry) (news bool, err error) {
	kind, isPrint := strings.CutSuffix(string(e.Kind), hashed)
	p, err := entryPrint(e, isPrint)
	if err == nil {
		err = damage(e)
	}
	if err != nil {
		return false, err
	}
	expires := secondOf(e.Expires)
	switch Kind(kind) {
	case Token:
		return k.tokens.add(p, until(expires)), nil
	case Session:
		return k.sessions.add(p, until(expires)), nil
	case Key:
		return k.keys.add(p, until(expires)), nil
	case Subject:
		return k.subjects.add(p, cutoffOf(millis(e.Before), expires)), nil
	case seam:
		return false, nil
	case All:
		return k.raise(max(millis(e.Before), 1)), nil // what says no time was issued before any
	default:
		return false, fmt.Errorf("%w: entry %d of the feed is of the kind %q, which this version does not know: start the version that made it", ErrInvalid, e.Seq, e.Kind)
	}
}

func entryPrint(e Entry, isPrint bool) (print, error) {
	if !isPrint {
		return printOf(e.ID), nil
	}
	if len(e.ID) != len(print{}) {
		return print{}, fmt.Errorf("%w: entry %d of the feed is damaged: its id has %d bytes, want %d", ErrInvalid, e.Seq, len(e.ID), len(print{}))
	}
	return print([]byte(e.ID)), nil
}

// damage returns an error if e cannot revoke anything, although it was meant to.
func damage(e Entry) error {
	why := ""
	switch kind := Kind(strings.TrimSuffix(string(e.Kind), hashed)); {
	case (kind == Subject || kind == All) && e.Before.IsZero():
		why = "it does not say what was issued before when"
	case kind != All && e.ID == "":
		why = "it has no id"
	default:
		return nil
	}
	return fmt.Errorf("%w: entry %d of the feed is damaged: %s", ErrInvalid, e.Seq, why)
}

// millis returns t in milliseconds since 1970, rounded up, so that nothing that was issued before t is spared.
func millis(t time.Time) int64 {
	ms := t.UnixMilli()
	if t.Nanosecond()%int(time.Millisecond) > 0 {
		ms++
	}
	return ms
}

// raise moves the time before which everything is revoked, and reports whether it has moved. It never goes back, and is never forgotten: it is one number.
func (k *known) raise(before int64) bool {
	for {
		old := k.all.Load()
		if before <= old {
			return false
		}
		if k.all.CompareAndSwap(old, before) {
			return true
		}
	}
}

// revoked reports whether something of c is.
func (k *known) revoked(c Claim) bool {
	if _, ok := k.tokens.get(c.Token); ok {
		return true
	}
	if _, ok := k.sessions.get(c.Session); ok {
		return true
	}
	if _, ok := k.keys.get(c.Key); ok {
		return true
	}
	issued := int64(-1 << 62) // before everything
	if !c.Issued.IsZero() {
		issued = c.Issued.UnixMilli()
	}
	return issued < k.before(c.Subject)
}

// before returns the time in milliseconds since 1970 before which everything of subject is revoked; a very early one if nothing is.
func (k *known) before(subject string) int64 {
	before := int64(-1 << 63)
	if all := k.all.Load(); all != 0 {
		before = all
	}
	if cut, ok := k.subjects.get(subject); ok {
		before = max(before, cut.before())
	}
	return before
}

// latest returns the highest time before which somebody's things are revoked that is not after limit; a very early one if there is none.
func (k *known) latest(limit int64) int64 {
	latest := int64(-1 << 63)
	for _, cut := range k.subjects.all() {
		if before := cut.before(); before <= limit {
			latest = max(latest, before)
		}
	}
	return latest
}

func (k *known) sweep(now second) {
	k.tokens.sweep(now)
	k.sessions.sweep(now)
	k.keys.sweep(now)
	k.subjects.sweep(now)
}

func (k *known) size() int {
	return k.tokens.size() + k.sessions.size() + k.keys.size() + k.subjects.size()
}

// without yields what is in k, is not overdue and not in other, as entries under prints. What has no end of its own lives until last.
func (k *known) without(other *known, overdue, last time.Time) iter.Seq[Entry] {
	live := secondOf(overdue)
	return func(yield func(Entry) bool) {
		if all := k.all.Load(); all > other.all.Load() && !yield(Entry{Kind: All, Before: time.UnixMilli(all), Expires: last}) {
			return
		}
		_ = missing(Token, &k.tokens, &other.tokens, live, yield) &&
			missing(Session, &k.sessions, &other.sessions, live, yield) &&
			missing(Key, &k.keys, &other.keys, live, yield) &&
			missing(Subject, &k.subjects, &other.subjects, live, yield)
	}
}

// missing yields the marks that are in have, expire at live or later, and are not covered in other.
func missing[M mark[M]](kind Kind, have, other *set[M], live second, yield func(Entry) bool) bool {
	for p, m := range have.all() {
		if there, ok := other.find(p); ok && there.covers(m) || m.expires() < live {
			continue
		}
		e := Entry{Kind: kind + hashed, ID: string(p[:]), Expires: time.Unix(int64(m.expires()), 0)}
		if m.before() != 0 {
			e.Before = time.UnixMilli(m.before())
		}
		if !yield(e) {
			return false
		}
	}
	return true
}

// sumOf tells an entry from every other that could stand in its place.
func sumOf(e Entry) print {
	b := make([]byte, 0, 64+len(e.Kind)+len(e.ID))
	b = binary.AppendUvarint(b, uint64(e.Seq))
	b = binary.AppendUvarint(b, uint64(len(e.Kind)))
	b = append(b, e.Kind...)
	b = binary.AppendUvarint(b, uint64(len(e.ID)))
	b = append(b, e.ID...)
	b = binary.AppendVarint(b, e.Expires.UnixMilli())
	if !e.Before.IsZero() {
		b = binary.AppendVarint(b, e.Before.UnixMilli())
	}
	sum := sha256.Sum256(b)
	return print(sum[:16])
}
