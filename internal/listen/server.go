// Package listen is everything around http.Server that a server at the edge needs.
//
//	s, err := listen.New(listen.Config{Addr: "127.0.0.1:8443", Handler: h, CertFile: "cert.pem", KeyFile: "key.pem", Logger: log})
//	addr, err := s.Start()
//	…
//	err = s.Shutdown(ctx)
//
// A [Server] has a deadline for everything a client can delay, yet lets streams live ([Deadlines]); speaks HTTP/1.1 and
// HTTP/2, TLS 1.2 and 1.3 with forward secrecy and authenticated encryption only; takes over a renewed certificate without
// a restart; and ends in order. What it needs and cannot have, it says in [New] or [Server.Start], before it serves anybody.
//
// Beside it: a self-signed pair for development ([SelfSigned]), the admin socket ([Unix]), changed files ([Watch]).
package listen

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// maxStreams bounds the requests that one HTTP/2 connection has under way.
const maxStreams = 250

// ErrCut is wrapped by the error of [Server.Shutdown] if the grace was over before all requests and connections were.
var ErrCut = errors.New("connections were cut")

// Config says where and how a server listens. Durations: zero means the default, less than zero none.
type Config struct {
	// Addr is host:port; an empty host means all addresses, port 0 any free one. Ignored if Listener is set.
	Addr string
	// Listener is used instead of Addr, say one from [Unix]. The server closes it.
	Listener net.Listener
	// Handler answers all requests, "OPTIONS *" included. Required. [Deadlines] is put around it.
	Handler http.Handler
	// CertFile and KeyFile name PEM files, the certificate chain leaf first and its key. Both or none: TLS or not.
	CertFile, KeyFile string
	// CertPoll is how often those files are looked at for a change. Default 10 s; none: only Reload looks.
	CertPoll time.Duration
	// H2C also speaks HTTP/2 without TLS, to clients that begin with it (prior knowledge).
	H2C bool

	// HeaderTimeout bounds the TLS handshake and the headers of a request. Default 10 s.
	HeaderTimeout time.Duration
	// ReadTimeout and WriteTimeout bound the time without progress of a body. Defaults 30 s. See [Deadlines].
	ReadTimeout, WriteTimeout time.Duration
	// IdleTimeout bounds the time between two requests of a connection. Default 2 min.
	IdleTimeout time.Duration
	// Grace bounds Shutdown. Default 10 s; none: Shutdown waits as long as its context.
	Grace time.Duration
	// MaxHeaderBytes bounds request line and headers together. Default 64 KiB (net/http adds 4 KiB of slack).
	MaxHeaderBytes int

	// Draining, if not nil, is called first by Shutdown, while requests are still accepted: say, to turn readiness off
	// and to wait until the load balancer has seen it.
	Draining func(ctx context.Context)
	// Logger gets what net/http says (DEBUG, what hints at a fault of ours WARNING and ERROR) and news of certificates.
	// Required.
	Logger *slog.Logger
	// Now is the clock for certificates; nil means time.Now.
	Now func() time.Time
}

// A Server listens once: Start, then Shutdown.
type Server struct {
	c        Config
	http     *http.Server
	cert     *certificate // nil without TLS
	hijacked conns
	failed   chan error
	stop     context.CancelFunc // ends the goroutines below
	running  sync.WaitGroup
}

// New checks c and loads the certificate. The error says what to do.
func New(c Config) (*Server, error) {
	if c.Handler == nil || c.Logger == nil {
		return nil, errors.New("listen: Handler and Logger are required")
	}
	s := &Server{c: withDefaults(c), failed: make(chan error, 1), stop: func() {}}
	if err := s.loadCertificate(); err != nil {
		return nil, err
	}
	s.http = s.newHTTP()
	return s, nil
}

func withDefaults(c Config) Config {
	c.CertPoll = cmp.Or(c.CertPoll, 10*time.Second)
	c.HeaderTimeout = cmp.Or(c.HeaderTimeout, 10*time.Second)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, 30*time.Second)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 30*time.Second)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, 2*time.Minute)
	c.Grace = cmp.Or(c.Grace, 10*time.Second)
	c.MaxHeaderBytes = cmp.Or(c.MaxHeaderBytes, 64<<10)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func (s *Server) loadCertificate() error {
	if s.c.CertFile == "" && s.c.KeyFile == "" {
		return nil
	}
	if s.c.CertFile == "" || s.c.KeyFile == "" {
		return errors.New("TLS needs a certificate and its key: set both cert_file and key_file, or neither for plain HTTP")
	}
	cert := &certificate{certFile: s.c.CertFile, keyFile: s.c.KeyFile, log: s.c.Logger, now: s.c.Now}
	s.cert = cert
	return cert.load()
}

