package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// A log keeps the requests that a server saw. It is safe for concurrent use.
type log struct {
	mu       sync.Mutex
	messages []*message
}

func (l *log) add(m *message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.messages = append(l.messages, m)
}

// take returns what came in since the last take.
func (l *log) take() []*message {
	l.mu.Lock()
	defer l.mu.Unlock()
	messages := l.messages
	l.messages = nil
	return messages
}

// serve runs handle for each connection to a free port of the loopback interface until the test ends, and returns the
// address.
func serve(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				handle(conn)
			}()
		}
	}()
	return listener.Addr().String()
}

// An app is the application behind the proxy. It says "app" and the target to everybody, shakes hands for a WebSocket
// and then repeats each byte, and keeps what it saw as it came off the wire.
type app struct {
	log
	addr string
}

func startApp(t *testing.T) *app {
	a := &app{}
	a.addr = serve(t, a.handle)
	return a
}

func (a *app) handle(conn net.Conn) {
	r := bufio.NewReader(conn)
	for {
		m, err := readMessage(r)
		if err != nil {
			return
		}
		a.add(m)
		if strings.EqualFold(m.one("Upgrade"), "websocket") && strings.EqualFold(m.one("Connection"), "upgrade") {
			// RFC 6455, section 4.2.2: HAProxy checks the key.
			accept := sha1.Sum([]byte(m.one("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
			fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n",
				base64.StdEncoding.EncodeToString(accept[:]))
			io.Copy(conn, r)
			return
		}
		body := "app " + m.target()
		if m.method() == "HEAD" {
			body = ""
		}
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
}

// A relay passes connections on to the auth server and keeps the questions as they came off the wire.
type relay struct {
	log
	addr string
}

func startRelay(t *testing.T, server string) *relay {
	r := &relay{}
	r.addr = serve(t, func(client net.Conn) { r.handle(client, server) })
	return r
}

// handle keeps a question before it passes it on, so that it is kept when the answer is there.
func (r *relay) handle(client net.Conn, server string) {
	upstream, err := net.DialTimeout("tcp", server, patience)
	if err != nil {
		return
	}
	defer upstream.Close()
	go func() {
		defer client.Close()
		io.Copy(client, upstream)
	}()
	var raw bytes.Buffer
	in := bufio.NewReader(io.TeeReader(client, &raw))
	for {
		m, err := readMessage(in)
		if err != nil {
			return
		}
		r.add(m)
		if _, err := raw.WriteTo(upstream); err != nil {
			return
		}
	}
}
