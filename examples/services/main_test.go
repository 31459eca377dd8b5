package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/gatehousetest"
	"github.com/gatehouse-auth/gatehouse/keyring"
)

// keys is the folder that all tests read: to make a key for RS256 takes its time.
var keys string

func TestMain(m *testing.M) {
	code := 1
	defer func() { os.Exit(code) }()
	top, err := os.MkdirTemp("", "services")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(top)
	keys = filepath.Join(top, "keys")
	for client, algorithm := range map[string]keyring.Algorithm{"reports": keyring.ES256, "billing": keyring.RS256} {
		if err := makeKey(keys, client, algorithm, io.Discard); err != nil {
			panic(err)
		}
	}
	code = m.Run()
}

// A town is a running service with two clients, reports with a key for ES256 and billing with one for RS256, and a clock.
type town struct {
	*service
	url, folder string
	clock       *gatehousetest.Clock
}

func newTown(t *testing.T) *town {
	t.Helper()
	v := &town{folder: keys, clock: gatehousetest.NewClock(time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC))}
	clients, err := readRegistry(v.folder)
	if err != nil {
		t.Fatal(err)
	}
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	v.url = server.URL
	if v.service, err = newService(t.Context(), v.url, clients, v.clock.Now); err != nil {
		t.Fatal(err)
	}
	handler = v.handler
	return v
}

