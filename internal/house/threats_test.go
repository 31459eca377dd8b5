package house

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// minRows keeps rows from vanishing. It goes up when rows are added.
const minRows = 619

// capabilities are the parts of the system that a row may wait for. The gate, sessions and tokens are none of them: they are there, with all their tests.
var capabilities = []string{
	"accounts", "openapi", "spa", "cluster", "mfa", "federation", "oauth-provider", "audit", "packaging",
}

// A threat is one row of docs/threats.md.
type threat struct {
	line     int
	id, text string
	heldBy   string
}

var (
	threatID = regexp.MustCompile(`^(inv-\d{2}[a-z]?|T-[a-z]+-\d{2}[a-z]?|V\d+(\.\d+\.\d+[a-z]?)?|G-\d{2}[a-z]?)$`)
	// testName is `folder.TestName` or `folder.TestName/subtest`; the root package is called gatehouse.
	testName = regexp.MustCompile("^`([a-z0-9/_-]+)\\.((?:Test|Fuzz|Example)[A-Za-z0-9_]*)(/[^` ]+)?`$")
)

// threatRows reads the tables of a Markdown page.
func threatRows(text string) ([]threat, []string) {
	var rows []threat
	var faults []string
	for i, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| id |") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != 3 {
			faults = append(faults, fmt.Sprintf("line %d has %d columns, want 3", i+1, len(cells)))
			continue
		}
		rows = append(rows, threat{i + 1, strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])})
	}
	return rows, faults
}

// rowFaults judges what the rows say by themselves. exists reports whether a test, and the subtest if there is one, is in a folder.
func rowFaults(rows []threat, exists func(folder, test, subtest string) bool) []string {
	var faults []string
	seen := map[string]bool{}
	for _, row := range rows {
		add := func(format string, args ...any) {
			faults = append(faults, fmt.Sprintf("line %d, %s: ", row.line, row.id)+fmt.Sprintf(format, args...))
		}
		if !threatID.MatchString(row.id) {
			add("not an id")
		}
		if seen[row.id] {
			add("appears twice")
		}
		seen[row.id] = true
		if row.text == "" {
			add("says nothing")
		}
		if fault := answerFault(row.heldBy, exists); fault != "" {
			add("%s", fault)
		}
	}
	return faults
}

// answerFault judges the last column: a capability, a reason, or tests. It returns "" if all is well.
func answerFault(cell string, exists func(folder, test, subtest string) bool) string {
	if capability, ok := strings.CutPrefix(cell, "pending: "); ok {
		if !slices.Contains(capabilities, capability) {
			return fmt.Sprintf("pending: %q is none of %s", capability, strings.Join(capabilities, ", "))
		}
		return ""
	}
	if why, ok := strings.CutPrefix(cell, "does not apply: "); ok {
		if len(strings.Fields(why)) < 2 {
			return "does not apply, but no reason is given"
		}
		return ""
	}
	for _, name := range strings.Split(cell, ", ") {
		parts := testName.FindStringSubmatch(name)
		if parts == nil {
			return fmt.Sprintf("%q is neither a test in backquotes, nor \"pending: …\", nor \"does not apply: …\"", name)
		}
		if !exists(parts[1], parts[2], parts[3]) {
			return fmt.Sprintf("there is no %s in the tests of %s", parts[2]+parts[3], parts[1])
		}
	}
	return ""
}

// missingInvariants finds those of the design's fifteen that have no row.
func missingInvariants(rows []threat) []string {
	var missing []string
	for n := 1; n <= 15; n++ {
		name := fmt.Sprintf("inv-%02d", n)
		if !slices.ContainsFunc(rows, func(row threat) bool { return strings.TrimRight(row.id, "abcdefghij") == name }) {
			missing = append(missing, name+" has no row")
		}
	}
	return missing
}

// testExists looks for the function in the test files of a folder, and for a text like each part of the subtest's name in any of them: names of
// subtests that are put together from several texts cannot be found.
func testExists(folder, test, subtest string) bool {
	if folder == "gatehouse" {
		folder = "."
	}
	names, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(folder), "*_test.go"))
	if err != nil {
		return false
	}
	var all strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return false
		}
		all.WriteString("\n" + string(text))
	}
	return strings.Contains(all.String(), "\nfunc "+test+"(") && hasParts(all.String(), subtest)
}

// hasParts reports whether each part of /a/b_c stands in text in quotes, where an underscore may be a space.
func hasParts(text, subtest string) bool {
	for _, part := range strings.FieldsFunc(subtest, func(r rune) bool { return r == '/' }) {
		if !regexp.MustCompile("[\"`]" + strings.ReplaceAll(regexp.QuoteMeta(part), "_", "[_ ]") + "[\"`]").MatchString(text) {
			return false
		}
	}
	return true
}

// pending counts the rows that wait, by capability, as one line.
func pending(rows []threat) string {
	counts := map[string]int{}
	for _, row := range rows {
		if capability, ok := strings.CutPrefix(row.heldBy, "pending: "); ok {
			counts[capability]++
		}
	}
	var words []string
	for _, capability := range slices.Sorted(maps.Keys(counts)) {
		words = append(words, fmt.Sprintf("%s %d", capability, counts[capability]))
	}
	return strings.Join(words, ", ")
}

func TestThreats(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "threats.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows, faults := threatRows(string(text))
	report(t, faults)
	report(t, rowFaults(rows, testExists))
	report(t, missingInvariants(rows))
	if len(rows) < minRows {
		t.Errorf("docs/threats.md has %d rows, want at least %d: a threat does not go away because its row does", len(rows), minRows)
	}
	t.Logf("%d rows; pending: %s", len(rows), pending(rows))
}

