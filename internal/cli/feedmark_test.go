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

// A depot is a database of SQLite that vaults are opened on, and a backup of it.
type depot struct {
	*testing.T
	file, backup string
	settings     config.Store
}

func newDepot(t *testing.T) *depot {
	dir := t.TempDir()
	file := filepath.Join(dir, "gatehouse.db")
	return &depot{t, file, filepath.Join(dir, "backup.db"), config.Store{URL: storeOf(t, "{url: 'sqlite:"+file+"'}").URL}}
}

// open opens a vault as a server does, or as a command beside one.
func (s *depot) open(server bool) *vault {
	s.Helper()
	want := wanted{alone: server, tokens: true, bound: config.Revocation{Bound: config.Duration(5 * time.Second), Poll: config.Duration(time.Second)}, now: time.Now}
	v, err := openVault(s.Context(), s.settings, want, slog.New(slog.DiscardHandler))
	if err != nil {
		s.Fatal(err)
	}
	return v
}

// revokes revokes tokens, as a server or as a command.
func (s *depot) revokes(server bool, ids ...string) {
	s.Helper()
	v := s.open(server)
	for _, id := range ids {
		if err := v.list.RevokeToken(s.Context(), id, time.Now().Add(time.Hour)); err != nil {
			s.Fatal(err)
		}
	}
	if server {
		v.tend(time.Now)
	} else if err := v.saveMark(s.Context()); err != nil {
		s.Fatal(err)
	}
	if err := v.close(); err != nil {
		s.Fatal(err)
	}
}

// checks asks a server that has just started.
func (s *depot) checks(c revoke.Claim) error {
	s.Helper()
	v := s.open(true)
	defer v.close()
	return v.list.Check(c)
}

// TestARestoredDatabaseReacceptsNothing: what was revoked after the backup was made is in no list any more, so that nothing from before counts, whoever has revoked it, and whatever was revoked before
// the server starts. Where no backup was put back, nothing ends.
func TestARestoredDatabaseReacceptsNothing(t *testing.T) {
	stolen := revoke.Claim{Token: "stolen", Subject: "jack", Issued: time.Now().Add(-time.Second)}
	for name, row := range map[string]struct {
		byServer bool     // who has revoked since
		before   []string // what a command revokes between the restore and the start
	}{
		"a server, then nobody": {true, nil}, "a command, then nobody": {false, nil},
		"a server, then a command": {true, []string{"another"}}, "a command, then a command": {false, []string{"another"}}, "a server, then many": {true, []string{"some", "more", "tokens"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newDepot(t)
			s.revokes(true, "other")
			copyFile(t, s.file, s.backup)
			for range 2 {
				if err := s.checks(stolen); err != nil {
					t.Fatalf("after an ordinary restart a good token is %v, want nil", err)
				}
			}
			s.revokes(row.byServer, "stolen")
			copyFile(t, s.backup, s.file)
			if row.before != nil {
				s.revokes(false, row.before...)
			}
			if err := s.checks(stolen); !errors.Is(err, revoke.ErrRevoked) {
				t.Errorf("after the backup was put back, what was revoked since is %v, want ErrRevoked", err)
			}
			v := s.open(true)
			fresh := revoke.Claim{Token: "fresh", Subject: "jack", Issued: v.list.IssuedAt("jack", time.Now())}
			if err := v.close(); err != nil {
				t.Fatal(err)
			}
			s.revokes(false, "one more")
			for range 2 {
				if err := s.checks(fresh); err != nil {
					t.Errorf("what is issued after the restart is %v, want nil, also after the next restart", err)
				}
			}
		})
	}
}

