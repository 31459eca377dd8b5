package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
)

const (
	next, active, retired, gone = keyring.Next, keyring.Active, keyring.Retired, keyring.Gone
	day                         = 24 * time.Hour
)

func wantStates(t *testing.T, r *keyring.Ring, when string, want ...keyring.State) {
	t.Helper()
	if diff := cmp.Diff(want, states(r)); diff != "" {
		t.Errorf("the states of the keys %s (-want +got):\n%s", when, diff)
	}
}

// verifies reports whether the ring accepts what the key with this id has signed.
func verifies(t testing.TB, r *keyring.Ring, id string) bool {
	t.Helper()
	k, err := r.Find(t.Context(), id)
	if err != nil && !errors.Is(err, keyring.ErrUnknownKey) {
		t.Fatalf("Find(%q) = %v, want a key or ErrUnknownKey", id, err)
	}
	return k != nil
}

func TestNewRefuses(t *testing.T) {
	master := keyring.NewMaster()
	secret := must(keyring.Secret(keyring.HS256, "testsecret", true))
	public := made()[keyring.ES256].Public()
	for name, test := range map[string]struct {
		config keyring.Config
		want   string
	}{
		"no name":               {keyring.Config{Master: master}, "needs a name"},
		"long name":             {keyring.Config{Master: master, Name: strings.Repeat("n", 129)}, "needs a name"},
		"control character":     {keyring.Config{Master: master, Name: "a\nb"}, "needs a name"},
		"no master key":         {keyring.Config{Name: "access"}, "needs a master key"},
		"unknown algorithm":     {keyring.Config{Name: "access", Master: master, Algorithm: "none"}, "no algorithm"},
		"negative Rotate":       {keyring.Config{Name: "access", Master: master, Rotate: -1}, "cannot be negative"},
		"negative Publish":      {keyring.Config{Name: "access", Master: master, Publish: -1}, "cannot be negative"},
		"negative Lifetime":     {keyring.Config{Name: "access", Master: master, Lifetime: -1}, "cannot be negative"},
		"Rotate too short":      {keyring.Config{Name: "access", Master: master, Rotate: time.Millisecond, Lifetime: 1}, "a second at least"},
		"Publish above Rotate":  {keyring.Config{Name: "access", Master: master, Rotate: time.Hour, Publish: 2 * time.Hour}, "cannot be longer than Rotate"},
		"too many keys":         {keyring.Config{Name: "access", Master: master, Rotate: 2 * time.Second, Lifetime: 30 * day}, "more than 1000 keys"},
		"public import":         {keyring.Config{Name: "access", Master: master, Import: []*keyring.Key{public}}, "cannot sign"},
		"import of another alg": {keyring.Config{Name: "access", Master: master, Import: []*keyring.Key{secret}}, "is for HS256, the ring for ES256"},
		"nil import":            {keyring.Config{Name: "access", Master: master, Import: []*keyring.Key{nil}}, "nil"},
		"import without id":     {keyring.Config{Name: "access", Master: master, Algorithm: keyring.HS256, Import: []*keyring.Key{secret.WithID("")}}, "the id"},
		"import with a long id": {keyring.Config{Name: "access", Master: master, Algorithm: keyring.HS256, Import: []*keyring.Key{secret.WithID(strings.Repeat("i", 256))}}, "the id"},
		"import with a bad id":  {keyring.Config{Name: "access", Master: master, Algorithm: keyring.HS256, Import: []*keyring.Key{secret.WithID("a\x00")}}, "the id"},
		"import, not UTF-8":     {keyring.Config{Name: "access", Master: master, Algorithm: keyring.HS256, Import: []*keyring.Key{secret.WithID("\xff")}}, "the id"},
	} {
		if r, err := keyring.New(newStore(), test.config); err == nil || r != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("New(%s) = %v, %v, want an error with %q", name, r, err, test.want)
		}
	}
	if r, err := keyring.New(nil, keyring.Config{Name: "access", Master: master}); err == nil {
		t.Errorf("New(nil) = %v, nil, want an error", r)
	}
}

