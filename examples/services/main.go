// Command services shows programs that prove themselves to each other with private keys. One of its parts is a service: a client sends it an assertion that it has signed, gets a
// token that is good for a moment, and calls the service with it. The other part is such a client. What could fail does so with a message, and nothing is open by mistake.
//
//	go run ./examples/services               # the service; it prints what to try
//	go run ./examples/services call          # a client: an assertion, a token, a call
//	go run ./examples/services sign          # an assertion alone, for curl
//	go run ./examples/services key -client x # a new key pair for the client x
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
	"path/filepath"
	"syscall"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/token"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "services:", err)
		os.Exit(1)
	}
}

// settings are what all parts of the program are told.
type settings struct {
	addr, server, folder, client, algorithm string
}

// run does what the first of args says, until ctx ends.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	part := "serve"
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		part, args = args[0], args[1:]
	}
	s := settings{}
	flags := flag.NewFlagSet("services "+part, flag.ContinueOnError)
	flags.StringVar(&s.addr, "addr", "127.0.0.1:8095", "where the service listens: `host:port`")
	flags.StringVar(&s.server, "server", "http://127.0.0.1:8095", "where a client finds the service: `URL`")
	flags.StringVar(&s.folder, "keys", filepath.Join("gatehouse-data", "services"), "the `folder` with the keys")
	flags.StringVar(&s.client, "client", "reports", "the `name` of the client")
	flags.StringVar(&s.algorithm, "alg", "ES256", "what a new key is for: `ES256` or RS256")
	flags.SetOutput(stdout)
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	switch part {
	case "serve":
		return serve(ctx, s, stdout)
	case "key":
		return makeKey(s.folder, s.client, keyring.Algorithm(s.algorithm), stdout)
	case "sign":
		return sign(ctx, s, stdout)
	case "call":
		return call(ctx, s, stdout)
	}
	return fmt.Errorf("there is no %q: serve, call, sign or key", part)
}

// serve answers until ctx ends, and lets requests that are under way come to theirs. It writes its address and what to try to stdout.
func serve(ctx context.Context, s settings, stdout io.Writer) error {
	if err := firstKey(s, stdout); err != nil {
		return err
	}
	clients, err := readRegistry(s.folder)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	base := "http://" + listener.Addr().String()
	service, err := newService(ctx, base, clients, time.Now)
	if err != nil {
		return err
	}
	go service.ring.Keep(ctx, time.Tick(service.ring.Interval()))
	go token.KeepPruned(ctx, service.store, time.Tick(time.Minute), nil)
	fmt.Fprintf(stdout, "listening on %s\n", base)
	fmt.Fprintf(stdout, trial, base)
	server := &http.Server{Handler: service.handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute}
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

// trial is what a reader can paste into another terminal.
const trial = `try, in the same folder:
  SERVICE=%s
  ASSERTION=$(go run ./examples/services sign -server $SERVICE)
  TOKEN=$(curl -s -d grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer -d assertion=$ASSERTION $SERVICE/token | sed 's/.*"access_token":"//; s/".*//')
  curl -i -H "Authorization: Bearer $TOKEN" $SERVICE/report    # 401 for 10 s, then 200 for 20 s, then 401
  curl -i -d grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer -d assertion=$ASSERTION $SERVICE/token    # 401: the assertion has been used
  curl -i "$SERVICE/getkey?identity=../reports"    # 404
  go run ./examples/services call -server $SERVICE    # all of it in one
`
