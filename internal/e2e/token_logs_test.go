package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A canary is a secret that a client sends wherever it can, and the part of it that must not come out anywhere.
type canary struct{ name, text, part string }

// canaries are the secrets of clients: good ones, used ones, and some that never were any.
func canaries(t *testing.T, m *mint, key *ecdsa.PrivateKey) []canary {
	t.Helper()
	ofJWT := func(name, text string) canary {
		_, signature, _ := cutLast(text, ".")
		return canary{name, text, signature}
	}
	opaque := func(name, text string) canary { return canary{name, text, strings.Split(text, ".")[1]} }
	pair := m.login(t, "--subject", "jack")
	used := m.issue(t, "--purpose", "refresh", "--subject", "jack")
	granted(t, m.renew(t, used))
	header, claims := part{"alg": "ES256", "kid": "ec-1"}, part{"iss": "signer", "sub": "signer", "aud": ourIssuer, "jti": rand.Text(), "exp": in(time.Minute)}
	const planted = "planted-where-nobody-verifies"
	return []canary{
		ofJWT("an access token", pair.Access), opaque("a refresh token", pair.Refresh), opaque("a used refresh token", used),
		ofJWT("a revoked token", revokedBefore(t, m)), ofJWT("an expired token", m.own(t, claim("exp", in(-time.Hour)))),
		opaque("a token with uses", m.issue(t, "--purpose", "limited", "--subject", "jack")),
		opaque("a token for a new password", m.issue(t, "--purpose", "reset-password", "--subject", "jack")),
		ofJWT("an assertion", jwt(t, header, claims, es256(key))),
		{"the secret of a client", clientSecret, clientSecret}, {"a wrong secret", "planted-as-a-client-secret", "planted-as-a-client-secret"},
		{"a token with a claim of its own", m.own(t, claim("note", planted)), planted},
		{"a token with a key that nobody has", m.own(t, inHeader("kid", planted)), planted},
		{"a token of an issuer that nobody knows", m.own(t, claim("iss", planted)), planted},
		{"a token with another algorithm", m.own(t, inHeader("alg", planted)), planted},
		{"a token with another typ", m.own(t, inHeader("typ", planted)), planted},
		{"an assertion of a client that nobody knows", jwt(t, part{"alg": "ES256"}, part{"iss": planted, "sub": planted, "aud": ourIssuer, "jti": "x", "exp": in(time.Minute)}, es256(key)), planted},
		{"a token that was copied badly", strings.Replace(m.own(t), ".", ".Planted-By-A-Slip-Of-The-Hand.", 1), "Planted-By-A-Slip-Of-The-Hand"},
	}
}

