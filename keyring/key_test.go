package keyring_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
)

// signing are the algorithms that sign, with the length of their signatures.
var signing = map[keyring.Algorithm]int{
	keyring.HS256: 32, keyring.HS384: 48, keyring.HS512: 64, keyring.RS256: 384, keyring.PS256: 384, keyring.ES256: 64, keyring.EdDSA: 64,
}

// made are keys that are made once, because RSA keys take long.
var made = sync.OnceValue(func() map[keyring.Algorithm]*keyring.Key {
	keys := map[keyring.Algorithm]*keyring.Key{}
	for algorithm := range signing {
		keys[algorithm] = must(keyring.Generate(algorithm))
	}
	keys[keyring.A256GCM] = must(keyring.Generate(keyring.A256GCM))
	return keys
})

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func sign(t testing.TB, k *keyring.Key, input string) []byte {
	t.Helper()
	signature, err := k.Sign(nil, []byte(input))
	if err != nil {
		t.Fatalf("%v.Sign(%q) = %v, want nil", k, input, err)
	}
	return signature
}

func TestKeysVerifyWhatTheySign(t *testing.T) {
	for algorithm, size := range signing {
		k := made()[algorithm]
		if k.Algorithm() != algorithm || !k.CanSign() || len(k.ID()) != 26 || strings.ToLower(k.ID()) != k.ID() {
			t.Errorf("Generate(%s) = %v, CanSign %v, want a key for it with an id of 26 lower-case characters that can sign", algorithm, k, k.CanSign())
		}
		dst := []byte("before ")
		got, err := k.Sign(dst, []byte("input"))
		if err != nil || !bytes.HasPrefix(got, dst) || len(got) != len(dst)+size {
			t.Errorf("%s: Sign(dst, input) = %d bytes, %v, want dst and %d bytes", algorithm, len(got), err, size)
			continue
		}
		if err := k.Verify([]byte("input"), got[len(dst):]); err != nil {
			t.Errorf("%s: Verify of what was signed = %v, want nil", algorithm, err)
		}
		if public := k.Public(); public != nil {
			if err := public.Verify([]byte("input"), got[len(dst):]); err != nil || public.ID() != k.ID() {
				t.Errorf("%s: Public().Verify = %v, id %q, want nil, %q", algorithm, err, public.ID(), k.ID())
			}
		}
	}
}

func TestNothingElseVerifies(t *testing.T) {
	for algorithm := range signing {
		k := made()[algorithm]
		good := sign(t, k, "input")
		bad := map[string][]byte{"nil": nil, "empty": {}, "zeros": make([]byte, len(good)), "one byte less": good[:len(good)-1], "one byte less in front": good[1:],
			"one byte more": append(bytes.Clone(good), 0), "a zero in front": append([]byte{0}, good...), "twice": append(bytes.Clone(good), good...), "long": make([]byte, 1<<16),
			"ones": bytes.Repeat([]byte{255}, len(good))}
		for i := range good {
			flipped := bytes.Clone(good)
			flipped[i] ^= 1 << (i % 8)
			if algorithm != keyring.RS256 && algorithm != keyring.PS256 || i%16 == 0 {
				bad[fmt.Sprint("bit of byte ", i)] = flipped
			}
		}
		for name, signature := range bad {
			if err := k.Verify([]byte("input"), signature); !errors.Is(err, keyring.ErrSignature) || !errors.Is(err, gatehouse.ErrCredential) {
				t.Errorf("%s: Verify(input, %s) = %v, want ErrSignature", algorithm, name, err)
			}
		}
		for _, input := range []string{"", "inpu", "input ", "Input", "input\x00"} {
			if err := k.Verify([]byte(input), good); !errors.Is(err, keyring.ErrSignature) {
				t.Errorf("%s: Verify(%q, signature of input) = %v, want ErrSignature", algorithm, input, err)
			}
		}
	}
}

