package problem

import (
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Problem is an error with an answer. It is immutable once written.
type Problem struct {
	// Code names the situation.
	Code Code
	// Detail replaces the catalogue's text for the caller. It must not contain anything of the request or of Err.
	Detail string
	// Scopes are what the token would need, for InsufficientScope.
	Scopes []string
	// Allow are the methods for MethodNotAllowed.
	Allow []string
	// RetryAfter is when to come back, for TooManyRequests and Unavailable; rounded up to seconds. Zero: 1 s.
	RetryAfter time.Duration
	// Plain leaves the challenge away where it is not required: for callers whose credential is not a token.
	Plain bool
	// Err is the cause, for logs and explanations. It is never sent.
	Err error
}

// New returns a problem with the texts of the catalogue.
func New(code Code) *Problem { return &Problem{Code: code} }

// Wrap returns a problem caused by err.
func Wrap(code Code, err error) *Problem { return &Problem{Code: code, Err: err} }

// Error implements error: the code, and the cause if there is one.
func (p *Problem) Error() string {
	if p == nil {
		return "a nil *problem.Problem" // a handler's mistake, see Handler
	}
	if p.Err != nil {
		return string(p.Code) + ": " + p.Err.Error()
	}
	return string(p.Code)
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error {
	if p == nil {
		return nil
	}
	return p.Err
}

// A Challenge is one way to authenticate, as WWW-Authenticate names it (RFC 9110, section 11.6.1).
type Challenge struct {
	Scheme string // say "Bearer"
	Realm  string // sent as a quoted string
	Params string // more parameters, ready to be sent, without a leading comma; may be empty
	OAuth  bool   // whether the error parameters of RFC 6750 are added
}

func (c Challenge) text(info Info, scopes []string) string {
	var b strings.Builder
	b.WriteString(c.Scheme + " realm=" + quote(c.Realm))
	if c.Params != "" {
		b.WriteString(", " + c.Params)
	}
	if c.OAuth && info.OAuth != "" {
		b.WriteString(`, error="` + info.OAuth + `", error_description=` + quote(info.Title))
		if len(scopes) > 0 {
			b.WriteString(`, scope=` + quote(strings.Join(scopes, " ")))
		}
	}
	return b.String()
}

// quote returns s as a quoted-string (RFC 9110, section 5.6.4). Control characters and what is not ASCII become "?".
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c < ' ' || c > '~':
			b.WriteByte('?')
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// A Writer turns problems into answers. Its fields must not change once it is in use; it is safe for concurrent use then.
type Writer struct {
	// Challenges are sent with every 401, in this order. Empty means one challenge of the scheme Bearer.
	Challenges []Challenge
	// Status moves codes to other statuses: the result of [Statuses]. May be nil.
	Status map[Code]int
	// RequestID returns the id of the request for the body, or "". May be nil.
	RequestID func(*http.Request) string
	// Logger gets the causes of server errors. Nil means slog.Default.
	Logger *slog.Logger
}

// StatusOf returns the status with which code is answered.
func (w *Writer) StatusOf(code Code) int {
	if s, ok := w.Status[code]; ok {
		return s
	}
	if info, ok := Lookup(code); ok {
		return info.Status
	}
	return http.StatusInternalServerError
}

// body is the problem detail as it is sent.
type body struct {
	Type      string   `json:"type"`
	Title     string   `json:"title"`
	Status    int      `json:"status"`
	Detail    string   `json:"detail"`
	Code      Code     `json:"code"`
	Error     string   `json:"error,omitempty"`
	Scope     string   `json:"scope,omitempty"`
	Allow     []string `json:"allow,omitempty"`
	RequestID string   `json:"request_id,omitempty"`
}

// Write answers r with p. It sets every header that belongs to the answer and removes those of a body that will not be sent. An
// unknown code is answered as Internal.
func (w *Writer) Write(rw http.ResponseWriter, r *http.Request, p *Problem) {
	w.WriteStatus(rw, r, p, w.StatusOf(p.Code))
}

// WriteStatus is Write with another status, for proxies that understand only a few.
func (w *Writer) WriteStatus(rw http.ResponseWriter, r *http.Request, p *Problem, status int) {
	info, ok := Lookup(p.Code)
	if !ok {
		info, _ = Lookup(Internal)
		status = info.Status
	}
	w.header(rw.Header(), p, info, status)
	b := body{Type: "urn:gatehouse:problem:" + string(info.Code), Title: info.Title, Status: status, Detail: info.Detail,
		Code: info.Code, Error: info.OAuth, Scope: strings.Join(p.Scopes, " "), Allow: p.Allow}
	if p.Detail != "" {
		b.Detail = p.Detail
	}
	if w.RequestID != nil {
		b.RequestID = w.RequestID(r)
	}
	rw.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	text, _ := json.Marshal(b) // strings and an int: cannot fail
	rw.Write(append(text, '\n'))
}

func (w *Writer) header(h http.Header, p *Problem, info Info, status int) {
	for _, name := range []string{"Content-Encoding", "Content-Length", "Etag", "Last-Modified", "Accept-Ranges",
		"Content-Range", "Content-Disposition", "Content-Language", "Trailer", "Location", "Refresh"} {
		h.Del(name)
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	if status == http.StatusUnauthorized || info.OAuth != "" && !p.Plain {
		w.challenge(h, p, info)
	}
	if info.Code == MethodNotAllowed {
		h.Set("Allow", strings.Join(p.Allow, ", "))
	}
	if info.Code == TooManyRequests || info.Code == Unavailable {
		h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(p.RetryAfter.Seconds())))))
	}
}

func (w *Writer) challenge(h http.Header, p *Problem, info Info) {
	h.Del("Www-Authenticate")
	if len(w.Challenges) == 0 {
		h.Add("Www-Authenticate", Challenge{Scheme: "Bearer", Realm: "gatehouse", OAuth: true}.text(info, p.Scopes))
	}
	for _, c := range w.Challenges {
		h.Add("Www-Authenticate", c.text(info, p.Scopes))
	}
}

// Handler serves requests with f. A [*Problem] that f returns, wrapped or not, is written, and a body over the limit
// ([http.MaxBytesError]) is [BodyTooLarge]. Any other error, a nil *Problem included, is logged whole and answered as [Internal] without
// a word of it. f must not have written anything when it returns an error. Panics are left to the server.
func (w *Writer) Handler(f func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if err := f(rw, r); err != nil {
			w.Fail(rw, r, err)
		}
	})
}

// Fail answers r with err, which is not nil, and logs it as [Writer.Handler] does.
func (w *Writer) Fail(rw http.ResponseWriter, r *http.Request, err error) {
	p := of(err)
	whole := *p
	if p != err {
		whole.Err = err // the log shows what was wrapped around the problem, too
	}
	w.Log(r, &whole)
	w.Write(rw, r, p)
}

// of returns the problem that err is or stands for.
func of(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok && p != nil {
		return p
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return Wrap(BodyTooLarge, err)
	}
	return Wrap(Internal, err)
}

// Log writes the cause of a server error to the log; problems of the caller's making are not worth a line of their own.
func (w *Writer) Log(r *http.Request, p *Problem) {
	if w.StatusOf(p.Code) < 500 {
		return
	}
	logger := w.Logger
	if logger == nil {
		logger = slog.Default()
	}
	attrs := []slog.Attr{slog.String("code", string(p.Code)), slog.String("method", r.Method), slog.Any("error", p.Err)}
	if w.RequestID != nil {
		attrs = append(attrs, slog.String("request_id", w.RequestID(r)))
	}
	logger.LogAttrs(r.Context(), slog.LevelError, "request failed", attrs...)
}
