package keyring

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse"
)

const (
	searchEvery   = time.Second      // how often unknown ids may cause a look into the store
	searchTimeout = 5 * time.Second  // how long that look may take
	searchStale   = 10 * time.Second // since when the store must have been readable for "unknown" to be an answer
)

// search is the state of the looks into the store that unknown ids cause: whoever sends many of them causes one a second.
type search struct {
	mu      sync.Mutex
	running *flight
	last    time.Time // when the last one began
	err     error     // how it ended
}

// A flight is one look into the store, for all who wait for it.
type flight struct {
	done chan struct{}
	err  error
}

// findAfterReload is [Ring.Find] for an id that is not known.
func (r *Ring) findAfterReload(ctx context.Context, kid string) (*Key, error) {
	err := r.reload(ctx)
	if k, _ := r.lookUp(kid); k != nil {
		return k, nil
	}
	if r.now.Load() == nil {
		return nil, unavailable(r.notLoaded(), err)
	}
	if age := r.clock().Sub(time.UnixMilli(r.good.Load())); err != nil && age > searchStale {
		return nil, unavailable(fmt.Errorf("%w: the store of the key ring %q was last read %v ago", gatehouse.ErrUnavailable, r.c.Name, age), err)
	}
	return nil, ErrUnknownKey
}

// unavailable adds the cause to an error, if there is one.
func unavailable(err, cause error) error {
	if cause == nil {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// reload loads the ring, or waits for somebody who does, or does nothing if that was less than a second ago. It returns how the last load ended. The load does not end with the request that caused it: others wait for it too.
func (r *Ring) reload(ctx context.Context) error {
	f, err := r.board(ctx)
	if f == nil {
		return err
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// board returns the look that is under way, a new one, or nil and how the last one ended if it is too early for another.
func (r *Ring) board(ctx context.Context) (*flight, error) {
	s, now := &r.search, r.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		return s.running, nil
	}
	if since := now.Sub(s.last); since >= 0 && since < searchEvery {
		return nil, s.err
	}
	s.running, s.last = &flight{done: make(chan struct{})}, now
	go r.fly(context.WithoutCancel(ctx), s.running)
	return s.running, nil
}

func (r *Ring) fly(ctx context.Context, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	f.err = r.Load(ctx)
	r.search.mu.Lock()
	r.search.running, r.search.err = nil, f.err
	r.search.mu.Unlock()
	close(f.done)
}
