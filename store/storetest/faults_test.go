package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

// A fault is one promise broken, and the parts of the suite that must notice.
type fault struct {
	name   string
	caught string // names of parts, separated by spaces
	apply  func(b *broken)
}

var errOther = errors.New("something else")

// faults of one caller after another. Each is a mistake that somebody's store could have.
var faults = []fault{
	// What is stored.
	{"times are cut to seconds", "RoundTrip Touch", func(b *broken) {
		b.create = storing(b, func(r *session.Record) {
			r.Seen, r.Created = r.Seen.Truncate(time.Second), r.Created.Truncate(time.Second)
		})
		b.touch = func(ctx context.Context, key session.Key, seen, deadline time.Time) error {
			return b.naive.Touch(ctx, key, seen.Truncate(time.Second), deadline)
		}
	}},
	{"times are kept in nanoseconds of 64 bits", "RoundTrip", func(b *broken) {
		b.create = storing(b, func(r *session.Record) { r.Deadline = time.Unix(0, r.Deadline.UnixNano()) })
	}},
	{"the clock on the wall is stored without its zone", "RoundTrip", func(b *broken) {
		b.create = storing(b, func(r *session.Record) {
			t := r.Created
			r.Created = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
		})
	}},
	{"the body ends at a NUL", "RoundTrip Bodies", func(b *broken) {
		b.create = storing(b, func(r *session.Record) { r.Body, _, _ = bytes.Cut(r.Body, []byte{0}) })
	}},
	{"a column holds 60 KB", "RoundTrip Bodies", func(b *broken) {
		b.create = storing(b, func(r *session.Record) { r.Body = r.Body[:min(len(r.Body), 60000)] })
	}},
	{"bodies are kept as JSON", "Bodies", func(b *broken) {
		b.update = func(ctx context.Context, rec session.Record) error {
			var text bytes.Buffer
			if json.Compact(&text, rec.Body) == nil {
				rec.Body = text.Bytes()
			}
			return b.naive.Update(ctx, rec)
		}
	}},
	{"a new record has version 1", "RoundTrip", func(b *broken) {
		b.create = storing(b, func(r *session.Record) { r.Version = 1 })
	}},
	{"keys lose their last byte", "Keys", func(b *broken) {
		cut := func(key session.Key) session.Key { key[len(key)-1] = 1; return key }
		b.create = func(ctx context.Context, rec session.Record, replaces session.Key) error {
			rec.Key = cut(rec.Key)
			return b.naive.Create(ctx, rec, replaces)
		}
		b.get = func(ctx context.Context, key session.Key) (session.Record, error) {
			rec, err := b.naive.Get(ctx, cut(key))
			rec.Key = key
			return rec, err
		}
	}},
	{"ids are compared without case", "IDs", func(b *broken) {
		b.create = func(ctx context.Context, rec session.Record, replaces session.Key) error {
			if len(b.all(func(r session.Record) bool { return strings.EqualFold(r.ID, rec.ID) && r.Key != replaces })) > 0 {
				return session.ErrExists
			}
			return b.naive.Create(ctx, rec, replaces)
		}
	}},
	{"ids are made valid", "IDs", func(b *broken) {
		b.create = storing(b, func(r *session.Record) { r.ID = strings.ToValidUTF8(r.ID, "?") })
	}},

	// Creating and replacing.
	{"Create overwrites", "Create Replace RandomSteps ParallelSame", func(b *broken) {
		b.create = func(ctx context.Context, rec session.Record, replaces session.Key) error {
			b.naive.Delete(ctx, rec.Key)
			return b.naive.Create(ctx, rec, replaces)
		}
	}},
	{"two may have one id", "Create Replace IDs RandomSteps ParallelSame", func(b *broken) {
		b.create = func(ctx context.Context, rec session.Record, replaces session.Key) error {
			err := b.naive.Create(ctx, rec, replaces)
			if _, taken := b.peek(rec.Key); errors.Is(err, session.ErrExists) && !taken {
				b.put(rec)
				return nil
			}
			return err
		}
	}},
	{"Create has an error of its own", "Create Replace", func(b *broken) {
		b.create = func(ctx context.Context, rec session.Record, replaces session.Key) error {
			if err := b.naive.Create(ctx, rec, replaces); err != nil {
				return errOther
			}
			return nil
		}
	}},
	{"what is replaced stays", "Replace RandomSteps ParallelReplace TableEnds", func(b *broken) {
		b.create = func(ctx context.Context, rec session.Record, replaces session.Key) error {
			if _, ok := b.peek(replaces); ok {
				replaces = session.Key{}
			}
			return b.naive.Create(ctx, rec, replaces)
		}
	}},
	{"what is gone need not be replaced", "Replace RandomSteps ParallelReplace ReplaceAgainstDeleteAll", func(b *broken) {
		b.create = func(ctx context.Context, rec session.Record, replaces session.Key) error {
			if _, ok := b.peek(replaces); !ok {
				replaces = session.Key{}
			}
			return b.naive.Create(ctx, rec, replaces)
		}
	}},
	{"what is replaced is removed although nothing comes in its place", "Replace RandomSteps", func(b *broken) {
		b.create = func(ctx context.Context, rec session.Record, replaces session.Key) error {
			err := b.naive.Create(ctx, rec, replaces)
			if errors.Is(err, session.ErrExists) {
				b.naive.Delete(ctx, replaces)
			}
			return err
		}
	}},
	{"an id stays taken", "Delete RandomSteps", func(b *broken) {
		taken := map[string]bool{}
		b.create = func(ctx context.Context, rec session.Record, replaces session.Key) error {
			if taken[rec.ID] {
				return session.ErrExists
			}
			err := b.naive.Create(ctx, rec, replaces)
			taken[rec.ID] = taken[rec.ID] || err == nil
			return err
		}
	}},

	// Changing.
	{"Update ignores the version", "Update RandomSteps ParallelUpdates ParallelCounting TableData", func(b *broken) {
		b.update = func(ctx context.Context, rec session.Record) error {
			if old, ok := b.peek(rec.Key); ok {
				rec.Version = old.Version
			}
			return b.naive.Update(ctx, rec)
		}
	}},
	{"Update takes an older version too", "Update RandomSteps ParallelUpdates", func(b *broken) {
		b.update = func(ctx context.Context, rec session.Record) error {
			if old, ok := b.peek(rec.Key); ok && rec.Version < old.Version {
				rec.Version = old.Version
			}
			return b.naive.Update(ctx, rec)
		}
	}},
	{"Update does not count", "Update RandomSteps ParallelUpdates TableData", func(b *broken) {
		b.update = func(ctx context.Context, rec session.Record) error {
			err := b.naive.Update(ctx, rec)
			if err == nil {
				b.put(rec)
			}
			return err
		}
	}},
	{"Update writes all there is", "Update RandomSteps", func(b *broken) {
		b.update = func(ctx context.Context, rec session.Record) error {
			err := b.naive.Update(ctx, rec)
			if rec.Version++; err == nil {
				b.put(rec)
			}
			return err
		}
	}},
	{"Update makes the session young", "Update TableAbsolute", func(b *broken) {
		b.update = func(ctx context.Context, rec session.Record) error {
			err := b.naive.Update(ctx, rec)
			if old, _ := b.peek(rec.Key); err == nil {
				old.Created = rec.Seen
				b.put(old)
			}
			return err
		}
	}},
	{"Update leaves the deadline", "Update RandomSteps", func(b *broken) {
		b.update = func(ctx context.Context, rec session.Record) error {
			old, _ := b.peek(rec.Key)
			rec.Deadline = old.Deadline
			return b.naive.Update(ctx, rec)
		}
	}},
	{"a conflict is not found", "Update", func(b *broken) {
		b.update = func(ctx context.Context, rec session.Record) error {
			err := b.naive.Update(ctx, rec)
			if errors.Is(err, session.ErrConflict) {
				return session.ErrNotFound
			}
			return err
		}
	}},
	{"what is not found is a conflict", "NotFound RandomSteps", func(b *broken) {
		b.update = func(ctx context.Context, rec session.Record) error {
			err := b.naive.Update(ctx, rec)
			if errors.Is(err, session.ErrNotFound) {
				return session.ErrConflict
			}
			return err
		}
	}},
	{"Update creates", "NotFound RandomSteps ChangeAgainstDelete TableEnds", func(b *broken) {
		b.update = func(ctx context.Context, rec session.Record) error {
			err := b.naive.Update(ctx, rec)
			if errors.Is(err, session.ErrNotFound) {
				b.put(rec)
				return nil
			}
			return err
		}
	}},
	{"Touch goes back", "Touch RandomSteps ParallelTouches", func(b *broken) {
		b.touch = func(ctx context.Context, key session.Key, seen, deadline time.Time) error {
			if old, ok := b.peek(key); ok {
				old.Seen = seen.Add(-1)
				b.put(old)
			}
			return b.naive.Touch(ctx, key, seen, deadline)
		}
	}},
	{"Touch does nothing", "Touch RandomSteps ParallelTouches TouchAgainstPrune TableIdle TableTouch TableTightened", func(b *broken) {
		b.touch = func(ctx context.Context, key session.Key, _, _ time.Time) error {
			_, err := b.naive.Get(ctx, key)
			return err
		}
	}},
	{"Touch leaves the deadline", "Touch TouchAgainstPrune TableTouch", func(b *broken) {
		b.touch = func(ctx context.Context, key session.Key, seen, _ time.Time) error {
			old, _ := b.peek(key)
			return b.naive.Touch(ctx, key, seen, old.Deadline)
		}
	}},
	{"Touch moves the deadline without a later use", "Touch RandomSteps", func(b *broken) {
		b.touch = func(ctx context.Context, key session.Key, seen, deadline time.Time) error {
			if old, ok := b.peek(key); ok {
				old.Deadline = deadline
				b.put(old)
			}
			return b.naive.Touch(ctx, key, seen, deadline)
		}
	}},
	{"Touch only lengthens", "Touch", func(b *broken) {
		b.touch = func(ctx context.Context, key session.Key, seen, deadline time.Time) error {
			if old, ok := b.peek(key); ok && deadline.Before(old.Deadline) {
				deadline = old.Deadline
			}
			return b.naive.Touch(ctx, key, seen, deadline)
		}
	}},
	{"Touch counts as a change", "Touch RandomSteps ParallelTouches", func(b *broken) {
		b.touch = func(ctx context.Context, key session.Key, seen, deadline time.Time) error {
			old, ok := b.peek(key)
			if !ok || !seen.After(old.Seen) {
				return b.naive.Touch(ctx, key, seen, deadline)
			}
			old.Seen, old.Deadline = seen, deadline
			return b.naive.Update(ctx, old)
		}
	}},
	{"Touch finds what is not there", "NotFound RandomSteps", func(b *broken) {
		b.touch = func(ctx context.Context, key session.Key, seen, deadline time.Time) error {
			err := b.naive.Touch(ctx, key, seen, deadline)
			if errors.Is(err, session.ErrNotFound) {
				return nil
			}
			return err
		}
	}},
	{"Get finds an empty record", "NotFound Delete RandomSteps", func(b *broken) {
		b.get = func(ctx context.Context, key session.Key) (session.Record, error) {
			rec, err := b.naive.Get(ctx, key)
			if errors.Is(err, session.ErrNotFound) {
				return session.Record{}, nil
			}
			return rec, err
		}
	}},

	// Ending.
	{"Delete does nothing", "Delete NotFound RandomSteps ChangeAgainstDelete Beside TableIdle TableTightened TableMost TableEnds", func(b *broken) {
		b.delete = func(ctx context.Context, _ session.Key) error { return ctx.Err() }
	}},
	{"Delete hides", "Delete NotFound RandomSteps TableIdle", func(b *broken) {
		b.delete = func(ctx context.Context, key session.Key) error {
			if rec, ok := b.peek(key); ok {
				rec.Body, rec.Seen = nil, time.Unix(0, 0)
				b.put(rec)
			}
			return ctx.Err()
		}
	}},
	{"Delete wants a record", "Delete", func(b *broken) {
		b.delete = func(ctx context.Context, key session.Key) error {
			if _, err := b.naive.Get(ctx, key); err != nil {
				return err
			}
			return b.naive.Delete(ctx, key)
		}
	}},
	{"DeleteAll ignores except", "DeleteAll SparedAgainstDeleteAll TableEnds", func(b *broken) {
		b.deleteAll = func(ctx context.Context, subject string, _ session.Key) (int, error) {
			return b.naive.DeleteAll(ctx, subject, session.Key{})
		}
	}},
	{"DeleteAll does not count", "List DeleteAll ParallelDeleteAll CreateAgainstDeleteAll TableSubjects", func(b *broken) {
		b.deleteAll = func(ctx context.Context, subject string, except session.Key) (int, error) {
			_, err := b.naive.DeleteAll(ctx, subject, except)
			return 0, err
		}
	}},
	{"DeleteAll does nothing", "List DeleteAll ReplaceAgainstDeleteAll CreateAgainstDeleteAll ChangeAgainstDelete TableEnds TableSubjects TableRenewAgainstEndAll", func(b *broken) {
		b.deleteAll = func(ctx context.Context, subject string, except session.Key) (int, error) {
			return len(b.all(func(r session.Record) bool { return r.Subject == subject && r.Key != except })), ctx.Err()
		}
	}},
	{"DeleteAll of nobody is of everybody", "List DeleteAll", func(b *broken) {
		b.deleteAll = deletesAlike(b, func(stored, asked string) bool { return asked == "" || stored == asked })
	}},

	// Subjects.
	{"subjects are prefixes", "List TableSubjects", func(b *broken) { b.list = listsAlike(b, strings.HasPrefix) }},
	{"subjects have no case", "List TableSubjects", func(b *broken) { b.list = listsAlike(b, strings.EqualFold) }},
	{"subjects have no space at the end", "List TableSubjects", func(b *broken) {
		b.deleteAll = deletesAlike(b, func(x, y string) bool { return strings.TrimRight(x, " ") == strings.TrimRight(y, " ") })
	}},
	{"subjects end at a NUL", "List TableSubjects", func(b *broken) {
		b.deleteAll = deletesAlike(b, func(x, y string) bool {
			x, _, _ = strings.Cut(x, "\x00")
			y, _, _ = strings.Cut(y, "\x00")
			return x == y
		})
	}},
	{"subjects are patterns", "List TableSubjects", func(b *broken) {
		b.deleteAll = deletesAlike(b, func(stored, asked string) bool {
			start, pattern := strings.CutSuffix(asked, "*")
			return stored == asked || pattern && strings.HasPrefix(stored, start)
		})
	}},
	{"subjects are made valid", "List", func(b *broken) {
		b.list = listsAlike(b, func(x, y string) bool { return strings.ToValidUTF8(x, "\ufffd") == strings.ToValidUTF8(y, "\ufffd") })
	}},
	{"subjects are composed", "List TableSubjects", func(b *broken) {
		composed := strings.NewReplacer("e\u0301", "é")
		b.list = listsAlike(b, func(x, y string) bool { return composed.Replace(x) == composed.Replace(y) })
	}},
	{"subjects are cut", "List", func(b *broken) {
		b.list = listsAlike(b, func(x, y string) bool { return x[:min(len(x), 1023)] == y[:min(len(y), 1023)] })
	}},
	{"the newest comes first", "Order RandomSteps ParallelCreates TableMost", func(b *broken) {
		b.list = func(ctx context.Context, subject string) ([]session.Record, error) {
			list, err := b.naive.List(ctx, subject)
			slices.Reverse(list)
			return list, err
		}
	}},
	{"ids have no case in the order", "Order", func(b *broken) { b.list = listsBy(b, func(r session.Record) string { return strings.ToLower(r.ID) }) }},
	{"only ids make the order", "Order", func(b *broken) {
		b.list = func(ctx context.Context, subject string) ([]session.Record, error) {
			list, err := b.naive.List(ctx, subject)
			slices.SortStableFunc(list, func(x, y session.Record) int { return strings.Compare(x.ID, y.ID) })
			return list, err
		}
	}},

	// Time.
	{"Get judges by the deadline", "Overdue", func(b *broken) {
		b.get = func(ctx context.Context, key session.Key) (session.Record, error) {
			rec, err := b.naive.Get(ctx, key)
			if err == nil && rec.Deadline.Before(time.Now()) {
				return session.Record{}, session.ErrNotFound
			}
			return rec, err
		}
	}},
	{"List judges by the deadline", "Overdue", func(b *broken) {
		b.list = func(ctx context.Context, subject string) ([]session.Record, error) {
			list, err := b.naive.List(ctx, subject)
			return slices.DeleteFunc(list, func(r session.Record) bool { return r.Deadline.Before(time.Now()) }), err
		}
	}},
	{"Prune has no limit", "Prune", func(b *broken) {
		b.prune = func(ctx context.Context, before time.Time, _ int) (int, error) {
			return b.naive.Prune(ctx, before, 1e6)
		}
	}},
	{"Prune counts no further than its limit, and goes on", "Prune", func(b *broken) {
		b.prune = func(ctx context.Context, before time.Time, limit int) (int, error) {
			n, err := b.naive.Prune(ctx, before, 1e6)
			return min(n, limit), err
		}
	}},
	{"Prune takes what is not overdue yet", "Prune", func(b *broken) {
		b.prune = func(ctx context.Context, before time.Time, limit int) (int, error) {
			return b.naive.Prune(ctx, before.Add(time.Millisecond), limit)
		}
	}},
	{"Prune asks the real clock", "Prune TablePrune", func(b *broken) {
		b.prune = func(ctx context.Context, _ time.Time, limit int) (int, error) {
			return b.naive.Prune(ctx, time.Now(), limit)
		}
	}},
	{"Prune does nothing", "Prune TablePrune", func(b *broken) {
		b.prune = func(ctx context.Context, _ time.Time, _ int) (int, error) { return 0, ctx.Err() }
	}},
	{"Prune judges by the use", "TablePrune", func(b *broken) {
		b.prune = func(ctx context.Context, before time.Time, limit int) (int, error) {
			return b.naive.Prune(ctx, before.Add(40*time.Minute), limit)
		}
	}},

	// Copies.
	{"Create keeps what it was given", "Copies", func(b *broken) {
		b.create = func(ctx context.Context, rec session.Record, replaces session.Key) error {
			err := b.naive.Create(ctx, rec, replaces)
			b.share(rec, err)
			return err
		}
	}},
	{"Update keeps what it was given", "Copies", func(b *broken) {
		b.update = func(ctx context.Context, rec session.Record) error {
			err := b.naive.Update(ctx, rec)
			b.share(rec, err)
			return err
		}
	}},
	{"Get gives what it keeps", "Copies", func(b *broken) {
		b.get = func(ctx context.Context, key session.Key) (session.Record, error) {
			rec, err := b.naive.Get(ctx, key)
			b.share(rec, err)
			return rec, err
		}
	}},
	{"List gives what it keeps", "Copies", func(b *broken) {
		b.list = func(ctx context.Context, subject string) ([]session.Record, error) {
			list, err := b.naive.List(ctx, subject)
			for _, rec := range list {
				b.share(rec, err)
			}
			return list, err
		}
	}},
	{"Update writes into what Get has given", "Copies", func(b *broken) {
		b.get = func(ctx context.Context, key session.Key) (session.Record, error) {
			rec, err := b.naive.Get(ctx, key)
			b.share(rec, err)
			return rec, err
		}
		b.update = func(ctx context.Context, rec session.Record) error {
			b.mu.Lock()
			if i := b.m.find(rec.Key); i >= 0 {
				copy(b.m.records[i].Body, rec.Body)
			}
			b.mu.Unlock()
			return b.naive.Update(ctx, rec)
		}
	}},
}

