package token_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

// An issuerElsewhere signs tokens with a key that a profile has.
type issuerElsewhere struct {
	*testing.T
	*clock
	key *keyring.Key
}

func newElsewhere(t *testing.T) *issuerElsewhere {
	return &issuerElsewhere{t, noon(), twins()[keyring.HS256].ours}
}

// profile returns the verifier of a profile that has the key.
func (e *issuerElsewhere) profile(c token.ForeignConfig) *token.Verifier {
	e.Helper()
	c.Algorithms, c.Now = []keyring.Algorithm{keyring.HS256}, e.now
	if c.Keys == nil {
		c.Keys = must(keyring.Static("elsewhere", e.key))
	}
	if c.Revocations == nil {
		c.Revocations = revoke.None
	}
	v, err := token.NewForeign(c)
	if err != nil {
		e.Fatal(err)
	}
	return v
}

// sign signs a payload; %d in it is a minute from now.
func (e *issuerElsewhere) sign(payload string) string {
	e.Helper()
	return forge(e, e.key, `{"alg":"HS256","typ":"JWT"}`, fmt.Sprintf(payload, e.Unix()+60))
}

// TestForeignTokensThatNameTheirKeys: some issuers write into each token where its key is to be had. It makes no difference; nobody looks there.
func TestForeignTokensThatNameTheirKeys(t *testing.T) {
	e := newElsewhere(t)
	v := e.profile(token.ForeignConfig{})
	text := forge(t, e.key, `{"alg":"HS256","typ":"JWT","jku":"http://127.0.0.1:1/keys","x5u":"http://127.0.0.1:1/x","jwk":{"kty":"oct","k":"AA"}}`, fmt.Sprintf(`{"sub":"jack","exp":%d}`, e.Unix()+60))
	if c, err := v.Verify(t.Context(), text); err != nil || c.Subject != "jack" {
		t.Errorf("a token that names its key: %+v, %v, want jack", c, err)
	}
}

