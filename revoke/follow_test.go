package revoke_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// entries is one of each kind.
func entries() []revoke.Entry {
	later := noon.Add(time.Hour)
	return []revoke.Entry{
		{Kind: revoke.Token, ID: "t", Expires: later}, {Kind: revoke.Session, ID: "s\x00\xff", Expires: later}, {Kind: revoke.Key, ID: "k", Expires: later},
		{Kind: revoke.Subject, ID: "jack", Before: noon, Expires: later}, {Kind: revoke.All, Before: noon.Add(-time.Hour), Expires: later},
	}
}

// wantEntries fails unless what entries revokes is refused, and nothing else.
func wantEntries(t testing.TB, l *revoke.List) {
	t.Helper()
	for _, c := range []revoke.Claim{
		{Token: "t", Issued: noon}, {Session: "s\x00\xff", Issued: noon}, {Key: "k", Issued: noon}, {Subject: "jack", Issued: noon.Add(-1)}, {Issued: noon.Add(-2 * time.Hour)},
	} {
		want(t, l, c, revoked)
	}
	want(t, l, revoke.Claim{Token: "T", Session: "s", Key: "K", Subject: "jack", Issued: noon}, good)
}

// TestFollow: a follower knows what was revoked before it came, and what is revoked since, a moment later.
func TestFollow(t *testing.T) {
	s := &store{}
	_, err := s.Add(t.Context(), entries()...)
	must(t, err)
	inWorld(t, s, func(w *world) {
		wantEntries(w, w.follower)
		for i := range 3 * revoke.TailSize {
			id := fmt.Sprint("new", i)
			want(w, w.follower, revoke.Claim{Token: id, Issued: noon}, good)
			must(w, w.list.RevokeToken(w.Context(), id, noon))
			w.after(20 * time.Millisecond)
			want(w, w.follower, revoke.Claim{Token: id, Issued: noon}, revoked)
		}
		if w.follower.Last() != w.list.Last() || w.follower.Len() != w.list.Len() {
			w.Errorf("the follower is at %d with %d entries, want %d with %d", w.follower.Last(), w.follower.Len(), w.list.Last(), w.list.Len())
		}
		if n := len(w.line.asked()); n != 1 {
			w.Errorf("the feed was asked %d times, want once", n)
		}
		if w.logs.String() != "" {
			w.Errorf("it says:\n%v\nwant nothing", w.logs)
		}
	})
}

// TestFollowOfManyEntries: the first reading may have any number of pages.
func TestFollowOfManyEntries(t *testing.T) {
	for _, n := range []int{revoke.TailSize, 2*revoke.TailSize + 1, revoke.PageSize, 3*revoke.PageSize + 7} {
		s := &store{}
		add(t, s, "a", n)
		inWorld(t, s, func(w *world) { wantTokens(w, w.follower, "a", n) })
	}
}

// TestFollowerIsNeverYoungerThanItsFeed: how old a follower's list is says how long ago the store was read, whatever lies between.
func TestFollowerIsNeverYoungerThanItsFeed(t *testing.T) {
	inWorld(t, &store{}, func(w *world) {
		for range 50 {
			w.after(173 * time.Millisecond)
			if mine, its := w.follower.Staleness(), w.list.Staleness(); mine < its || mine > its+1100*time.Millisecond {
				w.Errorf("the follower's list is %v old, the other one %v", mine, its)
			}
		}
		w.store.set(func(s *store) { s.down = true })
		for range 40 {
			w.after(250 * time.Millisecond)
			mine, its := w.follower.Staleness(), w.list.Staleness()
			if mine < its || mine > its+1100*time.Millisecond {
				w.Errorf("without the store, the follower's list is %v old, the other one %v", mine, its)
			}
			if its > w.list.Bound() {
				want(w, w.follower, revoke.Claim{}, stale)
			}
		}
		if w.logs.count("its own list is") != 1 {
			w.Errorf("it says:\n%v\nwant once that the server does not know either", w.logs)
		}
		w.store.set(func(s *store) { s.down = false })
		w.after(3 * time.Second)
		want(w, w.follower, revoke.Claim{}, good)
		if w.logs.count("can be followed again") != 1 {
			w.Errorf("it says:\n%v\nwant once that all is well again", w.logs)
		}
	})
}

