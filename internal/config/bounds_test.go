package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

// TestBoundsAreThoseOfTheServer: what the configuration takes, the packages behind it take.
func TestBoundsAreThoseOfTheServer(t *testing.T) {
	if maxKeys != keyring.MaxKeys || maxForeignKeys != token.MaxTries {
		t.Errorf("maxKeys and maxForeignKeys are %d and %d, those behind them %d and %d", maxKeys, maxForeignKeys, keyring.MaxKeys, token.MaxTries)
	}
	tokens := configShape().field("tokens").shape
	lives := map[string]*shape{"sessions": configShape().field("sessions").shape, "purposes": tokens.field("purposes").shape.elem}
	for _, key := range []string{"access", "refresh", "verify_email", "reset_password", "invite"} {
		lives[key] = tokens.field(key).shape
	}
	for section, s := range lives {
		found := 0
		for _, key := range []string{"ttl", "max_ttl", "idle", "absolute"} {
			f := s.field(key)
			if f == nil {
				continue
			}
			found++
			if f.shape.most.Std() != revoke.DefaultLongest {
				t.Errorf("%s of %s is at most %v, and what was revoked is remembered for %v", key, section, f.shape.most, revoke.DefaultLongest)
			}
		}
		if found == 0 {
			t.Errorf("%s says nothing of how long anything lives", section)
		}
	}
}

// TestReservedClaims: the names that a token cannot give away are those of package token, no more and no fewer.
func TestReservedClaims(t *testing.T) {
	source, err := os.ReadFile("../../token/claims.go")
	must(t, err)
	_, list, _ := strings.Cut(string(source), "var reserved = []string{")
	list, _, _ = strings.Cut(list, "}")
	var theirs []string
	for _, name := range regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(list, -1) {
		theirs = append(theirs, name[1])
	}
	slices.Sort(theirs)
	if ours := slices.Sorted(slices.Values(reservedClaims)); !slices.Equal(ours, theirs) {
		t.Errorf("reserved here are %q, in package token %q", ours, theirs)
	}
	for _, name := range timeClaims {
		key, err := keyring.Secret(keyring.HS256, "5f8c2d1b7e4a90366ac1d8e2f97b04ce", false)
		must(t, err)
		ring, err := keyring.Static("x", key)
		must(t, err)
		c := token.ForeignConfig{Algorithms: []keyring.Algorithm{keyring.HS256}, Keys: ring, Required: map[string]any{name: 5}, Revocations: revoke.None}
		if _, err := token.NewForeign(c); err == nil {
			t.Errorf("package token requires a certain %s, and a configuration cannot", name)
		}
	}
}

// TestTokensThatPass: what is at the bounds, and what means what the default means.
func TestTokensThatPass(t *testing.T) {
	const secret = `"5f8c2d1b7e4a90366ac1d8e2f97b04ce"`
	for _, text := range []string{
		"{issuer: fathat.org, access: {algorithm: HS256, ttl: 10h, secret: " + secret + ", claims: {user_id: subject, access_role: role}}, refresh: {ttl: 24h}, verify_email: {ttl: 1h}, reset_password: {ttl: 1h}}",
		"{access: {algorithm: HS256, secret: " + secret + "}, refresh: {secret: " + secret + "}, verify_email: {algorithm: HS384, secret: " + secret + "}, invite: {secret: " + secret + "}}",
		"{access: {ttl: 1s, max_ttl: 400d}, refresh: {idle: 400d, absolute: 400d}, verify_email: {ttl: 400d}, invite: {ttl: 1.5s}}",
		"{access: {ttl: 400d, rotate: 0}, refresh: {ttl: 400d}}", "{access: {algorithm: RS256, rotate: 1d}}", "{access: {ttl: 970s, rotate: 1s}}",
		"{refresh: {format: jwt, algorithm: RS256}}", "{refresh: {format: opaque}}", "{refresh: {format: jwt, secret: " + secret + "}}",
		"{purposes: {a: {form: opaque, ttl: 5m, max_uses: 3}, b: {form: jwt, algorithm: EdDSA, ttl: 1s, rotate: 1h}, c: {ttl: 3s, delay: 1s}, d: {ttl: 1s, delay: 0}}}",
		"{access: {claims: {subject: subject, role: role, kids: roles, 'https://example.org/role': role}}}",
		"{foreign: [{algorithm: [ES256, RS256], jwks_url: 'https://a.example/k', audience: a, required_claims: {exp: any, level: 5, email_verified: true}}]}",
	} {
		if _, err := Parse("f.yaml", []byte("carriers: [bearer]\ntokens: "+text), Options{}); err != nil {
			t.Errorf("Parse(%s) = %v, want no fault", text, err)
		}
	}
	if _, err := Parse("f.yaml", []byte("carriers: [session]\nsessions: {idle: .5s, absolute: 400d}"), Options{}); err != nil {
		t.Errorf("sessions of 400 days: %v, want no fault", err)
	}
}

// TestUnfinished: who looks for more gets what could be read, and is told what of it has faults already.
func TestUnfinished(t *testing.T) {
	const text = "carriers: [bearer]\ntokens: {access: {ttl: x, secret: y, algorithm: HS256}, issuer: me}\nrules: [{path: /a, allow: anyone}, {path: /b, allow: anyone, purpose: zzz}]\nroels: 1"
	calls := 0
	_, err := Parse("f.yaml", []byte(text), Options{Unfinished: func(c *Config, sound func(string) bool) {
		calls++
		if c.Tokens.Issuer != "me" || c.Tokens.Access.Secret.Reveal() != "y" {
			t.Errorf("what could be read is not there: %+v", c.Tokens)
		}
		for path, want := range map[string]bool{
			"tokens.access.ttl": false, "tokens.access": false, "tokens": false, "tokens.access.secret": true, "tokens.access.tt": true, "tokens.access.ttl.x": false,
			"tokens.issuer": true, "rules": false, "rules[0]": true, "rules[1]": false, "rules[1].path": true, "rules[1].purpose": false, "rules[10]": true, "roles": true, "": false,
		} {
			if sound(path) != want {
				t.Errorf("sound(%q) = %v, want %v", path, !want, want)
			}
		}
	}})
	if err == nil || calls != 1 {
		t.Errorf("Parse = %v after %d calls, want faults and one call", err, calls)
	}
	parsed := func(text string) (calls int) {
		_, _ = Parse("f.yaml", []byte(text), Options{Unfinished: func(*Config, func(string) bool) { calls++ }})
		return calls
	}
	if good, bad := parsed("carriers: [bearer]"), parsed("carriers: ["); good != 0 || bad != 0 {
		t.Errorf("called %d times without a fault, and %d times where nothing could be read, want never", good, bad)
	}
}
