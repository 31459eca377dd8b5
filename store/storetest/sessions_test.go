package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

// faultVariable names the fault with which a child process runs the suite.
const faultVariable = "GATEHOUSE_STORETEST_FAULT"

// TestSuite: a store that is right passes.
func TestSuite(t *testing.T) {
	TestSessions(t, openRight)
}

func openRight(*testing.T) Sessions {
	store := new(naive)
	same := func(*testing.T) session.Store { return store }
	return Sessions{Store: store, Beside: same, Reopen: same}
}

// TestExpiring: so does one that removes overdue records by itself, by its own clock or by one that can be set.
func TestExpiring(t *testing.T) {
	t.Run("real clock", func(t *testing.T) { TestSessions(t, func(*testing.T) Sessions { return expiring(false, false) }) })
	t.Run("set clock", func(t *testing.T) { TestSessions(t, func(*testing.T) Sessions { return expiring(true, false) }) })
}

// expiring returns a store that removes overdue records by itself, and is no session.Pruner. A deaf one removes them when they were due at first.
func expiring(settable, deaf bool) Sessions {
	n := new(naive)
	var mu sync.Mutex
	ahead, first := time.Duration(0), map[session.Key]time.Time{}
	tidy := func() {
		mu.Lock()
		now := time.Now().Add(ahead)
		mu.Unlock()
		n.Prune(context.Background(), now, 1e6)
		for key, at := range first {
			if deaf && at.Before(now) {
				n.Delete(context.Background(), key)
			}
		}
	}
	b := &broken{naive: n}
	b.create = func(ctx context.Context, rec session.Record, replaces session.Key) error {
		if deaf {
			first[rec.Key] = rec.Deadline
		}
		tidy()
		return n.Create(ctx, rec, replaces)
	}
	b.get = func(ctx context.Context, key session.Key) (session.Record, error) { tidy(); return n.Get(ctx, key) }
	b.list = func(ctx context.Context, subject string) ([]session.Record, error) {
		tidy()
		return n.List(ctx, subject)
	}
	s := Sessions{Store: storeOnly{b}, Expires: true}
	if settable {
		s.Advance = func(d time.Duration) { mu.Lock(); defer mu.Unlock(); ahead += d }
	}
	return s
}

// storeOnly hides that a store is a session.Pruner.
type storeOnly struct{ session.Store }

// setups are faults in what open returns.
var setups = map[string]struct {
	caught string
	open   func(*testing.T) Sessions
}{
	"there is no store":                {"RoundTrip TableIdle", func(*testing.T) Sessions { return Sessions{} }},
	"nobody removes overdue records":   {"Prune", func(*testing.T) Sessions { return Sessions{Store: storeOnly{new(naive)}} }},
	"overdue records are not removed":  {"Overdue", func(*testing.T) Sessions { return Sessions{Store: storeOnly{new(naive)}, Expires: true} }},
	"a use does not count for the end": {"Overdue", func(*testing.T) Sessions { return expiring(true, true) }},
	"the store is not empty": {"List Prune Order", func(t *testing.T) Sessions {
		n := new(naive)
		for _, subject := range []string{"anna", "bert", ""} {
			old := newSuite(t, Sessions{Store: n}).record(subject)
			old.Deadline = old.Created
			n.put(old)
		}
		return Sessions{Store: n}
	}},
	"another process sees nothing": {"Beside ParallelUpdates", func(*testing.T) Sessions {
		return Sessions{Store: new(naive), Beside: func(*testing.T) session.Store { return new(naive) }}
	}},
	"another process has a cache": {"Beside", func(*testing.T) Sessions {
		n := new(naive)
		return Sessions{Store: n, Beside: func(*testing.T) session.Store { return caching(n) }}
	}},
	"a restart loses all": {"Reopen", func(*testing.T) Sessions {
		return Sessions{Store: new(naive), Reopen: func(*testing.T) session.Store { return new(naive) }}
	}},
	"a restart brings back what was ended": {"Reopen", func(*testing.T) Sessions {
		n, log := new(naive), new(naive)
		b := &broken{naive: n, create: func(ctx context.Context, rec session.Record, replaces session.Key) error {
			log.put(rec)
			return n.Create(ctx, rec, replaces)
		}}
		return Sessions{Store: b, Reopen: func(*testing.T) session.Store { return log }}
	}},
}

// caching returns a store on n that remembers what Get has found.
func caching(n *naive) session.Store {
	var mu sync.Mutex
	cache := map[session.Key]session.Record{}
	return &broken{naive: n, get: func(ctx context.Context, key session.Key) (session.Record, error) {
		mu.Lock()
		defer mu.Unlock()
		if rec, ok := cache[key]; ok {
			return rec, nil
		}
		rec, err := n.Get(ctx, key)
		if err == nil {
			cache[key] = rec
		}
		return rec, err
	}}
}

// A faulty store breaks a promise.
type faulty struct {
	suite  string // the kind of store
	caught string // names of the parts that must notice, separated by spaces
	run    func(t *testing.T)
}

// suiteParts are the names of the parts of each suite.
func suiteParts() map[string][]string {
	parts := map[string][]string{}
	for _, part := range sessionTests {
		parts["sessions"] = append(parts["sessions"], part.name)
	}
	for _, part := range keyTests {
		parts["keys"] = append(parts["keys"], part.name)
	}
	for _, part := range tokenTests {
		parts["tokens"] = append(parts["tokens"], part.name)
	}
	for _, part := range revocationTests {
		parts["revocations"] = append(parts["revocations"], part.name)
	}
	return parts
}

