//go:build unix

package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/sqlite"
	"github.com/gatehouse-auth/gatehouse/token"
)

// largeMember is a member with much in it.
func largeMember(n int) token.Record {
	rec := member("anna's", n)
	rec.Body = bytes.Repeat([]byte{byte(n)}, largeBody)
	return rec
}

// rotateUntilRefused rotates a family of large tokens, from number n on, and returns the number of the token that could not be rotated, and why.
func rotateUntilRefused(ctx context.Context, store *sqlite.TokenStore, n int) (int, error) {
	for ; n < 1000; n++ {
		if _, err := store.Rotate(ctx, member("anna's", n).Key, time.UnixMilli(1), sealedOf(n), largeMember(n+1)); err != nil {
			return n, err
		}
	}
	return n, errors.New("nothing was refused")
}

// addUntilRefused adds entries, three at a time, until that is refused.
func addUntilRefused(ctx context.Context, store *sqlite.RevocationStore) (last int64, err error) {
	for range 1000 {
		entry := revoke.Entry{Kind: revoke.Subject, ID: strings.Repeat("a", 1024), Expires: time.UnixMilli(1_900_000_000_000)}
		seq, err := store.Add(ctx, slices.Repeat([]revoke.Entry{entry}, 60)...)
		if err != nil {
			return last, err
		}
		last = seq
	}
	return last, errors.New("nothing was refused")
}

// notHalf says whether something of the rotation of token n happened although it was refused.
func notHalf(ctx context.Context, store *sqlite.TokenStore, n int) error {
	got, err := store.Get(ctx, member("anna's", n).Key)
	if err != nil || !got.Used.IsZero() || got.Next != (token.Key{}) || len(got.Sealed) > 0 {
		return fmt.Errorf("the token %d that could not be rotated = used %v, %v", n, got.Used, err)
	}
	if _, err := store.Get(ctx, member("anna's", n+1).Key); !errors.Is(err, token.ErrNotFound) {
		return fmt.Errorf("the token %d that could not be made: Get = %v, want ErrNotFound", n+1, err)
	}
	return nil
}

// feedEnds says whether the feed does not end with the number last, or misses entries.
func feedEnds(ctx context.Context, store *sqlite.RevocationStore, last int64) error {
	page, err := store.Since(ctx, 0, 1_000_000)
	if err != nil || page.Last != last || int64(len(page.Entries)) != last {
		return fmt.Errorf("the feed has %d entries and the last number %d, %v, want %d", len(page.Entries), page.Last, err, last)
	}
	return nil
}

