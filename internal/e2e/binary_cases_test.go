package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A binaryCase is one exchange with the running binary. An answer that is not wanted to have a problem's code must have none.
type binaryCase struct {
	name   string
	line   string
	fields []string
	status int
	code   string // of the problem, "" for answers that are none
	shows  string // has to be in the body, if it is not empty
}

// play runs the cases against g.
func play(t *testing.T, g *gate, cases []binaryCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := g.ask(t, c.line, c.fields...)
			if got.status != c.status || !strings.Contains(got.body, c.shows) {
				t.Fatalf("%s %q = %d %q, want %d with %q", c.line, c.fields, got.status, got.body, c.status, c.shows)
			}
			if got.status >= 400 && got.body != "" && problemOf(t, got).Code != c.code {
				t.Errorf("%s %q = %q, want the code %q", c.line, c.fields, got.body, c.code)
			}
			checkChallenge(t, got, c.code)
		})
	}
}

// oauthErrors are the errors of RFC 6750, section 3.1, that the codes lead to.
var oauthErrors = map[string]string{
	"malformed_credential": "invalid_request", "duplicate_credential": "invalid_request", "unknown_token": "invalid_token", "expired_token": "invalid_token",
	"forbidden": "insufficient_scope", "insufficient_scope": "insufficient_scope",
}

// checkChallenge fails unless the challenge names the error of the code, or none where there is none.
func checkChallenge(t *testing.T, got reply, code string) {
	t.Helper()
	challenge, oauth := got.header.Get("WWW-Authenticate"), oauthErrors[code]
	switch {
	case oauth == "" && strings.Contains(challenge, "error"):
		t.Errorf("the challenge of %s is %q, want no error in it", code, challenge)
	case oauth != "" && !strings.Contains(challenge, `error="`+oauth+`"`):
		t.Errorf("the challenge of %s is %q, want the error %s", code, challenge, oauth)
	}
}

const pong = `{"text":"pong","status":"success"}`

// A tab cannot stand where a person sees it, hence the name.
const tab = "\t"

func authorization(value string) []string { return []string{"Authorization: " + value} }

