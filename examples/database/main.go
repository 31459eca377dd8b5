// Command database keeps its users and what they may do in tables: whoever is disabled or loses a permission there is refused from the next request on. The users
// admin, moderator and user come from another system, with hashes of the password "password" that were made there; each gets a hash of today with the next log-in.
//
//	go run ./examples/database -db users.db
//	curl -i -c jar -d login=moderator -d password=password http://127.0.0.1:8093/login
//	curl -i -b jar http://127.0.0.1:8093/protected
//	sqlite3 users.db "UPDATE users SET disabled = 1 WHERE username = 'moderator'"
//	curl -i -b jar http://127.0.0.1:8093/protected
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
	"github.com/gatehouse-auth/gatehouse/store/sqlite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "database:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. It writes its address to stdout.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("database", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:8093", "where to listen: `host:port`")
	public := flags.String("public-url", "", "where browsers find this program, if TLS ends in front of it: `https://…`")
	file := flags.String("db", ":memory:", "the `file` with the users, made if there is none; without it they end with the program")
	where := flags.String("store", "", "where sessions are kept: `memory`, sqlite:FILE, postgres://… or redis://…; empty: beside the users")
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
	db, err := sqlite.Open(ctx, *file)
	if err != nil {
		return err
	}
	defer db.Close()
	var store session.Store = sqlite.Sessions(db)
	if *where != "" {
		other, closeStore, err := openStore(ctx, *where)
		if err != nil {
			return err
		}
		defer closeStore()
		store = other
	}
	sessions := session.New(store, session.Config{Idle: 12 * time.Hour, Absolute: 30 * 24 * time.Hour})
	go sessions.KeepPruned(ctx, time.Tick(time.Hour))
	hasher, err := passwd.New(passwd.Config{}) // argon2id with parameters that are good for a server
	if err != nil {
		return err
	}
	app, err := newApp(ctx, db.SQL(), hasher)
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
