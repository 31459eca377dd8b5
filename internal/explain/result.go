package explain

import (
	"fmt"
	"io"
	"strings"
)

// A Result is what came of a run of policy tests.
type Result struct {
	// Passed counts the combinations of request and caller that came out as expected.
	Passed int `json:"passed"`
	// Failures are the others, in the order of the files.
	Failures []Failure `json:"failures"`

	passed []Failure // for the verbose text; Want is what came
}

// A Failure is one combination that came out differently. It holds no credential.
type Failure struct {
	// File and Line say where the test stands, Name is its name or empty.
	File string `json:"file"`
	Line int    `json:"line"`
	Name string `json:"name,omitempty"`
	// Request is the method and target without the query, As whom it was judged as.
	Request string `json:"request"`
	As      string `json:"as"`
	// Want and Got are in the words of the test file.
	Want string `json:"want"`
	Got  string `json:"got"`
	// Report is the whole verdict.
	Report Report `json:"report"`
}

// OK reports whether something was tested and nothing failed.
func (r Result) OK() bool { return r.Passed > 0 && len(r.Failures) == 0 }

// WriteText writes each failure with its place, what was asked as whom, what was wanted, what came and the steps that led there; then the counts.
// verbose lists what passed as well. Errors of w are dropped: there is nowhere to tell them.
func (r Result) WriteText(w io.Writer, verbose bool) {
	var b strings.Builder
	if verbose {
		for _, f := range r.passed {
			fmt.Fprintf(&b, "ok    %s: %s as %s: %s\n", f.place(), clean(f.Request), clean(f.As), clean(f.Got))
		}
	}
	for _, f := range r.Failures {
		f.write(&b)
	}
	switch {
	case r.Passed == 0 && len(r.Failures) == 0:
		b.WriteString("nothing was tested\n")
	case len(r.Failures) == 0:
		fmt.Fprintf(&b, "%d passed\n", r.Passed)
	default:
		fmt.Fprintf(&b, "%d passed, %d failed\n", r.Passed, len(r.Failures))
	}
	_, _ = io.WriteString(w, b.String())
}

// place is where the test stands, with its name.
func (f Failure) place() string {
	place := fmt.Sprintf("%s:%d", f.File, f.Line)
	if f.Name != "" {
		place += ": " + f.Name
	}
	return clean(place)
}

func (f Failure) write(b *strings.Builder) {
	fmt.Fprintf(b, "FAIL  %s\n", f.place())
	for _, line := range [][2]string{{"asked", f.Request + " as " + f.As}, {"want", f.Want}, {"got", f.Got}, {"required", f.Report.Requirement}} {
		if line[1] != "" {
			fmt.Fprintf(b, "      %-8s  %s\n", line[0], clean(line[1]))
		}
	}
	b.WriteString(f.Report.stepsText("      ") + "\n")
}
