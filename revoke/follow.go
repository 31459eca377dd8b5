package revoke

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A FollowConfig says how to follow a feed in another process.
type FollowConfig struct {
	// URL is where the feed is, such as https://gate.example.org/oauth/revocations. Plain http is for this machine alone.
	URL string
	// Authorize puts the follower's credential into a request, such as with r.SetBasicAuth. It is called for each connection. Required: feeds are not public.
	Authorize func(r *http.Request) error
	// Transport is how requests travel. Nil means [http.DefaultTransport].
	Transport http.RoundTripper
	// Bound is how old the list may be before nothing is accepted any more; how old the server's own list is counts too. More than 2 s. Zero means 5 s.
	Bound time.Duration
	// Logger gets what went wrong. Nil means slog.Default.
	Logger *slog.Logger
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Follow returns a list that is fed by the [Feed] of another process. It accepts nothing until [List.Run] has heard the whole feed, and whenever it has not heard from the feed
// for longer than the bound; it cannot revoke (ErrReadOnly). The credential goes to the host of the URL alone: redirects are not followed. The error says
// what is wrong with c.
//
// What the feed says is taken in as it comes, less than 64 bytes for each revocation. A stream that has sent 100 million of them and not said that this is all is given up, and the next one
// goes on from there, after a pause: a feed without an end is in the log, and one that is that long is heard to its end.
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
		return nil, errors.New("revoke.Follow: Authorize is missing: feeds are not public")
	}
	if c.Bound == 0 {
		c.Bound = DefaultBound
	}
	if c.Bound <= 2*beat {
		return nil, fmt.Errorf("revoke.Follow: the bound is %v: the feed is heard once in %v, so it must be more than twice as long", c.Bound, beat)
	}
	l := newList(Config{Bound: c.Bound, Logger: c.Logger, Now: c.Now})
	l.remote = &remote{List: l, base: u, authorize: c.Authorize, silence: min(3*beat, c.Bound), most: maxNews, client: &http.Client{
		Transport: c.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the feed redirects: its credential goes to no other place")
		},
	}}
	return l, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// A remote keeps a list fresh by the feed of another process. Only Run's goroutine touches it.
type remote struct {
	*List
	base      *url.URL
	authorize func(*http.Request) error
	client    *http.Client
	silence   time.Duration // how long a stream may say nothing before it counts as lost
	most      int           // entries that a stream may send without saying that this is all

	asked time.Time // when the stream was asked for
	fresh bool      // the stream has made the list complete
	news  int       // entries since it did the last time, or since the stream began
}

// run reads one stream after the other.
func (r *remote) run(ctx context.Context) {
	pause := minPause
	for ctx.Err() == nil {
		r.fresh = false
		began := r.c.Now()
		err := r.listen(ctx)
		if ctx.Err() != nil {
			return
		}
		if r.fresh && r.c.Now().Sub(began) > maxPause {
			pause = minPause // whoever is in between may cut streams often
		}
		switch {
		case err == nil && r.fresh: // streams end from time to time
		case err == nil:
			err = errors.New("the feed has ended before it had said everything")
			fallthrough
		default:
			r.failed(ctx, err)
		}
		r.rest(ctx, jitter(pause))
		pause = min(2*pause, maxPause)
	}
}

func (r *remote) failed(ctx context.Context, err error) {
	if !r.failing.Swap(true) {
		r.c.Logger.LogAttrs(ctx, slog.LevelError, "the feed of revocations cannot be followed: past the bound, nothing is accepted that could have been revoked",
			slog.Duration("bound", r.c.Bound), slog.Any("error", err))
	}
}

// listen reads one stream until it ends or falls silent.
func (r *remote) listen(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	heard := make(chan struct{}, 1)
	go r.watch(ctx, heard, cancel)
	r.asked, r.news = r.c.Now(), 0 // what earlier streams have sent is not asked for again
	response, err := r.ask(ctx)
	if err != nil {
		return because(ctx, err)
	}
	defer response.Body.Close()
	return because(ctx, readEvents(response.Body, func(name string, data []byte) error {
		select {
		case heard <- struct{}{}:
		default:
		}
		return r.take(ctx, name, data)
	}))
}

