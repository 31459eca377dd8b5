package main

import (
	"bufio"
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(serveVariable); name != "" {
		exit(serve(name, os.Stdout))
		return
	}
	os.Exit(m.Run())
}

// TestMeasure runs every variant for a moment, so that the program works on the day when somebody needs it.
func TestMeasure(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("skipped: processor times are read from /proc")
	}
	results, err := measure(1, 4, 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := table(&out, results); err != nil {
		t.Fatal(err)
	}
	variants, err := allVariants()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range variants {
		if !strings.Contains(out.String(), "\n"+v.name+" ") {
			t.Errorf("the table has no line for %s:\n%s", v.name, &out)
		}
	}
}

func TestAnswer(t *testing.T) {
	for text, ok := range map[string]bool{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n":       true,
		"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n": false,
		"HTTP/1.1 200 OK\r\n\r\n":                                false,
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok":         false,
		"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nok":         false,
		"": false,
	} {
		if err := answer(bufio.NewReader(strings.NewReader(text)), "HTTP/1.1 200 "); (err == nil) != ok {
			t.Errorf("answer(%q) = %v, want success %v", text, err, ok)
		}
	}
}

func TestMedian(t *testing.T) {
	if got := median([]float64{9, 1, 5}); got != 5 {
		t.Errorf("median(9, 1, 5) = %v, want 5", got)
	}
}

// Benchmark measures one request in one process: what the middle of each handler costs, and what it allocates. For the proxies the
// application is in the same process, so that compare them with each other only.
func Benchmark(b *testing.B) {
	app := httptest.NewServer(http.HandlerFunc(bare))
	defer app.Close()
	b.Setenv(appVariable, strings.TrimPrefix(app.URL, "http://"))
	variants, err := allVariants()
	if err != nil {
		b.Fatal(err)
	}
	for _, v := range variants {
		b.Run(v.name, func(b *testing.B) {
			handler, err := handlerOf(v.name)
			if err != nil {
				b.Fatal(err)
			}
			w := &discard{header: http.Header{}}
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				b.StopTimer()
				r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(v.request)))
				if err != nil {
					b.Fatal(err)
				}
				r.RemoteAddr = "127.0.0.1:4711"
				clear(w.header)
				b.StartTimer()
				handler.ServeHTTP(w, r)
			}
			if w.status >= 500 {
				b.Fatalf("status %d", w.status)
			}
		})
	}
}

// A discard is a ResponseWriter that costs nothing itself.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
