package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A pair is a certificate for 127.0.0.1 and its key, in PEM.
type pair struct{ cert, key string }

// newPair makes a self-signed pair with a serial number to know it by.
func newPair(t *testing.T, serial int64) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(100 * 24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))}
}

func (p pair) install(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "tls"), 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "tls/key.pem", p.key)
	put(t, dir, "tls/cert.pem", p.cert)
}

// serial returns the serial number of the certificate that a new connection gets. Whether it can be trusted is not the question.
func serial(t *testing.T, addr string) int64 {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// overTLS asks GET /ping of a server that the certificate of p is for, and returns the status and the protocol.
func overTLS(t *testing.T, g *gate, p pair) (int, string) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(p.cert))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+"/ping", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Token token-number-one")
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	lawful(t, "GET /ping", reply{response.StatusCode, response.Header, string(body)})
	return response.StatusCode, response.Proto
}

func TestTLSFromFiles(t *testing.T) {
	t.Parallel()
	dir, first := shortDir(t), newPair(t, 1)
	first.install(t, dir)
	g := begin(t, launchPlan{dir: dir, file: "tls.yaml"})
	if status, proto := overTLS(t, g, first); status != 200 || proto != "HTTP/2.0" {
		t.Errorf("GET /ping = %d over %s, want 200 over HTTP/2.0", status, proto)
	}
	if got, err := attempt(t, g.addr, request("GET /ping")); err == nil && got.status != 400 {
		t.Errorf("a request without TLS = %d, want it refused", got.status)
	}

	second := newPair(t, 2)
	pair{second.cert, first.key}.install(t, dir) // half of a renewal
	g.reload(t, "the new certificate was not taken, the old one stays in use")
	if got := serial(t, g.addr); got != 1 {
		t.Errorf("with a pair that does not fit: certificate %d, want the old one", got)
	}
	pair{"garbage", "garbage"}.install(t, dir)
	g.reload(t, "the new certificate was not taken, the old one stays in use")
	if got := serial(t, g.addr); got != 1 {
		t.Errorf("with a broken pair: certificate %d, want the old one", got)
	}
	second.install(t, dir)
	g.reload(t, "certificate loaded")
	if status, _ := overTLS(t, g, second); status != 200 {
		t.Errorf("GET /ping with the new pair = %d, want 200", status)
	}
	if got := serial(t, g.addr); got != 2 {
		t.Errorf("after the renewal: certificate %d, want the new one", got)
	}
}

// TestTLSFollowsItsFiles: a renewed pair is taken without a signal. The files are looked at every ten seconds.
func TestTLSFollowsItsFiles(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	newPair(t, 1).install(t, dir)
	g := begin(t, launchPlan{dir: dir, file: "tls.yaml"})
	newPair(t, 2).install(t, dir)
	for loaded := int64(1); loaded != 2; loaded = serial(t, g.addr) {
		g.logged(t, "certificate loaded")
	}
}
