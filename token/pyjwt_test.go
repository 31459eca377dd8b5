package token_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

// A pyjwt is what testdata/pyjwt/tokens.py prints.
type pyjwt struct {
	Now     int64
	Secrets map[string]string
	Tokens  map[string]string
	Pairs   map[keyring.Algorithm]struct{ Public, Token, Named string }
}

// python is Debian's, which finds Debian's PyJWT; another one that comes first may not.
const python = "/usr/bin/python3"

// newPyJWT makes tokens with PyJWT now.
func newPyJWT(t *testing.T, now time.Time) pyjwt {
	t.Helper()
	if err := exec.Command(python, "-c", "import jwt").Run(); err != nil {
		if os.Getenv("GATEHOUSE_TEST_SERVERS") == "1" {
			t.Fatalf("PyJWT is not installed, and GATEHOUSE_TEST_SERVERS=1 demands it: %v", err)
		}
		t.Skip("PyJWT (python3-jwt) is not installed")
	}
	text, err := exec.CommandContext(t.Context(), python, "testdata/pyjwt/tokens.py", fmt.Sprint(now.Unix())).Output()
	if err != nil {
		t.Fatal(err)
	}
	return readPyJWT(t, text)
}

func readPyJWT(t *testing.T, text []byte) pyjwt {
	t.Helper()
	var p pyjwt
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPyJWTSamples: tokens that PyJWT has made once, in the shapes of three programs, pass under their profile and under no other.
func TestPyJWTSamples(t *testing.T) {
	p := readPyJWT(t, must(os.ReadFile("testdata/pyjwt/tokens.json")))
	p.check(t, time.Unix(p.Now, 0))
	if len(p.Pairs) != 4 {
		t.Errorf("there are samples of %d key pairs, want 4", len(p.Pairs))
	}
}

// TestPyJWT: and so do those that the installed PyJWT makes now.
func TestPyJWT(t *testing.T) {
	now := time.Now()
	newPyJWT(t, now).check(t, now)
}

// profiles are those that the three programs' tokens need.
func (p pyjwt) profiles(t *testing.T, now time.Time) map[string]*token.Verifier {
	t.Helper()
	made := map[string]*token.Verifier{}
	for name, c := range map[string]token.ForeignConfig{
		"login":          {SubjectClaim: "login"},
		"username":       {SubjectClaim: "username"},
		"access":         {SubjectClaim: "user_id", RoleClaim: "access_role", Issuer: "fathat.org", Required: map[string]any{"standard_claim": true}},
		"plain login":    {},
		"plain username": {},
	} {
		secret := p.Secrets[strings.TrimPrefix(name, "plain ")]
		c.Algorithms, c.Keys = []keyring.Algorithm{keyring.HS256}, must(keyring.Static(name, must(keyring.Secret(keyring.HS256, secret, false))))
		c.Revocations, c.Now = revoke.None, func() time.Time { return now }
		made[name] = must(token.NewForeign(c))
	}
	for name, secret := range p.Secrets { // where there is no profile, the secret alone opens nothing
		ring := must(keyring.Static("access", must(keyring.Secret(keyring.HS256, secret, false))))
		made["our own with the secret of "+name] = verifierOf(t, token.VerifierConfig{Issuer: "fathat.org", Purpose: access(), Ring: ring, Now: func() time.Time { return now }})
	}
	return made
}

func (p pyjwt) check(t *testing.T, now time.Time) {
	t.Helper()
	type good struct{ profile, subject, role string }
	want := map[string][]good{
		"login": {{"login", "Andrew", ""}}, "login without login": {{"plain login", "Andrew", ""}}, "username": {{"username", "jacky", ""}}, "username in Chinese": {{"username", "你好世界", ""}},
		"access": {{"access", "7", "basic"}}, "access with a text": {{"access", "seven", "basic"}}, "access of an admin": {{"access", "7", "admin"}},
	}
	for name, v := range p.profiles(t, now) {
		for made, text := range p.Tokens {
			id, err := v.Identity(t.Context(), text)
			i := slices.IndexFunc(want[made], func(g good) bool { return g.profile == name })
			switch {
			case i < 0 && (!errors.Is(err, gatehouse.ErrCredential) || id.Value != ""):
				t.Errorf("the token %q under the profile %q: %q, %v, want an error that wraps ErrCredential", made, name, id.Value, err)
			case i >= 0 && (err != nil || id.Value != want[made][i].subject || id.Purpose != token.PurposeAccess || !slices.Equal(id.Roles, rolesIn(want[made][i].role))):
				t.Errorf("the token %q under the profile %q: %+v, %v, want %+v", made, name, id, err, want[made][i])
			}
		}
	}
	for a, pair := range p.Pairs {
		key, err := keyring.ParsePEM(a, []byte(pair.Public))
		if err != nil {
			t.Fatal(err)
		}
		v := must(token.NewForeign(token.ForeignConfig{Algorithms: []keyring.Algorithm{a}, Keys: must(keyring.Static("other", key)), Issuer: "https://other.example", Audience: audience, Revocations: revoke.None,
			Now: func() time.Time { return now }}))
		for _, text := range []string{pair.Token, pair.Named} {
			if c, err := v.Verify(t.Context(), text); err != nil || c.Subject != "jack" {
				t.Errorf("%s: %+v, %v, want jack's", a, c, err)
			}
		}
	}
}

func rolesIn(role string) []string {
	if role == "" {
		return nil
	}
	return []string{role}
}
