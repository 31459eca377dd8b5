package listen

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxPEM      = 1 << 20 // bytes that a certificate or key file may have
	warnBefore  = 14 * 24 * time.Hour
	expiryCheck = 12 * time.Hour
)

// certificate is the pair in use, loaded from two files.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	current atomic.Pointer[tls.Certificate]
	mu      sync.Mutex // held while loading
	sum     [sha256.Size]byte
}

// get is for tls.Config.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current.Load(), nil
}

// load reads both files and takes them over if they are a pair and differ from the one in use.
func (c *certificate) load() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	cert, err := readPEM("certificate", c.certFile)
	if err != nil {
		return err
	}
	key, err := readPEM("key", c.keyFile)
	if err != nil {
		return err
	}
	defer clear(key)
	sum := sumOf(cert, key)
	if sum == c.sum {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("certificate %s and key %s do not belong together or are broken: %w: "+
			"put the chain, leaf first, into the one file and its unencrypted PEM key into the other", c.certFile, c.keyFile, err)
	}
	c.sum = sum
	c.current.Store(&pair)
	c.announce(pair.Leaf)
	return nil
}

// sumOf hashes both files, each on its own first, so that no byte can move from one to the other unnoticed.
func sumOf(cert, key []byte) [sha256.Size]byte {
	a, b := sha256.Sum256(cert), sha256.Sum256(key)
	return sha256.Sum256(append(a[:], b[:]...))
}

func (c *certificate) announce(leaf *x509.Certificate) {
	c.log.Info("certificate loaded", "file", c.certFile, "names", leaf.DNSNames, "not_after", leaf.NotAfter)
	if info, err := os.Stat(c.keyFile); err == nil && info.Mode().Perm()&0o077 != 0 {
		c.log.Warn("other users of this machine may read the TLS key: chmod 600 it", "file", c.keyFile, "mode", info.Mode().Perm().String())
	}
	c.checkExpiry()
}

// checkExpiry logs if the certificate in use is about to end: a fortnight before, or a third of a shorter life.
func (c *certificate) checkExpiry() {
	leaf, now := c.current.Load().Leaf, c.now()
	left := leaf.NotAfter.Sub(now)
	switch {
	case left <= 0:
		c.log.Error("the certificate has expired, clients refuse it: renew it", "file", c.certFile, "not_after", leaf.NotAfter)
	case now.Before(leaf.NotBefore):
		c.log.Error("the certificate is not valid yet, clients refuse it: look at this machine's clock", "file", c.certFile, "not_before", leaf.NotBefore)
	case left < min(warnBefore, leaf.NotAfter.Sub(leaf.NotBefore)/3):
		c.log.Warn("the certificate expires soon: renew it", "file", c.certFile, "not_after", leaf.NotAfter)
	}
}

// reload is load for a server that runs: an error is logged and the pair in use stays.
func (c *certificate) reload() error {
	err := c.load()
	if err != nil {
		c.log.Error("the new certificate was not taken, the old one stays in use", "error", err)
	}
	return err
}

// follow takes over changed files, and checks for expiry, until ctx is done.
func (c *certificate) follow(ctx context.Context, every time.Duration) {
	expiry := time.NewTicker(expiryCheck)
	defer expiry.Stop()
	w := newWatcher(func() []string { return []string{c.certFile, c.keyFile} })
	var poll <-chan time.Time
	if every > 0 {
		_ = c.reload() // what changed before the watcher first looked; the error is logged
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		poll = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-expiry.C:
			c.checkExpiry()
		case <-poll:
			if w.changed() {
				_ = c.reload()
			}
		}
	}
}

// readPEM reads a file of a pair. The error says what to do about it.
func readPEM(what, name string) ([]byte, error) {
	f, err := os.Open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the TLS %s does not exist: %w: create it, correct its path, or remove the TLS settings to serve plain HTTP", what, err)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("the TLS %s is not readable: %w: let the user that gatehouse runs as (uid %d) read it", what, err, os.Getuid())
	case err != nil:
		return nil, fmt.Errorf("the TLS %s cannot be opened: %w", what, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	if err != nil {
		return nil, fmt.Errorf("the TLS %s cannot be read: %w: it must be a PEM file", what, err)
	}
	if len(data) > maxPEM {
		return nil, fmt.Errorf("the TLS %s %s has more than %d bytes: it must be a PEM file", what, name, maxPEM)
	}
	return data, nil
}
