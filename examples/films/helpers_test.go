package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/gatehousetest"
	"github.com/gatehouse-auth/gatehouse/passwd"
)

// noon is when the tests begin, and when the tokens in testdata were made.
var noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

const password = "correct horse battery"

// A cinema is a running program with a clock, and what it has mailed.
type cinema struct {
	*app
	url   string
	clock *gatehousetest.Clock
	mails []string // the tokens in them
}

// eachStore runs a test on every store that the program may have.
func eachStore(t *testing.T, test func(t *testing.T, kept stores)) {
	for name, address := range map[string]string{"memory": "memory", "sqlite": "sqlite:" + filepath.Join(t.TempDir(), "films.db")} {
		t.Run(name, func(t *testing.T) { test(t, open(t, address)) })
	}
}

func open(t *testing.T, address string) stores {
	t.Helper()
	kept, err := openStores(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := kept.close(); err != nil {
			t.Error(err)
		}
	})
	return kept
}

// sampleConfig is config.json.
func sampleConfig(t *testing.T) config {
	t.Helper()
	c, err := readConfig("config.json")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cheapHash is the password's, made by cheap.
const cheapHash = "$argon2id$v=19$m=64,t=1,p=1$SoDMe9dTNiOF6b/60iRQ8Q$cyB/p7fu+RqeWPjRqq/wOPqjSaXpiI6vHKeh5KrtdWQ"

// cheap hashes passwords in no time: nobody attacks a test. TestProgram does without.
func cheap(t *testing.T) *passwd.Hasher {
	t.Helper()
	h, err := passwd.New(passwd.Config{Params: passwd.Params{Memory: 64, Time: 1, Threads: 1}, InsecureParams: true})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// newCinema starts the program with the sample's configuration, which change may change.
func newCinema(t *testing.T, kept stores, change func(*config)) *cinema {
	t.Helper()
	c := sampleConfig(t)
	if change != nil {
		change(&c)
	}
	return startCinema(t, c, kept, gatehousetest.NewClock(noon))
}

func startCinema(t *testing.T, c config, kept stores, clock *gatehousetest.Clock) *cinema {
	t.Helper()
	a, err := newApp(t.Context(), c, kept, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	a.hasher = cheap(t)
	for _, u := range sample {
		a.users.change(u.ID, func(u *user) { u.Hash = cheapHash })
	}
	v := &cinema{app: a, clock: clock}
	a.mail = func(_, text string) { v.mails = append(v.mails, text[strings.LastIndexByte(text, ' ')+1:]) }
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	v.url = server.URL
	return v
}

// pass lets time go by, in which the program looks at its store as it always does.
func (v *cinema) pass(t *testing.T, d time.Duration) {
	t.Helper()
	v.clock.Advance(d)
	v.look(t)
}

func (v *cinema) look(t *testing.T) {
	t.Helper()
	if err := v.revoked.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, ring := range v.rings {
		if err := ring.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// An answered is the part of an answer that counts here.
type answered struct {
	status          int
	challenge, body string
	header          http.Header
}

func (a answered) String() string { return fmt.Sprintf("%d %q %s", a.status, a.challenge, a.body) }

// code is the code of a problem.
func (a answered) code() string {
	var p struct{ Code string }
	json.Unmarshal([]byte(a.body), &p) // "" if it is none
	return p.Code
}

// ask sends a request: "GET /films/v1/", an Authorization header or none, and JSON or nothing as the body.
func (v *cinema) ask(t *testing.T, line, authorization, body string) answered {
	t.Helper()
	method, path, _ := strings.Cut(line, " ")
	r, err := http.NewRequest(method, v.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return send(t, r)
}

func send(t *testing.T, r *http.Request) answered {
	t.Helper()
	response, err := http.DefaultTransport.RoundTrip(r) // follows no redirects
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{response.StatusCode, response.Header.Get("WWW-Authenticate"), string(text), response.Header}
}

// want fails unless a request is answered with a status and, of a problem, a code.
func (v *cinema) want(t *testing.T, what, line, authorization, body string, status int, code string) answered {
	t.Helper()
	got := v.ask(t, line, authorization, body)
	if got.status != status || got.code() != code {
		t.Errorf("%s: %s = %v, want %d %s", what, line, got, status, code)
	}
	wantConsistent(t, what, got)
	return got
}

// wantConsistent checks what every answer with this status must have: a challenge that says how a token is bad, or no error where there was none; a time to come back at.
func wantConsistent(t *testing.T, what string, got answered) {
	t.Helper()
	bad := map[string]string{"unknown_token": `error="invalid_token"`, "expired_token": `error="invalid_token"`, "forbidden": `error="insufficient_scope"`}[got.code()]
	switch {
	case got.status == 401 && !strings.HasPrefix(got.challenge, "Bearer realm="):
		t.Errorf("%s: 401 with the challenge %q, want Bearer", what, got.challenge)
	case bad != "" && !strings.Contains(got.challenge, bad):
		t.Errorf("%s: %s with the challenge %q, want %s", what, got.code(), got.challenge, bad)
	case got.code() == "no_credential" && strings.Contains(got.challenge, "error="):
		t.Errorf("%s: without a token the challenge is %q, want no error", what, got.challenge)
	case got.code() == "expired_token" && !strings.Contains(got.challenge, "expired"):
		t.Errorf("%s: of an expired token the challenge is %q", what, got.challenge)
	case got.status == 503 && got.header.Get("Retry-After") == "":
		t.Errorf("%s: 503 without Retry-After", what)
	case got.status == 405 && got.header.Get("Allow") == "":
		t.Errorf("%s: 405 without Allow", what)
	}
}

// A pair is what a log-in gives.
type pair struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Expires int    `json:"expires_in"`
	Type    string `json:"token_type"`
	User    struct {
		ID, Email string
		Roles     []string
	}
}

func (p pair) bearer() string { return "Bearer " + p.Access }

// refreshBody is the body with which the log-in is renewed or ended.
func (p pair) refreshBody() string { return fmt.Sprintf(`{"refresh_token":%q}`, p.Refresh) }

// login signs somebody in.
func (v *cinema) login(t *testing.T, name string) pair {
	t.Helper()
	return granted(t, v.ask(t, "POST /users/v1/login", "", fmt.Sprintf(`{"email":"%s@example.org","password":%q}`, name, password)))
}

// granted is the pair in an answer.
func granted(t *testing.T, got answered) pair {
	t.Helper()
	var p pair
	if err := json.Unmarshal([]byte(got.body), &p); err != nil || got.status != 200 || p.Access == "" || p.Refresh == "" || p.Type != "Bearer" || got.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%v, %v, want 200 with two tokens that nobody keeps", got, err)
	}
	return p
}

// mailed is the token in the last mail that a request sends.
func (v *cinema) mailed(t *testing.T, name string) string {
	t.Helper()
	before := len(v.mails)
	v.want(t, "a forgotten password", "POST /users/v1/forgot", "", fmt.Sprintf(`{"email":"%s@example.org"}`, name), 202, "")
	if len(v.mails) != before+1 {
		t.Fatalf("%d mails, want one more than %d", len(v.mails), before)
	}
	return v.mails[before]
}

// verifyToken is a token that proves that a mail has arrived.
func (v *cinema) verifyToken(t *testing.T, id string) string {
	t.Helper()
	if err := v.send(t.Context(), v.users.byID(id), "verify-email", "confirm with"); err != nil {
		t.Fatal(err)
	}
	return v.mails[len(v.mails)-1]
}

// made is a token of testdata, which PyJWT has made as the system before does.
func made(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "pyjwt.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Tokens map[string]string }
	if err := json.Unmarshal(text, &file); err != nil || file.Tokens[name] == "" {
		t.Fatalf("testdata has no token %q: %v", name, err)
	}
	return file.Tokens[name]
}
