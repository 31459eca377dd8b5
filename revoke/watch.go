package revoke

import "sync"

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
