package keyring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse"
)

// The defaults of a [Config], and its limit.
const (
	DefaultPublish  = 10 * time.Minute
	DefaultLifetime = 30 * 24 * time.Hour
	DefaultLeeway   = 30 * time.Second
	// MaxKeys is how many keys a ring may have at a time because of Rotate and Lifetime.
	MaxKeys = 1000
)

// A Config says what the keys of a ring are for and how long they serve.
type Config struct {
	// Name is the ring's name in the store, which is the purpose of its tokens, such as "access". Required; at most 128 bytes.
	Name string
	// Algorithm is what new keys are for. Empty means ES256. If the store has keys for another, a new one is published, takes over as after a rotation, and the
	// others serve out their time.
	Algorithm Algorithm
	// Rotate is how long a key signs. Zero means until [Ring.Rotate], [Ring.Retire] or [Ring.Import] is called: a key that signs never ends by itself.
	Rotate time.Duration
	// Publish is how long a new key is public before it signs, so that everybody knows it by then. Zero means 10 minutes, or half of Rotate if that is less.
	Publish time.Duration
	// Lifetime is the longest that anything signed with the ring is valid. Zero means 30 days. A longer one is written down before anything is
	// signed, a shorter one counts for new keys only. A Rotate so short that more than [MaxKeys] keys would be kept for it is refused.
	Lifetime time.Duration
	// Leeway is how far the clocks of those who use the ring may be apart. Zero means 30 seconds; negative, none.
	Leeway time.Duration
	// Master seals the keys in the store. Required.
	Master *Master
	// Import are private keys or secrets from elsewhere, all for Algorithm. The last one signs as soon as the ring is loaded; the others, and those that the ring has
	// already, verify for as long as what they have signed may last. A key that the ring has had before comes back only if another imported one signs.
	Import []*Key
	// Beside is for programs that look at, or change, the ring of a server with a configuration that the server may not have, or not yet: [Ring.Load] makes the first keys of a ring that
	// has none, and otherwise leaves everything to the server: what is to be imported, what is due, and the algorithm.
	Beside bool
	// Logger gets which keys were made and what went wrong, and never a key. Nil means slog.Default.
	Logger *slog.Logger
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// A Ring has the keys of one purpose: one that signs, and those that verify. Several rings of one name on one store, in several processes, have the same
// keys, and change from one to the next at the same moment. A Ring is safe for concurrent use.
type Ring struct {
	c      Config
	store  Store
	static []*Key // of a ring that has no store
	rules  rules
	turn   chan struct{} // who holds it reads and changes the store
	begun  bool          // what the configuration asks for at the start was done; under turn
	now    atomic.Pointer[snapshot]
	latest atomic.Int64 // the latest time that a key was asked for to sign, in milliseconds
	good   atomic.Int64 // when the store was last read, in milliseconds
	search search
}

// New returns the ring of c.Name in store. It has no keys before [Ring.Load]. The error says what is wrong with c.
func New(store Store, c Config) (*Ring, error) {
	if store == nil {
		return nil, errors.New("keyring.New: the store is nil: keyring.Static needs none")
	}
	if err := c.complete(); err != nil {
		return nil, fmt.Errorf("the key ring %.40q: %w", c.Name, err)
	}
	r := &Ring{c: c, store: store, turn: make(chan struct{}, 1)}
	r.rules = rules{algorithm: c.Algorithm, rotate: c.Rotate, publish: c.Publish, lifetime: c.Lifetime, leeway: c.Leeway}
	r.latest.Store(math.MinInt64)
	return r, nil
}

// Static returns a ring that consists of these keys and never changes: the first one signs, if it can, and all verify. They are for one algorithm, and no two have the same id.
func Static(name string, keys ...*Key) (*Ring, error) {
	if len(keys) == 0 || keys[0] == nil {
		return nil, fmt.Errorf("%w: the key ring %.40q has no keys: give at least one", ErrForm, name)
	}
	ids := map[string]bool{}
	for _, k := range keys {
		if err := fits(k, keys[0].algorithm); err != nil {
			return nil, fmt.Errorf("the key ring %.40q: %w", name, err)
		}
		if ids[k.id] {
			return nil, fmt.Errorf("the key ring %.40q: two keys have the id %.60q: give one of them another with WithID", name, k.id)
		}
		ids[k.id] = true
	}
	c := Config{Name: name, Algorithm: keys[0].algorithm, Publish: DefaultPublish, Lifetime: math.MaxInt64}
	return &Ring{c: c, static: append([]*Key(nil), keys...)}, nil
}

// complete fills in the defaults and returns what is wrong.
func (c *Config) complete() error {
	c.defaults()
	switch {
	case c.Name == "" || len(c.Name) > 128 || !printable(c.Name):
		return errors.New("it needs a name of at most 128 bytes, such as the purpose of its tokens")
	case c.Master == nil:
		return errors.New("it needs a master key, which its keys are sealed with in the store")
	case c.Rotate < 0 || c.Publish < 0 || c.Lifetime < 0:
		return errors.New("Rotate, Publish and Lifetime cannot be negative")
	case c.Rotate > 0 && c.Rotate < time.Second:
		return fmt.Errorf("a key that signs for %v is too short-lived: Rotate is a second at least", c.Rotate)
	case c.Rotate > 0 && c.Publish > c.Rotate:
		return fmt.Errorf("a key is public for %v before it signs, and signs for %v only: Publish cannot be longer than Rotate", c.Publish, c.Rotate)
	case c.Rotate > 0 && (c.Lifetime+c.Leeway)/c.Rotate > MaxKeys:
		return fmt.Errorf("a new key every %v, each kept for what lives up to %v, makes more than %d keys: rotate less often, or shorten the lifetime", c.Rotate, c.Lifetime, MaxKeys)
	}
	if err := c.Algorithm.Valid(); err != nil {
		return err
	}
	for _, k := range c.Import {
		if err := c.importable(k); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) defaults() {
	if c.Algorithm == "" {
		c.Algorithm = ES256
	}
	if c.Publish == 0 {
		c.Publish = DefaultPublish
		if c.Rotate > 0 {
			c.Publish = min(c.Publish, c.Rotate/2)
		}
	}
	if c.Lifetime == 0 {
		c.Lifetime = DefaultLifetime
	}
	if rest := c.Lifetime % time.Millisecond; rest > 0 {
		c.Lifetime += time.Millisecond - rest // stores keep milliseconds
	}
	switch {
	case c.Leeway == 0:
		c.Leeway = DefaultLeeway
	case c.Leeway < 0:
		c.Leeway = 0
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

// importable returns why k cannot be imported into the ring, or nil.
func (c *Config) importable(k *Key) error {
	if err := fits(k, c.Algorithm); err != nil {
		return err
	}
	if !k.CanSign() {
		return fmt.Errorf("%w: the key %.60q is public, and cannot sign: import the private one", ErrForm, k.id)
	}
	return nil
}

// fits returns why a ring for this algorithm cannot have k, or nil.
func fits(k *Key, algorithm Algorithm) error {
	switch {
	case k == nil || k.m == nil:
		return fmt.Errorf("%w: a key of it is nil", ErrForm)
	case k.algorithm != algorithm:
		return fmt.Errorf("%w: the key %.60q is for %s, the ring for %s", ErrForm, k.id, k.algorithm, algorithm)
	case k.id == "" || len(k.id) > maxID || !printable(k.id):
		return fmt.Errorf("%w: the id %.60q of a key: it has 1 to %d bytes of UTF-8 without control characters", ErrForm, k.id, maxID)
	}
	return nil
}

func printable(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, unicode.IsControl) < 0
}

// Name returns the ring's name.
func (r *Ring) Name() string { return r.c.Name }

// Algorithm returns what new keys of the ring are for.
func (r *Ring) Algorithm() Algorithm { return r.c.Algorithm }

// Lifetime returns the longest that something signed with the ring may be valid: nothing verifies it after that, once its key is retired.
func (r *Ring) Lifetime() time.Duration { return r.c.Lifetime }

// Interval returns how often [Ring.Load] should be called, for [Ring.Keep]: a quarter of Publish, so that every key is known before it signs, and at most 5 seconds, so that
// a key that was retired in an emergency is soon refused everywhere.
func (r *Ring) Interval() time.Duration {
	return max(min(r.c.Publish/4, 5*time.Second), 10*time.Millisecond)
}

// clock returns the time in milliseconds, as records have it.
func (r *Ring) clock() time.Time { return time.UnixMilli(r.c.Now().UnixMilli()) }

// Load reads the ring from the store and does what is due: it makes the first key, or the next one when it is time to publish it, and removes those that are gone. It is called before anything else,
// and then again and again, by [Ring.Keep] or otherwise. If it fails the ring goes on with the keys that it has. The error wraps [ErrMaster] if the ring was
// sealed with another master key or is damaged; it is left as it is then.
func (r *Ring) Load(ctx context.Context) error {
	if r.static != nil {
		return nil
	}
	return r.change(ctx, r.c.Import, func(p *planner) error {
		if r.c.Beside && p.signer() >= 0 {
			return nil
		}
		if !r.begun {
			for _, id := range p.joinConfigured(r.c.Import) {
				r.c.Logger.ErrorContext(ctx, "the configured key was retired for good, and is not used: configure another", "ring", r.c.Name, "kid", id)
			}
			p.follow()
		}
		p.keep(r.c.Import)
		return nil
	}, func() { r.begun = true })
}

// Keep calls [Ring.Load] at every tick, such as time.Tick(r.Interval()), until ctx is done or tick is closed. It logs what fails.
func (r *Ring) Keep(ctx context.Context, tick <-chan time.Time) {
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-tick:
			if !ok {
				return
			}
		}
		if err := r.Load(ctx); err != nil && ctx.Err() == nil {
			r.c.Logger.ErrorContext(ctx, "the key ring could not be loaded: it goes on with the keys that it has", "ring", r.c.Name, "err", err)
		}
	}
}

// maxTries bounds how often a change begins anew because somebody else has made one. Each time one of the others is done.
const maxTries = 100

// change reads the ring, changes it as act says, and saves it unless nothing changed. If somebody else has changed it meanwhile it begins anew. imports are the keys that act may bring in. done is
// called when the change was made, while nothing else can change.
func (r *Ring) change(ctx context.Context, imports []*Key, act func(*planner) error, done func()) error {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return fmt.Errorf("the key ring %q: %w", r.c.Name, context.Cause(ctx))
	}
	maker := &maker{ring: r.c.Name, master: r.c.Master, imports: imports}
	for range maxTries {
		err := r.try(ctx, maker, act)
		if err == nil {
			done()
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("the key ring %q: %w, %d times: try again later", r.c.Name, ErrConflict, maxTries)
}

// try is one attempt of change. What was read counts even if nothing could be saved.
func (r *Ring) try(ctx context.Context, m *maker, act func(*planner) error) error {
	recs, version, err := r.store.Load(ctx, r.c.Name)
	if err != nil {
		return fmt.Errorf("loading the key ring %q: %w", r.c.Name, err)
	}
	snap, err := r.open(recs)
	if err != nil {
		return err
	}
	if err := snap.clash(m.imports); err != nil {
		return fmt.Errorf("the key ring %q: %w", r.c.Name, err)
	}
	r.adopt(snap)
	p := newPlan(r.clock(), recs, r.rules, snap.ends)
	if err := act(p); err != nil {
		return fmt.Errorf("the key ring %q: %w", r.c.Name, err)
	}
	p.raise() // whatever the change was: afterwards the ring signs
	if sameRecords(recs, p.recs) {
		return nil
	}
	if err := m.fill(p.recs); err != nil {
		return err
	}
	if err := r.store.Save(ctx, r.c.Name, version, p.recs); err != nil {
		return fmt.Errorf("saving the key ring %q: %w", r.c.Name, err)
	}
	saved, err := r.open(p.recs)
	if err != nil {
		return err
	}
	r.adopt(saved)
	r.report(ctx, recs, p.recs)
	return nil
}

// adopt makes a snapshot the one that counts. An empty one counts for nothing: the ring is about to get its first key.
func (r *Ring) adopt(s *snapshot) {
	r.good.Store(r.clock().UnixMilli())
	if len(s.order) > 0 {
		r.now.Store(s)
	}
}

// open makes a snapshot of records. Keys that were opened before are taken from the last one.
func (r *Ring) open(recs []Record) (*snapshot, error) {
	old := r.now.Load()
	s := &snapshot{recs: recs, order: turns(recs, r.rules, old.endings(), r.clock()), keys: map[string]*Key{}}
	for _, rec := range recs {
		if rec.revoked() {
			s.keys[rec.ID] = nil
			continue
		}
		if _, twice := s.keys[rec.ID]; twice {
			return nil, fmt.Errorf("%w: two keys of the ring %q have the id %q: restore a backup", ErrMaster, r.c.Name, rec.ID)
		}
		k := old.opened(rec)
		if k == nil {
			var err error
			if k, err = r.c.Master.openKey(r.c.Name, rec); err != nil {
				return nil, err
			}
		}
		s.keys[rec.ID] = k
	}
	s.index()
	return s, nil
}

// report logs which keys a change has made and which it has taken away.
func (r *Ring) report(ctx context.Context, before, after []Record) {
	had := map[string]Record{}
	for _, rec := range before {
		had[rec.ID] = rec
	}
	for _, rec := range after {
		old, known := had[rec.ID]
		switch {
		case !known:
			r.c.Logger.InfoContext(ctx, "the key ring has a new key", "ring", r.c.Name, "kid", rec.ID, "algorithm", string(rec.Algorithm), "signs_from", rec.Active)
		case rec.revoked() && !old.revoked():
			r.c.Logger.WarnContext(ctx, "a key is gone for good", "ring", r.c.Name, "kid", rec.ID)
		}
	}
}

// A maker makes the keys of a change, once for all its attempts.
type maker struct {
	ring    string
	master  *Master
	imports []*Key
	made    []*Key
}

// fill gives the records of new keys what they lack: the id, and the material, sealed.
func (m *maker) fill(recs []Record) error {
	used := 0
	for i, rec := range recs {
		if rec.revoked() || len(rec.Material) > 0 {
			continue
		}
		k, err := m.key(rec, &used)
		if err != nil {
			return err
		}
		recs[i].ID = k.id
		if recs[i].Material, err = m.master.sealKey(m.ring, recs[i], k); err != nil {
			return err
		}
	}
	return nil
}

// key returns the imported key that a record names, or a new one.
func (m *maker) key(rec Record, used *int) (*Key, error) {
	for _, k := range m.imports {
		if k.id == rec.ID {
			return k, nil
		}
	}
	if *used == len(m.made) {
		k, err := Generate(rec.Algorithm)
		if err != nil {
			return nil, err
		}
		m.made = append(m.made, k)
	}
	*used++
	return m.made[*used-1], nil
}

// A snapshot is what a ring knows of its keys. Nothing in it changes.
type snapshot struct {
	recs  []Record
	order []turn
	keys  map[string]*Key // by id; nil for one that is gone for good
	place map[string]int  // in order, by id
	ends  endings
}

func (s *snapshot) index() {
	s.place, s.ends = make(map[string]int, len(s.order)), endings{}
	for i, t := range s.order {
		s.place[t.ID], s.ends[t.ID] = i, t.end
	}
}

// endings returns those that were looked at. s may be nil.
func (s *snapshot) endings() endings {
	if s == nil {
		return nil
	}
	return s.ends
}

// opened returns the key of rec if it was opened before. s may be nil.
func (s *snapshot) opened(rec Record) *Key {
	if s == nil {
		return nil
	}
	i, ok := s.place[rec.ID]
	if !ok || s.order[i].Algorithm != rec.Algorithm || !bytes.Equal(s.order[i].Material, rec.Material) {
		return nil
	}
	return s.keys[rec.ID]
}

// clash returns an error if an imported key has the id of another key.
func (s *snapshot) clash(imports []*Key) error {
	for _, k := range imports {
		if have := s.keys[k.id]; have != nil && !have.same(k) {
			return fmt.Errorf("%w: the id %.60q of the imported key is that of another key: give it its own with WithID", ErrForm, k.id)
		}
	}
	return nil
}

// notLoaded is the error of a ring before its first successful Load.
func (r *Ring) notLoaded() error {
	return fmt.Errorf("%w: the key ring %q has not been loaded", gatehouse.ErrUnavailable, r.c.Name)
}
