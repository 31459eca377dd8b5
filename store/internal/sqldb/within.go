package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
)

// within calls f with a pool whose only connection is conn, in the middle of the transaction that conn is in. Transactions of the pool are
// savepoints, so that a tool that works with transactions of its own, one after the other, is part of a larger one and of its locks.
//
// This holds behind a pooler that hands out connections by transaction, too, where a lock that a session takes may be given back by another.
func within(conn *sql.Conn, f func(*sql.DB) error) error {
	return conn.Raw(func(raw any) error {
		inner, ok := raw.(driverConn)
		if !ok {
			return errors.New("the driver's connections cannot run a statement without preparing it")
		}
		pool := sql.OpenDB(fixed{joined{inner}})
		defer pool.Close()
		pool.SetMaxOpenConns(1)
		return f(pool)
	})
}

// A driverConn is what is needed of a driver's connection.
type driverConn interface {
	driver.Conn
	driver.ExecerContext
	driver.QueryerContext
}

// fixed is the [driver.Connector] of one connection.
type fixed struct{ joined }

func (f fixed) Connect(context.Context) (driver.Conn, error) { return f.joined, nil }
func (f fixed) Driver() driver.Driver                        { return nil }

// joined is a connection that takes part in a transaction that others end.
type joined struct{ driverConn }

// Close leaves the connection to its owner.
func (j joined) Close() error { return nil }

// BeginTx implements [driver.ConnBeginTx]. There is one such transaction at a time: database/sql sees to it.
func (j joined) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	if err := j.do(ctx, "SAVEPOINT gatehouse_within"); err != nil {
		return nil, err
	}
	return savepoint{j}, nil
}

func (j joined) do(ctx context.Context, statement string) error {
	_, err := j.ExecContext(ctx, statement, nil)
	return err
}

// A savepoint is a transaction within a transaction.
type savepoint struct{ joined }

// Commit implements [driver.Tx].
func (s savepoint) Commit() error {
	return s.do(context.Background(), "RELEASE SAVEPOINT gatehouse_within")
}

// Rollback implements [driver.Tx].
func (s savepoint) Rollback() error {
	if err := s.do(context.Background(), "ROLLBACK TO SAVEPOINT gatehouse_within"); err != nil {
		return err
	}
	return s.Commit()
}
