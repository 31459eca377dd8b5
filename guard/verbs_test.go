package guard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/problem"
	"github.com/gatehouse-auth/gatehouse/session"
)

func copyAll(w io.Writer, r io.Reader) (int64, error) { return io.Copy(w, r) }

const cookieName = "__Host-gatehouse"

// TestSignInAndOut: the cookie has every attribute, log-out deletes the record and repeats them, and the saved cookie is good for nothing.
func TestSignInAndOut(t *testing.T) {
	s := newSite(t, nil)
	v := s.visitor(t)
	if got := v.do("GET", "/who"); got.body != "-" || got.header["Set-Cookie"] != nil {
		t.Errorf("before: %s, cookies %q", got.body, got.header["Set-Cookie"])
	}
	in := v.do("POST", "/in?who=jack")
	cookie := in.header.Get("Set-Cookie")
	if !strings.HasPrefix(cookie, cookieName+"=") || !strings.HasSuffix(cookie, "; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax") || in.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the cookie is %q, cache control %q", cookie, in.header.Get("Cache-Control"))
	}
	if got := v.do("GET", "/who"); got.body != "jack" || got.header["Set-Cookie"] != nil || !strings.Contains(strings.Join(got.header.Values("Vary"), ","), "Cookie") {
		t.Errorf("signed in: %s, cookies %q, vary %q", got.body, got.header["Set-Cookie"], got.header.Values("Vary"))
	}
	out := v.do("POST", "/out")
	if out.status != 200 || out.header.Get("Set-Cookie") != cookieName+"=; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Lax" {
		t.Errorf("log-out = %d %q", out.status, out.header.Get("Set-Cookie"))
	}
	saved, _, _ := strings.Cut(cookie, ";")
	got := s.stranger(t, "GET", "/who", "Cookie", saved)
	if got.body != "-" || !strings.HasPrefix(got.header.Get("Set-Cookie"), cookieName+"=;") {
		t.Errorf("the saved cookie: %s, cookies %q; want an anonymous caller and the cookie taken away", got.body, got.header["Set-Cookie"])
	}
	if n := s.store.records.Load(); n != 0 {
		t.Errorf("%d records are left after log-out", n)
	}
	if got := v.do("POST", "/out"); got.status != 200 || got.header["Set-Cookie"] != nil || s.store.records.Load() != 0 {
		t.Errorf("log-out of nobody = %d %q, want 200 and nothing made", got.status, got.header["Set-Cookie"])
	}
}

// TestSignInMakesANewSession: the id that was there before is good for nothing, whoever chose it (CWE-384).
func TestSignInMakesANewSession(t *testing.T) {
	s := newSite(t, nil)
	v := s.visitor(t)
	first := v.signIn("jack")
	second := v.signIn("ann")
	if first == second {
		t.Fatal("signing in again keeps the id")
	}
	if got := s.stranger(t, "GET", "/who", "Cookie", first); got.body != "-" {
		t.Errorf("the first id is still %s", got.body)
	}
	if got := s.stranger(t, "GET", "/who", "Cookie", second); got.body != "ann" {
		t.Errorf("the second id is %s, want ann", got.body)
	}
	chosen := cookieName + "=" + strings.Repeat("A", 43)
	got := s.stranger(t, "POST", "/in?who=jack", "Cookie", chosen)
	if value, _, _ := strings.Cut(got.header.Get("Set-Cookie"), ";"); value == chosen || got.status != 200 {
		t.Errorf("signing in with a chosen id = %d %q", got.status, value)
	}
	if got := s.stranger(t, "GET", "/who", "Cookie", chosen); got.body != "-" {
		t.Errorf("the chosen id became %s", got.body)
	}
}

