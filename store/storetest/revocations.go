package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// Revocations is a store of revocations to be tested, and what the suite has to know about it.
type Revocations struct {
	// Store is empty, and nobody else's. It is required.
	Store revoke.Store

	// Beside returns one more store with the same feed, as a second process opens it while the first one goes on. Nil: there can be no second one.
	Beside func(t *testing.T) revoke.Store

	// Reopen returns the store with its feed as a program finds it after a restart; it may close Store, which is not used after it. Nil: the
	// feed does not survive the process.
	Reopen func(t *testing.T) revoke.Store
}

// revocationTests are the parts of the suite. Every function gets a store of its own.
var revocationTests = []struct {
	name string
	test func(*revocationSuite)
}{
	{"RoundTrip", (*revocationSuite).roundTrip},
	{"Add", (*revocationSuite).add},
	{"Since", (*revocationSuite).since},
	{"Pages", (*revocationSuite).pages},
	{"Overdue", (*revocationSuite).overdue},
	{"Prune", (*revocationSuite).prune},
	{"LastSurvivesPrune", (*revocationSuite).lastSurvivesPrune},
	{"IDs", (*revocationSuite).ids},
	{"Kinds", (*revocationSuite).kinds},
	{"Copies", (*revocationSuite).copies},
	{"Large", (*revocationSuite).large},
	{"RandomSteps", (*revocationSuite).randomSteps},
	{"Context", (*revocationSuite).context},
	{"CancelDuring", (*revocationSuite).cancelDuring},
	{"ParallelAdds", (*revocationSuite).parallelAdds},
	{"ParallelPrunes", (*revocationSuite).parallelPrunes},
	{"NoGaps", (*revocationSuite).noGaps},
	{"AddAgainstPrune", (*revocationSuite).addAgainstPrune},
	{"Beside", (*revocationSuite).beside},
	{"Reopen", (*revocationSuite).reopen},
	{"Lists", (*revocationSuite).lists},
	{"ListSubjects", (*revocationSuite).listSubjects},
	{"ListParallel", (*revocationSuite).listParallel},
	{"ListPrune", (*revocationSuite).listPrune},
	{"ListPutsBack", (*revocationSuite).listPutsBack},
}

// TestRevocations tests every promise of revoke.Store, and what lists make of it. open returns an empty store; it is called once for each subtest, and
// closes what it has opened with t.Cleanup.
func TestRevocations(t *testing.T, open func(t *testing.T) Revocations) {
	for _, part := range revocationTests {
		t.Run(part.name, func(t *testing.T) {
			part.test(newRevocationSuite(t, open, open(t)))
		})
	}
}

// A revocationSuite is one subtest: its store, and the words in which the tests are written.
type revocationSuite struct {
	base
	Revocations
	open func(t *testing.T) Revocations // another empty store
}

func newRevocationSuite(t *testing.T, open func(t *testing.T) Revocations, under Revocations) *revocationSuite {
	t.Helper()
	if under.Store == nil {
		t.Fatal("storetest.Revocations has no Store")
	}
	return &revocationSuite{newBase(t), under, open}
}

// stores returns the store, and the one beside it if there can be one: what holds among goroutines must hold among processes.
func (s *revocationSuite) stores() []revoke.Store {
	if s.Revocations.Beside == nil {
		return []revoke.Store{s.Store}
	}
	return []revoke.Store{s.Store, s.Revocations.Beside(s.T)}
}

// entry returns an entry that no store has yet, and that will not be overdue before the suite ends.
func (s *revocationSuite) entry() revoke.Entry {
	return revoke.Entry{Kind: revoke.Session, ID: newID(), Expires: s.now.Add(24 * time.Hour)}
}

func (s *revocationSuite) entries(n int) []revoke.Entry {
	entries := make([]revoke.Entry, n)
	for i := range entries {
		entries[i] = s.entry()
	}
	return entries
}

