package token_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/token"
)

// TestRequiredClaims: each claim of our own tokens must be there, say something, and be of its type.
func TestRequiredClaims(t *testing.T) {
	s := newSmith(t, keyring.HS256)
	if c, err := s.says(); err != nil || c.Subject != "jack" {
		t.Fatalf("a good token: %+v, %v, want jack", c, err)
	}
	for claim, want := range map[string]error{"iss": token.ErrIssuer, "aud": token.ErrAudience, "sub": token.ErrInvalid, "jti": token.ErrInvalid, "sid": token.ErrInvalid, "iat": token.ErrInvalid,
		"exp": token.ErrInvalid} {
		c, err := s.says(claim, "")
		refused(t, "without "+claim, c, err, want)
		for _, value := range []string{`null`, `{}`, `true`, `[null]`, `[[]]`, `[1]`, `{"x":1}`} {
			c, err := s.says(claim, value)
			refused(t, claim+" is "+value, c, err, token.ErrInvalid)
		}
		for _, twin := range []string{fmt.Sprintf(`%q:"x",`, claim), fmt.Sprintf(`"\u%04x%s":1,`, claim[0], claim[1:])} {
			payload := strings.Replace(s.payload(), "{", "{"+twin, 1)
			c, err := s.Verify(t.Context(), forge(t, s.key, s.head(), payload))
			refused(t, claim+" twice: "+twin, c, err, token.ErrInvalid)
		}
		c, err = s.says(claim, "", strings.ToUpper(claim), `"x"`)
		refused(t, claim+" in capitals only", c, err, want)
	}
	for _, claim := range []string{"sub", "jti", "sid"} {
		for _, value := range []string{`""`, `0`, `["jack"]`} {
			c, err := s.says(claim, value)
			refused(t, claim+" is "+value, c, err, token.ErrInvalid)
		}
	}
}

// TestIssuers: the issuer is compared to the letter.
func TestIssuers(t *testing.T) {
	s := newSmith(t, keyring.HS256)
	for _, iss := range []string{"", "evil", "https://gate.example/", "https://gate.example.evil.example", "https://GATE.example", "http://gate.example", "gate.example", issuer + "\x00", issuer + " ", "https://gate.exampl"} {
		c, err := s.says("iss", string(must(json.Marshal(iss))))
		refused(t, fmt.Sprintf("iss is %q", iss), c, err, token.ErrIssuer)
	}
	c, err := s.says("iss", `["`+issuer+`"]`)
	refused(t, "iss is a list", c, err, token.ErrInvalid)
}

// TestAudiences: one of the audience's names must be ours, to the letter.
func TestAudiences(t *testing.T) {
	s := newSmith(t, keyring.HS256)
	ours := `"` + audience[0] + `"`
	for _, aud := range []string{ours, `[` + ours + `]`, `["https://other.example",` + ours + `]`, `[` + ours + `,` + ours + `]`, `"https:\/\/app.ex\u0061mple"`} {
		if _, err := s.says("aud", aud); err != nil {
			t.Errorf("aud %s: %v, want nil", aud, err)
		}
	}
	for _, aud := range []string{`"https://other.example"`, `["https://other.example"]`, `""`, `[""]`, `["",""]`, `"https://app.example/"`, `"https://app.exampl"`, `"https://app.example.evil.example"`, `"HTTPS://APP.EXAMPLE"`,
		`"app.example"`, `" https://app.example"`, `"https://app.example "`, `"https://app.example https://other.example"`, `"https://app.example,https://other.example"`, `"*"`, `["*"]`, `"https://app.example\u0000"`} {
		c, err := s.says("aud", aud)
		refused(t, "aud "+aud, c, err, token.ErrAudience)
	}
	for _, aud := range []string{`[]`, `null`, `true`, `1`, `{}`, `{"0":` + ours + `}`, `[[` + ours + `]]`, `[` + ours + `,null]`, `[` + ours + `,1]`, `[{}]`} {
		c, err := s.says("aud", aud)
		refused(t, "aud "+aud, c, err, token.ErrInvalid)
	}
}

