package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/store/postgres"
	"github.com/gatehouse-auth/gatehouse/store/redis"
	"github.com/gatehouse-auth/gatehouse/store/sqlite"
)

// openStore returns the store of sessions at an address, and what closes it. A program of your own knows where its sessions are, so that one line and one import are
// left of this, and it links no other driver:
//
//	store := memory.Sessions()     // they end with the program
//	store := sqlite.Sessions(db)   // db, err := sqlite.Open(ctx, "sessions.db")
//	store := postgres.Sessions(db) // db, err := postgres.Open(ctx, "postgres://…")
//	store := redis.Sessions(db)    // db, err := redis.Open(ctx, options)
//
// No handler knows which it is.
func openStore(ctx context.Context, address string) (session.Store, func() error, error) {
	switch kind, rest, _ := strings.Cut(address, ":"); kind {
	case "memory":
		return memory.Sessions(), func() error { return nil }, nil
	case "sqlite":
		db, err := sqlite.Open(ctx, rest)
		if err != nil {
			return nil, nil, err
		}
		return sqlite.Sessions(db), db.Close, nil
	case "postgres", "postgresql":
		db, err := postgres.Open(ctx, address)
		if err != nil {
			return nil, nil, err
		}
		return postgres.Sessions(db), db.Close, nil
	case "redis", "rediss":
		options, err := redis.ParseURL(address)
		if err != nil {
			return nil, nil, err
		}
		db, err := redis.Open(ctx, options)
		if err != nil {
			return nil, nil, err
		}
		return redis.Sessions(db), db.Close, nil
	default:
		return nil, nil, fmt.Errorf("there is no store %q: use memory, sqlite:FILE, postgres://… or redis://…", kind)
	}
}