// TestFollowerIsCutOff: what cannot be heard is accepted until the bound and not past it, and what is known to be revoked never.
func TestFollowerIsCutOff(t *testing.T) {
	s := &store{}
	add(t, s, "a", 3)
	inWorld(t, s, func(w *world) {
		for range 3 {
			w.line.cut(true)
			w.after(3 * time.Second)
			want(w, w.follower, revoke.Claim{}, good)
			w.after(2*time.Second + time.Millisecond)
			for range 10 {
				want(w, w.follower, revoke.Claim{}, stale)
				wantTokens(w, w.follower, "a", 3)
				w.after(time.Minute)
			}
			w.line.cut(false)
			w.after(8 * time.Second)
			want(w, w.follower, revoke.Claim{}, good)
		}
		if bad, well := w.logs.count("cannot be followed"), w.logs.count("can be followed again"); bad != 3 || well != 3 {
			w.Errorf("it says %d and %d times, want 3 and 3:\n%v", bad, well, w.logs)
		}
	})
}

// TestFollowerGoesOn: a follower that comes back names where it stands, and is told only what it lacks.
func TestFollowerGoesOn(t *testing.T) {
	s := &store{}
	add(t, s, "a", 7)
	inWorld(t, s, func(w *world) {
		first := w.line.asked()
		if q := first[0].URL.Query(); q.Get("since") != "0" || q.Has("mark") {
			w.Errorf("the first request is %v", first[0].URL)
		}
		w.line.cut(true)
		add(w, s, "b", 5)
		w.after(2 * time.Second)
		w.line.cut(false)
		w.after(8 * time.Second)
		again := w.line.asked()
		if q := again[len(again)-1].URL.Query(); q.Get("since") != "7" || q.Get("mark") != revoke.Sum(s.entries[6]) {
			w.Errorf("the next request is %v, want since=7 with the mark of that entry", again[len(again)-1].URL)
		}
		wantTokens(w, w.follower, "a", 7)
		wantTokens(w, w.follower, "b", 5)
		want(w, w.follower, revoke.Claim{}, good)
	})
}

// TestFollowerOfStreamsThatAreCutOften: who is in between may end streams as often as every few seconds, and the follower stays fresh.
func TestFollowerOfStreamsThatAreCutOften(t *testing.T) {
	for _, every := range []time.Duration{6 * time.Second, 15 * time.Second, time.Minute} {
		inWorld(t, &store{}, func(w *world) {
			for range 30 {
				w.after(every)
				want(w, w.follower, revoke.Claim{}, good)
				w.line.cut(false)
			}
		})
	}
}

// TestFollowerOfALostFeed: whatever happens to the feed, while the follower listens or while it does not, it accepts nothing of what it knew, and hears what is new.
func TestFollowerOfALostFeed(t *testing.T) {
	fresh := func(n int) (list []revoke.Entry) {
		for i := range n {
			list = append(list, token(fmt.Sprint("new", i)))
		}
		return list
	}
	for name, lose := range map[string]func(w *world, b backup) int{
		"shorter":          func(w *world, b backup) int { w.restored(b); return 0 },
		"empty":            func(w *world, b backup) int { w.restored(backup{}); return 0 },
		"as long again":    func(w *world, b backup) int { w.restored(b, fresh(5)...); return 5 },
		"much longer":      func(w *world, b backup) int { w.restored(b, fresh(3*revoke.PageSize)...); return 3 * revoke.PageSize },
		"empty and longer": func(w *world, b backup) int { w.restored(backup{}, fresh(30)...); return 30 },
		"twice": func(w *world, b backup) int {
			w.store.set(func(s *store) { s.onAdd = func([]revoke.Entry) error { return errStore } })
			w.store.restore(b)
			w.after(2 * time.Second) // which the list has read, and could not put right
			w.store.set(func(s *store) { s.onAdd = nil })
			w.restored(backup{}, fresh(3)...)
			return 3
		},
	} {
		for _, cut := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", cut off ", cut), func(t *testing.T) {
				s := &store{}
				add(t, s, "old", 5)
				b := s.backup()
				add(t, s, "lost", 5)
				inWorld(t, s, func(w *world) {
					w.line.cut(cut)
					n := lose(w, b)
					w.after(3 * time.Second)
					w.line.cut(false)
					w.after(8 * time.Second)
					for what, l := range map[string]*revoke.List{"follower": w.follower, "list": w.list} {
						want(w, l, revoke.Claim{}, good)
						wantTokens(w, l, "old", 5)
						wantTokens(w, l, "lost", 5)
						wantTokens(w, l, "new", n)
						if w.Failed() {
							w.Fatalf("that was the %s", what)
						}
					}
				})
			})
		}
	}
}

