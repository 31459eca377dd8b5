package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

// A fakeT is a test that can be seen to fail, or to be skipped.
type fakeT struct {
	dir      string
	cleanups []func()
	skipped  string
	failed   []string
}

func (*fakeT) Helper()            {}
func (f *fakeT) Cleanup(c func()) { f.cleanups = append(f.cleanups, c) }
func (f *fakeT) TempDir() string  { return f.dir }

func (f *fakeT) Skipf(format string, args ...any) {
	f.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (f *fakeT) Errorf(format string, args ...any) {
	f.failed = append(f.failed, fmt.Sprintf(format, args...))
}

func (f *fakeT) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

// attempt runs test as a test of its own, with its end, and returns what became of it.
func attempt(t *testing.T, test func(T)) *fakeT {
	t.Helper()
	f, done := &fakeT{dir: t.TempDir()}, make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for _, c := range slices.Backward(f.cleanups) {
				c()
			}
		}()
		test(f)
	}()
	<-done
	return f
}

// TestWhatIsMissing skips by its name, or fails where it is demanded.
func TestWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for name, tt := range map[string]struct {
		demand string
		test   func(T)
	}{
		"Chromium":     {DemandBrowser, func(t T) { Open(t) }},
		"redis-server": {DemandServers, func(t T) { StartRedis(t) }},
	} {
		for _, value := range []string{"", "0"} {
			t.Setenv(tt.demand, value)
			if got := attempt(t, tt.test); got.skipped != name+" is not installed" || len(got.failed) != 0 {
				t.Errorf("without %s and %s=%q: skipped %q, failed %q, want it skipped by name", name, tt.demand, value, got.skipped, got.failed)
			}
		}
		t.Setenv(tt.demand, "1")
		if got := attempt(t, tt.test); got.skipped != "" || len(got.failed) != 1 || !strings.Contains(got.failed[0], name+" is not installed, and "+tt.demand+"=1 demands it") {
			t.Errorf("without %s and %s=1: skipped %q, failed %q, want it failed by name", name, tt.demand, got.skipped, got.failed)
		}
	}
}

