package cli

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/internal/admin"
	"github.com/gatehouse-auth/gatehouse/internal/config"
	"github.com/gatehouse-auth/gatehouse/internal/explain"
	"github.com/gatehouse-auth/gatehouse/internal/listen"
	"github.com/gatehouse-auth/gatehouse/internal/logs"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// keptDenials is how many denials "explain --request" can be asked about.
const keptDenials = 10_000

// A server is a house with its listeners. The house is replaced by reloads, the listeners stay.
type server struct {
	source  source
	around  *surroundings
	logs    *logs.Set
	house   atomic.Pointer[house]
	denials *explain.Ring
	metrics *admin.Metrics
	admin   *admin.Server
	main    *listen.Server
	side    *listen.Server        // the admin listener; nil if there is none
	vault   atomic.Pointer[vault] // where the sessions are; nil as long as no configuration has needed one
	// observed is told of every request, for dev. May be nil.
	observed func(guard.Description)
}

func newServer(s source, set *logs.Set, now func() time.Time) *server {
	srv := &server{source: s, around: logged(set, now), logs: set, denials: explain.NewRing(keptDenials)}
	srv.metrics = admin.NewMetrics(version(), set.Dropped)
	srv.admin = &admin.Server{Denials: srv.denials, Metrics: srv.metrics, NotReady: srv.notReady}
	srv.metrics.Watch(srv.admin.Ready)
	srv.metrics.WatchRevocations(func() admin.Revocations {
		if v := srv.vault.Load(); v != nil {
			return v.list
		}
		return nil
	})
	return srv
}

// open compiles the first configuration, runs its policy tests, and opens its store.
func (s *server) open(ctx context.Context) error {
	h, err := s.load(ctx)
	if err != nil {
		return err
	}
	s.use(h)
	return nil
}

// load returns the house of the configuration as it is now. The error is a failedTests if its policy tests fail, and a storeFault if it needs a store
// that cannot be opened.
func (s *server) load(ctx context.Context) (*house, error) {
	h, err := load(s.source, s.around)
	if err != nil {
		return nil, err
	}
	h.content = contentOf(s.watched(h)) // at once: what changes from now on, while a store is opened too, is another configuration
	result := h.test()
	if len(result.Failures) > 0 {
		h.close()
		return nil, failedTests{result}
	}
	if err := s.furnish(ctx, h); err != nil {
		h.close()
		return nil, err
	}
	h.tested = result.Passed
	return h, nil
}

// A storeFault is the error of a configuration whose store cannot be opened.
type storeFault struct{ error }

func (e storeFault) Unwrap() error { return e.error }

// furnish gives h the store that its sessions and tokens are in, and opens it for the first house that needs it.
func (s *server) furnish(ctx context.Context, h *house) error {
	if h.shelf == nil && h.plan == nil {
		return nil
	}
	v := s.vault.Load()
	if v == nil {
		var err error
		want := wanted{alone: true, tokens: h.plan != nil, memory: s.around.development, foreign: len(h.cfg.Tokens.Foreign) > 0, bound: h.cfg.Tokens.Revocation, now: s.around.now}
		if v, err = openVault(ctx, h.cfg.Store, want, s.logger("store")); err != nil {
			return storeFault{err}
		}
		v.tend(s.around.now)
		s.vault.Store(v)
	}
	if h.shelf != nil {
		h.shelf.Store = v.store
		h.shelf.table.Revocations, h.shelf.table.StoreIsCache = v.list, v.cached
	}
	if h.plan == nil {
		return nil
	}
	if v.master == nil {
		return storeFault{errors.New("the server was started without tokens, and so without the key that opens their keys: restart it")}
	}
	made, err := issuing{plan: h.plan, vault: v, cfg: h.cfg, logger: s.logger("store"), now: s.around.now}.open(ctx)
	if err != nil {
		return storeFault{err}
	}
	made.keep()
	h.issuer, h.desk.set = made, made.bearer
	return h.openOAuth()
}

// notReady says why the server should get no requests, or returns "".
func (s *server) notReady() string { return s.vault.Load().notReady() }

// closeVault is called when nobody can ask for a session any more.
func (s *server) closeVault() {
	if err := s.vault.Load().close(); err != nil {
		s.logger("store").Warn("the store could not be closed", "error", err.Error())
	}
}

// contentOf returns a hash of the files' content, so that a file that was only touched is no change. Missing files count as such.
func contentOf(files []string) [sha256.Size]byte {
	sum := sha256.New()
	for _, name := range files {
		text, err := readFile(name) // as bounded as the configuration's own reading
		own := sha256.Sum256(text)
		fmt.Fprintf(sum, "%q %v %x\n", name, err == nil, own)
	}
	return [sha256.Size]byte(sum.Sum(nil))
}

