package token

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

// How keys are fetched: how large a set may be, how long it may take, how long it counts at least and at most, how long it still counts when it cannot be fetched again, and how often a
// key that is not in it makes it be fetched.
const (
	maxKeySet    = 1 << 20
	fetchTimeout = 5 * time.Second
	minKeyAge    = time.Minute
	maxKeyAge    = time.Hour
	maxStaleKeys = time.Hour
	fetchPause   = time.Minute
	failurePause = 5 * time.Second
)

// remoteKeys are keys that another issuer publishes. They are fetched once for all who wait, and used while they are fetched again.
type remoteKeys struct {
	c      ForeignConfig
	client *http.Client

	mu      sync.Mutex
	keys    []*keyring.Key
	expires time.Time     // when the keys in use are to be fetched again
	next    time.Time     // before that, nothing is fetched
	flight  chan struct{} // closed when the fetch under way ends; nil: there is none
	failed  error         // of the last fetch
}

func newRemoteKeys(c ForeignConfig) (*remoteKeys, error) {
	u, err := url.Parse(c.JWKSURL)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "":
		return nil, errors.New("the URL of the keys is none")
	case u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())):
		return nil, errors.New("the URL of the keys must be one of https: over plain http, whoever is in between could give us keys")
	}
	transport := c.Transport
	if transport == nil {
		proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u})
		if err != nil {
			return nil, fmt.Errorf("the proxy that the environment names: %w", err)
		}
		transport = transportTo(u.Hostname(), proxy)
	}
	return &remoteKeys{c: c, client: &http.Client{Transport: transport, Timeout: fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("it redirects: give the last URL") }}}, nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

// transportTo returns a transport that dials host where dialOnly lets it, or else a proxy, which may be anywhere, and nothing beside.
func transportTo(host string, proxy *url.URL) *http.Transport {
	dialer := &net.Dialer{Timeout: fetchTimeout}
	if proxy == nil {
		dialer.Control = dialOnly(host)
	}
	return &http.Transport{Proxy: http.ProxyURL(proxy), DialContext: dialer.DialContext, TLSHandshakeTimeout: fetchTimeout, ResponseHeaderTimeout: fetchTimeout,
		MaxResponseHeaderBytes: 64 << 10, MaxIdleConns: 1, IdleConnTimeout: time.Minute}
}

// dialOnly refuses addresses that a name in a configuration should not lead to: this machine, unless it is named as such, anything but this machine where it is, and the link, where clouds
// keep their metadata. It is asked about each address that is dialled, after the name was resolved.
func dialOnly(host string) func(network, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		addr := ap.Addr().Unmap()
		if addr.IsLoopback() != isLoopback(host) || addr.IsLinkLocalUnicast() || addr.IsUnspecified() || addr.IsMulticast() {
			return fmt.Errorf("the name %s leads to %v, where nothing is fetched from", host, addr)
		}
		return nil
	}
}

// find returns the key that the header names, or the only ones there are for its algorithm.
func (r *remoteKeys) find(ctx context.Context, h header) ([]*keyring.Key, error) {
	if !slices.Contains(r.c.Algorithms, h.Algorithm) {
		return nil, errForm("its algorithm is none that the issuer uses")
	}
	keys, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	found := match(keys, h)
	if len(found) == 0 {
		if keys, err = r.renewed(ctx); err != nil {
			return nil, err
		}
		found = match(keys, h)
	}
	if len(found) != 1 { // none, or several and the token does not say which
		return nil, errUnknownKey
	}
	return found, nil
}

// match returns the keys that may have signed a token with this header.
func match(keys []*keyring.Key, h header) []*keyring.Key {
	var found []*keyring.Key
	for _, key := range keys {
		if key.Algorithm() == h.Algorithm && (h.Key == "" || h.Key == key.ID()) {
			found = append(found, key)
		}
	}
	return found
}

func (r *remoteKeys) live(ctx context.Context, key *keyring.Key) (bool, error) {
	keys, err := r.current(ctx)
	return slices.Contains(keys, key), err
}

