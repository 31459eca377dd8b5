package guard_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// What the tables expect: the kinds of answers.
const (
	ok           = "200"
	challenged   = "401 challenge"
	invalidToken = "401 challenge invalid_token"
	malformed    = "400 challenge invalid_request"
	badTarget    = "400"
)

// tokenServer is a server like those that the guard replaces: its own routes, and a guard in front.
func tokenServer(g *guard.Guard) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ping", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"text":"pong","status":"success"}`)
	})
	mux.Handle("POST /stt", g.Answers().Handler(func(w http.ResponseWriter, r *http.Request) error {
		n, err := io.Copy(io.Discard, r.Body)
		if err == nil {
			fmt.Fprintf(w, `{"text":"%d","status":"success"}`, n)
		}
		return err
	}))
	mux.Handle("/{$}", who)
	mux.Handle("/exclude", who)
	mux.Handle("/exclude/{user}/info", who)
	return g.Handler(mux)
}

// TestTokenServer replays what clients of a token server send, over a raw socket.
func TestTokenServer(t *testing.T) {
	servers := map[string]string{
		"Token":  serve(t, tokenServer(tokenAuth(t))),
		"Bearer": serve(t, tokenServer(tokenAuth(t, guard.Scheme("Bearer")))),
		"POST":   serve(t, tokenServer(tokenAuth(t, guard.Scheme("Bearer"), guard.PublicMethods("POST")))),
		"public": serve(t, tokenServer(tokenAuth(t, guard.PublicRoutes("/exclude", `/exclude/\w+/info`)))),
	}
	const pong = `{"text":"pong","status":"success"}`
	for _, tt := range []struct {
		name, server, line, auth string // auth is the header's value; "none" leaves the header out
		want, body               string
	}{
		{"a known token", "Token", "GET /ping", "Token token1", ok, pong},
		{"another known token", "Token", "GET /ping", "Token token2", ok, pong},
		{"no header", "Token", "GET /ping", "none", challenged, ""},
		{"an empty header", "Token", "GET /ping", "", challenged, ""},
		{"the scheme alone", "Token", "GET /ping", "Token", malformed, ""},
		{"two spaces", "Token", "GET /ping", "Token  token1", ok, pong},
		{"a tab", "Token", "GET /ping", "Token\ttoken1", malformed, ""},
		{"a trailing space", "Token", "GET /ping", "Token token1 ", ok, pong},
		{"a third part", "Token", "GET /ping", "Token token1 x", malformed, ""},
		{"the scheme in any case", "Token", "GET /ping", "tOkEn token1", ok, pong},
		{"the token in another case", "Token", "GET /ping", "Token TOKEN1", invalidToken, ""},
		{"an unknown token", "Token", "GET /ping", "Token nope", invalidToken, ""},
		{"another scheme", "Token", "GET /ping", "Bearer token1", challenged, ""},
		{"the word None", "Token", "GET /ping", "None", challenged, ""},

		{"Bearer where it is configured", "Bearer", "GET /", "Bearer fake-token", ok, "fake-uuid"},
		{"PUT", "Bearer", "PUT /", "Bearer fake-token", ok, "fake-uuid"},
		{"DELETE", "Bearer", "DELETE /", "Bearer fake-token", ok, "fake-uuid"},
		{"an invented scheme", "Bearer", "GET /", "Invalid-scheme token", challenged, ""},
		{"an unknown bearer", "Bearer", "GET /", "Bearer wrong-token", invalidToken, ""},
		{"Bearer alone", "Bearer", "GET /", "Bearer", malformed, ""},
		{"BEARER", "Bearer", "GET /", "BEARER fake-token", ok, "fake-uuid"},
		{"a longer scheme", "Bearer", "GET /", "BearerX fake-token", challenged, ""},

		{"a public method without a token", "POST", "POST /", "none", ok, "-"},
		{"a public method keeps the caller", "POST", "POST /", "Bearer fake-token", ok, "fake-uuid"},
		{"a public method ignores a bad token", "POST", "POST /", "Bearer nope", ok, "-"},
		{"the other methods are not public", "POST", "GET /", "none", challenged, ""},
		{"the method in another case is not public", "POST", "post /", "none", "405", ""},

		{"a public path", "public", "GET /exclude", "none", ok, "-"},
		{"a public path keeps the caller", "public", "GET /exclude", "Token token1", ok, "jack"},
		{"a public expression", "public", "GET /exclude/someuser/info", "none", ok, "-"},
		{"an expression matches the whole path", "public", "GET /exclude/ab/info/x", "none", challenged, ""},
		{"an expression matches no more than it says", "public", "GET /exclude/a-b/info", "none", challenged, ""},
		{"an expression does not match a prefix", "public", "GET /x/exclude", "none", challenged, ""},
		{"paths have a case", "public", "GET /Exclude", "none", challenged, ""},
		{"a query does not count", "public", "GET /exclude?x=1", "none", ok, "-"},
		{"a query opens nothing", "public", "GET /ping?/exclude", "none", challenged, ""},
		{"an empty segment", "public", "GET //exclude", "none", badTarget, ""},
		{"an encoded slash", "public", "GET /exclude%2F", "none", badTarget, ""},
		{"a dot segment", "public", "GET /exclude/../ping", "none", badTarget, ""},
		{"a path parameter", "public", "GET /exclude;x=1", "none", badTarget, ""},
		{"an encoded NUL", "public", "GET /exclude%00", "none", badTarget, ""},
		{"a backslash", "public", `GET /exclude\..\ping`, "none", badTarget, ""},
		{"a bad target with a good token", "public", "GET //exclude", "Token token1", badTarget, ""},
		{"an escaped letter", "public", "GET /%65xclude", "none", ok, "-"},
		{"everything", "public", "OPTIONS *", "Token token1", badTarget, ""},

		{"an unknown path, anonymous", "Token", "GET /nope", "none", challenged, ""},
		{"an unknown path, known caller", "Token", "GET /nope", "Token token1", "404", ""},
		{"OPTIONS without a token is no preflight", "Token", "OPTIONS /ping", "none", challenged, ""},
		{"HEAD is judged as GET", "Token", "HEAD /ping", "none", challenged, ""},
		{"HEAD of a known caller", "Token", "HEAD /ping", "Token token1", ok, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			headers := []string{"Authorization: " + tt.auth}
			if tt.auth == "none" {
				headers = nil
			}
			got := exchange(t, servers[tt.server], tt.line, headers...)
			if got.kind() != tt.want || tt.body != "" && got.body != tt.body {
				t.Errorf("%s with %q = %s %s, want %s %s", tt.line, tt.auth, got.kind(), got.body, tt.want, tt.body)
			}
			scheme := map[string]string{"Token": "Token", "public": "Token", "Bearer": "Bearer", "POST": "Bearer"}[tt.server]
			if got.status == 401 && !strings.HasPrefix(got.challenges(), scheme+" realm=") {
				t.Errorf("the challenge %q does not name the scheme %s", got.challenges(), scheme)
			}
			if got.status == 401 && got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("a 401 may be stored: %q", got.header.Get("Cache-Control"))
			}
		})
	}
}

