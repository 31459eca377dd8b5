package storetest

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

// naiveKeys are a keyring.Store so simple that it is right, so that whatever the suite finds in [brokenKeys] is what was broken in it.
type naiveKeys struct {
	mu    sync.Mutex
	rings map[string]naiveRing
}

type naiveRing struct {
	version int64
	keys    []keyring.Record
}

func newNaiveKeys() *naiveKeys { return &naiveKeys{rings: map[string]naiveRing{}} }

func copiedKeys(keys []keyring.Record) []keyring.Record {
	all := slices.Clone(keys)
	for i := range all {
		all[i].Material = bytes.Clone(all[i].Material)
	}
	return all
}

func (n *naiveKeys) Load(ctx context.Context, name string) ([]keyring.Record, int64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return copiedKeys(n.rings[name].keys), n.rings[name].version, ctx.Err()
}

func (n *naiveKeys) Save(ctx context.Context, name string, version int64, keys []keyring.Record) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if n.rings[name].version != version {
		return keyring.ErrConflict
	}
	n.rings[name] = naiveRing{version + 1, copiedKeys(keys)}
	return nil
}

func (n *naiveKeys) Rings(ctx context.Context) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(maps.Keys(n.rings)), ctx.Err()
}

// put makes a ring what it is here, whatever it was.
func (n *naiveKeys) put(name string, version int64, keys []keyring.Record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rings[name] = naiveRing{version, keys}
}

// brokenKeys do what their functions do, and where they are nil what the naive store does.
type brokenKeys struct {
	*naiveKeys
	load  func(ctx context.Context, name string) ([]keyring.Record, int64, error)
	save  func(ctx context.Context, name string, version int64, keys []keyring.Record) error
	rings func(ctx context.Context) ([]string, error)
}

func (b *brokenKeys) Load(ctx context.Context, name string) ([]keyring.Record, int64, error) {
	if b.load != nil {
		return b.load(ctx, name)
	}
	return b.naiveKeys.Load(ctx, name)
}

func (b *brokenKeys) Save(ctx context.Context, name string, version int64, keys []keyring.Record) error {
	if b.save != nil {
		return b.save(ctx, name, version, keys)
	}
	return b.naiveKeys.Save(ctx, name, version, keys)
}

func (b *brokenKeys) Rings(ctx context.Context) ([]string, error) {
	if b.rings != nil {
		return b.rings(ctx)
	}
	return b.naiveKeys.Rings(ctx)
}

// waits lets others get in between, or the caller give up. To yield the processor is not enough: whoever does it again and again goes on before those that another processor has yet to wake up for.
func waits(ctx context.Context) {
	select {
	case <-time.After(time.Millisecond):
	case <-ctx.Done():
	}
}

// TestKeySuite: a store that is right passes.
func TestKeySuite(t *testing.T) {
	TestKeys(t, func(*testing.T) Keys {
		store := newNaiveKeys()
		same := func(*testing.T) keyring.Store { return store }
		return Keys{Store: store, Beside: same, Reopen: same}
	})
}
