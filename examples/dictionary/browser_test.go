package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/internal/testbed"
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

// fill types a log-in into the form of the page.
func fill(p *testbed.Page, name, password string) {
	p.Type("#username", name)
	p.Type("#password", password)
}

const loginButton, logoutButton = `form[action="/login"] button`, `form[action="/logout"] button`

// TestBrowser is what somebody does at the log-in page, over TLS and as people try the program.
func TestBrowser(t *testing.T) {
	t.Run("TLS", func(t *testing.T) {
		s := newSite(t)
		browse(t, testbed.Open(t), s.URL)
	})
	t.Run("plain http", func(t *testing.T) {
		program := testbed.Start(t, run, "-addr", "127.0.0.1:0")
		browse(t, testbed.Open(t), program.URL)
	})
}

func browse(t *testing.T, p *testbed.Page, base string) {
	sees(t, p, "the start", p.Visit(base+"/"), 200, "You need to login")
	p.Picture("dictionary-out")
	fill(p, "jack", "wrong")
	sees(t, p, "a wrong password", p.Click(loginButton), 401, "Invalid username / password combination")
	p.Picture("dictionary-wrong")
	if left := p.Script("document.querySelector('#username').value + document.querySelector('#password').value"); left != "" {
		t.Errorf("after a wrong password the form holds %d characters, want none", len(left))
	}
	fill(p, "nobody", "password")
	sees(t, p, "an unknown name, with the key", p.Enter("#password"), 401, "Invalid username / password combination")
	fill(p, "devin", "password")
	sees(t, p, "the right password, with the key", p.Enter("#password"), 200, "Hello, devin!")
	if p.URL() != base+"/" {
		t.Errorf("after the log-in the address is %s, want the start: reloading must not send the password again", p.URL())
	}
	p.Picture("dictionary-in")
	sees(t, p, "Public", p.Click(`a[href="/public"]`), 200, "This page is public")
	p.Picture("dictionary-public")
	p.Visit(base + "/")
	sees(t, p, "Protected", p.Click(`a[href="/protected"]`), 403, "You may not see this page.")
	sees(t, p, "back", p.Click(`a[href="/"]`), 200, "Hello, devin!")
	sees(t, p, "the log-out", p.Click(logoutButton), 200, "You need to login")
	sees(t, p, "Protected, as nobody", p.Click(`a[href="/protected"]`), 401, "Please log in first.")
	p.Picture("dictionary-401")
	fill(p, "jack", "password")
	sees(t, p, "the log-in on that page", p.Click(loginButton), 200, "Hello, jack!")
	sees(t, p, "Protected, as jack", p.Click(`a[href="/protected"]`), 200, "This page is protected")
	cookies := p.Cookies()
	if len(cookies) != 1 || !cookies[0].HTTPOnly || cookies[0].Secure != strings.HasPrefix(base, "https:") || cookies[0].SameSite != "Lax" || p.Script("document.cookie") != "" {
		t.Errorf("the browser keeps %d cookies, want one that no script can read", len(cookies))
	}
	p.Narrow()
	p.Visit(base + "/nowhere")
	sees(t, p, "back on a telephone", p.Click(`a[href="/"]`), 200, "Hello, jack!")
	p.Click(logoutButton)
	p.Picture("dictionary-narrow")
	if wide := p.Script("String(document.documentElement.scrollWidth - innerWidth)"); wide != "0" {
		t.Errorf("on a telephone the page is %s pixels too wide", wide)
	}
}

// TestForm is what people who cannot see it, and password managers, need to know about the form.
func TestForm(t *testing.T) {
	s := newSite(t)
	p := testbed.Open(t)
	p.Visit(s.URL + "/")
	for script, want := range map[string]string{
		`document.querySelector('label[for=username]').innerText`:                          "User name",
		`document.querySelector('label[for=password]').innerText`:                          "Password",
		`document.querySelector('#username').autocomplete`:                                 "username",
		`document.querySelector('#password').autocomplete`:                                 "current-password",
		`document.querySelector('#password').type`:                                         "password",
		`document.querySelector('form').method`:                                            "post",
		`document.documentElement.lang`:                                                    "en",
		`String(document.querySelectorAll('h1').length)`:                                   "1",
		`String(document.querySelector('form').checkValidity())`:                           "false",
		`String([...document.querySelectorAll('input')].every(i => i.labels.length == 1))`: "true",
	} {
		if got := p.Script(script); got != want {
			t.Errorf("%s = %q, want %q", script, got, want)
		}
	}
}

// TestEveryControl clicks everything that can be clicked, on every page, as everybody: each leads to a page that somebody has written.
func TestEveryControl(t *testing.T) {
	s := newSite(t)
	p := testbed.Open(t)
	var pressed []string
	for _, who := range []string{"nobody", "devin", "jack"} {
		for _, path := range []string{"/", "/public", "/protected", "/nowhere"} {
			for i := range openAs(p, s.URL, who, path) {
				c := openAs(p, s.URL, who, path)[i]
				if c.Name == "Log in" {
					fill(p, "jack", "wrong")
				}
				status := p.Press(c)
				if text := p.Text(); !slices.Contains([]int{200, 401, 403}, status) || strings.Contains(text, "{") || !p.Has("main h1") || !p.Has("button, a") {
					t.Errorf("%s presses %q on %s: %d %q, want a page with a heading and a way on", who, c.Name, path, status, text)
				}
				pressed = append(pressed, who+" "+path+" "+c.Name)
			}
		}
	}
	want := []string{
		"nobody / Log in", "nobody / Public", "nobody / Protected", "nobody /public Log in", "nobody /public Back to the start",
		"nobody /protected Log in", "nobody /protected Back to the start", "nobody /nowhere Back to the start",
		"devin / Log out", "devin / Public", "devin / Protected", "devin /public Back to the start", "devin /protected Back to the start", "devin /nowhere Back to the start",
		"jack / Log out", "jack / Public", "jack / Protected", "jack /public Back to the start", "jack /protected Back to the start", "jack /nowhere Back to the start",
	}
	if !slices.Equal(pressed, want) {
		t.Errorf("what could be clicked was\n%s\nwant\n%s", strings.Join(pressed, "\n"), strings.Join(want, "\n"))
	}
}

// openAs opens a page as somebody, and returns what can be clicked there.
func openAs(p *testbed.Page, base, who, path string) []testbed.Control {
	if p.Visit(base + "/"); p.Has(logoutButton) && !strings.Contains(p.Text(), "Hello, "+who+"!") {
		p.Click(logoutButton)
	}
	if who != "nobody" && p.Has(loginButton) {
		fill(p, who, "password")
		p.Click(loginButton)
	}
	p.Visit(base + path)
	return p.Controls()
}
