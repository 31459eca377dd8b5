package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/gatehousetest"
	"github.com/gatehouse-auth/gatehouse/internal/testbed"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

// python logs in and listens, with the cookie jar of Python's own library, and prints the status.
const python = `
import http.cookiejar, sys, urllib.request
client = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
client.open(sys.argv[1] + "/login", data=b"")
print(client.open(sys.argv[1] + "/listen").status)
`

// TestOtherClients stay logged in over plain http on this machine: the cookie asks for nothing that they do not do there.
func TestOtherClients(t *testing.T) {
	base := testbed.Start(t, run, "-addr", "127.0.0.1:0").URL
	jar := filepath.Join(t.TempDir(), "jar")
	for name, commands := range map[string][][]string{
		"curl": {
			{"-s", "-c", jar, "-X", "POST", base + "/login"},
			{"-s", "-b", jar, "-o", jar + ".html", "-w", "%{http_code}", base + "/listen"},
		},
		"python3": {{"-c", python, base}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(name); err != nil {
				t.Skipf("%s is not installed", name)
			}
			var last string
			for _, args := range commands {
				out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
				if err != nil {
					t.Fatalf("%s: %v\n%s", name, err, out)
				}
				last = strings.TrimSpace(string(out))
			}
			if last != "200" {
				t.Errorf("after a log-in %s gets %s from /listen, want 200", name, last)
			}
		})
	}
}

// TestRefusalsForPeople are pages, with everything in the header that a refusal has to say; programs get what they can read.
func TestRefusalsForPeople(t *testing.T) {
	store := gatehousetest.NewStore(memory.Sessions())
	srv := overTLS(t, store)
	known := testbed.Visit(t, srv.URL, srv.Client().Transport)
	known.Post("/login")
	stranger := testbed.Visit(t, srv.URL, srv.Client().Transport)
	for _, tt := range []struct {
		name, method, path string
		visitor            *testbed.Visitor
		prepare            func()
		status             int
		field, value       string // of the header
		page, code         string
	}{
		{"nobody", "GET", "/listen", stranger, nil, 401, "WWW-Authenticate", `Bearer realm="gatehouse"`, "Please log in first.", "no_credential"},
		{"without the permission", "GET", "/speak", known, nil, 403, "WWW-Authenticate", "", "You may not do that.", "forbidden"},
		{"by the wrong method", "GET", "/login", known, nil, 405, "Allow", "POST", "Method Not Allowed", ""},
		{"nowhere", "GET", "/nowhere", known, nil, 404, "WWW-Authenticate", "", "Not Found", ""},
		{"not canonical", "GET", "/x/%2e%2e/listen", known, nil, 400, "WWW-Authenticate", "", "The request target is not canonical", "bad_target"},
		{"the store is down", "GET", "/", known, func() { store.Fail(gatehousetest.ErrDown) }, 503, "Retry-After", "1", "The check could not be made", "unavailable"},
	} {
		if tt.prepare != nil {
			tt.prepare()
		}
		page := tt.visitor.Do(tt.method, tt.path, "", testbed.Navigation...)
		mustBe(t, tt.name+", a browser", page, tt.status, "<h1>"+tt.page+"</h1>")
		if got := page.Header.Get(tt.field); got != tt.value || page.Header.Get("Content-Type") != "text/html; charset=utf-8" || page.Header.Get("Cache-Control") != "no-store" ||
			!strings.HasPrefix(page.Header.Get("Content-Security-Policy"), "default-src 'none'; style-src 'self'") {
			t.Errorf("%s, a browser: the header is %v, want %s: %q, HTML that is not stored, and a policy that allows the stylesheet", tt.name, page.Header, tt.field, tt.value)
		}
		program := tt.visitor.Do(tt.method, tt.path, "")
		if program.Status != tt.status || program.Code() != tt.code || strings.Contains(program.Body, "<h1>") || program.Header.Get(tt.field) != tt.value {
			t.Errorf("%s, a program: %d %q %s, want %d %q and no page", tt.name, program.Status, program.Code(), program.Body, tt.status, tt.code)
		}
	}
}