// TestTwoAuthorizationHeaders: which of two counts is a matter of taste, so neither does. On public paths too.
func TestTwoAuthorizationHeaders(t *testing.T) {
	addr := serve(t, tokenServer(tokenAuth(t, guard.PublicRoutes("/exclude"))))
	for _, line := range []string{"GET /ping", "GET /exclude", "GET /nope"} {
		for _, headers := range [][]string{
			{"Authorization: Token nope", "Authorization: Token token1"},
			{"Authorization: Token token1", "Authorization: Token nope"},
			{"Authorization: Token token1", "Authorization: Token token1"},
			{"Authorization: Token token1", "authorization: Token token2"},
			{"Authorization: Token token1", "Authorization:"},
			{"Authorization:", "Authorization: Token token1"},
			{"Authorization: Basic x", "AUTHORIZATION: Token token1"},
			{"Authorization: Basic x", "Authorization: Digest y"},
		} {
			if got := exchange(t, addr, line, headers...); got.kind() != malformed || got.code() != "duplicate_credential" {
				t.Errorf("%s with %q = %s %s, want %s duplicate_credential", line, headers, got.kind(), got.code(), malformed)
			}
		}
	}
}

// TestTwoCarriersAtOnce: whoever the two credentials belong to, and on public paths too.
func TestTwoCarriersAtOnce(t *testing.T) {
	g := makeGuard(t, guard.Config{
		Carriers: []carrier.Carrier{carrier.Header("Bearer", lookup), carrier.NamedHeader("X-API-Key", lookup)}, Rules: everyRule(t),
	})
	addr := serve(t, g.Handler(who))
	for _, tt := range []struct{ name, bearer, key, line, want string }{
		{"one user twice", "token1", "token2", "GET /known", malformed},
		{"two users", "token1", "admin", "GET /known", malformed},
		{"a good one and a bad one", "token1", "nope", "GET /known", malformed},
		{"a bad one and a good one", "nope", "token1", "GET /known", malformed},
		{"two bad ones", "nope", "nope", "GET /known", malformed},
		{"two on a public path", "token1", "token1", "GET /public", malformed},
		{"a bad one and a good one on a public path", "nope", "token1", "GET /public", malformed},
		{"two on an unknown path", "token1", "token1", "GET /nope", malformed},
		{"the bearer alone", "token1", "", "GET /known", ok},
		{"the key alone", "", "token1", "GET /known", ok},
		{"a malformed key", "", "a, b", "GET /known", malformed},
	} {
		var headers []string
		if tt.bearer != "" {
			headers = append(headers, "Authorization: Bearer "+tt.bearer)
		}
		if tt.key != "" {
			headers = append(headers, "X-API-Key: "+tt.key)
		}
		got := exchange(t, addr, tt.line, headers...)
		if kind := strings.SplitN(got.kind(), "\n", 2)[0]; kind != tt.want {
			t.Errorf("%s = %s %s, want %s", tt.name, kind, got.body, tt.want)
		}
	}
	if got := exchange(t, addr, "GET /known", "X-API-Key: token1", "x-api-key: token1"); got.code() != "duplicate_credential" {
		t.Errorf("one key twice = %d %s", got.status, got.body)
	}
	if got := exchange(t, addr, "GET /known"); got.challenges() != "Bearer realm=\"gatehouse\"\nApiKey realm=\"gatehouse\", header=\"X-Api-Key\"" {
		t.Errorf("the challenges of two carriers = %q", got.challenges())
	}
}