// TestFollowerOfAFeedThatWasExchanged: a feed that is another one, longer, and has nothing at the place at which the list stood, is noticed by what stands where other things stood; and
// followers hear of it.
func TestFollowerOfAFeedThatWasExchanged(t *testing.T) {
	s := &store{}
	inWorld(t, s, func(w *world) {
		_, err := s.Add(w.Context(), token("lost"))
		must(w, err)
		for i := range 10 {
			must(w, w.list.RevokeToken(w.Context(), fmt.Sprint("short", i), time.Now().Add(time.Minute)))
		}
		w.after(10 * time.Minute)
		s.set(func(s *store) {
			s.entries, s.last = nil, 0
			for i := range 12 {
				if s.last++; i != 10 {
					e := token(fmt.Sprint("new", i))
					e.Seq = s.last
					s.entries = append(s.entries, e)
				}
			}
		})
		w.after(3 * time.Second)
		for _, l := range []*revoke.List{w.list, w.follower, loaded(w, s, newClock())} { // it was put back
			wantTokens(w, l, "new", 10)
			want(w, l, revoke.Claim{Token: "new11"}, revoked)
			want(w, l, revoke.Claim{Token: "lost"}, revoked)
		}
	})
}

// TestStreamOfAFeedThatIsExchangedMeanwhile: what a follower reads from the store is not said to be all before the list has seen that the feed is still the same.
func TestStreamOfAFeedThatIsExchangedMeanwhile(t *testing.T) {
	s := &store{}
	add(t, s, "old", 3*revoke.TailSize)
	synctest.Test(t, func(t *testing.T) {
		list := revoke.New(s, revoke.Config{Bound: 10 * time.Hour, Poll: time.Hour, Logger: slog.New(slog.DiscardHandler)})
		start(t, list)
		synctest.Wait()
		w := &world{T: t, line: newLine(t, revoke.NewFeed(list))}
		s.restore(backup{})
		add(t, s, "new", 4*revoke.TailSize) // and the list looks in an hour
		stream := w.ask("?since=0")
		seen := map[string]int{}
		for e, ok := stream.next(); ok && e.name != "caught-up"; e, ok = stream.next() {
			seen[e.name]++
		}
		if all := 7*revoke.TailSize + 1; seen["reset"] != 1 || seen["revoked"] < all {
			t.Errorf("until it has said everything: %v, want a reset and %d entries behind it", seen, all)
		}
	})
}

// TestFollowerOfAFeedWithGaps: entries that have expired are gone, wherever they stood.
func TestFollowerOfAFeedWithGaps(t *testing.T) {
	s := &store{}
	add(t, s, "a", 3*revoke.TailSize)
	s.set(func(s *store) {
		kept := s.entries[:0]
		for i, e := range s.entries {
			if i%3 == 1 && i < len(s.entries)-50 {
				kept = append(kept, e)
			}
		}
		s.entries = kept
	})
	inWorld(t, s, func(w *world) {
		for _, e := range s.entries {
			want(w, w.follower, revoke.Claim{Token: e.ID}, revoked)
		}
		add(w, s, "b", 2)
		w.after(2 * time.Second)
		wantTokens(w, w.follower, "b", 2)
	})
}

