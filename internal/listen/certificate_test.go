package listen_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/listen"
)

// selfSigned returns a fresh pair.
func selfSigned(t *testing.T) (cert, key string) {
	t.Helper()
	cert, key, err := listen.SelfSigned(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// move puts the files of a pair over another, by rename, as tools that renew do.
func move(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to+".new", data, 0o600)
	}
	if err == nil {
		err = os.Rename(to+".new", to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// served returns the certificate that a new connection gets.
func served(t *testing.T, addr string) string {
	t.Helper()
	c, err := tls.Dial("tcp", addr, insecure())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return string(c.ConnectionState().PeerCertificates[0].Raw)
}

// onDisk returns the certificate in a file.
func onDisk(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	return string(block.Bytes)
}

func TestRenewedCertificateIsTakenOver(t *testing.T) {
	cert, key := selfSigned(t)
	var out journal
	_, addr := begin(t, listen.Config{Handler: http.HandlerFunc(protocolName), CertFile: cert, KeyFile: key, CertPoll: limit / 4, Logger: out.logger()})
	old := served(t, addr)
	newCert, newKey := selfSigned(t)
	move(t, newCert, cert)
	eventually(t, "the complaint about half a pair", func() bool { return strings.Contains(out.String(), "level=ERROR") })
	if got := served(t, addr); got != old {
		t.Error("half a pair replaced the good one")
	}
	move(t, newKey, key)
	want := onDisk(t, newCert)
	eventually(t, "the new certificate", func() bool { return served(t, addr) == want })
}

func TestReloadKeepsTheLastGoodPair(t *testing.T) {
	cert, key := selfSigned(t)
	var out journal
	s, addr := begin(t, listen.Config{Handler: http.HandlerFunc(protocolName), CertFile: cert, KeyFile: key, CertPoll: -1, Logger: out.logger()})
	old := served(t, addr)
	spare := filepath.Join(t.TempDir(), "spare")
	move(t, key, spare)
	for name, spoil := range map[string]func(){
		"missing": func() { os.Remove(key) },
		"empty":   func() { os.WriteFile(key, nil, 0o600) },
		"garbage": func() {
			os.WriteFile(key, []byte("-----BEGIN PRIVATE KEY-----\nplanted\n-----END PRIVATE KEY-----\n"), 0o600)
		},
	} {
		spoil()
		if err := s.Reload(); err == nil {
			t.Errorf("%s key: Reload() = nil, want an error", name)
		}
		if served(t, addr) != old {
			t.Errorf("%s key: the certificate changed", name)
		}
	}
	if strings.Count(out.String(), "the old one stays in use") != 3 || strings.Contains(out.String(), "planted") {
		t.Errorf("log = %s, want three complaints without a byte of the key", out.String())
	}
	move(t, spare, key)
	before := strings.Count(out.String(), "certificate loaded")
	if err := s.Reload(); err != nil || strings.Count(out.String(), "certificate loaded") != before {
		t.Errorf("Reload() of the same pair = %v, and it was loaded again", err)
	}
	newCert, newKey := selfSigned(t)
	move(t, newCert, cert)
	move(t, newKey, key)
	if err := s.Reload(); err != nil || served(t, addr) != onDisk(t, newCert) {
		t.Errorf("Reload() of a new pair = %v, or it is not served", err)
	}
}

func TestReloadWithoutTLS(t *testing.T) {
	s, _ := begin(t, listen.Config{Handler: http.NotFoundHandler()})
	if err := s.Reload(); err != nil {
		t.Errorf("Reload() = %v", err)
	}
}

// pair writes a certificate with that life and returns its files.
func pair(t *testing.T, from, to time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"localhost"}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
	os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600)
	return cert, key
}

func TestCertificateWarnings(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	rows := []struct {
		name     string
		from, to time.Duration
		mode     os.FileMode
		want     string // empty: no warning
	}{
		{"a good year", -day, 364 * day, 0o600, ""},
		{"15 days left of 90", -75 * day, 15 * day, 0o600, ""},
		{"13 days left of 90", -77 * day, 13 * day, 0o600, "level=WARN msg=\"the certificate expires soon"},
		{"5 days left of 6", -1 * day, 5 * day, 0o600, ""},
		{"1 day left of 6", -5 * day, 1 * day, 0o600, "expires soon"},
		{"expired", -90 * day, -1 * day, 0o600, "level=ERROR msg=\"the certificate has expired"},
		{"not yet valid", day, 90 * day, 0o600, "not valid yet"},
		{"key for the group", -day, 364 * day, 0o640, "level=WARN msg=\"other users of this machine may read the TLS key: chmod 600"},
		{"key for everybody", -day, 364 * day, 0o604, "may read the TLS key"},
	}
	for _, r := range rows {
		cert, key := pair(t, now.Add(r.from), now.Add(r.to))
		os.Chmod(key, r.mode)
		var out journal
		_, err := listen.New(listen.Config{Handler: http.NotFoundHandler(), Logger: out.logger(), CertFile: cert, KeyFile: key, Now: func() time.Time { return now }})
		if err != nil {
			t.Errorf("%s: New() = %v", r.name, err)
		}
		warned := strings.Contains(out.String(), "level=WARN") || strings.Contains(out.String(), "level=ERROR")
		if warned != (r.want != "") || !strings.Contains(out.String(), r.want) {
			t.Errorf("%s: log = %s, want %q", r.name, out.String(), r.want)
		}
	}
}

func TestSelfSignedIsMadeOnceAndTrusted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "tls")
	cert, key, err := listen.SelfSigned(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{cert: 0o644, key: 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, %v, want %v", name, info.Mode().Perm(), err, mode)
		}
	}
	if filepath.Base(cert) != "cert.pem" || filepath.Base(key) != "key.pem" {
		t.Errorf("files are %s and %s", cert, key)
	}
	_, addr := begin(t, listen.Config{Handler: http.HandlerFunc(protocolName), CertFile: cert, KeyFile: key})
	roots := x509.NewCertPool()
	data, _ := os.ReadFile(cert)
	roots.AppendCertsFromPEM(data)
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		c, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, ServerName: name})
		if err != nil {
			t.Errorf("as %s: %v", name, err)
			continue
		}
		leaf := c.ConnectionState().PeerCertificates[0]
		if life := leaf.NotAfter.Sub(leaf.NotBefore); leaf.IsCA || life < 365*24*time.Hour || life > 366*24*time.Hour {
			t.Errorf("certificate: CA = %v, life %v, want no authority and a year", leaf.IsCA, life)
		}
		c.Close()
	}
	os.Chmod(key, 0o644)
	before := onDisk(t, cert)
	if _, _, err := listen.SelfSigned(dir); err != nil || onDisk(t, cert) != before {
		t.Errorf("second call: %v, or the certificate changed", err)
	}
	if info, _ := os.Stat(key); info.Mode().Perm() != 0o600 {
		t.Errorf("key's mode was not restored: %v", info.Mode())
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("%d files in the folder, want 2", len(left))
	}
}

