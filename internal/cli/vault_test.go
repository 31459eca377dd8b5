package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/internal/config"
	"github.com/gatehouse-auth/gatehouse/internal/logs"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// storeOf reads the section store from YAML.
func storeOf(t *testing.T, text string) config.Store {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte("carriers: [session]\nstore: "+text), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c.Store
}

func TestSameStore(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"{}", "{}", true},
		{"{}", "{url: 'sqlite:gatehouse-data/gatehouse.db'}", true},
		{"{redis: 'redis://h'}", "{redis: 'redis://h'}", true},
		{"{redis: {host: h, password: p}}", "{redis: {host: h, password: p, port: 6379}}", true},
		{"{}", "{url: 'sqlite:other.db'}", false},
		{"{url: 'postgres://a:p@h/d'}", "{url: 'postgres://a:q@h/d'}", false},
		{"{}", "{redis: 'redis://h'}", false},
		{"{redis: 'redis://h/0'}", "{redis: 'redis://h/1'}", false},
		{"{redis: {host: h, password: p}}", "{redis: {host: h, password: q}}", false},
		{"{redis: {host: h}}", "{redis: {host: i}}", false},
		{"{redis: {host: h}}", "{redis: {host: h, port: 1}}", false},
		{"{redis: {host: h}}", "{redis: {host: h, db: 1}}", false},
		{"{redis: {host: h}}", "{redis: {host: h, tls: true}}", false},
	} {
		if got := sameStore(storeOf(t, tt.a), storeOf(t, tt.b)); got != tt.want {
			t.Errorf("sameStore(%s, %s) = %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestPostgresNameHidesWhatMayBeAPassword(t *testing.T) {
	for address, want := range map[string]string{
		"postgres://app:plugh@db.internal:5433/films?sslmode=require": "postgres db.internal:5433 database films",
		"postgres://app@db.internal":                                  "postgres db.internal database app",
		"postgres:///films?host=/run/postgresql&password=plugh":       "postgres on this machine database films",
		"postgres://":            "postgres on this machine database (default)",
		"postgres://%zz:plugh@h": "postgres",
	} {
		if got := postgresName(address); got != want || strings.Contains(got, "plugh") {
			t.Errorf("postgresName(%q) = %q, want %q", address, got, want)
		}
	}
}

func TestRedisOptions(t *testing.T) {
	for text, want := range map[string]string{
		"{redis: {host: '::1', port: 7000, db: 3, password: plugh}}": "redis [::1]:7000 db 3",
		"{redis: {host: redis.internal, tls: true}}":                 "redis redis.internal:6379 db 0 (TLS)",
		"{redis: 'rediss://:plugh@redis.internal/2'}":                "redis redis.internal:6379 db 2 (TLS)",
		"{redis: 'redis://redis.internal'}":                          "redis redis.internal:6379 db 0 (not encrypted)",
	} {
		options, err := redisOptions(storeOf(t, text).Redis)
		if got := options.String(); err != nil || got != want {
			t.Errorf("redisOptions(%s) = %s, %v, want %s", text, got, err, want)
		}
		if strings.Contains(text, "plugh") != (options.Password.Reveal() == "plugh") {
			t.Errorf("redisOptions(%s) has the password %q", text, options.Password.Reveal())
		}
	}
	for _, text := range []string{"{redis: 'redis://h/x'}", "{redis: 'redis://h?db=1'}", "{redis: 'redis://plugh'}"} {
		if _, err := redisOptions(storeOf(t, text).Redis); err != nil && strings.Contains(err.Error(), "plugh") {
			t.Errorf("redisOptions(%s) = %v: it repeats what may be a password", text, err)
		}
	}
}

func TestNotGone(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "x.db")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(names ...string) {
		for _, name := range names {
			os.Remove(filepath.Join(dir, name))
		}
	}
	for _, tt := range []struct {
		name  string
		files []string // with text in them
		empty []string
		gone  bool
	}{
		{"a new folder", nil, nil, false},
		{"a start that was cut short", nil, []string{"x.db.lock"}, false},
		{"an empty file that somebody has made", nil, []string{"x.db"}, false},
		{"in use", []string{"x.db", "x.db.lock"}, nil, false},
		{"in use, by programs only", []string{"x.db", "x.db-wal"}, nil, false},
		{"another database's lock", []string{"y.db.lock", "y.db-wal"}, nil, false},
		{"the file is gone", []string{"x.db.lock"}, nil, true},
		{"the file is empty", []string{"x.db.lock"}, []string{"x.db"}, true},
		{"the file is gone, its log is not", []string{"x.db-wal"}, nil, true},
	} {
		for _, name := range tt.files {
			write(name, "x")
		}
		for _, name := range tt.empty {
			write(name, "")
		}
		if err := notGone(file); (err != nil) != tt.gone {
			t.Errorf("%s: notGone = %v, want an error: %v", tt.name, err, tt.gone)
		}
		remove(append(tt.files, tt.empty...)...)
	}
}

func TestEnterFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	file := filepath.Join(dir, "x.db")
	lock, err := enterFolder(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{dir, filepath.Dir(dir)} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v (%v), want 0700", name, info.Mode(), err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, filepath.Join(link, "x.db"), filepath.Join(dir, "..", "b", "x.db")} {
		if _, err := enterFolder(name); err == nil || !strings.Contains(err.Error(), "another gatehouse serves with "+name) {
			t.Errorf("enterFolder(%s) while it is in use = %v, want that another serves with it", name, err)
		}
	}
	if other, err := enterFolder(filepath.Join(dir, "y.db")); err != nil {
		t.Errorf("another database in the folder: %v, want nil", err)
	} else {
		other.Close()
	}
	lock.Close()
	if again, err := enterFolder(file); err != nil {
		t.Errorf("enterFolder when the first has left = %v, want nil", err)
	} else {
		again.Close()
	}
}

