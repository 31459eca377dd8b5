package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

// A keyFault is one promise broken, and the parts of the suite that must notice.
type keyFault struct {
	name, caught string
	apply        func(b *brokenKeys)
}

// keySetups are faults in what open returns.
var keySetups = []struct {
	name, caught string
	open         func(*testing.T) Keys
}{
	{"there is no store", "RoundTrip RingsRetire", func(*testing.T) Keys { return Keys{} }},
	{"the store is not empty", "NeverSaved Rings", func(*testing.T) Keys {
		n := newNaiveKeys()
		n.put("access", 1, nil)
		return Keys{Store: n}
	}},
	{"another process sees nothing", "Beside ParallelCounting RingsRotateOnce", func(*testing.T) Keys {
		return Keys{Store: newNaiveKeys(), Beside: func(*testing.T) keyring.Store { return newNaiveKeys() }}
	}},
	{"another process has a cache", "Beside RingsFollow", func(*testing.T) Keys {
		n := newNaiveKeys()
		return Keys{Store: n, Beside: func(*testing.T) keyring.Store { return cachingKeys(n) }}
	}},
	{"a restart loses all", "Reopen", func(*testing.T) Keys {
		return Keys{Store: newNaiveKeys(), Reopen: func(*testing.T) keyring.Store { return newNaiveKeys() }}
	}},
	{"a restart loses the versions", "Reopen", func(*testing.T) Keys {
		n := newNaiveKeys()
		return Keys{Store: n, Reopen: func(*testing.T) keyring.Store {
			for name, r := range n.rings {
				n.rings[name] = naiveRing{1, r.keys}
			}
			return n
		}}
	}},
	{"a restart brings back the first keys", "Reopen", func(*testing.T) Keys {
		n, log := newNaiveKeys(), newNaiveKeys()
		b := &brokenKeys{naiveKeys: n, save: func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			if version == 0 {
				log.put(name, 1, copiedKeys(keys))
			}
			return n.Save(ctx, name, version, keys)
		}}
		return Keys{Store: b, Reopen: func(*testing.T) keyring.Store { return log }}
	}},
}

// cachingKeys returns a store on n that remembers what it has loaded.
func cachingKeys(n *naiveKeys) keyring.Store {
	cache := newNaiveKeys()
	return &brokenKeys{naiveKeys: n, load: func(ctx context.Context, name string) ([]keyring.Record, int64, error) {
		if keys, version, err := cache.Load(ctx, name); version > 0 {
			return keys, version, err
		}
		keys, version, err := n.Load(ctx, name)
		if version > 0 {
			cache.put(name, version, copiedKeys(keys))
		}
		return keys, version, err
	}}
}

