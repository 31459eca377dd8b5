package revoke_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// A line leads to a server in the same bubble. It can be cut.
type line struct {
	conns chan net.Conn
	done  chan struct{}
	tr    *http.Transport

	served sync.WaitGroup // connections

	mu       sync.Mutex
	open     []net.Conn
	down     bool // nobody is at the other end
	requests []*http.Request
}

// newLine serves h until the test ends.
func newLine(t *testing.T, h http.Handler) *line {
	l := &line{conns: make(chan net.Conn), done: make(chan struct{})}
	l.tr = &http.Transport{DialContext: l.dial}
	server := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			l.served.Done()
		}
	}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		l.tr.CloseIdleConnections()
		_ = server.Close()
		<-ended
		l.served.Wait() // their handlers have returned
	})
	return l
}

func (l *line) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	l.mu.Lock()
	down := l.down
	l.mu.Unlock()
	if down {
		return nil, errors.New("nobody is there")
	}
	here, there := net.Pipe()
	select {
	case l.conns <- there:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = append(l.open, here)
	return here, nil
}

// RoundTrip implements [http.RoundTripper].
func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	l.requests = append(l.requests, r)
	l.mu.Unlock()
	return l.tr.RoundTrip(r)
}

// asked returns the requests since it was called the last time.
func (l *line) asked() []*http.Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	asked := l.requests
	l.requests = nil
	return asked
}

// cut ends all connections; while it is down, there will be no others.
func (l *line) cut(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
	for _, c := range l.open {
		_ = c.Close()
	}
	l.open = nil
}

func (l *line) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		l.served.Add(1)
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *line) Close() error   { close(l.done); return nil }
func (l *line) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

const feedURL = "http://127.0.0.1/oauth/revocations"

func nobody(*http.Request) error { return nil }

// follow returns a list that follows what is at the other end of a line, and runs.
func follow(t *testing.T, l http.RoundTripper, log *logs) *revoke.List {
	t.Helper()
	list, err := revoke.Follow(revoke.FollowConfig{URL: feedURL, Authorize: nobody, Transport: l, Logger: slog.New(log)})
	must(t, err)
	start(t, list)
	return list
}

// A world has a list with a store, its feed, and a list that follows it.
type world struct {
	*testing.T
	store    *store
	list     *revoke.List
	feed     *revoke.Feed
	line     *line
	logs     *logs
	follower *revoke.List
}

// inWorld calls f in a bubble in which the follower has heard what there is in the store.
func inWorld(t *testing.T, s *store, f func(w *world)) {
	t.Helper()
	inTunedWorld(t, s, func(*revoke.Feed) {}, f)
}

// inTunedWorld is inWorld with a feed that tune has changed.
func inTunedWorld(t *testing.T, s *store, tune func(f *revoke.Feed), f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, store: s, logs: &logs{}}
		w.list = revoke.New(s, revoke.Config{Logger: slog.New(slog.DiscardHandler)})
		start(t, w.list)
		synctest.Wait() // it has read the store
		w.feed = revoke.NewFeed(w.list)
		tune(w.feed)
		w.line = newLine(t, w.feed)
		w.follower = follow(t, w.line, w.logs)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		must(t, w.follower.Load(ctx))
		f(w)
	})
}

// after lets time pass.
func (w *world) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// restored makes the store what it was.
func (w *world) restored(b backup, more ...revoke.Entry) {
	w.Helper()
	w.store.restore(b)
	_, err := w.store.Add(w.Context(), more...)
	must(w, err)
}

// An event is what a stream says.
type event struct {
	name, id, data string
	at             time.Duration // since the request
}

// A stream is read event by event.
type stream struct {
	t     *testing.T
	began time.Time
	body  io.ReadCloser
	lines *bufio.Scanner
}

// ask opens a stream. The status must be 200.
func (w *world) ask(query string, header ...string) *stream {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), "GET", feedURL+query, nil)
	must(w, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	began := time.Now()
	response, err := w.line.tr.RoundTrip(r)
	must(w, err)
	if response.StatusCode != http.StatusOK {
		w.Fatalf("%s is answered %s", query, response.Status)
	}
	s := &stream{w.T, began, response.Body, bufio.NewScanner(response.Body)}
	w.Cleanup(func() { response.Body.Close() })
	return s
}

// next returns the next event, and false at the end.
func (s *stream) next() (e event, ok bool) {
	for s.lines.Scan() {
		field, value, _ := strings.Cut(s.lines.Text(), ": ")
		switch field {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			e.data = value
		case "":
			e.at = time.Since(s.began)
			return e, true
		}
	}
	return e, false
}

// names returns what the next n events are called.
func (s *stream) names(n int) string {
	s.t.Helper()
	var names []string
	for range n {
		e, ok := s.next()
		if !ok {
			names = append(names, "the end")
			break
		}
		names = append(names, e.name)
	}
	return strings.Join(names, " ")
}