// TestKeysDoNotVerifyForOneAnother: n × n, only the diagonal passes. RS256 and PS256 are tried with one RSA key as well.
func TestKeysDoNotVerifyForOneAnother(t *testing.T) {
	keys := []*keyring.Key{}
	for _, k := range made() {
		keys = append(keys, k)
	}
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))
	for _, algorithm := range []keyring.Algorithm{keyring.RS256, keyring.PS256} {
		keys = append(keys, must(keyring.ParsePEM(algorithm, privatePEM(rsaKey))))
	}
	raw := strings.Repeat("0123456789abcdef", 4)
	for _, algorithm := range []keyring.Algorithm{keyring.HS256, keyring.HS384, keyring.HS512} {
		keys = append(keys, must(keyring.Secret(algorithm, raw, false)))
	}
	for i, signer := range keys {
		if signer.Algorithm() == keyring.A256GCM {
			continue
		}
		signature := sign(t, signer, "input")
		for j, verifier := range keys {
			if err := verifier.Verify([]byte("input"), signature); (err == nil) != (i == j) {
				t.Errorf("%v verifies what %v has signed: %v, want that only for itself", verifier, signer, err)
			}
		}
	}
}

func privatePEM(key any) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))})
}

func publicPEM(key any) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(key))})
}

// TestECDSANumbersOutOfRange: zeros (CVE-2022-21449), the order of the group, and more.
func TestECDSANumbersOutOfRange(t *testing.T) {
	k := made()[keyring.ES256]
	good := sign(t, k, "input")
	a, b := new(big.Int).SetBytes(good[:32]), new(big.Int).SetBytes(good[32:])
	order := elliptic.P256().Params().N
	zero, one, top := new(big.Int), big.NewInt(1), new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	for _, pair := range [][2]*big.Int{{zero, zero}, {zero, b}, {a, zero}, {order, b}, {a, order}, {order, order}, {one, one}, {zero, one}, {one, zero}, {top, top}, {b, a}} {
		var raw [64]byte
		pair[0].FillBytes(raw[:32])
		pair[1].FillBytes(raw[32:])
		if err := k.Verify([]byte("input"), raw[:]); !errors.Is(err, keyring.ErrSignature) {
			t.Errorf("Verify(%x) = %v, want ErrSignature", raw, err)
		}
	}
	if err := k.Verify([]byte("input"), must(signASN1([]byte("input")))); !errors.Is(err, keyring.ErrSignature) {
		t.Errorf("Verify(an ECDSA signature in DER) = %v, want ErrSignature", err)
	}
}

func signASN1(input []byte) ([]byte, error) {
	sum := sha256.Sum256(input)
	return ecdsa.SignASN1(rand.Reader, must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), sum[:])
}

// TestPS256SaltHasTheLengthOfTheHash as RFC 7518 says: other salts verify in many libraries.
func TestPS256SaltHasTheLengthOfTheHash(t *testing.T) {
	private := must(rsa.GenerateKey(rand.Reader, 2048))
	k := must(keyring.ParsePEM(keyring.PS256, privatePEM(private)))
	sum := sha256.Sum256([]byte("input"))
	for salt, want := range map[int]bool{32: true, 0: true, 20: true, 31: true, 33: true, 64: true} {
		want = salt == 32
		if salt == 0 {
			salt = 1 // 0 means automatic
		}
		signature := must(rsa.SignPSS(rand.Reader, private, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: salt}))
		if got := k.Verify([]byte("input"), signature) == nil; got != want {
			t.Errorf("Verify(salt of %d bytes) = %v, want %v", salt, got, want)
		}
	}
}

func TestWhatCannotSign(t *testing.T) {
	for _, algorithm := range []keyring.Algorithm{keyring.RS256, keyring.PS256, keyring.ES256, keyring.EdDSA} {
		public := made()[algorithm].Public()
		if public.CanSign() {
			t.Errorf("%s: Public().CanSign() = true, want false", algorithm)
		}
		if got, err := public.Sign(nil, []byte("input")); !errors.Is(err, keyring.ErrForm) || got != nil {
			t.Errorf("%s: Public().Sign = %x, %v, want ErrForm", algorithm, got, err)
		}
		if public.Public() != public {
			t.Errorf("%s: Public().Public() is another key, want itself", algorithm)
		}
	}
	for _, algorithm := range []keyring.Algorithm{keyring.HS256, keyring.HS384, keyring.HS512, keyring.A256GCM} {
		if got := made()[algorithm].Public(); got != nil {
			t.Errorf("%s: Public() = %v, want nil", algorithm, got)
		}
		if got, err := made()[algorithm].JWK(); err == nil {
			t.Errorf("%s: JWK() = %s, want an error: it is secret", algorithm, got)
		}
	}
	box := made()[keyring.A256GCM]
	if got, err := box.Sign(nil, []byte("input")); !errors.Is(err, keyring.ErrForm) {
		t.Errorf("A256GCM: Sign = %x, %v, want ErrForm", got, err)
	}
	for _, signature := range [][]byte{nil, {}, make([]byte, 32)} {
		if err := box.Verify([]byte("input"), signature); !errors.Is(err, keyring.ErrSignature) {
			t.Errorf("A256GCM: Verify(%x) = %v, want ErrSignature", signature, err)
		}
	}
}

