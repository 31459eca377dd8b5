package gatehouse_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
)

func TestSecretCannotBePrinted(t *testing.T) {
	type nested struct {
		Public  gatehouse.Secret
		private gatehouse.Secret
		Pointer *gatehouse.Secret
		List    []gatehouse.Secret
		Map     map[string]gatehouse.Secret
	}
	const text = "hunter2-planted"
	s := gatehouse.NewSecret(text)
	n := nested{s, s, &s, []gatehouse.Secret{s}, map[string]gatehouse.Secret{"k": s}}
	values := []any{s, &s, n, &n, []any{s}, map[string]any{"s": s}}

	var out strings.Builder
	for _, v := range values {
		for verb := 'A'; verb <= 'z'; verb++ {
			for _, flag := range []string{"", "+", "#", "-", " ", "0", "20", ".3"} {
				fmt.Fprintf(&out, "%"+flag+string(verb)+"\n", v)
			}
		}
		fmt.Fprintln(&out, v)
		b, err := json.Marshal(v)
		fmt.Fprintln(&out, string(b), err)
		for _, h := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
			slog.New(h).Info("m", "v", v, slog.Group("g", "v", v))
		}
	}
	b, err := xml.Marshal(struct{ S gatehouse.Secret }{s})
	fmt.Fprintln(&out, string(b), err, fmt.Errorf("wrapped %v: %w", s, errors.New("x")))
	if strings.Contains(out.String(), text) {
		t.Fatalf("a way to print a secret shows its text")
	}
	if s.Reveal() != text {
		t.Errorf("Reveal() = %q, want the text", s.Reveal())
	}
}

func TestSecretEqual(t *testing.T) {
	a, b := gatehouse.NewSecret("a"), gatehouse.NewSecret("b")
	if a.Equal(b) || a.Equal(gatehouse.Secret{}) || !a.Equal(gatehouse.NewSecret("a")) {
		t.Errorf("Equal is true for other texts or false for the same")
	}
	if (gatehouse.Secret{}).Reveal() != "" || !(gatehouse.Secret{}).IsZero() || a.IsZero() {
		t.Errorf("the zero Secret is not empty")
	}
}

type otherKey struct{}

func TestContextWithoutGuardIsAnonymous(t *testing.T) {
	var nobody *gatehouse.Principal
	for name, ctx := range map[string]context.Context{
		"empty":       context.Background(),
		"nil pointer": context.WithValue(context.Background(), gatehouse.PrincipalKey, nobody),
		"wrong type":  context.WithValue(context.Background(), gatehouse.PrincipalKey, "admin"),
		"other key":   context.WithValue(context.Background(), otherKey{}, &gatehouse.Principal{Subject: "jack", Kind: gatehouse.KindUser}),
		"zero":        gatehouse.NewContext(context.Background(), gatehouse.Principal{}),
		"no subject":  gatehouse.NewContext(context.Background(), gatehouse.Principal{Kind: gatehouse.KindUser}),
		"no kind":     gatehouse.NewContext(context.Background(), gatehouse.Principal{Subject: "jack"}),
	} {
		if p := gatehouse.FromContext(ctx); !p.IsAnonymous() {
			t.Errorf("%s: FromContext = %+v, want the anonymous principal", name, p)
		}
	}
}

func TestPrincipalOf(t *testing.T) {
	if p := gatehouse.PrincipalOf(gatehouse.Identity{Roles: []string{"admin"}, Scopes: []string{"x"}}); !p.IsAnonymous() || p.Roles != nil || p.HasScope("x") {
		t.Errorf("PrincipalOf(an identity without a value) = %+v, want anonymous without roles", p)
	}
	p := gatehouse.PrincipalOf(gatehouse.Identity{Value: "jack", Scopes: []string{"films.read"}})
	if p.IsAnonymous() || p.Kind != gatehouse.KindUser || !p.HasScope("films.read") {
		t.Errorf("PrincipalOf(jack) = %+v, want the user jack with his scope", p)
	}
	for _, scope := range []string{"", "films", "films.read ", "FILMS.READ", "films.reader"} {
		if p.HasScope(scope) {
			t.Errorf("HasScope(%q) = true, want false", scope)
		}
	}
}

func TestClaimsAreReadOnly(t *testing.T) {
	claims := map[string]any{"team": "blue"}
	id := gatehouse.WithClaims(gatehouse.Identity{Value: "jack"}, claims)
	claims["team"] = "red"
	p := gatehouse.PrincipalOf(id)
	if got, ok := p.Claim("team"); got != "blue" || !ok {
		t.Errorf("Claim(team) = %v, %v, want blue: a change of the source map must not reach the principal", got, ok)
	}
	for name := range p.Claims() {
		if name != "team" {
			t.Errorf("unexpected claim %q", name)
		}
	}
	if _, ok := id.Claim("other"); ok {
		t.Errorf("Claim(other) exists, want none")
	}
}

func TestErrorsWrap(t *testing.T) {
	for _, tt := range []struct {
		err, target error
		want        bool
	}{
		{gatehouse.ErrScheme, gatehouse.ErrAnonymous, true},
		{gatehouse.ErrScheme, gatehouse.ErrCredential, false},
		{gatehouse.ErrMalformed, gatehouse.ErrCredential, true},
		{gatehouse.ErrDuplicate, gatehouse.ErrCredential, true},
		{gatehouse.ErrExpired, gatehouse.ErrCredential, true},
		{gatehouse.ErrDisabled, gatehouse.ErrCredential, true},
		{gatehouse.ErrCredential, gatehouse.ErrAnonymous, false},
		{gatehouse.ErrForbidden, gatehouse.ErrCredential, false},
		{gatehouse.ErrExpired, gatehouse.ErrMalformed, false},
	} {
		if got := errors.Is(fmt.Errorf("wrapped: %w", tt.err), tt.target); got != tt.want {
			t.Errorf("errors.Is(%v, %v) = %v, want %v", tt.err, tt.target, got, tt.want)
		}
	}
}

type user struct{ Name string }

func ExampleValue() {
	// A look-up puts the program's own record on the identity …
	id := gatehouse.WithValue(gatehouse.Identity{Value: "u-1"}, user{Name: "Jack"})
	// … the guard resolves it and keeps it in the request's context …
	ctx := gatehouse.NewContext(context.Background(), gatehouse.PrincipalOf(id))
	// … and a handler reads it, typed.
	u, ok := gatehouse.Value[user](ctx)
	fmt.Println(u.Name, ok)
	_, ok = gatehouse.Value[int](ctx)
	fmt.Println(ok)
	// Output:
	// Jack true
	// false
}

func ExampleFromContext() {
	p := gatehouse.FromContext(context.Background())
	fmt.Println(p.Kind, p.IsAnonymous())
	// Output: anonymous true
}
