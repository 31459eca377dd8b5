package session_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

// boxRing returns a ring of keys that seal, the first of them in use.
func boxRing(t testing.TB, keys ...*keyring.Key) *keyring.Ring {
	t.Helper()
	ring, err := keyring.Static("session-cookie", keys...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func boxKey(t testing.TB) *keyring.Key {
	t.Helper()
	key, err := keyring.Generate(keyring.A256GCM)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

const sealedCookie = "__Host-gatehouse"

// newSealed returns a table of sealed sessions. The house has no store.
func newSealed(t testing.TB, sealer session.Sealer, c session.Config) (*house, *revocations) {
	t.Helper()
	h := &house{t: t, clock: &clock{now: noon}, log: &buffer{}}
	r := newRevocations(h.clock)
	h.Table = sealedTable(h, sealer, sealedCookie, r, c)
	return h, r
}

// sealedTable returns one more table, as another server or a changed configuration has it.
func sealedTable(h *house, sealer session.Sealer, cookie string, r session.Revocations, c session.Config) *session.Table {
	c.Now, c.Revocations = h.clock.Now, r
	c.Logger = slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return session.NewSealed(sealer, cookie, c)
}

// TestSealedSession: what is kept comes back, on every server that has the key, and the cookie shows nothing of it.
func TestSealedSession(t *testing.T) {
	ring := boxRing(t, boxKey(t))
	h, r := newSealed(t, ring, session.Config{})
	v := h.put(h.visitor(), "cart", []string{"film-1"})
	if !h.save(v) {
		t.Error("a visitor's first value gives no secret")
	}
	s := h.again(v)
	id := gatehouse.Identity{Value: "jack", Email: "jack@example.org", Roles: []string{"basic"}, Scopes: []string{"films.read"}, Methods: []string{"pwd"}, AuthTime: noon.Truncate(time.Millisecond)}
	h.ok("Start", h.Start(t.Context(), s, gatehouse.WithClaims(id, map[string]any{"plan": "gold"}), session.Options{UserAgent: "Mozilla", Attributes: []byte(`{"p":"/"}`)}))
	other := &house{Table: sealedTable(h, ring, sealedCookie, r, session.Config{}), t: t, clock: h.clock}
	got := other.again(s)
	back := got.Identity()
	if plan, _ := back.Claim("plan"); back.Value != "jack" || back.Email != "jack@example.org" || !slices.Equal(back.Roles, id.Roles) || !slices.Equal(back.Scopes, id.Scopes) ||
		!back.AuthTime.Equal(id.AuthTime) || plan != "gold" || back.Session != s.ID() || back.Purpose != "" {
		t.Errorf("the identity came back as %+v", back)
	}
	if cart, _, _ := session.Get[[]string](got, "cart"); !slices.Equal(cart, []string{"film-1"}) || string(got.Attributes()) != `{"p":"/"}` {
		t.Errorf("data came back as %q, attributes as %s", cart, got.Attributes())
	}
	if got.ID() != s.ID() || !got.EndsBy().Equal(s.EndsBy()) || got.ID() == v.ID() {
		t.Errorf("the session came back as %s until %v, want %s until %v", got.ID(), got.EndsBy(), s.ID(), s.EndsBy())
	}
	raw, err := base64.RawURLEncoding.DecodeString(s.Secret().Reveal())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"jack", "gold", "film", s.ID(), `"id"`, "Mozilla"} {
		if bytes.Contains(raw, []byte(text)) {
			t.Errorf("the cookie shows %q", text)
		}
	}
	if h.again(s); s.Secret().Reveal() == h.start(h.again(s), "jack").Secret().Reveal() {
		t.Error("a new session has the same cookie")
	}
}

// TestSealedForgeries: what was not sealed here for this cookie, or was changed in any bit, is no session. It is counted, and nothing of it is logged.
func TestSealedForgeries(t *testing.T) {
	key := boxKey(t)
	ring := boxRing(t, key)
	h, r := newSealed(t, ring, session.Config{})
	secret := h.signIn("jack").Secret().Reveal()
	bare, err := ring.Seal([]byte("{}"), []byte("gatehouse session cookie "+sealedCookie))
	h.ok("Seal", err)
	noJSON, err := ring.Seal([]byte("jack"), []byte("gatehouse session cookie "+sealedCookie))
	h.ok("Seal", err)
	otherCookie := &house{Table: sealedTable(h, ring, "__Host-other", r, session.Config{}), t: t, clock: h.clock}
	otherKey := &house{Table: sealedTable(h, boxRing(t, boxKey(t)), sealedCookie, r, session.Config{}), t: t, clock: h.clock}
	sameID := &house{Table: sealedTable(h, boxRing(t, boxKey(t).WithID(key.ID())), sealedCookie, r, session.Config{}), t: t, clock: h.clock}
	forged := map[string]string{
		"bad key": "bad key", "garbage": "x", "a secret of a store": strings.Repeat("A", 43), "cut": secret[:len(secret)-1], "longer": secret + "A", "padded": secret + "=",
		"a line end": secret + "\n", "twice": secret + secret, "no session": bare, "no JSON": noJSON, "too large": strings.Repeat("A", 1<<16),
		"of another cookie": otherCookie.signIn("jack").Secret().Reveal(), "of another key": otherKey.signIn("jack").Secret().Reveal(),
		"of another key of this name": sameID.signIn("jack").Secret().Reveal(),
	}
	for i := range len(secret) {
		b := []byte(secret)
		b[i] ^= 1
		forged["changed at "+string(b)] = string(b)
	}
	before := h.Forged()
	for name, text := range forged {
		s, err := h.findSecret(text)
		h.refused("Open of "+name, err, gatehouse.ErrSession)
		h.isEmpty(name, s)
	}
	if n := h.Forged() - before; n != int64(len(forged)) {
		t.Errorf("%d of %d forgeries are counted", n, len(forged))
	}
	if log := h.log.String(); strings.Contains(log, secret[40:60]) || strings.Contains(log, "level=ERROR") || strings.Contains(log, "level=WARN") {
		t.Errorf("the log has a cookie in it, or can be filled by anybody:\n%.300s", log)
	}
	_, err = otherCookie.findSecret(secret)
	h.refused("Open at another cookie", err, gatehouse.ErrSession)
	h.findSecret("")
	if h.Forged() != before+int64(len(forged)) {
		t.Error("a visitor without a cookie counts as a forgery")
	}
}

// TestSealedLogout: a copy of the cookie is good for nothing after the log-out, nor is any other that the session ever had.
func TestSealedLogout(t *testing.T) {
	h, r := newSealed(t, boxRing(t, boxKey(t)), session.Config{Absolute: 48 * time.Hour})
	first := h.signIn("jack")
	copies := []string{first.Secret().Reveal()}
	changed := h.put(h.again(first), "cart", 1)
	h.save(changed)
	copies = append(copies, changed.Secret().Reveal())
	renewed := h.start(h.again(changed), "jack")
	copies = append(copies, renewed.Secret().Reveal())
	other := h.signIn("jack")
	if _, err := h.findSecret(copies[0]); !errors.Is(err, gatehouse.ErrSession) {
		t.Errorf("the cookie before the renewal = %v, want ErrSession", err)
	}
	h.ok("End", h.End(t.Context(), h.again(renewed)))
	h.clock.advance(time.Hour)
	for i, secret := range copies {
		_, err := h.findSecret(secret)
		h.refused("copy "+string(rune('1'+i)), err, gatehouse.ErrSession)
	}
	h.again(other)
	if end := r.until; end.Before(renewed.Identity().IssuedAt.Add(48 * time.Hour)) {
		t.Errorf("the log-out is forgotten at %v, when the cookie is still good", end)
	}
}

// TestSealedParallelLogout: a request that was on its way while its session was ended hands out a cookie that is good for nothing.
func TestSealedParallelLogout(t *testing.T) {
	h, _ := newSealed(t, boxRing(t, boxKey(t)), session.Config{})
	s := h.signIn("jack")
	ended, slow, renewing, another := h.again(s), h.put(h.again(s), "cart", 1), h.again(s), h.again(s)
	renewed := h.start(renewing, "jack")
	h.ok("End", h.End(t.Context(), ended))
	_, err := h.Save(t.Context(), slow)
	h.refused("Save of a session that has ended", err, gatehouse.ErrSession)
	h.refused("Start of a session that has ended", h.Start(t.Context(), another, gatehouse.Identity{Value: "jack"}, session.Options{}), gatehouse.ErrSession)
	h.over("what it was renewed to", renewed, gatehouse.ErrSession)
}

// TestSealedLogoutFails: what could not be revoked has not ended, and must not look so.
func TestSealedLogoutFails(t *testing.T) {
	h, r := newSealed(t, boxRing(t, boxKey(t)), session.Config{})
	s := h.signIn("jack")
	r.set(0, errDisk)
	h.unchecked("End", h.End(t.Context(), s), errDisk)
	h.unchecked("Start", h.Start(t.Context(), s, gatehouse.Identity{Value: "ann"}, session.Options{}), errDisk)
	if s.Subject() != "jack" {
		t.Errorf("after a log-out that failed the session is %q's", s.Subject())
	}
	h.again(s)
}

// TestSealedExpiry: the limits are inside, and those of the table hold if they are shorter.
func TestSealedExpiry(t *testing.T) {
	ring := boxRing(t, boxKey(t))
	for _, tt := range []struct {
		name   string
		config session.Config
		maxAge time.Duration
		alive  []time.Duration // since the log-in; each is a use, whose cookie the browser keeps
		over   time.Duration
	}{
		{"idle", session.Config{Idle: time.Hour}, 0, []time.Duration{59 * time.Minute, 118 * time.Minute}, 178 * time.Minute},
		{"never used", session.Config{Idle: time.Hour}, 0, nil, time.Hour},
		{"absolute", session.Config{Idle: time.Hour, Absolute: 90 * time.Minute}, 0, []time.Duration{50 * time.Minute, 89 * time.Minute}, 90 * time.Minute},
		{"its own limit", session.Config{}, time.Minute, []time.Duration{59 * time.Second}, time.Minute},
		{"reading is no use", session.Config{Idle: time.Hour, Touch: -1}, 0, []time.Duration{59 * time.Minute}, time.Hour},
	} {
		h, _ := newSealed(t, ring, tt.config)
		s := h.visitor()
		h.ok("Start", h.Start(t.Context(), s, gatehouse.Identity{Value: "jack"}, session.Options{MaxAge: tt.maxAge}))
		began := h.clock.Now()
		for _, at := range tt.alive {
			h.clock.advance(at - h.clock.Now().Sub(began))
			s = h.again(s)
			if s.Due() {
				h.save(s)
			}
		}
		h.clock.advance(tt.over - h.clock.Now().Sub(began))
		h.over(tt.name, s, gatehouse.ErrSession)
	}
	h, r := newSealed(t, ring, session.Config{Idle: 12 * time.Hour})
	s := h.signIn("jack")
	h.clock.advance(2 * time.Hour)
	h.again(s)
	tight := &house{Table: sealedTable(h, ring, sealedCookie, r, session.Config{Idle: time.Hour}), t: t, clock: h.clock}
	tight.over("a session under a tightened limit", s, gatehouse.ErrSession)
}

// TestSealedChangesAreUse, where reading is none.
func TestSealedChangesAreUse(t *testing.T) {
	h, _ := newSealed(t, boxRing(t, boxKey(t)), session.Config{Idle: time.Hour, Touch: -1})
	s := h.signIn("jack")
	for i := range 5 {
		h.clock.advance(59 * time.Minute)
		s = h.put(h.again(s), "n", i)
		h.save(s)
	}
	h.clock.advance(time.Hour)
	h.over("a session an hour after its last change", s, session.ErrOverdue)
}

// TestSealedSessionThatEndsMeanwhile is not renewed by the request that has opened it, whichever way it has ended.
func TestSealedSessionThatEndsMeanwhile(t *testing.T) {
	for name, end := range map[string]func(h *house, r *revocations, s *session.Session){
		"it is overdue": func(h *house, _ *revocations, _ *session.Session) { h.clock.advance(13 * time.Hour) },
		"its id is revoked": func(h *house, r *revocations, s *session.Session) {
			h.ok(s.ID(), r.RevokeSession(t.Context(), s.ID(), time.Time{}))
		},
		"its subject is revoked": func(h *house, r *revocations, _ *session.Session) { h.ok("jack", r.RevokeSubject(t.Context(), "jack")) },
	} {
		h, r := newSealed(t, boxRing(t, boxKey(t)), session.Config{})
		s := h.again(h.signIn("jack"))
		end(h, r, s)
		h.refused("Start when "+name, h.Start(t.Context(), s, gatehouse.Identity{Value: "jack"}, session.Options{}), gatehouse.ErrSession)
		h.put(s, "n", 1)
		_, err := h.Save(t.Context(), s)
		h.refused("Save when "+name, err, gatehouse.ErrSession)
		visitor := h.put(h.visitor(), "cart", 1)
		h.save(visitor)
		h.clock.advance(13 * time.Hour)
		h.ok("Start of a visitor whose session is overdue", h.Start(t.Context(), visitor, gatehouse.Identity{Value: "amy"}, session.Options{}))
	}
}

// TestSealedPlaintextsThatAreNone: what was sealed with our key, and lacks what a session has, is none.
func TestSealedPlaintextsThatAreNone(t *testing.T) {
	ring := boxRing(t, boxKey(t))
	h, _ := newSealed(t, ring, session.Config{})
	now := h.clock.Now().UnixMilli()
	for plaintext, good := range map[string]bool{
		fmt.Sprintf(`{"id":"x","created":%d,"seen":%d,"identity":{"value":"jack"}}`, now, now):    true,
		fmt.Sprintf(`{"created":%d,"seen":%d,"identity":{"value":"jack"}}`, now, now):             false,
		fmt.Sprintf(`{"id":"","created":%d,"seen":%d,"identity":{"value":"jack"}}`, now, now):     false,
		fmt.Sprintf(`{"id":"x","seen":%d,"identity":{"value":"jack"}}`, now):                      false,
		fmt.Sprintf(`{"id":"x","created":-1,"seen":%d,"identity":{"value":"jack"}}`, now):         false,
		fmt.Sprintf(`{"id":"x","created":%d,"identity":{"value":"jack"}}`, now):                   false,
		fmt.Sprintf(`{"id":"x","created":%d,"seen":%d,"identity":{"value":"jack"}}`, now, now-1):  false,
		fmt.Sprintf(`{"id":"x","created":"%d","seen":%d,"identity":{"value":"jack"}}`, now, now):  false,
		fmt.Sprintf(`{"id":"x","created":%d,"seen":%d,"identity":{"value":["jack"]}}`, now, now):  false,
		fmt.Sprintf(`[{"id":"x","created":%d,"seen":%d,"identity":{"value":"jack"}}]`, now, now):  false,
		fmt.Sprintf(`{"id":"x","created":%d,"seen":%d,"identity":{"value":"jack"}} {}`, now, now): false,
	} {
		text, err := ring.Seal([]byte(plaintext), []byte("gatehouse session cookie "+sealedCookie))
		h.ok("Seal", err)
		s, err := h.findSecret(text)
		if good && (err != nil || s.Subject() != "jack") {
			t.Errorf("Open of %s = %v, and it is %q's", plaintext, err, s.Subject())
		} else if !good {
			h.refused("Open of "+plaintext, err, session.ErrUnknown)
			h.isEmpty(plaintext, s)
		}
	}
}

// measuring is a sealer that knows the largest text that it was given.
type measuring struct {
	session.Sealer
	sealed, opened int
}

func (m *measuring) Seal(plaintext, data []byte) (string, error) {
	m.sealed = max(m.sealed, len(plaintext))
	return m.Sealer.Seal(plaintext, data)
}

func (m *measuring) Open(text string, data []byte) ([]byte, error) {
	m.opened = max(m.opened, len(text))
	return m.Sealer.Open(text, data)
}

// TestSealerIsSparedWhatIsTooLarge: neither a client nor a handler has it work on more than a cookie can hold.
func TestSealerIsSparedWhatIsTooLarge(t *testing.T) {
	m := &measuring{Sealer: boxRing(t, boxKey(t))}
	h, _ := newSealed(t, m, session.Config{})
	for _, n := range []int{1 << 10, session.MaxSealed, 1 << 14, 10 << 20} {
		_, err := h.findSecret(strings.Repeat("A", n))
		h.refused("Open", err, session.ErrUnknown)
		if err := session.Put(h.visitor(), "data", strings.Repeat("x", n)); n > 1<<10 {
			h.refused("Put", err, session.ErrTooLarge)
		}
	}
	if m.sealed > session.MaxSealed || m.opened > session.MaxSealed || m.sealed == 0 || m.opened == 0 {
		t.Errorf("it has sealed %d bytes and opened %d, want at most %d", m.sealed, m.opened, session.MaxSealed)
	}
}

// TestSealedUseIsWrittenDown: reading gives a new cookie as often as Touch says, never more, and never after the answer has begun.
func TestSealedUseIsWrittenDown(t *testing.T) {
	h, _ := newSealed(t, boxRing(t, boxKey(t)), session.Config{Idle: time.Hour, Touch: time.Minute})
	s := h.signIn("jack")
	h.clock.advance(59 * time.Second)
	if next := h.again(s); next.Due() || h.save(next) || next.Secret().Reveal() != s.Secret().Reveal() {
		t.Error("a use within a minute gives a new cookie")
	}
	h.clock.advance(2 * time.Second)
	next := h.again(s)
	if !next.Due() || next.Changed() || !h.save(next) || next.Due() || next.Secret().Reveal() == s.Secret().Reveal() || next.ID() != s.ID() {
		t.Error("a use after a minute does not give the same session in a new cookie")
	}
	late := h.again(s)
	late.Begin()
	if _, err := h.Save(t.Context(), late); !errors.Is(err, session.ErrTooLate) {
		t.Errorf("Save after the answer has begun = %v, want ErrTooLate", err)
	}
	if err := session.Put(late, "cart", 1); !errors.Is(err, session.ErrTooLate) {
		t.Errorf("Put after the answer has begun = %v, want ErrTooLate", err)
	}
}

// TestSealedSize: what browsers would drop is an error where it is put, never a cookie. No data of a visitor keeps anybody from signing in.
func TestSealedSize(t *testing.T) {
	h, _ := newSealed(t, boxRing(t, boxKey(t)), session.Config{})
	full := func(s *session.Session) int {
		for n := 100; ; n += 100 {
			if err := session.Put(s, "data", strings.Repeat("x", n)); err != nil {
				h.refused("Put of too much", err, session.ErrTooLarge)
				return n - 100
			}
		}
	}
	v := h.visitor()
	visitors := full(v)
	h.save(v)
	s := h.start(h.again(v), "jack")
	signedIn := full(s)
	h.save(s)
	if size := len(sealedCookie) + len(s.Secret().Reveal()); size > session.MaxSealed || size < session.MaxSealed-200 {
		t.Errorf("a full cookie has %d bytes, want up to %d", size, session.MaxSealed)
	}
	if visitors < 1000 || signedIn < 2500 || visitors >= signedIn {
		t.Errorf("visitors can put %d bytes, signed in %d", visitors, signedIn)
	}
	if got, _, _ := session.Get[string](h.again(s), "data"); len(got) != signedIn {
		t.Errorf("%d bytes came back, want %d", len(got), signedIn)
	}
	big := gatehouse.WithClaims(gatehouse.Identity{Value: "jack"}, map[string]any{"story": strings.Repeat("x", 4000)})
	h.refused("Start with a long story", h.Start(t.Context(), h.visitor(), big, session.Options{}), session.ErrTooLarge)
	if s.Subject() != "jack" {
		t.Error("the session is lost")
	}
	h.again(s)
}

// TestSealedKeysChange: what was sealed with a retired key opens, and is sealed with the one in use when it is given anew. When the key is gone, so are its cookies.
func TestSealedKeysChange(t *testing.T) {
	oldKey, newKey := boxKey(t), boxKey(t)
	h, r := newSealed(t, boxRing(t, oldKey), session.Config{})
	s := h.signIn("jack")
	rotated := &house{Table: sealedTable(h, boxRing(t, newKey, oldKey), sealedCookie, r, session.Config{}), t: t, clock: h.clock}
	next := rotated.put(rotated.again(s), "cart", 1)
	rotated.save(next)
	gone := &house{Table: sealedTable(h, boxRing(t, newKey), sealedCookie, r, session.Config{}), t: t, clock: h.clock}
	gone.over("a cookie whose key is gone", s, gatehouse.ErrSession)
	if again := gone.again(next); again.Subject() != "jack" || again.ID() != s.ID() {
		t.Errorf("a cookie that was sealed anew is %q's", again.Subject())
	}
}

// TestSealedRingRotates: a ring that changes its key every day opens each cookie as long as its session lasts, on a server that has begun later as well, and no longer.
func TestSealedRingRotates(t *testing.T) {
	h, r := newSealed(t, brokenSealer{errDisk}, session.Config{})
	store, master := memory.Keys(), keyring.NewMaster()
	const absolute = 7 * 24 * time.Hour
	newRing := func() *keyring.Ring {
		ring, err := keyring.New(store, keyring.Config{Name: "session-cookie", Algorithm: keyring.A256GCM, Rotate: 24 * time.Hour, Lifetime: absolute, Master: master, Now: h.clock.Now,
			Logger: slog.New(slog.DiscardHandler)})
		h.ok("New", err)
		h.ok("Load", ring.Load(t.Context()))
		return ring
	}
	ring := newRing()
	c := session.Config{Idle: absolute, Absolute: absolute, Touch: -1}
	h.Table = sealedTable(h, ring, sealedCookie, r, c)
	s := h.signIn("jack")
	keys := map[string]bool{}
	for day := range 7 {
		h.again(s)
		later := &house{Table: sealedTable(h, newRing(), sealedCookie, r, c), t: t, clock: h.clock}
		later.again(s)
		fresh := later.signIn("amy")
		h.again(fresh)
		raw, _ := base64.RawURLEncoding.DecodeString(fresh.Secret().Reveal())
		keys[string(raw[1:1+raw[0]])] = true
		if day == 6 {
			break
		}
		h.clock.advance(24 * time.Hour)
		h.ok("Load", ring.Load(t.Context()))
	}
	if len(keys) < 5 {
		t.Errorf("in a week %d keys have sealed, want one a day", len(keys))
	}
	h.clock.advance(24*time.Hour - time.Minute)
	h.ok("Load", ring.Load(t.Context()))
	h.again(s)
	h.clock.advance(time.Minute)
	h.over("a session of a week ago", s, session.ErrOverdue)
	for range 10 {
		h.clock.advance(24 * time.Hour)
		h.ok("Load", ring.Load(t.Context()))
	}
	before := h.Forged()
	h.over("a cookie whose key is gone", s, session.ErrUnknown)
	if h.Forged() != before+1 {
		t.Error("a cookie whose key is gone is not counted")
	}
}

// TestSealedNonces: of a hundred thousand cookies for one session no two are sealed under one nonce, or two of them would give away what is in both.
func TestSealedNonces(t *testing.T) {
	key := boxKey(t)
	h, _ := newSealed(t, boxRing(t, key), session.Config{})
	s := h.signIn("jack")
	const n = 100_000
	head := 1 + len(key.ID())
	seen := make(map[[12]byte]bool, n)
	for range n {
		h.put(s, "same", 1)
		h.save(s)
		raw, err := base64.RawURLEncoding.DecodeString(s.Secret().Reveal())
		if err != nil {
			t.Fatal(err)
		}
		seen[[12]byte(raw[head:])] = true
	}
	if len(seen) != n {
		t.Errorf("%d cookies have %d nonces", n, len(seen))
	}
}

// brokenSealer cannot do what it is asked.
type brokenSealer struct{ err error }

func (b brokenSealer) Seal([]byte, []byte) (string, error) { return "a;b", b.err }
func (b brokenSealer) Open(string, []byte) ([]byte, error) { return nil, b.err }

// TestSealerThatFails: a ring that has not been loaded yet is nobody's fault, and nobody is signed out for it.
func TestSealerThatFails(t *testing.T) {
	h, _ := newSealed(t, brokenSealer{errDisk}, session.Config{})
	_, err := h.findSecret("anything")
	h.unchecked("Open", err, errDisk)
	h.unchecked("Start", h.Start(t.Context(), h.visitor(), gatehouse.Identity{Value: "jack"}, session.Options{}), errDisk)
	h.unchecked("Put", session.Put(h.visitor(), "a", 1), errDisk)
	if h.Forged() != 0 {
		t.Error("a failure counts as a forgery")
	}
	odd, _ := newSealed(t, brokenSealer{}, session.Config{})
	if err := odd.Start(t.Context(), odd.visitor(), gatehouse.Identity{Value: "jack"}, session.Options{}); err == nil {
		t.Error("a sealer that makes what no cookie can hold is not noticed")
	}
}

// TestSealedStale: a sealed session is good only as far as the list of revocations is.
func TestSealedStale(t *testing.T) {
	h, r := newSealed(t, boxRing(t, boxKey(t)), session.Config{})
	s := h.put(h.signIn("jack"), "cart", 1)
	h.save(s)
	r.set(time.Minute, nil)
	next, err := h.find(s)
	stale, ok := errors.AsType[*gatehouse.StaleError](err)
	if !ok || stale.Age != time.Minute || stale.Identity.Value != "jack" {
		t.Fatalf("Open = %v, want a StaleError", err)
	}
	h.isEmpty("a session that may have been revoked", next)
	next.AcceptStale()
	if h.get(next, "cart") != 1.0 {
		t.Error("an accepted session has no data")
	}
	h.put(next, "cart", 2)
	h.save(next)
}

// TestSealedLists: what nobody knows is not made up.
func TestSealedLists(t *testing.T) {
	h, _ := newSealed(t, boxRing(t, boxKey(t)), session.Config{})
	mine, phone, amy := h.signIn("jack"), h.signIn("jack"), h.signIn("amy")
	if list, err := h.List(t.Context(), "jack"); !errors.Is(err, errors.ErrUnsupported) || len(list) != 0 {
		t.Errorf("List = %v, %v, want ErrUnsupported", list, err)
	}
	h.refused("EndOne", h.EndOne(t.Context(), "jack", phone.ID()), errors.ErrUnsupported)
	_, err := h.EndAll(t.Context(), "jack", mine.ID())
	h.refused("EndAll but one", err, errors.ErrUnsupported)
	if _, err := h.EndAll(t.Context(), "", ""); err == nil {
		t.Error("EndAll of visitors = nil")
	}
	h.again(phone)
	if n, err := h.EndAll(t.Context(), "jack", ""); n != 0 || err != nil {
		t.Errorf("EndAll = %d, %v, want 0", n, err)
	}
	h.over("my session", mine, gatehouse.ErrSession)
	h.over("my phone's", phone, gatehouse.ErrSession)
	h.again(amy)
	h.again(h.signIn("jack")) // at once
	if n, err := h.Prune(t.Context()); n != 0 || err != nil {
		t.Errorf("Prune = %d, %v, want nothing to do", n, err)
	}
	few := sealedTable(h, boxRing(t, boxKey(t)), sealedCookie, failing{}, session.Config{})
	_, err = few.EndAll(t.Context(), "jack", "")
	h.refused("EndAll without RevokeSubject", err, errors.ErrUnsupported)
}

// TestNewSealedRefuses what could never end, or never work.
func TestNewSealedRefuses(t *testing.T) {
	ring, r := boxRing(t, boxKey(t)), newRevocations(&clock{now: noon})
	for name, make := range map[string]func(){
		"no sealer":      func() { session.NewSealed(nil, "c", session.Config{Revocations: r}) },
		"no revocations": func() { session.NewSealed(ring, "c", session.Config{}) },
		"no cookie":      func() { session.NewSealed(ring, "", session.Config{Revocations: r}) },
		"a limit":        func() { session.NewSealed(ring, "c", session.Config{Revocations: r, MaxPerSubject: 1}) },
		"negative times": func() { session.NewSealed(ring, "c", session.Config{Revocations: r, Idle: -1}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: NewSealed does not panic", name)
				}
			}()
			make()
		}()
	}
}

// TestSealedLastWriteWins: of two requests at once, the browser keeps the cookie that comes last, and what the other put is not in it.
func TestSealedLastWriteWins(t *testing.T) {
	h, _ := newSealed(t, boxRing(t, boxKey(t)), session.Config{})
	s := h.signIn("jack")
	one, two := h.put(h.again(s), "a", 1), h.put(h.again(s), "b", 2)
	h.save(one)
	h.save(two)
	if last := h.again(two); h.get(last, "a") != "none" || h.get(last, "b") != 2.0 {
		t.Errorf("a %v, b %v; want what the last one put alone", h.get(last, "a"), h.get(last, "b"))
	}
}

// TestSealedIsSafeForConcurrentUse: requests with one cookie, each with its own session, and one session that a handler shares.
func TestSealedIsSafeForConcurrentUse(t *testing.T) {
	h, _ := newSealed(t, boxRing(t, boxKey(t)), session.Config{})
	s := h.signIn("jack")
	shared := h.again(s)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			next := new(session.Session)
			if err := h.Open(t.Context(), next, s.Secret().Reveal()); err != nil {
				t.Error(err)
			}
			if err := errors.Join(session.Put(next, "n", i), session.Put(shared, "n", i)); err != nil {
				t.Error(err)
			}
			if _, err := h.Save(t.Context(), next); err != nil {
				t.Error(err)
			}
			if _, err := h.Save(t.Context(), shared); err != nil {
				t.Error(err)
			}
			shared.Due()
			shared.Secret()
		})
	}
	wg.Wait()
}

