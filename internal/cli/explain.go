package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/internal/config"
	"github.com/gatehouse-auth/gatehouse/internal/explain"
)

type explainCommand struct {
	configFlag
	Method  string   `arg:"" optional:"" help:"The method, such as GET."`
	URL     string   `arg:"" optional:"" name:"url" help:"A path with or without query, or a URL whose host counts."`
	As      string   `placeholder:"USER" help:"Judge as if this caller had been proved: a token's name, its owner, or any subject."`
	Role    []string `sep:"," help:"A role of the caller of --as."`
	Scope   []string `sep:"," help:"A scope of the caller of --as."`
	Token   string   `placeholder:"T" help:"Send this token in the first way that the configuration takes; - reads it from standard input."`
	Header  []string `short:"H" sep:"none" placeholder:"K:V" help:"Send this header; may be given several times."`
	JSON    bool     `name:"json" help:"Print JSON."`
	Request string   `placeholder:"ID" help:"Ask the running server about a request that it denied."`
	Admin   string   `placeholder:"ADDRESS" help:"Where the running server's admin listener is: unix:PATH or HOST:PORT. Without it: as configured."`
}

// Help adds to the command's help.
func (explainCommand) Help() string {
	return `Sends a request the way that a real one takes, and prints each step and the decision. Nothing is forwarded. Exit code 0: allowed, 1: denied.

Examples:
  gatehouse explain GET /films/1
  gatehouse explain DELETE /films/1 --as ci
  gatehouse explain GET https://app.example.org/films --as alice --role basic
  gatehouse explain GET /films -H 'X-API-Key: secret' --json
  gatehouse explain --request 4XJ2ZB5A6C7D8E9F`
}

// Run explains a request.
func (c explainCommand) Run(p *program) error {
	report, err := c.report(p)
	if err != nil {
		return err
	}
	if c.JSON {
		out := json.NewEncoder(p.stdout)
		out.SetIndent("", "  ")
		err = out.Encode(report)
	} else {
		err = report.WriteText(p.stdout)
	}
	if err == nil && report.Decision != "allow" {
		return no()
	}
	return err
}

func (c explainCommand) report(p *program) (explain.Report, error) {
	switch {
	case c.Request != "" && (c.Method != "" || c.As != "" || len(c.Header) > 0):
		return explain.Report{}, exit{exitUsage, errors.New("--request asks about a request that was made: leave METHOD, URL, --as and --header out")}
	case c.Request != "":
		return c.asked(p)
	case c.Method == "" || c.URL == "":
		return explain.Report{}, exit{exitUsage, errors.New("say which request: gatehouse explain GET /films/1 (or --request ID for one that was denied)")}
	case c.As != "" && c.Token != "":
		return explain.Report{}, exit{exitUsage, errors.New("--as and --token exclude each other: the one replaces the credential, the other sends one")}
	case c.As == "" && len(c.Role)+len(c.Scope) > 0:
		return explain.Report{}, exit{exitUsage, errors.New("--role and --scope describe the caller of --as: name one")}
	}
	h, err := p.open(c.source(p))
	if err != nil {
		return explain.Report{}, err
	}
	return c.explain(p, h)
}

// explain judges the request of the command line by h.
func (c explainCommand) explain(p *program, h *house) (explain.Report, error) {
	headers := c.Header
	if c.Token != "" {
		header, err := c.credential(p, h.cfg)
		if err != nil {
			return explain.Report{}, err
		}
		headers = append(headers, header)
	}
	r, err := explain.NewRequest(p.ctx, c.Method, c.URL, publicHost(h.cfg), headers)
	if err != nil {
		return explain.Report{}, exit{exitUsage, err}
	}
	done, err := h.lookIntoStore(p, r)
	if err != nil {
		return explain.Report{}, err
	}
	defer done()
	v := h.judge(r, c.identity(h))
	status := http.StatusOK
	if v.Problem != nil {
		status = h.status(v.Problem.Code)
	}
	return explain.NewReport(v, status).For(r), nil
}

// publicHost is the host of requests that name none.
func publicHost(c *config.Config) string {
	u, err := url.Parse(c.Server.PublicURL)
	if err != nil {
		return ""
	}
	return u.Host
}

