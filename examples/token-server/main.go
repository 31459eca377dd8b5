// Command token-server answers requests that carry one of the tokens in its configuration, and refuses all others before it reads
// their bodies. It shows a whole program on the library; a faulty configuration stops it with a message.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
)

// config is config.json.
type config struct {
	Server struct {
		HTTP struct {
			Host           string   `json:"host"`             // empty: 127.0.0.1
			Port           int      `json:"port"`             // 0: any free one
			RequestMaxSize int64    `json:"request_max_size"` // bytes; 0: no limit
			AllowedTokens  []string `json:"allowed_tokens"`   // none: nobody gets in
		} `json:"http"`
	} `json:"server"`
	Log struct {
		Level []struct {
			Level slog.Level `json:"level"` // DEBUG, INFO, WARN or ERROR; the last one counts, there is one logger
		} `json:"level"`
	} `json:"log"`
}

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "token-server:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. It writes its address and its log to stdout.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("token-server", flag.ContinueOnError)
	name := flags.String("config", "config.json", "the configuration `file`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	text, err := os.ReadFile(*name)
	if err != nil {
		return err
	}
	var c config
	if err := json.Unmarshal(text, &c); err != nil {
		return fmt.Errorf("%s: %w", *name, err)
	}
	h, err := handler(c, stdout)
	if err != nil {
		return fmt.Errorf("%s: %w", *name, err)
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", cmp.Or(c.Server.HTTP.Host, "127.0.0.1"), c.Server.HTTP.Port))
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "listening on http://%s\n", listener.Addr())
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, DisableGeneralOptionsHandler: true}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(listener); ctx.Err() == nil {
		return err
	}
	return nil
}

// handler returns the program behind its guard. /status is public; everything else needs a token.
func handler(c config, stdout io.Writer) (http.Handler, error) {
	options := &slog.HandlerOptions{}
	for _, l := range c.Log.Level {
		options.Level = l.Level
	}
	log := slog.New(slog.NewTextHandler(stdout, options))
	var list []carrier.StaticToken
	for i, token := range c.Server.HTTP.AllowedTokens {
		list = append(list, carrier.StaticToken{Name: fmt.Sprintf("token-%d", i+1), Hash: carrier.HashToken(token)})
	}
	tokens, err := carrier.NewStatic(list)
	if err != nil {
		return nil, err
	}
	g, err := guard.TokenAuth(tokens.Lookup, guard.PublicRoutes("/status"), guard.MaxBody(c.Server.HTTP.RequestMaxSize), guard.Logger(log))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ping", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"text":"pong","status":"success"}`) })
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"text":"up","status":"success"}`) })
	mux.Handle("POST /stt", g.Answers().Handler(stt))
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		mux.ServeHTTP(w, r)
	})
	return guard.Observe(g.Handler(app), time.Now, func(_ *http.Request, d guard.Description, _ *guard.Verdict) { log.Info("request", "r", d) }), nil
}

// stt says what a recording is, where another program would say what it says. The guard answers its error: 413 over the limit.
func stt(w http.ResponseWriter, r *http.Request) error {
	start := time.Now()
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // of a bad one nothing is known
	size, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(map[string]any{
		"text": fmt.Sprintf("%d bytes of %s", size, cmp.Or(media, "application/octet-stream")), "proc_duration": time.Since(start).Seconds(), "status": "success",
	})
}
