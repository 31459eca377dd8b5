package listen

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	selfSignedName = "gatehouse development certificate"
	selfSignedLife = 365 * 24 * time.Hour
)

// SelfSigned returns the names of a certificate and its key in dir, cert.pem (0644) and key.pem (0600), that are good
// for localhost, 127.0.0.1, ::1 and hosts (names or addresses). It makes them if they are missing, end within a day, or
// lack a host. Files that it did not make itself it refuses to replace.
//
// The certificate is for one server only and is no authority: who trusts it (curl --cacert) trusts nothing else.
func SelfSigned(dir string, hosts ...string) (certFile, keyFile string, err error) {
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	hosts = withLocal(hosts)
	ours, err := madeHere(certFile, keyFile)
	if err != nil {
		return "", "", err
	}
	if ours && stillGood(certFile, keyFile, hosts) {
		return certFile, keyFile, os.Chmod(keyFile, 0o600)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", "", fmt.Errorf("cannot create the folder of the certificate: %w", err)
	}
	cert, key, err := generate(hosts)
	if err != nil {
		return "", "", err
	}
	// The certificate first: with it alone the next call knows the pair as its own, and makes it again.
	if err := writeFile(certFile, cert, 0o644); err != nil {
		return "", "", err
	}
	return certFile, keyFile, writeFile(keyFile, key, 0o600)
}

func withLocal(hosts []string) []string {
	all := append([]string{"localhost", "127.0.0.1", "::1"}, hosts...)
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(h string) bool { return h == "" })
}

// madeHere reports whether the pair exists and is ours. It is an error if something else has one of the names.
func madeHere(certFile, keyFile string) (bool, error) {
	data, err := os.ReadFile(certFile)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(keyFile); !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("%s stands there without a certificate of ours: move it away, or choose another folder", keyFile)
		}
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot read the certificate: %w: move it away, or choose another folder", err)
	}
	if leaf := parse(data); leaf == nil || leaf.Subject.CommonName != selfSignedName {
		return false, fmt.Errorf("%s was not made by gatehouse and stays as it is: move it away, or choose another folder", certFile)
	}
	return true, nil
}

func parse(data []byte) *x509.Certificate {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return leaf
}

// stillGood reports whether the pair will do for another day.
func stillGood(certFile, keyFile string, hosts []string) bool {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return false
	}
	now := time.Now()
	if now.Before(pair.Leaf.NotBefore) || now.Add(24*time.Hour).After(pair.Leaf.NotAfter) {
		return false
	}
	return !slices.ContainsFunc(hosts, func(h string) bool { return pair.Leaf.VerifyHostname(h) != nil })
}

func generate(hosts []string) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := selfSignedTemplate(hosts)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a certificate for %q: %w", hosts, err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), nil
}

func selfSignedTemplate(hosts []string) *x509.Certificate {
	now := time.Now()
	t := &x509.Certificate{
		// Without a serial number CreateCertificate draws a random one.
		Subject:               pkix.Name{CommonName: selfSignedName},
		NotBefore:             now.Add(-time.Hour), // clocks of clients differ
		NotAfter:              now.Add(selfSignedLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	return t
}

// writeFile puts data at name in one step, with mode from the first moment, never through a link.
func writeFile(name string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name))
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	defer os.Remove(f.Name()) // fails after the rename, as it should
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	return nil
}
