package gatehousetest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Cookies records the cookies that a program sets and judges each of them by RFC 6265 bis: what browsers would drop without a word, and what is weaker than it
// has to be. Put it behind a client with [Cookies.Transport], or hand it answers with [Cookies.Record], and ask for [Cookies.Err] when the test ends. Judged are
//
//   - the form: name, value, no attribute twice, and no more than browsers keep;
//   - HttpOnly, unless Readable has the name; SameSite said, and not None without Secure; Secure, but for plain http on a loopback address;
//   - prefixes: __Host- with Secure and Path=/ and without Domain, __Secure- with Secure, both in this spelling;
//   - a Domain to which the host belongs, a Path that begins with /, a life of at most 400 days;
//   - one answer: no cookie twice; and that a cookie is taken away with the Domain and Path with which it was given, or it would stay.
//
// The zero Cookies is ready for use, and safe for concurrent use. Readable and Now must not be changed then.
type Cookies struct {
	// Readable are the names of cookies that are meant for scripts, and so need no HttpOnly. A credential is never one of them.
	Readable []string
	// Now is the clock by which Expires is judged. Nil means time.Now.
	Now func() time.Time

	mu     sync.Mutex
	all    []*http.Cookie
	faults []error
	given  map[string][]place // where the client has a cookie of this name
}

// A place is what tells a cookie from another one of its name.
type place struct{ domain, path string }

// Transport returns a transport that records the cookies of the answers that come through next. A nil next means http.DefaultTransport.
func (c *Cookies) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return transport(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err == nil {
			c.Record(r.URL, resp.Header)
		}
		return resp, err
	})
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// Record records the cookies in the header of an answer to a request for u, an absolute URL.
func (c *Cookies) Record(u *url.URL, h http.Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := h["Set-Cookie"]
	seen := map[string]bool{}
	for _, line := range lines {
		s, err := parseSetCookie(line)
		if err != nil {
			c.fault(s, u, err)
			continue
		}
		for _, err := range s.faults(c.judge(u)) {
			c.fault(s, u, err)
		}
		c.settle(s, u, seen)
		if cookie, err := http.ParseSetCookie(line); err == nil {
			c.all = append(c.all, cookie)
		}
	}
}

func (c *Cookies) judge(u *url.URL) judge {
	now := time.Now
	if c.Now != nil {
		now = c.Now
	}
	return judge{url: u, readable: c.Readable, now: now()}
}

// settle keeps account of what the client has, and finds what an answer says about it that cannot be meant. Callers hold c.mu.
func (c *Cookies) settle(s setCookie, u *url.URL, seen map[string]bool) {
	at := s.place()
	if key := s.name + "\n" + at.domain + "\n" + at.path; seen[key] {
		c.fault(s, u, errors.New("it is set twice in one answer"))
	} else {
		seen[key] = true
	}
	places := c.given[s.name]
	i := slices.Index(places, at)
	switch gone := s.deletes(c.judge(u).now); {
	case gone && i >= 0:
		c.given[s.name] = slices.Delete(places, i, i+1)
	case gone && len(places) > 0:
		c.fault(s, u, fmt.Errorf("it is taken away with another Domain or Path than it was given with (%+v), so that it stays", places))
	case !gone && i < 0:
		if c.given == nil {
			c.given = map[string][]place{}
		}
		c.given[s.name] = append(places, at)
	}
}

// fault keeps an error with where it was found. The value of the cookie stays out of it.
func (c *Cookies) fault(s setCookie, u *url.URL, err error) {
	c.faults = append(c.faults, fmt.Errorf("the cookie %q that %s sets: %w", s.name, u.Redacted(), err))
}

// All returns the cookies that were set, in their order, the deletions too. Of lines that make no cookie only [Cookies.Err] knows.
func (c *Cookies) All() []*http.Cookie {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.all)
}

// Err returns everything that was found, joined, or nil. It does not say what a cookie's value was.
func (c *Cookies) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.faults...)
}

// parseSetCookie reads a Set-Cookie line as servers must write it (RFC 6265 bis, section 4.1.1), which is stricter than browsers are.
func parseSetCookie(line string) (setCookie, error) {
	first, rest, more := strings.Cut(line, ";")
	name, value, ok := strings.Cut(first, "=")
	s := setCookie{name: name, value: value, attributes: map[string]string{}}
	if !ok || name == "" || strings.Trim(name, tokenChars) != "" {
		if s.name = strings.Map(printed, name); !ok {
			s.name = "" // all of it may be the value
		}
		return s, errors.New("it has no name of letters, digits and !#$%&'*+-.^_`|~")
	}
	for more {
		var part string
		part, rest, more = strings.Cut(rest, ";")
		key, value, _ := strings.Cut(strings.Trim(part, " "), "=")
		key = strings.ToLower(key)
		if _, twice := s.attributes[key]; twice {
			return s, fmt.Errorf("it has the attribute %q twice", key)
		}
		s.attributes[key] = value
	}
	return s, nil
}

const tokenChars = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// printed keeps a strange name from doing anything to a terminal.
func printed(c rune) rune {
	if c < ' ' || c > '~' {
		return '?'
	}
	return c
}