// allFaults returns the faults by their names.
func allFaults() map[string]faulty {
	all := map[string]faulty{}
	add := func(suite, name, caught string, run func(t *testing.T)) {
		name = suite + ": " + name
		if _, twice := all[name]; twice {
			panic("two faults are called " + name)
		}
		all[name] = faulty{suite, caught, run}
	}
	for name, setup := range setups {
		add("sessions", name, setup.caught, func(t *testing.T) { TestSessions(t, setup.open) })
	}
	for _, f := range slices.Concat(faults, races, contextFaults) {
		add("sessions", f.name, f.caught, func(t *testing.T) {
			TestSessions(t, func(*testing.T) Sessions {
				b := &broken{naive: new(naive)}
				f.apply(b)
				return Sessions{Store: b, Beside: func(*testing.T) session.Store { return b }}
			})
		})
	}
	addKeyFaults(add)
	addTokenFaults(add)
	addRevocationFaults(add)
	return all
}

// TestFaulty is what a child process of [TestFaultsAreCaught] runs.
func TestFaulty(t *testing.T) {
	name := os.Getenv(faultVariable)
	if name == "" {
		return // nothing is wrong with the stores here
	}
	patience = 300 * time.Millisecond
	allFaults()[name].run(t)
}

// TestFaultsAreCaught runs the suite on stores that break one promise each. A suite that lets one of them pass is worth nothing.
func TestFaultsAreCaught(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range allFaults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parts := strings.Fields(f.caught)
			for _, part := range parts {
				if !slices.Contains(suiteParts()[f.suite], part) {
					t.Fatalf("the suite of %s has no part %q", f.suite, part)
				}
			}
			output := runFaulty(t, program, name, parts)
			if strings.Contains(output, "panic:") || strings.Contains(output, "DATA RACE") {
				t.Errorf("the suite does not survive it:\n%s", output)
			}
			for _, part := range parts {
				if !strings.Contains(output, "--- FAIL: TestFaulty/"+part+" ") {
					t.Errorf("%s passes, want a failure. Output:\n%s", part, output)
				}
			}
		})
	}
}

// runFaulty runs parts of the suite in a child process, on a store with the fault, and returns its output.
func runFaulty(t *testing.T, program, fault string, parts []string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, program, "-test.run=^TestFaulty$/^("+strings.Join(parts, "|")+")$", "-test.timeout=100s")
	child.Env = append(os.Environ(), faultVariable+"="+fault)
	output, err := child.CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(output)
}

// TestEveryPartCatchesAFault: a part of a suite that no fault makes fail tests nothing.
func TestEveryPartCatchesAFault(t *testing.T) {
	caught := map[string][]string{}
	for _, f := range allFaults() {
		caught[f.suite] = append(caught[f.suite], strings.Fields(f.caught)...)
	}
	for suite, parts := range suiteParts() {
		for i, part := range parts {
			if !slices.Contains(caught[suite], part) {
				t.Errorf("no fault is caught by %s of %s", part, suite)
			}
			if slices.Contains(parts[:i], part) {
				t.Errorf("two parts of %s are called %s", suite, part)
			}
		}
	}
}

func TestDiffer(t *testing.T) {
	now := time.Now()
	rec := session.Record{Key: session.Key{1}, ID: "i", Subject: "s", Created: now, Seen: now, Deadline: now, Version: 1, Body: []byte("b")}
	elsewhere := rec
	elsewhere.Created, elsewhere.Body = now.UTC(), []byte("b")
	if got := differ(elsewhere, rec); got != "" {
		t.Errorf("differ(the same moment elsewhere) = %q, want nothing", got)
	}
	for field, change := range map[string]func(*session.Record){
		"Key":      func(r *session.Record) { r.Key[31] = 1 },
		"ID":       func(r *session.Record) { r.ID = "I" },
		"Subject":  func(r *session.Record) { r.Subject = "s " },
		"Created":  func(r *session.Record) { r.Created = now.Add(time.Millisecond) },
		"Seen":     func(r *session.Record) { r.Seen = now.Add(-time.Millisecond) },
		"Deadline": func(r *session.Record) { r.Deadline = time.Time{} },
		"Version":  func(r *session.Record) { r.Version = 2 },
		"Body":     func(r *session.Record) { r.Body = nil },
	} {
		other := rec
		change(&other)
		if got := differ(other, rec); !strings.HasPrefix(got, field+" = ") || strings.Contains(got, ";") {
			t.Errorf("differ(another %s) = %q, want %s = and nothing else", field, got, field)
		}
	}
}

// TestMessages: a message names records so that they can be told apart, and holds no body and no whole key.
func TestMessages(t *testing.T) {
	rec := session.Record{Key: newKey(), Subject: strings.Repeat("anna ", 500), Version: 3, Body: []byte("whatever the program keeps")}
	text := fmt.Sprint(show(rec), showAll([]session.Record{rec, rec}))
	if strings.Contains(text, fmt.Sprintf("%x", rec.Key)) || strings.Contains(text, "whatever") || len(text) > 400 {
		t.Errorf("show = %q, want a short text without body and whole key", text)
	}
	if !regexp.MustCompile(`^[0-9a-f]{8} of "anna .* v3`).MatchString(text) {
		t.Errorf("show = %q, want the start of the key, the subject and the version", text)
	}
}

func TestPermutation(t *testing.T) {
	for _, n := range []int{0, 1, 2, 50, 256} {
		order := permutation(n)
		slices.Sort(order)
		for i, got := range order {
			if got != i {
				t.Fatalf("permutation(%d) has %d where %d is due", n, got, i)
			}
		}
		if len(order) != n {
			t.Errorf("permutation(%d) has %d numbers", n, len(order))
		}
	}
}
