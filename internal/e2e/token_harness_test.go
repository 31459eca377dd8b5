package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/store/sqlite"
)

// What testdata/binary/tokens.yaml says.
const (
	accessSecret = "these tests sign their tokens with this"
	clientSecret = "a-client-secret-that-is-long"
	ourIssuer    = "https://issuer.example"
	ourAudience  = "https://app.example"
)

// A part is the header or the claims of a JWT.
type part = map[string]any

// A sign makes the signature of what stands in front of it. Nil: there is none. Tokens are written here without any code of Gatehouse, so that a mistake is not
// made on both sides.
type sign func(signed string) []byte

func hs256(secret string) sign {
	return func(signed string) []byte {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(signed))
		return mac.Sum(nil)
	}
}

func es256(key *ecdsa.PrivateKey) sign {
	return func(signed string) []byte {
		sum := sha256.Sum256([]byte(signed))
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		if err != nil {
			panic(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
}

func rs256(key *rsa.PrivateKey) sign {
	return func(signed string) []byte {
		sum := sha256.Sum256([]byte(signed))
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		if err != nil {
			panic(err)
		}
		return signature
	}
}

var encode = base64.RawURLEncoding.EncodeToString

// jwt writes a compact JWS.
func jwt(t *testing.T, header, claims any, s sign) string {
	t.Helper()
	head, err1 := json.Marshal(header)
	body, err2 := json.Marshal(claims)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return rawJWT(string(head), string(body), s)
}

// rawJWT is jwt of two texts, which need not be JSON.
func rawJWT(header, claims string, s sign) string {
	signed := encode([]byte(header)) + "." + encode([]byte(claims))
	if s == nil {
		return signed + "."
	}
	return signed + "." + encode(s(signed))
}

// parts returns what a JWT says, unverified.
func parts(t *testing.T, token string) (header, claims part) {
	t.Helper()
	texts := strings.Split(token, ".")
	if len(texts) != 3 {
		t.Fatalf("%.20s… has %d parts, want the three of a JWT", token, len(texts))
	}
	for i, into := range []*part{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(texts[i])
		if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			t.Fatalf("part %d of a JWT: %v: %q", i, err, text)
		}
	}
	return header, claims
}

// An edit changes a token before it is signed.
type edit func(header, claims part)

func claim(name string, value any) edit    { return func(_, c part) { c[name] = value } }
func noClaim(name string) edit             { return func(_, c part) { delete(c, name) } }
func inHeader(name string, value any) edit { return func(h, _ part) { h[name] = value } }
func noHeader(name string) edit            { return func(h, _ part) { delete(h, name) } }

// in is a time as a claim says it: seconds from now, which may be negative.
func in(d time.Duration) int64 { return time.Now().Add(d).Unix() }

// A mint is a running gatehouse that makes and takes tokens, with an application behind it.
type mint struct {
	*gate
	app *app
	env []string // what the commands see besides
	kid string   // of the key that signs access tokens now
}

// beginMint starts a gatehouse with a configuration.
func beginMint(t *testing.T, config string, env ...string) *mint {
	t.Helper()
	return beginMintIn(t, shortDir(t), config, env...)
}

// beginMintIn is beginMint in a folder that may have a database already.
func beginMintIn(t *testing.T, dir, config string, env ...string) *mint {
	t.Helper()
	a := startApp(t)
	m := &mint{app: a, env: append([]string{"APP=http://" + a.addr}, env...)}
	m.gate = beginIn(t, dir, config, m.env...)
	header, _ := parts(t, m.issue(t, "--subject", "kid"))
	m.kid = fmt.Sprint(header["kid"])
	return m
}

// command runs a command beside the server, with its configuration.
func (m *mint) command(t *testing.T, args ...string) outcome {
	t.Helper()
	return gatehouse(t, m.dir, m.env, args...)
}

// done runs a command that must succeed and returns what it printed, without the line end.
func (m *mint) done(t *testing.T, args ...string) string {
	t.Helper()
	got := m.command(t, args...)
	if got.code != 0 {
		t.Fatalf("gatehouse %q: code %d: %s%s", args, got.code, got.stdout, got.stderr)
	}
	return strings.TrimSuffix(got.stdout, "\n")
}

// issue makes a token with the command for it.
func (m *mint) issue(t *testing.T, args ...string) string {
	t.Helper()
	return m.done(t, append([]string{"token", "issue"}, args...)...)
}

// own forges an access token of jack's, whose role is basic, with the server's own secret. Without edits it is as good as those that the server makes.
func (m *mint) own(t *testing.T, edits ...edit) string {
	t.Helper()
	header := part{"alg": "HS256", "kid": m.kid, "typ": "at+jwt"}
	return jwt(t, header, edited(header, edits), hs256(accessSecret))
}

// edited returns the claims of a good token with the edits, which may change the header as well.
func edited(header part, edits []edit) part {
	id := rand.Text()
	claims := part{"iss": ourIssuer, "aud": ourAudience, "sub": "jack", "jti": id, "sid": id, "iat": in(0), "exp": in(10 * time.Minute), "roles": []string{"basic"}}
	for _, e := range edits {
		e(header, claims)
	}
	return claims
}

// bearer is the header field that carries a token.
func bearer(token string) string { return "Authorization: Bearer " + token }

// A form is what a client posts.
type form = map[string]string

// with returns f with more in it.
func with(f form, more form) form {
	all := maps.Clone(f)
	maps.Copy(all, more)
	return all
}

// post sends a form to an endpoint for clients, whose answer must keep what holds for all of them.
func (m *mint) post(t *testing.T, path string, f form, fields ...string) reply {
	t.Helper()
	values := url.Values{}
	for name, value := range f {
		values.Set(name, value)
	}
	return m.postRaw(t, path, values.Encode(), fields...)
}

// postRaw is post of a body as it is.
func (m *mint) postRaw(t *testing.T, path, body string, fields ...string) reply {
	t.Helper()
	fields = append([]string{"Content-Type: application/x-www-form-urlencoded", fmt.Sprintf("Content-Length: %d", len(body))}, fields...)
	got := exchange(t, m.addr, request("POST "+path, fields...)+body)
	lawfulForClients(t, "POST "+path, got)
	return got
}

// lawfulForClients fails unless an answer to a client keeps what holds for all of them: RFC 6749, section 5.
func lawfulForClients(t *testing.T, asked string, got reply) {
	t.Helper()
	h := got.header
	if h.Get("Cache-Control") != "no-store" || h.Get("X-Request-Id") == "" || h.Get("Server") != "" {
		t.Errorf("%s: Cache-Control %q, X-Request-Id %q, Server %q: want no-store, one, and none", asked, h.Get("Cache-Control"), h.Get("X-Request-Id"), h.Get("Server"))
	}
	if got.status == http.StatusUnauthorized && h.Get("WWW-Authenticate") == "" {
		t.Errorf("%s: 401 without a challenge", asked)
	}
	if got.status == http.StatusServiceUnavailable && h.Get("Retry-After") == "" {
		t.Errorf("%s: 503 without Retry-After", asked)
	}
	if got.status == http.StatusOK && got.body == "" {
		return // revoked
	}
	if kind := h.Get("Content-Type"); kind != "application/json" && h.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s: %d of the type %q, want JSON", asked, got.status, kind)
	}
	if got.status >= 400 && oauthError(got) == "" && h.Get("Content-Type") == "application/json" {
		t.Errorf("%s: %d %q, want an error of RFC 6749", asked, got.status, got.body)
	}
}

// oauthError returns the error that an answer names, or "".
func oauthError(got reply) string {
	var body struct{ Error string }
	_ = json.Unmarshal([]byte(got.body), &body)
	return body.Error
}

// A grant is what the token endpoint gives.
type grant struct {
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"`
	Type      string `json:"token_type"`
	ExpiresIn int    `json:"expires_in"`
	Scope     string `json:"scope"`
}

// granted reads an answer that must be a grant.
func granted(t *testing.T, got reply) grant {
	t.Helper()
	var g grant
	if err := json.Unmarshal([]byte(got.body), &g); err != nil || got.status != http.StatusOK || g.Access == "" || g.Type != "Bearer" || g.ExpiresIn <= 0 {
		t.Fatalf("the token endpoint answers %d %q (%v), want a token", got.status, got.body, err)
	}
	return g
}

// refused fails unless a client is refused with the status and the error.
func refused(t *testing.T, what string, got reply, status int, code string) {
	t.Helper()
	if got.status != status || oauthError(got) != code {
		t.Errorf("%s: %d %s, want %d %s", what, got.status, got.body, status, code)
	}
}

// asReports and asWarden are clients with the secret, in the two ways that there are.
var (
	asReports = form{"client_id": "reports", "client_secret": clientSecret}
	asWarden  = "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("warden:"+clientSecret))
)

// renew sends a refresh token to the token endpoint.
func (m *mint) renew(t *testing.T, refresh string) reply {
	t.Helper()
	return m.post(t, "/oauth/token", form{"grant_type": "refresh_token", "refresh_token": refresh})
}

// login begins a log-in with the command and renews it once, which gives both tokens.
func (m *mint) login(t *testing.T, args ...string) grant {
	t.Helper()
	return granted(t, m.renew(t, m.issue(t, append([]string{"--purpose", "refresh"}, args...)...)))
}

// wantStatus fails unless a GET with a token has this answer.
func (m *mint) wantAnswer(t *testing.T, when, path, token string, status int) {
	t.Helper()
	if got := m.ask(t, "GET "+path, bearer(token)); got.status != status {
		t.Errorf("%s: GET %s = %d %s, want %d", when, path, got.status, got.body, status)
	}
}

// A revocation is what the store keeps of one.
type revocation struct {
	kind, id string
	expires  time.Time
}

// revocationsIn reads the revocations in a database of SQLite.
func revocationsIn(t *testing.T, file string) (all []revocation) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), file)
	db = opened(t, db, err)
	rows, err := db.ReadOnly().QueryContext(t.Context(), "SELECT kind, id, expires FROM gatehouse_revocations ORDER BY seq")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var r revocation
		var id []byte
		var expires int64
		if err := rows.Scan(&r.kind, &id, &expires); err != nil {
			t.Fatal(err)
		}
		r.id, r.expires = string(id), time.UnixMilli(expires)
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// cuttable returns another address of the server at a URL, and how to cut it off and put it back.
func cuttable(t *testing.T, address string) (elsewhere string, cut func(bool)) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	server, off, open := u.Host, atomic.Bool{}, sync.Map{}
	u.Host = serve(t, func(client net.Conn) {
		upstream, err := net.DialTimeout("tcp", server, patience)
		if err != nil || off.Load() {
			return
		}
		defer upstream.Close()
		open.Store(client, upstream)
		defer open.Delete(client)
		go io.Copy(client, upstream)
		io.Copy(upstream, client)
	})
	return u.String(), func(on bool) {
		off.Store(on)
		open.Range(func(client, upstream any) bool {
			client.(net.Conn).Close()
			upstream.(net.Conn).Close()
			return true
		})
	}
}