func TestDefaults(t *testing.T) {
	r, err := keyring.New(newStore(), keyring.Config{Name: "access", Master: keyring.NewMaster()})
	if err != nil || r.Algorithm() != keyring.ES256 || r.Name() != "access" || r.Lifetime() != 30*day || r.Interval() != 5*time.Second {
		t.Errorf("New(defaults) = %s %s, lifetime %v, interval %v, %v, want access ES256, 720h, 5s", r.Name(), r.Algorithm(), r.Lifetime(), r.Interval(), err)
	}
	for rotate, want := range map[time.Duration]time.Duration{time.Second: 125 * time.Millisecond, 2 * time.Second: 250 * time.Millisecond, time.Minute: 5 * time.Second, 30 * day: 5 * time.Second} {
		if got := ringOf(t, newStore(), newClock(), keyring.Config{Rotate: rotate, Lifetime: time.Minute}).Interval(); got != want {
			t.Errorf("Interval() with a Rotate of %v = %v, want %v", rotate, got, want)
		}
	}
}

func TestBeforeTheFirstLoadThereIsNothing(t *testing.T) {
	store := newStore()
	store.fail(errors.New("away"), nil)
	r := ringOf(t, store, newClock(), keyring.Config{Algorithm: keyring.A256GCM})
	if k, err := r.Signer(); !errors.Is(err, gatehouse.ErrUnavailable) || k != nil {
		t.Errorf("Signer() before Load = %v, %v, want ErrUnavailable", k, err)
	}
	if k, err := r.Find(t.Context(), "any"); !errors.Is(err, gatehouse.ErrUnavailable) || errors.Is(err, gatehouse.ErrCredential) || k != nil {
		t.Errorf("Find before Load = %v, %v, want ErrUnavailable and nothing else", k, err)
	}
	if _, err := r.Open("AAAA", nil); !errors.Is(err, gatehouse.ErrUnavailable) {
		t.Errorf("Open before Load = %v, want ErrUnavailable", err)
	}
	if _, err := r.Seal(nil, nil); !errors.Is(err, gatehouse.ErrUnavailable) {
		t.Errorf("Seal before Load = %v, want ErrUnavailable", err)
	}
	if got := r.All(); got != nil {
		t.Errorf("All() before Load = %v, want none", got)
	}
	if got := r.Keys(); got != nil {
		t.Errorf("Keys() before Load = %v, want none", got)
	}
	if err := r.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "away") {
		t.Errorf("Load from a store that is away = %v, want its error", err)
	}
}

// TestAKeysLife follows one rotation from end to end.
func TestAKeysLife(t *testing.T) {
	clock, store := newClock(), newStore()
	r := newRing(t, store, clock, keyring.Config{Rotate: 10 * time.Hour, Publish: time.Hour, Lifetime: 2 * time.Hour, Leeway: time.Minute})
	first := signerOf(t, r).ID()
	wantStates(t, r, "at the start", active)

	step := func(d time.Duration, when string, want ...keyring.State) {
		t.Helper()
		clock.move(d)
		load(t, r)
		wantStates(t, r, when, want...)
	}
	step(9*time.Hour-time.Millisecond, "just before the next is published", active)
	step(time.Millisecond, "when the next is published", active, next)
	second := r.Keys()[1].ID
	if !verifies(t, r, second) {
		t.Error("the next key does not verify, want that it does: a node whose clock is ahead signs with it")
	}
	step(time.Hour-time.Millisecond, "just before the next takes over", active, next)
	if got := signerOf(t, r).ID(); got != first {
		t.Errorf("Signer() just before = %q, want the first, %q", got, first)
	}
	clock.move(time.Millisecond) // nobody loads: the clock alone does it
	wantStates(t, r, "when the next takes over", retired, active)
	if got := signerOf(t, r).ID(); got != second {
		t.Errorf("Signer() when the next takes over = %q, want it, %q", got, second)
	}
	clock.move(2*time.Hour + time.Minute - time.Millisecond)
	if !verifies(t, r, first) {
		t.Error("the retired key does not verify until its last token is over")
	}
	clock.move(time.Millisecond)
	wantStates(t, r, "when its last token is over", gone, active)
	if verifies(t, r, first) {
		t.Error("the key verifies after its last token is over, want that it is gone")
	}
	step(0, "when the gone one is deleted", active)
	if got := store.records("access"); len(got) != 1 || got[0].ID != second {
		t.Errorf("the store has %d keys, want the second alone", len(got))
	}
}

