package revoke_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// TestFeedRefuses what is no question to it.
func TestFeedRefuses(t *testing.T) {
	f := revoke.NewFeed(loaded(t, &store{}, newClock()))
	for _, tt := range []struct {
		method, query string
		want          int
	}{
		{"POST", "", 405}, {"HEAD", "", 405}, {"PUT", "?since=0", 405}, {"DELETE", "", 405}, {"OPTIONS", "", 405},
		{"GET", "?since=x", 400}, {"GET", "?since=-1", 400}, {"GET", "?since=1.5", 400}, {"GET", "?since=1e3", 400}, {"GET", "?since=9223372036854775808", 400}, {"GET", "?since=0x10", 400},
		{"GET", "?since=%00", 400}, {"GET", "?since=" + strings.Repeat("1", 1<<16), 400},
	} {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequest(tt.method, "/"+tt.query, nil))
		if w.Code != tt.want || strings.Contains(w.Header().Get("Content-Type"), "event-stream") || tt.want == 405 && w.Header().Get("Allow") != "GET" {
			t.Errorf("%s %.40s = %d, %v, want %d", tt.method, tt.query, w.Code, w.Header(), tt.want)
		}
		if f.Followers() != 0 {
			t.Fatal("who was refused counts as a follower")
		}
	}
}

// TestFeedSpeaks: first what there is, then that this is all, and from then on what is new at once, and a sign of life each second.
func TestFeedSpeaks(t *testing.T) {
	s := &store{}
	_, err := s.Add(t.Context(), entries()...)
	must(t, err)
	inWorld(t, s, func(w *world) {
		stream := w.ask("?since=0")
		for i, e := range entries() {
			got, _ := stream.next()
			var data struct {
				Seq     int64
				Kind    revoke.Kind
				Before  int64 `json:"before_ms"`
				Expires int64 `json:"expires_ms"`
			}
			must(w, json.Unmarshal([]byte(got.data), &data))
			if got.name != "revoked" || got.id != fmt.Sprint(i+1) || data.Seq != int64(i+1) || data.Kind != e.Kind || data.Expires != e.Expires.UnixMilli() ||
				!e.Before.IsZero() && data.Before != e.Before.UnixMilli() || e.Before.IsZero() && data.Before != 0 {
				w.Errorf("event %d is %+v, want %+v", i, got, e)
			}
		}
		if got, _ := stream.next(); got.name != "caught-up" || got.at != 0 || !strings.Contains(got.data, `"last":5`) {
			w.Errorf("then %+v, want that this was all", got)
		}
		for i := range 5 {
			if got, _ := stream.next(); got.name != "alive" || got.at != time.Duration(i+1)*time.Second || !strings.Contains(got.data, fmt.Sprintf(`"at_ms":%d}`, (i+1)*1000)) {
				w.Errorf("then %+v, want a sign of life after %d s", got, i+1)
			}
		}
		began := time.Now()
		must(w, w.list.RevokeToken(w.Context(), "new", time.Now().Add(time.Hour)))
		if got, _ := stream.next(); got.name != "revoked" || got.id != "6" || time.Since(began) > 20*time.Millisecond {
			w.Errorf("then %+v after %v, want the new one at once", got, time.Since(began))
		}
		if got, _ := stream.next(); got.name != "alive" || !strings.Contains(got.data, `"last":6`) {
			w.Errorf("then %+v, want how far that goes", got)
		}
	})
}

