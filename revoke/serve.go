package revoke

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// MaxFollowers is how many may follow one [Feed] at once.
const MaxFollowers = 1000

// A Feed serves a list's feed to followers. GET with since=N, the Seq up to which the follower knows everything, is answered by a stream of events (text/event-stream): a
// "revoked" event for each entry after N, then "caught-up", then what is new as it comes, and at least each second "alive". The data are JSON; those of "caught-up" and
// "alive" say how far the feed goes, how old the list here is, and how many milliseconds after the request that was so. Where the feed is not the one of which the
// follower knows N entries, "reset" comes first, and then everything. A stream ends after about ten minutes, so that whoever may read it is checked again.
//
// Who may read it must be checked in front of it: it tells ids of tokens, sessions and subjects, though no secret. Followers that do not read are cut off. It is
// an [http.Handler], safe for concurrent use. Make it with [NewFeed].
type Feed struct {
	list      *List
	followers atomic.Int64
	closed    chan struct{}
	closing   atomic.Bool

	most     int64            // followers
	beat     time.Duration    // how often a follower hears something at least
	patience time.Duration    // how long a write may take
	life     time.Duration    // how long a stream lives, about
	clock    func() time.Time // the machine's: it is what deadlines of connections count in, whatever clock the program has
}

// beat is how often a follower hears from the feed at least.
const beat = time.Second

// NewFeed returns the feed of list, which must be kept fresh by [List.Run]. It panics if list itself follows another one: follow that.
func NewFeed(list *List) *Feed {
	if list.remote != nil {
		panic("revoke.NewFeed: this list follows a feed itself: let others follow that one")
	}
	return &Feed{list: list, closed: make(chan struct{}), most: MaxFollowers, beat: beat, patience: 5 * time.Second, life: 10 * time.Minute, clock: time.Now}
}

// Close ends all streams, so that a server can shut down, and begins no new ones. It may be called twice.
func (f *Feed) Close() {
	if !f.closing.Swap(true) {
		close(f.closed)
	}
}

// ServeHTTP implements [http.Handler]. A since that is no number is 400, another method than GET 405, and too many followers are 503.
func (f *Feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := f.list.c.Now()
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "the feed is read with GET", http.StatusMethodNotAllowed)
		return
	}
	since, ok := sinceOf(r)
	if !ok {
		http.Error(w, "since must be a whole number that is not negative", http.StatusBadRequest)
		return
	}
	defer f.followers.Add(-1)
	if f.followers.Add(1) > f.most || f.closing.Load() {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many follow already, or the server is shutting down", http.StatusServiceUnavailable)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events back
	ctx, cancel := context.WithTimeout(r.Context(), jitter(f.life))
	defer cancel()
	s := &stream{Feed: f, control: http.NewResponseController(w), w: w, began: began, sent: since, mark: r.URL.Query().Get("mark"), era: -1}
	s.run(ctx)
}

// sinceOf reads where the follower is. A client of server-sent events that comes back names the last id that it has got.
func sinceOf(r *http.Request) (int64, bool) {
	text := r.URL.Query().Get("since")
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		text = id
	}
	if text == "" {
		return 0, true
	}
	since, err := strconv.ParseInt(text, 10, 64)
	return since, err == nil && since >= 0
}

// A stream is one follower's.
type stream struct {
	*Feed
	control *http.ResponseController
	w       http.ResponseWriter
	began   time.Time // the request
	sent    int64     // the Seq up to which everything has been sent
	mark    string    // the sum of the entry sent, as the follower knows it; empty: it did not say
	era     int64     // of the feed in which sent counts; -1: that has not been found out
	told    bool      // it knows that it has caught up
	b       bytes.Buffer
}

// run sends until the follower is gone, or has to go. When it returns early the follower comes back, and is told again.
func (s *stream) run(ctx context.Context) {
	for {
		more := s.list.watchers.next()
		if s.send(ctx) != nil || !s.wait(ctx, more) {
			return
		}
	}
}

// wait waits for something to say. It returns false if there will be nothing more.
func (s *stream) wait(ctx context.Context, more <-chan struct{}) bool {
	beat := s.list.after(s.beat)
	for {
		select {
		case <-ctx.Done():
			return false
		case <-s.closed:
			return false
		case <-beat:
			return true
		case <-more:
			more = s.list.watchers.next()
			if s.news() {
				return true
			}
		}
	}
}

