package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/store/postgres"
	"github.com/gatehouse-auth/gatehouse/store/redis"
	"github.com/gatehouse-auth/gatehouse/store/sqlite"
)

// The environment that names servers to measure: they are not started here.
const (
	postgresVariable = "GATEHOUSE_BENCH_POSTGRES"
	redisVariable    = "GATEHOUSE_BENCH_REDIS"
)

// The secret of the one session that is asked for, and the cookie that names it.
var (
	secret = base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("bench 32", 4)))
	cookie = "Cookie: __Host-gatehouse=" + secret + "\r\n"

	sessionQuestion = strings.Replace(question, with, cookie, 1)
)

// stores are the kinds of stores that can be measured here and now.
func stores() []string {
	kinds := []string{"memory", "sqlite"}
	if os.Getenv(postgresVariable) != "" {
		kinds = append(kinds, "postgres")
	}
	if os.Getenv(redisVariable) != "" {
		kinds = append(kinds, "redis")
	}
	return kinds
}

// sessionVariants are what a session costs, by store.
func sessionVariants() []variant {
	var list []variant
	for _, kind := range stores() {
		list = append(list,
			variant{"guard-" + kind, "GET /films/7" + head + cookie + "\r\n", []string{"bare", "guard"}},
			variant{"authz-" + kind, sessionQuestion, []string{"bare", "forward-auth"}})
	}
	return list
}

// openStore opens a store of a kind. close removes what was made for it.
func openStore(ctx context.Context, kind string) (store session.Store, closeStore func(), err error) {
	switch kind {
	case "memory":
		return memory.Sessions(), func() {}, nil
	case "sqlite":
		dir, err := os.MkdirTemp("", "gatehouse-bench-")
		if err != nil {
			return nil, nil, err
		}
		db, err := sqlite.Open(ctx, filepath.Join(dir, "bench.db"))
		if err != nil {
			return nil, nil, err
		}
		return sqlite.Sessions(db), func() { _ = db.Close(); _ = os.RemoveAll(dir) }, nil
	case "postgres":
		db, err := postgres.Open(ctx, os.Getenv(postgresVariable))
		if err != nil {
			return nil, nil, err
		}
		return postgres.Sessions(db), func() { _ = db.Close() }, nil
	case "redis":
		o, err := redis.ParseURL(os.Getenv(redisVariable))
		if err != nil {
			return nil, nil, err
		}
		db, err := redis.Open(ctx, o)
		if err != nil {
			return nil, nil, err
		}
		return redis.Sessions(db), func() { _ = db.Close() }, nil
	}
	return nil, nil, fmt.Errorf("there is no store %q", kind)
}

// seed puts the session of jack into store, in place of one that another run has left.
func seed(ctx context.Context, store session.Store) error {
	key := session.Key(sha256.Sum256([]byte(strings.Repeat("bench 32", 4))))
	if err := store.Delete(ctx, key); err != nil {
		return err
	}
	now := time.Now().Truncate(time.Millisecond)
	return store.Create(ctx, session.Record{Key: key, ID: "bench" + fmt.Sprint(os.Getpid(), now.UnixNano()), Subject: "jack", Created: now, Seen: now,
		Deadline: now.Add(time.Hour), Version: 1, Body: []byte(`{"identity":{"value":"jack","roles":["basic"],"auth_time":1767225600000,"methods":["pwd"]},` +
			`"user_agent":"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0"}`)}, session.Key{})
}

// newSessionGuard returns a guard with the rules of [newGuard] over the sessions of a kind of store. The store stays open as long as the process.
func newSessionGuard(kind string) (*guard.Guard, error) {
	table, err := newTable(100)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	store, _, err := openStore(ctx, kind)
	if err != nil {
		return nil, err
	}
	if err := seed(ctx, store); err != nil {
		return nil, err
	}
	return sessionGuard(store, table)
}

func sessionGuard(store session.Store, table *policy.Table) (*guard.Guard, error) {
	sessions := session.New(store, session.Config{Logger: slog.New(slog.DiscardHandler)})
	return guard.New(guard.Config{Carriers: []carrier.Carrier{carrier.Session(sessions)}, Policy: guard.AsSubject{Table: table}, Rules: table,
		Logger: slog.New(slog.DiscardHandler)})
}
