package redis_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/redis"
	"github.com/gatehouse-auth/gatehouse/token"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// A moved feed is in another server from one moment to the next, as after a failover.
type moved struct{ revoke.Store }

// listOn returns a list that has read the feed once.
func listOn(t *testing.T, feed revoke.Store) *revoke.List {
	t.Helper()
	l := revoke.New(feed, revoke.Config{Logger: quiet})
	if err := l.Load(t.Context()); err != nil {
		t.Fatalf("Load = %v, want nil", err)
	}
	return l
}

// revokes revokes a session.
func revokes(t *testing.T, l *revoke.List, sid string) {
	t.Helper()
	if err := l.RevokeSession(t.Context(), sid, time.Now().Add(time.Hour)); err != nil {
		t.Fatalf("RevokeSession = %v, want nil", err)
	}
}

// refuse reports lists that do not answer want when they are asked about a session.
func refuse(t *testing.T, what, sid string, want error, lists ...*revoke.List) {
	t.Helper()
	for i, l := range lists {
		if err := l.Check(revoke.Claim{Session: sid, Issued: time.Now()}); !errors.Is(err, want) {
			t.Errorf("%s: list %d: Check(%s) = %v, want %v", what, i, sid, err, want)
		}
	}
}

// TestFlushAllForgetsNoRevocation that a running process knows: it puts back what it knows, for those that start later too.
func TestFlushAllForgetsNoRevocation(t *testing.T) {
	s := startServer(t)
	db := open(t, s.options())
	feed := redis.Revocations(db)
	one, two := listOn(t, feed), listOn(t, redis.Revocations(open(t, s.options())))
	for _, sid := range []string{"first", "second", "third"} {
		revokes(t, one, sid)
	}
	if err := errors.Join(one.Load(t.Context()), two.Load(t.Context())); err != nil {
		t.Fatal(err)
	}
	s.do("FLUSHALL")
	revokes(t, two, "fourth") // the feed grows again before anybody has looked
	if err := errors.Join(one.Load(t.Context()), two.Load(t.Context()), one.Load(t.Context())); err != nil {
		t.Fatal(err)
	}
	later := listOn(t, feed)
	for _, sid := range []string{"first", "second", "third", "fourth"} {
		refuse(t, "after FLUSHALL", sid, revoke.ErrRevoked, one, two, later)
	}
	refuse(t, "after FLUSHALL", "fifth", nil, one, two, later)
}

