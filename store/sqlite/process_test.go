//go:build unix

package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"
)

// roles are what a second process of a test does, with the file called name. It says on standard output how far it is, and waits for orders.
var roles = map[string]func(name string) error{
	"open":    openWhenTold,
	"write":   writeForEver,
	"rotate":  rotateForEver,
	"revoke":  revokeWhenTold,
	"exhaust": exhaustDisk,
	"lock":    lockUntilTold,
	"migrate": migrateHalf,
	"fill":    fillDisk,
}

// These variables make the test binary a second process.
const roleVariable, fileVariable = "GATEHOUSE_SQLITE_TEST_ROLE", "GATEHOUSE_SQLITE_TEST_FILE"

// orders are the lines that a second process is given. It ends when there will be no more: then the test is gone.
var orders = make(chan string)

func TestMain(m *testing.M) {
	role, ok := roles[os.Getenv(roleVariable)]
	if !ok {
		goleak.VerifyTestMain(m)
		return
	}
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			orders <- lines.Text()
		}
		os.Exit(3)
	}()
	if err := role(os.Getenv(fileVariable)); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A process is a second process.
type process struct {
	*exec.Cmd
	orders io.WriteCloser
	lines  *bufio.Scanner
}

// start starts a second process, which ends with the test.
func start(t *testing.T, role, name string) *process {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return startCommand(t, exec.CommandContext(context.WithoutCancel(t.Context()), program), role, name)
}

func startCommand(t *testing.T, c *exec.Cmd, role, name string) *process {
	t.Helper()
	c.Env = append(os.Environ(), roleVariable+"="+role, fileVariable+"="+name)
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{c, in, bufio.NewScanner(out)}
	t.Cleanup(func() { p.kill() })
	return p
}

// next returns the next line that the process says, "" if it says nothing more.
func (p *process) next() string {
	if !p.lines.Scan() {
		return ""
	}
	return p.lines.Text()
}

// says ends the test if the next line is not want.
func (p *process) says(t *testing.T, want string) {
	t.Helper()
	if got := p.next(); got != want {
		t.Fatalf("the other process says %q, want %q", got, want)
	}
}

func (p *process) order(t *testing.T, what string) {
	t.Helper()
	if _, err := fmt.Fprintln(p.orders, what); err != nil {
		t.Fatal(err)
	}
}

// kill ends the process as a crash does, and returns what it had said that was not read yet.
func (p *process) kill() (said []string) {
	_ = p.Process.Kill()
	for p.lines.Scan() {
		said = append(said, p.lines.Text())
	}
	_ = p.Wait()
	return said
}
