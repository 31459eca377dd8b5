package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/redis/rueidis"
)

// A fault is why the server did not do what it was asked. It unwraps to the cause, except to what the server has said: its words are in the text.
type fault struct {
	server  string // Options.String
	text    string
	cause   error
	refused bool // it will not work until a person changes something
}

// Error implements error.
func (f *fault) Error() string { return f.server + ": " + f.text }

// Unwrap returns the cause, or nil.
func (f *fault) Unwrap() error { return f.cause }

// refusals are what a server says that is not set up for us, by a part of its words, and what a person can do.
var refusals = []struct{ words, text string }{
	{"WRONGPASS", "refuses the user or the password: check both"},
	{"invalid password", "refuses the password: check it"},
	{"without any password configured", "has no password, but one is configured here: remove it here, or set it there"},
	{"NOAUTH", "wants a password, but none is configured here"},
	{"NOPERM", "the user lacks a permission that the store needs: see \"Keys\" in the documentation of store/redis"},
	{"ACL failure", "the user lacks a permission that the store needs: see \"Keys\" in the documentation of store/redis"},
	{"The user executing the script", "the user lacks a permission that the store needs: see \"Keys\" in the documentation of store/redis"},
	{"DB index is out of range", "has no database of this number"},
	{"SELECT is not allowed in cluster mode", "is a node of a cluster, which has no database but 0"},
	{"MOVED ", "is a node of a cluster and has not the keys of this prefix: use a server that is no cluster"},
	{"CLUSTERDOWN", "is a node of a cluster: use a server that is no cluster"},
	{"DENIED", "accepts connections from its own machine only (protected mode): give it a password, or bind it to the right address"},
	{"unknown command", "lacks a command that the store needs: is it Redis 6 or later, or Valkey?"},
	{"Unknown Redis command", "lacks a command that the store needs: is it Redis 6 or later, or Valkey?"},
}

// fault says what err, which came from the client library, means. None of the library's types gets out.
func (db *DB) fault(err error) error {
	f := &fault{server: db.options.String(), cause: err}
	said, fromServer := rueidis.IsRedisErr(err)
	var refuses refusal
	switch {
	case db.tells(err.Error()):
		f.text, f.cause = "failed with a message that is kept back, since it repeats the password", nil
	case fromServer:
		f.judge(said.Error())
	case errors.As(err, &refuses):
		f.judge(string(refuses))
	case errors.Is(err, rueidis.ErrClosing), errors.Is(err, context.Canceled): // calls have contexts that only Close cancels
		f.text, f.cause = errClosed.Error(), errClosed
	default:
		f.unreachable(db, err)
	}
	return f
}

// errClosed is the cause of a call after [DB.Close].
var errClosed = errors.New("closed")

// tells reports whether text, which came from outside, holds the password, as a server's complaint about our own command might.
func (db *DB) tells(text string) bool {
	hidden := db.options.Password.Reveal()
	return hidden != "" && strings.Contains(text, hidden) // nothing is compared with what somebody claims to know
}

// judge sorts what the server has said into what a person must change and what may pass.
func (f *fault) judge(words string) {
	f.cause, f.text = nil, fmt.Sprintf("not ready: %q", words)
	for _, r := range refusals {
		if strings.Contains(words, r.words) {
			f.text, f.refused = fmt.Sprintf("%s (%q)", r.text, words), true
			return
		}
	}
}

// unreachable sorts what happened to the connection.
func (f *fault) unreachable(db *DB, err error) {
	var certificate *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	var remote *net.OpError
	switch {
	case errors.As(err, &certificate):
		f.text, f.refused = "its certificate is not trusted: "+certificate.Err.Error(), true
	case errors.Is(err, errStranger):
		f.text, f.refused = errStranger.Error(), true
	case errors.As(err, &plain):
		f.text, f.refused = "does not speak TLS on this port", true
	case errors.As(err, &remote) && remote.Op == "remote error": // an alert of TLS
		f.text, f.refused = "refuses our side of TLS: does it want a client certificate? "+remote.Err.Error(), true
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		f.text = db.hangup()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		f.text, f.cause = db.silence(), os.ErrDeadlineExceeded // it was our bound, not the caller's
	default:
		f.text = db.away() + ": " + err.Error()
	}
}
