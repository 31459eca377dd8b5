package gatehousetest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/gatehousetest"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

// reset is a purpose of a program's own, beside access.
var reset = token.ResetPassword()

// TestIssuerMakesAnyToken: good ones, and one of each kind that must be refused, for the reason that a test of a program looks for.
func TestIssuerMakesAnyToken(t *testing.T) {
	clock := gatehousetest.NewClock(time.Time{})
	i, other := gatehousetest.NewIssuer(t, clock.Now, reset), gatehousetest.NewIssuer(t, clock.Now)
	ctx, later := t.Context(), clock.Now().Add(time.Hour)
	good := i.Token(t, token.Claims{Subject: "jack", Session: "s1", Roles: []string{"admin"}, Scopes: []string{"films.read"}, Custom: map[string]any{"plan": "gold"}})
	expired := i.Token(t, token.Claims{Subject: "jack"}, token.TTL(time.Second))
	stolen, signedOut, amys := i.Token(t, token.Claims{Subject: "jack", Session: "s2"}), i.Token(t, token.Claims{Subject: "jack", Session: "s3"}), i.Token(t, token.Claims{Subject: "amy"})
	whose, err := i.Identity(ctx, stolen)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(i.Revocations.RevokeToken(ctx, whose.TokenID, later), i.Revocations.RevokeSession(ctx, "s3", later), i.Revocations.RevokeSubject(ctx, "amy")); err != nil {
		t.Fatal(err)
	}
	again := i.Token(t, token.Claims{Subject: "amy"})
	clock.Advance(time.Minute)
	for name, tt := range map[string]struct {
		text string
		want error
	}{
		"a good one":                    {good, nil},
		"one of a subject that is back": {again, nil},
		"an expired one":                {expired, token.ErrExpired},
		"one of another purpose":        {i.Token(t, token.Claims{Purpose: reset.Name, Subject: "jack"}), token.ErrInvalid},
		"one of another key":            {other.Token(t, token.Claims{Subject: "jack"}), token.ErrInvalid},
		"one that was revoked":          {stolen, revoke.ErrRevoked},
		"one whose session was":         {signedOut, revoke.ErrRevoked},
		"one whose subject was":         {amys, revoke.ErrRevoked},
		"one that was changed":          {good[:len(good)-2], token.ErrInvalid},
		"none":                          {"", gatehouse.ErrCredential},
	} {
		id, err := i.Identity(ctx, tt.text)
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) || (id.Value == "") != (err != nil) {
			t.Errorf("%s: Identity = %q, %v, want %v", name, id.Value, err, tt.want)
		}
	}
	id, err := i.Identity(ctx, good)
	if plan, _ := id.Claim("plan"); err != nil || id.Value != "jack" || id.Session != "s1" || id.Purpose != "access" || len(id.Roles) != 1 || len(id.Scopes) != 1 || plan != "gold" {
		t.Errorf("Identity = %+v, %v", id, err)
	}
}

// TestIssuerKnowsPurposes: which of them counts is the request's rule to say.
func TestIssuerKnowsPurposes(t *testing.T) {
	i := gatehousetest.NewIssuer(t, nil, reset, token.Purpose{Name: "share"})
	for _, want := range []string{"access", reset.Name, "share"} {
		for _, is := range []string{"access", reset.Name, "share"} {
			text := i.Token(t, token.Claims{Purpose: is, Subject: "jack"})
			id, err := i.Identity(gatehouse.NewPurposeContext(t.Context(), want), text)
			if (err == nil) != (want == is) || err == nil && id.Purpose != is || err != nil && !errors.Is(err, gatehouse.ErrCredential) {
				t.Errorf("a token for %s where one for %s is due = %+v, %v", is, want, id, err)
			}
		}
	}
}

// TestRevocationsGetLost: a list that is cut off knows nothing for sure past its bound, whatever was not revoked, until it is back.
func TestRevocationsGetLost(t *testing.T) {
	clock := gatehousetest.NewClock(time.Time{})
	i := gatehousetest.NewIssuer(t, clock.Now)
	text, gone := i.Token(t, token.Claims{Subject: "jack"}), i.Token(t, token.Claims{Subject: "jack", Session: "s1"})
	if err := i.Revocations.RevokeSession(t.Context(), "s1", clock.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	i.Revocations.Lose(true)
	for _, step := range []struct {
		after time.Duration
		lost  bool
		stale bool
	}{{5 * time.Second, true, false}, {time.Second, true, true}, {time.Minute, true, true}, {0, false, false}, {time.Minute, false, false}} {
		clock.Advance(step.after)
		i.Revocations.Lose(step.lost)
		_, err := i.Identity(t.Context(), text)
		stale, is := errors.AsType[*gatehouse.StaleError](err)
		if is != step.stale || !is && err != nil || is && stale.Identity.Value != "jack" {
			t.Errorf("after %v more, lost %v: %v, want that it is not known: %v", step.after, step.lost, err, step.stale)
		}
		if _, err := i.Identity(t.Context(), gone); !errors.Is(err, revoke.ErrRevoked) {
			t.Errorf("what was revoked = %v", err)
		}
	}
	if err := i.Revocations.RevokeKey(t.Context(), "k"); err != nil {
		t.Error(err)
	}
	if err := i.Revocations.Check(revoke.Claim{Key: "k"}); !errors.Is(err, revoke.ErrRevoked) {
		t.Errorf("a key that was revoked = %v", err)
	}
	if err := i.Revocations.SessionRevoked("s1", "jack", clock.Now()); !errors.Is(err, revoke.ErrRevoked) {
		t.Errorf("SessionRevoked = %v", err)
	}
}

// fatal notes that a test was ended.
type fatal struct{ said string }

func (*fatal) Helper() {}
func (f *fatal) Fatalf(format string, args ...any) {
	f.said = strings.TrimSpace(format)
	panic(f)
}

// TestIssuerEndsTheTest that asks for what there is not.
func TestIssuerEndsTheTest(t *testing.T) {
	for name, f := range map[string]func(gatehousetest.T){
		"a purpose that is none": func(t gatehousetest.T) { gatehousetest.NewIssuer(t, nil, token.Purpose{Name: "A B"}) },
		"a purpose twice":        func(t gatehousetest.T) { gatehousetest.NewIssuer(t, nil, token.Access()) },
		"a token of a purpose unknown": func(t gatehousetest.T) {
			gatehousetest.NewIssuer(t, nil).Token(t, token.Claims{Purpose: "reset", Subject: "jack"})
		},
		"a token of nobody": func(t gatehousetest.T) { gatehousetest.NewIssuer(t, nil).Token(t, token.Claims{}) },
		"a token for too long": func(t gatehousetest.T) {
			gatehousetest.NewIssuer(t, nil).Token(t, token.Claims{Subject: "jack"}, token.TTL(1000*time.Hour))
		},
	} {
		func() {
			end := &fatal{}
			defer func() {
				if recover() != any(end) || !strings.HasPrefix(end.said, "gatehousetest: ") {
					t.Errorf("%s: the test goes on, or ends with %q", name, end.said)
				}
			}()
			f(end)
		}()
	}
}
