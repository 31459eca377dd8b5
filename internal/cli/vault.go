package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/config"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/store/postgres"
	"github.com/gatehouse-auth/gatehouse/store/redis"
	"github.com/gatehouse-auth/gatehouse/store/sqlite"
	"github.com/gatehouse-auth/gatehouse/token"
)

const (
	pruneEvery = 5 * time.Minute
	// probeEvery is how often a running server asks its store whether it is there, and so how late /readyz may say that it is not.
	probeEvery   = 2 * time.Second
	probeTimeout = 5 * time.Second
	// sqlTimeout bounds what a request waits for PostgreSQL; Redis and SQLite have bounds of their own that are no longer.
	sqlTimeout = 5 * time.Second
)

// A vault is where the sessions of a server are, its tokens, and what was revoked. It is opened once, by the first configuration that needs it, and outlives reloads.
type vault struct {
	of          config.Store // what it was opened by
	name        string       // driver, host and database, for people; never a password
	store       session.Store
	keys        keyring.Store
	tokens      token.Store
	revocations revoke.Store
	bells       []revoke.Bell
	list        *revoke.List
	bound       config.Revocation // what list was made with
	foreign     bool              // whether list was made for tokens of others
	cached      bool              // store is a cache: what has ended is in the list
	master      *keyring.Master   // nil where the configuration has no tokens
	mark        *feedMark         // of a database of SQLite; else nil
	beside      bool              // a server may have the store as well

	probe func(context.Context) error // nil if the store can be used
	shut  []func() error              // how to close it, last first

	log     *slog.Logger
	failing atomic.Bool
	tending sync.WaitGroup
	stop    context.CancelFunc
}

// A wanted is what a vault is opened for.
type wanted struct {
	alone   bool // no other server may have the store
	tokens  bool // its keys are opened, which takes the master key
	foreign bool // tokens of others count, whose life has no bound
	memory  bool // nothing outlives the process, whatever the configuration says
	bound   config.Revocation
	now     func() time.Time
}

// openVault opens the store that c names, and brings its tables up to date. With alone no other server may have it. The error says what to do. A Redis
// that cannot be reached is no error: the vault is not ready then, and will be when it can.
func openVault(ctx context.Context, c config.Store, w wanted, log *slog.Logger) (*vault, error) {
	v := &vault{of: c, bound: w.bound, foreign: w.foreign, beside: !w.alone, log: log, stop: func() {}}
	err := v.openTruth(ctx, c, w)
	if err == nil && !c.Redis.IsZero() && !w.memory {
		err = v.openRedis(ctx, c.Redis)
	}
	if err == nil {
		err = v.openList(ctx, w)
	}
	if err != nil {
		return nil, fmt.Errorf("the store cannot be used: %w", errors.Join(err, v.close()))
	}
	return v, nil
}

// openTruth opens what remembers for sure.
func (v *vault) openTruth(ctx context.Context, c config.Store, w wanted) error {
	if w.memory {
		v.openMemory()
		return nil
	}
	if file, ok := strings.CutPrefix(c.URL.Reveal(), "sqlite:"); ok {
		return v.openSQLite(ctx, file, c, w)
	}
	return v.openPostgres(ctx, c.URL.Reveal(), c, w)
}

func (v *vault) openMemory() {
	v.name, v.master = "memory", keyring.NewMaster()
	v.store, v.keys, v.tokens, v.revocations = memory.Sessions(), memory.Keys(), memory.Tokens(), memory.Revocations()
	v.probe = v.look
}

func (v *vault) openRedis(ctx context.Context, c config.Redis) error {
	options, err := redisOptions(c)
	if err != nil {
		return err
	}
	db, err := redis.Open(ctx, options)
	if err != nil {
		return err
	}
	look := v.probe // the database still has the truth: Redis is a cache of sessions and the bell
	v.name, v.store, v.cached, v.bells = v.name+" with "+options.String(), redis.Sessions(db), true, append(v.bells, redis.Bell(db))
	v.probe = func(ctx context.Context) error { return errors.Join(look(ctx), db.Ping(ctx)) }
	v.shut = append(v.shut, db.Close)
	return nil
}

func redisOptions(c config.Redis) (redis.Options, error) {
	if !c.URL.IsZero() {
		return redis.ParseURL(c.URL.Reveal())
	}
	o := redis.Options{Host: c.Host, Port: c.Port, DB: c.DB, Password: c.Password}
	if c.TLS {
		o.TLS = &tls.Config{}
	}
	return o, nil
}

