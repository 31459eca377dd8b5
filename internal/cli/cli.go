// Package cli is the gatehouse command: its subcommands, and the one place that wires the packages together.
//
// Exit codes: 0 all is well, or the answer is yes; 1 the answer is no (denied, faults found, tests failed); 2 the command line is wrong;
// 3 it could not be done.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// The exit codes.
const (
	exitOK    = 0
	exitNo    = 1
	exitUsage = 2
	exitFail  = 3
)

// A program is one run of the command: its surroundings, so that tests can bring their own.
type program struct {
	ctx            context.Context
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time
}

type grammar struct {
	Dev     devCommand     `cmd:"" help:"Try Gatehouse: sample tokens and a sample API behind the gate, everything in memory."`
	Serve   serveCommand   `cmd:"" help:"Run the gate."`
	Check   checkCommand   `cmd:"" help:"Check a configuration and say everything that is wrong with it."`
	Explain explainCommand `cmd:"" help:"Say what would happen to a request, and why; or what happened to one."`
	Test    testCommand    `cmd:"" help:"Run policy tests."`
	Hash    hashCommand    `cmd:"" help:"Make secrets and the hashes to store instead of them."`
	Token   tokenCommand   `cmd:"" help:"Make tokens, look into them, end them."`
	Key     keyCommand     `cmd:"" help:"Look after the keys that tokens are signed with."`
	DB      dbCommand      `cmd:"" name:"db" help:"Look after the store."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

const description = `Gatehouse puts authentication and authorization in front of any HTTP application.

Examples:
  gatehouse dev                                     try it: prints curl lines
  gatehouse serve --config gatehouse.yaml           run it
  gatehouse check --config gatehouse.yaml           all faults at once
  gatehouse explain GET /films/1 --token T          what would happen, and why
  gatehouse test                                    run the policy tests
  gatehouse hash token --name ci                    make a token
  gatehouse token issue --subject alice             make a signed token
  gatehouse token inspect < token.txt               what a token says, and why it would be refused
  gatehouse key list                                the keys that tokens are signed with
  gatehouse db migrate --config gatehouse.yaml      bring the store's tables up to date

Exit codes: 0 yes, 1 no (denied, faults, failed tests), 2 wrong usage, 3 could not be done.`

// An exit ends the program with a code. err may be nil: then everything has been said.
type exit struct {
	code int
	err  error
}

func (e exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e exit) Unwrap() error { return e.err }

// no says that the answer is no, and that it has been given.
func no() error { return exit{exitNo, nil} }

// Run runs the command with its arguments (without the program's name) and environment (as NAME=value) and returns the exit code. It returns
// when the command is done, or soon after ctx is.
func Run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{ctx, environ, stdin, stdout, stderr, time.Now}
	err := p.run(args)
	if err == nil {
		return exitOK
	}
	code := exitFail
	if e, ok := errors.AsType[exit](err); ok {
		code = e.code
		if e.err == nil {
			return code
		}
	}
	fmt.Fprintf(stderr, "gatehouse: %v\n", err)
	return code
}

// helped is what kong's exit panics with: it prints help in the midst of parsing.
type helped struct{ code int }

func (p *program) run(args []string) (err error) {
	defer func() {
		if value := recover(); value != nil {
			h, ok := value.(helped)
			if !ok {
				panic(value)
			}
			err = nil
			if h.code != 0 {
				err = exit{h.code, nil}
			}
		}
	}()
	var g grammar
	parser, err := kong.New(&g, kong.Name("gatehouse"), kong.Description(description), kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, WrapUpperBound: 110}),
		kong.Writers(p.stdout, p.stderr), kong.Exit(func(code int) { panic(helped{code}) }), kong.Bind(p))
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return exit{exitUsage, fmt.Errorf("%w\nTry: gatehouse %s--help", err, commandOf(args))}
	}
	return parsed.Run(p)
}

// commandOf returns the subcommand of args with a space behind it, or "".
func commandOf(args []string) string {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return ""
	}
	return args[0] + " "
}

type versionCommand struct{}

// Run prints the version that the build recorded.
func (versionCommand) Run(p *program) error {
	_, err := fmt.Fprintln(p.stdout, "gatehouse", version())
	return err
}

// version returns the module's version, with the commit of a build from a checkout.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	v := info.Main.Version
	if v == "" {
		v = "(devel)"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 && !strings.Contains(v, s.Value[:12]) {
			v += " " + s.Value[:12]
		}
	}
	return v + " " + info.GoVersion
}