func TestAKeyThatDoesNotRotateNeverEnds(t *testing.T) {
	clock := newClock()
	r := newRing(t, newStore(), clock, keyring.Config{Lifetime: time.Second})
	first := signerOf(t, r)
	for range 100 {
		clock.move(100 * day)
		load(t, r)
		if got := signerOf(t, r); got.ID() != first.ID() || !verifies(t, r, first.ID()) {
			t.Fatalf("after %v the signer is %v, want the first still, and that it verifies", clock.Now(), got)
		}
	}
	wantStates(t, r, "after 27 years", active)
}

// TestThereIsAlwaysAKey, whether keys change more or less often than what they sign lasts, and however seldom anybody looks.
func TestThereIsAlwaysAKey(t *testing.T) {
	for _, c := range []keyring.Config{
		{Rotate: time.Second, Lifetime: 2 * time.Second}, {Rotate: 2 * time.Second, Lifetime: time.Minute}, {Rotate: time.Hour, Lifetime: time.Second}, {Rotate: 365 * day, Lifetime: time.Minute},
		{Rotate: time.Hour, Lifetime: 30 * day}, {Rotate: 30 * day, Lifetime: 30 * day}, {Rotate: time.Minute, Publish: time.Minute, Lifetime: time.Minute}, {Rotate: time.Hour, Publish: time.Millisecond, Lifetime: time.Hour, Leeway: -1},
	} {
		for _, tick := range []time.Duration{c.Rotate / 10, c.Rotate / 3, c.Rotate, c.Rotate * 7 / 2, c.Rotate * 100} {
			clock := newClock()
			r := newRing(t, newStore(), clock, c)
			signers := map[string]bool{}
			for range 25 {
				before := signerOf(t, r)
				signers[before.ID()] = true
				clock.move(tick)
				during := signerOf(t, r)
				load(t, r)
				after := signerOf(t, r)
				if !verifies(t, r, during.ID()) || !verifies(t, r, after.ID()) {
					t.Fatalf("%+v, tick %v: the key that signs does not verify", c, tick)
				}
			}
			if len(r.Keys()) > keyring.MaxKeys || len(signers) < 3 {
				t.Errorf("Rotate %v, Lifetime %v, tick %v: %d keys, %d signers, want at most %d, at least 3", c.Rotate, c.Lifetime, tick, len(r.Keys()), len(signers), keyring.MaxKeys)
			}
		}
	}
}

