package listen

import (
	"context"
	"crypto/tls"
	"maps"
	"net"
	"slices"
	"sync"
)

// conns knows the connections that were hijacked and are open: http.Server forgets them.
type conns struct {
	mu    sync.Mutex
	open  map[net.Conn]struct{}
	shut  bool
	empty chan struct{} // closed when the last one goes; nil unless somebody waits
}

// add remembers c. After closeAll it closes c instead.
func (s *conns) add(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		go c.Close() // Close asks for mu
		return
	}
	if s.open == nil {
		s.open = make(map[net.Conn]struct{})
	}
	s.open[c] = struct{}{}
}

func (s *conns) remove(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	if len(s.open) == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
}

// wait returns when no connection is open, or ctx is done.
func (s *conns) wait(ctx context.Context) {
	s.mu.Lock()
	if len(s.open) == 0 {
		s.mu.Unlock()
		return
	}
	if s.empty == nil {
		s.empty = make(chan struct{})
	}
	empty := s.empty
	s.mu.Unlock()
	select {
	case <-empty:
	case <-ctx.Done():
	}
}

// closeAll closes every connection, now and to come, and returns how many were open.
func (s *conns) closeAll() int {
	s.mu.Lock()
	s.shut = true
	open := slices.Collect(maps.Keys(s.open))
	s.mu.Unlock()
	for _, c := range open {
		c.Close()
	}
	return len(open)
}

// tracking is a listener whose connections leave the set when they are closed.
type tracking struct {
	net.Listener
	set *conns
}

// Accept waits for the next connection.
func (l tracking) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		return &tcpConn{tcp, l.set}, nil
	}
	return &otherConn{c, l.set}, nil
}

// tcpConn keeps the methods of *net.TCPConn: sendfile, splice and half-close need them.
type tcpConn struct {
	*net.TCPConn
	set *conns
}

// Close closes the connection.
func (c *tcpConn) Close() error {
	c.set.remove(c)
	return c.TCPConn.Close()
}

// otherConn is any other connection, say of a Unix socket.
type otherConn struct {
	net.Conn
	set *conns
}

// Close closes the connection.
func (c *otherConn) Close() error {
	c.set.remove(c)
	return c.Conn.Close()
}

// accepted returns the connection as tracking.Accept returned it.
func accepted(c net.Conn) net.Conn {
	if t, ok := c.(*tls.Conn); ok {
		return t.NetConn()
	}
	return c
}
