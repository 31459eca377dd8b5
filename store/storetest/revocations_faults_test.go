package storetest

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// A brokenFeed does what its functions do, and where they are nil what the simple feed does.
type brokenFeed struct {
	*feed
	add   func(ctx context.Context, entries []revoke.Entry) (int64, error)
	since func(ctx context.Context, after int64, limit int) (revoke.Page, error)
	prune func(ctx context.Context, before time.Time, limit int) (int, error)
}

func (b *brokenFeed) Add(ctx context.Context, entries ...revoke.Entry) (int64, error) {
	if b.add != nil {
		return b.add(ctx, entries)
	}
	return b.feed.Add(ctx, entries...)
}

func (b *brokenFeed) Since(ctx context.Context, after int64, limit int) (revoke.Page, error) {
	if b.since != nil {
		return b.since(ctx, after, limit)
	}
	return b.feed.Since(ctx, after, limit)
}

func (b *brokenFeed) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	if b.prune != nil {
		return b.prune(ctx, before, limit)
	}
	return b.feed.Prune(ctx, before, limit)
}

// put appends entries with the Seqs that they have, and moves last on to the highest.
func (f *feed) put(entries ...revoke.Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range entries {
		f.entries, f.last = append(f.entries, e), max(f.last, e.Seq)
	}
	slices.SortStableFunc(f.entries, func(a, b revoke.Entry) int { return int(a.Seq - b.Seq) })
}

// reserve gives the next n Seqs, and returns the last one.
func (f *feed) reserve(n int) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last += int64(n)
	return f.last
}

// TestRevocationSuite: a store that is right passes.
func TestRevocationSuite(t *testing.T) {
	TestRevocations(t, func(*testing.T) Revocations {
		store := new(feed)
		same := func(*testing.T) revoke.Store { return store }
		return Revocations{Store: store, Beside: same, Reopen: same}
	})
}

var revocationSetups = []struct {
	name, caught string
	open         func(*testing.T) Revocations
}{
	{"there is no store", "RoundTrip Lists", func(*testing.T) Revocations { return Revocations{} }},
	{"the store is not empty", "RoundTrip Add ParallelAdds", func(*testing.T) Revocations {
		f := new(feed)
		f.put(revoke.Entry{Seq: 1, Kind: revoke.Token, ID: "old"})
		return Revocations{Store: f}
	}},
	{"another process sees nothing", "Beside ParallelAdds NoGaps Lists ListParallel ListSubjects", func(*testing.T) Revocations {
		return Revocations{Store: new(feed), Beside: func(*testing.T) revoke.Store { return new(feed) }}
	}},
	{"another process counts for itself", "Beside ParallelAdds NoGaps", func(*testing.T) Revocations {
		here, there := new(feed), new(feed)
		both := func(one, other *feed) revoke.Store {
			return &brokenFeed{feed: one, add: func(ctx context.Context, entries []revoke.Entry) (int64, error) {
				last, err := one.Add(ctx, entries...)
				if err == nil {
					other.mu.Lock()
					defer other.mu.Unlock()
					other.entries = append(other.entries, numbered(last, entries)...)
				}
				return last, err
			}}
		}
		return Revocations{Store: both(here, there), Beside: func(*testing.T) revoke.Store { return both(there, here) }}
	}},
	{"a restart loses all", "Reopen", func(*testing.T) Revocations {
		return Revocations{Store: new(feed), Reopen: func(*testing.T) revoke.Store { return new(feed) }}
	}},
	{"a restart counts from what is left", "Reopen", func(*testing.T) Revocations {
		f := new(feed)
		return Revocations{Store: f, Reopen: func(*testing.T) revoke.Store {
			if f.last = 0; len(f.entries) > 0 {
				f.last = f.entries[len(f.entries)-1].Seq
			}
			return f
		}}
	}},
}

// A revocationFault is one promise broken, and the parts of the suite that must notice.
type revocationFault struct {
	name, caught string
	apply        func(b *brokenFeed)
}

