package e2e

import (
	"bufio"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"unsafe"
)

// limitFiles lets a process have so many more open files than it has now.
func limitFiles(t *testing.T, pid, more int) {
	t.Helper()
	open, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
	if err != nil {
		t.Skipf("skipped: this machine does not tell of the files of a process: %v", err)
	}
	limit := syscall.Rlimit{Cur: uint64(len(open) + more), Max: uint64(len(open) + more)}
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0); errno != 0 {
		t.Fatal(errno)
	}
}

// TestFilesRunOut: without a file to open for one more connection, those that there are get right answers, a reload changes nothing, and
// everything is well once files are free again.
func TestFilesRunOut(t *testing.T) {
	t.Parallel()
	g := begin(t, launchPlan{file: "small.json"})
	old := dial(t, g.addr)
	r := bufio.NewReader(old)
	talk := func(when string) {
		t.Helper()
		for token, want := range map[string]int{"token1": 200, "wrong": 401} {
			raw := request("GET /ping", "Authorization: Token "+token)
			io.WriteString(old, raw)
			if got := readReply(t, r, raw); got.status != want {
				t.Errorf("%s: %s gets %d, want %d", when, token, got.status, want)
			}
		}
	}
	talk("before")
	limitFiles(t, g.process.Pid, 5)
	var flood []net.Conn
	for range 30 {
		flood = append(flood, dial(t, g.addr))
	}
	g.line(t, "too many open files")
	talk("without files")
	g.reload(t, "configuration refused")
	talk("after a reload without files")
	for _, conn := range flood {
		conn.Close()
	}
	if got := g.ask(t, "GET /ping", "Authorization: Token token2"); got.status != 200 {
		t.Errorf("with files again: %d, want 200", got.status)
	}
	g.reload(t, "configuration reloaded")
}
