package listen

import (
	"net/netip"
	"strings"
)

// IsLoopback reports whether a listener on host can be reached from this machine only: localhost, 127.0.0.0/8, ::1 (also
// in brackets, with a zone, or IPv4 mapped into IPv6). Empty means all addresses, and other names may mean any: false.
func IsLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
