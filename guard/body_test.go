package guard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
)

const (
	limit   = 1 << 20
	tooMuch = 1_100_000
)

// limited is a token server with a limit of 1 MiB, with and without rules that know its paths.
func limited(t *testing.T) map[string]string {
	known := makeGuard(t, guard.Config{MaxBody: limit, Rules: rules(t, policy.Config{Rules: []policy.Rule{
		{Path: "/stt", Methods: []string{"POST"}, Allow: policy.Authenticated()}, {Path: "/public", Allow: policy.Anyone()},
	}})})
	return map[string]string{
		"tokens": serve(t, tokenServer(tokenAuth(t, guard.MaxBody(limit)))),
		"rules":  serve(t, tokenServer(known)),
	}
}

// TestOversizedBody: the answer comes after the decision and before the body. The test sends headers only, and so a server that waited
// for the body would never answer.
func TestOversizedBody(t *testing.T) {
	servers := limited(t)
	for _, tt := range []struct {
		name, server, line, auth string
		length                   int
		want                     string
	}{
		{"a known caller", "tokens", "POST /stt", "Token token1", tooMuch, "413"},
		{"a known caller on an unknown path", "tokens", "POST /nope", "Token token1", tooMuch, "413"},
		{"a known caller on a path that no rule knows", "rules", "POST /nope", "Token token1", tooMuch, "413"},
		{"a known caller with a method that no rule knows", "rules", "PUT /stt", "Token token1", tooMuch, "413"},
		{"one byte too many", "tokens", "POST /stt", "Token token1", limit + 1, "413"},
		{"nobody", "tokens", "POST /stt", "none", tooMuch, challenged},
		{"nobody on an unknown path", "rules", "POST /nope", "none", tooMuch, challenged},
		{"a bad token", "tokens", "POST /stt", "Token nope", tooMuch, invalidToken},
		{"a malformed header", "tokens", "POST /stt", "Token", tooMuch, malformed},
		{"a method that is never let through", "rules", "TRACE /stt", "none", tooMuch, "405"},
		{"a wrong target", "tokens", "POST //stt", "Token token1", tooMuch, badTarget},
		{"a length that no machine has", "tokens", "POST /stt", "Token token1", 1 << 62, "413"},
	} {
		for _, expect := range []string{"", "Expect: 100-continue"} {
			t.Run(tt.name+" "+expect, func(t *testing.T) {
				headers := []string{fmt.Sprintf("Content-Length: %d", tt.length)}
				if tt.auth != "none" {
					headers = append(headers, "Authorization: "+tt.auth)
				}
				if expect != "" {
					headers = append(headers, expect)
				}
				// exchange reads the first answer: a 100 would be it.
				if got := exchange(t, servers[tt.server], tt.line, headers...); got.kind() != tt.want {
					t.Errorf("%s of %d bytes = %s %s, want %s", tt.line, tt.length, got.kind(), got.body, tt.want)
				}
			})
		}
	}
}

