package token

import (
	"fmt"
	"net/http"
	"syscall"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

// What tests of the parts need, since those who use the package see whole tokens only.
var (
	TypeName = typeName
	MaxAge   = maxAge
)

const (
	MaxDepth, MaxMembers              = maxDepth, maxMembers
	FetchTimeout, FetchPause          = fetchTimeout, fetchPause
	MinKeyAge, MaxKeyAge              = minKeyAge, maxKeyAge
	MaxStaleKeys, FailurePause        = maxStaleKeys, failurePause
	MaxKeySet, AssertionPurpose       = maxKeySet, assertionPurpose
	CacheShards, HeadMargin           = cacheShards, recordMargin
	LatestDate                  int64 = latest
)

// VerifyJWS returns the payload of a compact JWS that one of the keys has signed: the one that it names, or any if it names none.
func VerifyJWS(text string, keys ...*keyring.Key) (string, error) {
	t, err := parse(text)
	if err != nil {
		return "", err
	}
	err = errUnknownKey
	for _, key := range keys {
		if t.Key == "" || t.Key == key.ID() {
			if err = t.verify(key); err == nil {
				return t.payload, nil
			}
		}
	}
	return "", err
}

// ParseJWS returns the algorithm, the type, the key and the payload of a compact JWS, of which nothing was verified.
func ParseJWS(text string) (algorithm, typ, kid, payload string, err error) {
	t, err := parse(text)
	return string(t.Algorithm), t.Type, t.Key, t.payload, err
}

// ParseClaims reads the payload of a JWT.
func ParseClaims(payload string) (Claims, error) { return parseClaims(payload) }

// ReadJSON reads an object as tokens are read.
func ReadJSON(text string) (map[string]any, error) {
	all := map[string]any{}
	err := members(text, func(name, value string) error {
		v, ok := valueOf(value)
		if !ok {
			return fmt.Errorf("valueOf(%q) fails", value)
		}
		all[name] = v
		return nil
	})
	return all, err
}

// Payload returns the claims as they are written.
func Payload(c Claims) ([]byte, error) { return c.payload() }

// DialOnly is what is asked before an address is dialled for the keys of host.
func DialOnly(host, address string) error {
	return dialOnly(host)("tcp", address, syscall.RawConn(nil))
}

// Transport returns how v fetches the keys of its issuer.
func Transport(v *Verifier) http.RoundTripper { return v.keys.(*remoteKeys).client.Transport }

// Remembered returns how many tokens v remembers.
func Remembered(v *Verifier) int {
	n := 0
	for i := range v.cache.parts {
		n += len(v.cache.parts[i].young) + len(v.cache.parts[i].old)
	}
	return n
}

// RecordOf returns the key under which the record of a token is kept.
func RecordOf(text string) Key { return keyOf(text) }

// Seconds is how claims have a time.
func Seconds(t time.Time) int64 { return t.Unix() }

// SetLeeway sets a leeway that no configuration may have, for tests in which a token outlives its key.
func (v *Verifier) SetLeeway(d time.Duration) { v.c.Leeway = d }
