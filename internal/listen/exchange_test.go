package listen_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/gatehouse-auth/gatehouse/internal/listen"
)

func TestWebSocketOutlivesDeadlines(t *testing.T) {
	s := serve(t, "HTTP/1.1", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Errorf("Accept: %v", err)
			return
		}
		defer c.CloseNow()
		for {
			kind, text, err := c.Read(r.Context())
			if err != nil {
				return
			}
			c.Write(r.Context(), kind, text)
		}
	}, limit, limit)
	echo(t, s.URL)
}

// echo talks to a WebSocket echo with pauses longer than the deadlines.
func echo(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, address, nil)
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	defer c.CloseNow()
	for i := range 3 {
		longPause()
		if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
			t.Fatalf("write %d: %v", i, err)
		}
		if _, text, err := c.Read(ctx); err != nil || string(text) != "hello" {
			t.Fatalf("echo %d = %q, %v", i, text, err)
		}
	}
}

// TestThroughReverseProxy plays the three hard cases with httputil.ReverseProxy between: it reads the body in another
// goroutine, closes it while that still reads, and hijacks.
func TestThroughReverseProxy(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			c, err := websocket.Accept(w, r, nil)
			if err == nil {
				_, text, _ := c.Read(r.Context())
				for err == nil {
					err = c.Write(r.Context(), websocket.MessageText, text)
					if err == nil {
						_, text, err = c.Read(r.Context())
					}
				}
			}
			return
		}
		if r.URL.Path == "/early" { // answers without a look at the body
			w.WriteHeader(http.StatusTeapot)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		for range 3 {
			longPause()
			fmt.Fprintln(w, "data:", n)
			w.(http.Flusher).Flush()
		}
	}))
	defer upstream.Close()
	to, _ := url.Parse(upstream.URL)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	s := serve(t, "HTTP/1.1", proxy.ServeHTTP, limit, limit)
	t.Run("stream", func(t *testing.T) {
		resp, err := s.Client().Post(s.URL, "text/plain", bytes.NewReader(make([]byte, 5<<20)))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if text, err := io.ReadAll(resp.Body); strings.Count(string(text), "data: 5242880") != 3 || err != nil {
			t.Errorf("stream through a proxy: %q, %v", text, err)
		}
	})
	t.Run("websocket", func(t *testing.T) { echo(t, s.URL) })
	t.Run("early answer", func(t *testing.T) {
		_, r := dial(t, s, "POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome")
		closed(t, r)
	})
}

// TestHijackedConnectionOutlivesItsHandler: a handler may leave the connection to somebody else and return.
func TestHijackedConnectionOutlivesItsHandler(t *testing.T) {
	s := serve(t, "HTTP/1.1", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints) // sets a write deadline
		longPause()
		c, buffers, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		go func() {
			defer c.Close()
			longPause()
			line, _ := buffers.ReadString('\n')
			io.WriteString(c, "echo "+line)
		}()
	}, limit, limit)
	c, r := dial(t, s, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	longPause()
	longPause()
	io.WriteString(c, "hello\n")
	text, err := io.ReadAll(r)
	if err != nil || !strings.HasSuffix(string(text), "\r\n\r\necho hello\n") {
		t.Errorf("over the hijacked connection: %q, %v, want the echo", text, err)
	}
}

// TestCutBodyIsNotTheNextRequest: what arrives of a body after it was cut must not be taken for a request.
func TestCutBodyIsNotTheNextRequest(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"read":   func(w http.ResponseWriter, r *http.Request) { io.ReadAll(r.Body) },
		"unread": func(http.ResponseWriter, *http.Request) {},
		"closed": func(w http.ResponseWriter, r *http.Request) { r.Body.Close() },
		"duplex": func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			io.WriteString(w, "early")
			w.(http.Flusher).Flush()
			io.ReadAll(r.Body)
		},
		"answered": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "early")
			w.(http.Flusher).Flush()
			io.ReadAll(r.Body)
		},
	}
	for name, h := range handlers {
		smuggled := make(chan bool, 1)
		s := serve(t, "HTTP/1.1", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/smuggled" {
				smuggled <- true
				return
			}
			h(w, r)
		}, limit, limit)
		c, r := dial(t, s, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
		if _, err := http.ReadResponse(r, nil); err != nil {
			t.Errorf("%s: no answer: %v", name, err)
		}
		longPause()
		longPause()
		io.WriteString(c, "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
		io.ReadAll(r) // until the server closes
		select {
		case <-smuggled:
			t.Errorf("%s: the rest of the body was taken for a request", name)
		default:
		}
	}
}

