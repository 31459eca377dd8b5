package redis_test

import (
	"encoding/base64"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gatehouse-auth/gatehouse/store/redis"
	"github.com/gatehouse-auth/gatehouse/token"
)

// tokenKey, holderKey and familyKey are the keys as the package documentation describes them.
func tokenKey(rec token.Record) string {
	return "{gatehouse}:token:" + base64.RawURLEncoding.EncodeToString(rec.Key[:])
}

func holderKey(subject string) string {
	return strings.Replace(indexKey(subject), ":subject:", ":holder:", 1)
}

func familyKey(family string) string {
	return strings.Replace(indexKey(family), ":subject:", ":family:", 1)
}

// storedToken creates a token that lives for the time given.
func storedToken(t *testing.T, db *redis.DB, subject string, lives time.Duration) token.Record {
	t.Helper()
	rec := tokenRecord(subject, lives)
	if err := redis.Tokens(db).Create(t.Context(), rec); err != nil {
		t.Fatalf("Create = %v, want nil", err)
	}
	return rec
}

// rotated rotates rec to a token that lives for the time given.
func rotated(t *testing.T, db *redis.DB, rec token.Record, lives time.Duration) token.Record {
	t.Helper()
	next := tokenRecord(rec.Subject, lives)
	next.Family = rec.Family
	if _, err := redis.Tokens(db).Rotate(t.Context(), rec.Key, time.Now(), []byte("sealed"), next); err != nil {
		t.Fatalf("Rotate = %v, want nil", err)
	}
	return next
}

// noToken reports a token that can be found, used or rotated.
func noToken(t *testing.T, db *redis.DB, rec token.Record) {
	t.Helper()
	s := redis.Tokens(db)
	_, err := s.Get(t.Context(), rec.Key)
	_, err2 := s.Use(t.Context(), rec.Key)
	_, err3 := s.Rotate(t.Context(), rec.Key, time.Now(), nil, tokenRecord(rec.Subject, time.Hour))
	for name, err := range map[string]error{"Get": err, "Use": err2, "Rotate": err3} {
		if !errors.Is(err, token.ErrNotFound) {
			t.Errorf("%s = %v, want ErrNotFound", name, err)
		}
	}
}

