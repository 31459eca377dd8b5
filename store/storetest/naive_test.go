package storetest

import (
	"bytes"
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

// A naive store is the suite's model behind a lock. It is right, so that whatever the suite finds in a [broken] one is what was broken in it.
type naive struct {
	mu      sync.Mutex
	m       model
	changes atomic.Int64 // calls that write, begun
}

func (n *naive) lock(ctx context.Context) (unlock func(), err error) {
	n.mu.Lock()
	if err := ctx.Err(); err != nil {
		n.mu.Unlock()
		return nil, err
	}
	return n.mu.Unlock, nil
}

func copied(rec session.Record) session.Record {
	rec.Body = bytes.Clone(rec.Body)
	return rec
}

func (n *naive) Create(ctx context.Context, rec session.Record, replaces session.Key) error {
	n.changes.Add(1)
	unlock, err := n.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return n.m.create(copied(rec), replaces)
}

func (n *naive) Get(ctx context.Context, key session.Key) (session.Record, error) {
	unlock, err := n.lock(ctx)
	if err != nil {
		return session.Record{}, err
	}
	defer unlock()
	if i := n.m.find(key); i >= 0 {
		return copied(n.m.records[i]), nil
	}
	return session.Record{}, session.ErrNotFound
}

func (n *naive) Update(ctx context.Context, rec session.Record) error {
	n.changes.Add(1)
	unlock, err := n.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return n.m.update(copied(rec))
}

func (n *naive) Touch(ctx context.Context, key session.Key, seen, deadline time.Time) error {
	n.changes.Add(1)
	unlock, err := n.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return n.m.touch(session.Record{Key: key, Seen: seen, Deadline: deadline})
}

func (n *naive) Delete(ctx context.Context, key session.Key) error {
	n.changes.Add(1)
	unlock, err := n.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	n.m.delete(func(r session.Record) bool { return r.Key == key })
	return nil
}

func (n *naive) List(ctx context.Context, subject string) ([]session.Record, error) {
	unlock, err := n.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	list := n.m.list(subject)
	for i := range list {
		list[i] = copied(list[i])
	}
	return list, nil
}

func (n *naive) DeleteAll(ctx context.Context, subject string, except session.Key) (int, error) {
	n.changes.Add(1)
	unlock, err := n.lock(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	return n.m.delete(func(r session.Record) bool { return r.Subject == subject && r.Key != except }), nil
}

func (n *naive) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	n.changes.Add(1)
	unlock, err := n.lock(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	removed := 0
	return n.m.delete(func(r session.Record) bool {
		if r.Deadline.Before(before) && removed < limit {
			removed++
			return true
		}
		return false
	}), nil
}

// What follows is for breaking it.

// peek returns the record under key as it is now, whatever the context.
func (n *naive) peek(key session.Key) (session.Record, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i := n.m.find(key); i >= 0 {
		return copied(n.m.records[i]), true
	}
	return session.Record{}, false
}

// put stores rec, whatever was there.
func (n *naive) put(rec session.Record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i := n.m.find(rec.Key); i >= 0 {
		n.m.records[i] = copied(rec)
		return
	}
	n.m.records = append(n.m.records, copied(rec))
}

// all returns the records for which match is true.
func (n *naive) all(match func(session.Record) bool) (found []session.Record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, rec := range n.m.records {
		if match(rec) {
			found = append(found, copied(rec))
		}
	}
	slices.SortFunc(found, func(a, b session.Record) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return bytes.Compare([]byte(a.ID), []byte(b.ID))
	})
	return found
}

// letOthers gives others the time to write something, as a network would: what was read before may be out of date after it.
func (n *naive) letOthers() {
	was := n.changes.Load()
	for range 5000 {
		runtime.Gosched()
		if n.changes.Load() > was+1 {
			return
		}
	}
	waits(context.Background())
}
