package redis

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

// A KeyStore is a [keyring.Store] in a server. It is safe for concurrent use. Make one with [Keys].
//
// The keys are sealed with the master key, which the server does not have. They are as durable as the server is: a failover that loses a rotation brings back the keys from before
// it, so that what was signed with the lost one is refused; one that loses a [keyring.Ring.Retire] brings back a key that was retired for good. Where that
// must not be, keep keys in SQL.
type KeyStore struct{ db *DB }

var _ keyring.Store = (*KeyStore)(nil)

// Keys returns the key rings in db. All stores of one server, database and prefix, in any number of processes, have the same rings.
func Keys(db *DB) *KeyStore {
	db.more.Store(true)
	return &KeyStore{db}
}

// rings is the name of the only key, a hash of all rings, so that a server that has lost one has lost all of them.
func (s *KeyStore) rings() []string { return []string{s.db.prefix() + "rings"} }

// Load implements [keyring.Store].
func (s *KeyStore) Load(ctx context.Context, ring string) ([]keyring.Record, int64, error) {
	message, err := s.db.run(ctx, keyLoad, s.rings(), s.db.prefix(), ring)
	if err != nil {
		return nil, 0, err
	}
	saved, err := message.AsStrSlice()
	switch {
	case err != nil || len(saved) > 1:
		return nil, 0, s.db.damaged(errDamaged)
	case len(saved) == 0:
		return nil, 0, nil
	}
	keys, version, err := decodeRing([]byte(saved[0]))
	if err != nil {
		return nil, 0, s.db.damaged(err)
	}
	return keys, version, nil
}

// Save implements [keyring.Store]. It refuses two keys with one id.
func (s *KeyStore) Save(ctx context.Context, ring string, version int64, keys []keyring.Record) error {
	text, err := encodeRing(version, keys)
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	message, err := s.db.run(ctx, keySave, s.rings(), s.db.prefix(), ring, decimal(version), text)
	if err != nil {
		return err
	}
	switch word, _ := message.ToString(); word {
	case "done":
		return nil
	case "changed":
		return fmt.Errorf("redis: %w", keyring.ErrConflict)
	}
	return s.db.damaged(errDamaged)
}

// Rings implements [keyring.Store].
func (s *KeyStore) Rings(ctx context.Context) ([]string, error) {
	message, err := s.db.run(ctx, keyRings, s.rings(), s.db.prefix())
	if err != nil {
		return nil, err
	}
	names, err := message.AsStrSlice()
	if err != nil {
		return nil, s.db.damaged(errDamaged)
	}
	slices.Sort(names)
	return names, nil
}

// A savedKey is a key as it is saved. Texts are bytes, which JSON does not change.
type savedKey struct {
	ID        []byte `json:"id"`
	Algorithm []byte `json:"alg"`
	Created   int64  `json:"created"`
	Active    int64  `json:"active"`
	Gone      int64  `json:"gone"`
	Lifetime  int64  `json:"lifetime"`
	Material  []byte `json:"material"`
}

// never stands for a zero time, which no year that a program knows has.
const never = math.MinInt64

// moment is t in milliseconds, or never.
func moment(t time.Time) int64 {
	if t.IsZero() {
		return never
	}
	return t.UnixMilli()
}

// at is the time that moment was made of.
func at(ms int64) time.Time {
	if ms == never {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

var errTwins = errors.New("two keys of the ring have one id: give each its own")

// encodeRing returns the version that follows on version, and the keys, as they are saved.
func encodeRing(version int64, keys []keyring.Record) (string, error) {
	saved, ids := make([]savedKey, len(keys)), map[string]bool{}
	for i, k := range keys {
		if ids[k.ID] {
			return "", errTwins
		}
		ids[k.ID] = true
		saved[i] = savedKey{[]byte(k.ID), []byte(k.Algorithm), moment(k.Created), moment(k.Active), moment(k.Gone), int64(k.Lifetime), k.Material}
	}
	text, err := json.Marshal(saved)
	return decimal(version+1) + " " + string(text), err
}

// decodeRing returns the keys and the version of what was saved.
func decodeRing(text []byte) ([]keyring.Record, int64, error) {
	number, list, found := bytes.Cut(text, []byte(" "))
	version, err := strconv.ParseInt(string(number), 10, 64)
	var saved []savedKey
	if err != nil || !found || version <= 0 || json.Unmarshal(list, &saved) != nil {
		return nil, 0, errDamaged
	}
	keys := make([]keyring.Record, len(saved))
	for i, k := range saved {
		keys[i] = keyring.Record{ID: string(k.ID), Algorithm: keyring.Algorithm(k.Algorithm), Created: at(k.Created), Active: at(k.Active), Gone: at(k.Gone),
			Lifetime: time.Duration(k.Lifetime), Material: k.Material}
	}
	return keys, version, nil
}
