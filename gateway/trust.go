package gateway

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// Trusted is the set of proxies whose forwarded headers count. Nil is the empty set. It is immutable.
type Trusted struct{ prefixes []netip.Prefix }

// TrustProxies returns the set of addresses and networks, such as "10.0.0.7" and "10.1.0.0/16". It refuses a network of all addresses:
// use [TrustAllProxies] where that is really meant.
func TrustProxies(networks ...string) (*Trusted, error) {
	t := &Trusted{}
	for _, n := range networks {
		p, err := parseNetwork(n)
		if err != nil {
			return nil, err
		}
		if p.Bits() == 0 {
			return nil, fmt.Errorf("%s: every client could then say who it is and where it comes from; list the proxies", n)
		}
		t.prefixes = append(t.prefixes, p)
	}
	return t, nil
}

// TrustAllProxies returns the set of all addresses: everybody who can connect decides which request is judged. It is for programs whose
// listener only their proxy can reach.
func TrustAllProxies() *Trusted {
	return &Trusted{[]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}}
}

func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && !strings.Contains(s, "/") { // a zone may be "eth0/64"
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", s)
	}
	if p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q: write the IPv4 network itself", s)
	}
	return p.Masked(), nil
}

// Trusts reports whether the address is in the set. The zero Addr never is.
func (t *Trusted) Trusts(a netip.Addr) bool {
	if t == nil || !a.IsValid() {
		return false
	}
	a = a.Unmap()
	for _, p := range t.prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// ClientAddr returns the address of r's client: the peer, or behind trusted proxies the rightmost address of X-Forwarded-For that is not
// trusted. What stands further left came from outside and counts for nothing.
func (t *Trusted) ClientAddr(r *http.Request) netip.Addr {
	client := guard.PeerAddr(r)
	if !t.Trusts(client) {
		return client
	}
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for i := len(hops) - 1; i >= 0 && t.Trusts(client); i-- {
		hop, ok := parseHop(strings.TrimSpace(hops[i]))
		if !ok {
			break
		}
		client = hop
	}
	return client
}

// parseHop reads an address with or without a port.
func parseHop(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	ap, err := netip.ParseAddrPort(s)
	return ap.Addr().Unmap().WithZone(""), err == nil
}

// checkForwarded refuses forwarded headers of a trusted proxy that contradict each other or the request. Those of anybody else are dropped
// later, unread.
func (t *Trusted) checkForwarded(r *http.Request) *problem.Problem {
	if !t.Trusts(guard.PeerAddr(r)) {
		return nil
	}
	if hosts := r.Header["X-Forwarded-Host"]; len(hosts) > 1 || len(hosts) == 1 && !strings.EqualFold(hosts[0], r.Host) {
		return conflict("X-Forwarded-Host differs from Host: let the proxy pass Host on as it came")
	}
	if protos := r.Header["X-Forwarded-Proto"]; len(protos) > 1 || len(protos) == 1 && !isWebScheme(protos[0]) {
		return conflict("X-Forwarded-Proto must be http or https, once")
	}
	return nil
}

func conflict(detail string) *problem.Problem {
	return &problem.Problem{Code: problem.ConflictingForward, Detail: detail + "."}
}

func isWebScheme(s string) bool { return s == "http" || s == "https" }
