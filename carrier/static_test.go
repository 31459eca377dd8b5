package carrier_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
)

func static(t *testing.T, tokens ...carrier.StaticToken) *carrier.Static {
	t.Helper()
	s, err := carrier.NewStatic(tokens)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStaticLookup: one token is known, one is switched off, and whatever only resembles them is unknown.
func TestStaticLookup(t *testing.T) {
	s := static(t,
		carrier.StaticToken{Name: "one", Hash: carrier.HashToken("token1"), Owner: "jack", Roles: []string{"basic"}},
		carrier.StaticToken{Name: "two", Hash: carrier.HashToken("token2"), Off: true},
		carrier.StaticToken{Name: "old", Hash: carrier.HashToken("token3"), Expires: time.Unix(1, 0)},
	)
	for credential, want := range map[string]string{
		"token1": "found", "token3": "found", // expiry is the guard's to judge, by its clock
		"token2": "disabled",
		"":       "bad", "TOKEN1": "bad", "Token1": "bad", "token": "bad", "token11": "bad", "token1 ": "bad", " token1": "bad", "token1\x00": "bad", "token4": "bad",
		"one": "bad", "jack": "bad", carrier.HashToken("token1").String(): "bad", hex.EncodeToString([]byte("token1")): "bad",
		string(hashBytes("token1")): "bad",
	} {
		id, err := s.Lookup(context.Background(), credential)
		if word(err) != want || (err == nil) != (id.Value != "") {
			t.Errorf("Lookup(%q) = %+v, %v, want %s", credential, id, err, want)
		}
	}
	if id, _ := s.Lookup(context.Background(), "token3"); !id.ExpiresAt.Equal(time.Unix(1, 0)) {
		t.Errorf("the expiry of a token is lost: %v", id.ExpiresAt)
	}
	if id, err := static(t).Lookup(context.Background(), ""); err == nil {
		t.Errorf("an empty list knows the empty token: %+v", id)
	}
	if id, err := new(carrier.Static).Lookup(context.Background(), "token1"); err == nil {
		t.Errorf("the zero Static knows a token: %+v", id)
	}
}

func hashBytes(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}

// TestStaticIdentity: an entry is all that its token proves.
func TestStaticIdentity(t *testing.T) {
	expires := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	id := carrier.StaticToken{
		Name: "ci", Owner: "jack", Kind: gatehouse.KindUser, Email: "jack@example.org", Roles: []string{"basic"}, Scopes: []string{"films.read"}, Expires: expires,
	}.Identity()
	if id.Value != "jack" || id.TokenID != "ci" || id.Kind != gatehouse.KindUser || id.Email != "jack@example.org" || !slices.Equal(id.Roles, []string{"basic"}) ||
		!slices.Equal(id.Scopes, []string{"films.read"}) || !id.ExpiresAt.Equal(expires) {
		t.Errorf("Identity() = %+v", id)
	}
	id = carrier.StaticToken{Name: "ci"}.Identity()
	if id.Value != "ci" || id.Kind != gatehouse.KindService || id.Roles != nil || id.Scopes != nil || !id.ExpiresAt.IsZero() {
		t.Errorf("Identity() of a bare token = %+v, want the service ci with no rights", id)
	}
}

func TestNewStaticRefuses(t *testing.T) {
	a, b := carrier.HashToken("a"), carrier.HashToken("b")
	for _, tt := range []struct {
		tokens []carrier.StaticToken
		fault  string
	}{
		{[]carrier.StaticToken{{Hash: a}}, "needs a name"},
		{[]carrier.StaticToken{{Name: "one"}}, "a hash"},
		{[]carrier.StaticToken{{Name: "one", Hash: a}, {}}, "token 2"},
		{[]carrier.StaticToken{{Name: "one", Hash: a}, {Name: "one", Hash: b}}, `two tokens are called "one"`},
		{[]carrier.StaticToken{{Name: "one", Hash: a}, {Name: "two", Hash: a}}, "are the same token"},
		{[]carrier.StaticToken{{Name: "one", Hash: a}, {Name: "two", Hash: a, Off: true}}, "are the same token"},
	} {
		if s, err := carrier.NewStatic(tt.tokens); err == nil || s != nil || !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("NewStatic(%v) = %v, %v, want an error that says %q", tt.tokens, s, err, tt.fault)
		}
	}
}

