package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
)

type keyGenerateCommand struct {
	Algorithm string `default:"HS256" enum:"HS256,HS384,HS512,RS256,PS256,ES256,EdDSA" placeholder:"ALG" help:"What it is for: HS256, HS384 and HS512 take a secret, RS256, PS256, ES256 and EdDSA a private key in PEM."`
	Master    bool   `help:"Make a master key, which the keys in the store are sealed with, instead."`
	Out       string `short:"o" placeholder:"FILE" help:"Write it to a new file that only its owner can read, instead of standard output."`
	Public    string `placeholder:"FILE" help:"Write the public key, as a JWK set, to a new file: for the other side's configuration (clients[].keys)."`
}

// Help adds to the command's help.
func (keyGenerateCommand) Help() string {
	return `What it makes is stored nowhere else: keep it, or make another. The server needs none of it to begin with: it makes the keys of its tokens itself.

Examples:
  gatehouse key generate --out access.secret
  gatehouse key generate --algorithm ES256 --out reports.pem --public reports.jwks
  gatehouse key generate --master --out master.key`
}

// Run makes a key.
func (c keyGenerateCommand) Run(p *program) error {
	text, key, err := c.make()
	if err != nil {
		return err
	}
	if c.Public != "" {
		if err := c.writePublic(key); err != nil {
			return err
		}
	}
	if c.Out == "" {
		_, err := io.WriteString(p.stdout, ended(text.Reveal()))
		return err
	}
	if err := writeNew(c.Out, 0o600, ended(text.Reveal())); err != nil {
		return err
	}
	id := ""
	if key != nil {
		id = ", kid " + key.ID()
	}
	_, err = fmt.Fprintf(p.stdout, "%s: made%s\n", c.Out, id)
	return err
}

// make returns the text of a new key and, if it has a public part, the key.
func (c keyGenerateCommand) make() (gatehouse.Secret, *keyring.Key, error) {
	algorithm := keyring.Algorithm(c.Algorithm)
	symmetric := c.Master || algorithm.Symmetric()
	switch {
	case symmetric && c.Public != "":
		return gatehouse.Secret{}, nil, exit{exitUsage, errors.New("a secret has no public part: leave --public out, or choose an --algorithm such as ES256")}
	case c.Master:
		return keyring.NewMaster().Text(), nil, nil
	case symmetric:
		text, err := keyring.NewSecret(algorithm)
		return text, nil, err
	}
	return keyring.NewPEM(algorithm)
}

func (c keyGenerateCommand) writePublic(key *keyring.Key) error {
	jwk, err := key.Public().JWK()
	if err != nil {
		return err
	}
	return writeNew(c.Public, 0o644, `{"keys": [`+string(jwk)+"]}\n")
}

// ended is text with one line end.
func ended(text string) string {
	if text == "" || text[len(text)-1] == '\n' {
		return text
	}
	return text + "\n"
}

// writeNew writes a file that was not there: a key that is overwritten is lost.
func writeNew(name string, mode fs.FileMode, text string) error {
	err := createFile(name, mode, text)
	if errors.Is(err, fs.ErrExist) {
		return exit{exitUsage, fmt.Errorf("%s is there already, and is not overwritten: choose another name", name)}
	}
	return err
}

// createFile is writeNew with an error that wraps fs.ErrExist if the file is there.
func createFile(name string, mode fs.FileMode, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	if folder, err := os.Open(filepath.Dir(name)); err == nil { // or the name may be lost with the power; not every system can be asked for that
		_ = folder.Sync()
		_ = folder.Close()
	}
	return nil
}

// readAll reads a file, or standard input where it is called -, of at most so many bytes.
func readAll(p *program, name string, most int64) (string, error) {
	in, label := p.stdin, "standard input"
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in, label = f, name
	}
	text, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return "", fmt.Errorf("%s cannot be read: %w", label, err)
	}
	if int64(len(text)) > most {
		return "", fmt.Errorf("%s has more than %d bytes", label, most)
	}
	return string(text), nil
}
