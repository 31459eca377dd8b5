package e2e

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// top is the root of the checkout, seen from this package.
var top = filepath.Join("..", "..")

// A block is a fenced block of a page.
type block struct {
	line int    // where it begins
	lang string // what stands behind the fence
	mark string // of the comment <!-- run… --> before it, "" without
	text string
}

// A block of a page with the comment before it, if there is one. Fences that are indented belong to lists and are no blocks of ours.
var fence = regexp.MustCompile("(?ms)(?:^<!-- (run[^\n]*?) -->\n)?^```(\\w*)\n(.*?)^```$")

// blocks returns the blocks of a page.
func blocks(page string) []block {
	var all []block
	for _, m := range fence.FindAllStringSubmatchIndex(page, -1) {
		b := block{line: 1 + strings.Count(page[:m[4]], "\n"), lang: page[m[4]:m[5]], text: page[m[6]:m[7]]}
		if m[2] >= 0 {
			b.mark = page[m[2]:m[3]]
		}
		all = append(all, b)
	}
	return all
}

// scratch are names that are no part of a checkout.
var scratch = []string{".git", "node_modules", "gatehouse-data", "bin", "build", ".cache", "gatehouse"}

// checkout copies the project's files into a folder, as somebody who has just got them sees them.
func checkout(t *testing.T) string {
	t.Helper()
	dir := shortDir(t)
	err := fs.WalkDir(os.DirFS(top), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if slices.Contains(scratch, entry.Name()) && !strings.HasPrefix(name, "cmd/") {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		target := filepath.Join(dir, filepath.FromSlash(name))
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		return copyFile(filepath.Join(top, filepath.FromSlash(name)), target, entry)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func copyFile(from, to string, entry fs.DirEntry) error {
	if !entry.Type().IsRegular() {
		return nil
	}
	info, err := entry.Info()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, info.Mode().Perm())
}

// developer is the environment of somebody who works with the project: all that is set, but nothing for Gatehouse.
func developer(extra ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "GATEHOUSE_") })
	return append(env, extra...)
}

// A shell runs blocks of a page, one after the other, in one folder.
type shell struct {
	dir string
	env []string
}

// building bounds a block: some compile.
const building = 5 * time.Minute

// run runs a block to its end and returns its standard output. A command that fails ends it, and the test.
func (s *shell) run(t *testing.T, text string) string {
	t.Helper()
	cmd, out := s.command(t, text)
	ended := make(chan error, 1)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatalf("%v\n%s\nprinted:\n%s", err, text, out)
		}
	case <-time.After(building):
		killGroup(cmd)
		t.Fatalf("not done after %v:\n%s\nprinted:\n%s", building, text, out)
	}
	return out.String()
}

// command makes the command of a block, in a process group of its own.
func (s *shell) command(t *testing.T, text string) (*exec.Cmd, *transcript) {
	t.Helper()
	cmd := exec.Command(needTool(t, "bash"), "-e", "-c", text)
	out := newTranscript()
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir, s.env, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd, out
}

// killGroup ends a command with everything that it has started.
func killGroup(cmd *exec.Cmd) { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// background starts a block that goes on, waits until somebody answers at the address, and ends it with the test.
func (s *shell) background(t *testing.T, text, address string) {
	t.Helper()
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Fatalf("somebody listens at %s already", address)
	}
	cmd, out := s.command(t, text)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		killGroup(cmd)
		<-ended
	})
	until(t, "somebody listens at "+address, func() bool {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("it ended: %v\n%s\nprinted:\n%s", err, text, out)
		default:
		}
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// promised are the comments behind commands: the status of curl, the decision of explain.
var promised = regexp.MustCompile(`(?m)^(curl|\./gatehouse explain|gatehouse explain) .*?(?:  # (\w+).*)?$`)

// wantPromised fails unless the output has, in their order, what the comments of the block say.
func wantPromised(t *testing.T, text, output string) {
	t.Helper()
	var want []string
	for _, m := range promised.FindAllStringSubmatch(text, -1) {
		if m[2] == "" {
			t.Errorf("the line does not say what comes: %s", m[0])
		}
		want = append(want, strings.ToLower(m[2]))
	}
	var got []string
	for _, m := range regexp.MustCompile(`HTTP/[0-9.]+ (\d{3})|(?m:^(ALLOW|DENY))`).FindAllStringSubmatch(output, -1) {
		got = append(got, strings.ToLower(m[1]+m[2]))
	}
	if !slices.EqualFunc(got, want, fits) {
		t.Errorf("the lines give %q, and the comments say %q:\n%s\nprinted:\n%s", got, want, text, output)
	}
}

// fits reports whether a status or decision is the promised one; 4xx promises any status from 400 to 499.
func fits(got, promise string) bool {
	if strings.HasSuffix(promise, "xx") {
		return len(got) == 3 && got[:1] == promise[:1]
	}
	return got == promise
}

func TestFits(t *testing.T) {
	for _, c := range []struct {
		got, promise string
		want         bool
	}{
		{"401", "401", true}, {"401", "403", false}, {"400", "4xx", true}, {"200", "4xx", false}, {"allow", "allow", true}, {"deny", "allow", false}, {"", "4xx", false},
	} {
		if fits(c.got, c.promise) != c.want {
			t.Errorf("fits(%q, %q) = %v, want %v", c.got, c.promise, !c.want, c.want)
		}
	}
}

func TestBlocks(t *testing.T) {
	page := "text\n```sh\na\n```\n\n<!-- run: background 127.0.0.1:1 -->\n```sh\nb\nc\n```\n<!-- run -->\n\n```go\nd\n```\n"
	got := fmt.Sprint(blocks(page))
	if want := fmt.Sprint([]block{{2, "sh", "", "a\n"}, {7, "sh", "run: background 127.0.0.1:1", "b\nc\n"}, {13, "go", "", "d\n"}}); got != want {
		t.Errorf("blocks = %s, want %s", got, want)
	}
}

// ports replaces fixed ports by free ones, so that tests can run beside each other and beside the developer's own servers.
type ports map[string]string

func newPorts(t *testing.T, fixed ...int) ports {
	t.Helper()
	p := ports{}
	for _, port := range fixed {
		_, free, _ := net.SplitHostPort(freeAddress(t))
		p[strconv.Itoa(port)] = free
	}
	return p
}

var numbers = regexp.MustCompile(`\b\d{4,5}\b`)

func (p ports) in(text string) string {
	return numbers.ReplaceAllStringFunc(text, func(number string) string {
		if free, ok := p[number]; ok {
			return free
		}
		return number
	})
}

// inFile replaces the ports in a file.
func (p ports) inFile(t *testing.T, name string) {
	t.Helper()
	text := readText(t, name)
	if err := os.WriteFile(name, []byte(p.in(text)), 0o644); err != nil {
		t.Fatal(err)
	}
}
