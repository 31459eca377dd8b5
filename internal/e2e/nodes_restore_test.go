package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/gatehouse-auth/gatehouse/store/sqlite"
)

// saves makes a backup of the ground, by the means of its database, and returns how it is put back while servers run.
func (g *ground) saves(t *testing.T) (file string, restore func(t *testing.T)) {
	t.Helper()
	file = filepath.Join(shortDir(t), "backup")
	if g.postgres == nil {
		if err := g.inSQLite(t, fmt.Sprintf("VACUUM INTO '%s'", file)); err != nil {
			t.Fatal(err)
		}
		return file, func(t *testing.T) { g.copiesBack(t, file) }
	}
	tool := func(t *testing.T, name string, args ...string) {
		t.Helper()
		if out := run(t, filepath.Dir(file), nil, "", g.postgres.Tool(name), args...); out.code != 0 {
			t.Fatalf("%s: code %d\n%s%s", name, out.code, out.stdout, out.stderr)
		}
	}
	tool(t, "pg_dump", "--clean", "--if-exists", "--file", file, g.url)
	return file, func(t *testing.T) {
		tool(t, "psql", "--quiet", "--no-psqlrc", "--single-transaction", "--set", "ON_ERROR_STOP=1", "--file", file, g.url)
	}
}

// inSQLite runs statements on a connection of its own.
func (g *ground) inSQLite(t *testing.T, statements ...string) error {
	t.Helper()
	db, err := sqlite.Open(t.Context(), g.file)
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.SQL().Conn(t.Context())
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, s := range statements {
		if _, err := conn.ExecContext(t.Context(), s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// copiesBack puts the rows of a backup of SQLite into the file that a server has open, in one step.
func (g *ground) copiesBack(t *testing.T, file string) {
	t.Helper()
	statements := []string{fmt.Sprintf("ATTACH '%s' AS saved", file), "PRAGMA foreign_keys = OFF", "BEGIN IMMEDIATE"}
	for _, table := range []string{"rings", "keys", "families", "tokens", "feed", "revocations"} {
		statements = append(statements, "DELETE FROM main.gatehouse_"+table, "INSERT INTO main.gatehouse_"+table+" SELECT * FROM saved.gatehouse_"+table)
	}
	if err := g.inSQLite(t, append(statements, "COMMIT")...); err != nil {
		t.Fatal(err)
	}
}

// A backup is one that was made before things were ended.
type backup struct {
	file    string
	restore func(*testing.T)
	ended   map[string]string // what was revoked, some of it since: access tokens
	used    string            // a refresh token that was used since, and its successor as well
	kept    string            // a token that is good
}

// endsSince revokes something, makes a backup, and ends more, of each kind.
func (f *fleet) endsSince(t *testing.T) (b backup) {
	t.Helper()
	whole := t                          // the backup outlives the subtest
	t.Run("ended", func(t *testing.T) { // which closes the store: this program must not be the one that knows better later
		w := f.beside(t)
		before, single, subject, logIn, visitor := w.mint(t, "before"), w.mint(t, "single"), w.mint(t, "subject"), w.logIn(t, "log-in"), w.logIn(t, "visitor")
		b.kept, b.used = w.mint(t, "kept").Text.Reveal(), visitor.Refresh
		f.mustRevoke(t, 0, before.Text.Reveal())
		b.file, b.restore = f.saves(whole)
		f.mustRevoke(t, 0, single.Text.Reveal())
		f.mustRevoke(t, 0, logIn.Refresh)
		f.mustRun(t, "token", "revoke", "--subject", "subject")
		for text := visitor.Refresh; text != ""; {
			got, status, err := f.renews(f.nodes[0], text)
			if err != nil || status != http.StatusOK {
				t.Fatalf("renewing a log-in = %d (%v), want 200", status, err)
			}
			if text == visitor.Refresh {
				text = got.Refresh
			} else {
				text = ""
			}
		}
		b.ended = map[string]string{"what was revoked before the backup": before.Text.Reveal(), "a token": single.Text.Reveal(), "a log-in": logIn.Access,
			"a subject": subject.Text.Reveal()}
	})
	if b.ended == nil {
		t.FailNow()
	}
	for i := range f.nodes {
		for _, text := range b.ended {
			f.becomes(t, i, text, http.StatusUnauthorized)
		}
		f.wants(t, i, b.kept, http.StatusOK)
	}
	return b
}

// refusesAll fails if a node accepts something that was revoked.
func (f *fleet) refusesAll(t *testing.T, i int, ended map[string]string) {
	t.Helper()
	for what, text := range ended {
		if got, err := f.asks(f.nodes[i], "/ping", text); err != nil || got != http.StatusUnauthorized {
			t.Errorf("node %d: %s gets %d (%v), want 401", i, what, got, err)
		}
	}
}

// TestABackupIsPutBackUnderAServer: the store forgets what was revoked since the backup was made, and the server that knows it puts it back. Nothing is accepted again meanwhile, nor by a server
// that starts later and has only the store to learn from; and what is good stays good.
func TestABackupIsPutBackUnderAServer(t *testing.T) {
	needFleet(t)
	t.Parallel()
	for name, row := range map[string]struct {
		on    func(*testing.T) *ground
		nodes int
	}{"PostgreSQL": {onPostgres, 2}, "SQLite": {onSQLite, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := beginFleet(t, row.on(t), row.nodes)
			b := f.endsSince(t)
			last := row.nodes - 1
			if last > 0 {
				f.kill(t, last) // as if it had been away: it does not help
			}
			b.restore(t)
			until(t, "the server puts back what it knows", func() bool {
				f.refusesAll(t, 0, b.ended)
				return t.Failed() || f.nodes[0].said(0, "revocations that the store had lost were put back")
			})
			f.refusesAll(t, 0, b.ended)
			if last == 0 {
				f.kill(t, 0)
			}
			f.restart(t, last)
			f.refusesAll(t, last, b.ended)
			f.wants(t, last, b.kept, http.StatusOK)
		})
	}
}

// TestABackupIsPutBackWhileNobodyRuns: nobody knows what was ended since the backup was made. SQLite's server finds that the database is older than the file beside it says, and revokes everything
// that was issued before; with PostgreSQL that is for the operator to do, with token revoke --all. Then nothing of before is good for anything, and whoever signs in again gets in.
func TestABackupIsPutBackWhileNobodyRuns(t *testing.T) {
	needFleet(t)
	t.Parallel()
	for name, on := range map[string]func(*testing.T) *ground{"PostgreSQL": onPostgres, "SQLite": onSQLite} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := beginFleet(t, on(t), 1)
			b := f.endsSince(t)
			f.nodes[0].signal(t, syscall.SIGTERM) // people do not restore in the second after a crash, for which that file may be behind
			f.nodes[0].wait(t)
			if f.postgres == nil {
				f.replacesFile(t, b.file)
				f.restart(t, 0)
			} else {
				b.restore(t)
				f.restart(t, 0)
				f.wants(t, 0, b.ended["a token"], http.StatusOK) // nobody knows better: without this, the rest would show nothing
				f.mustRun(t, "token", "revoke", "--all")
			}
			b.ended["what was good"] = b.kept
			for _, text := range b.ended {
				f.becomes(t, 0, text, http.StatusUnauthorized)
			}
			if _, status, err := f.renews(f.nodes[0], b.used); err != nil || status != http.StatusBadRequest {
				t.Errorf("a refresh token of before = %d (%v), want 400", status, err)
			}
			text, status, err := f.issues(f.nodes[0])
			if err != nil || status != http.StatusOK {
				t.Fatalf("issuing a token = %d (%v), want 200", status, err)
			}
			f.wants(t, 0, text, http.StatusOK)
		})
	}
}

// replacesFile puts a backup in the place of a file of SQLite that nobody has open.
func (g *ground) replacesFile(t *testing.T, backup string) {
	t.Helper()
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(g.file + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(backup)
	if err == nil {
		err = os.WriteFile(g.file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
