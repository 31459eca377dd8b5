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
	p.Type("#login", name)
	p.Type("#password", password)
}

const loginButton, logoutButton = `form[action="/login"] button`, `form[action="/logout"] button`

// TestBrowser is what somebody does at the log-in page, while an administrator works in the tables.
func TestBrowser(t *testing.T) {
	s := newSite(t)
	p := testbed.Open(t)
	sees(t, p, "the start", p.Visit(s.URL+"/"), 200, "You need to login")
	p.Picture("database-out")
	fill(p, "moderator", "wrong")
	sees(t, p, "a wrong password", p.Click(loginButton), 401, "Invalid username/password combination")
	fill(p, "moderator", "password")
	sees(t, p, "the right password, with the key", p.Enter("#password"), 200, "Hello, moderator!")
	p.Picture("database-in")
	sees(t, p, "Protected", p.Click(`a[href="/protected"]`), 200, "This page is protected")

	s.change(t, `DELETE FROM permissions WHERE user_id = 2 AND name = 'protected'`)
	sees(t, p, "Protected, without the permission", p.Visit(s.URL+"/protected"), 403, "You may not see this page.")
	p.Picture("database-403")
	sees(t, p, "the start", p.Click(`a[href="/"]`), 200, "Hello, moderator!")

	s.change(t, `UPDATE users SET disabled = TRUE WHERE username = 'moderator'`)
	sees(t, p, "Public, as a disabled user", p.Click(`a[href="/public"]`), 401, "Please log in first.", "has ended")
	if n := len(p.Cookies()); n != 0 {
		t.Errorf("a disabled user's browser keeps %d cookies, want none", n)
	}
	fill(p, "moderator", "password")
	sees(t, p, "the log-in of a disabled user", p.Click(loginButton), 401, "Invalid username/password combination")
	fill(p, "user", "password")
	sees(t, p, "the log-in of somebody else", p.Click(loginButton), 200, "Hello, user!")
	sees(t, p, "the log-out", p.Click(logoutButton), 200, "You need to login")
}

// TestEveryControl clicks everything that can be clicked, on every page, as everybody: each leads to a page that somebody has written.
func TestEveryControl(t *testing.T) {
	s := newSite(t)
	p := testbed.Open(t)
	var pressed []string
	for _, who := range []string{"nobody", "user", "admin"} {
		for _, path := range []string{"/", "/public", "/protected"} {
			for i := range openAs(p, s.URL, who, path) {
				c := openAs(p, s.URL, who, path)[i]
				if c.Name == "Log in" {
					fill(p, "admin", "wrong")
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
		"nobody /protected Log in", "nobody /protected Back to the start",
		"user / Log out", "user / Public", "user / Protected", "user /public Back to the start", "user /protected Back to the start",
		"admin / Log out", "admin / Public", "admin / Protected", "admin /public Back to the start", "admin /protected Back to the start",
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
