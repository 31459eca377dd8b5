package session_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/session"
)

// keyOf returns the key of the record of s, by other means than the package has.
func keyOf(t testing.TB, s *session.Session) session.Key {
	t.Helper()
	key := keyOfSecret(s.Secret().Reveal())
	if key.IsZero() {
		t.Fatalf("the secret %q is no 32 bytes", s.Secret().Reveal())
	}
	return key
}

func keyOfSecret(secret string) session.Key {
	raw, err := base64.RawURLEncoding.DecodeString(secret)
	if err != nil || len(raw) != 32 {
		return session.Key{}
	}
	return sha256.Sum256(raw)
}

// TestNewPanics on what only a program can do wrong.
func TestNewPanics(t *testing.T) {
	for name, make := range map[string]func(){
		"no store":               func() { session.New(nil, session.Config{}) },
		"a negative Idle":        func() { session.New(newStore(), session.Config{Idle: -1}) },
		"a negative Absolute":    func() { session.New(newStore(), session.Config{Absolute: -time.Hour}) },
		"a negative most number": func() { session.New(newStore(), session.Config{MaxPerSubject: -1}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.HasPrefix(text, "session.New: ") {
					t.Errorf("New = %s, want a panic that says what is wrong", text)
				}
			}()
			make()
		})
	}
}

// TestDefaults: what is left out is safe, and works.
func TestDefaults(t *testing.T) {
	for _, tt := range []struct{ given, want session.Config }{
		{session.Config{}, session.Config{Idle: 12 * time.Hour, Absolute: 30 * 24 * time.Hour, Touch: time.Minute}},
		{session.Config{Idle: 2 * time.Minute}, session.Config{Idle: 2 * time.Minute, Absolute: 30 * 24 * time.Hour, Touch: 30 * time.Second}},
		{session.Config{Idle: time.Hour, Touch: time.Hour}, session.Config{Idle: time.Hour, Absolute: 30 * 24 * time.Hour, Touch: 15 * time.Minute}},
		{session.Config{Touch: -1, MaxPerSubject: 3}, session.Config{Idle: 12 * time.Hour, Absolute: 30 * 24 * time.Hour, Touch: -1, MaxPerSubject: 3}},
		{session.Config{Absolute: time.Second}, session.Config{Idle: 12 * time.Hour, Absolute: time.Second, Touch: time.Minute}},
	} {
		got := session.New(newStore(), tt.given).Config
		if got.Idle != tt.want.Idle || got.Absolute != tt.want.Absolute || got.Touch != tt.want.Touch || got.MaxPerSubject != tt.want.MaxPerSubject {
			t.Errorf("New(%+v) has %+v, want %+v", tt.given, got, tt.want)
		}
		if got.Logger == nil || time.Since(got.Now()).Abs() > time.Minute {
			t.Errorf("New(%+v) has no logger or another clock than the real one", tt.given)
		}
	}
}

// TestGarbageCostsNothing: what cannot be a secret is not looked up, so that nobody makes work for the store with it.
func TestGarbageCostsNothing(t *testing.T) {
	h := newHouse(t, session.Config{})
	good := h.signIn("jack").Secret().Reveal()
	h.store.count("Get")
	last := good[:42] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[strings.IndexByte("AEIMQUYcgkosw048", good[42])*4+1])
	for name, secret := range map[string]string{
		"one character": "x", "cut off": good[:42], "one more": good + "A", "padded": good + "=", "twice": good + good,
		"a space before": " " + good, "a space behind": good + " ", "a space within": good[:20] + " " + good[21:], "a line end behind": good + "\n",
		"a line end within, longer": good[:20] + "\n" + good[20:], "a line end within, as long": good[:20] + "\n" + good[21:],
		"two line ends within": good[:20] + "\r\n" + good[22:], "line ends alone": strings.Repeat("\n", 43),
		"another spelling of the last bits": last, "the standard alphabet": strings.Repeat("+", 43), "slashes": strings.Repeat("/", 43),
		"padding within": good[:40] + "===", "quoted": `"` + good + `"`, "quoted, as long": `"` + good[:41] + `"`, "escaped": "%41" + good[1:],
		"a NUL": good[:42] + "\x00", "bytes": strings.Repeat("\xff", 43), "letters that look alike": "\u0410" + good[2:],
		"wide letters": strings.Repeat("\uff21", 43), "an emoji": "\U0001F36A" + good[4:], "hexadecimal": strings.Repeat("a", 64), "a UUID": "123e4567-e89b-12d3-a456-426614174000",
		"a JWT": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJqYWNrIn0.", "a path": "../../../../../../../../../../../etc/passwd", "SQL": "' OR 1=1 --                               x",
		"1 MB": strings.Repeat("A", 1<<20), "the id": h.signIn("ann").ID(),
	} {
		s, err := h.findSecret(secret)
		h.refused("Open of "+name, err, gatehouse.ErrSession)
		h.isEmpty(name, s)
		if n := h.store.count("Get"); n != 0 {
			t.Errorf("%s costs %d reads, want none", name, n)
		}
	}
	if s, err := h.findSecret(good); err != nil || s.Subject() != "jack" {
		t.Errorf("the good secret = %v", err)
	}
}

