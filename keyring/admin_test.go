package keyring_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
)

func TestRotateOnDemand(t *testing.T) {
	clock, store := newClock(), newStore()
	r := newRing(t, store, clock, keyring.Config{Publish: time.Minute})
	first := signerOf(t, r).ID()
	info, err := r.Rotate(t.Context())
	if err != nil || info.ID == first || info.State != next {
		t.Fatalf("Rotate() = %v, %v, want a new key that is next", info, err)
	}
	again, err := r.Rotate(t.Context())
	if err != nil || again.ID != info.ID {
		t.Errorf("Rotate() again = %v, %v, want the key that is about to sign already, %q", again, err, info.ID)
	}
	clock.move(time.Minute)
	third, err := r.Rotate(t.Context())
	if err != nil || third.ID == info.ID || third.State != next {
		t.Errorf("Rotate() when that one signs = %v, %v, want another", third, err)
	}
	wantStates(t, r, "after that", retired, active, next)
}

// TestOneOfManyRotates: twenty processes find at one moment that it is time, or are told to rotate at one moment. There is one new key.
func TestOneOfManyRotates(t *testing.T) {
	for name, rotate := range map[string]func(context.Context, *keyring.Ring) error{
		"it is time": func(ctx context.Context, r *keyring.Ring) error { return r.Load(ctx) },
		"on demand":  func(ctx context.Context, r *keyring.Ring) error { _, err := r.Rotate(ctx); return err },
		"unknown key": func(ctx context.Context, r *keyring.Ring) error {
			_, err := r.Find(ctx, "unknown")
			return ignore(err, keyring.ErrUnknownKey)
		},
		"all of them": func(ctx context.Context, r *keyring.Ring) error {
			_, err := r.Rotate(ctx)
			return errors.Join(err, r.Load(ctx))
		},
		"the first key": nil,
	} {
		t.Run(name, func(t *testing.T) {
			clock, store := newClock(), newStore()
			c := keyring.Config{Rotate: time.Hour, Publish: 30 * time.Minute, Lifetime: time.Hour}
			rings := make([]*keyring.Ring, 20)
			for i := range rings {
				rings[i] = ringOf(t, store, clock, c)
			}
			want := 1
			if rotate != nil {
				want = 2
				load(t, rings...)
				clock.move(30 * time.Minute)
			} else {
				rotate = func(ctx context.Context, r *keyring.Ring) error { return r.Load(ctx) }
			}
			together(t, rings, rotate)
			recs := store.records("access")
			if len(recs) != want {
				t.Fatalf("twenty processes have left %d keys, want %d", len(recs), want)
			}
			load(t, rings...)
			clock.move(30 * time.Minute)
			for _, r := range rings {
				if got := signerOf(t, r).ID(); got != recs[want-1].ID {
					t.Errorf("%q signs, want %q everywhere", got, recs[want-1].ID)
				}
			}
		})
	}
}

func ignore(err, what error) error {
	if errors.Is(err, what) {
		return nil
	}
	return err
}

// together lets all rings do something at one moment.
func together(t *testing.T, rings []*keyring.Ring, do func(context.Context, *keyring.Ring) error) {
	t.Helper()
	var group, start sync.WaitGroup
	start.Add(1)
	for _, r := range rings {
		group.Go(func() {
			start.Wait()
			if err := do(t.Context(), r); err != nil {
				t.Errorf("one of many: %v, want nil", err)
			}
		})
	}
	start.Done()
	group.Wait()
}

// TestLosersLookAgain: whoever saves second loads what the first one has saved, and finds nothing left to do.
func TestLosersLookAgain(t *testing.T) {
	clock, store := newClock(), newStore()
	c := keyring.Config{Rotate: time.Hour, Lifetime: time.Hour}
	one, two := newRing(t, store, clock, c), newRing(t, store, clock, c)
	clock.move(time.Hour)
	store.beforeSave = func() {
		store.between(nil)
		if err := two.Load(context.Background()); err != nil {
			t.Errorf("Load in between = %v, want nil", err)
		}
	}
	load(t, one)
	if got := store.records("access"); len(got) != 2 || store.conflicts != 1 {
		t.Errorf("there are %d keys after %d conflicts, want 2 after 1", len(got), store.conflicts)
	}
}

