package revoke

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// pageSize is how many entries are read, or put back, at once.
const pageSize = 1000

// anew is how often the feed is read from the beginning at most, only to have an entry to recognize it by.
const anew = time.Minute

// skew is how far the clock of whoever removes expired entries may be ahead.
const skew = 2 * time.Minute

// errLost: the feed does not go on where this list had come to.
var errLost = errors.New("the feed of revocations has lost entries")

// A position is where a list stands in its feed. It is known by the last entry that was read: if that is not there any more as it was, the feed is another
// one, however long it has grown since.
type position struct {
	seq     int64 // of the entry; 0: the feed is read from the beginning
	sum     print // of the entry
	expires time.Time
	end     int64 // the Seq up to which nothing follows the entry: it was removed

	last  int64     // the highest Seq that the store had given
	era   int64     // how often the feed has lost entries
	lost  bool      // it has, and not all of them were put back yet
	whole time.Time // when it was read from the beginning
	began time.Time // when the latest reading began, whatever came of it
}

func (p *position) move(e Entry) { p.seq, p.sum, p.expires, p.end = e.Seq, sumOf(e), e.Expires, 0 }

func (p *position) rewind() { p.seq, p.sum, p.expires, p.end = 0, print{}, time.Time{}, 0 }

// Load reads what is new in the feed. When it returns nil the list is as fresh as the moment at which it was called. Several calls take turns. Where a
// list follows another one, nothing can be read on demand: Load waits until [List.Run], which must be running, has heard everything.
//
// Where the feed is not the one that was read before, the store is another one, was restored from a backup, or lost its latest writes. Nothing that the list knows is
// forgotten then: what the store lacks is put back, so that others, and this program after a restart, know it too.
//
// An error means that the list is as old as it was. It wraps [ErrInvalid] if the feed holds something that cannot be understood.
func (l *List) Load(ctx context.Context) error {
	if l.remote != nil {
		return l.await(ctx)
	}
	select {
	case l.reading <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("revoke: %w", context.Cause(ctx))
	}
	defer func() { <-l.reading }()
	began := l.c.Now()
	back := began.Before(l.at.began) // the clock was set back: how old the list is cannot be told
	l.at.began = began
	if err := l.catchUp(ctx); err != nil {
		if back {
			l.state.Store(nil)
		}
		return fmt.Errorf("revoke: %w", err)
	}
	l.complete(&state{began: began, last: l.at.last, read: l.recent.top(), era: l.at.era})
	return nil
}

// complete makes it known that the list is.
func (l *List) complete(s *state) {
	l.state.Store(s)
	l.watchers.tell()
}

// catchUp reads what is new, and puts back what is lost.
func (l *List) catchUp(ctx context.Context) error {
	if !l.at.lost {
		err := l.read(ctx, nil)
		if !errors.Is(err, errLost) {
			return err
		}
		l.at.lost = true
		l.at.era++
		l.c.Logger.LogAttrs(ctx, slog.LevelError, "the feed of revocations has lost entries: the store was restored, failed over or exchanged; what is known here is put back",
			slog.Int64("seen", l.at.last), slog.Int("known", l.size()))
	}
	return l.restore(ctx)
}

// restore reads the feed from the beginning and adds what it lacks. As long as that fails, the list gets no fresher.
func (l *List) restore(ctx context.Context) error {
	var stored known
	l.owed.forgive(l.owed.all(), l.stands) // all of it is known
	l.recent.restart(l.at.era)             // it may have begun with a feed that has been lost in turn
	l.at.rewind()
	l.at.last = 0
	if err := l.read(ctx, &stored); err != nil {
		return err
	}
	if store, ok := l.source.(Store); ok {
		if err := l.putBack(ctx, store, &stored); err != nil {
			return err
		}
		if err := l.read(ctx, nil); err != nil { // what was put back has a place now
			return err
		}
	}
	l.at.lost = false
	return nil
}

