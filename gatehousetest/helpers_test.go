package gatehousetest

import (
	"fmt"
	"net/http"
	"runtime"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

var jack = gatehouse.Identity{Value: "jack"}

// A fakeT is a test that can be seen to fail.
type fakeT struct{ failure string }

func (*fakeT) Helper() {}

func (f *fakeT) Fatalf(format string, args ...any) {
	f.failure = fmt.Sprintf(format, args...)
	runtime.Goexit() // as testing.T does
}

// failure runs f as a test of its own and returns the message with which it ended, or "".
func failure(f func(T)) string {
	fake, done := &fakeT{}, make(chan struct{})
	go func() {
		defer close(done)
		f(fake)
	}()
	<-done
	return fake.failure
}

// newTable returns a table in memory.
func newTable() *session.Table { return session.New(memory.Sessions(), session.Config{}) }

// greeter answers with the caller's subject, behind a guard that needs nobody.
func greeter(t *testing.T, c carrier.Carrier) http.Handler {
	t.Helper()
	g, err := guard.New(guard.Config{Carriers: []carrier.Carrier{c}, Policy: guard.AsSubject{}})
	if err != nil {
		t.Fatal(err)
	}
	return g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%q", guard.UserID(r)) }))
}
