package redis_test

import (
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
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/store/redis"
)

// A pair is a certificate and its key, in files and as the CA that vouches for it: itself.
type pair struct {
	certFile, keyFile string
	pool              *x509.CertPool
	cert              tls.Certificate
}

// selfSigned makes a certificate for the names, valid until an hour after now.
func selfSigned(t *testing.T, now time.Time, names ...string) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "test"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	dir := t.TempDir()
	p := pair{certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem"), pool: x509.NewCertPool()}
	p.pool.AppendCertsFromPEM(certPEM)
	if p.cert, err = tls.X509KeyPair(certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{p.certFile: certPEM, p.keyFile: keyPEM} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// startTLS starts a redis-server that speaks TLS only.
func startTLS(t *testing.T, p pair, args ...string) *server {
	t.Helper()
	s := newServer(t, "redis-server")
	s.args = append([]string{"--port", "0", "--tls-port", strconv.Itoa(s.port), "--tls-cert-file", p.certFile, "--tls-key-file", p.keyFile,
		"--tls-ca-cert-file", p.certFile, "--tls-auth-clients", "no", "--requirepass", "hunter2"}, args...)
	s.start()
	return s
}

func TestTLS(t *testing.T) {
	p := selfSigned(t, time.Now(), "localhost", "127.0.0.1")
	s := startTLS(t, p)
	o := options(t, "rediss://:hunter2@localhost:"+strconv.Itoa(s.port))
	o.TLS.RootCAs = p.pool
	db := open(t, o)
	works(t, db)
	says(t, db, " db 0 (TLS): connected (redis ")

	o.TLS.RootCAs = nil // the DB has a copy
	s.stop()
	s.start()
	s.await("the store does not connect again", func() bool { return worksNot(t, db) == nil })

	o.TLS.InsecureSkipVerify = true
	says(t, open(t, o), " (TLS, certificate not verified): connected")
}

func TestTLSRefuses(t *testing.T) {
	p, other := selfSigned(t, time.Now(), "localhost"), selfSigned(t, time.Now(), "localhost")
	s := startTLS(t, p)
	for name, test := range map[string]struct {
		change func(o *redis.Options)
		words  string
	}{
		"the CAs of the system": {func(o *redis.Options) { o.TLS.RootCAs = nil }, "certificate is not trusted"},
		"the wrong CA":          {func(o *redis.Options) { o.TLS.RootCAs = other.pool }, "certificate is not trusted"},
		"no CA":                 {func(o *redis.Options) { o.TLS.RootCAs = x509.NewCertPool() }, "certificate is not trusted"},
		"another address":       {func(o *redis.Options) { o.Host = "127.0.0.1" }, "certificate is not trusted"},
		"another name":          {func(o *redis.Options) { o.TLS.ServerName = "redis.example.org" }, "certificate is not trusted"},
		"an old version": {func(o *redis.Options) { o.TLS.MinVersion, o.TLS.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 },
			"refuses our side of TLS"},
		"a wrong password": {func(o *redis.Options) { o.Password = gatehouse.NewSecret("hunter3") }, "refuses the user or the password"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t, "rediss://:hunter2@localhost:"+strconv.Itoa(s.port))
			o.TLS.RootCAs = p.pool
			test.change(&o)
			refuses(t, o, test.words)
		})
	}
}

func TestTLSExpired(t *testing.T) {
	p := selfSigned(t, time.Now().Add(-2*time.Hour), "localhost")
	s := startTLS(t, p)
	o := options(t, "rediss://:hunter2@localhost:"+strconv.Itoa(s.port))
	o.TLS.RootCAs = p.pool
	refuses(t, o, "certificate is not trusted")
}

func TestTLSClientCertificate(t *testing.T) {
	p := selfSigned(t, time.Now(), "localhost")
	s := startTLS(t, p, "--tls-auth-clients", "yes")
	o := options(t, "rediss://:hunter2@localhost:"+strconv.Itoa(s.port))
	o.TLS.RootCAs = p.pool
	if db, err := redis.Open(t.Context(), o); err == nil { // its alert may be lost when it closes the connection
		says(t, db, "does it want a client certificate?")
		db.Close()
	} else if !strings.Contains(err.Error(), "does it want a client certificate?") {
		t.Errorf("Open without a client certificate = %v, want an error that asks for one", err)
	}
	o.TLS.Certificates = []tls.Certificate{p.cert}
	works(t, open(t, o))
}

// TestTLSMismatch: one side speaks TLS and the other one does not.
func TestTLSMismatch(t *testing.T) {
	plain := startServer(t) // takes our hello for the beginning of a command
	o := options(t, "rediss://localhost:"+strconv.Itoa(plain.port))
	o.Timeout = 300 * time.Millisecond
	if db, err := redis.Open(t.Context(), o); err == nil {
		says(t, db, "does it speak TLS on this port?")
		db.Close()
	} else if !strings.Contains(err.Error(), "does not speak TLS") {
		t.Errorf("Open with TLS of a server without = %v, want an error that says so", err)
	}
	o = fake(t, "", func(c net.Conn, _ string) { io.WriteString(c, "-ERR Protocol error\r\n") })
	o.TLS = new(tls.Config)
	refuses(t, o, "does not speak TLS on this port")

	s := startTLS(t, selfSigned(t, time.Now(), "localhost"))
	db := open(t, options(t, "redis://:hunter2@localhost:"+strconv.Itoa(s.port)))
	if err := db.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "does it want TLS (rediss)?") {
		t.Errorf("Ping of a server that wants TLS = %v, want an error that asks for it", err)
	}
	allFail(t, db, record("anna", time.Hour), "not reachable yet")
}

// TestPasswordWaitsForGreeting: what does not answer like Redis is not told the password.
func TestPasswordWaitsForGreeting(t *testing.T) {
	heard := make(chan string, 1)
	o := fake(t, "", func(c net.Conn, first string) {
		io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		rest, _ := io.ReadAll(c)
		heard <- first + string(rest)
	})
	refuses(t, o, "does not speak Redis's protocol")
	if got := <-heard; strings.Contains(got, "hunter2") || !strings.Contains(got, "PING") {
		t.Errorf("a stranger has heard %q, want a PING and no password", got)
	}
}