// news reports whether there is something to send.
func (s *stream) news() bool {
	now := s.list.state.Load()
	return now != nil && (now.era != s.era || now.read > s.sent || !s.told)
}

// send sends what is new, and that it is all.
func (s *stream) send(ctx context.Context) error {
	for {
		now := s.list.state.Load()
		if now == nil {
			return s.alive(eventAlive, now, s.sent)
		}
		if err := s.begin(ctx, now.era); err != nil {
			return err
		}
		entries, ok := s.list.recent.after(now.era, s.sent)
		if ok {
			return s.finish(entries, now)
		}
		if err := s.catchUp(ctx, now); err != nil {
			return err
		}
		if then := s.list.state.Load(); then != nil && then.era == now.era {
			return s.finish(nil, now)
		}
	}
}

// begin finds out whether the follower's feed is this one, and begins anew if it is not.
func (s *stream) begin(ctx context.Context, era int64) error {
	if s.era == era {
		return nil
	}
	same := false
	if s.era < 0 {
		var err error
		if same, err = s.recognize(ctx); err != nil {
			return err
		}
	}
	if !same {
		writeEvent(&s.b, eventReset, 0, struct{}{})
		s.sent, s.told = 0, false
	}
	s.era = era
	return nil
}

// recognize reports whether the entry up to which the follower knows everything is in this feed. To one that names its number alone, a feed that goes so far has to do; one that
// names its sum hears everything again if the entry is another one, or was removed since.
func (s *stream) recognize(ctx context.Context) (bool, error) {
	if s.sent == 0 {
		return true, nil
	}
	page, err := s.list.source.Since(ctx, s.sent-1, 1)
	if err != nil || page.Last < s.sent {
		return false, err
	}
	if s.mark == "" {
		return true, nil
	}
	return len(page.Entries) > 0 && sumOf(fit(page.Entries[0])).text() == s.mark, nil
}

// catchUp sends what is too old to be kept by the list. Then it lets the list look whether the feed is still the same: what was sent could else be another one's.
func (s *stream) catchUp(ctx context.Context, now *state) error {
	for s.sent < now.read {
		page, err := s.list.source.Since(ctx, s.sent, pageSize)
		if err != nil {
			return err
		}
		if len(page.Entries) == 0 {
			break // what is missing was removed: it had expired
		}
		if err := s.entries(page.Entries); err != nil {
			return err
		}
	}
	return s.list.Load(ctx)
}

func (s *stream) entries(entries []Entry) error {
	for _, e := range entries {
		writeEvent(&s.b, eventRevoked, e.Seq, toWire(fit(e)))
		s.sent = max(s.sent, e.Seq)
	}
	return s.flush()
}

// finish sends entries, and that they are all.
func (s *stream) finish(entries []Entry, now *state) error {
	for _, e := range entries {
		writeEvent(&s.b, eventRevoked, e.Seq, toWire(fit(e)))
		s.sent = max(s.sent, e.Seq)
	}
	s.sent = max(s.sent, now.read)
	name := eventAlive
	if !s.told {
		name, s.told = eventCaughtUp, true
	}
	return s.alive(name, now, s.sent)
}

// alive says how far the follower has got.
func (s *stream) alive(name string, now *state, last int64) error {
	at := s.list.c.Now().Sub(s.began) // first: what passes in between must make the list look older
	age := s.list.age(now)
	writeEvent(&s.b, name, 0, alive{Last: last, Age: ceil(age), At: max(at.Milliseconds(), 0)})
	return s.flush()
}

// ceil returns d in milliseconds, rounded up.
func ceil(d time.Duration) int64 {
	ms := d.Milliseconds()
	if d%time.Millisecond > 0 {
		ms++
	}
	return ms
}

func (s *stream) flush() error {
	if s.closing.Load() {
		return http.ErrServerClosed
	}
	_ = s.control.SetWriteDeadline(s.clock().Add(s.patience)) // where there are no deadlines, as in tests, nobody is slow
	if _, err := s.b.WriteTo(s.w); err != nil {
		return err
	}
	return s.control.Flush()
}