// TestTimes: a date is a number of seconds that is not negative, and the token's time is between them, with the leeway.
func TestTimes(t *testing.T) {
	s := newSmith(t, keyring.HS256)
	at := func(d time.Duration) string { return fmt.Sprint(s.Add(d).Unix()) }
	for _, tt := range []struct {
		claim, value string
		want         error
	}{
		{"exp", at(time.Second), nil},
		{"exp", at(time.Second) + ".75", nil},
		{"exp", at(time.Second) + "e0", nil},
		{"exp", fmt.Sprintf("%.12fe9", float64(s.Add(time.Hour).Unix())/1e9), nil},
		{"exp", "253402300799", nil}, // the last second of the year 9999
		{"exp", at(-29 * time.Second), nil},
		{"exp", at(-30 * time.Second), token.ErrExpired},
		{"exp", at(-31*time.Second) + ".999", token.ErrExpired},
		{"exp", at(-time.Hour), token.ErrExpired},
		{"exp", "0", token.ErrExpired},
		{"exp", "1", token.ErrExpired},
		{"exp", "1e-400", token.ErrExpired},
		{"exp", "0.5", token.ErrExpired},
		{"exp", "-1", token.ErrInvalid},
		{"exp", "-0", token.ErrInvalid},
		{"exp", "-9223372036854775808", token.ErrInvalid},
		{"exp", "253402300800", token.ErrInvalid},
		{"exp", "9007199254740993", token.ErrInvalid}, // 2^53+1
		{"exp", "9223372036854775807", token.ErrInvalid},
		{"exp", "9223372036854775808", token.ErrInvalid},
		{"exp", "18446744073709551617", token.ErrInvalid},
		{"exp", "1e300", token.ErrInvalid},
		{"exp", "1e400", token.ErrInvalid},
		{"exp", strings.Repeat("9", 400), token.ErrInvalid},
		{"exp", "NaN", token.ErrInvalid},
		{"exp", "Infinity", token.ErrInvalid},
		{"exp", "0x7fffffff", token.ErrInvalid},
		{"exp", "+1", token.ErrInvalid},
		{"exp", "01", token.ErrInvalid},
		{"exp", "1.", token.ErrInvalid},
		{"exp", ".5", token.ErrInvalid},
		{"exp", "1e", token.ErrInvalid},
		{"exp", "1_000", token.ErrInvalid},
		{"exp", `"` + at(time.Hour) + `"`, token.ErrInvalid},
		{"exp", `"2099-01-01T00:00:00Z"`, token.ErrInvalid},
		{"exp", `[` + at(time.Hour) + `]`, token.ErrInvalid},
		{"exp", `true`, token.ErrInvalid},
		{"exp", `null`, token.ErrInvalid},

		{"nbf", at(0), nil},
		{"nbf", "0", nil},
		{"nbf", at(30 * time.Second), nil},
		{"nbf", at(31 * time.Second), token.ErrNotYet},
		{"nbf", at(time.Hour), token.ErrNotYet},
		{"nbf", "-1", token.ErrInvalid},
		{"nbf", `"0"`, token.ErrInvalid},
		{"nbf", `null`, token.ErrInvalid},
		{"nbf", `false`, token.ErrInvalid},
		{"nbf", "1e400", token.ErrInvalid},

		{"iat", at(-10 * time.Hour), nil},
		{"iat", at(30 * time.Second), nil},
		{"iat", at(31 * time.Second), token.ErrNotYet},
		{"iat", "253402300799", token.ErrNotYet},
		{"iat", "-1", token.ErrInvalid},
		{"iat", `"0"`, token.ErrInvalid},
		{"iat", "1e400", token.ErrInvalid},

		{"auth_time", at(-time.Hour), nil},
		{"auth_time", `"yesterday"`, token.ErrInvalid},
		{"auth_time", "-1", token.ErrInvalid},
	} {
		c, err := s.says(tt.claim, tt.value)
		if tt.want != nil {
			refused(t, tt.claim+" "+tt.value, c, err, tt.want)
		} else if err != nil {
			t.Errorf("%s %s: %v, want nil", tt.claim, tt.value, err)
		}
	}
}

