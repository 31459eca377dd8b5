package redis

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/redis/rueidis"
)

// A SessionStore is a [session.Store] in a server. It is safe for concurrent use. Make one with [Sessions].
//
// Each call is one step of the server. List and DeleteAll keep it from doing anything else for some tens of microseconds a record. Redis removes overdue
// records by itself, so this is no session.Pruner.
type SessionStore struct{ db *DB }

var _ session.Store = (*SessionStore)(nil)

// Sessions returns the sessions in db. All stores of one server, database and prefix, in any number of processes, have the same records.
func Sessions(db *DB) *SessionStore { return &SessionStore{db} }

// Create implements [session.Store]. A record whose deadline is past is not kept, but the one that it replaces is removed.
func (s *SessionStore) Create(ctx context.Context, rec session.Record, replaces session.Key) error {
	prefix, old := s.db.prefix(), ""
	if !replaces.IsZero() {
		old = nameOf(replaces)
	}
	name, owner := nameOf(rec.Key), ownerOf(rec.Subject)
	keys := []string{prefix + "session:" + name, prefix + "id:" + rec.ID, prefix + "subject:" + owner}
	message, err := s.db.run(ctx, create, keys, prefix, name, owner, s.left(rec.Deadline), old,
		rec.ID, rec.Subject, millis(rec.Created), millis(rec.Seen), millis(rec.Deadline), decimal(rec.Version), string(rec.Body))
	return s.db.outcome(message, err)
}

// Get implements [session.Store].
func (s *SessionStore) Get(ctx context.Context, key session.Key) (session.Record, error) {
	message, err := s.runOn(ctx, get, key)
	if err != nil || !message.IsArray() {
		return session.Record{}, s.db.outcome(message, err)
	}
	rec, err := decode(message)
	if err != nil {
		return session.Record{}, s.db.damaged(err)
	}
	return rec, nil
}

// Update implements [session.Store].
func (s *SessionStore) Update(ctx context.Context, rec session.Record) error {
	message, err := s.runOn(ctx, update, rec.Key, s.left(rec.Deadline),
		decimal(rec.Version), millis(rec.Seen), millis(rec.Deadline), string(rec.Body))
	return s.db.outcome(message, err)
}

// Touch implements [session.Store].
func (s *SessionStore) Touch(ctx context.Context, key session.Key, seen, deadline time.Time) error {
	message, err := s.runOn(ctx, touch, key, s.left(deadline), millis(seen), millis(deadline))
	return s.db.outcome(message, err)
}

// Delete implements [session.Store].
func (s *SessionStore) Delete(ctx context.Context, key session.Key) error {
	message, err := s.runOn(ctx, remove, key)
	return s.db.outcome(message, err)
}

// List implements [session.Store].
func (s *SessionStore) List(ctx context.Context, subject string) ([]session.Record, error) {
	prefix, owner := s.db.prefix(), ownerOf(subject)
	message, err := s.db.run(ctx, list, []string{prefix + "subject:" + owner}, prefix, owner)
	if err != nil {
		return nil, err
	}
	messages, err := message.ToArray()
	if err != nil {
		return nil, s.db.damaged(errDamaged)
	}
	records := make([]session.Record, 0, len(messages))
	for _, m := range messages {
		rec, err := decode(m)
		if err != nil {
			return nil, s.db.damaged(err)
		}
		records = append(records, rec)
	}
	slices.SortFunc(records, func(a, b session.Record) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return records, nil
}

// DeleteAll implements [session.Store].
func (s *SessionStore) DeleteAll(ctx context.Context, subject string, except session.Key) (int, error) {
	prefix, owner, spared := s.db.prefix(), ownerOf(subject), ""
	if !except.IsZero() {
		spared = nameOf(except)
	}
	message, err := s.db.run(ctx, removeAll, []string{prefix + "subject:" + owner}, prefix, owner, spared)
	if err != nil {
		return 0, err
	}
	n, err := message.AsInt64()
	if err != nil {
		return 0, s.db.damaged(errDamaged)
	}
	return int(n), nil
}

// runOn runs a script on the record under key.
func (s *SessionStore) runOn(ctx context.Context, script *rueidis.Lua, key session.Key, args ...string) (rueidis.RedisMessage, error) {
	prefix, name := s.db.prefix(), nameOf(key)
	return s.db.run(ctx, script, []string{prefix + "session:" + name}, append([]string{prefix, name}, args...)...)
}

// left is the time until deadline in ms. It is not positive if the deadline is past, and at most the 292 years that a Duration can hold.
func (s *SessionStore) left(deadline time.Time) string {
	return decimal(deadline.Sub(s.db.options.Now()).Milliseconds())
}

// nameOf is a key as the names of Redis's keys hold it.
func nameOf(key session.Key) string { return base64.RawURLEncoding.EncodeToString(key[:]) }

// ownerOf is a subject as the names of Redis's keys hold it: short, whatever the subject is, and another one for each subject.
func ownerOf(subject string) string { return nameOf(sha256.Sum256([]byte(subject))) }

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

func millis(t time.Time) string { return decimal(t.UnixMilli()) }

// outcome is the error of a script that answers in a word.
func (db *DB) outcome(message rueidis.RedisMessage, err error) error {
	if err != nil {
		return err
	}
	word, _ := message.ToString()
	switch word {
	case "done":
		return nil
	case "missing":
		return fmt.Errorf("redis: %w", session.ErrNotFound)
	case "exists":
		return fmt.Errorf("redis: %w", session.ErrExists)
	case "changed":
		return fmt.Errorf("redis: %w", session.ErrConflict)
	}
	return db.damaged(errDamaged)
}

// errDamaged says that somebody else has written to our keys.
var errDamaged = errors.New("what is under the store's keys is not what the store writes: does another program use this prefix?")

func (db *DB) damaged(err error) error {
	return &fault{server: db.options.String(), text: err.Error(), cause: err}
}

// decode returns the record that message holds: its name and its fields, in the order in which scripts return them.
func decode(message rueidis.RedisMessage) (session.Record, error) {
	f, err := message.AsStrSlice()
	if err != nil || len(f) != 8 {
		return session.Record{}, errDamaged
	}
	var numbers [4]int64
	for i := range numbers {
		n, err := strconv.ParseInt(f[3+i], 10, 64)
		if err != nil {
			return session.Record{}, errDamaged
		}
		numbers[i] = n
	}
	rec := session.Record{ID: f[1], Subject: f[2], Version: numbers[3], Body: []byte(f[7])}
	rec.Created, rec.Seen, rec.Deadline = time.UnixMilli(numbers[0]), time.UnixMilli(numbers[1]), time.UnixMilli(numbers[2])
	key, err := base64.RawURLEncoding.DecodeString(f[0])
	if err != nil || len(key) != len(rec.Key) {
		return session.Record{}, errDamaged
	}
	copy(rec.Key[:], key)
	return rec, nil
}
