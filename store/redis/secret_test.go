package redis_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/store/redis"
)

// fake serves every connection with a function of the test's, which gets what a client has sent first, or next if it is greeted with hello.
func fake(t *testing.T, hello string, serve func(c net.Conn, first string)) redis.Options {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(10 * time.Second))
				first := make([]byte, 4096)
				n, _ := c.Read(first)
				if hello != "" {
					io.WriteString(c, hello)
					n, _ = c.Read(first)
				}
				serve(c, string(first[:n]))
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return redis.Options{Port: l.Addr().(*net.TCPAddr).Port, Password: gatehouse.NewSecret("hunter2"), Timeout: 300 * time.Millisecond}
}

// silent keeps the connection and says nothing, until the client goes away.
func silent(c net.Conn, _ string) { io.Copy(io.Discard, c) }

// TestNoRedis: what listens there is something else. Whatever it says is no session, no panic, and no reason to wait for ever.
func TestNoRedis(t *testing.T) {
	for name, said := range map[string]string{
		"nothing": "", "a list without an end": "*1", "HTTP": "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "SSH": "SSH-2.0-OpenSSH_9.2\r\n", "NULs": strings.Repeat("\x00", 1000) + "\r\n",
		"half a string": "$100\r\nabc\r\n", "another answer": "+PONG \r\n", "two line ends": "+PONG\n\r\n", "a huge string": "$9999999999999\r\n", "a negative size": "$-5\r\n", "a huge list": "*2147483647\r\n", "no number": "*x\r\n",
		"other types": "+OK\r\n", "a number": ":1\r\n", "a list": "*2\r\n+a\r\n+b\r\n", "a nil": "_\r\n", "an empty map": "%0\r\n", "a line without an end": "-ERR no end",
	} {
		t.Run(name, func(t *testing.T) {
			o := fake(t, "", func(c net.Conn, first string) { io.WriteString(c, said); silent(c, first) })
			within(t, "Open", o.Timeout, func() {
				if said != "" && strings.HasSuffix(said, "\r\n") {
					refuses(t, o, "does not speak Redis's protocol")
					return
				}
				db, err := redis.Open(t.Context(), o)
				if err != nil {
					return // it may have been found out in time
				}
				defer db.Close()
				for _, c := range calls(db, record("anna", time.Hour))[8:10] {
					fails(t, c.name, c.do(t.Context()), "redis ")
				}
			})
		})
	}
}

// TestPasswordIsKept: nothing that this package returns or prints has the password in it, even where the server repeats it.
func TestPasswordIsKept(t *testing.T) {
	echo := func(c net.Conn, first string) {
		for err := error(nil); err == nil; {
			answers := strings.Repeat("-ERR do not understand "+strings.Join(strings.Fields(first), " ")+"\r\n", strings.Count(first, "*"))
			if _, err = io.WriteString(c, answers); err != nil {
				return
			}
			next := make([]byte, 4096)
			n := 0
			n, err = c.Read(next)
			first = string(next[:n])
		}
	}
	says := func(words string) func(net.Conn, string) {
		return func(c net.Conn, first string) { echo(c, strings.Repeat("*", strings.Count(first, "*"))+words) }
	}
	for name, serve := range map[string]func(net.Conn, string){
		"repeats all":     echo,
		"unknown command": says("unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' 'hunter2'"),
		"wrong password":  says("WRONGPASS hunter2 is not the password"),
		"no protocol":     func(c net.Conn, _ string) { io.WriteString(c, "hunter2\r\n"); silent(c, "") },
		"says nothing":    silent,
		"closes at once":  func(net.Conn, string) {},
	} {
		t.Run(name, func(t *testing.T) { keepsPassword(t, fake(t, "+PONG\r\n", serve)) })
	}
	t.Run("cannot be reached", func(t *testing.T) {
		keepsPassword(t, redis.Options{Port: freePort(t), Password: gatehouse.NewSecret("hunter2")})
	})
	t.Run("no such host", func(t *testing.T) {
		keepsPassword(t, redis.Options{Host: "no-such-host.invalid", Password: gatehouse.NewSecret("hunter2"), Timeout: 200 * time.Millisecond})
	})
	t.Run("works", func(t *testing.T) {
		s := startServer(t, "--requirepass", "hunter2")
		s.secret = "hunter2"
		keepsPassword(t, s.options())
	})
}

// keepsPassword prints everything in every way.
func keepsPassword(t *testing.T, o redis.Options) {
	t.Helper()
	var b strings.Builder
	show := func(x any) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			fmt.Fprintf(&b, verb+"\n", x)
		}
		slog.New(slog.NewTextHandler(&b, nil)).Info("", "x", x)
	}
	show(o)
	db, err := redis.Open(t.Context(), o)
	show(err)
	if db != nil {
		defer db.Close()
		show(db)
		show(redis.Sessions(db))
		show(db.Ping(t.Context()))
		show(db.String())
		for _, c := range calls(db, record("anna", time.Hour))[:3] {
			for err := c.do(t.Context()); err != nil; err = errors.Unwrap(err) {
				show(err)
				if name := fmt.Sprintf("%T", err); strings.Contains(name, "rueidis") {
					t.Errorf("%s returns an error of the client library's type %s", c.name, name)
				}
			}
		}
	}
	if text := b.String(); holds(text, "hunter2") {
		t.Errorf("the password is printed: %s", text)
	}
}