// TestForeignProfiles: what a profile asks for must be there, as it says, and nothing else is asked for but the end.
func TestForeignProfiles(t *testing.T) {
	e := newElsewhere(t)
	for _, tt := range []struct {
		what    string
		c       token.ForeignConfig
		payload string
		want    error // nil: jack
	}{
		{"nothing but a subject and an end", token.ForeignConfig{}, `{"sub":"jack","exp":%d}`, nil},
		{"no end", token.ForeignConfig{}, `{"sub":"jack","iat":%d}`, token.ErrInvalid},
		{"no end, but a claim that says so", token.ForeignConfig{Required: map[string]any{"exp": nil}}, `{"sub":"jack","x":%d}`, token.ErrInvalid},
		{"an end that is a text", token.ForeignConfig{}, `{"sub":"jack","exp":"%d"}`, token.ErrInvalid},
		{"over", token.ForeignConfig{}, `{"sub":"jack","exp":1,"x":%d}`, token.ErrExpired},
		{"not yet", token.ForeignConfig{}, `{"sub":"jack","exp":9999999999,"nbf":%d}`, token.ErrNotYet},
		{"issued later", token.ForeignConfig{}, `{"sub":"jack","exp":9999999999,"iat":%d}`, token.ErrNotYet},
		{"no subject", token.ForeignConfig{}, `{"exp":%d}`, token.ErrInvalid},
		{"a subject with a line break", token.ForeignConfig{}, `{"sub":"a\nb","exp":%d}`, token.ErrInvalid},
		{"a subject with a blank in front", token.ForeignConfig{}, `{"sub":" jack","exp":%d}`, token.ErrInvalid},
		{"an empty subject", token.ForeignConfig{}, `{"sub":"","exp":%d}`, token.ErrInvalid},
		{"another issuer", token.ForeignConfig{Issuer: "a"}, `{"iss":"b","sub":"jack","exp":%d}`, token.ErrIssuer},
		{"no issuer", token.ForeignConfig{Issuer: "a"}, `{"sub":"jack","exp":%d}`, token.ErrIssuer},
		{"the issuer in another case", token.ForeignConfig{Issuer: "a"}, `{"iss":"A","sub":"jack","exp":%d}`, token.ErrIssuer},
		{"two issuers", token.ForeignConfig{Issuer: "a"}, `{"iss":"b","iss":"a","sub":"jack","exp":%d}`, token.ErrInvalid},
		{"the issuer", token.ForeignConfig{Issuer: "a"}, `{"iss":"a","sub":"jack","exp":%d}`, nil},
		{"another audience", token.ForeignConfig{Audience: []string{"a"}}, `{"aud":"b","sub":"jack","exp":%d}`, token.ErrAudience},
		{"no audience", token.ForeignConfig{Audience: []string{"a"}}, `{"sub":"jack","exp":%d}`, token.ErrAudience},
		{"an empty audience", token.ForeignConfig{Audience: []string{"a"}}, `{"aud":"","sub":"jack","exp":%d}`, token.ErrAudience},
		{"one of two audiences", token.ForeignConfig{Audience: []string{"a", "c"}}, `{"aud":["b","c"],"sub":"jack","exp":%d}`, nil},
		{"an audience of nobody", token.ForeignConfig{}, `{"aud":[],"sub":"jack","exp":%d}`, token.ErrInvalid},
		{"an audience where none is wanted", token.ForeignConfig{}, `{"aud":["b"],"sub":"jack","exp":%d}`, nil},
		{"what a client says of itself", token.ForeignConfig{}, `{"iss":"jack","sub":"jack","aud":"https://gate.example/oauth/token","jti":"1","exp":%d}`, token.ErrPurpose},
		{"a client that is the issuer", token.ForeignConfig{Issuer: "jack"}, `{"iss":"jack","sub":"jack","exp":%d}`, nil},

		{"a claim of another name", token.ForeignConfig{SubjectClaim: "username"}, `{"username":"jack","sub":"mallory","exp":%d}`, nil},
		{"it is missing", token.ForeignConfig{SubjectClaim: "username"}, `{"sub":"jack","exp":%d}`, token.ErrInvalid},
		{"it is empty", token.ForeignConfig{SubjectClaim: "username"}, `{"username":"","sub":"jack","exp":%d}`, token.ErrInvalid},
		{"it is null", token.ForeignConfig{SubjectClaim: "username"}, `{"username":null,"sub":"jack","exp":%d}`, token.ErrInvalid},
		{"it is a list", token.ForeignConfig{SubjectClaim: "username"}, `{"username":["jack"],"exp":%d}`, token.ErrInvalid},
		{"it is an object", token.ForeignConfig{SubjectClaim: "username"}, `{"username":{"name":"jack"},"exp":%d}`, token.ErrInvalid},
		{"it is true", token.ForeignConfig{SubjectClaim: "username"}, `{"username":true,"exp":%d}`, token.ErrInvalid},
		{"it is there in another case", token.ForeignConfig{SubjectClaim: "username"}, `{"Username":"jack","exp":%d}`, token.ErrInvalid},
		{"it is one that has a meaning", token.ForeignConfig{SubjectClaim: "client_id"}, `{"client_id":"jack","exp":%d}`, nil},
		{"a verified address", token.ForeignConfig{SubjectClaim: "email"}, `{"email":"jack","email_verified":true,"exp":%d}`, nil},
		{"an address that nobody has verified", token.ForeignConfig{SubjectClaim: "email"}, `{"email":"jack","exp":%d}`, token.ErrInvalid},
		{"an audience is no subject", token.ForeignConfig{SubjectClaim: "aud"}, `{"aud":"jack","exp":%d}`, token.ErrInvalid},

		{"a required claim", token.ForeignConfig{Required: map[string]any{"kind": nil}}, `{"kind":"x","sub":"jack","exp":%d}`, nil},
		{"a required claim that is missing", token.ForeignConfig{Required: map[string]any{"kind": nil}}, `{"sub":"jack","exp":%d}`, token.ErrInvalid},
		{"false", token.ForeignConfig{Required: map[string]any{"kind": nil}}, `{"kind":false,"sub":"jack","exp":%d}`, token.ErrInvalid},
		{"empty", token.ForeignConfig{Required: map[string]any{"kind": nil}}, `{"kind":"","sub":"jack","exp":%d}`, token.ErrInvalid},
		{"null", token.ForeignConfig{Required: map[string]any{"kind": nil}}, `{"kind":null,"sub":"jack","exp":%d}`, token.ErrInvalid},
		{"an empty list", token.ForeignConfig{Required: map[string]any{"kind": nil}}, `{"kind":[],"sub":"jack","exp":%d}`, token.ErrInvalid},
		{"a required value", token.ForeignConfig{Required: map[string]any{"kind": "user"}}, `{"kind":"user","sub":"jack","exp":%d}`, nil},
		{"another value", token.ForeignConfig{Required: map[string]any{"kind": "user"}}, `{"kind":"User","sub":"jack","exp":%d}`, token.ErrInvalid},
		{"a list with the value", token.ForeignConfig{Required: map[string]any{"kind": "user"}}, `{"kind":["user"],"sub":"jack","exp":%d}`, token.ErrInvalid},
		{"true", token.ForeignConfig{Required: map[string]any{"standard_claim": true}}, `{"standard_claim":true,"sub":"jack","exp":%d}`, nil},
		{"false for true", token.ForeignConfig{Required: map[string]any{"standard_claim": true}}, `{"standard_claim":false,"sub":"jack","exp":%d}`, token.ErrInvalid},
		{"a text for true", token.ForeignConfig{Required: map[string]any{"standard_claim": true}}, `{"standard_claim":"true","sub":"jack","exp":%d}`, token.ErrInvalid},
		{"1 for true", token.ForeignConfig{Required: map[string]any{"standard_claim": true}}, `{"standard_claim":1,"sub":"jack","exp":%d}`, token.ErrInvalid},
		{"a required false", token.ForeignConfig{Required: map[string]any{"guest": false}}, `{"guest":false,"sub":"jack","exp":%d}`, nil},
		{"a required false that is missing", token.ForeignConfig{Required: map[string]any{"guest": false}}, `{"sub":"jack","exp":%d}`, token.ErrInvalid},
		{"a whole number", token.ForeignConfig{Required: map[string]any{"v": 2}}, `{"v":2,"sub":"jack","exp":%d}`, nil},
		{"the same number", token.ForeignConfig{Required: map[string]any{"v": int64(2)}}, `{"v":2.0,"sub":"jack","exp":%d}`, nil},
		{"another number", token.ForeignConfig{Required: map[string]any{"v": 2}}, `{"v":2.5,"sub":"jack","exp":%d}`, token.ErrInvalid},
		{"a large number", token.ForeignConfig{Required: map[string]any{"v": uint64(9007199254740993)}}, `{"v":9007199254740993,"sub":"jack","exp":%d}`, nil},
		{"its neighbour", token.ForeignConfig{Required: map[string]any{"v": uint64(9007199254740993)}}, `{"v":9007199254740992,"sub":"jack","exp":%d}`, token.ErrInvalid},
		{"an object", token.ForeignConfig{Required: map[string]any{"o": map[string]any{"a": []any{1, "b"}}}}, `{"o":{"a":[1,"b"]},"sub":"jack","exp":%d}`, nil},
		{"an object with more", token.ForeignConfig{Required: map[string]any{"o": map[string]any{"a": 1}}}, `{"o":{"a":1,"b":2},"sub":"jack","exp":%d}`, token.ErrInvalid},
		{"a scope among others", token.ForeignConfig{Required: map[string]any{"scope": "films"}}, `{"scope":"books films","sub":"jack","exp":%d}`, nil},
		{"part of a scope", token.ForeignConfig{Required: map[string]any{"scope": "films"}}, `{"scope":"films.read","sub":"jack","exp":%d}`, token.ErrInvalid},
		{"one of the audience", token.ForeignConfig{Required: map[string]any{"aud": "a"}}, `{"aud":["b","a"],"sub":"jack","exp":%d}`, nil},
		{"none of the audience", token.ForeignConfig{Required: map[string]any{"aud": "a"}}, `{"aud":["b"],"sub":"jack","exp":%d}`, token.ErrInvalid},
		{"a verified address is required", token.ForeignConfig{Required: map[string]any{"email_verified": true}}, `{"email":"j","email_verified":true,"sub":"jack","exp":%d}`, nil},
		{"and is not there", token.ForeignConfig{Required: map[string]any{"email_verified": true}}, `{"email":"j","email_verified":"true","sub":"jack","exp":%d}`, token.ErrInvalid},
		{"a client", token.ForeignConfig{Required: map[string]any{"client_id": "app"}}, `{"client_id":"app","sub":"jack","exp":%d}`, nil},
		{"another client", token.ForeignConfig{Required: map[string]any{"client_id": "app"}}, `{"client_id":"other","sub":"jack","exp":%d}`, token.ErrInvalid},
		{"a time that is there", token.ForeignConfig{Required: map[string]any{"iat": nil}}, `{"iat":1,"sub":"jack","exp":%d}`, nil},
		{"a time that is not", token.ForeignConfig{Required: map[string]any{"iat": nil}}, `{"sub":"jack","exp":%d}`, token.ErrInvalid},
	} {
		c, err := e.profile(tt.c).Verify(t.Context(), e.sign(tt.payload))
		if tt.want != nil {
			refused(t, tt.what, c, err, tt.want)
		} else if err != nil || c.Subject != "jack" || c.Purpose != token.PurposeAccess {
			t.Errorf("%s: %+v, %v, want jack's access", tt.what, c, err)
		}
	}
}