func TestGenerateRefusesUnknownAlgorithms(t *testing.T) {
	for _, algorithm := range []keyring.Algorithm{"", "none", "None", "NONE", "hs256", "HS256 ", "HS1", "RS384", "ES384", "ES512", "ES256K", "RSA1_5", "A128GCM", "dir", "Ed25519"} {
		if k, err := keyring.Generate(algorithm); !errors.Is(err, keyring.ErrForm) || k != nil {
			t.Errorf("Generate(%q) = %v, %v, want ErrForm", algorithm, k, err)
		}
		if algorithm.Symmetric() {
			t.Errorf("%q.Symmetric() = true, want false", algorithm)
		}
	}
}

func TestGeneratedKeysDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 50 {
		k := must(keyring.Generate(keyring.HS256))
		signature := string(sign(t, k, "input"))
		if seen[k.ID()] || seen[signature] {
			t.Fatalf("Generate made the key %v twice", k)
		}
		seen[k.ID()], seen[signature] = true, true
	}
}

func TestBoxes(t *testing.T) {
	k, other := made()[keyring.A256GCM], must(keyring.Generate(keyring.A256GCM))
	sealed := must(k.Seal([]byte("secret text"), []byte("data")))
	if got, err := k.Open(sealed, []byte("data")); err != nil || string(got) != "secret text" {
		t.Fatalf("Open(Seal(secret text)) = %q, %v, want the text", got, err)
	}
	if again := must(k.Seal([]byte("secret text"), []byte("data"))); bytes.Equal(again, sealed) {
		t.Error("Seal gave the same twice, want another nonce each time")
	}
	refuse := func(what string, k *keyring.Key, sealed, data []byte) {
		t.Helper()
		if got, err := k.Open(sealed, data); !errors.Is(err, keyring.ErrSignature) || got != nil {
			t.Errorf("Open(%s) = %q, %v, want ErrSignature", what, got, err)
		}
	}
	refuse("another key's", other, sealed, []byte("data"))
	refuse("other data", k, sealed, []byte("date"))
	refuse("no data", k, sealed, nil)
	refuse("nothing", k, nil, []byte("data"))
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		refuse(fmt.Sprint("a bit of byte ", i), k, changed, []byte("data"))
		refuse(fmt.Sprint("the first ", i), k, sealed[:i], []byte("data"))
	}
	refuse("more", k, append(bytes.Clone(sealed), 0), []byte("data"))
	for _, algorithm := range []keyring.Algorithm{keyring.HS256, keyring.ES256} {
		if got, err := made()[algorithm].Seal(nil, nil); !errors.Is(err, keyring.ErrForm) {
			t.Errorf("%s: Seal = %x, %v, want ErrForm", algorithm, got, err)
		}
		if got, err := made()[algorithm].Open(sealed, nil); !errors.Is(err, keyring.ErrForm) {
			t.Errorf("%s: Open = %x, %v, want ErrForm", algorithm, got, err)
		}
	}
}

