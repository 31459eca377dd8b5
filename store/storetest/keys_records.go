package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

func (s *keySuite) roundTrip() {
	plain, next, gone, forgotten, bare, elsewhere, far := s.key(), s.key(), s.key(), s.key(), s.key(), s.key(), s.key()
	next.Active = s.now.Add(10 * time.Minute)
	gone.Gone = s.now.Add(-time.Second)
	forgotten.Material, forgotten.Gone = nil, s.now.Add(time.Millisecond)
	bare = keyring.Record{ID: bare.ID, Algorithm: keyring.HS256} // zero times stay zero
	elsewhere.Created = elsewhere.Created.In(time.FixedZone("UTC+14", 14*3600))
	elsewhere.Active = elsewhere.Active.In(time.FixedZone("UTC-9:30", -9*3600-1800))
	far.Gone, far.Lifetime = s.now.AddDate(290, 0, 0), 100*365*24*time.Hour // later than what fits into 64 bits of nanoseconds
	all := []keyring.Record{plain, next, gone, forgotten, bare, elsewhere, far}
	for _, a := range []keyring.Algorithm{keyring.HS384, keyring.HS512, keyring.RS256, keyring.PS256, keyring.EdDSA, keyring.A256GCM} {
		k := s.key()
		k.Algorithm = a
		all = append(all, k)
	}
	s.save("access", 0, all...)
	s.has("access", 1, all...)
	for ms := range 5 { // the milliseconds that binary fractions do not hit
		k := s.key()
		k.Created, k.Active, k.Gone = s.now.Truncate(time.Second).Add(time.Duration(ms*249+1)*time.Millisecond), s.now.Truncate(time.Second).Add(999*time.Millisecond), time.Unix(0, 0)
		k.Lifetime = time.Hour + time.Duration(ms)*time.Millisecond
		s.save("precise", int64(ms), k)
		s.has("precise", int64(ms+1), k)
	}
	s.fine()
}

// fine: whether a store rounds what is finer than a millisecond or keeps it is its own affair.
func (s *keySuite) fine() {
	k := s.key()
	k.Created, k.Active, k.Gone = k.Created.Add(1234*time.Microsecond), k.Active.Add(999999), s.now.Add(1)
	s.save("fine", 0, k)
	keys, _, err := s.Store.Load(s.Context(), "fine")
	if err != nil || len(keys) != 1 {
		s.Fatalf("Load = %d keys, %v, want one, nil", len(keys), err)
	}
	for name, d := range map[string]time.Duration{"Created": k.Created.Sub(keys[0].Created), "Active": k.Active.Sub(keys[0].Active), "Gone": k.Gone.Sub(keys[0].Gone)} {
		if d.Abs() >= time.Millisecond {
			s.Errorf("%s is off by %v, want less than a millisecond", name, d)
		}
	}
}

// neverSaved: a ring that was never saved is no error, and to ask for it does not make it.
func (s *keySuite) neverSaved() {
	s.named()
	s.has("access", 0)
	s.save("other", 0, s.key())
	for _, ring := range []string{"access", "Other", "othe", "other ", "othe%"} {
		s.has(ring, 0)
		s.refused("Save of what was never saved, as the second version", s.Store.Save(s.Context(), ring, 1, s.keys(1)), keyring.ErrConflict)
		s.has(ring, 0)
	}
	s.named("other")
}

// versions: what was loaded is replaced once, and a version counts up by one.
func (s *keySuite) versions() {
	var keys []keyring.Record
	for version := range int64(5) {
		s.stale("access", version)
		s.has("access", version, keys...)
		keys = s.keys(2)
		s.save("access", version, keys...)
		s.has("access", version+1, keys...)
	}
	s.stale("access", 5)
	s.save("access", 5, keys...) // the same again is a change too
	s.has("access", 6, keys...)
}

