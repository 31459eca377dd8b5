package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/redis/rueidis"
)

// A DB is a server and the connections to it. It is safe for concurrent use. Make one with [Open].
type DB struct {
	options Options
	client  rueidis.Client
	status  atomic.Pointer[string]
	met     atomic.Bool // the server has answered
	more    atomic.Bool // there is more in it than sessions

	life  context.Context // until Close
	end   context.CancelFunc
	mu    sync.Mutex // guards ended, and that no call begins after Close
	ended bool
	calls sync.WaitGroup
}

// errLater is how the client library is kept from connecting before there is a context.
var errLater = errors.New("not connected yet")

// Open returns the server of o. Its error says in a sentence what a person has to change: options that make no sense, a user, password, permission or
// database that the server refuses, a certificate that cannot be verified; or it wraps context.Canceled. A server that cannot be reached before the deadline
// of ctx or [Options.Timeout], or is not ready to write, is no error: see [DB.Ping] and [DB.String]. The caller closes the DB.
func Open(ctx context.Context, o Options) (*DB, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	db := &DB{options: o}
	db.life, db.end = context.WithCancel(context.Background())
	if db.client, err = db.connect(db.life); err != nil {
		db.end()
		return nil, db.fault(err)
	}
	var f *fault
	if err := db.Ping(ctx); errors.As(err, &f) && (f.refused || errors.Is(err, context.Canceled)) {
		db.Close()
		return nil, err
	}
	return db, nil
}

// connect makes a client, which makes its connections when they are needed. They are closed when life is over, whatever is waited for.
func (db *DB) connect(life context.Context) (rueidis.Client, error) {
	o, first := db.options, true
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{o.address()},
		SelectDB:    o.DB,
		TLSConfig:   o.TLS,
		AuthCredentialsFn: func(rueidis.AuthCredentialsContext) (rueidis.AuthCredentials, error) {
			return rueidis.AuthCredentials{Username: o.User, Password: o.Password.Reveal()}, nil
		},
		DialCtxFn: func(ctx context.Context, addr string, d *net.Dialer, t *tls.Config) (net.Conn, error) {
			if first {
				first = false
				return nil, errLater
			}
			return db.dial(ctx, life, addr, d, t)
		},
		Dialer:             net.Dialer{Timeout: o.Timeout},
		ConnWriteTimeout:   o.Timeout,
		ReadBufferEachConn: bufferSize, WriteBufferEachConn: bufferSize,
		ClientSetInfo:     rueidis.DisableClientSetInfo, // one command less that a server could refuse
		ForceSingleClient: true,                         // the library does not ask for a cluster, and returns a client without a connection
		DisableCache:      true,                         // nothing is tracked: a session from a cache could outlive its log-out
		DisableRetry:      true,                         // what may have been done is not done again
		AlwaysPipelining:  true,                         // a closed connection is noticed when it is closed, not by the next call
	})
	if client == nil { // it does not like the options, which are all checked or ours
		return nil, err
	}
	return client, nil
}

// bufferSize is that of a session of the largest size, or of many usual ones.
const bufferSize = 64 << 10

// Close ends all calls with an error and closes the connections. It returns when that is done, and the error is always nil.
func (db *DB) Close() error {
	db.mu.Lock()
	db.ended = true
	db.mu.Unlock()
	db.end()
	db.client.Close()
	db.calls.Wait()
	db.client.Close() // what a call has connected meanwhile
	db.note("closed")
	return nil
}

// Ping makes the server do everything that its stores need, with keys of its own. The error says why it cannot: that is what a readiness check wants to know,
// since a replica and a full server answer a mere PING.
func (db *DB) Ping(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, db.options.Timeout)
	defer cancel()
	prefix := db.prefix() + "probe:"
	_, err := db.run(ctx, probe, []string{prefix + "fence"}, prefix, strconv.FormatBool(db.more.Load()))
	var f *fault
	switch {
	case err == nil:
		db.note("connected" + db.version(bounded))
	case errors.As(err, &f) && !errors.Is(err, context.Canceled):
		db.note(f.text)
	}
	return err
}

// version returns the name and the version of the server in brackets, or nothing: some servers do not tell.
func (db *DB) version(ctx context.Context) string {
	hello := func(ctx context.Context) rueidis.RedisResult {
		return db.client.Do(ctx, db.client.B().Arbitrary("HELLO").Build())
	}
	message, err := db.call(ctx, hello)
	if err != nil {
		return ""
	}
	about, err := message.AsMap()
	if err != nil {
		return ""
	}
	name, number := about["server"], about["version"]
	first, err := name.ToString()
	second, err2 := number.ToString()
	if err != nil || err2 != nil || !plain(first) || !plain(second) {
		return ""
	}
	return fmt.Sprintf(" (%s %s)", first, second)
}

