package session_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/session"
)

// TestFromContext never returns nil, and nothing of anybody where nothing was put.
func TestFromContext(t *testing.T) {
	h, other := newHouse(t, session.Config{}), newHouse(t, session.Config{})
	for name, s := range map[string]*session.Session{"a bare context": session.FromContext(t.Context()), "a bare context, by a table": h.FromContext(t.Context()), "the zero Session": new(session.Session)} {
		if s == nil {
			t.Fatalf("%s: FromContext = nil", name)
		}
		h.isEmpty(name, s)
		h.refused("Put into "+name, session.Put(s, "k", 1), session.ErrDetached)
		h.ok("Delete of nothing", s.Delete("k"))
		if s.Changed() || s.Attributes() != nil {
			t.Errorf("%s has changed, or has attributes", name)
		}
	}
	outer, inner := h.signIn("jack"), other.signIn("ann")
	ctx := session.NewContext(t.Context(), outer)
	nested := session.NewContext(context.WithValue(ctx, someKey{}, "x"), inner)
	for _, tt := range []struct {
		name      string
		got, want *session.Session
	}{
		{"the only one", session.FromContext(ctx), outer}, {"the only one of its table", h.FromContext(ctx), outer},
		{"the inner one", session.FromContext(nested), inner}, {"the inner one of its table", other.FromContext(nested), inner}, {"the outer one by its table", h.FromContext(nested), outer},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: the session of %q, want %q", tt.name, tt.got.Subject(), tt.want.Subject())
		}
	}
	if s := other.FromContext(ctx); s == outer || s.Subject() != "" {
		t.Errorf("a table finds the session of another: %q", s.Subject())
	}
	if nested.Value(someKey{}) != "x" || nested.Value("gatehouse") != nil {
		t.Error("the context loses what others have put there")
	}
}

type someKey struct{}

// TestUnopenedSession: a guard has a place for the session before its carrier opens it. An inner one that was never opened does not hide the outer.
func TestUnopenedSession(t *testing.T) {
	h := newHouse(t, session.Config{})
	place := new(session.Session)
	if h.FromContext(session.NewContext(t.Context(), place)) != place {
		t.Error("the place for the session is not found before it is opened")
	}
	outer := h.signIn("jack")
	nested := session.NewContext(session.NewContext(t.Context(), outer), new(session.Session))
	if got := h.FromContext(nested); got != outer {
		t.Errorf("behind a place that is empty: the session of %q, want jack", got.Subject())
	}
}

// TestStoresAndLoggersMayAskTheContext: a store that traces its calls, and a logger that adds who it is about, ask the very session that is just being opened,
// saved or ended. Nobody may wait for himself.
func TestStoresAndLoggersMayAskTheContext(t *testing.T) {
	store, now := newStore(), &clock{now: noon}
	asked := 0
	ask := func(ctx context.Context) {
		s := session.FromContext(ctx)
		_, _, _, _, _ = s.ID(), s.Subject(), s.Identity(), s.Expires(), s.Keys()
		_, _, _ = session.Get[any](s, "k")
		asked++
	}
	store.before = func(ctx context.Context, _ string) { ask(ctx) }
	table := session.New(store, session.Config{Idle: time.Hour, MaxPerSubject: 1, Now: now.Now, Logger: slog.New(asking{slog.DiscardHandler, ask})})
	done := make(chan struct{})
	go func() {
		defer close(done)
		s := new(session.Session)
		ctx := session.NewContext(t.Context(), s)
		must := func(what string, err error) {
			if err != nil {
				t.Errorf("%s = %v", what, err)
			}
		}
		must("Open", table.Open(ctx, s, ""))
		must("Put", session.Put(s, "k", 1))
		_, err := table.Save(ctx, s)
		must("Save", err)
		must("Start", table.Start(ctx, s, gatehouse.Identity{Value: "jack"}, session.Options{}))
		store.fail("List", errDisk) // is logged
		must("Start", table.Start(ctx, s, gatehouse.Identity{Value: "jack"}, session.Options{}))
		now.advance(30 * time.Minute)
		store.fail("Touch", errDisk) // is logged
		must("Open", table.Open(ctx, s, s.Secret().Reveal()))
		must("Put", session.Put(s, "k", 2))
		_, err = table.Save(ctx, s)
		must("Save", err)
		now.advance(time.Hour)
		store.fail("Delete", errDisk) // is logged
		if err := table.Open(ctx, s, s.Secret().Reveal()); err == nil {
			t.Error("Open of an overdue session = nil")
		}
		store.fail("Delete", nil)
		must("End", table.End(ctx, s))
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("somebody waits for himself, after %d questions", asked)
	}
	if asked < 12 {
		t.Errorf("the session was asked %d times, want 12 at least", asked)
	}
}

// asking is a log handler that asks before it handles.
type asking struct {
	slog.Handler
	ask func(context.Context)
}

func (a asking) Enabled(ctx context.Context, _ slog.Level) bool { a.ask(ctx); return true }
