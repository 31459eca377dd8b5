//go:build unix

package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/sqlite"
	"github.com/gatehouse-auth/gatehouse/token"
)

// member returns the token number n of a family.
func member(family string, n int) token.Record {
	rec := token.Record{
		ID: fmt.Sprintf("%s-%d", family, n), Purpose: "refresh", Subject: "anna", Family: family, Expires: time.UnixMilli(1_900_000_000_000), Left: -1,
		Body: bytes.Repeat([]byte(family), 20),
	}
	copy(rec.Key[:], rec.ID)
	return rec
}

// sealedOf is what is kept with the token number n for its holder.
func sealedOf(n int) []byte { return fmt.Appendf(nil, "the successor of %d", n) }

// rotateForEver begins log-ins, renews and ends them, four at once, and says what it is about to do and what is acknowledged.
func rotateForEver(name string) error {
	fmt.Println("opens - 0")
	db, err := sqlite.Open(context.Background(), name)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	say := func(what, family string, number int) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(what, family, number)
	}
	failed := make(chan error)
	for range 4 {
		go func() {
			for {
				if err := logIn(db, fmt.Sprint(rand.Int64()), say); err != nil {
					failed <- err
				}
			}
		}()
	}
	return <-failed
}

// logIn is the life of one family.
func logIn(db *sqlite.DB, family string, say func(what, family string, number int)) error {
	ctx, store := context.Background(), sqlite.Tokens(db)
	say("begins", family, 1)
	if err := store.Create(ctx, member(family, 1)); err != nil {
		return err
	}
	say("rotated", family, 1)
	n := 1
	for ; n < 2+rand.IntN(4); n++ {
		say("rotates", family, n+1)
		if _, err := store.Rotate(ctx, member(family, n).Key, time.UnixMilli(1), sealedOf(n), member(family, n+1)); err != nil {
			return err
		}
		say("rotated", family, n+1)
	}
	if rand.IntN(2) == 0 {
		return nil
	}
	seq, err := sqlite.Revocations(db).Add(ctx, revoke.Entry{Kind: revoke.Session, ID: family, Expires: time.UnixMilli(1_900_000_000_000)})
	if err != nil {
		return err
	}
	say("revoked", family, int(seq))
	say("ends", family, n)
	if rand.IntN(2) == 0 {
		err = store.Delete(ctx, token.Key{}, family)
	} else if _, err = store.Use(ctx, member(family, n).Key); err == nil { // one more kind of write
		err = store.Delete(ctx, token.Key{}, family)
	}
	if err == nil {
		say("ended", family, n)
	}
	return err
}

// A life is what was said of a family.
type life struct {
	asked, acked  int // the last token that was to be made, and that was
	ending, ended bool
	revoked       int // the Seq
}

func noteLife(t *testing.T, lives map[string]*life, line string) {
	t.Helper()
	var what, family string
	var n int
	if _, err := fmt.Sscan(line, &what, &family, &n); err != nil || what == "failed:" {
		t.Fatalf("the other process says %q", line)
	}
	l := lives[family]
	if l == nil {
		l = &life{}
		lives[family] = l
	}
	switch what {
	case "begins", "rotates":
		l.asked = n
	case "rotated":
		l.acked = n
	case "revoked":
		l.revoked = n
	case "ends":
		l.ending = true
	case "ended":
		l.ended = true
	}
}

// TestKillWhileRotating: no token that was acknowledged to be rotated is ever accepted again, no log-in that was ended comes back, and nothing that was revoked is
// forgotten, whenever the process is killed. There are never two tokens of one log-in that could be rotated, and no number of the feed is given twice.
func TestKillWhileRotating(t *testing.T) {
	name := fileName(t)
	lives := map[string]*life{}
	for range 20 {
		p := start(t, "rotate", name)
		p.says(t, "opens - 0")
		// So much has been said, and then a moment: a machine that is busy gets as far as one that is not, and the kill falls into the midst of something.
		var kill *time.Timer
		least := rand.N(150)
		for n, line := 0, p.next(); line != ""; n, line = n+1, p.next() {
			if n == least {
				kill = time.AfterFunc(rand.N(10*time.Millisecond), func() { _ = p.Process.Kill() })
			}
			noteLife(t, lives, line)
		}
		if kill != nil {
			kill.Stop()
		}
		p.kill()
		delete(lives, "-")
		mustHaveLives(t, name, lives)
	}
	revoked, ended := 0, 0
	for _, l := range lives {
		revoked += min(1, l.revoked)
		if l.ended {
			ended++
		}
	}
	if len(lives) < 50 || revoked < 10 || ended < 10 {
		t.Errorf("there were %d log-ins, %d revoked and %d ended, want more: the test shows little", len(lives), revoked, ended)
	}
}

