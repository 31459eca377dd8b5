package guard_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/session"
)

// put stores a value in the request's session and stops the test on a fault.
func put(t *testing.T, r *http.Request, key, value string) {
	t.Helper()
	if err := session.Put(session.FromContext(r.Context()), key, value); err != nil {
		t.Errorf("Put(%s) = %v", key, err)
	}
}

// addCart adds GET /cart, which tells what the session holds under "cart".
func (s *site) addCart(t *testing.T) {
	s.mux.HandleFunc("GET /cart", func(w http.ResponseWriter, r *http.Request) {
		value, _, err := session.Get[string](session.FromContext(r.Context()), "cart")
		if err != nil {
			t.Error(err)
		}
		io.WriteString(w, value)
	})
}

// TestDataIsStoredBeforeTheFirstByte, whatever the answer is. The visitor has no session yet, so the cookie must go out with the header.
func TestDataIsStoredBeforeTheFirstByte(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.txt")
	if err := os.WriteFile(file, []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, handler := range map[string]http.HandlerFunc{
		"nothing written": func(w http.ResponseWriter, r *http.Request) { put(t, r, "cart", "full") },
		"a page":          func(w http.ResponseWriter, r *http.Request) { put(t, r, "cart", "full"); io.WriteString(w, "page") },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			put(t, r, "cart", "full")
			http.Redirect(w, r, "/cart", http.StatusSeeOther)
		},
		"a refusal": func(w http.ResponseWriter, r *http.Request) {
			put(t, r, "cart", "full")
			http.Error(w, "no", http.StatusConflict)
		},
		"a file": func(w http.ResponseWriter, r *http.Request) { put(t, r, "cart", "full"); http.ServeFile(w, r, file) },
		"a copy": func(w http.ResponseWriter, r *http.Request) {
			put(t, r, "cart", "full")
			if _, ok := w.(io.ReaderFrom); !ok {
				t.Error("the writer is no io.ReaderFrom any more")
			}
			io.Copy(w, strings.NewReader("copied"))
		},
		"a stream": func(w http.ResponseWriter, r *http.Request) {
			put(t, r, "cart", "full")
			for range 3 {
				io.WriteString(w, "data: x\n\n")
				if err := http.NewResponseController(w).Flush(); err != nil {
					t.Errorf("Flush = %v", err)
				}
			}
		},
		"a flush first": func(w http.ResponseWriter, r *http.Request) { put(t, r, "cart", "full"); w.(http.Flusher).Flush() },
		"an early hint": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			put(t, r, "cart", "full")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			s.addCart(t)
			s.mux.HandleFunc("GET /put", handler)
			v := s.visitor(t)
			if got := v.do("GET", "/put"); !strings.HasPrefix(got.header.Get("Set-Cookie"), cookieName+"=") {
				t.Errorf("/put = %d, cookies %q", got.status, got.header["Set-Cookie"])
			}
			if got := v.do("GET", "/cart"); got.body != "full" || got.header["Set-Cookie"] != nil {
				t.Errorf("/cart = %q, cookies %q; want full and none: reading gives no cookie", got.body, got.header["Set-Cookie"])
			}
		})
	}
}

// TestServerErrorsStoreNothing: what a handler put before it failed is not kept, and nobody gets a cookie for it.
func TestServerErrorsStoreNothing(t *testing.T) {
	for name, fail := range map[string]func(http.ResponseWriter){
		"500":   func(w http.ResponseWriter) { http.Error(w, "broken", 500) },
		"503":   func(w http.ResponseWriter) { w.WriteHeader(503) },
		"panic": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			h := s.guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				put(t, r, "cart", "full")
				fail(w)
			}))
			w := httptest.NewRecorder()
			func() {
				defer func() { _ = recover() }()
				h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			}()
			if w.Header()["Set-Cookie"] != nil || s.store.writes.Load() != 0 {
				t.Errorf("cookies %q, writes %d; want none", w.Header()["Set-Cookie"], s.store.writes.Load())
			}
		})
	}
}

