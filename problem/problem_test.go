package problem_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/problem"
)

// TestEveryCodeIsAnsweredInFull looks at the answer to each code of the catalogue as a client gets it.
func TestEveryCodeIsAnsweredInFull(t *testing.T) {
	const secret = "dsn=postgres://u:hunter2@db"
	for _, info := range problem.Catalogue {
		t.Run(string(info.Code), func(t *testing.T) {
			rec := answer(bearer(), "GET", problem.Wrap(info.Code, errors.New(secret)))
			if rec.Code != info.Status {
				t.Errorf("status = %d, want %d", rec.Code, info.Status)
			}
			for name, want := range map[string]string{
				"Content-Type": "application/problem+json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
				"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
			} {
				if got := rec.Header()[name]; len(got) != 1 || got[0] != want {
					t.Errorf("%s = %q, want %q once", name, got, want)
				}
			}
			if all := fmt.Sprint(rec.Header(), rec.Body); strings.Contains(all, "hunter2") || strings.Contains(all, "postgres") {
				t.Errorf("the answer shows its cause: %s", all)
			}
			b := bodyOf(t, rec)
			if b.Type != "urn:gatehouse:problem:"+string(info.Code) || b.Code != string(info.Code) || b.Status != info.Status ||
				b.Title != info.Title || b.Detail != info.Detail || b.Error != info.OAuth {
				t.Errorf("body = %+v, want the catalogue's %+v", b, info)
			}
		})
	}
}

// TestOAuthErrors fixes which situations have an error of RFC 6750, section 3.1, and that no other has one.
func TestOAuthErrors(t *testing.T) {
	want := map[problem.Code]string{
		problem.MalformedCredential: "invalid_request", problem.DuplicateCredential: "invalid_request",
		problem.UnknownToken: "invalid_token", problem.ExpiredToken: "invalid_token",
		problem.Forbidden: "insufficient_scope", problem.InsufficientScope: "insufficient_scope",
	}
	status := map[string]int{"invalid_request": 400, "invalid_token": 401, "insufficient_scope": 403}
	for _, info := range problem.Catalogue {
		if info.OAuth != want[info.Code] {
			t.Errorf("%s has error %q, want %q", info.Code, info.OAuth, want[info.Code])
		}
		if info.OAuth != "" && info.Status != status[info.OAuth] {
			t.Errorf("%s is %d with error %s, RFC 6750 wants %d", info.Code, info.Status, info.OAuth, status[info.OAuth])
		}
		list := challengesOf(t, answer(bearer(), "GET", problem.New(info.Code)))
		if needed := info.Status == 401 || info.OAuth != ""; (len(list) == 1) != needed {
			t.Errorf("%s has %d challenges, want one: %v", info.Code, len(list), needed)
			continue
		}
		if len(list) == 0 {
			continue
		}
		got, ok := list[0].params["error"]
		if got != info.OAuth || ok != (info.OAuth != "") {
			t.Errorf("the challenge of %s has error %q (%v), want %q", info.Code, got, ok, info.OAuth)
		}
		if list[0].scheme != "Bearer" || list[0].params["realm"] != "films" {
			t.Errorf("the challenge of %s = %v, want Bearer realm films", info.Code, list[0])
		}
	}
}

// TestEvery401HasAChallenge also moves every situation to 401 that can be moved.
func TestEvery401HasAChallenge(t *testing.T) {
	for _, info := range problem.Catalogue {
		w := bearer()
		if info.Fixed == "" {
			var err error
			if w.Status, err = problem.Statuses("", map[problem.Code]int{info.Code: 401}); err != nil {
				t.Errorf("Statuses(%s: 401): %v", info.Code, err)
			}
		}
		rec := answer(w, "GET", problem.New(info.Code))
		plain := answer(w, "GET", &problem.Problem{Code: info.Code, Plain: true})
		if rec.Code == 401 && len(challengesOf(t, rec)) == 0 {
			t.Errorf("%s is 401 without a challenge", info.Code)
		}
		if plain.Code == 401 && len(challengesOf(t, plain)) == 0 {
			t.Errorf("%s for a caller without a token is 401 without a challenge", info.Code)
		}
		if plain.Code != 401 && len(challengesOf(t, plain)) != 0 {
			t.Errorf("%s for a caller without a token is %d with a challenge: %v", info.Code, plain.Code, plain.Header())
		}
		if info.Fixed == "" && rec.Code != 401 {
			t.Errorf("%s moved to 401 is answered %d", info.Code, rec.Code)
		}
	}
}