// TestBinarySmallFile replays what a client of the token server with config.json may send, against its own file.
func TestBinarySmallFile(t *testing.T) {
	t.Parallel()
	g := begin(t, launchPlan{file: "small.json"})
	play(t, g, []binaryCase{
		{"the first token is good", "GET /ping", authorization("Token token1"), 200, "", pong},
		{"the second token is good", "GET /ping", authorization("Token token2"), 200, "", pong},
		{"the scheme has no case", "GET /ping", authorization("tOkEn token1"), 200, "", pong},
		{"several spaces may stand behind the scheme", "GET /ping", authorization("Token  token1"), 200, "", pong},
		{"space around the value does not belong to it", "GET /ping", []string{"Authorization:   Token token1  "}, 200, "", pong},
		{"a folded header is one line", "GET /ping", []string{"Authorization: Token", " token1"}, 200, "", pong},
		{"a query does not matter", "GET /ping?a=b", authorization("Token token1"), 200, "", pong},
		{"an unreserved escape is what it stands for", "GET /%70ing", authorization("Token token1"), 200, "", pong},
		{"a cookie that nobody reads is no credential", "GET /ping", []string{"Authorization: Token token1", "Cookie: session=token2"}, 200, "", pong},
		{"no header", "GET /ping", nil, 401, "no_credential", ""},
		{"an empty header is no credential", "GET /ping", []string{"Authorization:"}, 401, "unsupported_scheme", ""},
		{"only a cookie", "GET /ping", []string{"Cookie: session=token1"}, 401, "no_credential", ""},
		{"a token in the query is none", "GET /ping?token=token1", nil, 401, "no_credential", ""},
		{"a token in another header is none", "GET /ping", []string{"X-API-Key: token1"}, 401, "no_credential", ""},
		{"the scheme alone", "GET /ping", authorization("Token"), 400, "malformed_credential", ""},
		{"a tab behind the scheme", "GET /ping", authorization("Token" + tab + "token1"), 400, "malformed_credential", ""},
		{"two tokens in one header", "GET /ping", authorization("Token token1 token2"), 400, "malformed_credential", ""},
		{"two tokens and a comma", "GET /ping", authorization("Token token1,token2"), 400, "malformed_credential", ""},
		{"a token has case", "GET /ping", authorization("Token TOKEN1"), 401, "unknown_token", ""},
		{"a piece of a token", "GET /ping", authorization("Token token"), 401, "unknown_token", ""},
		{"a token and more", "GET /ping", authorization("Token token12"), 401, "unknown_token", ""},
		{"the scheme Bearer is not configured", "GET /ping", authorization("Bearer token1"), 401, "unsupported_scheme", ""},
		{"the scheme Basic is not configured", "GET /ping", authorization("Basic dG9rZW4xOg=="), 401, "unsupported_scheme", ""},
		{"the scheme None", "GET /ping", authorization("None"), 401, "unsupported_scheme", ""},
		{"a longer scheme", "GET /ping", authorization("Tokenx token1"), 401, "unsupported_scheme", ""},
		{"the token without its scheme", "GET /ping", authorization("token1"), 401, "unsupported_scheme", ""},
		{"a bad and a good header", "GET /ping", []string{"Authorization: Token bad", "Authorization: Token token1"}, 400, "duplicate_credential", ""},
		{"a good and a bad header", "GET /ping", []string{"Authorization: Token token1", "Authorization: Token bad"}, 400, "duplicate_credential", ""},
		{"the same good header twice", "GET /ping", []string{"Authorization: Token token1", "authorization: Token token1"}, 400, "duplicate_credential", ""},
		{"an unknown path, anonymous", "GET /nope", nil, 401, "no_credential", ""},
		{"an unknown path with a bad token", "GET /nope", authorization("Token bad"), 401, "unknown_token", ""},
		{"an unknown path with a good token", "GET /nope", authorization("Token token1"), 404, "not_found", ""},
		{"the root", "GET /", authorization("Token token1"), 404, "not_found", ""},
		{"another case of the path", "GET /PING", authorization("Token token1"), 404, "not_found", ""},
		{"a slash behind the path", "GET /ping/", authorization("Token token1"), 404, "not_found", ""},
		{"a small body to an unknown path", "POST /stt", []string{"Authorization: Token token1", "Content-Length: 0"}, 404, "not_found", ""},
		{"another method, anonymous", "DELETE /ping", nil, 401, "no_credential", ""},
		{"another method with a good token", "DELETE /ping", authorization("Token token1"), 405, "method_not_allowed", ""},
		{"TRACE never", "TRACE /ping", authorization("Token token1"), 405, "method_not_allowed", ""},
		{"two slashes", "GET //ping", authorization("Token token1"), 400, "bad_target", ""},
		{"an encoded slash", "GET /%2Fping", authorization("Token token1"), 400, "bad_target", ""},
		{"dot segments", "GET /x/../ping", authorization("Token token1"), 400, "bad_target", ""},
		{"a target that is not canonical, anonymous", "GET //ping", nil, 400, "bad_target", ""},
		{"forward-auth for somebody who is not trusted", "GET /authz/nginx", []string{"X-Forwarded-Method: GET", "X-Forwarded-Host: a", "X-Forwarded-Uri: /ping"}, 403, "untrusted_proxy", ""},
	})
	t.Run("the challenge names the configured scheme", func(t *testing.T) {
		if got := g.ask(t, "GET /ping", "Authorization: Bearer token1"); got.header.Get("WWW-Authenticate") != `Token realm="gatehouse"` {
			t.Errorf("WWW-Authenticate = %q, want the scheme Token", got.header.Get("WWW-Authenticate"))
		}
	})
	t.Run("HEAD is decided as GET and has no body", func(t *testing.T) { checkHead(t, g) })
	t.Run("405 lists what is allowed", func(t *testing.T) {
		got := g.ask(t, "PUT /ping", "Authorization: Token token1", "Content-Length: 0")
		if allow := got.header.Get("Allow"); got.status != 405 || allow != "GET, HEAD" {
			t.Errorf("PUT /ping = %d with Allow %q, want 405 with GET, HEAD", got.status, allow)
		}
	})
	t.Run("bodies", func(t *testing.T) { playBodies(t, g) })
}

