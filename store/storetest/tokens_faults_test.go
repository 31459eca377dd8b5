package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/token"
)

// A tokenFault is one promise broken, and the parts of the suite that must notice.
type tokenFault struct {
	name, caught string
	apply        func(b *brokenTokens)
}

var tokenSetups = []struct {
	name, caught string
	open         func(*testing.T) Tokens
}{
	{"there is no store", "RoundTrip OneUse", func(*testing.T) Tokens { return Tokens{} }},
	{"the store is not empty", "DeleteSubject Prune Many", func(t *testing.T) Tokens {
		n := new(naiveTokens)
		old := newTokenSuite(t, Tokens{Store: n}).member("anna", newID())
		old.Expires = time.Unix(0, 0)
		n.put(old)
		return Tokens{Store: n}
	}},
	{"another process sees nothing", "Beside ParallelUses ParallelRotates ParallelCreates ParallelFamilies Families FamiliesParallel", func(*testing.T) Tokens {
		return Tokens{Store: new(naiveTokens), Beside: func(*testing.T) token.Store { return new(naiveTokens) }}
	}},
	{"another process has a cache", "Beside", func(*testing.T) Tokens {
		n := new(naiveTokens)
		return Tokens{Store: n, Beside: func(*testing.T) token.Store { return cachingTokens(n) }}
	}},
	{"a restart loses all", "Reopen", func(*testing.T) Tokens {
		return Tokens{Store: new(naiveTokens), Reopen: func(*testing.T) token.Store { return new(naiveTokens) }}
	}},
	{"a restart brings back what was ended, and forgets uses", "Reopen", func(*testing.T) Tokens {
		n, log := new(naiveTokens), new(naiveTokens)
		b := &brokenTokens{naiveTokens: n, create: func(ctx context.Context, rec token.Record) error {
			log.put(rec)
			return n.Create(ctx, rec)
		}}
		return Tokens{Store: b, Reopen: func(*testing.T) token.Store { return log }}
	}},
	{"overdue records are not removed", "Overdue", func(*testing.T) Tokens { return Tokens{Store: new(naiveTokens), Expires: true} }},
	{"records are removed a day too early", "Overdue RoundTrip", func(*testing.T) Tokens { return expiringTokens(false, 25*time.Hour) }},
}

// cachingTokens returns a store on n that remembers what Get has found.
func cachingTokens(n *naiveTokens) token.Store {
	cache := new(naiveTokens)
	return &brokenTokens{naiveTokens: n, get: func(ctx context.Context, key token.Key) (token.Record, error) {
		if rec, err := cache.Get(ctx, key); err == nil {
			return rec, nil
		}
		rec, err := n.Get(ctx, key)
		if err == nil {
			cache.put(rec)
		}
		return rec, err
	}}
}