// TestConflictsWithoutEnd: somebody else is always faster.
func TestConflictsWithoutEnd(t *testing.T) {
	clock, store := newClock(), newStore()
	r := newRing(t, store, clock, keyring.Config{})
	store.beforeSave = func() {
		store.edit("access", func(recs []keyring.Record) []keyring.Record { return recs })
	}
	if info, err := r.Rotate(t.Context()); !errors.Is(err, keyring.ErrConflict) {
		t.Errorf("Rotate() = %v, %v, want ErrConflict", info, err)
	}
}

func TestRetireInAnEmergency(t *testing.T) {
	clock, store := newClock(), newStore()
	c := keyring.Config{Lifetime: time.Hour, Publish: time.Minute}
	r, other := newRing(t, store, clock, c), newRing(t, store, clock, c)
	first := signerOf(t, r)
	if err := r.Retire(t.Context(), first.ID()); err != nil {
		t.Fatalf("Retire(the active key) = %v, want nil", err)
	}
	second := signerOf(t, r)
	if second.ID() == first.ID() || verifies(t, r, first.ID()) {
		t.Errorf("after Retire %q signs and the retired one verifies: %v, want another, and that it does not", second.ID(), verifies(t, r, first.ID()))
	}
	if len(store.records("access")[0].Material) != 0 {
		t.Error("the material of a key that was retired for good is still in the store")
	}
	if !verifies(t, other, first.ID()) {
		t.Error("another process does not need to know at once") // it has not loaded; revocation of keys is faster
	}
	load(t, other)
	if got := signerOf(t, other).ID(); got != second.ID() || verifies(t, other, first.ID()) {
		t.Errorf("another process signs with %q after it has loaded, want %q, and refuses the retired one", got, second.ID())
	}
	if err := other.Retire(t.Context(), first.ID()); err != nil {
		t.Errorf("Retire of a key that is gone = %v, want nil", err)
	}
	if got := signerOf(t, other).ID(); got != second.ID() {
		t.Errorf("Retire of a key that is gone has made %q sign, want %q still", got, second.ID())
	}
	// no time, no restart and no import brings it back
	for range 5 {
		clock.move(-day)
		fresh := newRing(t, store, clock, c)
		if verifies(t, fresh, first.ID()) || verifies(t, r, first.ID()) {
			t.Error("a key that was retired for good verifies again")
		}
		if k := signerOf(t, fresh); k.ID() != second.ID() {
			t.Errorf("%v signs, want %q", k, second.ID())
		}
	}
	if _, err := r.Import(t.Context(), first); err == nil || !strings.Contains(err.Error(), "retired for good") {
		t.Errorf("Import of a key that was retired for good = %v, want that it was", err)
	}
	clock.move(1000 * day)
	load(t, r)
	if got := len(store.records("access")); got != 2 {
		t.Errorf("there are %d records, want 2: the retired one is remembered", got)
	}
}

func TestRetireOthers(t *testing.T) {
	clock := newClock()
	r := newRing(t, newStore(), clock, keyring.Config{Lifetime: time.Hour, Publish: time.Minute})
	first := signerOf(t, r).ID()
	second := must(r.Rotate(t.Context())).ID
	if err := r.Retire(t.Context(), second); err != nil {
		t.Fatalf("Retire(the next key) = %v, want nil", err)
	}
	if verifies(t, r, second) || signerOf(t, r).ID() != first {
		t.Error("after Retire of the next key it verifies, or another than the first one signs")
	}
	clock.move(time.Hour)
	load(t, r)
	if got := signerOf(t, r).ID(); got != first || !verifies(t, r, first) {
		t.Errorf("an hour later %q signs, want the first still", got)
	}
	wantStates(t, r, "with a next key that was retired", active, gone)
	third := must(r.Rotate(t.Context())).ID
	clock.move(time.Minute)
	if err := r.Retire(t.Context(), first); err != nil {
		t.Fatalf("Retire(a retired key) = %v, want nil", err)
	}
	if verifies(t, r, first) || signerOf(t, r).ID() != third {
		t.Error("after Retire of a retired key it verifies, or another than the active one signs")
	}
	before := len(r.Keys())
	if err := r.Retire(t.Context(), "no such key"); !errors.Is(err, keyring.ErrUnknownKey) || !strings.Contains(err.Error(), "gatehouse key list") {
		t.Errorf("Retire(unknown) = %v, want ErrUnknownKey, and where to look", err)
	}
	if len(r.Keys()) != before {
		t.Error("Retire of an unknown key has changed the ring")
	}
}

