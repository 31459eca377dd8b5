package guard_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

// A watchedStore counts what is asked of a store of sessions, and fails when it is told to.
type watchedStore struct {
	session.Store
	mu      sync.Mutex
	fault   error // of every call
	gets    atomic.Int64
	writes  atomic.Int64
	records atomic.Int64 // made and not yet deleted one by one
}

func (s *watchedStore) failing(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = err
}

func (s *watchedStore) fails() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

func (s *watchedStore) Get(ctx context.Context, key session.Key) (session.Record, error) {
	s.gets.Add(1)
	if err := s.fails(); err != nil {
		return session.Record{}, err
	}
	return s.Store.Get(ctx, key)
}

func (s *watchedStore) Create(ctx context.Context, rec session.Record, replaces session.Key) error {
	s.writes.Add(1)
	if err := s.fails(); err != nil {
		return err
	}
	err := s.Store.Create(ctx, rec, replaces)
	if err == nil && replaces.IsZero() {
		s.records.Add(1)
	}
	return err
}

func (s *watchedStore) Update(ctx context.Context, rec session.Record) error {
	s.writes.Add(1)
	if err := s.fails(); err != nil {
		return err
	}
	return s.Store.Update(ctx, rec)
}

func (s *watchedStore) Delete(ctx context.Context, key session.Key) error {
	s.writes.Add(1)
	if err := s.fails(); err != nil {
		return err
	}
	s.records.Add(-1)
	return s.Store.Delete(ctx, key)
}

// A site is a guard with sessions, in front of handlers that a test adds, behind a TLS server.
type site struct {
	*httptest.Server
	mux    *http.ServeMux
	guard  *guard.Guard
	store  *watchedStore
	table  *session.Table
	log    *buffer
	policy *watchedPolicy
}

// A watchedPolicy counts its questions. Who is in gone is not known any more, and what it permits stands in grants: "subject permission", where
// the anonymous caller has no name.
type watchedPolicy struct {
	resolves, permits atomic.Int64
	gone              *sync.Map
	grants            map[string]bool
	fault             error
}

func (p *watchedPolicy) Resolve(_ context.Context, id gatehouse.Identity) (gatehouse.Principal, error) {
	p.resolves.Add(1)
	if _, gone := p.isGone(id.Value); gone {
		return gatehouse.Principal{}, gatehouse.ErrDisabled
	}
	return gatehouse.PrincipalOf(id), p.fault
}

func (p *watchedPolicy) isGone(name string) (any, bool) {
	if p.gone == nil {
		return nil, false
	}
	return p.gone.Load(name)
}

func (p *watchedPolicy) Permits(_ context.Context, who gatehouse.Principal, permission string, resource any) (bool, error) {
	p.permits.Add(1)
	if resource == "locked" {
		return false, nil
	}
	return p.grants[who.Subject+" "+permission], p.fault
}

// newSite starts a site. POST /in?who=NAME signs in as NAME, POST /out signs out, GET /who tells who is calling.
func newSite(t *testing.T, change func(*guard.Config)) *site {
	t.Helper()
	s := &site{mux: http.NewServeMux(), store: &watchedStore{Store: memory.Sessions()}, log: &buffer{},
		policy: &watchedPolicy{gone: new(sync.Map), grants: map[string]bool{"jack listen": true, " read": true, "ann read": true}}}
	s.table = session.New(s.store, session.Config{Logger: s.log.logger()})
	c := guard.Config{
		Carriers: []carrier.Carrier{carrier.Session(s.table), carrier.Header("Token", lookup)}, Policy: s.policy, Logger: s.log.logger(),
	}
	if change != nil {
		change(&c)
	}
	s.guard = makeGuard(t, c)
	s.mux.Handle("POST /in", guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
		return guard.Remember(w, r, gatehouse.Identity{Value: r.FormValue("who"), Roles: r.Form["role"]})
	}))
	s.mux.Handle("POST /out", guard.Handle(guard.Forget))
	s.mux.Handle("/who", who)
	s.Server = httptest.NewTLSServer(s.guard.Handler(s.mux))
	t.Cleanup(s.Close)
	return s
}

// A visitor is a client with a cookie jar that does not follow redirects.
type visitor struct {
	t      *testing.T
	site   *site
	client *http.Client
}

func (s *site) visitor(t *testing.T) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t, s, &http.Client{Transport: s.Client().Transport, Jar: jar, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// do sends a request and returns the answer. The headers are pairs of name and value.
func (v *visitor) do(method, path string, headers ...string) answer {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.site.URL+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	var body strings.Builder
	if _, err := copyAll(&body, resp.Body); err != nil && !errors.Is(err, context.Canceled) {
		v.t.Logf("reading the answer: %v", err)
	}
	return answer{resp.StatusCode, resp.Header, body.String()}
}

// signIn signs the visitor in and returns the cookie, as it would be sent.
func (v *visitor) signIn(name string) string {
	v.t.Helper()
	got := v.do("POST", "/in?who="+name)
	if got.status != 200 || len(got.header["Set-Cookie"]) != 1 {
		v.t.Fatalf("signing in as %s = %d %q %s", name, got.status, got.header["Set-Cookie"], got.body)
	}
	cookie, _, _ := strings.Cut(got.header.Get("Set-Cookie"), ";")
	return cookie
}

// stranger sends a request without a jar.
func (s *site) stranger(t *testing.T, method, path string, headers ...string) answer {
	t.Helper()
	v := s.visitor(t)
	v.client.Jar = nil
	return v.do(method, path, headers...)
}
