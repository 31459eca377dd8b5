package carrier_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

// TestWhatBrowsersSendByThemselves is ambient, whichever carrier reads it: without that the guard would let other sites use it.
func TestWhatBrowsersSendByThemselves(t *testing.T) {
	find := func(context.Context, string) (gatehouse.Identity, error) {
		return gatehouse.Identity{Value: "jack"}, nil
	}
	read := func(r *http.Request) (string, error) { return "x", nil }
	for _, tt := range []struct {
		name    string
		carrier carrier.Carrier
		want    bool
	}{
		{"Basic by its own carrier", carrier.Basic(func(context.Context, string, string) (gatehouse.Identity, error) { return gatehouse.Identity{}, nil }), true},
		{"Basic as a scheme", carrier.Header("Basic", find), true},
		{"basic in small letters", carrier.Header("basic", find), true},
		{"Digest", carrier.Header("Digest", find), true},
		{"Negotiate", carrier.Header("Negotiate", find), true},
		{"NTLM", carrier.Header("NTLM", find), true},
		{"Bearer", carrier.Header("Bearer", find), false},
		{"Token", carrier.Header("Token", find), false},
		{"a field of the program's own", carrier.NamedHeader("X-API-Key", find), false},
		{"a function that reads a cookie", carrier.Func(read, find, "Cookie"), true},
		{"a function that reads a cookie among others", carrier.Func(read, find, "X-Ticket", "cookie"), true},
		{"a function that reads another field", carrier.Func(read, find, "X-Ticket"), false},
		{"a function that may read anything", carrier.Func(read, find), true},
	} {
		ambient := false
		if a, ok := tt.carrier.(carrier.Ambient); ok {
			ambient, _ = a.Ambient()
		}
		if ambient != tt.want {
			t.Errorf("%s: ambient = %v, want %v", tt.name, ambient, tt.want)
		}
	}
}

// TestNilCookieOption is what CookieFor returns beside an error: the cookie is the safe one then.
func TestNilCookieOption(t *testing.T) {
	option, _, err := carrier.CookieFor("0.0.0.0:80", "", false)
	if err == nil || option != nil {
		t.Fatalf("CookieFor = %v, want an error and no option", err)
	}
	if names := carrier.Session(session.New(memory.Sessions(), session.Config{}), option).CookieNames(); len(names) != 1 || names[0] != "__Host-gatehouse" {
		t.Errorf("the cookie is %q, want __Host-gatehouse", names)
	}
}
