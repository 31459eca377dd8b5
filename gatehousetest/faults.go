package gatehousetest

import (
	"errors"
	"sync"
)

// ErrDown is an error for [Faults.Fail]: what a program sees when its store does not answer.
var ErrDown = errors.New("gatehousetest: the store is down")

// A Call names a method of a store.
type Call string

// Faults say which calls of a store fail, and count all calls. A call that fails does not reach the store behind. They belong to a [Store], a [KeyStore], a
// [TokenStore] or a [RevocationStore], and are safe for concurrent use.
type Faults struct {
	all []Call

	mu     sync.Mutex
	counts map[Call]int
	always map[Call]error
	once   map[Call]error
}

func newFaults(all []Call) *Faults {
	return &Faults{all: all, counts: map[Call]int{}, always: map[Call]error{}, once: map[Call]error{}}
}

// Fail lets the given calls, or every call if none is given, fail with err from now on. A nil err mends them.
func (f *Faults) Fail(err error, calls ...Call) { f.plan(f.always, err, calls) }

// FailOnce lets the next of each of the given calls, or of every call if none is given, fail with err, in place of what [Faults.Fail] says. A nil err takes that
// back.
func (f *Faults) FailOnce(err error, calls ...Call) { f.plan(f.once, err, calls) }

func (f *Faults) plan(plan map[Call]error, err error, calls []Call) {
	if len(calls) == 0 {
		calls = f.all
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, call := range calls {
		if plan[call] = err; err == nil {
			delete(plan, call)
		}
	}
}

// Count returns how often the given calls, or all if none is given, were made since [Faults.Reset]: those that failed, too.
func (f *Faults) Count(calls ...Call) int {
	if len(calls) == 0 {
		calls = f.all
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, call := range calls {
		n += f.counts[call]
	}
	return n
}

// Reset begins to count anew. What fails goes on failing.
func (f *Faults) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.counts)
}

// called counts a call and returns the error with which it fails, or nil.
func (f *Faults) called(call Call) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[call]++
	if err := f.once[call]; err != nil {
		delete(f.once, call)
		return err
	}
	return f.always[call]
}
