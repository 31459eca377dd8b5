package guard_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
)

// crowd is a guard for callers called by their tokens, whose value is their name in capitals, so to speak.
func crowd(t testing.TB) *guard.Guard {
	find := func(_ context.Context, token string) (gatehouse.Identity, error) {
		if token == "nope" {
			return gatehouse.Identity{}, gatehouse.ErrCredential
		}
		return gatehouse.WithValue(gatehouse.Identity{Value: token, Roles: []string{token}}, "value of "+token), nil
	}
	return makeGuard(t, guard.Config{
		Carriers: []carrier.Carrier{carrier.Header("Token", find), carrier.NamedHeader("X-API-Key", find)},
		Rules: rules(t, policy.Config{Roles: policy.RoleList("basic", "admin"), Rules: []policy.Rule{
			{Path: "/public", Allow: policy.Anyone()}, {Path: "/known", Allow: policy.Authenticated()}, {Path: "/admin", Allow: policy.Role("admin")},
		}}),
	})
}

// says3 is what a handler can find out about the caller, in three ways that must agree.
func says3(r *http.Request) string {
	p, v := gatehouse.FromContext(r.Context()), guard.FromContext(r.Context())
	value, _ := gatehouse.Value[string](r.Context())
	return fmt.Sprintf("%s %s %s", p.Subject, v.Principal.Subject, value)
}

// calls are what the crowd sends: the token, where it stands, the path, and what must come back.
var calls = []struct {
	name, value, path string
	status            int
	body              string
}{
	{"Authorization", "Token admin", "/known", 200, "admin admin value of admin"},
	{"Authorization", "Token mallory", "/known", 200, "mallory mallory value of mallory"},
	{"X-Api-Key", "mallory", "/public", 200, "mallory mallory value of mallory"},
	{"Authorization", "Token nope", "/public", 200, "  "},
	{"Accept", "*/*", "/public", 200, "  "},
	{"Authorization", "Token mallory", "/admin", 403, ""},
	{"Authorization", "Token admin", "/admin", 200, "admin admin value of admin"},
	{"Accept", "*/*", "/admin", 401, ""},
	{"Authorization", "Token nope", "/known", 401, ""},
}

// TestCallersAreNeverMixedUp sends 20,000 requests of several callers through one guard at once.
func TestCallersAreNeverMixedUp(t *testing.T) {
	h := crowd(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, says3(r)) }))
	const workers, each = 8, 2500
	var wrong, done atomic.Int64
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for i := range each {
				c := calls[(worker+i)%len(calls)]
				r := httptest.NewRequest("GET", c.path, nil)
				r.Header.Set(c.name, c.value)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != c.status || c.status == 200 && w.Body.String() != c.body {
					wrong.Add(1)
				}
				done.Add(1)
			}
		})
	}
	group.Wait()
	if wrong.Load() > 0 || done.Load() != workers*each {
		t.Errorf("%d of %d requests got another caller's answer", wrong.Load(), done.Load())
	}
}

// TestConnectionsAreShared: callers take turns on the same connections, as behind a proxy that keeps them open.
func TestConnectionsAreShared(t *testing.T) {
	addr := serve(t, crowd(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, says3(r)) })))
	var group sync.WaitGroup
	for worker := range 4 {
		c := dial(t, addr)
		group.Go(func() {
			for i := range 250 {
				call := calls[(worker+i)%len(calls)]
				c.send("GET " + call.path + " HTTP/1.1\r\nHost: x\r\n" + call.name + ": " + call.value + "\r\n\r\n")
				res, err := http.ReadResponse(c.in, nil)
				if err != nil {
					t.Errorf("worker %d: %v", worker, err)
					return
				}
				body, _ := io.ReadAll(res.Body)
				if res.StatusCode != call.status || call.status == 200 && string(body) != call.body {
					t.Errorf("%+v = %d %q", call, res.StatusCode, body)
					return
				}
			}
		})
	}
	group.Wait()
}