// TestFeedHeaders: nobody in between may keep the answer, or keep it back.
func TestFeedHeaders(t *testing.T) {
	inWorld(t, &store{}, func(w *world) {
		r, err := http.NewRequestWithContext(w.Context(), "GET", feedURL, nil)
		must(w, err)
		response, err := w.line.tr.RoundTrip(r)
		must(w, err)
		defer response.Body.Close()
		for name, want := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"} {
			if got := response.Header.Get(name); got != want {
				w.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	})
}

// TestFeedGoesOn: who names where it stands is told what it lacks, if that is a place in this feed, and everything if it is not.
func TestFeedGoesOn(t *testing.T) {
	s := &store{}
	for i := range 5 {
		e := token(fmt.Sprint("a", i))
		if i == 2 {
			e.Expires = noon.AddDate(-30, 0, 0)
		}
		_, err := s.Add(t.Context(), e)
		must(t, err)
	}
	mark := func(i int) string { return revoke.Sum(s.entries[i]) }
	all := strings.Repeat("revoked ", 5) + "caught-up"
	third := mark(2)
	for name, tt := range map[string]struct {
		query  string
		header []string
		want   string
	}{
		"nothing":                      {"", nil, all},
		"since nothing":                {"?since=0", nil, all},
		"since the third":              {"?since=3", nil, "revoked revoked caught-up"},
		"since the third, by its mark": {"?since=3&mark=" + third, nil, "revoked revoked caught-up"},
		"since the last":               {"?since=5&mark=" + mark(4), nil, "caught-up"},
		"a browser that comes back":    {"?since=0", []string{"Last-Event-ID", "4"}, "revoked caught-up"},
		"another mark":                 {"?since=3&mark=" + mark(3), nil, "reset " + all},
		"garbage for a mark":           {"?since=3&mark=%00", nil, "reset " + all},
		"the future":                   {"?since=6", nil, "reset " + all},
		"the far future":               {"?since=9223372036854775807&mark=x", nil, "reset " + all},
	} {
		inWorld(t, s, func(w *world) {
			if got := w.ask(tt.query, tt.header...).names(strings.Count(tt.want, " ") + 1); got != tt.want {
				w.Errorf("%s is answered %q, want %q", name, got, tt.want)
			}
		})
	}
	s.set(func(s *store) { s.entries = append(s.entries[:2:2], s.entries[3:]...) })
	inWorld(t, s, func(w *world) { // it cannot be recognized any more
		if got := w.ask("?since=3&mark=" + third).names(6); got != "reset revoked revoked revoked revoked caught-up" {
			w.Errorf("a place whose entry was removed is answered %q, want everything", got)
		}
		if got := w.ask("?since=3").names(3); got != "revoked revoked caught-up" {
			w.Errorf("a number whose entry was removed is answered %q, want what comes after", got)
		}
	})
}

// TestFeedBeginsAnew: who listens while the feed is lost hears it again from the beginning.
func TestFeedBeginsAnew(t *testing.T) {
	s := &store{}
	add(t, s, "a", 2)
	seldom := func(f *revoke.Feed) { f.Tune(10, time.Minute, 5*time.Second, time.Hour) } // it has a sign of life
	inTunedWorld(t, s, seldom, func(w *world) {
		stream := w.ask("?since=2")
		if got := stream.names(1); got != "caught-up" {
			w.Fatalf("it begins with %q", got)
		}
		w.restored(backup{})
		for {
			e, ok := stream.next()
			if !ok {
				w.Fatal("the stream ends")
			}
			if e.name == "alive" {
				continue
			}
			if e.at > 2*time.Second {
				w.Errorf("the loss is said after %v, want as soon as the list knows it", e.at)
			}
			if got := e.name + " " + stream.names(4); got != "reset revoked revoked revoked caught-up" { // with a seam
				w.Errorf("after the loss it says %q", got)
			}
			break
		}
	})
}

// TestFeedBeginsAnewAtOnce, even if the other feed has nothing that the list did not know, and lacks nothing.
func TestFeedBeginsAnewAtOnce(t *testing.T) {
	s := &store{}
	add(t, s, "a", 2)
	seldom := func(f *revoke.Feed) { f.Tune(10, time.Minute, 5*time.Second, time.Hour) }
	inTunedWorld(t, s, seldom, func(w *world) {
		stream := w.ask("?since=2")
		stream.names(1)
		s.set(func(s *store) { s.entries[0].ID, s.entries[1].ID = s.entries[1].ID, s.entries[0].ID })
		if e, ok := stream.next(); !ok || e.name != "reset" || e.at > 2*time.Second {
			w.Errorf("it says %+v, want that it begins anew, as soon as the list knows it", e)
		}
		if got := stream.names(3); got != "revoked revoked caught-up" {
			w.Errorf("then it says %q", got)
		}
	})
}

// TestFeedOfAListThatKnowsNothing: it says that it lives, and that it knows nothing, until it does.
func TestFeedOfAListThatKnowsNothing(t *testing.T) {
	s := &store{down: true}
	add2 := func(s *store) {
		s.down = false
		s.entries, s.last = []revoke.Entry{{Seq: 1, Kind: revoke.Token, ID: "t", Expires: noon}}, 1
	}
	synctest.Test(t, func(t *testing.T) {
		list := revoke.New(s, revoke.Config{Logger: slog.New(slog.DiscardHandler)})
		start(t, list)
		w := &world{T: t, list: list, line: newLine(t, revoke.NewFeed(list))}
		var log logs
		follower := follow(t, w.line, &log)
		stream := w.ask("?since=0")
		if got := stream.names(3); got != "alive alive alive" {
			t.Errorf("it says %q, want that it lives", got)
		}
		want(t, follower, revoke.Claim{}, stale)
		s.set(add2)
		for e, ok := stream.next(); ok && e.name != "caught-up"; e, ok = stream.next() {
			if e.name != "alive" && e.name != "revoked" {
				t.Errorf("then it says %+v", e)
			}
		}
		synctest.Wait()
		want(t, follower, revoke.Claim{Token: "t"}, revoked)
		want(t, follower, revoke.Claim{Token: "u"}, good)
		if log.count("its own list is") != 1 {
			t.Errorf("the follower says\n%v\nwant that the server does not know either", &log)
		}
	})
}

// TestFeedWhoseStoreIsDown: what is kept is said, what would have to be read ends the stream, and no sign of life says that this was all.
func TestFeedWhoseStoreIsDown(t *testing.T) {
	s := &store{}
	add(t, s, "a", 3*revoke.TailSize)
	inWorld(t, s, func(w *world) {
		s.set(func(s *store) { s.down = true })
		for query, want := range map[string]string{
			"?since=0":    "the end",
			"?since=10":   "the end",
			"?since=1530": "the end", // whether this is a place of this feed, nobody can tell
		} {
			if got := w.ask(query).names(1); got != want {
				w.Errorf("%s is answered %q, want %q", query, got, want)
			}
		}
	})
}

// TestFeedHasRoomForSoMany followers. The next one is told to come back.
func TestFeedHasRoomForSoMany(t *testing.T) {
	three := func(f *revoke.Feed) { f.Tune(3, time.Second, 5*time.Second, time.Hour) }
	inTunedWorld(t, &store{}, three, func(w *world) { // whose follower is one already
		one, two := w.ask(""), w.ask("")
		one.names(1)
		two.names(1)
		r, _ := http.NewRequestWithContext(w.Context(), "GET", feedURL, nil)
		response, err := w.line.tr.RoundTrip(r)
		must(w, err)
		response.Body.Close()
		if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" || w.feed.Followers() != 3 {
			w.Errorf("the fourth is answered %s, %v, and there are %d", response.Status, response.Header, w.feed.Followers())
		}
		one.body.Close()
		w.after(2 * time.Second)
		if n := w.feed.Followers(); n != 2 {
			w.Errorf("when one has gone, there are %d, want 2", n)
		}
		w.ask("").names(1)
	})
}

