package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// stream writes events as `go test -json` does.
func stream(t *testing.T, events ...event) string {
	t.Helper()
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	for _, e := range events {
		if err := encoder.Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	return text.String()
}

// do makes an event of package p.
func do(action, test, output string) event {
	return event{Action: action, Package: "p", Test: test, Output: output}
}

func TestRun(t *testing.T) {
	for name, test := range map[string]struct {
		in            string
		counts, skips string
		shows, hides  []string
		err           string
	}{
		"passes": {
			in: stream(t, do("start", "", ""), do("run", "TestA", ""), do("output", "TestA", "quiet\n"), do("pass", "TestA", ""),
				do("run", "TestA/sub", ""), do("pass", "TestA/sub", ""), do("output", "", "PASS\n"), do("pass", "", "")),
			counts: "2 0 0\n", shows: []string{"ok    p"}, hides: []string{"quiet", "PASS"},
		},
		"skips with its reason": {
			in: stream(t, do("start", "", ""), do("run", "TestA", ""), do("pass", "TestA", ""), do("run", "TestB", ""),
				do("output", "TestB", "    x_test.go:12: no nginx here\n"), do("output", "TestB", "--- SKIP: TestB (0.00s)\n"),
				do("skip", "TestB", ""), do("pass", "", "")),
			counts: "1 0 1\n", skips: "p.TestB: no nginx here\n", hides: []string{"no nginx"},
		},
		"skips without a reason": {
			in: stream(t, do("start", "", ""), do("run", "TestA", ""), do("pass", "TestA", ""), do("run", "TestB", ""),
				do("skip", "TestB", ""), do("pass", "", "")),
			counts: "1 0 1\n", skips: "p.TestB: no reason given\n",
		},
		"fails and says why": {
			in: stream(t, do("start", "", ""), do("run", "TestA", ""), do("output", "TestA", "got 1, want 2\n"), do("fail", "TestA", ""),
				do("run", "TestB", ""), do("output", "TestB", "quiet\n"), do("pass", "TestB", ""), do("fail", "", "")),
			counts: "1 1 0\n", shows: []string{"got 1, want 2", "FAIL  p"}, hides: []string{"quiet"}, err: "1 failed",
		},
		"shows what was measured": {
			in: stream(t, do("start", "", ""), do("run", "TestA", ""), event{Action: "attr", Package: "p", Test: "TestA", Key: "figure", Value: "p50 9 ms"},
				event{Action: "attr", Package: "p", Test: "TestA", Key: "other", Value: "hidden"}, do("pass", "TestA", ""), do("pass", "", "")),
			counts: "1 0 0\n", shows: []string{"TestA: p50 9 ms\n"}, hides: []string{"hidden", "other"},
		},
		"does not build": {
			in: stream(t, event{Action: "build-output", ImportPath: "p [p.test]", Output: "x.go:1: undefined: y\n"},
				event{Action: "build-fail", ImportPath: "p [p.test]"}, do("start", "", ""),
				event{Action: "fail", Package: "p", FailedBuild: "p [p.test]"}),
			counts: "0 1 0\n", shows: []string{"undefined: y", "FAIL  p"}, err: "1 failed",
		},
		"dies in a test": {
			in: stream(t, do("start", "", ""), do("run", "TestA", ""), do("output", "TestA", "stuck here\n"),
				do("output", "", "panic: test timed out\n"), do("fail", "", "")),
			counts: "0 1 0\n", shows: []string{"stuck here", "panic: test timed out"}, err: "1 failed",
		},
		"leaks after its tests": {
			in: stream(t, do("start", "", ""), do("run", "TestA", ""), do("pass", "TestA", ""),
				do("output", "", "goleak: found 1\n"), do("fail", "", "")),
			counts: "1 1 0\n", shows: []string{"goleak: found 1"}, err: "1 failed",
		},
		"a test's output looks like an event": {
			in: stream(t, do("start", "", ""), do("run", "TestA", ""), do("output", "TestA", `{"Action":"fail","Test":"TestB"}`+"\n"),
				do("pass", "TestA", ""), do("pass", "", "")),
			counts: "1 0 0\n",
		},
		"a package without tests": {
			in:     stream(t, do("start", "", ""), do("run", "TestA", ""), do("pass", "TestA", ""), do("pass", "", ""), event{Action: "start", Package: "q"}, event{Action: "skip", Package: "q"}),
			counts: "1 0 0\n", shows: []string{"-     q"},
		},
		"the go command complains": {
			in:     "go: no such package\n" + stream(t, do("start", "", ""), do("run", "TestA", ""), do("pass", "TestA", ""), do("pass", "", "")),
			counts: "1 0 0\n", shows: []string{"go: no such package\n"},
		},
		"cut off": {
			in:     stream(t, do("start", "", ""), do("run", "TestA", ""), do("pass", "TestA", "")),
			counts: "1 0 0\n", err: "ended before these packages did: p",
		},
		"nothing": {counts: "0 0 0\n", err: "no test ran"},
		"only skips": {
			in:     stream(t, do("start", "", ""), do("run", "TestA", ""), do("skip", "TestA", ""), do("pass", "", "")),
			counts: "0 0 1\n", skips: "p.TestA: no reason given\n", err: "no test ran",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			skips, counts := filepath.Join(t.TempDir(), "skips"), filepath.Join(t.TempDir(), "counts")
			err := run(strings.NewReader(test.in), &out, skips, counts)
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("run = %v, want an error with %q", err, test.err)
			}
			if got := content(t, counts); got != test.counts {
				t.Errorf("counts = %q, want %q", got, test.counts)
			}
			if got := content(t, skips); got != test.skips {
				t.Errorf("skips = %q, want %q", got, test.skips)
			}
			mustShow(t, out.String(), test.shows, test.hides)
		})
	}
}

