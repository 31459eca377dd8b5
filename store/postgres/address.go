package postgres

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// errUnread says what a url should look like, and nothing of the url itself: where its parts cannot be told from each other, any of them may be
// the password.
var errUnread = errors.New("the url cannot be read (it is not shown, for it may hold a password): write " +
	"postgres://user:password@host:port/database?sslmode=verify-full, and in user and password %40 for @, %2F for /, %3A for :, %3F for ?, %23 for #, %25 for %")

// parse reads address. Its errors show nothing of it but the names of hosts and files.
func parse(address string) (*pgx.ConnConfig, error) {
	if address == "" {
		return nil, errors.New("there is no url: write postgres://user:password@host:port/database?sslmode=verify-full")
	}
	if misread(address) {
		return nil, errUnread
	}
	server, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, unread(err)
	}
	return server, refuseFallback(server)
}

// unread returns what can be said of an error of ParseConfig. Everything else may be a part of the address, and stays out of the chain as well.
func unread(err error) error {
	const tls = "failed to configure TLS"
	var fault *pgconn.ParseConfigError
	if errors.As(err, &fault) {
		if cause := errors.Unwrap(fault); cause != nil && strings.HasSuffix(fault.Error(), ": "+tls+" ("+cause.Error()+")") {
			return fmt.Errorf("%s: %w", tls, cause)
		}
	}
	return errUnread
}

// misread reports whether address would be read, but not as it was meant, so that a part of the password ended up as the name of a host, a database
// or a setting, which errors and logs show. That happens where a password has an unescaped @ or / in it, and where the scheme is misspelt.
func misread(address string) bool {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok || strings.ContainsAny(scheme, "= ") {
		return false // key=value
	}
	if scheme != "postgres" && scheme != "postgresql" {
		return true
	}
	if i := strings.IndexAny(rest, "@/"); i >= 0 && rest[i] == '@' {
		rest = rest[i+1:] // user and password
	}
	rest, _, _ = strings.Cut(rest, "?")
	return strings.Contains(rest, "@")
}

// refuseFallback refuses a server to which the client would speak with TLS or without, as whoever is in between would like it (ASVS 5.0 12.3.1).
func refuseFallback(server *pgx.ConnConfig) error {
	type place struct {
		host string
		port uint16
	}
	plain, secure := map[place]bool{}, map[place]bool{}
	note := func(host string, port uint16, with *tls.Config) {
		if with == nil {
			plain[place{host, port}] = true
		} else {
			secure[place{host, port}] = true
		}
	}
	note(server.Host, server.Port, server.TLSConfig)
	for _, other := range server.Fallbacks {
		note(other.Host, other.Port, other.TLSConfig)
	}
	for at := range plain {
		if secure[at] && !local(at.host) {
			return fmt.Errorf("the connection to %s could fall back to plain text: add sslmode=verify-full to the url, with sslrootcert=FILE if the server's "+
				"certificate is of an authority of your own (or sslmode=disable if nobody else can read that network)", at.host)
		}
	}
	return nil
}

// local reports whether host is this machine: a socket in a folder, or a loopback address.
func local(host string) bool {
	if network, _ := pgconn.NetworkAddress(host, 5432); network == "unix" || strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
