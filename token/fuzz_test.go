package token_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// FuzzParse: whatever comes, taking it apart never panics, and what is taken has one form only and is a JWS to go-jose as well.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "..", "a.b.c", rfc7515HS256, rfc7515RS256, rfc7515ES256, rfc7515None, rfc7515General, rfc7515Flattened, strings.Repeat(".", 9000)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		algorithm, _, kid, payload, err := token.ParseJWS(text)
		if err != nil {
			if !errors.Is(err, token.ErrInvalid) {
				t.Fatalf("ParseJWS(%q) = %v, want ErrInvalid", text, err)
			}
			return
		}
		parts := strings.Split(text, ".")
		if len(parts) != 3 || len(text) > token.MaxSize || algorithm == "" || b64.EncodeToString([]byte(payload)) != parts[1] {
			t.Fatalf("ParseJWS(%q) = %q, %q, %q: not its only form", text, algorithm, kid, payload)
		}
		if _, err := token.ReadJSON(string(must(b64.DecodeString(parts[0])))); err != nil {
			t.Fatalf("ParseJWS(%q) takes a header that is no strict JSON", text)
		}
	})
}

// FuzzJSON: what is read as JSON, everybody else reads alike.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{`{}`, `{"a":[1,-2.5e3,"\ud83d\ude00",null,true,{"b":{}}]}`, `{"a":"\\ufffd\ud800"}`, `{"a":1,"\u0061":2}`, "\ufeff{}", `{"n":9007199254740993}`, `{"a":1e400}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { agrees(t, text) })
}

// FuzzClaims: whatever a payload is, reading it never panics, and what comes out can be written and means the same again.
func FuzzClaims(f *testing.F) {
	for _, payload := range []string{`{}`, `{"iss":"i","aud":["a","b"],"sub":"s","jti":"j","sid":"x","iat":1,"exp":2.5,"scope":"a b","roles":"r","email":"e","email_verified":true,"x":{"y":[1e3]}}`,
		`{"exp":1e400}`, `{"aud":[]}`, `{"scope":"a","scp":["b"]}`, `{"n":-9007199254740993}`} {
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		c, err := token.ParseClaims(payload)
		if err != nil {
			if !errors.Is(err, token.ErrInvalid) || c.Subject != "" || c.Custom != nil {
				t.Fatalf("ParseClaims(%q) = %+v, %v, want nothing and ErrInvalid", payload, c, err)
			}
			return
		}
		for _, at := range []time.Time{c.IssuedAt, c.ExpiresAt, c.NotBefore, c.AuthTime} {
			if !at.IsZero() && (at.Unix() < 0 || at.Unix() > token.LatestDate) {
				t.Fatalf("ParseClaims(%q) has the time %v", payload, at)
			}
		}
		if c.Email != "" && !strings.Contains(payload, "true") {
			t.Fatalf("ParseClaims(%q) vouches for %q", payload, c.Email)
		}
		written, err := token.Payload(c)
		if err != nil {
			return // names that are not ours, such as an audience that is missing
		}
		again, err := token.ParseClaims(string(written))
		if err != nil || again.Subject != c.Subject || again.ID != c.ID || len(again.Custom) != len(c.Custom) || again.ExpiresAt.Unix() != max(c.ExpiresAt.Unix(), again.ExpiresAt.Unix()) {
			t.Fatalf("ParseClaims(%q) = %+v, written %s and read again %+v, %v", payload, c, written, again, err)
		}
	})
}

