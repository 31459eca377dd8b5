package carrier_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
)

// A storeError is an error of a program that keeps the credential in a field and shows it.
type storeError struct{ Token string }

func (e *storeError) Error() string { return "no row for " + e.Token }

// shown returns every text that a log or an explanation could make of err.
func shown(t *testing.T, err error) string {
	t.Helper()
	var b bytes.Buffer
	fmt.Fprintf(&b, "%v %+v %#v %s %q %x %d\n", err, err, err, err, err, err, err)
	fmt.Fprintf(&b, "%v %#v\n", fmt.Errorf("wrapped: %w", err), []error{err})
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	slog.New(slog.NewTextHandler(&b, options)).Error("x", "error", err, "list", []any{err}, "struct", struct{ Err error }{err})
	slog.New(slog.NewJSONHandler(&b, options)).Error("x", "error", err, "list", []any{err}, "struct", struct{ Err error }{err})
	if text, err := json.Marshal(map[string]any{"error": err}); err == nil {
		b.Write(text)
	}
	for below := err; below != nil; below = errors.Unwrap(below) {
		fmt.Fprintf(&b, "%v\n", below)
	}
	if e, ok := errors.AsType[*storeError](err); ok {
		fmt.Fprintf(&b, "%v\n", e)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		fmt.Fprintf(&b, "%v\n", e)
	}
	var list interface{ Unwrap() []error }
	if errors.As(err, &list) {
		fmt.Fprintf(&b, "%v\n", list.Unwrap())
	}
	return b.String()
}

// TestCredentialStaysOutOfErrors: a look-up may put the credential into its error in any of the ways in which errors usually show one.
func TestCredentialStaysOutOfErrors(t *testing.T) {
	for _, credential := range []string{"planted-secret-1", "a+b/c==planted", `back\slash\planted`, "planted<&>planted", "short", "e", "p%61nted-secret"} {
		for way, err := range map[string]error{
			"verbatim":   errors.New("no row for " + credential + " in tokens"),
			"twice":      errors.New(credential + " is not " + credential),
			"quoted":     fmt.Errorf("no row for %q", credential),
			"wrapped":    fmt.Errorf("%w: %s", gatehouse.ErrExpired, credential),
			"in a field": &storeError{credential},
			"in a tree":  errors.Join(errors.New("first"), fmt.Errorf("second: %w", &storeError{credential})),
			"in a query": &url.Error{Op: "Get", URL: "http://db/check?token=" + url.QueryEscape(credential), Err: errors.New("connection refused")},
			"in a path":  &url.Error{Op: "Get", URL: "http://db/check/" + url.PathEscape(credential), Err: errors.New("connection refused")},
			"in JSON":    errors.New("answer: " + asJSON(t, map[string]string{"token": credential})),
		} {
			find := func(context.Context, string) (gatehouse.Identity, error) { return gatehouse.Identity{}, err }
			fn := carrier.Func(func(r *http.Request) (string, error) { return credential, err }, find)
			for _, c := range []carrier.Carrier{token(find), apiKey(find), fn} {
				r := request("Authorization", "Token "+credential)
				r.Header.Set("X-Api-Key", credential)
				_, got := c.Identify(r)
				mustHide(t, fmt.Sprintf("%v, %s", c, way), credential, shown(t, got))
				if errors.Is(err, gatehouse.ErrExpired) != errors.Is(got, gatehouse.ErrExpired) {
					t.Errorf("%v, %s: errors.Is is lost on the way: %v", c, way, got)
				}
			}
		}
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// mustHide fails if text shows the credential. A short one is only looked for as a word: "e" stands in every text.
func mustHide(t *testing.T, where, credential, text string) {
	t.Helper()
	if len(credential) < 8 {
		for _, frame := range []string{"for " + credential + " ", "for " + credential + "\n", `"` + credential + `"`, "=" + credential, "/" + credential, " " + credential + "\n"} {
			if strings.Contains(text, frame) {
				t.Errorf("%s shows %q: %s", where, credential, text)
			}
		}
		return
	}
	for _, form := range []string{credential, url.QueryEscape(credential), url.PathEscape(credential), strings.Trim(fmt.Sprintf("%q", credential), `"`)} {
		if strings.Contains(text, form) {
			t.Errorf("%s shows %q: %s", where, form, text)
		}
	}
}

// TestErrorsStayReadable: what is not the credential is left for the operator.
func TestErrorsStayReadable(t *testing.T) {
	find := func(context.Context, string) (gatehouse.Identity, error) {
		return gatehouse.Identity{}, errors.New("no row for planted-secret: dial tcp: connection refused")
	}
	_, err := token(find).Identify(request("Authorization", "Token planted-secret"))
	if got, want := err.Error(), "no row for [secret]: dial tcp: connection refused"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	_, err = token(find).Identify(request("Authorization", "Token row"))
	if got := err.Error(); strings.Contains(got, "row") || got == "" {
		t.Errorf("the text for the credential row = %q, want another text", got)
	}
}

// TestFieldsOfFuncStayOutOfErrors: a function that fails before it has the credential still has the field that it read.
func TestFieldsOfFuncStayOutOfErrors(t *testing.T) {
	c := carrier.Func(func(r *http.Request) (string, error) {
		return "", fmt.Errorf("%w: no colon in %q", gatehouse.ErrMalformed, r.Header.Get("X-Ticket"))
	}, carrier.Verified, "x-ticket")
	_, err := c.Identify(request("X-Ticket", "planted-secret"))
	if word(err) != "malformed" || strings.Contains(shown(t, err), "planted-secret") || !strings.Contains(err.Error(), "no colon") {
		t.Errorf("the error = %v, want one without the field's value", err)
	}
}