// TestFullOfTokens: what there is no room for is refused, with what is there left as it is, and once there is room it goes on.
func TestFullOfTokens(t *testing.T) {
	name := fileName(t)
	db := open(t, name)
	tokens, revocations, keys := sqlite.Tokens(db), sqlite.Revocations(db), sqlite.Keys(db)
	ring := []keyring.Record{{ID: "1", Material: []byte("sealed")}}
	for what, err := range map[string]error{"Create": tokens.Create(t.Context(), member("anna's", 1)), "Save": keys.Save(t.Context(), "ring", 0, ring)} {
		if err != nil {
			t.Fatalf("%s = %v, want nil", what, err)
		}
	}
	if _, err := db.SQL().ExecContext(t.Context(), "PRAGMA max_page_count = 150"); err != nil {
		t.Fatal(err)
	}
	n, err := rotateUntilRefused(t.Context(), tokens, 1)
	mustSay(t, "Rotate in a full database", err, "sqlite: ", "there is no room for", name)
	if err := notHalf(t.Context(), tokens, n); err != nil {
		t.Error(err)
	}
	last, err := addUntilRefused(t.Context(), revocations)
	mustSay(t, "Add in a full database", err, "there is no room for")
	if err := feedEnds(t.Context(), revocations, last); err != nil {
		t.Error(err)
	}
	mustSay(t, "Save in a full database", keys.Save(t.Context(), "ring", 1, []keyring.Record{{ID: "2", Material: make([]byte, 10*largeBody)}}), "there is no room for")
	if got, version, err := keys.Load(t.Context(), "ring"); err != nil || version != 1 || len(got) != 1 || got[0].ID != "1" {
		t.Errorf("Load = %+v, version %d, %v, want what it was", got, version, err)
	}
	mustSay(t, "Create in a full database", tokens.Create(t.Context(), func() token.Record { rec := largeMember(1000); rec.Family = "new"; return rec }()), "there is no room for")
	if err := tokens.Delete(t.Context(), member("anna's", 2).Key, ""); err != nil {
		t.Errorf("Delete in a full database = %v, want nil", err)
	}
	if _, err := tokens.Rotate(t.Context(), member("anna's", n).Key, time.UnixMilli(1), sealedOf(n), largeMember(n+1)); err != nil {
		t.Errorf("Rotate with room again = %v, want nil", err)
	}
	if err := tokens.Delete(t.Context(), token.Key{}, "anna's"); err != nil {
		t.Errorf("Delete of a log-in = %v, want nil", err)
	}
	again := largeMember(1000)
	again.Family = "new"
	if err := tokens.Create(t.Context(), again); err != nil {
		t.Errorf("Create of a log-in that could not be begun before = %v, want nil", err)
	}
	sound(t, db)
}

// exhaustDisk rotates and revokes until the system refuses, and says how far it came; then once more, when it is allowed to.
func exhaustDisk(name string) error {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, name)
	if err != nil {
		return err
	}
	tokens, revocations := sqlite.Tokens(db), sqlite.Revocations(db)
	if err := tokens.Create(ctx, member("anna's", 1)); err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{}
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	small := limit
	small.Cur = 1 << 20
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		return err
	}
	n, why := rotateUntilRefused(ctx, tokens, 1)
	last, whyNot := addUntilRefused(ctx, revocations)
	if err := errors.Join(notHalf(ctx, tokens, n), feedEnds(ctx, revocations, last)); err != nil {
		return err
	}
	fmt.Println("refused", n, last, strings.ReplaceAll(fmt.Sprint(why, whyNot), "\n", " "))
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if _, err := tokens.Rotate(ctx, member("anna's", n).Key, time.UnixMilli(1), sealedOf(n), largeMember(n+1)); err != nil {
		return err
	}
	fmt.Println("stored", n+1)
	select {}
}

// TestSystemRefusesToRotate: a rotation or a revocation that the system refuses to write is an error, and has not happened, before and after a crash.
func TestSystemRefusesToRotate(t *testing.T) {
	name := fileName(t)
	p := start(t, "exhaust", name)
	var n, after int
	var last int64
	line := p.next()
	if _, err := fmt.Sscanf(line, "refused %d %d sqlite: ", &n, &last); err != nil || strings.Count(line, "the disk, or a limit") != 2 {
		t.Fatalf("the other process says %q", line)
	}
	if _, err := fmt.Sscanf(p.next(), "stored %d", &after); err != nil || n < 2 || after != n+1 {
		t.Fatalf("the other process was refused at token %d and then stored %d, %v", n, after, err)
	}
	p.kill()
	db := open(t, name)
	sound(t, db)
	store := sqlite.Tokens(db)
	for i := 1; i <= after; i++ {
		got, err := store.Get(t.Context(), member("anna's", i).Key)
		if err != nil || got.Used.IsZero() != (i == after) || i > 1 && !bytes.Equal(got.Body, largeMember(i).Body) {
			t.Errorf("Get of token %d of %d = used %v, %d bytes, %v, want what was acknowledged", i, after, got.Used, len(got.Body), err)
		}
	}
	if err := feedEnds(t.Context(), sqlite.Revocations(db), last); err != nil {
		t.Error(err)
	}
}