// credential returns the header line that carries the token.
func (c explainCommand) credential(p *program, cfg *config.Config) (string, error) {
	token := c.Token
	if token == "-" {
		secret, err := readToken(p.stdin)
		if err != nil {
			return "", exit{exitUsage, err}
		}
		token = secret.Reveal()
	}
	if cfg.HasBearer() && (strings.Count(token, ".") == 2 || strings.HasPrefix(token, "gh_") && strings.Contains(token, ".")) {
		return "Authorization: Bearer " + token, nil // signed, or known to the store: no static token looks like that
	}
	for _, c := range cfg.Carriers {
		switch {
		case c.Header != "":
			return c.Header + ": " + token, nil
		case c.Kind == "authorization":
			return "Authorization: " + cfg.Server.HTTP.AuthScheme[0] + " " + token, nil
		case c.Kind == "bearer":
			return "Authorization: Bearer " + token, nil
		}
	}
	return "", exit{exitUsage, errors.New("--token has no way to travel: the configuration's carriers name session alone")}
}

// identity returns the caller that --as names, or nil. Somebody whom no token knows has only the roles and scopes of the flags.
func (c explainCommand) identity(h *house) *gatehouse.Identity {
	if c.As == "" {
		return nil
	}
	if c.As == "anonymous" {
		return &gatehouse.Identity{}
	}
	id, ok := h.identity(c.As)
	if !ok {
		id = gatehouse.Identity{Value: c.As}
	}
	id.Roles = append(id.Roles[:len(id.Roles):len(id.Roles)], c.Role...)
	id.Scopes = append(id.Scopes[:len(id.Scopes):len(id.Scopes)], c.Scope...)
	return &id
}

// askTimeout bounds a question to the running server.
const askTimeout = 5 * time.Second

// asked asks the running server.
func (c explainCommand) asked(p *program) (explain.Report, error) {
	client, base, header, err := c.adminClient(p)
	if err != nil {
		return explain.Report{}, err
	}
	ctx, cancel := context.WithTimeout(p.ctx, askTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/admin/explain/"+url.PathEscape(c.Request), nil)
	if err != nil {
		return explain.Report{}, err
	}
	r.Header = header
	resp, err := client.Do(r)
	if err != nil {
		return explain.Report{}, fmt.Errorf("the running server cannot be asked: %w\nIs it running, and is its admin listener there? Name it with --admin unix:PATH or --config FILE", err)
	}
	defer resp.Body.Close()
	return readReport(resp)
}

func readReport(resp *http.Response) (report explain.Report, err error) {
	body := io.LimitReader(resp.Body, 1<<20)
	if resp.StatusCode == http.StatusOK {
		if err := json.NewDecoder(body).Decode(&report); err != nil || report.Decision == "" {
			return report, exit{exitFail, errors.New("what answered is not the admin listener of Gatehouse: check --admin or server.admin.listen")}
		}
		return report, nil
	}
	var said struct{ Detail string }
	if json.NewDecoder(body).Decode(&said) != nil || said.Detail == "" {
		said.Detail = "the server answered " + resp.Status
	}
	return report, exit{exitFail, errors.New(said.Detail)}
}

// adminClient returns how to reach the admin listener.
func (c explainCommand) adminClient(p *program) (client *http.Client, base string, header http.Header, err error) {
	address, header := c.Admin, http.Header{}
	if address == "" || c.Token != "" {
		cfg, err := c.source(p).load()
		if err != nil {
			return nil, "", nil, p.faults(err)
		}
		if address == "" {
			address = cfg.Server.Admin.Listen.Address
			if cfg.Server.Admin.Listen.Network == "unix" {
				address = "unix:" + address
			}
		}
		if c.Token != "" {
			line, err := c.credential(p, cfg)
			if err != nil {
				return nil, "", nil, err
			}
			name, value, _ := strings.Cut(line, ": ")
			header.Set(name, value)
		}
	}
	client, base = adminAt(address)
	return client, base, header, nil
}

// adminAt returns a client for the admin listener at address, and its base URL. The question may carry the token of the highest role, so it goes
// there and nowhere else: neither to a proxy that the environment names nor where the answer points to.
func adminAt(address string) (*http.Client, string) {
	transport, base := &http.Transport{Proxy: nil}, "http://"+address
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		base = "http://gatehouse"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Transport: transport, CheckRedirect: stay}, base
}
