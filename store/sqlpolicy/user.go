package sqlpolicy

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse"
)

// maxName is the length, in bytes, that no username exceeds: 256 characters.
const maxName = 256 * utf8.UTFMax

const userQuery = `
SELECT u.username, u.is_superuser, u.disabled, p.name
FROM users u LEFT JOIN permissions p ON p.user_id = u.id
WHERE u.username = $1`

var errNoDatabase = errors.New("sqlpolicy: there is no database: make the policy with sqlpolicy.New")

// A user is what the tables hold of one user, read in one step. Once read it is never changed.
type user struct {
	source      *Policy
	name        string
	at          time.Time // before the query: what was changed later may be missing
	exists      bool
	superuser   bool
	disabled    bool
	permissions map[string]bool
}

// read asks the tables about name. The user that there is not is no error.
func (p *Policy) read(ctx context.Context, name string) (*user, error) {
	if p == nil || p.db == nil {
		return nil, errNoDatabase
	}
	u := &user{source: p, name: name, at: p.now(), permissions: map[string]bool{}}
	err := p.each(ctx, userQuery, name, func(rows *sql.Rows) error {
		var found string
		var superuser, disabled flag
		var permission sql.NullString
		if err := rows.Scan(&found, &superuser, &disabled, &permission); err != nil {
			return err
		}
		if found != name {
			return nil // equal only to the column's collation
		}
		u.exists, u.superuser, u.disabled = true, superuser.yes, !disabled.no
		if permission.Valid {
			u.permissions[permission.String] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return u, nil
}

// each calls row for every row of a query about one name. A name that no user can have finds none, and costs no query where that can be told from here.
func (p *Policy) each(ctx context.Context, query, name string, row func(*sql.Rows) error) error {
	if p == nil || p.db == nil {
		return errNoDatabase
	}
	if !canBeName(name) {
		return nil
	}
	err := forEach(ctx, p.db, query, name, row)
	if err == nil || refusesText(err) {
		return nil
	}
	return fmt.Errorf("sqlpolicy: the users could not be read: %w: %w", gatehouse.ErrUnavailable, err)
}

func forEach(ctx context.Context, db *sql.DB, query, name string, row func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, query, name)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// canBeName reports whether a text column can hold name. PostgreSQL refuses a query with any other, which must not look like a database that is down.
func canBeName(name string) bool {
	return name != "" && len(name) <= maxName && utf8.ValidString(name) && !strings.Contains(name, "\x00")
}

// refusesText reports whether err is PostgreSQL's way of saying that its encoding has no such character: then no user has it in the name.
func refusesText(err error) bool {
	var coded interface{ SQLState() string } // the errors of pgx and of pq
	if !errors.As(err, &coded) {
		return false
	}
	state := coded.SQLState()
	return state == "22021" || state == "22P05" // character_not_in_repertoire, untranslatable_character
}

// A flag reads a boolean, an integer or a text. What is neither yes nor no, such as NULL, is neither: the caller takes it for the one that gives less.
type flag struct{ yes, no bool }

// Scan implements [sql.Scanner].
func (f *flag) Scan(v any) error {
	*f = flag{}
	if b, err := driver.Bool.ConvertValue(v); err == nil {
		f.yes, f.no = b == true, b == false
	}
	return nil
}
