package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/config"
	"github.com/gatehouse-auth/gatehouse/keyring"
)

type keyCommand struct {
	Generate     keyGenerateCommand `cmd:"" help:"Make a secret, a private key, or a master key, for a configuration or a client."`
	List         keyListCommand     `cmd:"" help:"List the keys of tokens: which sign, which will, which only verify."`
	Rotate       keyRotateCommand   `cmd:"" help:"Make a new key, which signs once everybody knows it."`
	Retire       keyRetireCommand   `cmd:"" help:"End a key at once and for ever, with everything that it has signed."`
	Import       keyImportCommand   `cmd:"" help:"Let a key or secret from elsewhere sign from now on."`
	ExportPublic keyExportCommand   `cmd:"" name:"export-public" help:"Print the public keys, as a JWK set or as PEM."`
}

// openIssuer opens the store of the configuration beside a server that may run, and the rings of its tokens.
func (f configFlag) openIssuer(p *program, longest time.Duration) (*issuer, *vault, error) {
	h, err := p.open(f.source(p))
	if err != nil {
		return nil, nil, err
	}
	if h.plan == nil {
		return nil, nil, exit{exitUsage, errors.New("this configuration makes no tokens: name bearer in carriers, or list clients")}
	}
	v, err := openBeside(p, h.cfg)
	if err != nil {
		return nil, nil, err
	}
	made, err := issuing{plan: h.plan, vault: v, cfg: h.cfg, logger: slog.New(slog.DiscardHandler), now: p.now, beside: true, longest: longest}.open(p.ctx)
	if err != nil {
		return nil, nil, exit{exitFail, errors.Join(err, v.close())}
	}
	return made, v, nil
}

// openExisting is openIssuer for commands that only ask: they do not make a database.
func (f configFlag) openExisting(p *program) (*issuer, *vault, error) {
	cfg, err := f.source(p).load()
	if err != nil {
		return nil, nil, p.faults(err)
	}
	if file, none := noDatabase(cfg); none && cfg.HasTokens() {
		if err := notGone(file); err != nil {
			return nil, nil, exit{exitFail, err}
		}
		return nil, nil, exit{exitNo, fmt.Errorf("there is no database yet (%s), and so no keys: gatehouse serve makes them when it starts", file)}
	}
	return f.openIssuer(p, 0)
}

// openBeside opens the store of a configuration beside a server that may run.
func openBeside(p *program, cfg *config.Config) (*vault, error) {
	v, err := openVault(p.ctx, cfg.Store, wanted{tokens: cfg.HasTokens(), foreign: len(cfg.Tokens.Foreign) > 0, bound: cfg.Tokens.Revocation, now: p.now}, slog.New(slog.DiscardHandler))
	if err == nil {
		err = v.probe(p.ctx)
	}
	if err != nil {
		return nil, exit{exitFail, errors.Join(err, v.close())}
	}
	return v, nil
}

// ring returns the ring of a purpose. The error names the purposes that have one.
func (i *issuer) ring(purpose string) (*keyring.Ring, error) {
	if ring := i.rings[purpose]; ring != nil {
		return ring, nil
	}
	names := slices.Sorted(maps.Keys(i.rings))
	for _, s := range i.plan.purposes {
		if s.Name == purpose {
			return nil, exit{exitUsage, fmt.Errorf("%s tokens are opaque, and need no keys. Keys have: %s", purpose, strings.Join(names, ", "))}
		}
	}
	return nil, exit{exitUsage, fmt.Errorf("there is no purpose %q. Keys have: %s", purpose, strings.Join(names, ", "))}
}

// configured reports whether the configuration brings the key that signs the tokens of a purpose.
func (i *issuer) configured(purpose string) bool {
	return slices.ContainsFunc(i.plan.purposes, func(s sealing) bool { return s.Name == purpose && len(s.ring.Import) > 0 })
}

