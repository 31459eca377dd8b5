package keyring_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

func block(name string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: name, Bytes: der})
}

func TestParsePEM(t *testing.T) {
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))
	ecKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	cert := must(x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, ecKey.Public(), ecKey))
	for name, test := range map[string]struct {
		algorithm keyring.Algorithm
		text      []byte
		want      keyring.Algorithm
		signs     bool
	}{
		"PKCS8 RSA":              {"", privatePEM(rsaKey), keyring.RS256, true},
		"PKCS8 RSA for PS256":    {keyring.PS256, privatePEM(rsaKey), keyring.PS256, true},
		"PKCS1":                  {"", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), keyring.RS256, true},
		"PKCS1 public":           {keyring.PS256, block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)), keyring.PS256, false},
		"PKIX RSA":               {"", publicPEM(rsaKey.Public()), keyring.RS256, false},
		"PKCS8 EC":               {keyring.ES256, privatePEM(ecKey), keyring.ES256, true},
		"SEC1":                   {"", block("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ecKey))), keyring.ES256, true},
		"SEC1 behind parameters": {"", append(block("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}), block("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ecKey)))...), keyring.ES256, true},
		"PKIX EC":                {"", publicPEM(ecKey.Public()), keyring.ES256, false},
		"certificate":            {"", block("CERTIFICATE", cert), keyring.ES256, false},
		"PKCS8 Ed25519":          {"", privatePEM(edKey), keyring.EdDSA, true},
		"PKIX Ed25519":           {keyring.EdDSA, publicPEM(edKey.Public()), keyring.EdDSA, false},
		"behind text":            {"", append([]byte("\ufeffmy key:\r\n\n"), publicPEM(edKey.Public())...), keyring.EdDSA, false},
	} {
		k, err := keyring.ParsePEM(test.algorithm, test.text)
		if err != nil || k.Algorithm() != test.want || k.CanSign() != test.signs {
			t.Errorf("ParsePEM(%s) = %v, %v, want a key for %s, signs %v", name, k, err, test.want, test.signs)
			continue
		}
		if again := must(keyring.ParsePEM(test.algorithm, test.text)); again.ID() != k.ID() || len(k.ID()) != 43 {
			t.Errorf("ParsePEM(%s) has the id %q, then %q, want its thumbprint both times", name, k.ID(), again.ID())
		}
		if test.signs {
			if err := k.Public().Verify([]byte("input"), sign(t, k, "input")); err != nil {
				t.Errorf("ParsePEM(%s) does not verify what it signs: %v", name, err)
			}
		}
	}
}

func TestParsePEMRefuses(t *testing.T) {
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))
	ecKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	good := publicPEM(ecKey.Public())
	huge := &rsa.PublicKey{N: new(big.Int).SetBit(new(big.Int).Lsh(big.NewInt(1), 8192), 0, 1), E: 65537}
	for name, test := range map[string]struct {
		algorithm keyring.Algorithm
		text      []byte
		want      error
	}{
		"nothing":                {"", nil, keyring.ErrForm},
		"words":                  {"", []byte("no key"), keyring.ErrForm},
		"half a key":             {"", good[:len(good)/2], keyring.ErrForm},
		"two keys":               {"", append(append([]byte{}, good...), good...), keyring.ErrForm},
		"no DER":                 {"", block("PUBLIC KEY", []byte("no DER")), keyring.ErrForm},
		"the wrong name":         {"", block("PRIVATE KEY", must(x509.MarshalPKIXPublicKey(ecKey.Public()))), keyring.ErrForm},
		"an unknown name":        {"", block("OPENSSH PRIVATE KEY", []byte{1}), keyring.ErrForm},
		"encrypted":              {"", block("ENCRYPTED PRIVATE KEY", []byte{1}), keyring.ErrForm},
		"encrypted in PKCS1":     {"", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"DEK-Info": "AES"}, Bytes: []byte{1}}), keyring.ErrForm},
		"broken certificate":     {"", block("CERTIFICATE", []byte{48, 0}), keyring.ErrForm},
		"P-384":                  {"", publicPEM(must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)).Public()), keyring.ErrForm},
		"X25519":                 {"", publicPEM(must(ecdh.X25519().GenerateKey(rand.Reader)).PublicKey()), keyring.ErrForm},
		"X25519, private":        {"", privatePEM(must(ecdh.X25519().GenerateKey(rand.Reader))), keyring.ErrForm},
		"RSA for ES256":          {keyring.ES256, publicPEM(rsaKey.Public()), keyring.ErrForm},
		"EC for RS256":           {keyring.RS256, good, keyring.ErrForm},
		"EC for EdDSA":           {keyring.EdDSA, good, keyring.ErrForm},
		"EC for HS256":           {keyring.HS256, good, keyring.ErrForm},
		"EC for A256GCM":         {keyring.A256GCM, good, keyring.ErrForm},
		"EC for none":            {"none", good, keyring.ErrForm},
		"RSA of 1024 bits":       {"", publicPEM(&rsa.PublicKey{N: new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 1024), big.NewInt(1)), E: 65537}), keyring.ErrWeak},
		"RSA of 2047 bits":       {"", publicPEM(&rsa.PublicKey{N: new(big.Int).Rsh(rsaKey.N, 1).SetBit(new(big.Int).Rsh(rsaKey.N, 1), 0, 1), E: 65537}), keyring.ErrWeak},
		"RSA of 8193 bits":       {"", publicPEM(huge), keyring.ErrForm},
		"RSA, even exponent":     {"", publicPEM(&rsa.PublicKey{N: rsaKey.N, E: 4}), keyring.ErrWeak},
		"RSA, even modulus":      {"", publicPEM(&rsa.PublicKey{N: new(big.Int).SetBit(rsaKey.N, 0, 0), E: 65537}), keyring.ErrWeak},
		"RSA, one as exponent":   {"", publicPEM(&rsa.PublicKey{N: rsaKey.N, E: 1}), keyring.ErrWeak},
		"more than a megabyte":   {"", append(good, make([]byte, 1<<20)...), keyring.ErrForm},
		"RSA, private, 1024 bit": {"", []byte(weakRSA()), keyring.ErrWeak},
	} {
		rsaKey.N.SetBit(rsaKey.N, 0, 1)
		if k, err := keyring.ParsePEM(test.algorithm, test.text); !errors.Is(err, test.want) || k != nil {
			t.Errorf("ParsePEM(%s) = %v, %v, want %v", name, k, err, test.want)
		}
	}
}

