package policy

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrTarget is wrapped by every error of [Canonical] and by [Table.Lookup] for a target that hops could read differently.
// It is answered 400 before anything else is looked at.
var ErrTarget = errors.New("request target is not canonical")

// A Request is the one form in which a request is judged. It is made by [Canonical] only, and is comparable: requests that are
// equal are judged and forwarded alike. The zero Request matches no rule.
type Request struct {
	// Method is the request method as sent; methods are case-sensitive (RFC 9110, section 9.1).
	Method string
	// Host is the lower-case host without port and trailing dot; an IPv6 address stands without brackets, in its shortest form.
	Host string
	// Path is the canonical escaped path: what is forwarded. Unreserved escapes are decoded, other escapes have upper-case digits.
	Path string
	// HasQuery says whether there is a query. What it says never changes a decision.
	HasQuery bool
	// EncodedSlash says that the path contains %2F: only a rule that allows it may match.
	EncodedSlash bool

	match string // Path decoded for matching, without the leading slash; an encoded slash stands as NUL
	bare  string // match without path parameters, if it has any (hasParams)
	param bool   // whether a segment contains ";"
}

// Decoded returns the path as rules see it: every escape decoded but %2F.
func (q Request) Decoded() string { return decoded(q.match) }

func decoded(match string) string { return "/" + strings.ReplaceAll(match, encodedSlash, "%2F") }

// encodedSlash stands for %2F in a path that is matched. NUL itself never gets there, so the form stays injective.
const encodedSlash = "\x00"

func targetError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrTarget, fmt.Sprintf(format, args...))
}

// Canonical returns the canonical form of r, a request as a server received it.
//
// It refuses what some later hop could read differently: a target that is not a path (opaque, "*", or absolute for an address that
// the connection did not arrive at), dot segments, empty segments, "\", NUL and control characters, fragments, bad escapes,
// invalid UTF-8, and a missing or malformed host. An encoded slash is reported, and refused later unless the matched rule allows it.
// The error wraps [ErrTarget] and says what is wrong without repeating the target. Canonical does not change r.
func Canonical(r *http.Request) (Request, error) {
	q := Request{Method: r.Method}
	if r.URL == nil {
		return Request{}, targetError("there is none")
	}
	if err := checkForm(r); err != nil {
		return Request{}, err
	}
	var err error
	if q.Host, err = canonicalHost(r.Host); err != nil {
		return Request{}, err
	}
	q.HasQuery = r.URL.RawQuery != "" || r.URL.ForceQuery
	if err := q.setPath(r); err != nil {
		return Request{}, err
	}
	return q, nil
}

// checkForm accepts the origin form (RFC 9112, section 3.2.1) and the absolute form for the connection's own address.
func checkForm(r *http.Request) error {
	u := r.URL
	switch {
	case u.Opaque != "" || !strings.HasPrefix(u.Path, "/"):
		return targetError("it is not a path")
	case u.User != nil:
		return targetError("it contains user information")
	case u.Fragment != "" || strings.Contains(r.RequestURI, "#") || strings.Contains(u.RawQuery, "#"):
		return targetError("it contains a fragment")
	case containsSpace(u.RawQuery):
		return targetError("the query contains a space or a control character")
	case u.Scheme == "" && u.Host == "":
		return nil
	case u.Scheme != "http" && u.Scheme != "https":
		return targetError("it is absolute with a scheme other than http and https")
	case !isOwnAddress(r):
		return targetError("it is absolute for another server")
	}
	return nil
}

// isOwnAddress reports whether an absolute target names the address that the connection arrived at. net/http drops the Host header
// of such a request, so there is nothing else to compare. Without a connection (a request made by a test) the two must be equal.
func isOwnAddress(r *http.Request) bool {
	if !strings.EqualFold(r.URL.Host, r.Host) {
		return false
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return true
	}
	host, port, err := net.SplitHostPort(local.String())
	if err != nil {
		return false
	}
	wantHost, wantPort := r.URL.Hostname(), r.URL.Port()
	if wantPort == "" {
		wantPort = map[string]string{"http": "80", "https": "443"}[r.URL.Scheme]
	}
	ip := net.ParseIP(host)
	loopback := ip != nil && ip.IsLoopback() && strings.EqualFold(wantHost, "localhost")
	return wantPort == port && (loopback || ip != nil && ip.Equal(net.ParseIP(wantHost)))
}

// canonicalHost returns host in lower case without port and trailing dot.
func canonicalHost(host string) (string, error) {
	if host == "" {
		return "", targetError("there is no Host header")
	}
	name := host
	if rest, ok := strings.CutPrefix(host, "["); ok {
		text, port, ok := strings.Cut(rest, "]")
		address, err := netip.ParseAddr(text)
		if !ok || err != nil || !address.Is6() || address.Zone() != "" || !isPort(port) {
			return "", targetError("the Host header is malformed")
		}
		return address.String(), nil // one spelling: rules compare hosts as text
	}
	if i := strings.IndexByte(host, ':'); i >= 0 {
		if !isPort(host[i:]) {
			return "", targetError("the Host header is malformed")
		}
		name = host[:i]
	}
	name = strings.TrimSuffix(name, ".")
	if !isHostName(name) {
		return "", targetError("the Host header is malformed")
	}
	return strings.ToLower(name), nil
}

// isPort reports whether s is empty, or ":" with a port number or nothing behind it (RFC 3986, section 3.2.3).
func isPort(s string) bool {
	if s == "" || s == ":" {
		return true
	}
	if s[0] != ':' || len(s) > len(":65535") || strings.Trim(s[1:], "0123456789") != "" {
		return false
	}
	_, err := strconv.ParseUint(s[1:], 10, 16)
	return err == nil
}

