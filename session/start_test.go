package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/session"
)

// TestStartMakesANewSession: whoever signs in, and whoever's rights change, has a secret and an id that nobody knew before, and what was before is gone from the
// store: CVE-2018-1000519 (aiohttp-session kept the id), CVE-2024-38513 (Fiber adopted any id), CVE-2025-12390 (Keycloak took up an earlier session).
func TestStartMakesANewSession(t *testing.T) {
	for _, tt := range []struct {
		name    string
		before  func(*house) *session.Session
		subject string
		cart    any // what is left of what was put before
	}{
		{"nobody signs in", func(h *house) *session.Session { return h.visitor() }, "jack", "none"},
		{"a visitor signs in", func(h *house) *session.Session {
			s := h.put(h.visitor(), "cart", "full")
			h.save(s)
			return h.again(s)
		}, "jack", "full"},
		{"a visitor signs in before the cart was stored", func(h *house) *session.Session { return h.put(h.visitor(), "cart", "full") }, "jack", "full"},
		{"the same subject again", func(h *house) *session.Session {
			s := h.put(h.signIn("jack"), "cart", "full")
			h.save(s)
			return h.again(s)
		}, "jack", "full"},
		{"the same subject, put and not stored", func(h *house) *session.Session { return h.put(h.again(h.signIn("jack")), "cart", "full") }, "jack", "full"},
		{"another subject", func(h *house) *session.Session {
			s := h.put(h.signIn("ann"), "cart", "full")
			h.save(s)
			return h.again(s)
		}, "jack", "none"},
		{"another subject, put and not stored", func(h *house) *session.Session { return h.put(h.again(h.signIn("ann")), "cart", "full") }, "jack", "none"},
		{"a subject that looks alike", func(h *house) *session.Session { return h.put(h.again(h.signIn("Jack")), "cart", "full") }, "jack", "none"},
		{"a session that was forgotten", func(h *house) *session.Session {
			s := h.put(h.signIn("jack"), "cart", "full")
			h.save(s)
			h.ok("End", h.End(h.t.Context(), s))
			return s
		}, "jack", "none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, session.Config{})
			s := tt.before(h)
			id, secret := s.ID(), s.Secret()
			h.start(s, tt.subject)
			if s.ID() == "" || s.ID() == id || s.Secret().IsZero() || s.Secret().Equal(secret) || s.Subject() != tt.subject || s.Changed() {
				t.Errorf("after Start: id %q of %q, the id before %q, changed %v", s.ID(), s.Subject(), id, s.Changed())
			}
			if !secret.IsZero() {
				_, err := h.findSecret(secret.Reveal())
				h.refused("Open with the secret before", err, session.ErrUnknown)
			}
			if n := h.records("") + h.records("ann") + h.records("Jack"); n != 0 || h.records("jack") != 1 {
				t.Errorf("%d records of others and %d of jack, want 0 and 1", n, h.records("jack"))
			}
			if got := h.get(h.again(s), "cart"); got != tt.cart {
				t.Errorf("the cart is %v, want %v", got, tt.cart)
			}
		})
	}
}

// TestFixation: an attacker who has planted the cookie of a session of his own, or keeps one from before the log-in, is not signed in with it.
func TestFixation(t *testing.T) {
	h := newHouse(t, session.Config{})
	planted := h.put(h.visitor(), "note", "planted")
	h.save(planted)
	victim := h.start(h.again(planted), "jack")
	h.over("the planted session", planted, session.ErrUnknown)
	_, err := h.Save(t.Context(), h.put(planted, "note", "changed"))
	h.refused("Save of the planted session", err, gatehouse.ErrSession)
	h.start(planted, "mallory")
	if next := h.again(victim); next.Subject() != "jack" || h.get(next, "note") != "planted" {
		t.Errorf("the victim's session is %q's, with %v", next.Subject(), h.get(next, "note"))
	}
}

