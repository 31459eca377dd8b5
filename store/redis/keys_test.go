package redis_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/redis"
)

// sessionKey, idKey and indexKey are the keys as the package documentation describes them.
func sessionKey(rec session.Record) string {
	return "{gatehouse}:session:" + base64.RawURLEncoding.EncodeToString(rec.Key[:])
}

func idKey(rec session.Record) string { return "{gatehouse}:id:" + rec.ID }

func indexKey(subject string) string {
	sum := sha256.Sum256([]byte(subject))
	return "{gatehouse}:subject:" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// mini opens a miniredis.
func mini(t *testing.T) (*miniredis.Miniredis, *redis.DB) {
	t.Helper()
	m := miniredis.RunT(t)
	return m, open(t, options(t, "redis://"+m.Addr()))
}

func TestKeys(t *testing.T) {
	m, db := mini(t)
	var want []string
	for _, subject := range []string{"", "anna", "{anna}", "a}:b", "\x00\xff\r\n", strings.Repeat("a", 1<<16)} {
		rec := stored(t, db, subject)
		want = append(want, sessionKey(rec), idKey(rec), indexKey(subject))
		if len(indexKey(subject)) > 64 {
			t.Errorf("the index of %.20q is called %s", subject, indexKey(subject))
		}
	}
	slices.Sort(want)
	if got := m.Keys(); !slices.Equal(got, want) {
		t.Errorf("keys = %q, want %q", got, want)
	}
	if err := db.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := m.Keys(); !slices.Equal(got, want) {
		t.Errorf("keys after Ping = %q, want no more than %q", got, want)
	}
}

// TestNothingIsLeft: what ends leaves no key.
func TestNothingIsLeft(t *testing.T) {
	m, db := mini(t)
	s := redis.Sessions(db)
	for name, end := range map[string]func(rec session.Record) error{
		"Delete": func(rec session.Record) error { return s.Delete(t.Context(), rec.Key) },
		"DeleteAll": func(rec session.Record) error {
			_, err := s.DeleteAll(t.Context(), rec.Subject, session.Key{})
			return err
		},
		"Touch to the past": func(rec session.Record) error {
			return s.Touch(t.Context(), rec.Key, rec.Seen.Add(time.Second), rec.Seen.Add(-time.Second))
		},
		"Update to the past": func(rec session.Record) error { rec.Deadline = rec.Created; return s.Update(t.Context(), rec) },
		"Create of an overdue record in its place": func(rec session.Record) error {
			return s.Create(t.Context(), record("anna", -time.Second), rec.Key)
		},
		"Create in its place and Delete": func(rec session.Record) error {
			next := record("bert", time.Hour)
			return errors.Join(s.Create(t.Context(), next, rec.Key), s.Delete(t.Context(), next.Key))
		},
		"time": func(session.Record) error { m.FastForward(2 * time.Hour); return nil },
	} {
		rec := stored(t, db, "anna")
		if err := end(rec); err != nil {
			t.Errorf("%s = %v, want nil", name, err)
		}
		if keys := m.Keys(); len(keys) != 0 {
			t.Errorf("after %s there are the keys %q, want none", name, keys)
		}
		if _, err := s.Get(t.Context(), rec.Key); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("Get after %s = %v, want ErrNotFound", name, err)
		}
	}
	if err := s.Create(t.Context(), record("anna", 0), session.Key{}); err != nil || len(m.Keys()) != 0 {
		t.Errorf("Create of an overdue record = %v, keys %q, want nil and none", err, m.Keys())
	}
}

