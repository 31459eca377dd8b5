package e2e

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/testbed"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/postgres"
	"github.com/gatehouse-auth/gatehouse/store/sqlite"
	"github.com/gatehouse-auth/gatehouse/token"
)

// The tests in files named nodes_… run several processes of the binary on one store, kill them and their stores, and hold what was acknowledged against what is accepted afterwards.

const (
	fleetIssuer = "https://gate.example.org"
	operator    = "operator" // a client that may do everything at /oauth
	operatorKey = "a secret of the operator, of some length"
	// bound is tokens.revocation.bound, by default: later than that after it was acknowledged, nothing that was revoked is accepted anywhere.
	bound = 5 * time.Second
)

// fleetConfig is for every node of a fleet. Refused tokens are no news in these tests, so the access log is quiet; the grace is longer than any of them, so that no answer
// depends on how fast this machine is.
var fleetConfig = fmt.Sprintf(`
carriers: [bearer]
log: {level: [{logger: access, level: WARN}]}
clients: [{id: %s, secret_hash: "sha256:%x", may: [introspect, revoke, follow]}]
tokens: {issuer: "%s", access: {ttl: 1h}, refresh: {grace: 1h}}
rules: [{path: "/bounded/**", allow: authenticated, on_store_loss: bounded(60s)}, {path: "/**", allow: authenticated}]
`, operator, sha256.Sum256([]byte(operatorKey)), fleetIssuer)

// needFleet skips the test where nobody has asked for servers: these tests keep a machine busy.
func needFleet(t *testing.T) {
	t.Helper()
	if os.Getenv(testbed.DemandServers) != "1" {
		t.Skipf("several processes of the binary on one store run with %s=1 alone", testbed.DemandServers)
	}
}

// A ground is the store that a fleet stands on.
type ground struct {
	postgres *testbed.Postgres // nil for SQLite
	redis    *testbed.Redis    // nil if there is none
	url      string            // of PostgreSQL
	file     string            // of SQLite
	env      []string
}

func onSQLite(t *testing.T) *ground {
	t.Helper()
	file := filepath.Join(shortDir(t), "gatehouse.db")
	return &ground{file: file, env: []string{"GATEHOUSE_STORE__URL=sqlite:" + file}}
}

func onPostgres(t *testing.T) *ground {
	t.Helper()
	server := testbed.StartPostgres(t)
	address := server.NewDatabase()
	return &ground{postgres: server, url: address, env: []string{"GATEHOUSE_STORE__URL=" + address}}
}

func onPostgresWithRedis(t *testing.T) *ground {
	t.Helper()
	g := onPostgres(t)
	g.redis = testbed.StartRedis(t)
	g.env = append(g.env, "GATEHOUSE_STORE__REDIS="+g.redis.URL)
	return g
}

// sql is a connection of the test's own to the database.
func (g *ground) sql(t *testing.T) *sql.DB {
	t.Helper()
	if g.postgres == nil {
		db, err := sqlite.Open(t.Context(), g.file)
		return opened(t, db, err).SQL()
	}
	db, err := sql.Open("pgx", g.url)
	return opened(t, db, err)
}

// A fleet is gatehouses on one store.
type fleet struct {
	*ground
	nodes  []*gate
	config string
	master *keyring.Master
	client *http.Client

	restarted func(*gate) // is told of a node 0 that was started again; may be nil
}

// beginFleet starts n gatehouses on the ground. Changes are texts of fleetConfig and what they are replaced by.
func beginFleet(t *testing.T, on *ground, n int, changes ...string) *fleet {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	f := &fleet{ground: on, config: strings.NewReplacer(changes...).Replace(fleetConfig), master: keyring.NewMaster(), client: &http.Client{Transport: transport, Timeout: calm}}
	f.env = append(slices.Clone(on.env), "GATEHOUSE_STORE__MASTER_KEY="+f.master.Text().Reveal())
	for range n {
		f.nodes = append(f.nodes, beginIn(t, shortDir(t), f.config, f.env...))
	}
	return f
}

