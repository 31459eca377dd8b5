package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// An ending is one thing to revoke, and how.
type ending struct {
	what  string
	token string       // an access token that ends with it
	at    int          // the node that is told, or -1
	now   func() error // tells; when it returns nil, the revocation was acknowledged
}

// A spread is how long revocations took to arrive. It is safe for concurrent use.
type spread struct {
	mu    sync.Mutex
	times []time.Duration
	late  []string
}

func (s *spread) add(what string, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.times = append(s.times, took); took > bound {
		s.late = append(s.late, fmt.Sprintf("%s after %v", what, took.Round(time.Millisecond)))
	}
}

// revokesAll revokes everything, so many at a time, and waits until every node refuses. A node that has acknowledged must refuse at once, the others within the bound.
func (f *fleet) revokesAll(t *testing.T, atATime int, all []ending) []time.Duration {
	t.Helper()
	var s spread
	work := make(chan ending)
	var workers sync.WaitGroup
	for range atATime {
		workers.Go(func() {
			for r := range work {
				if err := f.revokesOne(t.Context(), r, &s); err != nil {
					t.Errorf("%s: %v", r.what, err)
				}
			}
		})
	}
	for _, r := range all {
		work <- r
	}
	close(work)
	workers.Wait()
	if len(s.late) > 0 {
		t.Errorf("%d of %d came later than the bound of %v, such as %s", len(s.late), len(s.times), bound, s.late[0])
	}
	return s.times
}

func (f *fleet) revokesOne(ctx context.Context, r ending, s *spread) error {
	for i, node := range f.nodes {
		if got, err := f.asks(node, "/ping", r.token); err != nil || got != http.StatusOK {
			return fmt.Errorf("node %d answers %d (%w) before anything is revoked, want 200", i, got, err)
		}
	}
	if err := r.now(); err != nil {
		return err
	}
	acknowledged := time.Now()
	if r.at >= 0 {
		if got, err := f.asks(f.nodes[r.at], "/ping", r.token); err != nil || got != http.StatusUnauthorized {
			return fmt.Errorf("node %d, which has acknowledged, answers %d (%w), want 401 at once", r.at, got, err)
		}
	}
	for i, node := range f.nodes {
		if i == r.at {
			continue
		}
		took, err := f.refusedAfter(ctx, node, r.token, acknowledged)
		if err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
		s.add(fmt.Sprintf("%s at node %d", r.what, i), took)
	}
	return nil
}