func (db *DB) note(status string) { db.status.Store(&status) }

// String names the server and says how it was when [Open] or [DB.Ping] asked it last, for logs: "redis 127.0.0.1:6379 db 0: connected (redis 7.0.15)".
// It never holds the password.
func (db *DB) String() string {
	status := "not asked yet"
	if s := db.status.Load(); s != nil {
		status = *s
	}
	return db.options.String() + ": " + status
}

// prefix begins all keys. The braces keep them in one slot.
func (db *DB) prefix() string { return "{" + db.options.Prefix + "}:" }

// run runs a script of the store. The first of its args is the prefix of keys.
func (db *DB) run(ctx context.Context, script *rueidis.Lua, keys []string, args ...string) (rueidis.RedisMessage, error) {
	return db.call(ctx, func(ctx context.Context) rueidis.RedisResult { return script.Exec(ctx, db.client, keys, args) })
}

// call does what f does and waits for it no longer than ctx and Options.Timeout allow. The library does not always look at its
// context: not while another caller connects, and not while its queue is full because the server hangs. So f is run beside. It has a context of its own,
// because a caller who goes away must not break off the connection that others wait for.
func (db *DB) call(ctx context.Context, f func(context.Context) rueidis.RedisResult) (rueidis.RedisMessage, error) {
	if err := ctx.Err(); err != nil {
		return rueidis.RedisMessage{}, db.gaveUp(err)
	}
	bounded, cancel := context.WithTimeout(db.life, db.options.Timeout)
	done := make(chan rueidis.RedisResult, 1)
	if !db.begin(func() { defer cancel(); done <- f(bounded) }) {
		cancel()
		return rueidis.RedisMessage{}, db.fault(rueidis.ErrClosing)
	}
	select {
	case result := <-done:
		return db.result(result)
	case <-ctx.Done():
		return rueidis.RedisMessage{}, db.gaveUp(ctx.Err())
	case <-bounded.Done():
		return db.late(done)
	}
}

// begin runs f beside unless db is closed.
func (db *DB) begin(f func()) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	if !db.ended {
		db.calls.Go(f)
	}
	return !db.ended
}

func (db *DB) result(r rueidis.RedisResult) (rueidis.RedisMessage, error) {
	message, err := r.ToMessage()
	if err != nil {
		return rueidis.RedisMessage{}, db.fault(err)
	}
	if !db.met.Load() {
		db.met.Store(true)
	}
	return message, nil
}

// late is the end of a call whose time is over, or that ended in the same moment.
func (db *DB) late(done <-chan rueidis.RedisResult) (rueidis.RedisMessage, error) {
	select {
	case result := <-done:
		return db.result(result)
	default:
	}
	if db.life.Err() != nil {
		return rueidis.RedisMessage{}, db.fault(rueidis.ErrClosing)
	}
	return rueidis.RedisMessage{}, &fault{server: db.options.String(), text: db.silence(), cause: os.ErrDeadlineExceeded}
}

// gaveUp is the error of a caller whose context is over.
func (db *DB) gaveUp(err error) error {
	text := db.away() + ": no answer before the caller's deadline"
	if errors.Is(err, context.Canceled) {
		text = "the caller did not wait for the answer"
	}
	return &fault{server: db.options.String(), text: text, cause: err}
}

// silence says that the server does not answer within our bound. One that speaks no TLS may wait for the end of what it takes for a command.
func (db *DB) silence() string {
	text := fmt.Sprintf("%s: no answer within %v", db.away(), db.options.Timeout)
	if db.options.TLS != nil && !db.met.Load() {
		text += "; does it speak TLS on this port?"
	}
	return text
}

// hangup says that the server has closed the connection. One that wants TLS, or a client certificate, does so, and what it has said before may be lost.
func (db *DB) hangup() string {
	text := db.away() + ": it closed the connection"
	switch {
	case db.met.Load():
		return text
	case db.options.TLS == nil:
		return text + "; does it want TLS (rediss)?"
	}
	return text + "; does it want a client certificate?"
}

// away says that the server cannot be reached.
func (db *DB) away() string {
	if db.met.Load() {
		return "not reachable"
	}
	return "not reachable yet"
}
