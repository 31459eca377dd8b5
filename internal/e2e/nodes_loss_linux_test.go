package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestTheDatabaseIsLost: for as long as the bound, nodes go on without their database. Past it, nothing is accepted that could have been revoked, but where a rule says so; nothing is said
// to be revoked that was not; and public keys are served. Once the database is back, all is well without a restart.
func TestTheDatabaseIsLost(t *testing.T) {
	needFleet(t)
	t.Parallel()
	for name, row := range map[string]struct{ lose, bring func(*ground) }{
		"it crashes": {func(g *ground) { g.postgres.Stop() }, func(g *ground) { g.postgres.Start() }},
		"it hangs":   {func(g *ground) { g.postgres.Pause() }, func(g *ground) { g.postgres.Resume() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := beginFleet(t, onPostgres(t), 2, "rules:", "upstream: 'http://"+startApp(t).addr+"'\nrules:")
			w := f.beside(t)
			good, revoked, doomed := w.logIn(t, "amy"), w.logIn(t, "bob"), w.logIn(t, "eve")
			f.mustRevoke(t, 0, revoked.Refresh)
			f.becomes(t, 1, revoked.Access, http.StatusUnauthorized)
			f.wants(t, 0, good.Access, http.StatusOK)
			f.wants(t, 1, good.Access, http.StatusOK)
			row.lose(f.ground)
			lost := time.Now()
			for i := range f.nodes {
				f.outlives(t, i, lost, good.Access, revoked.Access)
				f.failsClosed(t, i, good, revoked)
			}
			closed := time.Since(lost)
			f.cannotRevoke(t, 0, doomed.Refresh)
			row.bring(f.ground)
			back := time.Now()
			for i := range f.nodes {
				f.recovers(t, i, good.Access, revoked)
			}
			figure(t, "the database: %s; both nodes fail closed %v later, and work again %v after it is back", name, closed.Round(time.Millisecond), time.Since(back).Round(time.Millisecond))
			f.mustRevoke(t, 0, doomed.Refresh)
			f.wants(t, 0, doomed.Access, http.StatusUnauthorized)
			f.becomes(t, 1, doomed.Access, http.StatusUnauthorized)
			if again, status, err := f.renews(f.nodes[1], good.Refresh); err != nil || status != http.StatusOK || again.Refresh == good.Refresh {
				t.Errorf("renewing the log-in afterwards = %d (%v), want 200 and another token", status, err)
			}
		})
	}
}

// outlives watches a node from the loss of its database on, until it lets nothing through any more.
func (f *fleet) outlives(t *testing.T, i int, lost time.Time, good, revoked string) {
	t.Helper()
	passed := 0
	until(t, "the node fails closed", func() bool {
		asked := time.Now()
		got, err := f.asks(f.nodes[i], "/x", good)
		switch {
		case err != nil || got != http.StatusOK && got != http.StatusServiceUnavailable:
			t.Fatalf("node %d answers %d (%v), want 200, and later 503", i, got, err)
		case got == http.StatusOK && asked.Sub(lost) > bound:
			t.Fatalf("node %d lets through a request that was sent %v after its database was lost, want none after %v", i, asked.Sub(lost), bound)
		case got == http.StatusOK:
			passed++
		}
		if got, err := f.asks(f.nodes[i], "/x", revoked); err != nil || got != http.StatusUnauthorized {
			t.Fatalf("node %d answers what was revoked with %d (%v), want 401 all the time", i, got, err)
		}
		return got == http.StatusServiceUnavailable
	})
	if passed == 0 && i == 0 { // the others are asked later
		t.Errorf("node %d let nothing through without its database, want requests to pass within the bound", i)
	}
}

// failsClosed fails unless a node behaves as one must that has not heard for longer than the bound what was revoked.
func (f *fleet) failsClosed(t *testing.T, i int, good, revoked twins) {
	t.Helper()
	node := f.nodes[i]
	bearer := func(text string) string { return "Authorization: Bearer " + text }
	got := node.ask(t, "GET /x", bearer(good.Access))
	if got.status != 503 || got.header.Get("Retry-After") == "" || problemOf(t, got).Code != "unavailable" {
		t.Errorf("node %d: a good token gets %d %s with Retry-After %q, want 503 unavailable", i, got.status, got.body, got.header.Get("Retry-After"))
	}
	for _, row := range []struct {
		what, line, field string
		status            int
	}{
		{"a good token, where the rule tolerates the loss", "GET /bounded/x", bearer(good.Access), 200},
		{"a revoked one there", "GET /bounded/x", bearer(revoked.Access), 401},
		{"a revoked one elsewhere", "GET /x", bearer(revoked.Access), 401},
		{"a forged one", "GET /bounded/x", bearer(good.Access[:len(good.Access)-4] + "AAAA"), 401},
		{"nobody", "GET /bounded/x", "X-None: 1", 401},
		{"whoever wants public keys", "GET /.well-known/jwks.json", "X-None: 1", 200},
	} {
		if got := node.ask(t, row.line, row.field); got.status != row.status {
			t.Errorf("node %d: %s gets %d %s, want %d", i, row.what, got.status, got.body, row.status)
		}
	}
	if keys := node.ask(t, "GET /.well-known/jwks.json").body; !strings.Contains(keys, `"kid":"`) {
		t.Errorf("node %d: the public keys are %s, want one at least", i, keys)
	}
	if status, body := node.admin(t, "/readyz"); status != 503 {
		t.Errorf("node %d: /readyz = %d %s, want 503", i, status, body)
	}
	if status, _ := node.admin(t, "/healthz"); status != 200 {
		t.Errorf("node %d: /healthz = %d, want 200: the process is alive", i, status)
	}
}

// cannotRevoke fails unless a node says that it cannot revoke, renew or introspect now.
func (f *fleet) cannotRevoke(t *testing.T, i int, refresh string) {
	t.Helper()
	var asking sync.WaitGroup
	for path, row := range map[string]struct {
		form   url.Values
		fields []string
	}{
		"/oauth/revoke":     {url.Values{"token": {refresh}}, byOperator},
		"/oauth/introspect": {url.Values{"token": {refresh}}, byOperator},
		"/oauth/token":      {url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}, nil},
	} {
		asking.Go(func() {
			got, err := f.send(f.nodes[i], http.MethodPost, path, row.form, row.fields...)
			if err != nil || got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
				t.Errorf("node %d: POST %s = %d %s (%v), Retry-After %q, want 503 with it", i, path, got.status, got.body, err, got.header.Get("Retry-After"))
			}
		})
	}
	asking.Wait()
}

// recovers waits until a node works again, and fails if meanwhile it accepts what was revoked.
func (f *fleet) recovers(t *testing.T, i int, good string, revoked twins) {
	t.Helper()
	until(t, "the node works again", func() bool {
		if got, err := f.asks(f.nodes[i], "/x", revoked.Access); err != nil || got != http.StatusUnauthorized {
			t.Fatalf("node %d answers what was revoked with %d (%v) while it recovers, want 401", i, got, err)
		}
		got, err := f.asks(f.nodes[i], "/x", good)
		if err != nil {
			t.Fatal(err)
		}
		ready, _ := f.nodes[i].admin(t, "/readyz")
		return got == http.StatusOK && ready == http.StatusOK
	})
	if _, status, err := f.renews(f.nodes[i], revoked.Refresh); err != nil || status != http.StatusBadRequest {
		t.Errorf("node %d: renewing what was revoked = %d (%v), want 400", i, status, err)
	}
}