// everywhere are the requests in which a client may put a secret, where it belongs and where it does not.
func everywhere(secret string) map[string]string {
	all := map[string]string{
		"a target with a host":          "GET http://" + secret + "@app.example/read HTTP/1.1\r\nHost: app.example\r\n\r\n",
		"a body that nobody reads":      request("POST /setattr", "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(secret)+2)) + `"` + secret + `"`,
		"the field name":                request("GET /read", strings.NewReplacer("_", "-", ".", "-").Replace(secret)+": x"),
		"forward-auth":                  request("GET /authz/nginx", "X-Forwarded-Method: GET", "X-Forwarded-Host: app.example", "X-Forwarded-Uri: /read?access_token="+secret),
		"the feed, as a number":         request("GET /oauth/revocations?since="+secret, asWarden),
		"the feed":                      request("GET /oauth/revocations", "Authorization: Bearer "+secret),
		"the keys":                      request("GET /.well-known/jwks.json?kid="+secret, "Authorization: Bearer "+secret),
		"no HTTP":                       secret + "\r\n\r\n",
		"a handshake":                   request("GET /read", bearer(secret), "Connection: Upgrade", "Upgrade: "+secret),
		"two credentials":               request("GET /read", bearer(secret), "X-API-Key: "+secret),
		"twice":                         request("GET /read", bearer(secret), bearer(secret)),
		"a preflight":                   request("OPTIONS /read", "Origin: https://evil.example", "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: "+secret),
		"an announced body, never sent": request("GET /read", bearer(secret), "Content-Length: 5", "Connection: close") + "12345",
	}
	for _, line := range []string{"GET /read", "GET /optional", "GET /authentication", "GET /keep/x", "GET /nope", "GET /renewal", "GET /limited-info", "GET //read", "GET /gone/x", "TRACE /read", "HEAD /read"} {
		all["the token of "+line] = request(line, bearer(secret))
	}
	for i, value := range []string{"Basic " + secret, "Basic " + base64.StdEncoding.EncodeToString([]byte(secret+":"+secret)), "Token " + secret, secret, "Bearer\t" + secret, "Bearer " + secret + " x", "Bearer \"" + secret + "\""} {
		all[fmt.Sprint("Authorization ", i)] = request("GET /read", "Authorization: "+value)
	}
	for _, field := range []string{"X-API-Key: ", "Cookie: __Host-gatehouse=", "Cookie: token=", "Proxy-Authorization: Bearer ", "X-Forwarded-For: ", "X-Forwarded-Host: ", "Forwarded: for=", "User-Agent: ", "Referer: https://app.example/?token=",
		"X-Request-Id: ", "Origin: https://", "Remote-User: ", "Accept: ", "Content-Type: ", "If-None-Match: "} {
		all[field] = request("GET /read", field+secret)
	}
	for _, target := range []string{"/read?access_token=", "/read?", "//read?", "/authz/nginx?", "/oauth/token?"} {
		all["target "+target] = request("GET " + target + secret)
	}
	return all
}

// misplaced are requests with a token in a part that is logged. What does not look like a token cannot be told from what belongs there.
func misplaced(token string) map[string]string {
	all := map[string]string{
		"the method": token + " /read HTTP/1.1\r\nHost: a\r\n\r\n", "the host": "GET /read HTTP/1.1\r\nHost: " + token + "\r\n\r\n", "the host of a path that is none": "GET //read HTTP/1.1\r\nHost: " + token + "\r\n\r\n",
		"forward-auth, the path":   request("GET /authz/caddy", "X-Forwarded-Method: GET", "X-Forwarded-Host: app.example", "X-Forwarded-Uri: /read/"+token),
		"forward-auth, the method": request("GET /authz/haproxy", "X-Forwarded-Method: "+token, "X-Forwarded-Host: app.example", "X-Forwarded-Uri: /read"),
		"forward-auth, the host":   request("GET /authz/traefik", "X-Forwarded-Method: GET", "X-Forwarded-Host: "+token, "X-Forwarded-Uri: /read"),
	}
	for _, target := range []string{"/read/", "/", "//", "/read/../", "/read/x;", "/authz/", "/oauth/", "/read/%2e%2e/", "/gone/", "/reset/token=", "/read/Bearer%20"} {
		all["target "+target] = request("GET "+target+token, bearer(token))
	}
	return all
}

// formsWith are the forms for clients, each with the secret in one of its parameters.
func formsWith(secret string) map[string][]form {
	basic := form{"grant_type": "client_credentials", "client_id": "reports", "client_secret": clientSecret}
	forms := map[string][]form{}
	for _, name := range []string{"grant_type", "client_id", "client_secret", "scope", "unknown"} {
		forms["/oauth/token"] = append(forms["/oauth/token"], with(basic, form{name: secret}))
	}
	forms["/oauth/token"] = append(forms["/oauth/token"], byAssertion(secret), byGrant(secret), with(byAssertion(secret), form{"client_id": secret}), form{"grant_type": "client_credentials", "client_assertion": "x", "client_assertion_type": secret},
		form{"grant_type": "refresh_token", "refresh_token": secret + "x"}, form{"grant_type": "refresh_token", "refresh_token": secret}, form{"grant_type": "refresh_token", "refresh_token": secret, "scope": secret}, form{secret: "x"},
		form{"grant_type": "refresh_token", "refresh_token": secret, "client_id": "reports", "client_secret": secret})
	for _, path := range []string{"/oauth/introspect", "/oauth/revoke"} {
		forms[path] = append(forms[path], with(asReports, form{"token": secret}), with(asReports, form{"token": "x", "token_type_hint": secret}), form{"token": secret}, form{"client_id": secret, "client_secret": secret, "token": secret}, with(asReports, form{"tokn": secret}))
	}
	return forms
}

// TestTokensInEveryPlace sends secrets of every kind in every place, and looks for them in what came out: logs at DEBUG, refusals, metrics.
func TestTokensInEveryPlace(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			m, key := beginCanaries(t, format)
			list := canaries(t, m, key)
			var out strings.Builder
			for _, c := range list {
				requests := everywhere(c.text)
				if strings.HasPrefix(c.text, "eyJ") || strings.HasPrefix(c.text, "gh_") {
					maps.Copy(requests, misplaced(c.text))
				}
				for place, raw := range requests {
					got, _ := attempt(t, m.addr, raw)
					if got.status >= 500 && got.status != 502 {
						t.Errorf("%s in %s: %d %s", c.name, place, got.status, got.body)
					}
					if got.header.Get("X-App") == "" && !strings.HasPrefix(got.body, "app ") {
						fmt.Fprintf(&out, "%s in %s: %d %v %s\n", c.name, place, got.status, got.header, got.body)
					}
				}
				for path, forms := range formsWith(c.text) {
					for _, f := range forms {
						got := m.post(t, path, f)
						if got.status >= 500 {
							t.Errorf("%s in %s: %d %s", c.name, path, got.status, got.body)
						}
						if got.status != 200 { // a grant is the client's, and so is what it has asked about
							fmt.Fprintf(&out, "%s in a form for %s: %d %v %s\n", c.name, path, got.status, got.header, got.body)
						}
					}
				}
			}
			_, metrics := m.admin(t, "/metrics")
			out.WriteString(metrics)
			m.signal(t, syscall.SIGTERM)
			m.wait(t)
			list = append(list, canary{"the secret that signs", accessSecret, accessSecret}, canary{"the master key", "", strings.TrimSpace(readText(t, filepath.Join(m.dir, "gatehouse-data", "master.key")))})
			wantNoCanary(t, "an answer", out.String(), list)
			wantNoCanary(t, "the log", m.stderr.String()+m.stdout.String(), list)
		})
	}
}

