package keyring_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

// works checks that what a parser returned is a key, and its only algorithm one of ours.
func works(t *testing.T, k *keyring.Key) {
	t.Helper()
	if err := k.Algorithm().Valid(); err != nil || k.ID() == "" {
		t.Fatalf("a parser returned %v: %v, want a key with an id", k, err)
	}
	if err := k.Verify([]byte("input"), []byte("signature")); err == nil {
		t.Fatalf("%v verifies anything", k)
	}
	if k.CanSign() && k.Algorithm() != keyring.A256GCM {
		signature, err := k.Sign(nil, []byte("input"))
		if err == nil && k.Verify([]byte("input"), signature) != nil {
			t.Fatalf("%v does not verify what it signs", k)
		}
	}
	if public := k.Public(); public != nil {
		if _, err := public.JWK(); err != nil || public.CanSign() {
			t.Fatalf("the public key of %v: %v, signs %v, want a JWK and that it does not", k, err, public.CanSign())
		}
	}
}

func FuzzParsePEM(f *testing.F) {
	for _, algorithm := range []keyring.Algorithm{"", keyring.HS256, keyring.PS256, "none"} {
		f.Add(string(algorithm), []byte("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"))
		f.Add(string(algorithm), []byte("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n"))
	}
	f.Fuzz(func(t *testing.T, algorithm string, text []byte) {
		k, err := keyring.ParsePEM(keyring.Algorithm(algorithm), text)
		if err != nil {
			return
		}
		if k.Algorithm().Symmetric() {
			t.Fatalf("ParsePEM(%q, %q) = %v, want no symmetric key", algorithm, text, k)
		}
		works(t, k)
		if s, err := keyring.Secret(keyring.HS256, string(text), true); err == nil {
			t.Fatalf("Secret(%q) = %v, want an error: it is PEM", text, s)
		}
	})
}

func FuzzParseJWKS(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a"}]}`))
	f.Add([]byte(`{"kty":"EC","crv":"P-256","x":"04N0xi21hshyvBp7I167sbE_bXqyqkAPfefdklMO7wY","y":"UI8exy-C06a7DUnjIdENkxeFtHM4-l_41LqEw9nVgmw","alg":"ES256","use":"sig"}`))
	f.Add([]byte(`{"kty":"oct","k":"-ebuDNsVZ2iJtoZ-akfXTSCt4UO2cruLCsbWlBinggE","alg":"HS256"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		public, err := keyring.ParseJWKS(text)
		for _, k := range public {
			if k.CanSign() {
				t.Fatalf("ParseJWKS(%q) = %v, want public keys only", text, k)
			}
			works(t, k)
		}
		own, ownErr := keyring.ParseOwnJWKS(text)
		for _, k := range own {
			works(t, k)
		}
		if err == nil && (ownErr != nil || len(own) != len(public)) {
			t.Fatalf("ParseOwnJWKS(%q) = %v, %v, want what ParseJWKS takes: %v", text, own, ownErr, public)
		}
	})
}

func FuzzSecret(f *testing.F) {
	for _, text := range []string{"a secret", "hex:00ff", "base64:AP8=", "-----BEGIN PUBLIC KEY-----", "-----BEGIN0", `{"kty":"oct"}`, "ssh-rsa AAAA", "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A", "\ufeff{}", strings.Repeat("x", 64)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, algorithm := range []keyring.Algorithm{keyring.HS256, keyring.HS512, keyring.A256GCM} {
			weak, weakErr := keyring.Secret(algorithm, text, true)
			k, err := keyring.Secret(algorithm, text, false)
			if err == nil && (weakErr != nil || weak.ID() != k.ID()) {
				t.Fatalf("Secret(%s, %q) = %v, weak: %v, %v, want the same", algorithm, text, k, weak, weakErr)
			}
			if weakErr == nil {
				works(t, weak)
			}
			if trimmed := strings.TrimSpace(text); weakErr == nil && (strings.HasPrefix(trimmed, "-----BEGIN") || strings.HasPrefix(trimmed, "ssh-rsa ") || trimmed == "{}") {
				t.Fatalf("Secret(%s, %q) = %v, want an error: it is no secret", algorithm, text, weak)
			}
		}
	})
}

func FuzzOpen(f *testing.F) {
	r, err := keyring.Static("cookie", made()[keyring.A256GCM])
	if err != nil {
		f.Fatal(err)
	}
	good := must(r.Seal([]byte("plain"), []byte("data")))
	f.Add(good, []byte("data"))
	f.Add("AAAA", []byte{})
	f.Add(good[:40], []byte("data"))
	f.Fuzz(func(t *testing.T, text string, data []byte) {
		if plain, err := r.Open(text, data); err == nil && (text != good || !bytes.Equal(data, []byte("data"))) {
			t.Fatalf("Open(%q, %q) = %q, want an error", text, data, plain)
		}
	})
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte("input"), []byte{})
	f.Add([]byte{}, make([]byte, 64))
	f.Fuzz(func(t *testing.T, input, signature []byte) {
		for algorithm := range signing {
			if err := made()[algorithm].Verify(input, signature); err == nil {
				t.Fatalf("%s verifies %x for %q", algorithm, signature, input)
			}
		}
	})
}