var keyFaults = []keyFault{
	// What is saved.
	{"times are cut to seconds", "RoundTrip", savingKeys(func(k *keyring.Record) {
		k.Created, k.Active, k.Gone = k.Created.Truncate(time.Second), k.Active.Truncate(time.Second), k.Gone.Truncate(time.Second)
	})},
	{"times are kept in nanoseconds of 64 bits", "RoundTrip", savingKeys(func(k *keyring.Record) { k.Gone = time.Unix(0, k.Gone.UnixNano()) })},
	{"zero times become the beginning of 1970", "RoundTrip", savingKeys(func(k *keyring.Record) {
		if k.Gone.IsZero() {
			k.Gone = time.Unix(0, 0)
		}
	})},
	{"the beginning of 1970 becomes zero", "RoundTrip", savingKeys(func(k *keyring.Record) {
		if k.Gone.Unix() == 0 {
			k.Gone = time.Time{}
		}
	})},
	{"the lifetime is kept in seconds", "RoundTrip", savingKeys(func(k *keyring.Record) { k.Lifetime = k.Lifetime.Truncate(time.Second) })},
	{"the algorithm is always the default", "RoundTrip", savingKeys(func(k *keyring.Record) { k.Algorithm = keyring.ES256 })},
	{"material ends at a NUL", "Material", savingKeys(func(k *keyring.Record) { k.Material, _, _ = bytes.Cut(k.Material, []byte{0}) })},
	{"material is kept as JSON", "Material", savingKeys(func(k *keyring.Record) {
		var text bytes.Buffer
		if json.Compact(&text, k.Material) == nil {
			k.Material = text.Bytes()
		}
	})},
	{"a column holds 60 KB", "Material", savingKeys(func(k *keyring.Record) { k.Material = k.Material[:min(len(k.Material), 60000)] })},
	{"what is gone has some material", "RoundTrip Replace", savingKeys(func(k *keyring.Record) {
		if !k.Gone.IsZero() {
			k.Material = []byte("kept")
		}
	})},
	{"ids have no case", "IDs", savingKeys(func(k *keyring.Record) { k.ID = strings.ToLower(k.ID) })},
	{"keys that are gone are left out", "RoundTrip Replace RingsRetire", func(b *brokenKeys) {
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			live := slices.DeleteFunc(slices.Clone(keys), func(k keyring.Record) bool { return len(k.Material) == 0 })
			return b.naiveKeys.Save(ctx, name, version, live)
		}
	}},
	{"two keys with one id become one", "IDs", func(b *brokenKeys) {
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			ids := map[string]bool{}
			one := slices.DeleteFunc(slices.Clone(keys), func(k keyring.Record) bool {
				was := ids[k.ID]
				ids[k.ID] = true
				return was
			})
			return b.naiveKeys.Save(ctx, name, version, one)
		}
	}},
	{"two keys with one id are a conflict", "IDs", func(b *brokenKeys) {
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			for i, k := range keys {
				if slices.ContainsFunc(keys[:i], func(o keyring.Record) bool { return o.ID == k.ID }) {
					return keyring.ErrConflict
				}
			}
			return b.naiveKeys.Save(ctx, name, version, keys)
		}
	}},
	{"keys are sorted by id", "Order RoundTrip", loadingKeys(func(keys []keyring.Record) []keyring.Record {
		slices.SortFunc(keys, func(a, b keyring.Record) int { return strings.Compare(a.ID, b.ID) })
		return keys
	})},
	{"keys are sorted by age", "Order", loadingKeys(func(keys []keyring.Record) []keyring.Record {
		slices.SortStableFunc(keys, func(a, b keyring.Record) int { return a.Created.Compare(b.Created) })
		return keys
	})},
	{"there are never more than a hundred", "Large", loadingKeys(func(keys []keyring.Record) []keyring.Record { return keys[:min(len(keys), 100)] })},
	{"what was there stays", "Replace RandomSteps", func(b *brokenKeys) {
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			old, _, _ := b.naiveKeys.Load(ctx, name)
			for _, k := range old {
				if !slices.ContainsFunc(keys, func(o keyring.Record) bool { return o.ID == k.ID }) {
					keys = append(keys[:len(keys):len(keys)], k)
				}
			}
			return b.naiveKeys.Save(ctx, name, version, keys)
		}
	}},

	// Versions.
	{"versions are not looked at", "Versions NeverSaved Replace ParallelSaves ParallelFirst ParallelCounting RandomSteps", func(b *brokenKeys) {
		b.save = func(ctx context.Context, name string, _ int64, keys []keyring.Record) error {
			_, version, err := b.naiveKeys.Load(ctx, name)
			if err != nil {
				return err
			}
			return b.naiveKeys.Save(ctx, name, version, keys)
		}
	}},
	{"only older versions are refused", "Versions NeverSaved", func(b *brokenKeys) {
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			_, now, err := b.naiveKeys.Load(ctx, name)
			if err != nil || version < now {
				return errors.Join(err, keyring.ErrConflict)
			}
			b.put(name, version+1, copiedKeys(keys))
			return nil
		}
	}},
	{"versions have 32 bits", "Versions", func(b *brokenKeys) {
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			return b.naiveKeys.Save(ctx, name, int64(int32(version)), keys)
		}
	}},
	{"the version stays where nothing changes", "Versions", func(b *brokenKeys) {
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			old, now, _ := b.naiveKeys.Load(ctx, name)
			if now == version && now > 0 && differInKeys(old, keys) == "" && ctx.Err() == nil {
				return nil
			}
			return b.naiveKeys.Save(ctx, name, version, keys)
		}
	}},
	{"a conflict is another error", "Versions ParallelSaves", func(b *brokenKeys) {
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			err := b.naiveKeys.Save(ctx, name, version, keys)
			if errors.Is(err, keyring.ErrConflict) {
				return errOther
			}
			return err
		}
	}},
	{"a conflict is no error", "Versions RandomSteps", func(b *brokenKeys) {
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			err := b.naiveKeys.Save(ctx, name, version, keys)
			if errors.Is(err, keyring.ErrConflict) {
				return nil
			}
			return err
		}
	}},
	{"an emptied ring is forgotten", "Replace RandomSteps", func(b *brokenKeys) {
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			err := b.naiveKeys.Save(ctx, name, version, keys)
			if err == nil && len(keys) == 0 {
				b.mu.Lock()
				delete(b.naiveKeys.rings, name)
				b.mu.Unlock()
			}
			return err
		}
	}},
	{"a ring that was never saved is an error", "NeverSaved RingsRotateOnce", func(b *brokenKeys) {
		b.load = func(ctx context.Context, name string) ([]keyring.Record, int64, error) {
			keys, version, err := b.naiveKeys.Load(ctx, name)
			if version == 0 && err == nil {
				return nil, 0, errOther
			}
			return keys, version, err
		}
	}},
	{"to load a ring makes it", "NeverSaved", func(b *brokenKeys) {
		b.load = func(ctx context.Context, name string) ([]keyring.Record, int64, error) {
			keys, version, err := b.naiveKeys.Load(ctx, name)
			if version == 0 && err == nil {
				b.put(name, 0, nil)
			}
			return keys, version, err
		}
	}},

	// Names.
	{"names have no case", "NeverSaved Rings RandomSteps", namingRings(strings.ToLower)},
	{"names have no space at the end", "NeverSaved Rings", namingRings(func(name string) string { return strings.TrimRight(name, " ") })},
	{"names are composed", "Rings", namingRings(func(name string) string { return strings.ReplaceAll(name, "e\u0301", "é") })},
	{"names are cut", "Rings", namingRings(func(name string) string { return name[:min(len(name), 3)] })},
	{"names are patterns", "NeverSaved", func(b *brokenKeys) {
		b.load = func(ctx context.Context, name string) ([]keyring.Record, int64, error) {
			if start, pattern := strings.CutSuffix(name, "%"); pattern {
				names, _ := b.naiveKeys.Rings(ctx)
				for _, n := range names {
					if strings.HasPrefix(n, start) {
						return b.naiveKeys.Load(ctx, n)
					}
				}
			}
			return b.naiveKeys.Load(ctx, name)
		}
	}},
	{"names are in no order", "Rings ParallelRings Replace", func(b *brokenKeys) {
		b.rings = func(ctx context.Context) ([]string, error) {
			names, err := b.naiveKeys.Rings(ctx)
			slices.Reverse(names)
			return names, err
		}
	}},
	{"names are sorted without case", "Rings", func(b *brokenKeys) {
		b.rings = func(ctx context.Context) ([]string, error) {
			names, err := b.naiveKeys.Rings(ctx)
			slices.SortFunc(names, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
			return names, err
		}
	}},
	{"rings without keys are not named", "Replace Reopen RandomSteps", func(b *brokenKeys) {
		b.rings = func(ctx context.Context) ([]string, error) {
			names, err := b.naiveKeys.Rings(ctx)
			return slices.DeleteFunc(names, func(name string) bool {
				keys, _, _ := b.naiveKeys.Load(ctx, name)
				return len(keys) == 0
			}), err
		}
	}},

	// Copies.
	{"Save keeps what it was given", "Copies", func(b *brokenKeys) {
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			err := b.naiveKeys.Save(ctx, name, version, keys)
			if err == nil {
				b.put(name, version+1, keys)
			}
			return err
		}
	}},
	{"Load gives what it keeps", "Copies", func(b *brokenKeys) {
		b.load = func(ctx context.Context, name string) ([]keyring.Record, int64, error) {
			keys, version, err := b.naiveKeys.Load(ctx, name)
			if version > 0 {
				b.put(name, version, keys)
			}
			return keys, version, err
		}
	}},
	{"Save writes into what Load has given", "Copies", func(b *brokenKeys) {
		var given []keyring.Record
		b.load = func(ctx context.Context, name string) ([]keyring.Record, int64, error) {
			keys, version, err := b.naiveKeys.Load(ctx, name)
			given = keys
			return keys, version, err
		}
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			if len(given) > 0 && len(keys) > 0 {
				copy(given[0].Material, keys[0].Material)
			}
			return b.naiveKeys.Save(ctx, name, version, keys)
		}
	}},

	// Contexts.
	{"Load ignores the context", "Context", func(b *brokenKeys) {
		b.load = func(ctx context.Context, name string) ([]keyring.Record, int64, error) {
			return b.naiveKeys.Load(context.WithoutCancel(ctx), name)
		}
	}},
	{"Save ignores the context", "Context", func(b *brokenKeys) {
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			return b.naiveKeys.Save(context.WithoutCancel(ctx), name, version, keys)
		}
	}},
	{"Save works, and says that it was cancelled", "Context", func(b *brokenKeys) {
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			return errors.Join(b.naiveKeys.Save(context.WithoutCancel(ctx), name, version, keys), ctx.Err())
		}
	}},
	{"Rings ignores the context", "Context", func(b *brokenKeys) {
		b.rings = func(ctx context.Context) ([]string, error) { return b.naiveKeys.Rings(context.WithoutCancel(ctx)) }
	}},
	{"who gave up is told of a conflict", "Context CancelDuring", func(b *brokenKeys) {
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			waits(ctx)
			if ctx.Err() != nil {
				return keyring.ErrConflict
			}
			return b.naiveKeys.Save(ctx, name, version, keys)
		}
	}},
	{"Save takes the keys away first", "CancelDuring LoadAgainstSave", func(b *brokenKeys) {
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			if _, now, err := b.naiveKeys.Load(ctx, name); err != nil || now != version {
				return errors.Join(err, b.naiveKeys.Save(ctx, name, version, keys))
			}
			b.put(name, version, nil)
			if waits(ctx); ctx.Err() != nil {
				return ctx.Err()
			}
			return b.naiveKeys.Save(ctx, name, version, keys)
		}
	}},

	// Races.
	{"Save looks at the version, and writes", "ParallelSaves ParallelFirst ParallelCounting", func(b *brokenKeys) {
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			if _, now, err := b.naiveKeys.Load(ctx, name); err != nil || now != version {
				return errors.Join(err, b.naiveKeys.Save(ctx, name, version, keys))
			}
			waits(ctx)
			b.put(name, version+1, copiedKeys(keys))
			return nil
		}
	}},
	{"the first Save looks whether there is a ring, and adds it", "ParallelFirst RingsRotateOnce", func(b *brokenKeys) {
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			if _, now, _ := b.naiveKeys.Load(ctx, name); version > 0 || now > 0 {
				return b.naiveKeys.Save(ctx, name, version, keys)
			}
			waits(ctx)
			b.put(name, 1, copiedKeys(keys))
			return nil
		}
	}},
	{"one writer at a time, and the others are refused", "ParallelRings", func(b *brokenKeys) {
		var busy = make(chan struct{}, 1)
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			select {
			case busy <- struct{}{}:
				defer func() { <-busy }()
			default:
				return errOther
			}
			waits(ctx)
			return b.naiveKeys.Save(ctx, name, version, keys)
		}
	}},
	{"all rings are one value that is read, changed and written", "ParallelRings", func(b *brokenKeys) {
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			b.mu.Lock()
			all := map[string]naiveRing{}
			for n, r := range b.naiveKeys.rings {
				all[n] = r
			}
			b.mu.Unlock()
			waits(ctx)
			if all[name].version != version {
				return keyring.ErrConflict
			}
			all[name] = naiveRing{version + 1, copiedKeys(keys)}
			b.mu.Lock()
			b.naiveKeys.rings = all
			b.mu.Unlock()
			return nil
		}
	}},
	{"Load reads the version first, and the keys later", "LoadAgainstSave", func(b *brokenKeys) {
		b.load = func(ctx context.Context, name string) ([]keyring.Record, int64, error) {
			_, version, err := b.naiveKeys.Load(ctx, name)
			if err != nil {
				return nil, 0, err
			}
			waits(ctx)
			keys, _, err := b.naiveKeys.Load(ctx, name)
			return keys, version, err
		}
	}},
	{"what is retired comes back", "RingsRetire", func(b *brokenKeys) {
		first := map[string]keyring.Record{}
		var mu sync.Mutex
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			mu.Lock()
			defer mu.Unlock()
			err := b.naiveKeys.Save(ctx, name, version, keys)
			for _, k := range keys {
				if _, known := first[k.ID]; !known {
					first[k.ID] = k
				}
			}
			if err == nil && name == "access" && version > 0 {
				back := slices.Clone(keys)
				for i := range back {
					back[i] = first[back[i].ID]
				}
				b.put(name, version+1, back)
			}
			return err
		}
	}},
}

