package api_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/gatehousetest"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/internal/api"
	"github.com/gatehouse-auth/gatehouse/internal/limit"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

const (
	issuer      = "https://gate.example"
	tokenURL    = issuer + "/oauth/token"
	jwtBearer   = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	byAssertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	secretOf    = "of-256-random-bits-as-far-as-anybody-knows" // what a client's secret ends in
)

var errAway = errors.New("the store is away")

// A store is what all stores here are: some calls fail when they are told to.
type store struct {
	*memory.TokenStore
	feed *memory.RevocationStore
	keys keyring.Store

	mu   sync.Mutex
	away map[string]bool // by the name of the method; "all"
}

func (s *store) lose(calls ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = map[string]bool{}
	for _, call := range calls {
		s.away[call] = true
	}
}

func (s *store) err(call string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away[call] || s.away["all"] {
		return errAway
	}
	return nil
}

func (s *store) Create(ctx context.Context, rec token.Record) error {
	if err := s.err("Create"); err != nil {
		return err
	}
	return s.TokenStore.Create(ctx, rec)
}

func (s *store) Get(ctx context.Context, key token.Key) (token.Record, error) {
	if err := s.err("Get"); err != nil {
		return token.Record{}, err
	}
	return s.TokenStore.Get(ctx, key)
}

func (s *store) Rotate(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
	if err := s.err("Rotate"); err != nil {
		return token.Record{}, err
	}
	return s.TokenStore.Rotate(ctx, key, used, sealed, next)
}

func (s *store) Delete(ctx context.Context, key token.Key, family string) error {
	if err := s.err("Delete"); err != nil {
		return err
	}
	return s.TokenStore.Delete(ctx, key, family)
}

// A feed is the part of a store that revocations are in.
type feed struct{ *store }

func (f feed) Add(ctx context.Context, entries ...revoke.Entry) (int64, error) {
	if err := f.err("Add"); err != nil {
		return 0, err
	}
	return f.feed.Add(ctx, entries...)
}

func (f feed) Since(ctx context.Context, after int64, limit int) (revoke.Page, error) {
	if err := f.err("Since"); err != nil {
		return revoke.Page{}, err
	}
	return f.feed.Since(ctx, after, limit)
}

func (f feed) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	return f.feed.Prune(ctx, before, limit)
}

// A desk is a server with everything that tokens need, in memory.
type desk struct {
	testing.TB
	*gatehousetest.Clock
	handler http.Handler

	store    *store
	list     *revoke.List
	ring     *keyring.Ring // of access tokens
	access   *token.Minter
	ticket   *token.Minter // opaque tokens that may be used twice
	verifier *token.Verifier
	families *token.Families
	feed     *revoke.Feed
	clients  map[string]api.Client
	worker   *keyring.Key // the private key of the client called worker
	log      *logbook
	allow    func(context.Context, token.Claims) (token.Claims, error)

	mu      sync.Mutex
	secrets map[string]bool // how everything begins that must be nowhere but in a request and its answer
}

// A setting changes what a desk is made of.
type setting struct {
	guard    func(*guard.Config)
	oauth    func(*api.OAuthConfig)
	families func(*token.FamiliesConfig)
	prefix   string
	upstream http.Handler
	live     bool // revocations are made, and told to followers, by the clock of the machine
}

func newDesk(t testing.TB, s setting) *desk {
	t.Helper()
	d := &desk{TB: t, Clock: gatehousetest.NewClock(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)), log: &logbook{}, clients: map[string]api.Client{}, secrets: map[string]bool{}}
	d.store = &store{TokenStore: memory.Tokens(), feed: memory.Revocations(), keys: memory.Keys()}
	d.list = revoke.New(feed{d.store}, revoke.Config{Now: d.Now, Logger: d.logger()})
	d.ring = must[*keyring.Ring](t)(keyring.New(d.store.keys, keyring.Config{Name: "access", Master: keyring.NewMaster(), Lifetime: time.Hour, Logger: d.logger(), Now: d.Now}))
	d.load(d.ring.Load(t.Context()))
	d.load(d.list.Load(t.Context()))
	d.tokens(s)
	d.clientele()
	d.open(s)
	t.Cleanup(d.leaks)
	return d
}

