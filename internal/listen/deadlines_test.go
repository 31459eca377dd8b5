package listen_test

import (
	"bufio"
	"bytes"
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
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/gatehouse-auth/gatehouse/internal/listen"
)

// limit is the deadline of most tests: short, so that streams outlive it many times over, and long enough for a busy machine to answer within it.
const limit = 150 * time.Millisecond

// patience is how long a test waits for what should happen soon.
const patience = 20 * time.Second

// protocols are the ways in which every test of a handler is played.
var protocols = []string{"HTTP/1.1", "HTTP/1.1 with TLS", "HTTP/2"}

// serve starts a server whose handler has deadlines on both sides.
func serve(t *testing.T, protocol string, h http.HandlerFunc, read, write time.Duration) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(listen.Deadlines(h, read, write))
	switch protocol {
	case "HTTP/2":
		s.EnableHTTP2 = true
		s.StartTLS()
	case "HTTP/1.1 with TLS":
		s.StartTLS()
	default:
		s.Start()
	}
	s.Client().Timeout = patience
	t.Cleanup(s.CloseClientConnections)
	t.Cleanup(s.Close)
	return s
}

// everyProtocol plays test once for each protocol.
func everyProtocol(t *testing.T, test func(t *testing.T, protocol string)) {
	for _, p := range protocols {
		t.Run(p, func(t *testing.T) { test(t, p) })
	}
}

// pause waits for some ticks of a quarter of the limit.
func pause(ticks int) {
	ticker := time.NewTicker(limit / 4)
	defer ticker.Stop()
	for range ticks {
		<-ticker.C
	}
}

// longPause outlives every deadline.
func longPause() { pause(7) }

// receive returns what arrives on c, or fails.
func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not happen in %v", what, patience)
		panic("unreachable")
	}
}

// dial opens a raw connection and sends text.
func dial(t *testing.T, s *httptest.Server, text string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// answer reads one answer and its body.
func answer(t *testing.T, r *bufio.Reader) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("answer breaks off: %v", err)
	}
	return resp, string(text)
}

// closed fails unless the server closes the connection.
func closed(t *testing.T, r *bufio.Reader) {
	t.Helper()
	if rest, err := io.ReadAll(r); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("connection is still open after %d bytes", len(rest))
	}
}

// stalling is a body that gives a few bytes and then nothing until the test ends.
func stalling(t *testing.T) io.Reader {
	r, w := io.Pipe()
	go io.WriteString(w, "some")
	t.Cleanup(func() { w.Close() })
	return r
}

func TestSlowBodyIsCut(t *testing.T) {
	everyProtocol(t, func(t *testing.T, protocol string) {
		got := make(chan error, 2)
		s := serve(t, protocol, func(w http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			got <- err
			_, err = r.Body.Read(make([]byte, 1))
			got <- err
			w.WriteHeader(http.StatusRequestTimeout)
		}, limit, limit)
		resp, err := s.Client().Post(s.URL, "text/plain", stalling(t))
		if err == nil {
			resp.Body.Close()
		}
		for range 2 {
			if err := receive(t, got, "the end of the read"); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("reading a body that stalls: %v, want os.ErrDeadlineExceeded", err)
			}
		}
	})
}

func TestSlowBodyGetsItsAnswerAndIsClosed(t *testing.T) {
	s := serve(t, "HTTP/1.1", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			http.Error(w, "slow", http.StatusRequestTimeout)
		}
	}, limit, limit)
	for _, head := range []string{"Content-Length: 100\r\n\r\nsome", "Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n", "Transfer-Encoding: chunked\r\n\r\n9\r\nsome"} {
		_, r := dial(t, s, "POST / HTTP/1.1\r\nHost: x\r\n"+head)
		if resp, text := answer(t, r); resp.StatusCode != http.StatusRequestTimeout || text != "slow\n" {
			t.Errorf("answer to %q = %d %q, want 408", head, resp.StatusCode, text)
		}
		closed(t, r)
	}
}

