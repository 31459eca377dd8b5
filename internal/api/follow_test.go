package api_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/internal/api"
	"github.com/gatehouse-auth/gatehouse/internal/listen"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

const feedPath = "/oauth/revocations"

// TestWhoMayFollow: the feed is for clients that may read it, known by their secret or by an access token of their own.
func TestWhoMayFollow(t *testing.T) {
	d := newDesk(t, setting{})
	worker := d.post("/oauth/token", "", form{"grant_type", jwtBearer, "assertion", d.signed(d.assertion(), d.worker)}).member("access_token")
	revoked := d.token("watcher")
	if got := d.revoke("watcher", revoked); got.status != 200 {
		t.Fatal(got)
	}
	person := d.start("watcher") // a person's log-in that was given to the client
	d.clients["jack"] = api.Client{Client: token.Client{ID: "jack"}, May: []string{api.MayFollow}}
	bearers := d.start("jack")                                                                                 // whose name is a client's
	made := must[token.Token](t)(d.access.Mint(t.Context(), token.Claims{Subject: "jack", Client: "watcher"})) // without a log-in
	for name, tt := range map[string]struct {
		header    string
		status    int
		code      string
		challenge string
	}{
		"a secret":                        {basic("watcher"), 200, "", ""},
		"an access token of its own":      {"Bearer " + d.token("watcher"), 200, "", ""},
		"one in another case":             {"bearer  " + d.token("watcher"), 200, "", ""},
		"one that was got by a signature": {"Bearer " + worker, 200, "", ""},
		"nothing":                         {"", 401, "invalid_client", `Bearer realm="gatehouse"`},
		"a wrong secret":                  {encoded("watcher", "x"), 401, "invalid_client", `Bearer realm="gatehouse"`},
		"a client that there is not":      {encoded("ghost", "x"), 401, "invalid_client", `Bearer realm="gatehouse"`},
		"another scheme":                  {"Token token1", 401, "invalid_client", `Bearer realm="gatehouse"`},
		"no token":                        {"Bearer ", 401, "invalid_token", `Bearer realm="gatehouse", error="invalid_token"`},
		"garbage":                         {"Bearer x.y.z", 401, "invalid_token", `Bearer realm="gatehouse", error="invalid_token"`},
		"a revoked token":                 {"Bearer " + revoked, 401, "invalid_token", `Bearer realm="gatehouse", error="invalid_token"`},
		"a person's token":                {"Bearer " + person.Access.Text.Reveal(), 401, "invalid_token", `Bearer realm="gatehouse", error="invalid_token"`},
		"a person's without a log-in":     {"Bearer " + made.Text.Reveal(), 401, "invalid_token", `Bearer realm="gatehouse", error="invalid_token"`},
		"a refresh token":                 {"Bearer " + person.Refresh.Text.Reveal(), 401, "invalid_token", `Bearer realm="gatehouse", error="invalid_token"`},
		"a signed assertion":              {"Bearer " + d.signed(d.assertion(), d.worker), 401, "invalid_token", `Bearer realm="gatehouse", error="invalid_token"`},
		"a secret, but no right":          {basic("reports"), 403, "unauthorized_client", ""},
		"a token, but no right":           {"Bearer " + d.token("reports"), 403, "unauthorized_client", ""},
		"the right to introspect":         {basic("resource"), 403, "unauthorized_client", ""},
		"a person called like a client":   {"Bearer " + bearers.Access.Text.Reveal(), 401, "invalid_token", `Bearer realm="gatehouse", error="invalid_token"`},
	} {
		r := d.request("HEAD", feedPath, "Authorization", tt.header)
		if tt.header == "" {
			r.Header.Del("Authorization")
		}
		head := d.send(r)
		if head.status != tt.status || tt.status == 200 && head.header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("HEAD %s with %s = %d %v, want %d", feedPath, name, head.status, head.header, tt.status)
		}
		if tt.status == 200 {
			continue
		}
		got := d.get(feedPath, "Authorization", tt.header)
		if got.status != tt.status || got.error() != tt.code || tt.challenge != "" && got.header.Get("Www-Authenticate") != tt.challenge {
			t.Errorf("GET %s with %s = %d %s %q, want %d %s %q", feedPath, name, got.status, got.body, got.header.Values("Www-Authenticate"), tt.status, tt.code, tt.challenge)
		}
	}
	for name, query := range map[string]string{"a secret": "client_id=watcher&client_secret=watcher" + secretOf, "a token": "access_token=" + d.token("watcher")} {
		if got := d.get(feedPath + "?" + query); got.status != 401 {
			t.Errorf("GET %s with %s in the query = %d %s, want 401", feedPath, name, got.status, got.body)
		}
	}
	delete(d.clients, "watcher")
	for name, header := range map[string]string{"secret": basic("watcher"), "token": "Bearer " + revoked} {
		if got := d.get(feedPath, "Authorization", header); got.status != 401 {
			t.Errorf("GET %s with the %s of a client that is gone = %d %s, want 401", feedPath, name, got.status, got.body)
		}
	}
}

