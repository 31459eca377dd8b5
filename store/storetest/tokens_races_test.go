package storetest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/token"
)

// tokenRaces are the faults that show only where two do something at once, or somebody gives up half-way.
var tokenRaces = []tokenFault{
	{"Use looks how many are left, and writes one less", "ParallelUses OneUse RotateAgainstUse", func(b *brokenTokens) {
		b.use = func(ctx context.Context, key token.Key) (token.Record, error) {
			rec, err := b.naiveTokens.Get(ctx, key)
			if err != nil || rec.Left <= 0 {
				return b.naiveTokens.Use(ctx, key)
			}
			waits(ctx)
			rec.Left--
			b.change(key, func(r *token.Record) { r.Left = rec.Left })
			return rec, nil
		}
	}},
	{"Use writes the whole record", "RotateAgainstUse UseAgainstDelete", func(b *brokenTokens) {
		b.use = func(ctx context.Context, key token.Key) (token.Record, error) {
			rec, err := b.naiveTokens.Get(ctx, key)
			if err != nil || rec.Left == 0 {
				return b.naiveTokens.Use(ctx, key)
			}
			if rec.Left > 0 {
				rec.Left--
			}
			waits(ctx)
			b.put(rec)
			return rec, nil
		}
	}},
	{"Use counts, and looks later how many are left", "ParallelUses", func(b *brokenTokens) {
		b.use = func(ctx context.Context, key token.Key) (token.Record, error) {
			if rec, err := b.naiveTokens.Use(ctx, key); err != nil {
				return rec, err
			}
			waits(ctx)
			return b.naiveTokens.Get(ctx, key)
		}
	}},
	{"Rotate looks whether it was used, and writes", "ParallelRotates FamiliesParallel", func(b *brokenTokens) {
		b.rotate = func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
			rec, err := b.naiveTokens.Get(ctx, key)
			if err != nil || rec.Next != none || !rec.Used.IsZero() {
				return b.naiveTokens.Rotate(ctx, key, used, sealed, next)
			}
			waits(ctx)
			rec.Used, rec.Next, rec.Sealed = used, next.Key, sealed
			b.put(rec)
			b.put(next)
			return rec, nil
		}
	}},
	{"Rotate adds the next one, and marks the old one later", "CancelDuring", func(b *brokenTokens) {
		b.rotate = func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
			rec, err := b.naiveTokens.Get(ctx, key)
			if err != nil || rec.Next != none {
				return b.naiveTokens.Rotate(ctx, key, used, sealed, next)
			}
			b.put(next)
			if waits(ctx); ctx.Err() != nil {
				return token.Record{}, ctx.Err()
			}
			b.take(func(r token.Record) bool { return r.Key == next.Key })
			return b.naiveTokens.Rotate(ctx, key, used, sealed, next)
		}
	}},
	{"Rotate marks the old one, and adds the next one later", "CancelDuring RotateAgainstDelete FamiliesAgainstEnd FamiliesAgainstThief", func(b *brokenTokens) {
		b.rotate = func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
			rec, err := b.naiveTokens.Rotate(ctx, key, used, sealed, next)
			if err != nil {
				return rec, err
			}
			b.take(func(r token.Record) bool { return r.Key == next.Key })
			if waits(ctx); ctx.Err() != nil {
				return token.Record{}, ctx.Err()
			}
			b.put(next)
			return rec, nil
		}
	}},
	{"Rotate looks whether the family exists, and adds", "RotateAgainstDelete", func(b *brokenTokens) {
		b.rotate = func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
			rec, err := b.naiveTokens.Get(ctx, key)
			if err != nil || rec.Next != none || !rec.Used.IsZero() {
				return b.naiveTokens.Rotate(ctx, key, used, sealed, next)
			}
			waits(ctx)
			if rec, err = b.naiveTokens.Rotate(ctx, key, used, sealed, next); errors.Is(err, token.ErrNotFound) {
				next.Family = ""
				b.put(next)
				return token.Record{Used: used, Next: next.Key}, nil
			}
			return rec, err
		}
	}},
	{"Create looks whether the key is free, and adds", "ParallelCreates AssertionOnce", func(b *brokenTokens) {
		b.create = func(ctx context.Context, rec token.Record) error {
			if rec.Family != "" || len(b.all(func(r token.Record) bool { return r.Key == rec.Key })) > 0 {
				return b.naiveTokens.Create(ctx, rec)
			}
			waits(ctx)
			b.put(rec)
			return ctx.Err()
		}
	}},
	{"Create looks whether the family is new, and begins it", "ParallelFamilies", func(b *brokenTokens) {
		b.create = func(ctx context.Context, rec token.Record) error {
			if rec.Family == "" || len(b.all(func(r token.Record) bool { return r.Family == rec.Family })) > 0 {
				return b.naiveTokens.Create(ctx, rec)
			}
			waits(ctx)
			b.put(rec)
			return ctx.Err()
		}
	}},
	{"a subject's list is read, lengthened and written", "ParallelCreates", func(b *brokenTokens) {
		b.create = func(ctx context.Context, rec token.Record) error {
			all := b.all(func(token.Record) bool { return true })
			waits(ctx)
			b.mu.Lock()
			defer b.mu.Unlock()
			b.m.records = all
			return b.m.create(copiedToken(rec))
		}
	}},
	{"DeleteSubject lists, and removes each", "RotateAgainstDelete ParallelDeletes", func(b *brokenTokens) {
		b.deleteSubject = func(ctx context.Context, subject string, purposes []string) (families []string, err error) {
			found := b.all(func(r token.Record) bool {
				return r.Subject == subject && (len(purposes) == 0 || slices.Contains(purposes, r.Purpose))
			})
			waits(ctx)
			for _, rec := range found {
				b.take(func(r token.Record) bool { return r.Key == rec.Key })
				if rec.Family != "" && !slices.Contains(families, rec.Family) {
					families = append(families, rec.Family)
				}
			}
			return families, ctx.Err()
		}
	}},
	{"DeleteSubject lists, ends what it has listed, and tells of all", "CreateAgainstDelete ParallelDeletes", func(b *brokenTokens) {
		b.deleteSubject = func(ctx context.Context, subject string, purposes []string) (families []string, err error) {
			found, _ := (&naiveTokens{m: tokenModel{records: b.all(func(token.Record) bool { return true }), families: b.known()}}).DeleteSubject(ctx, subject, purposes...)
			waits(ctx)
			_, err = b.naiveTokens.DeleteSubject(ctx, subject, purposes...)
			return found, err
		}
	}},
	{"Delete of a family lists, and removes each", "RotateAgainstDelete CancelDuring FamiliesAgainstThief FamiliesAgainstEnd", func(b *brokenTokens) {
		b.delete = func(ctx context.Context, key token.Key, family string) error {
			if family == "" {
				return b.naiveTokens.Delete(ctx, key, family)
			}
			for _, rec := range b.all(func(r token.Record) bool { return r.Family == family }) {
				if waits(ctx); ctx.Err() != nil {
					return ctx.Err()
				}
				b.take(func(r token.Record) bool { return r.Key == rec.Key })
			}
			return ctx.Err()
		}
	}},
	{"Prune looks, and removes later", "ParallelPrunes", func(b *brokenTokens) {
		b.prune = func(ctx context.Context, before time.Time, limit int) (int, error) {
			found := b.all(func(r token.Record) bool { return r.Expires.Before(before) })
			found = found[:min(len(found), max(limit, 0))]
			waits(ctx)
			b.take(func(r token.Record) bool {
				return slices.ContainsFunc(found, func(f token.Record) bool { return f.Key == r.Key })
			})
			return len(found), ctx.Err()
		}
	}},

	// Contexts.
	{"Create ignores the context", "Context", func(b *brokenTokens) {
		b.create = func(ctx context.Context, rec token.Record) error {
			return b.naiveTokens.Create(context.WithoutCancel(ctx), rec)
		}
	}},
	{"Get ignores the context", "Context", func(b *brokenTokens) {
		b.get = func(ctx context.Context, key token.Key) (token.Record, error) {
			return b.naiveTokens.Get(context.WithoutCancel(ctx), key)
		}
	}},
	{"Use ignores the context", "Context", func(b *brokenTokens) {
		b.use = func(ctx context.Context, key token.Key) (token.Record, error) {
			return b.naiveTokens.Use(context.WithoutCancel(ctx), key)
		}
	}},
	{"Rotate ignores the context", "Context", func(b *brokenTokens) {
		b.rotate = func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
			return b.naiveTokens.Rotate(context.WithoutCancel(ctx), key, used, sealed, next)
		}
	}},
	{"Delete ignores the context", "Context", func(b *brokenTokens) {
		b.delete = func(ctx context.Context, key token.Key, family string) error {
			return b.naiveTokens.Delete(context.WithoutCancel(ctx), key, family)
		}
	}},
	{"DeleteSubject ignores the context", "Context", func(b *brokenTokens) {
		b.deleteSubject = func(ctx context.Context, subject string, purposes []string) ([]string, error) {
			return b.naiveTokens.DeleteSubject(context.WithoutCancel(ctx), subject, purposes...)
		}
	}},
	{"Prune ignores the context", "Context", func(b *brokenTokens) {
		b.prune = func(ctx context.Context, before time.Time, limit int) (int, error) {
			return b.naiveTokens.Prune(context.WithoutCancel(ctx), before, limit)
		}
	}},
	{"Use works, and says that it was cancelled", "Context", func(b *brokenTokens) {
		b.use = func(ctx context.Context, key token.Key) (token.Record, error) {
			rec, err := b.naiveTokens.Use(context.WithoutCancel(ctx), key)
			return rec, errors.Join(err, ctx.Err())
		}
	}},
	{"who gave up is told that there is none", "Context CancelStorm", func(b *brokenTokens) {
		b.get = func(ctx context.Context, key token.Key) (token.Record, error) {
			for range pick(50) {
				waits(ctx)
			}
			rec, err := b.naiveTokens.Get(ctx, key)
			if errors.Is(err, context.Canceled) {
				return token.Record{}, token.ErrNotFound
			}
			return rec, err
		}
	}},
	{"who comes after one who gave up gets that one's answer", "CancelStorm", func(b *brokenTokens) {
		late := make(chan token.Record, 1)
		b.get = func(ctx context.Context, key token.Key) (token.Record, error) {
			select {
			case rec := <-late:
				return rec, nil
			default:
			}
			rec, err := b.naiveTokens.Get(context.WithoutCancel(ctx), key)
			for range pick(50) {
				waits(ctx)
			}
			if ctx.Err() != nil && err == nil {
				select {
				case late <- rec:
				default:
				}
				return token.Record{}, ctx.Err()
			}
			return rec, err
		}
	}},
}

// known returns the families as they are.
func (n *naiveTokens) known() map[string]bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := map[string]bool{}
	for family, lives := range n.m.families {
		all[family] = lives
	}
	return all
}
