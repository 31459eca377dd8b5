package testbed

import (
	"context"
	"database/sql"
	"net"
	"net/url"
	"testing"
	"time"
)

// TestPostgresStopsAndHangs: what was committed is there afterwards, and nobody answers meanwhile.
func TestPostgresStopsAndHangs(t *testing.T) {
	s := StartPostgres(t)
	db, err := sql.Open("pgx", s.NewDatabase())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	count := func(patience time.Duration) (n int, err error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		err = db.QueryRowContext(ctx, "SELECT count(*) FROM kept").Scan(&n)
		return n, err
	}
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE kept AS SELECT 1 AS a"); err != nil {
		t.Fatal(err)
	}
	for name, act := range map[string]struct{ away, back func() }{"Stop": {s.Stop, s.Start}, "Pause": {s.Pause, s.Resume}} {
		act.away()
		if n, err := count(500 * time.Millisecond); err == nil {
			t.Errorf("after %s it answers %d, want nothing", name, n)
		}
		act.back()
		if n, err := count(calm); err != nil || n != 1 {
			t.Errorf("after %s and its end it answers %d, %v, want 1", name, n, err)
		}
	}
	s.Resume() // without a pause
	s.Pause()
	s.Stop() // ends a pause as well
	s.Stop()
}

// TestRedisHangs: a server that was paused takes connections and says nothing.
func TestRedisHangs(t *testing.T) {
	s := StartRedis(t)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	ping := func(patience time.Duration) (string, error) {
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		answer := make([]byte, 7)
		_, err = conn.Write([]byte("PING\r\n"))
		if err == nil {
			_, err = conn.Read(answer)
		}
		return string(answer), err
	}
	s.Pause()
	if answer, err := ping(300 * time.Millisecond); err == nil {
		t.Errorf("a paused server answers %q, want nothing", answer)
	}
	s.Resume()
	if answer, err := ping(calm); err != nil || answer != "+PONG\r\n" {
		t.Errorf("after Resume it answers %q, %v, want +PONG", answer, err)
	}
}
