package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/store/sqlite"
)

// A paper is an access token that somebody was given.
type paper struct {
	text    string
	revoked bool // it was revoked, and that was acknowledged
	doubt   bool // somebody tried to, and had no answer
}

// A visit is a log-in, as its client knows it.
type visit struct {
	spent  []string // refresh tokens that were used, and whose successor came
	newest string   // the last one that came
	papers []*paper // access tokens
	over   bool     // it was ended, and that was acknowledged
	// What the client has asked for without getting an answer. Nothing else is done with the log-in until that is settled.
	renewing, ending bool
}

func (v *visit) take(got twins) {
	v.spent, v.newest = append(v.spent, v.newest), got.Refresh
	v.papers = append(v.papers, &paper{text: got.Access})
	v.renewing = false
}

// A ledger is what one client has asked a node for, and what of that was acknowledged. What was acknowledged must be so for ever.
type ledger struct {
	f      *fleet
	random *rand.Rand
	visits []*visit
	papers []*paper // of log-ins as well
}

// errGone: there was no answer, because the node was killed.
var errGone = errors.New("no answer")

// need returns an error unless there was an answer, and this one.
func need(what string, got, want int, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("%w: %s: %w", errGone, what, err)
	case got != want:
		return fmt.Errorf("%s = %d, want %d", what, got, want)
	}
	return nil
}

// pick returns one of those that are so, or nil.
func pick[T any](random *rand.Rand, all []*T, so func(*T) bool) *T {
	for _, i := range random.Perm(len(all)) {
		if so(all[i]) {
			return all[i]
		}
	}
	return nil
}

func (p *paper) good() bool { return !p.revoked && !p.doubt }
func (v *visit) good() bool { return !v.over && !v.renewing && !v.ending }

// act does one thing at random.
func (l *ledger) act() error {
	switch l.random.IntN(8) {
	case 0:
	case 1:
		if p := pick(l.random, l.papers, (*paper).good); p != nil {
			return l.revoke(p)
		}
	case 2:
		if v := pick(l.random, l.visits, (*visit).good); v != nil && len(v.spent) > 1 {
			return l.end(v)
		}
	default:
		if v := pick(l.random, l.visits, (*visit).good); v != nil {
			return l.renew(v)
		}
	}
	return l.issue()
}

func (l *ledger) issue() error {
	text, status, err := l.f.issues(l.f.nodes[0])
	if err := need("issuing a token", status, 200, err); err != nil {
		return err
	}
	l.papers = append(l.papers, &paper{text: text})
	return nil
}

func (l *ledger) revoke(p *paper) error {
	p.doubt = true
	status, err := l.f.revokes(l.f.nodes[0], p.text)
	if err := need("revoking a token", status, 200, err); err != nil {
		return err
	}
	p.revoked, p.doubt = true, false
	return nil
}

func (l *ledger) end(v *visit) error {
	v.ending = true
	status, err := l.f.revokes(l.f.nodes[0], v.newest)
	if err := need("ending a log-in", status, 200, err); err != nil {
		return err
	}
	l.ended(v)
	return nil
}

// ended notes that a log-in is over, and with it all that it was given.
func (l *ledger) ended(v *visit) {
	v.over, v.ending, v.renewing = true, false, false
	for _, p := range v.papers {
		p.revoked, p.doubt = true, false
	}
}

func (l *ledger) renew(v *visit) error {
	v.renewing = true
	got, status, err := l.f.renews(l.f.nodes[0], v.newest)
	if err := need("renewing a log-in", status, 200, err); err != nil {
		return err
	}
	v.take(got)
	l.papers = append(l.papers, v.papers[len(v.papers)-1])
	return nil
}

