package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// A tap is what the program writes, line by line, while it runs.
type tap struct {
	mu    sync.Mutex
	text  bytes.Buffer
	first chan string // the first line
	once  sync.Once
}

func (p *tap) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text.Write(b)
	if line, _, ok := strings.Cut(p.text.String(), "\n"); ok {
		p.once.Do(func() { p.first <- line })
	}
	return len(b), nil
}

func (p *tap) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// start runs the program on the sample configuration, on a port of its own, until the test ends. It returns the address and the output.
func start(t *testing.T) (string, *tap) {
	t.Helper()
	sample, err := os.ReadFile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	name := write(t, strings.Replace(string(sample), `"port": 8000`, `"port": 0`, 1))
	ctx, cancel := context.WithCancel(context.Background())
	out, ended := &tap{first: make(chan string, 1)}, make(chan error, 1)
	go func() { ended <- run(ctx, []string{"-config", name}, out) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run ends with %v", err)
		}
	})
	select {
	case line := <-out.first:
		return strings.TrimPrefix(line, "listening on http://"), out
	case err := <-ended:
		ended <- nil
		t.Fatalf("run = %v before it listened", err)
	}
	return "", nil
}

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// exchange sends a raw request and returns the status line's number, the challenge and the body.
func exchange(t *testing.T, addr, request string) (status int, challenge, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, request) // a server that has answered may have closed
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%.60q: %v", request, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("WWW-Authenticate"), string(text)
}

// TestServer talks to the running program.
func TestServer(t *testing.T) {
	addr, out := start(t)
	if !strings.HasPrefix(addr, "127.0.0.1:") {
		t.Errorf("it listens on %s, want the loopback address of the sample", addr)
	}
	big := fmt.Sprintf("Content-Length: %d\r\n", 1_100_000)
	chunked := "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("10000\r\n"+strings.Repeat("x", 0x10000)+"\r\n", 17) + "0\r\n\r\n"
	const token1, token2 = "Authorization: Token token1\r\n", "Authorization: Token token2\r\n"
	for _, tt := range []struct {
		name, line, rest string
		status           int
		challenge, body  string // the body is an expression that must match all of it
	}{
		{"a token", "GET /ping", token1, 200, "", `\{"text":"pong","status":"success"\}`},
		{"the other token", "GET /ping", token2, 200, "", `\{"text":"pong","status":"success"\}`},
		{"any case of the scheme", "GET /ping", "authorization: tOkEn token1\r\n", 200, "", `\{"text":"pong","status":"success"\}`},
		{"no token", "GET /ping", "", 401, `Token realm="gatehouse"`, `.*"code":"no_credential".*\n`},
		{"a wrong token", "GET /ping", "Authorization: Token token3\r\n", 401, `Token realm="gatehouse", error="invalid_token"`, `.*"code":"unknown_token".*\n`},
		{"another scheme", "GET /ping", "Authorization: Bearer token1\r\n", 401, `Token realm="gatehouse"`, `.*"code":"unsupported_scheme".*\n`},
		{"two headers", "GET /ping", token1 + token2, 400, `Token realm="gatehouse", error="invalid_request"`, `.*"code":"duplicate_credential".*\n`},
		{"a recording", "POST /stt", token1 + "Content-Type: audio/wav; rate=8000\r\nContent-Length: 5\r\n\r\nhello", 200, "", `\{"proc_duration":[0-9.e-]+,"status":"success","text":"5 bytes of audio/wav"\}\n`},
		{"a recording of no type", "POST /stt", token1 + "Content-Length: 0\r\n", 200, "", `.*"text":"0 bytes of application/octet-stream"\}\n`},
		{"a recording in chunks", "POST /stt", token1 + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, "", `.*"text":"5 bytes of .*`},
		{"too large", "POST /stt", token1 + big, 413, "", `.*"code":"body_too_large".*\n`},
		{"too large in chunks", "POST /stt", token1 + chunked, 413, "", `.*"code":"body_too_large".*\n`},
		{"too large, nowhere", "POST /nowhere", token1 + big, 413, "", `.*"code":"body_too_large".*\n`},
		{"too large, from nobody", "POST /stt", big + "Expect: 100-continue\r\n", 401, `Token realm="gatehouse"`, `.*"code":"no_credential".*\n`},
		{"small, nowhere", "POST /nowhere", token1 + "Content-Length: 5\r\n\r\nhello", 404, "", `.*`},
		{"nowhere, from nobody", "GET /nowhere", "", 401, `Token realm="gatehouse"`, `.*"code":"no_credential".*\n`},
		{"the public route", "GET /status", "", 200, "", `\{"text":"up","status":"success"\}`},
		{"the public route with a token", "GET /status", token1, 200, "", `\{"text":"up","status":"success"\}`},
		{"beside the public route", "GET /status/", "", 401, `Token realm="gatehouse"`, `.*`},
		{"through the public route", "GET /status/../ping", "", 400, "", `.*"code":"bad_target".*\n`},
		{"everything", "OPTIONS *", token1, 400, "", `.*"code":"bad_target".*\n`},
		{"a strange method", "TRACE /status", "", 405, "", `.*"code":"method_not_allowed".*\n`},
	} {
		request := tt.line + " HTTP/1.1\r\nHost: " + addr + "\r\nConnection: close\r\n" + tt.rest
		if !strings.Contains(request, "\r\n\r\n") {
			request += "\r\n"
		}
		status, challenge, body := exchange(t, addr, request)
		if status != tt.status || !strings.HasPrefix(challenge, tt.challenge) || tt.challenge == "" != (challenge == "") || !regexp.MustCompile(`(?s)\A`+tt.body+`\z`).MatchString(body) {
			t.Errorf("%s: %s = %d %q %q, want %d %q %s", tt.name, tt.line, status, challenge, body, tt.status, tt.challenge, tt.body)
		}
	}
	for _, part := range []string{"r.path=/ping", "r.principal=token-1", "r.reason=unknown_token", "r.status=413"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("the log lacks %s", part)
		}
	}
	for _, secret := range []string{"token1", "token2", "token3"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the log shows %s", secret)
		}
	}
}

