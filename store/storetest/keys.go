package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

// Keys is a store of key rings to be tested, and what the suite has to know about it.
type Keys struct {
	// Store is empty, and nobody else's. It is required.
	Store keyring.Store

	// Beside returns one more store with the same rings, as a second process opens it while the first one goes on. Nil: there can be no second one.
	Beside func(t *testing.T) keyring.Store

	// Reopen returns the store with its rings as a program finds it after a restart; it may close Store, which is not used after it. Nil: the
	// rings do not survive the process.
	Reopen func(t *testing.T) keyring.Store
}

// keyTests are the parts of the suite. Every function gets a store of its own.
var keyTests = []struct {
	name string
	test func(*keySuite)
}{
	{"RoundTrip", (*keySuite).roundTrip},
	{"NeverSaved", (*keySuite).neverSaved},
	{"Versions", (*keySuite).versions},
	{"Replace", (*keySuite).replace},
	{"Order", (*keySuite).order},
	{"Rings", (*keySuite).rings},
	{"IDs", (*keySuite).ids},
	{"Material", (*keySuite).material},
	{"Copies", (*keySuite).copies},
	{"Large", (*keySuite).large},
	{"RandomSteps", (*keySuite).randomSteps},
	{"Context", (*keySuite).context},
	{"CancelDuring", (*keySuite).cancelDuring},
	{"ParallelSaves", (*keySuite).parallelSaves},
	{"ParallelFirst", (*keySuite).parallelFirst},
	{"ParallelCounting", (*keySuite).parallelCounting},
	{"ParallelRings", (*keySuite).parallelRings},
	{"LoadAgainstSave", (*keySuite).loadAgainstSave},
	{"Beside", (*keySuite).beside},
	{"Reopen", (*keySuite).reopen},
	{"RingsRotateOnce", (*keySuite).ringsRotateOnce},
	{"RingsFollow", (*keySuite).ringsFollow},
	{"RingsRetire", (*keySuite).ringsRetire},
}

// TestKeys tests every promise of keyring.Store, and what rings make of it. open returns an empty store; it is called once for each subtest, and closes
// what it has opened with t.Cleanup.
func TestKeys(t *testing.T, open func(t *testing.T) Keys) {
	for _, part := range keyTests {
		t.Run(part.name, func(t *testing.T) {
			part.test(newKeySuite(t, open(t)))
		})
	}
}

// A keySuite is one subtest: its store, and the words in which the tests are written.
type keySuite struct {
	base
	Keys
}

func newKeySuite(t *testing.T, under Keys) *keySuite {
	t.Helper()
	if under.Store == nil {
		t.Fatal("storetest.Keys has no Store")
	}
	return &keySuite{newBase(t), under}
}

// stores returns the store, and the one beside it if there can be one: what holds among goroutines must hold among processes.
func (s *keySuite) stores() []keyring.Store {
	if s.Keys.Beside == nil {
		return []keyring.Store{s.Store}
	}
	return []keyring.Store{s.Store, s.Keys.Beside(s.T)}
}

// key returns a key that no store has yet.
func (s *keySuite) key() keyring.Record {
	id := newID()
	return keyring.Record{ID: id, Algorithm: keyring.ES256, Created: s.now.Add(-time.Hour), Active: s.now.Add(-time.Minute),
		Lifetime: time.Hour, Material: []byte("sealed " + id)}
}

func (s *keySuite) keys(n int) []keyring.Record {
	keys := make([]keyring.Record, n)
	for i := range keys {
		keys[i] = s.key()
	}
	return keys
}

// save saves keys as the next version after version.
func (s *keySuite) save(ring string, version int64, keys ...keyring.Record) {
	s.Helper()
	s.ok(fmt.Sprintf("Save(%.40q, version %d)", ring, version), s.Store.Save(s.Context(), ring, version, keys))
}

// has reports a ring that is not exactly keys, in this order, with this version.
func (s *keySuite) has(ring string, version int64, keys ...keyring.Record) {
	s.Helper()
	s.hasIn(s.Store, ring, version, keys...)
}

func (s *keySuite) hasIn(store keyring.Store, ring string, version int64, keys ...keyring.Record) {
	s.Helper()
	got, v, err := store.Load(s.Context(), ring)
	if err != nil {
		s.Errorf("Load(%.40q) = %v, want nil", ring, err)
		return
	}
	if diff := differInKeys(got, keys); v != version || diff != "" {
		s.Errorf("Load(%.40q) = version %d, want %d. %s", ring, v, version, diff)
	}
}

// named reports a store whose rings are not exactly these.
func (s *keySuite) named(want ...string) {
	s.Helper()
	s.namedIn(s.Store, want...)
}

func (s *keySuite) namedIn(store keyring.Store, want ...string) {
	s.Helper()
	slices.Sort(want)
	if got, err := store.Rings(s.Context()); err != nil || !slices.Equal(got, want) {
		s.Errorf("Rings = %.200q, %v, want %.200q, nil", got, err, want)
	}
}

// differInKeys says where got is not want, or nothing.
func differInKeys(got, want []keyring.Record) string {
	if len(got) != len(want) {
		return fmt.Sprintf("there are %d keys, want %d", len(got), len(want))
	}
	var faults []string
	for i := range got {
		if diff := differInKey(got[i], want[i]); diff != "" {
			faults = append(faults, fmt.Sprintf("key %d: %s", i, diff))
		}
	}
	return strings.Join(faults, "\n")
}

// differInKey says in which fields got is not want, or nothing.
func differInKey(got, want keyring.Record) string {
	var d difference
	d.text("ID", got.ID, want.ID)
	d.text("Algorithm", string(got.Algorithm), string(want.Algorithm))
	d.time("Created", got.Created, want.Created)
	d.time("Active", got.Active, want.Active)
	d.time("Gone", got.Gone, want.Gone)
	d.field("Lifetime", got.Lifetime == want.Lifetime, got.Lifetime, want.Lifetime)
	d.bytes("Material", got.Material, want.Material)
	return d.String()
}

// A difference is in which fields a record is not what it should be.
type difference struct{ faults []string }

func (d *difference) field(name string, same bool, got, want any) {
	if !same {
		d.faults = append(d.faults, fmt.Sprintf("%s = %v, want %v", name, got, want))
	}
}

func (d *difference) text(name, got, want string) {
	d.field(name, got == want, fmt.Sprintf("%.40q", got), fmt.Sprintf("%.40q", want))
}

// time compares moments. Zero must come back as zero.
func (d *difference) time(name string, got, want time.Time) {
	d.field(name, got.Equal(want) && got.IsZero() == want.IsZero(), got, want)
}

func (d *difference) bytes(name string, got, want []byte) {
	d.field(name, bytes.Equal(got, want), fmt.Sprintf("%d bytes %.60q", len(got), got), fmt.Sprintf("%d bytes %.60q", len(want), want))
}

func (d *difference) String() string { return strings.Join(d.faults, "; ") }