// FuzzSealedPlaintext: whatever was sealed with our key by somebody else's program is a session that can be used, or none.
func FuzzSealedPlaintext(f *testing.F) {
	whole, _ := json.Marshal(map[string]any{"id": "x", "created": 1, "seen": 2, "identity": map[string]any{"value": "jack"}, "data": map[string]any{"a": 1}})
	for _, seed := range []string{string(whole), "{}", "null", `{"id":"x","created":1e3,"seen":-1}`, `{"id":"x","created":9223372036854775807,"seen":9223372036854775807}`, `{"id":"","created":1}`} {
		f.Add(seed)
	}
	ring := boxRing(f, boxKey(f))
	h, _ := newSealed(f, ring, session.Config{})
	f.Fuzz(func(t *testing.T, plaintext string) {
		text, err := ring.Seal([]byte(plaintext), []byte("gatehouse session cookie "+sealedCookie))
		if err != nil {
			t.Fatal(err)
		}
		s := new(session.Session)
		if err := h.Open(t.Context(), s, text); err != nil {
			if !errors.Is(err, gatehouse.ErrSession) || s.ID() != "" || s.Subject() != "" {
				t.Fatalf("Open(%q) = %v, and the session is %q's", plaintext, err, s.Subject())
			}
			return
		}
		if s.ID() == "" || s.Identity().Value != s.Subject() || !s.Expires().After(h.clock.Now().Truncate(time.Millisecond)) {
			t.Fatalf("Open(%q) gives a session %q of %q, which ends at %v", plaintext, s.ID(), s.Subject(), s.Expires())
		}
	})
}