func TestHijackNeedsHTTP1(t *testing.T) {
	s := serve(t, "HTTP/2", func(w http.ResponseWriter, r *http.Request) {
		_, _, err := http.NewResponseController(w).Hijack()
		fmt.Fprint(w, r.Proto, errors.Is(err, http.ErrNotSupported))
	}, limit, limit)
	resp, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); string(text) != "HTTP/2.0true" || err != nil {
		t.Errorf("answer %q, %v, want http.ErrNotSupported", text, err)
	}
}

func TestCopiedAnswersAreWhole(t *testing.T) {
	data := make([]byte, 1<<20+333)
	rand.Read(data)
	text := string(data)
	file := create(t, filepath.Join(t.TempDir(), "data"))
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	open := func() *os.File {
		f, err := os.Open(file)
		if err != nil {
			t.Error(err)
		}
		return f
	}
	ways := map[string]http.HandlerFunc{
		"ServeFile": func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) },
		"file": func(w http.ResponseWriter, _ *http.Request) {
			f := open()
			defer f.Close()
			io.Copy(w, f)
		},
		"file and length": func(w http.ResponseWriter, _ *http.Request) {
			f := open()
			defer f.Close()
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			io.CopyN(w, f, int64(len(data)))
		},
		"reader": func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, bytes.NewReader(data)) },
		"string": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) },
		"slow source": func(w http.ResponseWriter, _ *http.Request) {
			r, in := io.Pipe()
			go func() {
				for _, part := range [][]byte{data[:1000], data[1000:300_000], data[300_000:]} {
					longPause()
					in.Write(part)
				}
				in.Close()
			}()
			io.Copy(w, r)
		},
	}
	everyProtocol(t, func(t *testing.T, protocol string) {
		for name, way := range ways {
			t.Run(name, func(t *testing.T) {
				s := serve(t, protocol, way, limit, limit)
				resp, err := s.Client().Get(s.URL)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if got, err := io.ReadAll(resp.Body); !bytes.Equal(got, data) || err != nil {
					t.Errorf("%d bytes (%v), want the %d of the source", len(got), err, len(data))
				}
			})
		}
	})
}

func TestFileKeepsTheKernelsWay(t *testing.T) {
	file := create(t, filepath.Join(t.TempDir(), "data"))
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	to := &sink{ResponseRecorder: httptest.NewRecorder()}
	listen.Deadlines(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) }), limit, limit).
		ServeHTTP(to, httptest.NewRequest("GET", "/", nil))
	if to.files != 8 || to.Body.Len() != 1<<20 {
		t.Errorf("1 MiB came as %d pieces with a file behind and %d bytes, want 8 and all", to.files, to.Body.Len())
	}
}

// sink counts calls of ReadFrom that the kernel could serve: one LimitedReader around a file.
type sink struct {
	*httptest.ResponseRecorder
	files int
}

func (s *sink) ReadFrom(r io.Reader) (int64, error) {
	if l, ok := r.(*io.LimitedReader); ok {
		if _, ok := l.R.(interface{ Fd() uintptr }); ok && l.N > 0 {
			s.files++
		}
	}
	return io.Copy(s.ResponseRecorder, r)
}