// weakRSA returns a private key that is good but for its length, or would be refused alike.
func weakRSA() []byte {
	return publicPEM(&rsa.PublicKey{N: new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 1023), big.NewInt(3)), E: 3})
}

// TestJWKAgreesWithAnotherLibrary: what we write it reads as the same key, with the same thumbprint, and the other way round.
func TestJWKAgreesWithAnotherLibrary(t *testing.T) {
	for _, algorithm := range []keyring.Algorithm{keyring.RS256, keyring.PS256, keyring.ES256, keyring.EdDSA} {
		for range 20 {
			k := made()[algorithm]
			if algorithm == keyring.ES256 || algorithm == keyring.EdDSA {
				k = must(keyring.Generate(algorithm)) // coordinates with zeros in front come up in one of 256
			}
			var other jose.JSONWebKey
			if err := other.UnmarshalJSON(must(k.JWK())); err != nil {
				t.Fatalf("%s: the other library reads our JWK: %v", algorithm, err)
			}
			if other.KeyID != k.ID() || other.Algorithm != string(algorithm) || other.Use != "sig" || !other.IsPublic() || !other.Valid() {
				t.Errorf("%s: our JWK is read as %q %q %q, want %q, for signatures, public", algorithm, other.KeyID, other.Algorithm, other.Use, k.ID())
			}
			signature := sign(t, k, "input")
			keys, err := keyring.ParseJWKS(must(other.MarshalJSON()))
			if err != nil || len(keys) != 1 || keys[0].ID() != k.ID() || keys[0].Verify([]byte("input"), signature) != nil {
				t.Fatalf("%s: we read the other library's JWK as %v, %v, want the key", algorithm, keys, err)
			}
			other.KeyID = ""
			print := must(other.Thumbprint(crypto.SHA256))
			if got := must(keyring.ParseJWKS(must(other.MarshalJSON())))[0].ID(); got != base64.RawURLEncoding.EncodeToString(print) {
				t.Errorf("%s: the thumbprint is %q, want %q", algorithm, got, base64.RawURLEncoding.EncodeToString(print))
			}
		}
	}
}

func TestThumbprintOfRFC7638(t *testing.T) {
	text := `{"kty": "RSA", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw", "e": "AQAB", "alg": "RS256"}`
	keys, err := keyring.ParseJWKS([]byte(text))
	if err != nil || len(keys) != 1 || keys[0].ID() != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("ParseJWKS(the key of RFC 7638) = %v, %v, want the thumbprint NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", keys, err)
	}
}