// TestTimeToLive: records live until their deadline by the clock of the program, and an index as long as its longest record.
func TestTimeToLive(t *testing.T) {
	m := miniredis.RunT(t)
	o := options(t, "redis://"+m.Addr())
	now := time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC) // the server's clock is another one
	o.Now = func() time.Time { return now }
	db := open(t, o)
	s := redis.Sessions(db)
	rec := func(lives time.Duration) session.Record {
		r := record("anna", time.Hour)
		r.Seen, r.Deadline = now, now.Add(lives)
		if err := s.Create(t.Context(), r, session.Key{}); err != nil {
			t.Fatal(err)
		}
		return r
	}
	lives := func(what, key string, want time.Duration) {
		t.Helper()
		if got := m.TTL(key); got != want {
			t.Errorf("%s lives for %v, want %v", what, got, want)
		}
	}
	short, long := rec(time.Minute), rec(time.Hour)
	lives("the short record", sessionKey(short), time.Minute)
	lives("its id", idKey(short), time.Minute)
	lives("the long record", sessionKey(long), time.Hour)
	lives("the index", indexKey("anna"), time.Hour)
	rec(time.Second)
	lives("the index", indexKey("anna"), time.Hour)

	now = now.Add(time.Second)
	if err := s.Touch(t.Context(), short.Key, now, now.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	lives("the touched record", sessionKey(short), 2*time.Hour)
	lives("its id", idKey(short), 2*time.Hour)
	lives("the index", indexKey("anna"), 2*time.Hour)
	long.Deadline = now.Add(1500 * time.Millisecond)
	if err := s.Update(t.Context(), long); err != nil {
		t.Fatal(err)
	}
	lives("the shortened record", sessionKey(long), 1500*time.Millisecond)
	if n, err := redis.Sessions(db).DeleteAll(t.Context(), "anna", session.Key{}); n != 3 || err != nil {
		t.Errorf("DeleteAll = %d, %v, want 3, nil", n, err)
	}
}

// TestExpiry: on a real server, by the real clock.
func TestExpiry(t *testing.T) {
	s := startServer(t)
	db := open(t, s.options())
	for _, subject := range []string{"anna", "bert", ""} {
		storedFor(t, db, subject, 200*time.Millisecond)
		storedFor(t, db, subject, 300*time.Millisecond)
	}
	last := storedFor(t, db, "anna", 400*time.Millisecond)
	if got := s.do("DBSIZE"); got != ":17" {
		t.Fatalf("DBSIZE = %s, want 7 records, 7 ids and 3 indexes", got)
	}
	s.await("what is overdue stays in the server", func() bool { return s.do("DBSIZE") == ":0" })
	if _, err := redis.Sessions(db).Get(t.Context(), last.Key); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Get of an overdue record = %v, want ErrNotFound", err)
	}
}

// TestIndexShrinks: the index of a subject who always has a session, as visitors together do, does not grow for ever.
func TestIndexShrinks(t *testing.T) {
	s := startServer(t)
	db := open(t, s.options())
	storedFor(t, db, "", time.Hour)
	brief := make([]session.Record, 50)
	for i := range brief {
		brief[i] = storedFor(t, db, "", 50*time.Millisecond)
	}
	s.await("overdue records stay", func() bool { return s.do("EXISTS", sessionKey(brief[49])) == ":0" })
	storedFor(t, db, "", time.Hour)
	if got := s.do("ZCARD", indexKey("")); got != ":2" {
		t.Errorf("the index has %s members after the next session, want the 2 that live", got)
	}
}

// TestListShrinksIndex: what was evicted, or deleted by hand, leaves the index when it is read.
func TestListShrinksIndex(t *testing.T) {
	m, db := mini(t)
	s := redis.Sessions(db)
	gone, stays := stored(t, db, "anna"), stored(t, db, "anna")
	m.Del(sessionKey(gone))
	if list, err := s.List(t.Context(), "anna"); len(list) != 1 || err != nil || list[0].ID != stays.ID {
		t.Errorf("List = %v, %v, want the one that is there", list, err)
	}
	if members, err := m.ZMembers(indexKey("anna")); len(members) != 1 || err != nil {
		t.Errorf("the index has %q, %v, want one member", members, err)
	}
	m.Del(sessionKey(stays))
	if n, err := s.DeleteAll(t.Context(), "anna", session.Key{}); n != 0 || err != nil {
		t.Errorf("DeleteAll = %d, %v, want 0, nil", n, err)
	}
	if m.Exists(indexKey("anna")) {
		t.Error("the index is still there, with nothing in it that is")
	}
}

