package gatehousetest_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/gatehousetest"
	"github.com/gatehouse-auth/gatehouse/internal/testbed"
	"github.com/gatehouse-auth/gatehouse/session"
)

// A behaviour is one thing that sessions do, whatever they are kept in.
type behaviour struct {
	name    string
	config  session.Config
	options []carrier.CookieOption
	test    func(*shop)
}

// behaviours are tested through HTTP with a cookie jar, on every store.
var behaviours = []behaviour{
	{"a page that does not touch the session sets no cookie", session.Config{}, nil, untouched},
	{"reading makes no session", session.Config{}, nil, readingOnly},
	{"what is put is added to what there is", session.Config{}, nil, adding},
	{"a change of a copy changes nothing", session.Config{}, nil, copies},
	{"a counter and a cart", session.Config{}, nil, counterAndCart},
	{"what fails keeps nothing", session.Config{}, nil, failing},
	{"every kind of answer keeps what was put", session.Config{}, nil, everyAnswer},
	{"a WebSocket keeps what was put before it", session.Config{}, nil, webSocket},
	{"too late is an error", session.Config{}, nil, tooLate},
	{"the cookie lives as long as the session may", session.Config{Absolute: time.Minute, Idle: time.Minute}, nil, cookieLife},
	{"use keeps a session alive", session.Config{Idle: 10 * time.Second, Touch: -1}, nil, idleWindow},
	{"reading counts as use, if not each time", session.Config{Idle: time.Minute, Touch: 10 * time.Second}, nil, touching},
	{"reading does not count as use where it must not", session.Config{Idle: time.Minute, Touch: -1}, nil, notTouching},
	{"no use makes a session older than it may be", session.Config{Idle: time.Minute, Absolute: 150 * time.Second}, nil, absolute},
	{"an unknown id is nobody's", session.Config{}, nil, unknownID},
	{"an id of a visitor's choice is not adopted", session.Config{}, nil, chosenID},
	{"a log-in moves the visitor's session", session.Config{}, nil, loginMoves},
	{"a second log-in ends the first session", session.Config{}, nil, secondLogin},
	{"another account finds nothing of the one before", session.Config{}, nil, anotherAccount},
	{"a log-out ends all of the session", session.Config{}, nil, logoutEndsAll},
	{"an old cookie begins nothing", session.Config{}, nil, oldCookie},
	{"a log-out of nobody makes nothing", session.Config{}, nil, logoutOfNobody},
	{"a path and a domain hold", session.Config{}, []carrier.CookieOption{carrier.CookieScope("example.com", "/anotherpath")}, pathAndDomain},
	{"large data stays on the server", session.Config{}, nil, large},
	{"what is no data is an error", session.Config{}, nil, noData},
	{"two requests that change two things both win", session.Config{}, nil, twoChanges},
	{"sessions of one user can be listed and ended", session.Config{}, nil, listAndEnd},
	{"a store that is down is 503, for those who have a session", session.Config{}, nil, storeDown},
}

// TestSessionsOnEveryStore is what a program can rely on.
func TestSessionsOnEveryStore(t *testing.T) {
	for _, kind := range testbed.Kinds {
		t.Run(kind.Name, func(t *testing.T) {
			clock := gatehousetest.NewClock(time.Time{})
			inner := kind.Open(t, clock.Now)
			for _, b := range behaviours {
				t.Run(b.name, func(t *testing.T) { b.test(open(t, inner, clock, b.config, b.options...)) })
			}
		})
	}
}

func untouched(s *shop) {
	v := s.customer()
	v.quiet("a visitor without a session", v.Get("/untouched"))
	v.post("/put?a=1")
	v.quiet("a visitor with a session", v.Get("/untouched"))
}

func readingOnly(s *shop) {
	v := s.customer()
	v.quiet("GET /data", v.Get("/data"))
	if shown := v.look(); shown.ID != "" || shown.Who != "" || len(shown.Data) != 0 {
		s.Errorf("a visitor who only reads has %+v, want nothing", shown)
	}
	v.quiet("deleting what is not there", v.Post("/delete?a"))
	if n := s.store.Count(); n != 0 {
		s.Errorf("reading costs %d calls of the store, want none", n)
	}
}

