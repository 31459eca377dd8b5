package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// clean takes what this machine's user has set for PostgreSQL's programs out of the test.
func clean(t *testing.T) {
	t.Helper()
	for _, name := range []string{"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE", "PGSSLROOTCERT", "PGSERVICE", "PGAPPNAME", "PGOPTIONS"} {
		t.Setenv(name, "")
		_ = os.Unsetenv(name)
	}
	t.Setenv("HOME", t.TempDir())
}

// TestPlainTextOnlyOnPurpose: the client must not speak plain text to another machine because somebody in between says that there is no TLS
// (ASVS 5.0 12.3.1).
func TestPlainTextOnlyOnPurpose(t *testing.T) {
	clean(t)
	const refused, fine = true, false
	for _, test := range []struct {
		address string
		want    bool
	}{
		{"postgres://u@db.example.org/d", refused}, // prefer is the default
		{"postgres://u@db.example.org/d?sslmode=prefer", refused},
		{"postgres://u@db.example.org/d?sslmode=allow", refused},
		{"postgresql://u@db.example.org/d?sslmode=prefer", refused},
		{"host=db.example.org user=u sslmode=prefer", refused},
		{"host=db.example.org user=u", refused},
		{"postgres://u@192.0.2.1/d", refused},
		{"postgres://u@10.0.0.1/d", refused},
		{"postgres://u@[2001:db8::1]/d", refused},
		{"postgres://u@[fe80::1%25eth0]/d", refused},
		{"postgres://u@0.0.0.0/d", refused},
		{"postgres://u@localhost.example.org/d", refused},
		{"postgres://u@127.0.0.1.example.org/d", refused},
		{"postgres://u@localhosts/d", refused},
		{"postgres://u@db/d?sslmode=prefer&sslmode=allow", refused},
		{"postgres://u@127.0.0.1,db.example.org/d?sslmode=prefer", refused},
		{"postgres://u@db.example.org,127.0.0.1/d?sslmode=allow", refused},
		{"postgres://u@127.0.0.1/d?host=db.example.org", refused},
		{"postgres://u@db.example.org/d?sslmode=verify-full", fine},
		{"postgres://u@db.example.org/d?sslmode=verify-ca", fine},
		{"postgres://u@db.example.org/d?sslmode=require", fine},
		{"postgres://u@db.example.org/d?sslmode=disable", fine}, // in so many words
		{"postgres://u@one.example.org,two.example.org/d?sslmode=verify-full", fine},
		{"postgres://u@127.0.0.1/d", fine},
		{"postgres://u@127.1.2.3/d?sslmode=prefer", fine},
		{"postgres://u@[::1]/d", fine},
		{"postgres://u@localhost/d?sslmode=allow", fine},
		{"postgres://u@LOCALHOST/d", fine},
		{"postgres:///d?host=/run/postgresql", fine},
		{"host=/run/postgresql user=u", fine},
	} {
		_, err := parse(test.address)
		if got := err != nil && strings.Contains(err.Error(), "could fall back to plain text"); got != test.want || !got && err != nil {
			t.Errorf("parse(%q) = %v, want refused: %v", test.address, err, test.want)
		}
	}
}

func TestEnvironmentCounts(t *testing.T) {
	clean(t)
	t.Setenv("PGSSLMODE", "verify-full")
	t.Setenv("PGPASSWORD", "geheim")
	server, err := parse("postgres://u@db.example.org/d")
	if err != nil || server.TLSConfig == nil || server.TLSConfig.InsecureSkipVerify || server.TLSConfig.ServerName != "db.example.org" || server.Password != "geheim" {
		t.Errorf("parse with PGSSLMODE=verify-full = %v, want the certificate to be checked", err)
	}
	t.Setenv("PGSSLMODE", "allow")
	if _, err := parse("postgres://u@db.example.org/d"); err == nil {
		t.Error("parse with PGSSLMODE=allow = nil, want it refused")
	}
}

// said returns everything that a person could get to see of err, and of the errors in it.
func said(err error) string {
	if err == nil {
		return ""
	}
	text := fmt.Sprintf("%v|%+v|%#v|%q|%s", err, err, err, err, err.Error())
	switch inner := err.(type) {
	case interface{ Unwrap() error }:
		return text + "\n" + said(inner.Unwrap())
	case interface{ Unwrap() []error }:
		for _, one := range inner.Unwrap() {
			text += "\n" + said(one)
		}
	}
	return text
}

