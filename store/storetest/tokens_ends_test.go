package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/token"
)

// tokenEnds are faults of what ends tokens, and of copies.
var tokenEnds = []tokenFault{
	{"Delete does nothing", "Delete DeleteFamily NotFound RandomSteps Families Beside", func(b *brokenTokens) {
		b.delete = func(ctx context.Context, _ token.Key, _ string) error { return ctx.Err() }
	}},
	{"Delete wants a record", "Delete", func(b *brokenTokens) {
		b.delete = func(ctx context.Context, key token.Key, family string) error {
			if family == "" {
				if _, err := b.naiveTokens.Get(ctx, key); err != nil {
					return err
				}
			}
			return b.naiveTokens.Delete(ctx, key, family)
		}
	}},
	{"Delete of a family wants one", "DeleteFamily", func(b *brokenTokens) {
		b.delete = func(ctx context.Context, key token.Key, family string) error {
			if family != "" && len(b.all(func(r token.Record) bool { return r.Family == family })) == 0 && ctx.Err() == nil {
				return token.ErrNotFound
			}
			return b.naiveTokens.Delete(ctx, key, family)
		}
	}},
	{"Delete of one ends its family", "Delete", func(b *brokenTokens) {
		b.delete = func(ctx context.Context, key token.Key, family string) error {
			if rec, err := b.naiveTokens.Get(ctx, key); err == nil && family == "" {
				family = rec.Family
			}
			return b.naiveTokens.Delete(ctx, key, family)
		}
	}},
	{"Delete of a family removes the key too", "DeleteFamily", func(b *brokenTokens) {
		b.delete = func(ctx context.Context, key token.Key, family string) error {
			return errors.Join(b.naiveTokens.Delete(ctx, key, family), b.naiveTokens.Delete(ctx, key, ""))
		}
	}},
	{"Delete of a family removes the latest", "DeleteFamily RandomSteps", func(b *brokenTokens) {
		b.delete = func(ctx context.Context, key token.Key, family string) error {
			if family == "" {
				return b.naiveTokens.Delete(ctx, key, family)
			}
			b.take(func(r token.Record) bool { return r.Family == family && r.Next == none && ctx.Err() == nil })
			return ctx.Err()
		}
	}},
	{"the key of what was deleted stays taken", "Delete", func(b *brokenTokens) {
		gone := map[token.Key]bool{}
		b.delete = func(ctx context.Context, key token.Key, family string) error {
			gone[key] = true
			return b.naiveTokens.Delete(ctx, key, family)
		}
		b.create = func(ctx context.Context, rec token.Record) error {
			if gone[rec.Key] {
				return token.ErrExists
			}
			return b.naiveTokens.Create(ctx, rec)
		}
	}},
	{"a family that begins again brings back the old one", "DeleteFamily", func(b *brokenTokens) {
		ended := new(naiveTokens)
		b.delete = func(ctx context.Context, key token.Key, family string) error {
			for _, rec := range b.all(func(r token.Record) bool { return family != "" && r.Family == family }) {
				ended.put(rec)
			}
			return b.naiveTokens.Delete(ctx, key, family)
		}
		b.create = func(ctx context.Context, rec token.Record) error {
			back := ended.all(func(r token.Record) bool { return rec.Family != "" && r.Family == rec.Family })
			if len(back) == 0 {
				return b.naiveTokens.Create(ctx, rec)
			}
			for _, r := range append(back, rec) {
				b.put(r)
			}
			return ctx.Err()
		}
	}},
	{"DeleteSubject does nothing", "DeleteSubject DeletePurposes Subjects RandomSteps Families CreateAgainstDelete", func(b *brokenTokens) {
		b.deleteSubject = func(ctx context.Context, _ string, _ []string) ([]string, error) { return nil, ctx.Err() }
	}},
	{"DeleteSubject does not tell the families", "DeleteSubject Many ParallelDeletes Subjects", func(b *brokenTokens) {
		b.deleteSubject = func(ctx context.Context, subject string, purposes []string) ([]string, error) {
			_, err := b.naiveTokens.DeleteSubject(ctx, subject, purposes...)
			return nil, err
		}
	}},
	{"DeleteSubject tells families once for each record", "DeleteSubject Subjects", func(b *brokenTokens) {
		b.deleteSubject = func(ctx context.Context, subject string, purposes []string) (families []string, err error) {
			for _, rec := range b.all(func(r token.Record) bool {
				return r.Subject == subject && r.Family != "" && (len(purposes) == 0 || slices.Contains(purposes, r.Purpose))
			}) {
				families = append(families, rec.Family)
			}
			_, err = b.naiveTokens.DeleteSubject(ctx, subject, purposes...)
			return families, err
		}
	}},
	{"DeleteSubject leaves families alone", "DeleteSubject DeletePurposes Families", func(b *brokenTokens) {
		b.deleteSubject = func(ctx context.Context, subject string, purposes []string) ([]string, error) {
			b.take(func(r token.Record) bool {
				return r.Subject == subject && r.Family == "" && (len(purposes) == 0 || slices.Contains(purposes, r.Purpose))
			})
			return nil, ctx.Err()
		}
	}},
	{"DeleteSubject takes only its own out of families", "DeleteSubject", func(b *brokenTokens) {
		b.deleteSubject = func(ctx context.Context, subject string, purposes []string) ([]string, error) {
			others := b.all(func(r token.Record) bool { return r.Family != "" && r.Subject != subject })
			families, err := b.naiveTokens.DeleteSubject(ctx, subject, purposes...)
			for _, rec := range others {
				b.put(rec)
			}
			return families, err
		}
	}},
	{"DeleteSubject ignores the purposes", "DeletePurposes RandomSteps", func(b *brokenTokens) {
		b.deleteSubject = func(ctx context.Context, subject string, _ []string) ([]string, error) {
			return b.naiveTokens.DeleteSubject(ctx, subject)
		}
	}},
	{"DeleteSubject takes the first purpose", "DeletePurposes", func(b *brokenTokens) {
		b.deleteSubject = func(ctx context.Context, subject string, purposes []string) ([]string, error) {
			return b.naiveTokens.DeleteSubject(ctx, subject, purposes[:min(1, len(purposes))]...)
		}
	}},
	{"purposes have no case", "DeletePurposes", likeTokens(func(stored, asked string) bool { return stored == asked }, strings.EqualFold)},
	{"purposes are prefixes", "DeletePurposes", likeTokens(func(stored, asked string) bool { return stored == asked }, strings.HasPrefix)},
	{"DeleteSubject of nobody is of everybody", "DeleteSubject Subjects", likeTokens(func(stored, asked string) bool { return asked == "" || stored == asked }, nil)},
	{"subjects have no case", "Subjects", likeTokens(strings.EqualFold, nil)},
	{"subjects have no space at the end", "Subjects", likeTokens(func(x, y string) bool { return strings.TrimRight(x, " ") == strings.TrimRight(y, " ") }, nil)},
	{"subjects end at a NUL", "Subjects", likeTokens(func(x, y string) bool {
		x, _, _ = strings.Cut(x, "\x00")
		y, _, _ = strings.Cut(y, "\x00")
		return x == y
	}, nil)},
	{"subjects are patterns", "Subjects", likeTokens(func(stored, asked string) bool {
		start, pattern := strings.CutSuffix(asked, "%")
		return stored == asked || pattern && strings.HasPrefix(stored, start)
	}, nil)},
	{"subjects are made valid", "Subjects", likeTokens(func(x, y string) bool { return strings.ToValidUTF8(x, "\ufffd") == strings.ToValidUTF8(y, "\ufffd") }, nil)},
	{"subjects are cut", "Subjects", likeTokens(func(x, y string) bool { return x[:min(len(x), 1023)] == y[:min(len(y), 1023)] }, nil)},
	{"families have no case", "Names", func(b *brokenTokens) {
		b.delete = func(ctx context.Context, key token.Key, family string) error {
			for _, rec := range b.all(func(r token.Record) bool { return family != "" && strings.EqualFold(r.Family, family) }) {
				b.naiveTokens.Delete(ctx, none, rec.Family)
			}
			return b.naiveTokens.Delete(ctx, key, family)
		}
	}},

	// Time.
	{"Prune does nothing", "Prune PruneFamilies ParallelPrunes", func(b *brokenTokens) {
		b.prune = func(ctx context.Context, _ time.Time, _ int) (int, error) { return 0, ctx.Err() }
	}},
	{"Prune has no limit", "Prune ParallelPrunes", func(b *brokenTokens) {
		b.prune = func(ctx context.Context, before time.Time, _ int) (int, error) {
			return b.naiveTokens.Prune(ctx, before, 1e6)
		}
	}},
	{"Prune counts no further than its limit, and goes on", "Prune", func(b *brokenTokens) {
		b.prune = func(ctx context.Context, before time.Time, limit int) (int, error) {
			n, err := b.naiveTokens.Prune(ctx, before, 1e6)
			return min(n, limit), err
		}
	}},
	{"Prune takes what is not over yet", "Prune", func(b *brokenTokens) {
		b.prune = func(ctx context.Context, before time.Time, limit int) (int, error) {
			return b.naiveTokens.Prune(ctx, before.Add(time.Millisecond), limit)
		}
	}},
	{"Prune asks the real clock", "Prune", func(b *brokenTokens) {
		b.prune = func(ctx context.Context, _ time.Time, limit int) (int, error) {
			return b.naiveTokens.Prune(ctx, time.Now(), limit)
		}
	}},
	{"Prune takes whole families", "PruneFamilies", func(b *brokenTokens) {
		b.prune = func(ctx context.Context, before time.Time, limit int) (int, error) {
			overdue := b.all(func(r token.Record) bool { return r.Expires.Before(before) && r.Family != "" })
			n, err := b.naiveTokens.Prune(ctx, before, limit)
			for _, rec := range overdue {
				b.naiveTokens.Delete(ctx, none, rec.Family)
			}
			return n, err
		}
	}},
	{"Prune forgets families of which something is left", "PruneFamilies", func(b *brokenTokens) {
		b.prune = func(ctx context.Context, before time.Time, limit int) (int, error) {
			overdue := b.all(func(r token.Record) bool { return r.Expires.Before(before) })
			n, err := b.naiveTokens.Prune(ctx, before, limit)
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, rec := range overdue {
				delete(b.m.families, rec.Family)
			}
			return n, err
		}
	}},
	{"the keys of what was pruned stay taken", "Prune", func(b *brokenTokens) {
		gone := map[token.Key]bool{}
		b.prune = func(ctx context.Context, before time.Time, limit int) (int, error) {
			for _, rec := range b.all(func(r token.Record) bool { return r.Expires.Before(before) }) {
				gone[rec.Key] = true
			}
			return b.naiveTokens.Prune(ctx, before, limit)
		}
		b.create = func(ctx context.Context, rec token.Record) error {
			if gone[rec.Key] {
				return token.ErrExists
			}
			return b.naiveTokens.Create(ctx, rec)
		}
	}},

	// Copies.
	{"Create keeps what it was given", "Copies", func(b *brokenTokens) {
		b.create = func(ctx context.Context, rec token.Record) error {
			err := b.naiveTokens.Create(ctx, rec)
			b.change(rec.Key, func(r *token.Record) { r.Body = rec.Body })
			return err
		}
	}},
	{"Rotate keeps what it was given", "Copies", func(b *brokenTokens) {
		b.rotate = func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
			rec, err := b.naiveTokens.Rotate(ctx, key, used, sealed, next)
			if err == nil {
				b.change(key, func(r *token.Record) { r.Sealed = sealed })
				b.change(next.Key, func(r *token.Record) { r.Body = next.Body })
			}
			return rec, err
		}
	}},
	{"Rotate gives what it keeps", "Copies", func(b *brokenTokens) {
		b.rotate = func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
			rec, err := b.naiveTokens.Rotate(ctx, key, used, sealed, next)
			if err == nil || errors.Is(err, token.ErrSpent) {
				b.change(key, func(r *token.Record) { r.Body, r.Sealed = rec.Body, rec.Sealed })
			}
			return rec, err
		}
	}},
	{"Get gives what it keeps", "Copies", func(b *brokenTokens) {
		b.get = func(ctx context.Context, key token.Key) (token.Record, error) {
			rec, err := b.naiveTokens.Get(ctx, key)
			b.change(key, func(r *token.Record) { r.Body, r.Sealed = rec.Body, rec.Sealed })
			return rec, err
		}
	}},
	{"Use gives what it keeps", "Copies", func(b *brokenTokens) {
		b.use = func(ctx context.Context, key token.Key) (token.Record, error) {
			rec, err := b.naiveTokens.Use(ctx, key)
			if err == nil {
				b.change(key, func(r *token.Record) { r.Body, r.Sealed = rec.Body, rec.Sealed })
			}
			return rec, err
		}
	}},
}

// likeTokens makes DeleteSubject take subjects and purposes that are alike. Nil stands for those that are the same.
func likeTokens(subjects, purposes func(stored, asked string) bool) func(*brokenTokens) {
	same := func(stored, asked string) bool { return stored == asked }
	if purposes == nil {
		purposes = same
	}
	return func(b *brokenTokens) {
		b.deleteSubject = func(ctx context.Context, subject string, asked []string) (families []string, err error) {
			for _, rec := range b.all(func(r token.Record) bool {
				return subjects(r.Subject, subject) && (len(asked) == 0 || slices.ContainsFunc(asked, func(p string) bool { return purposes(r.Purpose, p) }))
			}) {
				more, err := b.naiveTokens.DeleteSubject(ctx, rec.Subject, rec.Purpose)
				if err != nil {
					return nil, err
				}
				families = append(families, more...)
			}
			return families, ctx.Err()
		}
	}
}