// TestIndexIsEvicted: a session that "end all" would miss is no session any more.
func TestIndexIsEvicted(t *testing.T) {
	m, db := mini(t)
	s := redis.Sessions(db)
	rec, other := stored(t, db, "anna"), stored(t, db, "bert")
	m.Del(indexKey("anna"))
	stored(t, db, "anna") // a new index, without the record
	_, err := s.Get(t.Context(), rec.Key)
	for name, err := range map[string]error{
		"Get":                 err,
		"Update":              s.Update(t.Context(), rec),
		"Touch":               s.Touch(t.Context(), rec.Key, rec.Seen.Add(time.Second), rec.Deadline),
		"Create in its place": s.Create(t.Context(), record("anna", time.Hour), rec.Key),
	} {
		if !errors.Is(err, session.ErrNotFound) {
			t.Errorf("%s of a record that no index lists = %v, want ErrNotFound", name, err)
		}
	}
	if n, err := s.DeleteAll(t.Context(), "anna", session.Key{}); n != 1 || err != nil {
		t.Errorf("DeleteAll = %d, %v, want 1, nil: the one that counts", n, err)
	}
	if err := s.Delete(t.Context(), rec.Key); err != nil || m.Exists(sessionKey(rec)) || m.Exists(idKey(rec)) {
		t.Errorf("Delete = %v, want nil and nothing left", err)
	}
	if _, err := s.Get(t.Context(), other.Key); err != nil {
		t.Errorf("Get of another subject's record = %v, want nil", err)
	}
}

