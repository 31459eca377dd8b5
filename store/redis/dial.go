package redis

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"time"
)

// dial connects, and makes sure that Redis is at the other end. The end of life breaks the connection whatever the library waits for.
func (db *DB) dial(ctx, life context.Context, addr string, d *net.Dialer, config *tls.Config) (net.Conn, error) {
	connect := d.DialContext
	if config != nil {
		connect = (&tls.Dialer{NetDialer: d, Config: config}).DialContext
	}
	raw, err := connect(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := conn{raw, context.AfterFunc(life, func() { raw.Close() })}
	if err := greet(ctx, c); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// A conn is a connection that the end of a life closes.
type conn struct {
	net.Conn
	forget func() bool
}

// Close implements net.Conn.
func (c conn) Close() error {
	c.forget()
	return c.Conn.Close()
}

// errStranger says that something else listens there.
var errStranger = errors.New("does not speak Redis's protocol on this port")

// A refusal is what a server says to whoever connects, before it hangs up.
type refusal string

// Error implements error.
func (r refusal) Error() string { return string(r) }

// greet asks for the simplest answer there is. The client library takes what listens there for Redis, and some answers of something else end the program.
func greet(ctx context.Context, c net.Conn) error {
	if deadline, ok := ctx.Deadline(); ok {
		c.SetDeadline(deadline)
		defer c.SetDeadline(time.Time{})
	}
	if _, err := io.WriteString(c, "*1\r\n$4\r\nPING\r\n"); err != nil {
		return err
	}
	// Nothing follows before the next command, so nothing is lost with the reader.
	line, err := bufio.NewReader(io.LimitReader(c, 512)).ReadString('\n')
	words, refuses := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "-")
	switch {
	case err != nil && (line == "" || refuses):
		return err
	case strings.HasPrefix(words, "DENIED"), strings.HasPrefix(words, "ERR max number of clients"):
		return refusal(strings.TrimPrefix(words, "ERR "))
	case line == "+PONG\r\n", refuses && strings.HasSuffix(line, "\r\n"):
		return nil // it may want to be told who we are first, or have troubles that it will tell us of
	}
	return errStranger
}