// checkHead fails unless HEAD gets what GET gets, without the body.
func checkHead(t *testing.T, g *gate) {
	for _, field := range []string{"Authorization: Token token1", "Authorization: Token bad", "Authorization: Token", "X: y"} {
		got, want := g.ask(t, "HEAD /ping", field), g.ask(t, "GET /ping", field)
		if got.status != want.status || got.header.Get("WWW-Authenticate") != want.header.Get("WWW-Authenticate") || got.body != "" {
			t.Errorf("HEAD with %q = %d %q with the body %q, want what GET has: %d", field, got.status, got.header, got.body, want.status)
		}
	}
}

// TestCurlOfTheGuide runs the line with which everybody begins.
func TestCurlOfTheGuide(t *testing.T) {
	t.Parallel()
	curl := needTool(t, "curl")
	g := begin(t, launchPlan{file: "small.json"})
	got := run(t, g.dir, nil, "", curl, "-sS", "-H", "Authorization: Token token1", g.url+"/ping")
	if got.code != 0 || got.stdout != pong {
		t.Errorf("curl prints %q and %q, want exactly %s", got.stdout, got.stderr, pong)
	}
	got = run(t, g.dir, nil, "", curl, "-sS", "-o", "/dev/null", "-w", "%{http_code}", g.url+"/ping")
	if got.stdout != "401" {
		t.Errorf("curl without the header: %q, want 401", got.stdout)
	}
}

// large is a body over the limit of the small file.
var large = strings.Repeat("x", 1_100_000)

// chunked is a body in chunks of 64 KiB.
func chunked(body string) string {
	var b strings.Builder
	for len(body) > 0 {
		n := min(len(body), 64<<10)
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return b.String() + "0\r\n\r\n"
}

// playBodies sends small and large bodies, whole and in chunks, with and without a credential.
func playBodies(t *testing.T, g *gate) {
	good, length := "Authorization: Token token1", fmt.Sprintf("Content-Length: %d", len(large))
	for _, c := range []struct {
		name, raw string
		status    int
		code      string
	}{
		{"large, authenticated", request("POST /stt", good, length) + large, 413, "body_too_large"},
		{"large, to the server's own path", request("POST /ping", good, length) + large, 413, "body_too_large"},
		{"large, anonymous", request("POST /stt", length) + large, 401, "no_credential"},
		{"large, with a bad token", request("POST /stt", "Authorization: Token bad", length) + large, 401, "unknown_token"},
		{"small, authenticated", request("POST /stt", good, "Content-Length: 5") + "small", 404, "not_found"},
		{"at the limit, authenticated", request("POST /stt", good, "Content-Length: 1048576") + large[:1<<20], 404, "not_found"},
		{"one over the limit, authenticated", request("POST /stt", good, "Content-Length: 1048577") + large[:1<<20+1], 413, "body_too_large"},
		{"large, in chunks, authenticated", request("POST /stt", good, "Transfer-Encoding: chunked") + chunked(large), 413, "body_too_large"},
		{"large, in chunks, anonymous", request("POST /stt", "Transfer-Encoding: chunked") + chunked(large), 401, "no_credential"},
		{"small, in chunks, authenticated", request("POST /stt", good, "Transfer-Encoding: chunked") + chunked("small"), 404, "not_found"},
		{"announced and never sent, authenticated", request("POST /stt", good, length), 413, "body_too_large"},
		{"announced and never sent, anonymous", request("POST /stt", length), 401, "no_credential"},
		{"waits for 100 Continue, authenticated", request("POST /stt", good, length, "Expect: 100-continue"), 413, "body_too_large"},
		{"waits for 100 Continue, anonymous", request("POST /stt", length, "Expect: 100-continue"), 401, "no_credential"},
		{"waits for 100 Continue, in chunks, anonymous", request("POST /stt", "Transfer-Encoding: chunked", "Expect: 100-continue"), 401, "no_credential"},
		{"waits for 100 Continue, with a bad token", request("POST /stt", "Authorization: Token bad", length, "Expect: 100-continue"), 401, "unknown_token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := uncontinued(t, g.addr, c.raw)
			lawful(t, firstLine(c.raw), got)
			if got.status != c.status || problemOf(t, got).Code != c.code {
				t.Errorf("answer %d %q, want %d %s", got.status, got.body, c.status, c.code)
			}
		})
	}
}

