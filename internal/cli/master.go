package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/config"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

// masterFile is the name of the file, beside a database of SQLite, that has the master key where the configuration has none.
const masterFile = "master.key"

// readMaster takes the master key that the configuration has.
func (v *vault) readMaster(text string) error {
	master, err := keyring.ParseMaster(text)
	if err != nil {
		return fmt.Errorf("store.master_key cannot be used: %w; gatehouse key generate --master makes one", err)
	}
	v.master = master
	return nil
}

// findMaster takes the master key of a database of SQLite: that of the configuration, or that of the file beside the database. The file is made for a database that has no
// keys yet, and never later: a new master key would not open them.
func (v *vault) findMaster(ctx context.Context, file string, c config.Store) error {
	if !c.MasterKey.IsZero() {
		return v.readMaster(c.MasterKey.Reveal())
	}
	name := filepath.Join(filepath.Dir(real(file)), masterFile)
	text, err := os.ReadFile(name)
	if err == nil && len(text) > 0 {
		if err := checkMode(name); err != nil {
			return err
		}
		if err := v.readMaster(string(text)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	empty := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	rings, err := v.keys.Rings(ctx)
	switch {
	case err != nil:
		return err
	case len(rings) > 0:
		return fmt.Errorf("the master key of %s is gone: there are keys in it that only the file %s opens. Bring it back, or name it in store.master_key", file, name)
	case empty:
		return fmt.Errorf("%s is empty: a program is just making the master key, or was stopped while it did. Try again; if that does not help, remove the file: no key needs it yet", name)
	}
	return v.makeMaster(name, file)
}

// checkMode refuses a key that others can read.
func checkMode(name string) error {
	info, err := os.Stat(name)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s can be read by others (mode %04o), and opens every key: run chmod 600 on it, and consider new keys (gatehouse key rotate)", name, info.Mode().Perm())
	}
	return err
}

// makeMaster makes the master key of a database that has no keys yet. The file is 0600 from its first moment, and no other program's.
func (v *vault) makeMaster(name, file string) error {
	v.master = keyring.NewMaster()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	err := createFile(name, 0o600, v.master.Text().Reveal()+"\n")
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s has just been made by another program: try again", name)
	}
	if err != nil {
		return err
	}
	v.log.Info("a master key was made: keep a copy apart from the backups of the database", "file", name, "for", file)
	return nil
}

// lasting is for how long it is remembered what was revoked where others make tokens that live for as long as they please.
const lasting = 50 * 365 * 24 * time.Hour

// openList makes the list of revocations, and reads the feed.
func (v *vault) openList(ctx context.Context, w wanted) error {
	c := revoke.Config{Bound: w.bound.Bound.Std(), Poll: w.bound.Poll.Std(), Bells: v.bells, Logger: v.log, Now: w.now}
	if w.foreign {
		c.Longest = lasting
	}
	v.list = revoke.New(v.revocations, c)
	if err := v.list.Load(ctx); err != nil || v.mark == nil {
		return err
	}
	return v.compareFeed(ctx)
}

// keepTokensPruned removes what has expired of tokens and revocations.
func (v *vault) keepTokensPruned(ctx context.Context, now func() time.Time) {
	ticker := time.NewTicker(pruneEvery)
	defer ticker.Stop()
	for {
		_, err1 := token.Prune(ctx, v.tokens, now())
		_, err2 := v.list.Prune(ctx)
		if err := errors.Join(err1, err2); err != nil && ctx.Err() == nil {
			v.log.Warn("expired tokens and revocations could not be removed", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
