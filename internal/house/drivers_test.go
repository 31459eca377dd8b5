package house

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// mayLink says which drivers a program links that imports a package of the library. What is not listed links none.
var mayLink = map[string][]string{
	"store/sqlite":    {"database/sql", "modernc.org/sqlite"},
	"store/postgres":  {"database/sql", "github.com/jackc/pgx"},
	"store/sqlpolicy": {"database/sql"},
	"store/redis":     {"github.com/redis/rueidis"},
}

// libraries are the packages that a Go program imports.
var libraries = []string{
	"policy", "problem", "session", "passwd", "carrier", "guard", "gateway", "gatehousetest",
	"store/memory", "store/storetest", "store/sqlite", "store/postgres", "store/sqlpolicy", "store/redis",
}

// driverFaults judges the paths of everything that an import of pack links, a line each.
func driverFaults(pack string, paths []byte) []string {
	var faults []string
	for scan := bufio.NewScanner(bytes.NewReader(paths)); scan.Scan(); {
		for _, driver := range drivers {
			path := scan.Text()
			is := path == driver || strings.HasPrefix(path, driver+"/")
			if is && !slices.Contains(mayLink[pack], driver) {
				faults = append(faults, fmt.Sprintf("an import of %s links %s", pack, path))
			}
		}
	}
	return faults
}

// TestOnlyTheStoreInUseBringsItsDriver: who keeps sessions in SQLite links neither the driver of PostgreSQL nor that of Redis, and who keeps them in memory none.
func TestOnlyTheStoreInUseBringsItsDriver(t *testing.T) {
	for _, pack := range libraries {
		paths := goList(t, "-deps", "./"+pack)
		if !bytes.Contains(paths, []byte(module+"/"+pack+"\n")) {
			t.Fatalf("go list -deps ./%s does not list the package itself: the check would see nothing", pack)
		}
		report(t, driverFaults(pack, paths))
	}
}

// TestStoresLinkTheirDrivers: the list above is not longer than it must be.
func TestStoresLinkTheirDrivers(t *testing.T) {
	for pack, wanted := range mayLink {
		paths := "\n" + string(goList(t, "-deps", "./"+pack))
		for _, driver := range wanted {
			if !strings.Contains(paths, "\n"+driver) {
				t.Errorf("./%s does not link %s: take it off the list", pack, driver)
			}
		}
	}
}

func TestDriverFaults(t *testing.T) {
	for _, tt := range []struct {
		pack, paths string
		want        []string
	}{
		{"guard", "net/http\n" + module + "/guard\n", nil},
		{"guard", "database/sql\n", []string{"an import of guard links database/sql"}},
		{"store/sqlite", "database/sql/driver\nmodernc.org/sqlite/lib\n", nil},
		{"store/sqlite", "github.com/jackc/pgx/v5\n", []string{"links github.com/jackc/pgx/v5"}},
		{"store/redis", "database/sql\n", []string{"links database/sql"}},
		{"store/memory", "github.com/redis/rueidis\n", []string{"links github.com/redis/rueidis"}},
	} {
		mustFind(t, "driverFaults", driverFaults(tt.pack, []byte(tt.paths)), tt.want...)
	}
}
