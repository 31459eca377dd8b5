package keyring_test

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
)

// A process is a ring with a clock of its own, which differs from the true time.
type process struct {
	*keyring.Ring
	skew   time.Duration
	life   time.Duration
	loaded time.Time // the true time of the last load that succeeded
	unsure bool      // the last change failed: the ring may not have been able to save for how long it signs
	read   time.Time // the same, by its own clock
	saved  int       // how often the store had been saved then
	gone   map[string]bool
}

// done notes how a change ended.
func (p *process) done(m *model, err error) {
	if p.unsure = err != nil && !errors.Is(err, keyring.ErrUnknownKey); p.unsure && !m.broken {
		m.t.Fatalf("a change with a store that works = %v, want nil", err)
	}
	if err == nil {
		p.loaded, p.read, p.saved = m.clock.Now(), m.clock.Now().Add(p.skew), m.store.saved()
	}
}

// A signed is something that was signed, and what should become of it.
type signed struct {
	kid     string
	expires time.Time // by the clock of whoever has signed it
	input   []byte
	sig     []byte
}

// model is several processes on one store, and what is known about it from outside.
type model struct {
	t                       *rapid.T
	clock                   *clock
	store                   *ringStore
	rotate, publish, leeway time.Duration
	rings                   []*process
	tokens                  []signed
	visible                 map[string]time.Time // when a key was first public anywhere
	used                    map[string]bool
	sudden                  map[string]bool // keys that may sign without having been public
	retired                 map[string]bool // in an emergency
	deleted                 map[string]bool // from the store
	broken, wentBack        bool
	imports                 int
}

func (m *model) start(life time.Duration) *process {
	p := &process{skew: time.Duration(rapid.Int64Range(int64(-m.leeway/2), int64(m.leeway/2)).Draw(m.t, "skew")).Truncate(time.Millisecond), life: life, gone: map[string]bool{}}
	r, err := keyring.New(m.store, keyring.Config{
		Name: "access", Algorithm: keyring.HS256, Rotate: m.rotate, Publish: m.publish, Lifetime: life, Leeway: m.leeway, Master: testMaster, Logger: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return m.clock.Now().Add(p.skew) },
	})
	if err != nil {
		m.t.Fatalf("New = %v, want nil", err)
	}
	p.Ring = r
	return p
}

func (m *model) pick() *process {
	return rapid.SampledFrom(m.rings).Draw(m.t, "process")
}

func (m *model) load(p *process) {
	err := p.Load(m.t.Context())
	p.done(m, err)
	if err != nil {
		return
	}
	for _, k := range p.All() {
		if m.retired[k.ID()] {
			m.t.Fatalf("the key %q was retired for good, and verifies in a process that has just loaded", k.ID())
		}
	}
}

// fresh reports whether p knows all keys that may sign by now.
func (m *model) fresh(p *process) bool {
	return !p.loaded.IsZero() && !p.unsure && m.clock.Now().Sub(p.loaded) < m.publish-m.leeway
}

func (m *model) sign(p *process) {
	if !m.fresh(p) {
		return
	}
	k, err := p.Signer()
	if err != nil {
		m.t.Fatalf("Signer() of a fresh process = %v, want nil", err)
	}
	now := m.clock.Now()
	if !m.used[k.ID()] && !m.sudden[k.ID()] && !m.wentBack {
		if since := now.Sub(m.visible[k.ID()]); since < m.publish-m.leeway {
			m.t.Fatalf("the key %q signs %v after it was made, want %v at least: %v", k.ID(), since, m.publish-m.leeway, p.Keys())
		}
	}
	m.used[k.ID()] = true
	text := fmt.Appendf(nil, "token %d", len(m.tokens))
	sig, err := k.Sign(nil, text)
	if err != nil {
		m.t.Fatalf("Sign = %v, want nil", err)
	}
	m.tokens = append(m.tokens, signed{k.ID(), now.Add(p.skew + p.life), text, sig})
}

