package carrier_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/carrier"
)

// noRandomness fails as a system does that has none.
type noRandomness struct{}

func (noRandomness) Read([]byte) (int, error) { return 0, errors.New("planted: no randomness") }

// TestNoRandomness: a generator that fails ends the program: no token is made that somebody could guess.
func TestNoRandomness(t *testing.T) {
	const child = "GATEHOUSE_TEST_WITHOUT_RANDOMNESS"
	if os.Getenv(child) != "" {
		rand.Reader = noRandomness{}
		defer func() { fmt.Println("goes on after a panic:", recover()) }()
		fmt.Println("goes on:", carrier.NewToken().Reveal())
		return
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestNoRandomness$")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil || strings.Contains(string(out), "goes on") || !strings.Contains(string(out), "planted: no randomness") {
		t.Errorf("without randomness the program ends with %v and says\n%s\nwant that it dies of that", err, out)
	}
}
