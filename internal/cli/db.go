package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gatehouse-auth/gatehouse/internal/config"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/token"
)

type dbCommand struct {
	Migrate dbMigrateCommand `cmd:"" help:"Bring the store's tables up to date, as serve does when it starts."`
	Prune   dbPruneCommand   `cmd:"" help:"Remove overdue sessions, and expired tokens and revocations now, as serve does every five minutes."`
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
	v, _, err := c.openStore(p)
	if err != nil {
		return err
	}
	defer v.close()
	_, err = fmt.Fprintf(p.stdout, "%s: the tables are up to date\n", v.name)
	return err
}

type dbPruneCommand struct{ configFlag }

// Help adds to the command's help.
func (dbPruneCommand) Help() string {
	return `What is overdue counts for nothing whether or not it is there; removing it makes room. It may run beside a server.

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
	if file, none := noDatabase(cfg); none {
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
	sessions, err1 := session.New(v.store, session.Config{Now: p.now}).Prune(p.ctx)
	tokens, err2 := token.Prune(p.ctx, v.tokens, p.now())
	revocations, err3 := v.list.Prune(p.ctx)
	done := fmt.Sprintf("%s, %s, %s removed", count(sessions, "overdue session"), count(tokens, "expired token"), count(revocations, "expired revocation"))
	if err := errors.Join(err1, err2, err3); err != nil {
		return fmt.Errorf("%s: %s, and then: %w", v.name, done, err)
	}
	_, err = fmt.Fprintf(p.stdout, "%s: %s\n", v.name, done)
	return err
}

// noDatabase returns the file of the configuration's database of SQLite, and whether there is nothing in it yet.
func noDatabase(cfg *config.Config) (file string, none bool) {
	file, ok := strings.CutPrefix(cfg.Store.URL.Reveal(), "sqlite:")
	return file, ok && size(file) == 0
}

// openStore opens the store of the configuration beside a server that may run.
func (f configFlag) openStore(p *program) (*vault, *config.Config, error) {
	cfg, err := f.source(p).load()
	if err != nil {
		return nil, nil, p.faults(err)
	}
	if !cfg.HasSessions() && !cfg.HasTokens() {
		return nil, nil, exit{exitUsage, errors.New("this configuration uses no store: its carriers name neither session nor bearer, and there are no clients")}
	}
	v, err := openBeside(p, cfg)
	if err != nil {
		return nil, nil, err
	}
	return v, cfg, nil
}
