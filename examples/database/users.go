package main

import (
	"context"
	"database/sql"

	"github.com/gatehouse-auth/gatehouse/store/sqlpolicy"
)

// oldHash is "password" as the system before hashed it, with sha256_crypt.
const oldHash = "$5$rounds=535000$2kqN9fxCY6Xt5/pi$tVnh0xX87g/IsnOSuorZG608CZDFbWIWBr58ay6S4pD"

// seed are the rows of a database that is new.
var seed = []struct {
	id          int
	name        string
	superuser   bool // has every permission
	permissions []string
}{
	{1, "admin", true, nil},
	{2, "moderator", false, []string{"protected", "public"}},
	{3, "user", false, []string{"public"}},
}

// prepare makes the tables of users and permissions where there are none, and fills them if nobody is in them.
func prepare(ctx context.Context, db *sql.DB) error {
	if err := sqlpolicy.CreateTables(ctx, db); err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // of no effect once it is committed
	var users int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM users`).Scan(&users); err != nil || users > 0 {
		return err
	}
	for _, u := range seed {
		if _, err := tx.ExecContext(ctx, `INSERT INTO users (id, username, password, is_superuser) VALUES ($1, $2, $3, $4)`, u.id, u.name, oldHash, u.superuser); err != nil {
			return err
		}
		for _, name := range u.permissions {
			if _, err := tx.ExecContext(ctx, `INSERT INTO permissions (user_id, name) VALUES ($1, $2)`, u.id, name); err != nil {
				return err
			}
		}
	}
	return tx.Commit()
}