// TestStartForAnothersSession: the session of another table is neither ended nor does its data come along.
func TestStartForAnothersSession(t *testing.T) {
	shop, bank := newHouse(t, session.Config{}), newHouse(t, session.Config{})
	for name, s := range map[string]*session.Session{
		"another subject": shop.put(shop.signIn("ann"), "cart", "ann's"), "a visitor": shop.put(shop.visitor(), "cart", "ann's"),
		"the same subject": shop.put(shop.signIn("jack"), "cart", "ann's"),
	} {
		bank.start(s, "jack")
		if got := bank.get(s, "cart"); got != "none" || bank.get(bank.again(s), "cart") != "none" {
			t.Errorf("%s: the session of the other table brings its cart: %v", name, got)
		}
	}
	if shop.records("ann") != 1 || shop.records("jack") != 1 {
		t.Errorf("the other table has %d sessions of ann and %d of jack, want one of each", shop.records("ann"), shop.records("jack"))
	}
}

// TestEndedIsNotRenewed: Start in a request that was on its way while its session was ended signs nobody in again.
func TestEndedIsNotRenewed(t *testing.T) {
	for name, end := range map[string]func(*house, *session.Session) error{
		"End":    func(h *house, s *session.Session) error { return h.End(t.Context(), h.again(s)) },
		"EndOne": func(h *house, s *session.Session) error { return h.EndOne(t.Context(), "jack", s.ID()) },
		"EndAll": func(h *house, s *session.Session) error {
			_, err := h.EndAll(t.Context(), "jack", "")
			return err
		},
		"Start": func(h *house, s *session.Session) error {
			return h.Start(t.Context(), h.again(s), gatehouse.Identity{Value: "ann"}, session.Options{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, session.Config{})
			s := h.signIn("jack")
			request := h.again(s)
			h.ok(name, end(h, s))
			id, secret := request.ID(), request.Secret()
			err := h.Start(t.Context(), request, gatehouse.Identity{Value: "jack"}, session.Options{})
			h.refused("Start after "+name, err, gatehouse.ErrSession)
			if request.ID() != id || !request.Secret().Equal(secret) || h.records("jack") != 0 {
				t.Errorf("after the refusal: id %q, want %q; %d records", request.ID(), id, h.records("jack"))
			}
		})
	}
}

// TestSignInAfterAnEnd: who has proved a password is signed in, although the session of somebody else, or the visitor's, was ended meanwhile.
func TestSignInAfterAnEnd(t *testing.T) {
	h := newHouse(t, session.Config{})
	visitor := h.put(h.visitor(), "cart", "full")
	h.save(visitor)
	request := h.again(visitor)
	h.start(h.again(visitor), "jack") // a second click was faster
	h.start(request, "jack")
	if h.get(h.again(request), "cart") != "full" || h.records("") != 0 {
		t.Errorf("after the second click: cart %v, %d visitors", h.get(request, "cart"), h.records(""))
	}

	ann := h.signIn("ann")
	request = h.put(h.again(ann), "cart", "ann's")
	h.ok("End", h.End(t.Context(), ann))
	h.start(request, "jack")
	if got := h.get(h.again(request), "cart"); got != "none" {
		t.Errorf("ann's cart comes along: %v", got)
	}
}