// with returns a JWK with members changed; a nil takes one away.
func with(k *keyring.Key, changes map[string]any) string {
	var members map[string]any
	if err := json.Unmarshal(must(k.JWK()), &members); err != nil {
		panic(err)
	}
	for name, value := range changes {
		if members[name] = value; value == nil {
			delete(members, name)
		}
	}
	return string(must(json.Marshal(members)))
}

func setOf(keys ...string) []byte { return []byte(`{"keys":[` + strings.Join(keys, ",") + `]}`) }

func TestParseJWKS(t *testing.T) {
	ec, rs, ed := made()[keyring.ES256], made()[keyring.RS256], made()[keyring.EdDSA]
	plain := func(k *keyring.Key) string { return with(k, nil) }
	for name, test := range map[string]struct {
		text []byte
		want string
	}{
		"none":                     {setOf(), ""},
		"one alone":                {[]byte(plain(ec)), "ES256"},
		"three":                    {setOf(plain(ec), plain(rs), plain(ed)), "ES256 RS256 EdDSA"},
		"without alg":              {setOf(with(ec, map[string]any{"alg": nil}), with(rs, map[string]any{"alg": nil}), with(ed, map[string]any{"alg": nil})), "ES256 RS256 EdDSA"},
		"PS256":                    {setOf(with(rs, map[string]any{"alg": "PS256"})), "PS256"},
		"Ed25519 by its newer alg": {setOf(with(ed, map[string]any{"alg": "Ed25519"})), "EdDSA"},
		"without use":              {setOf(with(ec, map[string]any{"use": nil})), "ES256"},
		"for verification":         {setOf(with(ec, map[string]any{"key_ops": []string{"verify"}})), "ES256"},
		"more members":             {setOf(with(ec, map[string]any{"nbf": 1, "x-own": map[string]any{"a": 1}})), "ES256"},
		"an encryption key too":    {setOf(with(rs, map[string]any{"use": "enc", "kid": "enc"}), plain(ec)), "ES256"},
		"for other operations":     {setOf(with(ec, map[string]any{"key_ops": []string{"encrypt"}})), ""},
		"RSA-OAEP":                 {setOf(with(rs, map[string]any{"alg": "RSA-OAEP"})), ""},
		"RS384":                    {setOf(with(rs, map[string]any{"alg": "RS384"})), ""},
		"none as alg":              {setOf(with(rs, map[string]any{"alg": "none"})), ""},
		"P-384 without alg":        {setOf(with(ec, map[string]any{"alg": nil, "crv": "P-384"})), ""},
		"an unknown type":          {setOf(`{"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA"}`, `{"kty":"new"}`, plain(ec)), "ES256"},
	} {
		keys, err := keyring.ParseJWKS(test.text)
		var got []string
		for _, k := range keys {
			got = append(got, string(k.Algorithm()))
		}
		if err != nil || strings.Join(got, " ") != test.want {
			t.Errorf("ParseJWKS(%s) = %v, %v, want %q", name, keys, err, test.want)
		}
	}
}

