package house

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// script runs scripts/test of the checkout in dir and returns what it prints and its exit code.
func script(t *testing.T, dir string, args ...string) (string, int) {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed")
	}
	command := exec.Command("bash", append([]string{filepath.Join("scripts", "test")}, args...)...)
	command.Dir = dir
	command.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "GIT_") || strings.HasPrefix(v, "GOFLAGS=")
	}), "GOFLAGS=")
	out, err := command.CombinedOutput()
	if err != nil && command.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), command.ProcessState.ExitCode()
}

// TestScript keeps what people and CI type the same thing.
func TestScript(t *testing.T) {
	out, code := script(t, root, "--help")
	if code != 0 || !strings.Contains(out, "staticcheck ./...") {
		t.Errorf("scripts/test --help = %d, want 0 and the list of steps:\n%s", code, out)
	}
	out, code = script(t, root, "nonsense")
	if code != 2 || !strings.Contains(out, `no step "nonsense"; there are: install`) {
		t.Errorf("scripts/test nonsense = %d, want 2 and the names of the steps:\n%s", code, out)
	}
	text, err := os.ReadFile(filepath.Join(root, ".ci", "run"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "#!/usr/bin/env bash\nexec bash scripts/test\n"; string(text) != want {
		t.Errorf(".ci/run = %q, want %q: a check that only CI makes is a check that nobody can repeat", text, want)
	}
	for _, name := range []string{".ci/run", "scripts/test", "scripts/torture"} {
		if info, err := os.Stat(filepath.Join(root, name)); err != nil || info.Mode()&0o100 == 0 {
			t.Errorf("Stat(%s) = %v, %v, want an executable file", name, info.Mode(), err)
		}
	}
}

// project makes a small module with a copy of scripts/test in it.
func project(t *testing.T, files map[string]string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "scripts", "test"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	all := map[string]string{"go.mod": "module sample\n\ngo 1.26\n", "scripts/test": string(text)}
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestScriptSaysWhatFailed runs the real steps on projects that break them.
func TestScriptSaysWhatFailed(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		git   bool
		steps []string
		want  []string
		code  int
	}{
		"all well": {
			files: map[string]string{"a.go": "package a\n"},
			steps: []string{"format", "vet", "build", "tidy"},
			want:  []string{"== format: ok", "== tidy: ok", "\n4 passed, 0 failed, 0 skipped\n"},
		},
		"format": {
			files: map[string]string{"a.go": "package   a\n"},
			steps: []string{"format", "vet"},
			want:  []string{"a.go\n", "== format: FAILED", "== vet: ok", "\nfailed: format\n1 passed, 1 failed, 0 skipped\n"},
			code:  1,
		},
		"vet and build": {
			files: map[string]string{"a.go": "package a\n\nvar x = y\n"},
			steps: []string{"vet", "build"},
			want:  []string{"undefined: y", "\nfailed: vet build\n0 passed, 2 failed, 0 skipped\n"},
			code:  1,
		},
		"ignored files are not ours": {
			files: map[string]string{"a.go": "package a\n", "b.go": "package   b\n", ".gitignore": "b.go\n"},
			git:   true,
			steps: []string{"format"},
			want:  []string{"\n1 passed, 0 failed, 0 skipped\n"},
		},
		"generate changes a file": {
			files: map[string]string{"a.go": "package a\n\n//go:generate cp go.mod list.txt\n", "list.txt": "old\n"},
			git:   true,
			steps: []string{"generated"},
			want:  []string{"list.txt", "failed: generated\n0 passed, 1 failed, 0 skipped\n"},
			code:  1,
		},
		"generate changes nothing": {
			files: map[string]string{"a.go": "package a\n\n//go:generate cp old.txt list.txt\n", "list.txt": "old\n", "old.txt": "old\n"},
			git:   true,
			steps: []string{"generated"},
			want:  []string{"\n1 passed, 0 failed, 0 skipped\n"},
		},
		"quick leaves out": {
			files: map[string]string{"a.go": "package a\n"},
			steps: []string{"--quick", "install", "fuzz", "build"},
			want:  []string{"  fuzz: left out by --quick\n  install: left out by --quick\n1 passed, 0 failed, 2 skipped\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := project(t, test.files)
			if test.git {
				gitInit(t, dir)
			}
			out, code := script(t, dir, test.steps...)
			if code != test.code {
				t.Errorf("scripts/test %s = %d, want %d", strings.Join(test.steps, " "), code, test.code)
			}
			for _, part := range test.want {
				if !strings.Contains(out, part) {
					t.Errorf("scripts/test %s does not print %q:\n%s", strings.Join(test.steps, " "), part, out)
				}
			}
		})
	}
}

// gitInit makes dir a git checkout.
func gitInit(t *testing.T, dir string) {
	t.Helper()
	if out, err := exec.Command("git", "init", "-q", dir).CombinedOutput(); err != nil {
		t.Skipf("git cannot be used: %v %s", err, out)
	}
}
