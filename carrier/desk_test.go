package carrier_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

// A sessionStore counts its reads and writes, and fails when it is told to.
type sessionStore struct {
	*memory.SessionStore
	reads, writes atomic.Int64
	fault         atomic.Pointer[error]
}

func (s *sessionStore) called(n *atomic.Int64) error {
	n.Add(1)
	if err := s.fault.Load(); err != nil {
		return *err
	}
	return nil
}

func (s *sessionStore) Get(ctx context.Context, key session.Key) (session.Record, error) {
	if err := s.called(&s.reads); err != nil {
		return session.Record{}, err
	}
	return s.SessionStore.Get(ctx, key)
}

func (s *sessionStore) Create(ctx context.Context, rec session.Record, replaces session.Key) error {
	if err := s.called(&s.writes); err != nil {
		return err
	}
	return s.SessionStore.Create(ctx, rec, replaces)
}

func (s *sessionStore) Update(ctx context.Context, rec session.Record) error {
	if err := s.called(&s.writes); err != nil {
		return err
	}
	return s.SessionStore.Update(ctx, rec)
}

func (s *sessionStore) Delete(ctx context.Context, key session.Key) error {
	if err := s.called(&s.writes); err != nil {
		return err
	}
	return s.SessionStore.Delete(ctx, key)
}

// A desk is a session carrier with all that is behind it. What a guard does around a handler, visit does.
type desk struct {
	*carrier.SessionCarrier
	t     *testing.T
	table *session.Table
	store *sessionStore
	now   time.Time
	name  string // of the cookie
}

func newDesk(t *testing.T, c session.Config, opts ...carrier.CookieOption) *desk {
	t.Helper()
	d := &desk{t: t, store: &sessionStore{SessionStore: memory.Sessions()}, now: time.Date(2026, 11, 24, 12, 0, 0, 987_654_321, time.UTC)}
	c.Now = func() time.Time { return d.now }
	d.table = session.New(d.store, c)
	d.SessionCarrier = carrier.Session(d.table, opts...)
	d.name = d.CookieNames()[0]
	return d
}

// A visit is a request and what became of it.
type visit struct {
	id     gatehouse.Identity
	err    error // of Identify
	header http.Header
	r      *http.Request
}

// An act is what a handler does.
type act func(w http.ResponseWriter, r *http.Request) error

// visit makes a request with the Cookie fields, as a guard does: the session is found, the handler acts, and what was put is kept.
func (d *desk) visit(cookies []string, acts ...act) visit {
	d.t.Helper()
	r := httptest.NewRequest("POST", "https://app.example.org/", nil)
	r.Header["Cookie"] = cookies
	r = r.WithContext(session.NewContext(r.Context(), new(session.Session)))
	w := httptest.NewRecorder()
	v := visit{header: w.Header(), r: r}
	v.id, v.err = d.Identify(r)
	for _, do := range append(acts, func(w http.ResponseWriter, r *http.Request) error { return d.Keep(w, r, 200) }) {
		if err := do(w, r); err != nil {
			d.t.Fatalf("a handler fails: %v", err)
		}
	}
	return v
}

func (d *desk) remember(value string, opts ...carrier.Option) act {
	return func(w http.ResponseWriter, r *http.Request) error {
		return d.Remember(w, r, gatehouse.Identity{Value: value}, opts...)
	}
}

func (d *desk) forget(w http.ResponseWriter, r *http.Request) error { return d.Forget(w, r) }

func (d *desk) put(key string, value any) act {
	return func(_ http.ResponseWriter, r *http.Request) error {
		return session.Put(d.table.FromContext(r.Context()), key, value)
	}
}

// signIn returns the Cookie fields of a browser that has signed in.
func (d *desk) signIn(value string, opts ...carrier.Option) []string {
	d.t.Helper()
	return d.cookie(d.visit(nil, d.remember(value, opts...)))
}

// cookie returns the Cookie fields with which a browser comes after v.
func (d *desk) cookie(v visit) []string {
	d.t.Helper()
	for _, cookie := range (&http.Response{Header: v.header}).Cookies() {
		if cookie.Name == d.name && cookie.MaxAge >= 0 {
			return []string{cookie.Name + "=" + cookie.Value}
		}
	}
	d.t.Fatalf("the answer gives no cookie: %q", v.header["Set-Cookie"])
	return nil
}

// is reports who a browser with the cookies is, "" for nobody.
func (d *desk) is(cookies []string) string {
	d.t.Helper()
	v := d.visit(cookies)
	if v.err != nil && !errors.Is(v.err, gatehouse.ErrCredential) && !errors.Is(v.err, gatehouse.ErrAnonymous) {
		d.t.Fatalf("Identify = %v", v.err)
	}
	return v.id.Value
}

func (d *desk) records(subject string) int {
	d.t.Helper()
	list, err := d.store.List(d.t.Context(), subject)
	if err != nil {
		d.t.Fatal(err)
	}
	return len(list)
}

var secretForm = regexp.MustCompile(`=[A-Za-z0-9_-]{43};`)

// said returns what the answer says of cookies, with V for a secret.
func said(h http.Header) []string {
	var lines []string
	for _, line := range h["Set-Cookie"] {
		lines = append(lines, secretForm.ReplaceAllString(line, "=V;"))
	}
	return lines
}

const epoch = "Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; "
