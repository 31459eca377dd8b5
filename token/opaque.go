package token

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse"
)

// secretBytes are the random bytes of an opaque token; checkBytes are those of its hash behind them, so that garbage is told from tokens without asking a store.
const (
	secretBytes = 32
	checkBytes  = 4
)

// opaquePrefix is how the opaque tokens of a purpose begin: scanners for leaked secrets find them by it.
func opaquePrefix(purpose string) string { return "gh_" + purpose + "." }

// newOpaque returns a new opaque token.
func newOpaque(purpose string) string {
	secret := make([]byte, secretBytes, secretBytes+checkBytes)
	rand.Read(secret)
	return opaquePrefix(purpose) + base64url.EncodeToString(append(secret, checkOf(purpose, secret)...))
}

// checkOf is no protection: whoever can make it up still has to find 256 bits.
func checkOf(purpose string, secret []byte) []byte {
	sum := sha256.Sum256(append([]byte(purpose+"\x00"), secret...))
	return sum[:checkBytes]
}

// isOpaque reports whether text has the form of an opaque token of the purpose.
func isOpaque(purpose, text string) bool {
	rest, ok := strings.CutPrefix(text, opaquePrefix(purpose))
	if !ok || strings.ContainsAny(rest, "\r\n") {
		return false
	}
	data, err := base64url.DecodeString(rest)
	return err == nil && len(data) == secretBytes+checkBytes && string(checkOf(purpose, data[:secretBytes])) == string(data[secretBytes:])
}

// A body is what [Record.Body] holds. Fields may be added; none may change its meaning, since old records stay.
type body struct {
	Claims json.RawMessage `json:"claims"`          // the payload of a JWT
	Start  int64           `json:"start,omitempty"` // ms; of a refresh token: when the log-in began
}

// recordMargin is how much longer than its token a record is kept, so that what has expired is told from what is unknown.
const recordMargin = time.Hour

// recordOf returns the record of a token. No uses means any number. start is when the log-in of a refresh token began, else zero.
func recordOf(text string, c Claims, uses int, start time.Time) (Record, error) {
	payload, err := c.payload()
	if err != nil {
		return Record{}, err
	}
	b := body{Claims: payload}
	if !start.IsZero() {
		b.Start = start.UnixMilli()
	}
	written, err := json.Marshal(b)
	if err != nil {
		return Record{}, fmt.Errorf("token: %w", err)
	}
	left := -1
	if uses > 0 {
		left = uses
	}
	return Record{Key: keyOf(text), ID: c.ID, Purpose: c.Purpose, Subject: c.Subject, Expires: c.ExpiresAt.Add(recordMargin), Left: left, Body: written}, nil
}

// claimsOf returns the claims in a record.
func claimsOf(rec Record) (Claims, body, error) {
	var b body
	if err := json.Unmarshal(rec.Body, &b); err != nil {
		return Claims{}, body{}, fmt.Errorf("token: the record of a token is damaged: %w", err)
	}
	c, err := parseClaims(string(b.Claims))
	if err != nil || c.ID != rec.ID || c.Subject != rec.Subject {
		return Claims{}, body{}, errors.New("token: the record of a token is damaged")
	}
	c.Purpose = rec.Purpose
	return c, b, nil
}

// mintOpaque makes a token that m's store knows.
func mintOpaque(ctx context.Context, m *Minter, c Claims, o mintOptions) (Token, error) {
	uses := m.MinterConfig.Purpose.MaxUses
	if o.limited {
		if o.uses < 1 || uses > 0 && o.uses > uses {
			return Token{}, fmt.Errorf("token: %d uses: a token of the purpose %s is good for one at least, and at most %d (0: any number)", o.uses, c.Purpose, uses)
		}
		uses = o.uses
	}
	text := newOpaque(c.Purpose)
	rec, err := recordOf(text, c, uses, time.Time{})
	if err != nil {
		return Token{}, err
	}
	if err := m.Store.Create(ctx, rec); err != nil {
		return Token{}, fmt.Errorf("token: %w", err)
	}
	return Token{gatehouse.NewSecret(text), c}, nil
}

// opaque verifies an opaque token. Everything is checked before a use is counted, so that a token that would be refused anyway is not used up.
func (v *Verifier) opaque(ctx context.Context, text string, use bool) (*cached, error) {
	if !isOpaque(v.c.Purpose.Name, text) {
		return nil, errForm("not an opaque token of this purpose")
	}
	key := keyOf(text)
	rec, err := v.c.Store.Get(ctx, key)
	if err != nil {
		return nil, storeError(err)
	}
	found, err := v.judge(ctx, rec)
	if err != nil && rec.Left >= 0 {
		return nil, err // nobody accepts what may have been revoked where its uses are not counted
	}
	if err == nil && use && rec.Left >= 0 {
		if _, err := v.c.Store.Use(ctx, key); err != nil {
			return nil, storeError(err)
		}
	}
	return found, err
}

// judge checks what a record says. With a *gatehouse.StaleError it returns what would count.
func (v *Verifier) judge(ctx context.Context, rec Record) (*cached, error) {
	c, _, err := claimsOf(rec)
	switch {
	case err != nil:
		return nil, err
	case rec.Purpose != v.c.Purpose.Name:
		return nil, ErrPurpose
	case rec.Left == 0, !rec.Used.IsZero():
		return nil, fmt.Errorf("%w: %w", ErrInvalid, ErrSpent)
	}
	if err := v.check(&c); err != nil {
		return nil, err
	}
	return v.remember(ctx, Key{}, &cached{claims: c})
}

// storeError turns what a store says of a token into what verifiers say.
func storeError(err error) error {
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrSpent) {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return fmt.Errorf("token: %w", err)
}
