package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
)

// planted are secrets that tests put into every place where one may stand, and into places where one should not.
var planted = []string{"XyZZyPlugh1", "XyZZyPlugh2", "XyZZyPlugh3", "XyZZyPlugh4", "XyZZyPlugh5"}

func plantedOptions() Options {
	return Options{
		Environ: []string{"TOKEN=" + planted[1], "GATEHOUSE_SERVER__HTTP__AUTH_SCHEME=Token"},
		ReadFile: func(name string) ([]byte, error) {
			if name == "bad" {
				return []byte(planted[2] + " " + planted[3]), nil
			}
			return []byte(planted[2] + "\n"), nil
		},
		Situations: situations,
	}
}

// leaks returns the planted secrets that text has, also in parts and in other cases.
func leaks(text string) []string {
	if strings.Contains(strings.ToLower(text), "plugh") {
		return []string{text}
	}
	return nil
}

// renderings are all the ways in which v may end up in a log.
func renderings(t *testing.T, v any) []string {
	t.Helper()
	var all []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		all = append(all, fmt.Sprintf(verb, v), fmt.Sprintf(verb, &v))
	}
	marshalled, err := json.Marshal(v)
	must(t, err)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
	return append(all, string(marshalled), log.String())
}

func TestSecretsAreNotPrinted(t *testing.T) {
	cfg, err := Parse("f.yaml", []byte(`server: {http: {allowed_tokens: [XyZZyPlugh1, "${TOKEN}", "file:x", {name: n, token: XyZZyPlugh4}]}}`), plantedOptions())
	must(t, err)
	if got := cfg.Server.HTTP.AllowedTokens[1].Token.Reveal(); got != planted[1] {
		t.Fatalf("the planted token is %q: the test does not test anything", got)
	}
	hexadecimal := fmt.Sprintf("%x", planted[0])
	for _, v := range []any{cfg, *cfg, cfg.Server.HTTP.AllowedTokens, cfg.Warnings, cfg.Server.HTTP.AllowedTokens[0].Sum, cfg.index.places} {
		for _, text := range renderings(t, v) {
			if leaks(text) != nil || strings.Contains(text, hexadecimal) {
				t.Errorf("%T is printed with a token in it: %s", v, text)
			}
		}
	}
	sum := cfg.Server.HTTP.AllowedTokens[0].Sum
	for _, text := range renderings(t, struct{ hidden Digest }{sum}) {
		if strings.Contains(text, fmt.Sprintf("%x", sum.Sum())) {
			t.Errorf("the digest is printed: %s", text)
		}
	}
}

