package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// An event is one line of `go test -json`: see `go doc test2json`.
type event struct {
	Action      string
	Package     string
	ImportPath  string // instead of Package in the build-… actions
	Test        string
	Output      string
	Key, Value  string // of an attribute
	Elapsed     float64
	FailedBuild string
}

// figure is the name of an attribute whose value is always shown: something that a test has measured.
const figure = "figure"

// A summary counts the results of tests and keeps what they print until it is known whether anybody needs it.
type summary struct {
	out                     io.Writer
	passed, failed, skipped int
	skips                   []string
	kept                    map[string][]string // what each test, package or build has printed
	open                    map[string][]string // package → tests that have begun and not ended
	failedIn                map[string]int
}

func newSummary(out io.Writer) *summary {
	return &summary{out: out, kept: map[string][]string{}, open: map[string][]string{}, failedIn: map[string]int{}}
}

// read takes events until the end of in. A line that is no event is shown as it is: the go command prints such lines
// before it starts.
func (s *summary) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		var e event
		if json.Unmarshal([]byte(line), &e) == nil {
			s.take(e)
		} else if strings.TrimSpace(line) != "" {
			fmt.Fprintln(s.out, strings.TrimSuffix(line, "\n"))
		}
		if errors.Is(err, io.EOF) {
			return s.unfinished()
		}
		if err != nil {
			return err
		}
	}
}

// unfinished says which packages never reported a result: the go command died on the way.
func (s *summary) unfinished() error {
	if len(s.open) == 0 {
		return nil
	}
	var names []string
	for name := range s.open {
		names = append(names, name)
	}
	slices.Sort(names)
	return fmt.Errorf("the test run ended before these packages did: %s", strings.Join(names, " "))
}

// key is where the output of an event is kept.
func (e event) key() string {
	return e.Package + e.ImportPath + " " + e.Test
}

func (s *summary) take(e event) {
	switch e.Action {
	case "start":
		s.open[e.Package] = nil
	case "run":
		s.open[e.Package] = append(s.open[e.Package], e.Test)
	case "output", "build-output":
		s.kept[e.key()] = append(s.kept[e.key()], e.Output)
	case "attr":
		if e.Key == figure {
			fmt.Fprintf(s.out, "        %s: %s\n", e.Test, e.Value)
		}
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e)
		} else {
			s.endTest(e)
		}
	}
}

func (s *summary) endTest(e event) {
	switch e.Action {
	case "pass":
		s.passed++
	case "skip":
		s.skipped++
		s.skips = append(s.skips, fmt.Sprintf("%s.%s: %s\n", short(e.Package), e.Test, reason(s.kept[e.key()])))
	case "fail":
		s.failed++
		s.failedIn[e.Package]++
		s.show(e.key())
	}
	delete(s.kept, e.key())
	s.open[e.Package] = slices.DeleteFunc(s.open[e.Package], func(name string) bool { return name == e.Test })
}

// endPackage prints the package's line.
func (s *summary) endPackage(e event) {
	if e.Action == "fail" {
		s.failPackage(e)
	}
	word := map[string]string{"pass": "ok", "fail": "FAIL", "skip": "-"}[e.Action]
	fmt.Fprintf(s.out, "  %-4s  %-40s %6.1f s\n", word, short(e.Package), e.Elapsed)
	delete(s.kept, e.key())
	delete(s.open, e.Package)
}

// failPackage shows what the package and its unfinished tests have printed. Where no test of it failed it counts as one
// failure: it was not built, it crashed, it left something running, or it ran out of time.
func (s *summary) failPackage(e event) {
	if s.failedIn[e.Package] == 0 {
		s.failed++
	}
	s.show(e.FailedBuild + " ")
	for _, test := range s.open[e.Package] {
		s.show(event{Package: e.Package, Test: test}.key())
	}
	s.show(e.key())
}

// show prints what was kept under key.
func (s *summary) show(key string) {
	for _, text := range s.kept[key] {
		io.WriteString(s.out, text)
	}
}

// short is the package's path without the module's, which is the same for all.
func short(path string) string {
	const module = "github.com/gatehouse-auth/gatehouse"
	if path == module {
		return "gatehouse"
	}
	return strings.TrimPrefix(path, module+"/")
}

// reason finds what a test gave as the cause of its skip: the text after "file_test.go:12: ".
func reason(output []string) string {
	for _, line := range slices.Backward(output) {
		_, text, ok := strings.Cut(line, "_test.go:")
		if !ok {
			continue
		}
		if _, text, ok = strings.Cut(text, ": "); ok {
			return strings.TrimSpace(text)
		}
	}
	return "no reason given"
}
