package keyring

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"sync"
)

// mac makes and checks HMACs. Its states are kept and used again: setting one up costs more than a token's HMAC.
type mac struct {
	size   int
	states sync.Pool
}

// A macState is an HMAC that is keyed, and the place for its sum.
type macState struct {
	hash hash.Hash
	sum  [sha512.Size]byte
}

func newMAC(algorithm Algorithm, raw []byte) *mac {
	hashes := map[Algorithm]func() hash.Hash{HS256: sha256.New, HS384: sha512.New384, HS512: sha512.New}
	fresh := hashes[algorithm]
	m := &mac{size: fresh().Size()}
	m.states.New = func() any { return &macState{hash: hmac.New(fresh, raw)} }
	return m
}

// sum returns the HMAC of input in a state that the caller puts back.
func (m *mac) sum(input []byte) (*macState, []byte) {
	s := m.states.Get().(*macState)
	s.hash.Reset()
	s.hash.Write(input)
	return s, s.hash.Sum(s.sum[:0])
}

func (m *mac) sign(dst, input []byte) ([]byte, error) {
	s, sum := m.sum(input)
	defer m.states.Put(s)
	return append(dst, sum...), nil
}

func (m *mac) verify(input, signature []byte) bool {
	if len(signature) != m.size {
		return false
	}
	s, sum := m.sum(input)
	ok := hmac.Equal(sum, signature)
	m.states.Put(s)
	return ok
}
