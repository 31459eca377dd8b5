package keyring

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
