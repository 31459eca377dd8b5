package cli

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/gateway"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/internal/admin"
	"github.com/gatehouse-auth/gatehouse/internal/api"
	"github.com/gatehouse-auth/gatehouse/internal/config"
	"github.com/gatehouse-auth/gatehouse/internal/explain"
	"github.com/gatehouse-auth/gatehouse/internal/limit"
	"github.com/gatehouse-auth/gatehouse/internal/logs"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/problem"
	"github.com/gatehouse-auth/gatehouse/revoke"
)

// A house is one configuration, compiled: everything that decides and answers. It is immutable; a reload builds another one.
type house struct {
	cfg      *config.Config
	tokens   *carrier.Static
	own, app *guard.Guard
	admin    *guard.Guard // for the admin listener over TCP
	proxy    *gateway.Proxy
	handler  *api.Handler
	shelf    *shelf         // where the sessions are; nil without the carrier for them
	plan     *tokenPlan     // nil without tokens
	desk     *bearerDesk    // what the bearer carrier asks; nil without plan
	feed     *revoke.Feed   // of the issuer's revocations; nil without one
	issuer   *issuer        // makes and verifies tokens; nil as long as a configuration is only tried out
	notice   string         // about the session cookie, for the log; may be empty
	suite    *explain.Suite // nil without tests
	trusted  *gateway.Trusted
	limiter  *limit.Limiter // nil without limits; limited is what it was made for
	limited  config.Refused
	tested   int      // how many policy tests have passed
	content  [32]byte // of the files that it was made from
	// secureOnly: the public URL is https, so browsers may be told to never try http (RFC 6797). A sample on this machine must not tell them
	// so of localhost.
	secureOnly bool
}

// Surroundings are what outlives a configuration.
type surroundings struct {
	logger func(name string) *slog.Logger
	now    func() time.Time

	limiter *limit.Limiter // of the house in use, with the debts that the next one takes over
	limited config.Refused

	// development takes secrets that are too short, and keeps everything in memory.
	development bool

	listener *config.Server // how the main listener was opened; nil before it is
}

// quiet are the surroundings of commands that answer on standard output: hooks that fail are part of the answer there.
func (p *program) quiet() *surroundings {
	return &surroundings{logger: func(string) *slog.Logger { return slog.New(slog.DiscardHandler) }, now: p.now}
}

func logged(set *logs.Set, now func() time.Time) *surroundings {
	return &surroundings{logger: set.Logger, now: now}
}

// limiterFor returns the limiter that c asks for, or nil. A reload keeps the debts as long as the limits stay.
func (s *surroundings) limiterFor(c *config.Config) (*limit.Limiter, config.Refused) {
	if c.Limits.Refused == nil {
		return nil, config.Refused{}
	}
	limited := *c.Limits.Refused
	if s.limiter != nil && s.limited == limited {
		return s.limiter, limited
	}
	return limit.New(limit.Config{Budget: limited.Budget, Per: limited.Per.Std(), Now: s.now}), limited
}

// A builder collects the faults that show only when a configuration is compiled.
type builder struct {
	cfg    *config.Config
	around *surroundings
	faults config.Faults
	sound  func(path string) bool // whether what stands at a path has no fault yet
}

// examine returns what else is wrong with a configuration that has faults, as far as that does not follow from them.
func examine(c *config.Config, sound func(path string) bool, around *surroundings) config.Faults {
	b := &builder{cfg: c, around: around, sound: sound}
	if sound("rules") && sound("roles") && sound("permissions") && sound("upstream") && sound("server.prefix") && sound("carriers") {
		b.rules()
	}
	if sound("carriers") && sound("sessions") && sound("server") {
		b.carriers(&house{tokens: b.tokens(), desk: &bearerDesk{}})
	}
	if sound("errors") {
		b.statuses()
	}
	if sound("tests") {
		b.testFiles()
	}
	b.upstreams()
	b.tokenPlan()
	b.store()
	return b.faults
}

func (b *builder) fault(path, format string, args ...any) {
	b.faults = append(b.faults, b.cfg.Fault(path, format, args...))
}

