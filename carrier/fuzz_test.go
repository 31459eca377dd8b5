package carrier_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
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

// FuzzCookie: whatever stands in Cookie, nothing panics, and nobody is signed in whose one cookie is not there to the letter. What Strip leaves holds nothing that
// net/http would take for the cookie, and the others as they were.
func FuzzCookie(f *testing.F) {
	for _, seed := range []string{"", ";", "=", "a=1; b=2", "__Host-gatehouse=", "__Host-gatehouse", "__host-gatehouse=x", "=__Host-gatehouse=x", `a="x; y"`, "a=1;;b", "\x00", "\xff=1", "a=b=c"} {
		f.Add(seed, "")
		f.Add("x=1; ", seed)
	}
	sessions := session.New(memory.Sessions(), session.Config{})
	c := carrier.Session(sessions)
	var s session.Session
	if err := sessions.Start(f.Context(), &s, gatehouse.Identity{Value: "jack"}, session.Options{}); err != nil {
		f.Fatal(err)
	}
	good := "__Host-gatehouse=" + s.Secret().Reveal()
	f.Fuzz(func(t *testing.T, before, after string) {
		for _, lines := range [][]string{{before + after}, {before, after}, {before + good + after}, {before, good, after}} {
			r := request("Cookie", lines...)
			id, err := c.Identify(r)
			if err != nil && (word(err) == "unchecked" || id.Value != "") {
				t.Fatalf("%q = %q, %v", lines, id.Value, err)
			}
			if err == nil && strings.Count(strings.Join(lines, "\n"), good) != 1 {
				t.Fatalf("%q signs %q in", lines, id.Value)
			}
			others := otherCookies(r)
			c.Strip(r.Header)
			if left := r.CookiesNamed("__Host-gatehouse"); len(left) > 0 {
				t.Fatalf("Strip of %q leaves %q", lines, r.Header["Cookie"])
			}
			if left := otherCookies(r); !slices.Equal(left, others) {
				t.Fatalf("Strip of %q leaves %q of the others, want %q", lines, left, others)
			}
		}
	})
}

// otherCookies returns the cookies of r, as net/http reads them, but for ours.
func otherCookies(r *http.Request) []string {
	var others []string
	for _, cookie := range r.Cookies() {
		if !strings.EqualFold(cookie.Name, "__Host-gatehouse") {
			others = append(others, cookie.Name+"="+cookie.Value)
		}
	}
	return others
}

// FuzzSetCookie: nothing that an upstream says about a cookie of ours stays, as net/http reads it and as browsers do, which send a cookie without a name by its value.
func FuzzSetCookie(f *testing.F) {
	for _, seed := range []string{"", "n=1", "n", "=n=1", " = n=1", "N =1; Path=/", "a=n", "a; n=1", ";n=1", "\tn\t=", "n;=1", "==", "n\x00=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		h := http.Header{"Set-Cookie": {line, "other=1"}}
		carrier.RemoveSetCookie(h, "n")
		if left := h["Set-Cookie"]; left[len(left)-1] != "other=1" || len(left) == 2 && left[0] != line {
			t.Fatalf("of %q stays %q", line, left)
		}
		if len(h["Set-Cookie"]) == 1 {
			return
		}
		wire := strings.NewReplacer("\r", " ", "\n", " ").Replace(line) // as net/http writes it
		pair, _, _ := strings.Cut(wire, ";")
		name, value, named := strings.Cut(pair, "=")
		sent := strings.Trim(name, " \t") + "=" + strings.Trim(value, " \t")
		if !named || sent[0] == '=' {
			sent = strings.Trim(name, " \t") + strings.Trim(value, " \t")
		}
		for _, cookie := range (&http.Request{Header: http.Header{"Cookie": {sent}}}).Cookies() {
			if strings.EqualFold(cookie.Name, "n") {
				t.Fatalf("%q stays, and comes back as %q", line, sent)
			}
		}
	})
}

// FuzzBasic: whatever stands in the header, nothing panics, and a look-up is asked for what net/http reads there, or not at all.
func FuzzBasic(f *testing.F) {
	for _, seed := range []string{"", "Basic", basic("jack:the password"), basic("jack"), basic(":"), basic("a:b:c"), basic("\xff:x"), basic("a:\x00"), " BAsiC Xzp0", "Basic ====", "basic  YTpi", "Basic YTpi\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		var asked []string
		c := carrier.Basic(func(_ context.Context, name, password string) (gatehouse.Identity, error) {
			asked = append(asked, name, password)
			return gatehouse.Identity{Value: "u-1"}, nil
		})
		r := request("Authorization", value)
		id, err := c.Identify(r)
		if (err == nil) != (len(asked) == 2) || (err == nil) != (id.Value == "u-1") || word(err) == "unchecked" {
			t.Fatalf("%q: %q looked up, %q, %v", value, asked, id.Value, err)
		}
		if err != nil {
			return
		}
		r.Header.Set("Authorization", "Basic "+strings.Trim(strings.Trim(value, " \t")[len("Basic"):], " \t"))
		if name, password, ok := r.BasicAuth(); !ok || name != asked[0] || password != asked[1] || name == "" || strings.ContainsAny(name+password, "\x00\r\n\t\x7f") {
			t.Fatalf("%q: %q looked up, and net/http reads %q, %q, %v", value, asked, name, password, ok)
		}
	})
}