// TestStartFails: where no session was started, everything is as before.
func TestStartFails(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	deep := any("x")
	for range 20_000 {
		deep = []any{deep}
	}
	for _, tt := range []struct {
		name string
		ctx  context.Context
		id   gatehouse.Identity
		o    session.Options
		want error
	}{
		{"an empty identity", t.Context(), gatehouse.Identity{}, session.Options{}, session.ErrInvalid},
		{"nobody with an e-mail address", t.Context(), gatehouse.Identity{Email: "jack@example.org"}, session.Options{}, session.ErrInvalid},
		{"an anonymous identity", t.Context(), gatehouse.Identity{Value: "jack", Kind: gatehouse.KindAnonymous}, session.Options{}, session.ErrInvalid},
		{"a value that is not UTF-8", t.Context(), gatehouse.Identity{Value: "jack\xff"}, session.Options{}, session.ErrInvalid},
		{"a kind that is not UTF-8", t.Context(), gatehouse.Identity{Value: "jack", Kind: "\xff"}, session.Options{}, session.ErrInvalid},
		{"an address that is not UTF-8", t.Context(), gatehouse.Identity{Value: "jack", Email: "j\xe4ck@example.org"}, session.Options{}, session.ErrInvalid},
		{"a role that is not UTF-8", t.Context(), gatehouse.Identity{Value: "jack", Roles: []string{"basic", "\xc0\xae"}}, session.Options{}, session.ErrInvalid},
		{"a scope that is not UTF-8", t.Context(), gatehouse.Identity{Value: "jack", Scopes: []string{"\xed\xa0\x80"}}, session.Options{}, session.ErrInvalid},
		{"a method that is not UTF-8", t.Context(), gatehouse.Identity{Value: "jack", Methods: []string{"\xff"}}, session.Options{}, session.ErrInvalid},
		{"a value of 1025 bytes", t.Context(), gatehouse.Identity{Value: strings.Repeat("j", 1025)}, session.Options{}, session.ErrInvalid},
		{"claims without a JSON form", t.Context(), gatehouse.WithClaims(gatehouse.Identity{Value: "jack"}, map[string]any{"f": func() {}}), session.Options{}, session.ErrInvalid},
		{"claims that never end", t.Context(), gatehouse.WithClaims(gatehouse.Identity{Value: "jack"}, map[string]any{"n": endless()}), session.Options{}, session.ErrInvalid},
		{"large claims", t.Context(), gatehouse.WithClaims(gatehouse.Identity{Value: "jack"}, map[string]any{"c": strings.Repeat("x", 64<<10)}), session.Options{}, session.ErrTooLarge},
		{"claims too deep to be read again", t.Context(), gatehouse.WithClaims(gatehouse.Identity{Value: "jack"}, map[string]any{"c": deep}), session.Options{}, session.ErrTooLarge},
		{"an identity that has expired", t.Context(), gatehouse.Identity{Value: "jack", ExpiresAt: noon.Add(-time.Hour)}, session.Options{}, session.ErrInvalid},
		{"an identity that expires now", t.Context(), gatehouse.Identity{Value: "jack", ExpiresAt: noon}, session.Options{}, session.ErrInvalid},
		{"an identity that has expired in 1970", t.Context(), gatehouse.Identity{Value: "jack", ExpiresAt: time.Unix(0, 0)}, session.Options{}, session.ErrInvalid},
		{"a negative MaxAge", t.Context(), gatehouse.Identity{Value: "jack"}, session.Options{MaxAge: -time.Hour}, session.ErrInvalid},
		{"a MaxAge of nothing", t.Context(), gatehouse.Identity{Value: "jack"}, session.Options{MaxAge: 1}, session.ErrInvalid},
		{"attributes that are no JSON", t.Context(), gatehouse.Identity{Value: "jack"}, session.Options{Attributes: []byte("{")}, session.ErrInvalid},
		{"large attributes", t.Context(), gatehouse.Identity{Value: "jack"}, session.Options{Attributes: []byte(`"` + strings.Repeat("x", 1023) + `"`)}, session.ErrInvalid},
		{"a cancelled context", cancelled, gatehouse.Identity{Value: "jack"}, session.Options{}, context.Canceled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, session.Config{})
			for _, s := range []*session.Session{h.visitor(), h.put(h.signIn("ann"), "cart", "full"), h.put(h.signIn("jack"), "cart", "full")} {
				h.leaves(s, func() { h.refused("Start", h.Start(tt.ctx, s, tt.id, tt.o), tt.want) })
			}
		})
	}
}

func endless() any {
	m := map[string]any{}
	m["self"] = m
	return m
}

// leaves reports a session that act changes, or whose record it ends.
func (h *house) leaves(s *session.Session, act func()) {
	h.t.Helper()
	state := func() string {
		return fmt.Sprint(s.ID(), s.Secret().Reveal(), s.Identity(), s.Keys(), s.Changed(), s.Expires(), h.records(""), h.records("ann"), h.records("jack"))
	}
	before := state()
	act()
	if after := state(); after != before {
		h.t.Errorf("the session was %.300s, and is %.300s", before, after)
	}
	if s.ID() != "" {
		h.again(s)
	}
}