// TestStreamOfAFeedWhoseEndIsGone: who comes when most of it has expired is told the rest once, and not looked for in the store again and again.
func TestStreamOfAFeedWhoseEndIsGone(t *testing.T) {
	s := &store{}
	add(t, s, "a", 10)
	inWorld(t, s, func(w *world) {
		for i := range 3 * revoke.TailSize {
			_, err := s.Add(w.Context(), revoke.Entry{Kind: revoke.Token, ID: fmt.Sprint("short", i), Expires: time.Now().Add(time.Minute)})
			must(w, err)
		}
		w.after(10 * time.Minute)
		if n, err := w.list.Prune(w.Context()); n != 3*revoke.TailSize || err != nil {
			w.Fatalf("Prune() = %d, %v", n, err)
		}
		w.after(2 * time.Second)
		stream := w.ask("?since=0")
		before, told := s.readings(), 0
		for e, ok := stream.next(); ok && e.at < time.Minute; e, ok = stream.next() {
			if e.name == "revoked" {
				told++
			} else if !strings.Contains(e.data, fmt.Sprintf(`"last":%d,`, 3*revoke.TailSize+10)) {
				w.Errorf("all that there has been is %s", e.data)
			}
		}
		if n := s.readings() - before; told != 10 || n > 70 {
			w.Errorf("%d entries are told, want 10, and the store is read %d times in a minute, want once a second", told, n)
		}
	})
}

// badServers are what a follower may meet instead of its feed. Each is asked again and again.
var badServers = map[string]struct {
	handler http.HandlerFunc
	says    string // in the log
}{
	"401":           {status(401), "401"},
	"403":           {status(403), "403"},
	"404":           {status(404), "404"},
	"500":           {status(500), "500"},
	"503":           {status(503), "503"},
	"204":           {status(204), "204"},
	"a page":        {says("text/html", "<p>hello"), "text/html"},
	"no type":       {says("", "event: caught-up\ndata: {}\n\n"), `""`},
	"another type":  {says("text/event-streams", caughtUp), "text/event-streams"},
	"nothing":       {feedSays(""), "ended before"},
	"garbage":       {feedSays("\x00\xff\n\n\n{}\n\n"), "ended before"},
	"only comments": {feedSays(": hello\n\n: hello\n\n"), "ended before"},
	"no JSON":       {feedSays("event: caught-up\ndata: x\n\n"), "event that is none"},
	"no data":       {feedSays("event: caught-up\n\n"), "event that is none"},
	"two values":    {feedSays("event: caught-up\ndata: {}{}\n\n"), "something follows"},
	"two lines":     {feedSays("event: caught-up\ndata: {\ndata: }\n\n"), "several lines"},
	"half an event": {feedSays("event: caught-up\ndata: {\"last\":0}"), "unexpected EOF"},
	"no empty line": {feedSays("event: caught-up\ndata: {\"last\":0,\"age_ms\":0,\"at_ms\":0}\n"), "unexpected EOF"},
	"negative age":  {feedSays("event: caught-up\ndata: {\"last\":0,\"age_ms\":-1,\"at_ms\":0}\n\n"), "sign of life"},
	"negative last": {feedSays("event: caught-up\ndata: {\"last\":-1,\"age_ms\":0,\"at_ms\":0}\n\n"), "sign of life"},
	"negative time": {feedSays("event: caught-up\ndata: {\"last\":0,\"age_ms\":0,\"at_ms\":-1}\n\n"), "sign of life"},
	"years ahead":   {feedSays("event: caught-up\ndata: {\"last\":0,\"age_ms\":0,\"at_ms\":99999999999}\n\n"), "sign of life"},
	"an hour ahead": {feedSays("event: caught-up\ndata: {\"last\":0,\"age_ms\":0,\"at_ms\":3600000}\n\n"), "ahead"},
	"very old":      {feedSays("event: caught-up\ndata: {\"last\":0,\"age_ms\":9223372036854775807,\"at_ms\":0}\n\n"), "its own list is"},
	"too large":     {feedSays("event: caught-up\ndata: {\"last\":0,\"age_ms\":0,\"at_ms\":0,\"x\":\"" + strings.Repeat("x", 5000) + "\"}\n\n"), "too long"},
	"an odd id":     {feedSays("event: revoked\ndata: {\"seq\":1,\"kind\":\"token\",\"id\":\"!\",\"expires_ms\":9}\n\n" + caughtUp), "not a revocation"},
	"no id":         {feedSays("event: revoked\ndata: {\"seq\":1,\"kind\":\"token\",\"expires_ms\":9}\n\n" + caughtUp), "not a revocation"},
	"no place":      {feedSays("event: revoked\ndata: {\"kind\":\"token\",\"id\":\"eA\",\"expires_ms\":9}\n\n" + caughtUp), "not a revocation"},
	"no expiry":     {feedSays("event: revoked\ndata: {\"seq\":1,\"kind\":\"token\",\"id\":\"eA\"}\n\n" + caughtUp), "not a revocation"},
	"out of order":  {feedSays(revokedEvent(2) + revokedEvent(1) + caughtUp), "out of order"},
	"one twice":     {feedSays(revokedEvent(2) + revokedEvent(2) + caughtUp), "out of order"},
	"a newer kind":  {feedSays("event: revoked\ndata: {\"seq\":1,\"kind\":\"client\",\"id\":\"eA\",\"expires_ms\":9}\n\n" + caughtUp), "does not know"},
	"events only of a newer server": {func(w http.ResponseWriter, r *http.Request) {
		feedSays(strings.Repeat("event: news\ndata: {}\n\n", 10))(w, r)
	}, "ended before"},
	"an endless line":          {endless("x"), "too long"},
	"an endless event":         {endless("data: x\n"), "several lines"},
	"endless comments":         {endless(": x\n"), "fallen silent"},
	"endless line ends":        {endless("\n"), "fallen silent"},
	"silence":                  {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "fallen silent"},
	"silence after the header": {func(w http.ResponseWriter, r *http.Request) { feedSays("")(w, r); flush(w); <-r.Context().Done() }, "fallen silent"},
	"another place":            {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, "redirects"},
	"another host": {func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.2/oauth/revocations", http.StatusTemporaryRedirect)
	}, "redirects"},
	"words that come late": {func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(2600 * time.Millisecond)
		feedSays(caughtUp)(w, r)
	}, "lags"},
	"compressed words": {func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		feedSays("\x1f\x8b\x08\x00\x00")(w, r)
	}, "ended before"},
}