// TestFeedCloses: a server that shuts down waits for no follower, and takes no new ones.
func TestFeedCloses(t *testing.T) {
	inWorld(t, &store{}, func(w *world) {
		stream := w.ask("")
		stream.names(1)
		w.feed.Close()
		closed := time.Now()
		w.feed.Close()
		if e, ok := stream.next(); ok || time.Since(closed) != 0 {
			w.Errorf("it goes on with %+v for %v, want the end", e, time.Since(closed))
		}
		w.after(0)
		if n := w.feed.Followers(); n != 0 {
			w.Errorf("%d follow, want none", n)
		}
		w.after(10 * time.Second)
		want(w, w.follower, revoke.Claim{}, stale)
		if w.logs.count("503") != 1 {
			w.Errorf("the follower says\n%v\nwant 503", w.logs)
		}
	})
}

// TestFeedStreamsEnd after a while, so that whoever may read them is checked again; not all of them at once; and a follower does not notice.
func TestFeedStreamsEnd(t *testing.T) {
	inWorld(t, &store{}, func(w *world) {
		w.line.asked()
		ends := map[time.Duration]bool{}
		for range 5 {
			stream := w.ask("")
			for {
				if _, ok := stream.next(); !ok {
					break
				}
				want(w, w.follower, revoke.Claim{}, good)
			}
			life := time.Since(stream.began)
			if ends[life] = true; life < 5*time.Minute || life > 15*time.Minute {
				w.Errorf("a stream lives for %v, want about 10 minutes", life)
			}
		}
		if n := len(w.line.asked()); n < 2 || len(ends) < 2 {
			w.Errorf("the follower has come back %d times, and there are %d lifetimes", n, len(ends))
		}
		if w.logs.String() != "" {
			w.Errorf("the follower says\n%v\nwant nothing", w.logs)
		}
	})
}

