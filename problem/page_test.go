package problem_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/problem"
)

var update = flag.Bool("update", false, "write docs/problems.md instead of comparing it")

// TestPage keeps docs/problems.md true to the catalogue. With -update it writes the page.
func TestPage(t *testing.T) {
	name := filepath.Join("..", "docs", "problems.md")
	want := page(t)
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/problems.md does not say what the catalogue says: run go generate ./problem")
	}
}

const head = `# Problems

<!-- Generated from problem.Catalogue by "go generate ./problem". Change the catalogue, not this page. -->

Every refusal is a problem detail (RFC 9457): ` + "`application/problem+json`" + ` with a stable ` + "`code`" + `. The same word is the reason in the access
log, the key in ` + "`errors.status`" + ` and the code in a policy test. Titles and details may be reworded; codes are not.

` + "```json" + `
%s` + "```" + `

Every problem carries ` + "`Cache-Control: no-store`" + ` and ` + "`X-Content-Type-Options: nosniff`" + `, every 401 a challenge in ` + "`WWW-Authenticate`" + `, every
405 ` + "`Allow`" + `, every 429 and 503 ` + "`Retry-After`" + `. The OAuth error (RFC 6750, section 3.1) stands in the challenge and in the body.

## Codes

In the order in which a request meets them.

| code | status | OAuth error | what it means, what to do |
|---|---|---|---|
`

const moving = `
## Moving a status

` + "`errors.status`" + ` moves single codes to another status from 400 to 499, for clients that expect it; ` + "`errors.profile`" + ` moves several at once. A code
that is moved to 401 gets a challenge. 405, 407 and 426 are taken by no other code, because they need header fields that it does not have.
These codes stay where they are:

| code | status | why |
|---|---|---|
`

const profiled = `
## Profiles

What a profile does not name keeps its status. A code in ` + "`errors.status`" + ` goes before the profile.

`

func page(t *testing.T) string {
	var b strings.Builder
	fmt.Fprintf(&b, head, sample())
	for _, info := range problem.Catalogue {
		fmt.Fprintf(&b, "| `%s` | %d | %s | **%s.** %s |\n", info.Code, info.Status, code(info.OAuth), info.Title, info.Detail)
	}
	b.WriteString(moving)
	for _, info := range problem.Catalogue {
		if info.Fixed != "" {
			fmt.Fprintf(&b, "| `%s` | %d | %s |\n", info.Code, info.Status, info.Fixed)
		}
	}
	b.WriteString(profiled + profileTable(t))
	return b.String()
}

// sample is a body as it is sent.
func sample() string {
	w := bearer()
	w.RequestID = func(*http.Request) string { return "4HJMQFRX5SBYIRGXVNYQKXYQKD" }
	return answer(w, "GET", problem.New(problem.UnknownToken)).Body.String()
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

// profileTable has a row for each code that some profile moves.
func profileTable(t *testing.T) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| code | usual | `%s` |\n|---|---|%s\n", strings.Join(problem.Profiles(), "` | `"), strings.Repeat("---|", len(problem.Profiles())))
	for _, info := range problem.Catalogue {
		row, moved := fmt.Sprintf("| `%s` | %d |", info.Code, info.Status), false
		for _, profile := range problem.Profiles() {
			statuses, err := problem.Statuses(profile, nil)
			if err != nil {
				t.Fatal(err)
			}
			cell := ""
			if status, ok := statuses[info.Code]; ok {
				cell, moved = fmt.Sprint(status), true
			}
			row += " " + cell + " |"
		}
		if moved {
			b.WriteString(row + "\n")
		}
	}
	return b.String()
}
