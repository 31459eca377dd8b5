package guard_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/guard"
)

// An observed is what Observe told about one request.
type observed struct {
	d guard.Description
	v *guard.Verdict
}

// observe puts Observe in front of h and returns what it tells, request by request. Each reading of the clock is a second later.
func observe(h http.Handler) (http.Handler, chan observed) {
	all := make(chan observed, 100)
	ticks := 0
	clock := func() time.Time {
		ticks++
		return noon.Add(time.Duration(ticks) * time.Second)
	}
	return guard.Observe(h, clock, func(_ *http.Request, d guard.Description, v *guard.Verdict) { all <- observed{d, v} }), all
}

// TestObserve: what became of each request.
func TestObserve(t *testing.T) {
	g := makeGuard(t, guard.Config{Rules: everyRule(t)})
	h, all := observe(g.Handler(who))
	for _, tt := range []struct {
		method, target, auth string
		want                 guard.Description
	}{
		{"GET", "/known", "Token token1", guard.Description{Method: "GET", Host: "example.com", Path: "/known", Status: 200, Bytes: 4, Subject: "jack", Kind: "user",
			Carrier: "Authorization: Token", TokenID: "first", Rule: "* /known", Decision: "allow"}},
		{"GET", "/admin", "Token token1", guard.Description{Method: "GET", Host: "example.com", Path: "/admin", Status: 403, Subject: "jack", Kind: "user",
			Carrier: "Authorization: Token", TokenID: "first", Rule: "* /admin", Decision: "deny", Reason: "forbidden"}},
		{"GET", "/public?token=planted-secret", "", guard.Description{Method: "GET", Host: "example.com", Path: "/public", Status: 200, Bytes: 1, Kind: "anonymous", Rule: "* /public", Decision: "allow"}},
		{"HEAD", "/known", "Token planted-secret", guard.Description{Method: "HEAD", Host: "example.com", Path: "/known", Status: 401, Kind: "anonymous", Rule: "* /known", Decision: "deny", Reason: "unknown_token"}},
		{"GET", "/%6Bnown", "", guard.Description{Method: "GET", Host: "example.com", Path: "/known", Status: 401, Kind: "anonymous", Rule: "* /known", Decision: "deny", Reason: "no_credential"}},
		{"GET", "/a//b?planted-secret", "", guard.Description{Method: "GET", Host: "example.com", Path: "/a//b", Status: 400, Kind: "anonymous", Decision: "deny", Reason: "bad_target"}},
		{"GET", "/a%0Ab", "", guard.Description{Method: "GET", Host: "example.com", Path: "/a%0Ab", Status: 400, Kind: "anonymous", Decision: "deny", Reason: "bad_target"}},
		{"TRACE", "/known", "", guard.Description{Method: "TRACE", Host: "example.com", Path: "/known", Status: 405, Kind: "anonymous", Decision: "deny", Reason: "method_not_allowed"}},
		{"GET", "/nope", "Token other", guard.Description{Method: "GET", Host: "example.com", Path: "/nope", Status: 404, Subject: "mallory", Kind: "user", Carrier: "Authorization: Token", Decision: "deny", Reason: "not_found"}},
	} {
		headers := []string{"Authorization", tt.auth}
		if tt.auth == "" {
			headers = nil
		}
		got := get(h, tt.method, tt.target, headers...)
		o := <-all
		id := got.header.Get("X-Request-Id")
		if !regexp.MustCompile(`^[A-Z2-7]{26}$`).MatchString(id) || o.d.RequestID != id || o.d.Duration != time.Second {
			t.Errorf("%s %s: id %q, described as %q, took %v", tt.method, tt.target, id, o.d.RequestID, o.d.Duration)
		}
		if got.code() != "" && !strings.Contains(got.body, `"request_id":"`+id+`"`) {
			t.Errorf("%s %s: the problem lacks the request's id: %s", tt.method, tt.target, got.body)
		}
		tt.want.RequestID, tt.want.Duration = id, time.Second
		if tt.want.Decision == "deny" && tt.method != "HEAD" {
			tt.want.Bytes = int64(len(got.body))
		}
		if o.d != tt.want {
			t.Errorf("%s %s with %q:\n got %+v\nwant %+v", tt.method, tt.target, tt.auth, o.d, tt.want)
		}
		if o.v == nil || o.v.Allowed() != (tt.want.Decision == "allow") {
			t.Errorf("%s %s: verdict %v", tt.method, tt.target, o.v)
		}
	}
}

