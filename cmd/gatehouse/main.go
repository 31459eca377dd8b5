// Command gatehouse puts authentication and authorization in front of any HTTP application. See gatehouse --help.
package main

import (
	"context"
	"os"

	"github.com/gatehouse-auth/gatehouse/internal/cli"
)

func main() {
	os.Exit(cli.Run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