// verify checks all that was signed at p.
func (m *model) verify(p *process) {
	if m.broken || p.loaded.IsZero() {
		return
	}
	now := m.clock.Now().Add(p.skew)
	kept := m.tokens[:0]
	for _, token := range m.tokens {
		over := !now.Before(token.expires) || m.retired[token.kid]
		if k, err := p.Find(m.t.Context(), token.kid); err != nil && !over {
			m.load(p) // the ring asks the store once a second only
			if k, err = p.Find(m.t.Context(), token.kid); err != nil {
				m.t.Fatalf("%v before its expiry a token of the key %q is refused: %v; the keys are %v", token.expires.Sub(now), token.kid, err, p.Keys())
			}
			m.check(k, token)
		} else if err == nil {
			m.check(k, token)
		}
		if m.clock.Now().Before(token.expires.Add(10 * m.leeway)) {
			kept = append(kept, token)
		}
	}
	m.tokens = kept
}

func (m *model) check(k *keyring.Key, token signed) {
	if err := k.Verify(token.input, token.sig); err != nil {
		m.t.Fatalf("the key %q does not verify what it has signed: %v", token.kid, err)
	}
}

// administer does something and notes which keys it has made without notice.
func (m *model) administer(p *process, do func() error) {
	before := map[string]bool{}
	for _, rec := range m.store.records("access") {
		before[rec.ID] = true
	}
	p.done(m, do())
	for _, rec := range m.store.records("access") {
		if !before[rec.ID] {
			m.sudden[rec.ID] = true
		}
	}
}

func (m *model) retire(p *process) {
	recs := m.store.records("access")
	if len(recs) == 0 {
		return
	}
	id := rapid.SampledFrom(recs).Draw(m.t, "key").ID
	m.administer(p, func() error {
		err := p.Retire(m.t.Context(), id)
		if err == nil {
			m.retired[id] = true
		}
		return err
	})
}

func (m *model) importKey(p *process) {
	m.imports++
	k, err := keyring.Secret(keyring.HS256, fmt.Sprint("imported secret ", m.imports), true)
	if err != nil {
		m.t.Fatal(err)
	}
	m.sudden[k.ID()] = true
	m.administer(p, func() error { _, err := p.Import(m.t.Context(), k); return err })
}

// invariants hold at every moment.
func (m *model) invariants(*rapid.T) {
	recs := m.store.records("access")
	if len(recs) > 0 && m.visible == nil {
		m.visible = map[string]time.Time{}
		m.sudden[recs[0].ID] = true // the very first key
	}
	stored := map[string]bool{}
	for _, rec := range recs {
		stored[rec.ID] = true
		if _, ok := m.visible[rec.ID]; !ok {
			m.visible[rec.ID] = m.clock.Now()
		}
		if m.deleted[rec.ID] {
			m.t.Fatalf("the key %q was deleted, and is back in the store", rec.ID)
		}
	}
	for id := range m.visible {
		m.deleted[id] = !stored[id]
	}
	for _, p := range m.rings {
		if !p.loaded.IsZero() {
			m.invariantsOf(p)
		}
	}
}