const caughtUp = "event: caught-up\ndata: {\"last\":0,\"age_ms\":0,\"at_ms\":0}\n\n"

func revokedEvent(seq int) string {
	return fmt.Sprintf("event: revoked\ndata: {\"seq\":%d,\"kind\":\"token\",\"id\":\"eA\",\"expires_ms\":9}\n\n", seq)
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, caughtUp)
	}
}

func says(kind, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{kind}
		_, _ = io.WriteString(w, text)
	}
}

func feedSays(text string) http.HandlerFunc { return says("text/event-stream", text) }

// endless repeats text for as long as somebody listens, in pieces, between which time passes.
func endless(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, strings.Repeat(text, 1000))
			flush(w)
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func flush(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }

// TestFollowerOfBadServers: whatever is at the other end, nothing is accepted but for what a feed has said, the reason is logged once, and who asks again does not do so in haste.
func TestFollowerOfBadServers(t *testing.T) {
	for name, tt := range badServers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log logs
				l := newLine(t, tt.handler)
				list := follow(t, l, &log)
				for range 60 {
					time.Sleep(time.Second)
					want(t, list, revoke.Claim{Token: "good"}, stale)
				}
				if n := len(l.asked()); n < 5 || n > 40 {
					t.Errorf("asked %d times in a minute, want a few", n)
				}
				if log.count("cannot be followed") != 1 || log.count(tt.says) != 1 {
					t.Errorf("it says\n%v\nwant one line with %q", &log, tt.says)
				}
			})
		})
	}
}

// TestFollowerKeepsWhatBadServersSay: entries count as soon as they are there, however the stream ends, and are not forgotten by the next one.
func TestFollowerKeepsWhatBadServersSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		l := newLine(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1) == 1 {
				feedSays("event: revoked\ndata: {\"seq\":4,\"kind\":\"token\",\"id\":\"eA\",\"expires_ms\":10000000000000}\n\nevent: \x00")(w, r)
				return
			}
			feedSays("event: reset\ndata: {}\n\n"+caughtUp)(w, r)
		}))
		list := follow(t, l, &logs{})
		time.Sleep(time.Second)
		synctest.Wait()
		want(t, list, revoke.Claim{Token: "x"}, revoked)
		want(t, list, revoke.Claim{Token: "y"}, good)
		if q := l.asked()[1].URL.Query(); q.Get("since") != "4" {
			t.Errorf("the second request is since=%s, want 4", q.Get("since"))
		}
	})
}