func (d *desk) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (d *desk) load(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// later lets time pass, in which the list of revocations is read.
func (d *desk) later(by time.Duration) {
	d.Helper()
	d.Advance(by)
	d.load(d.list.Load(d.Context()))
}

func (d *desk) tokens(s setting) {
	access, refresh := token.Access(), token.Refresh()
	ticket := token.Purpose{Name: "ticket", Form: token.Opaque, TTL: time.Hour, MaxUses: 2}
	for _, p := range []*token.Purpose{&access, &refresh, &ticket} {
		p.Audience = []string{issuer}
	}
	minting := token.MinterConfig{Issuer: issuer, Purpose: access, Ring: d.ring, Revocations: d.list, Now: d.Now, Map: map[string]string{"user": "subject", "own": "true"}}
	d.access = must[*token.Minter](d)(token.NewMinter(minting))
	d.ticket = must[*token.Minter](d)(token.NewMinter(token.MinterConfig{Issuer: issuer, Purpose: ticket, Store: d.store, Revocations: d.list, Now: d.Now}))
	d.verifier = must[*token.Verifier](d)(token.NewVerifier(token.VerifierConfig{Issuer: issuer, Purpose: access, Ring: d.ring, Revocations: d.list, Now: d.Now}))
	c := token.FamiliesConfig{Issuer: issuer, Purpose: refresh, Store: d.store, Access: d.access, Revocations: d.list, Logger: d.logger(), Now: d.Now,
		Allow: func(ctx context.Context, c token.Claims) (token.Claims, error) {
			if d.allow != nil {
				return d.allow(ctx, c)
			}
			return c, nil
		}}
	if s.families != nil {
		s.families(&c)
	}
	d.families = must[*token.Families](d)(token.NewFamilies(c))
}

// clientele registers the clients: of most, the secret is their name and secretOf.
func (d *desk) clientele() {
	d.worker = must[*keyring.Key](d)(keyring.Generate(keyring.ES256))
	for _, c := range []api.Client{
		{Client: token.Client{ID: "reports", Scopes: []string{"films.read", "films.write"}}},
		{Client: token.Client{ID: "other", Scopes: []string{"films.read"}}},
		{Client: token.Client{ID: "worker", Scopes: []string{"films.read"}, Keys: []*keyring.Key{d.worker.Public()}}, May: []string{api.MayFollow}},
		{Client: token.Client{ID: "resource"}, May: []string{api.MayIntrospect}},
		{Client: token.Client{ID: "janitor"}, May: []string{api.MayRevoke}},
		{Client: token.Client{ID: "watcher"}, May: []string{api.MayFollow}},
	} {
		if c.Keys == nil {
			c.Secrets = [][sha256.Size]byte{sha256.Sum256([]byte(c.ID + secretOf))}
		}
		d.clients[c.ID] = c
	}
}

func (d *desk) open(s setting) {
	client := func(_ context.Context, id string) (api.Client, error) {
		if err := d.store.err("Client"); err != nil {
			return api.Client{}, err
		}
		if c, ok := d.clients[id]; ok {
			return c, nil
		}
		return api.Client{}, token.ErrClient
	}
	assertions, err := token.NewAssertions(token.AssertionsConfig{Audience: []string{issuer, tokenURL}, Store: d.store, Now: d.Now,
		Client: func(ctx context.Context, id string) (token.Client, error) {
			c, err := client(ctx, id)
			return c.Client, err
		}})
	d.load(err)
	ticket := d.ticket.Purpose()
	tickets := must[*token.Verifier](d)(token.NewVerifier(token.VerifierConfig{Issuer: issuer, Purpose: ticket, Store: d.store, Revocations: d.list, Now: d.Now}))
	d.feed = revoke.NewFeed(d.list)
	d.Cleanup(d.feed.Close)
	own := d.guard(s)
	front := api.New(api.Config{Prefix: s.prefix, Own: own, App: own, Authz: answersWith(500), Proxy: s.upstream, Tokens: true})
	c := api.OAuthConfig{Client: client, Assertions: assertions, Access: d.access, Refresh: d.families, Verifiers: []api.Peeker{d.families, d.verifier, tickets}, Bearer: d.verifier,
		Revocations: d.list, Feed: d.feed, Rings: []*keyring.Ring{d.ring}, Guard: own, Now: d.Now}
	if s.live {
		c.Revocations = revoke.New(feed{d.store}, revoke.Config{Poll: 20 * time.Millisecond, Logger: d.logger()})
		run(d, c.Revocations)
		d.feed = revoke.NewFeed(c.Revocations)
		d.Cleanup(d.feed.Close)
		c.Feed = d.feed
	}
	if s.oauth != nil {
		s.oauth(&c)
	}
	front.Open(c)
	d.handler = guard.Observe(front, d.Now, func(r *http.Request, told guard.Description, v *guard.Verdict) {
		d.logger().Info("request", "access", told)
		if v == nil {
			return // nobody has judged
		}
		for _, step := range v.Steps() { // which "gatehouse explain" shows
			d.logger().Debug(step.String())
		}
	})
}

func (d *desk) guard(s setting) *guard.Guard {
	table := must[*policy.Table](d)(policy.New(policy.Config{Rules: api.OwnRules(s.prefix)}))
	set := must[*token.Set](d)(token.NewSet(d.verifier, d.families))
	c := guard.Config{Carriers: []carrier.Carrier{carrier.Bearer(set)}, Policy: guard.AsSubject{Table: table}, Rules: table, DefaultDeny: true, Logger: d.logger(), Now: d.Now}
	if s.guard != nil {
		s.guard(&c)
	}
	return must[*guard.Guard](d)(guard.New(c))
}

// must returns what a constructor made, and ends the test if it could not.
func must[T any](t testing.TB) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// run keeps a list fresh until the test ends.
func run(t testing.TB, list *revoke.List) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = list.Run(ctx) // which ends with ctx
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// eventually waits until ok, and fails after a while.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// limited is a guard that stops an address after budget refusals.
func limited(budget int) func(*guard.Config) {
	return func(c *guard.Config) {
		c.Limiter = limit.New(limit.Config{Budget: budget, Per: time.Minute, Now: c.Now})
	}
}

// A logbook keeps what is logged, unless it is shut.
type logbook struct {
	mu   sync.Mutex
	text strings.Builder
	shut bool
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		return len(p), nil
	}
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// line returns the last line with all of the words, or "".
func (l *logbook) line(words ...string) string {
	lines := strings.Split(l.String(), "\n")
	for _, line := range slices.Backward(lines) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			return line
		}
	}
	return ""
}

