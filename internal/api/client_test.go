package api_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/api"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/token"
)

// encoded is HTTP Basic of two texts as they stand.
func encoded(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

// TestClientAuthentication: every endpoint takes each way, one at a time, and nothing else.
func TestClientAuthentication(t *testing.T) {
	d := newDesk(t, setting{})
	secret := "reports" + secretOf
	for path, f := range forms {
		signed := func() string { return d.signed(d.assertion(), d.worker) }
		for name, tt := range map[string]struct {
			header string
			form   form
			status int
			code   string
		}{
			"Basic":                                 {basic("reports"), nil, 200, ""},
			"Basic in another case":                 {"bASIC " + basic("reports")[6:], nil, 200, ""},
			"Basic and the client's name":           {basic("reports"), form{"client_id", "reports"}, 200, ""},
			"a secret in the form":                  {"", form{"client_id", "reports", "client_secret", secret}, 200, ""},
			"an assertion":                          {"", form{"client_assertion_type", byAssertion, "client_assertion", signed()}, 200, ""},
			"an assertion and the client's name":    {"", form{"client_id", "worker", "client_assertion_type", byAssertion, "client_assertion", signed()}, 200, ""},
			"nothing":                               {"", nil, 401, "invalid_client"},
			"a name alone":                          {"", form{"client_id", "reports"}, 401, "invalid_client"},
			"a wrong secret":                        {encoded("reports", secret+"x"), nil, 401, "invalid_client"},
			"a secret cut by one":                   {encoded("reports", secret[:len(secret)-1]), nil, 401, "invalid_client"},
			"no secret":                             {encoded("reports", ""), nil, 401, "invalid_client"},
			"another client's secret":               {encoded("other", secret), nil, 401, "invalid_client"},
			"the hash of the secret":                {encoded("reports", string(hashOf(secret))), nil, 401, "invalid_client"},
			"nobody's hash":                         {encoded("ghost", strings.Repeat("\x00", 32)), nil, 401, "invalid_client"},
			"a client that there is not":            {encoded("ghost", secret), nil, 401, "invalid_client"},
			"no name":                               {encoded("", secret), nil, 401, "invalid_client"},
			"a name in another case":                {encoded("Reports", secret), nil, 401, "invalid_client"},
			"a client that has no secret":           {encoded("worker", "worker"+secretOf), nil, 401, "invalid_client"},
			"a client that has no secret, and none": {encoded("worker", ""), nil, 401, "invalid_client"},
			"a secret in the form, wrong":           {"", form{"client_id", "reports", "client_secret", "x"}, 401, "invalid_client"},
			"a secret without a name":               {"", form{"client_secret", secret}, 401, "invalid_client"},
			"Basic without a colon":                 {"Basic " + base64.StdEncoding.EncodeToString([]byte("reports")), nil, 401, "invalid_client"},
			"Basic that is no base64":               {"Basic §§§", nil, 401, "invalid_client"},
			"Basic and nothing":                     {"Basic", nil, 401, "invalid_client"},
			"another scheme":                        {"Token token1", nil, 401, "invalid_client"},
			"its own access token":                  {"Bearer " + d.token("reports"), nil, 401, "invalid_client"},
			"Basic and another name":                {basic("reports"), form{"client_id", "other"}, 401, "invalid_client"},
			"an assertion and another name":         {"", form{"client_id", "reports", "client_assertion_type", byAssertion, "client_assertion", signed()}, 401, "invalid_client"},
			"Basic, and the secret":                 {basic("reports"), form{"client_id", "reports", "client_secret", secret}, 400, "invalid_request"},
			"Basic, and an assertion":               {basic("worker"), form{"client_assertion_type", byAssertion, "client_assertion", signed()}, 400, "invalid_request"},
			"Basic, and the type of an assertion":   {basic("reports"), form{"client_assertion_type", byAssertion}, 400, "invalid_request"},
			"the secret, and an assertion":          {"", form{"client_secret", "worker" + secretOf, "client_assertion_type", byAssertion, "client_assertion", signed()}, 400, "invalid_request"},
			"an access token, and the secret":       {"Bearer x", form{"client_id", "reports", "client_secret", secret}, 400, "invalid_request"},
			"an assertion without its type":         {"", form{"client_assertion", signed()}, 400, "invalid_request"},
			"an assertion of another type":          {"", form{"client_assertion", signed(), "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}, 400, "invalid_request"},
			"the type of an assertion":              {"", form{"client_assertion_type", byAssertion}, 400, "invalid_request"},
			"an assertion that is garbage":          {"", form{"client_assertion_type", byAssertion, "client_assertion", "garbage"}, 400, "invalid_request"},
		} {
			got := d.post(path, tt.header, append(append(form{}, f...), tt.form...))
			if got.status != tt.status || tt.status != 200 && got.error() != tt.code {
				t.Errorf("POST %s with %s = %d %s, want %d %s", path, name, got.status, got.body, tt.status, tt.code)
			}
			if got.status == 401 && got.header.Get("Www-Authenticate") != `Basic realm="gatehouse", charset="UTF-8"` {
				t.Errorf("POST %s with %s challenges with %q", path, name, got.header.Values("Www-Authenticate"))
			}
		}
	}
}

func hashOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// TestTwoAuthorizations: of two headers nobody knows which one counts.
func TestTwoAuthorizations(t *testing.T) {
	d := newDesk(t, setting{})
	for path, f := range forms {
		r := httptest.NewRequest("POST", path, strings.NewReader(f.encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header["Authorization"] = []string{basic("reports"), basic("reports")}
		if got := d.send(r); got.status != 400 {
			t.Errorf("POST %s with two = %d %s, want 400", path, got.status, got.body)
		}
	}
}

// TestWhoIsNotAClientCannotBeSeen: a client that there is not, one that has no secret, and a wrong secret are answered byte for byte alike.
func TestWhoIsNotAClientCannotBeSeen(t *testing.T) {
	d := newDesk(t, setting{})
	for path, f := range forms {
		var first answer
		for i, header := range []string{encoded("reports", "wrong-secret-of-this-client"), encoded("ghost", "wrong-secret-of-this-client"), encoded("worker", "wrong-secret-of-this-client"),
			encoded("reports", ""), encoded("", ""), encoded("\x00", "\xff")} {
			got := d.post(path, header, f)
			got.header.Del("X-Request-Id")
			if i == 0 {
				first = got
			}
			if got.status != 401 || got.body != first.body || !maps.EqualFunc(got.header, first.header, func(a, b []string) bool { return strings.Join(a, "\n") == strings.Join(b, "\n") }) {
				t.Errorf("POST %s: attempt %d = %d %s %v, want what a wrong secret gives: %d %s %v", path, i, got.status, got.body, got.header, first.status, first.body, first.header)
			}
		}
	}
}

// TestSecretsInBothSpellings: RFC 6749 wants names and secrets form-encoded within Basic, which few clients do.
func TestSecretsInBothSpellings(t *testing.T) {
	d := newDesk(t, setting{})
	for _, secret := range []string{"plain", "a+b/c==", "a b", "100%", "%41", "ü", "a:b:c", "%zz+"} {
		d.clients["odd"] = api.Client{Client: token.Client{ID: "odd", Secrets: [][sha256.Size]byte{sha256.Sum256([]byte(secret))}}}
		for spelling, header := range map[string]string{"as it stands": encoded("odd", secret), "form-encoded": encoded("odd", form{"", secret}.encode()[1:])} {
			if got := d.post("/oauth/token", header, forms["/oauth/token"]); got.status != 200 {
				t.Errorf("the secret %q %s = %d %s, want 200", secret, spelling, got.status, got.body)
			}
		}
		if got := d.post("/oauth/token", encoded("odd", secret+"x"), forms["/oauth/token"]); got.status != 401 {
			t.Errorf("another secret than %q = %d %s, want 401", secret, got.status, got.body)
		}
	}
}

// TestClientsChangeTheirSecrets: while a client changes, both secrets count.
func TestClientsChangeTheirSecrets(t *testing.T) {
	d := newDesk(t, setting{})
	d.clients["both"] = api.Client{Client: token.Client{ID: "both", Secrets: [][sha256.Size]byte{sha256.Sum256([]byte("old")), sha256.Sum256([]byte("new"))}}}
	for secret, want := range map[string]int{"old": 200, "new": 200, "oldnew": 401, "": 401} {
		if got := d.post("/oauth/token", encoded("both", secret), forms["/oauth/token"]); got.status != want {
			t.Errorf("the secret %q = %d %s, want %d", secret, got.status, got.body, want)
		}
	}
}

// TestGuessingStops: wrong secrets use up the budget of an address, which is stopped at every endpoint then, whatever it sends; what is merely filled in wrong costs nothing.
func TestGuessingStops(t *testing.T) {
	var d *desk
	for name, guess := range map[string]func() answer{
		"a wrong secret":    func() answer { return d.post("/oauth/token", encoded("reports", "x"), forms["/oauth/token"]) },
		"an unknown client": func() answer { return d.post("/oauth/introspect", encoded("ghost", "x"), forms["/oauth/introspect"]) },
		"an unsigned assertion": func() answer {
			return d.post("/oauth/token", "", form{"grant_type", jwtBearer, "assertion", d.forged()})
		},
		"a made-up refresh token": func() answer {
			return d.post("/oauth/token", "", form{"grant_type", "refresh_token", "refresh_token", "x"})
		},
		"a made-up access token": func() answer { return d.get("/oauth/revocations", "Authorization", "Bearer x.y.z") },
		"no right":               func() answer { return d.get("/oauth/revocations", "Authorization", basic("reports")) },
	} {
		d = newDesk(t, setting{guard: limited(3)})
		for range 5 { // no guesses
			if got := d.post("/oauth/token", basic("reports"), nil); got.status != 400 {
				t.Fatalf("a form that is filled in wrong = %d, want 400", got.status)
			}
		}
		for range 3 {
			if got := guess(); got.status == 429 || got.status < 400 {
				t.Errorf("%s within the budget = %d %s, want a refusal", name, got.status, got.body)
			}
		}
		for path, f := range forms {
			if got := d.post(path, basic("reports"), f); got.status != 429 || got.member("code") != "too_many_requests" {
				t.Errorf("%s: POST %s after the budget = %d %s, want 429", name, path, got.status, got.body)
			}
		}
		for _, path := range []string{"/oauth/revocations", "/.well-known/jwks.json"} {
			if got := d.send(d.request("HEAD", path, "Authorization", basic("watcher"))); got.status != 429 {
				t.Errorf("%s: HEAD %s after the budget = %d %s, want 429", name, path, got.status, got.body)
			}
		}
		d.later(time.Minute)
		if got := d.post("/oauth/token", basic("reports"), forms["/oauth/token"]); got.status != 200 {
			t.Errorf("%s: a minute later = %d %s, want 200", name, got.status, got.body)
		}
	}
}

// forged is an assertion that nobody has signed.
func (d *desk) forged() string {
	text := d.signed(d.assertion(), d.worker)
	return text[:len(text)-8] + "AAAAAAAA"
}

// TestClientsThatCannotBeFound: a registry that does not answer is no refusal.
func TestClientsThatCannotBeFound(t *testing.T) {
	d := newDesk(t, setting{})
	d.store.lose("Client")
	for path, f := range forms {
		for name, got := range map[string]answer{
			"Basic":        d.post(path, basic("reports"), f),
			"a form":       d.post(path, "", append(form{"client_id", "reports", "client_secret", "x"}, f...)),
			"an assertion": d.post(path, "", append(form{"client_assertion_type", byAssertion, "client_assertion", d.signed(d.assertion(), d.worker)}, f...)),
		} {
			if !got.is(503, "temporarily_unavailable") || got.header.Get("Www-Authenticate") != "" {
				t.Errorf("POST %s with %s = %d %s, want 503", path, name, got.status, got.body)
			}
		}
	}
	if got := d.get("/oauth/revocations", "Authorization", basic("watcher")); got.status != 503 {
		t.Errorf("GET /oauth/revocations = %d %s, want 503", got.status, got.body)
	}
}

// TestAssertions: what a client has to sign to be known by it, as the grant of RFC 7523 and as its proof at every endpoint.
func TestAssertions(t *testing.T) {
	d := newDesk(t, setting{})
	stranger := must[*keyring.Key](t)(keyring.Generate(keyring.ES256))
	now := d.Now().Unix()
	good := d.signed(d.assertion(), d.worker)
	pem := must[[]byte](t)(d.worker.PublicPEM())
	jwk := must[[]byte](t)(d.worker.Public().JWK())
	head := func(alg string) string { return segment(map[string]string{"alg": alg, "kid": d.worker.ID()}) }
	hmacked := func(key []byte) string {
		input := head("HS256") + "." + segment(d.assertion())
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(input))
		return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	for name, tt := range map[string]struct {
		text   string
		status int
	}{
		"for the issuer":                  {d.signed(d.assertion(), d.worker), 200},
		"for the token endpoint":          {d.signed(d.assertion("aud", tokenURL), d.worker), 200},
		"by both of our names":            {d.signed(d.assertion("aud", []string{tokenURL, issuer}), d.worker), 200},
		"for another server as well":      {d.signed(d.assertion("aud", []string{issuer, "https://x.example"}), d.worker), 401},
		"with when it was made":           {d.signed(d.assertion("iat", now, "nbf", now), d.worker), 200},
		"with what nobody asks for":       {d.signed(d.assertion("colour", "red"), d.worker), 200},
		"with a type":                     {d.signed(d.assertion(), d.worker, "typ", "JWT"), 200},
		"without the key's name":          {d.signed(d.assertion(), d.worker, "kid", ""), 200}, // there is one only
		"just expired":                    {d.signed(d.assertion("exp", now-29), d.worker), 200},
		"of an unknown issuer":            {d.signed(d.assertion("iss", "ghost", "sub", "ghost"), d.worker), 401},
		"of a client without keys":        {d.signed(d.assertion("iss", "reports", "sub", "reports"), d.worker), 401},
		"about another client":            {d.signed(d.assertion("sub", "reports"), d.worker), 401},
		"about a person":                  {d.signed(d.assertion("sub", "jack"), d.worker), 401},
		"by another client":               {d.signed(d.assertion("iss", "reports"), d.worker), 401},
		"by a path":                       {d.signed(d.assertion("iss", "../worker", "sub", "../worker"), d.worker), 401},
		"by nobody":                       {d.signed(d.assertion("iss", nil), d.worker), 401},
		"about nobody":                    {d.signed(d.assertion("sub", nil), d.worker), 401},
		"for nobody":                      {d.signed(d.assertion("aud", nil), d.worker), 401},
		"for somebody else":               {d.signed(d.assertion("aud", "https://other.example"), d.worker), 401},
		"for a path below":                {d.signed(d.assertion("aud", issuer+"/"), d.worker), 401},
		"without an id":                   {d.signed(d.assertion("jti", nil), d.worker), 401},
		"with an empty id":                {d.signed(d.assertion("jti", ""), d.worker), 401},
		"with an id without end":          {d.signed(d.assertion("jti", strings.Repeat("x", 257)), d.worker), 401},
		"for ever":                        {d.signed(d.assertion("exp", nil), d.worker), 401},
		"for a day":                       {d.signed(d.assertion("exp", now+86_400), d.worker), 401},
		"expired":                         {d.signed(d.assertion("exp", now-30), d.worker), 401},
		"not yet":                         {d.signed(d.assertion("nbf", now+31), d.worker), 401},
		"made in the future":              {d.signed(d.assertion("iat", now+31), d.worker), 401},
		"signed by a stranger":            {d.signed(d.assertion(), stranger), 401},
		"by a stranger in the key's name": {d.signed(d.assertion(), stranger, "kid", d.worker.ID()), 401},
		"by a stranger without a name":    {d.signed(d.assertion(), stranger, "kid", ""), 401},
		"naming a key that there is not":  {d.signed(d.assertion(), d.worker, "kid", "x"), 401},
		"with a changed signature":        {d.forged(), 401},
		"HS256 with the public key's PEM": {hmacked(pem), 401},
		"HS256 with the public JWK":       {hmacked(jwk), 401},
		"HS256 with nothing":              {hmacked(nil), 401},
		"alg none, signed all the same":   {head("none") + "." + segment(d.assertion()) + "." + strings.Split(good, ".")[2], 401},
		"alg none":                        {head("none") + "." + segment(d.assertion()) + ".", 401},
		"alg NONE without a third part":   {head("NONE") + "." + segment(d.assertion()), 400},
		"garbage":                         {"garbage", 400},
		"three parts of garbage":          {"a.b.c", 400},
		"dots":                            {strings.Repeat(".", 10_000), 400},
		"longer than 8 KiB":               {d.signed(d.assertion("colour", strings.Repeat("x", 9000)), d.worker), 400},
		"five parts":                      {good + ".x.y", 400},
		"no object":                       {strings.Split(good, ".")[0] + "." + segment([]int{1}) + "." + strings.Split(good, ".")[2], 400},
		"an exp that is a text":           {d.signed(d.assertion("exp", "tomorrow"), d.worker), 400},
		"an extension that is critical":   {d.signed(d.assertion(), d.worker, "crit", "x"), 400},
		"a member twice":                  {twice(d), 400},
		"an access token":                 {d.token("reports"), 401},
	} {
		for way, f := range map[string]form{
			"the grant": {"grant_type", jwtBearer, "assertion", tt.text},
			"the proof": {"grant_type", "client_credentials", "client_assertion_type", byAssertion, "client_assertion", tt.text},
		} {
			if tt.status == 200 && way == "the proof" {
				continue // it counts once: see below
			}
			got := d.post("/oauth/token", "", f)
			if got.status != tt.status || tt.status == 401 && got.error() != "invalid_client" || tt.status == 400 && got.error() != "invalid_request" {
				t.Errorf("an assertion %s as %s = %d %s, want %d", name, way, got.status, got.body, tt.status)
			}
		}
	}
	for i, want := range []int{200, 401, 401} {
		if got := d.post("/oauth/token", "", form{"grant_type", jwtBearer, "assertion", good}); got.status != want {
			t.Errorf("an assertion for the %d. time = %d %s, want %d", i+1, got.status, got.body, want)
		}
	}
	for path, f := range forms {
		if got := d.post(path, "", append(form{"client_assertion_type", byAssertion, "client_assertion", d.signed(d.assertion(), d.worker)}, f...)); got.status != 200 {
			t.Errorf("an assertion as the proof at %s = %d %s, want 200", path, got.status, got.body)
		}
	}
	if got := d.post("/oauth/token", "", form{"grant_type", jwtBearer}); !got.is(400, "invalid_request") {
		t.Errorf("the grant without an assertion = %d %s, want 400 invalid_request", got.status, got.body)
	}
}

// twice is an assertion in which a member comes twice.
func twice(d *desk) string {
	input := segment(map[string]string{"alg": "ES256", "kid": d.worker.ID()}) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"worker","iss":"worker","sub":"worker","aud":"`+issuer+`","jti":"x","exp":`+"99999999999}"))
	signature, err := d.worker.Sign(nil, []byte(input))
	d.load(err)
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// TestAssertionsWithOtherProofs: whoever authenticates besides an assertion must be right, and the one that the assertion is about.
func TestAssertionsWithOtherProofs(t *testing.T) {
	d := newDesk(t, setting{})
	worker := d.clients["worker"]
	worker.Secrets = [][sha256.Size]byte{sha256.Sum256([]byte("worker" + secretOf))}
	d.clients["worker"] = worker
	for name, tt := range map[string]struct {
		header string
		form   form
		status int
		code   string
	}{
		"nobody":                          {"", nil, 200, ""},
		"the same client":                 {basic("worker"), nil, 200, ""},
		"the same client's name":          {"", form{"client_id", "worker"}, 200, ""},
		"the same, with another proof":    {"", form{"client_assertion_type", byAssertion, "client_assertion", d.signed(d.assertion(), d.worker)}, 200, ""},
		"another client":                  {basic("reports"), nil, 401, "invalid_client"},
		"another client's name":           {"", form{"client_id", "reports"}, 401, "invalid_client"},
		"the same, with a wrong secret":   {encoded("worker", "x"), nil, 401, "invalid_client"},
		"the same, in two ways":           {basic("worker"), form{"client_id", "worker", "client_secret", "worker" + secretOf}, 400, "invalid_request"},
		"a client that there is not":      {encoded("ghost", "x"), nil, 401, "invalid_client"},
		"the same assertion as its proof": {"", form{"client_assertion_type", byAssertion, "client_assertion", "same"}, 401, "invalid_client"},
	} {
		text := d.signed(d.assertion(), d.worker)
		if name == "the same assertion as its proof" {
			tt.form[3] = text
		}
		got := d.post("/oauth/token", tt.header, append(form{"grant_type", jwtBearer, "assertion", text}, tt.form...))
		if got.status != tt.status || got.status != 200 && got.error() != tt.code {
			t.Errorf("an assertion beside %s = %d %s, want %d %s", name, got.status, got.body, tt.status, tt.code)
		}
	}
}

// TestAssertionsCountOnce: of many that bring the same assertion at once, by either way and at every endpoint, one is known.
func TestAssertionsCountOnce(t *testing.T) {
	d := newDesk(t, setting{})
	text := d.signed(d.assertion(), d.worker)
	var known atomic.Int32
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			var got answer
			switch i % 3 {
			case 0:
				got = d.post("/oauth/token", "", form{"grant_type", jwtBearer, "assertion", text})
			case 1:
				got = d.post("/oauth/token", "", form{"grant_type", "client_credentials", "client_assertion_type", byAssertion, "client_assertion", text})
			default:
				got = d.post("/oauth/introspect", "", form{"token", "x", "client_assertion_type", byAssertion, "client_assertion", text})
			}
			if got.status == 200 {
				known.Add(1)
			} else if !got.is(401, "invalid_client") {
				t.Errorf("the same assertion = %d %s, want 401 invalid_client", got.status, got.body)
			}
		})
	}
	all.Wait()
	if known.Load() != 1 {
		t.Errorf("the same assertion counted %d times, want once", known.Load())
	}
	d.later(90 * time.Second) // its exp is over, its leeway just about
	if got := d.post("/oauth/token", "", form{"grant_type", jwtBearer, "assertion", text}); got.status != 401 {
		t.Errorf("the same assertion later = %d, want 401", got.status)
	}
}

// TestAssertionsThatCannotBeRemembered: an assertion counts only if it is certain that it will not count again.
func TestAssertionsThatCannotBeRemembered(t *testing.T) {
	d := newDesk(t, setting{})
	d.store.lose("Create")
	text := d.signed(d.assertion(), d.worker)
	if got := d.post("/oauth/token", "", form{"grant_type", jwtBearer, "assertion", text}); !got.is(503, "temporarily_unavailable") || got.header.Get("Retry-After") == "" {
		t.Errorf("an assertion while the store is away = %d %s, want 503", got.status, got.body)
	}
	d.store.lose()
	if got := d.post("/oauth/token", "", form{"grant_type", jwtBearer, "assertion", text}); got.status != http.StatusOK {
		t.Errorf("the same when it is back = %d %s, want 200", got.status, got.body)
	}
}

// TestAssertionsAreNoTokens: what proves a client to us opens nothing else.
func TestAssertionsAreNoTokens(t *testing.T) {
	d := newDesk(t, setting{})
	text := d.signed(d.assertion(), d.worker)
	if got := d.get("/ping", "Authorization", "Bearer "+text); got.status != 401 || !strings.Contains(got.header.Get("Www-Authenticate"), `error="invalid_token"`) {
		t.Errorf("GET /ping with an assertion = %d %v, want 401 invalid_token", got.status, got.header)
	}
	if got := d.get("/oauth/revocations", "Authorization", "Bearer "+text); !got.is(401, "invalid_token") {
		t.Errorf("GET /oauth/revocations with an assertion = %d %s, want 401 invalid_token", got.status, got.body)
	}
	if got := d.post("/oauth/token", "", form{"grant_type", "refresh_token", "refresh_token", text}); !got.is(400, "invalid_grant") {
		t.Errorf("an assertion in place of a refresh token = %d %s, want 400 invalid_grant", got.status, got.body)
	}
}