// TestTokensOfOldKeys is what the system before this one did wrong: a key that was gone before its tokens were, or that nobody else had.
func TestTokensOfOldKeys(t *testing.T) {
	t.Run("a new key every second, tokens of two seconds", func(t *testing.T) {
		clock := newClock()
		r := newRing(t, newStore(), clock, keyring.Config{Rotate: time.Second, Lifetime: 2 * time.Second, Leeway: -1})
		id := signerOf(t, r).ID()
		for at := time.Duration(0); at < 5*time.Second; at += 100 * time.Millisecond {
			if got, want := verifies(t, r, id), at < 3*time.Second; got != want { // it signs for one second, and its last token lasts two
				t.Errorf("after %v the first key verifies: %v, want %v", at, got, want)
			}
			clock.move(100 * time.Millisecond)
			load(t, r)
		}
	})
	t.Run("a token of 30 days, signed just before its key retires", func(t *testing.T) {
		clock := newClock()
		r := newRing(t, newStore(), clock, keyring.Config{Rotate: 7 * day, Lifetime: 30 * day, Leeway: time.Minute})
		clock.move(7*day - 10*time.Minute)
		load(t, r)
		clock.move(10*time.Minute - time.Millisecond)
		signer, signed := signerOf(t, r), clock.Now()
		clock.move(time.Minute)
		load(t, r)
		if got := signerOf(t, r).ID(); got == signer.ID() {
			t.Fatal("the key has not retired")
		}
		for clock.Now().Before(signed.Add(30 * day)) {
			if !verifies(t, r, signer.ID()) {
				t.Fatalf("%v after it was signed the token is refused, want 30 days", clock.Now().Sub(signed))
			}
			clock.move(6 * time.Hour)
			load(t, r)
		}
		clock.move(7 * time.Hour)
		if verifies(t, r, signer.ID()) {
			t.Error("the key verifies after its last token is over")
		}
	})
	t.Run("two processes, after a rotation", func(t *testing.T) {
		clock, store := newClock(), newStore()
		one, two := newRing(t, store, clock, keyring.Config{}), newRing(t, store, clock, keyring.Config{})
		if _, err := one.Rotate(t.Context()); err != nil {
			t.Fatalf("Rotate() = %v, want nil", err)
		}
		clock.move(keyring.DefaultPublish)
		signer := signerOf(t, one)
		k, err := two.Find(t.Context(), signer.ID())
		if err != nil || k.Verify([]byte("input"), sign(t, signer, "input")) != nil {
			t.Errorf("the other process finds the new key: %v, %v, want that it verifies", k, err)
		}
	})
	t.Run("a restart", func(t *testing.T) {
		clock, store := newClock(), newStore()
		signer := signerOf(t, newRing(t, store, clock, keyring.Config{}))
		r := newRing(t, store, clock, keyring.Config{})
		k, err := r.Find(t.Context(), signer.ID())
		if err != nil || k.Verify([]byte("input"), sign(t, signer, "input")) != nil || signerOf(t, r).ID() != signer.ID() {
			t.Errorf("after a restart the key is %v, %v, want that it verifies and signs on", k, err)
		}
	})
}

// TestTheStoreIsAway: the key in use stays in use, and the one that was published takes over.
func TestTheStoreIsAway(t *testing.T) {
	clock, store := newClock(), newStore()
	r := newRing(t, store, clock, keyring.Config{Rotate: time.Hour, Publish: 10 * time.Minute, Lifetime: time.Hour})
	clock.move(50 * time.Minute)
	load(t, r)
	first, second := r.Keys()[0].ID, r.Keys()[1].ID
	store.fail(errors.New("away"), errors.New("away"))
	for i := range 100 {
		want := first
		if i >= 10 {
			want = second
		}
		if err := r.Load(t.Context()); err == nil {
			t.Fatal("Load from a store that is away = nil, want its error")
		}
		if got := signerOf(t, r).ID(); got != want {
			t.Errorf("%d minutes after the store went away %q signs, want %q", i, got, want)
		}
		clock.move(time.Minute)
	}
	store.fail(nil, nil)
	load(t, r)
	if got := signerOf(t, r).ID(); got != second {
		t.Errorf("when the store is back %q signs, want %q", got, second)
	}
}

// TestAStoreThatCannotBeWritten: what is read counts all the same.
func TestAStoreThatCannotBeWritten(t *testing.T) {
	clock, store := newClock(), newStore()
	r := newRing(t, store, clock, keyring.Config{Rotate: time.Hour, Lifetime: time.Hour})
	store.fail(nil, errors.New("read-only"))
	clock.move(3 * time.Hour)
	if err := r.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("Load = %v, want the error of the store", err)
	}
	wantStates(t, r, "when no new one can be saved", active)
	fresh := ringOf(t, store, clock, keyring.Config{Rotate: time.Hour, Lifetime: time.Hour})
	if err := fresh.Load(t.Context()); err == nil {
		t.Error("Load of another process = nil, want the error of the store")
	}
	if got := signerOf(t, fresh).ID(); got != signerOf(t, r).ID() {
		t.Errorf("Signer() of another process = %q, want the one that there is", got)
	}
	empty := ringOf(t, store, clock, keyring.Config{Name: "refresh"})
	if err := empty.Load(t.Context()); err == nil {
		t.Error("Load of a new ring = nil, want the error of the store")
	}
	if k, err := empty.Signer(); !errors.Is(err, gatehouse.ErrUnavailable) {
		t.Errorf("Signer() of a ring whose first key could not be saved = %v, %v, want ErrUnavailable", k, err)
	}
}

