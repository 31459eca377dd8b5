package keyring_test

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

// clock is a clock that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// move sets the clock forward, or back if d is negative.
func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// testMaster is the master key of all rings whose test is about something else.
var testMaster = keyring.NewMaster()

// ringOf returns a ring that is not loaded. What c leaves out is filled in: EdDSA, because its keys are made fast, the clock, the master key, a silent logger.
func ringOf(t testing.TB, store keyring.Store, clock *clock, c keyring.Config) *keyring.Ring {
	t.Helper()
	if c.Name == "" {
		c.Name = "access"
	}
	if c.Algorithm == "" {
		c.Algorithm = keyring.EdDSA
	}
	if c.Master == nil {
		c.Master = testMaster
	}
	if c.Logger == nil {
		c.Logger = silent()
	}
	c.Now = clock.Now
	r, err := keyring.New(store, c)
	if err != nil {
		t.Fatalf("New(%+v) = %v, want nil", c, err)
	}
	return r
}

// newRing returns a loaded ring.
func newRing(t testing.TB, store keyring.Store, clock *clock, c keyring.Config) *keyring.Ring {
	t.Helper()
	r := ringOf(t, store, clock, c)
	load(t, r)
	return r
}

func load(t testing.TB, rings ...*keyring.Ring) {
	t.Helper()
	for _, r := range rings {
		if err := r.Load(t.Context()); err != nil {
			t.Fatalf("Load(%s) = %v, want nil", r.Name(), err)
		}
	}
}

func signerOf(t testing.TB, r *keyring.Ring) *keyring.Key {
	t.Helper()
	k, err := r.Signer()
	if err != nil {
		t.Fatalf("Signer() = %v, want nil", err)
	}
	return k
}

// states returns the states of a ring's keys in the order in which they sign.
func states(r *keyring.Ring) []keyring.State {
	var got []keyring.State
	for _, info := range r.Keys() {
		got = append(got, info.State)
	}
	return got
}

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }
