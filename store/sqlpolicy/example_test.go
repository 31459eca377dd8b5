package sqlpolicy_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/passwd"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/store/sqlpolicy"
)

// openExample returns a database with the tables, in which the statements were run.
func openExample(statements ...string) *sql.DB {
	db, err := sql.Open("sqlite", "file::memory:?_pragma=foreign_keys(1)")
	if err != nil {
		panic(err)
	}
	db.SetMaxOpenConns(1) // each connection would have a database in memory of its own
	if err := sqlpolicy.CreateTables(context.Background(), db); err != nil {
		panic(err)
	}
	run(db, statements...)
	return db
}

func run(db *sql.DB, statements ...string) {
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			panic(err)
		}
	}
}

// demo are the users of the examples.
var demo = []string{
	`INSERT INTO users (id, username, password, is_superuser) VALUES (1, 'admin', '', TRUE), (2, 'moderator', '', FALSE), (3, 'user', '', FALSE)`,
	`INSERT INTO permissions (user_id, name) VALUES (2, 'protected'), (2, 'public'), (3, 'public')`,
}

// Each block asks for the same user with the same credential: what changes in the tables counts from the next request on.
func ExampleNew() {
	db := openExample(demo...)
	defer db.Close()
	rules, err := policy.New(policy.Config{Rules: []policy.Rule{{Path: "/protected", Allow: policy.Permission("protected")}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	g, err := guard.New(guard.Config{
		Carriers: []carrier.Carrier{carrier.Header("Token", carrier.Verified)}, // a stand-in for carrier.Session
		Policy:   sqlpolicy.New(db), Rules: rules,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	site := g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	for _, who := range []string{"admin", "moderator", "user", "mallory", ""} {
		fmt.Println(who, status(site, who, "/protected"))
	}
	run(db, `DELETE FROM permissions WHERE user_id = 2 AND name = 'protected'`)
	fmt.Println("without the permission:", status(site, "moderator", "/protected"))
	run(db, `UPDATE users SET disabled = TRUE WHERE username = 'admin'`)
	fmt.Println("disabled:", status(site, "admin", "/protected"))
	// Output:
	// admin 200
	// moderator 200
	// user 403
	// mallory 401
	//  401
	// without the permission: 403
	// disabled: 401
}

func ExampleCreateTables() {
	db, err := sql.Open("sqlite", "file::memory:")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	fmt.Println(sqlpolicy.CreateTables(context.Background(), db))
	fmt.Println(sqlpolicy.CreateTables(context.Background(), db)) // what is there stays
	// Output:
	// <nil>
	// <nil>
}

func ExampleAnonymous() {
	db := openExample(demo...)
	defer db.Close()
	users := sqlpolicy.New(db, sqlpolicy.Anonymous("trailers"))
	for _, permission := range []string{"trailers", "public"} {
		ok, err := users.Permits(context.Background(), gatehouse.Anonymous(), permission, nil)
		fmt.Println(permission, ok, err)
	}
	// Output:
	// trailers true <nil>
	// public false <nil>
}

// Who may see what is public sees it in the own country only.
func ExampleCheck() {
	type Film struct{ Countries []string }
	db := openExample(demo...)
	defer db.Close()
	users := sqlpolicy.New(db, sqlpolicy.Check(func(_ context.Context, p gatehouse.Principal, permission string, resource any) (bool, error) {
		film, ok := resource.(Film)
		if !ok {
			return false, errors.New("the rule knows films only")
		}
		country, _ := p.Claim("country")
		name, ok := country.(string)
		return ok && slices.Contains(film.Countries, name), nil
	}))
	for _, country := range []string{"FR", "DE"} {
		id := gatehouse.WithClaims(gatehouse.Identity{Value: "user"}, map[string]any{"country": country})
		p, err := users.Resolve(context.Background(), id)
		if err != nil {
			fmt.Println(err)
			return
		}
		ok, err := users.Permits(context.Background(), p, "public", Film{Countries: []string{"FR", "BE"}})
		fmt.Println(country, ok, err)
	}
	// Output:
	// FR true <nil>
	// DE false <nil>
}

// A page asks at once for all that it may show.
func ExamplePolicy_PermitsEach() {
	db := openExample(demo...)
	defer db.Close()
	users := sqlpolicy.New(db)
	for _, name := range []string{"admin", "moderator", "user"} {
		p, err := users.Resolve(context.Background(), gatehouse.Identity{Value: name})
		if err != nil {
			fmt.Println(err)
			return
		}
		answers, err := users.PermitsEach(context.Background(), p, []string{"public", "protected", "vault"}, nil)
		fmt.Println(name, answers, err)
	}
	// Output:
	// admin [true true true] <nil>
	// moderator [true true false] <nil>
	// user [true false false] <nil>
}

// A log-in verifies the password and replaces a hash of an old form. Unknown users, disabled ones and wrong passwords fail alike.
func ExamplePolicy_PasswordHash() {
	const old = "$2a$04$BT9OWjqQCMN9/AYrN5fSk.HRHqPLrqnDMTKEscRIfgsNNsWtbbsyi" // bcrypt
	db := openExample(`INSERT INTO users (username, password) VALUES ('jack', '` + old + `')`)
	defer db.Close()
	users := sqlpolicy.New(db)
	hasher, err := passwd.New(passwd.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	login := func(ctx context.Context, username, password string) error {
		hash, err := users.PasswordHash(ctx, username)
		if err != nil {
			return err
		}
		renewed, err := hasher.Login(ctx, hash, password)
		if err != nil || renewed == "" {
			return err
		}
		_, err = users.SetPasswordHash(ctx, username, hash, renewed)
		return err
	}
	for _, try := range [][2]string{{"jack", "wrong"}, {"mallory", "password"}, {"jack", "password"}, {"jack", "password"}} {
		fmt.Println(try[0], login(context.Background(), try[0], try[1]))
	}
	hash, err := users.PasswordHash(context.Background(), "jack")
	fmt.Println(hash[:10], err)
	// Output:
	// jack bad credential: wrong name or password
	// mallory bad credential: wrong name or password
	// jack <nil>
	// jack <nil>
	// $argon2id$ <nil>
}