var revocationFaults = []revocationFault{
	// What is kept.
	{"times are cut to seconds", "RoundTrip", addingEntries(func(e *revoke.Entry) {
		e.Before, e.Expires = e.Before.Truncate(time.Second), e.Expires.Truncate(time.Second)
	})},
	{"times are kept in nanoseconds of 64 bits", "RoundTrip", addingEntries(func(e *revoke.Entry) { e.Expires = time.Unix(0, e.Expires.UnixNano()) })},
	{"zero times become the beginning of 1970", "RoundTrip Add", addingEntries(func(e *revoke.Entry) {
		if e.Before.IsZero() {
			e.Before = time.Unix(0, 0)
		}
	})},
	{"what is revoked before a time is revoked before another", "RoundTrip ListSubjects Lists", addingEntries(func(e *revoke.Entry) {
		if !e.Before.IsZero() {
			e.Before = e.Before.Add(-time.Hour)
		}
	})},
	{"ids end at a NUL", "IDs ListSubjects ListPutsBack", addingEntries(func(e *revoke.Entry) {
		e.ID, _, _ = strings.Cut(e.ID, "\x00")
	})},
	{"ids are made valid", "IDs ListPutsBack", addingEntries(func(e *revoke.Entry) { e.ID = strings.ToValidUTF8(e.ID, "\ufffd") })},
	{"ids have no case", "IDs", addingEntries(func(e *revoke.Entry) { e.ID = strings.ToLower(e.ID) })},
	{"ids have 255 bytes", "IDs Large", addingEntries(func(e *revoke.Entry) { e.ID = e.ID[:min(len(e.ID), 255)] })},
	{"unknown kinds become tokens", "Kinds", addingEntries(func(e *revoke.Entry) {
		if !slices.Contains([]revoke.Kind{revoke.Token, revoke.Session, revoke.Subject, revoke.Key, revoke.All}, e.Kind) {
			e.Kind = revoke.Token
		}
	})},
	{"unknown kinds are refused", "Kinds ListPutsBack", func(b *brokenFeed) {
		b.add = func(ctx context.Context, entries []revoke.Entry) (int64, error) {
			for _, e := range entries {
				if strings.HasSuffix(string(e.Kind), "#") {
					return 0, errOther
				}
			}
			return b.feed.Add(ctx, entries...)
		}
	}},
	{"the same is revoked once", "Add", func(b *brokenFeed) {
		b.add = func(ctx context.Context, entries []revoke.Entry) (int64, error) {
			fresh := slices.DeleteFunc(slices.Clone(entries), func(e revoke.Entry) bool {
				b.mu.Lock()
				defer b.mu.Unlock()
				return slices.ContainsFunc(b.entries, func(o revoke.Entry) bool { return o.Kind == e.Kind && o.ID == e.ID })
			})
			return b.feed.Add(ctx, fresh...)
		}
	}},
	{"no call adds more than a hundred", "Large", func(b *brokenFeed) {
		b.add = func(ctx context.Context, entries []revoke.Entry) (int64, error) {
			return b.feed.Add(ctx, entries[:min(len(entries), 100)]...)
		}
	}},
	{"what has expired is not kept", "Overdue Prune Reopen", func(b *brokenFeed) {
		b.add = func(ctx context.Context, entries []revoke.Entry) (int64, error) {
			last, err := b.feed.Add(ctx, entries...)
			b.feed.Prune(ctx, time.Now(), 1e6)
			return last, err
		}
	}},

	// Places.
	{"places begin at 0", "RoundTrip Add", func(b *brokenFeed) {
		b.since = func(ctx context.Context, after int64, limit int) (revoke.Page, error) {
			page, err := b.feed.Since(ctx, after+1, limit)
			page.Last--
			for i := range page.Entries {
				page.Entries[i].Seq--
			}
			return page, err
		}
	}},
	{"Add returns the first place", "Add Copies", func(b *brokenFeed) {
		b.add = func(ctx context.Context, entries []revoke.Entry) (int64, error) {
			last, err := b.feed.Add(ctx, entries...)
			return last - int64(max(len(entries)-1, 0)), err
		}
	}},
	{"Add returns how many", "Add", func(b *brokenFeed) {
		b.add = func(ctx context.Context, entries []revoke.Entry) (int64, error) {
			_, err := b.feed.Add(ctx, entries...)
			return int64(len(entries)), err
		}
	}},
	{"Add takes the places that entries come with", "Add", func(b *brokenFeed) {
		b.add = func(ctx context.Context, entries []revoke.Entry) (int64, error) {
			if len(entries) > 0 && entries[0].Seq > 0 && ctx.Err() == nil {
				b.put(entries...)
				return entries[len(entries)-1].Seq, nil
			}
			return b.feed.Add(ctx, entries...)
		}
	}},
	{"Add writes the places into what it was given", "Add", func(b *brokenFeed) {
		b.add = func(ctx context.Context, entries []revoke.Entry) (int64, error) {
			last, err := b.feed.Add(ctx, entries...)
			copy(entries, numbered(last, entries))
			return last, err
		}
	}},
	{"Add of nothing is an error", "Add", func(b *brokenFeed) {
		b.add = func(ctx context.Context, entries []revoke.Entry) (int64, error) {
			if len(entries) == 0 {
				return 0, errOther
			}
			return b.feed.Add(ctx, entries...)
		}
	}},
	{"Add of nothing takes a place", "Add", func(b *brokenFeed) {
		b.add = func(ctx context.Context, entries []revoke.Entry) (int64, error) {
			if len(entries) == 0 {
				return b.reserve(1), nil
			}
			return b.feed.Add(ctx, entries...)
		}
	}},
	{"entries of one call are turned round", "Add RoundTrip", func(b *brokenFeed) {
		b.add = func(ctx context.Context, entries []revoke.Entry) (int64, error) {
			entries = slices.Clone(entries)
			slices.Reverse(entries)
			return b.feed.Add(ctx, entries...)
		}
	}},
	{"Last is the last that is there", "LastSurvivesPrune Prune Beside", func(b *brokenFeed) {
		b.since = func(ctx context.Context, after int64, limit int) (revoke.Page, error) {
			page, err := b.feed.Since(ctx, after, limit)
			b.mu.Lock()
			defer b.mu.Unlock()
			if page.Last = 0; len(b.entries) > 0 {
				page.Last = b.entries[len(b.entries)-1].Seq
			}
			return page, err
		}
	}},
	{"Last is the last of the page", "Since Pages", func(b *brokenFeed) {
		b.since = func(ctx context.Context, after int64, limit int) (revoke.Page, error) {
			page, err := b.feed.Since(ctx, after, limit)
			if len(page.Entries) > 0 {
				page.Last = page.Entries[len(page.Entries)-1].Seq
			}
			return page, err
		}
	}},
	{"places are given again after pruning", "LastSurvivesPrune RandomSteps", func(b *brokenFeed) {
		b.prune = func(ctx context.Context, before time.Time, limit int) (int, error) {
			n, err := b.feed.Prune(ctx, before, limit)
			b.mu.Lock()
			defer b.mu.Unlock()
			if len(b.entries) == 0 {
				b.last = 0
			}
			return n, err
		}
	}},
	{"Since begins with the place itself", "Since NoGaps RandomSteps", func(b *brokenFeed) {
		b.since = func(ctx context.Context, after int64, limit int) (revoke.Page, error) {
			return b.feed.Since(ctx, after-1, limit)
		}
	}},
	{"places have 32 bits", "Since", func(b *brokenFeed) {
		b.since = func(ctx context.Context, after int64, limit int) (revoke.Page, error) {
			return b.feed.Since(ctx, int64(int32(after)), limit)
		}
	}},
	{"a negative place is an error", "Since", func(b *brokenFeed) {
		b.since = func(ctx context.Context, after int64, limit int) (revoke.Page, error) {
			if after < 0 {
				return revoke.Page{}, errOther
			}
			return b.feed.Since(ctx, after, limit)
		}
	}},
	{"the latest come first", "Since RoundTrip Pages NoGaps", sincing(func(page *revoke.Page) { slices.Reverse(page.Entries) })},
	{"pages have no limit", "Since Pages", func(b *brokenFeed) {
		b.since = func(ctx context.Context, after int64, _ int) (revoke.Page, error) {
			return b.feed.Since(ctx, after, 1e6)
		}
	}},
	{"a limit of nothing is none", "Since", func(b *brokenFeed) {
		b.since = func(ctx context.Context, after int64, limit int) (revoke.Page, error) {
			if limit <= 0 {
				limit = 1e6
			}
			return b.feed.Since(ctx, after, limit)
		}
	}},
	{"a limit counts what was removed too", "Prune", func(b *brokenFeed) {
		b.since = func(ctx context.Context, after int64, limit int) (revoke.Page, error) {
			page, err := b.feed.Since(ctx, after, limit)
			page.Entries = slices.DeleteFunc(page.Entries, func(e revoke.Entry) bool { return e.Seq > max(after, 0)+int64(limit) })
			return page, err
		}
	}},
	{"pages end at a hundred", "Large", sincing(func(page *revoke.Page) { page.Entries = page.Entries[:min(len(page.Entries), 100)] })},
	{"the last one is held back", "RoundTrip Pages Lists", sincing(func(page *revoke.Page) {
		page.Entries = slices.DeleteFunc(page.Entries, func(e revoke.Entry) bool { return e.Seq == page.Last })
	})},

	// Pruning.
	{"Prune does nothing", "Prune LastSurvivesPrune ListPrune", func(b *brokenFeed) {
		b.prune = func(ctx context.Context, _ time.Time, _ int) (int, error) { return 0, ctx.Err() }
	}},
	{"Prune has no limit", "Prune ParallelPrunes", func(b *brokenFeed) {
		b.prune = func(ctx context.Context, before time.Time, _ int) (int, error) { return b.feed.Prune(ctx, before, 1e6) }
	}},
	{"Prune does not count", "Prune ListPrune RandomSteps", func(b *brokenFeed) {
		b.prune = func(ctx context.Context, before time.Time, limit int) (int, error) {
			_, err := b.feed.Prune(ctx, before, limit)
			return 0, err
		}
	}},
	{"Prune takes what is not over yet", "Prune", func(b *brokenFeed) {
		b.prune = func(ctx context.Context, before time.Time, limit int) (int, error) {
			return b.feed.Prune(ctx, before.Add(time.Millisecond), limit)
		}
	}},
	{"Prune asks the real clock", "Prune RandomSteps LastSurvivesPrune", func(b *brokenFeed) {
		b.prune = func(ctx context.Context, _ time.Time, limit int) (int, error) {
			return b.feed.Prune(ctx, time.Now(), limit)
		}
	}},
	{"Prune takes the oldest, expired or not", "Prune AddAgainstPrune RandomSteps", func(b *brokenFeed) {
		b.prune = func(ctx context.Context, before time.Time, limit int) (int, error) {
			return b.cut(ctx, limit, func() (expired int) {
				for _, e := range b.entries {
					if e.Expires.Before(before) {
						expired++
					}
				}
				return expired
			})
		}
	}},
	{"Prune takes the longest expired, and all before it", "Prune", func(b *brokenFeed) {
		b.prune = func(ctx context.Context, before time.Time, limit int) (int, error) {
			return b.cut(ctx, limit, func() (upTo int) {
				for i, e := range b.entries {
					if e.Expires.Before(before) {
						upTo = i + 1
					}
				}
				return upTo
			})
		}
	}},

	// Copies.
	{"Add keeps what it was given", "Copies", func(b *brokenFeed) {
		var given [][]revoke.Entry
		b.add = func(ctx context.Context, entries []revoke.Entry) (int64, error) {
			given = append(given, entries)
			return b.feed.Add(ctx, entries...)
		}
		b.since = func(ctx context.Context, after int64, limit int) (revoke.Page, error) {
			page, err := b.feed.Since(ctx, after, limit)
			for i := range page.Entries {
				if at := page.Entries[i].Seq - 1; len(given) > 0 && at < int64(len(given[0])) {
					seq := page.Entries[i].Seq
					page.Entries[i] = given[0][at]
					page.Entries[i].Seq = seq
				}
			}
			return page, err
		}
	}},
	{"Since gives what it keeps", "Copies", func(b *brokenFeed) {
		b.since = func(ctx context.Context, after int64, limit int) (revoke.Page, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			from := min(max(after, 0), int64(len(b.entries)))
			return revoke.Page{Entries: b.entries[from:min(int(from)+limit, len(b.entries))], Last: b.last}, ctx.Err()
		}
	}},

	// Contexts.
	{"Add ignores the context", "Context", func(b *brokenFeed) {
		b.add = func(ctx context.Context, entries []revoke.Entry) (int64, error) {
			return b.feed.Add(context.WithoutCancel(ctx), entries...)
		}
	}},
	{"Since ignores the context", "Context", func(b *brokenFeed) {
		b.since = func(ctx context.Context, after int64, limit int) (revoke.Page, error) {
			return b.feed.Since(context.WithoutCancel(ctx), after, limit)
		}
	}},
	{"Since what is known ignores the context", "Context", func(b *brokenFeed) {
		b.since = func(ctx context.Context, after int64, limit int) (revoke.Page, error) {
			if b.mu.Lock(); after == b.last {
				ctx = context.WithoutCancel(ctx)
			}
			b.mu.Unlock()
			return b.feed.Since(ctx, after, limit)
		}
	}},
	{"Prune ignores the context", "Context", func(b *brokenFeed) {
		b.prune = func(ctx context.Context, before time.Time, limit int) (int, error) {
			return b.feed.Prune(context.WithoutCancel(ctx), before, limit)
		}
	}},
	{"Add works, and says that it was cancelled", "Context", func(b *brokenFeed) {
		b.add = func(ctx context.Context, entries []revoke.Entry) (int64, error) {
			last, err := b.feed.Add(context.WithoutCancel(ctx), entries...)
			return last, errors.Join(err, ctx.Err())
		}
	}},
	{"Add adds one after the other", "CancelDuring", func(b *brokenFeed) {
		b.add = func(ctx context.Context, entries []revoke.Entry) (last int64, err error) {
			for _, e := range entries {
				if last, err = b.feed.Add(ctx, e); err != nil {
					return 0, err
				}
				waits(ctx)
			}
			return last, ctx.Err()
		}
	}},
	{"the cause is not wrapped", "Context CancelDuring", func(b *brokenFeed) {
		b.add = func(ctx context.Context, entries []revoke.Entry) (int64, error) {
			if waits(ctx); ctx.Err() != nil {
				return 0, errOther
			}
			return b.feed.Add(ctx, entries...)
		}
	}},

	// Races.
	{"a place is taken first, and filled later", "NoGaps", func(b *brokenFeed) {
		b.add = func(ctx context.Context, entries []revoke.Entry) (int64, error) {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			last := b.reserve(len(entries))
			for range pick(250) {
				runtime.Gosched()
			}
			b.put(numbered(last, entries)...)
			return last, nil
		}
	}},
	{"the entries are there before Last is", "NoGaps", func(b *brokenFeed) {
		b.since = func(ctx context.Context, after int64, limit int) (revoke.Page, error) {
			last, err := b.feed.Since(ctx, 0, 0)
			if err != nil {
				return revoke.Page{}, err
			}
			waits(ctx)
			page, err := b.feed.Since(ctx, after, limit)
			page.Last = last.Last
			return page, err
		}
	}},
	{"the last place is read, and the next one written", "ParallelAdds AddAgainstPrune NoGaps", func(b *brokenFeed) {
		b.add = func(ctx context.Context, entries []revoke.Entry) (int64, error) {
			page, err := b.feed.Since(ctx, 0, 0)
			if err != nil {
				return 0, err
			}
			waits(ctx)
			last := page.Last + int64(len(entries))
			b.put(numbered(last, entries)...)
			return last, nil
		}
	}},
	{"entries of several calls are mixed", "ParallelAdds", func(b *brokenFeed) {
		b.add = func(ctx context.Context, entries []revoke.Entry) (last int64, err error) {
			for _, e := range entries {
				if last, err = b.feed.Add(ctx, e); err != nil {
					return 0, err
				}
				for range pick(20) {
					runtime.Gosched()
				}
			}
			return last, nil
		}
	}},
	{"the feed is read, lengthened and written", "ParallelAdds ListParallel", func(b *brokenFeed) {
		b.add = func(ctx context.Context, entries []revoke.Entry) (int64, error) {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			b.mu.Lock()
			all := slices.Clone(b.entries)
			b.mu.Unlock()
			last := b.reserve(len(entries))
			waits(ctx)
			b.mu.Lock()
			b.entries = append(all, numbered(last, entries)...)
			b.mu.Unlock()
			return last, nil
		}
	}},
	{"Prune counts, and removes later", "ParallelPrunes", func(b *brokenFeed) {
		b.prune = func(ctx context.Context, before time.Time, limit int) (int, error) {
			b.mu.Lock()
			n := 0
			for _, e := range b.entries {
				if e.Expires.Before(before) && n < limit {
					n++
				}
			}
			b.mu.Unlock()
			waits(ctx)
			_, err := b.feed.Prune(ctx, before, limit)
			return n, err
		}
	}},
	{"Prune writes what it has read", "AddAgainstPrune", func(b *brokenFeed) {
		var one sync.Mutex
		b.prune = func(ctx context.Context, before time.Time, limit int) (int, error) {
			one.Lock()
			defer one.Unlock()
			b.mu.Lock()
			copied := &feed{last: b.last, entries: slices.Clone(b.entries)}
			b.mu.Unlock()
			waits(ctx)
			n, err := copied.Prune(ctx, before, limit)
			b.mu.Lock()
			defer b.mu.Unlock()
			b.entries = copied.entries
			return n, err
		}
	}},
}