// TestFollowerWithoutCredential: whoever cannot authorize is not heard, and asks nobody.
func TestFollowerWithoutCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logs
		l := newLine(t, feedSays(caughtUp))
		list, err := revoke.Follow(revoke.FollowConfig{URL: feedURL, Transport: l, Logger: slog.New(&log), Authorize: func(*http.Request) error { return errStore }})
		must(t, err)
		start(t, list)
		time.Sleep(time.Minute)
		want(t, list, revoke.Claim{}, stale)
		if len(l.asked()) != 0 || log.count(errStore.Error()) != 1 {
			t.Errorf("asked %d times, says\n%v", len(l.asked()), &log)
		}
	})
}

// TestFollowerAuthorizesEachRequest, and says what it wants to read.
func TestFollowerAuthorizesEachRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, feedSays(caughtUp))
		n := 0
		list, err := revoke.Follow(revoke.FollowConfig{URL: feedURL + "?tenant=a", Transport: l, Logger: slog.New(slog.DiscardHandler), Authorize: func(r *http.Request) error {
			n++
			r.SetBasicAuth("films", fmt.Sprint("secret", n))
			return nil
		}})
		must(t, err)
		start(t, list)
		time.Sleep(10 * time.Second)
		for i, r := range l.asked() {
			user, password, _ := r.BasicAuth()
			if user != "films" || password != fmt.Sprint("secret", i+1) || r.Method != "GET" || r.URL.Query().Get("tenant") != "a" ||
				r.Header.Get("Accept") != "text/event-stream" || r.Header.Get("Accept-Encoding") != "identity" {
				t.Errorf("request %d is %s %v by %s, %v", i, r.Method, r.URL, user, r.Header)
			}
		}
	})
}

// TestFollowersAndClocks: neither the server's clock nor the follower's, an hour forward or back, makes a list look younger than it is. Both recover.
func TestFollowersAndClocks(t *testing.T) {
	for _, server := range []bool{false, true} {
		for _, jump := range []time.Duration{time.Hour, -time.Hour, -time.Second, time.Second} {
			t.Run(fmt.Sprint("of the server ", server, " by ", jump), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var shift atomic.Int64 // of a clock that has nothing but what stands on the wall
					shifted := func() time.Time { return time.Now().Round(0).Add(time.Duration(shift.Load())) }
					mine, its := shifted, time.Now
					if server {
						mine, its = time.Now, shifted
					}
					s := &store{}
					list := revoke.New(s, revoke.Config{Logger: slog.New(slog.DiscardHandler), Now: its})
					start(t, list)
					l := newLine(t, revoke.NewFeed(list))
					follower, err := revoke.Follow(revoke.FollowConfig{URL: feedURL, Authorize: nobody, Transport: l, Logger: slog.New(slog.DiscardHandler), Now: mine})
					must(t, err)
					start(t, follower)
					time.Sleep(2500 * time.Millisecond)
					want(t, follower, revoke.Claim{}, good)
					heard := time.Now()
					s.set(func(s *store) { s.down = true }) // what is not read from now on is not known
					shift.Store(int64(jump))
					for range 20 {
						time.Sleep(500 * time.Millisecond)
						if time.Since(heard) > follower.Bound()+time.Second { // at most a second was added by what the clocks cannot tell apart
							want(t, follower, revoke.Claim{}, stale)
						}
					}
					s.set(func(s *store) { s.down = false })
					time.Sleep(20 * time.Second)
					want(t, follower, revoke.Claim{}, good)
				})
			})
		}
	}
}

// TestFollowerLoad waits until there is something to load, and no longer than its context.
func TestFollowerLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, err := revoke.Follow(revoke.FollowConfig{URL: feedURL, Authorize: nobody})
		must(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := list.Load(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "Run") {
			t.Errorf("Load() = %v, want that Run is missing", err)
		}
	})
}

// TestFollowerCannotRevoke: things are revoked where the store is.
func TestFollowerCannotRevoke(t *testing.T) {
	inWorld(t, &store{}, func(w *world) {
		ctx, l := w.Context(), w.follower
		for name, err := range map[string]error{
			"token": l.RevokeToken(ctx, "t", noon), "session": l.RevokeSession(ctx, "s", noon), "subject": l.RevokeSubject(ctx, "jack"), "key": l.RevokeKey(ctx, "k"),
			"all": l.RevokeAll(ctx), "nothing": l.Revoke(ctx), "an entry": l.Revoke(ctx, token("t")),
		} {
			if !errors.Is(err, revoke.ErrReadOnly) {
				w.Errorf("revoking of %s = %v, want ErrReadOnly", name, err)
			}
		}
		if n, err := l.Prune(ctx); n != 0 || err != nil {
			w.Errorf("Prune() = %d, %v, want 0, nil", n, err)
		}
		want(w, l, revoke.Claim{Token: "t", Session: "s", Subject: "jack", Key: "k"}, good)
		defer func() {
			if recover() == nil {
				w.Error("NewFeed of a follower does not panic")
			}
		}()
		revoke.NewFeed(l)
	})
}