// TestScopesAreNamed: the client must learn what to ask for, in the challenge and in the body.
func TestScopesAreNamed(t *testing.T) {
	rec := answer(bearer(), "GET", &problem.Problem{Code: problem.InsufficientScope, Scopes: []string{"films.read", "films.write"}})
	if got := challengesOf(t, rec)[0].params["scope"]; got != "films.read films.write" {
		t.Errorf("scope = %q, want both names", got)
	}
	if got := bodyOf(t, rec).Scope; got != "films.read films.write" {
		t.Errorf("the body's scope = %q, want both names", got)
	}
	if _, ok := challengesOf(t, answer(bearer(), "GET", problem.New(problem.Forbidden)))[0].params["scope"]; ok {
		t.Error("a denial that no scope would lift names a scope")
	}
}

// TestRealmIsQuoted: whatever a realm contains, it stays one parameter of one challenge in one line.
func TestRealmIsQuoted(t *testing.T) {
	for realm, want := range map[string]string{
		"films":                                "films",
		"":                                     "",
		`say "hi"`:                             `say "hi"`,
		"~jack":                                "~jack",
		`back\slash`:                           `back\slash`,
		`trailing\`:                            `trailing\`,
		"evil\r\nSet-Cookie: a=b":              "evil??Set-Cookie: a=b",
		"tab\there":                            "tab?here",
		"nul\x00, del\x7f":                     "nul?, del?",
		"Küche":                                "K?che",
		"bad utf-8 \xff":                       "bad utf-8 ?",
		`x", error="invalid_token`:             `x", error="invalid_token`,
		"你好":                                   "??",
		`a, Basic realm="b"`:                   `a, Basic realm="b"`,
		"line\u2028separator":                  "line?separator",
		strings.Repeat("long ", 50) + "realm.": strings.Repeat("long ", 50) + "realm.",
	} {
		w := &problem.Writer{Challenges: []problem.Challenge{{Scheme: "Token", Realm: realm}}}
		rec := answer(w, "GET", problem.New(problem.NoCredential))
		list := challengesOf(t, rec)
		if len(list) != 1 || list[0].params["realm"] != want || len(list[0].params) != 1 {
			t.Errorf("realm %q is sent as %v, want %q alone", realm, list, want)
		}
		for _, value := range rec.Header()["Www-Authenticate"] {
			if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' }) {
				t.Errorf("realm %q brings %q into the header", realm, value)
			}
		}
	}
}

// TestChallengesKeepTheirOrder: a client takes the first that it knows.
func TestChallengesKeepTheirOrder(t *testing.T) {
	w := &problem.Writer{Challenges: []problem.Challenge{
		{Scheme: "Token", Realm: "a"}, {Scheme: "ApiKey", Realm: "a", Params: `header="X-Api-Key"`, OAuth: true}, {Scheme: "Bearer", Realm: "a", OAuth: true},
	}}
	list := challengesOf(t, answer(w, "GET", problem.New(problem.UnknownToken)))
	if len(list) != 3 || list[0].scheme != "Token" || list[1].scheme != "ApiKey" || list[2].scheme != "Bearer" {
		t.Fatalf("challenges = %v, want Token, ApiKey, Bearer", list)
	}
	if _, ok := list[0].params["error"]; ok {
		t.Error("a challenge that is not of RFC 6750 has an error")
	}
	if list[1].params["header"] != "X-Api-Key" || list[1].params["error"] != "invalid_token" {
		t.Errorf("the challenge with parameters = %v", list[1])
	}
	if list := challengesOf(t, answer(&problem.Writer{}, "GET", problem.New(problem.NoCredential))); len(list) != 1 || list[0].scheme != "Bearer" {
		t.Errorf("a writer without challenges sends %v, want one Bearer", list)
	}
	rec := httptest.NewRecorder()
	rec.Header().Set("WWW-Authenticate", `Basic realm="left over"`)
	bearer().Write(rec, httptest.NewRequest("GET", "/", nil), problem.New(problem.NoCredential))
	if list := challengesOf(t, rec); len(list) != 1 || list[0].scheme != "Bearer" {
		t.Errorf("a challenge that a handler had set stays: %v", list)
	}
}

// TestAllow: a 405 always has the field, even if no method is left.
func TestAllow(t *testing.T) {
	for _, tt := range []struct {
		allow []string
		want  string
	}{{[]string{"GET", "HEAD"}, "GET, HEAD"}, {[]string{"POST"}, "POST"}, {nil, ""}} {
		rec := answer(bearer(), "PUT", &problem.Problem{Code: problem.MethodNotAllowed, Allow: tt.allow})
		if got := rec.Header()["Allow"]; rec.Code != 405 || len(got) != 1 || got[0] != tt.want {
			t.Errorf("Allow of %q = %d %q, want 405 %q", tt.allow, rec.Code, got, tt.want)
		}
		if got := bodyOf(t, rec).Allow; !slices.Equal(got, tt.allow) {
			t.Errorf("the body's allow = %q, want %q", got, tt.allow)
		}
	}
	if got := answer(bearer(), "GET", problem.New(problem.NotFound)).Header()["Allow"]; got != nil {
		t.Errorf("a 404 has Allow: %q", got)
	}
}

// TestRetryAfter: whole seconds, rounded up, never 0, where the client should come back, and nowhere else.
func TestRetryAfter(t *testing.T) {
	for after, want := range map[time.Duration]string{
		0: "1", -time.Hour: "1", time.Nanosecond: "1", time.Second: "1", time.Second + 1: "2", 1500 * time.Millisecond: "2", time.Minute: "60", time.Hour: "3600",
	} {
		for _, info := range problem.Catalogue {
			got := answer(bearer(), "GET", &problem.Problem{Code: info.Code, RetryAfter: after}).Header().Get("Retry-After")
			due := ""
			if info.Code == problem.TooManyRequests || info.Code == problem.Unavailable {
				due = want
			}
			if got != due {
				t.Errorf("Retry-After of %s after %v = %q, want %q", info.Code, after, got, due)
			}
			if n, err := strconv.Atoi(got); got != "" && (err != nil || n < 1) {
				t.Errorf("Retry-After of %s = %q, want a number of at least 1", info.Code, got)
			}
		}
	}
}

// TestHeadHasTheHeadersAndNoBody.
func TestHeadHasTheHeadersAndNoBody(t *testing.T) {
	for _, info := range problem.Catalogue {
		get, head := answer(bearer(), "GET", problem.New(info.Code)), answer(bearer(), "HEAD", problem.New(info.Code))
		if head.Code != get.Code || fmt.Sprint(head.Header()) != fmt.Sprint(get.Header()) {
			t.Errorf("HEAD of %s = %d %v, GET = %d %v", info.Code, head.Code, head.Header(), get.Code, get.Header())
		}
		if head.Body.Len() != 0 || get.Body.Len() == 0 {
			t.Errorf("%s: HEAD has %d bytes, GET %d, want none and some", info.Code, head.Body.Len(), get.Body.Len())
		}
	}
}

// TestHeadersOfAnotherBodyAreRemoved: a handler may have prepared a file before it failed.
func TestHeadersOfAnotherBodyAreRemoved(t *testing.T) {
	rec := httptest.NewRecorder()
	stale := map[string]string{
		"Content-Length": "123456", "Content-Encoding": "gzip", "Etag": `"v1"`, "Last-Modified": "Mon, 02 Jan 2006 15:04:05 GMT",
		"Accept-Ranges": "bytes", "Content-Range": "bytes 0-1/2", "Content-Disposition": "attachment", "Content-Language": "de", "Trailer": "X-Sum",
		"Content-Type": "text/html", "Cache-Control": "public, max-age=3600",
	}
	for name, value := range stale {
		rec.Header().Set(name, value)
	}
	rec.Header().Set("Vary", "Origin")
	bearer().Write(rec, httptest.NewRequest("GET", "/", nil), problem.New(problem.Forbidden))
	for name, value := range stale {
		if got := rec.Header().Values(name); slices.Contains(got, value) {
			t.Errorf("%s: %q is still there", name, got)
		}
	}
	if rec.Header().Get("Vary") != "Origin" {
		t.Error("Vary is gone: caches would mix up the answers to two origins")
	}
}

// TestDetailAndRequestID.
func TestDetailAndRequestID(t *testing.T) {
	w := bearer()
	w.RequestID = func(r *http.Request) string { return "id-of-" + r.Method }
	b := bodyOf(t, answer(w, "GET", &problem.Problem{Code: problem.Forbidden, Detail: `You may not. <script>"`}))
	if b.Detail != `You may not. <script>"` || b.RequestID != "id-of-GET" {
		t.Errorf("body = %+v, want the detail and the id", b)
	}
	if raw := answer(w, "GET", &problem.Problem{Code: problem.Forbidden, Detail: "<script>"}).Body.String(); strings.Contains(raw, "<script>") {
		t.Errorf("markup reaches a browser that guesses: %s", raw)
	}
}

// TestUnknownCodeIsInternal: a misspelt code must not become a success, nor be named.
func TestUnknownCodeIsInternal(t *testing.T) {
	for _, code := range []problem.Code{"", "typo", "NO_CREDENTIAL", "no_credential "} {
		rec := answer(bearer(), "GET", problem.New(code))
		if b := bodyOf(t, rec); rec.Code != 500 || b.Status != 500 || b.Code != "internal" {
			t.Errorf("code %q = %d %+v, want internal", code, rec.Code, b)
		}
		rec = httptest.NewRecorder()
		bearer().WriteStatus(rec, httptest.NewRequest("GET", "/", nil), problem.New(code), 200)
		if rec.Code != 500 {
			t.Errorf("code %q written with 200 = %d, want 500", code, rec.Code)
		}
	}
}

// TestWriteStatus: a proxy that knows 401 and 403 only gets the status, and the reason beside it.
func TestWriteStatus(t *testing.T) {
	rec := httptest.NewRecorder()
	bearer().WriteStatus(rec, httptest.NewRequest("GET", "/", nil), problem.New(problem.NotFound), 401)
	if b := bodyOf(t, rec); rec.Code != 401 || b.Status != 401 || b.Code != "not_found" || len(challengesOf(t, rec)) != 1 {
		t.Errorf("not_found written with 401 = %d %+v %v", rec.Code, b, rec.Header())
	}
}

func TestErrorTree(t *testing.T) {
	cause := errors.New("db down")
	err := fmt.Errorf("saving: %w", problem.Wrap(problem.Unavailable, cause))
	if got := err.Error(); got != "saving: unavailable: db down" {
		t.Errorf("Error() = %q", got)
	}
	if p, ok := errors.AsType[*problem.Problem](err); !ok || p.Code != problem.Unavailable || !errors.Is(err, cause) {
		t.Errorf("the tree of %v lacks the problem or its cause", err)
	}
	if got := problem.New(problem.NotFound).Error(); got != "not_found" {
		t.Errorf("Error() = %q, want not_found", got)
	}
	var none *problem.Problem
	if none.Error() == "" || none.Unwrap() != nil {
		t.Error("a nil problem has no text, or a cause")
	}
}