func TestParseJWKSRefuses(t *testing.T) {
	ec, rs, ed := made()[keyring.ES256], made()[keyring.RS256], made()[keyring.EdDSA]
	plain := with(ec, nil)
	many := make([]string, 501)
	for i := range many {
		many[i] = `{"kty":"new"}`
	}
	for name, text := range map[string]string{
		"nothing": "", "words": "no", "null": "null", "number": "1", "array": "[" + plain + "]", "no keys": "{}", "keys are null": `{"keys":null}`, "keys are no array": `{"keys":{}}`, "a key is null": `{"keys":[null]}`,
		"a key is a string": `{"keys":["a"]}`, "more behind it": string(setOf(plain)) + "{}", "cut": string(setOf(plain))[:40], "both a key and a set": `{"kty":"EC","keys":[]}`, "no kty": string(setOf(`{"kid":"a","alg":"ES256"}`)),
		"two ids alike": string(setOf(plain, with(rs, map[string]any{"kid": ec.ID()}))), "the same twice": string(setOf(plain, plain)), "a member twice": string(setOf(`{"kty":"EC",` + plain[1:])), "keys twice": `{"keys":[],"keys":[` + plain + `]}`,
		"in upper case": `{"KEYS":[` + plain + `]}`, "a symmetric key": string(setOf(`{"kty":"oct","alg":"HS256","k":"` + strings.Repeat("AQID", 20) + `"}`)), "a symmetric key among others": string(setOf(plain, `{"kty":"oct","k":"AAAA"}`)),
		"a private key": string(setOf(with(ec, map[string]any{"d": "AAAA"}))), "a private key for encryption": string(setOf(plain, with(rs, map[string]any{"use": "enc", "kid": "x", "d": "AAAA"}))), "EC without y": string(setOf(with(ec, map[string]any{"y": nil}))),
		"EC off the curve": string(setOf(with(ec, map[string]any{"y": ec.ID() + strings.Repeat("A", 17)}))), "EC with short coordinates": string(setOf(with(ec, map[string]any{"x": "AAAA"}))), "EC for RS256": string(setOf(with(ec, map[string]any{"alg": "RS256"}))), "EC for HS256": string(setOf(with(ec, map[string]any{"alg": "HS256"}))),
		"EC as RSA": string(setOf(with(ec, map[string]any{"kty": "RSA"}))), "RSA as HS256": string(setOf(with(rs, map[string]any{"alg": "HS256"}))), "Ed25519 of 31 bytes": string(setOf(with(ed, map[string]any{"x": strings.Repeat("A", 42)}))),
		"P-384 for ES256": string(setOf(with(ec, map[string]any{"crv": "P-384"}))), "RSA of 64 bits": string(setOf(with(rs, map[string]any{"n": "AQIDBAUGBwk"}))), "RSA, one as exponent": string(setOf(with(rs, map[string]any{"e": "AQ"}))),
		"RSA without e": string(setOf(with(rs, map[string]any{"e": nil}))), "RSA with a huge e": string(setOf(with(rs, map[string]any{"e": strings.Repeat("_w", 40)}))), "kid is a number": string(setOf(with(ec, map[string]any{"kid": 1}))),
		"a kid of 256 bytes": string(setOf(with(ec, map[string]any{"kid": strings.Repeat("k", 256)}))), "501 keys": string(setOf(many...)), "more than a megabyte": string(setOf(plain)) + strings.Repeat(" ", 1<<20), "deep": strings.Repeat(`{"keys":[`, 100000), "deeper": strings.Repeat("[", 1<<19),
	} {
		if keys, err := keyring.ParseJWKS([]byte(text)); !errors.Is(err, keyring.ErrForm) && !errors.Is(err, keyring.ErrWeak) || keys != nil {
			t.Errorf("ParseJWKS(%s) = %v, %v, want ErrForm or ErrWeak", name, keys, err)
		}
	}
}

func TestParseOwnJWKS(t *testing.T) {
	secret := strings.Repeat("AQID", 15)
	oct := func(id, alg, k string) string {
		return fmt.Sprintf(`{"kty":"oct","kid":%q,"alg":%q,"k":%q}`, id, alg, k)
	}
	keys, err := keyring.ParseOwnJWKS(setOf(oct("a", "HS256", secret), oct("b", "HS256", secret+"AQID")))
	if err != nil || len(keys) != 2 || keys[0].ID() != "a" || !keys[0].CanSign() {
		t.Errorf("ParseOwnJWKS(two secrets) = %v, %v, want them", keys, err)
	}
	private := must(jose.JSONWebKey{Key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), Algorithm: "ES256", KeyID: "p"}.MarshalJSON())
	if keys, err := keyring.ParseOwnJWKS(setOf(string(private))); err != nil || len(keys) != 1 || !keys[0].CanSign() || keys[0].Public().Verify([]byte("input"), sign(t, keys[0], "input")) != nil {
		t.Errorf("ParseOwnJWKS(private) = %v, %v, want a key that signs", keys, err)
	}
	for name, set := range map[string][]byte{
		"mixed": setOf(oct("a", "HS256", secret), with(made()[keyring.ES256], nil)), "short": setOf(oct("a", "HS256", "AQID")), "short for its alg": setOf(oct("a", "HS512", secret)), "empty": setOf(oct("a", "HS256", "")),
		"for ES256": setOf(oct("a", "ES256", secret)), "no k": setOf(`{"kty":"oct","alg":"HS256"}`), "one byte": setOf(oct("a", "HS256", strings.Repeat("A", 60))),
	} {
		if keys, err := keyring.ParseOwnJWKS(set); err == nil {
			t.Errorf("ParseOwnJWKS(%s) = %v, nil, want an error", name, keys)
		}
	}
	for name, set := range map[string][]byte{"no alg": setOf(`{"kty":"oct","k":"` + secret + `"}`), "AES": setOf(oct("a", "A256GCM", secret)), "AES key wrap": setOf(oct("a", "A256KW", secret))} {
		if keys, err := keyring.ParseOwnJWKS(set); err != nil || len(keys) != 0 {
			t.Errorf("ParseOwnJWKS(%s) = %v, %v, want none: nothing here is for signatures", name, keys, err)
		}
	}
}