// build compiles c. The error is of type [config.Faults].
func build(c *config.Config, around *surroundings) (*house, error) {
	b := &builder{cfg: c, around: around, sound: func(string) bool { return true }}
	h := &house{cfg: c, tokens: b.tokens(), secureOnly: strings.HasPrefix(c.Server.PublicURL, "https://")}
	rules := b.rules()
	trusted := b.trusted()
	upstreams := b.upstreams()
	statuses := b.statuses()
	if h.plan = b.tokenPlan(); h.plan != nil {
		h.desk = &bearerDesk{}
	}
	carriers := b.carriers(h)
	b.store()
	suite := b.suite()
	if len(b.faults) > 0 {
		return nil, b.faults.Sort()
	}
	h.suite, h.trusted = suite, trusted
	common := guard.Config{
		Carriers: carriers, MaxBody: c.Server.HTTP.RequestMaxSize, Origins: c.CORS.Origins,
		ClientAddr: trusted.ClientAddr, Status: statuses, Logger: around.logger("guard"), Now: around.now,
	}
	if h.limiter, h.limited = around.limiterFor(c); h.limiter != nil { // a nil pointer in an interface would not be nil
		common.Limiter = h.limiter
	}
	return h, b.furnish(h, common, rules, trusted, upstreams)
}

// furnish makes the guards and fronts of the house.
func (b *builder) furnish(h *house, common guard.Config, rules *policy.Table, trusted *gateway.Trusted, upstreams []gateway.Upstream) error {
	c := b.cfg
	ownRules, err1 := policy.New(policy.Config{Rules: api.OwnRules(c.Server.Prefix)})
	adminRules, err2 := policy.New(policy.Config{Roles: c.Roles, Rules: admin.Rules(policy.Roles(c.Roles).Highest())})
	var errs [3]error
	h.app, errs[0] = withRules(common, rules)
	h.own, errs[1] = withRules(common, ownRules)
	h.admin, errs[2] = withRules(common, adminRules)
	if err := errors.Join(err1, err2, errs[0], errs[1], errs[2]); err != nil {
		return b.whole(err)
	}
	identity := gateway.IdentityHeaders(c.ForwardAuth.Headers)
	authz, err := gateway.NewForwardAuth(gateway.ForwardAuthConfig{Guard: h.app, Trusted: trusted, Identity: identity, Prefix: c.Server.Prefix + "/authz"})
	if err != nil {
		return b.whole(err)
	}
	front := api.Config{Prefix: c.Server.Prefix, Own: h.own, App: h.app, Authz: authz, Tokens: h.plan != nil}
	if len(upstreams) > 0 {
		h.proxy, err = gateway.NewProxy(gateway.ProxyConfig{Guard: h.app, Upstreams: upstreams, Routes: b.routes(), Identity: identity,
			Trusted: trusted, Logger: b.around.logger("gateway")})
		if err != nil {
			return b.whole(err)
		}
		front.Proxy = h.proxy
	}
	h.handler = api.New(front)
	return nil
}

// whole reports err as a fault of the whole file: for what the checks before should have caught.
func (b *builder) whole(err error) error {
	return config.Faults{b.cfg.Fault("", "%v", err)}
}

func withRules(c guard.Config, rules *policy.Table) (*guard.Guard, error) {
	c.Rules, c.Policy, c.DefaultDeny = rules, guard.AsSubject{Table: rules}, true
	return guard.New(c)
}

func (b *builder) tokens() *carrier.Static {
	var list []carrier.StaticToken
	for _, t := range b.cfg.Server.HTTP.AllowedTokens {
		list = append(list, carrier.StaticToken{Name: t.Name, Hash: t.Sum.Sum(), Owner: t.Owner, Email: t.Email, Roles: t.Roles,
			Scopes: t.Scopes, Expires: t.Expires, Off: !t.Enabled})
	}
	static, err := carrier.NewStatic(list)
	if err != nil {
		b.fault("server.http.allowed_tokens", "%v", err)
	}
	return static
}

func (b *builder) carriers(h *house) []carrier.Carrier {
	var list []carrier.Carrier
	for i, c := range b.cfg.Carriers {
		switch {
		case c.Header != "":
			list = append(list, carrier.NamedHeader(c.Header, h.tokens.Lookup))
		case c.Kind == "bearer":
			list = append(list, carrier.Bearer(h.desk))
		case c.Kind == "session":
			var cookie carrier.Carrier
			h.shelf = &shelf{Store: noSessions{}}
			cookie, h.notice = b.sessions(fmt.Sprintf("carriers[%d]", i), h.shelf)
			list = append(list, cookie)
		default:
			for _, scheme := range b.cfg.Server.HTTP.AuthScheme {
				list = append(list, carrier.Header(scheme, h.tokens.Lookup))
			}
		}
	}
	return list
}