// TestVaultSaysWhatChanges: a store that goes and comes back is said once each time, and readiness follows.
func TestVaultSaysWhatChanges(t *testing.T) {
	var out bytes.Buffer
	set := logs.New(&out, logs.Config{Format: "json"})
	var down error
	list := revoke.New(memory.Revocations(), revoke.Config{})
	if err := list.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	v := &vault{name: "redis h:1 db 0", log: set.Logger("store"), probe: func(context.Context) error { return down }, list: list}
	look := func(lines int, notReady bool) {
		t.Helper()
		for range 3 {
			v.check(t.Context())
		}
		set.Flush(time.Second)
		if got := strings.Count(out.String(), "\n"); got != lines || (v.notReady() != "") != notReady {
			t.Errorf("%d lines, not ready: %q; want %d lines, not ready: %v\n%s", got, v.notReady(), lines, notReady, out.String())
		}
	}
	look(0, false)
	down = errors.New("planted: away")
	look(1, true)
	down = nil
	look(2, false)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	down = errors.New("the server stops")
	v.check(ended)
	look2 := out.Len()
	set.Flush(time.Second)
	if out.Len() != look2 || v.notReady() != "" {
		t.Errorf("the end of the server is taken for one of the store:\n%s", out.String())
	}
	if (*vault)(nil).notReady() != "" || (*vault)(nil).close() != nil {
		t.Error("a server without a store must be ready, and have nothing to close")
	}
}

func TestLookAsksForWhatCannotBe(t *testing.T) {
	v := &vault{tokens: memory.Tokens()}
	if err := v.look(t.Context()); err != nil {
		t.Errorf("look = %v, want nil", err)
	}
	away := errors.New("planted: away")
	v.tokens = awayTokens{v.tokens, away}
	if err := v.look(t.Context()); !errors.Is(err, away) {
		t.Errorf("look at a store that fails = %v, want its error", err)
	}
}

// awayTokens is a store that cannot be asked.
type awayTokens struct {
	token.Store
	err error
}

func (a awayTokens) Get(context.Context, token.Key) (token.Record, error) {
	return token.Record{}, a.err
}

// TestAServerThatDoesNotKnowWhatWasRevokedIsNotReady: it would answer 503 to everybody who carries a token.
func TestAServerThatDoesNotKnowWhatWasRevokedIsNotReady(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	v := &vault{list: revoke.New(memory.Revocations(), revoke.Config{Bound: 5 * time.Second, Now: func() time.Time { return now }})}
	for _, step := range []struct {
		about string
		do    func()
		want  string
	}{
		{"before the feed was read", func() {}, "it is not known what was revoked"},
		{"after", func() { _ = v.list.Load(t.Context()) }, ""},
		{"within the bound", func() { now = now.Add(5 * time.Second) }, ""},
		{"past the bound", func() { now = now.Add(time.Second) }, "it is not known what was revoked"},
		{"read again", func() { _ = v.list.Load(t.Context()) }, ""},
	} {
		step.do()
		if got := v.notReady(); got != step.want {
			t.Errorf("%s: notReady() = %q, want %q", step.about, got, step.want)
		}
	}
}

// TestNoSessionsDenies: what a command does not look up is never an answer.
func TestNoSessionsDenies(t *testing.T) {
	table := session.New(&shelf{Store: noSessions{}}, session.Config{})
	s, ctx := &session.Session{}, t.Context()
	if err := table.Open(ctx, s, strings.Repeat("A", 43)); !errors.Is(err, errNotLookedUp) || errors.Is(err, gatehouse.ErrCredential) {
		t.Errorf("Open = %v, want errNotLookedUp", err)
	}
	if err := table.Open(ctx, s, ""); err != nil {
		t.Errorf("Open without a secret = %v, want nil", err)
	}
	if err := table.Start(ctx, s, gatehouse.Identity{Value: "amy"}, session.Options{}); !errors.Is(err, errNotLookedUp) {
		t.Errorf("Start = %v, want errNotLookedUp", err)
	}
	if _, err := table.List(ctx, "amy"); !errors.Is(err, errNotLookedUp) {
		t.Errorf("List = %v, want errNotLookedUp", err)
	}
	var store noSessions
	_, err := store.DeleteAll(ctx, "amy", session.Key{})
	for _, err := range []error{err, store.Update(ctx, session.Record{}), store.Touch(ctx, session.Key{}, time.Time{}, time.Time{}), store.Delete(ctx, session.Key{})} {
		if !errors.Is(err, errNotLookedUp) {
			t.Errorf("a call = %v, want errNotLookedUp", err)
		}
	}
	if n, err := table.Prune(ctx); n != 0 || err != nil {
		t.Errorf("Prune = %d, %v, want nothing to do", n, err)
	}
}

