package explain

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// ErrRefusedByServer is wrapped by the errors of [NewRequest] for a request that can be sent, and that net/http answers with an error of its
// own before the guard sees it.
var ErrRefusedByServer = errors.New("the server would refuse the request before any rule is asked")

// maxHead is what the server reads of a request line and headers before it answers 431: its limit and the slack of net/http, in bytes.
const maxHead = (64 + 4) << 10

// NewRequest returns the request that a server would have received. Method, target and headers go through the parser of net/http, so that
// what is explained is what would happen.
//
// target is a path with its query and is kept raw ("/a/../b", "/%2e" and "//x" stay as they are), or a URL "http://host[:port]/path" whose
// host becomes the Host header. host is used otherwise; empty means "localhost". headers are lines "Name: value"; a Host line among them
// replaces the other host. ctx must not be nil.
//
// The request has no peer address, so limiters and trusted proxies do not count, and an empty body. Errors say what to fix and repeat
// neither the target nor a header's value; they wrap [ErrRefusedByServer] where net/http itself would refuse.
func NewRequest(ctx context.Context, method, target, host string, headers []string) (*http.Request, error) {
	if err := checkMethod(method); err != nil {
		return nil, err
	}
	path, host, err := splitTarget(method, target, host)
	if err != nil {
		return nil, err
	}
	fields, hosts, err := splitHeaders(headers, host)
	if err != nil {
		return nil, err
	}
	head := method + " " + path + " HTTP/1.1\r\nHost: " + strings.Join(hosts, "\r\nHost: ") + "\r\n" + fields + "\r\n"
	if len(head) > maxHead {
		return nil, refused("the request line and headers are larger than 64 KiB: shorten them")
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
	if err != nil {
		return nil, readFault(err)
	}
	if !expectKnown(r.Header.Get("Expect")) {
		return nil, refused("Expect knows 100-continue only; anything else is answered 417")
	}
	r.Body = http.NoBody
	return r.WithContext(ctx), nil
}

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefusedByServer, fmt.Sprintf(format, args...))
}

func checkMethod(method string) error {
	switch {
	case method == "":
		return errors.New("there is no method: write one such as GET before the target")
	case containsSpace(method):
		return errors.New("the method contains a space or a control character: write one word such as GET")
	case !httpguts.ValidHeaderFieldName(method): // both are tokens (RFC 9110, section 5.6.2)
		return refused("the method contains a character that no method has: write one word such as GET")
	}
	return nil
}

// containsSpace finds what would end the method or the target early in a request line.
func containsSpace(s string) bool {
	return strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f })
}

var errTargetForm = errors.New("the target is neither a path nor a URL: write a path that begins with /, or http://host/path")

// splitTarget returns the target as it stands in the request line, and the host.
func splitTarget(method, target, host string) (path, authority string, err error) {
	if host == "" {
		host = "localhost"
	}
	switch {
	case target == "":
		return "", "", errTargetForm
	case containsSpace(target):
		return "", "", errors.New("the target contains a space or a control character: write it escaped, a space as %20")
	case target[0] == '/', target == "*", method == http.MethodConnect:
		return target, host, nil
	}
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return "", "", errTargetForm
	}
	end := strings.IndexAny(rest+"/", "/?#")
	authority, path = rest[:end], rest[end:]
	switch {
	case strings.Contains(authority, "@"):
		return "", "", errors.New("the target contains a user or password: remove it, and send a credential in a header")
	case authority == "":
		return "", "", errors.New("the target's URL has no host: write http://host/path, or the path alone")
	case !strings.HasPrefix(path, "/"):
		path = "/" + path // what a client sends for http://host?query
	}
	return path, authority, nil
}

// splitHeaders returns the lines for the wire, and the values of Host: those of the lines, or else host.
func splitHeaders(lines []string, host string) (fields string, hosts []string, err error) {
	var b strings.Builder
	for i, line := range lines {
		name, value, err := splitHeader(line)
		switch {
		case err != nil:
			return "", nil, fmt.Errorf("header %d: %w", i+1, err)
		case strings.EqualFold(name, "Host"):
			hosts = append(hosts, value)
		default:
			b.WriteString(name + ": " + value + "\r\n")
		}
	}
	if len(hosts) == 0 {
		hosts = []string{strings.Trim(host, " \t")}
	}
	switch {
	case strings.ContainsAny(hosts[0], "\r\n"):
		return "", nil, errors.New("the host contains a line break: remove it")
	case !httpguts.ValidHostHeader(hosts[0]):
		return "", nil, refused("the host contains a character that no host has")
	}
	return b.String(), hosts, nil
}

// splitHeader splits a line "Name: value". Its errors never repeat the line: it may hold a credential.
func splitHeader(line string) (name, value string, err error) {
	name, value, ok := strings.Cut(line, ":")
	value = strings.Trim(value, " \t")
	switch {
	case strings.ContainsAny(line, "\r\n"):
		return "", "", errors.New("it contains a line break: write one \"Name: value\" for each header")
	case !ok:
		return "", "", errors.New("it has no colon: write it as \"Name: value\"")
	case strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t"):
		return "", "", errors.New("it begins with a space, which continues the header before it: remove the space")
	case !httpguts.ValidHeaderFieldName(name):
		return "", "", refused("the name before the colon must be one word such as X-Request-Id, with the colon right behind it")
	case !httpguts.ValidHeaderFieldValue(value):
		return "", "", refused("the value contains a control character: remove it")
	}
	return name, value, nil
}

// readFault says what net/http could not read. The text of err stays out of it: it quotes the request.
func readFault(err error) error {
	if escape, ok := errors.AsType[url.EscapeError](err); ok {
		return refused("the target contains the bad escape %q: a per cent sign stands as %%25", string(escape))
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return refused("the target cannot be read: write a path that begins with /")
	}
	return refused("Host, Content-Length or Transfer-Encoding stands there twice or has a value that is not allowed")
}

// expectKnown reports whether http.Server goes on with a request that has this Expect header; "" is none.
func expectKnown(expect string) bool {
	words := strings.FieldsFunc(expect, func(c rune) bool { return c == ' ' || c == ',' || c == '\t' })
	return expect == "" || slices.ContainsFunc(words, func(word string) bool { return strings.EqualFold(word, "100-continue") })
}