func adding(s *shop) {
	v := s.customer()
	v.post("/put?a=1&b=2")
	v.post("/put?c=3")
	v.has("a, b, then c", `{"a":"1","b":"2","c":"3"}`)
	v.post("/put?a=4")
	v.post("/delete?b")
	v.has("a again, without b", `{"a":"4","c":"3"}`)
}

func copies(s *shop) {
	v := s.customer()
	v.post("/add?item=hat")
	got := v.Post("/change-a-copy")
	v.quiet("a change of a copy", got)
	v.has("after a change of a copy", `{"cart":["hat"]}`)
}

func counterAndCart(s *shop) {
	v, other := s.customer(), s.customer()
	for _, want := range []string{"1", "2", "3"} {
		if got := v.post("/count"); got.Body != want {
			s.Errorf("the counter says %s, want %s", got.Body, want)
		}
	}
	if got := other.post("/count"); got.Body != "1" {
		s.Errorf("another visitor's counter says %s, want 1", got.Body)
	}
	v.post("/add?item=hat")
	v.post("/add?item=%F0%9F%A7%A3+scarf")
	v.has("a counter and a cart", `{"cart":["hat","🧣 scarf"],"counter":3}`)
	other.has("another visitor", `{"counter":1}`)
}

func failing(s *shop) {
	for _, page := range []string{"/put-and-fail?a=2", "/put-and-panic?a=2"} {
		stranger, v := s.customer(), s.customer()
		v.post("/put?a=1")
		for what, c := range map[string]*customer{"a stranger": stranger, "a visitor": v} {
			r, err := http.NewRequest("POST", s.URL+page, nil)
			if err != nil {
				s.Fatal(err)
			}
			resp, err := c.Client.Do(r)
			if err != nil {
				continue // it has panicked
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusInternalServerError || len(resp.Cookies()) != 0 {
				s.Errorf("%s: POST %s = %d with %d cookies, want 500 without one", what, page, resp.StatusCode, len(resp.Cookies()))
			}
		}
		v.has("after "+page, `{"a":"1"}`)
		if stranger.Held() != "" {
			s.Errorf("after %s a stranger holds a cookie", page)
		}
	}
}

func everyAnswer(s *shop) {
	for page, want := range map[string]struct {
		status int
		data   string
	}{
		"/put?a=1":              {200, `{"a":"1"}`},
		"/put-and-redirect?a=1": {303, `{"a":"1"}`},
		"/put-and-refuse?a=1":   {404, `{"a":"1"}`},
		"/put-and-stream?a=1":   {200, `{"a":"1","afterwards":"too"}`},
		"/put-and-serve?a=1":    {200, `{"a":"1"}`},
	} {
		v := s.customer()
		got := v.Post(page)
		if got.Status != want.status {
			s.Errorf("POST %s = %d, want %d", page, got.Status, want.status)
		}
		v.gets("the first POST "+page, got)
		v.has(page, want.data)
		// And for somebody who has a session, without another cookie in the jar than the one that is renewed.
		before := v.look().ID
		v.Post(strings.Replace(page, "a=1", "b=2", 1))
		if after := v.look(); after.ID != before || len(after.Data) < 2 {
			s.Errorf("the second POST %s: the session is %q with %d values, want %q with more than one", page, after.ID, len(after.Data), before)
		}
	}
}

func webSocket(s *shop) {
	v := s.customer()
	ctx, cancel := context.WithTimeout(s.Context(), 30*time.Second)
	defer cancel()
	c, resp, err := websocket.Dial(ctx, s.URL+"/put-and-upgrade?a=1", &websocket.DialOptions{HTTPClient: v.Client})
	if err != nil {
		s.Fatal(err)
	}
	defer c.CloseNow()
	if _, text, err := c.Read(ctx); string(text) != "hello" || err != nil {
		s.Errorf("the socket says %q, %v, want hello", text, err)
	}
	if n := len(resp.Cookies()); n != 1 {
		s.Errorf("the handshake sets %d cookies, want 1", n)
	}
	v.has("after a WebSocket", `{"a":"1"}`)
}

func tooLate(s *shop) {
	v := s.customer()
	got := v.Post("/put-too-late?a=1")
	if v.quiet("a stranger, too late", got); !strings.Contains(got.Body, session.ErrTooLate.Error()) {
		s.Errorf("POST /put-too-late = %q, want the error: %v", got.Body, session.ErrTooLate)
	}
	v.post("/put?a=1")
	v.post("/put-too-late?b=2") // there is a cookie already, so it is not
	v.has("after the answer has begun", `{"a":"1","b":"2"}`)
}

func cookieLife(s *shop) {
	v := s.customer()
	if c := v.gets("POST /put", v.Post("/put?a=1")); c.MaxAge != 60 {
		s.Errorf("the cookie has Max-Age=%d, want 60", c.MaxAge)
	}
	s.clock.Advance(3 * time.Second)
	before := v.Held()
	c := v.gets("POST /put again", v.Post("/put?a=2"))
	if c.MaxAge != 57 || c.Name+"="+c.Value != before {
		s.Errorf("3 s later the cookie has Max-Age=%d, want the same cookie for the 57 s that are left", c.MaxAge)
	}
}

func idleWindow(s *shop) {
	v := s.customer()
	v.post("/put?a=1") // 0 s
	s.clock.Advance(8 * time.Second)
	v.post("/put?b=2") // 8 s: lives until 18 s
	s.clock.Advance(7 * time.Second)
	v.has("at 15 s", `{"a":"1","b":"2"}`)
	v.post("/put?c=3") // 15 s: until 25 s
	s.clock.Advance(15 * time.Second)
	v.has("at 30 s", `{}`)
	s.clock.Advance(-15 * time.Second)
	v.has("when the clock is set back", `{}`)
}

func touching(s *shop) {
	v := s.customer()
	v.post("/put?a=1")
	first := v.look()
	s.store.Reset()
	for range 9 {
		s.clock.Advance(time.Second)
		v.look()
	}
	if n := s.store.Count(gatehousetest.CallTouch, gatehousetest.CallUpdate); n != 0 || s.store.Count(gatehousetest.CallGet) != 9 {
		s.Errorf("9 requests in 9 s cost %d writes and %d look-ups, want 0 and 9", n, s.store.Count(gatehousetest.CallGet))
	}
	s.clock.Advance(time.Second)
	if later := v.look(); s.store.Count(gatehousetest.CallTouch) != 1 || !later.Expires.Equal(first.Expires.Add(10*time.Second)) || later.ID != first.ID {
		s.Errorf("10 s after the first use a look costs %d writes and the session lives until %v, want one and %v", s.store.Count(gatehousetest.CallTouch), later.Expires, first.Expires.Add(10*time.Second))
	}
	for range 5 {
		s.clock.Advance(50 * time.Second)
		v.has("read every 50 s", `{"a":"1"}`)
	}
	s.clock.Advance(time.Minute)
	v.has("not read for a minute", `{}`)
}

func notTouching(s *shop) {
	v := s.customer()
	v.post("/put?a=1")
	first := v.look()
	s.clock.Advance(3 * time.Second)
	if got := v.look(); !got.Expires.Equal(first.Expires) {
		s.Errorf("after a look the session lives until %v, want %v as before", got.Expires, first.Expires)
	}
	v.post("/put?b=2")
	if got := v.look(); !got.Expires.Equal(first.Expires.Add(3*time.Second)) || got.ID != first.ID {
		s.Errorf("after a change 3 s later it lives until %v, want %v, and to be the same session", got.Expires, first.Expires.Add(3*time.Second))
	}
	s.clock.Advance(59 * time.Second)
	v.has("at 62 s", `{"a":"1","b":"2"}`)
	s.clock.Advance(time.Second)
	v.has("at 63 s", `{}`)
}

func absolute(s *shop) {
	v := s.customer()
	v.post("/put?a=1")
	for range 3 {
		s.clock.Advance(45 * time.Second)
		v.post("/count")
	}
	v.has("at 135 s, in use", `{"a":"1","counter":3}`)
	s.clock.Advance(15 * time.Second)
	v.has("at 150 s", `{}`)
	if got := v.post("/count"); got.Body != "1" {
		s.Errorf("the counter goes on at %s, want a new one", got.Body)
	}
}

func unknownID(s *shop) {
	for _, id := range []string{strings.Repeat("A", 43), "invalid_key", "", "..", strings.Repeat("x", 3000)} {
		v := s.customer()
		got := v.Get("/data", "Cookie", "__Host-gatehouse="+id)
		if got.Status != http.StatusOK || !strings.Contains(got.Body, `"ID":"","Who":"","Data":{}`) {
			s.Errorf("GET /data with the id %.20q = %d %s, want an empty session", id, got.Status, got.Body)
		}
	}
}

func chosenID(s *shop) {
	chosen := "__Host-gatehouse=" + strings.Repeat("B", 42) + "A"
	v := s.customer()
	got := v.Do("POST", "/put?a=1", "", "Cookie", chosen)
	if c := v.gets("a write with a chosen id", got); c.Name+"="+c.Value == chosen {
		s.Error("the chosen id was adopted")
	}
	if shown := s.customer().look("Cookie", chosen); shown.ID != "" || len(shown.Data) != 0 {
		s.Errorf("the chosen id has the session %+v, want none", shown)
	}
	v.has("what was put", `{"a":"1"}`)
}

func loginMoves(s *shop) {
	v := s.customer()
	v.post("/add?item=hat")
	planted, before := v.Held(), v.look()
	v.gets("the log-in", v.Post("/login?name=mover"))
	after := v.look()
	if after.Who != "mover" || after.ID == before.ID || v.Held() == planted {
		s.Errorf("after the log-in the session is %+v, want another one than %s, of mover", after, before.ID)
	}
	v.has("what the visitor had put", `{"cart":["hat"]}`)
	if shown := s.customer().look("Cookie", planted); shown.ID != "" || len(shown.Data) != 0 {
		s.Errorf("the cookie of before the log-in has the session %+v, want none", shown)
	}
}

func secondLogin(s *shop) {
	v := s.customer()
	v.post("/login?name=again")
	v.post("/put?a=1")
	held, before := v.Held(), v.look()
	v.post("/login?name=again")
	if after := v.look(); after.ID == before.ID || after.Who != "again" {
		s.Errorf("after the second log-in the session is %+v, want a new one of the same user", after)
	}
	v.has("the user's own data", `{"a":"1"}`)
	if shown := s.customer().look("Cookie", held); shown.ID != "" || shown.Who != "" {
		s.Errorf("the first session is %+v, want it gone", shown)
	}
}

func anotherAccount(s *shop) {
	v := s.customer()
	v.post("/login?name=first")
	v.post("/put?secret=of-the-first")
	held := v.Held()
	v.post("/login?name=second")
	if shown := v.look(); shown.Who != "second" || len(shown.Data) != 0 {
		s.Errorf("the second account finds %+v, want nothing of the first", shown)
	}
	if shown := s.customer().look("Cookie", held); shown.Who != "" {
		s.Errorf("the first account's cookie is still %s's", shown.Who)
	}
}

func logoutEndsAll(s *shop) {
	v := s.customer()
	v.post("/put?a=1")
	v.post("/login?name=leaver")
	held, before := v.Held(), v.look()
	got := v.post("/logout")
	if gone := got.SetCookies(); len(gone) != 1 || gone[0].Value != "" || gone[0].MaxAge >= 0 || v.Held() != "" {
		s.Errorf("the log-out sets %+v, want the cookie taken away", gone)
	}
	v.has("after the log-out", `{}`)
	v.post("/put?b=2")
	if after := v.look(); after.ID == before.ID || after.Who != "" {
		s.Errorf("what is put afterwards is in %+v, want a new session of nobody", after)
	}
	if shown := s.customer().look("Cookie", held); shown.ID != "" || shown.Who != "" || len(shown.Data) != 0 {
		s.Errorf("the old cookie has %+v, want nothing", shown)
	}
}

func oldCookie(s *shop) {
	v := s.customer()
	v.post("/put?a=1")
	held := v.Held()
	v.post("/logout")
	thief := s.customer()
	c := thief.gets("a write with the old cookie", thief.Do("POST", "/put?b=2", "", "Cookie", held))
	if c.Name+"="+c.Value == held {
		s.Error("the old cookie has come to life again")
	}
	thief.has("the new session", `{"b":"2"}`)
	if shown := s.customer().look("Cookie", held); shown.ID != "" {
		s.Errorf("the old cookie has the session %+v, want none", shown)
	}
}

func logoutOfNobody(s *shop) {
	v := s.customer()
	v.quiet("a log-out of nobody", v.post("/logout"))
	if n := s.store.Count(); n != 0 {
		s.Errorf("a log-out of nobody costs %d calls of the store, want none", n)
	}
}

func pathAndDomain(s *shop) {
	v := s.customer()
	transport := s.Client().Transport.(*http.Transport).Clone() // every name leads to the shop
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
	}
	transport.TLSClientConfig.InsecureSkipVerify = true
	v.Client.Transport = v.Cookies.Transport(transport)
	at := func(method, url string) testbed.Answer {
		s.Helper()
		return v.Do(method, url, "")
	}
	set := v.gets("POST", at("POST", "https://app.example.com/anotherpath/put?a=1"))
	if set.Domain != "example.com" || set.Path != "/anotherpath" || set.Name != "__Secure-gatehouse" {
		s.Errorf("the cookie is %s with Domain=%s Path=%s, want __Secure-gatehouse, example.com and /anotherpath", set.Name, set.Domain, set.Path)
	}
	for url, want := range map[string]bool{
		"https://app.example.com/anotherpath/data": true, "https://other.example.com/anotherpath/deeper/data": true,
		"https://app.example.com/data": false, "https://app.example.com/anotherpathology/data": false, "https://app.example.org/anotherpath/data": false,
	} {
		if got := at("GET", url); strings.Contains(got.Body, `"a":"1"`) != want {
			s.Errorf("GET %s = %s, want the data there: %v", url, got.Body, want)
		}
	}
	gone := at("POST", "https://app.example.com/anotherpath/logout").SetCookies()
	if len(gone) != 1 || gone[0].Domain != "example.com" || gone[0].Path != "/anotherpath" || gone[0].MaxAge >= 0 {
		s.Errorf("the log-out sets %+v, want the cookie taken away with its domain and path", gone)
	}
}

