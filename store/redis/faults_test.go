package redis_test

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/redis"
	"github.com/gatehouse-auth/gatehouse/token"
)

func TestServerComesLater(t *testing.T) {
	s := newServer(t, "redis-server")
	db := open(t, s.options())
	if got := db.String(); !strings.HasSuffix(got, "connect: connection refused") || !strings.Contains(got, ": not reachable yet: ") {
		t.Errorf("String = %q, want that the server is not reachable yet, and why", got)
	}
	allFail(t, db, record("anna", time.Hour), "not reachable yet: dial tcp")
	says(t, db, "not reachable yet")

	s.start()
	works(t, db)
	says(t, db, ": connected (redis ")
}

func TestServerGoesAndComesBack(t *testing.T) {
	s := startServer(t)
	db := open(t, s.options())
	rec := stored(t, db, "anna")
	s.stop()
	begun := time.Now()
	s.await("a server that was killed still answers", func() bool { return db.Ping(t.Context()) != nil })
	allFail(t, db, rec, "not reachable: ")
	says(t, db, ": not reachable: ")
	if waited := time.Since(begun); waited > redis.DefaultTimeout*2 {
		t.Errorf("%d calls took %v: a server that is known to be away is not waited for", len(calls(db, rec)), waited)
	}

	s.start()
	works(t, db) // with no scripts loaded, and no data
	says(t, db, ": connected (redis ")
	if _, err := redis.Sessions(db).Get(t.Context(), rec.Key); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Get of a record that the server has lost = %v, want ErrNotFound", err)
	}
}

// TestServerIsKilled: with an append-only file that is written before each answer, what was acknowledged is there after a crash, and only that.
func TestServerIsKilled(t *testing.T) {
	s := startServer(t, "--appendonly", "yes", "--appendfsync", "always")
	db := open(t, s.options())
	sessions := redis.Sessions(db)
	stays, touched, ended, replaced, next := stored(t, db, "anna"), stored(t, db, "anna"), stored(t, db, "anna"), stored(t, db, "anna"), record("bert", time.Hour)
	touched.Seen, touched.Deadline = touched.Seen.Add(time.Minute), touched.Deadline.Add(time.Hour)
	if err := errors.Join(sessions.Delete(t.Context(), ended.Key), sessions.Create(t.Context(), next, replaced.Key),
		sessions.Touch(t.Context(), touched.Key, touched.Seen, touched.Deadline)); err != nil {
		t.Fatal(err)
	}
	s.stop()
	s.start()
	s.await("the server does not load its file", func() bool { return db.Ping(t.Context()) == nil })
	for _, rec := range []session.Record{stays, touched, next} {
		if got, err := sessions.Get(t.Context(), rec.Key); err != nil || got.ID != rec.ID || !got.Deadline.Equal(rec.Deadline) {
			t.Errorf("Get after a crash = %v, %v, want %v", got, err, rec)
		}
	}
	for _, rec := range []session.Record{ended, replaced} {
		if _, err := sessions.Get(t.Context(), rec.Key); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("Get of what was ended before a crash = %v, want ErrNotFound", err)
		}
	}
	if n, err := sessions.DeleteAll(t.Context(), "anna", session.Key{}); n != 2 || err != nil {
		t.Errorf("DeleteAll after a crash = %d, %v, want 2, nil", n, err)
	}
}

func TestConnectionsAreKilled(t *testing.T) {
	s := startServer(t)
	db := open(t, s.options())
	for range 5 {
		works(t, db)
		s.do("CLIENT", "KILL", "TYPE", "normal")
		s.await("the store does not connect again", func() bool { return worksNot(t, db) == nil })
	}
}

func TestScriptsAreFlushed(t *testing.T) {
	s := startServer(t)
	db := open(t, s.options())
	works(t, db)
	s.do("SCRIPT", "FLUSH")
	works(t, db)
}

func TestFlushAll(t *testing.T) {
	s := startServer(t)
	db := open(t, s.options())
	sessions, rec := redis.Sessions(db), stored(t, db, "anna")
	if err := sessions.Delete(t.Context(), stored(t, db, "anna").Key); err != nil {
		t.Fatal(err)
	}
	s.do("FLUSHALL")
	if got, err := sessions.Get(t.Context(), rec.Key); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Get after FLUSHALL = %v, %v, want ErrNotFound", got, err)
	}
	if err := sessions.Touch(t.Context(), rec.Key, rec.Seen.Add(time.Minute), rec.Deadline); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Touch after FLUSHALL = %v, want ErrNotFound", err)
	}
	if list, err := sessions.List(t.Context(), "anna"); len(list) != 0 || err != nil {
		t.Errorf("List after FLUSHALL = %v, %v, want none, nil", list, err)
	}
	works(t, db)
}