// TestLeeway: how far the clocks may be apart can be said, and that they may not.
func TestLeeway(t *testing.T) {
	c := noon()
	ring := ringOf(t, "access", keyring.HS256)
	text, _ := mint(t, minterOf(t, token.MinterConfig{Purpose: access(), Ring: ring, Now: c.now}))
	for leeway, accepted := range map[time.Duration]time.Duration{0: 30 * time.Second, -1: 0, -time.Hour: 0, 5 * time.Second: 5 * time.Second, time.Minute: time.Minute} {
		later := &clock{c.Add(token.Access().TTL + accepted - time.Second)}
		v := verifierOf(t, token.VerifierConfig{Purpose: access(), Ring: ring, Leeway: leeway, Now: later.now})
		if _, err := v.Verify(t.Context(), text); err != nil {
			t.Errorf("leeway %v, %v after exp: %v, want nil", leeway, accepted-time.Second, err)
		}
		later.pass(time.Second)
		got, err := v.Verify(t.Context(), text)
		refused(t, fmt.Sprintf("leeway %v, %v after exp", leeway, accepted), got, err, token.ErrExpired)
	}
}

// TestOtherClaims: what a verifier makes of claims that need not be there.
func TestOtherClaims(t *testing.T) {
	s := newSmith(t, keyring.HS256)
	for _, tt := range []struct {
		claim, value string
		want         func(token.Claims) any
		is           any // nil: refused
	}{
		{"scope", `"films.read films.write"`, scopes, []string{"films.read", "films.write"}},
		{"scope", `" films.read  films.write "`, scopes, []string{"films.read", "films.write"}},
		{"scope", `""`, scopes, []string{}},
		{"scope", `["a","b"]`, scopes, []string{"a", "b"}},
		{"scp", `["a","b"]`, scopes, []string{"a", "b"}},
		{"scope", `"films.read\u00a0admin"`, scopes, []string{"films.read\u00a0admin"}}, // no space of RFC 6749
		{"scope", `"films.read\tadmin"`, scopes, []string{"films.read\tadmin"}},
		{"scope", `1`, nil, nil},
		{"scope", `null`, nil, nil},
		{"scope", `["a",null]`, nil, nil},
		{"scope", `{"a":true}`, nil, nil},
		{"roles", `["admin","basic"]`, roles, []string{"admin", "basic"}},
		{"roles", `"admin"`, roles, []string{"admin"}},
		{"roles", `[]`, roles, []string{}},
		{"roles", `[["admin"]]`, nil, nil},
		{"roles", `null`, nil, nil},
		{"roles", `{"admin":true}`, nil, nil},
		{"amr", `["pwd","otp"]`, func(c token.Claims) any { return c.Methods }, []string{"pwd", "otp"}},
		{"amr", `[1]`, nil, nil},
		{"client_id", `"reports"`, func(c token.Claims) any { return c.Client }, "reports"},
		{"client_id", `7`, nil, nil},
		{"email", `"jack@example.org"`, func(c token.Claims) any { return c.Email }, ""}, // nobody vouches for it
		{"email", `null`, nil, nil},
		{"email", `["jack@example.org"]`, nil, nil},
	} {
		c, err := s.says(tt.claim, tt.value)
		if tt.is == nil {
			refused(t, tt.claim+" "+tt.value, c, err, token.ErrInvalid)
			continue
		}
		if err != nil || cmp.Diff(tt.is, tt.want(c)) != "" {
			t.Errorf("%s %s: %v, %v, want %v", tt.claim, tt.value, tt.want(c), err, tt.is)
		}
	}
}

func scopes(c token.Claims) any { return c.Scopes }
func roles(c token.Claims) any  { return c.Roles }

// TestEmailMustBeVerified: an address counts only where the issuer vouches for it, with the boolean true.
func TestEmailMustBeVerified(t *testing.T) {
	s := newSmith(t, keyring.HS256)
	for verified, want := range map[string]string{`true`: "jack@example.org", `false`: "", `"true"`: "", `1`: "", `null`: "", `[true]`: "", ``: ""} {
		for _, changes := range [][]string{{"email", `"jack@example.org"`, "email_verified", verified}, {"email_verified", verified, "email", `"jack@example.org"`}} {
			if c, err := s.says(changes...); err != nil || c.Email != want {
				t.Errorf("email_verified %s: %q, %v, want %q", verified, c.Email, err, want)
			}
		}
	}
}

