package sqldb

import (
	"context"
	"errors"
	"sync"
)

// ErrClosed: the database was closed.
var ErrClosed = errors.New("the database is closed")

// Long are the calls of a database that go on until it is closed. They are safe for concurrent use; the zero value has none.
type Long struct {
	mu      sync.Mutex
	closed  chan struct{} // made by who comes first
	over    bool
	running sync.WaitGroup
}

// Do calls f and returns its error. The context of f ends with ctx, and when the calls are closed; then the error wraps what has ended it.
func (l *Long) Do(ctx context.Context, f func(context.Context) error) error {
	closed, ok := l.begin()
	if !ok {
		return ErrClosed
	}
	defer l.running.Done()
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-closed:
			cancel(ErrClosed)
		case <-inner.Done():
		}
	}()
	err := f(inner)
	switch {
	case ctx.Err() != nil:
		return because(ctx, err)
	case inner.Err() != nil:
		return ErrClosed
	}
	return err
}

func (l *Long) begin() (closed <-chan struct{}, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return nil, false
	}
	l.running.Add(1)
	return l.end(), true
}

// end returns the channel that is closed at the end. Its callers hold l.mu.
func (l *Long) end() chan struct{} {
	if l.closed == nil {
		l.closed = make(chan struct{})
	}
	return l.closed
}

// Close ends the calls and waits for them. It may be called twice.
func (l *Long) Close() {
	l.mu.Lock()
	if !l.over {
		l.over = true
		close(l.end())
	}
	l.mu.Unlock()
	l.running.Wait()
}
