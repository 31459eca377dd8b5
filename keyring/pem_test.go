package keyring_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

func TestNewPEMIsReadBackAsTheSameKey(t *testing.T) {
	for _, algorithm := range []keyring.Algorithm{keyring.RS256, keyring.PS256, keyring.ES256, keyring.EdDSA} {
		text, made, err := keyring.NewPEM(algorithm)
		if err != nil {
			t.Fatalf("NewPEM(%s): %v", algorithm, err)
		}
		read, err := keyring.ParsePEM(algorithm, []byte(text.Reveal()))
		if err != nil || read.ID() != made.ID() || !read.CanSign() {
			t.Fatalf("ParsePEM of a new %s key = %v, %v, want the private key %s", algorithm, read, err, made.ID())
		}
		signature, err := read.Sign(nil, []byte("input"))
		if err != nil {
			t.Fatal(err)
		}
		if err := made.Verify([]byte("input"), signature); err != nil {
			t.Errorf("%s: what the key that was read has signed: %v", algorithm, err)
		}
		other, _, err := keyring.NewPEM(algorithm)
		if err != nil || other.Equal(text) {
			t.Errorf("NewPEM(%s) twice gives the same key, or %v", algorithm, err)
		}
	}
}

func TestNewPEMMakesNoSecrets(t *testing.T) {
	for _, algorithm := range []keyring.Algorithm{keyring.HS256, keyring.HS512, keyring.A256GCM, "", "none", "RS512"} {
		if text, key, err := keyring.NewPEM(algorithm); !errors.Is(err, keyring.ErrForm) || !text.IsZero() || key != nil {
			t.Errorf("NewPEM(%q) = %v, %v, %v, want ErrForm", algorithm, text, key, err)
		}
	}
}

func TestPublicPEMHoldsThePublicKeyAlone(t *testing.T) {
	_, key, err := keyring.NewPEM(keyring.ES256)
	if err != nil {
		t.Fatal(err)
	}
	text, err := key.PublicPEM()
	if err != nil || !strings.HasPrefix(string(text), "-----BEGIN PUBLIC KEY-----\n") || strings.Count(string(text), "BEGIN") != 1 {
		t.Fatalf("PublicPEM() = %q, %v", text, err)
	}
	read, err := keyring.ParsePEM("", text)
	if err != nil || read.CanSign() || read.ID() != key.ID() {
		t.Errorf("ParsePEM(PublicPEM()) = %v, %v, want the public key %s", read, err, key.ID())
	}
	secret, err := keyring.Generate(keyring.HS256)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := secret.PublicPEM(); !errors.Is(err, keyring.ErrForm) || text != nil {
		t.Errorf("PublicPEM() of a secret = %q, %v, want ErrForm", text, err)
	}
}
