package logs

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// maxPending bounds what waits for a slow writer, in bytes.
const maxPending = 1 << 20

// queue hands lines to a writer in order, from a goroutine that lives only while there are lines.
type queue struct {
	w       io.Writer
	dropped atomic.Uint64

	mu      sync.Mutex
	pending []byte
	spare   []byte // the buffer written last, for the next lines
	lines   uint64 // in pending
	running bool   // a goroutine empties the queue
	idle    chan struct{}
}

// add appends a line, which must end in a newline, and returns at once.
func (q *queue) add(line []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pending)+len(line) > maxPending {
		q.dropped.Add(1)
		return
	}
	q.pending = append(q.pending, line...)
	q.lines++
	if !q.running {
		q.running, q.idle = true, make(chan struct{})
		go q.drain()
	}
}

// drain writes until nothing is pending.
func (q *queue) drain() {
	for {
		batch, lines := q.take()
		if lines == 0 {
			return
		}
		if err := safeWrite(q.w, batch); err != nil {
			q.dropped.Add(lines)
		}
		q.giveBack(batch)
	}
}

// take returns all that is pending. It returns 0 lines, and ends the run, if that is nothing.
func (q *queue) take() (batch []byte, lines uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lines == 0 {
		q.running = false
		close(q.idle)
		return nil, 0
	}
	batch, lines = q.pending, q.lines
	q.pending, q.spare, q.lines = q.spare[:0], nil, 0
	return batch, lines
}

func (q *queue) giveBack(batch []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spare = batch
}

// flush waits until the queue was empty once.
func (q *queue) flush(timeout time.Duration) bool {
	q.mu.Lock()
	running, idle := q.running, q.idle
	q.mu.Unlock()
	if !running {
		return true
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-idle:
		return true
	case <-timer.C:
		return false
	}
}

// safeWrite turns a panic of w into an error: a log must not take the server down.
func safeWrite(w io.Writer, p []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("log writer panicked: %v", r)
		}
	}()
	_, err = w.Write(p)
	return err
}