// cut removes as many of the first entries as number says, at most limit.
func (f *feed) cut(ctx context.Context, limit int, number func() int) (int, error) {
	unlock, err := f.lock(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	n := min(number(), max(limit, 0))
	f.entries = slices.Clone(f.entries[n:])
	return n, nil
}

// addingEntries changes each entry that is added.
func addingEntries(change func(*revoke.Entry)) func(*brokenFeed) {
	return func(b *brokenFeed) {
		b.add = func(ctx context.Context, entries []revoke.Entry) (int64, error) {
			entries = slices.Clone(entries)
			for i := range entries {
				change(&entries[i])
			}
			return b.feed.Add(ctx, entries...)
		}
	}
}

// sincing changes each page.
func sincing(change func(*revoke.Page)) func(*brokenFeed) {
	return func(b *brokenFeed) {
		b.since = func(ctx context.Context, after int64, limit int) (revoke.Page, error) {
			page, err := b.feed.Since(ctx, after, limit)
			change(&page)
			return page, err
		}
	}
}

func addRevocationFaults(add func(suite, name, caught string, run func(t *testing.T))) {
	for _, setup := range revocationSetups {
		add("revocations", setup.name, setup.caught, func(t *testing.T) { TestRevocations(t, setup.open) })
	}
	for _, f := range revocationFaults {
		add("revocations", f.name, f.caught, func(t *testing.T) {
			TestRevocations(t, func(*testing.T) Revocations {
				b := &brokenFeed{feed: new(feed)}
				f.apply(b)
				same := func(*testing.T) revoke.Store { return b }
				return Revocations{Store: b, Beside: same, Reopen: same}
			})
		})
	}
}
