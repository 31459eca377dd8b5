package keyring

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// State is what a key is good for at a moment. It follows from the times in its record and the clock.
type State string

// The states of a key, in the order in which it goes through them.
const (
	Next    State = "next"    // published, and verifies, but does not sign yet
	Active  State = "active"  // signs
	Retired State = "retired" // verifies what it has signed
	Gone    State = "gone"    // counts for nothing
)

// rules is what a plan goes by: the part of a [Config] that is about time.
type rules struct {
	algorithm                         Algorithm
	rotate, publish, lifetime, leeway time.Duration
}

// revoked reports whether the key was retired in an emergency: its material is erased, and no clock brings it back.
func (rec Record) revoked() bool { return len(rec.Material) == 0 && !rec.Gone.IsZero() }

// void reports whether the key was retired before its turn came, so that it never took over from another.
func (rec Record) void() bool { return rec.revoked() && rec.Gone.Before(rec.Active) }

// A turn is a record in the order in which keys sign.
type turn struct {
	Record
	at      int       // the record's place among the records
	retires time.Time // when the next one takes over; zero if there is none
	gone    time.Time // from when on it counts for nothing; zero if there is nobody to take over
}

// over reports whether the key counts for nothing at now.
func (t turn) over(now time.Time) bool {
	return t.revoked() || !t.gone.IsZero() && !now.Before(t.gone)
}

// turns puts records into the order in which they sign. Whoever is not up to date may sign with the old key until it has heard of the new one, which takes until that one has been public for
// as long as a new key is at least: only then begins the time that the old one's last token has.
func turns(recs []Record, r rules) []turn {
	var order []turn
	for at, rec := range recs {
		if !rec.void() {
			order = append(order, turn{Record: rec, at: at})
		}
	}
	slices.SortStableFunc(order, func(a, b turn) int { return a.Active.Compare(b.Active) })
	for i := range order {
		t := &order[i]
		if i+1 < len(order) {
			heir := order[i+1]
			t.retires = heir.Active
			t.gone = later(heir.Active, heir.Created.Add(r.publish)).Add(t.Lifetime + r.leeway)
		}
		if !t.Gone.IsZero() {
			t.gone = t.Gone
		}
	}
	return order
}

// signer returns the place in order of the key that signs at now, or -1 if there is none at all: the last one whose turn has come. If that one is gone by what was seen of the clock, it is the
// first one after it, before its time: there is always a key, whatever the clock says. Never is it one before, whose time is over.
func signer(order []turn, now, seen time.Time) int {
	last := max(len(order)-1, 0)
	for last > 0 && order[last].Active.After(now) {
		last--
	}
	for i := last; i < len(order); i++ {
		if !order[i].over(seen) {
			return i
		}
	}
	return -1
}

// stateOf returns the state of the key at place i when the key at place active signs.
func stateOf(order []turn, i, active int, seen time.Time) State {
	switch {
	case order[i].over(seen):
		return Gone
	case i == active:
		return Active
	case i < active:
		return Retired
	}
	return Next
}

// A planner makes out of the records of a ring what they should be. It changes nothing that it was given, and knows no store, no clock and no randomness. A record without material that is not
// revoked stands for a key that is still to be made, or to be sealed.
type planner struct {
	rules
	now  time.Time // by which keys become due
	seen time.Time // by which keys are gone: the latest time that was ever looked at, if a key was gone then
	recs []Record
}

func newPlan(now, seen time.Time, recs []Record, r rules) *planner {
	return &planner{rules: r, now: now, seen: later(now, seen), recs: slices.Clone(recs)}
}

func (p *planner) order() []turn { return turns(p.recs, p.rules) }

// signer returns the place in p.recs of the key that signs now, or -1.
func (p *planner) signer() int {
	order := p.order()
	if i := signer(order, p.now, p.seen); i >= 0 {
		return order[i].at
	}
	return -1
}

func (p *planner) find(id string) int {
	return slices.IndexFunc(p.recs, func(rec Record) bool { return rec.ID == id })
}

// add appends a key that is still to be made.
func (p *planner) add(created, active time.Time) {
	p.recs = append(p.recs, Record{Algorithm: p.algorithm, Created: created, Active: active, Lifetime: p.lifetime})
}

// keep does what is due: it makes the first key, removes those that are gone, makes the next key when it is time to publish it, and writes down for how long things are signed from now on.
func (p *planner) keep(imports []*Key) {
	if p.signer() < 0 {
		p.add(p.now, p.now)
	}
	p.remove(imports)
	p.rotateIfDue()
	p.raise()
}

// remove deletes the keys that are gone. Those that the configuration would import again are remembered without their material, as are those that were retired in an emergency. What ended the
// time of a key that stays must not be lost with the key that took over from it, so it is written down.
func (p *planner) remove(imports []*Key) {
	drop := make([]bool, len(p.recs))
	order := p.order()
	for i, t := range order {
		over := t.over(p.seen) && !t.revoked()
		drop[t.at] = over && !slices.ContainsFunc(imports, func(k *Key) bool { return k.id == t.ID })
		if over {
			p.recs[t.at].Gone, p.recs[t.at].Material = t.gone, nil
		}
		if i > 0 && drop[t.at] && !drop[order[i-1].at] {
			p.recs[order[i-1].at].Gone = order[i-1].gone
		}
	}
	kept := p.recs[:0]
	for i, rec := range p.recs {
		if !drop[i] {
			kept = append(kept, rec)
		}
	}
	p.recs = kept
}

