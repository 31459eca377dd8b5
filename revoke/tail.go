package revoke

import "sync"

// tailSize is how many entries a list keeps for those who follow it, so that they need not read the store for each of them.
const tailSize = 512

// A tail is the end of the feed as the list has read it. It is safe for concurrent use. The zero tail is that of a feed of which nothing was read.
type tail struct {
	mu      sync.Mutex
	era     int64
	entries []Entry
	from    int64 // whatever comes after this Seq and was read is in entries
	last    int64 // the highest Seq that was read
}

// restart forgets everything: the feed is another one.
func (t *tail) restart(era int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.era, t.entries, t.from, t.last = era, nil, 0, 0
}

// append takes an entry, unless as many have been read before: it reports whether it is new.
func (t *tail) append(e Entry) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.Seq <= t.last {
		return false
	}
	t.last = e.Seq
	t.entries = append(t.entries, e)
	if extra := len(t.entries) - tailSize; extra > tailSize { // seldom, since the rest has to move
		t.from = t.entries[extra-1].Seq
		t.entries = append(make([]Entry, 0, 2*tailSize+1), t.entries[extra:]...)
	}
	return true
}

// top returns the highest Seq that was read.
func (t *tail) top() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// after returns what comes after seq in this era. It is not ok if that is not all here.
func (t *tail) after(era, seq int64) (entries []Entry, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.era != era || seq < t.from {
		return nil, false
	}
	for i := len(t.entries); i > 0; i-- {
		if t.entries[i-1].Seq <= seq {
			return append([]Entry(nil), t.entries[i:]...), true
		}
	}
	return append([]Entry(nil), t.entries...), true
}

// watchers are those who wait for the list to have read more.
type watchers struct {
	mu      sync.Mutex
	changed chan struct{} // closed, and replaced, at every whole reading
}

// next returns a channel that is closed at the next whole reading.
func (w *watchers) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	return w.changed
}

func (w *watchers) tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}