// TestRefused: what a person must change makes Open fail, with a sentence.
func TestRefused(t *testing.T) {
	s := startServer(t, "--requirepass", "hunter2", "--databases", "4")
	s.secret = "hunter2"
	all := "on >hunter2 ~* &* +@all "
	for user, rules := range map[string]string{
		"off": "off >hunter2 ~* +@all", "elsewhere": "on >hunter2 ~other:* +@all", "noscripts": all + "-eval -evalsha",
		"reader": all + "-@write", "nohash": all + "-hset", "nodelete": all + "-del", "notime": all + "-time", "noselect": all + "-select",
	} {
		s.do(append([]string{"ACL", "SETUSER", user}, strings.Fields(rules)...)...)
	}
	for _, test := range []struct {
		name, user, password string
		db                   int
		words                string
	}{
		{"no password", "", "", 0, "wants a password, but none is configured"},
		{"wrong password", "", "hunter3", 0, "refuses the user or the password"},
		{"almost the password", "", "hunter2 ", 0, "refuses the user or the password"},
		{"unknown user", "nobody", "hunter2", 0, "refuses the user or the password"},
		{"user without a password", "default", "", 0, "refuses the user or the password"},
		{"user that is off", "off", "hunter2", 0, "refuses the user or the password"},
		{"other keys", "elsewhere", "hunter2", 0, "lacks a permission"},
		{"no scripts", "noscripts", "hunter2", 0, "lacks a permission"},
		{"no writing", "reader", "hunter2", 0, "lacks a permission"},
		{"no HSET", "nohash", "hunter2", 0, "lacks a permission"},
		{"no DEL", "nodelete", "hunter2", 0, "lacks a permission"},
		{"no TIME", "notime", "hunter2", 0, "lacks a permission"},
		{"no SELECT", "noselect", "hunter2", 1, "lacks a permission"},
		{"no such database", "", "hunter2", 4, "has no database of this number"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := redis.Options{Port: s.port, User: test.user, Password: gatehouse.NewSecret(test.password), DB: test.db}
			refuses(t, o, test.words)
		})
	}
	o := s.options()
	o.DB = 3
	works(t, open(t, o))
}

// TestNoPasswordThere: a password that nobody asks for protects nothing, but Redis does not refuse it for its default user.
func TestNoPasswordThere(t *testing.T) {
	s := startServer(t)
	o := s.options()
	o.Password = gatehouse.NewSecret("hunter2")
	works(t, open(t, o))
	o.User = "anna"
	refuses(t, o, "refuses the user or the password")
}

func TestRefusedLater(t *testing.T) {
	s := newServer(t, "redis-server", "--requirepass", "hunter2")
	o := s.options()
	o.Password = gatehouse.NewSecret("hunter3")
	db := open(t, o) // it cannot know yet
	s.start()
	allFail(t, db, record("anna", time.Hour), "refuses the user or the password")
	says(t, db, "refuses the user or the password")
}

func TestPasswordChanges(t *testing.T) {
	s := startServer(t, "--requirepass", "hunter2")
	s.secret = "hunter2"
	db := open(t, s.options())
	rec := stored(t, db, "anna")

	s.do("CONFIG", "SET", "requirepass", "hunter3")
	s.secret = "hunter3" // Redis asks for it when a connection begins
	s.do("CLIENT", "KILL", "TYPE", "normal")
	s.await("the store works with the old password", func() bool {
		err := db.Ping(t.Context())
		return err != nil && strings.Contains(err.Error(), "refuses")
	})
	allFail(t, db, rec, "refuses the user or the password")
	says(t, db, "refuses the user or the password")

	s.do("CONFIG", "SET", "requirepass", "hunter2")
	works(t, db)
	says(t, db, ": connected (redis ")
}

// TestReplica: a replica answers what it is asked, but it may not have heard of a log-out.
func TestReplica(t *testing.T) {
	primary := startServer(t, "--repl-diskless-sync-delay", "0")
	_, port, _ := strings.Cut(primary.address(), ":")
	replica := startServer(t, "--replicaof", "127.0.0.1 "+port)
	db := open(t, primary.options())
	rec := stored(t, db, "anna")
	replica.await("the replica does not follow", func() bool { return replica.do("DBSIZE") == ":3" })

	behind := open(t, replica.options())
	says(t, behind, `not ready: "READONLY`)
	allFail(t, behind, rec, "READONLY")
	replica.do("REPLICAOF", "NO", "ONE")
	says(t, behind, ": connected (redis ")
	works(t, behind)

	primary.do("REPLICAOF", "127.0.0.1", "1") // replaced, and cut off
	allFail(t, db, rec, "READONLY")
	says(t, db, `not ready: "READONLY`)
	primary.do("CONFIG", "SET", "replica-serve-stale-data", "no")
	allFail(t, db, rec, "MASTERDOWN")
	primary.do("REPLICAOF", "NO", "ONE")
	works(t, db)
}

func TestReplicasAreLost(t *testing.T) {
	s := startServer(t)
	db := open(t, s.options())
	rec := stored(t, db, "anna")
	s.do("CONFIG", "SET", "min-replicas-to-write", "1")
	allFail(t, db, rec, "NOREPLICAS")
	says(t, db, `not ready: "NOREPLICAS`)
	s.do("CONFIG", "SET", "min-replicas-to-write", "0")
	works(t, db)
}

