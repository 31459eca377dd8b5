package token_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/token"
)

// TestHeaders: a header that is anything but strict is refused, although the signature is good.
func TestHeaders(t *testing.T) {
	s := newSmith(t, keyring.HS256)
	kid := string(must(json.Marshal(s.key.ID())))
	with := func(more string) string { return `{"alg":"HS256","kid":` + kid + `,"typ":"at+jwt"` + more + `}` }
	for _, tt := range []struct {
		what, head string
		want       error // nil: the token is good
	}{
		{"as our minter writes it", with(""), nil},
		{"white space between everything", " {\t\"alg\" : \"HS256\" ,\r\n \"kid\": " + kid + `, "typ":"at+jwt"} `, nil},
		{"names in escapes", `{"\u0061lg":"HS256","\u006bid":` + kid + `,"typ":"at+\u006Awt"}`, nil},
		{"members that nobody knows", with(`,"x":{"y":[1,null,{"z":true}]}`), nil},

		{"empty", ``, token.ErrInvalid},
		{"an empty object", `{}`, token.ErrInvalid},
		{"an array", `[` + with("") + `]`, token.ErrInvalid},
		{"a text", `"HS256"`, token.ErrInvalid},
		{"null", `null`, token.ErrInvalid},
		{"a byte order mark in front", "\ufeff" + with(""), token.ErrInvalid},
		{"UTF-16", "\xff\xfe{\x00\"\x00a\x00l\x00g\x00\"\x00", token.ErrInvalid},
		{"UTF-16 without a mark", "\x00{\x00}", token.ErrInvalid},
		{"invalid UTF-8 in a member", with(",\"x\":\"\xff\""), token.ErrInvalid},
		{"an encoded surrogate", with(",\"x\":\"\xed\xa0\x80\""), token.ErrInvalid},
		{"half a surrogate pair", with(`,"x":"\ud800"`), token.ErrInvalid},
		{"half a surrogate pair behind an escaped backslash", with(`,"x":"\\ufffd\ud800"`), token.ErrInvalid},
		{"something behind the object", with("") + `{}`, token.ErrInvalid},
		{"NUL behind the object", with("") + "\x00", token.ErrInvalid},
		{"a comment", `{/**/"alg":"HS256","kid":` + kid + `,"typ":"at+jwt"}`, token.ErrInvalid},
		{"a comma too many", with(","), token.ErrInvalid},
		{"single quotes", strings.ReplaceAll(with(""), `"`, `'`), token.ErrInvalid},
		{"cut", strings.TrimSuffix(with(""), "}"), token.ErrInvalid},

		{"alg twice", with(`,"alg":"HS256"`), token.ErrInvalid},
		{"alg twice, once in escapes", with(`,"\u0061lg":"none"`), token.ErrInvalid},
		{"kid twice", with(`,"kid":"other"`), token.ErrInvalid},
		{"typ twice", with(`,"typ":"JWT"`), token.ErrInvalid},
		{"an unknown member twice", with(`,"x":1,"x":2`), token.ErrInvalid},
		{"a nested member twice", with(`,"x":{"y":1,"y":1}`), token.ErrInvalid},
		{"names in other cases are other names", with(`,"ALG":"none","Kid":"x","TYP":"x","Crit":["x"]`), nil},

		{"no alg", `{"kid":` + kid + `,"typ":"at+jwt"}`, token.ErrInvalid},
		{"alg is null", `{"alg":null,"kid":` + kid + `,"typ":"at+jwt"}`, token.ErrInvalid},
		{"alg is empty", `{"alg":"","kid":` + kid + `,"typ":"at+jwt"}`, token.ErrInvalid},
		{"alg is a list", `{"alg":["HS256"],"kid":` + kid + `,"typ":"at+jwt"}`, token.ErrInvalid},
		{"alg with a space", `{"alg":"HS256 ","kid":` + kid + `,"typ":"at+jwt"}`, token.ErrInvalid},
		{"alg in lower case", `{"alg":"hs256","kid":` + kid + `,"typ":"at+jwt"}`, token.ErrInvalid},
		{"alg with NUL", `{"alg":"HS256\u0000","kid":` + kid + `,"typ":"at+jwt"}`, token.ErrInvalid},

		{"no kid", `{"alg":"HS256","typ":"at+jwt"}`, token.ErrInvalid},
		{"kid is empty", `{"alg":"HS256","kid":"","typ":"at+jwt"}`, token.ErrInvalid},
		{"kid is null", `{"alg":"HS256","kid":null,"typ":"at+jwt"}`, token.ErrInvalid},
		{"kid is a number", `{"alg":"HS256","kid":1,"typ":"at+jwt"}`, token.ErrInvalid},
		{"kid is a list", `{"alg":"HS256","kid":[` + kid + `],"typ":"at+jwt"}`, token.ErrInvalid},

		{"crit with what nobody knows", with(`,"crit":["x"],"x":1`), token.ErrInvalid},
		{"crit with a known member", with(`,"crit":["kid"]`), token.ErrInvalid},
		{"crit with what is not there", with(`,"crit":["exp"]`), token.ErrInvalid},
		{"crit with the same twice", with(`,"crit":["x","x"],"x":1`), token.ErrInvalid},
		{"crit is empty", with(`,"crit":[]`), token.ErrInvalid},
		{"crit is null", with(`,"crit":null`), token.ErrInvalid},
		{"crit is a text", with(`,"crit":"b64"`), token.ErrInvalid},
		{"crit in escapes", with(`,"\u0063rit":["x"]`), token.ErrInvalid},
		{"b64 with crit", with(`,"b64":false,"crit":["b64"]`), token.ErrInvalid},
		{"b64 without crit", with(`,"b64":false`), token.ErrInvalid},
		{"b64 that changes nothing", with(`,"b64":true`), token.ErrInvalid},
		{"compressed", with(`,"zip":"DEF"`), token.ErrInvalid},
		{"a URL of keys", with(`,"jku":"http://127.0.0.1:1/"`), token.ErrInvalid},
		{"a URL of certificates", with(`,"x5u":"http://127.0.0.1:1/"`), token.ErrInvalid},
		{"a key", with(`,"jwk":{"kty":"oct","k":"AA"}`), token.ErrInvalid},
		{"a certificate, which nobody looks at", with(`,"x5c":["AA"],"x5t":"AA"`), nil},
	} {
		c, err := s.Verify(t.Context(), forge(t, s.key, tt.head, s.payload()))
		if tt.want != nil {
			refused(t, tt.what, c, err, tt.want)
		} else if err != nil || c.Subject != "jack" {
			t.Errorf("%s: %+v, %v, want jack", tt.what, c, err)
		}
	}
}