func mustHaveLives(t *testing.T, name string, lives map[string]*life) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), name)
	if err != nil {
		t.Fatalf("Open after a crash = %v, want nil", err)
	}
	defer db.Close()
	sound(t, db)
	list := revoke.New(sqlite.Revocations(db), revoke.Config{})
	if err := list.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for family, l := range lives {
		if l.revoked != 0 && !errors.Is(list.Check(revoke.Claim{Session: family}), revoke.ErrRevoked) {
			t.Errorf("the log-in %s was acknowledged to be revoked, and is not", family)
		}
		mustHaveLife(t, sqlite.Tokens(db), family, l)
	}
	feedIsWhole(t, db, lives)
	var live, ended int
	err = db.ReadOnly().QueryRowContext(t.Context(), `SELECT coalesce(max(n), 0), coalesce(sum(ended), 0) FROM (
		SELECT count(*) AS n, max(f.ended) AS ended FROM gatehouse_tokens t JOIN gatehouse_families f ON f.id = t.family WHERE t.next IS NULL GROUP BY t.family)`).Scan(&live, &ended)
	if err != nil || live > 1 || ended > 0 {
		t.Errorf("a log-in has %d tokens that can be rotated, and %d that have ended have one, %v; want 1 and none", live, ended, err)
	}
}

// mustHaveLife tries everything that must not work any more, and looks for what must.
func mustHaveLife(t *testing.T, store *sqlite.TokenStore, family string, l *life) {
	t.Helper()
	for n := 1; n <= l.asked; n++ {
		got, err := store.Get(t.Context(), member(family, n).Key)
		switch {
		case l.ended && !errors.Is(err, token.ErrNotFound):
			t.Errorf("Get of a token of a log-in that has ended = %v, want an error that wraps ErrNotFound", err)
		case err != nil && !errors.Is(err, token.ErrNotFound):
			t.Fatal(err)
		case err != nil && n <= l.acked && !l.ending:
			t.Errorf("Get of a token that was acknowledged = %v, want nil", err)
		case err == nil && n < l.acked && (got.Used.IsZero() || got.Next != member(family, n+1).Key || !bytes.Equal(got.Sealed, sealedOf(n))):
			t.Errorf("the token %d of %s was acknowledged to be rotated, and is %+v", n, family, got)
		case err == nil && !bytes.Equal(got.Body, member(family, n).Body):
			t.Errorf("the token %d of %s is not as it was written: %+v", n, family, got)
		}
		if n < l.acked || l.ended {
			_, err = store.Rotate(t.Context(), member(family, n).Key, time.UnixMilli(2), nil, member(family, 1000+n))
			if !errors.Is(err, token.ErrSpent) && !errors.Is(err, token.ErrNotFound) {
				t.Errorf("Rotate of a token that was rotated, or whose log-in has ended = %v, want an error that wraps ErrSpent or ErrNotFound", err)
			}
		}
	}
	if l.ended {
		if err := store.Create(t.Context(), member(family, 2000)); !errors.Is(err, token.ErrExists) {
			t.Errorf("Create in a log-in that has ended = %v, want an error that wraps ErrExists", err)
		}
	}
}

// feedIsWhole reports numbers of the feed that are missing or were given to something else than was acknowledged.
func feedIsWhole(t *testing.T, db *sqlite.DB, lives map[string]*life) {
	t.Helper()
	page, err := sqlite.Revocations(db).Since(t.Context(), 0, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range page.Entries {
		if e.Seq != int64(i+1) {
			t.Fatalf("the entry %d of the feed has the number %d, want %d", i, e.Seq, i+1)
		}
		if l := lives[e.ID]; l == nil || l.revoked != 0 && int64(l.revoked) != e.Seq {
			t.Errorf("the entry %d is of the log-in %s, which was said to be %+v", e.Seq, e.ID, l)
		}
	}
	if page.Last != int64(len(page.Entries)) {
		t.Errorf("the feed has %d entries and the last number %d, want the same", len(page.Entries), page.Last)
	}
}