// TestFollowerForgets what has expired, as every list does.
func TestFollowerForgets(t *testing.T) {
	inWorld(t, &store{}, func(w *world) {
		must(w, w.list.RevokeToken(w.Context(), "t", time.Now().Add(time.Minute)))
		w.after(time.Second)
		want(w, w.follower, revoke.Claim{Token: "t"}, revoked)
		w.after(2*time.Minute + revoke.Keep)
		if n := w.follower.Len(); n != 0 {
			w.Errorf("Len() = %d, want 0", n)
		}
	})
}

// TestFollowRefuses what cannot be followed, or not safely. No error shows a password.
func TestFollowRefuses(t *testing.T) {
	for name, c := range map[string]revoke.FollowConfig{
		"nothing":          {Authorize: nobody},
		"no URL":           {URL: "gate.example.org", Authorize: nobody},
		"another scheme":   {URL: "ftp://gate.example.org/", Authorize: nobody},
		"no host":          {URL: "https:///oauth/revocations", Authorize: nobody},
		"a broken URL":     {URL: "https://gate.example.org:x/", Authorize: nobody},
		"plain http":       {URL: "http://gate.example.org/", Authorize: nobody},
		"nearly this host": {URL: "http://localhost.example.org/", Authorize: nobody},
		"this network":     {URL: "http://10.0.0.1/", Authorize: nobody},
		"a password":       {URL: "https://films:verysecret@gate.example.org/", Authorize: nobody},
		"no credential":    {URL: "https://gate.example.org/"},
		"a bound of 2 s":   {URL: "https://gate.example.org/", Authorize: nobody, Bound: 2 * time.Second},
		"a negative bound": {URL: "https://gate.example.org/", Authorize: nobody, Bound: -time.Second},
	} {
		l, err := revoke.Follow(c)
		if err == nil || l != nil || !strings.HasPrefix(err.Error(), "revoke.Follow: ") || strings.Contains(err.Error(), "verysecret") {
			t.Errorf("%s: Follow = %v, %v, want an error of revoke.Follow", name, l, err)
		}
	}
	for _, url := range []string{"https://gate.example.org/oauth/revocations", "http://127.0.0.1:8080/", "http://[::1]/", "http://localhost/"} {
		if l, err := revoke.Follow(revoke.FollowConfig{URL: url, Authorize: nobody}); err != nil || l.Bound() != revoke.DefaultBound {
			t.Errorf("Follow(%s) = %v", url, err)
		}
	}
}

// followAtMost is follow with a list that takes so many entries of a stream that does not say that this is all.
func followAtMost(t *testing.T, l http.RoundTripper, log *logs, most int) *revoke.List {
	t.Helper()
	list, err := revoke.Follow(revoke.FollowConfig{URL: feedURL, Authorize: nobody, Transport: l, Logger: slog.New(log)})
	must(t, err)
	list.SetMost(most)
	start(t, list)
	return list
}

// TestFollowerOfMoreThanAStreamMaySend: a list that has to be heard in several streams is heard to its end, and each stream begins where the one before was given up.
func TestFollowerOfMoreThanAStreamMaySend(t *testing.T) {
	const most = 100
	for _, n := range []int{most - 1, most, most + 1, 4*most + 7, 8 * most} {
		s := &store{}
		add(t, s, "a", n)
		inWorld(t, s, func(w *world) {
			w.line.asked()
			log := &logs{}
			follower := followAtMost(w.T, w.line, log, most)
			w.after(30 * time.Second)
			want(w, follower, revoke.Claim{Token: "good"}, good)
			wantTokens(w, follower, "a", n)
			if streams, wanted := len(w.line.asked()), (n+most-1)/most; streams != wanted {
				w.Errorf("%d entries are heard in %d streams, want %d", n, streams, wanted)
			}
			wanted := 0
			if n > most {
				wanted = 1
			}
			if log.count("not said that this is all") != wanted || log.count("can be followed again") != wanted || log.count("out of order") != 0 {
				w.Errorf("it says\n%v\nwant %d times that it is long, and that all is well", log, wanted)
			}
			for i := range 3 * most { // and from then on only signs of life count
				must(w, w.list.RevokeToken(w.Context(), fmt.Sprint("b", i), noon))
				w.after(50 * time.Millisecond)
			}
			wantTokens(w, follower, "b", 3*most)
			if again := w.line.asked(); len(again) != 0 {
				w.Errorf("the feed is asked %d times more, want that the stream goes on", len(again))
			}
		})
	}
}