// TestTwoNamesOfScope: scope and scp say the same or the token says nothing, whichever comes last.
func TestTwoNamesOfScope(t *testing.T) {
	s := newSmith(t, keyring.HS256)
	if c, err := s.says("scope", `"a b"`, "scp", `["a","b"]`); err != nil || cmp.Diff([]string{"a", "b"}, c.Scopes) != "" {
		t.Errorf("scope and scp with the same: %v, %v, want a and b", c.Scopes, err)
	}
	for _, changes := range [][]string{{"scope", `"a"`, "scp", `["a","admin"]`}, {"scp", `["a","admin"]`, "scope", `"a"`}, {"scope", `""`, "scp", `["admin"]`}} {
		c, err := s.says(changes...)
		refused(t, fmt.Sprint(changes), c, err, token.ErrInvalid)
	}
}

// TestCustomClaims: further claims come out as they went in, numbers that a float64 cannot hold included.
func TestCustomClaims(t *testing.T) {
	s := newSmith(t, keyring.HS256)
	c, err := s.says("tier", `"gold"`, "n", `7`, "half", `0.5`, "big", `9007199254740993`, "even", `9007199254740994`, "huge", `123456789012345678901234567890`, "minus", `-9007199254740993`,
		"deep", `{"ids":[9007199254740993,1],"null":null,"yes":true}`, "ünï", `"\u00fc\ud83d\ude00\n"`, "", `1`, "Sub", `"x"`)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"tier": "gold", "n": 7.0, "half": 0.5, "big": json.Number("9007199254740993"), "even": 9007199254740994.0, "huge": json.Number("123456789012345678901234567890"),
		"minus": json.Number("-9007199254740993"), "deep": map[string]any{"ids": []any{json.Number("9007199254740993"), 1.0}, "null": nil, "yes": true}, "ünï": "ü😀\n", "": 1.0, "Sub": "x"}
	if diff := cmp.Diff(want, c.Custom); diff != "" {
		t.Error(diff)
	}
	if c.Subject != "jack" {
		t.Errorf("the subject is %q, want jack: Sub is another claim", c.Subject)
	}
	for _, value := range []string{`1e400`, `-1e400`, `{"x":[1e999]}`} {
		c, err := s.says("x", value)
		refused(t, "a claim of "+value, c, err, token.ErrInvalid)
	}
}

// TestReservedClaims: what a program sets beside cannot become a claim that means something, in no case.
func TestReservedClaims(t *testing.T) {
	m := minterOf(t, token.MinterConfig{Purpose: access(), Ring: ringOf(t, "access", keyring.HS256)})
	for _, name := range []string{"iss", "aud", "sub", "jti", "sid", "iat", "exp", "nbf", "typ", "kid", "alg", "client_id", "scope", "scp", "roles", "email", "email_verified", "auth_time", "amr", "acr", "azp",
		"nonce", "cnf", "act", "purpose"} {
		for _, spelled := range []string{name, strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:], strings.Replace(name, "s", "ſ", 1), strings.Replace(name, "k", "\u212a", 1)} {
			got, err := m.Mint(t.Context(), token.Claims{Subject: "jack", Custom: map[string]any{spelled: "mallory"}})
			if err == nil || errors.Is(err, gatehouse.ErrCredential) || !got.Text.IsZero() {
				t.Errorf("Mint with the custom claim %q = %v, want an error that blames the program", spelled, err)
			}
		}
	}
}

