package guard

import (
	"bufio"
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// An observation is what is known of a request while it is served.
type observation struct {
	id      string
	start   time.Time
	verdict *Verdict
	writer  *statusWriter
}

func observationOf(ctx context.Context) *observation {
	o, _ := ctx.Value(observationKey).(*observation)
	return o
}

// RequestID returns the id that [Observe] gave to r, or "".
func RequestID(r *http.Request) string {
	if o := observationOf(r.Context()); o != nil {
		return o.id
	}
	return ""
}

// Observe gives each request an id, sends it as X-Request-Id, and calls done when it has been answered, also when next panics. It stands in
// front of the guard. now is the clock; nil means time.Now. done must not keep r.
func Observe(next http.Handler, now func() time.Time, done func(r *http.Request, d Description, v *Verdict)) http.Handler {
	if now == nil {
		now = time.Now
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o := &observation{id: rand.Text(), start: now(), writer: &statusWriter{ResponseWriter: w}}
		r = r.WithContext(context.WithValue(r.Context(), observationKey, o))
		w.Header().Set("X-Request-Id", o.id)
		defer func() {
			d := Describe(r)
			d.Duration = now().Sub(o.start)
			done(r, d, o.verdict)
		}()
		next.ServeHTTP(o.writer, r)
		if o.writer.status == 0 {
			o.writer.status = http.StatusOK // net/http answers for a handler that wrote nothing
		}
	})
}

// A Description says what became of a request. It holds no secret, so that it can be logged as it is.
type Description struct {
	RequestID string
	Method    string
	Host      string
	Path      string // canonical; of a refused target the raw one, escaped; never the query. What looks like a token is hidden, here, in Method and in Host
	Status    int    // 0 while there is no answer
	Bytes     int64  // of the answer's body
	Duration  time.Duration
	Subject   string // the principal; "" for anonymous
	Kind      string
	Carrier   string
	TokenID   string
	Rule      string
	Decision  string // "allow", "deny", or "" if no guard has judged
	Reason    string // the problem's code, or ""
}

// Describe returns what is known of r by now. It finds more if [Observe] stands in front of the guard: without it the status is unknown
// until the guard has refused.
func Describe(r *http.Request) Description {
	d := Description{Method: r.Method, Host: r.Host}
	if r.URL != nil {
		d.Path = r.URL.EscapedPath()
	}
	v := FromContext(r.Context())
	if o := observationOf(r.Context()); o != nil {
		d.RequestID, d.Status, d.Bytes = o.id, o.writer.status, o.writer.bytes
		v = o.verdict
	}
	d.judged(v)
	d.Method, d.Host, d.Path = hideTokens(d.Method), hideTokens(d.Host), hideTokens(d.Path)
	return d
}

func (d *Description) judged(v *Verdict) {
	if v == nil {
		return
	}
	if v.Request.Path != "" {
		d.Method, d.Host, d.Path = v.Request.Method, v.Request.Host, v.Request.Path
	}
	d.Subject, d.Kind, d.Carrier, d.TokenID = v.Principal.Subject, string(v.Principal.Kind), v.Carrier, v.TokenID
	d.Rule, d.Decision, d.Reason = v.RuleName(), "deny", string(v.Reason())
	if v.Allowed() {
		d.Decision = "allow"
	}
}

// LogValue implements [slog.LogValuer]: a group of what is known.
func (d Description) LogValue() slog.Value {
	attrs := make([]slog.Attr, 0, 14)
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	add("request_id", d.RequestID)
	add("method", d.Method)
	add("host", d.Host)
	add("path", d.Path)
	if d.Status != 0 {
		attrs = append(attrs, slog.Int("status", d.Status))
	}
	if d.Duration > 0 {
		attrs = append(attrs, slog.Int64("bytes", d.Bytes), slog.Float64("duration_ms", float64(d.Duration.Microseconds())/1000))
	}
	add("principal", d.Subject)
	add("kind", d.Kind)
	add("carrier", d.Carrier)
	add("token_id", d.TokenID) // not "token": log handlers hide what stands under that name
	add("rule", d.Rule)
	add("decision", d.Decision)
	add("reason", d.Reason)
	return slog.GroupValue(attrs...)
}

// A statusWriter remembers what was answered. It unwraps, so that flushing, hijacking and deadlines keep working.
type statusWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// Unwrap serves [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Hijack implements [http.Hijacker] for handlers that ask for it by type. What is said on the connection from then on is not seen here.
func (w *statusWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil && w.status == 0 {
		w.status = http.StatusSwitchingProtocols
	}
	return conn, rw, err
}

// Flush implements [http.Flusher] for handlers that ask for it by type.
func (w *statusWriter) Flush() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	_ = http.NewResponseController(w.ResponseWriter).Flush() // a writer that cannot flush has nothing to lose by it
}