// TestHeaderCredentialsAreNotAmbient: a browser does not send them by itself, so a request from another site is the caller's own.
func TestHeaderCredentialsAreNotAmbient(t *testing.T) {
	addr := serve(t, makeGuard(t, guard.Config{Rules: everyRule(t)}).Handler(who))
	got := exchange(t, addr, "POST /known", "Authorization: Token token1", "Origin: https://evil.example", "Sec-Fetch-Site: cross-site", "Content-Length: 0")
	if got.status != 200 || got.body != "jack" {
		t.Errorf("a cross-site POST with a token = %d %s, want 200 jack", got.status, got.body)
	}
}

// TestUnusableCredentialOnPublicPaths: anonymous, unless the rule is strict.
func TestUnusableCredentialOnPublicPaths(t *testing.T) {
	addr := serve(t, makeGuard(t, guard.Config{Rules: everyRule(t)}).Handler(who))
	for _, tt := range []struct{ line, auth, want, body string }{
		{"GET /public", "Token token1", ok, "jack"}, {"GET /strict", "Token token1", ok, "jack"},
		{"GET /public", "Token nope", ok, "-"}, {"GET /strict", "Token nope", invalidToken, ""},
		{"GET /public", "Token", ok, "-"}, {"GET /strict", "Token", malformed, ""},
		{"GET /public", "Token a b", ok, "-"}, {"GET /strict", "Token a b", malformed, ""},
		{"GET /public", "Bearer x", ok, "-"}, {"GET /strict", "Bearer x", ok, "-"},
		{"GET /public", "", ok, "-"}, {"GET /strict", "", ok, "-"},
	} {
		if got := exchange(t, addr, tt.line, "Authorization: "+tt.auth); got.kind() != tt.want || tt.body != "" && got.body != tt.body {
			t.Errorf("%s with %q = %s %s, want %s %s", tt.line, tt.auth, got.kind(), got.body, tt.want, tt.body)
		}
	}
}

