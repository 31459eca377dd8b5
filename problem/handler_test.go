package problem_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/problem"
)

// TestHandler: what a handler returns becomes the answer, and what it must not say goes to the log.
func TestHandler(t *testing.T) {
	var none *problem.Problem
	for name, tt := range map[string]struct {
		err      error
		status   int
		code     string
		logged   string // stands in the log; "" means that nothing does
		unlogged string // stands neither in the answer nor, for a client's fault, in the log
	}{
		"nothing":                  {nil, 200, "", "", ""},
		"a problem":                {problem.New(problem.NotFound), 404, "not_found", "", ""},
		"a wrapped problem":        {fmt.Errorf("film 7: %w", problem.New(problem.NotFound)), 404, "not_found", "", "film 7"},
		"a problem in a list":      {errors.Join(errors.New("first"), problem.New(problem.Forbidden)), 403, "forbidden", "", "first"},
		"a server's problem":       {problem.Wrap(problem.Unavailable, errors.New("db down")), 503, "unavailable", "db down", ""},
		"a wrapped server problem": {fmt.Errorf("film 7: %w", problem.Wrap(problem.Unavailable, errors.New("db down"))), 503, "unavailable", "film 7: unavailable: db down", ""},
		"any other error":          {errors.New("dsn=postgres://u:hunter2@db"), 500, "internal", "hunter2", ""},
		"io.EOF":                   {io.EOF, 500, "internal", "EOF", ""},
		"a nil problem":            {none, 500, "internal", "nil *problem.Problem", ""},
		"a wrapped nil problem":    {fmt.Errorf("film 7: %w", none), 500, "internal", "film 7", ""},
		"an unknown code":          {problem.Wrap("typo", errors.New("why")), 500, "internal", "typo", ""},
		"a body over the limit":    {fmt.Errorf("reading: %w", &http.MaxBytesError{Limit: 10}), 413, "body_too_large", "", "reading"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			w := bearer()
			w.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			rec := do(w.Handler(func(http.ResponseWriter, *http.Request) error { return tt.err }), "GET")
			if rec.Code != tt.status {
				t.Errorf("status = %d, want %d", rec.Code, tt.status)
			}
			if tt.logged != "" && (!strings.Contains(log.String(), tt.logged) || strings.Contains(rec.Body.String(), tt.logged) && tt.logged != "typo") {
				t.Errorf("log = %q, answer = %q, want %q in the log only", log.String(), rec.Body, tt.logged)
			}
			if tt.logged == "" && log.Len() > 0 {
				t.Errorf("log = %q, want none", log.String())
			}
			if lines := strings.Count(log.String(), "\n"); lines > 1 {
				t.Errorf("%d lines are logged, want one", lines)
			}
			if tt.unlogged != "" && strings.Contains(rec.Body.String(), tt.unlogged) {
				t.Errorf("the answer shows %q: %s", tt.unlogged, rec.Body)
			}
			if tt.code != "" {
				if b := bodyOf(t, rec); b.Code != tt.code {
					t.Errorf("code = %s, want %s", b.Code, tt.code)
				}
			}
		})
	}
}

// TestHandlerAnswersMaxBytes runs a real reader over its limit.
func TestHandlerAnswersMaxBytes(t *testing.T) {
	h := bearer().Handler(func(w http.ResponseWriter, r *http.Request) error {
		_, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 10))
		return err
	})
	for size, want := range map[int]int{10: 200, 11: 413, 100000: 413} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("x", size))))
		if rec.Code != want {
			t.Errorf("a body of %d bytes with a limit of 10 = %d, want %d", size, rec.Code, want)
		}
	}
}

// TestHandlerLeavesPanicsToTheServer: net/http ends the connection; a 500 written here could follow half an answer.
func TestHandlerLeavesPanicsToTheServer(t *testing.T) {
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("the panic was swallowed")
		}
	}()
	do(bearer().Handler(func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }), "GET")
}

// TestLog: only a server's error is worth a line, and the line has the request's id, not its target.
func TestLog(t *testing.T) {
	for _, info := range problem.Catalogue {
		var log bytes.Buffer
		w := bearer()
		w.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		w.RequestID = func(*http.Request) string { return "id-1" }
		r := httptest.NewRequest("GET", "/films?token=planted-secret", nil)
		r.Header.Set("Authorization", "Bearer planted-secret")
		w.Log(r, problem.Wrap(info.Code, errors.New("the cause")))
		if got := log.Len() > 0; got != (info.Status >= 500) {
			t.Errorf("%s (%d) logged = %v", info.Code, info.Status, got)
		}
		if strings.Contains(log.String(), "planted-secret") {
			t.Errorf("the log of %s has a secret: %s", info.Code, &log)
		}
		for _, part := range []string{"id-1", "the cause", string(info.Code), "GET", "level=ERROR"} {
			if info.Status >= 500 && !strings.Contains(log.String(), part) {
				t.Errorf("the log of %s lacks %s: %s", info.Code, part, &log)
			}
		}
	}
}

// TestLogWithoutALogger goes to the program's default.
func TestLogWithoutALogger(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	do((&problem.Writer{}).Handler(func(http.ResponseWriter, *http.Request) error { return errors.New("the cause") }), "GET")
	if !strings.Contains(log.String(), "the cause") {
		t.Errorf("the default log has %q", log.String())
	}
}