// TestTypes: a verifier takes one type, in the spellings that RFC 7515, section 4.1.9, gives it.
func TestTypes(t *testing.T) {
	s := newSmith(t, keyring.HS256)
	verify := func(member string) error {
		head := strings.Replace(s.head(), `,"typ":"at+jwt"`, member, 1)
		_, err := s.Verify(t.Context(), forge(t, s.key, head, s.payload()))
		return err
	}
	for _, typ := range []string{"at+jwt", "AT+JWT", "At+Jwt", "application/at+jwt", "APPLICATION/AT+JWT", "Application/at+JWT"} {
		if err := verify(fmt.Sprintf(`,"typ":%q`, typ)); err != nil {
			t.Errorf("typ %q: %v, want nil", typ, err)
		}
	}
	for _, typ := range []string{"", "JWT", "jwt", "at", "at+jwt ", " at+jwt", "at+jwt;x=y", "at jwt", "at+jws", "application/application/at+jwt", "application/", "text/at+jwt", "application//at+jwt",
		"application/at+jwt/", "refresh+jwt", "verify-email+jwt", "access+jwt", "at+jwt\x00", "at\u200b+jwt", "ａt+jwt", "secevent+jwt", "dpop+jwt", "logout+jwt"} {
		if err := verify(`,"typ":` + string(must(json.Marshal(typ)))); !errors.Is(err, token.ErrPurpose) {
			t.Errorf("typ %q: %v, want ErrPurpose", typ, err)
		}
	}
	for _, member := range []string{"", `,"TYP":"at+jwt"`, `,"cty":"at+jwt"`} {
		if err := verify(member); !errors.Is(err, token.ErrPurpose) {
			t.Errorf("the member %q in place of typ: %v, want ErrPurpose", member, err)
		}
	}
	for _, value := range []string{`null`, `["at+jwt"]`, `1`, `true`, `{}`} {
		if err := verify(`,"typ":` + value); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("typ %s: %v, want ErrInvalid", value, err)
		}
	}
}

