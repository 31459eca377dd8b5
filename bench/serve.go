package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/gateway"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/policy"
)

// The environment of a process that serves a variant: its name, and where the application is.
const (
	serveVariable = "GATEHOUSE_BENCH_SERVE"
	appVariable   = "GATEHOUSE_BENCH_APP"
)

// A variant is one way to answer a request.
type variant struct {
	name    string
	request string   // as it is sent
	against []string // the variants that it is compared with
}

const (
	head        = " HTTP/1.1\r\nHost: films.example\r\nUser-Agent: bench\r\nAccept: */*\r\n"
	staticToken = "gh_key_AAAAAAAAAAAAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBBBBBBBBBBB"
	with        = "Authorization: Bearer " + staticToken + "\r\n"

	question = "GET /authz/nginx" + head + with + "X-Forwarded-Method: GET\r\nX-Forwarded-Host: films.example\r\nX-Forwarded-Uri: /films/7\r\n" +
		"X-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n"
)

// allVariants returns everything that can be measured here and now.
func allVariants() ([]variant, error) {
	signed, err := jwtVariants()
	return slices.Concat(ownVariants, signed, sessionVariants()), err
}

var ownVariants = []variant{
	{"bare", "GET /films/7" + head + with + "\r\n", nil},
	{"guard", "GET /films/7" + head + with + "\r\n", []string{"bare"}},
	{"guard-denied", "GET /films/7" + head + "\r\n", []string{"bare"}},
	{"bare-question", question, []string{"bare"}}, // what reading a question costs by itself
	{"forward-auth", question, []string{"bare", "bare-question"}},
	{"std-proxy", "GET /films/7" + head + with + "\r\n", []string{"bare"}},
	{"proxy-open", "GET /public/7" + head + "\r\n", []string{"bare", "std-proxy"}},
	{"proxy-auth", "GET /films/7" + head + with + "\r\n", []string{"bare", "std-proxy", "proxy-open"}},
}

// serve answers as the variant says until the process ends. It prints its address.
func serve(name string, out io.Writer) error {
	handler, err := handlerOf(name)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, listener.Addr())
	return (&http.Server{Handler: handler}).Serve(listener)
}

func bare(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") }

// handlerOf builds a variant.
func handlerOf(name string) (http.Handler, error) {
	if kind, ok := strings.CutPrefix(name, "guard-"); ok && kind != "denied" {
		g, err := guardOf(kind)
		return g.Handler(http.HandlerFunc(bare)), err
	}
	if kind, ok := strings.CutPrefix(name, "authz-"); ok {
		g, err := guardOf(kind)
		if err != nil {
			return nil, err
		}
		return forwardAuth(g)
	}
	app := &url.URL{Scheme: "http", Host: os.Getenv(appVariable)}
	g, err := newGuard(100)
	if err != nil {
		return nil, err
	}
	switch name {
	case "app", "bare", "bare-question":
		return http.HandlerFunc(bare), nil
	case "guard", "guard-denied":
		return g.Handler(http.HandlerFunc(bare)), nil
	case "forward-auth":
		return forwardAuth(g)
	case "std-proxy":
		return &httputil.ReverseProxy{
			Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
			Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(app); r.SetXForwarded() },
		}, nil
	case "proxy-open", "proxy-auth":
		return gateway.NewProxy(gateway.ProxyConfig{Guard: g, Upstreams: []gateway.Upstream{{Name: "app", URL: app}}})
	}
	return nil, fmt.Errorf("there is no variant %q", name)
}

// guardOf returns a guard over sessions of a kind of store, or over signed tokens.
func guardOf(kind string) (*guard.Guard, error) {
	if algorithm, ok := strings.CutPrefix(kind, signed); ok {
		return newJWTGuard(keyring.Algorithm(algorithm))
	}
	return newSessionGuard(kind)
}

func forwardAuth(g *guard.Guard) (http.Handler, error) {
	trusted, err := gateway.TrustProxies("127.0.0.1")
	if err != nil {
		return nil, err
	}
	return gateway.NewForwardAuth(gateway.ForwardAuthConfig{Guard: g, Trusted: trusted})
}

// newTable returns a table with so many rules.
func newTable(size int) (*policy.Table, error) {
	rules := []policy.Rule{
		{Path: "/public/**", Allow: policy.Anyone()},
		{Path: "/films/{id}", Methods: []string{"GET"}, Allow: policy.Role("basic")},
		{Path: "/**", Allow: policy.Role("admin")},
	}
	for i := range size {
		rules = append(rules, policy.Rule{Path: fmt.Sprintf("/resource%d/{id}/parts/**", i), Allow: policy.Authenticated()})
	}
	return policy.New(policy.Config{Roles: policy.RoleList("basic", "premium", "admin"), Rules: rules})
}

// newGuard returns a guard with so many rules and tokens.
func newGuard(size int) (*guard.Guard, error) {
	tokens := []carrier.StaticToken{{Name: "jack", Hash: carrier.HashToken(staticToken), Roles: []string{"basic"}, Email: "jack@example.org", Kind: gatehouse.KindUser}}
	for i := range size {
		name := fmt.Sprintf("token%d", i)
		tokens = append(tokens, carrier.StaticToken{Name: name, Hash: carrier.HashToken(name)})
	}
	table, err := newTable(size)
	if err != nil {
		return nil, err
	}
	static, err := carrier.NewStatic(tokens)
	if err != nil {
		return nil, err
	}
	find := func(ctx context.Context, token string) (gatehouse.Identity, error) { return static.Lookup(ctx, token) }
	return guard.New(guard.Config{
		Carriers: []carrier.Carrier{carrier.Header("Bearer", find), carrier.NamedHeader("X-API-Key", find)},
		Policy:   guard.AsSubject{Table: table}, Rules: table, Logger: slog.New(slog.DiscardHandler),
	})
}