// TestWhatCannotBeStoredIsNotAnswered: the handler's page must not say that something was done which was not.
func TestWhatCannotBeStoredIsNotAnswered(t *testing.T) {
	s := newSite(t, nil)
	s.mux.HandleFunc("GET /put", func(w http.ResponseWriter, r *http.Request) {
		put(t, r, "cart", "full")
		s.store.failing(errors.New("the disk of db.internal is full"))
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", "5")
		if n, err := io.WriteString(w, "done!"); n != 0 || err == nil {
			t.Errorf("the handler's write = %d, %v; want an error", n, err)
		}
		w.WriteHeader(200)
	})
	v := s.visitor(t)
	v.signIn("jack")
	got := v.do("GET", "/put")
	if got.status != 503 || got.code() != "unavailable" || strings.Contains(got.body, "done!") || strings.Contains(got.body, "db.internal") {
		t.Errorf("/put = %d %s, want 503 and a problem", got.status, got.body)
	}
	if !strings.Contains(s.log.String(), "db.internal") {
		t.Error("the log does not say why")
	}
}

// TestConflictsAreAnswered: of two requests that change one value at the same time, one is told; changes of different values both stay.
func TestConflictsAreAnswered(t *testing.T) {
	s := newSite(t, nil)
	s.addCart(t)
	var cookie string
	s.mux.HandleFunc("GET /put", func(w http.ResponseWriter, r *http.Request) {
		put(t, r, r.FormValue("key"), "mine")
		if during := r.FormValue("during"); during != "" {
			if got := s.stranger(t, "GET", "/put?key="+during, "Cookie", cookie); got.status != 200 {
				t.Errorf("the request in between = %d", got.status)
			}
		}
		if r.FormValue("end") != "" {
			if _, err := s.table.EndAll(r.Context(), "jack", ""); err != nil {
				t.Error(err)
			}
		}
		io.WriteString(w, "done!")
	})
	v := s.visitor(t)
	cookie = v.signIn("jack")
	if got := v.do("GET", "/put?key=a&during=b"); got.body != "done!" {
		t.Errorf("two values = %d %s, want both stored", got.status, got.body)
	}
	if got := v.do("GET", "/put?key=cart&during=cart"); got.status != 409 || got.code() != "session_conflict" {
		t.Errorf("one value = %d %s, want 409 session_conflict", got.status, got.body)
	}
	got := v.do("GET", "/put?key=cart&end=1")
	if got.status != 401 || got.code() != "session_invalid" || !strings.Contains(got.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("a session that was ended meanwhile = %d %s, cookies %q", got.status, got.body, got.header["Set-Cookie"])
	}
}

// TestPutAfterTheAnswerHasBegun: an existing session still takes it; a visitor without one cannot be given a cookie any more, and is told.
func TestPutAfterTheAnswerHasBegun(t *testing.T) {
	s := newSite(t, nil)
	s.addCart(t)
	var late error
	s.mux.HandleFunc("GET /late", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "begun")
		late = session.Put(session.FromContext(r.Context()), "cart", "late")
	})
	v := s.visitor(t)
	if got := v.do("GET", "/late"); !errors.Is(late, session.ErrTooLate) || got.header["Set-Cookie"] != nil {
		t.Errorf("a visitor: %v, cookies %q; want ErrTooLate", late, got.header["Set-Cookie"])
	}
	v.signIn("jack")
	if v.do("GET", "/late"); late != nil {
		t.Errorf("jack: %v", late)
	}
	if got := v.do("GET", "/cart"); got.body != "late" {
		t.Errorf("/cart = %q, want what was put late", got.body)
	}
}

