package keyring_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

// symmetric are the algorithms that take a secret.
var symmetric = []keyring.Algorithm{keyring.HS256, keyring.HS384, keyring.HS512, keyring.A256GCM}

// TestKeysAreNoSecrets: a public key, or anything else that looks like a key of another kind, is no secret, in whatever it is wrapped, and not for development either. Looking at the first
// byte alone was not enough elsewhere (CVE-2023-48223, CVE-2026-34950), nor was looking for PEM alone (CVE-2026-48526).
func TestKeysAreNoSecrets(t *testing.T) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	der := must(x509.MarshalPKIXPublicKey(key.Public()))
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	jwk := string(must(must(keyring.ParsePEM("", []byte(public))).JWK()))
	var loose map[string]any
	if err := json.Unmarshal([]byte(jwk), &loose); err != nil {
		t.Fatal(err)
	}
	std := base64.StdEncoding.EncodeToString
	looks := map[string]string{
		"PEM": public, "PEM in one line": strings.ReplaceAll(public, "\n", ""), "PEM with CRLF": strings.ReplaceAll(public, "\n", "\r\n"), "PEM in lower case": strings.ToLower(public), "PEM without spaces": strings.ReplaceAll(public, " ", ""), "a private PEM": string(privatePEM(key)),
		"a certificate": strings.ReplaceAll(public, "PUBLIC KEY", "CERTIFICATE"), "JWK": jwk, "an indented JWK": string(must(json.MarshalIndent(loose, "", "  "))), "a set of JWKs": `{"keys":[` + jwk + `]}`, "a list of JWKs": "[" + jwk + "]",
		"half a JWK": jwk[:len(jwk)-4], "DER": string(der), "DER that ends in a space": string(der[:len(der)-1]) + " ", "DER that ends in a line end": string(der[:len(der)-1]) + "\n", "SSH": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGxvb2tzLWxpa2UtYS1rZXktYnV0LWlzLW5vbmU jack@example.org",
		"ECDSA of SSH": "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBA jack", "SSH's own form": "---- BEGIN SSH2 PUBLIC KEY ----\nAAAAC3NzaC1lZDI1NTE5AAAAIGxvb2tz\n---- END SSH2 PUBLIC KEY ----",
	}
	wraps := map[string]func(string) string{
		"as it is": func(s string) string { return s }, "behind spaces": func(s string) string { return " \t" + s }, "behind a line": func(s string) string { return "\n\r\n" + s }, "behind a byte order mark": func(s string) string { return "\ufeff" + s },
		"behind a no-break space": func(s string) string { return "\u00a0\u200b" + s }, "with spaces behind": func(s string) string { return s + " \n\t" }, "in base64": func(s string) string { return std([]byte(s)) },
		"in base64, marked": func(s string) string { return "base64:" + std([]byte(s)) }, "in base64url": func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
		"in hexadecimal digits": func(s string) string { return hex.EncodeToString([]byte(s)) }, "in hexadecimal digits, marked": func(s string) string { return "hex:" + hex.EncodeToString([]byte(s)) },
		"in base64, in lines": func(s string) string { return strings.Join(strings.SplitAfter(std([]byte(s)), "A"), "\n") },
	}
	for look, text := range looks {
		for wrap, wrapped := range wraps {
			for _, algorithm := range symmetric {
				for _, weak := range []bool{false, true} {
					k, err := keyring.Secret(algorithm, wrapped(text), weak)
					if !errors.Is(err, keyring.ErrForm) || k != nil {
						t.Errorf("Secret(%s, %s %s, weak: %v) = %v, %v, want ErrForm", algorithm, look, wrap, weak, k, err)
					} else if strings.Contains(err.Error(), text[10:20]) {
						t.Errorf("Secret(%s, %s %s): the error repeats the text: %v", algorithm, look, wrap, err)
					}
				}
			}
		}
	}
}

// TestWeakSecrets: what is shorter than its hash, one byte over and over, or known to everybody who can read, signs nothing but in development, and what is empty not even there.
func TestWeakSecrets(t *testing.T) {
	sizes := map[keyring.Algorithm]int{keyring.HS256: 32, keyring.HS384: 48, keyring.HS512: 64}
	random := func(n int) string { return strings.Repeat("7Yq2", n)[:n-1] + "!" }
	for algorithm, size := range sizes {
		for what, tt := range map[string]struct {
			text       string
			good, weak bool // taken, and taken for development
		}{
			"long enough": {random(size), true, true}, "longer": {random(3 * size), true, true}, "in hexadecimal digits": {"hex:" + hex.EncodeToString([]byte(random(size))), true, true},
			"in base64": {"base64:" + base64.StdEncoding.EncodeToString([]byte(random(size))), true, true}, "a byte too short": {random(size - 1), false, true}, "a word": {"testsecret", false, true}, "a character": {"x", false, true},
			"hexadecimal digits of half of it": {"hex:" + hex.EncodeToString([]byte(random(size/2))), false, true}, "one byte over and over": {strings.Repeat("a", size), false, true},
			"zeros": {"hex:" + strings.Repeat("00", size), false, true}, "nothing": {"", false, false}, "nothing in hexadecimal digits": {"hex:", false, false}, "nothing in base64": {"base64:", false, false},
		} {
			for _, weak := range []bool{false, true} {
				k, err := keyring.Secret(algorithm, tt.text, weak)
				if good := tt.good || weak && tt.weak; good != (err == nil) || !good && (k != nil || tt.text != "" && len(tt.text) > 10 && strings.Contains(err.Error(), tt.text)) {
					t.Errorf("Secret(%s, %s, weak: %v) = %v, %v, want it taken: %v", algorithm, what, weak, k, err, good)
				}
				if err != nil && !errors.Is(err, keyring.ErrWeak) && !errors.Is(err, keyring.ErrForm) {
					t.Errorf("Secret(%s, %s) = %v, want ErrWeak or ErrForm", algorithm, what, err)
				}
			}
		}
	}
	for _, text := range []string{"33a35b4ab0123456789abcdef0123456", "an-old-secret-of-thirty-two-bytes-and-more"} { // half as strong as they are long, and somebody's all the same
		if _, err := keyring.Secret(keyring.HS256, text, false); err != nil {
			t.Errorf("Secret(HS256, %s) = %v, want nil", text, err)
		}
	}
}

