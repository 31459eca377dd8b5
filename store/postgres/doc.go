// Package postgres keeps sessions in PostgreSQL, for programs that run in more than one process or on more than one machine.
//
//	db, err := postgres.Open(ctx, "postgres://gatehouse@db.example.org/gatehouse?sslmode=verify-full")
//	if err != nil {
//		return err
//	}
//	defer db.Close()
//	sessions := session.New(postgres.Sessions(db), session.Config{})
//
// It works behind PgBouncer in transaction mode: nothing is prepared under a name, and no lock or setting outlives its transaction. What a call has
// acknowledged is as durable as the server makes a commit: a server with synchronous_commit=off loses the last ones when it crashes.
//
// Nothing goes over a network in plain text by accident: where a URL would let the client fall back to that, [Open] refuses it. Every failure is an
// error, and none contains the password. Once the server is back, calls succeed again without anything being done.
package postgres
