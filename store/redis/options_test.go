package redis_test

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/store/redis"
)

func TestParseURL(t *testing.T) {
	for _, test := range []struct {
		url  string
		want redis.Options
		tls  bool
	}{
		{url: "redis://", want: redis.Options{}},
		{url: "redis:///3", want: redis.Options{DB: 3}},
		{url: "redis://localhost", want: redis.Options{Host: "localhost"}},
		{url: "redis://localhost/", want: redis.Options{Host: "localhost"}},
		{url: "redis://10.0.0.5:7000/15", want: redis.Options{Host: "10.0.0.5", Port: 7000, DB: 15}},
		{url: "redis://[::1]:7000", want: redis.Options{Host: "::1", Port: 7000}},
		{url: "redis://:secret@host", want: redis.Options{Host: "host", Password: gatehouse.NewSecret("secret")}},
		{url: "redis://anna@host", want: redis.Options{Host: "host", User: "anna"}},
		{url: "redis://anna:secret@host:1/2", want: redis.Options{Host: "host", Port: 1, DB: 2, User: "anna", Password: gatehouse.NewSecret("secret")}},
		{url: "redis://a%3An:%40%2F%3A%25@host", want: redis.Options{Host: "host", User: "a:n", Password: gatehouse.NewSecret("@/:%")}},
		{url: "redis://:pa:ss@host", want: redis.Options{Host: "host", Password: gatehouse.NewSecret("pa:ss")}},
		{url: "REDIS://host", want: redis.Options{Host: "host"}},
		{url: "rediss://host", want: redis.Options{Host: "host"}, tls: true},
		{url: "valkey://host", want: redis.Options{Host: "host"}},
		{url: "valkeys://host:65535", want: redis.Options{Host: "host", Port: 65535}, tls: true},
		{url: "redis://my_cache.internal-1", want: redis.Options{Host: "my_cache.internal-1"}},
	} {
		got, err := redis.ParseURL(test.url)
		if err != nil || show(got) != show(test.want) || !got.Password.Equal(test.want.Password) || (got.TLS != nil) != test.tls {
			t.Errorf("ParseURL(%q) = %s, TLS %t, %v, want %s, TLS %t, nil", test.url, show(got), got.TLS != nil, err, show(test.want), test.tls)
		}
	}
}

// show is what tests compare of options.
func show(o redis.Options) string { return fmt.Sprintf("%q %d %q %d", o.Host, o.Port, o.User, o.DB) }

func TestParseURLRefuses(t *testing.T) {
	for _, url := range []string{
		"", "secret", "secret@host", "//secret@host", "host:6379", "redis:secret", "redis:secret@host", "http://:secret@host", "unix:///secret",
		"secret://host", "redis-socket:///secret", "redis://:secret@host:port", "redis://:secret@host:0x1", "redis://:secret@host:65536", "redis://:secret@host:-1",
		"redis://:secret@host/secret", "redis://:secret@host/-1", "redis://:secret@host/+1", "redis://:secret@host/1/2", "redis://:secret@host/1.5", "redis://:secret@host//",
		"redis://:secret@host/99999999999999999999", "redis://:secret@host?db=1", "redis://:secret@host/1?", "redis://:secret@host#secret", "redis://:secret@host/#",
		"redis://:secret/secret@host", "redis://:12/secret@host", "redis://:secret#secret@host", "redis://:secret?secret@host", "redis://:secret%@host", "redis://:secret%zz@host",
		"redis://:secret@ho st", "redis://:secret@host\n", "redis://:secret@host\x00", "redis://:secret @host", "redis://secret\x7f@host", "redis://:secret@[::1", "redis://:secret@[secret]",
		"redis://:secret@host,host2", "redis://:secret@host:1,host2:2", "redis://:secret@-host", "redis://:secret@ho%2Fst", "redis://:secret@host$", "redis://:secret@h\u00f6st",
		" redis://:secret@host", "redis://:secret@" + strings.Repeat("h", 254),
	} {
		o, err := redis.ParseURL(url)
		if err == nil {
			t.Errorf("ParseURL(%q) = %s, nil, want an error", url, show(o))
			continue
		}
		if text := err.Error(); strings.Contains(text, "secret") || strings.Contains(text, "zz") || strings.ContainsAny(text, "\n\x00\x7f") {
			t.Errorf("ParseURL(%q) = %v, which repeats the text", url, err)
		}
	}
}

