package carrier_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
)

func token(find carrier.Lookup) carrier.Carrier { return carrier.Header("Token", find) }

// TestHeader reads Authorization under the scheme Token.
func TestHeader(t *testing.T) {
	long := strings.Repeat("x", 8<<10)
	for _, tt := range []row{
		// One token behind one scheme.
		one("Token token1", "token1"), one("token token1", "token1"), one("TOKEN token1", "token1"), one("tOkEn token1", "token1"),
		one("Token TOKEN1", "TOKEN1"), one("Token  token1", "token1"), one("Token      token1", "token1"),
		one("Token token1 ", "token1"), one(" Token token1", "token1"), one("Token token1\t", "token1"), one("\tToken token1", "token1"),
		one("Token a", "a"), one("Token Token", "Token"), one("Token a.b.c", "a.b.c"), one("Token a=b", "a=b"), one("Token YWJj==", "YWJj=="),
		one("Token a+/b~c_d-e", "a+/b~c_d-e"), one("Token {x}", "{x}"), one("Token a;b", "a;b"), one("Token 'a'", "'a'"), one(`Token a\b`, `a\b`),
		one("Token %61", "%61"), one("Token [secret]", "[secret]"), one("Token a:b@c", "a:b@c"), one("Token <a>", "<a>"), one("Token "+long, long),

		// Nothing that this carrier takes.
		{nil, "[nothing]"},
		one("", "[other scheme]"), one(" ", "[other scheme]"), one("\t", "[other scheme]"), one("None", "[other scheme]"), one("null", "[other scheme]"),
		one("undefined", "[other scheme]"), one("Bearer token1", "[other scheme]"), one("Basic dG9rZW4x", "[other scheme]"),
		one("TokenX token1", "[other scheme]"), one("Toke token1", "[other scheme]"), one("XToken token1", "[other scheme]"), one("token1", "[other scheme]"),
		one("Token1 token1", "[other scheme]"), one("Token-token1", "[other scheme]"), one("Token.token1", "[other scheme]"), one("Token_ token1", "[other scheme]"),
		one(`"Token" token1`, "[other scheme]"), one("(Token) token1", "[other scheme]"), one(", Token token1", "[other scheme]"), one(":Token token1", "[other scheme]"),
		one("Bearer x, Token token1", "[other scheme]"), one("\x00Token token1", "[other scheme]"), one("Tök token1", "[other scheme]"),
		one("\u0422oken token1", "[other scheme]"), one("To\u212Aen token1", "[other scheme]"), one("=Token token1", "[other scheme]"),

		// The scheme, and not one token behind it.
		one("Token", "[malformed]"), one("Token ", "[malformed]"), one("Token    ", "[malformed]"), one("Token\ttoken1", "[malformed]"),
		one("Token \ttoken1", "[malformed]"), one("Token\t token1", "[malformed]"), one("Token token1 extra", "[malformed]"), one("Token token1\textra", "[malformed]"),
		one("Token token1,token2", "[malformed]"), one("Token token1, Token token2", "[malformed]"), one("Token ,", "[malformed]"),
		one(`Token "token1"`, "[malformed]"), one(`Token realm="x"`, "[malformed]"), one("Token:token1", "[malformed]"), one("Token: token1", "[malformed]"),
		one("Token=token1", "[malformed]"), one("Token/token1", "[malformed]"), one("Token,token1", "[malformed]"), one("Token\x00token1", "[malformed]"),
		one("Token token1\x00", "[malformed]"), one("Token tok\x00en1", "[malformed]"), one("Token tok\x01en1", "[malformed]"), one("Token token1\x7f", "[malformed]"),
		one("Token töken", "[malformed]"), one("Token 你好", "[malformed]"), one("Token tok\xff", "[malformed]"), one("Token \u00a0token1", "[malformed]"),
		one("Token\u00a0token1", "[malformed]"), one("Token token1\u2028", "[malformed]"), one("Token token1\r", "[malformed]"), one("Token token1\nToken token2", "[malformed]"),
		one("Token\r\n token1", "[malformed]"),

		// Too long to be anybody's.
		one("Token "+long+"x", "[bad]"), one("Token "+strings.Repeat("x", 1<<20), "[bad]"), one(strings.Repeat(" ", 1<<16)+"Token token1", "token1"),
		one("Token"+strings.Repeat(" ", 1<<16)+"token1", "token1"), one(strings.Repeat("T", 1<<20)+" token1", "[other scheme]"),

		// More than one.
		{[]string{"Token token1", "Token token1"}, "[duplicate]"}, {[]string{"Token token1", ""}, "[duplicate]"}, {[]string{"", ""}, "[duplicate]"},
		{[]string{"Token bad", "Token token1"}, "[duplicate]"}, {[]string{"Bearer x", "Token token1"}, "[duplicate]"}, {[]string{"Basic x", "Bearer y"}, "[duplicate]"},
		{[]string{}, "[nothing]"},
	} {
		check(t, token, "Authorization", tt)
	}
}

