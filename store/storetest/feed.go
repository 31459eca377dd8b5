package storetest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// A feed is a revoke.Store so simple that it is right. The lists of the token suite are over it, since that store is not under test there.
type feed struct {
	mu      sync.Mutex
	last    int64
	entries []revoke.Entry
}

func (f *feed) lock(ctx context.Context) (unlock func(), err error) {
	f.mu.Lock()
	if err := ctx.Err(); err != nil {
		f.mu.Unlock()
		return nil, err
	}
	return f.mu.Unlock, nil
}

func (f *feed) Add(ctx context.Context, entries ...revoke.Entry) (int64, error) {
	unlock, err := f.lock(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	for _, e := range entries {
		f.last++
		e.Seq = f.last
		f.entries = append(f.entries, e)
	}
	return f.last, nil
}

func (f *feed) Since(ctx context.Context, after int64, limit int) (revoke.Page, error) {
	unlock, err := f.lock(ctx)
	if err != nil {
		return revoke.Page{}, err
	}
	defer unlock()
	page := revoke.Page{Last: f.last}
	for _, e := range f.entries {
		if e.Seq > after && len(page.Entries) < limit {
			page.Entries = append(page.Entries, e)
		}
	}
	return page, nil
}

func (f *feed) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	unlock, err := f.lock(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	n := 0
	f.entries = slices.DeleteFunc(f.entries, func(e revoke.Entry) bool {
		overdue := e.Expires.Before(before) && n < limit
		if overdue {
			n++
		}
		return overdue
	})
	return n, nil
}