// TestOneLookupARequest: however often a handler asks, the session is read once and the caller resolved once.
func TestOneLookupARequest(t *testing.T) {
	s := newSite(t, nil)
	s.mux.HandleFunc("GET /many", func(w http.ResponseWriter, r *http.Request) {
		for range 5 {
			if guard.UserID(r) != "jack" || guard.IsAnonymous(r) || session.FromContext(r.Context()).Subject() != "jack" {
				t.Error("the handler does not find jack")
			}
			if _, err := guard.Require(r); err != nil {
				t.Error(err)
			}
		}
	})
	v := s.visitor(t)
	v.signIn("jack")
	gets, resolves, writes := s.store.gets.Load(), s.policy.resolves.Load(), s.store.writes.Load()
	if got := v.do("GET", "/many"); got.status != 200 {
		t.Fatalf("/many = %d", got.status)
	}
	if g, p, w := s.store.gets.Load()-gets, s.policy.resolves.Load()-resolves, s.store.writes.Load()-writes; g != 1 || p != 1 || w != 0 {
		t.Errorf("one request read the store %d times, resolved %d times and wrote %d times; want 1, 1, 0", g, p, w)
	}
}

type perm string

type action int

func (a action) String() string { return [...]string{"listen", "", "speak"}[a] }

type labelled string

func (labelled) String() string { return "listen" }

// TestPermissionsOfAnyStringType: a permission is a string type or a fmt.Stringer; what is empty or something else is an error, never an allow.
func TestPermissionsOfAnyStringType(t *testing.T) {
	s := newSite(t, nil)
	s.policy.grants["jack "] = true // a policy that would allow the empty permission
	var nobody *labelled
	for _, tt := range []struct {
		permission any
		ok, fails  bool
	}{
		{"listen", true, false}, {perm("listen"), true, false}, {action(0), true, false}, {labelled("whatever it is"), true, false},
		{"speak", false, false}, {perm("speak"), false, false}, {action(2), false, false}, {"Listen", false, false}, {"listen ", false, false},
		{"", false, true}, {perm(""), false, true}, {action(1), false, true}, {nil, false, true}, {7, false, true}, {[]string{"listen"}, false, true},
		{[]byte("listen"), false, true}, {nobody, false, true}, {errors.New("listen"), false, true},
	} {
		var ok bool
		var err error
		h := s.guard.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ok, err = guard.Permits(r, tt.permission, nil) }))
		get(h, "GET", "/", "Authorization", "Token token1")
		if ok != tt.ok || (err != nil) != tt.fails || tt.fails && !errors.Is(err, guard.ErrPermission) {
			t.Errorf("Permits(%T %v) = %v, %v; want %v, an error: %v", tt.permission, tt.permission, ok, err, tt.ok, tt.fails)
		}
	}
	for _, permission := range []any{"", perm(""), nil, 7} {
		mustPanic(t, fmt.Sprintf("RequirePermission(%v)", permission), func() { s.guard.RequirePermission(permission, nil) })
	}
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s does not panic", what)
		}
	}()
	f()
}

