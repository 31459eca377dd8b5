// Command jack is the smallest program with log-ins: one user, a button to log in, a button to log out, and two pages, one of which jack may see.
// Nobody asks him for a password; examples/dictionary does. Everything that could fail does so with a message, and nothing is open by mistake.
//
//	go run ./examples/jack -store sqlite:jack.db
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
	"github.com/gatehouse-auth/gatehouse/session"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "jack:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. It writes its address to stdout.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("jack", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:8091", "where to listen: `host:port`")
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
	h, err := newHandler(sessions, cookie)
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
