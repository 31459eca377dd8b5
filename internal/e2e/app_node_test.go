package e2e

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// TestNodeApp puts the gate in front of an application on express and ws, which knows nothing of it.
func TestNodeApp(t *testing.T) {
	g := gateBefore(t, startNode(t))

	t.Run("who is asking", func(t *testing.T) {
		_, body := g.fetch(t, "GET", "/whoami?a=1&b[c]=2;d", nil, "Remote-User: root", "Remote_User: root", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example")
		var got map[string]any
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		for name, want := range map[string]any{
			"user": "alice", "groups": "basic", "authorization": nil, "address": "127.0.0.1", "protocol": "http", "url": "/whoami?a=1&b[c]=2;d", "host": g.addr,
		} {
			if got[name] != want {
				t.Errorf("%s = %v, want %v", name, got[name], want)
			}
		}
	})
	t.Run("forms and cookies", func(t *testing.T) {
		resp, body := g.fetch(t, "POST", "/form", strings.NewReader(`{"title":"ü"}`), "Content-Type: application/json", "Cookie: a=b")
		if resp.StatusCode != 201 || body != `{"title":"ü"}` || resp.Header.Get("Location") != "/form/1" || !strings.HasPrefix(resp.Header.Get("Set-Cookie"), "seen=yes") {
			t.Errorf("JSON: %s %v %s", resp.Status, resp.Header, body)
		}
		if _, body := g.fetch(t, "POST", "/form", strings.NewReader("a=1&b=2"), "Content-Type: application/x-www-form-urlencoded"); body != `{"a":"1","b":"2"}` {
			t.Errorf("a form: %s", body)
		}
		if resp, _ := g.fetch(t, "GET", "/redirect", nil); resp.StatusCode != http.StatusFound || resp.Header.Get("Location") != "/whoami" {
			t.Errorf("a redirect: %s to %q", resp.Status, resp.Header.Get("Location"))
		}
		if resp, _ := g.fetch(t, "GET", "/fails", nil); resp.StatusCode != 500 {
			t.Errorf("a failure: %s, want the application's own 500", resp.Status)
		}
		if _, body := g.fetch(t, "GET", "/films/%73%40", nil); body != `{"id":"s@"}` {
			t.Errorf("an escaped path: %s", body)
		}
	})
	t.Run("events", func(t *testing.T) { events(t, g) })
	t.Run("WebSocket", func(t *testing.T) { webSocket(t, g) })
	t.Run("anonymous", func(t *testing.T) {
		for _, target := range []string{"/whoami", "/events", "/download/5", "/nowhere"} {
			if got := g.ask(t, "GET "+target); got.status != 401 {
				t.Errorf("GET %s: %d, want 401", target, got.status)
			}
		}
		if got := g.ask(t, "GET /echo", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="); got.status != 401 {
			t.Errorf("a WebSocket: %d, want 401", got.status)
		}
	})
}

// events reads the first of two server-sent events before the second is sent.
func events(t *testing.T, g *gate) {
	r, err := http.NewRequest("GET", g.url+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer alice-token")
	resp, err := (&http.Client{Timeout: patience}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	read := func(want string) {
		t.Helper()
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if data != want {
					t.Errorf("event %q, want %q", data, want)
				}
				return
			}
		}
		t.Fatalf("no event %q: %v", want, lines.Err())
	}
	read("first")
	if _, body := g.fetch(t, "POST", "/next", nil); body != `{"count":1}` {
		t.Errorf("/next: %s, want one who waits", body)
	}
	read("second")
}

// webSocket talks to ws, in parallel.
func webSocket(t *testing.T, g *gate) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			conn, _, err := websocket.Dial(ctx, g.url+"/echo", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer alice-token"}, "Remote-User": {"root"}}})
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.CloseNow()
			conn.SetReadLimit(1 << 20)
			if _, hello, err := conn.Read(ctx); string(hello) != "hello alice" || err != nil {
				t.Errorf("greeting %q, %v, want alice's", hello, err)
			}
			for j := range 50 {
				want := fmt.Sprintf("%d %d %s", i, j, strings.Repeat("x", j*1000))
				if err := conn.Write(ctx, websocket.MessageText, []byte(want)); err != nil {
					t.Error(err)
					return
				}
				if _, got, err := conn.Read(ctx); string(got) != want || err != nil {
					t.Errorf("echo of %d bytes, %v, want the %d that were sent", len(got), err, len(want))
					return
				}
			}
			conn.Close(websocket.StatusNormalClosure, "")
		})
	}
	group.Wait()
}

// budget is how much memory a transfer of any length may take over what the idle process has.
const budget = 32 << 20

// TestLargeBodies sends and fetches 1 GB (64 MB unless GATEHOUSE_TEST_PROXIES is 1) while it watches the memory of the gate.
func TestLargeBodies(t *testing.T) {
	size := int64(64 << 20)
	if os.Getenv("GATEHOUSE_TEST_PROXIES") == "1" {
		size = 1 << 30
	}
	g := gateBefore(t, startNode(t))
	g.fetch(t, "GET", "/whoami", nil)
	idle := g.memory(t)

	peak := watch(t, g, func() {
		hash := sha256.New()
		_, body := g.fetch(t, "PUT", "/upload", io.TeeReader(io.LimitReader(pattern{}, size), hash))
		if want := fmt.Sprintf(`{"length":%d,"sha256":"%s"}`, size, hex.EncodeToString(hash.Sum(nil))); body != want {
			t.Errorf("the application read %s, want %s", body, want)
		}
	})
	t.Logf("upload of %d MB: idle %d MB, peak %d MB", size>>20, idle>>20, peak>>20)
	if peak > idle+budget {
		t.Errorf("uploading %d MB took the gate from %d to %d MB, want at most %d more", size>>20, idle>>20, peak>>20, budget>>20)
	}
	peak = watch(t, g, func() { download(t, g, size) })
	t.Logf("download of %d MB: idle %d MB, peak %d MB", size>>20, idle>>20, peak>>20)
	if peak > idle+budget {
		t.Errorf("downloading %d MB took the gate from %d to %d MB, want at most %d more", size>>20, idle>>20, peak>>20, budget>>20)
	}
}

// pattern reads as bytes that are not all the same, so that the hash would notice a piece in the wrong place.
type pattern struct{}

func (pattern) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(i * 31)
	}
	return len(b), nil
}

func download(t *testing.T, g *gate, size int64) {
	t.Helper()
	r, err := http.NewRequest("GET", fmt.Sprintf("%s/download/%d", g.url, size), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer alice-token")
	resp, err := (&http.Client{Timeout: 5 * time.Minute}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); n != size || resp.ContentLength != size || err != nil {
		t.Errorf("downloaded %d of %d bytes, %v, want %d", n, resp.ContentLength, err, size)
	}
}

// watch runs work and returns the most memory that the gate had meanwhile.
func watch(t *testing.T, g *gate, work func()) int {
	t.Helper()
	done, peak := make(chan struct{}), make(chan int)
	go func() {
		most := 0
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			most = max(most, g.memory(t))
			select {
			case <-tick.C:
			case <-done:
				peak <- max(most, g.memory(t))
				return
			}
		}
	}()
	work()
	close(done)
	return <-peak
}