// TestRequirements: one table for the middleware and the in-handler form of each verb, which must agree.
func TestRequirements(t *testing.T) {
	down := errors.New("the store is down")
	for _, tt := range []struct {
		who        string // "" anonymous, "stale" a cookie that nobody knows, "gone" a disabled account, "down" a store that does not answer
		verb       string
		status     int
		code       problem.Code
		challenged bool
	}{
		{"", "known", 401, problem.NoCredential, true}, {"stale", "known", 401, problem.SessionInvalid, true}, {"gone", "known", 401, problem.SessionInvalid, true},
		{"down", "known", 503, problem.Unavailable, false}, {"jack", "known", 200, "", false}, {"ann", "known", 200, "", false},
		{"", "admin", 401, problem.NoCredential, true}, {"jack", "admin", 403, problem.Forbidden, false}, {"ann", "admin", 200, "", false},
		{"ann", "basic", 200, "", false}, {"stale", "admin", 401, problem.SessionInvalid, true}, {"gone", "admin", 401, problem.SessionInvalid, true},
		{"", "listen", 401, problem.NoCredential, true}, {"jack", "listen", 200, "", false}, {"ann", "listen", 403, problem.Forbidden, false},
		{"stale", "listen", 401, problem.SessionInvalid, true}, {"down", "listen", 503, problem.Unavailable, false},
		{"", "read", 200, "", false}, {"stale", "read", 200, "", false}, {"gone", "read", 200, "", false}, // granted to everybody, explicitly
		{"ann", "read", 200, "", false}, {"jack", "read", 403, problem.Forbidden, false}, {"down", "read", 503, problem.Unavailable, false},
	} {
		t.Run(tt.who+" "+tt.verb, func(t *testing.T) {
			s := newSite(t, func(c *guard.Config) { c.Roles = policy.RoleList("basic", "admin") })
			s.both("known", s.guard.Require, func(r *http.Request) (gatehouse.Principal, error) { return guard.Require(r) })
			for _, role := range []string{"admin", "basic"} {
				s.both(role, func(h http.HandlerFunc) http.Handler { return s.guard.RequireRole(role, h) },
					func(r *http.Request) (gatehouse.Principal, error) { return guard.RequireRole(r, role) })
			}
			for _, permission := range []string{"listen", "read"} {
				s.both(permission, func(h http.HandlerFunc) http.Handler { return s.guard.RequirePermission(permission, h) },
					func(r *http.Request) (gatehouse.Principal, error) { return guard.RequirePermission(r, permission, nil) })
			}
			v := s.visitor(t)
			cookie := ""
			switch tt.who {
			case "":
			case "stale":
				cookie = cookieName + "=" + strings.Repeat("A", 43)
			default:
				cookie = v.signIn(strings.NewReplacer("gone", "old", "down", "jack", "ann", "ann&role=admin").Replace(tt.who))
			}
			switch tt.who {
			case "gone":
				s.policy.gone.Store("old", true)
			case "down":
				s.store.failing(down)
			}
			for _, form := range []string{"/middleware/", "/handler/"} {
				got := s.stranger(t, "GET", form+tt.verb, "Cookie", cookie)
				if got.status != tt.status || got.code() != string(tt.code) || (got.challenges() != "") != tt.challenged || strings.Contains(got.challenges(), "error=") {
					t.Errorf("%s%s = %d %s, challenge %q; want %d %s, challenge: %v", form, tt.verb, got.status, got.code(), got.challenges(), tt.status, tt.code, tt.challenged)
				}
				if cleared := strings.Contains(got.header.Get("Set-Cookie"), "Max-Age=0"); cleared != (tt.who == "stale" || tt.who == "gone") {
					t.Errorf("%s%s: cookie cleared: %v", form, tt.verb, cleared)
				}
			}
		})
	}
}

// both adds the two forms of a requirement.
func (s *site) both(name string, middleware func(http.HandlerFunc) http.Handler, inHandler func(*http.Request) (gatehouse.Principal, error)) {
	s.mux.Handle("GET /middleware/"+name, middleware(who))
	s.mux.Handle("GET /handler/"+name, guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
		p, err := inHandler(r)
		if err != nil {
			if !p.IsAnonymous() {
				return errors.New("an error came with a principal")
			}
			return err
		}
		if p.Subject != gatehouse.FromContext(r.Context()).Subject {
			return errors.New("the principal is not the request's")
		}
		who(w, r)
		return nil
	}))
}

// TestResourceCounts: the resource reaches the policy, and a refusal says nothing of what was needed.
func TestResourceCounts(t *testing.T) {
	s := newSite(t, nil)
	s.mux.Handle("GET /film/{id}", guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
		_, err := guard.RequirePermission(r, "listen", r.PathValue("id"))
		return err
	}))
	v := s.visitor(t)
	v.signIn("jack")
	if got := v.do("GET", "/film/open"); got.status != 200 {
		t.Errorf("the open film = %d", got.status)
	}
	if got := v.do("GET", "/film/locked"); got.status != 403 || strings.Contains(got.body+got.challenges(), "listen") {
		t.Errorf("the locked film = %d %s", got.status, got.body)
	}
}

// TestPolicyThatFails: a policy that cannot say whether is 503, and its error is not the caller's to read.
func TestPolicyThatFails(t *testing.T) {
	s := newSite(t, nil)
	s.mux.Handle("GET /listen", s.guard.RequirePermission("listen", who))
	v := s.visitor(t)
	v.signIn("jack")
	s.policy.fault = errors.New("no connection to db.internal")
	if got := v.do("GET", "/listen"); got.status != 503 || got.header.Get("Retry-After") == "" || strings.Contains(got.body, "db.internal") {
		t.Errorf("/listen = %d %v %s", got.status, got.header, got.body)
	}
	panics := makeGuard(t, guard.Config{Policy: users{permits: func(context.Context, gatehouse.Principal, string, any) (bool, error) { panic("secret") }}})
	got := get(panics.Handler(panics.RequirePermission("listen", who)), "GET", "/", "Authorization", "Token token1")
	if got.status != 503 || strings.Contains(got.body, "secret") {
		t.Errorf("a policy that panics = %d %s", got.status, got.body)
	}
}