// TestSlowBodyNobodyReadsIsCut: net/http reads what a handler leaves, at different moments; none may wait for ever.
func TestSlowBodyNobodyReadsIsCut(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"no answer":       func(http.ResponseWriter, *http.Request) {},
		"short answer":    func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "no") },
		"status":          func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"body closed":     func(_ http.ResponseWriter, r *http.Request) { r.Body.Close() },
		"long answer":     func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 1<<20)) },
		"flush":           func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() },
		"late answer":     func(w http.ResponseWriter, _ *http.Request) { longPause(); io.WriteString(w, "no") },
		"late, piecemeal": func(w http.ResponseWriter, _ *http.Request) { drip(w, 5000); longPause(); drip(w, 10) },
		"partly read": func(w http.ResponseWriter, r *http.Request) {
			io.ReadFull(r.Body, make([]byte, 2))
			longPause()
			drip(w, 5000)
		},
		"copied": func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, strings.NewReader("no")) },
		"duplex": func(w http.ResponseWriter, _ *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			drip(w, 5000)
		},
		"panic": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	}
	for name, h := range handlers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "HTTP/1.1", h, limit, limit)
			for _, head := range []string{"Content-Length: 100\r\n\r\nsome", "Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n"} {
				_, r := dial(t, s, "POST / HTTP/1.1\r\nHost: x\r\n"+head)
				if name != "panic" {
					answer(t, r)
				}
				closed(t, r)
			}
		})
	}
}

// drip writes n bytes one by one.
func drip(w io.Writer, n int) {
	for range n {
		w.Write([]byte{'.'})
	}
}

func TestSlowReaderIsCut(t *testing.T) {
	file := filepath.Join(t.TempDir(), "large")
	if err := os.Truncate(create(t, file), 1<<30); err != nil {
		t.Fatal(err)
	}
	const gigabyte = 1 << 30
	ways := map[string]func(w http.ResponseWriter, r *http.Request) error{
		"pieces": func(w http.ResponseWriter, _ *http.Request) error {
			return until(gigabyte>>12, func() error { _, err := w.Write(make([]byte, 4<<10)); return err })
		},
		"one write": func(w http.ResponseWriter, _ *http.Request) error {
			_, err := w.Write(make([]byte, 64<<20))
			return err
		},
		"strings": func(w http.ResponseWriter, _ *http.Request) error {
			text := strings.Repeat("x", 1<<20)
			return until(1<<10, func() error { _, err := io.WriteString(w, text); return err })
		},
		"flushes": func(w http.ResponseWriter, _ *http.Request) error {
			return until(gigabyte>>10, func() error {
				w.Write(make([]byte, 1<<10))
				return http.NewResponseController(w).Flush()
			})
		},
		"file": func(w http.ResponseWriter, _ *http.Request) error {
			f, err := os.Open(file)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = io.Copy(w, f)
			return err
		},
	}
	everyProtocol(t, func(t *testing.T, protocol string) {
		for name, way := range ways {
			if protocol == "HTTP/1.1 with TLS" && name != "pieces" {
				continue // closing takes crypto/tls five seconds while the client reads nothing
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				got := make(chan error, 1)
				s := serve(t, protocol, func(w http.ResponseWriter, r *http.Request) { got <- way(w, r) }, limit, limit)
				resp, err := s.Client().Get(s.URL)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if err := receive(t, got, "the end of the write"); err == nil {
					t.Error("writing to a client that does not read succeeded, want an error")
				}
			})
		}
	})
}

func until(times int, f func() error) error {
	for range times {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

func create(t *testing.T, name string) string {
	t.Helper()
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestSlowReaderOfTheLastBytesIsCut: what a handler leaves in buffers is sent after it has returned, here to a client
// that takes nothing at all.
func TestSlowReaderOfTheLastBytesIsCut(t *testing.T) {
	h := listen.Deadlines(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "the last bytes") }), limit, limit)
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close) // after the connection below is closed
	c, r := dial(t, s, http2.ClientPreface)
	f := http2.NewFramer(c, r)
	f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	var head bytes.Buffer
	enc := hpack.NewEncoder(&head)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/"}} {
		enc.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndStream: true, EndHeaders: true})
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatalf("no end of the stream: %v", err)
		}
		if frame.Header().Type == http2.FrameRSTStream {
			break
		}
	}
}

// TestEventStreamOutlivesDeadlines sends events with pauses longer than any deadline, after each way to treat the body.
func TestEventStreamOutlivesDeadlines(t *testing.T) {
	treatments := map[string]func(r *http.Request){
		"read":   func(r *http.Request) { io.Copy(io.Discard, r.Body) },
		"closed": func(r *http.Request) { r.Body.Close() },
		"unread": func(*http.Request) {},
		"partly": func(r *http.Request) { io.ReadFull(r.Body, make([]byte, 1)) },
	}
	bodies := map[string]func() io.Reader{
		"no":      func() io.Reader { return nil },
		"sized":   func() io.Reader { return strings.NewReader("hello") },
		"chunked": func() io.Reader { return io.MultiReader(strings.NewReader("hello")) },
	}
	everyProtocol(t, func(t *testing.T, protocol string) {
		for treatment, treat := range treatments {
			for kind, body := range bodies {
				if kind == "no" && treatment != "read" {
					continue
				}
				t.Run(kind+" body "+treatment, func(t *testing.T) {
					t.Parallel()
					testStream(t, protocol, treat, body())
				})
			}
		}
	})
}