// TestUnknownSecrets have the right form, and are nobody's. None is adopted: the session that follows has a secret of its own.
func TestUnknownSecrets(t *testing.T) {
	h := newHouse(t, session.Config{})
	for name, secret := range map[string]string{
		"zeros": strings.Repeat("A", 43), "ones": strings.Repeat("_", 42) + "8", "chosen": base64.RawURLEncoding.EncodeToString([]byte("the attacker has chosen this one")),
	} {
		h.store.writes()
		s, err := h.findSecret(secret)
		h.refused("Open of "+name, err, session.ErrUnknown)
		h.isEmpty(name, s)
		if n := h.store.writes(); n != 0 {
			t.Errorf("Open of %s writes %d times", name, n)
		}
		h.save(h.put(s, "cart", 1))
		if got := s.Secret().Reveal(); got == secret || got == "" {
			t.Errorf("after Open of %s the visitor's secret is %q", name, got)
		}
		if _, err := h.findSecret(secret); !errors.Is(err, session.ErrUnknown) {
			t.Errorf("%s is adopted: %v", name, err)
		}
		h.start(s, "jack")
		if _, err := h.findSecret(secret); !errors.Is(err, session.ErrUnknown) || s.Secret().Reveal() == secret {
			t.Errorf("%s is adopted by Start: %v", name, err)
		}
	}
}

// TestMutatedSecrets: of ten thousand changes of a good secret none opens a session. CVE-2026-25748 let requests through whose cookie was
// malformed.
func TestMutatedSecrets(t *testing.T) {
	h := newHouse(t, session.Config{})
	good := h.signIn("jack").Secret().Reveal()
	tried := 0
	try := func(secret string) {
		tried++
		if secret == good || secret == "" {
			return
		}
		if s, err := h.findSecret(secret); !errors.Is(err, gatehouse.ErrSession) || s.Identity().Value != "" {
			t.Fatalf("%q, a change of %q, = %v", secret, good, err)
		}
	}
	for i := range len(good) {
		for b := range 256 {
			try(good[:i] + string([]byte{byte(b)}) + good[i+1:])
		}
		try(good[:i] + good[i+1:])
		try(good[:i])
		try(good[i:] + good[:i])
		for _, added := range []string{"A", "=", "\n", "\x00", " ", ".", "%00", good} {
			try(good[:i] + added + good[i:])
		}
	}
	try(strings.ToLower(good))
	try(strings.ToUpper(good))
	if tried < 10_000 {
		t.Errorf("%d changes tried, want 10000", tried)
	}
}

