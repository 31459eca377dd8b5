package revoke

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A FollowConfig says how to follow a feed in another process.
type FollowConfig struct {
	// URL is where the feed is, such as https://gate.example.org/oauth/revocations. Plain http is for this machine alone.
	URL string
	// Authorize puts the follower's credential into a request, such as r.SetBasicAuth. Required: feeds are not public.
	Authorize func(r *http.Request) error
	// Transport is how requests travel. Nil means [http.DefaultTransport].
	Transport http.RoundTripper
	// Bound is how old the list may be before nothing is accepted any more, what the server's own list is old included. Zero means 5 s.
	Bound time.Duration
	// Logger gets what went wrong. Nil means slog.Default.
	Logger *slog.Logger
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Follow returns a list that is fed by the [Feed] of another process. It accepts nothing until [List.Run] has read the feed once, and whenever it has not heard from the feed
// for longer than the bound; it cannot revoke (ErrReadOnly). The error says what is wrong with c.
func Follow(c FollowConfig) (*List, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("revoke.Follow: the URL must be one of https")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, errors.New("revoke.Follow: plain http goes to this machine alone: who is in between could keep revocations back")
	case u.User != nil:
		return nil, errors.New("revoke.Follow: a password in the URL would be logged: use Authorize")
	case c.Authorize == nil:
		return nil, errors.New("revoke.Follow: Authorize is missing")
	}
	if c.Bound == 0 {
		c.Bound = DefaultBound
	}
	if c.Bound <= 2*beat {
		return nil, fmt.Errorf("revoke.Follow: the bound is %v: the feed is heard once in %v, so it must be more than twice as long", c.Bound, beat)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	r := &remote{FollowConfig: c, base: u}
	l := New(r, Config{Bound: c.Bound, Logger: c.Logger, Now: c.Now, Bells: []Bell{r}})
	r.client = &http.Client{Transport: c.Transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("the feed redirects: its credential goes to no other place")
	}}
	return l, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// A remote is a [Source] that a stream fills, and the [Bell] that reads the stream.
type remote struct {
	FollowConfig
	base   *url.URL
	client *http.Client

	mu      sync.Mutex
	waiting []Entry   // what has come, whole, and was not read yet
	last    int64     // up to where everything has come
	fresh   time.Time // when the server's list was complete; zero: nothing has come yet
}

// errSilent: the feed was never heard.
var errSilent = errors.New("the feed has not been heard yet")

// Since implements [Source] for one list, which reads everything once.
func (r *remote) Since(_ context.Context, after int64, limit int) (Page, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fresh.IsZero() {
		return Page{}, errSilent
	}
	if after > r.last {
		return Page{Last: r.last}, nil // the list finds that the feed has lost entries, and reads from the beginning
	}
	for len(r.waiting) > 0 && r.waiting[0].Seq <= after {
		r.waiting = r.waiting[1:]
	}
	n := min(limit, len(r.waiting))
	return Page{Entries: r.waiting[:n:n], Last: r.last}, nil
}

// asOf says when what has come was complete.
func (r *remote) asOf() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fresh
}

// Ring implements [Bell]: who follows has nobody to tell.
func (r *remote) Ring(context.Context) error { return nil }

// silence is how long a stream may say nothing before it counts as lost.
const silence = 3 * beat

// Listen implements [Bell]: it reads the stream until it ends, or falls silent.
func (r *remote) Listen(ctx context.Context, heard func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(silence, func() { cancel(errors.New("the feed has fallen silent")) })
	defer quiet.Stop()
	response, err := r.ask(ctx)
	if err != nil {
		return because(ctx, err)
	}
	defer response.Body.Close()
	return because(ctx, r.listen(response.Body, func() { quiet.Reset(silence); heard() }))
}

// because returns why ctx was cancelled, if that is why err came.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// ask opens the stream behind what has come.
func (r *remote) ask(ctx context.Context) (*http.Response, error) {
	r.mu.Lock()
	u := *r.base
	query := u.Query()
	query.Set("since", strconv.FormatInt(r.last, 10))
	u.RawQuery = query.Encode()
	r.mu.Unlock()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "text/event-stream")
	if err := r.Authorize(request); err != nil {
		return nil, fmt.Errorf("there is no credential for the feed: %w", err)
	}
	response, err := r.client.Do(request)
	if err != nil {
		return nil, err
	}
	kind, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
	if response.StatusCode != http.StatusOK || strings.TrimSpace(kind) != "text/event-stream" {
		response.Body.Close()
		return nil, fmt.Errorf("the feed answers %s with %q: see that the URL is right and that the client may follow", response.Status, kind)
	}
	return response, nil
}

// maxLine bounds a line of the stream: an id of the largest size, and what stands around it. maxPending bounds what comes between two signs of life.
const (
	maxLine    = 4 << 10
	maxPending = 10_000_000
)

// listen takes events until the stream ends. What has come counts once the server says that it is everything.
func (r *remote) listen(stream io.Reader, heard func()) error {
	lines := bufio.NewScanner(stream)
	lines.Buffer(make([]byte, 0, maxLine), maxLine)
	var name string
	var pending []Entry
	reset := false
	for lines.Scan() {
		line := lines.Bytes()
		if field, ok := bytes.CutPrefix(line, []byte("event: ")); ok {
			name = string(field)
			continue
		}
		data, ok := bytes.CutPrefix(line, []byte("data: "))
		if !ok {
			continue // an empty line, or a comment
		}
		switch name {
		case eventReset:
			pending, reset = nil, true
		case eventRevoked:
			var w wireEntry
			if err := json.Unmarshal(data, &w); err != nil {
				return fmt.Errorf("the feed has an event that is none: %w", err)
			}
			e, err := w.entry()
			if err != nil {
				return err
			}
			if n := len(pending); n > 0 && e.Seq <= pending[n-1].Seq || n >= maxPending {
				return fmt.Errorf("the feed is out of order (seq %d)", e.Seq)
			}
			pending = append(pending, e)
		case eventAlive:
			var a alive
			if err := json.Unmarshal(data, &a); err != nil || a.Last < 0 || a.Age < 0 {
				return errors.New("the feed has a sign of life that is none")
			}
			r.take(pending, a, reset)
			pending, reset = nil, false
			heard()
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errors.New("the feed has ended")
}

// take makes what has come count.
func (r *remote) take(entries []Entry, a alive, reset bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if reset {
		r.waiting = nil
	}
	r.waiting = append(r.waiting, entries...)
	r.last = a.Last
	age := time.Duration(min(a.Age, int64(time.Hour/time.Millisecond))) * time.Millisecond
	r.fresh = r.Now().Add(-age)
}