// TestHeaderTakesAnyScheme that RFC 9110 calls a token, and refuses to be made for another.
func TestHeaderTakesAnyScheme(t *testing.T) {
	for _, scheme := range []string{"Bearer", "Token", "ApiKey", "X", "AWS4-HMAC-SHA256", "a.b_c~d", "!#$%&'*+-.^_`|~09"} {
		carry := func(find carrier.Lookup) carrier.Carrier { return carrier.Header(scheme, find) }
		check(t, carry, "Authorization", one(scheme+" token1", "token1"))
		check(t, carry, "Authorization", one(strings.ToUpper(scheme)+" token1", "token1"))
		check(t, carry, "Authorization", one(scheme+"X token1", "[other scheme]"))
		check(t, carry, "Authorization", one(scheme, "[malformed]"))
	}
	for _, scheme := range []string{"", " ", "Bearer ", "Be arer", "Bearer:", `"Bearer"`, "Be,arer", "Bärer", "Bearer=", "Bearer\x00", "a/b", "(a)", "Bearer\n"} {
		mustPanic(t, fmt.Sprintf("Header(%q)", scheme), func() { carrier.Header(scheme, (&asked{}).lookup) })
	}
	mustPanic(t, "Header with a nil look-up", func() { carrier.Header("Token", nil) })
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s does not panic", what)
		}
	}()
	f()
}

// TestHeaderReadsOneFieldOnly: neither a similar field nor another place is looked at.
func TestHeaderReadsOneFieldOnly(t *testing.T) {
	for _, name := range []string{"Proxy-Authorization", "X-Authorization", "Authorization_", "Authorizations", "Http-Authorization", "X-Forwarded-Authorization", "Cookie"} {
		check(t, func(find carrier.Lookup) carrier.Carrier { return token(find) }, name, one("Token token1", "[nothing]"))
	}
	r := httptest.NewRequest("GET", "/?authorization=Token+token1&access_token=token1", strings.NewReader("access_token=token1"))
	r.Trailer = http.Header{"Authorization": {"Token token1"}}
	if _, err := token((&asked{}).lookup).Identify(r); word(err) != "nothing" {
		t.Errorf("a token in the query, body or trailer = %v, want nothing found", err)
	}
}

func apiKey(find carrier.Lookup) carrier.Carrier { return carrier.NamedHeader("x-api-key", find) }

func TestNamedHeader(t *testing.T) {
	long := strings.Repeat("k", 8<<10)
	for _, tt := range []row{
		one("key1", "key1"), one(" key1 ", "key1"), one("\tkey1\t", "key1"), one("Token", "Token"), one("a=b", "a=b"), one("YQ==", "YQ=="), one(long, long),
		{nil, "[nothing]"}, {[]string{}, "[nothing]"}, one("", "[nothing]"), one("  ", "[nothing]"), one("\t", "[nothing]"),
		one("key1 key2", "[malformed]"), one("key1,key2", "[malformed]"), one("key1, key2", "[malformed]"), one(`"key1"`, "[malformed]"), one("Token key1", "[malformed]"),
		one("key1\tkey2", "[malformed]"), one("kéy", "[malformed]"), one("key\x00", "[malformed]"), one("\x7f", "[malformed]"), one("key\xff", "[malformed]"),
		one(long+"k", "[bad]"), one(strings.Repeat("k", 1<<20), "[bad]"),
		{[]string{"key1", "key1"}, "[duplicate]"}, {[]string{"key1", ""}, "[duplicate]"}, {[]string{"", "key1"}, "[duplicate]"},
	} {
		check(t, apiKey, "X-Api-Key", tt)
	}
	for _, alias := range []string{"X_api_key", "X.api.key", "X-Api_Key", "Api-Key", "X-Api-Keys", "Authorization"} {
		check(t, apiKey, alias, one("key1", "[nothing]"))
	}
	for _, name := range []string{"", "Authorization", "authorization", "Cookie", "COOKIE", "X API Key", "X:Key", "Kéy", "X-Key\r\n"} {
		mustPanic(t, fmt.Sprintf("NamedHeader(%q)", name), func() { carrier.NamedHeader(name, (&asked{}).lookup) })
	}
	mustPanic(t, "NamedHeader with a nil look-up", func() { carrier.NamedHeader("X-Api-Key", nil) })
}