// beginCanaries starts a gatehouse whose log says all that it can, and a client's key.
func beginCanaries(t *testing.T, format string) (*mint, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir, public := shortDir(t), publicJWK(key)
	maps.Copy(public, part{"kid": "ec-1", "alg": "ES256"})
	set, err := json.Marshal(part{"keys": []part{public}})
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, "signer.jwks", string(set))
	config := strings.NewReplacer("clients:\n", "clients:\n  - {id: signer, keys: \"file:signer.jwks\"}\n",
		"upstream: ${APP}", "upstream: {app: {url: \"${APP}\"}, gone: {url: \"http://"+freeAddress(t)+"\"}}", ", allow: authenticated", ", allow: authenticated, upstream: app", ", allow: anyone", ", allow: anyone, upstream: app",
		", allow: {", ", upstream: app, allow: {", "rules:\n", "rules:\n  - {path: /gone/**, allow: authenticated, upstream: gone}\n").Replace(fixture(t, "tokens.yaml"))
	m := beginMintIn(t, dir, config+"log: {format: json, level: [{logger: server_logger, level: DEBUG}]}\n")
	if format == "text" {
		m.write(t, "gatehouse.yaml", config+"log: {format: text, level: [{logger: server_logger, level: DEBUG}]}\n")
		m.line(t, "INFO config configuration reloaded")
	}
	return m, key
}

// wantNoCanary fails for each line that shows a secret, in whichever of its spellings.
func wantNoCanary(t *testing.T, what, text string, list []canary) {
	t.Helper()
	if len(text) < 10_000 {
		t.Errorf("%s is too short to show anything: %q", what, text)
	}
	seen := map[string]bool{}
	for _, line := range strings.Split(text, "\n") {
		for _, c := range list {
			for _, spelling := range []string{c.part, url.QueryEscape(c.part), base64.StdEncoding.EncodeToString([]byte(c.part))} {
				if spelling != "" && strings.Contains(line, spelling) && !seen[c.name+what] {
					seen[c.name+what] = true
					t.Errorf("%s shows %s: %.900s", what, c.name, line)
				}
			}
		}
	}
}

// TestCommandsShowNoToken: those that are given a token or a key, and cannot use it, do not repeat it.
func TestCommandsShowNoToken(t *testing.T) {
	t.Parallel()
	m := beginMint(t, fixture(t, "tokens.yaml"))
	const planted = "planted-on-the-command-line"
	put(t, m.dir, "planted.pem", "-----BEGIN PRIVATE KEY-----\n"+base64.StdEncoding.EncodeToString([]byte(planted))+"\n-----END PRIVATE KEY-----\n")
	used := m.issue(t, "--purpose", "refresh", "--subject", "jack")
	granted(t, m.renew(t, used))
	for _, args := range [][]string{
		{"token", "revoke", planted}, {"token", "revoke", "a." + planted + ".b"}, {"token", "revoke", "gh_access." + planted}, {"token", "inspect", planted}, {"token", "inspect", "a." + planted + ".b"}, {"token", "inspect", "gh_access." + planted},
		{"token", "revoke", used}, {"token", "inspect", used}, {"key", "import", "access", "planted.pem"}, {"explain", "GET", "/read", "--token", planted}, {"explain", "GET", "/read", "--token", used}, {"explain", "GET", "/read", "--token", "a." + planted + ".b"},
		{"explain", "GET", "/read", "-H", "Authorization: Bearer " + planted, "--json"},
	} {
		got := m.command(t, args...)
		if all := got.stdout + got.stderr; strings.Contains(all, planted) || strings.Contains(all, strings.Split(used, ".")[1]) || strings.Contains(all, accessSecret) {
			t.Errorf("gatehouse %q shows it: %s", args, all)
		}
	}
	secrets := map[string]string{"the secret of access tokens": accessSecret, "a refresh token": strings.Split(used, ".")[1]}
	err := filepath.WalkDir(filepath.Join(m.dir, "gatehouse-data"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		for name, secret := range secrets {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s holds %s in clear", filepath.Base(path), name)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
