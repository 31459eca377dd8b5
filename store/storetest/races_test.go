package storetest

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

// races are the faults that show only where two do something at once, or somebody gives up half-way.
var races = []fault{
	{"Update reads, compares, and writes", "ParallelUpdates ParallelCounting ChangeAgainstDelete TableData", func(b *broken) {
		b.update = func(ctx context.Context, rec session.Record) error {
			b.changes.Add(1)
			old, err := b.naive.Get(ctx, rec.Key)
			if err != nil {
				return err
			}
			if old.Version != rec.Version {
				return session.ErrConflict
			}
			b.letOthers()
			old.Body, old.Seen, old.Deadline, old.Version = rec.Body, rec.Seen, rec.Deadline, old.Version+1
			b.put(old)
			return nil
		}
	}},
	{"Touch reads, compares, and writes", "ParallelTouches ChangeAgainstDelete", func(b *broken) {
		b.touch = func(ctx context.Context, key session.Key, seen, deadline time.Time) error {
			b.changes.Add(1)
			old, err := b.naive.Get(ctx, key)
			if err != nil {
				return err
			}
			b.letOthers()
			if seen.After(old.Seen) {
				old.Seen, old.Deadline = seen, deadline
				b.put(old)
			}
			return nil
		}
	}},
	{"Create looks, removes, and adds", "ParallelReplace ReplaceAgainstDeleteAll SparedAgainstDeleteAll CancelDuring TableRenewAgainstEndAll", func(b *broken) {
		b.create = func(ctx context.Context, rec session.Record, replaces session.Key) error {
			if replaces.IsZero() {
				return b.naive.Create(ctx, rec, replaces)
			}
			if _, err := b.naive.Get(ctx, replaces); err != nil {
				return err
			}
			b.letOthers()
			if err := b.naive.Delete(ctx, replaces); err != nil {
				return err
			}
			waits(ctx)
			return b.naive.Create(ctx, rec, session.Key{})
		}
	}},
	{"Create adds, and removes later", "CancelDuring", func(b *broken) {
		b.create = func(ctx context.Context, rec session.Record, replaces session.Key) error {
			if replaces.IsZero() {
				return b.naive.Create(ctx, rec, replaces)
			}
			if err := b.naive.Create(ctx, rec, session.Key{}); err != nil {
				return err
			}
			waits(ctx)
			return b.naive.Delete(ctx, replaces)
		}
	}},
	{"Update writes in two steps", "CancelDuring", func(b *broken) {
		b.update = func(ctx context.Context, rec session.Record) error {
			if err := b.naive.Update(ctx, rec); err != nil {
				return err
			}
			whole, _ := b.peek(rec.Key)
			half := whole
			half.Version--
			b.put(half)
			if waits(ctx); ctx.Err() != nil {
				return ctx.Err()
			}
			b.put(whole)
			return nil
		}
	}},
	{"Create looks whether key and id are free, and adds", "ParallelSame", func(b *broken) {
		b.create = func(ctx context.Context, rec session.Record, replaces session.Key) error {
			b.changes.Add(1)
			if len(b.all(func(r session.Record) bool { return r.Key == rec.Key || r.ID == rec.ID })) > 0 {
				return session.ErrExists
			}
			b.letOthers()
			b.mu.Lock()
			b.m.records = append(b.m.records, copied(rec))
			b.mu.Unlock()
			return nil
		}
	}},
	{"the list is read, lengthened, and written", "ParallelCreates", func(b *broken) {
		b.create = func(ctx context.Context, rec session.Record, _ session.Key) error {
			b.changes.Add(1)
			all := b.all(func(session.Record) bool { return true })
			b.letOthers()
			b.mu.Lock()
			b.m.records = append(all, copied(rec))
			b.mu.Unlock()
			return nil
		}
	}},
	{"DeleteAll lists, and deletes each", "ParallelDeleteAll ReplaceAgainstDeleteAll SparedAgainstDeleteAll TableRenewAgainstEndAll", func(b *broken) {
		b.deleteAll = func(ctx context.Context, subject string, except session.Key) (int, error) {
			found := b.all(func(r session.Record) bool { return r.Subject == subject && r.Key != except })
			b.letOthers()
			for _, rec := range found {
				if err := b.naive.Delete(ctx, rec.Key); err != nil {
					return 0, err
				}
			}
			return len(found), ctx.Err()
		}
	}},
	{"DeleteAll lists, deletes each, and forgets the list", "CreateAgainstDeleteAll", func(b *broken) {
		var mu sync.Mutex
		forgotten := map[session.Key]bool{}
		b.deleteAll = func(ctx context.Context, subject string, except session.Key) (int, error) {
			found := b.all(func(r session.Record) bool { return r.Subject == subject && r.Key != except })
			b.letOthers()
			for _, rec := range found {
				b.naive.Delete(ctx, rec.Key)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, rec := range b.all(func(r session.Record) bool { return r.Subject == subject }) {
				forgotten[rec.Key] = true
			}
			return len(found), ctx.Err()
		}
		b.list = func(ctx context.Context, subject string) ([]session.Record, error) {
			mu.Lock()
			defer mu.Unlock()
			return b.all(func(r session.Record) bool { return r.Subject == subject && !forgotten[r.Key] }), ctx.Err()
		}
	}},
	{"Prune lists, and deletes each", "ParallelDeleteAll TouchAgainstPrune", func(b *broken) {
		b.prune = func(ctx context.Context, before time.Time, limit int) (int, error) {
			found := b.all(func(r session.Record) bool { return r.Deadline.Before(before) })
			found = found[:min(len(found), limit)]
			b.letOthers()
			for _, rec := range found {
				b.naive.Delete(ctx, rec.Key)
			}
			return len(found), ctx.Err()
		}
	}},
	{"a busy store has an error of its own", "ParallelUpdates ParallelReplace ParallelSame", func(b *broken) {
		var busy atomic.Bool
		alone := func(do func() error) error {
			if !busy.CompareAndSwap(false, true) {
				return errOther
			}
			defer busy.Store(false)
			b.letOthers()
			return do()
		}
		b.create = func(ctx context.Context, rec session.Record, replaces session.Key) error {
			b.changes.Add(1)
			return alone(func() error { return b.naive.Create(ctx, rec, replaces) })
		}
		b.update = func(ctx context.Context, rec session.Record) error {
			b.changes.Add(1)
			return alone(func() error { return b.naive.Update(ctx, rec) })
		}
	}},
	{"an answer goes to whoever asks next", "CancelStorm", func(b *broken) {
		var left atomic.Pointer[session.Record]
		b.get = func(ctx context.Context, key session.Key) (session.Record, error) {
			rec, err := b.naive.Get(context.WithoutCancel(ctx), key)
			runtime.Gosched()
			if ctx.Err() != nil {
				left.Store(&rec)
				return session.Record{}, ctx.Err()
			}
			if other := left.Swap(nil); other != nil {
				return *other, nil
			}
			return rec, err
		}
	}},
	{"who gives up takes others along", "CancelStorm", func(b *broken) {
		var given atomic.Bool
		b.get = func(ctx context.Context, key session.Key) (session.Record, error) {
			runtime.Gosched()
			if ctx.Err() != nil {
				given.Store(true)
				return session.Record{}, ctx.Err()
			}
			if given.Swap(false) {
				return session.Record{}, errOther
			}
			return b.naive.Get(ctx, key)
		}
	}},
	{"a list ends where somebody gives up", "CancelStorm", func(b *broken) {
		b.list = func(ctx context.Context, subject string) ([]session.Record, error) {
			runtime.Gosched()
			list, _ := b.naive.List(context.WithoutCancel(ctx), subject)
			if ctx.Err() != nil {
				list = list[:len(list)/2]
			}
			return list, nil
		}
	}},
}

// contextFaults ignore the context, one method after the other, or misread it.
var contextFaults = []fault{
	{"Create ignores the context", "Context", func(b *broken) {
		b.create = func(ctx context.Context, rec session.Record, replaces session.Key) error {
			return b.naive.Create(context.WithoutCancel(ctx), rec, replaces)
		}
	}},
	{"Get ignores the context", "Context", func(b *broken) {
		b.get = func(ctx context.Context, key session.Key) (session.Record, error) {
			return b.naive.Get(context.WithoutCancel(ctx), key)
		}
	}},
	{"Update ignores the context", "Context", func(b *broken) {
		b.update = func(ctx context.Context, rec session.Record) error {
			return b.naive.Update(context.WithoutCancel(ctx), rec)
		}
	}},
	{"Touch ignores the context", "Context", func(b *broken) {
		b.touch = func(ctx context.Context, key session.Key, seen, deadline time.Time) error {
			return b.naive.Touch(context.WithoutCancel(ctx), key, seen, deadline)
		}
	}},
	{"Delete ignores the context", "Context", func(b *broken) {
		b.delete = func(ctx context.Context, key session.Key) error {
			return b.naive.Delete(context.WithoutCancel(ctx), key)
		}
	}},
	{"List ignores the context", "Context", func(b *broken) {
		b.list = func(ctx context.Context, subject string) ([]session.Record, error) {
			return b.naive.List(context.WithoutCancel(ctx), subject)
		}
	}},
	{"DeleteAll ignores the context", "Context", func(b *broken) {
		b.deleteAll = func(ctx context.Context, subject string, except session.Key) (int, error) {
			return b.naive.DeleteAll(context.WithoutCancel(ctx), subject, except)
		}
	}},
	{"Prune ignores the context", "Context", func(b *broken) {
		b.prune = func(ctx context.Context, before time.Time, limit int) (int, error) {
			return b.naive.Prune(context.WithoutCancel(ctx), before, limit)
		}
	}},
	{"Delete works, and says that it was cancelled", "Context", func(b *broken) {
		b.delete = func(ctx context.Context, key session.Key) error {
			b.naive.Delete(context.WithoutCancel(ctx), key)
			return ctx.Err()
		}
	}},
	{"who gave up is told that there is none", "Context CancelStorm", func(b *broken) {
		b.get = func(ctx context.Context, key session.Key) (session.Record, error) {
			runtime.Gosched()
			rec, err := b.naive.Get(ctx, key)
			if errors.Is(err, context.Canceled) {
				return session.Record{}, session.ErrNotFound
			}
			return rec, err
		}
	}},
	{"both at once: cancelled and not found", "Context", func(b *broken) {
		b.update = func(ctx context.Context, rec session.Record) error {
			if ctx.Err() != nil {
				return errors.Join(ctx.Err(), session.ErrNotFound)
			}
			return b.naive.Update(ctx, rec)
		}
	}},
	{"the cause is not wrapped", "Context CancelDuring", func(b *broken) {
		b.update = func(ctx context.Context, rec session.Record) error {
			waits(ctx)
			if err := b.naive.Update(ctx, rec); ctx.Err() != nil && err != nil {
				return errOther
			} else {
				return err
			}
		}
	}},
}