// restart starts a node again that has ended, in its folder.
func (f *fleet) restart(t *testing.T, i int) {
	t.Helper()
	f.nodes[i] = beginIn(t, f.nodes[i].dir, f.config, f.env...)
	if i == 0 && f.restarted != nil {
		f.restarted(f.nodes[0])
	}
}

// kill ends a node as a lack of memory would.
func (f *fleet) kill(t *testing.T, i int) {
	t.Helper()
	if err := f.nodes[i].process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	f.nodes[i].wait(t)
}

// command runs a command beside the nodes, with their configuration.
func (f *fleet) command(t *testing.T, args ...string) outcome {
	t.Helper()
	return gatehouse(t, f.nodes[0].dir, f.env, args...)
}

// mustRun is command for one that must do what it is asked to. It returns what was printed, without the line's end.
func (f *fleet) mustRun(t *testing.T, args ...string) string {
	t.Helper()
	out := f.command(t, args...)
	if out.code != 0 {
		t.Fatalf("gatehouse %q: code %d\n%s%s", args, out.code, out.stdout, out.stderr)
	}
	return strings.TrimSpace(out.stdout)
}

// An answer is what a node has said. Its zero value is that of one that said nothing, because it is gone.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send sends a request to a node, with a form if it is a POST. The error says that there was no answer. It may be called in any goroutine.
func (f *fleet) send(node *gate, method, path string, form url.Values, fields ...string) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), calm)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, node.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.GetBody = nil // so that the client never sends it twice of its own accord
	}
	for i := 0; i+1 < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	response, err := f.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return answer{response.StatusCode, response.Header, body}, err
}

// asks sends a request with a token, and returns the status: 200 on /ping and 404 on everything else mean that it was let through, since there is no upstream.
func (f *fleet) asks(node *gate, path, token string) (int, error) {
	got, err := f.send(node, http.MethodGet, path, nil, "Authorization", "Bearer "+token)
	return got.status, err
}

// byOperator are the header fields of the client operator.
var byOperator = func() []string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(url.QueryEscape(operator), url.QueryEscape(operatorKey))
	return []string{"Authorization", r.Header.Get("Authorization")}
}()

// revokes revokes a token at a node.
func (f *fleet) revokes(node *gate, token string) (int, error) {
	got, err := f.send(node, http.MethodPost, "/oauth/revoke", url.Values{"token": {token}}, byOperator...)
	return got.status, err
}

// mustRevoke is revokes where it must be acknowledged.
func (f *fleet) mustRevoke(t *testing.T, node int, token string) {
	t.Helper()
	if got, err := f.revokes(f.nodes[node], token); err != nil || got != http.StatusOK {
		t.Fatalf("/oauth/revoke at node %d = %d (%v), want 200", node, got, err)
	}
}

// A twins is what /oauth/token gives.
type twins struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// grants asks a node for tokens. Without an answer the status is 0.
func (f *fleet) grants(node *gate, form url.Values, fields ...string) (twins, int, error) {
	got, err := f.send(node, http.MethodPost, "/oauth/token", form, fields...)
	var g twins
	if err == nil && got.status == http.StatusOK {
		err = json.Unmarshal(got.body, &g)
	}
	return g, got.status, err
}

