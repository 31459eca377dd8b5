package carrier

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse"
)

// A Hash is the SHA-256 of a token. A fast hash is enough for tokens of 256 random bits, which is what [NewToken] makes.
type Hash [sha256.Size]byte

// HashToken returns the hash of token.
func HashToken(token string) Hash {
	var buffer [128]byte // room for every token that NewToken makes, so that a look-up allocates nothing
	return sha256.Sum256(append(buffer[:0], token...))
}

// String returns the hash as configuration files have it: "sha256:" and 64 hexadecimal digits.
func (h Hash) String() string { return hashPrefix + hex.EncodeToString(h[:]) }

const hashPrefix = "sha256:"

// ParseHash reads the form of [Hash.String].
func ParseHash(s string) (Hash, error) {
	digits, ok := strings.CutPrefix(s, hashPrefix)
	raw, err := hex.DecodeString(digits)
	if !ok || err != nil || len(raw) != sha256.Size {
		return Hash{}, errors.New(`a token hash is "sha256:" and 64 hexadecimal digits: "gatehouse hash token" makes one`)
	}
	return Hash(raw), nil
}

// tokenPrefix lets secret scanners and people recognise a leaked token.
const tokenPrefix = "gh_key_"

// NewToken returns a new random token of 256 bits.
func NewToken() gatehouse.Secret {
	return gatehouse.NewSecret(tokenPrefix + rand.Text() + rand.Text())
}

// A StaticToken is one entry of a list of tokens.
type StaticToken struct {
	Name    string // for logs and policy tests; required and unique
	Hash    Hash   // of the token; required and unique
	Owner   string // the subject; empty means Name
	Kind    gatehouse.Kind
	Email   string
	Roles   []string
	Scopes  []string
	Expires time.Time // zero: never
	Off     bool      // switched off, but known
}

// Identity returns what the token proves.
func (t StaticToken) Identity() gatehouse.Identity {
	id := gatehouse.Identity{Value: t.Owner, Kind: t.Kind, TokenID: t.Name, Email: t.Email, Roles: t.Roles, Scopes: t.Scopes, ExpiresAt: t.Expires}
	if id.Value == "" {
		id.Value = t.Name
	}
	if id.Kind == "" {
		id.Kind = gatehouse.KindService
	}
	return id
}

// Static is a fixed list of tokens, kept as hashes. It is immutable and safe for concurrent use.
type Static struct {
	byHash map[Hash]StaticToken
	byName map[string]StaticToken
	names  []string
}

// NewStatic returns the list of tokens. It fails if a name or hash is missing or stands there twice.
func NewStatic(tokens []StaticToken) (*Static, error) {
	s := &Static{byHash: make(map[Hash]StaticToken, len(tokens)), byName: make(map[string]StaticToken, len(tokens))}
	for i, t := range tokens {
		if t.Name == "" || t.Hash == (Hash{}) {
			return nil, fmt.Errorf("token %d: it needs a name and a hash", i+1)
		}
		if other, ok := s.byHash[t.Hash]; ok {
			return nil, fmt.Errorf("tokens %q and %q are the same token", other.Name, t.Name)
		}
		if _, ok := s.byName[t.Name]; ok {
			return nil, fmt.Errorf("two tokens are called %q", t.Name)
		}
		s.byHash[t.Hash], s.byName[t.Name] = t, t
		s.names = append(s.names, t.Name)
	}
	return s, nil
}

// Lookup is the [Lookup] of the list: it finds token by its hash and compares the hashes in constant time. The error is
// gatehouse.ErrCredential for an unknown token, ErrDisabled for one that is switched off. Expiry is the guard's to judge.
func (s *Static) Lookup(_ context.Context, token string) (gatehouse.Identity, error) {
	hash := HashToken(token)
	t, ok := s.byHash[hash]
	if !ok || subtle.ConstantTimeCompare(hash[:], t.Hash[:]) != 1 {
		return gatehouse.Identity{}, gatehouse.ErrCredential
	}
	if t.Off {
		return gatehouse.Identity{}, gatehouse.ErrDisabled
	}
	return t.Identity(), nil
}

// ByName returns the token called name, for explanations and policy tests.
func (s *Static) ByName(name string) (StaticToken, bool) {
	t, ok := s.byName[name]
	return t, ok
}

// Names returns the names of all tokens in their order. The caller must not change the slice.
func (s *Static) Names() []string { return s.names }
