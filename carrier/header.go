package carrier

import (
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// A HeaderCarrier reads a credential from the Authorization header under one scheme. Make it with [Header].
type HeaderCarrier struct {
	scheme string
	find   Lookup
}

// Header returns the carrier of "Authorization: <scheme> <token>", for any scheme: Bearer, Token, ApiKey. The scheme is compared
// without regard to case (RFC 9110, section 11.1) and may be followed by several spaces; the token is compared by find.
// It panics if scheme is not a token of RFC 9110 or find is nil: both are mistakes in a program, not in its input.
func Header(scheme string, find Lookup) *HeaderCarrier {
	if scheme == "" || strings.Trim(scheme, tokenChars) != "" {
		panic(fmt.Sprintf("carrier.Header: %q is not an authentication scheme", scheme))
	}
	if find == nil {
		panic("carrier.Header: the look-up is nil")
	}
	return &HeaderCarrier{scheme, find}
}

// String names the carrier in logs and explanations.
func (c *HeaderCarrier) String() string { return "Authorization: " + c.scheme }

// Identify implements [Carrier]. An empty header and another scheme are no credential.
func (c *HeaderCarrier) Identify(r *http.Request) (gatehouse.Identity, error) {
	value, err := once(r.Header, "Authorization")
	if err != nil {
		return gatehouse.Identity{}, err
	}
	rest, ok := c.cut(value)
	if !ok {
		return gatehouse.Identity{}, gatehouse.ErrScheme
	}
	token := strings.TrimLeft(rest, " ")
	if len(token) == len(rest) || !isCredential(token) {
		return gatehouse.Identity{}, gatehouse.ErrMalformed
	}
	return lookup(r.Context(), c.find, token)
}

// cut returns what stands behind the carrier's scheme.
func (c *HeaderCarrier) cut(value string) (string, bool) {
	rest := strings.TrimLeft(value, tokenChars)
	return rest, strings.EqualFold(value[:len(value)-len(rest)], c.scheme)
}

// Remember implements [Carrier]: it returns an error that wraps [ErrNotHandedOut], since clients put this header there themselves.
func (c *HeaderCarrier) Remember(http.ResponseWriter, *http.Request, gatehouse.Identity, ...Option) error {
	return fmt.Errorf("%s: a header credential is not handed out in an answer: %w", c, ErrNotHandedOut)
}

// Forget implements [Carrier]: there is nothing to take away.
func (c *HeaderCarrier) Forget(http.ResponseWriter, *http.Request) error { return nil }

// Ambient implements [Ambient]: what a browser has asked its user for, or knows of the user's machine, it sends with every page's requests.
func (c *HeaderCarrier) Ambient() (ambient, secure bool) {
	for _, scheme := range []string{"Basic", "Digest", "Negotiate", "NTLM"} {
		ambient = ambient || strings.EqualFold(c.scheme, scheme)
	}
	return ambient, false
}

// Challenge implements [Challenger].
func (c *HeaderCarrier) Challenge(realm string) problem.Challenge {
	return problem.Challenge{Scheme: c.scheme, Realm: realm, OAuth: true}
}

// Strip implements [Stripper]: it removes Authorization if it is of this scheme, good or bad.
func (c *HeaderCarrier) Strip(h http.Header) {
	for _, value := range h["Authorization"] {
		if _, ok := c.cut(strings.Trim(value, " \t")); ok {
			h.Del("Authorization")
			return
		}
	}
}

// A NamedHeaderCarrier reads a credential that is the whole value of a header field. Make it with [NamedHeader].
type NamedHeaderCarrier struct {
	name string
	find Lookup
}

// NamedHeader returns the carrier of "<name>: <token>", such as X-API-Key. It panics if name is not a field name, is Authorization or
// Cookie (which have a form of their own), or find is nil.
func NamedHeader(name string, find Lookup) *NamedHeaderCarrier {
	name = textproto.CanonicalMIMEHeaderKey(name)
	if name == "" || strings.Trim(name, tokenChars) != "" || name == "Authorization" || name == "Cookie" {
		panic(fmt.Sprintf("carrier.NamedHeader: %q cannot carry a token", name))
	}
	if find == nil {
		panic("carrier.NamedHeader: the look-up is nil")
	}
	return &NamedHeaderCarrier{name, find}
}

// String names the carrier in logs and explanations.
func (c *NamedHeaderCarrier) String() string { return c.name }

// Identify implements [Carrier]. An empty header is no credential.
func (c *NamedHeaderCarrier) Identify(r *http.Request) (gatehouse.Identity, error) {
	token, err := once(r.Header, c.name)
	switch {
	case err != nil:
		return gatehouse.Identity{}, err
	case token == "":
		return gatehouse.Identity{}, gatehouse.ErrAnonymous
	case !isCredential(token):
		return gatehouse.Identity{}, gatehouse.ErrMalformed
	}
	return lookup(r.Context(), c.find, token)
}

// Remember implements [Carrier] like [HeaderCarrier.Remember].
func (c *NamedHeaderCarrier) Remember(http.ResponseWriter, *http.Request, gatehouse.Identity, ...Option) error {
	return fmt.Errorf("%s: a header credential is not handed out in an answer: %w", c, ErrNotHandedOut)
}

// Forget implements [Carrier]: there is nothing to take away.
func (c *NamedHeaderCarrier) Forget(http.ResponseWriter, *http.Request) error { return nil }

// Challenge implements [Challenger]. No registered scheme stands for a header field, so the scheme is ApiKey with the field's name.
func (c *NamedHeaderCarrier) Challenge(realm string) problem.Challenge {
	return problem.Challenge{Scheme: "ApiKey", Realm: realm, Params: `header="` + c.name + `"`, OAuth: true}
}

// Vary implements [Varier].
func (c *NamedHeaderCarrier) Vary() []string { return []string{c.name} }

// Ambient implements [Ambient]: only scripts send such a field, and to other origins only if those allow it.
func (c *NamedHeaderCarrier) Ambient() (ambient, secure bool) { return false, false }

// Strip implements [Stripper]: it removes the field and every spelling of it that a CGI-like upstream would read as the same.
func (c *NamedHeaderCarrier) Strip(h http.Header) { strip(h, c.name) }

func strip(h http.Header, name string) {
	want := FoldName(name)
	for other := range h {
		if FoldName(other) == want {
			delete(h, other)
		}
	}
}

// FoldName maps the spellings of a field name that CGI and WSGI servers read as the same to one, in net/http's canonical form. Most of them
// confuse "-" and "_" only, but there are those (lighttpd) that turn every character but letters and digits into "_".
func FoldName(name string) string {
	for i := range len(name) {
		if !isNameChar(name[i]) {
			name = strings.Map(plainName, name)
			break
		}
	}
	return textproto.CanonicalMIMEHeaderKey(name) // costs nothing for a name that net/http has read
}

func isNameChar(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-'
}

func plainName(c rune) rune {
	if c < utf8.RuneSelf && isNameChar(byte(c)) {
		return c
	}
	return '-'
}

// tokenChars: RFC 9110, section 5.6.2.
const tokenChars = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// isCredential accepts one run of visible ASCII without a comma or a quote, which is more than token68 (RFC 9110, section 11.2) because
// people choose tokens by hand, and less than a list or auth-params.
func isCredential(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == ',' || c == '"' {
			return false
		}
	}
	return s != ""
}
