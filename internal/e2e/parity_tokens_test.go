package e2e

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/gatehousetest"
	"github.com/gatehouse-auth/gatehouse/token"
)

// A parityIssuer makes the tokens of a table in testdata/parity.yaml.
type parityIssuer struct {
	*gatehousetest.Issuer
	ahead atomic.Int64 // of the real time
}

func newParityIssuer(t *testing.T) *parityIssuer {
	t.Helper()
	i := &parityIssuer{}
	now := func() time.Time { return time.Now().Add(time.Duration(i.ahead.Load())) }
	i.Issuer = gatehousetest.NewIssuer(t, now, token.Purpose{Name: "refresh"}, token.Purpose{Name: "download", Form: token.Opaque}, token.Purpose{Name: "window", Delay: 30 * time.Minute})
	return i
}

// of returns a token of somebody: a good access token, or what stands behind the name.
func (i *parityIssuer) of(t *testing.T, people map[string]person, text string) string {
	t.Helper()
	name, kind, _ := strings.Cut(text, " ")
	if people[name].Token == "" {
		t.Fatalf("nobody is called %q", name)
	}
	c := token.Claims{Subject: name, Roles: people[name].Roles, Scopes: people[name].Scopes}
	switch kind {
	case "refresh", "download", "window":
		c.Purpose = kind
	case "expired":
		return i.at(t, -2*time.Hour, c)
	case "from the future":
		return i.at(t, 2*time.Hour, c)
	}
	made := i.Token(t, c)
	switch kind {
	case "revoked":
		return i.end(t, made, func(says part) error {
			return i.Revocations.RevokeToken(t.Context(), says["jti"].(string), time.Now().Add(time.Hour))
		})
	case "logged out":
		return i.end(t, made, func(says part) error {
			return i.Revocations.RevokeSession(t.Context(), says["sid"].(string), time.Now().Add(time.Hour))
		})
	case "removed":
		return i.end(t, made, func(says part) error { return i.Revocations.RevokeSubject(t.Context(), says["sub"].(string)) })
	case "changed":
		signed, signature, _ := cutLast(made, ".")
		return signed + "." + strings.Repeat("A", len(signature))
	case "cut":
		return made[:len(made)-1]
	case "unsigned":
		_, claims, _ := strings.Cut(made, ".")
		signed, _, _ := cutLast(claims, ".")
		return encode([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + signed + "."
	case "", "refresh", "download", "window":
		return made
	}
	t.Fatalf("%q is no token", text)
	return ""
}

// at makes a token at another time.
func (i *parityIssuer) at(t *testing.T, d time.Duration, c token.Claims) string {
	t.Helper()
	i.ahead.Store(int64(d))
	defer i.ahead.Store(0)
	return i.Token(t, c)
}

// end ends a token and returns it.
func (i *parityIssuer) end(t *testing.T, made string, revoke func(says part) error) string {
	t.Helper()
	if err := revoke(claimsOf(t, made)); err != nil {
		t.Fatal(err)
	}
	return made
}

// lose lets the table's revocations have been unknown for as long as it says, until find.
func (table parityTable) lose(t *testing.T) {
	t.Helper()
	if d := parityTime(t, table.Lost); d != 0 {
		table.issuer.Revocations.Lose(true)
		table.issuer.ahead.Store(int64(d))
	}
}

func (i *parityIssuer) find() {
	if i != nil {
		i.ahead.Store(0)
		i.Revocations.Lose(false)
	}
}

// parityTime reads a time; nothing is none.
func parityTime(t *testing.T, text string) time.Duration {
	t.Helper()
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