// TestMethods: HEAD is GET, the real method counts, and what is no method of ours never passes, whoever asks.
func TestMethods(t *testing.T) {
	addr := serve(t, makeGuard(t, guard.Config{Rules: everyRule(t)}).Handler(who))
	for _, tt := range []struct{ line, headers, want, allow string }{
		{"HEAD /get", "Authorization: Token token1", ok, ""},
		{"HEAD /get", "", challenged, ""},
		{"HEAD /post", "Authorization: Token token1", "405", "POST"},
		{"POST /get", "Authorization: Token token1", "405", "GET, HEAD"},
		{"POST /get", "", challenged, ""},
		{"DELETE /get", "Authorization: Token token1", "405", "GET, HEAD"},
		{"POST /post", "Authorization: Token token1\r\nX-HTTP-Method-Override: GET\r\nX-Method-Override: GET\r\nX-HTTP-Method: GET\r\nContent-Length: 0", ok, ""},
		{"POST /get?_method=GET", "Authorization: Token token1\r\nX-HTTP-Method-Override: GET\r\nContent-Length: 0", "405", "GET, HEAD"},
		{"TRACE /public", "Authorization: Token token1", "405", "*"},
		{"TRACE /public", "", "405", "*"},
		{"CONNECT /public", "", "405", "*"},
		{"CONNECT example.org:443", "", "405", "*"},
		{"get /public", "", "405", "*"},
		{"Get /public", "Authorization: Token token1", "405", "*"},
		{"PROPFIND /public", "", "405", "*"},
		{"PRI /public", "", "405", "*"},
		{"M-SEARCH /known", "Authorization: Token token1", "405", "*"},
	} {
		if tt.allow == "*" {
			tt.allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
		}
		got := exchange(t, addr, tt.line, tt.headers)
		if tt.headers == "" {
			got = exchange(t, addr, tt.line)
		}
		if got.kind() != tt.want || got.header.Get("Allow") != tt.allow || got.reached() != (tt.want == ok) {
			t.Errorf("%s with %q = %s, Allow %q, want %s, %q", tt.line, tt.headers, got.kind(), got.header.Get("Allow"), tt.want, tt.allow)
		}
		if method, _, _ := strings.Cut(tt.line, " "); got.reached() && got.header.Get("X-Next") != method {
			t.Errorf("%s reaches the handler as %s", tt.line, got.header.Get("X-Next"))
		}
	}
}

// TestEveryRefusalOfCallers: what roles, scopes and permissions refuse, and how.
func TestEveryRefusalOfCallers(t *testing.T) {
	h := makeGuard(t, guard.Config{Rules: everyRule(t)}).Handler(who)
	for _, tt := range []struct {
		path, token string
		status      int
		code, scope string
	}{
		{"/basic", "token1", 200, "", ""}, {"/premium", "token1", 403, "forbidden", ""}, {"/admin", "token1", 403, "forbidden", ""},
		{"/basic", "admin", 200, "", ""}, {"/premium", "admin", 200, "", ""}, {"/admin", "admin", 200, "", ""},
		{"/scope", "token1", 200, "", ""}, {"/scope", "token2", 403, "insufficient_scope", "films.read"}, {"/scope", "admin", 403, "insufficient_scope", "films.read"},
		{"/both", "token1", 403, "insufficient_scope", "films.read films.write"},
		{"/permission", "token1", 200, "", ""}, {"/permission", "admin", 200, "", ""}, {"/permission", "other", 403, "forbidden", ""},
		{"/delete", "token1", 403, "forbidden", ""}, {"/delete", "admin", 200, "", ""},
		{"/either", "token1", 200, "", ""}, {"/either", "admin", 200, "", ""}, {"/either", "other", 403, "forbidden", ""},
		{"/nobody", "admin", 403, "forbidden", ""}, {"/known", "other", 200, "", ""},
		{"/nope", "admin", 404, "not_found", ""}, {"/Known", "admin", 404, "not_found", ""}, {"/known/", "admin", 404, "not_found", ""},
		// A role that nobody knows grants nothing, however much it looks like one that is known; nor does an odd scope.
		{"/known", "odd", 200, "", ""}, {"/basic", "odd", 403, "forbidden", ""}, {"/premium", "odd", 403, "forbidden", ""}, {"/admin", "odd", 403, "forbidden", ""},
		{"/scope", "odd", 403, "insufficient_scope", "films.read"}, {"/permission", "odd", 403, "forbidden", ""}, {"/delete", "odd", 403, "forbidden", ""},
	} {
		got := get(h, "GET", tt.path, "Authorization", "Token "+tt.token)
		if got.status != tt.status || got.code() != tt.code || tt.scope != "" && !strings.Contains(got.challenges(), `scope="`+tt.scope+`"`) {
			t.Errorf("GET %s as %s = %d %s %s, want %d %s %s", tt.path, tt.token, got.status, got.code(), got.challenges(), tt.status, tt.code, tt.scope)
		}
		if got := get(h, "GET", tt.path); got.kind() != challenged || got.code() != "no_credential" {
			t.Errorf("GET %s as nobody = %s %s, want %s", tt.path, got.kind(), got.code(), challenged)
		}
	}
}