// TestForeignSubjectsThatAreNumbers: a whole number becomes its text, and never that of another.
func TestForeignSubjectsThatAreNumbers(t *testing.T) {
	e := newElsewhere(t)
	v := e.profile(token.ForeignConfig{SubjectClaim: "user_id"})
	for value, want := range map[string]string{"7": "7", "0": "0", "7.0": "7", "7e2": "700", `"7"`: "7", "9007199254740991": "9007199254740991", "9007199254740993": "9007199254740993", "123456789012345678901234567890": "123456789012345678901234567890",
		"-7": "", "7.5": "", "1e300": "", "-9007199254740993": "", "9007199254740993.0": ""} {
		c, err := v.Verify(t.Context(), e.sign(`{"user_id":`+value+`,"exp":%d}`))
		if c.Subject != want || (err == nil) != (want != "") {
			t.Errorf("user_id %s is the subject %q, %v, want %q", value, c.Subject, err, want)
		}
	}
}

// TestForeignRoles: roles come from the profile's claim alone.
func TestForeignRoles(t *testing.T) {
	e := newElsewhere(t)
	for _, tt := range []struct {
		claim, payload string
		want           []string
	}{
		{"", `"roles":["a","b"]`, []string{"a", "b"}}, {"", `"access_role":"admin"`, nil}, {"access_role", `"access_role":"basic","roles":["admin"]`, []string{"basic"}}, {"access_role", `"roles":["admin"]`, nil},
		{"access_role", `"access_role":["a",7,null,"b"]`, []string{"a", "b"}}, {"access_role", `"access_role":""`, nil}, {"access_role", `"access_role":7`, nil}, {"access_role", `"access_role":{"admin":true}`, nil},
		{"access_role", `"access_role":null`, nil}, {"scope", `"scope":"a b"`, []string{"a", "b"}},
	} {
		c, err := e.profile(token.ForeignConfig{RoleClaim: tt.claim}).Verify(t.Context(), e.sign(`{"sub":"jack","exp":%d,`+tt.payload+`}`))
		if err != nil || !cmp.Equal(c.Roles, tt.want) {
			t.Errorf("the roles of %s in the claim %q are %q, %v, want %q", tt.payload, tt.claim, c.Roles, err, tt.want)
		}
	}
}

