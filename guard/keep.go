package guard

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/problem"
	"github.com/gatehouse-auth/gatehouse/session"
)

// A keptWriter has the carriers write down what they keep before the first byte of the answer, whatever the answer is: a page, a redirect, a stream, a
// file, an upgrade. If that fails, the answer is a problem instead.
type keptWriter struct {
	http.ResponseWriter
	exchange *exchange
	request  *http.Request
	begun    bool
	status   int
	failed   error // why the handler's answer was replaced
}

// Unwrap serves [http.ResponseController].
func (w *keptWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements [http.ResponseWriter].
func (w *keptWriter) WriteHeader(status int) {
	if status < 200 && status != http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status) // not the answer yet
		return
	}
	if w.begun && w.failed != nil || !w.begin(status) {
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *keptWriter) Write(b []byte) (int, error) {
	if !w.begin(http.StatusOK) {
		return 0, w.failed
	}
	return w.ResponseWriter.Write(b)
}

// ReadFrom implements [io.ReaderFrom], so that files are still copied by the system.
func (w *keptWriter) ReadFrom(src io.Reader) (int64, error) {
	if !w.begin(http.StatusOK) {
		return 0, w.failed
	}
	return io.Copy(w.ResponseWriter, src)
}

// FlushError serves [http.ResponseController].
func (w *keptWriter) FlushError() error {
	if !w.begin(http.StatusOK) {
		return w.failed
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush implements [http.Flusher] for handlers that ask for it by type.
func (w *keptWriter) Flush() { _ = w.FlushError() } // a writer that cannot flush has nothing to lose by it

// errCookieLost: who hijacks a connection writes the header alone.
var errCookieLost = errors.New("guard: a cookie was set, and the connection is taken over before the header is sent: call WriteHeader(101) first, or sign in before the upgrade")

// Hijack implements [http.Hijacker] for handlers that ask for it by type.
func (w *keptWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !w.begun {
		if err := w.keep(http.StatusSwitchingProtocols); err != nil {
			return nil, nil, err
		}
		if w.setsCookie() {
			return nil, nil, errCookieLost
		}
	}
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil && !w.begun { // over HTTP/2 there is nothing to take over, and the handler has to answer in another way
		w.started(http.StatusSwitchingProtocols)
	}
	return conn, rw, err
}

// setsCookie reports whether the answer sets a cookie of the carriers.
func (w *keptWriter) setsCookie() bool {
	return slices.ContainsFunc(w.Header()["Set-Cookie"], func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		return slices.Contains(w.exchange.guard.cookies, name)
	})
}

// begin stores what there is to store, once, and reports whether the handler's answer may go out.
func (w *keptWriter) begin(status int) bool {
	if w.begun {
		return w.failed == nil
	}
	err := w.keep(status)
	w.started(status)
	if err == nil {
		return true
	}
	w.failed = err
	w.exchange.kept.session.Discard()
	p := keepProblem(err)
	g := w.exchange.guard
	v := g.Refuse(w.request, p)
	v.unknown = err
	g.Discard(w.ResponseWriter, w.request, v)
	w.Header().Del("Location") // a redirect that is not made
	g.answers.Write(w.ResponseWriter, w.request, p)
	return false
}

func (w *keptWriter) started(status int) {
	w.begun, w.status = true, status
	w.exchange.kept.session.Begin()
}

// finishTimeout bounds what is stored after the answer: nobody waits for it any more.
const finishTimeout = 10 * time.Second

// finish is called when the handler has returned. What was put after the answer had begun is stored now; that it could not be is all that is left to say.
func (w *keptWriter) finish() {
	if !w.begun {
		w.begin(http.StatusOK)
		return
	}
	if w.failed != nil {
		return
	}
	// The usual end of a stream is that the client goes away, and its context with it. What was put then is to be stored all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.request.Context()), finishTimeout)
	defer cancel()
	w.request = w.request.WithContext(ctx)
	if err := w.keep(w.status); err != nil {
		w.exchange.guard.logger.LogAttrs(w.request.Context(), slog.LevelError, "what a handler put into the session after its answer had begun could not be stored",
			slog.Any("error", err))
	}
}

func (w *keptWriter) keep(status int) (err error) {
	defer recovered("carrier", &err)
	if err := w.checkOrigin(status); err != nil {
		return err
	}
	for _, k := range w.exchange.kept.keepers {
		if err := k.Keep(w.ResponseWriter, w.request, status); err != nil {
			return fmt.Errorf("guard: %w", err)
		}
	}
	return nil
}

// checkOrigin keeps other sites from changing the session of a visitor, and from putting one in the place of a session whose cookie the browser has not sent along (SameSite):
// its owner would be signed out, and sign in again in a session that somebody else has filled. Whoever is signed in was checked before.
func (w *keptWriter) checkOrigin(status int) error {
	x := w.exchange
	if status >= http.StatusInternalServerError || !x.kept.opens || !x.principal().IsAnonymous() || !x.kept.session.Changed() {
		return nil
	}
	return x.checkOrigin(w.request)
}

// keepProblem is the answer when something could not be stored.
func keepProblem(err error) *problem.Problem {
	if p, ok := errors.AsType[*problem.Problem](err); ok && p != nil {
		return p
	}
	switch {
	case errors.Is(err, session.ErrConflict):
		return problem.Wrap(problem.SessionConflict, err)
	case errors.Is(err, gatehouse.ErrSession):
		return problem.Wrap(problem.SessionInvalid, err)
	}
	return problem.Wrap(problem.Unavailable, err)
}