// storing returns a Create that changes what it stores.
func storing(b *broken, change func(*session.Record)) func(context.Context, session.Record, session.Key) error {
	return func(ctx context.Context, rec session.Record, replaces session.Key) error {
		change(&rec)
		return b.naive.Create(ctx, rec, replaces)
	}
}

// listsAlike returns a List of the subjects that are alike.
func listsAlike(b *broken, alike func(stored, asked string) bool) func(context.Context, string) ([]session.Record, error) {
	return func(ctx context.Context, subject string) ([]session.Record, error) {
		return b.all(func(r session.Record) bool { return alike(r.Subject, subject) }), ctx.Err()
	}
}

// deletesAlike returns a DeleteAll of the subjects that are alike.
func deletesAlike(b *broken, alike func(stored, asked string) bool) func(context.Context, string, session.Key) (int, error) {
	return func(ctx context.Context, subject string, except session.Key) (int, error) {
		found := b.all(func(r session.Record) bool { return alike(r.Subject, subject) && r.Key != except })
		for _, rec := range found {
			b.naive.Delete(ctx, rec.Key)
		}
		return len(found), ctx.Err()
	}
}

// listsBy returns a List in the order of creation, then of name.
func listsBy(b *broken, name func(session.Record) string) func(context.Context, string) ([]session.Record, error) {
	return func(ctx context.Context, subject string) ([]session.Record, error) {
		list, err := b.naive.List(ctx, subject)
		slices.SortStableFunc(list, func(x, y session.Record) int {
			if c := x.Created.Compare(y.Created); c != 0 {
				return c
			}
			return strings.Compare(name(x), name(y))
		})
		return list, err
	}
}

// share makes the store keep the very bytes of rec.
func (b *broken) share(rec session.Record, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := b.m.find(rec.Key); err == nil && i >= 0 {
		b.m.records[i].Body = rec.Body
	}
}