// TestForeignTypes: a token that says that it is something else than an access token is none.
func TestForeignTypes(t *testing.T) {
	e := newElsewhere(t)
	v := e.profile(token.ForeignConfig{})
	payload := fmt.Sprintf(`{"sub":"jack","exp":%d}`, e.Unix()+60)
	for typ, good := range map[string]bool{`"JWT"`: true, `"jwt"`: true, `"at+jwt"`: true, `"application/at+JWT"`: true, `"JOSE"`: true, `""`: true, `"refresh+jwt"`: false, `"verify-email+jwt"`: false, `"logout+jwt"`: false, `"secevent+jwt"`: false,
		`"dpop+jwt"`: false, `"client-authentication+jwt"`: false, `"id+jwt"`: false, `"x"`: false} {
		_, err := v.Verify(t.Context(), forge(t, e.key, `{"alg":"HS256","typ":`+typ+`}`, payload))
		if good != (err == nil) || !good && !errors.Is(err, token.ErrPurpose) {
			t.Errorf("typ %s: %v, want accepted: %v", typ, err, good)
		}
	}
	if _, err := v.Verify(t.Context(), forge(t, e.key, `{"alg":"HS256"}`, payload)); err != nil {
		t.Errorf("without a typ: %v, want nil", err)
	}
}

