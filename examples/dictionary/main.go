// Command dictionary has users with passwords, and pages that some of them may see. Both are in the program; examples/database keeps them in tables. Its users are devin and
// jack, and their password is "password", which no program should let anybody choose: see passwd.Policy.
//
//	go run ./examples/dictionary
//	curl -i -c jar -d username=jack -d password=password http://127.0.0.1:8092/login
//	curl -i -b jar http://127.0.0.1:8092/protected
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/passwd"
	"github.com/gatehouse-auth/gatehouse/session"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "dictionary:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. It writes its address to stdout.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("dictionary", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:8092", "where to listen: `host:port`")
	public := flags.String("public-url", "", "where browsers find this program, if TLS ends in front of it: `https://…`")
	where := flags.String("store", "memory", "where sessions are kept: `memory`, sqlite:FILE, postgres://… or redis://…")
	flags.SetOutput(stdout)
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	// A cookie must not cross a network in the clear. This refuses to, and knows the one exception, an address that only this machine can reach.
	cookie, notice, err := carrier.CookieFor(*addr, *public, false)
	if err != nil {
		return err
	}
	store, closeStore, err := openStore(ctx, *where)
	if err != nil {
		return err
	}
	defer closeStore()
	sessions := session.New(store, session.Config{Idle: 12 * time.Hour, Absolute: 30 * 24 * time.Hour})
	go sessions.KeepPruned(ctx, time.Tick(time.Hour))
	hasher, err := passwd.New(passwd.Config{}) // argon2id with parameters that are good for a server
	if err != nil {
		return err
	}
	app, err := newApp(ctx, hasher)
	if err != nil {
		return err
	}
	h, err := app.handler(sessions, cookie)
	if err != nil {
		return err
	}
	if notice != "" {
		fmt.Fprintln(stdout, "note:", notice)
	}
	return serve(ctx, *addr, h, stdout)
}

// serve answers with h until ctx ends, and lets requests that are under way come to theirs.
func serve(ctx context.Context, addr string, h http.Handler, stdout io.Writer) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "listening on http://%s\n", listener.Addr())
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	ended := make(chan error, 1)
	defer context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		ended <- server.Shutdown(last)
	})()
	if err := server.Serve(listener); ctx.Err() == nil {
		return err
	}
	return <-ended
}