// TestSmallBody passes, and 100 Continue is said when the handler reads, not before the decision.
func TestSmallBody(t *testing.T) {
	servers := limited(t)
	for _, server := range servers {
		got := exchange(t, server, "POST /stt", "Authorization: Token token1", "Content-Length: 5", "", "hello")
		if got.status != 200 || got.body != `{"text":"5","status":"success"}` {
			t.Errorf("a small body = %d %s", got.status, got.body)
		}
		c := dial(t, server)
		c.send("POST /stt HTTP/1.1\r\nHost: x\r\nAuthorization: Token token1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
		if first := c.receive("POST"); first.status != 100 {
			t.Fatalf("a known caller who waits gets %d first, want 100", first.status)
		}
		c.send("hello")
		if got := c.receive("POST"); got.status != 200 || !strings.Contains(got.body, `"5"`) {
			t.Errorf("after 100 Continue = %d %s", got.status, got.body)
		}
		if got := exchange(t, server, "POST /nope", "Authorization: Token token1", "Content-Length: 5", "", "hello"); got.status != 404 {
			t.Errorf("a small body to an unknown path = %d, want 404", got.status)
		}
	}
	exact := strings.Repeat("x", limit)
	if got := exchange(t, servers["tokens"], "POST /stt", "Authorization: Token token1", fmt.Sprint("Content-Length: ", limit), "", exact); got.status != 200 {
		t.Errorf("a body of exactly the limit = %d %s, want 200", got.status, got.body)
	}
}

// chunks is a chunked body of n bytes.
func chunks(n int) string {
	const size = 50_000
	var b strings.Builder
	for ; n > 0; n -= size {
		k := min(n, size)
		fmt.Fprintf(&b, "%x\r\n%s\r\n", k, strings.Repeat("x", k))
	}
	return b.String() + "0\r\n\r\n"
}

// TestChunkedBody: without an announced length the limit is found out while the body is read.
func TestChunkedBody(t *testing.T) {
	servers := limited(t)
	for _, tt := range []struct {
		server, line, auth string
		length             int
		want               string
	}{
		{"tokens", "POST /stt", "Token token1", tooMuch, "413"}, {"tokens", "POST /stt", "Token token1", limit, ok},
		{"rules", "POST /stt", "Token token1", tooMuch, "413"},
		{"rules", "POST /nope", "Token token1", tooMuch, "413"}, {"rules", "POST /nope", "Token token1", 1000, "404"},
		{"rules", "PUT /stt", "Token token1", tooMuch, "413"}, {"rules", "PUT /stt", "Token token1", 1000, "405"},
	} {
		body := chunks(tt.length)
		got := exchange(t, servers[tt.server], tt.line, "Authorization: "+tt.auth, "Transfer-Encoding: chunked", "", body)
		if got.kind() != tt.want {
			t.Errorf("%s of %d bytes in chunks = %s %s, want %s", tt.line, tt.length, got.kind(), got.body, tt.want)
		}
	}
	// Strangers are answered before they have sent a chunk, and not told to send one.
	for _, line := range []string{"POST /stt", "POST /nope", "TRACE /stt", "PROPFIND /nope"} {
		for server := range servers {
			got := exchange(t, servers[server], line, "Transfer-Encoding: chunked", "Expect: 100-continue")
			if got.status != 401 && got.status != 405 {
				t.Errorf("%s in chunks from nobody = %d, want 401 or 405 at once", line, got.status)
			}
		}
	}
}

// A trap is a body that must not be read.
type trap struct{ read bool }

func (b *trap) Read([]byte) (int, error) { b.read = true; return 0, io.EOF }
func (b *trap) Close() error             { return nil }

// TestRefusalsLeaveTheBodyAlone, whatever length it announces.
func TestRefusalsLeaveTheBodyAlone(t *testing.T) {
	h := makeGuard(t, guard.Config{MaxBody: limit, Rules: everyRule(t)}).Handler(who)
	for _, length := range []int64{-1, 0, 5, limit + 1} {
		for _, tt := range []struct{ method, target, auth string }{
			{"POST", "/known", ""}, {"POST", "/nope", ""}, {"POST", "/known", "Token nope"}, {"POST", "/admin", "Token token1"}, {"POST", "/known", "Token"},
			{"TRACE", "/known", "Token token1"}, {"PROPFIND", "/known", ""}, {"POST", "/public%2F", "Token token1"}, {"PUT", "/get", ""},
		} {
			body := &trap{}
			r := httptest.NewRequest(tt.method, tt.target, body)
			r.ContentLength = length
			if tt.auth != "" {
				r.Header.Set("Authorization", tt.auth)
			}
			if got := send(h, r); got.status < 400 || body.read {
				t.Errorf("%s %s with %q and length %d = %d, body read: %v", tt.method, tt.target, tt.auth, length, got.status, body.read)
			}
		}
	}
}

// TestBodyLimitReachesTheHandler as the error that net/http has for it, also for a caller who stays anonymous.
func TestBodyLimitReachesTheHandler(t *testing.T) {
	var read error
	h := makeGuard(t, guard.Config{MaxBody: 10, Rules: everyRule(t)}).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, read = io.ReadAll(r.Body)
	}))
	for size, want := range map[int]bool{0: false, 10: false, 11: true, 100_000: true} {
		r := httptest.NewRequest("POST", "/public", strings.NewReader(strings.Repeat("x", size)))
		r.ContentLength = -1
		send(h, r)
		if _, tooLarge := errors.AsType[*http.MaxBytesError](read); tooLarge != want {
			t.Errorf("reading %d bytes with a limit of 10: %v, want over the limit: %v", size, read, want)
		}
	}
	if got := get(h, "GET", "/public"); got.status != 200 || read != nil {
		t.Errorf("no body = %d, %v", got.status, read)
	}
}

// TestTheDecisionIsMadeOnce: one resolution a request, whatever the handler asks for afterwards.
func TestTheDecisionIsMadeOnce(t *testing.T) {
	resolved := 0
	g := makeGuard(t, guard.Config{Rules: everyRule(t), Policy: users{resolve: func(_ context.Context, id gatehouse.Identity) (gatehouse.Principal, error) {
		resolved++
		return gatehouse.PrincipalOf(id), nil
	}}})
	h := g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 10 {
			_, _ = gatehouse.FromContext(r.Context()), guard.FromContext(r.Context())
		}
		who(w, r)
	}))
	if got := get(h, "GET", "/known", "Authorization", "Token token1"); got.body != "jack" || resolved != 1 {
		t.Errorf("the principal was resolved %d times for %d %s, want once", resolved, got.status, got.body)
	}
}

// TestNoLimit: without one a body is handed on as it came.
func TestNoLimit(t *testing.T) {
	body := &trap{}
	h := makeGuard(t, guard.Config{Rules: everyRule(t)}).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Body != body {
			t.Errorf("the body became a %T", r.Body)
		}
	}))
	r := httptest.NewRequest("POST", "/public", body)
	r.ContentLength = 1 << 40
	if got := send(h, r); got.status != 200 {
		t.Errorf("a body without a limit = %d", got.status)
	}
}