// TestSecretsAndIDs: nobody guesses a secret, and no two sessions share an id.
func TestSecretsAndIDs(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 1000
	}
	h := newHouse(t, session.Config{})
	secretForm, idForm := regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`), regexp.MustCompile(`^[a-z2-7]{26}$`)
	secrets, ids := map[string]bool{}, map[string]bool{}
	for range n {
		s := h.signIn("jack")
		secret, id := s.Secret().Reveal(), s.ID()
		if !secretForm.MatchString(secret) || !idForm.MatchString(id) || secrets[secret] || ids[id] {
			t.Fatalf("secret %q, id %q: they have not the form, or were given before", secret, id)
		}
		secrets[secret], ids[id] = true, true
		h.ok("End", h.End(t.Context(), s))
	}
}

// TestStoreHoldsNoSecret: whoever steals the contents of the store cannot use them. One session has one record, under the SHA-256 of its secret.
func TestStoreHoldsNoSecret(t *testing.T) {
	h := newHouse(t, session.Config{})
	s := h.visitor()
	h.ok("Start", h.Start(t.Context(), s, gatehouse.Identity{Value: "jack", Email: "jack@example.org"},
		session.Options{UserAgent: "curl/8", Attributes: []byte(`{"p":"/"}`)}))
	h.save(h.put(s, "cart", "full"))
	if n := h.records("jack"); n != 1 {
		t.Errorf("%d records of one session", n)
	}
	rec := h.record(s)
	secret := s.Secret().Reveal()
	raw, _ := base64.RawURLEncoding.DecodeString(secret)
	for _, form := range []string{secret, secret[:20], string(raw), fmt.Sprintf("%x", raw)} {
		if strings.Contains(fmt.Sprintf("%s %x %+v", rec.Body, rec, rec), form) || bytes.Contains(rec.Body, []byte(form)) || rec.ID == form {
			t.Errorf("the record contains %q of the secret", form)
		}
	}
	if string(rec.Key[:]) == string(raw) || rec.Version != 2 || rec.Subject != "jack" || rec.ID != s.ID() {
		t.Errorf("record = %+v, want version 2 of the session %s of jack", rec, s.ID())
	}
}

// TestSessionsAreNotPrinted: a session that is logged shows its secret with no verb.
func TestSessionsAreNotPrinted(t *testing.T) {
	h := newHouse(t, session.Config{})
	s := h.signIn("jack")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if text := fmt.Sprintf(verb, s); strings.Contains(text, s.Secret().Reveal()) || strings.Contains(text, fmt.Sprintf("%x", s.Secret().Reveal())) {
			t.Errorf("Sprintf(%q) shows the secret", verb)
		}
	}
	h.Logger.Info("here", "session", s)
	if strings.Contains(h.log.String(), s.Secret().Reveal()) {
		t.Error("the log shows the secret")
	}
}

// TestOpenStoreFails: a store that cannot answer says neither "no session" nor "a session".
func TestOpenStoreFails(t *testing.T) {
	h := newHouse(t, session.Config{})
	s := h.signIn("jack")
	h.store.fail("Get", errDisk)
	next, err := h.find(s)
	h.unchecked("Open", err, errDisk)
	h.isEmpty("Open", next)
	h.store.fail("Get", nil)

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	h.unchecked("Open with a cancelled context", h.Open(cancelled, next, s.Secret().Reveal()), context.Canceled)
	h.isEmpty("Open with a cancelled context", next)
	h.again(s)
}

// TestOpenTwice: whoever is found the second time takes the place of the first.
func TestOpenTwice(t *testing.T) {
	h := newHouse(t, session.Config{})
	jack, ann := h.signIn("jack"), h.signIn("ann")
	s := h.put(h.again(jack), "cart", "jack's")
	h.ok("Open", h.Open(t.Context(), s, ann.Secret().Reveal()))
	if s.Subject() != "ann" || s.Changed() || s.Keys() != nil {
		t.Errorf("after the second Open: %q, keys %q, want ann and none", s.Subject(), s.Keys())
	}
	h.refused("Open of nothing", h.Open(t.Context(), s, "x"), session.ErrUnknown)
	h.isEmpty("after Open of nothing", s)
}

// TestDamagedRecords count for nothing, whatever has damaged them, and somebody is told.
func TestDamagedRecords(t *testing.T) {
	for name, damage := range map[string]func(*session.Record){
		"an empty body":           func(r *session.Record) { r.Body = nil },
		"no JSON":                 func(r *session.Record) { r.Body = []byte("<xml/>") },
		"half of the body":        func(r *session.Record) { r.Body = r.Body[:len(r.Body)/2] },
		"something behind":        func(r *session.Record) { r.Body = append(r.Body, "{}"...) },
		"another type":            func(r *session.Record) { r.Body = []byte(`{"identity":{"value":7}}`) },
		"no identity":             func(r *session.Record) { r.Body = []byte(`{}`) },
		"null":                    func(r *session.Record) { r.Body = []byte(`null`) },
		"a list":                  func(r *session.Record) { r.Body = []byte(`[]`) },
		"another's identity":      func(r *session.Record) { r.Body = bytes.ReplaceAll(r.Body, []byte("jack"), []byte("root")) },
		"another's subject":       func(r *session.Record) { r.Subject = "root" },
		"nobody's subject":        func(r *session.Record) { r.Subject = "" },
		"a limit that is no time": func(r *session.Record) { r.Body = []byte(`{"identity":{"value":"jack"},"until":"never"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, session.Config{})
			s := h.signIn("jack")
			rec := h.record(s)
			h.ok("Delete", h.store.Delete(t.Context(), rec.Key))
			damage(&rec)
			h.ok("Create", h.store.Create(t.Context(), rec, session.Key{}))
			h.over("a damaged record", s, session.ErrUnknown)
			if !strings.Contains(h.log.String(), "damaged") || !strings.Contains(h.log.String(), rec.ID) {
				t.Errorf("the log says %q, want that %s is damaged", h.log, rec.ID)
			}
		})
	}
}

// TestAnotherRecordThanAskedFor: a store that confuses its records signs nobody in as somebody else.
func TestAnotherRecordThanAskedFor(t *testing.T) {
	h := newHouse(t, session.Config{})
	jack, root := h.signIn("jack"), h.signIn("root")
	confused := session.New(confusedStore{h.store, h.record(root)}, h.Config)
	s := new(session.Session)
	h.refused("Open", confused.Open(t.Context(), s, jack.Secret().Reveal()), session.ErrUnknown)
	h.isEmpty("Open", s)
}

type confusedStore struct {
	session.Store
	rec session.Record
}

func (s confusedStore) Get(context.Context, session.Key) (session.Record, error) { return s.rec, nil }