// TestALongerLifetimeIsRememberedFirst: a ring that could not write down for how long it signs does not sign.
func TestALongerLifetimeIsRememberedFirst(t *testing.T) {
	clock, store := newClock(), newStore()
	newRing(t, store, clock, keyring.Config{Lifetime: time.Hour})
	store.fail(nil, errors.New("read-only"))
	long := ringOf(t, store, clock, keyring.Config{Lifetime: 10 * time.Hour})
	if err := long.Load(t.Context()); err == nil {
		t.Error("Load = nil, want the error of the store")
	}
	if k, err := long.Signer(); !errors.Is(err, gatehouse.ErrUnavailable) {
		t.Errorf("Signer() before the longer lifetime is saved = %v, %v, want ErrUnavailable", k, err)
	}
	store.fail(nil, nil)
	load(t, long)
	signer := signerOf(t, long).ID()
	if got := store.records("access")[0].Lifetime; got != 10*time.Hour {
		t.Errorf("the record has a lifetime of %v, want 10h", got)
	}
	short := newRing(t, store, clock, keyring.Config{Lifetime: time.Hour})
	if got := store.records("access")[0].Lifetime; got != 10*time.Hour {
		t.Errorf("after a shorter lifetime was configured the record has %v, want 10h still", got)
	}
	if _, err := short.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	clock.move(keyring.DefaultPublish + 10*time.Hour)
	load(t, short)
	if !verifies(t, short, signer) {
		t.Error("the key does not verify for the longer lifetime that it signed with")
	}
}

// TestAnotherAlgorithm: the new key is published first, the old one verifies on.
func TestAnotherAlgorithm(t *testing.T) {
	clock, store := newClock(), newStore()
	old := signerOf(t, newRing(t, store, clock, keyring.Config{Algorithm: keyring.HS256, Lifetime: time.Hour}))
	r := newRing(t, store, clock, keyring.Config{Algorithm: keyring.EdDSA, Lifetime: time.Hour, Publish: time.Minute})
	wantStates(t, r, "after the algorithm was changed", active, next)
	if got := signerOf(t, r); got.ID() != old.ID() || got.Algorithm() != keyring.HS256 {
		t.Errorf("Signer() = %v, want the old one until the new one has been public", got)
	}
	other := newRing(t, store, clock, keyring.Config{Algorithm: keyring.EdDSA, Lifetime: time.Hour, Publish: time.Minute})
	load(t, r, other, r)
	wantStates(t, other, "in another process", active, next)
	clock.move(time.Minute)
	if got := signerOf(t, r); got.Algorithm() != keyring.EdDSA {
		t.Errorf("Signer() after it was public = %v, want one for EdDSA", got)
	}
	if k, err := r.Find(t.Context(), old.ID()); err != nil || k.Algorithm() != keyring.HS256 || k.Verify([]byte("input"), sign(t, old, "input")) != nil {
		t.Errorf("Find(the old key) = %v, %v, want it, for HS256 still", k, err)
	}
	// a process that still has the old configuration does not change it back again and again
	behind := newRing(t, store, clock, keyring.Config{Algorithm: keyring.HS256, Lifetime: time.Hour, Publish: time.Minute})
	for range 5 {
		load(t, behind, r)
	}
	if got := len(r.Keys()); got > 3 {
		t.Errorf("two processes that do not agree have made %d keys, want at most 3", got)
	}
}

