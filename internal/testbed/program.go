package testbed

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"
)

// A Program is a server that runs inside of the test, as its main would run it.
type Program struct {
	// URL is where it listens.
	URL string

	out   *transcript
	stop  context.CancelFunc
	ended chan error
}

// Start runs a program until the test ends, or until Stop, and waits for the line that says where it listens.
func Start(t T, run func(ctx context.Context, args []string, stdout io.Writer) error, args ...string) *Program {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &Program{out: &transcript{listens: make(chan string, 1)}, stop: cancel, ended: make(chan error, 1)}
	go func() {
		p.ended <- run(ctx, args, p.out)
		close(p.ended)
	}()
	t.Cleanup(func() { p.Stop(t) })
	select {
	case p.URL = <-p.out.listens:
	case err := <-p.ended:
		t.Fatalf("run(%q) = %v before it listened\n%s", args, err, p.out)
	case <-time.After(calm):
		t.Fatalf("run(%q) does not listen\n%s", args, p.out)
	}
	return p
}

// Stop ends the program as a signal would, and waits for it. The test fails if it does not end well. It may be called twice.
func (p *Program) Stop(t T) {
	t.Helper()
	p.stop()
	select {
	case err := <-p.ended:
		if err != nil {
			t.Errorf("run ends with %v", err)
		}
	case <-time.After(calm):
		t.Errorf("run does not end")
	}
}

// Output returns what the program has written so far.
func (p *Program) Output() string { return p.out.String() }

// A transcript is what a program writes.
type transcript struct {
	mu      sync.Mutex
	text    bytes.Buffer
	listens chan string
	said    bool
}

var listening = regexp.MustCompile(`(?m)^listening on (\S+)\n`)

// Write implements [io.Writer].
func (s *transcript) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(b)
	if found := listening.FindStringSubmatch(s.text.String()); found != nil && !s.said {
		s.said = true
		s.listens <- found[1]
	}
	return len(b), nil
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.TrimSpace(s.text.String())
}
