package api

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/problem"
	"github.com/gatehouse-auth/gatehouse/token"
)

// A fault is an error of RFC 6749, section 5.2. Its code is as stable as a problem's: it is what clients of OAuth look at.
type fault struct {
	status            int
	code, description string
	cause             error       // for logs and explanations; may be nil
	about             []slog.Attr // for logs: the client, as far as there is such a client, and what it asked for
}

func (f *fault) Error() string {
	if f.cause != nil {
		return f.code + ": " + f.cause.Error()
	}
	return f.code + ": " + f.description
}

func (f *fault) Unwrap() error { return f.cause }

// invalid is the request's own fault.
func invalid(code, description string) *fault {
	return &fault{status: http.StatusBadRequest, code: code, description: description}
}

// retryAfter is when to come back if something could not be done, in seconds.
const retryAfter = "5"

// fail answers with err. What is no fault could not be done now, for a reason that is told to nobody but the log.
func (o *oauth) fail(w http.ResponseWriter, r *http.Request, err error) {
	f, ok := errors.AsType[*fault](err)
	if !ok {
		f = &fault{status: http.StatusServiceUnavailable, code: "temporarily_unavailable",
			description: "This could not be done now. Try again after the time in Retry-After.", cause: err}
		w.Header().Set("Retry-After", retryAfter)
	}
	if f.status == http.StatusUnauthorized {
		w.Header().Add("WWW-Authenticate", `Basic realm="gatehouse", charset="UTF-8"`)
	}
	o.Guard.Refuse(r, f.problem())
	o.noteRefused(r, f)
	writeJSON(w, f.status, map[string]string{"error": f.code, "error_description": f.description})
}

// problem says what a fault is in the words of logs, metrics and limits: a wrong secret counts as a guess, a form that is filled in wrong does not.
func (f *fault) problem() *problem.Problem {
	switch {
	case f.status == http.StatusServiceUnavailable:
		return problem.Wrap(problem.Unavailable, f.cause)
	case f.status == http.StatusRequestEntityTooLarge:
		return problem.Wrap(problem.BodyTooLarge, f)
	case f.code == "invalid_client":
		return problem.Wrap(problem.InvalidCredentials, f)
	case f.code == "invalid_grant", f.code == "invalid_token":
		return problem.Wrap(problem.UnknownToken, f)
	case f.code == "unauthorized_client":
		return problem.Wrap(problem.Forbidden, f)
	}
	return problem.Wrap(problem.BrokenBody, f)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone hears nothing
}

// noteRefused logs who was refused, and louder if a refresh token came again. What could not be done is in the log already.
func (o *oauth) noteRefused(r *http.Request, f *fault) {
	if f.status >= 500 {
		return
	}
	level := slog.LevelInfo
	if errors.Is(f, token.ErrReused) {
		level = slog.LevelWarn
	}
	o.note(r, level, "a client was refused", append(f.about, slog.String("path", r.URL.Path), slog.String("reason", f.Error()))...)
}

// note logs what happened to clients and their tokens, for those who look after security. Nothing that is logged is a secret, nor anything that a stranger may have put in the place of
// a name: those may be secrets by mistake.
func (o *oauth) note(r *http.Request, level slog.Level, event string, attrs ...slog.Attr) {
	logger := o.Logger
	if logger == nil {
		logger = o.Guard.Answers().Logger
	}
	if logger == nil {
		logger = slog.Default()
	}
	if id := guard.RequestID(r); id != "" {
		attrs = append(attrs, slog.String("request_id", id))
	}
	logger.LogAttrs(r.Context(), level, event, attrs...)
}
