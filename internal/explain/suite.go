package explain

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// A Judge decides about a request as if the carriers had found id; an id without a value is the anonymous caller. If id is nil the carriers look
// for themselves.
type Judge func(r *http.Request, id *gatehouse.Identity) *guard.Verdict

// A Suite is what policy test files say. Make it with [LoadTests]. It is immutable and safe for concurrent use.
type Suite struct {
	files []string
	tests []policyTest
}

// A policyTest is one entry of a file.
type policyTest struct {
	file     string
	line     int
	name     string
	requests []asked
	headers  []string
	callers  []caller
	want     expectation
}

// An asked is a request to be judged.
type asked struct{ method, target string }

// String leaves the query out: it never changes a decision, and may hold what nobody should read.
func (a asked) String() string {
	path, _, ok := strings.Cut(a.target, "?")
	if ok {
		path += "?" + ellipsis
	}
	return a.method + " " + path
}

// A caller is whom a request is judged as.
type caller struct {
	title        string
	carriers     bool               // the carriers look
	token        string             // the name of a token; empty: id is the identity
	id           gatehouse.Identity // the zero identity is the anonymous caller
	line, column int
}

// An expectation is what must come out. Zero fields do not matter.
type expectation struct {
	decision, code, rule string
	status               int
}

// String returns the expectation as a person would say it.
func (e expectation) String() string {
	words := []string{}
	if e.decision != "" {
		words = append(words, e.decision)
	}
	if e.status != 0 {
		words = append(words, strconv.Itoa(e.status))
	}
	if e.code != "" {
		words = append(words, e.code)
	}
	if e.rule != "" {
		words = append(words, "by rule "+quote(e.rule))
	}
	return strings.Join(words, " ")
}

// met reports whether r is what was expected. A check that could not be made, and a verdict that nobody gave, deny, but they are no evidence
// that the policy denies: they count only where their code or status is named.
func (e expectation) met(r Report) bool {
	checked := r.Decision == Allow || r.Code != "" && r.Code != string(problem.Unavailable) && r.Code != string(problem.Internal)
	named := e.code != "" || e.status != 0
	switch {
	case e.decision != "" && e.decision != r.Decision:
		return false
	case e.code != "" && e.code != r.Code:
		return false
	case e.status != 0 && e.status != r.Status:
		return false
	case e.rule != "" && e.rule != r.Rule:
		return false
	}
	return named || checked
}

// got says what came out, in the words of an expectation.
func got(r Report) string {
	text := expectation{decision: r.Decision, status: r.Status, code: r.Code, rule: r.Rule}
	return text.String()
}

// Files returns the names of the files, sorted. The caller must not change the slice.
func (s *Suite) Files() []string { return s.files }

// CheckTokens returns a [Faults] with a fault for each token that a test names and known has not, with the nearest known name; nil if there is none.
func (s *Suite) CheckTokens(known []string) error {
	names := map[string]bool{}
	for _, name := range known {
		names[name] = true
	}
	var faults Faults
	for _, t := range s.tests {
		for _, c := range t.callers {
			if c.token != "" && !names[c.token] {
				message := "there is no token called " + quote(c.token) + didYouMean(c.token, known)
				faults = append(faults, Fault{t.file, c.line, c.column, message})
			}
		}
	}
	return faults.err()
}

// Run judges every request of every test as every caller of the test. status returns the status with which a code is answered (nil: that of the
// catalogue), identity the identity of the token called name (nil: there are no tokens). A test with an unknown token fails, whatever it expects;
// [Suite.CheckTokens] finds it earlier.
func (s *Suite) Run(judge Judge, status func(problem.Code) int, identity func(name string) (gatehouse.Identity, bool)) Result {
	if status == nil {
		status = (&problem.Writer{}).StatusOf
	}
	run := runner{judge: judge, status: status, identity: identity}
	for i := range s.tests {
		t := &s.tests[i]
		for _, a := range t.requests {
			for _, c := range t.callers {
				run.one(t, a, c)
			}
		}
	}
	return run.result
}

// A runner collects the result of a run.
type runner struct {
	judge    Judge
	status   func(problem.Code) int
	identity func(string) (gatehouse.Identity, bool)
	result   Result
}

// one runs one combination of a test.
func (run *runner) one(t *policyTest, a asked, c caller) {
	f := Failure{File: t.file, Line: t.line, Name: t.name, Request: a.String(), As: c.title, Want: t.want.String(), Report: NewReport(nil, 0)}
	id, fault := run.identify(c)
	if fault != "" {
		f.Got = fault
		run.result.Failures = append(run.result.Failures, f)
		return
	}
	r, err := NewRequest(context.Background(), a.method, a.target, "", t.headers)
	if err != nil {
		f.Got = err.Error() // the suite was loaded, so this cannot be; it must not pass either
		run.result.Failures = append(run.result.Failures, f)
		return
	}
	v := run.judge(r, id)
	code := 0
	if v != nil && v.Problem != nil {
		code = run.status(v.Problem.Code)
	}
	f.Report = NewReport(v, code).For(r)
	f.Got = got(f.Report)
	if !t.want.met(f.Report) {
		run.result.Failures = append(run.result.Failures, f)
		return
	}
	run.result.Passed++
	run.result.passed = append(run.result.passed, f)
}

// identify returns the identity to judge as, nil where the carriers look, or what is wrong.
func (run *runner) identify(c caller) (*gatehouse.Identity, string) {
	if c.carriers {
		return nil, ""
	}
	if c.token == "" {
		return &c.id, ""
	}
	if run.identity != nil {
		if id, ok := run.identity(c.token); ok && id.Value != "" {
			return &id, ""
		}
	}
	return nil, "no answer: there is no token called " + quote(c.token)
}
