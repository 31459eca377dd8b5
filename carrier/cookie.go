package carrier

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse"
)

// DefaultCookie is the name of the session cookie, without its prefix.
const DefaultCookie = "gatehouse"

// maxCookie is what browsers keep of a cookie, name and value together (RFC 6265 bis, section 5.7).
const maxCookie = 4096

// maxCookieAge is the longest life that browsers give to a cookie (RFC 6265 bis, section 5.5).
const maxCookieAge = 400 * 24 * time.Hour

// A CookieOption changes the cookie of a carrier. Without one it is __Host-gatehouse; Secure; HttpOnly; SameSite=Lax; Path=/.
type CookieOption func(*cookie)

// CookieName sets the cookie's name, to which its prefix is added: app1-token makes __Host-app1-token.
func CookieName(name string) CookieOption { return func(c *cookie) { c.name = name } }

// CookieSameSite sets the SameSite attribute that cookies have unless [SameSite] says otherwise: http.SameSiteLaxMode, the default, or
// http.SameSiteStrictMode, with which a visitor who follows a link from another site looks signed out.
func CookieSameSite(mode http.SameSite) CookieOption { return func(c *cookie) { c.sameSite = mode } }

// CookieScope makes a cookie that may be shared with subdomains (domain) or limited to a path, both of which may be empty, here or with [Domain] and [Path].
// Its prefix is __Secure- instead of __Host-: every host under the domain, and every page of this host, can set such a cookie, so that a hostile
// neighbour can sign a visitor in as somebody else, or out.
func CookieScope(domain, path string) CookieOption {
	return func(c *cookie) { c.scoped, c.domain, c.path = true, domain, path }
}

// InsecureCookie makes a cookie that travels over plain http: without a prefix, without Secure. It is for a program that listens on a loopback address and has no
// TLS in front; on a connection to any other address nobody can sign in with it. See [CookieFor], which knows when it is due.
func InsecureCookie() CookieOption { return func(c *cookie) { c.insecure = true } }

// InsecureCrossSiteCookie allows SameSite=None: the cookie comes along with requests that other sites cause. It is for pages in foreign frames.
func InsecureCrossSiteCookie() CookieOption { return func(c *cookie) { c.crossSite = true } }

// CookieFor is the one place that knows when a cookie may go without TLS. publicURL is where browsers find the program; if it begins with https://, the
// cookie is the safe one. Without it a program that listens on a loopback address gets [InsecureCookie], and notice is a sentence for its log. Any other
// address is an error: cookies would travel in clear. With tls the program ends TLS itself.
func CookieFor(listen, publicURL string, tls bool) (option CookieOption, notice string, err error) {
	u, err := url.Parse(publicURL)
	if err != nil || publicURL != "" && (u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https") {
		return nil, "", fmt.Errorf("%q is no public URL: write https://app.example.org", publicURL)
	}
	switch {
	case u.Scheme == "https" || tls && u.Scheme == "":
		return func(*cookie) {}, "", nil
	case isLoopback(listen) && (u.Scheme == "" || isLoopback(u.Host)):
		return InsecureCookie(), "plain http on a loopback address: the session cookie has neither the prefix __Host- nor Secure, so that it works without TLS; " +
			"with TLS in front, set the public URL to https://…", nil
	}
	return nil, "", fmt.Errorf("log-in with a cookie needs TLS: on %s it would travel in clear; set the public URL to https://… if TLS ends in front, give "+
		"a certificate, or listen on 127.0.0.1", listen)
}