// watch ends a stream that says nothing.
func (r *remote) watch(ctx context.Context, heard <-chan struct{}, cancel context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-heard:
		case <-r.after(r.silence):
			cancel(errors.New("the feed has fallen silent"))
			return
		}
	}
}

// because returns why ctx was cancelled, if that is why err came.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && err != nil {
		return cause
	}
	return err
}

// ask opens the stream behind what has come.
func (r *remote) ask(ctx context.Context) (*http.Response, error) {
	u := *r.base
	query := u.Query()
	query.Set("since", strconv.FormatInt(r.at.seq, 10))
	if r.at.seq != 0 {
		query.Set("mark", r.at.sum.text())
	}
	u.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("Accept-Encoding", "identity") // a few bytes could else become very many
	if err := r.authorize(request); err != nil {
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

// maxNews bounds what a stream may send between two signs of life, so that one that has no end does not fill the memory unnoticed while the list is not even complete. It is more than any site has
// at once; a list that comes to it all the same goes on with the next stream.
const maxNews = 100_000_000

// take takes an event. What is revoked counts at once; that this is all counts only when the server says so.
func (r *remote) take(ctx context.Context, name string, data []byte) error {
	switch name {
	case eventReset:
		r.at.rewind()
	case eventRevoked:
		return r.entry(data)
	case eventCaughtUp, eventAlive:
		return r.alive(ctx, data)
	}
	return nil // of a newer server
}

// entry takes an entry.
func (r *remote) entry(data []byte) error {
	var w wireEntry
	if err := decode(data, &w); err != nil {
		return err
	}
	e, err := w.entry()
	if err != nil {
		return err
	}
	if e.Seq <= r.at.seq {
		return fmt.Errorf("%w: the feed is out of order (seq %d)", ErrInvalid, e.Seq)
	}
	if r.news++; r.news > r.most {
		return fmt.Errorf("the feed has sent %d revocations and not said that this is all: it is asked for the rest", r.most)
	}
	if _, err := r.apply(e); err != nil {
		return err
	}
	r.at.move(e)
	return nil
}

// alive makes the list as fresh as the server says that its own is. The time that the words have travelled is not theirs to tell: what counts is when they were asked for.
func (r *remote) alive(ctx context.Context, data []byte) error {
	var a alive
	if err := decode(data, &a); err != nil {
		return err
	}
	const most = int64(24 * time.Hour / time.Millisecond)
	if a.Last < 0 || a.Age < 0 || a.At < 0 || a.At > most {
		return errors.New("the feed has a sign of life that is none")
	}
	now := r.c.Now()
	told := r.asked.Add(time.Duration(a.At) * time.Millisecond)
	switch lag := now.Sub(told); {
	case lag < -beat: // a clock was set, or this machine has slept while words waited for it: how old they are cannot be told
		return fmt.Errorf("the feed is %v ahead", -lag.Round(time.Millisecond))
	case lag < 0:
		told = now // its clock is a little fast
	case lag > r.c.Bound/2:
		return fmt.Errorf("the feed lags %v behind", lag.Round(time.Millisecond))
	}
	age := time.Duration(min(a.Age, most)) * time.Millisecond
	r.complete(&state{began: told.Add(-age), last: a.Last})
	if r.news = 0; age > r.c.Bound {
		r.failed(ctx, fmt.Errorf("its own list is %v old, or older", age.Round(time.Millisecond)))
		return nil
	}
	r.fresh = true
	if r.failing.Swap(false) {
		r.c.Logger.LogAttrs(ctx, slog.LevelInfo, "the feed of revocations can be followed again")
	}
	return nil
}

// await waits until the list is fresh.
func (l *List) await(ctx context.Context) error {
	for {
		more := l.watchers.next()
		if l.Staleness() <= l.c.Bound {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("revoke: the feed has not been heard (is Run running?): %w", context.Cause(ctx))
		}
	}
}
