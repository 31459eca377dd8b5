package e2e

import (
	"net/http"
	"strconv"
	"sync"
	"testing"
)

// eachGround runs a test on every kind of store that several nodes can share.
func eachGround(t *testing.T, test func(t *testing.T, on *ground)) {
	t.Helper()
	for name, on := range map[string]func(*testing.T) *ground{"PostgreSQL": onPostgres, "PostgreSQL with Redis": onPostgresWithRedis} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, on(t))
		})
	}
}

// renewsAtOnce renews one log-in fifty times at once, at all nodes, and returns what was given. Nobody may be refused: each of them may be the client's only answer.
func (f *fleet) renewsAtOnce(t *testing.T, refresh string) []twins {
	t.Helper()
	given := make([]twins, 50)
	var clients sync.WaitGroup
	for i := range given {
		clients.Go(func() {
			got, status, err := f.renews(f.nodes[i%len(f.nodes)], refresh)
			if err != nil || status != http.StatusOK {
				t.Errorf("one of %d renewals at once = %d (%v), want 200", len(given), status, err)
			}
			given[i] = got
		})
	}
	clients.Wait()
	return given
}

// TestRenewingAtOnce: of fifty clients that present one refresh token to three nodes, all get the same successor, and none is logged out. When the first token comes once more after that
// was used, whoever has it is a thief or was robbed: the log-in is over everywhere.
func TestRenewingAtOnce(t *testing.T) {
	needFleet(t)
	t.Parallel()
	rounds := knob(t, "GATEHOUSE_TORTURE_RACES", strconv.Atoi, 4)
	eachGround(t, func(t *testing.T, on *ground) {
		f := beginFleet(t, on, 3)
		w := f.beside(t)
		for range rounds {
			first := w.logIn(t, "amy").Refresh
			given := f.renewsAtOnce(t, first)
			next := given[0].Refresh
			for _, g := range given {
				if g.Refresh != next {
					t.Fatal("two renewals gave different refresh tokens: the log-in has two lineages")
				}
				for i := range f.nodes {
					f.wants(t, i, g.Access, http.StatusOK)
				}
			}
			last, status, err := f.renews(f.nodes[1], next)
			if err != nil || status != http.StatusOK || last.Refresh == next {
				t.Fatalf("the successor = %d (%v), want 200 and another token: the winner must not be logged out", status, err)
			}
			if _, status, err := f.renews(f.nodes[2], first); err != nil || status != http.StatusBadRequest {
				t.Errorf("the first token once more = %d (%v), want 400", status, err)
			}
			f.isOver(t, []string{first, next, last.Refresh}, []string{given[0].Access, given[49].Access, last.Access})
		}
	})
}

// isOver fails unless a log-in ends on every node, with its refresh tokens and its access tokens.
func (f *fleet) isOver(t *testing.T, refresh, access []string) {
	t.Helper()
	for i, node := range f.nodes {
		for _, text := range access {
			f.becomes(t, i, text, http.StatusUnauthorized)
		}
		for _, text := range refresh {
			if _, status, err := f.renews(node, text); err != nil || status != http.StatusBadRequest {
				t.Errorf("node %d renews a log-in that is over: %d (%v), want 400", i, status, err)
			}
		}
	}
}

// TestLoggingOutWhileRenewing: a log-in is ended at one node while others renew it. Once that is acknowledged nothing that they gave is good for anything, whichever came first.
func TestLoggingOutWhileRenewing(t *testing.T) {
	needFleet(t)
	t.Parallel()
	rounds := knob(t, "GATEHOUSE_TORTURE_RACES", strconv.Atoi, 12)
	eachGround(t, func(t *testing.T, on *ground) {
		f := beginFleet(t, on, 3)
		w := f.beside(t)
		renewed := 0
		for round := range rounds {
			first := w.logIn(t, "amy")
			given := make([]twins, 8)
			var clients sync.WaitGroup
			clients.Go(func() {
				if got, err := f.revokes(f.nodes[0], first.Refresh); err != nil || got != http.StatusOK {
					t.Errorf("logging out = %d (%v), want 200", got, err)
				}
			})
			for i := range given {
				clients.Go(func() {
					text := first.Refresh
					for range 1 + (round+i)%3 { // some of them go on with what they get
						got, status, err := f.renews(f.nodes[i%len(f.nodes)], text)
						if err != nil || status != http.StatusOK && status != http.StatusBadRequest {
							t.Errorf("renewing while somebody logs out = %d (%v), want 200 or 400", status, err)
						}
						if status != http.StatusOK {
							return
						}
						given[i], text = got, got.Refresh
					}
				})
			}
			clients.Wait()
			refresh, access := []string{first.Refresh}, []string{first.Access}
			for _, g := range given {
				if g.Refresh != "" {
					refresh, access = append(refresh, g.Refresh), append(access, g.Access)
					renewed++
				}
			}
			f.wants(t, 0, access[len(access)-1], http.StatusUnauthorized)
			f.isOver(t, refresh, access)
		}
		t.Logf("%d renewals were faster than the log-out, in %d rounds", renewed, rounds)
	})
}