func TestSelfSignedIsMadeAgainWhenItWillNotDo(t *testing.T) {
	rows := map[string]func(t *testing.T, dir, cert, key string) []string{
		"another host":    func(*testing.T, string, string, string) []string { return []string{"gate.test", "192.0.2.1"} },
		"key lost":        func(_ *testing.T, _, _, key string) []string { os.Remove(key); return nil },
		"key of another":  func(t *testing.T, _, _, key string) []string { _, k := selfSigned(t); move(t, k, key); return nil },
		"key broken":      func(_ *testing.T, _, _, key string) []string { os.WriteFile(key, nil, 0o600); return nil },
		"key is a link":   func(t *testing.T, _, _, key string) []string { link(t, key); return nil },
		"empty host name": func(_ *testing.T, _, _, key string) []string { os.Remove(key); return []string{""} },
	}
	for name, spoil := range rows {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cert, key, err := listen.SelfSigned(dir)
			if err != nil {
				t.Fatal(err)
			}
			before := onDisk(t, cert)
			hosts := spoil(t, dir, cert, key)
			if _, _, err := listen.SelfSigned(dir, hosts...); err != nil {
				t.Fatal(err)
			}
			if onDisk(t, cert) == before {
				t.Error("the certificate stayed")
			}
			p, err := tls.LoadX509KeyPair(cert, key)
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range append(slices.DeleteFunc(hosts, func(h string) bool { return h == "" }), "localhost", "::1") {
				if err := p.Leaf.VerifyHostname(h); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// link replaces key by a link to a file outside, which must stay as it is.
func link(t *testing.T, key string) {
	t.Helper()
	outside := create(t, filepath.Join(t.TempDir(), "outside"))
	os.Remove(key)
	if err := os.Symlink(outside, key); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if data, err := os.ReadFile(outside); err != nil || len(data) != 0 {
			t.Errorf("a key was written through a link: %d bytes, %v", len(data), err)
		}
	})
}

func TestSelfSignedRefusesFilesOfOthers(t *testing.T) {
	now := time.Now()
	foreignCert, foreignKey := pair(t, now.Add(-time.Hour), now.Add(time.Hour))
	rows := map[string]func(dir string){
		"certificate of somebody": func(dir string) { move(t, foreignCert, dir+"/cert.pem"); move(t, foreignKey, dir+"/key.pem") },
		"no certificate":          func(dir string) { os.WriteFile(dir+"/cert.pem", []byte("notes"), 0o600) },
		"broken certificate": func(dir string) {
			os.WriteFile(dir+"/cert.pem", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), 0o600)
		},
		"a key alone":            func(dir string) { move(t, foreignKey, dir+"/key.pem") },
		"a folder of that name":  func(dir string) { os.Mkdir(dir+"/cert.pem", 0o700) },
		"a dangling link as key": func(dir string) { os.Symlink(dir+"/nowhere", dir+"/key.pem") },
	}
	for name, put := range rows {
		dir := t.TempDir()
		put(dir)
		before := listing(t, dir)
		if _, _, err := listen.SelfSigned(dir); err == nil || !strings.Contains(err.Error(), "choose another folder") {
			t.Errorf("%s: SelfSigned() = %v, want a refusal", name, err)
		}
		if after := listing(t, dir); !slices.Equal(before, after) {
			t.Errorf("%s: folder was %q and is %q", name, before, after)
		}
	}
}

// listing returns names and contents of a folder.
func listing(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, _ := os.ReadFile(filepath.Join(dir, e.Name()))
		all = append(all, e.Name()+" "+string(data))
	}
	return all
}

func TestSelfSignedWithoutAFolder(t *testing.T) {
	file := create(t, filepath.Join(t.TempDir(), "file"))
	if _, _, err := listen.SelfSigned(filepath.Join(file, "tls")); err == nil {
		t.Error("SelfSigned() inside a file succeeded")
	}
}

func TestCertificateIsCheckedWhenItStarts(t *testing.T) {
	cert, key := selfSigned(t)
	s, err := listen.New(listen.Config{Addr: "127.0.0.1:0", Handler: http.NotFoundHandler(), Logger: slog.New(slog.DiscardHandler), CertFile: cert, KeyFile: key})
	if err != nil {
		t.Fatal(err)
	}
	newCert, newKey := selfSigned(t) // renewed between New and Start
	move(t, newCert, cert)
	move(t, newKey, key)
	addr, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown(context.Background())
	eventually(t, "the new certificate", func() bool { return served(t, addr.String()) == onDisk(t, newCert) })
}