type batch struct {
	users
	asked *int
	wrong bool
}

func (b batch) PermitsEach(_ context.Context, p gatehouse.Principal, permissions []string, _ any) ([]bool, error) {
	*b.asked++
	answers := make([]bool, len(permissions))
	for i, name := range permissions {
		answers[i] = p.Subject == "jack" && name == "listen"
	}
	if b.wrong {
		answers = append(answers, true)
	}
	return answers, nil
}

// TestPermitsEach: several questions at once are one to a policy that can, and give what the single ones give.
func TestPermitsEach(t *testing.T) {
	asked := 0
	single := users{permits: func(_ context.Context, p gatehouse.Principal, name string, _ any) (bool, error) {
		return p.Subject == "jack" && name == "listen", nil
	}}
	ask := func(p guard.Policy, permissions ...any) (answers []bool, err error) {
		g := makeGuard(t, guard.Config{Policy: p})
		get(g.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { answers, err = g.PermitsEach(r, nil, permissions...) })),
			"GET", "/", "Authorization", "Token token1")
		return answers, err
	}
	for name, p := range map[string]guard.Policy{"one by one": single, "at once": batch{asked: &asked}} {
		if got, err := ask(p, "speak", perm("listen"), action(2)); err != nil || fmt.Sprint(got) != "[false true false]" {
			t.Errorf("%s: %v, %v; want [false true false]", name, got, err)
		}
		if got, err := ask(p, "listen", ""); !errors.Is(err, guard.ErrPermission) || fmt.Sprint(got) != "[false false]" {
			t.Errorf("%s, with an empty one: %v, %v; want only refusals and ErrPermission", name, got, err)
		}
	}
	if asked != 1 {
		t.Errorf("the batch policy was asked %d times, want once", asked)
	}
	if got, err := ask(batch{asked: &asked, wrong: true}, "listen"); err == nil || fmt.Sprint(got) != "[false]" {
		t.Errorf("a policy with too many answers: %v, %v; want a refusal and an error", got, err)
	}
}

// TestVerbsOutsideAGuard: everything is denied, and the log says so once.
func TestVerbsOutsideAGuard(t *testing.T) {
	s, other := newSite(t, nil), makeGuard(t, guard.Config{})
	var log buffer
	before := slog.Default()
	slog.SetDefault(log.logger())
	defer slog.SetDefault(before)
	guard.ResetOutside()
	verbs := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := gatehouse.Identity{Value: "mallory"}
		ok, err := guard.Permits(r, "read", nil)
		each, err2 := guard.PermitsEach(r, nil, "read")
		_, err3 := guard.Require(r)
		_, err4 := guard.RequireRole(r, "admin")
		_, err5 := guard.RequirePermission(r, "read", nil)
		for i, err := range []error{err, err2, err3, err4, err5, guard.Remember(w, r, id), guard.Forget(w, r)} {
			if p, is := errors.AsType[*problem.Problem](err); !is || p.Code != problem.Unavailable || !errors.Is(err, guard.ErrOutside) {
				t.Errorf("verb %d = %v, want ErrOutside", i, err)
			}
		}
		if ok || each[0] || guard.UserID(r) != "" || !guard.IsAnonymous(r) || len(w.Header()) > 0 {
			t.Errorf("outside a guard: permits %v %v, user %q, header %v", ok, each, guard.UserID(r), w.Header())
		}
		if err := session.Put(session.FromContext(r.Context()), "k", 1); !errors.Is(err, session.ErrDetached) {
			t.Errorf("Put = %v, want ErrDetached", err)
		}
		guard.Fail(w, r, err)
	})
	if got := get(verbs, "POST", "/"); got.status != 503 {
		t.Errorf("Fail outside a guard = %d", got.status)
	}
	if got := strings.Count(log.String(), "has not judged its request"); got != 1 {
		t.Errorf("the log says it %d times, want once:\n%s", got, log.String())
	}
	for name, g := range map[string]*guard.Guard{"another guard": other, "nil": nil, "zero": {}} {
		methods := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ok, err := g.Permits(r, "read", nil)
			each, err2 := g.PermitsEach(r, nil, "read")
			errs := []error{err, err2, g.Remember(w, r, gatehouse.Identity{Value: "mallory"}), g.Forget(w, r)}
			if ok || each[0] || errors.Join(errs...) == nil || g.UserID(r) != "" || !g.IsAnonymous(r) {
				t.Errorf("%s answers for a request that it has not judged: %v %v %v", name, ok, each, errs)
			}
			for _, err := range errs {
				if err == nil {
					t.Errorf("%s: a verb has no error", name)
				}
			}
		})
		get(s.guard.Handler(methods), "POST", "/", "Authorization", "Token token1")
		for verb, h := range map[string]http.Handler{"Require": g.Require(who), "RequirePermission": g.RequirePermission("read", who), "RequireRole": g.BehindRole(who)} {
			if got := get(s.guard.Handler(h), "GET", "/", "Authorization", "Token token1"); got.status != 503 || got.reached() {
				t.Errorf("%s: %s of a request that it has not judged = %d", name, verb, got.status)
			}
		}
	}
	mustPanic(t, "RequireRole of an unknown role", func() { other.RequireRole("king", who) })
}