// TestFeedDropsWhoDoesNotRead, after a moment, and keeps nothing back from the others meanwhile.
func TestFeedDropsWhoDoesNotRead(t *testing.T) {
	inWorld(t, &store{}, func(w *world) {
		stream := w.ask("") // and nobody reads it
		for i := range 20 {
			must(w, w.list.RevokeToken(w.Context(), fmt.Sprint(i, strings.Repeat("x", 900)), noon))
			w.after(500 * time.Millisecond)
			want(w, w.follower, revoke.Claim{Token: fmt.Sprint(i, strings.Repeat("x", 900))}, revoked)
		}
		if n := w.feed.Followers(); n != 1 {
			w.Errorf("%d follow after 10 s, want only the one that reads", n)
		}
		if _, err := io.ReadAll(stream.body); !errors.Is(err, io.ErrUnexpectedEOF) {
			w.Errorf("the stream ends with %v, want that it was cut", err)
		}
	})
}

// TestFeedForWhoIsGone ends with the request.
func TestFeedForWhoIsGone(t *testing.T) {
	inWorld(t, &store{}, func(w *world) {
		ctx, cancel := context.WithCancel(w.Context())
		r, err := http.NewRequestWithContext(ctx, "GET", feedURL, nil)
		must(w, err)
		response, err := w.line.tr.RoundTrip(r)
		must(w, err)
		defer response.Body.Close()
		cancel()
		w.after(time.Second)
		if n := w.feed.Followers(); n != 1 {
			w.Errorf("%d follow, want the other one alone", n)
		}
	})
}

// plain is a writer that has no way to send what was written.
type plain struct{ http.ResponseWriter }

// TestFeedBehindAWriterThatKeepsBack: where nothing can be sent at once, there is no stream that looks like one.
func TestFeedBehindAWriterThatKeepsBack(t *testing.T) {
	f := revoke.NewFeed(loaded(t, &store{}, newClock()))
	w := httptest.NewRecorder()
	f.ServeHTTP(plain{w}, httptest.NewRequest("GET", "/", nil))
	if f.Followers() != 0 {
		t.Error("somebody follows")
	}
}

// TestManyFollowers: all of them hear everything, whenever they have come.
func TestManyFollowers(t *testing.T) {
	inWorld(t, &store{}, func(w *world) {
		followers := []*revoke.List{w.follower}
		for i := range 40 {
			must(w, w.list.RevokeToken(w.Context(), fmt.Sprint("a", i), noon))
			if i%4 == 0 {
				followers = append(followers, follow(w.T, w.line, w.logs))
			}
		}
		w.after(2 * time.Second)
		for i, l := range followers {
			want(w, l, revoke.Claim{Token: "good"}, good)
			wantTokens(w, l, "a", 40)
			if w.Failed() {
				w.Fatalf("that was follower %d", i)
			}
		}
	})
}
