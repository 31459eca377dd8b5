package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/store/sqlite"
	"github.com/gatehouse-auth/gatehouse/token"
)

// stores are what the program keeps. No handler knows where that is.
type stores struct {
	keys        keyring.Store
	tokens      token.Store
	revocations revoke.Store
	bells       []revoke.Bell // tell of what other processes revoke; none: the store is looked at once a second
	master      *keyring.Master
	close       func() error
}

// openStores opens the stores at an address. What is in memory ends with the program, and so does everything that was signed with a key that was there alone: the secrets of
// config.json are not, so that tokens outlive the program and a log-out does not. Keep it for trying out.
func openStores(ctx context.Context, address string) (stores, error) {
	kind, name, _ := strings.Cut(address, ":")
	switch {
	case address == "memory":
		return stores{memory.Keys(), memory.Tokens(), memory.Revocations(), nil, keyring.NewMaster(), func() error { return nil }}, nil
	case kind == "sqlite" && name != "":
		db, err := sqlite.Open(ctx, name)
		if err != nil {
			return stores{}, err
		}
		master, err := masterKey(name + ".key")
		if err != nil {
			return stores{}, errors.Join(err, db.Close())
		}
		feed := sqlite.Revocations(db)
		return stores{sqlite.Keys(db), sqlite.Tokens(db), feed, []revoke.Bell{feed}, master, db.Close}, nil
	}
	return stores{}, fmt.Errorf("there is no store %q: use memory or sqlite:FILE", address)
}

// masterKey reads the key that signing keys are sealed with in the database, or makes it. Without it nobody opens them, so that a copy of the database alone is worth little: keep the
// two apart in backups.
func masterKey(name string) (*keyring.Master, error) {
	text, err := os.ReadFile(name)
	if err == nil {
		return keyring.ParseMaster(string(text))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	master := keyring.NewMaster()
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = file.WriteString(master.Text().Reveal() + "\n")
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return nil, err
	}
	return master, nil
}