// TestRememberRefuses what is a mistake of the program, or not its sender's wish.
func TestRememberRefuses(t *testing.T) {
	s := newSite(t, nil)
	for _, tt := range []struct {
		name    string
		id      gatehouse.Identity
		options []carrier.Option
		want    error
	}{
		{"nobody", gatehouse.Identity{}, nil, session.ErrInvalid},
		{"an anonymous kind", gatehouse.Identity{Value: "x", Kind: gatehouse.KindAnonymous}, nil, session.ErrInvalid},
		{"broken text", gatehouse.Identity{Value: "a\xff"}, nil, session.ErrInvalid},
		{"a path for a __Host- cookie", gatehouse.Identity{Value: "jack"}, []carrier.Option{carrier.Path("/app")}, errors.ErrUnsupported},
		{"an option that nobody reads", gatehouse.Identity{Value: "jack"}, []carrier.Option{carrier.With("Colour", "red")}, errors.ErrUnsupported},
	} {
		var err error
		h := s.guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { err = guard.Remember(w, r, tt.id, tt.options...) }))
		got := get(h, "POST", "/")
		if !errors.Is(err, tt.want) || got.header["Set-Cookie"] != nil || s.store.records.Load() != 0 {
			t.Errorf("%s: %v, cookies %q, records %d; want %v and nothing made", tt.name, err, got.header["Set-Cookie"], s.store.records.Load(), tt.want)
		}
		if p, is := errors.AsType[*problem.Problem](err); is {
			t.Errorf("%s: %v is the caller's problem, want the program's", tt.name, p)
		}
	}
	onlyTokens := tokenAuth(t)
	var err error
	get(onlyTokens.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err = guard.Remember(w, r, gatehouse.Identity{Value: "jack"})
	})),
		"POST", "/", "Authorization", "Token token1")
	if !errors.Is(err, carrier.ErrNotHandedOut) {
		t.Errorf("Remember without a carrier that hands out = %v, want ErrNotHandedOut", err)
	}
}

// TestStoreDown: what could not be stored or deleted is 503 and never a success: log-out above all (CVE-2020-15223).
func TestStoreDown(t *testing.T) {
	s := newSite(t, nil)
	v := s.visitor(t)
	v.signIn("jack")
	s.store.failing(errors.New("connection refused by 10.0.0.7"))
	for _, tt := range []struct{ method, path string }{{"GET", "/who"}, {"POST", "/out"}, {"POST", "/in?who=ann"}} {
		got := v.do(tt.method, tt.path)
		if got.status != 503 || got.code() != "unavailable" || got.header.Get("Retry-After") == "" || got.header["Set-Cookie"] != nil || strings.Contains(got.body, "10.0.0.7") {
			t.Errorf("%s %s = %d %v %s", tt.method, tt.path, got.status, got.header, got.body)
		}
	}
	if got := s.stranger(t, "POST", "/in?who=ann"); got.status != 503 || got.header["Set-Cookie"] != nil {
		t.Errorf("signing in without a store = %d %q", got.status, got.header["Set-Cookie"])
	}
	if got := s.stranger(t, "GET", "/who"); got.status != 200 {
		t.Errorf("a stranger without a cookie = %d, want 200: nothing needs to be checked", got.status)
	}
	s.store.failing(nil)
	if got := v.do("GET", "/who"); got.body != "jack" {
		t.Errorf("the store is back and the caller is %s", got.body)
	}
}

