package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// hashOfHorse is one of "correct horse" by another system.
const hashOfHorse = "$2b$04$uOfKRS0wbtgK/3Zc9.b/xe5wCfPnKmKqLxJ6i1NsxYFk3/KhtNZa2"

// TestHashExitCodes: scripts tell right, wrong, misuse and "could not be checked" apart.
func TestHashExitCodes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "horse.txt")
	if err := os.WriteFile(file, []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		stdin string
		args  string
		want  int
	}{
		{"correct horse", "hash verify --stdin " + hashOfHorse, exitOK},
		{"correct horse\r\n", "hash verify --stdin " + hashOfHorse, exitOK},
		{hashOfHorse + "\ncorrect horse\n", "hash verify --stdin", exitOK},
		{hashOfHorse + "\r\n", "hash verify --file " + file, exitOK},
		{"", "hash verify " + hashOfHorse + " --file " + file, exitOK},
		{"Correct horse\n", "hash verify --stdin " + hashOfHorse, exitNo},
		{"correct horse \n", "hash verify --stdin " + hashOfHorse, exitNo},
		{"correct horse\n", "hash verify --stdin $2b$31$" + hashOfHorse[7:], exitFail},
		{"correct horse\n", "hash verify --stdin correct", exitFail},
		{"correct horse\n", "hash verify --stdin *", exitFail},
		{"correct horse\n\n", "hash verify --stdin " + hashOfHorse, exitUsage},
		{"\ncorrect horse\n", "hash verify --stdin " + hashOfHorse, exitUsage},
		{"", "hash verify --stdin " + hashOfHorse, exitUsage},
		{"", "hash verify --stdin", exitUsage},
		{strings.Repeat("x", 5000), "hash verify --stdin", exitUsage},
		{hashOfHorse, "hash verify --stdin", exitUsage},
		{"correct horse\n", "hash verify --stdin --memory 1 " + hashOfHorse, exitUsage},
		{"correct horse\n", "hash verify " + hashOfHorse, exitUsage},
		{"correct horse\n", "hash verify --file " + dir + "/none " + hashOfHorse, exitUsage},
		{"correct horse\n", "hash verify --file " + dir + " " + hashOfHorse, exitFail},
		{"correct horse\n", "hash password --stdin", exitNo},
		{"correct horse\n", "hash password --stdin --any", exitOK},
		{strings.Repeat("x", 1024), "hash password --stdin --any", exitOK},
		{strings.Repeat("x", 1025), "hash password --stdin --any", exitUsage},
		{strings.Repeat("x", 1<<20), "hash password --stdin --any", exitUsage},
		{"my dog eats blue cheese\n", "hash password --stdin", exitOK},
		{"my dog eats blue cheese\n", "hash password", exitUsage},
		{"", "hash calibrate --memory 7168 --target 1ns", exitNo},
		{"", "hash calibrate --threads 0", exitUsage},
		{"", "hash calibrate --target=-1s", exitUsage},
	} {
		var stdout, stderr bytes.Buffer
		got := Run(context.Background(), strings.Fields(test.args), nil, strings.NewReader(test.stdin), &stdout, &stderr)
		if got != test.want {
			t.Errorf("gatehouse %s with %.40q = %d, want %d\n%s%s", test.args, test.stdin, got, test.want, &stdout, &stderr)
		}
		if all := stdout.String() + stderr.String(); strings.Contains(strings.ToLower(all), "correct horse") || strings.Contains(all, "blue cheese") {
			t.Errorf("gatehouse %s prints the password:\n%s", test.args, all)
		}
	}
}

// TestHashIsGivenUp: a context that has ended ends the commands, and is no wrong usage.
func TestHashIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, args := range []string{"hash calibrate", "hash password --stdin", "hash verify --stdin " + hashOfHorse} {
		var out bytes.Buffer
		if got := Run(ctx, strings.Fields(args), nil, strings.NewReader("my dog eats blue cheese"), &out, &out); got != exitFail {
			t.Errorf("gatehouse %s with a context that has ended = %d, want %d\n%s", args, got, exitFail, &out)
		}
	}
}

func TestReadLine(t *testing.T) {
	for _, test := range []struct {
		text       string
		want, rest string
		bad        bool
	}{
		{"one", "one", "", false}, {"one\n", "one", "", false}, {"one\r\ntwo\n", "one", "two\n", false}, {"one\n\ntwo", "one", "\ntwo", false},
		{" one \t\n", " one \t", "", false}, {"o\rne\n", "o\rne", "", false}, {"a\x00b\n", "a\x00b", "", false}, {"one\r", "one\r", "", false},
		{"12345678\r\nx", "12345678", "x", false}, {"123456789\n", "", "", true}, {"123456789", "", "", true}, {strings.Repeat("x", 100), "", "", true},
		{"", "", "", true}, {"\n", "", "", true}, {"\r\n", "", "", true}, {"\ntwo", "", "", true},
	} {
		in := bufio.NewReader(iotest.OneByteReader(strings.NewReader(test.text)))
		got, err := readLine(in, "it", 8)
		if got != test.want || (err != nil) != test.bad {
			t.Errorf("readLine(%q) = %q, %v, want %q", test.text, got, err, test.want)
		}
		if rest, _ := io.ReadAll(in); !test.bad && string(rest) != test.rest {
			t.Errorf("readLine(%q) leaves %q, want %q", test.text, rest, test.rest)
		}
	}
	broken := errors.New("broken")
	if _, err := readLine(bufio.NewReader(iotest.ErrReader(broken)), "it", 8); !errors.Is(err, broken) {
		t.Errorf("readLine of a broken reader = %v, want its error", err)
	}
}