// changed reports whether a file of the configuration in use has another content than when it was loaded.
func (s *server) changed() bool {
	h := s.house.Load()
	return h.content != contentOf(s.watched(h))
}

// watched are the files that h was made from, and those that the last attempt to read the configuration asked for.
func (s *server) watched(h *house) []string {
	files := append(h.watched(), s.source.read.files()...)
	slices.Sort(files)
	return slices.Compact(files)
}

// failedTests is the error of a configuration whose policy tests fail.
type failedTests struct{ result explain.Result }

func (e failedTests) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %d failed, so this configuration is not used:\n", count(len(e.result.Failures), "policy test"), e.result.Passed+len(e.result.Failures))
	e.result.WriteText(&b, false)
	return strings.TrimSpace(b.String())
}

func (s *server) use(h *house) {
	s.logs.Apply(logConfig(h.cfg))
	for _, w := range h.cfg.Warnings {
		s.logger("config").Warn(w.Message, "at", w.Position.String())
	}
	s.around.limiter, s.around.limited = h.limiter, h.limited
	old := s.house.Swap(h)
	if h.notice != "" && (old == nil || old.notice != h.notice) {
		s.logger("server_logger").Warn(h.notice)
	}
	if old != nil {
		old.close()
	}
	s.metrics.Reload(true, float64(s.around.now().Unix()))
}

func logConfig(c *config.Config) logs.Config {
	levels := map[string]slog.Level{}
	for _, l := range c.Log.Level {
		levels[l.Logger] = l.Level.Level()
	}
	return logs.Config{Format: c.Log.Format, Levels: levels}
}

func (s *server) logger(name string) *slog.Logger { return s.around.logger(name) }

// reload takes over a new configuration in one step, or keeps the one in use and says why.
func (s *server) reload(ctx context.Context) {
	log := s.logger("config")
	h, err := s.load(ctx)
	if err != nil {
		s.metrics.Reload(false, 0)
		var faults config.Faults
		if errors.As(err, &faults) {
			for _, f := range faults {
				log.Error("configuration refused", "at", f.Position.String(), "fault", f.Message)
			}
		} else {
			log.Error("configuration refused", "fault", err.Error())
		}
		log.Warn("the last good configuration stays in use")
		return
	}
	changed := needRestart(s.house.Load().cfg, h.cfg)
	if v := s.vault.Load(); v != nil && (h.shelf != nil || h.plan != nil) && !sameStore(v.of, h.cfg.Store) {
		changed = append(changed, "store")
	}
	if v := s.vault.Load(); v != nil && h.cfg.Tokens.Revocation != v.bound {
		changed = append(changed, "tokens.revocation")
	}
	if v := s.vault.Load(); v != nil && !v.foreign && len(h.cfg.Tokens.Foreign) > 0 {
		log.Warn("until a restart, what is revoked is remembered for 400 days, and tokens of others may live for longer", "key", "tokens.foreign")
	}
	for _, key := range changed {
		log.Warn("a change takes effect only after a restart", "key", key)
	}
	s.use(h)
	log.Info("configuration reloaded", "rules", len(h.cfg.Rules), "tokens", len(h.cfg.Server.HTTP.AllowedTokens), "tests", h.tested)
	if s.main != nil {
		s.main.Reload()
	}
}

// needRestart lists the changed keys that belong to the listeners.
func needRestart(before, after *config.Config) []string {
	var keys []string
	a, b := before.Server, after.Server
	for _, k := range []struct {
		key     string
		changed bool
	}{
		{"server.http.host", a.HTTP.Host != b.HTTP.Host}, {"server.http.port", a.HTTP.Port != b.HTTP.Port},
		{"server.tls", a.TLS != b.TLS}, {"server.admin.listen", a.Admin.Listen != b.Admin.Listen},
		{"server.timeouts", a.Timeouts != b.Timeouts}, {"server.max_header_size", a.MaxHeaderSize != b.MaxHeaderSize},
	} {
		if k.changed {
			keys = append(keys, k.key)
		}
	}
	return keys
}

// handler is the main listener's: every request gets an id, a line in the access log and, if it is denied, a place among the denials.
func (s *server) handler() http.Handler {
	return guard.Observe(s.recovering(func(w http.ResponseWriter, r *http.Request) {
		h := s.house.Load()
		if r.TLS != nil && h.secureOnly {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		h.handler.ServeHTTP(w, r)
	}), s.around.now, s.done)
}

// recovering answers 500 where a handler panics. The panic's value stays out of the log: it may hold what a client sent.
func (s *server) recovering(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			if err, ok := value.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(value) // the connection is to be cut, and that is all
			}
			s.logger("server_logger").Error("a handler panicked", "type", fmt.Sprintf("%T", value), "request_id", guard.RequestID(r), "stack", string(debug.Stack()))
			if guard.Describe(r).Status != 0 {
				panic(http.ErrAbortHandler) // half an answer must not look like a whole one
			}
			s.house.Load().app.Answers().Write(w, r, problem.New(problem.Internal))
		}()
		next(w, r)
	})
}