// TestFollowersThatCannotBeKnown: where it is not known whether a token was revoked it opens nothing.
func TestFollowersThatCannotBeKnown(t *testing.T) {
	d := newDesk(t, setting{})
	text := d.token("watcher")
	d.Advance(6 * time.Second)
	if got := d.get(feedPath, "Authorization", "Bearer "+text); !got.is(503, "temporarily_unavailable") || got.header.Get("Www-Authenticate") != "" {
		t.Errorf("GET %s while revocations are unknown = %d %s, want 503", feedPath, got.status, got.body)
	}
}

// TestWhereAFollowerIs: a place that cannot be read is refused, and does not look like the beginning.
func TestWhereAFollowerIs(t *testing.T) {
	d := newDesk(t, setting{})
	for query, want := range map[string]int{
		"": 200, "?since=": 200, "?since=0": 200, "?since=7": 200, "?since=9223372036854775807": 200, "?since=1&mark=abc": 200, "?colour=red": 200,
		"?since=-1": 400, "?since=x": 400, "?since=1.5": 400, "?since=9223372036854775808": 400, "?since=1&since=2": 400, "?since=1&mark=a&mark=b": 400, "?since=%zz": 400, "?since=1;mark=2": 400,
		"?since=1%00": 400, "?since= 1": 400, "?since=0x10": 400, "?since=" + "9" + strings.Repeat("9", 10_000): 400,
	} {
		r := d.request("HEAD", feedPath, "Authorization", basic("watcher"))
		r.URL.RawQuery = strings.TrimPrefix(query, "?")
		if got := d.send(r); got.status != want {
			t.Errorf("HEAD %s%.40s = %d, want %d", feedPath, query, got.status, want)
		}
	}
	for id, want := range map[string]int{"3": 200, "-3": 400, "x": 400} {
		if got := d.send(d.request("HEAD", feedPath, "Authorization", basic("watcher"), "Last-Event-ID", id)); got.status != want {
			t.Errorf("HEAD %s with Last-Event-ID %s = %d, want %d", feedPath, id, got.status, want)
		}
	}
	if got := d.get(feedPath+"?since=-1", "Authorization", basic("watcher")); !got.is(400, "invalid_request") {
		t.Errorf("GET %s?since=-1 = %d %s, want 400 invalid_request", feedPath, got.status, got.body)
	}
}

// serve serves a desk on the loopback address, and returns where.
func (d *desk) serve(change func(*http.Server)) string {
	d.Helper()
	s := httptest.NewUnstartedServer(d.handler)
	if change != nil {
		change(s.Config)
	}
	s.Start()
	d.Cleanup(func() {
		d.feed.Close()
		s.Close()
	})
	return s.URL
}

