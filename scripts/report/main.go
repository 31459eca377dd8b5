// Command report reads `go test -json` from its standard input, shows each package as it finishes, what tests have
// measured (t.Attr with the key "figure") and whatever failed, and writes the counts for scripts/test:
//
//	go test -json ./... | go run ./scripts/report -skips skips.txt -counts counts.txt
//
// counts.txt gets one line "passed failed skipped", where every test and subtest counts; skips.txt gets a line for each
// skipped test with its reason. The exit code is 1 if something failed, if nothing ran, or if the input is cut off.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	skips := flag.String("skips", "", "`file` for the names of skipped tests")
	counts := flag.String("counts", "", "`file` for the line \"passed failed skipped\"")
	flag.Parse()
	if err := run(os.Stdin, os.Stdout, *skips, *counts); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

// run reads the events from in, writes the progress to out and the two files, and says whether all is well.
func run(in io.Reader, out io.Writer, skips, counts string) error {
	s := newSummary(out)
	readErr := s.read(in)
	if err := write(skips, strings.Join(s.skips, "")); err != nil {
		return err
	}
	if err := write(counts, fmt.Sprintf("%d %d %d\n", s.passed, s.failed, s.skipped)); err != nil {
		return err
	}
	switch {
	case readErr != nil:
		return readErr
	case s.failed > 0:
		return fmt.Errorf("%d failed", s.failed)
	case s.passed == 0:
		return fmt.Errorf("no test ran: is the package pattern right?")
	}
	return nil
}

// write puts text into the named file. No name means that nobody asked for it.
func write(name, text string) error {
	if name == "" {
		return nil
	}
	return os.WriteFile(name, []byte(text), 0o600)
}