// tokenFaults of one caller after another.
var tokenFaults = []tokenFault{
	// What is stored.
	{"times are cut to seconds", "RoundTrip", storingTokens(func(r *token.Record) {
		r.Expires, r.Used = r.Expires.Truncate(time.Second), r.Used.Truncate(time.Second)
	})},
	{"times are kept in nanoseconds of 64 bits", "RoundTrip", storingTokens(func(r *token.Record) { r.Expires = time.Unix(0, r.Expires.UnixNano()) })},
	{"zero times become the beginning of 1970", "RoundTrip Use", storingTokens(func(r *token.Record) {
		if r.Used.IsZero() {
			r.Used = time.Unix(0, 0)
		}
	})},
	{"bodies end at a NUL", "Bodies", storingTokens(func(r *token.Record) { r.Body, _, _ = bytes.Cut(r.Body, []byte{0}) })},
	{"bodies are kept as JSON", "Bodies", storingTokens(func(r *token.Record) {
		var text bytes.Buffer
		if json.Compact(&text, r.Body) == nil {
			r.Body = text.Bytes()
		}
	})},
	{"Sealed is kept as text", "Bodies", func(b *brokenTokens) {
		b.rotate = func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
			return b.naiveTokens.Rotate(ctx, key, used, bytes.ToValidUTF8(sealed, []byte("?")), next)
		}
	}},
	{"a new record was never used", "RoundTrip", storingTokens(func(r *token.Record) { r.Used, r.Next, r.Sealed = time.Time{}, none, nil })},
	{"any number of uses is a large number", "Use RoundTrip", storingTokens(func(r *token.Record) {
		if r.Left < 0 {
			r.Left = 1 << 30
		}
	})},
	{"no use left is any number", "Use", storingTokens(func(r *token.Record) {
		if r.Left == 0 {
			r.Left = -1
		}
	})},
	{"uses have 16 bits", "RoundTrip", storingTokens(func(r *token.Record) { r.Left = int(int16(r.Left)) })},
	{"the id is not kept", "RoundTrip Names", storingTokens(func(r *token.Record) { r.ID = "" })},
	{"ids have no case", "Names", storingTokens(func(r *token.Record) { r.ID = strings.ToLower(r.ID) })},
	{"ids are given once", "Create", func(b *brokenTokens) {
		b.create = func(ctx context.Context, rec token.Record) error {
			if len(b.all(func(r token.Record) bool { return r.ID == rec.ID })) > 0 {
				return token.ErrExists
			}
			return b.naiveTokens.Create(ctx, rec)
		}
	}},
	{"keys lose their last byte", "Keys NotFound", func(b *brokenTokens) {
		cut := func(key token.Key) token.Key { key[len(key)-1] = 0; return key }
		b.create = func(ctx context.Context, rec token.Record) error {
			rec.Key = cut(rec.Key)
			return b.naiveTokens.Create(ctx, rec)
		}
		b.get = func(ctx context.Context, key token.Key) (token.Record, error) {
			rec, err := b.naiveTokens.Get(ctx, cut(key))
			rec.Key = key
			return rec, err
		}
	}},
	{"Create replaces what is there", "Create RandomSteps ParallelCreates AssertionOnce", func(b *brokenTokens) {
		b.create = func(ctx context.Context, rec token.Record) error {
			if ctx.Err() == nil {
				b.take(func(r token.Record) bool { return r.Key == rec.Key })
			}
			return b.naiveTokens.Create(ctx, rec)
		}
	}},
	{"Create joins a family", "Create ParallelFamilies RandomSteps", func(b *brokenTokens) {
		b.create = func(ctx context.Context, rec token.Record) error {
			err := b.naiveTokens.Create(ctx, rec)
			if errors.Is(err, token.ErrExists) && rec.Family != "" && len(b.all(func(r token.Record) bool { return r.Key == rec.Key })) == 0 {
				b.put(rec)
				return nil
			}
			return err
		}
	}},
	{"Create begins the family, and then looks at the key", "Create", func(b *brokenTokens) {
		b.create = func(ctx context.Context, rec token.Record) error {
			err := b.naiveTokens.Create(ctx, rec)
			b.mu.Lock()
			defer b.mu.Unlock()
			if _, known := b.m.families[rec.Family]; err != nil && rec.Family != "" && !known && ctx.Err() == nil {
				b.m.families[rec.Family] = true
			}
			return err
		}
	}},
	{"a taken key is another error", "Create ParallelCreates", func(b *brokenTokens) {
		b.create = func(ctx context.Context, rec token.Record) error {
			err := b.naiveTokens.Create(ctx, rec)
			if errors.Is(err, token.ErrExists) {
				return errOther
			}
			return err
		}
	}},
	{"Get finds an empty record", "NotFound Delete RandomSteps", func(b *brokenTokens) {
		b.get = func(ctx context.Context, key token.Key) (token.Record, error) {
			rec, err := b.naiveTokens.Get(ctx, key)
			if errors.Is(err, token.ErrNotFound) {
				return token.Record{}, nil
			}
			return rec, err
		}
	}},
	{"Get does not find what is used up", "Use RoundTrip", func(b *brokenTokens) {
		b.get = func(ctx context.Context, key token.Key) (token.Record, error) {
			rec, err := b.naiveTokens.Get(ctx, key)
			if err == nil && (rec.Left == 0 || !rec.Used.IsZero()) {
				return token.Record{}, token.ErrNotFound
			}
			return rec, err
		}
	}},
	{"Get judges by the time", "Overdue Prune", func(b *brokenTokens) {
		b.get = func(ctx context.Context, key token.Key) (token.Record, error) {
			rec, err := b.naiveTokens.Get(ctx, key)
			if err == nil && rec.Expires.Before(time.Now()) {
				return token.Record{}, token.ErrNotFound
			}
			return rec, err
		}
	}},

	// Uses.
	{"Use does not count", "Use ParallelUses OneUse RandomSteps Reopen", func(b *brokenTokens) {
		b.use = func(ctx context.Context, key token.Key) (token.Record, error) { return b.naiveTokens.Get(ctx, key) }
	}},
	{"Use returns what was before it", "Use", func(b *brokenTokens) {
		b.use = func(ctx context.Context, key token.Key) (token.Record, error) {
			rec, err := b.naiveTokens.Use(ctx, key)
			if rec.Left >= 0 {
				rec.Left++
			}
			return rec, err
		}
	}},
	{"the last use removes the record", "Use", func(b *brokenTokens) {
		b.use = func(ctx context.Context, key token.Key) (token.Record, error) {
			rec, err := b.naiveTokens.Use(ctx, key)
			if err == nil && rec.Left == 0 {
				b.take(func(r token.Record) bool { return r.Key == key })
			}
			return rec, err
		}
	}},
	{"one that is used up is not found", "Use Reopen", func(b *brokenTokens) {
		b.use = func(ctx context.Context, key token.Key) (token.Record, error) {
			rec, err := b.naiveTokens.Use(ctx, key)
			if errors.Is(err, token.ErrSpent) {
				return rec, token.ErrNotFound
			}
			return rec, err
		}
	}},
	{"any number of uses counts down", "Use", func(b *brokenTokens) {
		b.use = func(ctx context.Context, key token.Key) (token.Record, error) {
			rec, err := b.naiveTokens.Use(ctx, key)
			if err == nil && rec.Left < 0 {
				rec.Left--
				b.change(key, func(r *token.Record) { r.Left = rec.Left })
			}
			return rec, err
		}
	}},
	{"Use makes what is not there", "NotFound Delete", func(b *brokenTokens) {
		b.use = func(ctx context.Context, key token.Key) (token.Record, error) {
			rec, err := b.naiveTokens.Use(ctx, key)
			if errors.Is(err, token.ErrNotFound) {
				return token.Record{Key: key}, nil
			}
			return rec, err
		}
	}},
	{"Use does not ask whether the family exists", "DeleteFamily UseAgainstDelete", func(b *brokenTokens) {
		ended := new(naiveTokens)
		b.delete = func(ctx context.Context, key token.Key, family string) error {
			for _, rec := range b.all(func(r token.Record) bool { return family != "" && r.Family == family }) {
				ended.put(rec)
			}
			return b.naiveTokens.Delete(ctx, key, family)
		}
		b.use = func(ctx context.Context, key token.Key) (token.Record, error) {
			rec, err := b.naiveTokens.Use(ctx, key)
			if errors.Is(err, token.ErrNotFound) {
				return ended.Use(ctx, key)
			}
			return rec, err
		}
	}},

	// Rotation.
	{"Rotate does not mark the old one", "Rotate RotateAgain ParallelRotates FamiliesReuse RandomSteps Beside", func(b *brokenTokens) {
		b.rotate = func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
			rec, err := b.naiveTokens.Rotate(ctx, key, used, sealed, next)
			if err == nil {
				b.change(key, func(r *token.Record) { r.Used, r.Next, r.Sealed = time.Time{}, none, nil })
			}
			return rec, err
		}
	}},
	{"Rotate returns what was before it", "Rotate RandomSteps", func(b *brokenTokens) {
		b.rotate = func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
			rec, err := b.naiveTokens.Rotate(ctx, key, used, sealed, next)
			if err == nil {
				rec.Used, rec.Next, rec.Sealed = time.Time{}, none, nil
			}
			return rec, err
		}
	}},
	{"Rotate again returns nothing", "RotateAgain ParallelRotates FamiliesParallel", func(b *brokenTokens) {
		b.rotate = func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
			rec, err := b.naiveTokens.Rotate(ctx, key, used, sealed, next)
			if err != nil {
				rec = token.Record{}
			}
			return rec, err
		}
	}},
	{"Rotate again replaces the successor", "RotateAgain RandomSteps ParallelRotates FamiliesParallel", func(b *brokenTokens) {
		b.rotate = func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
			if ctx.Err() == nil {
				b.change(key, func(r *token.Record) { r.Used, r.Next, r.Sealed = time.Time{}, none, nil })
			}
			return b.naiveTokens.Rotate(ctx, key, used, sealed, next)
		}
	}},
	{"Rotate again adds the next one, and says that it did not", "RotateAgain ParallelRotates", func(b *brokenTokens) {
		b.rotate = func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
			rec, err := b.naiveTokens.Rotate(ctx, key, used, sealed, next)
			if errors.Is(err, token.ErrSpent) && len(b.all(func(r token.Record) bool { return r.Key == next.Key })) == 0 {
				b.put(next)
			}
			return rec, err
		}
	}},
	{"Rotate judges by the time of use alone", "RoundTrip", func(b *brokenTokens) {
		b.rotate = func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
			b.change(key, func(r *token.Record) {
				if r.Used.Before(time.Now().Add(-30*time.Minute)) && !r.Used.IsZero() {
					r.Used, r.Next = time.Time{}, none
				}
			})
			return b.naiveTokens.Rotate(ctx, key, used, sealed, next)
		}
	}},
	{"Rotate replaces what has the next key", "RotateToTaken RandomSteps", func(b *brokenTokens) {
		b.rotate = func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
			if rec, err := b.naiveTokens.Get(ctx, key); err == nil && rec.Next == none && rec.Used.IsZero() && key != next.Key {
				b.take(func(r token.Record) bool { return r.Key == next.Key })
			}
			return b.naiveTokens.Rotate(ctx, key, used, sealed, next)
		}
	}},
	{"Rotate marks the old one, and fails at the next", "RotateToTaken RandomSteps", func(b *brokenTokens) {
		b.rotate = func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
			rec, err := b.naiveTokens.Rotate(ctx, key, used, sealed, next)
			if errors.Is(err, errTaken) {
				b.change(key, func(r *token.Record) { r.Used, r.Next, r.Sealed = used, next.Key, sealed })
			}
			return rec, err
		}
	}},
	{"the successor's family is not kept", "Rotate DeleteFamily DeleteSubject Reopen FamiliesReuse", func(b *brokenTokens) {
		b.rotate = func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
			rec, err := b.naiveTokens.Rotate(ctx, key, used, sealed, next)
			if err == nil {
				b.change(next.Key, func(r *token.Record) { r.Family = "" })
			}
			return rec, err
		}
	}},
	{"only families rotate", "RotateWithoutFamily", func(b *brokenTokens) {
		b.rotate = func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
			if next.Family == "" && ctx.Err() == nil {
				if rec, err := b.naiveTokens.Get(ctx, key); err == nil && rec.Family == "" {
					return token.Record{}, token.ErrNotFound
				}
			}
			return b.naiveTokens.Rotate(ctx, key, used, sealed, next)
		}
	}},
	{"Rotate makes what is not there", "NotFound Delete", func(b *brokenTokens) {
		b.rotate = func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
			rec, err := b.naiveTokens.Rotate(ctx, key, used, sealed, next)
			if errors.Is(err, token.ErrNotFound) {
				b.put(next)
			}
			return rec, err
		}
	}},
	{"a rotated one is gone", "Rotate RotateAgain Families FamiliesParallel FamiliesReuse", func(b *brokenTokens) {
		b.rotate = func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
			rec, err := b.naiveTokens.Rotate(ctx, key, used, sealed, next)
			if err == nil {
				b.take(func(r token.Record) bool { return r.Key == key })
			}
			return rec, err
		}
	}},
}

// storingTokens changes each record that is added.
func storingTokens(change func(*token.Record)) func(*brokenTokens) {
	return func(b *brokenTokens) {
		b.create = func(ctx context.Context, rec token.Record) error {
			rec = copiedToken(rec)
			change(&rec)
			return b.naiveTokens.Create(ctx, rec)
		}
	}
}

func addTokenFaults(add func(suite, name, caught string, run func(t *testing.T))) {
	for _, setup := range tokenSetups {
		add("tokens", setup.name, setup.caught, func(t *testing.T) { TestTokens(t, setup.open) })
	}
	for _, f := range slices.Concat(tokenFaults, tokenEnds, tokenRaces) {
		add("tokens", f.name, f.caught, func(t *testing.T) {
			TestTokens(t, func(*testing.T) Tokens {
				b := &brokenTokens{naiveTokens: new(naiveTokens)}
				f.apply(b)
				same := func(*testing.T) token.Store { return b }
				return Tokens{Store: b, Beside: same, Reopen: same}
			})
		})
	}
}