// TestStoreFailsAtStart: nobody is signed in, and nobody is signed out.
func TestStoreFailsAtStart(t *testing.T) {
	h := newHouse(t, session.Config{})
	for _, s := range []*session.Session{h.visitor(), h.put(h.signIn("ann"), "cart", "full"), h.signIn("jack")} {
		for _, cause := range []error{errDisk, session.ErrExists} {
			h.store.fail("Create", cause)
			h.leaves(s, func() {
				h.unchecked("Start", h.Start(t.Context(), s, gatehouse.Identity{Value: "jack"}, session.Options{}), cause)
			})
			h.store.fail("Create", nil)
		}
	}
}

// TestIdentityRoundTrip: who comes back is who was remembered.
func TestIdentityRoundTrip(t *testing.T) {
	full := gatehouse.WithClaims(gatehouse.Identity{
		Value: "jäck \x00 \u202e'; --", Kind: gatehouse.KindService, Email: "jack@example.org", Roles: []string{"basic", ""}, Scopes: []string{"films.read"},
		AuthTime: noon.Add(-time.Hour), Methods: []string{"pwd", "otp"}, Carrier: "form", TokenID: "t-1", Session: "another", IssuedAt: noon.Add(-day),
	}, map[string]any{"name": "Jack <b>", "level": 7, "nested": map[string]any{"a": []string{"x"}}, "nothing": nil, "": true})
	whole := func(t time.Time) time.Time { return t.Truncate(time.Millisecond) }
	for _, tt := range []struct {
		name      string
		id, want  gatehouse.Identity
		claims    map[string]any
		userAgent string
	}{
		{"everything", full, gatehouse.Identity{Value: full.Value, Kind: full.Kind, Email: full.Email, Roles: full.Roles, Scopes: full.Scopes, AuthTime: whole(full.AuthTime),
			Methods: full.Methods}, map[string]any{"name": "Jack <b>", "level": 7.0, "nested": map[string]any{"a": []any{"x"}}, "nothing": nil, "": true}, "Mozilla/5.0"},
		{"a value alone", gatehouse.Identity{Value: "jack"}, gatehouse.Identity{Value: "jack", AuthTime: whole(noon)}, nil, ""},
		{"the longest value", gatehouse.Identity{Value: strings.Repeat("j", 1024)}, gatehouse.Identity{Value: strings.Repeat("j", 1024), AuthTime: whole(noon)}, nil, ""},
		{"the time of 1970", gatehouse.Identity{Value: "jack", AuthTime: time.Unix(0, 0)}, gatehouse.Identity{Value: "jack", AuthTime: time.Unix(0, 0)}, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, session.Config{})
			s := h.visitor()
			h.ok("Start", h.Start(t.Context(), s, gatehouse.WithValue(tt.id, "not kept"), session.Options{}))
			h.save(h.put(s, "k", 1)) // through Update, too
			tt.want.Session, tt.want.IssuedAt, tt.want.ExpiresAt = s.ID(), whole(noon), whole(noon).Add(session.DefaultIdle)
			want := gatehouse.WithClaims(tt.want, tt.claims)
			got := h.again(s).Identity()
			if diff := cmp.Diff(want, got, cmp.Comparer(time.Time.Equal), cmp.FilterPath(func(p cmp.Path) bool {
				return strings.HasPrefix(p.Last().String(), ".claims") || strings.HasPrefix(p.Last().String(), ".value")
			}, cmp.Ignore())); diff != "" {
				t.Errorf("Identity (-want +got):\n%s", diff)
			}
			claims := map[string]any{}
			for name, value := range got.Claims() {
				claims[name] = value
			}
			if len(tt.claims) != len(claims) || len(claims) > 0 && !cmp.Equal(claims, tt.claims) {
				t.Errorf("claims = %v, want %v", claims, tt.claims)
			}
			if _, ok := gatehouse.Value[string](gatehouse.NewContext(t.Context(), gatehouse.PrincipalOf(got))); ok {
				t.Error("the program's own value is kept")
			}
			if s.Identity().Session != s.ID() || s.Identity().Value != got.Value {
				t.Errorf("in the request that has signed in, Identity = %+v", s.Identity())
			}
		})
	}
}

