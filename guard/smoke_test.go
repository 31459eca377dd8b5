package guard_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/guard"
)

func TestSmoke(t *testing.T) {
	g, err := guard.TokenAuth(func(_ context.Context, token string) (gatehouse.Identity, error) {
		if token != "token1" {
			return gatehouse.Identity{}, gatehouse.ErrCredential
		}
		return gatehouse.Identity{Value: "fake-uuid"}, nil
	}, guard.PublicRoutes(`/exclude`))
	if err != nil {
		t.Fatal(err)
	}
	h := g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, gatehouse.FromContext(r.Context()).Subject)
	}))
	for _, tt := range []struct {
		target, auth string
		want         int
	}{
		{"/", "Token token1", 200}, {"/", "Token x", 401}, {"/", "", 401}, {"/exclude", "", 200}, {"/exclude", "Token token1", 200}, {"/", "Token", 400}, {"//", "", 400},
	} {
		r := httptest.NewRequest("GET", tt.target, nil)
		if tt.target == "//" {
			r.URL.Path = "//"
		}
		if tt.auth != "" {
			r.Header.Set("Authorization", tt.auth)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("%s %q = %d, want %d: %s %v", tt.target, tt.auth, w.Code, tt.want, w.Body, w.Header())
		}
	}
}
