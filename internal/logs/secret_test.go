package logs_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const planted = "hunter2-planted"

var secretNames = []string{
	"authorization", "cookie", "set-cookie", "token", "password", "secret", "x-api-key", "proxy-authorization",
	"Authorization", "COOKIE", "Set-Cookie", "set_cookie", "X_API_KEY", "Token", "PASSWORD", "Proxy_Authorization",
}

// TestSecretKeysAreHiddenEverywhere puts a secret under each name into each place a value can have.
func TestSecretKeysAreHiddenEverywhere(t *testing.T) {
	type inner struct {
		Password string
		Name     string
	}
	places := map[string]func(l *slog.Logger, key string){
		"attribute": func(l *slog.Logger, key string) { l.Info("m", key, planted) },
		"with":      func(l *slog.Logger, key string) { l.With(key, planted).Info("m") },
		"group":     func(l *slog.Logger, key string) { l.Info("m", slog.Group("a", slog.Group("b", key, planted))) },
		"with group": func(l *slog.Logger, key string) {
			l.WithGroup("a").WithGroup("b").With(key, planted).Info("m", key, planted)
		},
		"inline": func(l *slog.Logger, key string) { l.Info("m", slog.Group("", key, planted)) },
		"named group": func(l *slog.Logger, key string) {
			l.Info("m", slog.Group(key, "x", planted, slog.Group("y", "z", planted)))
		},
		"open group": func(l *slog.Logger, key string) {
			l.WithGroup(key).Info("m", "x", planted, slog.Group("y", "z", planted))
		},
		"header": func(l *slog.Logger, key string) { l.Info("m", "h", http.Header{key: {planted, planted}}) },
		"map": func(l *slog.Logger, key string) {
			l.Info("m", "h", map[string]any{"a": []any{map[string]string{key: planted}}})
		},
		"struct":  func(l *slog.Logger, _ string) { l.Info("m", "h", struct{ In *inner }{&inner{planted, "jack"}}) },
		"valuer":  func(l *slog.Logger, key string) { l.Info("m", "h", valuer{slog.GroupValue(slog.String(key, planted))}) },
		"number":  func(l *slog.Logger, key string) { l.Info("m", key, 815081508150, "x", key) },
		"error":   func(l *slog.Logger, key string) { l.Info("m", key, errors.New(planted)) },
		"nothing": func(l *slog.Logger, key string) { l.Info("m", key, nil) },
	}
	for _, format := range []string{"text", "json"} {
		for place, log := range places {
			for _, name := range secretNames {
				out := printed(t, format, func(l *slog.Logger) { log(l, name) })
				if strings.Contains(out, planted) || strings.Contains(out, "815081508150") || !strings.Contains(out, "[secret]") {
					t.Errorf("%s, %s under %q: %q, want [secret]", format, place, name, out)
				}
			}
		}
	}
}

type valuer struct{ v slog.Value }

func (v valuer) LogValue() slog.Value { return v.v }

// hidden is made like gatehouse.Secret: it cannot be printed under any key.
type hidden struct{ text *string }

func (hidden) Format(f fmt.State, _ rune)   { _, _ = f.Write([]byte("[secret]")) }
func (hidden) LogValue() slog.Value         { return slog.StringValue("[secret]") }
func (hidden) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

func TestSecretTypesStayHiddenUnderAnyKey(t *testing.T) {
	text := planted
	s := hidden{&text}
	link, _ := url.Parse("https://jack:" + planted + "@example.org/")
	for _, format := range []string{"text", "json"} {
		for _, v := range []any{s, &s, []hidden{s}, map[string]any{"x": s}, struct{ S hidden }{s}, link} {
			out := printed(t, format, func(l *slog.Logger) { l.Info("m", "harmless", v) })
			if strings.Contains(out, planted) {
				t.Errorf("%s: %T printed its secret: %q", format, v, out)
			}
		}
	}
}

func TestOtherKeysAreNotHidden(t *testing.T) {
	for _, name := range []string{"", "tok", "token_name", "tokens", "cookies", "authorized", "secret ", "pass", "x-api-keys", "user", "set-cookiе"} {
		out := printed(t, "json", func(l *slog.Logger) { l.Info("m", name, "visible", slog.Group("g", name, "visible")) })
		if strings.Count(out, "visible") != 2 {
			t.Errorf("value under %q: %q, want it printed", name, out)
		}
	}
}
