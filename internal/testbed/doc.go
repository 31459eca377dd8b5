// Package testbed gives tests what they cannot bring themselves: a Chromium to look at pages with, and every kind of store that sessions can be kept in. Each
// test gets its own, which ends with the test. What the machine does not have skips the test by name, or fails it if the environment demands it.
package testbed

import "os"

// The environment variables that turn a skip into a failure if they are 1. scripts/test sets them.
const (
	DemandBrowser = "GATEHOUSE_TEST_BROWSER" // Chromium
	DemandServers = "GATEHOUSE_TEST_SERVERS" // PostgreSQL and Redis
)

// A T is what testbed needs of a test; *testing.T has it.
type T interface {
	Helper()
	Cleanup(func())
	TempDir() string
	Skipf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// missing ends the test of something that the machine does not have.
func missing(t T, what, demand string) {
	t.Helper()
	if os.Getenv(demand) == "1" {
		t.Fatalf("%s is not installed, and %s=1 demands it", what, demand)
	}
	t.Skipf("%s is not installed", what)
}
