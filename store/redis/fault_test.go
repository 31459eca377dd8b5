package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/redis/rueidis"
)

// TestFault: what the client library returns becomes an error that wraps what a caller may ask for, and nothing else.
func TestFault(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, test := range []struct {
		err   error
		words string
		wraps error // nil: nothing
	}{
		{refused, "not reachable yet: dial tcp: connect: connection refused", syscall.ECONNREFUSED},
		{io.EOF, "it closed the connection", io.EOF},
		{fmt.Errorf("read: %w", syscall.ECONNRESET), "it closed the connection", syscall.ECONNRESET},
		{context.DeadlineExceeded, "no answer within 0s", os.ErrDeadlineExceeded},
		{os.ErrDeadlineExceeded, "no answer within 0s", os.ErrDeadlineExceeded},
		{rueidis.ErrClosing, "closed", errClosed},
		{context.Canceled, "closed", errClosed},
		{errStranger, "does not speak Redis's protocol", errStranger},
		{refusal("DENIED Redis is running in protected mode"), "protected mode", nil},
		{errors.New("AUTH hunter2"), "repeats the password", nil},
		{errors.New("a bug"), "not reachable yet: a bug", nil},
	} {
		db := &DB{options: Options{Password: gatehouse.NewSecret("hunter2")}}
		got := db.fault(test.err)
		if !strings.HasPrefix(got.Error(), "redis 127.0.0.1:6379 db 0: ") || !strings.Contains(got.Error(), test.words) {
			t.Errorf("fault(%v) = %v, want the server's name and %q", test.err, got, test.words)
		}
		if test.wraps != nil && !errors.Is(got, test.wraps) {
			t.Errorf("fault(%v) = %v, want an error that wraps %v", test.err, got, test.wraps)
		}
		for _, never := range []error{context.DeadlineExceeded, context.Canceled, rueidis.ErrClosing} {
			if errors.Is(got, never) {
				t.Errorf("fault(%v) wraps %v: it is not the caller's context, nor the caller's library", test.err, never)
			}
		}
	}
}

// TestOlderServers: Redis 6 puts the words of an error in a script behind its own.
func TestOlderServers(t *testing.T) {
	for words, refused := range map[string]bool{
		"Error running script (call to f_0): @user_script:7: -READONLY You can't write against a read only replica.":                        false,
		"Error running script (call to f_0): @user_script:7: -OOM command not allowed when used memory > 'maxmemory'.":                      false,
		"Error running script (call to f_0): @user_script:7: The user executing the script can't run this command or subcommand":            true,
		"Error running script (call to f_0): @user_script:7: The user executing the script can't access at least one of the keys mentioned": true,
		"ACL failure in script: User anna has no permissions to run the 'hset' command script: 0, on @user_script:7.":                       true,
		"NOPERM User anna has no permissions to run the 'evalsha' command":                                                                  true,
		"Unknown Redis command called from script script: 0, on @user_script:7.":                                                            true,
		"MOVED 3999 127.0.0.1:6381": true,
		"NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used": true,
	} {
		f := new(fault)
		if f.judge(words); f.refused != refused || !strings.Contains(f.text, fmt.Sprintf("%q", words)) || f.cause != nil {
			t.Errorf("judge(%q) = %q, refused %t, want refused %t", words, f.text, f.refused, refused)
		}
	}
}