func TestTheMasterKeyIsAnother(t *testing.T) {
	clock, store := newClock(), newStore()
	master := keyring.NewMaster()
	signer := signerOf(t, newRing(t, store, clock, keyring.Config{Master: master}))
	before := store.records("access")
	r := ringOf(t, store, clock, keyring.Config{Master: keyring.NewMaster(), Rotate: time.Hour})
	for range 3 {
		clock.move(time.Hour)
		if err := r.Load(t.Context()); !errors.Is(err, keyring.ErrMaster) || !strings.Contains(err.Error(), master.ID()) {
			t.Errorf("Load with another master key = %v, want ErrMaster, and the id of the right one", err)
		}
		if k, err := r.Signer(); !errors.Is(err, gatehouse.ErrUnavailable) {
			t.Errorf("Signer() = %v, %v, want ErrUnavailable", k, err)
		}
	}
	for name, change := range map[string]func() error{
		"Rotate": func() error { _, err := r.Rotate(t.Context()); return err }, "Retire": func() error { return r.Retire(t.Context(), signer.ID()) },
		"Import": func() error { _, err := r.Import(t.Context(), must(keyring.Generate(keyring.EdDSA))); return err },
	} {
		if err := change(); !errors.Is(err, keyring.ErrMaster) {
			t.Errorf("%s with another master key = %v, want ErrMaster", name, err)
		}
	}
	if diff := cmp.Diff(before, store.records("access")); diff != "" {
		t.Errorf("the store was changed (-before +after):\n%s", diff)
	}
	again := newRing(t, store, clock, keyring.Config{Master: must(keyring.ParseMaster(master.Text().Reveal()))})
	if got := signerOf(t, again).ID(); got != signer.ID() {
		t.Errorf("Signer() with the right master key = %q, want %q", got, signer.ID())
	}
}

func TestDamagedRecords(t *testing.T) {
	change := map[string]func(rec *keyring.Record){
		"a bit of the material": func(rec *keyring.Record) { rec.Material[len(rec.Material)-1] ^= 1 },
		"cut material":          func(rec *keyring.Record) { rec.Material = rec.Material[:10] },
		"no material":           func(rec *keyring.Record) { rec.Material = nil },
		"another id":            func(rec *keyring.Record) { rec.ID += "x" },
		"another algorithm":     func(rec *keyring.Record) { rec.Algorithm = keyring.HS256 },
		"no algorithm":          func(rec *keyring.Record) { rec.Algorithm = "none" },
	}
	for name, change := range change {
		clock, store := newClock(), newStore()
		r := newRing(t, store, clock, keyring.Config{})
		signer := signerOf(t, r).ID()
		store.edit("access", func(recs []keyring.Record) []keyring.Record { change(&recs[0]); return recs })
		before := store.records("access")
		if err := r.Load(t.Context()); !errors.Is(err, keyring.ErrMaster) {
			t.Errorf("Load(%s) = %v, want ErrMaster", name, err)
		}
		if got := signerOf(t, r).ID(); got != signer {
			t.Errorf("after a failed Load(%s) %q signs, want %q: the ring goes on with what it has", name, got, signer)
		}
		fresh := ringOf(t, store, clock, keyring.Config{})
		if err := fresh.Load(t.Context()); !errors.Is(err, keyring.ErrMaster) {
			t.Errorf("first Load(%s) = %v, want ErrMaster", name, err)
		}
		if diff := cmp.Diff(before, store.records("access")); diff != "" {
			t.Errorf("%s: the store was changed (-before +after):\n%s", name, diff)
		}
	}
	t.Run("a key of another ring", func(t *testing.T) {
		clock, store := newClock(), newStore()
		newRing(t, store, clock, keyring.Config{Name: "refresh"})
		store.edit("access", func([]keyring.Record) []keyring.Record { return copyRecords(store.rings["refresh"].keys) })
		if err := ringOf(t, store, clock, keyring.Config{}).Load(t.Context()); !errors.Is(err, keyring.ErrMaster) {
			t.Errorf("Load of a ring with another ring's key = %v, want ErrMaster", err)
		}
	})
	t.Run("a key twice", func(t *testing.T) {
		clock, store := newClock(), newStore()
		newRing(t, store, clock, keyring.Config{})
		store.edit("access", func(recs []keyring.Record) []keyring.Record { return append(recs, copyRecords(recs)...) })
		if err := ringOf(t, store, clock, keyring.Config{}).Load(t.Context()); !errors.Is(err, keyring.ErrMaster) {
			t.Errorf("Load of a ring with a key twice = %v, want ErrMaster", err)
		}
	})
}

