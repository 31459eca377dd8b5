package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse/passwd"
)

type hashCalibrateCommand struct {
	Target  time.Duration `default:"250ms" help:"How long one hash may take."`
	Memory  uint32        `default:"65536" placeholder:"KIB" help:"The most memory that one hash may take, in KiB. A server needs it once for each of its processors."`
	Threads uint8         `default:"1" placeholder:"N" help:"The lanes of a hash. With more than one, each log-in takes as many processors from other requests."`
}

// Help adds to the command's help.
func (hashCalibrateCommand) Help() string {
	return `Measures on this machine, which should do nothing else meanwhile, and prints the strongest parameters that take at most the target, as flags of "hash password". What it does goes to standard error. If even the cheapest parameters worth using take longer, it prints those and the exit code is 1.

Examples:
  gatehouse hash calibrate
  gatehouse hash calibrate --target 100ms --memory 19456
  gatehouse hash password --stdin $(gatehouse hash calibrate) < password.txt`
}

// Run measures and prints.
func (c hashCalibrateCommand) Run(p *program) error {
	if c.Target <= 0 || c.Memory == 0 || c.Threads == 0 {
		return exit{exitUsage, errors.New("--target, --memory and --threads are more than nothing")}
	}
	measured, err := passwd.Calibrate(p.ctx, passwd.CalibrateConfig{
		Target: c.Target, Memory: c.Memory, Threads: c.Threads,
		Progress: func(m passwd.Measurement) {
			fmt.Fprintf(p.stderr, "%s takes %s\n", m.Params, rounded(m.Took))
		},
	})
	switch {
	case err != nil && p.ctx.Err() != nil:
		return err
	case err != nil:
		return exit{exitUsage, err}
	}
	_, err = fmt.Fprintf(p.stdout, "--memory=%d --time=%d --threads=%d\n", measured.Params.Memory, measured.Params.Time, measured.Params.Threads)
	if err == nil && measured.Took > c.Target {
		return exit{exitNo, fmt.Errorf("nothing that is worth using fits into %s here: the cheapest takes %s", c.Target, rounded(measured.Took))}
	}
	return err
}

// rounded shows a duration as precisely as it was measured.
func rounded(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