// caller is the program of a client.
func (v *town) caller(t *testing.T, client string) *caller {
	t.Helper()
	c, err := newCaller(settings{server: v.url, folder: v.folder, client: client}, v.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (v *town) assertion(t *testing.T, client string) string {
	t.Helper()
	text, err := v.caller(t, client).assertion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// key is the private key of a client.
func (v *town) key(t *testing.T, client string) *keyring.Key {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(v.folder, client+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := keyring.ParsePEM("", text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// use is a use-token.
func (v *town) use(t *testing.T, client string) string {
	t.Helper()
	got, err := v.caller(t, client).login(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got.Token
}

// An answered is the part of an answer that counts here.
type answered struct {
	status                int
	kind, challenge, body string
}

func (a answered) String() string {
	return fmt.Sprintf("%d %s %q %s", a.status, a.kind, a.challenge, a.body)
}

func send(t *testing.T, r *http.Request) answered {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{response.StatusCode, response.Header.Get("Content-Type"), response.Header.Get("WWW-Authenticate"), string(body)}
}

// post posts a body to the token endpoint.
func (v *town) post(t *testing.T, kind, body string) answered {
	t.Helper()
	r, err := http.NewRequest("POST", v.url+"/token", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	return send(t, r)
}

const formType = "application/x-www-form-urlencoded"

// grant posts an assertion as the grant.
func (v *town) grant(t *testing.T, assertion string) answered {
	t.Helper()
	return v.post(t, formType, url.Values{"grant_type": {grant}, "assertion": {assertion}}.Encode())
}

// get asks for a path, with a bearer token if there is one.
func (v *town) get(t *testing.T, path, token string) answered {
	t.Helper()
	r, err := http.NewRequest("GET", v.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return send(t, r)
}

// forge makes a token of any header and claims. A sign of nil leaves the signature out.
func forge(t *testing.T, header, claims map[string]any, sign func(input []byte) []byte) string {
	t.Helper()
	part := func(value map[string]any) string {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	input := part(header) + "." + part(claims)
	if sign == nil {
		return input + "."
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(sign([]byte(input)))
}

func signer(t *testing.T, key *keyring.Key) func([]byte) []byte {
	return func(input []byte) []byte {
		signature, err := key.Sign(nil, input)
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
}

// hmacOf signs with HMAC and whatever is the secret.
func hmacOf(secret []byte) func([]byte) []byte {
	return func(input []byte) []byte {
		mac := hmac.New(sha256.New, secret)
		mac.Write(input)
		return mac.Sum(nil)
	}
}

// TestAssertionGivesUseToken in either way of sending it, for either algorithm: a JSON answer that is not kept.
func TestAssertionGivesUseToken(t *testing.T) {
	v := newTown(t)
	for _, client := range []string{"reports", "billing"} {
		for name, form := range map[string]url.Values{
			"the grant":          {"grant_type": {grant}, "assertion": {v.assertion(t, client)}},
			"beside a grant":     {"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {v.assertion(t, client)}},
			"with other members": {"grant_type": {grant}, "assertion": {v.assertion(t, client)}, "scope": {""}, "state": {"x"}},
		} {
			got := v.post(t, formType, form.Encode())
			var body struct {
				Token     string `json:"access_token"`
				Type      string `json:"token_type"`
				ExpiresIn int    `json:"expires_in"`
			}
			if err := json.Unmarshal([]byte(got.body), &body); err != nil || got.status != 200 || got.kind != "application/json" || body.Type != "Bearer" || body.ExpiresIn != 30 || body.Token == "" {
				t.Errorf("%s, %s = %v, want 200 with a token of 30 s", client, name, got)
			}
		}
	}
}

// TestWindow: a use-token counts from 10 s after it was made until 30 s after.
func TestWindow(t *testing.T) {
	v := newTown(t)
	token, began := v.use(t, "reports"), v.clock.Now()
	for _, tt := range []struct {
		after  time.Duration
		status int
		code   string
	}{
		{0, 401, "unknown_token"}, {9 * time.Second, 401, "unknown_token"}, {9999 * time.Millisecond, 401, "unknown_token"},
		{10 * time.Second, 200, ""}, {20 * time.Second, 200, ""}, {29999 * time.Millisecond, 200, ""},
		{30 * time.Second, 401, "expired_token"}, {time.Hour, 401, "expired_token"},
		{15 * time.Second, 200, ""}, {5 * time.Second, 401, "unknown_token"}, // a clock that was set back
	} {
		v.clock.Set(began.Add(tt.after))
		got := v.get(t, "/report", token)
		if got.status != tt.status || !strings.Contains(got.body, tt.code) || (tt.status == 401) != strings.Contains(got.challenge, `error="invalid_token"`) {
			t.Errorf("%v after it was made: %v, want %d %s", tt.after, got, tt.status, tt.code)
		}
		if tt.status == 200 && got.body != `{"client":"reports","secret_number":42}`+"\n" {
			t.Errorf("%v after it was made the service says %s", tt.after, got.body)
		}
	}
}

// TestTheClientItself calls the service as its program does.
func TestTheClientItself(t *testing.T) {
	v := newTown(t)
	for _, client := range []string{"reports", "billing"} {
		c := v.caller(t, client)
		got, err := c.login(t.Context())
		if err != nil || got.ValidIn != 10 {
			t.Fatalf("login = %+v, %v, want a token that counts in 10 s", got, err)
		}
		if text, err := c.report(t.Context(), got.Token); err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("%s, at once: %s, %v, want 401", client, text, err)
		}
		v.clock.Advance(time.Duration(got.ValidIn) * time.Second)
		if text, err := c.report(t.Context(), got.Token); err != nil || !strings.Contains(string(text), client) {
			t.Errorf("%s, in its time: %s, %v", client, text, err)
		}
	}
	if _, err := newCaller(settings{server: v.url, folder: v.folder, client: "nobody"}, v.clock.Now); err == nil {
		t.Error("a client without a key can sign")
	}
}

// TestAssertionCountsOnce, however many send it at a time, and in whatever way.
func TestAssertionCountsOnce(t *testing.T) {
	v := newTown(t)
	assertion := v.assertion(t, "reports")
	var group sync.WaitGroup
	var mu sync.Mutex
	seen := map[int]int{}
	for range 20 {
		group.Go(func() {
			response, err := http.PostForm(v.url+"/token", url.Values{"grant_type": {grant}, "assertion": {assertion}})
			if err != nil {
				t.Error(err)
				return
			}
			response.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			seen[response.StatusCode]++
		})
	}
	group.Wait()
	if seen[200] != 1 || seen[401] != 19 {
		t.Errorf("20 times one assertion = %v, want 200 once", seen)
	}
	again := url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {assertion}}
	if got := v.post(t, formType, again.Encode()); got.status != 401 {
		t.Errorf("once more, beside another grant: %v, want 401", got)
	}
	v.clock.Advance(30 * time.Second)
	if got := v.grant(t, assertion); got.status != 401 {
		t.Errorf("once more, later: %v, want 401", got)
	}
}

// TestAssertionsThatProveNothing are all answered alike.
func TestAssertionsThatProveNothing(t *testing.T) {
	v := newTown(t)
	now := v.clock.Now()
	reports, billing := v.key(t, "reports"), v.key(t, "billing")
	public, err := reports.JWK()
	if err != nil {
		t.Fatal(err)
	}
	base := func(change func(header, claims map[string]any)) (header, claims map[string]any) {
		header = map[string]any{"alg": "ES256", "kid": reports.ID(), "typ": "JWT"}
		claims = map[string]any{"iss": "reports", "sub": "reports", "aud": v.url, "jti": fmt.Sprint(time.Now().UnixNano()), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
		if change != nil {
			change(header, claims)
		}
		return header, claims
	}
	claim := func(name string, value any) func(_, claims map[string]any) {
		return func(_, claims map[string]any) {
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
		}
	}
	head := func(name string, value any) func(header, _ map[string]any) {
		return func(header, _ map[string]any) { header[name] = value }
	}
	own := signer(t, reports)
	for name, tt := range map[string]struct {
		change func(header, claims map[string]any)
		sign   func([]byte) []byte
	}{
		"of an unknown issuer":          {func(_, c map[string]any) { c["iss"], c["sub"] = "nobody", "nobody" }, own},
		"of a path as its issuer":       {func(_, c map[string]any) { c["iss"], c["sub"] = "../reports", "../reports" }, own},
		"of an issuer about another":    {claim("sub", "billing"), own},
		"of nobody":                     {func(_, c map[string]any) { delete(c, "iss"); delete(c, "sub") }, own},
		"signed by another client":      {nil, func(input []byte) []byte { return signer(t, billing)(input) }},
		"naming another client's key":   {head("kid", billing.ID()), own},
		"naming an unknown key":         {head("kid", "x"), own},
		"naming a path as its key":      {head("kid", "../reports.pem"), own},
		"with its own key inside":       {head("jwk", json.RawMessage(public)), func(input []byte) []byte { return signer(t, billing)(input) }},
		"for another service":           {claim("aud", "http://127.0.0.1:1"), own},
		"for nobody":                    {claim("aud", nil), own},
		"without an id":                 {claim("jti", nil), own},
		"without an end":                {claim("exp", nil), own},
		"that has expired":              {claim("exp", now.Add(-time.Minute).Unix()), own},
		"that expires tomorrow":         {claim("exp", now.Add(24*time.Hour).Unix()), own},
		"of which the time has to come": {claim("nbf", now.Add(40*time.Second).Unix()), own},
		"from the future":               {claim("iat", now.Add(40*time.Second).Unix()), own},
		"of another algorithm":          {head("alg", "RS256"), own},
		"of no algorithm":               {head("alg", "none"), nil},
		"of no algorithm, with a text":  {head("alg", "none"), func([]byte) []byte { return []byte("x") }},
		"HS256 with the public key":     {head("alg", "HS256"), hmacOf(public)},
		"with a broken signature":       {nil, func(input []byte) []byte { s := own(input); s[0] ^= 1; return s }},
	} {
		header, claims := base(tt.change)
		got := v.grant(t, forge(t, header, claims, tt.sign))
		if name == "of no algorithm" && got.status == 400 {
			continue // without a signature it has not even the form
		}
		if got.status != 401 || !strings.Contains(got.body, `"error":"invalid_client"`) || !strings.HasPrefix(got.challenge, "Bearer ") {
			t.Errorf("an assertion %s = %v, want 401 invalid_client", name, got)
		}
	}
	header, claims := base(nil)
	if got := v.grant(t, forge(t, header, claims, own)); got.status != 200 {
		t.Errorf("the same without a fault = %v, want 200", got)
	}
	if got := v.grant(t, v.use(t, "reports")); got.status != 401 {
		t.Errorf("a use-token as an assertion = %v, want 401", got)
	}
}

// TestBrokenRequestsForTokens are 400, never 500.
func TestBrokenRequestsForTokens(t *testing.T) {
	v := newTown(t)
	good := func() string { return url.QueryEscape(v.assertion(t, "reports")) }
	for name, tt := range map[string]struct{ kind, body string }{
		"garbage":                       {"application/octet-stream", "\x00\xff garbage"},
		"garbage in a form":             {formType, "%zz=%"},
		"an empty form":                 {formType, ""},
		"a bare assertion":              {"application/jwt", v.assertion(t, "reports")},
		"no kind of body":               {"", "grant_type=" + grant + "&assertion=" + good()},
		"JSON":                          {"application/json", `{"grant_type":"` + grant + `"}`},
		"an unknown grant":              {formType, "grant_type=password&assertion=" + good()},
		"no assertion":                  {formType, "grant_type=" + grant},
		"an assertion that is none":     {formType, "grant_type=" + grant + "&assertion=garbage"},
		"an assertion twice":            {formType, "grant_type=" + grant + "&assertion=" + good() + "&assertion=" + good()},
		"client_credentials with none":  {formType, "grant_type=client_credentials"},
		"client_credentials by a grant": {formType, "grant_type=client_credentials&assertion=" + good()},
		"another kind of assertion":     {formType, "grant_type=client_credentials&client_assertion_type=saml&client_assertion=" + good()},
	} {
		got := v.post(t, tt.kind, tt.body)
		if got.status != 400 || !strings.Contains(got.body, `"error":"invalid_request"`) {
			t.Errorf("%s = %v, want 400 invalid_request", name, got)
		}
	}
	if got := v.post(t, formType, "grant_type="+grant+"&assertion="+strings.Repeat("x", 70<<10)); got.status != 413 {
		t.Errorf("70 KiB = %v, want 413", got)
	}
	r, err := http.NewRequest("POST", v.url+"/token?grant_type="+grant+"&assertion="+good(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", formType)
	if got := send(t, r); got.status != 400 {
		t.Errorf("an assertion in the query = %v, want 400: queries stand in logs", got)
	}
	if got := v.get(t, "/token", ""); got.status != 401 && got.status != 405 {
		t.Errorf("GET /token = %v, want 401 or 405", got)
	}
}

// TestGetKey tells the keys of clients, and nothing of the files that there are.
func TestGetKey(t *testing.T) {
	v := newTown(t)
	for path, status := range map[string]int{
		"/getkey": 400, "/getkey?identity=": 400, "/getkey?name=reports": 400,
		"/getkey?identity=nobody": 404, "/getkey?identity=../x": 404, "/getkey?identity=../reports": 404, "/getkey?identity=..%2freports": 404,
		"/getkey?identity=reports.jwks": 404, "/getkey?identity=reports.pem": 404, "/getkey?identity=/etc/passwd": 404, "/getkey?identity=reports%00": 404,
		"/getkey?identity=" + url.QueryEscape(v.folder+"/reports"): 404, "/getkey?identity=REPORTS": 404,
		"/getkey/../reports?identity=reports": 400, "/getkey/reports": 401, "/reports.pem": 401,
	} {
		got := v.get(t, path, "")
		if got.status != status || got.kind != "application/problem+json" {
			t.Errorf("GET %s = %v, want a problem %d", path, got, status)
		}
		for _, internal := range []string{"no such file", v.folder, ".jwks", "open ", "directory"} {
			if strings.Contains(got.body, internal) {
				t.Errorf("GET %s tells of %q: %s", path, internal, got.body)
			}
		}
	}
	for _, client := range []string{"reports", "billing"} {
		got := v.get(t, "/getkey?identity="+client, "")
		keys, err := keyring.ParseJWKS([]byte(got.body)) // refuses private ones
		if got.status != 200 || err != nil || len(keys) != 1 || keys[0].ID() != v.key(t, client).ID() {
			t.Errorf("GET /getkey?identity=%s = %v (%v), want its public key", client, got, err)
		}
	}
	if got := v.get(t, "/jwks.json", ""); got.status != 200 || !strings.Contains(got.body, `"kid"`) {
		t.Errorf("GET /jwks.json = %v, want the service's key", got)
	}
}

// TestWhatIsNoUseToken gets nobody in.
func TestWhatIsNoUseToken(t *testing.T) {
	v := newTown(t)
	good := v.use(t, "reports")
	v.clock.Advance(15 * time.Second)
	parts := strings.Split(good, ".")
	var claims map[string]any
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	key, err := v.ring.Signer()
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.JWK()
	if err != nil {
		t.Fatal(err)
	}
	header := func(alg string) map[string]any { return map[string]any{"alg": alg, "kid": key.ID(), "typ": "use+jwt"} }
	typed := func(typ string) map[string]any { return map[string]any{"alg": "ES256", "kid": key.ID(), "typ": typ} }
	for name, token := range map[string]string{
		"an assertion of the client":         v.assertion(t, "reports"),
		"of no algorithm":                    forge(t, header("none"), claims, nil),
		"of no algorithm, with a signature":  forge(t, header("none"), claims, signer(t, key)),
		"HS256 with the public key":          forge(t, header("HS256"), claims, hmacOf(public)),
		"HS256 with the set of keys":         forge(t, header("HS256"), claims, hmacOf([]byte(v.get(t, "/jwks.json", "").body))),
		"HS256 with nothing":                 forge(t, header("HS256"), claims, hmacOf(nil)),
		"signed by a client":                 forge(t, header("ES256"), claims, signer(t, v.key(t, "reports"))),
		"of another type":                    forge(t, typed("at+jwt"), claims, signer(t, key)),
		"of no type":                         forge(t, typed(""), claims, signer(t, key)),
		"without its signature":              parts[0] + "." + parts[1] + ".",
		"with the signature of another part": parts[0] + "." + parts[1] + "." + strings.Split(v.use(t, "reports"), ".")[2],
		"garbage":                            "garbage",
	} {
		got := v.get(t, "/report", token)
		if got.status != 401 || !strings.Contains(got.challenge, `error="invalid_token"`) {
			t.Errorf("a token %s = %v, want 401 invalid_token", name, got)
		}
	}
	if got := v.get(t, "/report", ""); got.status != 401 || strings.Contains(got.challenge, "error=") {
		t.Errorf("no token = %v, want 401 without an error", got)
	}
	if got := v.get(t, "/report?access_token="+good, ""); got.status != 401 {
		t.Errorf("a token in the query = %v, want 401", got)
	}
	if got := v.get(t, "/report", good); got.status != 200 {
		t.Errorf("the token itself = %v, want 200", got)
	}
}

// TestWhoIsNoClientAnyMore is refused, with a token that would still count.
func TestWhoIsNoClientAnyMore(t *testing.T) {
	v := newTown(t)
	token := v.use(t, "reports")
	v.clock.Advance(15 * time.Second)
	if got := v.get(t, "/report", token); got.status != 200 {
		t.Fatalf("a client's token = %v, want 200", got)
	}
	delete(v.clients, "reports")
	if got := v.get(t, "/report", token); got.status != 401 || !strings.Contains(got.challenge, `error="invalid_token"`) {
		t.Errorf("a former client's token = %v, want 401", got)
	}
	if got := v.grant(t, v.assertion(t, "reports")); got.status != 401 {
		t.Errorf("a former client's assertion = %v, want 401", got)
	}
}

// TestKeys: names are names, keys are not replaced, and a private key is not published.
func TestKeys(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "keys")
	for _, name := range []string{"", ".", "..", "../x", "a/b", "A", "a b", "a\x00", "-a", strings.Repeat("a", 65)} {
		if err := makeKey(folder, name, keyring.ES256, io.Discard); err == nil {
			t.Errorf("makeKey(%q) = nil, want an error", name)
		}
	}
	if err := makeKey(folder, "reports", keyring.HS256, io.Discard); err == nil {
		t.Error("makeKey(HS256) = nil, want an error: a service must not have what its clients sign with")
	}
	if _, err := readRegistry(folder); err == nil {
		t.Error("readRegistry of no folder = nil, want an error: a service without clients is a mistake")
	}
	if err := makeKey(folder, "reports", keyring.ES256, io.Discard); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(folder, "reports.pem"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the private key: %v, %v, want mode 0600", info.Mode(), err)
	}
	if err := makeKey(folder, "reports", keyring.ES256, io.Discard); err == nil {
		t.Error("makeKey replaces a key")
	}
	private := `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}]}`
	if err := os.WriteFile(filepath.Join(folder, "careless.jwks"), []byte(private), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readRegistry(folder); err == nil || !strings.Contains(err.Error(), "careless.jwks") || strings.Contains(err.Error(), "nWGxne") {
		t.Errorf("readRegistry with a private key = %v, want an error that names the file and shows no key", err)
	}
}

// A tap gives what the program writes to who waits for it.
type tap struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (p *tap) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.more <- struct{}{}:
	default:
	}
	return p.text.Write(b)
}

// until waits until the output has a text, and returns all of it.
func (p *tap) until(t *testing.T, text string, ended <-chan error) string {
	t.Helper()
	for {
		p.mu.Lock()
		all := p.text.String()
		p.mu.Unlock()
		if strings.Contains(all, text) {
			return all
		}
		select {
		case <-p.more:
		case err := <-ended:
			t.Fatalf("it ended with %v before it wrote %q:\n%s", err, text, all)
		}
	}
}

// TestProgram runs the service and a client of it as they are started.
func TestProgram(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "keys")
	ctx, cancel := context.WithCancel(t.Context())
	out, ended := &tap{more: make(chan struct{}, 1)}, make(chan error, 1)
	go func() { ended <- run(ctx, []string{"-addr", "127.0.0.1:0", "-keys", folder}, out) }()
	text := out.until(t, "all of it in one\n", ended)
	_, rest, _ := strings.Cut(text, "listening on ")
	server, _, _ := strings.Cut(rest, "\n")
	if !strings.Contains(text, "made "+folder) || !strings.HasPrefix(server, "http://127.0.0.1:") || !strings.Contains(text, "SERVICE="+server+"\n") {
		t.Errorf("the service prints\n%s", text)
	}
	var assertion bytes.Buffer
	if err := run(ctx, []string{"sign", "-keys", folder, "-server", server}, &assertion); err != nil || strings.Count(assertion.String(), ".") != 2 {
		t.Errorf("sign prints %q, %v, want an assertion", &assertion, err)
	}
	calling, stop := context.WithCancel(t.Context())
	caller, done := &tap{more: make(chan struct{}, 1)}, make(chan error, 1)
	go func() { done <- run(calling, []string{"call", "-keys", folder, "-server", server}, caller) }()
	caller.until(t, "got a token that counts in 10s\n", done)
	stop() // it waits for the window
	if err := <-done; err == nil {
		t.Error("call has not waited until its token counts")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the service ends with %v", err)
	}
	for _, args := range [][]string{{"nonsense"}, {"-nonsense"}, {"call", "-keys", folder, "-client", "nobody"}, {"-addr", "127.0.0.1:70000", "-keys", folder}, {"key", "-keys", folder, "-client", "../x"}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("run(%q) = nil, want an error", args)
		}
	}
	if err := run(t.Context(), []string{"key", "-keys", folder, "-client", "billing", "-alg", "RS256"}, io.Discard); err != nil {
		t.Errorf("key = %v", err)
	}
}
