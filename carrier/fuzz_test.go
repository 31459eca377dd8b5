package carrier_test

import (
	"context"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
)

// FuzzAuthorization: whatever stands in the header, nothing panics; a look-up is asked for a token that stands there to the letter, at the
// end, behind the scheme and a space; of two schemes one at most finds a credential; and what is not that is refused.
func FuzzAuthorization(f *testing.F) {
	for _, seed := range []string{
		"", "Token", "Token token1", "tOkEn  token1 ", "Bearer a.b.c", "Token\ttoken1", "Token a,b", `Token "a"`, "Token token1 extra", "BearerX token1", "None", "Token \x00",
		"Token " + strings.Repeat("x", 8<<10), "Bearer x, Token y", "Token=token1", "\u0422oken x", "Token \xff", " Token x", "token token", "Token Bearer x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		found := 0
		for _, scheme := range []string{"Token", "Bearer"} {
			var asked []string
			c := carrier.Header(scheme, func(_ context.Context, token string) (gatehouse.Identity, error) {
				asked = append(asked, token)
				return gatehouse.Identity{Value: "jack"}, nil
			})
			id, err := c.Identify(request("Authorization", value))
			if (err == nil) != (len(asked) == 1) || (err == nil) != (id.Value == "jack") {
				t.Fatalf("%q as %s: %q looked up, %v, %v", value, scheme, asked, id, err)
			}
			if err != nil && word(err) == "unchecked" {
				t.Fatalf("%q as %s: %v is nobody's fault", value, scheme, err)
			}
			if err == nil {
				found++
				checkFound(t, value, scheme, asked[0])
			}
			header := request("Authorization", value).Header
			if c.Strip(header); err == nil && len(header) > 0 {
				t.Fatalf("%q as %s is taken and not stripped", value, scheme)
			}
		}
		if found > 1 {
			t.Fatalf("%q is a credential of two schemes", value)
		}
	})
}

// checkFound checks the token against the header by other means than the parser has.
func checkFound(t *testing.T, value, scheme, token string) {
	t.Helper()
	fields := strings.Fields(value)
	if len(fields) != 2 || !strings.EqualFold(fields[0], scheme) || fields[1] != token {
		t.Fatalf("%q as %s: looked up %q, want the second of two words", value, scheme, token)
	}
	if between := value[strings.Index(value, fields[0])+len(scheme) : strings.LastIndex(value, token)]; strings.Trim(between, " ") != "" {
		t.Fatalf("%q as %s: %q stands between scheme and token, want spaces", value, scheme, between)
	}
	if len(token) > 8<<10 || strings.ContainsAny(token, ",\"") {
		t.Fatalf("%q as %s: looked up %q", value, scheme, token)
	}
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			t.Fatalf("%q as %s: byte %#x in a token", value, scheme, token[i])
		}
	}
}

// FuzzNamedHeader: the same for a field of its own.
func FuzzNamedHeader(f *testing.F) {
	for _, seed := range []string{"", "key1", " key1\t", "a b", "a,b", "\x00", "ü", `"k"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		var a asked
		_, err := apiKey(a.lookup).Identify(request("X-Api-Key", value))
		if (err == nil) != (len(a.tokens) == 1) || word(err) == "unchecked" {
			t.Fatalf("%q: %q looked up, %v", value, a.tokens, err)
		}
		if err == nil && (a.tokens[0] != strings.Trim(value, " \t") || strings.ContainsAny(a.tokens[0], " ,\"\t")) {
			t.Fatalf("%q: looked up %q", value, a.tokens[0])
		}
	})
}
