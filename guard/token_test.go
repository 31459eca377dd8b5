package guard_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/guard"
)

// TestTokenAuthRefuses options that would not do what they look like, all faults at once.
func TestTokenAuthRefuses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options []guard.Option
		faults  []string
	}{
		{"no scheme", []guard.Option{guard.Scheme()}, []string{"no carriers"}},
		{"an empty scheme", []guard.Option{guard.Scheme("")}, []string{`"" is not an authentication scheme`}},
		{"a scheme with a space", []guard.Option{guard.Scheme("Token ")}, []string{`"Token " is not`}},
		{"a scheme with a colon", []guard.Option{guard.Scheme("Token:")}, []string{`"Token:" is not`}},
		{"a scheme with a slash", []guard.Option{guard.Scheme("a/b")}, []string{`"a/b" is not`}},
		{"a scheme that is not ASCII", []guard.Option{guard.Scheme("Tök")}, []string{`"Tök" is not`}},
		{"a Kelvin sign", []guard.Option{guard.Scheme("To\u212Aen")}, []string{"is not an authentication scheme"}},
		{"a quoted scheme", []guard.Option{guard.Scheme(`"Token"`)}, []string{"is not an authentication scheme"}},
		{"one scheme twice", []guard.Option{guard.Scheme("Token", "TOKEN")}, []string{"two carriers read"}},
		{"a bad expression", []guard.Option{guard.PublicRoutes("/a(")}, []string{"missing closing )"}},
		{"an expression that breaks out", []guard.Option{guard.PublicRoutes("/a)|(.*")}, []string{"unexpected )"}},
		{"an empty expression", []guard.Option{guard.PublicRoutes("")}, []string{"needs a path or a regex"}},
		{"a method in lower case", []guard.Option{guard.PublicMethods("post")}, []string{"write POST"}},
		{"an empty method", []guard.Option{guard.PublicMethods("")}, []string{`"" is not a method`}},
		{"TRACE", []guard.Option{guard.PublicMethods("TRACE")}, []string{"never let through"}},
		{"a negative limit", []guard.Option{guard.MaxBody(-1)}, []string{"MaxBody is -1"}},
		{"several faults", []guard.Option{guard.Scheme("a b", "c d"), guard.PublicRoutes("/a("), guard.PublicMethods("get")}, []string{`"a b"`, `"c d"`, "missing closing )", "write GET"}},
	} {
		g, err := guard.TokenAuth(lookup, tt.options...)
		if err == nil || g != nil {
			t.Errorf("%s: TokenAuth = %v, %v, want an error", tt.name, g, err)
			continue
		}
		for _, fault := range tt.faults {
			if !strings.Contains(err.Error(), fault) {
				t.Errorf("%s: the error lacks %q: %v", tt.name, fault, err)
			}
		}
	}
	if g, err := guard.TokenAuth(nil); err == nil || g != nil {
		t.Errorf("TokenAuth(nil) = %v, %v, want an error", g, err)
	}
}

// TestEmptyOptionsOpenNothing: a list from a configuration may be empty, and that must not mean everything.
func TestEmptyOptionsOpenNothing(t *testing.T) {
	for name, g := range map[string]*guard.Guard{
		"no options":             tokenAuth(t),
		"no public methods":      tokenAuth(t, guard.PublicMethods()),
		"a nil list of methods":  tokenAuth(t, guard.PublicMethods(nil...)),
		"no public routes":       tokenAuth(t, guard.PublicRoutes()),
		"neither":                tokenAuth(t, guard.PublicRoutes([]string{}...), guard.PublicMethods([]string{}...)),
		"another one's options":  tokenAuth(t, guard.PublicRoutes("/open"), guard.PublicMethods("PUT")),
		"an expression's prefix": tokenAuth(t, guard.PublicRoutes("/kno|/know")),
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PATCH"} {
			for _, path := range []string{"/", "/known", "/x/open", "/open/x"} {
				if got := get(g.Handler(who), method, path); got.status != 401 || got.reached() {
					t.Errorf("%s: %s %s without a token = %d, want 401", name, method, path, got.status)
				}
			}
		}
		if got := get(g.Handler(who), "GET", "/known", "Authorization", "Token token1"); got.body != "jack" {
			t.Errorf("%s: with a token = %d", name, got.status)
		}
	}
}

// TestPublicMethods opens them everywhere, HEAD with GET, and no other.
func TestPublicMethods(t *testing.T) {
	h := tokenAuth(t, guard.PublicMethods("GET", "OPTIONS")).Handler(who)
	for method, want := range map[string]int{"GET": 200, "HEAD": 200, "OPTIONS": 200, "POST": 401, "PUT": 401, "PATCH": 401, "DELETE": 401, "TRACE": 405, "get": 405} {
		for _, path := range []string{"/", "/a", "/a/b/", "/a%20b", "/%E2%80%A8"} {
			if got := get(h, method, path); got.status != want {
				t.Errorf("%s %s = %d, want %d", method, path, got.status, want)
			}
		}
	}
}

// TestTokenAuthOptions: schemes, realm and log are where they were put.
func TestTokenAuthOptions(t *testing.T) {
	var log buffer
	find := func(ctx context.Context, token string) (gatehouse.Identity, error) {
		if token == "down" {
			return gatehouse.Identity{}, errDown
		}
		return lookup(ctx, token)
	}
	g, err := guard.TokenAuth(find, guard.Scheme("Bearer", "Token"), guard.Realm("films"), guard.Logger(log.logger()), guard.MaxBody(10))
	if err != nil {
		t.Fatal(err)
	}
	h := g.Handler(who)
	for auth, want := range map[string]string{"Bearer token1": ok, "Token token1": ok, "bearer token1": ok, "ApiKey token1": challenged, "": challenged, "Token down": "503", "Bearer nope": "401 challenge invalid_token"} {
		if got := get(h, "GET", "/", "Authorization", auth); got.kind() != want {
			t.Errorf("%q = %s, want %s", auth, got.kind(), want)
		}
	}
	if got := get(h, "GET", "/").challenges(); got != "Bearer realm=\"films\"\nToken realm=\"films\"" {
		t.Errorf("challenges = %q", got)
	}
	if !strings.Contains(log.String(), errDown.Error()) || log.lines() != 1 {
		t.Errorf("log = %q, want one line about the outage", log.String())
	}
	if g.Rules() == nil || g.Answers() == nil {
		t.Error("the guard lacks its rules or answers")
	}
	quiet, err := guard.TokenAuth(lookup, guard.Logger(slog.New(slog.DiscardHandler)))
	if err != nil || quiet == nil {
		t.Errorf("TokenAuth = %v, %v", quiet, err)
	}
}