// shingle is how much of a secret is enough to find it.
const shingle = 16

// secret says that a text must not turn up where it does not belong, in whichever spelling.
func (d *desk) secret(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, spelling := range []string{text, url.QueryEscape(text), base64.StdEncoding.EncodeToString([]byte(text))} {
		if len(text) >= shingle {
			d.secrets[spelling[:shingle]] = true
		}
	}
}

// holds returns the secret that text holds, or "".
func (d *desk) holds(text string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range max(0, len(text)-shingle+1) {
		if part := text[i : i+shingle]; d.secrets[part] {
			return part
		}
	}
	return ""
}

// leaks reports a secret in the log.
func (d *desk) leaks() {
	log := d.log.String()
	if found := d.holds(log); found != "" || strings.Contains(log, secretOf) {
		d.Errorf("the log holds the secret %q…:\n%s", found, d.log.line(found))
	}
}

// An answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// Error and the others are members of the JSON in an answer, or "".
func (a answer) member(name string) string {
	var all map[string]any
	_ = json.Unmarshal([]byte(a.body), &all)
	text, _ := all[name].(string)
	return text
}

func (a answer) error() string { return a.member("error") }

// is reports whether an answer is this error of OAuth.
func (a answer) is(status int, code string) bool { return a.status == status && a.error() == code }

// form is a request's parameters: name, value, name, value.
type form []string

func (f form) encode() string {
	var pairs []string
	for i := 0; i+1 < len(f); i += 2 {
		pairs = append(pairs, url.QueryEscape(f[i])+"="+url.QueryEscape(f[i+1]))
	}
	return strings.Join(pairs, "&")
}

// basic is the Authorization of a client whose secret is the usual one.
func basic(id string) string {
	r := httptest.NewRequest("GET", "/", nil)
	r.SetBasicAuth(id, id+secretOf)
	return r.Header.Get("Authorization")
}

