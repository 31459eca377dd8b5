package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

// A base has the words that the tests of all kinds of stores are written in. The words that end the test belong to the test's own goroutine.
type base struct {
	*testing.T
	now time.Time // the real time when the subtest began, in milliseconds: the clock of the store may be the real one
}

func newBase(t *testing.T) base { return base{t, time.Now().Truncate(time.Millisecond)} }

// ok ends the test if err is not nil.
func (s *base) ok(what string, err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("%s = %v, want nil", what, err)
	}
}

// refused reports an error that does not wrap want.
func (s *base) refused(what string, err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Errorf("%s = %v, want an error that wraps %q", what, err, want)
	}
}

const (
	// crowd is how many do the same at once.
	crowd = 50
	// rounds is how often two do different things at once.
	rounds = 100
)

// rounds returns the numbers from 0 to n-1, and ends with the first failure: the others would be the same again.
func (s *base) rounds(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if s.Failed() || !yield(i) {
				return
			}
		}
	}
}

// winner returns the number of the only call that succeeded, and ends the test if there is none or more than one, or one has failed with another
// error than want.
func (s *base) winner(what string, errs []error, want error) int {
	s.Helper()
	won, winner := 0, 0
	for i, err := range errs {
		if err == nil {
			won, winner = won+1, i
		} else if !errors.Is(err, want) {
			s.Fatalf("%s = %v, want nil or an error that wraps %q", what, err, want)
		}
	}
	if won != 1 {
		s.Fatalf("%d of %d times %s = nil, want once", won, len(errs), what)
	}
	return winner
}

// patience is how long the suite waits for what a store does later.
var patience = 10 * time.Second

// await waits until done returns true, and loses patience some time. If the store's clock can be moved, it is.
func (s *base) await(what string, advance func(time.Duration), done func() bool) {
	s.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		if advance != nil {
			advance(10 * time.Millisecond)
		}
		if done() {
			return
		}
	}
	s.Fatalf("waited for %v: %s", patience, what)
}

// cancelledWithin returns a context that another goroutine cancels some time within the given one, and what waits for that goroutine.
func (s *base) cancelledWithin(longest time.Duration) (context.Context, func()) {
	ctx, cancel := context.WithCancel(s.Context())
	gone := make(chan struct{})
	end := time.Now().Add(longest * time.Duration(pick(256)) / 256)
	go func() {
		defer close(gone)
		for time.Now().Before(end) { // a timer would be too coarse for a store in memory
			runtime.Gosched()
		}
		cancel()
	}()
	return ctx, func() { <-gone }
}

// measured returns a little more than what do takes, and ends the test if it fails.
func (s *base) measured(what string, do func() error) time.Duration {
	s.Helper()
	began := time.Now()
	s.ok(what, do())
	return time.Since(began) * 5 / 4
}

// A call is one method with a context of the test's choice.
type call struct {
	name string
	do   func(ctx context.Context) error
}

// needContext reports calls that do something with a context that is done, or say something that they cannot know: one of the errors that are answers. unchanged
// reports what they have done.
func (s *base) needContext(calls []call, answers []error, unchanged func()) {
	s.Helper()
	cancelled, cancel := context.WithCancel(s.Context())
	cancel()
	late, cancel := context.WithDeadline(s.Context(), s.now.Add(-time.Hour))
	defer cancel()
	for _, c := range calls {
		for ctx, want := range map[context.Context]error{cancelled: context.Canceled, late: context.DeadlineExceeded} {
			err := c.do(ctx)
			s.refused(c.name+" with a context that is done", err, want)
			for _, answer := range answers {
				if errors.Is(err, answer) {
					s.Errorf("%s with a context that is done = %v: it says what it cannot know", c.name, err)
				}
			}
		}
		unchanged()
	}
}

// cancelledCalls calls do, with a context that is cancelled at a moment at random, once a round, and gives what came of it to check.
func (s *base) cancelledCalls(what string, do func(ctx context.Context, round int) error, check func(round int, err error)) {
	s.Helper()
	longest := s.measured(what, func() error { return do(s.Context(), 0) })
	check(0, nil)
	for round := range s.rounds(rounds) {
		ctx, wait := s.cancelledWithin(longest)
		began := time.Now()
		err := do(ctx, round+1)
		longest = min(longest+longest/8, time.Second) // calls take now more and now less
		if err == nil {
			longest = time.Since(began) * 5 / 4
		}
		wait()
		if err != nil {
			s.refused(what+", cancelled,", err, context.Canceled)
		}
		check(round+1, err)
	}
}

// together runs do n times at once, on the stores in turn, and returns the errors. Who comes first is left to chance: schedulers have habits.
func together[S any](n int, stores []S, do func(store S, i int) error) []error {
	var wg sync.WaitGroup
	start, errs := make(chan struct{}), make([]error, n)
	for _, i := range permutation(n) {
		wg.Go(func() {
			<-start
			errs[i] = do(stores[i%len(stores)], i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// isDone reports whether done is closed. If wait is true it waits until it is.
func isDone(done <-chan struct{}, wait bool) bool {
	if wait {
		<-done
		return true
	}
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// newSubject returns a subject that has no records.
func newSubject() string { return rand.Text() }

// newID returns an id that nothing has.
func newID() string { return strings.ToLower(rand.Text()) }

// pick returns a number from 0 to n-1, n at most 256, at random.
func pick(n int) int {
	var b [1]byte
	rand.Read(b[:])
	return int(b[0]) % n
}

// permutation returns the numbers from 0 to n-1 in an order at random.
func permutation(n int) []int {
	order := make([]int, n)
	for i := range order {
		j := pick(i + 1)
		order[i], order[j] = order[j], i
	}
	return order
}

// isText reports whether every database can keep s as text.
func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// hostile are bytes that something on the way to a disk could take for something else.
func hostile() map[string][]byte {
	random := make([]byte, 64<<10)
	rand.Read(random)
	return map[string][]byte{
		"empty": {}, "one NUL": {0}, "no UTF-8": {0xff, 0xfe, 0xc0, 0x80}, "JSON with spaces and a key twice": []byte("{ \"a\" : 1,\n\"a\":1.0 }\n"),
		"an escaped NUL": []byte(`{"a":"\u0000"}`), "half a surrogate": []byte(`{"a":"\ud800"}`), "hexadecimal": []byte(`\x616e6e61`), "a large number": []byte(`{"n":12345678901234567890}`),
		"a byte order mark": []byte("\ufeff{}"), "line ends": []byte("a\r\nb\rc\n"), "quotes": []byte("\x00\xff'\"\\\r\n%s;--"), "64 KiB at random": random, "64 KiB of NULs": make([]byte, 64<<10),
	}
}