// isLoopback reports whether the host of an address, with or without port, is this machine alone.
func isLoopback(address string) bool {
	host := address
	if h, _, err := net.SplitHostPort(address); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// A cookie is how one carrier writes and reads its cookie.
type cookie struct {
	name                        string
	sameSite                    http.SameSite
	scoped, insecure, crossSite bool
	domain, path                string
}

func newCookie(opts []CookieOption) (cookie, error) {
	c := cookie{name: DefaultCookie, sameSite: http.SameSiteLaxMode, path: "/"}
	for _, opt := range opts {
		if opt != nil { // as of a CookieFor whose error nobody has looked at: then the cookie is the safe one
			opt(&c)
		}
	}
	if c.path == "" {
		c.path = "/"
	}
	lower := strings.ToLower(c.name)
	if c.name == "" || strings.Trim(c.name, tokenChars) != "" || len(c.name) > 64 {
		return c, fmt.Errorf("%q is not a cookie's name: up to 64 letters, digits, - and _", c.name)
	}
	if strings.HasPrefix(lower, "__host-") || strings.HasPrefix(lower, "__secure-") {
		return c, fmt.Errorf("%q has a prefix already: give the name without it", c.name)
	}
	switch {
	case c.insecure:
	case c.scoped:
		c.name = "__Secure-" + c.name
	default:
		c.name = "__Host-" + c.name
	}
	return c, c.check(c.attributes())
}

// attributes are what a cookie is set with, stored with the session and repeated when it is taken away.
type attributes struct {
	SameSite http.SameSite `json:"s,omitempty"`
	Path     string        `json:"p,omitempty"`
	Domain   string        `json:"d,omitempty"`
	Browser  bool          `json:"b,omitempty"` // no Max-Age
}

func (c *cookie) attributes() attributes {
	return attributes{SameSite: c.sameSite, Path: c.path, Domain: c.domain}
}

// check refuses attributes that browsers would not honour, or that weaken the cookie without having been asked for. The error wraps errors.ErrUnsupported.
func (c *cookie) check(a attributes) error {
	if why := c.fault(a); why != "" {
		return fmt.Errorf("%s: %w", why, errors.ErrUnsupported)
	}
	return nil
}

func (c *cookie) fault(a attributes) string {
	probe := http.Cookie{Name: c.name, Value: "x", Path: a.Path, Domain: a.Domain}
	switch none := a.SameSite == http.SameSiteNoneMode; {
	case !none && a.SameSite != http.SameSiteLaxMode && a.SameSite != http.SameSiteStrictMode:
		return "SameSite is neither Lax nor Strict"
	case none && (!c.crossSite || c.insecure):
		return "SameSite=None lets other sites use the cookie: if you mean it, make a Secure cookie with InsecureCrossSiteCookie"
	case !c.scoped && (a.Domain != "" || a.Path != "/"): // an insecure one as well, or a program would work on loopback only
		return "the cookie has neither a Domain nor another Path than /: make the carrier with CookieScope"
	case !strings.HasPrefix(a.Path, "/") || strings.ContainsAny(a.Path, ";,\\ \""):
		return fmt.Sprintf("%q is not a cookie's path: it begins with /", a.Path)
	case a.Domain != "" && !strings.Contains(strings.Trim(a.Domain, "."), "."):
		return fmt.Sprintf("%q is no domain that a cookie can be shared with", a.Domain)
	case probe.Valid() != nil:
		return fmt.Sprintf("browsers would refuse the cookie: %v", probe.Valid())
	}
	return ""
}

// allowed refuses an insecure cookie on a connection that leaves the machine.
func (c *cookie) allowed(r *http.Request) error {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if c.insecure && ok && local.Network() != "unix" && !isLoopback(local.String()) {
		return errors.New("an InsecureCookie is for loopback addresses only: use TLS, or give CookieFor the public URL")
	}
	return nil
}

// find returns the value of the cookie in r. It returns ErrAnonymous if there is none, or an empty one, and ErrDuplicate if there are several:
// their order proves nothing.
func (c *cookie) find(r *http.Request) (string, error) {
	value, n := "", 0
	for _, line := range r.Header["Cookie"] {
		for len(line) > 0 {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			name, v, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
			if name == c.name {
				value, n = v, n+1
			}
		}
	}
	switch {
	case n > 1:
		return "", gatehouse.ErrDuplicate
	case value == "":
		return "", gatehouse.ErrAnonymous
	}
	return value, nil
}

// set puts the cookie into the answer, in place of one that was put there before. That a cookie of the same name with another path or domain is taken
// away stays: browsers would send both.
func (c *cookie) set(h http.Header, value string, a attributes, maxAge time.Duration) error {
	made := http.Cookie{Name: c.name, Value: value, Path: a.Path, Domain: a.Domain, SameSite: a.SameSite, Secure: !c.insecure, HttpOnly: true}
	if !a.Browser {
		made.MaxAge = int(min(maxAge, maxCookieAge) / time.Second)
	}
	if made.MaxAge == 0 && !a.Browser {
		made.MaxAge = -1
	}
	if len(c.name)+len(value) > maxCookie {
		return fmt.Errorf("the cookie would have %d bytes, and browsers drop cookies of more than %d without a word", len(c.name)+len(value), maxCookie)
	}
	c.say(h, &made)
	return nil
}

// clear takes the cookie away from the browser. The attributes must be those with which it was set, or browsers keep it.
func (c *cookie) clear(h http.Header, a attributes) {
	c.say(h, &http.Cookie{Name: c.name, Path: a.Path, Domain: a.Domain, SameSite: a.SameSite, Secure: !c.insecure, HttpOnly: true, MaxAge: -1,
		Expires: time.Unix(1, 0)})
}

// say puts made into the answer, and leaves of what was said of the cookie before only that others of its name are taken away.
func (c *cookie) say(h http.Header, made *http.Cookie) {
	var cleared []string
	for _, line := range h["Set-Cookie"] {
		old, err := http.ParseSetCookie(line)
		if err == nil && old.Name == c.name && old.MaxAge < 0 && (old.Path != made.Path || old.Domain != strings.TrimPrefix(made.Domain, ".")) {
			cleared = append(cleared, line)
		}
	}
	RemoveSetCookie(h, c.name)
	for _, line := range append(cleared, made.String()) {
		h.Add("Set-Cookie", line)
	}
	c.unshare(h)
}

// unshare keeps caches from giving an answer with somebody's cookie to anybody else.
func (c *cookie) unshare(h http.Header) {
	for _, line := range h["Set-Cookie"] {
		if nameOfPair(line) == c.name && !isPrivate(h["Cache-Control"]) {
			h.Set("Cache-Control", "no-store")
		}
	}
}

// isPrivate reports whether the Cache-Control fields keep an answer out of shared caches.
func isPrivate(fields []string) bool {
	for _, directive := range strings.Split(strings.Join(fields, ","), ",") {
		directive = strings.Trim(directive, " \t")
		if strings.EqualFold(directive, "private") || strings.EqualFold(directive, "no-store") {
			return true
		}
	}
	return false
}

// RemoveSetCookie removes the Set-Cookie fields for the cookies called names from h, whoever has put them there.
func RemoveSetCookie(h http.Header, names ...string) {
	var kept []string
	for _, line := range h["Set-Cookie"] {
		if !containsName(names, nameOfPair(line)) {
			kept = append(kept, line)
		}
	}
	if len(kept) == 0 {
		delete(h, "Set-Cookie")
		return
	}
	h["Set-Cookie"] = kept
}

// RemoveCookie removes the cookies called names from the Cookie fields of h and leaves the others as they are.
func RemoveCookie(h http.Header, names ...string) {
	var kept []string
	for _, line := range h["Cookie"] {
		if rest := withoutCookies(line, names); rest != "" {
			kept = append(kept, rest)
		}
	}
	if len(kept) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = kept
}

func withoutCookies(line string, names []string) string {
	pairs := strings.Split(line, ";")
	kept := pairs[:0]
	for _, pair := range pairs {
		if !containsName(names, nameOfPair(pair)) {
			kept = append(kept, pair)
		}
	}
	return strings.Trim(strings.Join(kept, ";"), " \t")
}

// nameOfPair returns the name of the cookie that a pair, or a Set-Cookie field, is about. Browsers keep a cookie without a name and send its value alone, so that
// "=a=b" comes back as "a=b": it is about a. Line breaks count as spaces, because net/http writes them as such.
func nameOfPair(s string) string {
	const spaces = " \t\r\n"
	pair, _, _ := strings.Cut(s, ";")
	name, _, _ := strings.Cut(strings.TrimLeft(pair, spaces+"="), "=")
	return strings.Trim(name, spaces)
}

// containsName compares without regard to case: what an upstream might take for ours is ours.
func containsName(names []string, name string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}
