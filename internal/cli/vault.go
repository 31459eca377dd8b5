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
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/postgres"
	"github.com/gatehouse-auth/gatehouse/store/redis"
	"github.com/gatehouse-auth/gatehouse/store/sqlite"
)

const (
	pruneEvery = 5 * time.Minute
	// probeEvery is how often a running server asks its store whether it is there, and so how late /readyz may say that it is not.
	probeEvery   = 2 * time.Second
	probeTimeout = 5 * time.Second
	// sqlTimeout bounds what a request waits for PostgreSQL; Redis and SQLite have bounds of their own that are no longer.
	sqlTimeout = 5 * time.Second
)

// A vault is where the sessions of a server are. It is opened once, by the first configuration that needs it, and outlives reloads.
type vault struct {
	of    config.Store // what it was opened by
	name  string       // driver, host and database, for people; never a password
	store session.Store
	probe func(context.Context) error // nil if the store can be used
	shut  []func() error              // how to close it, last first

	log     *slog.Logger
	failing atomic.Bool
	tending sync.WaitGroup
	stop    context.CancelFunc
}

// openVault opens the store that c names, and brings its tables up to date. With alone no other server may have it. The error says what to do. A Redis
// that cannot be reached is no error: the vault is not ready then, and will be when it can.
func openVault(ctx context.Context, c config.Store, alone bool, log *slog.Logger) (*vault, error) {
	v := &vault{of: c, log: log, stop: func() {}}
	var err error
	switch address := c.URL.Reveal(); {
	case !c.Redis.IsZero():
		err = v.openRedis(ctx, c.Redis)
	case strings.HasPrefix(address, "sqlite:"):
		err = v.openSQLite(ctx, strings.TrimPrefix(address, "sqlite:"), alone)
	default:
		err = v.openPostgres(ctx, address)
	}
	if err != nil {
		return nil, fmt.Errorf("the session store cannot be used: %w", errors.Join(err, v.close()))
	}
	return v, nil
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
	v.name, v.store, v.probe, v.shut = options.String(), redis.Sessions(db), db.Ping, []func() error{db.Close}
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

func (v *vault) openPostgres(ctx context.Context, address string) error {
	db, err := postgres.Open(ctx, address, postgres.Timeout(sqlTimeout))
	if err != nil {
		return err
	}
	v.name, v.store, v.shut = postgresName(address), postgres.Sessions(db), []func() error{db.Close}
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

func (v *vault) openSQLite(ctx context.Context, file string, alone bool) error {
	done := func() error { return nil }
	if alone {
		folder, err := enterFolder(file)
		if err != nil {
			return err
		}
		v.shut = append(v.shut, folder.Close)
		done = func() error { return folder.Mark(usedText) }
	} else if err := notGone(file); err != nil {
		return err
	}
	db, err := sqlite.Open(ctx, file)
	if err != nil {
		return err
	}
	v.shut = append(v.shut, db.Close)
	v.name, v.store, v.probe = "sqlite "+file, sqlite.Sessions(db), v.look
	return done()
}

// look finds out whether the store answers, by asking it for a session that cannot be.
func (v *vault) look(ctx context.Context) error {
	_, err := v.store.Get(ctx, session.Key{1})
	if errors.Is(err, session.ErrNotFound) {
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
		v.log.Info("session store connected", "store", v.name)
	}
	v.tending.Go(func() {
		table := session.New(v.store, session.Config{Logger: v.log, Now: now})
		if _, err := table.Prune(ctx); err != nil && ctx.Err() == nil {
			v.log.Warn("overdue sessions could not be removed", "error", err.Error())
		}
		table.KeepPruned(ctx, time.Tick(pruneEvery))
	})
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
		v.log.Error("the session store cannot be used: requests with a session are answered 503 until it can", "store", v.name, "error", err.Error())
	case err == nil && was:
		v.failing.Store(false)
		v.log.Info("the session store can be used again", "store", v.name)
	}
}

// notReady says why the server is not ready, or returns "".
func (v *vault) notReady() string {
	if v != nil && v.failing.Load() {
		return "the session store cannot be used"
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
	return a.URL.Equal(b.URL) && r.URL.Equal(q.URL) && r.Password.Equal(q.Password) && r.Host == q.Host && r.Port == q.Port && r.DB == q.DB && r.TLS == q.TLS
}