// TestKeysCannotBePrinted: not with any verb, not inside anything, not logged, not marshalled.
func TestKeysCannotBePrinted(t *testing.T) {
	text := "an-hmac-secret-of-forty-characters-or-so"
	private := must(rsa.GenerateKey(rand.Reader, 2048))
	_, edPrivate, _ := ed25519.GenerateKey(rand.Reader)
	master := keyring.NewMaster()
	for name, test := range map[string]struct {
		value any
		hides []string
	}{
		"secret":  {must(keyring.Secret(keyring.HS256, text, false)), []string{text}},
		"box":     {must(keyring.Secret(keyring.A256GCM, text[:32], false)), []string{text[:32]}},
		"RSA":     {must(keyring.ParsePEM("", privatePEM(private))), []string{private.D.String(), private.Primes[0].String()}},
		"Ed25519": {must(keyring.ParsePEM("", privatePEM(edPrivate))), []string{string(edPrivate.Seed())}},
		"master":  {master, []string{master.Text().Reveal()}},
	} {
		holder := struct {
			Key    any
			hidden any
		}{test.value, test.value}
		var out strings.Builder
		k, _ := test.value.(*keyring.Key)
		m, _ := test.value.(*keyring.Master)
		inside := struct {
			k   *keyring.Key
			v   keyring.Key
			m   *keyring.Master
			all []*keyring.Key
		}{k: k, m: m, all: []*keyring.Key{k}}
		if k != nil {
			inside.v = *k
		}
		c := keyring.Config{Name: "access", Algorithm: keyring.HS256, Master: keyring.NewMaster(), Import: inside.all}
		for _, value := range []any{test.value, []any{test.value}, map[string]any{"k": test.value}, holder, &holder, deref(test.value), inside, &inside, c, &c} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%T", "%o", "%b", "%c", "%U", "%e", "%t"} {
				fmt.Fprintf(&out, verb+"\n", value)
			}
			text, err := json.Marshal(value)
			fmt.Fprintln(&out, string(text), err)
			slog.New(slog.NewTextHandler(&out, nil)).Info("key", "key", value)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("key", "key", value)
		}
		for _, secret := range test.hides {
			for _, form := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), strings.Trim(fmt.Sprint([]byte(secret)), "[]"), strings.Trim(fmt.Sprintf("%#v", []byte(secret)), "[]byte{}")} {
				if strings.Contains(out.String(), form) {
					t.Errorf("%s: the key came out as %q", name, form)
				}
			}
		}
	}
}

// deref returns the value that a pointer points to, as a careless %v would print it.
func deref(value any) any {
	switch v := value.(type) {
	case *keyring.Key:
		return *v
	case *keyring.Master:
		return *v
	}
	return value
}

// TestRingsCannotBePrinted: neither the keys of a ring come out, nor what it is sealed with.
func TestRingsCannotBePrinted(t *testing.T) {
	text := "an-hmac-secret-of-forty-characters-or-so"
	k := must(keyring.Secret(keyring.HS256, text, false))
	master := keyring.NewMaster()
	stored := newRing(t, newStore(), newClock(), keyring.Config{Algorithm: keyring.HS256, Import: []*keyring.Key{k}, Master: master})
	for _, r := range []*keyring.Ring{stored, must(keyring.Static("access", k))} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			got := fmt.Sprintf(verb, r)
			for _, secret := range []string{text, master.Text().Reveal()} {
				for _, form := range []string{secret, fmt.Sprintf("%x", secret), strings.Trim(fmt.Sprint([]byte(secret)), "[]")} {
					if strings.Contains(got, form) {
						t.Errorf("Sprintf(%q, ring) contains %q", verb, form)
					}
				}
			}
		}
	}
}

func TestStringNamesTheKey(t *testing.T) {
	k := must(keyring.Secret(keyring.HS256, strings.Repeat("ab", 20), false)).WithID("k1")
	for _, got := range []string{fmt.Sprint(k), fmt.Sprintf("%#v", k), k.String(), fmt.Sprintf("%v", *k)} {
		if got != `[HS256 key "k1"]` {
			t.Errorf("String of the key k1 = %s, want [HS256 key \"k1\"]", got)
		}
	}
	if got := k.WithID(strings.Repeat("x", 1000)).String(); len(got) > 100 {
		t.Errorf("String of a key with a long id has %d bytes, want at most 100", len(got))
	}
}

func TestKeysAreSafeForConcurrentUse(t *testing.T) {
	for algorithm := range signing {
		k := made()[algorithm]
		var group sync.WaitGroup
		for worker := range 8 {
			group.Go(func() {
				for i := range 4 {
					input := fmt.Sprintf("input %d %d", worker, i)
					signature, err := k.Sign(nil, []byte(input))
					if err != nil || k.Verify([]byte(input), signature) != nil || k.Verify([]byte("other"), signature) == nil {
						t.Errorf("%s: Sign and Verify of %q in parallel: %v", algorithm, input, err)
					}
				}
			})
		}
		group.Wait()
	}
}