// TestTokenKeys: a token is a hash and a place in two indexes, whatever its subject and family are called.
func TestTokenKeys(t *testing.T) {
	m, db := mini(t)
	var want []string
	for _, subject := range []string{"", "anna", "{anna}", "\x00\xff\r\n", strings.Repeat("a", 1024)} {
		rec := tokenRecord(subject, time.Hour)
		rec.Family = "family of " + subject
		alone := tokenRecord(subject, time.Hour)
		alone.Family = ""
		for _, rec := range []token.Record{rec, alone} {
			if err := redis.Tokens(db).Create(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
			want = append(want, tokenKey(rec))
		}
		want = append(want, holderKey(subject), familyKey(rec.Family))
	}
	slices.Sort(want)
	if got := m.Keys(); !slices.Equal(got, want) {
		t.Errorf("keys = %q, want %q", got, want)
	}
}

// TestTokensLeaveNothing: of what has ended only the names of families stay, until their last token would have been overdue.
func TestTokensLeaveNothing(t *testing.T) {
	m, db := mini(t)
	s := redis.Tokens(db)
	for name, end := range map[string]func(rec token.Record) error{
		"Delete of a family": func(rec token.Record) error { return s.Delete(t.Context(), token.Key{}, rec.Family) },
		"Delete of each token": func(rec token.Record) error {
			next, err := s.Get(t.Context(), rec.Key)
			return errors.Join(err, s.Delete(t.Context(), rec.Key, ""), s.Delete(t.Context(), next.Next, ""))
		},
		"DeleteSubject": func(token.Record) error { _, err := s.DeleteSubject(t.Context(), "anna"); return err },
		"DeleteSubject twice": func(token.Record) error {
			_, err := s.DeleteSubject(t.Context(), "anna", "refresh", "refresh")
			return err
		},
	} {
		rec := storedToken(t, db, "anna", time.Hour)
		next := rotated(t, db, rec, 2*time.Hour)
		if err := end(rec); err != nil {
			t.Errorf("%s = %v, want nil", name, err)
		}
		noToken(t, db, rec)
		noToken(t, db, next)
		if keys, want := m.Keys(), []string{familyKey(rec.Family)}; !slices.Equal(keys, want) {
			t.Errorf("after %s there are the keys %q, want %q", name, keys, want)
		}
		again := tokenRecord("bert", time.Hour)
		again.Family = rec.Family
		if err := s.Create(t.Context(), again); !errors.Is(err, token.ErrExists) {
			t.Errorf("after %s, Create of the family = %v, want ErrExists", name, err)
		}
		if ttl := m.TTL(familyKey(rec.Family)); ttl <= 119*time.Minute || ttl > 2*time.Hour {
			t.Errorf("after %s the name of the family stays for %v, want as long as its tokens would have lived", name, ttl)
		}
		m.FastForward(2 * time.Hour)
		if keys := m.Keys(); len(keys) != 0 {
			t.Errorf("two hours after %s there are the keys %q, want none", name, keys)
		}
	}
	storedToken(t, db, "anna", 0)
	storedToken(t, db, "anna", -time.Hour)
	if keys := m.Keys(); len(keys) != 0 {
		t.Errorf("after Create of overdue tokens there are the keys %q, want none", keys)
	}
	alone := tokenRecord("anna", time.Hour)
	alone.Family = ""
	if err := errors.Join(s.Create(t.Context(), alone), s.Delete(t.Context(), alone.Key, "")); err != nil || len(m.Keys()) != 0 {
		t.Errorf("Create and Delete of a token without a family = %v, keys %q, want nil and none", err, m.Keys())
	}
}

// TestTokensTimeToLive: tokens live until they expire by the clock of the program, and an index as long as the longest that it lists.
func TestTokensTimeToLive(t *testing.T) {
	m := miniredis.RunT(t)
	o := options(t, "redis://"+m.Addr())
	now := time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC) // the server's clock is another one
	o.Now = func() time.Time { return now }
	db := open(t, o)
	s := redis.Tokens(db)
	lives := func(what, key string, want time.Duration) {
		t.Helper()
		if got := m.TTL(key); got != want {
			t.Errorf("%s lives for %v, want %v", what, got, want)
		}
	}
	rec, next := tokenRecord("anna", 0), tokenRecord("anna", 0)
	rec.Expires, next.Expires, next.Family, rec.Left = now.Add(time.Hour), now.Add(3*time.Hour), rec.Family, 5
	if err := s.Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	lives("the token", tokenKey(rec), time.Hour)
	lives("the index", holderKey("anna"), time.Hour)
	lives("the family", familyKey(rec.Family), time.Hour)
	now = now.Add(time.Hour / 2)
	if _, err := s.Use(t.Context(), rec.Key); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Rotate(t.Context(), rec.Key, now, nil, next); err != nil {
		t.Fatal(err)
	}
	lives("the token that was rotated", tokenKey(rec), time.Hour)
	lives("its successor", tokenKey(next), 5*time.Hour/2)
	lives("the index", holderKey("anna"), 5*time.Hour/2)
	lives("the family", familyKey(rec.Family), 5*time.Hour/2)
	brief := tokenRecord("anna", 0)
	brief.Expires, brief.Family = now.Add(time.Minute), rec.Family
	if _, err := s.Rotate(t.Context(), next.Key, now, nil, brief); err != nil {
		t.Fatal(err)
	}
	lives("the family, with one that is briefer", familyKey(rec.Family), 5*time.Hour/2)
}

// TestTokenIndexShrinks: the index of a subject who always has a token, such as a program that asks for many, does not grow for ever.
func TestTokenIndexShrinks(t *testing.T) {
	s := startServer(t)
	db := open(t, s.options())
	first := storedToken(t, db, "anna", time.Hour)
	brief := make([]token.Record, 20)
	for i := range brief {
		brief[i] = rotated(t, db, first, 50*time.Millisecond)
		first = storedToken(t, db, "anna", time.Hour)
	}
	s.await("overdue tokens stay", func() bool { return s.do("EXISTS", tokenKey(brief[19])) == ":0" })
	storedToken(t, db, "anna", time.Hour)
	if got := s.do("ZCARD", holderKey("anna")); got != ":22" {
		t.Errorf("the index has %s members after the next token, want the 22 that live", got)
	}
}