// TestSigningInAfterTheAnswerHasBegun is an error and makes nothing, and so is signing out.
func TestSigningInAfterTheAnswerHasBegun(t *testing.T) {
	s := newSite(t, nil)
	var in, out error
	s.mux.HandleFunc("POST /late", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "begun")
		in = guard.Remember(w, r, gatehouse.Identity{Value: "ann"})
		out = guard.Forget(w, r)
	})
	v := s.visitor(t)
	v.signIn("jack")
	v.do("POST", "/late")
	if !errors.Is(in, session.ErrTooLate) || !errors.Is(out, session.ErrTooLate) || s.store.records.Load() != 1 {
		t.Errorf("Remember = %v, Forget = %v, %d records; want ErrTooLate twice and one", in, out, s.store.records.Load())
	}
}

// TestUpgradesKeepTheSession: what is put before a WebSocket upgrade is stored and the cookie goes out with the 101; who takes the connection over by hand
// is told that a cookie would be lost.
func TestUpgradesKeepTheSession(t *testing.T) {
	s := newSite(t, nil)
	s.addCart(t)
	s.mux.HandleFunc("GET /socket", func(w http.ResponseWriter, r *http.Request) {
		put(t, r, "cart", "from the socket")
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Errorf("Accept = %v", err)
			return
		}
		c.Close(websocket.StatusNormalClosure, "")
	})
	var hijacked error
	s.mux.HandleFunc("GET /raw", func(w http.ResponseWriter, r *http.Request) {
		put(t, r, "cart", "raw")
		var conn net.Conn
		if conn, _, hijacked = w.(http.Hijacker).Hijack(); hijacked == nil {
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
			conn.Close()
		}
	})
	v := s.visitor(t)
	c, resp, err := websocket.Dial(t.Context(), s.URL+"/socket", &websocket.DialOptions{HTTPClient: v.client})
	if err != nil {
		t.Fatal(err)
	}
	c.CloseNow()
	if resp.StatusCode != 101 || !strings.HasPrefix(resp.Header.Get("Set-Cookie"), cookieName+"=") {
		t.Errorf("the upgrade = %d, cookies %q", resp.StatusCode, resp.Header["Set-Cookie"])
	}
	if got := v.do("GET", "/cart"); got.body != "from the socket" {
		t.Errorf("/cart = %q", got.body)
	}
	if got := s.stranger(t, "GET", "/raw"); hijacked == nil || !strings.Contains(hijacked.Error(), "WriteHeader(101)") {
		t.Errorf("taking the connection over with a new session = %v (%d), want an error that says what to do", hijacked, got.status)
	}
	v.signIn("jack")
	if v.do("GET", "/raw"); hijacked == nil {
		t.Error("taking the connection over loses the cookie that is given its whole life again, and nobody is told")
	}
}

// TestWriterKeepsItsAbilities: what net/http's own writer can do can still be done.
func TestWriterKeepsItsAbilities(t *testing.T) {
	s := newSite(t, nil)
	s.mux.HandleFunc("POST /able", func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		for name, err := range map[string]error{"EnableFullDuplex": rc.EnableFullDuplex(), "Flush": rc.Flush()} {
			if err != nil {
				t.Errorf("%s = %v", name, err)
			}
		}
		if _, ok := w.(http.Hijacker); !ok {
			t.Error("the writer is no http.Hijacker any more")
		}
		w.WriteHeader(500) // superfluous, and no reason to do anything
	})
	if got := s.stranger(t, "POST", "/able"); got.status != 200 {
		t.Errorf("/able = %d", got.status)
	}
}

type brokenWriter struct{ *httptest.ResponseRecorder }

func (brokenWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("no connection here")
}

// TestHijackThatFails hands the error on.
func TestHijackThatFails(t *testing.T) {
	s := newSite(t, nil)
	h := s.guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := w.(http.Hijacker).Hijack(); err == nil {
			t.Error("Hijack = nil, want the writer's error")
		}
	}))
	h.ServeHTTP(brokenWriter{httptest.NewRecorder()}, httptest.NewRequest("GET", "/", nil))
}
