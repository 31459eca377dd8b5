package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestStaticSite puts the gate in front of a site as nginx serves it: what a browser and its cache do must keep working.
func TestStaticSite(t *testing.T) {
	g := gateBefore(t, startSite(t))

	t.Run("pages", func(t *testing.T) {
		for target, want := range map[string]string{
			"/": "index.html", "/index.html": "index.html", "/style.css": "style.css", "/public/": "public/index.html", "/ein%20%c3%bcmlaut.html": "ein ümlaut.html", "/data.bin?x=1;y": "data.bin",
		} {
			resp, body := g.fetch(t, "GET", target, nil)
			if resp.StatusCode != 200 || body != site[want] || resp.Header.Get("X-Request-Id") == "" {
				t.Errorf("GET %s: %s, %d bytes, want %s", target, resp.Status, len(body), want)
			}
		}
	})
	t.Run("refusals", func(t *testing.T) {
		for _, row := range []struct {
			target, who string
			want        int
		}{
			{"/", "", 401}, {"/nowhere", "", 401}, {"/admin/", "", 401}, {"/", "Bearer wrong", 401}, {"/admin/", "Bearer alice-token", 403}, {"/public/../admin/", "Bearer alice-token", 400},
			{"/admin%2f", "Bearer alice-token", 400}, {"//admin/", "Bearer alice-token", 400}, {"/%61dmin/", "Bearer alice-token", 403}, {"/public/", "", 200}, {"/admin/", "Bearer root-token", 200},
		} {
			fields := []string{"Authorization: " + row.who}
			if row.who == "" {
				fields = []string{"X-Nobody: x"}
			}
			got := exchange(t, g.addr, request("GET "+row.target, fields...))
			if row.want >= 400 {
				lawful(t, row.target, got)
			}
			if got.status != row.want {
				t.Errorf("GET %s as %q: %d, want %d", row.target, row.who, got.status, row.want)
			}
		}
	})
	t.Run("ranges", func(t *testing.T) {
		resp, body := g.fetch(t, "GET", "/data.bin", nil, "Range: bytes=5-14")
		if resp.StatusCode != 206 || body != "5678901234" || resp.Header.Get("Content-Range") != "bytes 5-14/10000" {
			t.Errorf("a range: %s %q %q, want ten bytes", resp.Status, resp.Header.Get("Content-Range"), body)
		}
		if resp, body := g.fetch(t, "GET", "/data.bin", nil, "Range: bytes=-3"); resp.StatusCode != 206 || body != "789" {
			t.Errorf("the end: %s %q, want three bytes", resp.Status, body)
		}
		if resp, _ := g.fetch(t, "GET", "/data.bin", nil, "Range: bytes=20000-"); resp.StatusCode != 416 {
			t.Errorf("beyond the end: %s, want 416", resp.Status)
		}
		if resp, body := g.fetch(t, "GET", "/data.bin", nil, "Range: bytes=0-1,5-6"); resp.StatusCode != 206 || !strings.Contains(resp.Header.Get("Content-Type"), "multipart/byteranges") || !strings.Contains(body, "56") {
			t.Errorf("two ranges: %s %s", resp.Status, resp.Header.Get("Content-Type"))
		}
	})
	t.Run("conditions", func(t *testing.T) {
		first, _ := g.fetch(t, "GET", "/style.css", nil)
		for _, field := range []string{"If-None-Match: " + first.Header.Get("Etag"), "If-Modified-Since: " + first.Header.Get("Last-Modified")} {
			resp, body := g.fetch(t, "GET", "/style.css", nil, field)
			if resp.StatusCode != 304 || body != "" || resp.Header.Get("Etag") != first.Header.Get("Etag") {
				t.Errorf("%s: %s with %d bytes, want 304", field, resp.Status, len(body))
			}
		}
		if resp, _ := g.fetch(t, "GET", "/style.css", nil, `If-Match: "other"`); resp.StatusCode != 412 {
			t.Errorf("If-Match: %s, want 412", resp.Status)
		}
	})
	t.Run("gzip", func(t *testing.T) {
		resp, body := g.fetch(t, "GET", "/style.css", nil, "Accept-Encoding: gzip")
		if resp.Header.Get("Content-Encoding") != "gzip" || len(body) >= len(site["style.css"]) {
			t.Fatalf("%v with %d bytes, want gzip", resp.Header, len(body))
		}
		unzip, err := gzip.NewReader(strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(unzip); err != nil || string(text) != site["style.css"] {
			t.Errorf("unzipped: %d bytes, %v, want the style sheet", len(text), err)
		}
		if resp, body := g.fetch(t, "GET", "/style.css", nil); resp.Header.Get("Content-Encoding") != "" || body != site["style.css"] {
			t.Errorf("not asked for: %q, want the text itself", resp.Header.Get("Content-Encoding"))
		}
	})
	t.Run("other answers", func(t *testing.T) {
		resp, body := g.fetch(t, "HEAD", "/data.bin", nil)
		if resp.StatusCode != 200 || body != "" || resp.ContentLength != 10_000 {
			t.Errorf("HEAD: %s, length %d, want the length alone", resp.Status, resp.ContentLength)
		}
		if resp, body := g.fetch(t, "GET", "/nowhere", nil); resp.StatusCode != 404 || body != site["public/missing.html"] {
			t.Errorf("a missing page: %s %q, want the site's own", resp.Status, body)
		}
		if resp, _ := g.fetch(t, "POST", "/index.html", strings.NewReader("a=b")); resp.StatusCode != 405 {
			t.Errorf("POST to a file: %s, want the site's own 405", resp.Status)
		}
		resp, _ = g.fetch(t, "GET", "/admin", nil, "Authorization: Bearer root-token")
		if location := resp.Header.Get("Location"); resp.StatusCode != http.StatusMovedPermanently || !strings.HasSuffix(location, "/admin/") {
			t.Errorf("a folder without its slash: %s to %q, want the site's redirect", resp.Status, location)
		}
	})
	t.Run("one connection", func(t *testing.T) {
		conn := dial(t, g.addr)
		r := bufio.NewReader(conn)
		for range 100 {
			raw := request("GET /data.bin", "Authorization: Bearer alice-token")
			io.Copy(conn, bytes.NewReader([]byte(raw)))
			if got := readReply(t, r, raw); got.status != 200 || got.body != site["data.bin"] {
				t.Fatalf("%d with %d bytes, want the file", got.status, len(got.body))
			}
		}
	})
}