// settle holds the node against the ledger, and finds out what became of what had no answer.
func (l *ledger) settle() error {
	var faults []error
	for _, v := range l.visits {
		if err := l.settleVisit(v); err != nil {
			faults = append(faults, err)
		}
	}
	for _, p := range l.papers {
		if err := l.settlePaper(p); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

func (l *ledger) settlePaper(p *paper) error {
	if p.doubt { // it may have been revoked or not; once that is acknowledged, it is
		if err := l.revoke(p); err != nil {
			return err
		}
	}
	want, what := 200, "a good token"
	if p.revoked {
		want, what = 401, "a revoked token"
	}
	status, err := l.f.asks(l.f.nodes[0], "/ping", p.text)
	return need(what, status, want, err)
}

func (l *ledger) settleVisit(v *visit) error {
	switch {
	case v.over:
		return l.replay(v.newest, "a refresh token of a log-in that is over")
	case v.ending:
		if err := l.halfEnded(v); err != nil {
			return err
		}
		return l.end(v)
	case v.renewing: // whether it was renewed or not: the client that asks once more must not be logged out
		return l.renew(v)
	case len(v.spent) > 0 && l.random.IntN(2) == 0:
		got, status, err := l.f.renews(l.f.nodes[0], v.spent[len(v.spent)-1])
		if err := need("asking for the last answer once more", status, 200, err); err != nil || got.Refresh == v.newest {
			return err
		}
		return errors.New("asking for the last answer once more gave another refresh token: the log-in has two lineages")
	case len(v.spent) > 2 && l.random.IntN(4) == 0: // a thief comes
		if err := l.replay(v.spent[l.random.IntN(len(v.spent)-1)], "a refresh token that was used long ago"); err != nil {
			return err
		}
		l.ended(v)
		return l.replay(v.newest, "the newest refresh token, after an old one had come again")
	}
	return nil
}

// replay fails if a refresh token is accepted.
func (l *ledger) replay(refresh, what string) error {
	_, status, err := l.f.renews(l.f.nodes[0], refresh)
	return need(what, status, 400, err)
}

// halfEnded fails if a log-in whose end was not acknowledged has ended in part.
func (l *ledger) halfEnded(v *visit) error {
	alive, err := l.f.active(l.f.nodes[0], v.newest)
	if err != nil {
		return err
	}
	for _, p := range v.papers {
		if !p.good() {
			continue
		}
		status, err := l.f.asks(l.f.nodes[0], "/ping", p.text)
		if err != nil || (status == http.StatusOK) != alive {
			return fmt.Errorf("the end of a log-in had no answer: its refresh token is active: %v, its access token gets %d (%w)", alive, status, err)
		}
	}
	return nil
}

// forget leaves in the ledger what is to be looked at in every cycle: of what is over, a handful, since there is more and more of it.
func (l *ledger) forget(most int) {
	l.random.Shuffle(len(l.papers), func(i, k int) { l.papers[i], l.papers[k] = l.papers[k], l.papers[i] })
	l.papers = l.papers[:min(most, len(l.papers))]
	l.visits = slices.DeleteFunc(l.visits, func(v *visit) bool { return v.over && l.random.IntN(4) == 0 })
}

// TestKilledNodes: a node is killed at a random moment, again and again, while clients get, renew and revoke tokens. Nothing that was acknowledged is undone: what was revoked is never accepted
// again, nor is a refresh token that was used, apart from the same answer again; what was not revoked goes on; and nobody is logged out because an answer was lost.
func TestKilledNodes(t *testing.T) {
	needFleet(t)
	t.Parallel()
	for name, row := range map[string]struct {
		on     func(*testing.T) *ground
		cycles int
	}{"SQLite": {onSQLite, 20}, "PostgreSQL": {onPostgres, 5}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cycles := knob(t, "GATEHOUSE_TORTURE_CYCLES", strconv.Atoi, row.cycles)
			f := beginFleet(t, row.on(t), 1, "ttl: 1h", "ttl: 100h", "grace: 1h", "grace: 100h")
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			ledgers := make([]*ledger, 3)
			for i := range ledgers {
				ledgers[i] = &ledger{f: f, random: rand.New(rand.NewPCG(seed, uint64(i)))}
			}
			logIns := f.manyLogIns(t, 2*len(ledgers)*cycles)
			var starts []time.Duration
			acts := 0
			for cycle := range cycles {
				for _, l := range ledgers {
					l.visits = append(l.visits, &visit{newest: logIns[0]}, &visit{newest: logIns[1]})
					logIns = logIns[2:]
				}
				n, took := f.killCycle(t, ledgers, cycle)
				acts, starts = acts+n, append(starts, took)
				for _, l := range ledgers {
					l.forget(60)
				}
				if t.Failed() {
					t.Fatalf("cycle %d of %d", cycle, cycles)
				}
			}
			figure(t, "%d kills on %s within %d acts; a node starts again in %s", cycles, name, acts, percentiles(starts))
		})
	}
}

// manyLogIns begins log-ins, and closes the store again: a node that is killed must be the last that had it open.
func (f *fleet) manyLogIns(t *testing.T, n int) []string {
	t.Helper()
	var all []string
	t.Run("log-ins", func(t *testing.T) {
		w := f.beside(t)
		for i := range n {
			all = append(all, w.logIn(t, "visitor"+strconv.Itoa(i)).Refresh)
		}
	})
	if len(all) < n {
		t.FailNow()
	}
	return all
}

// killCycle lets the clients act until the node is killed, starts it again, and holds it against the ledgers. It returns how much was done, and how long the start took.
func (f *fleet) killCycle(t *testing.T, ledgers []*ledger, cycle int) (acts int, start time.Duration) {
	t.Helper()
	random := ledgers[0].random
	acts = 1 + random.IntN(60)
	done := make(chan struct{}, 1000)
	var clients sync.WaitGroup
	for _, l := range ledgers {
		clients.Go(func() {
			var err error
			for err == nil {
				err = l.act()
				select {
				case done <- struct{}{}:
				default: // enough was done
				}
			}
			if !errors.Is(err, errGone) {
				t.Errorf("cycle %d: %v", cycle, err)
			}
		})
	}
	for range acts {
		<-done
	}
	f.kill(t, 0) // while the others are in the midst of something
	clients.Wait()
	if random.IntN(4) == 0 { // a start is killed as well
		g := spawn(t, launchPlan{dir: f.nodes[0].dir, env: f.env})
		<-time.After(time.Duration(random.IntN(100)) * time.Millisecond)
		g.process.Kill()
		g.wait(t)
	}
	began := time.Now()
	f.restart(t, 0)
	start = time.Since(began)
	f.isSound(t)
	for _, l := range ledgers {
		if err := l.settle(); err != nil {
			t.Errorf("cycle %d, killed after %d acts: %v", cycle, acts, err)
		}
	}
	return acts, start
}

// isSound fails if SQLite finds the file damaged.
func (f *fleet) isSound(t *testing.T) {
	t.Helper()
	if f.postgres != nil {
		return
	}
	db, err := sqlite.Open(t.Context(), f.file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() // before the next kill
	var said string
	if err := db.SQL().QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&said); err != nil || said != "ok" {
		t.Errorf("integrity_check says %q (%v), want ok", said, err)
	}
}