// post sends a form.
func (d *desk) post(path string, authorization string, f form) answer {
	d.Helper()
	for i := 0; i+1 < len(f); i += 2 {
		if slices.Contains([]string{"client_secret", "client_assertion", "assertion", "token", "refresh_token"}, f[i]) {
			d.secret(f[i+1])
		}
	}
	r := httptest.NewRequest("POST", "http://gate.example"+path, strings.NewReader(f.encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return d.send(r)
}

// get reads.
func (d *desk) get(path string, header ...string) answer {
	d.Helper()
	return d.send(d.request("GET", path, header...))
}

// send sends a request, and checks what must hold for every answer.
func (d *desk) send(r *http.Request) answer {
	d.Helper()
	if a := r.Header.Get("Authorization"); a != "" {
		_, credential, _ := strings.Cut(a, " ")
		d.secret(credential)
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second) // who is let in to the feed by mistake would stay
	defer cancel()
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r.WithContext(ctx))
	a := answer{w.Code, w.Header(), w.Body.String()}
	for _, fault := range a.faults(r.URL.Path) {
		d.Errorf("%s %s = %d %s: %s", r.Method, r.URL.Path, a.status, a.body, fault)
	}
	if found := d.holds(a.body + fmt.Sprint(a.header)); a.status >= 400 && found != "" {
		d.Errorf("a refusal holds the secret %q…: %d %s", found, a.status, a.body)
	}
	for _, name := range []string{"access_token", "refresh_token"} {
		d.secret(a.member(name))
	}
	return a
}

// faults are what is wrong with an answer, whatever was asked.
func (a answer) faults(path string) (faults []string) {
	demand := func(ok bool, fault string) {
		if !ok {
			faults = append(faults, fault)
		}
	}
	h := a.header
	demand(a.status < 500 || a.status == 503, "a server error other than 503")
	demand(a.status != 401 || h.Get("Www-Authenticate") != "", "401 without WWW-Authenticate")
	demand(a.status != 405 || h.Get("Allow") != "", "405 without Allow")
	demand(a.status != 503 && a.status != 429 || h.Get("Retry-After") != "", "no Retry-After")
	demand(a.status == 204 || h.Get("X-Content-Type-Options") == "nosniff", "no nosniff")
	demand(h.Get("Cache-Control") == "no-store" || strings.HasSuffix(path, "jwks.json") && (a.status == 200 || a.status == 304), "no no-store")
	demand(len(h.Values("X-Request-Id")) == 1, "no X-Request-Id")
	if a.error() != "" && h.Get("Content-Type") == "application/json" {
		description := a.member("error_description")
		demand(strings.HasSuffix(description, "."), "no error_description")
		demand(!strings.ContainsFunc(a.error()+description, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }), "characters that RFC 6749, section 5.2, does not allow")
	}
	demand(!strings.Contains(a.body, errAway.Error()) && !strings.Contains(a.body, "goroutine"), "internals")
	return faults
}

// An assertion is what a client says of itself. Members that are nil are left out.
type assertion map[string]any

// assertion returns what the client called worker would say at best, with changes: name, value, ….
func (d *desk) assertion(changes ...any) assertion {
	a := assertion{"iss": "worker", "sub": "worker", "aud": issuer, "jti": rand.Text(), "exp": d.Now().Add(time.Minute).Unix()}
	for i := 0; i+1 < len(changes); i += 2 {
		a[changes[i].(string)] = changes[i+1]
		if changes[i+1] == nil {
			delete(a, changes[i].(string))
		}
	}
	return a
}

// signed returns an assertion, signed with key.
func (d *desk) signed(a assertion, key *keyring.Key, header ...string) string {
	head := map[string]string{"alg": string(key.Algorithm()), "kid": key.ID()}
	for i := 0; i+1 < len(header); i += 2 {
		head[header[i]] = header[i+1]
	}
	input := segment(head) + "." + segment(a)
	signature, err := key.Sign(nil, []byte(input))
	d.load(err)
	text := input + "." + base64.RawURLEncoding.EncodeToString(signature)
	d.secret(text)
	return text
}

func segment(value any) string {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(value); err != nil {
		panic(err) // maps of texts and numbers
	}
	return base64.RawURLEncoding.EncodeToString(bytes.TrimSpace(b.Bytes()))
}

// start begins a log-in of jack's that belongs to a client, or to none.
func (d *desk) start(client string, scopes ...string) token.Pair {
	d.Helper()
	pair, err := d.families.Start(d.Context(), token.Claims{Subject: "jack", Client: client, Scopes: scopes, Roles: []string{"basic"}})
	d.load(err)
	d.secret(pair.Access.Text.Reveal())
	d.secret(pair.Refresh.Text.Reveal())
	return pair
}

// token gets an access token for a client itself.
func (d *desk) token(client string) string {
	d.Helper()
	a := d.post("/oauth/token", basic(client), form{"grant_type", "client_credentials"})
	if a.status != 200 {
		d.Fatalf("a token for %s = %d %s, want 200", client, a.status, a.body)
	}
	return a.member("access_token")
}

// counts reports whether an access token counts.
func (d *desk) counts(text string) bool {
	d.Helper()
	_, err := d.verifier.Verify(d.Context(), text)
	return err == nil
}

// decoded is a part of a JWT.
func decoded(t testing.TB, part string) []byte {
	t.Helper()
	return must[[]byte](t)(base64.RawURLEncoding.DecodeString(part))
}

// unloaded is a ring that has no keys yet.
func unloaded(t testing.TB) *keyring.Ring {
	t.Helper()
	return must[*keyring.Ring](t)(keyring.New(memory.Keys(), keyring.Config{Name: "access", Master: keyring.NewMaster()}))
}

// request makes one without a body.
func (d *desk) request(method, path string, header ...string) *http.Request {
	r := httptest.NewRequest(method, "http://gate.example"+path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// withSecret gives a client a secret.
func withSecret(c api.Client, secret string) api.Client {
	c.Secrets = [][sha256.Size]byte{sha256.Sum256([]byte(secret))}
	return c
}