// rotateIfDue makes the next key when the last one's time is nearly over. A key that becomes active later than any that this ring would make today comes from a clock that was wrong: it
// waits for its turn, and the ring goes on without it.
func (p *planner) rotateIfDue() {
	if p.rotate == 0 {
		return
	}
	var last time.Time
	for _, t := range p.order() {
		if !t.revoked() && !t.Active.After(p.now.Add(p.publish+p.leeway)) {
			last = t.Active
		}
	}
	due := last.Add(p.rotate)
	if !p.now.Before(due.Add(-p.publish)) {
		p.add(p.now, later(p.now.Add(p.publish), due))
	}
}

// raise writes down the lifetime that is in use for the keys that sign now or will.
func (p *planner) raise() {
	order := p.order()
	active := signer(order, p.now, p.seen)
	for i := max(active, 0); i < len(order); i++ {
		if t := order[i]; !t.revoked() && t.Gone.IsZero() && t.Lifetime < p.lifetime {
			p.recs[t.at].Lifetime = p.lifetime
		}
	}
}

// next makes a key that becomes active as soon as it has been public for long enough, and returns its place in p.recs. If there is one already that becomes active no later, it is that one: of
// several who ask for a new key, one gets it made.
func (p *planner) next() int {
	by := p.now.Add(p.publish)
	for _, t := range p.order() {
		if t.Active.After(p.now) && !t.Active.After(by) && !t.over(p.seen) && t.Algorithm == p.algorithm {
			return t.at
		}
	}
	p.add(p.now, by)
	return len(p.recs) - 1
}

// follow makes a key of the algorithm that is configured, unless the last key is of it.
func (p *planner) follow() {
	order := p.order()
	for _, t := range slices.Backward(order) {
		if t.over(p.seen) {
			continue
		}
		if t.Algorithm != p.algorithm {
			p.add(p.now, later(p.now.Add(p.publish), t.Active))
		}
		return
	}
}

// retire ends a key at once and for ever. Its material is erased, its id is remembered. If it was the one that signs, a new one signs from now on.
func (p *planner) retire(id string) error {
	i := p.find(id)
	if i < 0 {
		return fmt.Errorf("%w %.60q: `gatehouse key list` shows those that there are", ErrUnknownKey, id)
	}
	if p.recs[i].revoked() {
		return nil
	}
	signs := p.signer() == i
	p.recs[i].Gone, p.recs[i].Material = p.now, nil
	if signs || p.signer() < 0 {
		p.add(p.now, p.now)
	}
	return nil
}

// join makes k, which was made elsewhere, the key that signs, and returns its place in p.recs.
func (p *planner) join(k *Key) (int, error) {
	i := p.find(k.id)
	if i >= 0 && p.recs[i].revoked() {
		return -1, fmt.Errorf("the key %.60q was retired for good at %s: take another", k.id, p.recs[i].Gone.UTC().Format(time.RFC3339))
	}
	if i >= 0 && p.signer() == i {
		return i, nil
	}
	rec := Record{ID: k.id, Algorithm: k.algorithm}
	if i >= 0 {
		rec = p.recs[i]
		p.recs = slices.Delete(p.recs, i, i+1)
	}
	rec.Created, rec.Active, rec.Gone, rec.Lifetime = p.now, p.now, time.Time{}, max(rec.Lifetime, p.lifetime)
	p.recs = append(p.recs, rec) // of those that become active at one moment the last one signs
	return len(p.recs) - 1, nil
}

// joinConfigured imports what the configuration names, when a process starts. What the ring knows already stays as it is, with one exception: if the configuration goes back to an earlier key, and
// nobody has rotated since, that key signs again. It returns the ids of those that are gone, and stay so.
func (p *planner) joinConfigured(imports []*Key) (refused []string) {
	for n, k := range imports {
		if i := p.find(k.id); i >= 0 && (n < len(imports)-1 || !p.goesBack(i)) && !p.recs[i].revoked() {
			continue
		}
		if _, err := p.join(k); err != nil {
			refused = append(refused, k.id)
		}
	}
	return refused
}

// goesBack reports whether the key at place i has signed before, and what signs now was imported after it.
func (p *planner) goesBack(i int) bool {
	signs := p.signer()
	return signs >= 0 && p.recs[i].Active.Before(p.recs[signs].Active) && !generated(p.recs[signs].ID)
}

// generated reports whether an id is one that [Generate] gives.
func generated(id string) bool {
	return len(id) == 26 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sameRecords reports whether two lists of records mean the same, so that nothing need be saved.
func sameRecords(a, b []Record) bool {
	return slices.EqualFunc(a, b, func(x, y Record) bool {
		return x.ID == y.ID && x.Algorithm == y.Algorithm && x.Created.Equal(y.Created) && x.Active.Equal(y.Active) && x.Gone.Equal(y.Gone) &&
			x.Lifetime == y.Lifetime && len(x.Material) == len(y.Material)
	})
}
