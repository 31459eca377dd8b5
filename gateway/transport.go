package gateway

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// A transport keeps answers of HTTP/1.1 connections apart. When an upstream sends more than its answer, net/http closes the connection, unless
// the next request is faster: then somebody else gets those bytes as the answer to their request. So a connection is taken again only once
// nothing is left on it, and never after HEAD, to which some upstreams do send a body, often later than the head.
type transport struct {
	*http.Transport
	h2c   bool        // whether the upstream speaks HTTP/2 only, where answers have their numbers
	http2 atomic.Bool // whether an upstream of https has been found to speak it
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.h2c {
		return t.Transport.RoundTrip(r)
	}
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{GotConn: settle}))
	r.Close = r.Close || r.Method == http.MethodHead && !t.http2.Load()
	resp, err := t.Transport.RoundTrip(r)
	if err == nil && resp.ProtoMajor == 2 && !t.http2.Load() {
		t.http2.Store(true)
	}
	return resp, err
}

// settle waits until a connection that has been used before is quiet or closed. It is called before net/http expects an answer on it.
func settle(info httptrace.GotConnInfo) {
	conn := info.Conn
	if secure, ok := conn.(*tls.Conn); ok {
		if secure.ConnectionState().NegotiatedProtocol == "h2" {
			return
		}
		conn = secure.NetConn()
	}
	if quiet, ok := conn.(*quietConn); ok && info.Reused {
		quiet.settle()
	}
}

// dial returns a function that connects within the time.
func dial(within time.Duration) func(ctx context.Context, network, addr string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: within}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		q := &quietConn{Conn: conn}
		q.change.L = &q.mu
		return q, nil
	}
}

// A quietConn knows whether somebody waits for its data. net/http reads on after every answer. While no request is under way, it comes to
// wait exactly if it has nothing in its buffers, and closes the connection otherwise.
type quietConn struct {
	net.Conn
	mu              sync.Mutex
	change          sync.Cond
	reading, closed bool
}

// Read implements [net.Conn].
func (c *quietConn) Read(b []byte) (int, error) {
	c.set(&c.reading, true)
	n, err := c.Conn.Read(b)
	c.set(&c.reading, false)
	return n, err
}

// Close implements [net.Conn].
func (c *quietConn) Close() error {
	c.set(&c.closed, true)
	return c.Conn.Close()
}

func (c *quietConn) set(field *bool, value bool) {
	c.mu.Lock()
	*field = value
	c.mu.Unlock()
	if value {
		c.change.Broadcast()
	}
}

// settle returns when the connection is being read or closed.
func (c *quietConn) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.reading && !c.closed {
		c.change.Wait()
	}
}
