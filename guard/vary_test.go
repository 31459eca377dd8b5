package guard_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
)

// TestCachesKeepCallersApart: a shared cache knows Authorization (RFC 9111, section 3.5) and no other field.
func TestCachesKeepCallersApart(t *testing.T) {
	get := func(r *http.Request) (string, error) { return r.Header.Get("X-Who"), nil }
	for name, tt := range map[string]struct {
		carriers []carrier.Carrier
		want     []string
	}{
		"Authorization":  {[]carrier.Carrier{carrier.Header("Token", carrier.Verified)}, nil},
		"a named header": {[]carrier.Carrier{carrier.Header("Token", carrier.Verified), carrier.NamedHeader("x-api-key", carrier.Verified)}, []string{"X-Api-Key"}},
		"a function":     {[]carrier.Carrier{carrier.Func(get, carrier.Verified, "X-Who")}, []string{"X-Who"}},
	} {
		rules, err := policy.New(policy.Config{Rules: []policy.Rule{{Path: "/public", Allow: policy.Anyone()}}})
		if err != nil {
			t.Fatal(err)
		}
		g, err := guard.New(guard.Config{Carriers: tt.carriers, Policy: guard.AsSubject{}, Rules: rules})
		if err != nil {
			t.Fatal(err)
		}
		h := g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if p := gatehouse.FromContext(r.Context()); !p.IsAnonymous() {
				t.Errorf("%s: the caller is %q, want nobody", name, p.Subject)
			}
		}))
		for _, target := range []string{"/public", "/refused"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
			if got := w.Header().Values("Vary"); !slices.Equal(got, tt.want) {
				t.Errorf("%s: Vary of %s = %q, want %q", name, target, got, tt.want)
			}
		}
	}
}
