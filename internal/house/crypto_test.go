package house

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A use is what a package does with cryptography.
type use struct {
	why     string
	imports []string // of crypto/… and golang.org/x/crypto/…, without those that everybody may use
}

// cryptography is the inventory: every package whose code has more to do with cryptography than random bytes, SHA-256, comparing in constant time, and TLS. Whoever changes an algorithm finds here
// where; whoever adds a use adds it here. Examples and samples are not in it, nor what serves tests.
var cryptography = map[string]use{
	"gateway":         {"authorities of upstreams", []string{"crypto/x509"}},
	"internal/cli":    {"authorities of upstreams", []string{"crypto/x509"}},
	"internal/listen": {"the certificate of the listener, and the one that dev makes for itself", []string{"crypto/ecdsa", "crypto/elliptic", "crypto/x509", "crypto/x509/pkix"}},
	"internal/seal":   {"keys at rest: AES-256-GCM with keys derived by HKDF-SHA256", []string{"crypto/aes", "crypto/cipher", "crypto/hkdf"}},
	"keyring":         {"signatures of tokens: HMAC, RSA, ECDSA on P-256, Ed25519; sealed cookies: AES-256-GCM", []string{"crypto/aes", "crypto/cipher", "crypto/ecdsa", "crypto/ed25519", "crypto/elliptic", "crypto/hmac", "crypto/rsa", "crypto/sha512", "crypto/x509"}},
	"passwd":          {"password hashes: argon2id, and those of other systems", []string{"crypto/hmac", "crypto/pbkdf2", "crypto/sha512", "golang.org/x/crypto/argon2", "golang.org/x/crypto/bcrypt", "golang.org/x/crypto/scrypt"}},
	"token":           {"the successor of a refresh token, sealed under it: AES-256-GCM with a key derived by HKDF-SHA256", []string{"crypto/aes", "crypto/cipher", "crypto/hkdf"}},
}

// everyday are imports of cryptography that say nothing by themselves.
var everyday = []string{"crypto", "crypto/rand", "crypto/sha256", "crypto/subtle", "crypto/tls"}

// outside says whether a package is none of the product's: it shows or tests something.
func outside(p goPackage) bool {
	top, _, _ := strings.Cut(p.rel(), "/")
	return slices.Contains([]string{"examples", "bench", "gatehousetest"}, top) || p.rel() == "store/storetest" || p.rel() == "internal/testbed"
}

// cryptoImports returns the imports of p that belong into the inventory.
func cryptoImports(p goPackage) []string {
	return slices.DeleteFunc(slices.Clone(p.Imports), func(path string) bool {
		return slices.Contains(everyday, path) || path != "crypto" && !strings.HasPrefix(path, "crypto/") && !strings.HasPrefix(path, "golang.org/x/crypto/")
	})
}

// others are other people's modules that have to do with cryptography, by the package that may import them: go-jose, which reads JWKs and JSON and is asked for nothing else, and SHA-crypt,
// which the standard library does not have, for the password hashes of other systems.
var others = map[string][]string{
	"keyring": {"github.com/go-jose/go-jose/v4", "github.com/go-jose/go-jose/v4/json"},
	"passwd":  {"github.com/go-crypt/crypt/algorithm/shacrypt"},
}

// cryptic are parts of the names of modules that compute something cryptographic, which the product leaves to the standard library and golang.org/x/crypto.
var cryptic = []string{"jwt", "jose", "crypt", "cipher", "sodium", "nacl", "argon", "tink", "paseto", "ed25519", "secp256"}

// strangers finds imports of such modules.
func strangers(p goPackage) []string {
	var faults []string
	for _, path := range p.Imports {
		known := standard(path) || strings.HasPrefix(path, module) || strings.HasPrefix(path, "golang.org/x/crypto/") || slices.Contains(others[p.rel()], path)
		if !known && slices.ContainsFunc(cryptic, func(part string) bool { return strings.Contains(strings.ToLower(path), part) }) {
			faults = append(faults, fmt.Sprintf("package %q imports %q: leave cryptography to the standard library and golang.org/x/crypto", p.rel(), path))
		}
	}
	return faults
}

