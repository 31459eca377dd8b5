package cli

import (
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/internal/config"
	"github.com/gatehouse-auth/gatehouse/internal/listen"
	"github.com/gatehouse-auth/gatehouse/internal/logs"
)

type devCommand struct {
	Config string  `short:"c" placeholder:"FILE" help:"Run this configuration instead of the sample, with everything in memory. Secrets may be as weak as they are."`
	Host   *string `placeholder:"ADDRESS" help:"The address to listen on; of this machine only. Without it 127.0.0.1, or what the configuration says."`
	Port   *int    `help:"The port; 0 takes a free one. Without it 8080, or what the configuration says."`
	TLS    bool    `name:"tls" help:"Listen with TLS, by a self-signed certificate that is made once, in gatehouse-data/dev."`
}

// Help adds to the command's help.
func (devCommand) Help() string {
	return `Everything is in memory and for this machine only: two tokens, a client that gets signed ones, a sample API, and rules between them. It prints what to try, and a line for each request.

Examples:
  gatehouse dev
  gatehouse dev --port 9000 --tls
  gatehouse dev --config gatehouse.yaml`
}

//go:embed dev.yaml
var devConfig []byte

// Run serves the sample until it is told to stop.
func (c devCommand) Run(p *program) error {
	if c.Host != nil && !listen.IsLoopback(*c.Host) {
		return notLoopback(*c.Host)
	}
	if c.Config != "" {
		return c.runFile(p)
	}
	upstream, stop, err := startSample()
	if err != nil {
		return err
	}
	defer stop()
	socketDir, err := os.MkdirTemp("", "gatehouse-dev-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(socketDir)
	src, err := c.source(p, upstream, filepath.Join(socketDir, "admin.sock"))
	if err != nil {
		return err
	}
	set := logs.New(p.stderr, logs.Config{Format: "text", Levels: map[string]slog.Level{logs.Root: slog.LevelWarn}}) // as the sample says, before it is read
	defer set.Flush(time.Second)
	s := newServer(src, set, p.now)
	s.around.development = true
	s.observed = func(d guard.Description) { fmt.Fprintln(p.stderr, describe(d)) }
	return s.run(p, func(s *server, addr net.Addr) { c.welcome(p, s.house.Load().cfg, addr) })
}

func notLoopback(host string) error {
	return exit{exitUsage, fmt.Errorf("%s can be reached from other machines, and in dev tokens and secrets may be known to everybody: dev listens on 127.0.0.1, ::1 or localhost only. For others: gatehouse serve", host)}
}

// runFile serves a configuration of the user's own. What it makes is gone with it: sessions, tokens, keys, and what was revoked.
func (c devCommand) runFile(p *program) error {
	if c.TLS {
		return exit{exitUsage, errors.New("--tls is for the sample: with --config, set server.tls there")}
	}
	socketDir, err := os.MkdirTemp("", "gatehouse-dev-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(socketDir)
	own := *p
	own.environ = append(append([]string{}, p.environ...), "GATEHOUSE_SERVER__ADMIN__LISTEN=unix:"+filepath.Join(socketDir, "admin.sock"))
	if c.Host != nil {
		own.environ = append(own.environ, "GATEHOUSE_SERVER__HTTP__HOST="+*c.Host)
	}
	if c.Port != nil {
		own.environ = append(own.environ, "GATEHOUSE_SERVER__HTTP__PORT="+strconv.Itoa(*c.Port))
	}
	src := configFlag{c.Config}.source(&own)
	if cfg, err := src.load(); err == nil && !listen.IsLoopback(cfg.Server.HTTP.Host) {
		return notLoopback(cfg.Server.HTTP.Host)
	}
	set := logs.New(p.stderr, logs.Config{Format: "text"})
	defer set.Flush(time.Second)
	s := newServer(src, set, p.now)
	s.around.development = true
	s.observed = func(d guard.Description) { fmt.Fprintln(p.stderr, describe(d)) }
	return s.run(p, func(s *server, addr net.Addr) {
		fmt.Fprintf(p.stdout, "Gatehouse dev: %s in memory, for this machine only, on %s. ctrl-c ends it.\n", src.name, urlOf(addr, s.house.Load().cfg.Server.TLS.CertFile != ""))
	})
}

// source is the embedded configuration with what the flags say.
func (c devCommand) source(p *program, upstream, socket string) (source, error) {
	cert, key := "", ""
	if c.TLS {
		var err error
		if cert, key, err = listen.SelfSigned(filepath.Join("gatehouse-data", "dev"), c.host()); err != nil {
			return source{}, err
		}
	}
	return source{load: func() (*config.Config, error) {
		opts := p.configOptions()
		// The sample is the same for everybody: settings for a real server stay out of it.
		opts.Environ = []string{
			"GATEHOUSE_DEV_UPSTREAM=" + upstream,
			"GATEHOUSE_SERVER__HTTP__HOST=" + c.host(),
			"GATEHOUSE_SERVER__HTTP__PORT=" + strconv.Itoa(c.port()),
			"GATEHOUSE_SERVER__ADMIN__LISTEN=unix:" + socket,
		}
		if c.TLS {
			opts.Environ = append(opts.Environ, "GATEHOUSE_SERVER__TLS__CERT_FILE="+cert, "GATEHOUSE_SERVER__TLS__KEY_FILE="+key)
		}
		cfg, err := config.Parse("dev.yaml", devConfig, opts)
		if err != nil {
			return nil, err
		}
		cfg.File, cfg.Warnings = "", nil // the sample's tokens are no secrets
		return cfg, nil
	}}, nil
}

// port returns the port of the flag, or a free one where that is taken: somebody who tries things out has other servers running.
func (c devCommand) port() int {
	port := 8080
	if c.Port != nil {
		port = *c.Port
	}
	l, err := net.Listen("tcp", net.JoinHostPort(c.host(), strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return 0
	}
	if err == nil {
		l.Close()
	}
	return port
}

func (c devCommand) host() string {
	if c.Host == nil {
		return "127.0.0.1"
	}
	return *c.Host
}

// describe is the line for a request.
func describe(d guard.Description) string {
	who := d.Subject
	if who == "" {
		who = "anonymous"
	}
	line := fmt.Sprintf("%d %-5s %-7s %s  %s", d.Status, d.Decision, strings.Trim(strconv.QuoteToGraphic(d.Method), `"`), strconv.QuoteToGraphic(d.Path), who)
	if d.Rule != "" {
		line += "  rule " + strconv.QuoteToGraphic(d.Rule)
	}
	if d.Reason != "" {
		line += "  " + d.Reason + "  request " + d.RequestID
	}
	return line
}

// A trial is a line to try, with what it answers.
type trial struct {
	args, path string
	status     int
	about      string
}

var trials = []trial{
	{"", "/", 200, "a public path, as nobody"},
	{"", "/films", 401, "no credential"},
	{"-H 'Authorization: Token alice-token' ", "/films", 200, "alice may list films"},
	{"-H 'X-API-Key: alice-token' ", "/films/1", 200, "another header, the same token"},
	{"-H 'Authorization: Token alice-token' -X DELETE ", "/films/1", 403, "alice may not delete one"},
	{"-H 'Authorization: Token root-token' -X DELETE ", "/films/1", 204, "root may"},
	{"-H 'Authorization: Token root-token' -d '{\"title\":\"Andor\"}' ", "/films", 201, "and add one"},
	{"-H 'Authorization: Token wrong' ", "/films", 401, "an unknown token"},
	{"--path-as-is -H 'Authorization: Token alice-token' ", "/public/../films", 400, "not canonical: refused before anything else"},
	{"-H 'Authorization: Token alice-token' -H 'Remote-User: root' ", "/", 200, "alice stays alice, whatever she claims to be"},
}

// robot is how the client of the sample proves itself.
const robot = "-u robot:robot-secret "

// The life of a signed token. The shell keeps it in TOKEN.
var (
	grantTrial  = trial{robot + "-d grant_type=client_credentials ", "/oauth/token", 200, "a program gets a signed token for its secret"}
	tokenTrials = []trial{
		{"-H \"Authorization: Bearer $TOKEN\" ", "/films", 200, "with it, it may list films"},
		{"-H \"Authorization: Bearer $TOKEN\" -X DELETE ", "/films/2", 403, "and no more than that"},
		{"-H \"Authorization: Bearer ${TOKEN}x\" ", "/films", 401, "a token that was changed"},
		{robot + "-d token=$TOKEN ", "/oauth/revoke", 200, "the program revokes it"},
		{"-H \"Authorization: Bearer $TOKEN\" ", "/films", 401, "from then on it is of no use, although it has not expired"},
	}
)

// print writes the trial as lines to paste.
func (t trial) print(b *strings.Builder, curl, base string) {
	fmt.Fprintf(b, "  # %d: %s\n  %s%s%s%s\n", t.status, t.about, curl, t.args, base, t.path)
}

// welcome prints what there is to try.
func (c devCommand) welcome(p *program, cfg *config.Config, addr net.Addr) {
	base := urlOf(addr, c.TLS)
	ca := ""
	if c.TLS {
		ca = "--cacert " + cfg.Server.TLS.CertFile + " "
	}
	curl := "curl -i " + ca
	var b strings.Builder
	fmt.Fprintf(&b, "Gatehouse dev: a sample, in memory, for this machine only. ctrl-c ends it.\n\n")
	fmt.Fprintf(&b, "  the gate   %s\n  behind it  %s (a sample API that knows nothing of tokens)\n", base, cfg.Upstream[config.DefaultUpstream].URL)
	fmt.Fprintf(&b, "  tokens     alice-token (role basic), root-token (role admin)\n  clients    robot, whose secret is robot-secret\n\nTry:\n\n")
	for _, t := range trials {
		t.print(&b, curl, base)
	}
	fmt.Fprintf(&b, "\nSigned tokens:\n\n")
	grantTrial.print(&b, curl, base)
	fmt.Fprintf(&b, "  TOKEN=$(curl -s %s%s%s%s | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\n", ca, grantTrial.args, base, grantTrial.path)
	for _, t := range tokenTrials {
		t.print(&b, curl, base)
	}
	fmt.Fprintf(&b, "\nWhy was a request denied? Take the id from its X-Request-Id header:\n\n  %s explain --admin unix:%s --request ID\n\n", called(os.Args[0]), cfg.Server.Admin.Listen.Address)
	fmt.Fprint(p.stdout, b.String())
}

// called returns how the program was called, for lines to paste. "go run" leaves a program that nobody can call again.
func called(program string) string {
	if strings.Contains(program, "go-build") {
		return "go run ./cmd/gatehouse"
	}
	return program
}