// TestRetireEverything one after the other, and each time there is a key.
func TestRetireEverything(t *testing.T) {
	clock := newClock()
	r := newRing(t, newStore(), clock, keyring.Config{Lifetime: time.Hour, Rotate: time.Hour})
	seen := map[string]bool{}
	for range 20 {
		for _, info := range r.Keys() {
			if err := r.Retire(t.Context(), info.ID); err != nil {
				t.Fatalf("Retire(%v) = %v, want nil", info, err)
			}
			seen[info.ID] = true
		}
		if k := signerOf(t, r); seen[k.ID()] || !verifies(t, r, k.ID()) {
			t.Fatalf("Signer() = %v, want a new key that verifies", k)
		}
		clock.move(10 * time.Minute)
		load(t, r)
	}
	for id := range seen {
		if verifies(t, r, id) {
			t.Errorf("the key %q was retired and verifies", id)
		}
	}
}

// TestARetiredKeyDoesNotBringBackTheOneBefore in a process whose clock is behind.
func TestARetiredKeyDoesNotBringBackTheOneBefore(t *testing.T) {
	clock, store := newClock(), newStore()
	c := keyring.Config{Lifetime: time.Hour, Publish: time.Minute}
	r := newRing(t, store, clock, c)
	first := signerOf(t, r).ID()
	second := must(r.Rotate(t.Context())).ID
	clock.move(time.Hour)
	if err := r.Retire(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	behind := newClock()
	behind.move(time.Hour - 20*time.Second)
	other := newRing(t, store, behind, c)
	if got := signerOf(t, other).ID(); got == first || got == second || got != signerOf(t, r).ID() {
		t.Errorf("with a clock that is behind %q signs, want the new key at once", got)
	}
}

func TestImport(t *testing.T) {
	clock, store := newClock(), newStore()
	c := keyring.Config{Algorithm: keyring.HS256, Lifetime: time.Hour, Publish: time.Minute}
	r, other := newRing(t, store, clock, c), newRing(t, store, clock, c)
	made := signerOf(t, r)
	k := must(keyring.Secret(keyring.HS256, "an existing secret of 32 bytes and more", false))
	info, err := r.Import(t.Context(), k)
	if err != nil || info.ID != k.ID() || info.State != active {
		t.Fatalf("Import = %v, %v, want %q, active", info, err, k.ID())
	}
	if got := signerOf(t, r).ID(); got != k.ID() || !verifies(t, r, made.ID()) {
		t.Errorf("after Import %q signs, want %q, and that the one before verifies", got, k.ID())
	}
	// a process that has not heard of it signs on with the key before, and what it signs lasts
	clock.move(59 * time.Second)
	if got := signerOf(t, other).ID(); got != made.ID() {
		t.Fatalf("%q signs in the other process, want the key before", got)
	}
	found, err := other.Find(t.Context(), k.ID())
	if err != nil || found.Verify([]byte("input"), sign(t, k, "input")) != nil || signerOf(t, other).ID() != k.ID() {
		t.Errorf("Find(imported) elsewhere = %v, %v, want it, and that it signs there too", found, err)
	}
	clock.move(time.Hour)
	if !verifies(t, other, made.ID()) {
		t.Error("what was signed before the other process had heard of the imported key is refused")
	}
	if info, err := r.Import(t.Context(), k); err != nil || info.State != active || len(r.Keys()) != 2 {
		t.Errorf("Import of the key that signs = %v, %v, %d keys, want no change", info, err, len(r.Keys()))
	}
	if info, err := r.Import(t.Context(), made); err != nil || info.ID != made.ID() || info.State != active {
		t.Errorf("Import of a retired key = %v, %v, want that it signs again", info, err)
	}
}

// TestImportEndsWhatWasPlanned: a key that was to sign next does not take over from one that somebody brings, and what it may have signed by a clock that is ahead stays good.
func TestImportEndsWhatWasPlanned(t *testing.T) {
	brought := secretOf("brought along")
	for name, bring := range map[string]func(*keyring.Ring, keyring.Config, keyring.Store, *clock) *keyring.Ring{
		"on demand": func(r *keyring.Ring, _ keyring.Config, _ keyring.Store, _ *clock) *keyring.Ring {
			must(r.Import(t.Context(), brought))
			return r
		},
		"by the configuration": func(_ *keyring.Ring, c keyring.Config, store keyring.Store, clock *clock) *keyring.Ring {
			c.Import = []*keyring.Key{brought}
			return newRing(t, store, clock, c)
		},
		"although it signs already": func(r *keyring.Ring, _ keyring.Config, _ keyring.Store, _ *clock) *keyring.Ring {
			must(r.Import(t.Context(), brought))
			must(r.Rotate(t.Context()))
			must(r.Import(t.Context(), brought))
			return r
		},
	} {
		clock, store := newClock(), newStore()
		c := keyring.Config{Algorithm: keyring.HS256, Lifetime: time.Hour, Publish: 10 * time.Minute}
		r := newRing(t, store, clock, c)
		planned := must(r.Rotate(t.Context()))
		r = bring(r, c, store, clock)
		for _, later := range []time.Duration{0, 10*time.Minute - time.Second, time.Second, 30 * time.Minute} {
			clock.move(later)
			load(t, r)
			if got := signerOf(t, r).ID(); got != brought.ID() || !verifies(t, r, planned.ID) {
				t.Errorf("%s, %v later: %q signs, want the key that was brought; the one that was planned verifies: %v, want true", name, later, got, verifies(t, r, planned.ID))
			}
		}
		clock.move(time.Hour)
		load(t, r)
		if got := signerOf(t, r).ID(); got != brought.ID() || verifies(t, r, planned.ID) {
			t.Errorf("%s, in the end: %q signs, the planned key verifies: %v", name, got, verifies(t, r, planned.ID))
		}
	}
}

// TestRetiredKeysComeBackUnderNoName: what somebody else may have is the same key whatever it is called.
func TestRetiredKeysComeBackUnderNoName(t *testing.T) {
	_, pair, err := keyring.NewPEM(keyring.ES256)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []*keyring.Key{secretOf("known to all"), pair} {
		r := newRing(t, newStore(), newClock(), keyring.Config{Algorithm: k.Algorithm()})
		must(r.Import(t.Context(), k))
		if err := r.Retire(t.Context(), k.ID()); err != nil {
			t.Fatal(err)
		}
		if info, err := r.Import(t.Context(), k.WithID("other")); err == nil || !strings.Contains(err.Error(), "retired for good") {
			t.Errorf("Import of a retired %s key by another name = %v, %v, want that it was retired for good", k.Algorithm(), info, err)
		}
	}
}

// TestBesideAServer: a program that opens a ring for a moment has the server's keys, whatever its own configuration says, and changes nothing that it is not asked to.
func TestBesideAServer(t *testing.T) {
	clock, store := newClock(), newStore()
	c := keyring.Config{Algorithm: keyring.HS256, Lifetime: time.Hour, Publish: time.Minute, Rotate: time.Hour}
	server := newRing(t, store, clock, c)
	key := signerOf(t, server)
	asked := map[string]keyring.Config{
		"a secret":          {Algorithm: keyring.HS256, Lifetime: time.Hour, Import: []*keyring.Key{secretOf("of its own")}},
		"another algorithm": {Algorithm: keyring.ES256, Lifetime: time.Hour},
		"the same":          c,
	}
	clock.move(2 * time.Hour) // a rotation is due, which is the server's
	for name, other := range asked {
		other.Beside = true
		r := newRing(t, store, clock, other)
		if _, err := r.Find(t.Context(), "unknown"); !errors.Is(err, keyring.ErrUnknownKey) {
			t.Errorf("%s: Find(unknown) = %v, want ErrUnknownKey", name, err)
		}
		if got := r.Keys(); len(got) != 1 || got[0].ID != key.ID() || signerOf(t, r).ID() != key.ID() {
			t.Errorf("%s: beside the server there are %v, want its one key", name, got)
		}
	}
	other := asked["a secret"]
	other.Beside = true
	r := newRing(t, store, clock, other)
	if info, err := r.Rotate(t.Context()); err != nil || info.ID == key.ID() || len(r.Keys()) != 2 {
		t.Errorf("Rotate beside a server = %v, %v, want a second key", info, err)
	}
	if first := newRing(t, newStore(), clock, other); signerOf(t, first).ID() != other.Import[0].ID() || len(first.Keys()) != 1 {
		t.Errorf("in an empty store %v, want the configured key: there is no server yet", first.Keys())
	}
}

func TestImportRefuses(t *testing.T) {
	r := newRing(t, newStore(), newClock(), keyring.Config{Algorithm: keyring.EdDSA})
	signer := signerOf(t, r)
	another := must(keyring.Generate(keyring.EdDSA))
	for name, k := range map[string]*keyring.Key{
		"nil": nil, "public": another.Public(), "another algorithm": must(keyring.Generate(keyring.ES256)), "a secret": must(keyring.Generate(keyring.HS256)), "no id": another.WithID(""),
		"a long id": another.WithID(strings.Repeat("x", 256)), "the id of another": another.WithID(signer.ID()),
	} {
		if info, err := r.Import(t.Context(), k); !errors.Is(err, keyring.ErrForm) {
			t.Errorf("Import(%s) = %v, %v, want ErrForm", name, info, err)
		}
	}
	if got := r.Keys(); len(got) != 1 || signerOf(t, r).ID() != signer.ID() {
		t.Errorf("after refused imports there are %v, want the first key alone", got)
	}
}

func secretOf(text string) *keyring.Key { return must(keyring.Secret(keyring.HS256, text, true)) }

// TestTheConfiguredSecret is a secret in a configuration file, and what people do with it.
func TestTheConfiguredSecret(t *testing.T) {
	a, b := secretOf("a"), secretOf("b")
	clock, store := newClock(), newStore()
	start := func(keys ...*keyring.Key) *keyring.Ring {
		t.Helper()
		clock.move(time.Minute)
		return newRing(t, store, clock, keyring.Config{Algorithm: keyring.HS256, Lifetime: time.Hour, Publish: time.Second, Import: keys})
	}
	signs := func(when string, r *keyring.Ring, want *keyring.Key) {
		t.Helper()
		if got := signerOf(t, r); got.ID() != want.ID() {
			t.Errorf("%s %v signs, want %v", when, got, want)
		}
	}
	first := start(a)
	signs("at the first start", first, a)
	if got := len(first.Keys()); got != 1 {
		t.Errorf("at the first start there are %d keys, want the configured one alone", got)
	}
	signs("at the next start", start(a), a)
	signs("without it", start(), a)
	second := start(b)
	signs("with another", second, b)
	if !verifies(t, second, a.ID()) {
		t.Error("what the secret before has signed is refused")
	}
	load(t, first, second, first)
	signs("in a process that still has the one before", first, b)
	back := start(a)
	signs("when the configuration goes back", back, a)
	generated := must(back.Rotate(t.Context()))
	clock.move(time.Second)
	r := start(a)
	if got := signerOf(t, r).ID(); got != generated.ID {
		t.Errorf("after a rotation and a restart %q signs, want the key that the rotation made", got)
	}
	clock.move(3 * time.Hour)
	load(t, r)
	if verifies(t, start(a), a.ID()) {
		t.Error("a configured secret whose time was over is back after a restart")
	}
	signs("with a new secret", start(secretOf("c")), secretOf("c"))
	both := start(secretOf("d"), secretOf("e"))
	signs("with two", both, secretOf("e"))
	if !verifies(t, both, secretOf("d").ID()) {
		t.Error("the first one of two configured secrets does not verify")
	}
	signs("with the same two again", start(secretOf("d"), secretOf("e")), secretOf("e"))
}

func TestAConfiguredSecretThatWasRetired(t *testing.T) {
	clock, store := newClock(), newStore()
	c := keyring.Config{Algorithm: keyring.HS256, Import: []*keyring.Key{secretOf("known to all")}}
	r := newRing(t, store, clock, c)
	bad := signerOf(t, r).ID()
	if err := r.Retire(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		clock.move(100 * day)
		fresh := newRing(t, store, clock, c)
		if got := signerOf(t, fresh).ID(); got == bad || verifies(t, fresh, bad) {
			t.Error("a configured secret that was retired for good is used after a restart")
		}
	}
}

func TestStaticRings(t *testing.T) {
	a, b := secretOf("a"), secretOf("b")
	r := must(keyring.Static("access", a, b))
	if got := signerOf(t, r); got.ID() != a.ID() || r.Name() != "access" || r.Algorithm() != keyring.HS256 {
		t.Errorf("Signer() = %v, want the first", got)
	}
	if !verifies(t, r, a.ID()) || !verifies(t, r, b.ID()) || verifies(t, r, "c") || verifies(t, r, "") || len(r.All()) != 2 {
		t.Error("a static ring verifies with other keys than its own")
	}
	wantStates(t, r, "of a static ring", active, retired)
	load(t, r)
	for name, err := range map[string]error{"Rotate": errOf(r.Rotate(t.Context())), "Retire": r.Retire(t.Context(), a.ID()), "Import": errOf(r.Import(t.Context(), b)), "Import(nil)": errOf(r.Import(t.Context(), nil))} {
		if !errors.Is(err, keyring.ErrStatic) {
			t.Errorf("%s of a static ring = %v, want ErrStatic", name, err)
		}
	}
	public := must(keyring.Static("foreign", made()[keyring.ES256].Public()))
	if k, err := public.Signer(); !errors.Is(err, keyring.ErrForm) || errors.Is(err, gatehouse.ErrCredential) {
		t.Errorf("Signer() of a public key = %v, %v, want ErrForm", k, err)
	}
	wantStates(t, public, "of a public key", retired)
	for name, keys := range map[string][]*keyring.Key{
		"none": nil, "nil": {nil}, "two algorithms": {a, made()[keyring.ES256]}, "one id twice": {a, b.WithID(a.ID())}, "the same twice": {a, a}, "no id": {a.WithID("")}, "nil behind": {a, nil}, "zero": {{}},
	} {
		if r, err := keyring.Static("access", keys...); err == nil {
			t.Errorf("Static(%s) = %v, nil, want an error", name, r)
		}
	}
}

func errOf[T any](_ T, err error) error { return err }

func TestSealedTexts(t *testing.T) {
	clock, store := newClock(), newStore()
	c := keyring.Config{Name: "session-cookie", Algorithm: keyring.A256GCM, Lifetime: time.Hour, Publish: time.Minute}
	r := newRing(t, store, clock, c)
	text := must(r.Seal([]byte("plain"), []byte("data")))
	if got, err := r.Open(text, []byte("data")); err != nil || string(got) != "plain" {
		t.Fatalf("Open(Seal(plain)) = %q, %v, want plain", got, err)
	}
	other := newRing(t, store, clock, keyring.Config{Name: "other", Algorithm: keyring.A256GCM})
	refuse := func(what string, r *keyring.Ring, text, data string, want error) {
		t.Helper()
		if got, err := r.Open(text, []byte(data)); !errors.Is(err, want) || !errors.Is(err, gatehouse.ErrCredential) || got != nil {
			t.Errorf("Open(%s) = %q, %v, want %v", what, got, err, want)
		}
	}
	refuse("other data", r, text, "date", keyring.ErrSignature)
	refuse("in another ring", other, text, "data", keyring.ErrUnknownKey)
	refuse("nothing", r, "", "data", keyring.ErrSignature)
	refuse("no base64", r, "?"+text, "data", keyring.ErrSignature)
	refuse("padded", r, text+"=", "data", keyring.ErrSignature)
	refuse("a line end", r, text+"\n", "data", keyring.ErrSignature)
	refuse("zeros", r, strings.Repeat("A", 100), "data", keyring.ErrUnknownKey)
	refuse("a length that is none", r, "_w", "data", keyring.ErrSignature)
	loads, _ := store.counts()
	for i := range text {
		changed := []byte(text)
		changed[i] = map[bool]byte{true: 'A', false: 'B'}[changed[i] != 'A']
		if got, err := r.Open(string(changed), []byte("data")); err == nil || got != nil {
			t.Errorf("Open with another character %d = %q, nil, want an error", i, got)
		}
		if got, err := r.Open(text[:i], []byte("data")); err == nil || got != nil {
			t.Errorf("Open of the first %d characters = %q, nil, want an error", i, got)
		}
	}
	if after, _ := store.counts(); after != loads {
		t.Errorf("texts that do not open have caused %d loads, want none", after-loads)
	}
	must(r.Rotate(t.Context()))
	clock.move(time.Minute)
	if again := must(r.Seal(nil, nil)); again[:30] == text[:30] {
		t.Error("after a rotation the same key seals")
	}
	if _, err := r.Open(text, []byte("data")); err != nil {
		t.Errorf("Open of what the retired key has sealed = %v, want nil", err)
	}
	clock.move(time.Hour + keyring.DefaultLeeway)
	refuse("when its key is gone", r, text, "data", keyring.ErrUnknownKey)
	if got, err := newRing(t, store, clock, keyring.Config{Name: "signs"}).Seal(nil, nil); !errors.Is(err, keyring.ErrForm) {
		t.Errorf("Seal with a ring that signs = %q, %v, want ErrForm", got, err)
	}
}
