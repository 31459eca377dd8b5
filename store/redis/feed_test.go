package redis_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/redis"
)

const (
	feedKey   = "{gatehouse}:revocations"
	expiryKey = "{gatehouse}:revocations:expiry"
	ringsKey  = "{gatehouse}:rings"
)

// addEntry adds an entry that expires after the time given.
func addEntry(t *testing.T, db *redis.DB, expires time.Time) int64 {
	t.Helper()
	seq, err := redis.Revocations(db).Add(t.Context(), revoke.Entry{Kind: revoke.Token, ID: "id", Expires: expires})
	if err != nil {
		t.Fatalf("Add = %v, want nil", err)
	}
	return seq
}

// seqs returns the places of the entries of the feed, and the last one that was given.
func seqs(t *testing.T, db *redis.DB) (all []int64, last int64) {
	t.Helper()
	page, err := redis.Revocations(db).Since(t.Context(), 0, 1000)
	if err != nil {
		t.Fatalf("Since = %v, want nil", err)
	}
	for _, e := range page.Entries {
		all = append(all, e.Seq)
	}
	return all, page.Last
}

// TestFeedKeys: the feed is one key, with the last place in it, and an index for pruning. Neither expires: who has forgotten the last place begins to count anew.
func TestFeedKeys(t *testing.T) {
	m, db := mini(t)
	addEntry(t, db, time.Now().Add(time.Hour))
	addEntry(t, db, time.Now().Add(time.Minute))
	if keys, want := m.Keys(), []string{feedKey, expiryKey}; !slices.Equal(keys, want) {
		t.Errorf("keys = %q, want %q", keys, want)
	}
	if n, err := redis.Revocations(db).Prune(t.Context(), time.Now().Add(2*time.Hour), 10); n != 2 || err != nil {
		t.Errorf("Prune = %d, %v, want 2, nil", n, err)
	}
	if keys, want := m.Keys(), []string{feedKey}; !slices.Equal(keys, want) || m.TTL(feedKey) != 0 {
		t.Errorf("after Prune: keys = %q, for %v, want %q for ever", keys, m.TTL(feedKey), want)
	}
	m.FastForward(1000 * 24 * time.Hour)
	if all, last := seqs(t, db); len(all) != 0 || last != 2 {
		t.Errorf("the feed has %d with Last = %d, want none with 2", all, last)
	}
	if seq := addEntry(t, db, time.Now().Add(time.Hour)); seq != 3 {
		t.Errorf("Add = %d, want 3", seq)
	}
}

// TestFeedIsTidied: a feed that nobody prunes does not grow for ever; but one clock alone, which may be wrong, takes nothing away.
func TestFeedIsTidied(t *testing.T) {
	m := miniredis.RunT(t)
	o := options(t, "redis://"+m.Addr())
	start := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	now := start
	o.Now = func() time.Time { return now }
	db := open(t, o)
	m.SetTime(start)
	for i := range 150 {
		addEntry(t, db, start.Add(time.Duration(i)*time.Second))
	}
	stays := addEntry(t, db, start.Add(72*time.Hour))
	later := start.Add(26 * time.Hour)
	for name, clocks := range map[string]struct{ program, server time.Time }{
		"the program's clock is ahead": {later, start}, "the server's clock is ahead": {start, later}, "a day has not gone by": {start.Add(24 * time.Hour), start.Add(24 * time.Hour)},
	} {
		now = clocks.program
		m.SetTime(clocks.server)
		addEntry(t, db, start.Add(72*time.Hour))
		if all, _ := seqs(t, db); !slices.Contains(all, 1) {
			t.Errorf("%s: the first entry is gone", name)
		}
	}
	now = later
	m.SetTime(later)
	for range 2 {
		addEntry(t, db, later.Add(time.Hour))
	}
	all, last := seqs(t, db)
	if want := []int64{stays, 152, 153, 154, 155, 156}; !slices.Equal(all, want) || last != 156 {
		t.Errorf("after two calls a day later the feed has %d with Last = %d, want %d with 156", all, last, want)
	}
	if members, err := m.ZMembers(expiryKey); len(members) != len(all) || err != nil {
		t.Errorf("the index has %d members, %v, want %d", len(members), err, len(all))
	}
}

// TestFeedDamage: what cannot be understood is an error: it revokes something, and nobody knows what.
func TestFeedDamage(t *testing.T) {
	for name, member := range map[string]string{
		"no entry": "x", "no numbers": "7 a b c token", "a length that is too long": "7 0 0 6 token", "a length below zero": "7 0 0 -1 token", "place 0": "0 0 0 5 tokenid", "too little": "7 0 0",
	} {
		m, db := mini(t)
		addEntry(t, db, time.Now().Add(time.Hour))
		m.ZAdd(feedKey, 7, member)
		_, err := redis.Revocations(db).Since(t.Context(), 0, 10)
		fails(t, "Since, with "+name, err, "does another program use this prefix?")
	}
	m, db := mini(t)
	m.Set(feedKey, "x")
	for _, c := range feedCalls(db)[:4] {
		fails(t, c.name, c.do(t.Context()), "redis ")
	}
	m, db = mini(t)
	m.Set(expiryKey, "x")
	_, err := redis.Revocations(db).Add(t.Context(), revoke.Entry{Kind: revoke.Token, ID: "id", Expires: time.Now()})
	fails(t, "Add without an index", err, "redis ")
	if m.Exists(feedKey) {
		t.Error("Add has failed, and the entry is there")
	}
}

// TestRingKeys: all rings are one key that does not expire, so that nobody finds some of them.
func TestRingKeys(t *testing.T) {
	m, db := mini(t)
	for i := range 3 {
		if err := redis.Keys(db).Save(t.Context(), fmt.Sprint("ring ", i), 0, []keyring.Record{{ID: "kid", Material: []byte("sealed")}}); err != nil {
			t.Fatal(err)
		}
	}
	if keys, want := m.Keys(), []string{ringsKey}; !slices.Equal(keys, want) || m.TTL(ringsKey) != 0 {
		t.Errorf("keys = %q, for %v, want %q for ever", keys, m.TTL(ringsKey), want)
	}
}

// TestRingDamage: a ring that cannot be understood is not taken for one that was never saved, which would be overwritten.
func TestRingDamage(t *testing.T) {
	for name, saved := range map[string]string{
		"nothing": "", "a word": "x", "no keys": "1", "no list": "1 {}x", "no version": " []", "version 0": "0 []", "a version below zero": "-1 []", "a large version": "9223372036854775808 []",
		"an id that is no base64": `1 [{"id":"%"}]`,
	} {
		m, db := mini(t)
		m.HSet(ringsKey, "access", saved)
		_, _, err := redis.Keys(db).Load(t.Context(), "access")
		fails(t, "Load of "+name, err, "does another program use this prefix?")
		if name == "version 0" {
			continue // Save does not look further than the version
		}
		if err := redis.Keys(db).Save(t.Context(), "access", 0, nil); err == nil || m.HGet(ringsKey, "access") != saved {
			t.Errorf("Save over %s = %v, and %q is there, want an error and no change", name, err, m.HGet(ringsKey, "access"))
		}
	}
	m, db := mini(t)
	m.Set(ringsKey, "x")
	for _, c := range keyCalls(db) {
		fails(t, c.name, c.do(t.Context()), "redis ")
	}
}
