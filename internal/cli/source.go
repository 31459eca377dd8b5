package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/config"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// The names that commands look for in the working folder.
const (
	usualFile = "gatehouse.yaml"
	otherFile = "config.json"
)

// configFlag is the flag that all commands with a configuration share.
type configFlag struct {
	Config string `short:"c" placeholder:"FILE" help:"The configuration, YAML or JSON by its ending. Without it: gatehouse.yaml in the working folder, if there is one."`
}

// A source is where a configuration comes from, time and again.
type source struct {
	name string                         // of the file, or "" where there is none
	load func() (*config.Config, error) // the error is of type config.Faults
	read *reading                       // what load has read; may be nil
}

// A reading remembers which files a configuration was read from, missing ones included: when they appear, the configuration is another one. Of one that has faults it
// has what could be read.
type reading struct {
	mu    sync.Mutex
	names []string
	cfg   *config.Config
	sound func(path string) bool
}

// maxFile bounds what is read of a file; the configuration refuses what is that large.
const maxFile = 4<<20 + 1

// pipeTimeout bounds reading a pipe, such as the shell's <(…).
const pipeTimeout = 5 * time.Second

func (r *reading) file(name string) ([]byte, error) {
	r.mu.Lock()
	if !slices.Contains(r.names, name) {
		r.names = append(r.names, name)
	}
	r.mu.Unlock()
	return readFile(name)
}

// readFile reads a file that a configuration names, or as much of it as can count. It does not wait for a named pipe that nobody writes to: a
// reload that hung there would keep the server from being stopped.
func readFile(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	_ = f.SetReadDeadline(time.Now().Add(pipeTimeout)) // only a pipe has one, and only a pipe needs it
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	if info, statErr := f.Stat(); err == nil && len(text) == 0 && statErr == nil && info.Mode()&fs.ModeNamedPipe != 0 {
		return nil, errors.New("it is a pipe, and nobody writes to it")
	}
	return text, err
}

// begin forgets the files of the last time.
func (r *reading) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names, r.cfg, r.sound = nil, nil, nil
}

// unfinished keeps a configuration with faults.
func (r *reading) unfinished(c *config.Config, sound func(path string) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cfg, r.sound = c, sound
}

// more adds to the error of a configuration what compiling the rest of it would find. If that is not to be had, because the rest is like nothing that is ever compiled, what is known is
// enough: a server that reads its configuration anew must go on.
func (r *reading) more(err error, around *surroundings) (all error) {
	defer func() {
		if recover() != nil {
			all = err
		}
	}()
	faults, ok := errors.AsType[config.Faults](err)
	if r == nil || !ok {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cfg == nil {
		return err
	}
	return append(slices.Clone(faults), examine(r.cfg, r.sound, around)...).Sort()
}

func (r *reading) files() []string {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.names)
}

// source finds the configuration. Without a file everything has its default.
func (f configFlag) source(p *program) source {
	name := f.Config
	if name == "" {
		if _, err := os.Stat(usualFile); errors.Is(err, os.ErrNotExist) {
			return source{load: func() (*config.Config, error) { return config.Default("(no configuration file)", p.configOptions()) }}
		}
		name = usualFile
	}
	read := &reading{}
	return source{name, func() (*config.Config, error) {
		read.begin()
		opts := p.configOptions()
		opts.ReadFile, opts.Unfinished = read.file, read.unfinished
		return config.Load(name, opts)
	}, read}
}

// hint says which file was not read although it lies there, or returns "".
func (s source) hint(command string) string {
	if s.name != "" {
		return ""
	}
	if _, err := os.Stat(otherFile); err != nil {
		return ""
	}
	return fmt.Sprintf("%s lies here and was not read. To read it: gatehouse %s --config %s", otherFile, command, otherFile)
}

func (p *program) configOptions() config.Options {
	situations := map[string]string{}
	for _, info := range problem.Catalogue {
		situations[string(info.Code)] = info.Fixed
	}
	return config.Options{Environ: p.environ, Situations: situations}
}

// open loads and compiles the configuration for a command that asks about it. Faults are printed, each on a line.
func (p *program) open(s source) (*house, error) {
	h, err := load(s, p.quiet())
	if err != nil {
		return nil, p.faults(err)
	}
	return h, nil
}

func load(s source, around *surroundings) (*house, error) {
	c, err := s.load()
	if err != nil {
		return nil, s.read.more(err, around)
	}
	return build(c, around)
}

// faults prints the faults of a configuration. The error that it returns says how many there are.
func (p *program) faults(err error) error {
	list, ok := errors.AsType[config.Faults](err)
	if !ok {
		return exit{exitNo, err}
	}
	for _, f := range list {
		fmt.Fprintln(p.stderr, f)
	}
	return exit{exitNo, errors.New(count(len(list), "fault") + ": mend the configuration and try again")}
}

// count returns "1 fault", "2 faults".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