// TestStrip: what a carrier reads does not reach an upstream, in no spelling that a CGI-like one would take for it; what it does not
// read stays.
func TestStrip(t *testing.T) {
	find := (&asked{}).lookup
	named := carrier.NamedHeader("X-API-Key", find)
	fn := carrier.Func(func(*http.Request) (string, error) { return "", nil }, find, "X-Ticket", "Ssl.Client_Dn")
	for _, tt := range []struct {
		carrier interface{ Strip(http.Header) }
		header  http.Header
		left    []string
	}{
		{carrier.Header("Token", find), http.Header{"Authorization": {"Token token1"}, "Accept": {"*/*"}}, []string{"Accept"}},
		{carrier.Header("Token", find), http.Header{"Authorization": {"tOKEN token1"}}, nil},
		{carrier.Header("Token", find), http.Header{"Authorization": {"Token"}}, nil},
		{carrier.Header("Token", find), http.Header{"Authorization": {"Token:x"}}, nil},
		{carrier.Header("Token", find), http.Header{"Authorization": {" \tToken x"}}, nil},
		{carrier.Header("Token", find), http.Header{"Authorization": {"Basic x", "Token token1"}}, nil},
		{carrier.Header("Token", find), http.Header{"Authorization": {"Basic dXNlcg=="}}, []string{"Authorization"}},
		{carrier.Header("Token", find), http.Header{"Authorization": {"TokenX token1"}}, []string{"Authorization"}},
		{carrier.Header("Token", find), http.Header{}, nil},
		{named, http.Header{"X-Api-Key": {"k"}, "X_API_Key": {"k"}, "X.Api.Key": {"k"}, "x-api-key": {"k"}, "X-Api_Key": {"k"}, "x.API_key": {"k"}}, nil},
		{named, http.Header{"X-Api-Keys": {"k"}, "Xapikey": {"k"}, "X-Api": {"k"}, "Authorization": {"Token x"}}, []string{"Authorization", "X-Api", "X-Api-Keys", "Xapikey"}},
		{fn, http.Header{"X-Ticket": {"k"}, "X_Ticket": {"k"}, "Ssl-Client-Dn": {"k"}, "Ssl_client_dn": {"k"}, "X-Tickets": {"k"}}, []string{"X-Tickets"}},
	} {
		before := fmt.Sprint(tt.header)
		tt.carrier.Strip(tt.header)
		var left []string
		for name := range tt.header {
			left = append(left, name)
		}
		slices.Sort(left)
		if !slices.Equal(left, tt.left) {
			t.Errorf("%v strips %s to %q, want %q", tt.carrier, before, left, tt.left)
		}
	}
}

// TestChallenges: what the carriers say of themselves.
func TestChallenges(t *testing.T) {
	find := (&asked{}).lookup
	c := carrier.Header("Token", find).Challenge("films")
	if c.Scheme != "Token" || c.Realm != "films" || c.Params != "" || !c.OAuth {
		t.Errorf("challenge of Token = %+v", c)
	}
	c = carrier.NamedHeader("x-api-key", find).Challenge("films")
	if c.Scheme != "ApiKey" || c.Realm != "films" || c.Params != `header="X-Api-Key"` || !c.OAuth {
		t.Errorf("challenge of X-Api-Key = %+v", c)
	}
	if _, ok := any(carrier.Func(func(*http.Request) (string, error) { return "", nil }, find)).(carrier.Challenger); ok {
		t.Error("a function says how to authenticate, and it cannot know")
	}
}

