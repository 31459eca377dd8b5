package revoke

import (
	"context"
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

	last  int64     // the highest Seq that the store had given
	era   int64     // how often the feed has lost entries
	lost  bool      // it has, and not all of them were put back yet
	whole time.Time // when it was read from the beginning
	began time.Time // when the latest reading began, whatever came of it
}

func (p *position) move(e Entry) { p.seq, p.sum, p.expires = e.Seq, sumOf(e), e.Expires }

func (p *position) rewind() { p.seq, p.sum, p.expires = 0, print{}, time.Time{} }

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
	l.complete(&state{began: began, last: l.at.last, era: l.at.era})
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
		l.recent.restart(l.at.era)
		l.c.Logger.LogAttrs(ctx, slog.LevelError, "the feed of revocations has lost entries: the store was restored, failed over or exchanged; what is known here is put back",
			slog.Int64("seen", l.at.last), slog.Int("known", l.size()))
	}
	return l.restore(ctx)
}

// restore reads the feed from the beginning and adds what it lacks. As long as that fails, the list gets no fresher.
func (l *List) restore(ctx context.Context) error {
	var stored known
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
		_, err := store.Add(ctx, batch...)
		total += len(batch)
		batch = batch[:0]
		return err
	}
	for e := range l.without(stored, l.c.Now(), l.c.Longest) {
		if batch = append(batch, e); len(batch) == pageSize {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	l.c.Logger.LogAttrs(ctx, slog.LevelError, "revocations that the store had lost were put back", slog.Int("entries", total))
	return nil
}

// read applies what comes after the list's position, and moves that on. It is errLost if the feed does not go on there. What it reads is applied to stored too,
// unless that is nil.
func (l *List) read(ctx context.Context, stored *known) error {
	r := &reader{List: l, stored: stored, sure: l.at.seq == 0}
	if r.sure {
		l.at.whole = l.c.Now()
	}
	for {
		page, err := r.page(ctx)
		if err != nil {
			return err
		}
		more, err := r.take(page)
		if err != nil || !more {
			return err
		}
	}
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
	at.last = page.Last
	return len(entries) > 0 && at.seq < page.Last, nil
}

// recognize reports whether entries begin with the one at which the list stands. It is errLost if they should and do not. An entry that has expired may have been removed.
func (r *reader) recognize(entries []Entry) (same bool, err error) {
	if len(entries) > 0 && entries[0].Seq == r.at.seq {
		if sumOf(entries[0]) == r.at.sum {
			return true, nil
		}
		return false, errLost
	}
	if r.at.expires.After(r.c.Now().Add(skew)) {
		return false, errLost
	}
	return false, nil
}

// accept applies an entry and stands there.
func (r *reader) accept(e Entry) error {
	if err := r.apply(e); err != nil {
		return err
	}
	if r.stored != nil {
		if err := r.stored.apply(e); err != nil {
			return err
		}
	}
	r.at.move(e)
	r.recent.append(e)
	return nil
}