func TestStaticNames(t *testing.T) {
	s := static(t, carrier.StaticToken{Name: "b", Hash: carrier.HashToken("1")}, carrier.StaticToken{Name: "a", Hash: carrier.HashToken("2"), Off: true})
	if got := s.Names(); !slices.Equal(got, []string{"b", "a"}) {
		t.Errorf("Names() = %q, want the order of the list", got)
	}
	if token, ok := s.ByName("a"); !ok || !token.Off {
		t.Errorf("ByName(a) = %+v, %v", token, ok)
	}
	for _, name := range []string{"", "A", "1", "c"} {
		if token, ok := s.ByName(name); ok {
			t.Errorf("ByName(%q) = %+v, want none", name, token)
		}
	}
}

func TestParseHash(t *testing.T) {
	hash := carrier.HashToken("token1")
	const text = "sha256:df3e6b0bb66ceaadca4f84cbc371fd66e04d20fe51fc414da8d1b84d31d178de"
	if hash.String() != text {
		t.Errorf("HashToken(token1) = %s, want %s", hash, text)
	}
	for _, good := range []string{text, "sha256:" + strings.ToUpper(text[len("sha256:"):])} {
		if got, err := carrier.ParseHash(good); err != nil || got != hash {
			t.Errorf("ParseHash(%q) = %v, %v", good, got, err)
		}
	}
	digits := text[len("sha256:"):]
	for _, bad := range []string{
		"", "sha256:", digits, "SHA256:" + digits, "sha512:" + digits, "sha256" + digits, "sha256: " + digits, " " + text, text + " ", text + "\n",
		text[:len(text)-1], text[:len(text)-2], text + "0", text + "00", strings.Replace(text, "df", "zz", 1), "sha256:" + strings.Repeat("ü", 32), "token1", "$argon2id$v=19",
		"sha256:sha256:" + digits,
	} {
		if got, err := carrier.ParseHash(bad); err == nil || got != (carrier.Hash{}) || !strings.Contains(err.Error(), "64 hexadecimal digits") {
			t.Errorf("ParseHash(%q) = %v, %v, want an error that shows the form", bad, got, err)
		} else if len(bad) > 20 && strings.Contains(err.Error(), bad) {
			t.Errorf("the error for %q repeats what may be a clear token: %v", bad, err)
		}
	}
}

// TestNewToken: 256 bits, in a form that a scanner recognises and every header carrier takes, printed by nobody.
func TestNewToken(t *testing.T) {
	form, seen := regexp.MustCompile(`^gh_key_[A-Z2-7]{52}$`), map[string]bool{}
	counts := map[byte]int{}
	const n = 2000
	for range n {
		secret := carrier.NewToken()
		text := secret.Reveal()
		if !form.MatchString(text) || seen[text] {
			t.Fatalf("NewToken made %q, want a new one of the form %v", text, form)
		}
		seen[text] = true
		for i := len("gh_key_"); i < len(text); i++ {
			counts[text[i]]++
		}
		if printed := fmt.Sprintf("%v %+v %#v %s", secret, secret, secret, secret); strings.Contains(printed, text) {
			t.Fatal("a new token can be printed")
		}
	}
	// 5 bits a character: each of 32 is drawn 3,250 times, give or take six standard deviations.
	for c, got := range counts {
		if want := n * 52 / 32; len(counts) != 32 || got < want-340 || got > want+340 {
			t.Errorf("%q stands there %d times of %d different ones, want about %d of 32", c, got, len(counts), want)
		}
	}
	secret := carrier.NewToken().Reveal()
	s := static(t, carrier.StaticToken{Name: "new", Hash: carrier.HashToken(secret)})
	if id, err := carrier.Header("Bearer", s.Lookup).Identify(request("Authorization", "Bearer "+secret)); err != nil || id.Value != "new" {
		t.Errorf("a new token in a header = %+v, %v", id, err)
	}
}

// TestHashToken is SHA-256 for tokens of every length.
func TestHashToken(t *testing.T) {
	for _, n := range []int{0, 1, 31, 32, 33, 59, 127, 128, 129, 1000, 8 << 10} {
		token := strings.Repeat("t", n)
		if got := carrier.HashToken(token); got != sha256.Sum256([]byte(token)) {
			t.Errorf("HashToken of %d bytes is not their SHA-256", n)
		}
	}
}
