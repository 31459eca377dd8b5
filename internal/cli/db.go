package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/gatehouse-auth/gatehouse/internal/config"
	"github.com/gatehouse-auth/gatehouse/session"
)

type dbCommand struct {
	Migrate dbMigrateCommand `cmd:"" help:"Bring the store's tables up to date, as serve does when it starts."`
	Prune   dbPruneCommand   `cmd:"" help:"Remove overdue sessions now, as serve does every five minutes."`
}

type dbMigrateCommand struct{ configFlag }

// Help adds to the command's help.
func (dbMigrateCommand) Help() string {
	return `Makes the database where there is none. It changes nothing if the tables are up to date, and may run beside a server, or several times at once.

Examples:
  gatehouse db migrate --config gatehouse.yaml`
}

// Run migrates.
func (c dbMigrateCommand) Run(p *program) error {
	v, cfg, err := c.openStore(p)
	if err != nil {
		return err
	}
	defer v.close()
	if !cfg.Store.Redis.IsZero() {
		_, err := fmt.Fprintf(p.stdout, "%s: it has no tables, so there is nothing to bring up to date\n", v.name)
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s: the tables are up to date\n", v.name)
	return err
}

type dbPruneCommand struct{ configFlag }

// Help adds to the command's help.
func (dbPruneCommand) Help() string {
	return `A session that is overdue counts for nothing whether or not it is there; removing it makes room. It may run beside a server.

Examples:
  gatehouse db prune --config gatehouse.yaml`
}

// Run prunes.
func (c dbPruneCommand) Run(p *program) error {
	src := c.source(p)
	cfg, err := src.load()
	if err != nil {
		return p.faults(err)
	}
	if file, ok := strings.CutPrefix(cfg.Store.URL.Reveal(), "sqlite:"); ok && cfg.Store.Redis.IsZero() && size(file) == 0 {
		if err := notGone(file); err != nil {
			return exit{exitFail, err}
		}
		_, err := fmt.Fprintf(p.stdout, "sqlite %s: there is no database yet\n", file)
		return err
	}
	v, _, err := c.openStore(p)
	if err != nil {
		return err
	}
	defer v.close()
	n, err := session.New(v.store, session.Config{Now: p.now}).Prune(p.ctx)
	if err != nil {
		return fmt.Errorf("%s after they were removed: %w", count(n, "session"), err)
	}
	_, err = fmt.Fprintf(p.stdout, "%s: %s removed\n", v.name, count(n, "overdue session"))
	return err
}

// openStore opens the store of the configuration beside a server that may run.
func (f configFlag) openStore(p *program) (*vault, *config.Config, error) {
	cfg, err := f.source(p).load()
	if err != nil {
		return nil, nil, p.faults(err)
	}
	if !cfg.HasSessions() {
		return nil, nil, exit{exitUsage, errors.New("this configuration uses no store: its carriers do not name session")}
	}
	v, err := openVault(p.ctx, cfg.Store, false, slog.New(slog.DiscardHandler))
	if err == nil {
		err = v.probe(p.ctx)
	}
	if err != nil {
		return nil, nil, exit{exitFail, errors.Join(err, v.close())}
	}
	return v, cfg, nil
}