// TestFaultyConfigurations stop the program with a message, before it listens.
func TestFaultyConfigurations(t *testing.T) {
	for name, tt := range map[string]struct{ text, fault string }{
		"one token twice":  {`{"server":{"http":{"allowed_tokens":["planted-token","planted-token"]}}}`, "are the same token"},
		"a negative limit": {`{"server":{"http":{"allowed_tokens":["planted-token"],"request_max_size":-1}}}`, "MaxBody is -1"},
		"a wrong type":     {`{"server":{"http":{"allowed_tokens":"planted-token"}}}`, "allowed_tokens"},
		"an unknown level": {`{"log":{"level":[{"logger":"server_logger","level":"LOUD"}]}}`, "LOUD"},
		"no JSON":          {`server:`, "invalid character"},
		"two documents":    {`{} {}`, "invalid character"},
		"a port too far":   {`{"server":{"http":{"port":70000}}}`, "invalid port"},
		"a foreign host":   {`{"server":{"http":{"host":"192.0.2.1"}}}`, "192.0.2.1"},
	} {
		var out bytes.Buffer
		err := run(context.Background(), []string{"-config", write(t, tt.text)}, &out)
		if err == nil || !strings.Contains(err.Error(), tt.fault) || strings.Contains(out.String(), "listening") {
			t.Errorf("%s: run = %v, want an error that says %q", name, err, tt.fault)
		} else if strings.Contains(err.Error(), "planted-token") {
			t.Errorf("%s: the error shows a token: %v", name, err)
		}
	}
	if err := run(context.Background(), []string{"-config", filepath.Join(t.TempDir(), "none.json")}, io.Discard); err == nil || !strings.Contains(err.Error(), "none.json") {
		t.Errorf("without a file: %v", err)
	}
	if err := run(context.Background(), []string{"-nonsense"}, io.Discard); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("with an unknown flag: %v", err)
	}
}

// TestNoTokens lets nobody in.
func TestNoTokens(t *testing.T) {
	h, err := handler(config{}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, auth := range []string{"", "Token", "Token token1", "Token  ", "Token ,"} {
		r := httptest.NewRequest("GET", "/ping", nil)
		r.Header.Set("Authorization", auth)
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != 401 && w.Code != 400 {
			t.Errorf("without any token in the configuration %q = %d, want a refusal", auth, w.Code)
		}
	}
}
