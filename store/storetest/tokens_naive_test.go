package storetest

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/token"
)

// naiveTokens are the suite's model behind a lock. It is right, so that whatever the suite finds in [brokenTokens] is what was broken in it.
type naiveTokens struct {
	mu sync.Mutex
	m  tokenModel
}

func (n *naiveTokens) lock(ctx context.Context) (unlock func(), err error) {
	n.mu.Lock()
	if err := ctx.Err(); err != nil {
		n.mu.Unlock()
		return nil, err
	}
	return n.mu.Unlock, nil
}

func copiedToken(rec token.Record) token.Record {
	rec.Body, rec.Sealed = bytes.Clone(rec.Body), bytes.Clone(rec.Sealed)
	return rec
}

func (n *naiveTokens) Create(ctx context.Context, rec token.Record) error {
	unlock, err := n.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return n.m.create(copiedToken(rec))
}

// with does something with one record.
func (n *naiveTokens) with(ctx context.Context, do func() (token.Record, error)) (token.Record, error) {
	unlock, err := n.lock(ctx)
	if err != nil {
		return token.Record{}, err
	}
	defer unlock()
	rec, err := do()
	return copiedToken(rec), err
}

func (n *naiveTokens) Get(ctx context.Context, key token.Key) (token.Record, error) {
	return n.with(ctx, func() (token.Record, error) { return n.m.get(key) })
}

func (n *naiveTokens) Use(ctx context.Context, key token.Key) (token.Record, error) {
	return n.with(ctx, func() (token.Record, error) { return n.m.use(key) })
}

func (n *naiveTokens) Rotate(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
	return n.with(ctx, func() (token.Record, error) { return n.m.rotate(key, used, bytes.Clone(sealed), copiedToken(next)) })
}

func (n *naiveTokens) Delete(ctx context.Context, key token.Key, family string) error {
	unlock, err := n.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	n.m.delete(key, family)
	return nil
}

func (n *naiveTokens) DeleteSubject(ctx context.Context, subject string, purposes ...string) ([]string, error) {
	unlock, err := n.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return n.m.deleteSubject(subject, purposes...), nil
}

func (n *naiveTokens) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	unlock, err := n.lock(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	return n.m.prune(before, limit), nil
}

// change changes the record under key, if there is one, whatever the context.
func (n *naiveTokens) change(key token.Key, change func(*token.Record)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r := n.m.find(key); r != nil {
		change(r)
	}
}

// all returns the records for which match is true.
func (n *naiveTokens) all(match func(token.Record) bool) (found []token.Record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, rec := range n.m.records {
		if match(rec) {
			found = append(found, copiedToken(rec))
		}
	}
	return found
}

// put adds a record, whatever there is, and its family.
func (n *naiveTokens) put(rec token.Record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.m.remove(func(r token.Record) bool { return r.Key == rec.Key })
	n.m.records = append(n.m.records, copiedToken(rec))
	if n.m.families == nil {
		n.m.families = map[string]bool{}
	}
	if rec.Family != "" {
		n.m.families[rec.Family] = true
	}
}

// take removes the records for which match is true, and nothing else.
func (n *naiveTokens) take(match func(token.Record) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.m.remove(match)
}

// brokenTokens do what their functions do, and where they are nil what the naive store does.
type brokenTokens struct {
	*naiveTokens
	create        func(ctx context.Context, rec token.Record) error
	get           func(ctx context.Context, key token.Key) (token.Record, error)
	use           func(ctx context.Context, key token.Key) (token.Record, error)
	rotate        func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error)
	delete        func(ctx context.Context, key token.Key, family string) error
	deleteSubject func(ctx context.Context, subject string, purposes []string) ([]string, error)
	prune         func(ctx context.Context, before time.Time, limit int) (int, error)
}

func (b *brokenTokens) Create(ctx context.Context, rec token.Record) error {
	if b.create != nil {
		return b.create(ctx, rec)
	}
	return b.naiveTokens.Create(ctx, rec)
}

func (b *brokenTokens) Get(ctx context.Context, key token.Key) (token.Record, error) {
	if b.get != nil {
		return b.get(ctx, key)
	}
	return b.naiveTokens.Get(ctx, key)
}

func (b *brokenTokens) Use(ctx context.Context, key token.Key) (token.Record, error) {
	if b.use != nil {
		return b.use(ctx, key)
	}
	return b.naiveTokens.Use(ctx, key)
}

func (b *brokenTokens) Rotate(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
	if b.rotate != nil {
		return b.rotate(ctx, key, used, sealed, next)
	}
	return b.naiveTokens.Rotate(ctx, key, used, sealed, next)
}

func (b *brokenTokens) Delete(ctx context.Context, key token.Key, family string) error {
	if b.delete != nil {
		return b.delete(ctx, key, family)
	}
	return b.naiveTokens.Delete(ctx, key, family)
}

func (b *brokenTokens) DeleteSubject(ctx context.Context, subject string, purposes ...string) ([]string, error) {
	if b.deleteSubject != nil {
		return b.deleteSubject(ctx, subject, purposes)
	}
	return b.naiveTokens.DeleteSubject(ctx, subject, purposes...)
}

func (b *brokenTokens) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	if b.prune != nil {
		return b.prune(ctx, before, limit)
	}
	return b.naiveTokens.Prune(ctx, before, limit)
}

// TestTokenSuite: a store that is right passes.
func TestTokenSuite(t *testing.T) {
	TestTokens(t, func(*testing.T) Tokens {
		store := new(naiveTokens)
		same := func(*testing.T) token.Store { return store }
		return Tokens{Store: store, Beside: same, Reopen: same}
	})
}

// TestExpiringTokens: so does one that removes overdue records by itself, by its own clock or by one that can be set.
func TestExpiringTokens(t *testing.T) {
	t.Run("real clock", func(t *testing.T) { TestTokens(t, func(*testing.T) Tokens { return expiringTokens(false, 0) }) })
	t.Run("set clock", func(t *testing.T) { TestTokens(t, func(*testing.T) Tokens { return expiringTokens(true, 0) }) })
}

// expiringTokens returns a store that removes overdue records by itself, and those too that would be overdue after early.
func expiringTokens(settable bool, early time.Duration) Tokens {
	n := new(naiveTokens)
	var mu sync.Mutex
	ahead := early
	tidy := func() {
		mu.Lock()
		now := time.Now().Add(ahead)
		mu.Unlock()
		n.Prune(context.Background(), now, 1e6)
	}
	b := &brokenTokens{naiveTokens: n}
	b.create = func(ctx context.Context, rec token.Record) error { tidy(); return n.Create(ctx, rec) }
	b.get = func(ctx context.Context, key token.Key) (token.Record, error) { tidy(); return n.Get(ctx, key) }
	b.use = func(ctx context.Context, key token.Key) (token.Record, error) { tidy(); return n.Use(ctx, key) }
	b.rotate = func(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
		tidy()
		return n.Rotate(ctx, key, used, sealed, next)
	}
	b.prune = func(ctx context.Context, _ time.Time, _ int) (int, error) { tidy(); return 0, ctx.Err() }
	s := Tokens{Store: b, Expires: true}
	if settable {
		s.Advance = func(d time.Duration) { mu.Lock(); defer mu.Unlock(); ahead += d }
	}
	return s
}
