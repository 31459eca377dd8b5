package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/passwd"
)

// costFlags are the costs of new hashes, as "hash calibrate" prints them.
type costFlags struct {
	Memory  uint32 `default:"19456" placeholder:"KIB" help:"The memory of a new hash in KiB."`
	Time    uint32 `default:"2" placeholder:"N" help:"The passes of a new hash over its memory."`
	Threads uint8  `default:"1" placeholder:"N" help:"The lanes of a new hash."`
}

// hasher returns a Hasher for one hash.
func (f costFlags) hasher() (*passwd.Hasher, error) {
	if f.Memory == 0 || f.Time == 0 || f.Threads == 0 {
		return nil, exit{exitUsage, errors.New("--memory, --time and --threads are at least 1")}
	}
	h, err := passwd.New(passwd.Config{Params: passwd.Params{Memory: f.Memory, Time: f.Time, Threads: f.Threads}, Parallel: 1})
	if err != nil {
		return nil, exit{exitUsage, err}
	}
	return h, nil
}

// passwordFlags say where a password comes from: never from the command line, which other users of the machine and the shell's history see.
type passwordFlags struct {
	Stdin bool   `help:"Take the password from standard input: one line."`
	File  string `placeholder:"FILE" help:"Take the password from a file of one line."`
}

// check says whether it is known where the password comes from.
func (f passwordFlags) check() error {
	if f.Stdin == (f.File != "") {
		return exit{exitUsage, errors.New("say where the password comes from: --stdin or --file FILE")}
	}
	return nil
}

// read returns the password. stdin may have been read from already.
func (f passwordFlags) read(stdin *bufio.Reader) (gatehouse.Secret, error) {
	in, name := stdin, "standard input"
	if f.File != "" {
		file, err := os.Open(f.File)
		if err != nil {
			return gatehouse.Secret{}, exit{exitUsage, fmt.Errorf("the password: %w", err)}
		}
		defer file.Close()
		in, name = bufio.NewReader(file), f.File
	}
	password, err := readLine(in, name, passwd.MaxBytes)
	if err != nil {
		return gatehouse.Secret{}, err
	}
	if more, err := in.Peek(1); err == nil || len(more) > 0 {
		return gatehouse.Secret{}, exit{exitUsage, fmt.Errorf("%s has more than one line: a password is one line", name)}
	}
	return gatehouse.NewSecret(password), nil
}

// readLine returns the next line without its end. Nothing else is taken from it.
func readLine(in *bufio.Reader, name string, most int) (string, error) {
	text, err := io.ReadAll(io.LimitReader(untilLineEnd{in}, int64(most)+3)) // one byte too many, and the line end
	if err != nil {
		return "", fmt.Errorf("%s cannot be read: %w", name, err)
	}
	line, ended := strings.CutSuffix(string(text), "\n")
	if ended {
		line = strings.TrimSuffix(line, "\r")
	}
	switch {
	case line == "":
		return "", exit{exitUsage, fmt.Errorf("%s has an empty line, or nothing", name)}
	case len(line) > most:
		return "", exit{exitUsage, fmt.Errorf("%s has a line of more than %d bytes", name, most)}
	}
	return line, nil
}

// untilLineEnd reads byte by byte and ends behind the first line end, so that the next line is still there.
type untilLineEnd struct{ in *bufio.Reader }

func (u untilLineEnd) Read(p []byte) (int, error) {
	for i := range p {
		c, err := u.in.ReadByte()
		if err != nil {
			return i, err
		}
		if p[i] = c; c == '\n' {
			return i + 1, io.EOF
		}
	}
	return len(p), nil
}

type hashPasswordCommand struct {
	passwordFlags
	Any     bool     `help:"Take a password that the rules for new ones refuse."`
	Context []string `sep:"," placeholder:"NAME" help:"A name that others know, so that a password made of it is refused: the user's, the host's; may be given several times."`
	costFlags
}

// Help adds to the command's help.
func (hashPasswordCommand) Help() string {
	return `The hash is argon2id, as a PHC string. A password that is short, well known or mostly a pattern is refused, and the reason given: see docs/passwords.md. It is never taken from the command line.

Examples:
  gatehouse hash password --stdin < password.txt
  gatehouse hash password --file password.txt --context jack,films.example.org
  gatehouse hash password --stdin $(gatehouse hash calibrate) < password.txt`
}

// Run prints the hash.
func (c hashPasswordCommand) Run(p *program) error {
	if err := c.check(); err != nil {
		return err
	}
	hasher, err := c.hasher()
	if err != nil {
		return err
	}
	password, err := c.read(bufio.NewReader(p.stdin))
	if err != nil {
		return err
	}
	if err := c.judge(password); err != nil {
		return err
	}
	hash, err := hasher.Hash(p.ctx, password.Reveal())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, hash)
	return err
}

// judge refuses what nobody should choose.
func (c hashPasswordCommand) judge(password gatehouse.Secret) error {
	if c.Any {
		return nil
	}
	policy, err := passwd.NewPolicy(passwd.PolicyConfig{})
	if err != nil {
		return err
	}
	if err := policy.Check(password.Reveal(), c.Context...); err != nil {
		return exit{exitNo, fmt.Errorf("%w\n(--any takes it all the same)", err)}
	}
	return nil
}

type hashVerifyCommand struct {
	Hash string `arg:"" optional:"" help:"The hash, in single quotes. Without it: the first line of standard input."`
	passwordFlags
	costFlags
}

// Help adds to the command's help.
func (hashVerifyCommand) Help() string {
	return `Takes argon2id, argon2i, bcrypt, scrypt, PBKDF2 (PHC, passlib, Django), sha256_crypt and sha512_crypt. Without a hash among the arguments the first line of standard input is the hash and, with --stdin, the second the password. It also says whether a log-in would replace the hash by a new one.

Exit codes: 0 right, 1 wrong, 2 wrong usage, 3 the hash cannot be checked.

Examples:
  gatehouse hash verify --stdin '$2b$12$…' < password.txt
  gatehouse hash verify --file password.txt < hash.txt
  cat hash.txt password.txt | gatehouse hash verify --stdin`
}

// maxHashLine bounds the line with a hash; package passwd judges the rest.
const maxHashLine = 4 << 10

// Run compares, and says so.
func (c hashVerifyCommand) Run(p *program) error {
	if err := c.check(); err != nil {
		return err
	}
	hasher, err := c.hasher()
	if err != nil {
		return err
	}
	stdin := bufio.NewReader(p.stdin)
	if c.Hash == "" {
		if c.Hash, err = readLine(stdin, "standard input", maxHashLine); err != nil {
			return err
		}
	}
	info, err := hasher.Inspect(c.Hash)
	if err != nil {
		return err
	}
	password, err := c.read(stdin)
	if err != nil {
		return err
	}
	result, err := hasher.Verify(p.ctx, c.Hash, password.Reveal())
	return c.report(p, info, result, err)
}

// report prints the outcome.
func (hashVerifyCommand) report(p *program, info passwd.Info, result passwd.Result, err error) error {
	switch {
	case errors.Is(err, gatehouse.ErrLogin):
		fmt.Fprintf(p.stdout, "wrong (%s, %s)\n", info.Format, info.Cost)
		return no()
	case err != nil:
		return err
	}
	fmt.Fprintf(p.stdout, "right (%s, %s)\n", info.Format, info.Cost)
	if result.Rehash {
		fmt.Fprintf(p.stdout, "a log-in replaces it: %s\n", result.Reason)
	}
	return nil
}
