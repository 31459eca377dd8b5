package e2e

import (
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/gateway"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
)

// startGatehouse runs Gatehouse until the test ends and returns its address.
func startGatehouse(t *testing.T) string {
	t.Helper()
	tokens, err := carrier.NewStatic([]carrier.StaticToken{
		{Name: "alice", Hash: carrier.HashToken("alice-token"), Roles: []string{"basic"}},
		{Name: "root", Hash: carrier.HashToken("root-token"), Roles: []string{"admin"}, Email: "root@example.org"},
	})
	if err != nil {
		t.Fatal(err)
	}
	table, err := policy.New(policy.Config{
		Roles: policy.Roles{"basic": 1, "admin": 9},
		Rules: []policy.Rule{
			{Path: "/public/**", Allow: policy.Anyone()},
			{Path: "/preflight", Methods: []string{"OPTIONS"}, Allow: policy.Anyone()},
			{Path: "/admin/**", Allow: policy.Role("admin")},
			{Path: "/**", Methods: []string{"GET", "POST", "PUT", "DELETE", "OPTIONS"}, Allow: policy.Authenticated()},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := gateway.TrustProxies("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	g, err := guard.New(guard.Config{
		Carriers: []carrier.Carrier{carrier.Header("Bearer", tokens.Lookup), carrier.NamedHeader("X-API-Key", tokens.Lookup)},
		Policy:   guard.AsSubject{Table: table}, Rules: table, ClientAddr: trusted.ClientAddr,
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := gateway.NewForwardAuth(gateway.ForwardAuthConfig{Guard: g, Trusted: trusted})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}
