package gateway_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/gateway"
)

// TestTrustProxies: a list of proxies is a list, and never everybody by mistake.
func TestTrustProxies(t *testing.T) {
	for _, network := range []string{
		"0.0.0.0/0", "::/0", "10.0.0.0/0", "2001:db8::/0", "::ffff:0:0/96", "::ffff:10.0.0.0/104", "::ffff:0.0.0.0/0", "", "*", "all", "localhost", "10.0.0", "10.0.0.0/33", "10.0.0.0/-1",
		"10.0.0.0/8,10.1.0.0/16", "10.0.0.7:80", "[::1]", "::1/129", " 10.0.0.7", "10.0.0.7 ", "010.0.0.7", "10.0.0.0/08", "0x0a000007", "10.*", "fe80::1%eth0/64",
	} {
		if trusted, err := gateway.TrustProxies("10.0.0.1", network); err == nil || trusted != nil {
			t.Errorf("TrustProxies(%q) = %v, want an error", network, trusted)
		}
	}
	trusted, err := gateway.TrustProxies("10.0.0.7", "192.168.0.0/16", "10.9.8.7/24", "::1", "2001:db8::/32", "::ffff:172.16.0.1", "fe80::1%eth0")
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]bool{
		"10.0.0.7": true, "10.0.0.6": false, "192.168.255.255": true, "192.169.0.0": false, "10.9.8.255": true, "10.9.9.0": false, "::1": true, "::2": false, "2001:db8::5": true, "2001:db9::": false,
		"172.16.0.1": true, "172.16.0.2": false, "::ffff:10.0.0.7": true, "::ffff:10.0.0.6": false, "::10.0.0.7": false, "0.0.0.0": false, "::": false, "127.0.0.1": false, "fe80::1": true, "fe80::2": false,
	} {
		if got := trusted.Trusts(netip.MustParseAddr(addr)); got != want {
			t.Errorf("Trusts(%s) = %v, want %v", addr, got, want)
		}
	}
	empty, err := gateway.TrustProxies()
	if err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]*gateway.Trusted{"nil": nil, "empty": empty, "zero": {}} {
		if set.Trusts(netip.MustParseAddr("127.0.0.1")) || set.Trusts(netip.Addr{}) {
			t.Errorf("the %s set trusts somebody", name)
		}
	}
	all := gateway.TrustAllProxies()
	if !all.Trusts(netip.MustParseAddr("6.6.6.6")) || !all.Trusts(netip.MustParseAddr("2001:db8::1")) || all.Trusts(netip.Addr{}) {
		t.Error("TrustAllProxies trusts an address that does not exist, or not all that do")
	}
}

func from(peer string, forwardedFor ...string) *http.Request {
	return &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": forwardedFor}}
}

