package cli

import (
	"crypto/tls"
	"fmt"

	"github.com/gatehouse-auth/gatehouse/internal/config"
)

type checkCommand struct {
	configFlag
	Schema bool `help:"Print the JSON Schema of the configuration instead."`
}

// Help adds to the command's help.
func (checkCommand) Help() string {
	return `Prints every fault as file:line:column, then the warnings, and runs the policy tests that the configuration names. Exit code 0: serve would take it.

Examples:
  gatehouse check --config gatehouse.yaml
  gatehouse check --schema > gatehouse.schema.json`
}

// Run checks a configuration as serve would.
func (c checkCommand) Run(p *program) error {
	if c.Schema {
		_, err := p.stdout.Write(config.Schema())
		return err
	}
	src := c.source(p)
	h, err := p.open(src)
	if err != nil {
		return err
	}
	for _, w := range h.cfg.Warnings {
		fmt.Fprintf(p.stdout, "%s (warning)\n", w)
	}
	if err := checkPair(h.cfg); err != nil {
		return p.faults(err)
	}
	result := h.test()
	if len(result.Failures) > 0 {
		return exit{exitNo, failedTests{result}}
	}
	name := src.name
	if name == "" {
		name = "no configuration file"
	}
	if hint := src.hint("check"); hint != "" {
		fmt.Fprintln(p.stderr, "gatehouse:", hint)
	}
	fmt.Fprintf(p.stdout, "%s: no faults, %s, %s, %s, %s passed\n", name, count(len(h.cfg.Warnings), "warning"), count(len(h.cfg.Rules), "rule"),
		count(len(h.cfg.Server.HTTP.AllowedTokens), "token"), count(result.Passed, "policy test"))
	return nil
}

// checkPair loads the certificate, which only serve would do otherwise.
func checkPair(c *config.Config) error {
	pair := c.Server.TLS
	if pair.CertFile == "" {
		return nil
	}
	if _, err := tls.LoadX509KeyPair(inDir(c, pair.CertFile), inDir(c, pair.KeyFile)); err != nil {
		return config.Faults{c.Fault("server.tls", "the certificate and key cannot be used: %v", err)}
	}
	return nil
}