func (v *vault) openPostgres(ctx context.Context, address string, c config.Store, w wanted) error {
	if w.tokens {
		if c.MasterKey.IsZero() {
			return errors.New("store.master_key is missing: all nodes need the same one; make it with: gatehouse key generate --master, and write store: {master_key: file:PATH}")
		}
		if err := v.readMaster(c.MasterKey.Reveal()); err != nil {
			return err
		}
	}
	db, err := postgres.Open(ctx, address, postgres.Timeout(sqlTimeout))
	if err != nil {
		return err
	}
	revocations := postgres.Revocations(db)
	v.name, v.store, v.shut = postgresName(address), postgres.Sessions(db), []func() error{db.Close}
	v.keys, v.tokens, v.revocations, v.bells = postgres.Keys(db), postgres.Tokens(db), revocations, []revoke.Bell{revocations}
	v.probe = v.look
	return nil
}

// postgresName names the server and the database. What else stands in an address may be a password.
func postgresName(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "postgres"
	}
	return "postgres " + cmp.Or(u.Host, "on this machine") + " database " + cmp.Or(strings.TrimPrefix(u.Path, "/"), u.User.Username(), "(default)")
}

func (v *vault) openSQLite(ctx context.Context, file string, c config.Store, w wanted) error {
	done := func() error { return nil }
	if w.alone {
		folder, err := enterFolder(file)
		if err != nil {
			return err
		}
		v.shut = append(v.shut, folder.Close)
		done = func() error { return folder.Mark(usedText) }
	} else if err := notGone(file); err != nil {
		return err
	}
	v.mark = &feedMark{real(file) + seenSuffix}
	db, err := sqlite.Open(ctx, file)
	if err != nil {
		return err
	}
	v.shut = append(v.shut, db.Close)
	revocations := sqlite.Revocations(db)
	v.name, v.store, v.probe = "sqlite "+file, sqlite.Sessions(db), v.look
	v.keys, v.tokens, v.revocations, v.bells = sqlite.Keys(db), sqlite.Tokens(db), revocations, []revoke.Bell{revocations}
	if w.tokens {
		if err := v.findMaster(ctx, file, c); err != nil {
			return err
		}
	}
	return done()
}

// look finds out whether the database answers, by asking it for a token that cannot be.
func (v *vault) look(ctx context.Context) error {
	_, err := v.tokens.Get(ctx, token.Key{1})
	if errors.Is(err, token.ErrNotFound) {
		return nil
	}
	return err
}

// tend looks after the store until the vault is closed: it says when the store cannot be reached any more and when it can again, and removes
// overdue sessions.
func (v *vault) tend(now func() time.Time) {
	ctx, cancel := context.WithCancel(context.Background())
	v.stop = cancel
	v.check(ctx)
	if !v.failing.Load() {
		v.log.Info("store connected", "store", v.name)
	}
	v.tending.Go(func() {
		table := session.New(v.store, session.Config{Logger: v.log, Now: now})
		if _, err := table.Prune(ctx); err != nil && ctx.Err() == nil {
			v.log.Warn("overdue sessions could not be removed", "error", err.Error())
		}
		table.KeepPruned(ctx, time.Tick(pruneEvery))
	})
	v.tending.Go(func() { v.list.Run(ctx) })
	v.tending.Go(func() { v.keepTokensPruned(ctx, now) })
	if v.mark != nil {
		v.tending.Go(func() { v.keepMark(ctx) })
	}
	v.tending.Go(func() {
		ticker := time.NewTicker(probeEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				v.check(ctx)
			}
		}
	})
}

// check asks the store whether it can be used, and says so where that has changed.
func (v *vault) check(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err := v.probe(limited)
	switch was := v.failing.Load(); {
	case ctx.Err() != nil: // the end of the vault, not of the store
	case err != nil && !was:
		v.failing.Store(true)
		v.log.Error("the store cannot be used: requests that need it are answered 503 until it can", "store", v.name, "error", err.Error())
	case err == nil && was:
		v.failing.Store(false)
		v.log.Info("the store can be used again", "store", v.name)
	}
}

// notReady says why the server is not ready, or returns "".
func (v *vault) notReady() string {
	switch {
	case v == nil:
	case v.failing.Load():
		return "the store cannot be used"
	case v.list.Staleness() > v.list.Bound():
		return "it is not known what was revoked"
	}
	return ""
}

// close ends the tending and closes the store. It may be called on a vault that was not opened whole.
func (v *vault) close() error {
	if v == nil {
		return nil
	}
	v.stop()
	v.tending.Wait()
	var errs []error
	for i := len(v.shut) - 1; i >= 0; i-- {
		errs = append(errs, v.shut[i]())
	}
	v.shut = nil
	return errors.Join(errs...)
}

// sameStore reports whether a and b name the same store, in the same words.
func sameStore(a, b config.Store) bool {
	r, q := a.Redis, b.Redis
	return a.URL.Equal(b.URL) && a.MasterKey.Equal(b.MasterKey) && r.URL.Equal(q.URL) && r.Password.Equal(q.Password) && r.Host == q.Host && r.Port == q.Port && r.DB == q.DB && r.TLS == q.TLS
}
