package revoke

import (
	"slices"
	"sync"
	"time"
)

// A debt is an entry that the store has promised to keep, and that has not been read yet. A store that fails over may lose its latest writes: without a debt nobody would miss
// what no list had come to.
type debt struct {
	seq int64
	sum print
}

// debts are what the store owes. They are safe for concurrent use.
type debts struct {
	mu     sync.Mutex
	open   map[debt]time.Time // and when the entries expire
	flying map[print]*flight  // by the sum of the entry without its place
}

// A flight is what was given to the store and has not been answered: one entry, or several that say the same.
type flight struct {
	count int
	read  []int64 // the places in which such an entry was read meanwhile: one may be theirs
}

// sameNoted is how many places are noted beyond those that a flight can fill itself: others may revoke the same thing again and again. An answer that names a place that was dropped makes
// the feed be read once more, for nothing.
const sameNoted = 64

// content is the sum of e wherever it stands.
func content(e Entry) print {
	e.Seq = 0
	return sumOf(e)
}

// begin says that e is about to be given to the store.
func (d *debts) begin(e Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.flying == nil {
		d.flying = map[print]*flight{}
	}
	sum := content(e)
	f := d.flying[sum]
	if f == nil {
		f = &flight{}
		d.flying[sum] = f
	}
	f.count++
}

// end says that the store has given e its Seq, or that it has not, with a Seq of 0.
func (d *debts) end(e Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	sum := content(e)
	f := d.flying[sum]
	if at := slices.Index(f.read, e.Seq); at >= 0 {
		f.read = slices.Delete(f.read, at, at+1)
	} else if e.Seq > 0 {
		if d.open == nil {
			d.open = map[debt]time.Time{}
		}
		d.open[debt{e.Seq, sumOf(e)}] = e.Expires
	}
	if f.count--; f.count == 0 {
		delete(d.flying, sum)
	}
}

// pay says that e, whose sum this is, was read. What nobody waits for is not noted, so that what is noted is bounded by what is on its way, however long that goes on.
func (d *debts) pay(e Entry, sum print) {
	d.mu.Lock()
	defer d.mu.Unlock()
	paid := debt{e.Seq, sum}
	if _, owed := d.open[paid]; owed {
		delete(d.open, paid)
		return
	}
	if len(d.flying) == 0 {
		return
	}
	f := d.flying[content(e)]
	if f == nil {
		return
	}
	if f.read = append(f.read, e.Seq); len(f.read) > f.count+sameNoted {
		f.read = slices.Delete(f.read, 0, 1)
	}
}

// all returns what is owed now.
func (d *debts) all() []debt {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]debt, 0, len(d.open))
	for owed := range d.open {
		list = append(list, owed)
	}
	return list
}

// forgive crosses out what is left of list, and reports whether some of it must have been there, as stands says of the time at which an entry expires.
func (d *debts) forgive(list []debt, stands func(expires time.Time) bool) (missed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, owed := range list {
		expires, ok := d.open[owed]
		missed = missed || ok && stands(expires)
		delete(d.open, owed)
	}
	return missed
}