// TestURLForm keeps the sentence helpful: it shows the form and names the usual mistake.
func TestURLForm(t *testing.T) {
	_, err := redis.ParseURL("redis://:p/w@host")
	for _, want := range []string{"redis://user:password@host:port/db", "rediss://", "percent-encoded"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseURL(a password with a slash) = %v, want an error with %q", err, want)
		}
	}
}

func TestOpenRefusesOptions(t *testing.T) {
	for name, test := range map[string]struct {
		options redis.Options
		words   string
	}{
		"a URL as host":      {redis.Options{Host: "redis://:secret@host"}, "the host"},
		"a port in the host": {redis.Options{Host: "host:6379"}, "the host"},
		"brackets":           {redis.Options{Host: "[::1]"}, "the host"},
		"a space":            {redis.Options{Host: "ho st"}, "the host"},
		"a path":             {redis.Options{Host: "/run/redis.sock"}, "the host"},
		"negative port":      {redis.Options{Port: -1}, "the port"},
		"large port":         {redis.Options{Port: 65536}, "the port"},
		"negative database":  {redis.Options{DB: -1}, "the database"},
		"braces":             {redis.Options{Prefix: "a}b"}, "the prefix"},
		"a star":             {redis.Options{Prefix: "*"}, "the prefix"},
		"a line end":         {redis.Options{Prefix: "a\n"}, "the prefix"},
		"a long prefix":      {redis.Options{Prefix: strings.Repeat("a", 65)}, "the prefix"},
		"negative timeout":   {redis.Options{Timeout: -time.Second}, "the timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			refuses(t, test.options, test.words)
			if _, err := redis.Open(t.Context(), test.options); strings.Contains(err.Error(), "secret") {
				t.Errorf("Open = %v, which repeats the host", err)
			}
		})
	}
}

// TestSecurityIsSaid: the name of a server says what a reader of the log should know about the way to it.
func TestSecurityIsSaid(t *testing.T) {
	for _, test := range []struct {
		options redis.Options
		want    string
	}{
		{redis.Options{}, "redis 127.0.0.1:6379 db 0"},
		{redis.Options{Host: "localhost", DB: 3}, "redis localhost:6379 db 3"},
		{redis.Options{Host: "127.8.8.8"}, "redis 127.8.8.8:6379 db 0"},
		{redis.Options{Host: "::1", Port: 1}, "redis [::1]:1 db 0"},
		{redis.Options{Host: "::ffff:127.0.0.1"}, "redis [::ffff:127.0.0.1]:6379 db 0"},
		{redis.Options{Host: "10.0.0.5"}, "redis 10.0.0.5:6379 db 0 (not encrypted)"},
		{redis.Options{Host: "redis"}, "redis redis:6379 db 0 (not encrypted)"},
		{redis.Options{Host: "127.0.0.1.example.org"}, "redis 127.0.0.1.example.org:6379 db 0 (not encrypted)"},
		{redis.Options{Host: "::"}, "redis [::]:6379 db 0 (not encrypted)"},
		{redis.Options{Host: "redis", TLS: new(tls.Config)}, "redis redis:6379 db 0 (TLS)"},
		{redis.Options{Host: "redis", TLS: &tls.Config{InsecureSkipVerify: true}}, "redis redis:6379 db 0 (TLS, certificate not verified)"},
	} {
		if got := test.options.String(); got != test.want {
			t.Errorf("String of %s = %q, want %q", show(test.options), got, test.want)
		}
	}
}

// TestOptionsCannotBePrinted: in no way that a program logs its configuration is the password among it.
func TestOptionsCannotBePrinted(t *testing.T) {
	o := options(t, "rediss://anna:hunter2@redis.example.org")
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&b, verb+" ", o)
		fmt.Fprintf(&b, verb+" ", &o)
		fmt.Fprintf(&b, verb+" ", []redis.Options{o})
	}
	slog.New(slog.NewJSONHandler(&b, nil)).Info("start", "options", o.String(), "password", o.Password)
	slog.New(slog.NewTextHandler(&b, nil)).Info("start", "options", o)
	if text := b.String(); holds(text, "hunter2") {
		t.Errorf("options are printed as %s", text)
	}
}

// holds reports whether text has the secret, plain or in hexadecimal.
func holds(text, secret string) bool {
	lower := strings.ToLower(text)
	return strings.Contains(text, secret) || strings.Contains(lower, fmt.Sprintf("%x", secret))
}
