package e2e

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/session"
)

// insecureCookie is what a program on a loopback address without TLS gets.
func insecureCookie(t *testing.T) carrier.CookieOption {
	t.Helper()
	option, notice, err := carrier.CookieFor("127.0.0.1:8080", "", false)
	if err != nil || notice == "" {
		t.Fatalf("CookieFor a loopback address = %q, %v, want a notice", notice, err)
	}
	return option
}

// A jar is a client that keeps cookies, as people have them. visit makes requests in their order, each "METHOD URL", and returns each answer's body.
type jar struct {
	name  string
	visit func(t *testing.T, requests []string) []string
}

var jars = []jar{{"curl", curlJar}, {"Go", goJar}, {"Python", pythonJar}}

func curlJar(t *testing.T, requests []string) []string {
	curl, file := needTool(t, "curl"), filepath.Join(t.TempDir(), "jar")
	var bodies []string
	for _, r := range requests {
		method, url, _ := strings.Cut(r, " ")
		bodies = append(bodies, run(t, t.TempDir(), nil, "", curl, "-s", "-X", method, "-c", file, "-b", file, url).stdout)
	}
	return bodies
}

func goJar(t *testing.T, requests []string) []string {
	cookies, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client, bodies := &http.Client{Jar: cookies, Transport: &http.Transport{DisableKeepAlives: true}}, []string(nil)
	for _, line := range requests {
		method, url, _ := strings.Cut(line, " ")
		r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, string(body))
	}
	return bodies
}

const pythonVisits = `
import sys, urllib.request, urllib.error, http.cookiejar
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
for line in sys.argv[1:]:
    method, url = line.split(" ")
    try:
        body = opener.open(urllib.request.Request(url, method=method)).read()
    except urllib.error.HTTPError as e:
        body = e.read()
    print(body.decode().replace("\n", " "))
`

func pythonJar(t *testing.T, requests []string) []string {
	out := run(t, t.TempDir(), nil, "", needTool(t, "python3"), append([]string{"-c", pythonVisits}, requests...)...)
	if out.code != 0 {
		t.Fatalf("python3: %s", out.stderr)
	}
	return strings.Split(strings.TrimSuffix(out.stdout, "\n"), "\n")
}

// TestCookieJars: over plain http on a loopback address, clients stay logged in to a Go program, and to the binary on the same store, until they log
// out.
func TestCookieJars(t *testing.T) {
	g := beginIn(t, shortDir(t), sessionsIn+"upstream: 'http://"+startApp(t).addr+"'\n")
	d := beside(t, g)
	program := httptest.NewServer(d.handler)
	t.Cleanup(program.Close)
	for _, j := range jars {
		t.Run(j.name, func(t *testing.T) {
			bodies := j.visit(t, []string{
				"GET " + program.URL + "/me", "POST " + program.URL + "/login?who=amy", "GET " + program.URL + "/me", "GET " + program.URL + "/me", "GET " + g.url + "/films",
				"POST " + program.URL + "/login?who=bob", "GET " + program.URL + "/me", "GET " + g.url + "/films",
				"POST " + program.URL + "/logout", "GET " + program.URL + "/me", "GET " + g.url + "/films",
			})
			for i, want := range []string{"you are ", "", "you are amy", "you are amy", "app /films", "", "you are bob", "app /films", "", "you are ", "no_credential"} {
				if i >= len(bodies) || bodies[i] != want && (want != "no_credential" || !strings.Contains(bodies[i], `"code":"no_credential"`)) {
					t.Fatalf("answer %d of %q: want %q", i, bodies, want)
				}
			}
		})
	}
}

// TestJarsAndTheSafeCookie shows what the exception is for: Python's clients do not send the safe cookie without TLS. (curl from 7.79 on and Go from 1.25 on
// take a loopback address for safe; older ones do not.)
func TestJarsAndTheSafeCookie(t *testing.T) {
	d := besideSQLite(t, filepath.Join(t.TempDir(), "gatehouse.db"), session.Config{})
	program := httptest.NewServer(d.handler)
	t.Cleanup(program.Close)
	bodies := pythonJar(t, []string{"POST " + program.URL + "/login?who=amy", "GET " + program.URL + "/me"})
	if len(bodies) != 2 || bodies[1] != "you are " {
		t.Errorf("answers %q: the cookie was sent in clear", bodies)
	}
}