// TestSessionCarrierOfAConfiguration: the cookie follows the settings, and what cannot be is a fault at its place.
func TestSessionCarrierOfAConfiguration(t *testing.T) {
	for text, want := range map[string]string{
		"carriers: [session]": "gatehouse",
		"carriers: [session]\nsessions: {cookie: {name: app1-token}}":                                                                                            "app1-token",
		"carriers: [session]\nserver: {public_url: 'https://a.example'}":                                                                                         "__Host-gatehouse",
		"carriers: [session]\nserver: {public_url: 'https://a.example'}\nsessions: {cookie: {path: /}}":                                                          "__Host-gatehouse",
		"carriers: [session]\nserver: {public_url: 'https://a.example', http: {host: 0.0.0.0}}":                                                                  "__Host-gatehouse",
		"carriers: [session]\nserver: {tls: {cert_file: a, key_file: b}, http: {host: 0.0.0.0}}":                                                                 "__Host-gatehouse",
		"carriers: [session]\nserver: {public_url: 'https://a.example'}\nsessions: {cookie: {path: /app}}":                                                       "__Secure-gatehouse",
		"carriers: [{header: X-Key}, session]\nserver: {public_url: 'https://a.b.example'}\nsessions: {cookie: {domain: b.example, name: x, same_site: strict}}": "__Secure-x",
		"carriers: [authorization]": "",
	} {
		h, err := load(parsing(text), (&program{ctx: t.Context(), now: time.Now}).quiet())
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := strings.Join(h.app.Cookies(), ","); got != want || strings.Join(h.own.Cookies(), ",") != want || strings.Join(h.admin.Cookies(), ",") != want {
			t.Errorf("%s: cookies %q, want %q for every guard", text, got, want)
		}
		if plain := want != "" && !strings.HasPrefix(want, "__"); (h.notice != "") != plain {
			t.Errorf("%s: the notice is %q, want one exactly for a cookie in clear", text, h.notice)
		}
	}
	for text, want := range map[string]string{
		"carriers: [authorization, session]\nserver: {http: {host: 0.0.0.0}}":                "test.yaml:1:27: log-in with a cookie needs TLS",
		"carriers: [session]\nserver: {public_url: 'http://app.example.org'}":                "test.yaml:1:12: log-in with a cookie needs TLS",
		"carriers: [session]\nserver: {http: {host: app.internal}}":                          "test.yaml:1:12: log-in with a cookie needs TLS",
		"carriers: [session]\nstore: {redis: 'redis://h/x'}":                                 "test.yaml:2:16: redis: the URL must look like",
		"carriers: [session]\nserver: {http: {host: 0.0.0.0}}\nstore: {redis: 'redis://h?'}": "test.yaml:3:16: redis: the URL must look like",
	} {
		if _, err := load(parsing(text), (&program{ctx: t.Context(), now: time.Now}).quiet()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func parsing(text string) source {
	return source{load: func() (*config.Config, error) { return config.Parse("test.yaml", []byte(text), config.Options{}) }}
}

// TestCarrierThatPanicsIsAFault: what config lets pass and the carrier does not take must not end a server at a reload.
func TestCarrierThatPanicsIsAFault(t *testing.T) {
	c, err := config.Parse("test.yaml", []byte("carriers: [session]\nsessions: {cookie: {name: x}}"), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.Sessions.Cookie.Name = "a b"
	_, err = build(c, (&program{ctx: t.Context(), now: time.Now}).quiet())
	if err == nil || !strings.Contains(err.Error(), "test.yaml:2:20:") || !strings.Contains(err.Error(), "not a cookie's name") {
		t.Errorf("build = %v, want a fault of the cookie", err)
	}
}

// TestTheListenerInUseDecides: a reload that names another address does not move the listener, so the cookie stays what the old one needs.
func TestTheListenerInUseDecides(t *testing.T) {
	around := (&program{ctx: t.Context(), now: time.Now}).quiet()
	around.listener = &config.Server{HTTP: config.HTTP{Host: "0.0.0.0", Port: 8080}}
	if _, err := load(parsing("carriers: [session]"), around); err == nil || !strings.Contains(err.Error(), "on 0.0.0.0:8080 it would travel in clear") {
		t.Errorf("a reload to a loopback address while 0.0.0.0 is listened on = %v, want the fault", err)
	}
	around.listener.TLS.CertFile = "a"
	if h, err := load(parsing("carriers: [session]"), around); err != nil || h.app.Cookies()[0] != "__Host-gatehouse" {
		t.Errorf("a reload without TLS while TLS is spoken = %v, want the safe cookie", err)
	}
}
