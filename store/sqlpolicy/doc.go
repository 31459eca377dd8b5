// Package sqlpolicy is a policy over two tables of users and their permissions, in SQLite, PostgreSQL, or any database that takes $1 in its queries.
// It brings no driver: the program opens the database.
//
//	db, err := sql.Open("pgx", url) // or "sqlite"
//	err = sqlpolicy.CreateTables(ctx, db)
//	g, err := guard.New(guard.Config{Carriers: carriers, Policy: sqlpolicy.New(db)})
//
// The names of the tables and of their columns are fixed:
//
//	users(id, username, password, is_superuser, disabled)   username is unique
//	permissions(user_id, name)                              both together are unique; they go with the user
//
// The two flags are booleans or the integers 0 and 1. Names and permissions are compared to the letter, whatever the columns' collation is. A superuser
// has every permission.
//
// The value of an identity is the username. Every request reads the user and all of the user's permissions in one query, so that whoever is disabled, or
// loses a permission, is refused from the next request on with the same cookie; questions about permissions in the same request cost no further query.
//
// Passwords are the program's business (see package passwd); [Policy.PasswordHash] and [Policy.SetPasswordHash] read and upgrade what it keeps in the table.
//
// Users who are unknown or disabled are bad credentials, answered 401. What fails in the database is neither that nor an allowance: the guard answers 503.
package sqlpolicy