// TestForeignKeys: a token that names none of the keys is tried against four at most; one that names one, against that one.
func TestForeignKeys(t *testing.T) {
	e := newElsewhere(t)
	var keys []*keyring.Key
	for range token.MaxTries + 1 {
		keys = append(keys, must(keyring.Generate(keyring.HS256)))
	}
	if v, err := token.NewForeign(token.ForeignConfig{Algorithms: []keyring.Algorithm{keyring.HS256}, Keys: must(keyring.Static("many", keys...)), Revocations: revoke.None}); err == nil {
		t.Errorf("NewForeign with five keys = %v, want an error", v)
	}
	v := e.profile(token.ForeignConfig{Keys: must(keyring.Static("four", keys[:token.MaxTries]...))})
	payload := fmt.Sprintf(`{"sub":"jack","exp":%d}`, e.Unix()+60)
	for i, key := range keys {
		for what, kid := range map[string]string{"none": "", "its own": key.ID(), "nobody's": "nobody", "another's": keys[(i+1)%token.MaxTries].ID()} {
			head := `{"alg":"HS256","kid":` + string(must(json.Marshal(kid))) + `}`
			_, err := v.Verify(t.Context(), forge(t, key, head, payload))
			if good := i < token.MaxTries && what != "another's"; good != (err == nil) {
				t.Errorf("key %d, which the token calls by the name %s: %v, want accepted: %v", i, what, err, good)
			}
		}
	}
}

// TestForeignRevocation: what can be revoked of our own tokens can be of others', and what does not say when it was issued was issued before everything.
func TestForeignRevocation(t *testing.T) {
	e := newElsewhere(t)
	for what, revokes := range map[string]func(*revoke.List) error{
		"the subject": func(l *revoke.List) error { return l.RevokeSubject(t.Context(), "jack") },
		"the token":   func(l *revoke.List) error { return l.RevokeToken(t.Context(), "id", e.Add(time.Hour)) },
		"the session": func(l *revoke.List) error { return l.RevokeSession(t.Context(), "log-in", e.Add(time.Hour)) },
		"the key":     func(l *revoke.List) error { return l.RevokeKey(t.Context(), e.key.ID()) },
		"everything":  func(l *revoke.List) error { return l.RevokeAll(t.Context()) },
	} {
		list := listOf(t, e.clock)
		v := e.profile(token.ForeignConfig{SubjectClaim: "login", Revocations: list})
		text := e.sign(`{"login":"jack","jti":"id","sid":"log-in","exp":%d}`)
		if _, err := v.Verify(t.Context(), text); err != nil {
			t.Fatal(err)
		}
		if err := revokes(list); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(t.Context(), text); !errors.Is(err, revoke.ErrRevoked) {
			t.Errorf("%s is revoked: %v, want ErrRevoked", what, err)
		}
	}
}

// TestIdentify: a program says itself whom a token stands for. What it says is remembered with the token; what it forgets is filled in, and what it refuses is refused.
func TestIdentify(t *testing.T) {
	e := newElsewhere(t)
	away := errors.New("the directory is away")
	for what, tt := range map[string]struct {
		identify func(token.Claims) (gatehouse.Identity, error)
		want     error
		fault    bool // whoever sent it is at fault
	}{
		"somebody": {func(c token.Claims) (gatehouse.Identity, error) {
			return gatehouse.WithValue(gatehouse.Identity{Value: fmt.Sprint("user ", c.Custom["username"]), Roles: []string{"listen"}}, c.Custom["headers"]), nil
		}, nil, false},
		"nobody":              {func(token.Claims) (gatehouse.Identity, error) { return gatehouse.Identity{}, nil }, token.ErrInvalid, true},
		"a refusal":           {func(token.Claims) (gatehouse.Identity, error) { return gatehouse.Identity{}, gatehouse.ErrDisabled }, gatehouse.ErrDisabled, true},
		"cannot be found out": {func(token.Claims) (gatehouse.Identity, error) { return gatehouse.Identity{Value: "jack"}, away }, away, false},
		"a panic":             {func(token.Claims) (gatehouse.Identity, error) { panic("oh") }, nil, false},
	} {
		v := e.profile(token.ForeignConfig{SubjectClaim: "username", Identify: func(_ context.Context, c token.Claims) (gatehouse.Identity, error) { return tt.identify(c) }})
		text := e.sign(`{"headers":{"typ":"JWT"},"username":"jack","jti":"id","sid":"log-in","exp":%d}`)
		for range 2 {
			id, err := v.Identity(t.Context(), text)
			if what == "somebody" {
				if err != nil || id.Value != "user jack" || id.TokenID != "id" || id.Session != "log-in" || id.Purpose != "access" || id.ExpiresAt.IsZero() {
					t.Errorf("Identify that knows: %+v, %v, want user jack with what the token says", id, err)
				}
				continue
			}
			if err == nil || id.Value != "" || errors.Is(err, gatehouse.ErrCredential) != tt.fault || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Identify: %s: %+v, %v, want nobody, an error that wraps %v, the sender's fault: %v", what, id, err, tt.want, tt.fault)
			}
		}
	}
}

