package redis

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/token"
	"github.com/redis/rueidis"
)

// A TokenStore is a [token.Store] in a server. It is safe for concurrent use. Make one with [Tokens].
//
// Each call is one step of the server. Delete of a family and DeleteSubject keep it from doing anything else for some tens of microseconds a record. Redis
// removes overdue records by itself. Rotate to a key that is taken changes nothing, and its error wraps token.ErrExists. A family that has ended is remembered as long as one of its
// tokens could have lived: until then it cannot begin again.
//
// The records are as durable as the server is. A failover may lose a use or a rotation that was acknowledged: then a token for one use works once more, and a refresh token
// that was replaced is taken again instead of giving the thief away, while its successor is unknown. It may also lose the end of a family: its refresh tokens
// live again, unless the list of revocations knows the family, which package token asks at each renewal. Where that must not be, keep tokens in SQL.
type TokenStore struct{ db *DB }

var _ token.Store = (*TokenStore)(nil)

// Tokens returns the tokens in db. All stores of one server, database and prefix, in any number of processes, have the same records.
func Tokens(db *DB) *TokenStore { return &TokenStore{db} }

// Create implements [token.Store]. A record whose time is past is not kept.
func (s *TokenStore) Create(ctx context.Context, rec token.Record) error {
	prefix, name, owner, line := s.db.prefix(), tokenName(rec.Key), ownerOf(rec.Subject), lineOf(rec.Family)
	keys := []string{prefix + "token:" + name, prefix + "holder:" + owner}
	if line != "" {
		keys = append(keys, prefix+"family:"+line)
	}
	args := []string{prefix, name, owner, line, s.left(rec.Expires)}
	message, err := s.db.run(ctx, tokenCreate, keys, append(args, fieldsOf(rec)...)...)
	if err != nil {
		return err
	}
	return s.judge(message.ToString())
}

// Get implements [token.Store].
func (s *TokenStore) Get(ctx context.Context, key token.Key) (token.Record, error) {
	return s.one(s.runOn(ctx, tokenGet, key))
}

// Use implements [token.Store].
func (s *TokenStore) Use(ctx context.Context, key token.Key) (token.Record, error) {
	return s.one(s.runOn(ctx, tokenUse, key))
}

// Rotate implements [token.Store].
func (s *TokenStore) Rotate(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
	prefix, name, then, owner := s.db.prefix(), tokenName(key), tokenName(next.Key), ownerOf(next.Subject)
	keys := []string{prefix + "token:" + name, prefix + "token:" + then, prefix + "holder:" + owner}
	args := []string{prefix, name, timeText(used), string(sealed), then, owner, s.left(next.Expires)}
	return s.one(s.db.run(ctx, tokenRotate, keys, append(args, fieldsOf(next)...)...))
}

// Delete implements [token.Store].
func (s *TokenStore) Delete(ctx context.Context, key token.Key, family string) error {
	prefix, name, line := s.db.prefix(), tokenName(key), ""
	of := prefix + "token:" + name
	if family != "" {
		name, line = "", lineOf(family)
		of = prefix + "family:" + line
	}
	message, err := s.db.run(ctx, tokenDelete, []string{of}, prefix, name, line)
	if err != nil {
		return err
	}
	return s.judge(message.ToString())
}

// DeleteSubject implements [token.Store].
func (s *TokenStore) DeleteSubject(ctx context.Context, subject string, purposes ...string) ([]string, error) {
	prefix, owner := s.db.prefix(), ownerOf(subject)
	message, err := s.db.run(ctx, tokenDeleteSubject, []string{prefix + "holder:" + owner}, append([]string{prefix, owner}, purposes...)...)
	if err != nil {
		return nil, err
	}
	families, err := message.AsStrSlice()
	if err != nil {
		return nil, s.db.damaged(errDamaged)
	}
	slices.Sort(families)
	return families, nil
}

