//go:build unix

package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestConfigurationWaitsForNoPipe: a pipe that nobody writes to is a fault, and not a server that cannot be stopped.
func TestConfigurationWaitsForNoPipe(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"token":   `{server: {http: {allowed_tokens: [{name: a, token: "file:pipe"}]}}}`,
		"hash":    `{server: {http: {allowed_tokens: [{name: a, hash: "file:pipe"}]}}}`,
		"ca_file": `{upstream: {app: {url: "https://127.0.0.1:9000", ca_file: pipe}}, rules: [{path: /a, allow: anyone}]}`,
		"endless": `{server: {http: {allowed_tokens: [{name: a, token: "file:/dev/zero"}]}}}`,
		"all CAs": `{upstream: {app: {url: "https://127.0.0.1:9000", ca_file: /dev/zero}}, rules: [{path: /a, allow: anyone}]}`,
	} {
		file := filepath.Join(dir, "gate.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p := &program{ctx: context.Background(), now: time.Now}
		done := make(chan error, 1)
		go func() { _, err := load(configFlag{file}.source(p), p.quiet()); done <- err }()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), "gate.yaml:1:") {
				t.Errorf("%s: load = %v, want a fault that says where", name, err)
			}
		case <-time.After(4 * pipeTimeout):
			t.Fatalf("%s: load still waits", name)
		}
	}
}

// TestConfigurationReadsAPipe: what the shell's <(…) gives is a file like any other, also while its writer is at work.
func TestConfigurationReadsAPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() { w.WriteString("a-to"); w.WriteString("ken\n"); w.Close() }()
	name := fmt.Sprintf("/dev/fd/%d", r.Fd())
	if got, err := readFile(name); err != nil || string(got) != "a-token\n" {
		t.Errorf("readFile(%q) = %q, %v, want what was written", name, got, err)
	}
}