// TestUnreadAddress: what cannot be read, or would be read as something else, is refused without any of it being shown. Every password here begins with
// S3cr and ends with 7et, or is made of digits 4711, which could be a port.
func TestUnreadAddress(t *testing.T) {
	clean(t)
	for _, address := range []string{
		"postgres://u:S3cr/7et@h/d?sslmode=disable",
		"postgres://u:S3cr@7et@h/d?sslmode=disable",
		"postgres://u:S3cr:7et@7et@h/d",
		"postgres://u:S3cr#7et@h:port/d",
		"postgres://u:S3cr%7et@h/d",
		"postgres://u:S3cr%zz7et@h/d",
		"postgres://u:S3cr 7et@h:x/d",
		"postgres://u:S3cr\n7et@h:99999/d",
		"postgres://u:4711/S3cr7et@h/d",
		"postgres://u:4711/4711@h/d",
		"postgres://u@4711:S3cr7et@h/d",
		"postgres://S3cr7et@4711@h/d",
		"postgres://u:S3cr7et@h:notaport/d",
		"postgres://u:S3cr7et@h:99999/d",
		"postgres://u:S3cr7et@h/d?sslmode=S3cr7et",
		"postgres://u:S3cr7et@h/d?connect_timeout=S3cr7et",
		"postgres://u:S3cr7et@h/d?target_session_attrs=S3cr7et",
		"postgres://u:S3cr7et@[h/d",
		"postgres://u:S3cr7et@h1,h2:1,2,3/d",
		"postgres://h/d?password=S3cr7et&port=x",
		"postgres://h/d?pass%77ord=S3cr7et&port=x",
		"postgress://u:S3cr7et@h/d?sslmode=disable",
		"POSTGRES://u:S3cr7et@h/d?sslmode=disable",
		"mysql://u:S3cr7et@h/d",
		"sqlite://S3cr7et",
		"postgres:u:S3cr7et@h/d",
		"u:S3cr7et@h/d",
		"S3cr7et",
		"host=h password=S3cr 7et",
		"host=h password='S3cr7et",
		"host=h password=S3cr7et port=x",
	} {
		_, err := parse(address)
		if err == nil {
			t.Errorf("parse(%q) = nil, want an error", address)
		}
		for _, secret := range []string{"S3cr", "7et", "4711"} {
			if strings.Contains(said(err), secret) {
				t.Errorf("parse(%q) shows a part of the password: %s", address, said(err))
			}
		}
		if fault := (*pgconn.ParseConfigError)(nil); errors.As(err, &fault) {
			t.Errorf("parse(%q) has an error in it that keeps the url", address)
		}
	}
}

func TestAddressIsRead(t *testing.T) {
	clean(t)
	for _, test := range []struct{ address, password, database string }{
		{"postgres://u:S3cr%2F%407et@127.0.0.1/d", "S3cr/@7et", "d"},
		{"postgres://u:a%3Ab%3Fc%23d%25e@127.0.0.1:5433/d", "a:b?c#d%e", "d"},
		{"postgres://u:a:b@127.0.0.1/d", "a:b", "d"},
		{"postgres://127.0.0.1/d?user=u&password=x@y", "x@y", "d"},
		{"postgres:///d?host=/tmp&user=a@b&password=p", "p", "d"},
		{"postgres://u:p@127.0.0.1/d%40e", "p", "d@e"},
		{"host=127.0.0.1 user=u password='a b://c@d' dbname=d", "a b://c@d", "d"},
	} {
		server, err := parse(test.address)
		if err != nil || server.Password != test.password || server.Database != test.database {
			t.Errorf("parse(%q) = %v, want the password %q and the database %q", test.address, err, test.password, test.database)
		}
	}
}

// TestAddressSaysWhatIsWrong: what is not a secret is said.
func TestAddressSaysWhatIsWrong(t *testing.T) {
	clean(t)
	missing := filepath.Join(t.TempDir(), "missing.crt")
	empty := filepath.Join(t.TempDir(), "empty.crt")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"":                                "there is no url",
		"postgres://u:p@db.example.org/d": "db.example.org could fall back to plain text: add sslmode=verify-full",
		"postgres://u:p@h/d?sslmode=on":   "sslmode is invalid",
		"postgres://u:p@h/d?sslmode=verify-full&sslrootcert=" + missing:                missing,
		"postgres://u:p@h/d?sslmode=verify-full&sslrootcert=" + empty:                  "unable to add CA",
		"postgres://u:p@h/d?sslmode=verify-full&sslcert=" + empty + "&sslkey=" + empty: "sslkey",
		"postgres://u:p@h:x/d": "%40 for @",
	} {
		if _, err := parse(address); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parse(%q) = %v, want it to say %q", address, err, want)
		}
	}
}

func TestAgain(t *testing.T) {
	for code, want := range map[string]bool{"40001": true, "40P01": true, "40000": false, "23505": false, "57014": false, "57P01": false, "": false} {
		err := fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: code})
		if got := again(err); got != want {
			t.Errorf("again(%s) = %v, want %v", code, got, want)
		}
	}
	for err, want := range map[error]bool{
		driver.ErrBadConn: true, sql.ErrConnDone: false, sql.ErrTxDone: false, sql.ErrNoRows: false, io.ErrUnexpectedEOF: false, context.Canceled: false,
		errors.New("40001"): false,
	} {
		if got := again(fmt.Errorf("wrapped: %w", err)); got != want {
			t.Errorf("again(%v) = %v, want %v", err, got, want)
		}
	}
}
