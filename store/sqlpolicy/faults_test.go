package sqlpolicy_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/store/sqlpolicy"
)

// A stub is a database that answers every query as the test says.
type stub struct {
	connect error
	query   func(query string) (driver.Rows, error)
	exec    func(query string) (driver.Result, error)
	begin   error
	commit  error
}

func (s stub) Connect(context.Context) (driver.Conn, error) {
	if s.connect != nil {
		return nil, s.connect
	}
	return stubConn{s}, nil
}
func (stub) Driver() driver.Driver { return nil }

type stubConn struct{ stub }

func (stubConn) Prepare(string) (driver.Stmt, error) { return nil, errors.New("no statements") }
func (stubConn) Close() error                        { return nil }
func (c stubConn) Begin() (driver.Tx, error)         { return stubTx{c.commit}, c.begin }
func (c stubConn) QueryContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Rows, error) {
	return c.query(query)
}
func (c stubConn) ExecContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	if c.exec == nil {
		return driver.RowsAffected(1), nil
	}
	return c.exec(query)
}

type stubTx struct{ commit error }

func (t stubTx) Commit() error { return t.commit }
func (stubTx) Rollback() error { return nil }

// stubRows are rows that end, or fail, after the last one.
type stubRows struct {
	columns int
	rows    [][]driver.Value
	end     error
}

func (r *stubRows) Columns() []string { return make([]string, r.columns) }
func (*stubRows) Close() error        { return nil }
func (r *stubRows) Next(to []driver.Value) error {
	if len(r.rows) == 0 {
		return r.end
	}
	copy(to, r.rows[0])
	r.rows = r.rows[1:]
	return nil
}

// userRows answers the query for a user's permissions, or the one for the hash, with a superuser whose rows then end as the test says.
func userRows(end error) func(string) (driver.Rows, error) {
	return func(query string) (driver.Rows, error) {
		if strings.Contains(query, "permissions") {
			return &stubRows{4, [][]driver.Value{{"user", true, false, "public"}, {"user", true, false, "protected"}}, end}, nil
		}
		return &stubRows{3, [][]driver.Value{{"user", "hash of user", false}}, end}, nil
	}
}

var errBroken = errors.New("connection reset by peer")

// coded is an error as the drivers of PostgreSQL return them.
type coded string

func (c coded) Error() string    { return "SQLSTATE " + string(c) }
func (c coded) SQLState() string { return string(c) }

// TestStubIsPermitted shows that the stub is believed when nothing fails, so that the tests below would notice an answer that is given in spite of an error.
func TestStubIsPermitted(t *testing.T) {
	p := sqlpolicy.New(sql.OpenDB(stub{query: userRows(io.EOF)}))
	if ok, err := p.Permits(t.Context(), named("user"), "vault", nil); !ok || err != nil {
		t.Errorf("Permits = %v, %v, want true", ok, err)
	}
	for what, err := range failures(t.Context(), p) {
		if !errors.Is(err, gatehouse.ErrForbidden) {
			t.Errorf("%s = %v, want an answer", what, err)
		}
	}
}

func TestBrokenDatabase(t *testing.T) {
	failing := func(err error) func(string) (driver.Rows, error) {
		return func(string) (driver.Rows, error) { return nil, err }
	}
	for name, row := range map[string]struct {
		db   stub
		want error // nil: any
	}{
		"cannot be reached":       {stub{connect: errBroken}, errBroken},
		"query fails":             {stub{query: failing(errBroken)}, errBroken},
		"fails at once":           {stub{query: func(string) (driver.Rows, error) { return &stubRows{4, nil, errBroken}, nil }}, errBroken},
		"fails behind good rows":  {stub{query: userRows(errBroken)}, errBroken},
		"ends in the middle":      {stub{query: userRows(io.ErrUnexpectedEOF)}, io.ErrUnexpectedEOF},
		"time is up":              {stub{query: failing(context.DeadlineExceeded)}, context.DeadlineExceeded},
		"no such table":           {stub{query: failing(coded("42P01"))}, coded("42P01")},
		"no right to read it":     {stub{query: failing(coded("42501"))}, coded("42501")},
		"too many connections":    {stub{query: failing(coded("53300"))}, coded("53300")},
		"shuts down":              {stub{query: userRows(coded("57P01"))}, coded("57P01")},
		"cannot be serialized":    {stub{query: userRows(coded("40001"))}, coded("40001")},
		"division by zero":        {stub{query: failing(coded("22012"))}, coded("22012")},
		"says that there is none": {stub{query: failing(sql.ErrNoRows)}, sql.ErrNoRows},
		"other columns":           {stub{query: func(string) (driver.Rows, error) { return &stubRows{2, [][]driver.Value{{"user", true}}, io.EOF}, nil }}, nil},
		"a name that is no text": {stub{query: func(string) (driver.Rows, error) {
			return &stubRows{4, [][]driver.Value{{nil, true, false, "x"}}, io.EOF}, nil
		}}, nil},
		"a disabled user, then no": {stub{query: func(string) (driver.Rows, error) {
			return &stubRows{4, [][]driver.Value{{"user", true, true, "x"}}, errBroken}, nil
		}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := sqlpolicy.New(sql.OpenDB(row.db))
			for what, err := range failures(t.Context(), p) {
				if err == nil || isRefusal(err) || row.want != nil && !errors.Is(err, row.want) {
					t.Errorf("%s = %v, want %v and no refusal", what, err, row.want)
				}
			}
			for who, want := range map[string]int{"user": 503, "": 401} {
				if got := status(behindGuard(t, p), who, "/public"); got != want {
					t.Errorf("GET /public by %q = %d, want %d", who, got, want)
				}
			}
		})
	}
}