func large(s *shop) {
	v := s.customer()
	c := v.gets("6 KB", v.Post("/put?a="+strings.Repeat("x", 6<<10)))
	if len(c.Value) > 100 {
		s.Errorf("the cookie has %d bytes, want a short one", len(c.Value))
	}
	if got := len(v.look().Data["a"]); got != 6<<10+2 {
		s.Errorf("the data has %d bytes, want 6144 and two quotes", got)
	}
	if got := v.Post("/put-too-much"); got.Body != "true; [a]" {
		s.Errorf("more than a session holds: %q, want an error, and what was there before", got.Body)
	}
}

func noData(s *shop) {
	v := s.customer()
	got := v.Post("/put-what-is-no-data")
	if v.quiet("what is no data", got); got.Status != http.StatusOK || !strings.Contains(got.Body, "cannot be kept") || !strings.HasSuffix(got.Body, "; []") {
		s.Errorf("putting a channel: %q, want an error and nothing kept", got.Body)
	}
	v.post("/put?a=text")
	if got := v.Get("/get-as-number"); got.Body != "0 true true" {
		s.Errorf("a text as a number: %q, want 0, that there is one, and an error", got.Body)
	}
}

func twoChanges(s *shop) {
	v := s.customer()
	v.post("/put?a=0")
	var group sync.WaitGroup
	for _, path := range []string{"/put?b=1", "/put?c=2", "/put?d=3", "/put?e=4"} {
		group.Go(func() { v.post(path) })
	}
	group.Wait()
	v.has("after four changes at once", `{"a":"0","b":"1","c":"2","d":"3","e":"4"}`)
	statuses := make(chan int, 8)
	for range 8 {
		group.Go(func() { statuses <- v.Post("/count").Status })
	}
	group.Wait()
	close(statuses)
	n := 0
	for status := range statuses {
		if status == http.StatusOK {
			n++
		} else if status != http.StatusConflict {
			s.Errorf("one of eight counts at once = %d, want 200 or 409", status)
		}
	}
	if got := string(v.look().Data["counter"]); n == 0 || got != string(rune('0'+n)) {
		s.Errorf("%d counts were answered with 200, and the counter says %s: a change was lost", n, got)
	}
}

