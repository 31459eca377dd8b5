package policy_test

import (
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/policy"
)

func newTable(t testing.TB, c policy.Config) *policy.Table {
	t.Helper()
	table, err := policy.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// user is a known caller with roles.
func user(roles ...string) gatehouse.Principal {
	return gatehouse.Principal{Subject: "jack", Kind: gatehouse.KindUser, Roles: roles}
}

// request is the canonical form of a request without a query.
func request(t testing.TB, method, host, target string) policy.Request {
	t.Helper()
	r, err := read(method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	q, err := policy.Canonical(r)
	if err != nil {
		t.Fatalf("Canonical(%q): %v", target, err)
	}
	return q
}