// TestForeignConfigsThatAreNone: a profile without an algorithm or keys would leave it to the token.
func TestForeignConfigsThatAreNone(t *testing.T) {
	ring := ringOf(t, "x", keyring.HS256)
	good := func() token.ForeignConfig {
		return token.ForeignConfig{Algorithms: []keyring.Algorithm{keyring.HS256}, Keys: ring, Revocations: revoke.None}
	}
	fetched := func(url string) func(*token.ForeignConfig) {
		return func(c *token.ForeignConfig) {
			c.Keys, c.JWKSURL, c.Algorithms = nil, url, []keyring.Algorithm{keyring.ES256}
		}
	}
	for what, change := range map[string]func(*token.ForeignConfig){
		"no algorithm": func(c *token.ForeignConfig) { c.Algorithms = nil }, "none": func(c *token.ForeignConfig) { c.Algorithms = []keyring.Algorithm{"none"} }, "none beside": func(c *token.ForeignConfig) { c.Algorithms = append(c.Algorithms, "none") },
		"one that seals": func(c *token.ForeignConfig) { c.Algorithms = []keyring.Algorithm{keyring.A256GCM} }, "another than the keys'": func(c *token.ForeignConfig) { c.Algorithms = []keyring.Algorithm{keyring.RS256} },
		"no keys": func(c *token.ForeignConfig) { c.Keys = nil }, "keys and a URL": func(c *token.ForeignConfig) { c.JWKSURL = "https://issuer.example/" }, "no list": func(c *token.ForeignConfig) { c.Revocations = nil },
		"an empty audience":    func(c *token.ForeignConfig) { c.Audience = []string{""} },
		"a time with a value":  func(c *token.ForeignConfig) { c.Required = map[string]any{"exp": 7} },
		"a value that is none": func(c *token.ForeignConfig) { c.Required = map[string]any{"x": make(chan int)} },
		"a value that is null": func(c *token.ForeignConfig) { c.Required = map[string]any{"x": (*int)(nil)} },
		"secrets at a URL": func(c *token.ForeignConfig) {
			c.Keys, c.JWKSURL = nil, "https://issuer.example/"
		},
		"plain http": fetched("http://issuer.example/keys"), "a file": fetched("file:///etc/keys"), "no scheme": fetched("issuer.example/keys"), "no host": fetched("https:///keys"), "no name, but a port": fetched("https://:443/keys"),
		"a name and a password": fetched("https://a:b@issuer.example/keys"), "a fragment": fetched("https://issuer.example/keys#a"), "no URL": fetched("https://%zz/"), "a name like localhost": fetched("http://localhost.example/keys"),
		"a private address in the clear": fetched("http://10.0.0.1/keys"), "the metadata in the clear": fetched("http://169.254.169.254/keys"),
	} {
		c := good()
		change(&c)
		if v, err := token.NewForeign(c); err == nil {
			t.Errorf("%s: NewForeign = %v, want an error", what, v)
		}
	}
	for _, url := range []string{"https://issuer.example/keys", "https://issuer.example:8443/keys?x=y", "http://localhost:8080/keys", "http://127.0.0.1/keys", "http://[::1]:1/keys", "http://LOCALHOST/keys", "http://[::ffff:127.0.0.1]/keys"} {
		c := good()
		fetched(url)(&c)
		if _, err := token.NewForeign(c); err != nil {
			t.Errorf("NewForeign with the URL %s: %v, want nil", url, err)
		}
	}
}