// added adds the entries, and returns them with the Seqs that they got.
func (s *revocationSuite) added(entries ...revoke.Entry) []revoke.Entry {
	s.Helper()
	last, err := s.Store.Add(s.Context(), entries...)
	if err != nil {
		s.Fatalf("Add of %d entries = %v, want nil", len(entries), err)
	}
	return numbered(last, entries)
}

// numbered returns entries with the Seqs that Add has given them, of which the last one is last.
func numbered(last int64, entries []revoke.Entry) []revoke.Entry {
	all := slices.Clone(entries)
	for i := range all {
		all[i].Seq = last - int64(len(all)-1-i)
	}
	return all
}

// has reports a feed that is not exactly entries, with this last Seq.
func (s *revocationSuite) has(last int64, entries ...revoke.Entry) {
	s.Helper()
	s.hasSince(s.Store, 0, len(entries)+1, last, entries...)
}

// hasSince reports a page that is not exactly entries.
func (s *revocationSuite) hasSince(store revoke.Store, after int64, limit int, last int64, entries ...revoke.Entry) {
	s.Helper()
	page, err := store.Since(s.Context(), after, limit)
	if err != nil {
		s.Errorf("Since(%d, %d) = %v, want nil", after, limit, err)
		return
	}
	if diff := differInEntries(page.Entries, entries); page.Last != last || diff != "" {
		s.Errorf("Since(%d, %d) has Last = %d, want %d. %s", after, limit, page.Last, last, diff)
	}
}

// whole returns the feed, read in pages.
func (s *revocationSuite) whole(store revoke.Store, limit int) ([]revoke.Entry, error) {
	var all []revoke.Entry
	for after := int64(0); ; {
		page, err := store.Since(s.Context(), after, limit)
		if err != nil {
			return nil, err
		}
		if len(page.Entries) == 0 {
			return all, nil
		}
		if len(page.Entries) > limit {
			return nil, fmt.Errorf("Since(%d, %d) has %d entries", after, limit, len(page.Entries))
		}
		for _, e := range page.Entries {
			if e.Seq <= after || e.Seq > page.Last {
				return nil, fmt.Errorf("Since(…, %d) has the Seq %d after %d, with Last = %d", limit, e.Seq, after, page.Last)
			}
			after = e.Seq
		}
		all = append(all, page.Entries...)
	}
}

// prunes reports a Prune that does not remove want entries.
func (s *revocationSuite) prunes(before time.Time, limit, want int) {
	s.Helper()
	if n, err := s.Store.Prune(s.Context(), before, limit); n != want || err != nil {
		s.Errorf("Prune(%v, %d) = %d, %v, want %d, nil", before.Sub(s.now), limit, n, err, want)
	}
}

// differInEntries says where got is not want, or nothing.
func differInEntries(got, want []revoke.Entry) string {
	if len(got) != len(want) {
		return fmt.Sprintf("there are %d entries %s, want %d %s", len(got), showEntries(got), len(want), showEntries(want))
	}
	var d difference
	for i := range got {
		if diff := differInEntry(got[i], want[i]); diff != "" {
			d.faults = append(d.faults, fmt.Sprintf("entry %d: %s", i, diff))
		}
	}
	return d.String()
}

// differInEntry says in which fields got is not want, or nothing.
func differInEntry(got, want revoke.Entry) string {
	var d difference
	d.field("Seq", got.Seq == want.Seq, got.Seq, want.Seq)
	d.text("Kind", string(got.Kind), string(want.Kind))
	d.text("ID", got.ID, want.ID)
	d.time("Before", got.Before, want.Before)
	d.time("Expires", got.Expires, want.Expires)
	return d.String()
}

func showEntries(entries []revoke.Entry) string {
	var seqs []int64
	for _, e := range entries[:min(len(entries), 20)] {
		seqs = append(seqs, e.Seq)
	}
	return fmt.Sprint(seqs)
}
