package keyring

import "fmt"

// An Algorithm says what a key is for. A key has one, and no token can ask for another.
type Algorithm string

// The algorithms, in the words of RFC 7518 and RFC 8037. A256GCM seals, the others sign.
const (
	HS256   Algorithm = "HS256"
	HS384   Algorithm = "HS384"
	HS512   Algorithm = "HS512"
	RS256   Algorithm = "RS256"
	PS256   Algorithm = "PS256"
	ES256   Algorithm = "ES256"
	EdDSA   Algorithm = "EdDSA"
	A256GCM Algorithm = "A256GCM"
)

// known says which algorithms there are, and how many bytes the secret of a symmetric one has at least: what its hash has (RFC 7518, section 3.2).
var known = map[Algorithm]int{HS256: 32, HS384: 48, HS512: 64, A256GCM: 32, RS256: 0, PS256: 0, ES256: 0, EdDSA: 0}

// Symmetric reports whether keys of the algorithm are secrets that nobody else may have: they are never published.
func (a Algorithm) Symmetric() bool { return known[a] > 0 }

// Valid returns nil if a is one of the algorithms above, written exactly so. "none" is none.
func (a Algorithm) Valid() error {
	if _, ok := known[a]; !ok {
		return fmt.Errorf("%w: there is no algorithm %.20q: take HS256, HS384, HS512, RS256, PS256, ES256, EdDSA or A256GCM", ErrForm, string(a))
	}
	return nil
}
