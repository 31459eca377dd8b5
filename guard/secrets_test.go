package guard_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
)

// The planted secrets: one a place where a credential can stand. No log, answer or description may have any.
const (
	inHeader = "planted-header+secret/x=="
	inKey    = "planted-key-secret"
	inQuery  = "planted-query-secret"
	inPanic  = "planted-panic-secret"
	inBody   = "planted-body-secret"
)

// failures are the ways in which a look-up, or the policy behind it, can go wrong with a credential in its hands.
func failures(credential string) map[string]func() error {
	return map[string]func() error{
		"unknown":   func() error { return fmt.Errorf("%w: no row for %q", gatehouse.ErrCredential, credential) },
		"expired":   func() error { return fmt.Errorf("%s: %w", credential, gatehouse.ErrExpired) },
		"malformed": func() error { return fmt.Errorf("%s: %w", credential, gatehouse.ErrMalformed) },
		"forbidden": func() error { return fmt.Errorf("%w: %s", gatehouse.ErrForbidden, credential) },
		"duplicate": func() error { return fmt.Errorf("%w: %s", gatehouse.ErrDuplicate, credential) },
		"down": func() error {
			return &url.Error{Op: "Get", URL: "http://db/?token=" + url.QueryEscape(credential), Err: errors.New("refused")}
		},
		"joined":       func() error { return errors.Join(errDown, errors.New(credential)) },
		"panic":        func() error { panic(inPanic + credential) },
		"panic, error": func() error { panic(errors.New(inPanic + credential)) },
		"panic, value": func() error { panic(struct{ Token string }{credential}) },
		"none":         func() error { return nil },
	}
}

// witness logs everything that a program could log about a request, at every level and in both formats.
func witness(log *buffer) func(*http.Request, guard.Description, *guard.Verdict) {
	options := &slog.HandlerOptions{Level: slog.LevelDebug - 4}
	loggers := []*slog.Logger{slog.New(slog.NewTextHandler(log, options)), slog.New(slog.NewJSONHandler(log, options))}
	return func(r *http.Request, d guard.Description, v *guard.Verdict) {
		for _, l := range loggers {
			l.Debug("request", "what", d, "verdict", v.Reason(), "problem", v.Problem, "principal", v.Principal, "rule", v.Rule)
			for _, s := range v.Steps() {
				l.Debug("step", "step", s.String(), "whole", s, "error", s.Err)
			}
		}
		fmt.Fprintf(log, "%v %+v %v %+v\n", d, d, v.Steps(), v.Problem)
	}
}

// TestNoSecretIsEverShown goes through all failures of all carriers on all kinds of rules.
func TestNoSecretIsEverShown(t *testing.T) {
	var log buffer
	table := everyRule(t)
	for name, fail := range failures(inHeader) {
		find := func(_ context.Context, credential string) (gatehouse.Identity, error) {
			return gatehouse.Identity{Value: "jack", TokenID: "first"}, fail()
		}
		get := func(r *http.Request) (string, error) { return r.Header.Get("X-Ticket"), fail() }
		for what, carriers := range map[string][]carrier.Carrier{
			"header":   {carrier.Header("Token", find)},
			"two":      {carrier.Header("Token", find), carrier.NamedHeader("X-Key", lookup)},
			"function": {carrier.Func(get, find, "X-Ticket")},
		} {
			g := makeGuard(t, guard.Config{Rules: table, Logger: log.logger(), Carriers: carriers, Policy: users{
				resolve: func(_ context.Context, id gatehouse.Identity) (gatehouse.Principal, error) {
					if name == "panic, error" {
						panic(inPanic)
					}
					return gatehouse.PrincipalOf(id), nil
				},
				permits: func(context.Context, gatehouse.Principal, string, any) (bool, error) { panic(inPanic) },
			}})
			h := guard.Observe(g.Handler(who), nil, witness(&log))
			for _, path := range []string{"/known", "/public", "/strict", "/nope", "/admin", "/permission", "/a%2Fb", "//"} {
				for _, value := range []string{"Token " + inHeader, "Token " + inHeader + " " + inKey, "Other " + inHeader, "Token" + inHeader} {
					r := httptest.NewRequest("POST", "/?token="+inQuery, strings.NewReader(inBody))
					r.URL.Path, r.URL.RawPath = strings.ReplaceAll(path, "%2F", "/"), strings.Repeat(path, strings.Count(path, "%"))
					r.Header.Set("Authorization", value)
					r.Header.Set("X-Key", inKey)
					r.Header.Set("X-Ticket", inHeader)
					r.Header.Set("Cookie", "session="+inKey)
					got := send(h, r)
					if shown := fmt.Sprint(got.header, got.body); strings.Contains(shown, "planted") {
						t.Errorf("%s, %s on %s is answered with a secret: %s", what, name, path, shown)
					}
				}
			}
		}
	}
	for _, line := range strings.Split(log.String(), "\n") {
		if strings.Contains(line, "planted") {
			t.Fatalf("a secret is logged: %s", line)
		}
	}
	if log.lines() < 1000 || !strings.Contains(log.String(), "panicked") || !strings.Contains(log.String(), "[secret]") {
		t.Errorf("the log has %d lines: the test saw nothing", log.lines())
	}
}
