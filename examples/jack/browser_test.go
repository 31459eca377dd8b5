package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/internal/testbed"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

// sees reports a page that does not say what it should.
func sees(t *testing.T, p *testbed.Page, what string, status, want int, parts ...string) {
	t.Helper()
	text := p.Text()
	if status != want {
		t.Errorf("%s: status %d, want %d: %s", what, status, want, text)
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s: the page says %q, want %q", what, text, part)
		}
	}
}

// inBrowser runs test in a browser, once over TLS with the cookie that the internet gets and once as people try the program.
func inBrowser(t *testing.T, test func(t *testing.T, p *testbed.Page, base string)) {
	t.Run("TLS", func(t *testing.T) {
		srv := overTLS(t, memory.Sessions())
		test(t, testbed.Open(t), srv.URL)
	})
	t.Run("plain http", func(t *testing.T) {
		program := testbed.Start(t, run, "-addr", "127.0.0.1:0")
		test(t, testbed.Open(t), program.URL)
	})
}

// TestBrowser is jack's story as somebody clicks through it.
func TestBrowser(t *testing.T) {
	inBrowser(t, func(t *testing.T, p *testbed.Page, base string) {
		sees(t, p, "the start", p.Visit(base+"/"), 200, "I'm NOT logged in.")
		p.Picture("jack-out")
		sees(t, p, "Listen, as nobody", p.Click(`a[href="/listen"]`), 401, "Please log in first.")
		p.Picture("jack-401")
		sees(t, p, "the log-in on that page", p.Click(`form[action="/login"] button`), 200, "I'm logged in.")
		p.Picture("jack-in")
		sees(t, p, "Listen", p.Click(`a[href="/listen"]`), 200, "I can listen!")
		p.Picture("jack-listen")
		sees(t, p, "back", p.Click(`a[href="/"]`), 200, "I'm logged in.")
		sees(t, p, "Speak", p.Click(`a[href="/speak"]`), 403, "You may not do that.")
		p.Picture("jack-403")
		sees(t, p, "an address without a page", p.Visit(base+"/nowhere"), 404, "Not Found")
		sees(t, p, "the address of the button", p.Visit(base+"/logout"), 405, "Method Not Allowed")
		p.Picture("jack-405")
		sees(t, p, "back", p.Click(`a[href="/"]`), 200, "I'm logged in.")
		if cookies := p.Cookies(); len(cookies) != 1 || !cookies[0].HTTPOnly || cookies[0].Secure != strings.HasPrefix(base, "https:") || cookies[0].SameSite != "Lax" {
			t.Errorf("the browser keeps %d cookies, want one: HttpOnly, SameSite=Lax, and Secure over TLS", len(cookies))
		}
		if got := p.Script("document.cookie"); got != "" {
			t.Errorf("a script on the page reads %d bytes of cookies, want none", len(got))
		}
		sees(t, p, "the log-out", p.Click(`form[action="/logout"] button`), 200, "I'm NOT logged in.")
		if cookies := p.Cookies(); len(cookies) != 0 {
			t.Errorf("after the log-out the browser keeps %d cookies, want none", len(cookies))
		}
		p.Narrow()
		p.Visit(base + "/")
		p.Picture("jack-narrow")
		if wide := p.Script("String(document.documentElement.scrollWidth - innerWidth)"); wide != "0" {
			t.Errorf("on a telephone the page is %s pixels too wide", wide)
		}
	})
}

// TestEveryControl clicks everything that can be clicked, on every page, as nobody and as jack: each leads to a page that somebody has written.
func TestEveryControl(t *testing.T) {
	base := overTLS(t, memory.Sessions()).URL
	p := testbed.Open(t)
	var pressed []string
	for _, who := range []string{"nobody", "jack"} {
		for _, path := range []string{"/", "/listen", "/speak"} {
			for i := range openAs(p, base, who, path) {
				c := openAs(p, base, who, path)[i]
				status := p.Press(c)
				if text := p.Text(); !slices.Contains([]int{200, 401, 403}, status) || strings.Contains(text, "{") || !p.Has("main h1") || !p.Has("button, a") {
					t.Errorf("%s presses %q on %s: %d %q, want a page with a heading and a way on", who, c.Name, path, status, text)
				}
				pressed = append(pressed, who+" "+path+" "+c.Name)
			}
		}
	}
	want := []string{
		"nobody / Log in as Jack", "nobody / Listen", "nobody / Speak",
		"nobody /listen Log in as Jack", "nobody /listen Back to the start", "nobody /speak Log in as Jack", "nobody /speak Back to the start",
		"jack / Log out", "jack / Listen", "jack / Speak", "jack /listen Back to the start", "jack /speak Back to the start",
	}
	if !slices.Equal(pressed, want) {
		t.Errorf("what could be clicked was\n%s\nwant\n%s", strings.Join(pressed, "\n"), strings.Join(want, "\n"))
	}
}

// openAs opens a page as nobody or as jack, and returns what can be clicked there.
func openAs(p *testbed.Page, base, who, path string) []testbed.Control {
	button := map[string]string{"nobody": `form[action="/logout"] button`, "jack": `form[action="/login"] button`}[who]
	if p.Visit(base + "/"); p.Has(button) {
		p.Click(button)
	}
	p.Visit(base + path)
	return p.Controls()
}

// TestBackButton: what was on the screen before the log-out is not shown after it.
func TestBackButton(t *testing.T) {
	base := overTLS(t, memory.Sessions()).URL
	p := testbed.Open(t)
	p.Visit(base + "/")
	p.Click(`form[action="/login"] button`)
	p.Click(`a[href="/listen"]`)
	p.Click(`a[href="/"]`)
	p.Click(`form[action="/logout"] button`)
	p.Back() // to the start
	p.Back()
	if url, text := p.URL(), p.Text(); url != base+"/listen" || !strings.Contains(text, "Please log in first.") {
		t.Errorf("after the log-out the back button shows %s: %q, want /listen to ask for a log-in", url, text)
	}
}

// TestNoScriptRuns: what gets into a page in spite of everything is not executed, and no form can be made to send anything elsewhere.
func TestNoScriptRuns(t *testing.T) {
	srv := overTLS(t, memory.Sessions())
	p := testbed.Open(t)
	p.Visit(srv.URL + "/")
	got := p.Script(`new Promise(done => {
		const s = document.createElement('script')
		s.textContent = 'window.ran = true'
		document.head.append(s)
		const i = document.createElement('img')
		i.onerror = () => done('image refused, script ' + (window.ran ? 'ran' : 'refused'))
		i.src = '/listen'
		document.body.append(i)
	})`)
	if got != "image refused, script refused" {
		t.Errorf("a script and an image that were put into the page: %s, want both refused", got)
	}
	for _, message := range p.Refuses(2) {
		if !strings.Contains(message, "default-src 'none'") {
			t.Errorf("the browser complains about %q, want a word about the policy of the page", message)
		}
	}
}
