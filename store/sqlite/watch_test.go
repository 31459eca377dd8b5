package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/session"
)

// TestLook: only what is new in the feed is news, whoever writes what else to the file, and nothing of it twice.
func TestLook(t *testing.T) {
	db, err := Open(t.Context(), filepath.Join(t.TempDir(), "gatehouse.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.watch.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	add := func() error {
		_, err := Revocations(db).Add(t.Context(), revoke.Entry{Kind: revoke.Token, ID: "1", Expires: time.UnixMilli(1)})
		return err
	}
	start := func() error { return Sessions(db).Create(t.Context(), session.Record{ID: "1"}, session.Key{}) }
	prune := func() error { _, err := Revocations(db).Prune(t.Context(), time.UnixMilli(2), 10); return err }
	nothing := func() error { return nil }
	w := watcher{conn: conn}
	for i, step := range []struct {
		what string
		call func() error
		want bool
	}{
		{"nothing", nothing, false},
		{"a revocation", add, true},
		{"nothing", nothing, false},
		{"a session", start, false},
		{"an end", prune, false},
		{"a revocation", add, true},
		{"nothing", nothing, false},
	} {
		if err := step.call(); err != nil {
			t.Fatal(err)
		}
		version := w.version
		if news, err := w.look(t.Context()); news != step.want || err != nil {
			t.Errorf("%d: look after %s = %v, %v, want %v, nil", i, step.what, news, err, step.want)
		}
		if changed := w.version != version; changed != (step.what != "nothing") && i > 0 {
			t.Errorf("%d: after %s the version has changed: %v", i, step.what, changed)
		}
	}
}