// TestServerIsFull: nobody can sign in, everybody else stays, and log-out works.
func TestServerIsFull(t *testing.T) {
	s := startServer(t)
	db := open(t, s.options())
	rec := stored(t, db, "anna")
	s.do("CONFIG", "SET", "maxmemory", "1")
	says(t, db, `not ready: "OOM`)
	testWritesFail(t, db, rec, "OOM", false)
	s.do("CONFIG", "SET", "maxmemory", "0")
	works(t, db)
}

// TestDiskIsFull: a server that cannot save refuses to write, but knows all that it ever knew.
func TestDiskIsFull(t *testing.T) {
	s := startServer(t, "--save", "3600 1000000")
	db := open(t, s.options())
	rec := stored(t, db, "anna")
	if err := os.Mkdir(filepath.Join(s.dir, "dump.rdb"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.do("BGSAVE")
	s.await("saving does not fail", func() bool {
		answer, _ := s.try("SET", "x", "y")
		return strings.HasPrefix(answer, "-MISCONF")
	})
	says(t, db, `not ready: "MISCONF`)
	testWritesFail(t, db, rec, "MISCONF", true)
	s.do("CLIENT", "KILL", "TYPE", "normal") // a server in this state does not even answer a PING
	s.await("the store does not connect again", func() bool { _, err := redis.Sessions(db).Get(t.Context(), rec.Key); return err == nil })
}

// testWritesFail: what needs room fails, what does not works, unless removing fails as well.
func testWritesFail(t *testing.T, db *redis.DB, rec session.Record, words string, removing bool) {
	t.Helper()
	for _, c := range calls(db, rec) {
		err := c.do(t.Context())
		switch {
		case c.writes, removing && (strings.HasPrefix(c.name, "Delete") || strings.HasPrefix(c.name, "Prune")):
			fails(t, c.name, err, words)
		case strings.HasPrefix(c.name, "Get of none") && (errors.Is(err, session.ErrNotFound) || errors.Is(err, token.ErrNotFound)):
		case err != nil:
			t.Errorf("%s = %v, want nil", c.name, err)
		}
	}
}

// TestServerIsNotReady: what passes by itself makes Open not fail, and no call succeed.
func TestServerIsNotReady(t *testing.T) {
	for _, said := range []string{
		"LOADING Redis is loading the dataset in memory",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
		"READONLY You can't write against a read only replica.",
		"OOM command not allowed when used memory > 'maxmemory'.",
		"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
		"NOREPLICAS Not enough good replicas to write.",
		"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
		"TRYAGAIN Multiple keys request during rehashing of slot",
		"ERR max number of clients reached",
		"ERR something that nobody has heard of",
	} {
		t.Run(strings.Fields(said)[0], func(t *testing.T) {
			mini := miniredis.RunT(t)
			mini.SetError(said)
			db := open(t, options(t, "redis://"+mini.Addr()))
			words := strings.TrimPrefix(said, "ERR ") // the client library takes it off
			allFail(t, db, record("anna", time.Hour), words)
			says(t, db, "not ready: \""+words)
			mini.SetError("")
			works(t, db)
			says(t, db, ": connected")
		})
	}
}

// TestServerHangsUp: two things a server says to whoever connects, before it hangs up.
func TestServerHangsUp(t *testing.T) {
	says := func(words string) redis.Options {
		return fake(t, "", func(c net.Conn, _ string) { io.WriteString(c, words) })
	}
	refuses(t, says("-DENIED Redis is running in protected mode because protected mode is enabled\r\n"), "protected mode")
	s := startServer(t)
	db := open(t, s.options())
	works(t, db)
	s.do("CONFIG", "SET", "maxclients", "1")
	late := open(t, s.options())
	if got := late.String(); !strings.Contains(got, `not ready: "max number of clients reached"`) && !strings.Contains(got, "closed the connection") {
		t.Errorf("String = %q, want that the server has too many clients", got)
	}
	db.Close()
	s.await("there is no room for another client", func() bool {
		answer, _ := s.try("CONFIG", "SET", "maxclients", "1000")
		return answer == "+OK"
	})
	works(t, late)
}

// TestServerIsWrong: what no waiting changes makes Open fail.
func TestServerIsWrong(t *testing.T) {
	for said, words := range map[string]string{
		"MOVED 3999 127.0.0.1:6381":                                                        "is a node of a cluster",
		"CLUSTERDOWN Hash slot not served":                                                 "is a node of a cluster",
		"DENIED Redis is running in protected mode because":                                "protected mode",
		"NOAUTH Authentication required.":                                                  "wants a password",
		"WRONGPASS invalid username-password pair":                                         "refuses the user or the password",
		"NOPERM User anna has no permissions to run the command":                           "lacks a permission",
		"ERR invalid password":                                                             "refuses the password",
		"ERR AUTH <password> called without any password configured for the default user.": "has no password",
		"ERR unknown command 'EVALSHA'":                                                    "lacks a command",
		"ERR SELECT is not allowed in cluster mode":                                        "has no database but 0",
		"ERR DB index is out of range":                                                     "has no database of this number",
	} {
		t.Run(words, func(t *testing.T) {
			mini := miniredis.RunT(t)
			mini.SetError(said)
			refuses(t, options(t, "redis://"+mini.Addr()), words)
		})
	}
}
