package keyring

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
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

// revoked reports whether the key is gone for good: its material is erased, and no clock brings it back.
func (rec Record) revoked() bool { return len(rec.Material) == 0 && !rec.Gone.IsZero() }

// A turn is a record in the order in which keys sign.
type turn struct {
	Record
	at      int       // the record's place among the records
	retires time.Time // when the next one takes over; zero if there is none
	gone    time.Time // from when on it counts for nothing; zero if there is nobody to take over
	sure    bool      // the store was read after that: nobody takes it back
	end     *ending   // never nil
}

// An ending remembers that a key was found gone. A clock that goes back after that does not bring it back, and neither does what else happens to the ring then. Only a key that signs anew, or of which
// somebody else has written down that it signs for longer, begins another life.
type ending struct {
	active   time.Time
	lifetime time.Duration
	met      atomic.Bool
}

// endings are those of the keys of a ring, by id.
type endings map[string]*ending

// of returns the ending of a record: the one that is known, or a new one.
func (e endings) of(rec Record) *ending {
	if known := e[rec.ID]; known != nil && known.active.Equal(rec.Active) && known.lifetime == rec.Lifetime {
		return known
	}
	return &ending{active: rec.Active, lifetime: rec.Lifetime}
}

// settled reports whether the key does not sign any more, and will not.
func (t turn) settled() bool { return !t.Gone.IsZero() }

// over reports whether the key counts for nothing at now, or was found so before.
func (t turn) over(now time.Time) bool {
	if t.end.met.Load() {
		return true
	}
	over := !t.gone.IsZero() && !now.Before(t.gone)
	if over && t.sure {
		t.end.met.Store(true)
	}
	return over
}

// turns puts the records that are not revoked into the order in which they sign. Whoever is not up to date may sign with the old key until it has heard of the new one, which takes until that one has
// been public for as long as a new key is at least: only then begins the time that the old one's last token has. A record with Gone is one whose time to sign is over, and of which it is settled when it
// ends. known are the endings that were looked at before, read is when the records were read.
func turns(recs []Record, r rules, known endings, read time.Time) []turn {
	var order []turn
	for at, rec := range recs {
		if !rec.revoked() {
			order = append(order, turn{Record: rec, at: at, gone: rec.Gone, sure: !rec.Gone.IsZero(), end: known.of(rec)})
		}
	}
	slices.SortStableFunc(order, func(a, b turn) int { return a.Active.Compare(b.Active) })
	var heir *turn
	for i := range slices.Backward(order) {
		t := &order[i]
		if t.settled() {
			continue
		}
		if heir != nil {
			t.retires, t.sure = heir.Active, !read.Before(heir.Active)
			t.gone = later(heir.Active, heir.Created.Add(r.publish)).Add(t.Lifetime + r.leeway)
		}
		heir = t
	}
	return order
}

// signer returns the place in order of the key that signs at now, or -1 if there is none at all: of those that are not settled, the last one whose turn has come. If that one is gone, or no turn has
// come, it is the first one after it, before its time: there is always a key, whatever the clock says. Never is it one before, whose time is over.
func signer(order []turn, now time.Time) int {
	found := -1
	for i, t := range slices.Backward(order) {
		if t.settled() {
			continue
		}
		if !t.over(now) {
			found = i
		}
		if found >= 0 && !t.Active.After(now) {
			break
		}
	}
	return found
}

// stateOf returns the state of the key at place i when the key at place active signs.
func stateOf(order []turn, i, active int, now time.Time) State {
	switch {
	case order[i].over(now):
		return Gone
	case i == active:
		return Active
	case i < active || order[i].settled():
		return Retired
	}
	return Next
}

// A planner makes out of the records of a ring what they should be. It changes nothing that it was given, and knows no store, no clock and no randomness. A record without material that is not
// revoked stands for a key that is still to be made, or to be sealed.
type planner struct {
	rules
	now  time.Time
	ends endings
	recs []Record
}

func newPlan(now time.Time, recs []Record, r rules, ends endings) *planner {
	return &planner{rules: r, now: now, ends: ends, recs: slices.Clone(recs)}
}

func (p *planner) order() []turn { return turns(p.recs, p.rules, p.ends, p.now) }