// TestTypeNames: letters from elsewhere that become ASCII in lower case make no type of ours.
func TestTypeNames(t *testing.T) {
	for text, want := range map[string]string{
		"JWT": "jwt", "Application/Booking+JWT": "booking+jwt", "application/a/b": "application/a/b", "boo\u212aing+jwt": "boo\u212aing+jwt", "": "", "application/": "",
		"APPLICATION/\u212a": "APPLICATION/\u212a",
	} {
		if got := token.TypeName(text); got != want {
			t.Errorf("typeName(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestForms: what has not three parts of base64url in its only form is no token.
func TestForms(t *testing.T) {
	s := newSmith(t, keyring.HS256)
	good := forge(t, s.key, s.head(), s.payload())
	head, rest, _ := strings.Cut(good, ".")
	body, mac, _ := strings.Cut(rest, ".")
	if _, err := s.Verify(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	protected := fmt.Sprintf(`"protected":%q,"signature":%q`, head, mac)
	for what, text := range map[string]string{
		"nothing": "", "a dot": ".", "two dots": "..", "three dots": "...", "four dots": "....", "one part": head, "two parts": head + "." + body,
		"no header": "." + body + "." + mac, "no payload": head + ".." + mac, "no signature": head + "." + body + ".", "no signature and no dot": head + "." + body,
		"five parts, as a JWE": head + "." + body + "." + mac + ".AA.AA", "five parts, most of them empty": head + "...." + mac, "four parts": good + ".AA", "a dot behind": good + ".", "a dot in front": "." + good,
		"a space behind": good + " ", "a space in front": " " + good, "a line end behind": good + "\n", "a carriage return behind": good + "\r\n", "a line end within": head + ".\n" + body + "." + mac,
		"a tab within": head + ".\t" + body + "." + mac, "NUL behind": good + "\x00", "padding": good + "=", "padding of the payload": head + "." + body + "=." + mac,
		"the word Bearer in front": "Bearer " + good, "quotation marks": `"` + good + `"`, "percent escapes": strings.ReplaceAll(good, ".", "%2E"),
		"plus instead of minus": strings.ReplaceAll(good, "-", "+") + "+", "a full width dot": strings.ReplaceAll(good, ".", "．"), "twice": good + good, "twice with a comma": good + "," + good,
		"bits that mean nothing":           good[:len(good)-1] + string(next(good[len(good)-1])),
		"the flattened JSON serialisation": fmt.Sprintf(`{"payload":%q,%s}`, body, protected),
		"the general JSON serialisation":   fmt.Sprintf(`{"payload":%q,"signatures":[{%s}]}`, body, protected),
		"two signatures":                   fmt.Sprintf(`{"payload":%q,"signatures":[{%s},{%s}]}`, body, protected, protected),
		"a detached payload":               fmt.Sprintf(`{%s}`, protected),
		"an opaque token":                  "gh_access.AAAA",
	} {
		c, err := s.Verify(t.Context(), text)
		refused(t, what, c, err, token.ErrInvalid)
		if errors.Is(err, gatehouse.ErrMalformed) {
			t.Errorf("%s: %v wraps ErrMalformed: it is for headers, and a token that is none is unknown", what, err)
		}
	}
}

// next returns the character of base64url that stands for one more than c.
func next(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[(strings.IndexByte(alphabet, c)+1)%len(alphabet)]
}

// TestEveryByteAtEveryPlace: no byte can be put into a token, whichever and wherever.
func TestEveryByteAtEveryPlace(t *testing.T) {
	s := newSmith(t, keyring.HS256)
	good := forge(t, s.key, s.head(), s.payload())
	buffer := make([]byte, len(good)+1)
	for at := range len(good) + 1 {
		copy(buffer, good[:at])
		copy(buffer[at+1:], good[at:])
		for b := range 256 {
			buffer[at] = byte(b)
			if _, err := s.Verify(t.Context(), string(buffer)); !errors.Is(err, token.ErrInvalid) {
				t.Fatalf("with byte %#x at %d: %v, want ErrInvalid", b, at, err)
			}
		}
	}
}

func must[V any](value V, err error) V {
	if err != nil {
		panic(err)
	}
	return value
}
