package testbed

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Pause lets the server hang: connections stay, and nobody answers. Resume lets it go on.
func (s *Redis) Pause() { s.t.Helper(); send(s.t, syscall.SIGSTOP, s.running.Process.Pid) }

// Resume ends a Pause.
func (s *Redis) Resume() { s.t.Helper(); send(s.t, syscall.SIGCONT, s.running.Process.Pid) }

// Pause lets the server hang: connections stay and new ones are made, and nobody answers. Resume lets it go on.
func (s *Postgres) Pause() {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	first, _, _ := strings.Cut(string(text), "\n")
	main, err2 := strconv.Atoi(first)
	if err := errors.Join(err, err2); err != nil {
		s.t.Fatalf("%v", err)
	}
	send(s.t, syscall.SIGSTOP, main) // first, so that there are no more of its children
	all := append(childrenOf(s.t, main), main)
	send(s.t, syscall.SIGSTOP, all...)
	s.resume = func() {
		send(s.t, syscall.SIGCONT, all...)
		s.resume = nil
	}
}

// Resume ends a Pause. Nothing happens if there was none.
func (s *Postgres) Resume() {
	if s.resume != nil {
		s.resume()
	}
}

// childrenOf returns the children of a process.
func childrenOf(t T, pid int) []int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Fatalf("%v", err)
	}
	var list []int
	for _, field := range strings.Fields(string(text)) {
		child, err := strconv.Atoi(field)
		if err != nil {
			t.Fatalf("%v", err)
		}
		list = append(list, child)
	}
	return list
}

// send sends a signal to processes.
func send(t T, signal syscall.Signal, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatalf("%v to process %d: %v", signal, pid, err)
		}
	}
}