// TestTheMarkFollowsAFeedThatWasPutBack: a running server that has put back what a restored database lacked does not end everything when it starts again.
func TestTheMarkFollowsAFeedThatWasPutBack(t *testing.T) {
	s := newDepot(t)
	s.revokes(true, "first", "second")
	v := s.open(true)
	defer v.close()
	saved, err := v.mark.load()
	if err != nil || saved.seq != 2 || saved.sum == "" {
		t.Fatalf("the mark is %v, %v, want the second revocation", saved, err)
	}
	for what, row := range map[string]struct{ seen, want mark }{
		"where nothing has changed": {saved, saved}, "where the feed is another one": {mark{2, "0123456789abcdef"}, saved}, "where a command was slow": {mark{1, "0123456789abcdef"}, saved},
		"where the file is damaged": {unknownMark, saved}, "where the feed is shorter now": {mark{9, "0123456789abcdef"}, saved},
	} {
		if err := errors.Join(v.mark.save(row.seen), v.follow()); err != nil {
			t.Fatal(err)
		}
		if got, err := v.mark.load(); err != nil || got != row.want {
			t.Errorf("%s the mark becomes %v, %v, want %v", what, got, err, row.want)
		}
	}
	for what, row := range map[string]struct {
		seen  mark
		lacks bool
	}{
		"what it has": {saved, false}, "another one in this place": {mark{1, "0123456789abcdef"}, true}, "more than it has": {mark{3, saved.sum}, true},
		"what says no more than a number": {mark{seq: 2}, false}, "nothing": {mark{}, false},
	} {
		if lacks, err := v.lacks(t.Context(), row.seen); lacks != row.lacks || err != nil {
			t.Errorf("where %s was seen, the database lacks something: %v, %v, want %v", what, lacks, err, row.lacks)
		}
	}
	backup := s.open(false) // as if it had been made when there was one less
	defer backup.close()
	lost := revoke.Entry{Kind: revoke.Token, ID: "another", Expires: time.Now().Add(time.Hour)}
	if _, err := backup.revocations.Add(t.Context(), lost); err != nil || v.list.Load(t.Context()) != nil {
		t.Fatal(err)
	}
	if lacks, err := v.lacks(t.Context(), mark{3, "0123456789abcdef"}); !lacks || err != nil {
		t.Errorf("where nobody has put back what is lost the database lacks something: %v, %v, want that it does", lacks, err)
	}
	if _, err := backup.revocations.Add(t.Context(), revoke.Entry{Kind: "seam", ID: "x", Expires: time.Now().Add(time.Hour)}); err != nil || v.list.Load(t.Context()) != nil {
		t.Fatal(err)
	}
	for seq, want := range map[int64]bool{3: false, 4: false, 5: true} { // of the mark
		if lacks, err := v.lacks(t.Context(), mark{seq, "0123456789abcdef"}); lacks != want || err != nil {
			t.Errorf("where a server has put back what was seen up to %d the database lacks something: %v, %v, want %v", seq, lacks, err, want)
		}
	}
	if err := v.follow(); err != nil {
		t.Fatal(err)
	}
	if saved, err = v.mark.load(); err != nil || saved.seq != 4 || saved.sum == "" {
		t.Fatalf("the mark is %v, %v, want the last entry", saved, err)
	}
	if _, err := v.revocations.Prune(t.Context(), time.Now().Add(24*time.Hour), 10); err != nil {
		t.Fatal(err)
	}
	err = v.follow()
	if same, err2 := v.mark.load(); err != nil || err2 != nil || same != saved {
		t.Errorf("where the revocation was forgotten the mark becomes %v, %v, %v, want %v: it says more", same, err, err2, saved)
	}
	if lacks, err := v.lacks(t.Context(), saved); lacks || err != nil {
		t.Errorf("where the revocation was forgotten the database lacks it: %v, %v, want that this tells nothing", lacks, err)
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
	if seen, err := m.load(); seen != (mark{}) || err != nil {
		t.Errorf("load of no file = %v, %v, want none", seen, err)
	}
	for _, want := range []mark{{1, ""}, {42, "0123456789abcdef"}, {math.MaxInt64 - 1, "x"}} {
		if err := m.save(want); err != nil {
			t.Fatal(err)
		}
		if seen, err := m.load(); seen != want || err != nil {
			t.Errorf("load after save(%v) = %v, %v", want, seen, err)
		}
		if info, err := os.Stat(m.file); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("the mark is %v, %v, want one that a server can read which another user runs", info.Mode(), err)
		}
	}
	for _, damaged := range []string{"", "x", "-1", "9223372036854775808", "x 1"} {
		if err := os.WriteFile(m.file, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if seen, err := m.load(); seen != unknownMark || err != nil {
			t.Errorf("load of %q = %v, %v, want the highest number: what was seen is not known", damaged, seen, err)
		}
	}
	m.file = filepath.Join(m.file, "below a file")
	if err := m.save(mark{seq: 1}); err == nil {
		t.Error("save where there is no folder = nil, want an error")
	}
}