// TestForgetRefusesSafeMethods: a link, an image or a prefetch must not sign anybody out.
func TestForgetRefusesSafeMethods(t *testing.T) {
	s := newSite(t, nil)
	s.mux.Handle("GET /out", guard.Handle(guard.Forget))
	v := s.visitor(t)
	v.signIn("jack")
	if got := v.do("GET", "/out"); got.status != 405 || got.header.Get("Allow") != "POST" {
		t.Errorf("GET /out = %d, Allow %q", got.status, got.header.Get("Allow"))
	}
	if got := v.do("GET", "/who"); got.body != "jack" {
		t.Errorf("after GET /out the caller is %s", got.body)
	}
}

// TestTwoCredentials: a cookie and a token in one request are refused, of one caller too.
func TestTwoCredentials(t *testing.T) {
	s := newSite(t, nil)
	v := s.visitor(t)
	cookie := v.signIn("jack")
	for _, token := range []string{"token1", "admin"} {
		if got := v.do("GET", "/who", "Authorization", "Token "+token); got.status != 400 || got.code() != "duplicate_credential" {
			t.Errorf("jack's cookie with %s = %d %s", token, got.status, got.code())
		}
	}
	if got := s.stranger(t, "GET", "/who", "Cookie", cookie+"; "+cookie); got.status != 400 {
		t.Errorf("the cookie twice = %d", got.status)
	}
	for _, other := range []string{"gatehouse=x", "__Host-Gatehouse=x", "__Host-gatehouse2=x", "app1-username=Bob"} {
		if got := s.stranger(t, "GET", "/who", "Cookie", other+"; "+cookie); got.body != "jack" {
			t.Errorf("with another cookie %s the caller is %d %s", other, got.status, got.body)
		}
	}
}

// TestFail: errors of package gatehouse have answers of their own; of any other nothing is shown.
func TestFail(t *testing.T) {
	var none *problem.Problem
	for _, tt := range []struct {
		name   string
		err    error
		status int
		code   problem.Code
	}{
		{"a wrong password", fmt.Errorf("form: %w", gatehouse.ErrLogin), 401, problem.InvalidCredentials},
		{"no capacity", fmt.Errorf("hash: %w", gatehouse.ErrUnavailable), 503, problem.Unavailable},
		{"forbidden", gatehouse.ErrForbidden, 403, problem.Forbidden},
		{"a session that is gone", session.ErrUnknown, 401, problem.SessionInvalid},
		{"a wrapped problem", fmt.Errorf("here: %w", problem.New(problem.NotFound)), 404, problem.NotFound},
		{"a body over the limit", &http.MaxBytesError{Limit: 1}, 413, problem.BodyTooLarge},
		{"anything else", errors.New("row 7 of users"), 500, problem.Internal},
		{"a nil problem", none, 500, problem.Internal},
	} {
		s := newSite(t, nil)
		inside := s.guard.Handler(guard.Handle(func(http.ResponseWriter, *http.Request) error { return tt.err }))
		for where, h := range map[string]http.Handler{"inside": inside, "outside": guard.Handle(func(http.ResponseWriter, *http.Request) error { return tt.err })} {
			got := get(h, "GET", "/")
			if got.status != tt.status || got.code() != string(tt.code) || strings.Contains(got.body, "row 7") || got.status == 401 && got.challenges() == "" {
				t.Errorf("%s, %s a guard = %d %s, want %d %s", tt.name, where, got.status, got.body, tt.status, tt.code)
			}
		}
		if tt.status == 500 && tt.err != error(none) && !strings.Contains(s.log.String(), "row 7 of users") {
			t.Errorf("%s: the log is %q", tt.name, s.log.String())
		}
	}
}