// TestObserveWithoutAGuard, and with a client that brings an id of its own.
func TestObserveWithoutAGuard(t *testing.T) {
	h, all := observe(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	got := get(h, "GET", "/x", "X-Request-Id", "planted\r\nid")
	o := <-all
	if o.d.Status != 200 || o.d.Decision != "" || o.v != nil || strings.Contains(got.header.Get("X-Request-Id"), "planted") {
		t.Errorf("a handler that writes nothing = %+v, %v, id %q", o.d, o.v, got.header.Get("X-Request-Id"))
	}
	if id := guard.RequestID(httptest.NewRequest("GET", "/", nil)); id != "" {
		t.Errorf("a request that nobody observes has the id %q", id)
	}
	for status, write := range map[int]func(http.ResponseWriter){
		200: func(w http.ResponseWriter) { w.WriteHeader(200); w.WriteHeader(500) },
		404: func(w http.ResponseWriter) { w.WriteHeader(103); w.WriteHeader(404); w.WriteHeader(200) },
		204: func(w http.ResponseWriter) { w.WriteHeader(204) },
		201: func(w http.ResponseWriter) { w.WriteHeader(201); w.WriteHeader(500) },
		202: func(w http.ResponseWriter) { w.WriteHeader(202); io.WriteString(w, "x"); w.(http.Flusher).Flush() },
	} {
		h, all := observe(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { write(w) }))
		get(h, "GET", "/")
		if o := <-all; o.d.Status != status {
			t.Errorf("observed %d, want %d", o.d.Status, status)
		}
	}
	real := guard.Observe(who, nil, func(_ *http.Request, d guard.Description, _ *guard.Verdict) {
		if d.Duration < 0 || d.Duration > time.Minute {
			t.Errorf("by the machine's clock it took %v", d.Duration)
		}
	})
	get(real, "GET", "/")
}

// TestObservePanic: a handler that panics is told of, and the panic goes on to the server.
func TestObservePanic(t *testing.T) {
	h, all := observe(makeGuard(t, guard.Config{Rules: everyRule(t)}).Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("planted-secret") })))
	func() {
		defer func() {
			if recover() != "planted-secret" {
				t.Error("the panic of a handler was swallowed")
			}
		}()
		get(h, "GET", "/public")
	}()
	if o := <-all; o.d.Path != "/public" || o.d.Status != 0 || o.d.Decision != "allow" || strings.Contains(fmt.Sprint(o.d), "planted-secret") {
		t.Errorf("a handler that panics = %+v", o.d)
	}
}

// TestObserveKeepsTheConnection: flushing, hijacking and deadlines work through it, by type and through a ResponseController.
func TestObserveKeepsTheConnection(t *testing.T) {
	release := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/flush", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "first ")
		w.(http.Flusher).Flush()
		<-release
		io.WriteString(w, "second")
	})
	mux.HandleFunc("/flush-first", func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("/hijack", func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		upgrade(t, conn, rw, err)
	})
	mux.HandleFunc("/hijack-by-type", func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		upgrade(t, conn, rw, err)
	})
	mux.HandleFunc("/deadline", func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Error(err)
		}
	})
	h, all := observe(tokenAuth(t, guard.PublicRoutes("/.*")).Handler(mux))
	addr := serve(t, h)

	c := dial(t, addr)
	c.send("GET /flush HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	for line := ""; !strings.Contains(line, "first"); {
		var err error
		if line, err = c.in.ReadString(' '); err != nil {
			t.Fatalf("the first part did not come before the second: %v", err)
		}
	}
	close(release)
	if o := <-all; o.d.Status != 200 || o.d.Bytes != int64(len("first second")) {
		t.Errorf("a flushed answer = %+v", o.d)
	}
	for path, status := range map[string]int{"/flush-first": 200, "/hijack": 101, "/hijack-by-type": 101, "/deadline": 200} {
		if got := exchange(t, addr, "GET "+path); got.status != status {
			t.Errorf("%s = %d, want %d", path, got.status, status)
		}
		if o := <-all; o.d.Status != status {
			t.Errorf("%s is told of as %d, want %d", path, o.d.Status, status)
		}
	}
	// A writer that cannot be hijacked says so, and is still there.
	h, all = observe(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, _, err := w.(http.Hijacker).Hijack(); err == nil {
			t.Error("a recorder was hijacked")
		}
		w.(http.Flusher).Flush()
	}))
	get(h, "GET", "/")
	if o := <-all; o.d.Status != 200 {
		t.Errorf("after a failed hijack = %d, want 200", o.d.Status)
	}
}