// current returns the keys in use. Where they are due, they are fetched again; whoever asks meanwhile gets the old ones, for a time.
func (r *remoteKeys) current(ctx context.Context) ([]*keyring.Key, error) {
	r.mu.Lock()
	now := r.c.Now()
	keys, due, usable := r.keys, !now.Before(r.expires), r.keys != nil && now.Before(r.expires.Add(maxStaleKeys))
	var flight chan struct{}
	if due {
		flight = r.start(now)
	}
	r.mu.Unlock()
	if usable {
		return keys, nil
	}
	return r.wait(ctx, flight)
}

// renewed returns the keys after they were fetched again, if that has not been done just now. Where it has failed, nobody can say that there is no such key.
func (r *remoteKeys) renewed(ctx context.Context) ([]*keyring.Key, error) {
	r.mu.Lock()
	flight := r.start(r.c.Now())
	r.mu.Unlock()
	keys, err := r.wait(ctx, flight)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != nil {
		return nil, errNoKeys{r.failed}
	}
	return keys, nil
}

// errNoKeys: the keys of an issuer cannot be fetched, so that nothing can be said about a token of it.
type errNoKeys struct{ cause error }

func (e errNoKeys) Error() string {
	return "token: the issuer's keys cannot be fetched: " + e.cause.Error()
}
func (e errNoKeys) Unwrap() error { return e.cause }

// start begins a fetch, unless one is under way, and returns its end; nil if it is too early for one. r.mu is held.
func (r *remoteKeys) start(now time.Time) chan struct{} {
	if r.flight == nil && !now.Before(r.next) {
		r.flight = make(chan struct{})
		go r.fetch(r.flight)
	}
	return r.flight
}

// wait waits for the end of a fetch.
func (r *remoteKeys) wait(ctx context.Context, flight chan struct{}) ([]*keyring.Key, error) {
	if flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys == nil || !r.c.Now().Before(r.expires.Add(maxStaleKeys)) {
		return nil, errNoKeys{cmp.Or(r.failed, errors.New("there was no answer"))}
	}
	return r.keys, nil
}

// fetch fetches the keys once. It is nobody's request: that one of those who wait goes away does not end it.
func (r *remoteKeys) fetch(flight chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	keys, age, err := r.ask(ctx)
	if err != nil {
		r.c.Logger.Warn("an issuer's keys could not be fetched", "url", bare(r.c.JWKSURL), "error", err.Error())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.c.Now()
	r.failed, r.flight = err, nil
	if err != nil {
		r.next = now.Add(failurePause)
	} else {
		r.keys, r.expires, r.next = keys, now.Add(age), now.Add(fetchPause)
	}
	close(flight)
}

// bare returns an address without its query, which may be a key to it.
func bare(address string) string {
	address, _, _ = strings.Cut(address, "?")
	return address
}

// ask fetches the keys, and how long they count. A panic of Config.Transport is an error: those who wait must not wait for ever.
func (r *remoteKeys) ask(ctx context.Context) (_ []*keyring.Key, _ time.Duration, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("fetching panicked (%T)", value)
		}
	}()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.c.JWKSURL, nil)
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := r.client.Do(request)
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err // without the URL
	}
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("the answer is %s", response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxKeySet+1))
	if err != nil {
		return nil, 0, err
	}
	if len(text) > maxKeySet {
		return nil, 0, fmt.Errorf("the set of keys is larger than %d bytes", maxKeySet)
	}
	keys, err := keyring.ParseJWKS(text)
	if err != nil {
		return nil, 0, err
	}
	if keys == nil {
		keys = []*keyring.Key{} // an issuer that has withdrawn all its keys
	}
	return keys, maxAge(response.Header.Get("Cache-Control")), nil
}

// maxAge returns what a Cache-Control field allows, within bounds.
func maxAge(field string) time.Duration {
	age := 5 * time.Minute
	for _, directive := range strings.Split(field, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if seconds, err := strconv.Atoi(strings.Trim(value, `"`)); err == nil && strings.EqualFold(name, "max-age") {
			age = time.Duration(min(max(seconds, 0), 86400)) * time.Second
		}
	}
	return min(max(age, minKeyAge), maxKeyAge)
}