// TestPublishedSecrets: those that stand in other people's manuals are the first that somebody tries.
func TestPublishedSecrets(t *testing.T) {
	oct := func(raw string) string {
		return fmt.Sprintf(`{"kty":"oct","alg":"HS256","kid":"a","k":%q}`, base64.RawURLEncoding.EncodeToString([]byte(raw)))
	}
	for _, text := range []string{
		"a-string-secret-at-least-256-bits-long", "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long", "super-secret-jwt-token-with-at-least-32-characters-long",
		"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", "django-insecure-8w1x!3q)d5v$m^0p&k2r(z7t@y9u_n4b6c*j-l=h+g",
	} {
		for what, written := range map[string]string{"as it stands": text, "in base64": "base64:" + base64.StdEncoding.EncodeToString([]byte(text)), "in hexadecimal digits": "hex:" + hex.EncodeToString([]byte(text))} {
			if k, err := keyring.Secret(keyring.HS256, written, false); !errors.Is(err, keyring.ErrWeak) || k != nil || !strings.Contains(err.Error(), "gatehouse key generate") || strings.Contains(err.Error(), text) {
				t.Errorf("Secret(HS256, %s, %s) = %v, %v, want ErrWeak, what to do, and not the secret", text, what, k, err)
			}
		}
		if _, err := keyring.Secret(keyring.HS256, text, true); err != nil {
			t.Errorf("Secret(HS256, %s) for development = %v, want nil", text, err)
		}
		if keys, err := keyring.ParseOwnJWKS([]byte(oct(text))); !errors.Is(err, keyring.ErrWeak) {
			t.Errorf("ParseOwnJWKS(%s) = %v, %v, want ErrWeak", text, keys, err)
		}
	}
	if _, err := keyring.Secret(keyring.HS256, "hex:404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970", false); !errors.Is(err, keyring.ErrWeak) {
		t.Errorf("Secret(HS256, a published one in the digits that it is published in) = %v, want ErrWeak", err)
	}
}

// TestNewKeysAreStrong: what is made here has the strength of 128 bits at least (NIST SP 800-57), and no two are alike.
func TestNewKeysAreStrong(t *testing.T) {
	seen := map[string]bool{}
	for algorithm, size := range map[keyring.Algorithm]int{keyring.HS256: 32, keyring.HS384: 48, keyring.HS512: 64, keyring.A256GCM: 32} {
		for range 50 {
			text := must(keyring.NewSecret(algorithm)).Reveal()
			raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "base64:"))
			if err != nil || len(raw) != size || seen[text] {
				t.Errorf("NewSecret(%s) has %d bytes, %v, known: %v, want %d new ones", algorithm, len(raw), err, seen[text], size)
			}
			seen[text] = true
			if _, err := keyring.Secret(algorithm, text, false); err != nil {
				t.Errorf("Secret(%s, a new one) = %v, want nil", algorithm, err)
			}
		}
	}
	if bits := 8 * len(sign(t, made()[keyring.RS256], "input")); bits < 3072 {
		t.Errorf("a new RSA key has %d bits, want 3072 at least", bits)
	}
	for _, algorithm := range []keyring.Algorithm{keyring.RS256, keyring.ES256, keyring.EdDSA, "none"} {
		if got, err := keyring.NewSecret(algorithm); !errors.Is(err, keyring.ErrForm) || !got.IsZero() {
			t.Errorf("NewSecret(%s) = %v, want ErrForm", algorithm, err)
		}
	}
}

// TestKeysAreDocumented: the page for operators says what becomes of a key, how strong one must be, and what is to come; and what it says is so.
func TestKeysAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/tokens.md")
	if err != nil {
		t.Fatal(err)
	}
	page := strings.Join(strings.Fields(string(text)), " ")
	for _, want := range []string{
		"A key goes through four states", "| `next` | yes | no | yes |", "| `active` | yes | yes | yes |", "| `retired` | yes | no | yes |", "| `gone` | no | no | no |",
		fmt.Sprintf("signs in %d minutes", keyring.DefaultPublish/time.Minute), "`rotate`, 30 d", "gatehouse key list", "gatehouse key retire access KID", "keep a copy",
		"hashes SHA-2, sealing AES-256-GCM with random nonces and keys derived by HKDF-SHA256", "RSA of less than 2048 bits", "other curves than P-256 and Ed25519", "an HMAC secret that is shorter than its hash",
		"**Post-quantum**", "ML-DSA",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("docs/tokens.md does not say %q", want)
		}
	}
	for _, algorithm := range []keyring.Algorithm{keyring.HS256, keyring.HS384, keyring.HS512, keyring.RS256, keyring.PS256, keyring.ES256, keyring.EdDSA} {
		if !strings.Contains(page, string(algorithm)) {
			t.Errorf("docs/tokens.md does not name %s", algorithm)
		}
	}
}
