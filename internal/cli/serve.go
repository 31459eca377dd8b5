package cli

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/listen"
	"github.com/gatehouse-auth/gatehouse/internal/logs"
)

type serveCommand struct {
	configFlag
}

// Help adds to the command's help.
func (serveCommand) Help() string {
	return `Runs the gate until it is told to stop (SIGTERM, ctrl-c; a second time: at once).

Without a configuration it listens on 127.0.0.1:8080 and lets nobody in. A change of the configuration, or SIGHUP, loads it again: in one step, and only
if it has no fault and its policy tests pass; otherwise the last good one stays in use.

Examples:
  gatehouse serve --config config.json
  GATEHOUSE_SERVER__HTTP__PORT=9000 gatehouse serve`
}

// reloadPoll is how often the files of a configuration are looked at.
const reloadPoll = 500 * time.Millisecond

// Run serves until the program's context is done or a signal comes.
func (c serveCommand) Run(p *program) error {
	set := logs.New(p.stderr, logs.Config{Format: "json"})
	defer set.Flush(time.Second)
	src := c.source(p)
	if hint := src.hint("serve"); hint != "" {
		fmt.Fprintln(p.stderr, "gatehouse:", hint)
	}
	return newServer(src, set, p.now).run(p, func(s *server, addr net.Addr) {
		cfg := s.house.Load().cfg
		s.logger("server_logger").Info("listening", "url", urlOf(addr, cfg.Server.TLS.CertFile != ""), "config", src.name, "version", version())
		if len(cfg.Server.HTTP.AllowedTokens) == 0 && !cfg.HasSessions() && !cfg.HasTokens() {
			s.logger("server_logger").Warn("no credential is valid: list tokens in server.http.allowed_tokens (gatehouse hash token makes one)")
		}
	})
}

func urlOf(addr net.Addr, tls bool) string {
	if tls {
		return "https://" + addr.String()
	}
	return "http://" + addr.String()
}

// run opens the server, calls ready, and serves until it is told to stop.
func (s *server) run(p *program, ready func(*server, net.Addr)) error {
	defer quoteStandardLog(s.logger("server_logger"))()
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	// Signals first: one that comes while the server starts must not kill it in the midst of its first request.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(stop)
	changed, watching := s.watch(ctx)
	defer func() { cancel(); drain(changed, watching) }()
	if err := s.open(ctx); err != nil {
		return p.refused(err)
	}
	defer s.closeVault()
	addr, err := s.start()
	if err != nil {
		return exit{exitFail, explainListen(err)}
	}
	ready(s, addr)
	for {
		select {
		case <-hup:
			s.reload(ctx)
		case <-changed:
			if s.changed() {
				s.reload(ctx)
			}
		case err := <-s.main.Failed():
			return exit{exitFail, err}
		case <-stop:
			return s.finish(stop)
		case <-ctx.Done():
			return s.finish(stop)
		}
	}
}

// refused says why a configuration cannot be served.
func (p *program) refused(err error) error {
	if _, ok := errors.AsType[failedTests](err); ok {
		return exit{exitNo, err}
	}
	if _, ok := errors.AsType[storeFault](err); ok {
		return exit{exitFail, err}
	}
	return p.faults(err)
}

// quoteStandardLog sends what libraries write to the standard logger to ours, up to the first quote: behind it net/http repeats what a peer
// sent, and that may be a credential. It returns how to undo it.
func quoteStandardLog(l *slog.Logger) (undo func()) {
	writer, flags := log.Writer(), log.Flags()
	log.SetFlags(0)
	log.SetOutput(standardLog{l})
	return func() { log.SetOutput(writer); log.SetFlags(flags) }
}

type standardLog struct{ *slog.Logger }

func (l standardLog) Write(line []byte) (int, error) {
	text, _, _ := strings.Cut(strings.TrimSpace(string(line)), `"`)
	l.Debug("a library says", "text", text)
	return len(line), nil
}

// watch looks after the files of the configuration in use. It has begun when it returns, before they are first read, so that no change is missed; those
// that turn out to be none are told apart by their content.
func (s *server) watch(ctx context.Context) (changed, ended chan struct{}) {
	changed, ended = make(chan struct{}, 1), make(chan struct{})
	begun := make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	files := func() []string {
		defer begin()
		if h := s.house.Load(); h != nil {
			return s.watched(h)
		}
		return nil
	}
	go func() {
		defer close(ended)
		listen.Watch(ctx, files, reloadPoll, func() { changed <- struct{}{} })
	}()
	<-begun
	return changed, ended
}

// drain lets the watcher end.
func drain(changed <-chan struct{}, ended <-chan struct{}) {
	for {
		select {
		case <-changed:
		case <-ended:
			return
		}
	}
}

// finish stops the server; a second signal cuts what is left.
func (s *server) finish(again <-chan os.Signal) error {
	s.logger("server_logger").Info("shutting down: a second signal ends it at once")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan struct{})
	go func() {
		select {
		case <-again:
			cancel()
		case <-done:
		}
	}()
	err := s.stop(ctx)
	close(done)
	if err != nil {
		s.logger("server_logger").Warn("connections were cut", "error", err.Error())
	}
	s.logger("server_logger").Info("stopped")
	return nil
}

// explainListen says what to do where the address is taken.
func explainListen(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w\nAnother program listens there. Stop it, or choose another port: server.http.port, or GATEHOUSE_SERVER__HTTP__PORT=9000", err)
	}
	return err
}