// TestRefusedText: PostgreSQL's word for "this is no text of mine" is about the name, not about the database.
func TestRefusedText(t *testing.T) {
	for _, state := range []coded{"22021", "22P05"} {
		for name, query := range map[string]func(string) (driver.Rows, error){
			"at once":       func(string) (driver.Rows, error) { return nil, fmt.Errorf("wrapped: %w", state) },
			"with the rows": func(string) (driver.Rows, error) { return &stubRows{4, nil, state}, nil },
		} {
			p := sqlpolicy.New(sql.OpenDB(stub{query: query}))
			if principal, err := p.Resolve(t.Context(), gatehouse.Identity{Value: "user"}); !errors.Is(err, gatehouse.ErrCredential) || !principal.IsAnonymous() {
				t.Errorf("%s %s: Resolve = %+v, %v, want nobody and %v", state, name, principal, err, gatehouse.ErrCredential)
			}
			if ok, err := p.Permits(t.Context(), named("user"), "public", nil); ok || err != nil {
				t.Errorf("%s %s: Permits = %v, %v, want false", state, name, ok, err)
			}
			if hash, err := p.PasswordHash(t.Context(), "user"); hash != "" || err != nil {
				t.Errorf("%s %s: PasswordHash = %q, %v, want none", state, name, hash, err)
			}
		}
	}
}

func TestHashCannotBeStored(t *testing.T) {
	for name, exec := range map[string]func(string) (driver.Result, error){
		"fails":           func(string) (driver.Result, error) { return nil, errBroken },
		"does not say":    func(string) (driver.Result, error) { return unsure{}, nil },
		"refuses":         func(string) (driver.Result, error) { return nil, coded("22001") },
		"refuses as text": func(string) (driver.Result, error) { return nil, coded("22021") },
	} {
		p := sqlpolicy.New(sql.OpenDB(stub{query: userRows(io.EOF), exec: exec}))
		if replaced, err := p.SetPasswordHash(t.Context(), "user", "hash of user", "new"); replaced || err == nil || isRefusal(err) {
			t.Errorf("%s: SetPasswordHash = %v, %v, want an error that is no refusal", name, replaced, err)
		}
	}
}

// unsure is a result of a driver that does not count.
type unsure struct{ driver.Result }

func (unsure) RowsAffected() (int64, error) { return 0, errBroken }

func TestTablesCannotBeCreated(t *testing.T) {
	version := func(query string) (driver.Rows, error) {
		if strings.Contains(query, "sqlite_version") {
			return &stubRows{1, [][]driver.Value{{"3.50.0"}}, io.EOF}, nil
		}
		return nil, coded("42883")
	}
	for name, db := range map[string]stub{
		"of another kind": {query: func(string) (driver.Rows, error) { return nil, errBroken }},
		"unreachable":     {connect: errBroken},
		"busy":            {query: version, begin: errBroken},
		"full":            {query: version, commit: errBroken},
		"read only":       {query: version, exec: func(string) (driver.Result, error) { return nil, errBroken }},
	} {
		if err := sqlpolicy.CreateTables(t.Context(), sql.OpenDB(db)); !errors.Is(err, errBroken) {
			t.Errorf("%s: CreateTables = %v, want %v", name, err, errBroken)
		}
	}
	if err := sqlpolicy.CreateTables(t.Context(), sql.OpenDB(stub{query: version})); err != nil {
		t.Errorf("CreateTables on a stub that does everything = %v, want no error", err)
	}
}