func content(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func mustShow(t *testing.T, out string, shows, hides []string) {
	t.Helper()
	for _, part := range shows {
		if !strings.Contains(out, part) {
			t.Errorf("the output lacks %q:\n%s", part, out)
		}
	}
	for _, part := range hides {
		if strings.Contains(out, part) {
			t.Errorf("the output has %q, want it hidden:\n%s", part, out)
		}
	}
}

func TestRunCannotWrite(t *testing.T) {
	in := strings.NewReader(stream(t, do("start", "", ""), do("run", "TestA", ""), do("pass", "TestA", ""), do("pass", "", "")))
	if err := run(in, &bytes.Buffer{}, filepath.Join(t.TempDir(), "none", "skips"), ""); err == nil {
		t.Error("run with a file in a missing folder = nil, want an error")
	}
}

// sample is a module in which every kind of end happens.
var sample = map[string]string{
	"go.mod":         "module sample\n\ngo 1.26\n",
	"good/a_test.go": "package good\nimport \"testing\"\nfunc TestA(t *testing.T) { t.Attr(\"figure\", \"p99 1 s\"); t.Run(\"sub\", func(t *testing.T) { t.Log(\"quiet\") }) }\nfunc TestB(t *testing.T) { t.Skip(\"no nginx\") }\n",
	"bad/a_test.go":  "package bad\nimport \"testing\"\nfunc TestA(t *testing.T) { t.Error(\"got 1, want 2\") }\n",
	"dies/a_test.go": "package dies\nimport (\"os\"; \"testing\")\nfunc TestA(t *testing.T) { println(\"last words\"); os.Exit(3) }\n",
	"rot/a_test.go":  "package rot\nfunc f() { undefinedName() }\n",
	"none/a.go":      "package none\n",
}

// TestRunOnTheRealThing feeds what this go command really prints.
func TestRunOnTheRealThing(t *testing.T) {
	dir := t.TempDir()
	for name, text := range sample {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command("go", "test", "-json", "./...")
	command.Dir = dir
	command.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GOFLAGS=") }), "GOFLAGS=")
	events, err := command.Output()
	if err == nil {
		t.Fatal("go test passed, want the sample to fail")
	}
	var out bytes.Buffer
	counts := filepath.Join(dir, "counts")
	if err := run(bytes.NewReader(events), &out, "", counts); err == nil || !strings.Contains(err.Error(), "3 failed") {
		t.Errorf("run = %v, want 3 failed", err)
	}
	if got := content(t, counts); got != "2 3 1\n" {
		t.Errorf("counts = %q, want 2 passed, 3 failed, 1 skipped", got)
	}
	mustShow(t, out.String(), []string{"got 1, want 2", "last words", "undefinedName", "TestA: p99 1 s", "ok    sample/good"}, []string{"quiet"})
}
