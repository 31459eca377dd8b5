package keyring

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"math/big"
)

// The lengths of RSA keys in bits: shorter ones can be broken, longer ones cost whoever verifies too much.
const (
	minRSA = 2048
	newRSA = 3072 // as strong as 128 bits (NIST SP 800-57), which new keys are
	maxRSA = 8192
)

// newSigner returns what signs and verifies with these keys. It is the only place that joins keys and asymmetric algorithms, and fails if they do not belong together.
func newSigner(algorithm Algorithm, public crypto.PublicKey, private crypto.Signer) (worker, error) {
	switch key := public.(type) {
	case *rsa.PublicKey:
		own, _ := private.(*rsa.PrivateKey)
		switch algorithm {
		case RS256:
			return &rsaSigner{public: key, private: own}, checkRSA(key)
		case PS256:
			return &rsaSigner{public: key, private: own, pss: true}, checkRSA(key)
		}
	case *ecdsa.PublicKey:
		if own, _ := private.(*ecdsa.PrivateKey); algorithm == ES256 && key.Curve == elliptic.P256() {
			return &ecSigner{public: key, private: own}, nil
		}
	case ed25519.PublicKey:
		if own, _ := private.(ed25519.PrivateKey); algorithm == EdDSA && len(key) == ed25519.PublicKeySize {
			return &edSigner{public: key, private: own}, nil
		}
	}
	return nil, fmt.Errorf("%w: %s does not go with a %s", ErrForm, algorithm, describe(public))
}

// describe names a public key for people.
func describe(public crypto.PublicKey) string {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return "RSA key"
	case *ecdsa.PublicKey:
		return "key on the curve " + key.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519 key"
	}
	return fmt.Sprintf("%T", public)
}

func checkRSA(key *rsa.PublicKey) error {
	bits := key.N.BitLen()
	switch {
	case bits < minRSA:
		return fmt.Errorf("%w: the RSA key has %d bits, at least %d are needed: make one with `gatehouse key generate`", ErrWeak, bits, minRSA)
	case bits > maxRSA:
		return fmt.Errorf("%w: the RSA key has %d bits, at most %d are taken", ErrForm, bits, maxRSA)
	case key.N.Bit(0) == 0 || key.E < 3 || key.E%2 == 0 || key.E > 1<<31-1:
		return fmt.Errorf("%w: the RSA key has an exponent or modulus that is none", ErrWeak)
	case infineon(key.N):
		return fmt.Errorf("%w: the RSA key comes from a generator whose keys can be factored (CVE-2017-15361): make a new one", ErrWeak)
	}
	return nil
}

type rsaSigner struct {
	public  *rsa.PublicKey
	private *rsa.PrivateKey
	pss     bool
}

// pssOptions has the salt's length fixed to the hash's (RFC 7518, section 3.5).
var pssOptions = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}

func (s *rsaSigner) sign(dst, input []byte) (signature []byte, err error) {
	sum := sha256.Sum256(input)
	if s.pss {
		signature, err = rsa.SignPSS(rand.Reader, s.private, crypto.SHA256, sum[:], pssOptions)
	} else {
		signature, err = rsa.SignPKCS1v15(nil, s.private, crypto.SHA256, sum[:])
	}
	if err != nil {
		return nil, fmt.Errorf("signing with RSA: %w", err)
	}
	return append(dst, signature...), nil
}

func (s *rsaSigner) verify(input, signature []byte) bool {
	if len(signature) != s.public.Size() {
		return false
	}
	sum := sha256.Sum256(input)
	if s.pss {
		return rsa.VerifyPSS(s.public, crypto.SHA256, sum[:], signature, pssOptions) == nil
	}
	return rsa.VerifyPKCS1v15(s.public, crypto.SHA256, sum[:], signature) == nil
}

type ecSigner struct {
	public  *ecdsa.PublicKey
	private *ecdsa.PrivateKey
}

const ecHalf = 32 // bytes of each of the two numbers of a P-256 signature

func (s *ecSigner) sign(dst, input []byte) ([]byte, error) {
	sum := sha256.Sum256(input)
	a, b, err := ecdsa.Sign(rand.Reader, s.private, sum[:])
	if err != nil {
		return nil, fmt.Errorf("signing on P-256: %w", err)
	}
	var raw [2 * ecHalf]byte
	a.FillBytes(raw[:ecHalf])
	b.FillBytes(raw[ecHalf:])
	return append(dst, raw[:]...), nil
}

func (s *ecSigner) verify(input, signature []byte) bool {
	if len(signature) != 2*ecHalf {
		return false
	}
	sum := sha256.Sum256(input)
	a, b := new(big.Int).SetBytes(signature[:ecHalf]), new(big.Int).SetBytes(signature[ecHalf:])
	return ecdsa.Verify(s.public, sum[:], a, b)
}

type edSigner struct {
	public  ed25519.PublicKey
	private ed25519.PrivateKey
}

func (s *edSigner) sign(dst, input []byte) ([]byte, error) {
	return append(dst, ed25519.Sign(s.private, input)...), nil
}

func (s *edSigner) verify(input, signature []byte) bool {
	return len(signature) == ed25519.SignatureSize && ed25519.Verify(s.public, input, signature)
}

// smallPrimes are the primes by which the moduli of one faulty generator tell themselves.
var smallPrimes = []int64{3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167}

// infineon reports whether n comes from the generator of CVE-2017-15361: its primes, and so n, are powers of 65537 modulo every small prime. Of other moduli one in
// many millions is.
func infineon(n *big.Int) bool {
	for _, p := range smallPrimes {
		if !isPower(new(big.Int).Mod(n, big.NewInt(p)).Int64(), p) {
			return false
		}
	}
	return true
}

// isPower reports whether rest is a power of 65537 modulo p.
func isPower(rest, p int64) bool {
	power := int64(1)
	for range p {
		if power == rest {
			return true
		}
		power = power * 65537 % p
	}
	return false
}