// rules compiles the rules and reports their faults where they stand in the file.
func (b *builder) rules() *policy.Table {
	c := policy.Config{Roles: b.cfg.Roles, Permissions: b.cfg.Permissions}
	for i, r := range b.cfg.Rules {
		if why := api.Reserved(r.Path, b.cfg.Server.Prefix, len(b.cfg.Upstream) > 0, b.cfg.HasTokens()); why != "" {
			b.fault(fmt.Sprintf("rules[%d].path", i), "the rule collides with a path of Gatehouse's own: %s", why)
		}
		c.Rules = append(c.Rules, policy.Rule{Name: r.Name, Methods: r.Methods, Host: r.Host, Path: r.Path, Regex: r.Regex,
			Allow: requirement(&r.Allow), Strict: r.Strict, AllowEncodedSlash: r.AllowEncodedSlash, Purpose: r.Purpose, OnStoreLoss: time.Duration(r.OnStoreLoss)})
	}
	table, err := policy.New(c)
	b.ruleFaults(err)
	return table
}

func (b *builder) ruleFaults(err error) {
	if err == nil {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			b.ruleFaults(e)
		}
		return
	}
	if e, ok := errors.AsType[*policy.RuleError](err); ok {
		b.fault(fmt.Sprintf("rules[%d].%s", e.Index, e.Field), "%v", e.Err)
		return
	}
	b.fault("", "%v", err)
}

func requirement(r *config.Requirement) policy.Requirement {
	switch {
	case r.Who == "anyone":
		return policy.Anyone()
	case r.Who == "authenticated":
		return policy.Authenticated()
	case r.Role != "":
		return policy.Role(r.Role)
	case r.Permission != "":
		return policy.Permission(r.Permission)
	case len(r.Scope) > 0:
		return policy.Scope(r.Scope...)
	case len(r.All) > 0:
		return policy.All(requirements(r.All)...)
	case len(r.Any) > 0:
		return policy.Any(requirements(r.Any)...)
	}
	return policy.Nobody()
}

func requirements(list []config.Requirement) []policy.Requirement {
	parts := make([]policy.Requirement, len(list))
	for i := range list {
		parts[i] = requirement(&list[i])
	}
	return parts
}

func (b *builder) trusted() *gateway.Trusted {
	var networks []string
	for _, p := range b.cfg.Server.TrustedProxies {
		networks = append(networks, p.String())
	}
	trusted, err := gateway.TrustProxies(networks...)
	if err != nil {
		b.fault("server.trusted_proxies", "%v", err)
	}
	return trusted
}

func (b *builder) upstreams() []gateway.Upstream {
	var list []gateway.Upstream
	for _, name := range slices.Sorted(maps.Keys(b.cfg.Upstream)) {
		u := b.cfg.Upstream[name]
		address, err := url.Parse(u.URL)
		if err != nil {
			b.fault("upstream."+name+".url", "is not an address") // the error repeats it, and a password may stand in it
			continue
		}
		list = append(list, gateway.Upstream{Name: name, URL: address, Connect: u.Timeouts.Connect.Std(), Response: u.Timeouts.Response.Std(),
			Idle: u.Timeouts.Idle.Std(), MaxConns: u.MaxConnections, RootCAs: b.authorities(name, u.CAFile)})
	}
	return list
}

// authorities reads a file of certificates. One that cannot be read must not turn into the system's authorities.
func (b *builder) authorities(upstream, file string) *x509.CertPool {
	path := "upstream." + upstream + ".ca_file"
	if file == "" || !b.sound(path) {
		return nil
	}
	text, err := readFile(inDir(b.cfg, file))
	if err != nil {
		b.fault(path, "cannot be read: %v", err)
		return nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		b.fault(path, "holds no certificate in PEM")
	}
	return pool
}

// routes are by the index of rules, which are in the order of the file.
func (b *builder) routes() []gateway.Route {
	routes := make([]gateway.Route, len(b.cfg.Rules))
	for i, r := range b.cfg.Rules {
		routes[i] = gateway.Route{Upstream: r.Upstream, ForwardCredential: r.ForwardCredential}
		if r.Upstream == "" && len(b.cfg.Upstream) > 1 {
			// Only a rule that lets nobody pass may name none; it never gets there.
			routes[i].Upstream = slices.Sorted(maps.Keys(b.cfg.Upstream))[0]
		}
	}
	return routes
}