// TestFollowerOfAFeedWithoutAnEnd: what never says that it is all makes no list complete, is in the log by that name, and no stream of it is heard for ever.
func TestFollowerOfAFeedWithoutAnEnd(t *testing.T) {
	const most = 1000
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		l := newLine(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for r.Context().Err() == nil {
				seq := sent.Add(1)
				_, _ = fmt.Fprintf(w, "event: revoked\ndata: {\"seq\":%d,\"kind\":\"token\",\"id\":\"%08d\",\"expires_ms\":9000000000000}\n\n", seq, seq)
				flush(w)
			}
		}))
		var log logs
		list := followAtMost(t, l, &log, most)
		for range 30 {
			time.Sleep(time.Second)
			want(t, list, revoke.Claim{Token: "good"}, stale)
		}
		streams := len(l.asked())
		if streams < 3 || streams > 20 || list.Len() > streams*most {
			t.Errorf("%d streams have made %d entries, want a few, of %d at most each", streams, list.Len(), most)
		}
		if log.count("1000 revocations and not said that this is all") != 1 || log.count("out of order") != 0 {
			t.Errorf("it says\n%v\nwant once that the feed has no end", &log)
		}
	})
}

// TestFollowerOfOddEntries: what no list would revoke is in the store all the same. It does what it can, and followers hear what comes with it and after it, wherever they begin.
func TestFollowerOfOddEntries(t *testing.T) {
	for name, odd := range map[string]revoke.Entry{
		"over by 1970":     {Kind: revoke.Token, ID: "odd", Expires: time.Unix(0, 0)},
		"over before 1970": {Kind: revoke.Token, ID: "odd", Expires: time.Unix(-5, 0)},
		"never over":       {Kind: revoke.Token, ID: "odd"},
		"issued in 1970":   {Kind: revoke.Subject, ID: "odd", Before: time.Unix(0, 0), Expires: noon},
		"issued before":    {Kind: revoke.Subject, ID: "odd", Before: time.Unix(-1, 0), Expires: noon},
		"a long id":        {Kind: revoke.Token, ID: strings.Repeat("odd", revoke.MaxID), Expires: noon},
	} {
		t.Run(name, func(t *testing.T) {
			s := &store{}
			addOdd := func() {
				_, err := s.Add(t.Context(), odd)
				must(t, err)
			}
			addOdd()
			add(t, s, "a", 3*revoke.TailSize)
			addOdd() // of these, the one has to be read from the store, and the other not
			inWorld(t, s, func(w *world) {
				wantTokens(w, w.follower, "a", 3*revoke.TailSize)
				claim := revoke.Claim{Token: odd.ID, Subject: odd.ID}
				want(w, w.list, claim, revoked)
				want(w, w.follower, claim, revoked)
				addOdd()
				w.after(2 * time.Second)
				w.line.asked()
				w.line.cut(false)
				w.after(8 * time.Second)
				want(w, w.follower, revoke.Claim{Token: "good"}, good)
				must(w, w.list.RevokeToken(w.Context(), "last", noon))
				w.after(time.Second)
				want(w, w.follower, revoke.Claim{Token: "last"}, revoked)
				asked := w.line.asked()
				if len(asked) != 1 {
					w.Fatalf("the feed is asked %d times after the line was cut, want once:\n%v", len(asked), w.logs)
				}
				if got := w.ask("?" + asked[0].URL.RawQuery).names(2); got != "revoked caught-up" {
					w.Errorf("who stands at the odd entry is answered %q, want what comes after it", got)
				}
			})
		})
	}
}
