package redis

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// A RevocationStore is a [revoke.Store] in a server. It is safe for concurrent use. Make one with [Revocations], and let the lists hear each other by [Bell].
//
// The feed is as durable as the server is. What a failover has lost is put back by the lists that know it (see package revoke), which is all that was revoked as long as one process
// that had seen it runs on. What a restart of everything has lost is lost: where that must not be, keep revocations in SQL.
type RevocationStore struct{ db *DB }

var _ revoke.Store = (*RevocationStore)(nil)

// Revocations returns the feed in db. All stores of one server, database and prefix, in any number of processes, have the same feed.
func Revocations(db *DB) *RevocationStore {
	db.more.Store(true)
	return &RevocationStore{db}
}

// keys are the feed and its index.
func (s *RevocationStore) keys() []string {
	return []string{s.db.prefix() + "revocations", s.db.prefix() + "revocations:expiry"}
}

// Add implements [revoke.Store]. It also removes entries that have expired more than a day ago by the clocks of both the program and the server, a few at a
// time, so that a feed that nobody prunes does not grow for ever.
func (s *RevocationStore) Add(ctx context.Context, entries ...revoke.Entry) (int64, error) {
	args := []string{s.db.prefix(), millis(s.db.options.Now())}
	for _, e := range entries {
		args = append(args, millis(e.Expires), encodeEntry(e))
	}
	message, err := s.db.run(ctx, feedAdd, s.keys(), args...)
	if err != nil {
		return 0, err
	}
	last, err := message.AsInt64()
	if err != nil {
		return 0, s.db.damaged(errDamaged)
	}
	return last, nil
}

// Since implements [revoke.Source].
func (s *RevocationStore) Since(ctx context.Context, after int64, limit int) (revoke.Page, error) {
	message, err := s.db.run(ctx, feedSince, s.keys()[:1], s.db.prefix(), decimal(max(after, 0)), decimal(int64(min(max(limit, 0), math.MaxInt32))))
	if err != nil {
		return revoke.Page{}, err
	}
	parts, err := message.ToArray()
	if err != nil || len(parts) != 2 {
		return revoke.Page{}, s.db.damaged(errDamaged)
	}
	last, err := parts[0].AsInt64()
	texts, err2 := parts[1].AsStrSlice()
	if err != nil || err2 != nil || last > 0 {
		return revoke.Page{}, s.db.damaged(errDamaged)
	}
	page := revoke.Page{Last: -last, Entries: make([]revoke.Entry, len(texts))}
	for i, text := range texts {
		if page.Entries[i], err = decodeEntry(text); err != nil {
			return revoke.Page{}, s.db.damaged(err)
		}
	}
	return page, nil
}

// Prune implements [revoke.Store].
func (s *RevocationStore) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	message, err := s.db.run(ctx, feedPrune, s.keys(), s.db.prefix(), millis(before), decimal(int64(min(max(limit, 0), math.MaxInt32))))
	if err != nil {
		return 0, err
	}
	n, err := message.AsInt64()
	if err != nil {
		return 0, s.db.damaged(errDamaged)
	}
	return int(n), nil
}

// encodeEntry returns e without its Seq: numbers, the length of the kind, and the kind and the id as they are.
func encodeEntry(e revoke.Entry) string {
	return fmt.Sprintf("%d %d %d %s%s", moment(e.Before), moment(e.Expires), len(e.Kind), e.Kind, e.ID)
}

// decodeEntry is the opposite of encodeEntry, with the Seq in front.
func decodeEntry(text string) (revoke.Entry, error) {
	parts := strings.SplitN(text, " ", 5)
	if len(parts) != 5 {
		return revoke.Entry{}, errDamaged
	}
	var numbers [4]int64
	for i := range numbers {
		n, err := strconv.ParseInt(parts[i], 10, 64)
		if err != nil {
			return revoke.Entry{}, errDamaged
		}
		numbers[i] = n
	}
	rest, length := parts[4], numbers[3]
	if numbers[0] <= 0 || length < 0 || length > int64(len(rest)) {
		return revoke.Entry{}, errDamaged
	}
	return revoke.Entry{Seq: numbers[0], Before: at(numbers[1]), Expires: at(numbers[2]), Kind: revoke.Kind(rest[:length]), ID: rest[length:]}, nil
}
