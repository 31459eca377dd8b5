package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// program builds cmd/gatehouse once and returns the path of the binary, which TestMain removes.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "gatehouse-e2e-")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "gatehouse")
	args := append(append([]string{"build"}, buildFlags...), "-o", path, "../../cmd/gatehouse")
	if output, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("building gatehouse: %w\n%s", err, output)
	}
	return path, nil
})

// buildFlags are flags of go build for the binary.
var buildFlags []string

// built is the folder of the binary, "" until it is built.
var built string

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// startGatehouse runs "gatehouse serve" with testdata/proxies/gatehouse.yaml until the test ends and returns its
// address. oldnew are texts of that file and what they are replaced by.
func startGatehouse(t *testing.T, oldnew ...string) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile("testdata/proxies/gatehouse.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir, address := t.TempDir(), freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	file := filepath.Join(dir, "gatehouse.yaml")
	text := strings.NewReplacer(append(oldnew, "PORT", port, "DIR", dir)...).Replace(string(config))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "serve", "--config", file)
	cmd.Dir = dir
	if err := launch(t, "gatehouse", cmd, address); err != nil {
		t.Fatal(err)
	}
	return address
}
