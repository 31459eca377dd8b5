package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	driversqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// A use says what a connection is for.
type use bool

const (
	writer use = false
	reader use = true
)

// A setting is a PRAGMA: what is asked for, and what SQLite must answer when asked whether it is so.
type setting struct{ name, value, answer string }

// settings returns what every connection is set to. The write-ahead log lets others read while one writes, and with synchronous=FULL each commit is on
// the disk before it returns (NORMAL may lose the last ones when the power fails).
func (c config) settings(use use) []setting {
	busy := strconv.FormatInt(c.busy.Milliseconds(), 10)
	list := []setting{{"busy_timeout", busy, busy}, {"foreign_keys", "ON", "1"}}
	if c.name != inMemory {
		list = append(list, setting{"journal_mode", "WAL", "wal"}, setting{"synchronous", "FULL", "2"})
	}
	if use == reader {
		list = append(list, setting{"query_only", "ON", "1"})
	}
	return list
}

// A connector opens connections with their settings. One that does not have all of them is not used: nobody would notice before the power fails.
type connector struct {
	driver.Connector
	config
	use use
}

func (c config) connector(use use) (driver.Connector, error) {
	address, err := c.address()
	if err != nil {
		return nil, err
	}
	base, err := driversqlite.NewConnector(address)
	return connector{base, c, use}, err
}

// address returns the file's name as an address: no character of it can be taken for an option.
func (c config) address() (string, error) {
	const options = "?_txlock=immediate&_defensive=1"
	if c.name == inMemory {
		return inMemory + options, nil
	}
	path, err := filepath.Abs(c.name)
	if err != nil {
		return "", err
	}
	if path = filepath.ToSlash(path); !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/…
	}
	return (&url.URL{Scheme: "file", Path: path}).String() + options, nil
}

// Connect implements [driver.Connector].
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range c.settings(c.use) {
		if err := c.apply(ctx, conn, s); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// apply does what the busy timeout does, for a case that it leaves out: where two processes introduce the log to a new file at once, and would wait for
// each other, SQLite tells one of them at once that the file is busy.
func (c connector) apply(ctx context.Context, conn driver.Conn, s setting) error {
	patience, cancel := context.WithTimeout(ctx, c.busy)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		err := s.apply(ctx, conn)
		if codeOf(err) != sqlite3.SQLITE_BUSY {
			return err
		}
		select {
		case <-patience.Done():
			return errors.Join(err, ctx.Err())
		case <-again.C:
		}
	}
}

func (s setting) apply(ctx context.Context, conn driver.Conn) error {
	if _, err := ask(ctx, conn, "PRAGMA "+s.name+" = "+s.value); err != nil {
		return err
	}
	answer, err := ask(ctx, conn, "PRAGMA "+s.name)
	if err == nil && answer != s.answer {
		err = fmt.Errorf("SQLite cannot set %s to %s here, it stays %q: the file must be on a local disk", s.name, s.value, answer)
	}
	return err
}

// ask runs a statement and returns the first value of its answer, "" if there is none.
func ask(ctx context.Context, conn driver.Conn, statement string) (string, error) {
	queryer, ok := conn.(driver.QueryerContext)
	if !ok {
		return "", errors.New("the driver's connections cannot be asked")
	}
	rows, err := queryer.QueryContext(ctx, statement, nil)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	values := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(values); errors.Is(err, io.EOF) || len(values) == 0 {
		return "", nil
	} else if err != nil {
		return "", err
	}
	return fmt.Sprint(values[0]), nil
}
