package storetest

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

// rotation is how often the keys of these tests take turns.
const rotation = time.Hour

// ringSet returns rings of one name, as many processes have them, on the stores in turn, with one clock.
func (s *keySuite) ringSet(n int) ([]*keyring.Ring, *clock) {
	s.Helper()
	return s.ringsOn(s.stores(), n)
}

func (s *keySuite) ringsOn(stores []keyring.Store, n int) ([]*keyring.Ring, *clock) {
	s.Helper()
	master, c := keyring.NewMaster(), &clock{now: s.now}
	rings := make([]*keyring.Ring, n)
	for i := range rings {
		var err error
		rings[i], err = keyring.New(stores[i%len(stores)], keyring.Config{Name: "access", Algorithm: keyring.EdDSA, Rotate: rotation, Publish: rotation / 4,
			Lifetime: rotation, Master: master, Logger: slog.New(slog.DiscardHandler), Now: c.Now})
		s.ok("keyring.New", err)
	}
	return rings, c
}

// onAll does the same with all rings at once.
func (s *keySuite) onAll(what string, rings []*keyring.Ring, do func(*keyring.Ring) error) {
	s.Helper()
	s.ok(what, errors.Join(together(len(rings), rings, func(r *keyring.Ring, _ int) error { return do(r) })...))
}

// agree reports rings that do not all sign with the same key, and returns its id.
func (s *keySuite) agree(rings []*keyring.Ring) string {
	s.Helper()
	signer := ""
	for i, r := range rings {
		k, err := r.Signer()
		s.ok("Signer", err)
		if i == 0 {
			signer = k.ID()
		}
		if k.ID() != signer {
			s.Fatalf("ring %d signs with %s, ring 0 with %s", i, k.ID(), signer)
		}
	}
	return signer
}

// stored returns the keys that the store has.
func (s *keySuite) stored() []keyring.Record {
	s.Helper()
	keys, _, err := s.Store.Load(s.Context(), "access")
	s.ok("Load", err)
	return keys
}

// ringsRotateOnce: several processes that find at the same moment that it is time for a key make one.
func (s *keySuite) ringsRotateOnce() {
	begin, stores := &gate{}, s.stores()
	for i := range stores {
		stores[i] = gatedKeys{stores[i], begin}
	}
	rings, c := s.ringsOn(stores, 8)
	load := func(r *keyring.Ring) error { return r.Load(s.Context()) }
	signers := []string{}
	begin.closeFor(len(rings))
	for turn := range s.rounds(4) {
		s.onAll("Load", rings, load)
		signer := s.agree(rings)
		if slices.Contains(signers, signer) {
			s.Errorf("in turn %d the key %s signs again", turn, signer)
		}
		signers = append(signers, signer)
		c.advance(rotation - rotation/4)
		begin.closeFor(len(rings))
		s.onAll("Load when the next key is due", rings, load)
		if now := s.agree(rings); now != signer {
			s.Errorf("before it is time, %s signs, want %s", now, signer)
		}
		next := 0
		for _, key := range s.stored() {
			if key.Active.After(c.Now()) {
				next++
			}
		}
		if next != 1 {
			s.Errorf("%d rings have made %d next keys, want 1", len(rings), next)
		}
		c.advance(rotation / 4)
		if now := s.agree(rings); now == signer {
			s.Errorf("when it is time, %s still signs", now)
		}
	}
}

// gatedKeys let nobody save before all have come who have then all loaded the same.
type gatedKeys struct {
	keyring.Store
	gate *gate
}

func (g gatedKeys) Save(ctx context.Context, ring string, version int64, keys []keyring.Record) error {
	g.gate.pass(ctx)
	return g.Store.Save(ctx, ring, version, keys)
}

// ringsFollow: what is rotated or imported in one process signs in all, as soon as they look, and verifies at once where it is asked for.
func (s *keySuite) ringsFollow() {
	rings, c := s.ringSet(4)
	load := func(r *keyring.Ring) error { return r.Load(s.Context()) }
	s.onAll("Load", rings, load)
	own, err := keyring.Generate(keyring.EdDSA)
	s.ok("Generate", err)
	_, err = rings[0].Import(s.Context(), own)
	s.ok("Import", err)
	c.advance(2 * time.Second) // unknown keys are looked for once a second
	for i, r := range rings {
		if _, err := r.Find(context.Background(), own.ID()); err != nil {
			s.Errorf("Find in ring %d of a key that was imported elsewhere = %v, want nil", i, err)
		}
	}
	if signer := s.agree(rings); signer != own.ID() {
		s.Errorf("after Import %s signs, want %s", signer, own.ID())
	}
	s.onAll("Rotate", rings, func(r *keyring.Ring) error { _, err := r.Rotate(s.Context()); return err })
	if n := len(s.stored()); n != 3 {
		s.Errorf("after Rotate by %d rings at once there are %d keys, want 3: the first, the imported one, and the next", len(rings), n)
	}
}

// ringsRetire: a key that was retired is gone everywhere after the next look, and does not come back with a process that starts.
func (s *keySuite) ringsRetire() {
	rings, _ := s.ringSet(4)
	load := func(r *keyring.Ring) error { return r.Load(s.Context()) }
	s.onAll("Load", rings, load)
	stolen := s.agree(rings)
	s.onAll("Retire", rings, func(r *keyring.Ring) error { return r.Retire(s.Context(), stolen) })
	s.onAll("Load", rings, load)
	for i, r := range rings {
		if _, err := r.Find(s.Context(), stolen); !errors.Is(err, keyring.ErrUnknownKey) {
			s.Errorf("Find in ring %d of a key that was retired = %v, want an error that wraps %q", i, err, keyring.ErrUnknownKey)
		}
	}
	if now := s.agree(rings); now == stolen {
		s.Error("the key that was retired still signs")
	}
	for _, key := range s.stored() {
		if key.ID == stolen && (len(key.Material) > 0 || key.Gone.IsZero()) {
			s.Errorf("the store still has the %d bytes of the key that was retired, gone %v", len(key.Material), key.Gone)
		}
	}
}