func TestThreatRows(t *testing.T) {
	rows, faults := threatRows("# Threats\n\n| id | a | b |\n|---|---|---|\n| V1.1.1 | Decode once | pending: spa |\n\nprose | with a bar\n| V1.1.2 | two |\n| V1.1.3 | a | b | c |\n")
	if want := (threat{5, "V1.1.1", "Decode once", "pending: spa"}); len(rows) != 1 || rows[0] != want {
		t.Errorf("threatRows = %+v, want only %+v", rows, want)
	}
	mustFind(t, "threatRows", faults, "line 8 has 2 columns", "line 9 has 4 columns")
}

func TestRowFaults(t *testing.T) {
	exists := func(folder, test, subtest string) bool {
		return folder == "policy" && test == "TestCanonical" && subtest != "/unknown"
	}
	for _, test := range []struct {
		id, text, heldBy string
		want             []string
	}{
		{"V8.2.1", "x", "pending: spa", nil},
		{"inv-01a", "x", "pending: oauth-provider", nil},
		{"T-proxy-19", "x", "does not apply: no HTTP/3", nil},
		{"G-01", "x", "`policy.TestCanonical`", nil},
		{"V17", "x", "`policy.TestCanonical/dot_segments`", nil},
		{"T-trap-07a", "x", "`policy.TestCanonical`, `policy.TestCanonical/dots`", nil},
		{"V8.2.1", "x", "", []string{"is neither a test"}},
		{"V8.2.1", "x", "done", []string{"is neither a test"}},
		{"V8.2.1", "x", "policy.TestCanonical", []string{"is neither a test"}},
		{"V8.2.1", "x", "`policy.Canonical`", []string{"is neither a test"}},
		{"V8.2.1", "x", "`policy.TestCanonical`, pending: spa", []string{"is neither a test"}},
		{"V8.2.1", "x", "`policy.TestNothing`", []string{"there is no TestNothing in the tests of policy"}},
		{"V8.2.1", "x", "`guard.TestCanonical`", []string{"in the tests of guard"}},
		{"V8.2.1", "x", "`policy.TestCanonical/unknown`", []string{"there is no TestCanonical/unknown in"}},
		{"V8.2.1a", "x", "pending: cluster", nil},
		{"G-03b", "x", "pending: cluster", nil},
		{"V8.2.1", "x", "pending: gate", []string{`"gate" is none of`}},
		{"V8.2.1", "x", "pending: sessions", []string{`"sessions" is none of`}},
		{"V8.2.1", "x", "pending: tokens", []string{`"tokens" is none of`}},
		{"V8.2.1", "x", "pending: later", []string{`"later" is none of`}},
		{"V8.2.1", "x", "pending: spa, `policy.TestCanonical`", []string{"is none of"}},
		{"V8.2.1", "x", "pending:", []string{"is neither a test"}},
		{"V8.2.1", "x", "does not apply: no", []string{"no reason is given"}},
		{"V8.2.1", "", "pending: spa", []string{"says nothing"}},
		{"P19", "x", "pending: spa", []string{"not an id"}},
		{"", "x", "pending: spa", []string{"not an id"}},
	} {
		rows := []threat{{1, test.id, test.text, test.heldBy}}
		mustFind(t, fmt.Sprintf("rowFaults(%q, %q)", test.id, test.heldBy), rowFaults(rows, exists), test.want...)
	}
	twice := []threat{{1, "G-01", "x", "pending: spa"}, {2, "G-01", "x", "pending: spa"}}
	mustFind(t, "rowFaults(twice)", rowFaults(twice, exists), "line 2, G-01: appears twice")
}

func TestMissingInvariants(t *testing.T) {
	var rows []threat
	for n := 1; n <= 15; n++ {
		if n != 4 && n != 10 {
			rows = append(rows, threat{id: fmt.Sprintf("inv-%02d%s", n, []string{"", "a", "c"}[n%3])})
		}
	}
	mustFind(t, "missingInvariants", missingInvariants(rows), "inv-04", "inv-10")
}

func TestTestExists(t *testing.T) {
	for name, want := range map[[3]string]bool{
		{"internal/house", "TestTestExists", ""}:                      true,
		{"internal/house", "TestTestExists", "/no sub_test"}:          true,
		{"internal/house", "TestTestExists", "/no_sub_test/a"}:        true,
		{"internal/house", "TestTestExists", "/no_sub_" + "tests"}:    false,
		{"internal/house", "TestTestExists", "/no_sub_test/b." + "b"}: false,
		{"internal/house", "TestTestExist", ""}:                       false,
		{"internal/none", "TestTestExists", ""}:                       false,
		{"gatehouse", "TestTestExists", ""}:                           false,
	} {
		if got := testExists(name[0], name[1], name[2]); got != want {
			t.Errorf("testExists(%q) = %v, want %v", name, got, want)
		}
	}
	for _, name := range []string{"no sub_test", "a"} { // those that the rows above look for
		t.Run(name, func(*testing.T) {})
	}
}

func TestPending(t *testing.T) {
	rows := []threat{{heldBy: "pending: spa"}, {heldBy: "`policy.TestX`"}, {heldBy: "pending: audit"}, {heldBy: "pending: spa"}}
	if got, want := pending(rows), "audit 1, spa 2"; got != want {
		t.Errorf("pending = %q, want %q", got, want)
	}
}
