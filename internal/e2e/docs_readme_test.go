package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A guide is a page that is being followed, word for word.
type guide struct {
	shell
	ports
	output strings.Builder
}

// TestReadme does what README.md says, in its order, in one copy of the project.
func TestReadme(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl", "python3", "go"} {
		needTool(t, tool)
	}
	g := &guide{ports: newPorts(t, 9000, 8080, 8088, 8081, 8082)}
	g.dir, g.env = checkout(t), developer("GATEHOUSE_SERVER__HTTP__PORT="+g.ports["8080"])
	samples, err := filepath.Glob(filepath.Join(g.dir, "deploy", "nginx", "*.conf"))
	if err != nil || len(samples) < 4 {
		t.Fatalf("the samples of nginx: %q, %v", samples, err)
	}
	for _, name := range samples {
		g.inFile(t, name)
	}
	ran := 0
	for _, b := range blocks(readText(t, filepath.Join(top, "README.md"))) {
		if b.mark != "" {
			g.follow(t, b)
			ran++
		}
	}
	if ran < 12 {
		t.Errorf("%d blocks were run, want all of the guides", ran)
	}
	for _, text := range []string{"<h1>Hello</h1>", "for everyone", "hello Jack", "jack can listen", "invalid_credentials", "no faults", "X-Gatehouse-Code: no_credential", `"kty":"EC"`, "revoked: everything that was issued to bob"} {
		if !strings.Contains(g.output.String(), text) {
			t.Errorf("nothing printed %q:\n%s", text, &g.output)
		}
	}
}

// follow runs one block as its mark says: "run", "run: background HOST:PORT" or "run: go HOST:PORT", and with ", needs TOOL" only if there is one.
func (g *guide) follow(t *testing.T, b block) {
	t.Helper()
	mark, tool, _ := strings.Cut(b.mark, ", needs ")
	mark = strings.TrimPrefix(mark, "run: needs ")
	if mark != "run" && !strings.HasPrefix(mark, "run: ") {
		mark, tool = "run", mark
	}
	if tool != "" && !haveTool(t, tool) {
		return
	}
	how, address, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(mark, "run"), ": "), " ")
	text := g.in(b.text)
	switch how {
	case "":
		output := g.run(t, text)
		g.output.WriteString(output)
		wantPromised(t, text, output)
	case "background":
		g.background(t, text, g.in(address))
	case "go":
		g.background(t, g.goProgram(t, text), g.in(address))
	default:
		t.Errorf("README.md:%d: nobody knows how to %q", b.line, b.mark)
	}
}

// haveTool reports whether a program is installed. Without it a part of the guide is left out, by name; where GATEHOUSE_TEST_PROXIES is 1
// that is a failure.
func haveTool(t *testing.T, name string) bool {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return true
	}
	t.Run("with "+name, func(t *testing.T) { needTool(t, name) })
	return false
}

// goProgram makes a module of a Go program, as a user of the library has one, builds it, and returns the command that runs it.
func (g *guide) goProgram(t *testing.T, source string) string {
	t.Helper()
	dir := shortDir(t)
	ours := readText(t, filepath.Join(g.dir, "go.mod"))
	_, requirements, _ := strings.Cut(ours, "\n\n")
	requirements = regexp.MustCompile(`(?m)^(module|go|toolchain|tool) .*\n`).ReplaceAllString(requirements, "")
	version := regexp.MustCompile(`(?m)^go .*$`).FindString(ours)
	module := "github.com/gatehouse-auth/gatehouse"
	put(t, dir, "go.mod", fmt.Sprintf("module example.org/program\n\n%s\n\nrequire %s v0.0.0\n\nreplace %s => %s\n\n%s", version, module, module, g.dir, requirements))
	put(t, dir, "go.sum", readText(t, filepath.Join(g.dir, "go.sum")))
	put(t, dir, "main.go", source)
	program := &shell{dir, developer("GOFLAGS=-mod=mod")}
	program.run(t, "go vet . && go build -o program .")
	return filepath.Join(dir, "program")
}

// TestReadmeHasNothingThatIsNotRun: of the blocks without a mark there is one, with the two commands that everything begins with.
func TestReadmeHasNothingThatIsNotRun(t *testing.T) {
	t.Parallel()
	var unmarked []string
	for _, b := range blocks(readText(t, filepath.Join(top, "README.md"))) {
		if b.mark == "" {
			unmarked = append(unmarked, b.text)
		}
	}
	if len(unmarked) != 1 || !strings.HasPrefix(unmarked[0], "go run ./cmd/gatehouse dev ") || !strings.Contains(unmarked[0], "\nscripts/test ") {
		t.Errorf("blocks that no test runs: %q", unmarked)
	}
	info, err := os.Stat(filepath.Join(top, "scripts", "test"))
	if err != nil || info.Mode().Perm()&0o111 == 0 {
		t.Errorf("scripts/test: %v, %v, want a program", info, err)
	}
}

// TestTheFirstCommand runs the first command of the README, go included, and one of the lines that it prints.
func TestTheFirstCommand(t *testing.T) {
	t.Parallel()
	needTool(t, "go")
	s := &shell{top, developer()}
	cmd, out := s.command(t, "cd "+top+" && exec go run ./cmd/gatehouse dev --port 0")
	cmd.Dir = ""
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		killGroup(cmd)
		<-ended
	})
	until(t, "dev prints its lines", func() bool { return strings.Contains(out.String(), "--request ID\n") })
	trial := printedTrials(t, out.String())[1]
	if got := curlStatuses((&shell{".", developer()}).run(t, trial.line)); len(got) != 1 || got[0] != trial.status {
		t.Errorf("%s = %v, want %d", trial.line, got, trial.status)
	}
	if !strings.Contains(out.String(), "  go run ./cmd/gatehouse explain --admin unix:") {
		t.Errorf("the line for explain cannot be pasted here:\n%s", out)
	}
}