func listAndEnd(s *shop) {
	const who = "lister"
	phone, laptop, other := s.customer(), s.customer(), s.customer()
	for _, v := range []*customer{phone, laptop} {
		v.post("/login?name=" + who)
		s.clock.Advance(time.Second)
	}
	other.post("/login?name=another")
	list, err := s.table.List(s.Context(), who)
	if err != nil || len(list) != 2 || list[0].ID != phone.look().ID || list[1].ID != laptop.look().ID {
		s.Fatalf("List = %+v, %v, want the two sessions, the oldest first", list, err)
	}
	if err := s.table.EndOne(s.Context(), "another", list[0].ID); !errors.Is(err, session.ErrNotFound) {
		s.Errorf("EndOne of somebody else's session = %v, want %v", err, session.ErrNotFound)
	}
	if err := s.table.EndOne(s.Context(), who, list[0].ID); err != nil {
		s.Errorf("EndOne = %v, want nil", err)
	}
	if a, b := phone.look().Who, laptop.look().Who; a != "" || b != who {
		s.Errorf("after one has ended the sessions are those of %q and %q, want nobody and %s", a, b, who)
	}
	phone.post("/login?name=" + who)
	if n, err := s.table.EndAll(s.Context(), who, ""); n != 2 || err != nil {
		s.Errorf("EndAll = %d, %v, want 2", n, err)
	}
	if a, b, c := phone.look().Who, laptop.look().Who, other.look().Who; a != "" || b != "" || c != "another" {
		s.Errorf("after all have ended the sessions are those of %q, %q and %q, want nobody, nobody and another", a, b, c)
	}
}