// renews renews a log-in at a node.
func (f *fleet) renews(node *gate, refresh string) (twins, int, error) {
	return f.grants(node, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
}

// issues gets an access token for the operator itself.
func (f *fleet) issues(node *gate) (string, int, error) {
	g, status, err := f.grants(node, url.Values{"grant_type": {"client_credentials"}}, byOperator...)
	return g.Access, status, err
}

// active asks a node whether a token is active.
func (f *fleet) active(node *gate, token string) (bool, error) {
	got, err := f.send(node, http.MethodPost, "/oauth/introspect", url.Values{"token": {token}}, byOperator...)
	var said struct{ Active bool }
	if err == nil && got.status != http.StatusOK {
		err = fmt.Errorf("introspection answers %d %s", got.status, got.body)
	}
	if err == nil {
		err = json.Unmarshal(got.body, &said)
	}
	return said.Active, err
}

// wants fails unless a node answers a token with this status.
func (f *fleet) wants(t *testing.T, node int, token string, status int) {
	t.Helper()
	if got, err := f.asks(f.nodes[node], "/ping", token); err != nil || got != status {
		t.Errorf("node %d answers a token with %d (%v), want %d", node, got, err, status)
	}
}

// becomes waits until a node answers a token with this status.
func (f *fleet) becomes(t *testing.T, node int, token string, status int) {
	t.Helper()
	until(t, fmt.Sprintf("node %d answers with %d", node, status), func() bool {
		got, _ := f.asks(f.nodes[node], "/ping", token)
		return got == status
	})
}

// A works is a Go program on the store of a fleet: it makes tokens and log-ins for whomever the test likes, and revokes.
type works struct {
	*token.Families
	access *token.Minter
	list   *revoke.List
}

// beside opens the works.
func (f *fleet) beside(t *testing.T) *works {
	t.Helper()
	var keys keyring.Store
	var tokens token.Store
	var feed interface {
		revoke.Store
		revoke.Bell
	}
	if f.postgres == nil {
		db, err := sqlite.Open(t.Context(), f.file)
		opened(t, db, err)
		keys, tokens, feed = sqlite.Keys(db), sqlite.Tokens(db), sqlite.Revocations(db)
	} else {
		db, err := postgres.Open(t.Context(), f.url)
		opened(t, db, err)
		keys, tokens, feed = postgres.Keys(db), postgres.Tokens(db), postgres.Revocations(db)
	}
	quiet := slog.New(slog.DiscardHandler) // the tests take away what it would complain about
	ring, err := keyring.New(keys, keyring.Config{Name: token.PurposeAccess, Lifetime: time.Hour, Master: f.master, Logger: quiet})
	if err == nil {
		err = ring.Load(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	list := revoke.New(feed, revoke.Config{Bells: []revoke.Bell{feed}, Logger: quiet})
	running := make(chan struct{})
	go func() { defer close(running); list.Run(t.Context()) }()
	t.Cleanup(func() { <-running }) // the test's context has ended by then
	if err := list.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	access, refresh := token.Access(), token.Refresh()
	access.TTL, access.Audience, refresh.Audience = time.Hour, []string{fleetIssuer}, []string{fleetIssuer}
	w := &works{list: list}
	w.access, err = token.NewMinter(token.MinterConfig{Issuer: fleetIssuer, Purpose: access, Ring: ring, Revocations: list})
	if err == nil {
		w.Families, err = token.NewFamilies(token.FamiliesConfig{Issuer: fleetIssuer, Purpose: refresh, Store: tokens, Access: w.access, Revocations: list})
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// logIn begins a log-in of who.
func (w *works) logIn(t *testing.T, who string) twins {
	t.Helper()
	begun, err := w.Start(t.Context(), token.Claims{Subject: who})
	if err != nil {
		t.Fatal(err)
	}
	return twins{begun.Access.Text.Reveal(), begun.Refresh.Text.Reveal()}
}

// mint makes an access token for who.
func (w *works) mint(t *testing.T, who string) token.Token {
	t.Helper()
	made, err := w.access.Mint(t.Context(), token.Claims{Subject: who})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// figure shows a measured value: with -v, and in the output of scripts/test.
func figure(t *testing.T, format string, args ...any) {
	t.Helper()
	text := fmt.Sprintf(format, args...)
	t.Log(text)
	t.Attr("figure", text)
}

// percentiles says what half, and what all but one in a hundred, of the times are below, and what the longest is.
func percentiles(times []time.Duration) string {
	if len(times) == 0 {
		return "none"
	}
	sorted := slices.Sorted(slices.Values(times))
	at := func(p int) time.Duration { return sorted[(len(sorted)-1)*p/100].Round(100 * time.Microsecond) }
	return fmt.Sprintf("p50 %v, p99 %v, longest %v of %d", at(50), at(99), at(100), len(sorted))
}

// knob returns the value of an environment variable with which scripts/torture lets a test run longer, or what the gate runs.
func knob[T any](t *testing.T, name string, parse func(string) (T, error), gate T) T {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return gate
	}
	value, err := parse(text)
	if err != nil {
		t.Fatalf("%s=%q: %v", name, text, err)
	}
	return value
}