func (s *server) done(r *http.Request, d guard.Description, v *guard.Verdict) {
	s.metrics.Request(d)
	if v != nil && !v.Allowed() {
		s.denials.AddReport(d.RequestID, s.around.now(), explain.NewReport(v, d.Status).For(r))
	}
	log := s.logger("access")
	if log.Enabled(r.Context(), slog.LevelInfo) {
		attrs := append(d.LogValue().Group(), slog.String("remote", address(guard.PeerAddr(r))),
			slog.String("client", address(s.house.Load().trusted.ClientAddr(r))), slog.String("proto", r.Proto))
		log.LogAttrs(r.Context(), slog.LevelInfo, "request", attrs...)
	}
	if s.observed != nil {
		s.observed(d)
	}
}

// address is "" where there is none, as on a Unix socket.
func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// start opens the listeners and returns the address of the main one.
func (s *server) start() (net.Addr, error) {
	c := s.house.Load().cfg
	main, err := listen.New(s.listenConfig(c))
	if err != nil {
		return nil, err
	}
	addr, err := main.Start()
	if err != nil {
		return nil, err
	}
	s.main, s.around.listener = main, &c.Server
	if err := s.startAdmin(c); err != nil {
		main.Shutdown(canceled())
		return nil, err
	}
	return addr, nil
}

func (s *server) listenConfig(c *config.Config) listen.Config {
	t := c.Server.Timeouts
	return listen.Config{
		Addr: hostPort(&c.Server), Handler: s.handler(),
		CertFile: inDir(c, c.Server.TLS.CertFile), KeyFile: inDir(c, c.Server.TLS.KeyFile),
		HeaderTimeout: t.Header.Std(), ReadTimeout: t.Read.Std(), WriteTimeout: t.Write.Std(), IdleTimeout: t.Idle.Std(),
		Grace: orNone(t.Shutdown.Std()), MaxHeaderBytes: c.Server.MaxHeaderSize, H2C: true, Logger: s.logger("server_logger"), Now: s.around.now,
		Draining: func(context.Context) { s.admin.Drain() },
	}
}

// orNone maps "no grace" to the smallest there is: in a listener's configuration zero is the default.
func orNone(d time.Duration) time.Duration {
	if d == 0 {
		return time.Nanosecond
	}
	return d
}

// startAdmin opens the admin listener. Where nobody has configured one, doing without is better than not starting.
func (s *server) startAdmin(c *config.Config) error {
	l := c.Server.Admin.Listen
	cfg := listen.Config{Addr: l.Address, Handler: s.adminHandler(l.Network), Logger: s.logger("admin"), Now: s.around.now}
	if l.Network == "unix" {
		socket, err := listen.Unix(l.Address)
		if err != nil && !c.Has("server.admin.listen") {
			s.logger("admin").Warn("there is no admin listener: set server.admin.listen to another place", "socket", l.Address, "error", err.Error())
			return nil
		}
		if err != nil {
			return fmt.Errorf("server.admin.listen: %w", err)
		}
		cfg.Listener = socket
	}
	side, err := listen.New(cfg)
	if err != nil {
		return fmt.Errorf("server.admin.listen: %w", err)
	}
	addr, err := side.Start()
	if err != nil {
		return fmt.Errorf("server.admin.listen: %w", err)
	}
	s.side = side
	s.logger("admin").Info("admin listener ready", "network", l.Network, "address", addr.String())
	return nil
}

// adminHandler guards the admin routes over TCP by the house in use; a socket is guarded by its mode.
func (s *server) adminHandler(network string) http.Handler {
	routes := s.admin.Handler(&problem.Writer{Logger: s.logger("admin")})
	if network == "unix" {
		return s.recovering(routes.ServeHTTP)
	}
	return s.recovering(func(w http.ResponseWriter, r *http.Request) {
		s.house.Load().admin.Handler(routes).ServeHTTP(w, r)
	})
}

// stop lets running requests end, and the admin listener last, so that probes see the server drain.
func (s *server) stop(ctx context.Context) error {
	err := s.main.Shutdown(ctx)
	if s.side != nil {
		s.side.Shutdown(canceled())
	}
	s.house.Load().close()
	return err
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
