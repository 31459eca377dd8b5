package revoke

import (
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
	mu   sync.Mutex
	open map[debt]time.Time // and when the entries expire
	busy int                // how many revocations are on their way
	seen map[debt]bool      // what was read meanwhile: it may be one of theirs
}

// begin says that something is about to be given to the store.
func (d *debts) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy++
}

// end says that the store has given e its Seq, or that it has not, with a Seq of 0.
func (d *debts) end(e Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if owed := (debt{e.Seq, sumOf(e)}); e.Seq > 0 && !d.seen[owed] {
		if d.open == nil {
			d.open = map[debt]time.Time{}
		}
		d.open[owed] = e.Expires
	}
	if d.busy--; d.busy == 0 {
		d.seen = nil
	}
}

// pay says that the entry of this sum was read in this place.
func (d *debts) pay(seq int64, sum print) {
	d.mu.Lock()
	defer d.mu.Unlock()
	paid := debt{seq, sum}
	delete(d.open, paid)
	if d.busy == 0 {
		return
	}
	if d.seen == nil {
		d.seen = map[debt]bool{}
	}
	d.seen[paid] = true
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
