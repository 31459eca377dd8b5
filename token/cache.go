package token

import (
	"crypto/sha256"
	"sync"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
)

// DefaultCache is how many verified tokens a [Verifier] remembers unless it is told otherwise. The fewest are 64.
const DefaultCache = 10_000

// cacheShards is how many parts a cache has, so that cores do not wait for one another.
const cacheShards = 32

// A cached is a token that was verified. What can change about it, its time, its key's and whether it was revoked, is asked again each time.
type cached struct {
	claims   Claims
	identity gatehouse.Identity
	key      *keyring.Key
}

// A cache remembers verified tokens by the SHA-256 of the whole text, so that no two tokens share an entry. It never holds more than its size, 64 at least: what was not
// asked for since half of that was added is forgotten. The nil cache is empty.
type cache struct {
	half  int // of a shard's entries
	parts [cacheShards]struct {
		sync.RWMutex
		young, old map[Key]*cached
	}
}

func newCache(size int) *cache {
	if size < 0 {
		return nil
	}
	if size == 0 {
		size = DefaultCache
	}
	return &cache{half: max(1, size/(2*cacheShards))}
}

// keyOf returns the key of a token, without a copy on the heap for tokens of usual lengths.
func keyOf(text string) Key {
	var buffer [1 << 10]byte
	return sha256.Sum256(append(buffer[:0], text...))
}

func (c *cache) get(key Key) *cached {
	if c == nil {
		return nil
	}
	part := &c.parts[key[0]%cacheShards]
	part.RLock()
	found, old := part.young[key], false
	if found == nil {
		found, old = part.old[key], true
	}
	part.RUnlock()
	if found != nil && old {
		c.put(key, found)
	}
	return found
}

func (c *cache) put(key Key, v *cached) {
	if c == nil {
		return
	}
	part := &c.parts[key[0]%cacheShards]
	part.Lock()
	defer part.Unlock()
	if part.young == nil || len(part.young) >= c.half && part.young[key] == nil {
		part.old, part.young = part.young, make(map[Key]*cached, c.half)
	}
	part.young[key] = v
}

// drop forgets a token that is good no more.
func (c *cache) drop(key Key) {
	if c == nil {
		return
	}
	part := &c.parts[key[0]%cacheShards]
	part.Lock()
	defer part.Unlock()
	delete(part.young, key)
	delete(part.old, key)
}