// TestEviction: a server that makes room by itself ends sessions, and never leaves one that cannot be ended.
func TestEviction(t *testing.T) {
	s := startServer(t, "--maxmemory-policy", "volatile-random", "--maxmemory-samples", "1")
	db := open(t, s.options())
	sessions := redis.Sessions(db)
	var all []session.Record
	for i := range 400 {
		rec := record("subject "+strconv.Itoa(i%40), time.Hour)
		rec.Body = make([]byte, 2000)
		if err := sessions.Create(t.Context(), rec, session.Key{}); err != nil {
			t.Fatal(err)
		}
		all = append(all, rec)
	}
	used := regexp.MustCompile(`used_memory:(\d+)`)
	text := info(t, s)
	before, _ := strconv.Atoi(used.FindStringSubmatch(text)[1])
	s.do("CONFIG", "SET", "maxmemory", strconv.Itoa(before-300_000))
	s.await("nothing is evicted", func() bool { s.try("SET", "room", "for me"); return !strings.Contains(info(t, s), "evicted_keys:0") })
	for i := range 40 {
		if _, err := sessions.DeleteAll(t.Context(), "subject "+strconv.Itoa(i), session.Key{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, rec := range all {
		if _, err := sessions.Get(t.Context(), rec.Key); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("Get after everybody was signed out = %v, want ErrNotFound", err)
		}
	}
}

// info returns all that the server says of itself.
func info(t *testing.T, s *server) string {
	t.Helper()
	text, err := s.whole("INFO")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestPrefixes: two installations in one database do not see each other.
func TestPrefixes(t *testing.T) {
	m := miniredis.RunT(t)
	var dbs []*redis.DB
	for _, prefix := range []string{"", "a", "a:", "a.b-c_D9"} {
		o := options(t, "redis://"+m.Addr())
		o.Prefix = prefix
		dbs = append(dbs, open(t, o))
	}
	rec := stored(t, dbs[0], "anna")
	for _, db := range dbs[1:] {
		s := redis.Sessions(db)
		if _, err := s.Get(t.Context(), rec.Key); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("Get with another prefix = %v, want ErrNotFound", err)
		}
		if n, err := s.DeleteAll(t.Context(), "anna", session.Key{}); n != 0 || err != nil {
			t.Errorf("DeleteAll with another prefix = %d, %v, want 0, nil", n, err)
		}
		if err := s.Create(t.Context(), rec, session.Key{}); err != nil {
			t.Errorf("Create of the same record with another prefix = %v, want nil", err)
		}
	}
	if _, err := redis.Sessions(dbs[0]).Get(t.Context(), rec.Key); err != nil {
		t.Errorf("Get = %v, want nil", err)
	}
}

// TestOldDeadlines: times that make no sense are a mistake of somebody's, and no reason to keep a session for ever or to fail oddly.
func TestOldDeadlines(t *testing.T) {
	m, db := mini(t)
	s := redis.Sessions(db)
	for _, deadline := range []time.Time{{}, time.Unix(0, 0), time.Date(-5000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		rec := record("anna", time.Hour)
		rec.Deadline = deadline
		if err := s.Create(t.Context(), rec, session.Key{}); err != nil || len(m.Keys()) != 0 {
			t.Errorf("Create with the deadline %v = %v, keys %q, want nil, none", deadline, err, m.Keys())
		}
	}
	far := record("anna", time.Hour)
	far.Deadline = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	if err := s.Create(t.Context(), far, session.Key{}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(t.Context(), far.Key)
	if err != nil || !got.Deadline.Equal(far.Deadline) {
		t.Errorf("Get = %v, %v, want the deadline %v", got.Deadline, err, far.Deadline)
	}
	if ttl := m.TTL(sessionKey(far)); ttl < 100*365*24*time.Hour {
		t.Errorf("the record lives for %v, want more than a hundred years", ttl)
	}
}

// TestDamage: what somebody else has written under our keys is neither a session nor the proof that there is none.
func TestDamage(t *testing.T) {
	for name, damage := range map[string]func(m *miniredis.Miniredis, rec session.Record){
		"a string":       func(m *miniredis.Miniredis, rec session.Record) { m.Del(sessionKey(rec)); m.Set(sessionKey(rec), "x") },
		"no version":     func(m *miniredis.Miniredis, rec session.Record) { m.HDel(sessionKey(rec), "version") },
		"a word as time": func(m *miniredis.Miniredis, rec session.Record) { m.HSet(sessionKey(rec), "seen", "yesterday") },
		"a large version": func(m *miniredis.Miniredis, rec session.Record) {
			m.HSet(sessionKey(rec), "version", "9223372036854775808")
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, db := mini(t)
			rec := stored(t, db, "anna")
			damage(m, rec)
			s := redis.Sessions(db)
			_, err := s.Get(t.Context(), rec.Key)
			fails(t, "Get", err, "redis ")
			_, err = s.List(t.Context(), "anna")
			fails(t, "List", err, "redis ")
		})
	}
	t.Run("another name", func(t *testing.T) {
		m, db := mini(t)
		rec := stored(t, db, "anna")
		m.ZAdd(indexKey("anna"), 9e15, "short")
		m.HSet("{gatehouse}:session:short", "owner", m.HGet(sessionKey(rec), "owner"), "id", "x", "created", "1", "seen", "1", "deadline", "1", "version", "1")
		_, err := redis.Sessions(db).List(t.Context(), "anna")
		fails(t, "List", err, "does another program use this prefix?")
	})
}

// documented returns the words of the rules in the package documentation: what sessions need, and what everything else needs besides.
func documented(t *testing.T) (rules [2][]string) {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?s)ACL SETUSER gatehouse (.*?)\n//\n`).FindAllSubmatch(text, -1)
	if len(found) != len(rules) {
		t.Fatalf("doc.go shows %d times ACL SETUSER gatehouse, want %d", len(found), len(rules))
	}
	for i := range rules {
		rules[i] = strings.Fields(strings.ReplaceAll(string(found[i][1]), "//", " "))
	}
	return rules
}

// TestLeastUser: the user of the package documentation may do what the store needs, and nothing else.
func TestLeastUser(t *testing.T) {
	s := startServer(t)
	words := documented(t)[0]
	s.do(append([]string{"ACL", "SETUSER", "gatehouse"}, words...)...)
	o := redis.Options{Port: s.port, User: "gatehouse", Password: gatehouse.NewSecret("secret"), DB: 1}
	db := open(t, o)
	works(t, db)
	rec := stored(t, db, "anna")
	for _, c := range sessionCalls(db, rec) {
		if err := c.do(context.Background()); err != nil && strings.Contains(err.Error(), "permission") {
			t.Errorf("%s = %v: the documented user may not do it", c.name, err)
		}
	}
	for _, word := range words[3:] { // what is not needed should not be granted
		if slices.Contains([]string{"+hello", "+ping", "+eval", "+evalsha"}, word) || word[0] != '+' {
			continue // the version in the status, the client library's own, and what depends on what the server has seen before
		}
		s.do("ACL", "SETUSER", "gatehouse", "-"+word[1:])
		if less, err := redis.Open(t.Context(), o); err == nil {
			less.Close()
			t.Errorf("Open without %s = nil, so the documentation grants too much, or Open tries too little", word)
		}
		s.do("ACL", "SETUSER", "gatehouse", word)
	}
}