func (m *model) invariantsOf(p *process) {
	signers := 0
	for _, info := range p.Keys() {
		switch info.State {
		case keyring.Active:
			signers++
			if k, err := p.Signer(); p.unsure && errors.Is(err, gatehouse.ErrUnavailable) {
				continue
			} else if err != nil || k.ID() != info.ID || p.All()[0].ID() != info.ID {
				m.t.Fatalf("Signer() = %v, %v, want the active key %q, and that All has it first", k, err, info.ID)
			}
		case keyring.Gone:
			if m.store.saved() == p.saved && (info.Retires.IsZero() || !p.read.Before(info.Retires)) { // or it is not sure
				p.gone[info.ID] = true
			}
		}
	}
	if signers != 1 {
		m.t.Fatalf("there are %d active keys, want exactly one: %v", signers, p.Keys())
	}
	for _, k := range p.All() {
		if p.gone[k.ID()] && (!m.wentBack || len(m.rings) == 1) { // for other processes it may not have been, and they may sign with it
			m.t.Fatalf("the key %q was gone, and verifies again: %v", k.ID(), p.Keys())
		}
		if found, err := p.Find(m.t.Context(), k.ID()); err != nil || found != k {
			m.t.Fatalf("Find(%q) of a key in All() = %v, %v, want it", k.ID(), found, err)
		}
	}
	for id := range m.retired {
		for _, rec := range m.store.records("access") {
			if rec.ID == id && (len(rec.Material) > 0 || rec.Gone.IsZero()) {
				m.t.Fatalf("the key %q was retired for good, and is back in the store", id)
			}
		}
	}
}

// TestModel lets several processes with clocks that differ do everything in any order, and the store fail.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{t: t, clock: newClock(), store: newStore(), used: map[string]bool{}, sudden: map[string]bool{}, retired: map[string]bool{}, deleted: map[string]bool{}}
		m.rotate = time.Duration(rapid.SampledFrom([]int{0, 10, 60, 3600}).Draw(t, "rotate")) * time.Second
		m.publish = time.Duration(rapid.SampledFrom([]int{5, 10}).Draw(t, "publish")) * time.Second
		m.leeway = time.Duration(rapid.IntRange(1, 2000).Draw(t, "leeway")) * time.Millisecond
		lives := rapid.SampledFrom([]time.Duration{time.Second, 30 * time.Second, 10 * time.Minute})
		for range rapid.IntRange(1, 4).Draw(t, "processes") {
			m.rings = append(m.rings, m.start(lives.Draw(t, "life")))
			m.load(m.rings[len(m.rings)-1])
		}
		on := func(act func(*process)) func(*rapid.T) {
			return func(*rapid.T) { act(m.pick()) }
		}
		step := func(most int64) func(*rapid.T) {
			return func(t *rapid.T) {
				m.clock.move(time.Duration(rapid.Int64Range(1, most).Draw(t, "milliseconds")) * time.Millisecond)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"step": step(2000), "leap": step(120_000), "load": on(m.load), "load again": on(m.load), "sign": on(m.sign), "sign again": on(m.sign), "verify": on(m.verify),
			"load all": func(*rapid.T) {
				for _, p := range m.rings {
					m.load(p)
				}
			},
			"rotate": on(func(p *process) {
				_, err := p.Rotate(t.Context())
				p.done(m, err)
			}),
			"retire": on(m.retire), "import": on(m.importKey),
			"break": func(t *rapid.T) {
				away := errors.New("away")
				m.store.fail(map[bool]error{true: away}[rapid.Bool().Draw(t, "loads")], away)
				m.broken = true
			},
			"repair":       func(*rapid.T) { m.store.fail(nil, nil); m.broken = false },
			"repair again": func(*rapid.T) { m.store.fail(nil, nil); m.broken = false },
			"restart": func(t *rapid.T) {
				i := rapid.IntRange(0, len(m.rings)-1).Draw(t, "which")
				m.rings[i] = m.start(lives.Draw(t, "life"))
				m.load(m.rings[i])
			},
			"back": func(t *rapid.T) {
				if rapid.IntRange(0, 20).Draw(t, "really") > 0 {
					return
				}
				back := time.Duration(rapid.Int64Range(1, 1_000_000).Draw(t, "milliseconds")) * time.Millisecond
				m.clock.move(-back)
				m.wentBack, m.tokens = true, nil // what was signed at a time that is yet to come is nobody's business
				for _, p := range m.rings {
					if !p.loaded.IsZero() {
						p.loaded = p.loaded.Add(-back)
					}
				}
			},
			"": m.invariants,
		})
	})
}