func TestContinueIsSentOnlyIfTheBodyIsRead(t *testing.T) {
	s := serve(t, "HTTP/1.1", func(w http.ResponseWriter, r *http.Request) {
		longPause()
		if r.URL.Path == "/read" {
			text, err := io.ReadAll(r.Body)
			longPause()
			fmt.Fprint(w, string(text), err)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
	}, limit, limit)
	const head = " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
	_, r := dial(t, s, "POST /refused"+head)
	if resp, _ := answer(t, r); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("first answer = %d, want 401 without 100", resp.StatusCode)
	}
	closed(t, r)
	c, r := dial(t, s, "POST /read"+head)
	if line, _ := r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("first line = %q, want 100 Continue", line)
	}
	r.ReadString('\n')
	io.WriteString(c, "hello")
	if resp, text := answer(t, r); resp.StatusCode != 200 || text != "hello<nil>" {
		t.Errorf("answer = %d %q, want 200 hello", resp.StatusCode, text)
	}
}

func TestClientThatGoesEndsTheContext(t *testing.T) {
	everyProtocol(t, func(t *testing.T, protocol string) {
		in, out := make(chan bool), make(chan bool)
		s := serve(t, protocol, func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			close(in)
			<-r.Context().Done()
			close(out)
		}, limit, limit)
		ctx, cancel := context.WithCancel(t.Context())
		r, _ := http.NewRequestWithContext(ctx, "POST", s.URL, strings.NewReader("hello"))
		go s.Client().Do(r)
		receive(t, in, "the request")
		cancel()
		receive(t, out, "the end of the context")
	})
}

func TestDuplexAndTrailers(t *testing.T) {
	everyProtocol(t, func(t *testing.T, protocol string) {
		s := serve(t, protocol, func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			w.Header().Set("Trailer", "Got")
			io.WriteString(w, "early ")
			w.(http.Flusher).Flush()
			longPause()
			text, _ := io.ReadAll(r.Body)
			w.Write(text)
			w.Header().Set("Got", r.Trailer.Get("Sent"))
		}, 10*limit, 10*limit)
		r, w := io.Pipe()
		req, _ := http.NewRequestWithContext(t.Context(), "POST", s.URL, r)
		req.Trailer = http.Header{"Sent": {"yes"}}
		go func() {
			pause(2)
			io.WriteString(w, "late")
			w.Close()
		}()
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if text, err := io.ReadAll(resp.Body); string(text) != "early late" || err != nil || resp.Trailer.Get("Got") != "yes" {
			t.Errorf("answer %q, trailer %q, %v, want both directions and trailers", text, resp.Trailer, err)
		}
	})
}

func TestNoLimitIsNoDeadline(t *testing.T) {
	everyProtocol(t, func(t *testing.T, protocol string) {
		s := serve(t, protocol, func(w http.ResponseWriter, r *http.Request) {
			text, err := io.ReadAll(r.Body)
			fmt.Fprint(w, string(text), err)
		}, 0, -1)
		r, w := io.Pipe()
		go func() {
			longPause()
			io.WriteString(w, "late")
			w.Close()
		}()
		resp, err := s.Client().Post(s.URL, "text/plain", r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if text, _ := io.ReadAll(resp.Body); string(text) != "late<nil>" {
			t.Errorf("answer %q, want late", text)
		}
	})
}

func TestWriterWithoutDeadlines(t *testing.T) {
	rec := httptest.NewRecorder()
	listen.Deadlines(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
		w.(http.Flusher).Flush()
	}), limit, limit).ServeHTTP(rec, httptest.NewRequest("POST", "/", strings.NewReader("hello")))
	if rec.Body.String() != "hello" || !rec.Flushed {
		t.Errorf("recorder got %q, flushed = %v", rec.Body, rec.Flushed)
	}
}

func BenchmarkDeadlines(b *testing.B) {
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	for name, h := range map[string]http.Handler{"bare": next, "deadlines": listen.Deadlines(next, time.Minute, time.Minute)} {
		b.Run(name, func(b *testing.B) {
			s := httptest.NewServer(h)
			defer s.Close()
			c, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			request, reply := []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				c.Write(request)
				if _, err := c.Read(reply); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
