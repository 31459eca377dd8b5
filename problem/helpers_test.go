package problem_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/problem"
)

// answer writes p for a request with the method and returns what a client gets.
func answer(w *problem.Writer, method string, p *problem.Problem) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.Write(rec, httptest.NewRequest(method, "/films", nil), p)
	return rec
}

// bodyOf decodes a problem detail and fails on a field that is not of the published form.
func bodyOf(t *testing.T, rec *httptest.ResponseRecorder) (b struct {
	Type, Title, Detail, Code, Error, Scope string
	Status                                  int
	Allow                                   []string
	RequestID                               string `json:"request_id"`
}) {
	t.Helper()
	d := json.NewDecoder(rec.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil {
		t.Fatalf("the body is no problem detail: %v", err)
	}
	return b
}

// A parsedChallenge is one WWW-Authenticate value, read as RFC 9110 defines it.
type parsedChallenge struct {
	scheme string
	params map[string]string
}

// challengesOf parses every WWW-Authenticate field of the answer.
func challengesOf(t *testing.T, rec *httptest.ResponseRecorder) []parsedChallenge {
	t.Helper()
	var list []parsedChallenge
	for _, value := range rec.Header()["Www-Authenticate"] {
		c, err := parseChallenge(value)
		if err != nil {
			t.Errorf("WWW-Authenticate: %s: %v", value, err)
		}
		list = append(list, c)
	}
	return list
}

const tchars = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// token cuts a token off s (RFC 9110, section 5.6.2).
func token(s string) (tok, rest string) {
	rest = strings.TrimLeft(s, tchars)
	return s[:len(s)-len(rest)], rest
}

// quoted cuts a quoted-string off s (section 5.6.4) and returns what it stands for.
func quoted(s string) (text, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], nil
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case c < ' ' && c != '\t' || c > '~':
			return "", "", fmt.Errorf("byte %#x in a quoted string", c)
		default:
			b.WriteByte(c)
		}
	}
	return "", "", fmt.Errorf("a quoted string does not end")
}

// parseChallenge reads "scheme 1*SP #auth-param" (section 11.6.1) strictly: one challenge, each parameter once.
func parseChallenge(s string) (parsedChallenge, error) {
	scheme, rest := token(s)
	c := parsedChallenge{scheme, map[string]string{}}
	if scheme == "" || !strings.HasPrefix(rest, " ") {
		return c, fmt.Errorf("no scheme and space")
	}
	rest = strings.TrimLeft(rest, " ")
	for {
		var name, value string
		var err error
		name, rest = token(rest)
		after, ok := strings.CutPrefix(rest, "=")
		if name == "" || !ok {
			return c, fmt.Errorf("no auth-param at %q", rest)
		}
		if strings.HasPrefix(after, `"`) {
			value, rest, err = quoted(after)
		} else if value, rest = token(after); value == "" {
			err = fmt.Errorf("%s has no value", name)
		}
		if err != nil {
			return c, err
		}
		if _, twice := c.params[name]; twice {
			return c, fmt.Errorf("%s stands there twice", name)
		}
		c.params[name] = value
		if rest == "" {
			return c, nil
		}
		if rest, ok = strings.CutPrefix(rest, ", "); !ok {
			return c, fmt.Errorf("no comma at %q", rest)
		}
	}
}

// The parser of the tests must be able to fail.
func TestChallengeParserRefuses(t *testing.T) {
	for _, bad := range []string{
		"", "Bearer", "Bearer ", `Bearer realm`, `Bearer realm=`, `Bearer realm="x`, `Bearer realm="x" error="y"`, `Bearer realm="x",`,
		`Bearer realm="x", realm="y"`, "Bearer realm=\"\x01\"", "Bearer realm=\"\xc3\xbc\"", `Be"arer realm="x"`, ` Bearer realm="x"`,
	} {
		if c, err := parseChallenge(bad); err == nil {
			t.Errorf("parseChallenge(%q) = %v, want an error", bad, c)
		}
	}
	c, err := parseChallenge(`Bearer realm="a\"b\\c", error=invalid_token`)
	if err != nil || c.scheme != "Bearer" || c.params["realm"] != `a"b\c` || c.params["error"] != "invalid_token" {
		t.Errorf("parseChallenge of a good challenge = %v, %v", c, err)
	}
}

// bearer is a writer as a guard with a Bearer carrier has it.
func bearer() *problem.Writer {
	return &problem.Writer{Challenges: []problem.Challenge{{Scheme: "Bearer", Realm: "films", OAuth: true}}}
}

// do serves one request to h.
func do(h http.Handler, method string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(method, "/films", nil))
	return rec
}