// TestCryptography: every use of cryptography is in the inventory, with what it is for, and nothing is in it that is not used.
func TestCryptography(t *testing.T) {
	found := map[string][]string{}
	for _, p := range packages(t) {
		if outside(p) {
			continue
		}
		report(t, strangers(p))
		if imports := cryptoImports(p); len(imports) > 0 {
			slices.Sort(imports)
			found[p.rel()] = imports
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if want := cryptography[name]; !slices.Equal(found[name], want.imports) {
			t.Errorf("package %q imports %q, and the inventory says %q: write down what it is for", name, found[name], want.imports)
		}
	}
	for name, use := range cryptography {
		if found[name] == nil || use.why == "" {
			t.Errorf("the inventory has %q, which has no such use, or does not say what for", name)
		}
	}
}

// safeNames are the only names of these packages that the product may use. Of package cipher that leaves one mode, which authenticates, and makes its nonces itself; of RSA, signatures and no
// encryption.
var safeNames = map[string][]string{
	"crypto/cipher": {"AEAD", "NewGCMWithRandomNonce"},
	"crypto/aes":    {"NewCipher"},
	"crypto/rsa":    {"GenerateKey", "PrivateKey", "PublicKey", "SignPSS", "VerifyPSS", "SignPKCS1v15", "VerifyPKCS1v15", "PSSOptions", "PSSSaltLengthEqualsHash"},
}

// unsafeNames finds where a file uses another name of those packages.
func unsafeNames(fileSet *token.FileSet, file *ast.File) []string {
	var faults []string
	for path, names := range safeNames {
		pack := importName(file, path)
		if pack == "" {
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			expr, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			if name := selected(expr, pack); name != "" && !slices.Contains(names, name) {
				faults = append(faults, fmt.Sprintf("%v: %s.%s: only %s are used here", fileSet.Position(n.Pos()), path, name, strings.Join(names, ", ")))
			}
			return true
		})
	}
	return faults
}

// TestAuthenticatedEncryptionOnly reads all code: what is encrypted is authenticated, under nonces that nobody chooses, and RSA encrypts nothing.
func TestAuthenticatedEncryptionOnly(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range p.files(false) {
			files := token.NewFileSet()
			report(t, unsafeNames(files, parse(t, files, name, nil)))
		}
	}
}

func TestUnsafeNames(t *testing.T) {
	for code, want := range map[string][]string{
		`"crypto/cipher"; var f = cipher.NewGCMWithRandomNonce`: nil, `"crypto/cipher"; type x struct{ cipher.AEAD }`: nil, `"crypto/aes"; var f = aes.NewCipher`: nil,
		`"crypto/cipher"; var f = cipher.NewGCM`: {"crypto/cipher.NewGCM"}, `"crypto/cipher"; var f = cipher.NewCBCEncrypter`: {"NewCBCEncrypter"}, `c "crypto/cipher"; var f = c.NewCTR`: {"NewCTR"},
		`"crypto/rsa"; var f = rsa.EncryptPKCS1v15`: {"EncryptPKCS1v15"}, `"crypto/rsa"; var f = rsa.EncryptOAEP`: {"EncryptOAEP"}, `"crypto/rsa"; var f = rsa.VerifyPSS`: nil,
		`"other/cipher"; var f = cipher.NewCTR`: nil,
	} {
		files := token.NewFileSet()
		mustFind(t, "unsafeNames("+code+")", unsafeNames(files, parse(t, files, "x.go", "package x; import "+code)), want...)
	}
}

func TestStrangers(t *testing.T) {
	for path, want := range map[string][]string{
		"crypto/aes": nil, "golang.org/x/crypto/argon2": nil, module + "/token": nil, "github.com/redis/rueidis": nil, "github.com/golang-jwt/jwt/v5": {"leave cryptography"}, "github.com/go-jose/go-jose/v4": {"leave cryptography"},
		"github.com/go-crypt/crypt": {"leave cryptography"},
	} {
		mustFind(t, "strangers("+path+")", strangers(goPackage{ImportPath: module + "/token", Imports: []string{path}}), want...)
	}
	mustFind(t, "strangers(keyring)", strangers(goPackage{ImportPath: module + "/keyring", Imports: []string{"github.com/go-jose/go-jose/v4"}}))
	got := cryptoImports(goPackage{Imports: []string{"crypto", "crypto/rand", "crypto/aes", "golang.org/x/crypto/scrypt", "net/http"}})
	if want := []string{"crypto/aes", "golang.org/x/crypto/scrypt"}; !slices.Equal(got, want) {
		t.Errorf("cryptoImports = %q, want %q", got, want)
	}
}

// TestDerivedKeys: keys are derived from random keys alone. What stretches passwords is in no other package than passwd, where nothing is encrypted.
func TestDerivedKeys(t *testing.T) {
	stretching := []string{"crypto/pbkdf2", "golang.org/x/crypto/argon2", "golang.org/x/crypto/bcrypt", "golang.org/x/crypto/scrypt", "golang.org/x/crypto/pbkdf2"}
	for _, p := range packages(t) {
		encrypts := slices.Contains(p.Imports, "crypto/cipher")
		stretches := slices.ContainsFunc(p.Imports, func(path string) bool { return slices.Contains(stretching, path) })
		if stretches && (encrypts || p.rel() != "passwd" && !outside(p)) {
			t.Errorf("package %q stretches passwords (%s), which is for passwd alone, and never for a key", p.rel(), filepath.ToSlash(p.Dir))
		}
	}
}