// site has a page for each thing that a Page can do.
func site(t *testing.T) *httptest.Server {
	t.Helper()
	html := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Security-Policy", "default-src 'none'; form-action 'self'")
			http.SetCookie(w, &http.Cookie{Name: "seen", Value: "1", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
			io.WriteString(w, `<!doctype html><meta name="viewport" content="width=device-width"><title>x</title>`+text)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", html(`<h1>Start</h1><a href="/next?x=1">on</a><form method="post" action="/form"><input name="a" value="old"><button>send</button></form><a>no link</a>`))
	mux.HandleFunc("GET /next", html("<p>Next</p>"))
	mux.HandleFunc("GET /script", html("<script>document.title = 'ran'</script>"))
	mux.HandleFunc("POST /form", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "got %s", r.PostFormValue("a"))
	})
	srv := httptest.NewTLSServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

func TestPage(t *testing.T) {
	base := site(t).URL
	p := Open(t)
	if status, text := p.Visit(base+"/"), p.Text(); status != 200 || !strings.HasPrefix(text, "Start") {
		t.Errorf("Visit = %d %q, want 200 and the start", status, text)
	}
	controls := p.Controls()
	want := []Control{{Name: "on", Path: "/next", Kind: "link"}, {Name: "send", Path: "/form", Kind: "button"}}
	for i := range controls {
		controls[i].at = ""
	}
	if !slices.Equal(controls, want) {
		t.Errorf("Controls() = %+v, want %+v", controls, want)
	}
	if status := p.Press(p.Controls()[0]); status != 200 || p.Text() != "Next" || p.URL() != base+"/next?x=1" {
		t.Errorf("Press = %d %q at %s, want 200 and the next page", status, p.Text(), p.URL())
	}
	p.Back()
	if p.URL() != base+"/" || !p.Has("h1") || p.Has("h2") {
		t.Errorf("after Back the page is %s, want the start, which has h1 and no h2", p.URL())
	}
	p.Visit(base + "/")
	p.Type("input", `it's "new" \`)
	if status := p.Click("button"); status != http.StatusTeapot || p.Text() != `got it's "new" \` {
		t.Errorf("Click = %d %q, want 418 and what was typed, alone", status, p.Text())
	}
	p.Visit(base + "/")
	if status := p.Enter("input"); status != http.StatusTeapot || p.Text() != "got old" {
		t.Errorf("Enter = %d %q, want 418 and the old value", status, p.Text())
	}
	if cookies := p.Cookies(); len(cookies) != 1 || cookies[0].Name != "seen" || !cookies[0].HTTPOnly {
		t.Errorf("Cookies() = %d cookies, want the one that is HttpOnly", len(cookies))
	}
	p.Visit(base + "/")
	p.Narrow()
	if got := p.Script("String(innerWidth) + ' ' + document.title"); got != "360 x" {
		t.Errorf("Script = %q, want the width of a telephone and the title", got)
	}
	p.Visit(base + "/script")
	if got := p.Refuses(1); len(got) != 1 || !strings.Contains(got[0], "Content Security Policy") {
		t.Errorf("Refuses = %q, want a word about the script", got)
	}
}

// TestPagesDoNotShareAnything: each browser has a profile of its own.
func TestPagesDoNotShareAnything(t *testing.T) {
	base := site(t).URL
	first, second := Open(t), Open(t)
	first.Visit(base + "/")
	if got := second.Cookies(); len(got) != 0 {
		t.Errorf("a new browser has %d cookies of another, want none", len(got))
	}
}

// TestPageFailsTests that do what the browser cannot, or whose pages it refuses something on.
func TestPageFailsTests(t *testing.T) {
	base := site(t).URL
	if got := attempt(t, func(t T) {
		p := Open(t)
		p.Visit(base + "/script")
		for end := time.Now().Add(calm); len(p.refused()) == 0 && time.Now().Before(end); {
			runtime.Gosched()
		}
	}); got.skipped != "" {
		t.Skip(got.skipped)
	} else if len(got.failed) != 1 || !strings.Contains(got.failed[0], "the browser has refused") {
		t.Errorf("a test with a refused script failed with %q, want a word about it", got.failed)
	}
	if got := attempt(t, func(t T) { Open(t).Visit("https://127.0.0.1:1/") }); len(got.failed) != 1 || !strings.Contains(got.failed[0], "visit https://127.0.0.1:1/") {
		t.Errorf("a test that visits nobody failed with %q, want a word about it", got.failed)
	}
}

func TestPicture(t *testing.T) {
	base := site(t).URL
	dir := t.TempDir()
	p := Open(t)
	p.Visit(base + "/")
	t.Setenv("GATEHOUSE_TEST_PICTURES", "")
	p.Picture("none")
	t.Setenv("GATEHOUSE_TEST_PICTURES", dir)
	p.Picture("start")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 || files[0].Name() != "start.png" {
		t.Fatalf("the folder of pictures has %v, %v, want start.png", files, err)
	}
	if png, err := os.ReadFile(filepath.Join(dir, "start.png")); err != nil || !strings.HasPrefix(string(png), "\x89PNG") {
		t.Errorf("start.png begins with %.4q, %v, want a PNG", png, err)
	}
}

// TestKinds: every store is empty, works, and is nobody else's.
func TestKinds(t *testing.T) {
	for _, kind := range Kinds {
		t.Run(kind.Name, func(t *testing.T) {
			first, second := kind.Open(t, time.Now), kind.Open(t, time.Now)
			now := time.Now().Truncate(time.Millisecond)
			rec := session.Record{Key: session.Key{1}, ID: "one", Subject: "jack", Created: now, Seen: now, Deadline: now.Add(time.Hour), Version: 1, Body: []byte("{}")}
			if err := first.Create(t.Context(), rec, session.Key{}); err != nil {
				t.Fatalf("Create = %v", err)
			}
			if got, err := first.Get(t.Context(), rec.Key); err != nil || got.ID != rec.ID {
				t.Errorf("Get = %q, %v, want the record", got.ID, err)
			}
			if got, err := second.Get(t.Context(), rec.Key); !errors.Is(err, session.ErrNotFound) {
				t.Errorf("Get from another store = %q, %v, want %v", got.ID, err, session.ErrNotFound)
			}
			if a, b := kind.Address(t), kind.Address(t); a == "" || a == b && kind.Name != "memory" || !strings.HasPrefix(a, kind.Name) {
				t.Errorf("Address() = %q, then %q, want two addresses of the kind", a, b)
			}
		})
	}
}

// TestRedisForgets what was there before it was started again.
func TestRedisForgets(t *testing.T) {
	s := StartRedis(t)
	s.Stop()
	s.Stop()
	s.Start()
	if _, err := s.Store(time.Now).Get(t.Context(), session.Key{1}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Get from a new server = %v, want %v", err, session.ErrNotFound)
	}
}

func TestVisitor(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", r.URL.Path, r.Header.Get("Cookie"), r.Header.Get("X-Test"))
	})
	mux.HandleFunc("POST /set", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "__Host-a", Value: r.PostFormValue("a"), Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("POST /problem", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		io.WriteString(w, `{"code":"forbidden"}`)
	})
	srv := httptest.NewTLSServer(mux)
	t.Cleanup(srv.Close)
	v := Visit(t, srv.URL, srv.Client().Transport)
	if got := v.Post("/set", "a", "1", "b", "2&3"); got.Status != http.StatusSeeOther || len(got.SetCookies()) != 1 || got.Code() != "" {
		t.Errorf("Post = %d with %d cookies, want the redirect itself and its cookie", got.Status, len(got.SetCookies()))
	}
	if got := v.Get("/x", "X-Test", "y", "Cookie", "b=2"); got.Body != "/x b=2; __Host-a=1 y" || v.Held() != "__Host-a=1" {
		t.Errorf("Get = %q, Held = %q, want the cookies of the jar beside the given one", got.Body, v.Held())
	}
	if got := v.Get(srv.URL + "/absolute"); !strings.HasPrefix(got.Body, "/absolute") {
		t.Errorf("Get of a whole URL = %q, want its path", got.Body)
	}
	if got := v.Post("/problem").Code(); got != "forbidden" {
		t.Errorf("Code() = %q, want forbidden", got)
	}
	if got := Form("a", "1", "b", "2&3", "odd"); got != "a=1&b=2%263" {
		t.Errorf("Form = %q, want two pairs", got)
	}
}