func storeDown(s *shop) {
	v, stranger := s.customer(), s.customer()
	v.post("/put?a=1")
	s.store.Fail(gatehousetest.ErrDown)
	for _, path := range []string{"/untouched", "/data"} {
		if got := v.Get(path); got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" || len(got.SetCookies()) != 0 {
			s.Errorf("GET %s with a session = %d, Retry-After %q, %d cookies, want 503 with Retry-After, and the cookie stays", path, got.Status, got.Header.Get("Retry-After"), len(got.SetCookies()))
		}
		if got := stranger.Get(path); got.Status != http.StatusOK {
			s.Errorf("GET %s without a session = %d, want 200", path, got.Status)
		}
	}
	if got := stranger.Post("/put?a=1"); got.Status != http.StatusServiceUnavailable || len(got.SetCookies()) != 0 {
		s.Errorf("a stranger's POST /put = %d with %d cookies, want 503 without one: a change is never lost in silence", got.Status, len(got.SetCookies()))
	}
	s.store.Fail(nil)
	s.store.Fail(gatehousetest.ErrDown, gatehousetest.CallUpdate)
	for _, page := range []string{"/put?a=2", "/put-and-redirect?a=2", "/put-and-stream?a=2", "/put-and-serve?a=2"} {
		if got := v.Post(page); got.Status != http.StatusServiceUnavailable || strings.Contains(got.Body, "piece") || got.Header.Get("Location") != "" {
			s.Errorf("POST %s that cannot be kept = %d %s, want 503 instead of the page's own answer", page, got.Status, got.Body)
		}
	}
	s.store.Fail(nil)
	v.has("when the store is back", `{"a":"1"}`)
}

// TestRedisGoesAway, the real one: 503 for those who have a session, and everything as before when it is back. It has forgotten everybody then.
func TestRedisGoesAway(t *testing.T) {
	server := testbed.StartRedis(t)
	clock := gatehousetest.NewClock(time.Time{})
	s := open(t, server.Store(clock.Now), clock, session.Config{})
	v, stranger := s.customer(), s.customer()
	v.post("/put?a=1")
	server.Stop()
	if got := v.Get("/data"); got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
		t.Errorf("GET /data with a session and without Redis = %d, Retry-After %q, want 503 with Retry-After", got.Status, got.Header.Get("Retry-After"))
	}
	if got := stranger.Get("/data"); got.Status != http.StatusOK {
		t.Errorf("GET /data without a session and without Redis = %d, want 200", got.Status)
	}
	server.Start()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var got testbed.Answer
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); <-tick.C {
		if got = v.Post("/put?b=2"); got.Status == http.StatusOK {
			break
		}
	}
	v.gets("POST /put once Redis is back", got)
	v.has("the session of then", `{"b":"2"}`)
}
