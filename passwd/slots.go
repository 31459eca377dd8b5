package passwd

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// slots bound how much is hashed at once, and how many wait for it. Who waits is served in the order of arrival: a hash that needs several
// slots is not overtaken by those that need one, or it would wait for ever.
type slots struct {
	size int // all slots
	most int // who may wait

	mu      sync.Mutex
	free    int
	waiting []*ticket
}

// A ticket is one who waits.
type ticket struct {
	need  int
	ready chan struct{} // closed when the slots are the ticket's
}

func newSlots(size, most int) *slots { return &slots{size: size, most: most, free: size} }

// acquire takes need slots, at most all of them, and returns how to give them back. It waits in the queue if they are not free. The error is
// ErrBusy if the queue is full, and wraps ctx's if ctx ends first.
func (s *slots) acquire(ctx context.Context, need int) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, notChecked(ctx)
	}
	need = min(max(need, 1), s.size)
	t, err := s.enter(need)
	if err != nil {
		return nil, err
	}
	if t != nil {
		if err := s.wait(ctx, t); err != nil {
			return nil, err
		}
	}
	return sync.OnceFunc(func() { s.release(need) }), nil
}

// enter takes the slots at once, or returns a ticket in the queue.
func (s *slots) enter(need int) (*ticket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 && s.free >= need {
		s.free -= need
		return nil, nil
	}
	if len(s.waiting) >= s.most {
		return nil, ErrBusy
	}
	t := &ticket{need, make(chan struct{})}
	s.waiting = append(s.waiting, t)
	return t, nil
}

// wait returns when the ticket has its slots, or has left the queue.
func (s *slots) wait(ctx context.Context, t *ticket) error {
	select {
	case <-t.ready:
		return nil
	case <-ctx.Done():
		s.leave(t)
		return notChecked(ctx)
	}
}

// leave takes a ticket out of the queue, and gives its slots back if it has just got them.
func (s *slots) leave(t *ticket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.waiting, t); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	} else {
		s.free += t.need
	}
	s.serve() // t may have been what the others waited for
}

func (s *slots) release(need int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free += need
	s.serve()
}

// serve hands out free slots from the front of the queue. s.mu is held.
func (s *slots) serve() {
	for len(s.waiting) > 0 && s.free >= s.waiting[0].need {
		t := s.waiting[0]
		s.waiting = slices.Delete(s.waiting, 0, 1)
		s.free -= t.need
		close(t.ready)
	}
}

// load returns how many slots are taken, and how many wait.
func (s *slots) load() (taken, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size - s.free, len(s.waiting)
}

// notChecked is the error of a caller who did not wait until it was their turn.
func notChecked(ctx context.Context) error {
	return fmt.Errorf("passwd: given up while waiting for other passwords to be checked: %w", ctx.Err())
}