// TestVisitorsJudgeCookies: a test that was given a bad one fails, whatever else it looks at.
func TestVisitorsJudgeCookies(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Set-Cookie", "a=b") }))
	t.Cleanup(srv.Close)
	if got := attempt(t, func(t T) { Visit(t, srv.URL, nil).Get("/") }); len(got.failed) != 1 || !strings.Contains(got.failed[0], "lacks HttpOnly") {
		t.Errorf("a test that was given a bad cookie failed with %q, want what is wrong with it", got.failed)
	}
	if got := attempt(t, func(t T) { Visit(t, "http://127.0.0.1:1", nil).Get("/") }); len(got.failed) != 1 || !strings.Contains(got.failed[0], "GET http://127.0.0.1:1/") {
		t.Errorf("a test that asks nobody failed with %q, want a word about it", got.failed)
	}
}

func TestProgram(t *testing.T) {
	serve := func(ctx context.Context, args []string, stdout io.Writer) error {
		io.WriteString(stdout, "note: "+strings.Join(args, " ")+"\nlistening on ")
		io.WriteString(stdout, "http://127.0.0.1:1\n")
		<-ctx.Done()
		return nil
	}
	p := Start(t, serve, "-a", "b")
	if p.URL != "http://127.0.0.1:1" || !strings.HasPrefix(p.Output(), "note: -a b\n") {
		t.Errorf("Start: URL %q, output %q, want the address and the whole output", p.URL, p.Output())
	}
	p.Stop(t)
	for name, tt := range map[string]struct {
		run  func(context.Context, []string, io.Writer) error
		want string
	}{
		"fails before it listens": {func(context.Context, []string, io.Writer) error { return errors.New("planted") }, "planted before it listened"},
		"ends before it listens":  {func(context.Context, []string, io.Writer) error { return nil }, "<nil> before it listened"},
		"fails at its end": {func(ctx context.Context, args []string, stdout io.Writer) error {
			return errors.Join(serve(ctx, args, stdout), errors.New("planted"))
		}, "run ends with planted"},
	} {
		if got := attempt(t, func(t T) { Start(t, tt.run) }); len(got.failed) != 1 || !strings.Contains(got.failed[0], tt.want) {
			t.Errorf("a program that %s fails the test with %q, want %q", name, got.failed, tt.want)
		}
	}
}