// FuzzVerify: nothing passes but the one token that was made, and that in one verifier only.
func FuzzVerify(f *testing.F) {
	c := noon()
	key := must(keyring.Secret(keyring.HS256, "hex:"+strings.Repeat("0123456789abcdef", 4), false)) // every worker has the same
	ring := must(keyring.Static("access", key))
	s := &smith{TB: f, clock: c, ring: ring, key: key}
	good := forge(f, key, s.head(), s.payload())
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(forge(f, key, `{"alg":"HS256"}`, s.payload()))
	f.Add(forge(f, key, s.head(), s.payload("exp", "1")))
	own := verifierOf(f, token.VerifierConfig{Purpose: access(), Ring: ring, Now: c.now})
	invite := token.Invite()
	invite.Form, invite.MaxUses, invite.Audience = token.JWT, 0, audience
	other := verifierOf(f, token.VerifierConfig{Purpose: invite, Ring: ring, Now: c.now})
	foreign := must(token.NewForeign(token.ForeignConfig{Algorithms: []keyring.Algorithm{keyring.HS256}, Keys: ring, Issuer: "https://other.example", Revocations: revoke.None, Now: c.now}))
	f.Fuzz(func(t *testing.T, text string) {
		for _, v := range []*token.Verifier{own, other, foreign} {
			claims, err := v.Verify(t.Context(), text)
			if (err == nil) != (v == own && text == good) {
				t.Fatalf("Verify(%q) = %+v, %v", text, claims, err)
			}
			if err != nil && (!errors.Is(err, gatehouse.ErrCredential) || claims.Subject != "") {
				t.Fatalf("Verify(%q) = %+v, %v, want nothing and an error that wraps ErrCredential", text, claims, err)
			}
		}
	})
}

// FuzzOpaque: no text but a token's own has its form and its checksum, however it begins.
func FuzzOpaque(f *testing.F) {
	store, ticket := memory.Tokens(), token.Purpose{Name: "ticket", Form: token.Opaque, TTL: time.Hour, Audience: audience}
	text, _ := mint(f, minterOf(f, token.MinterConfig{Purpose: ticket, Store: store}))
	v := verifierOf(f, token.VerifierConfig{Purpose: ticket, Store: store})
	f.Add(text)
	f.Add("gh_ticket." + strings.Repeat("A", 48))
	f.Add(strings.Replace(text, "ticket", "other", 1))
	f.Fuzz(func(t *testing.T, other string) {
		if _, err := v.Verify(t.Context(), other); (err == nil) != (other == text) || err != nil && !errors.Is(err, token.ErrInvalid) {
			t.Fatalf("Verify(%q) = %v", other, err)
		}
	})
}

// FuzzKeySet: whatever an issuer publishes, fetching it never panics, and no token passes that was not signed with a key of it.
func FuzzKeySet(f *testing.F) {
	k := twins()[keyring.ES256]
	good := `{"keys":[` + string(must(k.ours.JWK())) + `]}`
	c := noon()
	text := forge(f, k.ours, `{"alg":"ES256","kid":"`+k.ours.ID()+`"}`, `{"sub":"jack","exp":9999999999}`)
	for _, set := range []string{good, `{"keys":[]}`, `{}`, `[]`, ``, `null`, `<html>`, `{"keys":[{"kty":"oct","k":"AAAA","alg":"HS256"}]}`, `{"keys":[{"kty":"RSA","n":"AA","e":"AQAB"}]}`, `{"keys":null}`, good + good} {
		f.Add(set, "max-age=60")
	}
	f.Fuzz(func(t *testing.T, set, cache string) {
		transport := roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Status: "200 OK", Header: http.Header{"Cache-Control": {cache}}, Body: io.NopCloser(strings.NewReader(set))}, nil
		})
		v, err := token.NewForeign(token.ForeignConfig{Algorithms: []keyring.Algorithm{keyring.ES256, keyring.RS256}, JWKSURL: "https://issuer.example/keys", Transport: transport,
			Revocations: revoke.None, Now: c.now, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(t.Context(), text); err == nil && !strings.Contains(set, `"kty"`) {
			t.Fatalf("with the keys %q a token passes", set)
		}
		if _, err := v.Verify(t.Context(), text[:len(text)-4]+"AAAA"); err == nil {
			t.Fatalf("with the keys %q a token passes that nobody has signed", set)
		}
	})
}

// A roundTrip answers requests.
type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements [http.RoundTripper].
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
