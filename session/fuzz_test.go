package session_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/session"
)

// FuzzOpen: whatever a cookie holds, one value opens a session: the one that was given.
func FuzzOpen(f *testing.F) {
	for _, seed := range []string{"", "x", strings.Repeat("A", 43), strings.Repeat("A", 42) + "B", strings.Repeat("A", 42) + "\n", strings.Repeat("\u0410", 21) + "A", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, secret string) {
		h := newHouse(t, session.Config{})
		good := h.signIn("jack").Secret().Reveal()
		s, err := h.findSecret(secret)
		reads := h.store.count("Get")
		switch {
		case secret == "" && err == nil && reads == 0:
		case !errors.Is(err, session.ErrUnknown) || s.Identity().Value != "" || s.ID() != "":
			t.Fatalf("Open(%q) = %v, with the session of %q", secret, err, s.Subject())
		case reads > 1 || reads == 1 && (len(secret) != 43 || strings.Trim(secret, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != ""):
			t.Fatalf("Open(%q) reads %d times", secret, reads)
		}
		for _, near := range []string{good + secret, secret + good, good[:len(secret)%43] + secret, strings.Replace(good, good[:1], secret, 1)} {
			if _, err := h.findSecret(near); (err == nil) != (near == good || near == "") {
				t.Fatalf("Open(%q) = %v, and the secret is %q", near, err, good)
			}
		}
	})
}

// FuzzBody: whatever stands in a record, nothing panics, and nobody is opened but the one whose record it is.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "null", "[]", `{"identity":null}`, `{"identity":{"value":"jack"}}`, `{"identity":{"value":"jack","claims":{"a":[{}]},"auth_time":9223372036854775807}}`,
		`{"identity":{"value":"jack","auth_time":-9223372036854775808},"until":-9223372036854775808}`, `{"identity":{"value":"jack"},"until":9223372036854775807}`,
		`{"identity":{"value":"root"},"identity":{"value":"jack"}}`, `{"IDENTITY":{"Value":"jack"}}`, `{"identity":{"value":"jack"},"data":{"k":null,"":1,"k":{"k":[]}},"carrier":null}`,
		`{"identity":{"value":"jack"},"data":null,"carrier":{"p":1}}`, `{"identity":{"value":"j\u0061ck"}}`, strings.Repeat("[", 10_001),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		h := newHouse(t, session.Config{})
		s := h.signIn("jack")
		rec := h.record(s)
		rec.Body = bytes.Clone(text)
		h.ok("Update", h.store.Update(t.Context(), rec))
		_, _ = h.List(t.Context(), "jack")
		next, err := h.find(s)
		if err != nil {
			if !errors.Is(err, gatehouse.ErrSession) || next.Identity().Value != "" || next.Keys() != nil {
				t.Fatalf("Open with the body %q = %v", text, err)
			}
			return
		}
		if id := next.Identity(); id.Value != "jack" || next.Subject() != "jack" || !next.EndsBy().After(h.clock.Now()) {
			t.Fatalf("the body %q makes a session of %q until %v", text, id.Value, next.EndsBy())
		}
		_ = next.Attributes()
		for _, key := range next.Keys() {
			_, _, _ = session.Get[any](next, key)
			_, _, _ = session.Get[map[string]int](next, key)
			_ = next.Delete(key)
		}
		if session.Put(next, "fuzz", 1) == nil {
			h.save(next)
			h.again(next)
		}
		_ = h.Start(t.Context(), next, gatehouse.Identity{Value: "jack"}, session.Options{})
	})
}