// Prune implements [token.Store]. There is nothing to prune.
func (s *TokenStore) Prune(ctx context.Context, _ time.Time, _ int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, s.db.gaveUp(err)
	}
	return 0, nil
}

// runOn runs a script on the record under key.
func (s *TokenStore) runOn(ctx context.Context, script *rueidis.Lua, key token.Key) (rueidis.RedisMessage, error) {
	prefix, name := s.db.prefix(), tokenName(key)
	return s.db.run(ctx, script, []string{prefix + "token:" + name}, prefix, name)
}

// left is the time until expires in ms. It is not positive if that is past, and at most the 292 years that a Duration can hold.
func (s *TokenStore) left(expires time.Time) string {
	return decimal(expires.Sub(s.db.options.Now()).Milliseconds())
}

// tokenName is a key as the names of Redis's keys hold it.
func tokenName(key token.Key) string { return nameOf(session.Key(key)) }

// lineOf is a family as the names of Redis's keys hold it, or nothing for none.
func lineOf(family string) string {
	if family == "" {
		return ""
	}
	return ownerOf(family)
}

// timeText is a time as a field holds it: zero is empty.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return millis(t)
}

// fieldsOf returns the fields of rec in the order in which scripts take them.
func fieldsOf(rec token.Record) []string {
	next := ""
	if rec.Next != (token.Key{}) {
		next = tokenName(rec.Next)
	}
	return []string{rec.ID, rec.Purpose, rec.Subject, rec.Family, millis(rec.Expires), decimal(int64(rec.Left)), timeText(rec.Used), next, string(rec.Sealed), string(rec.Body)}
}

// judge is the error of a script that answers in a word.
func (s *TokenStore) judge(word string, err error) error {
	switch {
	case err != nil:
	case word == "done":
		return nil
	case word == "missing":
		return fmt.Errorf("redis: %w", token.ErrNotFound)
	case word == "exists":
		return fmt.Errorf("redis: %w", token.ErrExists)
	case word == "spent":
		return fmt.Errorf("redis: %w", token.ErrSpent)
	}
	return s.db.damaged(errDamaged)
}

// one returns the record of a script that answers in a word and a record, or in a word alone.
func (s *TokenStore) one(message rueidis.RedisMessage, err error) (token.Record, error) {
	if err != nil {
		return token.Record{}, err
	}
	list, err := message.AsStrSlice()
	if err != nil || len(list) == 0 {
		return token.Record{}, s.db.damaged(errDamaged)
	}
	verdict := s.judge(list[0], nil)
	if len(list) == 1 && verdict != nil {
		return token.Record{}, verdict
	}
	rec, err := decodeToken(list[1:])
	if err != nil {
		return token.Record{}, s.db.damaged(err)
	}
	return rec, verdict
}

// decodeToken returns the record that a script has answered: its name and its fields.
func decodeToken(f []string) (rec token.Record, err error) {
	if len(f) != 11 {
		return rec, errDamaged
	}
	rec = token.Record{ID: f[1], Purpose: f[2], Subject: f[3], Family: f[4], Sealed: []byte(f[9]), Body: []byte(f[10])}
	expires, err1 := strconv.ParseInt(f[5], 10, 64)
	left, err2 := strconv.Atoi(f[6])
	if err1 != nil || err2 != nil || !decodeName(f[0], &rec.Key) || f[8] != "" && !decodeName(f[8], &rec.Next) {
		return token.Record{}, errDamaged
	}
	rec.Expires, rec.Left = time.UnixMilli(expires), left
	if f[7] != "" {
		used, err := strconv.ParseInt(f[7], 10, 64)
		if err != nil {
			return token.Record{}, errDamaged
		}
		rec.Used = time.UnixMilli(used)
	}
	return rec, nil
}

// decodeName puts the key of a name into key, and reports whether it is one.
func decodeName(name string, key *token.Key) bool {
	raw, err := base64.RawURLEncoding.DecodeString(name)
	return err == nil && copy(key[:], raw) == len(key) && len(raw) == len(key)
}
