package revoke

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// A wireEntry is an [Entry] as the feed has it over HTTP. The id is base64url, since it may be any bytes.
type wireEntry struct {
	Seq     int64  `json:"seq"`
	Kind    Kind   `json:"kind"`
	ID      string `json:"id,omitempty"`
	Before  int64  `json:"before_ms,omitempty"`
	Expires int64  `json:"expires_ms"`
}

func toWire(e Entry) wireEntry {
	w := wireEntry{Seq: e.Seq, Kind: e.Kind, ID: base64.RawURLEncoding.EncodeToString([]byte(e.ID)), Expires: e.Expires.UnixMilli()}
	if !e.Before.IsZero() {
		w.Before = e.Before.UnixMilli()
	}
	return w
}

func (w wireEntry) entry() (Entry, error) {
	id, err := base64.RawURLEncoding.DecodeString(w.ID)
	if err != nil || w.Seq <= 0 || w.Expires <= 0 || len(id) > MaxID {
		return Entry{}, fmt.Errorf("the feed has an entry that is none (seq %d)", w.Seq)
	}
	e := Entry{Seq: w.Seq, Kind: w.Kind, ID: string(id), Expires: time.UnixMilli(w.Expires)}
	if w.Before != 0 {
		e.Before = time.UnixMilli(w.Before)
	}
	return e, nil
}

// An alive is what a follower is told each second: how far the feed goes, and how old the teller's own list is.
type alive struct {
	Last int64 `json:"last"`
	Age  int64 `json:"age_ms"`
}

// The events of the feed.
const (
	eventReset   = "reset"   // what follows is everything, from the beginning
	eventRevoked = "revoked" // a wireEntry
	eventAlive   = "alive"   // an alive: everything up to Last has been sent
)

// beat is how often a follower hears from the feed at least. A write that takes longer than patience cuts the follower off.
const (
	beat     = time.Second
	patience = 5 * time.Second
)

// MaxFollowers is how many may follow one [Feed] at once.
const MaxFollowers = 1000

// A Feed serves a list's feed to followers: GET with since=N, the Seq up to which the follower knows everything, answered by a stream of events (text/event-stream) that
// begins with what came after N and does not end. Whoever may read it must be checked in front of it: it tells ids of tokens, sessions and subjects, though no secret.
// It is an [http.Handler]. Make it with [NewFeed].
type Feed struct {
	list      *List
	followers atomic.Int64
	closed    chan struct{}
	closing   atomic.Bool
}

// NewFeed returns the feed of list, which must be kept fresh by [List.Run].
func NewFeed(list *List) *Feed { return &Feed{list: list, closed: make(chan struct{})} }

// Close ends all streams, so that a server can shut down. It may be called twice.
func (f *Feed) Close() {
	if !f.closing.Swap(true) {
		close(f.closed)
	}
}

// ServeHTTP implements [http.Handler]. A since that is no number is 400, and too many followers are 503.
func (f *Feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	since, err := strconv.ParseInt(r.URL.Query().Get("since"), 10, 64)
	if r.URL.Query().Get("since") == "" {
		since, err = 0, nil
	}
	if err != nil || since < 0 {
		http.Error(w, "since must be a whole number that is not negative", http.StatusBadRequest)
		return
	}
	defer f.followers.Add(-1)
	if f.followers.Add(1) > MaxFollowers || f.closing.Load() {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many follow already", http.StatusServiceUnavailable)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events back
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	s := &stream{list: f.list, control: http.NewResponseController(w), w: w, sent: since}
	s.run(ctx, f.closed)
}

// A stream is one follower's.
type stream struct {
	list    *List
	control *http.ResponseController
	w       http.ResponseWriter
	sent    int64 // the Seq up to which everything has been sent
}

// run sends until the follower is gone, or closed is.
func (s *stream) run(ctx context.Context, closed <-chan struct{}) {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		more := s.list.watchers.next()
		if err := s.send(ctx); err != nil {
			return // the follower comes back, and is told again
		}
		select {
		case <-ctx.Done():
			return
		case <-closed:
			return
		case <-ticker.C:
		case <-more:
		}
	}
}

// send sends what is new, and that it is all.
func (s *stream) send(ctx context.Context) error {
	var b bytes.Buffer
	age := s.list.Staleness()
	last := s.list.Last()
	if s.sent > last && age <= s.list.Bound {
		s.sent = 0
		event(&b, eventReset, struct{}{})
	}
	for s.sent < last {
		page, err := s.list.source.Since(ctx, s.sent, pageSize)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			event(&b, eventRevoked, toWire(e))
			s.sent = e.Seq
		}
		if err := s.flush(&b); err != nil {
			return err
		}
		if len(page.Entries) < pageSize {
			s.sent = max(s.sent, last) // what is missing was removed: it had expired
			break
		}
	}
	event(&b, eventAlive, alive{last, age.Milliseconds()})
	return s.flush(&b)
}

// event writes one event. JSON has no line ends.
func event(b *bytes.Buffer, name string, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		panic("revoke: " + err.Error()) // none of the types above can fail
	}
	fmt.Fprintf(b, "event: %s\ndata: %s\n\n", name, text)
}

func (s *stream) flush(b *bytes.Buffer) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(patience)) // where there are no deadlines, as in tests, nobody is slow
	if _, err := b.WriteTo(s.w); err != nil {
		return err
	}
	return s.control.Flush()
}
