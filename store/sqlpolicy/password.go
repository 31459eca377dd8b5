package sqlpolicy

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"

	"github.com/gatehouse-auth/gatehouse"
)

const (
	hashQuery = `SELECT username, password, disabled FROM users WHERE username = $1`
	setHash   = `UPDATE users SET password = $1 WHERE username = $2 AND password = $3`
)

// PasswordHash returns the hash of the user's password for a log-in, as the table has it. It is empty, without an error, if the user is unknown or disabled
// or has none: give the empty hash to passwd.Hasher.Login then, which does the same work for it and refuses, so that the time of an answer tells nothing. An
// error means that the database could not be asked, and wraps gatehouse.ErrUnavailable.
func (p *Policy) PasswordHash(ctx context.Context, username string) (hash string, err error) {
	err = p.each(ctx, hashQuery, username, func(rows *sql.Rows) error {
		var found string
		var password sql.NullString
		var disabled flag
		if err := rows.Scan(&found, &password, &disabled); err != nil {
			return err
		}
		if found == username && disabled.no {
			hash = password.String
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return hash, nil
}

// SetPasswordHash replaces the hash of the user's password by newHash if it is still oldHash, and reports whether it did. It serves to upgrade an old form of
// hash after a log-in: if the password was changed meanwhile, the new one stays, and replaced is false. There is no error in that, nor in a user who is
// unknown or disabled.
//
// An error means that the database could not be asked, or that one of the hashes is empty: nobody has that password.
func (p *Policy) SetPasswordHash(ctx context.Context, username, oldHash, newHash string) (replaced bool, err error) {
	if oldHash == "" || newHash == "" {
		return false, errors.New("sqlpolicy: the hash of a password must not be empty")
	}
	// The table compares names by the column's collation; PasswordHash does so to the letter.
	current, err := p.PasswordHash(ctx, username)
	if err != nil || subtle.ConstantTimeCompare([]byte(current), []byte(oldHash)) == 0 {
		return false, err
	}
	result, err := p.db.ExecContext(ctx, setHash, newHash, username, oldHash)
	if err != nil {
		return false, fmt.Errorf("sqlpolicy: the password could not be stored: %w: %w", gatehouse.ErrUnavailable, err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("sqlpolicy: the password may or may not have been stored: %w: %w", gatehouse.ErrUnavailable, err)
	}
	return n > 0, nil
}
