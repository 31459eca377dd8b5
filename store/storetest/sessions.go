package storetest

import (
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

// Sessions is a session store to be tested, and what the suite has to know about it.
type Sessions struct {
	// Store is empty, and nobody else's. It is required.
	Store session.Store

	// Expires says that the store removes overdue records by itself, some time after their deadline. All others must return them until they are
	// removed, and implement session.Pruner.
	Expires bool

	// Advance moves the clock by which the store removes overdue records. Nil: it is the real one, and the suite waits for it, at most a few seconds.
	// It is only called if Expires is true.
	Advance func(d time.Duration)

	// Beside returns one more store with the same records, as a second process opens it while the first one goes on. Nil: there can be no second one.
	Beside func(t *testing.T) session.Store

	// Reopen returns the store with its records as a program finds it after a restart; it may close Store, which is not used after it. Nil: the
	// records do not survive the process.
	Reopen func(t *testing.T) session.Store
}

// sessionTests are the parts of the suite. Every function gets a store of its own.
var sessionTests = []struct {
	name string
	test func(*suite)
}{
	{"RoundTrip", testRoundTrip},
	{"Create", testCreate},
	{"Replace", testReplace},
	{"Update", testUpdate},
	{"Touch", testTouch},
	{"Delete", testDelete},
	{"NotFound", testNotFound},
	{"List", testList},
	{"DeleteAll", testDeleteAll},
	{"Overdue", testOverdue},
	{"Prune", testPrune},
	{"IDs", testIDs},
	{"Keys", testKeys},
	{"Bodies", testBodies},
	{"Copies", testCopies},
	{"Order", testOrder},
	{"RandomSteps", testRandomSteps},
	{"Context", testContext},
	{"CancelDuring", testCancelDuring},
	{"CancelStorm", testCancelStorm},
	{"ParallelUpdates", testParallelUpdates},
	{"ParallelCounting", testParallelCounting},
	{"ParallelTouches", testParallelTouches},
	{"ParallelReplace", testParallelReplace},
	{"ParallelSame", testParallelSame},
	{"ParallelCreates", testParallelCreates},
	{"ParallelDeleteAll", testParallelDeleteAll},
	{"ReplaceAgainstDeleteAll", testReplaceAgainstDeleteAll},
	{"SparedAgainstDeleteAll", testSparedAgainstDeleteAll},
	{"CreateAgainstDeleteAll", testCreateAgainstDeleteAll},
	{"ChangeAgainstDelete", testChangeAgainstDelete},
	{"TouchAgainstPrune", testTouchAgainstPrune},
	{"Beside", testBeside},
	{"Reopen", testReopen},
	{"TableIdle", testTableIdle},
	{"TableAbsolute", testTableAbsolute},
	{"TableTouch", testTableTouch},
	{"TableTightened", testTableTightened},
	{"TableMost", testTableMost},
	{"TableEnds", testTableEnds},
	{"TableSubjects", testTableSubjects},
	{"TableData", testTableData},
	{"TableRenewAgainstEndAll", testTableRenewAgainstEndAll},
	{"TablePrune", testTablePrune},
}

// TestSessions tests every promise of session.Store, and of session.Pruner if the store is one. open returns an empty store; it is called once for each
// subtest, and closes what it has opened with t.Cleanup.
func TestSessions(t *testing.T, open func(t *testing.T) Sessions) {
	for _, part := range sessionTests {
		t.Run(part.name, func(t *testing.T) {
			part.test(newSuite(t, open(t)))
		})
	}
}
