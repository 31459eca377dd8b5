package redis

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse"
)

// The defaults of [Options].
const (
	DefaultHost    = "127.0.0.1"
	DefaultPort    = 6379
	DefaultPrefix  = "gatehouse"
	DefaultTimeout = 2 * time.Second
)

// Options say which server is used, and how. The zero Options are those of a server on this machine without a password.
type Options struct {
	// Host is a name or an IP address, without a port. Empty means DefaultHost.
	Host string
	// Port is the TCP port. Zero means DefaultPort.
	Port int
	// User is the name of an ACL user. Empty means Redis's default user.
	User string
	// Password is the user's password. It is printed nowhere and repeated in no error. Empty means none.
	Password gatehouse.Secret
	// DB is the number of the database.
	DB int
	// TLS turns on TLS. Nil means plaintext; an empty Config verifies the server's certificate with the CAs of the system, and RootCAs names others.
	// ServerName is the Host unless it is set. A copy is taken.
	TLS *tls.Config
	// Prefix begins all keys, in braces. Letters, digits and "._:-", at most 64 of them. Empty means DefaultPrefix.
	Prefix string
	// Timeout bounds every call, whatever its context allows. Zero means DefaultTimeout.
	Timeout time.Duration
	// Now is the clock by which deadlines become times to live. It must be safe for concurrent use. Nil means time.Now.
	Now func() time.Time
}

// errURL says all that may be said of a text that may hold a password anywhere.
var errURL = errors.New("redis: the URL must look like redis://user:password@host:port/db, or rediss:// for TLS, " +
	"with the special characters of user and password percent-encoded (%40 for @, %2F for /)")

// ParseURL reads a URL such as redis://user:password@host:6379/0. All parts but the scheme may be missing: the host is then DefaultHost, the port DefaultPort,
// the database 0, the user Redis's default user, and "redis://:password@host" has a password only. The scheme rediss turns on TLS; valkey and valkeys
// mean the same as redis and rediss. A query or a fragment is an error: everything else is set in the [Options] that are returned. No error
// repeats any part of the text.
func ParseURL(text string) (Options, error) {
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" || u.Fragment != "" || strings.ContainsAny(text, "?#") {
		return Options{}, errURL // the cause would repeat the text
	}
	o := Options{Host: u.Hostname(), User: u.User.Username()}
	switch u.Scheme {
	case "redis", "valkey":
	case "rediss", "valkeys":
		o.TLS = new(tls.Config)
	default:
		return Options{}, errURL
	}
	if password, ok := u.User.Password(); ok {
		o.Password = gatehouse.NewSecret(password)
	}
	if o.Port, err = number(u.Port()); err != nil {
		return Options{}, errURL
	}
	if o.DB, err = number(strings.TrimPrefix(u.Path, "/")); err != nil {
		return Options{}, fmt.Errorf("%w: the database must be a number", errURL)
	}
	return o, o.check()
}

// number reads a small number without a sign. Empty means zero.
func number(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return int(n), err
}

// check returns what is wrong with o. It repeats no value: people put passwords into the wrong field.
func (o Options) check() error {
	switch {
	case !validHost(o.Host):
		return errors.New("redis: the host must be a name or an IP address, without scheme, port or brackets")
	case o.Port < 0 || o.Port > 65535:
		return errors.New("redis: the port must be between 1 and 65535")
	case o.DB < 0:
		return errors.New("redis: the database must be 0 or a positive number")
	case !plain(o.Prefix):
		return errors.New(`redis: the prefix of keys must be at most 64 letters, digits and "._:-"`)
	case o.Timeout < 0:
		return errors.New("redis: the timeout must not be negative")
	}
	return nil
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func validHost(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || len(host) <= 253 && strings.Trim(host, letters+"._-") == "" && !strings.HasPrefix(host, "-")
}

// plain reports whether text is short and has no characters that mean anything to a key, a log or a pattern.
func plain(text string) bool {
	return len(text) <= 64 && strings.Trim(text, letters+"._:-") == ""
}

// complete returns o with its defaults filled in.
func (o Options) complete() (Options, error) {
	if err := o.check(); err != nil {
		return Options{}, err
	}
	o.Host, o.Port = cmp.Or(o.Host, DefaultHost), cmp.Or(o.Port, DefaultPort)
	o.Prefix, o.Timeout = cmp.Or(o.Prefix, DefaultPrefix), cmp.Or(o.Timeout, DefaultTimeout)
	if o.Now == nil {
		o.Now = time.Now
	}
	o.TLS = o.TLS.Clone() // nil stays nil
	return o, nil
}

// address is where the server listens.
func (o Options) address() string {
	return net.JoinHostPort(cmp.Or(o.Host, DefaultHost), strconv.Itoa(cmp.Or(o.Port, DefaultPort)))
}

// String names the server for logs and errors, and says what weakens the connection. It never holds the password.
func (o Options) String() string {
	return fmt.Sprintf("redis %s db %d%s", o.address(), o.DB, o.security())
}

func (o Options) security() string {
	addr, err := netip.ParseAddr(o.Host)
	switch {
	case o.TLS != nil && o.TLS.InsecureSkipVerify:
		return " (TLS, certificate not verified)"
	case o.TLS != nil:
		return " (TLS)"
	case o.Host == "" || o.Host == "localhost" || err == nil && addr.Unmap().IsLoopback():
		return ""
	}
	return " (not encrypted)"
}