// signer returns the place in p.recs of the key that signs now, or -1.
func (p *planner) signer() int {
	order := p.order()
	if i := signer(order, p.now); i >= 0 {
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

// keep does what is due: it makes the first key, removes those that are gone, and makes the next key when it is time to publish it.
func (p *planner) keep(imports []*Key) {
	if p.signer() < 0 {
		p.add(p.now, p.now)
	}
	p.remove(imports)
	p.rotateIfDue()
}

// remove deletes the keys that are gone. Those that the configuration would import again are remembered without their material.
func (p *planner) remove(imports []*Key) {
	drop := make([]bool, len(p.recs))
	for _, t := range p.order() {
		if !t.over(p.now) {
			continue
		}
		p.settle(t.at)
		p.recs[t.at].Gone, p.recs[t.at].Material = p.now, nil
		drop[t.at] = !slices.ContainsFunc(imports, func(k *Key) bool { return k.id == t.ID })
	}
	kept := p.recs[:0]
	for i, rec := range p.recs {
		if !drop[i] {
			kept = append(kept, rec)
		}
	}
	p.recs = kept
}

// settle writes down when the keys before the one at this place end: that must not be lost, or become another time, when the one at this place is no longer what took over from them.
func (p *planner) settle(heir int) {
	for _, t := range p.order() {
		if t.at == heir {
			return
		}
		if !t.retires.IsZero() && !t.retires.After(p.now.Add(p.leeway)) { // by a clock that is ahead the other one signs already
			p.recs[t.at].Gone = t.gone
		}
	}
}

// rotateIfDue makes the next key when the last one's time is nearly over. A key that becomes active later than any that this ring would make today comes from a clock that was wrong: it
// waits for its turn, and the ring goes on without it.
func (p *planner) rotateIfDue() {
	if p.rotate == 0 {
		return
	}
	var last time.Time
	for _, t := range p.order() {
		if !t.settled() && !t.Active.After(p.now.Add(p.publish+p.leeway)) {
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
	active := signer(order, p.now)
	for i := max(active, 0); i < len(order); i++ {
		if t := order[i]; !t.settled() && !t.over(p.now) && t.Lifetime < p.lifetime {
			p.recs[t.at].Lifetime = p.lifetime
		}
	}
}

// next makes a key that becomes active as soon as it has been public for long enough, and returns its place in p.recs. If there is one already that becomes active no later, it is that one: of
// several who ask for a new key, one gets it made.
func (p *planner) next() int {
	by := p.now.Add(p.publish)
	for _, t := range p.order() {
		if t.Active.After(p.now) && !t.Active.After(by) && !t.settled() && t.Algorithm == p.algorithm {
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
		if t.settled() {
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
	p.settle(i)
	p.recs[i].Gone, p.recs[i].Material = p.now, nil
	if now := p.signer(); signs || now < 0 || p.recs[now].Active.After(p.now) {
		p.add(p.now, p.now)
	}
	return nil
}

// join makes k, which was made elsewhere, the key that signs, and returns its place in p.recs. What was to sign after the one before does not: whoever brings a key says what comes next.
func (p *planner) join(k *Key) (int, error) {
	for _, id := range []string{k.id, k.ownID()} { // by another name it is the same key
		if i := p.find(id); i >= 0 && p.recs[i].revoked() {
			return -1, fmt.Errorf("the key %.60q was retired for good at %s: take another", id, p.recs[i].Gone.UTC().Format(time.RFC3339))
		}
	}
	i, pending := p.find(k.id), p.pending(k.id)
	if i >= 0 && p.signer() == i && len(pending) == 0 {
		return i, nil
	}
	rec := Record{ID: k.id, Algorithm: k.algorithm}
	if i >= 0 {
		p.settle(i)
		rec = p.recs[i]
	}
	for _, at := range pending { // it is public, and somebody whose clock is ahead may have signed with it
		p.recs[at].Active = p.now
	}
	if i >= 0 {
		p.recs = slices.Delete(p.recs, i, i+1)
	}
	rec.Created, rec.Active, rec.Gone, rec.Lifetime = p.now, p.now, time.Time{}, max(rec.Lifetime, p.lifetime)
	p.recs = append(p.recs, rec) // of those that become active at one moment the last one signs
	return len(p.recs) - 1, nil
}

// pending returns the places of the keys whose turn has not come, but for the one of this id.
func (p *planner) pending(id string) (places []int) {
	for _, t := range p.order() {
		if !t.settled() && t.ID != id && t.Active.After(p.now) {
			places = append(places, t.at)
		}
	}
	return places
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