// TestRequestCredentialsAreNotHandedOut: Remember says so, and writes nothing; Forget has nothing to do.
func TestRequestCredentialsAreNotHandedOut(t *testing.T) {
	find := (&asked{}).lookup
	for _, c := range []carrier.Carrier{token(find), apiKey(find), carrier.Func(func(*http.Request) (string, error) { return "", nil }, find)} {
		rec := httptest.NewRecorder()
		err := c.Remember(rec, request("Accept", "*/*"), gatehouse.Identity{Value: "jack"})
		if !errors.Is(err, errors.ErrUnsupported) || len(rec.Header()) != 0 {
			t.Errorf("%v.Remember = %v with header %v, want errors.ErrUnsupported and none", c, err, rec.Header())
		}
		if err := c.Forget(rec, request("Accept", "*/*")); err != nil || len(rec.Header()) != 0 {
			t.Errorf("%v.Forget = %v with header %v, want neither", c, err, rec.Header())
		}
		if name := fmt.Sprint(c); name == "" || strings.Contains(name, "0x") {
			t.Errorf("a carrier is called %q in logs", name)
		}
	}
}

// TestLookupDecides: what the look-up says is what the carrier says, but never that there was no credential, and never nobody.
func TestLookupDecides(t *testing.T) {
	type key struct{}
	for _, tt := range []struct {
		name string
		id   gatehouse.Identity
		err  error
		want string
	}{
		{"a caller", gatehouse.Identity{Value: "jack"}, nil, "found"},
		{"nobody", gatehouse.Identity{}, nil, "bad"},
		{"nobody with roles", gatehouse.Identity{Kind: gatehouse.KindUser, Roles: []string{"admin"}, Scopes: []string{"*"}}, nil, "bad"},
		{"bad", gatehouse.Identity{}, gatehouse.ErrCredential, "bad"},
		{"a caller and an error", gatehouse.Identity{Value: "jack"}, gatehouse.ErrCredential, "bad"},
		{"expired", gatehouse.Identity{}, fmt.Errorf("yesterday: %w", gatehouse.ErrExpired), "expired"},
		{"disabled", gatehouse.Identity{}, gatehouse.ErrDisabled, "disabled"},
		{"malformed", gatehouse.Identity{}, gatehouse.ErrMalformed, "malformed"},
		{"forbidden", gatehouse.Identity{}, gatehouse.ErrForbidden, "forbidden"},
		{"no credential", gatehouse.Identity{}, gatehouse.ErrAnonymous, "bad"},
		{"no scheme", gatehouse.Identity{}, fmt.Errorf("odd: %w", gatehouse.ErrScheme), "bad"},
		{"down", gatehouse.Identity{}, errors.New("connection refused"), "unchecked"},
		{"cancelled", gatehouse.Identity{}, context.Canceled, "unchecked"},
		{"too slow", gatehouse.Identity{}, context.DeadlineExceeded, "unchecked"},
	} {
		find := func(ctx context.Context, credential string) (gatehouse.Identity, error) {
			if ctx.Value(key{}) != "here" || credential != "token1" {
				t.Errorf("%s: the look-up was asked for %q, with the request's context: %v", tt.name, credential, ctx.Value(key{}))
			}
			return tt.id, tt.err
		}
		fn := carrier.Func(func(*http.Request) (string, error) { return "token1", nil }, find)
		for _, c := range []carrier.Carrier{token(find), apiKey(find), fn} {
			r := request("Authorization", "Token token1")
			r.Header.Set("X-Api-Key", "token1")
			id, err := c.Identify(r.WithContext(context.WithValue(r.Context(), key{}, "here")))
			if word(err) != tt.want || (err == nil) != (id.Value == "jack") || err != nil && (id.Value != "" || id.Roles != nil) {
				t.Errorf("%v, a look-up that says %s = %+v, %v, want %s", c, tt.name, id, err, tt.want)
			}
			if tt.want == "unchecked" && !errors.Is(err, tt.err) {
				t.Errorf("%v: %v does not wrap %v", c, err, tt.err)
			}
		}
	}
}