type keyListCommand struct {
	configFlag
	Purpose string `arg:"" optional:"" help:"Of this purpose alone."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Help adds to the command's help.
func (keyListCommand) Help() string {
	return `A key is next (public, signs later), active (signs), retired (verifies what it has signed until the last of that has expired), or gone. No key is printed, only its id.

Examples:
  gatehouse key list --config gatehouse.yaml
  gatehouse key list access --json`
}

// listedKey is a key of one purpose.
type listedKey struct {
	Purpose string `json:"purpose"`
	keyring.Info
}

// Run lists.
func (c keyListCommand) Run(p *program) error {
	i, v, err := c.openExisting(p)
	if err != nil {
		return err
	}
	defer v.close()
	names := slices.Sorted(maps.Keys(i.rings))
	if c.Purpose != "" {
		if _, err := i.ring(c.Purpose); err != nil {
			return err
		}
		names = []string{c.Purpose}
	}
	list := []listedKey{}
	for _, name := range names {
		for _, info := range i.rings[name].Keys() {
			list = append(list, listedKey{name, info})
		}
	}
	if c.JSON {
		out := json.NewEncoder(p.stdout)
		out.SetIndent("", "  ")
		return out.Encode(list)
	}
	for _, k := range list {
		if _, err := fmt.Fprintf(p.stdout, "%s %s\n", k.Purpose, k.Info); err != nil {
			return err
		}
	}
	return nil
}

type keyRotateCommand struct {
	configFlag
	Purpose string `arg:"" help:"The purpose whose tokens get a new key, such as access."`
}

// Help adds to the command's help.
func (keyRotateCommand) Help() string {
	return `The new key is published at once and signs a few minutes later, so that everybody who verifies knows it by then. The old one goes on verifying what it has signed. Keys rotate by themselves as well (tokens.access.rotate); for a key that others may have, see: gatehouse key retire.

Examples:
  gatehouse key rotate access --config gatehouse.yaml`
}

// Run rotates.
func (c keyRotateCommand) Run(p *program) error {
	i, v, err := c.openIssuer(p, 0)
	if err != nil {
		return err
	}
	defer v.close()
	ring, err := i.ring(c.Purpose)
	if err != nil {
		return err
	}
	info, err := ring.Rotate(p.ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s %s\n", c.Purpose, info)
	return err
}

type keyRetireCommand struct {
	configFlag
	Purpose string `arg:"" help:"The purpose of the key, such as access."`
	ID      string `arg:"" name:"kid" help:"The key's id, as key list prints it."`
}

// Help adds to the command's help.
func (keyRetireCommand) Help() string {
	return `For a key that somebody else may have: nothing that it has signed is accepted any more, on any node, and its owners sign in again. If it was the one that signs, a new key takes over at once. It cannot be undone.

Examples:
  gatehouse key retire access 3nq7d4k2w6gk5y2m4z7s5o3x2i --config gatehouse.yaml`
}

// Run retires. Running servers hear of it in the feed, faster than by looking at the ring.
func (c keyRetireCommand) Run(p *program) error {
	i, v, err := c.openIssuer(p, 0)
	if err != nil {
		return err
	}
	defer v.close()
	ring, err := i.ring(c.Purpose)
	if err != nil {
		return err
	}
	if err := ring.Retire(p.ctx, c.ID); err != nil {
		if errors.Is(err, keyring.ErrUnknownKey) {
			return exit{exitNo, fmt.Errorf("%s has no key %q: see gatehouse key list %s", c.Purpose, c.ID, c.Purpose)}
		}
		return err
	}
	if err := i.list.RevokeKey(p.ctx, c.ID); err != nil {
		return fmt.Errorf("the key is gone, but running servers may take some seconds to notice: %w", err)
	}
	return p.revoked(v, fmt.Sprintf("%s %s gone: nothing that it has signed is accepted any more", c.Purpose, c.ID))
}

type keyImportCommand struct {
	configFlag
	Purpose string `arg:"" help:"The purpose whose tokens it signs from now on, such as access."`
	File    string `arg:"" optional:"" default:"-" help:"A file with a private key in PEM or, for HS256 and its like, a secret. Without it: standard input."`
	ID      string `name:"kid" placeholder:"ID" help:"The key's id (kid). Without it one that follows from the key."`
}

// Help adds to the command's help.
func (keyImportCommand) Help() string {
	return `The key must be for the algorithm that the configuration gives the purpose. Keys that the ring has go on verifying what they have signed. A secret is the UTF-8 bytes of the line, unless it begins with hex: or base64:.

Examples:
  gatehouse key import access old-signing-key.pem --kid 2024-11
  printf %s "$OLD_SECRET" | gatehouse key import access`
}

// Run imports.
func (c keyImportCommand) Run(p *program) error {
	text, err := readKeyFile(p, c.File)
	if err != nil {
		return err
	}
	i, v, err := c.openIssuer(p, 0)
	if err != nil {
		return err
	}
	defer v.close()
	ring, err := i.ring(c.Purpose)
	if err != nil {
		return err
	}
	if i.configured(c.Purpose) {
		return exit{exitNo, fmt.Errorf("the configuration says what signs %[1]s tokens, and would let it sign again at the next start: write the new secret or key there instead (tokens). What the one before has signed stays good", c.Purpose)}
	}
	key, err := parseKey(ring.Algorithm(), text)
	if err != nil {
		return exit{exitNo, fmt.Errorf("this cannot sign %s tokens: %w", c.Purpose, err)}
	}
	if c.ID != "" {
		key = key.WithID(c.ID)
	}
	info, err := ring.Import(p.ctx, key)
	if err != nil {
		return exit{exitNo, err}
	}
	_, err = fmt.Fprintf(p.stdout, "%s %s\n", c.Purpose, info)
	return err
}

// maxKeyFile bounds what is read of a file with a key.
const maxKeyFile = 64 << 10

// readKeyFile reads a file, or standard input where it is called -.
func readKeyFile(p *program, name string) (string, error) {
	text, err := readAll(p, name, maxKeyFile)
	if err != nil {
		return "", exit{exitUsage, fmt.Errorf("the key: %w", err)}
	}
	if strings.TrimSpace(text) == "" {
		return "", exit{exitUsage, errors.New("the key: there is nothing in it")}
	}
	return text, nil
}

// parseKey reads a key for an algorithm: a secret, which is one line, or a private key in PEM.
func parseKey(algorithm keyring.Algorithm, text string) (*keyring.Key, error) {
	if algorithm.Symmetric() {
		return keyring.Secret(algorithm, oneLine(text), false)
	}
	return keyring.ParsePEM(algorithm, []byte(text))
}

// oneLine is text without its last line break, as the configuration reads a file with a secret.
func oneLine(text string) string {
	return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
}

type keyExportCommand struct {
	configFlag
	Purpose string `arg:"" optional:"" default:"access" help:"Whose public keys; access if nothing is said."`
	PEM     bool   `name:"pem" help:"Print PEM, the key that signs first, for programs that read no JWKs."`
}

// Help adds to the command's help.
func (keyExportCommand) Help() string {
	return `Prints what /.well-known/jwks.json serves: the public keys that verify now, and the next one before it signs. Secrets (HS256 and its like) have no public part.

Examples:
  gatehouse key export-public > jwks.json
  gatehouse key export-public access --pem > haproxy-jwt.pem`
}

// Run exports.
func (c keyExportCommand) Run(p *program) error {
	i, v, err := c.openExisting(p)
	if err != nil {
		return err
	}
	defer v.close()
	ring, err := i.ring(c.Purpose)
	if err != nil {
		return err
	}
	if ring.Algorithm().Symmetric() {
		return exit{exitNo, fmt.Errorf("%s tokens are signed with a secret (%s), which has no public part: whoever verifies them could also make them. Give the purpose an algorithm such as ES256", c.Purpose, ring.Algorithm())}
	}
	text, err := exported(ring, c.PEM)
	if err != nil {
		return err
	}
	_, err = p.stdout.Write(text)
	return err
}

func exported(ring *keyring.Ring, asPEM bool) ([]byte, error) {
	var out []byte
	var jwks []json.RawMessage
	for _, key := range ring.All() {
		part, err := key.Public().JWK()
		if asPEM {
			part, err = key.PublicPEM()
		}
		if err != nil {
			return nil, err
		}
		out, jwks = append(out, part...), append(jwks, part)
	}
	if asPEM {
		return out, nil
	}
	text, err := json.MarshalIndent(map[string]any{"keys": jwks}, "", "  ")
	return append(text, '\n'), err
}