func TestSealedMaterialIsNoKey(t *testing.T) {
	store := newStore()
	k := must(keyring.Secret(keyring.HS256, "a-secret-of-more-than-32-characters", false))
	newRing(t, store, newClock(), keyring.Config{Algorithm: keyring.HS256, Import: []*keyring.Key{k}})
	if got := store.records("access")[0].Material; strings.Contains(string(got), "a-secret") || len(got) != 35+37 {
		t.Errorf("the material in the store = %q, want it sealed", got)
	}
}

func TestKeepLoadsAtEveryTick(t *testing.T) {
	clock, store := newClock(), newStore()
	var log lines
	r := newRing(t, store, clock, keyring.Config{Rotate: time.Hour, Lifetime: time.Hour, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	ctx, cancel := context.WithCancel(t.Context())
	tick, done := make(chan time.Time), make(chan struct{})
	go func() { defer close(done); r.Keep(ctx, tick) }()
	clock.move(time.Hour)
	tick <- clock.Now()
	tick <- clock.Now() // the first was dealt with
	if got := len(store.records("access")); got != 2 {
		t.Errorf("after a tick there are %d keys, want 2", got)
	}
	store.fail(errors.New("away"), nil)
	tick <- clock.Now()
	tick <- clock.Now()
	cancel()
	<-done
	if got := log.String(); !strings.Contains(got, "away") || !strings.Contains(got, "a new key") || !strings.Contains(got, "ring=access") {
		t.Errorf("the log is %q, want the new key, and that the store is away", got)
	}
	closed := make(chan time.Time)
	close(closed)
	r.Keep(t.Context(), closed) // returns
}

// lines is a buffer for loggers.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestClocksGoBack: no key comes back, and there always is one.
func TestClocksGoBack(t *testing.T) {
	clock, store := newClock(), newStore()
	c := keyring.Config{Rotate: time.Hour, Lifetime: time.Hour, Leeway: time.Minute}
	r := newRing(t, store, clock, c)
	ids := []string{signerOf(t, r).ID()}
	for range 40 {
		clock.move(10 * time.Minute)
		load(t, r)
		if id := signerOf(t, r).ID(); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	over := ids[:len(ids)-3]
	for _, back := range []time.Duration{time.Second, time.Hour, 6 * time.Hour, 1000 * day} {
		clock.move(-back)
		for _, loaded := range []bool{false, true} {
			if loaded {
				load(t, r)
			}
			for _, id := range over {
				if verifies(t, r, id) {
					t.Errorf("after the clock went back by %v (loaded: %v) a gone key verifies", back, loaded)
				}
			}
			if k := signerOf(t, r); !verifies(t, r, k.ID()) {
				t.Errorf("after the clock went back by %v (loaded: %v) the signer %v does not verify", back, loaded, k)
			}
		}
	}
	// it recovers: rotation goes on by the new time
	signers := map[string]bool{}
	for range 30 {
		clock.move(10 * time.Minute)
		load(t, r)
		signers[signerOf(t, r).ID()] = true
	}
	if len(signers) < 4 {
		t.Errorf("in the 5 hours after the clock went back %d keys have signed, want at least 4", len(signers))
	}
}

// TestAKeyFoundGoneStaysGone even if nobody has saved that.
func TestAKeyFoundGoneStaysGone(t *testing.T) {
	clock := newClock()
	r := newRing(t, newStore(), clock, keyring.Config{Lifetime: time.Hour, Leeway: -1, Publish: time.Minute})
	first := signerOf(t, r).ID()
	if _, err := r.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	clock.move(2 * time.Minute)
	load(t, r)
	for name, look := range map[string]func(){"Find": func() { verifies(t, r, first) }, "All": func() { r.All() }} {
		clock.move(2 * time.Hour)
		look()
		clock.move(-2*time.Hour - time.Minute)
		if verifies(t, r, first) {
			t.Errorf("a key that %s has found gone verifies again when the clock goes back", name)
		}
		if got := signerOf(t, r).ID(); got == first {
			t.Error("a gone key signs again when the clock goes back")
		}
	}
}

// TestAClockThatIsFarAhead makes a key for its own future. When it is right again the ring goes on as if that key were not there.
func TestAClockThatIsFarAhead(t *testing.T) {
	clock, store := newClock(), newStore()
	c := keyring.Config{Rotate: time.Hour, Lifetime: time.Hour, Leeway: time.Minute}
	r := newRing(t, store, clock, c)
	ahead := newClock()
	ahead.move(365 * day)
	load(t, ringOf(t, store, ahead, c))
	signers := map[string]bool{}
	for range 60 {
		clock.move(5 * time.Minute)
		load(t, r)
		k := signerOf(t, r)
		if signers[k.ID()] = true; !verifies(t, r, k.ID()) {
			t.Fatalf("the signer %v does not verify", k)
		}
	}
	if len(signers) < 4 {
		t.Errorf("in 5 hours %d keys have signed, want at least 4: the key of the wrong clock stops the rotation", len(signers))
	}
	if got := len(r.Keys()); got > 10 {
		t.Errorf("there are %d keys, want at most 10", got)
	}
}

func TestInfosSayWhatTheyAre(t *testing.T) {
	clock := newClock()
	r := newRing(t, newStore(), clock, keyring.Config{Publish: time.Minute, Lifetime: time.Hour, Leeway: -1})
	first := signerOf(t, r).ID()
	second := must(r.Rotate(t.Context()))
	if second.State != next || second.Algorithm != keyring.EdDSA || !second.Created.Equal(clock.Now()) || !second.Active.Equal(clock.Now().Add(time.Minute)) || !second.Retires.IsZero() || !second.Gone.IsZero() {
		t.Errorf("Rotate() = %+v, want the next key, from in a minute on, without end", second)
	}
	want := []string{first + " EdDSA active since 2026-01-02T03:04:05Z until 2026-01-02T03:05:05Z", second.ID + " EdDSA next signs from 2026-01-02T03:05:05Z"}
	if diff := cmp.Diff(want, lineOf(r)); diff != "" {
		t.Errorf("Keys() before (-want +got):\n%s", diff)
	}
	clock.move(time.Minute)
	want = []string{first + " EdDSA retired verifies until 2026-01-02T04:05:05Z", second.ID + " EdDSA active since 2026-01-02T03:05:05Z"}
	if diff := cmp.Diff(want, lineOf(r)); diff != "" {
		t.Errorf("Keys() after (-want +got):\n%s", diff)
	}
	if err := r.Retire(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	want[0] = first + " EdDSA gone since 2026-01-02T03:05:05Z"
	if diff := cmp.Diff(want, lineOf(r)); diff != "" {
		t.Errorf("Keys() after Retire (-want +got):\n%s", diff)
	}
}

func lineOf(r *keyring.Ring) []string {
	var got []string
	for _, info := range r.Keys() {
		got = append(got, fmt.Sprint(info))
	}
	return got
}

// TestAnEndIsKept: a key whose tokens last long ends when they do, although the keys that took over from it have long been deleted or retired for good.
func TestAnEndIsKept(t *testing.T) {
	for name, emergency := range map[string]bool{"deleted": false, "retired for good": true} {
		clock, store := newClock(), newStore()
		first := signerOf(t, newRing(t, store, clock, keyring.Config{Rotate: time.Hour, Lifetime: 20 * time.Hour, Leeway: -1})).ID()
		r := newRing(t, store, clock, keyring.Config{Rotate: time.Hour, Lifetime: time.Minute, Leeway: -1})
		start := clock.Now()
		for clock.Now().Sub(start) < 30*time.Hour {
			clock.move(10 * time.Minute)
			load(t, r)
			if age := clock.Now().Sub(start); emergency && age == 5*time.Hour {
				for _, info := range r.Keys()[1:] {
					if err := r.Retire(t.Context(), info.ID); err != nil {
						t.Fatal(err)
					}
				}
			} else if got, want := verifies(t, r, first), age < 21*time.Hour; got != want {
				t.Fatalf("%s: after %v the first key verifies: %v, want %v: it signed for an hour, and its last token lasts 20", name, age, got, want)
			}
		}
	}
}