func (b *builder) statuses() map[problem.Code]int {
	moved := map[problem.Code]int{}
	for code, status := range b.cfg.Errors.Status {
		moved[problem.Code(code)] = status
	}
	statuses, err := problem.Statuses(b.cfg.Errors.Profile, moved)
	if err != nil {
		b.fault("errors.status", "%v", err)
	}
	return statuses
}

// suite reads the policy tests that the configuration names.
func (b *builder) suite() *explain.Suite {
	if len(b.cfg.Tests) == 0 || !b.testFiles() {
		return nil
	}
	suite, err := explain.LoadTests(b.cfg.Tests, b.cfg.Dir)
	if err == nil {
		err = suite.CheckTokens(callers(b.cfg))
	}
	b.testFaults(err)
	return suite
}

// testFiles reports whether there are files for all patterns of tests.
func (b *builder) testFiles() bool {
	_, err := b.cfg.TestFiles()
	list, _ := errors.AsType[config.Faults](err)
	b.faults = append(b.faults, list...)
	return err == nil
}

// testFaults takes over the faults of policy test files, each at its own place.
func (b *builder) testFaults(err error) {
	if err == nil {
		return
	}
	list, ok := errors.AsType[explain.Faults](err)
	if !ok {
		b.fault("tests", "%v", err)
	}
	for _, f := range list {
		b.faults = append(b.faults, config.Fault{Position: config.Position{File: f.File, Line: f.Line, Column: f.Column, Path: "tests"}, Message: f.Message})
	}
}

// callers are the names that explanations and policy tests may use: those of tokens, and of their owners.
func callers(c *config.Config) []string {
	var names []string
	for _, t := range c.Server.HTTP.AllowedTokens {
		if !t.Enabled {
			continue // a token that is switched off proves nobody
		}
		names = append(names, t.Name)
		if t.Owner != t.Name {
			names = append(names, t.Owner)
		}
	}
	return names
}

// judge decides about r by the rules that the main listener would ask. id nil lets the carriers look.
func (h *house) judge(r *http.Request, id *gatehouse.Identity) *guard.Verdict {
	g := h.app
	if h.handler.IsOwn(r) {
		g = h.own
	}
	if v := g.Preflight(r); v != nil {
		return v
	}
	if id == nil {
		return g.Judge(r)
	}
	return g.JudgeAs(r, *id)
}

// identity returns the identity of the token called name, or of an owner of tokens. A token that is switched off proves nothing.
func (h *house) identity(name string) (gatehouse.Identity, bool) {
	t, ok := h.tokens.ByName(name)
	for _, other := range h.tokens.Names() {
		if ok {
			break
		}
		if o, _ := h.tokens.ByName(other); o.Identity().Value == name && !o.Off {
			t, ok = o, true
		}
	}
	if !ok || t.Off {
		return gatehouse.Identity{}, false
	}
	return t.Identity(), true
}

// status returns the status with which the house answers code.
func (h *house) status(code problem.Code) int { return h.app.Answers().StatusOf(code) }

// test runs the policy tests of the configuration.
func (h *house) test() explain.Result {
	if h.suite == nil {
		return explain.Result{}
	}
	return h.suite.Run(h.judge, h.status, h.identity)
}

// watched are the files whose change is a change of the house.
func (h *house) watched() []string {
	files := slices.Clone(h.cfg.Watch)
	if h.cfg.File != "" {
		files = append(files, h.cfg.File)
	}
	if found, err := h.cfg.TestFiles(); err == nil {
		files = append(files, found...)
	}
	for _, u := range h.cfg.Upstream {
		if u.CAFile != "" {
			files = append(files, inDir(h.cfg, u.CAFile))
		}
	}
	return files
}

// close lets go of what the house holds.
func (h *house) close() {
	if h.proxy != nil {
		h.proxy.Close()
	}
	if h.feed != nil {
		h.feed.Close()
	}
	h.issuer.close()
}

// inDir returns a file's name relative to the folder of the configuration.
func inDir(c *config.Config, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.Dir, name)
}
