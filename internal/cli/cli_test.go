package cli

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"gatehouse": func() { os.Exit(Run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScripts types what a user would type. The scripts are in testdata.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true, RequireUniqueNames: true})
}

func TestSampleOfDevIsValid(t *testing.T) {
	p := &program{ctx: context.Background()}
	src, err := (devCommand{}).source(p, "http://127.0.0.1:9000", filepath.Join(t.TempDir(), "admin.sock"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := load(src, p.quiet()); err != nil {
		t.Fatalf("the configuration of dev is refused:\n%v", err)
	}
}

func TestCalled(t *testing.T) {
	for program, want := range map[string]string{
		"gatehouse": "gatehouse", "./gatehouse": "./gatehouse", "/usr/bin/gatehouse": "/usr/bin/gatehouse",
		"/tmp/go-build123/b001/exe/gatehouse": "go run ./cmd/gatehouse",
	} {
		if got := called(program); got != want {
			t.Errorf("called(%q) = %q, want %q", program, got, want)
		}
	}
}