func testStream(t *testing.T, protocol string, treat func(*http.Request), body io.Reader) {
	const events = 3
	failed := make(chan error, 1)
	s := serve(t, protocol, func(w http.ResponseWriter, r *http.Request) {
		treat(r)
		for i := range events {
			longPause()
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
		}
		longPause()
		failed <- r.Context().Err()
	}, limit, limit)
	resp, err := s.Client().Post(s.URL, "text/plain", body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if got := strings.Count(string(text), "data:"); err != nil || got != events {
		t.Errorf("stream of %d events ends after %d: %v", events, got, err)
	}
	if err := receive(t, failed, "the end of the handler"); err != nil {
		t.Errorf("the request's context ended during the stream: %v", err)
	}
}

// TestSteadyClientsAreNotCut: a body that moves lasts longer than a deadline, either way.
func TestSteadyClientsAreNotCut(t *testing.T) {
	const steps, step = 16, 64 // ticks of 15 ms make 240 ms, over the limit below
	everyProtocol(t, func(t *testing.T, protocol string) {
		s := serve(t, protocol, func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n, err)
		}, 200*time.Millisecond, 200*time.Millisecond)
		r, w := io.Pipe()
		go func() {
			defer w.Close()
			for range steps {
				pause(1)
				w.Write(make([]byte, step))
			}
		}()
		resp, err := s.Client().Post(s.URL, "text/plain", r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if text, _ := io.ReadAll(resp.Body); string(text) != fmt.Sprint(steps*step, nil) {
			t.Errorf("steady upload: %s, want %d bytes", text, steps*step)
		}
	})
}

// TestHandlerMayTakeItsTime: no deadline runs while the handler does something else.
func TestHandlerMayTakeItsTime(t *testing.T) {
	everyProtocol(t, func(t *testing.T, protocol string) {
		s := serve(t, protocol, func(w http.ResponseWriter, r *http.Request) {
			longPause()
			half := make([]byte, 3)
			io.ReadFull(r.Body, half)
			longPause()
			rest, err := io.ReadAll(r.Body)
			longPause()
			fmt.Fprint(w, string(half), string(rest), err, r.Context().Err())
			longPause()
		}, limit, limit)
		resp, err := s.Client().Post(s.URL, "text/plain", io.MultiReader(strings.NewReader("abc"), strings.NewReader("def")))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if text, err := io.ReadAll(resp.Body); string(text) != "abcdef<nil> <nil>" || err != nil {
			t.Errorf("answer %q, %v, want abcdef<nil> <nil>", text, err)
		}
	})
}

func TestConnectionIsReusedAfterALongIdle(t *testing.T) {
	s := serve(t, "HTTP/1.1", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		longPause() // so that deadlines of the reads and writes before have passed
		fmt.Fprint(w, string(text), err, r.Context().Err())
	}, limit, limit)
	c, r := dial(t, s, "")
	for i := range 3 {
		for _, request := range []string{
			"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		} {
			longPause()
			io.WriteString(c, request)
			if resp, text := answer(t, r); resp.StatusCode != 200 || text != "abc<nil> <nil>" {
				t.Fatalf("answer %d = %d %q, want 200 abc", i, resp.StatusCode, text)
			}
		}
	}
}

// TestUnreadBodyDoesNotSpoilTheConnection: what net/http reads itself is followed by a good second request.
func TestUnreadBodyDoesNotSpoilTheConnection(t *testing.T) {
	s := serve(t, "HTTP/1.1", func(w http.ResponseWriter, r *http.Request) {
		longPause()
		w.Write(make([]byte, 3000))
		longPause()
		fmt.Fprint(w, r.Context().Err())
	}, limit, limit)
	c, r := dial(t, s, "")
	for i := range 3 {
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
		if resp, text := answer(t, r); resp.StatusCode != 200 || !strings.HasSuffix(text, "<nil>") {
			t.Fatalf("answer %d = %d …%q, want 200 and no error", i, resp.StatusCode, text[max(0, len(text)-20):])
		}
	}
}