// savingKeys changes each key that is saved.
func savingKeys(change func(*keyring.Record)) func(*brokenKeys) {
	return func(b *brokenKeys) {
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			keys = copiedKeys(keys)
			for i := range keys {
				change(&keys[i])
			}
			return b.naiveKeys.Save(ctx, name, version, keys)
		}
	}
}

// loadingKeys changes what is loaded.
func loadingKeys(change func([]keyring.Record) []keyring.Record) func(*brokenKeys) {
	return func(b *brokenKeys) {
		b.load = func(ctx context.Context, name string) ([]keyring.Record, int64, error) {
			keys, version, err := b.naiveKeys.Load(ctx, name)
			return change(keys), version, err
		}
	}
}

// namingRings changes the names of rings.
func namingRings(change func(string) string) func(*brokenKeys) {
	return func(b *brokenKeys) {
		b.load = func(ctx context.Context, name string) ([]keyring.Record, int64, error) {
			return b.naiveKeys.Load(ctx, change(name))
		}
		b.save = func(ctx context.Context, name string, version int64, keys []keyring.Record) error {
			return b.naiveKeys.Save(ctx, change(name), version, keys)
		}
	}
}

func addKeyFaults(add func(suite, name, caught string, run func(t *testing.T))) {
	for _, setup := range keySetups {
		add("keys", setup.name, setup.caught, func(t *testing.T) { TestKeys(t, setup.open) })
	}
	for _, f := range keyFaults {
		add("keys", f.name, f.caught, func(t *testing.T) {
			TestKeys(t, func(*testing.T) Keys {
				b := &brokenKeys{naiveKeys: newNaiveKeys()}
				f.apply(b)
				same := func(*testing.T) keyring.Store { return b }
				return Keys{Store: b, Beside: same, Reopen: same}
			})
		})
	}
}