// uncontinued sends raw and returns the first answer, whatever it is: 100 Continue is one, too.
func uncontinued(t *testing.T, addr, raw string) reply {
	t.Helper()
	conn := dial(t, addr)
	go io.WriteString(conn, raw) // the server may refuse before it has read all
	got, err := readOne(conn, raw)
	if err != nil {
		t.Fatalf("the answer to %q: %v", firstLine(raw), err)
	}
	return got
}

// readOne reads the first answer on a connection.
func readOne(conn net.Conn, raw string) (reply, error) {
	method, _, _ := strings.Cut(raw, " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return reply{response.StatusCode, response.Header, string(body)}, err
}

// beginApp starts a gate with app.yaml in front of an application that keeps what it sees.
func beginApp(t *testing.T, env ...string) (*gate, *app) {
	t.Helper()
	a := startApp(t)
	return begin(t, launchPlan{file: "app.yaml", env: append(env, "APP=http://"+a.addr)}), a
}

const fake = "Bearer fake-token"

// TestBinaryApp replays what clients of a gate with an application behind it may send.
func TestBinaryApp(t *testing.T) {
	t.Parallel()
	g, a := beginApp(t)
	play(t, g, []binaryCase{
		{"the scheme Bearer", "GET /", authorization(fake), 200, "", "app /"},
		{"another method", "DELETE /", authorization(fake), 200, "", "app /"},
		{"the scheme has no case", "GET /", authorization("BEARER fake-token"), 200, "", "app /"},
		{"another scheme", "GET /", authorization("Invalid-scheme token"), 401, "unsupported_scheme", ""},
		{"the scheme Token is not configured here", "GET /", authorization("Token fake-token"), 401, "unsupported_scheme", ""},
		{"the scheme with a letter more", "GET /", authorization("BearerX fake-token"), 401, "unsupported_scheme", ""},
		{"the scheme alone", "GET /", authorization("Bearer"), 400, "malformed_credential", ""},
		{"an unknown token", "GET /", authorization("Bearer wrong"), 401, "unknown_token", ""},
		{"no credential", "GET /", nil, 401, "no_credential", ""},
		{"an open method, anonymous", "POST /", []string{"Content-Length: 0"}, 200, "", "app /"},
		{"an open route, anonymous", "GET /exclude", nil, 200, "", "app /exclude"},
		{"an open route with a query", "GET /exclude?x=1", nil, 200, "", "app /exclude?x=1"},
		{"an open route with an unusable credential is open", "GET /exclude", authorization("Bearer wrong"), 200, "", "app"},
		{"an open route with a malformed credential is open", "GET /exclude", authorization("Bearer"), 200, "", "app"},
		{"an open route with another scheme is open", "GET /exclude", authorization("None"), 200, "", "app"},
		{"an open route with two credentials is not", "GET /exclude", []string{"Authorization: " + fake, "Authorization: Bearer x"}, 400, "duplicate_credential", ""},
		{"a strict open route, anonymous", "GET /strict", nil, 200, "", "app"},
		{"a strict open route with an unusable credential", "GET /strict", authorization("Bearer wrong"), 401, "unknown_token", ""},
		{"a strict open route with a malformed one", "GET /strict", authorization("Bearer"), 400, "malformed_credential", ""},
		{"an open expression", "GET /exclude/ab/info", nil, 200, "", "app"},
		{"an open expression is the whole path", "GET /exclude/ab/info/x", nil, 401, "no_credential", ""},
		{"an open expression does not match everything", "GET /exclude/a-b/info", nil, 401, "no_credential", ""},
		{"an open route in another case", "GET /Exclude", nil, 401, "no_credential", ""},
		{"an open route with a letter more", "GET /excludex", nil, 401, "no_credential", ""},
		{"an open route with a slash behind", "GET /exclude/", nil, 401, "no_credential", ""},
		{"an open route behind two slashes", "GET //exclude", nil, 400, "bad_target", ""},
		{"an open route with an encoded slash", "GET /exclude%2F", nil, 400, "bad_target", ""},
		{"from an open route to a closed one", "GET /exclude/../setattr", nil, 400, "bad_target", ""},
		{"an unknown path, anonymous", "GET /nope", nil, 401, "no_credential", ""},
		{"an unknown path is never forwarded", "GET /nope", authorization(fake), 404, "not_found", ""},
		{"an unknown path with POST", "POST /nope", []string{"Authorization: " + fake, "Content-Length: 0"}, 404, "not_found", ""},
		{"a protected path, anonymous", "GET /setattr", nil, 401, "no_credential", ""},
		{"a protected path, anonymous POST", "POST /setattr", []string{"Content-Length: 0"}, 401, "no_credential", ""},
		{"a method without a rule, anonymous", "DELETE /setattr", nil, 401, "no_credential", ""},
		{"a method without a rule", "DELETE /setattr", authorization(fake), 405, "method_not_allowed", ""},
		{"a protected path with a slash behind", "GET /setattr/", nil, 401, "no_credential", ""},
		{"a protected path in another case", "GET /SETATTR", nil, 401, "no_credential", ""},
		{"a protected path behind two slashes", "GET //setattr", nil, 400, "bad_target", ""},
		{"a protected path with a letter escaped", "GET /%73etattr", nil, 401, "no_credential", ""},
		{"a cut token", "GET /setattr", authorization("Bearer fake-toke"), 401, "unknown_token", ""},
		{"a role that is too low", "GET /admin", authorization(fake), 403, "forbidden", ""},
		{"a role that is high enough", "GET /admin", authorization("Bearer root-token"), 200, "", "app"},
		{"a scope that is missing", "GET /scoped", authorization(fake), 403, "insufficient_scope", ""},
		{"a key in its own header", "GET /", []string{"X-API-Key: fake-token"}, 200, "", "app"},
		{"a bad key in its own header", "GET /", []string{"X-API-Key: wrong"}, 401, "unknown_token", ""},
		{"an empty key", "GET /", []string{"X-API-Key:"}, 401, "no_credential", ""},
		{"a key twice", "GET /", []string{"X-API-Key: fake-token", "X-API-Key: fake-token"}, 400, "duplicate_credential", ""},
		{"two credentials of one user", "GET /", []string{"Authorization: " + fake, "X-API-Key: twin-token"}, 400, "duplicate_credential", ""},
		{"two credentials of two users", "GET /", []string{"Authorization: " + fake, "X-API-Key: root-token"}, 400, "duplicate_credential", ""},
		{"a bearer is no ambient authority: cross-site POST", "POST /setattr", []string{"Authorization: " + fake, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site", "Content-Length: 0"}, 200, "", "app"},
		{"HEAD as GET, allowed", "HEAD /setattr", authorization(fake), 200, "", ""},
		{"HEAD as GET, anonymous", "HEAD /setattr", nil, 401, "", ""},
		{"a method override is no method", "POST /films/1", []string{"Authorization: " + fake, "X-HTTP-Method-Override: DELETE", "Content-Length: 0"}, 200, "", "app"},
		{"the real method counts", "DELETE /films/1", []string{"Authorization: " + fake, "X-HTTP-Method-Override: POST"}, 403, "forbidden", ""},
	})
	a.take()
	t.Run("who is asking reaches the application", func(t *testing.T) { playIdentity(t, g, a) })
	t.Run("CORS", func(t *testing.T) { playOrigins(t, g) })
}

// playIdentity looks at what the application sees.
func playIdentity(t *testing.T, g *gate, a *app) {
	seen := func(t *testing.T, line string, fields ...string) *message {
		t.Helper()
		g.ask(t, line, fields...)
		all := a.take()
		if len(all) != 1 {
			t.Fatalf("%s: the application saw %d requests, want 1", line, len(all))
		}
		return all[0]
	}
	t.Run("the user of a protected route", func(t *testing.T) {
		m := seen(t, "GET /", "Authorization: "+fake)
		want(t, m, "Remote-User", "fake-uuid")
		want(t, m, "Remote-Groups", "basic")
		if got := m.like("Authorization"); len(got) > 0 {
			t.Errorf("the application got the credential: %v", m)
		}
	})
	t.Run("a valid caller of an open method is known", func(t *testing.T) {
		want(t, seen(t, "POST /", "Authorization: "+fake, "Content-Length: 0"), "Remote-User", "fake-uuid")
	})
	t.Run("a valid caller of an open route is known", func(t *testing.T) {
		want(t, seen(t, "GET /exclude", "Authorization: "+fake), "Remote-User", "fake-uuid")
	})
	t.Run("nobody is nobody, whatever they call themselves", func(t *testing.T) {
		for _, line := range []string{"Remote-User: root", "remote_user: root", "Remote.User: root", "REMOTE-USER: root"} {
			wantNobody(t, seen(t, "GET /exclude", line, strings.Replace(line, "ser", "ser", 1)))
		}
	})
	t.Run("an unusable credential is nobody's", func(t *testing.T) {
		wantNobody(t, seen(t, "GET /exclude", "Authorization: Bearer wrong"))
	})
	t.Run("the client's own identity headers are replaced", func(t *testing.T) {
		m := seen(t, "GET /", "Authorization: "+fake, "Remote-User: root", "Remote_Groups: admin", "Remote-Email: root@example.org")
		want(t, m, "Remote-User", "fake-uuid")
		want(t, m, "Remote-Groups", "basic")
		if got := strings.Join(m.all("Remote-Email"), ""); got != "" {
			t.Errorf("Remote-Email = %q, want nothing", got)
		}
	})
	t.Run("a refused request does not arrive", func(t *testing.T) {
		g.ask(t, "DELETE /films/1", "Authorization: "+fake)
		g.ask(t, "GET /nope", "Authorization: "+fake)
		if all := a.take(); len(all) != 0 {
			t.Errorf("the application saw %v, want nothing", all)
		}
	})
}

// playOrigins asks as pages of other origins do; none is configured.
func playOrigins(t *testing.T, g *gate) {
	for _, fields := range [][]string{authorization(fake), nil} {
		got := g.ask(t, "GET /", append(fields, "Origin: https://evil.example")...)
		if allowed := got.header.Get("Access-Control-Allow-Origin"); allowed != "" {
			t.Errorf("Access-Control-Allow-Origin = %q for an origin that is not listed", allowed)
		}
	}
	got := g.ask(t, "OPTIONS /setattr", "Origin: https://evil.example", "Access-Control-Request-Method: POST")
	if got.header.Get("Access-Control-Allow-Origin") != "" || got.header.Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("a preflight of an origin that is not listed: %v", got.header)
	}
}

// TestBinaryProfiles: clients of three older gates find the statuses that they know, where those are safe.
func TestBinaryProfiles(t *testing.T) {
	t.Parallel()
	type expectation struct {
		name   string
		line   string
		fields []string
		status map[string]int // by profile
		code   string
	}
	by := func(usual, tokenServer, spa, rest int) map[string]int {
		return map[string]int{"": usual, "token-server": tokenServer, "spa": spa, "rest": rest}
	}
	twice := []string{"Authorization: " + fake, "Authorization: Bearer x"}
	expectations := []expectation{
		{"no credential", "GET /setattr", nil, by(401, 401, 401, 401), "no_credential"},
		{"an empty header", "GET /setattr", []string{"Authorization:"}, by(401, 403, 403, 401), "unsupported_scheme"},
		{"the scheme None", "GET /setattr", authorization("None"), by(401, 403, 403, 401), "unsupported_scheme"},
		{"another scheme", "GET /setattr", authorization("Token fake-token"), by(401, 403, 403, 401), "unsupported_scheme"},
		{"the scheme with a letter more", "GET /setattr", authorization("BearerX fake-token"), by(401, 403, 403, 401), "unsupported_scheme"},
		{"the scheme alone", "GET /setattr", authorization("Bearer"), by(400, 403, 403, 401), "malformed_credential"},
		{"a tab", "GET /setattr", authorization("Bearer" + tab + "fake-token"), by(400, 403, 403, 401), "malformed_credential"},
		{"an unknown token", "GET /setattr", authorization("Bearer wrong"), by(401, 403, 403, 401), "unknown_token"},
		{"a role that is too low", "GET /admin", authorization(fake), by(403, 403, 403, 401), "forbidden"},
		{"a scope that is missing", "GET /scoped", authorization(fake), by(403, 403, 403, 403), "insufficient_scope"},
		{"two credentials", "GET /setattr", twice, by(400, 400, 400, 400), "duplicate_credential"},
		{"two credentials on an open route", "GET /exclude", twice, by(400, 400, 400, 400), "duplicate_credential"},
		{"a target that is not canonical", "GET //setattr", authorization(fake), by(400, 400, 400, 400), "bad_target"},
		{"an unknown path", "GET /nope", authorization(fake), by(404, 404, 404, 404), "not_found"},
		{"an unknown path, anonymous", "GET /nope", nil, by(401, 401, 401, 401), "no_credential"},
		{"a method without a rule", "DELETE /setattr", authorization(fake), by(405, 405, 405, 405), "method_not_allowed"},
	}
	for profile := range by(0, 0, 0, 0) {
		t.Run("profile "+profile, func(t *testing.T) {
			t.Parallel()
			var env []string
			if profile != "" {
				env = []string{"GATEHOUSE_ERRORS__PROFILE=" + profile}
			}
			g, _ := beginApp(t, env...)
			for _, e := range expectations {
				got := g.ask(t, e.line, e.fields...)
				if got.status != e.status[profile] || problemOf(t, got).Code != e.code {
					t.Errorf("%s: %d %q, want %d %s", e.name, got.status, got.body, e.status[profile], e.code)
				}
			}
			if got := g.ask(t, "GET /setattr", "Authorization: "+fake); got.status != http.StatusOK {
				t.Errorf("a good token: %d, want 200", got.status)
			}
		})
	}
}

// TestBinaryStatuses: a single status goes before the profile, and only within what is safe.
func TestBinaryStatuses(t *testing.T) {
	t.Parallel()
	g, _ := beginApp(t, "GATEHOUSE_ERRORS__PROFILE=token-server", "GATEHOUSE_ERRORS__STATUS__UNKNOWN_TOKEN=404")
	if got := g.ask(t, "GET /setattr", "Authorization: Bearer wrong"); got.status != http.StatusNotFound {
		t.Errorf("an unknown token: %d, want 404", got.status)
	}
	for _, bad := range []string{"UNKNOWN_TOKEN=200", "UNKNOWN_TOKEN=500", "DUPLICATE_CREDENTIAL=401", "METHOD_NOT_ALLOWED=404", "UNHEARD_OF=401", "UNKNOWN_TOKEN=405"} {
		got := gatehouse(t, shortDir(t), []string{"GATEHOUSE_ERRORS__STATUS__" + bad}, "check")
		if got.code != 1 || !strings.Contains(got.stderr, "errors.status") && !strings.Contains(got.stderr, "GATEHOUSE_ERRORS__STATUS") {
			t.Errorf("errors.status %s = code %d, %s%s, want it refused", bad, got.code, got.stdout, got.stderr)
		}
	}
}

// TestBinarySeveralSchemes: the first scheme is named in challenges, all are taken.
func TestBinarySeveralSchemes(t *testing.T) {
	t.Parallel()
	g := begin(t, launchPlan{file: "small.json", env: []string{"GATEHOUSE_SERVER__HTTP__AUTH_SCHEME=Bearer,Token"}})
	play(t, g, []binaryCase{
		{"the first scheme", "GET /ping", authorization("Bearer token1"), 200, "", pong},
		{"the second scheme", "GET /ping", authorization("token token1"), 200, "", pong},
		{"none of them", "GET /ping", authorization("Basic x"), 401, "unsupported_scheme", ""},
		{"one of each", "GET /ping", []string{"Authorization: Token token1", "Authorization: Bearer token1"}, 400, "duplicate_credential", ""},
	})
	if got := g.ask(t, "GET /ping"); !strings.HasPrefix(got.header.Get("WWW-Authenticate"), `Bearer realm="gatehouse"`) {
		t.Errorf("WWW-Authenticate = %q, want Bearer first", got.header["Www-Authenticate"])
	}
}

// TestBinaryWhatIsNoHTTP: what net/http refuses before anybody judges it, and what it must not take for two requests.
func TestBinaryWhatIsNoHTTP(t *testing.T) {
	t.Parallel()
	g := begin(t, launchPlan{file: "small.json"})
	for name, raw := range map[string]string{
		"no host":                       "GET /ping HTTP/1.1\r\nAuthorization: Token token1\r\n\r\n",
		"two hosts":                     "GET /ping HTTP/1.1\r\nHost: a\r\nHost: b\r\nAuthorization: Token token1\r\n\r\n",
		"a space before the colon":      request("GET /ping", "Authorization : Token token1"),
		"a NUL in the value":            request("GET /ping", "Authorization: Token token1\x00"),
		"two lengths":                   request("POST /ping", "Authorization: Token token1", "Content-Length: 1", "Content-Length: 2") + "xx",
		"length and chunks":             request("POST /ping", "Authorization: Token token1", "Content-Length: 5", "Transfer-Encoding: gzip, chunked") + "0\r\n\r\n",
		"a bad escape":                  request("GET /ping%zz", "Authorization: Token token1"),
		"a method that is none":         request("GE(T /ping", "Authorization: Token token1"),
		"a target that is a URL":        request("GET http://elsewhere.example/ping", "Authorization: Token token1"),
		"an opaque target":              request("GET http:ping", "Authorization: Token token1"),
		"a tunnel":                      request("CONNECT 127.0.0.1:22", "Authorization: Token token1"),
		"HTTP/0.9":                      "GET /ping?an-old-request\r\n\r\n",
		"a version that does not exist": "GET /ping HTTP/3.7\r\nHost: a\r\nAuthorization: Token token1\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := attempt(t, g.addr, raw)
			if err == nil && got.status < 400 {
				t.Errorf("answer %d %q, want a refusal", got.status, got.body)
			}
			if err == nil && got.header.Get("Server") != "" {
				t.Errorf("the answer has Server: %q", got.header.Get("Server"))
			}
		})
	}
	t.Run("the server still answers", func(t *testing.T) {
		if got := g.ask(t, "GET /ping", "Authorization: Token token1"); got.status != 200 {
			t.Errorf("GET /ping = %d, want 200", got.status)
		}
	})
}

// TestBinaryPipelines: requests on one connection are judged one by one.
func TestBinaryPipelines(t *testing.T) {
	t.Parallel()
	g := begin(t, launchPlan{file: "small.json"})
	conn := dial(t, g.addr)
	var raw strings.Builder
	wants := []int{200, 401, 200, 400, 404, 401}
	for _, fields := range [][]string{authorization("Token token1"), nil, authorization("Token token2"), authorization("Token")} {
		raw.WriteString(request("GET /ping", fields...))
	}
	raw.WriteString(request("POST /stt", "Authorization: Token token1", "Content-Length: 5") + "small" + request("GET /ping"))
	go func(c net.Conn) { io.WriteString(c, raw.String()) }(conn)
	r := bufio.NewReader(conn)
	for i, status := range wants {
		if got := readReply(t, r, "GET /ping"); got.status != status {
			t.Errorf("answer %d on the connection = %d, want %d", i+1, got.status, status)
		}
	}
}