// Whatever is wrong around a secret, no message repeats it.
func TestSecretsAreNotInFaults(t *testing.T) {
	for _, text := range []string{
		`server: {http: {allowed_tokens: [XyZZyPlugh1, XyZZyPlugh1]}}`,
		`server: {http: {allowed_tokens: ["XyZZy Plugh1", "XyZZyPlugh\n", "sha256:XyZZyPlugh1", "XyZZyPlugh${X}"]}}`,
		`server: {http: {allowed_tokens: XyZZyPlugh1}}`,
		`server: {http: {allowed_tokens: {XyZZyPlugh1: jack}}}`,
		`server: {http: {allowed_tokens: [{XyZZyPlugh1}, {XyZZyPlugh1: x}, {tokens: XyZZyPlugh1}, {token: [XyZZyPlugh1]}, {token: {a: XyZZyPlugh1}}]}}`,
		`server: {http: {allowed_tokens: [[XyZZyPlugh1], {hash: XyZZyPlugh1}, {hash: "sha256:XyZZyPlugh"}, {token: XyZZyPlugh1, hash: XyZZyPlugh1}]}}`,
		`server: {http: {allowed_tokens: ["file:bad", {hash: "file:bad"}, {hash: "${TOKEN}"}, "${TOKEN} "]}}`,
		`server: {http: {allowed_tokens: ["${TOKEN}", XyZZyPlugh2]}}`,
		`server: {http: {port: "${TOKEN}", host: "${TOKEN}/", auth_scheme: "${TOKEN} x", request_max_size: "${TOKEN}"}}`,
		`server: {http: {allowed_tokens: [{token: x, name: "${TOKEN} ", roles: ["${TOKEN}"], expires: "${TOKEN}", email: "${TOKEN}", owner: " ${TOKEN}"}]}}`,
		`log: {format: "${TOKEN}", level: [{logger: "${TOKEN}", level: "${TOKEN}"}, {logger: "${TOKEN}", level: DEBUG}]}`,
		`roles: ["${TOKEN},"]`,
		`{roles: [a], permissions: {a: ["${TOKEN} "]}, errors: {status: {forbidden: "${TOKEN}"}}, limits: {refused: {budget: "${TOKEN}", per: "${TOKEN}"}}}`,
		`rules: [{path: "${TOKEN}", allow: {role: "${TOKEN}"}, upstream: "${TOKEN}", methods: ["${TOKEN}"]}, {regex: "(${TOKEN}", allow: "${TOKEN}"}]`,
		`upstream: "http://jack:XyZZyPlugh1@127.0.0.1:9000"`,
		`upstream: {a: {url: "http://XyZZyPlugh1@127.0.0.1:9000/%zz"}, b: "http://127.0.0.1?key=XyZZyPlugh1", c: "XyZZyPlugh://x"}`,
		`server: {public_url: "https://jack:XyZZyPlugh1@example.org", trusted_proxies: ["${TOKEN}"], tls: {cert_file: "${TOKEN}"}}`,
		`{server: {http: {host: "http://jack:XyZZyPlugh1@x"}, admin: {listen: "http://jack:XyZZyPlugh1@x:80"}}, rules: [{path: "https://jack:XyZZyPlugh1@x/", allow: anyone, upstream: "http://jack:XyZZyPlugh1@x"}]}`,
		`{carriers: [bearer], tokens: {issuer: " https://jack:XyZZyPlugh1@x"}, "https://jack:XyZZyPlugh1@x": {}}`,
		`cors: {origins: ["https://jack:XyZZyPlugh1@example.org", "${TOKEN}", "${TOKEN}"]}`,
		`carriers: ["${TOKEN}", {header: "${TOKEN} "}]`,
		`{carriers: [session], store: {url: XyZZyPlugh1, redis: "XyZZyPlugh://x"}}`,
		`{carriers: [session], store: {url: "postgres://u:XyZZyPlugh1@%zz", redis: "redis://:XyZZyPlugh1@%zz"}}`,
		`{carriers: [session], store: {url: "${TOKEN}", redis: {host: "redis://:XyZZyPlugh1@x", password: [XyZZyPlugh1]}}}`,
		`{carriers: [session], store: {url: "file:bad", redis: "file:bad"}}`,
		`{store: {url: "postgres://u:XyZZyPlugh1@h/d", redis: {host: h, password: XyZZyPlugh1}}}`,
		`{carriers: [bearer], tokens: {foreign: [{algorithm: ES256, jwks_url: "https://jack:XyZZyPlugh1@x/y"}, {algorithm: ES256, jwks_url: "https://jack:XyZZyPlugh1@%zz"}]}}`,
		`{carriers: [bearer], tokens: {foreign: [{algorithm: HS256, jwks_url: "XyZZyPlugh1"}, {algorithm: ES256, jwks_url: "http://x/?key=XyZZyPlugh1#"}, {algorithm: ES256, secret: XyZZyPlugh1}]}}`,
		`{carriers: [bearer], tokens: {access: {secret: XyZZyPlugh1, rotate: 1d}, refresh: {format: opaque, secret: XyZZyPlugh1}, purposes: {a: {form: opaque, secret: XyZZyPlugh1}}}}`,
		"server: {http: {allowed_tokens: [XyZZyPlugh1, *XyZZyPlugh]}}",
		"server: {http: {allowed_tokens: [XyZZyPlugh1, !XyZZyPlugh x]}}",
		"server: {http: {allowed_tokens: [XyZZyPlugh1, \"XyZZyPlugh\\q\"]}}",
		"server:\n  http:\n    allowed_tokens:\n      - XyZZyPlugh1\n     - XyZZyPlugh2\n",
		"allowed_tokens: [XyZZyPlugh1\nlog: {}",
		"XyZZyPlugh1\n---\nXyZZyPlugh2\n",
		"%XyZZyPlugh XyZZyPlugh\n---\na: XyZZyPlugh: x",
		"- XyZZyPlugh1\nXyZZyPlugh2: [",
		`{"server": {"http": {"allowed_tokens": ["XyZZyPlugh1" "XyZZyPlugh2"]}}}`,
		`{"server": {"http": {"allowed_tokens": ["XyZZyPlugh1\x"]}}}`,
		`{"server": {"http": {"allowed_tokens": [XyZZyPlugh1]}}}`,
		"server: {http: {allowed_tokens: [\"XyZZyPlugh1\x01\"]}}",
	} {
		_, inYAML := Parse("f.yaml", []byte(text), plantedOptions())
		_, inJSON := Parse("f.json", []byte(text), plantedOptions())
		if inYAML == nil && inJSON == nil {
			t.Errorf("%s: no fault, so that the row tests nothing", text)
		}
		for _, shown := range []string{fmt.Sprintf("%+v", inYAML), fmt.Sprintf("%+v", inJSON)} {
			if leaks(shown) != nil {
				t.Errorf("%s:\n%s has the secret in it", text, shown)
			}
		}
	}
}

func TestDigest(t *testing.T) {
	if got := (Digest{}).Sum(); got != [32]byte{} {
		t.Errorf("the zero Digest = %x, want zeros", got)
	}
	if a, b := digestOf("a").Sum(), digestOf("b").Sum(); a == b {
		t.Error("two texts have one digest")
	}
	if reflect.TypeFor[Digest]().Comparable() {
		t.Error("digests can be compared with ==, in a time that tells how much of them agrees")
	}
}