// refusedAfter waits until a node refuses, and returns how long after the acknowledgement the request was sent that it refused.
func (f *fleet) refusedAfter(ctx context.Context, node *gate, token string, acknowledged time.Time) (time.Duration, error) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		asked := time.Now()
		switch got, err := f.asks(node, "/ping", token); {
		case err != nil:
			return 0, err
		case got == http.StatusUnauthorized:
			return asked.Sub(acknowledged), nil
		case got != http.StatusOK:
			return 0, fmt.Errorf("it answers %d, want 200 or 401", got)
		case asked.Sub(acknowledged) > calm:
			return 0, errors.New("it still lets the token through")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// byHTTP revokes tokens at a node: single ones, and log-ins by their refresh tokens.
func (f *fleet) byHTTP(t *testing.T, w *works, node, n int) []ending {
	t.Helper()
	var all []ending
	for i := range n {
		r := ending{what: "a token", token: w.mint(t, "token"+strconv.Itoa(i)).Text.Reveal(), at: node}
		sent := r.token
		if i%2 == 1 {
			of := w.logIn(t, "login"+strconv.Itoa(i))
			r.what, r.token, sent = "a log-in", of.Access, of.Refresh
		}
		r.now = func() error {
			if got, err := f.revokes(f.nodes[node], sent); err != nil || got != http.StatusOK {
				return fmt.Errorf("/oauth/revoke answers %d (%w), want 200", got, err)
			}
			return nil
		}
		all = append(all, r)
	}
	return all
}

// byProgram revokes everything of somebody, in a Go program on the store.
func (f *fleet) byProgram(t *testing.T, w *works, n int) []ending {
	t.Helper()
	var all []ending
	for i := range n {
		who := "subject" + strconv.Itoa(i)
		all = append(all, ending{what: "a subject by a program", token: w.mint(t, who).Text.Reveal(), at: -1, now: func() error { return w.EndSubject(t.Context(), who) }})
	}
	return all
}

// byCommand revokes with the command, in every way that it has.
func (f *fleet) byCommand(t *testing.T, w *works) []ending {
	t.Helper()
	one, two, three, four := w.mint(t, "one"), w.mint(t, "two"), w.mint(t, "three"), w.logIn(t, "four")
	ways := map[string][]string{
		one.Text.Reveal():   {"the command, by token", one.Text.Reveal()},
		two.Text.Reveal():   {"the command, by id", "--id", two.Claims.ID},
		three.Text.Reveal(): {"the command, by subject", "--subject", "three"},
		four.Access:         {"the command, by refresh token", four.Refresh},
	}
	var all []ending
	for text, way := range ways {
		all = append(all, ending{what: way[0], token: text, at: -1, now: func() error {
			if out := f.command(t, append([]string{"token", "revoke"}, way[1:]...)...); out.code != 0 {
				return fmt.Errorf("code %d: %s", out.code, out.stderr)
			}
			return nil
		}})
	}
	return all
}

// TestRevocationsReachEveryNode: a thousand tokens, log-ins and subjects are revoked, at one node, by a Go program on its store, and by the command. Every node refuses every
// one, within the bound; how long it took is printed.
func TestRevocationsReachEveryNode(t *testing.T) {
	needFleet(t)
	t.Parallel()
	for name, row := range map[string]struct {
		on                   func(*testing.T) *ground
		nodes, http, program int
	}{
		"PostgreSQL":            {onPostgres, 3, 900, 96},
		"PostgreSQL with Redis": {onPostgresWithRedis, 3, 900, 96},
		"SQLite":                {onSQLite, 1, 0, 96}, // one server alone may have the file, but programs and commands work beside it
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := beginFleet(t, row.on(t), row.nodes)
			w := f.beside(t)
			all := slices.Concat(f.byHTTP(t, w, 0, row.http), f.byProgram(t, w, row.program), f.byCommand(t, w))
			kept := w.mint(t, "bystander").Text.Reveal()
			times := f.revokesAll(t, 4, all)
			figure(t, "%d revocations with %s reach the other nodes: %s", len(all), name, percentiles(times))
			for i := range f.nodes {
				f.wants(t, i, kept, http.StatusOK)
			}
			if f.redis != nil {
				f.withoutTheBus(t, w)
			}
		})
	}
}

// withoutTheBus takes away whatever tells nodes of revocations: Redis hangs, then it is gone, and PostgreSQL ends every connection that listens, again and again. Nodes still look,
// so that the bound holds; nothing that is good is refused, and revoking is not held up.
func (f *fleet) withoutTheBus(t *testing.T, w *works) {
	t.Helper()
	kept := w.mint(t, "bystander").Text.Reveal()
	cutListeners(t, f.ground)
	for _, cut := range []struct {
		what string
		act  func()
	}{{"Redis hangs", f.redis.Pause}, {"Redis is gone", f.redis.Stop}} {
		cut.act()
		times := f.revokesAll(t, 20, slices.Concat(f.byHTTP(t, w, 1, 16), f.byProgram(t, w, 4)))
		figure(t, "where %s and PostgreSQL tells nobody: %s", cut.what, percentiles(times))
		for i := range f.nodes {
			f.wants(t, i, kept, http.StatusOK)
		}
	}
}

// cutListeners ends the connections that wait for notifications, until the test ends.
func cutListeners(t *testing.T, on *ground) {
	t.Helper()
	db := on.sql(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			// An error says that the server is gone, or the test over.
			_, _ = db.ExecContext(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query ILIKE 'LISTEN %'`)
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
}