func (s *Server) newHTTP() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(s.cert != nil)
	protocols.SetUnencryptedHTTP2(s.c.H2C && s.cert == nil)
	h := &http.Server{
		Handler:                      Deadlines(s.c.Handler, s.c.ReadTimeout, s.c.WriteTimeout),
		DisableGeneralOptionsHandler: true, // the guard judges everything
		ReadHeaderTimeout:            s.c.HeaderTimeout,
		IdleTimeout:                  s.c.IdleTimeout,
		MaxHeaderBytes:               s.c.MaxHeaderBytes,
		Protocols:                    protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams,
			WriteByteTimeout:     max(0, s.c.WriteTimeout),
			SendPingTimeout:      30 * time.Second, // notices a dead peer while a stream is open
		},
		ErrorLog:  log.New(errorLog{s.c.Logger}, "", 0),
		ConnState: s.connState,
	}
	if s.cert != nil {
		h.TLSConfig = tlsConfig(s.cert.get)
	}
	return h
}

func (s *Server) connState(c net.Conn, state http.ConnState) {
	if state == http.StateHijacked {
		s.hijacked.add(accepted(c))
	}
}

// Start begins to listen and returns the address, as it became. It must be called once.
func (s *Server) Start() (net.Addr, error) {
	l := s.c.Listener
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", s.c.Addr); err != nil {
			return nil, fmt.Errorf("cannot listen on %s: %w: stop what uses the address, or choose another host or port", s.c.Addr, err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	if s.cert != nil {
		s.running.Go(func() { s.cert.follow(ctx, s.c.CertPoll) })
	}
	s.running.Go(func() { s.serve(tracking{l, &s.hijacked}) })
	return l.Addr(), nil
}

func (s *Server) serve(l net.Listener) {
	var err error
	if s.cert != nil {
		err = s.http.ServeTLS(l, "", "")
	} else {
		err = s.http.Serve(l)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		s.failed <- err
	}
}

// Failed delivers the error if the server stops to accept without Shutdown.
func (s *Server) Failed() <-chan error { return s.failed }

// Reload loads the certificate again, without regard to times and sizes. If the new pair is no good, the old one stays, the
// error is logged, and returned. Without TLS it does nothing.
func (s *Server) Reload() error {
	if s.cert == nil {
		return nil
	}
	return s.cert.reload()
}

// Shutdown calls Draining, stops to accept, lets requests and hijacked connections come to their end, and closes what is
// left when the grace or ctx is over; then the error wraps [ErrCut]. A ctx that is done closes everything at once.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.c.Draining != nil {
		s.c.Draining(ctx)
	}
	if s.c.Grace > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.c.Grace)
		defer cancel()
	}
	err := s.http.Shutdown(ctx)
	s.hijacked.wait(ctx)
	upgraded := s.hijacked.closeAll()
	_ = s.http.Close() // what Shutdown could not wait for; the error is of a listener that is closed
	s.stop()
	s.running.Wait()
	switch {
	case ctx.Err() != nil && err != nil:
		return fmt.Errorf("%w at the end of the grace: requests under way, %d upgraded connections", ErrCut, upgraded)
	case upgraded > 0:
		return fmt.Errorf("%w at the end of the grace: %d upgraded connections", ErrCut, upgraded)
	}
	return err
}

// errorLog takes what http.Server prints. The text may hold what a client sent: it becomes a value, never a message.
type errorLog struct{ log *slog.Logger }

// Write logs one message of net/http.
func (e errorLog) Write(p []byte) (int, error) {
	text := strings.TrimRight(string(p), "\n")
	e.log.LogAttrs(context.Background(), errorLevel(text), "http server", slog.String("detail", text))
	return len(p), nil
}

// errorLevel tells faults of ours from what clients do all day.
func errorLevel(text string) slog.Level {
	for _, l := range []struct {
		prefix string
		level  slog.Level
	}{
		{"http: panic serving", slog.LevelError}, {"http2: panic serving", slog.LevelError}, {"http: Accept error", slog.LevelWarn},
		{"http: superfluous", slog.LevelWarn}, {"http: response.", slog.LevelWarn}, {"http: WriteHeader", slog.LevelWarn},
		{"http: invalid Content-Length", slog.LevelWarn},
	} {
		if strings.HasPrefix(text, l.prefix) {
			return l.level
		}
	}
	return slog.LevelDebug
}

// tlsConfig offers forward secrecy with authenticated encryption and nothing else: the list is of TLS 1.2, without the
// CBC suites that crypto/tls would add; the suites of TLS 1.3 are all good, and fixed.
func tlsConfig(get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		GetCertificate: get,
	}
}
