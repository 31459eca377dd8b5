package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/internal/config"
)

type hashCommand struct {
	Token     hashTokenCommand     `cmd:"" help:"Make a token and the entry of allowed_tokens that stands for it."`
	Password  hashPasswordCommand  `cmd:"" help:"Print the hash of a password."`
	Verify    hashVerifyCommand    `cmd:"" help:"Say whether a password is that of a hash, of ours or of another system."`
	Calibrate hashCalibrateCommand `cmd:"" help:"Measure what a password's hash may cost on this machine."`
}

type hashTokenCommand struct {
	Stdin bool     `help:"Take the token from the first line of standard input instead of making one."`
	Name  string   `default:"new-token" help:"The token's name, for logs and policy tests."`
	Owner string   `help:"Who the token acts for. Without it: the token's name."`
	Role  []string `sep:"," help:"A role of the token; may be given several times."`
	Scope []string `sep:"," help:"A scope of the token; may be given several times."`
}

// Help adds to the command's help.
func (hashTokenCommand) Help() string {
	return `The token is printed once, on standard error, and stored nowhere: hand it to its owner. What goes to standard output is for the configuration: only the hash.

Examples:
  gatehouse hash token --name ci --role basic
  printf %s "$OLD_TOKEN" | gatehouse hash token --stdin --name legacy`
}

// minTokenLength is where guessing begins to be hopeless for a token that somebody made up.
const minTokenLength = 16

// Run makes or reads a token and prints its entry.
func (c hashTokenCommand) Run(p *program) error {
	if err := c.check(); err != nil {
		return exit{exitUsage, err}
	}
	token := carrier.NewToken()
	if c.Stdin {
		var err error
		if token, err = readToken(p.stdin); err != nil {
			return exit{exitUsage, err}
		}
		if len(token.Reveal()) < minTokenLength {
			fmt.Fprintf(p.stderr, "gatehouse: the token has fewer than %d characters: a stored hash of it can be found out by trying. Better make a new one.\n", minTokenLength)
		}
	} else {
		fmt.Fprintf(p.stderr, "The token, shown only now:\n%s\n\nThe entry for server.http.allowed_tokens:\n", token.Reveal())
	}
	_, err := io.WriteString(p.stdout, c.entry(carrier.HashToken(token.Reveal())))
	return err
}

// check says what the configuration would say of an entry with these flags, before a token is made for nothing.
func (c hashTokenCommand) check() error {
	entry := strings.ReplaceAll(c.entry(carrier.HashToken("any")), "\n", "\n    ")
	text := "server:\n  http:\n   allowed_tokens:\n    " + entry + "\n"
	if len(c.Role) > 0 {
		text += "roles: [" + quoted(c.Role) + "]\n"
	}
	_, err := config.Parse("entry.yaml", []byte(text), config.Options{})
	faults, ok := errors.AsType[config.Faults](err)
	if !ok {
		return err
	}
	key := faults[0].Path[strings.LastIndex(faults[0].Path, ".")+1:]
	return fmt.Errorf("the configuration would refuse this entry: %s: %s", key, faults[0].Message)
}

func (c hashTokenCommand) entry(hash carrier.Hash) string {
	var b strings.Builder
	fmt.Fprintf(&b, "- name: %q\n  hash: %q\n", c.Name, hash)
	if c.Owner != "" {
		fmt.Fprintf(&b, "  owner: %q\n", c.Owner)
	}
	if len(c.Role) > 0 {
		fmt.Fprintf(&b, "  roles: [%s]\n", quoted(c.Role))
	}
	if len(c.Scope) > 0 {
		fmt.Fprintf(&b, "  scopes: [%s]\n", quoted(c.Scope))
	}
	return b.String()
}

func quoted(list []string) string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(texts, ", ")
}

// readToken returns the first line of in.
func readToken(in io.Reader) (gatehouse.Secret, error) {
	line, err := bufio.NewReader(io.LimitReader(in, 8<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return gatehouse.Secret{}, err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" || strings.ContainsFunc(line, func(c rune) bool { return c <= ' ' || c > '~' || c == ',' || c == '"' }) {
		return gatehouse.Secret{}, errors.New("standard input has no token: one line of visible ASCII without space, comma and quote")
	}
	return gatehouse.NewSecret(line), nil
}