// TestAttributes come back with the session, as a copy, also after a change of the data.
func TestAttributes(t *testing.T) {
	h := newHouse(t, session.Config{})
	s := h.visitor()
	h.ok("Start", h.Start(t.Context(), s, gatehouse.Identity{Value: "jack"}, session.Options{Attributes: []byte(`{"p":"/app"}`)}))
	h.save(h.put(s, "k", 1))
	next := h.again(s)
	clear(next.Attributes())
	if got := string(next.Attributes()); got != `{"p":"/app"}` {
		t.Errorf("Attributes = %s", got)
	}
	h.start(next, "jack")
	if got := next.Attributes(); got != nil {
		t.Errorf("the next session has the attributes %s", got)
	}
}

// TestMaxPerSubject: a new session ends the oldest, also if the clock stood still.
func TestMaxPerSubject(t *testing.T) {
	for _, tt := range []struct {
		most  int
		apart time.Duration
	}{{1, 0}, {1, time.Minute}, {3, 0}, {3, time.Minute}, {3, -time.Minute}} {
		t.Run(fmt.Sprint(tt.most, " ", tt.apart), func(t *testing.T) {
			h := newHouse(t, session.Config{MaxPerSubject: tt.most})
			other := h.signIn("ann")
			var all []*session.Session
			for range 6 {
				all = append(all, h.signIn("jack"))
				h.again(all[len(all)-1])
				if n := h.records("jack"); n != min(len(all), tt.most) {
					t.Fatalf("after %d log-ins there are %d sessions, want %d", len(all), n, min(len(all), tt.most))
				}
				h.clock.advance(tt.apart)
			}
			if tt.apart > 0 {
				for i, s := range all {
					if _, err := h.find(s); (err == nil) != (i >= len(all)-tt.most) {
						t.Errorf("session %d of %d, the oldest first: %v", i+1, len(all), err)
					}
				}
			}
			h.again(other)
			if n := h.records("ann"); n != 1 {
				t.Errorf("%d sessions of ann", n)
			}
		})
	}
}

// TestMaxPerSubjectOthers: renewing a session ends no other one, visitors are not counted, overdue ones neither, and what goes wrong is logged.
func TestMaxPerSubjectOthers(t *testing.T) {
	h := newHouse(t, session.Config{MaxPerSubject: 2, Idle: time.Hour})
	one, two := h.signIn("jack"), h.signIn("jack")
	one = h.start(h.again(one), "jack")
	h.again(one)
	h.again(two)
	for range 5 {
		h.save(h.put(h.visitor(), "k", 1))
	}
	if n := h.records(""); n != 5 {
		t.Errorf("%d visitors, want 5", n)
	}
	h.clock.advance(time.Hour)
	three, four := h.signIn("jack"), h.signIn("jack")
	h.again(three)
	h.again(four)

	h.store.fail("Delete", errDisk)
	five := h.signIn("jack")
	h.store.fail("Delete", nil)
	h.again(five)
	if !strings.Contains(h.log.String(), "over the limit") {
		t.Errorf("the log says %q", h.log)
	}
	h.store.fail("List", errDisk)
	h.again(h.signIn("jack"))
	if !strings.Contains(h.log.String(), "could not be counted") {
		t.Errorf("the log says %q", h.log)
	}
}

// TestMaxPerSubjectInParallel: never are there more, however many sign in at once.
func TestMaxPerSubjectInParallel(t *testing.T) {
	h := newHouse(t, session.Config{MaxPerSubject: 3})
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if err := h.Start(t.Context(), new(session.Session), gatehouse.Identity{Value: "jack"}, session.Options{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := h.records("jack"); n > 3 {
		t.Errorf("%d sessions, want 3 at most", n)
	}
}

// TestStartTwiceAtOnce: of two renewals of one session at the same time one wins, and there is one session.
func TestStartTwiceAtOnce(t *testing.T) {
	for range 200 {
		h := newHouse(t, session.Config{})
		s := h.signIn("jack")
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i, request := range []*session.Session{h.again(s), h.again(s)} {
			wg.Go(func() {
				errs[i] = h.Start(t.Context(), request, gatehouse.Identity{Value: "jack"}, session.Options{})
			})
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), gatehouse.ErrSession) || h.records("jack") != 1 {
			t.Fatalf("two renewals = %v, and %d sessions; want one that is refused, and one session", errs, h.records("jack"))
		}
	}
}