func upgrade(t *testing.T, conn net.Conn, rw *bufio.ReadWriter, err error) {
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	io.WriteString(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: test\r\nConnection: Upgrade\r\n\r\n")
	rw.Flush()
}

// TestDescribeInAHandler: before the answer there is no status yet; without Observe no id.
func TestDescribeInAHandler(t *testing.T) {
	var d guard.Description
	g := makeGuard(t, guard.Config{Rules: everyRule(t)})
	inside := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d = guard.Describe(r) })
	get(g.Handler(inside), "GET", "/known", "Authorization", "Token token1")
	if want := (guard.Description{Method: "GET", Host: "example.com", Path: "/known", Subject: "jack", Kind: "user", Carrier: "Authorization: Token", TokenID: "first",
		Rule: "* /known", Decision: "allow"}); d != want {
		t.Errorf("behind a guard = %+v, want %+v", d, want)
	}
	h, all := observe(g.Handler(inside))
	get(h, "GET", "/known", "Authorization", "Token token1")
	if o := <-all; d.RequestID == "" || d.RequestID != o.d.RequestID || d.Status != 0 || d.Subject != "jack" {
		t.Errorf("behind Observe and a guard = %+v", d)
	}
	r := httptest.NewRequest("GET", "/a%20b?token=planted-secret", nil)
	if d := guard.Describe(r); d != (guard.Description{Method: "GET", Host: "example.com", Path: "/a%20b"}) {
		t.Errorf("a bare request = %+v", d)
	}
	r.URL = nil
	if d := guard.Describe(r); d.Path != "" {
		t.Errorf("a request without a target = %+v", d)
	}
}

// TestDescriptionAsLogValue: a group of what is known, and nothing of what is not.
func TestDescriptionAsLogValue(t *testing.T) {
	var log bytes.Buffer
	l := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key != "r" {
			return slog.Attr{}
		}
		return a
	}}))
	for _, tt := range []struct {
		d    guard.Description
		want string
	}{
		{guard.Description{}, ""},
		{guard.Description{Method: "GET", Host: "h", Path: "/"}, "r.method=GET r.host=h r.path=/"},
		{guard.Description{RequestID: "ID", Method: "GET", Host: "h", Path: "/a b\nforged=1", Status: 403, Bytes: 7, Duration: time.Second, Subject: "jack", Kind: "user", Carrier: "c",
			TokenID: "t", Rule: "x", Decision: "deny", Reason: "forbidden"},
			`r.request_id=ID r.method=GET r.host=h r.path="/a b\nforged=1" r.status=403 r.bytes=7 r.duration_ms=1000 r.principal=jack r.kind=user r.carrier=c r.token_id=t r.rule=x r.decision=deny r.reason=forbidden`},
	} {
		log.Reset()
		l.Info("", "r", tt.d)
		if got := strings.TrimSpace(log.String()); got != tt.want {
			t.Errorf("%+v is logged as\n%s\nwant\n%s", tt.d, got, tt.want)
		}
	}
}

// TestObservePreflight: what is answered before the decision is told of, too.
func TestObservePreflight(t *testing.T) {
	h, all := observe(corsGuard(t).Handler(who))
	get(h, "OPTIONS", "/known?planted-secret", "Origin", app, "Access-Control-Request-Method", "PUT")
	o := <-all
	o.d.RequestID, o.d.Duration = "", 0
	if want := (guard.Description{Method: "OPTIONS", Host: "example.com", Path: "/known", Status: 204, Kind: "anonymous", Decision: "allow"}); o.d != want {
		t.Errorf("a preflight is told of as %+v, want %+v", o.d, want)
	}
}