// stale saves with every version but the right one.
func (s *keySuite) stale(ring string, version int64) {
	s.Helper()
	for _, other := range []int64{version - 1, version + 1, -1, 0, 1, -version - 1, 1 << 32, 1<<32 + version, math.MaxInt64, math.MinInt64} {
		if other != version {
			err := s.Store.Save(s.Context(), ring, other, s.keys(1))
			s.refused(fmt.Sprintf("Save of version %d over version %d", other, version), err, keyring.ErrConflict)
		}
	}
}

// replace: what is saved is all there is.
func (s *keySuite) replace() {
	one, two, three := s.key(), s.key(), s.key()
	other := s.keys(2)
	s.save("other", 0, other...)
	s.save("access", 0, one, two)
	s.save("access", 1, two, three)
	s.has("access", 2, two, three)
	changed := two
	changed.Gone, changed.Material, changed.Lifetime = s.now, nil, 2*time.Hour
	s.save("access", 2, changed)
	s.has("access", 3, changed)
	s.save("access", 3)
	s.has("access", 4)
	s.named("access", "other") // it was saved, and has no keys
	s.refused("Save of an emptied ring as if it were new", s.Store.Save(s.Context(), "access", 0, s.keys(1)), keyring.ErrConflict)
	s.save("access", 4, one)
	s.has("access", 5, one)
	s.has("other", 1, other...)
	s.sameIn("access", "other", one)
}

// sameIn: rings have nothing to do with each other.
func (s *keySuite) sameIn(ring, other string, key keyring.Record) {
	twin := key
	twin.Material, twin.Algorithm = []byte("another"), keyring.HS256
	s.save(other, 1, twin)
	s.has(ring, 5, key)
	s.has(other, 2, twin)
	s.save("empty", 0)
	s.has("empty", 1)
	s.named("access", "empty", "other")
}

// order: keys come back in the order in which they were saved, whatever they are called and whenever they were made.
func (s *keySuite) order() {
	keys := s.keys(30)
	for version := range int64(5) {
		mixed := make([]keyring.Record, len(keys))
		for to, from := range permutation(len(keys)) {
			mixed[to] = keys[from]
			mixed[to].Created = s.now.Add(-time.Duration(pick(3)) * time.Hour)
		}
		s.save("access", version, mixed...)
		s.has("access", version+1, mixed...)
	}
}

// rings: names are compared exactly, and sorted by their bytes. A store may refuse one that is not text.
func (s *keySuite) rings() {
	of, names := map[string]keyring.Record{}, []string{}
	for _, name := range subjects {
		if name == "" || len(name) > 128 {
			continue // rings have names, and no longer ones
		}
		key := s.key()
		err := s.Store.Save(s.Context(), name, 0, []keyring.Record{key})
		if err != nil && isText(name) {
			s.Errorf("Save(%.40q) = %v, want nil", name, err)
		}
		if err == nil {
			of[name], names = key, append(names, name)
		}
	}
	for name, key := range of {
		s.has(name, 1, key)
	}
	s.named(names...)
	for name, key := range of {
		s.has(name, 1, key) // whatever was done to others
		s.save(name, 1)
		s.has(name, 2)
	}
	s.named(names...)
}

// ids: similar ones are different ones. A store may refuse one that is not text, and keeps none that is another than the one it was given.
func (s *keySuite) ids() {
	var keys []keyring.Record
	for _, id := range subjects {
		key := s.key()
		key.ID = id
		if id != "" && isText(id) {
			keys = append(keys, key)
			continue
		}
		ring := fmt.Sprintf("of %x", id)
		if err := s.Store.Save(s.Context(), ring[:min(len(ring), 100)], 0, []keyring.Record{key}); err == nil {
			s.has(ring[:min(len(ring), 100)], 1, key)
		}
	}
	s.save("access", 0, keys...)
	s.has("access", 1, keys...)
	s.twins()
}

