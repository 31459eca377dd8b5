//go:build race

package e2e

// Tests that look for data races look for those of the binary, too.
func init() { buildFlags = []string{"-race"} }
