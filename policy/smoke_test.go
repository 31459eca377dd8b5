package policy

import (
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
)

func TestSmoke(t *testing.T) {
	table, err := New(Config{Roles: RoleList("basic", "admin"), Rules: []Rule{
		{Methods: []string{"GET"}, Path: "/films/{id}", Allow: Role("basic")},
		{Path: "/films/**", Allow: Role("admin")},
		{Path: "/public/**", Allow: Anyone()},
		{Regex: `/exclude/\w+/info`, Allow: Anyone()},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]Outcome{
		"/films/1": Allow, "/films/1/x": Forbidden, "/films": Forbidden, "/public": Allow, "/exclude/ab/info": Allow, "/exclude/ab/info/x": NoRule,
	} {
		q, err := Canonical(httptest.NewRequest("GET", target, nil))
		if err != nil {
			t.Fatal(err)
		}
		m, err := table.Lookup(q)
		if err != nil {
			t.Fatal(err)
		}
		p := gatehouse.Principal{Subject: "jack", Kind: gatehouse.KindUser, Roles: []string{"basic"}}
		if d := table.Decide(m, p, nil); d.Outcome != want {
			t.Errorf("%s: %v, want %v", target, d.Outcome, want)
		}
	}
}