// twins: two keys with one id cannot be told apart. Whoever saves them is refused, or gets back what was saved.
func (s *keySuite) twins() {
	one, other := s.key(), s.key()
	other.ID = one.ID
	s.save("twins", 0, one)
	if err := s.Store.Save(s.Context(), "twins", 1, []keyring.Record{one, other}); err == nil {
		s.has("twins", 2, one, other)
		return
	} else if errors.Is(err, keyring.ErrConflict) {
		s.Errorf("Save of two keys with one id = %v, but nobody else has changed the ring", err)
	}
	s.has("twins", 1, one)
}

// material: it is bytes, and comes back as it was.
func (s *keySuite) material() {
	version := int64(0)
	for name, text := range hostile() {
		key, other := s.key(), s.key()
		key.Material = text
		s.save("access", version, other, key)
		version++
		s.has("access", version, other, key)
		if s.Failed() {
			s.Fatalf("it was material with %s", name)
		}
	}
}

// copies: nobody changes the other's bytes.
func (s *keySuite) copies() {
	keys := s.keys(2)
	given := []keyring.Record{keys[0], keys[1]}
	given[0].Material, given[1].Material = bytes.Clone(keys[0].Material), bytes.Clone(keys[1].Material)
	s.save("access", 0, given...)
	clear(given[0].Material)
	given[1] = s.key()
	s.has("access", 1, keys...)

	got, _, err := s.Store.Load(s.Context(), "access")
	if err != nil || len(got) != 2 {
		s.Fatalf("Load = %d keys, %v, want 2, nil", len(got), err)
	}
	clear(got[0].Material)
	_ = append(got[1].Material[:0], "changed"...)
	got[0], got[1] = got[1], got[0]
	_ = append(got[:0], s.key())
	s.has("access", 1, keys...)

	old, _, err := s.Store.Load(s.Context(), "access")
	s.ok("Load", err)
	changed := []keyring.Record{keys[0], keys[1]}
	changed[0].Material = []byte(strings.Repeat("x", len(keys[0].Material)))
	s.save("access", 1, changed...)
	if diff := differInKeys(old, keys); diff != "" {
		s.Errorf("after Save, what Load had returned before has changed: %s", diff)
	}
	names, err := s.Store.Rings(s.Context())
	s.ok("Rings", err)
	names[0] = "changed"
	s.named("access")
}

// large: as many keys as a ring may have, each as large as private keys get.
func (s *keySuite) large() {
	keys := s.keys(keyring.MaxKeys)
	for i := range keys {
		keys[i].Material = bytes.Repeat([]byte{byte(i), 0, 0xff, '\''}, 500)
	}
	s.save("access", 0, keys...)
	s.has("access", 1, keys...)
	s.save("access", 1, keys[1:]...)
	s.has("access", 2, keys[1:]...)
}

// randomSteps: after any calls in any order, the store is in the state that they add up to.
func (s *keySuite) randomSteps() {
	rings := []string{"access", "Access", "refresh"}
	versions, keys := map[string]int64{}, map[string][]keyring.Record{}
	var saved []string
	for range s.rounds(3 * rounds) {
		ring, version := rings[pick(len(rings))], int64(pick(4)-1)
		next := s.keys(pick(4))
		if version < 2 { // else there would be a conflict more often than not
			version = versions[ring]
		}
		if old := keys[ring]; len(old) > 0 && pick(2) == 0 { // keys that stay
			next = append(next, old[pick(len(old))])
		}
		err := s.Store.Save(s.Context(), ring, version, next)
		if version != versions[ring] {
			s.refused("Save of another version", err, keyring.ErrConflict)
		} else if s.ok("Save", err); version == 0 {
			saved = append(saved, ring)
		}
		if err == nil {
			versions[ring], keys[ring] = version+1, next
		}
		for _, ring := range rings {
			s.has(ring, versions[ring], keys[ring]...)
		}
		s.named(saved...)
	}
}