// follow starts a follower in another process, as far as it knows, and returns its list and what it logs.
func follow(t *testing.T, address string, authorize func(*http.Request) error) (*revoke.List, *logbook) {
	t.Helper()
	log := &logbook{}
	transport := &http.Transport{}
	list, err := revoke.Follow(revoke.FollowConfig{URL: address + feedPath, Authorize: authorize, Transport: transport, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	run(t, list)
	return list, log
}

func asWatcher(r *http.Request) error {
	r.SetBasicAuth("watcher", "watcher"+secretOf)
	return nil
}

// TestFollowing: a program without access to the store refuses what is revoked here, soon after, whether it was revoked before it began to follow or after; by whichever way it is known.
func TestFollowing(t *testing.T) {
	d := newDesk(t, setting{live: true})
	before, text, pair := d.token("reports"), d.token("reports"), d.start("reports")
	if got := d.revoke("reports", before); got.status != 200 {
		t.Fatal(got)
	}
	address := d.serve(nil)
	bearer := "" // of the client that has a key alone
	for name, authorize := range map[string]func(*http.Request) error{
		"a secret": asWatcher,
		"a signature": func(r *http.Request) error {
			if bearer == "" {
				bearer = d.post("/oauth/token", "", form{"grant_type", jwtBearer, "assertion", d.signed(d.assertion(), d.worker)}).member("access_token")
			}
			r.Header.Set("Authorization", "Bearer "+bearer)
			return nil
		},
	} {
		list, log := follow(t, address, authorize)
		v := must[*token.Verifier](t)(token.NewVerifier(token.VerifierConfig{Issuer: issuer, Purpose: d.verifier.Purpose(), Ring: d.ring, Revocations: list, Now: d.Now}))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := list.Load(ctx); err != nil {
			t.Fatalf("following by %s: %v\n%s", name, err, log)
		}
		accepts := func(text string) bool {
			_, err := v.Verify(t.Context(), text)
			return err == nil
		}
		if !accepts(text) || !accepts(pair.Access.Text.Reveal()) {
			t.Errorf("following by %s: what was not revoked is refused", name)
		}
		eventually(t, "following by "+name+": the end of what was revoked before", func() bool { return !accepts(before) })
		if d.log.line("a client follows what is revoked") == "" {
			t.Errorf("the log does not say who follows:\n%s", d.log)
		}
		if got := d.revoke("reports", text); got.status != 200 {
			t.Fatal(got)
		}
		eventually(t, "following by "+name+": the end of a token", func() bool { return !accepts(text) })
		if got := d.revoke("reports", pair.Refresh.Text.Reveal()); got.status != 200 {
			t.Fatal(got)
		}
		eventually(t, "following by "+name+": the end of a log-in", func() bool { return !accepts(pair.Access.Text.Reveal()) })
		text, pair = d.token("reports"), d.start("reports")
	}
}

// TestFollowingInVain: who may not follow knows nothing, and accepts nothing.
func TestFollowingInVain(t *testing.T) {
	d := newDesk(t, setting{live: true})
	address := d.serve(nil)
	for name, tt := range map[string]struct {
		id, secret, says string
	}{"a wrong secret": {"watcher", "x", "401"}, "no right": {"reports", "reports" + secretOf, "403"}, "an unknown client": {"ghost", "x", "401"}} {
		list, log := follow(t, address, func(r *http.Request) error {
			r.SetBasicAuth(tt.id, tt.secret)
			return nil
		})
		eventually(t, "following with "+name+": a line in its log", func() bool { return log.line("cannot be followed", tt.says) != "" })
		if err := list.Check(revoke.Claim{Token: "x"}); !staleIs(err) {
			t.Errorf("following with %s: Check = %v, want a StaleError", name, err)
		}
	}
}

func staleIs(err error) bool {
	_, stale := errors.AsType[*gatehouse.StaleError](err)
	return stale
}

// TestStreamsEnd: when the server closes the feed, as it does when it stops or reads its configuration anew, streams end, and who comes again is asked again whether it may.
func TestStreamsEnd(t *testing.T) {
	d := newDesk(t, setting{live: true})
	address := d.serve(nil)
	open := func() *http.Response {
		r := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), "GET", address+feedPath, nil))
		d.load(asWatcher(r))
		response := must[*http.Response](t)(http.DefaultClient.Do(r))
		t.Cleanup(func() { response.Body.Close() })
		return response
	}
	response := open()
	if response.StatusCode != 200 {
		t.Fatalf("following = %d, want 200", response.StatusCode)
	}
	d.feed.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Errorf("the stream ends with %v, want a clean end", err)
	}
	if again := open(); again.StatusCode != 503 || again.Header.Get("Retry-After") == "" || again.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("following a feed that is closed = %d, want 503", again.StatusCode)
	}
	watcher := d.clients["watcher"]
	watcher.May = nil
	d.clients["watcher"] = watcher
	if again := open(); again.StatusCode != 403 {
		t.Errorf("following without the right = %d, want 403", again.StatusCode)
	}
}

// TestARevokedTokenEndsItsStream: who was let in by a token hears nothing more when that was revoked, in whichever way, also if it has expired by then. That it has expired ends no stream.
func TestARevokedTokenEndsItsStream(t *testing.T) {
	d := newDesk(t, setting{live: true})
	address := d.serve(nil)
	open := func(text string) *http.Response {
		r := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), "GET", address+feedPath, nil))
		r.Header.Set("Authorization", "Bearer "+text)
		response := must[*http.Response](t)(http.DefaultClient.Do(r))
		t.Cleanup(func() { response.Body.Close() })
		if response.StatusCode != 200 {
			t.Fatalf("following = %d, want 200", response.StatusCode)
		}
		return response
	}
	ends := func(what string, response *http.Response) {
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Errorf("the stream of a token, revoked %s, ends with %v, want a clean end", what, err)
		}
	}
	feed := revoke.New(feed{d.store}, revoke.Config{})
	d.load(feed.Load(t.Context()))
	text := d.token("watcher")
	single, expired := open(text), open(d.token("watcher"))
	if got := d.revoke("watcher", text); got.status != 200 {
		t.Fatal(got)
	}
	ends("by its id", single)
	d.later(11 * time.Minute)
	alive := 0
	for lines := bufio.NewScanner(expired.Body); alive < 2 && lines.Scan(); {
		if lines.Text() == "event: alive" {
			alive++
		}
	}
	if alive < 2 {
		t.Error("the stream of a token that has expired has ended")
	}
	d.load(feed.RevokeSubject(t.Context(), "watcher"))
	ends("with all of its subject, when it had expired", expired)
	d.load(d.list.Load(t.Context()))
	worker := open(d.post("/oauth/token", "", form{"grant_type", jwtBearer, "assertion", d.signed(d.assertion(), d.worker)}).member("access_token"))
	d.load(feed.RevokeKey(t.Context(), must[*keyring.Key](t)(d.ring.Signer()).ID()))
	ends("with its key", worker)
}

