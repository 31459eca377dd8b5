package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPasswordsPage runs every command of docs/passwords.md, in one folder and in their order. What stands behind the # of a line must be printed.
func TestPasswordsPage(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "passwords.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir, ran := t.TempDir(), 0
	for _, block := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		for line := range strings.Lines(block[1]) {
			command, promise, _ := strings.Cut(strings.TrimSpace(line), "  # ")
			if strings.HasPrefix(command, "go test") {
				continue // a benchmark takes long, and needs the checkout: bench_test.go of package passwd is compiled with its tests
			}
			cmd := exec.Command(bash, "-c", command)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code > exitNo || err != nil && promise == "" {
				t.Errorf("%s = code %d\n%s", command, code, out)
			}
			if !strings.Contains(string(out), promise) {
				t.Errorf("%s does not print %q:\n%s", command, promise, out)
			}
			ran++
		}
	}
	if ran < 13 {
		t.Errorf("%d commands were run: this test sees nothing", ran)
	}
}

// TestPasswordsPageNames: what the page says about the embedded list is what the list's own page says.
func TestPasswordsPageNames(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	page, list := read("docs/passwords.md"), read("third_party/passwords/README.md")
	for _, number := range regexp.MustCompile(`\d+,\d{3} (?:entries|of them)`).FindAllString(list, -1) {
		if number, _, _ = strings.Cut(number, " "); !strings.Contains(page, number) {
			t.Errorf("docs/passwords.md does not have the number %s of the list", number)
		}
	}
}