// TestFlushAllEndsLogIns: tokens are gone, and a ring has keys again, with which nothing of before verifies.
func TestFlushAllEndsLogIns(t *testing.T) {
	s := startServer(t)
	db := open(t, s.options())
	rec := storedToken(t, db, "anna", time.Hour)
	master := keyring.NewMaster()
	ring := func() *keyring.Ring {
		r, err := keyring.New(redis.Keys(db), keyring.Config{Name: "access", Algorithm: keyring.EdDSA, Master: master, Logger: quiet})
		if err == nil {
			err = r.Load(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	before := ring()
	old, err := before.Signer()
	if err != nil {
		t.Fatal(err)
	}
	s.do("FLUSHALL")
	noToken(t, db, rec)
	after := ring()
	if err := before.Load(t.Context()); err != nil {
		t.Errorf("Load of a ring whose keys are gone = %v, want nil: it makes new ones", err)
	}
	one, err := before.Signer()
	two, err2 := after.Signer()
	if err != nil || err2 != nil || one.ID() != two.ID() || one.ID() == old.ID() {
		t.Errorf("after FLUSHALL the rings sign with %v and %v (%v, %v), want one new key", one.ID(), two.ID(), err, err2)
	}
	if _, err := after.Find(t.Context(), old.ID()); !errors.Is(err, keyring.ErrUnknownKey) {
		t.Errorf("Find of the key of before = %v, want ErrUnknownKey", err)
	}
}

// failover returns a primary, and what was its replica when it heard of the last write for the last time.
func failover(t *testing.T, before func(db *redis.DB)) (primary, replica *redis.DB) {
	t.Helper()
	p := startServer(t, "--repl-diskless-sync-delay", "0")
	_, port, _ := strings.Cut(p.address(), ":")
	r := startServer(t, "--replicaof", "127.0.0.1 "+port)
	primary = open(t, p.options())
	before(primary)
	r.await("the replica does not follow", func() bool {
		return p.do("DBSIZE") == r.do("DBSIZE") && strings.Contains(info(t, r), "master_link_status:up")
	})
	p.do("SET", "mark", "1")
	r.await("the replica does not follow", func() bool { return r.do("EXISTS", "mark") == ":1" })
	r.do("REPLICAOF", "NO", "ONE") // promoted: what the primary acknowledges from now on is lost
	return primary, open(t, r.options())
}

// TestFailoverForgetsNoRevocation that a running process knows.
func TestFailoverForgetsNoRevocation(t *testing.T) {
	var list *revoke.List
	var feed *moved
	primary, replica := failover(t, func(db *redis.DB) {
		feed = &moved{redis.Revocations(db)}
		list = listOn(t, feed)
		revokes(t, list, "before")
	})
	revokes(t, list, "lost")
	if err := list.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	feed.Store = redis.Revocations(replica)
	ignorant := listOn(t, feed)
	refuse(t, "before anybody who knows has looked", "lost", nil, ignorant)
	if err := errors.Join(list.Load(t.Context()), ignorant.Load(t.Context())); err != nil {
		t.Fatal(err)
	}
	refuse(t, "after the failover", "before", revoke.ErrRevoked, list, ignorant, listOn(t, feed))
	refuse(t, "after the failover", "lost", revoke.ErrRevoked, list, ignorant, listOn(t, feed))
	primary.Close()
}

// TestFailoverForgetsUses, rotations and ends, as the documentation of the store says. What it forgets of families, the list of revocations knows.
func TestFailoverForgetsUses(t *testing.T) {
	once, line, ended, late := tokenRecord("anna", time.Hour), tokenRecord("anna", time.Hour), tokenRecord("anna", time.Hour), tokenRecord("anna", time.Hour)
	once.Left = 1
	primary, replica := failover(t, func(db *redis.DB) {
		for _, rec := range []token.Record{once, line, ended} {
			if err := redis.Tokens(db).Create(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
		}
	})
	p, r := redis.Tokens(primary), redis.Tokens(replica)
	_, err := p.Use(t.Context(), once.Key)
	if err := errors.Join(err, p.Delete(t.Context(), token.Key{}, ended.Family), p.Create(t.Context(), late)); err != nil {
		t.Fatal(err)
	}
	next := rotated(t, primary, line, time.Hour)
	if _, err := r.Use(t.Context(), once.Key); err != nil {
		t.Errorf("Use of what was used up = %v: it was not forgotten: correct the documentation", err)
	}
	if rec, err := r.Get(t.Context(), line.Key); err != nil || !rec.Used.IsZero() {
		t.Errorf("Get of what was rotated = used %v, %v: it was not forgotten: correct the documentation", rec.Used, err)
	}
	if _, err := r.Get(t.Context(), ended.Key); err != nil {
		t.Errorf("Get of what was ended = %v: it was not forgotten: correct the documentation", err)
	}
	noToken(t, replica, next)
	noToken(t, replica, late)
}

// TestFailoverForgetsRetirements, as the documentation of the store says: what was retired for good comes back with the old version.
func TestFailoverForgetsRetirements(t *testing.T) {
	key := []keyring.Record{{ID: "kid", Algorithm: keyring.ES256, Material: []byte("sealed")}}
	primary, replica := failover(t, func(db *redis.DB) {
		if err := redis.Keys(db).Save(t.Context(), "access", 0, key); err != nil {
			t.Fatal(err)
		}
	})
	if err := redis.Keys(primary).Save(t.Context(), "access", 1, nil); err != nil {
		t.Fatal(err)
	}
	keys, version, err := redis.Keys(replica).Load(t.Context(), "access")
	if len(keys) != 1 || version != 1 || err != nil {
		t.Errorf("Load after the failover = %d keys, version %d, %v: it was not forgotten: correct the documentation", len(keys), version, err)
	}
}

// TestNothingIsLostInACrash: with an append-only file that is written before each answer, what was acknowledged is there after a crash, and only that.
func TestNothingIsLostInACrash(t *testing.T) {
	s := startServer(t, "--appendonly", "yes", "--appendfsync", "always")
	db := open(t, s.options())
	tokens, rings, feed := redis.Tokens(db), redis.Keys(db), redis.Revocations(db)
	once := tokenRecord("anna", time.Hour)
	once.Left = 2
	line, ended := storedToken(t, db, "anna", time.Hour), storedToken(t, db, "anna", time.Hour)
	next := rotated(t, db, line, time.Hour)
	keys := []keyring.Record{{ID: "kid", Algorithm: keyring.ES256, Material: []byte{0, 0xff}}}
	_, err := feed.Add(t.Context(), revoke.Entry{Kind: revoke.Token, ID: "a\x00\xff", Expires: time.Now().Add(time.Hour)}, revoke.Entry{Kind: revoke.Token, ID: "b", Expires: time.Now().Add(-time.Hour)})
	_, err2 := feed.Prune(t.Context(), time.Now(), 10)
	err3 := tokens.Create(t.Context(), once)
	_, err4 := tokens.Use(t.Context(), once.Key)
	if err := errors.Join(err, err2, err3, err4, tokens.Delete(t.Context(), token.Key{}, ended.Family), rings.Save(t.Context(), "access", 0, nil), rings.Save(t.Context(), "access", 1, keys)); err != nil {
		t.Fatal(err)
	}
	s.stop()
	s.start()
	s.await("the server does not load its file", func() bool { return db.Ping(t.Context()) == nil })
	if rec, err := tokens.Use(t.Context(), once.Key); err != nil || rec.Left != 0 {
		t.Errorf("Use after a crash = %d left, %v, want 0, nil", rec.Left, err)
	}
	if rec, err := tokens.Get(t.Context(), line.Key); err != nil || rec.Next != next.Key || string(rec.Sealed) != "sealed" {
		t.Errorf("Get of a rotated token after a crash = %v, %v, want its successor in it", rec, err)
	}
	if _, err := tokens.Get(t.Context(), next.Key); err != nil {
		t.Errorf("Get of its successor after a crash = %v, want nil", err)
	}
	noToken(t, db, ended)
	if got, version, err := rings.Load(t.Context(), "access"); len(got) != 1 || version != 2 || err != nil || !slices.Equal(got[0].Material, keys[0].Material) {
		t.Errorf("Load after a crash = %v, version %d, %v, want the second one", got, version, err)
	}
	page, err := feed.Since(t.Context(), 0, 10)
	if err != nil || page.Last != 2 || len(page.Entries) != 1 || page.Entries[0].ID != "a\x00\xff" {
		t.Errorf("Since after a crash = %+v, %v, want the first entry with Last = 2", page, err)
	}
}

// TestStoresAreApart: two installations in one database do not see each other's tokens, keys and revocations.
func TestStoresAreApart(t *testing.T) {
	m, db := mini(t)
	o := options(t, "redis://"+m.Addr())
	o.Prefix = "other"
	other := open(t, o)
	rec := storedToken(t, db, "anna", time.Hour)
	addEntry(t, db, time.Now().Add(time.Hour))
	if err := redis.Keys(db).Save(t.Context(), "access", 0, nil); err != nil {
		t.Fatal(err)
	}
	noToken(t, other, rec)
	if names, err := redis.Keys(other).Rings(t.Context()); len(names) != 0 || err != nil {
		t.Errorf("Rings with another prefix = %q, %v, want none", names, err)
	}
	if all, last := seqs(t, other); len(all) != 0 || last != 0 {
		t.Errorf("the feed with another prefix has %d, Last = %d, want nothing", all, last)
	}
	if families, err := redis.Tokens(other).DeleteSubject(t.Context(), "anna"); len(families) != 0 || err != nil {
		t.Errorf("DeleteSubject with another prefix = %q, %v, want none", families, err)
	}
	if err := redis.Tokens(other).Create(t.Context(), rec); err != nil {
		t.Errorf("Create of the same record with another prefix = %v, want nil", err)
	}
}

// TestLeastUserOfAll: the user of the package documentation may do what all stores and the bell need, and nothing else.
func TestLeastUserOfAll(t *testing.T) {
	s := startServer(t)
	rules := documented(t)
	for _, words := range rules {
		s.do(append([]string{"ACL", "SETUSER", "gatehouse"}, words...)...)
	}
	more := rules[1]
	o := s.options()
	o.User, o.Password = "gatehouse", gatehouse.NewSecret("secret")
	db := open(t, o)
	l := listen(t, db)
	l.hears("the beginning")
	ring(t, db)
	l.hears("a ring")
	for _, c := range calls(db, stored(t, db, "anna")) {
		if err := c.do(t.Context()); err != nil && strings.Contains(err.Error(), "permission") {
			t.Errorf("%s = %v: the documented user may not do it", c.name, err)
		}
	}
	if err := db.Ping(t.Context()); err != nil {
		t.Errorf("Ping = %v, want nil", err)
	}
	for _, word := range more { // what is not needed should not be granted
		without := "-" + word[1:]
		if word[0] == '&' {
			without = "resetchannels"
		}
		s.do("ACL", "SETUSER", "gatehouse", without)
		ctx, cancel := context.WithCancel(t.Context())
		heard := make(chan struct{}, 10)
		done := make(chan error, 1)
		go func() { done <- redis.Bell(db).Listen(ctx, func() { heard <- struct{}{} }) }()
		select {
		case <-heard:
			cancel()
			<-done
			if db.Ping(t.Context()) == nil && redis.Bell(db).Ring(t.Context()) == nil {
				t.Errorf("without %s everything works, so the documentation grants too much, or Ping tries too little", word)
			}
		case err := <-done:
			if !strings.Contains(err.Error(), "lacks a permission") {
				t.Errorf("Listen without %s = %v, want that a permission lacks", word, err)
			}
		}
		cancel()
		s.do("ACL", "SETUSER", "gatehouse", word)
	}
}

// TestLongTokens: what no token can be is no reason to fail oddly.
func TestLongTokens(t *testing.T) {
	_, db := mini(t)
	rec := tokenRecord(strings.Repeat("\xff", 1<<20), time.Hour)
	rec.Family, rec.Body = strings.Repeat("f", 1<<16), make([]byte, 1<<20)
	rand.Read(rec.Body)
	if err := redis.Tokens(db).Create(t.Context(), rec); err != nil {
		t.Fatalf("Create = %v, want nil", err)
	}
	if got, err := redis.Tokens(db).Get(t.Context(), rec.Key); err != nil || got.Subject != rec.Subject || !slices.Equal(got.Body, rec.Body) {
		t.Errorf("Get = %d bytes of subject, %d of body, %v, want what was stored", len(got.Subject), len(got.Body), err)
	}
}