// putBack adds to the store what is known here and not stored there.
func (l *List) putBack(ctx context.Context, store Store, stored *known) error {
	batch := make([]Entry, 0, pageSize)
	total := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		limited, cancel := context.WithTimeout(ctx, l.c.Bound)
		defer cancel()
		_, err := store.Add(limited, batch...)
		total += len(batch)
		batch = batch[:0]
		return err
	}
	for e := range l.without(stored, l.overdue(), l.c.Now().Add(l.c.Longest)) {
		if batch = append(batch, e); len(batch) == pageSize {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if total+len(batch) > 0 {
		batch = append(batch, newSeam(l.c.Now()))
	}
	if err := flush(); err != nil {
		return err
	}
	l.c.Logger.LogAttrs(ctx, slog.LevelError, "revocations that the store had lost were put back", slog.Int("entries", total))
	return nil
}

// newSeam returns an entry like no other. It ends what was put back: a feed that is lost twice could else have the same entry in the same place each time, and something
// else before it.
func newSeam(now time.Time) Entry {
	return Entry{Kind: seam, ID: rand.Text(), Expires: roundUp(now.Add(24 * time.Hour))}
}

// EndsPutBack reports whether e revokes nothing, and stands behind what a list has put back into a store that had lost it.
func (e Entry) EndsPutBack() bool { return e.Kind == seam }

// read applies what comes after the list's position, and moves that on. It is errLost if the feed does not go on there. What it reads is applied to stored too,
// unless that is nil.
func (l *List) read(ctx context.Context, stored *known) error {
	r := &reader{List: l, stored: stored, sure: l.at.seq == 0}
	owed := l.owed.all()
	if r.sure {
		l.at.whole = l.c.Now()
	}
	for more := true; more; {
		page, err := r.page(ctx)
		if err != nil {
			return err
		}
		if more, err = r.take(page); err != nil {
			return err
		}
	}
	if l.owed.forgive(owed, l.stands) {
		return errLost
	}
	return nil
}

// A reader takes the pages of one reading.
type reader struct {
	*List
	stored *known
	sure   bool // the feed is the one that was read before, or is read from the beginning
}

// page reads one page, within the bound: later it would be of no use, and the next look may have more luck. The first one begins with the entry at which the list stands.
func (r *reader) page(ctx context.Context) (Page, error) {
	after := r.at.seq
	if !r.sure {
		after--
	}
	limited, cancel := context.WithTimeout(ctx, r.c.Bound)
	defer cancel()
	return r.source.Since(limited, after, pageSize)
}

// take takes a page and reports whether there is more to read.
func (r *reader) take(page Page) (more bool, err error) {
	at, entries := &r.at, page.Entries
	if page.Last < at.last {
		return false, errLost
	}
	if !r.sure {
		same, err := r.recognize(entries)
		if err != nil {
			return false, err
		}
		switch {
		case same:
			entries = entries[1:]
		case at.whole.Add(anew).Before(r.c.Now()):
			at.rewind()
			at.whole = r.c.Now()
			r.sure = true
			return true, nil
		}
		r.sure = true
	}
	for _, e := range entries {
		if e.Seq <= at.seq || e.Seq > page.Last {
			return false, fmt.Errorf("%w: entry %d of the feed, which has %d, comes after %d", ErrInvalid, e.Seq, page.Last, at.seq)
		}
		if err := r.accept(e); err != nil {
			return false, err
		}
	}
	if at.last = page.Last; len(page.Entries) == 0 {
		at.end = page.Last
	}
	return at.seq < page.Last && at.end < page.Last, nil
}

// recognize reports whether entries begin with the one at which the list stands. It is errLost if they should and do not. An entry that has expired may have been removed.
func (r *reader) recognize(entries []Entry) (same bool, err error) {
	if len(entries) > 0 && entries[0].Seq == r.at.seq {
		if sumOf(entries[0]) == r.at.sum {
			return true, nil
		}
		return false, errLost
	}
	if r.stands(r.at.expires) {
		return false, errLost
	}
	return false, nil
}

// stands reports whether an entry that expires then must be in the feed, whoever has removed what was overdue.
func (l *List) stands(expires time.Time) bool { return expires.Add(keep).After(l.c.Now().Add(skew)) }

// accept applies an entry and stands there.
func (r *reader) accept(e Entry) error {
	news, err := r.apply(e)
	if err != nil {
		return err
	}
	if r.stored != nil {
		if _, err := r.stored.apply(e); err != nil {
			return err
		}
	}
	if !r.recent.append(e) && news && !isOver(e, r.overdue()) {
		return errLost // this place was read before, and something else stood there
	}
	r.at.move(e)
	r.owed.pay(e, r.at.sum)
	return nil
}

// isOver reports whether a list forgets e, if what had expired before the given time is overdue.
func isOver(e Entry, overdue time.Time) bool { return secondOf(e.Expires) < secondOf(overdue) }
