package cli

import (
	"errors"

	"github.com/gatehouse-auth/gatehouse/internal/explain"
)

type testCommand struct {
	configFlag
	Files   []string `arg:"" optional:"" name:"file" help:"Policy test files. Without any: those that the configuration names under tests."`
	Verbose bool     `short:"v" help:"Print the tests that pass as well."`
}

// Help adds to the command's help.
func (testCommand) Help() string {
	return `A policy test says what must become of a request made by somebody. Exit code 0: all of them pass. The format is in docs/policy-tests.md.

Examples:
  gatehouse test
  gatehouse test --config gatehouse.yaml policy/films.yaml`
}

// Run runs policy tests against a configuration.
func (c testCommand) Run(p *program) error {
	h, err := p.open(c.source(p))
	if err != nil {
		return err
	}
	suite := h.suite
	if len(c.Files) > 0 {
		suite, err = explain.LoadTests(c.Files, "")
		if err == nil {
			err = suite.CheckTokens(callers(h.cfg))
		}
		if err != nil {
			return exit{exitNo, err}
		}
	}
	if suite == nil {
		return exit{exitUsage, errors.New("there are no policy tests: name files, or list them under tests in the configuration (see docs/policy-tests.md)")}
	}
	result := suite.Run(h.judge, h.status, h.identity)
	result.WriteText(p.stdout, c.Verbose)
	if len(result.Failures) > 0 {
		return no()
	}
	return nil
}