// TestStreamsOutliveTimeouts: the deadlines of a server, whichever it has, do not end a stream that moves, and bytes come when they are sent.
func TestStreamsOutliveTimeouts(t *testing.T) {
	h2 := &http.Protocols{}
	h2.SetUnencryptedHTTP2(true)
	cookies := func(c *guard.Config) { // whose writer stands between
		c.Carriers = append(c.Carriers, carrier.Session(session.New(memory.Sessions(), session.Config{})))
	}
	for name, tt := range map[string]struct {
		serve  func(d *desk) string
		client *http.Transport
		guard  func(*guard.Config)
	}{
		"WriteTimeout": {func(d *desk) string {
			return d.serve(func(s *http.Server) {
				s.WriteTimeout, s.ReadHeaderTimeout, s.IdleTimeout = 500*time.Millisecond, time.Second, time.Second
			})
		}, &http.Transport{}, nil},
		"ReadTimeout":          {func(d *desk) string { return d.serve(func(s *http.Server) { s.ReadTimeout = 500 * time.Millisecond }) }, &http.Transport{}, nil},
		"our own server":       {listening, &http.Transport{}, nil},
		"our own, over HTTP/2": {listening, &http.Transport{Protocols: h2}, nil},
		"with sessions":        {listening, &http.Transport{}, cookies},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, setting{live: true, guard: tt.guard})
			address := tt.serve(d)
			t.Cleanup(tt.client.CloseIdleConnections)
			r := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), "GET", address+feedPath+"?since=0", nil))
			d.load(asWatcher(r))
			began := time.Now()
			response := must[*http.Response](t)((&http.Client{Transport: tt.client}).Do(r))
			defer response.Body.Close()
			if response.StatusCode != 200 || response.Header.Get("Content-Type") != "text/event-stream" || response.Header.Get("Cache-Control") != "no-store" || response.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Fatalf("following = %d %v, want 200 and events that nobody keeps", response.StatusCode, response.Header)
			}
			seen := map[string]int{}
			for lines := bufio.NewScanner(response.Body); seen["event: alive"] < 2 && lines.Scan(); {
				if seen[lines.Text()]++; lines.Text() == "event: caught-up" {
					if got := d.revoke("reports", d.token("reports")); got.status != 200 {
						t.Errorf("revoking = %d %s", got.status, got.body)
					}
				}
			}
			if seen["event: caught-up"] != 1 || seen["event: revoked"] != 1 || seen["event: alive"] < 2 {
				t.Errorf("after %v the stream had %v, want it to go on past the timeouts", time.Since(began), seen)
			}
		})
	}
}

// listening serves a desk as the binary does.
func listening(d *desk) string {
	d.Helper()
	l := must[net.Listener](d)(net.Listen("tcp", "127.0.0.1:0"))
	s := must[*listen.Server](d)(listen.New(listen.Config{Listener: l, Handler: d.handler, H2C: true, Logger: slog.New(slog.DiscardHandler),
		HeaderTimeout: time.Second, ReadTimeout: 500 * time.Millisecond, WriteTimeout: 500 * time.Millisecond, IdleTimeout: time.Second}))
	address := must[net.Addr](d)(s.Start())
	d.Cleanup(func() {
		d.feed.Close()
		if err := s.Shutdown(context.Background()); err != nil {
			d.Errorf("Shutdown() = %v, want nil: the feed is closed", err)
		}
	})
	return "http://" + address.String()
}

// TestFollowersAreLimited: guesses at the feed use up a budget as everywhere, once each.
func TestFollowersAreLimited(t *testing.T) {
	d := newDesk(t, setting{guard: limited(2)})
	for i, want := range []int{401, 401, 429} {
		if got := d.get(feedPath, "Authorization", "Bearer x.y.z"); got.status != want {
			t.Errorf("attempt %d = %d %s, want %d", i+1, got.status, got.body, want)
		}
	}
}
