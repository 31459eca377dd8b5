package cli

import (
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/config"
	"github.com/gatehouse-auth/gatehouse/revoke"
)

// TestARestoredDatabaseReacceptsNothing: what was revoked after the backup was made is in no list any more, so that nothing from before counts.
func TestARestoredDatabaseReacceptsNothing(t *testing.T) {
	dir := t.TempDir()
	file, backup := filepath.Join(dir, "gatehouse.db"), filepath.Join(dir, "backup.db")
	settings := config.Store{URL: storeOf(t, "{url: 'sqlite:"+file+"'}").URL}
	want := wanted{alone: true, tokens: true, bound: config.Revocation{Bound: config.Duration(5 * time.Second), Poll: config.Duration(time.Second)}, now: time.Now}
	open := func() *vault {
		t.Helper()
		v, err := openVault(t.Context(), settings, want, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	issued := time.Now().Add(-time.Second)
	stolen := revoke.Claim{Token: "stolen", Subject: "jack", Issued: issued}
	shut := func(v *vault) {
		t.Helper()
		v.tend(time.Now)
		if err := v.close(); err != nil {
			t.Fatal(err)
		}
	}

	v := open()
	if err := v.list.RevokeToken(t.Context(), "other", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	shut(v)
	copyFile(t, file, backup)

	v = open()
	if err := v.list.Check(stolen); err != nil {
		t.Fatalf("after an ordinary restart a good token is %v, want nil", err)
	}
	if err := v.list.RevokeToken(t.Context(), "stolen", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	shut(v)

	copyFile(t, backup, file)
	v = open()
	if err := v.list.Check(stolen); !errors.Is(err, revoke.ErrRevoked) {
		t.Errorf("after the backup was put back, what was revoked since is %v, want ErrRevoked", err)
	}
	fresh := revoke.Claim{Token: "fresh", Subject: "jack", Issued: v.list.IssuedAt("jack", time.Now())}
	if err := v.list.Check(fresh); err != nil {
		t.Errorf("what is issued after the restart is %v, want nil", err)
	}
	shut(v)

	v = open()
	defer v.close()
	if err := v.list.Check(fresh); err != nil {
		t.Errorf("the next restart ends everything again: %v, want nil", err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestFeedMark(t *testing.T) {
	m := feedMark{filepath.Join(t.TempDir(), "x.seen")}
	if seq, err := m.load(); seq != 0 || err != nil {
		t.Errorf("load of no file = %d, %v, want 0", seq, err)
	}
	for _, want := range []int64{1, 42, math.MaxInt64 - 1} {
		if err := m.save(want); err != nil {
			t.Fatal(err)
		}
		if seq, err := m.load(); seq != want || err != nil {
			t.Errorf("load after save(%d) = %d, %v", want, seq, err)
		}
	}
	for _, damaged := range []string{"", "x", "-1", "9223372036854775808"} {
		if err := os.WriteFile(m.file, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if seq, err := m.load(); seq != math.MaxInt64 || err != nil {
			t.Errorf("load of %q = %d, %v, want the highest number: what was seen is not known", damaged, seq, err)
		}
	}
	m.file = filepath.Join(m.file, "below a file")
	if err := m.save(1); err == nil {
		t.Error("save where there is no folder = nil, want an error")
	}
}