// TestTokenIndexIsEvicted: a token that an end would miss is no token any more.
func TestTokenIndexIsEvicted(t *testing.T) {
	for name, index := range map[string]func(token.Record) string{
		"the subject's": func(rec token.Record) string { return holderKey(rec.Subject) },
		"the family's":  func(rec token.Record) string { return familyKey(rec.Family) },
	} {
		m, db := mini(t)
		first, other := storedToken(t, db, "anna", time.Hour), storedToken(t, db, "bert", time.Hour)
		next := rotated(t, db, first, time.Hour)
		m.Del(index(first))
		late := storedToken(t, db, "anna", time.Hour) // a new index of the subject, without the others
		noToken(t, db, first)
		noToken(t, db, next)
		s := redis.Tokens(db)
		families, err := s.DeleteSubject(t.Context(), "anna")
		if err != nil || !slices.Contains(families, late.Family) {
			t.Errorf("without %s index: DeleteSubject = %q, %v, want the family that counts", name, families, err)
		}
		noToken(t, db, late)
		if err := errors.Join(s.Delete(t.Context(), token.Key{}, first.Family), s.Delete(t.Context(), next.Key, "")); err != nil {
			t.Errorf("without %s index: Delete = %v, want nil", name, err)
		}
		if _, err := s.Get(t.Context(), other.Key); err != nil {
			t.Errorf("without %s index: Get of somebody else's = %v, want nil", name, err)
		}
	}
}

// TestTokenEviction: a server that makes room by itself ends log-ins, and never leaves one that cannot be ended.
func TestTokenEviction(t *testing.T) {
	s := startServer(t, "--maxmemory-policy", "volatile-random", "--maxmemory-samples", "1")
	db := open(t, s.options())
	tokens := redis.Tokens(db)
	var all []token.Record
	for i := range 200 {
		rec := tokenRecord("subject "+strconv.Itoa(i%20), time.Hour)
		rec.Body = make([]byte, 2000)
		if err := tokens.Create(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		all = append(all, rec, rotated(t, db, rec, time.Hour))
	}
	before, _ := strconv.Atoi(regexp.MustCompile(`used_memory:(\d+)`).FindStringSubmatch(info(t, s))[1])
	s.do("CONFIG", "SET", "maxmemory", strconv.Itoa(before-300_000))
	s.await("nothing is evicted", func() bool { s.try("SET", "room", "for me"); return !strings.Contains(info(t, s), "evicted_keys:0") })
	s.do("CONFIG", "SET", "maxmemory", "0")
	for i := range 20 {
		if _, err := tokens.DeleteSubject(t.Context(), "subject "+strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, rec := range all {
		noToken(t, db, rec)
	}
}

// TestTokenDamage: what somebody else has written under our keys is neither a token nor the proof that there is none.
func TestTokenDamage(t *testing.T) {
	for name, damage := range map[string]func(m *miniredis.Miniredis, rec token.Record){
		"a string":          func(m *miniredis.Miniredis, rec token.Record) { m.Del(tokenKey(rec)); m.Set(tokenKey(rec), "x") },
		"a word as time":    func(m *miniredis.Miniredis, rec token.Record) { m.HSet(tokenKey(rec), "expires", "tomorrow") },
		"a word as use":     func(m *miniredis.Miniredis, rec token.Record) { m.HSet(tokenKey(rec), "used", "yesterday") },
		"no number of uses": func(m *miniredis.Miniredis, rec token.Record) { m.HDel(tokenKey(rec), "left") },
		"a short successor": func(m *miniredis.Miniredis, rec token.Record) { m.HSet(tokenKey(rec), "next", "short") },
		"an index that is none": func(m *miniredis.Miniredis, rec token.Record) {
			m.Del(holderKey(rec.Subject))
			m.Set(holderKey(rec.Subject), "x")
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, db := mini(t)
			rec := storedToken(t, db, "anna", time.Hour)
			damage(m, rec)
			s := redis.Tokens(db)
			_, err := s.Get(t.Context(), rec.Key)
			fails(t, "Get", err, "redis ")
			_, err = s.Use(t.Context(), rec.Key)
			fails(t, "Use", err, "redis ")
		})
	}
}