// isHostName reports whether s is a name whose trailing dot is gone. A second one would be another spelling of the same name.
func isHostName(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlphaNum(c) && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return true
}

// setPath fills in Path and what is derived from it.
func (q *Request) setPath(r *http.Request) error {
	if r.URL.RawPath == "" && isPlain(r.URL.Path) {
		q.Path, q.match = r.URL.Path, r.URL.Path[1:]
		return checkSegments(q.match)
	}
	raw := r.URL.RawPath
	if raw == "" {
		raw = r.URL.EscapedPath()
	}
	p, err := normalise(raw)
	if err != nil {
		return err
	}
	if strings.ReplaceAll(p.match, encodedSlash, "/") != r.URL.Path[1:] {
		return targetError("its raw and its decoded path differ")
	}
	q.Path, q.match, q.EncodedSlash = p.escaped, p.match, p.encodedSlash
	if q.param = strings.Contains(q.match, ";"); q.param {
		q.bare = withoutParams(q.match)
	}
	return checkSegments(q.match)
}

// A path is a normalised path: as forwarded, and as matched.
type path struct {
	escaped      string // with the leading slash
	match        string // without it
	encodedSlash bool
}

const upperHex = "0123456789ABCDEF"

// normalise decodes the escapes of a raw path once. Patterns go through it as well.
func normalise(raw string) (path, error) {
	if !strings.HasPrefix(raw, "/") {
		return path{}, targetError("the path does not start with a slash")
	}
	escaped, match := make([]byte, 0, len(raw)+8), make([]byte, 0, len(raw))
	p := path{}
	for i := 0; i < len(raw); i++ {
		c, wasEscaped := raw[i], false
		if c == '%' {
			v, ok := unhex(raw, i)
			if !ok {
				return path{}, targetError("the path contains a bad escape")
			}
			c, wasEscaped, i = v, true, i+2
		}
		switch {
		case c == '\\':
			return path{}, targetError("the path contains a backslash")
		case c < ' ' || c == 0x7f:
			return path{}, targetError("the path contains a control character")
		case c == '#' && !wasEscaped:
			return path{}, targetError("it contains a fragment")
		case c == '/' && wasEscaped:
			p.encodedSlash = true
			escaped, match = append(escaped, "%2F"...), append(match, encodedSlash...)
			continue
		}
		match = append(match, c)
		if isUnreserved(c) || !wasEscaped && isPathChar(c) {
			escaped = append(escaped, c)
		} else {
			escaped = append(escaped, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	p.escaped, p.match = string(escaped), string(match[1:])
	return p, checkText(p.match)
}

// checkText refuses invalid UTF-8, which covers overlong forms of "/" and ".", and the control characters beyond ASCII.
func checkText(s string) error {
	if !utf8.ValidString(s) {
		return targetError("the path is not UTF-8")
	}
	for _, c := range s {
		if c > unicode.MaxASCII && unicode.IsControl(c) {
			return targetError("the path contains a control character")
		}
	}
	return nil
}

// checkSegments refuses empty segments (but for a trailing slash) and dot segments, also those that only appear once a later hop
// drops path parameters or, for dot segments, decodes %2F. Beside %2F a segment may be empty: an escaped URL has %2F%2F.
func checkSegments(match string) error {
	start := 0
	for i := 0; i <= len(match); i++ {
		if i < len(match) && match[i] != '/' && match[i] != encodedSlash[0] {
			continue
		}
		segment, _, params := strings.Cut(match[start:i], ";")
		if segment == "." || segment == ".." {
			return targetError("the path contains a dot segment")
		}
		between := i < len(match) && match[i] == '/' && (start == 0 || match[start-1] == '/')
		if segment == "" && (params || between) {
			return targetError("the path contains an empty segment")
		}
		start = i + 1
	}
	return nil
}

// withoutParams drops what a servlet container would drop: ";" and the rest of each segment.
func withoutParams(match string) string {
	segments := strings.Split(match, "/")
	for i, s := range segments {
		segments[i], _, _ = strings.Cut(s, ";")
	}
	return strings.Join(segments, "/")
}

// isPlain reports whether p, which net/url handed out without a raw form, was sent as it is, so that there is nothing to normalise.
func isPlain(p string) bool {
	for i := range len(p) {
		if c := p[i]; !plain[c] {
			return false
		}
	}
	return true
}

// plain leaves out what net/url escapes by itself: "!" without a raw form was sent as %21, and stays that.
var plain = func() (set [256]bool) {
	for c := range 256 {
		set[c] = isUnreserved(byte(c)) || isPathChar(byte(c)) && strings.IndexByte(";!'()*", byte(c)) < 0
	}
	return set
}()

func isAlphaNum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// isUnreserved: RFC 3986, section 2.3.
func isUnreserved(c byte) bool {
	return isAlphaNum(c) || c == '-' || c == '.' || c == '_' || c == '~'
}

// isPathChar: what may stand unescaped in a path beside the unreserved characters (RFC 3986, section 3.3).
func isPathChar(c byte) bool { return strings.IndexByte("/!$&'()*+,;=:@", c) >= 0 }

// containsSpace finds what would end a query early in a request line that some hop writes or reads. HTTP/2 does carry it.
func containsSpace(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return true
		}
	}
	return false
}

// unhex returns the byte that the escape at s[i] stands for.
func unhex(s string, i int) (byte, bool) {
	if i+2 >= len(s) {
		return 0, false
	}
	hi, lo := strings.IndexByte(upperHex, upper(s[i+1])), strings.IndexByte(upperHex, upper(s[i+2]))
	return byte(hi<<4 | lo), hi >= 0 && lo >= 0
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'f' {
		return c - 'a' + 'A'
	}
	return c
}