// TestProfilesEndToEnd sends what the clients of three older systems send, and expects the statuses that those had, where they are safe.
func TestProfilesEndToEnd(t *testing.T) {
	type row struct {
		name, profile, target, auth string
		status                      int
	}
	for _, tt := range []row{
		{"no header", "token-server", "/known", "none", 401}, {"an empty header", "token-server", "/known", "", 403}, {"the scheme alone", "token-server", "/known", "Token", 403},
		{"a tab", "token-server", "/known", "Token\ttoken1", 403}, {"a third part", "token-server", "/known", "Token a b", 403}, {"another scheme", "token-server", "/known", "Bearer x", 403},
		{"an unknown token", "token-server", "/known", "Token x", 403}, {"a token", "token-server", "/known", "tOkEn token1", 200}, {"an unknown path", "token-server", "/nope", "Token token1", 404},
		{"an unknown path without a header", "token-server", "/nope", "none", 401}, {"an encoded slash", "token-server", "/public%2F", "none", 400}, {"a public path", "token-server", "/public", "none", 200},
		{"no header", "spa", "/known", "none", 401}, {"None", "spa", "/known", "None", 403}, {"another scheme", "spa", "/known", "Bearer x", 403}, {"a broken token", "spa", "/known", "Token token", 403},
		{"a broken token on a public path", "spa", "/public", "Token token", 200}, {"a wrong path", "spa", "/known/", "none", 401}, {"a method", "spa", "/post", "Token token1", 405},
		{"no header", "rest", "/known", "none", 401}, {"another scheme", "rest", "/known", "Bearer x", 401}, {"the scheme alone", "rest", "/known", "Token", 401}, {"a broken token", "rest", "/known", "Token x", 401},
		{"a role too low", "rest", "/admin", "Token token1", 401}, {"a scope missing", "rest", "/scope", "Token token2", 403}, {"enough", "rest", "/admin", "Token admin", 200}, {"a method", "rest", "/post", "Token token1", 405},
	} {
		statuses, err := problem.Statuses(tt.profile, nil)
		if err != nil {
			t.Fatal(err)
		}
		h := makeGuard(t, guard.Config{Rules: everyRule(t), Status: statuses}).Handler(who)
		r := httptest.NewRequest("GET", tt.target, nil)
		if tt.auth != "none" {
			r.Header.Set("Authorization", tt.auth)
		}
		got := send(h, r)
		if got.status != tt.status {
			t.Errorf("%s, %s: GET %s with %q = %d %s, want %d", tt.profile, tt.name, tt.target, tt.auth, got.status, got.code(), tt.status)
		}
		if got.status == 401 && !strings.HasPrefix(got.challenges(), "Token realm=") {
			t.Errorf("%s, %s: 401 with challenge %q", tt.profile, tt.name, got.challenges())
		}
	}
}

// TestMovedStatuses: a single code elsewhere, and the rest where it was.
func TestMovedStatuses(t *testing.T) {
	statuses, err := problem.Statuses("", map[problem.Code]int{problem.UnknownToken: 403, problem.Forbidden: 404, problem.NotFound: 401})
	if err != nil {
		t.Fatal(err)
	}
	h := makeGuard(t, guard.Config{Rules: everyRule(t), Status: statuses, Realm: `the "films"`}).Handler(who)
	for _, tt := range []struct {
		path, token string
		status      int
		code        string
	}{{"/known", "nope", 403, "unknown_token"}, {"/admin", "token1", 404, "forbidden"}, {"/nope", "token1", 401, "not_found"}, {"/scope", "token2", 403, "insufficient_scope"}} {
		got := get(h, "GET", tt.path, "Authorization", "Token "+tt.token)
		if got.status != tt.status || got.code() != tt.code {
			t.Errorf("%s as %s = %d %s, want %d %s", tt.path, tt.token, got.status, got.code(), tt.status, tt.code)
		}
		if got.status == 401 && got.challenges() != `Token realm="the \"films\""` {
			t.Errorf("a situation moved to 401 has the challenge %q", got.challenges())
		}
	}
}
