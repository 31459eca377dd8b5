// Command films is a JSON API behind tokens of four purposes: access, refresh, verify-email and reset-password. Log-out ends the access token and the refresh token at once, log-ins are renewed
// with refresh tokens that count once, and whoever is disabled is refused from the next request on. A fault in its configuration stops it with a message.
//
//	go run ./examples/films                             # everything in memory; it prints what to try
//	go run ./examples/films -store sqlite:films.db      # what was revoked stays so after a restart
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

// A config is config.json.
type config struct {
	Issuer string `json:"issuer"`
	// Sample says that the secrets are not secret, so that nobody but this machine may reach the program.
	Sample  bool `json:"sample"`
	Secrets struct {
		Access        string `json:"access"`
		Refresh       string `json:"refresh"`
		VerifyEmail   string `json:"verify_email"`
		ResetPassword string `json:"reset_password"`
	} `json:"secrets"`
	Hours struct {
		Access        int `json:"access"`
		Refresh       int `json:"refresh"`
		VerifyEmail   int `json:"verify_email"`
		ResetPassword int `json:"reset_password"`
	} `json:"hours"`
	// Legacy takes the access tokens that the system before has made, too.
	Legacy bool `json:"legacy"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "films:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. It writes its address, and the mails that it would send, to stdout.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("films", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:8096", "where to listen: `host:port`")
	name := flags.String("config", filepath.Join("examples", "films", "config.json"), "the configuration `file`")
	where := flags.String("store", "memory", "where keys, tokens and revocations are kept: `memory` or sqlite:FILE")
	flags.SetOutput(stdout)
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	c, err := readConfig(*name)
	if err != nil {
		return err
	}
	if err := c.note(*addr, stdout); err != nil {
		return err
	}
	kept, err := openStores(ctx, *where)
	if err != nil {
		return err
	}
	defer kept.close()
	app, err := newApp(ctx, c, kept, time.Now)
	if err != nil {
		return err
	}
	app.mail = func(to, text string) { fmt.Fprintf(stdout, "a mail to %s: %s\n", to, text) }
	app.keep(ctx)
	return serve(ctx, *addr, app, stdout)
}

func readConfig(name string) (config, error) {
	file, err := os.Open(name)
	if err != nil {
		return config{}, err
	}
	defer file.Close()
	var c config
	d := json.NewDecoder(file)
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return config{}, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// note says what is weak about the secrets. Those of the sample are refused where others can reach the program.
func (c config) note(addr string, stdout io.Writer) error {
	// Secrets that begin alike were made from one another: who learns one, nearly has the others. They are strong enough all the same, so that this is a warning.
	if n := keyring.SharedPrefix(c.Secrets.Access, c.Secrets.Refresh, c.Secrets.VerifyEmail, c.Secrets.ResetPassword); n >= 8 {
		fmt.Fprintf(stdout, "note: two of the secrets begin with the same %d characters: make each anew, with gatehouse key generate\n", n)
	}
	if !c.Sample {
		return nil
	}
	fmt.Fprintln(stdout, "note: the secrets of the sample are known to everybody who has seen it")
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return fmt.Errorf("with the secrets of the sample it listens on 127.0.0.1 alone, not on %s: everybody could make tokens", addr)
	}
	return nil
}

// serve answers with h until ctx ends, and lets requests that are under way come to theirs.
func serve(ctx context.Context, addr string, h http.Handler, stdout io.Writer) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "listening on http://%s\n", listener.Addr())
	fmt.Fprintf(stdout, trial, listener.Addr())
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

// trial is what a reader can paste into another terminal.
const trial = `try:
  FILMS=http://%s/films/v1/ USERS=${FILMS%%films/v1/}users/v1
  curl -s -H 'Content-Type: application/json' -d '{"email":"alice@example.org","password":"correct horse battery"}' $USERS/login | tee login.json
  ACCESS=$(sed 's/.*"access_token":"//; s/".*//' login.json) REFRESH=$(sed 's/.*"refresh_token":"//; s/".*//' login.json)
  curl -i -H "Authorization: Bearer $ACCESS" $FILMS                   # 200
  curl -i -H "Authorization: Bearer $REFRESH" $FILMS                  # 401: it is good for something else
  curl -i -H "Authorization: Bearer $ACCESS" ${FILMS}premium          # 403: alice is basic
  curl -i -X POST -H "Authorization: Bearer $ACCESS" $USERS/logout    # 204
  curl -i -H "Authorization: Bearer $ACCESS" $FILMS                   # 401
  curl -i -H 'Content-Type: application/json' -d "{\"refresh_token\":\"$REFRESH\"}" $USERS/refresh    # 401
`