// TestClientAddr: behind trusted proxies the client is the rightmost address that is not one of them, whatever stands further left.
func TestClientAddr(t *testing.T) {
	trusted, err := gateway.TrustProxies("10.0.0.0/8", "::1", "2001:db8:1::/48")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		peer string
		hops []string
		want string
	}{
		{"192.0.2.1:99", nil, "192.0.2.1"},
		{"192.0.2.1:99", []string{"6.6.6.6"}, "192.0.2.1"}, // not a proxy of ours: what it says counts for nothing
		{"192.0.2.1:99", []string{"10.0.0.1"}, "192.0.2.1"},
		{"[::ffff:192.0.2.1]:99", []string{"6.6.6.6"}, "192.0.2.1"},
		{"10.0.0.1:99", nil, "10.0.0.1"},
		{"10.0.0.1:99", []string{"192.0.2.7"}, "192.0.2.7"},
		{"[::ffff:10.0.0.1]:99", []string{"192.0.2.7"}, "192.0.2.7"},
		{"10.0.0.1:99", []string{"6.6.6.6, 192.0.2.7"}, "192.0.2.7"}, // spoofed on the left
		{"10.0.0.1:99", []string{"10.6.6.6, 192.0.2.7"}, "192.0.2.7"},
		{"10.0.0.1:99", []string{"garbage, 192.0.2.7"}, "192.0.2.7"},
		{"10.0.0.1:99", []string{", , 192.0.2.7"}, "192.0.2.7"},
		{"10.0.0.1:99", []string{"6.6.6.6", "192.0.2.7"}, "192.0.2.7"}, // two fields are one list
		{"10.0.0.1:99", []string{"6.6.6.6, 192.0.2.7, 10.0.0.3, 10.0.0.2"}, "192.0.2.7"},
		{"10.0.0.1:99", []string{"192.0.2.7,10.0.0.3\t,  10.0.0.2"}, "192.0.2.7"},
		{"10.0.0.1:99", []string{"192.0.2.7:4711"}, "192.0.2.7"}, // ports and brackets
		{"10.0.0.1:99", []string{"[2001:db8::7]:4711"}, "2001:db8::7"},
		{"10.0.0.1:99", []string{"[2001:db8::7]"}, "2001:db8::7"},
		{"10.0.0.1:99", []string{"2001:db8::7"}, "2001:db8::7"},
		{"10.0.0.1:99", []string{"::ffff:192.0.2.7"}, "192.0.2.7"},
		{"10.0.0.1:99", []string{"::FFFF:c000:0207"}, "192.0.2.7"},
		{"10.0.0.1:99", []string{"fe80::7%eth0"}, "fe80::7"},
		{"10.0.0.1:99", []string{"192.0.2.7, ::ffff:10.0.0.2"}, "192.0.2.7"}, // a proxy in another spelling is still one
		{"10.0.0.1:99", []string{"6.6.6.6, garbage"}, "10.0.0.1"},            // garbage ends the chain: left of it anybody may have written
		{"10.0.0.1:99", []string{"6.6.6.6, garbage, 10.0.0.2"}, "10.0.0.2"},
		{"10.0.0.1:99", []string{"6.6.6.6, "}, "10.0.0.1"},
		{"10.0.0.1:99", []string{""}, "10.0.0.1"},
		{"10.0.0.1:99", []string{"unknown"}, "10.0.0.1"},
		{"10.0.0.1:99", []string{"_hidden, 10.0.0.2"}, "10.0.0.2"},
		{"10.0.0.1:99", []string{"192.0.2.256"}, "10.0.0.1"},
		{"10.0.0.1:99", []string{"192.0.2.7:port"}, "10.0.0.1"},
		{"10.0.0.1:99", []string{"for=192.0.2.7"}, "10.0.0.1"},
		{"10.0.0.1:99", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"}, // a proxy itself is the client
		{"[::1]:99", []string{"2001:db8:1::5"}, "2001:db8:1::5"},
		{"[::1%lo]:99", []string{"192.0.2.7"}, "192.0.2.7"},
		{"@", []string{"192.0.2.7"}, "invalid IP"}, // a Unix socket has no address, and nobody trusts it
		{"", nil, "invalid IP"},
	} {
		if got := trusted.ClientAddr(from(row.peer, row.hops...)).String(); got != row.want {
			t.Errorf("ClientAddr(%s, %q) = %s, want %s", row.peer, row.hops, got, row.want)
		}
	}
	var nobody *gateway.Trusted
	if got := nobody.ClientAddr(from("10.0.0.1:99", "192.0.2.7")).String(); got != "10.0.0.1" {
		t.Errorf("without trusted proxies ClientAddr = %s, want the peer", got)
	}
}

// TestRotatingAddresses: 1,000 addresses that a client invents are one address.
func TestRotatingAddresses(t *testing.T) {
	trusted, err := gateway.TrustProxies("10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	direct, behind := map[netip.Addr]bool{}, map[netip.Addr]bool{}
	for i := range 1000 {
		spoofed := fmt.Sprintf("198.51.%d.%d", i/256, i%256)
		direct[trusted.ClientAddr(from("192.0.2.1:99", spoofed))] = true
		behind[trusted.ClientAddr(from("10.0.0.1:99", spoofed+", 192.0.2.1"))] = true
	}
	if len(direct) != 1 || len(behind) != 1 {
		t.Errorf("1,000 invented addresses became %d directly and %d behind a proxy, want one each", len(direct), len(behind))
	}
}

// FuzzClientAddr: the address is the peer's or one that a trusted hop vouches for, and no input makes it panic.
func FuzzClientAddr(f *testing.F) {
	trusted, err := gateway.TrustProxies("10.0.0.0/8", "::1")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", "192.0.2.7", "6.6.6.6, 10.0.0.2", "[::1]:5, garbage", "::ffff:10.0.0.1", "[[]]", "%", "1.2.3.4,,", strings.Repeat("10.0.0.1,", 50)} {
		f.Add("10.0.0.1:99", seed)
		f.Add("192.0.2.1:99", seed)
	}
	f.Fuzz(func(t *testing.T, peer, list string) {
		got := trusted.ClientAddr(from(peer, list))
		first := trusted.ClientAddr(from(peer))
		if !trusted.Trusts(first) && got != first {
			t.Errorf("ClientAddr(%q, %q) = %s, want the peer %s, which is no proxy", peer, list, got, first)
		}
		if got.Is4In6() || got.Zone() != "" {
			t.Errorf("ClientAddr(%q, %q) = %s: two spellings of one address are two budgets", peer, list, got)
		}
		if trusted.Trusts(first) && trusted.ClientAddr(from(peer, list+", 192.0.2.9")) != netip.MustParseAddr("192.0.2.9") {
			t.Errorf("ClientAddr(%q, %q and 192.0.2.9): what stands on the left decides", peer, list)
		}
	})
}
