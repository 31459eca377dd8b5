package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/token"
)

// scope is what every client may do here.
const scope = "report.read"

// A registry is who the clients are, by name. It is read once, at the start: nothing that a request says becomes the name of a file. It is also the guard's policy: a token of
// somebody who is no client any more is refused, however long it would live.
type registry map[string]token.Client

// readRegistry reads the public keys of the clients, one set of JWKs for each: reports.jwks has those of the client reports. A client that is about to change its key has two.
func readRegistry(folder string) (registry, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.jwks"))
	if err != nil {
		return nil, err
	}
	clients := registry{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		keys, err := keyring.ParseJWKS(text) // refuses private keys: who publishes one has none any more
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".jwks")
		clients[name] = token.Client{ID: name, Keys: keys, Scopes: []string{scope}}
	}
	if len(clients) == 0 {
		return nil, fmt.Errorf("%s has no clients: make a key with `services key`, or put a NAME.jwks there", folder)
	}
	return clients, nil
}

// client finds a client for those who verify what it has signed.
func (r registry) client(_ context.Context, id string) (token.Client, error) {
	c, ok := r[id]
	if !ok {
		return token.Client{}, token.ErrClient
	}
	return c, nil
}

// Resolve implements guard.Policy: the caller is the client that the token was given to, as long as it is one.
func (r registry) Resolve(ctx context.Context, id gatehouse.Identity) (gatehouse.Principal, error) {
	if _, err := r.client(ctx, id.Value); err != nil {
		return gatehouse.Anonymous(), err
	}
	return gatehouse.PrincipalOf(id), nil
}

// Permits implements guard.Policy: there are no permissions here, only scopes.
func (registry) Permits(context.Context, gatehouse.Principal, string, any) (bool, error) {
	return false, nil
}

// publicKeys returns the keys of a client as a set of JWKs.
func (r registry) publicKeys(id string) ([]byte, error) {
	c, err := r.client(context.Background(), id)
	if err != nil {
		return nil, err
	}
	return setOf(c.Keys...)
}

func setOf(keys ...*keyring.Key) ([]byte, error) {
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{}
	for _, key := range keys {
		jwk, err := key.JWK() // the public part, never more
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, jwk)
	}
	return json.Marshal(set)
}

// clientName is what a client may be called: its name is part of two file names, on the machine of whoever makes the key.
var clientName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)

// makeKey makes a key pair for a client: NAME.pem, which stays with it, and NAME.jwks, which the service gets. It never replaces a key.
func makeKey(folder, client string, algorithm keyring.Algorithm, stdout io.Writer) error {
	if !clientName.MatchString(client) {
		return fmt.Errorf("a client is called by lower-case letters, digits and -, not %q", client)
	}
	if algorithm != keyring.ES256 && algorithm != keyring.RS256 {
		return fmt.Errorf("keys are made here for ES256 and RS256, not for %q", algorithm)
	}
	text, key, err := keyring.NewPEM(algorithm)
	if err != nil {
		return err
	}
	set, err := setOf(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	name := filepath.Join(folder, client)
	if err := write(name+".pem", []byte(text.Reveal())); err != nil {
		return err
	}
	if err := write(name+".jwks", append(set, '\n')); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "made %s.pem, the private key of the client %s, and %s.jwks, its public key %s\n", name, client, name, key.ID())
	return nil
}

// write writes a new file that nobody else can read.
func write(name string, text []byte) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}

// firstKey makes the first client, so that there is something to try.
func firstKey(s settings, stdout io.Writer) error {
	if _, err := os.Stat(s.folder); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return makeKey(s.folder, s.client, keyring.Algorithm(s.algorithm), stdout)
}