// TestTypedClaims: what is written of a type is read as it, to the last digit.
func TestTypedClaims(t *testing.T) {
	type order struct {
		ID     int64             `json:"id"`
		Items  []string          `json:"items"`
		Meta   map[string]uint64 `json:"meta,omitempty"`
		Placed time.Time         `json:"placed"`
		Rate   float64           `json:"rate"`
	}
	m, v := pairOf(t, keyring.HS256)
	rapid.Check(t, func(r *rapid.T) {
		in := order{rapid.Int64().Draw(r, "id"), rapid.SliceOf(rapid.String()).Draw(r, "items"), rapid.MapOf(rapid.String(), rapid.Uint64()).Draw(r, "meta"),
			time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(r, "placed")).UTC(), rapid.Float64().Draw(r, "rate")}
		custom, err := token.CustomOf(in)
		if err != nil {
			r.Fatal(err)
		}
		minted, err := m.Mint(t.Context(), token.Claims{Subject: "jack", Custom: custom})
		if err != nil {
			r.Skip(err) // too large for a token
		}
		c, err := v.Verify(t.Context(), minted.Text.Reveal())
		if err != nil {
			r.Fatal(err)
		}
		out, err := token.As[order](c)
		want := must(json.Marshal(in))
		if err != nil || string(must(json.Marshal(out))) != string(want) {
			r.Fatalf("As = %+v, %v, want %+v", out, err, in)
		}
	})
}

// TestTypedClaimsThatAreNone: what does not fit is an error, and nothing is taken for something of another name.
func TestTypedClaimsThatAreNone(t *testing.T) {
	type seat struct {
		Row   int  `json:"row"`
		Admin bool `json:"admin"`
	}
	for what, custom := range map[string]map[string]any{
		"a text for a number": {"row": "7"}, "a fraction": {"row": 7.5}, "too large": {"row": json.Number("9223372036854775808")},
		"two names that differ in case": {"admin": false, "Admin": true},
	} {
		if got, err := token.As[seat](token.Claims{Custom: custom}); err == nil || got != (seat{}) {
			t.Errorf("%s: As = %+v, %v, want nothing and an error", what, got, err)
		}
	}
	if got, err := token.As[seat](token.Claims{}); err != nil || got != (seat{}) {
		t.Errorf("As of no claims = %+v, %v, want a zero one", got, err)
	}
	for what, value := range map[string]any{"a number": 7, "a list": []int{1}, "nil": nil, "a channel": map[string]any{"c": make(chan int)}} {
		if got, err := token.CustomOf(value); err == nil {
			t.Errorf("CustomOf of %s = %v, want an error", what, got)
		}
	}
}

// TestIdentity: whom a token stands for by itself.
func TestIdentity(t *testing.T) {
	s := newSmith(t, keyring.HS256)
	id, err := s.Identity(t.Context(), forge(t, s.key, s.head(), s.payload("scope", `"a b"`, "roles", `["basic"]`, "email", `"j@example.org"`, "email_verified", "true", "tier", `"gold"`, "amr", `["pwd"]`,
		"auth_time", fmt.Sprint(s.Unix()-60), "client_id", `"app"`)))
	if err != nil {
		t.Fatal(err)
	}
	tier, _ := id.Claim("tier")
	got := fmt.Sprintln(id.Value, id.Kind, id.Session, id.TokenID, id.Purpose, id.Email, id.Roles, id.Scopes, id.Methods, tier, id.AuthTime.Unix() == s.Unix()-60,
		id.IssuedAt.Equal(s.Time), id.ExpiresAt.Equal(s.Add(90*time.Second)))
	if want := "jack user session id access j@example.org [basic] [a b] [pwd] gold true true true\n"; got != want {
		t.Errorf("Identity says %s, want %s", got, want)
	}
	id, err = s.Identity(t.Context(), forge(t, s.key, s.head(), s.payload("client_id", `"jack"`)))
	if err != nil || id.Kind != gatehouse.KindService {
		t.Errorf("Identity of a client's own token is of the kind %q, %v, want a service", id.Kind, err)
	}
}

// pairOf returns a minter of access tokens and its verifier.
func pairOf(t testing.TB, a keyring.Algorithm) (*token.Minter, *token.Verifier) {
	t.Helper()
	ring := ringOf(t, "access", a)
	return minterOf(t, token.MinterConfig{Purpose: access(), Ring: ring}), verifierOf(t, token.VerifierConfig{Purpose: access(), Ring: ring})
}
