package keyring

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"github.com/gatehouse-auth/gatehouse"
)

// NewPEM returns a new random private key for an asymmetric algorithm, as [ParsePEM] reads it: PKCS #8 in PEM, for the file of mode 0600 that keeps it. The key itself comes
// with it, under the id that ParsePEM gives it. The error wraps [ErrForm] for other algorithms.
func NewPEM(algorithm Algorithm) (gatehouse.Secret, *Key, error) {
	if err := algorithm.Valid(); err != nil || algorithm.Symmetric() {
		return gatehouse.Secret{}, nil, fmt.Errorf("%w: there is no private key for %q: RS256, PS256, ES256 or EdDSA", ErrForm, algorithm)
	}
	k, err := Generate(algorithm)
	if err != nil {
		return gatehouse.Secret{}, nil, err
	}
	der, err := k.encode()
	if err != nil {
		return gatehouse.Secret{}, nil, fmt.Errorf("writing a key for %s: %w", algorithm, err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return gatehouse.NewSecret(string(text)), k.WithID(k.thumbprint()), nil
}

// PublicPEM returns the public key as PEM (PKIX), for programs that read no JWKs. It fails for a symmetric key.
func (k *Key) PublicPEM() ([]byte, error) {
	if k.m().public == nil {
		return nil, fmt.Errorf("%w: the key %q has no public part", ErrForm, k.id)
	}
	der, err := x509.MarshalPKIXPublicKey(k.m().public)
	if err != nil {
		return nil, fmt.Errorf("writing the public key %q: %w", k.id, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}
