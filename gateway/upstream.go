package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// An Upstream is an application behind the proxy.
type Upstream struct {
	// Name is how routes and logs call it.
	Name string
	// URL is its origin: scheme http, https or h2c (HTTP/2 without TLS) and a host. It has no path, query or user information, because
	// what is forwarded is exactly what was judged.
	URL *url.URL
	// Connect bounds connecting with its TLS handshake, Response the time to the first byte of the answer, Idle how long an unused connection is
	// kept. Zero means 5 s, 60 s and 90 s.
	Connect, Response, Idle time.Duration
	// MaxConns bounds the connections to it; further requests wait. Zero means no bound.
	MaxConns int
	// RootCAs are the authorities for https. Nil means those of the system.
	RootCAs *x509.CertPool
}

// An upstream is an Upstream with its connections.
type upstream struct {
	name, scheme, host string
	transport          *transport
}

func newUpstream(u Upstream) (*upstream, error) {
	if u.URL == nil || u.URL.Host == "" || (u.URL.Path != "" && u.URL.Path != "/") || u.URL.RawQuery != "" || u.URL.User != nil || u.URL.Fragment != "" {
		return nil, fmt.Errorf("gateway: upstream %q: the URL is a scheme and a host, such as http://127.0.0.1:9000", u.Name)
	}
	t := &http.Transport{
		Proxy:                  nil, // never by way of a proxy that the environment names
		DialContext:            dial(or(u.Connect, 5*time.Second)),
		TLSHandshakeTimeout:    or(u.Connect, 5*time.Second),
		TLSClientConfig:        &tls.Config{RootCAs: u.RootCAs, MinVersion: tls.VersionTLS12},
		ResponseHeaderTimeout:  or(u.Response, 60*time.Second),
		IdleConnTimeout:        or(u.Idle, 90*time.Second),
		ExpectContinueTimeout:  time.Second,
		MaxIdleConnsPerHost:    256,
		MaxConnsPerHost:        u.MaxConns,
		MaxResponseHeaderBytes: 256 << 10,
		DisableCompression:     true, // bodies pass as they are
		Protocols:              new(http.Protocols),
		HTTP2:                  &http.HTTP2Config{MaxReceiveBufferPerStream: 1 << 20}, // what a slow client makes us hold; net/http's own is 4 MB
	}
	scheme := u.URL.Scheme
	switch scheme {
	case "http":
		t.Protocols.SetHTTP1(true)
	case "https":
		t.Protocols.SetHTTP1(true)
		t.Protocols.SetHTTP2(true)
	case "h2c":
		scheme = "http"
		t.Protocols.SetUnencryptedHTTP2(true)
	default:
		return nil, fmt.Errorf("gateway: upstream %q: the scheme is http, https or h2c", u.Name)
	}
	return &upstream{u.Name, scheme, u.URL.Host, &transport{Transport: t, h2c: u.URL.Scheme == "h2c"}}, nil
}

func or(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return d
}
